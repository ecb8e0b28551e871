//! Privileges: who needs to be allowed what?
//!
//! | role | does |
//! | --- | --- |
//! | set-up | `setup apply`: templates, lifecycle policies; sees data streams, reads no document |
//! | shipper | `run`: adds documents, and makes the data streams that they go to; reads nothing |
//! | operator | `setup check`, `reconcile`, `query` of records and accounts; changes nothing but for accounts of its own |
//! | analyst | `query` of records without inputs, of drift and of outcomes |
//! | officer | `query` and `reconcile` of everything, inputs included |
//!
//! Cluster privileges that read templates and nothing else have no name of their own in Elasticsearch: the operator is
//! given the actions themselves.

use serde_json::{Value, json};

use crate::elastic::installation::{Beside, Installation};
use crate::elastic::target::Target;

/// The data streams of records without features and prompts begin so.
const INFERENCE_PREFIX: &str = "logs-ml.inference-";

/// The data streams of records with them.
const INPUT_PREFIX: &str = "logs-ml.input-";

/// Reading templates, and trying them out without writing.
const READ_TEMPLATES: [&str; 4] = [
    "cluster:admin/component_template/get",
    "indices:admin/index_template/get",
    "indices:admin/index_template/simulate",
    "indices:admin/index_template/simulate_index",
];

/// Where a pipeline's documents go: names of data streams, or patterns of indices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineStreams {
    /// Records.
    pub records: Vec<String>,
    /// Accounts.
    pub accounts: String,
    /// Drift, if the pipeline observes it.
    pub drift: Option<String>,
    /// Outcomes, if the pipeline reads labels.
    pub outcomes: Option<String>,
}

impl PipelineStreams {
    /// The streams of an installation.
    pub fn new(installation: &Installation<'_>) -> PipelineStreams {
        let target = installation.target;
        let is_shipped = |beside| beside == Beside::Shipped;
        let records = match target {
            Target::DataStream(stream) => vec![stream.clone()],
            Target::Index(pattern) => vec![pattern.wildcard()],
            Target::Tenants(tenants) => tenants.streams().to_vec(),
        };
        PipelineStreams {
            records,
            accounts: target.accounts(),
            drift: is_shipped(installation.drift).then(|| target.drift()),
            outcomes: is_shipped(installation.outcomes).then(|| target.outcomes()),
        }
    }

    /// What is made of records: drift, outcomes.
    fn derived(&self) -> impl Iterator<Item = String> + '_ {
        self.drift.iter().chain(&self.outcomes).cloned()
    }

    fn all(&self) -> Vec<String> {
        self.records.iter().cloned().chain([self.accounts.clone()]).chain(self.derived()).collect()
    }

    /// The records without inputs, and those with them, of a pair of pipelines over the same files.
    fn sides(&self) -> (Vec<String>, Vec<String>) {
        let sibling = |from: &'static str, to: &'static str| {
            move |stream: &String| stream.strip_prefix(from).map(|namespace| format!("{to}{namespace}"))
        };
        let is_input = |stream: &String| stream.starts_with(INPUT_PREFIX);
        let (inputs, others): (Vec<String>, Vec<String>) = self.records.iter().cloned().partition(is_input);
        let from_inputs: Vec<String> = inputs.iter().filter_map(sibling(INPUT_PREFIX, INFERENCE_PREFIX)).collect();
        let to_inputs: Vec<String> = others.iter().filter_map(sibling(INFERENCE_PREFIX, INPUT_PREFIX)).collect();
        ([others, from_inputs].concat(), [inputs, to_inputs].concat())
    }
}

/// One role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// `setup`, `shipper`, `operator`, `analyst`, `officer`.
    pub name: &'static str,
    /// What somebody with it does.
    pub does: &'static str,
    cluster: Vec<&'static str>,
    indices: Vec<(Vec<String>, Vec<&'static str>)>,
}

impl Role {
    /// As it is put under `_security/role/`, and into `role_descriptors` of an API key.
    pub fn descriptor(&self) -> Value {
        let indices = self.indices.iter().filter(|(names, _)| !names.is_empty());
        let indices: Vec<Value> =
            indices.map(|(names, privileges)| json!({ "names": names, "privileges": privileges })).collect();
        json!({ "cluster": self.cluster, "indices": indices })
    }

    /// The body of a request for an API key that may what the role may.
    pub fn api_key(&self, pipeline: &str) -> Value {
        let name = self.full_name(pipeline);
        json!({ "name": name, "role_descriptors": { &name: self.descriptor() } })
    }

