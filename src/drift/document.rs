//! The drift document: what is shipped of one feature in one window.
//!
//! Its counts are of the records since the document before it, so that the documents of any number of windows and hosts add up to the
//! counts of all their records, also where windows overlap; its measures are of the whole window.
//!
//! ```text
//! { "@timestamp": "2026-11-23T11:00:00.000000Z",                  the window's end
//!   "window": { "start": "2026-11-23T10:00:00.000000Z", "end": "2026-11-23T11:00:00.000000Z" },
//!   "inferlog.pipeline": "inference", "host.name": "gpu-7", "ecs.version": "8.17.0",
//!   "model_name": "fraud", "model_version": "3.2.1", "feature": "amount", "kind": "feature", "type": "numeric",
//!   "edges_kind": "equal_width", "mode": "defined", "zero_rule": 1e-8,
//!   "baseline": { "digest": "31ad8564c0f1aa20", "model_version": "3.2.1", "fallback": false },
//!   "n": 5000, "psi": 0.031, "psi_by_chance": 0.002, "psi_smoothed": 0.03, "js_distance": 0.07, "ks_statistic": 0.05,
//!   "chi_squared": 150.2, "degrees_of_freedom": 9, "p_value": 1e-27, "p_value_adjusted": 1e-26,
//!   "out_of_range": 0.001, "unseen": 0.0, "missing": 0.002, "min_sample": 500, "alarm": false, "reasons": [],
//!   "records": 5010, "counts": { "buckets": [2000, …], "above": 5, "missing": 10 } }
//! ```
//!
//! A number that there is none of, because the window had no value, is `null`.
//!
//! Beside them stands one document a model version, which sums up the window for those who draw or watch it. It has no counts, and
//! whoever adds documents up leaves it out by its `kind`:
//!
//! ```text
//! { "@timestamp": "…", "window": {…}, "inferlog.pipeline": "inference", "host.name": "gpu-7", "ecs.version": "8.17.0",
//!   "model_name": "fraud", "model_version": "3.2.1", "kind": "version", "baseline": {…},
//!   "features": 7,                                     those with values enough to be judged, prediction and confidence among them
//!   "features_over": 2, "psi_max": 0.43,               of these: with a PSI from `alert_psi` on, and the greatest PSI
//!   "top_features": ["amount 0.43", "(prediction) 0.21", "age 0.1"],
//!   "alarm": true, "records": 5010, "min_sample_reached": true }
//! ```
//!
//! `psi_max` is left out where nothing could be judged.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::alarm::{FeatureReport, Thresholds};
use super::baseline::Chosen;
use super::counts::{FeatureCounts, WindowCounts};
use super::measures::ZERO_TERM;
use super::words::Kind;
use crate::flow::ECS_VERSION;

/// The `kind` of the document of a version.
const VERSION: &str = "version";

/// Features that the document of a version names.
const TOP_FEATURES_MAX: usize = 5;

/// What a document says beside the report.
#[derive(Clone, Copy, Debug)]
pub struct DocumentHead<'h> {
    /// The pipeline.
    pub pipeline: &'h str,
    /// The host's name.
    pub host: &'h str,
    /// The model's name; empty when the records have none.
    pub model_name: &'h str,
    /// The model's version; empty likewise.
    pub model_version: &'h str,
    /// When the window begins, as RFC 3339 in UTC.
    pub window_start: &'h str,
    /// When it ends.
    pub window_end: &'h str,
    /// Whether the alarm is on, after [`super::Hysteresis`]: of the feature, or of any.
    pub alarm: bool,
}

/// What is needed of documents to add them up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DriftDocument {
    /// The model's name.
    #[serde(default)]
    pub model_name: String,
    /// Its version.
    #[serde(default)]
    pub model_version: String,
    /// The feature.
    pub feature: String,
    /// What it is.
    pub kind: Kind,
    /// Which baseline its buckets are of.
    pub baseline: DocumentBaseline,
    /// The window.
    pub window: DocumentWindow,
    /// The host's name.
    #[serde(default, rename = "host.name")]
    pub host: String,
    /// The pipeline.
    #[serde(default, rename = "inferlog.pipeline")]
    pub pipeline: String,
    /// Records since the document before.
    pub records: u64,
    /// Counts since the document before.
    pub counts: FeatureCounts,
}

/// Which baseline a document's buckets are of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentBaseline {
    /// [`super::Baseline::digest`].
    pub digest: String,
}

/// When a window begins and ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentWindow {
    /// When it begins, as RFC 3339 in UTC.
    pub start: String,
    /// When it ends.
    pub end: String,
}

/// The document of one feature. `digest` is that of the chosen baseline, made once; `pane` are all counts since the documents before this
/// one, of which it carries those of the report's feature: in windows that follow each other, those of the window itself.
pub fn document(
    head: &DocumentHead<'_>,
    chosen: &Chosen<'_>,
    digest: &str,
    report: &FeatureReport,
    pane: &WindowCounts,
    thresholds: &Thresholds,
) -> String {
    head.finish(report.members(chosen, digest, pane, thresholds))
}

