//! `examples/separation`: one log in two data streams, and who may read which.

use std::fs;
use std::path::Path;

use inferlog::elastic::options::{Auth, ClientOptions};
use inferlog::text::secret::Secret;
use serde_json::{Value, json};

use crate::place::{Ended, Place, start};
use crate::support::{Method, Node};

const STREAMS: [&str; 2] = ["logs-ml.inference-separation", "logs-ml.input-separation"];

/// What must not be seen by those who may not see inputs.
const CANARY: &str = "CANARY-7f3a";

/// A place with the two files of the example, which ship into the node as its administrator.
fn place(node: &Node) -> Place {
    let Auth::Basic { user, password } = &node.options.auth else { panic!("the node has no passwords") };
    let password = String::from_utf8(password.expose().to_vec()).unwrap();
    let place = Place::new("");
    fs::remove_file(place.path("p.yaml")).unwrap();
    for name in ["inference.yaml", "input.yaml"] {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/separation").join(name);
        let text = fs::read_to_string(example).unwrap();
        let hosts = "hosts: [\"${ES_URL:http://localhost:9200}\"]";
        assert!(text.contains(hosts), "{text}");
        let text = text.replace(hosts, &format!("{hosts}\n    username: {user}\n    password: \"{password}\""));
        fs::write(place.path(name), text).unwrap();
    }
    place
}

fn types(node: &Node, place: &Place, arguments: &str) -> Ended {
    let mut command = place.inferlog(&arguments.split(' ').collect::<Vec<_>>());
    command.env("ES_URL", node.options.hosts[0].as_str()).env("ENVIRONMENT", "separation");
    let ended = start(command).wait();
    assert_eq!(ended.code, Some(0), "{arguments}: {ended:?}");
    ended
}

/// The documents of a stream by their ids.
async fn documents(node: &Node, stream: &str) -> Vec<(String, Value)> {
    node.ask(Method::Post, &format!("{stream}/_refresh"), "").await;
    let (status, answer) = node.ask(Method::Get, &format!("{stream}/_search?size=100"), "").await;
    assert_eq!(status, 200, "{answer}");
    let hits = answer["hits"]["hits"].as_array().unwrap();
    let document = |hit: &Value| (hit["_id"].as_str().unwrap().to_owned(), hit["_source"].clone());
    let mut documents: Vec<(String, Value)> = hits.iter().map(document).collect();
    documents.sort_by(|left, right| left.0.cmp(&right.0));
    documents
}

/// Somebody with the role that `setup privileges` prints for a file.
async fn with_role(admin: &Node, place: &Place, file: &str, role: &str) -> Node {
    let printed = types(admin, place, &format!("setup privileges {file} --format json"));
    let mut roles = printed.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let found = roles.find(|it| it["role"] == role).unwrap();
    let request = json!({ "name": role, "role_descriptors": { role: found["descriptor"] } });
    let (_, key) = admin.ask(Method::Post, "_security/api_key", &request.to_string()).await;
    let auth = Auth::ApiKey(Secret::new(key["encoded"].as_str().unwrap()));
    Node::new(ClientOptions { auth, ..admin.options.clone() })
}

#[tokio::test]
async fn one_log_in_two_streams_with_equal_ids_and_who_may_read_which() {
    let Some(admin) = Node::strict("separation") else { return };
    for stream in STREAMS.into_iter().chain(["metrics-ml.pipeline-separation"]) {
        admin.forget(stream).await;
    }
    let place = place(&admin);
    for file in ["inference.yaml", "input.yaml"] {
        types(&admin, &place, &format!("setup apply {file} --overwrite"));
    }
    let line = |n: u32| {
        format!(
            "{{\"event\":\"inference\",\"request_id\":\"r{n}\",\"confidence\":0.{n},\"features\":{{\"name\":\"{CANARY}\"}},\
             \"prompt\":\"{CANARY}\",\"timestamp\":\"2026-11-23T10:00:0{n}Z\"}}\n"
        )
    };
    place.append((1..9).map(line).collect::<String>());
    types(&admin, &place, "run . --data-dir data --once --listen off");
    let [records, inputs] = [documents(&admin, STREAMS[0]).await, documents(&admin, STREAMS[1]).await];
    let ids = |documents: &[(String, Value)]| documents.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>();
    assert_eq!((records.len(), ids(&records)), (8, ids(&inputs)));
    for ((_, record), (_, input)) in records.iter().zip(&inputs) {
        assert!(!record.to_string().contains(CANARY), "{record}");
        assert_eq!((&input["features"]["name"], &input["prompt"]), (&json!(CANARY), &json!(CANARY)));
        assert_eq!((&record["input_hash"], &record["request_id"]), (&input["input_hash"], &input["request_id"]));
    }
    for file in ["inference.yaml", "input.yaml"] {
        let checked = types(&admin, &place, &format!("setup check {file}"));
        assert!(checked.stderr.contains("data streams: logs-ml."), "{checked:?}");
        for (role, seen) in [("analyst", [200, 403]), ("officer", [200, 200])] {
            let somebody = with_role(&admin, &place, file, role).await;
            for (stream, expected) in STREAMS.into_iter().zip(seen) {
                let (status, answer) = somebody.ask(Method::Get, &format!("{stream}/_search"), "").await;
                assert_eq!(status, expected, "{role} of {file} reads {stream}: {answer}");
            }
        }
    }
}
