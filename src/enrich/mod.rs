//! Enrich: what is checked, added, hidden and decided about each record?
//!
//! The processors of a pipeline run in the order of its file; each sees what those before it left, and each is one file
//! of this folder. Their conditions also see what the document will have besides (`sight`). Then the document gets its `_id` and the metadata of the Elastic Common Schema.
//!
//! A missing member is skipped, never a reject. A field path means every spelling of it and everything below it, for each
//! processor alike. A processor that cannot do its work turns the record away as a [`Reject`]; redactions are carried out
//! even then, because what is turned away is kept in the dead letter.

mod add;
mod contract;
mod convert;
mod copy;
mod drop;
mod extract;
mod flag;
mod flatten;
mod geoip;
mod hash;
mod heart;
mod hiding;
mod id;
mod kubernetes;
mod label;
mod lookup;
mod metadata;
mod processor;
mod redact;
mod remove;
mod rename;
pub mod roles;
mod sample;
mod scale;
mod sight;
mod step;
mod table;
mod timestamp;
mod truncate;
mod user_agent;
mod watch;

use std::borrow::Cow;
use std::sync::Arc;

use hiding::Hiding;
use processor::Context;

pub use add::Add;
pub use contract::{Contract, KEYWORD_CHARACTERS_MAX, Promise, PromisedType};
pub use convert::{Convert, ValueType};
pub use copy::Copy;
pub use drop::Drop;
pub use extract::{Extract, Group, GroupKind};
pub use flag::Flag;
pub use flatten::Flatten;
pub use geoip::{Database, Geoip, GeoipMembers};
pub use hash::{Digests, Hash, HashKey, HashPlace, KEYS_MAX};
pub use heart::HEART_FIELDS;
pub use id::{IdFrom, Identity};
pub use kubernetes::Kubernetes;
pub use label::LabelCheck;
pub use lookup::{Lookup, RowFormat, Rows, RowsOptions};
pub use metadata::Metadata;
pub use processor::{HiddenField, Processor, Run, Source};
pub use redact::{Mask, Redact, Redacted, With};
pub use remove::Remove;
pub use rename::Rename;
pub use sample::Sample;
pub use scale::{Factor, Scale};
pub use sight::Sight;
pub use step::{Action, Step};
pub use table::{Content, Table};
pub use timestamp::{Timestamp, Zone};
pub use truncate::Truncate;
pub use user_agent::UserAgent;
pub use watch::{Decided, Nobody, Watch};

use crate::flow::batch::{Id, Namespace};
use crate::flow::reject::Reject;
use crate::kql::Fields;
use crate::record::{Path, PathPattern, Record};
use crate::telemetry::Counters;

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
    /// Which of the pipeline's namespaces it goes to, where the pipeline has some.
    pub namespace: Namespace,
}

/// The processors of one pipeline.
#[derive(Debug)]
pub struct Enrichment {
    steps: Vec<Step>,
    /// What the condition of each step has to see.
    sights: Vec<Sight>,
    default_timestamp: Timestamp,
    /// How many steps come before numbers that were written as texts are read: those up to the last `roles`.
    before_numbers: usize,
    identity: Identity,
    metadata: Metadata,
    counters: Counters,
    context: Context,
    hiding: Hiding,
}

impl Enrichment {
    /// Puts the processors together.
    pub fn new(mut steps: Vec<Step>, identity: Identity, metadata: Metadata, counters: Counters) -> Enrichment {
        let default_timestamp = Timestamp { from: Vec::new(), zone: None, formats: Vec::new() };
        let hiding = Hiding::new(&steps, &counters);
        let mut before_numbers = 0;
        let times: Vec<Path> = steps.iter().flat_map(Step::times).cloned().collect();
        for (position, step) in steps.iter_mut().enumerate() {
            if let Action::Roles(roles) = &mut step.action {
                roles.prepare(hiding.fields(), &times);
                before_numbers = position + 1;
            }
            if let Action::Contract(contract) = &mut step.action {
                contract.prepare(|path| hiding.meets(path));
            }
        }
        let sight = |step: &Step| step.conditions().map(Sight::of).max().unwrap_or(Sight::Members);
        let sights = steps.iter().map(sight).collect();
        let context = Context::default();
        Enrichment { steps, sights, default_timestamp, before_numbers, identity, metadata, counters, context, hiding }
    }

