//! Observe: what do the records say about the models?
//!
//! Observers see every enriched record, also those that a processor drops from delivery, and change none. What they
//! have counted is plain data. It is saved in the checkpoint together with the offset up to which each file is counted,
//! so that lines that are read again after a crash are not counted again; and what is shown to the world is what was
//! saved last ([`Observers::publish`]), so that no series ever goes back.
//!
//! An observer that is taken out of the pipeline file loses its counts at the next save.

mod counts;
mod exposition;
mod histogram;
pub mod model_metrics;
pub mod options;
mod outcome;
mod table;
mod value;

pub use exposition::{ModelSeries, PublishedCounts, label_name};
pub use table::{LABEL_BYTES_MAX, LABEL_VALUES_MAX, OTHER, SERIES_MAX};

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kql::{Expression, Fields};
use crate::record::Record;
use crate::telemetry::Counters;
use counts::ModelCounts;
use model_metrics::ModelMetrics;
use options::ModelMetricsOptions;

/// The observers of one pipeline.
#[derive(Debug)]
pub struct Observers {
    model_metrics: Option<ModelMetrics>,
    /// What of the model metrics is shown.
    shown: Option<Arc<PublishedCounts>>,
    /// Something was counted since the last [`Observers::publish`].
    moved: bool,
}

/// The counts of all observers, as the checkpoint keeps them.
#[derive(Debug, Default, Serialize, Deserialize)]
struct ObserverCounts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model_metrics: Option<ModelCounts>,
}

impl Observers {
    /// Puts the observers together, with nothing counted.
    pub fn new(model_metrics: Option<ModelMetricsOptions>, counters: &Counters) -> Observers {
        let shown = model_metrics.as_ref().map(|options| Arc::new(PublishedCounts::new(options)));
        let model_metrics = model_metrics.map(|options| ModelMetrics::new(options, counters));
        Observers { model_metrics, shown, moved: false }
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
        self.publish();
        Ok(())
    }

    /// The condition of what is counted, if there is one.
    pub fn condition(&self) -> Option<&Expression> {
        self.model_metrics.as_ref().map(ModelMetrics::inferences)
    }

    /// Looks at one enriched record, whose condition is asked of `document`. Allocates nothing, except where a label's value is seen for the first time or is
    /// written with escapes.
    pub fn observe(&mut self, record: &Record<'_>, document: &dyn Fields) {
        if let Some(observer) = &mut self.model_metrics {
            self.moved |= observer.observe(record, document);
        }
    }

    /// True when the counts have moved since they were published.
    pub fn is_dirty(&self) -> bool {
        self.moved
    }

    /// The counts, for the checkpoint; `null` when there is no observer.
    pub fn state(&self) -> Value {
        let Some(observer) = &self.model_metrics else { return Value::Null };
        let state = ObserverCounts { model_metrics: Some(observer.counts().clone()) };
        serde_json::to_value(state).unwrap_or_default()
    }

    /// Shows the counts as they are now. Call it when they are safely on disk, and only then.
    pub fn publish(&mut self) {
        if let (Some(observer), Some(shown)) = (&self.model_metrics, &self.shown) {
            shown.set(observer.counts().clone());
        }
        self.moved = false;
    }

    /// What is shown of the model metrics, for [`ModelSeries`]; `None` without that observer.
    pub fn shown(&self) -> Option<Arc<PublishedCounts>> {
        self.shown.clone()
    }
}

#[cfg(test)]
mod tests;
