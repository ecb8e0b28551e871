//! `flag`: a boolean by a condition, such as `low_confidence`.
//!
//! `true` where the condition holds and `false` where it does not, in place of what the log has under the name.
//! Where it cannot be decided, because what it compares is not there, no member is added.
//!
//! ```yaml
//! - flag: { into: low_confidence, when: "confidence < 0.6" }
//! ```
//!
//! - `into`: path, required: the member.
//! - `when`: condition, required: what it says.

use super::processor::{Processor, Run};
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

impl Processor for Flag {
    fn name(&self) -> &'static str {
        "flag"
    }

    fn adds(&self) -> Vec<Path> {
        vec![self.into.clone()]
    }

    fn asks(&self) -> Option<&Expression> {
        Some(&self.when)
    }

    fn apply(&self, record: &mut Record<'_>, run: &mut Run<'_>) -> Result<(), Reject> {
        let Some(holds) = run.answer else { return Ok(()) };
        record.set(&self.into, if holds { "true" } else { "false" }).map(|_| ())
    }
}
