//! `drop`: records that are not shipped, counted by the rule's name.

use std::sync::Arc;

use super::Context;

/// Decides not to ship a record. Observers still see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drop {
    /// The name under which the records are counted.
    pub rule: Arc<str>,
}

impl Drop {
    pub(super) fn apply(&self, context: &mut Context) {
        // The first rule that meets a record has it.
        context.dropped.get_or_insert_with(|| Arc::clone(&self.rule));
    }
}
