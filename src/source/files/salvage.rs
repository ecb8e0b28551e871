//! Salvage: what is left of a file whose last name is gone, kept in the pipeline's folder of state until delivered.
//!
//! A salvage file is the file itself at the same offsets, with a hole where nothing is needed any more: its beginning,
//! which identifies it, and everything from just before the committed offset on. It is written when a deleted file is not
//! delivered within some seconds, and at a stop; synced, of mode 0600, and all of them together within a limit. The
//! checkpoint's entry names it; it is removed when its content is delivered.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::file::{Knowledge, Standing, TailedFile};
use super::ground::Ground;
use super::register::Register;
use super::tell::report_lost;
use crate::flow::ack::FileNumber;
use crate::state::checkpoint::{FileEntry, TAIL_BYTES_MAX};

/// How much of the beginning is kept, in bytes: what the digests of the head and of the first line are made of.
const BEGINNING_BYTES: u64 = 64 * 1024;

const BLOCK_BYTES: usize = 256 * 1024;

/// Salvages files that have no name any more and are not delivered. At a stop, what the limit leaves out is lost.
pub(super) fn salvage(ground: &Ground, register: &mut Register, at_stop: bool) {
    let is_due = |file: &TailedFile| match file.standing {
        Standing::Gone(since) => at_stop || since.elapsed() >= ground.waits.salvaged_after,
        _ => false,
    };
    let due = register.roster.files().filter(|file| {
        is_due(file) && file.knowledge != Knowledge::Candidate && file.lag_bytes() > 0 && file.is_deleted()
    });
    let due: Vec<FileNumber> = due.map(|file| file.number).collect();
    for number in due {
        if let Err(error) = salvage_one(ground, register, number, at_stop) {
            let Some(file) = register.roster.get(number) else { continue };
            let hint = "it is read on as long as inferlog runs";
            tracing::warn!(path = %file.path.display(), %error, hint, "cannot salvage a deleted file");
            if at_stop {
                report_lost(&file.path, file.lag_bytes(), &ground.counters);
            }
        }
    }
}

fn salvage_one(ground: &Ground, register: &mut Register, number: FileNumber, at_stop: bool) -> io::Result<()> {
    let salvaged_bytes: u64 = register.roster.files().map(TailedFile::salvaged_bytes).sum();
    let (Some(folder), Some(file)) = (&ground.options.salvage, register.roster.get(number)) else { return Ok(()) };
    let missing_bytes = file.lag_bytes().saturating_sub(file.salvaged_bytes());
    if missing_bytes == 0 {
        return Ok(());
    }
    if salvaged_bytes + missing_bytes > ground.salvage_bytes_max {
        if at_stop {
            return Err(io::Error::other("the limit of the salvage folder is reached"));
        }
        return Ok(());
    }
    make_private_folder(folder)?;
    let name = file.salvage_name();
    let path = folder.join(&name);
    let copy = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path)?;
    let offset_bytes = file.lag_start().saturating_sub(TAIL_BYTES_MAX as u64);
    copy_range(file, &copy, 0..BEGINNING_BYTES.min(file.size_bytes()))?;
    copy_range(file, &copy, offset_bytes..file.size_bytes())?;
    copy.sync_all()?;
    File::open(folder)?.sync_all()?;
    let path = file.path.display();
    tracing::info!(%path, bytes = missing_bytes, "the file was deleted, its rest is kept in the salvage folder");
    register.salvaged(number, name);
    Ok(())
}

/// At the start: opens what was salvaged.
pub(super) fn open_salvaged(ground: &Ground, register: &mut Register) {
    let Some(folder) = &ground.options.salvage else { return };
    for (entry, name) in register.remembered.take_salvaged() {
        if let Err(error) = open_salvage(register, &folder.join(&name), &entry, name) {
            tracing::warn!(path = entry.path, %error, "cannot read what was salvaged of a deleted file");
            register.remembered.insert(FileEntry { salvage: None, held_by_inode: None, ..entry });
        }
    }
}

fn open_salvage(register: &mut Register, path: &Path, entry: &FileEntry, name: String) -> io::Result<()> {
    let handle = fs_err::File::open(path)?;
    let metadata = handle.metadata()?;
    let mut file = TailedFile::new(register.roster.next_number(), Path::new(&entry.path), handle, &metadata);
    if !file.is_same(entry)? {
        return Err(io::Error::other("it is not what the checkpoint says"));
    }
    file.resume(entry);
    file.read_from_salvage(name);
    register.adopt(file);
    Ok(())
}

/// Removes the salvage files of files that are delivered.
pub(super) fn remove_salvage(folder: Option<&Path>, names: &[String]) {
    for (folder, name) in folder.into_iter().flat_map(|folder| names.iter().map(move |name| (folder, name))) {
        if let Err(error) = fs_err::remove_file(folder.join(name)) {
            tracing::warn!(%error, "cannot remove a salvaged file that is delivered");
        }
    }
}

fn make_private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn copy_range(file: &TailedFile, copy: &File, range: std::ops::Range<u64>) -> io::Result<()> {
    let mut offset_bytes = range.start;
    while offset_bytes < range.end {
        let block = file.block(offset_bytes, BLOCK_BYTES.min((range.end - offset_bytes) as usize))?;
        if block.is_empty() {
            break;
        }
        copy.write_all_at(&block, offset_bytes)?;
        offset_bytes += block.len() as u64;
    }
    Ok(())
}
