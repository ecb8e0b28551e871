//! How many records a second go into the store when it holds a million already, beside a bare loop over SQLite?
//!
//! `cargo bench --profile dist --bench store [-- OPTIONS]` fills a store with records of 380 bytes (`--held`, 1,000,000) by
//! `inferlog run --once`, copies it, and then, turn by turn, has `inferlog run --once` bring further ones (`--records`,
//! 300,000) into the one, and a loop that does nothing else bring the same documents into the other: the same schema and
//! settings, one prepared statement, transactions of as many bytes as a batch has. Of inferlog the whole process is
//! measured, from its start to its end; of the loop what it does when the documents are in its memory. It prints wall and
//! CPU time of both, and their ratios within each turn, then medians.
//!
//! `INFERLOG_PROGRAM` names another build to measure, for before and after.

#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

mod shared;

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use clap::Parser;
use rusqlite::Connection;
use shared::{PIPELINE, Records, usage_of, wait};

/// Records into the store, beside a bare loop.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// How many records it holds before.
    #[arg(long, default_value_t = 1_000_000)]
    held: u64,
    /// How many are brought in each turn.
    #[arg(long, default_value_t = 300_000)]
    records: u64,
    /// How often.
    #[arg(long, default_value_t = 5)]
    turns: usize,
    /// The loop's transactions have so many bytes of documents.
    #[arg(long, default_value_t = 1 << 20)]
    transaction_bytes: usize,
    /// The document to put the figures into.
    #[arg(long)]
    write: Option<PathBuf>,
    /// `cargo bench` says so.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What this program is started as by itself.
#[derive(Debug, clap::Subcommand)]
enum Part {
    /// The loop: rows of one store behind one into another one.
    #[command(hide = true)]
    Bare { from: PathBuf, behind: i64, to: PathBuf, transaction_bytes: usize },
}

/// What bringing the records of a turn took.
#[derive(Clone, Copy, Debug)]
struct Spent {
    wall_seconds: f64,
    cpu_seconds: f64,
    peak_mib: f64,
}

/// The settings of the store's writing connection (`src/sink/store/schema.rs`); those of the file are in the file.
const SETTINGS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA cache_size = -4096;
    PRAGMA wal_autocheckpoint = 1000;
    PRAGMA journal_size_limit = 8388608;
    PRAGMA secure_delete = FAST;
    PRAGMA temp_store = MEMORY;";

const INSERT: &str = "INSERT INTO records
    (id, timestamp_us, log_file_path, log_inode, log_generation, log_offset_bytes, log_length_bytes, document)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

