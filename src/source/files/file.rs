//! One tailed file: what is read of it, and is it still the file that it was?
//!
//! Nothing of a file is kept in memory between two reads: each read begins at the start of the first line that is not
//! consumed, with the few bytes before it, whose fingerprint shows whether the content was replaced. A line longer than
//! the limit is measured without being held.
//!
//! Offsets: `consumed` is the end of the last line given out, `committed` the end of what is delivered.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use chrono::Utc;
use sha2::{Digest, Sha256};

use crate::ack::FileNumber;
use crate::batch::SourceFile;
use crate::checkpoint::{FileEntry, Fingerprint, HEAD_BYTES_MAX, Position, TAIL_BYTES_MAX};

/// How much of a long first line goes into its digest, in bytes.
const FIRST_LINE_BYTES_MAX: usize = 64 * 1024;

/// Which file it is, as the file system says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    /// The device; it can change at a reboot.
    pub device: u64,
    /// The inode.
    pub inode: u64,
}

impl FileId {
    /// Takes it from metadata.
    pub fn of(metadata: &Metadata) -> FileId {
        FileId { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// Where a file is, seen from the globs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Found under its path at the last look.
    Present,
    /// Renamed or deleted since this moment; read to its end all the same.
    Gone(Instant),
}

/// A file that is being read.
#[derive(Debug)]
pub struct TailedFile {
    /// Its number in this process.
    pub number: FileNumber,
    /// Where it was seen last.
    pub path: PathBuf,
    /// Its device and inode.
    pub id: FileId,
    /// Whether it is still found.
    pub standing: Standing,
    /// Delivered up to here.
    pub committed: Position,
    /// Counted by the observers up to here.
    pub observed_offset_bytes: u64,
    /// Something of the checkpoint's entry changed since it was saved.
    pub dirty: bool,
    /// The size when it was last looked at, in bytes.
    pub size_bytes: u64,
    /// When it was last seen to change, or was opened.
    pub changed: Instant,
    /// There may be something to read.
    pub news: bool,
    modified: Option<SystemTime>,
    handle: fs_err::File,
    generation: u32,
    head: Fingerprint,
    consumed: Position,
    /// Where a line that is too long begins, while its end is looked for, and how far that is.
    long_line: Option<LongLine>,
    /// What was consumed before the unterminated end was given out.
    before_end: Option<Position>,
    source_file: Option<Arc<SourceFile>>,
}

#[derive(Clone, Copy, Debug)]
struct LongLine {
    searched_to: u64,
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
    /// A line longer than the limit, of which nothing was kept.
    LongLine {
        /// Where it begins in the file, in bytes.
        offset_bytes: u64,
        /// Its length in bytes, without the line end.
        length_bytes: u64,
    },
    /// Call again later in this round: work is going on.
    Busy,
    /// The content was replaced or cut: reading begins anew, as a new generation.
    Replaced,
    /// Nothing more now.
    End,
}

impl TailedFile {
    /// Starts with a file that has just been opened, from its first byte.
    pub fn new(number: FileNumber, path: &Path, handle: fs_err::File, metadata: &Metadata) -> TailedFile {
        TailedFile {
            number,
            path: path.to_owned(),
            id: FileId::of(metadata),
            standing: Standing::Present,
            committed: Position::default(),
            observed_offset_bytes: 0,
            dirty: true,
            size_bytes: metadata.len(),
            changed: Instant::now(),
            news: true,
            modified: metadata.modified().ok(),
            handle,
            generation: 0,
            head: Fingerprint::default(),
            consumed: Position::default(),
            long_line: None,
            before_end: None,
            source_file: None,
        }
    }

    /// Goes on where a checkpoint's entry for this inode ends, when head and tail show that it is the same content;
    /// otherwise from 0, as the next generation. Returns whether it was the same.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn resume(&mut self, entry: &FileEntry) -> io::Result<bool> {
        if self.is_same(entry)? {
            self.generation = entry.generation;
            self.head = entry.head.clone();
            self.committed = entry.committed.clone();
            self.consumed = entry.committed.clone();
            self.observed_offset_bytes = entry.observed_offset_bytes;
            self.dirty = entry.path != self.path.to_string_lossy() || entry.finished || entry.device != self.id.device;
            return Ok(true);
        }
        self.generation = entry.generation + 1;
        Ok(false)
    }

    /// Whether the file's content is that of a checkpoint's entry as far as the entry goes.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn is_same(&self, entry: &FileEntry) -> io::Result<bool> {
        let offset = entry.committed.offset_bytes;
        if self.size_bytes < offset {
            return Ok(false);
        }
        let tail = &entry.committed.tail;
        let tail_start = offset.saturating_sub(tail.length_bytes.into());
        Ok(entry.head.matches(&self.read_at(0, entry.head.length_bytes as usize)?)
            && tail.matches(&self.read_at(tail_start, tail.length_bytes as usize)?))
    }

