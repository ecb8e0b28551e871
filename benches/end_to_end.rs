//! What does it cost to ship a record, from a file to an HTTP bulk endpoint, the whole process, beside others that do the
//! same and beside the least that the work takes?
//!
//! `cargo bench --profile dist --bench end_to_end [-- OPTIONS]` writes a corpus (the same each time), starts a counting
//! endpoint in a process of its own, and runs, turn by turn, `inferlog run --once`, the limit program (`limit`, the same
//! work in a tight loop, without the product), and the peers that are installed (`peers`). Of each run it tells CPU time
//! of the whole process as the kernel counts it (`wait4`), wall time and peak resident memory, then medians, the spread,
//! and ratios that were taken within the same turn. Each run has to deliver every record, and a sample of the documents
//! is held against an independent calculation (`check`).
//!
//! `--write docs/benchmarks.md` puts the figures there. `INFERLOG_PROGRAM` names another build to measure, for before and
//! after; `--only inferlog,limit --records 500000 --shapes usual --gzip off` is the quick look while a stage is worked on.

#![allow(clippy::print_stdout, reason = "the figures are what it is for")]
#![allow(clippy::print_stderr, reason = "and what is wrong with them")]

mod check;
mod limit;
mod peers;
mod report;
mod shared;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use clap::Parser;
use peers::Peer;
use shared::{Counted, Endpoint, PIPELINE, Shape, Spent};

/// Longer than any run should take.
const PATIENCE: Duration = Duration::from_secs(1_800);

/// From file to bulk endpoint: inferlog, the limit of the work, and peers.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// How many of the usual records; of other shapes as many, or fewer where they are long.
    #[arg(long, default_value_t = 2_000_000)]
    records: u64,
    /// How often each program runs.
    #[arg(long, default_value_t = 5)]
    turns: usize,
    /// Which records; all shapes by default.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Shape::ALL)]
    shapes: Vec<Shape>,
    /// With bodies that are packed, or not, or both.
    #[arg(long, value_enum, default_value_t = Gzip::Both)]
    gzip: Gzip,
    /// Which programs, by name: inferlog, limit, rsyslog, …; all that are there by default.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// The document to put the figures into.
    #[arg(long)]
    write: Option<PathBuf>,
    /// The limit program sends in a second thread: a higher rate for more CPU time.
    #[arg(long)]
    limit_in_two_threads: bool,
}

/// What this program is started as by itself.
#[derive(Debug, clap::Subcommand)]
enum Part {
    /// The endpoint that counts.
    #[command(hide = true)]
    Endpoint,
    /// The limit program.
    #[command(hide = true)]
    Limit(limit::Work),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Gzip {
    Off,
    On,
    Both,
}

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Inferlog,
    Limit,
    Peer(&'static Peer),
}

impl Program {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Program::Inferlog => "inferlog",
            Program::Limit => "limit",
            Program::Peer(peer) => peer.name,
        }
    }
}

/// One run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) spent: Spent,
    /// From the start of the program until the last record is there.
    pub(crate) wall_seconds: f64,
    pub(crate) counted: Counted,
    /// What the endpoint used meanwhile.
    pub(crate) endpoint_seconds: f64,
}

impl Run {
    pub(crate) fn cpu_seconds(&self) -> f64 {
        self.spent.user_seconds + self.spent.system_seconds
    }
}

/// A corpus, and what it is shipped with.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    pub(crate) shape: Shape,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

fn main() {
    let arguments = Arguments::parse_from(std::env::args().filter(|argument| argument != "--bench"));
    match &arguments.part {
        Some(Part::Endpoint) => return shared::serve(),
        Some(Part::Limit(work)) => return limit::run(work),
        None => {}
    }
    if cfg!(debug_assertions) {
        eprintln!("this build is not optimised: the figures of the limit program mean nothing");
        assert!(arguments.write.is_none(), "figures of a build that is not optimised are not written down");
    }
    let peers = peers::installed();
    let mut tables = Vec::new();
    for &shape in &arguments.shapes {
        let place = Place::new(shape, shape.records(arguments.records));
        for gzip in [false, true] {
            if matches!((arguments.gzip, gzip), (Gzip::Off, true) | (Gzip::On, false)) {
                continue;
            }
            let programs = programs(&arguments, &place, gzip, &peers);
            tables.push(measure(&arguments, &place, gzip, &programs));
        }
    }
    if let Some(document) = &arguments.write {
        shared::write_section(document, "end_to_end", &report::section(&shared::command("end_to_end"), &tables));
    }
}

