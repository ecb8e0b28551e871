//! Completeness: up to which time is an answer complete, and whose records may be missing?
//!
//! The input is one [`PipelineState`] for each pipeline that ships into what was asked. Where it comes from is not decided
//! here: [`local_state`] reads it from the folder of state on this machine, `accounted` from accounts in the sink.
//!
//! An answer is complete through the earliest time at which a pipeline was last known to have delivered everything, and not
//! later than now. A record that its model server has not written yet is nobody's gap.

use std::io;
use std::path::Path;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::source::files::waiting::{Waiting, WaitingFile};
use crate::state::checkpoint::{self, FileEntry};
use crate::state::folder::{checkpoint_file, dead_letter_folder, lock_file};
use crate::text::chain::chain;
use crate::text::harmless::harmless;
use crate::text::time::{self, Reading};
use crate::text::units::{counted, format_bytes};

/// A pipeline that gives account once a minute is silent after this long without one.
const SILENT_AFTER: TimeDelta = TimeDelta::minutes(3);

/// What is known of one pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PipelineState {
    /// Its name.
    pub name: String,
    /// Whether it runs now; `None` where that cannot be known, as on another machine.
    pub is_running: Option<bool>,
    /// When it last gave account of itself; `None` if it never did.
    pub last_account: Option<DateTime<Utc>>,
    /// Bytes that are in its files and not delivered.
    pub lag_bytes: u64,
    /// Since when the oldest of them have been waiting.
    pub oldest_waiting: Option<DateTime<Utc>>,
    /// Records in the range that went to the dead letter.
    pub dead_letters: u64,
    /// What could not be looked at; nothing is known to be complete then.
    pub unknown: Vec<String>,
}

/// How complete an answer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completeness {
    /// Nothing up to here is missing, as far as is known; `None` if nothing is known.
    pub through: Option<DateTime<Utc>>,
    /// Why an answer for the range may lack something: each pipeline that lags, fell silent, or has dead letters in it.
    pub gaps: Vec<String>,
}

/// Whether an answer is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is known to be missing.
    Complete,
    /// Something may be missing, and it is known what.
    Incomplete,
    /// It is not known.
    Unknown,
}

impl Verdict {
    /// Its name, for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Complete => "complete",
            Verdict::Incomplete => "incomplete",
            Verdict::Unknown => "unknown",
        }
    }
}

impl Completeness {
    /// Judges an answer for records up to `until`, or up to now.
    pub fn of(states: &[PipelineState], until: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Completeness {
        let until = until.map_or(now, |until| until.min(now));
        if states.is_empty() {
            let gap = "nothing is known of the pipelines: no folder of state here is theirs".to_owned();
            return Completeness { through: None, gaps: vec![gap] };
        }
        let through = states.iter().map(|state| state.delivered_through(now)).min().flatten().map(|t| t.min(until));
        let gaps = states.iter().flat_map(|state| state.gaps(until, now)).collect();
        Completeness { through, gaps }
    }

    /// Takes the claim back, for a reason.
    pub fn withhold(&mut self, gap: String) {
        self.through = None;
        self.gaps.push(gap);
    }

    /// Whether nothing is known to be missing.
    pub fn is_complete(&self) -> bool {
        self.gaps.is_empty()
    }

    /// What is known of it.
    pub fn verdict(&self) -> Verdict {
        match (self.is_complete(), self.through) {
            (_, None) => Verdict::Unknown,
            (true, Some(_)) => Verdict::Complete,
            (false, Some(_)) => Verdict::Incomplete,
        }
    }

    /// For people: through which time it is complete, and below that why it may not be, a line each.
    pub fn words(&self) -> Vec<String> {
        let through = self.through.map_or("it is not known through which time this is complete".to_owned(), |time| {
            format!("complete through {}", text(time))
        });
        std::iter::once(through).chain(self.gaps.iter().map(|gap| harmless(gap).into_owned())).collect()
    }

    /// For the manifest.
    pub fn json(&self) -> Value {
        json!({"complete": self.is_complete(), "through": self.through.map(text), "gaps": self.gaps})
    }
}

impl PipelineState {
    /// Up to when it has delivered everything; `None` if that is not known.
    fn delivered_through(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if !self.unknown.is_empty() {
            return None;
        }
        match (self.lag_bytes, self.is_running) {
            (0, Some(true)) => Some(now),
            (0, _) => self.last_account,
            _ => self.oldest_waiting,
        }
    }

