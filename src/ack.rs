//! Acknowledgements: how far each file is delivered.
//!
//! The pipeline thread seals batches in the order in which it read their lines. Each batch carries an [`Ack`]; whoever
//! makes the batch durable calls [`Ack::delivered`], once per sink. The [`Ledger`], which stays with the pipeline
//! thread, moves the committed offsets only over the longest prefix of batches that every sink has finished, so a
//! committed offset never passes a line that is not settled. An `Ack` that is dropped without a word commits nothing:
//! its lines are read again at the next start.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::checkpoint::Fingerprint;
use crate::wake::Wake;

/// A file as the running source numbers it; unique for the life of the process.
pub type FileNumber = u32;

/// States that everything of a file before an offset is part of a batch or of one before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The file.
    pub file: FileNumber,
    /// The end of its last line in the batch, in bytes from the start of the file.
    pub offset_bytes: u64,
    /// The bytes just before that offset.
    pub tail: Fingerprint,
}

/// One sink's promise to say when a batch is durable. Cloned once per sink.
#[derive(Clone, Debug)]
pub struct Ack {
    batch: u64,
    sinks_remaining: Arc<AtomicUsize>,
    finished: Sender<u64>,
    wake: Wake,
}

impl Ack {
    /// States that one sink holds every item of the batch, or that the item is settled otherwise.
    pub fn delivered(self) {
        if self.sinks_remaining.fetch_sub(1, Ordering::AcqRel) == 1 {
            // The pipeline may be gone at a stop; then nothing is committed, and the lines are read again.
            let _ = self.finished.send(self.batch);
            self.wake.ring();
        }
    }
}

/// What is in flight, in the order in which it was read.
#[derive(Debug)]
pub struct Ledger {
    sinks: usize,
    oldest: u64,
    open: VecDeque<OpenBatch>,
    open_bytes: u64,
    finished: Receiver<u64>,
    finished_sender: Sender<u64>,
    wake: Wake,
}

#[derive(Debug)]
struct OpenBatch {
    marks: Vec<Mark>,
    bytes: u64,
    finished: bool,
}

impl Ledger {
    /// Creates a ledger for batches that go to `sinks` sinks, at least one. `wake` is rung when a batch is finished.
    pub fn new(sinks: usize, wake: Wake) -> Self {
        let (finished_sender, finished) = channel();
        Ledger { sinks: sinks.max(1), oldest: 0, open: VecDeque::new(), open_bytes: 0, finished, finished_sender, wake }
    }

    /// Opens the next batch: `marks` are committed when it and all before it are finished; `bytes` is the span of the
    /// files that it stands for.
    pub fn open(&mut self, marks: Vec<Mark>, bytes: u64) -> Ack {
        let batch = self.oldest + self.open.len() as u64;
        self.open.push_back(OpenBatch { marks, bytes, finished: false });
        self.open_bytes += bytes;
        Ack {
            batch,
            sinks_remaining: Arc::new(AtomicUsize::new(self.sinks)),
            finished: self.finished_sender.clone(),
            wake: self.wake.clone(),
        }
    }

    /// Enters lines that no sink has to hold, because all were dropped or rejected: their marks are committed with the
    /// batch before them, so that a sink that is down does not let the ledger grow by the number of such batches.
    pub fn settled(&mut self, marks: Vec<Mark>, bytes: u64) {
        self.open_bytes += bytes;
        let Some(last) = self.open.back_mut() else {
            return self.open.push_back(OpenBatch { marks, bytes, finished: true });
        };
        last.bytes += bytes;
        for mark in marks {
            match last.marks.iter_mut().find(|known| known.file == mark.file) {
                Some(known) => *known = mark,
                None => last.marks.push(mark),
            }
        }
    }

    /// Calls `commit` for every mark that has become final since the last call.
    pub fn collect(&mut self, mut commit: impl FnMut(Mark)) {
        while let Ok(batch) = self.finished.try_recv() {
            self.open[(batch - self.oldest) as usize].finished = true;
        }
        while self.open.front().is_some_and(|batch| batch.finished) {
            let Some(batch) = self.open.pop_front() else { break };
            self.oldest += 1;
            self.open_bytes -= batch.bytes;
            batch.marks.into_iter().for_each(&mut commit);
        }
    }

    /// Bytes of the files between what is read and what is committed.
    pub fn unacknowledged_bytes(&self) -> u64 {
        self.open_bytes
    }

    /// True when every batch is finished.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collected(ledger: &mut Ledger) -> Vec<u64> {
        let mut offsets = Vec::new();
        ledger.collect(|mark| offsets.push(mark.offset_bytes));
        offsets
    }

    fn open(ledger: &mut Ledger, offset_bytes: u64) -> Ack {
        ledger.open(vec![Mark { file: 0, offset_bytes, tail: Fingerprint::default() }], 10)
    }

    #[test]
    fn commits_only_the_longest_finished_prefix() {
        let mut ledger = Ledger::new(1, Wake::default());
        let acks: Vec<Ack> = [10, 20, 30].into_iter().map(|offset| open(&mut ledger, offset)).collect();
        let [first, second, third] = <[Ack; 3]>::try_from(acks).unwrap_or_else(|_| unreachable!());
        second.delivered();
        assert_eq!(collected(&mut ledger), Vec::<u64>::new());
        assert_eq!(ledger.unacknowledged_bytes(), 30);
        first.delivered();
        assert_eq!(collected(&mut ledger), [10, 20]);
        drop(third);
        assert_eq!(collected(&mut ledger), Vec::<u64>::new());
        assert!(!ledger.is_empty());
    }

    #[test]
    fn lines_without_documents_are_committed_after_those_before_them() {
        let mut ledger = Ledger::new(2, Wake::default());
        let mark = |offset_bytes| Mark { file: 0, offset_bytes, tail: Fingerprint::default() };
        ledger.settled(vec![mark(5)], 5);
        assert_eq!(collected(&mut ledger), [5], "nothing is before them");
        let ack = open(&mut ledger, 10);
        ledger.settled(vec![mark(20), Mark { file: 1, ..mark(7) }], 30);
        ledger.settled(vec![mark(30)], 10);
        assert_eq!((collected(&mut ledger), ledger.unacknowledged_bytes()), (Vec::new(), 50));
        ack.clone().delivered();
        ack.delivered();
        assert_eq!(collected(&mut ledger), [30, 7]);
        assert_eq!((ledger.is_empty(), ledger.unacknowledged_bytes()), (true, 0));
    }

    #[test]
    fn waits_for_every_sink() {
        let mut ledger = Ledger::new(2, Wake::default());
        let ack = open(&mut ledger, 10);
        ack.clone().delivered();
        assert_eq!(collected(&mut ledger), Vec::<u64>::new());
        ack.delivered();
        assert_eq!(collected(&mut ledger), [10]);
        assert!(ledger.is_empty());
    }
}
