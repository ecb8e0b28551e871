//! `inferlog test` and `inferlog explain`, driven as built: what they print is compared to the letter.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::observe_drift::BASELINE;
use crate::place::{Ended, Place, pipeline, start};

const PIPELINE: &str = r#"
source: { files: { paths: ["logs/*.ndjson"] }, id: here }
decode: json
enrich:
  - timestamp: { from: [at] }
  - redact: { fields: [user.email] }
  - flag: { into: low_confidence, when: "confidence < 0.6" }
  - rename: { fields: { msg: message }, when: "msg : *" }
  - hash: { fields: [a.b], into: digest }
  - id: { from: [request_id], when: "request_id : *" }
  - add: { fields: { service.name: x }, when: "event : inference" }
  - drop: { name: health, when: "event : health" }
observe:
  - model_metrics: { inferences: "event : inference" }
sink: stdout
tests:
"#;

const COVERING: &str = r#"
  - name: everything
    line: '{"event":"inference","request_id":"r","at":1795428000,"user":{"email":"a@b.c"},"confidence":0.5,"msg":"m","a":{"b":1}}'
    expect: { low_confidence: true, user.email: "[redacted]", message: m, service.name: x, host.name: test-host, log.offset: 0 }
    expect_match: { "@timestamp": "^2026-", digest: "^[0-9a-f]{64}$" }
    expect_absent: [msg, inferlog.notes]
  - name: health checks are left out
    lines: ['{"event":"health","n":1}', '{"event":"health","n":2}']
    expect_drop: health
  - name: a name inside stands twice
    line: '{"user":{"email":1,"email":2}}'
    expect_reject: { reason: repeated_name, stage: enrich }
  - name: no record
    line: 'text'
    expect_reject: not_an_object
  - name: a host and a time of its own
    line: '{}'
    host: gpu-7
    now: 2026-11-24T10:00:00+01:00
    expect: { host.name: gpu-7, "@timestamp": "2026-11-24T09:00:00.000Z", inferlog.notes: [read_time] }
"#;

const WRONG: &str = r#"
  - name: wrong in many ways
    lines:
      - '{"user":[{"email":"a@b.c"},{"email":"d@e.f"}],"n":1.50,"list":[1,{"x":null}],"evil":"\u001b[2JBIDI"}'
      - '{"n":1.5,"list":[1,{"x":2}],"low_confidence":true,"evil":"x"}'
    expect: { n: 1.5, list: [1, { x: null }], user.email: "a@b.c", evil: x }
    expect_match: { evil: "^x$" }
    expect_absent: [low_confidence]
  - name: dropped after all
    line: '{"event":"health"}'
    expect: { event: health }
  - name: another reason
    line: '{"a":1,"a":2}'
    expect_reject: { reason: repeated_name, stage: enrich }
  - name: no drop
    line: '{}'
    expect_drop: health
"#;

fn test(place: &Place, more: &[&str]) -> Ended {
    let mut command = place.inferlog(&["test", "p.yaml"]);
    command.args(more);
    start(command).wait()
}

#[test]
fn a_pipeline_that_does_what_it_says_passes_and_is_covered() {
    let place = Place::new(&format!("{PIPELINE}{COVERING}"));
    let ended = test(&place, &["--require-coverage"]);
    let expected = "\
p.yaml
  ok      everything
  ok      health checks are left out
  ok      a name inside stands twice
  ok      no record
  ok      a host and a time of its own

5 passed, 0 failed; 8 of 8 processors covered
";
    assert_eq!((ended.code, &*ended.stdout), (Some(0), expected), "{ended:?}");
    assert!(!place.path("data").exists() && !place.path("home").exists(), "no state");
}

