//! Source: at which of its paths does a role find something?

use std::borrow::Cow;

use crate::record::{IndexedPath, Record, covers};

/// Paths, of which the first that is there counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// At least one.
    pub paths: Vec<IndexedPath>,
}

impl Source {
    /// The first of the paths that is there, and what stands there.
    pub(super) fn find<'r>(&self, record: &'r Record<'_>) -> Option<(&IndexedPath, Cow<'r, str>)> {
        self.paths.iter().find_map(|path| Some((path, record.at(path)?)))
    }
}

/// Whether a path is a heart field, or leads into it.
pub(super) fn is_within(path: &IndexedPath, heart_field: &str) -> bool {
    covers(heart_field, path.names().as_str())
}
