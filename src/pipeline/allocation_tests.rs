//! Allocations: how many does the chain make for each record, once its buffers have grown?
//!
//! A real log is read chunk by chunk. A chunk costs a few allocations, its batch some more; what is held here is that
//! there are far fewer of them than records.

use std::fmt::Write as _;
use std::time::Duration;

use super::build::build;
use super::{Limits, Turn};
use crate::config::{self, Environment};
use crate::telemetry::Telemetry;

const LINES: usize = 8_000;

/// Chunks before the count begins: buffers grow in them.
const WARM_CHUNKS: usize = 2;

/// Allocations per record of a whole chunk: its mark, its tally, and the growth of a batch that no sink gives back.
const PER_RECORD_MAX: f64 = 0.1;

/// A record of about 380 bytes.
fn record(number: usize) -> String {
    format!(
        r#"{{"timestamp":"2026-11-23T10:00:{:02}.{:06}Z","event":"inference","request_id":"req-{number:012}","model_name":"fraud","model_version":"3.2.1","prediction":"legit","confidence":0.{:04},"latency_ms":{}.5,"features":{{"amount":{}.25,"country":"DE","age_days":{},"channel":"web","items":[1,2,3],"is_new":false}},"status":"ok","level":"info","logger":"model_server","thread":"worker-3","message":"scored"}}"#,
        number % 60,
        number % 1_000_000,
        6_001 + number % 3_000,
        10 + number % 40,
        number % 1_000,
        number % 365,
    )
}

fn docker(number: usize) -> String {
    let log = serde_json::Value::from(record(number) + "\n");
    format!(r#"{{"log":{log},"stream":"stdout","time":"2026-11-23T10:00:00.123456789Z"}}"#)
}

fn cri(number: usize) -> String {
    format!("2026-11-23T10:00:00.123456789Z stdout F {}", record(number))
}

/// With an address and a program that are looked up; what is inside of an object costs an allocation a name, for all alike.
fn of_client(number: usize) -> String {
    format!(
        "{{\"client.ip\":\"203.0.113.{}\",\"agent\":\"curl/8.5.{}\",{}",
        number % 250,
        number % 9,
        &record(number)[1..]
    )
}

/// The enrichment of the default pipeline, without what hides a member.
const ENRICH: &str = "enrich:
  - timestamp: { from: [timestamp] }
  - hash: { fields: [features], into: input_hash, when: \"not input_hash : *\" }
  - redact: { fields: [user.email] }
  - flag: { into: low_confidence, when: \"confidence < 0.6\" }
  - add: { fields: { service.name: anomaly-detector } }
";

/// Allocations per record of the chunks behind the warm ones.
fn per_record(pipeline: &str, line: fn(usize) -> String) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let mut log = String::new();
    (0..LINES).for_each(|number| writeln!(log, "{}", line(number)).unwrap());
    fs_err::write(folder.path().join("a.log"), log).unwrap();
    let file = folder.path().join("p.yaml");
    fs_err::write(&file, format!("source: {{ files: {{ paths: [a.log] }} }}\nsink: stdout\n{pipeline}")).unwrap();
    let pipelines = config::load_with(&[file], &Environment::new(|_| None)).unwrap();
    let timeout = Duration::from_secs(60);
    let limits =
        Limits { once: true, once_timeout: timeout, shutdown_timeout: timeout, unacknowledged_bytes_max: u64::MAX };
    let counters = Telemetry::default().pipeline("p");
    let mut built = build(&pipelines[0], &folder.path().join("data"), limits, counters.clone(), None).unwrap();
    for _ in 0..WARM_CHUNKS {
        assert_eq!(built.pipeline.take_next_chunk(), Turn::Busy);
        built.pipeline.send();
    }
    let before = counters.decode_records_total.get();
    let counted = allocation_counter::measure(|| assert_eq!(built.pipeline.take_next_chunk(), Turn::Busy));
    let records = counters.decode_records_total.get() - before;
    assert!(records > 100, "{records} records in a chunk");
    counted.count_total as f64 / records as f64
}

#[test]
fn the_steady_state_allocates_nothing_per_record() {
    assert!(allocation_counter::measure(|| drop(std::hint::black_box(vec![1]))).count_total > 0, "it counts nothing");
    let with = |decode: &str| format!("decode: {decode}\n{ENRICH}");
    let dropping = with("json") + "  - drop: { name: all, when: \"event : inference\" }\n";
    let places = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/processors/places.mmdb");
    let geoip = format!("  - geoip: {{ field: client.ip, database: \"{places}\" }}\n");
    let looked_up = with("json") + &geoip + "  - user_agent: { field: agent }\n";
    let observed = with("json") + "observe: [ model_metrics: {} ]\n";
    let mut wrong = String::new();
    for (name, pipeline, line) in [
        ("plain", with("json"), record as fn(usize) -> String),
        ("observed", observed, record),
        ("dropped", dropping, record),
        ("looked up", looked_up, of_client),
        ("docker", with("[docker, json]"), docker),
        ("cri", with("[cri, json]"), cri),
    ] {
        let count = per_record(&pipeline, line);
        if count > PER_RECORD_MAX {
            writeln!(wrong, "{name}: {count:.2} allocations per record").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
