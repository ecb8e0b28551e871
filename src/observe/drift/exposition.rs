//! Drift as Prometheus sees it: gauges of the window that was measured last, by model version and feature.
//!
//! The prediction mix and the confidence have their PSI under names of their own, and their alarm among those of the
//! features. A number that there is none of, because the window had no value, is not shown.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use super::options::{DriftOptions, FEATURES_SHOWN_MAX};
use super::panes::Pane;
use crate::drift::{BaselineFile, FeatureReport, Kind};

/// What one pipeline shows: its last windows as they were saved last.
#[derive(Debug)]
pub(crate) struct PublishedDrift {
    model_name: bool,
    prefix: String,
    baselines: Arc<BaselineFile>,
    versions: Mutex<Arc<Vec<ShownVersion>>>,
}

/// What is shown of one pipeline, and against what it was measured.
#[derive(Clone, Debug)]
pub(crate) struct ShownDrift {
    pub(crate) baselines: Arc<BaselineFile>,
    pub(crate) versions: Arc<Vec<ShownVersion>>,
}

/// The last window of one version.
#[derive(Clone, Debug)]
pub(crate) struct ShownVersion {
    pub(crate) model_name: String,
    pub(crate) model_version: String,
    /// Where its baseline stands in the file.
    pub(crate) baseline: usize,
    /// What was counted.
    pub(crate) window: Pane,
    /// What was measured, and whether its alarm is on.
    pub(crate) reports: Vec<(FeatureReport, bool)>,
}

impl PublishedDrift {
    pub(crate) fn new(options: &DriftOptions) -> PublishedDrift {
        let (prefix, baselines) = (options.prefix.clone(), Arc::clone(&options.baselines));
        PublishedDrift { model_name: options.model_name, prefix, baselines, versions: Mutex::default() }
    }

    pub(crate) fn set(&self, versions: Vec<ShownVersion>) {
        *self.versions.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(versions);
    }

    /// What is shown now.
    pub(crate) fn to_show(&self) -> DriftToShow<'_> {
        DriftToShow { published: self, versions: self.shown().versions }
    }

    /// The same, with the baselines.
    pub(crate) fn shown(&self) -> ShownDrift {
        let versions = Arc::clone(&self.versions.lock().unwrap_or_else(PoisonError::into_inner));
        ShownDrift { baselines: Arc::clone(&self.baselines), versions }
    }
}

/// What one pipeline shows at a moment.
#[derive(Debug)]
pub(crate) struct DriftToShow<'p> {
    published: &'p PublishedDrift,
    versions: Arc<Vec<ShownVersion>>,
}

impl DriftToShow<'_> {
    /// The names of its models.
    pub(crate) fn model_names(&self) -> impl Iterator<Item = &str> {
        self.versions.iter().map(|version| version.model_name.as_str())
    }

    /// Whether the label `model_name` is shown in any case.
    pub(crate) fn is_model_name_asked_for(&self) -> bool {
        self.published.model_name
    }
}

type Labels<'v> = Vec<(&'static str, &'v str)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Gauge {
    WindowRecords,
    PredictionPsi,
    ConfidencePsi,
    FeaturePsi,
    PsiByChance,
    JsDistance,
    KsStatistic,
    Missing,
    OutOfRange,
    Unseen,
    Alarm,
}

/// The gauges with their names and words, in the order in which they are shown.
const GAUGES: [(Gauge, &str, &str); 11] = [
    (Gauge::WindowRecords, "model_drift_window_records", "Records of the window of drift that was measured last."),
    (
        Gauge::PredictionPsi,
        "model_prediction_psi",
        "Population stability index of what was predicted, in the last window.",
    ),
    (Gauge::ConfidencePsi, "model_confidence_psi", "Population stability index of the confidence, in the last window."),
    (Gauge::FeaturePsi, "model_feature_psi", "Population stability index of a feature, in the last window."),
    (
        Gauge::PsiByChance,
        "model_feature_psi_by_chance",
        "The index that a window of so many values has by chance, without drift.",
    ),
    (Gauge::JsDistance, "model_feature_js_distance", "Jensen-Shannon distance of a feature from training, 0 to 1."),
    (Gauge::KsStatistic, "model_feature_ks_statistic", "Kolmogorov-Smirnov statistic of a numeric feature, 0 to 1."),
    (Gauge::Missing, "model_feature_missing_ratio", "Share of records without a value."),
    (
        Gauge::OutOfRange,
        "model_feature_out_of_range_ratio",
        "Share of values outside the range of training, or no number.",
    ),
    (Gauge::Unseen, "model_feature_unseen_ratio", "Share of values in categories that training did not have."),
    (Gauge::Alarm, "model_feature_drift_alarm", "1 while there is more drift than chance, 0 else."),
];

