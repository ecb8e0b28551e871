//! Sums of floating-point numbers without rounding, so that they are the same in any order and after any cancellation.

use serde::{Deserialize, Serialize};

/// A sum, kept as parts that do not overlap and whose own sum is exact (Shewchuk, Adaptive precision floating-point arithmetic and
/// fast robust geometric predicates, 1997; Python's `math.fsum`).
///
/// Two or three parts for numbers of about one size, and at most [`PARTS_MAX`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct ExactSum {
    /// The least first.
    parts: Vec<f64>,
    /// Something was larger than a number can be, or none: there is no sum.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_beyond: bool,
}

/// Where parts are put together so that each is below half a unit in the last place of the next: of such, 40 have all the 2,098 bits between
/// the least and the greatest number.
const PARTS_MAX: usize = 48;

impl ExactSum {
    pub(super) fn add(&mut self, value: f64) {
        let (mut value, mut kept) = (value, 0);
        for place in 0..self.parts.len() {
            let (sum, rest) = exact_sum(value, self.parts[place]);
            if rest != 0.0 {
                self.parts[kept] = rest;
                kept += 1;
            }
            value = sum;
        }
        self.parts.truncate(kept);
        if !value.is_finite() {
            self.is_beyond = true;
            self.parts.clear();
        } else if value != 0.0 {
            self.parts.push(value);
        }
        if self.parts.len() > PARTS_MAX {
            self.put_together();
        }
    }

    /// The same sum in as few parts as there can be.
    fn put_together(&mut self) {
        let mut parts = self.parts.iter().rev();
        let (mut greatest_first, mut rest) = (Vec::new(), parts.next().copied().unwrap_or(0.0));
        for part in parts {
            let (sum, next_rest) = exact_sum(rest, *part);
            rest = sum;
            if next_rest != 0.0 {
                greatest_first.push(sum);
                rest = next_rest;
            }
        }
        greatest_first.push(rest);
        greatest_first.reverse();
        self.parts = greatest_first;
    }

    /// Adds the product of two numbers, unless it is so small (below 1e-290) that it has no exact parts.
    pub(super) fn add_product(&mut self, one: f64, other: f64) {
        let product = one * other;
        self.add(product);
        if product.is_finite() {
            self.add(one.mul_add(other, -product));
        }
    }

    pub(super) fn merge(&mut self, other: &ExactSum) {
        other.parts.iter().for_each(|part| self.add(*part));
        self.is_beyond |= other.is_beyond;
    }

    /// Adds the product of a sum and a number.
    pub(super) fn add_scaled(&mut self, sum: &ExactSum, factor: f64) {
        sum.parts.iter().for_each(|part| self.add_product(*part, factor));
        self.is_beyond |= sum.is_beyond;
    }

    /// Subtracts the square of a sum.
    pub(super) fn subtract_square(&mut self, sum: &ExactSum) {
        sum.parts.iter().for_each(|part| self.add_scaled(sum, -part));
    }

    /// The number nearest to the sum; absent when that, or anything on the way, is larger than a number can be.
    pub(super) fn value(&self) -> Option<f64> {
        // From the greatest down; what is left when a part no longer fits decides how to round.
        let mut parts = self.parts.iter().rev().copied();
        let (mut sum, mut rest) = (parts.next().unwrap_or(0.0), 0.0);
        for part in parts.by_ref() {
            (sum, rest) = exact_sum(sum, part);
            if rest != 0.0 {
                break;
            }
        }
        // Halfway between two numbers: the next part says to which side.
        if let Some(next) = parts.next()
            && (rest < 0.0) == (next < 0.0)
        {
            let doubled = rest * 2.0;
            let rounded = sum + doubled;
            sum = if rounded - sum == doubled { rounded } else { sum };
        }
        (!self.is_beyond && sum.is_finite()).then_some(sum)
    }
}

/// The rounded sum of two numbers, and what rounding took away (Knuth's two-sum).
fn exact_sum(one: f64, other: f64) -> (f64, f64) {
    let sum = one + other;
    let part = sum - one;
    (sum, (one - (sum - part)) + (other - part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(values: &[f64]) -> ExactSum {
        let mut sum = ExactSum::default();
        values.iter().for_each(|value| sum.add(*value));
        sum
    }

    #[test]
    fn sums_are_those_of_pythons_fsum() {
        for (values, expected) in [
            (&[][..], 0.0),
            (&[0.1; 10], 1.0),
            (&[1e100, 1.0, -1e100], 1.0),
            (&[1e16, 1.0, 1e-16], 1e16 + 2.0),
            (&[1e16, 1.0, -1e-16], 1e16),
            (&[1e16 + 2.0, -1.0, -1e-16], 1e16),
            (&[1e16 + 2.0, -1.0, 1e-16], 1e16 + 2.0),
            (&[1.0, f64::MIN_POSITIVE, -1.0], f64::MIN_POSITIVE),
            (&[f64::MAX, -f64::MAX, 5e-324], 5e-324),
        ] {
            assert_eq!(sum(values).value(), Some(expected), "{values:?}");
            let reverse: Vec<f64> = values.iter().rev().copied().collect();
            assert_eq!(sum(&reverse).value(), Some(expected), "{reverse:?}");
        }
    }

    #[test]
    fn squares_cancel_exactly() {
        let values = sum(&[1e15, 1e15 + 1.0, 1e15 + 2.0]);
        let mut spread = ExactSum::default();
        let mut squares = ExactSum::default();
        [1e15, 1e15 + 1.0, 1e15 + 2.0].iter().for_each(|value| squares.add_product(*value, *value));
        spread.add_scaled(&squares, 3.0);
        spread.subtract_square(&values);
        assert_eq!(spread.value(), Some(6.0), "3 · Σ(value − mean)²");
    }

    #[test]
    fn what_is_too_large_for_a_number_has_no_sum() {
        for values in [[f64::MAX, f64::MAX], [f64::NAN, 1.0], [1.0, f64::INFINITY]] {
            let mut sum = sum(&values);
            sum.add(1.0);
            assert_eq!(sum.value(), None, "{values:?}");
            let text = serde_json::to_string(&sum).unwrap();
            let mut back: ExactSum = serde_json::from_str(&text).unwrap();
            back.merge(&ExactSum::default());
            assert_eq!(back.value(), None, "{text}");
        }
        let mut squares = ExactSum::default();
        squares.add_product(1e200, 1e200);
        assert_eq!(squares.value(), None);
    }

    #[test]
    fn the_number_of_parts_has_a_limit_and_the_sum_stays_exact() {
        let mut random = fastrand::Rng::with_seed(5);
        let any = |random: &mut fastrand::Rng| (random.f64() - 0.5) * 2.0_f64.powi(random.i32(-1_070..1_000));
        let mut values: Vec<f64> = (0..20_000).map(|_| any(&mut random)).collect();
        let mut all = ExactSum::default();
        let mut most = 0;
        for value in &values {
            all.add(*value);
            most = most.max(all.parts.len());
        }
        assert!((41..=PARTS_MAX).contains(&most), "{most}");
        random.shuffle(&mut values);
        values.iter().for_each(|value| all.add(-value));
        assert_eq!((all.value(), all.parts.len()), (Some(0.0), 0));
    }
}
