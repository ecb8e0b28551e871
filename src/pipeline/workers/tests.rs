//! Several workers beside one: the same documents in the same order, the same entries of the dead letter, the same counts.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use serde_json::Value;

use super::WAITING_CHUNKS_MAX;
use crate::config::{self, Environment, model};
use crate::flow::ack::Mark;
use crate::flow::tally::Tally;
use crate::pipeline::build::{Assembly, build};
use crate::pipeline::{Limits, Turn};
use crate::state::checkpoint::{self, Loaded};
use crate::telemetry::Telemetry;

/// A block is as long as the longest line, so that a log has many.
const LINE_BYTES_MAX: usize = 16 << 10;

/// What a pipeline made of its files.
#[derive(Debug, Default, PartialEq)]
struct Made {
    /// The bodies of the batches, with what each batch stands for.
    batches: Vec<(String, Vec<Mark>)>,
    /// The entries of the dead letter.
    dead: Vec<Value>,
    /// What was counted, a series a line.
    counted: Vec<String>,
    /// What observers keep, and their documents.
    observed: [Value; 2],
    /// The rows of the ledger of outcomes.
    ledger: Vec<String>,
    chunks: usize,
    /// How often the dead letter had no room.
    held: usize,
}

/// Drives a pipeline to the end of its files, on whose deliveries nobody waits.
fn make(pipeline: &model::Pipeline, workers: u32, data_dir: &Path) -> Made {
    let mut pipeline = model::Pipeline { workers, ..pipeline.clone() };
    pipeline.source.files.line_bytes_max = LINE_BYTES_MAX;
    let started = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
    let timeout = Duration::from_secs(60);
    let limits =
        Limits { once: true, once_timeout: timeout, shutdown_timeout: timeout, unacknowledged_bytes_max: u64::MAX };
    let mut telemetry = Telemetry::default();
    let counters = telemetry.pipeline(&pipeline.name);
    let mut built = build(&pipeline, data_dir, limits, counters, None).unwrap();
    let state = data_dir.join(&pipeline.name);
    let mut made = Made::default();
    loop {
        let turn = built.pipeline.take_next_chunk();
        take_sealed(&mut built, &mut made, &started);
        match turn {
            Turn::Busy => made.chunks += 1,
            Turn::Idle => break,
            Turn::Full => {
                // It has no room in the dead letter, or observers have to write down what they have seen.
                made.held += usize::from(built.pipeline.rest.is_some());
                built.pipeline.save();
                take_dead(&state, &mut made);
            }
        }
        let under_way = built.pipeline.workers.as_ref().map_or(0, |workers| workers.under_way.len());
        assert!(under_way < workers as usize + WAITING_CHUNKS_MAX, "{under_way} are under way");
    }
    built.pipeline.stages.seal();
    take_sealed(&mut built, &mut made, &started);
    built.pipeline.save();
    take_dead(&state, &mut made);
    // One that is held judges the line once more, and its processors count it once more.
    let others = ["_seconds", "_bytes{", "# ", if made.held > 0 { "inferlog_enrich_" } else { "# " }];
    let is_other = |line: &&str| others.iter().any(|part| line.contains(part));
    made.counted = telemetry.text().lines().filter(|line| !is_other(line)).map(str::to_owned).collect();
    made.counted.sort_unstable();
    let text = fs_err::read(state.join("checkpoint.json")).unwrap();
    let checkpoint: Value = serde_json::from_slice(&text).unwrap();
    let own = checkpoint["outbox"].as_array().into_iter().flatten();
    made.observed = [checkpoint["observers"].clone(), own.filter(|own| own["stream"] == "drift").cloned().collect()];
    made.ledger = rows(&state.join("outcomes.sqlite"));
    made
}

/// Takes what is ready to be sent. A time that is that of reading is not compared.
fn take_sealed(built: &mut Assembly, made: &mut Made, started: &str) {
    for shipment in built.pipeline.stages.sealed.drain(..) {
        let body = String::from_utf8(shipment.batch.segments().collect::<Vec<_>>().concat()).unwrap();
        let mut parts = body.split("\"@timestamp\":\"");
        let mut text = parts.next().unwrap().to_owned();
        for part in parts {
            let (time, rest) = part.split_once('"').unwrap();
            let time = if time >= &started[..19] { "now" } else { time };
            write!(text, "\"@timestamp\":\"{time}\"{rest}").unwrap();
        }
        made.batches.push((text, shipment.marks));
    }
}

/// Takes the entries out of the dead letter, which has room then.
fn take_dead(state: &Path, made: &mut Made) {
    for file in fs_err::read_dir(state.join("dead_letter")).into_iter().flatten() {
        let path = file.unwrap().path();
        let text = fs_err::read_to_string(&path).unwrap();
        fs_err::remove_file(path).unwrap();
        made.dead.extend(text.lines().map(|line| {
            let mut entry: Value = serde_json::from_str(line).unwrap();
            entry.as_object_mut().unwrap().remove("time");
            entry
        }));
    }
}

