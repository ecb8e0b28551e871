//! Ends: what stands at the end of a file without a line end, when is it final, and who is told that it waits?
//!
//! Of a file that was renamed or deleted it is final when nothing has changed for a while. Of one that is under its name its
//! writer may come back and end the line, so it waits, which is said; or it is taken after `unterminated_after`. What is
//! written behind it then is a line of its own.

use std::path::PathBuf;
use std::time::Instant;

use super::file::{Standing, TailedFile, Turn};
use super::{Chunk, Files};
use crate::flow::ack::FileNumber;

impl Files {
    /// The unterminated end of a renamed or deleted file that does not grow any more, as a chunk.
    pub fn next_final_end(&mut self) -> Option<Chunk<'_>> {
        let leaving = self.leaving.iter().chain(&self.overdue).copied();
        let finals: Vec<FileNumber> =
            leaving.filter(|number| self.roster.get(*number).is_some_and(|file| self.is_end_final(file))).collect();
        let (number, turn) = finals.into_iter().find_map(|number| Some((number, self.read_unterminated(number)?)))?;
        self.chunk(number, turn)
    }

    fn is_end_final(&self, file: &TailedFile) -> bool {
        let is_old_enough = match (file.left_alone_for(), self.options.unterminated_after) {
            (Some(left_alone_for), _) => left_alone_for >= self.waits.final_after,
            (None, Some(unterminated_after)) => file.changed.elapsed() >= unterminated_after,
            (None, None) => false,
        };
        is_old_enough && file.has_unterminated_end()
    }

    /// After a scan: finds out which lines without an end are taken, or says that they wait.
    pub(super) fn look_at_ends(&mut self) {
        let present = |file: &&TailedFile| file.standing == Standing::Present && file.has_unterminated_end();
        if self.options.unterminated_after.is_some() {
            let overdue = self.roster.files().filter(present).filter(|file| self.is_end_final(file));
            self.overdue = overdue.map(|file| file.number).collect();
            return;
        }
        let wait = self.waits.unterminated_said_after;
        if self.unterminated_said.is_some_and(|said| said.elapsed() < wait) {
            return;
        }
        let waiting = self.roster.files().filter(present).filter(|file| file.changed.elapsed() >= wait);
        let unsaid = waiting.filter(|file| file.end_said != Some(file.consumed_position().offset_bytes));
        let mut unsaid: Vec<(Instant, FileNumber)> = unsaid.map(|file| (file.changed, file.number)).collect();
        unsaid.sort_unstable();
        let Some((since, first)) = unsaid.first().copied() else { return };
        for (_, number) in &unsaid {
            if let Some(file) = self.roster.get_mut(*number) {
                file.end_said = Some(file.consumed_position().offset_bytes);
            }
        }
        let Some(file) = self.roster.get(first) else { return };
        tracing::warn!(
            path = %file.path.display(),
            offset_bytes = file.consumed_position().offset_bytes,
            bytes = file.unread_bytes(),
            waits_s = since.elapsed().as_secs(),
            other_files = unsaid.len() - 1,
            hint = "it is read when its line end is written, or the file renamed or deleted; `source.files.unterminated_after: \
                    10s` takes such a line when nothing was written for so long",
            "the last line of the file has no line end, and waits"
        );
        self.unterminated_said = Some(Instant::now());
    }

    /// Numbers of the files whose last line has no end yet.
    pub fn unterminated_files(&self) -> Vec<FileNumber> {
        self.roster.files().filter(|file| file.unread_bytes() > 0 && file.is_known()).map(|file| file.number).collect()
    }

    /// Files that end with NUL bytes, into which nobody has written yet, or with a line behind such that has no end, and how
    /// many bytes that leaves unread.
    pub fn left_at_gaps(&self) -> impl Iterator<Item = (PathBuf, u64)> {
        let files = self.roster.files().filter(|file| file.gap_bytes() > 0);
        files.map(|file| (file.path.to_path_buf(), file.gap_bytes()))
    }

    /// The unterminated end of a file as a chunk; [`Files::leave_unread`] takes it back.
    pub fn unterminated(&mut self, number: FileNumber) -> Option<Chunk<'_>> {
        let turn = self.read_unterminated(number)?;
        self.chunk(number, turn)
    }

    fn read_unterminated(&mut self, number: FileNumber) -> Option<Turn> {
        let file = self.roster.get_mut(number)?;
        match file.unterminated(&mut self.buffer, self.options.line_bytes_max) {
            Ok(turn) => turn,
            Err(error) => {
                self.cannot_read(number, &error);
                None
            }
        }
    }

    /// Leaves the unterminated end that was given out last unread. Returns the file's path and how many bytes remain.
    pub fn leave_unread(&mut self, number: FileNumber) -> Option<(PathBuf, u64)> {
        let file = self.roster.get_mut(number)?;
        file.take_back();
        Some((file.path.to_path_buf(), file.unread_bytes()))
    }
}

impl TailedFile {
    /// True when it is read up to a last line without an end.
    fn has_unterminated_end(&self) -> bool {
        !self.news && self.is_known() && !self.is_at_gap() && self.unread_bytes() > 0
    }
}
