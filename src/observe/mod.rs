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
mod histogram;
pub mod model_metrics;
pub mod options;
mod outcome;
mod table;
mod value;

pub use exposition::{ModelSeries, Published, label_name};
pub use table::{LABEL_BYTES_MAX, LABEL_VALUES_MAX, OTHER, SERIES_MAX};
pub use value::label_text;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::flow::own_document::OwnDocument;
use crate::kql::{Expression, Fields};
use crate::record::Record;
use crate::telemetry::Counters;
use counts::ModelCounts;
use drift::{Drift, DriftCounts, DriftCountsView, PublishedDrift};
use exposition::PublishedCounts;
use model_metrics::ModelMetrics;
use options::ModelMetricsOptions;

/// The observers of one pipeline.
#[derive(Debug)]
pub struct Observers {
    model_metrics: Option<ModelMetrics>,
    drift: Option<Drift>,
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

impl Observers {
    /// Puts the observers together, with nothing counted.
    pub fn new(model_metrics: Option<ModelMetricsOptions>, drift: Option<Drift>, counters: &Counters) -> Observers {
        let shown = Published {
            model_metrics: model_metrics.as_ref().map(|options| Arc::new(PublishedCounts::new(options))),
            drift: drift.as_ref().map(|drift| Arc::new(PublishedDrift::new(drift.options()))),
        };
        let model_metrics = model_metrics.map(|options| ModelMetrics::new(options, counters));
        Observers { model_metrics, drift, shown, moved: false }
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
        self.model_metrics.as_ref().map(ModelMetrics::inferences).into_iter().chain(of_drift)
    }

    /// Looks at one enriched record of this time in microseconds since 1970, whose conditions are asked of `document`. Allocates
    /// nothing, except where a label's value is seen for the first time or is written with escapes, and at the end of a window.
    pub fn observe(&mut self, record: &Record<'_>, document: &dyn Fields, time_us: i64) {
        let is_counted = self.model_metrics.as_mut().is_some_and(|observer| observer.observe(record, document));
        self.moved |= is_counted;
        if let Some(drift) = &mut self.drift {
            let is_measured = drift.options().inferences.as_ref().map_or(is_counted, |own| own.matches(document));
            if is_measured {
                drift.observe(record, time_us);
                self.moved = true;
            }
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

    /// Documents that have to be kept together with [`Observers::state`].
    pub fn take_documents(&mut self) -> Vec<OwnDocument> {
        self.drift.as_mut().map(Drift::take_documents).unwrap_or_default()
    }

    /// True when the counts have moved since they were published.
    pub fn is_dirty(&self) -> bool {
        self.moved
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
