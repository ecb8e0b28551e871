//! How many records a CPU-second does the whole process ship, from a file to an HTTP bulk endpoint?
//!
//! `cargo bench --profile dist --bench file_to_bulk [-- RECORDS]` writes a corpus of 380-byte records (default
//! 1,000,000), starts a counting endpoint in a process of its own, runs `inferlog run --once` on the default enrichment
//! with two hashes (of the features and of the line), and prints records per CPU-second (user and system time of the
//! whole process, as the kernel counts it), wall time and peak resident memory, for three runs, then the median. The
//! endpoint checks that every record came; its own CPU time is not inferlog's. `INFERLOG_PROGRAM` names another build to
//! measure, for before and after.

#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const RUNS: usize = 3;

/// The kernel's clock ticks a second, as /proc counts CPU time (`USER_HZ`, 100 on every Linux platform of ours).
const TICKS_PER_SECOND: f64 = 100.0;

const PIPELINE: &str = r#"
source:
  files: { paths: ["corpus.ndjson"] }
decode: json
enrich:
  - timestamp: { from: [timestamp] }
  - hash:   { fields: [features], into: input_hash, when: "not input_hash : *" }
  - redact: { fields: [user.email] }
  - flag:   { into: low_confidence, when: "confidence < 0.6" }
  - add:    { fields: { service.name: anomaly-detector } }
sink:
  elasticsearch: { hosts: ["${ENDPOINT}"], data_stream: logs-ml.inference-default, gzip: "${GZIP:false}" }
"#;

struct Measured {
    records: u64,
    cpu_seconds: f64,
    wall_seconds: f64,
    peak_mib: f64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if arguments.first().is_some_and(|argument| argument == "endpoint") {
        return endpoint();
    }
    let records = arguments.first().and_then(|argument| argument.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bytes = write_corpus(&folder.path().join("corpus.ndjson"), records);
    std::fs::write(folder.path().join("bench.yaml"), PIPELINE).expect("the pipeline file");
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
    let mut endpoint = Command::new(std::env::current_exe().expect("this program"))
        .arg("endpoint")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the endpoint");
    let mut told = BufReader::new(endpoint.stdout.take().expect("its stdout"));
    let url = next_line(&mut told);
    let data = tempfile::tempdir().expect("a temporary folder");
    let started = Instant::now();
    let program = std::env::var("INFERLOG_PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_inferlog").to_owned());
    let mut program = Command::new(program)
        .args(["run", "--once", "--listen", "off", "--data-dir"])
        .arg(data.path())
        .arg(folder.join("bench.yaml"))
        .envs([("ENDPOINT", url.as_str()), ("GZIP", gzip), ("INFERLOG_LOG", "error")])
        .spawn()
        .expect("inferlog");
    let (cpu_seconds, peak_mib) = watch(&program);
    let wall_seconds = started.elapsed().as_secs_f64();
    assert!(program.wait().expect("its end").success(), "inferlog ended well");
    drop(endpoint.stdin.take());
    let records = next_line(&mut told).parse().expect("a count");
    endpoint.wait().expect("its end");
    Measured { records, cpu_seconds, wall_seconds, peak_mib }
}

fn next_line(from: &mut impl std::io::BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).expect("a line");
    line.trim().to_owned()
}

/// Waits for the end of a child that stays unreaped meanwhile, so that the kernel still tells what it used.
fn watch(child: &Child) -> (f64, f64) {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", child.id())).unwrap_or_default();
    let mut peak_kib = 0.0;
    loop {
        let peak = read("status").lines().find_map(|line| line.strip_prefix("VmHWM:").map(str::to_owned));
        peak_kib = peak.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(peak_kib);
        let stat = read("stat");
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        if fields.first().is_some_and(|state| *state == "Z") {
            let ticks: f64 = fields[11..13].iter().filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
            return (ticks / TICKS_PER_SECOND, peak_kib / 1024.0);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Records as a model server writes them, with members of varied values.
fn write_corpus(path: &Path, records: u64) -> u64 {
    let mut random = fastrand::Rng::with_seed(7);
    let mut text = String::new();
    for n in 0..records {
        let _ = writeln!(
            text,
            "{{\"event\": \"inference\", \"request_id\": \"{:032x}\", \"model_version\": \"anomaly-3.2.{}\", \"features\": \
             {{\"amount\": {}.{:02}, \"country\": \"{}\", \"age\": {}, \"hour\": {}, \"merchant\": \"m-{:04}\", \"score\": 0.{:04}}}, \
             \"prediction\": \"{}\", \"confidence\": 0.{:03}, \"latency_ms\": {}.{}, \"status\": \"success\", \"stage\": \"live\", \
             \"level\": \"info\", \"timestamp\": \"2026-11-23T{:02}:{:02}:{:02}.{:06}Z\"}}",
            random.u128(..),
            random.u8(0..3),
            random.u16(1..2_000),
            random.u8(1..100),
            ["DE", "FR", "IT", "US"][random.usize(0..4)],
            random.u8(18..90),
            random.u8(0..24),
            random.u16(0..10_000),
            random.u16(1..10_000),
            ["fraud", "legitimate"][random.usize(0..2)],
            random.u16(1..1_000),
            random.u8(1..90),
            random.u8(0..10),
            n / 3_600_000 % 24,
            n / 60_000 % 60,
            n / 1_000 % 60,
            n % 1_000_000,
        );
    }
    std::fs::write(path, &text).expect("the corpus");
    text.len() as u64
}

/// Answers bulk requests with as many 201 as they have documents, and counts those; ends with its standard input.
fn endpoint() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    println!("http://{}", listener.local_addr().expect("an address"));
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let count = Arc::clone(&counted);
            std::thread::spawn(move || answer_all(stream, &count));
        }
    });
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    println!("{}", count.load(Ordering::SeqCst));
}

fn answer_all(stream: TcpStream, count: &AtomicU64) -> Option<()> {
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::with_capacity(1 << 20, stream);
    let mut body = Vec::new();
    loop {
        let (mut length, mut gzip, mut line) = (0_usize, false, String::new());
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let is_account = line.contains("/metrics-ml.pipeline-");
        loop {
            line.clear();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let header = line.trim().to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            gzip |= header == "content-encoding: gzip";
            if header.is_empty() {
                break;
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body).ok()?;
        let documents = documents(&body, gzip);
        count.fetch_add(if is_account { 0 } else { documents as u64 }, Ordering::SeqCst);
        let items = vec!["{\"create\":{\"status\":201}}"; documents].join(",");
        let answer = format!("{{\"took\":1,\"errors\":false,\"items\":[{items}]}}");
        // One write: a head and a body apart would wait for each other.
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-elastic-product: Elasticsearch";
        writer.write_all(format!("{head}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len()).as_bytes()).ok()?;
    }
}

fn documents(body: &[u8], gzip: bool) -> usize {
    if !gzip {
        return memchr::memchr_iter(b'\n', body).count() / 2;
    }
    let mut text = Vec::new();
    let _ = flate2::read::GzDecoder::new(body).read_to_end(&mut text);
    memchr::memchr_iter(b'\n', &text).count() / 2
}
