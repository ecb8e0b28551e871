//! Gaps: runs of NUL bytes in a file, which may still be filled.
//!
//! No line has them. They stand where space was allocated ahead, where blocks of a file arrive out of order (NFS), where a
//! writer goes on at its old offset after a truncation, and where a crash took what was not written yet. So what follows a
//! gap waits: as long as the gap changes, and for a while after that. A gap that reaches to the end of a file is where
//! its next lines will stand, and waits as long as the file is under its name. What is final is passed over by its range,
//! which is that of the NUL bytes and of the parts of lines that they destroyed: before them what does not end as an object
//! does, and behind them what does not begin as one does.
//!
//! No digest covers a gap, since it may be filled after all: the head of a file begins behind the gap that it begins with.

use std::io;
use std::time::{Duration, Instant};

use super::{PassedOver, TailedFile, Turn};
use crate::source::framing::BYTE_ORDER_MARK;
use crate::state::checkpoint::{Fingerprint, HEAD_BYTES_MAX, Position, TAIL_BYTES_MAX};

/// So many NUL bytes in a row are a gap. Fewer stand in text of other encodings.
const GAP_BYTES_MIN: usize = 4;

/// How much of a gap is looked at in one turn, in bytes.
const GAP_BLOCK_BYTES: usize = 1 << 20;

/// Looking for the end of a gap takes at most this part of the time: 1/20.
const GAP_SHARE: u32 = 20;

/// When what a gap may hold is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gaps {
    /// After it has stayed as it is for so long.
    Wait(Duration),
    /// At once: it was given up before, or nobody writes to the file.
    GiveUp,
}

/// A run of NUL bytes.
#[derive(Debug)]
pub(super) struct Gap {
    /// Where it begins, in bytes from the start of the file.
    start: u64,
    /// Where it ends; at the end of the file, if there is nothing behind it.
    end: Option<u64>,
    /// It is final, but for the line behind it, which has no end yet.
    waits_for_line_end: bool,
    /// Since when it is as it is.
    since: Instant,
    /// Up to here a search for its end has come, if one is under way.
    searched_to: Option<u64>,
    search_started: Instant,
    /// When the last one ended, and how long it took.
    searched: Option<(Instant, Duration)>,
}

impl Gap {
    fn at(start: u64) -> Gap {
        let now = Instant::now();
        Gap {
            start,
            end: None,
            waits_for_line_end: false,
            since: now,
            searched_to: None,
            search_started: now,
            searched: None,
        }
    }

    /// Whether it was searched a moment ago, for how long that took.
    fn is_searched(&self, now: Instant, gaps: Gaps) -> bool {
        let (Some((searched, took)), Gaps::Wait(wait)) = (self.searched, gaps) else { return false };
        now < searched + (took * GAP_SHARE).min(wait)
    }
}

/// Where the first gap in some bytes begins. One that begins at their end may go on behind it, however short it is.
pub(super) fn gap_in(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let start = from + memchr::memchr(0, &bytes[from..])?;
        let length = bytes[start..].iter().take(GAP_BYTES_MIN).take_while(|byte| **byte == 0).count();
        if length == GAP_BYTES_MIN || start + length == bytes.len() {
            return Some(start);
        }
        from = start + length;
    }
}

/// Whether a gap that begins at a position of some bytes is known to be one.
pub(super) fn is_gap(bytes: &[u8], position: usize) -> bool {
    bytes.len() - position >= GAP_BYTES_MIN
}

fn without_nul_bytes(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(memchr::memchr(0, &bytes).unwrap_or(bytes.len()));
    bytes
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |all, byte| all | byte) == 0
}

impl TailedFile {
    /// True while there is something behind a gap that may still be filled.
    pub(in super::super) fn waits_at_gap(&self) -> bool {
        self.gap.as_ref().is_some_and(|gap| gap.end.is_some() && !gap.waits_for_line_end)
    }

    /// True when the next thing to read is a gap.
    pub(in super::super) fn is_at_gap(&self) -> bool {
        self.gap.is_some()
    }

