//! The lint of the saved objects: what Kibana would import, and then not draw or not find.
//!
//! It reads the lines that are imported, and knows nothing of how they are made. Kibana's import catches missing references, unknown
//! types and versions that are too new; a Lens whose content is garbage it takes, and shows an error instead of a chart. Each check
//! fails once, on objects that were changed for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use inferlog::kibana::data_view::{DataView, MODEL_FIELD};
use inferlog::kibana::fields::{self, Fields};
use inferlog::kibana::{self, rule};
use inferlog::kql::{Expression, FieldKind};
use serde_json::{Value, json};

use crate::monitoring::list;

/// The types, the version of each, and the attributes that it may have.
const TYPES: [(&str, &str, &[&str]); 6] = [
    (
        "dashboard",
        "8.9.0",
        &[
            "title",
            "description",
            "kibanaSavedObjectMeta",
            "timeRestore",
            "timeFrom",
            "timeTo",
            "refreshInterval",
            "controlGroupInput",
            "panelsJSON",
            "optionsJSON",
        ],
    ),
    (
        "index-pattern",
        "8.0.0",
        &[
            "title",
            "name",
            "timeFieldName",
            "fieldAttrs",
            "fieldFormatMap",
            "runtimeFieldMap",
            "sourceFilters",
            "fields",
        ],
    ),
    ("lens", "8.9.0", &["title", "description", "visualizationType", "state"]),
    ("query", "8.0.0", &["title", "description", "query", "filters", "timefilter"]),
    (
        "search",
        "8.0.0",
        &[
            "title",
            "description",
            "columns",
            "sort",
            "grid",
            "hideChart",
            "kibanaSavedObjectMeta",
            "timeRange",
            "timeRestore",
            "isTextBasedQuery",
            "breakdownField",
        ],
    ),
    ("tag", "8.0.0", &["name", "description", "color"]),
];

const CORE_VERSION: &str = "8.8.0";

/// Columns of a dashboard's grid.
const GRID_COLUMNS: u64 = 48;

/// Members of a visualisation that name columns of its layer.
const ACCESSORS: [&str; 14] = [
    "accessor",
    "accessors",
    "breakdownByAccessor",
    "collapseBy",
    "columnId",
    "maxAccessor",
    "metricAccessor",
    "metrics",
    "primaryGroups",
    "secondaryGroups",
    "secondaryMetricAccessor",
    "splitAccessor",
    "valueAccessor",
    "xAccessor",
];

/// What was found, each with where.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn expect(&mut self, holds: bool, place: &str, problem: impl Into<String>) {
        if !holds {
            self.0.push(format!("{place}: {}", problem.into()));
        }
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

