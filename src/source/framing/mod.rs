//! Framing: where do the lines of a block begin and end, and which of them are one entry?
//!
//! A line ends with a line feed; a carriage return before it, byte order marks at its start, and empty lines are no part of
//! any record. A mark stands where a writer began, which may be in the middle of a file that it appends to. UTF-8 is proven
//! once per block; only in a block that fails is each line proven by itself, so that one line in another encoding costs its
//! neighbours nothing. In other encodings each line is made text by itself.
//!
//! Several lines may be one entry ([`Entries`]): it is a [`Line`] with its line ends inside, read whole or not at all. One
//! that may still go on at the end of what is there stays unread, as a line without an end does. So a file has the same
//! entries whenever it is read.

mod array;
mod group;

use std::ops::Range;

use crate::flow::line::{Entries, Form, Line};
use crate::state::checkpoint::HEAD_BYTES_MAX;
use crate::text::container_line::Runtime;
use crate::text::encoding::Encoding;
use crate::text::joined_lines::is_record;
use group::{Group, Next};

/// How the lines of files are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    /// A line, or an entry of several, with more bytes than this is passed over, or ends before.
    pub line_bytes_max: usize,
    /// What a file is written in that does not begin with a mark.
    pub encoding: Encoding,
    /// Which lines belong together.
    pub entries: EntriesOption,
}

/// Which lines belong together, as far as it is known before a file is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntriesOption {
    /// These, in every file.
    Known(Entries),
    /// Parts of lines, if a container runtime has written the file: its beginning tells.
    Recognised,
}

impl Framing {
    /// Lines in UTF-8, each an entry.
    pub const fn of_lines(line_bytes_max: usize) -> Framing {
        Framing { line_bytes_max, encoding: Encoding::Utf8, entries: EntriesOption::Known(Entries::Lines) }
    }

    /// How a file is written that begins so. What is given ends with a line or has [`HEAD_BYTES_MAX`] bytes, else it may be
    /// another one later.
    pub fn form(&self, beginning: &[u8]) -> Form {
        let marked = Encoding::by_mark(beginning).filter(|_| self.encoding != Encoding::Latin1);
        let encoding = marked.unwrap_or(self.encoding);
        let entries = match self.entries {
            EntriesOption::Known(entries) => entries,
            EntriesOption::Recognised => recognised(encoding, &beginning[..beginning.len().min(HEAD_BYTES_MAX)]),
        };
        Form { encoding, entries, entry_bytes_max: u32::try_from(self.line_bytes_max).unwrap_or(u32::MAX) }
    }
}

/// Who wrote a file that begins so.
fn recognised(encoding: Encoding, beginning: &[u8]) -> Entries {
    let mut scratch = String::new();
    let whole_units = beginning.len() / encoding.unit_bytes() * encoding.unit_bytes();
    let text = match encoding {
        Encoding::Utf8 | Encoding::Latin1 => beginning,
        _ => encoding.text(&beginning[..whole_units], &mut scratch).unwrap_or_default().as_bytes(),
    };
    let mut text = text;
    while let Some(rest) = text.strip_prefix("\u{feff}".as_bytes()).or(text.strip_prefix(b"\n")) {
        text = rest;
    }
    Runtime::of(text).map_or(Entries::Text, Entries::Wrapped)
}

/// An entry within some bytes.
#[derive(Clone, Copy, Debug)]
struct Extent {
    /// Where its last line ends, behind the line feed.
    end: usize,
    /// Nothing that comes later can belong to it.
    is_closed: bool,
}

/// One line within some bytes.
struct PhysicalLine<'b> {
    content: &'b [u8],
    end: usize,
    has_end: bool,
}

fn physical_line<'b>(form: &Form, bytes: &'b [u8], offset_bytes: u64, start: usize) -> PhysicalLine<'b> {
    let found = form.encoding.line_end(&bytes[start..], offset_bytes + start as u64);
    let end = start + found.unwrap_or(bytes.len() - start);
    PhysicalLine { content: &bytes[start..end], end, has_end: found.is_some() }
}

/// A line without its end and marks, so that ASCII can be read in it.
fn readable<'t>(encoding: Encoding, line: &'t [u8], scratch: &'t mut String) -> &'t [u8] {
    let line = &line[trimmed(encoding, line)];
    match encoding {
        Encoding::Utf8 | Encoding::Latin1 => line,
        _ => encoding.text(line, scratch).unwrap_or_default().as_bytes(),
    }
}

/// Where a line stands without its end and the marks before it.
fn trimmed(encoding: Encoding, line: &[u8]) -> Range<usize> {
    let line = encoding.strip_end(line, b'\n').unwrap_or(line);
    let (mark, mut start) = (encoding.mark(), 0);
    while !mark.is_empty() && line[start..].starts_with(mark) {
        start += mark.len();
    }
    let content = encoding.strip_end(&line[start..], b'\r').unwrap_or(&line[start..]);
    start..start + content.len()
}

