//! What observers have counted, for people who look at a running process: models with their versions, and drift with the
//! values of training beside those of the last window.
//!
//! Of what was saved last, as the metrics are. Lists are bounded, since labels may be many and categories long: what matters most
//! comes first, and what is left out is counted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::counts::{Model, Version};
use super::drift::{ShownDrift, ShownVersion};
use super::exposition::{Published, PublishedCounts};
use super::histogram::Histogram;
use super::options::{CONFIDENCE_BOUNDS, LATENCY_BOUNDS_SECONDS};
use super::table::{LABEL_BYTES_MAX, LabelTable, OTHER, SEPARATOR};
use crate::drift::{Baseline, Distribution, FeatureBaseline, FeatureCounts, FeatureReport};
use crate::text::time::rfc3339_microseconds;

/// The most models that are reported: those with the most requests.
pub const MODELS_MAX: usize = 20;

/// The most versions of a model, likewise.
pub const VERSIONS_MAX: usize = 20;

/// The most statuses, error types and predicted labels that are told apart; further ones are summed up as `other`.
pub const VALUES_MAX: usize = 12;

/// The most features of a version whose drift is reported: those that alarm, and those that are furthest away.
pub const FEATURES_MAX: usize = 20;

/// The most histograms of all features together: those of the features that come first in each version.
pub const HISTOGRAMS_MAX: usize = 40;

/// The most bars of a histogram: neighbouring buckets and rare categories are put together.
pub const BARS_MAX: usize = 20;

/// How often values came up, the most frequent first.
pub type ValueCounts = Vec<(String, u64)>;

/// Counts of values within bounds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Buckets {
    /// Rising upper bounds, each of the bucket of the same place; the last bucket has none.
    pub bounds: Vec<f64>,
    /// How many are in each: one more than bounds.
    pub counts: Vec<u64>,
}

/// One model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelReport {
    /// Its name; empty where records have none.
    pub name: String,
    /// The values of the further labels that the pipeline tells models apart by.
    pub labels: BTreeMap<String, String>,
    /// Its versions, those with the most requests first.
    pub versions: Vec<VersionReport>,
    /// How many further versions there are.
    pub versions_left_out: usize,
    /// What was predicted: classes, or labels of predictions that have several.
    pub predictions: ValueCounts,
    /// The confidence of the predicted class, 0 to 1; `None` without one.
    pub confidence: Option<Buckets>,
}

/// One version of a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VersionReport {
    /// The version; empty where records have none.
    pub version: String,
    /// Inferences.
    pub requests: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Inferences by their status.
    pub requests_by_status: ValueCounts,
    /// Failed ones by the type of the error.
    pub errors_by_type: ValueCounts,
    /// How long they took, in seconds; `None` where records do not say.
    pub latency_seconds: Option<Buckets>,
}

/// The drift of one version in the window that was measured last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DriftReport {
    /// The model's name.
    pub model_name: String,
    /// Its version.
    pub model_version: String,
    /// When the window began (RFC 3339).
    pub window_start: String,
    /// When it ended.
    pub window_end: String,
    /// Records of the window.
    pub records: u64,
    /// The features, prediction and confidence among them: those with an alarm first, then those furthest from training.
    pub features: Vec<FeatureDrift>,
    /// How many further features there are.
    pub features_left_out: usize,
}

/// One feature of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureDrift {
    /// Its name.
    pub feature: String,
    /// `feature`, `prediction` or `confidence`.
    pub kind: String,
    /// Values in the window.
    pub values: u64,
    /// Too few values for an alarm.
    pub is_small: bool,
    /// The population stability index; `None` where the window had no value.
    pub psi: Option<f64>,
    /// What the index is by chance, without drift.
    pub psi_by_chance: Option<f64>,
    /// Its alarm is on.
    pub alarm: bool,
    /// What this window alarms about: `distribution`, `out_of_range`, `unseen`, `missing`.
    pub reasons: Vec<String>,
    /// Share of records without a value, 0 to 1.
    pub missing: f64,
    /// Share of values outside of training's range, 0 to 1.
    pub out_of_range: f64,
    /// Share of values in categories that training did not have, 0 to 1.
    pub unseen: f64,
    /// Training beside the window; `None` where there are too many to be told.
    pub histogram: Option<DriftHistogram>,
}

/// Shares of values by bar, in training and in the window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DriftHistogram {
    /// What each bar is: a range of numbers, or a category.
    pub bars: Vec<String>,
    /// Share of training's values in each, 0 to 1.
    pub baseline: Vec<f64>,
    /// Share of the window's values in each, 0 to 1.
    pub live: Vec<f64>,
}

