//! Notifications: a file may have changed, look earlier than the next poll.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use notify::event::{EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::wake::Wake;

/// What happened since the last look.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Files that were written to.
    pub(super) written: HashSet<PathBuf>,
    /// What vanished: if it was a watched folder, it is watched no more.
    pub(super) vanished: HashSet<PathBuf>,
    /// Something appeared, vanished or was renamed, or news were lost: scan.
    pub(super) rescan: bool,
}

/// Ears on the folders of a source. Without them polling alone finds everything, only later.
#[derive(Debug, Default)]
pub(super) struct Notifications {
    news: Arc<Mutex<News>>,
    watcher: Option<RecommendedWatcher>,
    /// The inode of each: a folder that was made again is another one, and no event tells of its end as long as a file
    /// in it is held open.
    watched: HashMap<PathBuf, u64>,
}

/// More distinct files than this between two looks, and a scan is cheaper than remembering them.
const WRITTEN_MAX: usize = 10_000;

impl Notifications {
    /// Sets up the watcher, which rings `wake`.
    pub(super) fn new(wake: Wake) -> Notifications {
        let news = Arc::new(Mutex::new(News::default()));
        let heard = Arc::clone(&news);
        let watcher = notify::recommended_watcher(move |event| {
            if note(&mut heard.lock().unwrap_or_else(PoisonError::into_inner), event) {
                wake.ring();
            }
        });
        let watcher = watcher.inspect_err(|error| tracing::debug!(%error, "no notifications here, polling alone")).ok();
        Notifications { news, watcher, watched: HashMap::new() }
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

    /// Takes what happened since the last call. A folder that vanished is watched again when it is back.
    pub(super) fn take(&mut self) -> News {
        let news = std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner));
        let too_many = news.vanished.len() >= WRITTEN_MAX;
        self.watched.retain(|folder, _| !too_many && !news.vanished.contains(folder));
        news
    }
}

/// Enters an event; returns whether it matters.
fn note(news: &mut News, event: notify::Result<notify::Event>) -> bool {
    match event {
        Ok(event) if matches!(event.kind, EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_))) => false,
        Ok(event)
            if matches!(event.kind, EventKind::Modify(ModifyKind::Data(_))) && news.written.len() < WRITTEN_MAX =>
        {
            news.written.extend(event.paths);
            true
        }
        Ok(event) => {
            let is_gone = matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)));
            if is_gone && news.vanished.len() < WRITTEN_MAX {
                news.vanished.extend(event.paths);
            }
            news.rescan = true;
            true
        }
        Err(_) => {
            news.rescan = true;
            true
        }
    }
}
