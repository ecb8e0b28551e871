//! The source of a dashboard: a file of `dashboards/kibana`, in a subset of the words of Kibana's Dashboards API.
//!
//! ```yaml
//! title: "inferlog: Model health"
//! description: …
//! data_view: inference                       # of all panels that name none
//! time_range: { from: now-24h, to: now }
//! pinned_panels:                             # the controls above the panels
//!   - { field_name: model_version, title: Model version }
//! panels:
//!   - id: requests                           # the Lens is `inferlog-lens-<file>-<id>`
//!     type: vis                              # or markdown, or discover_session
//!     grid: { x: 0, y: 6, w: 24, h: 10 }     # of 48 columns
//!     config:
//!       type: xy                             # or metric, data_table, heatmap
//!       title: Requests
//!       query: "stage : primary"             # KQL, as every filter
//!       layers:
//!         - type: bar_stacked
//!           x: { operation: date_histogram }
//!           y: [{ operation: count, label: Requests }]
//!           breakdown_by: { operation: terms, fields: [model_version], limit: 10, label: Model version }
//! ```
//!
//! Where it is shorter than the API: a data view is named by a word, a filter is its KQL, `date_histogram` is of `@timestamp`, and
//! `thresholds: { warning: 0.5, critical: 1 }` stands for three colours by value.

use serde::Deserialize;
use serde_json::Value;

use super::dimension::{Bucket, Direction, Metric};
use crate::kibana::data_view::DataView;

/// A dashboard.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DashboardSource {
    /// Its title.
    pub title: String,
    /// What it answers, in a sentence.
    pub description: String,
    /// The data view of all panels and controls that name none.
    pub data_view: DataView,
    /// What it shows when it is opened.
    pub time_range: TimeRange,
    /// The controls above the panels.
    pub pinned_panels: Vec<Control>,
    /// The panels.
    pub panels: Vec<Panel>,
}

/// A range of time, in Kibana's words: `now-24h`, `now`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeRange {
    /// When it begins.
    pub from: String,
    /// When it ends.
    pub to: String,
}

/// A list of a field's values, of which one or more can be chosen.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// The field.
    pub field_name: String,
    /// What stands above the list.
    pub title: String,
    /// Where its values are looked up.
    pub data_view: Option<DataView>,
}

/// Where a panel is, in rows and in columns of 48.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// Its left column.
    pub x: u32,
    /// Its upper row.
    pub y: u32,
    /// Its width.
    pub w: u32,
    /// Its height.
    pub h: u32,
}

/// A panel.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "PanelText")]
pub struct Panel {
    /// Its name within the dashboard.
    pub id: String,
    /// Where it is.
    pub grid: Grid,
    /// What it shows.
    pub content: PanelContent,
}

/// What a panel shows.
#[derive(Clone, Debug)]
pub enum PanelContent {
    /// A text.
    Markdown(Markdown),
    /// A saved search.
    DiscoverSession(DiscoverSession),
    /// A visualisation.
    Vis(Box<Vis>),
}

/// A text.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Markdown {
    /// In Markdown.
    pub content: String,
}

/// The documents that a named query finds (`dashboards/queries`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscoverSession {
    /// The title of the panel.
    pub title: String,
    /// The query's name.
    pub query_name: String,
}

/// A visualisation.
#[derive(Clone, Debug)]
pub struct Vis {
    /// What all have.
    pub head: VisHead,
    /// What is drawn.
    pub chart: Chart,
}

/// What all visualisations have.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisHead {
    /// The title.
    pub title: String,
    /// How to read it.
    pub description: String,
    /// Of which documents it is, unless those of the dashboard.
    pub data_view: Option<DataView>,
    /// Of which of them, in KQL.
    pub query: Option<String>,
    /// Whether it is the same whatever is chosen above. Kibana leaves out `query`, too, so only filters of metrics can be used.
    #[serde(default)]
    pub ignore_global_filters: bool,
    /// The range of time, unless that of the dashboard.
    pub time_range: Option<TimeRange>,
    /// Where a click on a value leads.
    #[serde(default)]
    pub drilldowns: Vec<Drilldown>,
}

/// The members of a visualisation that belong to [`VisHead`].
const HEAD: [&str; 7] =
    ["title", "description", "data_view", "query", "ignore_global_filters", "time_range", "drilldowns"];

/// Where a click on a value leads. Those that the free licence has: one to a URL is not among them.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Drilldown {
    /// To another dashboard, with the value as a filter.
    DashboardDrilldown {
        /// The name of its file.
        dashboard: String,
        /// What the menu says.
        label: String,
    },
    /// To the documents behind the value.
    DiscoverDrilldown {
        /// What the menu says.
        label: String,
    },
}

