//! The model metrics as Prometheus sees them: which series are there?
//!
//! | metric | type | labels | of |
//! | --- | --- | --- | --- |
//! | `model_requests_total` | counter | `model_version`, `status` | every kind |
//! | `model_errors_total` | counter | `model_version`, `type` | every kind |
//! | `model_latency_seconds` | histogram | `model_version` | every kind |
//! | `model_confidence` | histogram | none | every kind |
//! | `model_predictions_total` | counter | `label` | classification |
//! | `model_predicted_labels_total` | counter | `label` | multilabel |
//! | `model_prediction_value` | histogram | `model_version` | regression |
//! | `model_time_to_first_token_seconds` | histogram | `model_version` | generation |
//! | `model_request_tokens` | histogram | `model_version`, `direction` | generation |
//! | `model_finish_reasons_total` | counter | `model_version`, `reason` | generation |
//!
//! The names and labels are those of dashboards that exist, so there is no `pipeline` label: the counts of all pipelines
//! of the process are added up, those of each prefix by themselves. A label `model_name` comes first as soon as two names
//! have been seen, or from the start where a pipeline asks for it. That it appears ends the series without it, once,
//! because the names are kept in the checkpoint. The further labels of a pipeline follow. A metric without a series is not
//! shown at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::counts::{Model, ModelCounts};
use super::drift::{self, DriftToShow, PublishedDrift};
use super::ground_truth::{self, OutcomesToShow, PublishedOutcomes};
use super::histogram::Histogram;
use super::options::{
    CONFIDENCE_BOUNDS, LATENCY_BOUNDS_SECONDS, ModelMetricsOptions, TIME_TO_FIRST_TOKEN_BOUNDS_SECONDS, TOKEN_BOUNDS,
};
use super::table::{LabelTable, OTHER, SEPARATOR};

/// What one pipeline shows: its counts as they were saved last.
#[derive(Debug)]
pub(super) struct PublishedCounts {
    model_name: bool,
    prefix: String,
    /// The names of the further labels.
    label_names: Vec<String>,
    counts: Mutex<Arc<ModelCounts>>,
}

impl PublishedCounts {
    pub(super) fn new(options: &ModelMetricsOptions) -> PublishedCounts {
        PublishedCounts {
            model_name: options.model_name,
            prefix: options.prefix.clone(),
            label_names: options.labels.iter().map(|path| label_name(path.as_str())).collect(),
            counts: Mutex::default(),
        }
    }