    /// How many bytes of the file are left unread, because they are NUL bytes that may be filled yet, or stand behind such
    /// without a line end.
    pub(in super::super) fn gap_bytes(&self) -> u64 {
        let waits_for_line_end = self.gap.as_ref().is_some_and(|gap| gap.waits_for_line_end);
        if waits_for_line_end { self.unread_bytes() } else { self.trailing_gap_bytes() }
    }

    /// How many NUL bytes the file ends with, as far as it is known.
    pub(super) fn trailing_gap_bytes(&self) -> u64 {
        self.size_bytes - self.content_end()
    }

    /// The end of what was written, in bytes: behind it there are NUL bytes alone, as far as it is known.
    pub(super) fn content_end(&self) -> u64 {
        let trailing = self.gap.as_ref().filter(|gap| gap.end.is_none() && gap.searched_to.is_none());
        trailing.map_or(self.size_bytes, |gap| gap.start.min(self.size_bytes))
    }

    /// What to do at a gap that begins at `start`, behind a line without an end or none.
    pub(super) fn read_gap(
        &mut self,
        start: u64,
        buffer: &mut Vec<u8>,
        line_bytes_max: usize,
        gaps: Gaps,
    ) -> io::Result<Turn> {
        if self.gap.as_ref().is_none_or(|gap| gap.start != start) {
            self.gap = Some(Box::new(Gap::at(start)));
        }
        if let Some(turn) = self.search_gap_end(buffer, gaps)? {
            return Ok(turn);
        }
        let Some(end) = self.gap.as_ref().map(|gap| gap.end) else { return Ok(Turn::End) };
        let destroyed_end = match end {
            Some(end) => self.destroyed_end(end, buffer, line_bytes_max)?,
            None => Some(self.size_bytes),
        };
        let is_final = self.is_gap_final(gaps);
        let waits_for_line_end = is_final && destroyed_end.is_none() && !self.is_left_alone(gaps);
        if let Some(gap) = &mut self.gap {
            gap.waits_for_line_end = waits_for_line_end;
        }
        if !is_final || waits_for_line_end {
            return Ok(Turn::End);
        }
        if self.ends_as_object(start, line_bytes_max)? {
            // The line end alone was destroyed. The gap is next.
            let Some((from, length)) = self.read_on(buffer, (start - self.consumed.offset_bytes) as usize)? else {
                return Ok(Turn::Replaced);
            };
            return self.give_out(buffer, from..length);
        }
        self.pass_over_gap(end, destroyed_end.or(end).unwrap_or(self.size_bytes))
    }

    /// Looks for the end of the gap, a block a turn, from its beginning each time: it may have been filled from behind.
    fn search_gap_end(&mut self, buffer: &mut Vec<u8>, gaps: Gaps) -> io::Result<Option<Turn>> {
        let now = Instant::now();
        let Some(gap) = &mut self.gap else { return Ok(Some(Turn::End)) };
        let from = match gap.searched_to {
            Some(searched_to) => searched_to,
            None if gap.is_searched(now, gaps) => return Ok(Some(Turn::End)),
            None => {
                gap.search_started = now;
                gap.start
            }
        };
        let length = self.read_into(buffer, from, GAP_BLOCK_BYTES)?;
        let zeros: usize = buffer[..length].chunks(1024).take_while(|chunk| is_zero(chunk)).map(<[u8]>::len).sum();
        let position = buffer[zeros..length].iter().position(|byte| *byte != 0).map(|position| zeros + position);
        let Some(gap) = &mut self.gap else { return Ok(Some(Turn::End)) };
        if position.is_none() && length > 0 {
            gap.searched_to = Some(from + length as u64);
            return Ok(Some(Turn::Busy));
        }
        gap.searched_to = None;
        gap.searched = Some((Instant::now(), gap.search_started.elapsed()));
        let end = position.map(|position| from + position as u64);
        if end != gap.end {
            (gap.end, gap.since) = (end, Instant::now());
        }
        if end.is_none() {
            self.size_bytes = self.size_bytes.max(from);
        }
        Ok(None)
    }

