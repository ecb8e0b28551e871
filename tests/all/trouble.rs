//! Mixed trouble before a real Elasticsearch: rotations, kills, a third of the bulk requests spoilt. Afterwards
//! `reconcile` says that everything is accounted for, and every counter is what the oracle says. Ten minutes in
//! `./test --long`, some seconds in `./test`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::numbered::{Workshop, account_sums, expected_sums, is_long, reason_sum, report, seed};
use crate::place::http;
use crate::proxy::Proxy;
use crate::storm::{Naming, start_writer};
use crate::support::{Method, Node};

const STREAM: &str = "logs-ml.inference-trouble";
const ACCOUNTS: &str = "metrics-ml.pipeline-trouble";
const RECORDS_PER_SECOND: u64 = 2_000;

#[tokio::test]
async fn after_all_trouble_everything_is_accounted_for_and_every_counter_agrees() {
    let Some(node) = Node::plain("mixed trouble") else { return };
    node.forget(STREAM).await;
    node.forget(ACCOUNTS).await;
    let seed = seed();
    let host = &node.options.hosts[0];
    let backend = format!("{}:{}", host.host_str().unwrap(), host.port().unwrap()).parse().unwrap();
    let proxy = Proxy::start(backend, seed, 1.0 / 3.0);
    let sink = format!(
        "{{ elasticsearch: {{ hosts: [\"{}\"], data_stream: {STREAM}, retry: {{ initial: 20ms, max: 500ms }} }} }}",
        proxy.url()
    );
    let workshop = Workshop::new("[\"logs/app.log*\"]", &sink);
    assert_eq!(workshop.carry_out(&["setup", "apply", "p.yaml"]).status.code(), Some(0));
    let duration = Duration::from_secs(if is_long() { 600 } else { 15 });
    let (writer, _) = start_writer(&workshop, Naming::Numbered, RECORDS_PER_SECOND, seed, duration);
    let mut random = fastrand::Rng::with_seed(seed + 1);
    let (started, mut kills, mut resident) = (Instant::now(), 0, Vec::new());
    let mut running = workshop.start(&[]);
    while !writer.is_finished() {
        let until = Instant::now() + Duration::from_millis(random.u64(2_000..8_000));
        workshop.wait_until("a while", || writer.is_finished() || Instant::now() >= until);
        resident.push((started.elapsed().as_secs(), running.resident_kib()));
        running.kill();
        kills += 1;
        running = workshop.start(&[]);
    }
    let written = writer.join().unwrap();
    proxy.calm();
    running.kill();
    assert!(matches!(workshop.start(&["--once"]).code(), Some(0 | 1)), "{}", workshop.last_words());

    let reconciled = workshop.carry_out(&["reconcile", "p.yaml", "--data-dir", "data", "--format", "json"]);
    let found: Value = serde_json::from_slice(&reconciled.stdout).unwrap_or_else(|_| panic!("{reconciled:?}"));
    let sum =
        |column: &str| found["rows"].as_array().unwrap().iter().map(|row| row[column].as_u64().unwrap()).sum::<u64>();
    // A real Elasticsearch refuses none.
    let expected = expected_sums(written, false);
    assert_eq!(["lines", "indexed", "dropped", "dead_lettered"].map(sum), expected, "seed {seed}: {found}");
    assert_eq!(reconciled.status.code(), Some(0), "seed {seed}: {found}");
    let by_accounts = found["rows"].as_array().unwrap().iter().filter(|row| row["proof"] == "accounts").count();

    check_accounts(&node, expected).await;
    check_counters(&workshop, expected);
    assert_eq!(node.count(STREAM, "{\"match_all\":{}}").await, expected[1], "seed {seed}: each once");
    let growth = growth(&resident);
    report(&format!(
        "trouble (seed {seed}): {written} records in {duration:?}, {kills} kills, {}; reconcile: all accounted for, \
         {by_accounts} of {} files by accounts; every counter agrees; resident {growth}",
        proxy.summary(),
        found["rows"].as_array().unwrap().len(),
    ));
}

/// The accounts add up to what the oracle says: lines, indexed, dropped, undecodable.
async fn check_accounts(node: &Node, expected: [u64; 4]) {
    node.ask(Method::Post, &format!("{ACCOUNTS}/_refresh"), "").await;
    let query = json!({ "size": 10_000, "query": { "match": { "account.state": first_state(node).await } } });
    let (status, answer) = node.ask(Method::Post, &format!("{ACCOUNTS}/_search"), &query.to_string()).await;
    assert_eq!(status, 200, "{answer}");
    let hits = answer["hits"]["hits"].as_array().unwrap();
    let accounts: Vec<Value> = hits.iter().map(|hit| hit["_source"].clone()).collect();
    assert_eq!(account_sums(&accounts), expected, "accounts");
    assert_eq!(reason_sum(&accounts), expected[3], "dead letters by reason");
    assert!(accounts.iter().any(|account| account["account.kind"] == "configuration"));
}

async fn first_state(node: &Node) -> Value {
    let query = json!({ "size": 1, "query": { "match": { "account.sequence": 0 } } });
    let (_, answer) = node.ask(Method::Post, &format!("{ACCOUNTS}/_search"), &query.to_string()).await;
    answer["hits"]["hits"][0]["_source"]["account.state"].clone()
}

/// The counters of a process that was started after all of it.
fn check_counters(workshop: &Workshop, expected: [u64; 4]) {
    let address = crate::place::free_address();
    let running = workshop.start_listening(&address.to_string(), &[]);
    let mut text = String::new();
    workshop.wait_until("/metrics answers", || {
        let Some((200, answer)) = http(address, "GET", "/metrics", &[], "") else { return false };
        text = answer;
        true
    });
    let value = |name: &str| -> u64 {
        let lines = text.lines().filter(|line| line.starts_with(&format!("inferlog_settled_{name}_total{{")));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    };
    let found = [
        value("lines"),
        value("indexed_records") + value("duplicate_records"),
        value("dropped_records"),
        value("dead_letter_records"),
    ];
    assert_eq!(found, expected, "counters: {text}");
    running.stop();
}

/// Resident memory in the second minute and in the last one; flat within 10 %.
fn growth(resident: &[(u64, u64)]) -> String {
    let last_second = resident.last().map_or(0, |(second, _)| *second);
    let peak = |from: u64, to: u64| {
        resident.iter().filter(|(second, _)| (from..to).contains(second)).map(|(_, kib)| *kib).max()
    };
    let (Some(second_minute), Some(last_minute)) = (peak(60, 120), peak(last_second.saturating_sub(60), u64::MAX))
    else {
        return format!("{} KiB at most", resident.iter().map(|(_, kib)| *kib).max().unwrap_or(0));
    };
    assert!(last_minute <= second_minute * 11 / 10, "{second_minute} KiB, then {last_minute} KiB");
    format!("{second_minute} KiB in the second minute, {last_minute} KiB in the last")
}
