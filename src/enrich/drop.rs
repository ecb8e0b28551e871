//! `drop`: records that are not shipped, counted by the rule's name.

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

    fn apply(&self, _: &mut Record<'_>, run: &mut Run<'_>) -> Result<(), Reject> {
        // The first rule that meets a record has it.
        run.context.dropped.get_or_insert_with(|| Arc::clone(&self.rule));
        Ok(())
    }
}
