//! The pace of a sink: how many requests may be under way at a time, and when may the next one go?
//!
//! Additive increase and multiplicative decrease, as TCP does it, between one request and `in_flight_max`:
//!
//! | an answer | requests at a time | the next one |
//! | --- | --- | --- |
//! | takes all | one more after each round of them; before the first trouble after each answer | at once |
//! | takes all, but has become slow | one less after each round of them | at once |
//! | is busy: 429, 503, a timeout, no answer, for the whole request or for some items | halved | where one was too many, after a pause, whosoever it is |
//! | says of the records alone that they are wrong, fail or have no target | as before | at once |
//!
//! The pause is the sink's, not a request's: doubled each time until an answer is good, spread, and never less than what
//! the server asks for (`Retry-After`). As long as there is something to halve, that is enough: a pause of all would
//! leave idle what the sink does take. So a sink that is down is asked by one request every `retry.max`, however many
//! wait. Requests that were sent before the last decrease tell of the same moment: they decrease nothing again. As many
//! as were too many the last time are tried again only after [`PROBE_ROUNDS`], so that few requests are refused where the
//! sink takes the same all day.
//!
//! [`Pace`] is a state machine without a clock of its own; [`Turns`] lets requests wait for it. Records go first: what a
//! replay beside a run is lent are turns that no batch of records will want, those that are under way or wait included.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::flow::answer::{Answer, Outcome};
use crate::queue::Queue;
use crate::sink::policy::Policy;
use crate::telemetry::Gauge;

/// An answer is slow when it takes so many times as long as the quickest one to a request of about this size…
const SLOW_FACTOR: u32 = 4;

/// …and longer than this.
const SLOW_MIN: Duration = Duration::from_millis(250);

/// The part of the way by which the quickest answer that is remembered moves towards a slower one: 1/256. What stays
/// slow, however few ask, becomes the measure after some hundred answers.
const FORGET_SHARE: u32 = 256;

/// Rounds of good answers before as many requests are tried as were too many the last time.
const PROBE_ROUNDS: usize = 16;

/// Sizes of requests are told apart by their powers of two.
const SIZES: usize = usize::BITS as usize;

/// The longest that a server's `Retry-After` is honoured.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(120);

/// What an answer tells of the sink's load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    /// It took everything.
    Takes,
    /// It is busy, down or in trouble, and wants to be left alone for this long at least.
    Busy(Duration),
    /// Nothing.
    Unknown,
}

/// What an answer tells of the sink's load.
pub(super) fn load(answer: &Answer) -> Load {
    let is_busy = |outcome: &Outcome| matches!(outcome, Outcome::Retry(_));
    let is_unclear = |outcome: &Outcome| matches!(outcome, Outcome::Failing(_) | Outcome::TargetUnready(_));
    match answer {
        Answer::Wait(_) => Load::Busy(Duration::ZERO),
        Answer::WaitAtLeast(wait, _) => Load::Busy(*wait),
        Answer::Items(outcomes) if outcomes.iter().any(is_busy) => Load::Busy(Duration::ZERO),
        Answer::Items(outcomes) if !outcomes.iter().any(is_unclear) => Load::Takes,
        Answer::Items(_) | Answer::Halve(_) | Answer::Closed(_) => Load::Unknown,
    }
}

/// Whether a request may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum May {
    Go,
    /// Not before this moment.
    GoAt(Instant),
    /// When another one is answered.
    GoNext,
}

/// A request that is under way.
#[derive(Clone, Copy, Debug)]
struct RequestStart {
    at: Instant,
    bytes: usize,
}

/// How fast a sink may be asked now.
#[derive(Debug)]
struct Pace {
    policy: Policy,
    /// Requests that may be under way at a time, 1 to `in_flight_max`.
    at_a_time: usize,
    under_way: usize,
    /// When as many were under way as may be: only then an answer proves that the sink takes so many.
    full: Option<Instant>,
    /// Good answers since `at_a_time` changed.
    good: usize,
    /// How many requests at a time were too many the last time.
    too_many: usize,
    /// No answer was busy or slow yet: how much the sink takes is still being found out.
    starting: bool,
    /// How often it was busy with one request at a time since an answer was good.
    busy: u32,
    /// When there was a decrease last.
    decreased: Option<Instant>,
    paused_until: Option<Instant>,
    /// The quickest answer to a request of so many bytes, by their power of two.
    quickest: [Option<Duration>; SIZES],
}

impl Pace {
    fn new(policy: Policy) -> Pace {
        Pace {
            policy,
            at_a_time: 1,
            under_way: 0,
            full: None,
            good: 0,
            too_many: usize::MAX,
            starting: true,
            busy: 0,
            decreased: None,
            paused_until: None,
            quickest: [None; SIZES],
        }
    }

    /// Whether a request may go now, if so many places are kept free for others or taken by them.
    fn may(&self, now: Instant, reserved: usize) -> May {
        match self.paused_until {
            Some(until) if until > now => May::GoAt(until),
            _ if self.under_way.max(reserved) < self.at_a_time => May::Go,
            _ => May::GoNext,
        }
    }

    fn send(&mut self, now: Instant, bytes: usize) -> RequestStart {
        self.under_way += 1;
        if self.under_way >= self.at_a_time {
            self.full = Some(now);
        }
        RequestStart { at: now, bytes }
    }

