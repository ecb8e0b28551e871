//! What do many files cost: until the first record is delivered, while nothing happens, and while some of them are written?
//!
//! `cargo bench --profile dist --bench many_files [-- --files 1,1000,10000 --active 1000 --seconds 30]` writes so many
//! files of ten records in folders of a hundred, runs `inferlog run` on them against a counting endpoint, and prints
//! - how long it takes from the start of the process to the first delivered record, with no state and with a checkpoint,
//!   and until every record is delivered;
//! - CPU time and resident memory while nothing is written, and while each of the active files gets a record a second;
//! - the same of as many files as are active, and no others.
//!
//! `INFERLOG_PROGRAM` names another build to measure, for before and after; `--write docs/benchmarks.md` puts the figures
//! there.

#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

mod shared;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use clap::Parser;
use shared::{Endpoint, Records, SPREAD, Threads, spread_path, usage};

const RECORDS_PER_FILE: u64 = 10;

/// Longer than anything here should take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Many files: start, idle, active.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    part: Option<shared::Part>,
    /// How many files.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 1_000, 10_000])]
    files: Vec<usize>,
    /// How many of them get a record a second, at most.
    #[arg(long, default_value_t = 1_000)]
    active: usize,
    /// How long each state is watched.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// The document to put the figures into.
    #[arg(long)]
    write: Option<PathBuf>,
}

fn main() {
    let arguments = Arguments::parse_from(std::env::args().filter(|argument| argument != "--bench"));
    if arguments.part.is_some() {
        return shared::serve();
    }
    let mut rows = String::from(
        "| files | first record s | all records s | idle, % of a core | idle MiB | active files | active, % of a core | \
         active MiB | peak MiB | first record with a checkpoint s | idle after that, % of a core |\n\
         | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    print!("{rows}");
    for &files in &arguments.files {
        let row = measure(files, arguments.active.min(files), Duration::from_secs(arguments.seconds));
        print!("{row}");
        rows.push_str(&row);
    }
    if let Some(document) = &arguments.write {
        let (commit, machine, command) = (shared::commit(), shared::machine(), shared::command("many_files"));
        let text = format!(
            "Measured at {commit} on {machine}, each state {} s. Again:\n\n    {command}\n\n{rows}",
            arguments.seconds
        );
        shared::write_section(document, "many_files", &text);
    }
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

/// Gives a row of the table.
fn measure(files: usize, active: usize, duration: Duration) -> String {
    let mut place = Place::new(files);
    let mut row = format!("| {files} |");
    let started = Instant::now();
    let program = place.start();
    place.wait_for(1);
    let _ = write!(row, " {:.2} |", started.elapsed().as_secs_f64());
    place.wait_for(place.written);
    let _ = write!(row, " {:.2} |", started.elapsed().as_secs_f64());
    // Until what is done once is done: the last checkpoint, and the end of the wait for copies.
    std::thread::sleep(Duration::from_secs(10));
    let percent = watch(&program, duration, || ());
    let _ = write!(row, " {percent:.3} | {:.1} | {active} |", usage(&program).resident_mib);
    let percent = watch(&program, duration, || place.append(active));
    let used = usage(&program);
    let _ = write!(row, " {percent:.2} | {:.1} | {:.1} |", used.resident_mib, used.peak_mib);
    place.wait_for(place.written);
    stop(program);
    place.append(1);
    let started = Instant::now();
    let program = place.start();
    place.wait_for(place.written);
    let _ = write!(row, " {:.2} |", started.elapsed().as_secs_f64());
    std::thread::sleep(Duration::from_secs(10));
    let _ = writeln!(row, " {:.3} |", watch(&program, duration, || ()));
    stop(program);
    row
}

/// How much of a core a process uses, in percent, while something happens every second.
fn watch(program: &Child, duration: Duration, mut happen: impl FnMut()) -> f64 {
    let (before, started) = (Threads::of(program), Instant::now());
    for second in 0..duration.as_secs() as u32 {
        std::thread::sleep((started + Duration::from_secs(1) * second).saturating_duration_since(Instant::now()));
        happen();
    }
    std::thread::sleep((started + duration).saturating_duration_since(Instant::now()));
    100.0 * Threads::of(program).seconds_since(&before) / started.elapsed().as_secs_f64()
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
        let files: Vec<PathBuf> = (0..count as u64).map(|number| spread_path(folder.path(), number)).collect();
        for file in &files {
            let mut text = String::new();
            records.write(RECORDS_PER_FILE, &mut text);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            std::fs::write(file, text).expect("a log file");
        }
        std::fs::write(folder.path().join("bench.yaml"), shared::pipeline(SPREAD)).expect("the pipeline file");
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
