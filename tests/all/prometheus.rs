//! `dashboards/prometheus`: the rules by promtool, the routes by amtool, and all of it in a real Prometheus that scrapes a
//! real inferlog, with a real Alertmanager behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::monitoring::{Server, list, metrics_in, must_succeed, project, project_files, selector, yaml};
use crate::place::{PATIENCE, Place, http, pipeline, wait_for};
use crate::scripted::{Answer, scripted};
use crate::support::provided;

const FOLDER: &str = "dashboards/prometheus";

/// Alerts and the part of the expression that asks for a minimum volume, or why there is none.
const VOLUMES: [(&str, Result<&str, &str>); 33] = [
    ("ModelLatencyHigh", Ok("model_version:model_latency_seconds_count:increase5m >= 100")),
    ("ModelErrorRateHigh", Ok("model_version:model_requests:increase5m >= 100")),
    ("ModelFeatureDrift", Ok("model_drift_window_records{job=\"inferlog\"} < 300")),
    ("ModelFeatureUnknown", Ok("model_drift_window_records{job=\"inferlog\"} < 300")),
    ("ModelFeatureMissing", Ok("model_drift_window_records{job=\"inferlog\"} < 300")),
    ("ModelPredictionDrift", Ok("model_drift_window_records{job=\"inferlog\"} < 300")),
    ("ModelConfidenceDrift", Ok("model_drift_window_records{job=\"inferlog\"} < 300")),
    ("ModelConfidenceCollapse", Ok("model:model_confidence_count:increase5m >= 100")),
    ("ModelNoRecords", Ok("[1h] offset 15m)) >= 100")),
    ("ModelAccuracyLow", Ok("model_outcomes_in_window{job=\"inferlog\"} >= 300")),
    ("ModelAccuracyFalling", Ok("model_outcomes_in_window{job=\"inferlog\"} >= 300")),
    ("ModelAccuracyBelowEstimate", Ok("model_outcomes_in_window{job=\"inferlog\"} >= 300")),
    ("ModelEstimatedAccuracyFalling", Ok("model_estimated_accuracy_lower{job=\"inferlog\"} offset 7d")),
    ("ModelShadowDisagreement", Ok("(increase(model_requests_total{job=\"inferlog\"}[1d])) >= 100")),
    ("ModelLabelCoverageFalling", Ok("(model_outcomes_in_window{job=\"inferlog\"} offset 7d) >= 300")),
    ("ModelLabelsStopped", Ok("(model_labels_total{job=\"inferlog\", kind=\"truth\"}) >= 100")),
    ("ModelLabelsUnknown", Ok("instance:model_labels:delta1d >= 100")),
    ("ModelLabelsContradictory", Ok("model_version:model_labels:delta1d >= 100")),
    ("ModelReviewsOverdue", Err("one that has to wait is what it is about")),
    ("ModelReviewOverridesHigh", Ok("model_version:model_reviews:delta30d >= 30")),
    ("InferlogDown", Err("one process is what it is about")),
    ("InferlogLagGrowing", Ok("> 16777216")),
    ("InferlogDeadLetterGrowing", Ok("> 10")),
    ("InferlogSinkFailing", Ok("inferlog_delivery_unacknowledged_bytes{job=\"inferlog\"} > 0")),
    ("InferlogPipelineRestarts", Ok("> 2")),
    ("InferlogRecordsLost", Err("the first one is too many")),
    ("InferlogInferencesNotCounted", Ok("> 100")),
    ("InferlogDriftNotMeasured", Ok("> 300")),
    ("HostCpuHigh", Err("a share of a capacity")),
    ("HostMemoryHigh", Err("a share of a capacity")),
    ("GpuBusy", Err("a share of a capacity")),
    ("GpuMemoryHigh", Err("a share of a capacity")),
    ("GpuHot", Err("a temperature")),
];

/// All rules of the shipped files.
fn rules() -> Vec<Value> {
    let files = project_files("dashboards/prometheus/rules", ".yml");
    let groups = files.iter().flat_map(|file| list(&yaml(file)["groups"]).cloned().collect::<Vec<_>>());
    groups.flat_map(|group| list(&group["rules"]).cloned().collect::<Vec<_>>()).collect()
}

fn text<'v>(value: &'v Value, what: &str) -> &'v str {
    value.as_str().unwrap_or_else(|| panic!("{what} is no text: {value}"))
}

