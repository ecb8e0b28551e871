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

use super::copies::Beginning;
use super::file::{FileId, TailedFile};
use super::{Files, report_lost};
use crate::flow::ack::FileNumber;
use crate::state::checkpoint::FileEntry;

/// So many of the files that a process may open are left to sockets (at most 32 of them to readers of `/metrics`), the
/// store, and the like.
const OPEN_FILES_RESERVE: u64 = 96;

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
}

impl Closed {
    /// Keeps a file that is closed. One that has something to read waits for a place.
    fn insert(&mut self, file: &TailedFile, waits: bool) {
        let closed = ClosedFile {
            path: file.path.to_path_buf(),
            entry: file.entry(false),
            modified: file.modified(),
            waiting_since: None,
        };
        self.by_path.insert(file.path.to_path_buf(), file.id);
        self.by_id.insert(file.id, closed);
        if waits {
            self.wait(file.id);
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
    fn take_gone(&mut self, path_of: impl Fn(FileId) -> Option<PathBuf>) -> Vec<(FileId, FileEntry)> {
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
}

impl Files {
    /// How many more files may be opened. Those that are renamed out of the globs or deleted have no place of their own: they
    /// cannot be closed and found again.
    pub(super) fn free_places(&self) -> usize {
        let there = self.roster.len().saturating_sub(self.gone);
        let places = self.options.open_files_max.saturating_sub(there);
        places.min(self.open_files_allowed.saturating_sub(self.roster.len()))
    }

    /// Takes a file that was met: as open, or, when no place is free, closed again at once, waiting if it has something to
    /// read. Room is made when the scan has found out what is still there.
    pub(super) fn adopt_or_close(&mut self, file: TailedFile) {
        let must_be_open = || file.is_compressed() || !self.discovery.is_meant(&file.path);
        if self.free_places() > 0 || must_be_open() {
            return self.adopt(file);
        }
        self.closed.insert(&file, file.lag_bytes() > 0);
        self.unsaved.note(true);
    }

    /// Closes files that are delivered to their ends until so many places are free. Returns how many are.
    fn make_room(&mut self, wanted: usize) -> usize {
        let free = self.free_places();
        if free >= wanted {
            return free;
        }
        let idle = self.roster.files().filter(|file| file.is_idle());
        let mut idle: Vec<(Instant, FileNumber)> = idle.map(|file| (file.changed, file.number)).collect();
        idle.sort_unstable();
        let mut surplus = wanted - free;
        for (_, number) in idle {
            // Written to, or deleted, since the last scan.
            let is_idle = |file: &mut TailedFile| !file.look().unwrap_or(true) && file.is_idle() && !file.is_deleted();
            if surplus == 0 {
                break;
            }
            if !self.roster.get_mut(number).is_some_and(is_idle) {
                self.roster.queue(number);
                continue;
            }
            let Some(file) = self.roster.remove(number) else { continue };
            surplus -= 1;
            self.closed.insert(&file, false);
            self.unsaved.note(true);
        }
        self.free_places()
    }

    /// Opens files that wait for a place, as far as there are places.
    pub(super) fn serve_waiting(&mut self) {
        if self.closed.waiting.is_empty() {
            return;
        }
        let places = self.make_room(self.closed.waiting());
        let served: Vec<FileId> = self.closed.waiting.iter().take(places).map(|(_, id)| *id).collect();
        for id in &served {
            let Some(path) = self.closed.by_id.get(id).map(|closed| closed.path.clone()) else { continue };
            let number = self.roster.next_number();
            // What is another one by now, or gone, is found out by the next scan.
            if self.open(&path).is_ok() {
                self.roster.queue(number);
            }
        }
        if !served.is_empty() {
            self.decide();
        }
        self.say_that_files_wait();
    }

    fn say_that_files_wait(&mut self) {
        let waiting = self.closed.waiting();
        if waiting == 0 || self.closed.waiting_said.is_some_and(|said| said.elapsed() < WAITING_SAID_EVERY) {
            return;
        }
        self.closed.waiting_said = Some(Instant::now());
        tracing::warn!(
            waiting,
            open_files_max = self.options.open_files_max,
            "more files have something to read than may be open, and some wait until others are delivered; hint: raise \
             `source.files.open_files_max`, or the limit of open files of the process (`ulimit -n`, `LimitNOFILE=`)"
        );
    }

    /// Goes on with a file that was closed, if it is still what it was.
    pub(super) fn reopen(&mut self, file: &mut TailedFile, entry: FileEntry) -> io::Result<()> {
        match file.is_same(&entry) {
            Ok(true) => {
                file.resume(&FileEntry { size_bytes: 0, ..entry });
                return Ok(());
            }
            Ok(false) => {}
            Err(error) => {
                self.remembered.remember(entry);
                return Err(error);
            }
        }
        tracing::info!(path = %file.path.display(), "the file was truncated or replaced, reading it from its beginning");
        self.remembered.note_generation(entry.inode, entry.generation);
        if entry.committed.offset_bytes > 0 {
            let size_bytes = entry.committed.offset_bytes;
            self.remembered.remember(FileEntry { size_bytes, replaced: true, ..entry });
            // Written, copied and cut while it was closed: the copy may hold more than was delivered.
            self.missing_given_up = false;
            self.copies_wanted = true;
        }
        file.begin_anew(self.next_generation(file.id.inode));
        self.unsaved.note_urgent();
        Ok(())
    }

    /// Follows closed files that were renamed, and takes leave of those that are gone.
    pub(super) fn take_leave_of_closed(&mut self, present: &BTreeMap<FileId, PathBuf>) {
        if self.closed.len() == 0 {
            return;
        }
        let gone = self.closed.take_gone(|id| present.get(&id).cloned());
        self.unsaved.note(!gone.is_empty());
        let folders: BTreeSet<PathBuf> =
            gone.iter().filter_map(|(_, entry)| Path::new(&entry.path).parent().map(Path::to_owned)).collect();
        let mut gone: BTreeMap<FileId, FileEntry> = gone.into_iter().collect();
        for folder in folders {
            let Ok(candidates) = fs_err::read_dir(&folder) else { continue };
            for candidate in candidates.flatten() {
                let Ok(metadata) = candidate.metadata() else { continue };
                let id = FileId::of(&metadata);
                // Renamed out of the globs: held open from now on, as the others that were.
                if let Some(entry) = gone.remove(&id) {
                    self.remembered.remember(entry);
                    let _ = self.open(&candidate.path());
                }
            }
        }
        for entry in gone.into_values() {
            report_lost(Path::new(&entry.path), entry.undelivered_bytes(), &self.counters);
            self.remembered.remember(FileEntry { finished: true, ..entry });
        }
    }
}

impl TailedFile {
    /// True when it is there and everything of it is delivered, so that it need not be open.
    fn is_idle(&self) -> bool {
        !self.standing.is_gone()
            && (self.is_known() || self.is_empty())
            && !self.news
            && !self.queued
            && !self.is_compressed()
            && !self.is_at_gap()
            && self.lag_bytes() == 0
            && self.is_settled()
    }
}

/// Files are held open until they are delivered, so as many as the system allows to this process may be open. Returns how
/// many of them may be files of a source.
pub(super) fn raise_open_files_limit() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    let mut allowed = limit.maximum;
    if let Err(error) = rustix::process::setrlimit(rustix::process::Resource::Nofile, raised) {
        tracing::debug!(%error, "cannot raise the limit of open files");
        allowed = limit.current;
    }
    let allowed = allowed.unwrap_or(u64::MAX).saturating_sub(OPEN_FILES_RESERVE).max(1);
    usize::try_from(allowed).unwrap_or(usize::MAX)
}
