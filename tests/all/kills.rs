//! `kill -9` at hundreds of random moments, over files that grow and become more: nothing missing, nothing twice.
//!
//! Every fiftieth line is no record, so most kills fall between an entry of the dead letter and the checkpoint that covers
//! it; and most fall between a line that observers have counted and its commit, so that the line is read again. How many did
//! is counted and printed.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::endpoint::Endpoint;
use crate::numbered::{
    Fate, Found, Workshop, account_sums, expected_sums, fate, is_long, lines, reason_sum, report, seed,
};
use crate::observe_drift::BASELINE;

/// Lines written in one go, to one file.
const BURST: u64 = 20;
const FILES_MAX: usize = 60;

/// Writes to one of ever more files every few milliseconds, until told to stop; gives the number of records.
fn write(workshop: &Workshop, seed: u64, stop: &Arc<AtomicBool>) -> JoinHandle<u64> {
    let (folder, stop) = (workshop.path("logs"), Arc::clone(stop));
    std::thread::spawn(move || {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut files: Vec<File> = Vec::new();
        let mut number = 0;
        while !stop.load(Ordering::Acquire) {
            if files.is_empty() || (files.len() < FILES_MAX && random.u8(..30) == 0) {
                let path = folder.join(format!("{:02}.log", files.len()));
                files.push(File::options().create(true).append(true).open(path).unwrap());
            }
            let text = lines(number..number + BURST);
            number += BURST;
            let cut = random.usize(..text.len());
            let file = random.usize(..files.len());
            files[file].write_all(&text.as_bytes()[..cut]).unwrap();
            std::thread::sleep(Duration::from_millis(random.u64(..12)));
            files[file].write_all(&text.as_bytes()[cut..]).unwrap();
        }
        number
    })
}

/// How long a run may last: mostly a few milliseconds, some long enough for checkpoints.
fn run_for(random: &mut fastrand::Rng) -> Duration {
    Duration::from_millis(match random.u8(..10) {
        0..6 => random.u64(..60),
        6..9 => random.u64(60..250),
        _ => random.u64(500..900),
    })
}

/// How many kills fell where they can do harm.
#[derive(Debug, Default)]
struct Between {
    /// Between an entry of the dead letter and the checkpoint that covers it.
    dead_letter: u32,
    /// Between a line that observers have counted and its commit.
    observation: u32,
}

impl Between {
    fn look(&mut self, workshop: &Workshop) {
        let files = files_in(&workshop.path("data/p/checkpoint.json"));
        self.dead_letter += u32::from(dead_letter_is_ahead(workshop, &files));
        self.observation += u32::from(observation_is_ahead(&files));
    }
}

/// What a checkpoint says of files.
pub(crate) fn files_in(checkpoint: &Path) -> Vec<Value> {
    let text = fs::read(checkpoint).unwrap_or_else(|_| b"{\"files\":[]}".to_vec());
    let checkpoint: Value = serde_json::from_slice(&text).unwrap();
    checkpoint["files"].as_array().unwrap().clone()
}

/// Whether observers have counted a line that is not committed: after a kill it is read again.
pub(crate) fn observation_is_ahead(files: &[Value]) -> bool {
    files.iter().any(|entry| entry["observed_offset_bytes"].as_u64().unwrap() > committed(entry))
}

fn committed(entry: &Value) -> u64 {
    entry["committed"]["offset_bytes"].as_u64().unwrap()
}

/// Whether the dead letter has an entry of a line that is not committed.
fn dead_letter_is_ahead(workshop: &Workshop, files: &[Value]) -> bool {
    let committed: HashMap<u64, u64> =
        files.iter().map(|entry| (entry["inode"].as_u64().unwrap(), committed(entry))).collect();
    fs::read_dir(workshop.path("data/p/dead_letter")).into_iter().flatten().any(|path| {
        let text = fs::read_to_string(path.unwrap().path()).unwrap();
        text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).any(|entry| {
            let origin = &entry["origin"];
            let committed = committed.get(&origin["inode"].as_u64().unwrap()).copied().unwrap_or(0);
            origin["offset_bytes"].as_u64().unwrap() >= committed
        })
    })
}

