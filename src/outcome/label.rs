//! Label lines: what was true of a prediction, or what a reviewer decided on it?
//!
//! | member | what it says |
//! | --- | --- |
//! | `request_id` | of which prediction; needed |
//! | `batch.index` | of which row of a batch, where one line held several under one id |
//! | `label` | what was true: a text, a number, `true`, `false`, or a list of one of them; of a truth it is needed |
//! | `kind` | `truth`, as without it, or `review` |
//! | `known_at` | when it became known; else the line's own time |
//! | `by` | who says so |
//! | `reviewer`, `decision`, `opened`, `decided` | of a review: who, `upheld`, `overridden` or `escalated` (needed), when it was given and decided |
//!
//! Other names are given these by the processors of the labels' own `enrich`.

use std::borrow::Cow;

use super::figures::{CLASS_BYTES_MAX, Decision};
use crate::kql::Value;
use crate::record::{Record, json};
use crate::text::digest::sha256_hexadecimal;
use crate::text::time::{self, Reading};

/// A longer `request_id` is no id, in bytes.
pub const REQUEST_ID_BYTES_MAX: usize = 512;

/// Names of people and tools are kept up to here, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// What kind of thing a label line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LabelKind {
    /// What was true.
    Truth,
    /// What a person decided.
    Review,
}

impl LabelKind {
    /// As lines, documents and metrics have it.
    pub fn as_str(self) -> &'static str {
        match self {
            LabelKind::Truth => "truth",
            LabelKind::Review => "review",
        }
    }
}

/// Reads what a reviewer decided.
pub fn decision(word: &str) -> Option<Decision> {
    [Decision::Upheld, Decision::Overridden, Decision::Escalated].into_iter().find(|known| known.name() == word)
}

/// A label line.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// Of which prediction.
    pub request_id: String,
    /// Of which row of a batch.
    pub batch_index: Option<i64>,
    /// What kind of thing it says.
    pub kind: LabelKind,
    /// The class or number that was true, as [`class_name`] has it; a review may go without.
    pub label: Option<String>,
    /// When it became known, in microseconds since 1970 (UTC); `None` where the line does not say.
    pub known_us: Option<i64>,
    /// Who says so.
    pub by: Option<String>,
    /// Of a review: what was decided.
    pub decision: Option<Decision>,
    /// Of a review: when it was given to somebody, in microseconds since 1970 (UTC).
    pub opened_us: Option<i64>,
    /// Of a review: when it was decided, in microseconds since 1970 (UTC).
    pub decided_us: Option<i64>,
}

/// Why a line is no label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotALabel {
    /// A short name to count by.
    pub reason: &'static str,
    /// A sentence that quotes nothing of the line.
    pub detail: &'static str,
}

impl Label {
    /// Reads the members of a line.
    ///
    /// # Errors
    /// When one that is needed is not there or cannot be read.
    pub fn of(record: &Record<'_>) -> Result<Label, NotALabel> {
        let no = |reason, detail| NotALabel { reason, detail };
        let request_id = text(record, "request_id").filter(|id| !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX);
        let request_id = request_id.ok_or(no(
            "label_without_request_id",
            "a label needs `request_id`, a text of 1 to 512 bytes: name it with `rename` in the labels' `enrich`",
        ))?;
        let kind = match text(record, "kind").as_deref() {
            None | Some("truth") => LabelKind::Truth,
            Some("review") => LabelKind::Review,
            Some(_) => return Err(no("label_of_unknown_kind", "`kind` has to be `truth` or `review`")),
        };
        let label = match record.first("label") {
            None | Some("null") => None,
            Some(raw) => Some(class_name(raw).ok_or(no(
                "label_not_a_value",
                "`label` has to be a text, a number, `true` or `false`, or a list of one of them",
            ))?),
        };
        let decided = match text(record, "decision") {
            None => None,
            Some(word) => Some(
                decision(&word)
                    .ok_or(no("review_undecided", "`decision` has to be `upheld`, `overridden` or `escalated`"))?,
            ),
        };
        match kind {
            LabelKind::Truth if label.is_none() => return Err(no("label_missing", "a truth needs `label`")),
            LabelKind::Review if decided.is_none() => {
                return Err(no("review_undecided", "a review needs `decision`: `upheld`, `overridden` or `escalated`"));
            }
            LabelKind::Truth | LabelKind::Review => {}
        }
        let moment = |field| match record.first(field) {
            None | Some("null") => Ok(None),
            Some(raw) => moment(raw).map(Some).ok_or(no(
                "label_time_unreadable",
                "`known_at`, `opened` and `decided` have to be ISO 8601 dates or numbers since 1970",
            )),
        };
        let (opened_us, decided_us) = (moment("opened")?, moment("decided")?);
        Ok(Label {
            request_id,
            batch_index: batch_index(record),
            kind,
            label: label.map(Cow::into_owned),
            known_us: moment("known_at")?.or(decided_us.filter(|_| kind == LabelKind::Review)),
            by: name(record, if kind == LabelKind::Review { "reviewer" } else { "by" }).or_else(|| name(record, "by")),
            decision: decided,
            opened_us,
            decided_us,
        })
    }
}

/// Which row of a batch a record is.
pub fn batch_index(record: &Record<'_>) -> Option<i64> {
    record.first("batch.index")?.parse().ok()
}

