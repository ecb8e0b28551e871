//! What is remembered of files that are not open: how far was content delivered that is met again?
//!
//! Entries of the checkpoint, by inode, and those of files that were closed. Content is told by its inode and by digests
//! of what was delivered of it; the path and the device, which change, only break ties. Entries of files that are gone
//! are kept, so that a file that comes back, or a copy, is known. Their number is limited, and nothing else: no clock says
//! when an entry is too old, and what is there, or was not looked for yet, is not counted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};

use super::file::{FileId, TailedFile};
use crate::flow::ack::FileNumber;
use crate::state::checkpoint::FileEntry;

/// Of entries of files that are gone at most this many are kept, the newest.
pub(super) const ENTRIES_KEPT_MAX: usize = 10_000;

/// Entries of no open file.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    /// By the inode that holds the content.
    by_holder: BTreeMap<u64, Vec<FileEntry>>,
    /// The newest generation of each inode that an entry told of.
    generations: HashMap<u64, u32>,
    /// The time of the newest entry. The next one is newer, whatever the clock says.
    newest: DateTime<Utc>,
}

impl Remembered {
    /// Remembers a file from now on.
    pub(super) fn remember(&mut self, entry: FileEntry) {
        let updated = Utc::now().max(self.newest + TimeDelta::microseconds(1));
        self.insert(FileEntry { updated, ..entry });
    }

    /// Takes over what is remembered of a file that is not open.
    pub(super) fn insert(&mut self, entry: FileEntry) {
        self.newest = self.newest.max(entry.updated);
        self.note_generation(entry.inode, entry.generation);
        // Nearly always there is one alone, and thousands of inodes.
        self.by_holder.entry(entry.holder_inode()).or_insert_with(|| Vec::with_capacity(1)).push(entry);
    }

    /// Keeps in mind that an inode had content of this generation.
    pub(super) fn note_generation(&mut self, inode: u64, generation: u32) {
        let newest = self.generations.entry(inode).or_default();
        *newest = generation.max(*newest);
    }

