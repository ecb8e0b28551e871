//! `remove`: members that are not to be shipped.
//!
//! Taken away in every spelling of their paths and with everything below them. They are hidden as by `redact`: a
//! record that is turned away holds nothing of them either.
//!
//! ```yaml
//! - hash: { fields: [features] }
//! - remove: { fields: [features], when: "confidence >= 0.9" }
//! - remove: { fields: ["headers.x-*", "**.password"] }
//! ```
//!
//! - `fields`: list of paths, required: the members. They may have wildcards, and reach into lists of keys and values, as
//!   those of [`redact`](#redact) do.
//! - `when`: condition: on which records.

use super::processor::{Processor, Run, count_one};
use crate::flow::reject::Reject;
use crate::record::{Change, PathPattern, Record};

/// Takes members away, in every spelling of their paths and with everything below them. They are hidden: a record that is
/// turned away holds nothing of them either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remove {
    /// The members.
    pub fields: Vec<PathPattern>,
}

impl Processor for Remove {
    fn name(&self) -> &'static str {
        "remove"
    }

    fn hides(&self) -> Vec<PathPattern> {
        self.fields.clone()
    }

    fn apply(&self, record: &mut Record<'_>, run: &mut Run<'_>) -> Result<(), Reject> {
        for (position, field) in run.hidden.iter().enumerate() {
            let count = record.change(&field.pattern, Change::Remove)?;
            count_one(field, position, count > 0, &mut run.context.missed);
        }
        Ok(())
    }
}
