//! Kibana: what do people look at there, and how does it get there?
//!
//! Everything is made from small files that a person reads: `dashboards/kibana` (panels, dashboards, rules), `dashboards/queries`
//! (named queries) and `mappings` (fields of data views). Nothing of it is stored in the binary a second time: the saved objects
//! are made from those sources when they are asked for, and the NDJSON in the tree is held to them by a test.

pub mod data_view;
pub mod fields;
pub mod object;
pub mod search;
pub mod source;
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
    Ok(objects)
}
