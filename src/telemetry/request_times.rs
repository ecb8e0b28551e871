//! How long requests took, fine enough for quantiles: counts in buckets each of which is a fifth wider than the one before.

use std::time::Duration;

/// How many buckets there are: the last one begins at about four minutes, longer than any request lasts.
const BUCKETS: usize = 80;

/// The upper bound of the first bucket, in seconds.
const FIRST_SECONDS: f64 = 0.000_25;

/// The binary logarithm of what an upper bound is multiplied by for the next one.
const GROWTH_LOG2: f64 = 0.25;

/// So many requests took so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestTimes([u64; BUCKETS]);

impl Default for RequestTimes {
    fn default() -> RequestTimes {
        RequestTimes([0; BUCKETS])
    }
}

/// The upper bound of a bucket, in seconds.
fn bound(bucket: usize) -> f64 {
    FIRST_SECONDS * (bucket as f64 * GROWTH_LOG2).exp2()
}

impl RequestTimes {
    /// Counts a request.
    pub fn add(&mut self, took: Duration) {
        let bucket = ((took.as_secs_f64() / FIRST_SECONDS).log2() / GROWTH_LOG2).ceil().max(0.0) as usize;
        self.0[bucket.min(BUCKETS - 1)] += 1;
    }

    /// Those that came after some others; all of them where the counting began anew in between.
    pub fn since(&self, earlier: &RequestTimes) -> RequestTimes {
        match self.0.iter().zip(&earlier.0).all(|(now, then)| now >= then) {
            true => RequestTimes(std::array::from_fn(|bucket| self.0[bucket] - earlier.0[bucket])),
            false => *self,
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The time in seconds within which this share of them (0 to 1) was answered, as the upper bound of its bucket: at most
    /// a fifth too long. `None` where there are none.
    pub fn quantile_seconds(&self, share: f64) -> Option<f64> {
        let rank = ((self.count() as f64 * share).ceil() as u64).max(1);
        let mut below = 0;
        let reaches = |count: &u64| {
            below += count;
            below >= rank
        };
        self.0.iter().position(reaches).map(bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_at_most_a_fifth_too_long() {
        let mut times = RequestTimes::default();
        assert_eq!(times.quantile_seconds(0.5), None);
        (1..=1_000).for_each(|milliseconds| times.add(Duration::from_millis(milliseconds)));
        for (share, seconds) in [(0.5, 0.5), (0.99, 0.99), (1.0, 1.0), (0.0, 0.001)] {
            let found = times.quantile_seconds(share).unwrap();
            assert!((seconds..seconds * 1.2).contains(&found), "{share}: {found}");
        }
        for took in [Duration::ZERO, Duration::from_secs(100_000)] {
            times.add(took);
        }
        assert_eq!(times.count(), 1_002);
    }

    #[test]
    fn what_came_since_is_told_also_where_counting_began_anew() {
        let (mut before, second) = (RequestTimes::default(), Duration::from_secs(1));
        before.add(Duration::from_millis(1));
        let mut now = before;
        now.add(second);
        assert!(now.since(&before).quantile_seconds(0.0).unwrap() >= 1.0);
        let mut anew = RequestTimes::default();
        anew.add(second);
        assert_eq!(anew.since(&before), anew);
    }
}
