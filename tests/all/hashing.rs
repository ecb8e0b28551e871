//! Hashes: they are those that the documents' Python makes, and what was hashed is found again under every key, or it is said
//! that not all could be looked through.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::place::{Ended, Place, start};
use crate::support::{Node, provided};

const NEW: &str = "{ id: 2026-11, secret: the new one }";
const OLD: &str = "{ id: 2026-05, secret: the old one }";

fn pipeline(processors: &[&str], sink: &str) -> String {
    let processors: String = processors.iter().map(|processor| format!("  - {processor}\n")).collect();
    format!(
        "source: {{ files: {{ paths: [\"logs/*.ndjson\"] }} }}\ndecode: json\nenrich:\n  - timestamp: {{ from: [timestamp] }}\n\
         {processors}sink: {sink}\n"
    )
}

/// The records of a run to standard output, by their number `n`.
fn printed(place: &Place) -> BTreeMap<u64, Value> {
    let ended = place.run_once_to(0);
    let records = ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.map(|record| (record["n"].as_u64().unwrap(), record)).collect()
}

/// Lines of random features, and what the documents' Python makes of each.
fn random_lines(python: &str, count: usize) -> Vec<(String, Value)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(python);
    command.arg(root.join("tests/python/hash_features.py")).arg(count.to_string()).env("PYTHONDONTWRITEBYTECODE", "1");
    command.stdin(fs_err::File::open(root.join("docs/hashing.md")).unwrap().into_parts().0);
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "the Python of docs/hashing.md runs");
    let text = String::from_utf8(output.stdout).unwrap();
    let read = |line: &str| {
        let made: Value = serde_json::from_str(line).unwrap();
        (made["line"].as_str().unwrap().to_owned() + "\n", made["expected"].clone())
    };
    text.lines().map(read).collect()
}

#[test]
fn hashes_are_those_of_the_documents_python_before_and_after_a_change_of_keys() {
    let Some(python) = provided("INFERLOG_TEST_PYTHON", "hashes of Python") else { return };
    let made = random_lines(&python, 1_000);
    let hashes = |keys: &str| {
        let keyed = format!("hash: {{ fields: [features], keys: [{keys}] }}");
        let others = [
            "hash: { fields: [features] }",
            "hash: { fields: [features], into: salted_hash, salt: a salt }",
            "hash: { fields: [features], into: written_hash, numbers: as_written }",
        ];
        pipeline(&[&others[..], &[&keyed]].concat(), "stdout")
    };
    let place = Place::new(&hashes(OLD));
    let (before, after) = made.split_at(made.len() / 2);
    place.append(before.iter().map(|(line, _)| line.as_str()).collect::<String>());
    let mut records = printed(&place);
    place.set_pipeline(&hashes(&format!("{NEW}, {OLD}")));
    place.append(after.iter().map(|(line, _)| line.as_str()).collect::<String>());
    records.extend(printed(&place));
    let mut compared = 0;
    for (n, (line, expected)) in made.iter().enumerate() {
        let record = &records[&(n as u64)];
        let (id, key) = if n < before.len() { ("2026-05", "the old one") } else { ("2026-11", "the new one") };
        assert_eq!(record["input_hmac"], expected["input_hmac"][key], "{line}");
        assert_eq!(record["input_hmac_key_id"], id, "{line}");
        for name in ["input_hash", "salted_hash"] {
            assert_eq!(record[name], expected[name], "{name} of {line}");
        }
        if let Some(written) = expected.get("written_hash") {
            compared += 1;
            assert_eq!(record["written_hash"], *written, "written_hash of {line}");
        }
    }
    assert_eq!(records.len(), 1_000);
    assert!(compared > 200, "only {compared} were written as Python's `json` sorts them");
}

/// A server's own digest of [`INPUT`], without a key.
const PLAIN: &str = "fe808be11761886ab931fa99f3c90fa5c45a3d3abbd12a2278cf515582176f2e";
const INPUT: &str = r#"{"amount":1.50,"country":"DE"}"#;

