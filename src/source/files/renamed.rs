//! Renames: where is a file now that was renamed out of the globs before any scan saw it?
//!
//! A file that is created, written and rotated away between two scans is under no name that a scan looks at. Notifications
//! tell both names of a rename: the new one is opened when the old one was one of ours, or was itself the new name of one
//! of ours a moment ago, as where `app.log.1` becomes `app.log.2`. Notifications may be late or get lost, and tell
//! nothing of a file that leaves the watched folders; what a scan has seen is followed by its handle, without them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::Files;

/// A name is known as that of a renamed file for this long: until then the news of its next rename have come.
const RENAMED_KNOWN_FOR: Duration = Duration::from_secs(30);

/// At most this many such names are known.
const RENAMED_MAX: usize = 10_000;

impl Files {
    /// Opens what was renamed out of the globs.
    pub(super) fn follow(&mut self, renamed: Vec<(PathBuf, PathBuf)>) {
        if renamed.is_empty() {
            return;
        }
        self.renamed.retain(|_, since| since.elapsed() < RENAMED_KNOWN_FOR);
        let mut followed = Vec::new();
        for (from, to) in renamed {
            let was_ours = self.renamed.remove(&from).is_some() || self.discovery.is_meant(&from);
            // Under a name of ours a scan finds it.
            if was_ours && !self.discovery.is_meant(&to) && self.renamed.len() < RENAMED_MAX {
                self.renamed.insert(to.clone(), Instant::now());
                followed.push(to);
            }
        }
        // One that was renamed again meanwhile is found under its last name, now or with the next news.
        for path in followed {
            if self.renamed.contains_key(&path) && path.is_file() {
                // What cannot be opened is gone, or is told of when a scan finds it.
                let _ = self.open(&path);
            }
        }
    }
}
