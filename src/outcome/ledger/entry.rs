//! What goes into the ledger and comes out of it.

use crate::flow::batch::Id;
use crate::outcome::label::Label;
use crate::record::{Record, Space};

/// A label with where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelLine {
    /// The `_id` of its line.
    pub id: String,
    /// The line's time, in microseconds since 1970 (UTC).
    pub time_us: i64,
    /// What it says.
    pub label: Label,
}

impl LabelLine {
    /// Reads what the labels' store keeps of a line. `None` when it is no label, as of an older pipeline file perhaps.
    pub fn read(id: String, time_us: i64, document: &str) -> Option<LabelLine> {
        let mut space = Space::default();
        let record = Record::parse(document, &mut space).ok()?;
        Some(LabelLine { id, time_us, label: Label::of(&record).ok()? })
    }
}

/// Up to where the labels' store was read: its row, and the `_id` that stood there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The row's number; 0 before the first one.
    pub number: i64,
    /// What stood there.
    pub id: String,
}

/// A document of an outcome that nobody has taken yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingDocument {
    /// Its number in the ledger.
    pub number: i64,
    /// Its `_id`.
    pub id: Id,
    /// Its `@timestamp`, in microseconds since 1970 (UTC).
    pub timestamp_us: i64,
    /// A JSON object.
    pub text: String,
}

/// A model version and its stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelVersion {
    /// The model; empty where records name none.
    pub model_name: String,
    /// Its version; empty where records name none.
    pub model_version: String,
    /// `primary`, `shadow`, or as records have it.
    pub stage: String,
}
