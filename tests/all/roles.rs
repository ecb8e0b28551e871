//! Logs with names, units and times of their own, driven as built: what reads heart fields reads those that `roles` added.

use rusqlite::Connection;
use serde_json::Value;

use crate::observe_drift::BASELINE;
use crate::place::{Ended, Place, start, wait_for};

const PIPELINE: &str = r#"
source: { files: { paths: ["logs/*.ndjson"], poll_interval: 50ms } }
decode: json
enrich:
  - roles:
      request_id: id
      model_version: model.v
      prediction: { largest: probabilities }
      confidence: { largest: probabilities }
      latency_ms: { from: took, unit: auto }
      features: { rest: true }
      path: "logs/{model_name}.ndjson"
  - timestamp: { from: [at], zone: host }
  - hash: { fields: [features], into: input_hash }
observe: [model_metrics, { drift: { baseline: b.json, window: { records: 1000000 } } }]
sink: store
"#;

const LOG: &str = r#"{"id":"r1","at":"2026-11-23 11:00:01,5","model":{"v":"1"},"probabilities":{"fraud":0.55,"fine":0.45},"took":"1m2s","amount":12.50}
{"id":"r2","at":"2026-11-23 11:00:02,5","model":{"v":"1"},"probabilities":{"fraud":0.05,"fine":0.95},"took":"986.53ms","amount":7}
{"id":"r3","at":"2026-11-23 11:00:03,5","model":{"v":"1"},"confidence":"0.31","probabilities":{"fine":0.9},"took":"4.06s"}
"#;

fn place() -> Place {
    let place = Place::new(PIPELINE);
    std::fs::write(place.path("b.json"), BASELINE).unwrap();
    place.append(LOG);
    place
}

fn query(place: &Place, arguments: &[&str]) -> Ended {
    let more = ["--pipeline", "p.yaml", "--data-dir", "data"];
    let ended = start(place.inferlog(&[&["query"], arguments, &more].concat())).wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended
}

#[test]
fn what_roles_have_added_is_found_by_queries_columns_and_drift() {
    let place = place();
    let mut run = place.run_command(&["--once", "--listen", "off"]);
    run.env("TZ", "Europe/Berlin");
    let ended = start(run).wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let found =
        query(&place, &["confidence < 0.6", "--format", "csv", "--columns", "request_id,prediction,confidence"]);
    let mut rows: Vec<&str> = found.stdout.lines().skip(1).map(str::trim).collect();
    rows.sort_unstable();
    assert_eq!(rows, ["r1,fraud,0.55", "r3,fine,0.31"], "{found:?}");
    let documents = query(&place, &["request_id : r1", "--format", "json"]).stdout;
    let document: Value = serde_json::from_str(documents.trim()).unwrap();
    assert_eq!(document["@timestamp"], "2026-11-23T10:00:01.500Z", "{document}");
    // The log's own members are there as they were written, before all that is added.
    assert!(documents.starts_with(LOG.lines().next().unwrap().trim_end_matches('}')), "{documents}");
    let store = Connection::open(place.path("data/p/store.sqlite")).unwrap();
    let columns = "SELECT model_name, model_version, latency_ms, length(input_hash), json_extract(document, '$.features.amount') \
                   FROM records WHERE request_id = 'r2'";
    let row: (String, String, f64, i64, f64) = store
        .query_row(columns, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
        .unwrap();
    assert_eq!(row, ("a".to_owned(), "1".to_owned(), 986.53, 64, 7.0));
    let drift = "SELECT document FROM drift WHERE document LIKE '%amount%'";
    let document: String = store.query_row(drift, [], |row| row.get(0)).unwrap();
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["counts"]["missing"], 1, "r3 has no amount: {document}");
}

#[test]
fn what_roles_have_added_is_counted_by_model_metrics() {
    let place = place();
    let running = place.run();
    let metrics = wait_for("the records to be counted", || {
        let metrics = running.get("/metrics").1;
        metrics.contains("model_latency_seconds_count{model_version=\"1\"} 3").then_some(metrics)
    });
    for line in [
        "model_predictions_total{label=\"fraud\"} 1",
        "model_predictions_total{label=\"fine\"} 2",
        "model_latency_seconds_sum{model_version=\"1\"} 67.04653",
        "inferlog_enrich_numbers_from_text_total{pipeline=\"p\",kind=\"quoted\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

#[test]
fn every_recipe_of_the_documentation_passes_its_own_tests() {
    let page = include_str!("../../docs/roles.md");
    let recipes: Vec<&str> = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(recipes.len() >= 11, "only {} recipes are found", recipes.len());
    for recipe in recipes {
        let frame = "source: { files: { paths: [a.log] } }\ndecode: json\nsink: stdout\n";
        let place = Place::new(&format!("{frame}{recipe}"));
        let ended = start(place.inferlog(&["test", "p.yaml", "--require-coverage"])).wait();
        assert_eq!(ended.code, Some(0), "{recipe}\n{ended:?}");
    }
}
