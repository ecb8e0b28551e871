//! `inferlog run` from files into the embedded store and to stdout: every record once, bytes intact, memory small, what
//! is read again and what is not, the exit codes, and the places where state is kept.

use serde_json::Value;

use crate::place::{Place, Store, pipeline, pipeline_of, record, records, start};

/// What the whole process may have resident, in bytes.
const MEMORY_BYTES_MAX: u64 = 64 * 1024 * 1024;

fn kept_elsewhere() -> String {
    pipeline("{ store: { path: kept.sqlite } }")
}

#[test]
fn two_hundred_thousand_records_are_stored_once_in_little_memory() {
    const COUNT: u64 = 200_000;
    let place = Place::new(&kept_elsewhere());
    let text = records(0..COUNT);
    place.append(&text);
    let (ended, peak_bytes) = start(place.run_command(&["--once", "--listen", "off"])).wait_and_weigh();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{ended:?}");
    let store = Store(place.path("kept.sqlite"));
    store.must_hold_each_once(COUNT);
    assert!(peak_bytes < MEMORY_BYTES_MAX, "{peak_bytes} bytes resident at the peak");
    let bytes = text.len();
    let first = format!("read {COUNT} lines, {bytes} bytes; store: {COUNT} indexed, 0 duplicates");
    assert!(ended.stderr.contains(&first), "{ended:?}");

    let again = place.run_once_to(0);
    assert!(again.stderr.contains("read 0 lines, 0 bytes; store: 0 indexed, 0 duplicates"), "{again:?}");
    store.must_hold_each_once(COUNT);

    std::fs::remove_dir_all(place.path("data")).unwrap();
    let anew = place.run_once_to(0);
    let duplicates = format!("read {COUNT} lines, {bytes} bytes; store: 0 indexed, {COUNT} duplicates");
    assert!(anew.stderr.contains(&duplicates), "{anew:?}");
    store.must_hold_each_once(COUNT);
}

/// Lines that a peer would print differently, and which must come through as they are.
const ODD_LINES: [&str; 20] = [
    r#"{"a":0.1234567890123456789}"#,
    r#"{"a":12345678901234567890,"b":-98765432109876543210}"#,
    r#"{"a":1.0,"b":1.50,"c":1E+2,"d":1e-07,"e":-0.0,"f":-0,"g":1e999}"#,
    r#"{"z":1,"a":2,"m":{"z":1,"a":2}}"#,
    r#"{"a":"\u0041\/\n\t\ud83d\ude00 \u00e4ä \u2028"}"#,
    r#"{"lone":"\ud800"}"#,
    r#"{ "a" : 1 , "b" :[ 1 ,2 ] , "c":{ } }"#,
    "{\t\"a\"\t:\t1\t}",
    r#"  {"a":1}  "#,
    r#"{"\u0061":1,"b\"c":2,"":3}"#,
    r#"{"timestamp":"2026-11-23T10:00:00.123456789Z","a":1.10}"#,
    r#"{"timestamp":1795428000.123456,"a":1.10}"#,
    r#"{"host":"gpu-7","a":1.10}"#,
    r#"{"service":{"name":"x"},"event":"inference"}"#,
    r#"{"log":{"level":"info"},"inferlog":7,"agent":null}"#,
    r#"{"input_hash":"9b1e","features":{"x":1.0}}"#,
    r#"{"features":{"x":0.1234567890123456789,"big":12345678901234567890}}"#,
    r#"{"inner":{"a":1,"a":2}}"#,
    r#"{"nul":"\u0000","del":""}"#,
    "{}",
];

/// The part of a line that its document begins with: all but the closing brace and what stands around it.
fn without_closing_brace(line: &str) -> &str {
    line.trim_end().strip_suffix('}').unwrap().trim_end()
}

#[test]
fn a_document_begins_with_the_bytes_of_its_line() {
    let place = Place::new(&pipeline("[store, stdout]"));
    place.append(ODD_LINES.join("\n") + "\n");
    let ended = place.run_once_to(0);
    let documents = place.store().documents();
    assert_eq!(documents.len(), ODD_LINES.len(), "{ended:?}");
    assert_eq!(ended.stdout, documents.join("\n") + "\n", "stdout and store agree");
    for (line, document) in ODD_LINES.iter().zip(&documents) {
        assert!(document.starts_with(without_closing_brace(line)), "`{line}` became `{document}`");
        let parsed: Value = serde_json::from_str(&document.replace("1e999", "1").replace("\\ud800", "")).unwrap();
        assert!(parsed["@timestamp"].is_string(), "`{line}` became `{document}`");
    }
}

