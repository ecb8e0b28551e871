//! `observe: drift` in the built binary: documents of windows arrive once, whatever is killed, and add up to what was written.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use inferlog::drift::DriftDocument;
use inferlog::elastic::target::Target;
use serde_json::Value;

use crate::kills::{files_in, observation_is_ahead};
use crate::numbered::report;
use crate::place::{Ended, Place, Signal, pipeline, start, wait_for};
use crate::support::{Method, Node};

/// A baseline of `amount`, in two buckets from 0 to 20, and of the prediction.
pub(crate) const BASELINE: &str = include_str!("../config/baselines/small.json");

const WINDOWS: u64 = 6;
const RECORDS: u64 = 3_000;

/// 2020-01-01T00:00:00Z, in seconds since 1970: windows of time are over when they are read.
const FIRST_WINDOW_S: u64 = 1_577_836_800;

fn with_drift(sink: &str, options: &str) -> String {
    format!("{}observe: [model_metrics, {{ drift: {{ baseline: b.json{options} }} }}]\n", pipeline(sink))
}

fn place(sink: &str, options: &str) -> Place {
    let place = Place::new(&with_drift(sink, options));
    std::fs::write(place.path("b.json"), BASELINE).unwrap();
    place
}

/// Puts the records of a window there, all at once.
fn write(place: &Place, window: u64) {
    std::fs::write(place.path("new"), lines(window)).unwrap();
    std::fs::rename(place.path("new"), place.path(&format!("logs/{window}.ndjson"))).unwrap();
}

/// The records of a window, of 10 s: amounts of both buckets and beyond, and in every 10th none.
fn lines(window: u64) -> String {
    let line = |n: u64| {
        let time_s = FIRST_WINDOW_S + window * 10 + n % 10;
        let features =
            if n.is_multiple_of(10) { "{}".to_owned() } else { format!("{{\"amount\":{}}}", (n * 7 + window) % 25) };
        format!(
            "{{\"event\":\"inference\",\"model_version\":\"1\",\"features\":{features},\"prediction\":\"a\",\"timestamp\":{time_s}}}\n"
        )
    };
    (0..RECORDS).map(line).collect()
}

/// What must be counted of `amount` in a window: the buckets, above, missing.
fn expected(window: u64) -> (Vec<u64>, u64, u64) {
    let amounts = (0..RECORDS).filter(|n| n % 10 != 0).map(|n| (n * 7 + window) % 25);
    let (mut buckets, mut above) = (vec![0, 0], 0);
    for amount in amounts {
        match amount {
            0..10 => buckets[0] += 1,
            10..=20 => buckets[1] += 1,
            _ => above += 1,
        }
    }
    (buckets, above, RECORDS / 10)
}

/// Fails unless these are the documents of all windows, each once.
fn must_be_exact(documents: &[String], windows: u64) {
    let mut found = BTreeMap::new();
    let (of_features, of_versions): (Vec<&String>, Vec<&String>) =
        documents.iter().partition(|text| is_of_feature(text));
    let starts: BTreeSet<String> = of_versions.iter().map(|text| version_window(text)).collect();
    assert_eq!((starts.len() as u64, of_versions.len() as u64), (windows, windows), "one for each version and window");
    for text in &of_features {
        let document = DriftDocument::read(text).unwrap();
        if document.feature == "amount" {
            let counts = document.counts;
            let counted = (counts.buckets, counts.above, counts.missing);
            assert_eq!(document.records, RECORDS, "{text}");
            assert_eq!(found.insert(document.window.start, counted), None, "a window is there twice: {text}");
        }
    }
    let all: Vec<_> = (0..windows).map(expected).collect();
    assert_eq!(found.into_values().collect::<Vec<_>>(), all);
    assert_eq!(of_features.len() as u64, 2 * windows, "one for each feature and window");
}

fn is_of_feature(text: &str) -> bool {
    !serde_json::from_str::<Value>(text).unwrap()["feature"].is_null()
}

/// When the window of a version's document begins, of which all that is counted must be told.
fn version_window(text: &str) -> String {
    let document: Value = serde_json::from_str(text).unwrap();
    let [records, features] = ["records", "features"].map(|name| document[name].as_u64().unwrap());
    assert_eq!((&document["kind"], records, features), (&"version".into(), RECORDS, 2), "{text}");
    document["window"]["start"].as_str().unwrap().to_owned()
}

