//! Model metrics: how many requests, how fast, what was predicted, and how sure was the model?
//!
//! Reads the heart fields of records that are inferences: `model_name`, `model_version`, `status` and `prediction` as
//! labels (text, numbers as they are written, `true`, `false`), `latency_ms` and `confidence` as JSON numbers. A
//! record without `model_version` is a request with that label empty; one without a prediction, latency or
//! confidence is left out of that metric alone. What is there and cannot be used (a number in quotes, a latency that is negative
//! or longer than a day, a confidence beyond 0 to 1, a class that is an object or array) is left out as well, and counted.
//! How an inference ended is read by [`super::outcome`]; what is counted besides depends on the [`Kind`] of the model.

use crate::kql::{Expression, Fields, Value};
use crate::record::{Path, Record, json};
use crate::telemetry::{Counter, Counters};

use super::counts::{Model, ModelCounts, Restored, Version};
use super::histogram::Histogram;
use super::options::{
    CONFIDENCE_BOUNDS, Kind, LATENCY_BOUNDS_SECONDS, LATENCY_MS_MAX, ModelMetricsOptions, ObservedFields,
    TIME_TO_FIRST_TOKEN_BOUNDS_SECONDS, TOKEN_BOUNDS, TOKENS_MAX, VALUE_MAX,
};
use super::outcome::outcome;
use super::table::{LABEL_BYTES_MAX, LabelRoom, LabelTable, OTHER, SEPARATOR};
use super::value::{first_present, label, label_text, number, present};

/// The observer.
#[derive(Debug)]
pub struct ModelMetrics {
    options: ModelMetricsOptions,
    counts: ModelCounts,
    room: LabelRoom,
    unusable: UnusableCounters,
    passed_over: Counter,
    /// The name of a model and the values of further labels, as [`ModelCounts`] has them.
    key: String,
}

/// How often a field was there and could not be used.
#[derive(Debug)]
struct UnusableCounters {
    prediction: Counter,
    latency_ms: Counter,
    confidence: Counter,
    time_to_first_token: Counter,
    input_tokens: Counter,
    output_tokens: Counter,
}

impl ModelMetrics {
    /// An observer that has counted nothing.
    pub fn new(options: ModelMetricsOptions, counters: &Counters) -> ModelMetrics {
        ModelMetrics {
            counts: ModelCounts::new(&options),
            room: LabelRoom { taken: 0, refused: counters.observe_capped_labels_total.clone(), warned: false },
            unusable: UnusableCounters {
                prediction: counters.unusable("prediction"),
                latency_ms: counters.unusable("latency_ms"),
                confidence: counters.unusable("confidence"),
                time_to_first_token: counters.unusable("time_to_first_token"),
                input_tokens: counters.unusable("input_tokens"),
                output_tokens: counters.unusable("output_tokens"),
            },
            passed_over: counters.observe_passed_over_total.clone(),
            key: String::new(),
            options,
        }
    }

    /// What is counted so far.
    pub fn counts(&self) -> &ModelCounts {
        &self.counts
    }

    /// Goes on from earlier counts. What cannot be gone on from begins anew, which readers of counters take for a restart.
    pub fn restore(&mut self, earlier: ModelCounts) {
        let Restored { impossible, other_labels, other_bounds } = self.counts.restore(earlier, self.options.kind);
        let hint = "`rate()` and the like take it for a restart";
        if impossible > 0 {
            tracing::warn!(
                histograms = impossible,
                hint,
                "sums of latencies or confidences in the checkpoint are beyond what can be; they begin anew from 0"
            );
        }
        if other_labels {
            tracing::warn!(hint, "the model metrics have other labels than before; all of them begin anew from 0");
        }
        if other_bounds {
            tracing::warn!(hint, "`value_buckets` are others than before; the predicted values begin anew from 0");
        }
        self.room.taken = self.counts.values();
    }

    /// Which records are inferences.
    pub fn inferences(&self) -> &Expression {
        &self.options.inferences
    }

    /// Counts a record if it is an inference, by what its document has, and says whether it is.
    pub fn observe(&mut self, record: &Record<'_>, document: &dyn Fields) -> bool {
        if !self.options.inferences.matches(document) {
            if heart_field(record).is_some() {
                self.passed_over.inc();
            }
            return false;
        }
        let ModelMetrics { options, counts, room, unusable, key, .. } = self;
        write_key(record, &options.labels, room, key);
        let model = counts.models.of("model_name", key, room);
        let version = model.versions.of("model_version", &label_text(record, "model_version"), room);
        let ended = outcome(record, &options.fields.error);
        *version.requests.of("status", &ended.status, room) += 1;
        if let Some(error_type) = ended.error {
            *version.errors.of("type", &error_type, room) += 1;
        }
        if let Some(raw) = present(record, "latency_ms") {
            match number(raw, 0.0..=LATENCY_MS_MAX) {
                Some(milliseconds) => version.latency.add(milliseconds / 1_000.0, &LATENCY_BOUNDS_SECONDS),
                None => drop(unusable.latency_ms.inc()),
            }
        }
        if let Some(raw) = present(record, "confidence") {
            match number(raw, 0.0..=1.0) {
                Some(confidence) => model.confidence.add(confidence, &CONFIDENCE_BOUNDS),
                None => drop(unusable.confidence.inc()),
            }
        }
        match options.kind {
            Kind::Classification => count_class(record, model, room, unusable),
            Kind::Multilabel => count_labels(record, model, room, unusable),
            Kind::Regression => count_value(record, version, &options.value_buckets, unusable),
            Kind::Generation => count_generation(record, version, &options.fields, room, unusable),
        }
        true
    }
}

