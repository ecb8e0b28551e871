//! The files source: tails JSON-lines files, however they are rotated.
//!
//! [`Files`] is what the pipeline sees, and gives each file that has something to read its turn: one block at a time, so
//! that a huge one does not starve the others. It is made of what is given (`ground`), what is known of files (`register`,
//! which alone says that the checkpoint is behind), and when and how it is looked for more.
//!
//! What happens to files is done by functions that say what they touch, from the outside in: `scan` (all names) with `leave`
//! (what is over), `missing` (what a checkpoint tells of and is not found), `places` (which may be open), `decide` and
//! `examined` (is one the copy of another), `salvage`, and `open`. [`discover`] is which files, [`file`] is one file.
//! A file that is renamed or deleted stays open until it is delivered to its end.
//!
//! It does not commit: [`Files::commit`] is called with what the sinks have acknowledged.

mod chunk;
mod closed;
mod compressed;
mod decide;
pub mod discover;
mod ends;
mod examined;
pub mod file;
mod ground;
mod leave;
mod likeness;
pub mod locate;
mod missing;
mod notification;
mod open;
mod options;
mod originals;
mod places;
mod register;
mod regular;
mod remembered;
mod renamed;
mod renumber;
mod replaced;
mod roster;
mod salvage;
mod scan;
mod schedule;
mod tell;
pub mod waiting;

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
#[cfg(test)]
use std::time::Duration;
use std::time::Instant;

use crate::flow::ack::{FileNumber, Mark};
use crate::flow::wake::Wake;
use crate::state::checkpoint::FileEntry;
use crate::telemetry::Counters;
pub use chunk::{Block, Chunk, Content};
use discover::{Discovery, Unreadable};
use ends::Ends;
pub use file::PassedOver;
use file::{FileId, Gaps, Knowledge, TailedFile, Turn};
use ground::Ground;
use notification::Notifications;
#[cfg(test)]
use options::Waits;
pub use options::{FirstSeen, Options};
use register::Register;
use renamed::RenamedNames;
use scan::Findings;
pub use scan::Matched;
use schedule::{Cover, Schedule};
use tell::{report_lost, warn_unreadable};

/// How much is read of one file before the next has its turn, in bytes.
const BLOCK_BYTES: usize = 256 * 1024;

/// After this many blocks without a line end a chunk without lines is given out, so that other work goes on. Together
/// they are longer than what the digest of the first line is made of.
const BUSY_TURNS_MAX: u32 = 16;

