//! A tailed file: which parts is it made of, and what is known of it by now?
//!
//! Nothing of a file is kept in memory between two reads: each read begins at the start of the first line that is not
//! consumed, with the few bytes before it, whose fingerprint shows whether the content was replaced. A line longer than
//! the limit is measured without being held. What only few files have stands in boxes: there may be tens of thousands.
//!
//! Offsets: `consumed` is the end of the last line given out, `committed` the end of what is delivered.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use chrono::Utc;

use super::gap::Gap;
use super::identity::Identity;
use super::loss::Loss;
use super::progress::Progress;
use super::storage::{FileId, Storage};
use super::turn::Turn;
use crate::flow::ack::FileNumber;
use crate::flow::batch::SourceFile;
use crate::source::files::compressed::{Examined, Flaw, Nature};
use crate::state::checkpoint::{FileEntry, Fingerprint, Position, TAIL_BYTES_MAX};
use crate::text::digest::hexadecimal;

/// Where a file is, seen from the globs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Found under its path at the last look.
    Present,
    /// Found under another name since this moment: it was rotated, and is read to its end.
    Rotated(Instant),
    /// Renamed out of the globs or deleted since this moment; read to its end all the same.
    Gone(Instant),
    /// Deleted, and read from what was salvaged of it, since this moment.
    Salvaged(Instant),
}

impl Standing {
    /// Whether nothing is found of it under the globs.
    pub fn is_gone(self) -> bool {
        matches!(self, Standing::Gone(_) | Standing::Salvaged(_))
    }
}

/// Whether it is known what a file is. Only then is it read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knowledge {
    /// It is a file of its own, or the copy that goes on for one.
    Known,
    /// It may be the copy of another one, or become an archive.
    Undecided,
    /// It is compressed, and its content stands in a file that is there.
    Shadow,
    /// It is none of ours unless it turns out to be the copy of one.
    Candidate,
}

/// What was seen to happen to a file.
#[derive(Clone, Copy, Debug)]
pub struct Activity {
    /// When it was opened.
    pub opened: Instant,
    /// When it was last seen to change, or was opened.
    pub changed: Instant,
    /// There may be something to read.
    pub news: bool,
    /// It waits for its turn.
    pub queued: bool,
}

/// What was said of a file, so that it is said once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Warnings {
    /// That reading it fails.
    pub is_unreadable_said: bool,
    /// The offset of the line without an end of which it was said that it waits.
    pub end_said_at: Option<u64>,
}

/// What is kept of a file whose last name is gone.
#[derive(Debug)]
struct Salvage {
    /// The name of the file in the salvage folder.
    name: String,
    /// Up to which offset it holds what is left, in bytes.
    end: u64,
}

/// A file that is being read.
#[derive(Debug)]
pub struct TailedFile {
    /// Its number in this process.
    pub number: FileNumber,
    /// Where it was seen last.
    pub path: Arc<Path>,
    /// Whether it is still found.
    pub standing: Standing,
    /// Whether it is known what it is.
    pub knowledge: Knowledge,
    /// What was seen to happen to it.
    pub activity: Activity,
    /// What was said of it.
    pub warnings: Warnings,
    pub(super) storage: Storage,
    pub(super) identity: Identity,
    pub(super) progress: Progress,
    pub(super) loss: Loss,
    /// A run of NUL bytes that is read next.
    pub(super) gap: Option<Box<Gap>>,
    salvage: Option<Box<Salvage>>,
}

impl TailedFile {
    /// Starts with a file that has just been opened, from its first byte.
    pub fn new(number: FileNumber, path: &Path, handle: fs_err::File, metadata: &Metadata) -> TailedFile {
        let (storage, now) = (Storage::new(handle, metadata), Instant::now());
        TailedFile {
            number,
            path: Arc::from(path),
            standing: if storage.is_compressed() { Standing::Rotated(now) } else { Standing::Present },
            knowledge: Knowledge::Known,
            activity: Activity { opened: now, changed: now, news: true, queued: false },
            warnings: Warnings::default(),
            identity: Identity::new(storage.id.inode, 0),
            storage,
            progress: Progress::default(),
            loss: Loss::default(),
            gap: None,
            salvage: None,
        }
    }

