//! `contract`: what a model's records promise: types, ranges and allowed values.
//!
//! A member that breaks its promise moves to `contract.rejected.<field>`, as a text that holds its JSON, and the record
//! ships with `contract.violations`, a list of `field:reason`. So no value of a wrong type ever meets the mapping of an
//! index. Each is counted in `inferlog_enrich_contract_violations_total`, by field, reason and model version.
//!
//! | reason | |
//! | --- | --- |
//! | `missing` | a `required` member is not there, or `null` |
//! | `not_text`, `not_number`, `not_integer`, `not_boolean`, `not_object`, `not_list` | it has another type |
//! | `too_long` | a text of more than `length_max` characters |
//! | `below_min`, `above_max` | a number outside the range |
//! | `not_allowed` | it is none of `values` |
//!
//! A member that is not there keeps its promise, unless it is `required`; `null` is as good as not there. Put `contract`
//! behind `roles`, `timestamp` and `hash`, and before `redact`, which changes types. What any rule of the pipeline hides
//! is kept under `contract.rejected` as `[redacted]` and nothing else. Where the log has a single value named `contract`
//! there is no room for marks: the record ships as it came, noted as `contract_not_marked`, and is counted.
//!
//! ```yaml
//! - contract:
//!     fields:
//!       model_name: { type: text, required: true }
//!       confidence: { type: number, min: 0, max: 1 }
//!       latency_ms: { type: number, min: 0 }
//!       status: { type: keyword, values: [success, error] }
//!       features: object
//! ```
//!
//! - `fields`: map of paths to what is promised, required. That is a type, or a map of: `type`: `keyword` (a text of at
//!   most 8,191 characters, which an index finds by its content), `text`, `number` (finite), `integer` (`3.0` is one),
//!   `boolean`, `object` or `list`, default any; `required`: `true` or `false`, default `false`; `min`, `max`: numbers,
//!   both allowed themselves, for numbers; `length_max`: 1 to 1,000,000 characters, for texts; `values`: list of single
//!   values, the only ones allowed.
//! - `when`: condition: on which records, such as those of one model.

use super::processor::{Processor, Run};
use super::redact::REDACTED;
use crate::flow::reject::Reject;
use crate::record::{Path, Record, Room, json};

/// The longest text that an index finds by its content, in characters.
pub const KEYWORD_CHARACTERS_MAX: usize = 8_191;

const MODEL_VERSION: &str = "model_version";
const VIOLATIONS: &str = "contract.violations";
const REJECTED: &str = "contract.rejected";

/// A note for `inferlog.notes`.
const NOT_MARKED: &str = "contract_not_marked";

/// What the members of a record promise.
#[derive(Clone, Debug)]
pub struct Contract {
    clauses: Vec<Clause>,
}

/// What one field promises.
#[derive(Clone, Debug)]
struct Clause {
    field: Path,
    /// Where it goes when it breaks its promise.
    rejected: Path,
    promise: Promise,
    /// Some rule hides it, or a part of it.
    is_hidden: bool,
}

/// What a value has to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Promise {
    /// Its type.
    pub kind: Option<PromisedType>,
    /// It has to be there.
    pub is_required: bool,
    /// The least and the greatest number.
    pub range: (Option<f64>, Option<f64>),
    /// The most characters of a text.
    pub length_max: Option<usize>,
    /// The only values, as JSON; empty where all are allowed.
    pub values: Vec<String>,
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromisedType {
    /// A text of any length, or of one that is bounded.
    Text,
    /// A finite number.
    Number,
    /// A number without a fraction.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// An object.
    Object,
    /// An array.
    List,
}

impl Contract {
    /// Puts the promises together: those of an object before those of what is inside.
    ///
    /// # Errors
    /// Says which field has no place to go.
    pub fn new(mut promises: Vec<(Path, Promise)>) -> Result<Contract, String> {
        promises.sort_by(|(one, _), (other, _)| one.cmp(other));
        let clause = |(field, promise): (Path, Promise)| {
            let rejected = Path::new(&format!("{REJECTED}.{}", field.as_str()))?;
            Ok(Clause { field, rejected, promise, is_hidden: false })
        };
        Ok(Contract { clauses: promises.into_iter().map(clause).collect::<Result<_, String>>()? })
    }

