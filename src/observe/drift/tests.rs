use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::*;
use crate::drift::{
    BaselineFile, Categorical, Distribution, DriftDocument, EdgesKind, FeatureBaseline, Kind, Numeric, Thresholds,
};
use crate::record::Space;
use crate::telemetry::Telemetry;

const SECOND_US: i64 = 1_000_000;

fn feature(name: &str, kind: Kind, distribution: Distribution, count: u64) -> FeatureBaseline {
    FeatureBaseline { name: name.to_owned(), kind, count, missing: 0, missing_share: 0.0, distribution }
}

/// `amount` in two buckets from 0 to 20, and `prediction`.
fn baseline(version: Option<&str>, fallback: bool) -> Baseline {
    let amount = Numeric {
        edges_kind: EdgesKind::EqualWidth,
        edges: vec![0.0, 10.0, 20.0],
        counts: vec![600, 400],
        not_finite: 0,
        mean: None,
        deviation: None,
        min: 0.0,
        max: 20.0,
    };
    let labels = vec![("a".to_owned(), 700), ("b".to_owned(), 300)];
    let prediction = Categorical { categories: labels, other: 0, seen_once: 0 };
    Baseline {
        model_name: None,
        model_version: version.map(str::to_owned),
        fallback,
        sources: Vec::new(),
        rows: 1_000,
        features: vec![
            feature("amount", Kind::Feature, Distribution::Numeric(amount), 1_000),
            feature("prediction", Kind::Prediction, Distribution::Categorical(prediction), 1_000),
        ],
    }
}

fn options(pane: PaneLength, panes: usize) -> DriftOptions {
    let baselines = BaselineFile::new(vec![baseline(Some("1"), true)]);
    DriftOptions {
        baselines: Arc::new(baselines),
        inferences: None,
        pane,
        panes,
        thresholds: Thresholds { min_sample: Some(10), ..Thresholds::default() },
        model_name: false,
        prefix: String::new(),
    }
}

fn drift(options: DriftOptions) -> Drift {
    let subject = Subject { pipeline: "p".to_owned(), host: "h".to_owned() };
    Drift::new(options, subject, &Telemetry::default().pipeline("p"))
}

fn tumbling(seconds: i64) -> Drift {
    drift(options(PaneLength::Time(seconds * SECOND_US), 1))
}

fn observe(drift: &mut Drift, line: &str, time_s: i64) {
    let mut space = Space::default();
    drift.observe(&Record::parse(line, &mut space).unwrap(), time_s * SECOND_US);
}

