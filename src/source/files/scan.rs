//! Scans: which files are there now, which have grown, and which are gone?

use std::collections::{BTreeMap, HashSet};
use std::fs::Metadata;
use std::io;
use std::path::PathBuf;

use super::compressed::is_named_compressed;
use super::decide::decide;
use super::discover::{Unreadable, WithoutFiles};
use super::ends::Ends;
use super::file::FileId;
use super::ground::Ground;
use super::leave::{take_leave, take_leave_of_closed};
use super::missing::{give_up_missing, look_for_copies, look_for_renamed};
use super::open::open;
use super::places::serve_waiting;
use super::register::{Phase, Register, Search};
use super::roster::is_same_path;
use super::salvage::{open_salvaged, salvage};
use super::tell::{report_lost, warn_unreadable};

/// What the globs found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matched {
    /// How many files.
    pub files: usize,
    /// The paths that found none.
    pub without_files: Vec<WithoutFiles>,
}

/// What the last scan found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// `None` before the first one.
    pub(super) matched: Option<Matched>,
    /// The same of the first one, until it is taken.
    pub(super) first_matched: Option<Matched>,
    /// What was complained about, so that it is said once.
    unreadable: HashSet<Unreadable>,
}

/// What one look at all names found.
#[derive(Debug, Default)]
struct Sightings {
    /// Under which name each file is found.
    present: BTreeMap<FileId, PathBuf>,
    complaints: Vec<Unreadable>,
}

/// Looks at everything: which files are there, which have grown, which are gone.
pub(super) fn scan(ground: &Ground, register: &mut Register, findings: &mut Findings, ends: &mut Ends) {
    let is_first = register.phase != Phase::Later;
    if is_first {
        open_salvaged(ground, register);
    }
    let mut sightings = Sightings::default();
    let found = ground.discovery.scan(&mut sightings.complaints);
    let matched = Matched { files: found.len(), without_files: ground.discovery.without_files(&found) };
    if is_first {
        findings.first_matched = Some(matched.clone());
    }
    findings.matched = Some(matched);
    for path in found {
        match fs_err::metadata(&path) {
            Ok(metadata) => sightings.meet(ground, register, path, &metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => sightings.complaints.push(Unreadable::because(path, &error)),
        }
    }
    take_leave(&ground.waits, register, &sightings.present);
    take_leave_of_closed(ground, register, &sightings.present);
    if is_first {
        look_for_renamed(ground, register);
    }
    decide(ground, register);
    salvage(ground, register, false);
    if register.search == Search::Due {
        look_for_copies(ground, register);
    }
    give_up_missing(ground, register);
    register.end_scan(&sightings.present);
    findings.complain(ground, sightings.complaints);
    ends.look_at(ground, &mut register.roster);
    // What is written into a gap changes no size, and through a mapping not even a time.
    register.roster.queue_all(|file| file.activity.news || file.is_at_gap());
    serve_waiting(ground, register);
}

impl Sightings {
    fn meet(&mut self, ground: &Ground, register: &mut Register, path: PathBuf, metadata: &Metadata) {
        let id = FileId::of(metadata);
        if let Some(file) = register.seen(id, metadata) {
            // Of several names for one file, the one that it has already is kept.
            if !self.present.contains_key(&id) || is_same_path(&file.path, &path) {
                self.present.insert(id, path);
            }
            return;
        }
        if let Some(cut_bytes) = register.closed.seen(id, metadata) {
            report_lost(&path, cut_bytes, &ground.counters);
            if !self.present.contains_key(&id) || register.closed.under(&path) == Some(id) {
                self.present.insert(id, path);
            }
            return;
        }
        // Known as delivered; or met again by a later scan, when there is a place for it.
        if register.remembered.is_delivered_compressed(metadata) {
            self.present.insert(id, path);
            return;
        }
        if is_named_compressed(&path) && ground.free_places(&register.roster) == 0 {
            return;
        }
        match open(ground, register, &path) {
            Ok(id) => drop(self.present.insert(id, path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.complaints.push(Unreadable::because(path, &error)),
        }
    }
}

impl Findings {
    /// Says what is new among the things that cannot be read, and forgets those that can be again.
    fn complain(&mut self, ground: &Ground, complaints: Vec<Unreadable>) {
        let now: HashSet<Unreadable> = complaints.into_iter().collect();
        for complaint in now.difference(&self.unreadable) {
            warn_unreadable(complaint);
            ground.counters.source_unreadable_total.inc();
        }
        self.unreadable = now;
    }
}
