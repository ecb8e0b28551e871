//! A single value, copied as it is written: ids, names, versions.

use super::source::{Source, is_within};
use super::value::Read;
use crate::record::Record;

/// Copies a text, number or boolean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// The heart field.
    pub into: &'static str,
    /// Where it is.
    pub from: Source,
}

impl Copy {
    pub(super) fn read(&self, record: &Record<'_>) -> Read {
        match self.from.find(record) {
            None => Read::Nothing,
            Some((_, raw)) if raw.starts_with(['{', '[']) => Read::Unclear,
            Some((path, raw)) => Read::raw(&raw, is_within(path, self.into)),
        }
    }
}
