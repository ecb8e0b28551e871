//! Ground truth: what became of the predictions, as far as labels and reviews say?
//!
//! Predictions are taken from the records, labels are brought by the pipeline from where they are read, and both go into the ledger
//! ([`crate::outcome::ledger`]) before the checkpoint says that they were observed. Its documents go to the outbox, and are
//! forgotten in the ledger when the checkpoint holds them. A crash between any two of these repeats what the ledger finds to be
//! there.
//!
//! What is shown is measured anew from the ledger when something has changed, and takes at most a fiftieth of the time. At the end
//! of each hour, and at the stop, it becomes a document of each version ([`crate::outcome::evaluation_document`]). An hour that ends
//! while nothing runs has none, unless there was one at the stop.

mod exposition;
pub mod options;

pub(super) use exposition::{OutcomesToShow, PublishedOutcomes, encode};

use std::time::{Duration, Instant};

use crate::flow::batch::{Id, Stream};
use crate::flow::own_document::OwnDocument;
use crate::kql::Fields;
use crate::outcome::evaluation::{Evaluation, evaluate};
use crate::outcome::evaluation_document::{Hours, evaluation_documents, hour};
use crate::outcome::ledger::{LabelLine, Ledger, LedgerError, PendingDocument, Progress};
use crate::outcome::prediction::Predictions;
use crate::record::Record;
use crate::telemetry::{Counter, Counters};
use options::GroundTruthOptions;
use serde_json::value::RawValue;

/// Predictions that wait to be written down take at most about this, in bytes: until then nothing more is read.
const PREDICTIONS_BYTES_MAX: usize = 8 * 1024 * 1024;

/// So many labels are written down at once.
const LABELS_MAX: usize = 10_000;

/// Documents are given out so many bytes at a time.
const DOCUMENTS_BYTES: usize = 2 * 1024 * 1024;

/// What is shown is measured at most this often.
const EVALUATION_INTERVAL: Duration = Duration::from_secs(1);

/// What is shown is measured anew after this long, whatever has changed.
const STALE_AFTER: Duration = Duration::from_secs(60);

/// Measuring takes at most this part of the time: 1/50.
const EVALUATION_SHARE: u32 = 50;

/// Where measuring takes longer, a stop does not wait for it.
const LAST_EVALUATION_MAX: Duration = Duration::from_secs(5);

/// Old predictions are let go this often.
const FORGET_INTERVAL: Duration = Duration::from_secs(10);

/// The observer.
#[derive(Debug)]
pub struct GroundTruth {
    options: GroundTruthOptions,
    ledger: Ledger,
    predictions: Predictions,
    labels: Vec<LabelLine>,
    /// Up to where labels were brought.
    progress: Option<Progress>,
    /// The number of the last document that was given out.
    given_out: i64,
    /// Up to here they are kept by somebody else.
    kept: i64,
    /// Something was written down since what is shown was measured.
    is_changed: bool,
    next_evaluation: Instant,
    /// How long measuring took.
    evaluation_took: Duration,
    hours: Hours,
    /// The documents of what was measured, until there is room for them: those of one hour.
    evaluations: Vec<OwnDocument>,
    next_forgetting: Instant,
    unjoinable: Counter,
}

impl GroundTruth {
    /// An observer over a ledger.
    pub fn new(options: GroundTruthOptions, ledger: Ledger, counters: &Counters) -> GroundTruth {
        GroundTruth {
            options,
            ledger,
            predictions: Predictions::default(),
            labels: Vec::new(),
            progress: None,
            given_out: 0,
            kept: 0,
            is_changed: true,
            next_evaluation: Instant::now(),
            evaluation_took: Duration::ZERO,
            hours: Hours::default(),
            evaluations: Vec::new(),
            next_forgetting: Instant::now(),
            unjoinable: counters.observe_unjoinable_records_total.clone(),
        }
    }

    /// The options.
    pub fn options(&self) -> &GroundTruthOptions {
        &self.options
    }

    /// Takes note of a prediction, whose record has this `_id` and time, in microseconds since 1970.
    pub fn observe(&mut self, record: &Record<'_>, document: &dyn Fields, id: Id, time_us: i64) {
        let flagged = self.options.flagged.matches(document);
        if !self.predictions.take(record, id, time_us, flagged) {
            self.unjoinable.inc();
        }
    }

    /// Whether more predictions may come before what is there is written down.
    pub fn has_room(&self) -> bool {
        self.predictions.bytes() < PREDICTIONS_BYTES_MAX
    }