    /// Two requests, ready to be pasted: the role, and an API key instead of it.
    pub fn to_text(&self, pipeline: &str) -> String {
        let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default();
        let Role { name, does, .. } = self;
        let full_name = self.full_name(pipeline);
        format!(
            "# {name}: {does}\nPUT _security/role/{full_name}\n{}\n\n# or an API key of its own\n\
             POST _security/api_key\n{}\n",
            pretty(&self.descriptor()),
            pretty(&self.api_key(pipeline)),
        )
    }

    /// As one JSON object.
    pub fn to_json(&self, pipeline: &str) -> Value {
        let Role { name, does, .. } = self;
        json!({ "role": name, "does": does, "name": self.full_name(pipeline), "descriptor": self.descriptor() })
    }

    fn full_name(&self, pipeline: &str) -> String {
        format!("inferlog-{}-{pipeline}", self.name)
    }
}

/// The roles around a pipeline.
pub fn roles(streams: &PipelineStreams) -> Vec<Role> {
    let (inference, inputs) = streams.sides();
    let derived: Vec<String> = streams.derived().collect();
    let accounts = vec![streams.accounts.clone()];
    let read = vec!["read", "view_index_metadata"];
    let prove = vec!["read", "view_index_metadata", "maintenance"];
    let ship = vec!["create_doc", "auto_configure"];
    let role = |name, does, cluster: &[&'static str], indices| Role { name, does, cluster: cluster.to_vec(), indices };
    vec![
        role(
            "setup",
            "`inferlog setup apply`: templates and lifecycle policies; reads no document",
            &["monitor", "manage_index_templates", "manage_ilm"],
            vec![(streams.all(), vec!["view_index_metadata"])],
        ),
        role(
            "shipper",
            "`inferlog run`: adds documents and makes their data streams; reads nothing, changes nothing",
            &[],
            vec![(streams.all(), ship.clone())],
        ),
        role(
            "operator",
            "`inferlog setup check`, `reconcile`, `query`; adds accounts of its own, changes nothing else",
            &[&["monitor", "read_ilm"][..], &READ_TEMPLATES].concat(),
            vec![
                (streams.records.clone(), prove.clone()),
                (accounts.clone(), [prove.clone(), ship].concat()),
                (derived.clone(), vec!["view_index_metadata"]),
            ],
        ),
        role(
            "analyst",
            "`inferlog query` and dashboards: records without inputs, drift, outcomes",
            &[],
            vec![([inference.clone(), derived.clone()].concat(), read)],
        ),
        role(
            "officer",
            "`inferlog query`, `reconcile`: everything, inputs included; changes nothing",
            &[],
            vec![([inference, inputs, accounts, derived].concat(), prove)],
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(role: &Role) -> Vec<String> {
        role.indices.iter().flat_map(|(names, _)| names.clone()).collect()
    }

    #[test]
    fn an_analyst_never_reads_inputs_and_an_officer_always_does() {
        for (stream, drift) in
            [("logs-ml.inference-a", Beside::Shipped), ("logs-ml.input-a", Beside::None), ("logs-x-a", Beside::None)]
        {
            let target = Target::data_stream(stream).unwrap();
            let streams = PipelineStreams::new(&Installation { drift, ..Installation::new(&target) });
            let roles = roles(&streams);
            let of = |name: &str| names(roles.iter().find(|role| role.name == name).unwrap());
            assert!(!of("analyst").iter().any(|name| name.starts_with(INPUT_PREFIX)), "{stream}");
            assert!(of("officer").contains(&stream.to_owned()));
            assert_eq!(of("shipper").contains(&"metrics-ml.drift-a".to_owned()), drift == Beside::Shipped);
            if stream != "logs-x-a" {
                assert!(of("analyst").contains(&"logs-ml.inference-a".to_owned()), "{stream}");
                assert!(of("officer").contains(&"logs-ml.input-a".to_owned()), "{stream}");
            }
        }
    }

    #[test]
    fn requests_can_be_pasted() {
        let streams = PipelineStreams::new(&Installation::new(&Target::index("ml-{yyyy}").unwrap()));
        let shipper = &roles(&streams)[1];
        let text = shipper.to_text("p");
        assert!(text.contains("PUT _security/role/inferlog-shipper-p\n{"), "{text}");
        let body = text.split("POST _security/api_key\n").nth(1).unwrap();
        assert_eq!(serde_json::from_str::<Value>(body).unwrap(), shipper.api_key("p"));
        let names = &shipper.descriptor()["indices"][0]["names"];
        assert_eq!(*names, json!(["ml-*", "metrics-ml.pipeline-default"]));
    }
}