/// A line about [`INPUT`] and subject `s-1`.
fn line(request_id: &str, more: &str) -> String {
    format!(
        "{{\"request_id\":\"{request_id}\",\"timestamp\":\"2026-11-23T10:00:00Z\",\"subject\":\"s-1\",\
         \"features\":{INPUT}{more}}}\n"
    )
}

/// The processors with these keys for the input and for the subject, which is hidden.
fn keyed(keys: &str, sink: &str) -> String {
    let [input, subject] = ["features", "subject"].map(|field| format!("hash: {{ fields: [{field}], {keys} }}"));
    pipeline(&[&input, &subject, "remove: { fields: [subject] }"], sink)
}

fn ask(place: &Place, arguments: &[&str]) -> Ended {
    start(place.inferlog(&[&["query", "--data-dir", "data"], arguments].concat())).wait()
}

/// Ships records under an unnamed key, the old one, and the new one, one of them hashed by its server; asks one sink.
fn check_rotation(place: &Place, sink: &str, source: &str) {
    let with = |keys: &str| place.set_pipeline(&keyed(keys, sink));
    with("key: the first one");
    place.append(line("unnamed", ""));
    place.run_once_to(0);
    with(&format!("keys: [{OLD}]"));
    place.append(line("old", "") + &line("server", &format!(",\"input_hash\":\"{PLAIN}\"")));
    place.run_once_to(0);
    with(&format!("keys: [{NEW}, {OLD}, {{ id: first, secret: the first one }}]"));
    place.append(line("new", "") + "{\"request_id\":\"other\",\"subject\":\"s-2\",\"features\":{}}\n");
    place.run_once_to(0);
    let count = |arguments: &[&str]| {
        let more = ["--count", "--pipeline", "p.yaml", "--source", source, "--manifest", "m.json"];
        ask(place, &[arguments, &more].concat())
    };
    fs_err::write(place.path("input.json"), "{\n  \"country\": \"D\\u0045\",\n  \"amount\": 1.5\n}\n").unwrap();
    for arguments in [["--input", INPUT], ["--input", "input.json"], ["--subject", "s-1"]] {
        let found = count(&arguments);
        assert_eq!((found.code, found.stdout.as_str()), (Some(0), "4\n"), "{source} {arguments:?}: {found:?}");
        assert!(found.stderr.contains("was looked for under the keys `2026-11`, `2026-05`, `first`\n"), "{found:?}");
        assert!(found.stderr.contains("note: 1 record that could be meant got `"), "{found:?}");
    }
    // Without one of its keys, not all can be looked through.
    with(&format!("keys: [{NEW}]"));
    for (arguments, expected) in [(["--input", INPUT], "2\n"), (["--subject", "s-1"], "1\n")] {
        let found = count(&arguments);
        assert_eq!((found.code, found.stdout.as_str()), (Some(2), expected), "{source} {arguments:?}: {found:?}");
        let lacking = "_hmac` under the key `2026-05`, which was not tried";
        assert!(
            found.stderr.contains("2 records that could be meant got `") && found.stderr.contains(lacking),
            "{found:?}"
        );
        let manifest: Value = serde_json::from_str(&fs_err::read_to_string(place.path("m.json")).unwrap()).unwrap();
        assert_eq!(manifest["keys"]["tried"], serde_json::json!(["2026-11"]));
        assert_eq!(manifest["keys"]["lacking"], serde_json::json!(["2026-05", null]));
    }
    let narrowed = count(&["request_id : (new or other)", "--subject", "s-1"]);
    assert_eq!((narrowed.code, narrowed.stdout.as_str()), (Some(0), "1\n"), "{source}: {narrowed:?}");
    // Nor can it without any.
    place.set_pipeline(&pipeline(&[], sink));
    let found = count(&["--input", INPUT]);
    assert_eq!((found.code, found.stdout.as_str()), (Some(2), "1\n"), "{source}: {found:?}");
    for words in
        ["under the key `2026-05`, which", "under the key `2026-11`, which", "under a key, which was not tried"]
    {
        assert!(found.stderr.contains(words), "no `{words}`: {found:?}");
    }
    let found = count(&["--subject", "s-1"]);
    assert_eq!((found.code, found.stdout.as_str()), (Some(2), "0\n"), "{source}: {found:?}");
}

