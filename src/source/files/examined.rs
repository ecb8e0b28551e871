//! Compressed files: is what one holds known, and where does it go on?
//!
//! Its inode says nothing, since compressing makes another file; its content tells, and may be gigabytes. So it is
//! decompressed once, some of it at each turn, while other files are read, and one file after the other. On the way the
//! places are compared at which known content would have to be the same: those of entries and open files that begin alike.
//! Where such places come up afterwards there is another pass. What is known to be delivered is never decompressed again.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::compressed::Examined;
use super::copies::{Decision, is_named_alike};
use super::file::TailedFile;
use super::remembered::Remembered;
use super::{Chunk, Content, Files};
use crate::flow::ack::FileNumber;
use crate::flow::batch::SourceFile;
use crate::state::checkpoint::{FileEntry, HEAD_BYTES_MAX};

/// How much is decompressed in one turn to find out what a file is, in bytes of its content.
const EXAMINED_BYTES: u64 = 1 << 20;

/// Where the content of an examined file is found.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// This entry ends within it.
    Entry(u64, usize),
    /// In a file that is there.
    There,
    Nowhere,
}

impl Files {
    /// What is compressed was written before, so it is a copy of whatever has its content, there or not.
    pub(super) fn decide_on_compressed(&mut self, file: &mut TailedFile, examined: Examined) -> io::Result<Decision> {
        if examined == Examined::Broken {
            return Ok(self.decide_on_broken(file));
        }
        let found = if examined == Examined::Yes { self.find_content(file)? } else { Found::Nowhere };
        if file.examined() != Some(Examined::Yes) {
            if self.is_at_rest(file) {
                self.examining.insert(file.number);
            }
            return Ok(Decision::Wait);
        }
        file.shadow = found == Found::There;
        Ok(match found {
            Found::Entry(inode, position) => match self.remembered.take_at(inode, position) {
                Some(entry) => {
                    file.resume(entry);
                    Decision::Copy
                }
                None => Decision::Wait,
            },
            Found::There if !file.candidate => Decision::Wait,
            Found::There | Found::Nowhere => Decision::Own,
        })
    }

    fn decide_on_broken(&mut self, file: &mut TailedFile) -> Decision {
        if file.changed.elapsed() < self.waits.decided_after {
            return Decision::Wait;
        }
        if file.candidate {
            return Decision::Own;
        }
        self.cannot_decompress(file);
        Decision::Wait
    }

    /// True when nobody seems to write to it any more.
    fn is_at_rest(&self, file: &TailedFile) -> bool {
        let is_old = |modified: SystemTime| modified.elapsed().is_ok_and(|age| age >= self.waits.examined_after);
        file.modified().is_some_and(is_old)
            || file.changed.elapsed() >= self.waits.decided_after.min(self.waits.examined_after)
    }

    /// Finds the content of a compressed file. Before it is examined nothing is found, but what is to be compared is noted.
    fn find_content(&self, file: &TailedFile) -> io::Result<Found> {
        let entry = match self.remembered.find(file)? {
            Some(position) => Some((file.id.inode, position)),
            None => self.remembered.find_copied(file, false)?,
        };
        if let Some((inode, position)) = entry {
            return Ok(Found::Entry(inode, position));
        }
        let mut is_there = self.remembered.find_copied(file, true)?.is_some() || self.closed.has_original_of(file)?;
        for open in self.files.values().filter(|open| !open.undecided && open.number != file.number) {
            is_there |= (file.is_measured() && file.begins_as(open)?) || file.continues(open)?;
        }
        Ok(if is_there { Found::There } else { Found::Nowhere })
    }

    /// Goes on finding out what a compressed file is, for one step. Returns its number, if there is one.
    pub(super) fn examine(&mut self) -> Option<FileNumber> {
        let number = *self.examining.first()?;
        let examined = self.examine_one(number);
        if examined != Some(Examined::No) {
            self.examining.remove(&number);
            self.undecided.retain(|undecided| *undecided != number);
            self.decide_one(number, &[]);
            self.make_ready(number);
            self.give_up_missing();
        }
        Some(number)
    }

    fn examine_one(&mut self, number: FileNumber) -> Option<Examined> {
        let file = self.files.get(&number).filter(|file| file.undecided)?;
        if file.glance() {
            // How it begins tells what has to be compared on the way.
            let _ = self.find_content(file);
        }
        self.files.get_mut(&number)?.examine(EXAMINED_BYTES)
    }

    /// A chunk without lines: the work goes on.
    pub(super) fn examination_chunk(&self, number: FileNumber) -> Option<Chunk<'_>> {
        let file = self.files.get(&number)?;
        let source_file = SourceFile {
            path: file.path.to_string_lossy().into_owned(),
            inode: file.inode(),
            generation: file.generation(),
            first_line_sha256: [0; 32],
        };
        let content = Content::Lines(&[]);
        Some(Chunk { number, file: Arc::new(source_file), offset_bytes: 0, observed_offset_bytes: 0, content })
    }

    /// At the start: a compressed file beside those that are missing, whether or not a glob matches it. It is examined if
    /// its name and its beginning are like theirs.
    pub(super) fn open_candidate(&mut self, mut file: TailedFile) {
        if self.remembered.has_missing_like(&file) {
            file.candidate = true;
            file.undecided = true;
            self.undecided.push(file.number);
            if self.is_at_rest(&file) {
                self.examining.insert(file.number);
            }
            self.adopt(file);
        }
    }
}

impl Remembered {
    /// Whether some entry that is not delivered to its end may stand in a file, by its name and beginning.
    fn has_missing_like(&self, file: &TailedFile) -> bool {
        let Ok(beginning) = file.beginning(HEAD_BYTES_MAX) else { return false };
        let is_like = |entry: &FileEntry| {
            let head = beginning.get(..entry.head.length_bytes as usize);
            entry.committed.offset_bytes > 0
                && is_named_alike(&file.path, Path::new(&entry.path))
                && head.is_some_and(|head| entry.head.matches(head))
        };
        self.iter().filter(|entry| !entry.finished).any(is_like)
    }
}
