//! Delivery: what is done with each answer of a sink until every item is settled?
//!
//! Only here anything is retried. A sink tries once; delivery sends again the items that may succeed, and them alone,
//! with jittered exponential backoff; halves a request that is refused as a whole; writes to the dead letter what never
//! will succeed; and acknowledges a batch when each of its items is one of the three: indexed, known already, dead.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;

use super::dead_letter::{Content, DeadLetter, DeadLetterError, Entry};
use super::health::Health;
use crate::answer::{Answer, Outcome, Reason, Trouble};
use crate::batch::{Batch, Item};
use crate::queue::{Parcel, Queue};
use crate::reject::{Reject, Stage};
use crate::sink::{Request, Sink};
use crate::telemetry::{Counters, SinkCounters};

/// How a sink is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The most requests at a time.
    pub in_flight_max: usize,
    /// The wait before the second try; doubled for each further one.
    pub retry_initial: Duration,
    /// The longest wait between two tries.
    pub retry_max: Duration,
    /// Tries for an item on which the server fails while its neighbours succeed.
    pub item_attempts_max: u32,
}

impl Default for Policy {
    fn default() -> Self {
        let (retry_initial, retry_max) = (Duration::from_millis(500), Duration::from_secs(30));
        Policy { in_flight_max: 2, retry_initial, retry_max, item_attempts_max: 50 }
    }
}

/// Why delivery ended before its queue did: the sink is gone for good.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.problem)]
pub struct Closed(pub Trouble);

/// The way from one queue into one sink.
pub struct Delivery {
    sink: Box<dyn Sink>,
    queue: Queue,
    dead_letter: Arc<DeadLetter>,
    health: Arc<Health>,
    policy: Policy,
    counters: Counters,
    sink_counters: SinkCounters,
    /// Buffers of delivered batches, for the pipeline to fill again.
    spent: Sender<Batch>,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Delivery").field("sink", &self.sink.name()).finish_non_exhaustive()
    }
}

/// Some items of a batch on their way.
struct Attempt {
    request: Request,
    /// How often they were sent already.
    tries: u32,
    /// How often the server failed on them while their neighbours succeeded.
    failures: u32,
}

/// What an answer leaves to be done.
#[derive(Debug, Default, PartialEq)]
struct Unsettled {
    /// To be sent again.
    retry: Vec<u32>,
    /// The server failed on these.
    failing: Vec<(u32, Reason)>,
    /// These will never succeed.
    rejected: Vec<(u32, Reason)>,
    /// Why the target is not ready, if it is not.
    trouble: Option<Trouble>,
    indexed: u64,
    duplicates: u64,
    failure_store: Vec<u32>,
}

impl Delivery {
    /// Connects a queue with a sink.
    pub fn new(
        sink: Box<dyn Sink>,
        queue: Queue,
        dead_letter: Arc<DeadLetter>,
        health: Arc<Health>,
        policy: Policy,
        counters: Counters,
        spent: Sender<Batch>,
    ) -> Delivery {
        let sink_counters = counters.sink(sink.name());
        Delivery { sink, queue, dead_letter, health, policy, counters, sink_counters, spent }
    }

    /// Asks the sink whether deliveries can be expected to succeed, and warns if not.
    pub async fn probe(&self) {
        if let Err(trouble) = self.sink.probe().await {
            let hint = trouble.hint.as_deref().unwrap_or("records wait in their files until it can");
            tracing::warn!(sink = self.sink.name(), hint, "{}", trouble.problem);
        }
    }

    /// Delivers until the queue is closed and everything of it is settled.
    ///
    /// # Errors
    /// [`Closed`] when the sink is gone for good.
    pub async fn run(self) -> Result<(), Closed> {
        let this = Arc::new(self);
        let mut under_way = JoinSet::new();
        while let Some(parcel) = this.queue.pop().await {
            while under_way.len() >= this.policy.in_flight_max {
                finished(under_way.join_next().await)?;
            }
            under_way.spawn(Arc::clone(&this).deliver(parcel));
        }
        while !under_way.is_empty() {
            finished(under_way.join_next().await)?;
        }
        Ok(())
    }

    /// Settles every item of a batch, then acknowledges it.
    async fn deliver(self: Arc<Self>, parcel: Parcel) -> Result<(), Closed> {
        let request = Request { batch: Arc::clone(&parcel.batch), selection: None };
        let mut open = vec![Attempt { request, tries: 0, failures: 0 }];
        while let Some(attempt) = open.pop() {
            self.counters.delivery_requests_total.inc();
            match self.sink.deliver(&attempt.request).await {
                Answer::Items(outcomes) => open.extend(self.settle(attempt, outcomes).await),
                Answer::Wait(trouble) => {
                    self.health.trouble(trouble);
                    self.pause(attempt.tries).await;
                    open.push(Attempt { tries: attempt.tries + 1, ..attempt });
                }
                Answer::Halve(reason) if attempt.request.len() == 1 => {
                    self.reject(&attempt.request, 0, &reason).await;
                }
                Answer::Halve(_) => open.extend(halves(&attempt)),
                Answer::Closed(trouble) => return Err(Closed(trouble)),
            }
        }
        self.until_it_works(|| self.dead_letter.sync()).await;
        let Parcel { batch, ack, .. } = parcel;
        if let Ok(batch) = Arc::try_unwrap(batch) {
            let _ = self.spent.send(batch);
        }
        ack.delivered();
        Ok(())
    }

