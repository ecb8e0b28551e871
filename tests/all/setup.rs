//! `inferlog setup` against real nodes: what it shows, writes, keeps, and says when it cannot go on.
//!
//! Templates are everybody's on a shared node. So each test has a stream, and with it templates, of its own; what all
//! share is put in force first, and stays.

use std::collections::BTreeMap;
use std::fs;

use inferlog::elastic::assets::AssetKind;
use inferlog::elastic::assets::normal::{content_digest, normal_form};
use inferlog::elastic::target::Target;
use serde_json::{Value, json};

use crate::place::{Ended, Place, pipeline, records, start};
use crate::scripted::{Answer, Asked, scripted};
use crate::support::{Method, Node};

/// Bounds of a retention that no other test has, and the name of what carries it out.
const RETENTION: &str = "{ at_least: 181d, at_most: 211d }";
const KEEP: &str = "inferlog-keep-181d-211d";

/// A place whose pipeline ships into this stream, of which nothing is left; what all share is in force.
async fn place(node: &Node, stream: &str, options: &str) -> Place {
    node.set_up(&Target::data_stream("logs-ml.inference-default").unwrap()).await;
    let namespace = stream.splitn(3, '-').nth(2).unwrap();
    for stream in [stream, &format!("metrics-ml.pipeline-{namespace}")] {
        node.forget(stream).await;
    }
    node.ask(Method::Delete, &format!("_index_template/inferlog-stream-{stream}"), "").await;
    let host = node.options.hosts[0].as_str();
    let retry = "retry: { max: 500ms }";
    let sink = format!("{{ elasticsearch: {{ hosts: [\"{host}\"], data_stream: {stream}, {retry}{options} }} }}");
    Place::new(&pipeline(&sink))
}

fn setup(place: &Place, arguments: &str) -> Ended {
    let arguments: Vec<&str> = ["setup"].into_iter().chain(arguments.split(' ')).collect();
    start(place.inferlog(&arguments)).wait()
}

fn said(ended: &Ended, what: &str) {
    assert!(ended.stderr.contains(what), "no `{what}` in {ended:?}");
}

/// The steps that a verb prints as JSON, by kind and name, and its exit code.
fn steps(place: &Place, arguments: &str) -> (Option<i32>, BTreeMap<String, Value>) {
    let ended = setup(place, &format!("{arguments} p.yaml --format json"));
    let step = |line: &str| {
        let step: Value = serde_json::from_str(line).unwrap();
        (format!("{}/{}", step["kind"].as_str().unwrap(), step["name"].as_str().unwrap()), step)
    };
    (ended.code, ended.stdout.lines().map(step).collect())
}

/// Those that are to be done, with what.
fn to_do(steps: &BTreeMap<String, Value>) -> Vec<(&str, &str)> {
    let open = steps.iter().filter(|(_, step)| step["action"] != "unchanged");
    open.map(|(name, step)| (name.as_str(), step["action"].as_str().unwrap())).collect()
}

