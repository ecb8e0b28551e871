//! The Lens of a panel: its source as the saved object that Lens itself would write, at the level of Kibana 8.12.
//!
//! A Lens has layers, each with its columns (what is asked of Elasticsearch) and its part of the visualisation (how it is drawn).
//! Column ids begin with their layer's id, so that they are unique in the Lens, as Lens' own are.

use serde_json::{Map, Value, json};

use super::columns::{self, Columns};
use super::dimension::{Bucket, ColorThresholds, Metric, RED};
use super::source::{Axes, Chart, DataLayer, DataTable, Heatmap, Legend, ReferenceLines, Series, Vis, Xy, XyLayer};
use crate::kibana::data_view::DataView;
use crate::kibana::fields::{self, Fields};
use crate::kibana::object::{ObjectKind, Reference, SavedObject};

/// The Lens of a visualisation, under this id.
///
/// # Errors
/// Says what does not fit.
pub(super) fn object(id: &str, view: DataView, vis: &Vis) -> Result<SavedObject, String> {
    let fields = fields::of(view);
    let head = &vis.head;
    let Drawing { kind, visualization, layers } = match &vis.chart {
        Chart::Xy(xy) => draw_xy(&fields, xy)?,
        Chart::Metric(metric) => draw_metric(&fields, &metric.metrics[0])?,
        Chart::DataTable(table) => draw_table(&fields, table)?,
        Chart::Heatmap(heatmap) => draw_heatmap(&fields, heatmap)?,
    };
    let query = match &head.query {
        Some(_) if head.ignore_global_filters => return Err("Kibana would ignore its `query`, too".to_owned()),
        Some(query) => columns::kql(&fields, query)?,
        None => json!({ "language": "kuery", "query": "" }),
    };
    let references = layers.iter().map(|layer| Reference {
        name: format!("indexpattern-datasource-layer-{}", layer.id),
        kind: ObjectKind::DataView,
        id: view.id().to_owned(),
    });
    let references = references.collect();
    let layers: Map<String, Value> =
        layers.into_iter().map(|layer| (layer.id.clone(), layer.state(head.ignore_global_filters))).collect();
    let attributes = json!({
        "title": head.title, "description": head.description, "visualizationType": kind,
        "state": {
            "visualization": visualization, "query": query, "filters": [], "internalReferences": [], "adHocDataViews": {},
            "datasourceStates": { "formBased": { "layers": layers } },
        },
    });
    Ok(SavedObject { kind: ObjectKind::Lens, id: id.to_owned(), attributes, references })
}

/// How something is drawn, and of what.
struct Drawing {
    kind: &'static str,
    visualization: Value,
    layers: Vec<Layer>,
}

/// A layer: what is asked of Elasticsearch.
struct Layer {
    id: String,
    columns: Columns,
}

impl Layer {
    fn state(self, ignore_global_filters: bool) -> Value {
        let order: Vec<&String> = self.columns.iter().map(|(id, _)| id).collect();
        let order = json!(order);
        json!({
            "columnOrder": order, "columns": self.columns.into_iter().collect::<Map<_, _>>(), "incompleteColumns": {},
            "sampling": 1, "ignoreGlobalFilters": ignore_global_filters,
        })
    }
}

/// Metrics with the ids of their columns.
fn with_ids<'m>(layer: &str, name: &str, metrics: &'m [Metric]) -> Vec<(String, &'m Metric)> {
    metrics.iter().enumerate().map(|(place, metric)| (format!("{layer}_{name}{place}"), metric)).collect()
}

/// The columns of metrics.
fn metric_columns(fields: &Fields, metrics: &[(String, &Metric)]) -> Result<Columns, String> {
    let columns: Vec<Columns> =
        metrics.iter().map(|(id, metric)| columns::metric(fields, id, metric)).collect::<Result<_, _>>()?;
    Ok(columns.into_iter().flatten().collect())
}

