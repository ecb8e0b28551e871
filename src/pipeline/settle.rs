//! Settling: what is done with each answer of a sink until every item of a batch is settled?
//!
//! Only here anything is retried. A sink tries once; this sends again the items that may succeed, and them alone, with
//! jittered exponential backoff; halves a request that is refused as a whole; buries what never will succeed; and gives up
//! when its [`Patience`] ends. A run's delivery has no end of it and makes entries of what is buried; a replay has somebody
//! who waits, and its entries are there already: see [`Burial`].
//!
//! How many requests may be under way, and how long all of them wait for a sink that is busy, is decided by [`super::pace`],
//! which all share who ask the sink. A batch of which single items were refused waits by itself besides, since others may
//! get on meanwhile.

mod burial;
mod remainder;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

pub(crate) use burial::{Burial, Fate};

use super::health::Health;
use super::pace::{May, Turn, Turns, load};
use crate::dead_letter::DeadLetterError;
use crate::flow::answer::{Answer, Outcome, Reason, Trouble};
use crate::flow::batch::Batch;
use crate::flow::reject::{Reject, Stage};
use crate::flow::tally::Delivered;
use crate::sink::policy::Policy;
use crate::sink::{Request, Sink};
use crate::telemetry::{Counters, SinkCounters};
use burial::entry;
use remainder::Remainder;

/// How long a sink has to say what it knows before it is asked to take something.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest wait for items on which the server fails while it settles others: it is not busy, so nothing is spared by
/// waiting longer, and all [`Policy::item_attempts_max`] tries are over before `--once` loses patience.
pub(super) const FAILING_RETRY_MAX: Duration = Duration::from_secs(5);

/// A sink that is open, what it is called, and how it is treated.
pub struct NamedSink {
    /// Its name in the pipeline file.
    pub name: Arc<str>,
    /// Itself.
    pub sink: Arc<dyn Sink>,
    /// How it is treated.
    pub policy: Policy,
}

/// A sink with the pace that all keep who bring it documents.
pub(crate) struct PacedSink {
    pub(super) name: Arc<str>,
    pub(super) sink: Arc<dyn Sink>,
    pub(super) policy: Policy,
    pub(super) turns: Arc<Turns>,
    pub(super) counters: Counters,
    pub(super) sink_counters: SinkCounters,
    /// How many items it has settled, one way or the other: it works for others than those that it fails on.
    pub(super) settled: AtomicU64,
}

/// How long whoever brings documents waits for them to be settled.
pub(crate) enum Patience<'p> {
    /// For ever: records wait in their files. What is in the way is told to the sink's health.
    Endless(&'p Health),
    /// As long as somebody waits for the answer.
    Limited(Limit),
}

/// The patience of somebody who waits. Takes turns that no record wants.
pub(crate) struct Limit {
    /// Given up when nothing was settled for so long.
    pub(crate) idle_max: Duration,
    /// Tries for an item on which the server fails, also if it fails on all.
    pub(crate) item_attempts_max: u32,
    /// Given up when the other end is dropped.
    pub(crate) wanted: watch::Receiver<()>,
}

/// Something of a batch stays unsettled: because of this, or because nobody waits for it any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GivenUp(pub(crate) Option<Trouble>);

/// Some items of a batch on their way.
struct Attempt {
    request: Request,
    /// How often they were sent already.
    tries: u32,
    /// How often the server failed on them while it settled others, or with limited patience at all.
    failures: u32,
    /// [`PacedSink::settled`] when they were sent last.
    settled_before: u64,
}

impl Patience<'_> {
    fn item_attempts_max(&self, policy: &Policy) -> u32 {
        match self {
            Patience::Endless(_) => policy.item_attempts_max,
            Patience::Limited(limit) => limit.item_attempts_max,
        }
    }
}

impl PacedSink {
    /// A sink that is asked in these turns.
    pub(crate) fn new(sink: NamedSink, turns: Arc<Turns>, counters: &Counters) -> PacedSink {
        let NamedSink { name, sink, policy } = sink;
        let (counters, sink_counters) = (counters.clone(), counters.sink(&name));
        PacedSink { name, sink, policy, turns, counters, sink_counters, settled: AtomicU64::new(0) }
    }

    /// Asks the sink whether deliveries can be expected to succeed, at once; `Ok` when it does not say so in time.
    pub(super) async fn probe(&self) -> Result<(), Trouble> {
        tokio::time::timeout(PROBE_TIMEOUT, self.sink.probe()).await.unwrap_or(Ok(()))
    }

