use std::collections::BTreeSet;

use super::options::Kind;
use super::*;
use crate::kql::Expression;
use crate::record::{Path, Space};
use crate::telemetry::Telemetry;

fn observers(model_name: bool) -> Observers {
    let inferences = Expression::parse_condition("event : inference or not event : *").unwrap();
    let options = ModelMetricsOptions { model_name, ..ModelMetricsOptions::of(inferences) };
    Observers::new(Some(options), None, None, &Telemetry::default().pipeline("p"))
}

fn observe(observers: &mut Observers, lines: &[&str]) {
    let mut space = Space::default();
    for line in lines {
        let record = Record::parse(line, &mut space).unwrap();
        observers.observe(&record, &record, Id::new(0, [0; 16]), 0);
    }
}

fn text(pipelines: &[&Observers]) -> String {
    let mut telemetry = Telemetry::default();
    let shown = pipelines.iter().map(|observers| observers.shown()).collect();
    telemetry.register_collector(Box::new(ModelSeries::new(shown)));
    telemetry.text()
}

const FIRST: &str =
    r#"{"model_version":"1","status":"success","prediction":"fraud","latency_ms":40,"confidence":0.65}"#;
const SECOND: &str = r#"{"model_version":"1","status":"error","latency_ms":3000}"#;

