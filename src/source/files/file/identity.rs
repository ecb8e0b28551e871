//! Identity: what are a file's content and its lines known by?
//!
//! The inode and the generation, which are part of its lines' ids and stay when a copy goes on for it; the digest of its
//! first bytes, and that of its first line. No digest covers a gap, since that may be filled after all.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::gap::without_nul_bytes;
use super::storage::Storage;
use crate::flow::batch::SourceFile;
use crate::flow::line::Form;
use crate::source::framing::Framing;
use crate::state::checkpoint::{FileEntry, Fingerprint, HEAD_BYTES_MAX};
use crate::text::digest::{self, from_hexadecimal};

#[derive(Debug)]
pub(super) struct Identity {
    /// The inode in its lines' ids: that of the original, if it is a copy.
    pub(super) inode: u64,
    /// How often the content began anew under that inode; 0 at first.
    pub(super) generation: u32,
    /// Its first bytes, from where the gap ends that it begins with.
    pub(super) head: Fingerprint,
    pub(super) head_offset_bytes: u64,
    /// The digest of its first line where that has a gap, which may be filled: it is part of the lines' ids and stays.
    pub(super) first_line_kept: Option<Box<[u8; 32]>>,
    /// How its lines are written, when enough of it was there to tell.
    form: Option<Form>,
    /// What people are told of it, when something was read.
    source_file: Option<Arc<SourceFile>>,
}

impl Identity {
    /// That of content of which nothing is known.
    pub(super) fn new(inode: u64, generation: u32) -> Identity {
        let (head, head_offset_bytes) = (Fingerprint::default(), 0);
        Identity { inode, generation, head, head_offset_bytes, first_line_kept: None, form: None, source_file: None }
    }

    /// Takes over that of an entry.
    pub(super) fn resume(&mut self, entry: &FileEntry) {
        self.inode = entry.inode;
        self.generation = entry.generation;
        self.head = entry.head;
        self.head_offset_bytes = entry.head_offset_bytes;
        self.first_line_kept = entry.first_line_sha256.as_deref().and_then(from_hexadecimal).map(Box::new);
    }

    /// Whether some content begins as this one does.
    pub(super) fn begins(&self, storage: &Storage) -> io::Result<bool> {
        begins(storage, &self.head, self.head_offset_bytes)
    }

    /// How its lines are written: told by its first bytes, and kept once nothing that is appended can change it, or when it
    /// `is_final`.
    pub(super) fn form(&mut self, storage: &Storage, framing: &Framing, is_final: bool) -> io::Result<Form> {
        if let Some(form) = self.form {
            return Ok(form);
        }
        let beginning = storage.read_at(self.head_offset_bytes, HEAD_BYTES_MAX)?;
        let form = framing.form(&beginning);
        if is_final || beginning.len() >= HEAD_BYTES_MAX || memchr::memchr(b'\n', &beginning).is_some() {
            self.form = Some(form);
        }
        Ok(form)
    }

    /// Whether it is known how its lines are written.
    pub(super) fn has_form(&self) -> bool {
        self.form.is_some()
    }

    /// What people are told of the file. Reads its first line at the first call.
    pub(super) fn source_file(&mut self, storage: &Storage, path: &Path) -> io::Result<&Arc<SourceFile>> {
        let known = match self.source_file.take() {
            Some(known) => known,
            None => {
                let first_line_sha256 = self.first_line_sha256(storage)?;
                self.keep_first_line(storage, first_line_sha256)?;
                let path = path.to_string_lossy().into_owned();
                let (inode, generation) = (self.inode, self.generation);
                let form = self.form.unwrap_or_default();
                Arc::new(SourceFile { path, inode, generation, first_line_sha256, form })
            }
        };
        Ok(self.source_file.insert(known))
    }

    /// The digest of the first line, if it was read.
    pub(super) fn known_first_line(&self) -> Option<&[u8; 32]> {
        self.source_file.as_ref().map(|source_file| &source_file.first_line_sha256)
    }

    /// Follows a rename. The digest of the first line stays, even if the first line does not.
    pub(super) fn renamed(&mut self, path: &Path) {
        if let Some(source_file) = &mut self.source_file {
            Arc::make_mut(source_file).path = path.to_string_lossy().into_owned();
        }
    }

    /// Forgets the first line: what was taken for it is not whole.
    pub(super) fn forget_first_line(&mut self) {
        (self.source_file, self.form) = (None, None);
    }

    /// The digest of the first line without its end, or of the first part of a long one. A gap at the beginning is no part
    /// of it.
    pub(super) fn first_line_sha256(&self, storage: &Storage) -> io::Result<[u8; 32]> {
        if let Some(kept) = &self.first_line_kept {
            return Ok(**kept);
        }
        if let Some(mut archive) = storage.archive() {
            return Ok(archive.first_line_sha256());
        }
        Ok(digest::first_line_sha256(&self.first_line(storage)?))
    }

    fn first_line(&self, storage: &Storage) -> io::Result<Vec<u8>> {
        let mut bytes = storage.read_at(self.head_offset_bytes, 4 * 1024)?;
        if memchr::memchr(b'\n', &bytes).is_none() {
            bytes = storage.read_at(self.head_offset_bytes, digest::FIRST_LINE_BYTES_MAX)?;
        }
        bytes.truncate(memchr::memchr(b'\n', &bytes).unwrap_or(bytes.len()));
        Ok(bytes)
    }

    /// Keeps the digest of a first line that may still change.
    fn keep_first_line(&mut self, storage: &Storage, sha256: [u8; 32]) -> io::Result<()> {
        let is_torn = self.head_offset_bytes > 0 || memchr::memchr(0, &self.first_line(storage)?).is_some();
        if !storage.is_compressed() && is_torn {
            self.first_line_kept = Some(Box::new(sha256));
        }
        Ok(())
    }

    /// Begins the head behind a gap that the file begins with.
    pub(super) fn begin_head_at(&mut self, storage: &Storage, offset_bytes: u64) -> io::Result<()> {
        (self.head_offset_bytes, self.form) = (offset_bytes, None);
        self.head = Fingerprint::of(&without_nul_bytes(storage.read_at(offset_bytes, HEAD_BYTES_MAX)?));
        Ok(())
    }

    /// Extends the digest of the first bytes over what is delivered. It ends before a gap.
    pub(super) fn extend_head(&mut self, storage: &Storage, committed_bytes: u64) {
        let covered_bytes = committed_bytes.saturating_sub(self.head_offset_bytes);
        let head_bytes = covered_bytes.min(HEAD_BYTES_MAX as u64) as usize;
        if head_bytes > self.head.length_bytes as usize
            && let Ok(head) = storage.read_at(self.head_offset_bytes, head_bytes).map(without_nul_bytes)
            && head.len() > self.head.length_bytes as usize
        {
            self.head = Fingerprint::of(&head);
        }
    }
}

/// Whether some content has these bytes where its head begins.
pub(super) fn begins(storage: &Storage, head: &Fingerprint, head_offset_bytes: u64) -> io::Result<bool> {
    Ok(head.matches(&storage.read_at(head_offset_bytes, head.length_bytes as usize)?))
}
