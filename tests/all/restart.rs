//! A pipeline that fails by itself, or cannot be started: it is tried again, the others run on, and nothing is lost.
//!
//! What ends a pipeline under way is a defect of ours, which the built binary cannot be asked for: those are tested beside
//! the code (`pipeline/supervisor.rs`). Here is what its surroundings can do.

use std::fs;
use std::process::Stdio;

use crate::place::{Place, Running, Signal, Store, append, http, pipeline, record, records, start, wait_for};

/// Two pipelines, `a` and `b`, each with a log and a store of its own.
fn two() -> Place {
    let place = Place::new("");
    fs::create_dir(place.path("pipelines")).unwrap();
    for name in ["a", "b"] {
        let text = pipeline("{ store: {} }").replace("logs/*.ndjson", &format!("../logs/{name}.ndjson"));
        fs::write(place.path(&format!("pipelines/{name}.yaml")), text).unwrap();
        append(&place.path(&format!("logs/{name}.ndjson")), records(0..100));
    }
    place
}

fn store(place: &Place, name: &str) -> Store {
    Store(place.path(&format!("data/{name}/store.sqlite")))
}

fn wait_for_words(running: &Running, words: &str) {
    wait_for(&format!("`{words}` to be said"), || running.stderr().contains(words).then_some(()));
}

fn wait_for_documents(place: &Place, name: &str, count: u64) {
    wait_for(&format!("{count} documents of {name}"), || (store(place, name).count() == count).then_some(()));
}

const RESTARTS: &str = "inferlog_pipeline_restarts_total{pipeline=\"a\"}";

#[test]
fn what_cannot_be_started_is_tried_again_until_it_can_and_the_others_run() {
    let place = two();
    fs::create_dir_all(place.path("data/a/store.sqlite")).unwrap();
    let running = place.run_files("pipelines");
    wait_for_documents(&place, "b", 100);
    wait_for("a second try", || (running.metrics()[RESTARTS] >= 2).then_some(()));
    let (status, reasons) = running.get("/readyz");
    assert_eq!(status, 503, "{reasons}");
    for words in ["\"pipeline\":\"a\"", "does not run and is started again in", "the store cannot be had", "in_a_row"] {
        assert!(reasons.contains(words), "{words} is not in {reasons}");
    }
    assert!(!reasons.contains("/") && !reasons.contains("\"pipeline\":\"b\""), "{reasons}");
    assert_eq!(running.get("/healthz").0, 200, "a restart of the process would not help");
    assert!(running.metrics()["inferlog_pipeline_restarts_total{pipeline=\"b\"}"] == 0);
    wait_for_words(&running, "store.sqlite");
    // It heals, and nobody has to do anything.
    fs::remove_dir(place.path("data/a/store.sqlite")).unwrap();
    wait_for_documents(&place, "a", 100);
    wait_for_words(&running, "started again, going on from the checkpoint");
    wait_for("it to be ready", || (running.get("/readyz").0 == 200).then_some(()));
    running.stop();
    for name in ["a", "b"] {
        store(&place, name).must_hold_each_once(100);
        let file = format!("pipelines/{name}.yaml");
        assert_eq!(start(place.inferlog(&["reconcile", &file, "--data-dir", "data"])).wait().code, Some(0));
    }
}

#[test]
fn a_reload_tries_at_once_and_a_stop_does_not_wait() {
    let place = two();
    fs::create_dir_all(place.path("data/a/store.sqlite")).unwrap();
    let running = place.run_files("pipelines");
    // Its next try is far away.
    wait_for_words(&running, "is started again in 3s");
    fs::remove_dir(place.path("data/a/store.sqlite")).unwrap();
    let token = fs::read_to_string(place.path("data/admin.token")).unwrap();
    let authorization = format!("Bearer {}", token.trim());
    let reload = || http(running.address.unwrap(), "POST", "/-/reload", &[("authorization", &authorization)], "");
    assert_eq!(reload(), Some((200, "started: a; unchanged: b\n".to_owned())));
    wait_for_documents(&place, "a", 100);
    running.stop();
    fs::rename(place.path("data/a/store.sqlite"), place.path("aside")).unwrap();
    fs::create_dir(place.path("data/a/store.sqlite")).unwrap();
    let running = place.run_files("pipelines");
    wait_for_words(&running, "is started again in");
    running.signal(Signal::TERM);
    let ended = running.wait();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("pipeline `a` did not run at the end"), "{ended:?}");
}