#[test]
fn the_text_is_exactly_this() {
    let mut observers = observers(false);
    observe(&mut observers, &[FIRST, FIRST, SECOND, r#"{"event":"startup"}"#]);
    observers.publish();
    let expected = r#"# HELP model_requests Inferences.
# TYPE model_requests counter
model_requests_total{model_version="1",status="error"} 1
model_requests_total{model_version="1",status="success"} 2
# HELP model_errors Inferences that failed, by the type of the error.
# TYPE model_errors counter
model_errors_total{model_version="1",type="unknown"} 1
# HELP model_latency_seconds Time that an inference took, in seconds.
# TYPE model_latency_seconds histogram
model_latency_seconds_sum{model_version="1"} 3.08
model_latency_seconds_count{model_version="1"} 3
model_latency_seconds_bucket{le="0.01",model_version="1"} 0
model_latency_seconds_bucket{le="0.05",model_version="1"} 2
model_latency_seconds_bucket{le="0.1",model_version="1"} 2
model_latency_seconds_bucket{le="0.25",model_version="1"} 2
model_latency_seconds_bucket{le="0.5",model_version="1"} 2
model_latency_seconds_bucket{le="1.0",model_version="1"} 2
model_latency_seconds_bucket{le="2.5",model_version="1"} 2
model_latency_seconds_bucket{le="+Inf",model_version="1"} 3
# HELP model_predictions Inferences by what was predicted.
# TYPE model_predictions counter
model_predictions_total{label="fraud"} 2
# HELP model_confidence Confidence of the predicted class, from 0 to 1.
# TYPE model_confidence histogram
model_confidence_sum 1.3
model_confidence_count 2
model_confidence_bucket{le="0.5"} 0
model_confidence_bucket{le="0.6"} 0
model_confidence_bucket{le="0.7"} 2
model_confidence_bucket{le="0.8"} 2
model_confidence_bucket{le="0.9"} 2
model_confidence_bucket{le="0.95"} 2
model_confidence_bucket{le="0.99"} 2
model_confidence_bucket{le="+Inf"} 2
# EOF
"#;
    assert_eq!(text(&[&observers]), expected);
}

#[test]
fn only_what_was_published_is_shown() {
    let mut observers = observers(false);
    assert!(!observers.is_dirty());
    observe(&mut observers, &[FIRST]);
    assert!(observers.is_dirty());
    assert!(!text(&[&observers]).contains("model_requests_total{"));
    observers.publish();
    assert!(!observers.is_dirty());
    let shown = text(&[&observers]);
    observe(&mut observers, &[FIRST]);
    assert_eq!(text(&[&observers]), shown);
}

#[test]
fn a_restored_state_is_shown_at_once_and_counted_on() {
    let mut before = observers(false);
    observe(&mut before, &[FIRST, SECOND]);
    before.publish();
    let mut after = observers(false);
    after.restore(serde_json::to_value(before.state()).unwrap()).unwrap();
    assert_eq!(text(&[&after]), text(&[&before]));
    observe(&mut after, &[FIRST]);
    after.publish();
    observe(&mut before, &[FIRST]);
    before.publish();
    assert_eq!(text(&[&after]), text(&[&before]));
}

#[test]
fn states_of_other_shapes() {
    for (state, tolerated) in [
        (serde_json::json!(null), true),
        (serde_json::json!({}), true),
        (serde_json::json!({ "drift": {} }), true),
        (serde_json::json!({ "drift": [1] }), false),
        (serde_json::json!({ "model_metrics": { "models": {} }, "new": 1 }), true),
        (serde_json::json!({ "model_metrics": { "models": 7 } }), false),
        (serde_json::json!([1, 2, 3]), false),
    ] {
        assert_eq!(observers(false).restore(state.clone()).is_ok(), tolerated, "{state}");
    }
    let none = Observers::new(None, None, None, &Telemetry::default().pipeline("p"));
    assert_eq!(serde_json::to_value(none.state()).unwrap(), Value::Null);
}

#[test]
fn the_model_name_is_shown_when_there_are_several_or_on_request() {
    let (a, b) = (r#"{"model_name":"a","model_version":"1"}"#, r#"{"model_name":"b","model_version":"1"}"#);
    let unnamed = r#"{"model_version":"1"}"#;
    for (on_request, first, second, expected) in [
        (false, vec![a, unnamed], vec![a], vec![r#"model_requests_total{model_version="1",status=""} 3"#]),
        (
            true,
            vec![a],
            vec![unnamed],
            vec![
                r#"model_requests_total{model_name="",model_version="1",status=""} 1"#,
                r#"model_requests_total{model_name="a",model_version="1",status=""} 1"#,
            ],
        ),
        (
            false,
            vec![a, b],
            vec![a],
            vec![
                r#"model_requests_total{model_name="a",model_version="1",status=""} 2"#,
                r#"model_requests_total{model_name="b",model_version="1",status=""} 1"#,
            ],
        ),
    ] {
        let pipelines = [(observers(on_request), first), (observers(false), second)].map(|(mut observers, lines)| {
            observe(&mut observers, &lines);
            observers.publish();
            observers
        });
        let text = text(&[&pipelines[0], &pipelines[1]]);
        let series: Vec<&str> = text.lines().filter(|line| line.starts_with("model_requests_total")).collect();
        assert_eq!(series, expected);
    }
}

#[test]
fn label_values_are_escaped() {
    let mut observers = observers(false);
    observe(&mut observers, &[r#"{"prediction":"a\"b\\c\nd","model_version":"1","status":"x"}"#]);
    observers.publish();
    assert!(text(&[&observers]).contains(r#"model_predictions_total{label="a\"b\\c\nd"} 1"#));
}

/// The lines of what some options show of some records, without help and types.
fn shown(options: ModelMetricsOptions, lines: &[&str]) -> Vec<String> {
    let mut observers = Observers::new(Some(options), None, None, &Telemetry::default().pipeline("p"));
    observe(&mut observers, lines);
    observers.publish();
    text(&[&observers]).lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn a_prefix_and_further_labels_are_on_every_series() {
    let options = ModelMetricsOptions {
        prefix: "fraud_".to_owned(),
        labels: vec![Path::known("service.name"), Path::known("stage")],
        ..ModelMetricsOptions::of(Expression::parse_condition("*").unwrap())
    };
    let expected = [
        r#"fraud_model_requests_total{service_name="s",stage="",model_version="",status="error"} 1"#,
        r#"fraud_model_errors_total{service_name="s",stage="",model_version="",type="5xx"} 1"#,
        r#"fraud_model_predictions_total{service_name="s",stage="",label="a"} 1"#,
    ];
    assert_eq!(shown(options, &[r#"{"service.name":"s","prediction":"a","status_code":500}"#]), expected);
}

#[test]
fn metrics_of_a_kind_have_these_names() {
    let of = |kind| ModelMetricsOptions { kind, ..ModelMetricsOptions::of(Expression::parse_condition("*").unwrap()) };
    let names = |kind, line: &str| -> BTreeSet<String> {
        let shown = shown(of(kind), &[line]);
        shown.iter().filter_map(|line| Some(line.split(['{', ' ']).next()?.to_owned())).collect()
    };
    let histogram = |name: &str| ["bucket", "count", "sum"].map(|part| format!("{name}_{part}"));
    let requests = || ["model_requests_total".to_owned()];
    assert_eq!(
        names(Kind::Multilabel, r#"{"prediction":["a"]}"#),
        requests().into_iter().chain(["model_predicted_labels_total".to_owned()]).collect()
    );
    assert_eq!(
        names(Kind::Regression, r#"{"prediction":3}"#),
        requests().into_iter().chain(histogram("model_prediction_value")).collect()
    );
    // A sum that may fall is none.
    assert_eq!(
        names(Kind::Regression, r#"{"prediction":-3}"#),
        requests().into_iter().chain(["model_prediction_value_bucket".to_owned()]).collect()
    );
    let generation = r#"{"prediction":"text","ttft":1,"input_tokens":3,"output_tokens":4,"finish_reason":"stop"}"#;
    let expected = requests()
        .into_iter()
        .chain(histogram("model_time_to_first_token_seconds"))
        .chain(histogram("model_request_tokens"))
        .chain(["model_finish_reasons_total".to_owned()]);
    assert_eq!(names(Kind::Generation, generation), expected.collect());
}
