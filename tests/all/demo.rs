//! `inferlog demo`, the newcomer's first command: it ends with every record that it wrote in the store, can be run again,
//! and stops when asked.

use std::fs;
use std::process::Command;
use std::time::Instant;

use chrono::DateTime;
use serde_json::Value;

use crate::place::{Ended, Place, Running, Signal, Store, free_address, http, start, wait_for};
use crate::scripted::{Answer, scripted};
use crate::support::{Method, Node};

/// What `--records` must reach at least, in records a second of the whole run.
const RECORDS_PER_SECOND_MIN: f64 = 1_000.0;

fn demo(place: &Place, more: &[&str]) -> Running {
    let mut command = place.inferlog(&["demo", "--data-dir", "data"]);
    command.args(more);
    start(command)
}

fn store(place: &Place) -> Store {
    Store(place.path("data/demo/store.sqlite"))
}

/// A demo that ended as hoped; gives the total that its summary names.
fn must_be_complete(place: &Place, ended: &Ended) -> u64 {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let total = ended.stdout.split(' ').next().unwrap().parse().unwrap();
    assert!(ended.stdout.contains(&format!("{total} written, 0 dead-lettered")), "{ended:?}");
    let store = store(place);
    assert_eq!((store.count(), store.number("SELECT count(DISTINCT id) FROM records")), (total, total));
    let logs = fs::read_dir(place.path("data/demo-files/logs")).unwrap();
    let lines: usize = logs.map(|log| fs::read_to_string(log.unwrap().path()).unwrap().lines().count()).sum();
    assert_eq!(lines as u64, total, "as many lines as documents");
    let dead_letters = fs::read_dir(place.path("data/demo/dead_letter")).into_iter().flatten().count();
    assert_eq!(dead_letters, 0);
    total
}

#[test]
fn a_demo_of_some_records_ends_with_all_of_them_in_the_store_and_can_be_run_again() {
    let place = Place::new("");
    for count in [5_000, 2_001] {
        let started = Instant::now();
        let ended = demo(&place, &["--records", &count.to_string()]).wait();
        let rate = count as f64 / started.elapsed().as_secs_f64();
        assert_eq!(must_be_complete(&place, &ended), count, "{ended:?}");
        assert!(rate >= RECORDS_PER_SECOND_MIN, "{rate:.0} records/s");
        let kinds = [
            ("models", "count(DISTINCT model_version) FROM records", 4),
            ("low confidence", "count(*) FROM records WHERE json_extract(document, '$.low_confidence')", 20),
            ("failures", "count(*) FROM records WHERE status = 'error'", 10),
            (
                "failures with a prediction",
                "0 - count(*) FROM records WHERE status = 'error' AND prediction IS NOT NULL",
                0,
            ),
            ("with a hash", "count(*) FROM records WHERE length(input_hash) = 64", 1_000),
            ("labels", "count(DISTINCT prediction) FROM records", 3),
        ];
        for (kind, sql, at_least) in kinds {
            let found = store(&place).number(&format!("SELECT {sql}"));
            assert!(found >= at_least, "{kind}: {found}");
        }
        assert!(ended.stdout.contains("What to try next"), "{ended:?}");
        assert!(!ended.stderr.contains("WARN") && !ended.stderr.contains("ERROR"), "{ended:?}");
    }
}

#[test]
fn what_the_demo_says_to_try_works() {
    let place = Place::new("");
    let told = demo(&place, &["--records", "500"]).wait();
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.stdout.lines().all(|line| line.len() <= 80 || !line.contains(' ')), "too wide: {}", told.stdout);
    // A command goes on in the next line after a backslash.
    let text = told.stdout.replace("\\\n", " ");
    let commands = text.lines().map(str::trim).filter(|line| line.starts_with(env!("CARGO_BIN_EXE_inferlog")));
    let commands: Vec<&str> = commands.filter(|command| !command.ends_with(" run pipelines/")).collect();
    let [check, query, reconcile] = commands[..] else { panic!("{commands:?}") };
    let carry_out = |command: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(place.path(""));
        let ended = start(shell).wait();
        assert_eq!(ended.code, Some(0), "{command}: {ended:?}");
        ended
    };
    let checked = carry_out(check);
    assert!(checked.stdout.starts_with('{') && checked.stderr.contains("would be shipped"), "{checked:?}");
    assert!(!checked.stderr.contains("dead letter"), "{checked:?}");
    assert_eq!(carry_out(query).stdout.lines().count(), 6, "a head and five rows");
    assert!(carry_out(reconcile).stderr.contains("all 500 lines are accounted for"));
}

/// Seconds since 1970 at which a record was made.
fn seconds(record: &Value) -> f64 {
    let time = DateTime::parse_from_rfc3339(record["timestamp"].as_str().unwrap()).unwrap();
    time.timestamp_micros() as f64 / 1e6
}

/// The labels of a feature that the episode shifts.
const SHIFTED: &str = "feature=\"merchant_category\",model_name=\"anomaly-detector\",model_version=\"anomaly-3.2.1\"";

