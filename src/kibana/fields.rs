//! The fields of a data view and how their values are compared, from the mappings that `setup` installs.
//!
//! Fields that are mapped when a record first has them (`features.amount`) are not here: they are known to a cluster only.

use std::collections::BTreeMap;

use serde_json::Value;

use super::data_view::DataView;
use crate::kql::FieldKind;
use crate::kql::dsl::FieldType;

/// The fields of a data view by name.
pub type Fields = BTreeMap<String, FieldKind>;

/// The mapping of the documents that a data view shows.
fn mapping(view: DataView) -> &'static str {
    match view {
        DataView::Inference => include_str!("../../mappings/component_templates/inferlog-inference-mappings.json"),
        DataView::Outcome => include_str!("../../mappings/component_templates/inferlog-outcome-mappings.json"),
        DataView::Drift => include_str!("../../mappings/component_templates/inferlog-drift-mappings.json"),
        DataView::Pipeline => include_str!("../../mappings/component_templates/inferlog-pipeline-mappings.json"),
    }
}

/// The fields of a data view. Those of types that are not compared, and objects that are kept without being looked at, are left
/// out.
///
/// # Panics
/// When a mapping of ours is no JSON, which a test would have shown.
pub fn of(view: DataView) -> Fields {
    let mapping: Value = serde_json::from_str(mapping(view)).expect("BUG: a mapping of ours is JSON");
    let mut fields = Fields::new();
    collect(&mapping["template"]["mappings"]["properties"], "", &mut fields);
    fields
}

fn collect(properties: &Value, prefix: &str, fields: &mut Fields) {
    for (name, property) in properties.as_object().into_iter().flatten() {
        let path = format!("{prefix}{name}");
        let below = format!("{path}.");
        collect(&property["properties"], &below, fields);
        collect(&property["fields"], &below, fields);
        if let Some(kind) = property["type"].as_str().and_then(|name| FieldType::named(name, None).kind) {
            fields.insert(path, kind);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_the_kinds_of_their_mappings() {
        for (view, field, kind) in [
            (DataView::Inference, "@timestamp", Some(FieldKind::Date)),
            (DataView::Inference, "confidence", Some(FieldKind::Number)),
            (DataView::Inference, "host.name", Some(FieldKind::Keyword)),
            (DataView::Inference, "low_confidence", Some(FieldKind::Boolean)),
            (DataView::Outcome, "label.number", Some(FieldKind::Number)),
            (DataView::Outcome, "host.name", Some(FieldKind::Keyword)),
            (DataView::Drift, "window.end", Some(FieldKind::Date)),
            (DataView::Pipeline, "account.lines", Some(FieldKind::Number)),
            // Kept, and not looked at.
            (DataView::Pipeline, "account.files", None),
            (DataView::Pipeline, "account", None),
        ] {
            assert_eq!(of(view).get(field).copied(), kind, "{view:?} {field}");
        }
    }
}
