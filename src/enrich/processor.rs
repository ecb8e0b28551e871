//! A processor, and what it is given beside the record: what it has to know, and what it leaves for those after it.

use std::sync::Arc;

use super::watch::Decided;
use crate::flow::batch::SourceFile;
use crate::flow::line::{Given, Line};
use crate::flow::reject::Reject;
use crate::kql::Expression;
use crate::record::{Path, PathPattern, Record, canonical};
use crate::telemetry::{Counter, Counters};

/// A note for `inferlog.notes`: something that a processor was to read is there, and is not what it should be.
pub(super) const NOT_MAPPED: &str = "not_mapped";

/// What the file of a processor gives: its options are fields of the type that implements it.
pub trait Processor {
    /// Its name in a pipeline file.
    fn name(&self) -> &'static str;

    /// A condition of its own, whose answer it writes down or goes by.
    fn asks(&self) -> Option<&Expression> {
        None
    }

    /// The fields that are not there any more, or not as they were, where it has run.
    fn hides(&self) -> Vec<PathPattern> {
        Vec::new()
    }

    /// Whether it hides anything, be it a field or not.
    fn is_hiding(&self) -> bool {
        !self.hides().is_empty()
    }

    /// What it makes copies of, each path with that of its copy: a rule that hides the one has to hide the other.
    fn copies(&self) -> Vec<(Path, Path)> {
        Vec::new()
    }

    /// What it gives another name, in the order in which it does.
    fn moves(&self) -> Vec<(Path, Path)> {
        Vec::new()
    }

    /// What it makes out of what, each path with that of what it adds, where that is no copy: hiding the one does not hide
    /// the other, and a person has to know.
    fn derives(&self) -> Vec<(Path, Path)> {
        Vec::new()
    }

    /// The members that are its own work: where only some members may stay, these do, if it comes later.
    fn adds(&self) -> Vec<Path> {
        Vec::new()
    }

    /// The name under which it counts the records that it keeps from being shipped, if it does.
    fn drops(&self) -> Option<&Arc<str>> {
        None
    }

    /// Paths whose values it gives names below which no path finds them: no rule could hide these.
    fn scatters(&self) -> &[Path] {
        &[]
    }

    /// Does its work.
    ///
    /// # Errors
    /// A [`Reject`] when it cannot.
    fn apply(&self, record: &mut Record<'_>, run: &mut Run<'_>) -> Result<(), Reject>;
}

/// What a processor knows of the run, beside the record.
#[derive(Debug)]
pub struct Run<'r> {
    pub(super) source: &'r Source<'r>,
    pub(super) context: &'r mut Context,
    pub(super) counters: &'r Counters,
    /// The fields that the processor hides, with their counters.
    pub(super) hidden: &'r [HiddenField],
    /// What its own condition says of the record, if that can be decided.
    pub(super) answer: Option<bool>,
}

impl Run<'_> {
    /// Puts what `of` makes of them in the place of the single values at a path and below it, in their places, but for
    /// `null`. Those of which it makes nothing stay, noted and counted.
    pub(super) fn rewrite(&mut self, record: &mut Record<'_>, field: &Path, of: impl Fn(&str) -> Option<String>) {
        let mut left = 0;
        record.rewrite_leaves(Some(field), &mut |raw| {
            let new = if raw == "null" { return None } else { of(raw) };
            left += u64::from(new.is_none());
            new.filter(|new| new != raw)
        });
        if left > 0 {
            self.context.note(NOT_MAPPED);
            self.counters.unmapped(field.as_str()).inc_by(left);
        }
    }
}

/// The line that a record was made from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'s> {
    /// Its file.
    pub file: &'s Arc<SourceFile>,
    /// Where it begins, in bytes from the start of the file.
    pub offset_bytes: u64,
    /// When it was read, in microseconds since 1970.
    pub read_us: i64,
    /// Its bytes as they stand in the file, without its end.
    pub line: &'s [u8],
    /// Which of the line's records it is, counted from 0.
    pub ordinal: u32,
    /// What else is known of that.
    pub given: &'s Given,
}

impl<'s> Source<'s> {
    /// A line of a file, with its first record.
    pub fn of(file: &'s Arc<SourceFile>, line: &Line<'s>, read_us: i64) -> Source<'s> {
        Source { file, offset_bytes: line.offset_bytes, read_us, line: line.bytes, ordinal: 0, given: &Given::NOTHING }
    }

    /// A place in a file of which no line is at hand.
    pub fn of_place(file: &'s Arc<SourceFile>, offset_bytes: u64) -> Source<'s> {
        Source { file, offset_bytes, read_us: 0, line: b"", ordinal: 0, given: &Given::NOTHING }
    }
}

/// A field that a rule hides.
#[derive(Clone, Debug)]
pub struct HiddenField {
    /// The number of the processor in the pipeline file, counted from 1.
    pub processor: usize,
    /// The field, or fields.
    pub pattern: PathPattern,
    /// The records in which it was found.
    pub records: Counter,
}

/// What an id is made of, beside the time.
pub(super) type Digest = [u8; 16];

/// What processors leave for those after them, beside the record.
#[derive(Debug, Default)]
pub(super) struct Context {
    pub(super) timestamp_us: Option<i64>,
    /// The time is the record's own, not the read time.
    pub(super) timed: bool,
    pub(super) notes: Vec<&'static str>,
    /// Fields that the step should hide and that the record does not have, by their positions.
    pub(super) missed: Vec<usize>,
    pub(super) id_digest: Option<Digest>,
    /// The id depends on members alone, not even on the time.
    pub(super) unique: bool,
    pub(super) dropped: Option<Arc<str>>,
    pub(super) scratch: canonical::Scratch,
    pub(super) buffer: Vec<u8>,
}

impl Context {
    pub(super) fn decided(&self) -> Decided<'_> {
        Decided {
            timestamp_us: self.timestamp_us,
            notes: &self.notes,
            missed: &self.missed,
            has_id: self.id_digest.is_some(),
            dropped: self.dropped.as_deref(),
        }
    }

    /// Notes what was assumed or left out, once.
    pub(super) fn note(&mut self, note: &'static str) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    pub(super) fn reset(&mut self) {
        self.timestamp_us = None;
        self.timed = false;
        self.notes.clear();
        self.id_digest = None;
        self.unique = false;
        self.dropped = None;
    }
}

/// Counts the fields of a rule that a record has; those that it has not are noted.
pub(super) fn count(fields: &[HiddenField], record: &Record<'_>, missed: &mut Vec<usize>) {
    for (position, field) in fields.iter().enumerate() {
        count_one(field, position, record.has(&field.pattern), missed);
    }
}

pub(super) fn count_one(field: &HiddenField, position: usize, was_found: bool, missed: &mut Vec<usize>) {
    if was_found {
        field.records.inc();
    } else {
        missed.push(position);
    }
}
