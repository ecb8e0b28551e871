//! Alarms: is what a window shows drift, or chance?
//!
//! An alarm needs three things: enough values, an effect that matters, and that it is more than chance. The effect is PSI, or the share of
//! values that are out of range, unseen or newly missing. Of PSI both are looked at, the defined one and the one with half a value more
//! a bucket, which a few values in a bucket that training did not have cannot lift alone. Chance is judged over all features of a
//! window at once. [`Hysteresis`] carries an alarm from window to window.

use serde::{Deserialize, Serialize};

use super::baseline::{Baseline, Distribution, FeatureBaseline};
use super::chance::{benjamini_hochberg, homogeneity, psi_by_chance, share_p_value};
use super::counts::{FeatureCounts, WindowCounts};
use super::measures::{jensen_shannon_distance, kolmogorov_smirnov, psi, psi_smoothed};
use super::words::{EdgesKind, Kind, PsiMode};

/// Fewest values for an alarm with buckets of one width, and with categories: below it, chance alone reaches a PSI of 0.2.
const MIN_SAMPLE_EQUAL_WIDTH: u64 = 500;

/// The same for buckets of as many values each: none of them is nearly empty.
const MIN_SAMPLE_QUANTILE: u64 = 300;

/// An alarm is over below this part of what raises it.
const CLEAR_PART: f64 = 0.5;

/// So many windows in a row have to be clear until an alarm is over.
const CLEAR_WINDOWS: u8 = 2;

/// When there is an alarm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// What PSI does with values in no bucket.
    pub mode: PsiMode,
    /// The PSI from which on there is an alarm; 0.2 by default.
    pub alert_psi: f64,
    /// The share of values out of range, of unseen categories, or of values that are missing beyond training's share, from which on
    /// there is an alarm; 0.05 by default.
    pub alert_share: f64,
    /// The share of false ones that are allowed among the alarms of a window on average, 0 to 1; 0.01 by default.
    pub false_discovery_rate: f64,
    /// Fewest values for an alarm; `None` is 500, and 300 with quantile edges.
    pub min_sample: Option<u64>,
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds {
            mode: PsiMode::Defined,
            alert_psi: 0.2,
            alert_share: 0.05,
            false_discovery_rate: 0.01,
            min_sample: None,
        }
    }
}

impl Thresholds {
    /// Fewest values of a feature for an alarm.
    pub fn min_sample(&self, feature: &FeatureBaseline) -> u64 {
        self.min_sample.unwrap_or(match feature.edges_kind() {
            Some(EdgesKind::Quantile) => MIN_SAMPLE_QUANTILE,
            Some(EdgesKind::EqualWidth) | None => MIN_SAMPLE_EQUAL_WIDTH,
        })
    }
}

/// What an alarm is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// PSI.
    Distribution,
    /// Values outside the range of training.
    OutOfRange,
    /// Categories that training did not have.
    Unseen,
    /// More values are missing than in training.
    Missing,
}

impl Reason {
    /// As it is written in documents.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Distribution => "distribution",
            Reason::OutOfRange => "out_of_range",
            Reason::Unseen => "unseen",
            Reason::Missing => "missing",
        }
    }
}

/// What one window says of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The effect is small, or no more than chance.
    Clear,
    /// Neither: between the thresholds, or too few values.
    Hold,
    /// Drift.
    Raise,
}

/// How far a window is from training, in numbers. It has at least one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measures {
    /// The defined index, in the mode that was asked for.
    pub psi: f64,
    /// Its mean over windows of as many values without any drift.
    pub psi_by_chance: f64,
    /// The index with half a value more in each bucket.
    pub psi_smoothed: f64,
    /// Jensen–Shannon distance, 0 to 1; values in no bucket of training are in buckets of their own.
    pub js_distance: f64,
    /// Kolmogorov–Smirnov statistic, 0 to 1, of numeric features.
    pub ks_statistic: Option<f64>,
    /// Pearson's statistic of homogeneity over the same counts.
    pub chi_squared: f64,
    /// Its degrees of freedom.
    pub degrees_of_freedom: u64,
    /// Its probability without any drift.
    pub p_value: f64,
}

