//! Where does the state of a pipeline lie?

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

/// The folder of state of a pipeline.
pub fn state_folder(data_dir: &Path, pipeline: &str) -> PathBuf {
    data_dir.join(pipeline)
}