    fn gaps(&self, until: DateTime<Utc>, now: DateTime<Utc>) -> Vec<String> {
        let name = &self.name;
        let mut gaps: Vec<String> = self.unknown.iter().map(|what| format!("pipeline `{name}`: {what}")).collect();
        if self.lag_bytes > 0 && self.oldest_waiting.is_none_or(|waiting| waiting < until) {
            let since = self.oldest_waiting.map_or("a time that is not known".to_owned(), text);
            let bytes = format_bytes(self.lag_bytes);
            gaps.push(format!("pipeline `{name}` lags: {bytes} of its files are not delivered, since {since}"));
        }
        if self.is_running != Some(true) && self.delivered_through(now).is_none_or(|through| through < until) {
            let last = self.last_account.map_or("it has not said yet what it delivered".to_owned(), |last| {
                format!("last heard of {}", text(last))
            });
            let is_silent = self.last_account.is_none_or(|last| now - last > SILENT_AFTER);
            let how = match self.is_running {
                Some(_) => "does not run",
                None if is_silent => "fell silent",
                None => "is known by its accounts alone",
            };
            gaps.push(format!("pipeline `{name}` {how}: {last}"));
        }
        if self.dead_letters > 0 {
            let letters = counted(self.dead_letters, "dead letter");
            gaps.push(format!("pipeline `{name}` has {letters} in this range: see `inferlog dead-letter list`"));
        }
        gaps
    }
}

fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// What the folder of state of a pipeline says; `None` if there is none. Locks nothing and changes nothing. With the globs
/// of the pipeline file, those that are read and those that are left out, files that were never met are known too.
pub fn local_state(
    folder: &Path,
    name: &str,
    globs: Option<(&[String], &[String])>,
    from_ms: Option<i64>,
    until_ms: Option<i64>,
) -> Option<PipelineState> {
    let path = checkpoint_file(folder);
    let mut state = PipelineState { name: name.to_owned(), ..PipelineState::default() };
    let entries = match checkpoint::read(&path) {
        Ok(Some(checkpoint)) => checkpoint.files,
        Ok(None) if is_absent(&lock_file(folder)) => return None,
        Ok(None) => Vec::new(),
        Err(error) => {
            state.unknown.push(chain(&error));
            Vec::new()
        }
    };
    // Before the files: what is written from now on is nobody's gap.
    state.is_running = is_locked(&lock_file(folder));
    state.last_account =
        std::fs::metadata(&path).and_then(|metadata| metadata.modified()).ok().map(DateTime::<Utc>::from);
    state.note_lag(&entries, globs);
    match dead_letters(&dead_letter_folder(folder), from_ms, until_ms) {
        Ok(count) => state.dead_letters = count,
        Err(error) => state.unknown.push(format!("its dead letter cannot be read: {error}")),
    }
    Some(state)
}

/// Whether nothing of that name exists; where that cannot be told, there may be something.
fn is_absent(path: &Path) -> bool {
    std::fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

impl PipelineState {
    /// Takes note of what is in the files behind what was delivered.
    fn note_lag(&mut self, entries: &[FileEntry], globs: Option<(&[String], &[String])>) {
        let lagging: Vec<(u64, DateTime<Utc>)> = match globs {
            None => entries.iter().map(|entry| (undelivered_bytes(entry), entry.updated)).collect(),
            Some((paths, exclude)) => match Waiting::look(paths, exclude, entries) {
                Err(error) => return self.unknown.push(error.to_string()),
                Ok(waiting) => {
                    let cannot = |it: &crate::source::files::discover::Unreadable| {
                        format!("cannot look at `{}`: {}", it.path.display(), it.reason)
                    };
                    self.unknown.extend(waiting.unreadable.iter().map(cannot));
                    // What is in a file that was never met may be as old as it likes.
                    let since = |file: &WaitingFile| file.entry.map_or(DateTime::UNIX_EPOCH, |n| entries[n].updated);
                    waiting.files.iter().map(|file| (file.bytes(), since(file))).collect()
                }
            },
        };
        let lagging: Vec<(u64, DateTime<Utc>)> = lagging.into_iter().filter(|(bytes, _)| *bytes > 0).collect();
        self.lag_bytes = lagging.iter().map(|(bytes, _)| bytes).sum();
        self.oldest_waiting = lagging.iter().map(|(_, since)| *since).min();
    }
}

/// What is in a file behind what was delivered: by the file itself where it still stands under its name.
fn undelivered_bytes(entry: &FileEntry) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let there = std::fs::metadata(&entry.path).ok().filter(|metadata| metadata.ino() == entry.inode);
    let known = if entry.finished { 0 } else { entry.undelivered_bytes() };
    match there {
        Some(metadata) if entry.compressed_bytes.is_none() => {
            known.max(metadata.len().saturating_sub(entry.committed.offset_bytes))
        }
        _ => known,
    }
}

/// Whether a process holds the lock, by the kernel's table of locks: taking it to find out would be in the way of a start.
/// `None` where there is no such table.
fn is_locked(lock: &Path) -> Option<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(metadata) = std::fs::metadata(lock) else { return Some(false) };
    let table = std::fs::read_to_string("/proc/locks").ok()?;
    let inode = metadata.ino().to_string();
    // 1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF
    Some(table.lines().any(|line| {
        line.split_whitespace().any(|word| word.rsplit(':').next() == Some(&inode) && word.matches(':').count() == 2)
    }))
}

