//! Data streams by namespace: each tenant's records are in its own, a stranger's in the one for all else, and whoever asks for
//! the pipeline's records finds all of them.

use serde_json::{Value, json};

use crate::place::{Ended, Place, pipeline, start, wait_for};
use crate::support::{Method, Node};

const EVERYTHING: &str = r#"{"match_all":{}}"#;
const STREAMS: [&str; 3] = ["logs-ml.tenants-else", "logs-ml.tenants-team-a", "logs-ml.tenants-b"];

const DATA_STREAM: &str =
    "{ dataset: ml.tenants, namespace: { from: kubernetes.namespace, allow: [team-a, b], else: else } }";

fn verb(place: &Place, words: &[&str]) -> Ended {
    start(place.inferlog(words)).wait()
}

/// Ten records of each: two tenants in several spellings, strangers, and records that name nobody.
fn lines() -> String {
    (0..50)
        .map(|n| {
            let tenant = match n % 5 {
                0 => r#""kubernetes":{"namespace":"team-a"},"#,
                1 => r#""kubernetes.namespace":"team\u002da","#,
                2 => r#""kubernetes":{"namespace":"b"},"#,
                3 => r#""kubernetes":{"namespace":"../stranger"},"#,
                _ => "",
            };
            format!("{{{tenant}\"event\":\"inference\",\"n\":{n},\"confidence\":0.{}}}\n", 10 + n)
        })
        .collect()
}

