//! Random histories through the whole pipeline: files are written, in pieces too, rotated by renaming, truncated,
//! copied and truncated, deleted and made anew, between runs and crashes. Afterwards the store holds every record that
//! was whole under a watched name when a run began, and none twice.
//!
//! A crash is a run whose checkpoint is undone, as if it had ended before that was saved; where a file began a new
//! generation, which is saved before its lines are sent, there is none. The source alone goes through ten thousand
//! histories in its own tests. `SIMULATION_SEED=n` replays one history, `SIMULATION=n` runs more of them.

#![allow(clippy::print_stdout, reason = "a failing seed is to be seen")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use inferlog::config::{self, Pipeline};
use inferlog::pipeline::Limits;
use inferlog::pipeline::build::BuildError;
use inferlog::pipeline::supervisor::{StartError, Supervisor};
use inferlog::sink::store::Store;
use inferlog::state::lock::LockError;
use serde_json::Value;

const STEPS: usize = 24;
/// Those that end in `.old` come about by renaming, and are not watched.
const NAMES: [&str; 5] = ["a.log", "b.log", "a.log.1", "a.old", "b.old"];
const PIPELINE: &str = "source:\n  files: { paths: [\"logs/*.{log,log.1}\"] }\ndecode: json\nsink: { store: {} }\n";
const LIMITS: Limits = Limits {
    once: true,
    once_timeout: Duration::from_secs(60),
    shutdown_timeout: Duration::from_secs(60),
    unacknowledged_bytes_max: u64::MAX,
};

/// A file.
#[derive(Clone, Debug, Default)]
struct Written {
    content: String,
    /// What its last line lacks.
    missing: String,
}

struct History {
    folder: tempfile::TempDir,
    pipelines: Vec<Pipeline>,
    random: fastrand::Rng,
    written: i64,
    /// What is on disk under each name.
    disk: BTreeMap<&'static str, Written>,
    /// What was whole when a run began.
    due: BTreeSet<i64>,
    log: Vec<String>,
}

impl History {
    fn new(seed: u64) -> History {
        let folder = tempfile::tempdir().unwrap();
        fs_err::create_dir(folder.path().join("logs")).unwrap();
        fs_err::write(folder.path().join("p.yaml"), PIPELINE).unwrap();
        let pipelines = config::load(&[folder.path().join("p.yaml")]).unwrap();
        let (disk, due, log) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
        History { folder, pipelines, random: fastrand::Rng::with_seed(seed), written: 0, disk, due, log }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("logs").join(name)
    }

    fn step(&mut self, runtime: &tokio::runtime::Runtime) {
        let name = NAMES[self.random.usize(..NAMES.len())];
        let what = match self.random.u32(..100) {
            0..45 if !name.ends_with(".old") => self.append(name),
            45..57 => self.rename(name),
            57..63 => self.truncate(name),
            63..68 => self.copy_and_truncate(name),
            68..73 => self.remove(name),
            73..92 => self.run(runtime),
            _ => self.crash(runtime),
        };
        self.log.push(format!("{name}: {what}"));
    }

    /// Writes some records. Sometimes the last one is written in pieces.
    fn append(&mut self, name: &'static str) -> String {
        let file = self.disk.entry(name).or_default();
        let mut text = std::mem::take(&mut file.missing);
        for _ in 0..self.random.u32(1..5) {
            text.push_str(&record(self.written));
            self.written += 1;
        }
        if self.random.u32(..3) == 0 {
            let last = record(self.written - 1).len();
            file.missing = text.split_off(text.len() - self.random.usize(1..last));
        }
        file.content.push_str(&text);
        let path = self.path(name);
        let mut file = fs_err::OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        format!("append {text:?} to {name}, inode {}", file.metadata().unwrap().ino())
    }

    fn rename(&mut self, name: &'static str) -> String {
        let to = NAMES[self.random.usize(..NAMES.len())];
        if to == name || !self.disk.contains_key(name) {
            return "nothing".to_owned();
        }
        fs_err::rename(self.path(name), self.path(to)).unwrap();
        let moved = self.disk.remove(name).unwrap_or_default();
        self.disk.insert(to, moved);
        format!("rename to {to}")
    }

    fn truncate(&mut self, name: &'static str) -> String {
        let Some(file) = self.disk.get_mut(name) else { return "nothing".to_owned() };
        *file = Written::default();
        fs_err::OpenOptions::new().write(true).truncate(true).open(self.path(name)).unwrap();
        "truncate".to_owned()
    }

    /// The copy is in another folder: watched, it would be delivered as another file, and in this one, with the inode of a
    /// file that is gone and of which nothing was delivered, it would be taken for that.
    fn copy_and_truncate(&mut self, name: &'static str) -> String {
        let Some(file) = self.disk.get(name) else { return "nothing".to_owned() };
        fs_err::write(self.folder.path().join("copy"), &file.content).unwrap();
        self.truncate(name);
        "copy and truncate".to_owned()
    }

