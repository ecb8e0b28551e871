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

    /// What it asks of a record: whether to run, and what it writes down or goes by.
    pub fn conditions(&self) -> impl Iterator<Item = &Expression> {
        self.when.iter().chain(self.action.processor().asks())
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
    /// Keeps what breaks a promise from doing harm.
    Contract(super::contract::Contract),
    /// Changes the type of values.
    Convert(super::convert::Convert),
    /// Adds copies of members.
    Copy(super::copy::Copy),
    /// Decides not to ship the record.
    Drop(super::drop::Drop),
    /// Takes a text apart.
    Extract(super::extract::Extract),
    /// Adds a boolean.
    Flag(super::flag::Flag),
    /// Makes members of what is inside of objects.
    Flatten(super::flatten::Flatten),
    /// Adds place and network of an address.
    Geoip(super::geoip::Geoip),
    /// Hashes members.
    Hash(super::hash::Hash),
    /// Takes the document's `_id` from members.
    Id(super::id::IdFrom),
    /// Adds what the path of a container's log says.
    Kubernetes(super::kubernetes::Kubernetes),
    /// Turns away what is no label.
    Label(super::label::LabelCheck),
    /// Adds what a table says.
    Lookup(super::lookup::Lookup),
    /// Hides members.
    Redact(super::redact::Redact),
    /// Takes members away.
    Remove(super::remove::Remove),
    /// Renames members.
    Rename(super::rename::Rename),
    /// Adds heart fields.
    Roles(super::roles::Roles),
    /// Ships a share of the records.
    Sample(super::sample::Sample),
    /// Multiplies numbers.
    Scale(super::scale::Scale),
    /// Reads the record's time.
    Timestamp(super::timestamp::Timestamp),
    /// Cuts texts.
    Truncate(super::truncate::Truncate),
    /// Adds what a program says of itself.
    UserAgent(super::user_agent::UserAgent),
}
