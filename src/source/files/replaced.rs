//! Replaced content: what was overwritten while its last lines were being delivered, and how far are they?

use std::collections::BTreeMap;

use crate::flow::ack::{FileNumber, Mark};
use crate::state::checkpoint::{FileEntry, Position};

/// By the number that the file had, with the offset up to which it was read.
#[derive(Debug, Default)]
pub(super) struct Replaced(BTreeMap<FileNumber, (FileEntry, u64)>);

impl Replaced {
    /// Keeps the entry of what was overwritten, which was read up to an offset.
    pub(super) fn insert(&mut self, number: FileNumber, entry: FileEntry, read_to: u64) {
        let entry = FileEntry { size_bytes: read_to, replaced: true, ..entry };
        self.0.insert(number, (entry, read_to));
    }

    /// Takes note that some of it is delivered. `None` when it is nothing of these, else whether that was all.
    pub(super) fn commit(&mut self, mark: &Mark) -> Option<bool> {
        let (entry, read_to) = self.0.get_mut(&mark.file)?;
        entry.committed = Position { offset_bytes: mark.offset_bytes, tail: mark.tail };
        Some(mark.offset_bytes >= *read_to)
    }

    /// Takes out what is delivered, to be remembered. Without a delivered byte there is nothing to know a copy by.
    pub(super) fn take(&mut self, number: FileNumber) -> Option<FileEntry> {
        let (entry, _) = self.0.remove(&number)?;
        (entry.committed.offset_bytes > 0).then_some(FileEntry { finished: true, ..entry })
    }

    /// The entries for the checkpoint.
    pub(super) fn entries(&self) -> impl Iterator<Item = &FileEntry> {
        self.0.values().map(|(entry, _)| entry)
    }
}