    /// Where what the gap destroyed of the line behind it ends; not known as long as that line has no end.
    fn destroyed_end(&self, gap_end: u64, buffer: &mut Vec<u8>, line_bytes_max: usize) -> io::Result<Option<u64>> {
        let length = self.read_into(buffer, gap_end, line_bytes_max.saturating_add(1))?;
        let behind = &buffer[..length];
        if behind.strip_prefix(BYTE_ORDER_MARK).unwrap_or(behind).starts_with(b"{") {
            return Ok(Some(gap_end));
        }
        let line_end = memchr::memchr(b'\n', behind);
        let is_torn_again = gap_in(&behind[..line_end.unwrap_or(length)]).is_some();
        match line_end {
            _ if is_torn_again => Ok(Some(gap_end)),
            Some(line_end) => Ok(Some(gap_end + line_end as u64 + 1)),
            None => Ok((length > line_bytes_max).then_some(gap_end)),
        }
    }

    /// Whether nobody is expected to write into the gap any more.
    fn is_gap_final(&self, gaps: Gaps) -> bool {
        let (Gaps::Wait(wait), Some(gap)) = (gaps, &self.gap) else { return true };
        match gap.end {
            Some(_) => gap.since.elapsed() >= wait || self.changed.elapsed() >= wait,
            None => gap.since.elapsed() >= wait && self.is_left_alone(gaps),
        }
    }

    fn is_left_alone(&self, gaps: Gaps) -> bool {
        match gaps {
            Gaps::Wait(wait) => self.left_alone_for().is_some_and(|time| time >= wait),
            Gaps::GiveUp => true,
        }
    }

    /// Whether the line before a gap may be a whole object.
    fn ends_as_object(&self, gap_start: u64, line_bytes_max: usize) -> io::Result<bool> {
        let length = gap_start - self.consumed.offset_bytes;
        let may_be = (1..=line_bytes_max as u64).contains(&length);
        Ok(may_be && self.read_at(gap_start - 1, 1)? == b"}")
    }

    /// Consumes the gap and what it destroyed. What is passed over at the end of a file is covered by a digest; a gap with
    /// something behind it is not.
    fn pass_over_gap(&mut self, gap_end: Option<u64>, end: u64) -> io::Result<Turn> {
        let offset_bytes = self.consumed.offset_bytes;
        let covered_start = gap_end.unwrap_or(offset_bytes).max(end.saturating_sub(TAIL_BYTES_MAX as u64));
        let tail = self.read_at(covered_start, (end - covered_start) as usize)?;
        if self.gap.as_ref().is_some_and(|gap| gap.start == 0) && self.head.length_bytes == 0 {
            self.head_offset_bytes = gap_end.unwrap_or(end);
            self.head = Fingerprint::of(&without_nul_bytes(self.read_at(self.head_offset_bytes, HEAD_BYTES_MAX)?));
        }
        self.advance(Position { offset_bytes: end, tail: Fingerprint::of(&tail) })?;
        (self.gap, self.searched_to) = (None, None);
        Ok(Turn::PassedOver { what: PassedOver::NulBytes, offset_bytes, length_bytes: end - offset_bytes })
    }

    /// Extends the digest of the first bytes over what is delivered. It ends before a gap.
    pub(super) fn extend_head(&mut self) {
        let covered_bytes = self.committed.offset_bytes.saturating_sub(self.head_offset_bytes);
        let head_bytes = covered_bytes.min(HEAD_BYTES_MAX as u64) as usize;
        if head_bytes > self.head.length_bytes as usize
            && let Ok(head) = self.read_at(self.head_offset_bytes, head_bytes).map(without_nul_bytes)
            && head.len() > self.head.length_bytes as usize
        {
            self.head = Fingerprint::of(&head);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_told_from_text_of_another_encoding() {
        for (bytes, expected) in [
            (&b"abc"[..], None),
            (b"a\0b\0c", None),
            (b"{\0\0\0a\0\0\0\n", None),
            (b"ab\0\0\0\0c", Some(2)),
            (b"\0\0\0\0\0", Some(0)),
            (b"a\0b\0\0\0\0", Some(3)),
            (b"a\0b\0", Some(3)),
            (b"", None),
        ] {
            assert_eq!(gap_in(bytes), expected, "{}", bytes.escape_ascii());
        }
        assert!(is_gap(b"a\0\0\0\0", 1) && !is_gap(b"a\0\0\0", 1));
        assert!(is_zero(&[0; 70]) && !is_zero(&[0, 0, 1]) && is_zero(&[]));
    }
}
