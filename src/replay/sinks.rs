//! Settling: what do the sinks make of a batch of replayed documents, within the patience of somebody who waits?
//!
//! Unlike a run's delivery this gives up: when nothing was settled for [`PATIENCE`], what is open stays in the dead
//! letter, and the trouble is told. It asks one request at a time, leaves a sink alone for as long as the sink wants to be
//! left alone, and gives up at once where that is longer than the patience lasts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::model;
use crate::flow::answer::{Answer, Outcome, Reason, Trouble};
use crate::flow::batch::Batch;
use crate::pipeline::build::{self, BuildError};
use crate::pipeline::delivery::NamedSink;
use crate::pipeline::policy::Policy;
use crate::sink::{Request, Sink};
use crate::state::lock::LockError;
use crate::telemetry::{Counters, SinkCounters};

/// How long nothing may move.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a sink has to say what it knows before it is asked to take something.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest wait between two tries: somebody waits.
const RETRY_MAX: Duration = Duration::from_secs(2);

/// How often somebody who waits is asked whether to go on.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Tries for an item on which the server fails.
const FAILURES_MAX: u32 = 5;

/// What became of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Every sink holds it; some only since now.
    Indexed,
    /// Every sink held it already.
    Duplicate,
    /// A sink turned it down for good.
    Rejected(Reason),
    /// Not known, or not tried: it stays as it is.
    Open,
}

/// The sinks of a pipeline.
pub(super) struct Sinks {
    sinks: Vec<(NamedSink, SinkCounters)>,
    runtime: tokio::runtime::Runtime,
    /// Why nothing was taken at last.
    pub(super) trouble: Option<Trouble>,
}

/// Items of one sink that are to be sent, and how often they were.
struct Attempt {
    selection: Vec<u32>,
    tries: u32,
}

impl Sinks {
    /// Opens the sinks of a pipeline file; connects to nothing.
    pub(super) fn open(
        pipeline: &model::Pipeline,
        data_dir: &std::path::Path,
        counters: &Counters,
    ) -> Result<Sinks, BuildError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| LockError::Folder { folder: data_dir.to_owned(), source })?;
        let mut sinks = Vec::new();
        {
            let _inside = runtime.enter();
            for sink in &pipeline.sinks {
                let mut sink = build::open_sink(sink, data_dir, &pipeline.name)?;
                sink.policy.retry_max = sink.policy.retry_max.min(RETRY_MAX);
                let counters = counters.sink(&sink.name);
                sinks.push((sink, counters));
            }
        }
        for (sink, ..) in &sinks {
            // A sink learns here what was erased by order; whether it is ready is seen when it is asked.
            let _ = runtime.block_on(async { tokio::time::timeout(PROBE_TIMEOUT, sink.sink.probe()).await });
        }
        Ok(Sinks { sinks, runtime, trouble: None })
    }

    /// Sends a batch into every sink. `goes_on` is asked before each try.
    pub(super) fn settle(&mut self, batch: Batch, goes_on: &dyn Fn() -> bool) -> Vec<Fate> {
        let batch = Arc::new(batch);
        let mut fates = vec![Fate::Duplicate; batch.items().len()];
        for (NamedSink { name, sink, policy }, counters) in &self.sinks {
            let mut one = One { name, sink: &**sink, policy, counters, goes_on, trouble: None, moved: Instant::now() };
            let outcomes = self.runtime.block_on(one.settle(&batch));
            fates.iter_mut().zip(outcomes).for_each(|(all, this)| merge(all, this));
            self.trouble = self.trouble.take().or(one.trouble);
        }
        fates
    }
}

/// A document is settled when every sink holds it.
fn merge(all: &mut Fate, this: Fate) {
    *all = match (std::mem::replace(all, Fate::Open), this) {
        (Fate::Rejected(reason), _) | (_, Fate::Rejected(reason)) => Fate::Rejected(reason),
        (Fate::Open, _) | (_, Fate::Open) => Fate::Open,
        (Fate::Indexed, _) | (_, Fate::Indexed) => Fate::Indexed,
        (Fate::Duplicate, Fate::Duplicate) => Fate::Duplicate,
    };
}

