//! Lines of which the decoder makes more than one plain record: batches that are split, numbers that JSON has not. What the
//! built binary makes of them, through rejects, replay and `reconcile`.

use serde_json::{Value, json};

use crate::place::{Ended, Place, start};

fn pipeline(decode: &str, enrich: &str) -> String {
    format!(
        "source: {{ files: {{ paths: [\"logs/*.ndjson\"], poll_interval: 50ms }} }}\n\
         decode: {decode}\nenrich: {enrich}\nsink: {{ store: {{}} }}\n"
    )
}

fn once(place: &Place) -> Ended {
    start(place.inferlog(&["run", "--once", "--data-dir", "data", "p.yaml"])).wait()
}

fn verb(place: &Place, words: &[&str]) -> Ended {
    start(place.inferlog(&[words, &["p.yaml", "--data-dir", "data"]].concat())).wait()
}

fn documents(place: &Place) -> Vec<Value> {
    place.store().documents().iter().map(|document| serde_json::from_str(document).unwrap()).collect()
}

/// Documents by one member, in the order of another.
fn values(place: &Place, name: &str) -> Vec<Value> {
    let mut documents = documents(place);
    documents.sort_by_key(|document| (document["log.offset"].as_u64(), document["batch.index"].as_u64()));
    documents.iter().map(|document| document[name].clone()).collect()
}

#[test]
fn a_batch_is_split_and_each_record_is_accounted_for() {
    let decode = "[json, { split: { each: [features, predictions] } }]";
    // The second record of the first line is turned away, since what is to be removed in it stands twice.
    let enrich = "[timestamp: {}, remove: { fields: [features.x] }]";
    let place = Place::new(&pipeline(decode, enrich));
    place.append(concat!(
        r#"{"@timestamp":"2026-11-23T10:00:01Z","request_id":"a","features":[{"n":1},{"n":2,"x":1,"x":2},{"n":3}],"predictions":[7,8,9]}"#,
        "\n",
        r#"{"@timestamp":"2026-11-23T10:00:02Z","request_id":"b","features":{"n":4},"predictions":10}"#,
        "\n",
        r#"{"@timestamp":"2026-11-23T10:00:03Z","request_id":"c","features":[{"n":5}],"predictions":[11,12]}"#,
        "\n",
    ));
    once(&place);
    assert_eq!(values(&place, "predictions"), [json!(7), json!(9), json!(10)]);
    assert_eq!(values(&place, "request_id"), [json!("a"), json!("a"), json!("b")]);
    assert_eq!(values(&place, "batch.index"), [json!(0), json!(2), Value::Null]);
    let batch = values(&place, "batch.id");
    assert!(batch[0].is_string() && batch[0] == batch[1] && batch[2].is_null(), "{batch:?}");
    let dead = place.dead_letters();
    let entries: Vec<_> = dead.iter().map(|entry| (&entry["reason"], &entry["origin"]["ordinal"])).collect();
    assert_eq!(entries, [(&json!("repeated_name"), &json!(1)), (&json!("split_unequal_lengths"), &Value::Null)]);
    let proof = verb(&place, &["reconcile"]);
    assert_eq!(proof.code, Some(0), "{proof:?}");
    assert!(proof.stderr.contains("all 3 lines are accounted for"), "{proof:?}");

    // Without the rule, the entry of one record brings just that one; without `predictions`, that of a line brings its records.
    std::fs::write(place.path("p.yaml"), pipeline("[json, { split: { each: [features] } }]", "[timestamp: {}]"))
        .unwrap();
    let replayed = verb(&place, &["dead-letter", "replay", "--all"]);
    assert!(place.dead_letters().is_empty(), "{replayed:?}");
    assert_eq!(values(&place, "features").len(), 5, "{:?}", documents(&place));
    let features = values(&place, "features");
    assert_eq!(features.iter().filter(|features| features["n"] == 2).count(), 1, "{features:?}");
    assert_eq!(values(&place, "predictions")[4], json!([11, 12]));
    let proof = verb(&place, &["reconcile"]);
    assert_eq!(proof.code, Some(0), "{proof:?}");

    // One record of a line is lost: it is found to be missing, although others stand at its place.
    let connection = rusqlite::Connection::open(place.path("data/p/store.sqlite")).unwrap();
    let deleted =
        connection.execute("DELETE FROM records WHERE json_extract(document, '$.predictions') = 9", []).unwrap();
    assert_eq!(deleted, 1);
    let proof = verb(&place, &["reconcile"]);
    assert_eq!(proof.code, Some(1), "{proof:?}");
}

