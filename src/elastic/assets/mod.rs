//! Assets: what does inferlog install into Elasticsearch?
//!
//! They are the plain JSON files of `mappings/`, carried by the binary; `mappings/README.md` gives the reasons. What is
//! decided here is only what depends on the installation: which names an index template is for, whether it is one of data
//! streams, how long documents are kept, and what the server does not know. Each asset gets a `_meta` with a digest of its
//! content in [`normal`] form, by which `setup` sees whether somebody else has changed it.

mod kind;
pub mod normal;

use serde_json::{Map, Value, json};

pub use kind::AssetKind;

use self::normal::{content_digest, normal_form};
use super::capabilities::{Capabilities, Lifecycle, Part};
use super::installation::{Beside, Installation};
use super::retention::{bound, elasticsearch_time};
use super::target::Target;

/// What `_meta.managed_by` holds in all that is ours.
pub const MANAGED_BY: &str = "inferlog";

/// The names of templates of a single stream begin with this.
pub const STREAM_TEMPLATE_PREFIX: &str = "inferlog-stream-";

/// Name of our lifecycle policy, and of the index template of records.
const NAME: &str = "inferlog-inference";

/// The component that names the lifecycle.
const LIFECYCLE_NAME: &str = "inferlog-inference-lifecycle";

/// The components that switch the failure store off and on.
const FAILURE_STORE_OFF: &str = "inferlog-failure-store-off";
const FAILURE_STORE_ON: &str = "inferlog-failure-store-on";

/// The priority of a template of a single stream, above that of the shared ones, whose patterns may match it too.
const STREAM_PRIORITY: u32 = 300;

const LIFECYCLE_POLICY: &str = include_str!("../../../mappings/lifecycle_policies/inferlog-inference.json");

const fn component(name: &'static str, body: &'static str) -> (AssetKind, &'static str, &'static str) {
    (AssetKind::ComponentTemplate, name, body)
}

const fn template(name: &'static str, body: &'static str) -> (AssetKind, &'static str, &'static str) {
    (AssetKind::IndexTemplate, name, body)
}

/// What every installation has, in the order in which it is installed, after the policy.
const SHARED: [(AssetKind, &str, &str); 12] = [
    component(
        "inferlog-inference-settings",
        include_str!("../../../mappings/component_templates/inferlog-inference-settings.json"),
    ),
    component(LIFECYCLE_NAME, include_str!("../../../mappings/component_templates/inferlog-inference-lifecycle.json")),
    component(FAILURE_STORE_OFF, include_str!("../../../mappings/component_templates/inferlog-failure-store-off.json")),
    component(
        "inferlog-inference-mappings",
        include_str!("../../../mappings/component_templates/inferlog-inference-mappings.json"),
    ),
    component(
        "inferlog-pipeline-mappings",
        include_str!("../../../mappings/component_templates/inferlog-pipeline-mappings.json"),
    ),
    component(
        "inferlog-drift-mappings",
        include_str!("../../../mappings/component_templates/inferlog-drift-mappings.json"),
    ),
    component(
        "inferlog-outcome-mappings",
        include_str!("../../../mappings/component_templates/inferlog-outcome-mappings.json"),
    ),
    template(NAME, include_str!("../../../mappings/index_templates/inferlog-inference.json")),
    template("inferlog-input", include_str!("../../../mappings/index_templates/inferlog-input.json")),
    template("inferlog-pipeline", include_str!("../../../mappings/index_templates/inferlog-pipeline.json")),
    template("inferlog-drift", include_str!("../../../mappings/index_templates/inferlog-drift.json")),
    template("inferlog-outcome", include_str!("../../../mappings/index_templates/inferlog-outcome.json")),
];

/// The data streams that a shared index template of records is for begin so.
const STREAM_PREFIXES: [(&str, &str); 2] = [("logs-ml.inference-", NAME), ("logs-ml.input-", "inferlog-input")];

/// One thing to install.
#[derive(Clone, Debug, PartialEq)]
pub struct Asset {
    /// What it is.
    pub kind: AssetKind,
    /// Its name in Elasticsearch.
    pub name: String,
    /// The body to put there, `_meta` included.
    pub body: Value,
    /// The assets that must be there before it, by their names.
    pub needs: Vec<String>,
}

/// A stream, and the index template that is to be in force for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamTemplate {
    /// The name of the data stream; of dated indices, that of now.
    pub stream: String,
    /// The name of the template.
    pub template: String,
}

