//! Inferences: which condition would count records that look like inferences and are not counted?
//!
//! Most logs tell their records apart by `event`, so a condition on it is what people would write. Where a record that is
//! no inference has the same event, or events are many or no plain words, the heart field itself is asked for.

use std::collections::{BTreeMap, BTreeSet};

use crate::kql::Expression;
use crate::observe::model_metrics::heart_field;
use crate::record::{Record, Space};

/// A condition names at most this many events.
const EVENTS_NAMED_MAX: usize = 5;

/// Of so many events it is remembered what has them.
const EVENTS_MAX: usize = 100;

const EVENT_BYTES_MAX: usize = 64;

/// What observers with one condition count of a log.
#[derive(Clone, Debug)]
pub struct CountedInferences {
    /// The observers; the first is the one whose option the condition is.
    pub observers: Vec<&'static str>,
    today: Expression,
    /// How many records they count.
    pub count: u64,
    uncounted: Uncounted,
}

impl CountedInferences {
    /// Nothing counted yet.
    pub fn new(observers: Vec<&'static str>, today: Expression) -> CountedInferences {
        CountedInferences { observers, today, count: 0, uncounted: Uncounted::default() }
    }

    /// Takes note of a record, and says whether it looks like an inference and is not counted.
    pub fn take(&mut self, record: &Record<'_>, is_inference: bool) -> bool {
        self.count += u64::from(is_inference);
        !is_inference && self.uncounted.take(record)
    }

    /// The option that would count the records that are passed over, beside those that are counted.
    pub fn suggestion(&self) -> Option<String> {
        let condition = self.uncounted.condition()?;
        let condition = if self.count > 0 { format!("{} or {condition}", self.today.text()) } else { condition };
        Some(format!("{}: {{ {} }}", self.observers[0], option(&condition)))
    }

    /// The observers, in words.
    pub fn by(&self) -> String {
        by(&self.observers)
    }
}

/// Observers in words.
pub fn by(observers: &[&str]) -> String {
    let names: Vec<String> = observers.iter().map(|name| format!("`{name}`")).collect();
    names.join(" and ")
}

/// Records that are not counted.
#[derive(Clone, Debug, Default)]
struct Uncounted {
    /// Events, and which records have them.
    events: BTreeMap<String, Seen>,
    /// A record that looks like an inference has no event that can be written in a condition.
    is_nameless: bool,
    /// The heart fields by which all that look like inferences are met.
    fields: BTreeSet<&'static str>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    inferences: bool,
    others: bool,
}

impl Uncounted {
    /// Takes note of a record, and says whether it looks like an inference.
    fn take(&mut self, record: &Record<'_>) -> bool {
        let heart_field = heart_field(record);
        let looks = heart_field.is_some();
        let event = record.first("event").and_then(|raw| serde_json::from_str::<String>(raw).ok());
        let event = event.filter(|event| is_plain(event));
        match event.filter(|event| self.events.len() < EVENTS_MAX || self.events.contains_key(event)) {
            Some(event) => {
                let seen = self.events.entry(event).or_default();
                seen.inferences |= looks;
                seen.others |= !looks;
            }
            None => self.is_nameless |= looks,
        }
        self.fields.extend(heart_field);
        looks
    }

    /// A condition in KQL that all of them meet that look like inferences; `None` when none does.
    fn condition(&self) -> Option<String> {
        let events: Vec<&String> =
            self.events.iter().filter(|(_, seen)| seen.inferences).map(|(event, _)| event).collect();
        let is_shared = self.events.values().any(|seen| seen.inferences && seen.others);
        if self.is_nameless || is_shared || events.len() > EVENTS_NAMED_MAX {
            let fields: Vec<String> = self.fields.iter().map(|field| format!("{field} : *")).collect();
            return Some(fields.join(" or "));
        }
        match events.as_slice() {
            [] => None,
            [event] => Some(format!("event : {}", literal(event))),
            events => {
                let words: Vec<String> = events.iter().map(|event| literal(event)).collect();
                Some(format!("event : ({})", words.join(" or ")))
            }
        }
    }
}

/// The condition that would count one document which an observer does not count; `None` when it is no inference.
pub fn condition_for(document: &str) -> Option<String> {
    let mut space = Space::default();
    let mut uncounted = Uncounted::default();
    uncounted.take(&Record::parse(document, &mut space).ok()?);
    uncounted.condition()
}

/// The option as it stands in a pipeline file.
pub fn option(condition: &str) -> String {
    format!("inferences: '{}'", condition.replace('\'', "''"))
}

/// Whether an event can be written in a condition as it is, and be shown.
fn is_plain(event: &str) -> bool {
    let is_fit = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '_' | '-' | '.' | ':' | '/');
    !event.trim().is_empty() && event.len() <= EVENT_BYTES_MAX && event.chars().all(is_fit)
}

/// A text as KQL has it.
fn literal(text: &str) -> String {
    let is_word = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_operator = ["and", "or", "not", "true", "false", "null"].iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_word && !is_operator { text.to_owned() } else { format!("\"{text}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_condition_meets_what_looks_like_an_inference() {
        for (lines, expected) in [
            (vec![r#"{"event":"startup"}"#], None),
            (vec![r#"{"event":"prediction served","prediction":"a"}"#], Some(r#"event : "prediction served""#)),
            (vec![r#"{"event":"served","confidence":0.3}"#, r#"{"event":"startup"}"#], Some("event : served")),
            (
                vec![r#"{"event":"a","latency_ms":1}"#, r#"{"event":"or","latency_ms":2,"prediction":3}"#],
                Some(r#"event : (a or "or")"#),
            ),
            // Two lines a request under one event: only one of them is the inference.
            (
                vec![r#"{"event":"http","path":"/p"}"#, r#"{"event":"http","latency_ms":1,"prediction":null}"#],
                Some("latency_ms : *"),
            ),
            (
                vec![r#"{"event":"say \"x\"","confidence":0.3}"#, r#"{"event":"b","prediction":"x"}"#],
                Some("confidence : * or prediction : *"),
            ),
            (vec![r#"{"event":7,"prediction":"x"}"#, r#"{"event":{"a":1}}"#], Some("prediction : *")),
            ((1..=6).map(|_| r#"{"event":"n","prediction":"x"}"#).collect(), Some("event : n")),
        ] {
            check(&lines, expected);
        }
        let many: Vec<String> = (0..200).map(|n| format!(r#"{{"event":"e{n}","prediction":"x"}}"#)).collect();
        check(&many.iter().map(String::as_str).collect::<Vec<_>>(), Some("prediction : *"));
    }

    fn check(lines: &[&str], expected: Option<&str>) {
        let (mut uncounted, mut inferences) = (Uncounted::default(), Vec::new());
        for line in lines {
            let mut space = Space::default();
            let looks = uncounted.take(&Record::parse(line, &mut space).unwrap());
            inferences.extend(looks.then_some(*line));
        }
        let condition = uncounted.condition();
        assert_eq!(condition.as_deref(), expected, "{lines:?}");
        for line in inferences {
            let mut space = Space::default();
            let condition = Expression::parse_condition(condition.as_deref().unwrap()).unwrap();
            assert!(condition.matches(&Record::parse(line, &mut space).unwrap()), "{line}");
        }
    }
}
