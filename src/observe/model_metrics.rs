//! Model metrics: how many requests, how fast, what was predicted, and how sure was the model?
//!
//! Reads the heart fields of records that are inferences: `model_name`, `model_version`, `status` and `prediction` as
//! labels (text, numbers as they are written, `true`, `false`), `latency_ms` and `confidence` as JSON numbers. A
//! record without `status` or `model_version` is a request with that label empty; one without a prediction, latency or
//! confidence is left out of that metric alone. What is there and cannot be used (a number in quotes, a latency that is negative
//! or longer than a day, a confidence beyond 0 to 1, a prediction that is an object or array) is left out as well, and counted.
//!
//! On disk:
//!
//! ```text
//! { "models": { "fraud": { "versions": { "3.2.1": { "requests": { "success": 41, "error": 1 },
//!                                                   "latency": { "buckets": [0,7,…], "sum": {…} } } },
//!                          "predictions": { "fraud": 3, "normal": 38 }, "confidence": {…} } } }
//! ```

use std::borrow::Cow;

use prometheus_client::metrics::counter::Counter;
use serde::{Deserialize, Serialize};

use super::table::{LabelRoom, LabelTable};
use crate::kql::{Expression, Fields, Value};
use crate::record::{Record, json};
use crate::telemetry::Counters;

/// Upper bounds of the latency's buckets, in seconds.
pub const LATENCY_BOUNDS_SECONDS: [f64; 7] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// Upper bounds of the confidence's buckets.
pub const CONFIDENCE_BOUNDS: [f64; 7] = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99];

/// The longest latency that is believed, in milliseconds: a day. What is longer is no latency (a moment since 1970, the
/// largest number of a type) and would spoil the sum for good.
pub const LATENCY_MS_MAX: f64 = 86_400_000.0;

/// What is counted, and how it is shown.
#[derive(Clone, Debug)]
pub struct ModelMetricsOptions {
    /// Which records are inferences.
    pub inferences: Expression,
    /// Shows the label `model_name` from the start, and not only when a second name is seen.
    pub model_name: bool,
}

/// The observer.
#[derive(Debug)]
pub struct ModelMetrics {
    inferences: Expression,
    counts: ModelCounts,
    room: LabelRoom,
    unusable: UnusableCounters,
    passed_over: Counter,
}

/// How often a field was there and could not be used.
#[derive(Debug)]
struct UnusableCounters {
    prediction: Counter,
    latency_ms: Counter,
    confidence: Counter,
}

/// All that was counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelCounts {
    /// By model name; the empty one is for records without.
    #[serde(default)]
    pub(super) models: LabelTable<Model>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Model {
    /// By model version.
    pub(super) versions: LabelTable<Version>,
    /// How many, by label.
    pub(super) predictions: LabelTable<u64>,
    pub(super) confidence: Histogram,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Version {
    /// How many, by status.
    pub(super) requests: LabelTable<u64>,
    /// In seconds.
    pub(super) latency: Histogram,
}

/// How many values are within each bound and above the one before; the last are above all bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Histogram {
    pub(super) buckets: [u64; 8],
    pub(super) sum: Sum,
}

/// A sum in whole numbers, so that it is the same after any order of adding, writing and reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sum {
    units: u64,
    /// Below one billion.
    billionths: u32,
}

const BILLION: u64 = 1_000_000_000;

impl ModelMetrics {
    /// An observer that has counted nothing.
    pub fn new(options: ModelMetricsOptions, counters: &Counters) -> ModelMetrics {
        ModelMetrics {
            inferences: options.inferences,
            counts: ModelCounts::default(),
            room: LabelRoom { taken: 0, refused: counters.observe_capped_labels_total.clone(), warned: false },
            unusable: UnusableCounters {
                prediction: counters.unusable("prediction"),
                latency_ms: counters.unusable("latency_ms"),
                confidence: counters.unusable("confidence"),
            },
            passed_over: counters.observe_passed_over_records_total.clone(),
        }
    }

    /// What is counted so far.
    pub fn counts(&self) -> &ModelCounts {
        &self.counts
    }

    /// Goes on from earlier counts. A histogram of which the sum cannot be true begins anew, which readers of counters
    /// take for a restart: it was counted when any number was believed.
    pub fn restore(&mut self, mut counts: ModelCounts) {
        let begun_anew = counts.drop_impossible();
        if begun_anew > 0 {
            tracing::warn!(
                histograms = begun_anew,
                hint = "`rate()` and the like take it for a restart",
                "sums of latencies or confidences in the checkpoint are beyond what can be; they begin anew from 0"
            );
        }
        self.room.taken = counts.values();
        self.counts = counts;
    }

    /// Which records are inferences.
    pub fn inferences(&self) -> &Expression {
        &self.inferences
    }