/// All that an installation needs, in the order in which it must be installed.
pub fn of(installation: &Installation<'_>, capabilities: &Capabilities) -> Vec<Asset> {
    let shared = SHARED.iter().map(|(kind, name, body)| (*kind, (*name).to_owned(), parse(body)));
    let policy = (AssetKind::LifecyclePolicy, NAME.to_owned(), parse(LIFECYCLE_POLICY));
    let mut all: Vec<(AssetKind, String, Value)> = std::iter::once(policy).chain(shared).collect();
    all.extend(own_retention(installation, capabilities));
    all.extend(own_failure_store(installation));
    all.extend(own_templates(installation));
    all.retain(|(kind, name, _)| has_use_for(*kind, name, capabilities));
    all.sort_by_key(|(kind, ..)| AssetKind::ALL.iter().position(|known| known == kind));
    all.into_iter().map(|(kind, name, body)| asset(kind, name, body, capabilities)).collect()
}

/// The streams that an installation ships into, and what is to be in force for each.
pub fn streams(installation: &Installation<'_>) -> Vec<StreamTemplate> {
    let target = installation.target;
    let outcomes = target.outcomes();
    let of_outcomes = match has_own_outcomes(installation) {
        true => format!("{STREAM_TEMPLATE_PREFIX}{outcomes}"),
        false => "inferlog-outcome".to_owned(),
    };
    let stream = |stream: String, template: &str| StreamTemplate { stream, template: template.to_owned() };
    let of_records = |name: String| StreamTemplate { template: records_template(installation, &name), stream: name };
    let mut streams: Vec<_> = target.names_now().into_iter().map(of_records).collect();
    streams.push(stream(target.accounts(), "inferlog-pipeline"));
    if installation.drift == Beside::Shipped {
        streams.push(stream(target.drift(), "inferlog-drift"));
    }
    if installation.outcomes == Beside::Shipped {
        streams.push(stream(outcomes, &of_outcomes));
    }
    streams
}

/// What an installation asks for and this server does not carry out, a line each.
pub fn remarks(installation: &Installation<'_>, capabilities: &Capabilities) -> Vec<String> {
    let retention = installation.retention;
    match (capabilities.lifecycle, retention.of_stream_lifecycle(), retention.at_most) {
        (Lifecycle::None, Some(_), _) => {
            vec!["`retention.at_most` is not carried out: this server deletes nothing by itself".to_owned()]
        }
        (Lifecycle::DataStreams, Some((_, oldest)), Some(at_most)) if oldest > at_most => {
            let oldest = elasticsearch_time(oldest);
            vec![format!(
                "documents may get {oldest} old before they are deleted, more than `retention.at_most`: a data stream's \
                 lifecycle rolls over at times of its own"
            )]
        }
        _ => Vec::new(),
    }
}

fn base_of(target: &Target) -> Option<&'static str> {
    let stream = match target {
        Target::DataStream(stream) => stream,
        Target::Tenants(tenants) => tenants.stream(0),
        Target::Index(_) => return None,
    };
    STREAM_PREFIXES.iter().find(|(prefix, _)| stream.starts_with(prefix)).map(|(_, template)| *template)
}

fn has_own_records(installation: &Installation<'_>) -> bool {
    let Installation { target, retention, failure_store, .. } = installation;
    base_of(target).is_none() || retention.at_most.is_some() || failure_store.is_on()
}

fn has_own_outcomes(installation: &Installation<'_>) -> bool {
    installation.retention.at_most.is_some() && installation.outcomes == Beside::Shipped
}

/// The template that is to be in force for a stream of records, or for dated indices.
fn records_template(installation: &Installation<'_>, stream: &str) -> String {
    match (base_of(installation.target), installation.target) {
        (Some(base), _) if !has_own_records(installation) => base.to_owned(),
        (_, Target::Index(pattern)) => format!("{MANAGED_BY}-index-{}", pattern.wildcard().replace('*', "x")),
        (_, Target::DataStream(_) | Target::Tenants(_)) => format!("{STREAM_TEMPLATE_PREFIX}{stream}"),
    }
}

/// The policy, and the component that names it, of a retention with an upper bound.
fn own_retention(installation: &Installation<'_>, capabilities: &Capabilities) -> Vec<(AssetKind, String, Value)> {
    let retention = installation.retention;
    let (Some(name), Some(deletion)) = (retention.name(), retention.deletion()) else { return Vec::new() };
    let mut policy = parse(LIFECYCLE_POLICY);
    bound(&mut policy, deletion);
    let component = match (capabilities.lifecycle, retention.of_stream_lifecycle()) {
        (Lifecycle::DataStreams, Some((kept, _))) => {
            json!({ "template": { "lifecycle": { "data_retention": elasticsearch_time(kept) } } })
        }
        _ => json!({ "template": { "settings": { "index": { "lifecycle": { "name": name } } } } }),
    };
    vec![(AssetKind::LifecyclePolicy, name.clone(), policy), (AssetKind::ComponentTemplate, name, component)]
}