/// The document of a version. `records` are those since the document before it, as in the documents of features; the head says whether
/// any alarm is on.
pub fn version_document(
    head: &DocumentHead<'_>,
    chosen: &Chosen<'_>,
    digest: &str,
    reports: &[FeatureReport],
    records: u64,
    thresholds: &Thresholds,
) -> String {
    let judged = reports.iter().filter(|report| !report.is_small());
    let mut judged: Vec<(&FeatureReport, f64)> =
        judged.filter_map(|report| Some((report, report.measures?.psi))).collect();
    judged.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let top = judged.iter().take(TOP_FEATURES_MAX).map(|(report, psi)| format!("{} {psi:.2}", report.shown_name()));
    let mut members = Map::new();
    let mut set = |name: &str, value: Value| members.insert(name.to_owned(), value);
    set("kind", json!(VERSION));
    set("baseline", chosen.json(digest));
    set("features", json!(judged.len()));
    set("features_over", json!(judged.iter().filter(|(_, psi)| *psi >= thresholds.alert_psi).count()));
    if let Some((_, psi_max)) = judged.first() {
        set("psi_max", json!(psi_max));
    }
    set("top_features", json!(top.collect::<Vec<String>>()));
    set("records", json!(records));
    set("min_sample_reached", json!(!judged.is_empty()));
    head.finish(members)
}

impl DocumentHead<'_> {
    /// A document with these members.
    fn finish(&self, mut members: Map<String, Value>) -> String {
        let DocumentHead { pipeline, host, model_name, model_version, window_start, window_end, alarm } = self;
        let mut set = |name: &str, value: Value| members.insert(name.to_owned(), value);
        set("@timestamp", json!(window_end));
        set("window", json!({ "start": window_start, "end": window_end }));
        set("inferlog.pipeline", json!(pipeline));
        set("host.name", json!(host));
        set("ecs.version", json!(ECS_VERSION));
        set("model_name", json!(model_name));
        set("model_version", json!(model_version));
        set("alarm", json!(alarm));
        Value::Object(members).to_string()
    }
}

impl Chosen<'_> {
    fn json(&self, digest: &str) -> Value {
        json!({ "digest": digest, "model_version": self.baseline.model_version, "fallback": self.is_fallback })
    }
}

/// Whether a document sums a version up, and has no counts.
pub(super) fn is_of_version(text: &str) -> bool {
    #[derive(Deserialize)]
    struct OfKind<'t> {
        #[serde(borrow, default)]
        kind: Cow<'t, str>,
    }
    serde_json::from_str(text).is_ok_and(|OfKind { kind }| kind == VERSION)
}

impl FeatureReport {
    /// The name, and what it is of where a feature could be called so, too.
    pub fn shown_name(&self) -> String {
        match self.kind {
            Kind::Feature => self.feature.clone(),
            Kind::Prediction | Kind::Confidence => format!("({})", self.feature),
        }
    }

    /// The report as members of a JSON object, by the names that documents and `drift --format json` share. `digest` is that of
    /// the chosen baseline, `counts` are those that are told beside what was measured.
    pub fn members(
        &self,
        chosen: &Chosen<'_>,
        digest: &str,
        counts: &WindowCounts,
        thresholds: &Thresholds,
    ) -> Map<String, Value> {
        let feature = &chosen.baseline.features[self.place];
        let measures = self.measures;
        let members = json!({
            "feature": self.feature,
            "kind": self.kind,
            "type": feature.type_name(),
            "edges_kind": feature.edges_kind(),
            "mode": thresholds.mode,
            "zero_rule": ZERO_TERM,
            "n": self.n,
            "psi": measures.map(|measures| measures.psi),
            "psi_by_chance": measures.map(|measures| measures.psi_by_chance),
            "psi_smoothed": measures.map(|measures| measures.psi_smoothed),
            "js_distance": measures.map(|measures| measures.js_distance),
            "ks_statistic": measures.and_then(|measures| measures.ks_statistic),
            "chi_squared": measures.map(|measures| measures.chi_squared),
            "degrees_of_freedom": measures.map(|measures| measures.degrees_of_freedom),
            "p_value": measures.map(|measures| measures.p_value),
            "p_value_adjusted": self.p_value_adjusted,
            "out_of_range": self.out_of_range,
            "unseen": self.unseen,
            "missing": self.missing,
            "min_sample": self.min_sample,
            "alarm": self.is_alarm(),
            "reasons": self.reasons,
            "baseline": chosen.json(digest),
            "records": counts.records,
            "counts": counts.features.get(self.place),
        });
        match members {
            Value::Object(members) => members,
            _ => Map::new(),
        }
    }
}

