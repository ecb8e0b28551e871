//! The Elasticsearch sink and setup against a real node: each outcome that one can be made to give, and every byte back.

use std::sync::Arc;
use std::time::Duration;

use inferlog::elastic::bulk;
use inferlog::elastic::client::Body;
use inferlog::elastic::installation::Installation;
use inferlog::elastic::options::{Auth, ClientOptions};
use inferlog::elastic::setup;
use inferlog::elastic::target::Target;
use inferlog::flow::answer::{Answer, Outcome, Trouble};
use inferlog::sink::Sink;
use inferlog::sink::elasticsearch::Elasticsearch;
use inferlog::text::secret::Secret;
use serde_json::json;

use crate::support::{self, Method, Node, TIME_US, batch, deliver, id, outcomes, outcomes_in_the_end};

fn stream(name: &str) -> Target {
    Target::data_stream(&format!("logs-ml.inference-{name}")).unwrap()
}

/// A stream of the test's own with our templates in force.
async fn prepared(node: &Node, name: &str) -> (Target, String) {
    let (target, name) = (stream(name), format!("logs-ml.inference-{name}"));
    node.forget(&name).await;
    node.set_up(&target).await;
    (target, name)
}

fn kind(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Indexed => "indexed".to_owned(),
        Outcome::Duplicate => "duplicate".to_owned(),
        Outcome::Erased => "erased".to_owned(),
        Outcome::FailureStore => "failure store".to_owned(),
        Outcome::Retry(reason) => format!("retry {}", reason.kind),
        Outcome::Failing(reason) => format!("failing {}", reason.kind),
        Outcome::TargetUnready(reason) => format!("target {}", reason.kind),
        Outcome::Rejected(reason) => format!("rejected {}", reason.kind),
    }
}

fn kinds(outcomes: &[Outcome]) -> Vec<String> {
    outcomes.iter().map(kind).collect()
}

fn trouble(answer: Answer) -> Trouble {
    match answer {
        Answer::Wait(trouble) => trouble,
        other => panic!("not a reason to wait: {other:?}"),
    }
}

