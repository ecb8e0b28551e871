//! The roster: which files are open, by their numbers, by what the file system calls them, and by their paths, and which of
//! them have something to read. It alone changes these maps, so that they agree.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::file::{FileId, Standing, TailedFile};
use crate::flow::ack::FileNumber;

/// The files that are open.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// In boxes: a node of the map has room for eleven, and half of it is empty.
    files: BTreeMap<FileNumber, Box<TailedFile>>,
    by_id: BTreeMap<FileId, FileNumber>,
    /// For notifications: which file is present under a path.
    by_path: HashMap<Arc<Path>, FileNumber>,
    /// It is behind: files were opened, or have other names, since it was updated.
    names_changed: bool,
    /// Files that have something to read, in their turn.
    ready: VecDeque<FileNumber>,
    /// Files that are rotated or gone, as of the last scan.
    leaving: Vec<FileNumber>,
    /// How many are renamed out of the globs or deleted, as of the last scan.
    gone: usize,
    next_number: FileNumber,
}

/// What a scan changed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Following {
    /// Some file has another standing or name.
    pub(super) has_moved: bool,
    /// The checkpoint does not say how it is any more.
    pub(super) is_changed: bool,
}

/// Byte for byte, which is all that two names of one place that a scan found can differ in.
pub(super) fn is_same_path(one: &Path, other: &Path) -> bool {
    one.as_os_str() == other.as_os_str()
}

impl Roster {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// All of them, the one that was met first at first.
    pub(super) fn files(&self) -> impl Iterator<Item = &TailedFile> {
        self.files.values().map(Box::as_ref)
    }

    /// The one with this number.
    pub(super) fn get(&self, number: FileNumber) -> Option<&TailedFile> {
        self.files.get(&number).map(Box::as_ref)
    }

    /// The one with this number, to be changed.
    pub(super) fn get_mut(&mut self, number: FileNumber) -> Option<&mut TailedFile> {
        self.files.get_mut(&number).map(Box::as_mut)
    }

    /// Whether there is this one, also while it is taken out.
    pub(super) fn contains(&self, id: FileId) -> bool {
        self.by_id.contains_key(&id)
    }

    /// The one that the file system calls so.
    pub(super) fn with_id(&self, id: FileId) -> Option<&TailedFile> {
        self.get(*self.by_id.get(&id)?)
    }

    /// The same, to be changed.
    pub(super) fn with_id_mut(&mut self, id: FileId) -> Option<&mut TailedFile> {
        self.get_mut(*self.by_id.get(&id)?)
    }

    /// Those with this inode, on whatever device.
    pub(super) fn of_inode(&self, inode: u64) -> impl Iterator<Item = &TailedFile> {
        let on_any_device = FileId { inode, device: 0 }..=FileId { inode, device: u64::MAX };
        self.by_id.range(on_any_device).filter_map(|(_, number)| self.get(*number))
    }

    /// The one that is present under a path, as of the last scan.
    pub(super) fn at(&self, path: &Path) -> Option<&TailedFile> {
        self.get(*self.by_path.get(path)?)
    }

    /// The number of the next file that is met.
    pub(super) fn next_number(&self) -> FileNumber {
        self.next_number
    }

    /// Adds a file, under its number.
    pub(super) fn add(&mut self, file: TailedFile) {
        self.by_id.insert(file.id(), file.number);
        self.next_number = self.next_number.max(file.number + 1);
        self.names_changed = true;
        self.files.insert(file.number, Box::new(file));
    }

    /// Takes a file out for a moment, to be put back, or to be forgotten.
    pub(super) fn take(&mut self, number: FileNumber) -> Option<TailedFile> {
        self.files.remove(&number).map(|file| *file)
    }

    /// Puts back what was taken out.
    pub(super) fn put_back(&mut self, file: TailedFile) {
        self.files.insert(file.number, Box::new(file));
    }

    /// Forgets what was taken out.
    pub(super) fn forget(&mut self, id: FileId) {
        self.by_id.remove(&id);
    }