    /// Goes on where a checkpoint's entry ends, which [`TailedFile::is_same`] has found to be of this content.
    pub fn resume(&mut self, entry: &FileEntry) {
        if entry.path != self.path.to_string_lossy() {
            self.standing = Standing::Rotated(Instant::now());
        }
        self.identity.resume(entry);
        self.progress.resume(entry);
        let known_bytes = self.storage.content_bytes.max(entry.committed.offset_bytes);
        self.loss.untold_bytes = entry.size_bytes.saturating_sub(known_bytes);
    }

    /// Begins at 0 with content that is not what it was. Whoever calls this for a file that was read gives it a new
    /// number, so that acknowledgements of the old content are not taken for the new one.
    pub fn begin_anew(&mut self, generation: u32) {
        self.identity = Identity::new(self.storage.id.inode, generation);
        (self.progress, self.loss, self.gap) = (Progress::default(), Loss::default(), None);
    }

    /// Its device and inode.
    pub fn id(&self) -> FileId {
        self.storage.id
    }

    /// The inode in its lines' ids.
    pub fn inode(&self) -> u64 {
        self.identity.inode
    }

    /// How often its content began anew under this inode; 0 at first.
    pub fn generation(&self) -> u32 {
        self.identity.generation
    }

    /// The size of its content when it was last looked at, in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.storage.content_bytes
    }

    /// When it was written to last.
    pub fn modified(&self) -> Option<SystemTime> {
        self.storage.modified
    }

    /// True when it has no name left.
    pub fn is_deleted(&self) -> bool {
        self.storage.is_deleted()
    }

    /// Whether nothing was written to it yet.
    pub(in crate::source::files) fn is_empty(&self) -> bool {
        self.storage.stored_bytes == 0
    }

    /// Whether it is known to be there for some lines or an archive.
    pub fn is_known(&self) -> bool {
        self.knowledge == Knowledge::Known
    }

    /// What people are told of the file. Reads its first line at the first call.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn source_file(&mut self) -> io::Result<Arc<SourceFile>> {
        self.identity.source_file(&self.storage, &self.path).map(Arc::clone)
    }

    /// A part of its content.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn block(&self, offset_bytes: u64, length: usize) -> io::Result<Vec<u8>> {
        self.storage.read_at(offset_bytes, length)
    }
}

/// How far it is.
impl TailedFile {
    /// Takes note that it is delivered up to `position`.
    pub fn commit(&mut self, position: Position) {
        self.progress.committed = position;
        // The head covers delivered bytes alone, so that what is lost behind them (in a power failure, say) does not make
        // the file another one. A head that is another one by now makes the next start take the file for replaced, which it
        // is.
        self.identity.extend_head(&self.storage, position.offset_bytes);
    }

    /// Takes note that observers have counted it up to an offset. Returns whether that is news.
    pub fn observed(&mut self, offset_bytes: u64) -> bool {
        let known = &mut self.progress.observed_offset_bytes;
        std::mem::replace(known, offset_bytes.max(*known)) < offset_bytes
    }

    /// Observers have counted it up to here, in bytes from its start.
    pub fn observed_offset_bytes(&self) -> u64 {
        self.progress.observed_offset_bytes
    }

    /// The end of the last line given out.
    pub fn consumed_position(&self) -> Position {
        self.progress.consumed
    }

    /// The end of what is delivered, in bytes.
    pub fn lag_start(&self) -> u64 {
        self.progress.committed.offset_bytes
    }

    /// How many bytes of the file are not delivered.
    pub fn lag_bytes(&self) -> u64 {
        self.content_end().saturating_sub(self.progress.committed.offset_bytes)
    }

    /// How many bytes of the file are not consumed.
    pub fn unread_bytes(&self) -> u64 {
        self.content_end().saturating_sub(self.progress.consumed.offset_bytes)
    }

    /// True when everything that was given out is delivered.
    pub fn is_settled(&self) -> bool {
        self.progress.is_settled()
    }

