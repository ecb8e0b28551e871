//! The mappings, held against documents: records of every shape live in one data stream, and come back byte for byte; and of
//! what inferlog writes itself every member has the type that is meant.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};

use crate::observe_drift::BASELINE;
use crate::place::{Place, append, pipeline, start};
use crate::support::{Method, Node};

const SHAPES: &str = include_str!("../elastic/shapes.txt");

/// One line of `tests/elastic/shapes.txt`: what becomes of it, and the record.
fn shapes() -> Vec<(&'static str, String)> {
    let lines = SHAPES.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').unwrap()).map(|(fate, record)| (fate, written_out(record))).collect()
}

/// The record with what stands in capitals written out.
fn written_out(record: &str) -> String {
    let many = |count: usize, one: &dyn Fn(usize) -> String| (0..count).map(one).collect::<Vec<_>>().join(",");
    let mut text = record.to_owned();
    for word in ["FLOATS ", "WHOLES ", "PAIRS ", "NAMES ", "TEXT "] {
        while let Some((before, rest)) = text.clone().split_once(word) {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let count = rest[..digits].parse().unwrap();
            let written = match word {
                "FLOATS " => many(count, &|n| format!("{}.25", n % 7)),
                "WHOLES " => many(count, &|n| (n % 7).to_string()),
                "PAIRS " => many(count, &|n| format!("[{n},0.5]")),
                "NAMES " => many(count, &|n| format!("\"f{n}\":{n}")),
                _ => format!("\"{}\"", "ä".repeat(count / 2)),
            };
            text = format!("{before}{written}{}", &rest[digits..]);
        }
    }
    text
}

/// The sources of all documents of a stream, as they were sent, by their ids.
async fn sources(node: &Node, stream: &str) -> BTreeMap<String, String> {
    node.ask(Method::Post, &format!("{stream}/_refresh"), "").await;
    let (_, found) = node.ask(Method::Get, &format!("{stream}/_search?size=1000&_source=false"), "").await;
    let mut sources = BTreeMap::new();
    for hit in found["hits"]["hits"].as_array().unwrap() {
        let (index, id) = (hit["_index"].as_str().unwrap(), hit["_id"].as_str().unwrap());
        let (status, source) = node.ask_text(Method::Get, &format!("{index}/_source/{id}"), "").await;
        assert_eq!(status, 200, "{source}");
        sources.insert(id.to_owned(), source);
    }
    sources
}

#[tokio::test]
async fn records_of_every_shape_live_in_one_stream_and_come_back_byte_for_byte() {
    let Some(node) = Node::plain("shapes of records") else { return };
    let stream = "logs-ml.inference-shapes";
    node.forget(stream).await;
    let host = &node.options.hosts[0];
    // The same batch goes to both sinks: what stdout prints is what Elasticsearch was sent.
    let sink = format!("[{{ elasticsearch: {{ hosts: [\"{host}\"], data_stream: {stream} }} }}, stdout]");
    let place = Place::new(&pipeline(&sink));
    assert_eq!(start(place.inferlog(&["setup", "apply", "p.yaml"])).wait().code, Some(0));
    let (mut taken, mut refused, mut offset, mut sent) = (0, Vec::new(), 0, BTreeSet::new());
    for (fate, line) in shapes() {
        // One at a time, since the first value of a field decides on its type.
        place.append(format!("{line}\n"));
        let ended = place.run_once();
        sent.extend(ended.stdout.lines().map(str::to_owned));
        let is_taken = fate == "taken";
        assert_eq!(ended.code, Some(i32::from(!is_taken)), "{fate} {line:.200}: {ended:?}");
        if is_taken {
            taken += 1;
        } else {
            refused.push((json!(offset), json!(fate)));
        }
        offset += line.len() + 1;
    }
    let entries = place.dead_letters();
    let buried: Vec<_> =
        entries.iter().map(|entry| (entry["origin"]["offset_bytes"].clone(), entry["reason"].clone())).collect();
    assert_eq!(buried, refused);
    assert!(entries.iter().all(|entry| entry["document"].is_object() || entry["raw"].is_string()), "{entries:?}");

    let found = sources(&node, stream).await;
    assert_eq!(found.len(), taken);
    for source in found.values() {
        assert!(sent.contains(source), "not as it was sent: {source:.300}");
    }
    check_types(&node, stream).await;
    check_answers(&node, stream).await;
}

/// Values that the mapping of `confidence` refuses, and some that it would take.
const BROKEN: &str = r#""high" {"a":1} {"a":"b"} [{"a":1},2] true 1e999 -1 [0.5,"x"] TEXT 40000"#;

