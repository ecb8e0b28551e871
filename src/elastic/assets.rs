//! Assets: what does inferlog install into Elasticsearch?
//!
//! They are the plain JSON files of `mappings/`, carried by the binary; `mappings/README.md` gives the reasons. What is
//! decided here is only what depends on the target: which names the index template is for, and whether it is one of data
//! streams. Each asset gets a `_meta` with a digest of its content, by which `setup` sees what is to do.

use std::fmt;

use crate::text::digest::sha256_hexadecimal;
use serde_json::{Map, Value, json};

use super::target::Target;

/// What `_meta.managed_by` holds in all that is ours.
pub const MANAGED_BY: &str = "inferlog";

/// Name of our lifecycle policy and of the index template for streams that begin with [`STREAM_PREFIX`].
const NAME: &str = "inferlog-inference";

/// Name of the index template of accounts.
const ACCOUNTS_NAME: &str = "inferlog-pipeline";

/// Name of the index template of drift.
const DRIFT_NAME: &str = "inferlog-drift";

/// Name of the index template of outcomes.
const OUTCOME_NAME: &str = "inferlog-outcome";

/// The data streams that share one index template begin with this.
const STREAM_PREFIX: &str = "logs-ml.inference-";

const LIFECYCLE_POLICY: &str = include_str!("../../mappings/lifecycle_policies/inferlog-inference.json");
const SETTINGS: &str = include_str!("../../mappings/component_templates/inferlog-inference-settings.json");
const LIFECYCLE: &str = include_str!("../../mappings/component_templates/inferlog-inference-lifecycle.json");
const MAPPINGS: &str = include_str!("../../mappings/component_templates/inferlog-inference-mappings.json");
const INDEX_TEMPLATE: &str = include_str!("../../mappings/index_templates/inferlog-inference.json");
const ACCOUNT_MAPPINGS: &str = include_str!("../../mappings/component_templates/inferlog-pipeline-mappings.json");
const ACCOUNT_TEMPLATE: &str = include_str!("../../mappings/index_templates/inferlog-pipeline.json");
const DRIFT_MAPPINGS: &str = include_str!("../../mappings/component_templates/inferlog-drift-mappings.json");
const DRIFT_TEMPLATE: &str = include_str!("../../mappings/index_templates/inferlog-drift.json");
const OUTCOME_MAPPINGS: &str = include_str!("../../mappings/component_templates/inferlog-outcome-mappings.json");
const OUTCOME_TEMPLATE: &str = include_str!("../../mappings/index_templates/inferlog-outcome.json");

/// What an asset is to Elasticsearch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AssetKind {
    /// When backing indices are rolled over.
    LifecyclePolicy,
    /// A part of index templates.
    ComponentTemplate,
    /// What a new data stream or index is made like.
    IndexTemplate,
}