    /// Takes what is known to be cut away unread, in bytes; `replaced` when nothing of what was not read is left.
    pub fn take_lost_bytes(&mut self, replaced: bool) -> u64 {
        let consumed_bytes = self.progress.consumed.offset_bytes;
        self.loss.take(self.content_end(), replaced.then_some(consumed_bytes))
    }

    /// Takes back the unterminated end that was given out last.
    pub fn take_back(&mut self) {
        if let Some((position, searched_to)) = self.progress.before_end.take().map(|before| *before) {
            self.progress.searched_to = searched_to;
            if position.offset_bytes == 0 {
                // What was given out may have been the first line, which is not whole then.
                self.identity.forget_first_line();
            }
            self.progress.consumed = position;
        }
    }

    /// True while there is something behind a gap that may still be filled.
    pub(in crate::source::files) fn waits_at_gap(&self) -> bool {
        self.gap.as_ref().is_some_and(|gap| gap.end.is_some() && !gap.waits_for_line_end)
    }

    /// True when the next thing to read is a gap.
    pub(in crate::source::files) fn is_at_gap(&self) -> bool {
        self.gap.is_some()
    }

    /// How many bytes of the file are left unread, because they are NUL bytes that may be filled yet, or stand behind such
    /// without a line end.
    pub(in crate::source::files) fn gap_bytes(&self) -> u64 {
        let waits_for_line_end = self.gap.as_ref().is_some_and(|gap| gap.waits_for_line_end);
        if waits_for_line_end { self.unread_bytes() } else { self.trailing_gap_bytes() }
    }

    /// How many NUL bytes the file ends with, as far as it is known.
    pub(super) fn trailing_gap_bytes(&self) -> u64 {
        self.storage.content_bytes - self.content_end()
    }

    /// The end of what was written, in bytes: behind it there are NUL bytes alone, as far as it is known.
    pub(super) fn content_end(&self) -> u64 {
        let trailing = self.gap.as_ref().filter(|gap| gap.end.is_none() && gap.searched_to.is_none());
        trailing.map_or(self.storage.content_bytes, |gap| gap.start.min(self.storage.content_bytes))
    }

    /// Reads what follows the consumed part, with the few bytes before it, and gives where it stands in the buffer.
    /// `None` when those bytes are not what was consumed.
    pub(super) fn read_on(&mut self, buffer: &mut Vec<u8>, block_bytes: usize) -> io::Result<Option<(usize, usize)>> {
        let overlap = self.progress.consumed.tail.length_bytes as usize;
        let length = self.storage.read_into(
            buffer,
            self.progress.consumed.offset_bytes - overlap as u64,
            overlap + block_bytes,
        )?;
        let intact = !self.loss.is_cut && length >= overlap && self.progress.consumed.tail.matches(&buffer[..overlap]);
        if intact {
            self.loss.proven_bytes = self.storage.content_bytes;
        }
        Ok(intact.then_some((overlap, length)))
    }

    pub(super) fn give_out(&mut self, buffer: &[u8], range: std::ops::Range<usize>) -> io::Result<Turn> {
        let offset_bytes = self.progress.consumed.offset_bytes;
        let tail_start = range.end.saturating_sub(TAIL_BYTES_MAX).max(range.start);
        let tail = Fingerprint::of(&buffer[tail_start..range.end]);
        self.advance(Position { offset_bytes: offset_bytes + range.len() as u64, tail })?;
        Ok(Turn::Lines { range, offset_bytes })
    }

    /// Moves on to `position`. Whatever can fail comes first, so that after an error the same lines are read again.
    pub(super) fn advance(&mut self, position: Position) -> io::Result<()> {
        self.source_file()?;
        self.storage.content_bytes = self.storage.content_bytes.max(position.offset_bytes);
        self.progress.consumed = position;
        Ok(())
    }
}

/// What becomes of it on the disk.
impl TailedFile {
    /// Looks at the file again through its handle, which also works when its name is gone. Returns whether its size is
    /// another one.
    ///
    /// # Errors
    /// When the file cannot be looked at.
    pub fn look(&mut self) -> io::Result<bool> {
        let metadata = self.storage.metadata()?;
        Ok(self.seen(&metadata))
    }

