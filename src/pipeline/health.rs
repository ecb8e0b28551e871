//! Health: does a sink answer, and what has been said about it?

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::answer::Trouble;
use crate::telemetry::SinkCounters;

/// The same trouble is repeated in the log after this long, however often the sink answered in between.
const REPEATED_AFTER: Duration = Duration::from_secs(60);

/// Of different troubles at most this many are said within that time.
const TROUBLES_MAX: usize = 100;

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
    /// Which problems were said lately, and when.
    said: HashMap<String, Instant>,
    /// The log's last word is that there is trouble.
    is_said: bool,
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
        }
        if std::mem::take(&mut state.is_said) {
            tracing::info!(pipeline = self.pipeline, sink = self.sink, "the sink answers again");
        }
    }

    /// Notes a trouble, and says it unless it was said lately: one that comes and goes would fill the log.
    pub fn trouble(&self, trouble: Trouble) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.said.retain(|_, said| said.elapsed() < REPEATED_AFTER);
        if !state.said.contains_key(&trouble.problem) && state.said.len() < TROUBLES_MAX {
            let hint = trouble.hint.as_deref().unwrap_or("nothing is lost, it is tried again");
            tracing::warn!(pipeline = self.pipeline, sink = self.sink, hint, "{}", trouble.problem);
            state.said.insert(trouble.problem.clone(), Instant::now());
            state.is_said = true;
        }
        self.counters.ready.set(0);
        state.trouble = Some(trouble);
    }

    /// The present trouble.
    pub fn current(&self) -> Option<Trouble> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).trouble.clone()
    }
}
