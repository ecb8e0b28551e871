//! `rename`: members under another name.
//!
//! A member of the top level keeps its place; one that is nested moves to the end of the object. A target that is
//! there is replaced. What a later rule hides under the new name is hidden under the old one as well, where a record
//! is turned away before it was renamed.
//!
//! ```yaml
//! - rename: { fields: { model.version: model_version, msg: message } }
//! ```
//!
//! - `fields`: map of paths to paths, required: from the log's name to the new one.
//! - `when`: condition: on which records.

use super::processor::{Processor, Run};
use crate::flow::reject::Reject;
use crate::record::{Path, Record};

/// Renames members, and with them what is below their paths; an existing target is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// Each path with its new one.
    pub fields: Vec<(Path, Path)>,
}

impl Processor for Rename {
    fn name(&self) -> &'static str {
        "rename"
    }

    fn moves(&self) -> Vec<(Path, Path)> {
        self.fields.clone()
    }

    fn apply(&self, record: &mut Record<'_>, _: &mut Run<'_>) -> Result<(), Reject> {
        for (from, to) in &self.fields {
            record.rename(from, to)?;
        }
        Ok(())
    }
}
