use super::*;
use crate::observe::histogram::Sum;
use crate::record::Space;
use crate::telemetry::Telemetry;

const DEFAULT: &str = "event : inference or not event : *";

fn options(inferences: &str) -> ModelMetricsOptions {
    ModelMetricsOptions::of(Expression::parse_condition(inferences).unwrap())
}

fn observer(inferences: &str) -> ModelMetrics {
    ModelMetrics::new(options(inferences), &Telemetry::default().pipeline("p"))
}

/// What one record gives, in words: `requests name/version/status`, `latency bucket sum`, and so on.
fn counted(inferences: &str, line: &str) -> String {
    counted_by(options(inferences), line)
}

fn counted_by(options: ModelMetricsOptions, line: &str) -> String {
    let mut observer = ModelMetrics::new(options, &Telemetry::default().pipeline("p"));
    let mut space = Space::default();
    let record = Record::parse(line, &mut space).unwrap();
    let counted = observer.observe(&record, &record);
    let mut words = Vec::new();
    for (name, model) in observer.counts().models.iter() {
        let name = name.replace(SEPARATOR, "|");
        for (version, it) in model.versions.iter() {
            words
                .extend(it.requests.iter().map(|(status, count)| format!("request {name}/{version}/{status} {count}")));
            words.extend(it.errors.iter().map(|(kind, count)| format!("error {kind} {count}")));
            words.extend(histogram("latency", &it.latency));
            words.extend(histogram("value", &it.values));
            words.extend(histogram("first token", &it.time_to_first_token));
            words.extend(histogram("in", &it.input_tokens));
            words.extend(histogram("out", &it.output_tokens));
            words.extend(it.finish_reasons.iter().map(|(reason, count)| format!("ended {reason} {count}")));
        }
        words.extend(model.predictions.iter().map(|(label, count)| format!("label {label} {count}")));
        words.extend(model.labels.iter().map(|(label, count)| format!("one of {label} {count}")));
        words.extend(histogram("confidence", &model.confidence));
    }
    let unusable = &observer.unusable;
    for (field, counter) in [
        ("prediction", &unusable.prediction),
        ("latency_ms", &unusable.latency_ms),
        ("confidence", &unusable.confidence),
        ("time_to_first_token", &unusable.time_to_first_token),
        ("input_tokens", &unusable.input_tokens),
        ("output_tokens", &unusable.output_tokens),
    ] {
        words.extend((counter.get() > 0).then(|| format!("unusable {field}")));
    }
    assert_eq!(counted, !words.is_empty(), "{line}");
    words.join(", ")
}

fn histogram(name: &str, histogram: &Histogram) -> Option<String> {
    let bucket = histogram.buckets.iter().position(|count| *count == 1)?;
    assert_eq!(histogram.count(), 1);
    let sum = if histogram.is_signed { "signed".to_owned() } else { format!("sum {}", histogram.sum.as_f64()) };
    Some(format!("{name} bucket {bucket} {sum}"))
}

