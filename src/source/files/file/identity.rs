//! Identity: what is a file known by, and is its content that of another?

use super::*;

impl TailedFile {
    /// Whether the file's content is that of a checkpoint's entry as far as the entry goes.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn is_same(&self, entry: &FileEntry) -> io::Result<bool> {
        Ok(self.reaches(&entry.committed)
            && entry.head.matches(&self.read_at(entry.head_offset_bytes, entry.head.length_bytes as usize)?)
            && self.has_before(&entry.committed)?)
    }

    /// Whether it is long enough; not known of a compressed file that was not examined.
    pub(super) fn reaches(&self, position: &Position) -> bool {
        !self.is_measured() || self.size_bytes >= position.offset_bytes
    }

    /// Whether the bytes just before a position are those that were there. A compressed file has to be examined first.
    pub(super) fn has_before(&self, position: &Position) -> io::Result<bool> {
        if let Some(compressed) = &self.compressed {
            return Ok(compressed.borrow_mut().has_before(position));
        }
        let tail = &position.tail;
        let start = position.offset_bytes.saturating_sub(tail.length_bytes.into());
        Ok(tail.matches(&self.read_at(start, tail.length_bytes as usize)?))
    }

    /// What people are told of the file. Reads its first line at the first call.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn source_file(&mut self) -> io::Result<Arc<SourceFile>> {
        if let Some(source_file) = &self.source_file {
            return Ok(Arc::clone(source_file));
        }
        let first_line_sha256 = self.first_line_sha256()?;
        self.keep_first_line(first_line_sha256)?;
        let source_file = Arc::new(SourceFile {
            path: self.path.to_string_lossy().into_owned(),
            inode: self.inode,
            generation: self.generation,
            first_line_sha256,
        });
        self.source_file = Some(Arc::clone(&source_file));
        Ok(source_file)
    }

    /// The digest of its first line without the end, or of the first part of a long one. A gap at the beginning is no part
    /// of it.
    fn first_line_sha256(&self) -> io::Result<[u8; 32]> {
        if let Some(kept) = &self.first_line_kept {
            return Ok(**kept);
        }
        if let Some(compressed) = &self.compressed {
            return Ok(compressed.borrow_mut().first_line_sha256());
        }
        Ok(digest::first_line_sha256(&self.first_line()?))
    }

    fn first_line(&self) -> io::Result<Vec<u8>> {
        let mut bytes = self.read_at(self.head_offset_bytes, 4 * 1024)?;
        if memchr::memchr(b'\n', &bytes).is_none() {
            bytes = self.read_at(self.head_offset_bytes, digest::FIRST_LINE_BYTES_MAX)?;
        }
        bytes.truncate(memchr::memchr(b'\n', &bytes).unwrap_or(bytes.len()));
        Ok(bytes)
    }

    /// Keeps the digest of a first line that may still change.
    fn keep_first_line(&mut self, sha256: [u8; 32]) -> io::Result<()> {
        let is_torn = self.head_offset_bytes > 0 || memchr::memchr(0, &self.first_line()?).is_some();
        if self.compressed.is_none() && is_torn {
            self.first_line_kept = Some(Box::new(sha256));
        }
        Ok(())
    }

    /// Its first bytes, at most `bytes_max`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn beginning(&self, bytes_max: usize) -> io::Result<Vec<u8>> {
        self.read_at(0, bytes_max)
    }

    /// Whether its content is, as far as it goes, that of an open file of which something was read.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn begins_as(&self, open: &TailedFile) -> io::Result<bool> {
        if self.size_bytes > open.size_bytes {
            return Ok(false);
        }
        let end = self.size_bytes.saturating_sub(TAIL_BYTES_MAX as u64);
        Ok(self.read_at(0, HEAD_BYTES_MAX)? == open.read_at(0, HEAD_BYTES_MAX.min(self.size_bytes as usize))?
            && self.read_at(end, TAIL_BYTES_MAX)? == open.read_at(end, (self.size_bytes - end) as usize)?)
    }

    /// Whether its content is what was read of a file whose own content was overwritten.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn continues(&self, overwritten: &TailedFile) -> io::Result<bool> {
        if overwritten.consumed.offset_bytes == 0 {
            return Ok(false);
        }
        let Some(source_file) = &overwritten.source_file else { return self.is_same(&overwritten.entry(false)) };
        Ok(self.reaches(&overwritten.consumed)
            && self.first_line_sha256()? == source_file.first_line_sha256
            && overwritten
                .head
                .matches(&self.read_at(overwritten.head_offset_bytes, overwritten.head.length_bytes as usize)?)
            && self.has_before(&overwritten.consumed)?)
    }

    /// Whether what was read of it is not there any more.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_overwritten(&self) -> io::Result<bool> {
        Ok(self.cut || !self.has_before(&self.consumed)?)
    }
}