#[tokio::test]
async fn each_tenant_has_a_data_stream_and_all_of_them_are_found() {
    let Some(node) = Node::plain("data streams by namespace") else { return };
    for stream in STREAMS.iter().chain(&["metrics-ml.pipeline-else"]) {
        node.forget(stream).await;
    }
    let host = &node.options.hosts[0];
    let sink = format!("{{ elasticsearch: {{ hosts: [\"{host}\"], data_stream: {DATA_STREAM} }} }}");
    let place = Place::new(&pipeline(&format!("[{sink}, store]")));
    assert_eq!(verb(&place, &["setup", "apply", "p.yaml"]).code, Some(0));
    assert_eq!(verb(&place, &["setup", "plan", "p.yaml"]).code, Some(0), "nothing is left to do");
    let checked = verb(&place, &["check", "--connect", "p.yaml"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(STREAMS.iter().all(|stream| checked.stderr.contains(stream)), "{checked:?}");
    place.append(lines());
    let running = place.run();
    running.wait_for_metric("inferlog_sink_indexed_records_total{pipeline=\"p\",sink=\"elasticsearch\"}", 50);
    for reason in ["missing", "not_allowed"] {
        let name = "inferlog_enrich_without_namespace_records_total";
        running.wait_for_metric(&format!("{name}{{pipeline=\"p\",reason=\"{reason}\"}}"), 10);
    }
    running.stop();
    for (stream, count) in STREAMS.into_iter().zip([20, 20, 10]) {
        assert_eq!(node.count(stream, EVERYTHING).await, count, "{stream}");
    }
    let (_, answer) = node.ask(Method::Get, "_data_stream/logs-ml.tenants-*", "").await;
    let made: Vec<&str> =
        answer["data_streams"].as_array().unwrap().iter().map(|stream| stream["name"].as_str().unwrap()).collect();
    assert_eq!(made.len(), STREAMS.len(), "no other was made: {made:?}");
    // Accounts are in the namespace for all else; the store knows no namespaces.
    assert!(node.count("metrics-ml.pipeline-else", r#"{"prefix":{"account.kind":"s"}}"#).await > 0);
    assert_eq!(place.store().count(), 50);
    // Whoever asks finds all of them, and proves it.
    let ask = ["query", "event : inference", "--pipeline", "p.yaml", "--source", "elasticsearch", "--count"];
    let asked = verb(&place, &[&ask[..], &["--data-dir", "data"]].concat());
    assert_eq!((asked.code, asked.stdout.trim()), (Some(0), "50"), "{asked:?}");
    let proven = verb(&place, &["reconcile", "p.yaml", "--data-dir", "data"]);
    assert_eq!(proven.code, Some(0), "{proven:?}");
    // The same again finds every record where it is.
    std::fs::remove_dir_all(place.path("data")).unwrap();
    let again = place.run_once_to(0);
    assert!(again.stderr.contains("elasticsearch: 0 indexed, 50 duplicates"), "{again:?}");
    for stream in STREAMS.iter().chain(&["metrics-ml.pipeline-else"]) {
        node.forget(stream).await;
    }
}

#[tokio::test]
async fn an_answer_from_some_namespaces_alone_is_not_called_complete() {
    let Some(node) = Node::strict("namespaces that a user may not read") else { return };
    let streams = ["logs-ml.sight-else", "logs-ml.sight-b", "metrics-ml.pipeline-else"];
    for stream in streams {
        node.forget(stream).await;
    }
    let host = node.options.hosts[0].as_str().trim_end_matches('/');
    let sink_of = |user: &str| {
        let rule = "{ dataset: ml.sight, namespace: { from: kubernetes.namespace, allow: [b], else: else } }";
        pipeline(&format!("{{ elasticsearch: {{ hosts: [\"{host}\"], data_stream: {rule}, {user} }} }}"))
    };
    let place = Place::new(&sink_of("username: elastic, password: inferlog-test"));
    assert_eq!(verb(&place, &["setup", "apply", "p.yaml"]).code, Some(0));
    place.append(lines());
    place.run_once_to(0);
    // Up to a moment that is surely over.
    let until = (chrono::Utc::now() - chrono::TimeDelta::hours(1)).to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let prove = ["read", "view_index_metadata", "maintenance"];
    for (user, names, code) in [("all", &streams[..], 0), ("some", &[streams[0], streams[2]], 1)] {
        let role = json!({ "indices": [{ "names": names, "privileges": prove }] });
        let account = json!({ "password": "sight-password", "roles": [format!("sight-{user}")] });
        for (kind, body) in [("role", role), ("user", account)] {
            let path = format!("_security/{kind}/sight-{user}");
            assert_eq!(node.ask(Method::Put, &path, &body.to_string()).await.0, 200);
        }
        std::fs::write(place.path("p.yaml"), sink_of(&format!("username: sight-{user}, password: sight-password")))
            .unwrap();
        let words = [
            "query",
            "*",
            "--pipeline",
            "p.yaml",
            "--count",
            "--require-complete",
            "--to",
            &until,
            "--data-dir",
            "data",
        ];
        let asked = verb(&place, &words);
        assert_eq!(asked.code, Some(code), "{user}: {asked:?}");
        assert_eq!(asked.stderr.contains("logs-ml.sight-b"), code != 0, "{user}: {asked:?}");
    }
    for stream in streams {
        node.forget(stream).await;
    }
}

#[test]
fn explain_names_the_data_stream_and_what_is_hidden_names_none() {
    let sink = format!("{{ elasticsearch: {{ hosts: [\"http://localhost:1\"], data_stream: {DATA_STREAM} }} }}");
    for (enrich, stream) in [("[]", STREAMS[1]), ("[{ redact: { fields: [kubernetes] } }]", STREAMS[0])] {
        let text = format!(
            "source: {{ files: {{ paths: [\"logs/*.ndjson\"] }} }}\ndecode: json\nenrich: {enrich}\nsink: {sink}\n"
        );
        let place = Place::new(&text);
        std::fs::write(place.path("line"), r#"{"kubernetes":{"namespace":"team-a"}}"#).unwrap();
        let mut command = place.inferlog(&["explain", "p.yaml", "--format", "json"]);
        command.stdin(std::fs::File::open(place.path("line")).unwrap());
        let ended = start(command).wait();
        let way: Value = serde_json::from_str(ended.stdout.lines().next().unwrap_or_default()).unwrap_or_default();
        assert!(way["targets"].to_string().contains(stream), "{ended:?}");
    }
}

#[tokio::test]
async fn a_tenants_dead_letter_goes_to_its_own_stream_when_it_is_replayed() {
    let Some(node) = Node::plain("a replay into a namespace") else { return };
    let streams = ["logs-ml.tenantreplay-others", "logs-ml.tenantreplay-a"];
    for stream in streams {
        node.forget(stream).await;
    }
    let host = &node.options.hosts[0];
    let place = Place::new(&pipeline(&format!(
        "{{ elasticsearch: {{ hosts: [\"{host}\"], data_stream: {{ dataset: ml.tenantreplay, namespace: \
         {{ from: tenant, allow: [a], else: others }} }} }} }}"
    )));
    assert_eq!(verb(&place, &["setup", "apply", "p.yaml"]).code, Some(0));
    place.append("{\"tenant\":\"a\",\"confidence\":\"high\"}\n");
    place.run_once_to(1);
    // The mapping takes it from the next index on.
    let custom = r#"{"template":{"mappings":{"properties":{"confidence":{"type":"keyword"}}}}}"#;
    let template = format!("_index_template/inferlog-stream-{}", streams[1]);
    let template = template.as_str();
    let (_, answer) = node.ask(Method::Get, template, "").await;
    let mut body = answer["index_templates"][0]["index_template"].clone();
    body["template"] = serde_json::from_str::<Value>(custom).unwrap()["template"].clone();
    assert_eq!(node.ask(Method::Put, template, &body.to_string()).await.0, 200);
    assert_eq!(node.ask(Method::Post, &format!("{}/_rollover", streams[1]), "").await.0, 200);
    let replayed = verb(&place, &["dead-letter", "replay", "p.yaml", "--data-dir", "data"]);
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    wait_for("the dead letter to be empty", || place.dead_letters().is_empty().then_some(()));
    assert_eq!(node.count(streams[1], EVERYTHING).await, 1);
    assert_eq!(node.ask(Method::Get, streams[0], "").await.0, 404, "nothing was shipped there");
    for stream in streams {
        node.forget(stream).await;
    }
    for stream in streams {
        node.ask(Method::Delete, &format!("_index_template/inferlog-stream-{stream}"), "").await;
    }
}
