//! `add`: members with fixed values.
//!
//! A member is added at the end, under its dotted name. One that is there already stays, in whatever spelling; and
//! nothing is added below a single value: with `"service": "gpu-7"` there is no room for `service.name`, which is
//! counted in `inferlog_enrich_left_out_members_total`.
//!
//! ```yaml
//! - add: { fields: { service.name: anomaly-detector, tier: 1 }, when: "event : inference" }
//! ```
//!
//! - `fields`: map of paths to single values, required: typed as YAML does. What is quoted, or comes from a
//!   variable, is a text.
//! - `when`: condition: on which records.

use super::processor::{Processor, Run};
use crate::flow::reject::Reject;
use crate::record::{Path, Record, Room};

/// Adds members that are not there; what the log says itself is never overwritten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Add {
    /// Each path with its value as JSON text.
    pub fields: Vec<(Path, String)>,
}

impl Processor for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn adds(&self) -> Vec<Path> {
        self.fields.iter().map(|(path, _)| path.clone()).collect()
    }

    fn apply(&self, record: &mut Record<'_>, run: &mut Run<'_>) -> Result<(), Reject> {
        for (path, raw) in &self.fields {
            if record.add(path, |value| value.push_str(raw)) == Room::Blocked {
                run.counters.enrich_left_out_members_total.inc();
            }
        }
        Ok(())
    }
}