/// How many inferences all runs together have counted, as /metrics says.
fn counted(workshop: &Workshop) -> u64 {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let _running = workshop.start_listening(&address, &[]);
    let mut metrics = String::new();
    workshop.wait_until("/metrics answers", || {
        metrics.clear();
        let read = TcpStream::connect(&address).and_then(|mut stream| {
            stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
            stream.read_to_string(&mut metrics)
        });
        read.is_ok() && metrics.contains("model_requests_total{")
    });
    let counts = metrics.lines().filter(|line| line.starts_with("model_requests_total{"));
    counts.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// Records of documents of drift, and the values in their buckets or in none, by feature.
fn drift_sums(documents: &[Value]) -> BTreeMap<String, [u64; 2]> {
    let mut sums: BTreeMap<String, [u64; 2]> = BTreeMap::new();
    for document in documents {
        let sum = sums.entry(document["feature"].as_str().unwrap_or("(the version)").to_owned()).or_default();
        sum[0] += document["records"].as_u64().unwrap();
        let counts = &document["counts"];
        let buckets = counts["buckets"].as_array().into_iter().flatten().map(|bucket| bucket.as_u64().unwrap());
        sum[1] += buckets.sum::<u64>() + counts["unseen"].as_u64().unwrap_or(0);
    }
    sums
}

/// The pipeline with drift, in windows of 500 records.
fn observe_drift(workshop: &Workshop) {
    fs::write(workshop.path("b.json"), BASELINE).unwrap();
    let file = workshop.path("p.yaml");
    let drift = "  - model_metrics: {}\n  - drift: { baseline: b.json, window: { records: 500 } }\n";
    let text = fs::read_to_string(&file).unwrap().replace("  - model_metrics: {}\n", drift);
    assert!(text.contains(drift));
    fs::write(file, text).unwrap();
}

fn check(
    kills: u32,
    workers: u32,
    sink: &str,
    refusing: bool,
    indexed: impl Fn(&Workshop) -> Found,
    accounts: impl Fn(&Workshop) -> Vec<Value>,
    drift: impl Fn(&Workshop) -> Vec<Value>,
) {
    let seed = seed();
    let workshop = Workshop::new("[\"logs/*.log\"]", sink);
    observe_drift(&workshop);
    workshop.set_workers(workers);
    let stop = Arc::new(AtomicBool::new(false));
    let writer = write(&workshop, seed, &stop);
    let mut random = fastrand::Rng::with_seed(seed + 1);
    let (mut between, mut killed) = (Between::default(), 0);
    let started = Instant::now();
    // On until some kills fell where they can do harm.
    while killed < kills || (killed < 5 * kills && (between.dead_letter == 0 || between.observation == 0)) {
        let running = workshop.start(&[]);
        std::thread::sleep(run_for(&mut random));
        running.kill();
        between.look(&workshop);
        killed += 1;
    }
    let took = started.elapsed();
    assert!(between.dead_letter > 0, "no kill fell between the dead letter and the checkpoint");
    assert!(between.observation > 0, "no kill fell between a line that was counted and its commit");
    stop.store(true, Ordering::Release);
    let written = writer.join().unwrap();
    let code = workshop.start(&["--once"]).code();
    assert!(matches!(code, Some(0 | 1)), "{code:?}; {}", workshop.last_words());
    workshop.must_be_exact(&format!("kills, seed {seed}"), written, refusing, &indexed(&workshop));
    let expected = expected_sums(written, refusing);
    let inferences = (0..written).filter(|number| !matches!(fate(*number), Fate::Undecodable | Fate::Dropped)).count();
    let measured = ["amount", "prediction"].map(|feature| (feature.to_owned(), [inferences as u64; 2]));
    let mut measured = BTreeMap::from(measured);
    measured.insert("(the version)".to_owned(), [inferences as u64, 0]);
    // An endpoint that fails may not have taken the last one at the first stop.
    let took_all = (0..5).any(|_| {
        let accounts = accounts(&workshop);
        let is_told = account_sums(&accounts) == expected && reason_sum(&accounts) == expected[3];
        (is_told && drift_sums(&drift(&workshop)) == measured)
            || !matches!(workshop.start(&["--once"]).code(), Some(0 | 1))
    });
    assert!(took_all, "never added up, seed {seed}");
    assert_eq!(account_sums(&accounts(&workshop)), expected, "accounts through all kills, seed {seed}");
    assert_eq!(reason_sum(&accounts(&workshop)), expected[3], "dead letters by reason through all kills, seed {seed}");
    assert_eq!(drift_sums(&drift(&workshop)), measured, "drift through all kills, seed {seed}");
    assert_eq!(counted(&workshop), inferences as u64, "counted through all kills, seed {seed}");
    report(&format!(
        "kills ({}, {workers} workers, seed {seed}): {killed} in {:.1} s, {} of them between dead letter and checkpoint, {} between observation \
         and commit; {written} records; 0 missing, 0 doubled, accounts, /metrics and drift exact",
        if refusing { "endpoint" } else { "store" },
        took.as_secs_f64(),
        between.dead_letter,
        between.observation,
    ));
}

#[test]
fn two_hundred_kills_into_the_store() {
    let kills = if is_long() { 1_000 } else { 200 };
    check(kills, 1, "{ store: {} }", false, Workshop::stored, Workshop::stored_accounts, Workshop::stored_drift);
}

#[test]
fn a_hundred_kills_into_an_endpoint_that_fails_and_refuses() {
    let endpoint = Endpoint::start(seed(), 0.2);
    let kills = if is_long() { 1_000 } else { 100 };
    check(kills, 1, &endpoint.sink(), true, |_| endpoint.documents(), |_| endpoint.accounts(), |_| endpoint.drift());
}

#[test]
fn a_hundred_kills_of_three_workers() {
    let kills = if is_long() { 1_000 } else { 100 };
    check(kills, 3, "{ store: {} }", false, Workshop::stored, Workshop::stored_accounts, Workshop::stored_drift);
}

#[test]
fn only_the_very_first_start_passes_over_what_is_there() {
    let workshop = Workshop::new("[\"logs/*.log\"], first_seen: end", "{ store: {} }");
    let running = workshop.start(&[]);
    workshop.wait_until("it has looked", || workshop.path("data/p/checkpoint.json").exists());
    running.kill();
    // It appears while nobody looks, after a first start that found nothing.
    fs::write(workshop.log("a.log"), lines(0..100)).unwrap();
    workshop.start(&["--once"]).code();
    workshop.must_be_exact("first_seen: end", 100, false, &workshop.stored());
}
