//! In flight: which batches are on their way, and up to where is everything settled?
//!
//! The pipeline's thread seals batches in the order in which it read their lines. [`InFlight`], which stays with that
//! thread, counts the words of the sinks, and moves the committed offsets only over the longest prefix of batches of which
//! every sink has spoken: a committed offset never passes a line that is not settled. Sinks speak from other threads, in
//! any order; a batch leaves only when all words on it are heard, so that none comes too late.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use super::ack::{Ack, Mark, Word};
use super::tally::Delivered;
use super::wake::Wake;

/// What became of a batch, when every sink has finished it and all before it.
#[derive(Debug)]
pub struct Settlement {
    /// How far each file is delivered.
    pub marks: Vec<Mark>,
    /// What each sink said of its documents.
    pub delivered: Vec<(Arc<str>, Delivered)>,
}

/// The batches that are in flight, in the order in which their lines were read.
#[derive(Debug)]
pub struct InFlight {
    sinks: usize,
    /// The number of the first of `batches`.
    oldest: u64,
    batches: VecDeque<OpenBatch>,
    source_bytes: u64,
    words: Receiver<Word>,
    words_sender: Sender<Word>,
    wake: Wake,
}

#[derive(Debug)]
struct OpenBatch {
    marks: Vec<Mark>,
    source_bytes: u64,
    opened: Instant,
    /// How many sinks have to speak of it.
    words_due: usize,
    delivered: Vec<(Arc<str>, Delivered)>,
}

impl OpenBatch {
    fn is_finished(&self) -> bool {
        self.delivered.len() >= self.words_due
    }
}

impl InFlight {
    /// Nothing yet, for batches that go to `sinks` sinks, at least one. `wake` is rung when a sink has spoken.
    pub fn new(sinks: usize, wake: Wake) -> Self {
        let (words_sender, words) = channel();
        let (sinks, batches) = (sinks.max(1), VecDeque::new());
        InFlight { sinks, oldest: 0, batches, source_bytes: 0, words, words_sender, wake }
    }

    /// Opens the next batch: `marks` are committed when it and all before it are finished; `source_bytes` is the span of
    /// the files that it stands for.
    pub fn open(&mut self, marks: Vec<Mark>, source_bytes: u64) -> Ack {
        let batch = self.oldest + self.batches.len() as u64;
        self.push(marks, source_bytes, self.sinks);
        Ack::new(batch, self.words_sender.clone(), self.wake.clone())
    }

    /// Enters lines that no sink has to hold, because all were dropped or rejected: their marks are committed with the
    /// batch before them, so that a sink that is down does not let the number of batches grow by them.
    pub fn settled(&mut self, marks: Vec<Mark>, source_bytes: u64) {
        let Some(last) = self.batches.back_mut() else { return self.push(marks, source_bytes, 0) };
        self.source_bytes += source_bytes;
        last.source_bytes += source_bytes;
        for mark in marks {
            match last.marks.iter_mut().find(|known| known.file == mark.file) {
                Some(known) => known.join(mark),
                None => last.marks.push(mark),
            }
        }
    }

    fn push(&mut self, marks: Vec<Mark>, source_bytes: u64, words_due: usize) {
        self.source_bytes += source_bytes;
        let opened = Instant::now();
        self.batches.push_back(OpenBatch { marks, source_bytes, opened, words_due, delivered: Vec::new() });
    }

    /// Calls `commit` for every batch that has become final since the last call, in the order of the lines; returns how
    /// many there were.
    pub fn collect(&mut self, mut commit: impl FnMut(Settlement)) -> usize {
        while let Ok(Word { batch, sink, delivered }) = self.words.try_recv() {
            let place = batch.checked_sub(self.oldest).and_then(|place| self.batches.get_mut(place as usize));
            let open = place.expect("BUG: a sink spoke more than once of a batch");
            open.delivered.push((sink, delivered));
        }
        let finished = self.batches.iter().take_while(|batch| batch.is_finished()).count();
        self.oldest += finished as u64;
        for OpenBatch { marks, source_bytes, delivered, .. } in self.batches.drain(..finished) {
            self.source_bytes -= source_bytes;
            commit(Settlement { marks, delivered });
        }
        finished
    }

    /// How long the oldest batch that is not finished has been waiting.
    pub fn oldest_age(&self) -> Duration {
        self.batches.front().map_or(Duration::ZERO, |batch| batch.opened.elapsed())
    }

    /// Bytes of the files between what is read and what is committed.
    pub fn source_bytes(&self) -> u64 {
        self.source_bytes
    }

