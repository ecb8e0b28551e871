//! Discovery: which files match the globs now?
//!
//! Polling is the truth; notifications only wake it up earlier, because container and network file systems drop them.
//! Only folders below the literal beginning of a glob are walked, no deeper than the glob reaches. Symbolic links are
//! followed; a file that is found under two names is one file.

use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};
use walkdir::WalkDir;

/// The files to tail, as globs made absolute.
#[derive(Debug)]
pub struct Discovery {
    patterns: Vec<Pattern>,
    exclude: GlobSet,
}

#[derive(Debug)]
struct Pattern {
    /// The folder above the first component with a wildcard.
    root: PathBuf,
    /// How many levels below `root` the pattern reaches; `usize::MAX` with `**`.
    depth_max: usize,
    glob: GlobMatcher,
}

/// Something that could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Unreadable {
    /// What it is.
    pub path: PathBuf,
    /// Why, in the system's words.
    pub reason: String,
}

/// Compiles one glob: `*` and `?` stop at `/`, `**` does not.
///
/// # Errors
/// When the glob's syntax is wrong.
pub fn glob(pattern: &str) -> Result<globset::Glob, globset::Error> {
    GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build()
}

impl Discovery {
    /// Compiles the globs.
    ///
    /// # Errors
    /// When the syntax of one is wrong.
    pub fn new(paths: &[String], exclude: &[String]) -> Result<Self, globset::Error> {
        let patterns = paths.iter().map(|path| Pattern::new(path)).collect::<Result<_, _>>()?;
        let mut excluded = GlobSetBuilder::new();
        for pattern in exclude {
            excluded.add(glob(pattern)?);
        }
        Ok(Discovery { patterns, exclude: excluded.build()? })
    }

    /// The folders to watch for notifications, each with whether everything below it matters.
    pub fn roots(&self) -> impl Iterator<Item = (&Path, bool)> {
        self.patterns.iter().map(|pattern| (pattern.root.as_path(), pattern.depth_max > 1))
    }

    /// Finds the files that match now, sorted by path. What cannot be read is told to `unreadable`.
    pub fn scan(&self, unreadable: &mut Vec<Unreadable>) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for pattern in &self.patterns {
            pattern.scan(&self.exclude, &mut found, unreadable);
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl Pattern {
    fn new(pattern: &str) -> Result<Self, globset::Error> {
        let path = Path::new(pattern);
        let wildcard =
            |component: &Component<'_>| component.as_os_str().to_string_lossy().contains(['*', '?', '[', '{', '\\']);
        let literal = path.components().take_while(|component| !wildcard(component)).count();
        let components = path.components().count();
        // A pattern without a wildcard is one file: its folder is the root.
        let literal = literal.min(components.saturating_sub(1));
        let root: PathBuf = path.components().take(literal).collect();
        let depth_max = if pattern.contains("**") { usize::MAX } else { components - literal };
        Ok(Pattern { root, depth_max, glob: glob(pattern)?.compile_matcher() })
    }

    fn scan(&self, exclude: &GlobSet, found: &mut Vec<PathBuf>, unreadable: &mut Vec<Unreadable>) {
        let walk = WalkDir::new(&self.root).max_depth(self.depth_max).min_depth(1).follow_links(true);
        for entry in walk {
            match entry {
                Ok(entry) if entry.file_type().is_file() => {
                    if self.glob.is_match(entry.path()) && !exclude.is_match(entry.path()) {
                        found.push(entry.into_path());
                    }
                }
                Ok(_) => {}
                Err(error) => unreadable.extend(self.complaint(&error)),
            }
        }
    }

    /// What is worth telling: not a file that went away during the walk, a link that leads in a circle or nowhere, or a
    /// folder that is not there yet.
    fn complaint(&self, error: &walkdir::Error) -> Option<Unreadable> {
        let cause = error.io_error()?;
        if cause.kind() == std::io::ErrorKind::NotFound {
            return None;
        }
        let path = error.path().unwrap_or(&self.root).to_owned();
        Some(Unreadable { path, reason: cause.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(paths: &[&str], exclude: &[&str], expected: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        for file in ["a.log", "a.log.1", "b.txt", "x/c.log", "x/y/d.log", "x/y/z/e.log"] {
            let path = folder.path().join(file);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, "").unwrap();
        }
        std::os::unix::fs::symlink(folder.path(), folder.path().join("x/loop")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("nowhere"), folder.path().join("dangling.log")).unwrap();
        let absolute =
            |patterns: &[&str]| -> Vec<String> { patterns.iter().map(|pattern| format!("{root}/{pattern}")).collect() };
        let discovery = Discovery::new(&absolute(paths), &absolute(exclude)).unwrap();
        let mut unreadable = Vec::new();
        let found: Vec<String> = discovery
            .scan(&mut unreadable)
            .iter()
            .map(|path| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned())
            .collect();
        assert_eq!(found, expected, "{paths:?} without {exclude:?}");
        assert_eq!(unreadable, []);
    }

    #[test]
    fn globs_find_what_they_say() {
        check(&["*.log"], &[], &["a.log"]);
        check(&["a.log*"], &["*.1"], &["a.log"]);
        check(&["**/*.log"], &["x/loop/**"], &["a.log", "x/c.log", "x/y/d.log", "x/y/z/e.log"]);
        check(&["x/*/*.log"], &[], &["x/loop/a.log", "x/y/d.log"]);
        check(&["x/c.log", "x/*.log"], &[], &["x/c.log"]);
        check(&["{a,b}.*"], &[], &["a.log", "b.txt"]);
        check(&["nowhere/*.log", "?.txt"], &[], &["b.txt"]);
    }

    #[test]
    fn only_what_a_glob_can_reach_is_walked() {
        let pattern = Pattern::new("/var/log/ml/*/x.log").unwrap();
        assert_eq!((pattern.root.as_path(), pattern.depth_max), (Path::new("/var/log/ml"), 2));
        let pattern = Pattern::new("/var/log/x.log").unwrap();
        assert_eq!((pattern.root.as_path(), pattern.depth_max), (Path::new("/var/log"), 1));
    }
}