#[test]
fn what_was_hashed_is_found_under_every_key_or_the_answer_says_which_it_lacked() {
    let place = Place::new("");
    check_rotation(&place, "store", "store");
    // Without a pipeline file no key is known at all.
    let found = ask(&place, &["--input", INPUT, "--count"]);
    assert_eq!((found.code, found.stdout.as_str()), (Some(2), "1\n"), "{found:?}");
}

#[tokio::test]
async fn elasticsearch_finds_what_was_hashed_under_every_key() {
    let Some(node) = Node::plain("hashes under several keys") else { return };
    let stream = "logs-ml.inference-keys";
    node.forget(stream).await;
    let host = node.options.hosts[0].as_str();
    let sink = format!("{{ elasticsearch: {{ hosts: [\"{host}\"], data_stream: {stream} }} }}");
    let place = Place::new(&pipeline(&[], &sink));
    assert_eq!(start(place.inferlog(&["setup", "apply", "p.yaml"])).wait().code, Some(0));
    check_rotation(&place, &sink, "elasticsearch");
    node.forget(stream).await;
}

/// A keyed hash of `features` without `into` went to `input_hash` once, and a hash may take the place of the subject.
#[test]
fn hashes_are_looked_for_where_they_went() {
    let place = Place::new(&pipeline(&["hash: { fields: [features], into: input_hash, key: k }"], "store"));
    place.append(line("before", ""));
    place.run_once_to(0);
    let in_place = "hash: { fields: [subject], into: subject, key: k }";
    place.set_pipeline(&pipeline(&["hash: { fields: [features], key: k }", in_place], "store"));
    let number = line("number", "").replace("\"s-1\"", "4711");
    place.append(line("after", "") + &number);
    place.run_once_to(0);
    let count = |arguments: &[&str]| {
        let found = ask(&place, &[arguments, &["--count", "--pipeline", "p.yaml"]].concat());
        (found.code, found.stdout)
    };
    assert_eq!(count(&["--input", INPUT]), (Some(0), "3\n".to_owned()));
    assert_eq!(count(&["--subject", "s-1"]), (Some(0), "2\n".to_owned()), "as it is, and by its hash");
    assert_eq!(count(&["--subject", "4711"]), (Some(0), "1\n".to_owned()));
    let several = "hash: { fields: [features.amount, model], into: input_hmac, key: k }";
    place.set_pipeline(&pipeline(&["hash: { fields: [features], key: k }", several], "store"));
    assert_eq!(count(&["--input", INPUT]), (Some(0), "3\n".to_owned()), "what is not of several fields");
    let chosen = "hash: { fields: [\"features.*\"], into: input_hmac, key: k }";
    place.set_pipeline(&pipeline(&[chosen, "redact: { fields: [subject], with: { hash: { key: k } } }"], "store"));
    place.append(line("chosen", ""));
    place.run_once_to(0);
    let nested = format!("{{\"features\":{INPUT}}}");
    assert_eq!(count(&["--input", &nested]), (Some(0), "1\n".to_owned()), "as the record has them");
    assert_eq!(count(&["--subject", "s-1"]), (Some(0), "3\n".to_owned()), "what `redact` has hashed, too");
    place.set_pipeline(&pipeline(&["hash: { fields: [features], key: k }", several], "store"));
    assert_eq!(count(&["--input", "[1.5]"]), (Some(0), "0\n".to_owned()), "what cannot be of several fields");
    place.set_pipeline(&pipeline(&["redact: { fields: [subject] }"], "store"));
    let hidden = ask(&place, &["--subject", "s-1", "--pipeline", "p.yaml"]);
    assert!(
        hidden.code == Some(2) && hidden.stderr.contains("the pipeline hides it, and hashes it nowhere"),
        "{hidden:?}"
    );
    place.set_pipeline(&pipeline(&[several], "store"));
    for (input, words) in [
        ("no-such.json", "this is no JSON, and no file"),
        ("logs", "this is not a file"),
        ("logs/a.ndjson", "the file is not one JSON value"),
        (r#"1,"b":2"#, "it is several values"),
    ] {
        let refused = ask(&place, &["--input", input, "--pipeline", "p.yaml"]);
        assert!(refused.code == Some(2) && refused.stderr.contains(words), "{input}: {refused:?}");
    }
}

/// Half of a surrogate pair, as a truncated emoji or Python's `surrogateescape` leaves it.
#[test]
fn what_has_no_canonical_form_is_shipped_and_found_by_its_bytes() {
    let place = Place::new(&pipeline(
        &["hash: { fields: [features], into: input_hash }", "redact: { fields: [user.email] }"],
        "store",
    ));
    let lines = [
        r#"{"request_id":"s1","timestamp":"2026-11-23T10:00:01Z","features":{"prompt":"cut in the middle of an emoji \ud83d"}}"#,
        r#"{"request_id":"s2","timestamp":"2026-11-23T10:00:02Z","features":{"prompt":"whole \ud83d\ude00 and 😀"}}"#,
        r#"{"request_id":"s3","timestamp":"2026-11-23T10:00:03Z","features":{"prompt":"ok"},"answer":"\udce9 undecodable byte of Python"}"#,
        r#"{"request_id":"s4","timestamp":"2026-11-23T10:00:04Z","features":{"prompt":"nul \u0000 in a text"}}"#,
        r#"{"request_id":"s5","timestamp":"2026-11-23T10:00:05Z","features":{"prompt":"ok"},"user":{"name":"J\ud83d","email":"jo@example.com"}}"#,
        r#"{"request_id":"s6","timestamp":"2026-11-23T10:00:06Z","features":{"x":1e999}}"#,
        r#"{"request_id":"s7","timestamp":"2026-11-23T10:00:07Z","features":{"x":1,"x":2}}"#,
    ];
    place.append(lines.map(|line| format!("{line}\n")).concat());
    place.run_once_to(0);
    let documents = place.store().documents();
    assert_eq!(documents.len(), lines.len());
    for (line, is_hashed) in lines.iter().zip([false, true, true, true, true, false, false]) {
        let shipped = line.replace("jo@example.com", "[redacted]");
        let document =
            documents.iter().find(|document| document.starts_with(shipped.trim_end_matches('}'))).expect(line);
        for (name, is_there) in
            [("input_hash", is_hashed), ("input_bytes_hash", !is_hashed), ("not_hashed", !is_hashed)]
        {
            assert_eq!(document.contains(&format!("\"{name}\"")), is_there, "{name}: {document}");
        }
    }
    let found = ask(
        &place,
        &[
            "--input",
            r#"{"prompt":"cut in the middle of an emoji \ud83d"}"#,
            "--pipeline",
            "p.yaml",
            "--format",
            "csv",
            "--columns",
            "request_id",
        ],
    );
    assert_eq!((found.code, found.stdout.as_str()), (Some(0), "request_id\r\ns1\r\n"), "{found:?}");
    assert!(found.stderr.contains("no canonical form"), "{found:?}");
    let all = ask(&place, &["user.name : J* or answer : *byte*", "--count"]);
    assert_eq!((all.code, all.stdout.as_str()), (Some(0), "2\n"), "queries do not fail on them: {all:?}");
}
