//! What can go wrong with the store, and what to do about it.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::flow::answer::Trouble;

/// Why the store cannot be used, or cannot be used now.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened or created.
    #[error("cannot open the store `{}`", path.display())]
    File {
        /// The store's file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// SQLite failed in the middle of its work.
    #[error("cannot use the store `{}`", path.display())]
    Sqlite {
        /// The store's file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The file is something else.
    #[error("`{}` is not a store of inferlog: it holds something else", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file's layout is newer than this program.
    #[error("the store `{}` has layout {found}; this version of inferlog knows layouts up to {known}", path.display())]
    Newer {
        /// The store's file.
        path: PathBuf,
        /// The layout in the file.
        found: i64,
        /// The newest layout that this program knows.
        known: i64,
    },
    /// Nothing may be deleted to make room.
    #[error("store is at its bytes_max and everything in it is younger than at_least: `{}`, {bytes_max} bytes", path.display())]
    NoRoom {
        /// The store's file.
        path: PathBuf,
        /// The limit.
        bytes_max: u64,
    },
    /// The retention cannot be kept.
    #[error("the store's retention contradicts itself: {problem}")]
    Retention {
        /// What contradicts what.
        problem: String,
    },
    /// No thread could be started.
    #[error("cannot start the store's thread")]
    Thread {
        /// What the system says.
        source: io::Error,
    },
}

impl StoreError {
    pub(super) fn file(path: &Path, source: io::Error) -> Self {
        StoreError::File { path: path.to_owned(), source }
    }

    /// Names the file; what SQLite cannot read as a database is a foreign file.
    pub(super) fn sqlite(path: &Path, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => StoreError::Foreign { path: path.to_owned() },
            _ => StoreError::Sqlite { path: path.to_owned(), source },
        }
    }

    /// Whether somebody did not want to wait for the answer any longer.
    pub fn is_interrupted(&self) -> bool {
        match self {
            StoreError::Sqlite { source, .. } => source.sqlite_error_code() == Some(ErrorCode::OperationInterrupted),
            _ => false,
        }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            StoreError::File { source, .. } => file_hint(source.kind()),
            StoreError::Sqlite { source, .. } => source.sqlite_error_code().and_then(sqlite_hint),
            StoreError::Foreign { .. } => Some("give `store:` another `path`, or move that file away"),
            StoreError::Newer { .. } => Some("use the newer inferlog, or give `store:` another `path`"),
            StoreError::NoRoom { .. } => Some(
                "raise `bytes_max`, lower `at_least`, or wait: it goes on by itself when the oldest records may be deleted",
            ),
            StoreError::Retention { .. } | StoreError::Thread { .. } => None,
        }
    }

    /// The whole chain in one line, for a delivery that waits.
    pub fn trouble(&self) -> Trouble {
        let mut problem = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            problem.push_str(": ");
            problem.push_str(&error.to_string());
            cause = error.source();
        }
        Trouble { problem, hint: self.hint().map(str::to_owned) }
    }
}

fn file_hint(kind: io::ErrorKind) -> Option<&'static str> {
    match kind {
        io::ErrorKind::NotFound => Some("create its folder, or give `store:` another `path`"),
        io::ErrorKind::PermissionDenied => Some("let inferlog's user read and write the file and its folder"),
        io::ErrorKind::IsADirectory => Some("name a file, not a folder"),
        io::ErrorKind::ReadOnlyFilesystem => Some("mount the volume for writing, or give `store:` another `path`"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some("free some space; it goes on by itself"),
        _ => None,
    }
}

fn sqlite_hint(code: ErrorCode) -> Option<&'static str> {
    match code {
        ErrorCode::DiskFull => {
            Some("free some space on its volume, or set `retention: { bytes_max: … }`; it goes on by itself")
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            Some("another program is writing to it: end that program; reading disturbs nobody")
        }
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen => {
            Some("let inferlog's user read and write the file and its folder, and see that the volume is not read-only")
        }
        ErrorCode::SystemIoFailure => Some("look at the volume's health (`dmesg`) and its free space"),
        ErrorCode::DatabaseCorrupt => Some(
            "move the file and its `-wal` aside, keep them for `sqlite3 FILE .recover`; a new store is begun by itself",
        ),
        _ => None,
    }
}
