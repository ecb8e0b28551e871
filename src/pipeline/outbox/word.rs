//! The words between the outbox and its lanes.

use std::sync::Arc;

use crate::flow::own_document::OwnDocument;

/// A document with its number in the outbox.
#[derive(Debug)]
pub(super) struct NumberedDocument {
    pub(super) number: u64,
    pub(super) document: OwnDocument,
}

/// What became of one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// The sink holds it.
    Taken,
    /// It does not take this one.
    Refused,
    /// It takes nothing now, or does not answer.
    Trouble,
}

/// What a lane says of a document.
#[derive(Debug)]
pub(super) struct Word {
    pub(super) sink: Arc<str>,
    pub(super) number: u64,
    pub(super) answered: Answered,
}
