//! A product: a chunk with what a worker has found in it, written down for the pipeline's thread.
//!
//! ```text
//! lines     where each line is, and up to where its records stand below
//! records   what is to be done with each
//! text      their documents, one behind the other
//! shelf     where there are observers: the records as these see them
//! ```
//!
//! Making it has no effect, so a product may be thrown away at any moment. Its buffers are used again.

use std::ops::Range;
use std::sync::Arc;

use super::bench::{Bench, Burial, Found, Ruling, Shown};
use crate::enrich::{Sight, Source, Verdict};
use crate::record::{Kept, Shelf};
use crate::source::files::Chunk;
use crate::source::framing::Lines;

/// What the stages are given.
#[derive(Debug)]
pub(super) enum Intake {
    /// A chunk as it was read.
    Chunk(Chunk),
    /// A chunk whose lines are judged.
    Product(Box<Product>),
}

/// A chunk whose lines are judged.
#[derive(Debug)]
pub(super) struct Product {
    pub(super) chunk: Chunk,
    /// When it was read, in microseconds since 1970.
    pub(super) read_us: i64,
    pages: Pages,
    /// So many of the lines are settled.
    settled_lines: usize,
}

/// The buffers of a product.
#[derive(Debug, Default)]
pub(super) struct Pages {
    lines: Vec<JudgedLine>,
    records: Vec<JudgedRecord>,
    text: Vec<u8>,
    shelf: Shelf,
}

/// A line that was judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct JudgedLine {
    /// Where it begins, in bytes from the start of the file.
    pub(super) offset_bytes: u64,
    /// Its length in bytes, without its end.
    pub(super) length_bytes: u64,
    /// Where it ends with its end and what belongs to it, in bytes from the start of the file.
    pub(super) end_offset_bytes: u64,
    /// How many records it and those before it gave.
    records: usize,
}

#[derive(Debug)]
struct JudgedRecord {
    ordinal: u32,
    is_text: bool,
    ruling: WrittenRuling,
}

/// A [`Ruling`], written down.
#[derive(Debug)]
enum WrittenRuling {
    Ship(Verdict, Place),
    Drop(Arc<str>, Verdict, Place),
    LeaveOut(&'static str),
    Bury(Box<Burial<'static>>),
}

/// Where a record stands in the text and on the shelf.
#[derive(Clone, Debug)]
struct Place {
    document: Range<usize>,
    kept: Kept,
}

impl Intake {
    /// What was read.
    pub(super) fn chunk(&self) -> &Chunk {
        match self {
            Intake::Chunk(chunk) => chunk,
            Intake::Product(product) => &product.chunk,
        }
    }

    /// Leaves out its first lines, of so many bytes, which are settled.
    pub(super) fn leave_out(&mut self, settled_bytes: usize) {
        match self {
            Intake::Chunk(chunk) => chunk.leave_out(settled_bytes),
            Intake::Product(product) => product.leave_out(settled_bytes),
        }
    }
}

impl Product {
    /// Judges the lines of a chunk. `observed`: what observers have to see, if there are some.
    pub(super) fn make(
        bench: &mut Bench,
        chunk: Chunk,
        read_us: i64,
        observed: Option<Sight>,
        mut pages: Pages,
    ) -> Product {
        pages.clear();
        let mut lines = Lines::new(chunk.lines(), chunk.offset_bytes, chunk.file.form);
        while let Some(line) = lines.next_line() {
            let source = Source::of(&chunk.file, &line, read_us);
            bench.judge(&line, &source, &mut |found| pages.write(&found, observed));
            let (offset_bytes, length_bytes) = (line.offset_bytes, line.bytes.len() as u64);
            let end_offset_bytes = chunk.offset_bytes + lines.consumed_bytes() as u64;
            let records = pages.records.len();
            pages.lines.push(JudgedLine { offset_bytes, length_bytes, end_offset_bytes, records });
        }
        Product { chunk, read_us, pages, settled_lines: 0 }
    }

    /// The lines that are not settled, each with its number.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, JudgedLine)> {
        self.pages.lines.iter().copied().enumerate().skip(self.settled_lines)
    }

    /// The records of the line of a number.
    pub(super) fn records(&self, number: usize) -> impl Iterator<Item = Found<'_>> {
        let start = number.checked_sub(1).map_or(0, |before| self.pages.lines[before].records);
        let records = &self.pages.records[start..self.pages.lines[number].records];
        records.iter().map(|record| record.found(&self.pages))
    }

