//! Kibana's rules: what each of them would ask is asked of a real Elasticsearch with sample documents, and finds what it must.
//!
//! Kibana itself is not here: the searches are built as it builds them, from the parameters that it is given. KQL is read by
//! Elasticsearch's own parser.

use std::collections::BTreeSet;

use chrono::{Duration, Utc};
use inferlog::kibana::data_view::{self, DataView};
use inferlog::kibana::rule::{self, Rule};
use serde_json::{Value, json};

use crate::monitoring::list;
use crate::support::{Method, Node};

/// Documents of one kind: how many, and their members beside the time.
type Documents = (usize, Value);

/// Makes an index with the mapping of a data view's documents and these documents, so many minutes old.
async fn index(node: &Node, name: &str, view: DataView, minutes: i64, documents: &[Documents]) {
    let file = format!("mappings/component_templates/inferlog-{}-mappings.json", view.as_str());
    let template: Value =
        serde_json::from_str(&std::fs::read_to_string(crate::monitoring::project(&file)).unwrap()).unwrap();
    node.forget(name).await;
    let body = json!({ "mappings": template["template"]["mappings"] });
    let (status, answer) = node.ask(Method::Put, name, &body.to_string()).await;
    assert_eq!(status, 200, "{answer}");
    let time = (Utc::now() - Duration::minutes(minutes)).to_rfc3339();
    let mut lines = String::new();
    for (count, members) in documents {
        let mut document = members.clone();
        document["@timestamp"] = json!(time);
        lines.push_str(&format!("{{\"index\":{{}}}}\n{document}\n").repeat(*count));
    }
    let (status, answer) = node.ask(Method::Post, &format!("{name}/_bulk?refresh=true"), &lines).await;
    assert!(status == 200 && answer["errors"] == false, "{answer}");
}

fn range(size: &Value, unit: &Value) -> Value {
    json!({ "range": { "@timestamp": { "gte": format!("now-{size}{}", unit.as_str().unwrap()), "lte": "now" } } })
}

/// KQL as Kibana has it; an empty one is everything.
fn kql(query: &Value) -> Value {
    match query.as_str().unwrap() {
        "" => json!({ "match_all": {} }),
        query => json!({ "kql": { "query": query } }),
    }
}

async fn search(node: &Node, index: &str, body: &Value) -> Value {
    let (status, answer) = node.ask(Method::Post, &format!("{index}/_search"), &body.to_string()).await;
    assert_eq!(status, 200, "{body}\n{answer}");
    answer
}

/// The groups for which a rule would give an alert, each with the documents that a message can name.
async fn alerts(node: &Node, rule: &Rule, index: &str) -> Vec<(String, Value)> {
    let params = &rule.create_body(true)["params"];
    match rule.type_id() {
        "observability.rules.custom_threshold" => {
            let mut groups: Option<BTreeSet<String>> = None;
            for criterion in list(&params["criteria"]) {
                let found = groups_of_criterion(node, index, params, criterion).await;
                groups = Some(groups.map_or(found.clone(), |groups| &groups & &found));
            }
            groups.unwrap().into_iter().map(|group| (group, Value::Null)).collect()
        }
        _ => groups_of_query(node, rule, index, params).await,
    }
}

async fn groups_of_criterion(node: &Node, index: &str, params: &Value, criterion: &Value) -> BTreeSet<String> {
    let window = range(&criterion["timeSize"], &criterion["timeUnit"]);
    let mut period = json!({});
    let mut paths = json!({});
    for metric in list(&criterion["metrics"]) {
        let name = metric["name"].as_str().unwrap();
        period[format!("value_{name}")] = json!({ "filter": kql(&metric["filter"]) });
        paths[name] = json!(format!("value_{name}>_count"));
    }
    let names = ["A", "B"].iter();
    let equation = criterion["equation"].as_str().unwrap().to_owned();
    let equation = names.fold(equation, |text, name| text.replace(name, &format!("params.{name}")));
    period["value"] = json!({ "bucket_script": { "buckets_path": paths, "script": equation } });
    let comparison =
        format!("params.value {} {} ? 1 : 0", criterion["comparator"].as_str().unwrap(), criterion["threshold"][0]);
    let sources: Vec<Value> = list(&params["groupBy"])
        .enumerate()
        .map(|(place, field)| json!({ format!("groupBy{place}"): { "terms": { "field": field } } }))
        .collect();
    let body = json!({
        "size": 0,
        "query": { "bool": { "filter": [window, kql(&params["searchConfiguration"]["query"]["query"])] } },
        "aggs": { "groupings": {
            "composite": { "size": 10_000, "sources": sources },
            "aggs": {
                "currentPeriod": { "filters": { "filters": { "all": window } }, "aggs": period },
                "shouldTrigger": { "bucket_script": {
                    "buckets_path": { "value": "currentPeriod['all']>value" }, "script": comparison,
                } },
                "evaluation": { "bucket_selector": {
                    "buckets_path": { "shouldTrigger": "shouldTrigger" },
                    "script": "params.shouldTrigger != null && params.shouldTrigger > 0",
                } },
            },
        } },
    });
    let answer = search(node, index, &body).await;
    let buckets = list(&answer["aggregations"]["groupings"]["buckets"]);
    buckets.map(|bucket| bucket["key"]["groupBy0"].as_str().unwrap().to_owned()).collect()
}

