//! Targets: into which data stream or index does a document go?
//!
//! A data stream takes everything under one name. An index pattern such as `ml-inference-{yyyy.MM.dd}` gives each
//! document an index by its own time (UTC), so that a document sent again always meets its own `_id`.

use chrono::{DateTime, Datelike, Timelike, Utc};

pub use super::names::TargetError;
use super::names::check_name;
use super::tenants::Tenants;

/// The data streams of accounts begin with this.
pub const ACCOUNTS_PREFIX: &str = "metrics-ml.pipeline-";

/// The data streams of drift begin with this.
pub const DRIFT_PREFIX: &str = "metrics-ml.drift-";

/// The data streams of outcomes begin with this.
pub const OUTCOME_PREFIX: &str = "logs-ml.outcome-";

/// Where documents go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A data stream of this name.
    DataStream(String),
    /// An index by each document's own time.
    Index(IndexPattern),
    /// A data stream by the namespace that each record names.
    Tenants(Box<Tenants>),
}

impl Target {
    /// Reads the name of a data stream. Fails where Elasticsearch would refuse it.
    pub fn data_stream(name: &str) -> Result<Target, TargetError> {
        check_name(name)?;
        Ok(Target::DataStream(name.to_owned()))
    }

    /// The data stream of the accounts: `metrics-ml.pipeline-` with the namespace of a stream that is named by Elastic's
    /// scheme (`type-dataset-namespace`), else with `default`.
    pub fn accounts(&self) -> String {
        format!("{ACCOUNTS_PREFIX}{}", self.namespace())
    }

    /// The data stream of outcomes, named likewise.
    pub fn outcomes(&self) -> String {
        format!("{OUTCOME_PREFIX}{}", self.namespace())
    }

    /// The data stream of drift, named likewise.
    pub fn drift(&self) -> String {
        format!("{DRIFT_PREFIX}{}", self.namespace())
    }

    /// The names that records of now go to.
    pub fn names_now(&self) -> Vec<String> {
        match self {
            Target::DataStream(stream) => vec![stream.clone()],
            Target::Index(pattern) => vec![pattern.name(Utc::now().timestamp_micros()).unwrap_or_default()],
            Target::Tenants(tenants) => tenants.streams().to_vec(),
        }
    }

    /// What accounts call it, so that whoever asks for a part of it finds them.
    pub fn account_names(&self) -> Vec<String> {
        let parts = if let Target::Tenants(tenants) = self { tenants.streams() } else { &[] };
        std::iter::once(self.searched()).chain(parts.iter().cloned()).collect()
    }

    /// What stands for all of its records, name by name where the names are known: of a pattern Elasticsearch means only
    /// what a user may see, and says nothing of the rest.
    pub fn parts(&self) -> Vec<String> {
        match self {
            Target::Tenants(tenants) => tenants.streams().to_vec(),
            Target::DataStream(_) | Target::Index(_) => vec![self.searched()],
        }
    }

    fn namespace(&self) -> &str {
        let namespace = match self {
            Target::DataStream(stream) => stream.splitn(3, '-').nth(2),
            Target::Index(_) => None,
            Target::Tenants(tenants) => Some(tenants.rule().name(0)),
        };
        namespace.unwrap_or("default")
    }

    /// Reads a pattern such as `ml-inference-{yyyy.MM.dd}`.
    pub fn index(pattern: &str) -> Result<Target, TargetError> {
        Ok(Target::Index(IndexPattern::parse(pattern)?))
    }
}

/// Who sees to the template of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TemplateCare {
    /// inferlog: `setup` installs it, and `run` holds records back where another one would alter them.
    #[default]
    Managed,
    /// Somebody who knows: inferlog installs nothing, and does not look.
    Unmanaged,
}

/// An index name with parts of a time in braces: `yyyy`, `MM`, `dd`, `HH`, between them `.`, `-` or `_` as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexPattern {
    parts: Vec<NamePart>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum NamePart {
    Text(String),
    Year,
    Month,
    Day,
    Hour,
}

impl IndexPattern {
    /// Reads a pattern. It must hold at least a year, and give names that Elasticsearch takes.
    pub fn parse(pattern: &str) -> Result<IndexPattern, TargetError> {
        let wrong = |problem| TargetError::Pattern { pattern: pattern.to_owned(), problem };
        let mut parts = Vec::new();
        let mut rest = pattern;
        while let Some((before, after)) = rest.split_once('{') {
            let (inside, after) = after.split_once('}').ok_or_else(|| wrong("a `{` has no `}`"))?;
            push_text(&mut parts, before);
            parse_braces(inside, &mut parts).map_err(wrong)?;
            rest = after;
        }
        push_text(&mut parts, rest);
        if !parts.contains(&NamePart::Year) {
            return Err(wrong("it needs a date in braces, such as `{yyyy.MM.dd}`"));
        }
        let texts = parts.iter().filter_map(|part| if let NamePart::Text(text) = part { Some(text) } else { None });
        if texts.into_iter().any(|text| text.contains('}')) {
            return Err(wrong("a `}` has no `{`"));
        }
        let pattern = IndexPattern { parts };
        check_name(&pattern.name(0).unwrap_or_default())?;
        Ok(pattern)
    }

