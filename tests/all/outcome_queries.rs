//! Named queries of outcomes: what was wrong, overridden, is not labelled, and all that became of one request.

use std::fs;

use serde_json::Value;

use crate::place::{Place, pipeline};

/// Confidences of the predictions `r-1` to `r-4`, all of them `ok`; below 0.6 they are flagged.
const CONFIDENCES: [f64; 4] = [0.95, 0.55, 0.5, 0.4];

const LABELS: &str = r#"{"request_id":"r-1","label":"fraud","by":"bank"}
{"request_id":"r-1","kind":"review","decision":"upheld","reviewer":"ann"}
{"request_id":"r-3","label":"fraud"}
{"request_id":"r-4","kind":"review","decision":"overridden","reviewer":"bob"}
"#;

/// Each query, what narrows it, and what it finds: requests, with what is said of them where that is an outcome.
const QUERIES: [(&str, &str, &[&str]); 5] = [
    ("wrong-and-sure", "*", &["r-1 truth"]),
    ("overridden-by-reviewers", "*", &["r-4 review"]),
    ("unlabelled-and-flagged", "*", &["r-4", "r-2"]),
    ("one-request", "request_id : \"r-1\"", &["r-1 review", "r-1 review", "r-1 truth", "r-1 truth"]),
    ("one-request", "request_id : \"r-2\"", &[]),
];

/// A place where all of it is joined. A shadow model has answered the first request, too.
fn place() -> Place {
    let observe = "observe: [ground_truth: { labels: { paths: [labels.ndjson] } }]\n";
    let place = Place::new(&format!("{}{observe}", pipeline("{ store: {} }")));
    let line = |id: &str, confidence: f64, more: &str| {
        format!(
            "{{\"event\":\"inference\",\"request_id\":\"{id}\",\"prediction\":\"ok\",\"confidence\":{confidence}{more}}}\n"
        )
    };
    CONFIDENCES
        .iter()
        .enumerate()
        .for_each(|(n, confidence)| place.append(line(&format!("r-{}", n + 1), *confidence, "")));
    place.append(line("r-1", 0.7, ",\"stage\":\"shadow\",\"model_version\":\"2\""));
    fs::write(place.path("labels.ndjson"), LABELS).unwrap();
    place.run_once_to(0);
    place
}

#[test]
fn named_queries_find_what_their_titles_say() {
    let place = place();
    for (name, kql, expected) in QUERIES {
        let asked = ["query", "--saved", name, kql, "--format", "json", "--pipeline", "p.yaml", "--data-dir", "data"];
        let output = place.inferlog(&asked).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}: {output:?}");
        let found = String::from_utf8(output.stdout).unwrap();
        let story = |line: &str| {
            let document: Value = serde_json::from_str(line).unwrap();
            let kind = document["kind"].as_str().map(|kind| format!(" {kind}")).unwrap_or_default();
            format!("{}{kind}", document["request_id"].as_str().unwrap())
        };
        let mut found: Vec<String> = found.lines().map(story).collect();
        if name == "one-request" {
            found.sort();
        }
        assert_eq!(found, expected, "{name} {kql}");
    }
}
