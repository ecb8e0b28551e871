//! `inferlog run` for good: lines that come later, stops and starts, `kill -9`, rotation, a second process, and what the
//! server says meanwhile.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use serde_json::Value;

use crate::place::{Place, Running, Signal, append, free_address, http, pipeline, record, records, start, wait_for};

const LAG: &str = "inferlog_source_lag_bytes{pipeline=\"p\"}";
const LINES: &str = "inferlog_source_read_lines_total{pipeline=\"p\"}";
const INDEXED: &str = "inferlog_sink_indexed_records_total{pipeline=\"p\",sink=\"store\"}";
const DUPLICATES: &str = "inferlog_sink_duplicate_records_total{pipeline=\"p\",sink=\"store\"}";

fn wait_for_documents(place: &Place, count: u64) {
    wait_for(&format!("{count} documents"), || (place.store().count() >= count).then_some(()));
}

#[test]
fn lines_that_come_later_arrive_and_a_stop_drains_and_a_start_goes_on() {
    let place = Place::new(&pipeline("{ store: {} }"));
    place.append(records(0..1_000));
    let running = place.run();
    wait_for_documents(&place, 1_000);
    for n in 1_000..1_050 {
        place.append(record(n));
    }
    // A line in two halves, and a file that was not there.
    let (first, second) = (record(1_050), record(1_051));
    place.append(&first[..100]);
    wait_for_documents(&place, 1_050);
    place.append(&first[100..]);
    append(&place.path("logs/b.ndjson"), second);
    wait_for_documents(&place, 1_052);
    let ended = running.stop();
    place.store().must_hold_each_once(1_052);
    assert!(ended.stderr.contains("read 1052 lines, "), "{ended:?}");

    place.append(records(1_052..1_100));
    let running = place.run();
    running.wait_for_metric(LINES, 48);
    wait_for_documents(&place, 1_100);
    running.wait_for_metric(DUPLICATES, 0);
    running.stop();
    place.store().must_hold_each_once(1_100);
}

#[test]
fn a_stop_amid_much_to_read_loses_nothing_and_the_next_start_reads_the_rest() {
    const COUNT: u64 = 100_000;
    for signal in [Signal::TERM, Signal::INT] {
        let place = Place::new(&pipeline("{ store: {} }"));
        place.append(records(0..COUNT));
        let running = place.run();
        wait_for_documents(&place, 1);
        running.signal(signal);
        let ended = running.wait();
        assert_eq!(ended.code, Some(0), "what was read is delivered: {ended:?}");
        let before = place.store().count();
        assert!(before < COUNT, "stopped too late to show anything");
        let rest = place.run_once_to(0);
        assert!(rest.stderr.contains(&format!("read {} lines, ", COUNT - before)), "{before} before, {rest:?}");
        place.store().must_hold_each_once(COUNT);
    }
}

#[test]
fn kill_9_loses_nothing_and_doubles_nothing() {
    const COUNT: u64 = 100_000;
    const KILLS: u64 = 4;
    let place = Place::new(&pipeline("{ store: {} }"));
    place.append(records(0..COUNT));
    let mut amid = 0;
    for kill in 1..=KILLS {
        let running = place.run();
        wait_for_documents(&place, kill * COUNT / 10);
        drop(running);
        amid += u64::from(place.store().count() < COUNT);
    }
    assert!(amid > 1, "killed too late to show anything");
    place.run_once_to(0);
    place.store().must_hold_each_once(COUNT);
    assert!(place.dead_letters().is_empty());
}

#[test]
fn a_second_process_on_the_same_state_is_refused() {
    let place = Place::new(&pipeline("{ store: {} }"));
    place.append(record(0));
    let running = place.run();
    wait_for_documents(&place, 1);
    let second = place.run_once_to(2);
    assert!(second.stderr.contains("another inferlog process uses `data/p`"), "{second:?}");
    assert!(second.stderr.contains("--data-dir"), "it says what to do: {second:?}");
    // The first one is not disturbed.
    place.append(record(1));
    wait_for_documents(&place, 2);
    running.stop();
    place.run_once_to(0);
    place.store().must_hold_each_once(2);
}

/// Renames `a.ndjson` to `a.ndjson.1`, that to `a.ndjson.2` and so on, as logrotate does.
fn rotate(place: &Place, rotations: usize) {
    let name = |n: usize| -> PathBuf { place.path("logs").join(format!("a.ndjson.{n}")) };
    for n in (1..rotations).rev().filter(|n| name(*n).exists()) {
        fs::rename(name(n), name(n + 1)).unwrap();
    }
    fs::rename(place.log(), name(1)).unwrap();
}

#[test]
fn rotation_by_renaming_loses_nothing_and_doubles_nothing() {
    const COUNT: u64 = 20_000;
    const A_FILE: u64 = 2_500;
    // The second glob also finds the renamed files: they are the same files.
    for glob in ["logs/*.ndjson", "logs/*"] {
        let text = pipeline("{ store: {} }").replace("logs/*.ndjson", glob);
        let place = Place::new(&text);
        place.append("");
        let running = place.run();
        for start in (0..COUNT).step_by(A_FILE as usize) {
            let mut writer = fs::OpenOptions::new().create(true).append(true).open(place.log()).unwrap();
            writer.write_all(records(start..start + 2_000).as_bytes()).unwrap();
            // A file that is renamed before anybody could see it would not be ours; how much of it is read is open.
            wait_for("the file to be met", || (running.metrics()[LINES] > start).then_some(()));
            if start + A_FILE < COUNT {
                rotate(&place, 20);
            }
            // The writer has the renamed file open still.
            for n in start + 2_000..start + A_FILE {
                writer.write_all(record(n).as_bytes()).unwrap();
            }
        }
        wait_for_documents(&place, COUNT);
        running.wait_for_metric(LAG, 0);
        let metrics = running.metrics();
        assert_eq!((metrics[LINES], metrics[INDEXED], metrics[DUPLICATES]), (COUNT, COUNT, 0), "{glob}");
        running.stop();
        place.store().must_hold_each_once(COUNT);
        place.run_once_to(0);
        place.store().must_hold_each_once(COUNT);
    }
}

