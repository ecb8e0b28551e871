//! The class that is looked for: fraud, a disease, a fault. How much of it is found, and how much of what is found is it?

use serde::{Deserialize, Serialize};

use super::exact_sum::ExactSum;
use super::share::ratio;

/// Outcomes by whether the positive class was predicted and whether it was true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositiveCounts {
    /// Predicted and true.
    pub true_positives: u64,
    /// Predicted, and another class was true.
    pub false_positives: u64,
    /// True, and another class was predicted.
    pub false_negatives: u64,
    /// Neither.
    pub true_negatives: u64,
}

impl PositiveCounts {
    /// Counts one outcome.
    pub fn add(&mut self, prediction: &str, label: &str, positive: &str) {
        let count = match (prediction == positive, label == positive) {
            (true, true) => &mut self.true_positives,
            (true, false) => &mut self.false_positives,
            (false, true) => &mut self.false_negatives,
            (false, false) => &mut self.true_negatives,
        };
        *count += 1;
    }

    /// Adds what others counted, of the same class.
    pub fn merge(&mut self, other: &PositiveCounts) {
        self.true_positives = self.true_positives.saturating_add(other.true_positives);
        self.false_positives = self.false_positives.saturating_add(other.false_positives);
        self.false_negatives = self.false_negatives.saturating_add(other.false_negatives);
        self.true_negatives = self.true_negatives.saturating_add(other.true_negatives);
    }

    /// TP / (TP + FP), 0 to 1; absent if it never was predicted (`sklearn.metrics.precision_score`).
    pub fn precision(&self) -> Option<f64> {
        ratio(self.true_positives, self.true_positives + self.false_positives)
    }

    /// TP / (TP + FN), 0 to 1; absent if it never was true (`sklearn.metrics.recall_score`).
    pub fn recall(&self) -> Option<f64> {
        ratio(self.true_positives, self.true_positives + self.false_negatives)
    }

    /// 2·TP / (2·TP + FP + FN), 0 to 1 (`sklearn.metrics.f1_score`).
    pub fn f1(&self) -> Option<f64> {
        ratio(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives)
    }

    /// FP / (FP + TN), 0 to 1; absent if it always was true (`sklearn.metrics.roc_curve` at the model's own threshold).
    pub fn false_positive_rate(&self) -> Option<f64> {
        ratio(self.false_positives, self.false_positives + self.true_negatives)
    }
}

/// The score of the positive class, from the confidence in what was predicted: that, or what is left of 1.
///
/// With two classes this is the probability of the positive one; with more it is the most that it can be where another class was
/// predicted.
pub fn positive_score(is_predicted: bool, confidence: f64) -> f64 {
    if is_predicted { confidence } else { 1.0 - confidence }
}

/// Area under the curve of precision over recall as *average precision*, Σ (Rₙ − Rₙ₋₁)·Pₙ over the different scores from the highest
/// down, without interpolation (`sklearn.metrics.average_precision_score`, ties included).
///
/// Takes outcomes in descending order of [`positive_score`], as a database sorts them, so that nothing is held.
#[derive(Clone, Debug, Default)]
pub struct AveragePrecision {
    /// Outcomes with a higher score than the last one, and those of the last one's.
    above: Counts,
    tied: Counts,
    tied_score: Option<f64>,
    /// Of precision times positives, over the scores above the last one.
    sum: ExactSum,
    is_broken: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    outcomes: u64,
    positives: u64,
}

/// A score is above the one before, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the scores are not finite and in descending order: their average precision would be wrong")]
pub struct NotDescending;

impl AveragePrecision {
    /// Counts the next outcome.
    ///
    /// # Errors
    /// When the score is above the one before, or not finite. There is no value from then on.
    pub fn add(&mut self, score: f64, is_positive: bool) -> Result<(), NotDescending> {
        self.is_broken |= !score.is_finite() || self.tied_score.is_some_and(|last| score > last);
        if self.is_broken {
            return Err(NotDescending);
        }
        if self.tied_score != Some(score) {
            let (counts, part) = self.with_tied();
            self.sum.add(part);
            (self.above, self.tied, self.tied_score) = (counts, Counts::default(), Some(score));
        }
        self.tied.outcomes += 1;
        self.tied.positives += u64::from(is_positive);
        Ok(())
    }

    /// All outcomes down to the last score, and what that score adds to the sum.
    fn with_tied(&self) -> (Counts, f64) {
        let outcomes = self.above.outcomes + self.tied.outcomes;
        let positives = self.above.positives + self.tied.positives;
        let precision = ratio(positives, outcomes).unwrap_or(0.0);
        (Counts { outcomes, positives }, self.tied.positives as f64 * precision)
    }

    /// 0 to 1; absent without positives, where scikit-learn warns and says 0, and when the order was broken.
    pub fn value(&self) -> Option<f64> {
        let (counts, part) = self.with_tied();
        let mut sum = self.sum.clone();
        sum.add(part);
        let sum = sum.value().filter(|_| !self.is_broken && counts.positives > 0)?;
        Some(sum / counts.positives as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn average_precision(outcomes: &[(f64, bool)]) -> Option<f64> {
        let mut sum = AveragePrecision::default();
        outcomes.iter().for_each(|(score, is_positive)| sum.add(*score, *is_positive).unwrap());
        sum.value()
    }

    #[test]
    fn average_precision_by_hand() {
        assert_eq!(average_precision(&[]), None);
        assert_eq!(average_precision(&[(0.9, false), (0.1, false)]), None);
        assert_eq!(average_precision(&[(0.9, true), (0.1, true)]), Some(1.0));
        // The example of scikit-learn's documentation.
        let example = [(0.8, true), (0.4, false), (0.35, true), (0.1, false)];
        assert!((average_precision(&example).unwrap() - 5.0 / 6.0).abs() < 1e-15);
        let tied = [(0.5, true), (0.5, false), (0.5, false), (0.5, true)];
        assert_eq!(average_precision(&tied), Some(0.5), "a score of all is no order");
    }

    #[test]
    fn a_broken_order_has_no_value() {
        for second in [0.51, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut sum = AveragePrecision::default();
            sum.add(0.5, true).unwrap();
            assert_eq!(sum.add(second, true), Err(NotDescending), "{second}");
            assert_eq!(sum.add(0.4, true), Err(NotDescending), "{second}: for good");
            assert_eq!(sum.value(), None, "{second}");
        }
        assert_eq!(average_precision(&[(0.0, true), (-0.0, false)]), Some(0.5), "both are 0");
    }

    #[test]
    fn the_score_of_the_other_class_is_what_is_left() {
        assert_eq!([positive_score(true, 0.75), positive_score(false, 0.75)], [0.75, 0.25]);
    }

    #[test]
    fn counts_without_a_denominator_have_no_figure() {
        let mut counts = PositiveCounts::default();
        let figures =
            |counts: &PositiveCounts| [counts.precision(), counts.recall(), counts.f1(), counts.false_positive_rate()];
        assert_eq!(figures(&counts), [None; 4]);
        counts.add("no", "no", "yes");
        assert_eq!(figures(&counts), [None, None, None, Some(0.0)]);
        counts.add("no", "yes", "yes");
        assert_eq!(figures(&counts), [None, Some(0.0), Some(0.0), Some(0.0)]);
        counts.add("yes", "maybe", "yes");
        counts.add("yes", "yes", "yes");
        assert_eq!(figures(&counts), [Some(0.5); 4]);
    }
}
