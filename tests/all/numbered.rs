//! The oracle of the tests that storm: numbered records, and what became of each.
//!
//! Everything about a record follows from its number: its line, byte for byte, and what must become of it. So whoever
//! finds a document can say whether it was altered, and at the end indexed, dropped and dead-lettered must be what was
//! written, each exactly once, by number and by the document's id.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tempfile::TempDir;

use crate::place::{Signal, send_signal};

/// The longest that anything is waited for; far more than it takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// What must become of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Indexed,
    /// The line is no record.
    Undecodable,
    /// The pipeline has a rule against it.
    Dropped,
    /// A scripted endpoint refuses it for good; others index it.
    Refused,
}

pub(crate) fn fate(number: u64) -> Fate {
    match number % 50 {
        7 => Fate::Undecodable,
        23 => Fate::Dropped,
        31 => Fate::Refused,
        _ => Fate::Indexed,
    }
}

/// The line of a record, with its end.
pub(crate) fn line(number: u64) -> String {
    let padding = "abcdefghij".repeat((number.wrapping_mul(2_654_435_761) >> 7) as usize % 16);
    match fate(number) {
        Fate::Undecodable => format!("line n{number}z of a web server {padding}\n"),
        fate => format!(
            "{{\"n\":{number},\"event\":\"{}\",\"request_id\":\"r{number}\",\"model_version\":\"anomaly-3.2.1\",\
             \"features\":{{\"amount\":0.1234567890123456789,\"country\":\"DE\"}},\"prediction\":\"fraud\",\
             \"confidence\":0.873,\"latency_ms\":12.80,\"status\":\"success\",\"padding\":\"{padding}\"}}\n",
            if fate == Fate::Dropped { "noise" } else { "inference" }
        ),
    }
}

/// The lines of some records.
pub(crate) fn lines(numbers: std::ops::Range<u64>) -> String {
    numbers.map(line).collect()
}

/// The number of a document, which is the record's line but for what was added at its end.
pub(crate) fn number_of(document: &[u8]) -> u64 {
    let digits = document.iter().skip(5).take_while(|byte| byte.is_ascii_digit());
    let number = digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    let line = line(number);
    let untouched = line.trim_end_matches("}\n").as_bytes();
    assert!(document.starts_with(untouched), "altered: {}", String::from_utf8_lossy(document));
    number
}

/// Ids and numbers of documents, or of entries of the dead letter.
pub(crate) type Found = Vec<(String, u64)>;

/// What is wrong.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Numbers that are nowhere.
    pub(crate) missing: BTreeSet<u64>,
    /// Numbers that are somewhere more than once.
    pub(crate) doubled: BTreeSet<u64>,
    /// Numbers that are where they must not be.
    pub(crate) astray: BTreeSet<u64>,
    /// Ids that are there more than once.
    pub(crate) ids_doubled: Vec<String>,
}

/// Judges what was found of the records from 0 to `written`. `refusing`: the sink was one that refuses.
pub(crate) fn judge(written: u64, refusing: bool, indexed: &Found, dead: &Found) -> Verdict {
    let mut verdict = Verdict::default();
    for found in [indexed, dead] {
        let mut ids = HashSet::new();
        verdict.ids_doubled.extend(found.iter().filter(|(id, _)| !ids.insert(id)).map(|(id, _)| id.clone()));
    }
    let mut places: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
    indexed.iter().for_each(|(_, number)| places.entry(*number).or_default().0 += 1);
    dead.iter().for_each(|(_, number)| places.entry(*number).or_default().1 += 1);
    for number in (0..written).chain(places.range(written..).map(|(number, _)| *number)) {
        let expected = match fate(number) {
            Fate::Indexed => (1, 0),
            Fate::Refused if !refusing => (1, 0),
            Fate::Dropped => (0, 0),
            Fate::Undecodable | Fate::Refused => (0, 1),
        };
        let found = places.get(&number).copied().unwrap_or_default();
        if number >= written || (found.0 > 0 && expected.0 == 0) || (found.1 > 0 && expected.1 == 0) {
            verdict.astray.insert(number);
        } else if found.0 + found.1 > 1 {
            verdict.doubled.insert(number);
        } else if found != expected {
            verdict.missing.insert(number);
        }
    }
    verdict
}

/// What a test prints past the capture of its output: its numbers are what it is for.
pub(crate) fn report(text: &str) {
    use std::io::Write as _;
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// The seed of a test: from INFERLOG_TEST_SEED, or new each time.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("INFERLOG_TEST_SEED").ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| fastrand::u64(..1_000_000))
}

/// Whether there is time for more: `./test --long`.
pub(crate) fn is_long() -> bool {
    std::env::var_os("INFERLOG_TEST_LONG").is_some()
}

