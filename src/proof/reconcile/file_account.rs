//! File accounts: what do the accounts say of each file, and does it agree with what is held?

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};

use crate::flow::batch::Id;
use crate::flow::tally::{IdSum, Tally};
use crate::proof::accounts::{Account, Range, UnlistedLines};

/// A range that an account tells of, with the folder of state and the configuration that it is of.
#[derive(Clone, Debug)]
pub(super) struct AccountRange {
    pub(super) state: String,
    pub(super) config: String,
    pub(super) range: Range,
    /// When its lines had been read at the latest, where that is known.
    pub(super) read_by: Option<DateTime<Utc>>,
}

/// What the accounts tell of each file, in the order of its bytes, and what they tell of no file in particular; an account
/// that is told twice counts once.
pub(super) fn ranges_by_file(accounts: Vec<Account>) -> (BTreeMap<String, Vec<AccountRange>>, UnlistedLines) {
    let mut seen = HashSet::new();
    let mut ranges_by_file: BTreeMap<String, Vec<AccountRange>> = BTreeMap::new();
    let mut not_by_file = UnlistedLines::default();
    for Account { kind, state, sequence, config, files, unlisted, time, .. } in accounts {
        // Configurations have no number, and tell of no lines.
        if files.is_empty() && unlisted.is_nothing() || !seen.insert((state.clone(), sequence)) {
            continue;
        }
        not_by_file.join(&unlisted);
        // What is in no account yet has no time.
        let read_by = Some(time).filter(|_| !kind.is_empty());
        for range in files {
            let told = AccountRange { state: state.clone(), config: config.clone(), range, read_by };
            ranges_by_file.entry(told.range.key().to_string()).or_default().push(told);
        }
    }
    ranges_by_file.values_mut().for_each(|told| told.sort_by_key(|told| told.range.from_bytes));
    (ranges_by_file, not_by_file)
}

/// How many ids, and their sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum(pub(super) u64, pub(super) IdSum);

impl Sum {
    pub(super) fn with(mut self, id: &Id) -> Sum {
        self.0 += 1;
        self.1.add(id);
        self
    }
}

/// How far the pipeline file as it is now says what was decided on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// The same was decided.
    Today,
    /// Another file was in force, or the line may have had another path that conditions ask for: the account of the time
    /// tells.
    Then,
    /// Conditions ask for the path that the line had, and no account tells of it.
    Untold,
}

/// Whether conditions ask for the path of the log file, which changes when the file is renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathMatters {
    Yes,
    No,
}

/// A record that is found nowhere, in a range that another configuration decided on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nowhere {
    pub(super) offset_bytes: u64,
    pub(super) ordinal: u32,
    pub(super) id: Id,
    /// Today's file would keep it.
    pub(super) is_kept_today: bool,
}

/// What became of such a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// A rule of then dropped it.
    Dropped,
    /// It was kept, and is not there any more.
    Missing,
    /// The account of then does not tell.
    Undecidable,
}

/// A range that another configuration decided on.
#[derive(Debug)]
struct Old<'t> {
    range: &'t Range,
    /// What was found of it.
    found: Sum,
    /// Those of what was found that share their lines with other records.
    found_beside: HashSet<Id>,
    /// By the starts of the lines, and which records of these they are.
    nowhere: BTreeMap<(u64, u32), Nowhere>,
}

/// What the accounts of the time say of the lines of a file that is there.
#[derive(Debug)]
pub(super) struct FileAccount<'t> {
    told: &'t [AccountRange],
    path_matters: PathMatters,
    /// Ranges of which today's configuration does not say what was decided.
    old: Vec<Old<'t>>,
    /// Lines that today's decided on, and that are found nowhere.
    pub(super) missing: Vec<(u64, Id)>,
}