    /// Runs the processors on a record, which is then ready to be rendered, while somebody looks on.
    ///
    /// # Errors
    /// A [`Reject`] when a processor cannot do its work; [`Enrichment::hide`] prepares the record for the dead letter.
    pub fn apply(
        &mut self,
        record: &mut Record<'_>,
        source: &Source<'_>,
        watch: &mut impl Watch,
    ) -> Result<Verdict, Reject> {
        self.context.reset();
        if let Some(note) = source.given.note {
            self.context.notes.push(note.as_str());
            self.counters.noted(note.as_str()).inc();
        }
        self.hiding.count_records(1);
        let adds = (&self.metadata, &self.default_timestamp);
        for (position, (step, &sight)) in self.steps.iter().zip(&self.sights).enumerate() {
            if position == self.before_numbers {
                heart::read_texts(record, self.hiding.fields(), &mut self.context, &self.counters)?;
            }
            let seen = (source, &self.context);
            let holds = step
                .when
                .as_ref()
                .is_none_or(|when| sight::ask(sight, record, adds, seen, |fields| when.matches(fields)));
            self.context.missed.clear();
            watch.before(position, holds, record, &self.context.decided());
            if holds {
                let processor = step.action.processor();
                let seen = (source, &self.context);
                let answer = processor
                    .asks()
                    .and_then(|asked| sight::ask(sight, record, adds, seen, |fields| asked.decide(fields)));
                let hidden = self.hiding.of_step(position);
                let (context, counters) = (&mut self.context, &self.counters);
                processor.apply(record, &mut Run { source, context, counters, hidden, answer })?;
                watch.after(position, record, &self.context.decided());
            }
        }
        if self.steps.len() == self.before_numbers {
            heart::read_texts(record, self.hiding.fields(), &mut self.context, &self.counters)?;
        }
        if self.context.timestamp_us.is_none() {
            let (context, counters) = (&mut self.context, &self.counters);
            let mut run = Run { source, context, counters, hidden: &[], answer: None };
            self.default_timestamp.apply(record, &mut run)?;
        }
        let timestamp_us = self.context.timestamp_us.unwrap_or(source.read_us);
        let id = self.identity.id(source, &self.context);
        let left_out = self.metadata.add(record, source, &self.context.notes);
        if left_out > 0 {
            self.counters.enrich_left_out_members_total.inc_by(left_out);
        }
        let (timed, dropped) = (self.context.timed, self.context.dropped.take());
        Ok(Verdict { id, timestamp_us, timed, dropped, namespace: Namespace::Unknown })
    }

    /// Asks a question of the record that [`Enrichment::apply`] was given last, as the document is, for a condition that
    /// has to see this.
    pub fn ask<T>(
        &self,
        sight: Sight,
        record: &Record<'_>,
        source: &Source<'_>,
        question: impl FnOnce(&dyn Fields) -> T,
    ) -> T {
        let adds = (&self.metadata, &self.default_timestamp);
        sight::ask(sight, record, adds, (source, &self.context), question)
    }

    /// The `_id` of a line, or of one of its records, that did not become a document.
    pub fn id_of_line(&mut self, source: &Source<'_>) -> Id {
        self.identity.id_of_line(source)
    }

    /// Hides what any rule would, whatever its condition, on a record that was turned away. Returns false when
    /// something could not be hidden, so that nothing of the record may be kept.
    pub fn hide(&self, record: &mut Record<'_>) -> bool {
        self.hiding.hide(record).is_ok()
    }

    /// A line that could not be decoded, without what the patterns of any rule find in it; borrowed if they find nothing.
    pub fn hide_in_line<'l>(&self, line: &'l [u8]) -> Cow<'l, [u8]> {
        self.hiding.hide_in_line(line)
    }

    /// The fields that are hidden, under every name that they have on the way.
    pub fn hidden_fields(&self) -> &[PathPattern] {
        self.hiding.fields()
    }

    /// Whether any rule hides what is at a path.
    pub fn hides(&self, path: &str) -> bool {
        self.hiding.hides(path)
    }

    /// The fields that a rule should hide and that no record has had so far.
    pub fn idle_fields(&self) -> impl Iterator<Item = &HiddenField> {
        self.hiding.idle()
    }

    /// Takes note of records that others were given which share the counters.
    pub fn count_records(&mut self, records: u64) {
        self.hiding.count_records(records);
    }

    /// Warns of such fields, at a limited rate, once enough records have passed.
    pub fn warn_of_idle_fields(&mut self) {
        self.hiding.warn_of_idle(self.counters.pipeline());
    }
}

#[cfg(test)]
mod tests;
