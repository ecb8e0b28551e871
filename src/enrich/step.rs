//! Steps: which processors are there, and on which records do they run?

use super::processor::Processor;
use crate::kql::Expression;
use crate::record::Path;

/// One processor with its condition: what a pipeline file says of it, and what runs.
#[derive(Clone, Debug)]
pub struct Step {
    /// The processor runs on records that meet this.
    pub when: Option<Expression>,
    /// What it does.
    pub action: Action,
}

impl Step {
    /// The processor's name in a pipeline file.
    pub fn name(&self) -> &'static str {
        self.action.processor().name()
    }

    /// Where it reads the record's time from.
    pub(super) fn times(&self) -> &[Path] {
        if let Action::Timestamp(timestamp) = &self.action { &timestamp.from } else { &[] }
    }

    /// Its condition: that of a `flag` is what the flag says.
    pub fn condition(&self) -> Option<&Expression> {
        self.action.processor().asks().or(self.when.as_ref())
    }
}

/// The processors, a line each.
macro_rules! actions {
    ($($(#[$doc:meta])+ $name:ident($processor:ty),)+) => {
        /// What a processor does.
        #[derive(Clone, Debug)]
        pub enum Action {
            $($(#[$doc])+ $name($processor),)+
        }

        impl Action {
            /// The processor behind it.
            pub fn processor(&self) -> &dyn Processor {
                match self {
                    $(Action::$name(it) => it,)+
                }
            }
        }
    };
}

actions! {
    /// Adds members.
    Add(super::add::Add),
    /// Decides not to ship the record.
    Drop(super::drop::Drop),
    /// Takes a text apart.
    Extract(super::extract::Extract),
    /// Adds a boolean.
    Flag(super::flag::Flag),
    /// Hashes members.
    Hash(super::hash::Hash),
    /// Takes the document's `_id` from members.
    Id(super::id::IdFrom),
    /// Turns away what is no label.
    Label(super::label::LabelCheck),
    /// Hides members.
    Redact(super::redact::Redact),
    /// Takes members away.
    Remove(super::remove::Remove),
    /// Renames members.
    Rename(super::rename::Rename),
    /// Adds heart fields.
    Roles(super::roles::Roles),
    /// Reads the record's time.
    Timestamp(super::timestamp::Timestamp),
}
