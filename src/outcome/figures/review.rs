//! Reviews: do people look at what is flagged, in time, and do they agree with the model?

use serde::{Deserialize, Serialize};

use super::share::ratio;

/// What a reviewer decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The model's prediction stands.
    Upheld,
    /// Another decision takes its place.
    Overridden,
    /// Somebody else has to decide.
    Escalated,
}

impl Decision {
    /// As it stands in review lines and documents.
    pub fn name(self) -> &'static str {
        match self {
            Decision::Upheld => "upheld",
            Decision::Overridden => "overridden",
            Decision::Escalated => "escalated",
        }
    }
}

/// Sums over flagged predictions and over reviews: 64 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewSums {
    /// Predictions that were flagged.
    pub flagged: u64,
    /// Those of them that somebody has looked at, whatever was decided.
    pub flagged_reviewed: u64,
    /// Reviews by decision, of flagged predictions and of others.
    pub upheld: u64,
    /// See `upheld`.
    pub overridden: u64,
    /// See `upheld`.
    pub escalated: u64,
    /// Since when the oldest flagged prediction waits that nobody has looked at, in milliseconds since 1970.
    pub oldest_open_milliseconds: Option<i64>,
}

impl ReviewSums {
    /// Counts a flagged prediction, of that time in milliseconds since 1970.
    pub fn add_flagged(&mut self, since_milliseconds: i64, is_reviewed: bool) {
        self.flagged += 1;
        if is_reviewed {
            self.flagged_reviewed += 1;
        } else {
            self.oldest_open_milliseconds = older(self.oldest_open_milliseconds, Some(since_milliseconds));
        }
    }

    /// Counts a review.
    pub fn add_decision(&mut self, decision: Decision) {
        let count = match decision {
            Decision::Upheld => &mut self.upheld,
            Decision::Overridden => &mut self.overridden,
            Decision::Escalated => &mut self.escalated,
        };
        *count += 1;
    }

    /// Adds what others counted.
    pub fn merge(&mut self, other: &ReviewSums) {
        self.flagged = self.flagged.saturating_add(other.flagged);
        self.flagged_reviewed = self.flagged_reviewed.saturating_add(other.flagged_reviewed);
        self.upheld = self.upheld.saturating_add(other.upheld);
        self.overridden = self.overridden.saturating_add(other.overridden);
        self.escalated = self.escalated.saturating_add(other.escalated);
        self.oldest_open_milliseconds = older(self.oldest_open_milliseconds, other.oldest_open_milliseconds);
    }

    /// Share of the flagged predictions that somebody has looked at, 0 to 1.
    pub fn coverage_ratio(&self) -> Option<f64> {
        ratio(self.flagged_reviewed, self.flagged)
    }

    /// Share of overridden among what was upheld or overridden, 0 to 1. What was escalated is not decided yet.
    pub fn override_ratio(&self) -> Option<f64> {
        ratio(self.overridden, self.upheld + self.overridden)
    }

    /// How long the oldest flagged prediction has waited that nobody has looked at, in seconds, at least 0.
    pub fn oldest_open_seconds(&self, now_milliseconds: i64) -> Option<f64> {
        let since = self.oldest_open_milliseconds?;
        Some(now_milliseconds.saturating_sub(since).max(0) as f64 / 1_000.0)
    }
}

fn older(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    one.into_iter().chain(other).min()
}

/// Values are fewer than was said, not in ascending order, or no numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the values are fewer than was said, or not in ascending order: their median would be wrong")]
pub struct NotSorted;

/// The exact median of `count` values in ascending order, as a database sorts and counts them: nothing is held. The mean of the two in
/// the middle of an even number (`numpy.median`); absent of none.
///
/// # Errors
/// When what is read (half of the values) is not in order, or there are fewer of them.
pub fn median_of_sorted(count: u64, values: impl IntoIterator<Item = f64>) -> Result<Option<f64>, NotSorted> {
    if count == 0 {
        return Ok(None);
    }
    let mut values = values.into_iter();
    let (mut before, mut last) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
    for _ in 0..=count / 2 {
        let value = values.next().filter(|value| *value >= last).ok_or(NotSorted)?;
        (before, last) = (last, value);
    }
    Ok(Some(if count % 2 == 1 { last } else { before / 2.0 + last / 2.0 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_the_oldest() {
        let mut sums = ReviewSums::default();
        assert_eq!((sums.coverage_ratio(), sums.override_ratio(), sums.oldest_open_seconds(0)), (None, None, None));
        for (since, is_reviewed) in [(5_000, false), (1_000, true), (3_000, false), (9_000, true)] {
            sums.add_flagged(since, is_reviewed);
        }
        assert_eq!((sums.coverage_ratio(), sums.override_ratio()), (Some(0.5), None));
        for decision in [Decision::Upheld, Decision::Overridden, Decision::Upheld, Decision::Escalated] {
            sums.add_decision(decision);
        }
        assert_eq!(sums.override_ratio(), Some(1.0 / 3.0));
        assert_eq!((sums.oldest_open_seconds(10_500), sums.oldest_open_seconds(0)), (Some(7.5), Some(0.0)));
        let mut both = ReviewSums::default();
        both.add_flagged(-2_000, false);
        both.merge(&sums);
        assert_eq!((both.flagged, both.oldest_open_seconds(0), both.escalated), (5, Some(2.0), 1));
    }

    #[test]
    fn words_are_those_of_review_lines() {
        for decision in [Decision::Upheld, Decision::Overridden, Decision::Escalated] {
            assert_eq!(serde_json::to_value(decision).unwrap(), decision.name());
        }
    }

    #[test]
    fn medians() {
        for (count, values, expected) in [
            (0, &[][..], Ok(None)),
            (1, &[7.0], Ok(Some(7.0))),
            (2, &[1.0, 2.0], Ok(Some(1.5))),
            (3, &[1.0, 2.0, 9.0], Ok(Some(2.0))),
            (4, &[1.0, 2.0, 2.0, 9.0], Ok(Some(2.0))),
            (2, &[f64::MAX, f64::MAX], Ok(Some(f64::MAX))),
            (4, &[1.0, 2.0], Err(NotSorted)),
            (3, &[2.0, 1.0, 3.0], Err(NotSorted)),
            (1, &[f64::NAN], Err(NotSorted)),
        ] {
            assert_eq!(median_of_sorted(count, values.iter().copied()), expected, "{count} {values:?}");
        }
    }
}