/// One feature in one window.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureReport {
    /// Where it stands in the baseline.
    pub place: usize,
    /// Its name.
    pub feature: String,
    /// What it is.
    pub kind: Kind,
    /// Values in the window: what all shares but `missing` are of.
    pub n: u64,
    /// `None` when there was no value.
    pub measures: Option<Measures>,
    /// The p-value adjusted for all tests of the window (Benjamini–Hochberg); `None` when there were too few values for an alarm.
    pub p_value_adjusted: Option<f64>,
    /// Share of values below, above, or no number, 0 to 1; 0 for categories.
    pub out_of_range: f64,
    /// Share of values in categories that training did not have, 0 to 1; 0 for numbers.
    pub unseen: f64,
    /// Share of records without a value, 0 to 1.
    pub missing: f64,
    /// The values that are needed for an alarm.
    pub min_sample: u64,
    /// What is alarming, in order; empty when nothing is.
    pub reasons: Vec<Reason>,
    /// What this window says.
    pub level: Level,
}

impl FeatureReport {
    /// Whether this window alone is an alarm.
    pub fn is_alarm(&self) -> bool {
        self.level == Level::Raise
    }

    /// Too few values for an alarm about them.
    pub fn is_small(&self) -> bool {
        self.n < self.min_sample
    }
}

/// One question to a window: is this effect there, and is it more than chance?
struct Test {
    place: usize,
    reason: Reason,
    effect: f64,
    alert: f64,
    p_value: f64,
}

/// Compares a window with its baseline: one report for each feature, in the order of the baseline.
///
/// Counts that do not fit the baseline ([`WindowCounts::fits`]) give no report for what they do not have.
pub fn measure(baseline: &Baseline, counts: &WindowCounts, thresholds: &Thresholds) -> Vec<FeatureReport> {
    let features = || baseline.features.iter().zip(&counts.features).enumerate();
    let mut reports: Vec<FeatureReport> =
        features().map(|(place, (feature, live))| report(place, feature, live, thresholds)).collect();
    let mut tests = Vec::new();
    for (place, (feature, live)) in features() {
        add_tests(&reports[place], feature, live, thresholds, &mut tests);
    }
    let adjusted = benjamini_hochberg(&tests.iter().map(|test| test.p_value).collect::<Vec<f64>>());
    for (test, adjusted) in tests.iter().zip(adjusted) {
        let report = &mut reports[test.place];
        if test.reason == Reason::Distribution {
            report.p_value_adjusted = Some(adjusted);
        }
        let level = level(test, adjusted <= thresholds.false_discovery_rate);
        if level == Level::Raise {
            report.reasons.push(test.reason);
        }
        report.level = report.level.max(level);
    }
    reports
}

/// A report before anything is tested: clear where there are values enough to say so.
fn report(place: usize, feature: &FeatureBaseline, live: &FeatureCounts, thresholds: &Thresholds) -> FeatureReport {
    let (n, records) = (live.values(), live.values() + live.missing);
    let share = |count: u64, total: u64| if total == 0 { 0.0 } else { count as f64 / total as f64 };
    let min_sample = thresholds.min_sample(feature);
    FeatureReport {
        place,
        feature: feature.name.clone(),
        kind: feature.kind,
        n,
        measures: (n > 0).then(|| measures(feature, live, thresholds.mode)),
        p_value_adjusted: None,
        out_of_range: share(live.out_of_range(), n),
        unseen: share(live.unseen, n),
        missing: share(live.missing, records),
        min_sample,
        reasons: Vec::new(),
        level: if n < min_sample { Level::Hold } else { Level::Clear },
    }
}

fn measures(feature: &FeatureBaseline, live: &FeatureCounts, mode: PsiMode) -> Measures {
    let (expected, actual) = in_buckets(feature, live, mode);
    let n = live.values();
    let (all_expected, all_actual) = everywhere(feature, live);
    let test = homogeneity(&with_left_out(feature, &all_expected), &all_actual);
    Measures {
        psi: psi(&expected, feature.count, &actual, n),
        psi_by_chance: psi_by_chance(&expected, n),
        psi_smoothed: psi_smoothed(&expected, feature.count, &actual, n),
        js_distance: jensen_shannon_distance(&all_expected, &all_actual),
        ks_statistic: in_order(feature, &all_expected, &all_actual),
        chi_squared: test.chi_squared,
        degrees_of_freedom: test.degrees_of_freedom,
        p_value: test.p_value,
    }
}

