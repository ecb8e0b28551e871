//! What the benches share: records as a model server writes them, an endpoint that counts, and what a process used.

#![allow(dead_code, reason = "each bench uses some of it")]

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The kernel's clock ticks a second, as /proc counts CPU time (`USER_HZ`, 100 on every Linux platform of ours).
const TICKS_PER_SECOND: f64 = 100.0;

/// A pipeline with the default enrichment and two hashes, of the features and of the line.
pub(crate) fn pipeline(paths: &str) -> String {
    format!(
        r#"
source:
  files: {{ paths: ["{paths}"] }}
decode: json
enrich:
  - timestamp: {{ from: [timestamp] }}
  - hash:   {{ fields: [features], into: input_hash, when: "not input_hash : *" }}
  - redact: {{ fields: [user.email] }}
  - flag:   {{ into: low_confidence, when: "confidence < 0.6" }}
  - add:    {{ fields: {{ service.name: anomaly-detector }} }}
sink:
  elasticsearch: {{ hosts: ["${{ENDPOINT}}"], data_stream: logs-ml.inference-default, gzip: "${{GZIP:false}}" }}
"#
    )
}

/// The program to measure: `INFERLOG_PROGRAM`, or the one built with the bench.
pub(crate) fn program() -> Command {
    Command::new(std::env::var("INFERLOG_PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_inferlog").to_owned()))
}

/// What a process has used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// User and system time of all its threads.
    pub(crate) cpu_seconds: f64,
    /// Resident memory now.
    pub(crate) resident_mib: f64,
    /// The most resident memory so far.
    pub(crate) peak_mib: f64,
    /// It has ended, and is not reaped.
    pub(crate) is_over: bool,
}

/// Asks the kernel; of a process that has ended the memory is not told any more.
pub(crate) fn usage(child: &Child) -> Usage {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", child.id())).unwrap_or_default();
    let status = read("status");
    let mib = |name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        value.trim().trim_end_matches(" kB").parse().unwrap_or(0.0) / 1024.0
    };
    let stat = read("stat");
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks: f64 = fields.iter().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    Usage {
        cpu_seconds: ticks / TICKS_PER_SECOND,
        resident_mib: mib("VmRSS:"),
        peak_mib: mib("VmHWM:"),
        is_over: fields.first().is_some_and(|state| *state == "Z"),
    }
}

/// An endpoint in a process of its own, so that its CPU time is not inferlog's.
pub(crate) struct Endpoint {
    child: Child,
    asked: ChildStdin,
    told: BufReader<ChildStdout>,
    /// Where it listens.
    pub(crate) url: String,
}

impl Endpoint {
    /// Starts this bench anew as the endpoint: [`serve`] has to be called where the argument is `endpoint`.
    pub(crate) fn start() -> Endpoint {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .arg("endpoint")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the endpoint");
        let mut told = BufReader::new(child.stdout.take().expect("its stdout"));
        let asked = child.stdin.take().expect("its stdin");
        let url = next_line(&mut told);
        Endpoint { child, asked, told, url }
    }

    /// How many documents came so far.
    pub(crate) fn count(&mut self) -> u64 {
        self.asked.write_all(b"\n").expect("it listens");
        next_line(&mut self.told).parse().expect("a count")
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn next_line(from: &mut impl std::io::BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).expect("a line");
    line.trim().to_owned()
}

/// Records as a model server writes them, with members of varied values.
pub(crate) struct Records {
    random: fastrand::Rng,
    next: u64,
}

impl Records {
    /// The same ones each time.
    pub(crate) fn new() -> Records {
        Records { random: fastrand::Rng::with_seed(7), next: 0 }
    }

    /// Appends so many lines to `text`.
    pub(crate) fn write(&mut self, records: u64, text: &mut String) {
        let random = &mut self.random;
        for n in self.next..self.next + records {
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
        self.next += records;
    }
}

/// Answers bulk requests with as many 201 as they have documents, and counts those. Tells the count for each line on its
/// standard input, and ends with it.
pub(crate) fn serve() {
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
    for _ in std::io::stdin().lines() {
        println!("{}", count.load(Ordering::SeqCst));
    }
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
