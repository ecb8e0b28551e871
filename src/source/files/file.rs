//! One tailed file: what is read of it, and is it still the file that it was?
//!
//! Nothing of a file is kept in memory between two reads: each read begins at the start of the first line that is not
//! consumed, with the few bytes before it, whose fingerprint shows whether the content was replaced. A line longer than
//! the limit is measured without being held.
//!
//! Offsets: `consumed` is the end of the last line given out, `committed` the end of what is delivered.

mod gap;
mod identity;
mod read;

use std::cell::RefCell;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::compressed::{self, Decompressed, Examined, Flaw, Nature};
use chrono::Utc;

use crate::flow::ack::FileNumber;
use crate::flow::batch::SourceFile;
use crate::state::checkpoint::{FileEntry, Fingerprint, HEAD_BYTES_MAX, Position, TAIL_BYTES_MAX};
use crate::text::digest::{self, from_hexadecimal, hexadecimal};
use gap::Gap;
pub use gap::Gaps;

/// Which file it is, as the file system says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId {
    /// The inode. First in the order, so that files of one inode on several devices are neighbours.
    pub inode: u64,
    /// The device; it can change at a reboot.
    pub device: u64,
}

impl FileId {
    /// Takes it from metadata.
    pub fn of(metadata: &Metadata) -> FileId {
        FileId { inode: metadata.ino(), device: metadata.dev() }
    }
}

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

/// A file that is being read.
#[derive(Debug)]
pub struct TailedFile {
    /// Its number in this process.
    pub number: FileNumber,
    /// Where it was seen last.
    pub path: Arc<Path>,
    /// Its device and inode.
    pub id: FileId,
    /// Whether it is still found.
    pub standing: Standing,
    /// Whether it is known what it is.
    pub knowledge: Knowledge,
    /// It waits for its turn.
    pub queued: bool,
    /// It was told that reading it fails.
    pub complained: bool,
    /// The offset of the line without an end of which it was said that it waits.
    pub end_said: Option<u64>,
    /// Delivered up to here.
    committed: Position,
    /// What stands before this is not to be read, in bytes.
    passed_over_bytes: u64,
    /// Counted by the observers up to here.
    pub observed_offset_bytes: u64,
    /// The size when it was last looked at, in bytes.
    pub size_bytes: u64,
    /// When it was last seen to change, or was opened.
    pub changed: Instant,
    /// When it was opened.
    pub opened: Instant,
    /// There may be something to read.
    pub news: bool,
    modified: Option<SystemTime>,
    handle: Arc<File>,
    /// Its content, if it is a compressed file.
    compressed: Option<Box<RefCell<Decompressed>>>,
    /// The size of the file itself, in bytes; other than `size_bytes` only where it is compressed.
    stored_bytes: u64,
    /// The name of the file in the salvage folder that keeps what is left of it, and up to which offset, in bytes.
    salvage: Option<Box<(String, u64)>>,
    /// The inode in its lines' ids: that of the original, if it is a copy.
    inode: u64,
    generation: u32,
    /// Its first bytes, from where the gap ends that it begins with.
    head: Fingerprint,
    head_offset_bytes: u64,
    consumed: Position,
    /// The size of this content when it was last proven to be there, in bytes.
    proven_bytes: u64,
    /// Bytes that were seen and cut away unread, not told yet.
    lost_bytes: u64,
    /// It was seen to be shorter than what is consumed, so its content is another one, whatever it looks like now.
    cut: bool,
    /// How far the end of a line that is too long was looked for, in bytes from the start of the file.
    searched_to: Option<u64>,
    /// What was consumed before the unterminated end was given out.
    before_end: Option<Box<(Position, Option<u64>)>>,
    source_file: Option<Arc<SourceFile>>,
    /// The digest of its first line where that has a gap, which may be filled: it is part of the lines' ids and stays.
    first_line_kept: Option<Box<[u8; 32]>>,
    /// A run of NUL bytes that is read next.
    gap: Option<Box<Gap>>,
}