async fn groups_of_query(node: &Node, rule: &Rule, index: &str, params: &Value) -> Vec<(String, Value)> {
    let window = range(&params["timeWindowSize"], &params["timeWindowUnit"]);
    let (comparator, threshold) =
        (params["thresholdComparator"].as_str().unwrap(), params["threshold"][0].as_f64().unwrap());
    let views = data_view::objects(None).unwrap();
    let view = views.iter().find(|view| view.id == rule.view.id()).unwrap();
    let computed: Value = serde_json::from_str(view.attributes["runtimeFieldMap"].as_str().unwrap()).unwrap();
    let mut body = json!({
        "size": 0,
        "track_total_hits": true,
        "runtime_mappings": computed,
        "query": { "bool": { "filter": [window, kql(&params["searchConfiguration"]["query"]["query"])] } },
    });
    let Some(field) = params["termField"].as_str() else {
        assert_eq!(params["groupBy"], "all");
        let count = search(node, index, &body).await["hits"]["total"]["value"].as_f64().unwrap();
        let is_met = if comparator == ">" { count > threshold } else { count < threshold };
        return if is_met { vec![("query matched".to_owned(), Value::Null)] } else { Vec::new() };
    };
    let mut inner = json!({});
    let path = match params["aggField"].as_str() {
        Some(field) => {
            inner["metricAgg"] = json!({ params["aggType"].as_str().unwrap(): { "field": field } });
            "metricAgg"
        }
        None => "_count",
    };
    inner["conditionSelector"] = json!({ "bucket_selector": {
        "buckets_path": { "compareValue": path }, "script": format!("params.compareValue {comparator} {threshold}L"),
    } });
    if params["size"] != 0 {
        inner["topHitsAgg"] = json!({ "top_hits": { "size": params["size"] } });
    }
    body["aggs"] = json!({ "groupAgg": { "terms": { "field": field, "size": params["termSize"] }, "aggs": inner } });
    let answer = search(node, index, &body).await;
    let buckets = list(&answer["aggregations"]["groupAgg"]["buckets"]);
    buckets
        .map(|bucket| (bucket["key"].as_str().unwrap().to_owned(), bucket["topHitsAgg"]["hits"]["hits"].clone()))
        .collect()
}

/// Requests of a model version, some of which are the part that is too much.
fn requests(version: &str, whole: (usize, Value), part: (usize, Value)) -> [Documents; 2] {
    [whole, part].map(|(count, mut members)| {
        members["model_version"] = json!(version);
        (count, members)
    })
}

/// Three versions: over the share, exactly at it, and far over it with too few requests to say so.
fn versions(calm: &Value, bad: &Value, over: usize) -> Vec<Documents> {
    let of =
        |version: &str, calm_count, bad_count| requests(version, (calm_count, calm.clone()), (bad_count, bad.clone()));
    [of("over", 100 - over - 1, over + 1), of("at", 100 - over, over), of("few", 0, 99)].into_iter().flatten().collect()
}

#[tokio::test]
async fn each_rule_finds_what_it_must_and_is_silent_at_its_threshold() {
    let Some(node) = Node::plain("the queries of Kibana's rules") else { return };
    let drift = |name: &str, version: &str, psi: f64, reached: bool| {
        let name = if name.is_empty() { json!({}) } else { json!({ "model_name": name }) };
        let mut document = json!({
            "kind": "version", "model_version": version, "psi_max": psi, "min_sample_reached": reached, "features": 9,
            "features_over": 1, "top_features": ["amount 0.43"],
        });
        document.as_object_mut().unwrap().extend(name.as_object().unwrap().clone());
        (1, document)
    };
    let letters = |pipeline: &str, kind: &str, count: u64| {
        (1, json!({ "inferlog.pipeline": pipeline, "account.kind": kind, "account.reason_count": count }))
    };
    let status = |status: &str| json!({ "status": status });
    let latency = |latency_ms: f64| json!({ "latency_ms": latency_ms });
    let confidence = |low: bool| json!({ "confidence": if low { 0.4 } else { 0.9 }, "low_confidence": low });
    for (name, minutes, documents, expected) in [
        ("error-rate", 1, versions(&status("success"), &status("error"), 1), vec!["over"]),
        ("error-rate", 6, versions(&status("success"), &status("error"), 1), vec![]),
        ("error-rate", 1, versions(&status("200"), &status("500"), 1), vec!["over"]),
        ("latency-p99", 1, versions(&latency(500.0), &latency(501.0), 1), vec!["over"]),
        ("low-confidence", 1, versions(&confidence(false), &confidence(true), 30), vec!["over"]),
        (
            "drift",
            30,
            vec![
                drift("fraud", "3.2.1", 0.43, true),
                drift("", "7", 0.21, true),
                drift("calm", "1", 0.2, true),
                drift("small", "1", 0.9, false),
                (1, json!({ "kind": "feature", "model_name": "x", "model_version": "1", "psi": 0.9 })),
            ],
            vec!["7", "fraud 3.2.1"],
        ),
        (
            "dead-letters",
            30,
            vec![
                letters("over", "dead_letter", 6),
                letters("over", "dead_letter", 5),
                letters("at", "dead_letter", 10),
                letters("other", "interval", 99),
            ],
            vec!["over"],
        ),
        ("no-records", 1, vec![(1, status("success"))], vec![]),
        ("no-records", 16, vec![(1, status("success"))], vec!["query matched"]),
    ] {
        let rule = rule::all().unwrap().into_iter().find(|rule| rule.file == name).unwrap();
        let index_name = format!("kibana-rules-{name}-{minutes}");
        index(&node, &index_name, rule.view, minutes, &documents).await;
        let mut found = alerts(&node, &rule, &index_name).await;
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let groups: Vec<&str> = found.iter().map(|(group, _)| group.as_str()).collect();
        assert_eq!(groups, expected, "{name}, {minutes} minutes ago");
        if name == "drift" {
            assert_eq!(found[1].1[0]["_source"]["top_features"], json!(["amount 0.43"]), "what the message names");
        }
        node.forget(&index_name).await;
    }
}