/// What is drawn.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Chart {
    /// Lines, areas or bars.
    Xy(Xy),
    /// One number.
    Metric(MetricChart),
    /// A table.
    DataTable(DataTable),
    /// Cells coloured by their value.
    Heatmap(Heatmap),
}

/// Lines, areas or bars.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Xy {
    /// What lies on each other.
    pub layers: Vec<XyLayer>,
    /// The axes.
    #[serde(default)]
    pub axis: Axes,
    /// Where the legend is.
    #[serde(default)]
    pub legend: Legend,
}

/// One of the layers of lines, areas or bars.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Value")]
pub enum XyLayer {
    /// Of documents.
    Data(DataLayer),
    /// Lines at fixed heights.
    ReferenceLines(ReferenceLines),
}

/// A layer of documents.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataLayer {
    /// How it is drawn.
    #[serde(rename = "type")]
    pub series: Series,
    /// What is told apart from left to right.
    pub x: Bucket,
    /// How high each is.
    pub y: Vec<Metric>,
    /// What is told apart by colour.
    pub breakdown_by: Option<Bucket>,
}

/// Lines at fixed heights.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceLines {
    /// Always `reference_lines`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The lines.
    pub thresholds: Vec<Threshold>,
}

/// A line at a fixed height.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// Its height.
    pub value: f64,
    /// What stands at the line.
    pub label: String,
}

/// How a layer is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Series {
    /// Lines.
    Line,
    /// Bars beside each other.
    Bar,
    /// Bars on each other.
    BarStacked,
    /// Bars on each other, as shares.
    BarPercentage,
    /// Areas on each other, as shares.
    AreaPercentage,
    /// Bars from left to right.
    BarHorizontal,
    /// Bars from left to right, one behind the other.
    BarHorizontalStacked,
}

/// The axes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axes {
    /// The upright one.
    #[serde(default)]
    pub y: Axis,
}

/// An axis.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// What stands beside it.
    pub title: Option<String>,
    /// What it shows, unless all that there is.
    pub domain: Option<Domain>,
}

/// What an axis shows.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    /// From where.
    pub min: f64,
    /// Up to where.
    pub max: f64,
}

/// Where the legend is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Legend {
    /// On the right.
    #[default]
    Right,
    /// Below.
    Bottom,
    /// Nowhere.
    Hidden,
}

/// One number.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricChart {
    /// The number, as a list of one as in the API.
    pub metrics: [Metric; 1],
}

/// A table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataTable {
    /// What each row is of.
    pub rows: Vec<Bucket>,
    /// What is told of it.
    pub metrics: Vec<Metric>,
    /// The order of the rows, unless that of the first row's values.
    pub sort_by: Option<SortBy>,
}

/// The order of a table's rows.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SortBy {
    /// The place of the metric that decides, from 0.
    pub metric: usize,
    /// Which end comes first.
    pub direction: Direction,
}

/// Cells coloured by their value.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heatmap {
    /// What is told apart from left to right.
    pub x: Bucket,
    /// What is told apart from bottom to top.
    pub y: Bucket,
    /// What the colour says.
    pub metric: Metric,
}

/// The id of the dashboard whose file has this name.
pub fn dashboard_id(name: &str) -> String {
    format!("inferlog-dashboard-{name}")
}

/// A panel as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PanelText {
    id: String,
    #[serde(rename = "type")]
    kind: PanelKind,
    grid: Grid,
    config: Value,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PanelKind {
    Markdown,
    DiscoverSession,
    Vis,
}

impl TryFrom<PanelText> for Panel {
    type Error = String;

    fn try_from(text: PanelText) -> Result<Panel, String> {
        let PanelText { id, kind, grid, config } = text;
        let content = match kind {
            PanelKind::Markdown => serde_json::from_value(config).map(PanelContent::Markdown),
            PanelKind::DiscoverSession => serde_json::from_value(config).map(PanelContent::DiscoverSession),
            PanelKind::Vis => vis(config).map(|vis| PanelContent::Vis(Box::new(vis))),
        };
        let content = content.map_err(|error| format!("panel `{id}`: {error}"))?;
        Ok(Panel { id, grid, content })
    }
}

fn vis(mut config: Value) -> serde_json::Result<Vis> {
    let mut head = serde_json::Map::new();
    if let Some(members) = config.as_object_mut() {
        head = HEAD.into_iter().filter_map(|name| members.remove_entry(name)).collect();
    }
    Ok(Vis { head: serde_json::from_value(Value::Object(head))?, chart: serde_json::from_value(config)? })
}

impl TryFrom<Value> for XyLayer {
    type Error = serde_json::Error;

    fn try_from(layer: Value) -> serde_json::Result<XyLayer> {
        if layer["type"] == "reference_lines" {
            serde_json::from_value(layer).map(XyLayer::ReferenceLines)
        } else {
            serde_json::from_value(layer).map(XyLayer::Data)
        }
    }
}
