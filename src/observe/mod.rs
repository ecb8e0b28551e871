//! Observe: what do the records say about the models?
//!
//! Observers see every enriched record, also those that a processor drops from delivery, and change none. What they
//! have counted is plain data. It is saved in the checkpoint together with the offset up to which each file is counted,
//! so that lines that are read again after a crash are not counted again; and what is shown to the world is what was
//! saved last ([`Observers::publish`]), so that no series ever goes back.
//!
//! An observer that is taken out of the pipeline file loses its counts at the next save.

mod counts;
pub mod drift;
mod exposition;
pub mod ground_truth;
mod histogram;
pub mod model_metrics;
pub mod options;
pub mod outcome;
pub mod report;
mod table;
mod value;

pub use exposition::{ModelSeries, Published, label_name};
pub use table::{LABEL_BYTES_MAX, LABEL_VALUES_MAX, OTHER, SERIES_MAX};
pub use value::label_text;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::flow::batch::Id;
use crate::flow::own_document::OwnDocument;
use crate::kql::{Expression, Fields};
use crate::outcome::evaluation::Evaluation;
use crate::outcome::ledger::{LabelLine, LedgerError, Progress};
use crate::record::Record;
use crate::telemetry::Counters;
use counts::ModelCounts;
use drift::{Drift, DriftCounts, DriftCountsView, PublishedDrift};
use exposition::PublishedCounts;
use ground_truth::options::GroundTruthOptions;
use ground_truth::{GroundTruth, PublishedOutcomes};
use model_metrics::ModelMetrics;
use options::ModelMetricsOptions;

/// The observers of one pipeline.
#[derive(Debug)]
pub struct Observers {
    model_metrics: Option<ModelMetrics>,
    drift: Option<Drift>,
    ground_truth: Option<GroundTruth>,
    shown: Published,
    /// Something was counted since the last [`Observers::publish`].
    moved: bool,
}

/// The counts of all observers, as the checkpoint kept them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ObserverCounts {
    model_metrics: Option<ModelCounts>,
    drift: Option<DriftCounts>,
}

/// The same, written from where it is.
#[derive(Debug, Serialize)]
struct ObserverCountsView<'o> {
    #[serde(skip_serializing_if = "Option::is_none")]
    model_metrics: Option<&'o ModelCounts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drift: Option<DriftCountsView<'o>>,
}

impl Published {
    /// What shows outcomes that somebody else measures.
    pub fn of_outcomes(options: &GroundTruthOptions) -> Published {
        Published { outcomes: Some(Arc::new(PublishedOutcomes::new(options))), ..Published::default() }
    }

    /// Shows what was measured.
    pub fn set_outcomes(&self, evaluation: Evaluation) {
        if let Some(outcomes) = &self.outcomes {
            outcomes.set(evaluation);
        }
    }
}

impl Observers {
    /// Puts the observers together, with nothing counted.
    pub fn new(
        model_metrics: Option<ModelMetricsOptions>,
        drift: Option<Drift>,
        ground_truth: Option<GroundTruth>,
        counters: &Counters,
    ) -> Observers {
        let shown = Published {
            outcomes: ground_truth.as_ref().map(|truth| Arc::new(PublishedOutcomes::new(truth.options()))),
            model_metrics: model_metrics.as_ref().map(|options| Arc::new(PublishedCounts::new(options))),
            drift: drift.as_ref().map(|drift| Arc::new(PublishedDrift::new(drift.options()))),
        };
        let model_metrics = model_metrics.map(|options| ModelMetrics::new(options, counters));
        Observers { model_metrics, drift, ground_truth, shown, moved: false }
    }

    /// Goes on from what [`Observers::state`] gave, and shows it; `null` is nothing.
    ///
    /// # Errors
    /// When it is of another shape: nothing is counted then.
    pub fn restore(&mut self, state: Value) -> Result<(), serde_json::Error> {
        let state = if state.is_null() { ObserverCounts::default() } else { serde_json::from_value(state)? };
        if let (Some(observer), Some(counts)) = (&mut self.model_metrics, state.model_metrics) {
            observer.restore(counts);
        }
        if let (Some(observer), Some(counts)) = (&mut self.drift, state.drift) {
            observer.restore(counts);
        }
        self.publish();
        Ok(())
    }

    /// The conditions of what is counted.
    pub fn conditions(&self) -> impl Iterator<Item = &Expression> {
        let of_drift = self.drift.as_ref().and_then(|drift| drift.options().inferences.as_ref());
        let of_truth = self.ground_truth.as_ref().map(GroundTruth::options);
        let of_truth = of_truth.into_iter().flat_map(|options| options.inferences.iter().chain([&options.flagged]));
        self.model_metrics.as_ref().map(ModelMetrics::inferences).into_iter().chain(of_drift).chain(of_truth)
    }

    /// Looks at one enriched record of this `_id` and time in microseconds since 1970, whose conditions are asked of `document`. Allocates
    /// nothing, except where a label's value is seen for the first time or is written with escapes, and at the end of a window.
    pub fn observe(&mut self, record: &Record<'_>, document: &dyn Fields, id: Id, time_us: i64) {
        let is_counted = self.model_metrics.as_mut().is_some_and(|observer| observer.observe(record, document));
        self.moved |= is_counted;
        if let Some(drift) = &mut self.drift {
            let is_measured = drift.options().inferences.as_ref().map_or(is_counted, |own| own.matches(document));
            if is_measured {
                drift.observe(record, time_us);
                self.moved = true;
            }
        }
        if let Some(truth) = &mut self.ground_truth
            && truth.options().inferences.as_ref().map_or(is_counted, |own| own.matches(document))
        {
            truth.observe(record, document, id, time_us);
        }
    }