/// The files of one pipeline.
#[derive(Debug)]
pub struct Files {
    ground: Ground,
    register: Register,
    notifications: Notifications,
    renamed: RenamedNames,
    schedule: Schedule,
    findings: Findings,
    ends: Ends,
    buffer: Vec<u8>,
    /// Further buffers, of chunks that are settled.
    spare: Vec<Vec<u8>>,
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
        let ground = Ground::new(options, discovery, counters, places::raise_open_files_limit());
        Ok(Files::on(ground, Notifications::new(wake), entries))
    }

    fn on(ground: Ground, notifications: Notifications, entries: Option<Vec<FileEntry>>) -> Files {
        Files {
            ground,
            register: Register::new(entries),
            notifications,
            renamed: RenamedNames::default(),
            schedule: Schedule::new(),
            findings: Findings::default(),
            ends: Ends::default(),
            buffer: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// Gives out what comes next, or `None` when there is nothing to read now.
    pub fn next_chunk(&mut self) -> Option<Chunk> {
        self.look();
        let examined = decide::examine(&self.ground, &mut self.register);
        let mut busy_turns = 0;
        while let Some(number) = self.register.roster.next_turn() {
            let Some(file) = self.register.roster.get_mut(number) else { continue };
            if !file.is_known() {
                file.activity.news = false;
                continue;
            }
            let gaps = Gaps::Wait(self.ground.waits.gap_final_after);
            let turn = file.read(&mut self.buffer, BLOCK_BYTES, &self.ground.options.framing(), gaps);
            if !matches!(turn, Ok(Turn::Replaced) | Err(_)) {
                let lost_bytes = file.take_lost_bytes(false);
                report_lost(&file.path, lost_bytes, &self.ground.counters);
            }
            if matches!(turn, Ok(Turn::Busy)) {
                busy_turns += 1;
            }
            match turn {
                Ok(Turn::Busy) if busy_turns >= BUSY_TURNS_MAX => {
                    let offset_bytes = file.consumed_position().offset_bytes;
                    self.register.roster.queue(number);
                    return self.chunk(number, Turn::Lines { range: 0..0, offset_bytes });
                }
                Ok(Turn::End) => {
                    file.activity.news = false;
                    file.warnings.is_unreadable_said = false;
                }
                Ok(Turn::Busy) => self.register.roster.queue(number),
                Ok(Turn::Replaced) => renumber::renumber(&self.ground.counters, &mut self.register, number),
                Ok(Turn::Unknown) => {
                    file.activity.news = false;
                    file.knowledge = Knowledge::Undecided;
                }
                Ok(turn) => {
                    self.register.roster.queue(number);
                    return self.chunk(number, turn);
                }
                Err(error) => cannot_read(file, &error, &self.ground.counters),
            }
        }
        examined.and_then(|number| self.register.roster.get(number)).map(Chunk::without_lines)
    }

    fn chunk(&mut self, number: FileNumber, turn: Turn) -> Option<Chunk> {
        let file = self.register.roster.get_mut(number)?;
        let chunk = Chunk::of(file, turn, &mut self.buffer, &self.ground.counters);
        if self.buffer.is_empty() {
            self.buffer = self.spare.pop().unwrap_or_default();
        }
        chunk
    }

    /// Takes back the buffer of a chunk that is settled. Of those that have grown for a long line only one is kept.
    pub fn reuse(&mut self, chunk: Chunk) {
        let Content::Lines(block) = chunk.content else { return };
        let buffer = block.into_buffer();
        if self.buffer.is_empty() {
            self.buffer = buffer;
        } else if !buffer.is_empty() && buffer.capacity() <= 2 * BLOCK_BYTES {
            self.spare.push(buffer);
        }
    }

    /// When [`Files::next_chunk`] has something to do even if nobody rings.
    pub fn next_look(&self) -> Instant {
        if self.register.examining.is_empty() { self.schedule.next } else { Instant::now() }
    }

    /// Finds out what is new when it is time to, without reading: files that appear are opened.
    pub fn look(&mut self) {
        let news = self.notifications.take();
        let started = Instant::now();
        let is_undecided = |path: &PathBuf| self.register.roster.at(path).is_some_and(|file| !file.is_known());
        if news.rescan || news.written.iter().any(is_undecided) {
            self.schedule.hurry();
        }
        for path in self.renamed.follow(&self.ground.discovery, news.renamed) {
            // What cannot be opened is gone, or is told of when a scan finds it.
            let _ = open::open(&self.ground, &mut self.register, &path);
        }
        if started >= self.schedule.next {
            self.scan(started);
        }
        for path in news.written {
            if let Some(id) = self.register.closed.under(&path) {
                self.look_at_closed(&path, id);
            } else if let Some(number) = self.register.roster.at(&path).map(|file| file.number) {
                self.register.look_at(number);
            }
        }
        if std::mem::take(&mut self.register.closed.is_service_due) {
            places::serve_waiting(&self.ground, &mut self.register);
        }
    }

    /// Has the next look find out all that is new, whatever it was told.
    pub fn look_soon(&mut self) {
        self.schedule.next = Instant::now();
    }

    fn scan(&mut self, started: Instant) {
        for (root, recursive) in self.ground.discovery.roots() {
            self.notifications.watch(root, recursive);
        }
        self.ground.discovery.refresh();
        scan::scan(&self.ground, &mut self.register, &mut self.findings, &mut self.ends);
        let took = started.elapsed();
        let cover = match self.notifications.cover(self.ground.discovery.roots()) {
            _ if self.register.has_undecided() => Cover::Undecided,
            true => Cover::Notifications,
            false => Cover::Polling,
        };
        self.schedule.plan(took, self.ground.options.poll_interval, cover);
    }

    fn look_at_closed(&mut self, path: &Path, id: FileId) {
        if let Ok(metadata) = fs_err::metadata(path)
            && FileId::of(&metadata) == id
        {
            let cut_bytes = self.register.closed.seen(id, &metadata).unwrap_or_default();
            report_lost(path, cut_bytes, &self.ground.counters);
            self.register.closed.is_service_due = true;
        }
    }

    /// The unterminated end of a renamed or deleted file that does not grow any more, as a chunk.
    pub fn next_final_end(&mut self) -> Option<Chunk> {
        let finals = self.ends.finals(&self.ground, &self.register.roster);
        let (number, turn) = finals.into_iter().find_map(|number| Some((number, self.read_unterminated(number)?)))?;
        self.chunk(number, turn)
    }

    /// Numbers of the files whose last line has no end yet.
    pub fn unterminated_files(&self) -> Vec<FileNumber> {
        let unread = self.register.roster.files().filter(|file| file.unread_bytes() > 0 && file.is_known());
        unread.map(|file| file.number).collect()
    }

    /// Files that end with NUL bytes, into which nobody has written yet, or with a line behind such that has no end, and how
    /// many bytes that leaves unread.
    pub fn left_at_gaps(&self) -> impl Iterator<Item = (PathBuf, u64)> {
        let files = self.register.roster.files().filter(|file| file.gap_bytes() > 0);
        files.map(|file| (file.path.to_path_buf(), file.gap_bytes()))
    }

    /// The unterminated end of a file as a chunk; [`Files::leave_unread`] takes it back.
    pub fn unterminated(&mut self, number: FileNumber) -> Option<Chunk> {
        let turn = self.read_unterminated(number)?;
        self.chunk(number, turn)
    }

    fn read_unterminated(&mut self, number: FileNumber) -> Option<Turn> {
        let file = self.register.roster.get_mut(number)?;
        let turn = file.unterminated(&mut self.buffer, &self.ground.options.framing());
        turn.unwrap_or_else(|error| {
            cannot_read(file, &error, &self.ground.counters);
            None
        })
    }

    /// Leaves the unterminated end that was given out last unread. Returns the file's path and how many bytes remain.
    pub fn leave_unread(&mut self, number: FileNumber) -> Option<(PathBuf, u64)> {
        let file = self.register.roster.get_mut(number)?;
        file.take_back();
        Some((file.path.to_path_buf(), file.unread_bytes()))
    }

    /// Salvages files that have no name any more and are not delivered. At a stop, what the limit leaves out is lost.
    pub fn salvage(&mut self, at_stop: bool) {
        salvage::salvage(&self.ground, &mut self.register, at_stop);
    }
}

/// What is told to the source, and by it, about the checkpoint.
impl Files {
    /// Takes note that a file is delivered up to a mark.
    pub fn commit(&mut self, mark: &Mark) {
        self.register.commit(mark);
    }

    /// Takes note that observers have counted a file up to an offset.
    pub fn observed(&mut self, number: FileNumber, offset_bytes: u64) {
        self.register.observed(number, offset_bytes);
    }

    /// True when the checkpoint on disk is behind.
    pub fn is_dirty(&self) -> bool {
        self.register.is_dirty()
    }

    /// True when the checkpoint must be saved before what was given out last is sent. A file was met, which a crash would
    /// forget: if it is rotated out of the globs before the next start, nobody would look for it. Or it began a new
    /// generation, which is part of its lines' ids.
    pub fn is_urgent(&self) -> bool {
        self.register.is_urgent()
    }

    /// The entries for the checkpoint. There may be thousands, and they are saved often: none is kept, and what is
    /// remembered is not copied.
    pub fn entries(&self) -> impl Iterator<Item = Cow<'_, FileEntry>> {
        self.register.entries()
    }

    /// Takes note that the entries given out last are on disk.
    pub fn saved(&mut self) {
        salvage::remove_salvage(self.ground.options.salvage.as_deref(), &self.register.saved());
    }
}

