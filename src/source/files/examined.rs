//! Compressed files: is what one holds known, and where does it go on?
//!
//! Its inode says nothing, since compressing makes another file; its content tells, and may be gigabytes. So it is
//! decompressed once, some of it at each turn, while other files are read, and one file after the other. On the way the
//! places are compared at which known content would have to be the same: those of entries and open files that begin alike.
//! Where such places come up afterwards there is another pass. What is known to be delivered is never decompressed again.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use super::compressed::{Examined, is_named_compressed};
use super::file::{Knowledge, TailedFile};
use super::ground::Ground;
use super::likeness::{Beginning, is_named_alike};
use super::options::Waits;
use super::originals::find_copied;
use super::register::{Decision, Register};
use super::remembered::Remembered;
use crate::flow::ack::FileNumber;
use crate::state::checkpoint::{FileEntry, HEAD_BYTES_MAX};
use crate::telemetry::Counters;

/// How much is decompressed in one turn to find out what a file is, in bytes of its content.
const EXAMINED_BYTES: u64 = 1 << 20;

/// Where the content of an examined file is found.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// This entry ends within it.
    Entry(u64, usize),
    /// In a file that is there.
    There,
    /// The file is cut off, and more than what is left was delivered from this path.
    Delivered(String),
    Nowhere,
}

/// What is compressed was written before, so it is a copy of whatever has its content, there or not.
pub(super) fn decide_on_compressed(
    ground: &Ground,
    register: &mut Register,
    file: &mut TailedFile,
) -> io::Result<Decision> {
    let is_read_on = file.consumed_position().offset_bytes > 0;
    let found = match file.examined() {
        Some(Examined::Yes) if !is_read_on => find_content(register, file)?,
        _ => Found::Nowhere,
    };
    if file.examined() != Some(Examined::Yes) {
        if is_at_rest(&ground.waits, file) {
            register.examining.insert(file.number);
        }
        return Ok(Decision::Wait);
    }
    // What is not whole may be in the making.
    let is_in_the_making = file.flaw().is_some() && file.activity.changed.elapsed() < ground.waits.decided_after;
    if is_in_the_making && found != Found::There {
        return Ok(Decision::Wait);
    }
    let is_candidate = file.knowledge == Knowledge::Candidate;
    let is_ours = !is_candidate || matches!(found, Found::Entry(..));
    if is_ours && found != Found::There {
        tell_flaw(&ground.counters, file, &found);
    }
    if is_read_on {
        return Ok(Decision::Continue);
    }
    Ok(match found {
        Found::Entry(inode, position) => match register.remembered.take_at(inode, position) {
            Some(entry) => {
                file.resume(&entry);
                Decision::Copy
            }
            None => Decision::Wait,
        },
        Found::There if !is_candidate => {
            file.knowledge = Knowledge::Shadow;
            Decision::Wait
        }
        Found::Nowhere if file.size_bytes() > 0 => Decision::Own,
        Found::There | Found::Delivered(_) | Found::Nowhere => Decision::Settled,
    })
}

/// Says, and counts, that not all of an archive can be read.
fn tell_flaw(counters: &Counters, file: &mut TailedFile, found: &Found) {
    let Some(flaw) = file.flaw() else { return };
    if std::mem::replace(&mut file.warnings.is_unreadable_said, true) {
        return;
    }
    let (path, content_bytes, hint) = (file.path.display(), file.size_bytes(), flaw.hint());
    match found {
        Found::Delivered(known) => tracing::warn!(
            %path, reason = %flaw, content_bytes, known,
            "not all of this archive can be read; what can was delivered from the known file before"
        ),
        _ => tracing::warn!(%path, reason = %flaw, content_bytes, hint, "not all of this archive can be read"),
    }
    counters.source_unreadable_total.inc();
}

