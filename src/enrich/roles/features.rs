//! Features: what went into the model?

use super::source::{Source, is_within};
use super::value::Read;
use crate::enrich::heart::HEART_FIELDS;
use crate::record::{Path, PathPattern, Record, covers, json};

/// What a logger writes of itself.
const OF_LOGGERS: [&str; 7] = ["@timestamp", "event", "level", "logger", "message", "inferlog", "ecs"];

/// Where the features are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Features {
    /// At a path.
    From(Source),
    /// They are what is left of the top level.
    Rest(Rest),
}

/// What of the top level are no features.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    /// What the pipeline file excepts, what other roles read, and what the time is read from.
    pub except: Vec<Path>,
}

impl From<Source> for Features {
    fn from(from: Source) -> Features {
        Features::From(from)
    }
}

impl Features {
    pub(super) fn read(&self, record: &Record<'_>, hidden: &[PathPattern]) -> Read {
        match self {
            Features::From(from) => match from.find(record) {
                Some((path, raw)) => Read::raw(&raw, is_within(path, "features")),
                None => Read::Nothing,
            },
            Features::Rest(rest) => rest.read(record, hidden),
        }
    }
}

impl Rest {
    fn read(&self, record: &Record<'_>, hidden: &[PathPattern]) -> Read {
        let meets = |path: &str, name: &str| covers(path, name) || covers(name, path);
        let is_left = |name: &str| {
            !HEART_FIELDS.iter().chain(&OF_LOGGERS).any(|field| covers(field, name))
                && !self.except.iter().any(|path| meets(path.as_str(), name))
                && !hidden.iter().any(|pattern| pattern.meets(name))
        };
        let mut raw = String::from("{");
        for (name, value) in record.name_values().filter(|(name, _)| is_left(name)) {
            if raw.len() > 1 {
                raw.push(',');
            }
            json::write_string(name, &mut raw);
            raw.push(':');
            raw.push_str(value);
        }
        raw.push('}');
        if raw.len() > 2 { Read::raw(&raw, false) } else { Read::Nothing }
    }
}
