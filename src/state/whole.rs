//! Whole files: written so that a crash or a power loss leaves the old one or the new one, nothing else.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use fs_err::os::unix::fs::OpenOptionsExt as _;

/// Writes a JSON file beside its place, and puts it there when it is on disk.
///
/// # Errors
/// When the file system fails; the old file is then still there.
pub fn write_whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let temporary = path.with_extension("json.tmp");
    // What a process remembers is nobody else's concern, whatever the mask of its user.
    let open = fs_err::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary);
    let mut file = BufWriter::new(open?);
    write(&mut file)?;
    file.into_inner()?.sync_data()?;
    fs_err::rename(&temporary, path)?;
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => fs_err::File::open(".")?.sync_all(),
        Some(folder) => fs_err::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