fn in_store(place: &Place) -> Vec<String> {
    let store = place.store().open();
    let mut statement = store.prepare("SELECT document FROM drift ORDER BY timestamp_us").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn documents_arrive_once_through_a_kill_in_every_window() {
    let Some(node) = Node::plain("drift into Elasticsearch") else { return };
    let (records, drift) = ("logs-ml.inference-driftkill", "metrics-ml.drift-driftkill");
    for stream in [records, drift, "metrics-ml.pipeline-driftkill"] {
        node.forget(stream).await;
    }
    node.set_up(&Target::data_stream(records).unwrap()).await;
    let url = std::env::var("INFERLOG_TEST_ES_URL").unwrap();
    let sink = format!("[store, {{ elasticsearch: {{ hosts: [\"{url}\"], data_stream: {records} }} }}]");
    let place = place(&sink, &format!(", window: {{ records: {RECORDS} }}"));
    let (mut windows, mut read_again) = (0, 0);
    // On until some kills fell between the observation of a line and its commit.
    while windows < WINDOWS || (read_again == 0 && windows < 10 * WINDOWS) {
        let window = windows;
        windows += 1;
        let running = place.run();
        // Files are read in turns: what is left of the window before would be late.
        let settled = "inferlog_settled_lines_total{pipeline=\"p\"}";
        running.wait_for_metric(settled, RECORDS * window);
        write(&place, window);
        let metric = |name: &str| running.metrics().get(name).copied().unwrap_or(0);
        let is_read_again = || observation_is_ahead(&files_in(&place.path("data/p/checkpoint.json")));
        // In the middle of a window, or while its documents are on their way and its lines are not committed: by the window.
        if window % 2 == 0 {
            wait_for("lines to be read", || {
                (metric("inferlog_source_read_lines_total{pipeline=\"p\"}") > 0).then_some(())
            });
            std::thread::sleep(Duration::from_millis(20 * (window % 12)));
        } else {
            let is_over = || is_read_again() || metric(settled) == RECORDS * windows;
            wait_for("a checkpoint ahead of the commit", || is_over().then_some(()));
        }
        running.signal(Signal::KILL);
        running.wait();
        read_again += u32::from(is_read_again());
    }
    assert!(read_again > 0, "no kill fell between the observation of a line and its commit");
    place.run_once_to(0);
    must_be_exact(&in_store(&place), windows);
    let (_, answer) = node.ask(Method::Post, &format!("{drift}/_refresh"), "").await;
    assert_eq!(answer["_shards"]["failed"], 0, "{answer}");
    let body = r#"{"size":1000,"sort":["window.start"]}"#;
    let (_, found) = node.ask(Method::Post, &format!("{drift}/_search"), body).await;
    let hits = found["hits"]["hits"].as_array().unwrap();
    let documents: Vec<String> = hits.iter().map(|hit| hit["_source"].to_string()).collect();
    must_be_exact(&documents, windows);
    // The mapping knows what people ask for.
    let query = r#"{ "bool": { "filter": [{ "term": { "feature": "amount" } }, { "range": { "out_of_range": { "gt": 0.1 } } },
                   { "term": { "baseline.fallback": false } }, { "term": { "alarm": true } }] } }"#;
    assert_eq!(node.count(drift, query).await, windows);
    let query = r#"{ "bool": { "filter": [{ "term": { "kind": "version" } }, { "range": { "psi_max": { "gt": 0.2 } } },
                   { "prefix": { "top_features": "(prediction) " } }, { "term": { "min_sample_reached": true } }] } }"#;
    assert_eq!(node.count(drift, query).await, windows);
    report(&format!(
        "{windows} kills, {read_again} of them between observation and commit; every window's documents once"
    ));
    for stream in [records, drift, "metrics-ml.pipeline-driftkill"] {
        node.forget(stream).await;
    }
}

#[test]
fn a_window_ends_without_a_further_record_and_its_gauges_survive_a_restart() {
    let place = place("store", ", window: 7d");
    let running = place.run();
    write(&place, 0);
    let gauges = |text: &str| -> BTreeSet<String> {
        let lines = text.lines().filter(|line| line.starts_with("model_feature_") || line.starts_with("model_drift_"));
        lines.map(str::to_owned).collect()
    };
    let settled = wait_for("the last window", || {
        let text = running.get("/metrics").1;
        text.contains("model_drift_window_records{model_version=\"1\"} 3000.0").then(|| gauges(&text))
    });
    assert!(settled.iter().any(|line| line.starts_with("model_feature_psi{feature=\"amount\"")), "{settled:?}");
    running.stop();
    let running = place.run();
    assert_eq!(gauges(&running.get("/metrics").1), settled);
    running.stop();
    let documents = in_store(&place);
    let records: u64 = documents
        .iter()
        .filter(|text| is_of_feature(text))
        .map(|text| DriftDocument::read(text).unwrap().records)
        .sum();
    assert_eq!(records, 2 * RECORDS, "each record is in one document of each feature");
}

#[test]
fn a_baseline_that_a_log_has_nothing_of_is_said() {
    let check =
        |place: &Place| -> Ended { start(place.inferlog(&["check", "p.yaml", "--sample", "logs/a.ndjson"])).wait() };
    let place = place("store", "");
    place.append(lines(0));
    let ended = check(&place);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("2  of 2 features of the baseline are in the log"), "{ended:?}");
    std::fs::write(place.log(), "{\"event\":\"inference\",\"features\":{\"price\":3},\"confidence\":0.3}\n").unwrap();
    let ended = check(&place);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for words in [
        "0  of 2 features of the baseline are in the log",
        "not in the log: `amount`, `prediction`",
        "not in the baseline, and not measured: `price`",
        "`drift` would measure nothing: no inference of the log has a feature of the baseline",
    ] {
        assert!(ended.stderr.contains(words), "no `{words}`: {ended:?}");
    }
    std::fs::write(place.path("b.json"), BASELINE.replace("\"fallback\": true", "\"fallback\": false")).unwrap();
    let ended = check(&place);
    assert!(ended.stderr.contains("1  are of a model version that no baseline is for"), "{ended:?}");
    std::fs::write(place.log(), "{\"event\":\"startup\"}\n").unwrap();
    assert!(check(&place).stderr.contains("the log has no inference whose features could be compared"));
}

#[test]
fn a_run_to_the_end_ends_its_windows() {
    let place = place("store", ", window: { records: 1000000 }");
    place.append(lines(0));
    place.run_once_to(0);
    let documents = in_store(&place);
    assert_eq!(documents.len(), 3, "{documents:?}");
    let document: Value = serde_json::from_str(&documents[0]).unwrap();
    let window = &document["window"];
    assert_eq!(
        (window["start"].as_str(), window["end"].as_str()),
        (Some("2020-01-01T00:00:00.000000Z"), Some("2020-01-01T00:00:09.000000Z")),
        "{document}"
    );
    assert_eq!((&document["records"], document["host.name"].is_string()), (&RECORDS.into(), true));
    place.append(lines(1));
    place.run_once_to(0);
    assert_eq!(in_store(&place).len(), 6, "the next run goes on");
}
