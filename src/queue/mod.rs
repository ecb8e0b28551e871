//! The queue: bounded in bytes, between the pipeline's thread and the delivery to one sink.
//!
//! Its capacity covers what waits and what is in flight: a [`Parcel`] gives its share back when it is dropped. A full
//! queue refuses; nothing in it is ever thrown away. The reading side is asynchronous, the writing side never waits
//! here: it asks [`Queue::has_room`] and does its other work meanwhile.

pub mod rate;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::flow::ack::Ack;
use crate::flow::batch::Batch;
use crate::flow::wake::Wake;

/// A batch on its way to one sink.
#[derive(Debug)]
pub struct Parcel {
    /// The documents.
    pub batch: Arc<Batch>,
    /// To be told when they are durable.
    pub ack: Ack,
    _share: Share,
}

/// The capacity that a parcel takes, given back when dropped.
#[derive(Debug)]
struct Share {
    queue: Queue,
    bytes: usize,
}

/// A queue's two ends. Clones are the same queue.
#[derive(Clone, Debug)]
pub struct Queue(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    memory_bytes_max: usize,
    state: Mutex<State>,
    arrived: Notify,
    wake: Wake,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<(Arc<Batch>, Ack)>,
    in_flight: usize,
    bytes: usize,
    closed: bool,
}

impl Queue {
    /// Creates a queue for documents of at most this many bytes; `wake` is rung when there is room again.
    pub fn new(memory_bytes_max: usize, wake: Wake) -> Queue {
        Queue(Arc::new(Shared { memory_bytes_max, state: Mutex::default(), arrived: Notify::new(), wake }))
    }

    /// True when another batch may be pushed. One batch always fits into an empty queue, whatever its size.
    pub fn has_room(&self) -> bool {
        let state = self.state();
        state.bytes < self.0.memory_bytes_max
    }

    /// Appends a batch.
    pub fn push(&self, batch: Arc<Batch>, ack: Ack) {
        let bytes = batch.body_bytes();
        let mut state = self.state();
        state.bytes += bytes;
        state.waiting.push_back((batch, ack));
        drop(state);
        self.0.arrived.notify_one();
    }

    /// Takes the oldest batch, or `None` when the queue is closed and empty. Nothing is taken when the future is dropped
    /// before it is ready.
    pub async fn pop(&self) -> Option<Parcel> {
        loop {
            let arrived = self.0.arrived.notified();
            {
                let mut state = self.state();
                if let Some((batch, ack)) = state.waiting.pop_front() {
                    state.in_flight += 1;
                    // Made here and not in `push`: a share that waits in its own queue would keep it alive for ever.
                    let share = Share { queue: self.clone(), bytes: batch.body_bytes() };
                    return Some(Parcel { batch, ack, _share: share });
                }
                if state.closed {
                    return None;
                }
            }
            arrived.await;
        }
    }

    /// States that nothing more will be pushed.
    pub fn close(&self) {
        self.state().closed = true;
        self.0.arrived.notify_one();
    }

    /// Bytes of documents that wait or are in flight.
    pub fn bytes(&self) -> usize {
        self.state().bytes
    }

    /// How many batches wait or are in flight.
    pub fn batches(&self) -> usize {
        let state = self.state();
        state.waiting.len() + state.in_flight
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        state.bytes -= self.bytes;
        state.in_flight -= 1;
        drop(state);
        self.queue.0.wake.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::batch::{ID_CHARACTERS, Id, Origin};
    use crate::flow::in_flight::InFlight;

    fn batch(bytes: usize) -> Arc<Batch> {
        let mut batch = Batch::default();
        let origin = Origin { file: 0, offset_bytes: 0, length_bytes: 0, ordinal: 0 };
        batch.push(Id([b'A'; ID_CHARACTERS]), 0, origin, |out| out.resize(out.len() + bytes, b'x'));
        Arc::new(batch)
    }

    #[tokio::test]
    async fn capacity_is_held_until_the_parcel_is_dropped() {
        let queue = Queue::new(1_000, Wake::default());
        let mut in_flight = InFlight::new(1, Wake::default());
        assert!(queue.has_room());
        queue.push(batch(5_000), in_flight.open(Vec::new(), 0));
        assert!(!queue.has_room());
        let parcel = queue.pop().await.unwrap();
        assert!(!queue.has_room() && queue.batches() == 1, "in flight counts");
        drop(parcel);
        assert!(queue.has_room());
        assert_eq!((queue.bytes(), queue.batches()), (0, 0));
    }

    #[tokio::test]
    async fn a_closed_queue_gives_out_what_it_has() {
        let queue = Queue::new(1_000, Wake::default());
        let mut in_flight = InFlight::new(1, Wake::default());
        for bytes in [1, 2] {
            queue.push(batch(bytes), in_flight.open(Vec::new(), 0));
        }
        queue.close();
        let mut lengths = Vec::new();
        while let Some(parcel) = queue.pop().await {
            lengths.push(parcel.batch.document(&parcel.batch.items()[0]).len());
        }
        assert_eq!(lengths, [1, 2]);
    }
}
