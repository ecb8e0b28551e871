//! Acknowledgements: how does a sink say that a batch is durable, and what does that commit?
//!
//! Each batch carries an [`Ack`]; whoever makes the batch durable calls [`Ack::delivered`], once per sink. Who listens is
//! `flow::in_flight`. An `Ack` that is dropped without a word commits nothing: its lines are read again at the next start.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use crate::flow::batch::SourceFile;
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
    words: Sender<Word>,
    wake: Wake,
}

/// What one sink says of a batch.
#[derive(Debug)]
pub(super) struct Word {
    pub(super) batch: u64,
    pub(super) sink: Arc<str>,
    pub(super) delivered: Delivered,
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
    /// The promise for a batch of this number; `wake` is rung after each word.
    pub(super) fn new(batch: u64, words: Sender<Word>, wake: Wake) -> Ack {
        Ack { batch, words, wake }
    }

    /// States that one sink holds every item of the batch, or that the item is settled otherwise.
    pub fn delivered(self, sink: Arc<str>, delivered: Delivered) {
        // The pipeline may be gone at a stop; then nothing is committed, and the lines are read again.
        let _ = self.words.send(Word { batch: self.batch, sink, delivered });
        self.wake.ring();
    }
}
