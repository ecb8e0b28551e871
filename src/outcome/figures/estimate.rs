//! Estimated accuracy before the labels come: how often is a model right that is as sure as this one is now?
//!
//! A [`CalibrationTable`] is learnt from outcomes whose label is known: how often was the prediction right, by bin of confidence?
//! [`ConfidenceCounts`] say how many predictions are in each of these bins now. The estimate is the share of right ones in each bin,
//! weighed by the predictions in it. Bins are narrow, and neighbours within a twentieth of the scale go together until they have labels
//! enough. This is the idea of confidence-based performance estimation (NannyML's CBPE, which calibrates with an
//! isotonic regression instead of a table: its bins are as wide as the labels want them, and may only rise with confidence).
//!
//! **Where such an estimate fails**, and nothing in it can say so:
//!
//! - *Concept drift*: what used to be right is wrong now. The model is as sure as before, so the estimate stays where it was. The labels show it,
//!   when they come, and only they.
//! - *Regions that the labels have not seen*: records unlike all labelled ones may get a high confidence all the same. Bins without
//!   labels are noticed ([`Withheld::Uncovered`]); new regions within one are not. `drift` watches the features.
//! - *Labels by choice*: when only suspicious predictions are reviewed, the labelled ones of a bin are not like the rest of it.
//! - *Movement within a bin*: the table knows one share a bin, and the fewer the labels the wider the bins.
//!
//! It does see that inputs get harder, as long as the model knows that it is less sure of them.

use serde::{Deserialize, Serialize};

use super::confidence::is_confidence;

/// Twentieths of the scale, within which bins may go together.
const TWENTIETHS: usize = 20;

/// Hundredths, five a twentieth, of which the last is cut in three.
const BIN_COUNT: usize = 102;

/// Where the last hundredth is cut: most confidences are there.
const LAST_EDGES: [f64; 2] = [0.995, 0.999];

/// A bin with fewer labels goes together with its neighbours.
const BIN_LABELS_MIN: u64 = 30;

/// A twentieth with fewer labels says nothing.
pub const TWENTIETH_LABELS_MIN: u64 = 10;

/// No estimate when more than this share of the predictions is in twentieths that say nothing, or has no confidence.
pub const UNCOVERED_SHARE_MAX: f64 = 0.05;

/// The 97.5th percentile of the normal distribution: ± it are 95 %.
const NORMAL_QUANTILE: f64 = 1.959_963_984_540_054;

/// How often predictions were right, by bin of confidence: 1.6 KiB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Learnt>", into = "Vec<Learnt>")]
pub struct CalibrationTable {
    /// [`BIN_COUNT`] of them.
    bins: Vec<Learnt>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Learnt {
    labels: u64,
    correct: u64,
}

/// How many predictions had which confidence: 0.8 KiB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "KeptCounts")]
pub struct ConfidenceCounts {
    /// [`BIN_COUNT`] of them.
    bins: Vec<u64>,
    without: u64,
}

#[derive(Deserialize)]
struct KeptCounts {
    bins: Vec<u64>,
    without: u64,
}

/// An estimate of the share of right ones among some predictions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// 0 to 1.
    pub accuracy: f64,
    /// The lower end of the band, 0 to 1.
    pub lower: f64,
    /// The upper end of the band, 0 to 1.
    pub upper: f64,
    /// Predictions that it is of.
    pub predictions: u64,
    /// Labels that it was learnt from.
    pub labels: u64,
    /// Share of the predictions of which the labels say nothing: the band takes all of them for wrong and for right.
    pub uncovered_share: f64,
}

/// Why there is no estimate.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Withheld {
    /// Nothing to estimate.
    #[error("there are no predictions")]
    NoPredictions,
    /// The table as a whole knows too little.
    #[error("only {labels} labels of predictions with a confidence are known, and {labels_min} are the least")]
    FewLabels {
        /// Labels in the table.
        labels: u64,
        /// The fewest that are enough.
        labels_min: u64,
    },
    /// The table knows nothing of too many of the predictions.
    #[error(
        "{:.1} % of the predictions have no confidence, or one at which fewer than {TWENTIETH_LABELS_MIN} labels are known; \
         {:.0} % are the most",
        share * 100.0,
        UNCOVERED_SHARE_MAX * 100.0
    )]
    Uncovered {
        /// Share of the predictions.
        share: f64,
    },
}

impl Withheld {
    /// A word for machines.
    pub fn name(&self) -> &'static str {
        match self {
            Withheld::NoPredictions => "no_predictions",
            Withheld::FewLabels { .. } => "few_labels",
            Withheld::Uncovered { .. } => "uncovered",
        }
    }
}