#[test]
fn a_pipeline_broken_on_purpose_fails_with_a_readable_difference() {
    let place = Place::new(&format!("{PIPELINE}{WRONG}").replace("BIDI", "\u{202e}"));
    let ended = test(&place, &[]);
    let expected = r#"p.yaml
  FAILED  wrong in many ways (line 18)
          line 1 of 2: user.email
            expected  "a@b.c"
            got       "[redacted]"
          line 1 of 2: user.email
            expected  "a@b.c"
            got       "[redacted]"
          line 1 of 2: evil
            expected  "x"
            got       "\u001b[2J\u{202e}"
          line 1 of 2: evil
            expected  something that matches /^x$/
            got       "\u001b[2J\u{202e}"
          line 2 of 2: list
            expected  [1,{"x":null}]
            got       [1,{"x":2}]
          line 2 of 2: user.email
            expected  "a@b.c"
            got       no such member
          line 2 of 2: low_confidence
            expected  no such member
            got       true
  FAILED  dropped after all (line 25)
          outcome
            expected  a document
            got       dropped by `health`
  FAILED  another reason (line 28)
          outcome
            expected  rejected by enrich: repeated_name
            got       rejected by decode: repeated_name (members 1 and 2 of the object have the same name `a`)
  FAILED  no drop (line 31)
          outcome
            expected  dropped by `health`
            got       a document
  not covered: processor 3, `flag`: it does nothing in any test
  not covered: processor 4, `rename`, when `msg : *`: no test's record comes to it
  not covered: processor 5, `hash`: it does nothing in any test
  not covered: processor 6, `id`, when `request_id : *`: no test's record comes to it
  not covered: processor 7, `add`, when `event : inference`: no test's record comes to it

0 passed, 4 failed; 3 of 8 processors covered
"#;
    assert_eq!((ended.code, &*ended.stdout), (Some(1), expected), "{ended:?}");
    let ended = test(&place, &["--format", "json"]);
    let lines: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((ended.code, lines.len()), (Some(1), 4), "one line a test");
    assert_eq!(lines[3]["differences"][0]["got"], "a document");
    assert_eq!((&lines[0]["result"], &lines[0]["line"]), (&"failed".into(), &18.into()));
    assert!(ended.stderr.contains("p.yaml: not covered: processor 3, `flag`"), "{ended:?}");
}

#[test]
fn coverage_counts_only_when_it_is_asked_for_and_what_cannot_be_read_is_exit_2() {
    let place = Place::new(PIPELINE.trim_end().trim_end_matches("tests:"));
    let ended = test(&place, &[]);
    assert!(ended.stdout.contains("it has no `tests:`") && ended.stdout.contains("0 of 8"), "{ended:?}");
    assert_eq!(ended.code, Some(0));
    assert_eq!(test(&place, &["--require-coverage"]).code, Some(1));
    place.set_pipeline("sink: stdout\n");
    assert_eq!(test(&place, &[]).code, Some(2));
}

#[test]
fn the_pipeline_files_that_come_with_inferlog_pass_and_cover_every_processor() {
    let place = Place::new("");
    for (file, processors) in [
        ("pipelines", 5),
        ("examples/model_server/pipeline.yaml", 5),
        ("examples/separation/inference.yaml", 4),
        ("examples/separation/input.yaml", 3),
    ] {
        let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
        let ended = start(place.inferlog(&["test", "--require-coverage", &path])).wait();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let words = format!(" 0 failed; {processors} of {processors} processors covered");
        assert!(ended.stdout.contains(&words), "{ended:?}");
    }
}

