//! Exports: objects and rules as files, for those whose Kibana is managed by others.
//!
//! ```text
//! kibana/inferlog.ndjson             Stack Management > Saved Objects > Import, or POST /api/saved_objects/_import
//! kibana/dashboards/ID.json          the body of PUT /api/dashboards/ID, from Kibana 9.5 on, in place of an imported dashboard
//! kibana/connectors/UUID.json        the body of POST /api/actions/connector/UUID
//! kibana/rules/UUID.json             … POST /api/alerting/rule/UUID, for rules that do not run
//! ```
//!
//! Objects and rules carry their markers, by which a file tells whether it is still as it was exported; a dashboard for the API is
//! compared as a whole.

use serde_json::Value;

use super::dashboard::source::dashboard_id;
use super::dashboard::{self, api};
use super::import::marker::Marker;
use super::import::{objects, rules};
use super::rule;
use super::source::SourceError;

/// The folder in an export.
pub const FOLDER: &str = "kibana/";

/// Everything as files: paths below the folder of an export, and texts. `records` is as for [`super::objects`].
///
/// # Errors
/// When a source is wrong, which a test would have shown.
pub fn files(records: Option<&str>) -> Result<Vec<(String, String)>, SourceError> {
    let lines: String =
        super::objects(records)?.iter().map(|object| objects::marked(object, None).to_line() + "\n").collect();
    let pretty = |value: &Value| format!("{value:#}\n");
    let mut files = vec![
        (format!("{FOLDER}inferlog.ndjson"), lines),
        (format!("{FOLDER}connectors/{}.json", rule::CONNECTOR_ID), pretty(&rule::connector())),
    ];
    for dashboard in dashboard::all()? {
        let body = api::body(&dashboard.source);
        files.push((format!("{FOLDER}dashboards/{}.json", dashboard_id(&dashboard.name)), pretty(&body)));
    }
    for rule in rule::all()? {
        files.push((
            format!("{FOLDER}rules/{}.json", rule.id),
            pretty(&rules::tagged(rule.create_body(false), None, rule::CONNECTOR_ID)),
        ));
    }
    Ok(files)
}

/// Whether a file that is there was exported, and nobody has changed it since.
pub fn is_as_exported(path: &str, content: &str) -> bool {
    let is_marked = |value: &Value| match path.strip_prefix(FOLDER).and_then(|path| path.split('/').next()) {
        Some("rules") => Marker::of_tags(&value["tags"])
            .is_some_and(|marker| marker.ours == rules::digest_of(value, rule::CONNECTOR_ID)),
        Some("connectors") => *value == rule::connector(),
        Some("dashboards") => {
            dashboard::all().is_ok_and(|all| all.iter().any(|dashboard| api::body(&dashboard.source) == *value))
        }
        _ => objects::is_as_marked(value),
    };
    let mut values = serde_json::Deserializer::from_str(content).into_iter::<Value>().peekable();
    values.peek().is_some() && values.all(|value| value.is_ok_and(|value| is_marked(&value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_tells_whether_somebody_has_changed_it() {
        let files = files(None).unwrap();
        assert_eq!(files.len(), 2 + dashboard::all().unwrap().len() + rule::all().unwrap().len());
        for (path, content) in &files {
            assert!(is_as_exported(path, content), "{path}");
            let word = if path.ends_with(".ndjson") { "latency_ms > 1000" } else { "inferlog: " };
            assert!(content.contains(word), "{path}: no `{word}` to change");
            assert!(!is_as_exported(path, &content.replacen(word, "mine", 1)), "{path} was changed");
            assert!(
                !is_as_exported(path, "") && !is_as_exported(path, "{}") && !is_as_exported(path, "text"),
                "{path}"
            );
        }
    }
}