/// Changes an object as a person would: what is there is read, edited, and put back.
async fn edit(node: &Node, path: &str, change: impl FnOnce(&mut Value)) {
    let (status, answer) = node.ask(Method::Get, path, "").await;
    assert_eq!(status, 200, "{answer}");
    let (folder, name) = path.rsplit_once('/').unwrap();
    let kind = AssetKind::ALL.into_iter().find(|kind| kind.path() == folder).unwrap();
    let mut body = kind.installed(&answer, name);
    change(&mut body);
    let body = if kind == AssetKind::LifecyclePolicy { json!({ "policy": body }) } else { body };
    let (status, answer) = node.ask(Method::Put, path, &body.to_string()).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn from_nothing_to_records_and_what_a_person_changes_is_shown_and_kept() {
    const STREAM: &str = "logs-setup-cycle";
    let Some(node) = Node::plain("the whole of a set-up") else { return };
    let place = place(&node, STREAM, &format!(", retention: {RETENTION}")).await;
    for path in ["_component_template", "_ilm/policy"] {
        node.ask(Method::Delete, &format!("{path}/{KEEP}"), "").await;
    }
    let template = format!("inferlog-stream-{STREAM}");
    let own = [
        format!("component_template/{KEEP}"),
        format!("index_template/{template}"),
        format!("lifecycle_policy/{KEEP}"),
    ];
    let (code, planned) = steps(&place, "plan");
    assert_eq!((code, to_do(&planned)), (Some(1), own.iter().map(|name| (name.as_str(), "create")).collect()));
    let (code, applied) = steps(&place, "apply");
    assert_eq!(code, Some(0), "{applied:?}");
    assert!(own.iter().all(|name| applied[name]["outcome"] == "done"), "{applied:?}");
    let again = setup(&place, "apply p.yaml");
    assert_eq!(again.code, Some(0), "what each kind comes back as is what was put there: {again:?}");
    said(&again, "nothing to do: all of it is there");

    place.append(records(0..100));
    place.run_once_to(0);
    let checked = setup(&place, "check p.yaml");
    assert_eq!(checked.code, Some(0), "{checked:?}");
    said(&checked, &format!("data streams: {STREAM}, metrics-ml.pipeline-cycle\n"));
    let (_, settings) = node.ask(Method::Get, &format!("{STREAM}/_settings?flat_settings=true"), "").await;
    assert_eq!(settings.as_object().unwrap().values().next().unwrap()["settings"]["index.lifecycle.name"], KEEP);

    type Change = fn(&mut Value);
    let changes: [(String, &str, Change, &str); 4] = [
        (format!("_index_template/{template}"), &own[1], |it| it["priority"] = json!(777), "priority: 777 -> 300"),
        (
            format!("_index_template/{template}"),
            &own[1],
            |it| it["_meta"] = json!({ "managed_by": "us" }),
            "_meta.managed_by: us -> inferlog",
        ),
        (
            format!("_component_template/{KEEP}"),
            &own[0],
            |it| it["template"]["mappings"] = json!({ "properties": { "x": { "type": "keyword" } } }),
            r#"template.mappings: removed {"properties":{"x":{"type":"keyword"}}}"#,
        ),
        (
            format!("_ilm/policy/{KEEP}"),
            &own[2],
            |it| it["phases"]["delete"]["min_age"] = json!("10d"),
            "phases.delete.min_age: 10d -> 181d",
        ),
    ];
    for (path, name, change, line) in changes {
        edit(&node, &path, change).await;
        let (code, planned) = steps(&place, "plan");
        assert_eq!((code, to_do(&planned)), (Some(1), vec![(name, "conflict")]), "{line}");
        assert_eq!(planned[name]["differences"], json!([line]));
        let (code, applied) = steps(&place, "apply");
        assert_eq!((code, &applied[name]["outcome"]), (Some(1), &json!("kept")), "{line}");
        assert_eq!(steps(&place, "check").0, Some(1), "it was not written over: {line}");
        let (code, applied) = steps(&place, "apply --overwrite");
        assert_eq!((code, &applied[name]["outcome"]), (Some(0), &json!("done")), "{line}");
        assert_eq!(steps(&place, "check").0, Some(0), "{line}");
    }

    // What an older inferlog has left is no conflict.
    edit(&node, &format!("_index_template/{template}"), |it| {
        it["priority"] = json!(200);
        it["_meta"]["digest"] = json!(content_digest(&normal_form(it)));
    })
    .await;
    assert_eq!(to_do(&steps(&place, "plan").1), [(own[1].as_str(), "update")]);
    assert_eq!(steps(&place, "apply").0, Some(0));
    assert_eq!(steps(&place, "check").0, Some(0));
}

#[tokio::test]
async fn a_stream_that_was_made_before_is_held_against_how_it_would_be_made() {
    const STREAM: &str = "logs-setup-before";
    let Some(node) = Node::plain("streams that are there") else { return };
    node.ask(Method::Delete, "_index_template/setup-before", "").await;
    let place = place(&node, STREAM, "").await;
    let theirs = json!({ "index_patterns": [STREAM], "priority": 400, "data_stream": {},
        "template": { "data_stream_options": { "failure_store": { "enabled": true } } } });
    let (status, answer) = node.ask(Method::Put, "_index_template/setup-before", &theirs.to_string()).await;
    assert_eq!(status, 200, "{answer}");
    let document = r#"{"@timestamp":"2026-11-23T10:00:00Z"}"#;
    node.ask(Method::Post, &format!("{STREAM}/_doc"), document).await;

    let name = format!("data_stream/{STREAM}");
    let (code, applied) = steps(&place, "apply");
    let found = applied[&name]["differences"][0].as_str().unwrap();
    let words = format!("template in force: setup-before (priority 400) -> inferlog-stream-{STREAM}; to do: ");
    assert!(code == Some(1) && found.starts_with(&words), "{applied:?}");
    assert_eq!(applied[&format!("index_template/inferlog-stream-{STREAM}")]["outcome"], "done");

    node.ask(Method::Delete, "_index_template/setup-before", "").await;
    let (code, planned) = steps(&place, "plan");
    let request = r#"{"index.lifecycle.name":"inferlog-inference"}"#;
    let lifecycle =
        format!("index.lifecycle.name: none -> inferlog-inference; to do: `PUT {STREAM}/_settings {request}`");
    let options = r#"{"failure_store":{"enabled":false}}"#;
    let failure_store =
        format!("failure_store.enabled: true -> false; to do: `PUT _data_stream/{STREAM}/_options {options}`");
    assert_eq!((code, to_do(&planned)), (Some(1), vec![(name.as_str(), "conflict")]));
    assert_eq!(planned[&name]["differences"], json!([lifecycle, failure_store]));

    // The request that is named does what it says.
    assert_eq!(node.ask(Method::Put, &format!("{STREAM}/_settings"), request).await.0, 200);
    assert_eq!(steps(&place, "plan").1[&name]["differences"], json!([failure_store]));
    node.forget(STREAM).await;
    node.ask(Method::Post, &format!("{STREAM}/_doc"), document).await;
    assert_eq!(steps(&place, "check").0, Some(0), "a stream that is made now is as it should be");
}

#[tokio::test]
async fn what_is_refused_is_named_and_running_again_goes_on() {
    const STREAM: &str = "logs-setup-refused";
    let Some(node) = Node::plain("a set-up that is refused in part") else { return };
    node.ask(Method::Delete, "_index_template/setup-refused", "").await;
    let place = place(&node, STREAM, "").await;
    // Two templates of one priority must not match the same names.
    let theirs = json!({ "index_patterns": [STREAM], "priority": 300, "data_stream": {} });
    node.ask(Method::Put, "_index_template/setup-refused", &theirs.to_string()).await;
    let (code, applied) = steps(&place, "apply");
    let result = &applied[&format!("index_template/inferlog-stream-{STREAM}")];
    assert_eq!((code, &result["outcome"]), (Some(1), &json!("refused")), "{applied:?}");
    assert!(result["problem"].as_str().unwrap().contains("setup-refused"), "{result}");
    node.ask(Method::Delete, "_index_template/setup-refused", "").await;
    let (code, applied) = steps(&place, "apply");
    assert_eq!((code, to_do(&applied).len()), (Some(0), 1), "{applied:?}");
}

/// A server that has nothing and takes everything, but for the paths that a function answers.
fn empty_cluster(other: impl Fn(&str) -> Option<Answer> + Send + Sync + 'static) -> String {
    scripted(move |asked: &Asked| {
        let missing = r#"{"error":{"type":"resource_not_found_exception","reason":"not found"},"status":404}"#;
        let answer = |status, body: &str| Answer::new(status, &[], body);
        match (asked.line.split(' ').next().unwrap(), asked.path.as_str()) {
            (method, path) if other(&format!("{method} {path}")).is_some() => {
                other(&format!("{method} {path}")).unwrap()
            }
            ("GET", "/") => answer(200, r#"{"version":{"number":"8.19.0"}}"#),
            ("POST", "/_index_template/_simulate") => answer(200, r#"{"template":{}}"#),
            ("PUT", _) => answer(200, r#"{"acknowledged":true}"#),
            _ => answer(404, missing),
        }
    })
}

/// Applies to such a server: the exit code, and how many steps came to what.
fn apply_to(host: &str) -> (Ended, BTreeMap<String, usize>) {
    let stream = "logs-ml.inference-default";
    let place =
        Place::new(&pipeline(&format!("{{ elasticsearch: {{ hosts: [\"{host}\"], data_stream: {stream} }} }}")));
    let ended = setup(&place, "apply p.yaml --format json");
    let mut counts = BTreeMap::new();
    for line in ended.stdout.lines() {
        let result: Value = serde_json::from_str(line).unwrap();
        *counts.entry(result["outcome"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    (ended, counts)
}

#[test]
fn what_builds_on_something_refused_is_not_tried_and_the_rest_goes_on() {
    let refused = r#"{"error":{"type":"illegal_argument_exception","reason":"no"},"status":400}"#;
    let mappings = "PUT /_component_template/inferlog-drift-mappings";
    let host = empty_cluster(move |asked| (asked == mappings).then(|| Answer::new(400, &[], refused)));
    let (ended, counts) = apply_to(&host);
    let expected = [("blocked", 1), ("done", 11), ("refused", 1)].map(|(name, count)| (name.to_owned(), count));
    assert_eq!((ended.code, counts), (Some(1), BTreeMap::from(expected)), "{ended:?}");
    said(&ended, "mend what is named; then run it again");
    assert!(ended.stdout.contains("it builds on `inferlog-drift-mappings`, which is not there"), "{ended:?}");
}

#[test]
fn a_server_that_goes_away_half_way_is_said_with_what_is_not_done() {
    let mappings = "PUT /_component_template/inferlog-inference-mappings";
    let host = empty_cluster(move |asked| (asked == mappings).then(|| Answer::new(503, &[], "")));
    let (ended, counts) = apply_to(&host);
    let expected = [("done", 4), ("unreached", 9)].map(|(name, count)| (name.to_owned(), count));
    assert_eq!((ended.code, counts), (Some(2), BTreeMap::from(expected)), "{ended:?}");
    said(&ended, "9 not done: ");
    said(&ended, "run it again: it goes on with what is missing");
}

#[test]
fn a_server_that_knows_only_data_stream_lifecycles_gets_those() {
    for (status, is_known, words) in [
        (410, true, "does not know lifecycle policies: data stream lifecycles are used in their place"),
        (400, false, "does not know lifecycle policies, nor data stream lifecycles"),
    ] {
        let host = scripted(move |asked: &Asked| {
            let is_lifecycle = String::from_utf8_lossy(&asked.body).contains("\"lifecycle\":{}");
            let missing = r#"{"error":{"type":"resource_not_found_exception","reason":"not found"},"status":404}"#;
            let unknown = r#"{"error":{"type":"x_content_parse_exception","reason":"unknown field"},"status":400}"#;
            let gone = r#"{"error":{"type":"api_not_available_exception","reason":"not available"}}"#;
            match (asked.line.split(' ').next().unwrap(), asked.path.as_str()) {
                ("GET", path) if path.starts_with("/_ilm/") => Answer::new(status, &[], gone),
                ("POST", _) if is_lifecycle && !is_known => Answer::new(400, &[], unknown),
                ("POST", _) => Answer::new(200, &[], r#"{"template":{}}"#),
                _ => Answer::new(404, &[], missing),
            }
        });
        let options = format!("hosts: [\"{host}\"], data_stream: logs-x-y, retention: {{ at_most: 190d }}");
        let place = Place::new(&pipeline(&format!("{{ elasticsearch: {{ {options} }} }}")));
        let planned = setup(&place, "plan p.yaml");
        assert_eq!(planned.code, Some(1), "{planned:?}");
        said(&planned, words);
        assert!(!planned.stdout.contains("lifecycle_policy"), "{planned:?}");
        assert_eq!(planned.stdout.contains("inferlog-keep-180d-190d"), is_known, "{planned:?}");
        said(&planned, if is_known { "documents may get 210d old" } else { "`retention.at_most` is not carried out" });
    }
}

#[tokio::test]
async fn an_export_installs_the_same_and_what_others_have_changed_is_not_written_over() {
    const STREAM: &str = "logs-setup-export";
    let Some(node) = Node::plain("an export") else { return };
    let place = place(&node, STREAM, "").await;
    let export = || setup(&place, "export p.yaml --output out");
    assert_eq!(export().code, Some(0));
    let script = fs::read_to_string(place.path("out/install.sh")).unwrap();
    let mut installed = 0;
    for line in script.lines().filter(|line| line.starts_with("put _")) {
        let [_, path, file, _] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let body = fs::read_to_string(place.path("out").join(file)).unwrap();
        let (status, answer) = node.ask(Method::Put, path, &body).await;
        assert_eq!(status, 200, "{path}: {answer}");
        installed += 1;
    }
    let checked = setup(&place, "check p.yaml");
    assert_eq!(checked.code, Some(0), "{checked:?}");
    said(&checked, &format!("looked at: {installed} objects"));

    assert_eq!(export().code, Some(0), "its own files may be written again");
    let file = place.path(&format!("out/index_templates/inferlog-stream-{STREAM}.json"));
    let changed = fs::read_to_string(&file).unwrap().replace("300", "301");
    fs::write(&file, &changed).unwrap();
    fs::remove_file(place.path("out/README.md")).unwrap();
    let ended = export();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    said(&ended, &format!("index_templates/inferlog-stream-{STREAM}.json"));
    assert_eq!(fs::read_to_string(&file).unwrap(), changed);
    assert!(!place.path("out/README.md").exists(), "all of it is written, or nothing");
}

#[tokio::test]
async fn opensearch_gets_what_it_knows_and_what_is_missing_is_named() {
    const STREAM: &str = "logs-setup-opensearch";
    let Some(node) = Node::opensearch("set-up of OpenSearch") else { return };
    let place = place(&node, STREAM, &format!(", retention: {RETENTION}")).await;
    let template = format!("index_template/inferlog-stream-{STREAM}");
    let (code, planned) = steps(&place, "plan");
    assert_eq!((code, to_do(&planned)), (Some(1), vec![(template.as_str(), "create")]));
    let planned = setup(&place, "plan p.yaml");
    for words in [
        " does not know `index.mode`: ",
        "`index.mapping.total_fields.ignore_dynamic_beyond_limit`: a record that would bring more fields than the limit",
        "`data_stream_options.failure_store`: ",
        "lifecycle policies, nor data stream lifecycles: nothing is rolled over or deleted",
        "`retention.at_most` is not carried out",
    ] {
        said(&planned, words);
    }
    assert_eq!(setup(&place, "apply p.yaml").code, Some(0));
    said(&setup(&place, "apply p.yaml"), "nothing to do: all of it is there");

    place.append(records(0..10));
    place.append(
        "{\"host\":\"gpu-7\",\"features\":{\"a\":1}}\n{\"host\":{\"name\":\"x\"},\"features\":{\"a\":{\"b\":2}}}\n",
    );
    // Where the plan says so, an object in place of a plain value is refused; else `disable_objects` takes it.
    let refused = usize::from(planned.stderr.contains("`subobjects`: a record with an object"));
    let ended = place.run_once();
    assert_eq!((ended.code, place.dead_letters().len()), (Some(refused as i32), refused), "{ended:?}");
    assert_eq!(node.count(STREAM, r#"{"match_all":{}}"#).await, 12 - refused as u64);
    assert_eq!(setup(&place, "check p.yaml").code, Some(0));
    edit(&node, &format!("_index_template/inferlog-stream-{STREAM}"), |it| it["priority"] = json!(777)).await;
    let (code, planned) = steps(&place, "plan");
    assert_eq!((code, to_do(&planned)), (Some(1), vec![(template.as_str(), "conflict")]));
    assert_eq!(planned[&template]["differences"], json!(["priority: 777 -> 300"]));
    assert_eq!(steps(&place, "apply").0, Some(1));
    assert_eq!(steps(&place, "apply --overwrite").0, Some(0));
}

#[test]
fn what_others_see_to_is_left_to_them_and_said() {
    let host = "http://127.0.0.1:1";
    let options = format!("hosts: [\"{host}\"], data_stream: logs-theirs-default, template: unmanaged");
    let place = Place::new(&pipeline(&format!("{{ elasticsearch: {{ {options} }} }}")));
    for what in ["plan", "apply", "check"] {
        let ended = setup(&place, &format!("{what} p.yaml"));
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{ended:?}");
        said(&ended, "`template: unmanaged`: nothing is installed for `logs-theirs-default`, and nobody looks at it");
        assert!(!ended.stderr.contains("all of it"), "{ended:?}");
    }
}

#[tokio::test]
async fn an_elasticsearch_of_today_lacks_nothing() {
    let Some(node) = Node::plain("capabilities") else { return };
    let planned = setup(&place(&node, "logs-setup-capable", "").await, "plan p.yaml");
    assert!(!planned.stderr.contains("does not know"), "{planned:?}");
}