/// JSON in a text.
fn inner(value: &Value) -> Value {
    value.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// The data view with this id.
fn view(id: &str) -> Option<DataView> {
    DataView::ALL.into_iter().find(|view| view.id() == id)
}

/// The kind of a field, where one of the data views has it.
fn kind(views: &[DataView], field: &str) -> Option<FieldKind> {
    static FIELDS: OnceLock<BTreeMap<DataView, Fields>> = OnceLock::new();
    let fields = FIELDS.get_or_init(|| DataView::ALL.into_iter().map(|view| (view, fields::of(view))).collect());
    let computed = (views.contains(&DataView::Drift) && field == MODEL_FIELD).then_some(FieldKind::Keyword);
    views.iter().find_map(|view| fields[view].get(field).copied()).or(computed)
}

/// Everything that is wrong with the lines of a file.
fn lint(lines: &str) -> Vec<String> {
    let mut findings = Findings::default();
    let mut objects = Vec::new();
    for (number, line) in lines.lines().enumerate() {
        match serde_json::from_str::<Value>(line) {
            Ok(object) => objects.push(object),
            Err(error) => findings.expect(false, &format!("line {}", number + 1), format!("no JSON: {error}")),
        }
    }
    let mut ids = BTreeSet::new();
    for object in &objects {
        let id = (text(object, "type"), text(object, "id"));
        findings.expect(ids.insert(id), &format!("{} {}", id.0, id.1), "two objects have this id");
    }
    for object in &objects {
        envelope(object, &ids, &mut findings);
        content(object, &mut findings);
    }
    findings.0
}

fn envelope(object: &Value, ids: &BTreeSet<(&str, &str)>, findings: &mut Findings) {
    let (kind, place) = (text(object, "type"), format!("{} {}", text(object, "type"), text(object, "id")));
    let Some((_, version, attributes)) = TYPES.iter().find(|(known, ..)| *known == kind) else {
        return findings.expect(false, &place, "the type is unknown");
    };
    for (member, floor) in [("coreMigrationVersion", CORE_VERSION), ("typeMigrationVersion", version)] {
        findings.expect(text(object, member) == floor, &place, format!("{member} is not {floor}"));
    }
    for name in object["attributes"].as_object().into_iter().flat_map(|attributes| attributes.keys()) {
        findings.expect(attributes.contains(&&**name), &place, format!("the attribute `{name}` is unknown"));
    }
    let mut names = BTreeSet::new();
    for reference in list(&object["references"]) {
        let (to, name) = ((text(reference, "type"), text(reference, "id")), text(reference, "name"));
        findings.expect(ids.contains(&to), &place, format!("{} {} is referred to, and not in the file", to.0, to.1));
        findings.expect(names.insert(name), &place, format!("two references are called `{name}`"));
        let is_named = match to.0 {
            "tag" => name == format!("tag-ref-{}", to.1),
            _ => expected_references(object).contains(name),
        };
        findings.expect(is_named, &place, format!("nothing speaks of the reference `{name}`"));
    }
    for name in expected_references(object) {
        findings.expect(names.contains(&*name), &place, format!("the reference `{name}` is missing"));
    }
}

/// The names by which an object's content speaks of others.
fn expected_references(object: &Value) -> BTreeSet<String> {
    let attributes = &object["attributes"];
    let layers = layers(&attributes["state"]);
    let mut names: BTreeSet<String> = layers.keys().map(|id| format!("indexpattern-datasource-layer-{id}")).collect();
    let source = inner(&attributes["kibanaSavedObjectMeta"]["searchSourceJSON"]);
    names.extend(source["indexRefName"].as_str().map(str::to_owned));
    for panel in list(&inner(&attributes["panelsJSON"])) {
        let id = text(panel, "panelIndex");
        names.extend(panel["panelRefName"].as_str().map(|name| format!("{id}:{name}")));
        let config = &panel["embeddableConfig"];
        let by_value = self::layers(&config["attributes"]["state"]);
        names.extend(by_value.keys().map(|layer| format!("{id}:indexpattern-datasource-layer-{layer}")));
        for event in list(&config["enhancements"]["dynamicActions"]["events"]) {
            let factory = text(&event["action"], "factoryId");
            if factory == "DASHBOARD_TO_DASHBOARD_DRILLDOWN" {
                names.insert(format!("{id}:drilldown:{factory}:{}:dashboardId", text(event, "eventId")));
            }
        }
    }
    let controls = inner(&attributes["controlGroupInput"]["panelsJSON"]);
    for id in controls.as_object().into_iter().flat_map(|controls| controls.keys()) {
        names.insert(format!("controlGroup_{id}:optionsListDataView"));
    }
    names
}

fn layers(state: &Value) -> BTreeMap<String, Value> {
    let layers = state["datasourceStates"]["formBased"]["layers"].as_object();
    layers.into_iter().flatten().map(|(id, layer)| (id.clone(), layer.clone())).collect()
}

/// The data view that a reference of this name leads to.
fn referred_view(object: &Value, name: &str) -> Option<DataView> {
    list(&object["references"]).find(|reference| text(reference, "name") == name).and_then(|one| view(text(one, "id")))
}

fn content(object: &Value, findings: &mut Findings) {
    let place = format!("{} {}", text(object, "type"), text(object, "id"));
    let attributes = &object["attributes"];
    match text(object, "type") {
        "lens" => {
            let view = |layer: &str| referred_view(object, &format!("indexpattern-datasource-layer-{layer}"));
            lens(&place, attributes, &view, findings);
        }
        "dashboard" => dashboard(&place, object, findings),
        "search" => {
            let source = inner(&attributes["kibanaSavedObjectMeta"]["searchSourceJSON"]);
            let views: Vec<DataView> = referred_view(object, text(&source, "indexRefName")).into_iter().collect();
            kql(&place, &source["query"], &views, findings);
            for sort in list(&attributes["sort"]) {
                let field = sort[0].as_str().unwrap_or_default();
                findings.expect(
                    kind(&views, field).is_some(),
                    &place,
                    format!("it is sorted by `{field}`, which is unknown"),
                );
            }
        }
        "query" => kql(&place, &attributes["query"], &DataView::ALL, findings),
        _ => {}
    }
}

/// A query in KQL: our own parser reads it, and it names only fields that are there.
fn kql(place: &str, query: &Value, views: &[DataView], findings: &mut Findings) {
    findings.expect(query["language"] == "kuery", place, "a query is not in KQL");
    let text = text(query, "query");
    match Expression::parse_question(text) {
        Err(error) => findings.expect(false, place, format!("`{text}` is no KQL: {error}")),
        Ok(expression) => {
            for field in expression.fields().into_iter().filter(|field| !field.contains('*')) {
                findings.expect(
                    kind(views, field).is_some(),
                    place,
                    format!("`{text}` asks for `{field}`, which is unknown"),
                );
            }
        }
    }
}

fn dashboard(place: &str, object: &Value, findings: &mut Findings) {
    let attributes = &object["attributes"];
    let panels = inner(&attributes["panelsJSON"]);
    findings.expect(list(&panels).next().is_some(), place, "no panels");
    let mut taken: BTreeMap<(u64, u64), &str> = BTreeMap::new();
    for panel in list(&panels) {
        let (id, grid) = (text(panel, "panelIndex"), &panel["gridData"]);
        findings.expect(!id.is_empty() && grid["i"] == id, place, format!("panel `{id}` has another name in the grid"));
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| grid[side].as_u64().unwrap_or(0));
        findings.expect(w > 0 && h > 0 && x + w <= GRID_COLUMNS, place, format!("panel `{id}` is not on the grid"));
        for cell in (x..x + w).flat_map(|column| (y..y + h).map(move |row| (column, row))) {
            if let Some(other) = taken.insert(cell, id) {
                findings.expect(false, place, format!("panel `{id}` lies on `{other}`"));
                break;
            }
        }
        let by_value = &panel["embeddableConfig"]["attributes"];
        if by_value["state"].is_object() {
            let view = |layer: &str| referred_view(object, &format!("{id}:indexpattern-datasource-layer-{layer}"));
            lens(&format!("{place}, panel {id}"), by_value, &view, findings);
        }
    }
    let controls = inner(&attributes["controlGroupInput"]["panelsJSON"]);
    for (id, control) in controls.as_object().into_iter().flatten() {
        let view: Vec<DataView> =
            referred_view(object, &format!("controlGroup_{id}:optionsListDataView")).into_iter().collect();
        let field = text(&control["explicitInput"], "fieldName");
        findings.expect(kind(&view, field).is_some(), place, format!("a control is of `{field}`, which is unknown"));
    }
    kql(place, &inner(&attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])["query"], &DataView::ALL, findings);
}

