//! The data views: one for each kind of documents that inferlog ships.

use serde::Deserialize;

/// A data view of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataView {
    /// Records.
    Inference,
    /// Labels and reviews beside their predictions.
    Outcome,
    /// Drift by window, model version and feature.
    Drift,
    /// What pipelines say of themselves.
    Pipeline,
}

impl DataView {
    /// All of them.
    pub const ALL: [DataView; 4] = [DataView::Inference, DataView::Outcome, DataView::Drift, DataView::Pipeline];

    /// The word by which sources name it.
    pub fn as_str(self) -> &'static str {
        match self {
            DataView::Inference => "inference",
            DataView::Outcome => "outcome",
            DataView::Drift => "drift",
            DataView::Pipeline => "pipeline",
        }
    }

    /// The id of the saved object.
    pub fn id(self) -> &'static str {
        match self {
            DataView::Inference => "inferlog-inference",
            DataView::Outcome => "inferlog-outcome",
            DataView::Drift => "inferlog-drift",
            DataView::Pipeline => "inferlog-pipeline",
        }
    }

    /// The indices that it shows.
    pub fn pattern(self) -> &'static str {
        match self {
            DataView::Inference => "logs-ml.inference-*",
            DataView::Outcome => "logs-ml.outcome-*",
            DataView::Drift => "metrics-ml.drift-*",
            DataView::Pipeline => "metrics-ml.pipeline-*",
        }
    }
}
