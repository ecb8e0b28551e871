//! `inferlog reconcile`: every line is accounted for, and what is not is named.

use std::fs;
use std::process::Command;
use std::time::Instant;

use rusqlite::Connection;
use serde_json::Value;

use crate::numbered::{self, report};
use crate::place::{Ended, Place, append, pipeline_of, records, start};
use crate::scripted::{Answer, scripted};
use crate::support::{Method, Node};

const FILES: &str = "paths: [\"logs/*.ndjson\"], poll_interval: 50ms";

const DROP_NOISE: &str = "- drop: { name: noise, when: \"event : noise\" }";

fn place(processors: &str) -> Place {
    Place::new(&pipeline_of(FILES, processors, "store"))
}

/// Each tenth line is no record, and each tenth one is dropped.
fn dirty_lines(count: u64) -> String {
    let line = |n: u64| match n % 10 {
        3 => format!("line {n} of a web server\n"),
        4 => format!("{{\"event\":\"noise\",\"n\":{n}}}\n"),
        _ => format!("{{\"event\":\"inference\",\"n\":{n},\"timestamp\":\"2026-11-23T10:00:00Z\"}}\n"),
    };
    (0..count).map(line).collect()
}

fn reconcile(place: &Place, more: &[&str]) -> Ended {
    let mut command = place.inferlog(&["reconcile", "p.yaml", "--data-dir", "data"]);
    command.args(more);
    start(command).wait()
}

/// What the report says as a whole: exit code, and the sums of its rows.
fn sums(place: &Place) -> (Option<i32>, Value) {
    let ended = reconcile(place, &["--format", "json"]);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    (ended.code, report)
}

fn sum(report: &Value, column: &str) -> u64 {
    report["rows"].as_array().unwrap().iter().map(|row| row[column].as_u64().unwrap()).sum()
}

/// Code, and: lines, indexed, dropped, erased, dead-lettered, missing, unexpected, undecidable.
fn check(place: &Place, code: i32, expected: [u64; 8]) -> Value {
    let (found_code, report) = sums(place);
    let columns = ["lines", "indexed", "dropped", "erased", "dead_lettered", "missing", "unexpected", "undecidable"];
    assert_eq!(columns.map(|column| sum(&report, column)), expected, "{report}");
    assert_eq!((found_code, &report["complete"]), (Some(code), &Value::Bool(code == 0)), "{report}");
    report
}

fn sql(place: &Place, text: &str) {
    let store = Connection::open(place.path("data/p/store.sqlite")).unwrap();
    store.execute_batch(text).unwrap();
}

fn proofs(report: &Value) -> Vec<&str> {
    report["rows"].as_array().unwrap().iter().map(|row| row["proof"].as_str().unwrap()).collect()
}

#[test]
fn every_line_is_accounted_for_and_one_deleted_document_is_named() {
    let place = place(DROP_NOISE);
    append(&place.log(), dirty_lines(1_000));
    place.run_once_to(1);
    let report = check(&place, 0, [1_000, 800, 100, 0, 100, 0, 0, 0]);
    assert_eq!(proofs(&report), ["lines"]);

    sql(&place, "DELETE FROM records WHERE json_extract(document, '$.n') = 777");
    let report = check(&place, 1, [1_000, 799, 100, 0, 100, 1, 0, 0]);
    let text = fs::read_to_string(place.log()).unwrap();
    let finding = &report["findings"][0];
    assert_eq!(finding["what"], "missing");
    assert_eq!(finding["path"], place.log().canonicalize().unwrap().to_str().unwrap());
    assert_eq!(
        finding["offset_bytes"],
        text.find("\"n\":777,").unwrap() as u64 - "{\"event\":\"inference\",".len() as u64
    );
    let table = reconcile(&place, &[]);
    assert!(table.stdout.contains("missing: ") && table.stderr.contains("of 1000 lines 1 are missing"), "{table:?}");
}

