//! The server of the built binary: who connects does not hold up who tails, and tools read what it says.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::observe_drift::BASELINE;
use crate::place::{Place, http, pipeline, pipeline_of};
use crate::support::provided;

const LINE: &str = "{\"event\":\"inference\",\"model_version\":\"1\",\"status\":\"success\",\"prediction\":\"a\",\
                    \"latency_ms\":12.5,\"confidence\":0.7,\"timestamp\":\"2026-11-23T10:00:01Z\"}\n";

#[test]
fn five_hundred_idle_connections_stop_neither_the_server_nor_the_tail() {
    let place = Place::new(&pipeline("{ store: {} }"));
    place.append(LINE);
    let running = place.run();
    let address = running.address.unwrap();
    let mut idle: Vec<TcpStream> = (0..500).map(|_| TcpStream::connect(address).unwrap()).collect();
    // Some of them begin to ask, and never end.
    idle.iter_mut().step_by(3).for_each(|stream| drop(stream.write_all(b"GET /metrics HT")));
    for _ in 0..5 {
        let asked = Instant::now();
        assert_eq!(running.get("/healthz"), (200, "alive\n".to_owned()));
        assert!(asked.elapsed() < Duration::from_secs(5), "answered after {:?}", asked.elapsed());
    }
    let sockets = std::fs::read_dir(format!("/proc/{}/fd", running.id())).unwrap();
    let sockets = sockets.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let sockets = sockets.filter(|target| target.to_string_lossy().starts_with("socket:")).count();
    assert!(sockets <= inferlog::server::CONNECTIONS_MAX + 8, "{sockets} sockets");
    std::fs::write(place.path("logs/b.ndjson"), LINE.repeat(20)).unwrap();
    place.append(LINE);
    running.wait_for_metric("inferlog_sink_indexed_records_total{pipeline=\"p\",sink=\"store\"}", 22);
    // Those that were let in last are told to go when they say nothing for long, and long before any connection ends.
    let mut last = idle.pop().unwrap();
    last.set_read_timeout(Some((inferlog::server::HEAD_TIMEOUT + inferlog::server::CONNECTION_TIMEOUT) / 2)).unwrap();
    let read = last.read(&mut [0]);
    assert!(!read.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "{read:?}");
    running.stop();
}

