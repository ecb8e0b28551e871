//! `inferlog migrate`: a Filebeat configuration and its registry, taken over by the built binary.
//!
//! The registry is written after Filebeat's own source: a checkpoint, and changes behind it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::odd_files::{numbers, reconcile};
use crate::place::{Ended, Place, record, records, start, wait_for};

/// A place with a configuration that reads its logs.
fn place(more: &str) -> Place {
    let place = Place::new("");
    fs::remove_file(place.path("p.yaml")).unwrap();
    let logs = place.path("logs");
    let text = format!(
        "filebeat.inputs:\n  - type: filestream\n    id: model\n    paths: [\"{}/*.ndjson\"]\n    parsers: [{{ ndjson: {{ target: \"\" }} }}]\n{more}",
        logs.display()
    );
    fs::write(place.path("filebeat.yml"), text).unwrap();
    place
}

fn migrate(place: &Place, more: &[&str]) -> Ended {
    let arguments = [&["migrate", "filebeat.yml", "-o", "p.yaml", "--data-dir", "data"], more].concat();
    start(place.inferlog(&arguments)).wait()
}

/// What Filebeat would say of files: each with how much of it was delivered.
fn write_registry(place: &Place, files: &[(&Path, u64)]) {
    let folder = place.path("fb/registry/filebeat");
    fs::create_dir_all(&folder).unwrap();
    let state = |(path, offset): &(&Path, u64)| {
        let metadata = fs::metadata(path).unwrap();
        let key = format!("filestream::model::native::{}-{}", metadata.ino(), metadata.dev());
        (
            key,
            serde_json::json!({ "ttl": -1, "cursor": { "offset": offset }, "meta": { "source": path, "identifier_name": "native" } }),
        )
    };
    let (first, behind) = files.split_at(1);
    let mut checkpoint: Vec<serde_json::Value> = Vec::new();
    for (key, mut value) in first.iter().map(state) {
        value["_key"] = key.into();
        checkpoint.push(value);
    }
    fs::write(folder.join("meta.json"), "{\"version\":\"1\"}").unwrap();
    fs::write(folder.join("4.json"), serde_json::to_string(&checkpoint).unwrap()).unwrap();
    let changes = behind.iter().map(state).zip(5..).map(|((key, value), id)| {
        format!("{{\"op\":\"set\",\"id\":{id}}}\n{}\n", serde_json::json!({ "k": key, "v": value }))
    });
    fs::write(folder.join("log.json"), changes.collect::<String>()).unwrap();
}

#[test]
fn a_configuration_is_drafted_checked_and_says_what_it_could_not_say() {
    let place = place("output.elasticsearch: { hosts: [\"https://es:9200\"], username: u, password: hunter2 }\n");
    let ended = migrate(&place, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("0 cannot be translated") && ended.stderr.contains("ES_PASSWORD"), "{ended:?}");
    let draft = fs::read_to_string(place.path("p.yaml")).unwrap();
    assert!(!(draft + &ended.stderr + &ended.stdout).contains("hunter2"));
    let unset = start(place.inferlog(&["check", "p.yaml"])).wait();
    assert!(unset.code == Some(2) && unset.stderr.contains("`ES_PASSWORD` is not set"), "{unset:?}");
    let mut check = place.inferlog(&["check", "p.yaml"]);
    let checked = start({
        check.env("ES_PASSWORD", "hunter2");
        check
    })
    .wait();
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let again = migrate(&place, &[]);
    assert!(again.code == Some(2) && again.stderr.contains("is there already"), "{again:?}");
    // Something that cannot be said, and the filters of a Logstash behind it.
    fs::write(place.path("ls.conf"), "filter {\n  grok { match => { \"message\" => \"%{X}\" } }\n}\n").unwrap();
    fs::write(
        place.path("filebeat.yml"),
        "filebeat.inputs: [{ type: log, paths: [/x/*.log], include_lines: [a] }]\noutput.logstash: { hosts: [ls] }\n",
    )
    .unwrap();
    let ended = start(place.inferlog(&["migrate", "filebeat.yml", "--logstash", "ls.conf"])).wait();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for option in ["inputs: include_lines", "output.logstash", "filter grok of Logstash"] {
        let line = format!("cannot be translated: {option}: ");
        assert!(ended.stdout.contains(&line), "{option}: {ended:?}");
        assert!(ended.stderr.contains(&format!("cannot be translated  {option}: ")), "{option}: {ended:?}");
    }
    for (file, problem) in [("none.yml", "cannot be read"), ("ls.conf", "cannot be translated: it is no")] {
        let ended = start(place.inferlog(&["migrate", file])).wait();
        assert!(ended.code == Some(2) && ended.stderr.contains(problem), "{ended:?}");
    }
}