/// Writes a model's name and the values of further labels, which are not looked up where there are none.
fn write_key(record: &Record<'_>, labels: &[Path], room: &mut LabelRoom, key: &mut String) {
    key.clear();
    for (position, field) in std::iter::once("model_name").chain(labels.iter().map(Path::as_str)).enumerate() {
        if position > 0 {
            key.push(SEPARATOR);
        }
        let value = label_text(record, field);
        let is_fit = value.len() <= LABEL_BYTES_MAX && !value.contains(SEPARATOR);
        if !is_fit {
            room.refuse(field);
        }
        key.push_str(if is_fit { &value } else { OTHER });
    }
}

fn count_class(record: &Record<'_>, model: &mut Model, room: &mut LabelRoom, unusable: &UnusableCounters) {
    let Some(raw) = present(record, "prediction") else { return };
    match label(raw) {
        Some(value) => *model.predictions.of("label", &value, room) += 1,
        None => drop(unusable.prediction.inc()),
    }
}

/// Counts each label of an array, or the only one.
fn count_labels(record: &Record<'_>, model: &mut Model, room: &mut LabelRoom, unusable: &UnusableCounters) {
    let Some(raw) = present(record, "prediction") else { return };
    count_each(raw, "label", &mut model.labels, room, &unusable.prediction);
}

fn count_value(record: &Record<'_>, version: &mut Version, bounds: &[f64], unusable: &UnusableCounters) {
    let Some(raw) = present(record, "prediction") else { return };
    match number(raw, -VALUE_MAX..=VALUE_MAX) {
        Some(value) => version.values.add(value, bounds),
        None => drop(unusable.prediction.inc()),
    }
}

fn count_generation(
    record: &Record<'_>,
    version: &mut Version,
    fields: &ObservedFields,
    room: &mut LabelRoom,
    unusable: &UnusableCounters,
) {
    if let Some((field, raw)) = first_present(record, &fields.time_to_first_token) {
        let units_of_a_second = if field.as_str().ends_with("_ms") { 1_000.0 } else { 1.0 };
        match number(raw, 0.0..=LATENCY_MS_MAX / 1_000.0 * units_of_a_second) {
            Some(time) => {
                version.time_to_first_token.add(time / units_of_a_second, &TIME_TO_FIRST_TOKEN_BOUNDS_SECONDS);
            }
            None => drop(unusable.time_to_first_token.inc()),
        }
    }
    count_tokens(record, &fields.input_tokens, &mut version.input_tokens, &unusable.input_tokens);
    count_tokens(record, &fields.output_tokens, &mut version.output_tokens, &unusable.output_tokens);
    for field in &fields.finish_reason {
        let mut found = false;
        record.any(field, &mut |raw| {
            found |= raw != "null";
            // What is no text is no reason, and nothing that anybody would look for.
            count_each(raw, "reason", &mut version.finish_reasons, room, &Counter::default());
            false
        });
        if found {
            break;
        }
    }
}

fn count_tokens(record: &Record<'_>, fields: &[Path], histogram: &mut Histogram, unusable: &Counter) {
    let Some((_, raw)) = first_present(record, fields) else { return };
    match number(raw, 0.0..=TOKENS_MAX) {
        Some(tokens) => histogram.add(tokens, &TOKEN_BOUNDS),
        None => drop(unusable.inc()),
    }
}

/// Counts a scalar, or each of an array.
fn count_each(raw: &str, name: &str, table: &mut LabelTable<u64>, room: &mut LabelRoom, unusable: &Counter) {
    json::any_value(raw, &mut |value| {
        match &value {
            Value::String(text) => *table.of(name, text, room) += 1,
            Value::Number(text) => *table.of(name, text, room) += 1,
            Value::Boolean(is) => *table.of(name, if *is { "true" } else { "false" }, room) += 1,
            Value::Null => {}
            Value::Object => drop(unusable.inc()),
        }
        false
    });
}

/// The first field of a record that only inferences have: what has one looks like an inference.
pub fn heart_field(record: &Record<'_>) -> Option<&'static str> {
    ["prediction", "confidence", "latency_ms"].into_iter().find(|field| present(record, field).is_some())
}

#[cfg(test)]
mod tests;
