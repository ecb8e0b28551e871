//! Missing files: where are those that a checkpoint tells of, and that no glob finds?

use std::io;
use std::path::Path;

use super::compressed::Examined;
use super::examined::open_candidate;
use super::file::{FileId, TailedFile};
use super::ground::Ground;
use super::open::open;
use super::originals::take_copied;
use super::register::{Register, Search};
use super::regular::open_regular;
use super::tell::report_lost;

/// At the start: files of the checkpoint that no glob finds are looked for by inode in the folder where they were.
pub(super) fn look_for_renamed(ground: &Ground, register: &mut Register) {
    for folder in register.remembered.unfinished_folders() {
        let Ok(entries) = fs_err::read_dir(&folder) else { continue };
        for candidate in entries.flatten() {
            let Ok(metadata) = candidate.metadata() else { continue };
            if register.remembered.is_unfinished(&candidate.path(), &metadata).unwrap_or(false) {
                let _ = open(ground, register, &candidate.path());
            }
        }
    }
}

/// Copies of files that are not found, at the start, or overwritten while closed, are looked for in the folders where
/// they were, whether or not a glob matches them.
pub(super) fn look_for_copies(ground: &Ground, register: &mut Register) {
    register.search = Search::Open;
    for folder in register.remembered.unfinished_folders() {
        let Ok(candidates) = fs_err::read_dir(&folder) else { continue };
        for candidate in candidates.flatten() {
            let Ok(metadata) = candidate.metadata() else { continue };
            if metadata.is_file() && !register.is_there(FileId::of(&metadata)) {
                let _ = open_copy(ground, register, &candidate.path());
            }
        }
    }
}

fn open_copy(ground: &Ground, register: &mut Register, path: &Path) -> io::Result<()> {
    let handle = open_regular(path)?;
    let metadata = handle.metadata()?;
    let mut file = TailedFile::new(register.roster.next_number(), path, handle, &metadata);
    if register.remembered.is_known_inode(file.id().inode) {
        return Ok(());
    }
    if file.is_compressed() {
        open_candidate(ground, register, file);
    } else if let Some(entry) = take_copied(&mut register.remembered, &file)? {
        file.resume(&entry);
        register.adopt(file);
    }
    Ok(())
}

/// After the start: what is left of the checkpoint's files and not found anywhere is lost, unless it comes back. As long
/// as compressed files are examined, it may yet be found.
pub(super) fn give_up_missing(ground: &Ground, register: &mut Register) {
    let is_examined = |file: &TailedFile| file.is_known() || file.examined() != Some(Examined::No);
    if register.search == Search::Open && register.roster.files().all(is_examined) {
        register.give_up_missing(|entry| {
            report_lost(Path::new(&entry.path), entry.undelivered_bytes(), &ground.counters);
        });
    }
}