#[test]
fn an_episode_comes_and_goes_and_is_on_metrics() {
    let place = Place::new("");
    let address = free_address();
    let mut running = demo(&place, &["--episode", "4s", "--listen", &address.to_string()]);
    running.address = Some(address);
    let is_above = |running: &Running, series: &str, bound: f64| {
        let text = running.get("/metrics").1;
        let value = text.lines().find_map(|line| line.strip_prefix(series)).map(|value| value.trim().parse::<f64>());
        value.is_some_and(|value| value.unwrap() > bound)
    };
    wait_for("drift and low confidence on /metrics", || {
        running.must_run();
        std::net::TcpStream::connect(address).ok()?;
        let unsure = "model_confidence_bucket{le=\"0.6\",model_name=\"anomaly-detector\"}";
        (is_above(&running, &format!("model_feature_psi{{{SHIFTED}}}"), 0.2) && is_above(&running, unsure, 100.0))
            .then_some(())
    });
    let ended = running.wait();
    assert!(must_be_complete(&place, &ended) > 1_000, "{ended:?}");
    let records: Vec<Value> =
        store(&place).documents().iter().map(|document| serde_json::from_str(document).unwrap()).collect();
    let start = records.iter().map(seconds).fold(f64::MAX, f64::min);
    let unsure_percent = |from: f64, to: f64| {
        let is_there = |record: &&Value| (from..to).contains(&(seconds(record) - start));
        let its: Vec<&Value> =
            records.iter().filter(|record| record["event"] == "inference").filter(is_there).collect();
        assert!(its.len() > 50, "only {} records from {from} s to {to} s", its.len());
        100 * its.iter().filter(|record| record["low_confidence"] == true).count() / its.len()
    };
    let [before, during, after] = [(0.1, 1.8), (2.3, 5.7), (6.3, 8.0)].map(|(from, to)| unsure_percent(from, to));
    assert!(before < 10 && during > 50 && after < 10, "{before} %, {during} %, {after} %");
    // The feature that changes most, of the version that has most of the traffic, window by window: its PSI, and of how
    // many values, fewer in the episode.
    let sql = "SELECT json_extract(document, '$.psi'), json_extract(document, '$.n') FROM drift \
               WHERE json_extract(document, '$.feature') = 'merchant_category' \
               AND json_extract(document, '$.model_version') = 'anomaly-3.2.1' ORDER BY timestamp_us";
    let connection = store(&place).open();
    let mut windows = connection.prepare(sql).unwrap();
    let windows: Vec<(f64, u32)> =
        windows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    let whole: Vec<f64> = windows.iter().filter(|(_, n)| *n >= 100).map(|(psi, _)| *psi).collect();
    let highest = windows.iter().map(|(psi, _)| *psi).fold(0.0, f64::max);
    assert!(whole[0] < 0.2 && highest > 1.0 && whole[whole.len() - 1] < 0.2, "PSI and n: {windows:?}");
}

#[test]
fn whoever_looks_at_a_demo_may_ask_for_its_records_with_the_token_all_the_same() {
    let place = Place::new("");
    let address = free_address();
    let running = demo(&place, &["--listen", &address.to_string()]);
    let is_shown = || (store(&place).count() > 100 && std::net::TcpStream::connect(address).is_ok()).then_some(());
    wait_for("some records", is_shown);
    let token = format!("Bearer {}", fs::read_to_string(place.path("data/admin.token")).unwrap().trim());
    let question = "{\"pipeline\":\"demo\",\"kql\":\"event : *\",\"limit\":1}";
    for (authorization, status) in [("Bearer 0", 401), (&*token, 200)] {
        let head = [("authorization", authorization), ("content-type", "application/json")];
        let (found, answer) = http(address, "POST", "/query", &head, question).unwrap();
        assert_eq!((found, answer.contains("\"count\":1")), (status, status == 200), "{answer}");
    }
    running.signal(Signal::TERM);
    let ended = running.wait();
    assert!(ended.stderr.contains(&format!("ask for records: http://{address}/")), "{ended:?}");
}

#[test]
fn an_endless_demo_ends_cleanly_when_it_is_asked_to() {
    for signal in [Signal::INT, Signal::TERM] {
        let place = Place::new("");
        let mut running = demo(&place, &[]);
        wait_for("some records", || {
            running.must_run();
            (store(&place).count() > 1_500).then_some(())
        });
        running.signal(signal);
        let ended = running.wait();
        assert!(must_be_complete(&place, &ended) > 1_500);
    }
}

#[test]
fn a_demo_on_the_state_of_a_running_one_is_refused_and_does_not_harm_it() {
    let place = Place::new("");
    let mut running = demo(&place, &[]);
    wait_for("some records", || (store(&place).count() > 100).then_some(()));
    let second = demo(&place, &["--records", "10"]).wait();
    assert_eq!(second.code, Some(2), "{second:?}");
    assert!(second.stderr.contains("another inferlog process uses"), "{second:?}");
    running.must_run();
    running.signal(Signal::INT);
    must_be_complete(&place, &running.wait());
}

fn demo_into(place: &Place, elasticsearch: &str, more: &[&str]) -> Ended {
    demo(place, &[&["--elasticsearch", elasticsearch], more].concat()).wait()
}

