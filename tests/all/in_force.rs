//! What is in force in Elasticsearch: where it would alter records they are held back until it is put right; where no template
//! makes a data stream they wait; where it may not be looked at they are shipped, and that is said.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use inferlog::elastic::bulk;
use inferlog::elastic::client::Body;
use inferlog::flow::answer::{Answer as BulkAnswer, Outcome};
use serde_json::{Value, json};

use crate::place::{Place, Running, http, pipeline, records, start, wait_for};
use crate::scripted::{Answer, scripted};
use crate::support::{Method, Node};

const EVERYTHING: &str = r#"{"match_all":{}}"#;

fn place(node: &Node, target: &str, more: &str) -> Place {
    let host = node.options.hosts[0].as_str();
    Place::new(&pipeline(&format!(
        "{{ elasticsearch: {{ hosts: [\"{host}\"], {target}, retry: {{ initial: 100ms, max: 300ms }}{more} }} }}"
    )))
}

async fn put(node: &Node, path: &str, body: &Value) {
    let (status, answer) = node.ask(Method::Put, path, &body.to_string()).await;
    assert_eq!(status, 200, "{path}: {answer}");
}

/// A template of somebody else's for one stream, below ours.
async fn foreign_template(node: &Node, stream: &str, template: &Value) {
    node.ask(Method::Delete, &format!("_index_template/inferlog-stream-{stream}"), "").await;
    node.forget(stream).await;
    let body = json!({ "index_patterns": [stream], "data_stream": {}, "priority": 150, "template": template });
    put(node, &format!("_index_template/foreign-{stream}"), &body).await;
}