/// What is passed over without being held, and goes to the dead letter by its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassedOver {
    /// A line longer than the limit.
    LongLine,
    /// NUL bytes, with the parts of lines that they destroyed.
    NulBytes,
}

/// What one read gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// Whole lines: this range of the buffer, and there may be more to read.
    Lines {
        /// Where they stand in the buffer.
        range: std::ops::Range<usize>,
        /// Where they begin in the file, in bytes.
        offset_bytes: u64,
    },
    /// Something of which nothing was kept.
    PassedOver {
        /// What it is.
        what: PassedOver,
        /// Where it begins in the file, in bytes.
        offset_bytes: u64,
        /// Its length in bytes; of a line without the line feed.
        length_bytes: u64,
    },
    /// Call again later in this round: work is going on.
    Busy,
    /// The content was replaced or cut: call [`TailedFile::begin_anew`].
    Replaced,
    /// It is, or may become, an archive, and is not read as lines.
    Unknown,
    /// Nothing more now.
    End,
}

impl TailedFile {
    /// Starts with a file that has just been opened, from its first byte.
    pub fn new(number: FileNumber, path: &Path, handle: fs_err::File, metadata: &Metadata) -> TailedFile {
        let handle = Arc::new(handle.into_parts().0);
        let compressed = Decompressed::of(&handle).map(|decompressed| Box::new(RefCell::new(decompressed)));
        let standing = match compressed {
            Some(_) => Standing::Rotated(Instant::now()),
            None => Standing::Present,
        };
        TailedFile {
            number,
            path: Arc::from(path),
            id: FileId::of(metadata),
            standing,
            knowledge: Knowledge::Known,
            queued: false,
            complained: false,
            end_said: None,
            committed: Position::default(),
            passed_over_bytes: 0,
            observed_offset_bytes: 0,
            size_bytes: metadata.len(),
            changed: Instant::now(),
            opened: Instant::now(),
            news: true,
            modified: metadata.modified().ok(),
            handle,
            compressed,
            stored_bytes: metadata.len(),
            salvage: None,
            inode: metadata.ino(),
            generation: 0,
            head: Fingerprint::default(),
            head_offset_bytes: 0,
            consumed: Position::default(),
            proven_bytes: 0,
            lost_bytes: 0,
            cut: false,
            searched_to: None,
            before_end: None,
            source_file: None,
            first_line_kept: None,
            gap: None,
        }
    }

    /// How many bytes that are not delivered are salvaged.
    pub fn salvaged_bytes(&self) -> u64 {
        let salvaged_to = self.salvage.as_ref().map_or(0, |salvage| salvage.1);
        salvaged_to.saturating_sub(self.committed.offset_bytes)
    }

    /// The end of what is delivered, in bytes.
    pub fn lag_start(&self) -> u64 {
        self.committed.offset_bytes
    }

    /// The name of its salvage file: unique in a pipeline.
    pub fn salvage_name(&self) -> String {
        format!("{}-{}-{}", self.inode, self.id.device, self.generation)
    }

    /// The name of the salvage file that it has.
    pub fn salvage(&self) -> Option<&str> {
        self.salvage.as_ref().map(|salvage| salvage.0.as_str())
    }

    /// Takes note that it is salvaged to its end.
    pub fn salvaged(&mut self, name: String) {
        self.salvage = Some(Box::new((name, self.size_bytes)));
    }

    /// It is a salvage file itself.
    pub fn read_from_salvage(&mut self, name: String) {
        self.standing = Standing::Salvaged(Instant::now());
        self.salvage = Some(Box::new((name, self.size_bytes)));
    }

    /// Whether it is read from what was salvaged of it.
    pub(super) fn is_salvage(&self) -> bool {
        matches!(self.standing, Standing::Salvaged(_))
    }

    /// The inode of the copy that goes on holding its content when it is closed.
    pub fn holder_left(&self) -> Option<u64> {
        (!self.is_salvage() && self.id.inode != self.inode).then_some(self.id.inode)
    }

