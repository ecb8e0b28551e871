//! How many records a CPU-second does the whole process ship, from a file to an HTTP bulk endpoint?
//!
//! `cargo bench --profile dist --bench file_to_bulk [-- RECORDS]` writes a corpus of 380-byte records (default
//! 1,000,000), starts a counting endpoint in a process of its own, runs `inferlog run --once` on the default enrichment
//! with two hashes (of the features and of the line), and prints records per CPU-second (user and system time of the
//! whole process, as the kernel counts it), wall time and peak resident memory, for three runs, then the median. The
//! endpoint checks that every record came; its own CPU time is not inferlog's. `INFERLOG_PROGRAM` names another build to
//! measure, for before and after.

#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

mod shared;

use std::path::Path;
use std::time::{Duration, Instant};

use shared::{Endpoint, Records, Usage, usage};

const RUNS: usize = 3;

struct Measured {
    records: u64,
    cpu_seconds: f64,
    wall_seconds: f64,
    peak_mib: f64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if arguments.first().is_some_and(|argument| argument == "endpoint") {
        return shared::serve();
    }
    let records = arguments.first().and_then(|argument| argument.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bytes = write_corpus(&folder.path().join("corpus.ndjson"), records);
    std::fs::write(folder.path().join("bench.yaml"), shared::pipeline("corpus.ndjson")).expect("the pipeline file");
    println!("{records} records of {} bytes on average", bytes / records);
    for gzip in ["false", "true"] {
        let mut rates: Vec<f64> = (0..RUNS).map(|_| rate(&measure(folder.path(), gzip), records)).collect();
        rates.sort_by(f64::total_cmp);
        println!("gzip {gzip}: median {:.0} records per CPU-second\n", rates[RUNS / 2]);
    }
}

fn rate(measured: &Measured, records: u64) -> f64 {
    assert_eq!(measured.records, records, "the endpoint got every record");
    let rate = records as f64 / measured.cpu_seconds;
    println!(
        "  {rate:>9.0} records per CPU-second, {:.2} CPU-seconds, {:.2} s, peak {:.1} MiB",
        measured.cpu_seconds, measured.wall_seconds, measured.peak_mib
    );
    rate
}

/// Runs the program once over the corpus, with fresh state.
fn measure(folder: &Path, gzip: &str) -> Measured {
    let mut endpoint = Endpoint::start();
    let data = tempfile::tempdir().expect("a temporary folder");
    let started = Instant::now();
    let mut program = shared::program()
        .args(["run", "--once", "--listen", "off", "--data-dir"])
        .arg(data.path())
        .arg(folder.join("bench.yaml"))
        .envs([("ENDPOINT", endpoint.url.as_str()), ("GZIP", gzip), ("INFERLOG_LOG", "error")])
        .spawn()
        .expect("inferlog");
    let used = watch(&program);
    let wall_seconds = started.elapsed().as_secs_f64();
    assert!(program.wait().expect("its end").success(), "inferlog ended well");
    Measured { records: endpoint.count(), cpu_seconds: used.cpu_seconds, wall_seconds, peak_mib: used.peak_mib }
}

/// Waits for the end of a child that stays unreaped meanwhile, so that the kernel still tells what it used.
fn watch(child: &std::process::Child) -> Usage {
    let mut peak_mib = 0.0;
    loop {
        let used = usage(child);
        peak_mib = used.peak_mib.max(peak_mib);
        if used.is_over {
            return Usage { peak_mib, ..used };
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn write_corpus(path: &Path, records: u64) -> u64 {
    let mut text = String::new();
    Records::new().write(records, &mut text);
    std::fs::write(path, &text).expect("the corpus");
    text.len() as u64
}
