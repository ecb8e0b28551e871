//! Random histories: whatever happens to files between two looks, each whole line that is still there comes out once;
//! after a crash it comes out again only beyond what was committed, and with the same origin, so that it gets the same id.
//!
//! The oracle keeps the whole content of what was consumed and committed where the source keeps digests, and asks of
//! nothing but prefixes. Every line written is unique. `HISTORIES_SEED=n` replays one
//! history, `HISTORIES=n` runs more of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;

use super::scripts::append;
use super::*;

/// How many histories are run by default.
const HISTORIES: u64 = 10_000;
const STEPS: usize = 40;
const NAMES: [&str; 6] = ["a.log", "b.log", "c.log", "a.log.1", "a.old", "b.old"];
/// How many of the names are made anew; the others come about by renaming.
const WRITTEN_NAMES: usize = 3;

/// What is known of a file that is open.
#[derive(Clone, Debug, Default)]
struct Known {
    consumed: Vec<u8>,
    committed: Vec<u8>,
}

/// What the checkpoint has to know of a file.
#[derive(Clone, Debug)]
struct Entry {
    inode: u64,
    committed: Vec<u8>,
    finished: bool,
}

#[derive(Debug)]
struct PendingMark {
    inode: u64,
    /// The content up to the mark, or `None` when that content was replaced since.
    prefix: Option<Vec<u8>>,
}

struct History {
    bench: Bench,
    random: fastrand::Rng,
    next_line: u32,
    /// What was written: inode and content of each name. Asking the disk would take most of the time.
    disk: BTreeMap<&'static str, (u64, Vec<u8>)>,
    open: BTreeMap<u64, Known>,
    /// Content of files that have no name any more, but are open.
    deleted: BTreeMap<u64, Vec<u8>>,
    remembered: Vec<Entry>,
    saved: (Vec<FileEntry>, Vec<Entry>),
    pending: Vec<PendingMark>,
    /// Where each line came from that was given out since its file's content began.
    origins: BTreeMap<(u64, String), Seen>,
    first_look_done: bool,
    /// Files that lost their name while they were closed: what is not delivered of them is gone.
    gone_while_closed: BTreeSet<u64>,
    log: Vec<String>,
}

impl History {
    /// Begins anew in the bench of the history before: making one takes longer than a history does.
    fn new(seed: u64, open_files_max: usize, mut bench: Bench) -> History {
        bench.options.open_files_max = open_files_max;
        bench.restart(&[]);
        bench.seen.clear();
        NAMES.iter().for_each(|name| drop(fs_err::remove_file(bench.path(name))));
        History {
            bench,
            random: fastrand::Rng::with_seed(seed),
            next_line: 0,
            disk: BTreeMap::new(),
            open: BTreeMap::new(),
            deleted: BTreeMap::new(),
            remembered: Vec::new(),
            saved: (Vec::new(), Vec::new()),
            pending: Vec::new(),
            origins: BTreeMap::new(),
            first_look_done: false,
            gone_while_closed: BTreeSet::new(),
            log: Vec::new(),
        }
    }

    fn step(&mut self) {
        let name = NAMES[self.random.usize(..NAMES.len())];
        let before = self.disk.get(name).map(|(inode, content)| (*inode, content.len()));
        let what = match self.random.u32(..100) {
            0..30 => self.append(name),
            30..40 => self.rename(name),
            40..44 => self.cut(name),
            44..48 => self.remove(name),
            48..49 => self.leave_gap(name),
            49..50 => self.fill_gap(name),
            50..55 => {
                let marks = self.pending_to_commit();
                self.bench.commit(marks);
                "commit".to_owned()
            }
            55..65 => {
                self.save();
                "save".to_owned()
            }
            65..72 => {
                self.restart();
                "restart".to_owned()
            }
            72..75 => {
                self.settle();
                "settle".to_owned()
            }
            _ => {
                self.look();
                "look".to_owned()
            }
        };
        self.log.push(format!("{name} ({before:?}): {what}"));
    }

    fn append(&mut self, name: &'static str) -> String {
        if !self.disk.contains_key(name) && !NAMES[..WRITTEN_NAMES].contains(&name) {
            return "nothing".to_owned();
        }
        let mut text = String::new();
        for _ in 0..self.random.u32(1..4) {
            self.next_line += 1;
            text += &format!("{} {}\n", self.next_line, "x".repeat(self.random.usize(..60)));
        }
        // Sometimes the last line is written in pieces. A file with half a line keeps its place, so not where those are few.
        if !self.has_few_places() && self.random.u32(..3) == 0 {
            text.truncate(self.random.usize(1..text.len()));
        }
        let path = self.bench.path(name);
        append(&path, text.as_bytes());
        let inode = || (fs_err::metadata(&path).unwrap().ino(), Vec::new());
        self.disk.entry(name).or_insert_with(inode).1.extend_from_slice(text.as_bytes());
        format!("append {text:?}")
    }

