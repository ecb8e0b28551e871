//! Confidences: which numbers are some, in which bin do they lie, and how are they added up?

use serde::{Deserialize, Serialize};

/// Equal bands of confidence between 0 and 1, for calibration and for coverage.
pub const BAND_COUNT: usize = 10;

/// Whether a number can be a confidence: 0 to 1.
pub fn is_confidence(value: f64) -> bool {
    (0.0..=1.0).contains(&value)
}

/// The one of the [`BAND_COUNT`] bands in which a confidence lies.
///
/// A band holds its upper edge and not its lower one, but for the first, which holds both: 0.2 is in the second of ten. The edges are
/// those of `numpy.linspace(0, 1, 11)`. Both as `sklearn.calibration.calibration_curve` with `strategy="uniform"`.
pub(super) fn band(confidence: f64) -> usize {
    let step = 1.0 / BAND_COUNT as f64;
    (1..BAND_COUNT).take_while(|edge| *edge as f64 * step < confidence).count()
}

/// A sum of numbers from 0 to 1 in units of 2⁻⁶⁴: whole, so that it is the same in any order.
///
/// Numbers from 2⁻¹² on are taken as they are, smaller ones lose what is below 2⁻⁶⁴.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u64; 2]", into = "[u64; 2]")]
pub(super) struct FractionSum(u128);

/// One, in units of [`FractionSum`].
const ONE: u128 = 1 << 64;

impl FractionSum {
    /// Adds a number from 0 to 1.
    pub(super) fn add(&mut self, value: f64) {
        self.0 = self.0.saturating_add((value * ONE as f64) as u128);
    }

    pub(super) fn merge(&mut self, other: FractionSum) {
        self.0 = self.0.saturating_add(other.0);
    }

    pub(super) fn as_f64(self) -> f64 {
        self.0 as f64 / ONE as f64
    }

    /// How far the sum is from a whole number.
    pub(super) fn distance_to(self, whole: u64) -> f64 {
        FractionSum(self.0.abs_diff(u128::from(whole) * ONE)).as_f64()
    }
}

impl From<[u64; 2]> for FractionSum {
    fn from([whole, rest]: [u64; 2]) -> FractionSum {
        FractionSum(u128::from(whole) * ONE + u128::from(rest))
    }
}

impl From<FractionSum> for [u64; 2] {
    fn from(sum: FractionSum) -> [u64; 2] {
        [(sum.0 / ONE) as u64, (sum.0 % ONE) as u64]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_band_holds_its_upper_edge() {
        for (confidence, expected) in [
            (0.0, 0),
            (f64::MIN_POSITIVE, 0),
            (0.1, 0),
            (0.100_000_000_000_000_02, 1),
            (0.2, 1),
            (0.3, 2),
            // 3 · 0.1 is a little more than 0.3, and the edge.
            (0.300_000_000_000_000_04, 2),
            (0.300_000_000_000_000_1, 3),
            (0.9, 8),
            (0.95, 9),
            (1.0, 9),
        ] {
            assert_eq!(band(confidence), expected, "{confidence}");
        }
    }

    #[test]
    fn what_is_no_confidence() {
        for value in [f64::NAN, -0.001, 1.000_000_1, f64::INFINITY] {
            assert!(!is_confidence(value), "{value}");
        }
        assert!(is_confidence(0.0) && is_confidence(-0.0) && is_confidence(1.0));
    }

    #[test]
    fn sums_are_exact_and_are_kept() {
        let mut sum = FractionSum::default();
        (0..1_000_000).for_each(|_| sum.add(0.1));
        assert_eq!(sum.as_f64(), 100_000.0, "one addition of f64 after the other gives 100000.00000133288");
        assert!(sum.distance_to(100_001) > 0.999_999_999 && sum.distance_to(0) == 100_000.0);
        let text = serde_json::to_string(&sum).unwrap();
        assert_eq!(serde_json::from_value::<FractionSum>(serde_json::from_str(&text).unwrap()).unwrap(), sum, "{text}");
    }
}
