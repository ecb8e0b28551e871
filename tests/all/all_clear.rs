//! No false all-clear: each verb and endpoint that can say «all is well» says otherwise when it is not so, or when it
//! could not look. What each looks at is the table in `docs/operations.md`.

use std::fs;

use crate::place::{Ended, Place, append, free_address, pipeline, pipeline_of, records, start, wait_for};

/// A pipeline that ships to a server that is not there.
fn dead_sink() -> String {
    format!("{{ elasticsearch: {{ hosts: [\"http://{}\"], data_stream: logs-ml.inference-a }} }}", free_address())
}

fn carry_out(place: &Place, arguments: &str) -> Ended {
    start(place.inferlog(&arguments.split(' ').collect::<Vec<_>>())).wait()
}

/// Makes something wrong, in a place with 5 records of which all are shipped, and asks.
fn check(arguments: &str, spoil: impl Fn(&Place), code: i32, words: &str) {
    let place = Place::new(&pipeline("store"));
    place.append(records(0..5));
    place.run_once_to(0);
    spoil(&place);
    let ended = carry_out(&place, arguments);
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.code, Some(code), "{arguments}: {ended:?}");
    assert!(said.contains(words), "{arguments}: `{words}` is not said: {ended:?}");
}

const STATE: &str = "--data-dir data";

#[test]
fn what_is_well_is_said_to_be_well() {
    let nothing = |_: &Place| {};
    check("check p.yaml", nothing, 0, "as it should be");
    check(&format!("reconcile p.yaml {STATE}"), nothing, 0, "all 5 lines are accounted for");
    check(&format!("dead-letter list {STATE}"), nothing, 0, "no entries in the dead letter of p");
    // Up to a time before the run ended: later ones could have come.
    check(&format!("query * --to 2026-11-24 --require-complete {STATE}"), nothing, 0, "complete through");
}

#[test]
fn check_says_otherwise() {
    let remove_logs = |place: &Place| fs::remove_file(place.log()).unwrap();
    check("check p.yaml", remove_logs, 0, "valid, with 1 warning");
    check("check p.yaml", |place| place.set_pipeline("sink: store\n"), 2, "a pipeline needs `source`");
    let keep = |place: &Place| {
        let hides = "- redact: { fields: [user.email] }";
        place.set_pipeline(&pipeline_of("paths: [\"logs/*\"]", hides, "store\ndead_letter: { raw: keep }"));
    };
    check("check p.yaml", keep, 0, "it may hold a part of what the pipeline hides");
    check("check p.yaml --connect", |place| place.set_pipeline(&pipeline(&dead_sink())), 2, "could not look");
    check("check p.yaml --sample logs/none", |_| {}, 2, "logs/none");
    check("check p.yaml --sample logs/a.ndjson", |place| place.append("no record\n"), 0, "not_an_object");
}

#[test]
fn test_says_otherwise() {
    let tests = |place: &Place, tests: &str| {
        place.set_pipeline(&format!("{}tests:\n  - {tests}\n", pipeline("store")));
    };
    check("test p.yaml", |_| {}, 0, "it has no `tests:`");
    check("test p.yaml --require-coverage", |_| {}, 1, "not covered");
    check("test p.yaml", |place| tests(place, "{ name: a, line: '{\"a\":1}', expect: { a: 2 } }"), 1, "FAILED");
    check("test p.yaml", |place| tests(place, "{ name: a, line: '{}', expct: { a: 2 } }"), 2, "unknown key `expct`");
}

#[test]
fn setup_says_otherwise() {
    for what in ["plan", "apply", "check"] {
        check(&format!("setup {what} p.yaml"), |place| place.set_pipeline(&pipeline(&dead_sink())), 2, "error:");
        check(&format!("setup {what} p.yaml"), |_| {}, 2, "no `elasticsearch` sink");
    }
}

