//! The dashboards: from the files of `dashboards/kibana` to the saved objects that Kibana imports.
//!
//! Each visualisation is a Lens object of its own, by reference; texts are panels by value, because a text has no better home.
//! What Kibana would import and then not draw is an error here: fields that are not mapped, conditions that are not KQL, formulas
//! that Lens would not read, panels that lie on each other.

pub mod api;
mod columns;
pub mod dimension;
mod formula;
mod lens;
pub mod source;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use self::source::{Control, DashboardSource, Drilldown, Grid, Panel, PanelContent, TimeRange, Vis, dashboard_id};
use super::data_view::DataView;
use super::object::{ObjectKind, Reference, SavedObject};
use super::source::{SourceError, read};
use super::tag;

macro_rules! carried {
    ($($name:literal),* $(,)?) => {
        /// Name and text of each dashboard, in the order in which they are looked at.
        const CARRIED: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../../dashboards/kibana/", $name, ".yaml")))),*];
    };
}

carried!("model-health", "compliance", "drift-and-accuracy", "pipeline");

/// Columns of a dashboard's grid.
const GRID_COLUMNS: u32 = 48;

/// What panels say of where they were made; a newer Kibana migrates them.
const PANEL_VERSION: &str = "8.12.0";

/// A dashboard with its name.
#[derive(Clone, Debug)]
pub struct Dashboard {
    /// The name of its file.
    pub name: String,
    /// What the file says.
    pub source: DashboardSource,
}

/// The dashboards that the binary carries.
///
/// # Errors
/// When one of them is wrong.
pub fn all() -> Result<Vec<Dashboard>, SourceError> {
    CARRIED.iter().map(|(name, text)| Dashboard::read(name, text)).collect()
}

/// The saved objects of all dashboards: first the Lens objects, then what shows them.
///
/// # Errors
/// When a source is wrong.
pub fn objects() -> Result<Vec<SavedObject>, SourceError> {
    let (mut shown, mut showing) = (Vec::new(), Vec::new());
    for dashboard in all()? {
        let (lenses, object) = dashboard.objects()?;
        shown.extend(lenses);
        showing.push(object);
    }
    shown.extend(showing);
    Ok(shown)
}

impl Dashboard {
    /// Reads a source.
    ///
    /// # Errors
    /// When it is wrong in itself.
    pub fn read(name: &str, text: &str) -> Result<Dashboard, SourceError> {
        let path = format!("dashboards/kibana/{name}.yaml");
        let source: DashboardSource = read(&path, text)?;
        lies_well(&source.panels).map_err(|problem| SourceError::new(&path, problem))?;
        Ok(Dashboard { name: name.to_owned(), source })
    }

    /// Its Lens objects, and the dashboard itself.
    ///
    /// # Errors
    /// When a panel does not fit the data views.
    pub fn objects(&self) -> Result<(Vec<SavedObject>, SavedObject), SourceError> {
        let mut lenses = Vec::new();
        for panel in &self.source.panels {
            if let PanelContent::Vis(vis) = &panel.content {
                let view = vis.head.data_view.unwrap_or(self.source.data_view);
                let lens = lens::object(&self.lens_id(panel), view, vis).map_err(|problem| {
                    let path = format!("dashboards/kibana/{}.yaml", self.name);
                    SourceError::new(&path, format!("panel `{}`: {problem}", panel.id))
                })?;
                lenses.push(lens);
            }
        }
        Ok((lenses, self.object()))
    }

    fn lens_id(&self, panel: &Panel) -> String {
        format!("inferlog-lens-{}-{}", self.name, panel.id)
    }

    fn object(&self) -> SavedObject {
        let DashboardSource { title, description, time_range, data_view, pinned_panels, panels } = &self.source;
        let mut references = vec![tag::reference()];
        let controls = controls(pinned_panels, *data_view, &mut references);
        let panels: Vec<Value> = panels.iter().map(|panel| self.panel(panel, &mut references)).collect();
        let nothing = json!({ "query": { "query": "", "language": "kuery" }, "filter": [] });
        let options = json!({
            "useMargins": true, "syncColors": true, "syncCursor": true, "syncTooltips": false, "hidePanelTitles": false,
        });
        let attributes = json!({
            "title": title, "description": description,
            "kibanaSavedObjectMeta": { "searchSourceJSON": nothing.to_string() },
            "timeRestore": true, "timeFrom": time_range.from, "timeTo": time_range.to,
            "refreshInterval": { "pause": true, "value": 60_000 },
            "controlGroupInput": controls, "panelsJSON": Value::Array(panels).to_string(), "optionsJSON": options.to_string(),
        });
        SavedObject { kind: ObjectKind::Dashboard, id: dashboard_id(&self.name), attributes, references }
    }