#[test]
fn every_alert_has_a_volume_a_duration_a_severity_and_a_runbook() {
    let runbooks = fs::read_to_string(project("docs/runbooks.md")).unwrap();
    let sections: BTreeSet<&str> = runbooks.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let rules = rules();
    let alerts: Vec<&Value> = rules.iter().filter(|rule| rule["alert"].is_string()).collect();
    let names: BTreeSet<&str> = alerts.iter().map(|rule| text(&rule["alert"], "alert")).collect();
    assert_eq!(sections, names, "sections of docs/runbooks.md, and alerts");
    let volumes: BTreeMap<_, _> = VOLUMES.into_iter().collect();
    assert_eq!(volumes.keys().copied().collect::<BTreeSet<_>>(), names);
    for rule in alerts {
        let name = text(&rule["alert"], "alert");
        let expression = text(&rule["expr"], name);
        if let Ok(volume) = volumes[name] {
            assert!(expression.contains(volume), "{name} asks for no minimum volume `{volume}`: {expression}");
        }
        assert!(text(&rule["for"], name).ends_with('m'), "{name}: {}", rule["for"]);
        assert!(["warning", "critical"].contains(&text(&rule["labels"]["severity"], name)), "{name}");
        assert!(
            ["model", "labels", "pipeline", "infrastructure"].contains(&text(&rule["labels"]["area"], name)),
            "{name}"
        );
        let runbook = text(&rule["annotations"]["runbook_url"], name);
        assert_eq!(runbook, format!("docs/runbooks.md#{}", name.to_lowercase()));
        for words in ["summary", "description"] {
            assert!(!text(&rule["annotations"][words], name).is_empty(), "{name}");
        }
    }
}

#[test]
fn every_rule_selects_by_job_and_every_recorded_name_is_recorded() {
    let rules = rules();
    let recorded: BTreeSet<&str> = rules.iter().filter_map(|rule| rule["record"].as_str()).collect();
    let mut seen = 0;
    for rule in &rules {
        let expression = text(&rule["expr"], "expr");
        for (name, after) in metrics_in(expression) {
            seen += 1;
            if name.contains(':') {
                assert!(recorded.contains(name), "`{name}` is not recorded by anyone: {expression}");
            } else {
                assert!(selector(after).is_some_and(|it| it.contains("job=\"")), "`{name}` of any job: {expression}");
            }
        }
    }
    assert!(seen > 80, "only {seen} names are seen");
}

