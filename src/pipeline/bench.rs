//! A bench: where lines are judged, without any effect.
//!
//! What is to be done with a record is a [`Found`]. Carrying it out is for [`super::stages`] alone, on the pipeline's thread;
//! whether it comes straight from a bench of that thread, or was written down by a worker ([`super::product`]), is all the
//! same there.

use std::sync::Arc;

use crate::dead_letter::Raw;
use crate::enrich::{Enrichment, Nobody, Sight, Source, Verdict};
use crate::flow::batch::{Id, WrittenItem};
use crate::flow::line::{Entries, Line};
use crate::flow::reject::Reject;
use crate::judge::line::{Fate, Judge, Judged};
use crate::kql::Fields;
use crate::record::{Kept, Record, Shelf, Space};
use crate::source::files::{Chunk, Content};
use crate::source::framing::Lines;
use crate::text::digest::sha256_hexadecimal;

use super::remains::Remains;

/// The stack of a thread that has a bench, in bytes: enough for JSON that nests as deeply as is allowed.
pub(super) const STACK_BYTES: usize = 4 * 1024 * 1024;

/// A judge, and the space in which records lie meanwhile.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) judge: Judge,
    space: Space,
    /// What is kept of lines that are no records.
    raw: Raw,
}

/// A record of a line, or a line that gives none, and what is to be done with it.
#[derive(Debug)]
pub(super) struct Found<'f> {
    /// Which of the line's records it is, counted from 0.
    pub(super) ordinal: u32,
    /// It is text that was wrapped, and nothing that observers look at.
    pub(super) is_text: bool,
    pub(super) ruling: Ruling<'f>,
    /// The item that is shipped, where it is written already and is to be taken over from there.
    pub(super) item: Option<WrittenItem<'f>>,
}

/// What is to be done with a record.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ruling<'f> {
    /// It is shipped.
    Ship(&'f Verdict, Shown<'f>),
    /// The rule of this name keeps it from that, once observers have seen it.
    Drop(&'f Arc<str>, &'f Verdict, Shown<'f>),
    /// The decoder leaves it out, under this name.
    LeaveOut(&'static str),
    /// It goes to the dead letter.
    Bury(&'f Burial<'f>),
}

/// An entry for the dead letter.
#[derive(Debug)]
pub(super) struct Burial<'l> {
    pub(super) id: Id,
    pub(super) reject: Reject,
    /// It was a record, and not a line that is none.
    pub(super) is_record: bool,
    /// SHA-256 of the line in hexadecimal.
    pub(super) sha256: String,
    pub(super) remains: Remains<'l>,
}

/// A record that is to be shipped, or to be seen by observers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shown<'f> {
    /// As the processors have left it.
    AtHand { record: &'f Record<'f>, enrichment: &'f Enrichment, source: &'f Source<'f> },
    /// Written down: the document, and the record on a shelf, where observers look at it.
    Written { document: &'f [u8], shelf: &'f Shelf, kept: Kept },
}

impl Bench {
    pub(super) fn new(judge: Judge, raw: Raw) -> Bench {
        Bench { judge, space: Space::default(), raw }
    }

    /// Judges a line: `each` is given its records in their order, at least one.
    pub(super) fn judge(&mut self, line: &Line<'_>, source: &Source<'_>, each: &mut dyn FnMut(Found<'_>)) {
        let Bench { judge, space, raw } = self;
        judge.judge(line, source, space, &mut Nobody, &mut |judged| found(*raw, line, judged, each));
    }

    /// Whether the first entry of a chunk is whole, though the end of the file is: a record, or text of which each line has its
    /// end and that might only have gone on.
    pub(super) fn is_record(&mut self, chunk: &Chunk) -> bool {
        let Content::Lines(block) = &chunk.content else { return false };
        let (bytes, form) = (block.bytes(), chunk.file.form);
        if form.entries == Entries::Text && form.encoding.strip_end(bytes, b'\n').is_some() {
            return true;
        }
        let mut lines = Lines::new(bytes, chunk.offset_bytes, form);
        lines.next_line().is_none_or(|line| self.judge.is_record(&line, &chunk.file, &mut self.space))
    }
}

/// Says what is to be done with a record.
fn found(raw: Raw, line: &Line<'_>, judged: Judged<'_>, each: &mut dyn FnMut(Found<'_>)) {
    let Judged { source, enrichment, .. } = judged;
    let (ordinal, is_text) = (source.ordinal, source.given.is_text);
    let mut give = |ruling: Ruling<'_>| each(Found { ordinal, is_text, ruling, item: None });
    let burial = |id, reject, is_record, remains| {
        let sha256 = sha256_hexadecimal(line.bytes);
        Burial { id, reject, is_record, sha256, remains }
    };
    match judged.fate {
        Fate::Document(ref verdict, ref record) => {
            give(Ruling::Ship(verdict, Shown::AtHand { record, enrichment, source }));
        }
        Fate::Dropped(ref rule, ref verdict, ref record) => {
            give(Ruling::Drop(rule, verdict, Shown::AtHand { record, enrichment, source }));
        }
        Fate::LeftOut(name, _) => give(Ruling::LeaveOut(name)),
        Fate::Rejected(id, reject, Some(mut record)) => {
            let remains = Remains::of_record(enrichment, &mut record);
            give(Ruling::Bury(&burial(id, reject, true, remains)));
        }
        Fate::Rejected(id, reject, None) => {
            let remains = Remains::of_line(raw, enrichment, line, source.file.form.encoding);
            give(Ruling::Bury(&burial(id, reject, false, remains)));
        }
    }
}

impl Shown<'_> {
    /// Writes the document.
    pub(super) fn render(&self, out: &mut Vec<u8>) {
        match self {
            Shown::AtHand { record, .. } => record.render(out),
            Shown::Written { document, .. } => out.extend_from_slice(document),
        }
    }

    /// Keeps the record on a shelf.
    pub(super) fn keep(&self, on: &mut Shelf) -> Kept {
        match *self {
            Shown::AtHand { record, .. } => record.keep(on),
            Shown::Written { kept, .. } => kept,
        }
    }

    /// Shows the record, with what a condition sees of it. False when what was written down cannot be read again, which would
    /// be a defect of ours.
    pub(super) fn look(
        &self,
        sight: Sight,
        spaces: &mut [Space; 2],
        look: impl FnOnce(&Record<'_>, &dyn Fields),
    ) -> bool {
        let [space, further] = spaces;
        match *self {
            Shown::AtHand { record, enrichment, source } => {
                enrichment.ask(sight, record, source, |document| look(record, document));
                true
            }
            Shown::Written { shelf, kept, .. } if sight == Sight::Members => {
                let record = Record::kept(shelf, kept, space);
                look(&record, &record);
                true
            }
            Shown::Written { document, shelf, kept } => {
                let text = std::str::from_utf8(document).ok();
                let document = text.and_then(|text| Record::parse(text, further).ok());
                document.map(|document| look(&Record::kept(shelf, kept, space), &document)).is_some()
            }
        }
    }
}

impl Burial<'_> {
    /// The same without the line that it was of.
    pub(super) fn to_owned(&self) -> Burial<'static> {
        let Burial { id, is_record, .. } = *self;
        let (reject, sha256, remains) = (self.reject.clone(), self.sha256.clone(), self.remains.to_owned());
        Burial { id, reject, is_record, sha256, remains }
    }
}
