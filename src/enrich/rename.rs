//! `rename`: members under another name.

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

    fn apply(&self, record: &mut Record<'_>, _: &mut Run<'_>) -> Result<(), Reject> {
        for (from, to) in &self.fields {
            record.rename(from, to)?;
        }
        Ok(())
    }
}
