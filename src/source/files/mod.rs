//! The files source: tails JSON-lines files, however they are rotated.
//!
//! Read it in five parts: [`discover`] (which files), [`file`] (one file), `remembered` (those that are not open),
//! `copies` (those that another file goes on for), and here: whose turn it is. Each file that has something to read gets one block at a time, in turn, so that a huge one does
//! not starve the others. A file that is renamed or deleted stays open until it is delivered to its end.
//!
//! It does not commit: [`Files::commit`] is called with what the sinks have acknowledged.

mod chunk;
mod closed;
mod compressed;
mod copies;
pub mod discover;
mod ends;
mod examined;
pub mod file;
pub mod locate;
mod notification;
mod remembered;
mod renamed;
mod roster;
mod salvage;
mod scan;
pub mod waiting;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::flow::ack::{FileNumber, Mark};
use crate::flow::wake::Wake;
use crate::state::checkpoint::{FileEntry, Position};
use crate::telemetry::Counters;
pub use chunk::{Chunk, Content};
use closed::Closed;
use discover::{Discovery, Unreadable, WithoutFiles};
pub use file::PassedOver;
use file::{FileId, Gaps, Knowledge, Standing, TailedFile, Turn};
use notification::Notifications;
use remembered::Remembered;
use roster::Roster;

/// How much is read of one file before the next has its turn, in bytes.
const BLOCK_BYTES: usize = 256 * 1024;

/// After this many blocks without a line end a chunk without lines is given out, so that other work goes on. Together
/// they are longer than what the digest of the first line is made of.
const BUSY_TURNS_MAX: u32 = 16;

/// Polling takes at most this part of the time where notifications do not come: 1/100.
const POLL_SHARE: u32 = 100;

/// The same where they do, so that polling only finds what they leave out: 1/500.
const POLL_SHARE_NOTIFIED: u32 = 500;

/// Scanning because of notifications takes at most this part of the time: 1/10.
const RESCAN_SHARE: u32 = 10;

/// How long something is left alone before it is taken for what it seems to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waits {
    /// The unterminated end of a file that was renamed or deleted is final after this long without a change.
    final_after: Duration,
    /// A renamed file is closed after this long without a change: its writer may hold it open for a while.
    renamed_closed_after: Duration,
    /// A file that begins as an open one does is one of its own after this long without a change, and an archive that
    /// ends too early is cut off.
    decided_after: Duration,
    /// A run of NUL bytes is passed over after this long without a change, when something stands behind it: blocks of a
    /// file may arrive in any order.
    gap_final_after: Duration,
    /// That a last line without a line end waits is said after this long without a change, and so often at most.
    unterminated_said_after: Duration,
    /// An archive that was written to within this time may still be in the making.
    examined_after: Duration,
    /// A deleted file is salvaged when it is not delivered after this long.
    salvaged_after: Duration,
}

impl Default for Waits {
    fn default() -> Waits {
        Waits {
            renamed_closed_after: Duration::from_secs(60),
            examined_after: Duration::from_secs(1),
            gap_final_after: Duration::from_secs(10),
            unterminated_said_after: Duration::from_secs(10),
            ..Waits::all(Duration::from_secs(5))
        }
    }
}

impl Waits {
    /// All of them alike.
    const fn all(wait: Duration) -> Waits {
        Waits {
            final_after: wait,
            renamed_closed_after: wait,
            decided_after: wait,
            gap_final_after: wait,
            unterminated_said_after: wait,
            examined_after: wait,
            salvaged_after: wait,
        }
    }
}

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
    /// A line with more bytes than this before its line feed goes to the dead letter by its range.
    pub line_bytes_max: usize,
    /// How often to look for new files and new bytes where no notification comes.
    pub poll_interval: Duration,
    /// How many files may be open. What is there and delivered to its end is closed when others need its place.
    pub open_files_max: usize,
    /// A last line without a line end is taken when nothing was written for so long, also of a file under its name.
    pub unterminated_after: Option<Duration>,
    /// The folder for what is left of deleted files; without one nothing is salvaged.
    pub salvage: Option<PathBuf>,
}

