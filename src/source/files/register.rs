//! The register: which files are open, closed, remembered, and is the checkpoint on disk behind?
//!
//! Whatever changes what a checkpoint says is done by a method of [`Register`], which takes note of it: nobody else can.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::path::PathBuf;

use super::closed::Closed;
use super::compressed::is_named_compressed;
use super::file::{FileId, Knowledge, TailedFile};
use super::remembered::Remembered;
use super::replaced::Replaced;
use super::roster::Roster;
use crate::flow::ack::{FileNumber, Mark};
use crate::state::checkpoint::{FileEntry, Position};

/// How far the checkpoint on disk is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Unsaved {
    #[default]
    Nothing,
    Changes,
    /// So far that a crash would lose a file, or give its lines other ids.
    Urgent,
}

/// Which scan is the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// The first one of all: no checkpoint was there.
    VeryFirst,
    /// The first one since the start.
    First,
    #[default]
    Later,
}

/// Whether files that a checkpoint tells of, and that are not found, are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Search {
    /// The next scan looks for copies of them.
    #[default]
    Due,
    /// It was looked, and something may still turn out to be one of them.
    Open,
    /// They are given up, and told.
    Over,
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

/// All that is register.
#[derive(Debug, Default)]
pub(super) struct Register {
    pub(super) roster: Roster,
    /// Files that are there and not open.
    pub(super) closed: Closed,
    pub(super) remembered: Remembered,
    pub(super) replaced: Replaced,
    /// Compressed files that have to be decompressed to know what they are.
    pub(super) examining: BTreeSet<FileNumber>,
    pub(super) search: Search,
    pub(super) phase: Phase,
    /// Salvage files that are delivered, to be removed when the checkpoint says so.
    spent_salvage: Vec<String>,
    unsaved: Unsaved,
}

impl Register {
    /// What the entries of a checkpoint tell; `None` at the very first start.
    pub(super) fn new(entries: Option<Vec<FileEntry>>) -> Register {
        let phase = if entries.is_none() { Phase::VeryFirst } else { Phase::First };
        let mut register = Register { phase, ..Register::default() };
        entries.into_iter().flatten().for_each(|entry| register.remembered.insert(entry));
        register
    }

    fn note(&mut self, is_changed: bool) {
        self.unsaved = self.unsaved.max(if is_changed { Unsaved::Changes } else { Unsaved::Nothing });
    }

    fn note_urgent(&mut self) {
        self.unsaved = Unsaved::Urgent;
    }

    /// Whether the checkpoint on disk is behind.
    pub(super) fn is_dirty(&self) -> bool {
        self.unsaved != Unsaved::Nothing
    }

    /// Whether it is so far behind that a crash would lose a file, or give its lines other ids.
    pub(super) fn is_urgent(&self) -> bool {
        self.unsaved == Unsaved::Urgent
    }

    /// Takes note that the checkpoint is on disk. Gives the names of the salvage files that are of no use any more.
    pub(super) fn saved(&mut self) -> Vec<String> {
        self.unsaved = Unsaved::Nothing;
        std::mem::take(&mut self.spent_salvage)
    }

    /// The entries for the checkpoint. What is remembered is not copied.
    pub(super) fn entries(&self) -> impl Iterator<Item = Cow<'_, FileEntry>> {
        // An archive of which it is not known yet whose copy it is has nothing to go on with after a restart.
        let has_place = |file: &&TailedFile| {
            let is_archive = file.is_compressed() || is_named_compressed(&file.path);
            file.is_known() || !is_archive || file.consumed_position().offset_bytes > 0
        };
        let open = self.roster.files().filter(has_place).map(|file| file.entry(file.is_delivered_archive()));
        let kept = self.remembered.iter().chain(self.replaced.entries()).map(Cow::Borrowed);
        kept.chain(open.chain(self.closed.entries()).map(Cow::Owned))
    }

    /// Whether a file is open, or closed.
    pub(super) fn is_there(&self, id: FileId) -> bool {
        self.roster.contains(id) || self.closed.contains(id)
    }

    /// A generation that no content of this inode had, on whatever device.
    pub(super) fn next_generation(&self, inode: u64) -> u32 {
        let open = self.roster.of_inode(inode).filter(|file| file.inode() == inode);
        let not_open = self.remembered.newest_generation(inode).max(self.closed.newest_generation(inode));
        let newest = open.map(TailedFile::generation).chain(not_open).max();
        newest.map_or(0, |newest| newest.saturating_add(1))
    }

    /// Whether it is not known yet of some file what it is.
    pub(super) fn has_undecided(&self) -> bool {
        let waits = |file: &TailedFile| matches!(file.knowledge, Knowledge::Undecided | Knowledge::Candidate);
        self.roster.files().any(|file| waits(file) && !file.is_empty() && !file.warnings.is_unreadable_said)
    }
}

/// What happens to open files.
impl Register {
    /// Takes a file that is open from now on.
    pub(super) fn adopt(&mut self, file: TailedFile) {
        self.roster.add(file);
        self.note(true);
    }

    /// Begins with content that is not what stood under this inode.
    pub(super) fn begin_anew(&mut self, file: &mut TailedFile, generation: u32) {
        file.begin_anew(generation);
        self.note_urgent();
    }

