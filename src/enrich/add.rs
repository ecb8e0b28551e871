//! `add`: members with fixed values.

use crate::record::{Path, Record, Room};
use crate::telemetry::Counters;

/// Adds members that are not there; what the log says itself is never overwritten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Add {
    /// Each path with its value as JSON text.
    pub fields: Vec<(Path, String)>,
}

impl Add {
    pub(super) fn apply(&self, record: &mut Record<'_>, counters: &Counters) {
        for (path, raw) in &self.fields {
            if record.add(path, |value| value.push_str(raw)) == Room::Blocked {
                counters.enrich_left_out_members_total.inc();
            }
        }
    }
}
