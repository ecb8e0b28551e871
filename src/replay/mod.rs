//! Replay: how does what is in the dead letter get to its sinks after all?
//!
//! Each entry is taken from its line, where a log file still holds it, through the decode and enrich of the present
//! pipeline file; otherwise the document that a sink turned down is sent as it is, or the line that an entry keeps is
//! decoded again, if nothing was blacked out in it. What a processor turned away is half made, and is not sent so. What the
//! sinks hold for good, and what a rule drops, leaves the dead letter; the rest stays, with the new reason.
//!
//! A document has the `_id` that its first delivery had, or would have had: sending it twice, also after a crash between
//! a sink's answer and the removal of the entry, finds it taken. Observers do not see it: those of what a sink turned
//! down have counted it already.
//!
//! Whoever replays ([`replayer`]) holds the lock on the pipeline's state. Beside a live `run` the work is handed to it
//! ([`handover`]), and it lends the turns in which its sinks are asked ([`sinks`]).

mod handover;
mod origin;
mod replayer;
mod sinks;

use std::path::Path;

pub(crate) use handover::{Host, serve};
pub use replayer::{Outcome, ReplayError, Selection, Summary};
pub(crate) use sinks::Means;

use crate::config::model;
use crate::dead_letter::DeadLetter;
use crate::pipeline::build::{self, BuildError};
use crate::state::folder::{dead_letter_folder, state_folder};
use crate::state::lock::{LockError, lock};
use crate::telemetry::Telemetry;

/// Replays the dead letter of a pipeline; beside a live `run`, by handing the work to it. `goes_on` is asked every now
/// and then, `report` is told of each entry that was tried.
///
/// # Errors
/// When the state cannot be used. A sink that takes nothing is no error but [`Summary::trouble`].
pub fn replay(
    pipeline: &model::Pipeline,
    data_dir: &Path,
    selection: &Selection,
    goes_on: &dyn Fn() -> bool,
    report: &mut dyn FnMut(&Outcome),
) -> Result<Summary, ReplayError> {
    let folder = state_folder(data_dir, &pipeline.name);
    if !dead_letter_folder(&folder).exists() {
        return Ok(Summary::default());
    }
    let _lock = match lock(&folder) {
        Ok(lock) => lock,
        Err(LockError::Locked { .. }) => match handover::ask(&folder, pipeline, selection, goes_on, report)? {
            handover::Asked::Done(summary) => return Ok(summary),
            handover::Asked::Free(lock) => lock,
        },
        Err(error) => return Err(BuildError::from(error).into()),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime =
        runtime.map_err(|source| LockError::Folder { folder: folder.clone(), source }).map_err(BuildError::from)?;
    let means = Means { runtime: runtime.handle().clone(), turns: Vec::new() };
    let counters = Telemetry::default().pipeline(&pipeline.name);
    let options = build::dead_letter_options(pipeline);
    let dead_letter = DeadLetter::open(&dead_letter_folder(&folder), options, counters.clone())?;
    let replay = replayer::Replay { pipeline, data_dir, dead_letter: &dead_letter, counters: &counters, means: &means };
    replay.run(selection, goes_on, report)
}
