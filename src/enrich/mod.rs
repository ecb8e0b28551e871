//! Enrich: what is checked, added, hidden and decided about each record?
//!
//! The processors of a pipeline run in the order of its file; each sees what those before it left, and each is one file
//! of this folder. Their conditions also see what the document will have besides (`sight`). Then the document gets its `_id` and the metadata of the Elastic Common Schema.
//!
//! A missing member is skipped, never a reject. A field path means every spelling of it and everything below it, for each
//! processor alike. A processor that cannot do its work turns the record away as a [`Reject`]; redactions are carried out
//! even then, because what is turned away is kept in the dead letter.

mod add;
mod drop;
mod flag;
mod hash;
mod hiding;
mod id;
mod metadata;
mod redact;
mod rename;
mod sight;
mod timestamp;
mod watch;

use std::sync::Arc;

use hiding::Hiding;

pub use add::Add;
pub use drop::Drop;
pub use flag::Flag;
pub use hash::Hash;
pub use hiding::HiddenField;
pub use id::{IdFrom, Identity};
pub use metadata::Metadata;
pub use redact::Redact;
pub use rename::Rename;
pub use sight::Sight;
pub use timestamp::Timestamp;
pub use watch::{Decided, Nobody, Watch};

use crate::flow::batch::{Id, SourceFile};
use crate::flow::reject::Reject;
use crate::kql::{Expression, Fields};
use crate::record::{Path, Record, canonical};
use crate::telemetry::Counters;

/// One processor with its condition.
#[derive(Clone, Debug)]
pub struct Step {
    /// The processor runs on records that meet this.
    pub when: Option<Expression>,
    /// What it does.
    pub action: Action,
}

impl Step {
    /// Its condition: that of a `flag` is what the flag says.
    fn condition(&self) -> Option<&Expression> {
        match &self.action {
            Action::Flag(flag) => Some(&flag.when),
            _ => self.when.as_ref(),
        }
    }
}

/// What a processor does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Adds members.
    Add(Add),
    /// Decides not to ship the record.
    Drop(Drop),
    /// Adds a boolean.
    Flag(Flag),
    /// Hashes members.
    Hash(Hash),
    /// Takes the document's `_id` from members.
    Id(IdFrom),
    /// Hides members.
    Redact(Redact),
    /// Renames members.
    Rename(Rename),
    /// Reads the record's time.
    Timestamp(Timestamp),
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
}

/// What was decided about a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The document's `_id`.
    pub id: Id,
    /// Its `@timestamp`, in microseconds since 1970.
    pub timestamp_us: i64,
    /// That is the record's own time, and not when it was read.
    pub timed: bool,
    /// The rule that keeps it from being shipped.
    pub dropped: Option<Arc<str>>,
}

/// What processors leave for those after them, beside the record.
#[derive(Debug, Default)]
struct Context {
    timestamp_us: Option<i64>,
    /// The time is the record's own, not the read time.
    timed: bool,
    notes: Vec<&'static str>,
    /// Fields that the step should hide and that the record does not have, by their positions.
    missed: Vec<usize>,
    id_digest: Option<id::Digest>,
    /// The id depends on members alone, not even on the time.
    unique: bool,
    dropped: Option<Arc<str>>,
    scratch: canonical::Scratch,
    buffer: Vec<u8>,
}

/// The processors of one pipeline.
#[derive(Debug)]
pub struct Enrichment {
    steps: Vec<Step>,
    /// What the condition of each step has to see.
    sights: Vec<Sight>,
    default_timestamp: Timestamp,
    identity: Identity,
    metadata: Metadata,
    counters: Counters,
    context: Context,
    hiding: Hiding,
}

impl Enrichment {
    /// Puts the processors together.
    pub fn new(steps: Vec<Step>, identity: Identity, metadata: Metadata, counters: Counters) -> Enrichment {
        let default_timestamp = Timestamp { from: Vec::new(), zone: None };
        let hiding = Hiding::new(&steps, &counters);
        let sights = steps.iter().map(|step| step.condition().map_or(Sight::Members, Sight::of)).collect();
        let context = Context::default();
        Enrichment { steps, sights, default_timestamp, identity, metadata, counters, context, hiding }
    }

    /// Runs the processors on a record, which is then ready to be rendered.
    ///
    /// # Errors
    /// A [`Reject`] when a processor cannot do its work; [`Enrichment::hide`] prepares the record for the dead letter.
    pub fn apply(&mut self, record: &mut Record<'_>, source: Source<'_>) -> Result<Verdict, Reject> {
        self.apply_watched(record, source, &mut Nobody)
    }

