//! Histograms whose sums are the same after any order of adding, writing and reading.

use serde::{Deserialize, Serialize};

/// How many values are within each bound and above the one before; the last are above all bounds. Empty before the first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Histogram {
    pub(super) buckets: Vec<u64>,
    pub(super) sum: Sum,
    /// A negative value was added: there is no sum that only grows, so there is none at all.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_signed: bool,
}

/// A sum in whole numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sum {
    pub(super) units: u64,
    /// Below one billion.
    pub(super) billionths: u32,
}

const BILLION: u64 = 1_000_000_000;

impl Histogram {
    /// True if so many values of at most so much can have this sum, within these bounds.
    pub(super) fn is_possible(&self, value_max: f64, bounds: &[f64]) -> bool {
        let fits = self.buckets.is_empty() || self.buckets.len() == bounds.len() + 1;
        let count = self.buckets.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count));
        // A value is rounded to a billionth.
        let sum_max = |count: u64| count as f64 * (value_max + 1e-9) * (1.0 + f64::EPSILON * 4.0);
        fits && count.is_some_and(|count| self.sum.as_f64() <= sum_max(count))
    }

    pub(super) fn add(&mut self, value: f64, bounds: &[f64]) {
        let bucket = bounds.iter().take_while(|bound| value > **bound).count();
        self.buckets.resize(bounds.len() + 1, 0);
        self.buckets[bucket] += 1;
        self.is_signed |= value < 0.0;
        if value > 0.0 {
            self.sum.add(Sum { units: value as u64, billionths: (value.fract() * BILLION as f64).round() as u32 });
        }
    }

    /// Adds what another one with the same bounds has counted.
    pub(super) fn merge(&mut self, other: &Histogram) {
        self.buckets.resize(other.buckets.len(), 0);
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(mine, its)| *mine += its);
        self.is_signed |= other.is_signed;
        self.sum.add(other.sum);
    }

    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }
}

impl Sum {
    fn add(&mut self, other: Sum) {
        let billionths = u64::from(self.billionths) + u64::from(other.billionths);
        self.units = self.units.saturating_add(other.units).saturating_add(billionths / BILLION);
        self.billionths = (billionths % BILLION) as u32;
    }

    pub(super) fn as_f64(self) -> f64 {
        self.units as f64 + f64::from(self.billionths) / BILLION as f64
    }
}
