//! Second copies: does a value that a rule hides stand elsewhere in the same record?
//!
//! Loggers repeat what they are given: loguru's `text` has the message and all it was given, an access line the query
//! string. A rule hides the member that it names, and the copy is shipped.

use std::collections::BTreeMap;

use crate::enrich::Enrichment;
use crate::kql::{Fields as _, Value};
use crate::record::{Record, Space};

/// Shorter texts stand in many places by chance.
const CHARACTERS_MIN: usize = 6;

/// So many values of one record are looked for.
const VALUES_MAX: usize = 64;

/// A text that a rule hides, and where it stands.
pub type HiddenText = (String, String);

/// What a sample shows of them.
#[derive(Debug, Default)]
pub struct SecondCopies {
    /// In how many documents what is hidden at the one path stands at the other.
    counts: BTreeMap<(String, String), u64>,
}

impl SecondCopies {
    /// The texts of a record that rules hide, before anything is done to it.
    pub fn hidden_texts(enrichment: &Enrichment, record: &Record<'_>) -> Vec<HiddenText> {
        let mut texts = Vec::new();
        if enrichment.hidden_fields().is_empty() {
            return texts;
        }
        record.any_leaf(&mut |path, value| {
            if let Value::String(text) = value {
                let is_hidden = || enrichment.hidden_fields().iter().any(|hidden| hidden.covers(path));
                if text.chars().nth(CHARACTERS_MIN - 1).is_some() && is_hidden() {
                    texts.push((path.to_owned(), text.into_owned()));
                }
            }
            texts.len() == VALUES_MAX
        });
        texts
    }

    /// Looks for them in the document that was made of the record, where no rule hides what stands there.
    pub fn look(&mut self, hidden: &[HiddenText], document: &[u8], hides: impl Fn(&str) -> bool) {
        if hidden.is_empty() {
            return;
        }
        let mut space = Space::default();
        let document = String::from_utf8_lossy(document);
        let Ok(record) = Record::parse(&document, &mut space) else { return };
        let mut found: Vec<(String, String)> = Vec::new();
        record.any_leaf(&mut |place, value| {
            if let Value::String(shown) = value
                && !hides(place)
            {
                let copies = hidden.iter().filter(|(_, text)| shown.contains(text.as_str()));
                found.extend(copies.map(|(path, _)| (path.clone(), place.to_owned())));
            }
            false
        });
        found.sort_unstable();
        found.dedup();
        for copy in found {
            *self.counts.entry(copy).or_default() += 1;
        }
    }

    /// What is hidden, where it stands a second time, and in how many documents.
    pub fn found(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        self.counts.iter().map(|((hidden, place), count)| (hidden.as_str(), place.as_str(), *count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, load_with};
    use crate::judge::line::Judge;
    use crate::telemetry::Telemetry;

    #[test]
    fn a_text_that_is_hidden_and_stands_elsewhere_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.yaml");
        let text = "source: { files: { paths: [a] } }\ndecode: json\nsink: stdout\n\
                    enrich: [ { redact: { fields: [user, \"**.name\"] } } ]\n";
        fs_err::write(&path, text).unwrap();
        let pipeline = load_with(&[path], &Environment::new(|_| None)).unwrap().remove(0);
        let enrichment = Judge::new(&pipeline, "host", &Telemetry::default().pipeline("p")).enrichment;
        for (line, document, expected) in [
            (
                r#"{"user":{"email":"jo@x.org"}}"#,
                r#"{"user":"[redacted]","text":"of jo@x.org"}"#,
                vec!["user.email text"],
            ),
            (r#"{"a":{"name":"Jo Roe"}}"#, r#"{"a":{"name":"Jo Roe"},"b":["Jo Roe","Jo Roe"]}"#, vec!["a.name b"]),
            (r#"{"a":{"name":"Jo R"}}"#, r#"{"b":"Jo R"}"#, vec![]),
            (r#"{"other":"Jo Roe"}"#, r#"{"b":"Jo Roe"}"#, vec![]),
            (r#"{"a":{"name":"größer"}}"#, r#"{"b":"gr\u00f6\u00dfer","c":7}"#, vec!["a.name b"]),
        ] {
            let mut space = Space::default();
            let hidden = SecondCopies::hidden_texts(&enrichment, &Record::parse(line, &mut space).unwrap());
            let mut copies = SecondCopies::default();
            copies.look(&hidden, document.as_bytes(), |path| enrichment.hides(path));
            let found: Vec<String> = copies.found().map(|(hidden, place, _)| format!("{hidden} {place}")).collect();
            assert_eq!(found, expected, "{line}");
        }
    }
}
