//! What Kibana takes, and what it would import and then not draw.

use std::collections::BTreeSet;

use super::*;

fn objects_of(dashboard: &Dashboard) -> (Vec<SavedObject>, SavedObject) {
    dashboard.objects().unwrap_or_else(|error| panic!("{error}"))
}

fn dashboards() -> Vec<Dashboard> {
    all().unwrap_or_else(|error| panic!("{error}"))
}

/// The strings of a list.
fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn json_in(value: &Value) -> Value {
    serde_json::from_str(value.as_str().unwrap()).unwrap()
}

#[test]
fn every_file_of_the_folder_is_carried() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/dashboards/kibana");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    // What is said of fields, and the rules, are there, too.
    let is_dashboard = |path: &std::path::PathBuf| {
        path.extension().is_some_and(|end| end == "yaml")
            && std::fs::read_to_string(path).unwrap().contains("\npanels:\n")
    };
    let names = files.filter(is_dashboard).map(|path| path.file_stem().unwrap().to_string_lossy().into_owned());
    let carried: BTreeSet<String> = CARRIED.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names.collect::<BTreeSet<_>>(), carried);
}

#[test]
fn every_dashboard_says_how_to_read_it_and_has_controls_for_version_and_label() {
    for dashboard in dashboards() {
        let (lenses, object) = objects_of(&dashboard);
        let (name, source) = (&dashboard.name, &dashboard.source);
        let PanelContent::Markdown(first) = &source.panels[0].content else { panic!("{name}: no text on top") };
        for other in dashboards() {
            let link = format!("(#/view/inferlog-dashboard-{})", other.name);
            assert_eq!(first.content.contains(&link), other.name != *name, "{name}: links to the others");
        }
        let fields: Vec<&str> = source.pinned_panels.iter().map(|control| &*control.field_name).collect();
        assert!(fields.contains(&"model_version"), "{name}: {fields:?}");
        assert!(fields.contains(&"prediction") || fields.contains(&"label"), "{name}: {fields:?}");
        for control in &source.pinned_panels {
            let known = super::super::fields::of(control.data_view.unwrap_or(source.data_view));
            assert!(known.contains_key(&control.field_name), "{name}: {}", control.field_name);
        }
        let controls = json_in(&object.attributes["controlGroupInput"]["panelsJSON"]);
        assert_eq!(controls.as_object().unwrap().len(), fields.len());
        assert!(lenses.len() >= 10, "{name}: {} visualisations", lenses.len());
        let drilldowns = object.references.iter().filter(|reference| reference.name.contains(":drilldown:"));
        assert!(name == "pipeline" || drilldowns.count() > 0, "{name} leads nowhere");
    }
}

#[test]
fn panels_refer_to_what_they_show_by_the_names_that_kibana_expects() {
    for dashboard in dashboards() {
        let (lenses, object) = objects_of(&dashboard);
        let panels = json_in(&object.attributes["panelsJSON"]);
        let mut expected = BTreeSet::from(["tag-ref-inferlog".to_owned()]);
        for panel in panels.as_array().unwrap() {
            let id = panel["panelIndex"].as_str().unwrap();
            assert_eq!(panel["gridData"]["i"], id);
            if panel["type"] != "visualization" {
                assert_eq!(panel["panelRefName"], format!("panel_{id}"));
                expected.insert(format!("{id}:panel_{id}"));
            }
            for event in
                panel["embeddableConfig"]["enhancements"]["dynamicActions"]["events"].as_array().into_iter().flatten()
            {
                let factory = event["action"]["factoryId"].as_str().unwrap();
                assert!(
                    ["DASHBOARD_TO_DASHBOARD_DRILLDOWN", "OPEN_IN_DISCOVER_DRILLDOWN"].contains(&factory),
                    "{factory} costs"
                );
                if factory == "DASHBOARD_TO_DASHBOARD_DRILLDOWN" {
                    expected
                        .insert(format!("{id}:drilldown:{factory}:{}:dashboardId", event["eventId"].as_str().unwrap()));
                }
            }
        }
        for id in json_in(&object.attributes["controlGroupInput"]["panelsJSON"]).as_object().unwrap().keys() {
            expected.insert(format!("controlGroup_{id}:optionsListDataView"));
        }
        let names: BTreeSet<String> = object.references.iter().map(|reference| reference.name.clone()).collect();
        assert_eq!(names, expected, "{}", dashboard.name);
        let of_kind = |kind| object.references.iter().filter(move |reference| reference.kind == kind);
        let shown: BTreeSet<&String> = of_kind(ObjectKind::Lens).map(|reference| &reference.id).collect();
        assert_eq!(shown, lenses.iter().map(|lens| &lens.id).collect(), "every Lens is shown");
        let known: BTreeSet<String> = CARRIED.iter().map(|(name, _)| dashboard_id(name)).collect();
        assert!(of_kind(ObjectKind::Dashboard).all(|reference| known.contains(&reference.id)), "{}", dashboard.name);
    }
}