    /// Removes a file.
    pub(super) fn remove(&mut self, number: FileNumber) -> Option<TailedFile> {
        let file = self.files.remove(&number)?;
        self.by_id.remove(&file.id());
        Some(*file)
    }

    /// What stands under a path has another number by now.
    pub(super) fn renumber(&mut self, path: &Path, from: FileNumber, to: FileNumber) {
        if let Some(known) = self.by_path.get_mut(path).filter(|known| **known == from) {
            *known = to;
        }
    }

    /// Files that are rotated or gone, as of the last scan.
    pub(super) fn leaving(&self) -> impl Iterator<Item = &TailedFile> {
        self.leaving.iter().filter_map(|number| self.get(*number))
    }

    /// How many are renamed out of the globs or deleted, as of the last scan.
    pub(super) fn gone(&self) -> usize {
        self.gone
    }

    /// One is rotated or gone that was not there at the last scan.
    pub(super) fn leaves(&mut self, number: FileNumber) {
        self.leaving.push(number);
    }

    /// Compares all with what a scan found: follows renames, and looks at what is gone.
    pub(super) fn follow(&mut self, present: &BTreeMap<FileId, PathBuf>) -> Following {
        self.leaving.clear();
        let mut following = Following::default();
        for file in self.files.values_mut() {
            match (present.get(&file.id()), file.standing) {
                (Some(path), _) if !is_same_path(path, &file.path) => {
                    file.renamed(path);
                    following = Following { has_moved: true, is_changed: true };
                }
                (Some(_), Standing::Gone(_) | Standing::Salvaged(_)) => {
                    file.standing = Standing::Present;
                    following.has_moved = true;
                }
                (None, Standing::Present | Standing::Rotated(_)) => {
                    file.standing = Standing::Gone(Instant::now());
                    following.has_moved = true;
                }
                (Some(_), Standing::Present | Standing::Rotated(_))
                | (None, Standing::Gone(_) | Standing::Salvaged(_)) => {}
            }
            if file.standing.is_gone() {
                following.is_changed |= file.look().unwrap_or(false);
            }
            if file.standing != Standing::Present {
                self.leaving.push(file.number);
            }
        }
        following
    }

    /// Ends what [`Roster::follow`] began, when what is over is closed.
    pub(super) fn count_gone(&mut self) {
        self.gone = self.files.values().filter(|file| file.standing.is_gone()).count();
    }

    /// Brings the paths up to date, if anything has changed: here, or as the caller says.
    pub(super) fn update_paths(&mut self, has_moved: bool) {
        if !std::mem::take(&mut self.names_changed) && !has_moved {
            return;
        }
        let files = &self.files;
        self.by_path.retain(|path, number| {
            files.get(number).is_some_and(|file| is_same_path(&file.path, path) && !file.standing.is_gone())
        });
        for file in files.values().filter(|file| !file.standing.is_gone()) {
            if self.by_path.get(&file.path) != Some(&file.number) {
                self.by_path.insert(Arc::clone(&file.path), file.number);
            }
        }
    }

    /// Lets a file wait for its turn.
    pub(super) fn queue(&mut self, number: FileNumber) {
        if let Some(file) = self.files.get_mut(&number).filter(|file| !file.activity.queued) {
            file.activity.queued = true;
            self.ready.push_back(number);
        }
    }

    /// Lets all files of a kind wait for their turns.
    pub(super) fn queue_all(&mut self, is_meant: impl Fn(&TailedFile) -> bool) {
        for file in self.files.values_mut().filter(|file| !file.activity.queued && is_meant(file)) {
            file.activity.queued = true;
            self.ready.push_back(file.number);
        }
    }

    /// The number of the file whose turn it is.
    pub(super) fn next_turn(&mut self) -> Option<FileNumber> {
        while let Some(number) = self.ready.pop_front() {
            if let Some(file) = self.files.get_mut(&number) {
                file.activity.queued = false;
                return Some(number);
            }
        }
        None
    }
}
