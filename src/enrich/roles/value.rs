//! What was read for a role.

use crate::record::Path;
use crate::text::exact::Exact;
use crate::text::number_text::NumberKind;

/// What a role found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// None of its members is there.
    Nothing,
    /// Something is there that cannot be taken.
    Unclear,
    /// A value.
    Value {
        /// As JSON.
        raw: String,
        /// It comes from the heart field itself, or from inside of it.
        within: bool,
        /// It is a number that was written as a text.
        kind: Option<NumberKind>,
    },
}

impl Read {
    /// A value as it stands in the record.
    pub(super) fn raw(raw: &str, within: bool) -> Read {
        Read::Value { raw: raw.to_owned(), within, kind: None }
    }

    /// A number.
    pub(super) fn number(number: Exact, within: bool, kind: Option<NumberKind>) -> Read {
        Read::Value { raw: number.to_string(), within, kind }
    }
}

/// What all roles found.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub(super) all: Vec<(Path, Read)>,
}

impl Values {
    pub(super) fn take(&mut self, into: &Path, read: Read) {
        self.all.push((into.clone(), read));
    }

    /// The raw value found for a field so far.
    pub(super) fn value(&self, field: &str) -> Option<&str> {
        self.all.iter().find_map(|(into, read)| match read {
            Read::Value { raw, .. } if into.as_str() == field => Some(raw.as_str()),
            _ => None,
        })
    }
}