fn draw_xy(fields: &Fields, xy: &Xy) -> Result<Drawing, String> {
    let (mut layers, mut drawn) = (Vec::new(), Vec::new());
    let mut preferred = Series::Line;
    for (place, layer) in xy.layers.iter().enumerate() {
        let id = format!("l{}", place + 1);
        let (columns, visualization) = match layer {
            XyLayer::Data(data) => {
                preferred = if place == 0 { data.series } else { preferred };
                data_layer(fields, &id, data)?
            }
            XyLayer::ReferenceLines(lines) => reference_lines(&id, lines),
        };
        layers.push(Layer { id, columns });
        drawn.push(visualization);
    }
    let everywhere = json!({ "x": true, "yLeft": true, "yRight": true });
    let mut visualization = json!({
        "legend": legend(xy.legend), "valueLabels": "hide", "fittingFunction": "Linear", "emphasizeFitting": true,
        "axisTitlesVisibilitySettings": { "x": false, "yLeft": xy.axis.y.title.is_some(), "yRight": true },
        "tickLabelsVisibilitySettings": everywhere, "gridlinesVisibilitySettings": everywhere,
        "labelsOrientation": { "x": 0, "yLeft": 0, "yRight": 0 },
        "preferredSeriesType": series_type(preferred), "layers": drawn,
    });
    set_axis(&mut visualization, &xy.axis);
    Ok(Drawing { kind: "lnsXY", visualization, layers })
}

fn set_axis(visualization: &mut Value, axis: &Axes) {
    if let Some(title) = &axis.y.title {
        visualization["yTitle"] = json!(title);
    }
    if let Some(domain) = axis.y.domain {
        visualization["yLeftExtent"] = json!({ "mode": "custom", "lowerBound": domain.min, "upperBound": domain.max });
    }
}

fn legend(legend: Legend) -> Value {
    match legend {
        Legend::Right => json!({ "isVisible": true, "position": "right" }),
        Legend::Bottom => json!({ "isVisible": true, "position": "bottom" }),
        Legend::Hidden => json!({ "isVisible": false, "position": "right" }),
    }
}

fn series_type(series: Series) -> &'static str {
    match series {
        Series::Line => "line",
        Series::Bar => "bar",
        Series::BarStacked => "bar_stacked",
        Series::BarPercentage => "bar_percentage_stacked",
        Series::AreaPercentage => "area_percentage_stacked",
        Series::BarHorizontal => "bar_horizontal",
        Series::BarHorizontalStacked => "bar_horizontal_stacked",
    }
}

fn data_layer(fields: &Fields, layer: &str, data: &DataLayer) -> Result<(Columns, Value), String> {
    let metrics = with_ids(layer, "y", &data.y);
    let (x, split) = (format!("{layer}_x"), format!("{layer}_breakdown"));
    let mut buckets = vec![(x.clone(), columns::bucket(fields, &data.x, &metrics)?)];
    if let Some(breakdown) = &data.breakdown_by {
        let column = (split.clone(), columns::bucket(fields, breakdown, &metrics)?);
        // The values that are most over the whole time, and not in each of its steps.
        let place = if matches!(breakdown, Bucket::Terms(_)) { 0 } else { 1 };
        buckets.insert(place, column);
    }
    let accessors: Vec<&String> = metrics.iter().map(|(id, _)| id).collect();
    let mut visualization = json!({
        "layerId": layer, "layerType": "data", "seriesType": series_type(data.series), "position": "top",
        "showGridlines": false, "xAccessor": x, "accessors": accessors,
    });
    if data.breakdown_by.is_some() {
        visualization["splitAccessor"] = json!(split);
    }
    buckets.extend(metric_columns(fields, &metrics)?);
    Ok((buckets, visualization))
}

fn reference_lines(layer: &str, lines: &ReferenceLines) -> (Columns, Value) {
    let (mut columns, mut drawn) = (Columns::new(), Vec::new());
    for (place, threshold) in lines.thresholds.iter().enumerate() {
        let id = format!("{layer}_threshold{place}");
        drawn.push(json!({
            "forAccessor": id, "axisMode": "left", "color": RED, "lineWidth": 2, "lineStyle": "dashed", "fill": "none",
            "iconPosition": "auto", "textVisibility": true,
        }));
        let column = json!({
            "label": threshold.label, "customLabel": true, "dataType": "number", "operationType": "static_value",
            "isStaticValue": true, "isBucketed": false, "scale": "ratio", "references": [],
            "params": { "value": threshold.value.to_string() },
        });
        columns.push((id, column));
    }
    let accessors: Vec<&String> = columns.iter().map(|(id, _)| id).collect();
    let visualization =
        json!({ "layerId": layer, "layerType": "referenceLine", "accessors": accessors, "yConfig": drawn });
    (columns, visualization)
}

