//! The data views: one for each kind of documents that inferlog ships, with labels, descriptions and formats of their fields
//! (`dashboards/kibana/fields.yaml`).

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::object::{ObjectKind, SavedObject};
use super::source::{self, SourceError};
use super::tag;

const FIELDS_NAME: &str = "dashboards/kibana/fields.yaml";
const FIELDS: &str = include_str!("../../dashboards/kibana/fields.yaml");

/// A field that Kibana computes in the data view of drift: model and version in one text, which rules group by.
pub const MODEL_FIELD: &str = "model";

/// The text of [`MODEL_FIELD`]. A document may lack either of the two.
const MODEL_SCRIPT: &str = "String model = ''; \
    for (name in ['model_name', 'model_version']) { \
    if (doc.containsKey(name) && doc[name].size() > 0) { model += ' ' + doc[name].value; } } \
    model = model.trim(); if (!model.isEmpty()) { emit(model); }";

/// A data view of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataView {
    /// Records.
    Inference,
    /// Labels and reviews beside their predictions.
    Outcome,
    /// Drift by window, model version and feature.
    Drift,
    /// What pipelines say of themselves.
    Pipeline,
}

impl DataView {
    /// All of them.
    pub const ALL: [DataView; 4] = [DataView::Inference, DataView::Outcome, DataView::Drift, DataView::Pipeline];

    /// The word by which sources name it.
    pub fn as_str(self) -> &'static str {
        match self {
            DataView::Inference => "inference",
            DataView::Outcome => "outcome",
            DataView::Drift => "drift",
            DataView::Pipeline => "pipeline",
        }
    }

    /// Its name in Kibana.
    pub fn title(self) -> &'static str {
        match self {
            DataView::Inference => "inferlog: predictions",
            DataView::Outcome => "inferlog: labels and reviews",
            DataView::Drift => "inferlog: drift",
            DataView::Pipeline => "inferlog: pipelines",
        }
    }

    /// The id of the saved object.
    pub fn id(self) -> &'static str {
        match self {
            DataView::Inference => "inferlog-inference",
            DataView::Outcome => "inferlog-outcome",
            DataView::Drift => "inferlog-drift",
            DataView::Pipeline => "inferlog-pipeline",
        }
    }

    /// The indices that it shows.
    pub fn pattern(self) -> &'static str {
        match self {
            DataView::Inference => "logs-ml.inference-*",
            DataView::Outcome => "logs-ml.outcome-*",
            DataView::Drift => "metrics-ml.drift-*",
            DataView::Pipeline => "metrics-ml.pipeline-*",
        }
    }
}

/// How the values of a field are shown.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    Share,
    Ratio,
    Count,
    Milliseconds,
    Seconds,
    Bytes,
    Date,
    SameInput,
}

impl Format {
    /// As `fieldFormatMap` has it for a field.
    fn to_json(self, field: &str) -> Value {
        let pattern = |id: &str, pattern: &str| json!({ "id": id, "params": { "pattern": pattern } });
        let duration = |input: &str, output: &str| {
            json!({ "id": "duration", "params": {
                "inputFormat": input, "outputFormat": output, "outputPrecision": 1, "showSuffix": true, "useShortSuffix": true,
            } })
        };
        match self {
            Format::Share => pattern("percent", "0.[0]%"),
            Format::Ratio => pattern("number", "0.[0000]"),
            Format::Count => pattern("number", "0,0"),
            Format::Bytes => pattern("bytes", "0,0.[0] b"),
            Format::Date => json!({ "id": "date" }),
            Format::Milliseconds => duration("milliseconds", "asMilliseconds"),
            Format::Seconds => duration("seconds", "humanizePrecise"),
            Format::SameInput => json!({
                "id": "url", "params": { "type": "a", "urlTemplate": same_input_url(field), "labelTemplate": "{{value}}" },
            }),
        }
    }
}

/// Discover with all predictions that have the same value in a field. Kibana puts its own address and the space before it.
fn same_input_url(field: &str) -> String {
    let columns = ["model_version", "prediction", "confidence", "status", "request_id"].join(",");
    format!(
        "../app/discover#/?_g=(time:(from:now-90d,to:now))&_a=(columns:!({columns}),index:{},interval:auto,\
         query:(language:kuery,query:'{field}:%22{{{{value}}}}%22'),sort:!(!('@timestamp',desc)))",
        DataView::Inference.id()
    )
}

/// What Kibana is told of a field.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldNote {
    /// Its name.
    pub field: String,
    /// The data views that have it.
    pub r#in: Vec<DataView>,
    label: Option<String>,
    about: String,
    r#as: Option<Format>,
}

