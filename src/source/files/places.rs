//! Places: which files may be open, when there are more than may be?

use std::time::Instant;

use super::decide::decide;
use super::file::TailedFile;
use super::ground::Ground;
use super::open::open;
use super::register::Register;
use crate::flow::ack::FileNumber;

/// So many of the files that a process may open are left to sockets (at most 32 of them to readers of `/metrics`), the
/// store, and the like.
const OPEN_FILES_RESERVE: u64 = 96;

/// Closes files that are delivered to their ends until so many places are free. Returns how many are.
fn make_room(ground: &Ground, register: &mut Register, wanted: usize) -> usize {
    let free = ground.free_places(&register.roster);
    if free >= wanted {
        return free;
    }
    let idle = register.roster.files().filter(|file| is_idle(file));
    let mut idle: Vec<(Instant, FileNumber)> = idle.map(|file| (file.activity.changed, file.number)).collect();
    idle.sort_unstable();
    let mut surplus = wanted - free;
    for (_, number) in idle {
        if surplus == 0 {
            break;
        }
        // Written to, or deleted, since the last scan.
        let is_still_idle = |file: &mut TailedFile| !file.look().unwrap_or(true) && is_idle(file) && !file.is_deleted();
        if !register.roster.get_mut(number).is_some_and(is_still_idle) {
            register.roster.queue(number);
            continue;
        }
        let Some(file) = register.roster.remove(number) else { continue };
        surplus -= 1;
        register.shelve(&file, false);
    }
    ground.free_places(&register.roster)
}

/// Opens files that wait for a place, as far as there are places.
pub(super) fn serve_waiting(ground: &Ground, register: &mut Register) {
    if register.closed.waiting() == 0 {
        return;
    }
    let places = make_room(ground, register, register.closed.waiting());
    let served = register.closed.first_waiting(places);
    for path in &served {
        let number = register.roster.next_number();
        // What is another one by now, or gone, is found out by the next scan.
        if open(ground, register, path).is_ok() {
            register.roster.queue(number);
        }
    }
    if !served.is_empty() {
        decide(ground, register);
    }
    if let Some(waiting) = register.closed.say_waiting() {
        tracing::warn!(
            waiting,
            open_files_max = ground.options.open_files_max,
            "more files have something to read than may be open, and some wait until others are delivered; hint: raise \
             `source.files.open_files_max`, or the limit of open files of the process (`ulimit -n`, `LimitNOFILE=`)"
        );
    }
}

/// True when it is there and everything of it is delivered, so that it need not be open.
fn is_idle(file: &TailedFile) -> bool {
    !file.standing.is_gone()
        && (file.is_known() || file.is_empty())
        && !file.activity.news
        && !file.activity.queued
        && !file.is_compressed()
        && !file.is_at_gap()
        && file.lag_bytes() == 0
        && file.is_settled()
}

/// Files are held open until they are delivered, so as many as the system allows to this process may be open. Returns how
/// many of them may be files of a source.
pub(super) fn raise_open_files_limit() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    let mut allowed = limit.maximum;
    if let Err(error) = rustix::process::setrlimit(rustix::process::Resource::Nofile, raised) {
        tracing::debug!(%error, "cannot raise the limit of open files");
        allowed = limit.current;
    }
    let allowed = allowed.unwrap_or(u64::MAX).saturating_sub(OPEN_FILES_RESERVE).max(1);
    usize::try_from(allowed).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_descriptors_are_left_for_everything_else() {
        let files = raise_open_files_limit() as u64;
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        assert!(files + 96 <= limit, "{files} of {limit}");
    }
}
