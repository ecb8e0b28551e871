//! Classification: accuracy, Brier score and calibration error, and what a confusion matrix gives.

use serde::{Deserialize, Serialize};

use super::confidence::{BAND_COUNT, FractionSum, band, is_confidence};
use super::confusion::ConfusionMatrix;
use super::share::ratio;

/// Sums over outcomes of a classifier.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassificationSums {
    outcomes: u64,
    correct: u64,
    confusion: ConfusionMatrix,
    /// Of (confidence − correct)².
    squared_errors: FractionSum,
    bins: [BinSums; BAND_COUNT],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct BinSums {
    outcomes: u64,
    correct: u64,
    confidence: FractionSum,
}

/// One bin of the reliability curve that holds an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CalibrationBin {
    /// Its number from 0: confidences above `bin / 10` and up to `(bin + 1) / 10`.
    pub bin: usize,
    /// Outcomes in it.
    pub outcomes: u64,
    /// Mean confidence, 0 to 1.
    pub confidence: f64,
    /// Share of correct predictions, 0 to 1.
    pub accuracy: f64,
}

impl ClassificationSums {
    /// Counts one outcome.
    ///
    /// `confidence` is the probability that the model gave to what it predicted. One that is not from 0 to 1 counts as none.
    pub fn add(&mut self, prediction: &str, label: &str, confidence: Option<f64>) {
        let correct = u64::from(prediction == label);
        self.outcomes += 1;
        self.correct += correct;
        self.confusion.add(prediction, label);
        let Some(confidence) = confidence.filter(|confidence| is_confidence(*confidence)) else { return };
        self.squared_errors.add((confidence - correct as f64).powi(2));
        let bin = &mut self.bins[band(confidence)];
        bin.outcomes += 1;
        bin.correct += correct;
        bin.confidence.add(confidence);
    }

    /// Adds what others counted.
    pub fn merge(&mut self, other: &ClassificationSums) {
        self.outcomes = self.outcomes.saturating_add(other.outcomes);
        self.correct = self.correct.saturating_add(other.correct);
        self.confusion.merge(&other.confusion);
        self.squared_errors.merge(other.squared_errors);
        for (mine, its) in self.bins.iter_mut().zip(&other.bins) {
            mine.outcomes = mine.outcomes.saturating_add(its.outcomes);
            mine.correct = mine.correct.saturating_add(its.correct);
            mine.confidence.merge(its.confidence);
        }
    }

    /// All outcomes that were counted.
    pub fn outcomes(&self) -> u64 {
        self.outcomes
    }

    /// Those of which the prediction was the label.
    pub fn correct(&self) -> u64 {
        self.correct
    }

    /// Those without a confidence, of which Brier score and calibration error say nothing.
    pub fn without_confidence(&self) -> u64 {
        self.outcomes.saturating_sub(self.with_confidence())
    }

    fn with_confidence(&self) -> u64 {
        self.bins.iter().map(|bin| bin.outcomes).sum()
    }

    /// Outcomes by label and prediction, and the figures of each class.
    pub fn confusion(&self) -> &ConfusionMatrix {
        &self.confusion
    }

    /// Share of predictions that were the label, 0 to 1 (`sklearn.metrics.accuracy_score`).
    pub fn accuracy(&self) -> Option<f64> {
        ratio(self.correct, self.outcomes)
    }

    /// Brier score of the predicted class, mean of (confidence − correct)², 0 to 1 and the less the better.
    ///
    /// With two classes it is `sklearn.metrics.brier_score_loss`: there the other class has what is left of 1. With more it is less than
    /// Brier's own score (Verification of forecasts expressed in terms of probability, 1950), which wants the probability of every class.
    pub fn brier_score(&self) -> Option<f64> {
        let count = self.with_confidence();
        (count > 0).then(|| self.squared_errors.as_f64() / count as f64)
    }

    /// Expected calibration error: the mean over outcomes of how far accuracy and mean confidence of their bin are apart, 0 to 1
    /// (Naeini, Cooper and Hauskrecht, Obtaining well calibrated probabilities using Bayesian binning, 2015; of the predicted class as Guo
    /// et al., On calibration of modern neural networks, 2017).
    ///
    /// Ten equal bins: `sklearn.calibration.calibration_curve` with `strategy="uniform"`, whose bins hold their upper edge.
    pub fn expected_calibration_error(&self) -> Option<f64> {
        let count = self.with_confidence();
        let apart: f64 = self.bins.iter().map(|bin| bin.confidence.distance_to(bin.correct)).sum();
        (count > 0).then(|| apart / count as f64)
    }

    /// The reliability curve: the bins that are not empty (`sklearn.calibration.calibration_curve`).
    pub fn calibration(&self) -> impl Iterator<Item = CalibrationBin> {
        let bins = self.bins.iter().enumerate().filter(|(_, sums)| sums.outcomes > 0);
        bins.map(|(bin, sums)| CalibrationBin {
            bin,
            outcomes: sums.outcomes,
            confidence: sums.confidence.as_f64() / sums.outcomes as f64,
            accuracy: sums.correct as f64 / sums.outcomes as f64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_no_figures() {
        let mut sums = ClassificationSums::default();
        let figures = |sums: &ClassificationSums| {
            [sums.accuracy(), sums.brier_score(), sums.expected_calibration_error()].map(|figure| figure.is_some())
        };
        assert_eq!(figures(&sums), [false, false, false]);
        for confidence in [None, Some(f64::NAN), Some(1.5), Some(-0.1)] {
            sums.add("a", "b", confidence);
        }
        assert_eq!(figures(&sums), [true, false, false]);
        assert_eq!((sums.outcomes(), sums.correct(), sums.without_confidence()), (4, 0, 4));
        sums.add("a", "a", Some(1.0));
        assert_eq!((sums.accuracy(), sums.brier_score(), sums.without_confidence()), (Some(0.2), Some(0.0), 4));
    }

    #[test]
    fn sums_that_are_kept_come_back() {
        let mut sums = ClassificationSums::default();
        for number in 0..100 {
            sums.add(["a", "b"][number % 2], ["a", "b", "b"][number % 3], Some(number as f64 / 99.0));
        }
        let text = serde_json::to_string(&sums).unwrap();
        assert_eq!(serde_json::from_str::<ClassificationSums>(&text).unwrap(), sums);
    }
}
