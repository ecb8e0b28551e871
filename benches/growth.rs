//! Does a record cost the same however many files there are, and however long a file is?
//!
//! `cargo bench --profile dist --bench growth [-- OPTIONS]` ships, by `inferlog run --once` to a counting endpoint,
//! - the same number of records out of 1 file, and of more and more files;
//! - one file that is longer and longer, whole, and then what was appended to it, with the checkpoint of before;
//!
//! and prints the CPU time of the whole process for a million records, start included, and its peak of resident memory.
//! The file of 10 GB takes that much of the disk: `--megabytes 1,10,100` does without.

#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

mod shared;

use std::path::{Path, PathBuf};

use clap::Parser;
use shared::{Endpoint, PART_RECORDS, Records, SPREAD, Spent, append, spread};

/// More files, longer files.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    part: Option<shared::Part>,
    /// Over how many files the records are spread.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 100, 1_000, 10_000])]
    files: Vec<u64>,
    /// How many records.
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,
    /// How long the one file is, in MB.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 100, 1_000, 10_000])]
    megabytes: Vec<u64>,
    /// How many records are appended to it.
    #[arg(long, default_value_t = 200_000)]
    appended: u64,
    /// The document to put the figures into.
    #[arg(long)]
    write: Option<PathBuf>,
}

fn main() {
    let arguments = Arguments::parse_from(std::env::args().filter(|argument| argument != "--bench"));
    if arguments.part.is_some() {
        return shared::serve();
    }
    let mut text = String::new();
    let mut tell = |line: String| {
        println!("{line}");
        text.push_str(&line);
        text.push('\n');
    };
    tell(format!(
        "| files, {} records | CPU-seconds a million | peak MiB |\n| ---: | ---: | ---: |",
        arguments.records
    ));
    for &files in &arguments.files {
        let spent = many(files, arguments.records);
        tell(format!("| {files} | {:.2} | {} |", per_million(&spent, arguments.records), peak(&spent)));
    }
    tell(String::new());
    tell(format!(
        "| one file, MB | records | CPU-seconds a million | peak MiB | {} records appended, CPU-seconds a million | peak MiB |\n\
         | ---: | ---: | ---: | ---: | ---: | ---: |",
        arguments.appended
    ));
    for &megabytes in &arguments.megabytes {
        let (records, whole, more) = long(megabytes * 1_000_000, arguments.appended);
        let (first, second) = (per_million(&whole, records), per_million(&more, arguments.appended));
        tell(format!("| {megabytes} | {records} | {first:.2} | {} | {second:.2} | {} |", peak(&whole), peak(&more)));
    }
    if let Some(document) = &arguments.write {
        let (commit, machine, command) = (shared::commit(), shared::machine(), shared::command("growth"));
        let section = format!("Measured at {commit} on {machine}. Again:\n\n    {command}\n\n{text}");
        shared::write_section(document, "growth", &section);
    }
}

fn per_million(spent: &Spent, records: u64) -> f64 {
    (spent.user_seconds + spent.system_seconds) * 1e6 / records as f64
}

/// The peak of memory, where the run was long enough to be looked at once it was there.
fn peak(spent: &Spent) -> String {
    if spent.peak_mib >= 1.0 { format!("{:.1}", spent.peak_mib) } else { "not seen".to_owned() }
}

/// Ships records that are spread over some files.
fn many(files: u64, records: u64) -> Spent {
    let folder = tempfile::tempdir().expect("a temporary folder");
    spread(folder.path(), files, records);
    write_pipeline(folder.path(), SPREAD);
    run(folder.path(), records)
}

/// Ships a file of so many bytes, and then what is appended; gives how many records it had.
fn long(bytes: u64, appended: u64) -> (u64, Spent, Spent) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("log.ndjson");
    let (mut source, mut records) = (Records::new(), 0);
    while std::fs::metadata(&path).map_or(0, |metadata| metadata.len()) < bytes {
        append(&mut source, &path, PART_RECORDS);
        records += PART_RECORDS;
    }
    write_pipeline(folder.path(), "log.ndjson");
    let whole = run(folder.path(), records);
    append(&mut source, &path, appended);
    (records, whole, run(folder.path(), appended))
}

fn write_pipeline(folder: &Path, paths: &str) {
    std::fs::write(folder.join("bench.yaml"), shared::pipeline(paths)).expect("the pipeline file");
}

/// Runs inferlog until it has shipped so many records; its state stays in the folder.
fn run(folder: &Path, records: u64) -> Spent {
    let mut endpoint = Endpoint::start();
    let mut program = shared::program();
    shared::run_once(&mut program, &folder.join("state"), &folder.join("bench.yaml")).env("ENDPOINT", &endpoint.url);
    let spent = shared::wait(program.spawn().expect("inferlog"), |_| ());
    assert!(spent.status.success(), "inferlog ended well");
    assert_eq!(endpoint.count(), records, "the endpoint got every record");
    spent
}