#[test]
fn a_document_that_no_line_made_is_unexpected() {
    let place = place(DROP_NOISE);
    append(&place.log(), dirty_lines(100));
    place.run_once_to(1);
    sql(
        &place,
        "INSERT INTO records (id, timestamp_us, log_inode, log_generation, log_offset_bytes, document)
         SELECT 'AAAAAAAAAAAAAAAAAAAAAAAAAAAA', timestamp_us, log_inode, log_generation, 0, document FROM records LIMIT 1",
    );
    let report = check(&place, 1, [100, 80, 10, 0, 10, 0, 1, 0]);
    assert_eq!(report["findings"][0]["id"], "AAAAAAAAAAAAAAAAAAAAAAAAAAAA");
}

/// What waits, by the report: bytes, files, and files that were never met.
fn waits(report: &Value) -> [u64; 3] {
    ["waiting_bytes", "waiting_files", "unmet_files"].map(|name| report["frontier"][name].as_u64().unwrap())
}

#[test]
fn what_waits_is_told_and_nothing_is_complete_before_it_is_settled() {
    let place = place("");
    append(&place.log(), records(0..10));
    append(&place.path("logs/b.ndjson"), records(10..20));
    place.run_once_to(0);
    let report = check(&place, 0, [20, 20, 0, 0, 0, 0, 0, 0]);
    assert_eq!((waits(&report), &report["frontier"]["matched_files"]), ([0, 0, 0], &Value::from(2)), "{report}");
    let table = reconcile(&place, &[]);
    assert!(table.stderr.contains("all 20 lines are accounted for, through the end of the 2 files that"), "{table:?}");

    let more = records(20..40);
    append(&place.log(), &more);
    append(&place.path("logs/c.ndjson"), records(40..45));
    let bytes = (more.len() + records(40..45).len()) as u64;
    let report = check(&place, 1, [20, 20, 0, 0, 0, 0, 0, 0]);
    assert_eq!(waits(&report), [bytes, 2, 1], "{report}");
    assert_eq!(proofs(&report), ["lines", "lines", "waiting"]);
    assert_eq!(report["rows"][0]["waiting_bytes"], more.len(), "{report}");
    let table = reconcile(&place, &[]);
    assert_eq!(table.code, Some(1), "{table:?}");
    let words =
        ["all 20 lines are accounted for, through the offsets committed at 20", "wait in 2 files, 1 of them never met"];
    assert!(words.iter().all(|words| table.stderr.contains(words)), "{table:?}");
    let offset = format!("a.ndjson, from offset {} on, ", records(0..10).len());
    assert!(table.stdout.contains(&offset) && table.stdout.contains("c.ndjson, never met, "), "{table:?}");

    // Only what was read, when that is asked for.
    let committed = reconcile(&place, &["--up-to-committed", "--format", "json"]);
    let report: Value = serde_json::from_str(&committed.stdout).unwrap();
    assert_eq!((committed.code, &report["complete"], waits(&report)), (Some(0), &true.into(), [bytes, 2, 1]));
    assert_eq!((report["scope"].as_str(), sum(&report, "waiting_bytes")), (Some("committed"), bytes));
    place.run_once_to(0);
    check(&place, 0, [45, 45, 0, 0, 0, 0, 0, 0]);

    // The end of a line that is not written yet, and a file that was cut and begun anew.
    append(&place.log(), "{\"n\":");
    assert_eq!(waits(&check(&place, 1, [45, 45, 0, 0, 0, 0, 0, 0])), [5, 1, 0]);
    fs::write(place.path("logs/c.ndjson"), "{\"n\":1}\n").unwrap();
    let (code, report) = sums(&place);
    assert_eq!((code, waits(&report)), (Some(1), [13, 2, 1]), "{report}");
}