impl Buckets {
    fn of(histogram: &Histogram, bounds: &[f64]) -> Option<Buckets> {
        (histogram.count() > 0).then(|| Buckets { bounds: bounds.to_vec(), counts: histogram.buckets.clone() })
    }

    /// The counts that came after others; all where the counting began anew in between.
    pub fn since(&self, earlier: &Buckets) -> Buckets {
        let goes_on = self.bounds == earlier.bounds
            && self.counts.len() == earlier.counts.len()
            && self.counts.iter().zip(&earlier.counts).all(|(now, then)| now >= then);
        let mut since = self.clone();
        if goes_on {
            since.counts.iter_mut().zip(&earlier.counts).for_each(|(count, then)| *count -= then);
        }
        since
    }

    /// The value below which this share of them is (0 to 1), interpolated within its bucket as Prometheus' `histogram_quantile` does
    /// it. `None` where there are none; infinite where it is above the last bound.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let total: u64 = self.counts.iter().sum();
        let rank = total as f64 * share;
        let mut below = 0.0;
        for (place, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let count = *count as f64;
            if below + count >= rank {
                let Some(upper) = self.bounds.get(place) else { return Some(f64::INFINITY) };
                let lower = place.checked_sub(1).and_then(|place| self.bounds.get(place)).copied().unwrap_or(0.0);
                return Some(lower + (upper - lower) * ((rank - below) / count).max(0.0));
            }
            below += count;
        }
        None
    }

    fn add(&mut self, other: &Buckets) {
        if self.bounds.is_empty() {
            *self = other.clone();
        } else if self.bounds == other.bounds {
            self.counts.iter_mut().zip(&other.counts).for_each(|(count, its)| *count += its);
        }
    }
}

impl ModelReport {
    /// Inferences of all its versions that are reported.
    pub fn requests(&self) -> u64 {
        self.versions.iter().map(|version| version.requests).sum()
    }

    /// Those of them that failed.
    pub fn errors(&self) -> u64 {
        self.versions.iter().map(|version| version.errors).sum()
    }

    /// How long inferences of all its versions took, in seconds.
    pub fn latency_seconds(&self) -> Buckets {
        let mut sum = Buckets::default();
        self.versions.iter().filter_map(|version| version.latency_seconds.as_ref()).for_each(|its| sum.add(its));
        sum
    }
}

impl Published {
    /// The models, those with the most requests first, at most [`MODELS_MAX`]; `None` where the pipeline counts none.
    pub fn models(&self) -> Option<Vec<ModelReport>> {
        self.model_metrics.as_deref().map(models)
    }

    /// The drift of each version that was measured, with at most [`HISTOGRAMS_MAX`] histograms; `None` where the pipeline
    /// measures none.
    pub fn drift_reports(&self) -> Option<Vec<DriftReport>> {
        let ShownDrift { baselines, versions } = self.drift.as_ref()?.shown();
        let mut histograms = HISTOGRAMS_MAX;
        let in_turn = (HISTOGRAMS_MAX / versions.len().max(1)).max(1);
        let report = |version: &ShownVersion| {
            let report = drift_report(version, baselines.baselines.get(version.baseline)?, histograms.min(in_turn));
            histograms -= report.features.iter().filter(|feature| feature.histogram.is_some()).count();
            Some(report)
        };
        Some(versions.iter().filter_map(report).collect())
    }
}

fn models(published: &PublishedCounts) -> Vec<ModelReport> {
    let counts = published.get();
    let report = |(key, model): (&str, &Model)| {
        let mut values = key.split(SEPARATOR);
        let name = values.next().unwrap_or_default().to_owned();
        let labels = published.label_names().iter().cloned();
        let labels = labels.zip(values.chain(std::iter::repeat(OTHER)).map(str::to_owned)).collect();
        let mut versions: Vec<VersionReport> = model.versions.iter().map(version_report).collect();
        versions.sort_by_key(|version| std::cmp::Reverse(version.requests));
        let versions_left_out = versions.len().saturating_sub(VERSIONS_MAX);
        versions.truncate(VERSIONS_MAX);
        let predictions = if model.predictions.is_empty() { &model.labels } else { &model.predictions };
        let confidence = Buckets::of(&model.confidence, &CONFIDENCE_BOUNDS);
        ModelReport { name, labels, versions, versions_left_out, predictions: most_frequent(predictions), confidence }
    };
    let mut models: Vec<ModelReport> = counts.models.iter().map(report).collect();
    models.sort_by_key(|model| std::cmp::Reverse(model.requests()));
    models.truncate(MODELS_MAX);
    models
}

