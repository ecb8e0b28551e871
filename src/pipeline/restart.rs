//! Restarts: when is a pipeline that has failed by itself started again?
//!
//! After a second, then after twice as long each time, at most after five minutes, with jitter: whatever is in the way may
//! pass, and a log is not filled. Who has run for ten minutes begins anew. Pure: times come in as arguments.

use std::time::{Duration, Instant};

/// The wait after the first failure.
const WAIT_MIN: Duration = Duration::from_secs(1);

/// The longest wait.
const WAIT_MAX: Duration = Duration::from_secs(5 * 60);

/// A pipeline that has run for this long has got over what was in its way.
const RUNS_WELL_AFTER: Duration = Duration::from_secs(10 * 60);

/// So many panics in a row are no accident: it is not started again.
const PANICS_MAX: u32 = 5;

/// Why a pipeline does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// A defect of ours.
    Panic,
    /// It could not be started.
    Start,
    /// A sink is gone for good, as a pipe that nobody reads.
    SinkGone,
}

/// What is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is started again after this long.
    Again(Duration),
    /// Starting it again does not help.
    Over,
}

/// The failures in a row of one pipeline.
#[derive(Clone, Debug, Default)]
pub(super) struct Streak {
    /// How many there were.
    pub(super) failures: u32,
    panics: u32,
    runs_since: Option<Instant>,
}

impl Streak {
    /// It was started.
    pub(super) fn begin(&mut self, now: Instant) {
        self.runs_since = Some(now);
    }

    /// It has failed. `jitter`: 0 to 1.
    pub(super) fn fail(&mut self, failure: Failure, now: Instant, jitter: f64) -> Verdict {
        if self.runs_since.take().is_some_and(|since| now.duration_since(since) >= RUNS_WELL_AFTER) {
            *self = Streak::default();
        }
        self.failures += 1;
        self.panics = if failure == Failure::Panic { self.panics + 1 } else { 0 };
        if failure == Failure::SinkGone || self.panics >= PANICS_MAX {
            return Verdict::Over;
        }
        let doublings = (self.failures - 1).min(20);
        let wait = WAIT_MIN.saturating_mul(1 << doublings).min(WAIT_MAX);
        Verdict::Again(wait.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 5.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(failure: Failure, ran_seconds: u64, jitter: f64) -> Vec<Option<u64>> {
        let (mut streak, mut now) = (Streak::default(), Instant::now());
        let mut fail = |_| {
            streak.begin(now);
            now += Duration::from_secs(ran_seconds);
            match streak.fail(failure, now, jitter) {
                Verdict::Again(wait) => Some(wait.as_millis() as u64),
                Verdict::Over => None,
            }
        };
        (0..11).map(&mut fail).collect()
    }

    #[test]
    fn waits_double_up_to_five_minutes_and_begin_anew_after_ten_minutes() {
        let seconds = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300];
        assert_eq!(waits(Failure::Start, 0, 0.0), seconds.map(|seconds| Some(seconds * 1_000)));
        assert_eq!(waits(Failure::Start, 599, 1.0), seconds.map(|seconds| Some(seconds * 800)));
        assert_eq!(waits(Failure::Start, 600, 0.0), [Some(1_000); 11]);
    }

    #[test]
    fn a_panic_that_recurs_each_time_and_a_sink_that_is_gone_are_the_end() {
        assert_eq!(
            waits(Failure::Panic, 0, 0.0)[..6],
            [Some(1_000), Some(2_000), Some(4_000), Some(8_000), None, None]
        );
        assert_eq!(waits(Failure::Panic, 600, 0.0), [Some(1_000); 11]);
        assert_eq!(waits(Failure::SinkGone, 600, 0.0), [None; 11]);
        // One that was in the way of a start in between is another one.
        let (mut streak, now) = (Streak::default(), Instant::now());
        for _ in 0..4 {
            streak.fail(Failure::Panic, now, 0.0);
        }
        streak.fail(Failure::Start, now, 0.0);
        assert_eq!(streak.fail(Failure::Panic, now, 0.0), Verdict::Again(Duration::from_secs(32)));
        assert_eq!(streak.failures, 6);
    }
}