#[test]
fn a_file_that_is_gone_is_proven_by_its_accounts() {
    let place = place(DROP_NOISE);
    append(&place.log(), dirty_lines(1_000));
    append(&place.path("logs/b.ndjson"), records(0..50));
    place.run_once_to(1);
    fs::remove_file(place.log()).unwrap();
    let report = check(&place, 0, [1_050, 850, 100, 0, 100, 0, 0, 0]);
    assert_eq!(proofs(&report), ["accounts", "lines"]);
    let table = reconcile(&place, &[]);
    assert!(table.stderr.contains("1 file is gone and proven by the accounts"), "{table:?}");

    // Also when the checkpoint has forgotten it, and after further runs.
    place.run_once_to(0);
    check(&place, 0, [1_050, 850, 100, 0, 100, 0, 0, 0]);
    sql(&place, "DELETE FROM records WHERE json_extract(document, '$.n') = 555 AND log_file_path LIKE '%a.ndjson'");
    let report = check(&place, 1, [1_050, 849, 100, 0, 100, 1, 0, 0]);
    assert!(report["rows"][0]["note"].as_str().unwrap().contains("how many, not which"));

    fs::remove_file(place.path("logs/b.ndjson")).unwrap();
    sql(&place, "DELETE FROM accounts");
    let (code, report) = sums(&place);
    assert_eq!((code, proofs(&report)), (Some(1), vec!["none", "none"]), "{report}");
}

#[test]
fn a_compressed_or_renamed_file_is_judged_line_by_line() {
    let place = place("");
    append(&place.log(), records(0..500));
    append(&place.path("logs/b.ndjson"), records(500..600));
    place.run_once_to(0);
    let gzip = Command::new("gzip").arg(place.log()).status().unwrap();
    assert!(gzip.success());
    fs::rename(place.path("logs/b.ndjson"), place.path("logs/b.old")).unwrap();
    let report = check(&place, 0, [600, 600, 0, 0, 0, 0, 0, 0]);
    assert_eq!(proofs(&report), ["lines", "lines"]);
}

#[test]
fn what_another_configuration_dropped_is_proven_by_its_account_or_undecidable() {
    let place = place(DROP_NOISE);
    append(&place.log(), dirty_lines(100));
    place.run_once_to(1);
    // Today nothing would be dropped.
    place.set_pipeline(&pipeline_of(FILES, "", "store"));
    append(&place.log(), records(0..5));
    place.run_once_to(0);
    check(&place, 0, [105, 85, 10, 0, 10, 0, 0, 0]);
    // One of eleven lines that are nowhere was kept: the account of the time tells which one.
    sql(&place, "DELETE FROM records WHERE json_extract(document, '$.n') = 55");
    let report = check(&place, 1, [105, 84, 10, 0, 10, 1, 0, 0]);
    assert_eq!(report["findings"].as_array().unwrap().len(), 1);
    // Two of twelve: it might be any of them.
    sql(&place, "DELETE FROM records WHERE json_extract(document, '$.n') = 56");
    let report = check(&place, 1, [105, 83, 0, 0, 10, 0, 0, 12]);
    assert_eq!(report["findings"].as_array().unwrap().len(), 12);
    // Lines of today's configuration are still named.
    sql(&place, "DELETE FROM records WHERE json_extract(document, '$.request_id') LIKE '%3'");
    check(&place, 1, [105, 82, 0, 0, 10, 1, 0, 12]);
}

