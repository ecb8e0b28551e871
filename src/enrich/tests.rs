//! Each processor by fixtures: steps and a line, and the document or the reject that comes of them.

use super::*;
use crate::flow::batch::SourceFile;
use crate::flow::reject::Stage;
use crate::kql::Expression;
use crate::record::Space;
use crate::telemetry::Telemetry;
use crate::text::secret::Secret;

/// 2026-11-23T12:00:00.250Z, when the lines are read.
const READ_US: i64 = 1_795_435_200_250_000;

/// What every document ends with.
const METADATA: &str = r#""host.name":"gpu-7","ecs.version":"8.17.0","inferlog.pipeline":"inference","inferlog.config":"0123abcd","inferlog.file":"7-0","log.file.path":"/var/log/ml/inference.ndjson","log.offset":1234567"#;

/// Written into each line by [`check`], so that fixtures need not care for the time.
const TIME: &str = r#""@timestamp":"2026-11-23T10:00:00Z""#;

struct Outcome {
    verdict: Result<Verdict, Reject>,
    document: String,
    /// What the dead letter would keep.
    hidden: Option<String>,
    counters: Counters,
}

fn path(text: &str) -> Path {
    Path::new(text).unwrap()
}

fn paths(texts: &[&str]) -> Vec<Path> {
    texts.iter().map(|text| path(text)).collect()
}

fn patterns(texts: &[&str]) -> Vec<PathPattern> {
    texts.iter().map(|text| PathPattern::read(text).unwrap()).collect()
}

/// Members by a fixed value.
fn redact(fields: &[&str]) -> Action {
    Action::Redact(Redact { what: Redacted::Members(patterns(fields)), with: With::Text("0".into()) })
}

fn always(action: Action) -> Step {
    Step { when: None, action }
}

fn when(condition: &str, action: Action) -> Step {
    Step { when: Some(Expression::parse_condition(condition).unwrap()), action }
}

fn file() -> SourceFile {
    SourceFile {
        path: "/var/log/ml/inference.ndjson".into(),
        inode: 7,
        generation: 0,
        first_line_sha256: sha2::Digest::finalize(sha2::Digest::chain_update(
            <sha2::Sha256 as sha2::Digest>::new(),
            b"first line",
        ))
        .into(),
        ..SourceFile::default()
    }
}

fn run_at(steps: &[Step], line: &str, file: SourceFile, offset_bytes: u64) -> Outcome {
    let counters = Telemetry::default().pipeline("t");
    let metadata = Metadata::new("gpu-7", "inference", "0123abcd4567");
    let mut enrichment = Enrichment::new(steps.to_vec(), Identity::new("host-1"), metadata, counters.clone());
    let file = Arc::new(file);
    let source = Source { read_us: READ_US, line: line.as_bytes(), ..Source::of_place(&file, offset_bytes) };
    let mut space = Space::default();
    let mut record = Record::parse(line, &mut space).expect(line);
    let verdict = enrichment.apply(&mut record, &source, &mut Nobody);
    let mut document = Vec::new();
    record.render(&mut document);
    let hidden = enrichment.hide(&mut record).then(|| {
        let mut hidden = Vec::new();
        record.render(&mut hidden);
        String::from_utf8(hidden).unwrap()
    });
    Outcome { verdict, document: String::from_utf8(document).unwrap(), hidden, counters }
}

fn run(steps: &[Step], line: &str) -> Outcome {
    run_at(steps, line, file(), 1_234_567)
}

/// Checks the document without its metadata; `Err` is the reason of a reject.
fn check_as_is(steps: &[Step], line: &str, expected: Result<&str, &str>) -> Outcome {
    let outcome = run(steps, line);
    match (&outcome.verdict, expected) {
        (Ok(_), Ok(expected)) => {
            let document = outcome.document.replacen(&format!(",{METADATA}"), "", 1);
            assert_eq!(document, expected, "{steps:?} on {line}");
            assert!(outcome.document.contains(METADATA), "{}", outcome.document);
        }
        (Err(reject), Err(expected)) => assert_eq!(reject.reason, expected, "{steps:?} on {line}"),
        (verdict, _) => panic!("{verdict:?}, not {expected:?}, of {steps:?} on {line}"),
    }
    outcome
}

/// The same for a line with a time, which is not part of the fixture.
fn check(steps: &[Step], line: &str, expected: Result<&str, &str>) -> Outcome {
    let timed = |text: &str| text.replacen('{', &format!("{{{TIME}{}", if text == "{}" { "" } else { "," }), 1);
    check_as_is(steps, &timed(line), expected.map(timed).as_deref().map_err(|reason| *reason))
}

fn timestamp(from: &[&str], zone: Option<chrono_tz::Tz>) -> Step {
    always(Action::Timestamp(Timestamp { from: paths(from), zone: zone.map(Zone::Named), formats: Vec::new() }))
}

