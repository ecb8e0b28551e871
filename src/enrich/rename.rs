//! `rename`: members under another name.

use crate::record::{Path, Record};
use crate::reject::Reject;

/// Renames members; an existing target is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// Each path with its new one.
    pub fields: Vec<(Path, Path)>,
}

impl Rename {
    pub(super) fn apply(&self, record: &mut Record<'_>) -> Result<(), Reject> {
        for (from, to) in &self.fields {
            record.rename(from, to)?;
        }
        Ok(())
    }
}
