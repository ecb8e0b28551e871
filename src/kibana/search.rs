//! Searches of Discover and queries of the search bar, made from the named queries that `inferlog query --saved` knows.
//!
//! What Kibana has no counterpart for is left out, and the description says so: `by` groups rows here and only breaks Discover's
//! chart down there; `unlabelled` joins two kinds of documents, which Kibana cannot.

use std::time::Duration;

use serde_json::{Value, json};

use super::data_view::DataView;
use super::object::{ObjectKind, Reference, SavedObject};
use super::source::SourceError;
use super::tag;
use crate::flow::batch::Stream;
use crate::query::saved::{self, SavedQuery};

/// By this name a search speaks of its data view.
const INDEX_NAME: &str = "kibanaSavedObjectMeta.searchSourceJSON.index";

/// A search and a query for each named query, in the order of their names.
///
/// # Errors
/// When a named query is wrong, which a test would have shown.
pub fn objects() -> Result<Vec<SavedObject>, SourceError> {
    let queries = saved::all().map_err(|error| SourceError::new("dashboards/queries", error.to_string()))?;
    Ok(queries.iter().flat_map(|query| [search(query), search_bar_query(query)]).collect())
}

/// The data view of the documents that a named query asks for.
pub fn data_view(query: &SavedQuery) -> DataView {
    match query.stream {
        Stream::Outcomes => DataView::Outcome,
        Stream::Records | Stream::Accounts | Stream::Drift => DataView::Inference,
    }
}

fn description(query: &SavedQuery) -> String {
    let name = &query.name;
    let mut text = format!("As `inferlog query --saved {name}`.");
    if query.unlabelled {
        text.push_str(" Kibana cannot leave out those of which the truth is known: they are here, too, and not there.");
    }
    if let Some(by) = &query.by {
        text.push_str(&format!(" There it shows a row for each {by}; here the chart is broken down by it."));
    }
    text
}

fn kuery(query: &SavedQuery) -> Value {
    json!({ "language": "kuery", "query": query.condition.text() })
}

fn time_range(query: &SavedQuery) -> Option<Value> {
    query.last.map(|last| json!({ "from": format!("now-{}", date_math(last)), "to": "now" }))
}

/// A duration in one unit, as date math wants it.
fn date_math(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match [("d", 86_400), ("h", 3_600), ("m", 60)]
        .iter()
        .find(|(_, unit)| seconds > *unit && seconds.is_multiple_of(*unit))
    {
        Some((name, unit)) => format!("{}{name}", seconds / unit),
        None => format!("{seconds}s"),
    }
}

fn search(query: &SavedQuery) -> SavedObject {
    let order = query.order;
    let source = json!({ "query": kuery(query), "filter": [], "indexRefName": INDEX_NAME });
    let mut attributes = json!({
        "title": query.title,
        "description": description(query),
        // Discover shows the time by itself.
        "columns": query.columns.iter().filter(|column| *column != "@timestamp").collect::<Vec<_>>(),
        "sort": [[order.by.field(), if order.descending { "desc" } else { "asc" }]],
        "grid": {},
        "hideChart": false,
        "isTextBasedQuery": false,
        "timeRestore": query.last.is_some(),
        "kibanaSavedObjectMeta": { "searchSourceJSON": source.to_string() },
    });
    if let Some(range) = time_range(query) {
        attributes["timeRange"] = range;
    }
    if let Some(by) = &query.by {
        attributes["breakdownField"] = json!(by);
    }
    let view =
        Reference { name: INDEX_NAME.to_owned(), kind: ObjectKind::DataView, id: data_view(query).id().to_owned() };
    SavedObject {
        kind: ObjectKind::Search,
        id: format!("inferlog-search-{}", query.name),
        attributes,
        references: vec![view, tag::reference()],
    }
}

fn search_bar_query(query: &SavedQuery) -> SavedObject {
    let mut attributes = json!({
        "title": query.title, "description": description(query), "query": kuery(query), "filters": [],
    });
    if let Some(range) = time_range(query) {
        attributes["timefilter"] = range;
    }
    SavedObject {
        kind: ObjectKind::Query,
        id: format!("inferlog-query-{}", query.name),
        attributes,
        references: vec![tag::reference()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(id: &str) -> SavedObject {
        objects().unwrap().into_iter().find(|object| object.id == id).unwrap_or_else(|| panic!("no {id}"))
    }

    #[test]
    fn each_named_query_is_a_search_and_a_query() {
        let all = objects().unwrap();
        assert_eq!(all.len(), 2 * saved::all().unwrap().len());
        let slow = named("inferlog-search-slow").attributes;
        assert_eq!(slow["columns"], json!(["latency_ms", "model_version", "prediction", "status", "request_id"]));
        assert_eq!(slow["sort"], json!([["latency_ms", "desc"]]));
        assert_eq!(slow["timeRange"], json!({ "from": "now-24h", "to": "now" }));
        let source: Value =
            serde_json::from_str(slow["kibanaSavedObjectMeta"]["searchSourceJSON"].as_str().unwrap()).unwrap();
        assert_eq!(source["query"], json!({ "language": "kuery", "query": "latency_ms > 1000" }));
        let query = named("inferlog-query-slow").attributes;
        assert_eq!((&query["title"], &query["query"]), (&slow["title"], &source["query"]));
        assert_eq!(query["timefilter"]["from"], "now-24h");
    }

    #[test]
    fn a_range_is_date_math_in_one_unit() {
        for (seconds, text) in [(30 * 86_400, "30d"), (86_400, "24h"), (3_600, "60m"), (90, "90s"), (5_400, "90m")] {
            assert_eq!(date_math(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn what_kibana_has_no_counterpart_for_is_said() {
        for (id, view, restores, words) in [
            ("inferlog-search-one-subject", "inferlog-inference", false, "`inferlog query --saved one-subject`."),
            ("inferlog-search-overridden-by-reviewers", "inferlog-outcome", true, "As `inferlog query"),
            ("inferlog-search-unlabelled-and-flagged", "inferlog-inference", true, "Kibana cannot leave out those"),
            ("inferlog-search-new-model-version", "inferlog-inference", true, "broken down by it"),
        ] {
            let search = named(id);
            assert_eq!(search.references[0].id, view, "{id}");
            assert_eq!(search.attributes["timeRestore"], restores, "{id}");
            assert_eq!(search.attributes["timeRange"].is_object(), restores, "{id}");
            let description = search.attributes["description"].as_str().unwrap();
            assert!(description.contains(words), "{id}: {description}");
        }
        assert_eq!(named("inferlog-search-new-model-version").attributes["breakdownField"], "model_version");
    }
}
