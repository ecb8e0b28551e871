//! Likeness: is the content of a file that of another, or of an entry?

use std::io;

use super::identity::begins;
use super::tailed::TailedFile;
use crate::state::checkpoint::{FileEntry, HEAD_BYTES_MAX, TAIL_BYTES_MAX};

impl TailedFile {
    /// Whether the file's content is that of a checkpoint's entry as far as the entry goes.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn is_same(&self, entry: &FileEntry) -> io::Result<bool> {
        Ok(self.storage.reaches(&entry.committed)
            && begins(&self.storage, &entry.head, entry.head_offset_bytes)?
            && self.storage.has_before(&entry.committed)?)
    }

    /// Its first bytes, at most `bytes_max`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn beginning(&self, bytes_max: usize) -> io::Result<Vec<u8>> {
        self.storage.read_at(0, bytes_max)
    }

    /// Whether its content is, as far as it goes, that of an open file of which something was read.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn begins_as(&self, open: &TailedFile) -> io::Result<bool> {
        if self.storage.content_bytes > open.storage.content_bytes {
            return Ok(false);
        }
        let end = self.storage.content_bytes.saturating_sub(TAIL_BYTES_MAX as u64);
        Ok(self.storage.read_at(0, HEAD_BYTES_MAX)?
            == open.storage.read_at(0, HEAD_BYTES_MAX.min(self.storage.content_bytes as usize))?
            && self.storage.read_at(end, TAIL_BYTES_MAX)?
                == open.storage.read_at(end, (self.storage.content_bytes - end) as usize)?)
    }

    /// Whether its content is what was read of a file whose own content was overwritten.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn continues(&self, overwritten: &TailedFile) -> io::Result<bool> {
        let consumed = overwritten.progress.consumed;
        if consumed.offset_bytes == 0 {
            return Ok(false);
        }
        let Some(first_line) = overwritten.identity.known_first_line() else {
            return self.is_same(&overwritten.entry(false));
        };
        Ok(self.storage.reaches(&consumed)
            && self.identity.first_line_sha256(&self.storage)? == *first_line
            && overwritten.identity.begins(&self.storage)?
            && self.storage.has_before(&consumed)?)
    }

    /// Whether what was read of it is not there any more.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_overwritten(&self) -> io::Result<bool> {
        Ok(self.loss.is_cut || !self.storage.has_before(&self.progress.consumed)?)
    }
}