fn apply(place: &Place) {
    let ended = start(place.inferlog(&["setup", "apply", "p.yaml"])).wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// Waits until `/readyz` answers this, and gives what it says.
fn wait_for_readiness(running: &Running, status: u16, words: &str) -> String {
    wait_for(&format!("/readyz to say {status} {words}"), || {
        let (found, body) = running.get("/readyz");
        (found == status && body.contains(words)).then_some(body)
    })
}

async fn exists(node: &Node, name: &str) -> bool {
    node.ask(Method::Get, name, "").await.0 == 200
}

#[tokio::test]
async fn a_cluster_without_a_template_makes_no_plain_index_and_records_wait() {
    let Some(node) = Node::plain("no template at all") else { return };
    let stream = "logs-inforce.none-x";
    node.ask(Method::Delete, &format!("_index_template/inferlog-stream-{stream}"), "").await;
    node.forget(stream).await;
    let place = place(&node, &format!("data_stream: {stream}"), "");
    place.append(records(0..20));
    let running = place.run();
    wait_for_readiness(&running, 503, "inferlog setup apply");
    assert!(!exists(&node, stream).await, "something was made");
    apply(&place);
    running.wait_for_metric("inferlog_sink_indexed_records_total{pipeline=\"p\",sink=\"elasticsearch\"}", 20);
    wait_for_readiness(&running, 200, "\"ready\":true");
    running.stop();
    assert_eq!(node.count(stream, EVERYTHING).await, 20);
    let (_, answer) = node.ask(Method::Get, &format!("_data_stream/{stream}"), "").await;
    assert_eq!(answer["data_streams"][0]["name"], stream, "{answer}");
    assert!(place.dead_letters().is_empty());
    node.forget(stream).await;
}

#[tokio::test]
async fn what_would_alter_records_holds_them_back_until_it_is_put_right() {
    let Some(node) = Node::plain("index modes that alter records") else { return };
    for (stream, template, words) in [
        ("logs-inforce.logsdb-x", json!({ "settings": { "index.mode": "logsdb" } }), "its index mode is `logsdb`"),
        ("logs-inforce.nosource-x", json!({ "mappings": { "_source": { "enabled": false } } }), "is switched off"),
        ("logs-inforce.part-x", json!({ "mappings": { "_source": { "excludes": ["n"] } } }), "leaves members out"),
    ] {
        // Before there is a stream, the template is what counts; not a record is needed to say so.
        foreign_template(&node, stream, &template).await;
        let target = format!("data_stream: {stream}");
        let place = place(&node, &target, "");
        let running = place.run();
        wait_for_readiness(&running, 503, words);
        place.append(records(0..20));
        let checked = start(place.inferlog(&["check", "--connect", "p.yaml"])).wait();
        assert_eq!(checked.code, Some(1), "{checked:?}");
        assert!(checked.stderr.contains(words) && checked.stderr.contains("template: unmanaged"), "{checked:?}");
        wait_for("lines to be read", || {
            (running.metrics()["inferlog_source_read_lines_total{pipeline=\"p\"}"] == 20).then_some(())
        });
        wait_for_readiness(&running, 503, "held back");
        assert!(!exists(&node, stream).await, "something was shipped");
        // Somebody else makes the stream; then our template is right, and the index that is written to is not.
        assert_eq!(node.ask(Method::Put, &format!("_data_stream/{stream}"), "").await.0, 200);
        let ended = start(place.inferlog(&["setup", "apply", "p.yaml"])).wait();
        assert_eq!(ended.code, Some(1), "the stream that is there is not as it should be: {ended:?}");
        wait_for_readiness(&running, 503, &format!("POST {stream}/_rollover"));
        assert_eq!(node.count(stream, EVERYTHING).await, 0);
        let (status, answer) = node.ask(Method::Post, &format!("{stream}/_rollover"), "").await;
        assert_eq!(status, 200, "{answer}");
        wait_for_readiness(&running, 200, "\"ready\":true");
        running.wait_for_metric("inferlog_sink_indexed_records_total{pipeline=\"p\",sink=\"elasticsearch\"}", 20);
        running.stop();
        assert_eq!(node.count(stream, EVERYTHING).await, 20);
        assert!(place.dead_letters().is_empty());
        node.forget(stream).await;
    }
}

#[tokio::test]
async fn dated_indices_are_looked_at_as_well() {
    let Some(node) = Node::plain("dated indices that keep no source") else { return };
    let template = json!({ "index_patterns": ["inforce-dated-*"], "template": { "mappings": { "_source": { "enabled": false } } } });
    put(&node, "_index_template/foreign-inforce-dated", &template).await;
    let place = place(&node, "index: \"inforce-dated-{yyyy}\"", "");
    place.append(records(0..5));
    let running = place.run();
    wait_for_readiness(&running, 503, "is switched off");
    wait_for("lines to be read", || {
        (running.metrics()["inferlog_source_read_lines_total{pipeline=\"p\"}"] == 5).then_some(())
    });
    wait_for_readiness(&running, 503, "held back");
    assert_eq!(node.ask(Method::Get, "inforce-dated-*/_count", "").await.1["count"], 0);
    node.ask(Method::Delete, "_index_template/foreign-inforce-dated", "").await;
    running.wait_for_metric("inferlog_sink_indexed_records_total{pipeline=\"p\",sink=\"elasticsearch\"}", 5);
    running.stop();
    node.forget("inforce-dated-2026").await;
}

#[tokio::test]
async fn who_knows_better_or_may_not_look_ships_and_is_told_once() {
    let Some(node) = Node::plain("an unmanaged template") else { return };
    let stream = "logs-inforce.unmanaged-x";
    foreign_template(&node, stream, &json!({ "settings": { "index.mode": "logsdb" } })).await;
    let unmanaged = place(&node, &format!("data_stream: {stream}"), ", template: unmanaged");
    must_ship_and_say(&unmanaged, "`template: unmanaged`: nobody looks");
    node.forget(stream).await;

    let Some(node) = Node::strict("a shipper that may not look") else { return };
    let stream = "logs-inforce.shipper-x";
    node.forget(stream).await;
    apply(&place(&node, &format!("data_stream: {stream}"), &credentials("elastic", "inferlog-test")));
    let privileges = json!(["create_doc", "auto_configure"]);
    let names = json!([stream, "metrics-ml.pipeline-*"]);
    put(&node, "_security/role/inforce", &json!({ "indices": [{ "names": names, "privileges": privileges }] })).await;
    put(&node, "_security/user/inforce", &json!({ "password": "inforce-password", "roles": ["inforce"] })).await;
    let who = credentials("inforce", "inforce-password");
    must_ship_and_say(&place(&node, &format!("data_stream: {stream}"), &who), "it could not be looked at whether");
    node.forget(stream).await;
}

fn credentials(user: &str, password: &str) -> String {
    format!(", username: {user}, password: {password}")
}

fn must_ship_and_say(place: &Place, words: &str) {
    place.append(records(0..20));
    let running = place.run();
    running.wait_for_metric("inferlog_sink_indexed_records_total{pipeline=\"p\",sink=\"elasticsearch\"}", 20);
    let body = wait_for_readiness(&running, 200, words);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&body["ready"], body["remarks"].as_array().unwrap().len()), (&json!(true), 1), "{body}");
    place.append(records(20..40));
    running.wait_for_metric("inferlog_sink_indexed_records_total{pipeline=\"p\",sink=\"elasticsearch\"}", 40);
    let ended = running.stop();
    assert_eq!(ended.stderr.matches(words).count(), 1, "{ended:?}");
}

