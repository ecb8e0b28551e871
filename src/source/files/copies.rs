//! Copies: is a file that is not known by its inode the copy of one that is?
//!
//! Only content can tell: what stands at the beginning and just before the offset up to which the original was read. A
//! copy goes on under the original's identity (inode, generation, offsets), so that its lines keep their ids. Two files
//! may merely look alike, so a copy is believed only when
//! - the original is open, and its content was overwritten (`copytruncate`), or
//! - the original is not open, and is not under its path any more, or was overwritten. Where it was finished with less
//!   than [`HEAD_BYTES_MAX`] bytes, the copy's name has to begin as the original's does, up to the first dot, too.
//!
//! So a file that is restored from a backup goes on where it was, under its old path or beside it; while the original is
//! deleted and still open, it waits for that one's end. What begins as a known file that is gone and goes on otherwise, such
//! as an older backup, cannot be told from a new file: it is read, and a warning names both.
//!
//! A file that begins as an open one does waits until one of them changes, or for some seconds: a `copytruncate` may be
//! between its two steps. Then it is a file of its own. What has no bytes yet waits as well.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use super::Files;
use super::compressed::Nature;
use super::file::{FileId, Knowledge, TailedFile};
use super::remembered::Remembered;
use crate::flow::ack::FileNumber;
use crate::state::checkpoint::{FileEntry, Fingerprint, HEAD_BYTES_MAX};

/// How much of two files is compared first, in bytes.
const GLANCE_BYTES: usize = 256;

/// A beginning of this many bytes that is the same is worth a word.
const HEAD_EVIDENCE_BYTES: usize = 64;

/// Whether a name may be that of a rotation of another: both begin alike, up to the first dot of the original.
pub(super) fn is_named_alike(path: &Path, original: &Path) -> bool {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let original = name(original);
    let stem = original.split('.').next().unwrap_or_default();
    !stem.is_empty() && name(path).starts_with(stem)
}

/// How a file begins, for comparing it with many entries.
pub(super) struct Beginning {
    bytes: Vec<u8>,
    digests: HashMap<u32, Fingerprint>,
}

impl Beginning {
    /// Reads it.
    pub(super) fn of(file: &TailedFile) -> io::Result<Beginning> {
        Ok(Beginning { bytes: file.beginning(HEAD_BYTES_MAX)?, digests: HashMap::new() })
    }

    /// Whether the content of an entry begins so.
    pub(super) fn is_that_of(&mut self, entry: &FileEntry) -> bool {
        if entry.head_offset_bytes > 0 {
            // It stands elsewhere, and is compared when everything is.
            return true;
        }
        let length_bytes = entry.head.length_bytes;
        let Some(head) = self.bytes.get(..length_bytes as usize) else { return false };
        *self.digests.entry(length_bytes).or_insert_with(|| Fingerprint::of(head)) == entry.head
    }
}

impl Remembered {
    /// Takes out the entry of which a file is the copy, if it is one.
    pub(super) fn take_copied(&mut self, file: &TailedFile) -> io::Result<Option<FileEntry>> {
        let found = self.find_copied(file, false)?;
        Ok(found.and_then(|(inode, position)| self.take_at(inode, position)))
    }

    /// Finds the entry of which a file is the copy; with `even_there`, whether or not the original is under its path.
    pub(super) fn find_copied(&self, file: &TailedFile, even_there: bool) -> io::Result<Option<(u64, usize)>> {
        let mut beginning = Beginning::of(file)?;
        let mut best: Option<(u64, u64, usize)> = None;
        for (inode, position, entry) in self.numbered() {
            let committed_bytes = entry.committed.offset_bytes;
            let is_farther = best.is_none_or(|(farthest, ..)| committed_bytes > farthest);
            let is_evidence = !entry.finished || entry.head.length_bytes as usize >= HEAD_BYTES_MAX;
            let is_rotation = || is_named_alike(&file.path, Path::new(&entry.path));
            // What was overwritten is not in the file that it was overwritten in.
            let is_elsewhere = !entry.replaced || inode != file.id.inode;
            if committed_bytes > 0
                && is_farther
                && is_elsewhere
                && (is_evidence || is_rotation())
                && beginning.is_that_of(entry)
                && file.is_same(entry)?
                && (even_there || !is_under_its_path(entry))
            {
                best = Some((committed_bytes, inode, position));
            }
        }
        Ok(best.map(|(_, inode, position)| (inode, position)))
    }
}