#[test]
fn times_are_read_in_every_form() {
    let check = |zone, raw: &str, expected: &str, notes: &str| {
        let line = format!(r#"{{"timestamp":{raw}}}"#);
        let notes = if notes.is_empty() { String::new() } else { format!(r#","inferlog.notes":["{notes}"]"#) };
        let expected = format!(r#"{{"timestamp":{raw},"@timestamp":"{expected}"{notes}}}"#);
        check_as_is(&[timestamp(&["timestamp"], zone)], &line, Ok(&expected))
    };
    let berlin = Some(chrono_tz::Europe::Berlin);
    for (zone, raw, expected, notes) in [
        (None, r#""2026-11-23T10:00:00.123456Z""#, "2026-11-23T10:00:00.123456Z", ""),
        (None, r#""2026-11-23T10:00:00+02:00""#, "2026-11-23T08:00:00.000Z", ""),
        (None, r#""2026-11-23 14:55:46,279""#, "2026-11-23T14:55:46.279Z", "assumed_utc"),
        (berlin, r#""2026-11-23 14:55:46,279""#, "2026-11-23T13:55:46.279Z", ""),
        (berlin, r#""2026-11-23T14:55:46Z""#, "2026-11-23T14:55:46.000Z", ""),
        (None, r#""2026-11-23T14:55:46\u005a""#, "2026-11-23T14:55:46.000Z", ""),
        (None, "1763900000", "2025-11-23T12:13:20.000Z", ""),
        (None, "1763900000.5", "2025-11-23T12:13:20.500Z", ""),
        (None, "1763900000123", "2025-11-23T12:13:20.123Z", ""),
        (None, "1763900000123456", "2025-11-23T12:13:20.123456Z", ""),
        (None, "1763900000123456789", "2025-11-23T12:13:20.123456789Z", ""),
        (None, r#""1763900000123""#, "2025-11-23T12:13:20.123Z", ""),
    ] {
        let outcome = check(zone, raw, expected, notes);
        assert_eq!(outcome.counters.enrich_unreadable_timestamps_total.get(), 0);
    }
    for raw in
        [r#""yesterday""#, r#""""#, "17", "null", "true", "[1763900000]", r#"{"seconds":1763900000}"#, "-1763900000"]
    {
        let outcome = check(None, raw, "2026-11-23T12:00:00.250Z", "read_time");
        assert_eq!(outcome.counters.enrich_unreadable_timestamps_total.get(), 1, "{raw}");
        assert_eq!(outcome.verdict.unwrap().timestamp_us, READ_US);
    }
}

#[test]
fn the_first_readable_time_counts() {
    let three = [timestamp(&["a", "b.time", "c"], None)];
    check_as_is(
        &three,
        r#"{"c":1763900000,"b":{"time":"2026-11-23T10:00:00Z"},"a":"no"}"#,
        Ok(r#"{"c":1763900000,"b":{"time":"2026-11-23T10:00:00Z"},"a":"no","@timestamp":"2026-11-23T10:00:00.000Z"}"#),
    );
    let missing = check_as_is(
        &three,
        r#"{"x":1}"#,
        Ok(r#"{"x":1,"@timestamp":"2026-11-23T12:00:00.250Z","inferlog.notes":["read_time"]}"#),
    );
    assert_eq!(missing.counters.enrich_unreadable_timestamps_total.get(), 1);
    // A later step has the last word, and notes are of its work alone.
    let two = [timestamp(&["a"], None), timestamp(&["b"], None)];
    let outcome =
        check_as_is(&two, r#"{"b":1763900000}"#, Ok(r#"{"b":1763900000,"@timestamp":"2025-11-23T12:13:20.000Z"}"#));
    assert_eq!(outcome.verdict.unwrap().timestamp_us, 1_763_900_000_000_000);
}

#[test]
fn a_record_s_own_timestamp_is_kept() {
    for kept in [
        "2026-11-23T10:00:00.123456Z",
        "2026-11-23T10:00:00Z",
        "2026-11-23T10:00:00.1+02:00",
        "2026-11-23T10:00:00-0230",
    ] {
        let line = format!(r#"{{"@timestamp" : "{kept}","a":1}}"#);
        check_as_is(&[], &line, Ok(&line));
        check_as_is(&[timestamp(&[], Some(chrono_tz::Europe::Berlin))], &line, Ok(&line));
    }
    let assumed = r#"{"@timestamp":"2026-11-23T10:00:00","inferlog.notes":["assumed_utc"]}"#;
    check_as_is(&[], r#"{"@timestamp":"2026-11-23T10:00:00"}"#, Ok(assumed));
    // What Elasticsearch would read otherwise, or not at all, is written anew.
    let berlin = Some(chrono_tz::Europe::Berlin);
    for (zone, raw, expected) in [
        (berlin, r#""2026-11-23T10:00:00""#, "2026-11-23T09:00:00.000Z"),
        (None, "1763900000", "2025-11-23T12:13:20.000Z"),
        (None, r#""2026-11-23 10:00:00Z""#, "2026-11-23T10:00:00.000Z"),
        (None, r#""2026-11-23T10:00:00,5Z""#, "2026-11-23T10:00:00.500Z"),
        (None, r#""2026-11-23T10:00:00z""#, "2026-11-23T10:00:00.000Z"),
        (None, r#""2026-11-23T10:00:00+02""#, "2026-11-23T08:00:00.000Z"),
        (None, r#""2026-11-23T23:59:60Z""#, "2026-11-24T00:00:00.000Z"),
        (None, r#""2026-11-23T10:00:00.0123456789Z""#, "2026-11-23T10:00:00.012345678Z"),
    ] {
        let line = format!(r#"{{"@timestamp":{raw}}}"#);
        let document = run(&[timestamp(&[], zone)], &line).document;
        let beginning = format!(r#"{{"@timestamp":"{expected}","inferlog.original_timestamp":{raw},"#);
        assert!(document.starts_with(&beginning), "{document}");
    }
    let document = run(&[], r#"{"@timestamp":"soon"}"#).document;
    let ending = r#""inferlog.notes":["read_time"]}"#;
    let beginning = r#"{"@timestamp":"2026-11-23T12:00:00.250Z","inferlog.original_timestamp":"soon","#;
    assert!(document.starts_with(beginning) && document.ends_with(ending), "{document}");
    let other = run(&[timestamp(&["t"], None)], r#"{"@timestamp":"soon","t":1763900000,"inferlog":7}"#);
    assert!(other.document.starts_with(r#"{"@timestamp":"2025-11-23T12:13:20.000Z","t":1763900000,"inferlog":7,"#));
    assert_eq!(other.counters.enrich_left_out_members_total.get(), 4, "pipeline, config, file, original_timestamp");
}

#[test]
fn hashes_are_those_of_the_canonical_form() {
    let hash = |fields: &[&str], key: Option<&str>| {
        let keys = key.map(|key| HashKey::new(None, Secret::new(key))).into_iter().collect();
        vec![always(Action::Hash(Hash { keys, ..Hash::new(patterns(fields), &path("h")) }))]
    };
    // Computed by Python's hashlib and hmac; the HMAC by openssl as well. The last two stand in the README of
    // examples/model_server.
    for (fields, key, line, expected) in [
        (
            &["f"][..],
            None,
            r#"{"f":{"country":"DE","amount":12.50}}"#,
            "f6e7a934dc1d07ba06e0b861e8fab59e327500096a404018142bc7ada629f5c0",
        ),
        (&["f"], None, r#"{"f":"\u006d"}"#, "1d576f473e30e1b5828ea271d2a25598d6c7db12c47112c1ade052e2a6293fac"),
        (
            &["f"],
            Some("secret key\n"),
            r#"{"f":{"country":"DE","amount":12.50}}"#,
            "29a09fd743c72f28acdf77df9d28f8253cc8716a9f88a5037056dffc234cb476",
        ),
        (
            &["model", "features.amount"],
            None,
            r#"{"features":{"amount":12.5},"model":"m"}"#,
            "28aea0c78e16ef3fc479fc155109841a2948917dbfc6c1e48143fe0eca96fc08",
        ),
        (
            &["model", "features.amount"],
            None,
            r#"{"model":"m"}"#,
            "548f58d1c36c715b44f0863472074a97c448d5b8d18164b92adf55592b127f86",
        ),
        (
            &["features"],
            None,
            r#"{"features":{"amount":30.5,"country":"DE","hour":8,"email":"a1@example.com"}}"#,
            "1c8a053f83c487957db17b45cce6e80b7b5c37a6f64f0d8a95c8c38f8f8fe0c8",
        ),
        (
            &["features"],
            None,
            r#"{"features": {"amount": 4, "hour": "13"}}"#,
            "ecc57355c80dd6ecbde2a96241dd2f3f9c02e1957372cae1e9c1af29509bd247",
        ),
    ] {
        let expected = format!(r#"{},"h":"{expected}"}}"#, line.strip_suffix('}').unwrap());
        check(&hash(fields, key), line, Ok(&expected));
    }
    check(&hash(&["f"], None), r#"{"x":1}"#, Ok(r#"{"x":1}"#));
    check(&hash(&["f", "g"], None), r#"{"x":1}"#, Ok(r#"{"x":1}"#));
    check(
        &hash(&["f"], None),
        r#"{"h":1,"f":"m"}"#,
        Ok(r#"{"h":"1d576f473e30e1b5828ea271d2a25598d6c7db12c47112c1ade052e2a6293fac","f":"m"}"#),
    );
}

#[test]
fn hashes_are_of_the_nested_form_however_it_is_spelled() {
    let steps = |fields: &[&str]| [always(Action::Hash(Hash::new(patterns(fields), &path("h"))))];
    let digest = |fields: &[&str], line: &str| {
        let document = run(&steps(fields), line).document;
        document.split("\"h\":\"").nth(1).map(|rest| rest[..64].to_owned()).expect(line)
    };
    let nested = digest(&["f"], r#"{"f":{"a":1,"b":{"c":2}}}"#);
    for line in [
        r#"{"f":{"a":1},"f.b":{"c":2}}"#,
        r#"{"f.b":{"c":2.0},"f.a":1}"#,
        r#"{"f":{"b":{"c":2}},"f.a":1}"#,
        r#"{"f.b.c":2,"f.a":1}"#,
        r#"{"f":{"b":{}},"f.b.c":2,"f.a":1}"#,
    ] {
        assert_eq!(digest(&["f"], line), nested, "{line}");
    }
    assert_ne!(digest(&["f"], r#"{"f":{"a":1}}"#), nested);
    // A value that stands alone is hashed as it is written, as RFC 8785 has it.
    assert_ne!(digest(&["f"], r#"{"f":{"a":1,"b.c":2}}"#), nested);
    let in_array = digest(&["m.t"], r#"{"m":[{"t":"x"},{"t":"y"}]}"#);
    assert_ne!(digest(&["m.t"], r#"{"m":[{"t":"x"},{"t":"z"}]}"#), in_array, "all of an array counts");
    assert_eq!(digest(&["m.t"], r#"{"m.t":["x","y"]}"#), in_array);
    assert_eq!(digest(&["f", "g"], r#"{"f.a":1,"g":2}"#), digest(&["f", "g"], r#"{"f":{"a":1},"g":2}"#));
}

#[test]
fn what_has_no_canonical_form_is_shipped_with_the_hash_of_its_bytes() {
    let hash = |fields: &[&str], into: &str| [always(Action::Hash(Hash::new(patterns(fields), &path(into))))];
    let sha256 = |bytes: &str| crate::text::digest::sha256_hexadecimal(bytes.as_bytes());
    let note = r#","inferlog.notes":["not_hashed"]}"#;
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for bad in [r#"{"a":1,"\u0061":2}"#, "1e999", r#""cut \ud83d""#, &deep] {
        let line = format!(r#"{{"f":{bad},"g":1}}"#);
        let expected = format!(r#"{{"f":{bad},"g":1,"h_bytes_hash":"{}"{note}"#, sha256(bad));
        let outcome = check(&hash(&["f"], "h"), &line, Ok(&expected));
        assert_eq!(outcome.counters.enrich_unhashed_records_total.get(), 1, "{bad}");
        // Several values are no one stretch of bytes, and neither are parts of one value.
        check(&hash(&["f", "g"], "h"), &line, Ok(&format!(r#"{{"f":{bad},"g":1{note}"#)));
        let parts = format!(r#"{{"f.a":{bad},"f.b":1}}"#);
        check(&hash(&["f"], "h"), &parts, Ok(&format!(r#"{{"f.a":{bad},"f.b":1{note}"#)));
    }
    // The id needs no canonical form.
    let id = [always(Action::Id(IdFrom { from: paths(&["f"]), unique: true }))];
    assert_ne!(id_at(&id, r#"{"f":"\ud800"}"#, file(), 0), id_at(&id, r#"{"f":"\ud801"}"#, file(), 0));
    // Twice noted is once noted.
    let twice = [hash(&["f", "g"], "h"), hash(&["f", "g"], "i")].concat();
    check(&twice, r#"{"f":1e999}"#, Ok(&format!(r#"{{"f":1e999{note}"#)));
    // A hash in place of its field hides it: without a hash, nothing stands there.
    for (fields, into, line, expected) in [
        (&["u.id", "x"][..], "u.id", r#"{"u":{"id":"\ud800","n":1}}"#, r#"{"u":{"id":null,"n":1}"#),
        (&["u.id", "x"], "u", r#"{"u":{"id":"\ud800","n":1}}"#, r#"{"u":null"#),
        (&["u.id", "x"], "u.id", r#"{"u.id":"\ud800","u.id.x":3}"#, r#"{"u.id":null"#),
    ] {
        let outcome = check(&hash(fields, into), line, Ok(&format!("{expected}{note}")));
        assert!(!outcome.hidden.unwrap().contains("ud800"));
    }
    let expected = format!(r#"{{"u":{{"id":null,"n":1}},"u.id_bytes_hash":"{}"{note}"#, sha256(r#""\ud800""#));
    check(&hash(&["u.id"], "u.id"), r#"{"u":{"id":"\ud800","n":1}}"#, Ok(&expected));
}

#[test]
fn a_digest_goes_where_there_is_room_and_the_id_of_its_key_with_it() {
    let keys = ["new", "old"].map(|id| HashKey::new(Some(id), Secret::new(id))).to_vec();
    let hash = [always(Action::Hash(Hash { keys, ..Hash::new(patterns(&["f"]), &path("a.h")) }))];
    let ending = |key: &str| format!(r#","a.h":"{}","a.h_key_id":"{key}"}}"#, hmac_hexadecimal(key, "1"));
    check(&hash, r#"{"f":1.0}"#, Ok(&format!(r#"{{"f":1.0{}"#, ending("new"))));
    check(&hash, r#"{"f":1,"a":2}"#, Ok(r#"{"f":1,"a":2}"#));
    let there = format!(r#"{{"a.h_key_id":"new","f":1,"a.h":"{}"}}"#, hmac_hexadecimal("new", "1"));
    check(&hash, r#"{"a.h_key_id":7,"f":1,"a.h":"old"}"#, Ok(&there));
}

/// HMAC-SHA-256 as its RFC has it.
fn hmac_hexadecimal(key: &str, text: &str) -> String {
    use sha2::{Digest as _, Sha256};
    let padded =
        |pad: u8| (0..64).map(|at| key.as_bytes().get(at).copied().unwrap_or_default() ^ pad).collect::<Vec<u8>>();
    let inner = Sha256::digest([padded(0x36), text.into()].concat());
    crate::text::digest::sha256_hexadecimal(&[padded(0x5c), inner.to_vec()].concat())
}

#[test]
fn rules_that_hide_are_counted_field_by_field() {
    let in_place = Action::Hash(Hash::new(patterns(&["u.id"]), &path("u.id")));
    let beside = Action::Hash(Hash::new(patterns(&["u.id"]), &path("digest")));
    let steps = [always(redact(&["a", "b"])), when("n > 1", redact(&["c"])), always(in_place), always(beside)];
    let metadata = Metadata::new("h", "p", "c");
    let counters = Telemetry::default().pipeline("t");
    let mut enrichment = Enrichment::new(steps.to_vec(), Identity::new("h"), metadata, counters);
    let idle = |enrichment: &Enrichment| {
        enrichment.idle_fields().map(|field| format!("{} {}", field.processor, field.pattern)).collect::<Vec<_>>()
    };
    assert_eq!(idle(&enrichment), ["1 a", "1 b", "2 c", "3 u.id"]);
    let file = Arc::new(file());
    for line in [r#"{"b.x":1,"c":1}"#, r#"{"b":[{"y":1}],"u":{"id.x":1}}"#] {
        let mut space = Space::default();
        let mut record = Record::parse(line, &mut space).unwrap();
        let source = Source { read_us: READ_US, ..Source::of_place(&file, 0) };
        enrichment.apply(&mut record, &source, &mut Nobody).unwrap();
    }
    assert_eq!(idle(&enrichment), ["1 a", "2 c"]);
    assert_eq!(enrichment.hidden_fields(), patterns(&["a", "b", "c", "u.id"]));
}

#[test]
fn flags_say_whether_a_condition_holds() {
    let flag = |into: &str| {
        let when = Expression::parse_condition("confidence < 0.6").unwrap();
        [always(Action::Flag(Flag { into: path(into), when }))]
    };
    check(&flag("low"), r#"{"confidence":0.31}"#, Ok(r#"{"confidence":0.31,"low":true}"#));
    check(&flag("low"), r#"{"confidence":0.6}"#, Ok(r#"{"confidence":0.6,"low":false}"#));
    check(&flag("low"), r#"{"a":1}"#, Ok(r#"{"a":1}"#));
    check(&flag("low"), r#"{"confidence":null,"low":7}"#, Ok(r#"{"confidence":null,"low":7}"#));
    check(&flag("low"), r#"{"low":"x","confidence":0}"#, Ok(r#"{"low":true,"confidence":0}"#));
    check(&flag("low"), r#"{"low.a":1,"low":{"b":2},"confidence":0}"#, Ok(r#"{"low":true,"confidence":0}"#));
    check(&flag("low"), r#"{"low.a":1,"confidence":0}"#, Ok(r#"{"low":true,"confidence":0}"#));
    check(&flag("f.low"), r#"{"f":{"low":"x"},"confidence":0}"#, Ok(r#"{"f":{"low":true},"confidence":0}"#));
}

#[test]
fn redactions_meet_every_spelling() {
    let what = Redacted::Members(patterns(&["user.email", "iban"]));
    let redact = [always(Action::Redact(Redact { what, with: With::Text(r#""[redacted]""#.into()) }))];
    for (line, expected) in [
        (r#"{"user":{"email":"CANARY","id":1}}"#, r#"{"user":{"email":"[redacted]","id":1}}"#),
        (r#"{"user.email":"CANARY"}"#, r#"{"user.email":"[redacted]"}"#),
        (r#"{"user":{"\u0065mail":["CANARY"]}}"#, r#"{"user":{"\u0065mail":"[redacted]"}}"#),
        (r#"{"\u0075ser":{"email":{"x":"CANARY"}}}"#, r#"{"\u0075ser":{"email":"[redacted]"}}"#),
        (
            r#"{"user":[{"email":"CANARY"},[{"email":"CANARY"}],7]}"#,
            r#"{"user":[{"email":"[redacted]"},[{"email":"[redacted]"}],7]}"#,
        ),
        (
            r#"{"user":{"email":"CANARY"},"user.email":"CANARY","iban":1}"#,
            r#"{"user":{"email":"[redacted]"},"user.email":"[redacted]","iban":"[redacted]"}"#,
        ),
        (r#"{"user":7,"email":"other"}"#, r#"{"user":7,"email":"other"}"#),
        (r#"{"iban":null}"#, r#"{"iban":"[redacted]"}"#),
        // And everything below it, whatever is dotted.
        (r#"{"user.email.work":"CANARY"}"#, r#"{"user.email":"[redacted]"}"#),
        (r#"{"user":{"email.CANARY":1,"email.b":"CANARY","n":1}}"#, r#"{"user":{"email":"[redacted]","n":1}}"#),
        (r#"{"iban.0":"CANARY","iban":{"x":1},"ibans":2}"#, r#"{"iban":"[redacted]","ibans":2}"#),
        (r#"{"user":[{"email.work":"CANARY"}]}"#, r#"{"user":[{"email":"[redacted]"}]}"#),
    ] {
        check(&redact, line, Ok(expected));
    }
    let outcome = check(&redact, r#"{"user":{"email":"CANARY","email":"CANARY"}}"#, Err("repeated_name"));
    assert_eq!(outcome.hidden, None, "what cannot be hidden is not kept");
}

#[test]
fn what_is_removed_is_gone_in_every_spelling_and_nothing_else_moves() {
    let remove = [always(Action::Remove(Remove { fields: patterns(&["features", "gen_ai.prompt"]) }))];
    for (line, expected) in [
        (r#"{"a":1, "features":{"x":"CANARY"},"b":2.50}"#, r#"{"a":1,"b":2.50}"#),
        (r#"{"features.x":"CANARY","feature":1}"#, r#"{"feature":1}"#),
        (r#"{"gen_ai":{"prompt":"CANARY","model":"m"}}"#, r#"{"gen_ai":{"model":"m"}}"#),
        (r#"{"gen_ai.prompt.0":"CANARY","gen_ai":[{"prompt":"CANARY"},7]}"#, r#"{"gen_ai":[{},7]}"#),
        (r#"{"a":1}"#, r#"{"a":1}"#),
    ] {
        check(&remove, line, Ok(expected));
    }
    let outcome = check(&remove, r#"{"gen_ai":{"prompt":"CANARY","prompt":"CANARY"}}"#, Err("repeated_name"));
    assert_eq!(outcome.hidden, None, "what cannot be taken away is not kept");
}

#[test]
fn a_record_that_was_turned_away_keeps_no_secret() {
    let redact = |field: &str| always(redact(&[field]));
    let rename = |from: &str, to: &str| always(Action::Rename(Rename { fields: vec![(path(from), path(to))] }));
    let reject = rename("bad.x", "good");
    let line = r#"{"bad":{"x":1,"x":2},"user":{"email":"CANARY","email.work":"CANARY"},"user.email.home":"CANARY"}"#;
    for steps in [
        vec![reject.clone(), redact("user.email")],
        vec![redact("user.email"), reject.clone()],
        vec![reject.clone(), rename("user.email", "contact"), redact("contact")],
        vec![reject.clone(), rename("user", "person"), redact("person.email")],
        vec![rename("user", "person"), reject.clone(), redact("person.email")],
        vec![rename("user", "a"), reject.clone(), rename("a", "b"), rename("b", "c"), redact("c")],
        vec![reject.clone(), rename("user.email", "private.email"), redact("private")],
        vec![reject.clone(), when("level : x", redact("user.email").action)],
        vec![reject, always(Action::Remove(Remove { fields: patterns(&["user.email"]) }))],
    ] {
        let outcome = check(&steps, line, Err("repeated_name"));
        let hidden = outcome.hidden.unwrap();
        assert!(!hidden.contains("CANARY") && hidden.contains(r#""x":2"#), "{hidden} after {steps:?}");
        let reject = outcome.verdict.unwrap_err();
        assert!(!reject.detail.contains("CANARY"), "{}", reject.detail);
    }
    let enrichment = |steps| {
        let metadata = Metadata::new("h", "p", "c");
        Enrichment::new(steps, Identity::new("h"), metadata, Telemetry::default().pipeline("t"))
    };
    let hidden = enrichment(vec![rename("user", "person"), redact("person.email")]);
    assert_eq!(hidden.hidden_fields(), patterns(&["person.email", "user.email"]));
}

#[test]
fn additions_never_overwrite() {
    let add =
        [always(Action::Add(Add { fields: vec![(path("service.name"), r#""x""#.into()), (path("n"), "7".into())] }))];
    let left_out =
        |line: &str, expected: &str| check(&add, line, Ok(expected)).counters.enrich_left_out_members_total.get();
    assert_eq!(left_out("{}", r#"{"service.name":"x","n":7}"#), 0);
    assert_eq!(left_out(r#"{"service":{"name":"own"}}"#, r#"{"service":{"name":"own"},"n":7}"#), 0);
    assert_eq!(left_out(r#"{"service.name.first":"own"}"#, r#"{"service.name.first":"own","n":7}"#), 0);
    assert_eq!(left_out(r#"{"n":{"x":1},"service":null}"#, r#"{"n":{"x":1},"service":null,"service.name":"x"}"#), 0);
    assert_eq!(left_out(r#"{"service":{"id":1}}"#, r#"{"service":{"id":1},"service.name":"x","n":7}"#), 0);
    assert_eq!(left_out(r#"{"service":"own","n":null}"#, r#"{"service":"own","n":null}"#), 1);
}

#[test]
fn members_are_renamed() {
    let rename = [always(Action::Rename(Rename {
        fields: vec![(path("model.version"), path("model_version")), (path("score"), path("confidence"))],
    }))];
    check(
        &rename,
        r#"{"model":{"version":"3","x":1},"score":0.5}"#,
        Ok(r#"{"model":{"x":1},"confidence":0.5,"model_version":"3"}"#),
    );
    check(&rename, r#"{"confidence":1,"score":0.5}"#, Ok(r#"{"confidence":0.5}"#));
    check(&rename, r#"{"score.a":1,"score":{"b":2}}"#, Ok(r#"{"confidence.a":1,"confidence":{"b":2}}"#));
    check(&rename, r#"{"model":{"version.major":3}}"#, Ok(r#"{"model":{},"model_version":{"major":3}}"#));
    check(&rename, r#"{"confidence":1}"#, Ok(r#"{"confidence":1}"#));
    check(&rename, r#"{"model":{"version":1,"version":2}}"#, Err("repeated_name"));
}

#[test]
fn the_first_rule_that_drops_a_record_has_it() {
    let drop = |condition: &str, rule: &str| when(condition, Action::Drop(Drop { rule: rule.into() }));
    let add = always(Action::Add(Add { fields: vec![(path("a"), "1".into())] }));
    let steps = [drop("event : health", "health"), drop("level : debug", "debug"), add];
    for (line, document, rule) in [
        (r#"{"event":"inference"}"#, r#"{"event":"inference","a":1}"#, None),
        (r#"{"event":"health","level":"debug"}"#, r#"{"event":"health","level":"debug","a":1}"#, Some("health")),
        (r#"{"level":"debug"}"#, r#"{"level":"debug","a":1}"#, Some("debug")),
    ] {
        let outcome = check(&steps, line, Ok(document));
        assert_eq!(outcome.verdict.unwrap().dropped.as_deref(), rule, "{line}");
    }
}

#[test]
fn a_line_of_labels_is_a_label_or_is_turned_away_unless_a_rule_drops_it() {
    let label = always(Action::Label(LabelCheck));
    let drop = when("note : *", Action::Drop(Drop { rule: "notes".into() }));
    for (line, reason) in [
        (r#"{"request_id":"r-1","label":"fraud","by":"x"}"#, None),
        (r#"{"request_id":"r-1","kind":"review","decision":"upheld"}"#, None),
        (r#"{"request_id":"r-1","label":[1,2]}"#, Some("label_not_a_value")),
        (r#"{"label":1}"#, Some("label_without_request_id")),
        (r#"{"note":"label"}"#, None),
    ] {
        let outcome = check(&[drop.clone(), label.clone()], line, reason.map_or(Ok(line), Err));
        assert_eq!(outcome.verdict.err().map(|reject| reject.stage), reason.map(|_| Stage::Enrich), "{line}");
    }
}

#[test]
fn conditions_see_what_steps_before_left() {
    let add =
        |condition: &str, name: &str| when(condition, Action::Add(Add { fields: vec![(path(name), "1".into())] }));
    let steps = [add("a >= 1", "b"), add("b : 1", "c"), add("not b : *", "d")];
    check(&steps, r#"{"a":1}"#, Ok(r#"{"a":1,"b":1,"c":1}"#));
    check(&steps, r#"{"a":0}"#, Ok(r#"{"a":0,"d":1}"#));
}

fn id_at(steps: &[Step], line: &str, file: SourceFile, offset_bytes: u64) -> String {
    run_at(steps, line, file, offset_bytes).verdict.unwrap().id.to_string()
}

#[test]
fn ids_are_of_the_place_the_line_and_the_time() {
    let line = r#"{"@timestamp":"2026-11-23T10:00:00.123456Z","request_id":"r1"}"#;
    let golden = "AGsEDqDIGLhWZ1tgQFqmoNGqDGyA";
    assert_eq!(id_at(&[], line, file(), 4_711), golden, "as computed in Python");
    // What does not change it: the path, and what processors do.
    let add = always(Action::Add(Add { fields: vec![(path("a"), "1".into())] }));
    assert_eq!(id_at(&[add], line, SourceFile { path: "/b".into(), ..file() }, 4_711), golden);
    let others = [
        id_at(&[], line, file(), 4_712),
        id_at(&[], line, SourceFile { inode: 8, ..file() }, 4_711),
        id_at(&[], line, SourceFile { generation: 1, ..file() }, 4_711),
        id_at(&[], line, SourceFile { first_line_sha256: [0; 32], ..file() }, 4_711),
        id_at(&[], &line.replace("r1", "r2"), file(), 4_711),
        id_at(&[], &line.replace(":00.", ":01."), file(), 4_711),
        id_at(&[], &line.replace(',', ", "), file(), 4_711),
    ];
    let mut distinct: Vec<&str> = others.iter().map(String::as_str).chain([golden]).collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), others.len() + 1);
    // Without a time of its own the prefix is zero, whenever the line is read.
    assert!(id_at(&[], r#"{"a":1}"#, file(), 0).starts_with("AAAAAA"));
    assert!(id_at(&[], r#"{"@timestamp":"soon"}"#, file(), 0).starts_with("AAAAAA"));
    let mut identity = Enrichment::new(
        Vec::new(),
        Identity::new("host-1"),
        Metadata::new("h", "p", "c"),
        Telemetry::default().pipeline("t"),
    );
    let file = Arc::new(file());
    let source = Source { line: line.as_bytes(), ..Source::of_place(&file, 4_711) };
    let id = identity.id_of_line(&source);
    assert_eq!(id.as_str(), "AAAAAADIGLhWZ1tgQFqmoNGqDGyA");
    assert_ne!(identity.id_of_line(&Source { ordinal: 1, ..source }), id, "another record of the same line");
}

#[test]
fn ids_may_be_of_members() {
    let from = |unique| [always(Action::Id(IdFrom { from: paths(&["request_id"]), unique }))];
    let elsewhere = || SourceFile { inode: 9, first_line_sha256: [1; 32], ..file() };
    let line = r#"{"@timestamp":"2026-11-23T10:00:00Z","request_id":"r1","n":1}"#;
    let other = r#"{"@timestamp":"2026-11-23T10:00:01Z","request_id":"r1","n":2}"#;
    // The same line has one id wherever it stands, and no other line has it.
    assert_eq!(id_at(&from(false), line, file(), 0), id_at(&from(false), line, elsewhere(), 99));
    assert_ne!(id_at(&from(false), line, file(), 0), id_at(&from(false), other, file(), 0));
    assert!(id_at(&from(false), line, file(), 0).starts_with("AGsEDq"), "the prefix is the time");
    // With `unique` the members alone count.
    assert_eq!(id_at(&from(true), line, file(), 0), "AAAAAAAUb0ObL6jfITSIRXXd5b8b", "as computed in Python");
    assert_eq!(id_at(&from(true), line, file(), 0), id_at(&from(true), other, elsewhere(), 99));
    // Without any of them the place counts.
    let without = r#"{"@timestamp":"2026-11-23T10:00:00Z","n":1}"#;
    for unique in [false, true] {
        assert_eq!(id_at(&from(unique), without, file(), 5), id_at(&[], without, file(), 5));
    }
    // All that is below a field counts, however it is spelled.
    let session = [always(Action::Id(IdFrom { from: paths(&["session"]), unique: true }))];
    let of_node = |node: u32| id_at(&session, &format!(r#"{{"session":{{"id":1}},"session.node":{node}}}"#), file(), 0);
    assert_ne!(of_node(1), of_node(2));
    // Values cannot run into each other.
    let two = [always(Action::Id(IdFrom { from: paths(&["a", "b"]), unique: true }))];
    assert_ne!(id_at(&two, r#"{"a":12,"b":3}"#, file(), 0), id_at(&two, r#"{"a":1,"b":23}"#, file(), 0));
    assert_ne!(id_at(&two, r#"{"a":1}"#, file(), 0), id_at(&two, r#"{"b":1}"#, file(), 0));
}

#[test]
fn metadata_goes_where_there_is_room() {
    let golden = format!("{{{TIME},{METADATA}}}");
    assert_eq!(run(&[], &format!("{{{TIME}}}")).document, golden);
    // 193, 200 with an inode of eight digits; the path makes the difference.
    assert!(METADATA.len() + 7 <= 200, "{} bytes and a comma", METADATA.len());
    let parts: Vec<&str> = METADATA.split(',').collect();
    for (member, without, left_out) in [
        (r#""host":"gpu-7""#, &["host.name"][..], 1),
        (r#""host":{"name":"own"}"#, &["host.name"], 0),
        (r#""host":{"ip":"::1"}"#, &[], 0),
        (r#""host.name":"own""#, &["host.name"], 0),
        (r#""\u0068ost":"gpu-7""#, &["host.name"], 1),
        (r#""service":{"name":"x"}"#, &[], 0),
        (r#""event":"inference""#, &[], 0),
        (r#""log":{"offset":1}"#, &["log.offset"], 0),
        (r#""log":"x""#, &["log.file.path", "log.offset"], 2),
        (r#""log":{"file":"x"}"#, &["log.file.path"], 1),
        (r#""log.level":"info""#, &[], 0),
        (r#""logger":"x","hostname":"y""#, &[], 0),
        (r#""inferlog":null"#, &[], 0),
        (r#""agent":1,"ecs":[2]"#, &["ecs.version"], 1),
        (r#""inferlog":5"#, &["inferlog.pipeline", "inferlog.config", "inferlog.file"], 3),
    ] {
        let outcome = run(&[], &format!("{{{TIME},{member}}}"));
        let is_added = |part: &&&str| !without.iter().any(|name| part.starts_with(&format!("\"{name}\"")));
        let added: Vec<&str> = parts.iter().filter(is_added).copied().collect();
        assert_eq!(outcome.document, format!("{{{TIME},{member},{}}}", added.join(",")));
        assert_eq!(outcome.counters.enrich_left_out_members_total.get(), left_out, "{member}");
    }
    let odd = SourceFile { path: "/a\"b\\c".into(), ..file() };
    let document = run_at(&[], &format!("{{{TIME}}}"), odd, 0).document;
    assert!(document.contains(r#""log.file.path":"/a\"b\\c","log.offset":0}"#), "{document}");
}

/// A condition says of a record what the same text says of the document.
#[test]
fn conditions_see_what_the_document_will_have() {
    let conditions = [
        "log.file.path : */ml/*",
        "not log.file.path : */ml/*",
        "log.offset < 5000",
        "log.offset >= 5000 and host.name : gpu-7",
        "host.name : x",
        "host : * and log : * and log.file : *",
        "inferlog.pipeline : inference and inferlog.config : 0123* and inferlog.file : 7-0",
        "inferlog.notes : read_time",
        "inferlog.notes : assumed_utc",
        "inferlog* : *",
        "*path : */ml/*",
        "l*g.offset > 1",
        "ecs.version > 8",
        "* : gpu-7",
        "log : { offset > 3 and file.path : *ndjson }",
        "@timestamp >= 2026-11-23",
        "@timestamp < 2026-11-23",
        "not @timestamp : 2026-11-23",
        "* : nothing",
        "a : 1 and not event : *",
    ];
    let lines = [
        r#"{"a":1}"#,
        r#"{"a":1,"@timestamp":"2026-11-23T10:00:00Z"}"#,
        r#"{"a":1,"@timestamp":"2026-11-22 10:00:00"}"#,
        r#"{"host":"scalar","log":{"offset":3}}"#,
        r#"{"host.name":"x","inferlog":{"notes":"own"}}"#,
        r#"{"log":{"file":{"path":"/elsewhere"}},"ecs":[]}"#,
        r#"{"log":5}"#,
    ];
    let mut held = 0;
    for (text, line) in conditions.into_iter().flat_map(|text| lines.map(|line| (text, line))) {
        let condition = Expression::parse_condition(text).unwrap();
        let document = run(&[], line).document;
        let mut space = Space::default();
        let record = Record::parse(&document, &mut space).unwrap();
        let (expected, decided) = (condition.matches(&record), condition.decide(&record));
        held += u32::from(expected);
        for steps in [vec![], vec![timestamp(&[], None)]] {
            let drop = when(text, Action::Drop(Drop { rule: "r".into() }));
            let dropped = run(&[steps.clone(), vec![drop]].concat(), line).verdict.unwrap().dropped.is_some();
            assert_eq!(dropped, expected, "`{text}` of {line}: {document}");
            let flag = always(Action::Flag(Flag { into: path("is"), when: condition.clone() }));
            let flagged = run(&[steps, vec![flag]].concat(), line).document;
            let is = [true, false].into_iter().find(|is| flagged.contains(&format!("\"is\":{is}")));
            assert_eq!(is, decided, "`{text}` of {line}: {flagged}");
        }
    }
    assert!(held > 40, "{held}");
}

/// Whether a time is there already is asked of the members: a `rename` may be about to put it there.
#[test]
fn what_is_there_is_asked_of_the_members() {
    let rename = Action::Rename(Rename { fields: vec![(path("time"), path("@timestamp"))] });
    let steps = [when("not @timestamp : *", rename)];
    let document = run(&steps, r#"{"time":"2026-11-23T10:00:00Z"}"#).document;
    assert!(document.starts_with(r#"{"@timestamp":"2026-11-23T10:00:00Z","#), "{document}");
    assert_eq!(
        Sight::of(&Expression::parse_condition("confidence < 0.6 and not input_hash : *").unwrap()),
        Sight::Members
    );
}

/// A role that copies one path.
fn roles(into: &'static str, from: &str) -> Action {
    let from = roles::Source { paths: vec![crate::record::IndexedPath::read(from).unwrap()] };
    let role = roles::Role::Copy(roles::Copy { into, from });
    Action::Roles(roles::Roles { roles: vec![(path(into), role)], file_path: None, hidden: Vec::new() })
}

#[test]
fn what_a_role_has_copied_is_hidden_in_the_dead_letter_too() {
    let redact = redact(&["user"]);
    let steps = [always(roles("subject", "user.email")), when("never : *", redact)];
    let outcome = check(&steps, r#"{"user":{"email":"e"}}"#, Ok(r#"{"user":{"email":"e"},"subject":"e"}"#));
    let hidden = outcome.hidden.unwrap();
    assert!(hidden.contains(r#""user":0,"subject":0"#), "{hidden}");
}

#[test]
fn a_number_from_a_text_leaves_no_copy_of_what_a_rule_hides() {
    let line = r#"{"confidence":"87%"}"#;
    let outcome = run(&[], line);
    let kept = r#""confidence":0.87,"inferlog.original.confidence":"87%""#;
    assert!(outcome.document.contains(kept), "{}", outcome.document);
    assert_eq!(outcome.counters.number_from_text("percent").get(), 1);
    let redact = redact(&["confidence"]);
    let outcome = run(&[always(redact)], line);
    assert!(outcome.document.starts_with("{\"confidence\":0,"), "{}", outcome.document);
    assert!(!outcome.document.contains("87"), "{}", outcome.document);
}

#[test]
fn what_a_role_cannot_take_is_counted_by_its_field() {
    let outcome = check(
        &[always(roles("subject", "user"))],
        r#"{"user":{"id":7}}"#,
        Ok(r#"{"user":{"id":7},"inferlog.notes":["not_mapped"]}"#),
    );
    assert_eq!(outcome.counters.unmapped("subject").get(), 1);
}

#[test]
fn parts_of_a_text_become_members() {
    let pattern = regex::Regex::new("id=(?P<user.id>[0-9]+)").unwrap();
    let groups = vec![Group { into: path("user.id"), kind: GroupKind::Text }];
    let extract = [always(Action::Extract(Extract { field: path("message"), pattern, groups }))];
    check(&extract, r#"{"message":"id=7"}"#, Ok(r#"{"message":"id=7","user.id":"7"}"#));
}

#[test]
fn what_keeps_a_time_from_being_read_is_counted() {
    for (line, style) in [
        (r#"{"ts":"I1123 10:00:01.5"}"#, "no_year"),
        (r#"{"ts":"11/12/2026 10:00:01"}"#, "day_or_month"),
        (r#"{"ts":"2026-11-23 10:00:01 CET"}"#, "zone_name"),
        (r#"{"ts":"yesterday"}"#, "unknown_form"),
        (r#"{"ts":true}"#, "missing"),
        ("{}", "missing"),
        (r#"{"ts":12}"#, "out_of_range"),
    ] {
        let outcome = run(&[timestamp(&["ts"], None)], line);
        assert_eq!(outcome.counters.unread_time(style).get(), 1, "{line}");
        assert!(outcome.document.contains(r#""inferlog.notes":["read_time"]"#), "{}", outcome.document);
    }
}