#[test]
fn numbers_that_json_has_not_are_nulls_or_texts_and_named() {
    let lines = concat!(
        r#"{"event": "inference", "request_id": "x1", "features": {"amount": NaN, "age": 41}}"#,
        "\n",
        r#"{"event": "inference", "request_id": "x2", "confidence": 1.50, "logits": [-Infinity, Infinity], "note": "NaN"}"#,
        "\n",
        r#"{"event": "inference", "request_id": "x3", "confidence": 0.71}"#,
        "\n",
    );
    let check = |decode: &str, amount: Value, logits: Value| {
        let place = Place::new(&pipeline(decode, "[]"));
        place.append(lines);
        once(&place);
        assert_eq!(values(&place, "features")[0], json!({ "amount": amount, "age": 41 }), "{decode}");
        assert_eq!(values(&place, "logits")[1], logits, "{decode}");
        let expected = [json!(["features.amount"]), json!(["logits"]), Value::Null];
        assert_eq!(values(&place, "inferlog.non_finite"), expected);
        let as_written = r#""confidence": 1.50, "logits": ["#;
        assert!(place.store().documents().iter().any(|document| document.contains(as_written)), "{decode}");
        assert!(place.dead_letters().is_empty());
        assert_eq!(verb(&place, &["reconcile"]).code, Some(0));
    };
    check("json", Value::Null, json!([null, null]));
    check("{ json: { non_finite: null } }", Value::Null, json!([null, null]));
    check("[{ json: { non_finite: string } }]", json!("NaN"), json!(["-Infinity", "Infinity"]));
    let place = Place::new(&pipeline("{ json: { non_finite: reject } }", "[]"));
    place.append(lines);
    once(&place);
    assert_eq!(documents(&place).len(), 1);
    let dead = place.dead_letters();
    assert!(dead.iter().all(|entry| entry["reason"] == "non_finite"), "{dead:?}");
    assert!(dead[0]["detail"].as_str().unwrap().contains("non_finite: reject"), "{dead:?}");
}

#[test]
fn what_lies_inside_of_a_text_is_reached_by_rules_and_no_copy_of_it_stays() {
    let data = |place: &str, encoding: &str| {
        let encoding = format!("captureData.{place}.encoding : {encoding}");
        format!("expand: {{ field: captureData.{place}.data, as: FORM, when: \"{encoding}\" }}")
    };
    let request = |encoding: &str, form: &str| data("endpointInput", encoding).replace("FORM", form);
    let response = data("endpointOutput", "JSON").replace("FORM", "json");
    let steps = [request("JSON", "json"), request("BASE64", "base64"), request("BASE64", "csv"), response];
    let enrich = "[redact: { fields: [captureData.endpointInput.data.instances.user.email] }, \
                  flag: { into: low, when: \"captureData.endpointOutput.data.predictions.score < 0.6\" }]";
    let place = Place::new(&pipeline(&format!("[json, {{ {} }}]", steps.join(" }, { ")), enrich));
    place.append(concat!(
        r#"{"captureData":{"endpointInput":{"data":"{\"instances\":[{\"age\":41,\"user\":{\"email\":\"jo.roe@example.com\"}}]}","encoding":"JSON"},"endpointOutput":{"data":"{\"predictions\":[{\"score\":0.31}]}","encoding":"JSON"}}}"#,
        "\n",
        r#"{"captureData":{"endpointInput":{"data":"NDEsam8K","encoding":"BASE64"},"endpointOutput":{"data":"0.92}","encoding":"JSON"}}}"#,
        "\n",
        // A rule cannot look for what it hides in these: cut off, and of another encoding.
        r#"{"captureData":{"endpointInput":{"data":"{\"instances\":[{\"user\":{\"email\":\"jo.roe@example.com\"","encoding":"JSON"}}}"#,
        "\n",
        r#"{"captureData":{"endpointInput":{"data":"user: jo.roe@example.com","encoding":"YAML"}}}"#,
        "\n",
    ));
    once(&place);
    assert!(place.dead_letters().is_empty(), "{:?}", place.dead_letters());
    let capture = values(&place, "captureData");
    let hidden = json!({ "instances": [{ "age": 41, "user": { "email": "[redacted]" } }] });
    assert_eq!(capture[0]["endpointInput"]["data"], hidden);
    assert_eq!(capture[1]["endpointInput"]["data"], json!([41, "jo"]));
    assert_eq!(capture[1]["endpointOutput"]["data"], json!("0.92}"), "what cannot be read stays");
    assert_eq!(capture[2]["endpointInput"]["data"], json!("[redacted]"));
    assert_eq!(capture[3]["endpointInput"]["data"], json!("[redacted]"));
    assert_eq!(values(&place, "low"), [json!(true), Value::Null, Value::Null, Value::Null]);
    let notes = values(&place, "inferlog.notes");
    let are_noted: Vec<bool> = notes.iter().map(|notes| notes.to_string().contains("not_expanded")).collect();
    assert_eq!(are_noted, [false, true, true, true], "{notes:?}");
    assert!(!place.store().documents().concat().contains("jo.roe"));
    assert_eq!(verb(&place, &["reconcile"]).code, Some(0));
}

