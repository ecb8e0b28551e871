//! Changes: are pipeline files still what was loaded?
//!
//! A running process goes on with what it read. Whoever edits a file, adds one or takes one away has to be
//! told that, so the files are looked at from time to time.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::load::{pipeline_files, read_bounded};
use crate::text::digest::sha256_hexadecimal;

/// The files as they were, and as they were last told of.
#[derive(Clone, Debug)]
pub struct Files {
    paths: Vec<PathBuf>,
    loaded: BTreeMap<PathBuf, String>,
    told: BTreeMap<PathBuf, String>,
}

/// What is different from what was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The file says something else.
    Edited(PathBuf),
    /// It is there no longer, or cannot be read.
    Gone(PathBuf),
    /// It was not there.
    New(PathBuf),
    /// It is again what it was.
    Restored(PathBuf),
}

impl Files {
    /// The files under the paths that are given to [`super::load`], as they are now.
    pub fn now(paths: &[PathBuf]) -> Files {
        let loaded = digests(paths);
        Files { paths: paths.to_owned(), told: loaded.clone(), loaded }
    }

    /// What has changed since it was asked last.
    pub fn changes(&mut self) -> Vec<Change> {
        let now = digests(&self.paths);
        let mut paths: Vec<&PathBuf> = now.keys().chain(self.told.keys()).collect();
        paths.sort_unstable();
        paths.dedup();
        let changes = paths.into_iter().filter_map(|path| self.change(path, now.get(path)));
        let changes = changes.collect();
        self.told = now;
        changes
    }

    fn change(&self, path: &Path, now: Option<&String>) -> Option<Change> {
        if now == self.told.get(path) {
            return None;
        }
        let path = path.to_owned();
        Some(match (self.loaded.get(&path), now) {
            (loaded, now) if loaded == now => Change::Restored(path),
            (None, _) => Change::New(path),
            (Some(_), Some(_)) => Change::Edited(path),
            (Some(_), None) => Change::Gone(path),
        })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, words) = match self {
            Change::Edited(path) => (path, "has changed since it was read; what runs is what it said then"),
            Change::Gone(path) => (path, "is gone or cannot be read; its pipeline runs on"),
            Change::New(path) => (path, "was not there when the files were read; its pipeline does not run"),
            Change::Restored(path) => (path, "is again as it was read"),
        };
        write!(formatter, "the pipeline file `{}` {words}", path.display())
    }
}

/// A digest of the content of each file that can be read.
fn digests(paths: &[PathBuf]) -> BTreeMap<PathBuf, String> {
    let files = pipeline_files(paths, &mut Vec::new());
    let digest = |path: PathBuf| read_bounded(&path).ok().map(|bytes| (path, sha256_hexadecimal(&bytes)));
    files.into_iter().filter_map(digest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
        write("a.yaml", "1");
        write("b.yaml", "1");
        let mut files = Files::now(&[folder.path().to_owned()]);
        assert_eq!(files.changes(), []);
        write("a.yaml", "2");
        write("c.yaml", "1");
        write("notes.txt", "1");
        std::fs::remove_file(path("b.yaml")).unwrap();
        let expected = [Change::Edited(path("a.yaml")), Change::Gone(path("b.yaml")), Change::New(path("c.yaml"))];
        assert_eq!(files.changes(), expected);
        assert_eq!(files.changes(), []);
        write("a.yaml", "3");
        assert_eq!(files.changes(), [Change::Edited(path("a.yaml"))]);
        write("a.yaml", "1");
        std::fs::remove_file(path("c.yaml")).unwrap();
        assert_eq!(files.changes(), [Change::Restored(path("a.yaml")), Change::Restored(path("c.yaml"))]);
    }
}
