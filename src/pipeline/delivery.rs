//! Delivery: what is done with each answer of a sink until every item is settled?
//!
//! Only here anything is retried. A sink tries once; delivery sends again the items that may succeed, and them alone,
//! with jittered exponential backoff; halves a request that is refused as a whole; writes to the dead letter what never
//! will succeed; and acknowledges a batch when each of its items is one of the three: indexed, known already, dead.
//!
//! How many requests may be under way, and how long all of them wait for a sink that is busy, is decided by [`super::pace`].
//! A batch of which single items were refused waits by itself besides, since others may get on meanwhile. Documents of
//! inferlog's own have a lane beside all this: see [`super::outbox`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::health::Health;
use super::outbox::Lane;
use super::pace::{Turns, load};
use super::policy::Policy;
use crate::dead_letter::{Content, DeadLetter, DeadLetterError, Entry};
use crate::flow::answer::{Answer, Outcome, Reason, Trouble};
use crate::flow::batch::{Batch, Item};
use crate::flow::reject::{Reject, Stage};
use crate::flow::tally::Delivered;
use crate::queue::{Parcel, Queue};
use crate::sink::{Request, Sink};
use crate::telemetry::{Counters, SinkCounters};

/// How long the first delivery waits for what the sink says of itself.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest wait for items on which the server fails while it settles others: it is not busy, so nothing is spared by
/// waiting longer, and all [`Policy::item_attempts_max`] tries are over before `--once` loses patience.
const FAILING_RETRY_MAX: Duration = Duration::from_secs(5);

/// A sink that is open, what it is called, and how it is treated.
pub struct NamedSink {
    /// Its name in the pipeline file.
    pub name: Arc<str>,
    /// Itself.
    pub sink: Arc<dyn Sink>,
    /// How it is treated.
    pub policy: Policy,
}

/// Why delivery ended before its queue did: the sink is gone for good.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.problem)]
pub struct SinkGone(pub Trouble);

/// The way from one queue into one sink.
pub struct Delivery {
    name: Arc<str>,
    sink: Arc<dyn Sink>,
    queue: Queue,
    dead_letter: Arc<DeadLetter>,
    health: Arc<Health>,
    policy: Policy,
    counters: Counters,
    sink_counters: SinkCounters,
    /// Buffers of delivered batches, for the pipeline to fill again; those that it has no use for are given up.
    spent: SyncSender<Batch>,
    /// How many items the sink has settled, one way or the other: it works for others than those that it fails on.
    settled: AtomicU64,
    turns: Turns,
    /// The way of inferlog's own documents; taken when it runs.
    lane: Option<Lane>,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Delivery").field("sink", &self.name).finish_non_exhaustive()
    }
}

/// Some items of a batch on their way.
struct Attempt {
    request: Request,
    /// How often they were sent already.
    tries: u32,
    /// How often the server failed on them while it settled others.
    failures: u32,
    /// [`Delivery::settled`] when they were sent last.
    settled_before: u64,
}

/// What an answer leaves to be done.
#[derive(Debug, Default, PartialEq)]
struct Remainder {
    /// To be sent again.
    retry: Vec<u32>,
    /// The server failed on these.
    failing: Vec<(u32, Reason)>,
    /// These will never succeed.
    rejected: Vec<(u32, Reason)>,
    /// Why the target is not ready, if it is not.
    target: Option<Trouble>,
    /// Why something is to be sent again, in a word.
    busy: Option<String>,
    indexed: u64,
    duplicates: u64,
    erased: u64,
    failure_store: Vec<u32>,
}

impl Remainder {
    /// How many items of the answer are settled.
    fn settled(&self) -> u64 {
        self.indexed + self.duplicates + self.erased + (self.failure_store.len() + self.rejected.len()) as u64
    }

    /// What people are to be told: of a target that is not ready, or of a server that answers and takes nothing.
    fn trouble(&mut self, others_succeed: bool) -> Option<Trouble> {
        if self.target.is_some() || others_succeed {
            return self.target.take();
        }
        let kind = self.failing.first().map(|(_, reason)| &reason.kind).or(self.busy.as_ref())?;
        Some(Trouble { problem: format!("the sink answers, but takes nothing now ({kind})"), hint: None })
    }

    /// The positions of what is to be sent again, ascending.
    fn into_retry(self) -> Vec<u32> {
        let mut retry = self.retry;
        retry.extend(self.failing.iter().map(|(position, _)| *position));
        retry.sort_unstable();
        retry
    }
}