fn draw_metric(fields: &Fields, metric: &Metric) -> Result<Drawing, String> {
    let (layer, id) = ("l1", "l1_metric0");
    let mut visualization = json!({ "layerId": layer, "layerType": "data", "metricAccessor": id, "showBar": false });
    if let Some(thresholds) = metric.thresholds {
        visualization["palette"] = palette(thresholds);
    }
    let columns = columns::metric(fields, id, metric)?;
    Ok(Drawing { kind: "lnsMetric", visualization, layers: vec![Layer { id: layer.to_owned(), columns }] })
}

/// Green, yellow and red by value.
fn palette(thresholds: ColorThresholds) -> Value {
    let (colors, [low, high]) = thresholds.colors();
    let step = |color: &str, stop: Option<f64>| json!({ "color": color, "stop": stop });
    // Where a colour ends; what the last one says is of no account, as it goes on.
    let stops = [step(colors[0], Some(low)), step(colors[1], Some(high)), step(colors[2], Some(high + (high - low)))];
    let color_stops = [step(colors[0], None), step(colors[1], Some(low)), step(colors[2], Some(high))];
    json!({
        "type": "palette", "name": "custom",
        "params": {
            "name": "custom", "steps": 3, "maxSteps": 5, "reverse": false, "progression": "fixed", "continuity": "all",
            "rangeType": "number", "rangeMin": null, "rangeMax": null, "stops": stops, "colorStops": color_stops,
        },
    })
}

fn draw_table(fields: &Fields, table: &DataTable) -> Result<Drawing, String> {
    let layer = "l1";
    let metrics = with_ids(layer, "metric", &table.metrics);
    let (mut columns, mut drawn) = (Columns::new(), Vec::new());
    for (place, row) in table.rows.iter().enumerate() {
        let id = format!("{layer}_row{place}");
        let width = if let Bucket::Terms(terms) = row { terms.width } else { None };
        drawn.push(table_column(&id, width, false));
        columns.push((id, columns::bucket(fields, row, &metrics)?));
    }
    for (id, metric) in &metrics {
        let mut column = table_column(id, metric.width, true);
        if let Some(thresholds) = metric.thresholds {
            column["colorMode"] = json!("cell");
            column["palette"] = palette(thresholds);
        }
        drawn.push(column);
    }
    let mut visualization = json!({
        "layerId": layer, "layerType": "data", "columns": drawn, "paging": { "enabled": true, "size": 10 },
        "rowHeight": "auto", "headerRowHeight": "auto",
    });
    if let Some(sort_by) = table.sort_by {
        let (id, _) = metrics.get(sort_by.metric).ok_or("`sort_by` names no metric")?;
        visualization["sorting"] = json!({ "columnId": id, "direction": sort_by.direction.as_str() });
    }
    columns.extend(metric_columns(fields, &metrics)?);
    Ok(Drawing { kind: "lnsDatatable", visualization, layers: vec![Layer { id: layer.to_owned(), columns }] })
}

fn table_column(id: &str, width: Option<u32>, is_metric: bool) -> Value {
    let mut column = json!({ "columnId": id, "isTransposed": false, "isMetric": is_metric });
    if let Some(width) = width {
        column["width"] = json!(width);
    }
    column
}

fn draw_heatmap(fields: &Fields, heatmap: &Heatmap) -> Result<Drawing, String> {
    let layer = "l1";
    let metrics = with_ids(layer, "value", std::slice::from_ref(&heatmap.metric));
    let (x, y) = (format!("{layer}_x"), format!("{layer}_y"));
    let mut columns = vec![
        (x.clone(), columns::bucket(fields, &heatmap.x, &metrics)?),
        (y.clone(), columns::bucket(fields, &heatmap.y, &metrics)?),
    ];
    columns.extend(metric_columns(fields, &metrics)?);
    let visualization = json!({
        "shape": "heatmap", "layerId": layer, "layerType": "data",
        "xAccessor": x, "yAccessor": y, "valueAccessor": metrics[0].0,
        "legend": { "type": "heatmap_legend", "isVisible": true, "position": "right" },
        "gridConfig": {
            "type": "heatmap_grid", "isCellLabelVisible": false, "isXAxisLabelVisible": true, "isYAxisLabelVisible": true,
            "isXAxisTitleVisible": false, "isYAxisTitleVisible": true,
        },
    });
    Ok(Drawing { kind: "lnsHeatmap", visualization, layers: vec![Layer { id: layer.to_owned(), columns }] })
}
