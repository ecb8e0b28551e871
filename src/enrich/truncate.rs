//! `truncate`: texts that are not longer than so many bytes.
//!
//! Cuts the texts at a path and below it, inside of arrays too, between two characters, and puts `marker` behind what is
//! left. What is cut off is nowhere kept; the record is noted in `inferlog.notes` as `truncated`, and the texts are
//! counted in `inferlog_enrich_truncated_texts_total`. A `hash` before it is that of the whole text, one behind it that
//! of what is left.
//!
//! ```yaml
//! - hash: { fields: [prompt], into: prompt_hash }
//! - truncate: { fields: [prompt, response], bytes_max: 8KiB }
//! ```
//!
//! - `fields`: list of paths, required: the texts.
//! - `bytes_max`: size, 1B to 16MiB, required: of the text in UTF-8 that is left, without the marker.
//! - `marker`: text, default `… [truncated]`; it may be empty.
//! - `when`: condition: on which records.

use super::processor::{Processor, Run};
use crate::flow::reject::Reject;
use crate::record::{Path, Record, json};

/// A note for `inferlog.notes`.
const TRUNCATED: &str = "truncated";

/// Cuts texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truncate {
    /// Where they are.
    pub fields: Vec<Path>,
    /// How much of each is left, in bytes of UTF-8.
    pub bytes_max: usize,
    /// What stands behind what is left.
    pub marker: String,
}

impl Processor for Truncate {
    fn name(&self) -> &'static str {
        "truncate"
    }

    fn apply(&self, record: &mut Record<'_>, run: &mut Run<'_>) -> Result<(), Reject> {
        for field in &self.fields {
            let count = record.rewrite_leaves(Some(field), &mut |raw| self.cut(raw));
            if count > 0 {
                run.context.note(TRUNCATED);
                run.counters.truncated(field.as_str()).inc_by(count as u64);
            }
        }
        Ok(())
    }
}

impl Truncate {
    /// What is left of a text, both as JSON; `None` for what is short enough, or no text.
    fn cut(&self, raw: &str) -> Option<String> {
        // The raw text is never shorter than what it stands for.
        if !raw.starts_with('"') || raw.len() - 2 <= self.bytes_max {
            return None;
        }
        let text = json::unescape(raw);
        if text.len() <= self.bytes_max {
            return None;
        }
        let left = &text[..text.floor_char_boundary(self.bytes_max)];
        let mut out = String::with_capacity(left.len() + self.marker.len() + 2);
        json::write_string(&format!("{left}{}", self.marker), &mut out);
        Some(out)
    }
}