/// Peers take no part in what is not the usual case of theirs.
fn programs(arguments: &Arguments, place: &Place, gzip: bool, peers: &[&'static Peer]) -> Vec<Program> {
    let mut programs = vec![Program::Inferlog, Program::Limit];
    if place.shape == Shape::Usual && !gzip {
        programs.extend(peers.iter().map(|peer| Program::Peer(peer)));
    }
    let is_wanted = |program: &Program| arguments.only.is_empty() || arguments.only.iter().any(|n| n == program.name());
    programs.retain(is_wanted);
    programs
}

/// All runs of some programs over one corpus, turn by turn.
fn measure(arguments: &Arguments, place: &Place, gzip: bool, programs: &[Program]) -> report::Table {
    let mut table = report::Table::new(place, gzip, programs);
    table.print_head();
    let mut configuration = "00000000".to_owned();
    for _ in 0..arguments.turns {
        for (position, &program) in programs.iter().enumerate() {
            let (run, remark) = match program {
                Program::Inferlog => run_inferlog(place, gzip, &mut configuration),
                Program::Limit => run_limit(place, gzip, &configuration, arguments.limit_in_two_threads),
                Program::Peer(peer) => run_peer(place, peer),
            };
            table.add(position, run, remark);
        }
    }
    table.print_medians();
    table
}

impl Place {
    fn new(shape: Shape, records: u64) -> Place {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let bytes = shape.write(&folder.path().join("corpus.ndjson"), records);
        let pipeline = folder.path().join(format!("{PIPELINE}.yaml"));
        std::fs::write(pipeline, shared::pipeline("corpus.ndjson")).expect("the pipeline file");
        Place { folder, shape, records, bytes }
    }

    /// With links followed, as documents name it.
    pub(crate) fn corpus(&self) -> PathBuf {
        self.folder.path().canonicalize().expect("the folder").join("corpus.ndjson")
    }
}

fn run_inferlog(place: &Place, gzip: bool, configuration: &mut String) -> (Run, String) {
    let data = tempfile::tempdir().expect("a temporary folder");
    let (mut endpoint, mut program) = (Endpoint::start(), shared::program());
    shared::run_once(&mut program, data.path(), &place.folder.path().join(format!("{PIPELINE}.yaml")))
        .envs([("ENDPOINT", endpoint.url.as_str()), ("GZIP", if gzip { "true" } else { "false" })]);
    let run = run_to_its_end(&mut endpoint, &mut program, place.records);
    let samples = endpoint.samples();
    if let Some(found) = samples.first().and_then(|sample| check::configuration(&sample.document)) {
        *configuration = found.to_owned();
    }
    let checked = check::same_work(&place.corpus(), &samples);
    (run, format!("{checked} documents checked"))
}

fn run_limit(place: &Place, gzip: bool, configuration: &str, two_threads: bool) -> (Run, String) {
    let mut endpoint = Endpoint::start();
    let mut program = Command::new(std::env::current_exe().expect("this program"));
    program.arg("limit").args(gzip.then_some("--gzip")).args(two_threads.then_some("--two-threads"));
    program.arg(place.corpus()).arg(&endpoint.url).arg(configuration);
    let run = run_to_its_end(&mut endpoint, &mut program, place.records);
    let checked = check::same_work(&place.corpus(), &endpoint.samples());
    (run, format!("{checked} documents checked"))
}

/// Runs a program that ends by itself.
fn run_to_its_end(endpoint: &mut Endpoint, program: &mut Command, records: u64) -> Run {
    let started = Instant::now();
    let spent = shared::wait(program.spawn().expect("the program"), |_| ());
    let wall_seconds = started.elapsed().as_secs_f64();
    assert!(spent.status.success(), "{program:?} ended well");
    let counted = endpoint.counted();
    assert_eq!(counted.documents, records, "the endpoint got every record");
    Run { spent, wall_seconds, counted, endpoint_seconds: endpoint.usage().cpu_seconds }
}

/// Runs a peer until all records are there, and stops it.
fn run_peer(place: &Place, peer: &Peer) -> (Run, String) {
    let state = tempfile::tempdir().expect("a temporary folder");
    let mut endpoint = Endpoint::start();
    let mut program = peer.command(&place.corpus(), &endpoint.url, state.path());
    let started = Instant::now();
    let mut wall_seconds = None;
    let spent = shared::wait(program.spawn().expect("the program"), |child| {
        assert!(started.elapsed() < PATIENCE, "{} has not delivered all records", peer.name);
        if wall_seconds.is_none() && endpoint.count() >= place.records {
            wall_seconds = Some(started.elapsed().as_secs_f64());
            stop(child);
        }
    });
    let wall_seconds = wall_seconds.unwrap_or_else(|| panic!("{} ended before it had delivered all", peer.name));
    let counted = endpoint.counted();
    let run = Run { spent, wall_seconds, counted, endpoint_seconds: endpoint.usage().cpu_seconds };
    let twice = counted.documents - place.records;
    let checked = check::members(&place.corpus(), &endpoint.samples(), peer.adds);
    (run, if twice > 0 { format!("{checked}; {twice} documents twice") } else { checked })
}

fn stop(child: &std::process::Child) {
    let process = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).expect("it is there");
}

/// Where a document of another program has its own.
pub(crate) fn read_lines(path: &Path) -> std::io::Lines<std::io::BufReader<std::fs::File>> {
    use std::io::BufRead as _;
    std::io::BufReader::with_capacity(1 << 20, std::fs::File::open(path).expect("the corpus")).lines()
}
