//! Regular files: what is opened to be read is one, whatever stood under its name when that was looked at.
//!
//! Whoever may write into a watched folder can put something else there between the look and the opening: a pipe, which
//! would be waited for; a device; a link to what is not theirs. Links are followed, since container runtimes and rotations
//! use them: what inferlog's user may read can be read so. What is inferlog's own state is not.

use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::OFlags;

use crate::state::folder::{admin_token_file, lock_file};

/// Opens a file to be read, without waiting for anything.
///
/// # Errors
/// When it cannot be opened, or is none.
pub(super) fn open_regular(path: &Path) -> io::Result<fs_err::File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = fs_err::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")),
    }
}

/// The same for a file that may be a link to inferlog's own state, which is refused: what was said to others there would come
/// back as records.
///
/// It is refused before it is opened: to close a descriptor of one of SQLite's files drops every lock that this process
/// has on that file, and another reader would then take the store for unused. One that was put there in between stays
/// open for the same reason.
///
/// # Errors
/// When it cannot be opened, is none, or is own state.
pub(super) fn open_foreign(path: &Path, data_dir: &Path) -> io::Result<fs_err::File> {
    let refused = || io::Error::new(io::ErrorKind::InvalidInput, "it is part of inferlog's own state");
    if is_own_state(path, data_dir) {
        return Err(refused());
    }
    let file = open_regular(path)?;
    let opened = fs_err::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap_or_else(|_| path.to_owned());
    if is_own_state(&opened, data_dir) {
        std::mem::forget(file);
        return Err(refused());
    }
    Ok(file)
}

/// Whether a path leads to what inferlog keeps below its folder of state.
fn is_own_state(path: &Path, data_dir: &Path) -> bool {
    let (Ok(real), Ok(data_dir)) = (path.canonicalize(), data_dir.canonicalize()) else { return false };
    let Ok(below) = real.strip_prefix(&data_dir) else { return false };
    let folder = below.components().next().map(|first| data_dir.join(first));
    folder.is_some_and(|folder| lock_file(&folder).exists()) || real == admin_token_file(&data_dir)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs_err::write(path("file"), "x").unwrap();
        symlink(path("file"), path("link")).unwrap();
        symlink("/dev/zero", path("device")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
        for (name, is_opened) in [("file", true), ("link", true), ("device", false), ("pipe", false), (".", false)] {
            assert_eq!(open_regular(&path(name)).is_ok(), is_opened, "{name}");
        }
    }

    #[test]
    fn own_state_is_told_from_what_lies_beside_it() {
        let data = tempfile::tempdir().unwrap();
        let path = |name: &str| data.path().join(name);
        for folder in ["p/dead_letter", "logs"] {
            fs_err::create_dir_all(path(folder)).unwrap();
        }
        for file in ["p/lock", "p/dead_letter/1.ndjson", "admin.token", "logs/a.ndjson"] {
            fs_err::write(path(file), "x").unwrap();
        }
        symlink(path("p"), path("logs/p")).unwrap();
        symlink(path("admin.token"), path("logs/t.ndjson")).unwrap();
        for (name, expected) in [
            ("p/dead_letter/1.ndjson", true),
            ("logs/p/dead_letter/1.ndjson", true),
            ("admin.token", true),
            ("logs/t.ndjson", true),
            ("logs/a.ndjson", false),
        ] {
            assert_eq!(is_own_state(&path(name), data.path()), expected, "{name}");
            assert_eq!(open_foreign(&path(name), data.path()).is_err(), expected, "{name}");
        }
    }
}