    /// Space is allocated ahead, or a later block is there before an earlier one. A file with a gap keeps its place, so not
    /// where those are few.
    fn leave_gap(&mut self, name: &'static str) -> String {
        if self.has_few_places() || !self.disk.contains_key(name) {
            return "nothing".to_owned();
        }
        self.next_line += 1;
        let behind = if self.random.bool() { format!("{{{}\n", self.next_line) } else { String::new() };
        let bytes = [&vec![0; self.random.usize(4..40)][..], behind.as_bytes()].concat();
        append(&self.bench.path(name), &bytes);
        self.disk.get_mut(name).unwrap().1.extend_from_slice(&bytes);
        format!("leave a gap of {} bytes with {behind:?} behind it", bytes.len() - behind.len())
    }

    /// The first gap is filled, with whole lines or a part of them.
    fn fill_gap(&mut self, name: &'static str) -> String {
        use std::os::unix::fs::FileExt as _;
        let path = self.bench.path(name);
        let Some((_, content)) = self.disk.get_mut(name) else { return "nothing".to_owned() };
        let start = text_end(content);
        let gap_bytes = content[start..].iter().take_while(|byte| **byte == 0).count();
        if gap_bytes == 0 {
            return "nothing".to_owned();
        }
        self.next_line += 1;
        let mut text = format!("{} {}\n", self.next_line, "y".repeat(gap_bytes)).into_bytes();
        text.drain(..text.len() - gap_bytes);
        if self.random.bool() {
            text.truncate(self.random.usize(1..=gap_bytes));
        }
        content[start..start + text.len()].copy_from_slice(&text);
        let file = fs_err::OpenOptions::new().write(true).open(path).unwrap();
        file.file().write_all_at(&text, start as u64).unwrap();
        format!("fill {} bytes of a gap", text.len())
    }

    fn rename(&mut self, name: &'static str) -> String {
        let to = NAMES[self.random.usize(..NAMES.len())];
        if to != name
            && let Some(moved) = self.disk.remove(name)
        {
            self.keep_content(to);
            self.disk.insert(to, moved);
            fs_err::rename(self.bench.path(name), self.bench.path(to)).unwrap();
        }
        format!("rename to {to}")
    }

    fn cut(&mut self, name: &'static str) -> String {
        let Some((_, content)) = self.disk.get_mut(name) else { return "nothing".to_owned() };
        let mut length = if self.random.bool() { 0 } else { self.random.usize(..=content.len()) };
        if self.bench.options.open_files_max < NAMES.len() {
            length = content[..length].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        }
        content.truncate(length);
        fs_err::OpenOptions::new().write(true).open(self.bench.path(name)).unwrap().set_len(length as u64).unwrap();
        format!("cut to {length}")
    }

    fn remove(&mut self, name: &'static str) -> String {
        self.keep_content(name);
        if self.disk.remove(name).is_some() {
            fs_err::remove_file(self.bench.path(name)).unwrap();
        }
        "remove".to_owned()
    }

    /// A file that loses its name goes on living while it is open.
    fn keep_content(&mut self, name: &str) {
        if let Some((inode, content)) = self.disk.get(name)
            && self.open.contains_key(inode)
        {
            self.deleted.insert(*inode, content.clone());
            if self.is_closed(*inode) {
                self.gone_while_closed.insert(*inode);
            }
        }
    }

    fn has_few_places(&self) -> bool {
        self.bench.options.open_files_max < NAMES.len()
    }

    fn is_closed(&self, inode: u64) -> bool {
        self.bench.files.register.closed.entries().any(|entry| entry.inode == inode)
    }

    /// Acknowledges a random prefix; returns how many marks.
    fn pending_to_commit(&mut self) -> usize {
        let count = self.random.usize(..=self.pending.len());
        self.commit_pending(count);
        count
    }

    fn commit_pending(&mut self, count: usize) {
        for mark in self.pending.drain(..count) {
            if let (Some(prefix), Some(known)) = (mark.prefix, self.open.get_mut(&mark.inode)) {
                known.committed = prefix;
            }
        }
    }

    fn save(&mut self) {
        let open = self.open.iter().map(|(inode, known)| Entry {
            inode: *inode,
            committed: known.committed.clone(),
            finished: false,
        });
        self.saved = (self.bench.saved_entries(), self.remembered.iter().cloned().chain(open).collect());
        self.bench.files.saved();
    }

