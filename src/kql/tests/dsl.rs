//! The Query DSL, as a table: text, then the query that Elasticsearch is asked.

use serde_json::{Value, json};

use crate::kql::Expression;
use crate::kql::dsl::{self, FieldType, Types};

fn types() -> Types {
    let mut types = Types::default();
    for (name, of) in [
        ("@timestamp", "date"),
        ("confidence", "double"),
        ("log.offset", "long"),
        ("low_confidence", "boolean"),
        ("model_version", "keyword"),
        ("features.amount", "double"),
        ("features.country", "keyword"),
        ("place", "geo_point"),
    ] {
        types.add(name, FieldType::named(of, None));
    }
    for (of, index) in [("keyword", "i-1"), ("double", "i-2")] {
        types.add("mixed", FieldType::named(of, Some(vec![index.to_owned()])));
    }
    types
}

fn check(text: &str, expected: &Value) {
    let now = "2026-11-24T10:20:30Z".parse().unwrap();
    let expression = Expression::parse(text).unwrap_or_else(|error| panic!("{error}")).at(now);
    assert_eq!(&dsl::query(expression.tree(), &types()), expected, "{text}");
}

#[test]
fn texts_become_queries() {
    let none = || json!({"match_none": {}});
    let term = |name: &str, value: Value| json!({"term": {name: value}});
    let wildcard = |name: &str, value: &str| json!({"wildcard": {name: {"value": value}}});
    let range = |name: &str, sign: &str, bound: Value| json!({"range": {name: {sign: bound}}});
    let any = |queries: Vec<Value>| json!({"bool": {"should": queries, "minimum_should_match": 1}});
    let day = json!({"range": {"@timestamp": {"gte": "2026-11-23T00:00:00.000Z", "lte": "2026-11-23T23:59:59.999Z"}}});
    let cases = [
        ("*", json!({"match_all": {}})),
        ("model_version : canary", term("model_version", json!("canary"))),
        ("model_version : \"1.50\"", term("model_version", json!("1.50"))),
        (r"model_version : a?\*b\\*", wildcard("model_version", r"a\?\*b\\*")),
        ("model_version < 3", range("model_version", "lt", json!("3"))),
        ("confidence : 0.60", term("confidence", json!("6e-1"))),
        ("confidence : high", none()),
        ("confidence : -0.0", json!({"range": {"confidence": {"gte": "-0.0", "lte": "0"}}})),
        ("confidence < 0", range("confidence", "lt", json!("-0.0"))),
        ("confidence <= 0", range("confidence", "lte", json!("0"))),
        ("confidence > 0", range("confidence", "gt", json!("0"))),
        ("confidence >= 0", range("confidence", "gte", json!("-0.0"))),
        ("log.offset : 0", term("log.offset", json!("0"))),
        ("confidence : 0*", none()),
        ("confidence < 0.6", range("confidence", "lt", json!("6e-1"))),
        ("confidence < high", none()),
        ("confidence < 1e400", json!({"exists": {"field": "confidence"}})),
        ("confidence > 1e400", none()),
        ("confidence >= -1e400", json!({"exists": {"field": "confidence"}})),
        ("log.offset < 1e30", json!({"exists": {"field": "log.offset"}})),
        ("log.offset >= 4096", range("log.offset", "gte", json!("4.096e3"))),
        ("low_confidence : true", term("low_confidence", json!(true))),
        ("low_confidence : yes", none()),
        ("low_confidence > false", range("low_confidence", "gt", json!(false))),
        ("@timestamp : 2026-11-23", day),
        ("@timestamp > 2026-11-23", range("@timestamp", "gt", json!("2026-11-23T23:59:59.999Z"))),
        ("@timestamp < 2026-11-23", range("@timestamp", "lt", json!("2026-11-23T00:00:00.000Z"))),
        ("@timestamp >= now-1h/h", range("@timestamp", "gte", json!("2026-11-24T09:00:00.000Z"))),
        ("@timestamp >= yesterday", none()),
        ("@timestamp : 2026*", none()),
        ("unknown : x", none()),
        ("place : x", none()),
        ("features.* : DE", term("features.country", json!("DE"))),
        ("features.* : 5", any(vec![term("features.amount", json!("5")), term("features.country", json!("5"))])),
        (
            "mixed : 5",
            any(vec![
                json!({"bool": {"filter": [{"terms": {"_index": ["i-1"]}}, term("mixed", json!("5"))]}}),
                json!({"bool": {"filter": [{"terms": {"_index": ["i-2"]}}, term("mixed", json!("5"))]}}),
            ]),
        ),
        (
            "features : *",
            any(vec![
                json!({"exists": {"field": "features"}}),
                json!({"exists": {"field": "features.*"}}),
                json!({"term": {"_ignored": "features"}}),
                json!({"prefix": {"_ignored": "features."}}),
            ]),
        ),
        (
            "feat* : *",
            any(vec![
                json!({"exists": {"field": "features.amount"}}),
                json!({"exists": {"field": "features.country"}}),
                wildcard("_ignored", "feat*"),
            ]),
        ),
        (
            "pre* : *",
            json!({"regexp": {"_ignored": {
                "value": r"(pre.*)&~(label\.number)&~(prediction\.number)", "flags": "COMPLEMENT|INTERSECTION"}}}),
        ),
        ("prediction.number : *", none()),
        ("prediction.number > 5", none()),
        ("pl*e : *", any(vec![json!({"exists": {"field": "place"}}), wildcard("_ignored", "pl*e")])),
        (
            "features : { country : DE and not amount < 3 }",
            json!({"bool": {"filter": [
                term("features.country", json!("DE")),
                {"bool": {"must_not": [range("features.amount", "lt", json!("3"))]}},
            ]}}),
        ),
        (
            "true",
            any(vec![
                term("features.country", json!("true")),
                term("low_confidence", json!(true)),
                {
                    let text = term("mixed", json!("true"));
                    json!({"bool": {"filter": [{"terms": {"_index": ["i-1"]}}, text]}})
                },
                term("model_version", json!("true")),
            ]),
        ),
    ];
    for (text, expected) in cases {
        check(text, &expected);
    }
}

#[test]
fn the_types_of_all_fields_that_are_compared_are_asked_for() {
    let names = |text: &str| dsl::field_names(Expression::parse(text).unwrap().tree());
    assert_eq!(names("b : 1 and not (a < 2 or i : { c* : x }) and d : * and e* : *"), ["a", "b", "e*", "i.c*"]);
    assert_eq!(names("a : 1 and free"), ["*", "a"]);
}
