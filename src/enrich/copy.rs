//! `copy`: members once more, under another name.
//!
//! What stands at a path, in every spelling and with everything below it, is added as one value at the end; the
//! original stays. A member that is there already stays as it is. A rule that hides what was copied has to hide the
//! copy as well, which `check` sees to.
//!
//! ```yaml
//! - copy: { fields: { score: score_raw, user.id: subject } }
//! ```
//!
//! - `fields`: map of paths to paths, required: from what is there to the name of its copy.
//! - `when`: condition: on which records.

use super::processor::{Processor, Run};
use crate::flow::reject::Reject;
use crate::record::{Path, Record, Room};

/// Adds copies of members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Each path with that of its copy.
    pub fields: Vec<(Path, Path)>,
}

impl Processor for Copy {
    fn name(&self) -> &'static str {
        "copy"
    }

    fn copies(&self) -> Vec<(Path, Path)> {
        self.fields.clone()
    }

    fn apply(&self, record: &mut Record<'_>, run: &mut Run<'_>) -> Result<(), Reject> {
        for (from, to) in &self.fields {
            let Some(raw) = record.whole(from.as_str()) else { continue };
            let buffer = &mut run.context.buffer;
            buffer.clear();
            buffer.extend_from_slice(raw.as_bytes());
            let raw = std::str::from_utf8(buffer).unwrap_or_default();
            if record.add(to, |out| out.push_str(raw)) == Room::Blocked {
                run.counters.enrich_left_out_members_total.inc();
            }
        }
        Ok(())
    }
}