#[test]
fn a_loss_is_proven_whatever_the_pipeline_file_says_today() {
    let place = place(DROP_NOISE);
    append(&place.log(), dirty_lines(100));
    place.run_once_to(1);
    sql(&place, "DELETE FROM records WHERE json_extract(document, '$.n') IN (55, 56, 57)");
    check(&place, 1, [100, 77, 10, 0, 10, 3, 0, 0]);
    // A character more in a comment, another rule's name, another member: the same lines are kept.
    for processors in [
        format!("{DROP_NOISE} # no"),
        DROP_NOISE.replace("name: noise", "name: silence"),
        format!("- add: {{ fields: {{ x: 1 }} }}\n{DROP_NOISE}"),
    ] {
        place.set_pipeline(&pipeline_of(FILES, &processors, "store"));
        let report = check(&place, 1, [100, 77, 10, 0, 10, 3, 0, 0]);
        assert_eq!(report["findings"].as_array().unwrap().len(), 3);
    }
    // Today's file would give them other ids: what is there is known by its place, what is not is not told apart.
    let other_ids = format!("{DROP_NOISE}\n- id: {{ from: [n] }}");
    place.set_pipeline(&pipeline_of(FILES, &other_ids, "store"));
    check(&place, 1, [100, 77, 0, 0, 10, 0, 0, 13]);
    sql(&place, "DELETE FROM accounts");
    check(&place, 1, [100, 0, 10, 0, 10, 80, 77, 0]);
}

#[test]
fn what_a_condition_on_the_path_decided_before_a_rename_is_told_by_the_account() {
    let rule = "- drop: { name: noise, when: \"log.file.path : *a.ndjson and event : noise\" }";
    let place = place(rule);
    append(&place.log(), dirty_lines(100));
    place.run_once_to(1);
    check(&place, 0, [100, 80, 10, 0, 10, 0, 0, 0]);
    fs::rename(place.log(), place.path("logs/renamed")).unwrap();
    // By its name now nothing of it would be dropped.
    check(&place, 0, [100, 80, 10, 0, 10, 0, 0, 0]);
    sql(&place, "DELETE FROM records WHERE json_extract(document, '$.n') = 55");
    check(&place, 1, [100, 79, 10, 0, 10, 1, 0, 0]);
    sql(&place, "DELETE FROM accounts");
    check(&place, 1, [100, 79, 0, 0, 10, 0, 0, 11]);
}

/// Lets the accounts count what they tell of files in sum, as they do where there are too many.
fn tell_in_sum(place: &Place, path_end: &str) {
    let store = Connection::open(place.path("data/p/store.sqlite")).unwrap();
    let mut select = store.prepare("SELECT rowid, document FROM accounts").unwrap();
    let accounts = select.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))).unwrap();
    for (row, document) in accounts.map(Result::unwrap).collect::<Vec<_>>() {
        let mut account: Value = serde_json::from_str(&document).unwrap();
        let Some(files) = account["account.files"].as_array_mut() else { continue };
        let named = |file: &Value| file["path"].as_str().unwrap().ends_with(path_end);
        let Some(at) = files.iter().position(named) else { continue };
        let mut sum = files.remove(at);
        sum["ranges"] = 1.into();
        account["account.unlisted"] = sum;
        store.execute("UPDATE accounts SET document = ?1 WHERE rowid = ?2", (account.to_string(), row)).unwrap();
    }
}

#[test]
fn what_accounts_count_in_sum_is_proven_while_it_is_there_and_undecidable_after() {
    let place = place(DROP_NOISE);
    append(&place.log(), dirty_lines(1_000));
    append(&place.path("logs/b.ndjson"), records(0..50));
    place.run_once_to(1);
    tell_in_sum(&place, "b.ndjson");
    check(&place, 0, [1_050, 850, 100, 0, 100, 0, 0, 0]);
    // Gone, and forgotten by the checkpoint: the documents of which nobody tells are not called complete.
    fs::remove_file(place.path("logs/b.ndjson")).unwrap();
    let path = place.path("data/p/checkpoint.json");
    let mut checkpoint: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let files = checkpoint["files"].as_array_mut().unwrap();
    files.retain(|file| !file["path"].as_str().unwrap().ends_with("b.ndjson"));
    assert_eq!(files.len(), 1);
    fs::write(&path, checkpoint.to_string()).unwrap();
    let report = check(&place, 1, [1_000, 800, 100, 0, 100, 0, 0, 50]);
    assert_eq!(proofs(&report), ["none", "lines"], "{report}");
    assert!(report["rows"][0]["note"].as_str().unwrap().contains("50 lines of 1 range in sum and not by file"));
}