    /// All entries, with what [`Remembered::take_at`] wants.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (u64, usize, &FileEntry)> {
        self.by_holder
            .iter()
            .flat_map(|(inode, entries)| entries.iter().enumerate().map(|(position, entry)| (*inode, position, entry)))
    }

    /// Takes out an entry.
    pub(super) fn take_at(&mut self, inode: u64, position: usize) -> Option<FileEntry> {
        let entries = self.by_holder.get_mut(&inode)?;
        let entry = (position < entries.len()).then(|| entries.swap_remove(position));
        if entries.is_empty() {
            self.by_holder.remove(&inode);
        }
        entry
    }

    /// Takes out what was salvaged, with the names of the salvage files.
    pub(super) fn take_salvaged(&mut self) -> Vec<(FileEntry, String)> {
        let mut salvaged = Vec::new();
        for entries in self.by_holder.values_mut() {
            let (with, without) = entries.drain(..).partition(|entry: &FileEntry| entry.salvage.is_some());
            *entries = without;
            salvaged.extend(with);
        }
        self.by_holder.retain(|_, entries| !entries.is_empty());
        salvaged.into_iter().filter_map(|entry| entry.salvage.clone().map(|name| (entry, name))).collect()
    }

    /// Whether a compressed file is one that is delivered to its end.
    pub(super) fn is_delivered_compressed(&self, metadata: &Metadata) -> bool {
        let is_it = |entry: &FileEntry| entry.finished && entry.compressed_bytes == Some(metadata.len());
        self.of_inode(FileId::of(metadata).inode).iter().any(is_it)
    }

    /// Whether there is an entry of content that this inode holds.
    pub(super) fn is_known_inode(&self, inode: u64) -> bool {
        self.of_inode(inode).iter().any(|entry| !entry.replaced)
    }

    /// All entries.
    pub(super) fn iter(&self) -> impl Iterator<Item = &FileEntry> {
        self.by_holder.values().flatten()
    }

    fn of_inode(&self, inode: u64) -> &[FileEntry] {
        self.by_holder.get(&inode).map_or(&[], Vec::as_slice)
    }

    /// Takes out the entry for the content of a file.
    pub(super) fn take(&mut self, file: &TailedFile) -> io::Result<Option<FileEntry>> {
        Ok(self.find(file)?.and_then(|position| self.take_at(file.id().inode, position)))
    }

    /// Finds the entry for the content of a file among those of its inode.
    pub(super) fn find(&self, file: &TailedFile) -> io::Result<Option<usize>> {
        let mut best = None;
        for (position, entry) in self.of_inode(file.id().inode).iter().enumerate() {
            if !entry.replaced && file.is_same(entry)? {
                // An entry that has something to compare tells more than one that has not.
                let compared = entry.committed.offset_bytes > 0;
                // On one device only the last generation of an inode can be there; the path helps where devices changed.
                let same_device = entry.device == file.id().device;
                let same_path = !same_device && entry.path == file.path.to_string_lossy();
                let rank = (compared, !entry.finished, same_device, same_path, entry.generation, position);
                best = best.max(Some(rank));
            }
        }
        Ok(best.map(|(.., position)| position))
    }

    /// Takes note that what is left of unfinished entries is not found; calls `report` with each. Those that only cannot
    /// be read now are kept.
    pub(super) fn give_up_missing(&mut self, mut report: impl FnMut(&FileEntry)) {
        for entry in self.by_holder.values_mut().flatten().filter(|entry| !entry.finished) {
            let opened = fs_err::File::open(&entry.path);
            if !entry.replaced && opened.is_err_and(|error| error.kind() != io::ErrorKind::NotFound) {
                continue;
            }
            report(entry);
            entry.finished = true;
        }
    }

    /// The newest generation that is remembered of an inode, on whatever device.
    pub(super) fn newest_generation(&self, inode: u64) -> Option<u32> {
        self.generations.get(&inode).copied()
    }

    /// The folders of files that are not delivered to their end.
    pub(super) fn unfinished_folders(&self) -> HashSet<PathBuf> {
        let unfinished = self.iter().filter(|entry| !entry.finished);
        unfinished.filter_map(|entry| Path::new(&entry.path).parent().map(Path::to_owned)).collect()
    }

    /// Whether the file at a path is, by its content, one that is not delivered to its end.
    pub(super) fn is_unfinished(&self, path: &Path, metadata: &Metadata) -> io::Result<bool> {
        let entries = self.of_inode(FileId::of(metadata).inode);
        let mut missing = entries.iter().filter(|entry| !entry.finished && !entry.replaced).peekable();
        if !metadata.is_file() || missing.peek().is_none() {
            return Ok(false);
        }
        let file = TailedFile::new(FileNumber::MAX, path, fs_err::File::open(path)?, metadata);
        for entry in missing {
            if file.is_same(entry)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Forgets what is too much of the files that are delivered and gone, the oldest first. Call it after a scan: before it
    /// nobody knows which files are there, which `is_there` says of an inode. Returns whether something was forgotten.
    pub(super) fn forget(&mut self, is_there: impl Fn(u64) -> bool) -> bool {
        let is_gone = |holder: u64, entry: &FileEntry| entry.finished && (entry.replaced || !is_there(holder));
        let gone = self.numbered().filter(|(holder, _, entry)| is_gone(*holder, entry));
        let mut updated: Vec<DateTime<Utc>> = gone.map(|(.., entry)| entry.updated).collect();
        let Some(surplus) = updated.len().checked_sub(ENTRIES_KEPT_MAX + 1) else { return false };
        let oldest = *updated.select_nth_unstable(surplus).1;
        self.by_holder.retain(|holder, entries| {
            entries.retain(|entry| entry.updated > oldest || !is_gone(*holder, entry));
            !entries.is_empty()
        });
        let remembered = self.by_holder.values().flatten().map(|entry| entry.inode).collect::<HashSet<u64>>();
        self.generations.retain(|inode, _| remembered.contains(inode));
        true
    }
}
