//! Pipelines by name: a file where one of that name is, else the file that the last run of that pipeline noted in its
//! folder of state.

use std::path::{Path, PathBuf};

use super::{COULD_NOT_LOOK, Failure, complain};
use crate::state::folder::state_folder;
use crate::state::pipeline_file;

/// The pipeline file that is meant: itself, or that of the pipeline of this name.
pub(super) fn pipeline_file(typed: &Path, data_dir: &Path) -> Result<PathBuf, Failure> {
    let name = typed.to_str().filter(|name| !name.is_empty() && !name.contains('/') && !typed.is_file());
    let Some(name) = name else { return Ok(typed.to_owned()) };
    let refuse = |problem: String, hint: &str| {
        complain(&problem, Some(hint));
        Failure(COULD_NOT_LOOK)
    };
    match pipeline_file::recall(data_dir, name) {
        Some(file) if file.is_file() => Ok(file),
        Some(file) => Err(refuse(
            format!("the file of pipeline `{name}` is gone: `{}`, as of its last run", file.display()),
            "name the file that it has now",
        )),
        // A folder, or a file that is not there: whoever reads it says so.
        None if typed.exists() || typed.extension().is_some_and(|end| end == "yaml" || end == "yml") => {
            Ok(typed.to_owned())
        }
        None if state_folder(data_dir, name).is_dir() => Err(refuse(
            format!("it is not known which file pipeline `{name}` is of: its last run did not note it"),
            "name the file; `run` notes it at its next start",
        )),
        None => Err(unknown(name, data_dir)),
    }
}

/// The same for several, which may be folders too.
pub(super) fn pipeline_files(typed: &[PathBuf], data_dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    typed.iter().map(|typed| pipeline_file(typed, data_dir)).collect()
}

/// No such file, and no pipeline of this name.
pub(super) fn unknown(name: &str, data_dir: &Path) -> Failure {
    let folder = data_dir.display();
    let hint = match pipeline_file::known(data_dir) {
        Ok(names) if names.is_empty() => {
            format!("no pipeline has run with its state in `{folder}`: `--data-dir` names another")
        }
        Ok(names) => format!("pipelines that have state in `{folder}`: {}", names.join(", ")),
        Err(error) => format!("the folder of state cannot be read: {error}"),
    };
    complain(&format!("`{name}` is no pipeline file, and no pipeline of this name has run"), Some(&hint));
    Failure(COULD_NOT_LOOK)
}