#[test]
fn a_lens_has_the_columns_that_it_draws_and_the_parts_of_its_formulas() {
    let mut formulas = 0;
    for lens in dashboards().iter().flat_map(|dashboard| objects_of(dashboard).0) {
        let state = &lens.attributes["state"];
        let layers = state["datasourceStates"]["formBased"]["layers"].as_object().unwrap();
        let references: BTreeSet<String> = lens.references.iter().map(|reference| reference.name.clone()).collect();
        let expected: BTreeSet<String> =
            layers.keys().map(|id| format!("indexpattern-datasource-layer-{id}")).collect();
        assert_eq!(references, expected, "{}", lens.id);
        let mut all = BTreeSet::new();
        for (id, layer) in layers {
            let columns = layer["columns"].as_object().unwrap();
            let order = texts(&layer["columnOrder"]);
            assert_eq!(order.len(), columns.len(), "{}: {id}", lens.id);
            let bucketed: Vec<bool> = order.iter().map(|id| columns[*id]["isBucketed"] == true).collect();
            assert!(bucketed.is_sorted_by(|one, next| one >= next), "{}: buckets come first", lens.id);
            for (id, column) in columns {
                assert!(all.insert(id.clone()), "{}: {id} is there twice", lens.id);
                if column["operationType"] == "formula" {
                    formulas += 1;
                    has_its_parts(id, column, columns);
                }
            }
        }
        let mut drawn = BTreeSet::new();
        accessors(&state["visualization"], &mut drawn);
        assert!(!drawn.is_empty() && drawn.is_subset(&all), "{}: {drawn:?}", lens.id);
        let made_of: BTreeSet<String> = all.iter().filter(|id| id.contains('X')).cloned().collect();
        assert_eq!(&all - &made_of, drawn, "{}: every column is drawn", lens.id);
    }
    assert!(formulas >= 5, "only {formulas}: does the test still see them?");
}

/// Whether a formula's columns are there, each referred to by the next.
fn has_its_parts(id: &str, formula: &Value, columns: &Map<String, Value>) {
    let [last] = texts(&formula["references"])[..] else { panic!("{id}: {formula}") };
    let parts: Vec<&String> = columns.keys().filter(|other| other.starts_with(&format!("{id}X"))).collect();
    assert_eq!(*last, format!("{id}X{}", parts.len() - 1));
    let math = &columns[last];
    if math["operationType"] == "math" {
        let mut named = BTreeSet::new();
        leaves(&math["params"]["tinymathAst"], &mut named);
        let references: BTreeSet<String> = texts(&math["references"]).into_iter().map(str::to_owned).collect();
        assert_eq!(named, references);
        assert_eq!(references.len(), parts.len() - 1);
    }
}

fn leaves(node: &Value, found: &mut BTreeSet<String>) {
    match node {
        Value::String(id) => {
            found.insert(id.clone());
        }
        Value::Object(node) => node["args"].as_array().unwrap().iter().for_each(|node| leaves(node, found)),
        _ => {}
    }
}

