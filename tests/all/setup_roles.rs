//! The roles that `setup privileges` prints, each with a key of its own: it does its work, and nothing else.

use inferlog::elastic::options::{Auth, ClientOptions};
use inferlog::elastic::target::Target;
use inferlog::text::secret::Secret;
use serde_json::{Value, json};

use crate::place::{Ended, Place, pipeline, records, start};
use crate::support::{Method, Node};

const RECORDS: &str = "logs-ml.inference-roles";
const INPUTS: &str = "logs-ml.input-roles";
const ACCOUNTS: &str = "metrics-ml.pipeline-roles";

/// Somebody with a key, and the place where they type.
struct Person<'p> {
    node: Node,
    place: &'p Place,
}

fn sink(node: &Node, key: &str) -> String {
    let host = node.options.hosts[0].as_str();
    let options = format!("data_stream: {RECORDS}, api_key: \"{key}\", retry: {{ max: 500ms }}");
    format!("{{ elasticsearch: {{ hosts: [\"{host}\"], {options} }} }}")
}

impl<'p> Person<'p> {
    /// Somebody who was given the role that `setup privileges` prints.
    async fn with_role(admin: &Node, place: &'p Place, role: &str) -> Person<'p> {
        let printed = start(place.inferlog(&["setup", "privileges", "p.yaml", "--format", "json"])).wait();
        assert_eq!(printed.code, Some(0), "{printed:?}");
        let mut roles = printed.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let found = roles.find(|it| it["role"] == role).unwrap();
        let name = found["name"].as_str().unwrap();
        let request = json!({ "name": name, "role_descriptors": { name: found["descriptor"] } });
        let (status, key) = admin.ask(Method::Post, "_security/api_key", &request.to_string()).await;
        assert_eq!(status, 200, "{key}");
        let key = key["encoded"].as_str().unwrap();
        place.set_pipeline(&pipeline(&sink(admin, key)));
        let auth = Auth::ApiKey(Secret::new(key));
        Person { node: Node::new(ClientOptions { auth, ..admin.options.clone() }), place }
    }

    fn types(&self, arguments: &str, code: i32) -> Ended {
        let ended = start(self.place.inferlog(&arguments.split(' ').collect::<Vec<_>>())).wait();
        assert_eq!(ended.code, Some(code), "{arguments}: {ended:?}");
        ended
    }

    /// None of these is allowed.
    async fn must_not(&self, requests: &[(Method, String)]) {
        for (method, path) in requests {
            let body = match method {
                Method::Put if path.starts_with("_ilm") => r#"{"policy":{"phases":{}}}"#,
                Method::Put => r#"{"template":{}}"#,
                Method::Post => r#"{"@timestamp":"2026-11-23T10:00:00Z"}"#,
                Method::Get | Method::Delete => "",
            };
            let (status, answer) = self.node.ask(*method, path, body).await;
            assert_eq!(status, 403, "{method:?} {path}: {answer}");
        }
    }

    async fn may_read(&self, stream: &str) {
        let (status, answer) = self.node.ask(Method::Get, &format!("{stream}/_search"), "").await;
        assert_eq!(status, 200, "{stream}: {answer}");
    }
}

fn reading(stream: &str) -> (Method, String) {
    (Method::Get, format!("{stream}/_search"))
}

fn writing(stream: &str) -> (Method, String) {
    (Method::Post, format!("{stream}/_doc"))
}

fn installing() -> [(Method, String); 2] {
    ["_component_template/roles-test", "_ilm/policy/roles-test"].map(|path| (Method::Put, path.to_owned()))
}

fn deleting(stream: &str) -> (Method, String) {
    (Method::Delete, format!("_data_stream/{stream}"))
}

#[tokio::test]
async fn each_role_does_its_work_and_nothing_else() {
    let Some(admin) = Node::strict("roles") else { return };
    for stream in [RECORDS, INPUTS, ACCOUNTS] {
        admin.forget(stream).await;
    }
    admin.set_up(&Target::data_stream(RECORDS).unwrap()).await;
    let document = r#"{"@timestamp":"2026-11-23T10:00:00Z","prompt":"secret"}"#;
    let (status, answer) = admin.ask(Method::Put, &format!("{INPUTS}/_create/1"), document).await;
    assert_eq!(status, 201, "{answer}");
    let place = Place::new(&pipeline(&sink(&admin, "none")));

    let setter = Person::with_role(&admin, &place, "setup").await;
    setter.types("setup apply p.yaml", 0);
    setter.types("query * --pipeline p.yaml --count", 2);
    setter.must_not(&[reading(RECORDS), reading(INPUTS), writing(RECORDS)]).await;

    let shipper = Person::with_role(&admin, &place, "shipper").await;
    place.append(records(0..50));
    shipper.types("run p.yaml --data-dir data --once --listen off", 0);
    assert_eq!(admin.count(RECORDS, r#"{"match_all":{}}"#).await, 50);
    shipper.must_not(&[reading(RECORDS), reading(ACCOUNTS), writing(INPUTS), deleting(RECORDS)]).await;
    shipper.must_not(&installing()).await;
    let refused = shipper.types("setup apply p.yaml", 2);
    assert!(refused.stderr.contains("it lacks the privilege `manage_index_templates`"), "{refused:?}");
    assert!(refused.stderr.contains("`inferlog setup privileges FILE` prints"), "{refused:?}");

    let operator = Person::with_role(&admin, &place, "operator").await;
    operator.types("setup check p.yaml", 0);
    operator.types("reconcile p.yaml --data-dir data", 0);
    operator.may_read(ACCOUNTS).await;
    operator.must_not(&[reading(INPUTS), writing(RECORDS), writing(INPUTS), deleting(ACCOUNTS)]).await;
    operator.must_not(&installing()).await;

    let analyst = Person::with_role(&admin, &place, "analyst").await;
    let counted = analyst.types("query * --pipeline p.yaml --count", 0);
    assert_eq!(counted.stdout.trim(), "50");
    analyst.must_not(&[reading(INPUTS), reading(ACCOUNTS), writing(RECORDS), deleting(RECORDS)]).await;
    analyst.must_not(&installing()).await;

    let officer = Person::with_role(&admin, &place, "officer").await;
    for stream in [RECORDS, INPUTS, ACCOUNTS] {
        officer.may_read(stream).await;
    }
    officer.types("reconcile p.yaml --data-dir data", 0);
    officer.types("query * --pipeline p.yaml --count", 0);
    officer.must_not(&[writing(RECORDS), writing(INPUTS), writing(ACCOUNTS), deleting(INPUTS)]).await;
    officer.must_not(&installing()).await;
}
