//! Why the ledger cannot be used.

use std::io;
use std::path::PathBuf;

/// Why the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file cannot be opened or created.
    #[error("cannot open the ledger of outcomes `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// SQLite failed in the middle of its work.
    #[error("cannot use the ledger of outcomes `{}`", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The file is something else.
    #[error("`{}` is no ledger of outcomes: it holds something else", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file's layout is newer than this program.
    #[error("the ledger `{}` has layout {found}; this version of inferlog knows layouts up to {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The layout in the file.
        found: i64,
        /// The newest layout that this program knows.
        known: i64,
    },
}
