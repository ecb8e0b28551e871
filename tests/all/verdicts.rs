//! `inferlog reconcile --record`: the verdict is a document beside the accounts, and disturbs nobody.

use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::Value;

use crate::place::{Ended, Place, append, pipeline_of, records, start};
use crate::support::{Method, Node};

const FILES: &str = "paths: [\"logs/*.ndjson\"], poll_interval: 50ms";

fn reconcile(place: &Place, more: &[&str]) -> Ended {
    let mut command = place.inferlog(&["reconcile", "p.yaml", "--data-dir", "data", "--record"]);
    command.args(more);
    start(command).wait()
}

/// The verdicts in the store, the oldest first.
fn verdicts(place: &Place) -> Vec<Value> {
    let store = place.store().open();
    let sql =
        "SELECT document FROM accounts WHERE document ->> '$.\"account.kind\"' = 'reconcile' ORDER BY timestamp_us";
    let mut statement = store.prepare(sql).unwrap();
    let documents = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    documents.map(|document| serde_json::from_str(&document.unwrap()).unwrap()).collect()
}

fn words(verdict: &Value) -> (&str, u64, u64) {
    let number = |name: &str| verdict[name].as_u64().unwrap();
    (verdict["account.verdict"].as_str().unwrap(), number("account.lines"), number("account.missing"))
}

#[test]
fn a_verdict_is_written_beside_a_running_pipeline_which_goes_on() {
    let place = Place::new(&pipeline_of(FILES, "", "store"));
    place.append(records(0..100));
    let running = place.run();
    let settled = "inferlog_settled_lines_total{pipeline=\"p\"}";
    running.wait_for_metric(settled, 100);
    let ended = reconcile(&place, &["--up-to-committed"]);
    assert!(ended.stderr.contains("sink `store`: the verdict `complete` is written there"), "{ended:?}");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let written = verdicts(&place);
    assert_eq!(written.iter().map(words).collect::<Vec<_>>(), [("complete", 100, 0)]);
    let verdict = &written[0];
    assert_eq!((&verdict["account.sink"], &verdict["account.scope"]), (&"store".into(), &"committed".into()));
    assert_eq!((&verdict["account.matched_files"], &verdict["account.settled_ratio"]), (&1.into(), &1.0.into()));
    assert!(verdict["account.up_to"].is_string() && verdict["host.name"].is_string(), "{verdict}");
    place.append(records(100..150));
    running.wait_for_metric(settled, 150);
    running.stop();
    // What is lost is said there, too; the verdict before it is no evidence.
    let store = Connection::open(place.path("data/p/store.sqlite")).unwrap();
    store.execute("DELETE FROM records WHERE rowid = 7", ()).unwrap();
    let ended = reconcile(&place, &[]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let written = verdicts(&place);
    assert_eq!(written.iter().map(words).collect::<Vec<_>>(), [("complete", 100, 0), ("incomplete", 150, 1)]);
    let ratio = written[1]["account.settled_ratio"].as_f64().unwrap();
    assert!((ratio - 149.0 / 150.0).abs() < 1e-12, "{ratio}");
    assert_eq!(place.store().count(), 149, "nothing was brought back");
}

/// Another process writes for longer than it is waited for.
#[test]
fn a_verdict_that_cannot_be_written_is_printed_and_is_no_success() {
    let place = Place::new(&pipeline_of(FILES, "", "store"));
    place.append(records(0..10));
    place.run_once_to(0);
    let store = Connection::open(place.path("data/p/store.sqlite")).unwrap();
    store.execute_batch("BEGIN IMMEDIATE").unwrap();
    let started = Instant::now();
    let ended = reconcile(&place, &[]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    for said in ["all 10 lines are accounted for", "the verdict could not be written there"] {
        assert!(ended.stderr.contains(said), "no `{said}`: {ended:?}");
    }
    store.execute_batch("ROLLBACK").unwrap();
    assert!(verdicts(&place).is_empty());
    assert_eq!(reconcile(&place, &[]).code, Some(0));
    assert_eq!(verdicts(&place).len(), 1);
}

#[tokio::test]
async fn a_verdict_on_elasticsearch_is_there_and_is_found_by_its_members() {
    let Some(node) = Node::plain("verdicts in Elasticsearch") else { return };
    let (stream, accounts) = ("logs-ml.inference-verdicts", "metrics-ml.pipeline-verdicts");
    for name in [stream, accounts] {
        node.forget(name).await;
    }
    let sink = format!("{{ elasticsearch: {{ hosts: [\"{}\"], data_stream: {stream} }} }}", node.options.hosts[0]);
    let place = Place::new(&pipeline_of(FILES, "", &sink));
    assert_eq!(start(place.inferlog(&["setup", "apply", "p.yaml"])).wait().code, Some(0));
    append(&place.log(), records(0..20) + "no record\n");
    place.run_once_to(1);
    for _ in 0..2 {
        let ended = reconcile(&place, &[]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    node.ask(Method::Post, &format!("{accounts}/_refresh"), "").await;
    for (query, expected) in [
        (
            r#"[{"term":{"account.verdict":"complete"}},{"range":{"account.settled_ratio":{"gte":1}}},{"term":{"account.lines":21}}]"#,
            2,
        ),
        (
            r#"[{"term":{"account.kind":"dead_letter"}},{"prefix":{"account.reason":"decode/"}},{"term":{"account.reason_count":1}}]"#,
            1,
        ),
        (
            r#"[{"terms":{"account.kind":["start","interval","stop"]}},{"range":{"account.indexed":{"gte":20}}},{"range":{"account.sink_latency_max_ms":{"gt":0}}}]"#,
            1,
        ),
        (r#"[{"term":{"account.dead_letter_reasons":"decode/not_an_object"}}]"#, 1),
    ] {
        let query = format!("{{\"bool\":{{\"filter\":{query}}}}}");
        assert_eq!(node.count(accounts, &query).await, expected, "{query}");
    }
    // The accounts still tell what waits, and through when all is there.
    let verb = ["query", "*", "--pipeline", "p.yaml", "--data-dir", "elsewhere", "--count"];
    let asked = start(place.inferlog(&verb)).wait();
    assert!(asked.stderr.contains("complete through ") && !asked.stderr.contains("lags"), "{asked:?}");
    for name in [stream, accounts] {
        node.forget(name).await;
    }
}
