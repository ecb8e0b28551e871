//! Opening: a file is met that is not open, where does it go on?

use std::io;
use std::path::Path;
use std::time::SystemTime;

use super::file::{FileId, Knowledge, TailedFile};
use super::ground::Ground;
use super::options::FirstSeen;
use super::register::{Phase, Register, Search};
use super::regular::{open_foreign, open_regular};
use crate::state::checkpoint::FileEntry;

/// Opens a file that was not open, and finds out where to go on.
pub(super) fn open(ground: &Ground, register: &mut Register, path: &Path) -> io::Result<FileId> {
    let handle = ground.data_dir().map_or_else(|| open_regular(path), |data_dir| open_foreign(path, data_dir))?;
    let metadata = handle.metadata()?;
    let mut file = TailedFile::new(register.roster.next_number(), path, handle, &metadata);
    let id = file.id();
    if register.roster.contains(id) {
        // Swapped since the look: it is open already.
        return Ok(id);
    }
    let is_passed_over = register.phase == Phase::VeryFirst && passes_over(ground.options.first_seen, &file);
    if file.is_compressed() && is_passed_over {
        register.remember_delivered(file.entry(true));
        return Ok(id);
    }
    match register.closed.take(id) {
        Some(entry) => reopen(register, &mut file, entry)?,
        None => begin_or_resume(ground, register, &mut file, is_passed_over)?,
    }
    if file.consumed_position().offset_bytes == 0 {
        file.knowledge = Knowledge::Undecided;
    }
    adopt_or_close(ground, register, file);
    Ok(id)
}

fn begin_or_resume(
    ground: &Ground,
    register: &mut Register,
    file: &mut TailedFile,
    is_passed_over: bool,
) -> io::Result<()> {
    let entry = if file.is_compressed() { None } else { register.remembered.take(file)? };
    if let Some(entry) = entry {
        file.resume(&entry);
        return Ok(());
    }
    register.begin_anew(file, register.next_generation(file.id().inode));
    if is_passed_over && file.skip_to_end(&ground.options.framing()).is_err() {
        // It is read from its beginning, and fails there, too.
        file.begin_anew(file.generation());
    }
    Ok(())
}

fn passes_over(first_seen: FirstSeen, file: &TailedFile) -> bool {
    match first_seen {
        FirstSeen::Beginning => false,
        FirstSeen::End => true,
        FirstSeen::Within(age) => {
            let changed = file.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            changed.elapsed().is_ok_and(|elapsed| elapsed > age)
        }
    }
}

/// Goes on with a file that was closed, if it is still what it was.
fn reopen(register: &mut Register, file: &mut TailedFile, entry: FileEntry) -> io::Result<()> {
    match file.is_same(&entry) {
        Ok(true) => {
            file.resume(&FileEntry { size_bytes: 0, ..entry });
            return Ok(());
        }
        Ok(false) => {}
        Err(error) => {
            register.remembered.remember(entry);
            return Err(error);
        }
    }
    tracing::info!(path = %file.path.display(), "the file was truncated or replaced, reading it from its beginning");
    register.remembered.note_generation(entry.inode, entry.generation);
    if entry.committed.offset_bytes > 0 {
        let size_bytes = entry.committed.offset_bytes;
        register.remembered.remember(FileEntry { size_bytes, replaced: true, ..entry });
        // Written, copied and cut while it was closed: the copy may hold more than was delivered.
        register.search = Search::Due;
    }
    register.begin_anew(file, register.next_generation(file.id().inode));
    Ok(())
}

/// Takes a file that was met: as open, or, when no place is free, closed again at once, waiting if it has something to
/// read. Room is made when the scan has found out what is still there.
fn adopt_or_close(ground: &Ground, register: &mut Register, file: TailedFile) {
    let must_be_open = || file.is_compressed() || !ground.discovery.is_meant(&file.path);
    if ground.free_places(&register.roster) > 0 || must_be_open() {
        register.adopt(file);
    } else {
        register.shelve(&file, file.lag_bytes() > 0);
    }
}