    /// Takes note of what rules of the pipeline hide: no copy of it may stay.
    pub(super) fn prepare(&mut self, hides: impl Fn(&str) -> bool) {
        for clause in &mut self.clauses {
            clause.is_hidden = hides(clause.field.as_str());
        }
    }

    /// The fields that promise something.
    pub fn fields(&self) -> impl Iterator<Item = &Path> {
        self.clauses.iter().map(|clause| &clause.field)
    }
}

impl Processor for Contract {
    fn name(&self) -> &'static str {
        "contract"
    }

    fn adds(&self) -> Vec<Path> {
        let rejected = self.clauses.iter().map(|clause| clause.rejected.clone());
        std::iter::once(Path::known(VIOLATIONS)).chain(rejected).collect()
    }

    fn apply(&self, record: &mut Record<'_>, run: &mut Run<'_>) -> Result<(), Reject> {
        // All are looked at before the first is moved: a part of an object that moves was there.
        let broken = |clause: &'_ _| clause_fault(clause, record);
        let faults: Vec<(&Clause, &'static str)> =
            self.clauses.iter().filter_map(|clause| Some((clause, broken(clause)?))).collect();
        if faults.is_empty() {
            return Ok(());
        }
        let version = record.whole(MODEL_VERSION).map_or_else(String::new, |raw| json::text(&raw).into_owned());
        for (clause, reason) in &faults {
            run.counters.contract_violation(clause.field.as_str(), reason, &version).inc();
        }
        if record.room(VIOLATIONS) == Room::Blocked || record.room(REJECTED) == Room::Blocked {
            run.context.note(NOT_MARKED);
            return Ok(());
        }
        for (clause, _) in &faults {
            clause.move_away(record)?;
        }
        mark(record, &faults)
    }
}

fn clause_fault(clause: &Clause, record: &Record<'_>) -> Option<&'static str> {
    match record.whole(clause.field.as_str()) {
        Some(raw) if raw != "null" => clause.promise.fault(&raw),
        _ => clause.promise.is_required.then_some("missing"),
    }
}

/// Lists what was broken, behind what an earlier `contract` has listed.
fn mark(record: &mut Record<'_>, faults: &[(&Clause, &'static str)]) -> Result<(), Reject> {
    let before = record.whole(VIOLATIONS).filter(|raw| raw.starts_with("[\"")).map(|raw| raw.into_owned());
    let mut list = before.and_then(|raw| Some(raw.strip_suffix(']')?.to_owned() + ",")).unwrap_or("[".to_owned());
    for (position, (clause, reason)) in faults.iter().enumerate() {
        list.push_str(if position > 0 { "," } else { "" });
        json::write_string(&format!("{}:{reason}", clause.field), &mut list);
    }
    list.push(']');
    record.set(&Path::known(VIOLATIONS), &list).map(|_| ())
}

impl Clause {
    /// Moves the field to where it does no harm, as a text.
    fn move_away(&self, record: &mut Record<'_>) -> Result<(), Reject> {
        // It may have moved with what it is a part of.
        let Some(raw) = record.whole(self.field.as_str()).filter(|raw| raw != "null") else { return Ok(()) };
        let mut text = String::new();
        match self.is_hidden {
            true => text.push_str(REDACTED),
            false => json::write_string(&raw, &mut text),
        }
        record.remove(&self.field)?;
        record.set(&self.rejected, &text).map(|_| ())
    }
}