    /// The same while somebody looks on.
    ///
    /// # Errors
    /// As [`Enrichment::apply`].
    pub fn apply_watched(
        &mut self,
        record: &mut Record<'_>,
        source: Source<'_>,
        watch: &mut impl Watch,
    ) -> Result<Verdict, Reject> {
        self.context.reset();
        self.hiding.count_record();
        let adds = (&self.metadata, &self.default_timestamp);
        for (position, (step, &sight)) in self.steps.iter().zip(&self.sights).enumerate() {
            let seen = (source, &self.context);
            let holds = step
                .when
                .as_ref()
                .is_none_or(|when| sight::ask(sight, record, adds, seen, |fields| when.matches(fields)));
            self.context.missed.clear();
            watch.before(position, holds, record, &self.context.decided());
            if holds {
                match &step.action {
                    Action::Flag(flag) => {
                        let seen = (source, &self.context);
                        let is_so = sight::ask(sight, record, adds, seen, |fields| flag.when.decide(fields));
                        flag.apply(record, is_so)?;
                    }
                    action => {
                        let hidden = self.hiding.of_step(position);
                        action.apply(record, source, &mut self.context, &self.counters, hidden)?;
                    }
                }
                watch.after(position, record, &self.context.decided());
            }
        }
        if self.context.timestamp_us.is_none() {
            self.default_timestamp.apply(record, source, &mut self.context, &self.counters)?;
        }
        let timestamp_us = self.context.timestamp_us.unwrap_or(source.read_us);
        let id = self.identity.id(record.line(), source, &self.context);
        let left_out = self.metadata.add(record, source, &self.context.notes);
        self.counters.enrich_left_out_members_total.inc_by(left_out);
        Ok(Verdict { id, timestamp_us, timed: self.context.timed, dropped: self.context.dropped.take() })
    }

    /// Asks a question of the record that [`Enrichment::apply`] was given last, as the document is, for a condition that
    /// has to see this.
    pub fn ask<T>(
        &self,
        sight: Sight,
        record: &Record<'_>,
        source: Source<'_>,
        question: impl FnOnce(&dyn Fields) -> T,
    ) -> T {
        let adds = (&self.metadata, &self.default_timestamp);
        sight::ask(sight, record, adds, (source, &self.context), question)
    }

    /// The `_id` of a line that did not become a document.
    pub fn id_of_line(&mut self, line: &[u8], source: Source<'_>) -> Id {
        self.identity.id_of_line(line, source)
    }

    /// Hides what any rule would, whatever its condition, on a record that was turned away. Returns false when
    /// something could not be hidden, so that nothing of the record may be kept.
    pub fn hide(&self, record: &mut Record<'_>) -> bool {
        self.hiding.all().replace(record).is_ok()
    }

    /// The fields that are hidden, under every name that they have on the way.
    pub fn hidden_fields(&self) -> &[Path] {
        &self.hiding.all().fields
    }

    /// The fields that a rule should hide and that no record has had so far.
    pub fn idle_fields(&self) -> impl Iterator<Item = &HiddenField> {
        self.hiding.idle()
    }

    /// Warns of such fields, at a limited rate, once enough records have passed.
    pub fn warn_of_idle_fields(&mut self) {
        self.hiding.warn_of_idle(self.counters.pipeline());
    }
}

impl Action {
    fn apply(
        &self,
        record: &mut Record<'_>,
        source: Source<'_>,
        context: &mut Context,
        counters: &Counters,
        hidden: &[HiddenField],
    ) -> Result<(), Reject> {
        match self {
            Action::Add(add) => add.apply(record, counters),
            Action::Drop(drop) => drop.apply(context),
            // Its condition is asked by who knows what the document will have.
            Action::Flag(_) => {}
            Action::Hash(hash) => return hash.apply(record, context, counters, hidden),
            Action::Id(id) => id.apply(record, context),
            Action::Redact(redact) => return redact.apply(record, context, hidden),
            Action::Rename(rename) => return rename.apply(record),
            Action::Timestamp(timestamp) => return timestamp.apply(record, source, context, counters),
        }
        Ok(())
    }
}

impl Context {
    fn decided(&self) -> Decided<'_> {
        Decided {
            timestamp_us: self.timestamp_us,
            notes: &self.notes,
            missed: &self.missed,
            has_id: self.id_digest.is_some(),
            dropped: self.dropped.as_deref(),
        }
    }

    /// Notes what was assumed or left out, once.
    fn note(&mut self, note: &'static str) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn reset(&mut self) {
        self.timestamp_us = None;
        self.timed = false;
        self.notes.clear();
        self.id_digest = None;
        self.unique = false;
        self.dropped = None;
    }
}

#[cfg(test)]
mod tests;
