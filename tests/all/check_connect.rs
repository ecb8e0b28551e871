//! `check --connect`: it says what it looked at, and never that records are taken where that is not so or nobody knows.

use inferlog::elastic::target::Target;
use serde_json::json;

use crate::place::{Ended, Place, pipeline, start};
use crate::scripted::{Answer, scripted};
use crate::support::{Method, Node};

fn sink(host: &str, stream: &str, more: &str) -> String {
    format!("{{ elasticsearch: {{ hosts: [{host}], data_stream: {stream}{more} }} }}")
}

fn check(sink: &str) -> Ended {
    let place = Place::new(&pipeline(sink));
    start(place.inferlog(&["check", "--connect", "p.yaml"])).wait()
}

#[track_caller]
fn expect(checked: &Ended, code: i32, words: &[&str]) {
    assert_eq!(checked.code, Some(code), "{checked:?}");
    for word in words {
        assert!(checked.stderr.contains(word), "no `{word}` in {}", checked.stderr);
    }
    let takes = checked.stderr.contains("takes records");
    assert_eq!(takes, code == 0, "{}", checked.stderr);
}

/// A server that answers `GET /` like this, and everything else with a 404.
fn server(status: u16, headers: &[(&str, &str)], body: &str) -> String {
    let root = Answer::new(status, headers, body);
    scripted(move |request| if request.path == "/" { root.clone() } else { Answer::new(404, &[], "{}") })
}

#[test]
fn a_server_that_is_no_elasticsearch_takes_nothing() {
    let es = r#"{"version":{"number":"8.19.0"},"tagline":"You Know, for Search"}"#;
    let opensearch = r#"{"version":{"number":"2.11.0","distribution":"opensearch"}}"#;
    let product = ("X-elastic-product", "Elasticsearch");
    for (status, headers, body, code, words) in [
        (200, vec![("content-type", "text/html")], "<!doctype html><title>Sign in</title>", 1, "is no JSON"),
        (200, vec![], r#"{"status":"ok"}"#, 1, "names no version"),
        (200, vec![], es, 1, "without the header `X-elastic-product: Elasticsearch`"),
        (200, vec![], opensearch, 2, "opensearch 2.11.0, which is not Elasticsearch"),
        // It is Elasticsearch's answer, but what is asked of it is not.
        (200, vec![product], es, 2, "what this user may do could not be asked"),
        (302, vec![("location", "http://u:p@sso.example/login?t=1")], "", 1, "a redirect to http://sso.example/login)"),
        (401, vec![], "", 1, "401 (unauthorized)"),
        (407, vec![], "", 2, "407 (a proxy asks who we are)"),
        (503, vec![], "", 2, "could not look"),
    ] {
        expect(&check(&sink(&server(status, &headers, body), "logs-x-default", "")), code, &[words]);
    }
}

#[test]
fn every_host_is_asked() {
    let good = server(200, &[("x-elastic-product", "Elasticsearch")], r#"{"version":{"number":"8.19.0"}}"#);
    let page = server(200, &[], "<html>");
    let checked = check(&sink(&format!("\"{good}\", \"{page}\""), "logs-x-default", ""));
    expect(&checked, 1, &["Elasticsearch 8.19.0", "is no JSON"]);
}

#[test]
fn what_is_on_this_machine_is_not_connected_to() {
    for sink in ["{ store: {} }", "stdout"] {
        let checked = check(sink);
        assert_eq!(checked.code, Some(0), "{checked:?}");
        assert!(checked.stderr.contains("there is nobody to connect to") && !checked.stderr.contains("takes records"));
    }
}

/// The options of a user of the strict node with these privileges on everything of this test.
async fn user(node: &Node, name: &str, index: &[&str], cluster: &[&str]) -> String {
    let names = ["logs-checked.*", "metrics-ml.pipeline-*"];
    let role = json!({ "cluster": cluster, "indices": [{ "names": names, "privileges": index }] });
    let user = json!({ "password": "checked-password", "roles": [format!("checked-{name}")] });
    for (kind, body) in [("role", role), ("user", user)] {
        let (status, answer) =
            node.ask(Method::Put, &format!("_security/{kind}/checked-{name}"), &body.to_string()).await;
        assert_eq!(status, 200, "{answer}");
    }
    format!(", username: checked-{name}, password: checked-password")
}

#[tokio::test]
async fn a_user_is_told_what_it_may_not_do() {
    let Some(node) = Node::strict("check --connect of users") else { return };
    let (missing, there, blocked) = ("logs-checked.missing-x", "logs-checked.there-x", "logs-checked.blocked-x");
    for stream in [missing, there, blocked] {
        node.forget(stream).await;
        node.set_up(&Target::data_stream(stream).unwrap()).await;
    }
    for stream in [there, blocked] {
        assert_eq!(node.ask(Method::Put, &format!("_data_stream/{stream}"), "").await.0, 200);
    }
    let block = r#"{"index.blocks.read_only_allow_delete":true}"#;
    assert_eq!(node.ask(Method::Put, &format!("{blocked}/_settings"), block).await.0, 200);
    let ship = ["create_doc", "auto_configure"];
    let look = ["create_doc", "auto_configure", "view_index_metadata"];
    let all_cluster = ["monitor", "manage_index_templates"];
    let host = format!("\"{}\"", node.options.hosts[0].as_str().trim_end_matches('/'));
    let create_doc = user(&node, "create", &["create_doc"], &[]).await;
    let create_look = user(&node, "look", &["create_doc", "view_index_metadata"], &[]).await;
    let no_auto = user(&node, "index", &["create_doc", "create_index"], &[]).await;
    let no_make = user(&node, "write", &["create_doc", "write"], &[]).await;
    let nothing = user(&node, "nothing", &["read"], &[]).await;
    let shipper = user(&node, "ship", &ship, &[]).await;
    let seeing = user(&node, "see", &look, &all_cluster).await;
    for (stream, who, code, words) in [
        (missing, &create_doc, 1, "no fields"),
        (missing, &create_look, 1, "the target is missing and it may not make it"),
        (there, &create_look, 1, "no fields"),
        (missing, &no_auto, 1, "no fields"),
        (missing, &no_make, 2, "may not make it, and is not shown whether it is there"),
        (there, &nothing, 1, "may not create documents there"),
        (missing, &shipper, 0, "may make it and ship to it; whether it is read-only is not shown"),
        (there, &shipper, 0, "takes records, as far as this user is shown"),
        (missing, &seeing, 0, "it is missing, and this user may make it"),
        (there, &seeing, 0, "it is there, not read-only"),
        (blocked, &seeing, 1, "is read-only (`index.blocks.read_only_allow_delete`)"),
        (there, &", username: nobody, password: checked-password".to_owned(), 1, "401 (unauthorized)"),
    ] {
        expect(&check(&sink(&host, stream, who)), code, &[words]);
    }
    // A missing template is seen by who may look.
    let untemplated = "logs-checked.untemplated-x";
    expect(&check(&sink(&host, untemplated, &seeing)), 1, &["no template is in force"]);
    node.forget(blocked).await;
}
