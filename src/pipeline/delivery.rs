//! Delivery: how do batches get from one queue into one sink?
//!
//! Takes as many batches at a time as the sink's policy allows, has each settled ([`super::settle`]), with all the patience
//! there is, and acknowledges it when each of its items is one of the three: indexed, known already, dead. Documents of
//! inferlog's own have a lane beside all this: see [`super::outbox`].

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tokio::task::JoinSet;

use super::health::Health;
use super::outbox::Lane;
use super::pace::Turns;
use super::settle::{Burial, GivenUp, NamedSink, PacedSink, Patience};
use crate::dead_letter::DeadLetter;
use crate::flow::answer::Trouble;
use crate::flow::batch::Batch;
use crate::queue::{Parcel, Queue};
use crate::sink::Sink;
use crate::telemetry::Counters;
use crate::text::panic;

/// Why delivery ended before its queue did.
#[derive(Debug)]
pub enum SinkGone {
    /// The sink is gone for good.
    Closed(Trouble),
    /// A defect of ours: a task panicked, with these words.
    Panicked(String),
}

impl SinkGone {
    /// What is said of it.
    pub fn trouble(self) -> Trouble {
        match self {
            SinkGone::Closed(trouble) => trouble,
            SinkGone::Panicked(words) => Trouble { problem: format!("BUG: a delivery panicked: {words}"), hint: None },
        }
    }
}

/// The way from one queue into one sink.
pub struct Delivery {
    sink: PacedSink,
    queue: Queue,
    dead_letter: Arc<DeadLetter>,
    health: Arc<Health>,
    /// Buffers of delivered batches, for the pipeline to fill again; those that it has no use for are given up.
    spent: SyncSender<Batch>,
    /// The way of inferlog's own documents; taken when it runs.
    lane: Option<Lane>,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Delivery").field("sink", &self.sink.name).finish_non_exhaustive()
    }
}

impl Delivery {
    /// Connects a queue with a sink.
    pub fn new(
        sink: NamedSink,
        queue: Queue,
        dead_letter: Arc<DeadLetter>,
        health: Arc<Health>,
        counters: &Counters,
        spent: SyncSender<Batch>,
        lane: Lane,
    ) -> Delivery {
        let shown = counters.sink(&sink.name).allowed_requests;
        let turns = Arc::new(Turns::new(sink.policy, shown, queue.clone()));
        let sink = PacedSink::new(sink, turns, counters);
        Delivery { sink, queue, dead_letter, health, spent, lane: Some(lane) }
    }

    /// The turns in which the sink is asked, to be lent to others.
    pub(crate) fn turns(&self) -> Arc<Turns> {
        Arc::clone(&self.sink.turns)
    }

    /// The same into another sink.
    #[cfg(test)]
    pub(super) fn with_sink(self, sink: Arc<dyn Sink>) -> Delivery {
        Delivery { sink: PacedSink { sink, ..self.sink }, ..self }
    }

    /// The same with another policy.
    #[cfg(test)]
    pub(super) fn with_policy(self, policy: crate::sink::policy::Policy) -> Delivery {
        let shown = self.sink.sink_counters.allowed_requests.clone();
        let turns = Arc::new(Turns::new(policy, shown, self.queue.clone()));
        Delivery { sink: PacedSink { policy, turns, ..self.sink }, ..self }
    }

    /// Asks the sink whether deliveries can be expected to succeed, and warns if not. Documents do not wait long for its
    /// word.
    pub async fn probe(&self) {
        if let Err(trouble) = self.sink.probe().await {
            let hint = trouble.hint.as_deref().unwrap_or("records wait in their files until it can");
            tracing::warn!(sink = &*self.sink.name, hint, "{}", trouble.problem);
        }
    }

    /// Delivers until the queue is closed and everything of it is settled.
    ///
    /// # Errors
    /// [`SinkGone`] when the sink is gone for good, or something of ours has panicked.
    pub async fn run(mut self) -> Result<(), SinkGone> {
        // Ends with this function, in whatever way it ends.
        let mut beside = JoinSet::new();
        if let Some(lane) = self.lane.take() {
            beside.spawn(lane.run(Arc::clone(&self.sink.sink), self.sink.policy));
        }
        beside.spawn(watch_hold(Arc::clone(&self.sink.sink), Arc::clone(&self.health), self.sink.policy.retry_max));
        let this = Arc::new(self);
        let mut under_way = JoinSet::new();
        let mut open = true;
        while open || !under_way.is_empty() {
            let may_send = open && under_way.len() < this.sink.policy.in_flight_max;
            tokio::select! {
                // A sink that is gone must be heard of while nothing arrives, too.
                Some(joined) = under_way.join_next() => {
                    finished(joined)?;
                    this.sink.turns.look_again();
                }
                // What goes on beside may end; it must not panic unheard.
                Some(joined) = beside.join_next() => finished(joined.map(Ok))?,
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
        let (mut patience, burial) = (Patience::Endless(&self.health), Burial::NewEntry(&self.dead_letter));
        let delivered = self.sink.settle(&parcel.batch, &mut patience, burial).await.map_err(gone)?;
        let Parcel { batch, ack, .. } = parcel;
        // With several sinks the last one has it to itself.
        if let Some(batch) = Arc::into_inner(batch) {
            let _ = self.spent.try_send(batch);
        }
        ack.delivered(Arc::clone(&self.sink.name), delivered);
        Ok(())
    }
}

/// Says at the start, with no record at hand, that something is in force in which the sink takes none, until it is put
/// right; later, records that wait are what says it.
async fn watch_hold(sink: Arc<dyn Sink>, health: Arc<Health>, look_again_after: Duration) {
    let mut is_held = false;
    while let Some(trouble) = sink.hold().await {
        is_held = true;
        health.trouble(trouble);
        tokio::time::sleep(look_again_after).await;
    }
    if is_held {
        health.good();
    }
    health.remark(sink.remark());
}

/// Endless patience ends with the sink alone.
fn gone(GivenUp(trouble): GivenUp) -> SinkGone {
    let bug = || Trouble { problem: "BUG: a delivery was given up".to_owned(), hint: None };
    SinkGone::Closed(trouble.unwrap_or_else(bug))
}

fn finished(joined: Result<Result<(), SinkGone>, tokio::task::JoinError>) -> Result<(), SinkGone> {
    match joined {
        Ok(result) => result,
        Err(error) => Err(SinkGone::Panicked(
            error.try_into_panic().map_or("it was cancelled".to_owned(), |payload| panic::words(&*payload)),
        )),
    }
}

#[cfg(test)]
mod tests;
