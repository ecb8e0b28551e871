//! Refusals: would Elasticsearch turn this document down, by inferlog's own mappings?
//!
//! For `check --sample`, which asks no server. What is known here was seen with a real one: a text in a field of numbers,
//! names that no field may have, a name that repeats, an array of several kinds in a field that is new. What an index
//! with other mappings refuses is not known.

use std::collections::{BTreeMap, HashSet};

use crate::kql::FieldKind;

/// Elasticsearch's own names, which no document may have at its top.
const METADATA_NAMES: [&str; 11] = [
    "_data_stream_timestamp",
    "_field_names",
    "_id",
    "_ignored",
    "_index",
    "_nested_path",
    "_routing",
    "_seq_no",
    "_source",
    "_tier",
    "_version",
];

/// The fields of numbers in which a value that is none refuses the document; in others it is kept and not indexed.
const STRICT_NUMBERS: [&str; 2] = ["confidence", "latency_ms"];

/// Texts over this many characters are kept and not found (`ignore_above` of our mappings).
pub const FOUND_CHARACTERS_MAX: usize = 8_191;

/// The longest keyword of an index without that limit, in bytes.
pub const KEYWORD_BYTES_MAX: usize = 32_766;

/// Why a document would be refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// The member, by its dotted path.
    pub field: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// What dynamic mapping makes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dynamic {
    Text,
    Number,
    Boolean,
}

/// The fields of an index, as the documents of a sample make them.
#[derive(Clone, Debug, Default)]
pub struct Index {
    fields: BTreeMap<String, Dynamic>,
    /// The longest text by its field, in bytes, where it is not found.
    pub long_texts: BTreeMap<String, usize>,
}

impl Index {
    /// Takes a document, which is valid JSON, and says why it would be refused, if it would.
    pub fn take(&mut self, document: &str) -> Option<Refusal> {
        let mut names = HashSet::new();
        for (name, value) in sonic_rs::to_object_iter(document).flatten() {
            let name: &str = &name;
            if !names.insert(name.to_owned()) {
                return refusal(name, "its name stands twice in the document");
            }
            if let Some(problem) = top_name(name) {
                return refusal(name, problem);
            }
            if let Some(refusal) = self.member(name, value.as_raw_str()) {
                return Some(refusal);
            }
        }
        None
    }

    /// Objects become fields with dots in their names, arrays several values of one field.
    fn member(&mut self, path: &str, raw: &str) -> Option<Refusal> {
        match raw.as_bytes().first() {
            Some(b'{') => {
                let mut names = HashSet::new();
                for (name, value) in sonic_rs::to_object_iter(raw).flatten() {
                    let path = format!("{path}.{name}");
                    if !names.insert(name.to_string()) {
                        return refusal(&path, "its name stands twice in its object");
                    }
                    if let Some(refusal) = self.member(&path, value.as_raw_str()) {
                        return Some(refusal);
                    }
                }
                None
            }
            Some(b'[') => {
                let is_new = !self.fields.contains_key(path);
                for element in sonic_rs::to_array_iter(raw).flatten() {
                    if let Some(refusal) = self.member(path, element.as_raw_str()) {
                        return Some(refusal);
                    }
                    if is_new && self.differs(path, element.as_raw_str()) {
                        return refusal(path, "its array has values of several kinds, while the field is new");
                    }
                }
                None
            }
            _ => self.scalar(path, raw),
        }
    }

    fn scalar(&mut self, path: &str, raw: &str) -> Option<Refusal> {
        let kind = dynamic(raw)?;
        if STRICT_NUMBERS.contains(&path) {
            return (!is_finite(raw, kind))
                .then(|| Refusal { field: path.to_owned(), problem: "the field holds numbers, and this is none" });
        }
        if kind == Dynamic::Text && raw.chars().count() > FOUND_CHARACTERS_MAX + 2 {
            let bytes = self.long_texts.entry(path.to_owned()).or_default();
            *bytes = (*bytes).max(raw.len() - 2);
        }
        self.fields.entry(path.to_owned()).or_insert(kind);
        None
    }

    /// Whether a value is of another kind than the first one of its field; of a field that our mappings name, none is.
    fn differs(&self, path: &str, raw: &str) -> bool {
        let first = self.fields.get(path).copied();
        FieldKind::of_field(path).is_none() && dynamic(raw).is_some_and(|kind| first.is_some_and(|first| first != kind))
    }
}

fn refusal(field: &str, problem: &'static str) -> Option<Refusal> {
    Some(Refusal { field: field.to_owned(), problem })
}

fn top_name(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("a member's name is empty")
    } else if name.trim().is_empty() {
        Some("a member's name is nothing but blanks")
    } else if METADATA_NAMES.contains(&name) {
        Some("the name is one of Elasticsearch's own: rename the member")
    } else {
        None
    }
}

/// `None` for what is no value.
fn dynamic(raw: &str) -> Option<Dynamic> {
    match raw.as_bytes().first()? {
        b'"' => Some(Dynamic::Text),
        b't' | b'f' => Some(Dynamic::Boolean),
        b'-' | b'0'..=b'9' => Some(Dynamic::Number),
        _ => None,
    }
}

/// Whether a field of numbers takes a value: a number, or a text that Java reads as one.
fn is_finite(raw: &str, kind: Dynamic) -> bool {
    let text = match kind {
        Dynamic::Boolean => return false,
        Dynamic::Number => raw,
        Dynamic::Text => raw[1..raw.len() - 1].trim().trim_end_matches(['d', 'D', 'f', 'F']),
    };
    let is_written_out =
        text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E'));
    text.is_empty() || (is_written_out && text.parse().is_ok_and(f64::is_finite))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Documents and the field for which they are refused. `tests/all/elasticsearch.rs` holds a real server to them.
    #[test]
    fn what_is_refused_is_known() {
        for line in include_str!("../../tests/elastic/refusals.txt").lines().filter(|line| !line.starts_with('#')) {
            let (expected, document) = line.split_once('\t').unwrap();
            let refusal = Index::default().take(document);
            let field = refusal.map_or_else(|| "taken".to_owned(), |refusal| format!("refused:{}", refusal.field));
            assert_eq!(field, expected, "{document}");
        }
    }

    #[test]
    fn a_field_that_is_there_takes_arrays_of_several_kinds_and_long_texts_are_noted() {
        let mut index = Index::default();
        assert_eq!(index.take(r#"{"z":1}"#), None);
        assert_eq!(index.take(r#"{"z":[1,"a"]}"#), None);
        let long = "é".repeat(FOUND_CHARACTERS_MAX + 1);
        assert_eq!(index.take(&format!(r#"{{"a":{{"b":"{long}"}}}}"#)), None);
        assert_eq!(index.long_texts.into_iter().collect::<Vec<_>>(), [("a.b".to_owned(), long.len())]);
    }
}
