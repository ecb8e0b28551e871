//! Values of a record as observers take them: a label's text, and a number in a range.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use crate::kql::Value;
use crate::record::{Path, Record, json};

/// The raw value of a field; `null` is none.
pub(super) fn present<'r>(record: &'r Record<'_>, field: &str) -> Option<&'r str> {
    record.first(field).filter(|raw| *raw != "null")
}

/// The first of some fields that is there, and its raw value.
pub(super) fn first_present<'r, 'p>(record: &'r Record<'_>, fields: &'p [Path]) -> Option<(&'p Path, &'r str)> {
    fields.iter().find_map(|field| Some((field, present(record, field.as_str())?)))
}

/// The text of a scalar.
pub(super) fn label(raw: &str) -> Option<Cow<'_, str>> {
    if raw.starts_with('[') {
        return None;
    }
    match json::value(raw) {
        Value::String(text) => Some(text),
        Value::Number(_) | Value::Boolean(_) => Some(Cow::Borrowed(raw)),
        Value::Null | Value::Object => None,
    }
}

/// The text of a field as a label has it; what is none is empty.
pub fn label_text<'r>(record: &'r Record<'_>, field: &str) -> Cow<'r, str> {
    record.first(field).and_then(label).unwrap_or_default()
}

/// A JSON number within a range.
pub(super) fn number(raw: &str, range: RangeInclusive<f64>) -> Option<f64> {
    let value = raw.parse().ok()?;
    range.contains(&value).then_some(value)
}
