//! Conditions on what the document will have, such as the path of the log: a run, `test`, `explain`, `check --sample`,
//! `reconcile` and `query` judge the same way.

use std::io::Write as _;
use std::process::Stdio;

use crate::place::{Place, start};

const PIPELINE: &str = r#"
source: { files: { paths: ["logs/*.ndjson", "prod/*.ndjson"] } }
decode: json
enrich:
  - timestamp: { from: [timestamp] }
  - flag: { into: late, when: "log.offset >= 60" }
  - drop: { name: elsewhere, when: "not log.file.path : */prod/*" }
observe:
  - model_metrics: { inferences: "inferlog.pipeline : p" }
sink: { store: {} }
tests:
  - name: what is not of production is left out
    line: '{"n":1}'
    expect_drop: elsewhere
  - name: what is of production is shipped
    file: /var/log/prod/a.ndjson
    line: '{"n":1}'
    expect: { late: false, log.file.path: /var/log/prod/a.ndjson }
"#;

fn lines(count: usize) -> String {
    (0..count).map(|n| format!("{{\"n\":{n},\"timestamp\":\"2026-11-23T10:00:00Z\"}}\n")).collect()
}

#[test]
fn conditions_on_the_path_say_the_same_everywhere() {
    let place = Place::new(PIPELINE);
    std::fs::create_dir(place.path("prod")).unwrap();
    std::fs::write(place.path("prod/a.ndjson"), lines(3)).unwrap();
    std::fs::write(place.path("logs/a.ndjson"), lines(4)).unwrap();
    let verb = |arguments: &[&str]| start(place.inferlog(arguments)).wait();

    place.run_once_to(0);
    let documents = place.store().documents();
    assert_eq!(documents.len(), 3, "{documents:?}");
    assert!(documents.iter().all(|document| document.contains("/prod/a.ndjson")), "{documents:?}");
    let late: Vec<bool> = documents.iter().map(|document| document.contains("\"late\":true")).collect();
    assert_eq!(late, [false, false, true]);

    let found = verb(&["query", "not log.file.path : */prod/*", "--count", "--data-dir", "data"]);
    assert_eq!(found.stdout, "0\n", "{found:?}");
    let proven = verb(&["reconcile", "p.yaml", "--data-dir", "data", "--format", "json"]);
    assert!(proven.code == Some(0) && proven.stdout.contains("\"dropped\":4"), "{proven:?}");
    assert_eq!(verb(&["test", "p.yaml"]).code, Some(0));
    for (log, words) in
        [("logs/a.ndjson", "4  dropped by the rule `elsewhere`"), ("prod/a.ndjson", "3  would be shipped")]
    {
        let sampled = verb(&["check", "p.yaml", "--sample", log]);
        assert!(sampled.stderr.contains(words), "{sampled:?}");
    }
    for (log, words) in [("stdin", "dropped by the rule `elsewhere`"), ("/x/prod/b.ndjson", "shipped to")] {
        let mut command = place.inferlog(&["explain", "p.yaml", "--log", log]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        process.stdin.take().unwrap().write_all(b"{\"n\":1}\n").unwrap();
        let output = process.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(words) && text.contains("counted as an inference"), "{log}: {text}");
    }
}

/// What was meant as a comparison and is a text to KQL keeps a pipeline from starting.
#[test]
fn another_language_in_a_condition_keeps_a_pipeline_from_starting() {
    let place = Place::new(&PIPELINE.replace("not log.file.path : */prod/*", "level == debug"));
    for verb in [&["check", "p.yaml"][..], &["run", "--once", "p.yaml", "--data-dir", "data", "--listen", "off"]] {
        let refused = start(place.inferlog(verb)).wait();
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(
            refused.stderr.contains("write `level : debug`") && refused.stderr.contains("p.yaml:7:"),
            "{refused:?}"
        );
    }
}
