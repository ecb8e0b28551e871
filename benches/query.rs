//! How long do compliance queries take?
//!
//! `cargo bench --bench query [-- RECORDS [URL]]` puts records of about 700 bytes (default 1,000,000), spread over 24 hours, into an embedded
//! store and asks it: the last hour's and the whole day's `confidence < 0.6 and features.merchant : m-01*`, one input's
//! predictions, and more. It prints how many records each finds and the median of three times.
//!
//! With the URL of an Elasticsearch (no security), the same records go there under an index of the bench's own, which must
//! give the same counts; then all rows are streamed out of it as json and csv by the built program, whose peak of
//! resident memory is printed.

#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, Utc};
use inferlog::elastic::client::{Body, Client, Method};
use inferlog::elastic::installation::Installation;
use inferlog::elastic::options::ClientOptions;
use inferlog::elastic::search::Search;
use inferlog::elastic::setup;
use inferlog::elastic::target::Target;
use inferlog::flow::answer::{Answer, Outcome};
use inferlog::flow::batch::{Batch, ID_CHARACTERS, Id, Origin, SourceFile, Stream};
use inferlog::flow::question::{Order, Question};
use inferlog::kql::Expression;
use inferlog::sink::elasticsearch::{Elasticsearch, ElasticsearchOptions};
use inferlog::sink::store::{self, Retention, Store};
use inferlog::sink::{Request, Sink};

const RUNS: usize = 3;

const BATCH_ITEMS: u64 = 4_000;

/// 2026-11-23T00:00:00Z.
const DAY_MS: i64 = 1_795_392_000_000;

const HOUR_MS: i64 = 3_600_000;

const STREAM: &str = "logs-ml.inference-bench-query";

/// Hours back from the end of the day, and what is asked.
const QUESTIONS: [(i64, &str); 7] = [
    (1, "confidence < 0.6 and features.merchant : m-01*"),
    (24, "confidence < 0.6 and features.merchant : m-01*"),
    (24, "confidence < 0.6"),
    (24, "not confidence : *"),
    (24, "input_hash : \"000000000000000000000000000000000000000000000000000000000007a120\""),
    (24, "features.amount > 1990 and not features.country : (DE or FR)"),
    (24, "model_version : anomaly-3.2.1 and status : error"),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let records = arguments.first().and_then(|argument| argument.parse().ok()).unwrap_or(1_000_000);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("store.sqlite");
    let started = Instant::now();
    let store =
        Store::open(store::StoreOptions { path: path.clone(), retention: Retention::default() }).expect("a store");
    runtime.block_on(deliver_all(&store, records));
    drop(store);
    println!("{records} records in the store after {:.1} s", started.elapsed().as_secs_f64());
    let counts = ask_store(&path);
    if let Some(url) = arguments.get(1) {
        runtime.block_on(ask_elasticsearch(url, records, &counts));
        for format in ["json", "csv"] {
            stream(url, folder.path(), format, records);
        }
    }
}

fn question(hours: i64, text: &str) -> Question {
    let condition = Expression::parse(text).expect("KQL");
    let until_ms = DAY_MS + 24 * HOUR_MS;
    Question {
        stream: Stream::Records,
        condition,
        from_ms: Some(until_ms - hours * HOUR_MS),
        until_ms: Some(until_ms),
        order: Order::NEWEST_FIRST,
    }
}

fn ask_store(path: &Path) -> Vec<u64> {
    let reader = Store::open_read_only(path).expect("the store");
    let mut counts = Vec::new();
    for (hours, text) in QUESTIONS {
        let question = question(hours, text);
        let (mut found, mut counted) = (Vec::new(), Vec::new());
        let mut rows = 0_u64;
        for _ in 0..RUNS {
            rows = 0;
            let started = Instant::now();
            let search = reader.search(&question, &mut |_| {
                rows += 1;
                std::ops::ControlFlow::Continue(())
            });
            search.expect("rows");
            found.push(started.elapsed());
            let started = Instant::now();
            assert_eq!(reader.count_of(&question).expect("a count"), rows);
            counted.push(started.elapsed());
        }
        println!(
            "  {rows:>8} rows in {:>5} ms, counted in {:>5} ms: {hours:>2} h of `{text}`",
            median(&mut found).as_millis(),
            median(&mut counted).as_millis()
        );
        counts.push(rows);
    }
    counts
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

async fn ask_elasticsearch(url: &str, records: u64, counts: &[u64]) {
    let client_options = ClientOptions::new(vec![url::Url::parse(url).expect("a URL")]);
    let client = Client::new(&client_options).expect("a client");
    let target = Target::data_stream(STREAM).expect("a name");
    let installation = Installation::new(&target);
    setup::apply(&client, &installation, setup::Conflicts::Overwrite).await.expect("the templates");
    let sink = Elasticsearch::new(&ElasticsearchOptions::new(client_options, target.clone())).expect("a sink");
    let started = Instant::now();
    deliver_all(&sink, records).await;
    println!("{records} records in Elasticsearch after {:.1} s", started.elapsed().as_secs_f64());
    let refresh = format!("{STREAM}/_refresh");
    client.send(Method::Post, &refresh, &Body::None).await.expect("a refresh");
    for ((hours, text), expected) in QUESTIONS.into_iter().zip(counts) {
        let question = question(hours, text);
        let started = Instant::now();
        let search = Search::new(&client, &target, &question).await.expect("a search");
        let count = search.count().await.expect("a count");
        println!("  {count:>8} counted in {:>5} ms: {hours:>2} h of `{text}`", started.elapsed().as_millis());
        assert_eq!(count, *expected, "{text}");
    }
}

/// Streams all rows by the built program into nothing.
fn stream(url: &str, folder: &Path, format: &str, records: u64) {
    let pipeline = format!(
        "source: {{ files: {{ paths: [\"none.ndjson\"] }} }}\ndecode: json\n\
         sink: {{ elasticsearch: {{ hosts: [\"{url}\"], data_stream: {STREAM} }} }}\n"
    );
    std::fs::write(folder.join("bench.yaml"), pipeline).expect("the pipeline file");
    let program = std::env::var("INFERLOG_PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_inferlog").to_owned());
    let started = Instant::now();
    let program = Command::new(program)
        .args(["query", "*", "--format", format, "--data-dir", ".", "--manifest", "manifest.json", "--pipeline"])
        .arg("bench.yaml")
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("inferlog");
    let peaks_kib = watch(program);
    let manifest = std::fs::read_to_string(folder.join("manifest.json")).expect("a manifest");
    assert!(manifest.contains(&format!("\"count\": {records}")), "{manifest}");
    let at = |share: usize| peaks_kib.get(peaks_kib.len() * share / 100).copied().unwrap_or_default() / 1024;
    println!(
        "  {records} rows of {format} out of Elasticsearch in {:.1} s; resident MiB after 10, 50, 99 % of the time: {}, {}, {}",
        started.elapsed().as_secs_f64(),
        at(10),
        at(50),
        at(99)
    );
}