    /// A part of its content.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn block(&self, offset_bytes: u64, length: usize) -> io::Result<Vec<u8>> {
        self.read_at(offset_bytes, length)
    }

    /// Whether it is a compressed file.
    pub fn is_compressed(&self) -> bool {
        self.compressed.is_some()
    }

    /// Whether it is known to be there for some lines or an archive.
    pub fn is_known(&self) -> bool {
        self.knowledge == Knowledge::Known
    }

    /// Whether nothing was written to it yet.
    pub(super) fn is_empty(&self) -> bool {
        self.stored_bytes == 0
    }

    /// What it is by its first bytes now. One that turns out to be compressed is read as that from now on.
    pub(super) fn find_nature(&mut self) -> io::Result<Nature> {
        if self.compressed.is_none() {
            let nature = compressed::nature(&self.path, &self.read_at(0, compressed::MAGIC_BYTES_MAX)?);
            if nature != Nature::Compressed {
                return Ok(nature);
            }
            let Some(decompressed) = Decompressed::of(&self.handle) else { return Ok(Nature::Unknown) };
            self.compressed = Some(Box::new(RefCell::new(decompressed)));
            self.standing = Standing::Rotated(Instant::now());
        }
        Ok(Nature::Compressed)
    }

    /// Whether it is compressed and delivered to its end. Nothing more is to come unless it becomes another one.
    pub(super) fn is_delivered_archive(&self) -> bool {
        self.is_compressed() && self.is_known() && !self.news && self.unread_bytes() == 0 && self.is_settled()
    }

    /// What is wrong with a compressed file that was examined.
    pub(super) fn flaw(&self) -> Option<Flaw> {
        self.compressed.as_ref()?.borrow().flaw()
    }

    /// How far it is known what a compressed file holds; `None` for a plain one.
    pub(super) fn examined(&self) -> Option<Examined> {
        self.compressed.as_ref().map(|compressed| compressed.borrow().examined())
    }

    /// Goes on finding that out, for about so many bytes of the content.
    pub(super) fn examine(&mut self, bytes: u64) -> Option<Examined> {
        let mut compressed = self.compressed.as_ref()?.borrow_mut();
        let examined = compressed.examine(bytes);
        if let Some(length_bytes) = compressed.length_bytes() {
            self.size_bytes = length_bytes;
        }
        Some(examined)
    }

    /// Finds out how the content of a compressed file begins, before the first step of [`TailedFile::examine`]. Returns
    /// whether it did.
    pub(super) fn glance(&self) -> bool {
        self.compressed.as_ref().is_some_and(|compressed| compressed.borrow_mut().glance())
    }

    /// Whether the length of the content is known.
    pub(super) fn is_measured(&self) -> bool {
        self.compressed.as_ref().is_none_or(|compressed| compressed.borrow().length_bytes().is_some())
    }

    /// Goes on where a checkpoint's entry ends, which [`TailedFile::is_same`] has found to be of this content.
    pub fn resume(&mut self, entry: &FileEntry) {
        if entry.path != self.path.to_string_lossy() {
            self.standing = Standing::Rotated(Instant::now());
        }
        self.inode = entry.inode;
        self.generation = entry.generation;
        self.head = entry.head;
        self.head_offset_bytes = entry.head_offset_bytes;
        self.first_line_kept = entry.first_line_sha256.as_deref().and_then(from_hexadecimal).map(Box::new);
        self.observed_offset_bytes = entry.observed_offset_bytes;
        self.passed_over_bytes = entry.passed_over_bytes;
        self.lost_bytes = entry.size_bytes.saturating_sub(self.size_bytes.max(entry.committed.offset_bytes));
        self.consumed = entry.committed;
        self.committed = entry.committed;
    }

    /// Begins at 0 with content that is not what it was. Whoever calls this for a file that was read gives it a new
    /// number, so that acknowledgements of the old content are not taken for the new one.
    pub fn begin_anew(&mut self, generation: u32) {
        self.inode = self.id.inode;
        self.generation = generation;
        self.head = Fingerprint::default();
        self.head_offset_bytes = 0;
        self.first_line_kept = None;
        self.gap = None;
        self.consumed = Position::default();
        self.committed = Position::default();
        self.passed_over_bytes = 0;
        self.observed_offset_bytes = 0;
        self.proven_bytes = 0;
        self.lost_bytes = 0;
        self.cut = false;
        self.searched_to = None;
        self.before_end = None;
        self.source_file = None;
    }

    /// Takes what is known to be cut away unread, in bytes; `replaced` when nothing of what was not read is left.
    pub fn take_lost_bytes(&mut self, replaced: bool) -> u64 {
        let proven_bytes = self.proven_bytes.min(self.content_end());
        let overwritten = if replaced { proven_bytes.saturating_sub(self.consumed.offset_bytes) } else { 0 };
        self.proven_bytes -= overwritten;
        std::mem::take(&mut self.lost_bytes) + overwritten
    }

    /// How often its content began anew under this inode; 0 at first.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Takes note that it is delivered up to `position`.
    pub fn commit(&mut self, position: Position) {
        self.committed = position;
        // The head covers delivered bytes alone, so that what is lost behind them (in a power failure, say) does not make
        // the file another one. A head that is another one by now makes the next start take the file for replaced, which it
        // is.
        self.extend_head();
    }

    /// How many bytes of the file are not delivered.
    pub fn lag_bytes(&self) -> u64 {
        self.content_end().saturating_sub(self.committed.offset_bytes)
    }

    /// How many bytes of the file are not consumed.
    pub fn unread_bytes(&self) -> u64 {
        self.content_end().saturating_sub(self.consumed.offset_bytes)
    }

    /// The end of the last line given out.
    pub fn consumed_position(&self) -> Position {
        self.consumed
    }

    /// True when everything that was given out is delivered.
    pub fn is_settled(&self) -> bool {
        self.committed.offset_bytes == self.consumed.offset_bytes
    }

    /// Takes back the unterminated end that was given out last.
    pub fn take_back(&mut self) {
        if let Some((position, searched_to)) = self.before_end.take().map(|before| *before) {
            self.searched_to = searched_to;
            // What was given out may have been the first line, which is not whole then.
            self.source_file = self.source_file.take().filter(|_| position.offset_bytes > 0);
            self.consumed = position;
        }
    }

    /// Looks at the file again through its handle, which also works when its name is gone. Returns whether its size is
    /// another one.
    ///
    /// # Errors
    /// When the file cannot be looked at.
    pub fn look(&mut self) -> io::Result<bool> {
        let metadata = self.handle.metadata()?;
        Ok(self.seen(&metadata))
    }

    /// Takes note of what somebody saw of it. Returns whether its size is another one.
    pub fn seen(&mut self, metadata: &Metadata) -> bool {
        if self.compressed.is_some() {
            return self.seen_compressed(metadata);
        }
        let is_resized = metadata.len() != self.size_bytes;
        let modified = metadata.modified().ok();
        if metadata.len() != self.size_bytes || modified != self.modified {
            self.changed = Instant::now();
            self.news = true;
        }
        if metadata.len() < self.size_bytes {
            let left_bytes = metadata.len().max(self.consumed.offset_bytes);
            self.lost_bytes += self.content_end().saturating_sub(left_bytes);
            self.proven_bytes = self.proven_bytes.min(left_bytes);
        }
        self.cut |= metadata.len() < self.consumed.offset_bytes;
        self.size_bytes = metadata.len();
        self.stored_bytes = metadata.len();
        self.modified = modified;
        is_resized
    }

    fn seen_compressed(&mut self, metadata: &Metadata) -> bool {
        let is_resized = metadata.len() != self.stored_bytes;
        // Written without growing, into space that was allocated ahead.
        let is_filled = metadata.modified().ok() != self.modified && (self.flaw().is_some() || !self.is_known());
        if is_resized || is_filled {
            self.changed = Instant::now();
            self.news = true;
            self.complained = false;
            // What was found out about it has to be found out again, also of one that is being read.
            if self.knowledge != Knowledge::Candidate {
                self.knowledge = Knowledge::Undecided;
            }
            self.stored_bytes = metadata.len();
            self.modified = metadata.modified().ok();
            if let Some(compressed) = &self.compressed {
                compressed.borrow_mut().restart();
            }
        }
        is_resized
    }

    /// How long it is neither found under the name that it had nor seen to change; `None` while it is.
    pub fn left_alone_for(&self) -> Option<Duration> {
        match self.standing {
            Standing::Present => None,
            Standing::Rotated(since) | Standing::Gone(since) | Standing::Salvaged(since) => {
                Some(since.max(self.changed).elapsed())
            }
        }
    }

    /// True when it has no name left.
    pub fn is_deleted(&self) -> bool {
        self.handle.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }

    /// Follows a rename.
    pub fn renamed(&mut self, path: &Path) {
        self.path = Arc::from(path);
        self.standing = Standing::Rotated(Instant::now());
        // The digest of the first line stays, even if the first line does not.
        if let Some(source_file) = &mut self.source_file {
            Arc::make_mut(source_file).path = path.to_string_lossy().into_owned();
        }
    }

    /// Goes on in a copy, which [`TailedFile::continues`] has found to have what was read. Returns the file that was
    /// overwritten, to begin anew.
    pub fn move_to(&mut self, mut copy: TailedFile) -> TailedFile {
        std::mem::swap(&mut self.handle, &mut copy.handle);
        std::mem::swap(&mut self.compressed, &mut copy.compressed);
        std::mem::swap(&mut self.stored_bytes, &mut copy.stored_bytes);
        std::mem::swap(&mut self.id, &mut copy.id);
        std::mem::swap(&mut self.size_bytes, &mut copy.size_bytes);
        std::mem::swap(&mut self.modified, &mut copy.modified);
        std::mem::swap(&mut self.standing, &mut copy.standing);
        let copy_path = std::mem::replace(&mut copy.path, Arc::clone(&self.path));
        self.renamed(&copy_path);
        self.changed = Instant::now();
        self.cut = false;
        self.lost_bytes = 0;
        self.news = true;
        copy.knowledge = Knowledge::Known;
        copy.queued = false;
        copy
    }

    /// Where it is now, as far as can be told: a file that was renamed out of the globs is asked for its name.
    fn found_at(&self) -> PathBuf {
        if let Standing::Gone(_) = self.standing
            && let Ok(path) = fs_err::read_link(format!("/proc/self/fd/{}", self.handle.as_raw_fd()))
            && fs_err::metadata(&path).is_ok_and(|metadata| FileId::of(&metadata) == self.id)
        {
            return path;
        }
        self.path.to_path_buf()
    }

    /// The inode in its lines' ids.
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// When it was written to last.
    pub fn modified(&self) -> Option<SystemTime> {
        self.modified
    }

    /// The entry for the checkpoint.
    pub fn entry(&self, finished: bool) -> FileEntry {
        FileEntry {
            path: self.found_at().to_string_lossy().into_owned(),
            inode: self.inode,
            device: self.id.device,
            generation: self.generation,
            head: self.head,
            head_offset_bytes: self.head_offset_bytes,
            first_line_sha256: self.first_line_kept.as_ref().map(|digest| hexadecimal(&**digest)),
            committed: self.committed,
            passed_over_bytes: self.passed_over_bytes,
            observed_offset_bytes: self.observed_offset_bytes,
            size_bytes: self.content_end(),
            replaced: false,
            finished,
            compressed_bytes: self.compressed.is_some().then_some(self.stored_bytes),
            salvage: self.salvage().filter(|_| !finished).map(str::to_owned),
            held_by_inode: (self.id.inode != self.inode).then_some(self.id.inode),
            updated: Utc::now(),
        }
    }
}

fn is_one_line(bytes: &[u8], line_bytes_max: usize) -> bool {
    !bytes.is_empty() && bytes.len() <= line_bytes_max && memchr::memchr(b'\n', bytes).is_none()
}