    /// Lets the sink learn what it must know, such as what was erased by order, when it is its turn. Whether it is ready is
    /// seen when it is asked to take something.
    pub(crate) async fn prepare(&self, patience: &mut Patience<'_>) -> Result<(), GivenUp> {
        let _turn = self.turn(0, patience, Instant::now()).await?;
        let _ = self.probe().await;
        Ok(())
    }

    /// Settles every item of a batch, or what it can while the patience lasts.
    ///
    /// # Errors
    /// [`GivenUp`] when the sink is gone for good or the patience ends; what is settled by then is noted and counted.
    pub(crate) async fn settle(
        &self,
        batch: &Arc<Batch>,
        patience: &mut Patience<'_>,
        burial: Burial<'_>,
    ) -> Result<Delivered, GivenUp> {
        let request = Request { batch: Arc::clone(batch), selection: None };
        let mut open = vec![Attempt { request, tries: 0, failures: 0, settled_before: self.settled_items() }];
        let (delivered, moved) = (Delivered::default(), Instant::now());
        let mut settlement = Settlement { sink: self, patience, burial, delivered, moved, trouble: None };
        while let Some(attempt) = open.pop() {
            match settlement.ask(&attempt.request).await? {
                Answer::Items(outcomes) if outcomes.len() == attempt.request.len() => {
                    open.extend(settlement.take(attempt, outcomes).await?);
                }
                Answer::Items(outcomes) => {
                    let trouble = miscounted(&self.name, outcomes.len(), attempt.request.len());
                    settlement.pause(attempt.tries, self.policy.retry_max).await?;
                    open.push(settlement.ask_again(attempt, trouble));
                }
                // The pace is what waits.
                Answer::Wait(trouble) | Answer::WaitAtLeast(_, trouble) => {
                    open.push(settlement.ask_again(attempt, trouble));
                }
                Answer::Halve(reason) if attempt.request.len() == 1 => {
                    settlement.reject(&attempt.request, reason).await;
                }
                Answer::Halve(_) => open.extend(halves(&attempt)),
                Answer::Closed(trouble) => return Err(GivenUp(Some(trouble))),
            }
        }
        settlement.sync().await;
        Ok(settlement.delivered)
    }

    /// Waits for a turn. `moved`: when something was settled last.
    async fn turn(&self, bytes: usize, patience: &mut Patience<'_>, moved: Instant) -> Result<Turn<'_>, GivenUp> {
        let Patience::Limited(limit) = patience else { return Ok(self.turns.next(bytes).await) };
        if limit.wanted.has_changed().is_err() {
            return Err(GivenUp(None));
        }
        tokio::select! {
            turn = self.turns.next_spare(bytes, moved + limit.idle_max) => {
                turn.map_err(|not_yet| GivenUp(Some(self.no_turn(not_yet))))
            }
            _ = limit.wanted.changed() => Err(GivenUp(None)),
        }
    }

    /// Why there was no turn, to somebody who has asked for nothing yet.
    fn no_turn(&self, not_yet: May) -> Trouble {
        let name = &self.name;
        let (problem, hint) = match not_yet {
            May::GoAt(moment) => {
                let seconds = moment.saturating_duration_since(Instant::now()).as_secs() + 1;
                let problem = format!("the running process leaves the sink `{name}` alone for {seconds} s: it is busy");
                (problem, "nothing was sent; replay again after that time")
            }
            May::Go | May::GoNext => {
                let problem = format!("the records of the running process need all that the sink `{name}` takes");
                (problem, "records go first; replay again when the run has caught up, see `inferlog_source_lag_bytes`")
            }
        };
        Trouble { problem, hint: Some(hint.to_owned()) }
    }

    fn settled_items(&self) -> u64 {
        self.settled.load(Ordering::Relaxed)
    }
}

/// The work on one batch.
struct Settlement<'s, 'p> {
    sink: &'s PacedSink,
    patience: &'s mut Patience<'p>,
    burial: Burial<'s>,
    delivered: Delivered,
    /// When something was settled last.
    moved: Instant,
    /// What was in the way last, for somebody who waits.
    trouble: Option<Trouble>,
}

impl Settlement<'_, '_> {
    /// Sends a request when it is its turn, and counts and times it.
    async fn ask(&mut self, request: &Request) -> Result<Answer, GivenUp> {
        let PacedSink { name, sink, counters, sink_counters, .. } = self.sink;
        let turn = match self.sink.turn(request.bytes(), self.patience, self.moved).await {
            Ok(turn) => turn,
            // What the sink itself has said tells more.
            Err(GivenUp(why)) => return Err(GivenUp(why.map(|why| self.trouble.take().unwrap_or(why)))),
        };
        counters.delivery_requests_total.inc();
        sink_counters.in_flight.inc();
        if let Patience::Endless(health) = self.patience {
            health.asked();
        }
        let asked = Instant::now();
        let answer = sink.deliver(request).await;
        turn.answered(load(&answer));
        let (documents, bytes) = (request.len(), request.bytes());
        tracing::debug!(sink = &**name, documents, bytes, took = ?asked.elapsed(), "the sink answered");
        if let Patience::Endless(health) = self.patience {
            health.answered();
            health.remark(sink.remark());
        }
        sink_counters.in_flight.dec();
        sink_counters.observe_request(asked.elapsed());
        if let Answer::Items(outcomes) = &answer
            && outcomes.iter().any(|outcome| matches!(outcome, Outcome::Indexed | Outcome::Duplicate))
        {
            sink_counters.succeeded();
        }
        Ok(answer)
    }

