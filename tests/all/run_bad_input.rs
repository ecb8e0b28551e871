//! What `inferlog run` does with input that is not as it should be: lines that are no records, ends without a line end,
//! lines over the limit, unreadable files, wrong pipeline files; and that nothing which is redacted leaks on any of these
//! ways.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::place::{Place, pipeline, pipeline_of, record, start, wait_for};

/// Lines that are no records, with the reason that they are turned away for.
const NO_RECORDS: [(&[u8], &str); 16] = [
    (b"INFO:     127.0.0.1 - \"POST /predict\" 200 OK", "not_an_object"),
    (b"[1,2]", "not_an_object"),
    (b"42", "not_an_object"),
    (b"null", "not_an_object"),
    (b"\"text\"", "not_an_object"),
    (b"{\"n\":nan}", "invalid_json"),
    (b"{\"n\":01}", "invalid_json"),
    (b"{\"n\":1", "invalid_json"),
    (b"{\"n\":1}}", "bytes_after_object"),
    (b"{\"n\":1} {\"n\":2}", "bytes_after_object"),
    (b"{\"n\":1,}", "invalid_json"),
    (b"{'n':1}", "invalid_json"),
    (b"{\"n\":\"a\tb\"}", "invalid_json"),
    (b"{\"n\":\"\xff\"}", "invalid_utf8"),
    (b"{\"n\":1,\"\\u006e\":2}", "repeated_name"),
    (b"   ", "not_an_object"),
];