fn lens(place: &str, attributes: &Value, view: &dyn Fn(&str) -> Option<DataView>, findings: &mut Findings) {
    let state = &attributes["state"];
    let layers = layers(state);
    findings.expect(!layers.is_empty(), place, "no layers");
    let all: Vec<DataView> = layers.keys().filter_map(|id| view(id)).collect();
    kql(place, &state["query"], &all, findings);
    for (id, layer) in &layers {
        let views: Vec<DataView> = view(id).into_iter().collect();
        let columns: BTreeMap<String, Value> = layer["columns"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(id, column)| (id.clone(), column.clone()))
            .collect();
        let order: BTreeSet<&str> = list(&layer["columnOrder"]).filter_map(Value::as_str).collect();
        let keys: BTreeSet<&str> = columns.keys().map(String::as_str).collect();
        findings.expect(order == keys, place, format!("layer {id}: columnOrder is not its columns"));
        for (name, column) in &columns {
            let place = format!("{place}, column {name}");
            self::column(&place, name, column, &columns, &views, findings);
        }
    }
    let columns: BTreeSet<String> = layers
        .values()
        .flat_map(|layer| layer["columns"].as_object().into_iter().flat_map(|columns| columns.keys().cloned()))
        .collect();
    for accessor in accessors(&state["visualization"]) {
        findings.expect(columns.contains(&accessor), place, format!("the column `{accessor}` is drawn, and not there"));
    }
    for id in layer_ids(&state["visualization"]) {
        findings.expect(layers.contains_key(&id), place, format!("the layer `{id}` is drawn, and not there"));
    }
}