    fn restart(&mut self) {
        let (entries, remembered) = self.saved.clone();
        self.bench.restart(&entries);
        self.remembered = remembered;
        self.open.clear();
        self.deleted.clear();
        self.pending.clear();
        self.gone_while_closed.clear();
        self.first_look_done = false;
    }

    /// Everything on disk: inode to name and content.
    fn on_disk(&self) -> BTreeMap<u64, (&'static str, Vec<u8>)> {
        self.disk.iter().map(|(name, (inode, content))| (*inode, (*name, content.clone()))).collect()
    }

    fn look(&mut self) {
        self.bench.seen.clear();
        let mut marks_before = self.bench.marks.len();
        self.bench.look();
        let mut delivered: Vec<(u64, usize)> = Vec::new();
        // Files wait for places: whoever has one is delivered.
        for round in 0.. {
            if self.bench.files.waiting_files() == 0 {
                break;
            }
            assert!(round < 100, "{} files wait for ever", self.bench.files.waiting_files());
            let new = self.bench.marks[marks_before..].iter();
            delivered.extend(new.map(|mark| {
                (self.bench.files.register.roster.get(mark.file).unwrap().id().inode, mark.offset_bytes as usize)
            }));
            self.commit_pending(self.pending.len());
            self.bench.commit_all();
            marks_before = 0;
            self.bench.look();
        }
        self.compare(marks_before);
        for (inode, offset) in delivered {
            let known = self.open.get_mut(&inode).unwrap();
            known.committed = known.consumed[..offset].to_vec();
        }
        // As the pipeline does, before what was read is sent.
        if self.bench.files.is_urgent() {
            self.save();
        }
    }

