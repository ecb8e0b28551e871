//! The saved object: one line of an NDJSON file that Kibana imports.
//!
//! ```text
//! {"type":"lens","id":"inferlog-…","coreMigrationVersion":"8.8.0","typeMigrationVersion":"8.9.0",
//!  "references":[{"type":"index-pattern","id":"inferlog-inference","name":"indexpattern-datasource-layer-l1"}],"attributes":{…}}
//! ```
//!
//! Both versions are those of Kibana 8.12, the oldest one that is written for: a newer Kibana migrates an older object upward, an
//! older one refuses a newer object, and one without versions goes through all migrations since 7.x.

use serde_json::{Value, json};

/// What all objects of Kibana 8.12 were migrated to.
const CORE_VERSION: &str = "8.8.0";

/// What a saved object is to Kibana.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectKind {
    /// A data view: which indices, which fields, and how they are shown.
    DataView,
    /// A visualisation.
    Lens,
    /// A dashboard.
    Dashboard,
    /// A search of Discover, with its columns.
    Search,
    /// A query of the search bar.
    Query,
    /// A tag.
    Tag,
}

impl ObjectKind {
    /// All of them.
    pub const ALL: [ObjectKind; 6] = [
        ObjectKind::DataView,
        ObjectKind::Lens,
        ObjectKind::Dashboard,
        ObjectKind::Search,
        ObjectKind::Query,
        ObjectKind::Tag,
    ];

    /// Its name in Kibana's own words.
    pub fn as_str(self) -> &'static str {
        match self {
            ObjectKind::DataView => "index-pattern",
            ObjectKind::Lens => "lens",
            ObjectKind::Dashboard => "dashboard",
            ObjectKind::Search => "search",
            ObjectKind::Query => "query",
            ObjectKind::Tag => "tag",
        }
    }

    /// The version of its attributes' shape.
    pub fn version(self) -> &'static str {
        match self {
            ObjectKind::Lens | ObjectKind::Dashboard => "8.9.0",
            ObjectKind::DataView | ObjectKind::Search | ObjectKind::Query | ObjectKind::Tag => "8.0.0",
        }
    }
}

/// That an object needs another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// By this name the object itself speaks of the other one.
    pub name: String,
    /// What the other one is.
    pub kind: ObjectKind,
    /// Its id.
    pub id: String,
}

/// A saved object.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedObject {
    /// What it is.
    pub kind: ObjectKind,
    /// Its id, the same for ever: links and imports go by it.
    pub id: String,
    /// Its content, as Kibana has it for this kind.
    pub attributes: Value,
    /// What it needs.
    pub references: Vec<Reference>,
}

impl SavedObject {
    /// As one line of an NDJSON file, without the line's end.
    pub fn to_line(&self) -> String {
        self.to_json().to_string()
    }

    /// As Kibana imports and exports it.
    pub fn to_json(&self) -> Value {
        let reference = |reference: &Reference| json!({ "type": reference.kind.as_str(), "id": reference.id, "name": reference.name });
        let references: Vec<Value> = self.references.iter().map(reference).collect();
        json!({
            "type": self.kind.as_str(),
            "id": self.id,
            "coreMigrationVersion": CORE_VERSION,
            "typeMigrationVersion": self.kind.version(),
            "references": references,
            "attributes": self.attributes,
        })
    }
}
