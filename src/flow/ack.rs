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
use std::time::{Duration, Instant};

use crate::flow::batch::{Destination, SourceFile};
use crate::flow::tally::{Delivered, Tally};
use crate::flow::wake::Wake;
use crate::state::checkpoint::Fingerprint;

/// A file as the running source numbers it; unique for the life of the process.
pub type FileNumber = u32;

/// States that everything of a file before an offset is part of a batch or of one before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The file, for the running source.
    pub file: FileNumber,
    /// The file, for people and for what outlives the process.
    pub source: Arc<SourceFile>,
    /// The start of its first line that the batch stands for, in bytes from the start of the file.
    pub start_bytes: u64,
    /// The end of its last line in the batch, in bytes from the start of the file.
    pub offset_bytes: u64,
    /// The bytes just before that offset.
    pub tail: Fingerprint,
    /// What became of the lines in between.
    pub tally: Tally,
}

/// One sink's promise to say when a batch is durable. Cloned once per sink.
#[derive(Clone, Debug)]
pub struct Ack {
    batch: u64,
    sinks_remaining: Arc<AtomicUsize>,
    finished: Sender<Word>,
    wake: Wake,
}

/// What one sink says of a batch.
#[derive(Debug)]
struct Word {
    batch: u64,
    sink: Arc<str>,
    delivered: Delivered,
    is_last: bool,
}

impl Mark {
    /// A mark of one line that ends at a position.
    #[cfg(test)]
    pub(crate) fn of_line(file: FileNumber, end: crate::state::checkpoint::Position) -> Mark {
        let (source, tally) = (Arc::new(SourceFile::default()), Tally { lines: 1, ..Tally::default() });
        let start_bytes = end.offset_bytes.saturating_sub(1);
        Mark { file, source, start_bytes, offset_bytes: end.offset_bytes, tail: end.tail, tally }
    }

    /// Goes on to a later place of the same file.
    pub fn join(&mut self, later: Mark) {
        self.tally.join(&later.tally);
        self.source = later.source;
        self.offset_bytes = later.offset_bytes;
        self.tail = later.tail;
    }
}

impl Ack {
    /// States that one sink holds every item of the batch, or that the item is settled otherwise.
    pub fn delivered(self, sink: Arc<str>, delivered: Delivered) {
        let is_last = self.sinks_remaining.fetch_sub(1, Ordering::AcqRel) == 1;
        // The pipeline may be gone at a stop; then nothing is committed, and the lines are read again.
        let _ = self.finished.send(Word { batch: self.batch, sink, delivered, is_last });
        if is_last {
            self.wake.ring();
        }
    }
}

/// A batch that every sink has finished, and all before it.
#[derive(Debug)]
pub struct Settled {
    /// Records, or accounts.
    pub destination: Destination,
    /// How far each file is delivered; none for accounts.
    pub marks: Vec<Mark>,
    /// What each sink said of its documents.
    pub delivered: Vec<(Arc<str>, Delivered)>,
}

/// What is in flight, in the order in which it was read.
#[derive(Debug)]
pub struct Ledger {
    sinks: usize,
    oldest: u64,
    open: VecDeque<OpenBatch>,
    open_bytes: u64,
    finished: Receiver<Word>,
    finished_sender: Sender<Word>,
    wake: Wake,
}

#[derive(Debug)]
struct OpenBatch {
    destination: Destination,
    marks: Vec<Mark>,
    bytes: u64,
    opened: Instant,
    delivered: Vec<(Arc<str>, Delivered)>,
    finished: bool,
}

