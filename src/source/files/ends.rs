//! Ends: what stands at the end of a file without a line end, when is it final, and who is told that it waits?

use std::path::PathBuf;

use super::file::{TailedFile, Turn};
use super::{Chunk, Files};
use crate::flow::ack::FileNumber;

impl Files {
    /// The unterminated end of a renamed or deleted file that does not grow any more, as a chunk.
    pub fn next_final_end(&mut self) -> Option<Chunk<'_>> {
        let is_final = |file: &TailedFile| {
            !file.news
                && file.is_known()
                && !file.is_at_gap()
                && file.unread_bytes() > 0
                && file.left_alone_for().is_some_and(|time| time >= self.waits.final_after)
        };
        let finals: Vec<FileNumber> =
            self.leaving.iter().copied().filter(|number| self.files.get(number).is_some_and(is_final)).collect();
        let (number, turn) = finals.into_iter().find_map(|number| Some((number, self.read_unterminated(number)?)))?;
        self.chunk(number, turn)
    }

    /// Numbers of the files whose last line has no end yet.
    pub fn unterminated_files(&self) -> Vec<FileNumber> {
        self.files.values().filter(|file| file.unread_bytes() > 0 && file.is_known()).map(|file| file.number).collect()
    }

    /// Files that end with NUL bytes, into which nobody has written yet, or with a line behind such that has no end, and how
    /// many bytes that leaves unread.
    pub fn left_at_gaps(&self) -> impl Iterator<Item = (PathBuf, u64)> {
        let files = self.files.values().filter(|file| file.gap_bytes() > 0);
        files.map(|file| (file.path.clone(), file.gap_bytes()))
    }

    /// The unterminated end of a file as a chunk; [`Files::leave_unread`] takes it back.
    pub fn unterminated(&mut self, number: FileNumber) -> Option<Chunk<'_>> {
        let turn = self.read_unterminated(number)?;
        self.chunk(number, turn)
    }

    fn read_unterminated(&mut self, number: FileNumber) -> Option<Turn> {
        let file = self.files.get_mut(&number)?;
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
        let file = self.files.get_mut(&number)?;
        file.take_back();
        Some((file.path.clone(), file.unread_bytes()))
    }
}