    fn remove(&mut self, name: &'static str) -> String {
        if self.disk.remove(name).is_some() {
            fs_err::remove_file(self.path(name)).unwrap();
        }
        "remove".to_owned()
    }

    fn run(&mut self, runtime: &tokio::runtime::Runtime) -> String {
        let watched = self.disk.iter().filter(|(name, _)| !name.ends_with(".old"));
        let whole =
            watched.flat_map(|(_, file)| file.content.split_inclusive('\n')).filter(|line| line.ends_with('\n'));
        self.due.extend(whole.filter_map(number));
        let state = self.folder.path().join("state");
        let ended = runtime.block_on(async { start(&self.pipelines, &state).ended().await });
        assert!(ended[0].1.drained, "{ended:?}");
        "run".to_owned()
    }

    fn crash(&mut self, runtime: &tokio::runtime::Runtime) -> String {
        let path = self.folder.path().join("state/p/checkpoint.json");
        let Ok(before) = fs_err::read(&path) else { return "nothing".to_owned() };
        self.run(runtime);
        if generations(&fs_err::read(&path).unwrap()).is_subset(&generations(&before)) {
            fs_err::write(&path, before).unwrap();
            return "run and crash".to_owned();
        }
        "run".to_owned()
    }

    fn check(&self) {
        let reader = Store::open_read_only(&self.folder.path().join("state/p/store.sqlite")).unwrap();
        let sql = "SELECT json_extract(document, '$.n') FROM records";
        let mut statement = reader.connection().prepare(sql).unwrap();
        let found: Vec<i64> = statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        let known: BTreeSet<i64> = found.iter().copied().collect();
        assert_eq!(found.len(), known.len(), "records are doubled: {found:?}");
        let missing: Vec<&i64> = self.due.difference(&known).collect();
        assert!(missing.is_empty(), "records are missing: {missing:?}");
        assert!(known.iter().all(|n| (0..self.written).contains(n)), "{known:?}");
    }
}

/// A process that another test forks holds a copy of the lock of the run before, until it executes its program.
fn start(pipelines: &[Pipeline], state: &Path) -> Supervisor {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match Supervisor::start(pipelines, state, LIMITS) {
            Err(StartError::Build { source: BuildError::Lock(LockError::Locked { .. }), .. })
                if Instant::now() < deadline =>
            {
                std::thread::yield_now();
            }
            started => return started.unwrap(),
        }
    }
}

fn record(n: i64) -> String {
    format!("{{\"n\":{n},\"timestamp\":\"2026-11-23T10:00:00Z\",\"text\":\"{}\"}}\n", "x".repeat(n as usize * 37 % 90))
}

/// The number of a record that is whole.
fn number(line: &str) -> Option<i64> {
    serde_json::from_str::<Value>(line).ok()?["n"].as_i64()
}

/// The generations after the first of each inode.
fn generations(checkpoint: &[u8]) -> BTreeSet<(u64, u64)> {
    let checkpoint: Value = serde_json::from_slice(checkpoint).unwrap();
    let files = checkpoint["files"].as_array().unwrap().iter();
    let all = files.map(|file| (file["inode"].as_u64().unwrap(), file["generation"].as_u64().unwrap()));
    all.filter(|(_, generation)| *generation > 0).collect()
}

/// Prints what led to a failure.
struct Report<'h>(u64, &'h mut History);

impl Drop for Report<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.1.log.join("\n");
            let _ = writeln!(std::io::stderr(), "SIMULATION_SEED={} fails after:\n{log}", self.0);
        }
    }
}

#[test]
fn whole_pipelines_lose_and_double_nothing() {
    let number = |variable| std::env::var(variable).ok().map(|text| text.parse::<u64>().unwrap());
    let is_long = std::env::var_os("INFERLOG_TEST_LONG").is_some();
    let histories = number("SIMULATION").unwrap_or(if is_long { 2_000 } else { 30 });
    let seeds = number("SIMULATION_SEED").map_or(0..histories, |seed| seed..seed + 1);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (mut records, mut due) = (0, 0);
    for seed in seeds.clone() {
        let mut history = History::new(seed);
        let report = Report(seed, &mut history);
        for _ in 0..STEPS {
            report.1.step(&runtime);
        }
        report.1.run(&runtime);
        report.1.check();
        records += report.1.written;
        due += report.1.due.len();
    }
    assert!(due > 0);
    // Past the capture of test output.
    let _ = writeln!(std::io::stderr(), "simulation: seeds {seeds:?}, {records} records written, {due} due");
}
