//! Counts through a crash: every line is counted once, however often it is read.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::build::{Assembly, build};
use super::{Limits, Turn};
use crate::config::{self, Environment};
use crate::observe::ModelSeries;
use crate::state::checkpoint::{self, Loaded};
use crate::telemetry::Telemetry;

const LINES: u64 = 12_000;

/// A baseline of `amount` and `prediction`, which is the fallback.
const BASELINE: &str = include_str!("../../tests/config/baselines/small.json");

/// Lines of several blocks: an eighth is dropped by a rule, an eighth is no inference, and every 1,000th is no record.
fn write_log(path: &Path) {
    let line = |number: u64| match number {
        _ if number % 1_000 == 999 => "no record\n".to_owned(),
        _ if number % 8 == 1 => format!("{{\"event\":\"startup\",\"number\":{number}}}\n"),
        _ => format!(
            "{{\"event\":\"inference\",\"number\":{number},\"kind\":{},\"model_version\":\"1\",\"status\":\"ok\",\"latency_ms\":20,\"features\":{{\"amount\":{}}}}}\n",
            number % 8,
            number % 25
        ),
    };
    fs_err::write(path, (0..LINES).map(line).collect::<String>()).unwrap();
}

/// How many of the first `lines` lines are inferences.
fn inferences(lines: u64) -> u64 {
    (0..lines).filter(|number| number % 1_000 != 999 && number % 8 != 1).count() as u64
}

fn start(folder: &Path) -> Assembly {
    let text = "source: { files: { paths: [\"*.ndjson\"] } }\ndecode: json\n\
        enrich: [{ drop: { name: threes, when: \"kind : 3\" } }]\nobserve:\n  \
        - model_metrics: { inferences: \"event : inference and inferlog.pipeline : p\" }\n  \
        - drift: { baseline: b.json, window: { records: 700 } }\nsink: stdout\n";
    fs_err::write(folder.join("b.json"), BASELINE).unwrap();
    let file = folder.join("p.yaml");
    fs_err::write(&file, text).unwrap();
    let pipelines = config::load_with(&[file], &Environment::new(|_| None)).unwrap();
    let limits = Limits {
        once: true,
        once_timeout: Duration::from_secs(60),
        shutdown_timeout: Duration::from_secs(1),
        unacknowledged_bytes_max: u64::MAX,
    };
    let counters = Telemetry::default().pipeline("p");
    build(&pipelines[0], &folder.join("data"), limits, counters, None).unwrap()
}

/// The number of requests and the number of latencies that are shown.
fn shown(built: &Assembly) -> (u64, u64) {
    let mut telemetry = Telemetry::default();
    telemetry.register_collector(Box::new(ModelSeries::new(vec![built.shown.clone()])));
    let text = telemetry.text();
    let value = |series: &str| {
        text.lines().find_map(|line| line.strip_prefix(series)).map_or(0, |value| value.trim().parse().unwrap())
    };
    (
        value("model_requests_total{model_version=\"1\",status=\"ok\"}"),
        value("model_latency_seconds_count{model_version=\"1\"}"),
    )
}

/// Takes `chunks` chunks, saves, takes one more, and dies. Returns what was shown at the start and in the end.
fn run_and_die(folder: &Path, chunks: usize) -> (u64, u64) {
    let mut built = start(folder);
    let before = shown(&built).0;
    for _ in 0..chunks {
        assert_eq!(built.pipeline.take_next_chunk(), Turn::Busy);
        built.pipeline.send();
    }
    built.pipeline.save();
    let saved = shown(&built);
    assert_eq!(built.pipeline.take_next_chunk(), Turn::Busy);
    assert_eq!(shown(&built), saved, "what is not saved is not shown");
    assert_eq!(saved.0, saved.1);
    let lines = observed_lines(folder);
    assert_eq!(saved.0, inferences(lines), "the saved offset and the saved counts are of one moment");
    let (over, open) = measured(folder);
    assert_eq!(
        over + open,
        inferences(lines),
        "and so are those of drift: {over} in documents, {open} in the open window"
    );
    assert!(over > 0 && open > 0, "a window was over, and one open");
    assert!(lines > 0 && lines < LINES, "died in the middle, after {lines} lines");
    (before, saved.0)
}

/// How many lines are before the observed offset on disk.
fn observed_lines(folder: &Path) -> u64 {
    let Loaded::Found(found) = checkpoint::load(&folder.join("data/p/checkpoint.json")).unwrap() else {
        panic!("no checkpoint")
    };
    assert_eq!(found.files[0].committed.offset_bytes, 0, "nothing was delivered: everything is read again");
    let log = fs_err::read(folder.join("a.ndjson")).unwrap();
    memchr::memchr_iter(b'\n', &log[..found.files[0].observed_offset_bytes as usize]).count() as u64
}

/// How many records drift has counted as the checkpoint says: of windows that are over, in documents that no sink took, and
/// of the one that is open. Those of each feature are the same.
fn measured(folder: &Path) -> (u64, u64) {
    let text = fs_err::read(folder.join("data/p/checkpoint.json")).unwrap();
    let checkpoint: Value = serde_json::from_slice(&text).unwrap();
    let sum = |numbers: Vec<&Value>| numbers.iter().map(|number| number.as_u64().unwrap()).sum::<u64>();
    let documents = checkpoint["outbox"].as_array().unwrap().iter().filter(|entry| entry["stream"] == "drift");
    let of_feature = |name: &str| {
        let mine = documents.clone().map(|entry| &entry["document"]).filter(|document| document["feature"] == name);
        sum(mine.map(|document| &document["records"]).collect())
    };
    let versions = checkpoint["observers"]["drift"]["versions"].as_array().unwrap();
    let over = of_feature("amount");
    assert_eq!(over, of_feature("prediction"));
    (over, sum(versions.iter().map(|version| &version["panes"]["open"]["counts"]["records"]).collect()))
}

#[test]
fn lines_that_are_read_again_after_a_crash_are_not_counted_again() {
    let folder = tempfile::tempdir().unwrap();
    write_log(&folder.path().join("a.ndjson"));
    let (at_start, first) = run_and_die(folder.path(), 1);
    assert_eq!(at_start, 0);
    let (again, second) = run_and_die(folder.path(), 2);
    assert_eq!(again, first, "the series go on where they were");
    assert!(second > first);
    let mut built = start(folder.path());
    assert_eq!(shown(&built).0, second);
    for _ in 0..1_000 {
        if built.pipeline.take_next_chunk() == Turn::Idle {
            break;
        }
        built.pipeline.send();
    }
    built.pipeline.save();
    assert_eq!(shown(&built), (inferences(LINES), inferences(LINES)));
    let (over, open) = measured(folder.path());
    assert_eq!((over, open), (inferences(LINES) / 700 * 700, inferences(LINES) % 700));
    assert_eq!(built.counters.source_read_lines_total.get(), LINES, "every line was read again");
}