#[test]
fn counters_agree_with_what_happened() {
    let place = Place::new(&pipeline("{ store: { path: kept.sqlite } }"));
    place.append(records(0..500));
    place.append("not json\n[1]\n{\"n\":1,\"n\":2}\n\n");
    place.append(records(500..700));
    let bytes = fs::metadata(place.log()).unwrap().len();
    for duplicates in [0, 700] {
        let running = place.run();
        assert_eq!(running.get("/healthz").0, 200);
        running.wait_for_metric(if duplicates == 0 { INDEXED } else { DUPLICATES }, 700);
        running.wait_for_metric("inferlog_source_open_files{pipeline=\"p\"}", 1);
        running.wait_for_metric(LAG, 0);
        let metrics = running.metrics();
        let count = |name: &str| -> u64 {
            let of_pipeline = metrics.iter().filter(|(key, _)| key.starts_with(&format!("{name}{{pipeline=\"p\"")));
            of_pipeline.map(|(_, value)| value).sum()
        };
        let counted = [
            ("inferlog_source_read_lines_total", 703),
            ("inferlog_source_read_bytes_total", bytes),
            ("inferlog_decode_records_total", 700),
            ("inferlog_sink_indexed_records_total", 700 - duplicates),
            ("inferlog_sink_duplicate_records_total", duplicates),
            ("inferlog_dead_letter_records_total", 3),
            ("inferlog_source_unreadable_files_total", 0),
            ("inferlog_source_open_files", 1),
            ("inferlog_queue_bytes", 0),
            ("inferlog_delivery_unacknowledged_bytes", 0),
            ("inferlog_sink_ready_state", 1),
        ];
        for (name, value) in counted {
            assert_eq!(count(name), value, "{name} in {metrics:#?}");
        }
        assert_eq!(running.get("/readyz").0, 200);
        assert_eq!(running.get("/nowhere").0, 404);
        running.stop();
        assert_eq!(place.dead_letters().len(), 3);
        fs::remove_dir_all(place.path("data")).unwrap();
    }
}

#[test]
fn a_sink_that_is_down_is_not_ready_with_its_reason_and_the_process_lives() {
    let address = free_address();
    let sink = format!("{{ elasticsearch: {{ hosts: [\"http://{address}\"], data_stream: logs-x-y }} }}");
    let place = Place::new(&pipeline(&sink));
    place.append(records(0..10));
    let running = place.run();
    let answer = wait_for("the sink not to be ready", || {
        let (status, body) = running.get("/readyz");
        (status == 503).then_some(body)
    });
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["ready"], false);
    let reason = &answer["reasons"][0];
    assert_eq!((&reason["pipeline"], &reason["sink"]), (&Value::from("p"), &Value::from("elasticsearch")));
    assert!(reason["problem"].as_str().unwrap().contains(&address.port().to_string()), "{reason}");
    assert_eq!(running.get("/healthz").0, 200);
    let metrics = running.metrics();
    assert_eq!(metrics["inferlog_sink_ready_state{pipeline=\"p\",sink=\"elasticsearch\"}"], 0);
    wait_for("what is not delivered to be lag", || (running.metrics()[LAG] > 0).then_some(()));
    assert!(running.stderr().contains("WARN"), "{}", running.stderr());
}

/// A place whose sink never answers, with its pipeline under way and something read.
fn stuck() -> (Place, Running) {
    let sink = format!("{{ elasticsearch: {{ hosts: [\"http://{}\"], data_stream: logs-x-y }} }}", free_address());
    let place = Place::new(&pipeline(&sink));
    place.append(records(0..10));
    let running = place.run();
    running.wait_for_metric(LINES, 10);
    running.signal(Signal::TERM);
    wait_for("the stop to begin", || running.stderr().contains("stopping").then_some(()));
    (place, running)
}

/// After a stop that delivered nothing, another sink gets everything.
fn must_be_there_still(place: &Place) {
    place.set_pipeline(&pipeline("{ store: {} }"));
    place.run_once_to(0);
    place.store().must_hold_each_once(10);
}

#[test]
fn a_second_signal_stops_at_once_and_nothing_is_lost() {
    let (place, running) = stuck();
    running.signal(Signal::TERM);
    let ended = running.wait();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("read again at the next start"), "{ended:?}");
    must_be_there_still(&place);
}

#[test]
fn a_stop_that_cannot_deliver_ends_after_its_timeout_and_says_what_is_left() {
    if std::env::var_os("INFERLOG_TEST_LONG").is_none() {
        // Past the capture of test output.
        let _ = std::io::stderr()
            .write_all(b"left out: a stop that cannot deliver (takes 25 s; `./test --long` runs it)\n");
        return;
    }
    let (place, running) = stuck();
    let bytes = fs::metadata(place.log()).unwrap().len();
    let ended = running.wait();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains(&format!("{bytes}B of its files are not delivered")), "{ended:?}");
    must_be_there_still(&place);
}

#[test]
fn an_address_that_is_taken_is_refused_when_it_was_asked_for() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let place = Place::new(&pipeline("{ store: {} }"));
    let ended = start(place.run_command(&["--once", "--listen", &address])).wait();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains(&address) && ended.stderr.contains("hint: "), "{ended:?}");
    assert!(!place.path("data").exists(), "nothing was started");
    assert_eq!(http(free_address(), "GET", "/", &[], ""), None);
}
