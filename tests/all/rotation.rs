//! The real logrotate, at work on the file of a writer that does not stop.
//!
//! With `create`, with and without compression, whether or not archives are tailed, every record arrives once. With `copytruncate` no reader can win: what is
//! written between its last read and the truncation is in the copy alone. Here it is shown that nothing is lost when the
//! writer pauses around the truncation, and that what a busy writer loses was written in that window.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::endpoint::Endpoint;
use crate::numbered::{Verdict, Workshop, is_long, judge, line, report, seed, size};

const RECORDS_PER_SECOND: u64 = 4_000;
/// What is written this long before logrotate starts may be unread when it truncates.
const READER_LAG: Duration = Duration::from_millis(500);

/// A writer that can be paused; it opens its file anew when the name leads to another one, as `WatchedFileHandler` does. It
/// does not make the file itself: logrotate would rename what it finds in its place to a name outside of the globs.
#[derive(Clone)]
struct Writer {
    path: PathBuf,
    written: Arc<AtomicU64>,
    pause: Arc<AtomicBool>,
    is_paused: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
}

impl Writer {
    fn start(path: PathBuf) -> (Writer, JoinHandle<u64>) {
        let writer = Writer {
            path,
            written: Arc::default(),
            pause: Arc::default(),
            is_paused: Arc::default(),
            stop: Arc::default(),
        };
        let run = writer.clone();
        (writer, std::thread::spawn(move || run.run()))
    }

    fn run(&self) -> u64 {
        let mut file = self.open(true);
        let mut number = 0;
        while !self.stop.load(Ordering::Acquire) {
            let is_paused = self.pause.load(Ordering::Acquire);
            self.is_paused.store(is_paused, Ordering::Release);
            if !is_paused {
                let there = fs::metadata(&self.path).map(|metadata| metadata.ino()).ok();
                if there.is_some() && there != file.metadata().map(|metadata| metadata.ino()).ok() {
                    file = self.open(false);
                }
                for _ in 0..RECORDS_PER_SECOND / 500 {
                    file.write_all(line(number).as_bytes()).unwrap();
                    number += 1;
                }
                self.written.store(number, Ordering::Release);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        number
    }

    fn open(&self, create: bool) -> File {
        File::options().create(create).append(true).open(&self.path).unwrap()
    }

    fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }
}

/// A workshop with logrotate's configuration.
struct Rotated {
    workshop: Workshop,
    endpoint: Endpoint,
    random: fastrand::Rng,
}

impl Rotated {
    /// `paths` are the pipeline's globs, `options` logrotate's.
    fn new(paths: &str, options: &str) -> Rotated {
        let seed = seed();
        let endpoint = Endpoint::start(seed, 0.0);
        let workshop = Workshop::new(paths, &endpoint.sink());
        let log = workshop.log("app.log");
        let configuration = format!("\"{}\" {{\n rotate 100\n {options}\n}}\n", log.display());
        fs::write(workshop.path("logrotate.conf"), configuration).unwrap();
        Rotated { workshop, endpoint, random: fastrand::Rng::with_seed(seed) }
    }

