//! The rest of a chunk: what is left when the dead letter does not take a line of it.
//!
//! A chunk borrows the source's buffer, so it cannot wait: while it is there nothing can be committed or looked for. Its
//! rest is copied here, at most one block or one line, and tried again while everything else goes on. At a stop it is
//! dropped: it was not committed, and is read again.

use std::sync::Arc;

use crate::flow::ack::FileNumber;
use crate::flow::batch::SourceFile;
use crate::source::files::{Chunk, Content, PassedOver};
use crate::state::checkpoint::Position;

/// The rest of a chunk.
#[derive(Debug)]
pub(super) struct ChunkRest {
    number: FileNumber,
    file: Arc<SourceFile>,
    offset_bytes: u64,
    observed_offset_bytes: u64,
    content: RestContent,
}

#[derive(Debug)]
enum RestContent {
    Lines(Vec<u8>),
    PassedOver { what: PassedOver, length_bytes: u64, end: Position },
}

impl ChunkRest {
    /// Copies what of a chunk stands behind its first `taken_bytes`, the start of a line.
    pub(super) fn behind(chunk: &Chunk<'_>, taken_bytes: usize) -> ChunkRest {
        let content = match &chunk.content {
            Content::Lines(bytes) => RestContent::Lines(bytes[taken_bytes..].to_vec()),
            Content::PassedOver { what, length_bytes, end } => {
                RestContent::PassedOver { what: *what, length_bytes: *length_bytes, end: *end }
            }
        };
        ChunkRest {
            number: chunk.number,
            file: Arc::clone(&chunk.file),
            offset_bytes: chunk.offset_bytes + taken_bytes as u64,
            observed_offset_bytes: chunk.observed_offset_bytes,
            content,
        }
    }

    /// The same as a chunk again.
    pub(super) fn chunk(&self) -> Chunk<'_> {
        let content = match &self.content {
            RestContent::Lines(bytes) => Content::Lines(bytes),
            RestContent::PassedOver { what, length_bytes, end } => {
                Content::PassedOver { what: *what, length_bytes: *length_bytes, end: *end }
            }
        };
        let (file, offset_bytes) = (Arc::clone(&self.file), self.offset_bytes);
        let observed_offset_bytes = self.observed_offset_bytes;
        Chunk { number: self.number, file, offset_bytes, observed_offset_bytes, content }
    }
}
