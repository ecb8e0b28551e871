//! `redact`: members whose content nobody may see.

use crate::flow::reject::Reject;
use crate::record::{Path, Record};

/// Replaces members, in every spelling of their paths, by a fixed text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redact {
    /// The members.
    pub fields: Vec<Path>,
    /// What stands in their place, as JSON text, such as `"[redacted]"`.
    pub with: String,
}

impl Redact {
    pub(super) fn apply(&self, record: &mut Record<'_>) -> Result<(), Reject> {
        for field in &self.fields {
            record.replace(field, &self.with)?;
        }
        Ok(())
    }
}