/// What some accounts add up to: lines, documents indexed (or found to be there), dropped, dead-lettered. Their numbers
/// must be without gap or repetition.
pub(crate) fn account_sums(accounts: &[Value]) -> [u64; 4] {
    let sum = |name: &str| accounts.iter().map(|account| account[name].as_u64().unwrap_or(0)).sum::<u64>();
    let sinks =
        accounts.iter().filter_map(|account| account["account.sinks"].as_object()).flat_map(|sinks| sinks.values());
    let indexed = sinks.map(|sink| sink["indexed"].as_u64().unwrap() + sink["duplicates"].as_u64().unwrap()).sum();
    let mut numbers: Vec<u64> = accounts.iter().filter_map(|account| account["account.sequence"].as_u64()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<u64>>(), "no account is missing or there twice");
    assert_eq!(sum("account.indexed") + sum("account.duplicates"), indexed, "plain members agree with the maps");
    [sum("account.lines"), indexed, sum("account.dropped"), sum("account.dead_lettered")]
}

/// Dead letters by the documents of their reasons, which stand beside the accounts.
pub(crate) fn reason_sum(accounts: &[Value]) -> u64 {
    accounts.iter().map(|document| document["account.reason_count"].as_u64().unwrap_or(0)).sum()
}

/// What accounts must add up to.
pub(crate) fn expected_sums(written: u64, refusing: bool) -> [u64; 4] {
    let count = |wanted: &[Fate]| (0..written).filter(|number| wanted.contains(&fate(*number))).count() as u64;
    let (refused, undecodable) = (count(&[Fate::Refused]), count(&[Fate::Undecodable]));
    let dead = undecodable + if refusing { refused } else { 0 };
    [written, written - dead - count(&[Fate::Dropped]), count(&[Fate::Dropped]), dead]
}

/// A folder with `p.yaml`, `logs/`, `data/` and the program's log, `stderr`.
pub(crate) struct Workshop {
    folder: TempDir,
}

impl Workshop {
    /// `paths` are globs of files in `logs/`, as in YAML.
    pub(crate) fn new(paths: &str, sink: &str) -> Workshop {
        let workshop = Workshop { folder: TempDir::new().unwrap() };
        fs::create_dir(workshop.path("logs")).unwrap();
        fs::create_dir(workshop.path("data")).unwrap();
        workshop.write_pipeline("p", paths, sink);
        workshop
    }

    pub(crate) fn write_pipeline(&self, name: &str, paths: &str, sink: &str) {
        let pipeline = format!(
            "source: {{ files: {{ paths: {paths}, poll_interval: 200ms }}, id: storm }}\n\
             decode: json\n\
             enrich:\n  - drop: {{ name: noise, when: \"event : noise\" }}\n  \
               - flag: {{ into: low_confidence, when: \"confidence < 0.6\" }}\n\
             observe:\n  - model_metrics: {{}}\n\
             sink: {sink}\n"
        );
        fs::write(self.path(&format!("{name}.yaml")), pipeline).unwrap();
    }

    /// The pipeline `p` has so many workers from now on.
    pub(crate) fn set_workers(&self, workers: u32) {
        let file = self.path("p.yaml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(file, format!("{text}workers: {workers}\n")).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.path("logs").join(name)
    }

    /// Starts `inferlog run` on `p.yaml`, with further arguments.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        self.start_listening("off", arguments)
    }

    /// The same, with /metrics at an address.
    pub(crate) fn start_listening(&self, address: &str, arguments: &[&str]) -> Running {
        Running { process: self.command(address).args(arguments).spawn().unwrap() }
    }

    /// The same, with variables of the environment.
    pub(crate) fn start_with(&self, variables: &[(&str, &OsStr)]) -> Running {
        Running { process: self.command("off").envs(variables.iter().copied()).spawn().unwrap() }
    }

    fn command(&self, address: &str) -> Command {
        let log = File::options().create(true).append(true).open(self.path("stderr")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_inferlog"));
        command
            .args(["run", "p.yaml", "--listen", address, "--data-dir", "data"])
            .current_dir(self.folder.path())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        command
    }

    /// Runs the program with other arguments, to its end.
    pub(crate) fn carry_out(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_inferlog"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// All that the program said so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.path("stderr")).unwrap_or_default()
    }

    /// Waits until something is so; fails with the end of the program's log.
    pub(crate) fn wait_until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}; {}", self.last_words());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The end of the program's log, and the folder, which is kept to be looked at.
    pub(crate) fn last_words(&self) -> String {
        let said = self.said();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Ids and numbers of the entries of the dead letter.
    pub(crate) fn dead(&self) -> Found {
        let mut found = Vec::new();
        for path in fs::read_dir(self.path("data/p/dead_letter")).into_iter().flatten() {
            let text = fs::read_to_string(path.unwrap().path()).unwrap();
            // After a kill the last entry may be torn; nobody knows of it.
            let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            found.extend(whole.map(|line| dead_letter_entry(&serde_json::from_str(line).unwrap())));
        }
        found
    }

    /// Ids and numbers of the documents in the store.
    pub(crate) fn stored(&self) -> Found {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let store = Connection::open_with_flags(self.path("data/p/store.sqlite"), flags).unwrap();
        let mut statement = store.prepare("SELECT id, document FROM records").unwrap();
        let read = |row: &rusqlite::Row<'_>| {
            let document = row.get_ref(1)?;
            Ok((row.get::<_, rusqlite::types::Value>(0)?, number_of(document.as_bytes().unwrap())))
        };
        let rows = statement.query_map([], read).unwrap().map(Result::unwrap);
        rows.map(|(id, number)| (format!("{id:?}"), number)).collect()
    }