fn own_failure_store(installation: &Installation<'_>) -> Option<(AssetKind, String, Value)> {
    let body = json!({ "template": { "data_stream_options": { "failure_store": { "enabled": true } } } });
    let asset = (AssetKind::ComponentTemplate, FAILURE_STORE_ON.to_owned(), body);
    installation.failure_store.is_on().then_some(asset)
}

/// The index templates of single streams: of each tenant one, since a pattern would take in streams of other pipelines.
fn own_templates(installation: &Installation<'_>) -> Vec<(AssetKind, String, Value)> {
    let target = installation.target;
    let patterns = match target {
        _ if !has_own_records(installation) => Vec::new(),
        Target::DataStream(_) | Target::Tenants(_) => target.names_now(),
        Target::Index(pattern) => vec![pattern.wildcard()],
    };
    let of_records = |pattern: String| {
        let mut body = shared_body(base_of(target).unwrap_or(NAME));
        if matches!(target, Target::Index(_)) {
            remove_stream_parts(&mut body);
        }
        make_own(&mut body, &pattern, installation);
        if installation.failure_store.is_on() {
            replace_part(&mut body, FAILURE_STORE_OFF, FAILURE_STORE_ON);
        }
        (AssetKind::IndexTemplate, records_template(installation, &pattern), body)
    };
    let mut templates: Vec<_> = patterns.into_iter().map(of_records).collect();
    if has_own_outcomes(installation) {
        let stream = installation.target.outcomes();
        let mut body = shared_body("inferlog-outcome");
        make_own(&mut body, &stream, installation);
        templates.push((AssetKind::IndexTemplate, format!("{STREAM_TEMPLATE_PREFIX}{stream}"), body));
    }
    templates
}

fn make_own(body: &mut Value, pattern: &str, installation: &Installation<'_>) {
    body["index_patterns"] = json!([pattern]);
    body["priority"] = json!(STREAM_PRIORITY);
    if let Some(own) = installation.retention.name() {
        replace_part(body, LIFECYCLE_NAME, &own);
    }
}

fn replace_part(body: &mut Value, part: &str, by: &str) {
    let parts = body["composed_of"].as_array_mut().into_iter().flatten();
    parts.filter(|found| *found == part).for_each(|found| *found = json!(by));
}

fn shared_body(name: &str) -> Value {
    let found = SHARED.iter().find(|(kind, shared, _)| *kind == AssetKind::IndexTemplate && *shared == name);
    found.map_or(Value::Null, |(_, _, body)| parse(body))
}

fn remove_stream_parts(template: &mut Value) {
    if let Some(template) = template.as_object_mut() {
        template.remove("data_stream");
    }
    if let Some(composed_of) = template["composed_of"].as_array_mut() {
        composed_of.retain(|name| name != LIFECYCLE_NAME && name != FAILURE_STORE_OFF);
    }
}

/// Whether a server can do something with an asset.
fn has_use_for(kind: AssetKind, name: &str, capabilities: &Capabilities) -> bool {
    let is_policy = kind == AssetKind::LifecyclePolicy;
    let is_lifecycle = is_policy || name == LIFECYCLE_NAME || name.starts_with("inferlog-keep-");
    let is_failure_store = name == FAILURE_STORE_OFF || name == FAILURE_STORE_ON;
    match capabilities.lifecycle {
        Lifecycle::DataStreams if is_policy => false,
        Lifecycle::None if is_lifecycle => false,
        _ => !is_failure_store || capabilities.knows(Part::FailureStore),
    }
}

fn asset(kind: AssetKind, name: String, mut body: Value, capabilities: &Capabilities) -> Asset {
    if name == LIFECYCLE_NAME && capabilities.lifecycle == Lifecycle::DataStreams {
        body = json!({ "template": { "lifecycle": {} } });
    }
    if let Some(parts) = body.get_mut("composed_of").and_then(Value::as_array_mut) {
        let has_use = |part: &str| has_use_for(AssetKind::ComponentTemplate, part, capabilities);
        parts.retain(|part| part.as_str().is_some_and(has_use));
    }
    capabilities.adapt(&mut body);
    let digest = content_digest(&normal_form(kind.described(&body)));
    let meta = json!({ "managed_by": MANAGED_BY, "version": env!("CARGO_PKG_VERSION"), "digest": digest });
    match kind {
        AssetKind::LifecyclePolicy => body["policy"]["_meta"] = meta,
        AssetKind::ComponentTemplate | AssetKind::IndexTemplate => body["_meta"] = meta,
    }
    let hooks = body["ignore_missing_component_templates"].as_array().cloned().unwrap_or_default();
    let parts = body["composed_of"].as_array().into_iter().flatten().filter(|part| !hooks.contains(part));
    let policy = body.pointer("/template/settings/index/lifecycle/name");
    let needs = parts.chain(policy).filter_map(Value::as_str).map(str::to_owned).collect();
    Asset { kind, name, body, needs }
}