fn main() {
    let arguments = Arguments::parse();
    if let Some(Part::Bare { from, behind, to, transaction_bytes }) = &arguments.part {
        return insert(from, *behind, to, *transaction_bytes);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    let (store, bare) = (path(&format!("state/{PIPELINE}/store.sqlite")), path("bare.sqlite"));
    let text = shared::pipeline_into("logs/*.ndjson", "store: {}");
    std::fs::write(path("bench.yaml"), text).expect("the pipeline file");
    std::fs::create_dir(path("logs")).expect("a folder");
    println!("{}, {}", shared::machine(), shared::commit());
    let mut records = Records::new();
    let filled = bring(folder.path(), &mut records, arguments.held);
    println!("an empty store takes {} records in {:.1} s", arguments.held, filled.wall_seconds);
    std::fs::copy(&store, &bare).expect("a copy");
    let mut turns = Vec::new();
    for turn in 0..arguments.turns as u64 {
        let inferlog = bring(folder.path(), &mut records, arguments.records);
        let behind = arguments.held + turn * arguments.records;
        let bare = bare_loop(&store, behind, &bare, arguments.transaction_bytes);
        tell("inferlog", arguments.records, &inferlog);
        tell("bare loop", arguments.records, &bare);
        turns.push((inferlog, bare));
    }
    let median = |figure: fn(&Spent, &Spent) -> f64| {
        let mut figures: Vec<f64> = turns.iter().map(|(inferlog, bare)| figure(inferlog, bare)).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    let records = arguments.records as f64;
    let rows = format!(
        "| | records a second | CPU-seconds a million | peak MiB |\n| --- | ---: | ---: | ---: |\n\
         | inferlog | {:.0} | {:.2} | {:.1} |\n| bare loop | {:.0} | {:.2} | |\n\n\
         inferlog's rate is {:.0} % of the loop's ({:.0} to {:.0}).",
        records / median(|inferlog, _| inferlog.wall_seconds),
        1e6 / records * median(|inferlog, _| inferlog.cpu_seconds),
        median(|inferlog, _| inferlog.peak_mib),
        records / median(|_, bare| bare.wall_seconds),
        1e6 / records * median(|_, bare| bare.cpu_seconds),
        100.0 * median(share),
        100.0 * turns.iter().map(|(inferlog, bare)| share(inferlog, bare)).fold(f64::INFINITY, f64::min),
        100.0 * turns.iter().map(|(inferlog, bare)| share(inferlog, bare)).fold(0.0, f64::max),
    );
    println!("medians:\n\n{rows}");
    if let Some(document) = &arguments.write {
        let (commit, machine, command) = (shared::commit(), shared::machine(), shared::command("store"));
        let Arguments { held, records, turns, .. } = arguments;
        let section = format!(
            "Measured at {commit} on {machine}; {records} records into a store that holds {held} and more, {turns} times by \
             turns with the loop: medians. Again:\n\n    {command}\n\n{rows}"
        );
        shared::write_section(document, "store", &section);
    }
}

/// What inferlog's rate is of the loop's.
fn share(inferlog: &Spent, bare: &Spent) -> f64 {
    bare.wall_seconds / inferlog.wall_seconds
}

fn tell(who: &str, records: u64, spent: &Spent) {
    println!(
        "  {who:>9}: {:>7.0} records/s, {:.2} s wall, {:.2} s CPU, peak {:.1} MiB",
        records as f64 / spent.wall_seconds,
        spent.wall_seconds,
        spent.cpu_seconds,
        spent.peak_mib
    );
}

/// Has inferlog bring the next records, which are all that its folder holds.
fn bring(folder: &Path, records: &mut Records, count: u64) -> Spent {
    let log = folder.join(format!("logs/{}.ndjson", fastrand::u64(..)));
    let mut file = BufWriter::new(std::fs::File::create(&log).expect("a log file"));
    let mut text = String::new();
    for _ in 0..count.div_ceil(1_000) {
        text.clear();
        records.write(1_000, &mut text);
        file.write_all(text.as_bytes()).expect("room on the disk");
    }
    file.into_inner().expect("room on the disk").sync_all().expect("a disk");
    let started = Instant::now();
    let mut program = shared::program();
    shared::run_once(&mut program, &folder.join("state"), &folder.join("bench.yaml"));
    let spent = wait(program.spawn().expect("inferlog"), |_| ());
    let wall_seconds = started.elapsed().as_secs_f64();
    assert!(spent.status.success(), "inferlog ended well");
    std::fs::remove_file(log).expect("the log file");
    let cpu_seconds = spent.user_seconds + spent.system_seconds;
    Spent { wall_seconds, cpu_seconds, peak_mib: spent.peak_mib }
}

/// Runs the loop in a process of its own.
fn bare_loop(from: &Path, behind: u64, to: &Path, transaction_bytes: usize) -> Spent {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.arg("bare").arg(from).arg(behind.to_string()).arg(to).arg(transaction_bytes.to_string());
    let told = command.stderr(Stdio::inherit()).output().expect("the loop");
    assert!(told.status.success(), "the loop ended well");
    let text = String::from_utf8_lossy(&told.stdout);
    let figures: Vec<f64> = text.split_whitespace().map(|figure| figure.parse().expect("a figure")).collect();
    let [wall_seconds, cpu_seconds, peak_mib] = figures[..] else { panic!("three figures, not {text}") };
    Spent { wall_seconds, cpu_seconds, peak_mib }
}

type Row = (String, i64, Option<String>, Option<i64>, Option<u32>, Option<i64>, Option<u32>, String);

/// The loop: prints wall seconds, CPU seconds, and peak MiB.
fn insert(from: &Path, behind: i64, to: &Path, transaction_bytes: usize) {
    let rows = rows(from, behind).expect("rows");
    let before = usage_of(std::process::id());
    let started = Instant::now();
    insert_all(to, &rows, transaction_bytes).expect("room in the other store");
    let (wall_seconds, after) = (started.elapsed().as_secs_f64(), usage_of(std::process::id()));
    println!("{wall_seconds} {} {}", after.cpu_seconds - before.cpu_seconds, after.peak_mib);
}

fn rows(from: &Path, behind: i64) -> rusqlite::Result<Vec<Row>> {
    let connection = Connection::open(from)?;
    let mut statement = connection.prepare(
        "SELECT id, timestamp_us, log_file_path, log_inode, log_generation, log_offset_bytes, log_length_bytes, document
         FROM records WHERE rowid > ?1 ORDER BY rowid",
    )?;
    let rows = statement.query_map([behind], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?))
    })?;
    rows.collect()
}

fn insert_all(to: &Path, rows: &[Row], transaction_bytes: usize) -> rusqlite::Result<()> {
    let connection = Connection::open(to)?;
    connection.execute_batch(SETTINGS)?;
    let mut statement = connection.prepare(INSERT)?;
    let mut bytes = 0;
    connection.execute_batch("BEGIN IMMEDIATE")?;
    for row in rows {
        statement.execute((&row.0, row.1, &row.2, row.3, row.4, row.5, row.6, &row.7))?;
        bytes += row.7.len();
        if bytes >= transaction_bytes {
            connection.execute_batch("COMMIT; BEGIN IMMEDIATE")?;
            bytes = 0;
        }
    }
    connection.execute_batch("COMMIT")
}