impl DriftDocument {
    /// Reads what [`document`] wrote.
    ///
    /// # Errors
    /// When it is something else.
    pub fn read(text: &str) -> Result<DriftDocument, serde_json::Error> {
        serde_json::from_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::baseline::tests::baseline;
    use crate::drift::{BaselineFile, Measures, measure};

    #[test]
    fn a_document_says_what_was_measured_and_is_read_back() {
        let file = BaselineFile::new(vec![baseline()]);
        let chosen = file.choose("fraud", "2.0").unwrap();
        let mut counts = WindowCounts::new(chosen.baseline);
        counts.records = 10;
        counts.features[0] = FeatureCounts { buckets: vec![1, 2, 3], above: 2, missing: 2, ..FeatureCounts::default() };
        let thresholds = Thresholds::default();
        let report = measure(chosen.baseline, &counts, &thresholds).remove(0);
        let head = DocumentHead {
            pipeline: "p",
            host: "h",
            model_name: "fraud",
            model_version: "2.0",
            window_start: "2026-11-23T10:00:00Z",
            window_end: "2026-11-23T11:00:00Z",
            alarm: true,
        };
        let digest = chosen.baseline.digest();
        let text = document(&head, &chosen, &digest, &report, &counts, &thresholds);
        let json: Value = serde_json::from_str(&text).unwrap();
        for (name, expected) in [
            ("@timestamp", json!("2026-11-23T11:00:00Z")),
            ("n", json!(8)),
            ("out_of_range", json!(0.25)),
            ("missing", json!(0.2)),
            ("alarm", json!(true)),
            ("edges_kind", json!("equal_width")),
            ("mode", json!("defined")),
            ("zero_rule", json!(1e-8)),
            ("baseline", json!({ "digest": digest, "model_version": "1.0", "fallback": true })),
            ("counts", json!({ "buckets": [1, 2, 3], "above": 2, "missing": 2 })),
        ] {
            assert_eq!(json[name], expected, "{name} of {text}");
        }
        let read = DriftDocument::read(&text).unwrap();
        assert_eq!((read.counts, read.records), (counts.features.remove(0), 10));
        assert_eq!((&*read.host, &*read.pipeline, &*read.model_version), ("h", "p", "2.0"));
        assert!(DriftDocument::read(r#"{"feature":"a"}"#).is_err());
        assert!(!is_of_version(&text));
    }

    /// PSI and number of values of the four of the baseline, and what their version's document says: features, how many of them are
    /// over, and the names.
    fn check_version(window: [(f64, u64); 4], features: u64, over: u64, names: &[&str]) {
        let file = BaselineFile::new(vec![baseline()]);
        let chosen = file.choose("fraud", "1.0").unwrap();
        let (counts, thresholds) = (WindowCounts::new(chosen.baseline), Thresholds::default());
        let mut reports = measure(chosen.baseline, &counts, &thresholds);
        let mut filled = WindowCounts::new(chosen.baseline);
        filled.features[0].buckets = vec![1, 2, 3];
        let some = measure(chosen.baseline, &filled, &thresholds).remove(0).measures;
        for (report, (psi, n)) in reports.iter_mut().zip(window) {
            (report.n, report.measures) = (n, some.map(|some| Measures { psi, ..some }).filter(|_| n > 0));
        }
        let (window_start, window_end) = ("2026-11-23T10:00:00Z", "2026-11-23T11:00:00Z");
        let (model_name, model_version, alarm) = ("fraud", "1.0", true);
        let head =
            DocumentHead { pipeline: "p", host: "h", model_name, model_version, window_start, window_end, alarm };
        let text = version_document(&head, &chosen, "d", &reports, 10, &thresholds);
        let json: Value = serde_json::from_str(&text).unwrap();
        let psi_max = window.iter().filter(|(_, n)| *n >= 500).map(|(psi, _)| *psi).reduce(f64::max);
        for (name, expected) in [
            ("kind", json!("version")),
            ("features", json!(features)),
            ("features_over", json!(over)),
            ("psi_max", json!(psi_max)),
            ("top_features", json!(names)),
            ("min_sample_reached", json!(features > 0)),
            ("alarm", json!(true)),
            ("records", json!(10)),
            ("@timestamp", json!(window_end)),
            ("feature", Value::Null),
            ("counts", Value::Null),
        ] {
            assert_eq!(json[name], expected, "{name} of {text}");
        }
        assert!(is_of_version(&text) && DriftDocument::read(&text).is_err());
    }

    #[test]
    fn a_version_names_the_worst_of_what_could_be_judged() {
        let worst_first = ["country 0.43", "(confidence) 0.20", "amount 0.03", "(prediction) 0.00"];
        check_version([(0.031, 500), (0.43, 600), (0.001, 500), (0.2, 500)], 4, 2, &worst_first);
        // Too few values, or none.
        check_version([(0.031, 500), (0.43, 499), (0.0, 0), (0.2, 500)], 2, 1, &["(confidence) 0.20", "amount 0.03"]);
        check_version([(9.0, 499), (9.0, 1), (0.0, 0), (0.0, 0)], 0, 0, &[]);
    }
}