#[test]
fn the_example_is_translated_as_a_whole() {
    let place = Place::new("");
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/filebeat/filebeat.yml");
    let ended = start(place.inferlog(&["migrate", example, "-o", "model.yaml"])).wait();
    assert!(ended.code == Some(0) && ended.stderr.contains(" 0 cannot be translated"), "{ended:?}");
    let checked = start(place.inferlog(&["check", "model.yaml"])).wait();
    assert_eq!(checked.code, Some(0), "{checked:?}");
}

#[test]
fn a_pipeline_goes_on_where_filebeat_has_stopped() {
    let place = place("");
    let [one, two, three] = ["a", "b", "c"].map(|name| place.path(&format!("logs/{name}.ndjson")));
    fs::write(&one, records(0..10)).unwrap();
    fs::write(&two, records(10..20)).unwrap();
    // Filebeat never met this one.
    fs::write(&three, records(20..25)).unwrap();
    let bytes = |range| records(range).len() as u64;
    // Of the second it had a part of a line; a third one is gone.
    let gone = place.path("logs/gone.ndjson");
    fs::write(&gone, records(90..91)).unwrap();
    write_registry(&place, &[(&one, bytes(0..4)), (&two, bytes(10..17) + 5), (&gone, 3)]);
    fs::remove_file(&gone).unwrap();
    // While Filebeat runs nothing is taken over.
    let lock = fs::File::create(place.path("fb/filebeat.lock")).unwrap();
    lock.lock().unwrap();
    let running = migrate(&place, &["--registry", "fb/registry/filebeat"]);
    assert!(running.code == Some(2) && running.stderr.contains("Filebeat is running"), "{running:?}");
    assert!(!place.path("data/p/checkpoint.json").exists());
    lock.unlock().unwrap();
    // The pipeline file was written, and is taken as it is.
    let ended = migrate(&place, &["--registry", "fb/registry"]);
    assert_eq!(ended.code, Some(1), "one file is gone: {ended:?}");
    for words in [
        "they are taken as they are".to_owned(),
        format!("a.ndjson: goes on at byte {} of {}", bytes(0..4), bytes(0..10)),
        format!("b.ndjson: goes on at byte {} of {}, 5 bytes before", bytes(10..17), bytes(10..20)),
        "gone.ndjson: not taken over".to_owned(),
        "registry: 3 files, 0 of them of no pipeline here".to_owned(),
    ] {
        assert!(ended.stderr.contains(&words), "{words}: {ended:?}");
    }
    let again = migrate(&place, &["--registry", "fb/registry"]);
    assert!(again.code == Some(2) && again.stderr.contains("has read before"), "{again:?}");
    place.run_once_to(0);
    let expected: Vec<u64> = (4..10).chain(17..20).chain(20..25).collect();
    assert_eq!(numbers(&place), expected);
    let proven = reconcile(&place);
    assert_eq!(proven.code, Some(0), "{proven:?}");
    // The same ids as without Filebeat: what is read from the beginning meets them again.
    fs::remove_file(place.path("data/p/checkpoint.json")).unwrap();
    place.run_once_to(0);
    assert_eq!(numbers(&place), (0..25).collect::<Vec<u64>>());
    // And it goes on.
    let running = place.run();
    crate::place::append(&one, record(25));
    wait_for("the next record", || (place.store().count() == 26).then_some(()));
    running.stop();
}