fn version_report((version, counts): (&str, &Version)) -> VersionReport {
    VersionReport {
        version: version.to_owned(),
        requests: counts.requests.iter().map(|(_, count)| count).sum(),
        errors: counts.errors.iter().map(|(_, count)| count).sum(),
        requests_by_status: most_frequent(&counts.requests),
        errors_by_type: most_frequent(&counts.errors),
        latency_seconds: Buckets::of(&counts.latency, &LATENCY_BOUNDS_SECONDS),
    }
}

/// The most frequent values, and the sum of the others under [`OTHER`].
fn most_frequent(table: &LabelTable<u64>) -> ValueCounts {
    let mut values: ValueCounts = table.iter().map(|(value, count)| (value.to_owned(), *count)).collect();
    values.sort_by_key(|(value, count)| (value == OTHER, std::cmp::Reverse(*count)));
    if values.len() > VALUES_MAX {
        let rest: u64 = values.drain(VALUES_MAX - 1..).map(|(_, count)| count).sum();
        values.push((OTHER.to_owned(), rest));
    }
    values
}

fn drift_report(version: &ShownVersion, baseline: &Baseline, histograms: usize) -> DriftReport {
    let mut reports: Vec<&(FeatureReport, bool)> = version.reports.iter().collect();
    let psi = |report: &FeatureReport| report.measures.map_or(0.0, |measures| measures.psi);
    reports.sort_by(|(one, its), (other, theirs)| theirs.cmp(its).then(psi(other).total_cmp(&psi(one))));
    let features = reports.iter().take(FEATURES_MAX).enumerate().map(|(rank, (report, alarm))| {
        let training = baseline.features.get(report.place);
        let of_window = version.window.counts.features.get(report.place);
        let pair = training.zip(of_window).filter(|_| rank < histograms);
        feature_drift(report, *alarm, pair.map(|(training, live)| histogram(training, live)))
    });
    DriftReport {
        model_name: version.model_name.clone(),
        model_version: version.model_version.clone(),
        window_start: rfc3339_microseconds(version.window.start_us),
        window_end: rfc3339_microseconds(version.window.end_us),
        records: version.window.counts.records,
        features: features.collect(),
        features_left_out: reports.len().saturating_sub(FEATURES_MAX),
    }
}

fn feature_drift(report: &FeatureReport, alarm: bool, histogram: Option<DriftHistogram>) -> FeatureDrift {
    FeatureDrift {
        feature: cut(&report.feature),
        kind: report.kind.name().to_owned(),
        values: report.n,
        is_small: report.is_small(),
        psi: report.measures.map(|measures| measures.psi),
        psi_by_chance: report.measures.map(|measures| measures.psi_by_chance),
        alarm,
        reasons: report.reasons.iter().map(|reason| reason.name().to_owned()).collect(),
        missing: report.missing,
        out_of_range: report.out_of_range,
        unseen: report.unseen,
        histogram,
    }
}

/// Training beside a window. What is outside of training's buckets has bars of its own, where there is such.
fn histogram(training: &FeatureBaseline, live: &FeatureCounts) -> DriftHistogram {
    let counts = training.bucket_counts();
    let mut bars: Vec<(String, u64, u64)> = Vec::new();
    match &training.distribution {
        Distribution::Numeric(numeric) => {
            let width = counts.len().div_ceil(BARS_MAX).max(1);
            let sum = |counts: &[u64], at: usize| -> u64 { counts.iter().skip(at).take(width).sum() };
            for at in (0..counts.len()).step_by(width) {
                let (from, to) = (numeric.edges[at], numeric.edges[(at + width).min(counts.len())]);
                bars.push((format!("{} – {}", short(from), short(to)), sum(&counts, at), sum(&live.buckets, at)));
            }
        }
        Distribution::Categorical(categorical) => {
            let names = categorical.categories.iter().map(|(name, _)| cut(name)).chain([OTHER.to_owned()]);
            let counts = counts.into_iter().zip(live.buckets.iter().copied());
            bars.extend(names.zip(counts).map(|(name, (training, live))| (name, training, live)));
            if bars.len() > BARS_MAX {
                let rest = bars.split_off(BARS_MAX - 1).into_iter();
                let (training, live) = rest.fold((0, 0), |sum, (_, training, live)| (sum.0 + training, sum.1 + live));
                bars.push((OTHER.to_owned(), training, live));
            }
        }
    }
    let outside =
        [("below", live.below), ("above", live.above), ("no number", live.not_a_number), ("unseen", live.unseen)];
    bars.extend(outside.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| (name.to_owned(), 0, count)));
    let share = |count: u64, of: u64| if of == 0 { 0.0 } else { (count as f64 / of as f64 * 1e4).round() / 1e4 };
    let of_live = live.values();
    DriftHistogram {
        baseline: bars.iter().map(|(_, count, _)| share(*count, training.count)).collect(),
        live: bars.iter().map(|(_, _, count)| share(*count, of_live)).collect(),
        bars: bars.into_iter().map(|(name, ..)| name).collect(),
    }
}

