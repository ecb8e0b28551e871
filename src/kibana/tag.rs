//! The tag that all objects of ours carry: by it people find them, and take them away again.

use serde_json::json;

use super::object::{ObjectKind, Reference, SavedObject};

/// Its name and id.
pub const NAME: &str = "inferlog";

/// The tag.
pub fn object() -> SavedObject {
    let description = "Installed by `inferlog setup`";
    SavedObject {
        kind: ObjectKind::Tag,
        id: NAME.to_owned(),
        attributes: json!({ "name": NAME, "description": description, "color": "#0077cc" }),
        references: Vec::new(),
    }
}

/// By it another object carries the tag.
pub fn reference() -> Reference {
    Reference { name: format!("tag-ref-{NAME}"), kind: ObjectKind::Tag, id: NAME.to_owned() }
}
