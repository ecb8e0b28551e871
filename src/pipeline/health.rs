//! Health: does a sink answer, and what has been said about it?

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::pulse::Standing;
use crate::flow::answer::Trouble;
use crate::telemetry::SinkCounters;

/// A trouble that came back is said again after this long without it. One that lasts is said again by the lookout.
const REPEATED_AFTER: Duration = Duration::from_secs(60);

/// A sink that owes an answer for longer than this is not ready.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

/// Of different troubles at most this many are said within that time.
const TROUBLES_MAX: usize = 100;

/// The state of one sink of one pipeline.
#[derive(Debug)]
pub struct Health {
    pipeline: String,
    sink: Arc<str>,
    counters: SinkCounters,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    trouble: Option<Standing>,
    /// Which problems were there lately, and when last.
    said: HashMap<String, Instant>,
    /// The log's last word is that there is trouble.
    is_said: bool,
    /// What is to be known of it while it takes records.
    remark: Option<Trouble>,
    /// Requests that have no answer yet.
    owed: u32,
    /// When the oldest of them was sent, or the last answer came, whichever is later.
    owed_since: Option<Instant>,
}

impl Health {
    /// A sink of which nothing bad is known.
    pub fn new(pipeline: &str, sink: &str, counters: SinkCounters) -> Health {
        counters.ready.set(1);
        // What a delivery had under way that is no more was not answered.
        counters.in_flight.set(0);
        Health { pipeline: pipeline.to_owned(), sink: sink.into(), counters, state: Mutex::default() }
    }

    /// The sink's name.
    pub fn sink(&self) -> &str {
        &self.sink
    }

    /// Notes that the sink answered, and says so if it had been in trouble.
    pub fn good(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.trouble.take().is_some() {
            self.counters.ready.set(1);
        }
        if std::mem::take(&mut state.is_said) {
            tracing::info!(pipeline = self.pipeline, sink = &*self.sink, "the sink answers again");
        }
    }

    /// Notes a trouble, and says it unless it was said lately: one that comes and goes would fill the log.
    pub fn trouble(&self, trouble: Trouble) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.said.retain(|_, said| said.elapsed() < REPEATED_AFTER);
        let now = Instant::now();
        if let Some(last) = state.said.get_mut(&trouble.problem) {
            *last = now;
        } else if state.said.len() < TROUBLES_MAX {
            let hint = trouble.hint.as_deref().unwrap_or("nothing is lost, it is tried again");
            tracing::warn!(pipeline = self.pipeline, sink = &*self.sink, hint, "{}", trouble.problem);
            state.said.insert(trouble.problem.clone(), now);
            state.is_said = true;
        }
        self.counters.ready.set(0);
        let since = state.trouble.as_ref().map_or(now, |standing| standing.since);
        state.trouble = Some(Standing { trouble, since });
    }

    /// Notes what is to be known of the sink, and says it when it is new.
    pub fn remark(&self, remark: Option<Trouble>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Trouble { problem, hint }) = remark.as_ref().filter(|remark| state.remark.as_ref() != Some(remark))
        {
            let hint = hint.as_deref().unwrap_or_default();
            tracing::info!(pipeline = self.pipeline, sink = &*self.sink, hint, "{problem}");
        }
        state.remark = remark;
    }

    /// What is to be known of the sink though it takes records.
    pub fn remarked(&self) -> Option<Trouble> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).remark.clone()
    }

    /// Takes note that the sink is asked.
    pub fn asked(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.owed += 1;
        state.owed_since.get_or_insert_with(Instant::now);
    }

    /// Takes note that a request was answered, however.
    pub fn answered(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.owed = state.owed.saturating_sub(1);
        state.owed_since = (state.owed > 0).then(Instant::now);
    }

    /// The present trouble.
    pub fn current(&self) -> Option<Trouble> {
        self.standing().map(|standing| standing.trouble)
    }

    /// The same, and since when.
    pub fn standing(&self) -> Option<Standing> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let silent_since = state.owed_since.filter(|since| since.elapsed() > ANSWERED_WITHIN);
        let silence = |since: Instant| Standing { trouble: silent(since.elapsed()), since };
        state.trouble.clone().or_else(|| silent_since.map(silence))
    }
}

fn silent(silent_for: Duration) -> Trouble {
    let hint = Some("is the server overloaded, or something between that holds its answers?".to_owned());
    Trouble { problem: format!("the sink was asked and has not answered for {} s", silent_for.as_secs()), hint }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Telemetry;

    #[test]
    fn a_sink_that_owes_an_answer_for_long_is_not_ready() {
        let health = Health::new("p", "store", Telemetry::default().pipeline("p").sink("store"));
        health.asked();
        health.asked();
        assert_eq!(health.current(), None, "it has time");
        let long_ago = Instant::now().checked_sub(ANSWERED_WITHIN + Duration::from_secs(1)).unwrap();
        let owed_since = |since| health.state.lock().unwrap().owed_since = Some(since);
        owed_since(long_ago);
        assert!(health.current().unwrap().problem.contains("has not answered for 61 s"));
        health.answered();
        assert_eq!(health.current(), None, "one of the two came");
        owed_since(long_ago);
        assert!(health.current().is_some());
        health.answered();
        assert_eq!(health.current(), None, "nothing is owed");
    }
}
