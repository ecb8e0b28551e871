//! A product: a chunk with what a worker has found in it, written down for the pipeline's thread.
//!
//! ```text
//! lines     where each line is, and up to where its records stand below
//! records   what is to be done with each
//! text      the documents to be shipped, one behind the other, as a batch has them: it takes them over from there
//! dropped   where observers look at documents: those that a rule drops
//! shelf     where there are observers: the records as these see them
//! ```
//!
//! Making it has no effect, so a product may be thrown away at any moment. Its buffers are used again.

use std::ops::Range;
use std::sync::Arc;

use super::bench::{Bench, Burial, Found, Ruling, Shown};
use crate::enrich::{Sight, Source, Verdict};
use crate::flow::batch::{ItemPlace, WrittenItem};
use crate::record::{Kept, Shelf};
use crate::source::files::Chunk;
use crate::source::framing::Lines;

/// A shorter text is copied: segments cost something, too. Tests have short blocks.
const SEGMENT_BYTES_MIN: usize = if cfg!(test) { 8 << 10 } else { 64 << 10 };

/// So many buffers for texts are kept, and none that is larger.
const SPARE_TEXTS_MAX: usize = 8;
const SPARE_BYTES_MAX: usize = 4 << 20;

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
    text: Arc<Vec<u8>>,
    /// So many of the lines are settled.
    settled_lines: usize,
}

/// The buffers of a product, but for its text.
#[derive(Debug, Default)]
pub(super) struct Pages {
    lines: Vec<JudgedLine>,
    records: Vec<JudgedRecord>,
    dropped: Vec<u8>,
    shelf: Shelf,
}

/// Buffers for texts of products.
#[derive(Debug, Default)]
pub(super) struct SpareTexts(Vec<Vec<u8>>);

impl SpareTexts {
    /// Keeps a buffer, unless there are enough, or it has grown for a long line.
    pub(super) fn push(&mut self, mut text: Vec<u8>) {
        if self.0.len() < SPARE_TEXTS_MAX && (1..=SPARE_BYTES_MAX).contains(&text.capacity()) {
            text.clear();
            self.0.push(text);
        }
    }

    /// One that is empty.
    pub(super) fn pop(&mut self) -> Vec<u8> {
        self.0.pop().unwrap_or_default()
    }
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
    Ship(Verdict, ItemPlace, Kept),
    /// The range is that of its document, where observers look at it.
    Drop(Arc<str>, Verdict, Range<usize>, Kept),
    LeaveOut(&'static str),
    Bury(Box<Burial<'static>>),
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
        (mut pages, mut text): (Pages, Vec<u8>),
    ) -> Product {
        pages.clear();
        let mut lines = Lines::new(chunk.lines(), chunk.offset_bytes, chunk.file.form);
        while let Some(line) = lines.next_line() {
            let source = Source::of(&chunk.file, &line, read_us);
            bench.judge(&line, &source, &mut |found| pages.write(&found, observed, &mut text));
            let (offset_bytes, length_bytes) = (line.offset_bytes, line.bytes.len() as u64);
            let end_offset_bytes = chunk.offset_bytes + lines.consumed_bytes() as u64;
            let records = pages.records.len();
            pages.lines.push(JudgedLine { offset_bytes, length_bytes, end_offset_bytes, records });
        }
        Product { chunk, read_us, pages, text: Arc::new(text), settled_lines: 0 }
    }

    /// The lines that are not settled, each with its number.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, JudgedLine)> {
        self.pages.lines.iter().copied().enumerate().skip(self.settled_lines)
    }

    /// The records of the line of a number.
    pub(super) fn records(&self, number: usize) -> impl Iterator<Item = Found<'_>> {
        let start = number.checked_sub(1).map_or(0, |before| self.pages.lines[before].records);
        let records = &self.pages.records[start..self.pages.lines[number].records];
        records.iter().map(|record| record.found(self))
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

    /// The chunk and the buffers, to be used again: the text, unless a batch has something of it.
    pub(super) fn into_parts(self) -> (Chunk, Pages, Option<Vec<u8>>) {
        (self.chunk, self.pages, Arc::into_inner(self.text))
    }

    /// Whether the text is worth to be a segment of a batch, which holds its whole buffer: it is long, and fills that.
    fn is_segment(&self) -> bool {
        self.text.len() >= SEGMENT_BYTES_MIN && self.text.len() >= self.text.capacity() / 4
    }
}

impl Pages {
    fn clear(&mut self) {
        self.lines.clear();
        self.records.clear();
        self.dropped.clear();
        self.shelf.clear();
    }

    fn write(&mut self, found: &Found<'_>, observed: Option<Sight>, text: &mut Vec<u8>) {
        let Found { ordinal, is_text, ruling, .. } = *found;
        let observed = observed.filter(|_| !is_text);
        let ruling = match ruling {
            Ruling::Ship(verdict, shown) => {
                let place = ItemPlace::write(&verdict.id, text, |out| shown.render(out));
                WrittenRuling::Ship(verdict.clone(), place, self.keep(shown, observed))
            }
            Ruling::Drop(rule, verdict, shown) => {
                let sees_document = observed.is_some_and(|sight| sight != Sight::Members);
                let start = self.dropped.len();
                if sees_document {
                    shown.render(&mut self.dropped);
                }
                let document = start..self.dropped.len();
                WrittenRuling::Drop(Arc::clone(rule), verdict.clone(), document, self.keep(shown, observed))
            }
            Ruling::LeaveOut(name) => WrittenRuling::LeaveOut(name),
            Ruling::Bury(burial) => WrittenRuling::Bury(Box::new(burial.to_owned())),
        };
        self.records.push(JudgedRecord { ordinal, is_text, ruling });
    }

    fn keep(&mut self, shown: Shown<'_>, observed: Option<Sight>) -> Kept {
        observed.map_or_else(Kept::default, |_| shown.keep(&mut self.shelf))
    }
}

impl JudgedRecord {
    fn found<'p>(&'p self, product: &'p Product) -> Found<'p> {
        let Product { pages: Pages { dropped, shelf, .. }, text, .. } = product;
        let mut item = None;
        let ruling = match &self.ruling {
            WrittenRuling::Ship(verdict, place, kept) => {
                let written = WrittenItem { text, place: *place };
                item = product.is_segment().then_some(written);
                Ruling::Ship(verdict, Shown::Written { document: written.document(), shelf, kept: *kept })
            }
            WrittenRuling::Drop(rule, verdict, document, kept) => {
                let document = &dropped[document.clone()];
                Ruling::Drop(rule, verdict, Shown::Written { document, shelf, kept: *kept })
            }
            WrittenRuling::LeaveOut(name) => Ruling::LeaveOut(name),
            WrittenRuling::Bury(burial) => Ruling::Bury(burial),
        };
        Found { ordinal: self.ordinal, is_text: self.is_text, ruling, item }
    }
}
