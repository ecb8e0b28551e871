//! Outcome: did an inference succeed, and if not, with what type of error?
//!
//! The log's own `status` is shown as it is written. Where there is none, an `error` (or `exception`) that holds something
//! says `error`, and so does an HTTP status from 400 on, or the level `error`, `critical` or `fatal`; another HTTP status
//! says `success`; and where nothing speaks, the status is empty. A status of which nobody knows whether it is a failure
//! (`partial`) counts as an error where one of these signs says so.
//!
//! An error's type is the log's own, such as `error_type` or `error.type`; else the name of a class or a single word in
//! `error`; else the class of the HTTP status, such as `5xx`; else `unknown`. What an error says beside its type is never
//! looked at: it may quote the input.

use std::borrow::Cow;

use super::options::ErrorFields;
use super::value::{first_present, label, present};
use crate::record::Record;

const SUCCESSES: [&str; 7] = ["success", "ok", "succeeded", "successful", "completed", "complete", "done"];
const FAILURES: [&str; 8] = ["error", "failed", "failure", "fail", "err", "exception", "timeout", "timed_out"];

/// Members that hold something where an inference failed.
const ERROR_FIELDS: [&str; 2] = ["error", "exception"];
const LEVEL_FIELDS: [&str; 5] = ["level", "log.level", "severity", "levelname", "log_level"];
const ERROR_LEVELS: [&str; 4] = ["error", "critical", "fatal", "alert"];

/// The end of a class's name by which an error's text begins: `ValueError: …`.
const CLASS_ENDS: [&str; 5] = ["Error", "Exception", "Timeout", "Interrupt", "Exit"];

const TYPE_BYTES_MAX: usize = 64;
const UNKNOWN: &str = "unknown";

/// How an inference ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome<'r> {
    /// The status, empty where nothing tells it.
    pub(super) status: Cow<'r, str>,
    /// The type of the error, where it is one.
    pub(super) error: Option<Cow<'r, str>>,
}

/// What the signs beside the status say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Success,
    Failure,
    Nothing,
}

/// Reads how an inference ended. Allocates nothing, except where a text has escapes.
pub(super) fn outcome<'r>(record: &'r Record<'_>, fields: &ErrorFields) -> Outcome<'r> {
    let status = present(record, "status").and_then(label).filter(|status| !status.is_empty());
    match status {
        Some(status) => {
            let failed = match said_by(&status) {
                Sign::Success => false,
                Sign::Failure => true,
                Sign::Nothing => signs(record, fields) == Sign::Failure,
            };
            let error = failed.then(|| error_type(record, fields, http_code(&status)));
            Outcome { status, error }
        }
        None => match signs(record, fields) {
            Sign::Success => Outcome { status: Cow::Borrowed("success"), error: None },
            Sign::Failure => Outcome { status: Cow::Borrowed("error"), error: Some(error_type(record, fields, None)) },
            Sign::Nothing => Outcome { status: Cow::Borrowed(""), error: None },
        },
    }
}

/// Whether an inference failed.
pub fn is_error(record: &Record<'_>, fields: &ErrorFields) -> bool {
    outcome(record, fields).error.is_some()
}

/// What a status says by itself.
fn said_by(status: &str) -> Sign {
    let is_one_of = |words: &[&str]| words.iter().any(|word| status.eq_ignore_ascii_case(word));
    match http_code(status) {
        Some(400..) => Sign::Failure,
        Some(_) => Sign::Success,
        None if is_one_of(&SUCCESSES) => Sign::Success,
        None if is_one_of(&FAILURES) => Sign::Failure,
        None => Sign::Nothing,
    }
}

fn signs(record: &Record<'_>, fields: &ErrorFields) -> Sign {
    let has_error = ERROR_FIELDS.iter().any(|field| present(record, field).is_some_and(holds_something))
        || first_present(record, &fields.error_type).is_some_and(|(_, raw)| holds_something(raw));
    let is_error_level =
        |raw: &str| label(raw).is_some_and(|level| ERROR_LEVELS.iter().any(|error| level.eq_ignore_ascii_case(error)));
    match http_status(record, fields) {
        _ if has_error => Sign::Failure,
        Some(400..) => Sign::Failure,
        _ if LEVEL_FIELDS.iter().any(|field| present(record, field).is_some_and(is_error_level)) => Sign::Failure,
        Some(_) => Sign::Success,
        None => Sign::Nothing,
    }
}

/// Whether the value of `error` is one: `false`, `0`, an empty text, object or list say that there is none.
fn holds_something(raw: &str) -> bool {
    let inside = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
    let is_empty = raw.starts_with(['"', '{', '[']) && inside.trim().is_empty();
    !is_empty && !matches!(raw, "false" | "0")
}

fn http_status(record: &Record<'_>, fields: &ErrorFields) -> Option<u16> {
    let (_, raw) = first_present(record, &fields.http_status)?;
    http_code(&label(raw)?)
}