#[test]
fn a_record_without_a_time_of_its_own_is_expired_or_undecidable_after_retention() {
    let place = Place::new(&pipeline_of("paths: [\"logs/*.ndjson\"]", "", "store"));
    append(&place.log(), "{\"n\":1}\n{\"n\":2}\n");
    place.run_once_to(0);
    check(&place, 0, [2, 2, 0, 0, 0, 0, 0, 0]);
    // As retention leaves it, when it has deleted records up to a moment.
    let expired = |place: &Place, until_us: i64| {
        sql(
            place,
            &format!(
                "DELETE FROM records; DELETE FROM expired;
                 INSERT INTO expired VALUES ({until_us})"
            ),
        );
    };
    let now_us = chrono::Utc::now().timestamp_micros();
    expired(&place, now_us + 3_600_000_000);
    let (code, report) = sums(&place);
    assert_eq!((code, sum(&report, "expired"), sum(&report, "missing")), (Some(0), 2, 0), "{report}");
    // Read about then: nobody knows whether before or after.
    expired(&place, now_us - 3_600_000_000);
    check(&place, 1, [2, 0, 0, 0, 0, 0, 0, 2]);
}

#[test]
fn an_erased_record_is_neither_missing_nor_brought_back() {
    let place = place("");
    append(&place.log(), records(0..100));
    append(&place.path("logs/b.ndjson"), records(100..110));
    place.run_once_to(0);
    sql(
        &place,
        "INSERT INTO tombstones SELECT id, 'digest', 'order-7', 'request of the subject', 'dpo', 0, log_inode,
             log_generation, log_offset_bytes FROM records WHERE json_extract(document, '$.n') IN (42, 105);
         DELETE FROM records WHERE json_extract(document, '$.n') IN (42, 105);",
    );
    check(&place, 0, [110, 108, 0, 2, 0, 0, 0, 0]);
    // Everything is read again, and the gone file is proven by accounts.
    fs::remove_file(place.path("data/p/checkpoint.json")).unwrap();
    let ended = place.run_once_to(0);
    assert!(ended.stderr.contains("0 indexed, 108 duplicates"), "{ended:?}");
    fs::remove_file(place.path("logs/b.ndjson")).unwrap();
    assert_eq!(place.store().count(), 108);
    let report = check(&place, 0, [110, 108, 0, 2, 0, 0, 0, 0]);
    assert_eq!(proofs(&report), ["lines", "accounts"]);
}

#[test]
fn what_retention_has_deleted_is_not_missing() {
    let files = "paths: [\"logs/*.ndjson\"]";
    let place = Place::new(&pipeline_of(files, "", "{ store: { retention: { at_most: 1h } } }"));
    append(&place.log(), records(0..100));
    append(&place.log(), "{\"n\":1,\"timestamp\":\"2030-01-01T00:00:00Z\"}\n");
    let mut running = place.run();
    running.wait_for_metric("inferlog_settled_lines_total{pipeline=\"p\"}", 101);
    crate::place::wait_for("retention", || {
        running.must_run();
        (place.store().count() == 1).then_some(())
    });
    running.stop();
    let (code, report) = sums(&place);
    assert_eq!((code, sum(&report, "expired"), sum(&report, "indexed")), (Some(0), 100, 1), "{report}");
}

#[test]
fn where_there_is_nothing_to_look_at_it_says_so() {
    let place = place("");
    let ended = reconcile(&place, &[]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("has no checkpoint") && ended.stderr.contains("hint: is `--data-dir`"), "{ended:?}");
    let place = Place::new(&pipeline_of(FILES, "", "stdout"));
    append(&place.log(), records(0..3));
    place.run_once_to(0);
    let ended = reconcile(&place, &[]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("keeps nothing"), "{ended:?}");
}

