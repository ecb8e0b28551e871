//! The document of an evaluation: what is known of a model version at a moment, for those who draw or watch it.
//!
//! ```text
//! {"@timestamp":"2026-11-30T10:00:01.000000Z","kind":"evaluation","model_name":"fraud","model_version":"3.2.1","stage":"primary",
//!  "window_s":2592000.0,"predictions":9120,"outcomes":512,"label_coverage":0.056,"accuracy":0.94,"estimated_accuracy":0.95,…,
//!  "label_delay_median_s":520000.0,"host.name":"gpu-7","inferlog.pipeline":"inference"}
//! ```
//!
//! Its numbers are those of the gauges, and one that there is none of is left out. There is at most one an hour for each version,
//! stage and window, because its id is made of these: a second one of that hour is a duplicate where the first is. It has no
//! `prediction_id`: it is no outcome, and goes with no prediction.

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::document::Subject;
use super::evaluation::{Evaluation, Measured, VersionEvaluation};
use super::figures::DelayHistogram;
use crate::flow::batch::{Id, Stream};
use crate::flow::own_document::OwnDocument;
use crate::text::time::rfc3339_microseconds;

const HOUR_US: i64 = 3_600_000_000;

/// The members, and the figures that they show.
const MEMBERS: [(&str, &str); 12] = [
    ("label_coverage", "label_coverage_ratio"),
    ("accuracy", "accuracy"),
    ("estimated_accuracy", "estimated_accuracy"),
    ("estimated_accuracy_lower", "estimated_accuracy_lower"),
    ("estimated_accuracy_upper", "estimated_accuracy_upper"),
    ("expected_calibration_error", "expected_calibration_error"),
    ("brier_score", "brier_score"),
    ("mean_absolute_error", "mean_absolute_error"),
    ("root_mean_squared_error", "root_mean_squared_error"),
    ("review_coverage", "review_coverage_ratio"),
    ("review_override_ratio", "review_override_ratio"),
    ("review_oldest_open_s", "review_oldest_open_seconds"),
];

/// Counts among them.
const COUNTS: [(&str, &str); 2] = [("predictions", "predictions_in_window"), ("outcomes", "outcomes_in_window")];

/// Which hours have ended: at the end of each there is a document.
#[derive(Debug, Default)]
pub struct Hours {
    current: Option<i64>,
}

impl Hours {
    /// The hour that has ended since the last call, at this moment in microseconds since 1970. The first call begins one.
    pub fn ended(&mut self, now_us: i64) -> Option<i64> {
        let now = hour(now_us);
        self.current.replace(now).filter(|before| *before < now)
    }
}

/// The hour of a moment in microseconds since 1970, counted from then on.
pub fn hour(time_us: i64) -> i64 {
    time_us.div_euclid(HOUR_US)
}

/// The documents of an hour: what was measured at this moment, in microseconds since 1970.
pub fn evaluation_documents(
    subject: &Subject,
    evaluation: &Evaluation,
    measured: &Measured<'_>,
    hour: i64,
    now_us: i64,
) -> Vec<OwnDocument> {
    let (window_s, begin_s) = (measured.window.as_secs_f64(), hour * 3_600);
    let document = |measured: &VersionEvaluation| {
        let version = &measured.version;
        let of = [window_s.to_string(), hour.to_string()];
        let [name, number, stage] = [&version.model_name, &version.model_version, &version.stage];
        let seed = ["evaluation", &subject.pipeline, &subject.host, name, number, stage, &of[0], &of[1]];
        let mut members = members(measured);
        let delays = evaluation.totals.delays.iter().find(|(delayed, _)| delayed == version);
        let median = delays.and_then(|(_, delays)| DelayHistogram::median_seconds(delays));
        members.extend(median.map(|median| ("label_delay_median_s".to_owned(), json!(median))));
        for (member, value) in [
            ("@timestamp", json!(rfc3339_microseconds(now_us))),
            ("kind", json!("evaluation")),
            ("stage", json!(stage)),
            ("window_s", json!(window_s)),
            ("host.name", json!(subject.host)),
            ("inferlog.pipeline", json!(subject.pipeline)),
        ] {
            members.insert(member.to_owned(), value);
        }
        for (member, value) in [("model_name", name), ("model_version", number)].iter().filter(|(_, it)| !it.is_empty())
        {
            members.insert((*member).to_owned(), json!(value));
        }
        let text = RawValue::from_string(Value::Object(members).to_string()).ok()?;
        let id = Id::of_parts(begin_s, &seed);
        Some(OwnDocument { stream: Stream::Outcomes, id, timestamp_us: now_us, text })
    };
    evaluation.versions.iter().filter_map(document).collect()
}