fn http_code(text: &str) -> Option<u16> {
    let code = text.parse().ok()?;
    (text.len() == 3 && (100..=599).contains(&code)).then_some(code)
}

fn error_type<'r>(record: &'r Record<'_>, fields: &ErrorFields, of_status: Option<u16>) -> Cow<'r, str> {
    let own = fields.error_type.iter().find_map(|field| {
        let raw = present(record, field.as_str()).filter(|raw| holds_something(raw))?;
        label(raw)
    });
    let text = |field: &str| present(record, field).filter(|raw| raw.starts_with('"')).and_then(label);
    let named = || ERROR_FIELDS.iter().find_map(|field| class_name(text(field)?));
    let of_http = || {
        const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
        let code = of_status.or_else(|| http_status(record, fields)).filter(|code| *code >= 400)?;
        CLASSES.get(usize::from(code / 100 - 1)).map(|class| Cow::Borrowed(*class))
    };
    own.or_else(named).or_else(of_http).unwrap_or(Cow::Borrowed(UNKNOWN))
}

/// The name of a class by which a text begins, or the text if it is a single word.
fn class_name(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    let head = text.split(':').next().unwrap_or_default().trim_end();
    let is_word = head.starts_with(|c: char| c.is_ascii_alphabetic())
        && head.len() <= TYPE_BYTES_MAX
        && head.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
    if !is_word || (head.len() < text.len() && !CLASS_ENDS.iter().any(|end| head.ends_with(end))) {
        return None;
    }
    let length = head.len();
    Some(match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..length]),
        Cow::Owned(mut text) => {
            text.truncate(length);
            Cow::Owned(text)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Space;

    #[test]
    fn a_record_ends_like_this() {
        let fields = ErrorFields::default();
        for (line, status, error) in [
            // The log's own status is shown as it is.
            (r#"{"status":"success"}"#, "success", None),
            (r#"{"status":"Success","error":"ignored"}"#, "Success", None),
            (r#"{"status":"error"}"#, "error", Some("unknown")),
            (r#"{"status":"FAILED","error_type":"ValueError"}"#, "FAILED", Some("ValueError")),
            (r#"{"status":200}"#, "200", None),
            (r#"{"status":503}"#, "503", Some("5xx")),
            (r#"{"status":"404"}"#, "404", Some("4xx")),
            (r#"{"status":1}"#, "1", None),
            (r#"{"status":"partial"}"#, "partial", None),
            (r#"{"status":"partial","level":"error"}"#, "partial", Some("unknown")),
            // Derived where there is none.
            (r#"{}"#, "", None),
            (r#"{"level":"info"}"#, "", None),
            (r#"{"status":"","level":"ERROR"}"#, "error", Some("unknown")),
            (r#"{"status":null,"log.level":"critical"}"#, "error", Some("unknown")),
            (r#"{"status":{"a":1},"severity":"fatal"}"#, "error", Some("unknown")),
            (r#"{"status_code":200}"#, "success", None),
            (r#"{"http":{"response":{"status_code":"502"}}}"#, "error", Some("5xx")),
            (r#"{"http_status":429,"level":"warning"}"#, "error", Some("4xx")),
            (r#"{"status_code":200,"level":"error"}"#, "error", Some("unknown")),
            (r#"{"status_code":99}"#, "", None),
            (r#"{"error":true}"#, "error", Some("unknown")),
            (r#"{"error":false}"#, "", None),
            (r#"{"error":null}"#, "", None),
            (r#"{"error":"","exception":[],"error_type":null}"#, "", None),
            (r#"{"error":{},"status_code":204}"#, "success", None),
            // The type.
            (r#"{"error":{"type":"RateLimit","message":"m"}}"#, "error", Some("RateLimit")),
            (r#"{"error.type":"timeout"}"#, "error", Some("timeout")),
            (r#"{"error":"timeout"}"#, "error", Some("timeout")),
            (r#"{"error":"ValueError: amount is 12"}"#, "error", Some("ValueError")),
            (r#"{"error":"torch.cuda.OutOfMemoryError: tried"}"#, "error", Some("torch.cuda.OutOfMemoryError")),
            (r#"{"error":"user-42: not found"}"#, "error", Some("unknown")),
            (r#"{"error":"Anna: not found","status_code":500}"#, "error", Some("5xx")),
            (r#"{"error":"the input was bad"}"#, "error", Some("unknown")),
            (r#"{"error":"Key\u0045rror: 'a'"}"#, "error", Some("KeyError")),
            (r#"{"exception":[{"exc_type":"KeyError","exc_value":"v"}]}"#, "error", Some("KeyError")),
            (r#"{"exception":"Traceback (most recent call last):\n  x"}"#, "error", Some("unknown")),
        ] {
            let mut space = Space::default();
            let record = Record::parse(line, &mut space).unwrap();
            let Outcome { status: got, error: its } = outcome(&record, &fields);
            assert_eq!((got.as_ref(), its.as_deref()), (status, error), "{line}");
        }
    }
}
