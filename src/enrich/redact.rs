//! `redact`: members whose content nobody may see.
//!
//! Every spelling of a path is hidden, nested, dotted, mixed and inside of arrays, with everything below it. What is
//! hidden leaves no copy: a record that is turned away by a later processor is kept in the dead letter with all
//! redactions carried out, whatever their conditions. A rule that finds its field in no record is warned of, and
//! counted in `inferlog_enrich_hidden_records_total`. Only members are found, not names inside of a text.
//!
//! ```yaml
//! - redact: { fields: [user.email, headers] }
//! - redact: { fields: [ssn], with: "" }
//! ```
//!
//! - `fields`: list of paths, required: the members.
//! - `with`: single value, default `[redacted]`: the text that stands in their place.
//! - `when`: condition: on which records.

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
