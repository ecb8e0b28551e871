//! inferlog's own log: its form, how much it says and when that changes, and that it cannot be flooded or forged.

use std::fs;

use serde_json::Value;

use crate::place::{Place, Running, Signal, append, free_address, http, pipeline, record, records, start, wait_for};

fn wait_for_words(running: &Running, words: &str) {
    wait_for(&format!("`{words}` to be said"), || running.stderr().contains(words).then_some(()));
}

/// `POST /-/log-level`.
fn ask(running: &Running, token: &str, level: &str) -> (u16, String) {
    let authorization = format!("Bearer {token}");
    http(running.address.unwrap(), "POST", "/-/log-level", &[("authorization", &authorization)], level).unwrap()
}

#[test]
fn as_objects_every_line_is_one_whatever_happens() {
    let place = Place::new(&pipeline("store"));
    place.append(format!("{}no record\n", records(0..5)));
    let mut command = place.run_command(&["--once", "--listen", "off"]);
    command.env("INFERLOG_LOG", "trace").env("INFERLOG_LOG_FORMAT", "json");
    let ended = start(command).wait();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let lines: Vec<Value> = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for line in &lines {
        let has = |name: &str| line[name].as_str().is_some_and(|text| !text.is_empty());
        assert!(["timestamp", "level", "message", "target"].iter().all(|name| has(name)), "{line}");
    }
    let with = |name: &str, value: &str| lines.iter().any(|line| line[name] == value);
    assert!(with("pipeline", "p") && with("level", "DEBUG") && with("target", "inferlog::pipeline"), "{lines:?}");
    assert!(with("message", "pipeline `p`: 1 went to the dead letter"), "words to people are lines, too: {lines:?}");
}

#[test]
fn what_is_no_form_is_an_error() {
    let place = Place::new(&pipeline("store"));
    let mut command = place.run_command(&["--once", "--listen", "off"]);
    command.env("INFERLOG_LOG_FORMAT", "xml");
    let ended = start(command).wait();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("`INFERLOG_LOG_FORMAT`: `xml` is no form"), "{ended:?}");
}

#[test]
fn how_much_is_said_changes_while_it_runs() {
    let place = Place::new(&pipeline("store"));
    place.append(record(0));
    let running = place.run();
    wait_for("the record", || (place.store().count() == 1).then_some(()));
    let token = fs::read_to_string(place.path("data/admin.token")).unwrap();
    let token = token.trim();
    assert_eq!(ask(&running, "other", "debug").0, 401);
    assert!(!running.stderr().contains("saved the checkpoint"));
    for wrong in ["", "loud", "info,hyper=trace"] {
        let (status, words) = ask(&running, token, wrong);
        assert!(status == 400 && words.contains("hint: one of `off`"), "{wrong}: {status} {words}");
    }
    assert_eq!(ask(&running, token, &"x".repeat(2_000)).0, 413);
    assert_eq!(ask(&running, token, "debug\n"), (200, "info\n".to_owned()));
    wait_for_words(&running, "the log says `warn,inferlog=debug` from now on; it was `info`");
    assert!(running.stderr().contains(" files found pipeline=\"p\" files=1\n"), "{}", running.stderr());
    place.append(record(1));
    wait_for_words(&running, "saved the checkpoint");
    assert_eq!(ask(&running, token, "off").1, "warn,inferlog=debug\n");
    running.signal(Signal::USR1);
    wait_for_words(&running, "the log says `warn,inferlog=debug` from now on; it was `off`");
    running.signal(Signal::USR1);
    wait_for_words(&running, "the log says `info` from now on; it was `warn,inferlog=debug`");
    assert!(!running.stderr().contains(token));
    running.stop();
}

/// Something that happens to every file is said of some of them, and how often it was not.
#[test]
fn one_kind_of_line_cannot_fill_the_log() {
    const FILES: usize = 150;
    let place = Place::new(&pipeline("store"));
    let log = |n: usize| place.path(&format!("logs/{n:03}.ndjson"));
    (0..FILES).for_each(|n| append(&log(n), records(n as u64 * 10..n as u64 * 10 + 2)));
    let running = place.run();
    let wait = |count: u64| wait_for("the records", || (place.store().count() == count).then_some(()));
    wait(2 * FILES as u64);
    (0..FILES).for_each(|n| fs::write(log(n), record(100_000 + n as u64)).unwrap());
    wait(3 * FILES as u64);
    wait_for_words(&running, "further lines as the last one are left out");
    let said = running.stderr();
    assert_eq!(said.matches("the file was truncated or replaced").count(), 100, "{said}");
    running.stop();
}

/// Names of files are chosen by others. They neither move the cursor nor make lines.
#[test]
fn names_of_files_forge_no_line() {
    let place = Place::new(&pipeline("store"));
    let name = "logs/\u{1b}[2J\u{9b}31m\u{202e}\n2026-11-27T10:00:00Z  INFO all is well.ndjson";
    fs::write(place.path(name), records(0..2)).unwrap();
    fs::create_dir(place.path("logs/\u{1b}]0;x\u{7}.ndjson")).unwrap();
    let address = free_address().to_string();
    let running = start(place.run_command(&["--listen", &address]));
    wait_for("the records", || (place.store().count() == 2).then_some(()));
    fs::write(place.path(name), record(7)).unwrap();
    wait_for_words(&running, "the file was truncated or replaced");
    let said = running.stop().stderr;
    assert!(said.lines().all(|line| !line.contains("all is well") || line.contains("\\n2026")), "{said}");
    assert!(!said.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\u{7}']), "{said}");
}
