//! What the model metrics have counted, as it is in memory and in the checkpoint.
//!
//! ```text
//! { "models": { "fraud": { "versions": { "3.2.1": { "requests": { "success": 41, "error": 1 },
//!                                                   "errors": { "ValueError": 1 },
//!                                                   "latency": { "buckets": [0,7,…], "sum": {…} } } },
//!                          "predictions": { "fraud": 3, "normal": 38 }, "confidence": {…} } },
//!   "labels": ["stage"], "value_bounds": [0.0,1.0] }
//! ```
//!
//! With further labels a model's name is followed by their values, each behind a [`SEPARATOR`]. What is counted by other
//! labels or other bounds than those of today cannot be told apart, and begins anew.

use serde::{Deserialize, Serialize};

use super::histogram::Histogram;
use super::options::{
    CONFIDENCE_BOUNDS, Kind, LATENCY_BOUNDS_SECONDS, LATENCY_MS_MAX, ModelMetricsOptions,
    TIME_TO_FIRST_TOKEN_BOUNDS_SECONDS, TOKEN_BOUNDS, TOKENS_MAX, VALUE_MAX,
};
use super::table::LabelTable;

/// All that was counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelCounts {
    /// By model name and the values of further labels; an empty one is for records without.
    pub(super) models: LabelTable<Model>,
    /// The fields of the further labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) labels: Vec<String>,
    /// Upper bounds of the predicted values' buckets, where they are counted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) value_bounds: Vec<f64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Model {
    /// By model version.
    pub(super) versions: LabelTable<Version>,
    /// How many, by predicted class.
    #[serde(skip_serializing_if = "LabelTable::is_empty")]
    pub(super) predictions: LabelTable<u64>,
    /// How many, by each label of a prediction that has several.
    #[serde(skip_serializing_if = "LabelTable::is_empty")]
    pub(super) labels: LabelTable<u64>,
    #[serde(skip_serializing_if = "Histogram::is_empty")]
    pub(super) confidence: Histogram,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Version {
    /// How many, by status.
    pub(super) requests: LabelTable<u64>,
    /// How many of them failed, by type.
    #[serde(skip_serializing_if = "LabelTable::is_empty")]
    pub(super) errors: LabelTable<u64>,
    /// In seconds.
    #[serde(skip_serializing_if = "Histogram::is_empty")]
    pub(super) latency: Histogram,
    /// The predicted numbers.
    #[serde(skip_serializing_if = "Histogram::is_empty")]
    pub(super) values: Histogram,
    /// In seconds.
    #[serde(skip_serializing_if = "Histogram::is_empty")]
    pub(super) time_to_first_token: Histogram,
    #[serde(skip_serializing_if = "Histogram::is_empty")]
    pub(super) input_tokens: Histogram,
    #[serde(skip_serializing_if = "Histogram::is_empty")]
    pub(super) output_tokens: Histogram,
    /// How many, by why a generation ended.
    #[serde(skip_serializing_if = "LabelTable::is_empty")]
    pub(super) finish_reasons: LabelTable<u64>,
}

/// What of earlier counts could not be gone on from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Restored {
    /// How many histograms had a sum that cannot be true.
    pub(super) impossible: usize,
    /// They were counted by other labels.
    pub(super) other_labels: bool,
    /// The predicted values were counted by other bounds.
    pub(super) other_bounds: bool,
}

impl ModelCounts {
    /// Nothing counted yet, as these options want it.
    pub(super) fn new(options: &ModelMetricsOptions) -> ModelCounts {
        let labels = options.labels.iter().map(|path| path.as_str().to_owned()).collect();
        let is_of_values = options.kind == Kind::Regression;
        let value_bounds = if is_of_values { options.value_buckets.clone() } else { Vec::new() };
        ModelCounts { models: LabelTable::default(), labels, value_bounds }
    }

    /// Goes on from earlier counts, as far as they can be true and are of the same kind.
    pub(super) fn restore(&mut self, earlier: ModelCounts, kind: Kind) -> Restored {
        let mut restored = Restored {
            impossible: 0,
            other_labels: earlier.labels != self.labels && !earlier.models.is_empty(),
            other_bounds: earlier.value_bounds != self.value_bounds && !earlier.value_bounds.is_empty(),
        };
        if restored.other_labels {
            return restored;
        }
        self.models = earlier.models;
        let bounds = &self.value_bounds;
        for model in self.models.values_mut() {
            model.keep(kind);
            restored.impossible += reset_if_impossible(&mut model.confidence, 1.0, &CONFIDENCE_BOUNDS);
            for version in model.versions.values_mut() {
                version.keep(kind, restored.other_bounds);
                restored.impossible += version.reset_impossible(bounds);
            }
        }
        restored
    }

    /// How many values there are in all tables.
    pub(super) fn values(&self) -> usize {
        let of_version =
            |version: &Version| version.requests.len() + version.errors.len() + version.finish_reasons.len();
        let of_model = |model: &Model| {
            let versions: usize = model.versions.iter().map(|(_, version)| of_version(version)).sum();
            model.predictions.len() + model.labels.len() + model.versions.len() + versions
        };
        self.models.len() + self.models.iter().map(|(_, model)| of_model(model)).sum::<usize>()
    }
}

impl Model {
    /// Forgets what a model of this kind has not: the pipeline file may have said another one.
    fn keep(&mut self, kind: Kind) {
        if kind != Kind::Classification {
            self.predictions = LabelTable::default();
        }
        if kind != Kind::Multilabel {
            self.labels = LabelTable::default();
        }
    }
}

impl Version {
    fn keep(&mut self, kind: Kind, other_bounds: bool) {
        if kind != Kind::Regression || other_bounds {
            self.values = Histogram::default();
        }
        if kind != Kind::Generation {
            self.time_to_first_token = Histogram::default();
            self.input_tokens = Histogram::default();
            self.output_tokens = Histogram::default();
            self.finish_reasons = LabelTable::default();
        }
    }

    fn reset_impossible(&mut self, value_bounds: &[f64]) -> usize {
        let seconds_max = LATENCY_MS_MAX / 1_000.0;
        reset_if_impossible(&mut self.latency, seconds_max, &LATENCY_BOUNDS_SECONDS)
            + reset_if_impossible(&mut self.values, VALUE_MAX, value_bounds)
            + reset_if_impossible(&mut self.time_to_first_token, seconds_max, &TIME_TO_FIRST_TOKEN_BOUNDS_SECONDS)
            + reset_if_impossible(&mut self.input_tokens, TOKENS_MAX, &TOKEN_BOUNDS)
            + reset_if_impossible(&mut self.output_tokens, TOKENS_MAX, &TOKEN_BOUNDS)
    }
}

/// Empties a histogram that cannot be true, and says how many that were.
fn reset_if_impossible(histogram: &mut Histogram, value_max: f64, bounds: &[f64]) -> usize {
    if histogram.is_possible(value_max, bounds) {
        return 0;
    }
    *histogram = Histogram::default();
    1
}
