//! `inferlog migrate --registry`: a pipeline goes on where Filebeat has stopped.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::{COULD_NOT_LOOK, Failure, complain, say};
use crate::config::{self, Environment, Pipeline};
use crate::migrate::registry::{self, FileState};
use crate::state::checkpoint::{self, FileEntry, JsonText, Saved, VERSION};
use crate::state::folder::{checkpoint_file, data_dir, state_folder};
use crate::state::lock::lock;

pub(super) fn refuse(problem: &str, hint: &str) -> Failure {
    complain(problem, Some(hint));
    Failure(COULD_NOT_LOOK)
}

/// Variables with something in their place that may stand anywhere: secrets are not at hand, and not needed.
pub(super) fn without_variables() -> Environment<'static> {
    Environment::new(|_| Some("https://localhost:9200".to_owned()))
}

/// Writes a checkpoint for each pipeline, and says of each file what was done; whether all could be taken over.
pub(super) fn take_over(given: &Path, files: &[PathBuf], data: Option<PathBuf>) -> Result<bool, Failure> {
    refuse_running(given)?;
    let states = registry::read(given).map_err(|problem| {
        refuse(&problem, "name the folder `registry/filebeat` of Filebeat's data folder, `path.data`")
    })?;
    let pipelines = config::load_with(files, &without_variables()).map_err(|report| {
        say(report.to_string().trim_end());
        Failure(COULD_NOT_LOOK)
    })?;
    let data = data_dir(data);
    let mut is_met = vec![false; states.len()];
    let mut is_whole = true;
    for pipeline in &pipelines {
        let globs = globs(pipeline).map_err(|problem| refuse(&problem, "put `source.files.paths` right"))?;
        let of_pipeline: Vec<usize> =
            (0..states.len()).filter(|place| !is_met[*place] && globs.is_match(&states[*place].path)).collect();
        of_pipeline.iter().for_each(|place| is_met[*place] = true);
        let states = of_pipeline.iter().map(|place| &states[*place]);
        is_whole &= take_over_one(&data, pipeline, states)?;
    }
    let others = is_met.iter().filter(|is_met| !**is_met).count();
    say(&format!("registry: {} files, {others} of them of no pipeline here", states.len()));
    if states.is_empty() {
        say("Filebeat knew no file: is this the registry of the Filebeat that was meant?");
    }
    Ok(is_whole && !states.is_empty())
}

/// While it runs, what it has delivered changes.
fn refuse_running(given: &Path) -> Result<(), Failure> {
    for path in registry::lock_files(given) {
        let file = File::open(&path)
            .map_err(|error| refuse(&format!("`{}`: {error}", path.display()), "run it as Filebeat's user"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let problem = format!("Filebeat is running: it holds `{}`", path.display());
                return Err(refuse(&problem, "stop it, so that it delivers and notes what it has read"));
            }
            Err(TryLockError::Error(error)) => {
                return Err(refuse(
                    &format!("`{}`: {error}", path.display()),
                    "see that no Filebeat runs, and remove it",
                ));
            }
        }
    }
    say(
        "looked for a running Filebeat by `filebeat.lock` in the registry's folder and the two above it: none holds one",
    );
    Ok(())
}

fn globs(pipeline: &Pipeline) -> Result<GlobSet, String> {
    let mut all = GlobSetBuilder::new();
    for pattern in &pipeline.source.files.paths {
        all.add(GlobBuilder::new(pattern).literal_separator(true).build().map_err(|error| error.to_string())?);
    }
    all.build().map_err(|error| error.to_string())
}

fn take_over_one<'s>(
    data: &Path,
    pipeline: &Pipeline,
    states: impl Iterator<Item = &'s FileState>,
) -> Result<bool, Failure> {
    let folder = state_folder(data, &pipeline.name);
    let _held = lock(&folder).map_err(|error| Failure::new(&error, None))?;
    let path = checkpoint_file(&folder);
    if path.symlink_metadata().is_ok() {
        let problem = format!("`{}` is there already: the pipeline has read before", path.display());
        return Err(refuse(&problem, "it goes on where it was itself; to begin anew, move its folder of state away"));
    }
    let mut entries: Vec<FileEntry> = Vec::new();
    let mut is_whole = true;
    for state in states {
        let shown = state.path.display();
        match state.entry() {
            Ok(entry) if entries.iter().any(|it| it.inode == entry.inode) => {
                say(&format!("  {shown}: the same file as one before, under another name"));
            }
            Ok(entry) => {
                let (offset, size) = (entry.committed.offset_bytes, entry.size_bytes);
                let back = match state.offset_bytes - offset {
                    0 => String::new(),
                    bytes => format!(", {bytes} bytes before where Filebeat was, at the start of that line"),
                };
                say(&format!("  {}: goes on at byte {offset} of {size}{back}", entry.path));
                entries.push(entry);
            }
            Err(why) => {
                is_whole = false;
                say(&format!("  {shown}: not taken over, will be read from its beginning if it is there: {why}"));
            }
        }
    }
    let count = entries.len();
    let saved = Saved {
        version: VERSION,
        files: entries,
        observers: None::<serde_json::Value>,
        accounts: JsonText::default(),
        outbox: JsonText::default(),
    };
    checkpoint::save(&path, &saved).map_err(|error| Failure::new(&error, None))?;
    say(&format!("`{}`: {count} offsets, for the pipeline `{}`", path.display(), pipeline.name));
    Ok(is_whole)
}
