//! Random records and random questions about them, for `kql_differential`.
//!
//! Left out on purpose, because the answer hangs on which value of a field Elasticsearch met first (see `docs/kql.md`;
//! `kql_differential` pins each with a test of its own): comparing a field that is not in our mappings and holds values of
//! several types (`mixed` is only asked for existence), a text over 8,191 characters by its content (`prompt` likewise),
//! and numbers of more digits than a double has.

use std::fmt::Write as _;

use fastrand::Rng;

/// A day, in microseconds, within which records are: 2026-11-23.
pub(crate) const DAY_US: i64 = 1_795_392_000_000_000;

/// One record.
pub(crate) struct Document {
    pub(crate) timestamp_us: i64,
    /// A number of its own; a sum of some of them tells which ones.
    pub(crate) mark: u64,
    pub(crate) text: String,
}

fn one<'a>(random: &mut Rng, of: &[&'a str]) -> &'a str {
    of[random.usize(..of.len())]
}

/// JSON texts of values, by the field that may have them. What our mappings name may come in any type.
const MEMBERS: [(&str, &[&str]); 22] = [
    ("event", &[r#""inference""#, r#""inference""#, r#""health_check""#, r#"["inference","retry"]"#, "null"]),
    (
        "model_version",
        &[
            r#""anomaly-3.2.1""#,
            r#""canary-4""#,
            r#""3""#,
            "3",
            "1.50",
            r#"["anomaly-3.2.0","canary-3"]"#,
            "null",
            r#""Ünïcode 名""#,
        ],
    ),
    (
        "prediction",
        &[
            r#""fraud""#,
            r#""legitimate""#,
            "3",
            "1.50",
            "true",
            r#"["fraud",[2,"x y"]]"#,
            r#"{"label":"fraud","rank":1}"#,
            "-0.0",
            "1E+2",
        ],
    ),
    (
        "confidence",
        &[
            "0.31",
            "0.6",
            "0.60",
            "0.599",
            "1",
            "0",
            r#""0.31""#,
            r#""6e-1""#,
            "null",
            "[0.2,0.9]",
            "[]",
            "0.87",
            "0.87",
        ],
    ),
    ("latency_ms", &["-0.0", "8.5", "12", "120.25", r#""12""#, "null", "0", "1e3", "-1"]),
    ("status", &[r#""success""#, r#""success""#, r#""error""#, "500", "true", r#""""#]),
    ("stage", &[r#""live""#, r#""shadow""#, r#"["live","shadow"]"#, "false"]),
    ("low_confidence", &["true", "false", r#""true""#, r#""false""#, "null"]),
    ("request_id", &[r#""r-1""#, r#""r-2""#, "12345678901234567890", "12345678901234567891"]),
    ("timestamp", &[r#""2026-11-23T10:00:00Z""#, r#""2026-11-22""#, "1795428000", r#""yesterday""#]),
    ("log.offset", &["0", "4096", "123456789012"]),
    (
        "subject",
        &[
            r#""a*b""#,
            r#""a?b""#,
            r#""C:\\temp\\x""#,
            r#""say \"hi\"""#,
            r#""not an and or""#,
            r#""null""#,
            r#""\u0041\ud83d\ude00""#,
        ],
    ),
    ("tags", &[r#"["a","b",null]"#, r#"[["a"],["c","a b"]]"#, "[]", "[null]", r#""b""#]),
    ("größe", &[r#""ü 値""#, r#""Ü 値""#, r#""ü""#]),
    ("count", &["1", "2.5", "10", "9", "[1,[2,10]]", "1e2", "-3.25", "-0.0", "0", "null"]),
    ("ok", &["true", "false", "[true,false]", "null"]),
    ("word", &[r#""true""#, r#""10""#, r#""9""#, r#""now""#, r#""and""#, r#""x""#, r#""null""#]),
    ("items", &[r#"[{"n":"x","v":1},{"n":"y","v":2}]"#, r#"{"n":"x","v":2}"#, r#"[{"n":["x","z"]},{"v":null}]"#, "[]"]),
    ("mixed", &["1", r#""m1x3d""#, r#"{"inside":1}"#, "[]", "null", "[[2]]", r#"{"inside":null}"#]),
    ("hollow", &["{}", "[]", "null", r#"{"a":null}"#, r#"{"a":[{"b":[]}]}"#, r#"{"a":{"c":"deep"}}"#]),
    ("prompt", &[r#""sh0rt""#, "LONG"]),
    ("model.name", &[r#""dotted""#, r#""x""#]),
];

const COUNTRIES: [&str; 5] = ["DE", "FR", "de", "U S", "ÉÉ"];

/// The first record gives every field that is not in our mappings its type.
const FIRST: &str = r#""event":"first","tags":"a","größe":"ü","count":1.5,"ok":true,"word":"x","items":{"n":"x","v":1.5},"mixed":1.5,"hollow":{"a":{"c":"deep"}},"prompt":"sh0rt","model.name":"x","prediction":{"label":"fraud","rank":1.5},"features":{"amount":1.5,"country":"DE","merchant":"m-0001","on":true,"geo.city":"B"}"#;

pub(crate) fn documents(random: &mut Rng, count: usize) -> Vec<Document> {
    (0..count).map(|number| document(random, number)).collect()
}

fn document(random: &mut Rng, number: usize) -> Document {
    let timestamp_us = DAY_US + random.i64(0..86_400_000_000);
    let mark = random.u64(1..1 << 40);
    let time = chrono::DateTime::from_timestamp_micros(timestamp_us).unwrap().format("%Y-%m-%dT%H:%M:%S%.6fZ");
    let mut text = format!("{{\"@timestamp\":\"{time}\",\"mark\":{mark}");
    if number == 0 {
        let _ = write!(text, ",{FIRST}");
    } else {
        let mut members = MEMBERS.to_vec();
        random.shuffle(&mut members);
        for (name, values) in members {
            if random.u8(..10) < 7 {
                let value = one(random, values).replace("LONG", &format!("\"{}\"", "lng ".repeat(2_100)));
                let _ = write!(text, ",\"{name}\":{value}");
            }
        }
        features(random, &mut text);
    }
    text.push('}');
    Document { timestamp_us, mark, text }
}

/// Features in each of the spellings that logs have.
fn features(random: &mut Rng, text: &mut String) {
    let amount = format!("{}.{}", random.u16(..40), random.u8(..10));
    let country = one(random, &COUNTRIES);
    let merchant = format!("m-{:04}", random.u16(..300));
    let on = random.bool();
    let _ = match random.u8(..5) {
        0 => write!(text, ",\"features.amount\":{amount},\"features.merchant\":\"{merchant}\""),
        1 => write!(text, ",\"features\":[{{\"amount\":{amount}}},{{\"country\":\"{country}\",\"on\":{on}}}]"),
        2 => write!(text, ",\"features\":{{}}"),
        3 => write!(
            text,
            ",\"features\":{{\"amount\":[{amount},3],\"country\":\"{country}\",\"geo.city\":\"B\"}},\"features.on\":{on}"
        ),
        _ => write!(
            text,
            ", \"features\" : {{ \"amount\" : {amount}, \"country\":\"{country}\",\"merchant\":\"{merchant}\",\"geo\":{{\"city\":\"B {country}\"}} }}"
        ),
    };
}

/// Fields that may be compared.
const FIELDS: [&str; 30] = [
    "event",
    "model_version",
    "prediction",
    "confidence",
    "confidence",
    "latency_ms",
    "status",
    "stage",
    "low_confidence",
    "request_id",
    "timestamp",
    "log.offset",
    "subject",
    "tags",
    "größe",
    "count",
    "ok",
    "word",
    "items.n",
    "items.v",
    "features.amount",
    "features.country",
    "features.merchant",
    "features.on",
    "features.geo.city",
    "prediction.label",
    "prediction.rank",
    "model.name",
    "nowhere",
    "hollow.a.c",
];

/// Values, as KQL.
const VALUES: [&str; 64] = [
    "and",
    "or",
    "inference",
    "health_check",
    "\"inference\"",
    "anomaly-3.2.1",
    "canary-4",
    "3",
    "3.0",
    "1.50",
    "1.5",
    "\"1.50\"",
    "\"Ünïcode 名\"",
    "Ünïcode 名",
    "fraud",
    "Fraud",
    "true",
    "false",
    "\"true\"",
    "0.31",
    "0.310",
    "3.1e-1",
    "\"0.31\"",
    "0.6",
    "0",
    "-0",
    "1",
    "100",
    "1e2",
    "12",
    "12.0",
    "8.5",
    "high",
    "500",
    "live",
    "shadow",
    "r-1",
    "12345678901234567890",
    "2026-11-23",
    "\"2026-11-23T10:00:00Z\"",
    "yesterday",
    "4096",
    "\"a*b\"",
    "\"a?b\"",
    r#""C:\\temp\\x""#,
    r#""say \"hi\"""#,
    "\"not an and or\"",
    "null",
    r"\u0041\ud83d\ude00",
    "a",
    "b",
    "\"a b\"",
    "a b",
    "\"ü 値\"",
    "2.5",
    "10",
    "9",
    "now",
    "x",
    "DE",
    "U S",
    "B",
    "m-0042",
    "deep",
];

const PATTERNS: [&str; 16] = [
    "infer*",
    "*",
    "anomaly-*",
    "*-4",
    "m-00*",
    "*e*",
    "a*b",
    "1*",
    "t*e",
    "*r*u*",
    "ü*",
    "D*",
    "B*",
    "r-*",
    "can*y-*",
    "20*",
];

const BOUNDS: [&str; 22] = [
    "0.6",
    "\"0.6\"",
    "0.31",
    "1",
    "10",
    "9",
    "0",
    "-1",
    "2.5",
    "12",
    "1e400",
    "-1e400",
    "m-0100",
    "canary-3",
    "DE",
    "2026-11-23",
    "false",
    "true",
    "fraud",
    "1.50",
    "x",
    "4096",
];

const MOMENTS: [&str; 14] = [
    "2026-11-23",
    "2026-11",
    "2026",
    "\"2026-11-23T10:00\"",
    "\"2026-11-23T10:00:00.123Z\"",
    "\"2026-11-23T12:30:00.123456Z\"",
    "\"2026-11-23T12:30+02:00\"",
    "2026-11-23||/M",
    "2026-11-23||+6h",
    "2026-11-24||-12h/h",
    "1795428000123",
    "2026-11-23T07",
    "\"2026-11-23T23:59:59.999\"",
    "2026-11-23||+1d/w",
];

/// Date math of the clock, which Elasticsearch's own clock reads differently.
const CLOCK: [&str; 4] = ["now-12h", "now-6h/h", "now/d", "now-1d/d"];

const EXISTING: [&str; 19] = [
    "event",
    "prediction",
    "confidence",
    "features",
    "features.geo",
    "features.geo.city",
    "items",
    "mixed",
    "mixed.inside",
    "hollow",
    "hollow.a",
    "prompt",
    "model",
    "feat*",
    "*_version",
    "prediction.*",
    "prediction.number",
    "*.number",
    "nowhere",
];

const WILD: [&str; 7] = ["features.*", "feat*ry", "*_version", "model*", "items.*", "pre*", "*"];

const SIGNS: [&str; 4] = ["<", "<=", ">", ">="];

/// A question in KQL.
pub(crate) fn question(random: &mut Rng, depth: u8) -> String {
    match random.u8(..if depth == 0 { 5 } else { 9 }) {
        5 | 6 => {
            let word = one(random, &["and", "or", "AND", "Or"]);
            format!("({} {word} {})", question(random, depth - 1), question(random, depth - 1))
        }
        7 => format!("not ({})", question(random, depth - 1)),
        8 => format!("not {}", leaf(random)),
        _ => leaf(random),
    }
}

fn leaf(random: &mut Rng) -> String {
    let value = |random: &mut Rng| match random.u8(..4) {
        0 => one(random, &PATTERNS),
        _ => one(random, &VALUES),
    };
    match random.u8(..20) {
        0..=5 => format!("{} : {}", one(random, &FIELDS), value(random)),
        6 => {
            let word = one(random, &["or", "and"]);
            format!("{} : ({} {word} {})", one(random, &FIELDS), value(random), value(random))
        }
        7..=10 => format!("{} {} {}", one(random, &FIELDS), one(random, &SIGNS), one(random, &BOUNDS)),
        11 => format!("confidence {} {}", one(random, &SIGNS), one(random, &BOUNDS)),
        12 => format!("@timestamp {} {}", one(random, &SIGNS), one(random, &MOMENTS)),
        13 => format!("@timestamp : {}", one(random, &MOMENTS)),
        14 => format!("@timestamp {} {}", one(random, &SIGNS), one(random, &CLOCK)),
        15 | 16 => format!("{} : *", one(random, &EXISTING)),
        17 => format!("{} : {}", one(random, &WILD), value(random)),
        18 => value(random).to_owned(),
        _ => {
            let (n, v) = (one(random, &["x", "y", "z", "*"]), one(random, &["1", "2", "1.5"]));
            format!("items : {{ n : {n} and not v < {v} }}")
        }
    }
}
