//! Shape: which members do the records of a log have, and what do their values look like?
//!
//! For people who have a log and no pipeline file for it yet, and for `check --sample`, which says what a file could map.
//! Nothing that a record says is kept: names, counts, the least and the largest number, and digests of a few values, to
//! tell a member of two classes from one of ten thousand.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::Value;

use crate::record::{Path, Record};
use crate::text::number_text::{self, NumberKind};
use crate::text::pattern_redaction;
use crate::text::time::{self, Doubt, Reading};

/// So many members are told apart; of further ones only the number is known.
const MEMBERS_MAX: usize = 2_000;

/// Members of members are looked at to this depth.
const DEPTH_MAX: usize = 8;

/// So many elements of an array are looked at.
const ELEMENTS_MAX: usize = 4;

/// So many values of a member are told apart.
pub const DISTINCT_MAX: usize = 64;

/// A text with at least so many spaces is what somebody wrote.
const SPACES_OF_A_SENTENCE: usize = 3;

/// The members of many records.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// How many records were looked at.
    pub records: u64,
    /// Members that are not told apart, because there were too many.
    pub left_out: u64,
    /// By their paths, elements of arrays by their places: `outputs[0].data`.
    pub members: BTreeMap<String, Member>,
}

/// What the values of one member look like: in how many records it is what.
#[derive(Clone, Debug, Default)]
pub struct Member {
    /// Neither `null` nor an empty text.
    pub count: u64,
    /// A text.
    pub texts: u64,
    /// A number.
    pub numbers: u64,
    /// A number without a fraction.
    pub integers: u64,
    /// An object.
    pub objects: u64,
    /// An array.
    pub arrays: u64,
    /// The least number.
    pub least: f64,
    /// The largest number.
    pub largest: f64,
    /// A time that can be read.
    pub times: u64,
    /// A time that can be read and names no zone.
    pub times_without_zone: u64,
    /// A text that is a number.
    pub number_texts: u64,
    /// A text that is a percentage.
    pub percent_texts: u64,
    /// A text that is a duration with its unit.
    pub duration_texts: u64,
    /// A text in which a pattern of secrets or personal data is found.
    pub personal: u64,
    /// A text of several words.
    pub sentences: u64,
    /// Numbers between 0 and 1 by name or place that add up to 1, or objects with a `label` and a `score`.
    pub probabilities: u64,
    /// Digests of the values, at most [`DISTINCT_MAX`] of them.
    pub distinct: BTreeSet<u64>,
}

impl Shape {
    /// Looks at a record.
    pub fn take(&mut self, record: &Record<'_>) {
        self.records += 1;
        for (name, raw) in record.name_values().filter(|(name, _)| is_plain(name)) {
            if let Ok(value) = serde_json::from_str(raw) {
                self.value(name, &value, 0);
            }
        }
    }

    fn value(&mut self, path: &str, value: &Value, depth: usize) {
        if value.is_null() || value == "" || depth > DEPTH_MAX {
            return;
        }
        if !self.members.contains_key(path) && self.members.len() >= MEMBERS_MAX {
            self.left_out += 1;
            return;
        }
        let member = self.members.entry(path.to_owned()).or_default();
        member.take(value);
        let are_probabilities = member.probabilities > 0;
        match value {
            Value::Object(members) if !are_probabilities => {
                let plain = members.iter().filter(|(name, _)| is_plain(name));
                plain.for_each(|(name, value)| self.value(&format!("{path}.{name}"), value, depth + 1));
            }
            Value::Array(elements) if !are_probabilities => {
                for (place, element) in elements.iter().take(ELEMENTS_MAX).enumerate() {
                    self.value(&format!("{path}[{place}]"), element, depth + 1);
                }
            }
            _ => {}
        }
    }
}

impl Member {
    fn take(&mut self, value: &Value) {
        self.count += 1;
        self.probabilities += u64::from(are_probabilities(value));
        match value {
            Value::Number(number) => self.number(&number.to_string()),
            Value::String(text) => self.text(text),
            Value::Object(_) => self.objects += 1,
            Value::Array(_) => self.arrays += 1,
            Value::Null | Value::Bool(_) => {}
        }
        if self.distinct.len() < DISTINCT_MAX {
            let mut hasher = DefaultHasher::new();
            value.to_string().hash(&mut hasher);
            self.distinct.insert(hasher.finish());
        }
    }

    fn number(&mut self, number: &str) {
        let value: f64 = number.parse().unwrap_or_default();
        let is_first = self.numbers == 0;
        self.least = if is_first { value } else { self.least.min(value) };
        self.largest = if is_first { value } else { self.largest.max(value) };
        self.numbers += 1;
        self.integers += u64::from(value.fract() == 0.0);
        self.times += u64::from(time::parse(Reading::Number(number), None).is_ok());
    }