    /// Takes note of the time, in microseconds since 1970, while every file is read to its end.
    pub fn pass_time(&mut self, now_us: i64) {
        self.moved |= self.drift.as_mut().is_some_and(|drift| drift.pass_time(now_us));
    }

    /// Ends what is open at this moment: nothing more comes.
    pub fn finish(&mut self, now_us: i64) {
        if let Some(drift) = &mut self.drift {
            drift.finish(now_us);
            self.moved = true;
        }
    }

    /// Whether the documents of the next windows may come.
    pub fn set_room(&mut self, has_room: bool) {
        if let Some(drift) = &mut self.drift {
            drift.set_held(!has_room);
        }
    }

    /// Whether more records may be observed before [`Observers::write_down`].
    pub fn has_room(&self) -> bool {
        self.ground_truth.as_ref().is_none_or(GroundTruth::has_room)
    }

    /// Whether no more records or labels may come before [`Observers::write_down`].
    pub fn is_full(&self) -> bool {
        self.ground_truth.as_ref().is_some_and(|truth| !truth.has_room() || truth.labels_room() == 0)
    }

    /// How many labels may be brought before [`Observers::write_down`].
    pub fn labels_room(&self) -> usize {
        self.ground_truth.as_ref().map_or(0, GroundTruth::labels_room)
    }

    /// Takes labels, which were read up to a place.
    pub fn take_labels(&mut self, labels: Vec<LabelLine>, progress: Progress) {
        if let Some(truth) = &mut self.ground_truth {
            truth.take_labels(labels, progress);
        }
    }

    /// Writes down what is not kept in [`Observers::state`]. To be done before the checkpoint says that it was observed.
    ///
    /// # Errors
    /// When it cannot be written: what waits still does.
    pub fn write_down(&mut self, now_us: i64) -> Result<(), LedgerError> {
        self.ground_truth.as_mut().map_or(Ok(()), |truth| truth.write_down(now_us))
    }

    /// Documents that have to be kept together with [`Observers::state`]; those of outcomes only as far as there is room.
    ///
    /// # Errors
    /// When those of outcomes cannot be read; there are none then.
    pub fn take_documents(&mut self, has_room: bool) -> Result<Vec<OwnDocument>, LedgerError> {
        let mut documents = match &mut self.ground_truth {
            Some(truth) if has_room => truth.documents()?,
            _ => Vec::new(),
        };
        documents.extend(self.drift.as_mut().map(Drift::take_documents).unwrap_or_default());
        Ok(documents)
    }

    /// What [`Observers::take_documents`] gave is kept.
    ///
    /// # Errors
    /// When that cannot be written down: they are given out again after a restart.
    pub fn documents_kept(&mut self) -> Result<(), LedgerError> {
        self.ground_truth.as_mut().map_or(Ok(()), GroundTruth::documents_kept)
    }

    /// Measures what the ledger of outcomes holds, when it is time to, and shows it.
    ///
    /// # Errors
    /// When it cannot be read: what was measured before is shown on.
    pub fn evaluate(&mut self, now_us: i64) -> Result<(), LedgerError> {
        if let (Some(truth), Some(shown)) = (&mut self.ground_truth, &self.shown.outcomes)
            && let Some(evaluation) = truth.evaluate(now_us)?
        {
            shown.set(evaluation);
        }
        Ok(())
    }

    /// Measures at the stop, when everything is written down, and leaves the documents of it for [`Observers::take_documents`].
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn evaluate_last(&mut self, now_us: i64) -> Result<(), LedgerError> {
        if let (Some(truth), Some(shown)) = (&mut self.ground_truth, &self.shown.outcomes) {
            shown.set(truth.evaluate_last(now_us)?);
        }
        Ok(())
    }

    /// Whether there is something to measure at the stop, for which it may wait; `has_time`: however long it takes.
    pub fn can_evaluate_last(&self, has_time: bool) -> bool {
        self.ground_truth.as_ref().is_some_and(|truth| has_time || truth.is_quick())
    }

    /// True when the counts have moved since they were published.
    pub fn is_dirty(&self) -> bool {
        self.moved || self.ground_truth.as_ref().is_some_and(GroundTruth::is_dirty)
    }

    /// The counts, for the checkpoint; `None` when there is no observer.
    pub fn state(&self) -> Option<impl Serialize + '_> {
        let (model_metrics, drift) = (self.model_metrics.as_ref(), self.drift.as_ref());
        (model_metrics.is_some() || drift.is_some()).then(|| ObserverCountsView {
            model_metrics: model_metrics.map(ModelMetrics::counts),
            drift: drift.map(Drift::counts),
        })
    }

    /// Shows the counts as they are now. Call it when they are safely on disk, and only then.
    pub fn publish(&mut self) {
        if let (Some(observer), Some(shown)) = (&self.model_metrics, &self.shown.model_metrics) {
            shown.set(observer.counts().clone());
        }
        if let (Some(observer), Some(shown)) = (&mut self.drift, &self.shown.drift)
            && let Some(news) = observer.take_news()
        {
            shown.set(news);
        }
        self.moved = false;
    }

    /// What is shown, for [`ModelSeries`].
    pub fn shown(&self) -> Published {
        self.shown.clone()
    }
}

#[cfg(test)]
mod tests;
