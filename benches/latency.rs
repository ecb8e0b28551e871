//! How long is it from a line that is written until its document is acknowledged?
//!
//! `cargo bench --profile dist --bench latency [-- OPTIONS]` lets `inferlog run` tail a file to which a writer appends at a
//! steady rate, and measures each record from the moment at which it was due until the endpoint has answered for it. A
//! writer that is held up writes what is due all at once, and the wait counts for each of these records: a stall is not
//! hidden by the records that were not written meanwhile (no coordinated omission). It prints p50, p99, p99.9 and the
//! longest at each rate, and what inferlog uses: CPU in percent of a core, resident memory.
//!
//! `--elasticsearch URL` puts a node (without security) behind the endpoint: a record is acknowledged when that has
//! answered. `INFERLOG_PROGRAM` names another build to measure; `--write docs/benchmarks.md` puts the figures there.

#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

mod shared;

use std::fmt::Write as _;
use std::io::{BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use clap::Parser;
use memchr::memmem;
use shared::{Records, Threads, usage};

/// The member that says when a record was due, in microseconds since the bench began.
const DUE: &[u8] = b"\"due_us\":";

/// The writer looks this often what is due.
const TICK: Duration = Duration::from_millis(1);

/// Until the first records are through, nothing is counted: connections and files are new.
const WARM_UP: Duration = Duration::from_secs(2);

/// Longer than any record should take.
const PATIENCE: Duration = Duration::from_secs(60);

/// From a written line to its acknowledgement.
#[derive(Debug, Parser)]
struct Arguments {
    /// Records a second.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 1_000, 5_000, 10_000, 50_000])]
    rates: Vec<u64>,
    /// How long each rate is held.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// A node behind the endpoint, `http://ADDRESS:PORT`.
    #[arg(long)]
    elasticsearch: Option<String>,
    /// The document to put the figures into.
    #[arg(long)]
    write: Option<PathBuf>,
}

fn main() {
    let arguments = Arguments::parse_from(std::env::args().filter(|argument| argument != "--bench"));
    let mut rows = String::from(
        "| records a second | p50 ms | p99 ms | p99.9 ms | longest ms | records | CPU, % of a core | resident MiB |\n\
         | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    print!("{rows}");
    for &rate in &arguments.rates {
        let row = measure(rate, Duration::from_secs(arguments.seconds), arguments.elasticsearch.as_deref());
        print!("{row}");
        rows.push_str(&row);
    }
    if let Some(document) = &arguments.write {
        let (name, behind) = match arguments.elasticsearch {
            Some(_) => ("latency_elasticsearch", "into a local node of Elasticsearch"),
            None => ("latency", "to an endpoint that answers at once"),
        };
        let command = shared::command("latency");
        let text = format!(
            "Measured at {} on {}, {behind}, {} s each. Again:\n\n    {command}\n\n{rows}",
            shared::commit(),
            shared::machine(),
            arguments.seconds
        );
        shared::write_section(document, name, &text);
    }
}

/// Holds a rate for a while; gives a row of the table.
fn measure(rate: u64, duration: Duration, elasticsearch: Option<&str>) -> String {
    let begun = Instant::now();
    let (told, latencies) = channel();
    let url = serve(begun, told, elasticsearch);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = folder.path().join("log.ndjson");
    std::fs::write(&log, "").expect("the log");
    std::fs::write(folder.path().join("bench.yaml"), shared::pipeline("log.ndjson")).expect("the pipeline file");
    let mut program = start(folder.path(), &url);
    write(&log, begun, begun.elapsed(), rate, WARM_UP);
    collect(&latencies, rate * WARM_UP.as_secs());
    let before = Threads::of(&program);
    let started = Instant::now();
    write(&log, begun, begun.elapsed(), rate, duration);
    let cpu_percent = 100.0 * Threads::of(&program).seconds_since(&before) / started.elapsed().as_secs_f64();
    let resident_mib = usage(&program).resident_mib;
    let mut found = collect(&latencies, rate * duration.as_secs());
    stop(&mut program);
    found.sort_unstable();
    let at = |share: f64| found[((found.len() - 1) as f64 * share) as usize] as f64 / 1_000.0;
    format!(
        "| {rate} | {:.1} | {:.1} | {:.1} | {:.1} | {} | {cpu_percent:.2} | {resident_mib:.1} |\n",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0),
        found.len()
    )
}

fn start(folder: &Path, url: &str) -> Child {
    shared::program()
        .args(["run", "--listen", "off", "--data-dir"])
        .arg(folder.join("state"))
        .arg(folder.join("bench.yaml"))
        .envs([("ENDPOINT", url), ("INFERLOG_LOG", "error")])
        .spawn()
        .expect("inferlog")
}

fn stop(program: &mut Child) {
    let process = rustix::process::Pid::from_child(program);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).expect("it is there");
    assert!(program.wait().expect("its end").success(), "inferlog ended well");
}