    /// Passes over what is there now, up to the end of its last whole line.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn skip_to_end(&mut self) -> io::Result<()> {
        let mut end = self.size_bytes;
        while end > 0 {
            let start = end.saturating_sub(64 * 1024);
            let bytes = self.read_at(start, (end - start) as usize)?;
            if let Some(line_end) = memchr::memrchr(b'\n', &bytes) {
                let offset_bytes = start + line_end as u64 + 1;
                let tail_start = (line_end + 1).saturating_sub(TAIL_BYTES_MAX);
                let tail = Fingerprint::of(&bytes[tail_start..=line_end]);
                self.consumed = Position { offset_bytes, tail };
                self.committed = self.consumed.clone();
                self.observed_offset_bytes = offset_bytes;
                break;
            }
            end = start;
        }
        self.update_head()
    }

    /// Reads the next whole lines into `buffer`, which grows to a line's limit at most.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&mut self, buffer: &mut Vec<u8>, block_bytes: usize, line_bytes_max: usize) -> io::Result<Turn> {
        if let Some(long_line) = self.long_line {
            return self.search_line_end(long_line, buffer, block_bytes);
        }
        let overlap = self.consumed.tail.length_bytes as usize;
        let start = self.consumed.offset_bytes - overlap as u64;
        let mut wanted = overlap + block_bytes;
        loop {
            let length = self.read_into(buffer, start, wanted)?;
            if length < overlap || !self.consumed.tail.matches(&buffer[..overlap]) {
                self.begin_anew();
                return Ok(Turn::Replaced);
            }
            if let Some(line_end) = memchr::memrchr(b'\n', &buffer[overlap..length]) {
                return self.give_out(buffer, overlap..overlap + line_end + 1);
            }
            let at_end = length < wanted;
            if length - overlap > line_bytes_max {
                self.long_line = Some(LongLine { searched_to: start + length as u64 });
                return Ok(Turn::Busy);
            }
            if at_end {
                return Ok(Turn::End);
            }
            wanted = overlap + (2 * (wanted - overlap)).min(line_bytes_max + 1);
        }
    }

    /// The unterminated end of the file, as one line, if there is one within the limit.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn unterminated(&mut self, buffer: &mut Vec<u8>, line_bytes_max: usize) -> io::Result<Option<Turn>> {
        self.before_end = Some(self.consumed.clone());
        if let Some(long_line) = self.long_line.take() {
            let offset_bytes = self.consumed.offset_bytes;
            self.consume_unseen(long_line.searched_to)?;
            let length_bytes = long_line.searched_to - offset_bytes;
            return Ok(Some(Turn::LongLine { offset_bytes, length_bytes }));
        }
        let overlap = self.consumed.tail.length_bytes as usize;
        let start = self.consumed.offset_bytes - overlap as u64;
        let length = self.read_into(buffer, start, overlap + line_bytes_max + 1)?;
        if length <= overlap || !self.consumed.tail.matches(&buffer[..overlap]) {
            return Ok(None);
        }
        self.give_out(buffer, overlap..length).map(Some)
    }

    /// How many bytes of the file are not consumed.
    pub fn unread_bytes(&self) -> u64 {
        self.size_bytes.saturating_sub(self.consumed.offset_bytes)
    }

    /// The end of the last line given out.
    pub fn consumed_position(&self) -> Position {
        self.consumed.clone()
    }

    /// True when everything that was given out is delivered.
    pub fn is_settled(&self) -> bool {
        self.committed.offset_bytes == self.consumed.offset_bytes
    }

    /// Takes back the unterminated end that was given out last.
    pub fn take_back(&mut self) {
        if let Some(position) = self.before_end.take() {
            self.consumed = position;
        }
    }

    /// Looks at the file again through its handle, which also works when its name is gone.
    ///
    /// # Errors
    /// When the file cannot be looked at.
    pub fn look(&mut self) -> io::Result<()> {
        let metadata = self.handle.metadata()?;
        self.seen(&metadata);
        Ok(())
    }

    /// Takes note of what somebody saw of it.
    pub fn seen(&mut self, metadata: &Metadata) {
        let modified = metadata.modified().ok();
        if metadata.len() != self.size_bytes || modified != self.modified {
            self.changed = Instant::now();
            self.news = true;
        }
        self.size_bytes = metadata.len();
        self.modified = modified;
    }

    /// True when it has no name left.
    pub fn is_deleted(&self) -> bool {
        self.handle.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }

    /// Follows a rename.
    pub fn renamed(&mut self, path: &Path) {
        path.clone_into(&mut self.path);
        self.source_file = None;
        self.dirty = true;
    }

    /// What people are told of the file. Reads its first line at the first call.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn source_file(&mut self) -> io::Result<Arc<SourceFile>> {
        if let Some(source_file) = &self.source_file {
            return Ok(Arc::clone(source_file));
        }
        let mut bytes = self.read_at(0, 4 * 1024)?;
        if memchr::memchr(b'\n', &bytes).is_none() {
            bytes = self.read_at(0, FIRST_LINE_BYTES_MAX)?;
        }
        let end = memchr::memchr(b'\n', &bytes).unwrap_or(bytes.len());
        let source_file = Arc::new(SourceFile {
            path: self.path.to_string_lossy().into_owned(),
            inode: self.id.inode,
            generation: self.generation,
            first_line_sha256: Sha256::digest(&bytes[..end]).into(),
        });
        self.source_file = Some(Arc::clone(&source_file));
        Ok(source_file)
    }

    /// The entry for the checkpoint.
    pub fn entry(&mut self, finished: bool) -> FileEntry {
        FileEntry {
            path: self.path.to_string_lossy().into_owned(),
            inode: self.id.inode,
            device: self.id.device,
            generation: self.generation,
            head: self.head.clone(),
            committed: self.committed.clone(),
            observed_offset_bytes: self.observed_offset_bytes,
            finished,
            updated: Utc::now(),
        }
    }

    fn give_out(&mut self, buffer: &[u8], range: std::ops::Range<usize>) -> io::Result<Turn> {
        let offset_bytes = self.consumed.offset_bytes;
        let tail_start = range.end.saturating_sub(TAIL_BYTES_MAX).max(range.start);
        self.consumed.offset_bytes += range.len() as u64;
        self.consumed.tail = Fingerprint::of(&buffer[tail_start..range.end]);
        self.update_head()?;
        Ok(Turn::Lines { range, offset_bytes })
    }

    /// Looks for the end of a line that is too long, one block a turn.
    fn search_line_end(&mut self, line: LongLine, buffer: &mut Vec<u8>, block_bytes: usize) -> io::Result<Turn> {
        let length = self.read_into(buffer, line.searched_to, block_bytes)?;
        if length == 0 {
            if self.size_bytes < line.searched_to {
                self.begin_anew();
                return Ok(Turn::Replaced);
            }
            return Ok(Turn::End);
        }
        let Some(line_end) = memchr::memchr(b'\n', &buffer[..length]) else {
            self.long_line = Some(LongLine { searched_to: line.searched_to + length as u64 });
            return Ok(Turn::Busy);
        };
        let offset_bytes = self.consumed.offset_bytes;
        let end = line.searched_to + line_end as u64;
        self.long_line = None;
        self.consume_unseen(end + 1)?;
        Ok(Turn::LongLine { offset_bytes, length_bytes: end - offset_bytes })
    }

    /// Moves on to an offset whose bytes are not in a buffer.
    fn consume_unseen(&mut self, offset_bytes: u64) -> io::Result<()> {
        let tail = self.read_at(offset_bytes.saturating_sub(TAIL_BYTES_MAX as u64), TAIL_BYTES_MAX)?;
        self.consumed = Position { offset_bytes, tail: Fingerprint::of(&tail) };
        self.update_head()
    }

    /// The content is not what it was: everything begins at 0 again. Whoever sees [`Turn::Replaced`] gives the file a new
    /// number, so that acknowledgements of the old content are not taken for the new one.
    fn begin_anew(&mut self) {
        self.generation += 1;
        self.head = Fingerprint::default();
        self.consumed = Position::default();
        self.committed = Position::default();
        self.observed_offset_bytes = 0;
        self.long_line = None;
        self.source_file = None;
        self.dirty = true;
    }

    /// Lets the fingerprint of the head grow with the file.
    fn update_head(&mut self) -> io::Result<()> {
        let length = HEAD_BYTES_MAX.min(self.consumed.offset_bytes as usize);
        if length > self.head.length_bytes as usize {
            self.head = Fingerprint::of(&self.read_at(0, length)?);
        }
        Ok(())
    }

    fn read_at(&self, offset_bytes: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut buffer = Vec::new();
        let read = self.read_into(&mut buffer, offset_bytes, length)?;
        buffer.truncate(read);
        Ok(buffer)
    }

    /// Fills `buffer` with up to `length` bytes; fewer mean the end of the file.
    fn read_into(&self, buffer: &mut Vec<u8>, offset_bytes: u64, length: usize) -> io::Result<usize> {
        if buffer.len() < length {
            buffer.resize(length, 0);
        }
        let mut filled = 0;
        while filled < length {
            match self.handle.file().read_at(&mut buffer[filled..length], offset_bytes + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}