#[tokio::test]
async fn what_breaks_a_contract_is_refused_by_no_mapping() {
    let Some(node) = Node::plain("broken contracts") else { return };
    let stream = "logs-ml.inference-contract";
    node.forget(stream).await;
    let host = &node.options.hosts[0];
    let sink = format!("{{ elasticsearch: {{ hosts: [\"{host}\"], data_stream: {stream} }} }}");
    let promises = "{ confidence: { type: number, min: 0, max: 1 }, prediction: keyword }";
    let contract = format!("enrich:\n  - contract: {{ fields: {promises} }}\nsink: {sink}\n");
    let start_of_file = "source: { files: { paths: [\"logs/*.ndjson\"], poll_interval: 20ms } }\ndecode: json\n";
    let place = Place::new(&format!("{start_of_file}{contract}"));
    assert_eq!(start(place.inferlog(&["setup", "apply", "p.yaml"])).wait().code, Some(0));
    // One at a time, and in either order: the first value of a field decides on its type.
    let mut values: Vec<String> = BROKEN.split(' ').map(str::to_owned).collect();
    let size = values.pop().unwrap();
    values.pop();
    values.push(written_out(&format!("TEXT {size}")));
    for value in values.iter().chain(values.iter().rev()) {
        place.append(format!("{{\"confidence\":{value},\"prediction\":[{value}],\"low_confidence\":true}}\n"));
        let ended = place.run_once();
        assert_eq!(ended.code, Some(0), "{value:.100}: {ended:?}");
    }
    let found = sources(&node, stream).await;
    assert_eq!(found.len(), 2 * values.len());
    assert!(found.values().all(|source| source.contains("\"contract.violations\":[\"confidence:")), "{found:?}");
    let (_, answer) = node.ask(Method::Get, &format!("{stream}/_mapping"), "").await;
    let fields = &answer.as_object().unwrap().values().next().unwrap()["mappings"]["properties"];
    for field in ["contract.violations", "contract.rejected.confidence", "contract.rejected.prediction"] {
        assert_eq!(fields[field], json!({ "type": "keyword", "ignore_above": 8191 }), "{field}");
    }
    assert_eq!(node.count(stream, r#"{"term":{"contract.rejected.confidence":"-1"}}"#).await, 2);
    // Without the contract the same is refused.
    place.set_pipeline(&format!("{start_of_file}sink: {sink}\n"));
    place.append("{\"confidence\":\"high\"}\n");
    assert_eq!(place.run_once().code, Some(1));
}

async fn check_types(node: &Node, stream: &str) {
    let (_, answer) = node.ask(Method::Get, &format!("{stream}/_mapping"), "").await;
    let indices = answer.as_object().unwrap();
    assert_eq!(indices.len(), 1);
    let fields = &indices.values().next().unwrap()["mappings"]["properties"];
    assert!(!answer.to_string().contains("dense_vector"), "{answer}");
    let text = json!({ "type": "keyword", "ignore_above": 8191 });
    let not_indexed = json!({ "type": "keyword", "ignore_above": 0 });
    let number = json!({ "type": "double", "ignore_malformed": true });
    let boolean = json!({ "type": "boolean", "ignore_malformed": true });
    let whole = json!({ "type": "long", "ignore_malformed": true });
    let sub_field = json!({ "type": "keyword", "ignore_above": 8191, "fields": { "number": number } });
    let place = json!({ "type": "geo_point", "ignore_malformed": true });
    for (field, expected) in [
        ("client.geo.location", &place),
        ("geo.location", &place),
        ("@timestamp", &json!({ "type": "date" })),
        ("prediction", &sub_field),
        ("confidence", &json!({ "type": "double" })),
        ("latency_ms", &json!({ "type": "double" })),
        ("low_confidence", &boolean),
        ("request_id", &text),
        ("model_version", &text),
        ("timestamp", &text),
        ("log.offset", &whole),
        ("event", &text),
        ("event.kind", &text),
        ("host", &text),
        ("host.name", &text),
        ("prediction.label", &text),
        ("prediction.rank", &number),
        ("features.amount", &number),
        ("features.amount.eur", &number),
        ("features.on", &boolean),
        ("outputs.score", &number),
        ("prompt", &text),
        ("features.embedding", &not_indexed),
        ("vector", &not_indexed),
        ("query_embedding", &not_indexed),
        ("logits", &not_indexed),
        ("instances", &not_indexed),
        ("inputs.data", &not_indexed),
        ("any_other", &number),
        ("gen_ai.request.max_tokens", &whole),
        ("gen_ai.response.finish_reasons", &text),
        ("gen_ai.input.messages.parts.content", &not_indexed),
        ("gen_ai.output.messages", &not_indexed),
        ("features.beyond_all_fields", &Value::Null),
    ] {
        assert_eq!(fields[field], *expected, "{field}");
    }
}

async fn check_answers(node: &Node, stream: &str) {
    for (query, count) in [
        (r#"{"range":{"confidence":{"lt":0.6}}}"#, 3),
        (r#"{"range":{"features.rate":{"gt":1}}}"#, 1),
        (r#"{"term":{"features.amount":12.5}}"#, 2),
        (r#"{"terms":{"_ignored":["features.amount"]}}"#, 2),
        (r#"{"term":{"_ignored":"prompt"}}"#, 1),
        (r#"{"term":{"_ignored":"prediction"}}"#, 1),
        (r#"{"term":{"prediction":"3"}}"#, 1),
        (r#"{"range":{"prediction.number":{"gt":0}}}"#, 3),
        (r#"{"term":{"host":"gpu-7"}}"#, 1),
        (r#"{"term":{"host":"7"}}"#, 1),
        (r#"{"exists":{"field":"features.embedding"}}"#, 0),
        (r#"{"term":{"_ignored":"features.embedding"}}"#, 7),
        (r#"{"term":{"_ignored":"features.beyond_all_fields"}}"#, 2),
        (r#"{"term":{"gen_ai.request.stop_sequences":"b"}}"#, 1),
        (r#"{"geo_distance":{"distance":"10km","client.geo.location":{"lat":48.14,"lon":11.58}}}"#, 1),
    ] {
        assert_eq!(node.count(stream, query).await, count, "{query}");
    }
}

/// The mappings of one kind of documents, as they stand in the tree.
fn mappings(name: &str) -> Value {
    let path = format!("{}/mappings/component_templates/inferlog-{name}-mappings.json", env!("CARGO_MANIFEST_DIR"));
    let template: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    template["template"]["mappings"].clone()
}

/// The mapping of a member; `None` where none names it. What lies below an object that is kept as it is has the object's.
fn mapped<'m>(mappings: &'m Value, path: &str) -> Option<&'m Value> {
    let properties = mappings["properties"].as_object()?;
    properties.iter().find_map(|(name, mapping)| {
        let rest = path.strip_prefix(name.as_str())?;
        match rest.strip_prefix('.') {
            None => rest.is_empty().then_some(mapping),
            Some(_) if mapping["enabled"] == false => Some(mapping),
            Some(below) => mapped(mapping, below),
        }
    })
}

/// What is wrong with a member, if anything is.
fn misfit(mappings: &Value, path: &str, value: &Value) -> Option<String> {
    let mapping = mapped(mappings, path).filter(|mapping| mapping["properties"].is_null());
    let mapping = match (mapping, value) {
        (Some(mapping), _) => mapping,
        (None, Value::Object(members)) => {
            return members.iter().find_map(|(name, value)| misfit(mappings, &format!("{path}.{name}"), value));
        }
        (None, _) => return Some(format!("no mapping names `{path}`")),
    };
    let elements = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    let is_date = |value: &Value| value.as_str().is_some_and(|text| chrono::DateTime::parse_from_rfc3339(text).is_ok());
    let fits = |value: &Value| match mapping["type"].as_str().unwrap_or("object") {
        _ if value.is_null() || mapping["enabled"] == false => true,
        "keyword" => value.is_string(),
        "double" => value.is_number(),
        "long" => value.is_u64(),
        "boolean" => value.is_boolean(),
        "date" => is_date(value),
        _ => false,
    };
    (!elements.iter().all(fits)).then(|| format!("`{path}` is {mapping} and holds {value}"))
}

/// A pipeline that writes documents of every kind: with labels, a rule that drops, and lines for the dead letter.
fn talkative() -> Place {
    let place = Place::new(
        "source: { files: { paths: [\"logs/*.ndjson\"], poll_interval: 20ms } }\ndecode: json\n\
         enrich:\n  - timestamp: { from: [timestamp] }\n  - drop: { name: noise, when: \"event : noise\" }\n\
         observe:\n  - model_metrics\n  - drift: { baseline: b.json, window: { records: 40 } }\n\
         \x20 - ground_truth:\n      labels: { paths: [\"labels/*\"], poll_interval: 20ms }\n      min_labels: 1\n\
         \x20     window: 3650d\n      keep: 3650d\nsink: store\n",
    );
    fs::write(place.path("b.json"), BASELINE).unwrap();
    fs::create_dir(place.path("labels")).unwrap();
    for n in 0..100 {
        let (amount, prediction) = (n % 25, if n % 3 == 0 { "a" } else { "b" });
        place.append(format!(
            "{{\"event\":\"inference\",\"request_id\":\"r-{n}\",\"model_name\":\"m\",\"model_version\":\"1\",\"prediction\":\
             \"{prediction}\",\"confidence\":0.7,\"features\":{{\"amount\":{amount}}},\"timestamp\":\"2026-11-23T10:00:{:02}Z\"}}\n",
            n % 60
        ));
        let label = format!("{{\"request_id\":\"r-{n}\",\"label\":\"a\",\"known_at\":{}}}\n", 1_795_500_000 + n);
        append(&place.path("labels/l.ndjson"), label);
    }
    let review = "{\"request_id\":\"r-7\",\"kind\":\"review\",\"decision\":\"overridden\",\"label\":\"a\",\"reviewer\":\"ann\",\
                  \"opened\":1795500000,\"decided\":1795500060}\n";
    append(&place.path("labels/l.ndjson"), review);
    place.append("{\"event\":\"noise\"}\nno record\n");
    place
}

#[test]
fn of_what_inferlog_writes_itself_every_member_is_mapped_as_meant() {
    let place = talkative();
    assert_eq!(place.run_once().code, Some(1), "a line goes to the dead letter");
    // What inferlog adds to records stands at their end; what the log itself says is its own.
    let own = ["ecs.version", "host.name", "inferlog.", "log.file.path", "log.offset", "@timestamp"];
    let mut seen = BTreeMap::new();
    for (table, name) in
        [("accounts", "pipeline"), ("drift", "drift"), ("outcomes", "outcome"), ("records", "inference")]
    {
        let mappings = mappings(name);
        let store = place.store().open();
        let mut statement = store.prepare(&format!("SELECT document FROM {table}")).unwrap();
        let documents = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        for document in documents.map(Result::unwrap) {
            let members: BTreeMap<String, Value> = serde_json::from_str(&document).unwrap();
            for (path, value) in &members {
                if table != "records" || own.iter().any(|own| path.starts_with(own)) {
                    assert_eq!(misfit(&mappings, path, value), None, "in {document}");
                }
            }
            *seen
                .entry(format!("{table} {}", members.get("kind").or(members.get("account.kind")).unwrap_or(&json!(""))))
                .or_insert(0) += 1;
        }
    }
    for kind in [
        "accounts \"start\"",
        "accounts \"stop\"",
        "drift \"feature\"",
        "drift \"prediction\"",
        "outcomes \"truth\"",
        "outcomes \"review\"",
        "records \"\"",
    ] {
        assert!(seen.contains_key(kind), "no document of the kind {kind} among {seen:?}");
    }
    // What is told once a minute or once an hour, or by another verb.
    for (name, members) in [
        (
            "pipeline",
            json!({ "account.indexed": 1, "account.duplicates": 1, "account.sink_latency_mean_ms": 0.5,
                    "account.sink_latency_max_ms": 0.5, "account.dead_letter_reasons": ["a"], "account.reason": "a",
                    "account.reason_count": 1, "account.verdict": "complete", "account.missing": 1,
                    "account.unexpected": 1, "account.undecidable": 1, "account.settled_ratio": 0.5,
                    "account.unlisted": { "ranges": 1, "dropped": { "a": 1 } }, "account.previous_config": "a",
                    "tombstone.id": "a", "tombstone.digest": "a", "tombstone.order": "a", "tombstone.reason": "a" }),
        ),
        (
            "drift",
            json!({ "kind": "version", "features": 3, "features_over": 1, "psi_max": 0.4, "top_features": ["amount 0.43"],
                    "alarm": true, "min_sample_reached": true }),
        ),
        (
            "outcome",
            json!({ "kind": "evaluation", "outcomes": 1, "accuracy": 0.5, "estimated_accuracy": 0.5,
                    "estimated_accuracy_lower": 0.5, "estimated_accuracy_upper": 0.5, "expected_calibration_error": 0.5,
                    "brier_score": 0.5, "label_coverage": 0.5, "label_delay_median_s": 0.5, "review_coverage": 0.5,
                    "review_override_ratio": 0.5, "review_oldest_open_s": 0.5, "window_s": 60, "batch.index": 1 }),
        ),
    ] {
        for (path, value) in members.as_object().unwrap() {
            assert_eq!(misfit(&mappings(name), path, value), None);
        }
    }
}
