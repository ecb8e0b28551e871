//! The folder of a dead letter: which files are in it, and how much do they take?

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The files of a dead letter, in the order of their days.
pub(super) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "ndjson") {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// How much all entries take, in bytes.
pub(super) fn used_bytes(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for path in files(folder)? {
        match fs_err::metadata(&path) {
            Ok(metadata) => bytes += metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

/// Whether an open file is still the one under its path: its entries would be lost in one that was removed.
pub(super) fn is_at(file: &std::fs::File, path: &Path) -> bool {
    let (Ok(open), Ok(named)) = (file.metadata(), fs_err::metadata(path)) else { return false };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

/// Removes what a crash left of a file that was being sifted; the file itself is whole.
pub(super) fn remove_leftovers(folder: &Path) -> io::Result<()> {
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "tmp") {
            fs_err::remove_file(path)?;
        }
    }
    Ok(())
}
