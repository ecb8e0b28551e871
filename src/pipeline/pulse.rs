//! Pulse: does a pipeline's thread come round, does it get on, and what keeps it from reading?
//!
//! The thread tells it, `/readyz`, `/healthz` and the `lookout` ask. What a sink does is in `health`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::flow::answer::Trouble;

/// A pipeline that may read nothing for this long, while something waits, is not ready.
const GETS_ON_WITHIN: Duration = Duration::from_secs(60);

/// A thread that has not come round for this long is not ready: it does so every second.
const COMES_ROUND_WITHIN: Duration = Duration::from_secs(60);

/// A thread that has not come round for this long is not alive. Before that, a slow disk is more likely than a defect.
const LIVES_WITHIN: Duration = Duration::from_secs(300);

/// What the thread itself can be kept by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    /// The dead letter takes no entry, and a line has to go there.
    DeadLetter,
    /// The checkpoint cannot be saved.
    Checkpoint,
}

/// Something that is not as it should be, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What it is.
    pub trouble: Trouble,
    /// Since when.
    pub since: Instant,
}

/// The state of one pipeline's thread.
#[derive(Debug)]
pub struct Pulse {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    beat: Instant,
    /// Since when nothing may be read.
    full_since: Option<Instant>,
    obstacles: BTreeMap<Obstacle, Standing>,
    /// The thread has ended, as it should: nothing is expected of it.
    has_ended: bool,
    /// The thread panicked with these words.
    panic: Option<String>,
    /// The thread shall panic when it comes round.
    #[cfg(test)]
    is_to_panic: bool,
}

impl Default for Pulse {
    fn default() -> Pulse {
        let obstacles = BTreeMap::new();
        let beat = Instant::now();
        Pulse {
            state: Mutex::new(State {
                beat,
                full_since: None,
                obstacles,
                has_ended: false,
                panic: None,
                #[cfg(test)]
                is_to_panic: false,
            }),
        }
    }
}

impl Pulse {
    /// The thread came round. `moved`: when it last read, or something was committed; `is_full`: it may read nothing now.
    pub fn beat(&self, is_full: bool, moved: Instant) {
        let mut state = self.state();
        #[cfg(test)]
        assert!(!state.is_to_panic, "as a test wants it");
        state.beat = Instant::now();
        state.full_since = is_full.then_some(moved);
    }

    /// Something keeps the thread.
    pub fn hold(&self, obstacle: Obstacle, trouble: Trouble) {
        let mut state = self.state();
        let since = state.obstacles.get(&obstacle).map_or_else(Instant::now, |standing| standing.since);
        state.obstacles.insert(obstacle, Standing { trouble, since });
    }

    /// It does so no longer.
    pub fn free(&self, obstacle: Obstacle) {
        self.state().obstacles.remove(&obstacle);
    }

    /// The thread has ended.
    pub fn ended(&self) {
        let mut state = self.state();
        state.has_ended = true;
        state.full_since = None;
        state.obstacles.clear();
    }

    /// The thread panicked: for good.
    pub fn panicked(&self, words: &str) {
        self.state().panic = Some(words.to_owned());
    }

    /// All that is not as it should be, with what keeps it first.
    pub fn troubles(&self) -> Vec<Standing> {
        let state = self.state();
        let mut troubles: Vec<Standing> = state.obstacles.values().cloned().collect();
        troubles.extend(state.silence(COMES_ROUND_WITHIN));
        troubles.extend(state.standstill().filter(|_| troubles.is_empty()));
        troubles
    }

    /// Why the thread is not alive, if it is not: it will not get on by itself.
    pub fn death(&self) -> Option<String> {
        let state = self.state();
        let panic = state.panic.as_ref().map(|words| format!("its thread panicked: {words}"));
        panic.or_else(|| state.silence(LIVES_WITHIN).map(|standing| standing.trouble.problem))
    }

    /// The thread panics when it comes round.
    #[cfg(test)]
    pub(super) fn panic_at_next_beat(&self) {
        self.state().is_to_panic = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn silence(&self, at_most: Duration) -> Option<Standing> {
        let silent_for = self.beat.elapsed();
        let problem = format!("the pipeline's thread has not come round for {} s", silent_for.as_secs());
        let hint = "is a disk or a network file system stuck on which its files or its state are?";
        let trouble = Trouble { problem, hint: Some(hint.to_owned()) };
        (silent_for > at_most && !self.has_ended).then_some(Standing { trouble, since: self.beat })
    }

    fn standstill(&self) -> Option<Standing> {
        let since = self.full_since?;
        let stood_for = since.elapsed();
        let problem =
            format!("the pipeline has stood still for {} s: what it read is not settled", stood_for.as_secs());
        let hint = "what was sent waits for a sink; see the log, and `inferlog_delivery_*` on /metrics";
        let trouble = Trouble { problem, hint: Some(hint.to_owned()) };
        (stood_for > GETS_ON_WITHIN).then_some(Standing { trouble, since })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ago(seconds: u64) -> Instant {
        Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap()
    }

    fn problems(pulse: &Pulse) -> Vec<String> {
        pulse.troubles().into_iter().map(|standing| standing.trouble.problem).collect()
    }

    #[test]
    fn a_pipeline_that_may_not_read_for_long_has_stood_still() {
        let pulse = Pulse::default();
        for (is_full, moved, is_told) in
            [(true, ago(59), false), (true, ago(61), true), (false, ago(600), false), (true, ago(0), false)]
        {
            pulse.beat(is_full, moved);
            assert_eq!(problems(&pulse).iter().any(|problem| problem.contains("has stood still for 61 s")), is_told);
            assert_eq!(pulse.death(), None);
        }
    }

    #[test]
    fn what_keeps_it_is_told_at_once_and_since_when() {
        let pulse = Pulse::default();
        let trouble = |problem: &str| Trouble { problem: problem.to_owned(), hint: None };
        pulse.beat(true, ago(100));
        pulse.hold(Obstacle::DeadLetter, trouble("full"));
        let since = pulse.troubles()[0].since;
        pulse.hold(Obstacle::DeadLetter, trouble("still full"));
        assert_eq!((problems(&pulse), pulse.troubles()[0].since), (vec!["still full".to_owned()], since));
        pulse.hold(Obstacle::Checkpoint, trouble("read-only"));
        assert_eq!(pulse.troubles().len(), 2);
        pulse.free(Obstacle::DeadLetter);
        pulse.free(Obstacle::Checkpoint);
        assert!(problems(&pulse)[0].contains("stood still for 100 s"));
    }

    #[test]
    fn a_thread_that_does_not_come_round_is_not_ready_and_then_not_alive() {
        let pulse = Pulse::default();
        for (seconds, is_ready, is_alive) in [(59, true, true), (61, false, true), (301, false, false)] {
            pulse.state().beat = ago(seconds);
            assert_eq!((problems(&pulse).is_empty(), pulse.death().is_none()), (is_ready, is_alive), "{seconds}");
        }
        pulse.ended();
        assert!(problems(&pulse).is_empty() && pulse.death().is_none(), "it has ended");
        let pulse = Pulse::default();
        pulse.panicked("BUG: x");
        assert_eq!(pulse.death().unwrap(), "its thread panicked: BUG: x");
    }
}
