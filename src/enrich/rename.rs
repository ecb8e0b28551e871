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

/// The name that `field` has before `from` is renamed to `to`, if it is part of it or holds it.
pub(super) fn name_before(field: &Path, from: &Path, to: &Path) -> Option<Path> {
    match field.as_str().strip_prefix(to.as_str()) {
        Some("") => Some(from.clone()),
        Some(rest) if rest.starts_with('.') => Path::new(&format!("{from}{rest}")).ok(),
        _ => to.as_str().strip_prefix(field.as_str()).filter(|rest| rest.starts_with('.')).map(|_| from.clone()),
    }
}
