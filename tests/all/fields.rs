//! Fields, as the built binary understands them: a path means all that `FIELD : *` finds, and a rule that finds nothing is
//! seen.

use std::io::Write as _;
use std::process::Stdio;

use crate::place::{Ended, Place, start, wait_for};

const CANARY: &str = "tok-alpha";

fn pipeline(processors: &[&str]) -> String {
    let processors: String = processors.iter().map(|processor| format!("  - {processor}\n")).collect();
    format!(
        "source: {{ files: {{ paths: [\"logs/*.ndjson\"], poll_interval: 50ms }} }}\ndecode: json\nenrich:\n  \
           - timestamp: {{ from: [timestamp] }}\n{processors}sink: store\n"
    )
}

/// Spellings that loggers give to a field, each with the canary in it.
const SPELLINGS: [(&str, &str); 9] = [
    ("headers", r#"{"headers":{"authorization":"tok-alpha","x":1}}"#),
    ("headers", r#"{"headers.authorization":"tok-alpha","headers.x":1}"#),
    ("http.headers", r#"{"http":{"headers.authorization":"tok-alpha"}}"#),
    ("headers", r#"{"headers":[{"name":"authorization","value":"tok-alpha"}]}"#),
    ("user.email", r#"{"user.email.work":"tok-alpha"}"#),
    ("user.email", r#"{"user":{"email.work":"tok-alpha"}}"#),
    ("user.email", r#"{"user":{"email":{"work":"tok-alpha"}}}"#),
    ("req.body.messages", r#"{"req.body.messages.0.content":"tok-alpha"}"#),
    ("req.body.messages", r#"{"req":{"body.messages":[{"content":"tok-alpha"}]}}"#),
];

const REDACT: &str = "redact: { fields: [headers, http.headers, user.email, req.body.messages] }";

#[test]
fn what_a_query_finds_under_a_field_is_what_a_redaction_of_it_hides() {
    let place = Place::new(&pipeline(&[]));
    place.append(SPELLINGS.map(|(_, line)| format!("{line}\n")).concat());
    place.run_once_to(0);
    for field in ["headers", "http.headers", "user.email", "req.body.messages"] {
        let expected = SPELLINGS.iter().filter(|(of, _)| *of == field).count();
        let found = start(place.inferlog(&["query", &format!("{field} : *"), "--count", "--data-dir", "data"])).wait();
        assert_eq!(found.stdout.trim(), expected.to_string(), "{field}: {found:?}");
    }
    let place = Place::new(&pipeline(&[REDACT]));
    place.append(SPELLINGS.map(|(_, line)| format!("{line}\n")).concat());
    place.run_once_to(0);
    let documents = place.store().documents();
    assert_eq!(documents.len(), SPELLINGS.len());
    for document in documents {
        assert!(!document.contains(CANARY) && document.contains("[redacted]"), "{document}");
    }
}

fn explain(place: &Place, line: &str) -> Ended {
    let mut command = place.inferlog(&["explain", "p.yaml"]);
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn explain_shows_nothing_of_what_is_hidden_however_it_is_spelled() {
    let place = Place::new(&pipeline(&[REDACT, "rename: { fields: { headers: h } }"]));
    for (field, line) in SPELLINGS {
        let ended = explain(&place, line);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(!ended.stdout.contains(CANARY), "{ended:?}");
        assert!(!ended.stdout.contains("authorization"), "a name below a hidden field is a part of it: {ended:?}");
        assert!(!ended.stdout.contains(&format!("it hides `{field}`")), "{ended:?}");
    }
    let ended = explain(&place, r#"{"header":{"authorization":"x"}}"#);
    assert!(ended.stdout.contains("it hides `headers`, which the record does not have"), "{ended:?}");
}

#[test]
fn a_sample_shows_the_fields_that_a_rule_hides_and_no_record_has() {
    let place = Place::new(&pipeline(&["redact: { fields: [user.email, ssn, ip, iban] }"]));
    let line = r#"{"ip":"::1","IP":"::2","attributes":[{"key":"ssn","value":1}],"input":{"data":"{\"user\":{\"email\":\"tok-alpha\"}}"}}"#;
    place.append(format!("{line}\n{line}\n"));
    let ended = start(place.inferlog(&["check", "p.yaml", "--sample", "logs/a.ndjson"])).wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("processor 2 hides `iban`, which no record has\n"), "{ended:?}");
    let in_text = "hides `user.email`, which no record has; a text that holds JSON, at `input.data`, names it";
    assert!(ended.stderr.contains(in_text), "{ended:?}");
    let in_case = "`ip` is hidden; `IP` is another field, since letter case counts";
    assert!(ended.stderr.contains(in_case), "{ended:?}");
    let as_key = "hides `ssn`, which no record has; the text at `attributes.key` is its name";
    assert!(ended.stderr.contains(as_key), "{ended:?}");
    assert!(!ended.stderr.contains("hides `ip`") && !ended.stderr.contains(CANARY), "{ended:?}");
    let sample = ["check", "p.yaml", "--sample", "logs/a.ndjson", "--format", "json"];
    let found: serde_json::Value = serde_json::from_str(&start(place.inferlog(&sample)).wait().stdout).unwrap();
    let findings = found["findings"].as_array().unwrap();
    let inside = findings.iter().find(|finding| finding["finding"] == "hidden_inside_text").unwrap();
    assert_eq!(inside["count"], 1, "{inside}");
    assert!(inside["words"].as_str().unwrap().contains("expand: { field: input.data, as: json }"), "{inside}");
    // With it, the rule reaches the text, under its place.
    let expanded = pipeline(&["redact: { fields: [input.data.user.email] }"])
        .replace("decode: json", "decode: [json, { expand: { field: input.data, as: json } }]");
    place.set_pipeline(&expanded);
    let found: serde_json::Value = serde_json::from_str(&start(place.inferlog(&sample)).wait().stdout).unwrap();
    assert_eq!(found["idle_rules"].as_array().map(Vec::len), Some(0), "{found}");
}

#[test]
fn a_rule_that_hides_nothing_is_warned_of_and_counted() {
    let place = Place::new(&pipeline(&["redact: { fields: [user.emial, ip] }"]));
    place.append(format!("{{\"user\":{{\"email\":\"{CANARY}\"}},\"ip\":1}}\n").repeat(4_999));
    let few = place.run_once_to(0);
    assert!(!few.stderr.contains("hides nothing"), "{few:?}");
    let place = Place::new(&pipeline(&["redact: { fields: [user.emial, ip] }"]));
    let running = place.run();
    running.wait_for_metric("inferlog_enrich_hidden_records_total{pipeline=\"p\",processor=\"2\",field=\"ip\"}", 0);
    place.append(format!("{{\"user\":{{\"email\":\"{CANARY}\"}},\"ip\":1}}\n").repeat(12_000));
    running
        .wait_for_metric("inferlog_enrich_hidden_records_total{pipeline=\"p\",processor=\"2\",field=\"ip\"}", 12_000);
    let missed = "inferlog_enrich_hidden_records_total{pipeline=\"p\",processor=\"2\",field=\"user.emial\"}";
    assert_eq!(running.metrics()[missed], 0);
    wait_for("the warning", || running.stderr().contains("it hides nothing").then_some(()));
    place.append(format!("{{\"user\":{{\"email\":\"{CANARY}\"}},\"ip\":1}}\n").repeat(12_000));
    running
        .wait_for_metric("inferlog_enrich_hidden_records_total{pipeline=\"p\",processor=\"2\",field=\"ip\"}", 24_000);
    let stderr = running.stderr();
    assert_eq!(stderr.matches("it hides nothing").count(), 1, "{stderr}");
    assert!(stderr.contains("field=user.emial") && !stderr.contains(CANARY), "{stderr}");
    running.stop();
}
