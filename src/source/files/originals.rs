//! Originals: of which remembered file is a file the copy?

use std::io;
use std::path::Path;

use super::file::{FileId, TailedFile};
use super::likeness::{Beginning, is_named_alike};
use super::regular::open_regular;
use super::remembered::Remembered;
use crate::flow::ack::FileNumber;
use crate::state::checkpoint::{FileEntry, HEAD_BYTES_MAX};

/// A beginning of this many bytes that is the same is worth a word.
const HEAD_EVIDENCE_BYTES: usize = 64;

/// Takes out the entry of which a file is the copy, if it is one.
pub(super) fn take_copied(remembered: &mut Remembered, file: &TailedFile) -> io::Result<Option<FileEntry>> {
    let found = find_copied(remembered, file, false)?;
    Ok(found.and_then(|(inode, position)| remembered.take_at(inode, position)))
}

/// Finds the entry of which a file is the copy; with `even_there`, whether or not the original is under its path.
pub(super) fn find_copied(
    remembered: &Remembered,
    file: &TailedFile,
    even_there: bool,
) -> io::Result<Option<(u64, usize)>> {
    let mut beginning = Beginning::of(file)?;
    let mut best: Option<(u64, u64, usize)> = None;
    for (inode, position, entry) in remembered.numbered() {
        let committed_bytes = entry.committed.offset_bytes;
        let is_farther = best.is_none_or(|(farthest, ..)| committed_bytes > farthest);
        let is_evidence = !entry.finished || entry.head.length_bytes as usize >= HEAD_BYTES_MAX;
        let is_rotation = || is_named_alike(&file.path, Path::new(&entry.path));
        // What was overwritten is not in the file that it was overwritten in.
        let is_elsewhere = !entry.replaced || inode != file.id().inode;
        if committed_bytes > 0
            && is_farther
            && is_elsewhere
            && (is_evidence || is_rotation())
            && beginning.is_that_of(entry)
            && file.is_same(entry)?
            && (even_there || !is_under_its_path(entry))
        {
            best = Some((committed_bytes, inode, position));
        }
    }
    Ok(best.map(|(_, inode, position)| (inode, position)))
}

/// The entry of a file that is gone, of which something was delivered, and which began as this one does.
pub(super) fn gone_that_begins_as<'r>(remembered: &'r Remembered, file: &TailedFile) -> Option<&'r FileEntry> {
    let mut beginning = Beginning::of(file).ok()?;
    remembered.iter().find(|entry| {
        entry.committed.offset_bytes > 0
            && !entry.replaced
            && entry.head_offset_bytes == 0
            && entry.head.length_bytes as usize >= HEAD_EVIDENCE_BYTES
            && is_named_alike(&file.path, Path::new(&entry.path))
            && beginning.is_that_of(entry)
            && !is_under_its_path(entry)
    })
}

/// Whether the content of an entry is where it was.
fn is_under_its_path(entry: &FileEntry) -> bool {
    let path = Path::new(&entry.path);
    let Ok(handle) = open_regular(path) else { return false };
    let Ok(metadata) = handle.metadata() else { return false };
    !entry.replaced
        && FileId::of(&metadata).inode == entry.holder_inode()
        && TailedFile::new(FileNumber::MAX, path, handle, &metadata).is_same(entry).unwrap_or(false)
}
