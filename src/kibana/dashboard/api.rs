//! A dashboard as Kibana's Dashboards API takes it: the body of `PUT /api/dashboards/<id>`, generally available from 9.5 on.
//!
//! The API refuses what it does not know, where an import takes it. It has the panels themselves and no Lens objects; data views,
//! searches and tags are referred to by their ids, and must be there.

use serde_json::{Map, Value, json};

use super::dimension::{Bucket, ColorThresholds, Filter, Format, Metric, Operation, RED, Range, RankBy, Terms};
use super::source::{
    Chart, Control, DashboardSource, DataLayer, Drilldown, Grid, Legend, Panel, PanelContent, ReferenceLines, Series,
    Threshold, TimeRange, Vis, Xy, XyLayer, dashboard_id,
};
use crate::kibana::data_view::DataView;
use crate::kibana::tag;

/// The version of Kibana's HTTP API that this is of: the value of the header `elastic-api-version`.
pub const API_VERSION: &str = "2023-10-31";

/// The field of time.
const TIME: &str = "@timestamp";

/// The body of the request that puts the dashboard there.
pub fn body(dashboard: &DashboardSource) -> Value {
    let DashboardSource { title, description, data_view, time_range, pinned_panels, panels } = dashboard;
    let control = |control: &Control| {
        let view = control.data_view.unwrap_or(*data_view).id();
        let config = json!({ "title": control.title, "data_view_id": view, "field_name": control.field_name });
        json!({ "type": "options_list_control", "width": "medium", "grow": true, "config": config })
    };
    json!({
        "title": title, "description": description, "tags": [tag::NAME], "time_range": range(time_range),
        "refresh_interval": { "pause": true, "value": 60_000 },
        "options": { "sync_colors": true, "sync_cursor": true },
        "pinned_panels": pinned_panels.iter().map(control).collect::<Vec<_>>(),
        "panels": panels.iter().map(|one| panel(one, *data_view)).collect::<Vec<_>>(),
    })
}

fn range(TimeRange { from, to }: &TimeRange) -> Value {
    json!({ "from": from, "to": to })
}

fn panel(panel: &Panel, view: DataView) -> Value {
    let Panel { id, grid: Grid { x, y, w, h }, content } = panel;
    let (kind, config) = match content {
        PanelContent::Markdown(text) => ("markdown", json!({ "content": text.content, "hide_title": true })),
        PanelContent::DiscoverSession(session) => {
            let search = format!("inferlog-search-{}", session.query_name);
            ("discover_session", json!({ "ref_id": search, "title": session.title }))
        }
        PanelContent::Vis(one) => ("vis", vis(one, one.head.data_view.unwrap_or(view))),
    };
    json!({ "id": id, "type": kind, "grid": { "x": x, "y": y, "w": w, "h": h }, "config": config })
}

fn vis(vis: &Vis, view: DataView) -> Value {
    let head = &vis.head;
    let (ignores, source) = (head.ignore_global_filters, source(view));
    let own = match &vis.chart {
        Chart::Xy(one) => xy(one, &source, ignores),
        Chart::Metric(one) => {
            let mut metric = metric(&one.metrics[0]);
            metric["type"] = json!("primary");
            json!({ "type": "metric", "hide_title": true, "metrics": [metric] })
        }
        Chart::DataTable(table) => {
            let sort_by = table
                .sort_by
                .map(|by| json!({ "column_type": "metric", "index": by.metric, "direction": by.direction.as_str() }));
            let mut styling = json!({ "paging": 10 });
            set(&mut styling, "sort_by", sort_by);
            let rows: Vec<Value> = table.rows.iter().map(row).collect();
            let metrics: Vec<Value> = table.metrics.iter().map(table_metric).collect();
            json!({ "type": "data_table", "rows": rows, "metrics": metrics, "styling": styling })
        }
        Chart::Heatmap(one) => json!({
            "type": "heatmap", "x": bucket(&one.x), "y": bucket(&one.y), "metric": metric(&one.metric),
            "legend": { "visibility": "visible", "position": "right" },
        }),
    };
    let mut config = own;
    if !matches!(vis.chart, Chart::Xy(_)) {
        config["data_source"] = source;
        config["ignore_global_filters"] = json!(ignores);
    }
    config["title"] = json!(head.title);
    config["description"] = json!(head.description);
    set(&mut config, "query", head.query.as_deref().map(filter));
    set(&mut config, "time_range", head.time_range.as_ref().map(range));
    if !head.drilldowns.is_empty() {
        config["drilldowns"] = head.drilldowns.iter().map(drilldown).collect();
    }
    config
}

