//! The model metrics as Prometheus sees them: which series are there?
//!
//! | metric | type | labels |
//! | --- | --- | --- |
//! | `model_requests_total` | counter | `model_version`, `status` |
//! | `model_latency_seconds` | histogram | `model_version` |
//! | `model_predictions_total` | counter | `label` |
//! | `model_confidence` | histogram | none |
//!
//! The names and labels are those of dashboards that exist, so there is no `pipeline` label: the counts of all pipelines
//! of the process are added up. A label `model_name` comes first on all four as soon as two names have been seen, or from
//! the start where a pipeline asks for it. That it appears ends the series without it, once, because the names are kept
//! in the checkpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::model_metrics::{CONFIDENCE_BOUNDS, Histogram, LATENCY_BOUNDS_SECONDS, ModelCounts};

/// What one pipeline shows: its counts as they were saved last.
#[derive(Debug)]
pub struct PublishedCounts {
    model_name: bool,
    counts: Mutex<Arc<ModelCounts>>,
}

impl PublishedCounts {
    pub(super) fn new(model_name: bool) -> PublishedCounts {
        PublishedCounts { model_name, counts: Mutex::default() }
    }

    pub(super) fn set(&self, counts: ModelCounts) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(counts);
    }

    fn get(&self) -> Arc<ModelCounts> {
        Arc::clone(&self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The model metrics of all pipelines of the process.
#[derive(Debug)]
pub struct ModelSeries(pub Vec<Arc<PublishedCounts>>);

type Labels<'c> = Vec<(&'static str, &'c str)>;

/// The series of all four metrics.
#[derive(Debug, Default)]
struct Series<'c> {
    requests: BTreeMap<Labels<'c>, u64>,
    latency: BTreeMap<Labels<'c>, Histogram>,
    predictions: BTreeMap<Labels<'c>, u64>,
    confidence: BTreeMap<Labels<'c>, Histogram>,
}

impl Collector for ModelSeries {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let counts: Vec<Arc<ModelCounts>> = self.0.iter().map(|shown| shown.get()).collect();
        let names = counts.iter().flat_map(|counts| counts.models.iter()).map(|(name, _)| name);
        let several = names.filter(|name| !name.is_empty()).collect::<BTreeSet<&str>>().len() > 1;
        let model_name = several || self.0.iter().any(|shown| shown.model_name);
        let mut series = Series::default();
        counts.iter().for_each(|counts| series.add(counts, model_name));
        let encoder = &mut encoder;
        encode_counts(encoder, "model_requests", "Inferences.", &series.requests)?;
        let help = "Time that an inference took, in seconds.";
        encode_histograms(encoder, "model_latency_seconds", help, &series.latency, &LATENCY_BOUNDS_SECONDS)?;
        encode_counts(encoder, "model_predictions", "Inferences by what was predicted.", &series.predictions)?;
        let help = "Confidence of the predicted class, from 0 to 1.";
        encode_histograms(encoder, "model_confidence", help, &series.confidence, &CONFIDENCE_BOUNDS)
    }
}

impl<'c> Series<'c> {
    fn add(&mut self, counts: &'c ModelCounts, model_name: bool) {
        for (name, model) in counts.models.iter() {
            let of_model: Labels<'c> = if model_name { vec![("model_name", name)] } else { Vec::new() };
            for (version, it) in model.versions.iter() {
                let of_version = with(&of_model, "model_version", version);
                for (status, count) in it.requests.iter() {
                    *self.requests.entry(with(&of_version, "status", status)).or_default() += count;
                }
                add_histogram(&mut self.latency, of_version, &it.latency);
            }
            for (label, count) in model.predictions.iter() {
                *self.predictions.entry(with(&of_model, "label", label)).or_default() += count;
            }
            add_histogram(&mut self.confidence, of_model, &model.confidence);
        }
    }
}

/// A model that writes no confidence has no series of it, rather than one of zeros.
fn add_histogram<'c>(series: &mut BTreeMap<Labels<'c>, Histogram>, labels: Labels<'c>, histogram: &Histogram) {
    if histogram.count() > 0 {
        series.entry(labels).or_default().merge(histogram);
    }
}

fn with<'c>(labels: &Labels<'c>, name: &'static str, value: &'c str) -> Labels<'c> {
    labels.iter().copied().chain([(name, value)]).collect()
}

fn encode_counts(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    series: &BTreeMap<Labels<'_>, u64>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, count) in series {
        metric.encode_family(labels)?.encode_counter::<NoLabelSet, u64, f64>(count, None)?;
    }
    Ok(())
}

fn encode_histograms(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    series: &BTreeMap<Labels<'_>, Histogram>,
    bounds: &[f64; 7],
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    for (labels, histogram) in series {
        let bounds = bounds.iter().copied().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(histogram.buckets).collect();
        let (sum, count) = (histogram.sum.as_f64(), histogram.count());
        if labels.is_empty() {
            metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        } else {
            metric.encode_family(labels)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
    }
    Ok(())
}
