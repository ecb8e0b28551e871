//! A real OpenSearch: what works there as on Elasticsearch, and what is said of what does not.

use serde_json::Value;

use crate::place::{Place, pipeline, records, start};
use crate::support::{Method, Node};

/// More than a page, so that views, ties and pages are gone through.
const COUNT: u64 = 2_500;

/// A place whose pipeline ships into a stream or index of the test's own, which is not there yet.
async fn place(node: &Node, stream: &str) -> (Place, String) {
    let stream = stream.to_owned();
    let namespace = stream.splitn(3, '-').nth(2).unwrap();
    for stream in [&stream, &format!("metrics-ml.pipeline-{namespace}")] {
        node.forget(stream).await;
    }
    let host = node.options.hosts[0].as_str();
    (Place::new(&pipeline(&format!("{{ elasticsearch: {{ hosts: [\"{host}\"], data_stream: {stream} }} }}"))), stream)
}

#[tokio::test]
async fn records_are_shipped_found_and_proven() {
    let Some(node) = Node::opensearch("records in OpenSearch") else { return };
    let (place, stream) = place(&node, "logs-ml.inference-opensearch").await;
    place.append(records(0..COUNT));
    place.run_once_to(0);
    assert_eq!(node.count(&stream, r#"{"match_all":{}}"#).await, COUNT);

    let asked = start(place.inferlog(&["query", "n < 2400", "--pipeline", "p.yaml", "--format", "json"])).wait();
    assert_eq!(asked.code, Some(0), "{asked:?}");
    let number = |line: &str| serde_json::from_str::<Value>(line).unwrap()["n"].as_u64().unwrap();
    let mut found: Vec<u64> = asked.stdout.lines().map(number).collect();
    found.sort_unstable();
    assert_eq!(found, (0..2400).collect::<Vec<_>>());
    let counted = start(place.inferlog(&["query", "n >= 2400", "--pipeline", "p.yaml", "--count"])).wait();
    assert_eq!((counted.code, counted.stdout.trim()), (Some(0), "100"), "{counted:?}");

    let proven = start(place.inferlog(&["reconcile", "--data-dir", "data", "p.yaml"])).wait();
    assert_eq!(proven.code, Some(0), "{proven:?}");
    let gone = format!("{stream}/_delete_by_query?refresh=true");
    let (status, _) = node.ask(Method::Post, &gone, r#"{"query":{"term":{"n":7}}}"#).await;
    assert_eq!(status, 200);
    let missing = start(place.inferlog(&["reconcile", "--data-dir", "data", "p.yaml"])).wait();
    assert_eq!(missing.code, Some(1), "one is missing: {missing:?}");

    // A stream that is there is shipped into by the next run as well.
    place.append(records(COUNT..COUNT + 10));
    place.run_once_to(0);
    assert_eq!(node.count(&stream, r#"{"match_all":{}}"#).await, COUNT - 1 + 10);
}

#[tokio::test]
async fn what_cannot_be_asked_there_is_said() {
    let Some(node) = Node::opensearch("readiness of OpenSearch") else { return };
    let (place, stream) = place(&node, "logs-opensearch-ready").await;
    let checked = start(place.inferlog(&["check", "--connect", "p.yaml"])).wait();
    for words in [
        "which is not Elasticsearch",
        &format!("not shown to this user: `{stream}`: what this user may do"),
        &format!("no template is in force for `{stream}`"),
    ] {
        assert!(checked.stderr.contains(words), "no `{words}` in {checked:?}");
    }
    assert_eq!(checked.code, Some(1), "{checked:?}");
}
