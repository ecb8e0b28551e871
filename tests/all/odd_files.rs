//! Files as they are found in the field: with zeros, cut archives, other encodings, ends without a line end, odd names, and
//! restored from a backup. What is right is delivered once, and what is wrong is said.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;

use crate::place::{Ended, Place, append, pipeline, pipeline_of, record, records, wait_for};

fn store() -> String {
    pipeline("{ store: {} }")
}

/// The pipeline with these options of `files` beside the paths.
fn with(options: &str) -> String {
    pipeline_of(&format!("paths: [\"logs/*\"], poll_interval: 50ms, {options}"), "", "{ store: {} }")
}

pub(crate) fn numbers(place: &Place) -> Vec<u64> {
    let documents = place.store().documents();
    let number =
        |document: &String| serde_json::from_str::<serde_json::Value>(document).unwrap()["n"].as_u64().unwrap();
    let mut numbers: Vec<u64> = documents.iter().map(number).collect();
    numbers.sort_unstable();
    numbers
}

pub(crate) fn reconcile(place: &Place) -> Ended {
    crate::place::start(place.inferlog(&["reconcile", "p.yaml", "--data-dir", "data"])).wait()
}

#[test]
fn zeros_cost_no_record_but_those_that_they_destroyed() {
    let whole = records(0..6);
    let at = |n: u64| records(0..n).len();
    for (what, from, to, missing) in [
        ("a record with its line end", at(2), at(3), vec![2]),
        ("a record but for its line end", at(2), at(3) - 1, vec![2]),
        ("the end of one and the beginning of the next", at(2) + 20, at(3) + 20, vec![2, 3]),
        ("the line end alone and some bytes more", at(3) - 1, at(4), vec![3]),
    ] {
        let place = Place::new(&store());
        let mut bytes = whole.clone().into_bytes();
        bytes[from..to].fill(0);
        place.append(&bytes);
        let ended = place.run_once_to(1);
        assert!(ended.stderr.contains("NUL bytes"), "{what}: {ended:?}");
        assert_eq!(numbers(&place), (0..6).filter(|n| !missing.contains(n)).collect::<Vec<_>>(), "{what}");
        let entries = place.dead_letters();
        assert_eq!(entries.iter().map(|entry| entry["reason"].as_str().unwrap()).collect::<Vec<_>>(), ["nul_bytes"]);
        assert_eq!(place.run_once().code, Some(0), "{what}: settled");
        let reconciled = reconcile(&place);
        assert_eq!(reconciled.code, Some(0), "{what}: {reconciled:?}");
    }
}

#[test]
fn zeros_at_the_end_are_said_and_what_is_appended_behind_them_is_read() {
    let place = Place::new(&store());
    place.append([records(0..3).as_bytes(), &[0; 4096]].concat());
    let ended = place.run_once_to(1);
    assert!(ended.stderr.contains("4096 bytes that are no whole line"), "{ended:?}");
    assert_eq!((numbers(&place), place.dead_letters().len()), (vec![0, 1, 2], 0));
    place.append(records(3..5));
    place.run_once_to(1);
    assert_eq!((numbers(&place), place.dead_letters().len()), (vec![0, 1, 2, 3, 4], 1));
    assert_eq!(reconcile(&place).code, Some(0));
}

