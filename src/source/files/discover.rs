//! Discovery: which files match the globs now?
//!
//! Polling is the truth; notifications only wake it up earlier, because container and network file systems drop them.
//! Only folders below the literal beginning of a glob are walked, no deeper than the glob reaches. Symbolic links are
//! followed; a file that is found under two names is one file.
//!
//! Folders and files may have names with the characters of globs. What is there under exactly the name that is written is
//! taken, beside what the glob means: `[prod]/*.log` finds the logs in a folder `[prod]`, and in folders `p`, `r`, `o`, `d`.

use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use walkdir::WalkDir;

/// The files to tail, as globs made absolute.
#[derive(Debug)]
pub struct Discovery {
    paths: Vec<Written>,
    exclude: Vec<Written>,
}

/// A path as it is written in a pipeline file, and what it means.
#[derive(Debug)]
struct Written {
    path: String,
    glob: Pattern,
    /// Taken by its name, as far as there is something of that name.
    literal: Option<(String, Pattern)>,
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
        let written = |paths: &[String]| paths.iter().map(|path| Written::new(path)).collect::<Result<Vec<_>, _>>();
        Ok(Discovery { paths: written(paths)?, exclude: written(exclude)? })
    }

    /// Finds out which names with the characters of globs are there now.
    pub fn refresh(&mut self) {
        self.paths.iter_mut().chain(&mut self.exclude).for_each(Written::refresh);
    }

    /// The folders to watch for notifications, each with whether everything below it matters.
    pub fn roots(&self) -> impl Iterator<Item = (&Path, bool)> {
        let patterns = self.paths.iter().flat_map(Written::patterns);
        patterns.map(|pattern| (pattern.root.as_path(), pattern.depth_max > 1))
    }

    /// Whether a name is one that is tailed.
    pub fn is_meant(&self, path: &Path) -> bool {
        self.paths.iter().any(|written| written.is_match(path)) && !self.is_excluded(path)
    }

    fn is_excluded(&self, path: &Path) -> bool {
        self.exclude.iter().any(|written| written.is_match(path))
    }

    /// The paths that none of these files are found by.
    pub fn without_files(&self, found: &[PathBuf]) -> Vec<WithoutFiles> {
        let nothing = self.paths.iter().filter(|written| !found.iter().any(|path| written.is_match(path)));
        nothing.map(Written::explain).collect()
    }

    /// Finds the files that match now, sorted by path. What cannot be read is told to `unreadable`.
    pub fn scan(&self, unreadable: &mut Vec<Unreadable>) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for pattern in self.paths.iter().flat_map(Written::patterns) {
            pattern.scan(&|path| self.is_excluded(path), &mut found, unreadable);
        }
        // By their bytes: comparing component by component takes most of the time of a scan.
        found.sort_unstable_by(|one, other| one.as_os_str().cmp(other.as_os_str()));
        found.dedup_by(|one, other| one.as_os_str() == other.as_os_str());
        found
    }
}

/// A path that finds no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithoutFiles {
    /// The path, as a glob.
    pub path: String,
    /// What is missing, and what to do.
    pub reason: String,
}

/// The paths that find no file now.
///
/// # Errors
/// When the syntax of one is wrong.
pub fn without_files(paths: &[String], exclude: &[String]) -> Result<Vec<WithoutFiles>, globset::Error> {
    let discovery = Discovery::new(paths, exclude)?;
    Ok(discovery.without_files(&discovery.scan(&mut Vec::new())))
}

impl Written {
    fn new(path: &str) -> Result<Written, globset::Error> {
        let mut written = Written { path: path.to_owned(), glob: Pattern::new(path)?, literal: None };
        written.refresh();
        Ok(written)
    }

    fn refresh(&mut self) {
        let literal = taken_literally(&self.path);
        if literal.as_deref() != self.literal.as_ref().map(|(literal, _)| literal.as_str()) {
            self.literal = literal.and_then(|literal| Pattern::new(&literal).ok().map(|pattern| (literal, pattern)));
        }
    }

    fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        std::iter::once(&self.glob).chain(self.literal.iter().map(|(_, pattern)| pattern))
    }

    fn is_match(&self, path: &Path) -> bool {
        self.patterns().any(|pattern| pattern.glob.is_match(path))
    }

    fn explain(&self) -> WithoutFiles {
        let root = self.literal.as_ref().map_or(&self.glob, |(_, pattern)| pattern).root.as_path();
        let reason = match std::fs::metadata(root) {
            Ok(metadata) if metadata.is_dir() => format!("no file in `{}` matches it", root.display()),
            Ok(_) => format!("`{}` is no folder", root.display()),
            Err(error) => format!("cannot look into the folder `{}`: {error}", root.display()),
        };
        WithoutFiles { path: self.path.clone(), reason }
    }
}

/// The name that a component of a glob stands for, if it stands for one alone: `[[]a]` for `[a]`.
fn name_of(component: &str) -> Option<String> {
    let mut name = String::new();
    let mut rest = component.chars();
    while let Some(character) = rest.next() {
        match character {
            '\\' => name.push(rest.next()?),
            '[' => {
                let (inner, end) = (rest.next()?, rest.next()?);
                if end != ']' || inner == '!' || inner == '^' {
                    return None;
                }
                name.push(inner);
            }
            '*' | '?' | '{' | '}' => return None,
            character => name.push(character),
        }
    }
    Some(name)
}