fn explain(place: &Place, input: &[u8], more: &[&str]) -> Ended {
    let mut command = place.inferlog(&["explain", "p.yaml"]);
    let mut process =
        command.args(more).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(input).unwrap();
    let output = process.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

const SECRET: &str = "jane.doe@secret.example";

#[test]
fn one_record_is_explained_member_by_member() {
    let place = Place::new(PIPELINE.trim_end().trim_end_matches("tests:"));
    let line = format!(
        "{{\"event\":\"inference\",\"request_id\":\"r\",\"at\":1795428000,\"user\":{{\"email\":\"{SECRET}\",\"n\":1}},\"confidence\":0.50,\"msg\":\"m\"}}\n"
    );
    let ended = explain(&place, line.as_bytes(), &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let (way, end) = ended.stdout.split_once("  metadata ").unwrap();
    let expected = r#"line 1, 131 bytes
  decode   a record
  enrich   1. timestamp
             @timestamp: "2026-11-23T10:00:00.000Z" is added
             the record's time is 2026-11-23T10:00:00.000000Z
  enrich   2. redact
             user.email: (hidden) -> "[redacted]"
  enrich   3. flag `confidence < 0.6`: true
             low_confidence: true is added
  enrich   4. rename, when `msg : *`: yes
             msg: "m" is removed
             message: "m" is added
  enrich   5. hash
             nothing to do
  enrich   6. id, when `request_id : *`: yes
             the id is made from these members
  enrich   7. add, when `event : inference`: yes
             service.name: "x" is added
  enrich   8. drop, when `event : health`: no
"#;
    assert_eq!(way, expected);
    for part in [
        "inferlog.file: \"0-0\"",
        "\n  observe  counted as an inference by `model_metrics`\n",
        "\n  id       ",
        "\n  time     2026-11-23T10:00:00.000000Z\n",
        "\n  outcome  shipped to standard output\n",
        "\n  document {\"event\":\"inference\",\"request_id\":\"r\",\"at\":1795428000,\"user\":{\"email\":\"[redacted]\",\"n\":1},\"confidence\":0.50,\"message\":\"m\"",
    ] {
        assert!(end.contains(part), "no {part:?} in {end}");
    }
    assert!(!ended.stdout.contains(SECRET));
}

#[test]
fn an_inference_that_is_not_counted_comes_with_the_condition_that_would_count_it() {
    let place = Place::new(&pipeline("store\nobserve: [model_metrics]"));
    let lines = b"{\"event\":\"prediction served\",\"latency_ms\":3}\n{\"event\":\"startup\"}\n";
    let words = explain(&place, lines, &[]).stdout;
    let condition = "event : \"prediction served\"";
    assert!(
        words.contains(&format!(
            "not counted by `model_metrics`: no inference; `inferences: '{condition}'` would count it"
        )),
        "{words}"
    );
    assert!(words.contains("  observe  not counted by `model_metrics`: no inference\n"), "{words}");
    let ways = explain(&place, lines, &["--format", "json"]).stdout;
    let ways: Vec<Value> = ways.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |way: usize, suggested: Value| {
        assert_eq!(
            ways[way]["observe"],
            json!([{ "observers": ["model_metrics"], "inference": false, "suggested_inferences": suggested }])
        );
    };
    of(0, condition.into());
    of(1, Value::Null);
}

/// `drift` with a condition of its own is another answer than that of `model_metrics`; without one it is the same.
#[test]
fn each_observer_is_explained_by_its_own_condition() {
    let lines = b"{\"event\":\"inference\",\"prediction\":\"a\",\"stage\":\"shadow\"}\n";
    for (options, words, observe) in [
        (
            "",
            "  observe  counted as an inference by `model_metrics` and `drift`\n",
            json!([{ "observers": ["model_metrics", "drift"], "inference": true, "suggested_inferences": null }]),
        ),
        (
            ", inferences: 'event : inference and not stage : shadow'",
            "  observe  counted as an inference by `model_metrics`\n  \
               observe  not counted by `drift`: no inference; `inferences: 'event : inference'` would count it\n",
            json!([{ "observers": ["model_metrics"], "inference": true, "suggested_inferences": null },
                   { "observers": ["drift"], "inference": false, "suggested_inferences": "event : inference" }]),
        ),
    ] {
        let observers = format!("store\nobserve: [model_metrics, {{ drift: {{ baseline: b.json{options} }} }}]");
        let place = Place::new(&pipeline(&observers));
        std::fs::write(place.path("b.json"), BASELINE).unwrap();
        let said = explain(&place, lines, &[]).stdout;
        assert!(said.contains(words), "{said}");
        let way: Value = serde_json::from_str(&explain(&place, lines, &["--format", "json"]).stdout).unwrap();
        assert_eq!(way["observe"], observe);
    }
}

#[test]
fn several_lines_are_explained_each_and_a_reject_is_exit_1() {
    let place = Place::new(PIPELINE.trim_end().trim_end_matches("tests:"));
    let mut input = br#"{"event":"health","evil":"x"}
not json
{"user":{"email":"jane.doe@secret.example","email":2}}
"#
    .to_vec();
    input.extend_from_slice(b"{\"a\":\"\xff\"}\r\n\n{\"user.email\":[\"jane.doe@secret.example\"]}");
    let ended = explain(&place, &input, &["--format", "json"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let ways: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let outcomes: Vec<_> = ways.iter().map(|way| way["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["dropped", "rejected", "rejected", "rejected", "shipped"]);
    let reasons: Vec<_> = ways.iter().filter_map(|way| way["reject"]["reason"].as_str()).collect();
    assert_eq!(reasons, ["not_an_object", "repeated_name", "invalid_utf8"]);
    assert_eq!(ways[0]["rule"], "health");
    assert_eq!(ways[2]["enrich"].as_array().unwrap().len(), 2, "it came as far as `redact`");
    assert_eq!(ways[2]["enrich"][1]["finished"], false);
    assert_eq!(
        ways[0]["enrich"][1]["decisions"],
        serde_json::json!(["it hides `user.email`, which the record does not have"])
    );
    assert_eq!(ways[4]["document"]["user.email"], "[redacted]");
    assert_eq!(ways[4]["enrich"][1]["changes"][0]["before"], "(hidden)");
    assert!(!ended.stdout.contains(SECRET), "{ended:?}");
    let ended = explain(&place, &input, &[]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stdout.contains("  decode   rejected: not_an_object (the line does not begin with `{`)"),
        "{ended:?}"
    );
    assert!(ended.stdout.contains("to fix it: mend the program"), "{ended:?}");
    assert!(!ended.stdout.contains(SECRET), "{ended:?}");
    assert_eq!(explain(&place, b"", &[]).code, Some(2));
}

#[test]
fn wrapped_lines_are_taken_as_a_run_takes_them() {
    let docker = |log: &str| json!({ "log": log, "stream": "stdout", "time": "2026-11-23T10:00:09Z" }).to_string();
    let record = format!("{{\"event\":\"inference\",\"user\":{{\"email\":\"{SECRET}\"}},\"n\":1}}\n");
    let (one, other) = record.split_at(30);
    let head = "source: { files: { paths: [a] } }\ndecode: [auto, { json: { other_text: drop } }]\n\
                enrich: [timestamp: {}, redact: { fields: [user.email] }]\nsink: stdout\n";
    let cri = "2026-11-23T10:00:09Z stdout F {\"n\":2}";
    let tests = format!(
        "tests:\n  - name: in parts\n    line: |\n      {}\n      {}\n    expect: {{ n: 1, user.email: \"[redacted]\" }}\n  \
         - name: text\n    line: '{}'\n    expect_drop: other_text\n  \
         - name: another runtime\n    line: '{cri}'\n    expect: {{ n: 2, log.iostream: stdout }}\n",
        docker(one),
        docker(other),
        docker("INFO: a\n"),
    );
    let place = Place::new(&format!("{head}{tests}"));
    let ended = test(&place, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // Two entries are two lines.
    place.set_pipeline(&format!(
        "{head}tests:\n  - name: two\n    line: |\n      {cri}\n      {cri}\n    expect: {{ n: 2 }}\n"
    ));
    let ended = test(&place, &[]);
    assert!(ended.code == Some(2) && ended.stderr.contains("this is more than one line"), "{ended:?}");
    place.set_pipeline(head);
    // A line whose last part is missing is one of its own kind.
    let input = [docker(one), docker(other), docker("INFO: a\n"), docker(one)].join("\n");
    let ways = explain(&place, input.as_bytes(), &["--format", "json"]);
    assert_eq!(ways.code, Some(1), "{ways:?}");
    assert!(!ways.stdout.contains(SECRET), "{ways:?}");
    let ways: Vec<Value> = ways.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let outcomes: Vec<&Value> = ways.iter().map(|way| &way["outcome"]).collect();
    assert_eq!(outcomes, ["shipped", "dropped", "rejected"]);
    assert_eq!(ways[0]["document"]["log.iostream"], "stdout");
    assert!(ways[0]["metadata"].get("n").is_none(), "{}", ways[0]["metadata"]);
    assert_eq!(ways[2]["reject"]["reason"], "partial_line");
    let words = explain(&place, docker("INFO: a\n").as_bytes(), &[]).stdout;
    assert!(words.contains("left out, counted as dropped by `other_text`"), "{words}");
}