/// Nothing is written where it would wait for a template, and what to do is said as a command.
#[test]
fn a_demo_into_an_elasticsearch_that_is_not_set_up_says_how_to() {
    let place = Place::new("");
    let empty = scripted(|asked| {
        let missing = r#"{"error":{"type":"resource_not_found_exception","reason":"it is not there"},"status":404}"#;
        let (status, body) = match asked.path.as_str() {
            "/" => (200, r#"{"version":{"number":"8.19.0"}}"#),
            "/_index_template/_simulate" => (200, r#"{"template":{}}"#),
            _ => (404, missing),
        };
        Answer::new(status, &[("x-elastic-product", "Elasticsearch")], body)
    });
    let ended = demo_into(&place, &empty, &["--kibana", "http://kibana.example:5601"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let said = ended.stderr.replace("\\\n", " ");
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in ["there is no `inferlog-", "setup apply ", "demo-files/demo.yaml --kibana http://kibana.example:5601"]
    {
        assert!(said.contains(words), "no `{words}`: {ended:?}");
    }
    assert!(!place.path("data/demo-files/logs/models.ndjson").exists());
    for (address, words) in [("localhost:9200", "such as `http://localhost:9200`"), ("http://a:b@c", "$ES_PASSWORD")] {
        let ended = demo_into(&place, address, &[]);
        assert!(ended.code == Some(2) && ended.stderr.contains(words), "{ended:?}");
    }
}

/// Two commands on a real node: what each of the four dashboards asks for is there.
#[tokio::test]
async fn a_demo_into_elasticsearch_has_something_for_every_dashboard() {
    let Some(node) = Node::plain("the demo into Elasticsearch") else { return };
    let streams =
        ["logs-ml.inference-demo", "logs-ml.outcome-demo", "metrics-ml.drift-demo", "metrics-ml.pipeline-demo"];
    for stream in streams {
        node.forget(stream).await;
    }
    let place = Place::new(&format!(
        "source: {{ files: {{ paths: [\"logs/*\"] }} }}\ndecode: json\n\
         sink: {{ elasticsearch: {{ hosts: [\"{}\"], data_stream: logs-ml.inference-default }} }}\n",
        node.options.hosts[0]
    ));
    let applied = start(place.inferlog(&["setup", "apply", "p.yaml"])).wait();
    assert_eq!(applied.code, Some(0), "{applied:?}");
    let ended = demo_into(&place, node.options.hosts[0].as_str(), &["--records", "16000"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("all 16000 lines are accounted for"), "{ended:?}");
    let [records, outcomes, drift, accounts] = streams;
    for (stream, query, at_least) in [
        (records, r#"[{"exists":{"field":"model_version"}}]"#, 16_000),
        (records, r#"[{"term":{"low_confidence":true}},{"range":{"@timestamp":{"lt":"now-2h"}}}]"#, 500),
        (records, r#"[{"range":{"@timestamp":{"lt":"now-5h"}}}]"#, 2_000),
        (outcomes, r#"[{"term":{"correct":false}}]"#, 500),
        (outcomes, r#"[{"term":{"decision":"overridden"}}]"#, 300),
        (
            outcomes,
            r#"[{"term":{"kind":"evaluation"}},{"exists":{"field":"accuracy"}},{"range":{"review_coverage":{"gt":0}}}]"#,
            4,
        ),
        (outcomes, r#"[{"term":{"kind":"evaluation"}},{"exists":{"field":"estimated_accuracy_lower"}}]"#, 2),
        (drift, r#"[{"exists":{"field":"feature"}},{"range":{"psi":{"gt":0.2}}}]"#, 2),
        (drift, r#"[{"term":{"kind":"version"}},{"range":{"features_over":{"gt":0}}},{"term":{"alarm":true}}]"#, 1),
        (accounts, r#"[{"term":{"account.kind":"stop"}},{"range":{"account.indexed":{"gt":0}}}]"#, 1),
        (accounts, r#"[{"term":{"account.verdict":"complete"}},{"term":{"account.lines":16000}}]"#, 1),
    ] {
        node.ask(Method::Post, &format!("{stream}/_refresh"), "").await;
        let found = node.count(stream, &format!("{{\"bool\":{{\"filter\":{query}}}}}")).await;
        assert!(found >= at_least, "{found} in {stream}: {query}");
    }
    assert_eq!(node.count(records, "{\"match_all\":{}}").await, 16_000, "each once");
    // What it says to try works.
    let text = ended.stdout.replace("\\\n", " ");
    let commands = text.lines().map(str::trim).filter(|line| line.starts_with(env!("CARGO_BIN_EXE_inferlog")));
    let codes: Vec<Option<i32>> = commands
        .map(|command| {
            let mut shell = Command::new("sh");
            shell.args(["-c", command]).current_dir(place.path(""));
            start(shell).wait().code
        })
        .collect();
    assert_eq!(codes, [Some(0), Some(0), Some(1)], "the drift of the episode alarms: {text}");
    for stream in streams {
        node.forget(stream).await;
    }
}