impl Delivery {
    /// Connects a queue with a sink.
    pub fn new(
        sink: NamedSink,
        queue: Queue,
        dead_letter: Arc<DeadLetter>,
        health: Arc<Health>,
        counters: Counters,
        spent: SyncSender<Batch>,
        lane: Lane,
    ) -> Delivery {
        let NamedSink { name, sink, policy } = sink;
        let sink_counters = counters.sink(&name);
        let turns = Turns::new(policy, sink_counters.allowed_requests.clone());
        Delivery {
            name,
            sink,
            queue,
            dead_letter,
            health,
            policy,
            counters,
            sink_counters,
            spent,
            settled: AtomicU64::new(0),
            turns,
            lane: Some(lane),
        }
    }

    /// The same into another sink.
    #[cfg(test)]
    pub(super) fn with_sink(self, sink: Arc<dyn Sink>) -> Delivery {
        Delivery { sink, ..self }
    }

    /// The same with another policy.
    #[cfg(test)]
    pub(super) fn with_policy(self, policy: Policy) -> Delivery {
        let turns = Turns::new(policy, self.sink_counters.allowed_requests.clone());
        Delivery { policy, turns, ..self }
    }

    /// Asks the sink whether deliveries can be expected to succeed, and warns if not. Documents do not wait long for its
    /// word.
    pub async fn probe(&self) {
        if let Ok(Err(trouble)) = tokio::time::timeout(PROBE_TIMEOUT, self.sink.probe()).await {
            let hint = trouble.hint.as_deref().unwrap_or("records wait in their files until it can");
            tracing::warn!(sink = &*self.name, hint, "{}", trouble.problem);
        }
    }

    /// Delivers until the queue is closed and everything of it is settled.
    ///
    /// # Errors
    /// [`SinkGone`] when the sink is gone for good.
    pub async fn run(mut self) -> Result<(), SinkGone> {
        // Ends with this function, in whatever way it ends.
        let mut beside = JoinSet::new();
        if let Some(lane) = self.lane.take() {
            beside.spawn(lane.run(Arc::clone(&self.sink), self.policy));
        }
        let this = Arc::new(self);
        let mut under_way = JoinSet::new();
        let mut open = true;
        while open || !under_way.is_empty() {
            let may_send = open && under_way.len() < this.policy.in_flight_max;
            tokio::select! {
                // A sink that is gone must be heard of while nothing arrives, too.
                Some(joined) = under_way.join_next() => finished(joined)?,
                parcel = this.queue.pop(), if may_send => match parcel {
                    Some(parcel) => drop(under_way.spawn(Arc::clone(&this).deliver(parcel))),
                    None => open = false,
                },
            }
        }
        Ok(())
    }

    /// Settles every item of a batch, then acknowledges it.
    async fn deliver(self: Arc<Self>, parcel: Parcel) -> Result<(), SinkGone> {
        let mut delivered = Delivered::default();
        let request = Request { batch: Arc::clone(&parcel.batch), selection: None };
        let mut open = vec![Attempt { request, tries: 0, failures: 0, settled_before: self.settled_items() }];
        while let Some(attempt) = open.pop() {
            match self.ask(&attempt.request).await {
                Answer::Items(outcomes) if outcomes.len() == attempt.request.len() => {
                    open.extend(self.settle(attempt, outcomes, &mut delivered).await);
                }
                Answer::Items(outcomes) => {
                    let trouble = miscounted(&self.name, outcomes.len(), attempt.request.len());
                    self.pause(attempt.tries, self.policy.retry_max).await;
                    open.push(self.ask_again(attempt, trouble));
                }
                // The pace is what waits.
                Answer::Wait(trouble) | Answer::WaitAtLeast(_, trouble) => open.push(self.ask_again(attempt, trouble)),
                Answer::Halve(reason) if attempt.request.len() == 1 => {
                    self.reject(&attempt.request, &reason, &mut delivered).await;
                }
                Answer::Halve(_) => open.extend(halves(&attempt)),
                Answer::Closed(trouble) => return Err(SinkGone(trouble)),
            }
        }
        // What others buried is synced with the checkpoint.
        if delivered.dead_lettered.total() > 0 {
            let dead_letter = Arc::clone(&self.dead_letter);
            self.until_it_works(move || dead_letter.sync()).await;
        }
        let Parcel { batch, ack, .. } = parcel;
        // With several sinks the last one has it to itself.
        if let Some(batch) = Arc::into_inner(batch) {
            let _ = self.spent.try_send(batch);
        }
        ack.delivered(Arc::clone(&self.name), delivered);
        Ok(())
    }

