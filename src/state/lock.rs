//! Who works on the state of a pipeline: one process at a time.

use std::fs::{File, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// What keeps a process from working on a folder of state.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process works on the same state.
    #[error("another inferlog process uses `{folder}`: stop it, or give this one its own `--data-dir`")]
    Locked {
        /// The pipeline's folder of state.
        folder: PathBuf,
    },
    /// The folder of state cannot be used.
    #[error("cannot use the folder of state `{folder}`")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Makes the folder and takes the lock on it, which ends with the process however it ends.
///
/// # Errors
/// When another process holds it, or the folder cannot be made or written to.
pub fn lock(folder: &Path) -> Result<File, LockError> {
    let failed = |source| LockError::Folder { folder: folder.to_owned(), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let file = super::folder::lock_file(folder);
    let file = File::options().create(true).append(true).mode(0o600).open(file).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LockError::Locked { folder: folder.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}
