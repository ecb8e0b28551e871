//! Where does the state of a pipeline lie?
//!
//! ```text
//! <data-dir>/admin.token      what changes a running process has to be asked with
//! <data-dir>/<pipeline>/
//!   lock                    held by the process that works on it
//!   checkpoint.json         drawn in `state/checkpoint.rs`
//!   dead_letter/            drawn in `dead_letter/mod.rs`
//!   salvage/                what was left of deleted files
//!   store.sqlite            the store, unless it has a `path`
//!   replay_request.json, replay_answer.ndjson    while a replay is handed over
//! ```
//!
//! These names stand here and nowhere else.

use std::path::{Path, PathBuf};

/// The folder of state: the flag, else `$INFERLOG_DATA_DIR`, else what the platform has for it: `$STATE_DIRECTORY` of a
/// systemd unit, `$XDG_STATE_HOME/inferlog`, `~/.local/state/inferlog`.
pub fn data_dir(flag: Option<PathBuf>) -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    flag.or_else(|| variable("INFERLOG_DATA_DIR"))
        .or_else(|| variable("STATE_DIRECTORY"))
        .or_else(|| variable("XDG_STATE_HOME").map(|home| home.join("inferlog")))
        .or_else(|| std::env::home_dir().map(|home| home.join(".local/state/inferlog")))
        .unwrap_or_else(|| PathBuf::from("inferlog-data"))
}

/// The token that whoever asks a running process for a change has to have.
pub fn admin_token_file(data_dir: &Path) -> PathBuf {
    data_dir.join("admin.token")
}

/// The folder of state of a pipeline.
pub fn state_folder(data_dir: &Path, pipeline: &str) -> PathBuf {
    data_dir.join(pipeline)
}

/// Its checkpoint.
pub fn checkpoint_file(folder: &Path) -> PathBuf {
    folder.join("checkpoint.json")
}

/// What the process holds that works on it.
pub fn lock_file(folder: &Path) -> PathBuf {
    folder.join("lock")
}

/// Its dead letter.
pub fn dead_letter_folder(folder: &Path) -> PathBuf {
    folder.join("dead_letter")
}

/// What was left of deleted files.
pub fn salvage_folder(folder: &Path) -> PathBuf {
    folder.join("salvage")
}

/// The ledger of outcomes, in the folder of state of a pipeline.
pub fn outcomes_file(folder: &Path) -> PathBuf {
    folder.join("outcomes.sqlite")
}

/// Its store, unless the pipeline file names another place.
pub fn store_file(folder: &Path) -> PathBuf {
    folder.join("store.sqlite")
}

/// What somebody asks a running process to replay.
pub fn replay_request_file(folder: &Path) -> PathBuf {
    folder.join("replay_request.json")
}

/// What became of it.
pub fn replay_answer_file(folder: &Path) -> PathBuf {
    folder.join("replay_answer.ndjson")
}
