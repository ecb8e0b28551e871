//! `inferlog dead-letter`: list, show, and replay, into the store and into a real Elasticsearch, with kills, beside a live
//! run, and with secrets that must not be seen. The oracle: what was written is in the sink or in the dead letter, once.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::numbered::report;
use crate::place::{Ended, Place, Running, Signal, append, pipeline, record, records, start, wait_for};
use crate::support::{Method, Node};

/// Shorter than any record of the tests, so that every line goes to the dead letter by its place.
const SHORT: &str = "line_bytes_max: 100";

/// A pipeline with these options of `files`, these processors, each a line, and this sink.
fn made(files: &str, processors: &[&str], sink: &str) -> String {
    let processors: String = processors.iter().map(|processor| format!("  - {processor}\n")).collect();
    format!(
        "source: {{ files: {{ paths: [\"logs/*.ndjson\"], poll_interval: 50ms{} }} }}\ndecode: json\nenrich:\n  - timestamp: {{ from: [timestamp] }}\n{processors}sink: {sink}\n",
        if files.is_empty() { String::new() } else { format!(", {files}") }
    )
}

const STORE: &str = "{ store: {} }";

fn verb(place: &Place, arguments: &[&str]) -> Ended {
    let mut command = place.inferlog(&["dead-letter"]);
    command.args(arguments).args(["--data-dir", "data"]);
    start(command).wait()
}

fn replay(place: &Place, more: &[&str]) -> Ended {
    verb(place, &[&["replay", "p.yaml"], more].concat())
}

fn start_replay(place: &Place, more: &[&str]) -> Running {
    let mut command = place.inferlog(&["dead-letter", "replay", "p.yaml", "--data-dir", "data"]);
    command.args(more);
    start(command)
}

