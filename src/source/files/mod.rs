//! The files source: tails JSON-lines files, however they are rotated.
//!
//! Read it in three parts: [`discover`] (which files), [`file`] (one file), and here: what is remembered of them, and
//! whose turn it is. Each file that has something to read gets one block at a time, in turn, so that a huge one does
//! not starve the others. A file that is renamed or deleted stays open until it is delivered to its end.
//!
//! It does not commit: [`Files::commit`] is called with what the sinks have acknowledged.

pub mod discover;
pub mod file;
mod notification;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use chrono::{TimeDelta, Utc};

use crate::ack::{FileNumber, Mark};
use crate::batch::SourceFile;
use crate::checkpoint::{FileEntry, Position};
use crate::telemetry::Counters;
use crate::wake::Wake;
use discover::{Discovery, Unreadable};
use file::{FileId, Standing, TailedFile, Turn};
use notification::Notifications;

/// How much is read of one file before the next has its turn, in bytes.
const BLOCK_BYTES: usize = 256 * 1024;

/// The unterminated end of a file that was renamed or deleted is final after this long without a change.
const FINAL_AFTER: Duration = Duration::from_secs(5);

/// A renamed file is closed after this long without a change: its writer may hold it open for a while.
const RENAMED_CLOSED_AFTER: Duration = Duration::from_secs(60);

/// Entries of files that are delivered to their end are kept this long, so that a copy of one is known.
const ENTRY_KEPT_DAYS: i64 = 30;

/// Scanning takes at most this part of the time: 1/100.
const SCAN_SHARE: u32 = 100;

/// What to do with files that are there at the very first start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstSeen {
    /// Read them from their first byte.
    Beginning,
    /// Read only what is written from now on.
    End,
    /// Read those changed within this time from their first byte, the others from their end.
    Within(Duration),
}

/// Which files to read, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Absolute globs.
    pub paths: Vec<String>,
    /// Absolute globs of what to leave out.
    pub exclude: Vec<String>,
    /// What to do with files that are there at the very first start.
    pub first_seen: FirstSeen,
    /// A longer line, in bytes without its end, goes to the dead letter by its range.
    pub line_bytes_max: usize,
    /// How often to look for new files and new bytes where no notification comes.
    pub poll_interval: Duration,
}

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

/// The content of a chunk.
#[derive(Debug)]
pub enum Content<'b> {
    /// Whole lines with their ends; the last one may lack its end when the file is final.
    Lines(&'b [u8]),
    /// A line longer than the limit.
    LongLine {
        /// Its length in bytes, without the line end.
        length_bytes: u64,
        /// What to commit when it is settled.
        end: Position,
    },
}

/// The files of one pipeline.
#[derive(Debug)]
pub struct Files {
    options: Options,
    discovery: Discovery,
    notifications: Notifications,
    counters: Counters,
    files: BTreeMap<FileNumber, TailedFile>,
    by_id: HashMap<FileId, FileNumber>,
    by_path: HashMap<PathBuf, FileNumber>,
    ready: VecDeque<FileNumber>,
    next_number: FileNumber,
    /// Entries of the checkpoint that belong to no open file.
    remembered: Vec<FileEntry>,
    /// No checkpoint was there, and the first scan is not done.
    very_first_scan: bool,
    scanned_before: bool,
    next_scan: Instant,
    /// What was complained about, so that it is said once.
    unreadable: HashSet<Unreadable>,
    buffer: Vec<u8>,
}

impl Files {
    /// Prepares to read. `entries` are those of the checkpoint; `None` at the very first start.
    ///
    /// # Errors
    /// When a glob's syntax is wrong.
    pub fn new(
        options: Options,
        entries: Option<Vec<FileEntry>>,
        counters: Counters,
        wake: Wake,
    ) -> Result<Files, globset::Error> {
        Ok(Files {
            discovery: Discovery::new(&options.paths, &options.exclude)?,
            options,
            notifications: Notifications::new(wake),
            counters,
            files: BTreeMap::new(),
            by_id: HashMap::new(),
            by_path: HashMap::new(),
            ready: VecDeque::new(),
            next_number: 0,
            very_first_scan: entries.is_none(),
            remembered: entries.unwrap_or_default(),
            scanned_before: false,
            next_scan: Instant::now(),
            unreadable: HashSet::new(),
            buffer: Vec::new(),
        })
    }