    /// Notes why nothing was taken, and gives back all items.
    fn ask_again(&mut self, attempt: Attempt, trouble: Trouble) -> Attempt {
        self.tell(trouble);
        self.sink.sink_counters.retried.inc_by(attempt.request.len() as u64);
        Attempt { tries: attempt.tries + 1, ..attempt }
    }

    /// Counts what is settled, buries what is dead, and gives back what is to be sent again, after the wait for it.
    async fn take(&mut self, attempt: Attempt, outcomes: Vec<Outcome>) -> Result<Option<Attempt>, GivenUp> {
        let Attempt { request, tries, mut failures, settled_before } = attempt;
        let mut remainder = self.sort(&request, outcomes);
        let batch = &request.batch;
        self.count(&remainder);
        self.bury_failure_store(batch, std::mem::take(&mut remainder.failure_store)).await;
        self.bury(batch, std::mem::take(&mut remainder.rejected)).await;
        let is_endless = matches!(self.patience, Patience::Endless(_));
        let others_succeed = is_endless && (failures > 0 || self.sink.settled_items() > settled_before);
        failures += u32::from((others_succeed || !is_endless) && !remainder.failing.is_empty());
        if failures >= self.patience.item_attempts_max(&self.sink.policy) {
            self.bury(batch, std::mem::take(&mut remainder.failing)).await;
        }
        match remainder.trouble(others_succeed) {
            Some(trouble) => self.tell(trouble),
            None => self.good(),
        }
        let only_failing = others_succeed && remainder.retry.is_empty();
        let wait_max = if only_failing { FAILING_RETRY_MAX } else { self.sink.policy.retry_max };
        let retry = remainder.into_retry();
        if retry.is_empty() {
            return Ok(None);
        }
        self.sink.sink_counters.retried.inc_by(retry.len() as u64);
        let settled_before = self.sink.settled_items();
        self.pause(tries, wait_max).await?;
        let request = Request { batch: request.batch, selection: Some(retry) };
        Ok(Some(Attempt { request, tries: tries + 1, failures, settled_before }))
    }

    /// Sorts the outcomes by what is to be done.
    fn sort(&mut self, request: &Request, outcomes: Vec<Outcome>) -> Remainder {
        let mut remainder = Remainder::default();
        for (place, outcome) in outcomes.into_iter().enumerate() {
            let position = request.position(place);
            self.burial.note(position, &outcome);
            remainder.add(position, outcome);
        }
        remainder
    }

    fn count(&mut self, remainder: &Remainder) {
        let Remainder { indexed, duplicates, erased, .. } = remainder;
        let counters = &self.sink.sink_counters;
        counters.indexed.inc_by(*indexed);
        counters.duplicates.inc_by(*duplicates);
        counters.erased.inc_by(*erased);
        self.settled(remainder.settled());
        self.delivered.indexed += indexed;
        self.delivered.duplicates += duplicates;
        self.delivered.erased += erased;
    }

    fn settled(&mut self, items: u64) {
        if items > 0 {
            self.sink.settled.fetch_add(items, Ordering::Relaxed);
            self.moved = Instant::now();
        }
    }

    /// Buries the only item of a request that was refused as a whole.
    async fn reject(&mut self, request: &Request, reason: Reason) {
        self.settled(1);
        self.bury(&request.batch, vec![(request.position(0), reason)]).await;
        self.good();
    }