    /// True when every batch is finished and collected.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::ack::FileNumber;
    use crate::state::checkpoint::{Fingerprint, Position};

    fn collected(in_flight: &mut InFlight) -> Vec<u64> {
        let mut offsets = Vec::new();
        in_flight.collect(|settled| offsets.extend(settled.marks.iter().map(|mark| mark.offset_bytes)));
        offsets
    }

    fn mark(file: FileNumber, offset_bytes: u64) -> Mark {
        Mark::of_line(file, Position { offset_bytes, tail: Fingerprint::default() })
    }

    fn open(in_flight: &mut InFlight, offset_bytes: u64) -> Ack {
        in_flight.open(vec![mark(0, offset_bytes)], 10)
    }

    fn delivered(ack: Ack) {
        ack.delivered("store".into(), Delivered { indexed: 1, ..Delivered::default() });
    }

    #[test]
    fn commits_only_the_longest_finished_prefix() {
        let mut in_flight = InFlight::new(1, Wake::default());
        let acks: Vec<Ack> = [10, 20, 30].into_iter().map(|offset| open(&mut in_flight, offset)).collect();
        let [first, second, third] = <[Ack; 3]>::try_from(acks).unwrap_or_else(|_| unreachable!());
        delivered(second);
        assert_eq!(collected(&mut in_flight), Vec::<u64>::new());
        assert_eq!(in_flight.source_bytes(), 30);
        delivered(first);
        assert_eq!(collected(&mut in_flight), [10, 20]);
        drop(third);
        assert_eq!(collected(&mut in_flight), Vec::<u64>::new());
        assert!(!in_flight.is_empty());
    }

    #[test]
    fn lines_without_documents_are_committed_after_those_before_them() {
        let mut in_flight = InFlight::new(2, Wake::default());
        in_flight.settled(vec![mark(0, 5)], 5);
        assert_eq!(collected(&mut in_flight), [5], "nothing is before them");
        let ack = open(&mut in_flight, 10);
        in_flight.settled(vec![mark(0, 20), mark(1, 7)], 30);
        in_flight.settled(vec![mark(0, 30)], 10);
        assert_eq!((collected(&mut in_flight), in_flight.source_bytes()), (Vec::new(), 50));
        delivered(ack.clone());
        delivered(ack);
        let mut all = Vec::new();
        in_flight.collect(|settled| all.push(settled));
        let [Settlement { marks, delivered, .. }] = &all[..] else { panic!("{all:?}") };
        let seen = |mark: &Mark| (mark.start_bytes, mark.offset_bytes, mark.tally.lines);
        assert_eq!(marks.iter().map(seen).collect::<Vec<_>>(), [(9, 30, 3), (6, 7, 1)]);
        assert_eq!(delivered.iter().map(|(_, delivered)| delivered.indexed).sum::<u64>(), 2);
        assert_eq!((in_flight.is_empty(), in_flight.source_bytes()), (true, 0));
    }

    #[test]
    fn waits_for_every_sink() {
        let mut in_flight = InFlight::new(2, Wake::default());
        let ack = open(&mut in_flight, 10);
        delivered(ack.clone());
        assert_eq!(collected(&mut in_flight), Vec::<u64>::new());
        delivered(ack);
        assert_eq!(collected(&mut in_flight), [10]);
        assert!(in_flight.is_empty());
    }

    /// Sinks speak from threads of their own, and whoever speaks second may be heard first.
    #[test]
    fn words_from_several_threads_are_all_heard_and_none_comes_too_late() {
        const BATCHES: u64 = 20_000;
        let mut in_flight = InFlight::new(2, Wake::default());
        let (sinks, sinks_acks): (Vec<_>, Vec<_>) = (0..2)
            .map(|_| {
                let (acks, to_say) = channel::<Ack>();
                (acks, std::thread::spawn(move || to_say.iter().for_each(delivered)))
            })
            .unzip();
        let (mut opened, mut collected) = (0, Vec::new());
        while collected.len() < BATCHES as usize {
            if opened < BATCHES {
                let ack = open(&mut in_flight, opened);
                opened += 1;
                sinks.iter().for_each(|acks| acks.send(ack.clone()).unwrap());
            }
            in_flight
                .collect(|settlement| collected.push((settlement.marks[0].offset_bytes, settlement.delivered.len())));
        }
        assert_eq!(collected, (0..BATCHES).map(|n| (n, 2)).collect::<Vec<_>>());
        assert_eq!((in_flight.is_empty(), in_flight.source_bytes()), (true, 0));
        drop(sinks);
        sinks_acks.into_iter().for_each(|thread| thread.join().unwrap());
    }
}
