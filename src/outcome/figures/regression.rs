//! Regression: how far are predicted numbers from the true ones?

use serde::{Deserialize, Serialize};

use super::exact_sum::ExactSum;

/// Sums over outcomes of a model that predicts numbers.
///
/// They are exact, so that a large offset takes nothing away. About 300 bytes, and 2 KiB for numbers of every size that there is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RegressionSums {
    outcomes: u64,
    not_finite: u64,
    /// Of prediction − label.
    errors: ExactSum,
    absolute_errors: ExactSum,
    squared_errors: ExactSum,
    labels: ExactSum,
    squared_labels: ExactSum,
}

impl RegressionSums {
    /// Counts one outcome. One of which prediction, label or difference is not finite counts as such, and in no figure.
    pub fn add(&mut self, prediction: f64, label: f64) {
        let error = prediction - label;
        if !error.is_finite() {
            self.not_finite += 1;
            return;
        }
        self.outcomes += 1;
        self.errors.add(error);
        self.absolute_errors.add(error.abs());
        self.squared_errors.add_product(error, error);
        self.labels.add(label);
        self.squared_labels.add_product(label, label);
    }

    /// Adds what others counted.
    pub fn merge(&mut self, other: &RegressionSums) {
        self.outcomes = self.outcomes.saturating_add(other.outcomes);
        self.not_finite = self.not_finite.saturating_add(other.not_finite);
        self.errors.merge(&other.errors);
        self.absolute_errors.merge(&other.absolute_errors);
        self.squared_errors.merge(&other.squared_errors);
        self.labels.merge(&other.labels);
        self.squared_labels.merge(&other.squared_labels);
    }

    /// Outcomes in the figures.
    pub fn outcomes(&self) -> u64 {
        self.outcomes
    }

    /// Outcomes that are in no figure, because prediction, label or their difference is not finite.
    pub fn not_finite(&self) -> u64 {
        self.not_finite
    }

    fn mean(&self, sum: &ExactSum) -> Option<f64> {
        let sum = sum.value()?;
        (self.outcomes > 0).then(|| sum / self.outcomes as f64)
    }

    /// Mean of |prediction − label|, in the unit of the label (`sklearn.metrics.mean_absolute_error`).
    pub fn mean_absolute_error(&self) -> Option<f64> {
        self.mean(&self.absolute_errors)
    }

    /// Square root of the mean of (prediction − label)², in the unit of the label (`sklearn.metrics.root_mean_squared_error`).
    ///
    /// Absent, too, where a square is larger than a number can be.
    pub fn root_mean_squared_error(&self) -> Option<f64> {
        self.mean(&self.squared_errors).map(f64::sqrt)
    }

    /// Mean of prediction − label, in the unit of the label: above 0 when predictions are too high.
    pub fn bias(&self) -> Option<f64> {
        self.mean(&self.errors)
    }

    /// Coefficient of determination, 1 − Σ(prediction − label)² / Σ(label − mean label)²: 1 at best, 0 for one that always predicts the
    /// mean, and without a lower bound (`sklearn.metrics.r2_score`).
    ///
    /// Absent where all labels are the same, as with `force_finite=False`, which gives NaN or −∞ then. The denominator is
    /// (n·Σ label² − (Σ label)²) / n, which cancels badly unless sums are exact, as they are here.
    pub fn r2_score(&self) -> Option<f64> {
        let count = self.outcomes as f64;
        let mut spread = ExactSum::default();
        spread.add_scaled(&self.squared_labels, count);
        spread.subtract_square(&self.labels);
        let spread = spread.value().filter(|spread| *spread > 0.0)? / count;
        self.squared_errors.value().map(|squares| 1.0 - squares / spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(pairs: &[(f64, f64)]) -> RegressionSums {
        let mut sums = RegressionSums::default();
        pairs.iter().for_each(|(prediction, label)| sums.add(*prediction, *label));
        sums
    }

    fn figures(sums: &RegressionSums) -> [Option<f64>; 4] {
        [sums.mean_absolute_error(), sums.root_mean_squared_error(), sums.r2_score(), sums.bias()]
    }

    #[test]
    fn figures_by_hand() {
        assert_eq!(figures(&sums(&[])), [None; 4]);
        assert_eq!(figures(&sums(&[(3.0, 1.0)])), [Some(2.0), Some(2.0), None, Some(2.0)]);
        assert_eq!(figures(&sums(&[(1.0, 7.0), (7.0, 7.0)])), [Some(3.0), Some(18_f64.sqrt()), None, Some(-3.0)]);
        let tenths = sums(&[(0.1, 0.1); 50]);
        assert_eq!(figures(&tenths), [Some(0.0), Some(0.0), None, Some(0.0)], "a rounded mean would be no tenth");
        assert_eq!(figures(&sums(&[(1.0, 0.0), (1.0, 2.0)])), [Some(1.0), Some(1.0), Some(0.0), Some(0.0)]);
    }

    #[test]
    fn what_is_no_number_is_in_no_figure() {
        let all = sums(&[(f64::NAN, 1.0), (1.0, f64::INFINITY), (f64::MAX, -f64::MAX), (3.0, 1.0)]);
        assert_eq!((all.outcomes(), all.not_finite(), all.bias()), (1, 3, Some(2.0)));
        let huge = sums(&[(1e200, 0.0), (0.0, 1e200)]);
        assert_eq!(figures(&huge), [Some(1e200), None, None, Some(0.0)]);
    }

    #[test]
    fn sums_that_are_kept_come_back() {
        let all = sums(&[(0.1, 0.3), (1e9, 1e9 + 0.7), (5e-300, 2.0 / 3.0)]);
        let back: RegressionSums = serde_json::from_str(&serde_json::to_string(&all).unwrap()).unwrap();
        assert_eq!(figures(&back), figures(&all));
    }
}