    /// Takes note of an answer. `random` (0..1) spreads the pause.
    fn answered(&mut self, sent: RequestStart, load: Load, now: Instant, random: f64) {
        self.under_way = self.under_way.saturating_sub(1);
        let is_news = self.decreased.is_none_or(|decreased| sent.at > decreased);
        match load {
            Load::Busy(at_least) => {
                if is_news {
                    self.busy += u32::from(self.at_a_time == 1);
                    self.decrease(self.at_a_time / 2, now);
                }
                let tries = self.busy.checked_sub(1);
                let pause = tries.map_or(Duration::ZERO, |tries| self.policy.backoff(tries, random));
                let until = now + pause.max(at_least.min(RETRY_AFTER_MAX));
                self.paused_until = self.paused_until.max(Some(until));
            }
            Load::Takes => {
                let is_slow = self.is_slow(sent.bytes, now.saturating_duration_since(sent.at));
                if !is_news {
                    return;
                }
                self.busy = 0;
                if is_slow {
                    self.decrease(self.at_a_time - 1, now);
                } else if self.full.is_some_and(|full| full >= sent.at) {
                    self.increase();
                }
            }
            Load::Unknown => {}
        }
    }

    fn increase(&mut self) {
        self.good += 1;
        let rounds = if self.at_a_time + 1 == self.too_many { PROBE_ROUNDS } else { 1 };
        if self.starting || self.good >= self.at_a_time * rounds {
            self.at_a_time = (self.at_a_time + 1).min(self.policy.in_flight_max);
            self.good = 0;
        }
    }

    fn decrease(&mut self, at_a_time: usize, now: Instant) {
        // One at a time may be too many, too, and is the least there is.
        self.too_many = self.at_a_time.max(2);
        self.at_a_time = at_a_time.max(1);
        self.good = 0;
        self.starting = false;
        self.decreased = Some(now);
    }

    /// Whether an answer took much longer than such answers can, which it is remembered for.
    fn is_slow(&mut self, bytes: usize, took: Duration) -> bool {
        let quickest = &mut self.quickest[bytes.checked_ilog2().unwrap_or(0) as usize];
        let known = *quickest.get_or_insert(took);
        *quickest = Some(if took < known { took } else { known + (took - known) / FORGET_SHARE });
        took > SLOW_MIN && took > known * SLOW_FACTOR
    }
}

/// The pace of a sink, shared by all that ask it.
#[derive(Debug)]
pub(crate) struct Turns {
    pace: Mutex<Pace>,
    /// Batches of records that want a turn each, or have one.
    records: Queue,
    /// Somebody's turn is over, or the pace is another.
    changed: Notify,
    /// What may be under way at a time, for people to see.
    shown: Gauge,
}

impl Turns {
    /// A sink of which nothing is known yet, and the records that it is for.
    pub(crate) fn new(policy: Policy, shown: Gauge, records: Queue) -> Turns {
        shown.set(1);
        Turns { pace: Mutex::new(Pace::new(policy)), records, changed: Notify::new(), shown }
    }

    /// Waits until a request of records, of so many bytes, may go. The turn lasts until it is answered or dropped.
    pub(super) async fn next(&self, bytes: usize) -> Turn<'_> {
        loop {
            // Before the look, so that no change after it is missed.
            let changed = self.changed.notified();
            match self.try_next(bytes, 0) {
                Ok(turn) => return turn,
                // A pause may become longer meanwhile, never shorter.
                Err(May::GoAt(moment)) => tokio::time::sleep_until(moment.into()).await,
                Err(May::Go | May::GoNext) => changed.await,
            }
        }
    }

    /// Waits until a request may go that takes no turn from records, until a deadline at most.
    ///
    /// # Errors
    /// What stands against it, as soon as that is known to last longer.
    pub(super) async fn next_spare(&self, bytes: usize, deadline: Instant) -> Result<Turn<'_>, May> {
        loop {
            let changed = self.changed.notified();
            if Instant::now() >= deadline {
                return Err(May::GoNext);
            }
            match self.try_next(bytes, self.records.batches()) {
                Ok(turn) => return Ok(turn),
                Err(May::GoAt(moment)) if moment >= deadline => return Err(May::GoAt(moment)),
                Err(May::GoAt(moment)) => tokio::time::sleep_until(moment.into()).await,
                Err(not_yet) => tokio::time::timeout_at(deadline.into(), changed).await.map_err(|_| not_yet)?,
            }
        }
    }

    /// Lets those look who wait for a turn that no record wants: there are fewer batches of records.
    pub(super) fn look_again(&self) {
        self.changed.notify_waiters();
    }

    fn try_next(&self, bytes: usize, reserved: usize) -> Result<Turn<'_>, May> {
        let (mut pace, now) = (self.pace(), Instant::now());
        match pace.may(now, reserved) {
            May::Go => Ok(Turn { turns: self, sent: pace.send(now, bytes), load: Load::Unknown }),
            not_yet => Err(not_yet),
        }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to have one request under way.
#[derive(Debug)]
pub(super) struct Turn<'t> {
    turns: &'t Turns,
    sent: RequestStart,
    load: Load,
}

impl Turn<'_> {
    /// Ends the turn with what the answer tells.
    pub(super) fn answered(mut self, load: Load) {
        self.load = load;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut pace = self.turns.pace();
        pace.answered(self.sent, self.load, Instant::now(), fastrand::f64());
        self.turns.shown.set(pace.at_a_time as i64);
        drop(pace);
        self.turns.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