/// What is said of fields.
///
/// # Errors
/// When the source is wrong, which a test would have shown.
pub fn field_notes() -> Result<Vec<FieldNote>, SourceError> {
    source::read(FIELDS_NAME, FIELDS)
}

/// The data views. `records` names more indices of records, with commas between, for pipelines whose stream has a name of its own.
///
/// # Errors
/// When the source is wrong, which a test would have shown.
pub fn objects(records: Option<&str>) -> Result<Vec<SavedObject>, SourceError> {
    let notes = field_notes()?;
    Ok(DataView::ALL.into_iter().map(|view| object(view, &notes, records)).collect())
}

fn object(view: DataView, notes: &[FieldNote], records: Option<&str>) -> SavedObject {
    let pattern = match records.filter(|_| view == DataView::Inference) {
        Some(more) => format!("{},{more}", view.pattern()),
        None => view.pattern().to_owned(),
    };
    let (mut about, mut formats) = (Map::new(), Map::new());
    for note in notes.iter().filter(|note| note.r#in.contains(&view)) {
        let mut attributes = json!({ "customDescription": note.about });
        if let Some(label) = &note.label {
            attributes["customLabel"] = json!(label);
        }
        about.insert(note.field.clone(), attributes);
        if let Some(format) = note.r#as {
            formats.insert(note.field.clone(), format.to_json(&note.field));
        }
    }
    let computed = match view {
        DataView::Drift => json!({ MODEL_FIELD: { "type": "keyword", "script": { "source": MODEL_SCRIPT } } }),
        DataView::Inference | DataView::Outcome | DataView::Pipeline => json!({}),
    };
    SavedObject {
        kind: ObjectKind::DataView,
        id: view.id().to_owned(),
        attributes: json!({
            "title": pattern,
            "name": view.title(),
            "timeFieldName": "@timestamp",
            "fieldAttrs": Value::Object(about).to_string(),
            "fieldFormatMap": Value::Object(formats).to_string(),
            "runtimeFieldMap": computed.to_string(),
            "sourceFilters": "[]",
            "fields": "[]",
        }),
        references: vec![tag::reference()],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::kibana::fields;
    use crate::kql::FieldKind;

    /// The members of a data view's attribute that is JSON in a text.
    fn inner(object: &SavedObject, attribute: &str) -> Value {
        serde_json::from_str(object.attributes[attribute].as_str().unwrap()).unwrap()
    }

    #[test]
    fn what_is_said_of_fields_is_said_once_of_fields_that_are_there_and_fits_their_type() {
        let mut seen = BTreeSet::new();
        for note in field_notes().unwrap() {
            for view in &note.r#in {
                let name = format!("{} in {}", note.field, view.as_str());
                let kind =
                    fields::of(*view).get(&note.field).copied().unwrap_or_else(|| panic!("{name} is not mapped"));
                let wanted = match note.r#as {
                    None => kind,
                    Some(Format::Date) => FieldKind::Date,
                    Some(Format::SameInput) => FieldKind::Keyword,
                    Some(_) => FieldKind::Number,
                };
                assert_eq!(kind, wanted, "{name}");
                assert!(note.about.ends_with('.') && !note.label.as_deref().unwrap_or("x").is_empty(), "{name}");
                assert!(seen.insert(name), "{}: twice", note.field);
            }
        }
        assert!(seen.len() > 90, "{}", seen.len());
    }

    #[test]
    fn data_views_show_their_streams_and_know_their_fields() {
        let views = objects(Some("fraud-*")).unwrap();
        let titles: Vec<_> = views.iter().map(|view| view.attributes["title"].as_str().unwrap()).collect();
        assert_eq!(
            titles,
            ["logs-ml.inference-*,fraud-*", "logs-ml.outcome-*", "metrics-ml.drift-*", "metrics-ml.pipeline-*"]
        );
        let [inference, _, drift, _] = views.as_slice() else { panic!("{views:?}") };
        assert_eq!(inner(inference, "fieldAttrs")["latency_ms"]["customLabel"], "Latency");
        let formats = inner(inference, "fieldFormatMap");
        assert_eq!(formats["confidence"], json!({ "id": "percent", "params": { "pattern": "0.[0]%" } }));
        for field in ["input_hash", "input_hmac", "subject_hmac"] {
            let url = formats[field]["params"]["urlTemplate"].as_str().unwrap();
            let query = format!("query:'{field}:%22{{{{value}}}}%22'");
            assert!(url.starts_with("../app/discover#/?_g=(") && url.contains(&query), "{url}");
        }
        assert!(inner(drift, "runtimeFieldMap")["model"]["script"]["source"].as_str().unwrap().contains("emit(model)"));
        assert_eq!(inner(inference, "runtimeFieldMap"), json!({}));
    }
}
