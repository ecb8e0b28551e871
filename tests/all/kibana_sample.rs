//! Documents of every kind, written by a real inferlog: what the panels of Kibana are looked at with.

use std::fmt::Write as _;
use std::fs;

use chrono::{SecondsFormat, TimeDelta, Utc};

use crate::observe_drift::BASELINE;
use crate::place::{Place, pipeline};

/// Requests, each answered by two versions of which one is a shadow.
const REQUESTS: u32 = 3_000;

/// Lines that are no records.
const BROKEN: u32 = 7;

/// Records of a version that make a window of drift.
const WINDOW_RECORDS: u32 = 1_000;

/// A place whose pipeline `p` ships into this sink all that it can write, of the last six hours. Nothing has run yet.
pub(crate) fn place(sink: &str) -> Place {
    let place = Place::new(&format!(
        "{}observe: [model_metrics: {{}}, \
         {{ drift: {{ baseline: b.json, window: {{ records: {WINDOW_RECORDS} }} }} }}, \
         {{ ground_truth: {{ labels: {{ paths: [labels/*.ndjson] }}, min_labels: 10 }} }}]\n",
        pipeline(sink)
    ));
    fs::write(place.path("b.json"), BASELINE).unwrap();
    fs::create_dir(place.path("labels")).unwrap();
    write(&place);
    place
}

/// Writes predictions, failures, broken lines, labels and reviews.
fn write(place: &Place) {
    let (mut records, mut labels) = (String::new(), String::new());
    let now = Utc::now();
    for n in 0..REQUESTS {
        let ago = TimeDelta::seconds(6 * 3_600 * i64::from(REQUESTS - n) / i64::from(REQUESTS) + 60);
        let time = (now - ago).to_rfc3339_opts(SecondsFormat::Micros, true);
        for (version, stage, at) in [("1", "primary", 0), ("2", "shadow", 1)] {
            let who = format!("\"model_name\":\"fraud\",\"model_version\":\"{version}\",\"stage\":\"{stage}\"");
            let answer = answer(n, at);
            // The same inputs come again and again, and more of them are large than in training.
            let input = format!("\"features\":{{\"amount\":{},\"country\":\"DE\"}}", n % 40);
            let line = format!("\"event\":\"inference\",\"request_id\":\"r-{n}\",{who},{input},{answer}");
            writeln!(records, "{{{line},\"timestamp\":\"{time}\"}}").unwrap();
        }
        if n % 7 == 0 && n % 25 != 3 {
            writeln!(labels, "{{\"request_id\":\"r-{n}\",\"label\":\"{}\"}}", class(n, n % 50 / 40)).unwrap();
        }
        if n % 20 == 0 {
            let decision = if n % 60 == 0 { "overridden" } else { "upheld" };
            let times =
                format!("\"opened\":\"{time}\",\"decided\":\"{}\"", now.to_rfc3339_opts(SecondsFormat::Secs, true));
            writeln!(labels, "{{\"request_id\":\"r-{n}\",\"kind\":\"review\",\"decision\":\"{decision}\",{times}}}")
                .unwrap();
        }
    }
    (0..BROKEN).for_each(|n| writeln!(records, "{{\"broken\": {n}").unwrap());
    fs::write(place.path("labels/l.ndjson"), labels).unwrap();
    place.append(records);
}

fn class(n: u32, at: u32) -> &'static str {
    if (n / 40 + at).is_multiple_of(3) { "b" } else { "a" }
}

/// What a version answered: one of 25 requests fails, and every fifth answer is not sure.
fn answer(n: u32, at: u32) -> String {
    let latency_ms = 5 + (n * 37 + at * 11) % 100 + if n % 50 == 1 { 600 } else { 0 };
    if n % 25 == 3 {
        return format!("\"status\":\"error\",\"latency_ms\":{latency_ms}");
    }
    let confidence = if n.is_multiple_of(5) { 0.45 } else { 0.7 + f64::from(n % 29) / 100.0 };
    format!(
        "\"status\":\"success\",\"latency_ms\":{latency_ms},\"prediction\":\"{}\",\"confidence\":{confidence}",
        class(n, at)
    )
}

/// Ships the sample, and has it proved that all of it is there.
pub(crate) fn run(place: &Place) {
    place.run_once_to(1);
    let reconciled = place.inferlog(&["reconcile", "p.yaml", "--data-dir", "data", "--record"]).output().unwrap();
    assert_eq!(reconciled.status.code(), Some(0), "{reconciled:?}");
}
