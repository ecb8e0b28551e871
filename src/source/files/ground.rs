//! The ground: what is given when files are looked at, and stays as it is while they are.

use std::path::Path;

use super::discover::Discovery;
use super::options::{Options, Waits};
use super::roster::Roster;
use crate::telemetry::Counters;

/// The limit of all salvage files of a pipeline, in bytes that are not delivered.
const SALVAGE_BYTES_MAX: u64 = 1 << 30;

#[derive(Debug)]
pub(super) struct Ground {
    pub(super) options: Options,
    pub(super) discovery: Discovery,
    pub(super) counters: Counters,
    pub(super) waits: Waits,
    /// How many files the system allows to be open, whatever [`Options`] say.
    pub(super) open_files_allowed: usize,
    /// The limit of all salvage files together, in bytes that are not delivered.
    pub(super) salvage_bytes_max: u64,
}

impl Ground {
    pub(super) fn new(options: Options, discovery: Discovery, counters: Counters, open_files_allowed: usize) -> Ground {
        let (waits, salvage_bytes_max) = (Waits::default(), SALVAGE_BYTES_MAX);
        Ground { options, discovery, counters, waits, open_files_allowed, salvage_bytes_max }
    }

    /// The folder of all state: that of salvage is in the pipeline's folder there.
    pub(super) fn data_dir(&self) -> Option<&Path> {
        self.options.salvage.as_deref()?.parent()?.parent()
    }

    /// How many more files may be opened. Those that are renamed out of the globs or deleted have no place of their own: they
    /// cannot be closed and found again.
    pub(super) fn free_places(&self, roster: &Roster) -> usize {
        let there = roster.len().saturating_sub(roster.gone());
        let places = self.options.open_files_max.saturating_sub(there);
        places.min(self.open_files_allowed.saturating_sub(roster.len()))
    }
}