    /// The name for a document of this time, in microseconds since 1970 (UTC); `None` outside the years 0 to 9999.
    pub fn name(&self, timestamp_us: i64) -> Option<String> {
        let time =
            DateTime::<Utc>::from_timestamp_micros(timestamp_us).filter(|time| (0..=9999).contains(&time.year()))?;
        let mut name = String::new();
        for part in &self.parts {
            match part {
                NamePart::Text(text) => name.push_str(text),
                NamePart::Year => name.push_str(&format!("{:04}", time.year())),
                NamePart::Month => name.push_str(&format!("{:02}", time.month())),
                NamePart::Day => name.push_str(&format!("{:02}", time.day())),
                NamePart::Hour => name.push_str(&format!("{:02}", time.hour())),
            }
        }
        Some(name)
    }

    /// The pattern as Elasticsearch writes it: a `*` for each part of a time.
    pub fn wildcard(&self) -> String {
        let mut wildcard = String::new();
        for part in &self.parts {
            match part {
                NamePart::Text(text) => wildcard.push_str(text),
                _ if !wildcard.ends_with('*') => wildcard.push('*'),
                _ => {}
            }
        }
        wildcard
    }
}

fn push_text(parts: &mut Vec<NamePart>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(NamePart::Text(last)) => last.push_str(text),
        _ => parts.push(NamePart::Text(text.to_owned())),
    }
}

fn parse_braces(mut inside: &str, parts: &mut Vec<NamePart>) -> Result<(), &'static str> {
    const FIELDS: [(&str, NamePart); 4] =
        [("yyyy", NamePart::Year), ("MM", NamePart::Month), ("dd", NamePart::Day), ("HH", NamePart::Hour)];
    const WRONG: &str = "in braces stand `yyyy`, `MM`, `dd`, `HH`, with `.`, `-` or `_` between them";
    if inside.is_empty() {
        return Err(WRONG);
    }
    while let Some(first) = inside.chars().next() {
        if let Some((field, part)) = FIELDS.iter().find(|(field, _)| inside.starts_with(field)) {
            parts.push(part.clone());
            inside = &inside[field.len()..];
        } else if matches!(first, '.' | '-' | '_') {
            push_text(parts, &inside[..1]);
            inside = &inside[1..];
        } else {
            return Err(WRONG);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23T10:00:00.123456Z.
    const TIME_US: i64 = 1_795_428_000_123_456;

    #[test]
    fn index_names_follow_the_documents_own_time() {
        let table = [
            ("ml-inference-{yyyy.MM.dd}", TIME_US, Some("ml-inference-2026.11.23"), "ml-inference-*.*.*"),
            ("ml-{yyyy}-x-{MM}{dd}t{HH}", TIME_US, Some("ml-2026-x-1123t10"), "ml-*-x-*t*"),
            ("a{yyyyMM}", 0, Some("a197001"), "a*"),
            ("a{yyyy.MM.dd}", -1, Some("a1969.12.31"), "a*.*.*"),
            ("a{yyyy}", i64::MAX, None, "a*"),
            ("a{yyyy}", -70_000_000_000_000_000, None, "a*"),
        ];
        for (pattern, time_us, name, wildcard) in table {
            let parsed = IndexPattern::parse(pattern).unwrap();
            assert_eq!(parsed.name(time_us).as_deref(), name, "{pattern}");
            assert_eq!(parsed.wildcard(), wildcard, "{pattern}");
        }
    }

    #[test]
    fn names_that_elasticsearch_refuses_are_refused_before_anything_is_sent() {
        for name in ["", ".", "Logs", "_a", "-a", "a b", "a/b", "a:b", "a*", "a\n", "a{b}", &"a".repeat(256)] {
            assert!(Target::data_stream(name).is_err(), "{name:?}");
        }
        for pattern in
            ["plain", "a{yyyy", "a}{yyyy}", "a{MM}", "{yyyy/MM}", "A{yyyy}", "a{yyyy}{Q}", "a{yyyy.mm.dd}", "a{yyyy}{}"]
        {
            assert!(Target::index(pattern).is_err(), "{pattern:?}");
        }
        assert!(Target::data_stream("logs-ml.inference-default").is_ok());
    }
}