#[test]
fn what_it_cannot_look_at_is_no_all_clear() {
    let cannot = |place: &Place, more: &[&str], words: &str| {
        let ended = reconcile(place, more);
        assert!(ended.code == Some(2) && ended.stderr.contains(words), "no `{words}` in {ended:?}");
    };
    // No file matches, and none ever did.
    let place = place("");
    place.run_once_to(0);
    cannot(&place, &[], "no file matches the paths of pipeline `p`");
    append(&place.log(), records(0..10));
    place.run_once_to(0);
    check(&place, 0, [10, 10, 0, 0, 0, 0, 0, 0]);
    // Something that matches cannot be looked at, by nobody.
    std::os::unix::fs::symlink("b.ndjson", place.path("logs/b.ndjson")).unwrap();
    cannot(&place, &[], "cannot look at `");
    assert_eq!(reconcile(&place, &["--up-to-committed"]).code, Some(0));
    fs::remove_file(place.path("logs/b.ndjson")).unwrap();
    // The log itself.
    fs::rename(place.log(), place.path("logs/a.old")).unwrap();
    std::os::unix::fs::symlink("a.ndjson", place.log()).unwrap();
    fs::rename(place.path("logs/a.old"), place.path("a.old")).unwrap();
    cannot(&place, &["--up-to-committed"], "a.ndjson");
    fs::remove_file(place.log()).unwrap();
    fs::rename(place.path("a.old"), place.log()).unwrap();
    // The dead letter.
    fs::rename(place.path("data/p/dead_letter"), place.path("data/p/other")).unwrap();
    fs::write(place.path("data/p/dead_letter"), "").unwrap();
    cannot(&place, &[], "cannot read the dead letter");
    fs::remove_file(place.path("data/p/dead_letter")).unwrap();
    fs::rename(place.path("data/p/other"), place.path("data/p/dead_letter")).unwrap();
    // The store, which is also one of two sinks.
    place.set_pipeline(&pipeline_of(FILES, "", "[stdout, store]"));
    let both = reconcile(&place, &[]);
    assert!(both.code == Some(0) && both.stderr.contains("sink `stdout`: it keeps nothing"), "{both:?}");
    fs::remove_file(place.path("data/p/store.sqlite")).unwrap();
    cannot(&place, &[], "cannot open the store");
    let nowhere = start(place.inferlog(&["reconcile", "p.yaml", "--data-dir", "nowhere"])).wait();
    assert!(nowhere.code == Some(2) && nowhere.stderr.contains("has no checkpoint in `nowhere/p`"), "{nowhere:?}");
}

/// An Elasticsearch of which a shard is missing when it is asked under paths that begin so: it answers everything, with
/// success.
fn partial_server(part: &'static str) -> String {
    scripted(move |asked| {
        let failed = u8::from(asked.path.starts_with(part));
        let shards = format!("\"_shards\":{{\"total\":2,\"successful\":{},\"failed\":{failed}}}", 2 - failed);
        let answer = format!(
            "{{\"count\":0,\"id\":\"v\",\"fields\":{{}},\"failed_indices\":{failed},\"hits\":{{\"hits\":[]}},\
             \"timed_out\":false,{shards}}}"
        );
        Answer::new(200, &[("content-type", "application/json"), ("x-elastic-product", "Elasticsearch")], &answer)
    })
}

