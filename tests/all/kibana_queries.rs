//! What the panels of Kibana ask of Elasticsearch, asked of a real one that holds documents which a real inferlog wrote: everything
//! that is drawn finds data.
//!
//! The requests are made from the Lens objects as they are imported, not from their sources. `INFERLOG_WRITE_GENERATED=1` writes what
//! was found into `docs/kibana-queries.md`.

use std::fmt::Write as _;

use inferlog::kibana::dashboard::source::{DiscoverSession, PanelContent};
use inferlog::kibana::dashboard::{self, Dashboard};
use inferlog::kibana::data_view::DataView;
use inferlog::kibana::object::SavedObject;
use inferlog::kql::dsl::{self, FieldType, Types};
use inferlog::kql::{Expression, Purpose};
use inferlog::query::saved;
use serde_json::{Map, Value, json};

use crate::kibana_sample;
use crate::monitoring::{list, project};
use crate::support::{Method, Node};

/// Only documents of this test are looked at: the node is shared.
const NAMESPACE: &str = "kibanapanels";

/// The list of what is asked.
const LIST: &str = "docs/kibana-queries.md";

/// A stream of the test's own, of the kind that a data view shows.
fn stream(view: DataView) -> String {
    view.pattern().replace('*', NAMESPACE)
}

fn view_of(lens: &SavedObject) -> DataView {
    let is_of = |view: &DataView| lens.references.iter().any(|reference| reference.id == view.id());
    DataView::ALL.into_iter().find(is_of).unwrap()
}

/// Elasticsearch with the sample, and the types of its fields.
struct Sampled {
    node: Node,
    types: Vec<(DataView, Types)>,
}

impl Sampled {
    /// Ships the sample; `None` without a node.
    async fn new(test: &str) -> Option<Sampled> {
        let node = Node::plain(test)?;
        for view in DataView::ALL {
            node.forget(&stream(view)).await;
        }
        let url = std::env::var("INFERLOG_TEST_ES_URL").unwrap();
        let records = stream(DataView::Inference);
        let place =
            kibana_sample::place(&format!("{{ elasticsearch: {{ hosts: [\"{url}\"], data_stream: {records} }} }}"));
        let set_up = place.inferlog(&["setup", "apply", "p.yaml"]).output().unwrap();
        assert!(set_up.status.code().is_some_and(|code| code < 2), "{set_up:?}");
        kibana_sample::run(&place);
        let mut types = Vec::new();
        for view in DataView::ALL {
            node.ask(Method::Post, &format!("{}/_refresh", stream(view)), "").await;
            let (_, caps) = node.ask(Method::Get, &format!("{}/_field_caps?fields=*", stream(view)), "").await;
            let mut known = Types::default();
            for (field, kinds) in caps["fields"].as_object().unwrap_or_else(|| panic!("{view:?}: {caps}")) {
                kinds.as_object().unwrap().keys().for_each(|kind| known.add(field, FieldType::named(kind, None)));
            }
            types.push((view, known));
        }
        Some(Sampled { node, types })
    }

    /// A condition as Query DSL.
    fn filter(&self, view: DataView, kql: &str) -> Value {
        let expression = Expression::read(kql, Purpose::Question).unwrap_or_else(|error| panic!("{kql}: {error}"));
        let (_, types) = self.types.iter().find(|(of, _)| *of == view).unwrap();
        dsl::query(expression.tree(), types)
    }

    /// What a search answers, all shards of it.
    async fn search(&self, view: DataView, what: &str, body: &Value) -> Value {
        let path = format!("{}/_search", stream(view));
        let (status, answer) = self.node.ask(Method::Post, &path, &body.to_string()).await;
        assert!(status == 200 && answer["_shards"]["failed"] == 0, "{what}: {status}, {answer}\n{body}");
        answer
    }