fn set(value: &mut Value, name: &str, member: Option<Value>) {
    if let Some(member) = member {
        value[name] = member;
    }
}

fn source(view: DataView) -> Value {
    json!({ "type": "data_view_reference", "ref_id": view.id() })
}

fn filter(kql: &str) -> Value {
    json!({ "expression": kql })
}

fn drilldown(drilldown: &Drilldown) -> Value {
    match drilldown {
        Drilldown::DashboardDrilldown { dashboard, label } => json!({
            "type": "dashboard_drilldown", "dashboard_id": dashboard_id(dashboard), "label": label,
            "trigger": "on_apply_filter", "use_filters": true, "use_time_range": true, "open_in_new_tab": false,
        }),
        Drilldown::DiscoverDrilldown { label } => json!({
            "type": "discover_drilldown", "label": label, "trigger": "on_apply_filter", "open_in_new_tab": true,
        }),
    }
}

fn xy(xy: &Xy, source: &Value, ignores: bool) -> Value {
    let layer = |layer: &XyLayer| {
        let mut layer = match layer {
            XyLayer::Data(data) => data_layer(data),
            XyLayer::ReferenceLines(lines) => reference_lines(lines),
        };
        layer["data_source"] = source.clone();
        layer["ignore_global_filters"] = json!(ignores);
        layer
    };
    let mut axis = Map::new();
    if let Some(title) = &xy.axis.y.title {
        axis.insert("title".to_owned(), json!({ "text": title, "visible": true }));
    }
    if let Some(domain) = xy.axis.y.domain {
        axis.insert("domain".to_owned(), json!({ "type": "custom", "min": domain.min, "max": domain.max }));
    }
    json!({
        "type": "xy", "layers": xy.layers.iter().map(layer).collect::<Vec<_>>(),
        "legend": match xy.legend {
            Legend::Right => json!({ "visibility": "visible", "placement": "outside", "position": "right" }),
            Legend::Bottom => json!({ "visibility": "visible", "placement": "outside", "position": "bottom" }),
            Legend::Hidden => json!({ "visibility": "hidden" }),
        },
        "axis": { "x": { "title": { "visible": false } }, "y": axis },
        "styling": { "fitting": { "type": "linear", "emphasize": true } },
    })
}

fn data_layer(data: &DataLayer) -> Value {
    let kind = match data.series {
        Series::Line => "line",
        Series::Bar => "bar",
        Series::BarStacked => "bar_stacked",
        Series::BarPercentage => "bar_percentage",
        Series::AreaPercentage => "area_percentage",
        Series::BarHorizontal => "bar_horizontal",
        Series::BarHorizontalStacked => "bar_horizontal_stacked",
    };
    let y: Vec<Value> = data.y.iter().map(metric).collect();
    let mut layer = json!({ "type": kind, "x": bucket(&data.x), "y": y });
    if let Some(breakdown) = &data.breakdown_by {
        layer["breakdown_by"] = bucket(breakdown);
        // The values that are most over the whole time, and not in each of its steps.
        layer["breakdown_by"]["aggregate_first"] = json!(matches!(breakdown, Bucket::Terms(_)));
    }
    layer
}

