//! Answers of the evaluator, as a table over one record.

use std::borrow::Cow;

use serde_json::{Value as Json, json};

use crate::kql::{Expression, Fields, Value};

/// A record for tests: any spelling of a path, arrays taken apart.
#[derive(Debug)]
pub(super) struct Record(pub(super) Json);

fn emit(value: &Json, visit: &mut dyn FnMut(Value<'_>) -> bool) -> bool {
    match value {
        Json::Null => visit(Value::Null),
        Json::Bool(boolean) => visit(Value::Boolean(*boolean)),
        Json::Number(number) => visit(Value::Number(&number.to_string())),
        Json::String(text) => visit(Value::String(Cow::Borrowed(text))),
        Json::Array(elements) => elements.iter().any(|element| emit(element, visit)),
        Json::Object(_) => has_leaf(value) && visit(Value::Object),
    }
}

fn has_leaf(value: &Json) -> bool {
    match value {
        Json::Object(members) => members.values().any(has_leaf),
        Json::Array(elements) => elements.iter().any(has_leaf),
        _ => !value.is_null(),
    }
}

fn walk(value: &Json, path: &str, visit: &mut dyn FnMut(Value<'_>) -> bool) -> bool {
    match value {
        Json::Array(elements) => elements.iter().any(|element| walk(element, path, visit)),
        Json::Object(members) => members.iter().any(|(name, member)| match path.strip_prefix(name.as_str()) {
            Some("") => emit(member, visit),
            Some(rest) => rest.strip_prefix('.').is_some_and(|rest| walk(member, rest, visit)),
            None => false,
        }),
        _ => false,
    }
}

fn leaves(value: &Json, path: &str, visit: &mut dyn FnMut(&str, Value<'_>) -> bool) -> bool {
    match value {
        Json::Array(elements) => elements.iter().any(|element| leaves(element, path, visit)),
        Json::Object(members) => members.iter().any(|(name, member)| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            leaves(member, &path, visit)
        }),
        _ => emit(value, &mut |value| visit(path, value)),
    }
}

impl Fields for Record {
    fn any(&self, field: &str, visit: &mut dyn FnMut(Value<'_>) -> bool) -> bool {
        walk(&self.0, field, visit)
    }

    fn has_below(&self, field: &str) -> bool {
        let below = format!("{field}.");
        leaves(&self.0, "", &mut |name, value| name.starts_with(&below) && value != Value::Null)
    }

    fn any_leaf(&self, visit: &mut dyn FnMut(&str, Value<'_>) -> bool) -> bool {
        leaves(&self.0, "", visit)
    }
}

fn check(record: &Record, verdict: &str, text: &str) {
    let expression = Expression::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let (decided, matched) = match verdict {
        "T" => (Some(true), true),
        "F" => (Some(false), false),
        "?" => (None, false),
        "!" => (None, true),
        _ => panic!("no verdict: {verdict} {text}"),
    };
    assert_eq!(expression.decide(record), decided, "decide `{text}` on {}", record.0);
    assert_eq!(expression.matches(record), matched, "match `{text}` on {}", record.0);
}

/// `T` and `F` are known answers. The others are unknown: `?` does not match, `!` matches, in Kibana's logic.
const ANSWERS: &str = r##"
# Texts.
T event : inference
T event : "inference"
F event : Inference
F event : infer
T event : infer*
T event : *f*r*ce
F event : *x*
F event : "infer*"
T star : a\*b
T star : "a*b"
F event : i\**
F event : inference*inference
T words : "not an and or"
T word : null
T keyword : and
T keyword : \and
T keyword : (or or and)
F keyword : or
T and
? nothing : null
F event : 5
F event : now
# Numbers.
T status : 200
F status : 200.0
T code : 200.0
T code : 2e2
? code : 20*
T status : "200"
F status : 201
F status : ok
T status : 20*
F status : true
T id : 12345678901234567890
F id : 12345678901234567891
T id < 12345678901234567891
T text : 0.31
F text : 0.310
T confidence : .31
# Booleans.
T ok : true
T ok : "true"
F ok : false
? ok : yes
T ko : false
T ok > false
F ok > true
# Paths and arrays.
T features.country : (DE or FR)
T features.amount.eur > 12
T model.version : canary-*
T tags : b
F tags : c
T tags : (a and b)
? none : x
T scores >= 2.5
F scores > z
T scores : x
F scores : y
? nulls : x
? features : DE
T items : { n : x and v : 1 }
T items : { n : x and v : 2 }
F items : { n : z }
# Existence.
T event : *
F nothing : *
F gone : *
T features : *
F hollow : *
T model : *
T features.amount : *
F mod : *
F none : *
F features.empty : *
F nulls : *
T tags : *
T feat* : *
F gone* : *
# Fields with wildcards, free text.
T features.* : DE
T feat*ry : DE
T *.eur : 12.5
F *.eur < 3
? gone* : 1
F features.* : FR
T * : DE
T DE
T "canary-3.2"
T canary*
T 2.5
F XX
T *
T 
# Ranges of numbers.
T confidence < 0.6
F confidence < 0.31
T confidence <= 0.310
T confidence > 0.3
T confidence >= 3.1e-1
T confidence < "0.6"
? confidence < high
? gone < 1
? nothing < 1
? features < 1
# Ranges of texts go byte by byte, whatever the texts look like.
T text < 0.6
T text < "0.6"
F text < 0.3
T nine > 10
F nine < 10
F event < 0.6
T event >= inference
T model.version > canary-3
F model.version > canary-4
T timestamp > 2026-11-23
F timestamp <= 2026-11-23
T timestamp < 2026-11-24
T timestamp > 2025
F timestamp >= "2026-11-23T11:00:00+01:00"
T day >= 2026-11-23
T day < "2026-11-23T00:00:00Z"
T day < now-1h
T phrase : Now-1h
F phrase : now-1h
# Moments, in milliseconds.
T @timestamp > 2026-11-22
F @timestamp > 2026-11-23
T @timestamp >= 2026-11-23
T @timestamp <= 2026-11-23
F @timestamp < 2026-11-23
T @timestamp < 2026-11-24
T @timestamp : 2026-11-23
T @timestamp : "2026-11-23T10:00"
F @timestamp : "2026-11-23T10:01"
T @timestamp >= "2026-11-23T11:00:00.123999+01:00"
F @timestamp > "2026-11-23T10:00:00.123000"
T @timestamp > "2026-11-23T10:00:00.122"
T @timestamp >= 1795428000123
F @timestamp >= 1795428000124
T @timestamp > "2026-11-23T11:30+02:00"
F @timestamp < 2026-11
F @timestamp : 2026-11
T @timestamp > 2026-11
T @timestamp >= 2026
F @timestamp : 2026
T @timestamp : "2026-11-23T12:00+02:00"
F @timestamp : "2026-11-23T10:00+02:00"
? @timestamp > yesterday
? @timestamp : 2026*
? @timestamp > now-1h
? @timestamp : now
# What the mappings name is compared by its kind, whatever JSON type it comes in.
T prediction : 1.5
F prediction : 1.50
T prediction : 1*
T prediction >= 1.5
T stage : true
T stage : t*e
T latency_ms < 9
T latency_ms : 8.50
? latency_ms : 8*
T low_confidence : true
F low_confidence : false
T low_confidence > false
? low_confidence : yes
T * : 1.5
F * : 1.50
F * : 8.50x
T 8.50
T late*ms < 9
# Unknown among known.
F gone : 1 and event : x
? gone : 1 and event : inference
T gone : 1 or event : inference
? gone : 1 or event : x
# Negation: what is unknown stays unknown, and matches as Kibana has it.
! not gone : 1
! not nothing : null
! not (gone : 1 and event : inference)
T not event : x
T not gone : *
T not XX
T not (gone : 1 and event : x)
T not tags : (c or d)
T status : (not ok)
! code : (not ok)
"##;

#[test]
fn records_are_compared_as_elasticsearch_would() {
    let record = Record(json!({
        "event": "inference", "status": 200, "code": 200, "nine": "9", "confidence": 0.31, "id": 12_345_678_901_234_567_890_u64, "text": "0.31",
        "ok": true, "ko": "false", "nothing": null, "words": "not an and or", "tags": ["a", "b", null], "none": [],
        "scores": [1, 2.5, "x"], "features": {"country": "DE", "amount.eur": 12.5, "empty": {}}, "model.version": "canary-3.2",
        "timestamp": "2026-11-23T10:00:00.123456Z", "day": "2026-11-23", "items": [{"n": "x", "v": 1}, {"n": "y", "v": 2}],
        "nulls": [null], "@timestamp": "2026-11-23T10:00:00.123456Z", "stage": true, "prediction": 1.5, "latency_ms": "8.5",
        "low_confidence": "true", "hollow": {"a": null, "b": [{}], "c": {"d": []}}, "phrase": "Now-1h", "word": "null", "keyword": "and", "star": "a*b",
    }));
    let cases: Vec<&str> = ANSWERS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert!(cases.len() > 100);
    for case in cases {
        let (verdict, text) = case.split_at(1);
        check(&record, verdict, text);
    }
    let text = Record(json!({"confidence": "high"}));
    check(&text, "?", "confidence < 0.6");
    check(&text, "!", "not confidence < 0.6");
}