/// The predictions of a ledger.
fn rows(ledger: &Path) -> Vec<String> {
    if !ledger.exists() {
        return Vec::new();
    }
    let connection = rusqlite::Connection::open(ledger).unwrap();
    let mut rows = connection.prepare("SELECT * FROM predictions ORDER BY number").unwrap();
    let columns = rows.column_count();
    let row = |row: &rusqlite::Row<'_>| {
        (0..columns).map(|column| Ok(format!("{:?}", row.get_ref(column)?))).collect::<rusqlite::Result<String>>()
    };
    rows.query_map([], row).unwrap().map(Result::unwrap).collect()
}

/// Holds three workers to one; what one has made.
fn check(pipeline: &model::Pipeline, folder: &Path) -> Made {
    let one = make(pipeline, 1, &folder.join("one"));
    let three = make(pipeline, 3, &folder.join("three"));
    // The counts first: they are short.
    assert_eq!(one.counted, three.counted);
    assert_eq!(one.observed, three.observed);
    assert_eq!(one.ledger, three.ledger);
    assert_eq!(one.dead, three.dead);
    assert_eq!(one, three);
    one
}

fn load(folder: &Path, text: &str) -> model::Pipeline {
    let file = folder.join("p.yaml");
    fs_err::write(&file, text).unwrap();
    config::load_with(&[file], &Environment::new(|_| None)).unwrap_or_else(|report| panic!("{report}")).remove(0)
}

#[test]
fn the_corpus_is_shipped_alike_by_one_worker_and_by_three() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/logs");
    let folders = fs_err::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let folders: Vec<PathBuf> = folders.filter(|path| path.join("pipeline.yaml").is_file()).collect();
    let (mut documents, mut dead, mut pairs) = (0, 0, 0);
    for folder in folders {
        let place = tempfile::tempdir().unwrap();
        let mut pipeline = config::load(&[folder.join("pipeline.yaml")]).unwrap().remove(0);
        if pipeline.decode.reshape.iter().any(|reshape| matches!(reshape, crate::decode::Reshape::Pair(_))) {
            pairs += 1;
            continue;
        }
        let log = fs_err::read(folder.join("log.ndjson")).unwrap();
        let times = (8 * LINE_BYTES_MAX).div_ceil(log.len());
        fs_err::write(place.path().join("log.ndjson"), log.repeat(times)).unwrap();
        pipeline.source.files.paths = vec![place.path().join("log.ndjson").to_string_lossy().into_owned()];
        let made = check(&pipeline, place.path());
        assert!(made.chunks > 4, "{}: {} chunks", folder.display(), made.chunks);
        documents += made.batches.iter().map(|(body, _)| body.lines().count() / 2).sum::<usize>();
        dead += made.dead.len();
    }
    assert!(documents > 10_000 && dead > 500 && pairs > 0, "{documents} documents, {dead} entries, {pairs} left out");
}

/// Lines of all fates: records with many members, some dropped, some turned away by the decoder or by a processor, some that are
/// several records, some no inferences.
fn mixed(number: usize) -> String {
    match number % 40 {
        7 => format!("no record {number}\n"),
        11 => format!("{{\"event\":\"health\",\"latency_ms\":{number}}}\n"),
        13 => format!("{{\"event\":\"inference\",\"contact\":{{\"a\":1,\"a\":2,\"address\":\"{number}\"}}}}\n"),
        17 => "\n".to_owned(),
        19 => format!("{{\"event\":\"inference\",\"pad\":\"{}\"}}\n", "x".repeat(LINE_BYTES_MAX)),
        23 => format!(
            "{{\"event\":\"inference\",\"h\\u006fst\":{{\"name\":\"other\"}},\"prediction\":\"{number}\",\
             \"timestamp\":\"2026-11-23T10:00:00Z\"}}\n"
        ),
        29 => format!(
            "{{\"outputs\":[{{\"prediction\":\"a\"}},{{\"contact\":{{\"b\":1,\"b\":2,\"address\":0}}}},{{\"prediction\":{number}}}]}}\n"
        ),
        _ => format!(
            "{{\"event\":\"inference\",\"request_id\":\"r-{number}\",\"model_version\":\"{}\",\"status\":\"ok\",\
             \"latency_ms\":{},\"confidence\":0.{},\"prediction\":\"l{}\",\"email\":\"a@b.example\",\
             \"timestamp\":\"2026-11-23T10:{:02}:00Z\",\"features\":{{\"amount\":{}.5,\"kind\":\"k{}\"}}}}\n",
            number % 3,
            number % 700,
            number % 100,
            number % 7,
            number / 100 % 60,
            number % 25,
            number % 4
        ),
    }
}