/// A record of version 1 with this amount.
fn line(amount: u32) -> String {
    format!(r#"{{"model_version":"1","features":{{"amount":{amount}}},"prediction":"a"}}"#)
}

fn json(drift: &mut Drift) -> Vec<Value> {
    drift.take_documents().iter().map(|document| serde_json::from_str(document.text.get()).unwrap()).collect()
}

/// The documents of `amount` in words: `version start-end n records [buckets]`, times in seconds since 1970.
fn words(drift: &mut Drift) -> Vec<String> {
    let seconds = |time: &Value| chrono::DateTime::parse_from_rfc3339(time.as_str().unwrap()).unwrap().timestamp();
    let of_amount = |document: Value| {
        (document["feature"] == "amount").then(|| {
            let window = &document["window"];
            let (start, end) = (seconds(&window["start"]), seconds(&window["end"]));
            let (n, records) = (&document["n"], &document["records"]);
            let version = document["model_version"].as_str().unwrap();
            format!("{version} {start}-{end} {n} {records} {}", document["counts"]["buckets"])
        })
    };
    json(drift).into_iter().filter_map(of_amount).collect()
}

#[test]
fn windows_follow_each_other_and_late_records_are_counted_once() {
    let mut drift = tumbling(60);
    for (amount, time_s) in [(1, 130), (1, 179), (11, 125)] {
        observe(&mut drift, &line(amount), time_s);
    }
    assert_eq!(words(&mut drift), [""; 0], "the window is not over");
    observe(&mut drift, &line(1), 180);
    assert_eq!(words(&mut drift), ["1 120-180 3 3 [2,1]"]);
    // Of a window that is over: counted in the open one.
    observe(&mut drift, &line(12), 179);
    assert_eq!(drift.late.get(), 1);
    // An hour later: what is between has no record, and gives nothing.
    observe(&mut drift, &line(1), 3_790);
    assert_eq!(words(&mut drift), ["1 180-240 2 2 [1,1]"]);
    assert_eq!(drift.start_us, Some(3_780 * SECOND_US));
}

#[test]
fn time_ends_a_window_without_a_further_record() {
    let mut drift = tumbling(60);
    observe(&mut drift, &line(1), 130);
    // What is over at the end has no record: it gives nothing, and ends what is shown.
    for (now_s, over, documents, versions) in [
        (180, false, 0, 1),
        (181, false, 0, 1),
        (182, true, 1, 1),
        (239, false, 0, 1),
        (400, true, 0, 0),
        (500, false, 0, 0),
    ] {
        assert_eq!(drift.pass_time(now_s * SECOND_US), over, "{now_s}");
        assert_eq!((words(&mut drift).len(), drift.versions.len()), (documents, versions), "{now_s}");
    }
    observe(&mut drift, &line(1), 131);
    assert_eq!(drift.late.get(), 0, "a pane begins with the next record, whenever it is from");
}

#[test]
fn windows_slide_by_panes_and_documents_add_up() {
    let mut drift = drift(options(PaneLength::Time(60 * SECOND_US), 3));
    for (time_s, amount) in [(0, 1), (60, 1), (61, 11), (120, 1), (180, 1)] {
        observe(&mut drift, &line(amount), time_s);
    }
    drift.pass_time(1_000 * SECOND_US);
    let expected = [
        "1 0-60 1 1 [1,0]",
        "1 0-120 3 2 [1,1]",
        "1 0-180 4 1 [1,0]",
        "1 60-240 4 1 [1,0]",
        // The window still has records, the pane has none.
        "1 120-300 2 0 [0,0]",
        "1 180-360 1 0 [0,0]",
    ];
    assert_eq!(words(&mut drift), expected);
    assert_eq!(drift.versions.len(), 1, "the window that was measured last is shown");
    drift.pass_time(1_100 * SECOND_US);
    assert!(drift.versions.is_empty(), "and no longer when a further one is over without a record");
}

#[test]
fn windows_of_records_end_by_version() {
    let mut drift = drift(options(PaneLength::Records(2), 1));
    for (version, time_s) in [("1", 5), ("2", 6), ("1", 3), ("1", 9)] {
        observe(&mut drift, &line(1).replace(r#"version":"1""#, &format!(r#"version":"{version}""#)), time_s);
    }
    drift.pass_time(1_000_000 * SECOND_US);
    assert_eq!(words(&mut drift), ["1 3-5 2 2 [2,0]"]);
    drift.finish(1_000 * SECOND_US);
    assert_eq!(words(&mut drift), ["1 9-9 1 1 [1,0]", "2 6-6 1 1 [1,0]"]);
}

#[test]
fn the_end_of_everything_ends_the_window_then() {
    let mut drift = tumbling(60);
    observe(&mut drift, &line(1), 130);
    drift.finish(140 * SECOND_US);
    drift.finish(150 * SECOND_US);
    assert_eq!(words(&mut drift), ["1 120-140 1 1 [1,0]"]);
}

#[test]
fn what_is_held_ends_later_and_loses_nothing() {
    let mut drift = tumbling(60);
    observe(&mut drift, &line(1), 130);
    drift.set_held(true);
    observe(&mut drift, &line(1), 200);
    assert!(!drift.pass_time(1_000 * SECOND_US) && words(&mut drift).is_empty());
    drift.set_held(false);
    observe(&mut drift, &line(1), 300);
    assert_eq!(words(&mut drift), ["1 120-200 2 2 [2,0]"]);
}

#[test]
fn a_version_is_measured_against_its_own_baseline_else_the_fallback() {
    for (baselines, version, expected) in [
        (vec![baseline(Some("1"), true)], "1", Some(("1", false))),
        (vec![baseline(Some("1"), true)], "2", Some(("1", true))),
        (vec![baseline(Some("1"), false)], "2", None),
        (vec![baseline(Some("1"), true), baseline(Some("2"), false)], "2", Some(("2", false))),
    ] {
        let mut drift = drift(DriftOptions {
            baselines: Arc::new(BaselineFile::new(baselines)),
            ..options(PaneLength::Records(1), 1)
        });
        observe(&mut drift, &line(1).replace(r#"version":"1""#, &format!(r#"version":"{version}""#)), 0);
        let documents = json(&mut drift);
        let chosen = documents.first().map(|document| {
            let baseline = &document["baseline"];
            (baseline["model_version"].as_str().unwrap().to_owned(), baseline["fallback"].as_bool().unwrap())
        });
        assert_eq!(chosen, expected.map(|(version, fallback)| (version.to_owned(), fallback)), "{version}");
        assert_eq!(drift.unmeasured.get(), u64::from(expected.is_none()));
    }
}

#[test]
fn versions_beyond_the_limit_are_measured_together() {
    let mut drift = tumbling(60);
    let long = "x".repeat(LABEL_BYTES_MAX + 1);
    for version in (0..30).map(|n| n.to_string()).chain([long]) {
        observe(&mut drift, &line(1).replace(r#"version":"1""#, &format!(r#"version":"{version}""#)), 0);
    }
    drift.pass_time(1_000 * SECOND_US);
    let documents = words(&mut drift);
    assert_eq!(documents.len(), options::VERSIONS_MAX + 1);
    assert_eq!(documents.last().unwrap(), "other 0-60 11 11 [11,0]");
}

#[test]
fn counts_go_on_after_a_restart_where_they_can() {
    let of = |pane_s: i64, baselines: Vec<Baseline>| {
        let baselines = Arc::new(BaselineFile::new(baselines));
        drift(DriftOptions { baselines, ..options(PaneLength::Time(pane_s * SECOND_US), 2) })
    };
    let mut before = of(60, vec![baseline(Some("1"), true)]);
    (0..20).for_each(|_| observe(&mut before, &line(11), 59));
    (0..5).for_each(|_| observe(&mut before, &line(11), 61));
    before.take_documents();
    let state = serde_json::to_value(before.counts()).unwrap();
    let mut other = baseline(Some("1"), true);
    let Distribution::Numeric(numeric) = &mut other.features[0].distribution else { panic!() };
    numeric.edges[1] = 11.0;
    for (mut after, expected) in [
        (of(60, vec![baseline(Some("1"), true)]), vec!["1 0-120 26 6 [1,5]"]),
        (of(30, vec![baseline(Some("1"), true)]), vec!["1 60-90 6 6 [1,5]"]),
        (of(60, vec![other]), vec!["1 60-120 1 1 [1,0]"]),
        (of(60, vec![baseline(Some("2"), false)]), vec![]),
    ] {
        after.restore(serde_json::from_value(state.clone()).unwrap());
        observe(&mut after, &line(1), 62);
        observe(&mut after, &line(1), 120);
        assert_eq!(words(&mut after).into_iter().take(1).collect::<Vec<_>>(), expected);
    }
    let mut same = of(60, vec![baseline(Some("1"), true)]);
    same.restore(serde_json::from_value(state.clone()).unwrap());
    assert_eq!(serde_json::to_value(same.counts()).unwrap(), state, "state survives its text");
    let shown = same.take_news().unwrap();
    assert!(
        shown[0].window.counts.records == 20 && shown[0].reports[0].1,
        "what was measured last is shown again, with its alarm"
    );
}

#[test]
fn documents_of_replicas_add_up_to_the_union() {
    let values: Vec<u32> = (0..3_000).map(|n| n * 7 % 23).collect();
    let psi = |document: &Value| document["psi"].as_f64().unwrap();
    let mut union = tumbling(60);
    let mut sums: BTreeMap<String, WindowCounts> = BTreeMap::new();
    for replica in 0..3 {
        let mut alone = tumbling(60);
        for value in values.iter().skip(replica).step_by(3) {
            observe(&mut alone, &line(*value), 1);
            observe(&mut union, &line(*value), 1);
        }
        alone.finish(10 * SECOND_US);
        // The last one is the version's, which is not added up.
        for document in alone.take_documents().iter().take(2) {
            let DriftDocument { feature, records, counts, .. } = DriftDocument::read(document.text.get()).unwrap();
            let part = WindowCounts { records, features: vec![counts] };
            match sums.get_mut(&feature) {
                Some(sum) => sum.merge(&part).unwrap(),
                None => drop(sums.insert(feature, part)),
            }
        }
    }
    union.finish(10 * SECOND_US);
    let documents = json(&mut union);
    let base = baseline(Some("1"), true);
    let merged = WindowCounts {
        records: 3_000,
        features: base.features.iter().map(|feature| sums[&feature.name].features[0].clone()).collect(),
    };
    let reports = measure(&base, &merged, &options(PaneLength::Records(1), 1).thresholds);
    assert_eq!(documents.len(), 3);
    for (document, report) in documents.iter().zip(&reports) {
        assert_eq!(psi(document), report.measures.unwrap().psi, "{}: bit by bit", report.feature);
    }
    let version = &documents[2];
    assert_eq!(
        (&version["kind"], &version["records"], &version["features"]),
        (&"version".into(), &3_000.into(), &2.into())
    );
    assert_eq!(version["psi_max"], psi(&documents[0]).max(psi(&documents[1])));
    assert_eq!(version["alarm"], documents[0]["alarm"].as_bool().unwrap() || documents[1]["alarm"].as_bool().unwrap());
}

#[test]
fn gauges_show_the_last_window() {
    let options = DriftOptions { prefix: "fraud_".to_owned(), ..options(PaneLength::Time(60 * SECOND_US), 1) };
    let shown = Arc::new(PublishedDrift::new(&options));
    let mut drift = drift(options);
    (0..100).for_each(|n| observe(&mut drift, &line(if n < 10 { 1 } else { 25 }), 0));
    let text = |drift: &mut Drift| {
        shown.set(drift.take_news().unwrap_or_default());
        let mut telemetry = Telemetry::default();
        let published =
            crate::observe::Published { outcomes: None, model_metrics: None, drift: Some(Arc::clone(&shown)) };
        telemetry.register_collector(Box::new(crate::observe::ModelSeries::new(vec![published])));
        telemetry.text()
    };
    assert_eq!(text(&mut drift), "# EOF\n", "no window is over");
    drift.pass_time(62 * SECOND_US);
    let measured = drift.versions[0].reports[0].measures.unwrap();
    let text = text(&mut drift);
    for line in [
        "fraud_model_drift_window_records{model_version=\"1\"} 100.0".to_owned(),
        format!("fraud_model_feature_psi{{feature=\"amount\",model_version=\"1\"}} {}", measured.psi),
        "fraud_model_feature_out_of_range_ratio{feature=\"amount\",model_version=\"1\"} 0.9".to_owned(),
        "fraud_model_feature_missing_ratio{feature=\"amount\",model_version=\"1\"} 0.0".to_owned(),
        "fraud_model_feature_drift_alarm{feature=\"amount\",model_version=\"1\"} 1.0".to_owned(),
        "fraud_model_feature_drift_alarm{feature=\"prediction\",model_version=\"1\"} 1.0".to_owned(),
    ] {
        assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
    }
    assert!(text.contains("fraud_model_prediction_psi{model_version=\"1\"} 5."), "{text}");
    assert!(!text.contains("model_feature_psi{feature=\"prediction\""), "{text}");
}