#[test]
fn what_is_added_is_added_only_where_there_is_room() {
    let place = Place::new(&pipeline("{ store: {} }"));
    place.append(ODD_LINES.join("\n") + "\n");
    place.run_once_to(0);
    let documents = place.store().documents();
    let document = |marker: &str| -> Value {
        let text = documents.iter().find(|document| document.contains(marker)).unwrap();
        serde_json::from_str(text).unwrap()
    };
    let blocked = document(r#""host":"gpu-7""#);
    assert_eq!(blocked["host"], "gpu-7");
    assert!(blocked.get("host.name").is_none(), "{blocked}");
    assert_eq!(blocked["log.offset"], documents_offset("\"gpu-7\""));
    let nested = document(r#""service":{"name":"x"}"#);
    assert_eq!(nested["service"]["name"], "x");
    // `add` sets what the user asks for only where nothing of that path stands.
    assert!(nested.get("service.name").is_none(), "{nested}");
    assert_eq!(nested["inferlog.pipeline"], "p");
    let scalar = document(r#""inferlog":7"#);
    assert!(scalar.get("inferlog.pipeline").is_none() && scalar.get("log.offset").is_some(), "{scalar}");
    assert_eq!(document(r#""input_hash":"9b1e""#)["input_hash"], "9b1e");
}

/// Where the line with this marker begins in the file of odd lines.
fn documents_offset(marker: &str) -> u64 {
    ODD_LINES.iter().take_while(|line| !line.contains(marker)).map(|line| line.len() as u64 + 1).sum()
}

#[test]
fn stdout_gives_the_documents_in_the_order_of_the_lines() {
    const COUNT: u64 = 20_000;
    let place = Place::new(&pipeline("stdout"));
    place.append(records(0..COUNT));
    let ended = place.run_once_to(0);
    let mut numbers = 0..COUNT;
    for line in ended.stdout.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["n"].as_u64(), numbers.next());
    }
    assert_eq!(numbers, COUNT..COUNT);
    let again = place.run_once_to(0);
    assert_eq!(again.stdout, "");
}

#[test]
fn line_ends_byte_order_mark_and_empty_lines_are_no_part_of_records() {
    let place = Place::new(&pipeline("{ store: {} }"));
    place.append("\u{feff}{\"n\":0}\r\n\r\n\n{\"n\":1}\n\n\n{\"n\":2}\r\n");
    let ended = place.run_once_to(0);
    assert!(ended.stderr.contains("read 3 lines, "), "{ended:?}");
    let documents = place.store().documents();
    for (n, document) in documents.iter().enumerate() {
        assert!(document.starts_with(&format!("{{\"n\":{n},")), "{document}");
        assert!(!document.contains('\r'));
    }
    assert_eq!(documents.len(), 3);
}

#[test]
fn globs_reach_folders_and_leave_out_what_is_excluded() {
    let files = "paths: [\"logs/**/*.ndjson\"], exclude: [\"logs/**/debug-*\"]";
    let place = Place::new(&pipeline_of(files, "", "{ store: {} }"));
    for (n, name) in ["a.ndjson", "x/b.ndjson", "x/y/c.ndjson", "x/debug-d.ndjson", "x/e.log"].iter().enumerate() {
        let path = place.path("logs").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, record(n as u64)).unwrap();
    }
    // A folder that looks like a file is no file.
    std::fs::create_dir(place.path("logs/folder.ndjson")).unwrap();
    place.run_once_to(0);
    place.store().must_hold_each_once(3);
}

#[test]
fn first_seen_end_passes_over_what_is_there_at_the_very_first_start_alone() {
    let files = "paths: [\"logs/*.ndjson\"], poll_interval: 50ms, first_seen: end";
    let place = Place::new(&pipeline_of(files, "", "{ store: {} }"));
    place.append("{\"n\":77}\n");
    place.run_once_to(0);
    assert_eq!(place.store().count(), 0);
    place.append(record(0));
    std::fs::write(place.path("logs/new.ndjson"), record(1)).unwrap();
    place.run_once_to(0);
    place.store().must_hold_each_once(2);
}

#[test]
fn two_pipelines_run_side_by_side_with_their_own_state() {
    let place = Place::new(&pipeline("{ store: {} }"));
    let other = pipeline_of("paths: [\"logs/*.ndjson\"]", "- drop: { name: odd, when: \"n >= 10\" }", "{ store: {} }");
    std::fs::write(place.path("q.yaml"), other).unwrap();
    place.append(records(0..30));
    let ended = start(place.inferlog(&["run", "--once", "--listen", "off", "--data-dir", "data", "p.yaml", "q.yaml"]));
    let ended = ended.wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    place.store().must_hold_each_once(30);
    Store(place.path("data/q/store.sqlite")).must_hold_each_once(10);
    for name in ["p", "q"] {
        let checkpoint = std::fs::read(place.path("data").join(name).join("checkpoint.json")).unwrap();
        let checkpoint: Value = serde_json::from_slice(&checkpoint).unwrap();
        let length = std::fs::metadata(place.log()).unwrap().len();
        assert_eq!(checkpoint["files"][0]["committed"]["offset_bytes"], length, "{checkpoint}");
    }
}

#[test]
fn state_is_kept_where_the_flag_the_variable_or_the_platform_says() {
    let cases = [
        ("flag", "--data-dir flag", "INFERLOG_DATA_DIR=variable"),
        ("variable", "", "INFERLOG_DATA_DIR=variable"),
        ("home/.local/state/inferlog", "", ""),
        ("xdg/inferlog", "", "XDG_STATE_HOME=xdg INFERLOG_DATA_DIR="),
    ];
    for (expected, arguments, variables) in cases {
        let place = Place::new(&pipeline("{ store: {} }"));
        place.append(record(0));
        let mut command = place.inferlog(&["run", "p.yaml", "--once", "--listen", "off"]);
        command.args(arguments.split_whitespace());
        command.envs(variables.split_whitespace().filter_map(|variable| variable.split_once('=')));
        let ended = start(command).wait();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        Store(place.path(expected).join("p/store.sqlite")).must_hold_each_once(1);
    }
}

#[test]
fn without_arguments_the_folder_pipelines_is_run() {
    let place = Place::new("");
    std::fs::create_dir(place.path("pipelines")).unwrap();
    let text = pipeline_of("paths: [\"../logs/*.ndjson\"]", "", "{ store: {} }");
    std::fs::write(place.path("pipelines/p.yaml"), text).unwrap();
    place.append(records(0..3));
    let ended = start(place.inferlog(&["run", "--once", "--listen", "off", "--data-dir", "data"])).wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    place.store().must_hold_each_once(3);
}

#[test]
fn nothing_to_read_is_as_hoped() {
    let place = Place::new(&pipeline("{ store: {} }"));
    place.run_once_to(0);
    place.append("");
    place.run_once_to(0);
    assert_eq!(place.store().count(), 0);
}

#[test]
fn rules_that_drop_are_counted_by_name_and_are_no_dead_letters() {
    let drop = "- drop: { name: health_checks, when: \"event : health\" }";
    let place = Place::new(&pipeline_of("paths: [\"logs/*.ndjson\"], poll_interval: 50ms", drop, "{ store: {} }"));
    place.append("{\"event\":\"health\"}\n{\"n\":0}\n{\"event\":\"health\"}\n");
    let running = place.run();
    running.wait_for_metric("inferlog_enrich_dropped_records_total{pipeline=\"p\",rule=\"health_checks\"}", 2);
    running.wait_for_metric("inferlog_source_lag_bytes{pipeline=\"p\"}", 0);
    running.stop();
    assert_eq!(place.store().count(), 1);
    assert!(place.dead_letters().is_empty());
}

#[test]
fn a_reader_of_stdout_that_goes_away_is_said_and_what_it_did_not_get_comes_again() {
    const COUNT: u64 = 20_000;
    let place = Place::new(&pipeline("stdout"));
    place.append(records(0..COUNT));
    let shell =
        format!("{:?} run p.yaml --data-dir data --once --listen off | head -n 1", env!("CARGO_BIN_EXE_inferlog"));
    let mut command = std::process::Command::new("sh");
    command.current_dir(place.path("")).args(["-c", &format!("{{ {shell}; }} 2>stderr; :")]);
    let ended = start(command).wait();
    assert_eq!(ended.stdout.lines().count(), 1, "{ended:?}");
    let stderr = std::fs::read_to_string(place.path("stderr")).unwrap();
    assert!(stderr.contains("ERROR") && stderr.contains("not delivered") && !stderr.contains("panicked"), "{stderr}");
    let rest = place.run_once_to(0);
    let numbers: Vec<u64> =
        rest.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["n"].as_u64().unwrap()).collect();
    let last = numbers.len() as u64;
    assert!(last > 0 && numbers == ((COUNT - last)..COUNT).collect::<Vec<_>>(), "the rest in its order");
}
