//! What may be kept in the dead letter of a line or a record that is turned away.

use std::borrow::Cow;

use crate::dead_letter::{Content, Raw, Why};
use crate::enrich::Enrichment;
use crate::flow::line::Line;
use crate::record::Record;
use crate::text::encoding::{Encoding, looks_like_utf16};
use crate::text::pattern_redaction;

/// What is kept.
#[derive(Debug)]
pub(super) enum Remains<'l> {
    /// The document as it would have been shipped.
    Document(Vec<u8>),
    /// The line, after pattern redaction.
    Raw(Cow<'l, [u8]>),
    /// Nothing, for this reason.
    Reference(Why),
}

impl<'l> Remains<'l> {
    /// Of a record that a processor turned away, with every redaction carried out.
    pub(super) fn of_record(enrichment: &Enrichment, record: &mut Record<'_>) -> Remains<'l> {
        if !enrichment.hide(record) {
            return Remains::Reference(Why::NotRedacted);
        }
        let mut document = Vec::new();
        record.render(&mut document);
        Remains::Document(document)
    }

    /// Of a line that is no record: as it is but for what patterns black out, or nothing. It cannot be redacted by field, and
    /// need not even name one: the second half of a torn line is only the tail of a value.
    pub(super) fn of_line(raw: Raw, enrichment: &Enrichment, line: &Line<'l>, encoding: Encoding) -> Remains<'l> {
        match raw {
            Raw::Left(why) => Remains::Reference(why),
            Raw::Kept => {
                without_patterns(line, encoding, enrichment).map_or(Remains::Reference(Why::Unreadable), Remains::Raw)
            }
        }
    }

    /// The same, as the dead letter takes it.
    pub(super) fn content(&self) -> Content<'_> {
        match self {
            Remains::Document(document) => Content::Document(document),
            Remains::Raw(line) => Content::Raw(line),
            Remains::Reference(why) => Content::Reference(*why),
        }
    }

    /// The same without the line that it was of.
    pub(super) fn to_owned(&self) -> Remains<'static> {
        match self {
            Remains::Document(document) => Remains::Document(document.clone()),
            Remains::Raw(line) => Remains::Raw(Cow::Owned(line.to_vec())),
            Remains::Reference(why) => Remains::Reference(*why),
        }
    }
}

/// A line as it may be kept; `None` where what is to be blacked out cannot be looked for. In UTF-16 it is looked for in the
/// text, which is kept in the line's place where something was found.
fn without_patterns<'l>(line: &Line<'l>, encoding: Encoding, enrichment: &Enrichment) -> Option<Cow<'l, [u8]>> {
    match line.text {
        Some(text) if encoding.unit_bytes() > 1 => {
            let hidden = hide_patterns(text.as_bytes(), enrichment);
            Some(if *hidden == *text.as_bytes() { Cow::Borrowed(line.bytes) } else { hidden })
        }
        None if encoding.unit_bytes() > 1 => None,
        _ if looks_like_utf16(line.bytes) => None,
        _ => Some(hide_patterns(line.bytes, enrichment)),
    }
}

/// What the pipeline's own patterns find, and then what looks like a secret or personal data anyway.
fn hide_patterns<'l>(line: &'l [u8], enrichment: &Enrichment) -> Cow<'l, [u8]> {
    match enrichment.hide_in_line(line) {
        Cow::Borrowed(line) => pattern_redaction::redact(line),
        Cow::Owned(line) => Cow::Owned(pattern_redaction::redact(&line).into_owned()),
    }
}