#[test]
fn a_writer_that_allocates_ahead_is_followed_while_it_writes() {
    let place = Place::new(&store());
    let log = fs::File::create(place.log()).unwrap();
    log.set_len(65_536).unwrap();
    let running = place.run();
    let mut at = 0;
    for n in 0..100 {
        let line = record(n);
        log.write_all_at(line.as_bytes(), at).unwrap();
        at += line.len() as u64;
        if n % 20 == 19 {
            wait_for("the records to be seen while the file is open", || {
                (place.store().count() == n + 1).then_some(())
            });
        }
    }
    running.wait_for_metric("inferlog_source_lag_bytes{pipeline=\"p\"}", 0);
    log.set_len(at).unwrap();
    running.stop();
    place.run_once_to(0);
    place.store().must_hold_each_once(100);
    assert_eq!(place.dead_letters(), Vec::<serde_json::Value>::new());
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn of_a_flawed_archive_what_decompresses_is_delivered() {
    let place = Place::new(&with("first_seen: beginning"));
    let cut = gzip(&records(30..130));
    let write = |name: &str, bytes: &[u8]| fs::write(place.path(&format!("logs/{name}.log.gz")), bytes).unwrap();
    write("members", &[gzip(&records(0..10)), gzip(&records(10..20))].concat());
    write("zeros", &[&gzip(&records(20..30))[..], &[0; 512]].concat());
    write("cut", &cut[..cut.len() * 2 / 3]);
    write("empty", b"");
    write("plain", records(130..140).as_bytes());
    write("junk", &[&gzip(&records(140..150))[..], b"trailing junk"].concat());
    let ended = place.run_once_to(1);
    for expected in ["cut.log.gz", "ends before its content does", "junk.log.gz", "no compressed data follow"] {
        assert!(ended.stderr.contains(expected), "{expected}: {ended:?}");
    }
    assert!(!ended.stderr.contains("permission") && !ended.stderr.contains("empty.log.gz"), "{ended:?}");
    let found = numbers(&place);
    let count = |range: std::ops::Range<u64>| found.iter().filter(|n| range.contains(n)).count();
    assert_eq!((count(0..30), count(130..150), place.dead_letters().len()), (30, 20, 0));
    let of_cut = count(30..130);
    assert!((30..100).contains(&of_cut), "{of_cut} of the cut archive");
    // The whole one takes its place.
    write("cut", &cut);
    place.run_once_to(0);
    place.store().must_hold_each_once(150);
}

#[test]
fn a_line_without_end_is_said_or_taken() {
    let whole = record(0);
    let place = Place::new(&with("unterminated_after: 1s"));
    place.append(whole.trim_end());
    let running = place.run();
    wait_for("the line to be taken", || (place.store().count() == 1).then_some(()));
    running.stop();
    let place = Place::new(&store());
    place.append(whole.trim_end());
    let running = place.run();
    wait_for("a word about it", || running.stderr().contains("has no line end, and waits").then_some(()));
    assert!(running.stderr().contains("unterminated_after"));
    running.stop();
    assert_eq!(place.store().count(), 0);
}

#[test]
fn a_path_that_finds_nothing_is_said_and_a_name_with_brackets_is_found() {
    let paths = "paths: [\"logs/[prod] eu/*.ndjson\", \"logs/model[v2].ndjson\", \"nowhere/*.ndjson\"]";
    let place = Place::new(&pipeline_of(paths, "", "{ store: {} }"));
    fs::create_dir(place.path("logs/[prod] eu")).unwrap();
    append(&place.path("logs/[prod] eu/a.ndjson"), record(0));
    append(&place.path("logs/model[v2].ndjson"), record(1));
    let checked = crate::place::start(place.inferlog(&["check", "p.yaml"])).wait();
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let words = checked.stdout + &checked.stderr;
    assert!(words.contains("nowhere") && words.contains("finds no file now"), "{words}");
    assert_eq!(words.matches("finds no file").count(), 1, "{words}");
    let ended = place.run_once_to(0);
    assert!(ended.stderr.contains("finds no file") && ended.stderr.contains("files=2"), "{ended:?}");
    place.store().must_hold_each_once(2);
    let running = place.run();
    running.wait_for_metric("inferlog_source_matched_files{pipeline=\"p\"}", 2);
    running.stop();
}

#[test]
fn logs_that_are_restored_while_it_runs_or_not_ship_once() {
    let place = Place::new(&store());
    for n in 0..3 {
        append(&place.path(&format!("logs/{n}.ndjson")), records(n * 100..(n + 1) * 100));
    }
    place.run_once_to(0);
    let restore = || {
        let copy = |from: &str, to: &str| {
            fs::create_dir(place.path(to)).unwrap();
            for n in [2, 0, 1] {
                fs::copy(place.path(&format!("{from}/{n}.ndjson")), place.path(&format!("{to}/{n}.ndjson"))).unwrap();
            }
            fs::remove_dir_all(place.path(from)).unwrap();
        };
        copy("logs", "backup");
        copy("backup", "logs");
    };
    restore();
    place.run_once_to(0);
    assert_eq!(place.store().count(), 300);
    let running = place.run();
    wait_for("the files to be known", || {
        running.metrics().contains_key("inferlog_source_lag_bytes{pipeline=\"p\"}").then_some(())
    });
    restore();
    append(&place.path("logs/1.ndjson"), record(300));
    wait_for("what is appended", || (place.store().count() >= 301).then_some(()));
    running.stop();
    place.run_once_to(0);
    place.store().must_hold_each_once(301);
}

#[test]
fn an_older_backup_cannot_be_told_from_a_new_file_and_both_are_named() {
    let place = Place::new(&store());
    place.append(records(0..20));
    place.run_once_to(0);
    append(&place.path("backup"), records(0..15) + &record(99));
    fs::remove_file(place.log()).unwrap();
    fs::rename(place.path("backup"), place.path("logs/a-restored.ndjson")).unwrap();
    let ended = place.run_once_to(0);
    for words in ["begins as a known one that is gone", "a-restored.ndjson", "known=", "logs/a.ndjson"] {
        assert!(ended.stderr.contains(words), "no `{words}`: {ended:?}");
    }
    assert_eq!(place.store().count(), 20 + 16, "it is read");
}

#[test]
fn a_mark_in_mid_file_is_no_part_of_a_line() {
    let place = Place::new(&store());
    let text = format!("\u{feff}{}\u{feff}{}{{\"broken\"\n", record(0), record(1));
    place.append(text);
    place.run_once_to(1);
    place.store().must_hold_each_once(2);
    assert_eq!(reconcile(&place).code, Some(0));
}
