//! A server that takes records and does not take accounts: records, stops and single runs get on as if it did, and the
//! accounts arrive when it heals, each once.
//!
//! Nothing here is timed. The server may take an hour for an answer, so whoever waits for it does not end within patience.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::endpoint::{Endpoint, Manner};
use crate::numbered::{Fate, fate, line};
use crate::place::{Ended, Place, Running, Signal, append, wait_for};

/// What a server may do with accounts.
const MANNERS: [Manner; 5] =
    [Manner::Hangs, Manner::Status(503), Manner::Status(413), Manner::Status(403), Manner::Forbids];

fn place(endpoint: &Endpoint, files: &str) -> Place {
    let sink = endpoint.sink_with(", request_timeout: 1h");
    Place::new(&format!(
        "source: {{ files: {{ paths: [{files}], poll_interval: 20ms }} }}\ndecode: json\nsink: {sink}\n"
    ))
}

/// The lines of so many records that are indexed, from a number on; and the number after them.
fn lines(from: u64, count: usize) -> (String, u64) {
    let numbers: Vec<u64> = (from..).filter(|number| fate(*number) == Fate::Indexed).take(count).collect();
    (numbers.iter().map(|number| line(*number)).collect(), numbers[count - 1] + 1)
}

fn wait_for_records(endpoint: &Endpoint, count: u64) {
    wait_for(&format!("{count} records"), || (endpoint.count() >= count).then_some(()));
    assert_eq!(endpoint.count(), count);
}

fn waits_in_outbox(running: &Running) -> u64 {
    running.metrics()["inferlog_outbox_documents{pipeline=\"p\"}"]
}

/// The accounts that the server has, by their numbers: each once, none left out, and with so many lines in all.
fn must_account_for(endpoint: &Endpoint, lines: u64) -> BTreeMap<u64, Value> {
    let mut by_number = BTreeMap::new();
    for account in endpoint.accounts().into_iter().filter(|account| !account["account.sequence"].is_null()) {
        let number = account["account.sequence"].as_u64().unwrap();
        assert!(by_number.insert(number, account).is_none(), "number {number} is there twice");
    }
    assert!(by_number.keys().copied().eq(0..by_number.len() as u64), "left out: {:?}", by_number.keys());
    let told: u64 = by_number.values().map(|account| account["account.lines"].as_u64().unwrap()).sum();
    assert_eq!(told, lines);
    by_number
}

fn says_what_stays(ended: &Ended) -> bool {
    ended.stderr.contains("not taken by `elasticsearch` in time") && ended.stderr.contains("go at the next start")
}

#[test]
fn records_and_stops_do_not_wait_for_accounts_which_arrive_when_the_server_heals() {
    for manner in MANNERS {
        let endpoint = Endpoint::start(1, 0.0);
        endpoint.treat_accounts(manner);
        let place = place(&endpoint, "\"logs/*.ndjson\"");
        let (mut number, mut written) = (0, 0);
        let mut write = |count: usize| {
            let (text, next) = lines(number, count);
            (number, written) = (next, written + count as u64);
            place.append(text);
            written
        };
        // A crash in between: what was saved is sent again under its ids.
        for ends_well in [false, true] {
            let running = place.run();
            // More requests, one after the other, than may be under way at a time.
            for _ in 0..5 {
                wait_for_records(&endpoint, write(100));
            }
            running.wait_for_metric("inferlog_settled_lines_total{pipeline=\"p\"}", endpoint.count());
            assert!(waits_in_outbox(&running) >= 2, "{manner:?}: configuration and start");
            assert_eq!(running.get("/readyz").0, 200, "{manner:?}: of records alone");
            if ends_well {
                assert!(says_what_stays(&running.stop()), "{manner:?}");
            } else {
                running.signal(Signal::KILL);
                running.wait();
            }
        }
        assert!(endpoint.accounts().is_empty(), "{manner:?}");
        // A single run of ten lines ends as well, and says what it leaves.
        let all = write(10);
        assert!(says_what_stays(&place.run_once_to(0)), "{manner:?}");
        wait_for_records(&endpoint, all);
        endpoint.treat_accounts(Manner::Takes);
        let ended = place.run_once_to(0);
        assert!(!says_what_stays(&ended), "{manner:?}: {ended:?}");
        must_account_for(&endpoint, all);
        let checkpoint = fs::read_to_string(place.path("data/p/checkpoint.json")).unwrap();
        let checkpoint: Value = serde_json::from_str(&checkpoint).unwrap();
        assert_eq!(checkpoint["outbox"], Value::Array(Vec::new()), "{manner:?}");
    }
}

#[test]
fn an_account_heals_while_the_pipeline_runs() {
    for manner in [Manner::Status(503), Manner::Status(413), Manner::Forbids] {
        let endpoint = Endpoint::start(1, 0.0);
        endpoint.treat_accounts(manner);
        let place = place(&endpoint, "\"logs/*.ndjson\"");
        place.append(lines(0, 10).0);
        let running = place.run();
        wait_for("the log to say it", || {
            running.stderr().contains("does not take the pipeline's own accounts").then_some(())
        });
        endpoint.treat_accounts(Manner::Takes);
        running.wait_for_metric("inferlog_outbox_documents{pipeline=\"p\"}", 0);
        assert!(running.stderr().contains("takes the pipeline's own accounts again"), "{manner:?}");
        wait_for_records(&endpoint, 10);
        running.stop();
        must_account_for(&endpoint, 10);
    }
}

/// The ranges of 6,000 files have more than a MiB together, and come in accounts that are small enough for any server.
#[test]
fn accounts_of_many_files_pass_a_server_that_takes_a_mebibyte() {
    const FILES: usize = 6_000;
    let endpoint = Endpoint::start(1, 0.0);
    endpoint.treat_accounts(Manner::TakesUpTo(1 << 20));
    let place = place(&endpoint, "\"logs/*/*.ndjson\"");
    let mut number = 0;
    for file in 0..FILES {
        let (text, next) = lines(number, 1);
        number = next;
        let folder = place.path(&format!("logs/a-folder-with-a-name-of-some-length-{}", file / 100));
        fs::create_dir_all(&folder).unwrap();
        append(&folder.join(format!("{file}.ndjson")), text);
    }
    let ended = place.run_once_to(0);
    assert!(!says_what_stays(&ended), "{ended:?}");
    wait_for_records(&endpoint, FILES as u64);
    let accounts = must_account_for(&endpoint, FILES as u64);
    let files = |account: &Value| account["account.files"].as_array().unwrap().len();
    assert_eq!(accounts.values().map(files).sum::<usize>(), FILES);
    let length: usize = accounts.values().map(|account| account.to_string().len()).sum();
    assert!(length > 1 << 20, "it is no test: {length} bytes");
}