impl Remembered {
    /// The entry of a file that is gone, of which something was delivered, and which began as this one does.
    fn gone_that_begins_as(&self, file: &TailedFile) -> Option<&FileEntry> {
        let mut beginning = Beginning::of(file).ok()?;
        self.iter().find(|entry| {
            entry.committed.offset_bytes > 0
                && !entry.replaced
                && entry.head_offset_bytes == 0
                && entry.head.length_bytes as usize >= HEAD_EVIDENCE_BYTES
                && is_named_alike(&file.path, Path::new(&entry.path))
                && beginning.is_that_of(entry)
                && !is_under_its_path(entry)
        })
    }
}

/// Whether the content of an entry is where it was.
fn is_under_its_path(entry: &FileEntry) -> bool {
    let path = Path::new(&entry.path);
    let Ok(handle) = fs_err::File::open(path) else { return false };
    let Ok(metadata) = handle.metadata() else { return false };
    !entry.replaced
        && FileId::of(&metadata).inode == entry.holder_inode()
        && TailedFile::new(FileNumber::MAX, path, handle, &metadata).is_same(entry).unwrap_or(false)
}

/// Whether a file goes on for one that was overwritten. What is compressed has to be examined first, and is then the copy
/// of what is remembered.
fn is_plain_copy(copy: &TailedFile, original: &TailedFile) -> bool {
    !copy.is_compressed() && copy.continues(original).unwrap_or(false)
}

/// What an undecided file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It goes on where an entry ends.
    Copy,
    /// It goes on where it was itself.
    Continue,
    /// It is a file of its own.
    Own,
    /// There is nothing in it that is to be delivered.
    Settled,
    /// It cannot be told yet.
    Wait,
}

/// How a file begins of which something was read.
#[derive(Debug)]
pub(super) struct Opening {
    number: FileNumber,
    bytes: Vec<u8>,
    overwritten: bool,
}

impl Files {
    /// Decides on the files that are not known by their inodes.
    pub(super) fn decide(&mut self) {
        let waiting = self.roster.files().filter(|file| !file.is_known() && !file.is_empty());
        let waiting: Vec<FileNumber> = waiting.map(|file| file.number).collect();
        if waiting.is_empty() {
            return;
        }
        let openings = self.openings();
        for number in waiting {
            self.decide_one(number, &openings);
        }
    }

    /// How the files begin of which something was read.
    fn openings(&self) -> Vec<Opening> {
        let read = self.roster.files().filter(|file| file.is_known() && file.consumed_position().offset_bytes > 0);
        let opening = |file: &TailedFile| {
            let overwritten = file.news && file.is_overwritten().ok()?;
            Some(Opening { number: file.number, bytes: file.beginning(GLANCE_BYTES).ok()?, overwritten })
        };
        read.filter_map(opening).collect()
    }

    pub(super) fn decide_one(&mut self, number: FileNumber, openings: &[Opening]) {
        let Some(mut file) = self.roster.take(number) else { return };
        // What cannot be read is told when it is read.
        match self.decide_on(&mut file, openings).unwrap_or(Decision::Own) {
            Decision::Wait => {}
            Decision::Copy => {
                let path = file.path.display();
                tracing::info!(%path, "the file is a copy of one that is known, going on where that ended");
                self.go_on(&mut file);
            }
            Decision::Continue => self.go_on(&mut file),
            Decision::Settled => {
                self.roster.forget(file.id);
                if file.knowledge != Knowledge::Candidate {
                    self.remembered.remember(file.entry(true));
                }
                self.unsaved.note(true);
                return;
            }
            Decision::Own if file.knowledge == Knowledge::Candidate => {
                self.roster.forget(file.id);
                return;
            }
            Decision::Own => self.begin(&mut file),
        }
        self.roster.put_back(file);
    }