/// A bin holds its upper edge, the first one also its lower.
fn bin_of(confidence: f64) -> usize {
    let is_above = |hundredth: usize| hundredth as f64 / 100.0 < confidence;
    // Rounded, so one too many or too few at an edge.
    let near = (confidence * 100.0) as usize;
    let hundredth = (near.max(1) - 1..=near.min(99)).take_while(|edge| is_above(*edge)).last().unwrap_or(0);
    hundredth + LAST_EDGES.iter().filter(|edge| **edge < confidence).count()
}

const OTHER_BINS: &str = "the bins of confidence are others";

impl Default for CalibrationTable {
    fn default() -> CalibrationTable {
        CalibrationTable { bins: vec![Learnt::default(); BIN_COUNT] }
    }
}

impl Default for ConfidenceCounts {
    fn default() -> ConfidenceCounts {
        ConfidenceCounts { bins: vec![0; BIN_COUNT], without: 0 }
    }
}

impl TryFrom<Vec<Learnt>> for CalibrationTable {
    type Error = &'static str;

    fn try_from(bins: Vec<Learnt>) -> Result<CalibrationTable, &'static str> {
        if bins.len() == BIN_COUNT { Ok(CalibrationTable { bins }) } else { Err(OTHER_BINS) }
    }
}

impl From<CalibrationTable> for Vec<Learnt> {
    fn from(table: CalibrationTable) -> Vec<Learnt> {
        table.bins
    }
}

impl TryFrom<KeptCounts> for ConfidenceCounts {
    type Error = &'static str;

    fn try_from(KeptCounts { bins, without }: KeptCounts) -> Result<ConfidenceCounts, &'static str> {
        if bins.len() == BIN_COUNT { Ok(ConfidenceCounts { bins, without }) } else { Err(OTHER_BINS) }
    }
}

impl CalibrationTable {
    /// Learns from one outcome. One without a confidence from 0 to 1 teaches nothing.
    pub fn add(&mut self, confidence: Option<f64>, is_correct: bool) {
        let Some(confidence) = confidence.filter(|confidence| is_confidence(*confidence)) else { return };
        let bin = &mut self.bins[bin_of(confidence)];
        bin.labels += 1;
        bin.correct += u64::from(is_correct);
    }

    /// Adds what others learnt of the same model version.
    pub fn merge(&mut self, other: &CalibrationTable) {
        self.bins.iter_mut().zip(&other.bins).for_each(|(mine, its)| mine.merge(*its));
    }

    /// Labels that it was learnt from.
    pub fn labels(&self) -> u64 {
        self.bins.iter().map(|bin| bin.labels).sum()
    }
}

impl Learnt {
    fn merge(&mut self, other: Learnt) {
        self.labels = self.labels.saturating_add(other.labels);
        self.correct = self.correct.saturating_add(other.correct);
    }
}

impl ConfidenceCounts {
    /// Counts one prediction, labelled or not.
    pub fn add(&mut self, confidence: Option<f64>) {
        match confidence.filter(|confidence| is_confidence(*confidence)) {
            Some(confidence) => self.bins[bin_of(confidence)] += 1,
            None => self.without += 1,
        }
    }

    /// Adds what others counted.
    pub fn merge(&mut self, other: &ConfidenceCounts) {
        self.bins.iter_mut().zip(&other.bins).for_each(|(mine, its)| *mine = mine.saturating_add(*its));
        self.without = self.without.saturating_add(other.without);
    }

    /// All predictions that were counted.
    pub fn predictions(&self) -> u64 {
        self.bins.iter().sum::<u64>() + self.without
    }
}

/// Predictions and labels of bins that have gone together.
#[derive(Clone, Copy, Default)]
struct Group {
    predictions: u64,
    learnt: Learnt,
}

/// The bins of one twentieth, from the lowest up, together with the next where labels are too few. What is left at the end goes with the
/// group before it, and is the only group of too few labels where there is none.
fn groups(bins: impl Iterator<Item = (u64, Learnt)>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut open = Group::default();
    let join = |group: &mut Group, other: Group| {
        group.predictions += other.predictions;
        group.learnt.merge(other.learnt);
    };
    for (predictions, learnt) in bins {
        join(&mut open, Group { predictions, learnt });
        if open.learnt.labels >= BIN_LABELS_MIN {
            groups.push(std::mem::take(&mut open));
        }
    }
    match groups.last_mut() {
        Some(last) => join(last, open),
        None => groups.push(open),
    }
    groups
}