#[test]
fn an_export_of_logs_gives_a_record_for_each_and_rules_reach_its_attributes() {
    let pair = |key: &str, value: Value| json!({ "key": key, "value": value });
    let text = |text: &str| json!({ "stringValue": text });
    let log = |second: u64, email: &str| {
        json!({
            "timeUnixNano": format!("{}123456789", 1_763_892_000 + second), "severityNumber": 9,
            "eventName": "gen_ai.client.inference.operation.details",
            "attributes": [
                pair("gen_ai.request.model", text("m-8b")), pair("user.email", text(email)),
                pair("gen_ai.usage.input_tokens", json!({ "intValue": "9007199254740993" })),
                pair("message.parts", json!({ "arrayValue": { "values": [
                    { "kvlistValue": { "values": [pair("content", text("write to jo.roe@example.com"))] } }] } })),
            ],
            "body": { "kvlistValue": { "values": [pair("features", json!({ "kvlistValue": { "values": [
                pair("age", json!({ "intValue": "41" }))] } }))] } },
            "traceId": "5b8efff798038103d269b633813fc60c",
        })
    };
    let export = |logs: Vec<Value>| {
        let resource = json!({ "attributes": [pair("service.name", text("chat")), pair("user.email", text("of.host@example.com"))] });
        let export =
            json!({ "resourceLogs": [{ "resource": resource, "scopeLogs": [{ "scope": {}, "logRecords": logs }] }] });
        format!("{export}\n")
    };
    let enrich = "[redact: { fields: [user.email, message.parts.content] }, \
                  hash: { fields: [features], into: input_hash }, \
                  flag: { into: many, when: \"gen_ai.usage.input_tokens > 9007199254740992\" }]";
    let place = Place::new(&pipeline("otlp", enrich));
    place.append(export(vec![log(1, "jo.roe@example.com"), log(2, "a.b@example.com")]));
    place.append("{\"resourceMetrics\":[]}\n");
    place.append(export(vec![]));
    place.append(export(vec![log(3, "c.d@example.com")]));
    assert_eq!(once(&place).code, Some(1));
    let found = documents(&place);
    assert_eq!(found.len(), 3, "{found:?}");
    let times = ["2025-11-23T10:00:01.123456789Z", "2025-11-23T10:00:02.123456789Z", "2025-11-23T10:00:03.123456789Z"];
    assert_eq!(values(&place, "@timestamp"), times.map(|time| json!(time)));
    for document in &found {
        assert_eq!(document["user.email"], "[redacted]", "{document}");
        assert_eq!(document["many"], true, "{document}");
        assert_eq!((&document["service.name"], &document["log.level"]), (&json!("chat"), &json!("info")));
        let input_hash = document["input_hash"].as_str().unwrap();
        // SHA-256 of {"age":41}.
        assert_eq!(input_hash, "5c07882ce4c56a912cd87efdd7c3960742be40e2b0e8a224168503a68a9fd5eb", "{document}");
        assert!(document.get("inferlog.notes").is_none(), "{document}");
    }
    assert!(place.store().documents().concat().contains("\"gen_ai.usage.input_tokens\":9007199254740993"));
    assert!(!place.store().documents().concat().contains("example.com"));
    let dead = place.dead_letters();
    assert_eq!(dead.iter().map(|entry| &entry["reason"]).collect::<Vec<_>>(), ["otlp_without_logs"]);
    let proof = verb(&place, &["reconcile"]);
    assert_eq!(proof.code, Some(0), "{proof:?}");
}