/// The counts that PSI is made of.
fn in_buckets(feature: &FeatureBaseline, live: &FeatureCounts, mode: PsiMode) -> (Vec<u64>, Vec<u64>) {
    let (mut expected, mut actual) = (feature.bucket_counts(), live.buckets.clone());
    match (mode, &feature.distribution) {
        (PsiMode::Defined, _) => {}
        (PsiMode::Open, Distribution::Numeric(_)) => {
            if let Some(first) = actual.first_mut() {
                *first += live.below;
            }
            if let Some(last) = actual.last_mut() {
                *last += live.above;
            }
        }
        (PsiMode::Open, Distribution::Categorical(_)) => {
            expected.push(0);
            actual.push(live.unseen);
        }
    }
    (expected, actual)
}

/// The counts of all values: what is below, the buckets, what is above, what is no number; or the categories and the unseen ones.
fn everywhere(feature: &FeatureBaseline, live: &FeatureCounts) -> (Vec<u64>, Vec<u64>) {
    let expected = feature.bucket_counts();
    match &feature.distribution {
        Distribution::Numeric(_) => (
            [&[0], &*expected, &[0, 0]].concat(),
            [&[live.below], &*live.buckets, &[live.above, live.not_a_number]].concat(),
        ),
        Distribution::Categorical(_) => ([&*expected, &[0]].concat(), [&*live.buckets, &[live.unseen]].concat()),
    }
}

/// The same of training, with what would have been outside had each value been left out in turn: the lowest, the highest, and the categories
/// that one row had. Without it, training says that it is impossible to be outside, which every window would disprove.
fn with_left_out(feature: &FeatureBaseline, everywhere: &[u64]) -> Vec<u64> {
    let (mut counts, last) = (everywhere.to_vec(), everywhere.len() - 1);
    match &feature.distribution {
        Distribution::Numeric(_) => [0, last - 1].iter().for_each(|place| counts[*place] += 1),
        Distribution::Categorical(categorical) => counts[last] += categorical.seen_once,
    }
    counts
}

/// The Kolmogorov–Smirnov statistic of what has an order: all but the last, which is no number.
fn in_order(feature: &FeatureBaseline, expected: &[u64], actual: &[u64]) -> Option<f64> {
    let is_numeric = matches!(feature.distribution, Distribution::Numeric(_));
    let (ordered, _) = actual.split_at(actual.len() - 1);
    let is_some = is_numeric && ordered.iter().any(|count| *count > 0);
    is_some.then(|| kolmogorov_smirnov(&expected[..ordered.len()], ordered))
}

/// The questions that there are values enough for.
fn add_tests(
    report: &FeatureReport,
    feature: &FeatureBaseline,
    live: &FeatureCounts,
    thresholds: &Thresholds,
    tests: &mut Vec<Test>,
) {
    let place = report.place;
    if let Some(measures) = report.measures.filter(|_| !report.is_small()) {
        let effect = measures.psi.min(measures.psi_smoothed);
        let (alert, p_value) = (thresholds.alert_psi, measures.p_value);
        tests.push(Test { place, reason: Reason::Distribution, effect, alert, p_value });
        // As in [`with_left_out`].
        let (reason, hits, base_hits) = match &feature.distribution {
            Distribution::Numeric(_) => (Reason::OutOfRange, live.out_of_range(), 2.min(feature.count)),
            Distribution::Categorical(categorical) => (Reason::Unseen, live.unseen, categorical.seen_once),
        };
        let effect = hits as f64 / report.n as f64;
        let p_value = share_p_value(hits, report.n, base_hits, feature.count);
        tests.push(Test { place, reason, effect, alert: thresholds.alert_share, p_value });
    }
    let records = report.n + live.missing;
    if records >= report.min_sample {
        let rows = feature.count + feature.missing;
        let effect = report.missing - feature.missing as f64 / rows as f64;
        let p_value = share_p_value(live.missing, records, feature.missing, rows);
        tests.push(Test { place, reason: Reason::Missing, effect, alert: thresholds.alert_share, p_value });
    }
}

