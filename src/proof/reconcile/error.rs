//! Errors: what keeps a proof from looking?

use crate::dead_letter::ReadError;
use crate::flow::answer::Trouble;
use crate::state::checkpoint::CheckpointError;

/// What keeps it from looking.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// There is none.
    #[error("pipeline `{pipeline}` has no checkpoint in `{folder}`: it has not run with this folder of state")]
    NeverRan {
        /// The pipeline's name.
        pipeline: String,
        /// Its folder of state.
        folder: std::path::PathBuf,
    },
    /// The dead letter cannot be read.
    #[error(transparent)]
    DeadLetter(#[from] ReadError),
    /// The sink cannot be asked.
    #[error("cannot ask the sink `{sink}`: {}", trouble.problem)]
    Sink {
        /// Which one.
        sink: String,
        /// What happened.
        trouble: Trouble,
    },
    /// The sink keeps nothing that could be asked for.
    #[error("the sink `stdout` keeps nothing, so there is nothing to compare with")]
    Nothing,
    /// There is nothing at all.
    #[error("no file matches the paths of pipeline `{pipeline}`, and none was ever read: there is nothing to compare")]
    NoFiles {
        /// The pipeline's name.
        pipeline: String,
    },
    /// A glob is wrong.
    #[error("a glob in `source.files` is wrong")]
    Glob(#[from] globset::Error),
    /// Something that matches cannot be looked at.
    #[error("cannot look at `{path}`: {reason}")]
    Unreadable {
        /// What it is.
        path: String,
        /// Why, in the system's words.
        reason: String,
    },
    /// A file cannot be read.
    #[error("cannot read `{path}`")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}
