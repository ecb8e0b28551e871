//! `redact`: members whose content nobody may see.

use super::processor::{Processor, Run, count_one};
use crate::flow::reject::Reject;
use crate::record::{Path, Record};

/// Replaces members, in every spelling of their paths and with everything below them, by a fixed text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redact {
    /// The members.
    pub fields: Vec<Path>,
    /// What stands in their place, as JSON text, such as `"[redacted]"`.
    pub with: String,
}

impl Processor for Redact {
    fn name(&self) -> &'static str {
        "redact"
    }

    fn hides(&self) -> &[Path] {
        &self.fields
    }

    fn apply(&self, record: &mut Record<'_>, run: &mut Run<'_>) -> Result<(), Reject> {
        for (position, field) in run.hidden.iter().enumerate() {
            let count = record.replace(&field.path, &self.with)?;
            count_one(field, position, count > 0, &mut run.context.missed);
        }
        Ok(())
    }
}

impl Redact {
    /// The same without counting.
    pub(super) fn replace(&self, record: &mut Record<'_>) -> Result<(), Reject> {
        self.fields.iter().try_for_each(|field| record.replace(field, &self.with).map(|_| ()))
    }
}