    fn panel(&self, panel: &Panel, references: &mut Vec<Reference>) -> Value {
        let Panel { id, grid: Grid { x, y, w, h }, content } = panel;
        let grid = json!({ "x": x, "y": y, "w": w, "h": h, "i": id });
        let mut refer = |kind: ObjectKind, target: String| {
            references.push(Reference { name: format!("{id}:panel_{id}"), kind, id: target });
        };
        let (kind, config, title) = match content {
            PanelContent::Markdown(text) => ("visualization", markdown(&text.content), None),
            PanelContent::DiscoverSession(session) => {
                refer(ObjectKind::Search, format!("inferlog-search-{}", session.query_name));
                ("search", json!({ "enhancements": {} }), Some(&session.title))
            }
            PanelContent::Vis(vis) => {
                refer(ObjectKind::Lens, self.lens_id(panel));
                ("lens", embeddable(id, vis, references), None)
            }
        };
        let mut state = json!({
            "version": PANEL_VERSION, "type": kind, "gridData": grid, "panelIndex": id, "embeddableConfig": config,
        });
        if kind != "visualization" {
            state["panelRefName"] = json!(format!("panel_{id}"));
        }
        if let Some(title) = title {
            state["title"] = json!(title);
        }
        state
    }
}

/// What a dashboard says of a Lens that it shows.
fn embeddable(panel: &str, vis: &Vis, references: &mut Vec<Reference>) -> Value {
    let events: Vec<Value> = vis
        .head
        .drilldowns
        .iter()
        .enumerate()
        .map(|(place, drilldown)| {
            let event = format!("{panel}-drilldown-{place}");
            json!({ "eventId": event, "triggers": ["FILTER_TRIGGER"], "action": action(panel, &event, drilldown, references) })
        })
        .collect();
    let enhancements = if events.is_empty() { json!({}) } else { json!({ "dynamicActions": { "events": events } }) };
    // A number says itself what it is of.
    let hides_title = matches!(vis.chart, source::Chart::Metric(_));
    let mut config = json!({ "enhancements": enhancements, "hidePanelTitles": hides_title });
    if let Some(TimeRange { from, to }) = &vis.head.time_range {
        config["timeRange"] = json!({ "from": from, "to": to });
    }
    config
}

fn action(panel: &str, event: &str, drilldown: &Drilldown, references: &mut Vec<Reference>) -> Value {
    match drilldown {
        Drilldown::DashboardDrilldown { dashboard, label } => {
            const FACTORY: &str = "DASHBOARD_TO_DASHBOARD_DRILLDOWN";
            let name = format!("{panel}:drilldown:{FACTORY}:{event}:dashboardId");
            references.push(Reference { name, kind: ObjectKind::Dashboard, id: dashboard_id(dashboard) });
            let config = json!({ "useCurrentFilters": true, "useCurrentDateRange": true, "openInNewTab": false });
            json!({ "factoryId": FACTORY, "name": label, "config": config })
        }
        Drilldown::DiscoverDrilldown { label } => {
            json!({ "factoryId": "OPEN_IN_DISCOVER_DRILLDOWN", "name": label, "config": { "openInNewTab": true } })
        }
    }
}

fn markdown(content: &str) -> Value {
    json!({
        "enhancements": {}, "hidePanelTitles": true,
        "savedVis": {
            "id": "", "title": "", "description": "", "type": "markdown", "uiState": {},
            "params": { "fontSize": 12, "openLinksInNewTab": false, "markdown": content },
            "data": { "aggs": [], "searchSource": { "query": { "query": "", "language": "kuery" }, "filter": [] } },
        },
    })
}

fn controls(controls: &[Control], view: DataView, references: &mut Vec<Reference>) -> Value {
    let mut panels = Map::new();
    for (order, Control { field_name, title, data_view }) in controls.iter().enumerate() {
        let id = format!("control-{}", field_name.replace(['.', '_'], "-"));
        let input = json!({
            "id": id, "fieldName": field_name, "title": title, "selectedOptions": [], "enhancements": {},
        });
        references.push(Reference {
            name: format!("controlGroup_{id}:optionsListDataView"),
            kind: ObjectKind::DataView,
            id: data_view.unwrap_or(view).id().to_owned(),
        });
        let panel = json!({
            "type": "optionsListControl", "order": order, "grow": true, "width": "medium", "explicitInput": input,
        });
        panels.insert(id, panel);
    }
    let nothing =
        json!({ "ignoreFilters": false, "ignoreQuery": false, "ignoreTimerange": false, "ignoreValidations": false });
    json!({
        "controlStyle": "oneLine", "chainingSystem": "HIERARCHICAL", "ignoreParentSettingsJSON": nothing.to_string(),
        "panelsJSON": Value::Object(panels).to_string(),
    })
}

/// Whether all panels are on the grid, none on another, each with a name of its own.
fn lies_well(panels: &[Panel]) -> Result<(), String> {
    let mut taken: BTreeMap<(u32, u32), &str> = BTreeMap::new();
    for (place, Panel { id, grid: Grid { x, y, w, h }, .. }) in panels.iter().enumerate() {
        if panels[..place].iter().any(|other| other.id == *id) {
            return Err(format!("two panels are called `{id}`"));
        }
        if *w == 0 || *h == 0 || x + w > GRID_COLUMNS {
            return Err(format!("panel `{id}` is not within the {GRID_COLUMNS} columns"));
        }
        for cell in (*x..x + w).flat_map(|column| (*y..y + h).map(move |row| (column, row))) {
            if let Some(other) = taken.insert(cell, id) {
                return Err(format!("panel `{id}` lies on `{other}`"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