    pub(super) fn set(&self, counts: ModelCounts) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(counts);
    }

    /// The names of the further labels.
    pub(super) fn label_names(&self) -> &[String] {
        &self.label_names
    }

    /// The counts that are shown now.
    pub(super) fn get(&self) -> Arc<ModelCounts> {
        Arc::clone(&self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The name of the label that holds the values of a field: `service.name` is `service_name`.
pub fn label_name(field: &str) -> String {
    let start = if field.starts_with(|c: char| c.is_ascii_digit()) { "_" } else { "" };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    field.chars().map(|c| if is_plain(c) { c } else { '_' }).fold(start.to_owned(), |mut name, c| {
        name.push(c);
        name
    })
}

/// What one pipeline shows of its models.
#[derive(Clone, Debug, Default)]
pub struct Published {
    pub(super) outcomes: Option<Arc<PublishedOutcomes>>,
    pub(super) model_metrics: Option<Arc<PublishedCounts>>,
    pub(super) drift: Option<Arc<PublishedDrift>>,
}

/// The model metrics of all pipelines of the process. Clones show the same.
#[derive(Clone, Debug, Default)]
pub struct ModelSeries(Arc<Mutex<Vec<Published>>>);

impl ModelSeries {
    /// Those of some pipelines.
    pub fn new(shown: Vec<Published>) -> ModelSeries {
        ModelSeries(Arc::new(Mutex::new(shown)))
    }

    /// Shows these from now on.
    pub fn set(&self, shown: Vec<Published>) {
        *self.lock() = shown;
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Published>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Labels<'c> = Vec<(&'c str, &'c str)>;

type CountSeries<'c> = BTreeMap<Labels<'c>, u64>;

/// Histograms with the upper bounds of their buckets.
type HistogramSeries<'c> = BTreeMap<Labels<'c>, (Histogram, &'c [f64])>;

/// The series of all metrics with one prefix.
#[derive(Debug, Default)]
struct Series<'c> {
    requests: CountSeries<'c>,
    errors: CountSeries<'c>,
    latency: HistogramSeries<'c>,
    predictions: CountSeries<'c>,
    labels: CountSeries<'c>,
    confidence: HistogramSeries<'c>,
    values: HistogramSeries<'c>,
    time_to_first_token: HistogramSeries<'c>,
    tokens: HistogramSeries<'c>,
    finish_reasons: CountSeries<'c>,
}

impl Collector for ModelSeries {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let shown = self.lock().clone();
        let all = || shown.iter().filter_map(|published| published.model_metrics.as_deref());
        let counts: Vec<Arc<ModelCounts>> = all().map(PublishedCounts::get).collect();
        let drift: Vec<DriftToShow<'_>> =
            shown.iter().filter_map(|published| published.drift.as_deref()).map(PublishedDrift::to_show).collect();
        let names = counts.iter().flat_map(|counts| counts.models.iter()).map(|(key, _)| model_name_of(key));
        let outcomes = shown.iter().filter_map(|published| published.outcomes.as_deref());
        let outcomes: Vec<OutcomesToShow<'_>> = outcomes.map(PublishedOutcomes::to_show).collect();
        let names = names.chain(drift.iter().flat_map(DriftToShow::model_names));
        let names = names.chain(outcomes.iter().flat_map(OutcomesToShow::model_names));
        let several = names.filter(|name| !name.is_empty()).collect::<BTreeSet<&str>>().len() > 1;
        let is_asked_for = all().any(|shown| shown.model_name)
            || drift.iter().any(DriftToShow::is_model_name_asked_for)
            || outcomes.iter().any(OutcomesToShow::is_model_name_asked_for);
        let model_name = several || is_asked_for;
        let mut by_prefix: BTreeMap<&str, Series<'_>> = BTreeMap::new();
        for (shown, counts) in all().zip(&counts) {
            by_prefix.entry(&shown.prefix).or_default().add(counts, model_name, &shown.label_names);
        }
        by_prefix.iter().try_for_each(|(prefix, series)| series.encode(&mut encoder, prefix))?;
        drift::encode(&drift, model_name, &mut encoder)?;
        ground_truth::encode(&outcomes, model_name, &mut encoder)
    }
}

fn model_name_of(key: &str) -> &str {
    key.split(SEPARATOR).next().unwrap_or_default()
}

/// The labels of a model: its name where it is shown, and the further ones.
fn of_model<'c>(key: &'c str, model_name: bool, label_names: &'c [String]) -> Labels<'c> {
    let mut values = key.split(SEPARATOR);
    let name = values.next().unwrap_or_default();
    let further = label_names.iter().map(|label| (label.as_str(), values.next().unwrap_or(OTHER)));
    model_name.then_some(("model_name", name)).into_iter().chain(further).collect()
}

impl<'c> Series<'c> {
    fn add(&mut self, counts: &'c ModelCounts, model_name: bool, label_names: &'c [String]) {
        for (key, model) in counts.models.iter() {
            let of_model = of_model(key, model_name, label_names);
            self.add_versions(model, &of_model, &counts.value_bounds);
            add_counts(&mut self.predictions, &of_model, "label", &model.predictions);
            add_counts(&mut self.labels, &of_model, "label", &model.labels);
            add_histogram(&mut self.confidence, of_model, &model.confidence, &CONFIDENCE_BOUNDS);
        }
    }

    fn add_versions(&mut self, model: &'c Model, of_model: &Labels<'c>, value_bounds: &'c [f64]) {
        for (version, it) in model.versions.iter() {
            let of_version = with(of_model, "model_version", version);
            add_counts(&mut self.requests, &of_version, "status", &it.requests);
            add_counts(&mut self.errors, &of_version, "type", &it.errors);
            add_counts(&mut self.finish_reasons, &of_version, "reason", &it.finish_reasons);
            for (direction, tokens) in [("input", &it.input_tokens), ("output", &it.output_tokens)] {
                add_histogram(&mut self.tokens, with(&of_version, "direction", direction), tokens, &TOKEN_BOUNDS);
            }
            let (first, bounds) = (&it.time_to_first_token, &TIME_TO_FIRST_TOKEN_BOUNDS_SECONDS);
            add_histogram(&mut self.time_to_first_token, of_version.clone(), first, bounds);
            add_histogram(&mut self.values, of_version.clone(), &it.values, value_bounds);
            add_histogram(&mut self.latency, of_version, &it.latency, &LATENCY_BOUNDS_SECONDS);
        }
    }

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>, prefix: &str) -> fmt::Result {
        let mut metrics = Metrics { encoder, prefix };
        metrics.counts("model_requests", "Inferences.", &self.requests)?;
        metrics.counts("model_errors", "Inferences that failed, by the type of the error.", &self.errors)?;
        metrics.histograms("model_latency_seconds", "Time that an inference took, in seconds.", &self.latency)?;
        metrics.counts("model_predictions", "Inferences by what was predicted.", &self.predictions)?;
        metrics.counts("model_predicted_labels", "Labels that were predicted.", &self.labels)?;
        let help = "Confidence of the predicted class, from 0 to 1.";
        metrics.histograms("model_confidence", help, &self.confidence)?;
        metrics.histograms("model_prediction_value", "Numbers that were predicted.", &self.values)?;
        let help = "Time until the first token of a generation came, in seconds.";
        metrics.histograms("model_time_to_first_token_seconds", help, &self.time_to_first_token)?;
        metrics.histograms("model_request_tokens", "Tokens of a request, in or out.", &self.tokens)?;
        metrics.counts("model_finish_reasons", "Generations by why they ended.", &self.finish_reasons)
    }
}

/// A model that writes no confidence has no series of it, rather than one of zeros. What has other bounds than a series
/// of the same labels is left out: the check of the pipeline files does not let it come to that.
fn add_histogram<'c>(series: &mut HistogramSeries<'c>, labels: Labels<'c>, histogram: &Histogram, bounds: &'c [f64]) {
    if histogram.count() > 0 {
        let (sum, of_sum) = series.entry(labels).or_insert_with(|| (Histogram::default(), bounds));
        if *of_sum == bounds {
            sum.merge(histogram);
        }
    }
}

fn add_counts<'c>(series: &mut CountSeries<'c>, labels: &Labels<'c>, name: &'c str, table: &'c LabelTable<u64>) {
    for (value, count) in table.iter() {
        *series.entry(with(labels, name, value)).or_default() += count;
    }
}

