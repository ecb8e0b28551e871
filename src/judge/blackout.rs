//! Blackout: a line of a log without what it says, to stand in a pipeline file as a test.
//!
//! Names, times and the form of numbers stay, and the few words that conditions ask for (`event`, `level`); every other
//! text becomes `x`, every digit but 0 a 1. JSON inside of a text is blacked out as JSON. Long arrays and objects are cut.
//! A line whose names look like secrets or personal data is not taken at all.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::shape::without_places;
use crate::text::number_text;
use crate::text::pattern_redaction::redact;
use crate::text::time::{self, Reading};

/// So many elements of an array stay.
const ELEMENTS_MAX: usize = 4;

/// So many members of an object stay, below the top.
const MEMBERS_MAX: usize = 12;

/// The longest line that is made, in bytes.
const LINE_BYTES_MAX: usize = 4_096;

/// Members whose words stay: what they say is the kind of the record, and conditions ask for it.
const KINDS: [&str; 12] = [
    "event",
    "type",
    "level",
    "levelname",
    "status",
    "stage",
    "stream",
    "key",
    "encoding",
    "mode",
    "specversion",
    "severityText",
];

/// The longest word of a kind, in bytes.
const KIND_BYTES_MAX: usize = 60;

/// The line without what it says; `None` where that cannot be made.
pub fn blacked_out(line: &str, kept: &[&str]) -> Option<String> {
    let (prefix, json) = match line.starts_with('{') {
        true => ("", line),
        // Time, stream and flag of a container runtime.
        false => line.match_indices(' ').nth(2).map(|(end, _)| line.split_at(end + 1))?,
    };
    let is_container_line = prefix.is_empty() || prefix.contains(" std");
    let value: Value = serde_json::from_str(json).ok().filter(|_| is_container_line)?;
    let line = format!("{prefix}{}", self::value("", &value, kept)?);
    // `${` would be taken for a variable.
    (line.len() <= LINE_BYTES_MAX && !line.contains("${") && !line.contains('\n')).then_some(line)
}

fn value(path: &str, value: &Value, kept: &[&str]) -> Option<Value> {
    let is_kept = kept.contains(&without_places(path).as_str());
    Some(match value {
        Value::Null | Value::Bool(_) => value.clone(),
        Value::Number(_) if is_kept => value.clone(),
        Value::Number(number) => serde_json::from_str(&ones(&number.to_string())).ok()?,
        Value::String(text) => Value::String(self::text(path, text, is_kept)?),
        Value::Array(elements) => {
            let elements = elements.iter().take(ELEMENTS_MAX);
            Value::Array(elements.map(|element| self::value(path, element, kept)).collect::<Option<_>>()?)
        }
        Value::Object(members) => Value::Object(self::members(path, members, kept)?),
    })
}

fn members(path: &str, members: &Map<String, Value>, kept: &[&str]) -> Option<Map<String, Value>> {
    let most = if path.is_empty() { usize::MAX } else { MEMBERS_MAX };
    let member = |(name, value): (&String, &Value)| {
        let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let is_harmless = matches!(redact(name.as_bytes()), Cow::Borrowed(_));
        Some((name.clone(), self::value(&below, value, kept)?)).filter(|_| is_harmless)
    };
    members.iter().take(most).map(member).collect()
}

fn text(path: &str, text: &str, is_kept: bool) -> Option<String> {
    let trimmed = text.trim_end();
    let end = &text[trimmed.len()..];
    let name = path.rsplit('.').next().unwrap_or_default();
    let is_word = |c: char| c.is_ascii_alphabetic() || matches!(c, ' ' | '.' | '_' | '-' | '/');
    let is_kind = KINDS.contains(&name) && text.len() <= KIND_BYTES_MAX && text.chars().all(is_word);
    let is_calendar = text.contains(':') && time::parse(Reading::Text(text), None).is_ok();
    let is_number = number_text::number(trimmed).is_some() || number_text::duration_ms(trimmed).is_some();
    let is_row = !trimmed.is_empty() && trimmed.chars().all(|c| c.is_ascii_digit() || ",.-+eE ".contains(c));
    let said = match serde_json::from_str(trimmed) {
        Ok(inner @ (Value::Object(_) | Value::Array(_))) => value("", &inner, &[])?.to_string(),
        _ if is_kept || is_kind || is_calendar || name == "specversion" => trimmed.to_owned(),
        _ if is_number || is_row => ones(trimmed),
        _ => "x".to_owned(),
    };
    Some(said + end)
}

/// A number of the same form: each digit but 0 is a 1.
fn ones(number: &str) -> String {
    number.chars().map(|c| if matches!(c, '2'..='9') { '1' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_forms_stay_and_values_go() {
        for (line, expected) in [
            (r#"{"user":"Jo Roe","n":0.873,"k":[250,-3]}"#, Some(r#"{"k":[110,-1],"n":0.111,"user":"x"}"#)),
            (
                r#"{"event":"prediction served","level":"jo.roe@example.com"}"#,
                Some(r#"{"event":"prediction served","level":"x"}"#),
            ),
            (
                r#"{"at":"2026-11-23 10:00:00,5","born":"1980-02-03","ts":1795428000}"#,
                Some(r#"{"at":"2026-11-23 10:00:00,5","born":"1110-01-01","ts":1795428000}"#),
            ),
            (
                r#"{"took":"986.53ms","c":"87%","row":"12.5,33"}"#,
                Some(r#"{"c":"11%","row":"11.1,11","took":"111.11ms"}"#),
            ),
            (r#"{"log":"{\"user\":\"Jo\",\"n\":7}\n"}"#, Some(r#"{"log":"{\"n\":1,\"user\":\"x\"}\n"}"#)),
            (r#"2026-11-23T10:00:00Z stdout F {"user":"Jo"}"#, Some(r#"2026-11-23T10:00:00Z stdout F {"user":"x"}"#)),
            (r#"{"by":{"jo.roe@example.com":1}}"#, None),
            ("Jo Roe was here {}", None),
            (r#"{"$x":1,"${y}":2}"#, None),
        ] {
            assert_eq!(blacked_out(line, &["ts"]).as_deref(), expected, "{line}");
        }
    }
}
