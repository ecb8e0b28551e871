//! What an operator sees: a process that stands still, forgets nothing that it was told, and says what goes on.

use std::fs;

use crate::place::{Place, Running, Signal, append, free_address, pipeline, pipeline_of, records, start, wait_for};

/// Waits until the process has said something.
fn wait_for_words(running: &Running, words: &str) {
    wait_for(&format!("it to say `{words}`"), || running.stderr().contains(words).then_some(()));
}

/// `/readyz`, as long as it is not ready: its reasons.
fn wait_until_not_ready(running: &Running) -> String {
    wait_for("it not to be ready", || Some(running.get("/readyz")).filter(|(status, _)| *status == 503)).1
}

fn text_lines(count: usize) -> String {
    "INFO: 127.0.0.1 - \"POST /v1/completions HTTP/1.1\" 200 OK\n".repeat(count)
}

#[test]
fn a_dead_letter_that_is_full_is_not_ready_and_says_what_fills_it_and_how_to_go_on() {
    let place = Place::new(&pipeline("store"));
    let text = fs::read_to_string(place.path("p.yaml")).unwrap();
    place.set_pipeline(&format!("{text}dead_letter: {{ bytes_max: 1MiB }}\n"));
    let running = place.run();
    assert_eq!(running.get("/readyz").0, 200);
    place.append(text_lines(4_000));
    place.append(records(0..10));
    let reasons = wait_until_not_ready(&running);
    assert!(reasons.contains("the dead letter has reached its 1MiB") && reasons.contains("drop_oldest"), "{reasons}");
    let folder = place.path("data");
    assert!(!reasons.contains(folder.to_str().unwrap()), "no paths: {reasons}");
    assert_eq!(running.get("/healthz").0, 200, "a restart would not help");
    wait_for_words(&running, "when_full: drop_oldest");
    wait_for_words(&running, "decode/not_an_object");
    assert_eq!(place.store().count(), 0);
    // Room again: it gets on.
    for file in fs::read_dir(place.path("data/p/dead_letter")).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    wait_for("it to be ready", || (running.get("/readyz").0 == 200).then_some(()));
}

#[test]
fn a_state_that_cannot_be_written_is_not_ready() {
    // The store stays: only the checkpoint has no place any more.
    let place = Place::new(&pipeline("{ store: { path: elsewhere.sqlite } }"));
    place.append(records(0..10));
    let running = place.run();
    wait_for("all to be committed", || {
        fs::read_to_string(place.path("data/p/checkpoint.json")).ok().filter(|text| text.contains("a.ndjson"))
    });
    fs::remove_dir_all(place.path("data/p")).unwrap();
    place.append(records(10..20));
    let reasons = wait_until_not_ready(&running);
    assert!(reasons.contains("the checkpoint cannot be saved"), "{reasons}");
}

#[test]
fn signals_without_a_meaning_are_said_and_end_nothing() {
    let place = Place::new(&pipeline("store"));
    let mut running = place.run();
    running.signal(Signal::USR2);
    wait_for_words(&running, "SIGUSR2 is ignored");
    running.must_run();
    place.append(records(0..5));
    wait_for("the lines to be shipped", || (place.store().count() == 5).then_some(()));
    running.stop();
}

#[test]
fn a_pipeline_file_that_is_edited_under_a_running_process_is_said() {
    let place = Place::new(&pipeline("store"));
    let before = fs::read_to_string(place.path("p.yaml")).unwrap();
    let running = place.run();
    place.set_pipeline(&format!("{before}# edited\n"));
    wait_for_words(&running, "has changed since it was read");
    place.set_pipeline(&before);
    wait_for_words(&running, "is again as it was read");
    running.stop();
}

#[test]
fn a_run_once_with_a_dead_sink_says_how_long_it_waits() {
    let sink = format!("{{ elasticsearch: {{ hosts: [\"http://{}\"], data_stream: logs-a-b }} }}", free_address());
    let place = Place::new(&pipeline(&sink));
    place.append(records(0..5));
    let running = start(place.run_command(&["--once", "--listen", "off"]));
    wait_for_words(&running, "gives up when nothing has moved for 5m");
}

#[test]
fn the_end_tells_what_was_dropped_and_dead_lettered_and_by_what() {
    let rule = "  - drop: { name: health, when: \"event : health\" }\n";
    let place = Place::new(&pipeline_of("paths: [\"logs/*.ndjson\"]", rule, "store"));
    place.append(records(0..3));
    place.append("{\"event\":\"health\"}\n{\"event\":\"health\"}\nno record\n{\"a\":}\nneither\n");
    let ended = place.run_once_to(1);
    let words = "ended: read 8 lines";
    assert!(ended.stderr.contains(words), "{ended:?}");
    let parts =
        "; 2 dropped (health 2); 3 to the dead letter (decode/not_an_object 2, decode/invalid_json 1); store: 3";
    assert!(ended.stderr.contains(parts), "{ended:?}");
}

#[test]
fn dead_letters_are_in_the_log_of_a_run_that_goes_on() {
    let place = Place::new(&pipeline("store"));
    place.append(text_lines(3));
    let running = place.run();
    wait_for_words(&running, "3 went to the dead letter: decode/not_an_object 3");
    running.stop();
}

#[test]
fn inferences_that_model_metrics_does_not_count_are_said() {
    let place = Place::new(&pipeline("store\nobserve: [model_metrics]"));
    place.append("{\"event\":\"prediction served\",\"confidence\":0.31,\"timestamp\":\"2026-11-23T10:00:01Z\"}\n");
    let running = place.run();
    wait_for_words(&running, "`model_metrics` does not count records that have a prediction, confidence or latency");
    running.wait_for_metric("inferlog_observe_passed_over_total{pipeline=\"p\"}", 1);
    running.stop();
}

#[test]
fn the_log_says_as_much_as_it_is_asked_to() {
    let place = Place::new(&pipeline("store"));
    place.append(records(0..5));
    let said = |level: &str| {
        let mut command = place.run_command(&["--once", "--listen", "off"]);
        command.env("INFERLOG_LOG", level);
        start(command).wait()
    };
    let nonsense = said("nonsense");
    assert_eq!(nonsense.code, Some(2), "{nonsense:?}");
    assert!(nonsense.stderr.contains("`INFERLOG_LOG`: `nonsense` is no level"), "{nonsense:?}");
    let debug = said("debug");
    assert!(debug.stderr.contains("DEBUG") && debug.stderr.contains("the sink answered"), "{debug:?}");
    append(&place.log(), records(5..9));
    let info = said("");
    assert!(info.stderr.contains("INFO") && !info.stderr.contains("DEBUG"), "{info:?}");
    append(&place.log(), records(9..12));
    assert_eq!(said("off").stderr, "");
}
