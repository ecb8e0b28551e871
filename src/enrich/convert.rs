//! `convert`: values of another type.
//!
//! Changes the type of the single values at a path and below it, inside of arrays too, in their places; `copy` first
//! keeps the original. What cannot be converted stays as it is, noted in `inferlog.notes` as `not_mapped` and counted
//! in `inferlog_enrich_unmapped_values_total`; the record ships. `null` stays `null`.
//!
//! ```yaml
//! - convert: { fields: { port: integer, features: number, cached: boolean, account: text } }
//! ```
//!
//! - `fields`: map of paths to `text`, `number`, `integer` or `boolean`, required. `number` reads what `confidence` and
//!   `latency_ms` may be written as: `"0.87"`, `"87%"` (0.87), `"np.float32(0.87)"`. `integer` also takes `12.0`, as
//!   12, and no fraction. `boolean` reads `true`, `yes`, `on` and `1`, `false`, `no`, `off` and `0`, in any case.
//!   `text` puts numbers and booleans into quotes, digit by digit.
//! - `when`: condition: on which records.

use super::processor::{Processor, Run};
use crate::flow::reject::Reject;
use crate::record::{Path, Record, json};
use crate::text::exact::Exact;
use crate::text::number_text::number;

/// Changes the type of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Convert {
    /// Each path with the type of its values.
    pub fields: Vec<(Path, ValueType)>,
}

/// What a value becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// A text.
    Text,
    /// A number.
    Number,
    /// A number without a fraction.
    Integer,
    /// `true` or `false`.
    Boolean,
}

const TRUE: [&str; 4] = ["true", "yes", "on", "1"];
const FALSE: [&str; 4] = ["false", "no", "off", "0"];

impl Processor for Convert {
    fn name(&self) -> &'static str {
        "convert"
    }

    fn apply(&self, record: &mut Record<'_>, run: &mut Run<'_>) -> Result<(), Reject> {
        for (field, kind) in &self.fields {
            run.rewrite(record, field, |raw| kind.of(raw));
        }
        Ok(())
    }
}

impl ValueType {
    /// A single value as one of this type, both as JSON; `None` when it is none.
    fn of(self, raw: &str) -> Option<String> {
        let is_text = raw.starts_with('"');
        let is_number = raw.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        let text = if is_text { json::unescape(raw) } else { raw.into() };
        match self {
            ValueType::Text if is_text => Some(raw.to_owned()),
            ValueType::Text => Some(format!("\"{raw}\"")),
            ValueType::Number if is_number => Some(raw.to_owned()),
            ValueType::Number => number(&text).map(|(number, _)| number.to_string()),
            ValueType::Integer if is_number => Exact::read(raw).filter(|it| it.is_whole()).map(|it| it.to_string()),
            ValueType::Integer => number(&text).filter(|(number, _)| number.is_whole()).map(|(it, _)| it.to_string()),
            ValueType::Boolean => {
                let is_one_of = |words: &[&str]| words.iter().any(|word| text.trim().eq_ignore_ascii_case(word));
                let value = is_one_of(&TRUE).then_some("true").or_else(|| is_one_of(&FALSE).then_some("false"));
                value.map(str::to_owned)
            }
        }
    }
}
