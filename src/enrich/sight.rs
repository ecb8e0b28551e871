//! Sight: what does a condition see of a record? Its members, and what the document will have besides: the metadata that is
//! added at the end, and its time. People drop by path, and the same condition must say the same in a query.
//!
//! Which of it a condition names is known when the pipeline is built, so that one that names none costs nothing.

use std::borrow::Cow;

use super::metadata::Metadata;
use super::processor::{Context, Source};
use super::timestamp::{TIMESTAMP, Timestamp};
use crate::kql::{Expression, Fields, Value};
use crate::record::{Record, Room, covers, json};

/// What a condition has to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sight {
    /// The record's own members alone.
    Members,
    /// The metadata as well.
    Metadata,
    /// The metadata, and the time where no processor has set it yet.
    MetadataAndTime,
}

impl Sight {
    /// What a condition names. Whether `@timestamp` is there at all is asked of the members: a `rename` may be about to
    /// put it there.
    pub fn of(condition: &Expression) -> Sight {
        if condition.compares(TIMESTAMP) {
            return Sight::MetadataAndTime;
        }
        let is_named = |name: &str| condition.fields().iter().any(|field| means(field, name));
        if Metadata::names().any(is_named) || condition.has_text() { Sight::Metadata } else { Sight::Members }
    }
}

/// Whether a field of a condition, perhaps with `*` in it, means a name or something above it.
fn means(field: &str, name: &str) -> bool {
    match field.split_once('*') {
        Some((start, _)) => name.starts_with(start) || start.starts_with(name),
        None => covers(field, name),
    }
}

/// A record as the document will be.
pub(super) struct Document<'d> {
    pub(super) record: &'d Record<'d>,
    pub(super) metadata: &'d Metadata,
    pub(super) source: &'d Source<'d>,
    pub(super) notes: &'d [&'static str],
    /// The time that it will have, as RFC 3339, where that is not a member yet.
    pub(super) time: Option<String>,
}

/// Asks a question of what a condition sees.
pub(super) fn ask<T>(
    sight: Sight,
    record: &Record<'_>,
    (metadata, default_time): (&Metadata, &Timestamp),
    (source, context): (&Source<'_>, &Context),
    question: impl FnOnce(&dyn Fields) -> T,
) -> T {
    if sight == Sight::Members {
        return question(record);
    }
    let mut notes = Cow::Borrowed(context.notes.as_slice());
    let mut time = None;
    if context.timestamp_us.is_none() {
        let (text, note) = default_time.outlook(record, source);
        notes.to_mut().extend(note);
        time = Some(text).filter(|_| sight == Sight::MetadataAndTime);
    }
    question(&Document { record, metadata, source, notes: &notes, time })
}

impl Document<'_> {
    /// Visits what will be added and has room, by its name.
    fn any_added(&self, visit: &mut dyn FnMut(&str, Value<'_>) -> bool) -> bool {
        let mut members = |name: &str, raw: &str| {
            self.record.room(name) == Room::Free && json::any_value(raw, &mut |value| visit(name, value))
        };
        self.metadata.any(self.source, self.notes, &mut members)
    }
}

impl Fields for Document<'_> {
    fn any(&self, field: &str, visit: &mut dyn FnMut(Value<'_>) -> bool) -> bool {
        if let Some(time) = self.time.as_deref().filter(|_| field == TIMESTAMP) {
            return visit(Value::String(Cow::Borrowed(time)));
        }
        Fields::any(self.record, field, visit) || self.any_added(&mut |name, value| name == field && visit(value))
    }

    fn has_below(&self, field: &str) -> bool {
        let is_below = |name: &str| name.strip_prefix(field).is_some_and(|rest| rest.starts_with('.'));
        self.record.has_below(field) || self.any_added(&mut |name, _| is_below(name))
    }

    fn any_leaf(&self, visit: &mut dyn FnMut(&str, Value<'_>) -> bool) -> bool {
        let time = self.time.as_deref();
        time.is_some_and(|time| visit(TIMESTAMP, Value::String(Cow::Borrowed(time))))
            || self.record.any_leaf(&mut |name, value| (time.is_none() || name != TIMESTAMP) && visit(name, value))
            || self.any_added(visit)
    }
}