    /// Counts a record if it is an inference, by what its document has, and says whether it is.
    pub fn observe(&mut self, record: &Record<'_>, document: &dyn Fields) -> bool {
        if !self.inferences.matches(document) {
            if looks_like_an_inference(record) {
                self.passed_over.inc();
            }
            return false;
        }
        let room = &mut self.room;
        let text = |field| record.first(field).and_then(label).unwrap_or_default();
        let model = self.counts.models.of("model_name", &text("model_name"), room);
        let version = model.versions.of("model_version", &text("model_version"), room);
        *version.requests.of("status", &text("status"), room) += 1;
        if let Some(raw) = present(record, "prediction") {
            match label(raw) {
                Some(value) => *model.predictions.of("label", &value, room) += 1,
                None => drop(self.unusable.prediction.inc()),
            }
        }
        if let Some(raw) = present(record, "latency_ms") {
            match number(raw, 0.0..=LATENCY_MS_MAX) {
                Some(milliseconds) => version.latency.add(milliseconds / 1_000.0, &LATENCY_BOUNDS_SECONDS),
                None => drop(self.unusable.latency_ms.inc()),
            }
        }
        if let Some(raw) = present(record, "confidence") {
            match number(raw, 0.0..=1.0) {
                Some(confidence) => model.confidence.add(confidence, &CONFIDENCE_BOUNDS),
                None => drop(self.unusable.confidence.inc()),
            }
        }
        true
    }
}

impl ModelCounts {
    /// How many values there are in all tables.
    fn values(&self) -> usize {
        let of_model = |model: &Model| {
            let requests: usize = model.versions.iter().map(|(_, version)| version.requests.len()).sum();
            model.predictions.len() + model.versions.len() + requests
        };
        self.models.len() + self.models.iter().map(|(_, model)| of_model(model)).sum::<usize>()
    }
}

impl ModelCounts {
    /// Empties the histograms that cannot be true, and gives how many those were.
    fn drop_impossible(&mut self) -> usize {
        let mut dropped = 0;
        let mut look = |histogram: &mut Histogram, value_max: f64| {
            if !histogram.is_possible(value_max) {
                *histogram = Histogram::default();
                dropped += 1;
            }
        };
        for model in self.models.values_mut() {
            look(&mut model.confidence, 1.0);
            model.versions.values_mut().for_each(|version| look(&mut version.latency, LATENCY_MS_MAX / 1_000.0));
        }
        dropped
    }
}

impl Histogram {
    /// True if so many values of at most so much can have this sum.
    fn is_possible(&self, value_max: f64) -> bool {
        let count = self.buckets.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count));
        // A value is rounded to a billionth.
        count.is_some_and(|count| self.sum.as_f64() <= count as f64 * (value_max + 1e-9) * (1.0 + f64::EPSILON * 4.0))
    }

    fn add(&mut self, value: f64, bounds: &[f64; 7]) {
        let bucket = bounds.iter().take_while(|bound| value > **bound).count();
        self.buckets[bucket] += 1;
        self.sum.add(Sum { units: value as u64, billionths: (value.fract() * BILLION as f64).round() as u32 });
    }

    /// Adds what another one has counted.
    pub(super) fn merge(&mut self, other: &Histogram) {
        self.buckets.iter_mut().zip(other.buckets).for_each(|(mine, its)| *mine += its);
        self.sum.add(other.sum);
    }

    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

impl Sum {
    fn add(&mut self, other: Sum) {
        let billionths = u64::from(self.billionths) + u64::from(other.billionths);
        self.units = self.units.saturating_add(other.units).saturating_add(billionths / BILLION);
        self.billionths = (billionths % BILLION) as u32;
    }

    pub(super) fn as_f64(self) -> f64 {
        self.units as f64 + f64::from(self.billionths) / BILLION as f64
    }
}

/// Whether a record has what only inferences have.
pub fn looks_like_an_inference(record: &Record<'_>) -> bool {
    ["prediction", "confidence", "latency_ms"].iter().any(|field| present(record, field).is_some())
}

/// The raw value of a field; `null` is none.
fn present<'r>(record: &'r Record<'_>, field: &str) -> Option<&'r str> {
    record.first(field).filter(|raw| *raw != "null")
}

/// The text of a scalar.
fn label(raw: &str) -> Option<Cow<'_, str>> {
    if raw.starts_with('[') {
        return None;
    }
    match json::value(raw) {
        Value::String(text) => Some(text),
        Value::Number(_) | Value::Boolean(_) => Some(Cow::Borrowed(raw)),
        Value::Null | Value::Object => None,
    }
}

/// A JSON number within a range.
fn number(raw: &str, range: std::ops::RangeInclusive<f64>) -> Option<f64> {
    let value = raw.parse().ok()?;
    range.contains(&value).then_some(value)
}

#[cfg(test)]
mod tests;
