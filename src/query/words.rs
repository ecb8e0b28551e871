//! Words: what is said beside an answer, the same on a terminal and on the page. How many rows of which source and range,
//! what was looked through where there are none, and what is probably not meant. Whether it is all is for
//! [`Completeness::words`](crate::proof::completeness::Completeness::words).

use super::absent::AbsentFields;
use super::ask::{AskError, Source};
use super::inquiry::Inquiry;
use super::range::range_text;
use crate::flow::question::Question;
use crate::kql::Expression;
use crate::text::harmless::harmless;
use crate::text::units::counted;

/// Said where rows of one time had to leave in parts.
pub const CUT_TIES: &str = "so many records have one and the same time that their order is not the same everywhere";

/// `rows` are how many of what, in words; `without_confidence`: how many records of the range have none, where that is known.
pub fn summary(rows: &str, inquiry: &Inquiry, source: &str, without_confidence: Option<u64>) -> String {
    let range = range_text(&inquiry.question);
    let without = match without_confidence {
        None => String::new(),
        Some(1) => "; 1 record there has no confidence".to_owned(),
        Some(count) => format!("; {} there have no confidence", counted(count, "record")),
    };
    let shadow = if inquiry.shadow == "left out" { "; shadow records are left out" } else { "" };
    format!("{rows} in {source}, {range}{without}{shadow}")
}

/// What was looked through where nothing was found.
///
/// # Errors
/// When the source cannot be asked.
pub async fn looked_through(source: &Source, question: &Question) -> Result<String, AskError> {
    let all = |from_ms, until_ms| Question { condition: Expression::all(), from_ms, until_ms, ..question.clone() };
    let ever = source.count(&all(None, None)).await?;
    if (question.from_ms, question.until_ms) == (None, None) {
        return Ok(format!("looked through {}", counted(ever, "record")));
    }
    let in_range = source.count(&all(question.from_ms, question.until_ms)).await?;
    Ok(format!("looked through {} in this range, of {ever} at any time", counted(in_range, "record")))
}

/// What can never match, and fields that no record has, a line each.
///
/// # Errors
/// When the source cannot be asked.
pub async fn doubts(source: &Source, inquiry: &Inquiry) -> Result<Vec<String>, AskError> {
    let mut words: Vec<String> = inquiry.doubts.iter().map(|doubt| format!("note: {}", harmless(doubt))).collect();
    let Question { stream, from_ms, until_ms, .. } = inquiry.question;
    let absent = AbsentFields::of(source, stream, &inquiry.fields, from_ms, until_ms).await?;
    for name in &absent.names {
        let records = match absent.looked_at {
            Some(count) => format!("none of the newest {}", counted(count, "record")),
            None => "no record".to_owned(),
        };
        let near = absent.near(name).map(|near| format!(": did you mean `{near}`?")).unwrap_or_default();
        words.push(format!("note: {records} in this range has a field `{}`{}", harmless(name), harmless(&near)));
    }
    Ok(words)
}