#[test]
fn a_record_gives_these_counts() {
    for (line, expected) in [
        (
            r#"{"event":"inference","model_name":"m","model_version":"1","status":"success","prediction":"fraud","latency_ms":12.8,"confidence":0.873}"#,
            "request m/1/success 1, latency bucket 1 sum 0.0128, label fraud 1, confidence bucket 4 sum 0.873",
        ),
        // Which records.
        (r#"{"event":"startup","model_version":"1","status":"success"}"#, ""),
        (r#"{"model_version":"1","status":"success"}"#, "request /1/success 1"),
        (r#"{}"#, "request // 1"),
        (r#"{"event":null}"#, "request // 1"),
        // Labels are scalars.
        (r#"{"model_version":3,"status":200}"#, "request /3/200 1"),
        (r#"{"model_version":1.50,"status":true}"#, "request /1.50/true 1"),
        (r#"{"model_version":{"a":1},"status":["x"],"model_name":null}"#, "request // 1"),
        (r#"{"status":"a\"b\u00e9"}"#, "request //a\"bé 1"),
        (r#"{"prediction":7}"#, "request // 1, label 7 1"),
        (r#"{"prediction":false}"#, "request // 1, label false 1"),
        (r#"{"prediction":null}"#, "request // 1"),
        (r#"{"prediction":["a"]}"#, "request // 1, unusable prediction"),
        (r#"{"prediction":{"a":1}}"#, "request // 1, unusable prediction"),
        // A value on a bound is within it.
        (r#"{"latency_ms":10}"#, "request // 1, latency bucket 0 sum 0.01"),
        (r#"{"latency_ms":10.0001}"#, "request // 1, latency bucket 1 sum 0.0100001"),
        (r#"{"latency_ms":2500}"#, "request // 1, latency bucket 6 sum 2.5"),
        (r#"{"latency_ms":2.6e3}"#, "request // 1, latency bucket 7 sum 2.6"),
        (r#"{"latency_ms":0}"#, "request // 1, latency bucket 0 sum 0"),
        (r#"{"confidence":0.5}"#, "request // 1, confidence bucket 0 sum 0.5"),
        (r#"{"confidence":0.99}"#, "request // 1, confidence bucket 6 sum 0.99"),
        (r#"{"confidence":1}"#, "request // 1, confidence bucket 7 sum 1"),
        // Numbers are JSON numbers in range.
        (r#"{"latency_ms":"12.8"}"#, "request // 1, unusable latency_ms"),
        (r#"{"latency_ms":-1}"#, "request // 1, unusable latency_ms"),
        (r#"{"latency_ms":1e999}"#, "request // 1, unusable latency_ms"),
        (r#"{"latency_ms":86400000}"#, "request // 1, latency bucket 7 sum 86400"),
        (r#"{"latency_ms":86400001}"#, "request // 1, unusable latency_ms"),
        (r#"{"latency_ms":9223372036854775807}"#, "request // 1, unusable latency_ms"),
        (r#"{"latency_ms":1795428000123}"#, "request // 1, unusable latency_ms"),
        (r#"{"latency_ms":-0.0,"confidence":-0}"#, "request // 1, latency bucket 0 sum 0, confidence bucket 0 sum 0"),
        (r#"{"confidence":1.0000001}"#, "request // 1, unusable confidence"),
        (r#"{"confidence":-0.1}"#, "request // 1, unusable confidence"),
        (r#"{"confidence":"NaN"}"#, "request // 1, unusable confidence"),
        (r#"{"latency_ms":null,"confidence":null}"#, "request // 1"),
        (r#"{"confidence":87.3}"#, "request // 1, unusable confidence"),
        (r#"{"confidence":[0.1,0.9]}"#, "request // 1, unusable confidence"),
    ] {
        assert_eq!(counted(DEFAULT, line), expected, "{line}");
    }
    assert_eq!(counted("kind : predict", r#"{"event":"inference"}"#), "");
    assert_eq!(counted("kind : predict", r#"{"kind":"predict","status":"ok"}"#), "request //ok 1");
}

#[test]
fn the_kind_decides_what_is_counted_besides() {
    let of = |kind| ModelMetricsOptions { kind, ..options("*") };
    for (kind, line, expected) in [
        (Kind::Classification, r#"{"prediction":"a","finish_reason":"stop"}"#, "request // 1, label a 1"),
        (Kind::Multilabel, r#"{"prediction":["a","b",7,["b"]]}"#, "request // 1, one of 7 1, one of a 1, one of b 2"),
        (Kind::Multilabel, r#"{"prediction":"a"}"#, "request // 1, one of a 1"),
        (Kind::Multilabel, r#"{"prediction":[]}"#, "request // 1"),
        (Kind::Multilabel, r#"{"prediction":[{"label":"a"}]}"#, "request // 1, unusable prediction"),
        (Kind::Regression, r#"{"prediction":3}"#, "request // 1, value bucket 6 sum 3"),
        (Kind::Regression, r#"{"prediction":0}"#, "request // 1, value bucket 0 sum 0"),
        (Kind::Regression, r#"{"prediction":-3}"#, "request // 1, value bucket 0 signed"),
        (Kind::Regression, r#"{"prediction":1e16}"#, "request // 1, unusable prediction"),
        (Kind::Regression, r#"{"prediction":"3"}"#, "request // 1, unusable prediction"),
        // OpenAI's and vLLM's answers, Anthropic's, OpenTelemetry's attributes, flat ones.
        (
            Kind::Generation,
            r#"{"prediction":"text","ttft_ms":120,"usage":{"prompt_tokens":17,"completion_tokens":300},"choices":[{"finish_reason":"stop"},{"finish_reason":"length"}]}"#,
            "request // 1, first token bucket 2 sum 0.12, in bucket 1 sum 17, out bucket 3 sum 300, ended length 1, ended stop 1",
        ),
        (
            Kind::Generation,
            r#"{"usage":{"input_tokens":3,"output_tokens":0},"stop_reason":"end_turn"}"#,
            "request // 1, in bucket 0 sum 3, out bucket 0 sum 0, ended end_turn 1",
        ),
        (
            Kind::Generation,
            r#"{"gen_ai.usage.input_tokens":3,"gen_ai":{"usage":{"output_tokens":5},"response":{"finish_reasons":["stop"]},"latency":{"time_to_first_token":0.3}}}"#,
            "request // 1, first token bucket 3 sum 0.3, in bucket 0 sum 3, out bucket 0 sum 5, ended stop 1",
        ),
        (Kind::Generation, r#"{"finish_reason":null,"stop_reason":"eos"}"#, "request // 1, ended eos 1"),
        (
            Kind::Generation,
            r#"{"ttft":"fast","prompt_tokens":-1,"output_tokens":"7","finish_reason":{}}"#,
            "request // 1, unusable time_to_first_token, unusable input_tokens, unusable output_tokens",
        ),
    ] {
        assert_eq!(counted_by(of(kind), line), expected, "{line}");
    }
    let mut own = of(Kind::Generation);
    own.fields.time_to_first_token = vec![Path::known("timing.first")];
    assert_eq!(counted_by(own, r#"{"timing":{"first":2},"ttft":9}"#), "request // 1, first token bucket 5 sum 2");
}

#[test]
fn an_error_has_a_type() {
    for (line, expected) in [
        (r#"{"status":"error","error_type":"ValueError"}"#, "request //error 1, error ValueError 1"),
        (r#"{"status_code":502}"#, "request //error 1, error 5xx 1"),
        (r#"{"level":"error"}"#, "request //error 1, error unknown 1"),
    ] {
        assert_eq!(counted("*", line), expected, "{line}");
    }
}

#[test]
fn further_labels_belong_to_the_model() {
    let mut of = options("*");
    of.labels = vec![Path::known("service.name"), Path::known("stage")];
    let long = "x".repeat(LABEL_BYTES_MAX + 1);
    for (line, expected) in [
        (
            r#"{"model_name":"m","service":{"name":"s"},"stage":"prod","status":"ok"}"#.to_owned(),
            "request m|s|prod//ok 1",
        ),
        (r#"{"stage":7}"#.to_owned(), "request ||7// 1"),
        (format!(r#"{{"model_name":"{long}","stage":"a\u001fb"}}"#), "request other||other// 1"),
    ] {
        assert_eq!(counted_by(of.clone(), &line), expected, "{line}");
    }
}

#[test]
fn what_was_counted_otherwise_begins_anew() {
    let line = r#"{"prediction":3,"latency_ms":1}"#;
    let counted = |mut observer: ModelMetrics, line: &str| {
        let mut space = Space::default();
        let record = Record::parse(line, &mut space).unwrap();
        observer.observe(&record, &record);
        observer.counts().clone()
    };
    let of = |options: &ModelMetricsOptions| ModelMetrics::new(options.clone(), &Telemetry::default().pipeline("p"));
    let regression = ModelMetricsOptions { kind: Kind::Regression, ..options("*") };
    let bounds = ModelMetricsOptions { value_buckets: vec![0.0, 5.0], ..regression.clone() };
    let labels = ModelMetricsOptions { labels: vec![Path::known("stage")], ..regression.clone() };
    for (after, latencies, values) in [(&regression, 1, 1), (&bounds, 1, 0), (&options("*"), 1, 0), (&labels, 0, 0)] {
        let mut observer = of(after);
        observer.restore(counted(of(&regression), line));
        let of_models = |count: fn(&Version) -> u64| -> u64 {
            let models = observer.counts().models.iter();
            models.flat_map(|(_, model)| model.versions.iter()).map(|(_, version)| count(version)).sum()
        };
        let got = (of_models(|version| version.latency.count()), of_models(|version| version.values.count()));
        assert_eq!(got, (latencies, values), "{after:?}");
    }
    let mut observer = of(&regression);
    observer.restore(counted(of(&options("*")), line));
    let predictions: usize = observer.counts().models.iter().map(|(_, model)| model.predictions.len()).sum();
    assert_eq!(predictions, 0, "a regression has no classes");
}

#[test]
fn sums_are_the_same_in_any_order_and_never_fall() {
    let values = [0.1, 0.2, 0.3, 0.999_999_999_6, 1e-9, 1e300, 3_600.7];
    let sum = |values: &mut dyn Iterator<Item = &f64>| {
        let mut histogram = Histogram::default();
        for value in values {
            let before = histogram.sum.as_f64();
            histogram.add(*value, &LATENCY_BOUNDS_SECONDS);
            assert!(histogram.sum.as_f64() >= before);
        }
        histogram
    };
    let forth = sum(&mut values[..5].iter());
    assert_eq!(forth, sum(&mut values[..5].iter().rev()));
    assert_eq!(forth.sum, Sum { units: 1, billionths: 600_000_001 });
    assert_eq!(sum(&mut values.iter()).count(), 7);
}

#[test]
fn counts_survive_the_disk_and_tolerate_what_is_missing() {
    let mut first = observer(DEFAULT);
    let mut space = Space::default();
    for line in [
        r#"{"model_name":"m","model_version":"1","status":"success","prediction":"a","latency_ms":0.1,"confidence":0.3}"#,
        r#"{"model_name":"m","model_version":"2","status":"error"}"#,
    ] {
        let record = Record::parse(line, &mut space).unwrap();
        first.observe(&record, &record);
    }
    let mut second = observer(DEFAULT);
    second.restore(serde_json::from_value(serde_json::to_value(first.counts()).unwrap()).unwrap());
    assert_eq!(second.counts(), first.counts());
    assert_eq!(second.room.taken, first.room.taken);
    assert_eq!(first.room.taken, 7, "one model, two versions, two statuses, one label, one type of error");
    let sparse: ModelCounts = serde_json::from_str(r#"{"models":{"m":{"predictions":{"a":1},"new":[]}}}"#).unwrap();
    assert_eq!(sparse.values(), 2);
}

#[test]
fn a_sum_that_was_spoilt_begins_anew_and_its_neighbours_go_on() {
    let spoilt = r#"{"models":{"m":{"versions":{
        "1":{"requests":{"ok":2},"latency":{"buckets":[1,0,0,0,0,0,0,1],"sum":{"units":18446744073709551615,"billionths":0}}},
        "2":{"requests":{"ok":2},"latency":{"buckets":[0,0,0,0,0,0,0,2],"sum":{"units":172800,"billionths":0}}},
        "3":{"requests":{"ok":1},"latency":{"buckets":[0,0,0,0,0,0,0,1],"sum":{"units":9223372036854775,"billionths":807000000}}},
        "4":{"latency":{"buckets":[18446744073709551615,1,0,0,0,0,0,0],"sum":{"units":1,"billionths":0}}}},
        "confidence":{"buckets":[1,0,0,0,0,0,0,0],"sum":{"units":3,"billionths":0}}}}}"#;
    let mut observer = observer(DEFAULT);
    observer.restore(serde_json::from_str(spoilt).unwrap());
    let mut space = Space::default();
    let record = Record::parse(r#"{"model_name":"m","model_version":"1","latency_ms":40}"#, &mut space).unwrap();
    observer.observe(&record, &record);
    let model = observer.counts().models.iter().next().unwrap().1;
    let sums: Vec<(u64, f64)> =
        model.versions.iter().map(|(_, it)| (it.latency.count(), it.latency.sum.as_f64())).collect();
    assert_eq!(sums, [(1, 0.04), (2, 172_800.0), (0, 0.0), (0, 0.0)]);
    assert_eq!(model.confidence, Histogram::default());
    assert_eq!(model.versions.iter().next().unwrap().1.requests.iter().map(|(_, count)| *count).sum::<u64>(), 3);
}