fn with<'c>(labels: &Labels<'c>, name: &'c str, value: &'c str) -> Labels<'c> {
    labels.iter().copied().chain([(name, value)]).collect()
}

/// Writes metrics whose names have a prefix. Those without a series are left out.
struct Metrics<'e, 'w> {
    encoder: &'e mut DescriptorEncoder<'w>,
    prefix: &'e str,
}

impl Metrics<'_, '_> {
    fn counts(&mut self, name: &str, help: &str, series: &CountSeries<'_>) -> fmt::Result {
        if series.is_empty() {
            return Ok(());
        }
        let name = format!("{}{name}", self.prefix);
        let mut metric = self.encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
        for (labels, count) in series {
            metric.encode_family(labels)?.encode_counter::<NoLabelSet, u64, f64>(count, None)?;
        }
        Ok(())
    }

    fn histograms(&mut self, name: &str, help: &str, series: &HistogramSeries<'_>) -> fmt::Result {
        if series.is_empty() {
            return Ok(());
        }
        let name = format!("{}{name}", self.prefix);
        let mut metric = self.encoder.encode_descriptor(&name, help, None, MetricType::Histogram)?;
        for (labels, (histogram, bounds)) in series {
            let is_signed = histogram.is_signed || bounds.first().is_some_and(|bound| *bound < 0.0);
            let bounds = bounds.iter().copied().chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(histogram.buckets.iter().copied()).collect();
            // `Telemetry::text` leaves out what is no number, with the count behind it.
            let sum = if is_signed { f64::NAN } else { histogram.sum.as_f64() };
            let count = histogram.count();
            if labels.is_empty() {
                metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
            } else {
                metric.encode_family(labels)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
            }
        }
        Ok(())
    }
}