#[tokio::test]
async fn items_get_their_outcomes_and_a_second_try_finds_duplicates() {
    let Some(node) = Node::plain("outcomes") else { return };
    let (target, name) = prepared(&node, "outcomes").await;
    let sink = node.sink(&target);
    let batch = batch(&[("a", r#""n":1"#), ("b", r#""confidence":"n/a""#), ("c", r#""n":3"#)]);
    let first = outcomes(&sink, &batch).await;
    assert_eq!(kinds(&first), ["indexed", "rejected document_parsing_exception", "indexed"]);
    let Outcome::Rejected(reason) = &first[1] else { panic!("{first:?}") };
    assert!(reason.detail.contains("failed to parse field [confidence]"), "{reason:?}");
    let again = outcomes(&sink, &batch).await;
    assert_eq!(kinds(&again), ["duplicate", "rejected document_parsing_exception", "duplicate"]);
    let Answer::Items(some) = deliver(&sink, &batch, Some(vec![2])).await else { panic!("not items") };
    assert_eq!(kinds(&some), ["duplicate"]);
    assert_eq!(node.count(&name, r#"{"match_all":{}}"#).await, 2);
}

#[tokio::test]
async fn compressed_bodies_arrive() {
    let Some(mut node) = Node::plain("compressed bodies") else { return };
    let (target, name) = prepared(&node, "gzip").await;
    node.options.gzip = true;
    let names: Vec<String> = (0..200).map(|n| format!("r{n}")).collect();
    let documents: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), r#""event":"inference""#)).collect();
    let found = outcomes(&node.sink(&target), &batch(&documents)).await;
    assert!(found.iter().all(|outcome| *outcome == Outcome::Indexed), "{found:?}");
    assert_eq!(node.count(&name, r#"{"term":{"event":"inference"}}"#).await, 200);
}

/// Members that a shipper must not touch.
const ODD: &str = r#"  "digits" : 0.1234567890123456789 ,"big":12345678901234567890, "exponent":1E+2,"minus_zero":-0.0,
"escapes":"\u0041\/\n\ud83d\ude00 \u00e4ä", "empty" : { } ,"list":[ 1 ,2.50, [ ] ], "z":1,"a":2 "#;

#[tokio::test]
async fn the_source_comes_back_byte_for_byte() {
    let Some(node) = Node::plain("byte for byte") else { return };
    let (target, name) = prepared(&node, "bytes").await;
    let members = ODD.replace('\n', "");
    let batch = batch(&[("odd", &members)]);
    assert_eq!(kinds(&outcomes(&node.sink(&target), &batch).await), ["indexed"]);
    node.count(&name, r#"{"match_all":{}}"#).await;
    let (_, found) = node.ask(Method::Get, &format!("{name}/_search"), "").await;
    let index = found["hits"]["hits"][0]["_index"].as_str().unwrap().to_owned();
    let (status, source) = node.ask_text(Method::Get, &format!("{index}/_source/{}", id("odd")), "").await;
    assert_eq!((status, source.as_bytes()), (200, batch.document(&batch.items()[0])));
}

#[tokio::test]
async fn a_new_stream_is_made_from_our_template() {
    let Some(node) = Node::plain("template") else { return };
    let (target, name) = prepared(&node, "template").await;
    let sink = node.sink(&target);
    sink.probe().await.unwrap();
    outcomes(&sink, &batch(&[("a", r#""n":1"#)])).await;
    let (_, answer) = node.ask(Method::Get, &format!("_data_stream/{name}"), "").await;
    assert_eq!(answer["data_streams"][0]["template"], "inferlog-inference", "{answer}");
    let (_, settings) = node.ask(Method::Get, &format!("{name}/_settings?flat_settings=true"), "").await;
    let settings = settings.as_object().unwrap().values().next().unwrap()["settings"].clone();
    assert_eq!(settings["index.mode"], "standard");
    assert_eq!(settings["index.lifecycle.name"], "inferlog-inference");
}

#[tokio::test]
async fn without_a_template_the_probe_warns_and_no_plain_index_is_made() {
    let Some(node) = Node::plain("missing template") else { return };
    node.forget("no-template-of-ours").await;
    let sink = node.sink(&Target::data_stream("no-template-of-ours").unwrap());
    let trouble = sink.probe().await.unwrap_err();
    assert!(trouble.hint.unwrap().contains("setup apply"), "{}", trouble.problem);
    let found = outcomes(&sink, &batch(&[("a", r#""n":1"#)])).await;
    assert_eq!(kinds(&found), ["target index_not_found_exception"]);
    assert_eq!(node.ask(Method::Get, "no-template-of-ours", "").await.0, 404);
}

#[tokio::test]
async fn dated_indices_follow_the_records_own_time() {
    let Some(node) = Node::plain("dated indices") else { return };
    let target = Target::index("ml-dated-{yyyy.MM.dd}").unwrap();
    node.forget("ml-dated-2026.11.23").await;
    node.set_up(&target).await;
    let sink = node.sink(&target);
    sink.probe().await.unwrap();
    let batch = batch(&[("a", r#""confidence":0.5,"n":1"#)]);
    assert_eq!(batch.items()[0].timestamp_us, TIME_US);
    assert_eq!(kinds(&outcomes(&sink, &batch).await), ["indexed"]);
    assert_eq!(kinds(&outcomes(&sink, &batch).await), ["duplicate"]);
    assert_eq!(node.count("ml-dated-2026.11.23", r#"{"range":{"confidence":{"lt":0.6}}}"#).await, 1);
}

#[tokio::test]
async fn a_blocked_or_closed_target_is_waited_for() {
    let Some(node) = Node::plain("blocks") else { return };
    let target = Target::index("ml-blocked-{yyyy}").unwrap();
    node.forget("ml-blocked-2026").await;
    let sink = node.sink(&target);
    assert_eq!(kinds(&outcomes(&sink, &batch(&[("a", r#""n":1"#)])).await), ["indexed"]);
    node.ask(Method::Put, "ml-blocked-2026/_block/write", "").await;
    let more = batch(&[("b", r#""n":2"#)]);
    assert_eq!(kinds(&outcomes(&sink, &more).await), ["target cluster_block_exception"]);
    node.ask(Method::Put, "ml-blocked-2026/_settings", r#"{"index.blocks.write":false}"#).await;
    node.ask(Method::Post, "ml-blocked-2026/_close", "").await;
    assert_eq!(kinds(&outcomes(&sink, &more).await), ["target index_closed_exception"]);
    node.ask(Method::Post, "ml-blocked-2026/_open", "").await;
    assert_eq!(kinds(&outcomes(&sink, &more).await), ["indexed"]);
    let missing_pipeline = r#"{"index.default_pipeline":"not-there"}"#;
    node.ask(Method::Put, "ml-blocked-2026/_settings", missing_pipeline).await;
    assert_eq!(kinds(&outcomes(&sink, &batch(&[("c", r#""n":3"#)])).await), ["target illegal_argument_exception"]);
}

#[tokio::test]
async fn one_over_long_id_has_the_request_halved() {
    let Some(node) = Node::plain("over-long id") else { return };
    let (_, name) = prepared(&node, "long-id").await;
    let lines = ["a".to_owned(), "b".repeat(600)]
        .map(|id| format!("{{\"create\":{{\"_id\":\"{id}\"}}}}\n{{\"@timestamp\":\"2026-11-23T10:00:00Z\"}}\n"));
    let body = Body::Lines(lines.concat().into());
    let reply = node.client.send(Method::Post, &format!("{name}/_bulk"), &body).await.unwrap();
    let answer = bulk::read_answer(&reply, 2);
    let Answer::Halve(reason) = answer else { panic!("{answer:?}") };
    assert_eq!(reason.kind, "action_request_validation_exception", "{reason:?}");
}

#[tokio::test]
async fn a_request_over_the_content_limit_is_halved() {
    let Some(node) = Node::strict("content limit") else { return };
    let (target, _) = prepared(&node, "large").await;
    let text = format!(r#""text":"{}""#, "x".repeat(150_000));
    let batch = batch(&[("a", &text), ("b", &text)]);
    let sink = node.sink(&target);
    let answer = deliver(&sink, &batch, None).await;
    assert!(matches!(&answer, Answer::Halve(reason) if reason.kind == "content_too_large"), "{answer:?}");
    // The server says so before it has read all; that must not be taken for a broken connection.
    let longer = format!(r#""text":"{}""#, "x".repeat(16_000_000));
    for _ in 0..10 {
        let answer = deliver(&sink, &support::batch(&[("c", &longer)]), None).await;
        assert!(matches!(&answer, Answer::Halve(reason) if reason.kind == "content_too_large"), "{answer:?}");
    }
    for half in [0, 1] {
        // A node that is busy with what went before may ask for patience.
        let mut answer = deliver(&sink, &batch, Some(vec![half])).await;
        for _ in 0..TRIES_MAX {
            if matches!(answer, Answer::Items(_)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            answer = deliver(&sink, &batch, Some(vec![half])).await;
        }
        let Answer::Items(outcomes) = answer else { panic!("{answer:?}") };
        assert!(["indexed", "duplicate"].contains(&kinds(&outcomes)[0].as_str()), "{outcomes:?}");
    }
}

/// How often a node that is busy is asked again.
const TRIES_MAX: usize = 50;

/// Rounds of concurrent requests after which a node with one place in its queue must have been busy once.
const ROUNDS_MAX: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_node_is_asked_again_and_nothing_is_lost_or_doubled() {
    let Some(node) = Node::strict("busy node") else { return };
    let (target, name) = prepared(&node, "busy").await;
    let sink = Arc::new(node.sink(&target));
    let (mut busy, mut sent) = (0, 0);
    for round in 0..ROUNDS_MAX {
        let tries = (0..24).map(|n| tokio::spawn(until_done(Arc::clone(&sink), format!("r{round}-{n}"))));
        for one in tries.collect::<Vec<_>>() {
            busy += one.await.unwrap();
            sent += 20;
        }
        if busy > 0 {
            break;
        }
    }
    assert!(busy > 0, "the node was never busy in {ROUNDS_MAX} rounds");
    assert_eq!(node.count(&name, r#"{"match_all":{}}"#).await, sent);
}

/// Ships twenty documents, asking again for what was not taken; gives how often the node was busy.
async fn until_done(sink: Arc<Elasticsearch>, prefix: String) -> usize {
    let names: Vec<String> = (0..20).map(|n| format!("{prefix}-{n}")).collect();
    let documents: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), r#""n":1"#)).collect();
    let batch = batch(&documents);
    let mut open: Vec<u32> = (0..20).collect();
    let mut busy = 0;
    while !open.is_empty() {
        match deliver(sink.as_ref(), &batch, Some(open.clone())).await {
            Answer::Items(outcomes) => {
                let again = |outcome: &Outcome| match outcome {
                    Outcome::Indexed | Outcome::Duplicate => false,
                    Outcome::Retry(reason) if reason.kind == "es_rejected_execution_exception" => true,
                    other => panic!("{other:?}"),
                };
                open = open.iter().zip(&outcomes).filter(|(_, outcome)| again(outcome)).map(|(&n, _)| n).collect();
                busy += usize::from(!open.is_empty());
            }
            Answer::Wait(trouble) => {
                assert!(trouble.problem.contains("429"), "{trouble:?}");
                busy += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    busy
}

#[tokio::test]
async fn every_way_to_say_who_we_are_is_accepted_and_a_wrong_one_is_waited_for() {
    let Some(node) = Node::strict("authentication") else { return };
    let (target, _) = prepared(&node, "auth").await;
    let (status, key) = node.ask(Method::Post, "_security/api_key", r#"{"name":"test"}"#).await;
    assert_eq!(status, 200, "{key}");
    let text = |field: &str| key[field].as_str().unwrap().to_owned();
    let encoded = Auth::ApiKey(Secret::new(text("encoded")));
    let pair = Auth::ApiKey(Secret::new(format!("{}:{}", text("id"), text("api_key"))));
    for (n, auth) in [node.options.auth.clone(), encoded, pair].into_iter().enumerate() {
        let node = Node::new(ClientOptions { auth, ..node.options.clone() });
        let sink = node.sink(&target);
        sink.probe().await.unwrap();
        assert_eq!(kinds(&outcomes(&sink, &batch(&[(&format!("auth{n}"), r#""n":1"#)])).await), ["indexed"]);
    }
    let wrong = || Secret::new("wr0ng-s3cret");
    let basic = Auth::Basic { user: "elastic".to_owned(), password: wrong() };
    for auth in [basic, Auth::ApiKey(wrong()), Auth::Bearer(wrong()), Auth::None] {
        let node = Node::new(ClientOptions { auth, ..node.options.clone() });
        let sink = node.sink(&target);
        let found = trouble(deliver(&sink, &batch(&[("x", r#""n":1"#)]), None).await);
        assert!(found.problem.contains("401") && found.hint.is_some(), "{found:?}");
        let error = setup::plan(&node.client, &Installation::new(&target)).await.unwrap_err();
        let all = format!("{found:?} {:?} {sink:?} {error:?} {error}", sink.probe().await.unwrap_err());
        assert!(!all.contains("wr0ng-s3cret"), "{all}");
    }
}

#[tokio::test]
async fn a_missing_privilege_is_the_targets_trouble_and_reading_is_not_needed() {
    let Some(node) = Node::strict("privileges") else { return };
    let (allowed, name) = prepared(&node, "allowed").await;
    let role = json!({"name": "ship", "role_descriptors": {"ship": {"indices": [
        {"names": [name], "privileges": ["create_doc", "auto_configure"]}]}}});
    let (_, key) = node.ask(Method::Post, "_security/api_key", &role.to_string()).await;
    let auth = Auth::ApiKey(Secret::new(key["encoded"].as_str().unwrap()));
    let shipper = Node::new(ClientOptions { auth, ..node.options.clone() });
    let batch = batch(&[("a", r#""n":1"#)]);
    let sink = shipper.sink(&allowed);
    sink.probe().await.unwrap();
    assert_eq!(kinds(&outcomes_in_the_end(&sink, &batch).await), ["indexed"]);
    let elsewhere = shipper.sink(&stream("forbidden"));
    assert_eq!(kinds(&outcomes_in_the_end(&elsewhere, &batch).await), ["target security_exception"]);
    let error = setup::plan(&shipper.client, &Installation::new(&allowed)).await.unwrap_err();
    assert!(error.to_string().contains("`manage_index_templates`"), "{error}");
}