    fn decide_on(&mut self, file: &mut TailedFile, openings: &[Opening]) -> io::Result<Decision> {
        if file.is_empty() {
            return Ok(Decision::Wait);
        }
        match file.find_nature()? {
            Nature::Compressed => return self.decide_on_compressed(file),
            Nature::Unknown if self.waits_for_nature(file) => return Ok(Decision::Wait),
            Nature::Unknown | Nature::Plain => {}
        }
        if let Some(entry) = self.remembered.take_copied(file)? {
            file.resume(&entry);
            return Ok(Decision::Copy);
        }
        let beginning = file.beginning(GLANCE_BYTES)?;
        for Opening { number, bytes, overwritten } in openings {
            // An overwritten one begins as it likes.
            let length = beginning.len().min(bytes.len());
            if (*overwritten || beginning[..length] == bytes[..length])
                && let Some(open) = self.roster.get(*number)
                && self.waits_for(file, open, *overwritten)?
            {
                return Ok(Decision::Wait);
            }
        }
        let may_be_cut_yet = file.changed.elapsed() < self.waits.decided_after;
        Ok(if may_be_cut_yet && self.closed.has_original_of(file)? { Decision::Wait } else { Decision::Own })
    }

    /// Whether a file may turn out to be the copy of an open one.
    fn waits_for(&self, file: &TailedFile, open: &TailedFile, overwritten: bool) -> io::Result<bool> {
        let continues = file.continues(open)?;
        if overwritten || open.is_deleted() {
            return Ok(continues);
        }
        let left_alone_for = if file.size_bytes > open.size_bytes { file.opened } else { file.changed }.elapsed();
        Ok(left_alone_for < self.waits.decided_after && (continues || file.begins_as(open)?))
    }

    /// Begins with a file of which nothing is known.
    fn begin(&mut self, file: &mut TailedFile) {
        if let Some(known) = self.remembered.gone_that_begins_as(file) {
            tracing::warn!(
                path = %file.path.display(),
                known = known.path,
                delivered_bytes = known.committed.offset_bytes,
                hint = "if it is an older backup of the known file, the newest one would have been told from it",
                "the file begins as a known one that is gone, and does not go on as that one did: it is read from its \
                 beginning, and what was delivered of the known file may be delivered a second time"
            );
        }
        self.go_on(file);
        self.unsaved.note_urgent();
    }

    fn go_on(&mut self, file: &mut TailedFile) {
        file.knowledge = Knowledge::Known;
        file.news = true;
        self.unsaved.note(true);
    }

    /// Finds the copy of a file whose content was overwritten: one that is not decided on, or one beside it.
    pub(super) fn copy_of(&mut self, original: &mut TailedFile) -> Option<TailedFile> {
        let found = self.roster.files().find(|copy| !copy.is_known() && is_plain_copy(copy, original));
        let found = found.map(|copy| copy.number);
        if let Some(number) = found {
            return self.roster.remove(number);
        }
        let beside = fs_err::read_dir(original.path.parent()?).ok()?.flatten();
        beside.into_iter().find_map(|candidate| {
            let (path, metadata) = (candidate.path(), candidate.metadata().ok()?);
            let is_known = self.is_known(FileId::of(&metadata));
            if is_known || !metadata.is_file() || !is_named_alike(&path, &original.path) {
                return None;
            }
            let copy = TailedFile::new(FileNumber::MAX, &path, fs_err::File::open(&path).ok()?, &metadata);
            is_plain_copy(&copy, original).then_some(copy)
        })
    }

    /// Copies of files that are not found, at the start, or overwritten while closed, are looked for in the folders where they were, whether or not
    /// a glob matches them.
    pub(super) fn look_for_copies(&mut self) {
        for folder in self.remembered.unfinished_folders() {
            let Ok(candidates) = fs_err::read_dir(&folder) else { continue };
            for candidate in candidates.flatten() {
                let Ok(metadata) = candidate.metadata() else { continue };
                if metadata.is_file() && !self.is_known(FileId::of(&metadata)) {
                    let _ = self.open_copy(&candidate.path());
                }
            }
        }
    }

    fn is_known(&self, id: FileId) -> bool {
        self.roster.contains(id) || self.closed.contains(id)
    }

    fn open_copy(&mut self, path: &Path) -> io::Result<()> {
        let handle = fs_err::File::open(path)?;
        let metadata = handle.metadata()?;
        let mut file = TailedFile::new(self.roster.next_number(), path, handle, &metadata);
        if self.remembered.is_known_inode(file.id.inode) {
            return Ok(());
        }
        if file.is_compressed() {
            self.open_candidate(file);
        } else if let Some(entry) = self.remembered.take_copied(&file)? {
            file.resume(&entry);
            self.adopt(file);
        }
        Ok(())
    }
}
