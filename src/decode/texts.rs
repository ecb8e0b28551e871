//! Texts: the records of a line on their way through the chain, as JSON in one buffer that is used again and again.

use crate::flow::line::Given;
use crate::flow::reject::{Reject, Stage};
use crate::record::Record;

/// A line gives at most this many records.
pub(super) const RECORDS_MAX: usize = 10_000;

/// And at most this much of them, in bytes: as much as the longest line that may be read. What is repeated in each record
/// counts as often.
pub(super) const RECORDS_BYTES_MAX: usize = 16 << 20;

/// The records of a line.
#[derive(Debug, Default)]
pub(super) struct Texts {
    buffer: Vec<u8>,
    ends: Vec<End>,
}

/// Where a record ends in the buffer.
#[derive(Clone, Copy, Debug)]
struct End {
    bytes: usize,
    /// What is known of it besides.
    given: Given,
}

impl Texts {
    pub(super) fn clear(&mut self) {
        self.buffer.clear();
        self.ends.clear();
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Begins with one record.
    pub(super) fn begin(&mut self, record: &Record<'_>, given: Given) -> Result<(), Reject> {
        self.clear();
        self.push(given, |out| record.render(out))
    }

    /// Adds a record, which `write` writes as a valid object. A document is one line: line ends, which stand in no string of
    /// valid JSON, become blanks.
    ///
    /// # Errors
    /// When the line gives more than may be held.
    pub(super) fn push(&mut self, given: Given, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), Reject> {
        let start = self.buffer.len();
        write(&mut self.buffer);
        let line_ends = self.buffer[start..].iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r'));
        line_ends.for_each(|byte| *byte = b' ');
        self.ends.push(End { bytes: self.buffer.len(), given });
        if self.ends.len() > RECORDS_MAX || self.buffer.len() > RECORDS_BYTES_MAX {
            let limits = format!("{RECORDS_MAX} records and {} MiB of them", RECORDS_BYTES_MAX >> 20);
            let detail = format!("the line gives more than {limits}, with what each of them repeats");
            return Err(Reject::new(Stage::Decode, "too_many_records", detail));
        }
        Ok(())
    }

    /// The records in their order, and what is known of each besides.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Given)> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|end| end.bytes));
        // All that is written here was rendered from text.
        let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
        starts.zip(&self.ends).map(move |(start, end)| (text(&self.buffer[start..end.bytes]), end.given))
    }
}