/// What the globs found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matched {
    /// How many files.
    pub files: usize,
    /// The paths that found none.
    pub without_files: Vec<WithoutFiles>,
}

/// How far the checkpoint on disk is behind.
#[derive(Clone, Copy, Debug, Default)]
struct Unsaved {
    dirty: bool,
    /// So far that a crash would lose a file, or give its lines other ids.
    urgent: bool,
}

impl Unsaved {
    /// Takes note that something changed, or not.
    fn note(&mut self, is_changed: bool) {
        self.dirty |= is_changed;
    }

    /// Takes note of what a crash must not forget.
    fn note_urgent(&mut self) {
        (self.dirty, self.urgent) = (true, true);
    }
}

/// The files of one pipeline.
#[derive(Debug)]
pub struct Files {
    options: Options,
    discovery: Discovery,
    notifications: Notifications,
    counters: Counters,
    roster: Roster,
    /// Files that are rotated or gone, as of the last scan.
    leaving: Vec<FileNumber>,
    /// Files under their names whose last line without an end is taken, as of the last scan.
    overdue: Vec<FileNumber>,
    /// When it was last said that such lines wait.
    unterminated_said: Option<Instant>,
    /// What the globs found in the last scan.
    matched: Matched,
    first_matched_taken: bool,
    /// Compressed files that have to be decompressed to know what they are.
    examining: BTreeSet<FileNumber>,
    remembered: Remembered,
    /// Files that are there and not open.
    closed: Closed,
    /// How many files the system allows to be open, whatever [`Options`] say.
    open_files_allowed: usize,
    /// How many of the open files are renamed out of the globs or deleted, as of the last scan.
    gone: usize,
    /// Some file may have become idle since somebody looked for a place.
    may_have_room: bool,
    /// The content of some file was overwritten while it was closed.
    copies_wanted: bool,
    /// Names outside of the globs that files were renamed to a moment ago.
    renamed: HashMap<PathBuf, Instant>,
    /// Content that was overwritten while its last lines were being delivered, by its number, with the offset up to
    /// which it was read.
    replaced: BTreeMap<FileNumber, (FileEntry, u64)>,
    unsaved: Unsaved,
    /// No checkpoint was there, and the first scan is not done.
    very_first_scan: bool,
    scanned_before: bool,
    /// What is missing since the start is told.
    missing_given_up: bool,
    next_scan: Instant,
    /// Notifications do not bring the next scan forward beyond this.
    earliest_scan: Instant,
    last_scan_took: Duration,
    waits: Waits,
    salvage_bytes_max: u64,
    /// Salvage files that are delivered, to be removed when the checkpoint says so.
    spent_salvage: Vec<String>,
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
        let discovery = Discovery::new(&options.paths, &options.exclude)?;
        let open_files_allowed = closed::raise_open_files_limit();
        let files = Files::with(discovery, Notifications::new(wake), options, entries, counters);
        Ok(Files { open_files_allowed, ..files })
    }

    fn with(
        discovery: Discovery,
        notifications: Notifications,
        options: Options,
        entries: Option<Vec<FileEntry>>,
        counters: Counters,
    ) -> Files {
        let very_first_scan = entries.is_none();
        let mut remembered = Remembered::default();
        entries.into_iter().flatten().for_each(|entry| remembered.insert(entry));
        Files {
            discovery,
            closed: Closed::default(),
            open_files_allowed: usize::MAX,
            gone: 0,
            may_have_room: false,
            copies_wanted: false,
            options,
            notifications,
            counters,
            roster: Roster::default(),
            leaving: Vec::new(),
            overdue: Vec::new(),
            unterminated_said: None,
            matched: Matched::default(),
            first_matched_taken: false,
            examining: BTreeSet::new(),
            remembered,
            renamed: HashMap::new(),
            replaced: BTreeMap::new(),
            unsaved: Unsaved::default(),
            very_first_scan,
            scanned_before: false,
            missing_given_up: false,
            next_scan: Instant::now(),
            earliest_scan: Instant::now(),
            last_scan_took: Duration::ZERO,
            waits: Waits::default(),
            salvage_bytes_max: salvage::SALVAGE_BYTES_MAX,
            spent_salvage: Vec::new(),
            unreadable: HashSet::new(),
            buffer: Vec::new(),
        }
    }

    /// Gives out what comes next, or `None` when there is nothing to read now.
    pub fn next_chunk(&mut self) -> Option<Chunk<'_>> {
        self.look();
        let examined = self.examine();
        let mut busy_turns = 0;
        while let Some(number) = self.roster.next_turn() {
            let Some(file) = self.roster.get_mut(number) else { continue };
            if !file.is_known() {
                file.news = false;
                continue;
            }
            let gaps = Gaps::Wait(self.waits.gap_final_after);
            let turn = file.read(&mut self.buffer, BLOCK_BYTES, self.options.line_bytes_max, gaps);
            if !matches!(turn, Ok(Turn::Replaced) | Err(_)) {
                let lost_bytes = file.take_lost_bytes(false);
                report_lost(&file.path, lost_bytes, &self.counters);
            }
            if matches!(turn, Ok(Turn::Busy)) {
                busy_turns += 1;
            }
            match turn {
                Ok(Turn::Busy) if busy_turns >= BUSY_TURNS_MAX => {
                    let offset_bytes = file.consumed_position().offset_bytes;
                    self.roster.queue(number);
                    return self.chunk(number, Turn::Lines { range: 0..0, offset_bytes });
                }
                Ok(Turn::End) => {
                    file.news = false;
                    file.complained = false;
                }
                Ok(Turn::Busy) => self.roster.queue(number),
                Ok(Turn::Replaced) => self.renumber(number),
                Ok(Turn::Unknown) => {
                    file.news = false;
                    file.knowledge = Knowledge::Undecided;
                }
                Ok(turn) => {
                    self.roster.queue(number);
                    return self.chunk(number, turn);
                }
                Err(error) => self.cannot_read(number, &error),
            }
        }
        examined.and_then(|number| self.examination_chunk(number))
    }

    /// When [`Files::next_chunk`] has something to do even if nobody rings.
    pub fn next_look(&self) -> Instant {
        if self.examining.is_empty() { self.next_scan } else { Instant::now() }
    }

    /// Takes note that a file is delivered up to a mark.
    pub fn commit(&mut self, mark: &Mark) {
        if let Some(file) = self.roster.get_mut(mark.file) {
            file.commit(Position { offset_bytes: mark.offset_bytes, tail: mark.tail });
            self.unsaved.note(true);
            self.may_have_room = true;
        } else if let Some((entry, read_to)) = self.replaced.get_mut(&mark.file) {
            entry.committed = Position { offset_bytes: mark.offset_bytes, tail: mark.tail };
            if mark.offset_bytes >= *read_to {
                self.remember_replaced(mark.file);
            }
            self.unsaved.note(true);
        }
    }

    /// All that was read of some replaced content is delivered.
    fn remember_replaced(&mut self, number: FileNumber) {
        if let Some((entry, _)) = self.replaced.remove(&number) {
            // Without a delivered byte there is nothing to know a copy by.
            if entry.committed.offset_bytes > 0 {
                self.remembered.remember(FileEntry { finished: true, ..entry });
            }
        }
    }

    /// Takes note that observers have counted a file up to an offset.
    pub fn observed(&mut self, number: FileNumber, offset_bytes: u64) {
        if let Some(file) = self.roster.get_mut(number) {
            self.unsaved.note(offset_bytes > file.observed_offset_bytes);
            file.observed_offset_bytes = file.observed_offset_bytes.max(offset_bytes);
        }
    }

    /// True when the checkpoint on disk is behind.
    pub fn is_dirty(&self) -> bool {
        self.unsaved.dirty
    }

    /// True when the checkpoint must be saved before what was given out last is sent. A file was met, which a crash would
    /// forget: if it is rotated out of the globs before the next start, nobody would look for it. Or it began a new
    /// generation, which is part of its lines' ids.
    pub fn is_urgent(&self) -> bool {
        self.unsaved.urgent
    }

    /// Takes note that the entries given out last are on disk.
    pub fn saved(&mut self) {
        self.unsaved = Unsaved::default();
        for name in std::mem::take(&mut self.spent_salvage) {
            self.remove_salvage(&name);
        }
    }

    /// Looks at the next chance and at no other moment, and takes it that this long has passed since anything changed.
    #[cfg(test)]
    pub(crate) fn look_next(&mut self, has_passed: bool) {
        let wait = if has_passed { Duration::ZERO } else { Duration::from_secs(3_600) };
        // Archives are made in one go here.
        self.waits = Waits { examined_after: Duration::ZERO, ..Waits::all(wait) };
        self.notifications = Notifications::default();
        self.next_scan = Instant::now();
    }

    /// The entries for the checkpoint. There may be thousands, and they are saved often: none is kept, and what is
    /// remembered is not copied.
    pub fn entries(&self) -> impl Iterator<Item = Cow<'_, FileEntry>> {
        // An archive of which it is not known yet whose copy it is has nothing to go on with after a restart.
        let has_place = |file: &&TailedFile| {
            let is_archive = file.is_compressed() || compressed::is_named_compressed(&file.path);
            file.is_known() || !is_archive || file.consumed_position().offset_bytes > 0
        };
        let open = self.roster.files().filter(has_place).map(|file| file.entry(file.is_delivered_archive()));
        let replaced = self.replaced.values().map(|(entry, _)| entry);
        let kept = self.remembered.iter().chain(replaced).map(Cow::Borrowed);
        kept.chain(open.chain(self.closed.entries()).map(Cow::Owned))
    }

    /// True while there may be more to read soon: it is not known yet whether some file is the copy of another, it waits
    /// until others are closed, or something stands behind a gap.
    pub fn is_undecided(&self) -> bool {
        self.closed.waiting() > 0 || self.has_undecided() || self.roster.files().any(TailedFile::waits_at_gap)
    }

    fn has_undecided(&self) -> bool {
        let waits = |file: &TailedFile| matches!(file.knowledge, Knowledge::Undecided | Knowledge::Candidate);
        self.roster.files().any(|file| waits(file) && !file.is_empty() && !file.complained)
    }

    /// How many bytes are written but not delivered, over all files.
    pub fn lag_bytes(&self) -> u64 {
        self.roster.files().map(TailedFile::lag_bytes).sum::<u64>() + self.closed.lag_bytes()
    }

    /// How many bytes of files without a name are held open because they are not delivered.
    pub fn deleted_held_bytes(&self) -> u64 {
        let leaving = self.leaving.iter().filter_map(|number| self.roster.get(*number));
        leaving.filter(|file| file.lag_bytes() > 0 && file.is_deleted()).map(TailedFile::lag_bytes).sum()
    }

    /// What the globs found in the last scan; `None` before the first one.
    pub fn matched(&self) -> Option<&Matched> {
        self.scanned_before.then_some(&self.matched)
    }

    /// The same of the first scan, once.
    pub fn first_matched(&mut self) -> Option<Matched> {
        let is_first = self.scanned_before && !std::mem::replace(&mut self.first_matched_taken, self.scanned_before);
        is_first.then(|| self.matched.clone())
    }

    /// How many files are open.
    pub fn open_files(&self) -> usize {
        self.roster.len()
    }

    /// How many files are there and closed, since more are matched than may be open.
    pub fn closed_files(&self) -> usize {
        self.closed.len()
    }

    /// How many of those have something to read, and wait for a place.
    pub fn waiting_files(&self) -> usize {
        self.closed.waiting()
    }

    fn chunk(&mut self, number: FileNumber, turn: Turn) -> Option<Chunk<'_>> {
        let file = self.roster.get_mut(number)?;
        let source_file = file.source_file().ok()?;
        let (offset_bytes, content) = match turn {
            Turn::Lines { range, offset_bytes } => (offset_bytes, Content::Lines(&self.buffer[range])),
            Turn::PassedOver { what, offset_bytes, length_bytes } => {
                if what == PassedOver::NulBytes {
                    tell_gap(&file.path, offset_bytes, length_bytes, &self.counters);
                }
                (offset_bytes, Content::PassedOver { what, length_bytes, end: file.consumed_position() })
            }
            Turn::Busy | Turn::Replaced | Turn::Unknown | Turn::End => return None,
        };
        let observed_offset_bytes = file.observed_offset_bytes;
        Some(Chunk { number, file: source_file, offset_bytes, observed_offset_bytes, content })
    }

    /// Gives a file whose content was replaced a new number: marks of the old content must not move the new one.
    fn renumber(&mut self, number: FileNumber) {
        let Some(file) = self.roster.get(number) else { return };
        tracing::info!(path = %file.path.display(), "the file was truncated or replaced, reading it from its beginning");
        let generation = self.next_generation(file.id.inode);
        let Some(mut file) = self.roster.take(number) else { return };
        if let Some(copy) = self.copy_of(&mut file) {
            tracing::info!(path = %copy.path.display(), "what it held is read to its end in this copy");
            self.remembered.note_generation(file.inode(), file.generation());
            let original = file.move_to(copy);
            self.leaving.push(number);
            self.roster.add(file);
            self.roster.queue(number);
            self.begin_replaced(number, original, generation);
            return;
        }
        let lost_bytes = file.take_lost_bytes(true);
        report_lost(&file.path, lost_bytes, &self.counters);
        let read_to = file.consumed_position().offset_bytes;
        let is_settled = file.is_settled();
        self.replaced.insert(number, (FileEntry { size_bytes: read_to, replaced: true, ..file.entry(false) }, read_to));
        if is_settled {
            self.remember_replaced(number);
        }
        self.begin_replaced(number, file, generation);
    }

    /// Begins with what stands now in a file that had the number `number`.
    fn begin_replaced(&mut self, number: FileNumber, mut file: TailedFile, generation: u32) {
        file.begin_anew(generation);
        file.news = true;
        self.unsaved.note_urgent();
        file.number = self.roster.next_number();
        self.roster.renumber(&file.path, number, file.number);
        if file.standing != Standing::Present {
            self.leaving.push(file.number);
        }
        let number = file.number;
        self.adopt(file);
        self.roster.queue(number);
    }

    fn cannot_read(&mut self, number: FileNumber, error: &io::Error) {
        let Some(file) = self.roster.get_mut(number) else { return };
        file.news = true;
        if !std::mem::replace(&mut file.complained, true) {
            warn_unreadable(&Unreadable::because(file.path.to_path_buf(), error));
            self.counters.source_unreadable_total.inc();
        }
    }
}

/// Says, and counts, what can be delivered no more.
fn report_lost(path: &Path, bytes: u64, counters: &Counters) {
    if bytes > 0 {
        tracing::warn!(
            path = %path.display(),
            bytes,
            "this many bytes of the file were deleted or overwritten before they were delivered; they are lost; hint: \
             rotate by renaming, and keep rotated files until inferlog has delivered them"
        );
        counters.source_lost_bytes_total.inc_by(bytes);
    }
}

/// Says, and counts, what stands in no file any more, or never did.
fn tell_gap(path: &Path, offset_bytes: u64, length_bytes: u64, counters: &Counters) {
    tracing::warn!(
        path = %path.display(),
        offset_bytes,
        length_bytes,
        "NUL bytes stand in the file where lines should be, and nobody has filled them: they are passed over, with the parts \
         of lines that they destroyed; hint: a crash, or a writer that was truncated and does not append, leaves them"
    );
    counters.source_nul_bytes_total.inc_by(length_bytes);
}

fn warn_unreadable(complaint: &Unreadable) {
    tracing::warn!(
        path = %complaint.path.display(),
        reason = complaint.reason,
        hint = complaint.hint,
        "cannot read this, trying again at every scan"
    );
}

#[cfg(test)]
mod tests;