#[test]
fn an_answer_in_which_a_shard_is_missing_proves_nothing() {
    let drop_all = "- drop: { name: all, when: \"*\" }";
    let place = place(drop_all);
    append(&place.log(), records(0..10));
    place.run_once_to(0);
    let missing = "1 of 2 shards did not answer";
    for (part, arguments, words) in [
        ("/logs-x/_count", "reconcile p.yaml", missing),
        ("/logs-x/_count", "query * --count --pipeline p.yaml", missing),
        // Which of some ids there are; whether any record has a field.
        ("/logs-x/_search", "reconcile p.yaml", missing),
        ("/logs-x/_search", "query a:1 --count --pipeline p.yaml", missing),
        // A view, and a page of it.
        ("/metrics-ml.pipeline-default/_pit", "reconcile p.yaml", missing),
        ("/_search", "reconcile p.yaml", missing),
        ("/logs-x/_pit", "query * --pipeline p.yaml", missing),
        ("/_search", "query * --pipeline p.yaml", missing),
        ("/logs-x/_refresh", "reconcile p.yaml", "shards"),
        ("/logs-x/_field_caps", "query * --pipeline p.yaml", "1 indices did not say which types their fields have"),
        // All of it is there.
        ("/nothing", "query * --pipeline p.yaml", ""),
    ] {
        let sink = format!("{{ elasticsearch: {{ hosts: [\"{}\"], data_stream: logs-x }} }}", partial_server(part));
        place.set_pipeline(&pipeline_of(FILES, drop_all, &sink));
        let arguments: Vec<&str> = arguments.split(' ').chain(["--data-dir", "data"]).collect();
        let ended = start(place.inferlog(&arguments)).wait();
        let code = if words.is_empty() { 0 } else { 2 };
        assert_eq!(ended.code, Some(code), "{part}, {arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(words), "{part}, {arguments:?}: {ended:?}");
    }
}

#[test]
fn one_document_of_a_million_is_found() {
    let count = if numbered::is_long() { 1_000_000 } else { 100_000 };
    let place = place("");
    append(&place.log(), records(0..count));
    place.run_once_to(0);
    let started = Instant::now();
    check(&place, 0, [count, count, 0, 0, 0, 0, 0, 0]);
    let took = started.elapsed();
    sql(&place, &format!("DELETE FROM records WHERE rowid = {}", count / 2));
    let report = check(&place, 1, [count, count - 1, 0, 0, 0, 1, 0, 0]);
    assert_eq!(report["findings"].as_array().unwrap().len(), 1);
    self::report(&format!("reconcile of {count} records in the store: {:.1} s", took.as_secs_f64()));
}

#[tokio::test]
async fn one_document_of_a_hundred_thousand_in_elasticsearch_is_found() {
    const COUNT: u64 = 100_000;
    let Some(node) = Node::plain("reconcile a hundred thousand") else { return };
    let stream = "logs-ml.inference-reconcile";
    node.forget(stream).await;
    node.forget("metrics-ml.pipeline-reconcile").await;
    let host = node.options.hosts[0].as_str();
    let sink = format!("{{ elasticsearch: {{ hosts: [\"{host}\"], data_stream: {stream} }} }}");
    let place = Place::new(&pipeline_of(FILES, DROP_NOISE, &sink));
    assert_eq!(start(place.inferlog(&["setup", "apply", "p.yaml"])).wait().code, Some(0));
    append(&place.log(), records(0..COUNT));
    append(&place.path("logs/b.ndjson"), dirty_lines(100));
    place.run_once_to(1);
    let started = Instant::now();
    let lines = COUNT + 100;
    let report = check(&place, 0, [lines, COUNT + 80, 10, 0, 10, 0, 0, 0]);
    assert_eq!(proofs(&report), ["lines", "lines"]);
    let took = started.elapsed();
    let delete = |n: u64| {
        let query = format!(
            "{{\"query\":{{\"bool\":{{\"filter\":[{{\"term\":{{\"n\":{n}}}}},{{\"exists\":{{\"field\":\"model_version\"}}}}]}}}}}}"
        );
        let path = format!("{stream}/_delete_by_query?refresh=true");
        let node = &node;
        async move { node.ask(Method::Post, &path, &query).await }
    };
    let (status, answer) = delete(54_321).await;
    assert_eq!((status, &answer["deleted"]), (200, &Value::from(1)), "{answer}");
    let report = check(&place, 1, [lines, COUNT + 79, 10, 0, 10, 1, 0, 0]);
    let text = fs::read_to_string(place.log()).unwrap();
    let offset = text.lines().take(54_321).map(|line| line.len() as u64 + 1).sum::<u64>();
    assert_eq!(report["findings"][0]["offset_bytes"], offset, "{report}");
    // The other file is whole; gone, its account says so.
    fs::remove_file(place.path("logs/b.ndjson")).unwrap();
    let report = check(&place, 1, [lines, COUNT + 79, 10, 0, 10, 1, 0, 0]);
    assert_eq!(proofs(&report), ["lines", "accounts"], "{report}");
    fs::remove_file(place.log()).unwrap();
    let report = check(&place, 1, [lines, COUNT + 79, 10, 0, 10, 1, 0, 0]);
    assert_eq!(proofs(&report), ["accounts", "accounts"], "{report}");
    // Put back under a tombstone, it is accounted for.
    let (id, file) = {
        let entry = &report["rows"][0];
        (report["findings"].as_array().map(Vec::len), entry["file"].as_str().unwrap().to_owned())
    };
    assert_eq!((id, file.contains('-')), (Some(0), true), "a file that is gone has no offsets to name");
    self::report(&format!("reconcile of {lines} records in Elasticsearch: {:.1} s", took.as_secs_f64()));
}

/// Nothing is counted twice under one name: not in the last words, the accounts, the tables or the answers.
#[test]
fn two_sinks_of_one_kind_are_told_apart_everywhere() {
    let place = Place::new(&pipeline_of(FILES, "", "[store, { store: { path: second.sqlite } }]"));
    append(&place.log(), records(0..3));
    let ended = place.run_once_to(0);
    for words in ["; store: 3 indexed", "; store-2: 3 indexed"] {
        assert!(ended.stderr.contains(words), "{ended:?}");
    }
    let tables = reconcile(&place, &[]);
    assert_eq!(tables.code, Some(0), "{tables:?}");
    for sink in ["store", "store-2"] {
        assert_eq!(tables.stderr.matches(&format!("sink `{sink}`")).count(), 1, "{tables:?}");
    }
    let accounts = Connection::open(place.path("second.sqlite")).unwrap();
    let mut indexed: Vec<(String, u64)> = Vec::new();
    let mut statement = accounts.prepare("SELECT json_extract(document, '$.\"account.sinks\"') FROM accounts").unwrap();
    for sinks in statement.query_map([], |row| row.get::<_, Option<String>>(0)).unwrap() {
        let Some(sinks) = sinks.unwrap() else { continue };
        let sinks: std::collections::BTreeMap<String, Value> = serde_json::from_str(&sinks).unwrap();
        indexed.extend(sinks.into_iter().map(|(name, counts)| (name, counts["indexed"].as_u64().unwrap())));
    }
    assert_eq!(indexed, [("store".to_owned(), 3), ("store-2".to_owned(), 3)]);

    // `query` asks the one that it is told to ask.
    let second = Connection::open(place.path("second.sqlite")).unwrap();
    second.execute_batch("DELETE FROM records WHERE json_extract(document, '$.n') = 1").unwrap();
    let count = |source: &str| {
        let arguments = ["query", "*", "--pipeline", "p.yaml", "--data-dir", "data", "--count", "--source", source];
        let ended = start(place.inferlog(&arguments)).wait();
        (ended.code, ended.stdout.trim().to_owned(), ended.stderr)
    };
    for (source, records) in [("store", "3"), ("store-2", "2")] {
        let (code, found, words) = count(source);
        assert_eq!((code, &*found), (Some(0), records), "{source}: {words}");
    }
    let (code, _, words) = count("store-3");
    assert_eq!(code, Some(2));
    assert!(words.contains("a sink `store-3`") && words.contains("`store`, `store-2`"), "{words}");
    // The first one of a kind under its kind, whatever it is called.
    let named = "[{ store: { name: here } }, { store: { name: there, path: second.sqlite } }]";
    place.set_pipeline(&pipeline_of(FILES, "", named));
    assert_eq!(count("store").1, "3");
    assert_eq!(count("there").1, "2");
}
