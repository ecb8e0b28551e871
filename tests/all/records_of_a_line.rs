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
