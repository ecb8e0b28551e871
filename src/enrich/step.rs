//! Steps: which processors are there, and on which records do they run?

use super::add::Add;
use super::drop::Drop;
use super::extract::Extract;
use super::flag::Flag;
use super::hash::Hash;
use super::id::IdFrom;
use super::label::LabelCheck;
use super::processor::Processor;
use super::redact::Redact;
use super::remove::Remove;
use super::rename::Rename;
use super::roles::Roles;
use super::timestamp::Timestamp;
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

/// What a processor does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Adds members.
    Add(Add),
    /// Decides not to ship the record.
    Drop(Drop),
    /// Takes a text apart.
    Extract(Extract),
    /// Adds a boolean.
    Flag(Flag),
    /// Hashes members.
    Hash(Hash),
    /// Takes the document's `_id` from members.
    Id(IdFrom),
    /// Turns away what is no label.
    Label(LabelCheck),
    /// Hides members.
    Redact(Redact),
    /// Takes members away.
    Remove(Remove),
    /// Renames members.
    Rename(Rename),
    /// Adds heart fields.
    Roles(Roles),
    /// Reads the record's time.
    Timestamp(Timestamp),
}

impl Action {
    /// The processor behind it.
    pub fn processor(&self) -> &dyn Processor {
        match self {
            Action::Add(it) => it,
            Action::Drop(it) => it,
            Action::Extract(it) => it,
            Action::Flag(it) => it,
            Action::Hash(it) => it,
            Action::Id(it) => it,
            Action::Label(it) => it,
            Action::Redact(it) => it,
            Action::Remove(it) => it,
            Action::Rename(it) => it,
            Action::Roles(it) => it,
            Action::Timestamp(it) => it,
        }
    }
}
