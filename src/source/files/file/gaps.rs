//! At a gap: what to do where NUL bytes stand between lines, or behind them?

use std::io;
use std::time::Instant;

use super::gap::{Gap, Gaps, gap_in, is_zero};
use super::tailed::TailedFile;
use super::turn::{PassedOver, Turn};
use crate::flow::line::Form;
use crate::state::checkpoint::{Fingerprint, Position, TAIL_BYTES_MAX};

/// How much of a gap is looked at in one turn, in bytes.
const GAP_BLOCK_BYTES: usize = 1 << 20;

impl TailedFile {
    /// What to do at a gap that begins at `start`, behind a line without an end or none.
    pub(super) fn read_gap(&mut self, start: u64, buffer: &mut Vec<u8>, form: &Form, gaps: Gaps) -> io::Result<Turn> {
        if self.gap.as_ref().is_none_or(|gap| gap.start != start) {
            self.gap = Some(Box::new(Gap::at(start)));
        }
        if let Some(turn) = self.search_gap_end(buffer, form, gaps)? {
            return Ok(turn);
        }
        let Some(end) = self.gap.as_ref().map(|gap| gap.end) else { return Ok(Turn::End) };
        let destroyed_end = match end {
            Some(end) => self.destroyed_end(end, buffer, form)?,
            None => Some(self.storage.content_bytes),
        };
        let is_final = self.is_gap_final(gaps);
        let waits_for_line_end = is_final && destroyed_end.is_none() && !self.is_left_alone(gaps);
        if let Some(gap) = &mut self.gap {
            gap.waits_for_line_end = waits_for_line_end;
        }
        if !is_final || waits_for_line_end {
            return Ok(Turn::End);
        }
        if let Some(whole_bytes) = self.whole_before_gap(start, buffer, form)? {
            let Some((from, length)) = self.read_on(buffer, whole_bytes)? else { return Ok(Turn::Replaced) };
            return self.give_out(buffer, from..length);
        }
        self.pass_over_gap(end, destroyed_end.or(end).unwrap_or(self.storage.content_bytes))
    }

    /// Looks for the end of the gap, a block a turn, from its beginning each time: it may have been filled from behind.
    fn search_gap_end(&mut self, buffer: &mut Vec<u8>, form: &Form, gaps: Gaps) -> io::Result<Option<Turn>> {
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
        let length = self.storage.read_into(buffer, from, GAP_BLOCK_BYTES)?;
        let zeros: usize = buffer[..length].chunks(1024).take_while(|chunk| is_zero(chunk)).map(<[u8]>::len).sum();
        let position = buffer[zeros..length].iter().position(|byte| *byte != 0).map(|position| zeros + position);
        let Some(gap) = &mut self.gap else { return Ok(Some(Turn::End)) };
        if position.is_none() && length > 0 {
            gap.searched_to = Some(from + length as u64);
            return Ok(Some(Turn::Busy));
        }
        gap.searched_to = None;
        gap.searched = Some((Instant::now(), gap.search_started.elapsed()));
        // The zero byte of a character is no part of the gap.
        let unit_bytes = form.encoding.unit_bytes() as u64;
        let end = position.map(|position| (from + position as u64) / unit_bytes * unit_bytes);
        if end != gap.end {
            (gap.end, gap.since) = (end, Instant::now());
        }
        if end.is_none() {
            self.storage.content_bytes = self.storage.content_bytes.max(from);
        }
        Ok(None)
    }

    /// Where what the gap destroyed of the line behind it ends; not known as long as that line has no end.
    fn destroyed_end(&self, gap_end: u64, buffer: &mut Vec<u8>, form: &Form) -> io::Result<Option<u64>> {
        let line_bytes_max = form.entry_bytes_max as usize;
        let length = self.storage.read_into(buffer, gap_end, line_bytes_max.saturating_add(1))?;
        let behind = &buffer[..length];
        let unmarked = behind.strip_prefix(form.encoding.mark()).unwrap_or(behind);
        if unmarked.strip_prefix(b"\0").unwrap_or(unmarked).starts_with(b"{") {
            return Ok(Some(gap_end));
        }
        let line_end = form.encoding.line_end(behind, gap_end).map(|end| end - 1);
        let is_torn_again = form.encoding.unit_bytes() == 1 && gap_in(&behind[..line_end.unwrap_or(length)]).is_some();
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
            Some(_) => gap.since.elapsed() >= wait || self.activity.changed.elapsed() >= wait,
            None => gap.since.elapsed() >= wait && self.is_left_alone(gaps),
        }
    }

    fn is_left_alone(&self, gaps: Gaps) -> bool {
        match gaps {
            Gaps::Wait(wait) => self.left_alone_for().is_some_and(|time| time >= wait),
            Gaps::GiveUp => true,
        }
    }

    /// How much before a gap may be whole, in bytes: all of it, if it ends as an object does and its line end alone was
    /// destroyed, or else the lines of an entry that might have gone on. The gap is next then.
    fn whole_before_gap(&self, gap_start: u64, buffer: &mut Vec<u8>, form: &Form) -> io::Result<Option<usize>> {
        let offset_bytes = self.progress.consumed.offset_bytes;
        let length = gap_start - offset_bytes;
        if !(1..=u64::from(form.entry_bytes_max)).contains(&length) {
            return Ok(None);
        }
        let read = self.storage.read_into(buffer, offset_bytes, length as usize)?;
        let before = &buffer[..read];
        let ends_as_object = form.encoding.strip_end(before, b'}').is_some();
        Ok(if ends_as_object { Some(read) } else { form.encoding.last_line_end(before, offset_bytes) })
    }

    /// Consumes the gap and what it destroyed. What is passed over at the end of a file is covered by a digest; a gap with
    /// something behind it is not.
    fn pass_over_gap(&mut self, gap_end: Option<u64>, end: u64) -> io::Result<Turn> {
        let offset_bytes = self.progress.consumed.offset_bytes;
        let covered_start = gap_end.unwrap_or(offset_bytes).max(end.saturating_sub(TAIL_BYTES_MAX as u64));
        let tail = self.storage.read_at(covered_start, (end - covered_start) as usize)?;
        if self.gap.as_ref().is_some_and(|gap| gap.start == 0) && self.identity.head.length_bytes == 0 {
            self.identity.begin_head_at(&self.storage, gap_end.unwrap_or(end))?;
        }
        self.advance(Position { offset_bytes: end, tail: Fingerprint::of(&tail) })?;
        (self.gap, self.progress.searched_to) = (None, None);
        Ok(Turn::PassedOver { what: PassedOver::NulBytes, offset_bytes, length_bytes: end - offset_bytes })
    }
}