/// The columns that a visualisation names.
fn accessors(visualization: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![visualization];
    while let Some(value) = open.pop() {
        for (name, value) in value.as_object().into_iter().flatten() {
            match value {
                Value::String(one) if ACCESSORS.contains(&&**name) => drop(found.insert(one.clone())),
                Value::Array(many) if ACCESSORS.contains(&&**name) => {
                    found.extend(many.iter().filter_map(Value::as_str).map(str::to_owned));
                    open.extend(many);
                }
                _ => open.push(value),
            }
        }
        open.extend(list(value));
    }
    found
}

fn layer_ids(visualization: &Value) -> BTreeSet<String> {
    let of_layers = list(&visualization["layers"]).map(|layer| text(layer, "layerId").to_owned());
    of_layers.chain(visualization["layerId"].as_str().map(str::to_owned)).collect()
}

fn column(
    place: &str,
    name: &str,
    column: &Value,
    columns: &BTreeMap<String, Value>,
    views: &[DataView],
    findings: &mut Findings,
) {
    let operation = text(column, "operationType");
    for member in ["dataType", "label"] {
        findings.expect(!text(column, member).is_empty(), place, format!("no {member}"));
    }
    if let Some(field) = column["sourceField"].as_str().filter(|field| *field != "___records___") {
        let fits = match (kind(views, field), operation) {
            (None, _) => false,
            (
                Some(kind),
                "average" | "sum" | "median" | "percentile" | "percentile_rank" | "standard_deviation" | "range",
            ) => kind == FieldKind::Number,
            (Some(kind), "min" | "max") => matches!(kind, FieldKind::Number | FieldKind::Date),
            (Some(kind), "date_histogram") => kind == FieldKind::Date,
            (Some(_), "terms" | "unique_count" | "last_value" | "count") => true,
            _ => false,
        };
        findings.expect(fits, place, format!("`{operation}` of `{field}`, which is unknown or of another type"));
    }
    for filter in [&column["filter"]].into_iter().filter(|filter| filter.is_object()) {
        kql(place, filter, views, findings);
    }
    for filter in list(&column["params"]["filters"]) {
        kql(place, &filter["input"], views, findings);
    }
    let references: Vec<&str> = list(&column["references"]).filter_map(Value::as_str).collect();
    for reference in &references {
        findings.expect(
            columns.contains_key(*reference),
            place,
            format!("it needs the column `{reference}`, which is not there"),
        );
    }
    if operation == "formula" {
        let managed = references.iter().filter(|id| id.starts_with(&format!("{name}X"))).count();
        findings.expect(managed > 0 && managed == references.len(), place, "a formula without columns of its own");
    }
    if operation == "math" {
        findings.expect(!column["params"]["tinymathAst"].is_null(), place, "a calculation without its tree");
    }
    if let Some(by) = column["params"]["orderBy"]["columnId"].as_str() {
        findings.expect(columns.contains_key(by), place, format!("it is ordered by `{by}`, which is not there"));
    }
}

