//! Burial: what happens to what is turned down for good?

use std::sync::Arc;

use crate::dead_letter::{Content, DeadLetter, Entry};
use crate::flow::answer::{Outcome, Reason};
use crate::flow::batch::{Batch, Item};
use crate::flow::reject::Reject;

/// What happens to what is turned down for good.
pub(crate) enum Burial<'b> {
    /// It gets an entry in the dead letter.
    NewEntry(&'b Arc<DeadLetter>),
    /// The entry that it was made from stays. What became of each item is noted, at first [`Fate::Open`].
    Remains(&'b mut [Fate]),
}

/// What became of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The sink holds it now.
    Indexed,
    /// The sink held it already, or an order has erased it.
    Duplicate,
    /// The sink turned it down for good.
    Rejected(Reason),
    /// Not known, or not tried: it stays as it is.
    Open,
}

impl Burial<'_> {
    /// Takes note of what an answer settles, where that is asked for.
    pub(super) fn note(&mut self, position: u32, outcome: &Outcome) {
        let Burial::Remains(fates) = self else { return };
        fates[position as usize] = match outcome {
            Outcome::Indexed => Fate::Indexed,
            // What is erased leaves the dead letter, too.
            Outcome::Duplicate | Outcome::Erased => Fate::Duplicate,
            _ => return,
        };
    }
}

/// The entry of a record; `None` for what was not made from a line.
pub(super) fn entry<'e>(batch: &'e Batch, item: &Item, reject: &'e Reject) -> Option<Entry<'e>> {
    let (file, origin) = batch.place_of(item)?;
    Some(Entry {
        id: item.id,
        reject,
        file,
        offset_bytes: origin.offset_bytes,
        length_bytes: origin.length_bytes.into(),
        ordinal: origin.ordinal,
        sha256: None,
        content: Content::Document(batch.document(item)),
    })
}