impl AssetKind {
    /// The path under which assets of this kind are read and written.
    pub(crate) fn path(self) -> &'static str {
        match self {
            AssetKind::LifecyclePolicy => "_ilm/policy",
            AssetKind::ComponentTemplate => "_component_template",
            AssetKind::IndexTemplate => "_index_template",
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

/// One thing to install.
#[derive(Clone, Debug, PartialEq)]
pub struct Asset {
    /// What it is.
    pub kind: AssetKind,
    /// Its name in Elasticsearch.
    pub name: String,
    /// The body to put there, `_meta` included.
    pub body: Value,
    /// Digest of the body without `_meta`, 16 hexadecimal digits.
    pub digest: String,
}

/// All that a target needs, in the order in which it must be installed.
pub fn for_target(target: &Target) -> Vec<Asset> {
    let component = |part: &str, json| asset(AssetKind::ComponentTemplate, format!("{NAME}-{part}"), parse(json));
    let (name, template) = index_template(target);
    vec![
        asset(AssetKind::LifecyclePolicy, NAME.to_owned(), parse(LIFECYCLE_POLICY)),
        component("settings", SETTINGS),
        component("lifecycle", LIFECYCLE),
        component("mappings", MAPPINGS),
        asset(AssetKind::IndexTemplate, name, template),
        // Accounts, drift and outcomes, which are data streams whatever the records are.
        asset(AssetKind::ComponentTemplate, format!("{ACCOUNTS_NAME}-mappings"), parse(ACCOUNT_MAPPINGS)),
        asset(AssetKind::IndexTemplate, ACCOUNTS_NAME.to_owned(), parse(ACCOUNT_TEMPLATE)),
        asset(AssetKind::ComponentTemplate, format!("{DRIFT_NAME}-mappings"), parse(DRIFT_MAPPINGS)),
        asset(AssetKind::IndexTemplate, DRIFT_NAME.to_owned(), parse(DRIFT_TEMPLATE)),
        asset(AssetKind::ComponentTemplate, format!("{OUTCOME_NAME}-mappings"), parse(OUTCOME_MAPPINGS)),
        asset(AssetKind::IndexTemplate, OUTCOME_NAME.to_owned(), parse(OUTCOME_TEMPLATE)),
    ]
}

/// Name and body of the target's index template.
fn index_template(target: &Target) -> (String, Value) {
    let mut body = parse(INDEX_TEMPLATE);
    let (name, pattern) = match target {
        Target::DataStream(stream) if stream.starts_with(STREAM_PREFIX) => return (NAME.to_owned(), body),
        Target::DataStream(stream) => (format!("stream-{stream}"), stream.clone()),
        Target::Index(pattern) => {
            remove_stream_parts(&mut body);
            let wildcard = pattern.wildcard();
            (format!("index-{}", wildcard.replace('*', "x")), wildcard)
        }
    };
    body["index_patterns"] = json!([pattern]);
    (format!("{MANAGED_BY}-{name}"), body)
}

fn remove_stream_parts(template: &mut Value) {
    if let Some(template) = template.as_object_mut() {
        template.remove("data_stream");
    }
    if let Some(composed_of) = template["composed_of"].as_array_mut() {
        composed_of.retain(|name| name != &format!("{NAME}-lifecycle"));
    }
}

fn asset(kind: AssetKind, name: String, mut body: Value) -> Asset {
    let mut digest = sha256_hexadecimal(body.to_string().as_bytes());
    digest.truncate(16);
    let meta = json!({ "managed_by": MANAGED_BY, "version": env!("CARGO_PKG_VERSION"), "digest": digest });
    match kind {
        AssetKind::LifecyclePolicy => body["policy"]["_meta"] = meta,
        AssetKind::ComponentTemplate | AssetKind::IndexTemplate => body["_meta"] = meta,
    }
    Asset { kind, name, body, digest }
}

/// The files are part of the binary, and a test reads them all.
fn parse(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|_| Value::Object(Map::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(target: &Target) -> Vec<String> {
        for_target(target).into_iter().map(|asset| format!("{}/{}", asset.kind, asset.name)).collect()
    }

    #[test]
    fn each_target_gets_its_assets_in_an_order_that_can_be_installed() {
        let shared = [
            "lifecycle_policy/inferlog-inference",
            "component_template/inferlog-inference-settings",
            "component_template/inferlog-inference-lifecycle",
            "component_template/inferlog-inference-mappings",
        ];
        let own = [
            "component_template/inferlog-pipeline-mappings",
            "index_template/inferlog-pipeline",
            "component_template/inferlog-drift-mappings",
            "index_template/inferlog-drift",
            "component_template/inferlog-outcome-mappings",
            "index_template/inferlog-outcome",
        ];
        let table = [
            ("logs-ml.inference-default", "index_template/inferlog-inference", "logs-ml.inference-*"),
            ("logs-fraud-prod", "index_template/inferlog-stream-logs-fraud-prod", "logs-fraud-prod"),
        ];
        for (stream, template, pattern) in table {
            let target = Target::data_stream(stream).unwrap();
            assert_eq!(names(&target)[..4], shared);
            assert_eq!((&*names(&target)[4], &names(&target)[5..]), (template, &own.map(str::to_owned)[..]));
            assert_eq!(for_target(&target)[4].body["index_patterns"], json!([pattern]));
        }
        let dated = Target::index("ml-inference-{yyyy.MM.dd}").unwrap();
        assert_eq!(names(&dated)[..4], shared);
        assert_eq!(names(&dated)[4], "index_template/inferlog-index-ml-inference-x.x.x");
        assert_eq!(names(&dated)[5..], own);
        let body = &for_target(&dated)[4].body;
        assert_eq!(body["index_patterns"], json!(["ml-inference-*.*.*"]));
        assert_eq!(body.get("data_stream"), None);
        assert!(!body["composed_of"].to_string().contains("lifecycle"));
    }

    #[test]
    fn every_asset_has_content_and_says_that_it_is_ours() {
        for asset in for_target(&Target::data_stream("logs-ml.inference-default").unwrap()) {
            let body = if asset.kind == AssetKind::LifecyclePolicy { &asset.body["policy"] } else { &asset.body };
            assert_eq!(body["_meta"]["managed_by"], MANAGED_BY);
            assert_eq!(body["_meta"]["digest"], asset.digest);
            assert!(body.as_object().unwrap().len() > 1, "{} is empty", asset.name);
        }
    }

    #[test]
    fn no_mapped_text_is_too_long_for_lucene() {
        let mappings = &parse(MAPPINGS)["template"]["mappings"];
        let keywords = mappings["properties"].as_object().unwrap().values().filter(|field| field["type"] == "keyword");
        for field in keywords {
            assert_eq!(field["ignore_above"], 8191, "{field}");
        }
    }
}