#[test]
fn where_none_can_be_started_and_with_once_it_is_the_end() {
    let place = two();
    ["a", "b"].iter().for_each(|name| fs::create_dir_all(place.path(&format!("data/{name}/store.sqlite"))).unwrap());
    let run = |more: &[&str]| {
        let arguments = [&["run", "pipelines", "--data-dir", "data", "--listen", "off"], more].concat();
        start(place.inferlog(&arguments)).wait()
    };
    let ended = run(&[]);
    assert!(ended.code == Some(2) && ended.stderr.contains("cannot start the pipeline `a`"), "{ended:?}");
    fs::remove_dir(place.path("data/b/store.sqlite")).unwrap();
    let ended = run(&["--once"]);
    assert!(ended.code == Some(2) && ended.stderr.contains("cannot start the pipeline `a`"), "{ended:?}");
    assert_eq!(store(&place, "b").count(), 0, "none runs");
}

/// Another process may have taken what a pipeline needs while this one was told to reload.
#[test]
fn state_that_another_process_uses_is_had_when_that_one_ends() {
    let place = two();
    let other = start(place.inferlog(&["run", "pipelines/a.yaml", "--data-dir", "data", "--listen", "off"]));
    wait_for_documents(&place, "a", 100);
    let running = place.run_files("pipelines");
    wait_for_words(&running, "another inferlog process uses `data/a`");
    assert!(running.get("/readyz").1.contains("which another process uses"));
    append(&place.path("logs/a.ndjson"), record(100));
    wait_for_documents(&place, "a", 101);
    other.stop();
    append(&place.path("logs/a.ndjson"), record(101));
    wait_for_documents(&place, "a", 102);
    running.stop();
    store(&place, "a").must_hold_each_once(102);
}

/// A folder of state that is gone for a while ends nothing: the pipeline says that it cannot save, and goes on when it is back.
#[test]
fn a_folder_of_state_that_is_away_for_a_while_is_waited_for() {
    let place = two();
    let running = place.run_files("pipelines");
    ["a", "b"].iter().for_each(|name| wait_for_documents(&place, name, 100));
    running.wait_for_metric("inferlog_settled_lines_total{pipeline=\"a\"}", 100);
    fs::rename(place.path("data/a"), place.path("aside")).unwrap();
    fs::write(place.path("data/a"), "in the way").unwrap();
    ["a", "b"].iter().for_each(|name| append(&place.path(&format!("logs/{name}.ndjson")), records(100..200)));
    wait_for_documents(&place, "b", 200);
    wait_for("it not to be ready", || (running.get("/readyz").0 == 503).then_some(()));
    fs::remove_file(place.path("data/a")).unwrap();
    fs::rename(place.path("aside"), place.path("data/a")).unwrap();
    wait_for_documents(&place, "a", 200);
    wait_for("it to be ready", || (running.get("/readyz").0 == 200).then_some(()));
    assert_eq!(running.metrics()[RESTARTS], 0);
    running.stop();
    for name in ["a", "b"] {
        store(&place, name).must_hold_each_once(200);
        let file = format!("pipelines/{name}.yaml");
        assert_eq!(start(place.inferlog(&["reconcile", &file, "--data-dir", "data"])).wait().code, Some(0));
    }
}

#[test]
fn a_pipe_that_nobody_reads_is_the_end_and_nothing_is_started_again() {
    let place = Place::new(&pipeline("stdout"));
    place.append(records(0..10));
    let mut command = place.run_command(&["--listen", "off"]);
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(process.stdout.take());
    let output = process.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(!said.contains("started again"), "{said}");
}
