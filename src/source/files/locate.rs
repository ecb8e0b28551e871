//! Locating: where is the content of a checkpoint's entry now, to be read once more from its beginning?
//!
//! Under its path, under another name in the same folder, or in a copy there, also a compressed one. Nothing is opened
//! for writing, and nothing is told to the files that are being tailed.

use std::io;
use std::path::Path;

use super::compressed::Examined;
use super::file::{FileId, TailedFile};
use super::likeness::is_named_alike;
use super::regular::open_regular;
use crate::flow::ack::FileNumber;
use crate::state::checkpoint::{FileEntry, Position};

/// Finds the content of an entry, as far as the entry goes; `None` when it is gone.
pub fn locate(entry: &FileEntry) -> Option<TailedFile> {
    let path = Path::new(&entry.path);
    if let Ok(Some(file)) = open(path, entry) {
        return Some(file);
    }
    let beside: Vec<_> = fs_err::read_dir(path.parent()?).ok()?.flatten().map(|candidate| candidate.path()).collect();
    // By inode first: a copy is only as good where the file itself is gone.
    let has_inode = |candidate: &Path| {
        fs_err::metadata(candidate).is_ok_and(|metadata| FileId::of(&metadata).inode == entry.holder_inode())
    };
    let by_inode = beside.iter().filter(|candidate| has_inode(candidate));
    let copies = beside.iter().filter(|candidate| is_named_alike(candidate, path) && !has_inode(candidate));
    by_inode.chain(copies).find_map(|candidate| open(candidate, entry).ok().flatten())
}

/// Opens a candidate, to be read from its beginning under the entry's identity, if it has the entry's content.
fn open(path: &Path, entry: &FileEntry) -> io::Result<Option<TailedFile>> {
    let metadata = fs_err::metadata(path)?;
    if !metadata.is_file() {
        return Ok(None);
    }
    let mut file = TailedFile::new(FileNumber::MAX, path, open_regular(path)?, &metadata);
    if entry.head_offset_bytes == 0 && !entry.head.matches(&file.beginning(entry.head.length_bytes as usize)?) {
        return Ok(None);
    }
    if file.is_compressed() {
        // The first look notes what is to be compared on the way through the content; the second one knows.
        let _ = file.is_same(entry)?;
        while file.examine(u64::MAX) == Some(Examined::No) {}
    }
    if !file.is_same(entry)? {
        return Ok(None);
    }
    file.resume(&FileEntry { committed: Position::default(), ..entry.clone() });
    Ok(Some(file))
}
