//! `redact`: members whose content nobody may see.

use super::Context;
use super::hiding::{HiddenField, count_one};
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

impl Redact {
    pub(super) fn apply(
        &self,
        record: &mut Record<'_>,
        context: &mut Context,
        hidden: &[HiddenField],
    ) -> Result<(), Reject> {
        for (position, field) in hidden.iter().enumerate() {
            let count = record.replace(&field.path, &self.with)?;
            count_one(field, position, count > 0, &mut context.missed);
        }
        Ok(())
    }

    /// The same without counting.
    pub(super) fn replace(&self, record: &mut Record<'_>) -> Result<(), Reject> {
        self.fields.iter().try_for_each(|field| record.replace(field, &self.with).map(|_| ()))
    }
}
