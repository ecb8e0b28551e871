//! Kibana: what do people look at there, and how does it get there?
//!
//! Everything is made from small files that a person reads: `dashboards/kibana` (panels, dashboards, rules), `dashboards/queries`
//! (named queries) and `mappings` (fields of data views). Nothing of it is stored in the binary a second time: the saved objects
//! are made from those sources when they are asked for, and the NDJSON in the tree is held to them by a test.

pub mod dashboard;
pub mod data_view;
pub mod export;
pub mod fields;
pub mod import;
pub mod object;
pub mod rule;
pub mod search;
pub mod source;
pub mod space;
pub mod tag;

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
    objects.extend(dashboard::objects()?);
    Ok(objects)
}

/// All saved objects as the file that Kibana imports: `dashboards/kibana/inferlog.ndjson`.
///
/// # Errors
/// When a source is wrong, which a test would have shown.
pub fn ndjson(records: Option<&str>) -> Result<String, SourceError> {
    Ok(objects(records)?.iter().map(|object| format!("{}\n", object.to_line())).collect())
}

#[cfg(test)]
mod tests {
    /// Set, the file is written and not looked at.
    const WRITE: &str = "INFERLOG_WRITE_GENERATED";

    #[test]
    fn the_file_in_the_tree_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/dashboards/kibana/inferlog.ndjson");
        let made = super::ndjson(None).unwrap_or_else(|error| panic!("{error}"));
        if std::env::var_os(WRITE).is_some() {
            std::fs::write(path, &made).unwrap();
        }
        let there = std::fs::read_to_string(path).unwrap_or_default();
        let differs = made.lines().zip(there.lines()).position(|(made, there)| made != there);
        let how = format!("{WRITE}=1 cargo test --lib kibana::");
        assert!(made == there, "inferlog.ndjson is not made from its sources (line {differs:?}); write it anew: {how}");
    }
}
