//! Told: what do the accounts say of each file, and does it agree with what is held?

use std::collections::{BTreeMap, HashSet};

use super::report::Row;
use crate::flow::batch::Id;
use crate::flow::tally::{IdSum, Tally};
use crate::proof::accounts::{Account, Range};

/// A range that an account tells of, with the folder of state and the configuration that it is of.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) state: String,
    pub(super) config: String,
    pub(super) range: Range,
}

/// What the accounts tell of each file, in the order of its bytes; an account that is told twice counts once.
pub(super) fn told_by(accounts: Vec<Account>) -> BTreeMap<String, Vec<Told>> {
    let mut seen = HashSet::new();
    let mut told_by: BTreeMap<String, Vec<Told>> = BTreeMap::new();
    for Account { state, sequence, config, files, .. } in accounts {
        // Configurations have no number, and no files.
        if files.is_empty() || !seen.insert((state.clone(), sequence)) {
            continue;
        }
        for range in files {
            let told = Told { state: state.clone(), config: config.clone(), range };
            told_by.entry(format!("{}-{}", told.range.inode, told.range.generation)).or_default().push(told);
        }
    }
    told_by.values_mut().for_each(|told| told.sort_by_key(|told| told.range.from_bytes));
    told_by
}

/// Which lines of a file were decided on by today's configuration, and what was found of the others.
pub(super) struct Decided<'t> {
    /// Ranges that another configuration decided on, with what was found of them.
    old: Vec<(&'t Range, u64, IdSum)>,
    pub(super) missing: Vec<(u64, Id)>,
}

impl<'t> Decided<'t> {
    pub(super) fn new(told: Option<&'t Vec<Told>>, config: &str) -> Decided<'t> {
        let old = told.into_iter().flatten().filter(|told| told.config != config);
        Decided { old: old.map(|told| (&told.range, 0, IdSum::default())).collect(), missing: Vec::new() }
    }

    fn range_of(&self, offset_bytes: u64) -> Option<usize> {
        let place = self.old.partition_point(|(range, ..)| range.from_bytes <= offset_bytes).checked_sub(1)?;
        (offset_bytes < self.old[place].0.to_bytes).then_some(place)
    }

    pub(super) fn is_old(&self, offset_bytes: u64) -> bool {
        !self.old.is_empty() && self.range_of(offset_bytes).is_some()
    }

    pub(super) fn found(&mut self, offset_bytes: u64, id: &Id) {
        if let Some(place) = self.range_of(offset_bytes) {
            let (_, count, sum) = &mut self.old[place];
            *count += 1;
            sum.add(id);
        }
    }

    /// Those of the lines that are nowhere of which no account says that they were dropped; the others are counted.
    pub(super) fn undecidable(&self, nowhere: Vec<u64>, row: &mut Row) -> Vec<u64> {
        let is_proven =
            |(range, count, sum): &(&Range, u64, IdSum)| (range.tally.kept, range.tally.ids) == (*count, *sum);
        let (dropped, undecidable): (Vec<u64>, Vec<u64>) = nowhere
            .into_iter()
            .partition(|offset_bytes| self.range_of(*offset_bytes).is_some_and(|place| is_proven(&self.old[place])));
        row.dropped += dropped.len() as u64;
        undecidable
    }
}

/// What the accounts expect of a file. A folder of state that was lost begins its accounts anew, and tells again of the
/// same lines, or of another file with the same inode: so each folder by itself and all together are held against what
/// is found, and the first that agrees is taken; else the one that tells of most.
pub(super) fn expected_of(told: &[Told], found: u64, sum: IdSum) -> Tally {
    let mut by_state: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut all = Tally::default();
    for Told { state, range, .. } in told {
        by_state.entry(state).or_default().join(&range.tally);
        all.join(&range.tally);
    }
    let agrees = |tally: &&Tally| (tally.kept, tally.ids) == (found, sum);
    let largest = by_state.values().max_by_key(|tally| tally.kept);
    by_state.values().chain([&all]).find(agrees).or(largest).cloned().unwrap_or_default()
}

pub(super) fn span(told: &[Told]) -> (u64, u64) {
    let from = told.iter().map(|told| told.range.from_bytes).min();
    let to = told.iter().map(|told| told.range.to_bytes).max();
    (from.unwrap_or_default(), to.unwrap_or_default())
}

/// Whether the ranges leave something out.
pub(super) fn has_gaps(told: &[Told]) -> bool {
    let mut reached = told.first().map_or(0, |told| told.range.from_bytes);
    told.iter().any(|told| {
        let gap = told.range.from_bytes > reached;
        reached = reached.max(told.range.to_bytes);
        gap
    })
}
