//! `inferlog setup` and `inferlog run` against a real Elasticsearch: every line is found there once with the right types
//! and its bytes intact, and what happens when a document does not fit, the templates are missing, or the node is down.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use serde_json::{Value, json, value::RawValue};

use crate::place::{Ended, Place, free_address, pipeline, records, start, wait_for};
use crate::support::{Method, Node};

const EVERYTHING: &str = r#"{"match_all":{}}"#;

/// A place whose pipeline ships into a data stream of the test's own, which is not there yet.
async fn place(node: &Node, name: &str) -> (Place, String) {
    let stream = format!("logs-ml.inference-{name}");
    node.forget(&stream).await;
    let host = node.options.hosts[0].as_str();
    (Place::new(&pipeline(&sink(host, &stream))), stream)
}

fn sink(host: &str, stream: &str) -> String {
    format!("{{ elasticsearch: {{ hosts: [\"{host}\"], data_stream: {stream}, retry: {{ max: 500ms }} }} }}")
}

fn setup(place: &Place, what: &str) -> Ended {
    start(place.inferlog(&["setup", what, "p.yaml"])).wait()
}

fn apply(place: &Place) {
    let ended = setup(place, "apply");
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

fn said(ended: &Ended, what: &str) {
    assert!(ended.stderr.contains(what), "no `{what}` in {ended:?}");
}

#[tokio::test]
async fn a_hundred_thousand_records_arrive_once_however_often_they_are_run() {
    const COUNT: u64 = 100_000;
    let Some(node) = Node::plain("a hundred thousand records") else { return };
    let (place, stream) = place(&node, "hundredthousand").await;
    apply(&place);
    assert_eq!(setup(&place, "plan").code, Some(0), "nothing is left to do");
    place.append(records(0..COUNT));

    said(&place.run_once_to(0), &format!("read {COUNT} lines, "));
    assert_eq!(node.count(&stream, EVERYTHING).await, COUNT);
    said(&place.run_once_to(0), "read 0 lines, 0 bytes; elasticsearch: 0 indexed, 0 duplicates");
    assert_eq!(node.count(&stream, EVERYTHING).await, COUNT);

    std::fs::remove_dir_all(place.path("data")).unwrap();
    said(&place.run_once_to(0), &format!("elasticsearch: 0 indexed, {COUNT} duplicates"));
    assert_eq!(node.count(&stream, EVERYTHING).await, COUNT);
    // Each once: as many different numbers as documents, from the first to the last.
    let aggregations = json!({"size": 0, "aggs": {
        "numbers": {"cardinality": {"field": "n", "precision_threshold": 40_000}},
        "extent": {"stats": {"field": "n"}}}});
    let (_, found) = node.ask(Method::Post, &format!("{stream}/_search"), &aggregations.to_string()).await;
    let extent = &found["aggregations"]["extent"];
    let sum = (COUNT * (COUNT - 1) / 2) as f64;
    assert_eq!(
        *extent,
        json!({"count": COUNT, "min": 0.0, "max": (COUNT - 1) as f64,
        "avg": (COUNT - 1) as f64 / 2.0, "sum": sum})
    );
}

#[tokio::test]
async fn records_are_found_by_their_fields_with_the_right_types() {
    let Some(node) = Node::plain("types of fields") else { return };
    let (place, stream) = place(&node, "types").await;
    apply(&place);
    let text = records(0..2_000);
    place.append(&text);
    place.run_once_to(0);
    let confidence = |line: &str| serde_json::from_str::<Value>(line).unwrap()["confidence"].as_f64().unwrap();
    let uncertain = text.lines().filter(|line| confidence(line) < 0.6).count() as u64;
    assert!(uncertain > 100 && uncertain < 1_900, "the records vary");
    let queries = [
        (EVERYTHING, 2_000),
        (r#"{"term":{"low_confidence":true}}"#, uncertain),
        (r#"{"range":{"confidence":{"lt":0.6}}}"#, uncertain),
        (r#"{"range":{"@timestamp":{"gte":"2026-11-23T00:00:10Z","lt":"2026-11-23T00:00:20Z"}}}"#, 500),
        (r#"{"term":{"service.name":"anomaly-detector"}}"#, 2_000),
        (r#"{"term":{"inferlog.pipeline":"p"}}"#, 2_000),
        (r#"{"prefix":{"log.file.path":"/"}}"#, 2_000),
        (r#"{"range":{"log.offset":{"gt":0}}}"#, 1_999),
        (r#"{"exists":{"field":"input_hash"}}"#, 2_000),
        (r#"{"term":{"status":"success"}}"#, 2_000),
    ];
    for (query, count) in queries {
        assert_eq!(node.count(&stream, query).await, count, "{query}");
    }
    let (_, fields) = node.ask(Method::Get, &format!("{stream}/_field_caps?fields=*"), "").await;
    for (field, kind) in [
        ("@timestamp", "date"),
        ("confidence", "double"),
        ("latency_ms", "double"),
        ("input_hash", "keyword"),
        ("request_id", "keyword"),
        ("model_version", "keyword"),
        ("low_confidence", "boolean"),
        ("log.offset", "long"),
    ] {
        let types: Vec<&String> = fields["fields"][field].as_object().into_iter().flatten().map(|(k, _)| k).collect();
        let near = types.len() == 1 && (types[0] == kind || kind == "double" && types[0] == "float");
        assert!(near, "`{field}` is {types:?}, not {kind}");
    }
}

/// Lines whose documents must come back as they were sent, and must not get into each other's way.
const ODD_LINES: [&str; 8] = [
    r#"{"n":0,"digits":0.1234567890123456789,"big":12345678901234567890}"#,
    r#"{ "n" : 1 , "host" : "gpu-7" , "exponent":1E+2,"zero":-0.0 }"#,
    r#"{"n":2,"service":{"name":"x"},"event":"inference"}"#,
    r#"{"n":3,"host":{"name":"gpu-8"},"event":"inference","escapes":"\u0041\/\n\ud83d\ude00 \u00e4ä"}"#,
    r#"{"n":4,"service.name":"y","log":{"level":"info"},"agent":"curl"}"#,
    r#"{"n":5,"features":{"z":1.50,"a":[ 1 ,2.0, null ]},"timestamp":"2026-11-23T10:00:00.123456789Z"}"#,
    r#"{"n":6,"service":"z","event":{"kind":"x"},"features":"text"}"#,
    r#"{"n":7,"features":{"z":"text","a":{"deep":true}},"host":7}"#,
];

#[derive(serde::Deserialize)]
struct Hit {
    _index: String,
    _id: String,
}

#[tokio::test]
async fn the_source_is_byte_for_byte_what_was_sent() {
    let Some(node) = Node::plain("source byte for byte") else { return };
    let (place, stream) = place(&node, "sourcebytes").await;
    let host = node.options.hosts[0].as_str();
    // The same batch goes to both sinks: what stdout prints is what Elasticsearch was sent.
    place.set_pipeline(&pipeline(&format!("[{}, stdout]", sink(host, &stream))));
    apply(&place);
    place.append(ODD_LINES.join("\n") + "\n");
    let ended = place.run_once_to(0);
    let mut sent: Vec<String> = ended.stdout.lines().map(str::to_owned).collect();
    assert_eq!(sent.len(), ODD_LINES.len(), "{ended:?}");
    for (document, line) in sent.iter().zip(ODD_LINES) {
        assert!(document.starts_with(line.strip_suffix('}').unwrap().trim_end()), "`{line}` became `{document}`");
    }
    assert_eq!(node.count(&stream, EVERYTHING).await, ODD_LINES.len() as u64, "no conflict");
    let (_, found) = node.ask(Method::Get, &format!("{stream}/_search?size=100&_source=false"), "").await;
    let hits: Vec<Hit> = serde_json::from_value(found["hits"]["hits"].clone()).unwrap();
    let mut sources = Vec::new();
    for hit in hits {
        let (status, source) = node.ask_text(Method::Get, &format!("{}/_source/{}", hit._index, hit._id), "").await;
        assert_eq!(status, 200);
        sources.push(source);
    }
    sources.sort();
    sent.sort();
    assert_eq!(sources, sent);
    for query in
        [r#"{"term":{"event":"inference"}}"#, r#"{"term":{"service.name":"x"}}"#, r#"{"term":{"host":"gpu-7"}}"#]
    {
        let found = node.count(&stream, query).await;
        assert!(found > 0, "{query}");
    }
}

#[tokio::test]
async fn what_does_not_fit_goes_to_the_dead_letter_with_elasticsearchs_reason() {
    let Some(node) = Node::plain("mapping conflict") else { return };
    let (place, stream) = place(&node, "conflict").await;
    apply(&place);
    place.append(records(0..50));
    let offset = std::fs::metadata(place.log()).unwrap().len();
    let line = r#"{"n":50,"confidence":"n/a","note":"kept"}"#;
    place.append(format!("{line}\n"));
    place.append(records(51..100));
    let ended = place.run_once_to(1);
    said(&ended, "1 went to the dead letter");
    assert!(!ended.stderr.contains("n/a"), "Elasticsearch quotes the value, the log must not: {ended:?}");
    assert_eq!(node.count(&stream, EVERYTHING).await, 99);
    let entries = place.dead_letters();
    assert_eq!(entries.len(), 1, "{entries:?}");
    let entry = &entries[0];
    assert_eq!((&entry["stage"], &entry["reason"]), (&json!("sink"), &json!("document_parsing_exception")));
    assert!(entry["detail"].as_str().unwrap().contains("failed to parse field [confidence]"), "{entry}");
    let origin = &entry["origin"];
    assert_eq!((&origin["offset_bytes"], &origin["length_bytes"]), (&json!(offset), &json!(line.len())));
    assert_eq!(origin["file"].as_str(), place.log().canonicalize().unwrap().to_str());
    assert_eq!(entry["document"]["note"], "kept");
    // Settled: it is not tried again, and a run from the start enters it once.
    place.run_once_to(0);
    std::fs::remove_file(place.path("data/p/checkpoint.json")).unwrap();
    place.run_once();
    assert_eq!(place.dead_letters(), entries);
    assert_eq!(node.count(&stream, EVERYTHING).await, 99);
}

/// Passes connections on to another address, from now on until the process ends.
fn forward(from: SocketAddr, to: SocketAddr) {
    let listener = TcpListener::bind(from).unwrap();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(to) else { continue };
            for (mut from, mut to) in [
                (client.try_clone().unwrap(), server.try_clone().unwrap()),
                (server.try_clone().unwrap(), client.try_clone().unwrap()),
            ] {
                thread::spawn(move || {
                    let _ = io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
}

#[tokio::test]
async fn a_node_that_is_down_at_the_start_gets_everything_when_it_comes() {
    const COUNT: u64 = 5_000;
    let Some(node) = Node::plain("node down at the start") else { return };
    let (place, stream) = place(&node, "downatstart").await;
    apply(&place);
    let down = free_address();
    place.set_pipeline(&pipeline(&sink(&format!("http://{down}"), &stream)));
    place.append(records(0..COUNT));
    let running = place.run();
    let reasons = wait_for("the sink not to be ready", || {
        let (status, body) = running.get("/readyz");
        (status == 503).then_some(body)
    });
    assert!(reasons.contains(&down.port().to_string()), "{reasons}");
    assert_eq!(running.get("/healthz").0, 200);
    let url = &node.options.hosts[0];
    forward(down, format!("{}:{}", url.host_str().unwrap(), url.port().unwrap()).parse().unwrap());
    running.wait_for_metric("inferlog_sink_indexed_records_total{pipeline=\"p\",sink=\"elasticsearch\"}", COUNT);
    wait_for("the sink to be ready", || (running.get("/readyz").0 == 200).then_some(()));
    let ended = running.stop();
    said(&ended, "the sink answers again");
    assert_eq!(node.count(&stream, EVERYTHING).await, COUNT);
    assert!(place.dead_letters().is_empty());
}

#[tokio::test]
async fn without_our_template_it_ships_and_warns() {
    let Some(node) = Node::plain("no template of ours") else { return };
    // Elasticsearch's own template for `logs-*-*` makes the data stream; ours is for `logs-ml.inference-*` alone.
    let stream = "logs-untemplated.by.us-itests";
    node.forget(stream).await;
    let theirs = json!({"index_patterns": ["logs-untemplated.by.us-*"], "data_stream": {}, "priority": 150});
    let (status, answer) = node.ask(Method::Put, "_index_template/untemplated-by-us", &theirs.to_string()).await;
    assert_eq!(status, 200, "{answer}");
    let place = Place::new(&pipeline(&sink(node.options.hosts[0].as_str(), stream)));
    place.append(records(0..100));
    let ended = place.run_once_to(0);
    assert_eq!(node.count(stream, EVERYTHING).await, 100);
    said(&ended, "WARN");
    said(&ended, "setup apply");
    let plan = setup(&place, "plan");
    assert_eq!(plan.code, Some(1), "there is something to do: {plan:?}");
}

#[test]
fn setup_says_what_it_would_do_and_whether_it_could_look() {
    let place = Place::new(&pipeline("{ store: {} }"));
    let ended = setup(&place, "plan");
    assert_eq!(ended.code, Some(2), "a store needs no setup: {ended:?}");
    said(&ended, "hint: ");
    place.set_pipeline(&pipeline(&sink(&format!("http://{}", free_address()), "logs-ml.inference-x")));
    for what in ["plan", "apply"] {
        let ended = setup(&place, what);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "unreachable: {ended:?}");
    }
    let checked = start(place.inferlog(&["check", "--connect", "p.yaml"])).wait();
    assert_eq!(checked.code, Some(2), "it does not answer, so nothing was seen: {checked:?}");
    said(&checked, "could not look: no answer from http://127.0.0.1:");
}

#[tokio::test]
async fn setup_plan_prints_a_line_for_each_step() {
    let Some(node) = Node::plain("setup plan") else { return };
    let (place, _) = place(&node, "plan").await;
    apply(&place);
    let ended = start(place.inferlog(&["setup", "plan", "p.yaml", "--format", "json"])).wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for line in ended.stdout.lines() {
        let step: Value = serde_json::from_str(line).unwrap();
        assert_eq!(step["action"], "unchanged", "{step}");
        assert!(step["kind"].is_string() && step["name"].is_string(), "{step}");
    }
    let kinds: Vec<&RawValue> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(kinds.len() >= 4, "components, index template, lifecycle policy: {kinds:?}");
    let checked = start(place.inferlog(&["check", "--connect", "p.yaml"])).wait();
    assert_eq!(checked.code, Some(0), "{checked:?}");
}