    /// Takes note of what somebody saw of a file. Returns it, if it is open.
    pub(super) fn seen(&mut self, id: FileId, metadata: &Metadata) -> Option<&TailedFile> {
        let is_resized = self.roster.with_id_mut(id)?.seen(metadata);
        self.note(is_resized);
        self.roster.with_id(id)
    }

    /// Looks at a file that was written to, and lets it wait for its turn.
    pub(super) fn look_at(&mut self, number: FileNumber) {
        let Some(file) = self.roster.get_mut(number) else { return };
        // A look, not a size from the event: the file may be another one by now.
        let is_resized = file.look().unwrap_or(false);
        file.activity.news = true;
        self.roster.queue(number);
        self.note(is_resized);
    }

    /// Follows renames, and looks at what is gone. Returns whether some file has another standing or name.
    pub(super) fn follow(&mut self, present: &BTreeMap<FileId, PathBuf>) -> bool {
        let following = self.roster.follow(present);
        self.note(following.is_changed);
        following.has_moved
    }

    /// Carries out what was decided on a file that was taken out of the roster.
    pub(super) fn carry_out(&mut self, decision: Decision, mut file: TailedFile) {
        let is_candidate = file.knowledge == Knowledge::Candidate;
        match decision {
            Decision::Wait => {}
            Decision::Settled => {
                self.roster.forget(file.id());
                if !is_candidate {
                    self.remembered.remember(file.entry(true));
                }
                return self.note(true);
            }
            Decision::Own if is_candidate => return self.roster.forget(file.id()),
            Decision::Own | Decision::Copy | Decision::Continue => {
                file.knowledge = Knowledge::Known;
                file.activity.news = true;
                self.note(true);
                if decision == Decision::Own {
                    self.note_urgent();
                }
            }
        }
        self.roster.put_back(file);
    }

    /// Takes note that a file is delivered up to a mark.
    pub(super) fn commit(&mut self, mark: &Mark) {
        if let Some(file) = self.roster.get_mut(mark.file) {
            file.commit(Position { offset_bytes: mark.offset_bytes, tail: mark.tail });
            self.closed.is_service_due = true;
            self.note(true);
        } else if let Some(is_all) = self.replaced.commit(mark) {
            if is_all {
                self.remember_replaced(mark.file);
            }
            self.note(true);
        }
    }

    /// All that was read of some replaced content is delivered.
    pub(super) fn remember_replaced(&mut self, number: FileNumber) {
        self.replaced.take(number).into_iter().for_each(|entry| self.remembered.remember(entry));
    }

    /// Takes note that observers have counted a file up to an offset.
    pub(super) fn observed(&mut self, number: FileNumber, offset_bytes: u64) {
        let is_news = self.roster.get_mut(number).is_some_and(|file| file.observed(offset_bytes));
        self.note(is_news);
    }

    /// Takes note that what is left of a deleted file is kept under this name.
    pub(super) fn salvaged(&mut self, number: FileNumber, name: String) {
        if let Some(file) = self.roster.get_mut(number) {
            file.salvaged(name);
            self.note(true);
        }
    }
}

/// What happens to files that are not open.
impl Register {
    /// Keeps a file as closed. One that has something to read waits for a place.
    pub(super) fn shelve(&mut self, file: &TailedFile, waits: bool) {
        self.closed.insert(file, waits);
        self.note(true);
    }

    /// Closes a file that is rotated or gone, and delivered to its end.
    pub(super) fn close(&mut self, number: FileNumber) {
        let Some(file) = self.roster.remove(number) else { return };
        self.remember_delivered(FileEntry { held_by_inode: file.holder_left(), ..file.entry(true) });
        self.spent_salvage.extend(file.salvage().map(str::to_owned));
    }

    /// Remembers a file of which nothing more is to come.
    pub(super) fn remember_delivered(&mut self, entry: FileEntry) {
        self.remembered.remember(entry);
        self.note(true);
    }

    /// Follows closed files that were renamed, and takes out those that are gone.
    pub(super) fn take_gone(&mut self, present: &BTreeMap<FileId, PathBuf>) -> BTreeMap<FileId, FileEntry> {
        let gone = self.closed.take_gone(|id| present.get(&id).cloned());
        self.note(!gone.is_empty());
        gone
    }

    /// Gives up the files that are not found, and tells `report` of each.
    pub(super) fn give_up_missing(&mut self, mut report: impl FnMut(&FileEntry)) {
        self.search = Search::Over;
        let mut is_changed = false;
        self.remembered.give_up_missing(|entry| {
            report(entry);
            is_changed = true;
        });
        self.note(is_changed);
    }

    /// Ends a scan that found these: forgets what is too much of what is gone.
    pub(super) fn end_scan(&mut self, present: &BTreeMap<FileId, PathBuf>) {
        if self.phase == Phase::VeryFirst {
            // The next start is not the first one any more, even if nothing was found.
            self.note_urgent();
        }
        self.phase = Phase::Later;
        let on_any_device = |inode| FileId { inode, device: 0 }..=FileId { inode, device: u64::MAX };
        let is_changed = self.remembered.forget(|inode| present.range(on_any_device(inode)).next().is_some());
        self.note(is_changed);
    }
}