/// A pipeline of one kind of model, which reads a file of its own, and its records.
const KINDS: [(&str, &str, &str); 4] = [
    ("classes", "{}", r#""prediction":"a\"b","confidence":0.7"#),
    ("several", "{ kind: multilabel, model_name: true }", r#""prediction":["a","b"],"status_code":502"#),
    (
        "prices",
        "{ kind: regression, prefix: prices, value_buckets: [-1, 0, 1], labels: [stage] }",
        r#""prediction":-0.5,"stage":"x""#,
    ),
    (
        "words",
        "{ kind: generation }",
        r#""ttft_ms":30,"usage":{"prompt_tokens":7,"completion_tokens":99},"finish_reason":"stop""#,
    ),
];

/// The samples that a reader found: name, labels and value in one text each.
fn samples(found: &Value) -> BTreeSet<String> {
    let families = found.as_object().unwrap().values();
    families.flat_map(|family| family["samples"].as_array().unwrap()).map(Value::to_string).collect()
}

fn lint(promtool: &str, text: &str) {
    let mut lint = Command::new(promtool);
    let mut lint = lint.args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    lint.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let linted = lint.wait_with_output().unwrap();
    let findings = String::from_utf8_lossy(&linted.stderr).into_owned();
    assert!(linted.status.success() && findings.is_empty(), "{findings}\n{text}");
}

/// What Prometheus' own reader finds in a text.
fn read_by_prometheus(python: &str, format: &str, text: &str) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/read_metrics.py");
    let mut reader = Command::new(python);
    reader.args([script, format]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut reader = reader.spawn().unwrap();
    reader.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let read = reader.wait_with_output().unwrap();
    assert!(read.status.success(), "{}\n{text}", String::from_utf8_lossy(&read.stderr));
    serde_json::from_slice(&read.stdout).unwrap()
}

#[test]
fn metrics_come_in_the_format_that_is_asked_for_and_prometheus_reads_them() {
    let place = Place::new("");
    fs::create_dir(place.path("pipelines")).unwrap();
    fs::write(place.path("b.json"), BASELINE).unwrap();
    for (name, options, members) in KINDS {
        let files = format!("paths: [\"../logs/{name}.ndjson\"], poll_interval: 50ms");
        let observers = match name {
            "classes" => format!(
                "{{ model_metrics: {options} }}, {{ drift: {{ baseline: ../b.json, window: {{ records: 1 }} }} }}"
            ),
            _ => format!("{{ model_metrics: {options} }}"),
        };
        let pipeline = format!("{}observe: [{observers}]\n", pipeline_of(&files, "", "store"));
        fs::write(place.path(&format!("pipelines/{name}.yaml")), pipeline).unwrap();
        let line = format!("{{\"event\":\"inference\",\"model_version\":\"1\",\"latency_ms\":12.5,{members}}}\n");
        fs::write(place.path(&format!("logs/{name}.ndjson")), line).unwrap();
    }
    let running = place.run_files("pipelines");
    for (name, _, _) in KINDS {
        running.wait_for_metric(&format!("inferlog_settled_lines_total{{pipeline=\"{name}\"}}"), 1);
    }
    let ask = |accept: &str| http(running.address.unwrap(), "GET", "/metrics", &[("accept", accept)], "").unwrap().1;
    let (text, open) = (ask("text/plain"), ask("application/openmetrics-text;version=1.0.0,text/plain;q=0.5"));
    assert!(!text.contains("# EOF") && text.contains("# TYPE inferlog_source_read_lines_total counter\n"), "{text}");
    assert!(open.ends_with("# EOF\n") && open.contains("# TYPE inferlog_source_read_lines counter\n"), "{open}");
    if let Some(promtool) = provided("INFERLOG_TEST_PROMTOOL", "lint of the metrics") {
        lint(&promtool, &text);
    }
    let Some(python) = provided("INFERLOG_TEST_PYTHON", "reading by Prometheus' own parsers") else { return };
    let [by_text, by_open] =
        [("text", &text), ("openmetrics", &open)].map(|(format, text)| read_by_prometheus(&python, format, text));
    let of_models = |found: &Value| -> BTreeSet<String> {
        samples(found).into_iter().filter(|sample| sample.contains("model_")).collect()
    };
    assert_eq!(of_models(&by_text), of_models(&by_open), "both formats say the same");
    for (metric, kind, sample) in [
        (
            "model_requests",
            "counter",
            r#"["model_requests_total",{"model_name":"","model_version":"1","status":""},2.0]"#,
        ),
        ("model_errors", "counter", r#"["model_errors_total",{"model_name":"","model_version":"1","type":"5xx"},1.0]"#),
        ("model_predictions", "counter", r#"["model_predictions_total",{"label":"a\"b","model_name":""},1.0]"#),
        (
            "model_feature_drift_alarm",
            "gauge",
            r#"["model_feature_drift_alarm",{"feature":"amount","model_name":"","model_version":"1"},0.0]"#,
        ),
        ("model_predicted_labels", "counter", r#"["model_predicted_labels_total",{"label":"b","model_name":""},1.0]"#),
        (
            "model_request_tokens",
            "histogram",
            r#"["model_request_tokens_sum",{"direction":"output","model_name":"","model_version":"1"},99.0]"#,
        ),
        (
            "model_finish_reasons",
            "counter",
            r#"["model_finish_reasons_total",{"model_name":"","model_version":"1","reason":"stop"},1.0]"#,
        ),
        (
            "prices_model_prediction_value",
            "histogram",
            r#"["prices_model_prediction_value_bucket",{"le":"0.0","model_name":"","model_version":"1","stage":"x"},1.0]"#,
        ),
    ] {
        assert_eq!(by_open[metric]["type"], kind, "{metric}");
        assert!(samples(&by_open).contains(sample), "no {sample} in {:#?}", of_models(&by_open));
    }
    running.stop();
}