/// One sink and one batch.
struct One<'o> {
    name: &'o str,
    sink: &'o dyn Sink,
    policy: &'o Policy,
    counters: &'o SinkCounters,
    goes_on: &'o dyn Fn() -> bool,
    trouble: Option<Trouble>,
    moved: Instant,
}

impl One<'_> {
    async fn settle(&mut self, batch: &Arc<Batch>) -> Vec<Fate> {
        let mut fates = vec![Fate::Open; batch.items().len()];
        let mut open = vec![Attempt { selection: (0..fates.len() as u32).collect(), tries: 0 }];
        let mut waited_for = None;
        while let Some(attempt) = open.pop() {
            if attempt.selection.is_empty() {
                continue;
            }
            if !(self.goes_on)() {
                return fates;
            }
            if self.moved.elapsed() >= PATIENCE {
                self.trouble = waited_for;
                return fates;
            }
            let request = Request { batch: Arc::clone(batch), selection: Some(attempt.selection.clone()) };
            match self.sink.deliver(&request).await {
                Answer::Items(outcomes) if outcomes.len() == attempt.selection.len() => {
                    let (retry, trouble) = self.sort(&attempt, outcomes, &mut fates);
                    waited_for = trouble.or(waited_for);
                    open.extend(self.again(retry, attempt.tries, Duration::ZERO).await);
                }
                Answer::Items(_) => open.extend(self.again(attempt.selection, attempt.tries, Duration::ZERO).await),
                Answer::Wait(trouble) => {
                    waited_for = Some(trouble);
                    open.extend(self.again(attempt.selection, attempt.tries, Duration::ZERO).await);
                }
                Answer::WaitAtLeast(least, trouble) if self.moved.elapsed() + least >= PATIENCE => {
                    self.trouble = Some(trouble);
                    return fates;
                }
                Answer::WaitAtLeast(least, trouble) => {
                    waited_for = Some(trouble);
                    open.extend(self.again(attempt.selection, attempt.tries, least).await);
                }
                Answer::Halve(reason) if attempt.selection.len() == 1 => {
                    fates[attempt.selection[0] as usize] = Fate::Rejected(reason);
                    self.moved = Instant::now();
                }
                Answer::Halve(_) => {
                    let (mut first, tries) = (attempt.selection, attempt.tries);
                    let second = first.split_off(first.len() / 2);
                    open.extend([second, first].map(|selection| Attempt { selection, tries }));
                }
                Answer::Closed(trouble) => {
                    self.trouble = Some(trouble);
                    return fates;
                }
            }
        }
        fates
    }

    /// What is to be sent again, after the wait for it, which is as long as the sink wants at least.
    async fn again(&self, selection: Vec<u32>, tries: u32, least: Duration) -> Option<Attempt> {
        if selection.is_empty() {
            return None;
        }
        let mut wait = self.policy.backoff(tries, fastrand::f64()).max(least);
        while !wait.is_zero() && (self.goes_on)() {
            let step = wait.min(LOOK_EVERY);
            tokio::time::sleep(step).await;
            wait -= step;
        }
        Some(Attempt { selection, tries: tries + 1 })
    }

    /// Notes what is settled; gives back what is to be sent again, and why.
    fn sort(&mut self, attempt: &Attempt, outcomes: Vec<Outcome>, fates: &mut [Fate]) -> (Vec<u32>, Option<Trouble>) {
        let (mut retry, mut trouble) = (Vec::new(), None);
        for (position, outcome) in attempt.selection.iter().zip(outcomes) {
            let fate = match outcome {
                Outcome::Indexed => {
                    self.counters.indexed.inc();
                    Fate::Indexed
                }
                Outcome::Duplicate => {
                    self.counters.duplicates.inc();
                    Fate::Duplicate
                }
                // It leaves the dead letter, too: an order has erased it.
                Outcome::Erased => {
                    self.counters.erased.inc();
                    Fate::Duplicate
                }
                Outcome::FailureStore => {
                    self.counters.failure_store.inc();
                    Fate::Rejected(Reason::failure_store())
                }
                Outcome::Rejected(reason) => Fate::Rejected(reason),
                Outcome::Failing(reason) if attempt.tries + 1 >= FAILURES_MAX => Fate::Rejected(reason),
                Outcome::Failing(reason) | Outcome::Retry(reason) | Outcome::TargetUnready(reason) => {
                    let problem = format!("the sink `{}` does not take this now ({})", self.name, reason.kind);
                    trouble = Some(Trouble { problem, hint: None });
                    retry.push(*position);
                    continue;
                }
            };
            self.moved = Instant::now();
            fates[*position as usize] = fate;
        }
        (retry, trouble)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::flow::batch::{ID_CHARACTERS, Id};
    use crate::sink::SinkFuture;
    use crate::telemetry::Telemetry;

    /// Gives these answers in their order, then takes everything; counts how often it was asked.
    struct Scripted(Mutex<(Vec<Answer>, u32)>);

    impl Sink for Scripted {
        fn deliver<'a>(&'a self, request: &'a Request) -> SinkFuture<'a, Answer> {
            Box::pin(async move {
                let mut script = self.0.lock().unwrap();
                script.1 += 1;
                script.0.pop().unwrap_or_else(|| Answer::Items(vec![Outcome::Indexed; request.len()]))
            })
        }

        fn probe(&self) -> SinkFuture<'_, Result<(), Trouble>> {
            Box::pin(async { Ok(()) })
        }
    }

    fn busy() -> Trouble {
        Trouble { problem: "busy".to_owned(), hint: None }
    }

    /// What became of one document, how often the sink was asked, how long it took, and the trouble that is told.
    fn settle(answers: Vec<Answer>, goes_on: &dyn Fn() -> bool) -> (Vec<Fate>, u32, Duration, Option<Trouble>) {
        let sink = Scripted(Mutex::new((answers, 0)));
        let counters = Telemetry::default().pipeline("p").sink("s");
        let policy = Policy { retry_initial: Duration::from_millis(1), ..Policy::default() };
        let mut batch = Batch::default();
        batch.push(Id([b'A'; ID_CHARACTERS]), 0, None, |body| body.extend_from_slice(b"{}"));
        let began = Instant::now();
        let (name, trouble, moved) = ("s", None, began);
        let mut one = One { name, sink: &sink, policy: &policy, counters: &counters, goes_on, trouble, moved };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let fates = runtime.block_on(one.settle(&Arc::new(batch)));
        let asked = sink.0.lock().unwrap().1;
        (fates, asked, began.elapsed(), one.trouble)
    }

    #[test]
    fn a_sink_is_left_alone_for_as_long_as_it_wants() {
        let least = Duration::from_millis(300);
        let (fates, asked, took, trouble) = settle(vec![Answer::WaitAtLeast(least, busy())], &|| true);
        assert_eq!((fates, asked, trouble), (vec![Fate::Indexed], 2, None));
        assert!(took >= least, "{took:?}");
        // Longer than anybody waits: what is open stays as it is, and why is told at once.
        let (fates, asked, took, trouble) = settle(vec![Answer::WaitAtLeast(PATIENCE, busy())], &|| true);
        assert_eq!((fates, asked, trouble), (vec![Fate::Open], 1, Some(busy())));
        assert!(took < PATIENCE, "{took:?}");
    }

    #[test]
    fn whoever_stops_it_does_not_wait_for_the_sink() {
        let asked_before = std::cell::Cell::new(0);
        let goes_on = || asked_before.replace(asked_before.get() + 1) < 1;
        let long = Answer::WaitAtLeast(PATIENCE / 2, busy());
        let (fates, asked, took, _) = settle(vec![long], &goes_on);
        assert_eq!((fates, asked), (vec![Fate::Open], 1));
        assert!(took < PATIENCE / 2, "{took:?}");
    }
}
