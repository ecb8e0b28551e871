//! Reading one file: the next whole lines, the end of a line that is too long, the unterminated end.

use std::io;

use super::gap::{Gaps, gap_in, is_gap};
use super::tailed::TailedFile;
use super::turn::{PassedOver, Turn};
use crate::flow::line::Form;
use crate::source::files::compressed::{Nature, nature};
use crate::source::framing::{EntriesOption, Framing, whole_end};
use crate::state::checkpoint::{Fingerprint, Position, TAIL_BYTES_MAX};
use crate::text::container_line::Runtime;

/// How much of a compressed file is decompressed in one turn, in bytes: some milliseconds' worth.
const DECOMPRESSED_BYTES: u64 = 1 << 20;

impl TailedFile {
    /// Reads the next whole lines into `buffer`, which grows to a line's limit at most. After an error nothing is
    /// consumed.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(
        &mut self,
        buffer: &mut Vec<u8>,
        block_bytes: usize,
        framing: &Framing,
        gaps: Gaps,
    ) -> io::Result<Turn> {
        let line_bytes_max = framing.line_bytes_max;
        let form = self.form(framing)?;
        let gaps = if self.is_compressed() || self.is_salvage() { Gaps::GiveUp } else { gaps };
        self.progress.before_end = None;
        if let Some(turn) = self.approach() {
            return Ok(turn);
        }
        if let Some(searched_to) = self.progress.searched_to {
            return self.search_line_end(searched_to, buffer, block_bytes, &form, gaps);
        }
        // With no more than this, whatever line ends in the block is within the limit.
        let block_bytes_max = line_bytes_max.saturating_add(1);
        let mut block_bytes = block_bytes.min(block_bytes_max);
        loop {
            let Some((start, length)) = self.read_on(buffer, block_bytes)? else { return Ok(Turn::Replaced) };
            if self.progress.consumed.offset_bytes == 0 && self.may_be_archive(&buffer[start..length]) {
                return Ok(Turn::Unknown);
            }
            let (unread, offset_bytes) = (&buffer[start..length], self.progress.consumed.offset_bytes);
            let gap = gap_in(unread).map(|gap| behind_unit(&form, offset_bytes, gap, unread.len()));
            if let Some(end) = whole_end(&form, &unread[..gap.unwrap_or(unread.len())], offset_bytes) {
                return self.give_out(buffer, start..start + end);
            }
            if let Some(position) = gap.filter(|position| is_gap(unread, *position)) {
                return self.read_gap(offset_bytes + position as u64, buffer, &form, gaps);
            }
            self.gap = None;
            let unended_bytes = length - start;
            self.storage.content_bytes = self.storage.content_bytes.max(offset_bytes + unended_bytes as u64);
            if unended_bytes > line_bytes_max {
                self.progress.searched_to = Some(offset_bytes + whole_units(&form, unended_bytes) as u64);
                return Ok(Turn::Busy);
            }
            if unended_bytes < block_bytes {
                return Ok(Turn::End);
            }
            block_bytes = (2 * block_bytes).min(block_bytes_max);
        }
    }

    /// How its lines are written; said once where it had to be recognised.
    fn form(&mut self, framing: &Framing) -> io::Result<Form> {
        let was_known = self.identity.has_form();
        let form = self.identity.form(&self.storage, framing, false)?;
        if !was_known && self.identity.has_form() && framing.entries == EntriesOption::Recognised {
            let wrapped_by = form.runtime().map_or("nothing", Runtime::as_str);
            tracing::info!(path = %self.path.display(), wrapped_by, "recognised what wraps the lines of a file");
        }
        Ok(form)
    }

    /// Whether what begins so may be an archive that was not known to be one: whoever makes it had written nothing before.
    fn may_be_archive(&self, beginning: &[u8]) -> bool {
        !self.storage.is_compressed() && nature(&self.path, beginning) != Nature::Plain
    }

    /// Brings the content of a compressed file near to where it is read next, which may take many turns.
    fn approach(&mut self) -> Option<Turn> {
        let mut archive = self.storage.archive()?;
        if self.progress.consumed.offset_bytes == self.storage.content_bytes && self.progress.searched_to.is_none() {
            // It was examined, and is what it was found to be.
            return Some(Turn::End);
        }
        let wanted_bytes = self.progress.searched_to.unwrap_or(self.progress.consumed.offset_bytes);
        let overlap_bytes = u64::from(self.progress.consumed.tail.length_bytes);
        let is_near = archive.approach(wanted_bytes.saturating_sub(overlap_bytes), DECOMPRESSED_BYTES);
        (!is_near).then_some(Turn::Busy)
    }

    /// The unterminated end of the file, as one line or the entry of several that it ends with, if there is one and it has
    /// been read to its end.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn unterminated(&mut self, buffer: &mut Vec<u8>, framing: &Framing) -> io::Result<Option<Turn>> {
        let line_bytes_max = framing.line_bytes_max;
        let form = self.identity.form(&self.storage, framing, true)?;
        let before_end = (self.progress.consumed, self.progress.searched_to);
        let turn = match self.progress.searched_to {
            Some(searched_to) => self.pass_over_long_line(searched_to, searched_to - before_end.0.offset_bytes)?,
            None => match self.read_on(buffer, line_bytes_max.saturating_add(1))? {
                Some((start, length)) => {
                    let line = self.before_trailing_gap(&form, &buffer[start..length]);
                    // Beside a gap only what may be whole is a line.
                    let may_be_whole = line.len() == length - start || form.encoding.strip_end(line, b'}').is_some();
                    let is_one = !line.is_empty()
                        && line.len() <= line_bytes_max
                        && whole_end(&form, line, before_end.0.offset_bytes).is_none();
                    if is_one && has_no_gap(&form, line, before_end.0.offset_bytes) && may_be_whole {
                        let end = start + line.len();
                        self.give_out(buffer, start..end)?
                    } else {
                        Turn::Busy
                    }
                }
                None => Turn::Busy,
            },
        };
        if turn == Turn::Busy {
            // It was changed since it was read, so it is read in the usual way first.
            self.activity.news = true;
            return Ok(None);
        }
        self.progress.before_end = Some(Box::new(before_end));
        Ok(Some(turn))
    }

    /// What stands before the NUL bytes that the file ends with.
    fn before_trailing_gap<'b>(&self, form: &Form, unread: &'b [u8]) -> &'b [u8] {
        if self.trailing_gap_bytes() == 0 {
            return unread;
        }
        let offset_bytes = self.progress.consumed.offset_bytes;
        let gap = gap_in(unread).map(|gap| behind_unit(form, offset_bytes, gap, unread.len()));
        &unread[..gap.unwrap_or(unread.len())]
    }

    /// Looks for the end of a line that is too long, one block a turn.
    pub(super) fn search_line_end(
        &mut self,
        searched_to: u64,
        buffer: &mut Vec<u8>,
        block_bytes: usize,
        form: &Form,
        gaps: Gaps,
    ) -> io::Result<Turn> {
        if !self.storage.is_compressed() && self.read_on(buffer, 0)?.is_none() {
            return Ok(Turn::Replaced);
        }
        let read = self.storage.read_into(buffer, searched_to, block_bytes)?;
        let gap = gap_in(&buffer[..read]).map(|gap| behind_unit(form, searched_to, gap, read));
        if let Some(line_end) = form.encoding.line_end(&buffer[..gap.unwrap_or(read)], searched_to) {
            let end = searched_to + line_end as u64;
            let length_bytes = end - form.encoding.unit_bytes() as u64 - self.progress.consumed.offset_bytes;
            return self.pass_over_long_line(end, length_bytes);
        }
        if let Some(position) = gap.filter(|position| is_gap(&buffer[..read], *position)) {
            self.progress.searched_to = Some(searched_to + position as u64);
            return self.read_gap(searched_to + position as u64, buffer, form, gaps);
        }
        self.gap = None;
        // What may be the beginning of a gap is looked at again.
        let length = whole_units(form, gap.unwrap_or(read));
        if length > 0 {
            self.progress.searched_to = Some(searched_to + length as u64);
            self.storage.content_bytes = self.storage.content_bytes.max(searched_to + length as u64);
            return Ok(Turn::Busy);
        }
        if !self.storage.is_compressed() && self.storage.metadata()?.len() < searched_to {
            // Cut within the long line: what was delivered before it is still there, so only the search begins anew.
            self.progress.searched_to = None;
            return Ok(Turn::Busy);
        }
        Ok(Turn::End)
    }

    /// Consumes a line of which nothing was kept, up to `end`.
    pub(super) fn pass_over_long_line(&mut self, end: u64, length_bytes: u64) -> io::Result<Turn> {
        let offset_bytes = self.progress.consumed.offset_bytes;
        let tail_bytes = (end - offset_bytes).min(TAIL_BYTES_MAX as u64);
        let tail = self.storage.read_at(end - tail_bytes, tail_bytes as usize)?;
        if (tail.len() as u64) < tail_bytes {
            self.progress.searched_to = None;
            return Ok(Turn::Busy);
        }
        self.advance(Position { offset_bytes: end, tail: Fingerprint::of(&tail) })?;
        self.progress.searched_to = None;
        Ok(Turn::PassedOver { what: PassedOver::LongLine, offset_bytes, length_bytes })
    }

    /// Passes over what is there now, up to the end of its last whole line.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn skip_to_end(&mut self, framing: &Framing) -> io::Result<()> {
        let encoding = self.identity.form(&self.storage, framing, false)?.encoding;
        let mut end = self.storage.content_bytes;
        while end > 0 {
            // The first byte of a unit, where they have two.
            let start = end.saturating_sub(64 * 1024) & !1;
            let bytes = self.storage.read_at(start, (end - start) as usize)?;
            if let Some(line_end) = encoding.last_line_end(&bytes, start) {
                let offset_bytes = start + line_end as u64;
                let tail = Fingerprint::of(&bytes[line_end.saturating_sub(TAIL_BYTES_MAX)..line_end]);
                let position = Position { offset_bytes, tail };
                self.progress.pass_over(position);
                self.commit(position);
                return Ok(());
            }
            end = start;
        }
        Ok(())
    }
}

/// As much of some bytes as is whole units of their encoding.
fn whole_units(form: &Form, bytes: usize) -> usize {
    bytes / form.encoding.unit_bytes() * form.encoding.unit_bytes()
}

/// Where a gap begins that was found at a position of some bytes: the zero byte of a character is no part of it.
fn behind_unit(form: &Form, offset_bytes: u64, gap: usize, length: usize) -> usize {
    let is_within_unit = form.encoding.unit_bytes() == 2 && !(offset_bytes + gap as u64).is_multiple_of(2);
    (gap + usize::from(is_within_unit)).min(length)
}

/// Whether no NUL bytes stand in a line but those of its characters.
fn has_no_gap(form: &Form, line: &[u8], offset_bytes: u64) -> bool {
    gap_in(line).is_none_or(|gap| behind_unit(form, offset_bytes, gap, line.len()) == line.len())
}
