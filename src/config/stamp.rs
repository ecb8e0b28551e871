//! Stamps: is a file that a pipeline was made of still the one that was read?

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What changes with a file's content, without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    length_bytes: u64,
    /// Nanoseconds since 1970.
    modified_ns: i128,
}

impl Stamp {
    /// That of a file as it is now; `None` when it cannot be looked at.
    pub(super) fn of(path: &Path) -> Option<Stamp> {
        let metadata = std::fs::metadata(path).ok()?;
        let modified_ns = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
        Some(Stamp { inode: metadata.ino(), length_bytes: metadata.len(), modified_ns })
    }
}
