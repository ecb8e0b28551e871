//! Storage: what lies on the disk under a name, read by offset of its content, whether it is plain or compressed.

use std::cell::{RefCell, RefMut};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::source::files::compressed::{Decompressed, Examined, Flaw, MAGIC_BYTES_MAX, Nature, nature};
use crate::state::checkpoint::Position;

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

/// An open file, and how large it was when somebody looked at it last.
#[derive(Debug)]
pub(super) struct Storage {
    pub(super) id: FileId,
    /// The size of the content, in bytes.
    pub(super) content_bytes: u64,
    /// The size of the file itself, in bytes; another one only where it is compressed.
    pub(super) stored_bytes: u64,
    pub(super) modified: Option<SystemTime>,
    handle: Arc<File>,
    /// Its content, if it is a compressed file.
    archive: Option<Box<RefCell<Decompressed>>>,
}

impl Storage {
    /// Takes a file that has just been opened.
    pub(super) fn new(handle: fs_err::File, metadata: &Metadata) -> Storage {
        let handle = Arc::new(handle.into_parts().0);
        Storage {
            id: FileId::of(metadata),
            content_bytes: metadata.len(),
            stored_bytes: metadata.len(),
            modified: metadata.modified().ok(),
            archive: Decompressed::of(&handle).map(|archive| Box::new(RefCell::new(archive))),
            handle,
        }
    }

    /// What it says through its handle, which also works when its name is gone.
    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        self.handle.metadata()
    }

    /// True when it has no name left.
    pub(super) fn is_deleted(&self) -> bool {
        self.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }

    /// The name that it has now, as the system says.
    pub(super) fn name(&self) -> Option<PathBuf> {
        let path = fs_err::read_link(format!("/proc/self/fd/{}", self.handle.as_raw_fd())).ok()?;
        let is_it = fs_err::metadata(&path).is_ok_and(|metadata| FileId::of(&metadata) == self.id);
        is_it.then_some(path)
    }

    /// Whether it is a compressed file.
    pub(super) fn is_compressed(&self) -> bool {
        self.archive.is_some()
    }

    /// The compressed content; `None` of a plain file.
    pub(super) fn archive(&self) -> Option<RefMut<'_, Decompressed>> {
        self.archive.as_ref().map(|archive| archive.borrow_mut())
    }

    /// What it is by its first bytes now. One that turns out to be compressed is read as that from now on.
    pub(super) fn find_nature(&mut self, path: &Path) -> io::Result<Nature> {
        if self.archive.is_none() {
            let nature = nature(path, &self.read_at(0, MAGIC_BYTES_MAX)?);
            if nature != Nature::Compressed {
                return Ok(nature);
            }
            let Some(archive) = Decompressed::of(&self.handle) else { return Ok(Nature::Unknown) };
            self.archive = Some(Box::new(RefCell::new(archive)));
        }
        Ok(Nature::Compressed)
    }

    /// What is wrong with a compressed file that was examined.
    pub(super) fn flaw(&self) -> Option<Flaw> {
        self.archive()?.flaw()
    }

    /// Goes on finding out what a compressed file holds, for about so many bytes of the content.
    pub(super) fn examine(&mut self, bytes: u64) -> Option<Examined> {
        let (examined, length_bytes) = {
            let mut archive = self.archive()?;
            (archive.examine(bytes), archive.length_bytes())
        };
        self.content_bytes = length_bytes.unwrap_or(self.content_bytes);
        Some(examined)
    }

    /// Whether the length of the content is known.
    pub(super) fn is_measured(&self) -> bool {
        self.archive().is_none_or(|archive| archive.length_bytes().is_some())
    }

    /// Whether it is long enough; not known of a compressed file that was not examined.
    pub(super) fn reaches(&self, position: &Position) -> bool {
        !self.is_measured() || self.content_bytes >= position.offset_bytes
    }

    /// Whether the bytes just before a position are those that were there. A compressed file has to be examined first.
    pub(super) fn has_before(&self, position: &Position) -> io::Result<bool> {
        if let Some(mut archive) = self.archive() {
            return Ok(archive.has_before(position));
        }
        let tail = &position.tail;
        let start = position.offset_bytes.saturating_sub(tail.length_bytes.into());
        Ok(tail.matches(&self.read_at(start, tail.length_bytes as usize)?))
    }

    /// Up to `length` bytes from an offset; fewer mean the end of the file.
    pub(super) fn read_at(&self, offset_bytes: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut buffer = Vec::new();
        let read = self.read_into(&mut buffer, offset_bytes, length)?;
        buffer.truncate(read);
        Ok(buffer)
    }

    /// The same into a buffer, which grows as needed. Returns how many bytes there were.
    pub(super) fn read_into(&self, buffer: &mut Vec<u8>, offset_bytes: u64, length: usize) -> io::Result<usize> {
        if buffer.len() < length {
            buffer.resize(length, 0);
        }
        if let Some(mut archive) = self.archive() {
            return Ok(archive.read_at(&mut buffer[..length], offset_bytes));
        }
        let mut filled = 0;
        while filled < length {
            match self.handle.read_at(&mut buffer[filled..length], offset_bytes + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}