/// How a class is known, of raw JSON: a text as it is, a number as the double that it is is written, so that `1`, `1.0` and
/// `"1"` are one class; the digest of what is longer than [`CLASS_BYTES_MAX`]. A list of one is that one. `None` for
/// everything else.
pub fn class_name(raw: &str) -> Option<Cow<'_, str>> {
    if raw.starts_with('[') {
        let mut elements = json::elements(raw);
        let only = elements.next().filter(|_| elements.next().is_none())?;
        return class_name(only.as_raw_str()).map(|name| Cow::Owned(name.into_owned()));
    }
    let name = match json::value(raw) {
        Value::String(text) => text,
        Value::Number(_) | Value::Boolean(_) => Cow::Borrowed(raw),
        Value::Null | Value::Object => return None,
    };
    if name.len() > CLASS_BYTES_MAX {
        return Some(Cow::Owned(format!("sha256:{}", sha256_hexadecimal(name.as_bytes()))));
    }
    Some(if is_plain(&name) { name } else { number_name(name) })
}

/// Whether a text is no number that could be written otherwise: a whole number, or something that begins with a letter.
fn is_plain(name: &str) -> bool {
    let digits = name.strip_prefix('-').unwrap_or(name);
    let is_whole = digits == "0" && digits == name
        || (!digits.is_empty()
            && digits.len() <= 15
            && !digits.starts_with('0')
            && digits.bytes().all(|byte| byte.is_ascii_digit()));
    is_whole || name.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

fn number_name(name: Cow<'_, str>) -> Cow<'_, str> {
    match name.parse::<f64>() {
        Ok(0.0) => Cow::Borrowed("0"),
        Ok(number) if number.is_finite() => Cow::Owned(number.to_string()),
        _ => name,
    }
}

fn text(record: &Record<'_>, field: &str) -> Option<String> {
    let raw = record.first(field)?;
    match json::value(raw) {
        Value::String(text) => Some(text.into_owned()),
        Value::Number(_) if !raw.starts_with('[') => Some(raw.to_owned()),
        _ => None,
    }
}

/// A name for people, cut where it is long.
fn name(record: &Record<'_>, field: &str) -> Option<String> {
    let mut name = text(record, field).filter(|name| !name.is_empty())?;
    name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
    Some(name)
}

/// A moment of raw JSON, in microseconds since 1970 (UTC).
pub fn moment(raw: &str) -> Option<i64> {
    let text;
    let reading = match json::value(raw) {
        Value::String(value) => {
            text = value;
            Reading::Text(&text)
        }
        Value::Number(number) => Reading::Number(number),
        _ => return None,
    };
    let time = time::parse(reading, None).ok()?;
    Some(time.seconds * 1_000_000 + i64::from(time.nanoseconds) / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Space;

    fn label(line: &str) -> Result<Label, NotALabel> {
        let mut space = Space::default();
        Label::of(&Record::parse(line, &mut space).unwrap())
    }

    #[test]
    fn a_class_has_one_name_however_it_is_written() {
        for (raw, expected) in [
            ("\"fraud\"", Some("fraud")),
            ("1", Some("1")),
            ("1.0", Some("1")),
            ("\"1.0\"", Some("1")),
            ("\"1e0\"", Some("1")),
            ("-0", Some("0")),
            ("\"0.50\"", Some("0.5")),
            ("\"007\"", Some("7")),
            ("\"nan\"", Some("nan")),
            ("\"\"", Some("")),
            ("true", Some("true")),
            ("[\"a\"]", Some("a")),
            ("[1.0]", Some("1")),
            ("[\"a\",\"b\"]", None),
            ("[]", None),
            ("null", None),
            ("{}", None),
        ] {
            assert_eq!(class_name(raw).as_deref(), expected, "{raw}");
        }
        let long = format!("\"{}\"", "x".repeat(257));
        assert!(class_name(&long).unwrap().starts_with("sha256:"));
    }

    #[test]
    fn what_a_line_says_is_read_and_what_is_missing_is_named() {
        for (line, expected) in [
            (r#"{"request_id":"a","label":1}"#, "truth 1 None"),
            (
                r#"{"request_id":7,"label":["x"],"batch.index":2,"known_at":"2026-11-23T10:00:00Z"}"#,
                "truth x Some(1795428000000000)",
            ),
            (r#"{"request_id":"a","kind":"review","decision":"upheld","reviewer":"ann"}"#, "review ann None"),
            (
                r#"{"request_id":"a","kind":"review","decision":"escalated","decided":1795428000,"by":"b"}"#,
                "review b Some(1795428000000000)",
            ),
            (r#"{"label":1}"#, "label_without_request_id"),
            (r#"{"request_id":"","label":1}"#, "label_without_request_id"),
            (r#"{"request_id":["a"],"label":1}"#, "label_without_request_id"),
            (r#"{"request_id":"a"}"#, "label_missing"),
            (r#"{"request_id":"a","label":null}"#, "label_missing"),
            (r#"{"request_id":"a","label":{"x":1}}"#, "label_not_a_value"),
            (r#"{"request_id":"a","label":1,"kind":"guess"}"#, "label_of_unknown_kind"),
            (r#"{"request_id":"a","kind":"review"}"#, "review_undecided"),
            (r#"{"request_id":"a","kind":"review","decision":"maybe"}"#, "review_undecided"),
            (r#"{"request_id":"a","label":1,"known_at":"yesterday"}"#, "label_time_unreadable"),
        ] {
            let said = match label(line) {
                Ok(label) => {
                    let what = label.label.or(label.by).unwrap_or_default();
                    format!("{} {what} {:?}", label.kind.as_str(), label.known_us)
                }
                Err(problem) => problem.reason.to_owned(),
            };
            assert_eq!(said, expected, "{line}");
        }
    }
}
