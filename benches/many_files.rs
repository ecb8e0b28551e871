//! What do many files cost: until the first record is delivered, while nothing happens, and while some of them are written?
//!
//! `cargo bench --profile dist --bench many_files [-- FILES ACTIVE SECONDS]` (default 10,000, 1,000, 20) writes so many
//! files of ten records in folders of a hundred, runs `inferlog run` on them against a counting endpoint, and prints
//! - how long it takes from the start of the process to the first delivered record, with no state and with a checkpoint,
//!   and until every record is delivered;
//! - CPU time and resident memory while nothing is written, and while each of the active files gets a record a second;
//! - the same of as many files as are active, and no others.
//!
//! `INFERLOG_PROGRAM` names another build to measure, for before and after.

#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

mod shared;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use shared::{Endpoint, Records, usage};

const RECORDS_PER_FILE: u64 = 10;
const FILES_PER_FOLDER: usize = 100;

/// Longer than anything here should take.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if arguments.first().is_some_and(|argument| argument == "endpoint") {
        return shared::serve();
    }
    let number = |position: usize, default| arguments.get(position).and_then(|n| n.parse().ok()).unwrap_or(default);
    let (files, active, seconds) = (number(0, 10_000), number(1, 1_000), number(2, 20) as u64);
    measure(files, active, Duration::from_secs(seconds));
    measure(active, active, Duration::from_secs(seconds));
}

/// A folder of logs with a pipeline file, and the endpoint.
struct Place {
    folder: tempfile::TempDir,
    files: Vec<PathBuf>,
    records: Records,
    endpoint: Endpoint,
    /// How many records were written.
    written: u64,
}

fn measure(files: usize, active: usize, duration: Duration) {
    let mut place = Place::new(files);
    println!("{files} files, {active} of them active");
    let started = Instant::now();
    let program = place.start();
    place.wait_for(1);
    println!("  no state: first record delivered after {:.2} s", started.elapsed().as_secs_f64());
    place.wait_for(place.written);
    println!("  no state: all {} after {:.2} s", place.written, started.elapsed().as_secs_f64());
    // Until what is done once is done: the last checkpoint, and the end of the wait for copies.
    std::thread::sleep(Duration::from_secs(10));
    watch("idle", &program, duration, || ());
    watch("active", &program, duration, || place.append(active));
    place.wait_for(place.written);
    stop(program);
    place.append(1);
    let started = Instant::now();
    let program = place.start();
    place.wait_for(place.written);
    println!("  with a checkpoint: first record delivered after {:.2} s", started.elapsed().as_secs_f64());
    watch("idle", &program, duration, || ());
    stop(program);
    println!();
}

/// Prints what a process uses, while something happens every second.
fn watch(what: &str, program: &Child, duration: Duration, mut happen: impl FnMut()) {
    let (before, started) = (usage(program), Instant::now());
    for second in 0..duration.as_secs() as u32 {
        std::thread::sleep((started + Duration::from_secs(1) * second).saturating_duration_since(Instant::now()));
        happen();
    }
    std::thread::sleep((started + duration).saturating_duration_since(Instant::now()));
    let after = usage(program);
    let percent = 100.0 * (after.cpu_seconds - before.cpu_seconds) / started.elapsed().as_secs_f64();
    println!(
        "  {what}: {percent:.2} % of a core over {} s, {:.1} MiB resident, {:.1} MiB at most so far",
        duration.as_secs(),
        after.resident_mib,
        after.peak_mib
    );
}

fn stop(mut program: Child) {
    let process = rustix::process::Pid::from_child(&program);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).expect("it is there");
    assert!(program.wait().expect("its end").success(), "inferlog ended well");
}

impl Place {
    fn new(count: usize) -> Place {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut records = Records::new();
        let files: Vec<PathBuf> = (0..count).map(|number| path(folder.path(), number)).collect();
        for file in &files {
            let mut text = String::new();
            records.write(RECORDS_PER_FILE, &mut text);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            std::fs::write(file, text).expect("a log file");
        }
        std::fs::write(folder.path().join("bench.yaml"), shared::pipeline("logs/*/*.ndjson"))
            .expect("the pipeline file");
        let written = count as u64 * RECORDS_PER_FILE;
        Place { folder, files, records, endpoint: Endpoint::start(), written }
    }

    fn start(&self) -> Child {
        shared::program()
            .args(["run", "--listen", "off", "--data-dir"])
            .arg(self.folder.path().join("state"))
            .arg(self.folder.path().join("bench.yaml"))
            .envs([("ENDPOINT", self.endpoint.url.as_str()), ("INFERLOG_LOG", "error")])
            .spawn()
            .expect("inferlog")
    }

    /// Waits until so many records came.
    fn wait_for(&mut self, records: u64) {
        let started = Instant::now();
        while self.endpoint.count() < records {
            assert!(started.elapsed() < PATIENCE, "{} of {records} records came", self.endpoint.count());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A record for each of the first files.
    fn append(&mut self, files: usize) {
        for file in &self.files[..files.min(self.files.len())] {
            let mut text = String::new();
            self.records.write(1, &mut text);
            let mut file = std::fs::OpenOptions::new().append(true).open(file).expect("a log file");
            file.write_all(text.as_bytes()).expect("room on the disk");
            self.written += 1;
        }
    }
}

/// A few folders apart, so that the active files are in some folders, as they are where many services log.
fn path(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("logs/{:04}/{:04}.ndjson", number / FILES_PER_FOLDER, number % FILES_PER_FOLDER))
}
