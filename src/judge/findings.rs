//! Findings: what is odd about what a pipeline makes of a log, and what could be added to the file?
//!
//! Made of counts alone ([`Sample`]): no value of a record is in them. What is suggested is YAML for the list `enrich`.

use std::fmt::Write as _;

use super::enrichment;
use super::idle::InText;
use super::sample::Sample;
use super::suggestions::{Suggestions, suggest};
use crate::config::model::{Pipeline, RawLine};
use crate::text::harmless::harmless;
use crate::text::units::format_bytes;

/// Something that somebody should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about, in a word.
    pub kind: &'static str,
    /// How many records or lines it is about.
    pub count: u64,
    /// What there is to know.
    pub words: String,
}

/// What is odd about a sample.
pub fn findings(pipeline: &Pipeline, sample: &Sample) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut find = |kind, count, words: String| {
        if count > 0 {
            found.push(Finding { kind, count, words });
        }
    };
    let confidence = &sample.confidence;
    find(
        "confidence_above_one",
        confidence.above_one,
        "have a confidence above 1: a percentage? `roles: { confidence: { from: confidence, scale: percent } }`"
            .to_owned(),
    );
    find(
        "confidence_unreadable",
        confidence.unreadable,
        "have a confidence that is no number from 0 on: it is not counted, and an index refuses a text there"
            .to_owned(),
    );
    // Of many classes the predicted one may well have less than a half.
    let below_half = if confidence.is_of_two_classes() { confidence.below_half } else { 0 };
    find(
        "confidence_below_half",
        below_half,
        "have a confidence below 0.5 where at most two classes are predicted: the score of one class? `roles: { confidence: \
         { from: confidence, of: positive, positive: CLASS } }`"
            .to_owned(),
    );
    let in_texts = sample.idle_in_texts();
    if let Some(InText { field, text }) = in_texts.first() {
        let (field, text) = (harmless(field), harmless(text));
        let words = format!(
            "of the fields that are hidden stand inside of a text, where no rule finds them: `{field}` in `{text}`; `decode: \
             [json, {{ expand: {{ field: {text}, as: json }} }}]` makes members of it, which are then called `{text}.…`"
        );
        find("hidden_inside_text", in_texts.len() as u64, words);
    }
    let (count, bytes) = sample.undecoded;
    let is_kept = match pipeline.dead_letter.raw {
        RawLine::Keep => true,
        RawLine::Omit => false,
        RawLine::UnlessHidden => !enrichment::hides(pipeline),
    };
    find(
        "dead_letter_in_clear",
        if is_kept { count } else { 0 },
        format!(
            "would lie in the dead letter in clear ({}), but for patterns of secrets; `dead_letter: {{ raw: omit }}` keeps \
             only where they are",
            format_bytes(bytes)
        ),
    );
    for (hidden, place, count) in sample.copies.found() {
        find(
            "second_copy",
            count,
            format!(
                "have what a rule hides at `{hidden}` a second time, in `{place}`: hide that too, or `remove` it; \
                 `redact: {{ patterns: … }}` finds what has a shape"
            ),
        );
    }
    found
}

/// What could be added to the list `enrich`, as YAML; empty when there is nothing.
pub fn suggested(sample: &Sample) -> String {
    let Suggestions { time, roles, hidden } = suggest(&sample.shape);
    let mut text = String::new();
    let is_missing = |role: &str| sample.heart.get(role) == Some(&0);
    let missing = roles.iter().filter(|found| is_missing(found.role) && !sample.hides(&found.path));
    for (position, (found, yaml)) in missing.filter_map(|found| Some((found, found.yaml.as_ref()?))).enumerate() {
        let head = if position == 0 { "- roles:\n" } else { "" };
        let doubt = found.doubt.map(|doubt| format!("   # {doubt}")).unwrap_or_default();
        let _ = writeln!(text, "{head}    {}: {yaml}{doubt}", found.role);
    }
    // A time that is noted as missing in most records, and the log has one.
    let without_time = sample.notes.get("read_time").map_or(0, |group| group.count);
    if let Some(time) = time.filter(|_| without_time * 2 > sample.documents) {
        let _ = writeln!(text, "- timestamp: {{ from: [{}] }}", super::suggestions::quoted(&time.path));
    }
    let unhidden: Vec<_> = hidden.iter().filter(|found| !sample.hides(&found.path)).collect();
    if !unhidden.is_empty() {
        let _ = writeln!(text, "- redact:\n    fields:");
    }
    for found in unhidden {
        let _ = writeln!(text, "      - {}   # {}", super::suggestions::quoted(&found.path), found.why);
    }
    text
}