/// Waits for the end; gives the resident memory in KiB from look to look.
fn watch(mut program: Child) -> Vec<u64> {
    let mut seen = Vec::new();
    loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        seen.extend(resident.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok()));
        if let Some(status) = program.try_wait().expect("its state") {
            assert!(status.success(), "inferlog ended well");
            return seen;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Delivers all records in batches, again where a sink is busy.
async fn deliver_all(sink: &dyn Sink, records: u64) {
    let mut random = fastrand::Rng::with_seed(7);
    let mut next = 0;
    while next < records {
        let mut batch = Batch::default();
        let file = SourceFile { path: "/logs/bench.ndjson".to_owned(), inode: 7, ..SourceFile::default() };
        let file = batch.file(&Arc::new(file));
        for number in next..(next + BATCH_ITEMS).min(records) {
            let (timestamp_us, document) = document(&mut random, number, records);
            let mut id = [b'-'; ID_CHARACTERS];
            let text = format!("{number}");
            id[..text.len()].copy_from_slice(text.as_bytes());
            let origin = Origin { file, offset_bytes: number * 400, length_bytes: 400, ordinal: 0 };
            batch.push(Id(id), timestamp_us, origin, |body| body.extend_from_slice(document.as_bytes()));
        }
        next += BATCH_ITEMS;
        let request = Request { batch: Arc::new(batch), selection: None };
        let is_in = |outcome: &Outcome| matches!(outcome, Outcome::Indexed | Outcome::Duplicate);
        while !matches!(sink.deliver(&request).await, Answer::Items(outcomes) if outcomes.iter().all(is_in)) {}
    }
}

/// A document as the default pipeline makes it.
fn document(random: &mut fastrand::Rng, number: u64, records: u64) -> (i64, String) {
    let timestamp_us = DAY_MS * 1000 + (number as i64) * (24 * HOUR_MS * 1000) / (records as i64);
    let time = DateTime::<Utc>::from_timestamp_micros(timestamp_us).expect("a time");
    let time = time.to_rfc3339_opts(SecondsFormat::Micros, true);
    let confidence = match random.u8(..100) {
        0 => "null".to_owned(),
        _ => format!("0.{:03}", random.u16(1..1_000)),
    };
    let mut text = String::new();
    let _ = write!(
        text,
        "{{\"event\": \"inference\", \"request_id\": \"{:032x}\", \"model_version\": \"anomaly-3.2.{}\", \"features\": \
         {{\"amount\": {}.{:02}, \"country\": \"{}\", \"age\": {}, \"hour\": {}, \"merchant\": \"m-{:04}\", \"score\": 0.{:04}}}, \
         \"prediction\": \"{}\", \"confidence\": {confidence}, \"latency_ms\": {}.{}, \"status\": \"{}\", \"stage\": \"live\", \
         \"level\": \"info\", \"timestamp\": \"{time}\",\"@timestamp\":\"{time}\",\"input_hash\":\"{number:064x}\",\
         \"low_confidence\":true,\"service.name\":\"anomaly-detector\",\"host.name\":\"gpu-7\",\"agent.type\":\"inferlog\",\
         \"ecs.version\":\"8.17.0\",\"inferlog.pipeline\":\"inference\",\"inferlog.config\":\"31ad8564\",\
         \"log.file.path\":\"/logs/bench.ndjson\",\"log.offset\":{}}}",
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
        random.u8(1..90),
        random.u8(0..10),
        if random.u8(..50) == 0 { "error" } else { "success" },
        number * 400,
    );
    (timestamp_us, text)
}