    /// What was not open when its last name went is remembered, if it is not the name of another file by now.
    fn take_leave(&mut self, on_disk: &BTreeMap<u64, (&'static str, Vec<u8>)>) {
        for inode in std::mem::take(&mut self.gone_while_closed) {
            if !on_disk.contains_key(&inode)
                && let Some(known) = self.open.remove(&inode)
            {
                self.deleted.remove(&inode);
                self.remembered.push(Entry { inode, committed: known.committed, finished: true });
            }
        }
    }

    fn compare(&mut self, marks_before: usize) {
        let on_disk = self.on_disk();
        self.take_leave(&on_disk);
        for (inode, (name, content)) in &on_disk {
            let in_globs = !name.ends_with(".old");
            if !self.open.contains_key(inode) {
                let missed =
                    |entry: &Entry| entry.inode == *inode && !entry.finished && content.starts_with(&entry.committed);
                if in_globs || (!self.first_look_done && self.remembered.iter().any(missed)) {
                    self.adopt(*inode, content);
                }
            }
        }
        if !std::mem::replace(&mut self.first_look_done, true) {
            // What is not found at the start is reported and given up, unless it comes back.
            self.remembered.iter_mut().for_each(|entry| entry.finished = true);
        }
        let mut expected: Vec<(u64, String)> = Vec::new();
        let mut replaced: Vec<u64> = Vec::new();
        for (inode, known) in &mut self.open {
            let content = match on_disk.get(inode) {
                Some((_, content)) => content.as_slice(),
                None => self.deleted.get(inode).map(Vec::as_slice).unwrap_or_default(),
            };
            if !content.starts_with(&known.consumed) {
                *known = Known::default();
                replaced.push(*inode);
            }
            let text = &content[..text_end(content)];
            let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            if whole > known.consumed.len() {
                let text = String::from_utf8(content[known.consumed.len()..whole].to_vec()).unwrap();
                expected.extend(text.lines().map(|line| (*inode, line.to_owned())));
                known.consumed = content[..whole].to_vec();
            }
        }
        for inode in replaced {
            self.forget_content(inode);
        }
        let mut seen: Vec<(u64, String)> =
            self.bench.seen.iter().map(|seen| (seen.file.inode, seen.text.clone())).collect();
        seen.sort_unstable();
        expected.sort_unstable();
        assert_eq!(seen, expected);
        self.compare_origins();
        self.note_marks(marks_before);
    }

    fn forget_content(&mut self, inode: u64) {
        self.origins.retain(|(of, _), _| *of != inode);
        for mark in self.pending.iter_mut().filter(|mark| mark.inode == inode) {
            mark.prefix = None;
        }
    }

    fn adopt(&mut self, inode: u64, content: &[u8]) {
        let fits = |entry: &&(usize, &Entry)| entry.1.inode == inode && content.starts_with(&entry.1.committed);
        let entries: Vec<(usize, &Entry)> = self.remembered.iter().enumerate().collect();
        let best = entries
            .iter()
            .filter(fits)
            .max_by_key(|(position, entry)| (!entry.committed.is_empty(), !entry.finished, *position));
        match best.map(|(position, _)| *position) {
            Some(position) => {
                let committed = self.remembered.remove(position).committed;
                self.open.insert(inode, Known { consumed: committed.clone(), committed });
            }
            None => {
                self.forget_content(inode);
                self.open.insert(inode, Known::default());
            }
        }
    }

    /// A line that comes out again comes from where it came from before.
    fn compare_origins(&mut self) {
        for seen in &self.bench.seen {
            let key = (seen.file.inode, seen.text.clone());
            let before = self.origins.entry(key).or_insert_with(|| seen.clone());
            let origin = |seen: &Seen| (seen.file.generation, seen.file.first_line_sha256, seen.offset_bytes);
            assert_eq!(origin(seen), origin(before), "{seen:?}, before {before:?}");
        }
    }

    fn note_marks(&mut self, before: usize) {
        for mark in &self.bench.marks[before..] {
            let inode = self.bench.files.register.roster.get(mark.file).unwrap().id().inode;
            let prefix = self.open[&inode].consumed[..mark.offset_bytes as usize].to_vec();
            self.pending.push(PendingMark { inode, prefix: Some(prefix) });
        }
    }

    /// Long after: files that are gone and delivered are closed.
    fn settle(&mut self) {
        self.look();
        self.bench.files.ground.waits.final_after = Duration::ZERO;
        self.bench.files.ground.waits.renamed_closed_after = Duration::ZERO;
        self.look();
        self.bench.files.ground.waits.final_after = AN_HOUR;
        self.bench.files.ground.waits.renamed_closed_after = AN_HOUR;
        let on_disk = self.on_disk();
        let over = |inode: &u64, known: &Known| match on_disk.get(inode) {
            Some((name, content)) => name.ends_with(".old") && content.len() == known.committed.len(),
            None => self.deleted.get(inode).is_some_and(|content| content.len() == known.committed.len()),
        };
        let closed: Vec<u64> =
            self.open.iter().filter(|(inode, known)| over(inode, known)).map(|(inode, _)| *inode).collect();
        for inode in closed {
            let committed = self.open.remove(&inode).unwrap().committed;
            self.deleted.remove(&inode);
            self.remembered.push(Entry { inode, committed, finished: true });
            for mark in self.pending.iter_mut().filter(|mark| mark.inode == inode) {
                mark.prefix = None;
            }
        }
        assert_eq!(self.bench.files.open_files() + self.bench.files.closed_files(), self.open.len());
    }
}

/// What stands behind a gap waits.
fn text_end(content: &[u8]) -> usize {
    content.windows(4).position(|window| window == [0; 4]).unwrap_or(content.len())
}

/// Prints what led to a failure.
struct Report<'h>(u64, &'h mut History);

impl Drop for Report<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("HISTORIES_SEED={} fails after:\n{}", self.0, self.1.log.join("\n"));
        }
    }
}

/// Runs so many histories, each with as many places for open files as its seed says.
fn check(what: &str, histories: u64, places: impl Fn(u64) -> usize) {
    let number = |variable| std::env::var(variable).ok().map(|text| text.parse::<u64>().unwrap());
    let histories = number("HISTORIES").unwrap_or(histories);
    let seeds = number("HISTORIES_SEED").map_or(0..histories, |seed| seed..seed + 1);
    let (mut lines, mut closed) = (0, 0);
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::over(folder, &["*.{log,log.1}"], &[], FirstSeen::Beginning, 1 << 20);
    for seed in seeds.clone() {
        let mut history = History::new(seed, places(seed), bench);
        let report = Report(seed, &mut history);
        for _ in 0..STEPS {
            report.1.step();
            closed += report.1.bench.files.closed_files();
        }
        report.1.look();
        lines += report.1.next_line;
        drop(report);
        bench = history.bench;
    }
    // Past the capture of test output.
    let _ = writeln!(std::io::stderr(), "histories ({what}): seeds {seeds:?}, {lines} lines");
    assert!(lines > 0);
    assert_eq!(closed > 0, places(0) < NAMES.len(), "{closed} files were closed");
}

#[test]
fn random_histories_lose_and_double_nothing() {
    check("all files open", HISTORIES, |_| 1_000_000);
}

#[test]
fn random_histories_with_few_places_lose_and_double_nothing() {
    check("few places", HISTORIES, |seed| 1 + seed as usize % 3);
}