const MIXED: &str = "source: { files: { paths: [\"*.ndjson\"] } }\n\
    decode: [json, { split: { each: [outputs] } }]\n\
    enrich:\n  - timestamp: { from: [timestamp] }\n  - redact: { fields: [email, contact.address] }\n  \
    - drop: { name: rare, when: \"prediction : l6\" }\n  - sample: { rate: 0.5, when: \"prediction : l5\" }\n\
    observe:\n  \
    - model_metrics: { inferences: \"event : inference and inferlog.pipeline : p\", labels: [host.name, features.kind] }\n  \
    - drift: { baseline: b.json, window: { records: 700 } }\n  \
    - ground_truth: { labels: { paths: [\"labels/*\"] }, window: 3650d, keep: 3650d }\n\
    batch: { items_max: 500 }\ndead_letter: { bytes_max: 1MiB }\nsink: stdout\n";

const BASELINE: &str = include_str!("../../../tests/config/baselines/small.json");

#[test]
fn observers_count_alike_and_a_full_dead_letter_holds_at_the_same_line() {
    let folder = tempfile::tempdir().unwrap();
    fs_err::write(folder.path().join("b.json"), BASELINE).unwrap();
    for name in ["a.ndjson", "b.ndjson", "c.ndjson"] {
        fs_err::write(folder.path().join(name), (0..13_000).map(mixed).collect::<String>()).unwrap();
    }
    let pipeline = load(folder.path(), MIXED);
    let made = check(&pipeline, folder.path());
    assert!(made.chunks > 100 && made.held > 0, "{} chunks, held {} times", made.chunks, made.held);
    assert!(made.observed.iter().all(|kept| !kept.is_null()) && !made.observed[1].as_array().unwrap().is_empty());
    assert!(made.ledger.len() > 1_000, "{} predictions", made.ledger.len());
    let mut told = Tally::default();
    made.batches.iter().flat_map(|(_, marks)| marks).for_each(|mark| told.join(&mark.tally));
    assert_eq!(told.dead_lettered.total(), made.dead.len() as u64);
    let documents: usize = made.batches.iter().map(|(body, _)| body.lines().count() / 2).sum();
    assert_eq!(told.kept, (documents + made.dead.len()) as u64);
    // The rules that are counted by drops are there.
    assert!(told.dropped.iter().map(|(name, _)| name).eq(["rare", "sample"]));
}

#[test]
fn what_is_under_way_is_forgotten_at_the_end_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let text = (0..20_000).map(|number| format!("{{\"n\":{number}}}\n")).collect::<String>();
    fs_err::write(folder.path().join("a.ndjson"), &text).unwrap();
    let mut pipeline =
        load(folder.path(), "source: { files: { paths: [a.ndjson] } }\ndecode: json\nworkers: 2\nsink: stdout\n");
    pipeline.source.files.line_bytes_max = LINE_BYTES_MAX;
    let limits = Limits {
        once: false,
        once_timeout: Duration::from_secs(60),
        shutdown_timeout: Duration::ZERO,
        unacknowledged_bytes_max: u64::MAX,
    };
    let data_dir = folder.path().join("data");
    let mut built = build(&pipeline, &data_dir, limits, Telemetry::default().pipeline("p"), None).unwrap();
    assert_eq!(built.pipeline.take_next_chunk(), Turn::Busy);
    assert!(built.pipeline.workers.as_ref().unwrap().bytes() > 2 * LINE_BYTES_MAX as u64);
    let ended = built.pipeline.finish(Default::default());
    assert_eq!(
        (ended.drained, ended.unacknowledged_bytes),
        (false, text.len() as u64),
        "nobody has delivered anything"
    );
    drop(built.lock);
    let Loaded::Found(found) = checkpoint::load(&data_dir.join("p/checkpoint.json")).unwrap() else { panic!() };
    let observed = found.files[0].observed_offset_bytes;
    assert!(found.files[0].committed.offset_bytes == 0 && observed > 0 && observed <= 2 * LINE_BYTES_MAX as u64);
}

#[test]
fn a_worker_that_panics_ends_the_pipeline_with_its_words() {
    let folder = tempfile::tempdir().unwrap();
    fs_err::write(folder.path().join("a.ndjson"), "{\"n\":1}\n").unwrap();
    let pipeline =
        load(folder.path(), "source: { files: { paths: [a.ndjson] } }\ndecode: json\nworkers: 2\nsink: stdout\n");
    let limits = Limits {
        once: true,
        once_timeout: Duration::from_secs(60),
        shutdown_timeout: Duration::ZERO,
        unacknowledged_bytes_max: u64::MAX,
    };
    let built =
        build(&pipeline, &folder.path().join("data"), limits, Telemetry::default().pipeline("p"), None).unwrap();
    let mut pipeline = built.pipeline;
    pipeline.workers.as_mut().unwrap().panics_next = true;
    let payload = std::thread::spawn(move || pipeline.run()).join().unwrap_err();
    let words = crate::text::panic::words(&*payload);
    assert!(words.starts_with("a worker panicked: as a test wants it"), "{words}");
}
