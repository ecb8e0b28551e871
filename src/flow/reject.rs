//! Rejects: a record that cannot be handled is a value, not an error.

use std::borrow::Cow;
use std::fmt;

/// The stage that turned a record away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Framing: the line is too long or not UTF-8.
    Source,
    /// The line is not a record.
    Decode,
    /// A processor could not do its work.
    Enrich,
    /// The sink turned the document down for good.
    Sink,
}

impl Stage {
    /// The stage's name in the dead letter, in metrics and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Source => "source",
            Stage::Decode => "decode",
            Stage::Enrich => "enrich",
            Stage::Sink => "sink",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Why a record goes to the dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Where it was turned away.
    pub stage: Stage,
    /// A short name to count by, such as `invalid_json`; few different ones exist.
    pub reason: Cow<'static, str>,
    /// A sentence for people. Left of the queue it never quotes the record.
    pub detail: String,
}

impl Reject {
    /// Creates a reject of a stage left of the queue, where reasons are known beforehand.
    pub fn new(stage: Stage, reason: &'static str, detail: String) -> Reject {
        Reject { stage, reason: Cow::Borrowed(reason), detail }
    }

    /// Stage and reason as accounts name them: `decode/invalid_json`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.stage, self.reason)
    }
}