fn members(of: &VersionEvaluation) -> Map<String, Value> {
    let figures = MEMBERS.iter().filter_map(|(member, figure)| Some(((*member).to_owned(), json!(of.value(figure)?))));
    let counts =
        COUNTS.iter().filter_map(|(member, figure)| Some(((*member).to_owned(), json!(of.value(figure)? as u64))));
    figures.chain(counts).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::outcome::evaluation::Figure;
    use crate::outcome::ledger::{ModelVersion, Totals};

    const NOW_US: i64 = 10 * HOUR_US + 1_000_000;

    fn documents(figures: &[(&'static str, f64)], versions: &[&str], hour: i64, now_us: i64) -> Vec<OwnDocument> {
        let version = |name: &&str| ModelVersion {
            model_name: String::new(),
            model_version: (*name).to_owned(),
            stage: "primary".to_owned(),
        };
        let figure = |(name, value): &(&'static str, f64)| Figure { name, labels: Vec::new(), value: *value };
        let of = |name: &&str| VersionEvaluation {
            version: version(name),
            figures: figures.iter().map(figure).collect(),
            no_estimate: None,
        };
        let mut delays = DelayHistogram::default();
        (0..4).for_each(|_| delays.add(Duration::from_secs(200)));
        let totals = Totals { delays: vec![(version(&"2"), delays)], ..Totals::default() };
        let evaluation = Evaluation { totals, versions: versions.iter().map(of).collect() };
        let subject = Subject { pipeline: "p".to_owned(), host: "h".to_owned() };
        let measured = Measured {
            is_regression: false,
            positive: None,
            negative_after: None,
            window: Duration::from_secs(3_600),
            min_labels: 1,
        };
        evaluation_documents(&subject, &evaluation, &measured, hour, now_us)
    }

    #[test]
    fn a_document_says_what_the_gauges_show_and_nothing_that_they_do_not() {
        let figures = [
            ("predictions_in_window", 9.0),
            ("outcomes_in_window", 3.0),
            ("label_coverage_ratio", 0.25),
            ("accuracy", 0.5),
            ("review_oldest_open_seconds", 60.0),
        ];
        let found = documents(&figures, &["1", "2"], 10, NOW_US);
        let [one, two] = [&found[0], &found[1]].map(|document| document.text.get());
        let expected = json!({
            "@timestamp": "1970-01-01T10:00:01.000000Z", "kind": "evaluation", "model_version": "1", "stage": "primary",
            "window_s": 3_600.0, "predictions": 9, "outcomes": 3, "label_coverage": 0.25, "accuracy": 0.5,
            "review_oldest_open_s": 60.0, "host.name": "h", "inferlog.pipeline": "p",
        });
        assert_eq!(serde_json::from_str::<Value>(one).unwrap(), expected);
        // All four delays are between one minute and five.
        assert_eq!(serde_json::from_str::<Value>(two).unwrap()["label_delay_median_s"], 180.0);
        assert!(one.contains("\"predictions\":9,"), "a count is a whole number: {one}");
    }

    #[test]
    fn there_is_one_id_an_hour_and_version() {
        let id = |version: &str, hour: i64, now_us: i64| documents(&[], &[version], hour, now_us)[0].id;
        assert_eq!(id("1", 10, NOW_US), id("1", 10, NOW_US + 5_000_000));
        for other in [id("1", 11, NOW_US), id("2", 10, NOW_US)] {
            assert_ne!(id("1", 10, NOW_US), other);
        }
    }

    #[test]
    fn an_hour_ends_once() {
        let mut hours = Hours::default();
        for (now_us, ended) in [
            (HOUR_US + 1, None),
            (2 * HOUR_US - 1, None),
            (2 * HOUR_US, Some(1)),
            (2 * HOUR_US, None),
            (5 * HOUR_US, Some(2)),
            // A clock that is set back.
            (HOUR_US, None),
        ] {
            assert_eq!(hours.ended(now_us), ended, "at {now_us}");
        }
    }
}