/// The same glob with the leading components escaped that are there by exactly their names; `None` when no name with the
/// characters of globs is.
fn taken_literally(pattern: &str) -> Option<String> {
    let mut there = PathBuf::new();
    let mut taken = Vec::new();
    let mut is_other = false;
    let mut components = pattern.split('/');
    for component in components.by_ref() {
        there.push(if there.as_os_str().is_empty() && component.is_empty() { "/" } else { component });
        if !is_literal(component) && std::fs::symlink_metadata(&there).is_ok() {
            taken.push(globset::escape(component));
            is_other = true;
            continue;
        }
        taken.push(component.to_owned());
        let Some(name) = name_of(component) else { break };
        if !component.is_empty() {
            there.set_file_name(name);
        }
    }
    taken.extend(components.map(str::to_owned));
    is_other.then(|| taken.join("/"))
}

fn is_literal(component: &str) -> bool {
    !component.contains(['*', '?', '[', '{', '\\'])
}

impl Pattern {
    fn new(pattern: &str) -> Result<Self, globset::Error> {
        let path = Path::new(pattern);
        let name = |component: Component<'_>| name_of(&component.as_os_str().to_string_lossy());
        let names: Vec<String> = path.components().map_while(name).collect();
        let components = path.components().count();
        let wild = names.len() < components;
        // A pattern without a wildcard is one file: its folder is the root.
        let literal = names.len().min(components.saturating_sub(1));
        let root: PathBuf = names.iter().take(literal).collect();
        let depth_max = if pattern.contains("**") { usize::MAX } else { components - literal };
        Ok(Pattern { root, depth_max, wild, glob: glob(pattern)?.compile_matcher() })
    }

    fn scan(&self, is_excluded: &dyn Fn(&Path) -> bool, found: &mut Vec<PathBuf>, unreadable: &mut Vec<Unreadable>) {
        let walk = WalkDir::new(&self.root).max_depth(self.depth_max).min_depth(1).follow_links(true);
        let is_meant = |path: &Path| self.glob.is_match(path) && !is_excluded(path);
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

    /// Files by these names are there; those that a path finds.
    fn check_names(there: &[&str], path: &str, expected: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        // Its own name has such characters, too.
        let base = format!("{root}/a[1]b {{x,y}}");
        for name in there {
            let path = Path::new(&base).join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, "").unwrap();
        }
        let paths = [format!("{}/{path}", globset::escape(&base))];
        let relative = |path: &PathBuf| path.strip_prefix(&base).unwrap().to_str().unwrap().to_owned();
        let mut discovery = Discovery::new(&paths, &[]).unwrap();
        let found = discovery.scan(&mut Vec::new());
        assert_eq!(found.iter().map(relative).collect::<Vec<_>>(), expected, "{path}");
        assert!(found.iter().all(|path| discovery.is_meant(path)));
        let without = discovery.without_files(&found);
        assert_eq!(
            without.iter().map(|without| &without.path).collect::<Vec<_>>(),
            paths.iter().filter(|_| expected.is_empty()).collect::<Vec<_>>()
        );
        // The folders come later.
        let moved = format!("{base}.later");
        fs_err::rename(&base, &moved).unwrap();
        discovery.refresh();
        assert_eq!(discovery.scan(&mut Vec::new()), Vec::<PathBuf>::new());
        fs_err::rename(&moved, &base).unwrap();
        discovery.refresh();
        assert_eq!(discovery.scan(&mut Vec::new()), found, "{path}");
    }

    #[test]
    fn names_with_the_characters_of_globs_are_found() {
        check_names(&["[prod] eu/a.log", "p eu/b.log"], "[prod] eu/*.log", &["[prod] eu/a.log", "p eu/b.log"]);
        check_names(&["[prod] eu/a.log", "p eu/b.log"], "[[]prod[]] eu/*.log", &["[prod] eu/a.log"]);
        check_names(&["[prod] eu/a.log"], "\\[prod\\] eu/*.log", &["[prod] eu/a.log"]);
        check_names(&["model[v2].log", "modelv.log"], "model[v2].log", &["model[v2].log", "modelv.log"]);
        check_names(&["{a,b}.log", "a.log"], "{a,b}.log", &["a.log", "{a,b}.log"]);
        check_names(&["x/[1]/[2]/a.log"], "x/[1]/[2]/a.log", &["x/[1]/[2]/a.log"]);
        check_names(&["x/*/a?.log", "x/y/a1.log"], "x/*/a?.log", &["x/*/a?.log", "x/y/a1.log"]);
        check_names(&["a.log"], "b.log", &[]);
        check_names(&["a.log"], "nowhere/*.log", &[]);
    }

    #[test]
    fn what_is_missing_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        for (path, expected) in [("a.log", "no file in"), ("nowhere/*.log", "cannot look into"), ("*/x", "no file in")]
        {
            let without = without_files(&[format!("{root}/{path}")], &[]).unwrap();
            assert!(without[0].reason.contains(expected) && without[0].reason.contains(root), "{without:?}");
        }
    }

    #[test]
    fn only_what_a_glob_can_reach_is_walked() {
        let pattern = Pattern::new("/var/log/ml/*/x.log").unwrap();
        assert_eq!((pattern.root.as_path(), pattern.depth_max), (Path::new("/var/log/ml"), 2));
        let pattern = Pattern::new("/var/log/x.log").unwrap();
        assert_eq!((pattern.root.as_path(), pattern.depth_max), (Path::new("/var/log"), 1));
    }
}