/// Which alerts fire in a test of promtool, and which are silent in one.
#[test]
fn every_alert_fires_in_one_test_and_is_silent_in_another() {
    let (mut firing, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for file in project_files("tests/prometheus", ".yml") {
        for case in list(&yaml(&file)["tests"]).flat_map(|test| list(&test["alert_rule_test"])) {
            let name = text(&case["alertname"], "alertname").to_owned();
            let expected = case["exp_alerts"].as_array().unwrap_or_else(|| panic!("{name}: no exp_alerts"));
            if expected.is_empty() {
                silent.insert(name)
            } else {
                firing.insert(name)
            };
        }
    }
    let names: BTreeSet<String> = VOLUMES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!((&firing, &silent), (&names, &names));
}

#[test]
fn promtool_finds_nothing_and_every_rule_does_what_its_tests_say() {
    let Some(promtool) = provided("INFERLOG_TEST_PROMTOOL", "rules under promtool") else { return };
    let folder = project(FOLDER);
    must_succeed(Command::new(&promtool).args(["check", "config", "prometheus.yml"]).current_dir(&folder));
    let example = project("examples/observability");
    must_succeed(Command::new(&promtool).args(["check", "config", "prometheus.yml"]).current_dir(example));
    let rules = project_files("dashboards/prometheus/rules", ".yml");
    must_succeed(Command::new(&promtool).args(["check", "rules", "--lint=all", "--lint-fatal"]).args(rules));
    let tests = project_files("tests/prometheus", ".yml");
    must_succeed(Command::new(&promtool).args(["test", "rules"]).args(tests).current_dir(project("tests/prometheus")));
}

#[test]
fn alerts_reach_who_can_do_something_about_them() {
    let Some(amtool) = provided("INFERLOG_TEST_AMTOOL", "routes under amtool") else { return };
    let file = project("dashboards/prometheus/alertmanager.yml");
    must_succeed(Command::new(&amtool).arg("check-config").arg(&file));
    let configuration = format!("--config.file={}", file.display());
    let receivers = yaml(&file);
    let receivers: BTreeSet<&str> = list(&receivers["receivers"]).filter_map(|it| it["name"].as_str()).collect();
    let mut reached = BTreeSet::new();
    for rule in rules().iter().filter(|rule| rule["alert"].is_string()) {
        let (severity, area) = (text(&rule["labels"]["severity"], "severity"), text(&rule["labels"]["area"], "area"));
        let expected = match (severity, area) {
            ("critical", _) => "on-call",
            (_, "model" | "labels") => "model-owners",
            _ => "operators",
        };
        let labels = [format!("severity={severity}"), format!("area={area}")];
        let mut test = Command::new(&amtool);
        test.args(["config", "routes", "test", &configuration, &format!("--verify.receivers={expected}")]).args(labels);
        must_succeed(&mut test);
        reached.insert(expected);
    }
    assert_eq!(reached, receivers, "receivers that some alert reaches");
}

#[test]
fn no_records_silences_what_is_said_of_that_model_alone() {
    let Some(program) = provided("INFERLOG_TEST_ALERTMANAGER", "inhibition") else { return };
    let folder = TempDir::new().unwrap();
    fs::copy(project("dashboards/prometheus/alertmanager.yml"), folder.path().join("alertmanager.yml")).unwrap();
    let server = Server::alertmanager(&program, folder.path());
    // Name, area, instance, model name; whether it is inhibited.
    let table = [
        ("ModelNoRecords", "model", "a:9614", "fraud", false),
        ("ModelErrorRateHigh", "model", "a:9614", "fraud", true),
        ("ModelFeatureDrift", "model", "a:9614", "fraud", true),
        ("ModelFeatureDrift", "model", "a:9614", "chat", false),
        ("ModelFeatureDrift", "model", "b:9614", "fraud", false),
        ("ModelAccuracyLow", "model", "a:9614", "fraud", true),
        ("ModelReviewsOverdue", "labels", "a:9614", "fraud", false),
        ("InferlogSinkFailing", "pipeline", "a:9614", "", false),
        ("HostCpuHigh", "infrastructure", "a:9614", "", false),
        ("InferlogDown", "pipeline", "c:9614", "", false),
        ("InferlogLagGrowing", "pipeline", "c:9614", "", true),
        ("ModelNoRecords", "model", "c:9614", "fraud", true),
        ("ModelReviewsOverdue", "labels", "c:9614", "fraud", true),
        ("HostCpuHigh", "infrastructure", "c:9614", "", false),
    ];
    let alert = |(name, area, instance, model, _): &(&str, &str, &str, &str, bool)| json!({"labels": {"alertname": name, "area": area, "instance": instance, "model_name": model}});
    let alerts: Value = table.iter().map(alert).collect();
    let headers = [("content-type", "application/json")];
    let (status, answer) = http(server.address, "POST", "/api/v2/alerts", &headers, &alerts.to_string()).unwrap();
    assert_eq!(status, 200, "{answer}");
    for (name, _, instance, model, inhibited) in table {
        // Inhibitors are looked at anew with each question.
        wait_for(&format!("{name} on {instance} to be inhibited: {inhibited}"), || {
            let (_, alerts) = server.get("/api/v2/alerts", &[]);
            let wanted = [("alertname", name), ("instance", instance)];
            let is_it = |alert: &&Value| {
                wanted.iter().all(|(label, value)| alert["labels"][label] == *value)
                    && alert["labels"]["model_name"].as_str().unwrap_or_default() == model
            };
            let found = list(&alerts).find(is_it)?;
            (list(&found["status"]["inhibitedBy"]).next().is_some() == inhibited).then_some(())
        });
    }
}

/// A model server that counts its requests itself: with each scrape 100 more, half of them failed.
fn start_instrumented_server() -> String {
    let scrapes = AtomicU64::new(0);
    let headers = [("content-type", "text/plain; version=0.0.4")];
    scripted(move |_| {
        let count = 50 * scrapes.fetch_add(1, Ordering::Relaxed);
        let series =
            |status: &str| format!("model_requests_total{{model_version=\"1\",status=\"{status}\"}} {count}\n");
        let text = format!("# TYPE model_requests_total counter\n{}{}", series("success"), series("error"));
        Answer::new(200, &headers, &text)
    })
}

/// A receiver of Alertmanager's notifications: its URL, and path and body of each.
fn start_receiver() -> (String, Receiver<(String, Value)>) {
    let (sender, received) = channel();
    let url = scripted(move |asked| {
        let _ = sender.send((asked.path.clone(), serde_json::from_slice(&asked.body).unwrap()));
        Answer::new(200, &[], "")
    });
    (url, received)
}

/// The shipped files in a folder, with these replacements, each of which must find something.
fn copy_shipped(folder: &Path, replacements: &[(&str, String)]) {
    fs::create_dir(folder.join("rules")).unwrap();
    let mut used = vec![false; replacements.len()];
    for file in [project_files(FOLDER, ".yml"), project_files("dashboards/prometheus/rules", ".yml")].concat() {
        let mut text = fs::read_to_string(&file).unwrap();
        for ((from, to), used) in replacements.iter().zip(&mut used) {
            *used |= text.contains(from);
            text = text.replace(from, to);
        }
        fs::write(folder.join(file.strip_prefix(project(FOLDER)).unwrap()), text).unwrap();
    }
    assert!(used.iter().all(|used| *used), "not in the shipped files: {used:?} of {replacements:?}");
}

/// Fifty inferences, of which five failed, all of them slow and unsure.
fn bad_inferences() -> String {
    let line = |n: u32| {
        let status = if n < 5 { "error" } else { "success" };
        format!(
            "{{\"event\":\"inference\",\"model_version\":\"1\",\"status\":\"{status}\",\"prediction\":\"a\",\
             \"latency_ms\":900,\"confidence\":0.4,\"timestamp\":\"2026-11-23T10:00:01Z\"}}\n"
        )
    };
    (0..50).map(line).collect()
}

#[test]
fn a_real_prometheus_scrapes_a_real_inferlog_and_its_alerts_arrive() {
    let test = "a real Prometheus with Alertmanager";
    let Some(prometheus) = provided("INFERLOG_TEST_PROMETHEUS", test) else { return };
    let Some(alertmanager) = provided("INFERLOG_TEST_ALERTMANAGER", test) else { return };
    let place = Place::new(&format!("{}observe:\n  - model_metrics: {{}}\n", pipeline("{ store: {} }")));
    place.append(bad_inferences());
    let inferlog = place.run();
    let (receiver, notifications) = start_receiver();
    let folder = TempDir::new().unwrap();
    // Everything as it is shipped but for who is where, and that minutes are seconds.
    let targets = |host: &str| format!("targets: [\"{host}\"]");
    let instance = inferlog.address.unwrap().to_string();
    let files = [
        (
            r#"targets: ["anomaly-detector:8080", "chatbot-api:8080"]"#,
            targets(start_instrumented_server().trim_start_matches("http://")),
        ),
        (r#"targets: ["anomaly-detector:9614", "chatbot-api:9614"]"#, targets(&instance)),
        (r#"targets: ["anomaly-detector:9100", "chatbot-api:9100"]"#, "targets: []".to_owned()),
        (r#"targets: ["anomaly-detector:9400", "chatbot-api:9400"]"#, "targets: []".to_owned()),
        ("http://localhost:5001", receiver),
        ("group_wait: 30s", "group_wait: 1s".to_owned()),
        ("_interval: 15s", "_interval: 1s".to_owned()),
        ("for: 5m", "for: 1s".to_owned()),
    ];
    copy_shipped(folder.path(), &files);
    let alertmanager = Server::alertmanager(&alertmanager, folder.path());
    let configuration = fs::read_to_string(folder.path().join("prometheus.yml")).unwrap();
    let with_alertmanager = configuration.replace("alertmanager:9093", &alertmanager.address.to_string());
    assert_ne!(with_alertmanager, configuration);
    fs::write(folder.path().join("prometheus.yml"), with_alertmanager).unwrap();
    let prometheus = Server::prometheus(&prometheus, folder.path());
    let value_of = |expression: &str| {
        let series = prometheus.query(expression, None).unwrap();
        series.first().map(|series| series["value"][1].as_str().unwrap().to_owned())
    };
    wait_for("both to be scraped", || {
        (value_of("sum(model_requests_total{job=\"inferlog\"})")? == "50").then_some(())?;
        value_of("sum(model_requests_total{job=\"ml_model_servers\", status=\"error\"}) > 100")
    });
    // Counters have to grow between two scrapes.
    (0..20).for_each(|_| place.append(bad_inferences()));
    let firing =
        |name: &str| prometheus.query(&format!("ALERTS{{alertname=\"{name}\", alertstate=\"firing\"}}"), None).unwrap();
    for name in ["ModelErrorRateHigh", "ModelLatencyHigh", "ModelConfidenceCollapse"] {
        let alerts = wait_for(&format!("{name} to fire"), || Some(firing(name)).filter(|alerts| !alerts.is_empty()));
        let labels = &alerts[0]["metric"];
        assert!(labels["instance"] == *instance && labels["job"] == "inferlog" && alerts.len() == 1, "{alerts:?}");
    }
    // The instrumented server's half of failures counts for nothing, and neither do its requests.
    assert_eq!(value_of("round(model_version:model_error_ratio:increase5m, 0.001)").as_deref(), Some("0.1"));
    assert_eq!(value_of("count(model_version:model_requests:increase5m)").as_deref(), Some("1"));
    assert_eq!(prometheus.query("ALERTS{job=\"ml_model_servers\"}", None).unwrap(), [Value::Null; 0]);
    let mut waited_for = BTreeMap::from([("/on-call", "ModelErrorRateHigh"), ("/model-owners", "ModelLatencyHigh")]);
    while !waited_for.is_empty() {
        let (path, body) = notifications.recv_timeout(PATIENCE).expect("a notification");
        let names: BTreeSet<&str> = list(&body["alerts"]).filter_map(|it| it["labels"]["alertname"].as_str()).collect();
        waited_for.retain(|expected, name| *expected != path || !names.contains(name));
    }
    inferlog.stop();
}