    fn text(&mut self, text: &str) {
        self.texts += 1;
        match number_text::number(text) {
            Some((_, NumberKind::Percent)) => self.percent_texts += 1,
            Some(_) => self.number_texts += 1,
            None => self.duration_texts += u64::from(number_text::duration_ms(text).is_some()),
        }
        if let Ok(time) = time::parse(Reading::Text(text), None) {
            self.times += 1;
            self.times_without_zone += u64::from(time.doubt == Some(Doubt::AssumedUtc));
        } else {
            self.personal +=
                u64::from(matches!(pattern_redaction::redact(text.as_bytes()), std::borrow::Cow::Owned(_)));
        }
        self.sentences += u64::from(text.matches(' ').count() >= SPACES_OF_A_SENTENCE);
    }
}

/// A path without the places of elements: a rule means all of them.
pub fn without_places(path: &str) -> String {
    let mut plain = String::new();
    let mut rest = path;
    while let Some((before, behind)) = rest.split_once('[') {
        match behind.split_once(']') {
            Some((place, after)) if !place.is_empty() && place.bytes().all(|byte| byte.is_ascii_digit()) => {
                plain.push_str(before);
                rest = after;
            }
            _ => {
                plain.push_str(before);
                plain.push('[');
                rest = behind;
            }
        }
    }
    plain + rest
}

/// A name that a pipeline file can take as it is: not one that would have to be written with marks, or cannot be named.
fn is_plain(name: &str) -> bool {
    Path::new(name).is_ok() && !name.contains(['[', ']', '*', '\\', '$', '/'])
}

fn are_probabilities(value: &Value) -> bool {
    let sum = |numbers: &[f64]| {
        let all_between = numbers.iter().all(|number| (0.0..=1.0).contains(number));
        numbers.len() > 1 && all_between && (numbers.iter().sum::<f64>() - 1.0).abs() < 0.03
    };
    let is_labelled = |element: &Value| element["label"].is_string() && element["score"].is_number();
    match value {
        Value::Object(members) => {
            let numbers: Option<Vec<f64>> = members.values().map(Value::as_f64).collect();
            numbers.is_some_and(|numbers| sum(&numbers))
        }
        Value::Array(elements) if elements.len() > 1 && elements.iter().all(is_labelled) => true,
        Value::Array(elements) => {
            let numbers: Option<Vec<f64>> = elements.iter().map(Value::as_f64).collect();
            numbers.is_some_and(|numbers| sum(&numbers))
        }
        _ => false,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::record::Space;

    /// The shape of a log.
    pub(in crate::judge) fn shape(lines: &[&str]) -> Shape {
        let mut shape = Shape::default();
        for line in lines {
            let mut space = Space::default();
            shape.take(&Record::parse(line, &mut space).unwrap());
        }
        shape
    }

    #[test]
    fn members_are_counted_by_what_their_values_look_like() {
        let shape = shape(&[
            r#"{"id":"a","at":"2026-11-23 10:00:00","p":{"x":0.3,"y":0.7},"c":"87%","d":"986.53ms","m":[{"t":"write to a@b.example now"}],"n":2}"#,
            r#"{"id":"b","at":1795428000,"p":{"x":1,"y":0},"c":null,"n":0.5}"#,
        ]);
        let member = |path: &str| shape.members[path].clone();
        assert_eq!((member("id").texts, member("id").distinct.len()), (2, 2));
        assert_eq!((member("at").times, member("at").times_without_zone), (2, 1));
        assert_eq!((member("p").probabilities, member("c").percent_texts, member("d").duration_texts), (2, 1, 1));
        assert_eq!((member("m[0].t").personal, member("m[0].t").sentences), (1, 1));
        assert_eq!((member("n").least, member("n").largest, member("n").integers), (0.5, 2.0, 1));
        assert!(!shape.members.contains_key("p.x"), "members of probabilities are classes, not names");
    }

    #[test]
    fn a_rule_means_all_elements() {
        for (path, expected) in [("a[0].b[12].c", "a.b.c"), ("a", "a"), ("a[x]", "a[x]"), ("a[", "a[")] {
            assert_eq!(without_places(path), expected);
        }
    }

    #[test]
    fn more_members_than_can_be_told_apart_are_counted() {
        let members: Vec<String> = (0..MEMBERS_MAX + 5).map(|n| format!("\"f{n}\":1")).collect();
        let shape = shape(&[&format!("{{{}}}", members.join(","))]);
        assert_eq!((shape.members.len(), shape.left_out), (MEMBERS_MAX, 5));
    }
}