/// Estimates the accuracy of predictions from their confidences, with a band in which it is in 95 of 100 cases.
///
/// With w the share of a bin in the N predictions, n its labels and p the share of right ones among these, the estimate is Σ w·p. Its variance is
/// that of the labels, Σ w²·p(1 − p)/(n − 1), and that of the predictions, Σ w·p(1 − p)/N: what the band is for is the accuracy that
/// these predictions turn out to have. In the variance p has half a right and half a wrong one more (Jeffreys), because ten of
/// ten are not certainty. Labels of the predictions themselves may be in the table; the band then is wider than it had to be.
///
/// # Errors
/// Why an estimate would mean nothing.
pub fn estimate(
    table: &CalibrationTable,
    predictions: &ConfidenceCounts,
    labels_min: u64,
) -> Result<Estimate, Withheld> {
    let (all, labels) = (predictions.predictions(), table.labels());
    if all == 0 {
        return Err(Withheld::NoPredictions);
    }
    if labels < labels_min.max(1) {
        return Err(Withheld::FewLabels { labels, labels_min: labels_min.max(1) });
    }
    let bins: Vec<(u64, Learnt)> = predictions.bins.iter().copied().zip(table.bins.iter().copied()).collect();
    let of_twentieth = |number: usize| {
        let end = if number + 1 == TWENTIETHS { BIN_COUNT } else { number * 5 + 5 };
        groups(bins[number * 5..end].iter().copied())
    };
    let (mut covered, mut right, mut variance) = (0, 0.0, 0.0);
    for group in (0..TWENTIETHS).flat_map(of_twentieth).filter(|group| group.learnt.labels >= TWENTIETH_LABELS_MIN) {
        let weight = group.predictions as f64;
        let (n, k) = (group.learnt.labels as f64, group.learnt.correct as f64);
        let smoothed = (k + 0.5) / (n + 1.0);
        covered += group.predictions;
        right += weight * k / n;
        variance += smoothed * (1.0 - smoothed) * (weight * weight / (n - 1.0) + weight);
    }
    let uncovered_share = (all - covered) as f64 / all as f64;
    if uncovered_share > UNCOVERED_SHARE_MAX {
        return Err(Withheld::Uncovered { share: uncovered_share });
    }
    let accuracy = right / covered as f64;
    let covered_share = 1.0 - uncovered_share;
    let half_band = NORMAL_QUANTILE * variance.sqrt() / covered as f64;
    Ok(Estimate {
        accuracy,
        lower: ((accuracy - half_band) * covered_share).max(0.0),
        upper: ((accuracy + half_band) * covered_share + uncovered_share).min(1.0),
        predictions: all,
        labels,
        uncovered_share,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(bins: &[(f64, u64, u64)]) -> CalibrationTable {
        let mut table = CalibrationTable::default();
        for (confidence, labels, correct) in bins {
            (0..*labels).for_each(|number| table.add(Some(*confidence), number < *correct));
        }
        table
    }

    fn predictions(bins: &[(Option<f64>, u64)]) -> ConfidenceCounts {
        let mut counts = ConfidenceCounts::default();
        bins.iter().for_each(|(confidence, count)| (0..*count).for_each(|_| counts.add(*confidence)));
        counts
    }

    #[test]
    fn an_estimate_by_hand() {
        let table = table(&[(0.6, 100, 50), (0.95, 100, 90)]);
        let found = estimate(&table, &predictions(&[(Some(0.6), 300), (Some(0.95), 100)]), 100).unwrap();
        assert!((found.accuracy - 0.6).abs() < 1e-15, "{found:?}");
        let part = |p: f64, w: f64| p * (1.0 - p) * (w * w / 99.0 + w / 400.0);
        let band = 1.959_963_984_540_054 * (part(50.5 / 101.0, 0.75) + part(90.5 / 101.0, 0.25)).sqrt();
        assert!((found.lower - (0.6 - band)).abs() < 1e-12 && (found.upper - (0.6 + band)).abs() < 1e-12, "{found:?}");
        assert_eq!((found.predictions, found.labels, found.uncovered_share), (400, 200, 0.0));
    }

    #[test]
    fn the_same_confidences_give_the_accuracy_that_was_seen() {
        let table = table(&[(0.3, 50, 20), (0.7, 30, 20), (0.999, 20, 20)]);
        let same = predictions(&[(Some(0.3), 50), (Some(0.7), 30), (Some(0.999), 20)]);
        assert!((estimate(&table, &same, 1).unwrap().accuracy - 0.6).abs() < 1e-15);
    }

    #[test]
    fn estimates_are_withheld() {
        let little = table(&[(0.6, 50, 25), (0.95, 9, 9)]);
        for (table, predictions, labels_min, expected) in [
            (&little, predictions(&[]), 1, Err("no_predictions")),
            (&little, predictions(&[(Some(0.6), 10)]), 60, Err("few_labels")),
            (&little, predictions(&[(Some(0.6), 10)]), 59, Ok(())),
            (&table(&[]), predictions(&[(Some(0.6), 10)]), 0, Err("few_labels")),
            (&little, predictions(&[(Some(0.6), 95), (Some(0.95), 5)]), 1, Ok(())),
            (&little, predictions(&[(Some(0.6), 94), (Some(0.95), 6)]), 1, Err("uncovered")),
            (&little, predictions(&[(Some(0.6), 94), (None, 6)]), 1, Err("uncovered")),
            (&little, predictions(&[(Some(0.6), 94), (Some(f64::NAN), 6)]), 1, Err("uncovered")),
            (&little, predictions(&[(Some(0.1), 1)]), 1, Err("uncovered")),
        ] {
            let found = estimate(table, &predictions, labels_min);
            assert_eq!(found.map(|_| ()).map_err(|why| why.name()), expected, "{found:?}");
        }
        let why = estimate(&little, &predictions(&[(None, 1)]), 1).unwrap_err();
        let words = "100.0 % of the predictions have no confidence, or one at which fewer than 10 labels are known; \
                     5 % are the most";
        assert_eq!(why.to_string(), words);
    }

    #[test]
    fn what_is_not_covered_widens_the_band() {
        let table = table(&[(0.6, 1_000_000, 800_000)]);
        let found = estimate(&table, &predictions(&[(Some(0.6), 960_000), (None, 40_000)]), 1).unwrap();
        assert!((found.accuracy - 0.8).abs() < 1e-12, "{found:?}");
        assert!(
            (found.lower - 0.8 * 0.96).abs() < 2e-3 && (found.upper - (0.8 * 0.96 + 0.04)).abs() < 2e-3,
            "{found:?}"
        );
    }

    #[test]
    fn a_bin_holds_its_upper_edge() {
        for (confidence, expected) in
            [(0.0, 0), (5e-324, 0), (0.01, 0), (0.99, 98), (0.995, 99), (0.999, 100), (1.0, 101)]
        {
            assert_eq!(bin_of(confidence), expected, "{confidence}");
        }
        for edge in 1..100 {
            let at = f64::from(edge) / 100.0;
            assert_eq!(
                [at.next_down(), at, at.next_up()].map(bin_of),
                [edge - 1, edge - 1, edge].map(|bin| bin as usize)
            );
        }
        for at in LAST_EDGES {
            assert_eq!(bin_of(at) + 1, bin_of(at.next_up()));
        }
    }

    #[test]
    fn bins_go_together_within_a_twentieth_and_not_beyond() {
        let of = |labels: &[u64]| {
            let bins = labels.iter().map(|labels| (1, Learnt { labels: *labels, correct: 0 }));
            groups(bins).iter().map(|group| (group.predictions, group.learnt.labels)).collect::<Vec<_>>()
        };
        assert_eq!(of(&[30, 30, 30, 30, 30]), [(1, 30); 5]);
        assert_eq!(of(&[29, 1, 70, 14, 15]), [(2, 30), (3, 99)]);
        assert_eq!(of(&[1, 1, 1, 1, 1]), [(5, 5)]);
        assert_eq!(of(&[0, 0, 0, 0, 30]), [(5, 30)]);
        let table = table(&[(0.52, 100, 50)]);
        for (confidence, is_covered) in [(0.5, false), (0.501, true), (0.55, true), (0.551, false)] {
            let found = estimate(&table, &predictions(&[(Some(confidence), 1)]), 1);
            assert_eq!(found.is_ok(), is_covered, "{confidence}: {found:?}");
        }
        let top = self::table(&[(0.96, 10, 10)]);
        let found = estimate(&top, &predictions(&[(Some(1.0), 5), (Some(0.96), 5)]), 1).unwrap();
        assert_eq!((found.accuracy, found.uncovered_share), (1.0, 0.0));
    }

    #[test]
    fn tables_that_are_kept_come_back() {
        let table = table(&[(0.6, 3, 2)]);
        let text = serde_json::to_string(&table).unwrap();
        assert_eq!(serde_json::from_str::<CalibrationTable>(&text).unwrap(), table);
        assert!(serde_json::from_str::<CalibrationTable>("[]").is_err());
        assert!(serde_json::from_str::<ConfidenceCounts>("{\"bins\":[1],\"without\":0}").is_err());
        let counts = predictions(&[(Some(0.2), 3), (None, 2)]);
        assert_eq!(serde_json::from_str::<ConfidenceCounts>(&serde_json::to_string(&counts).unwrap()).unwrap(), counts);
    }
}
