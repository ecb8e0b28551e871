//! Chunks: what the source gives out.
//!
//! A chunk owns its bytes, so that it can wait, or be taken to another thread; the source gets the buffer back when they are
//! settled ([`super::Files::reuse`]).

use std::ops::Range;
use std::sync::Arc;

use super::file::{PassedOver, TailedFile, Turn};
use super::tell::tell_gap;
use crate::flow::ack::FileNumber;
use crate::flow::batch::SourceFile;
use crate::state::checkpoint::Position;
use crate::telemetry::Counters;

/// What the source gives out: some whole lines of a file, or the range of one that is too long.
#[derive(Debug)]
pub struct Chunk {
    /// The file's number, for its marks.
    pub number: FileNumber,
    /// The file.
    pub file: Arc<SourceFile>,
    /// Where it begins, in bytes from the start of the file.
    pub offset_bytes: u64,
    /// Observers have counted the file up to here.
    pub observed_offset_bytes: u64,
    /// What it is.
    pub content: Content,
}

impl Chunk {
    /// What a turn gave out of a file; `None` when that is nothing.
    pub(super) fn of(file: &mut TailedFile, turn: Turn, buffer: &mut Vec<u8>, counters: &Counters) -> Option<Chunk> {
        let source_file = file.source_file().ok()?;
        let (offset_bytes, content) = match turn {
            Turn::Lines { range, offset_bytes } => {
                (offset_bytes, Content::Lines(Block { buffer: std::mem::take(buffer), range }))
            }
            Turn::PassedOver { what, offset_bytes, length_bytes } => {
                if what == PassedOver::NulBytes {
                    tell_gap(&file.path, offset_bytes, length_bytes, counters);
                }
                (offset_bytes, Content::PassedOver { what, length_bytes, end: file.consumed_position() })
            }
            Turn::Busy | Turn::Replaced | Turn::Unknown | Turn::End => return None,
        };
        let observed_offset_bytes = file.observed_offset_bytes();
        Some(Chunk { number: file.number, file: source_file, offset_bytes, observed_offset_bytes, content })
    }

    /// A chunk without lines of a file that is examined: the work goes on.
    pub(super) fn without_lines(file: &TailedFile) -> Chunk {
        let path = file.path.to_string_lossy().into_owned();
        let (inode, generation) = (file.inode(), file.generation());
        let source_file = SourceFile { path, inode, generation, ..SourceFile::default() };
        let (number, content) = (file.number, Content::Lines(Block::default()));
        Chunk { number, file: Arc::new(source_file), offset_bytes: 0, observed_offset_bytes: 0, content }
    }

    /// Where it ends, in bytes from the start of the file.
    pub fn end_offset_bytes(&self) -> u64 {
        match &self.content {
            Content::Lines(block) => self.offset_bytes + block.bytes().len() as u64,
            Content::PassedOver { end, .. } => end.offset_bytes,
        }
    }

    /// Its lines; nothing where it has none.
    pub fn lines(&self) -> &[u8] {
        match &self.content {
            Content::Lines(block) => block.bytes(),
            Content::PassedOver { .. } => &[],
        }
    }

    /// Leaves out its first lines, of so many bytes, which are settled.
    pub fn leave_out(&mut self, settled_bytes: usize) {
        if let Content::Lines(block) = &mut self.content {
            block.range.start += settled_bytes;
            self.offset_bytes += settled_bytes as u64;
        }
    }
}

/// The content of a chunk.
#[derive(Debug)]
pub enum Content {
    /// Whole lines with their ends, or none at all while the end of a long one is looked for; the last one may lack its
    /// end when the file is final.
    Lines(Block),
    /// Something that goes to the dead letter by its range.
    PassedOver {
        /// What it is.
        what: PassedOver,
        /// Its length in bytes; of a line without the line feed.
        length_bytes: u64,
        /// What to commit when it is settled.
        end: Position,
    },
}

/// Bytes of a file, in the buffer that they were read into.
#[derive(Debug, Default)]
pub struct Block {
    buffer: Vec<u8>,
    range: Range<usize>,
}

impl Block {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.range.clone()]
    }

    /// The buffer, for other bytes.
    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }
}