/// A server before the node that does not know two parameters of `_bulk`: it says so when it is asked, or, `late`, only when
/// documents come. Gives its URL, and how often it has said so.
fn older(node: &Node, late: bool) -> (String, Arc<AtomicUsize>) {
    let url = &node.options.hosts[0];
    let address: SocketAddr = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap()).parse().unwrap();
    let said = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&said);
    let url = scripted(move |asked| {
        let names: Vec<String> = ["include_source_on_error", "require_data_stream"]
            .iter()
            .filter(|name| asked.path.contains(*name))
            .map(|name| format!("[{name}]"))
            .collect();
        if !names.is_empty() && (!late || asked.body.len() > 1) {
            count.fetch_add(1, Ordering::SeqCst);
            let reason = format!("request [/_bulk] contains unrecognized parameters: {}", names.join(", "));
            let error = json!({ "error": { "type": "illegal_argument_exception", "reason": reason }, "status": 400 });
            return Answer::new(400, &[("x-elastic-product", "Elasticsearch")], &error.to_string());
        }
        let method = asked.line.split(' ').next().unwrap();
        let kind = if asked.path.contains("_bulk") { "application/x-ndjson" } else { "application/json" };
        let body = std::str::from_utf8(&asked.body).unwrap();
        let (status, body) = http(address, method, &asked.path, &[("content-type", kind)], body).unwrap();
        Answer::new(status, &[("x-elastic-product", "Elasticsearch")], &without_chunks(&body))
    });
    (url, said)
}

/// Elasticsearch sends some bodies in chunks, also to who has asked by HTTP/1.0.
fn without_chunks(body: &str) -> String {
    let (mut whole, mut rest) = (String::new(), body);
    while let Some((size, after)) = rest.split_once("\r\n") {
        let Ok(size) = usize::from_str_radix(size, 16) else { break };
        whole.push_str(&after[..size]);
        rest = &after[size + 2..];
    }
    if whole.is_empty() { body.to_owned() } else { whole }
}

#[tokio::test]
async fn a_server_that_does_not_know_a_parameter_is_asked_without_it_and_nothing_is_lost() {
    let Some(node) = Node::plain("parameters that are not known") else { return };
    let stream = "logs-ml.inference-olderserver";
    for late in [false, true] {
        node.forget(stream).await;
        let (url, said) = older(&node, late);
        let place =
            Place::new(&pipeline(&format!("{{ elasticsearch: {{ hosts: [\"{url}\"], data_stream: {stream} }} }}")));
        apply(&place);
        place.append(records(0..1_000));
        let ended = place.run_once_to(0);
        assert!(ended.stderr.contains("elasticsearch: 1000 indexed, 0 duplicates"), "{ended:?}");
        assert_eq!(node.count(stream, EVERYTHING).await, 1_000);
        assert!(said.load(Ordering::SeqCst) > 0, "it was never asked");
    }
    node.forget(stream).await;
}

