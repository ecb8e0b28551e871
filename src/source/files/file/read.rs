//! Reading one file: the next whole lines, the end of a line that is too long, the unterminated end.

use super::gap::{gap_in, is_gap};
use super::*;
use crate::source::framing::is_utf16;

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
        line_bytes_max: usize,
        gaps: Gaps,
    ) -> io::Result<Turn> {
        let gaps = if self.is_compressed() || self.is_salvage() { Gaps::GiveUp } else { gaps };
        self.before_end = None;
        if let Some(turn) = self.approach() {
            return Ok(turn);
        }
        if let Some(searched_to) = self.searched_to {
            return self.search_line_end(searched_to, buffer, block_bytes, line_bytes_max, gaps);
        }
        // With no more than this, whatever line ends in the block is within the limit.
        let block_bytes_max = line_bytes_max.saturating_add(1);
        let mut block_bytes = block_bytes.min(block_bytes_max);
        loop {
            let Some((start, length)) = self.read_on(buffer, block_bytes)? else { return Ok(Turn::Replaced) };
            if self.consumed.offset_bytes == 0 && self.may_be_archive(&buffer[start..length]) {
                return Ok(Turn::Unknown);
            }
            let unread = &buffer[start..length];
            let gap = gap_in(unread);
            if let Some(line_end) = memchr::memrchr(b'\n', &unread[..gap.unwrap_or(unread.len())]) {
                return self.give_out(buffer, start..start + line_end + 1);
            }
            if let Some(position) = gap.filter(|position| is_gap(unread, *position)) {
                let gap_start = self.consumed.offset_bytes + position as u64;
                return self.read_gap(gap_start, buffer, line_bytes_max, gaps);
            }
            self.gap = None;
            let unended_bytes = length - start;
            self.size_bytes = self.size_bytes.max(self.consumed.offset_bytes + unended_bytes as u64);
            if unended_bytes > line_bytes_max {
                self.searched_to = Some(self.consumed.offset_bytes + unended_bytes as u64);
                return Ok(Turn::Busy);
            }
            if unended_bytes < block_bytes {
                return Ok(Turn::End);
            }
            block_bytes = (2 * block_bytes).min(block_bytes_max);
        }
    }

    /// Whether what begins so may be an archive that was not known to be one: whoever makes it had written nothing before.
    fn may_be_archive(&self, beginning: &[u8]) -> bool {
        self.compressed.is_none() && compressed::nature(&self.path, beginning) != Nature::Plain
    }

    /// Brings the content of a compressed file near to where it is read next, which may take many turns.
    fn approach(&mut self) -> Option<Turn> {
        let compressed = self.compressed.as_ref()?;
        if self.consumed.offset_bytes == self.size_bytes && self.searched_to.is_none() {
            // It was examined, and is what it was found to be.
            return Some(Turn::End);
        }
        let wanted_bytes = self.searched_to.unwrap_or(self.consumed.offset_bytes);
        let overlap_bytes = u64::from(self.consumed.tail.length_bytes);
        let is_near = compressed.borrow_mut().approach(wanted_bytes.saturating_sub(overlap_bytes), DECOMPRESSED_BYTES);
        (!is_near).then_some(Turn::Busy)
    }

    /// Reads what follows the consumed part, with the few bytes before it, and gives where it stands in the buffer.
    /// `None` when those bytes are not what was consumed.
    pub(super) fn read_on(&mut self, buffer: &mut Vec<u8>, block_bytes: usize) -> io::Result<Option<(usize, usize)>> {
        let overlap = self.consumed.tail.length_bytes as usize;
        let length = self.read_into(buffer, self.consumed.offset_bytes - overlap as u64, overlap + block_bytes)?;
        let intact = !self.cut && length >= overlap && self.consumed.tail.matches(&buffer[..overlap]);
        if self.consumed.offset_bytes == 0 && is_utf16(&buffer[..length]) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it is UTF-16, as its first two bytes say; records have to be UTF-8",
            ));
        }
        if intact {
            self.proven_bytes = self.size_bytes;
        }
        Ok(intact.then_some((overlap, length)))
    }

    /// The unterminated end of the file, as one line, if there is one and it has been read to its end.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn unterminated(&mut self, buffer: &mut Vec<u8>, line_bytes_max: usize) -> io::Result<Option<Turn>> {
        let before_end = (self.consumed, self.searched_to);
        let turn = match self.searched_to {
            Some(searched_to) => self.pass_over_long_line(searched_to, searched_to - before_end.0.offset_bytes)?,
            None => match self.read_on(buffer, line_bytes_max.saturating_add(1))? {
                Some((start, length)) => {
                    let line = self.before_trailing_gap(&buffer[start..length]);
                    // Beside a gap only what may be whole is a line.
                    let may_be_whole = line.len() == length - start || line.ends_with(b"}");
                    if is_one_line(line, line_bytes_max) && gap_in(line).is_none() && may_be_whole {
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
            self.news = true;
            return Ok(None);
        }
        self.before_end = Some(Box::new(before_end));
        Ok(Some(turn))
    }

    /// What stands before the NUL bytes that the file ends with.
    fn before_trailing_gap<'b>(&self, unread: &'b [u8]) -> &'b [u8] {
        if self.trailing_gap_bytes() == 0 { unread } else { &unread[..gap_in(unread).unwrap_or(unread.len())] }
    }

    pub(super) fn give_out(&mut self, buffer: &[u8], range: std::ops::Range<usize>) -> io::Result<Turn> {
        let offset_bytes = self.consumed.offset_bytes;
        let tail_start = range.end.saturating_sub(TAIL_BYTES_MAX).max(range.start);
        let tail = Fingerprint::of(&buffer[tail_start..range.end]);
        self.advance(Position { offset_bytes: offset_bytes + range.len() as u64, tail })?;
        Ok(Turn::Lines { range, offset_bytes })
    }

    /// Looks for the end of a line that is too long, one block a turn.
    pub(super) fn search_line_end(
        &mut self,
        searched_to: u64,
        buffer: &mut Vec<u8>,
        block_bytes: usize,
        line_bytes_max: usize,
        gaps: Gaps,
    ) -> io::Result<Turn> {
        if self.compressed.is_none() && self.read_on(buffer, 0)?.is_none() {
            return Ok(Turn::Replaced);
        }
        let read = self.read_into(buffer, searched_to, block_bytes)?;
        let gap = gap_in(&buffer[..read]);
        if let Some(line_end) = memchr::memchr(b'\n', &buffer[..gap.unwrap_or(read)]) {
            let end = searched_to + line_end as u64;
            return self.pass_over_long_line(end + 1, end - self.consumed.offset_bytes);
        }
        if let Some(position) = gap.filter(|position| is_gap(&buffer[..read], *position)) {
            self.searched_to = Some(searched_to + position as u64);
            return self.read_gap(searched_to + position as u64, buffer, line_bytes_max, gaps);
        }
        self.gap = None;
        // What may be the beginning of a gap is looked at again.
        let length = gap.unwrap_or(read);
        if length > 0 {
            self.searched_to = Some(searched_to + length as u64);
            self.size_bytes = self.size_bytes.max(searched_to + length as u64);
            return Ok(Turn::Busy);
        }
        if self.compressed.is_none() && self.handle.metadata()?.len() < searched_to {
            // Cut within the long line: what was delivered before it is still there, so only the search begins anew.
            self.searched_to = None;
            return Ok(Turn::Busy);
        }
        Ok(Turn::End)
    }

    /// Consumes a line of which nothing was kept, up to `end`.
    pub(super) fn pass_over_long_line(&mut self, end: u64, length_bytes: u64) -> io::Result<Turn> {
        let offset_bytes = self.consumed.offset_bytes;
        let tail_bytes = (end - offset_bytes).min(TAIL_BYTES_MAX as u64);
        let tail = self.read_at(end - tail_bytes, tail_bytes as usize)?;
        if (tail.len() as u64) < tail_bytes {
            self.searched_to = None;
            return Ok(Turn::Busy);
        }
        self.advance(Position { offset_bytes: end, tail: Fingerprint::of(&tail) })?;
        self.searched_to = None;
        Ok(Turn::PassedOver { what: PassedOver::LongLine, offset_bytes, length_bytes })
    }

    /// Moves on to `position`. Whatever can fail comes first, so that after an error the same lines are read again.
    pub(super) fn advance(&mut self, position: Position) -> io::Result<()> {
        self.source_file()?;
        self.size_bytes = self.size_bytes.max(position.offset_bytes);
        self.consumed = position;
        Ok(())
    }

    /// Passes over what is there now, up to the end of its last whole line.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn skip_to_end(&mut self) -> io::Result<()> {
        // A line end means nothing there.
        if is_utf16(&self.read_at(0, 2)?) {
            return Ok(());
        }
        let mut end = self.size_bytes;
        while end > 0 {
            let start = end.saturating_sub(64 * 1024);
            let bytes = self.read_at(start, (end - start) as usize)?;
            if let Some(line_end) = memchr::memrchr(b'\n', &bytes) {
                let offset_bytes = start + line_end as u64 + 1;
                let tail_start = (line_end + 1).saturating_sub(TAIL_BYTES_MAX);
                let tail = Fingerprint::of(&bytes[tail_start..=line_end]);
                self.consumed = Position { offset_bytes, tail };
                self.commit(self.consumed);
                self.observed_offset_bytes = offset_bytes;
                self.passed_over_bytes = offset_bytes;
                return Ok(());
            }
            end = start;
        }
        Ok(())
    }

    pub(super) fn read_at(&self, offset_bytes: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut buffer = Vec::new();
        let read = self.read_into(&mut buffer, offset_bytes, length)?;
        buffer.truncate(read);
        Ok(buffer)
    }

    /// Fills `buffer` with up to `length` bytes; fewer mean the end of the file.
    pub(super) fn read_into(&self, buffer: &mut Vec<u8>, offset_bytes: u64, length: usize) -> io::Result<usize> {
        if buffer.len() < length {
            buffer.resize(length, 0);
        }
        if let Some(compressed) = &self.compressed {
            return Ok(compressed.borrow_mut().read_at(&mut buffer[..length], offset_bytes));
        }
        let mut filled = 0;
        while filled < length {
            match self.handle.read_at(&mut buffer[filled..length], offset_bytes + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}