#[test]
fn lines_that_are_no_records_go_to_the_dead_letter_and_the_rest_goes_on() {
    let place = Place::new(&pipeline("{ store: {} }"));
    let mut offsets = Vec::new();
    for (n, (line, _)) in NO_RECORDS.iter().enumerate() {
        place.append(record(n as u64));
        offsets.push(fs::metadata(place.log()).unwrap().len());
        place.append([line, b"\n".as_slice()].concat());
    }
    let ended = place.run_once_to(1);
    assert!(ended.stderr.contains(&format!("{} went to the dead letter", NO_RECORDS.len())), "{ended:?}");
    place.store().must_hold_each_once(NO_RECORDS.len() as u64);
    let entries = place.dead_letters();
    assert_eq!(entries.len(), NO_RECORDS.len());
    for ((entry, (line, reason)), offset) in entries.iter().zip(NO_RECORDS).zip(offsets) {
        let shown = String::from_utf8_lossy(line);
        assert_eq!((&entry["reason"], &entry["stage"]), (&reason.into(), &"decode".into()), "`{shown}`: {entry}");
        let origin = &entry["origin"];
        assert_eq!(origin["file"].as_str(), place.log().canonicalize().unwrap().to_str());
        assert_eq!(
            (&origin["offset_bytes"], &origin["length_bytes"]),
            (&offset.into(), &line.len().into()),
            "`{shown}`"
        );
        let digest: String = Sha256::digest(line).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(origin["sha256"], digest.as_str(), "`{shown}`");
        match std::str::from_utf8(line) {
            Ok(text) => assert_eq!(entry["raw"], text),
            Err(_) => assert!(entry["raw_base64"].is_string(), "{entry}"),
        }
    }
    let folder = place.path("data/p/dead_letter");
    for file in fs::read_dir(folder).unwrap() {
        assert_eq!(file.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    // They are settled: the next run neither reads nor reports them.
    place.run_once_to(0);
    // With the state gone but for the dead letter they are read again, and not entered again.
    fs::remove_file(place.path("data/p/checkpoint.json")).unwrap();
    place.run_once();
    assert_eq!(place.dead_letters(), entries);
    place.store().must_hold_each_once(NO_RECORDS.len() as u64);
}

#[test]
fn an_end_without_line_end_is_taken_if_it_is_a_record_and_left_otherwise() {
    let whole = record(1);
    let whole = whole.trim_end();
    for (end, is_record) in [(whole, true), (&whole[..200], false), ("{\"n\":1} x", false), ("text", false)] {
        let place = Place::new(&pipeline("{ store: {} }"));
        place.append(record(0));
        place.append(end);
        let ended = place.run_once();
        assert_eq!(ended.code, Some(i32::from(!is_record)), "`{end}`: {ended:?}");
        place.store().must_hold_each_once(1 + u64::from(is_record));
        assert!(place.dead_letters().is_empty(), "left unread, not dead");
        if is_record {
            assert_eq!(place.run_once_to(0).stdout, "");
        } else {
            let said = format!("a.ndjson` ends with {} bytes that are no whole line: left unread", end.len());
            assert!(ended.stderr.contains(&said), "`{end}`: {ended:?}");
        }
        // What follows is told apart from it: a line end after the record, the rest of the line after the other.
        match end.len() {
            200 => place.append(format!("{}\n", &whole[200..])),
            _ if is_record => place.append("\n"),
            _ => continue,
        }
        place.run_once_to(0);
        place.store().must_hold_each_once(2);
    }
}

#[test]
fn a_line_over_the_limit_is_named_by_its_range_and_the_file_goes_on() {
    let files = "paths: [\"logs/*.ndjson\"], line_bytes_max: 1KiB";
    let place = Place::new(&pipeline_of(files, "", "{ store: {} }"));
    let mut expected = Vec::new();
    for (n, text_bytes) in [(0, 1_020), (1, 100_000), (2, 3_000_000), (3, 1_025)] {
        place.append(record(n));
        let line = format!("{{\"text\":\"{}\"}}", "x".repeat(text_bytes));
        expected.push((fs::metadata(place.log()).unwrap().len(), line.len() as u64));
        place.append(line + "\n");
    }
    place.append(record(4));
    place.run_once_to(1);
    place.store().must_hold_each_once(5);
    let entries = place.dead_letters();
    let found: Vec<(u64, u64)> = entries
        .iter()
        .map(|entry| {
            assert_eq!(entry["reason"], "line_too_long");
            assert!(entry.get("raw").is_none() && entry.get("document").is_none(), "{entry}");
            let number = |name: &str| entry["origin"][name].as_u64().unwrap();
            (number("offset_bytes"), number("length_bytes"))
        })
        .collect();
    assert_eq!(found, expected);
    place.run_once_to(0);
}

#[test]
fn what_cannot_be_read_is_reported_once_counted_and_tried_again() {
    let place = Place::new(&pipeline("{ store: {} }"));
    // A link to itself cannot be opened by anybody, root included.
    let link = place.path("logs/loop.ndjson");
    std::os::unix::fs::symlink(&link, &link).unwrap();
    place.append(record(0));
    let running = place.run();
    wait_for("the other file", || (place.store().count() == 1).then_some(()));
    let counter = "inferlog_source_unreadable_files_total{pipeline=\"p\"}";
    running.wait_for_metric(counter, 1);
    // Later scans see it too: the second file proves that there was one.
    fs::write(place.path("logs/b.ndjson"), record(1)).unwrap();
    wait_for("the second file", || (place.store().count() == 2).then_some(()));
    assert_eq!(running.metrics()[counter], 1);
    assert_eq!(running.stderr().matches("loop.ndjson").count(), 1, "{}", running.stderr());
    fs::remove_file(&link).unwrap();
    fs::write(&link, record(2)).unwrap();
    wait_for("the file in its place", || (place.store().count() == 3).then_some(()));
    running.stop();
    place.store().must_hold_each_once(3);
}

#[test]
fn a_long_line_without_its_end_is_left_unread_and_said_under_once() {
    let place = Place::new(&pipeline("{ store: {} }"));
    place.append(crate::place::records(0..5_000));
    place.append("x".repeat(2 << 20));
    for indexed in [5_000, 0] {
        let ended = place.run_once_to(1);
        assert!(ended.stderr.contains("that are no whole line: left unread"), "{ended:?}");
        assert!(ended.stderr.contains(&format!("{indexed} indexed")), "{ended:?}");
    }
    place.store().must_hold_each_once(5_000);
}

#[test]
fn a_file_that_cannot_be_read_is_not_as_hoped_under_once() {
    let place = Place::new(&pipeline("{ store: {} }"));
    let link = place.path("logs/loop.ndjson");
    std::os::unix::fs::symlink(&link, &link).unwrap();
    place.append(record(0));
    let ended = place.run_once_to(1);
    assert!(ended.stderr.contains("1 of its files or folders could not be read"), "{ended:?}");
    place.store().must_hold_each_once(1);
}

#[test]
fn a_damaged_checkpoint_is_kept_aside_and_reported_and_nothing_is_doubled() {
    for damage in ["", "{\"version\":1,\"files\":[{", "\0\0\0\0"] {
        let place = Place::new(&pipeline("{ store: {} }"));
        place.append(crate::place::records(0..100));
        place.run_once_to(0);
        fs::write(place.path("data/p/checkpoint.json"), damage).unwrap();
        let ended = place.run_once_to(0);
        assert!(ended.stderr.contains("the checkpoint was damaged; it is kept aside"), "{ended:?}");
        assert!(ended.stderr.contains("read 100 lines, ") && ended.stderr.contains("100 duplicates"), "{ended:?}");
        let kept = fs::read_dir(place.path("data/p")).unwrap().filter(|file| {
            let path = file.as_ref().unwrap().path();
            path.file_name().unwrap().to_string_lossy().starts_with("checkpoint.json.")
                && fs::read(&path).unwrap() == damage.as_bytes()
        });
        assert_eq!(kept.count(), 1);
        assert!(place.run_once_to(0).stderr.contains("read 0 lines, "));
        place.store().must_hold_each_once(100);
    }
}

#[test]
fn with_raw_omit_a_line_that_is_no_record_is_kept_by_reference_alone() {
    let place = Place::new(&(pipeline("{ store: {} }") + "dead_letter: { raw: omit }\n"));
    place.append(format!("{}a line with words\n", record(0)));
    place.run_once_to(1);
    let entries = place.dead_letters();
    assert_eq!((entries.len(), &entries[0]["origin"]["length_bytes"]), (1, &17.into()));
    assert!(!entries[0].to_string().contains("words"), "{entries:?}");
}

/// Pipeline files and command lines that are refused, with a part of what is said.
#[test]
fn what_is_wrong_with_a_pipeline_is_said_before_anything_starts() {
    let good = pipeline("{ store: {} }");
    let cases = [
        (pipeline("{ elasticsearch: { hosts: [\"${NO_SUCH_VARIABLE}\"], data_stream: a-b-c } }"), "NO_SUCH_VARIABLE"),
        (pipeline("{ store: { path: \"${file:no/such/file}\" } }"), "no/such/file"),
        (pipeline("{ stoer: {} }"), "did you mean `store`?"),
        (good.replace("decode:", "decod:"), "did you mean `decode`?"),
        (good.replace("service.name: ", "service.name: }"), "p.yaml"),
        (good.replace("confidence < 0.6", "confidence < "), "p.yaml"),
        (good.replace("timestamp: { from", "timestamps: { from"), "did you mean `timestamp`?"),
        (good.replace("50ms", "50"), "poll_interval"),
        (String::new(), "p.yaml"),
    ];
    for (text, said) in cases {
        let place = Place::new(&text);
        place.append(record(0));
        let ended = place.run_once();
        assert_eq!(ended.code, Some(2), "{text}\n{ended:?}");
        let checked = start(place.inferlog(&["check", "p.yaml"])).wait();
        assert_eq!((checked.code, &checked.stderr), (Some(2), &ended.stderr), "check says the same");
        assert!(ended.stderr.contains(said) && ended.stdout.is_empty(), "`{said}` is not in {ended:?}");
        assert!(!ended.stderr.contains("panicked") && !ended.stderr.contains("::"), "{ended:?}");
        assert!(!place.path("data").exists(), "nothing was started");
    }
    let place = Place::new(&good);
    for arguments in [&["run", "nowhere.yaml"][..], &["run", "--ones"], &["run", "--listen", "x"], &["fly"], &[]] {
        let ended = start(place.inferlog(arguments)).wait();
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:?}");
        assert!(!ended.stderr.is_empty() && ended.stdout.is_empty(), "{arguments:?}: {ended:?}");
    }
    for arguments in [&["--help"][..], &["--version"], &["run", "--help"], &["completions", "bash"]] {
        let ended = start(place.inferlog(arguments)).wait();
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        assert!(!ended.stdout.is_empty() && ended.stderr.is_empty(), "{arguments:?}: {ended:?}");
    }
}

/// What must be nowhere.
const CANARY: &str = "c4n4ry-Q7";

#[test]
fn what_is_redacted_leaves_no_copy_anywhere() {
    let files = "paths: [\"logs/*.ndjson\"], line_bytes_max: 4KiB";
    let redact = "- redact: { fields: [user.email, secret_note] }\n\
                  - hash: { fields: [subject], into: subject_hash, key: \"0123456789abcdef\" }\n\
                  - redact: { fields: [subject] }";
    let place = Place::new(&pipeline_of(files, redact, "[store, stdout]"));
    let records = [
        r#"{"user":{"email":"CANARY","name":"n"},"a":1}"#,
        r#"{"user.email":"CANARY","a":2}"#,
        r#"{"user":[{"email":"CANARY"},{"email":["CANARY"]}],"a":3}"#,
        r#"{"\u0075ser":{"em\u0061il":"CANARY"},"a":4}"#,
        r#"{"secret_note":{"deep":["CANARY",{"CANARY":1}]},"a":5}"#,
        r#"{"subject":"CANARY","a":6}"#,
        r#"{"secret_note":"CANARY","features":{"x":1},"timestamp":"CANARY-not-a-time","a":7}"#,
    ];
    // The last record carries it in a field that nobody redacts: left out of the table below, it must be found.
    let rejected = [
        // Not decodable, and names a redacted field.
        r#"{"user":{"email":"CANARY"},"a":"#,
        r#"{"secret_note":"CANARY"} trailing"#,
        // Looks like personal data though nothing is named.
        "login of CANARY@example.com failed",
        "password=CANARY",
        "Authorization: Bearer CANARYCANARY",
        // Repeated names: a decode reject.
        r#"{"secret_note":"CANARY","secret_note":"CANARY"}"#,
        // A repeated name inside what is redacted: an enrich reject, after decoding.
        r#"{"secret_note":"CANARY","user":{"email":"CANARY","email":"CANARY"}}"#,
        // The tail of a torn line, which names nothing and looks like nothing.
        r#"ARY CANARY","n":1}"#,
    ];
    let lines = records[..6].iter().chain(&rejected).map(|line| line.replace("CANARY", CANARY) + "\n");
    place.append(lines.collect::<String>());
    place.append(format!("{{\"secret_note\":\"{}\"}}\n", CANARY.repeat(1_000)));
    place.append([b"{\"secret_note\":\"\xff".as_slice(), CANARY.as_bytes(), b"\"}\n"].concat());
    let ended = place.run_once_to(1);
    assert_eq!(place.store().count(), 6, "{ended:?}");
    assert_eq!(place.dead_letters().len(), rejected.len() + 2);
    // What is not UTF-8 would be kept in base64, where a search does not see it.
    assert!(place.dead_letters().iter().all(|entry| entry.get("raw_base64").is_none()));
    must_not_hold(&place, &ended.stdout, &ended.stderr);
    // Nor in what tells of it: the accounts are among the files, and hold the configuration without its key.
    for verb in [&["reconcile", "p.yaml"][..], &["reconcile", "p.yaml", "--format", "json"], &["dead-letter", "list"]] {
        let ended = start(place.inferlog(&[verb, &["--data-dir", "data"]].concat())).wait();
        assert!(ended.code == Some(0) && !ended.stdout.is_empty(), "{ended:?}");
        must_not_hold(&place, &ended.stdout, &ended.stderr);
    }
    let running = place.run();
    let (_, metrics) = running.get("/metrics");
    assert!(metrics.contains("inferlog_settled_dead_letter_records_total{"), "{metrics}");
    must_not_hold(&place, &metrics, &running.stop().stderr);
    assert_eq!(files_with(&place.path("data"), "0123456789abcdef"), 0);
    assert!(files_with(&place.path("data"), "[secret]") > 0, "the configuration is kept");
    for (document, n) in place.store().documents().iter().zip(1..) {
        assert!(document.contains(&format!("\"a\":{n}")) && document.contains("[redacted]"), "{document}");
    }
    // The search itself works.
    place.append(records[6].replace("CANARY", CANARY) + "\n");
    let ended = place.run_once_to(0);
    assert!(ended.stdout.contains(CANARY) && files_with(&place.path("data"), CANARY) > 0);
}

fn must_not_hold(place: &Place, stdout: &str, stderr: &str) {
    assert!(!stdout.contains(CANARY), "{stdout}");
    assert!(!stderr.contains(CANARY), "{stderr}");
    assert_eq!(files_with(&place.path("data"), CANARY), 0);
}

/// The number of files in which a text stands.
fn files_with(folder: &Path, text: &str) -> usize {
    let files = walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap).filter(|file| file.file_type().is_file());
    files.filter(|file| memchr::memmem::find(&fs::read(file.path()).unwrap(), text.as_bytes()).is_some()).count()
}

#[test]
fn words_that_nobody_reads_are_no_panic() {
    let place = Place::new("source: {}\n");
    // /dev/full refuses every byte, as a closed pipe does.
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = place.inferlog(&["check", "p.yaml"]).stderr(full).status().unwrap();
    assert_eq!(status.code(), Some(2));
}
