//! Kibana: what do people look at there, and how does it get there?
//!
//! Everything is made from small files that a person reads: `dashboards/kibana` (panels, dashboards, rules), `dashboards/queries`
//! (named queries) and `mappings` (fields of data views). Nothing of it is stored in the binary a second time: the saved objects
//! are made from those sources when they are asked for, and the NDJSON in the tree is held to them by a test.

pub mod data_view;
pub mod fields;

pub mod object;
pub mod rule;
pub mod search;
pub mod source;
pub mod tag;

use serde_json::Value;

use self::object::SavedObject;
use self::source::SourceError;

/// All saved objects, each after those that it needs. `records` names more indices of records, with commas between, for pipelines
/// whose stream has a name of its own.
///
/// # Errors
/// When a source is wrong, which a test would have shown.
pub fn objects(records: Option<&str>) -> Result<Vec<SavedObject>, SourceError> {
    let mut objects = vec![tag::object()];
    objects.extend(data_view::objects(records)?);
    objects.extend(search::objects()?);
    Ok(objects)
}

/// Everything as files, for people who install it by other means: paths relative to the folder of an export, and texts.
///
/// # Errors
/// When a source is wrong, which a test would have shown.
pub fn files(records: Option<&str>) -> Result<Vec<(String, String)>, SourceError> {
    let lines: String = objects(records)?.iter().map(|object| object.to_line() + "\n").collect();
    let mut files = vec![("kibana/inferlog.ndjson".to_owned(), lines)];
    let pretty = |value: &Value| format!("{value:#}\n");
    files.push((format!("kibana/connectors/{}.json", rule::CONNECTOR_ID), pretty(&rule::connector())));
    for rule in rule::all()? {
        files.push((format!("kibana/rules/{}.json", rule.id), pretty(&rule.create_body(false))));
    }
    Ok(files)
}