/// How it is doing.
impl Files {
    /// True while there may be more to read soon: it is not known yet whether some file is the copy of another, it waits
    /// until others are closed, or something stands behind a gap.
    pub fn is_undecided(&self) -> bool {
        let waits_at_gap = || self.register.roster.files().any(TailedFile::waits_at_gap);
        self.waiting_files() > 0 || self.register.has_undecided() || waits_at_gap()
    }

    /// How many bytes are written but not delivered, over all files.
    pub fn lag_bytes(&self) -> u64 {
        self.register.roster.files().map(TailedFile::lag_bytes).sum::<u64>() + self.register.closed.lag_bytes()
    }

    /// How many bytes of files without a name are held open because they are not delivered.
    pub fn deleted_held_bytes(&self) -> u64 {
        let held = self.register.roster.leaving().filter(|file| file.lag_bytes() > 0 && file.is_deleted());
        held.map(TailedFile::lag_bytes).sum()
    }

    /// What the globs found in the last scan; `None` before the first one.
    pub fn matched(&self) -> Option<&Matched> {
        self.findings.matched.as_ref()
    }

    /// The same of the first scan, once.
    pub fn first_matched(&mut self) -> Option<Matched> {
        self.findings.first_matched.take()
    }

    /// How many files are open.
    pub fn open_files(&self) -> usize {
        self.register.roster.len()
    }

    /// How many files are there and closed, since more are matched than may be open.
    pub fn closed_files(&self) -> usize {
        self.register.closed.len()
    }

    /// How many of those have something to read, and wait for a place.
    pub fn waiting_files(&self) -> usize {
        self.register.closed.waiting()
    }

    /// Looks at the next chance and at no other moment, and takes it that this long has passed since anything changed.
    #[cfg(test)]
    pub(crate) fn look_next(&mut self, has_passed: bool) {
        let wait = if has_passed { Duration::ZERO } else { Duration::from_secs(3_600) };
        // Archives are made in one go here.
        self.ground.waits = Waits { examined_after: Duration::ZERO, ..Waits::all(wait) };
        self.notifications = Notifications::default();
        self.schedule.next = Instant::now();
    }
}

fn cannot_read(file: &mut TailedFile, error: &io::Error, counters: &Counters) {
    file.activity.news = true;
    if !std::mem::replace(&mut file.warnings.is_unreadable_said, true) {
        warn_unreadable(&Unreadable::because(file.path.to_path_buf(), error));
        counters.source_unreadable_total.inc();
    }
}

#[cfg(test)]
mod tests;
