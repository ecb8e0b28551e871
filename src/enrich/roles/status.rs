//! Status: how did it end, in the words that the rest of inferlog reads?

use super::source::{Source, is_within};
use super::value::Read;
use crate::record::{Record, json};

/// Where the status is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Where.
    pub from: Source,
    /// From this HTTP status on it is an error, below it a success.
    pub errors_from: Option<u16>,
    /// What the log says, and the status that it means as JSON.
    pub values: Vec<(String, String)>,
}

impl From<Source> for Status {
    fn from(from: Source) -> Status {
        Status { from, errors_from: None, values: Vec::new() }
    }
}

impl Status {
    pub(super) fn read(&self, record: &Record<'_>) -> Read {
        let Some((path, raw)) = self.from.find(record) else { return Read::Nothing };
        if raw.starts_with(['{', '[']) {
            return Read::Unclear;
        }
        let text = if raw.starts_with('"') { json::unescape(&raw) } else { raw.as_ref().into() };
        let within = is_within(path, "status");
        if let Some((_, status)) = self.values.iter().find(|(value, _)| *value == text) {
            return Read::raw(status, within);
        }
        match (self.errors_from, text.parse::<u16>()) {
            (Some(least), Ok(code @ 100..=599)) => {
                Read::raw(if code >= least { "\"error\"" } else { "\"success\"" }, within)
            }
            (Some(_), _) => Read::Unclear,
            (None, _) => Read::raw(&raw, within),
        }
    }
}