impl<'t> FileAccount<'t> {
    pub(super) fn new(told: Option<&'t Vec<AccountRange>>, config: &str, path_matters: PathMatters) -> FileAccount<'t> {
        let told = told.map_or(&[][..], Vec::as_slice);
        let old = told.iter().filter(|told| path_matters == PathMatters::Yes || told.config != config);
        let old = old.map(|told| Old {
            range: &told.range,
            found: Sum::default(),
            found_beside: HashSet::new(),
            nowhere: BTreeMap::new(),
        });
        FileAccount { told, path_matters, old: old.collect(), missing: Vec::new() }
    }

    fn old_at(&self, offset_bytes: u64) -> Option<usize> {
        let place = self.old.partition_point(|old| old.range.from_bytes <= offset_bytes).checked_sub(1)?;
        (offset_bytes < self.old[place].range.to_bytes).then_some(place)
    }

    /// What says what was decided on a line.
    pub(super) fn decision(&self, offset_bytes: u64) -> Decision {
        match self.path_matters {
            _ if self.old_at(offset_bytes).is_some() => Decision::Then,
            PathMatters::Yes => Decision::Untold,
            PathMatters::No => Decision::Today,
        }
    }

    /// Where an account tells of the line.
    fn told_at(&self, offset_bytes: u64) -> Option<&AccountRange> {
        let place = self.told.partition_point(|told| told.range.from_bytes <= offset_bytes).checked_sub(1)?;
        Some(&self.told[place]).filter(|told| offset_bytes < told.range.to_bytes)
    }

    pub(super) fn is_told(&self, offset_bytes: u64) -> bool {
        self.told_at(offset_bytes).is_some()
    }

    /// When the line had been read at the latest.
    pub(super) fn read_by(&self, offset_bytes: u64) -> Option<DateTime<Utc>> {
        self.told_at(offset_bytes)?.read_by
    }

    pub(super) fn found(&mut self, offset_bytes: u64, id: &Id, is_one_of_several: bool) {
        if let Some(place) = self.old_at(offset_bytes) {
            let old = &mut self.old[place];
            old.found = old.found.with(id);
            old.found_beside.extend(is_one_of_several.then_some(*id));
        }
    }

    pub(super) fn nowhere(&mut self, line: Nowhere) {
        if let Some(place) = self.old_at(line.offset_bytes) {
            self.old[place].nowhere.insert((line.offset_bytes, line.ordinal), line);
        }
    }

    /// Whether lines of old ranges are found nowhere.
    pub(super) fn has_nowhere(&self) -> bool {
        self.old.iter().any(|old| !old.nowhere.is_empty())
    }

    /// Takes note of a document that claims a place, whatever its id: what another configuration gave the line. Returns
    /// whether a record of that line was nowhere. One that shares its line with others has been found already under its id.
    pub(super) fn found_at(&mut self, offset_bytes: u64, id: &Id) -> bool {
        let Some(place) = self.old_at(offset_bytes) else { return false };
        let Old { found, found_beside, nowhere, .. } = &mut self.old[place];
        let first = nowhere.range((offset_bytes, 0)..=(offset_bytes, u32::MAX)).next().map(|(place, _)| *place);
        let Some(first) = first.filter(|_| !found_beside.contains(id)) else { return false };
        nowhere.remove(&first);
        *found = found.with(id);
        true
    }

    /// What became of the lines of old ranges that are nowhere.
    pub(super) fn losses(&mut self) -> Vec<(Nowhere, Loss)> {
        let losses = self.old.iter_mut().flat_map(|old| {
            let kept = Sum(old.range.tally.kept, old.range.tally.ids);
            let nowhere: Vec<Nowhere> = std::mem::take(&mut old.nowhere).into_values().collect();
            let losses = losses_of(kept, old.found, &nowhere);
            nowhere.into_iter().zip(losses).collect::<Vec<_>>()
        });
        losses.collect()
    }
}

/// What became of the lines of a range that are nowhere: number and sum of the ids that were kept say it, where the
/// lines that were dropped then are all, none or one of them, all but one, or those that are dropped today.
fn losses_of(kept: Sum, found: Sum, nowhere: &[Nowhere]) -> Vec<Loss> {
    let with = |lines: &mut dyn Iterator<Item = &Nowhere>| lines.fold(found, |sum, line| sum.with(&line.id));
    let everything = with(&mut nowhere.iter());
    let each = |is_missing: &dyn Fn(&Nowhere) -> bool| {
        let loss = |line| if is_missing(line) { Loss::Missing } else { Loss::Dropped };
        nowhere.iter().map(loss).collect()
    };
    if found == kept {
        each(&|_| false)
    } else if everything == kept {
        each(&|_| true)
    } else if with(&mut nowhere.iter().filter(|line| line.is_kept_today)) == kept {
        each(&|line| line.is_kept_today)
    } else if let Some(missing) = nowhere.iter().find(|line| found.with(&line.id) == kept) {
        each(&|line| line.id == missing.id)
    } else if let Some(dropped) = nowhere.iter().find(|line| kept.with(&line.id) == everything) {
        each(&|line| line.id != dropped.id)
    } else {
        vec![Loss::Undecidable; nowhere.len()]
    }
}

/// What the accounts expect of a file. A folder of state that was lost begins its accounts anew, and tells again of the
/// same lines, or of another file with the same inode: so each folder by itself and all together are held against what
/// is found, and the first that agrees is taken; else the one that tells of most.
pub(super) fn expected_of(told: &[AccountRange], found: u64, sum: IdSum) -> Tally {
    let mut by_state: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut all = Tally::default();
    for AccountRange { state, range, .. } in told {
        by_state.entry(state).or_default().join(&range.tally);
        all.join(&range.tally);
    }
    let agrees = |tally: &&Tally| (tally.kept, tally.ids) == (found, sum);
    let largest = by_state.values().max_by_key(|tally| tally.kept);
    by_state.values().chain([&all]).find(agrees).or(largest).cloned().unwrap_or_default()
}

pub(super) fn span(told: &[AccountRange]) -> (u64, u64) {
    let from = told.iter().map(|told| told.range.from_bytes).min();
    let to = told.iter().map(|told| told.range.to_bytes).max();
    (from.unwrap_or_default(), to.unwrap_or_default())
}

/// Whether the ranges leave something out.
pub(super) fn has_gaps(told: &[AccountRange]) -> bool {
    let mut reached = told.first().map_or(0, |told| told.range.from_bytes);
    told.iter().any(|told| {
        let gap = told.range.from_bytes > reached;
        reached = reached.max(told.range.to_bytes);
        gap
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::batch::ID_CHARACTERS;

    /// Lines are letters; those in capitals would be dropped today.
    fn check(kept: &str, found: &str, nowhere: &str, expected: &str) {
        let id = |letter: char| Id([letter.to_ascii_lowercase() as u8; ID_CHARACTERS]);
        let sum = |letters: &str| letters.chars().fold(Sum::default(), |sum, letter| sum.with(&id(letter)));
        let line = |(place, letter): (usize, char)| Nowhere {
            offset_bytes: place as u64,
            ordinal: 0,
            id: id(letter),
            is_kept_today: letter.is_lowercase(),
        };
        let lines: Vec<Nowhere> = nowhere.chars().enumerate().map(line).collect();
        let letter = |loss: &Loss| match loss {
            Loss::Dropped => 'd',
            Loss::Missing => 'm',
            Loss::Undecidable => '?',
        };
        let losses: String = losses_of(sum(kept), sum(found), &lines).iter().map(letter).collect();
        assert_eq!(losses, expected, "kept {kept}, found {found}, nowhere {nowhere}");
    }

    #[test]
    fn an_account_of_the_time_tells_what_was_lost_whatever_the_file_says_today() {
        check("abc", "abc", "xyz", "ddd");
        check("abcxyz", "abc", "xyz", "mmm");
        check("abcxyz", "abc", "XYZ", "mmm");
        check("abcxz", "abc", "xYz", "mdm");
        check("abcY", "abc", "xYz", "dmd");
        check("abcxyw", "abc", "xyzw", "mmdm");
        check("abcxy", "abc", "xyzw", "????");
        check("abq", "abc", "xy", "??");
    }
}
