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
    /// It has a wildcard, so that folders may match by chance.
    wild: bool,
    glob: GlobMatcher,
}

/// Something that could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Unreadable {
    /// What it is.
    pub path: PathBuf,
    /// Why, in the system's words.
    pub reason: String,
    /// What to do about it.
    pub hint: &'static str,
}

impl Unreadable {
    /// What the system said no to.
    pub fn because(path: PathBuf, error: &std::io::Error) -> Unreadable {
        let hint = match error.kind() {
            std::io::ErrorKind::PermissionDenied => "let the user that runs inferlog read it, and enter its folders",
            std::io::ErrorKind::InvalidData => "let the program that writes it write UTF-8",
            _ => "look into the log of the system, and at what writes this",
        };
        Unreadable { path, reason: error.to_string(), hint }
    }
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

    /// Whether a name is one that is tailed.
    pub fn is_meant(&self, path: &Path) -> bool {
        self.patterns.iter().any(|pattern| pattern.glob.is_match(path)) && !self.exclude.is_match(path)
    }

    /// Finds the files that match now, sorted by path. What cannot be read is told to `unreadable`.
    pub fn scan(&self, unreadable: &mut Vec<Unreadable>) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for pattern in &self.patterns {
            pattern.scan(&self.exclude, &mut found, unreadable);
        }
        // By their bytes: comparing component by component takes most of the time of a scan.
        found.sort_unstable_by(|one, other| one.as_os_str().cmp(other.as_os_str()));
        found.dedup_by(|one, other| one.as_os_str() == other.as_os_str());
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
        let wild = literal < components;
        // A pattern without a wildcard is one file: its folder is the root.
        let literal = literal.min(components.saturating_sub(1));
        let root: PathBuf = path.components().take(literal).collect();
        let depth_max = if pattern.contains("**") { usize::MAX } else { components - literal };
        Ok(Pattern { root, depth_max, wild, glob: glob(pattern)?.compile_matcher() })
    }

    fn scan(&self, exclude: &GlobSet, found: &mut Vec<PathBuf>, unreadable: &mut Vec<Unreadable>) {
        let walk = WalkDir::new(&self.root).max_depth(self.depth_max).min_depth(1).follow_links(true);
        let is_meant = |path: &Path| self.glob.is_match(path) && !exclude.is_match(path);
        for entry in walk {
            match entry {
                Ok(entry) if entry.file_type().is_file() && is_meant(entry.path()) => found.push(entry.into_path()),
                Ok(entry) if entry.file_type().is_dir() && !self.wild && is_meant(entry.path()) => {
                    let (path, reason) = (entry.into_path(), "it is a folder".to_owned());
                    unreadable.push(Unreadable {
                        path,
                        reason,
                        hint: "name the files in it, such as `FOLDER/*.ndjson`",
                    });
                }
                Ok(_) => {}
                Err(error) => unreadable.extend(self.complaint(&error, is_meant)),
            }
        }
    }

    /// What is worth telling: not a file that went away during the walk, a link that leads in a circle, or a folder that
    /// is not there yet.
    fn complaint(&self, error: &walkdir::Error, is_meant: impl Fn(&Path) -> bool) -> Option<Unreadable> {
        let cause = error.io_error()?;
        let path = error.path().unwrap_or(&self.root).to_owned();
        if cause.kind() != std::io::ErrorKind::NotFound {
            return Some(Unreadable::because(path, cause));
        }
        let leads_nowhere = is_meant(&path) && path.is_symlink();
        let (reason, hint) = ("the symbolic link leads nowhere".to_owned(), "remove the link, or mend it");
        leads_nowhere.then_some(Unreadable { path, reason, hint })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(paths: &[&str], exclude: &[&str], expected: &[&str], expected_unreadable: &[&str]) {
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
        let relative = |path: &PathBuf| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let found: Vec<String> = discovery.scan(&mut unreadable).iter().map(relative).collect();
        assert_eq!(found, expected, "{paths:?} without {exclude:?}");
        let unreadable: Vec<String> = unreadable.iter().map(|unreadable| relative(&unreadable.path)).collect();
        assert_eq!(unreadable, expected_unreadable, "{paths:?} without {exclude:?}");
    }

    #[test]
    fn globs_find_what_they_say() {
        check(&["*.log"], &["dangling*"], &["a.log"], &[]);
        check(&["a.log*"], &["*.1"], &["a.log"], &[]);
        check(&["**/*.log"], &["x/loop/**", "d*"], &["a.log", "x/c.log", "x/y/d.log", "x/y/z/e.log"], &[]);
        check(&["x/*/a*.log", "x/*/d.log"], &[], &["x/loop/a.log", "x/y/d.log"], &[]);
        check(&["x/c.log", "x/*.log"], &[], &["x/c.log"], &[]);
        check(&["{a,b}.*"], &[], &["a.log", "a.log.1", "b.txt"], &[]);
        check(&["nowhere/*.log", "?.txt"], &[], &["b.txt"], &[]);
    }

    #[test]
    fn what_is_no_file_is_told() {
        check(&["*.log"], &[], &["a.log"], &["dangling.log"]);
        check(&["x", "x*"], &[], &[], &["x"]);
        check(&["*"], &["*.log*"], &["b.txt"], &[]);
    }

    #[test]
    fn only_what_a_glob_can_reach_is_walked() {
        let pattern = Pattern::new("/var/log/ml/*/x.log").unwrap();
        assert_eq!((pattern.root.as_path(), pattern.depth_max), (Path::new("/var/log/ml"), 2));
        let pattern = Pattern::new("/var/log/x.log").unwrap();
        assert_eq!((pattern.root.as_path(), pattern.depth_max), (Path::new("/var/log"), 1));
    }
}
