//! The canary: values that rules hide, one for each way of hiding, appear in nothing that inferlog writes or says.
//!
//! A log with these values goes through every decoder and wrapper and into every sink, with lines that are torn, too long,
//! of text, or turned away by a processor. Then all of it is searched: documents, dead letter, checkpoint, store, requests,
//! metrics, pages, standard output and error, and what the verbs for people print.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::place::{Ended, Place, http, start, wait_for};
use crate::scripted::{Answer, scripted};

/// One value for each way in which something is hidden: its kind, and what may appear nowhere.
const CANARIES: [(&str, &str); 13] = [
    ("field", "canary-field-5e1f"),
    ("number", "9078051120445"),
    ("wildcard", "canary-wildcard-77a0"),
    ("part of a name", "canary-header-31bd"),
    ("key and value", "canary-listed-90c2"),
    ("e-mail", "canary.mail@secret.example"),
    ("card", "4111 1111 1111 1111"),
    ("own pattern", "T-90381755"),
    ("text", "canary-prompt"),
    ("removed", "canary-removed-04fa"),
    ("hashed", "canary-hashed-b7b7"),
    ("masked", "canary-masked-abcd"),
    ("copied", "canary-copied-6a6a"),
];

/// The processors that hide them. The last one turns away records that say so.
const ENRICH: &str = "
  - roles: { subject: user.email }
  - extract: { field: note, pattern: \"ask (?P<asked>[^ ,]+)\" }
  - copy: { fields: { original: duplicate } }
  - redact: { fields: [user.email, subject, user.ssn, payload.user.email, payload.user.ssn] }
  - redact: { fields: [\"**.password\", \"**.headers.x-*\", \"**.attributes.user.email\", \"**.original\", duplicate] }
  - redact: { patterns: [email, credit_card], custom: [{ name: ticket, regex: \"T-[0-9]{8}\" }] }
  - redact: { text: { fields: [\"**.prompt\"], keep: length } }
  - redact: { fields: [\"**.person\"], with: { hash: { key: \"${KEY:key}\" } } }
  - redact: { fields: [\"**.card\"], with: { mask: { keep_last: 4 } } }
  - remove: { fields: [\"**.gone\"] }
  - rename: { fields: { bad.x: good } }
";

const REQUEST_IDS: [&str; 3] = ["\"request_id\":\"r1\"", "\"request_id\":\"r2\"", "\"request_id\":\"r3\""];

/// A record with all of them.
fn record(id: &str) -> String {
    format!(
        r#"{{{id},"event":"inference","timestamp":"2026-11-23T10:00:01Z","confidence":0.5,"user":{{"email":"canary-field-5e1f","ssn":9078051120445}},"auth":{{"old":[{{"password":"canary-wildcard-77a0"}}]}},"headers":{{"x-token":"canary-header-31bd"}},"attributes":[{{"key":"user.email","value":{{"stringValue":"canary-listed-90c2"}}}}],"note":"ask canary.mail@secret.example, card 4111 1111 1111 1111, T-90381755","prompt":"my name is canary-prompt","gone":"canary-removed-04fa","person":"canary-hashed-b7b7","card":"canary-masked-abcd","original":"canary-copied-6a6a"}}"#
    )
}

/// A record that a processor turns away.
fn turned_away() -> String {
    record("\"request_id\":\"r4\",\"bad\":{\"x\":1,\"x\":2}")
}

/// Whole records, torn ones in halves of every kind, a record that is turned away, text, and a line that is too long.
fn lines() -> Vec<String> {
    let whole = record(REQUEST_IDS[0]);
    let mut lines = REQUEST_IDS.map(record).to_vec();
    for (_, canary) in CANARIES {
        let at = whole.find(canary).unwrap() + canary.len() / 2;
        lines.push(whole[..at].to_owned());
        lines.push(whole[at..].to_owned());
    }
    lines.push(turned_away());
    lines.push(format!("{}{}", record(REQUEST_IDS[0]), record(REQUEST_IDS[1])));
    lines.push("ask canary.mail@secret.example, card 4111 1111 1111 1111, T-90381755".to_owned());
    lines.push(format!("{{\"pad\":\"{}\",{}", "x".repeat(5_000), &whole[1..]));
    lines
}

/// A decoder: its name, `decode:`, and how a line is written for it.
struct Decoding {
    name: &'static str,
    decode: &'static str,
    write: fn(&str) -> String,
}

fn as_it_is(line: &str) -> String {
    line.to_owned()
}

fn docker(line: &str) -> String {
    let log = serde_json::Value::from(format!("{line}\n"));
    format!("{{\"log\":{log},\"stream\":\"stdout\",\"time\":\"2026-11-23T10:00:01.5Z\"}}")
}

fn cri(line: &str) -> String {
    format!("2026-11-23T10:00:01.5Z stdout F {line}")
}

fn batch(line: &str) -> String {
    match line.strip_suffix('}') {
        Some(open) if line.starts_with("{\"request_id\":\"r") => {
            format!("{open},\"features\":[1],\"predictions\":[2]}}")
        }
        _ => line.to_owned(),
    }
}

/// The same for whole records only: a torn line is torn from outside.
fn each_whole(line: &str, write: impl Fn(Value) -> Value) -> String {
    serde_json::from_str(line).map_or_else(|_| line.to_owned(), |record| write(record).to_string())
}

fn cloud_event(line: &str) -> String {
    each_whole(line, |data| json!({ "specversion": "1.0", "id": "e1", "source": "/s", "type": "t", "data": data }))
}

fn in_a_text(line: &str) -> String {
    each_whole(line, |record| json!({ "request_id": record["request_id"], "payload": record.to_string() }))
}

fn otlp(line: &str) -> String {
    each_whole(
        line,
        |record| json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [{ "body": any_value(&record) }] }] }] }),
    )
}

/// As OpenTelemetry writes a value.
fn any_value(value: &Value) -> Value {
    match value {
        Value::String(text) => json!({ "stringValue": text }),
        Value::Number(number) if number.is_f64() => json!({ "doubleValue": number }),
        Value::Number(number) => json!({ "intValue": number.to_string() }),
        Value::Array(elements) => {
            json!({ "arrayValue": { "values": elements.iter().map(any_value).collect::<Vec<_>>() } })
        }
        Value::Object(members) => {
            let pair = |(key, value)| json!({ "key": key, "value": any_value(value) });
            json!({ "kvlistValue": { "values": members.iter().map(pair).collect::<Vec<_>>() } })
        }
        Value::Bool(_) | Value::Null => json!({ "boolValue": value }),
    }
}

/// The second is the response to the first, and gets what it lacks.
fn paired(line: &str) -> String {
    match line {
        _ if line.starts_with("{\"request_id\":\"r1\"") => line.replacen('{', "{\"of\":\"first\",", 1),
        _ if line.starts_with("{\"request_id\":\"r2\"") => {
            line.replacen("r2", "r1", 1).replace("\"note\"", "\"notes\"")
        }
        _ => line.to_owned(),
    }
}

fn behind_text(line: &str) -> String {
    format!("INFO:server:{line}")
}

/// All decoders and wrappers, a line each.
const DECODINGS: &[Decoding] = &[
    Decoding { name: "json", decode: "json", write: as_it_is },
    Decoding { name: "prefix", decode: "{ json: { prefix: skip } }", write: behind_text },
    Decoding { name: "wrap", decode: "{ json: { other_text: wrap } }", write: as_it_is },
    Decoding { name: "drop", decode: "{ json: { other_text: drop } }", write: as_it_is },
    Decoding { name: "docker", decode: "[docker, json]", write: docker },
    Decoding { name: "cri", decode: "[cri, json]", write: cri },
    Decoding { name: "auto, docker", decode: "[auto, json]", write: docker },
    Decoding { name: "auto, cri", decode: "[auto, { json: { other_text: wrap } }]", write: cri },
    Decoding { name: "auto, plain", decode: "[auto, json]", write: as_it_is },
    Decoding { name: "ecs", decode: "ecs", write: as_it_is },
    Decoding { name: "cloudevents", decode: "cloudevents", write: cloud_event },
    Decoding { name: "otlp", decode: "otlp", write: otlp },
    Decoding { name: "expand", decode: "[json, { expand: { field: payload, as: json } }]", write: in_a_text },
    Decoding {
        name: "pair",
        decode: "[json, { pair: { by: request_id, first: \"of : first\", copy: [note, original] } }]",
        write: paired,
    },
    Decoding { name: "split", decode: "[json, { split: { each: [features, predictions] } }]", write: batch },
    Decoding {
        name: "docker, split",
        decode: "[docker, json, { split: { each: [features, predictions] } }]",
        write: |line| docker(&batch(line)),
    },
];

fn pipeline(decode: &str, more: &str, sink: &str) -> String {
    format!(
        "source: {{ files: {{ paths: [\"logs/*.ndjson\"], poll_interval: 50ms, line_bytes_max: 4KiB }} }}\n\
         decode: {decode}\nenrich:{ENRICH}{more}\nsink: {sink}\n"
    )
}

/// Fails where a canary is in what was written or said.
fn must_not_hold(what: &str, bytes: &[u8]) {
    for (kind, canary) in CANARIES {
        // Whole, and as the halves that a torn line has; shorter ones stand in digests by chance.
        let middle = canary.len() / 2;
        let halves = [&canary[..middle + 3], &canary[middle - 1..]].into_iter().filter(|half| half.len() > 7);
        for sought in std::iter::once(canary).chain(halves) {
            let is_there = bytes.windows(sought.len()).any(|window| window == sought.as_bytes());
            let around = String::from_utf8_lossy(bytes);
            let at = around.find(sought).unwrap_or(0);
            let start = around.floor_char_boundary(at.saturating_sub(80));
            assert!(!is_there, "{what}: `{sought}` ({kind}) near {:.240}", &around[start..]);
        }
    }
}

fn must_not_say(what: &str, ended: &Ended) {
    must_not_hold(&format!("{what}: standard output"), ended.stdout.as_bytes());
    must_not_hold(&format!("{what}: standard error"), ended.stderr.as_bytes());
}

/// All that is on disk below a folder.
fn must_not_hold_on_disk(what: &str, folder: &Path) -> usize {
    let files =
        walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    let mut count = 0;
    for file in files {
        must_not_hold(&format!("{what}: {}", file.path().display()), &fs::read(file.path()).unwrap());
        count += 1;
    }
    count
}

fn write_log(place: &Place, write: fn(&str) -> String) {
    place.append(lines().iter().map(|line| write(line) + "\n").collect::<String>());
}

/// `run --once` with a log that says all that can be said.
fn run_loudly(place: &Place) -> Ended {
    let mut command = place.run_command(&["--once", "--listen", "off"]);
    command.env("INFERLOG_LOG", "trace").env("INFERLOG_LOG_FORMAT", "json");
    let ended = start(command).wait();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("\"DEBUG\""), "{ended:?}");
    ended
}

/// A log that holds them is needed, or the search says nothing.
#[test]
fn the_log_itself_holds_every_canary() {
    for Decoding { name, write, .. } in DECODINGS {
        let log: String = lines().iter().map(|line| write(line)).collect();
        for (kind, canary) in CANARIES {
            assert!(log.contains(canary), "{name}: {kind}");
        }
        assert!(std::panic::catch_unwind(|| must_not_hold("the log", log.as_bytes())).is_err());
    }
}

#[test]
fn canaries_are_in_nothing_that_comes_of_any_decoder() {
    for Decoding { name, decode, write } in DECODINGS {
        let place = Place::new(&pipeline(decode, "", "[store, stdout]"));
        write_log(&place, *write);
        let ended = run_loudly(&place);
        must_not_say(name, &ended);
        let shipped = place.store().documents();
        let is_whole = |document: &&String| document.contains("\"confidence\":0.5") && !document.contains("\"r4\"");
        let records = shipped.iter().filter(is_whole).count();
        assert_eq!(records, 3, "{name}: {ended:?}");
        assert!(shipped.iter().any(|document| document.contains("[redacted: 24 characters]")), "{name}: {shipped:?}");
        // Of a name that stands twice, what makes records anew keeps one.
        let is_made_anew = ["cloudevents", "otlp", "expand"].contains(name);
        let is_turned_away = place.dead_letters().iter().any(|entry| entry["reason"] == "repeated_name");
        assert_ne!(is_turned_away, is_made_anew, "{name}: {:?}", place.dead_letters());
        assert!(must_not_hold_on_disk(name, &place.path("data")) >= 3, "{name}");
        for verb in [&["dead-letter", "list"][..], &["dead-letter", "list", "--format", "json"]] {
            must_not_say(name, &start(place.inferlog(&[verb, &["--data-dir", "data"]].concat())).wait());
        }
        for entry in place.dead_letters() {
            let id = entry["id"].as_str().unwrap().to_owned();
            must_not_say(name, &start(place.inferlog(&["dead-letter", "show", &id, "--data-dir", "data"])).wait());
        }
        for verb in [
            &["dead-letter", "replay", "p.yaml", "--data-dir", "data"][..],
            &["reconcile", "p.yaml", "--data-dir", "data"],
            &["query", "*", "--pipeline", "p.yaml", "--data-dir", "data", "--format", "json"],
            &["check", "p.yaml", "--sample", "logs/a.ndjson"],
            &["check", "p.yaml", "--sample", "logs/a.ndjson", "--format", "json"],
            &["init", "logs/a.ndjson"],
        ] {
            let ended = start(place.inferlog(verb)).wait();
            assert!(ended.code.is_some_and(|code| code < 2), "{name}: {verb:?}: {ended:?}");
            must_not_say(&format!("{name}: {verb:?}"), &ended);
        }
    }
}

#[test]
fn canaries_are_in_no_array_of_a_whole_file() {
    let place = Place::new(&pipeline("json_array", "", "[store, stdout]"));
    place.append(format!("[{},{},{}]\n", record(REQUEST_IDS[0]), turned_away(), record(REQUEST_IDS[1])));
    let ended = run_loudly(&place);
    must_not_say("json_array", &ended);
    assert_eq!(place.store().count(), 2, "{ended:?}");
    must_not_hold_on_disk("json_array", &place.path("data"));
}

#[test]
fn canaries_are_in_no_request_to_elasticsearch_and_its_refusals_quote_none() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let url = {
        let asked = Arc::clone(&asked);
        scripted(move |request| {
            asked.lock().unwrap().extend_from_slice(request.head.as_bytes());
            asked.lock().unwrap().extend_from_slice(&request.body);
            if request.path.contains("_bulk") { refused(&request.body) } else { Answer::new(404, &[], "{}") }
        })
    };
    let sink = format!("{{ elasticsearch: {{ hosts: [\"{url}\"], data_stream: logs-x }} }}");
    let place = Place::new(&pipeline("json", "", &sink));
    write_log(&place, as_it_is);
    let ended = run_loudly(&place);
    must_not_say("elasticsearch", &ended);
    let asked = asked.lock().unwrap();
    assert!(String::from_utf8_lossy(&asked).contains("[redacted: 24 characters]"), "{ended:?}");
    must_not_hold("requests", &asked);
    must_not_hold_on_disk("elasticsearch", &place.path("data"));
    assert!(place.dead_letters().iter().any(|entry| entry["stage"] == "sink"), "{:?}", place.dead_letters());
}

/// An answer that refuses every document, quoting all of it as Elasticsearch does with a value.
fn refused(body: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(body);
    let documents = text.lines().filter(|line| line.starts_with("{\"request_id\""));
    let item = |document: &str| {
        let reason = format!("failed to parse field [x]. Preview of field's value: '{document}'");
        json!({ "create": { "status": 400, "error": { "type": "document_parsing_exception", "reason": reason } } })
    };
    let items: Vec<_> = documents.map(item).collect();
    Answer::new(200, &[], &json!({ "took": 1, "errors": true, "items": items }).to_string())
}

#[test]
fn canaries_are_on_no_page_while_it_runs() {
    let place = Place::new(&pipeline("json", "", "store"));
    write_log(&place, as_it_is);
    let running = place.run();
    wait_for("the documents", || (place.store().count() == 3).then_some(()));
    for path in ["/metrics", "/healthz", "/readyz"] {
        let (status, body) = http(running.address.unwrap(), "GET", path, &[], "").unwrap();
        assert_eq!(status, 200, "{path}");
        must_not_hold(path, body.as_bytes());
    }
    must_not_say("run", &running.stop());
    must_not_hold_on_disk("run", &place.path("data"));
}

#[test]
fn canaries_are_in_nothing_that_is_said_of_one_record() {
    let tests = format!(
        "tests:\n  - name: it fails\n    lines: ['{}', '{}']\n    expect: {{ event: other, user.email: \"x\", note: y, gone: z, card: 1 }}\n",
        record(REQUEST_IDS[0]),
        turned_away()
    );
    let place = Place::new(&(pipeline("json", "", "stdout") + &tests));
    let ended = start(place.inferlog(&["test", "p.yaml"])).wait();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    must_not_say("test", &ended);
    for (line, code) in [(record(REQUEST_IDS[0]), 0), (turned_away(), 1), (lines()[4].clone(), 1)] {
        for format in ["text", "json"] {
            let mut command = place.inferlog(&["explain", "p.yaml", "--format", format]);
            let mut explained =
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            explained.stdin.take().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
            let output = explained.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
            must_not_hold("explain", &[output.stdout, output.stderr].concat());
        }
    }
}

/// The text of a line is kept where somebody wants it so: then without what the patterns of the pipeline find.
#[test]
fn a_line_that_is_kept_all_the_same_has_no_pattern_in_it() {
    let keep = "\ndead_letter: { raw: keep }";
    let place = Place::new(&pipeline("json", keep, "stdout"));
    place.append("text: ask canary.mail@secret.example, card 4111 1111 1111 1111, T-90381755\n");
    place.run_once_to(1);
    let entries = place.dead_letters();
    assert_eq!(entries[0]["raw"], "text: ask [redacted], card [redacted], [redacted]", "{entries:?}");
}

#[test]
fn what_is_not_listed_is_in_nothing_either() {
    let enrich = "\n  - redact: { keep_only: [request_id, confidence, timestamp, \"headers.y-*\"] }\n  \
                  - flag: { into: low_confidence, when: \"confidence < 0.6\" }\n  - rename: { fields: { confidence: c } }\n";
    for Decoding { name, decode, write } in DECODINGS.iter().filter(|decoding| decoding.name != "expand") {
        let pipeline = pipeline(decode, "", "[store, stdout]").replace(ENRICH, enrich);
        let place = Place::new(&pipeline);
        write_log(&place, *write);
        let ended = place.run_once();
        must_not_say(name, &ended);
        let documents = place.store().documents();
        assert!(documents.iter().any(|document| document.contains("\"low_confidence\":true")), "{name}: {documents:?}");
        must_not_hold_on_disk(name, &place.path("data"));
    }
}
