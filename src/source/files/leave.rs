//! Leave: which files are over, so that they need not be held open any longer, and which are gone?

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::file::{FileId, TailedFile};
use super::ground::Ground;
use super::open::open;
use super::options::Waits;
use super::register::Register;
use super::tell::report_lost;
use crate::flow::ack::FileNumber;
use crate::state::checkpoint::FileEntry;

/// Follows renames, and takes leave of files that are gone and delivered to their end.
pub(super) fn take_leave(waits: &Waits, register: &mut Register, present: &BTreeMap<FileId, PathBuf>) {
    let has_moved = register.follow(present);
    let over = register.roster.leaving().filter(|file| is_over(waits, file));
    let over: Vec<FileNumber> = over.map(|file| file.number).collect();
    over.iter().for_each(|number| register.close(*number));
    register.roster.count_gone();
    register.roster.update_paths(has_moved || !over.is_empty());
}

/// True when a file without a name under the globs needs not be held open any longer.
fn is_over(waits: &Waits, file: &TailedFile) -> bool {
    let is_delivered = !file.activity.news && file.unread_bytes() == 0 && file.is_settled();
    if (file.is_salvage() && is_delivered) || file.is_delivered_archive() {
        return true;
    }
    let left_alone_for = file.left_alone_for().unwrap_or_default();
    file.standing.is_gone()
        && (file.is_known() || file.is_empty())
        && !file.is_at_gap()
        && is_delivered
        && left_alone_for >= waits.final_after
        && (left_alone_for >= waits.renamed_closed_after || file.is_deleted())
}

/// Follows closed files that were renamed, and takes leave of those that are gone.
pub(super) fn take_leave_of_closed(ground: &Ground, register: &mut Register, present: &BTreeMap<FileId, PathBuf>) {
    if register.closed.len() == 0 {
        return;
    }
    let mut gone = register.take_gone(present);
    let folders: BTreeSet<PathBuf> =
        gone.values().filter_map(|entry| Path::new(&entry.path).parent().map(Path::to_owned)).collect();
    for folder in folders {
        let Ok(candidates) = fs_err::read_dir(&folder) else { continue };
        for candidate in candidates.flatten() {
            let Ok(metadata) = candidate.metadata() else { continue };
            // Renamed out of the globs: held open from now on, as the others that were.
            if let Some(entry) = gone.remove(&FileId::of(&metadata)) {
                register.remembered.remember(entry);
                let _ = open(ground, register, &candidate.path());
            }
        }
    }
    for entry in gone.into_values() {
        report_lost(Path::new(&entry.path), entry.undelivered_bytes(), &ground.counters);
        register.remembered.remember(FileEntry { finished: true, ..entry });
    }
}