    /// How many records the processors have been given.
    pub(super) fn enriched_records(&self) -> u64 {
        let is_enriched = |record: &&JudgedRecord| match &record.ruling {
            WrittenRuling::Ship(..) | WrittenRuling::Drop(..) => true,
            WrittenRuling::LeaveOut(_) => false,
            WrittenRuling::Bury(burial) => burial.is_record,
        };
        self.pages.records.iter().filter(is_enriched).count() as u64
    }

    fn leave_out(&mut self, settled_bytes: usize) {
        self.chunk.leave_out(settled_bytes);
        let is_settled = |line: &JudgedLine| line.end_offset_bytes <= self.chunk.offset_bytes;
        self.settled_lines = self.pages.lines.iter().take_while(|line| is_settled(line)).count();
    }

    /// The chunk and the buffers, to be used again.
    pub(super) fn into_parts(self) -> (Chunk, Pages) {
        (self.chunk, self.pages)
    }
}

impl Pages {
    fn clear(&mut self) {
        self.lines.clear();
        self.records.clear();
        self.text.clear();
        self.shelf.clear();
    }

    fn write(&mut self, found: &Found<'_>, observed: Option<Sight>) {
        let Found { ordinal, is_text, ruling } = *found;
        let observed = observed.filter(|_| !is_text);
        let ruling = match ruling {
            Ruling::Ship(verdict, shown) => {
                let place = Place { document: self.document(shown), kept: self.keep(shown, observed) };
                WrittenRuling::Ship(verdict.clone(), place)
            }
            Ruling::Drop(rule, verdict, shown) => {
                let sees_document = observed.is_some_and(|sight| sight != Sight::Members);
                let document = if sees_document { self.document(shown) } else { 0..0 };
                WrittenRuling::Drop(
                    Arc::clone(rule),
                    verdict.clone(),
                    Place { document, kept: self.keep(shown, observed) },
                )
            }
            Ruling::LeaveOut(name) => WrittenRuling::LeaveOut(name),
            Ruling::Bury(burial) => WrittenRuling::Bury(Box::new(burial.to_owned())),
        };
        self.records.push(JudgedRecord { ordinal, is_text, ruling });
    }

    fn document(&mut self, shown: Shown<'_>) -> Range<usize> {
        let start = self.text.len();
        shown.render(&mut self.text);
        start..self.text.len()
    }

    fn keep(&mut self, shown: Shown<'_>, observed: Option<Sight>) -> Kept {
        observed.map_or_else(Kept::default, |_| shown.keep(&mut self.shelf))
    }
}

impl JudgedRecord {
    fn found<'p>(&'p self, pages: &'p Pages) -> Found<'p> {
        let shown = |place: &Place| {
            let document = &pages.text[place.document.clone()];
            Shown::Written { document, shelf: &pages.shelf, kept: place.kept }
        };
        let ruling = match &self.ruling {
            WrittenRuling::Ship(verdict, place) => Ruling::Ship(verdict, shown(place)),
            WrittenRuling::Drop(rule, verdict, place) => Ruling::Drop(rule, verdict, shown(place)),
            WrittenRuling::LeaveOut(name) => Ruling::LeaveOut(name),
            WrittenRuling::Bury(burial) => Ruling::Bury(burial),
        };
        Found { ordinal: self.ordinal, is_text: self.is_text, ruling }
    }
}
