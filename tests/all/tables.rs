//! Processors that look into a file: what the built binary does when the file changes, and what of their work a dead letter
//! keeps.

use std::fs;
use std::path::Path;

use crate::place::{Place, start, wait_for};

fn of_processors(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/processors").join(name)).unwrap()
}

/// Puts a whole new file into the place of another, as `mv` does.
fn put(place: &Place, name: &str, content: &[u8]) {
    fs::write(place.path("new"), content).unwrap();
    fs::rename(place.path("new"), place.path(name)).unwrap();
}

fn line(n: u64) -> String {
    format!("{{\"n\":{n},\"request_id\":\"r{n}\",\"model_version\":\"3.2.1\",\"client\":{{\"ip\":\"203.0.113.7\"}}}}\n")
}

const PIPELINE: &str = "source: { files: { paths: [\"logs/*.ndjson\"], poll_interval: 50ms } }
decode: json
enrich:
  - lookup: { file: models.csv, key: model_version, into: model }
  - geoip: { field: client.ip, database: places.mmdb }
sink: { store: {} }
";

/// Appends records, one at a time, until what is asked for has come; returns how many there are then.
fn append_until(place: &Place, from: u64, what: &str, mut has_come: impl FnMut() -> bool) -> u64 {
    let mut n = from;
    wait_for(what, || {
        place.append(line(n));
        n += 1;
        has_come().then_some(n)
    })
}

#[test]
fn a_table_that_changes_under_a_growing_log_is_read_again_and_no_record_is_lost() {
    let place = Place::new(PIPELINE);
    put(&place, "models.csv", b"model_version,owner\n3.2.1,first\n");
    put(&place, "places.mmdb", &of_processors("places.mmdb"));
    let running = place.run();
    let has = |value: &str| {
        place.store().count() > 0 && place.store().documents().iter().any(|document| document.contains(value))
    };
    let mut n = append_until(&place, 0, "the first table", || has("\"first\"") && has("Munich"));
    put(&place, "models.csv", b"model_version,owner\n3.2.1,second\n");
    n = append_until(&place, n, "the second table", || has("\"second\""));
    // What is broken leaves the ones before in force, and is counted.
    put(&place, "models.csv", b"model_version,owner\n3.2.1\n");
    let places = of_processors("places.mmdb");
    put(&place, "places.mmdb", &places[..places.len() / 2]);
    let failures = |processor: &str| {
        let name = "inferlog_enrich_table_reload_failures_total";
        let series = running.metrics();
        let of = |key: &&String| key.starts_with(name) && key.contains(&format!("processor=\"{processor}\""));
        series.keys().find(of).map_or(0, |key| series[key])
    };
    n = append_until(&place, n, "the broken tables", || failures("lookup") == 1 && failures("geoip") == 1);
    let before = place.store().count();
    n = append_until(&place, n, "a record behind them", || place.store().count() > before + 1);
    put(&place, "models.csv", b"model_version,owner\n3.2.1,third\n");
    n = append_until(&place, n, "the third table", || has("\"third\""));
    wait_for("all records", || (place.store().count() == n).then_some(()));
    let stderr = running.stop().stderr;
    for words in ["line 2 has 1 values", "no whole database in MaxMind's format", "the one before stays in force"] {
        assert!(stderr.contains(words), "{words}: {stderr}");
    }
    place.store().must_hold_each_once(n);
    let documents = place.store().documents();
    assert!(documents.iter().all(|document| document.contains("\"model.owner\":") && document.contains("Munich")));
}

/// What `keep_only` does not list is gone from the dead letter too; what processors behind it have added is not.
#[test]
fn a_dead_letter_keeps_what_was_added_behind_keep_only_and_nothing_else() {
    let place = Place::new(
        "source: { files: { paths: [\"pods/*/*/*.log\"] } }
decode: json
enrich:
  - redact: { keep_only: [request_id, model_version, client.ip, agent_text, note, bad] }
  - lookup: { file: models.csv, key: model_version, into: model, default: { tier: none } }
  - geoip: { field: client.ip, database: places.mmdb }
  - user_agent: { field: agent_text }
  - kubernetes: {}
  - extract: { field: note, pattern: \"asked by (?P<asked>[a-z]+)\" }
  - contract: { fields: { model_version: { type: text, values: [\"9\"] } } }
  - rename: { fields: { model.owner: owner } }
  - copy: { fields: { owner: owner_copy } }
  - rename: { fields: { bad.x: good } }
sink: { store: {} }
",
    );
    let folder = place.path("pods/ml_fraud-7d9c_5f3c0a52-6f8e-4d3f-9d0c-2b1f0e8a7c11/server");
    fs::create_dir_all(&folder).unwrap();
    put(&place, "models.csv", b"model_version,owner\n3.2.1,payments\n");
    put(&place, "places.mmdb", &of_processors("places.mmdb"));
    let line = r#"{"request_id":"r1","model_version":"3.2.1","client":{"ip":"203.0.113.7","name":"canary-1"},"agent_text":"curl/8.5.0","note":"asked by anna","secret":"canary-2","bad":{"x":1,"x":2}}"#;
    fs::write(folder.join("0.log"), format!("{line}\n")).unwrap();
    let ended = start(place.run_command(&["--once", "--listen", "off"])).wait();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let entries = place.dead_letters();
    assert_eq!(entries.len(), 1, "{ended:?}");
    let kept = entries[0].to_string();
    for added in [
        "\"owner\":\"payments\"",
        "\"owner_copy\":\"payments\"",
        "\"client.geo.city_name\":\"Munich\"",
        "\"user_agent.name\":\"curl\"",
        "\"kubernetes.pod.name\":\"fraud-7d9c\"",
        "\"asked\":\"anna\"",
        "\"contract.violations\":[\"model_version:not_allowed\"]",
    ] {
        assert!(kept.replace("\\\"", "\"").contains(added), "{added} is not in {kept}");
    }
    assert!(!kept.contains("canary"), "{kept}");
}