    /// Counts what is settled, buries what is dead, and gives back what is to be sent again, after the wait for it.
    async fn settle(&self, attempt: Attempt, outcomes: Vec<Outcome>) -> Option<Attempt> {
        let positions = selection(&attempt.request);
        let unsettled = sort(&positions, outcomes);
        self.sink_counters.indexed.inc_by(unsettled.indexed);
        self.sink_counters.duplicates.inc_by(unsettled.duplicates);
        self.bury_failure_store(&attempt.request.batch, &unsettled.failure_store).await;
        for (position, reason) in &unsettled.rejected {
            self.bury(&attempt.request.batch, *position, reason).await;
        }
        let succeeded = unsettled.indexed + unsettled.duplicates > 0 || attempt.failures > 0;
        let failures = attempt.failures + u32::from(succeeded && !unsettled.failing.is_empty());
        let mut retry = unsettled.retry;
        if failures >= self.policy.item_attempts_max {
            for (position, reason) in &unsettled.failing {
                self.bury(&attempt.request.batch, *position, reason).await;
            }
        } else {
            retry.extend(unsettled.failing.iter().map(|(position, _)| *position));
            retry.sort_unstable();
        }
        match unsettled.trouble {
            Some(trouble) => self.health.trouble(trouble),
            None => self.health.good(),
        }
        if retry.is_empty() {
            return None;
        }
        self.sink_counters.retried.inc_by(retry.len() as u64);
        self.pause(attempt.tries).await;
        let request = Request { batch: attempt.request.batch, selection: Some(retry) };
        Some(Attempt { request, tries: attempt.tries + 1, failures })
    }

    async fn reject(&self, request: &Request, nth: usize, reason: &Reason) {
        self.bury(&request.batch, selection(request)[nth], reason).await;
        self.health.good();
    }

    /// Enters an item into the dead letter, however long that takes: without it the batch is not settled.
    async fn bury(&self, batch: &Batch, position: u32, reason: &Reason) {
        let item = &batch.items()[position as usize];
        let reject = Reject { stage: Stage::Sink, reason: reason.kind.clone().into(), detail: reason.detail.clone() };
        self.until_it_works(|| self.dead_letter.write(&entry(batch, item, &reject))).await;
    }

    async fn bury_failure_store(&self, batch: &Batch, positions: &[u32]) {
        self.sink_counters.failure_store.inc_by(positions.len() as u64);
        for position in positions {
            let reason = Reason {
                kind: "failure_store".to_owned(),
                detail: "Elasticsearch keeps it in the failure store of the data stream: it is not searchable"
                    .to_owned(),
            };
            self.bury(batch, *position, &reason).await;
        }
    }

    async fn until_it_works(&self, work: impl Fn() -> Result<(), DeadLetterError>) {
        while let Err(error) = work() {
            self.health.trouble(Trouble { problem: error.to_string(), hint: None });
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn pause(&self, tries: u32) {
        tokio::time::sleep(backoff(&self.policy, tries, fastrand::f64())).await;
    }
}

/// The wait after `tries` tries: doubled each time up to the limit, then between half and all of it by `random` (0..1).
fn backoff(policy: &Policy, tries: u32, random: f64) -> Duration {
    let doubled = policy.retry_initial.saturating_mul(1_u32.checked_shl(tries.min(20)).unwrap_or(u32::MAX));
    doubled.min(policy.retry_max).mul_f64(0.5 + random / 2.0)
}

fn finished(joined: Option<Result<Result<(), Closed>, tokio::task::JoinError>>) -> Result<(), Closed> {
    match joined {
        None => Ok(()),
        Some(Ok(result)) => result,
        Some(Err(error)) => Err(Closed(Trouble { problem: format!("BUG: a delivery ended: {error}"), hint: None })),
    }
}

/// The positions in the batch that a request asks for.
fn selection(request: &Request) -> Vec<u32> {
    request.selection.clone().unwrap_or_else(|| (0..request.batch.items().len() as u32).collect())
}

fn halves(attempt: &Attempt) -> [Attempt; 2] {
    let mut first = selection(&attempt.request);
    let second = first.split_off(first.len() / 2);
    [second, first].map(|half| Attempt {
        request: Request { batch: Arc::clone(&attempt.request.batch), selection: Some(half) },
        tries: 0,
        failures: attempt.failures,
    })
}

/// Sorts the outcomes by what is to be done.
fn sort(positions: &[u32], outcomes: Vec<Outcome>) -> Unsettled {
    let mut unsettled = Unsettled::default();
    for (position, outcome) in positions.iter().zip(outcomes) {
        match outcome {
            Outcome::Indexed => unsettled.indexed += 1,
            Outcome::Duplicate => unsettled.duplicates += 1,
            Outcome::FailureStore => unsettled.failure_store.push(*position),
            Outcome::Retry(_) => unsettled.retry.push(*position),
            Outcome::Failing(reason) => unsettled.failing.push((*position, reason)),
            Outcome::Rejected(reason) => unsettled.rejected.push((*position, reason)),
            Outcome::TargetUnready(reason) => {
                unsettled.retry.push(*position);
                let problem = format!("the target does not take documents now ({}): {}", reason.kind, reason.detail);
                let hint = "check that the data stream or index exists, is open, and that this user may write to it";
                unsettled.trouble = Some(Trouble { problem, hint: Some(hint.to_owned()) });
            }
        }
    }
    unsettled
}

fn entry<'e>(batch: &'e Batch, item: &Item, reject: &'e Reject) -> Entry<'e> {
    Entry {
        id: item.id,
        reject,
        file: batch.file_of(item),
        offset_bytes: item.origin.offset_bytes,
        length_bytes: item.origin.length_bytes.into(),
        sha256: None,
        content: Content::Document(batch.document(item)),
    }
}

/// SHA-256 in hexadecimal, as dead letters name lines.
pub(super) fn sha256_hexadecimal(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
