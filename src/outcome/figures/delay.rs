//! Delay: how long after the prediction does its label come?

use std::time::Duration;

use serde::{Deserialize, Serialize};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The upper bounds of the buckets, each of which holds its own: a minute to 90 days. What took longer is in one more bucket.
pub const DELAY_BOUNDS_SECONDS: [u64; 13] = [
    MINUTE,
    5 * MINUTE,
    15 * MINUTE,
    HOUR,
    4 * HOUR,
    12 * HOUR,
    DAY,
    3 * DAY,
    7 * DAY,
    14 * DAY,
    30 * DAY,
    60 * DAY,
    90 * DAY,
];

/// Delays by bucket, and their sum in whole milliseconds: 120 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelayHistogram {
    /// How many are within each bound of [`DELAY_BOUNDS_SECONDS`] and above the one before; the last are above all.
    pub buckets: [u64; DELAY_BOUNDS_SECONDS.len() + 1],
    sum_milliseconds: u64,
}

impl DelayHistogram {
    /// Counts one delay. What is below a millisecond is left away.
    pub fn add(&mut self, delay: Duration) {
        let is_within = |bound: &u64| Duration::from_secs(*bound) < delay;
        self.buckets[DELAY_BOUNDS_SECONDS.partition_point(is_within)] += 1;
        let milliseconds = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.sum_milliseconds = self.sum_milliseconds.saturating_add(milliseconds);
    }

    /// Adds what others counted.
    pub fn merge(&mut self, other: &DelayHistogram) {
        self.buckets.iter_mut().zip(other.buckets).for_each(|(mine, its)| *mine = mine.saturating_add(its));
        self.sum_milliseconds = self.sum_milliseconds.saturating_add(other.sum_milliseconds);
    }

    /// All delays that were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The median in seconds, as if the delays of a bucket were spread evenly in it; what took longer than all bounds counts as
    /// the last one. `None` when there is none.
    pub fn median_seconds(&self) -> Option<f64> {
        let half = self.count() as f64 / 2.0;
        let mut below = 0.0;
        for (place, delays) in self.buckets.iter().enumerate().filter(|(_, delays)| **delays > 0) {
            let bound = |place: usize| DELAY_BOUNDS_SECONDS[place.min(DELAY_BOUNDS_SECONDS.len() - 1)] as f64;
            let from = place.checked_sub(1).map_or(0.0, bound);
            let share = (half - below) / *delays as f64;
            if share <= 1.0 {
                return Some(from + share * (bound(place) - from));
            }
            below += *delays as f64;
        }
        None
    }

    /// Their sum in seconds.
    pub fn sum_seconds(&self) -> f64 {
        self.sum_milliseconds as f64 / 1_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_bound() {
        for (milliseconds, bucket) in [
            (0, 0),
            (60_000, 0),
            (60_001, 1),
            (86_400_000, 6),
            (90 * 86_400_000, 12),
            (90 * 86_400_000 + 1, 13),
            (u64::MAX, 13),
        ] {
            let mut histogram = DelayHistogram::default();
            histogram.add(Duration::from_millis(milliseconds));
            assert_eq!(histogram.buckets[bucket], 1, "{milliseconds}: {histogram:?}");
        }
    }

    #[test]
    fn the_median_is_within_its_bucket() {
        for (seconds, median) in [
            (&[][..], None),
            (&[30], Some(30.0)),
            (&[200, 200, 200, 200], Some(180.0)),
            (&[30, 200, 200], Some(60.0 + 240.0 * 0.25)),
            (&[30, 30, 86_000, 86_000], Some(60.0)),
            (&[9_000_000], Some(7_776_000.0)),
        ] {
            let mut histogram = DelayHistogram::default();
            seconds.iter().for_each(|seconds| histogram.add(Duration::from_secs(*seconds)));
            assert_eq!(histogram.median_seconds(), median, "{seconds:?}");
        }
    }

    #[test]
    fn delays_add_up() {
        let mut histogram = DelayHistogram::default();
        histogram.add(Duration::from_millis(1_500));
        histogram.add(Duration::from_secs(90));
        let mut both = histogram;
        both.merge(&histogram);
        assert_eq!((both.count(), both.sum_seconds(), both.buckets[1]), (4, 183.0, 2));
        both.add(Duration::MAX);
        assert_eq!((both.count(), both.sum_milliseconds), (5, u64::MAX), "too much for a sum does not wrap around");
    }
}
