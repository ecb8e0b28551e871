//! Health: does a sink answer, and what has been said about it?

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::answer::Trouble;
use crate::telemetry::SinkCounters;

/// The same trouble is repeated in the log after this long.
const REPEATED_AFTER: Duration = Duration::from_secs(60);

/// The state of one sink of one pipeline.
#[derive(Debug)]
pub struct Health {
    pipeline: String,
    sink: &'static str,
    counters: SinkCounters,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    trouble: Option<Trouble>,
    said: Option<Instant>,
}

impl Health {
    /// A sink of which nothing bad is known.
    pub fn new(pipeline: &str, sink: &'static str, counters: SinkCounters) -> Health {
        counters.ready.set(1);
        Health { pipeline: pipeline.to_owned(), sink, counters, state: Mutex::default() }
    }

    /// The sink's name.
    pub fn sink(&self) -> &'static str {
        self.sink
    }

    /// Notes that the sink answered, and says so if it had been in trouble.
    pub fn good(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.trouble.take().is_some() {
            self.counters.ready.set(1);
            state.said = None;
            tracing::info!(pipeline = self.pipeline, sink = self.sink, "the sink answers again");
        }
    }

    /// Notes a trouble, and says it if it is new or was last said a while ago.
    pub fn trouble(&self, trouble: Trouble) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let new = state.trouble.as_ref() != Some(&trouble);
        if new || state.said.is_none_or(|said| said.elapsed() >= REPEATED_AFTER) {
            let hint = trouble.hint.as_deref().unwrap_or("nothing is lost, it is tried again");
            tracing::warn!(pipeline = self.pipeline, sink = self.sink, hint, "{}", trouble.problem);
            state.said = Some(Instant::now());
        }
        self.counters.ready.set(0);
        state.trouble = Some(trouble);
    }

    /// The present trouble.
    pub fn current(&self) -> Option<Trouble> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).trouble.clone()
    }
}