    /// Sends a request when it is its turn, and counts and times it.
    async fn ask(&self, request: &Request) -> Answer {
        let turn = self.turns.next(request.bytes()).await;
        self.counters.delivery_requests_total.inc();
        self.sink_counters.in_flight.inc();
        self.health.asked();
        let asked = Instant::now();
        let answer = self.sink.deliver(request).await;
        turn.answered(load(&answer));
        let (sink, documents, bytes) = (self.health.sink(), request.len(), request.bytes());
        tracing::debug!(sink, documents, bytes, took = ?asked.elapsed(), "the sink answered");
        self.health.answered();
        self.sink_counters.in_flight.dec();
        self.sink_counters.observe_request(asked.elapsed());
        if let Answer::Items(outcomes) = &answer
            && outcomes.iter().any(|outcome| matches!(outcome, Outcome::Indexed | Outcome::Duplicate))
        {
            self.sink_counters.succeeded();
        }
        answer
    }

    /// Notes why nothing was taken, and gives back all items.
    fn ask_again(&self, attempt: Attempt, trouble: Trouble) -> Attempt {
        self.health.trouble(trouble);
        self.sink_counters.retried.inc_by(attempt.request.len() as u64);
        Attempt { tries: attempt.tries + 1, ..attempt }
    }

    /// Counts what is settled, buries what is dead, and gives back what is to be sent again, after the wait for it.
    async fn settle(&self, attempt: Attempt, outcomes: Vec<Outcome>, delivered: &mut Delivered) -> Option<Attempt> {
        let Attempt { request, tries, mut failures, settled_before } = attempt;
        let mut unsettled = sort(&selection(&request), outcomes);
        let batch = &request.batch;
        self.count(&unsettled, delivered);
        self.bury_failure_store(batch, std::mem::take(&mut unsettled.failure_store), delivered).await;
        self.bury(batch, std::mem::take(&mut unsettled.rejected), delivered).await;
        let others_succeed = failures > 0 || self.settled_items() > settled_before;
        failures += u32::from(others_succeed && !unsettled.failing.is_empty());
        if failures >= self.policy.item_attempts_max {
            self.bury(batch, std::mem::take(&mut unsettled.failing), delivered).await;
        }
        match unsettled.trouble(others_succeed) {
            Some(trouble) => self.health.trouble(trouble),
            None => self.health.good(),
        }
        let only_failing = others_succeed && unsettled.retry.is_empty();
        let wait_max = if only_failing { FAILING_RETRY_MAX } else { self.policy.retry_max };
        let retry = unsettled.into_retry();
        if retry.is_empty() {
            return None;
        }
        self.sink_counters.retried.inc_by(retry.len() as u64);
        let settled_before = self.settled_items();
        self.pause(tries, wait_max).await;
        let request = Request { batch: request.batch, selection: Some(retry) };
        Some(Attempt { request, tries: tries + 1, failures, settled_before })
    }

    fn count(&self, unsettled: &Remainder, delivered: &mut Delivered) {
        let Remainder { indexed, duplicates, erased, .. } = unsettled;
        self.sink_counters.indexed.inc_by(*indexed);
        self.sink_counters.duplicates.inc_by(*duplicates);
        self.sink_counters.erased.inc_by(*erased);
        self.settled.fetch_add(unsettled.settled(), Ordering::Relaxed);
        delivered.indexed += indexed;
        delivered.duplicates += duplicates;
        delivered.erased += erased;
    }

    /// Buries the only item of a request that was refused as a whole.
    async fn reject(&self, request: &Request, reason: &Reason, delivered: &mut Delivered) {
        self.settled.fetch_add(1, Ordering::Relaxed);
        self.bury(&request.batch, vec![(selection(request)[0], reason.clone())], delivered).await;
        self.health.good();
    }

    /// Enters items into the dead letter, however long that takes: without it the batch is not settled. One that is there
    /// already is not entered again.
    async fn bury(&self, batch: &Arc<Batch>, items: Vec<(u32, Reason)>, delivered: &mut Delivered) {
        if items.is_empty() {
            return;
        }
        let reject = |(position, reason): (u32, Reason)| {
            let reject = Reject { stage: Stage::Sink, reason: reason.kind.into(), detail: reason.detail };
            (position, reject)
        };
        let rejects: Vec<(u32, Reject)> = items.into_iter().map(reject).collect();
        for (position, reject) in &rejects {
            if batch.place_of(&batch.items()[*position as usize]).is_some() {
                delivered.dead_lettered.add(&reject.name(), 1);
            }
        }
        let (batch, dead_letter) = (Arc::clone(batch), Arc::clone(&self.dead_letter));
        self.until_it_works(move || {
            let entries = rejects
                .iter()
                .filter_map(|(position, reject)| entry(&batch, &batch.items()[*position as usize], reject));
            entries.into_iter().try_for_each(|entry| dead_letter.write(&entry))
        })
        .await;
    }