/// Appends records at a rate for a while, each with the moment at which it was due.
fn write(log: &Path, begun: Instant, from: Duration, rate: u64, duration: Duration) {
    let mut log = std::fs::OpenOptions::new().append(true).open(log).expect("the log");
    let (mut records, mut text) = (Records::new(), String::new());
    let due = |n: u64| from + Duration::from_nanos(n * 1_000_000_000 / rate);
    let (all, mut next) = (rate * duration.as_secs(), 0);
    while next < all {
        text.clear();
        let now = begun.elapsed();
        while next < all && due(next) <= now {
            records.write(1, &mut text);
            text.truncate(text.trim_end_matches("}\n").len());
            let _ = writeln!(text, ",\"due_us\":{}}}", due(next).as_micros());
            next += 1;
        }
        if !text.is_empty() {
            log.write_all(text.as_bytes()).expect("room on the disk");
        }
        let pause = due(next).saturating_sub(begun.elapsed());
        std::thread::sleep(if next < all { pause.max(TICK) } else { Duration::ZERO });
    }
}

/// The latencies of so many records, in microseconds.
fn collect(latencies: &Receiver<Vec<u64>>, records: u64) -> Vec<u64> {
    let mut found = Vec::with_capacity(records as usize);
    while (found.len() as u64) < records {
        found.extend(latencies.recv_timeout(PATIENCE).expect("every record comes"));
    }
    assert_eq!(found.len() as u64, records, "each record comes once");
    found
}

/// Answers bulk requests, and tells how long the records of each took.
fn serve(begun: Instant, told: Sender<Vec<u64>>, elasticsearch: Option<&str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let behind = elasticsearch.map(|url| url.trim_start_matches("http://").trim_end_matches('/').to_owned());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (told, behind) = (told.clone(), behind.clone());
            std::thread::spawn(move || answer_all(stream, begun, &told, behind.as_deref()));
        }
    });
    url
}

fn answer_all(stream: TcpStream, begun: Instant, told: &Sender<Vec<u64>>, behind: Option<&str>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::with_capacity(1 << 18, stream);
    let mut node = behind.map(|address| BufReader::new(TcpStream::connect(address).expect("the node")));
    loop {
        let (text, head, body) = shared::read_request(&mut reader)?;
        match &mut node {
            Some(node) => writer.write_all(&pass_on(node, &text, &body)?).ok()?,
            None => {
                let documents = memchr::memchr_iter(b'\n', &body).count() as u64 / 2;
                writer.write_all(&shared::answer_of(&head, documents)).ok()?;
            }
        }
        let now = begun.elapsed().as_micros() as u64;
        let latencies: Vec<u64> = due_times(&body).map(|due| now.saturating_sub(due)).collect();
        if !head.is_account && !latencies.is_empty() {
            told.send(latencies).ok()?;
        }
    }
}

/// The moments at which the documents of a body were due.
fn due_times(body: &[u8]) -> impl Iterator<Item = u64> {
    memmem::find_iter(body, DUE).map(|at| {
        let digits = body[at + DUE.len()..].iter().take_while(|byte| byte.is_ascii_digit());
        digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
    })
}

/// Asks the node, and gives its answer as it came.
fn pass_on(node: &mut BufReader<TcpStream>, head: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    node.get_mut().write_all(head).ok()?;
    node.get_mut().write_all(body).ok()?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        std::io::BufRead::read_until(node, b'\n', &mut answer).ok().filter(|count| *count > 0)?;
    }
    let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")).map(str::trim);
    if text.starts_with("http/1.1 204") || head.starts_with(b"HEAD ") {
        return Some(answer);
    }
    if let Some(length) = length {
        read_on(node, length.parse().ok()?, &mut answer)?;
        return Some(answer);
    }
    // Chunks, each behind its length in hexadecimal, up to the one of no bytes.
    loop {
        let line = answer.len();
        std::io::BufRead::read_until(node, b'\n', &mut answer).ok().filter(|count| *count > 0)?;
        let length = usize::from_str_radix(std::str::from_utf8(&answer[line..]).ok()?.trim(), 16).ok()?;
        read_on(node, length + 2, &mut answer)?;
        if length == 0 {
            return Some(answer);
        }
    }
}

fn read_on(node: &mut BufReader<TcpStream>, length: usize, answer: &mut Vec<u8>) -> Option<()> {
    let start = answer.len();
    answer.resize(start + length, 0);
    node.read_exact(&mut answer[start..]).ok()
}