/// The lines of all objects.
fn lines() -> String {
    kibana::objects(None).unwrap().iter().map(|object| object.to_line() + "\n").collect()
}

#[test]
fn everything_that_is_imported_is_right() {
    let lines = lines();
    let findings = lint(&lines);
    assert!(findings.is_empty(), "{}", findings.join("\n"));
    let of_type = |kind: &str| lines.matches(&format!("\"type\":\"{kind}\",\"typeMigrationVersion\"")).count();
    for (kind, _, _) in TYPES {
        assert!(of_type(kind) > 0, "no {kind}: does the test still see them?");
    }
    let is_uuid = |id: &str| {
        id.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && id.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
    };
    for rule in rule::all().unwrap() {
        assert!(is_uuid(&rule.id), "{}: {}", rule.file, rule.id);
    }
}

/// A request that is a line of its own is half of an inference (`decode: pair`): what counts records has to leave it out, or
/// ask for something that only its other half says.
#[test]
fn no_panel_counts_a_request_and_its_response_as_two() {
    let text = include_str!("../../dashboards/kibana/model-health.yaml");
    let panels = text.split("\n  - id: ").skip(1);
    let counting: Vec<&str> = panels.filter(|panel| panel.contains("operation: count")).collect();
    assert!(counting.len() >= 5, "{}", counting.len());
    for panel in counting {
        let asks = ["query: \"not pair.role : first\"", "query: \"confidence : *\"", "field: latency_ms"];
        assert!(asks.iter().any(|asked| panel.contains(asked)), "{panel}");
    }
}

/// A tiny file in which everything is right: a data view, a Lens with a formula, a dashboard with both kinds of panels, a search.
fn sample() -> Vec<Value> {
    let object = |kind: &str, id: &str, references: Value, attributes: Value| {
        let version = TYPES.iter().find(|(known, ..)| *known == kind).unwrap().1;
        json!({
            "type": kind, "id": id, "coreMigrationVersion": CORE_VERSION, "typeMigrationVersion": version,
            "references": references, "attributes": attributes,
        })
    };
    let to_view = |name: &str| json!({ "type": "index-pattern", "id": "inferlog-inference", "name": name });
    let query = |query: &str| json!({ "query": query, "language": "kuery" });
    let column = |operation: &str, field: &str| json!({ "operationType": operation, "sourceField": field, "dataType": "number", "label": "L" });
    let mut filtered = column("count", "___records___");
    filtered["filter"] = query("confidence < 0.6");
    let state = json!({
        "visualization": { "layers": [{ "layerId": "l", "xAccessor": "x", "accessors": ["y", "z", "f"] }] },
        "query": query(""),
        "datasourceStates": { "formBased": { "layers": { "l": {
            "columnOrder": ["x", "y", "z", "f", "fX0", "fX1"],
            "columns": {
                "x": column("date_histogram", "@timestamp"), "y": column("percentile", "latency_ms"), "z": filtered,
                "f": { "operationType": "formula", "dataType": "number", "label": "F", "references": ["fX1"] },
                "fX0": column("count", "___records___"),
                "fX1": { "operationType": "math", "dataType": "number", "label": "F", "references": ["fX0"], "params": { "tinymathAst": "fX0" } },
            },
        } } } },
    });
    let lens = json!({ "title": "L", "description": "", "visualizationType": "lnsXY", "state": state });
    let panels = json!([
        { "panelIndex": "a", "panelRefName": "panel_a", "gridData": { "x": 0, "y": 0, "w": 24, "h": 8, "i": "a" } },
        {
            "panelIndex": "b", "gridData": { "x": 24, "y": 0, "w": 24, "h": 8, "i": "b" },
            "embeddableConfig": { "attributes": lens },
        },
    ]);
    let controls = json!({ "c": { "explicitInput": { "fieldName": "model_version" } } });
    let meta = |source: Value| json!({ "searchSourceJSON": source.to_string() });
    vec![
        object("tag", "t", json!([]), json!({ "name": "t" })),
        object("index-pattern", "inferlog-inference", json!([]), json!({ "title": "logs-*" })),
        object(
            "lens",
            "l",
            json!([to_view("indexpattern-datasource-layer-l"), { "type": "tag", "id": "t", "name": "tag-ref-t" }]),
            lens,
        ),
        object(
            "dashboard",
            "d",
            json!([
                { "type": "lens", "id": "l", "name": "a:panel_a" },
                to_view("b:indexpattern-datasource-layer-l"),
                to_view("controlGroup_c:optionsListDataView"),
            ]),
            json!({
                "title": "D", "panelsJSON": panels.to_string(), "controlGroupInput": { "panelsJSON": controls.to_string() },
                "kibanaSavedObjectMeta": meta(json!({ "query": query("") })),
            }),
        ),
        object(
            "search",
            "s",
            json!([to_view("i")]),
            json!({
                "sort": [["latency_ms", "desc"]],
                "kibanaSavedObjectMeta": meta(json!({ "query": query("latency_ms > 1"), "indexRefName": "i" })),
            }),
        ),
        object("query", "q", json!([]), json!({ "query": query("decision : overridden") })),
    ]
}