#[test]
fn the_data_of_events_is_reached_by_rules_whatever_is_around_it() {
    let event = |id: &str, data: &str| {
        format!(r#"{{"specversion":"1.0","id":"{id}","type":"t","time":"2026-11-23T10:00:01Z",{data}}}"#)
    };
    let data = |n: u64| format!(r#""data":{{"n":{n},"user":{{"email":"jo.roe@example.com"}}}}"#);
    // {"n":3,"user":{"email":"jo.roe@example.com"}}
    let base64 = r#""data_base64":"eyJuIjozLCJ1c2VyIjp7ImVtYWlsIjoiam8ucm9lQGV4YW1wbGUuY29tIn19""#;
    let docker = |line: &str| {
        format!("{}\n", json!({ "log": format!("{line}\n"), "stream": "stdout", "time": "2026-11-23T10:00:09Z" }))
    };
    let place = Place::new(&pipeline(
        "[auto, cloudevents]",
        "[redact: { fields: [user.email] }, hash: { fields: [n], into: input_hash }]",
    ));
    place.append(docker(&event("a", &data(0))));
    place.append(docker(&format!("[{},{}]", event("b", &data(1)), event("c", &data(2)))));
    place.append(docker(&event("d", base64)));
    place.append(docker(r#"{"n":4}"#));
    once(&place);
    let found = documents(&place);
    assert_eq!(values(&place, "n"), [json!(0), json!(1), json!(2), json!(3)], "{found:?}");
    for document in &found {
        assert_eq!(document["user"]["email"], "[redacted]");
        assert_eq!(document["@timestamp"], "2026-11-23T10:00:01.000Z");
        assert_eq!((&document["log.iostream"], &document["cloudevents.type"]), (&json!("stdout"), &json!("t")));
        assert!(document["input_hash"].is_string() && document.get("inferlog.notes").is_none(), "{document}");
    }
    assert_eq!(place.dead_letters().iter().map(|entry| &entry["reason"]).collect::<Vec<_>>(), ["not_a_cloudevent"]);
    assert!(!place.store().documents().concat().contains("jo.roe"));
    assert_eq!(verb(&place, &["reconcile"]).code, Some(0));
}

/// The request and the response of an inference as KServe's logger posts them.
fn halves(id: &str) -> [String; 2] {
    let event = |kind: &str, data: Value| {
        let kind = format!("org.kubeflow.serving.inference.{kind}");
        format!("{}\n", json!({ "specversion": "1.0", "id": id, "type": kind, "data": data }))
    };
    let data = json!({ "instances": [[7.5, 24]], "user": { "email": "jo.roe@example.com" } });
    [event("request", data), event("response", json!({ "predictions": [0.63] }))]
}

#[test]
fn a_response_gets_what_its_request_said_and_a_pair_is_counted_once_whatever_happens_between() {
    let decode = "[cloudevents, { pair: { by: cloudevents.id, first: \"cloudevents.type : *request\", copy: [instances, user] } }]";
    let enrich =
        "[roles: { prediction: \"predictions[0]\", features: \"instances[0]\" }, redact: { fields: [user.email] }]";
    let text = pipeline(decode, enrich) + "observe: [model_metrics: { kind: regression }]\n";
    for is_killed in [false, true] {
        let place = Place::new(&text);
        let [first, second] = halves("a");
        let [cut, rest] = halves("b");
        place.append(first + &second + &cut);
        let running = place.run();
        crate::place::wait_for("three documents", || (place.store().count() == 3).then_some(()));
        if is_killed {
            running.signal(crate::place::Signal::KILL);
            drop(running);
        } else {
            running.stop();
        }
        // The other half comes after the end of the process, and one whose first half nobody has written.
        let [_, alone] = halves("c");
        place.append(rest + &alone);
        let running = place.run();
        crate::place::wait_for("five documents", || (place.store().count() == 5).then_some(()));
        let value = |name: &str| -> u64 {
            let metrics = running.get("/metrics").1;
            let lines = metrics.lines().filter(|line| line.starts_with(name));
            lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
        };
        // They show what is saved.
        crate::place::wait_for("three inferences", || (value("model_requests_total{") == 3).then_some(()));
        let counted = value("inferlog_decode_unpaired_total{");
        running.stop();
        let roles: Vec<Value> = values(&place, "pair.role");
        // A process that was killed may read the first half again.
        let role = if is_killed && roles[3] == "whole" { "whole" } else { "unpaired" };
        assert_eq!(roles, ["first", "whole", "first", role, "unpaired"].map(|role| json!(role)));
        let unpaired = roles.iter().filter(|role| **role == "unpaired").count() as u64;
        assert_eq!(counted, unpaired);
        let features = values(&place, "features");
        for (role, features) in roles.iter().zip(&features) {
            assert_eq!(*features == json!([7.5, 24]), role != "unpaired", "{role}: {features}");
        }
        assert_eq!(values(&place, "user")[1]["email"], "[redacted]");
        assert!(!place.store().documents().concat().contains("jo.roe"));
        let proof = verb(&place, &["reconcile"]);
        assert_eq!(proof.code, Some(0), "{proof:?}");
    }
}

#[test]
fn dotted_and_nested_names_of_ecs_are_one() {
    let place = Place::new(&pipeline(
        "ecs",
        "[roles: { confidence: labels.confidence }, redact: { fields: [user.email] }, hash: { fields: [labels.input], into: input_hash }, \
         flag: { into: loud, when: \"log.level : warn\" }]",
    ));
    place.append(concat!(
        r#"{"@timestamp":"2026-11-23T10:00:01.000Z","log.level":"warn","ecs.version":"1.6.0","labels.confidence":0.5,"labels.input":"x","user.email":"jo.roe@example.com","host.name":"gpu"}"#,
        "\n",
        r#"{"@timestamp":"2026-11-23T10:00:01.000Z","log":{"level":"warn"},"ecs":{"version":"1.6.0"},"labels":{"confidence":0.5,"input":"x"},"user":{"email":"jo.roe@example.com"},"host":{"name":"gpu"}}"#,
        "\n",
        r#"{"@timestamp":"2026-11-23T10:00:01.000Z","log":{"level":"warn"},"labels":{"confidence":0.5,"input":"x"},"user":{"email":"jo.roe@example.com"}}"#,
        "\n",
    ));
    assert_eq!(once(&place).code, Some(0));
    for name in ["confidence", "input_hash", "loud", "@timestamp"] {
        let found = values(&place, name);
        assert!(!found[0].is_null() && found.iter().all(|value| *value == found[0]), "{name}: {found:?}");
    }
    let documents = place.store().documents();
    assert!(!documents.concat().contains("jo.roe"), "{documents:?}");
    // What a record has is not added again.
    for document in &documents[..2] {
        for (name, other) in [("ecs.version", "\"version\""), ("host.name", "\"name\"")] {
            let count = document.matches(name).count() + document.matches(other).count();
            assert_eq!(count, 1, "{name}: {document}");
        }
    }
    assert_eq!(values(&place, "inferlog.notes"), [Value::Null, Value::Null, json!(["not_ecs"])]);
}
