//! `flag`: a boolean by a condition, such as `low_confidence`.

use crate::flow::reject::Reject;
use crate::kql::Expression;
use crate::record::{Path, Record};

/// Sets a member to whether a condition holds. It is left out when that cannot be decided, for want of a member.
#[derive(Clone, Debug)]
pub struct Flag {
    /// The member.
    pub into: Path,
    /// The condition.
    pub when: Expression,
}

impl Flag {
    /// `is_so` is what the condition says of the record, if that can be decided.
    pub(super) fn apply(&self, record: &mut Record<'_>, is_so: Option<bool>) -> Result<(), Reject> {
        let Some(holds) = is_so else { return Ok(()) };
        record.set(&self.into, if holds { "true" } else { "false" }).map(|_| ())
    }
}