    /// Takes note of what somebody saw of it. Returns whether its size is another one.
    pub fn seen(&mut self, metadata: &Metadata) -> bool {
        if self.storage.is_compressed() {
            return self.seen_compressed(metadata);
        }
        let (size_bytes, modified) = (metadata.len(), metadata.modified().ok());
        let is_resized = size_bytes != self.storage.content_bytes;
        if is_resized || modified != self.storage.modified {
            (self.activity.changed, self.activity.news) = (Instant::now(), true);
        }
        if size_bytes < self.storage.content_bytes {
            let left = size_bytes.max(self.progress.consumed.offset_bytes);
            self.loss.shortened(self.content_end(), left);
        }
        self.loss.is_cut |= size_bytes < self.progress.consumed.offset_bytes;
        (self.storage.content_bytes, self.storage.stored_bytes) = (size_bytes, size_bytes);
        self.storage.modified = modified;
        is_resized
    }

    fn seen_compressed(&mut self, metadata: &Metadata) -> bool {
        let is_resized = metadata.len() != self.storage.stored_bytes;
        // Written without growing, into space that was allocated ahead.
        let is_touched = metadata.modified().ok() != self.storage.modified;
        let is_filled = is_touched && (self.flaw().is_some() || !self.is_known());
        if is_resized || is_filled {
            (self.activity.changed, self.activity.news) = (Instant::now(), true);
            self.warnings.is_unreadable_said = false;
            // What was found out about it has to be found out again, also of one that is being read.
            if self.knowledge != Knowledge::Candidate {
                self.knowledge = Knowledge::Undecided;
            }
            self.storage.stored_bytes = metadata.len();
            self.storage.modified = metadata.modified().ok();
            if let Some(mut archive) = self.storage.archive() {
                archive.restart();
            }
        }
        is_resized
    }

    /// How long it is neither found under the name that it had nor seen to change; `None` while it is.
    pub fn left_alone_for(&self) -> Option<Duration> {
        match self.standing {
            Standing::Present => None,
            Standing::Rotated(since) | Standing::Gone(since) | Standing::Salvaged(since) => {
                Some(since.max(self.activity.changed).elapsed())
            }
        }
    }

    /// Follows a rename.
    pub fn renamed(&mut self, path: &Path) {
        self.path = Arc::from(path);
        self.standing = Standing::Rotated(Instant::now());
        self.identity.renamed(path);
    }

    /// Goes on in a copy, which [`TailedFile::continues`] has found to have what was read. Returns the file that was
    /// overwritten, to begin anew.
    pub fn move_to(&mut self, mut copy: TailedFile) -> TailedFile {
        std::mem::swap(&mut self.storage, &mut copy.storage);
        std::mem::swap(&mut self.standing, &mut copy.standing);
        let copy_path = std::mem::replace(&mut copy.path, Arc::clone(&self.path));
        self.renamed(&copy_path);
        self.activity.changed = Instant::now();
        self.activity.news = true;
        (self.loss.is_cut, self.loss.untold_bytes) = (false, 0);
        copy.knowledge = Knowledge::Known;
        copy.activity.queued = false;
        copy
    }

    /// Where it is now, as far as can be told: a file that was renamed out of the globs is asked for its name.
    fn found_at(&self) -> PathBuf {
        let asked = if let Standing::Gone(_) = self.standing { self.storage.name() } else { None };
        asked.unwrap_or_else(|| self.path.to_path_buf())
    }

