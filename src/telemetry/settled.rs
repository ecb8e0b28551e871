//! What is committed, exact and monotone through crashes: shown as the checkpoint has it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::metrics::counter::Counter;

use super::family::{CounterFamily, Labels};
use crate::flow::tally::Totals;

/// What one pipeline has committed.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    pipeline: String,
    totals: Arc<Mutex<Totals>>,
    lines: CounterFamily,
    records: CounterFamily,
    dropped: CounterFamily,
    dead_lettered: CounterFamily,
    indexed: CounterFamily,
    duplicates: CounterFamily,
    erased: CounterFamily,
}

impl Settled {
    /// `counts` gives the family of a name, with its help.
    pub(super) fn new(pipeline: &str, mut counts: impl FnMut(&'static str, &'static str) -> CounterFamily) -> Settled {
        Settled {
            pipeline: pipeline.to_owned(),
            totals: Arc::default(),
            lines: counts("inferlog_settled_lines", "Lines committed"),
            records: counts("inferlog_settled_records", "Records committed"),
            dropped: counts("inferlog_settled_dropped_records", "Records committed that a rule dropped"),
            dead_lettered: counts("inferlog_settled_dead_letter_records", "Committed to the dead letter"),
            indexed: counts("inferlog_settled_indexed_records", "Documents committed that the sink took"),
            duplicates: counts("inferlog_settled_duplicate_records", "Documents committed that it had already"),
            erased: counts("inferlog_settled_erased_records", "Documents committed that an order has erased"),
        }
    }

    /// Counts what is committed and saved.
    pub(super) fn count(&self, news: &Totals) {
        self.lock().join(news);
        self.add(news, |counter, count| {
            counter.inc_by(count);
        });
    }

    /// Shows all that is committed and saved. A pipeline that was started before in this process has shown some of it.
    pub(super) fn show(&self, totals: &Totals) {
        *self.lock() = totals.clone();
        self.add(totals, |counter, total| {
            counter.inc_by(total.saturating_sub(counter.get()));
        });
    }

    pub(super) fn totals(&self) -> Totals {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, totals: &Totals, add: impl Fn(&Counter, u64)) {
        let of_pipeline = self.labels(&[]);
        add(&self.lines.get_or_create_owned(&of_pipeline), totals.lines);
        add(&self.records.get_or_create_owned(&of_pipeline), totals.records);
        for (rule, count) in totals.dropped.iter() {
            add(&self.dropped.get_or_create_owned(&self.labels(&[("rule", rule)])), count);
        }
        for (reason, count) in totals.dead_lettered.iter() {
            let (stage, reason) = reason.split_once('/').unwrap_or(("", reason));
            let labels = self.labels(&[("stage", stage), ("reason", reason)]);
            add(&self.dead_lettered.get_or_create_owned(&labels), count);
        }
        for (sink, delivered) in &totals.sinks {
            let labels = self.labels(&[("sink", sink)]);
            add(&self.indexed.get_or_create_owned(&labels), delivered.indexed);
            add(&self.duplicates.get_or_create_owned(&labels), delivered.duplicates);
            add(&self.erased.get_or_create_owned(&labels), delivered.erased);
        }
    }

    fn labels(&self, further: &[(&'static str, &str)]) -> Labels {
        let further = further.iter().map(|(name, value)| (*name, (*value).to_owned()));
        std::iter::once(("pipeline", self.pipeline.clone())).chain(further).collect()
    }
}
