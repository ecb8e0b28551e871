//! The outlet: from sealed batches to the queues of the sinks, at the pace that is allowed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::stages::Shipment;
use crate::flow::in_flight::{InFlight, Settlement};
use crate::flow::wake::Wake;
use crate::queue::Queue;
use crate::queue::rate::{Debt, Limiters, RateLimit};

/// All queues of a pipeline.
#[derive(Debug)]
pub(super) struct Outlet {
    queues: Vec<Queue>,
    in_flight: InFlight,
    limiters: Limiters,
    /// What of the first sealed batch has not been allowed yet.
    owed: Option<Debt>,
    next_send: Option<Instant>,
}

impl Outlet {
    /// Connects the queues; `wake` is rung by acknowledgements.
    pub(super) fn new(queues: Vec<Queue>, rate_limit: RateLimit, wake: Wake) -> Outlet {
        let in_flight = InFlight::new(queues.len(), wake);
        Outlet { queues, in_flight, limiters: Limiters::new(rate_limit), owed: None, next_send: None }
    }

    /// Sends as many batches as there is room for and the rate allows, in their order.
    pub(super) fn send(&mut self, sealed: &mut VecDeque<Shipment>) {
        self.next_send = None;
        while let Some(first) = sealed.front() {
            if !self.queues.iter().all(Queue::has_room) {
                return;
            }
            let owed = self.owed.get_or_insert(Debt {
                records: first.batch.items().len() as u32,
                bytes: first.batch.body_bytes() as u32,
            });
            if let Some(wait) = self.limiters.take(owed) {
                self.next_send = Some(Instant::now() + wait);
                return;
            }
            self.owed = None;
            if let Some(first) = sealed.pop_front() {
                self.push(first);
            }
        }
    }

    fn push(&mut self, sealed: Shipment) {
        if sealed.batch.is_empty() {
            return self.in_flight.settled(sealed.marks, sealed.source_bytes);
        }
        let ack = self.in_flight.open(sealed.marks, sealed.source_bytes);
        let batch = Arc::new(sealed.batch);
        for queue in &self.queues {
            queue.push(Arc::clone(&batch), ack.clone());
        }
    }

    /// When the rate allows the next batch.
    pub(super) fn next_send(&self) -> Option<Instant> {
        self.next_send
    }

    /// Calls `commit` for what has become final; returns how many batches did.
    pub(super) fn collect(&mut self, commit: impl FnMut(Settlement)) -> usize {
        self.in_flight.collect(commit)
    }

    /// How long the oldest batch has been on its way.
    pub(super) fn oldest_age(&self) -> Duration {
        self.in_flight.oldest_age()
    }

    pub(super) fn close(&self) {
        self.queues.iter().for_each(Queue::close);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }

    pub(super) fn unacknowledged_bytes(&self) -> u64 {
        self.in_flight.source_bytes()
    }

    pub(super) fn queued_bytes(&self) -> usize {
        self.queues.iter().map(Queue::bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::flow::batch::{Batch, ID_CHARACTERS, Id, Origin};

    fn sealed(documents: usize) -> Shipment {
        let mut batch = Batch::default();
        let origin = Origin { file: 0, offset_bytes: 0, length_bytes: 0, ordinal: 0 };
        for _ in 0..documents {
            batch.push(Id([b'A'; ID_CHARACTERS]), 0, origin, |out| out.extend_from_slice(b"{}"));
        }
        Shipment { batch, marks: Vec::new(), source_bytes: 10 }
    }

    #[test]
    fn what_the_rate_does_not_allow_waits_and_nothing_is_dropped() {
        let queue = Queue::new(1 << 20, Wake::default());
        let rate = RateLimit { records_per_second: NonZeroU32::new(10), bytes_per_second: None };
        let mut outlet = Outlet::new(vec![queue], rate, Wake::default());
        let mut waiting = VecDeque::from([sealed(10), sealed(25)]);
        outlet.send(&mut waiting);
        assert_eq!(waiting.len(), 1, "the burst is one second's worth");
        let wait = outlet.next_send().unwrap() - Instant::now();
        assert!(wait > Duration::from_millis(500) && wait < Duration::from_secs(2), "{wait:?}");
        assert_eq!(waiting[0].batch.items().len(), 25);
    }

    #[test]
    fn a_batch_without_documents_is_finished_at_once() {
        let mut outlet = Outlet::new(vec![Queue::new(1, Wake::default())], RateLimit::default(), Wake::default());
        outlet.send(&mut VecDeque::from([sealed(0)]));
        assert!(!outlet.is_empty());
        outlet.collect(|_| {});
        assert!(outlet.is_empty());
    }
}