/// How many entries of the dead letter are of the range: by the time of their document, or else by their own.
fn dead_letters(folder: &Path, from_ms: Option<i64>, until_ms: Option<i64>) -> io::Result<u64> {
    let files = match fs_err::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        files => files?,
    };
    let is_in_range = |line: &str| {
        let Some(time_ms) = time_of_entry(line) else { return true };
        from_ms.is_none_or(|from_ms| time_ms >= from_ms) && until_ms.is_none_or(|until_ms| time_ms < until_ms)
    };
    let mut count = 0;
    for file in files {
        let path = file?.path();
        if path.extension().is_some_and(|end| end == "ndjson") {
            count += count_lines(&path, is_in_range)?;
        }
    }
    Ok(count)
}

fn count_lines(path: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<u64> {
    use std::io::{BufRead as _, BufReader};
    let file = match fs_err::File::open(path) {
        // Dropped, or replayed to its end, meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        file => file?,
    };
    let mut count = 0;
    for line in BufReader::new(file).lines() {
        let line = line?;
        count += u64::from(line.starts_with('{') && wanted(&line));
    }
    Ok(count)
}

fn time_of_entry(line: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Entry {
        time: Option<String>,
        document: Option<Document>,
    }
    #[derive(Deserialize)]
    struct Document {
        #[serde(rename = "@timestamp")]
        timestamp: Option<String>,
    }
    let entry: Entry = serde_json::from_str(line).ok()?;
    let time = entry.document.and_then(|document| document.timestamp).or(entry.time)?;
    let time = time::parse(Reading::Text(&time), None).ok()?;
    Some(time.seconds * 1000 + i64::from(time.nanoseconds / 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-11-24T{text}Z").parse().unwrap()
    }

    #[test]
    fn who_lags_is_silent_or_has_dead_letters_is_named() {
        let well = || PipelineState {
            name: "p".to_owned(),
            is_running: Some(true),
            last_account: Some(at("09:00:00")),
            ..PipelineState::default()
        };
        let lagging = || PipelineState { lag_bytes: 4096, oldest_waiting: Some(at("08:30:00")), ..well() };
        let silent = || PipelineState { is_running: Some(false), ..well() };
        type Case = (Vec<PipelineState>, &'static str, Option<&'static str>, &'static [&'static str]);
        let cases: [Case; 8] = [
            (vec![well()], "10:00:00", Some("10:00:00"), &[]),
            (vec![well()], "23:00:00", Some("12:00:00"), &[]),
            (vec![lagging()], "10:00:00", Some("08:30:00"), &["lags: 4KiB"]),
            (vec![lagging()], "08:00:00", Some("08:00:00"), &[]),
            (
                vec![well(), silent()],
                "10:00:00",
                Some("09:00:00"),
                &["does not run: last heard of 2026-11-24T09:00:00Z"],
            ),
            (vec![silent()], "08:59:00", Some("08:59:00"), &[]),
            (vec![PipelineState { dead_letters: 3, ..well() }], "10:00:00", Some("10:00:00"), &["3 dead letters"]),
            (vec![], "10:00:00", None, &["nothing is known"]),
        ];
        for (states, until, through, gaps) in cases {
            let found = Completeness::of(&states, Some(at(until)), at("12:00:00"));
            assert_eq!(found.through, through.map(at), "{states:?}");
            assert_eq!(found.gaps.len(), gaps.len(), "{found:?}");
            assert!(found.gaps.iter().zip(gaps).all(|(gap, words)| gap.contains(words)), "{found:?}");
        }
        let never = PipelineState { is_running: Some(false), last_account: None, ..well() };
        let found = Completeness::of(&[well(), never], None, at("12:00:00"));
        assert_eq!((found.through, found.gaps.len()), (None, 1));
    }

    #[test]
    fn a_folder_of_state_says_what_is_not_delivered() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(local_state(folder.path(), "p", None, None, None), None);
        std::fs::create_dir(folder.path().join("dead_letter")).unwrap();
        let entries = "{\"time\":\"2026-11-23T10:00:00Z\",\"document\":{\"@timestamp\":\"2026-11-20T10:00:00Z\"}}\n\
                       {\"time\":\"2026-11-23T10:00:00Z\",\"raw\":\"x\"}\n";
        std::fs::write(folder.path().join("dead_letter/2026-11-23.ndjson"), entries).unwrap();
        let log = folder.path().join("a.ndjson");
        std::fs::write(&log, "x".repeat(100)).unwrap();
        use std::os::unix::fs::MetadataExt as _;
        let inode = std::fs::metadata(&log).unwrap().ino();
        let checkpoint = json!({"version": 1, "files": [{
            "path": log, "inode": inode, "device": 1, "generation": 0, "head": {"length_bytes": 0, "sha256": ""},
            "committed": {"offset_bytes": 60, "tail": {"length_bytes": 0, "sha256": ""}}, "observed_offset_bytes": 60,
            "size_bytes": 60, "finished": false, "updated": "2026-11-23T10:00:00Z"}]});
        std::fs::write(folder.path().join("checkpoint.json"), checkpoint.to_string()).unwrap();
        let lock = std::fs::File::create(folder.path().join("lock")).unwrap();
        let day = |day: i64| Some(1_795_392_000_000 + (day - 23) * 86_400_000);
        let state = local_state(folder.path(), "p", None, day(23), day(24)).unwrap();
        assert_eq!((state.is_running, state.lag_bytes, state.dead_letters), (Some(false), 40, 1));
        assert_eq!(state.oldest_waiting, Some("2026-11-23T10:00:00Z".parse().unwrap()));
        assert_eq!(local_state(folder.path(), "p", None, None, None).unwrap().dead_letters, 2);
        lock.try_lock().unwrap();
        assert_eq!(local_state(folder.path(), "p", None, None, None).unwrap().is_running, Some(true));
    }
    #[test]
    fn what_cannot_be_read_is_no_all_clear() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::File::create(folder.path().join("lock")).unwrap();
        let unknown = || local_state(folder.path(), "p", None, None, None).unwrap();
        assert!(unknown().unknown.is_empty(), "locked, and nothing is delivered yet");
        std::fs::write(folder.path().join("checkpoint.json"), "{\"version\":1,\"files\":[").unwrap();
        let damaged = unknown();
        assert_eq!(damaged.unknown.len(), 1, "{damaged:?}");
        let found = Completeness::of(&[damaged], None, at("12:00:00"));
        assert!(found.through.is_none() && !found.is_complete(), "{found:?}");
        std::fs::write(folder.path().join("checkpoint.json"), "{\"version\":1,\"files\":[]}").unwrap();
        // As a user who may not look would see it: it is there, and cannot be listed.
        std::fs::write(folder.path().join("dead_letter"), "no folder").unwrap();
        assert!(unknown().unknown[0].contains("dead letter cannot be read"));
    }

    #[test]
    fn a_file_that_was_never_met_lags() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::File::create(folder.path().join("lock")).unwrap();
        std::fs::write(folder.path().join("a.log"), "{\"n\":1}\n").unwrap();
        let paths = [format!("{}/*.log", folder.path().display())];
        let state = local_state(folder.path(), "p", Some((&paths, &[])), None, None).unwrap();
        assert_eq!((state.lag_bytes, state.oldest_waiting), (8, Some(DateTime::UNIX_EPOCH)));
        assert_eq!(local_state(folder.path(), "p", Some((&paths, &paths)), None, None).unwrap().lag_bytes, 0);
    }
}