    /// The aggregation of a column; none for what Kibana makes of the others.
    fn aggregation(&self, view: DataView, id: &str, columns: &Map<String, Value>) -> Option<Value> {
        let column = &columns[id];
        let (field, params) = (&column["sourceField"], &column["params"]);
        let aggregation = match column["operationType"].as_str().unwrap() {
            "count" => json!({ "value_count": { "field": "_index" } }),
            "sum" => json!({ "sum": { "field": field } }),
            "average" => json!({ "avg": { "field": field } }),
            "min" => json!({ "min": { "field": field } }),
            "max" => json!({ "max": { "field": field } }),
            "median" => json!({ "percentiles": { "field": field, "percents": [50] } }),
            "percentile" => json!({ "percentiles": { "field": field, "percents": [params["percentile"]] } }),
            "unique_count" => json!({ "cardinality": { "field": field } }),
            "last_value" => json!({ "top_hits": {
                "size": 1, "sort": [{ "@timestamp": "desc" }], "docvalue_fields": [field], "_source": false,
            } }),
            "date_histogram" => {
                json!({ "date_histogram": { "field": field, "fixed_interval": "1h", "min_doc_count": 1 } })
            }
            "terms" => {
                let mut terms = json!({ "field": field, "size": params["size"], "order": order(params, columns) });
                if params["missingBucket"] == true {
                    terms["missing"] = json!("__missing__");
                }
                json!({ "terms": terms })
            }
            "range" => {
                let bound = |range: &Value| {
                    let ends = ["from", "to"].map(|end| (end.to_owned(), range[end].clone()));
                    Value::Object(ends.into_iter().filter(|(_, end)| !end.is_null()).collect())
                };
                json!({ "range": { "field": field, "ranges": list(&params["ranges"]).map(bound).collect::<Vec<_>>() } })
            }
            "filters" => {
                let filter = |filter: &Value| self.filter(view, filter["input"]["query"].as_str().unwrap());
                json!({ "filters": { "filters": list(&params["filters"]).map(filter).collect::<Vec<_>>() } })
            }
            "formula" | "math" | "static_value" => return None,
            other => panic!("{id}: `{other}` is not asked here"),
        };
        let Some(kql) = column["filter"]["query"].as_str() else { return Some(aggregation) };
        Some(json!({ "filter": self.filter(view, kql), "aggs": { "metric": aggregation } }))
    }

    /// What a Lens finds: documents, and buckets of all layers.
    async fn look(&self, lens: &SavedObject) -> Finding {
        let (view, state) = (view_of(lens), &lens.attributes["state"]);
        let mut finding = Finding::default();
        for layer in state["datasourceStates"]["formBased"]["layers"].as_object().unwrap().values() {
            let columns = layer["columns"].as_object().unwrap();
            let order: Vec<&str> = list(&layer["columnOrder"]).map(|id| id.as_str().unwrap()).collect();
            let asked: Vec<(&str, Value)> =
                order.iter().filter_map(|id| Some((*id, self.aggregation(view, id, columns)?))).collect();
            if asked.is_empty() {
                continue;
            }
            let kql = state["query"]["query"].as_str().unwrap();
            let body = json!({
                "size": 0, "track_total_hits": true, "query": self.filter(view, kql), "aggs": nested(&asked, columns),
            });
            let answer = self.search(view, &lens.id, &body).await;
            finding.documents = answer["hits"]["total"]["value"].as_u64().unwrap();
            let (buckets, metrics): (Vec<_>, Vec<_>) =
                asked.iter().map(|(id, _)| *id).partition(|id| columns[*id]["isBucketed"] == true);
            let leaves = leaves(&answer["aggregations"], &buckets);
            finding.buckets += leaves.len();
            for metric in metrics {
                if !leaves.iter().any(|leaf| is_value(&leaf[metric], &columns[metric])) {
                    let (label, filter) = (&columns[metric]["label"], &columns[metric]["filter"]["query"]);
                    finding.problems.push(format!("{}: nothing for {label} of {filter}", lens.id));
                }
            }
        }
        if finding.documents == 0 || finding.buckets == 0 {
            finding.problems.push(format!("{}: no documents", lens.id));
        }
        finding
    }
}

/// What was found.
#[derive(Default)]
struct Finding {
    documents: u64,
    buckets: usize,
    problems: Vec<String>,
}

/// By what values are ordered.
fn order(params: &Value, columns: &Map<String, Value>) -> Value {
    let direction = &params["orderDirection"];
    match params["orderBy"]["type"].as_str().unwrap() {
        "alphabetical" => json!({ "_key": direction }),
        "custom" => json!({ "_count": direction }),
        _ => {
            let id = params["orderBy"]["columnId"].as_str().unwrap();
            let path = if columns[id]["filter"].is_null() { id.to_owned() } else { format!("{id}>metric") };
            json!({ path: direction })
        }
    }
}

/// Buckets within each other, and the metrics in the innermost. What a bucket is ordered by is in it, too.
fn nested(asked: &[(&str, Value)], columns: &Map<String, Value>) -> Value {
    let (buckets, metrics): (Vec<_>, Vec<_>) =
        asked.iter().cloned().partition(|(id, _)| columns[*id]["isBucketed"] == true);
    let of_metrics =
        || -> Map<String, Value> { metrics.iter().map(|(id, one)| ((*id).to_owned(), one.clone())).collect() };
    let mut inner = of_metrics();
    for (id, mut aggregation) in buckets.into_iter().rev() {
        let ordered = columns[id]["params"]["orderBy"]["columnId"].as_str();
        if let Some((id, by)) = ordered.and_then(|by| metrics.iter().find(|(id, _)| *id == by)) {
            inner.insert((*id).to_owned(), by.clone());
        }
        aggregation["aggs"] = Value::Object(inner);
        inner = Map::from_iter([(id.to_owned(), aggregation)]);
    }
    Value::Object(inner)
}

