//! The example model server, from a request to the store: every request is found there, failed ones too, with the same
//! hash that the server made. And the pipeline files that we give to users pass `check`.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::place::{Place, Running, free_address, http, start, wait_for};
use crate::support::provided;

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/model_server")
}

/// Starts the server with its log there; it answers when this returns.
fn serve(python: &str, log: &Path) -> (Running, SocketAddr) {
    serve_version(python, log, "anomaly-3.2.1")
}

/// The same of this version of the model.
pub(crate) fn serve_version(python: &str, log: &Path, version: &str) -> (Running, SocketAddr) {
    let address = free_address();
    let mut command = Command::new(python);
    command.current_dir(example()).env("MODEL_LOG", log).env("MODEL_VERSION", version);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command.args(["-m", "uvicorn", "server:app", "--host", "127.0.0.1", "--port", &address.port().to_string()]);
    let mut server = start(command);
    wait_for("the model server to answer", || {
        server.must_run();
        http(address, "GET", "/metrics", &[], "")
    });
    (server, address)
}

/// The body of the request number `n`, and the status that it gets.
fn request(n: usize) -> (String, u16) {
    let features = match n % 10 {
        0 => return ("not json".to_owned(), 422),
        1 => r#"{"country":"DE"}"#.to_owned(),
        2 => format!(r#"{{"amount":{n},"hour":"13"}}"#),
        3 => r#"{"amount":123456789012345678901}"#.to_owned(),
        4 => format!(r#"{{"z":[1.0,{{"y":null,"b":true}}],"amount":{n}e1,"é":"\u0041\n\"\u20ac😀"}}"#),
        5 => format!(r#"{{"amount":1e-{n},"\ue000":1,"\ud83d\ude00":2,"country":"FR"}}"#),
        6 => format!(r#"{{"amount":{n}.10,"hour":3,"email":"a{n}@example.com"}}"#),
        7 => format!(r#"{{"amount":0.{n}1234567890123456789}}"#),
        _ => format!(r#"{{"amount":{n}000.5,"country":"US","hour":{}}}"#, n % 24),
    };
    let status = match n % 10 {
        1 | 3 => 422,
        2 => 500,
        _ => 200,
    };
    (format!("{{\"features\":{features}}}"), status)
}

/// The example's pipeline, reading our log, and with our own hash beside the server's.
fn pipeline() -> String {
    let text = fs::read_to_string(example().join("pipeline.yaml")).unwrap();
    let hash = "  - hash:   { fields: [features], into: our_hash }\n  - redact:";
    let with_ours = text.replacen("  - redact:", hash, 1);
    assert_ne!(with_ours, text, "the pipeline has a `redact` to put our hash before");
    with_ours
}

#[test]
fn every_request_is_found_in_the_store_with_the_hash_that_the_server_made() {
    const COUNT: usize = 200;
    let Some(python) = provided("INFERLOG_TEST_PYTHON", "model server") else { return };
    let place = Place::new(&pipeline());
    let (server, address) = serve(&python, &place.log());
    let mut sent = BTreeSet::new();
    for n in 0..COUNT {
        let (body, expected) = request(n);
        let id = format!("q-{n:03}");
        let headers = [("content-type", "application/json"), ("x-request-id", id.as_str())];
        let (status, answer) = http(address, "POST", "/predict", &headers, &body).unwrap();
        assert_eq!(status, expected, "`{body}` got {answer}");
        sent.insert(id);
    }
    drop(server);
    place.run_once_to(0);

    let documents: Vec<Value> =
        place.store().documents().iter().map(|document| serde_json::from_str(document).unwrap()).collect();
    let found: BTreeSet<String> =
        documents.iter().map(|document| document["request_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!((documents.len(), found), (COUNT, sent));
    let mut hashed = 0;
    for document in &documents {
        assert_eq!(document["input_hash"], document["our_hash"], "{document}");
        assert_eq!(document["features"].is_object(), document["input_hash"].is_string(), "{document}");
        hashed += usize::from(document["our_hash"].is_string());
        assert_eq!(document["status"] == "success", document["prediction"].is_string(), "{document}");
        let flagged = document["confidence"].as_f64().map(|confidence| confidence < 0.6);
        assert_eq!(document["low_confidence"].as_bool(), flagged, "{document}");
        assert!(document["features"]["email"].is_null() || document["features"]["email"] == "[redacted]");
    }
    assert_eq!(hashed, COUNT * 8 / 10, "all but the ones that the server could not hash");
    let errors = place.store().number("SELECT count(*) FROM records WHERE status = 'error'");
    assert_eq!(errors, COUNT as u64 * 4 / 10);
}

#[test]
fn the_servers_own_tests_pass() {
    let Some(python) = provided("INFERLOG_TEST_PYTHON", "tests of the model server") else { return };
    let mut command = Command::new(python);
    command.current_dir(example()).env("PYTHONDONTWRITEBYTECODE", "1");
    command.args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]);
    let ended = start(command).wait();
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains(" passed"), "{}", ended.stdout);
}

#[test]
fn the_pipelines_that_we_give_to_users_pass_check() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let place = Place::new("");
    for given in ["examples/model_server/pipeline.yaml", "examples/separation", "pipelines"] {
        let ended = start(place.inferlog(&["check", root.join(given).to_str().unwrap()])).wait();
        assert_eq!(ended.code, Some(0), "{given}: {ended:?}");
    }
    let mut from_the_root = place.inferlog(&["check"]);
    from_the_root.current_dir(root);
    assert_eq!(start(from_the_root).wait().code, Some(0));
}

#[test]
fn check_says_what_a_pipeline_would_make_of_a_real_log_and_ships_nothing() {
    let place = Place::new(&fs::read_to_string(root_pipeline()).unwrap());
    place.append("{\"request_id\":\"r1\",\"confidence\":0.31,\"user\":{\"email\":\"a@b.c\"}}\nnot json\n");
    let log = place.log();
    let ended = start(place.inferlog(&["check", "p.yaml", "--sample", log.to_str().unwrap()])).wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&document["low_confidence"], &document["user"]["email"]), (&true.into(), &"[redacted]".into()));
    for said in ["1  would be shipped", "1  would go to the dead letter: not_an_object"] {
        assert!(ended.stderr.contains(said), "no `{said}` in {ended:?}");
    }
    assert!(!ended.stderr.contains("a@b.c") && !place.path("home").exists() && !place.path("data").exists());
}

fn root_pipeline() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/inference.yaml")
}
