//! Notifications: a file may have changed, look earlier than the next poll.

use std::collections::{HashMap, HashSet, VecDeque};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use notify::event::{EventKind, ModifyKind, RenameMode};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::flow::wake::Wake;

/// What happened since the last look.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Files that were written to.
    pub(super) written: HashSet<PathBuf>,
    /// What vanished: if it was a watched folder, it is watched no more.
    pub(super) vanished: HashSet<PathBuf>,
    /// What was renamed, from and to, in the order in which it happened.
    pub(super) renamed: Vec<(PathBuf, PathBuf)>,
    /// Something appeared, vanished or was renamed, or news were lost: scan.
    pub(super) rescan: bool,
}

/// What the watcher's thread heard.
#[derive(Debug, Default)]
struct Heard {
    news: News,
    /// Old names of which the new one is not told yet, by what ties the two events together.
    leaving: VecDeque<(usize, PathBuf)>,
}

/// Ears on the folders of a source. Without them polling alone finds everything, only later.
#[derive(Debug, Default)]
pub(super) struct Notifications {
    heard: Arc<Mutex<Heard>>,
    watcher: Option<RecommendedWatcher>,
    /// The inode of each: a folder that was made again is another one, and no event tells of its end as long as a file
    /// in it is held open.
    watched: HashMap<PathBuf, u64>,
}

/// More distinct files than this between two looks, and a scan is cheaper than remembering them.
const WRITTEN_MAX: usize = 10_000;

/// The two events of a rename follow each other closely; one whose second never comes led out of what is watched.
const LEAVING_MAX: usize = 64;

impl Notifications {
    /// Sets up the watcher, which rings `wake`.
    pub(super) fn new(wake: Wake) -> Notifications {
        let heard = Arc::new(Mutex::new(Heard::default()));
        let entered = Arc::clone(&heard);
        let watcher = notify::recommended_watcher(move |event| {
            if entered.lock().unwrap_or_else(PoisonError::into_inner).note(event) {
                wake.ring();
            }
        });
        let watcher = watcher.inspect_err(|error| tracing::debug!(%error, "no notifications here, polling alone")).ok();
        Notifications { heard, watcher, watched: HashMap::new() }
    }

    /// Watches a folder, once; one that is not there yet is tried again at the next call.
    pub(super) fn watch(&mut self, folder: &Path, recursive: bool) {
        let Some(watcher) = &mut self.watcher else { return };
        let Ok(metadata) = fs_err::metadata(folder) else { return };
        let known = self.watched.get(folder);
        if !metadata.is_dir() || known == Some(&metadata.ino()) {
            return;
        }
        if known.is_some() {
            // The watch on the old folder; that it is gone is as well.
            let _ = watcher.unwatch(folder);
        }
        let mode = if recursive { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
        match watcher.watch(folder, mode) {
            Ok(()) => {
                self.watched.insert(folder.to_owned(), metadata.ino());
            }
            Err(error) => tracing::debug!(%error, "cannot watch a folder, polling it"),
        }
    }

    /// Whether all of these folders that are there are watched.
    pub(super) fn cover<'r>(&self, mut roots: impl Iterator<Item = (&'r Path, bool)>) -> bool {
        self.watcher.is_some() && roots.all(|(folder, _)| self.watched.contains_key(folder) || !folder.exists())
    }

    /// Takes what happened since the last call. A folder that vanished is watched again when it is back.
    pub(super) fn take(&mut self) -> News {
        let news = std::mem::take(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner).news);
        let too_many = news.vanished.len() >= WRITTEN_MAX;
        self.watched.retain(|folder, _| !too_many && !news.vanished.contains(folder));
        news
    }
}

impl Heard {
    /// Enters an event; returns whether it matters.
    fn note(&mut self, event: notify::Result<notify::Event>) -> bool {
        let Ok(event) = event else {
            self.news.rescan = true;
            return true;
        };
        match event.kind {
            EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) => return false,
            EventKind::Modify(ModifyKind::Data(_)) if self.news.written.len() < WRITTEN_MAX => {
                self.news.written.extend(event.paths);
                return true;
            }
            EventKind::Modify(ModifyKind::Name(mode)) => self.note_rename(mode, &event),
            EventKind::Remove(_) => self.note_vanished(event.paths),
            _ => {}
        }
        self.news.rescan = true;
        true
    }

    fn note_vanished(&mut self, paths: Vec<PathBuf>) {
        if self.news.vanished.len() < WRITTEN_MAX {
            self.news.vanished.extend(paths);
        }
    }

    /// A rename comes as two events with one tracker. That some watchers tell both names in a third is of no use: it is
    /// left out when renames overlap.
    fn note_rename(&mut self, mode: RenameMode, event: &notify::Event) {
        let (Some(path), tracker) = (event.paths.first(), event.tracker()) else { return };
        match (mode, tracker) {
            (RenameMode::From, Some(tracker)) => {
                if self.leaving.len() >= LEAVING_MAX {
                    self.leaving.pop_front();
                }
                self.leaving.push_back((tracker, path.clone()));
            }
            (RenameMode::To, Some(tracker)) => {
                let from = self.leaving.iter().position(|(of, _)| *of == tracker);
                let from = from.and_then(|position| self.leaving.remove(position));
                if let Some((_, from)) = from.filter(|_| self.news.renamed.len() < WRITTEN_MAX) {
                    self.news.renamed.push((from, path.clone()));
                }
            }
            _ => {}
        }
        self.note_vanished(event.paths.clone());
    }
}
