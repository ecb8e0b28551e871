//! Progress: how far is a file read, and how far delivered?

use crate::state::checkpoint::{FileEntry, Position};

#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The end of the last line given out.
    pub(super) consumed: Position,
    /// Delivered up to here.
    pub(super) committed: Position,
    /// What stands before this is not to be read, in bytes.
    pub(super) passed_over_bytes: u64,
    /// Counted by the observers up to here, in bytes from the start of the file.
    pub(super) observed_offset_bytes: u64,
    /// How far the end of a line that is too long was looked for, in bytes from the start of the file.
    pub(super) searched_to: Option<u64>,
    /// What was consumed and searched before the unterminated end was given out.
    pub(super) before_end: Option<Box<(Position, Option<u64>)>>,
}

impl Progress {
    /// Goes on where an entry ends.
    pub(super) fn resume(&mut self, entry: &FileEntry) {
        self.observed_offset_bytes = entry.observed_offset_bytes;
        self.passed_over_bytes = entry.passed_over_bytes;
        self.consumed = entry.committed;
        self.committed = entry.committed;
    }

    /// True when everything that was given out is delivered.
    pub(super) fn is_settled(&self) -> bool {
        self.committed.offset_bytes == self.consumed.offset_bytes
    }

    /// Passes over what stands before a position: nobody is to read it.
    pub(super) fn pass_over(&mut self, position: Position) {
        self.consumed = position;
        self.observed_offset_bytes = position.offset_bytes;
        self.passed_over_bytes = position.offset_bytes;
    }
}