    /// The accounts in the store.
    pub(crate) fn stored_accounts(&self) -> Vec<Value> {
        self.stored_own("accounts")
    }

    /// The documents of drift in the store.
    pub(crate) fn stored_drift(&self) -> Vec<Value> {
        self.stored_own("drift")
    }

    fn stored_own(&self, table: &str) -> Vec<Value> {
        let store = Connection::open(self.path("data/p/store.sqlite")).unwrap();
        let mut statement = store.prepare(&format!("SELECT document FROM {table}")).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        rows.map(|document| serde_json::from_str(&document.unwrap()).unwrap()).collect()
    }

    /// Judges what is in the dead letter and in `indexed`; everything must be as it should.
    pub(crate) fn must_be_exact(&self, what: &str, written: u64, refusing: bool, indexed: &Found) {
        let verdict = judge(written, refusing, indexed, &self.dead());
        if verdict != Verdict::default() {
            let Verdict { missing, doubled, astray, ids_doubled } = &verdict;
            let some = |numbers: &BTreeSet<u64>| format!("{} {:?}", numbers.len(), numbers.iter().take(10));
            panic!(
                "{what}: of {written}: missing {}, doubled {}, astray {}, ids twice {}; {}",
                some(missing),
                some(doubled),
                some(astray),
                ids_doubled.len(),
                self.last_words()
            );
        }
    }
}

fn dead_letter_entry(entry: &Value) -> (String, u64) {
    let id = entry["id"].as_str().unwrap().to_owned();
    let number = match (entry["raw"].as_str(), entry["document"]["n"].as_u64()) {
        (Some(raw), _) => raw["line n".len()..].split('z').next().unwrap().parse().unwrap(),
        (None, Some(number)) => number,
        (None, None) => panic!("an entry without content: {entry}"),
    };
    (id, number)
}

/// A run under way; killed when dropped.
pub(crate) struct Running {
    process: Child,
}

impl Running {
    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        assert_eq!(self.process.try_wait().unwrap(), None, "it ended by itself");
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        send_signal(self.process.id(), Signal::TERM);
    }

    /// Waits for its end; its exit code.
    pub(crate) fn code(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("it did not end within {PATIENCE:?}");
    }

    /// Its resident memory now, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.map_or(0, |line| line.trim().trim_end_matches("kB").trim().parse().unwrap())
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Stops it in good order: everything is delivered.
    pub(crate) fn stop(mut self) {
        self.terminate();
        assert_eq!(self.code(), Some(0), "drained");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The bytes of a file.
pub(crate) fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

#[test]
fn the_oracle_sees_what_is_wrong() {
    let good = |range: std::ops::Range<u64>, wanted: &[Fate]| -> Found {
        let numbers = range.filter(|number| wanted.contains(&fate(*number)));
        numbers.map(|number| (format!("id{number}"), number)).collect()
    };
    let indexed = good(0..200, &[Fate::Indexed]);
    let dead = good(0..200, &[Fate::Undecodable, Fate::Refused]);
    assert_eq!(judge(200, true, &indexed, &dead), Verdict::default());
    let missing = BTreeSet::from([199]);
    assert_eq!(judge(200, true, &indexed[..indexed.len() - 1].to_vec(), &dead).missing, missing);
    let mut twice = indexed.clone();
    twice.push(("another id".to_owned(), 5));
    assert_eq!(judge(200, true, &twice, &dead).doubled, BTreeSet::from([5]));
    let mut noise = indexed;
    noise.extend([("x".to_owned(), 23), ("x".to_owned(), 300)]);
    let verdict = judge(200, true, &noise, &dead);
    assert_eq!((verdict.astray, verdict.ids_doubled.len()), (BTreeSet::from([23, 300]), 1));
    for number in 0..100 {
        if fate(number) != Fate::Undecodable {
            let document = line(number).replace("}\n", ",\"low_confidence\":false}");
            assert_eq!(number_of(document.as_bytes()), number);
        }
    }
}