/// The values of each gauge by labels. Of two pipelines with a series of the same labels the one with more records is shown.
type Series<'v> = BTreeMap<Gauge, BTreeMap<Labels<'v>, f64>>;

/// Writes the gauges of all pipelines, with the model's name or without.
pub(crate) fn encode(shown: &[DriftToShow<'_>], model_name: bool, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let mut by_prefix: BTreeMap<&str, Series<'_>> = BTreeMap::new();
    for DriftToShow { published, versions } in shown {
        let mut versions: Vec<&ShownVersion> = versions.iter().collect();
        versions.sort_by_key(|version| version.window.counts.records);
        add(by_prefix.entry(&published.prefix).or_default(), &versions, model_name);
    }
    for (prefix, series) in &by_prefix {
        let shown = GAUGES.iter().filter_map(|(gauge, name, help)| Some((name, help, series.get(gauge)?)));
        for (name, help, series) in shown {
            let name = format!("{prefix}{name}");
            let mut metric = encoder.encode_descriptor(&name, help, None, MetricType::Gauge)?;
            for (labels, value) in series {
                metric.encode_family(labels)?.encode_gauge(value)?;
            }
        }
    }
    Ok(())
}

fn add<'v>(series: &mut Series<'v>, versions: &[&'v ShownVersion], model_name: bool) {
    let mut features = Vec::new();
    for version in versions {
        let mut of_version: Labels<'v> = vec![("model_version", &version.model_version)];
        if model_name {
            of_version.insert(0, ("model_name", &version.model_name));
        }
        set(series, Gauge::WindowRecords, &of_version, version.window.counts.records as f64);
        for (report, alarm) in &version.reports {
            let psi = report.measures.map(|measures| measures.psi);
            match (report.kind, psi) {
                (Kind::Prediction, Some(psi)) => set(series, Gauge::PredictionPsi, &of_version, psi),
                (Kind::Confidence, Some(psi)) => set(series, Gauge::ConfidencePsi, &of_version, psi),
                _ => {}
            }
            let mut labels: Labels<'v> = vec![("feature", &report.feature)];
            labels.extend(&of_version);
            features.push((labels, report, *alarm));
        }
    }
    // Those that matter most stay when there are too many.
    let rank = |report: &FeatureReport, alarm: bool| (alarm, report.measures.map_or(0.0, |measures| measures.psi));
    features.sort_by(|(_, one, its), (_, other, theirs)| {
        let (one, other) = (rank(one, *its), rank(other, *theirs));
        other.0.cmp(&one.0).then(other.1.total_cmp(&one.1))
    });
    for (labels, report, alarm) in features.into_iter().take(FEATURES_SHOWN_MAX) {
        add_feature(series, &labels, report, alarm);
    }
}

fn set<'v>(series: &mut Series<'v>, gauge: Gauge, labels: &Labels<'v>, value: f64) {
    series.entry(gauge).or_default().insert(labels.clone(), value);
}

fn add_feature<'v>(series: &mut Series<'v>, labels: &Labels<'v>, report: &FeatureReport, alarm: bool) {
    let mut set = |gauge: Gauge, value: f64| set(series, gauge, labels, value);
    set(Gauge::Alarm, f64::from(u8::from(alarm)));
    if report.kind != Kind::Feature {
        return;
    }
    if let Some(measures) = report.measures {
        set(Gauge::FeaturePsi, measures.psi);
        set(Gauge::PsiByChance, measures.psi_by_chance);
        set(Gauge::JsDistance, measures.js_distance);
        measures.ks_statistic.into_iter().for_each(|statistic| set(Gauge::KsStatistic, statistic));
        set(Gauge::OutOfRange, report.out_of_range);
        set(Gauge::Unseen, report.unseen);
    }
    set(Gauge::Missing, report.missing);
}