fn level(test: &Test, is_significant: bool) -> Level {
    match test.effect {
        effect if effect >= test.alert && is_significant => Level::Raise,
        effect if effect < test.alert * CLEAR_PART || !is_significant => Level::Clear,
        _ => Level::Hold,
    }
}

/// An alarm over windows: on with the first one that raises it, off after two in a row that are clear. A window between the thresholds,
/// or with too few values, changes nothing but that the next clear one is the first again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hysteresis {
    is_on: bool,
    clear_windows: u8,
}

impl Hysteresis {
    /// Takes the next window, and says whether the alarm is on.
    pub fn step(&mut self, level: Level) -> bool {
        *self = match level {
            Level::Raise => Hysteresis { is_on: true, clear_windows: 0 },
            Level::Hold => Hysteresis { clear_windows: 0, ..*self },
            Level::Clear if self.clear_windows + 1 >= CLEAR_WINDOWS => Hysteresis::default(),
            Level::Clear if self.is_on => Hysteresis { clear_windows: self.clear_windows + 1, ..*self },
            Level::Clear => Hysteresis::default(),
        };
        self.is_on
    }

    /// Whether the alarm is on.
    pub fn is_on(self) -> bool {
        self.is_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::baseline::tests::{categorical, numeric};

    const EDGES: [f64; 4] = [0.0, 1.0, 2.0, 3.0];

    fn of(feature: FeatureBaseline) -> Baseline {
        Baseline {
            model_name: None,
            model_version: None,
            fallback: true,
            sources: Vec::new(),
            rows: feature.count,
            features: vec![feature],
        }
    }

    fn amount() -> Baseline {
        of(numeric("amount", Kind::Feature, &EDGES, &[5_000, 4_900, 100]))
    }

    fn look(baseline: &Baseline, live: &FeatureCounts) -> FeatureReport {
        let records = live.values() + live.missing;
        measure(baseline, &WindowCounts { records, features: vec![live.clone()] }, &Thresholds::default()).remove(0)
    }

    fn buckets(buckets: &[u64]) -> FeatureCounts {
        FeatureCounts { buckets: buckets.to_vec(), ..FeatureCounts::default() }
    }

    fn check(baseline: &Baseline, live: &FeatureCounts, reasons: &[Reason], level: Level) {
        let report = look(baseline, live);
        assert_eq!((&*report.reasons, report.level), (reasons, level), "{live:?}: {report:?}");
    }

    #[test]
    fn each_reason_alarms_alone() {
        let base = amount();
        let same = buckets(&[500, 490, 10]);
        check(&base, &same, &[], Level::Clear);
        check(&base, &buckets(&[200, 790, 10]), &[Reason::Distribution], Level::Raise);
        check(&base, &buckets(&[330, 660, 10]), &[], Level::Hold);
        check(&base, &FeatureCounts { above: 111, ..same.clone() }, &[Reason::OutOfRange], Level::Raise);
        check(&base, &FeatureCounts { not_a_number: 111, ..same.clone() }, &[Reason::OutOfRange], Level::Raise);
        check(&base, &FeatureCounts { below: 40, ..same.clone() }, &[], Level::Hold);
        check(&base, &FeatureCounts { missing: 111, ..same }, &[Reason::Missing], Level::Raise);
        check(&base, &FeatureCounts { missing: 1_000, ..buckets(&[0; 3]) }, &[Reason::Missing], Level::Raise);
        let country = of(categorical("country", Kind::Feature, &[("DE", 6_000), ("FR", 4_000)], 0));
        check(&country, &FeatureCounts { unseen: 111, ..buckets(&[600, 400]) }, &[Reason::Unseen], Level::Raise);
        check(&country, &FeatureCounts { unseen: 5, ..buckets(&[600, 400]) }, &[], Level::Clear);
    }

    #[test]
    fn ten_percent_out_of_range_is_an_alarm_that_the_definition_does_not_see() {
        let report = look(&amount(), &FeatureCounts { above: 100, ..buckets(&[450, 441, 9]) });
        assert!(report.measures.unwrap().psi < 0.011, "{report:?}");
        assert_eq!((report.out_of_range, report.reasons), (0.1, vec![Reason::OutOfRange]));
    }

    #[test]
    fn few_values_are_shown_and_never_alarm() {
        let report = look(&amount(), &buckets(&[0, 0, 499]));
        assert!(report.measures.unwrap().psi > 5.0 && report.p_value_adjusted.is_none(), "{report:?}");
        assert_eq!((report.level, report.is_small()), (Level::Hold, true));
        check(&amount(), &buckets(&[0, 0, 500]), &[Reason::Distribution], Level::Raise);
        let mut by_quantile = amount();
        let Distribution::Numeric(numeric) = &mut by_quantile.features[0].distribution else { panic!() };
        numeric.edges_kind = EdgesKind::Quantile;
        check(&by_quantile, &buckets(&[0, 0, 299]), &[], Level::Hold);
        check(&by_quantile, &buckets(&[0, 0, 300]), &[Reason::Distribution], Level::Raise);
        check(&amount(), &buckets(&[0; 3]), &[], Level::Hold);
    }

    #[test]
    fn a_bucket_that_training_did_not_have_is_no_alarm_alone() {
        let base = of(numeric("amount", Kind::Feature, &EDGES, &[5_000, 0, 5_000]));
        let report = look(&base, &buckets(&[491, 18, 491]));
        let measures = report.measures.unwrap();
        assert!(measures.psi > 0.2 && measures.p_value < 1e-9, "{report:?}");
        assert_eq!(report.reasons, []);
        check(&base, &buckets(&[450, 100, 450]), &[Reason::Distribution], Level::Raise);
    }

    #[test]
    fn open_ends_see_what_is_out_of_range() {
        let live = FeatureCounts { above: 400, ..buckets(&[300, 294, 6]) };
        let counts = WindowCounts { records: 1_000, features: vec![live] };
        let of_mode =
            |mode| measure(&amount(), &counts, &Thresholds { mode, ..Thresholds::default() }).remove(0).measures;
        let (defined, open) = (of_mode(PsiMode::Defined).unwrap(), of_mode(PsiMode::Open).unwrap());
        assert!(defined.psi < 0.3 && open.psi > 1.0, "{defined:?} {open:?}");
        assert_eq!(defined.p_value, open.p_value, "the test has all values in any mode");
    }

    #[test]
    fn many_features_share_what_chance_is_allowed() {
        // A p-value of about 0.002, which is an effect alone and not one of 20.
        let feature = |number: usize| numeric(&number.to_string(), Kind::Feature, &EDGES, &[40, 40, 0]);
        let base = |features: usize| Baseline { features: (0..features).map(feature).collect(), ..amount() };
        let window = |features: usize| WindowCounts {
            records: 600,
            features: (0..features)
                .map(|number| if number == 0 { buckets(&[404, 196, 0]) } else { buckets(&[300, 300, 0]) })
                .collect(),
        };
        let thresholds = Thresholds { alert_psi: 0.1, ..Thresholds::default() };
        let alarms = |features| measure(&base(features), &window(features), &thresholds)[0].is_alarm();
        assert!(alarms(1) && !alarms(20));
    }

    #[test]
    fn an_alarm_does_not_flap() {
        use Level::{Clear, Hold, Raise};
        let mut alarm = Hysteresis::default();
        for (window, (level, expected)) in [
            (Clear, false),
            (Hold, false),
            (Raise, true),
            (Clear, true),
            (Hold, true),
            (Clear, true),
            (Raise, true),
            (Clear, true),
            (Clear, false),
            (Hold, false),
            (Clear, false),
            (Clear, false),
            (Raise, true),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(alarm.step(level), expected, "window {window}");
            let text = serde_json::to_string(&alarm).unwrap();
            assert_eq!(serde_json::from_str::<Hysteresis>(&text).unwrap(), alarm);
        }
    }
}