/// The entry that begins at a line's start. Bytes after the last line end are one more line.
fn extent(form: &Form, bytes: &[u8], offset_bytes: u64, start: usize) -> Extent {
    if form.entries == Entries::Array {
        let element = array::element(form.encoding, bytes, start);
        return Extent { end: element.end, is_closed: element.is_closed };
    }
    let mut scratch = String::new();
    let first = physical_line(form, bytes, offset_bytes, start);
    let mut group = Group::begin(form.entries, readable(form.encoding, first.content, &mut scratch));
    let mut extent = Extent { end: first.end, is_closed: first.has_end };
    let mut position = first.end;
    while group.may_go_on() {
        if position >= bytes.len() {
            return Extent { is_closed: false, ..extent };
        }
        let line = physical_line(form, bytes, offset_bytes, position);
        if line.end - start > form.entry_bytes_max as usize {
            break;
        }
        position = line.end;
        let text = readable(form.encoding, line.content, &mut scratch);
        let next = group.next(text);
        // The beginning of a record is enough to tell that it is no text. What a wrapped line is, is only known at its end.
        let is_told_by_beginning = form.entries == Entries::Text && next == Next::Apart && is_record(text);
        extent.is_closed &= line.has_end || is_told_by_beginning;
        match next {
            Next::Joins => extent.end = line.end,
            Next::Ends => {
                extent.end = line.end;
                break;
            }
            Next::Perhaps => {}
            Next::Apart => break,
        }
    }
    extent
}

/// Where the last entry ends that is known to be whole, in bytes that begin with one.
pub fn whole_end(form: &Form, bytes: &[u8], offset_bytes: u64) -> Option<usize> {
    let last = match form.entries {
        Entries::Array => bytes.len(),
        _ => form.encoding.last_line_end(bytes, offset_bytes)?,
    };
    let mut end = match form.entries {
        Entries::Lines => return Some(last),
        Entries::Text => behind_last_record(form, &bytes[..last], offset_bytes),
        Entries::Wrapped(_) | Entries::Array => 0,
    };
    while end < last {
        let extent = extent(form, bytes, offset_bytes, end);
        if !extent.is_closed {
            break;
        }
        end = extent.end;
    }
    (end > 0).then_some(end)
}

/// Where the last line ends that may be a record: no entry goes across it.
fn behind_last_record(form: &Form, lines: &[u8], offset_bytes: u64) -> usize {
    let encoding = form.encoding;
    let mut scratch = String::new();
    let mut end = lines.len();
    while end > 0 {
        let before = encoding.strip_end(&lines[..end], b'\n').unwrap_or(&lines[..end]);
        let start = encoding.last_line_end(before, offset_bytes).unwrap_or(0);
        if is_record(readable(encoding, &lines[start..end], &mut scratch)) {
            return end;
        }
        end = start;
    }
    0
}

/// Whole entries of one file.
#[derive(Debug)]
pub struct Lines<'b> {
    bytes: &'b [u8],
    text: Option<&'b str>,
    form: Form,
    offset_bytes: u64,
    position: usize,
    scratch: String,
}

impl<'b> Lines<'b> {
    /// Frames `bytes`, which start at `offset_bytes` of the file, at the start of an entry. Bytes after the last line end
    /// are one more line.
    pub fn new(bytes: &'b [u8], offset_bytes: u64, form: Form) -> Self {
        let text = if form.encoding == Encoding::Utf8 { simdutf8::basic::from_utf8(bytes).ok() } else { None };
        Lines { bytes, text, form, offset_bytes, position: 0, scratch: String::new() }
    }

    /// How much of the block is framed, in bytes: just behind the last entry that was given out.
    pub fn consumed_bytes(&self) -> usize {
        self.position
    }

    /// The next entry.
    // Inlined, so that the line stays in registers. As a value in memory it would be read as soon as it is written, and a
    // read of several writes waits for these and for all that were before: the document of the line before.
    #[inline(always)]
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        while self.position < self.bytes.len() {
            let start = self.position;
            self.position = self.end_of(start);
            let entry = &self.bytes[start..self.position];
            let line = match self.form.entries {
                Entries::Array => array::element(self.form.encoding, entry, 0).content,
                _ => trimmed(self.form.encoding, entry),
            };
            if !line.is_empty() {
                return Some(self.line(start + line.start..start + line.end));
            }
        }
        None
    }

    fn end_of(&self, start: usize) -> usize {
        let is_single = match self.form.entries {
            Entries::Lines => true,
            Entries::Text => self.bytes[start] == b'{' && self.form.encoding.unit_bytes() == 1,
            Entries::Wrapped(_) | Entries::Array => false,
        };
        if is_single {
            return physical_line(&self.form, self.bytes, self.offset_bytes, start).end;
        }
        extent(&self.form, self.bytes, self.offset_bytes, start).end
    }

    #[inline(always)]
    fn line(&mut self, range: Range<usize>) -> Line<'_> {
        let bytes = &self.bytes[range.clone()];
        let offset_bytes = self.offset_bytes + range.start as u64;
        // Line ends are ASCII, so a line of a proven block can be sliced out of it.
        let text = match self.text {
            Some(text) => text.get(range),
            None => self.form.encoding.text(bytes, &mut self.scratch),
        };
        Line { offset_bytes, bytes, text }
    }
}

#[cfg(test)]
mod tests;
