//! Which file is a pipeline of this name? A run notes it in the folder of state, so that verbs that read can be told a name.
//!
//! ```text
//! <data-dir>/<pipeline>/pipeline.json    { "version": 1, "file": "/etc/inferlog/pipelines/inference.yaml" }
//! ```

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use fs_err::os::unix::fs::OpenOptionsExt as _;

use serde::{Deserialize, Serialize};

use super::folder::{lock_file, state_folder, store_file};

/// The name of the file that says it.
const NAME: &str = "pipeline.json";

const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    version: u32,
    /// Absolute.
    file: PathBuf,
}

/// Notes the file of the pipeline that this folder of state is of.
///
/// # Errors
/// When the folder cannot be written to.
pub fn remember(folder: &Path, file: &Path) -> io::Result<()> {
    let note = Note { version: VERSION, file: std::path::absolute(file)? };
    let text = serde_json::to_vec(&note).map_err(io::Error::other)?;
    let (path, new) = (folder.join(NAME), folder.join(format!("{NAME}.new")));
    if std::fs::read(&path).is_ok_and(|known| known == text) {
        return Ok(());
    }
    let open = fs_err::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new);
    open?.write_all(&text)?;
    fs_err::rename(&new, &path)
}

/// The file of a pipeline, as its last run has noted it; `None` where none has.
pub fn recall(data_dir: &Path, pipeline: &str) -> Option<PathBuf> {
    let text = std::fs::read(state_folder(data_dir, pipeline).join(NAME)).ok()?;
    serde_json::from_slice::<Note>(&text).ok().map(|note| note.file)
}

/// The names of the pipelines that have state here, sorted.
///
/// # Errors
/// When the folder of state cannot be read.
pub fn known(data_dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs_err::read_dir(data_dir)? {
        let entry = entry?;
        let folder = entry.path();
        let files = [folder.join(NAME), lock_file(&folder), store_file(&folder)];
        let is_state = files.iter().any(|file| file.is_file());
        names.extend(entry.file_name().into_string().ok().filter(|_| is_state));
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_to_the_file_of_the_last_run() {
        let data_dir = tempfile::tempdir().unwrap();
        let folder = state_folder(data_dir.path(), "p");
        std::fs::create_dir(&folder).unwrap();
        assert_eq!(recall(data_dir.path(), "p"), None);
        for file in ["/etc/a/p.yaml", "/etc/b/p.yaml", "/etc/b/p.yaml"] {
            remember(&folder, Path::new(file)).unwrap();
            assert_eq!(recall(data_dir.path(), "p"), Some(PathBuf::from(file)));
        }
        std::fs::create_dir(data_dir.path().join("other")).unwrap();
        assert_eq!(known(data_dir.path()).unwrap(), ["p"]);
        std::fs::write(folder.join(NAME), "{").unwrap();
        assert_eq!(recall(data_dir.path(), "p"), None);
    }
}
