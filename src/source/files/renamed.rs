//! Renames: where is a file now that was renamed out of the globs before any scan saw it?
//!
//! A file that is created, written and rotated away between two scans is under no name that a scan looks at. Notifications
//! tell both names of a rename: the new one is opened when the old one was one of ours, or was itself the new name of one
//! of ours a moment ago, as where `app.log.1` becomes `app.log.2`. Notifications may be late or get lost, and tell
//! nothing of a file that leaves the watched folders; what a scan has seen is followed by its handle, without them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::discover::Discovery;

/// A name is known as that of a renamed file for this long: until then the news of its next rename have come.
const RENAMED_KNOWN_FOR: Duration = Duration::from_secs(30);

/// At most this many such names are known.
const RENAMED_MAX: usize = 10_000;

/// Names outside of the globs that files were renamed to a moment ago.
#[derive(Debug, Default)]
pub(super) struct RenamedNames(HashMap<PathBuf, Instant>);

impl RenamedNames {
    /// Takes note of what was renamed, from and to, and gives the names that are to be opened: those outside of the globs.
    pub(super) fn follow(&mut self, discovery: &Discovery, renamed: Vec<(PathBuf, PathBuf)>) -> Vec<PathBuf> {
        if renamed.is_empty() {
            return Vec::new();
        }
        self.0.retain(|_, since| since.elapsed() < RENAMED_KNOWN_FOR);
        let mut followed = Vec::new();
        for (from, to) in renamed {
            let was_ours = self.0.remove(&from).is_some() || discovery.is_meant(&from);
            // Under a name of ours a scan finds it.
            if was_ours && !discovery.is_meant(&to) && self.0.len() < RENAMED_MAX {
                self.0.insert(to.clone(), Instant::now());
                followed.push(to);
            }
        }
        // One that was renamed again meanwhile is found under its last name, now or with the next news.
        followed.retain(|path| self.0.contains_key(path) && path.is_file());
        followed
    }
}
