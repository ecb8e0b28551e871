//! Closed files: which files are there and not held open, since more are matched than may be open?
//!
//! A file that is delivered to its end gives up its place when another one needs it, the one that changed longest ago
//! first, and waits for a place again when it is seen to change. It goes on where it ended if its beginning and the bytes
//! before that are the same; else it is a new generation, and what it held is looked for in a copy. A file with something
//! to deliver is not closed; one that is met when no place is free waits for one, and is reported if it is gone before.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::file::{FileId, TailedFile};
use super::likeness::Beginning;
use crate::state::checkpoint::FileEntry;

/// That files wait for a place is said at most this often.
const WAITING_SAID_EVERY: Duration = Duration::from_secs(60);

/// A file that is there and not open.
#[derive(Debug)]
struct ClosedFile {
    path: PathBuf,
    /// What was known of it when it was closed; the size is that of the last look.
    entry: FileEntry,
    modified: Option<SystemTime>,
    /// It has something to read since then.
    waiting_since: Option<Instant>,
}

/// The files that are there and not open.
#[derive(Debug, Default)]
pub(super) struct Closed {
    by_id: BTreeMap<FileId, ClosedFile>,
    /// For notifications.
    by_path: HashMap<PathBuf, FileId>,
    /// Those that have something to read, the one that waits longest first.
    waiting: BTreeSet<(Instant, FileId)>,
    waiting_said: Option<Instant>,
    /// Some file may have become idle, or wait, since somebody looked for places.
    pub(super) is_service_due: bool,
}

impl Closed {
    /// Keeps a file that is closed. One that has something to read waits for a place.
    pub(super) fn insert(&mut self, file: &TailedFile, waits: bool) {
        let closed = ClosedFile {
            path: file.path.to_path_buf(),
            entry: file.entry(false),
            modified: file.modified(),
            waiting_since: None,
        };
        self.by_path.insert(file.path.to_path_buf(), file.id());
        self.by_id.insert(file.id(), closed);
        if waits {
            self.wait(file.id());
        }
    }

    /// Takes out a file to open it.
    pub(super) fn take(&mut self, id: FileId) -> Option<FileEntry> {
        let closed = self.by_id.remove(&id)?;
        self.forget_path(&closed.path, id);
        if let Some(since) = closed.waiting_since {
            self.waiting.remove(&(since, id));
        }
        Some(closed.entry)
    }

    fn forget_path(&mut self, path: &Path, id: FileId) {
        if self.by_path.get(path) == Some(&id) {
            self.by_path.remove(path);
        }
    }

    fn wait(&mut self, id: FileId) {
        if let Some(closed) = self.by_id.get_mut(&id).filter(|closed| closed.waiting_since.is_none()) {
            let since = Instant::now();
            closed.waiting_since = Some(since);
            self.waiting.insert((since, id));
        }
    }

    /// Whether it is one of them.
    pub(super) fn contains(&self, id: FileId) -> bool {
        self.by_id.contains_key(&id)
    }

    /// Takes note of what somebody saw of a file. Returns how many bytes were cut away undelivered; `None` when it is not one
    /// of them.
    pub(super) fn seen(&mut self, id: FileId, metadata: &Metadata) -> Option<u64> {
        let closed = self.by_id.get_mut(&id)?;
        let entry = &mut closed.entry;
        let cut_bytes = entry.size_bytes.saturating_sub(metadata.len().max(entry.committed.offset_bytes));
        let is_changed = metadata.len() != entry.size_bytes || metadata.modified().ok() != closed.modified;
        entry.size_bytes = metadata.len();
        closed.modified = metadata.modified().ok();
        if is_changed {
            self.wait(id);
        }
        Some(cut_bytes)
    }

    /// The file that was written to, for one that was closed under this path.
    pub(super) fn under(&self, path: &Path) -> Option<FileId> {
        self.by_path.get(path).copied()
    }

    /// Follows renames, and takes out what is gone.
    pub(super) fn take_gone(&mut self, path_of: impl Fn(FileId) -> Option<PathBuf>) -> BTreeMap<FileId, FileEntry> {
        let mut gone = Vec::new();
        let mut renamed = Vec::new();
        for (id, closed) in &self.by_id {
            match path_of(*id) {
                Some(path) if path.as_os_str() == closed.path.as_os_str() => {}
                Some(path) => renamed.push((*id, path)),
                None => gone.push(*id),
            }
        }
        for (id, path) in renamed {
            if let Some(closed) = self.by_id.get_mut(&id) {
                let former = std::mem::replace(&mut closed.path, path.clone());
                self.forget_path(&former, id);
                self.by_path.insert(path, id);
            }
        }
        gone.into_iter().filter_map(|id| Some((id, self.take(id)?))).collect()
    }

    /// Whether a file that is not decided on holds what was delivered of one of these.
    pub(super) fn has_original_of(&self, file: &TailedFile) -> io::Result<bool> {
        if self.by_id.is_empty() {
            return Ok(false);
        }
        let mut beginning = Beginning::of(file)?;
        for closed in self.by_id.values().filter(|closed| closed.entry.committed.offset_bytes > 0) {
            if beginning.is_that_of(&closed.entry) && file.is_same(&closed.entry)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The newest generation of an inode, on whatever device.
    pub(super) fn newest_generation(&self, inode: u64) -> Option<u32> {
        let on_any_device = FileId { inode, device: 0 }..=FileId { inode, device: u64::MAX };
        self.by_id.range(on_any_device).map(|(_, closed)| closed.entry.generation).max()
    }

    /// The entries for the checkpoint.
    pub(super) fn entries(&self) -> impl Iterator<Item = FileEntry> {
        self.by_id.values().map(|closed| {
            let path = closed.path.to_string_lossy().into_owned();
            FileEntry { path, ..closed.entry.clone() }
        })
    }

    /// How many bytes are known to be undelivered.
    pub(super) fn lag_bytes(&self) -> u64 {
        self.by_id.values().map(|closed| closed.entry.undelivered_bytes()).sum()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// How many of them wait for a place.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Those that have waited longest for a place, at most so many, and where they are.
    pub(super) fn first_waiting(&self, places: usize) -> Vec<PathBuf> {
        let first = self.waiting.iter().take(places);
        first.filter_map(|(_, id)| self.by_id.get(id)).map(|closed| closed.path.clone()).collect()
    }

    /// How many wait, when it is time to say so.
    pub(super) fn say_waiting(&mut self) -> Option<usize> {
        let is_said = self.waiting_said.is_some_and(|said| said.elapsed() < WAITING_SAID_EVERY);
        if self.waiting.is_empty() || is_said {
            return None;
        }
        self.waiting_said = Some(Instant::now());
        Some(self.waiting.len())
    }
}