/// The lines of `--format json`.
fn outcomes(ended: &Ended) -> Vec<Value> {
    ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What became of the entry of each line, in the order of the lines: `from`, `outcome`, and the first word of `why`.
fn fates(place: &Place, ended: &Ended, before: &[Value]) -> Vec<String> {
    let outcomes = outcomes(ended);
    assert_eq!(outcomes.len(), before.len(), "{place_data:?}: {ended:?}", place_data = place.path("data"));
    let fate = |entry: &Value| {
        let outcome = outcomes.iter().find(|outcome| outcome["id"] == entry["id"]).unwrap();
        let why = outcome["why"].as_str().unwrap_or_default();
        format!("{} {} {why}", outcome["from"].as_str().unwrap(), outcome["outcome"].as_str().unwrap())
    };
    before.iter().map(fate).collect()
}

const SECRET: &str = "jane.doe-CANARY";

/// One line of each kind that is turned away.
fn bad_lines() -> String {
    let long = json!({ "event": "inference", "n": 5, "user": { "email": SECRET }, "pad": "x".repeat(1_000) });
    let lines = [
        "plain text \u{1b}[31m".to_owned(),
        format!("no json, password={SECRET}"),
        format!("{{\"user\":{{\"email\":\"{SECRET}\"}}"),
        format!("{{\"n\":4,\"a\":{{\"b\":1,\"b\":2}},\"user\":{{\"email\":\"{SECRET}\"}}}}"),
        long.to_string(),
        "{\"event\":\"health\",\"a\":{\"b\":1,\"b\":2}}".to_owned(),
    ];
    lines.map(|line| line + "\n").concat()
}

const REDACT: &str = "redact: { fields: [user.email] }";

#[test]
fn what_is_turned_away_is_listed_shown_and_after_a_change_delivered_without_a_secret_being_seen() {
    let place = Place::new(&made("line_bytes_max: 500", &[REDACT, "rename: { fields: { a.b: h } }"], STORE));
    place.append(bad_lines());
    place.append(record(0));
    place.run_once_to(1);
    let before = place.dead_letters();
    let ended = verb(&place, &["list", "--format", "json"]);
    let groups: Vec<(Value, Value)> =
        outcomes(&ended).into_iter().map(|group| (group["reason"].clone(), group["count"].clone())).collect();
    let expected = [("invalid_json", 1), ("not_an_object", 2), ("repeated_name", 2), ("line_too_long", 1)];
    assert_eq!(groups, expected.map(|(reason, count)| (json!(reason), json!(count))), "{ended:?}");
    let table = verb(&place, &["list", "--stage", "decode"]);
    assert_eq!(table.stdout.lines().count(), 3, "{table:?}");
    assert!(table.stdout.starts_with("pipeline  stage   reason         count  first "), "{table:?}");
    let mut seen = table.stdout;
    for entry in &before {
        let id = entry["id"].as_str().unwrap();
        let shown = verb(&place, &["show", &id[..24]]);
        assert_eq!(shown.code, Some(0), "{shown:?}");
        assert!(shown.stdout.contains("to fix it") && !shown.stdout.contains('\u{1b}'), "{shown:?}");
        seen += &shown.stdout;
    }
    assert_eq!(seen.matches("the pipeline hides something").count(), 3, "{seen}");
    assert!(!seen.contains("plain text"), "{seen}");
    assert_eq!(verb(&place, &["show", "AAAA"]).code, Some(2), "several begin so");
    assert_eq!(verb(&place, &["show", "none"]).code, Some(1));

    // The same pipeline turns the same lines away again.
    let ended = replay(&place, &["--format", "json"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let still = fates(&place, &ended, &before);
    assert_eq!(
        still,
        [
            "line remains not_an_object (decode)",
            "line remains not_an_object (decode)",
            "line remains invalid_json (decode)",
            "line remains repeated_name (enrich)",
            "nothing remains its line is still longer than `line_bytes_max`",
            "line remains repeated_name (enrich)",
        ]
    );
    seen += &ended.stdout;
    let stayed = place.dead_letters();
    assert!(
        stayed.iter().all(|entry| entry["replayed"].is_string() || entry["reason"] == "line_too_long"),
        "{stayed:?}"
    );
    for (entry, before) in stayed.iter().zip(&before) {
        for member in ["id", "time", "stage", "reason", "origin", "document", "raw", "not_kept"] {
            assert_eq!(entry.get(member), before.get(member), "{member}");
        }
    }

    // A selection of them, with a pipeline that takes them.
    place.set_pipeline(&made("", &[REDACT, "drop: { name: health, when: \"event : health\" }"], STORE));
    let long = before[4]["id"].as_str().unwrap();
    let ended = replay(&place, &["--id", long, "--format", "json"]);
    assert_eq!((ended.code, outcomes(&ended).len()), (Some(0), 1), "{ended:?}");
    assert_eq!(replay(&place, &["--id", long]).code, Some(1), "it is not there any more");
    let ended = replay(&place, &["--stage", "enrich", "--format", "json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let enrich: Vec<Value> = [3, 5].map(|n| before[n].clone()).to_vec();
    assert_eq!(fates(&place, &ended, &enrich), ["line indexed ", "line dropped health"]);
    let numbers: Vec<Value> = place
        .store()
        .documents()
        .iter()
        .map(|text| serde_json::from_str::<Value>(text).unwrap()["n"].clone())
        .collect();
    assert_eq!(numbers, [json!(4), json!(5), json!(0)]);
    assert_eq!(place.dead_letters().len(), 3);
    seen += &place.store().documents().concat();
    assert!(!seen.contains(SECRET), "{seen}");
}

#[test]
fn lines_are_found_under_another_name_and_never_mistaken() {
    let place = Place::new(&made(SHORT, &[], STORE));
    place.append(records(0..3));
    append(&place.path("logs/gone.ndjson"), record(3));
    append(&place.path("logs/other.ndjson"), record(4));
    place.run_once_to(1);
    assert_eq!(place.dead_letters().len(), 5);
    fs::rename(place.log(), place.path("logs/a.ndjson.1")).unwrap();
    fs::remove_file(place.path("logs/gone.ndjson")).unwrap();
    // Another line of the same length in the same place of the same file.
    let other = fs::read_to_string(place.path("logs/other.ndjson")).unwrap();
    fs::write(place.path("logs/other.ndjson"), other.replace("inference", "INFERENCE")).unwrap();
    place.set_pipeline(&made("", &[], STORE));
    let ended = replay(&place, &[]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.stdout.matches("its line is gone, and nothing of it was kept").count(), 2, "{ended:?}");
    place.store().must_hold_each_once(3);
    assert_eq!(place.dead_letters().len(), 2);
    // The ids are those that the lines have in a first delivery.
    fs::remove_dir_all(place.path("data/p/dead_letter")).unwrap();
    fs::remove_file(place.path("data/p/checkpoint.json")).unwrap();
    fs::rename(place.path("logs/a.ndjson.1"), place.log()).unwrap();
    fs::remove_file(place.path("logs/other.ndjson")).unwrap();
    place.run_once_to(0);
    place.store().must_hold_each_once(3);
}

#[test]
fn a_kept_line_is_decoded_again_only_if_nothing_was_blacked_out() {
    let place = Place::new(&made("", &[], STORE));
    place.append("{\"n\":0,\"x\":nan}\n{\"n\":1,\"email\":\"a@b.example\",\"x\":nan}\n");
    place.run_once_to(1);
    fs::remove_file(place.log()).unwrap();
    let before = place.dead_letters();
    let ended = replay(&place, &["--format", "json"]);
    assert_eq!(ended.code, Some(1));
    let expected = [
        "raw remains invalid_json (decode)",
        "nothing remains its line is gone, and what is kept of it was blacked out",
    ];
    assert_eq!(fates(&place, &ended, &before), expected);
}

#[test]
fn a_kept_line_is_shown_without_control_characters_and_secrets() {
    let place = Place::new(&made("", &[REDACT], STORE).replace("sink:", "dead_letter: { raw: keep }\nsink:"));
    place.append("plain text \u{1b}[31m\nno json, password=hunter2\n");
    place.run_once_to(1);
    let seen: String = place
        .dead_letters()
        .iter()
        .map(|entry| verb(&place, &["show", entry["id"].as_str().unwrap()]).stdout)
        .collect();
    assert!(seen.contains("plain text \\u{1b}[31m") && seen.contains("password=[redacted]"), "{seen}");
    // Whoever chose it is told what it means.
    let checked = start(place.inferlog(&["check", "p.yaml"])).wait();
    assert!(checked.stderr.contains("it may hold a part of what the pipeline hides"), "{checked:?}");
}

#[test]
fn what_a_processor_turned_away_is_not_sent_half_made() {
    let processors = [
        "rename: { fields: { a.b: c } }",
        REDACT,
        "drop: { when: \"n : 1\", name: ones }",
        "add: { fields: { s: x } }",
    ];
    let of_own_time = |text: String| text.replace("from: [timestamp]", "from: [\"@timestamp\"]");
    let place = Place::new(&of_own_time(made("", &processors, STORE)));
    // The first was edited before it was turned away, the others are kept as they were written.
    let line = |n: u64, more: &str| format!("{{\"n\":{n},\"timestamp\":\"2026-11-23T10:00:00Z\"{more}}}\n");
    let repeated = ",\"a\":{\"b\":1,\"b\":2}";
    let whole = |n: u64| format!("{{\"n\":{n},\"@timestamp\":\"2026-11-23T10:00:00Z\",\"a\":{{\"b\":1,\"b\":2}}}}\n");
    place.append(line(0, repeated) + &whole(1) + &whole(2));
    place.run_once_to(1);
    let before = place.dead_letters();
    assert_eq!(before.len(), 3);
    fs::remove_file(place.log()).unwrap();
    // Whatever the file says by now, they are not sent without what the processors behind would have done.
    place.set_pipeline(&of_own_time(made("", &processors[1..], STORE)));
    let ended = replay(&place, &["--format", "json"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let fates = fates(&place, &ended, &before);
    assert!(fates[0].starts_with("nothing remains its line is gone, and what is kept of it is half made"), "{fates:?}");
    assert_eq!(fates[1..], ["document dropped ones", "document indexed "]);
    let documents = place.store().documents();
    assert_eq!(documents.len(), 1);
    assert!(documents[0].contains("\"s\":\"x\"") && documents[0].contains("\"log.offset\":"), "{documents:?}");
}

/// Many entries, over files of several days, as a dead letter has them that was there for a while.
fn many(place: &Place, count: u64) {
    place.append(records(0..count));
    place.run_once_to(1);
    let folder = place.path("data/p/dead_letter");
    let path = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    assert_eq!(lines.len() as u64, count);
    let (first, second) = lines.split_at(lines.len() / 3);
    fs::write(folder.join("2026-11-20.ndjson"), first.concat()).unwrap();
    fs::write(&path, second.concat()).unwrap();
}

#[test]
fn kills_at_any_point_of_a_replay_lose_and_double_nothing() {
    const COUNT: u64 = 4_000;
    let place = Place::new(&made(SHORT, &[], STORE));
    many(&place, COUNT);
    place.set_pipeline(&(made("", &[], STORE) + "batch: { items_max: 50 }\n"));
    let mut random = fastrand::Rng::with_seed(7);
    let (mut kills, mut midway) = (0, 0);
    while kills < 60 {
        let (before, stored) = (place.dead_letters().len() as u64, place.store().count());
        let mut running = start_replay(&place, &[]);
        // Sometimes at its beginning, mostly when it has delivered something more.
        if random.u8(..4) > 0 {
            wait_for("something to be delivered", || {
                (place.store().count() > stored || running.has_ended() || stored == COUNT).then_some(())
            });
        }
        std::thread::sleep(Duration::from_millis(random.u64(..30)));
        drop(running);
        kills += 1;
        let (stored, left) = (place.store().count(), place.dead_letters().len() as u64);
        midway += u64::from(stored > COUNT - left);
        assert!(stored + left >= COUNT && left <= before, "{stored} in the store, {left} of {before} left");
        if left == 0 {
            break;
        }
    }
    let ended = replay(&place, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    place.store().must_hold_each_once(COUNT);
    assert_eq!(place.dead_letters().len(), 0);
    report(&format!(
        "kills of a replay: {kills}, {midway} of them between a sink's answer and the removal; {COUNT} entries; \
         0 missing, 0 doubled"
    ));
    assert!(midway > 0, "no kill of {kills} fell between a sink's answer and the removal of the entry");
}

#[test]
fn beside_a_live_run_the_replay_is_handed_to_it_while_it_goes_on() {
    const COUNT: u64 = 3_000;
    let place = Place::new(&made(SHORT, &[], STORE));
    many(&place, COUNT);
    // A request that nobody waits for is not carried out.
    let request = json!({ "version": 1, "token": "old", "digest": "", "selection": {} });
    fs::write(place.path("data/p/replay_request.json"), request.to_string()).unwrap();
    place.set_pipeline(&made("", &[], STORE));
    let running = place.run();
    wait_for("the old request to be removed", || (!place.path("data/p/replay_request.json").exists()).then_some(()));
    // It writes to its dead letter and its store meanwhile.
    let replaying = start_replay(&place, &[]);
    for n in COUNT..COUNT + 100 {
        place.append(record(n));
        append(&place.path("logs/text.ndjson"), format!("text {n}\n"));
        std::thread::sleep(Duration::from_millis(5));
    }
    let ended = replaying.wait();
    assert!(ended.stderr.contains(&format!("{COUNT} delivered, 0 were there already")), "{ended:?}");
    wait_for("the run to have all", || {
        (place.store().count() == COUNT + 100 && place.dead_letters().len() == 100).then_some(())
    });
    let metrics = running.metrics();
    let indexed = metrics["inferlog_sink_indexed_records_total{pipeline=\"p\",sink=\"store\"}"];
    assert_eq!(indexed, COUNT + 100, "{metrics:?}");
    let replayed = metrics["inferlog_dead_letter_replayed_entries_total{pipeline=\"p\",outcome=\"indexed\"}"];
    assert_eq!(replayed, COUNT, "{metrics:?}");
    assert!(!place.path("data/p/replay_answer.ndjson").exists() && !place.path("data/p/replay_request.json").exists());

    // What stays is told beside a live run, too, to each of two who ask at once; and one of another file is refused.
    let both = [start_replay(&place, &[]), start_replay(&place, &[])];
    for ended in both.map(Running::wait) {
        assert_eq!((ended.code, ended.stdout.lines().count()), (Some(1), 100), "{ended:?}");
    }
    place.set_pipeline(&made("", &[REDACT], STORE));
    let other = place.path("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("p.yaml"), made("", &[], STORE)).unwrap();
    let ended = verb(&place, &["replay", "other/p.yaml"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("differs from the file that was given"), "{ended:?}");
    // A file that was mended since the run began counts as it is now.
    let ended = replay(&place, &[]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    running.stop();
    place.store().must_hold_each_once(COUNT + 100);
}

#[test]
fn whoever_waits_does_the_rest_when_the_run_is_killed() {
    const COUNT: u64 = 4_000;
    let place = Place::new(&made(SHORT, &[], STORE));
    many(&place, COUNT);
    place.set_pipeline(&(made("", &[], STORE) + "batch: { items_max: 50 }\n"));
    let running = place.run();
    let replaying = start_replay(&place, &[]);
    wait_for("it to be taken", || place.path("data/p/replay_answer.ndjson").exists().then_some(()));
    running.signal(Signal::KILL);
    drop(running);
    let ended = replaying.wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    place.store().must_hold_each_once(COUNT);
    assert_eq!(place.dead_letters().len(), 0);
}

#[test]
fn an_interrupt_ends_a_replay_in_good_order() {
    const COUNT: u64 = 4_000;
    for beside_a_run in [false, true] {
        let place = Place::new(&made(SHORT, &[], STORE));
        many(&place, COUNT);
        place.set_pipeline(&(made("", &[], STORE) + "batch: { items_max: 10 }\n"));
        let running = beside_a_run.then(|| place.run());
        let replaying = start_replay(&place, &["--format", "json"]);
        wait_for("some to be delivered", || (place.store().count() > 0).then_some(()));
        replaying.signal(Signal::INT);
        let ended = replaying.wait();
        assert!(ended.code == Some(1) || place.dead_letters().is_empty(), "{:?} {}", ended.code, ended.stderr);
        let left = place.dead_letters().len() as u64;
        wait_for("the run to have ended its work", || {
            (place.store().count() + place.dead_letters().len() as u64 == COUNT).then_some(())
        });
        assert!(left < COUNT, "what was delivered has left: {}", ended.stderr);
        drop(running);
        assert_eq!(replay(&place, &[]).code, Some(0));
        place.store().must_hold_each_once(COUNT);
    }
}

#[test]
fn a_sink_that_takes_nothing_leaves_everything_as_it_is() {
    let place = Place::new(&made(SHORT, &[], STORE));
    many(&place, 30);
    let before = place.dead_letters();
    // The store's folder is not there: it cannot be opened.
    place.set_pipeline(&made("", &[], "{ store: { path: none/x.sqlite } }"));
    let ended = replay(&place, &[]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_eq!(place.dead_letters(), before);
    // Nobody reads what it writes: nothing is known of any document.
    place.set_pipeline(&made("", &[], "stdout"));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = place.inferlog(&["dead-letter", "replay", "p.yaml", "--data-dir", "data"]);
    let output =
        command.stdout(writer).stderr(std::process::Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("closed by its reader"), "{output:?}");
    assert_eq!(place.dead_letters(), before);
    assert_eq!(verb(&place, &["replay", "none.yaml"]).code, Some(2));
    assert_eq!(verb(&place, &["list", "--pipeline", "q"]).code, Some(2));
    let nowhere = start(place.inferlog(&["dead-letter", "list", "--data-dir", "nowhere"])).wait();
    assert_eq!(nowhere.code, Some(2), "{nowhere:?}");
}

#[test]
fn no_entries_is_said_only_of_what_was_looked_at() {
    let place = Place::new(&made("", &[], STORE));
    place.append(records(0..2));
    place.run_once_to(0);
    let list = |more: &[&str]| verb(&place, &[&["list"], more].concat());
    let empty = list(&[]);
    assert!(empty.code == Some(0) && empty.stderr.contains("no entries in the dead letter of p in `"), "{empty:?}");
    let cannot = |more: &[&str], words: &str| {
        let ended = list(more);
        assert!(ended.code == Some(2) && ended.stderr.contains(words), "no `{words}` in {ended:?}");
        assert!(!ended.stderr.contains("no entries"), "{ended:?}");
    };
    // Another folder, in which no pipeline ever ran.
    let elsewhere = start(place.inferlog(&["dead-letter", "list", "--data-dir", "logs"])).wait();
    assert!(
        elsewhere.code == Some(2) && elsewhere.stderr.contains("no pipeline has a dead letter in"),
        "{elsewhere:?}"
    );
    // An entry that cannot be read, a file, and the folder itself: a folder in the place of a file, and the other way
    // round, are in the way of every user.
    fs::write(place.path("data/p/dead_letter/2026-01-01.ndjson"), "damaged\n").unwrap();
    let damaged = list(&[]);
    assert!(damaged.code == Some(2) && damaged.stderr.contains("1 line of its dead letter cannot"), "{damaged:?}");
    assert!(!damaged.stderr.contains("no entries"), "{damaged:?}");
    fs::remove_file(place.path("data/p/dead_letter/2026-01-01.ndjson")).unwrap();
    fs::create_dir(place.path("data/p/dead_letter/2026-01-01.ndjson")).unwrap();
    cannot(&[], "cannot read the dead letter in");
    fs::remove_dir(place.path("data/p/dead_letter/2026-01-01.ndjson")).unwrap();
    fs::remove_dir(place.path("data/p/dead_letter")).unwrap();
    fs::write(place.path("data/p/dead_letter"), "").unwrap();
    cannot(&[], "cannot look into `data/p/dead_letter`");
    cannot(&["--format", "json"], "cannot look into `data/p/dead_letter`");
    // `query` without a store to look at.
    fs::remove_file(place.path("data/p/store.sqlite")).unwrap();
    std::os::unix::fs::symlink("store.sqlite", place.path("data/p/store.sqlite")).unwrap();
    let query = start(place.inferlog(&["query", "*", "--data-dir", "data"])).wait();
    assert!(query.code == Some(2) && query.stderr.contains("cannot look for stores in `data`"), "{query:?}");
}

#[test]
fn documents_on_standard_output_stand_alone_and_a_run_that_waits_at_the_limit_goes_on_after_a_replay() {
    let place = Place::new(&made(SHORT, &[], "stdout"));
    place.append(records(0..2));
    place.append("text\n");
    place.run_once_to(1);
    place.set_pipeline(&made("", &[], "stdout"));
    let ended = replay(&place, &[]);
    assert_eq!((ended.code, ended.stdout.lines().count()), (Some(1), 2), "{ended:?}");
    assert!(ended.stdout.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{ended:?}");
    assert!(ended.stderr.contains("remains: not_an_object (decode)"), "{ended:?}");

    // 1 MiB is the least that a dead letter may have: some three thousand entries.
    let limited = |files: &str| made(files, &[], STORE) + "dead_letter: { bytes_max: 1MiB }\n";
    let place = Place::new(&limited(SHORT));
    place.append(records(0..4_000));
    let running = place.run();
    wait_for("the dead letter to be full", || running.stderr().contains("has reached its").then_some(()));
    place.set_pipeline(&limited(""));
    let before = place.dead_letters().len();
    let ended = replay(&place, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // The run still has the old limit of a line: what it read meanwhile is there now.
    wait_for("the rest to be read", || (place.dead_letters().len() + before == 4_000).then_some(()));
    assert_eq!(replay(&place, &[]).code, Some(0));
    running.stop();
    place.store().must_hold_each_once(4_000);
}

#[test]
fn memory_does_not_grow_with_the_dead_letter() {
    const COUNT: u64 = 60_000;
    let place = Place::new(&made("", &["rename: { fields: { features.a: a } }"], STORE));
    let padding = "x".repeat(700);
    let line =
        |n| format!("{{\"n\":{n},\"request_id\":\"r{n}\",\"pad\":\"{padding}\",\"features\":{{\"a\":1,\"a\":2}}}}\n");
    place.append((0..COUNT).map(line).collect::<String>());
    place.run_once_to(1);
    fs::remove_file(place.log()).unwrap();
    let mut bytes = 0;
    for entry in fs::read_dir(place.path("data/p/dead_letter")).unwrap() {
        // As if a sink had turned them down: then what is kept is the whole document.
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap().replace("\"stage\":\"enrich\"", "\"stage\":\"sink\"");
        bytes += text.len();
        fs::write(path, text).unwrap();
    }
    let (ended, listing_bytes) = start(place.inferlog(&["dead-letter", "list", "--data-dir", "data"])).wait_and_weigh();
    assert!(ended.stdout.contains(&COUNT.to_string()), "{ended:?}");
    let (ended, replaying_bytes) = start_replay(&place, &[]).wait_and_weigh();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    place.store().must_hold_each_once(COUNT);
    assert!(
        bytes > 60 << 20 && listing_bytes < 30 << 20 && replaying_bytes < 48 << 20,
        "{bytes} bytes of entries; {listing_bytes} to list them, {replaying_bytes} to replay them"
    );
}

#[tokio::test]
async fn a_mapping_conflict_in_elasticsearch_is_mended_and_replayed() {
    let Some(node) = Node::plain("a mapping conflict that is mended") else { return };
    let stream = "logs-ml.inference-deadletter";
    node.forget(stream).await;
    let sink = format!(
        "{{ elasticsearch: {{ hosts: [\"{}\"], data_stream: {stream}, retry: {{ max: 500ms }} }} }}",
        node.options.hosts[0]
    );
    let place = Place::new(&pipeline(&sink));
    assert_eq!(start(place.inferlog(&["setup", "apply", "p.yaml"])).wait().code, Some(0));
    place.append(records(0..5));
    // Text where numbers are expected, in a line that will be there and in one that will be gone.
    place.append(record(5).replace("\"latency_ms\": ", "\"latency_ms\": \"slow\", \"was\": "));
    append(&place.path("logs/b.ndjson"), record(6).replace("\"latency_ms\": ", "\"latency_ms\": \"slow\", \"was\": "));
    place.run_once_to(1);
    let before = place.dead_letters();
    assert_eq!(before.len(), 2);
    assert!(before.iter().all(|entry| entry["reason"] == "document_parsing_exception"), "{before:?}");
    let shown = verb(&place, &["show", before[0]["id"].as_str().unwrap()]);
    assert!(shown.stdout.contains("latency_ms") && shown.stdout.contains("_rollover"), "{shown:?}");
    fs::remove_file(place.path("logs/b.ndjson")).unwrap();

    // The pipeline file is mended: the line gets through, the document that was kept does not.
    let processors =
        ["rename: { fields: { latency_ms: latency_text }, when: \"was : *\" }", "id: { from: [request_id] }"];
    let processors = processors.map(|processor| format!("  - {processor}\n")).concat();
    let mended = pipeline(&sink).replace("sink:", &format!("{processors}sink:"));
    place.set_pipeline(&mended);
    let ended = replay(&place, &["--format", "json"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let mut fates = fates(&place, &ended, &before);
    fates.sort_unstable();
    assert_eq!(fates, ["document remains document_parsing_exception (sink)", "line indexed "]);
    assert_eq!(node.count(stream, "{\"match_all\":{}}").await, 6);
    assert_eq!(node.count(stream, "{\"term\":{\"latency_text\":\"slow\"}}").await, 1);
    // Under the id that it had, though the file would give it another one by now.
    let first = before.iter().find(|entry| entry["origin"]["file"].as_str().unwrap().ends_with("a.ndjson")).unwrap();
    assert_eq!(node.count(stream, &json!({ "ids": { "values": [first["id"]] } }).to_string()).await, 1);

    // The mapping is mended: a new backing index takes text.
    let own = json!({
        "index_patterns": [stream], "priority": 900, "data_stream": {},
        "template": { "mappings": { "properties": { "latency_ms": { "type": "keyword" } } } } });
    let path = "_index_template/inferlog-test-deadletter";
    let (status, answer) = node.ask(Method::Put, path, &own.to_string()).await;
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = node.ask(Method::Post, &format!("{stream}/_rollover"), "").await;
    assert_eq!(status, 200, "{answer}");
    let ended = replay(&place, &["--format", "json"]);
    node.ask(Method::Delete, path, "").await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(node.count(stream, "{\"match_all\":{}}").await, 7);
    assert_eq!(place.dead_letters().len(), 0);
    // Under the id of the first delivery: another replay of the same entry is a duplicate.
    let day = place.path("data/p/dead_letter/2026-11-20.ndjson");
    let kept = before.iter().find(|entry| entry["origin"]["file"].as_str().unwrap().ends_with("b.ndjson")).unwrap();
    fs::write(day, format!("{kept}\n")).unwrap();
    let ended = replay(&place, &["--format", "json"]);
    assert_eq!((ended.code, outcomes(&ended)[0]["outcome"].as_str()), (Some(0), Some("duplicate")), "{ended:?}");
    assert_eq!(node.count(stream, "{\"match_all\":{}}").await, 7);
    node.forget(stream).await;
}
