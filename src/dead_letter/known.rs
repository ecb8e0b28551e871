//! Known entries: what is in the dead letter already, so that a line that is read again is entered once?
//!
//! A hash of each entry, kept with the file that the entry is in, and forgotten with it: so what is known has the bound
//! of what is on disk, about 16 bytes an entry. An entry that a replay took out is known for a while longer, since its
//! line may be on its way once more.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};

use crate::flow::batch::{FileKey, Id};

/// The most entries that were taken out and are still known; then those are forgotten.
const SETTLED_ENTRIES_MAX: usize = 100_000;

/// Makes the keys of entries.
#[derive(Debug, Default)]
pub(super) struct Keys(RandomState);

impl Keys {
    /// What makes an entry: lines that were given one id by their members are still entries of their own.
    pub(super) fn key(&self, id: Id, file: FileKey, offset_bytes: u64, ordinal: u32) -> u64 {
        self.0.hash_one((id, file, offset_bytes, ordinal))
    }
}

/// The keys of the entries, by their files.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// A file a day, and few parts of it: they are looked through one after the other.
    files: Vec<(PathBuf, HashSet<u64>)>,
    settled: HashSet<u64>,
}

impl Known {
    /// Whether an entry is there, or was until a moment ago.
    pub(super) fn contains(&self, key: u64) -> bool {
        self.settled.contains(&key) || self.files.iter().rev().any(|(_, keys)| keys.contains(&key))
    }

    /// Notes an entry of a file.
    pub(super) fn insert(&mut self, file: &Path, key: u64) {
        let place = self.files.iter().rposition(|(known, _)| known == file).unwrap_or_else(|| {
            self.files.push((file.to_owned(), HashSet::new()));
            self.files.len() - 1
        });
        self.files[place].1.insert(key);
    }

    /// Follows a file that got another name.
    pub(super) fn rename(&mut self, file: &Path, name: PathBuf) {
        if let Some((known, _)) = self.files.iter_mut().find(|(known, _)| known == file) {
            *known = name;
        }
    }

    /// Forgets the entries of files that are no more.
    pub(super) fn retain(&mut self, is_there: impl Fn(&Path) -> bool) {
        self.files.retain(|(file, _)| is_there(file));
    }

    /// Notes that entries were taken out of a file.
    pub(super) fn settle(&mut self, file: &Path, keys: Vec<u64>) {
        if let Some((_, known)) = self.files.iter_mut().find(|(known, _)| known == file) {
            for key in &keys {
                known.remove(key);
            }
            known.shrink_to_fit();
        }
        if self.settled.len() + keys.len() > SETTLED_ENTRIES_MAX {
            self.settled = HashSet::new();
        }
        self.settled.extend(keys.into_iter().take(SETTLED_ENTRIES_MAX));
    }

    /// How many entries there are in all files.
    pub(super) fn entries(&self) -> u64 {
        self.files.iter().map(|(_, keys)| keys.len() as u64).sum()
    }

    /// How many are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.settled.len() + self.entries() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_out_is_known_up_to_a_limit() {
        let mut known = Known::default();
        let file = Path::new("/dead_letter/2026-11-26.ndjson");
        for round in 0..5_u64 {
            let keys: Vec<u64> = (round * 60_000..(round + 1) * 60_000).collect();
            keys.iter().for_each(|key| known.insert(file, *key));
            assert!(known.contains(keys[0]));
            known.settle(file, keys);
            assert!(known.contains(round * 60_000), "its line may be on its way");
            assert!(known.len() <= SETTLED_ENTRIES_MAX, "{} are kept", known.len());
        }
        known.insert(file, u64::MAX);
        known.rename(file, PathBuf::from("/dead_letter/2026-11-26.000000.ndjson"));
        known.retain(|file| file != Path::new("/dead_letter/2026-11-26.000000.ndjson"));
        assert!(!known.contains(u64::MAX));
    }
}