impl Promise {
    /// What is wrong with a value, given as JSON.
    pub fn fault(&self, raw: &str) -> Option<&'static str> {
        let number = json_number(raw);
        let of_type = self.kind.and_then(|kind| kind.fault(raw, number));
        let is_allowed = || self.values.is_empty() || self.values.iter().any(|value| is_same(value, raw));
        of_type
            .or_else(|| self.length_max.filter(|max| is_longer(raw, *max)).map(|_| "too_long"))
            .or_else(|| self.range.0.zip(number).filter(|(min, number)| number < min).map(|_| "below_min"))
            .or_else(|| self.range.1.zip(number).filter(|(max, number)| number > max).map(|_| "above_max"))
            .or_else(|| (!is_allowed()).then_some("not_allowed"))
    }
}

impl PromisedType {
    fn fault(self, raw: &str, number: Option<f64>) -> Option<&'static str> {
        let begins_with = |character: char| raw.starts_with(character);
        let (is_kept, reason) = match self {
            PromisedType::Text => (begins_with('"'), "not_text"),
            PromisedType::Number => (number.is_some_and(f64::is_finite), "not_number"),
            PromisedType::Integer => (number.is_some_and(|number| number.fract() == 0.0), "not_integer"),
            PromisedType::Boolean => (matches!(raw, "true" | "false"), "not_boolean"),
            PromisedType::Object => (begins_with('{'), "not_object"),
            PromisedType::List => (begins_with('['), "not_list"),
        };
        (!is_kept).then_some(reason)
    }
}

/// The value of a JSON number; infinite beyond the range of doubles.
fn json_number(raw: &str) -> Option<f64> {
    raw.starts_with(|c: char| c == '-' || c.is_ascii_digit()).then(|| raw.parse().ok())?
}

fn is_longer(raw: &str, max: usize) -> bool {
    raw.starts_with('"') && raw.len() > max && json::unescape(raw).chars().nth(max).is_some()
}

/// Whether two values are the same: numbers by their values, texts by what they say.
fn is_same(one: &str, other: &str) -> bool {
    match (json_number(one), json_number(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one.starts_with('"') == other.starts_with('"') && json::text(one) == json::text(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_value() {
        let of = |kind| Promise { kind: Some(kind), ..Promise::default() };
        let (number, text) = (of(PromisedType::Number), of(PromisedType::Text));
        let ratio = Promise { range: (Some(0.0), Some(1.0)), ..number.clone() };
        let values =
            Promise { values: vec!["\"ok\"".to_owned(), "2".to_owned(), "true".to_owned()], ..Promise::default() };
        let short = Promise { length_max: Some(2), ..text.clone() };
        for (promise, raw, expected) in [
            (&number, "0.5", None),
            (&number, "-1E+2", None),
            (&number, "1e999", Some("not_number")),
            (&number, "\"0.5\"", Some("not_number")),
            (&of(PromisedType::Integer), "3.0", None),
            (&of(PromisedType::Integer), "3.5", Some("not_integer")),
            (&of(PromisedType::Integer), "1e999", Some("not_integer")),
            (&of(PromisedType::Boolean), "false", None),
            (&of(PromisedType::Boolean), "\"false\"", Some("not_boolean")),
            (&of(PromisedType::Object), "[{}]", Some("not_object")),
            (&of(PromisedType::List), "[{}]", None),
            (&of(PromisedType::List), "{}", Some("not_list")),
            (&text, "\"\"", None),
            (&text, "[\"a\"]", Some("not_text")),
            (&ratio, "0", None),
            (&ratio, "1.0", None),
            (&ratio, "-0.0001", Some("below_min")),
            (&ratio, "1.0001", Some("above_max")),
            (&values, "\"\\u006fk\"", None),
            (&values, "2.0", None),
            (&values, "true", None),
            (&values, "\"true\"", Some("not_allowed")),
            (&values, "\"2\"", Some("not_allowed")),
            (&values, "{}", Some("not_allowed")),
            (&short, "\"ää\"", None),
            (&short, "\"äää\"", Some("too_long")),
            (&short, "\"\\u00e4\\u00e4\"", None),
        ] {
            assert_eq!(promise.fault(raw), expected, "{raw}");
        }
    }
}