/// The files are part of the binary, and a test reads them all.
fn parse(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|_| Value::Object(Map::new()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::super::installation::FailureStore;
    use super::super::retention::Retention;
    use super::super::tenants::{NamespaceRule, Tenants};
    use super::*;
    use crate::record::Path;

    fn days(days: u64) -> Duration {
        Duration::from_secs(days * 86_400)
    }

    fn bounded(target: &Target) -> Installation<'_> {
        let retention = Retention { at_least: days(180), at_most: Some(days(400)) };
        Installation { retention, outcomes: Beside::Shipped, ..Installation::new(target) }
    }

    fn all(installation: &Installation<'_>) -> Vec<Asset> {
        of(installation, &Capabilities::all())
    }

    fn names(assets: &[Asset]) -> Vec<String> {
        assets.iter().map(|asset| format!("{}/{}", asset.kind, asset.name)).collect()
    }

    fn body<'a>(assets: &'a [Asset], name: &str) -> &'a Value {
        let found = assets.iter().rfind(|asset| asset.name == name);
        &found.unwrap_or_else(|| panic!("no {name} in {:?}", names(assets))).body
    }

    /// What is there beside what every installation has, and the template that is to be in force for its records.
    #[test]
    fn each_installation_gets_what_it_needs_beside_what_all_share() {
        let stream = |name| Target::data_stream(name).unwrap();
        let [shared, input, foreign] = ["logs-ml.inference-a", "logs-ml.input-a", "logs-fraud-prod"].map(stream);
        let dated = Target::index("ml-inference-{yyyy.MM.dd}").unwrap();
        let on = |target| Installation { failure_store: FailureStore::On, ..Installation::new(target) };
        let keep = ["lifecycle_policy/inferlog-keep-180d-400d", "component_template/inferlog-keep-180d-400d"];
        let common: BTreeSet<String> = names(&all(&Installation::new(&shared))).into_iter().collect();
        assert_eq!(common.len(), 13);
        for (installation, own, in_force) in [
            (Installation::new(&shared), vec![], "inferlog-inference"),
            (Installation::new(&input), vec![], "inferlog-input"),
            (
                Installation::new(&foreign),
                vec!["index_template/inferlog-stream-logs-fraud-prod"],
                "inferlog-stream-logs-fraud-prod",
            ),
            (
                Installation::new(&dated),
                vec!["index_template/inferlog-index-ml-inference-x.x.x"],
                "inferlog-index-ml-inference-x.x.x",
            ),
            (
                on(&shared),
                vec![
                    "component_template/inferlog-failure-store-on",
                    "index_template/inferlog-stream-logs-ml.inference-a",
                ],
                "inferlog-stream-logs-ml.inference-a",
            ),
            (
                bounded(&shared),
                vec![
                    keep[0],
                    keep[1],
                    "index_template/inferlog-stream-logs-ml.inference-a",
                    "index_template/inferlog-stream-logs-ml.outcome-a",
                ],
                "inferlog-stream-logs-ml.inference-a",
            ),
        ] {
            let assets = all(&installation);
            let found: Vec<String> = names(&assets).into_iter().filter(|name| !common.contains(name)).collect();
            assert_eq!(found, own);
            assert_eq!(streams(&installation)[0].template, in_force);
            for (place, asset) in assets.iter().enumerate() {
                let is_before = |name: &String| assets[..place].iter().any(|before| before.name == *name);
                assert!(asset.needs.iter().all(is_before), "{} comes before {:?}", asset.name, asset.needs);
            }
        }
    }

    #[test]
    fn templates_of_single_streams_are_made_from_the_shared_ones() {
        let stream = Target::data_stream("logs-ml.inference-a").unwrap();
        let assets = all(&Installation { failure_store: FailureStore::On, ..bounded(&stream) });
        let parts = |own: &[&str], hook: &str| {
            let parts = [&["inferlog-inference-settings", "inferlog-keep-180d-400d"], own, &[hook]].concat();
            json!(parts)
        };
        let records = body(&assets, "inferlog-stream-logs-ml.inference-a");
        assert_eq!((&records["index_patterns"], &records["priority"]), (&json!(["logs-ml.inference-a"]), &json!(300)));
        let own = [FAILURE_STORE_ON, "inferlog-inference-mappings"];
        assert_eq!(records["composed_of"], parts(&own, "inferlog-inference@custom"));
        let outcomes = body(&assets, "inferlog-stream-logs-ml.outcome-a");
        let own = [FAILURE_STORE_OFF, "inferlog-outcome-mappings"];
        assert_eq!(outcomes["composed_of"], parts(&own, "inferlog-outcome@custom"), "its failure store stays off");
        let policy = assets.iter().find(|asset| asset.name == "inferlog-keep-180d-400d").unwrap();
        assert_eq!(policy.body["policy"]["phases"]["delete"]["min_age"], "370d");
        assert_eq!(policy.body["policy"]["phases"]["hot"]["actions"]["rollover"]["max_age"], "30d");
        let dated = Target::index("ml-inference-{yyyy.MM.dd}").unwrap();
        let assets = all(&Installation::new(&dated));
        let body = body(&assets, "inferlog-index-ml-inference-x.x.x");
        assert_eq!(body["index_patterns"], json!(["ml-inference-*.*.*"]));
        assert_eq!(body.get("data_stream"), None);
        let parts = body["composed_of"].to_string();
        assert!(!parts.contains("lifecycle") && !parts.contains("failure-store"), "{parts}");
    }

    #[test]
    fn each_tenant_gets_a_template_of_its_own_where_the_pipeline_has_its_own_retention() {
        let rule = |otherwise: &str| {
            NamespaceRule::new(Path::new("tenant").unwrap(), vec!["team-a".to_owned()], otherwise.to_owned()).unwrap()
        };
        let target = Target::Tenants(Box::new(Tenants::new("ml.inference", rule("rest")).unwrap()));
        assert_eq!(streams(&Installation::new(&target))[0].template, "inferlog-inference");
        let assets = all(&bounded(&target));
        for found in &streams(&bounded(&target))[..2] {
            assert_eq!(found.template, format!("inferlog-stream-{}", found.stream));
            let patterns = &body(&assets, &found.template)["index_patterns"];
            assert_eq!(*patterns, json!([found.stream]), "streams of others are not meant");
        }
    }

    #[test]
    fn a_server_gets_the_lifecycle_that_it_knows() {
        let stream = Target::data_stream("logs-ml.inference-a").unwrap();
        let of_kind = |lifecycle| of(&bounded(&stream), &Capabilities { lifecycle, missing: vec![Part::FailureStore] });
        let by_streams = of_kind(Lifecycle::DataStreams);
        assert!(!names(&by_streams).join(" ").contains("lifecycle_policy"));
        assert_eq!(body(&by_streams, LIFECYCLE_NAME)["template"], json!({ "lifecycle": {} }));
        let own = &body(&by_streams, "inferlog-keep-180d-400d")["template"];
        assert_eq!(*own, json!({ "lifecycle": { "data_retention": "370d" } }));
        let none = of_kind(Lifecycle::None);
        assert!(!names(&none).join(" ").contains("keep") && !names(&none).join(" ").contains("lifecycle"));
        let parts = body(&none, "inferlog-stream-logs-ml.inference-a")["composed_of"].to_string();
        assert!(!parts.contains("keep") && !parts.contains("lifecycle") && !parts.contains("failure"), "{parts}");
        assert!(remarks(&bounded(&stream), &Capabilities { lifecycle: Lifecycle::None, missing: vec![] }).len() == 1);
    }

    #[test]
    fn every_asset_has_content_and_says_that_it_is_ours() {
        for asset in all(&Installation::new(&Target::data_stream("logs-ml.inference-default").unwrap())) {
            let described = asset.kind.described(&asset.body);
            assert_eq!(described["_meta"]["managed_by"], MANAGED_BY);
            assert_eq!(described["_meta"]["digest"], content_digest(&normal_form(described)));
            assert!(described.as_object().unwrap().len() > 1, "{} is empty", asset.name);
        }
    }

    #[test]
    fn no_mapped_text_is_too_long_for_lucene() {
        let (_, _, mappings) = SHARED.iter().find(|(_, name, _)| *name == "inferlog-inference-mappings").unwrap();
        let mappings = &parse(mappings)["template"]["mappings"];
        let keywords = mappings["properties"].as_object().unwrap().values().filter(|field| field["type"] == "keyword");
        for field in keywords {
            assert_eq!(field["ignore_above"], 8191, "{field}");
        }
    }
}
