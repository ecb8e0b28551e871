//! Likeness: is the content of a file that of one that is known, by how it begins and by its name?

use std::collections::HashMap;
use std::io;
use std::path::Path;

use super::file::TailedFile;
use crate::state::checkpoint::{FileEntry, Fingerprint, HEAD_BYTES_MAX};

/// Whether a name may be that of a rotation of another: both begin alike, up to the first dot of the original.
pub(super) fn is_named_alike(path: &Path, original: &Path) -> bool {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let original = name(original);
    let stem = original.split('.').next().unwrap_or_default();
    !stem.is_empty() && name(path).starts_with(stem)
}

/// How a file begins, for comparing it with many entries.
pub(super) struct Beginning {
    bytes: Vec<u8>,
    digests: HashMap<u32, Fingerprint>,
}

impl Beginning {
    /// Reads it.
    pub(super) fn of(file: &TailedFile) -> io::Result<Beginning> {
        Ok(Beginning { bytes: file.beginning(HEAD_BYTES_MAX)?, digests: HashMap::new() })
    }

    /// Whether the content of an entry begins so.
    pub(super) fn is_that_of(&mut self, entry: &FileEntry) -> bool {
        if entry.head_offset_bytes > 0 {
            // It stands elsewhere, and is compared when everything is.
            return true;
        }
        let length_bytes = entry.head.length_bytes;
        let Some(head) = self.bytes.get(..length_bytes as usize) else { return false };
        *self.digests.entry(length_bytes).or_insert_with(|| Fingerprint::of(head)) == entry.head
    }
}