#[test]
fn query_says_otherwise() {
    let unread = |place: &Place| place.append(records(5..6));
    check(&format!("query * --require-complete {STATE}"), unread, 1, "pipeline `p` lags: ");
    check("query * --data-dir elsewhere", |_| {}, 2, "there is no store");
    let unreadable = |place: &Place| {
        fs::remove_dir_all(place.path("data/p")).unwrap();
        std::os::unix::fs::symlink(place.path("data/p"), place.path("data/p")).unwrap();
    };
    check(&format!("query * {STATE}"), unreadable, 2, "cannot look for stores in `data`");
    let remove_store = |place: &Place| fs::remove_file(place.path("data/p/store.sqlite")).unwrap();
    check(&format!("query * --pipeline p.yaml {STATE}"), remove_store, 2, "error:");
    check("query * --pipeline p.yaml", |place| place.set_pipeline(&pipeline(&dead_sink())), 2, "error:");
}

#[test]
fn reconcile_says_otherwise() {
    let unread = |place: &Place| place.append(records(5..6));
    check(&format!("reconcile p.yaml {STATE}"), unread, 1, "wait in 1 file;");
    check(&format!("reconcile p.yaml {STATE} --up-to-committed"), unread, 0, "all 5 lines are accounted for");
    let unmet = |place: &Place| append(&place.path("logs/b.ndjson"), records(5..6));
    check(&format!("reconcile p.yaml {STATE}"), unmet, 1, "wait in 1 file, 1 of them never met;");
    let delete = |place: &Place| {
        let store = rusqlite::Connection::open(place.path("data/p/store.sqlite")).unwrap();
        store.execute_batch("DELETE FROM records WHERE rowid = 1").unwrap();
    };
    check(&format!("reconcile p.yaml {STATE}"), delete, 1, "missing");
    check("reconcile p.yaml --data-dir elsewhere", |_| {}, 2, "error:");
}

#[test]
fn dead_letter_list_says_otherwise() {
    check("dead-letter list --data-dir elsewhere", |_| {}, 2, "elsewhere");
    let unreadable = |place: &Place| {
        let folder = place.path("data/p/dead_letter");
        fs::remove_dir_all(&folder).unwrap();
        std::os::unix::fs::symlink(&folder, &folder).unwrap();
    };
    check(&format!("dead-letter list {STATE}"), unreadable, 2, "error:");
}

#[test]
fn run_once_says_otherwise() {
    let run = format!("run p.yaml --once --listen off {STATE}");
    check(&run, |_| {}, 0, "ended");
    check(&run, |place| place.append("no record\n"), 1, "1 to the dead letter (decode/not_an_object 1)");
    check(&run, |place| place.append("{\"half\":"), 1, "left unread");
    let unreadable = |place: &Place| {
        std::os::unix::fs::symlink(place.path("logs/b.ndjson"), place.path("logs/b.ndjson")).unwrap();
    };
    check(&run, unreadable, 1, "could not be read");
}

#[test]
fn readyz_says_otherwise_and_healthz_does_not_ask_for_a_restart_that_would_not_help() {
    let place = Place::new(&pipeline(&dead_sink()));
    place.append(records(0..5));
    let running = place.run();
    let reasons =
        wait_for("it not to be ready", || Some(running.get("/readyz")).filter(|(status, _)| *status == 503)).1;
    assert!(reasons.contains("\"ready\":false") && reasons.contains("\"sink\":\"elasticsearch\""), "{reasons}");
    assert_eq!(running.get("/healthz"), (200, "alive\n".to_owned()));
}

#[test]
fn the_document_has_a_row_for_each() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md");
    let text = fs::read_to_string(path).unwrap();
    for what in [
        "`check`",
        "`check --connect`",
        "`check --sample LOG`",
        "`test`",
        "`setup plan`",
        "`setup check`",
        "exit 0 of `setup apply`",
        "`query`",
        "`reconcile`",
        "`dead-letter list`",
        "`/readyz`",
        "`/healthz`",
        "exit 0 of `health`",
        "exit 0 of `run --once`",
        "exit 0 of `run`",
    ] {
        assert!(text.contains(&format!("| {what} |")), "docs/operations.md has no row for {what}");
    }
}
