//! `drop`: records that are not shipped, counted by the rule's name.
//!
//! Observers still see them: metrics, drift and outcomes are of all records. The first rule that holds counts; the
//! processors behind it run all the same. What is dropped is no evidence: nothing of it is kept but the count, in
//! `inferlog_enrich_dropped_records_total{rule}` and in the accounts.
//!
//! ```yaml
//! - drop: { name: health_checks, when: "event : health" }
//! ```
//!
//! - `when`: condition, required: which records.
//! - `name`: lower-case letters, digits, `_` and `-`, at most 64, default `drop`: what they are counted by.

use std::sync::Arc;

use super::processor::{Processor, Run};
use crate::flow::reject::Reject;
use crate::record::Record;

/// Decides not to ship a record. Observers still see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drop {
    /// The name under which the records are counted: lower-case letters, digits, `_`, `-`.
    pub rule: Arc<str>,
}

impl Processor for Drop {
    fn name(&self) -> &'static str {
        "drop"
    }

    fn drops(&self) -> Option<&Arc<str>> {
        Some(&self.rule)
    }

    fn apply(&self, _: &mut Record<'_>, run: &mut Run<'_>) -> Result<(), Reject> {
        // The first rule that meets a record has it.
        run.context.dropped.get_or_insert_with(|| Arc::clone(&self.rule));
        Ok(())
    }
}