    /// How many labels may be brought before what is there is written down.
    pub fn labels_room(&self) -> usize {
        LABELS_MAX - self.labels.len().min(LABELS_MAX)
    }

    /// Takes labels, which were read up to a place.
    pub fn take_labels(&mut self, labels: Vec<LabelLine>, progress: Progress) {
        self.labels.extend(labels);
        self.progress = Some(progress);
    }

    /// Up to where labels are written down.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn progress(&self) -> Result<Progress, LedgerError> {
        self.ledger.progress()
    }

    /// Whether something waits to be written down.
    pub fn is_dirty(&self) -> bool {
        !self.predictions.is_empty() || self.progress.is_some()
    }

    /// Writes down what waits; and lets go what is old.
    ///
    /// # Errors
    /// When the ledger cannot be written: what waits still does.
    pub fn write_down(&mut self, now_us: i64) -> Result<(), LedgerError> {
        if self.is_dirty() {
            self.ledger.enter(&self.predictions, &self.labels, self.progress.as_ref(), now_us)?;
            self.predictions.clear();
            self.labels.clear();
            self.progress = None;
            self.is_changed = true;
        }
        if Instant::now() >= self.next_forgetting {
            let has_more = self.ledger.forget(now_us)?;
            self.next_forgetting = Instant::now() + if has_more { Duration::ZERO } else { FORGET_INTERVAL };
        }
        Ok(())
    }

    /// Documents that have not been given out yet: some of them.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn documents(&mut self) -> Result<Vec<OwnDocument>, LedgerError> {
        let pending = self.ledger.documents(self.given_out, DOCUMENTS_BYTES)?;
        self.given_out = pending.last().map_or(self.given_out, |last| last.number);
        let evaluations = std::mem::take(&mut self.evaluations);
        Ok(pending.into_iter().filter_map(own_document).chain(evaluations).collect())
    }

    /// What was given out is kept by somebody else.
    ///
    /// # Errors
    /// When the ledger cannot be written: it is given out again after a restart, under the same ids.
    pub fn documents_kept(&mut self) -> Result<(), LedgerError> {
        if self.kept < self.given_out {
            self.ledger.taken(self.given_out)?;
            self.kept = self.given_out;
        }
        Ok(())
    }

    /// Measures, if something has changed and it is time to; now and then even if nothing has, because ages grow.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn evaluate(&mut self, now_us: i64) -> Result<Option<Evaluation>, LedgerError> {
        let started = Instant::now();
        let is_due = if self.is_changed { self.next_evaluation } else { self.next_evaluation + STALE_AFTER };
        if started < is_due {
            return Ok(None);
        }
        let evaluation = self.measure(now_us)?;
        self.next_evaluation = Instant::now() + EVALUATION_INTERVAL.max(self.evaluation_took * EVALUATION_SHARE);
        if let Some(hour) = self.hours.ended(now_us) {
            self.put_down(&evaluation, hour, now_us);
        }
        Ok(Some(evaluation))
    }

    /// Measures at the stop, when all is written down: the documents of this hour.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn evaluate_last(&mut self, now_us: i64) -> Result<Evaluation, LedgerError> {
        let evaluation = self.measure(now_us)?;
        self.put_down(&evaluation, hour(now_us), now_us);
        Ok(evaluation)
    }

    /// Whether a stop may wait for measuring.
    pub fn is_quick(&self) -> bool {
        self.evaluation_took <= LAST_EVALUATION_MAX
    }

    fn measure(&mut self, now_us: i64) -> Result<Evaluation, LedgerError> {
        let started = Instant::now();
        let evaluation = evaluate(&self.ledger, &self.options.measured(), now_us)?;
        self.is_changed = false;
        self.evaluation_took = started.elapsed();
        Ok(evaluation)
    }

    /// Keeps the documents of an hour until there is room; those of further hours are left out meanwhile.
    fn put_down(&mut self, evaluation: &Evaluation, hour: i64, now_us: i64) {
        if self.evaluations.is_empty() {
            let (subject, measured) = (self.ledger.subject(), self.options.measured());
            self.evaluations = evaluation_documents(subject, evaluation, &measured, hour, now_us);
        }
    }
}

/// The document as the outbox takes it; `None` when it is no JSON.
pub fn own_document(pending: PendingDocument) -> Option<OwnDocument> {
    let text = RawValue::from_string(pending.text).ok()?;
    Some(OwnDocument { stream: Stream::Outcomes, id: pending.id, timestamp_us: pending.timestamp_us, text })
}
