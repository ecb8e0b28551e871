//! Copies: is a file that is not known by its inode the copy of one that is?
//!
//! Only content can tell: what stands at the beginning and just before the offset up to which the original was read. A
//! copy goes on under the original's identity (inode, generation, offsets), so that its lines keep their ids. Two files
//! may merely look alike, so a copy is believed only when
//! - the original is open, and its content was overwritten (`copytruncate`), or
//! - the original is not open, and is not under its path any more, or was overwritten. Where it was finished with less
//!   than [`HEAD_BYTES_MAX`] bytes, the copy's name has to begin as the original's does, up to the first dot, too.
//!
//! So a file that is restored from a backup goes on where it was, under its old path or beside it; while the original is
//! deleted and still open, it waits for that one's end. What begins as a known file that is gone and goes on otherwise, such
//! as an older backup, cannot be told from a new file: it is read, and a warning names both.
//!
//! A file that begins as an open one does waits until one of them changes, or for some seconds: a `copytruncate` may be
//! between its two steps. Then it is a file of its own. What has no bytes yet waits as well.

use std::io;

use super::compressed::{Examined, Nature};
use super::examined::{decide_on_compressed, examine_one, waits_for_nature};
use super::file::{Knowledge, TailedFile};
use super::ground::Ground;
use super::missing::give_up_missing;
use super::originals::{gone_that_begins_as, take_copied};
use super::register::{Decision, Register};
use super::roster::Roster;
use crate::flow::ack::FileNumber;

/// How much of two files is compared first, in bytes.
const GLANCE_BYTES: usize = 256;

/// How a file begins of which something was read.
struct Opening {
    number: FileNumber,
    bytes: Vec<u8>,
    overwritten: bool,
}

/// Decides on the files that are not known by their inodes.
pub(super) fn decide(ground: &Ground, register: &mut Register) {
    let waiting = register.roster.files().filter(|file| !file.is_known() && !file.is_empty());
    let waiting: Vec<FileNumber> = waiting.map(|file| file.number).collect();
    if waiting.is_empty() {
        return;
    }
    let openings = openings(&register.roster);
    for number in waiting {
        decide_one(ground, register, number, &openings);
    }
}

/// How the files begin of which something was read.
fn openings(roster: &Roster) -> Vec<Opening> {
    let read = roster.files().filter(|file| file.is_known() && file.consumed_position().offset_bytes > 0);
    let opening = |file: &TailedFile| {
        let overwritten = file.activity.news && file.is_overwritten().ok()?;
        Some(Opening { number: file.number, bytes: file.beginning(GLANCE_BYTES).ok()?, overwritten })
    };
    read.filter_map(opening).collect()
}

fn decide_one(ground: &Ground, register: &mut Register, number: FileNumber, openings: &[Opening]) {
    let Some(mut file) = register.roster.take(number) else { return };
    // What cannot be read is told when it is read.
    let decision = decide_on(ground, register, &mut file, openings).unwrap_or(Decision::Own);
    match decision {
        Decision::Copy => {
            let path = file.path.display();
            tracing::info!(%path, "the file is a copy of one that is known, going on where that ended");
        }
        Decision::Own if file.knowledge != Knowledge::Candidate => warn_of_original(register, &file),
        Decision::Own | Decision::Wait | Decision::Continue | Decision::Settled => {}
    }
    register.carry_out(decision, file);
}

fn decide_on(
    ground: &Ground,
    register: &mut Register,
    file: &mut TailedFile,
    openings: &[Opening],
) -> io::Result<Decision> {
    if file.is_empty() {
        return Ok(Decision::Wait);
    }
    match file.find_nature()? {
        Nature::Compressed => return decide_on_compressed(ground, register, file),
        Nature::Unknown if waits_for_nature(ground, file) => return Ok(Decision::Wait),
        Nature::Unknown | Nature::Plain => {}
    }
    if let Some(entry) = take_copied(&mut register.remembered, file)? {
        file.resume(&entry);
        return Ok(Decision::Copy);
    }
    let beginning = file.beginning(GLANCE_BYTES)?;
    for Opening { number, bytes, overwritten } in openings {
        // An overwritten one begins as it likes.
        let length = beginning.len().min(bytes.len());
        if (*overwritten || beginning[..length] == bytes[..length])
            && let Some(open) = register.roster.get(*number)
            && waits_for(ground, file, open, *overwritten)?
        {
            return Ok(Decision::Wait);
        }
    }
    let may_be_cut_yet = file.activity.changed.elapsed() < ground.waits.decided_after;
    Ok(if may_be_cut_yet && register.closed.has_original_of(file)? { Decision::Wait } else { Decision::Own })
}

/// Whether a file may turn out to be the copy of an open one.
fn waits_for(ground: &Ground, file: &TailedFile, open: &TailedFile, overwritten: bool) -> io::Result<bool> {
    let continues = file.continues(open)?;
    if overwritten || open.is_deleted() {
        return Ok(continues);
    }
    let is_longer = file.size_bytes() > open.size_bytes();
    let since = if is_longer { file.activity.opened } else { file.activity.changed };
    Ok(since.elapsed() < ground.waits.decided_after && (continues || file.begins_as(open)?))
}

/// Warns of a file that nothing is known of, if it begins as a known one that is gone.
fn warn_of_original(register: &Register, file: &TailedFile) {
    if let Some(original) = gone_that_begins_as(&register.remembered, file) {
        tracing::warn!(
            path = %file.path.display(),
            known = original.path,
            delivered_bytes = original.committed.offset_bytes,
            hint = "if it is an older backup of the known file, the newest one would have been told from it",
            "the file begins as a known one that is gone, and does not go on as that one did: it is read from its \
             beginning, and what was delivered of the known file may be delivered a second time"
        );
    }
}

/// Goes on finding out what a compressed file is, for one step. Returns its number, if there is one.
pub(super) fn examine(ground: &Ground, register: &mut Register) -> Option<FileNumber> {
    let number = *register.examining.first()?;
    if examine_one(register, number) != Some(Examined::No) {
        register.examining.remove(&number);
        decide_one(ground, register, number, &[]);
        register.roster.queue(number);
        give_up_missing(ground, register);
    }
    Some(number)
}
