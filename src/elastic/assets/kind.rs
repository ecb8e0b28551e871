//! Kinds of assets: what are they to Elasticsearch, and where are they read and written?

use std::fmt;

use serde_json::Value;

/// What an asset is to Elasticsearch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AssetKind {
    /// When backing indices are rolled over and deleted.
    LifecyclePolicy,
    /// A part of index templates.
    ComponentTemplate,
    /// What a new data stream or index is made like.
    IndexTemplate,
}

impl AssetKind {
    /// All of them, in the order in which they are installed.
    pub const ALL: [AssetKind; 3] =
        [AssetKind::LifecyclePolicy, AssetKind::ComponentTemplate, AssetKind::IndexTemplate];

    /// The path under which assets of this kind are read and written.
    pub fn path(self) -> &'static str {
        match self {
            AssetKind::LifecyclePolicy => "_ilm/policy",
            AssetKind::ComponentTemplate => "_component_template",
            AssetKind::IndexTemplate => "_index_template",
        }
    }

    /// The folder of `mappings/`, and of an export, that holds this kind.
    pub fn folder(self) -> &'static str {
        match self {
            AssetKind::LifecyclePolicy => "lifecycle_policies",
            AssetKind::ComponentTemplate => "component_templates",
            AssetKind::IndexTemplate => "index_templates",
        }
    }

    /// The part of what is put there that describes it, `_meta` included.
    pub fn described(self, body: &Value) -> &Value {
        match self {
            AssetKind::LifecyclePolicy => &body["policy"],
            AssetKind::ComponentTemplate | AssetKind::IndexTemplate => body,
        }
    }

    /// The same part of what a server answers for a name; null where the answer is another one.
    pub fn installed(self, answer: &Value, name: &str) -> Value {
        match self {
            AssetKind::LifecyclePolicy => answer[name]["policy"].clone(),
            AssetKind::ComponentTemplate => answer["component_templates"][0]["component_template"].clone(),
            AssetKind::IndexTemplate => answer["index_templates"][0]["index_template"].clone(),
        }
    }
}

/// As in the output of `setup plan`: `lifecycle_policy`, `component_template`, `index_template`.
impl fmt::Display for AssetKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            AssetKind::LifecyclePolicy => "lifecycle_policy",
            AssetKind::ComponentTemplate => "component_template",
            AssetKind::IndexTemplate => "index_template",
        })
    }
}