    /// The entry for the checkpoint.
    pub fn entry(&self, finished: bool) -> FileEntry {
        let (storage, identity, progress) = (&self.storage, &self.identity, &self.progress);
        FileEntry {
            path: self.found_at().to_string_lossy().into_owned(),
            inode: identity.inode,
            device: storage.id.device,
            generation: identity.generation,
            head: identity.head,
            head_offset_bytes: identity.head_offset_bytes,
            first_line_sha256: identity.first_line_kept.as_ref().map(|digest| hexadecimal(&**digest)),
            committed: progress.committed,
            passed_over_bytes: progress.passed_over_bytes,
            observed_offset_bytes: progress.observed_offset_bytes,
            size_bytes: self.content_end(),
            replaced: false,
            finished,
            compressed_bytes: storage.is_compressed().then_some(storage.stored_bytes),
            salvage: self.salvage().filter(|_| !finished).map(str::to_owned),
            held_by_inode: (storage.id.inode != identity.inode).then_some(storage.id.inode),
            updated: Utc::now(),
        }
    }

    /// The inode of the copy that goes on holding its content when it is closed.
    pub fn holder_left(&self) -> Option<u64> {
        (!self.is_salvage() && self.storage.id.inode != self.identity.inode).then_some(self.storage.id.inode)
    }
}

/// What is salvaged of it.
impl TailedFile {
    /// How many bytes that are not delivered are salvaged.
    pub fn salvaged_bytes(&self) -> u64 {
        let end = self.salvage.as_ref().map_or(0, |salvage| salvage.end);
        end.saturating_sub(self.progress.committed.offset_bytes)
    }

    /// The name of its salvage file: unique in a pipeline.
    pub fn salvage_name(&self) -> String {
        format!("{}-{}-{}", self.identity.inode, self.storage.id.device, self.identity.generation)
    }

    /// The name of the salvage file that it has.
    pub fn salvage(&self) -> Option<&str> {
        self.salvage.as_ref().map(|salvage| salvage.name.as_str())
    }

    /// Takes note that it is salvaged to its end.
    pub fn salvaged(&mut self, name: String) {
        self.salvage = Some(Box::new(Salvage { name, end: self.storage.content_bytes }));
    }

    /// It is a salvage file itself.
    pub fn read_from_salvage(&mut self, name: String) {
        self.standing = Standing::Salvaged(Instant::now());
        self.salvaged(name);
    }

    /// Whether it is read from what was salvaged of it.
    pub(in crate::source::files) fn is_salvage(&self) -> bool {
        matches!(self.standing, Standing::Salvaged(_))
    }
}

/// What is known of an archive.
impl TailedFile {
    /// Whether it is a compressed file.
    pub fn is_compressed(&self) -> bool {
        self.storage.is_compressed()
    }

    /// What it is by its first bytes now. One that turns out to be compressed is read as that from now on.
    pub(in crate::source::files) fn find_nature(&mut self) -> io::Result<Nature> {
        let was_compressed = self.storage.is_compressed();
        let nature = self.storage.find_nature(&self.path)?;
        if self.storage.is_compressed() && !was_compressed {
            self.standing = Standing::Rotated(Instant::now());
        }
        Ok(nature)
    }

    /// Whether it is compressed and delivered to its end. Nothing more is to come unless it becomes another one.
    pub(in crate::source::files) fn is_delivered_archive(&self) -> bool {
        self.is_compressed() && self.is_known() && !self.activity.news && self.unread_bytes() == 0 && self.is_settled()
    }

    /// What is wrong with a compressed file that was examined.
    pub(in crate::source::files) fn flaw(&self) -> Option<Flaw> {
        self.storage.flaw()
    }

    /// How far it is known what a compressed file holds; `None` for a plain one.
    pub(in crate::source::files) fn examined(&self) -> Option<Examined> {
        self.storage.archive().map(|archive| archive.examined())
    }

    /// Goes on finding that out, for about so many bytes of the content.
    pub(in crate::source::files) fn examine(&mut self, bytes: u64) -> Option<Examined> {
        self.storage.examine(bytes)
    }

    /// Finds out how the content of a compressed file begins, before the first step of [`TailedFile::examine`]. Returns
    /// whether it did.
    pub(in crate::source::files) fn glance(&self) -> bool {
        self.storage.archive().is_some_and(|mut archive| archive.glance())
    }

    /// Whether the length of the content is known.
    pub(in crate::source::files) fn is_measured(&self) -> bool {
        self.storage.is_measured()
    }
}
