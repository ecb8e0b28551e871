//! Chunks: what the source gives out.

use std::sync::Arc;

use super::file::PassedOver;
use crate::flow::ack::FileNumber;
use crate::flow::batch::SourceFile;
use crate::state::checkpoint::Position;

/// What the source gives out: some whole lines of a file, or the range of one that is too long.
#[derive(Debug)]
pub struct Chunk<'b> {
    /// The file's number, for its marks.
    pub number: FileNumber,
    /// The file.
    pub file: Arc<SourceFile>,
    /// Where it begins, in bytes from the start of the file.
    pub offset_bytes: u64,
    /// Observers have counted the file up to here.
    pub observed_offset_bytes: u64,
    /// What it is.
    pub content: Content<'b>,
}

impl Chunk<'_> {
    /// Where it ends, in bytes from the start of the file.
    pub fn end_offset_bytes(&self) -> u64 {
        match &self.content {
            Content::Lines(bytes) => self.offset_bytes + bytes.len() as u64,
            Content::PassedOver { end, .. } => end.offset_bytes,
        }
    }
}

/// The content of a chunk.
#[derive(Debug)]
pub enum Content<'b> {
    /// Whole lines with their ends, or none at all while the end of a long one is looked for; the last one may lack its end when the file is final.
    Lines(&'b [u8]),
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