fn reference_lines(lines: &ReferenceLines) -> Value {
    let line = |line: &Threshold| {
        json!({
            "operation": "static_value", "value": line.value, "label": line.label, "axis": "y", "stroke_width": 2,
            "stroke_dash": "dashed", "text": { "visible": true }, "color": { "type": "static", "color": RED },
        })
    };
    json!({ "type": "reference_lines", "thresholds": lines.thresholds.iter().map(line).collect::<Vec<_>>() })
}

fn metric(metric: &Metric) -> Value {
    let mut value = json!({ "operation": metric.operation.as_str(), "label": metric.label });
    set(&mut value, "field", metric.field.as_ref().map(|field| json!(field)));
    set(&mut value, "percentile", metric.percentile.map(|percentile| json!(percentile)));
    set(&mut value, "formula", metric.formula.as_ref().map(|formula| json!(formula)));
    set(&mut value, "filter", metric.filter.as_deref().map(filter));
    set(&mut value, "format", metric.format.as_ref().map(format));
    set(&mut value, "color", metric.thresholds.map(steps));
    if metric.operation == Operation::LastValue {
        value["time_field"] = json!(TIME);
        value["multi_value"] = json!(true);
    }
    value
}

fn format(Format { kind, decimals, suffix, compact }: &Format) -> Value {
    let mut value = json!({ "type": kind.as_str(), "decimals": decimals });
    set(&mut value, "suffix", suffix.as_ref().map(|suffix| json!(suffix)));
    if *compact {
        value["compact"] = json!(true);
    }
    value
}

fn steps(thresholds: ColorThresholds) -> Value {
    let (colors, [low, high]) = thresholds.colors();
    json!({ "type": "dynamic", "range": "absolute", "steps": [
        { "lt": low, "color": colors[0] }, { "gte": low, "lt": high, "color": colors[1] }, { "gte": high, "color": colors[2] },
    ] })
}

fn table_metric(one: &Metric) -> Value {
    let mut column = metric(one);
    set(&mut column, "width", one.width.map(|width| json!(width)));
    if one.thresholds.is_some() {
        column["apply_color_to"] = json!("background");
    }
    column
}

fn row(one: &Bucket) -> Value {
    let mut row = bucket(one);
    if let Bucket::Terms(Terms { width: Some(width), .. }) = one {
        row["width"] = json!(width);
    }
    row
}

fn bucket(bucket: &Bucket) -> Value {
    match bucket {
        Bucket::DateHistogram(_) => json!({ "operation": "date_histogram", "field": TIME, "include_empty_rows": true }),
        Bucket::Terms(terms) => {
            let rank_by = match terms.rank_by {
                RankBy::Count => json!({ "type": "custom", "operation": "count", "direction": "desc" }),
                RankBy::Alphabetical { direction } => {
                    json!({ "type": "alphabetical", "direction": direction.as_str() })
                }
                RankBy::Metric { metric_index, direction } => {
                    json!({ "type": "metric", "metric_index": metric_index, "direction": direction.as_str() })
                }
            };
            let mut value = json!({
                "operation": "terms", "fields": terms.fields, "limit": terms.limit, "rank_by": rank_by, "label": terms.label,
            });
            let other = terms
                .other_bucket
                .map(|other| json!({ "include_documents_without_field": other.include_documents_without_field }));
            set(&mut value, "other_bucket", other);
            value
        }
        Bucket::Range(ranges) => {
            let range = |range: &Range| {
                let mut value = json!({ "label": range.label });
                set(&mut value, "gt", range.gt.map(|bound| json!(bound)));
                set(&mut value, "lte", range.lte.map(|bound| json!(bound)));
                value
            };
            let list: Vec<Value> = ranges.ranges.iter().map(range).collect();
            json!({ "operation": "range", "field": ranges.field, "ranges": list, "label": ranges.label })
        }
        Bucket::Filters(filters) => {
            let one = |one: &Filter| json!({ "filter": filter(&one.filter), "label": one.label });
            let list: Vec<Value> = filters.filters.iter().map(one).collect();
            json!({ "operation": "filters", "filters": list, "label": filters.label })
        }
    }
}