/// The columns that a visualisation names.
fn accessors(node: &Value, found: &mut BTreeSet<String>) {
    match node {
        Value::Object(members) => {
            for (name, value) in members {
                match (name.as_str(), value) {
                    ("accessors", Value::Array(ids)) => {
                        found.extend(ids.iter().map(|id| id.as_str().unwrap().to_owned()));
                    }
                    (name, Value::String(id)) if name.ends_with("Accessor") || name == "columnId" => {
                        found.insert(id.clone());
                    }
                    (_, value) => accessors(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| accessors(item, found)),
        _ => {}
    }
}

/// A dashboard of one panel, whose config is given.
fn with_panel(config: &str) -> Result<(Vec<SavedObject>, SavedObject), SourceError> {
    let text = format!(
        "title: t\ndescription: d\ndata_view: inference\ntime_range: {{ from: now-1d, to: now }}\npinned_panels: []\n\
         panels:\n  - {{ id: p, type: vis, grid: {{ x: 0, y: 0, w: 48, h: 5 }}, config: {{ title: t, description: d, {config} }} }}\n"
    );
    Dashboard::read("test", &text)?.objects()
}

#[test]
fn what_kibana_would_import_and_not_draw_is_refused() {
    let metric = |members: &str| format!("type: metric, metrics: [{{ label: l, {members} }}]");
    assert!(with_panel(&metric("operation: count")).is_ok());
    for (config, problem) in [
        (metric("operation: sum"), "`sum` does not go with"),
        (metric("operation: sum, field: nowhere"), "the data view has no field `nowhere`"),
        (metric("operation: sum, field: model_name"), "`sum` does not go with"),
        (metric("operation: max, field: status"), "`max` does not go with"),
        (metric("operation: count, field: status"), "`count` does not go with"),
        (metric("operation: percentile, field: latency_ms"), "`percentile` does not go with"),
        (metric("operation: average, field: latency_ms, percentile: 5"), "`average` does not go with"),
        (metric("operation: total"), "unknown variant `total`"),
        (metric("operation: count, colour: red"), "unknown field `colour`"),
        (metric("operation: count, filter: \"status =\""), "is not KQL"),
        (metric("operation: count, filter: \"state : x\""), "the data view has no field `state`"),
        (metric("operation: formula, formula: sum(nowhere)"), "the data view has no field `nowhere`"),
        (metric("operation: formula, formula: count("), "in the formula `count(`"),
        (metric("operation: formula, formula: last_value(status)"), "cannot have the last value"),
        (metric("operation: formula"), "lacks its `formula`"),
        (metric("operation: count, formula: count()"), "has a formula, and is none"),
        (metric("operation: formula, formula: count(), filter: x"), "fields and filters stand in it"),
        ("type: metric, metrics: []".to_owned(), "invalid length 0"),
        (
            format!("query: \"status : x\", ignore_global_filters: true, {}", metric("operation: count")),
            "Kibana would ignore",
        ),
        (format!("colour: red, {}", metric("operation: count")), "unknown field `colour`"),
        ("type: gauge".to_owned(), "unknown variant `gauge`"),
        (rows("operation: terms, fields: [features]"), "the data view has no field `features`"),
        (
            rows("operation: terms, fields: [status], rank_by: { type: metric, metric_index: 1, direction: asc }"),
            "cannot be ranked",
        ),
        (rows("operation: range, field: status, ranges: []"), "has no ranges"),
        (rows("operation: filters, filters: [{ filter: \"a and\", label: x }]"), "is not KQL"),
    ] {
        let said = with_panel(&config).map(|_| ()).unwrap_err().to_string();
        assert!(said.contains(problem), "{config}: {said}");
    }
}

/// A table with these rows; its second metric is a formula.
fn rows(row: &str) -> String {
    let row = if row.contains("terms") { format!("{row}, limit: 5") } else { row.to_owned() };
    let metrics = "{ operation: count, label: n }, { operation: formula, formula: count() / 2, label: h }";
    format!("type: data_table, rows: [{{ label: r, {row} }}], metrics: [{metrics}]")
}

#[test]
fn panels_lie_on_the_grid_and_not_on_each_other() {
    let panel = |id: &str, x: u32, w: u32| Panel {
        id: id.to_owned(),
        grid: Grid { x, y: 0, w, h: 2 },
        content: PanelContent::Markdown(source::Markdown { content: String::new() }),
    };
    for (panels, problem) in [
        (vec![panel("a", 0, 24), panel("b", 24, 24)], ""),
        (vec![panel("a", 0, 24), panel("b", 23, 24)], "`b` lies on `a`"),
        (vec![panel("a", 24, 25)], "`a` is not within the 48 columns"),
        (vec![panel("a", 24, 0)], "`a` is not within the 48 columns"),
        (vec![panel("a", 0, 24), panel("a", 24, 24)], "two panels are called `a`"),
    ] {
        let said = lies_well(&panels).err().unwrap_or_default();
        assert!(said.contains(problem) && said.is_empty() == problem.is_empty(), "{said}");
    }
}

/// What the API knows of an operation beside its name, as its schema has it; it refuses the rest.
const OPERATIONS: [(&str, &str); 15] = [
    ("count", METRIC),
    ("sum", METRIC),
    ("average", METRIC),
    ("median", METRIC),
    ("min", METRIC),
    ("max", METRIC),
    ("unique_count", METRIC),
    ("percentile", "percentile operation field label format filter color width apply_color_to type"),
    ("last_value", "time_field multi_value operation field label format filter color width apply_color_to type"),
    ("formula", "formula operation label format color width apply_color_to type"),
    ("static_value", "operation value label axis stroke_width stroke_dash text color"),
    ("date_histogram", "operation field include_empty_rows"),
    ("terms", "operation fields limit rank_by label other_bucket width aggregate_first"),
    ("range", "operation field ranges label"),
    ("filters", "operation filters label aggregate_first"),
];
const METRIC: &str = "operation field label format filter color width apply_color_to type";

/// The same of the objects that are told by their type.
const TYPES: [(&str, &str); 16] = [
    ("xy", "type layers legend axis styling title description query time_range drilldowns"),
    (
        "metric",
        "type hide_title metrics data_source ignore_global_filters title description query time_range drilldowns",
    ),
    (
        "data_table",
        "type rows metrics styling data_source ignore_global_filters title description query time_range drilldowns",
    ),
    (
        "heatmap",
        "type x y metric legend data_source ignore_global_filters title description query time_range drilldowns",
    ),
    ("line", LAYER),
    ("bar", LAYER),
    ("bar_stacked", LAYER),
    ("area_percentage", LAYER),
    ("reference_lines", "type thresholds data_source ignore_global_filters"),
    ("data_view_reference", "type ref_id"),
    ("dashboard_drilldown", "type dashboard_id label trigger use_filters use_time_range open_in_new_tab"),
    ("discover_drilldown", "type label trigger open_in_new_tab"),
    ("options_list_control", "type width grow config"),
    ("vis", PANEL),
    ("markdown", PANEL),
    ("discover_session", PANEL),
];
const LAYER: &str = "type x y breakdown_by data_source ignore_global_filters";
const PANEL: &str = "id type grid config";

/// Fails at a member that the API would refuse.
fn is_known_to_the_api(node: &Value, seen: &mut BTreeSet<String>) {
    match node {
        Value::Array(items) => items.iter().for_each(|item| is_known_to_the_api(item, seen)),
        Value::Object(members) => {
            let named = |table: &[(&str, &'static str)], member: &str| {
                let name = members.get(member).and_then(Value::as_str)?;
                table.iter().find(|(known, _)| *known == name).map(|(_, members)| (name.to_owned(), *members))
            };
            if let Some((name, known)) = named(&OPERATIONS, "operation").or_else(|| named(&TYPES, "type")) {
                let known: Vec<&str> = known.split(' ').collect();
                // What ranks by a count names an operation, too.
                let is_ranking = members.contains_key("direction");
                assert!(is_ranking || members.keys().all(|member| known.contains(&&**member)), "{name}: {node}");
                seen.insert(name);
            }
            members.values().for_each(|member| is_known_to_the_api(member, seen));
        }
        _ => {}
    }
}

#[test]
fn the_dashboards_api_knows_all_that_it_is_given() {
    let mut seen = BTreeSet::new();
    for dashboard in dashboards() {
        let body = api::body(&dashboard.source);
        assert_eq!(body["panels"].as_array().unwrap().len(), dashboard.source.panels.len());
        assert_eq!(body["pinned_panels"].as_array().unwrap().len(), dashboard.source.pinned_panels.len());
        is_known_to_the_api(&body, &mut seen);
    }
    let known: BTreeSet<String> = OPERATIONS.iter().chain(&TYPES).map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(seen, known, "everything that is known is used");
}

#[test]
fn a_panel_for_the_api_says_the_same_in_full() {
    let text = "title: t\ndescription: d\ndata_view: drift\ntime_range: { from: now-1d, to: now }\npinned_panels: []\n\
                panels:\n  - { id: p, type: vis, grid: { x: 0, y: 0, w: 8, h: 6 }, config: { type: metric, title: t, description: d, \
                query: \"psi : *\", metrics: [{ operation: last_value, field: psi, label: PSI, filter: \"alarm : true\", \
                format: { type: number, decimals: 3 }, thresholds: { warning: 0.1, critical: 0.2 } }] } }\n";
    let dashboard = Dashboard::read("test", text).unwrap();
    let expected = json!({
        "id": "p", "type": "vis", "grid": { "x": 0, "y": 0, "w": 8, "h": 6 },
        "config": {
            "type": "metric", "title": "t", "description": "d", "hide_title": true, "ignore_global_filters": false,
            "data_source": { "type": "data_view_reference", "ref_id": "inferlog-drift" },
            "query": { "expression": "psi : *" },
            "metrics": [{
                "type": "primary", "operation": "last_value", "field": "psi", "label": "PSI", "time_field": "@timestamp",
                "multi_value": true, "filter": { "expression": "alarm : true" }, "format": { "type": "number", "decimals": 3 },
                "color": { "type": "dynamic", "range": "absolute", "steps": [
                    { "lt": 0.1, "color": "#209280" }, { "gte": 0.1, "lt": 0.2, "color": "#d6bf57" }, { "gte": 0.2, "color": "#cc5642" },
                ] },
            }],
        },
    });
    assert_eq!(api::body(&dashboard.source)["panels"][0], expected);
}