    fn rotate(&self) {
        let output = logrotate()
            .args(["--force", "--state"])
            .args([self.workshop.path("logrotate.state"), self.workshop.path("logrotate.conf")])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// What is wrong now.
    fn verdict(&self, written: u64) -> Verdict {
        judge(written, true, &self.endpoint.documents(), &self.workshop.dead())
    }

    fn wait_until_delivered(&self, written: u64) {
        self.workshop.wait_until("delivered", || {
            self.endpoint.count() >= written * 9 / 10 && self.verdict(written).missing.is_empty()
        });
    }
}

/// Debian has it where not everybody's PATH leads.
fn logrotate() -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("logrotate");
    command.env("PATH", format!("{path}:/usr/sbin"));
    command
}

fn is_there(test: &str) -> bool {
    let is_there = logrotate().arg("--version").output().is_ok();
    if !is_there {
        assert!(std::env::var_os("INFERLOG_TEST_REQUIRE_ALL").is_none(), "{test} needs logrotate");
        report(&format!("left out: {test} (needs logrotate, which `./test` installs)"));
    }
    is_there
}

fn rotations() -> u32 {
    if is_long() { 60 } else { 8 }
}

/// `create` in one of its forms: every record arrives once.
fn check_create(what: &str, paths: &str, options: &str) {
    if !is_there(what) {
        return;
    }
    let mut rotated = Rotated::new(paths, options);
    let (writer, handle) = Writer::start(rotated.workshop.log("app.log"));
    let running = rotated.workshop.start(&[]);
    for _ in 0..rotations() {
        // A file that is created and compressed before anybody looked is not seen. Dated names differ by the second.
        let rest_ms = if options.contains("dateext") { 1_100 } else { rotated.random.u64(400..900) };
        std::thread::sleep(Duration::from_millis(rest_ms));
        rotated.rotate();
    }
    std::thread::sleep(Duration::from_millis(300));
    writer.stop.store(true, Ordering::Release);
    let written = handle.join().unwrap();
    rotated.wait_until_delivered(written);
    running.stop();
    rotated.workshop.must_be_exact(what, written, true, &rotated.endpoint.documents());
    report(&format!("logrotate ({what}): {written} records, {} rotations; 0 missing, 0 doubled", rotations()));
}

#[test]
fn logrotate_create() {
    check_create("create, glob app.log", "[\"logs/app.log\"]", "create");
}

#[test]
fn logrotate_as_the_sample_has_it() {
    let sample =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/logrotate/inferlog-model-logs")).unwrap();
    let (_, options) = sample.split_once("\n/var/log/models/*.ndjson {\n").unwrap();
    // Not everybody who runs tests may give files to others.
    assert!(options.contains("create 0640 root adm\n"));
    let options = options.trim_end().strip_suffix('}').unwrap().replace("create 0640 root adm", "create 0640");
    check_create("deploy/logrotate", "[\"logs/app.log*\"]", &options);
}

#[test]
fn logrotate_create_with_rotated_names_in_the_glob() {
    check_create("create, glob app.log*", "[\"logs/app.log*\"]", "create");
}

#[test]
fn logrotate_compress() {
    check_create("compress", "[\"logs/app.log\", \"logs/app.log.[0-9]\"]", "create\n compress");
}

#[test]
fn logrotate_delaycompress() {
    let numbered = "[\"logs/app.log\", \"logs/app.log.[0-9]\", \"logs/app.log.[0-9][0-9]\"]";
    check_create("delaycompress", numbered, "create\n compress\n delaycompress");
}

/// Archives are in the globs, and named before they are written.
const EVERYTHING: &str = "[\"logs/app.log*\"]";

#[test]
fn logrotate_compress_with_archives_in_the_glob() {
    check_create("compress, glob app.log*", EVERYTHING, "create\n compress");
}

#[test]
fn logrotate_delaycompress_with_archives_in_the_glob() {
    check_create("delaycompress, glob app.log*", EVERYTHING, "create\n compress\n delaycompress");
}

#[test]
fn logrotate_dateext_with_archives_in_the_glob() {
    let options = "create\n compress\n dateext\n dateformat -%Y%m%d-%s";
    check_create("dateext and compress, glob app.log*", EVERYTHING, options);
}

#[test]
fn logrotate_with_a_slow_compressor() {
    let folder = tempfile::tempdir().unwrap();
    let compressor = folder.path().join("slow-gzip");
    // Writes one byte, some more, and the rest, and rests for longer than a file that is not written to is left alone.
    let script =
        "#!/bin/sh\ngzip -c | { dd bs=1 count=1; sleep 1.2; dd bs=1 count=2000; sleep 1.2; cat; } 2>/dev/null\n";
    fs::write(&compressor, script).unwrap();
    fs::set_permissions(&compressor, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let options = format!("create\n compress\n compresscmd {}\n compressext .gz", compressor.display());
    check_create("a slow compressor, glob app.log*", EVERYTHING, &options);
}

#[test]
fn logrotate_copytruncate_with_a_writer_that_pauses() {
    let what = "copytruncate, the writer pauses";
    if !is_there(what) {
        return;
    }
    let mut rotated = Rotated::new("[\"logs/app.log\"]", "copytruncate");
    let (writer, handle) = Writer::start(rotated.workshop.log("app.log"));
    let running = rotated.workshop.start(&[]);
    for _ in 0..rotations() {
        std::thread::sleep(Duration::from_millis(rotated.random.u64(100..600)));
        writer.pause.store(true, Ordering::Release);
        rotated.workshop.wait_until("the writer pauses", || writer.is_paused.load(Ordering::Acquire));
        rotated.wait_until_delivered(writer.written());
        rotated.rotate();
        assert_eq!(size(&writer.path), 0);
        // Goes on at once: the file may have grown beyond what it was before inferlog looks again.
        writer.pause.store(false, Ordering::Release);
    }
    writer.stop.store(true, Ordering::Release);
    let written = handle.join().unwrap();
    rotated.wait_until_delivered(written);
    running.stop();
    rotated.workshop.must_be_exact(what, written, true, &rotated.endpoint.documents());
    report(&format!("logrotate ({what}): {written} records, {} rotations; 0 missing, 0 doubled", rotations()));
}

#[test]
fn logrotate_copytruncate_with_a_busy_writer_loses_only_what_was_written_meanwhile() {
    let what = "copytruncate, a busy writer";
    if !is_there(what) {
        return;
    }
    let mut rotated = Rotated::new("[\"logs/app.log\"]", "copytruncate");
    let (writer, handle) = Writer::start(rotated.workshop.log("app.log"));
    let running = rotated.workshop.start(&[]);
    let mut windows = Vec::new();
    for _ in 0..rotations() {
        std::thread::sleep(Duration::from_millis(rotated.random.u64(600..1_200)));
        let (before, started) = (writer.written(), Instant::now());
        rotated.rotate();
        windows.push((before, writer.written(), started.elapsed()));
    }
    std::thread::sleep(Duration::from_millis(200));
    writer.stop.store(true, Ordering::Release);
    let written = handle.join().unwrap();
    rotated.workshop.wait_until("the end is delivered", || {
        rotated.endpoint.documents().iter().any(|(_, number)| *number >= written - 2)
    });
    running.stop();
    let verdict = rotated.verdict(written);
    assert!(verdict.doubled.is_empty() && verdict.astray.is_empty() && verdict.ids_doubled.is_empty(), "{verdict:?}");
    let lag = RECORDS_PER_SECOND * READER_LAG.as_millis() as u64 / 1_000;
    let is_excused =
        |number: &u64| windows.iter().any(|(from, to, _)| (from.saturating_sub(lag)..*to).contains(number));
    let inexcusable: Vec<&u64> = verdict.missing.iter().filter(|number| !is_excused(number)).collect();
    assert!(inexcusable.is_empty(), "lost outside of every window: {inexcusable:?}");
    let in_windows: u64 = windows.iter().map(|(from, to, _)| to - from).sum();
    let longest = windows.iter().map(|(_, _, took)| took.as_millis()).max().unwrap_or_default();
    report(&format!(
        "logrotate ({what}): {written} records, {} truncations; written while logrotate ran (at most {longest} ms): \
         {in_windows}, lost: {}, doubled: 0",
        windows.len(),
        verdict.missing.len()
    ));
}