    async fn bury_failure_store(&self, batch: &Arc<Batch>, positions: Vec<u32>, delivered: &mut Delivered) {
        self.sink_counters.failure_store.inc_by(positions.len() as u64);
        let items = positions.into_iter().map(|position| (position, Reason::failure_store())).collect();
        self.bury(batch, items, delivered).await;
    }

    /// Works on a file, again and again until it succeeds, aside from the thread that serves everything else: a disk may
    /// be slow, and a disk of the network may hang.
    async fn until_it_works(&self, work: impl Fn() -> Result<(), DeadLetterError> + Send + Sync + 'static) {
        let work = Arc::new(work);
        let mut had_to_wait = false;
        loop {
            let work = Arc::clone(&work);
            match tokio::task::spawn_blocking(move || work()).await {
                Ok(Ok(())) => break,
                Ok(Err(error)) => self.health.trouble(error.trouble()),
                Err(error) => {
                    self.health.trouble(Trouble { problem: format!("BUG: a burial ended: {error}"), hint: None });
                }
            }
            had_to_wait = true;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        if had_to_wait {
            self.health.good();
        }
    }

    fn settled_items(&self) -> u64 {
        self.settled.load(Ordering::Relaxed)
    }

    async fn pause(&self, tries: u32, at_most: Duration) {
        tokio::time::sleep(self.policy.backoff(tries, fastrand::f64()).min(at_most)).await;
    }
}

fn finished(joined: Result<Result<(), SinkGone>, tokio::task::JoinError>) -> Result<(), SinkGone> {
    match joined {
        Ok(result) => result,
        Err(error) => Err(SinkGone(Trouble { problem: format!("BUG: a delivery ended: {error}"), hint: None })),
    }
}

/// An answer that does not say which items it speaks of settles none of them.
fn miscounted(sink: &str, answered: usize, asked: usize) -> Trouble {
    Trouble { problem: format!("BUG: the sink `{sink}` answered for {answered} of {asked} documents"), hint: None }
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
        settled_before: attempt.settled_before,
    })
}

/// Sorts the outcomes by what is to be done.
fn sort(positions: &[u32], outcomes: Vec<Outcome>) -> Remainder {
    let mut unsettled = Remainder::default();
    for (position, outcome) in positions.iter().zip(outcomes) {
        match outcome {
            Outcome::Indexed => unsettled.indexed += 1,
            Outcome::Duplicate => unsettled.duplicates += 1,
            Outcome::Erased => unsettled.erased += 1,
            Outcome::FailureStore => unsettled.failure_store.push(*position),
            Outcome::Retry(reason) => {
                unsettled.retry.push(*position);
                unsettled.busy = Some(reason.kind);
            }
            Outcome::Failing(reason) => unsettled.failing.push((*position, reason)),
            Outcome::Rejected(reason) => unsettled.rejected.push((*position, reason)),
            Outcome::TargetUnready(reason) => {
                unsettled.retry.push(*position);
                let problem = format!("the target does not take documents now ({}): {}", reason.kind, reason.detail);
                let hint = if reason.kind == "cluster_block_exception" {
                    "it is read-only: Elasticsearch sets that when a disk is nearly full, and takes it back when there is \
                     room; else somebody set `index.blocks`. Nothing is lost, records wait in their files"
                } else {
                    "check that the data stream or index exists, is open, and that this user may write to it"
                };
                unsettled.target = Some(Trouble { problem, hint: Some(hint.to_owned()) });
            }
        }
    }
    unsettled
}

/// The entry of a record; `None` for what was not made from a line.
fn entry<'e>(batch: &'e Batch, item: &Item, reject: &'e Reject) -> Option<Entry<'e>> {
    let (file, origin) = batch.place_of(item)?;
    Some(Entry {
        id: item.id,
        reject,
        file,
        offset_bytes: origin.offset_bytes,
        length_bytes: origin.length_bytes.into(),
        sha256: None,
        content: Content::Document(batch.document(item)),
    })
}

#[cfg(test)]
mod tests;
