//! What does a second core give? A machine of one core, and of two, as `taskset` makes them of this one.
//!
//! `cargo bench --profile dist --bench two_cores [-- OPTIONS]` ships the same records, out of one file and out of eight, by
//! `inferlog run --once` to a counting endpoint, turn by turn
//! - with all that runs, the endpoint too, on one core;
//! - with inferlog on one core, and the endpoint on the other;
//! - with `workers: 2`, and all that runs on two cores, so that the endpoint takes its part of them;
//!
//! and prints records a second, from the start of the process to its end, CPU time, and peak resident memory. Ratios are
//! taken within a turn.

#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

mod shared;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use clap::Parser;
use shared::{Endpoint, Figure};

/// One core, and two.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    part: Option<shared::Part>,
    /// Over how many files the records are spread.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8])]
    files: Vec<u64>,
    /// How many records.
    #[arg(long, default_value_t = 2_000_000)]
    records: u64,
    /// How often each is run.
    #[arg(long, default_value_t = 5)]
    turns: usize,
    /// The document to put the figures into.
    #[arg(long)]
    write: Option<PathBuf>,
}

/// What runs where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cores {
    /// All on one.
    One,
    /// Inferlog on one, the endpoint on the other.
    OneEach,
    /// All on two, with two workers.
    Two,
}

/// What a run took.
#[derive(Clone, Copy, Debug)]
struct Run {
    wall_seconds: f64,
    cpu_seconds: f64,
    endpoint_seconds: f64,
    peak_mib: f64,
}

impl Cores {
    const ALL: [Cores; 3] = [Cores::One, Cores::OneEach, Cores::Two];

    fn words(self) -> &'static str {
        match self {
            Cores::One => "one core for all",
            Cores::OneEach => "one core, another one for the endpoint",
            Cores::Two => "`workers: 2`, two cores for all",
        }
    }

    /// Inferlog, held to its core or cores.
    fn program(self) -> Command {
        let (cores, workers) = if self == Cores::Two { ("0,1", "2") } else { ("0", "1") };
        let mut program = Command::new("taskset");
        program.args(["-c", cores]).arg(shared::program_path()).env("WORKERS", workers);
        program
    }

    /// What the endpoint is held to.
    fn of_endpoint(self) -> &'static str {
        match self {
            Cores::One => "0",
            Cores::OneEach => "1",
            Cores::Two => "0,1",
        }
    }
}

fn main() {
    let arguments = Arguments::parse_from(std::env::args().filter(|argument| argument != "--bench"));
    if arguments.part.is_some() {
        return shared::serve();
    }
    let mut text = format!(
        "| files | {} records | records a second | CPU-seconds a million | of the endpoint | peak MiB | rate in units of one \
         core's for all | of inferlog's alone |\n| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        arguments.records
    );
    for &files in &arguments.files {
        text.push_str(&rows(files, &arguments));
    }
    println!("{text}");
    if let Some(document) = &arguments.write {
        let (commit, machine, command) = (shared::commit(), shared::machine(), shared::command("two_cores"));
        let turns = arguments.turns;
        let head = format!(
            "Measured at {commit} on {machine}; {turns} times, turn by turn: medians, and in brackets the least"
        );
        shared::write_section(
            document,
            "two_cores",
            &format!("{head} and the most. Again:\n\n    {command}\n\n{text}"),
        );
    }
}

/// The rows of so many files.
fn rows(files: u64, arguments: &Arguments) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    shared::spread(folder.path(), files, arguments.records);
    std::fs::write(folder.path().join("bench.yaml"), shared::pipeline(shared::SPREAD)).expect("the pipeline file");
    let turn = |_| Cores::ALL.map(|cores| run(cores, folder.path(), arguments.records));
    let turns: Vec<[Run; 3]> = (0..arguments.turns).map(turn).collect();
    let mut rows = String::new();
    for (position, cores) in Cores::ALL.into_iter().enumerate() {
        let figure = |of: &dyn Fn(&Run) -> f64| Figure::of(turns.iter().map(|turn| of(&turn[position])));
        let ratio =
            |unit: usize| Figure::of(turns.iter().map(|turn| turn[unit].wall_seconds / turn[position].wall_seconds));
        let (records, words) = (arguments.records as f64, cores.words());
        let _ = writeln!(
            rows,
            "| {files} | {words} | {} | {} | {:.2} | {:.1} | {} | {} |",
            figure(&|run| records / run.wall_seconds).text(0),
            figure(&|run| run.cpu_seconds * 1e6 / records).text(2),
            figure(&|run| run.endpoint_seconds * 1e6 / records).median,
            figure(&|run| run.peak_mib).median,
            ratio(0).text(2),
            ratio(1).text(2),
        );
    }
    rows
}

fn run(cores: Cores, folder: &Path, records: u64) -> Run {
    let data = tempfile::tempdir().expect("a temporary folder");
    let mut endpoint = Endpoint::start();
    endpoint.hold_to(cores.of_endpoint());
    let started = Instant::now();
    let mut program = cores.program();
    shared::run_once(&mut program, data.path(), &folder.join("bench.yaml")).env("ENDPOINT", &endpoint.url);
    let spent = shared::wait(program.spawn().expect("inferlog"), |_| ());
    let wall_seconds = started.elapsed().as_secs_f64();
    assert!(spent.status.success(), "inferlog ended well");
    assert_eq!(endpoint.count(), records, "the endpoint got every record");
    let (cpu_seconds, endpoint_seconds) = (spent.user_seconds + spent.system_seconds, endpoint.usage().cpu_seconds);
    Run { wall_seconds, cpu_seconds, endpoint_seconds, peak_mib: spent.peak_mib }
}