    /// Buries items, however long that takes: without it the batch is not settled. What is in the dead letter already is
    /// not entered again.
    async fn bury(&mut self, batch: &Arc<Batch>, items: Vec<(u32, Reason)>) {
        if items.is_empty() {
            return;
        }
        let dead_letter = match &mut self.burial {
            Burial::NewEntry(dead_letter) => Arc::clone(dead_letter),
            Burial::Remains(fates) => {
                self.moved = Instant::now();
                return items.into_iter().for_each(|(position, why)| fates[position as usize] = Fate::Rejected(why));
            }
        };
        let reject = |(position, reason): (u32, Reason)| {
            let reject = Reject { stage: Stage::Sink, reason: reason.kind.into(), detail: reason.detail };
            (position, reject)
        };
        let rejects: Vec<(u32, Reject)> = items.into_iter().map(reject).collect();
        for (position, reject) in &rejects {
            if batch.place_of(&batch.items()[*position as usize]).is_some() {
                self.delivered.dead_lettered.add(&reject.name(), 1);
            }
        }
        let batch = Arc::clone(batch);
        self.until_it_works(move || {
            let entries = rejects
                .iter()
                .filter_map(|(position, reject)| entry(&batch, &batch.items()[*position as usize], reject));
            entries.into_iter().try_for_each(|entry| dead_letter.write(&entry))
        })
        .await;
    }

    async fn bury_failure_store(&mut self, batch: &Arc<Batch>, positions: Vec<u32>) {
        self.sink.sink_counters.failure_store.inc_by(positions.len() as u64);
        let items = positions.into_iter().map(|position| (position, Reason::failure_store())).collect();
        self.bury(batch, items).await;
    }

    /// Makes durable what was buried. What others buried is synced with the checkpoint.
    async fn sync(&mut self) {
        if let Burial::NewEntry(dead_letter) = &self.burial
            && self.delivered.dead_lettered.total() > 0
        {
            let dead_letter = Arc::clone(dead_letter);
            self.until_it_works(move || dead_letter.sync()).await;
        }
    }

    /// Works on a file, again and again until it succeeds, aside from the thread that serves everything else: a disk may
    /// be slow, and a disk of the network may hang.
    async fn until_it_works(&mut self, work: impl Fn() -> Result<(), DeadLetterError> + Send + Sync + 'static) {
        let work = Arc::new(work);
        let mut had_to_wait = false;
        loop {
            let work = Arc::clone(&work);
            match tokio::task::spawn_blocking(move || work()).await {
                Ok(Ok(())) => break,
                Ok(Err(error)) => self.tell(error.trouble()),
                Err(error) => self.tell(Trouble { problem: format!("BUG: a burial ended: {error}"), hint: None }),
            }
            had_to_wait = true;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        if had_to_wait {
            self.good();
        }
    }

    /// Waits before another try, as long as somebody waits for it.
    async fn pause(&mut self, tries: u32, at_most: Duration) -> Result<(), GivenUp> {
        let pause = tokio::time::sleep(self.sink.policy.backoff(tries, fastrand::f64()).min(at_most));
        match &mut *self.patience {
            Patience::Endless(_) => pause.await,
            Patience::Limited(limit) => tokio::select! {
                () = pause => {}
                _ = limit.wanted.changed() => return Err(GivenUp(None)),
            },
        }
        Ok(())
    }

    fn tell(&mut self, trouble: Trouble) {
        match self.patience {
            Patience::Endless(health) => health.trouble(trouble),
            Patience::Limited(_) => self.trouble = Some(trouble),
        }
    }

    fn good(&self) {
        if let Patience::Endless(health) = &*self.patience {
            health.good();
        }
    }
}

/// An answer that does not say which items it speaks of settles none of them.
fn miscounted(sink: &str, answered: usize, asked: usize) -> Trouble {
    Trouble { problem: format!("BUG: the sink `{sink}` answered for {answered} of {asked} documents"), hint: None }
}

fn halves(attempt: &Attempt) -> [Attempt; 2] {
    let Attempt { request, failures, settled_before, .. } = attempt;
    let mut first: Vec<u32> = (0..request.len()).map(|place| request.position(place)).collect();
    let second = first.split_off(first.len() / 2);
    [second, first].map(|half| Attempt {
        request: Request { batch: Arc::clone(&request.batch), selection: Some(half) },
        tries: 0,
        failures: *failures,
        settled_before: *settled_before,
    })
}