/// Secrets in places where Elasticsearch quotes them; the last one is hidden by the pipeline.
const CANARIES: &str = "{\"n\":1,\"confidence\":\"canary-value-4711\"}\n\
                        {\"n\":2,\"outer\":{\"canary-name-4712\":1,\"canary-name-4712\":2}}\n\
                        {\"n\":3,\"confidence\":\"high\",\"user\":{\"email\":\"canary-hidden-4713\"},\"latency_ms\":\"canary-value-4714\"}\n";

#[tokio::test]
async fn what_elasticsearch_quotes_of_a_record_stays_in_its_dead_letter() {
    let Some(node) = Node::plain("reasons that quote records") else { return };
    let stream = "logs-ml.inference-canaries";
    for url in [node.options.hosts[0].to_string(), older(&node, false).0] {
        node.forget(stream).await;
        let sink = format!("{{ elasticsearch: {{ hosts: [\"{url}\"], data_stream: {stream} }} }}");
        let hiding = "enrich: [{ redact: { fields: [user.email] } }]\n";
        let place = Place::new(&format!(
            "source: {{ files: {{ paths: [\"logs/*.ndjson\"] }} }}\ndecode: json\n{hiding}sink: {sink}\n"
        ));
        apply(&place);
        place.append(CANARIES);
        let running = place.run();
        wait_for("three dead letters", || (place.dead_letters().len() == 3).then_some(()));
        let shown = format!("{}{}", running.get("/metrics").1, running.get("/readyz").1);
        let ended = running.stop();
        assert!(!format!("{shown}{ended:?}").contains("canary"), "{shown}\n{ended:?}");
        let entries = place.dead_letters();
        let text = Value::Array(entries.clone()).to_string();
        assert!(text.contains("canary-value-4711") && !text.contains("canary-hidden"), "{text}");
        for entry in &entries {
            let reason = entry["reason"].as_str().unwrap();
            assert!(!reason.contains("canary"), "{entry}");
            // Nothing of another record stands in a reason.
            let detail = entry["detail"].as_str().unwrap();
            let own = format!("{}{}", entry["document"], entry["raw"]);
            for quoted in detail.split(|c: char| !(c.is_alphanumeric() || c == '-')).filter(|w| w.starts_with("canary"))
            {
                assert!(own.contains(quoted), "{entry}");
            }
        }
    }
    node.forget(stream).await;
}

/// What the parameter changes: a reason without it holds the document.
#[tokio::test]
async fn reasons_hold_no_document_where_the_server_can_leave_it_out() {
    let Some(node) = Node::plain("documents in reasons") else { return };
    let stream = "logs-ml.inference-canaries2";
    node.forget(stream).await;
    apply(&place(&node, &format!("data_stream: {stream}"), ""));
    let body = "{\"create\":{\"_id\":\"a\"}}\n{\"@timestamp\":\"2026-11-23T10:00:00Z\",\"secret\":\"canary-4715\",\"twice\":{\"a\":1,\"a\":2}}\n";
    for (parameter, holds) in [("", true), ("?include_source_on_error=false", false)] {
        let path = format!("{stream}/_bulk{parameter}");
        let reply = node.client.send(Method::Post, &path, &Body::Lines(body.into())).await.unwrap();
        let BulkAnswer::Items(outcomes) = bulk::read_answer(&reply, 1) else { panic!("{reply:?}") };
        let Outcome::Rejected(reason) = &outcomes[0] else { panic!("{outcomes:?}") };
        assert_eq!(reason.detail.contains("canary-4715"), holds, "{reason:?}");
    }
    node.forget(stream).await;
}
