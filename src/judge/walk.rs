//! A walk: what did each processor do with one record, member by member?
//!
//! A [`Walk`] looks on while a [`super::trial::Trial`] runs. What it keeps are the record's own values: whoever shows
//! them hides first what the pipeline hides.

use crate::enrich::{Decided, Watch};
use crate::record::Record;

/// What the processors did with the records of a line.
#[derive(Debug, Default)]
pub struct Walk {
    /// For each record, in their order: one for each processor that it came to.
    pub records: Vec<Vec<StepTrace>>,
    /// For each record, the names that it had when it was decoded.
    pub names: Vec<Vec<String>>,
    before: Before,
}

/// The record as it came to a processor.
#[derive(Debug, Default)]
struct Before {
    members: Vec<(String, String)>,
    timestamp_us: Option<i64>,
    has_id: bool,
    was_dropped: bool,
}

/// What one processor did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepTrace {
    /// Its condition held.
    pub ran: bool,
    /// It ran to its end: false when it turned the record away.
    pub finished: bool,
    /// Which of the fields that it hides the record does not have, by their positions.
    pub missed: Vec<usize>,
    /// What it changed.
    pub changes: Vec<Change>,
    /// It set the record's time, in microseconds since 1970.
    pub timestamp_us: Option<i64>,
    /// It took the record's id from members.
    pub took_id: bool,
    /// It decided to drop the record, under this name.
    pub dropped: Option<String>,
}

impl StepTrace {
    /// Whether anything is different for it.
    pub fn did_something(&self) -> bool {
        !self.changes.is_empty() || self.timestamp_us.is_some() || self.took_id || self.dropped.is_some()
    }
}

/// One member before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its dotted path.
    pub path: String,
    /// Its value as JSON text; `None` when it was not there.
    pub before: Option<String>,
    /// The same after.
    pub after: Option<String>,
}

impl Watch for Walk {
    fn begin(&mut self, decoded: Option<&Record<'_>>) {
        self.records.push(Vec::new());
        self.names.push(decoded.map_or_else(Vec::new, |record| record.names().map(str::to_owned).collect()));
    }

    fn before(&mut self, _: usize, holds: bool, record: &Record<'_>, decided: &Decided<'_>) {
        let Some(steps) = self.records.last_mut() else { return };
        steps.push(StepTrace { ran: holds, ..StepTrace::default() });
        self.before = Before {
            members: members(record),
            timestamp_us: decided.timestamp_us,
            has_id: decided.has_id,
            was_dropped: decided.dropped.is_some(),
        };
    }

    fn after(&mut self, _: usize, record: &Record<'_>, decided: &Decided<'_>) {
        let Some(seen) = self.records.last_mut().and_then(|steps| steps.last_mut()) else { return };
        seen.finished = true;
        seen.missed = decided.missed.to_vec();
        compare("", &self.before.members, &members(record), &mut seen.changes);
        seen.timestamp_us = decided.timestamp_us.filter(|time| self.before.timestamp_us != Some(*time));
        seen.took_id = decided.has_id && !self.before.has_id;
        seen.dropped = decided.dropped.filter(|_| !self.before.was_dropped).map(str::to_owned);
    }
}

fn members(record: &Record<'_>) -> Vec<(String, String)> {
    record.name_values().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Notes the differences between two lists of members, inside objects too.
fn compare(parent: &str, before: &[(String, String)], after: &[(String, String)], changes: &mut Vec<Change>) {
    let find = |members: &[(String, String)], name: &str| {
        members.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
    };
    let gone = before.iter().filter(|(name, _)| find(after, name).is_none());
    for (name, value) in gone {
        changes.push(Change { path: below(parent, name), before: Some(value.clone()), after: None });
    }
    for (name, value) in after {
        let path = below(parent, name);
        match find(before, name) {
            Some(old) if old == *value => {}
            Some(old) => match (object(&old), object(value)) {
                (Some(old), Some(new)) => compare(&path, &old, &new, changes),
                _ => changes.push(Change { path, before: Some(old), after: Some(value.clone()) }),
            },
            None => changes.push(Change { path, before: None, after: Some(value.clone()) }),
        }
    }
}

fn below(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") }
}

/// The members of a JSON object that is known to be valid.
fn object(raw: &str) -> Option<Vec<(String, String)>> {
    let members = || {
        let members = sonic_rs::to_object_iter(raw).flatten();
        members.map(|(name, value)| (name.to_string(), value.as_raw_str().to_owned())).collect()
    };
    raw.starts_with('{').then(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(before: &str, after: &str) -> Vec<(String, Option<String>, Option<String>)> {
        let mut changes = Vec::new();
        compare("", &object(before).unwrap(), &object(after).unwrap(), &mut changes);
        changes.into_iter().map(|Change { path, before, after }| (path, before, after)).collect()
    }

    #[test]
    fn changes_are_told_member_by_member() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(changes(r#"{"a":1,"b":{"c":[1]}}"#, r#"{"b":{"c":[1]},"a":1}"#), []);
        let expected = [
            ("old".to_owned(), text("3"), None),
            ("a".to_owned(), text("1"), text("1.0")),
            ("b.c".to_owned(), text("[1]"), text("[2]")),
            ("b.d".to_owned(), None, text("null")),
        ];
        assert_eq!(changes(r#"{"a":1,"b":{"c":[1]},"old":3}"#, r#"{"a":1.0,"b":{"c":[2],"d":null}}"#), expected);
        assert_eq!(changes(r#"{"a":{"b":1}}"#, r#"{"a":5}"#), [("a".to_owned(), text(r#"{"b":1}"#), text("5"))]);
    }
}
