//! `/status.json`: what a running process says of itself, by the types that it is made of.

use std::fs;

use inferlog::server::status::{PipelineReport, PipelineState, SinkState, Status};

use crate::observe_drift::BASELINE;
use crate::place::{Place, Running, Signal, append, pipeline_of, wait_for};

/// A pipeline that counts models and measures drift, a window every 600 records.
fn observed() -> String {
    let pipeline = pipeline_of("paths: [\"logs/*.ndjson\"], poll_interval: 50ms", "", "{ store: {} }");
    let observe = "observe:\n  - model_metrics: {}\n  - drift: { baseline: baseline.json, window: { records: 600 } }\n";
    pipeline.replace("sink:", &format!("{observe}sink:"))
}

fn line(n: u64) -> String {
    let (prediction, status) =
        (if n.is_multiple_of(4) { "fraud" } else { "normal" }, if n.is_multiple_of(10) { "error" } else { "ok" });
    format!(
        "{{\"event\":\"inference\",\"model_version\":\"1\",\"request_id\":\"r{n}\",\"status\":\"{status}\",\
         \"features\":{{\"amount\":{}}},\"prediction\":\"{prediction}\",\"confidence\":0.8,\"latency_ms\":20,\
         \"timestamp\":\"2026-11-23T10:00:01Z\"}}\n",
        n % 20
    )
}

fn status(running: &Running, query: &str) -> Status {
    let (code, text) = running.get(&format!("/status.json{query}"));
    assert_eq!(code, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn wait_for_pipeline(running: &Running, what: &str, is_so: impl Fn(&PipelineReport) -> bool) -> PipelineReport {
    wait_for(what, || status(running, "").pipelines.into_iter().next().filter(&is_so))
}

#[test]
fn a_running_process_is_described_and_its_history_survives_a_reload() {
    let place = Place::new(&observed());
    fs::write(place.path("baseline.json"), BASELINE).unwrap();
    place.append((0..1_000).map(line).collect::<String>());
    place.append("no record\n");
    let running = place.run();
    let report = wait_for_pipeline(&running, "a step of the history", |pipeline| {
        let steps = pipeline.history.as_ref().map_or(0, |history| history.lag_bytes.len());
        let is_settled = pipeline.totals.as_ref().is_some_and(|totals| totals.lines == 1_001);
        steps > 0 && is_settled && pipeline.drift.as_ref().is_some_and(|drift| !drift.is_empty())
    });
    assert_eq!((report.state, report.troubles.len()), (PipelineState::Running, 0), "{report:?}");
    let totals = report.totals.unwrap();
    assert_eq!((totals.read_lines, totals.records, totals.delivered, totals.dead_lettered), (1_001, 1_000, 1_000, 1));
    assert_eq!((report.lag.unwrap().bytes, report.rates.is_some()), (0, true));
    let sink = &report.sinks[0];
    assert_eq!((sink.kind.as_deref(), sink.state, sink.indexed), (Some("store"), SinkState::Ready, Some(1_000)));
    let dead_letter = report.dead_letter.unwrap();
    assert_eq!((dead_letter.entries, &*dead_letter.reasons[0].stage, dead_letter.reasons[0].count), (1, "decode", 1));
    let model = &report.models.unwrap()[0];
    assert_eq!((model.requests, model.error_ratio), (1_000, Some(0.1)));
    assert_eq!(model.model.predictions, [("normal".to_owned(), 750), ("fraud".to_owned(), 250)]);
    assert_eq!(model.model.versions[0].version, "1");
    let drift = &report.drift.unwrap()[0];
    assert_eq!(drift.records, 600);
    let histogram = drift.features[0].histogram.as_ref().unwrap();
    assert!(histogram.live.iter().sum::<f64>() > 0.99 && histogram.bars.len() == histogram.baseline.len());
    // Less is told where less is asked for.
    let brief = status(&running, "?after=99999999999&histograms=no").pipelines.remove(0);
    assert_eq!(brief.history.unwrap().lag_bytes.len(), 0);
    assert_eq!(brief.drift.unwrap()[0].features[0].histogram, None);
    assert_eq!(running.get("/status.json?token=x").0, 400);
    // The ring belongs to the process.
    let steps = report.history.unwrap().lag_bytes.len();
    place.set_pipeline(&format!("{}# edited\n", observed()));
    running.signal(Signal::HUP);
    wait_for("the reload", || running.stderr().contains("reloaded: restarted: p").then_some(()));
    let after = status(&running, "").pipelines.remove(0);
    assert!(after.history.is_some_and(|history| history.lag_bytes.len() >= steps), "the history began anew");
    assert_eq!(after.totals.unwrap().delivered, 1_000);
    running.stop();
}

#[test]
fn what_keeps_a_pipeline_is_said_and_a_sink_that_is_not_there_has_taken_nothing() {
    let place = Place::new(&pipeline_of(
        "paths: [\"logs/*.ndjson\"]",
        "",
        "{ elasticsearch: { hosts: [\"http://127.0.0.1:9\"], index: \"x-{yyyy.MM.dd}\" } }",
    ));
    append(&place.log(), line(1));
    let running = place.run();
    let report = wait_for_pipeline(&running, "the trouble", |pipeline| pipeline.state == PipelineState::Waiting);
    assert_eq!(report.troubles[0].sink.as_deref(), Some("elasticsearch"));
    assert!(report.troubles[0].seconds.is_some());
    let sink = &report.sinks[0];
    assert_eq!((sink.state, sink.indexed, sink.last_success.clone()), (SinkState::InTrouble, Some(0), None));
    assert_eq!((report.models, report.drift), (None, None));
    assert_eq!(running.get("/readyz").0, 503);
}