/// A number with four digits or so.
fn short(number: f64) -> String {
    let digits = if number == 0.0 { 0 } else { (3 - number.abs().log10().floor() as i32).clamp(0, 9) as usize };
    let text = format!("{number:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A name of at most [`LABEL_BYTES_MAX`].
fn cut(name: &str) -> String {
    match name.len() <= LABEL_BYTES_MAX {
        true => name.to_owned(),
        false => format!("{}…", &name[..name.floor_char_boundary(LABEL_BYTES_MAX)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::{Categorical, EdgesKind, Kind, Numeric};

    fn feature(distribution: Distribution, count: u64) -> FeatureBaseline {
        let name = "f".to_owned();
        FeatureBaseline { name, kind: Kind::Feature, count, missing: 0, missing_share: 0.0, distribution }
    }

    #[test]
    fn quantiles_are_those_of_prometheus() {
        let buckets = |counts: &[u64]| Buckets { bounds: vec![0.1, 0.5, 1.0], counts: counts.to_vec() };
        for (counts, share, expected) in [
            (&[0, 0, 0, 0][..], 0.5, None),
            (&[10, 0, 0, 0], 0.5, Some(0.05)),
            (&[0, 10, 0, 0], 0.5, Some(0.3)),
            (&[50, 0, 50, 0], 0.75, Some(0.75)),
            (&[99, 0, 0, 1], 0.999, Some(f64::INFINITY)),
        ] {
            let found = buckets(counts).quantile(share);
            let is_close = found
                .zip(expected)
                .is_none_or(|(found, expected)| (found - expected).abs() < 1e-9 || found == expected);
            assert!(found.is_some() == expected.is_some() && is_close, "{counts:?}: {found:?}");
        }
        assert_eq!(buckets(&[5, 0, 1, 0]).since(&buckets(&[3, 0, 0, 0])), buckets(&[2, 0, 1, 0]));
        assert_eq!(buckets(&[1, 0, 0, 0]).since(&buckets(&[3, 0, 0, 0])), buckets(&[1, 0, 0, 0]), "it began anew");
    }

    #[test]
    fn histograms_have_few_bars_and_lose_no_value() {
        let numeric = Numeric {
            edges_kind: EdgesKind::EqualWidth,
            edges: (0..=100).map(f64::from).collect(),
            counts: vec![1; 100],
            not_finite: 0,
            mean: None,
            deviation: None,
            min: 0.0,
            max: 100.0,
        };
        let live = FeatureCounts { buckets: vec![2; 100], above: 50, ..FeatureCounts::default() };
        let found = histogram(&feature(Distribution::Numeric(numeric), 100), &live);
        assert_eq!((found.bars.len(), &*found.bars[0], &*found.bars[20]), (21, "0 – 5", "above"));
        assert_eq!((found.baseline[0], found.live[0], found.live[20]), (0.05, 0.04, 0.2));
        let name = |n: usize| format!("{n:02}{}", "x".repeat(200));
        let categories = (0..30).map(|n| (name(n), 1)).collect();
        let categorical = Categorical { categories, other: 2, seen_once: 0 };
        let live = FeatureCounts { buckets: vec![1; 31], unseen: 31, ..FeatureCounts::default() };
        let found = histogram(&feature(Distribution::Categorical(categorical), 32), &live);
        assert_eq!(found.bars[19..], [OTHER.to_owned(), "unseen".to_owned()]);
        assert!(found.bars[0].len() <= LABEL_BYTES_MAX + 3, "{}", found.bars[0]);
        for shares in [found.baseline, found.live] {
            assert!((shares.iter().sum::<f64>() - 1.0).abs() < 0.01, "{shares:?}");
        }
    }

    #[test]
    fn numbers_on_bars_are_short() {
        for (number, expected) in
            [(0.0, "0"), (12.5, "12.5"), (1234.56, "1235"), (0.000_123_456, "0.0001235"), (-3.0, "-3"), (100.0, "100")]
        {
            assert_eq!(short(number), expected);
        }
    }

    #[test]
    fn rare_values_are_summed_up() {
        let counts: BTreeMap<String, u64> =
            (0..20).map(|n| (format!("{n:02}"), 100 - n)).chain([(OTHER.to_owned(), 500)]).collect();
        let found = most_frequent(&counts.into());
        assert_eq!((found.len(), &found[0]), (VALUES_MAX, &("00".to_owned(), 100)));
        assert_eq!(found[VALUES_MAX - 1], (OTHER.to_owned(), 500 + (11..20).map(|n| 100 - n).sum::<u64>()));
    }
}