/// Whether a file that may become an archive is waited for. For ever, if its name says so.
pub(super) fn waits_for_nature(ground: &Ground, file: &mut TailedFile) -> bool {
    if file.activity.changed.elapsed() < ground.waits.decided_after {
        return true;
    }
    let is_named = is_named_compressed(&file.path);
    if is_named && !std::mem::replace(&mut file.warnings.is_unreadable_said, true) {
        let path = file.path.display();
        let hint = "it is read when it is complete";
        tracing::warn!(%path, hint, "the file is named as an archive, and holds only the beginning of one, or zeros");
        ground.counters.source_unreadable_total.inc();
    }
    is_named
}

/// True when nobody seems to write to it any more.
fn is_at_rest(waits: &Waits, file: &TailedFile) -> bool {
    let is_old = |modified: SystemTime| modified.elapsed().is_ok_and(|age| age >= waits.examined_after);
    file.modified().is_some_and(is_old)
        || file.activity.changed.elapsed() >= waits.decided_after.min(waits.examined_after)
}

/// Finds the content of a compressed file. Before it is examined nothing is found, but what is to be compared is noted.
fn find_content(register: &Register, file: &TailedFile) -> io::Result<Found> {
    let entry = match register.remembered.find(file)? {
        Some(position) => Some((file.id().inode, position)),
        None => find_copied(&register.remembered, file, false)?,
    };
    if let Some((inode, position)) = entry {
        return Ok(Found::Entry(inode, position));
    }
    if let Some(known) = delivered_more_of(&register.remembered, file)? {
        return Ok(Found::Delivered(known));
    }
    let mut is_there =
        find_copied(&register.remembered, file, true)?.is_some() || register.closed.has_original_of(file)?;
    for open in register.roster.files().filter(|open| open.is_known() && open.number != file.number) {
        is_there |= (file.is_measured() && file.begins_as(open)?) || file.continues(open)?;
    }
    Ok(if is_there { Found::There } else { Found::Nowhere })
}

/// Decompresses some more of a file. `None` when there is nothing to find out any more.
pub(super) fn examine_one(register: &mut Register, number: FileNumber) -> Option<Examined> {
    let file = register.roster.get(number).filter(|file| !file.is_known())?;
    if file.glance() {
        // How it begins tells what has to be compared on the way.
        let _ = find_content(register, file);
    }
    register.roster.get_mut(number)?.examine(EXAMINED_BYTES)
}

/// At the start: a compressed file beside those that are missing, whether or not a glob matches it. It is examined if
/// its name and its beginning are like theirs.
pub(super) fn open_candidate(ground: &Ground, register: &mut Register, mut file: TailedFile) {
    if has_missing_like(&register.remembered, &file) {
        file.knowledge = Knowledge::Candidate;
        if is_at_rest(&ground.waits, &file) {
            register.examining.insert(file.number);
        }
        register.adopt(file);
    }
}

/// Whether some entry that is not delivered to its end may stand in a file, by its name and beginning.
fn has_missing_like(remembered: &Remembered, file: &TailedFile) -> bool {
    let Ok(beginning) = file.beginning(HEAD_BYTES_MAX) else { return false };
    let is_like = |entry: &FileEntry| {
        let head = beginning.get(..entry.head.length_bytes as usize);
        let is_head = entry.head_offset_bytes > 0 || head.is_some_and(|head| entry.head.matches(head));
        entry.committed.offset_bytes > 0 && is_named_alike(&file.path, Path::new(&entry.path)) && is_head
    };
    remembered.iter().filter(|entry| !entry.finished).any(is_like)
}

/// The path of a file of which more was delivered than a cut archive holds, which begins as it does.
fn delivered_more_of(remembered: &Remembered, file: &TailedFile) -> io::Result<Option<String>> {
    if file.flaw().is_none() {
        return Ok(None);
    }
    let mut beginning = Beginning::of(file)?;
    let holds_more = |entry: &&FileEntry| {
        let head_bytes = u64::from(entry.head.length_bytes);
        let is_longer = entry.committed.offset_bytes > file.size_bytes();
        is_longer && (1..=file.size_bytes()).contains(&head_bytes) && beginning.is_that_of(entry)
    };
    Ok(remembered.iter().find(holds_more).map(|entry| entry.path.clone()))
}