    /// Gives out what comes next, or `None` when there is nothing to read now.
    pub fn next_chunk(&mut self) -> Option<Chunk<'_>> {
        self.look_for_news();
        while let Some(number) = self.ready.pop_front() {
            let Some(file) = self.files.get_mut(&number) else { continue };
            match file.read(&mut self.buffer, BLOCK_BYTES, self.options.line_bytes_max) {
                Ok(Turn::End) => file.news = false,
                Ok(Turn::Busy) => self.ready.push_back(number),
                Ok(Turn::Replaced) => self.renumber(number),
                Ok(turn) => {
                    self.ready.push_back(number);
                    if self.source_file(number).is_some() {
                        return self.chunk(number, turn);
                    }
                }
                Err(error) => self.cannot_read(number, &error),
            }
        }
        None
    }

    /// When [`Files::next_chunk`] has something to do even if nobody rings.
    pub fn next_look(&self) -> Instant {
        self.next_scan
    }

    /// The unterminated end of a renamed or deleted file that does not grow any more, as a chunk.
    pub fn next_final_end(&mut self) -> Option<Chunk<'_>> {
        let is_final = |file: &&TailedFile| {
            matches!(file.standing, Standing::Gone(_)) && !file.news && file.changed.elapsed() >= FINAL_AFTER
        };
        let number = self.files.values().filter(is_final).find(|file| file.unread_bytes() > 0)?.number;
        self.unterminated(number)
    }

    /// Numbers of the files whose last line has no end yet.
    pub fn unterminated_files(&self) -> Vec<FileNumber> {
        self.files.values().filter(|file| file.unread_bytes() > 0).map(|file| file.number).collect()
    }

    /// The unterminated end of a file as a chunk; [`Files::leave_unread`] takes it back.
    pub fn unterminated(&mut self, number: FileNumber) -> Option<Chunk<'_>> {
        let file = self.files.get_mut(&number)?;
        match file.unterminated(&mut self.buffer, self.options.line_bytes_max) {
            Ok(turn) => {
                let turn = turn?;
                self.source_file(number)?;
                self.chunk(number, turn)
            }
            Err(error) => {
                self.cannot_read(number, &error);
                None
            }
        }
    }

    /// Leaves the unterminated end that was given out last unread. Returns the file's path and how many bytes remain.
    pub fn leave_unread(&mut self, number: FileNumber) -> Option<(PathBuf, u64)> {
        let file = self.files.get_mut(&number)?;
        file.take_back();
        Some((file.path.clone(), file.unread_bytes()))
    }

    /// Takes note that a file is delivered up to a mark.
    pub fn commit(&mut self, mark: Mark) {
        if let Some(file) = self.files.get_mut(&mark.file) {
            file.committed = Position { offset_bytes: mark.offset_bytes, tail: mark.tail };
            file.dirty = true;
        }
    }

    /// Takes note that observers have counted a file up to an offset.
    pub fn observed(&mut self, number: FileNumber, offset_bytes: u64) {
        if let Some(file) = self.files.get_mut(&number) {
            file.observed_offset_bytes = file.observed_offset_bytes.max(offset_bytes);
            file.dirty = true;
        }
    }

    /// True when the checkpoint on disk is behind.
    pub fn is_dirty(&self) -> bool {
        self.files.values().any(|file| file.dirty)
    }

    /// The entries for the checkpoint.
    pub fn entries(&mut self) -> Vec<FileEntry> {
        let oldest = Utc::now() - TimeDelta::days(ENTRY_KEPT_DAYS);
        self.remembered.retain(|entry| !entry.finished || entry.updated > oldest);
        let open = self.files.values_mut().map(|file| {
            file.dirty = false;
            file.entry(false)
        });
        self.remembered.iter().cloned().chain(open).collect()
    }

    /// How many bytes are written but not delivered, over all files.
    pub fn lag_bytes(&self) -> u64 {
        self.files.values().map(|file| file.size_bytes.saturating_sub(file.committed.offset_bytes)).sum()
    }

    /// How many files are open.
    pub fn open_files(&self) -> usize {
        self.files.len()
    }

    fn chunk(&mut self, number: FileNumber, turn: Turn) -> Option<Chunk<'_>> {
        let file = self.files.get_mut(&number)?;
        let source_file = file.source_file().ok()?;
        let (offset_bytes, content) = match turn {
            Turn::Lines { range, offset_bytes } => (offset_bytes, Content::Lines(&self.buffer[range])),
            Turn::LongLine { offset_bytes, length_bytes } => {
                (offset_bytes, Content::LongLine { length_bytes, end: file.consumed_position() })
            }
            Turn::Busy | Turn::Replaced | Turn::End => return None,
        };
        let observed_offset_bytes = file.observed_offset_bytes;
        Some(Chunk { number, file: source_file, offset_bytes, observed_offset_bytes, content })
    }

    fn source_file(&mut self, number: FileNumber) -> Option<Arc<SourceFile>> {
        match self.files.get_mut(&number)?.source_file() {
            Ok(source_file) => Some(source_file),
            Err(error) => {
                self.cannot_read(number, &error);
                None
            }
        }
    }

    fn look_for_news(&mut self) {
        let news = self.notifications.take();
        let due = news.rescan || Instant::now() >= self.next_scan;
        if due {
            let started = Instant::now();
            self.scan();
            self.next_scan = Instant::now() + self.options.poll_interval.max(started.elapsed() * SCAN_SHARE);
            return;
        }
        for path in news.written {
            if let Some(file) = self.by_path.get(&path).and_then(|number| self.files.get_mut(number)) {
                // A look, not a size from the event: the file may be another one by now.
                file.news = true;
                let _ = file.look();
                let number = file.number;
                self.make_ready(number);
            }
        }
    }

    fn make_ready(&mut self, number: FileNumber) {
        if !self.ready.contains(&number) {
            self.ready.push_back(number);
        }
    }

    /// Looks at everything: which files are there, which have grown, which are gone.
    fn scan(&mut self) {
        let mut complaints = Vec::new();
        for (root, recursive) in self.discovery.roots() {
            self.notifications.watch(root, recursive);
        }
        let mut present: HashMap<FileId, PathBuf> = HashMap::new();
        for path in self.discovery.scan(&mut complaints) {
            match fs_err::metadata(&path) {
                Ok(metadata) => self.meet(path, &metadata, &mut present, &mut complaints),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => complaints.push(Unreadable { path, reason: error.to_string() }),
            }
        }
        self.take_leave(&present);
        if !self.scanned_before {
            self.look_for_renamed();
        }
        self.very_first_scan = false;
        self.scanned_before = true;
        self.complain(complaints);
        self.queue_news();
    }

    fn meet(
        &mut self,
        path: PathBuf,
        metadata: &Metadata,
        present: &mut HashMap<FileId, PathBuf>,
        complaints: &mut Vec<Unreadable>,
    ) {
        let id = FileId::of(metadata);
        let known = self.by_id.get(&id).and_then(|number| self.files.get_mut(number));
        if let Some(file) = known {
            file.seen(metadata);
            // Of several names for one file, the one that it has already is kept.
            if !present.contains_key(&id) || file.path == path {
                present.insert(id, path);
            }
            return;
        }
        match self.open(&path) {
            Ok(id) => drop(present.insert(id, path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => complaints.push(Unreadable { path, reason: error.to_string() }),
        }
    }

    /// Opens a file that was not open, and finds out where to go on.
    fn open(&mut self, path: &Path) -> io::Result<FileId> {
        let handle = fs_err::File::open(path)?;
        let metadata = handle.metadata()?;
        let mut file = TailedFile::new(self.next_number, path, handle, &metadata);
        if let Some(number) = self.by_id.get(&file.id) {
            // Swapped since the look: it is open already.
            return Ok(self.files.get(number).map_or(file.id, |file| file.id));
        }
        match self.recall(&file)? {
            Some(entry) => drop(file.resume(&entry)?),
            None if self.very_first_scan && self.passes_over(&metadata) => file.skip_to_end()?,
            None => {}
        }
        let id = file.id;
        self.adopt(file);
        Ok(id)
    }

    /// The checkpoint's entry for a file's inode: the one with the same content if there is one, else the newest.
    fn recall(&mut self, file: &TailedFile) -> io::Result<Option<FileEntry>> {
        let mut candidate = None;
        for (position, entry) in self.remembered.iter().enumerate() {
            if entry.inode != file.id.inode {
                continue;
            }
            if file.is_same(entry)? {
                candidate = Some(position);
                break;
            }
            if candidate.is_none_or(|newest: usize| self.remembered[newest].generation < entry.generation) {
                candidate = Some(position);
            }
        }
        Ok(candidate.map(|position| self.remembered.swap_remove(position)))
    }

    fn passes_over(&self, metadata: &Metadata) -> bool {
        match self.options.first_seen {
            FirstSeen::Beginning => false,
            FirstSeen::End => true,
            FirstSeen::Within(age) => {
                let changed = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                changed.elapsed().is_ok_and(|elapsed| elapsed > age)
            }
        }
    }

    fn adopt(&mut self, file: TailedFile) {
        let number = file.number;
        self.by_id.insert(file.id, number);
        self.by_path.insert(file.path.clone(), number);
        self.files.insert(number, file);
        self.next_number = number + 1;
    }

    /// Gives a file whose content was replaced a new number: marks of the old content must not move the new one.
    fn renumber(&mut self, number: FileNumber) {
        let Some(mut file) = self.files.remove(&number) else { return };
        tracing::info!(path = %file.path.display(), "the file was truncated or replaced, reading it from its beginning");
        file.number = self.next_number;
        self.ready.push_back(file.number);
        self.adopt(file);
    }

    /// Follows renames, and takes leave of files that are gone and delivered to their end.
    fn take_leave(&mut self, present: &HashMap<FileId, PathBuf>) {
        let mut finished = Vec::new();
        for file in self.files.values_mut() {
            match present.get(&file.id) {
                Some(path) => {
                    file.standing = Standing::Present;
                    if *path != file.path {
                        self.by_path.insert(path.clone(), file.number);
                        file.renamed(path);
                    }
                }
                None => {
                    if file.standing == Standing::Present {
                        file.standing = Standing::Gone(Instant::now());
                    }
                    if file.look().is_ok() && is_over(file) {
                        finished.push(file.number);
                    }
                }
            }
        }
        for number in finished {
            self.close(number);
        }
        let files = &self.files;
        self.by_path.retain(|path, number| files.get(number).is_some_and(|file| file.path == *path));
    }

    fn close(&mut self, number: FileNumber) {
        if let Some(mut file) = self.files.remove(&number) {
            self.by_id.remove(&file.id);
            self.remembered.push(file.entry(true));
        }
    }

    /// At the start: files of the checkpoint that no glob finds are looked for by inode in the folder where they were.
    fn look_for_renamed(&mut self) {
        let missing = self.remembered.iter().filter(|entry| !entry.finished);
        let folders: HashSet<PathBuf> =
            missing.filter_map(|entry| Path::new(&entry.path).parent().map(Path::to_owned)).collect();
        for folder in folders {
            let Ok(entries) = fs_err::read_dir(&folder) else { continue };
            for candidate in entries.flatten() {
                let Ok(metadata) = candidate.metadata() else { continue };
                let inode = FileId::of(&metadata).inode;
                let wanted = self.remembered.iter().any(|entry| !entry.finished && entry.inode == inode);
                if wanted && metadata.is_file() && self.is_remembered(&candidate.path()).unwrap_or(false) {
                    let _ = self.open(&candidate.path());
                }
            }
        }
    }

    /// Whether a file outside the globs is one of the checkpoint's, by its content.
    fn is_remembered(&self, path: &Path) -> io::Result<bool> {
        let handle = fs_err::File::open(path)?;
        let metadata = handle.metadata()?;
        let file = TailedFile::new(FileNumber::MAX, path, handle, &metadata);
        for entry in self.remembered.iter().filter(|entry| entry.inode == file.id.inode) {
            if file.is_same(entry)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn queue_news(&mut self) {
        let queued: HashSet<FileNumber> = self.ready.iter().copied().collect();
        let news = self.files.values().filter(|file| file.news && !queued.contains(&file.number));
        self.ready.extend(news.map(|file| file.number));
    }

    fn cannot_read(&mut self, number: FileNumber, error: &io::Error) {
        if let Some(file) = self.files.get_mut(&number) {
            file.news = true;
            let complaint = Unreadable { path: file.path.clone(), reason: error.to_string() };
            if self.unreadable.insert(complaint.clone()) {
                warn_unreadable(&complaint);
            }
            self.counters.source_unreadable_total.inc();
        }
    }

    /// Says what is new among the things that cannot be read, and forgets those that can be again.
    fn complain(&mut self, complaints: Vec<Unreadable>) {
        let now: HashSet<Unreadable> = complaints.into_iter().collect();
        for complaint in now.difference(&self.unreadable) {
            warn_unreadable(complaint);
        }
        self.counters.source_unreadable_total.inc_by(now.difference(&self.unreadable).count() as u64);
        self.unreadable = now;
    }
}

/// True when a file without a name under the globs needs not be held open any longer.
fn is_over(file: &TailedFile) -> bool {
    let quiet_for = if file.is_deleted() { FINAL_AFTER } else { RENAMED_CLOSED_AFTER };
    !file.news && file.unread_bytes() == 0 && file.is_settled() && file.changed.elapsed() >= quiet_for
}

fn warn_unreadable(complaint: &Unreadable) {
    tracing::warn!(
        path = %complaint.path.display(),
        reason = complaint.reason,
        "cannot read this, trying again at every scan; hint: check that the user running inferlog may read it"
    );
}