/// The innermost buckets that have documents.
fn leaves<'a>(aggregations: &'a Value, buckets: &[&str]) -> Vec<&'a Value> {
    let Some((first, rest)) = buckets.split_first() else { return vec![aggregations] };
    let filled = list(&aggregations[first]["buckets"]).filter(|bucket| bucket["doc_count"] != 0);
    filled.flat_map(|bucket| leaves(bucket, rest)).collect()
}

/// Whether a metric has a value. One with a condition must have met documents: else the condition is of no use.
fn is_value(answer: &Value, column: &Value) -> bool {
    let is_met = column["filter"].is_null() || answer["doc_count"].as_u64().is_some_and(|count| count > 0);
    let answer = if column["filter"].is_null() { answer } else { &answer["metric"] };
    let hit = &answer["hits"]["hits"][0]["fields"];
    let percentile = answer["values"].as_object().and_then(|values| values.values().next()).unwrap_or(&Value::Null);
    is_met && [&answer["value"], hit, percentile].iter().any(|value| !value.is_null())
}

#[tokio::test]
async fn everything_that_is_drawn_finds_data() {
    let Some(sampled) = Sampled::new("what Kibana's panels ask").await else { return };
    let (mut rows, mut problems) = (String::new(), Vec::new());
    for dashboard in dashboard::all().unwrap() {
        let (lenses, _) = dashboard.objects().unwrap();
        for lens in &lenses {
            let finding = sampled.look(lens).await;
            let Finding { documents, buckets, .. } = finding;
            problems.extend(finding.problems);
            let title = &lens.attributes["title"].as_str().unwrap();
            writeln!(
                rows,
                "| {} | {title} | `{}` | {documents} | {buckets} |",
                dashboard.name,
                view_of(lens).pattern()
            )
            .unwrap();
        }
        rows.push_str(&searches(&sampled, &dashboard).await);
        controls(&sampled, &dashboard).await;
    }
    println!("{rows}");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    keep(&rows);
}

/// The panels that show documents.
async fn searches(sampled: &Sampled, dashboard: &Dashboard) -> String {
    let mut rows = String::new();
    for panel in &dashboard.source.panels {
        let PanelContent::DiscoverSession(DiscoverSession { query_name, .. }) = &panel.content else { continue };
        let query = saved::load(query_name, Purpose::Question).unwrap();
        let body =
            json!({ "track_total_hits": true, "query": sampled.filter(DataView::Inference, query.condition.text()) });
        let answer = sampled.search(DataView::Inference, query_name, &body).await;
        let documents = answer["hits"]["total"]["value"].as_u64().unwrap();
        assert!(documents > 0, "{query_name} finds nothing");
        let title = &query.title;
        writeln!(rows, "| {} | {title} | `{}` | {documents} | |", dashboard.name, DataView::Inference.pattern())
            .unwrap();
    }
    rows
}

/// Each control has values to choose.
async fn controls(sampled: &Sampled, dashboard: &Dashboard) {
    for control in &dashboard.source.pinned_panels {
        let view = control.data_view.unwrap_or(dashboard.source.data_view);
        let body = json!({ "size": 0, "aggs": { "values": { "terms": { "field": control.field_name, "size": 10 } } } });
        let answer = sampled.search(view, &control.title, &body).await;
        let values = list(&answer["aggregations"]["values"]["buckets"]).count();
        assert!(values > 0, "{}: nothing to choose for {}", dashboard.name, control.title);
    }
}

/// Writes the list when told to, and fails when it lists other panels than there are.
fn keep(rows: &str) {
    let path = project(LIST);
    if std::env::var_os("INFERLOG_WRITE_GENERATED").is_some() {
        let head = include_str!("../kibana/queries_head.txt");
        std::fs::write(&path, format!("{head}{rows}")).unwrap();
    }
    let panels = |text: &str| -> Vec<String> {
        let rows = text
            .lines()
            .filter_map(|row| row.strip_prefix("| "))
            .map(|row| row.split(" | ").take(3).collect::<Vec<_>>().join("|"));
        rows.filter(|row| row.ends_with("-*`")).collect()
    };
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    let command = "INFERLOG_WRITE_GENERATED=1 cargo test --test all kibana_queries::";
    assert_eq!(panels(&there), panels(rows), "{LIST} lists other panels; write it anew: {command}");
}