impl OpenBatch {
    fn new(marks: Vec<Mark>, bytes: u64) -> OpenBatch {
        let (destination, opened, delivered) = (Destination::Records, Instant::now(), Vec::new());
        OpenBatch { destination, marks, bytes, opened, delivered, finished: false }
    }
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
        self.push(OpenBatch::new(marks, bytes))
    }

    /// Opens a batch of the pipeline's own accounts.
    pub fn open_accounts(&mut self) -> Ack {
        self.push(OpenBatch { destination: Destination::Accounts, ..OpenBatch::new(Vec::new(), 0) })
    }

    fn push(&mut self, open: OpenBatch) -> Ack {
        let batch = self.oldest + self.open.len() as u64;
        self.open_bytes += open.bytes;
        self.open.push_back(open);
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
        let last = self.open.back_mut().filter(|last| last.destination == Destination::Records);
        let Some(last) = last else {
            return self.open.push_back(OpenBatch { finished: true, ..OpenBatch::new(marks, bytes) });
        };
        last.bytes += bytes;
        for mark in marks {
            match last.marks.iter_mut().find(|known| known.file == mark.file) {
                Some(known) => known.join(mark),
                None => last.marks.push(mark),
            }
        }
    }

    /// Calls `commit` for every batch that has become final since the last call, in the order of the lines.
    pub fn collect(&mut self, commit: impl FnMut(Settled)) {
        while let Ok(Word { batch, sink, delivered, is_last }) = self.finished.try_recv() {
            let open = &mut self.open[(batch - self.oldest) as usize];
            open.delivered.push((sink, delivered));
            open.finished |= is_last;
        }
        let finished = self.open.iter().take_while(|batch| batch.finished).count();
        self.oldest += finished as u64;
        let finished = self.open.drain(..finished);
        let open_bytes = &mut self.open_bytes;
        finished
            .map(|OpenBatch { destination, marks, bytes, delivered, .. }| {
                *open_bytes -= bytes;
                Settled { destination, marks, delivered }
            })
            .for_each(commit);
    }

    /// How long the oldest batch that is not finished has been waiting.
    pub fn oldest_age(&self) -> Duration {
        self.open.front().map_or(Duration::ZERO, |batch| batch.opened.elapsed())
    }

    /// Bytes of the files between what is read and what is committed.
    pub fn unacknowledged_bytes(&self) -> u64 {
        self.open_bytes
    }

    /// True when every batch of records is finished.
    pub fn is_empty(&self) -> bool {
        self.open.iter().all(|batch| batch.destination == Destination::Accounts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::checkpoint::Position;

    fn collected(ledger: &mut Ledger) -> Vec<u64> {
        let mut offsets = Vec::new();
        ledger.collect(|settled| offsets.extend(settled.marks.iter().map(|mark| mark.offset_bytes)));
        offsets
    }

    fn mark(file: FileNumber, offset_bytes: u64) -> Mark {
        Mark::of_line(file, Position { offset_bytes, tail: Fingerprint::default() })
    }

    fn open(ledger: &mut Ledger, offset_bytes: u64) -> Ack {
        ledger.open(vec![mark(0, offset_bytes)], 10)
    }

    fn delivered(ack: Ack) {
        ack.delivered("store".into(), Delivered { indexed: 1, ..Delivered::default() });
    }

    #[test]
    fn commits_only_the_longest_finished_prefix() {
        let mut ledger = Ledger::new(1, Wake::default());
        let acks: Vec<Ack> = [10, 20, 30].into_iter().map(|offset| open(&mut ledger, offset)).collect();
        let [first, second, third] = <[Ack; 3]>::try_from(acks).unwrap_or_else(|_| unreachable!());
        delivered(second);
        assert_eq!(collected(&mut ledger), Vec::<u64>::new());
        assert_eq!(ledger.unacknowledged_bytes(), 30);
        delivered(first);
        assert_eq!(collected(&mut ledger), [10, 20]);
        drop(third);
        assert_eq!(collected(&mut ledger), Vec::<u64>::new());
        assert!(!ledger.is_empty());
    }

    #[test]
    fn lines_without_documents_are_committed_after_those_before_them() {
        let mut ledger = Ledger::new(2, Wake::default());
        ledger.settled(vec![mark(0, 5)], 5);
        assert_eq!(collected(&mut ledger), [5], "nothing is before them");
        let ack = open(&mut ledger, 10);
        ledger.settled(vec![mark(0, 20), mark(1, 7)], 30);
        ledger.settled(vec![mark(0, 30)], 10);
        assert_eq!((collected(&mut ledger), ledger.unacknowledged_bytes()), (Vec::new(), 50));
        delivered(ack.clone());
        delivered(ack);
        let mut all = Vec::new();
        ledger.collect(|settled| all.push(settled));
        let [Settled { marks, delivered, .. }] = &all[..] else { panic!("{all:?}") };
        let seen = |mark: &Mark| (mark.start_bytes, mark.offset_bytes, mark.tally.lines);
        assert_eq!(marks.iter().map(seen).collect::<Vec<_>>(), [(9, 30, 3), (6, 7, 1)]);
        assert_eq!(delivered.iter().map(|(_, delivered)| delivered.indexed).sum::<u64>(), 2);
        assert_eq!((ledger.is_empty(), ledger.unacknowledged_bytes()), (true, 0));
    }

    #[test]
    fn lines_without_documents_are_not_taken_for_accounts() {
        let mut ledger = Ledger::new(1, Wake::default());
        let accounts = ledger.open_accounts();
        ledger.settled(vec![mark(0, 5)], 5);
        ledger.settled(vec![mark(0, 6)], 1);
        delivered(accounts);
        let mut all = Vec::new();
        ledger.collect(|settled| all.push((settled.destination, settled.marks.len())));
        assert_eq!(all, [(Destination::Accounts, 0), (Destination::Records, 1)]);
        assert_eq!(ledger.unacknowledged_bytes(), 0);
    }

    #[test]
    fn waits_for_every_sink() {
        let mut ledger = Ledger::new(2, Wake::default());
        let ack = open(&mut ledger, 10);
        delivered(ack.clone());
        assert_eq!(collected(&mut ledger), Vec::<u64>::new());
        delivered(ack);
        assert_eq!(collected(&mut ledger), [10]);
        assert!(ledger.is_empty());
    }
}