/// Changes JSON in a text.
fn within(value: &mut Value, change: impl FnOnce(&mut Value)) {
    let mut content = inner(value);
    change(&mut content);
    *value = Value::from(content.to_string());
}

#[test]
fn each_check_fails_once() {
    type Change = fn(&mut Vec<Value>);
    fn layer(objects: &mut [Value]) -> &mut Value {
        &mut objects[2]["attributes"]["state"]["datasourceStates"]["formBased"]["layers"]["l"]
    }
    let lines = |objects: &[Value]| objects.iter().map(|object| object.to_string() + "\n").collect::<String>();
    assert_eq!(lint(&lines(&sample())), [""; 0], "the sample is right");
    assert!(lint("{\n")[0].starts_with("line 1: no JSON"));
    let cases: [(&str, Change); 29] = [
        ("the type is unknown", |o| o[0]["type"] = json!("map")),
        ("two objects have this id", |o| o.push(o[0].clone())),
        ("coreMigrationVersion is not 8.8.0", |o| o[0]["coreMigrationVersion"] = json!("8.9.0")),
        ("typeMigrationVersion is not 8.9.0", |o| drop(o[2].as_object_mut().unwrap().remove("typeMigrationVersion"))),
        ("the attribute `colour` is unknown", |o| o[0]["attributes"]["colour"] = json!("red")),
        ("index-pattern x is referred to, and not in the file", |o| o[4]["references"][0]["id"] = json!("x")),
        ("two references are called `tag-ref-t`", |o| {
            let tag = o[2]["references"][1].clone();
            o[2]["references"].as_array_mut().unwrap().push(tag);
        }),
        ("nothing speaks of the reference `x`", |o| o[2]["references"][0]["name"] = json!("x")),
        ("nothing speaks of the reference `tag-x`", |o| o[2]["references"][1]["name"] = json!("tag-x")),
        ("the reference `a:panel_a` is missing", |o| drop(o[3]["references"].as_array_mut().unwrap().remove(0))),
        ("the reference `b:indexpattern-datasource-layer-l` is missing", |o| {
            drop(o[3]["references"].as_array_mut().unwrap().remove(1));
        }),
        ("panel `a` has another name in the grid", |o| {
            within(&mut o[3]["attributes"]["panelsJSON"], |panels| panels[0]["gridData"]["i"] = json!("1"));
        }),
        ("panel `b` is not on the grid", |o| {
            within(&mut o[3]["attributes"]["panelsJSON"], |panels| panels[1]["gridData"]["x"] = json!(25));
        }),
        ("panel `b` lies on `a`", |o| {
            within(&mut o[3]["attributes"]["panelsJSON"], |panels| panels[1]["gridData"]["x"] = json!(23));
        }),
        ("no panels", |o| within(&mut o[3]["attributes"]["panelsJSON"], |panels| *panels = json!([]))),
        ("a control is of `version`, which is unknown", |o| {
            within(&mut o[3]["attributes"]["controlGroupInput"]["panelsJSON"], |controls| {
                controls["c"]["explicitInput"]["fieldName"] = json!("version");
            });
        }),
        ("panel b, column y: `percentile` of `status`", |o| {
            within(&mut o[3]["attributes"]["panelsJSON"], |panels| {
                let layers = &mut panels[1]["embeddableConfig"]["attributes"]["state"]["datasourceStates"]["formBased"]
                    ["layers"];
                layers["l"]["columns"]["y"]["sourceField"] = json!("status");
            });
        }),
        ("column y: `percentile` of `latency`, which is unknown", |o| {
            layer(o)["columns"]["y"]["sourceField"] = json!("latency");
        }),
        ("column x: `date_histogram` of `latency_ms`", |o| {
            layer(o)["columns"]["x"]["sourceField"] = json!("latency_ms");
        }),
        ("columnOrder is not its columns", |o| drop(layer(o)["columnOrder"].as_array_mut().unwrap().pop())),
        ("the column `w` is drawn, and not there", |o| {
            o[2]["attributes"]["state"]["visualization"]["layers"][0]["accessors"][0] = json!("w");
        }),
        ("the layer `m` is drawn, and not there", |o| {
            o[2]["attributes"]["state"]["visualization"]["layers"][0]["layerId"] = json!("m");
        }),
        ("a formula without columns of its own", |o| layer(o)["columns"]["f"]["references"] = json!([])),
        ("it needs the column `fX9`, which is not there", |o| {
            layer(o)["columns"]["fX1"]["references"] = json!(["fX9"]);
        }),
        ("a calculation without its tree", |o| layer(o)["columns"]["fX1"]["params"] = json!({})),
        ("it is ordered by `w`, which is not there", |o| {
            layer(o)["columns"]["z"]["params"] = json!({ "orderBy": { "columnId": "w" } });
        }),
        ("`confidence <` is no KQL", |o| layer(o)["columns"]["z"]["filter"]["query"] = json!("confidence <")),
        ("`label : x` asks for `label`, which is unknown", |o| {
            o[2]["attributes"]["state"]["query"]["query"] = json!("label : x");
        }),
        ("a query is not in KQL", |o| o[5]["attributes"]["query"]["language"] = json!("lucene")),
    ];
    for (expected, change) in cases {
        let mut objects = sample();
        change(&mut objects);
        let findings = lint(&lines(&objects));
        assert!(findings.iter().any(|finding| finding.contains(expected)), "`{expected}` is not found: {findings:?}");
    }
}

/// Of an inference in two lines the first one tells no confidence, and is none without one.
#[test]
fn who_asks_for_records_without_a_confidence_leaves_first_halves_of_pairs_out() {
    let mut asked = 0;
    for folder in ["dashboards/kibana", "dashboards/queries"] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        for file in files.filter(|file| file.extension().is_some_and(|end| end == "yaml")) {
            let text = std::fs::read_to_string(&file).unwrap();
            for panel in text.split("\n  - id: ").filter(|panel| panel.contains("not confidence : *")) {
                assert!(panel.contains("not pair.role : first"), "{}: {panel}", file.display());
                asked += 1;
            }
        }
    }
    assert!(asked >= 4, "only {asked} panels and queries were found");
}
