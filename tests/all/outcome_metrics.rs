//! The metrics of outcomes that dashboards and rules go by are those that a real inferlog shows.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use serde_json::Value;

use crate::monitoring::{list, metrics_in, project, selector, yaml};
use crate::place::{Place, pipeline, wait_for};

/// Requests of the classifier; a shadow version answers each of them, too.
const REQUESTS: u32 = 60;
/// Requests of the regression.
const VALUES: u32 = 20;
/// Outcomes of the two versions and of the regression.
const OUTCOMES: u64 = 2 * LABELLED as u64 + VALUES as u64;
/// Requests of the classifier whose truth is told.
const LABELLED: u32 = 40;

/// A classifier with everything that can be asked of it, and a regression.
fn place() -> Place {
    let labels = "labels: { paths: [labels/c.ndjson] }, min_labels: 10, positive: fraud, negative_after: 1s";
    let observe = format!("observe: [model_metrics: {{}}, ground_truth: {{ {labels} }}]\n");
    let place = Place::new(&format!("{}{observe}", pipeline("{ store: {} }")));
    let labels = "labels: { paths: [labels/r.ndjson] }, min_labels: 10";
    let observe = format!("observe: [model_metrics: {{ kind: regression }}, ground_truth: {{ {labels} }}]\n");
    let regression = format!("{}{observe}", pipeline("{ store: {} }").replace("logs/", "values/"));
    fs::write(place.path("r.yaml"), regression).unwrap();
    for folder in ["labels", "values"] {
        fs::create_dir(place.path(folder)).unwrap();
    }
    place
}

/// Writes predictions, labels and reviews of both.
fn write(place: &Place) {
    let (mut records, mut labels) = (String::new(), String::new());
    for n in 0..REQUESTS {
        let class = |at: u32| if (n + at).is_multiple_of(3) { "fraud" } else { "ok" };
        let confidence = if n.is_multiple_of(2) { 0.55 } else { 0.95 };
        for (version, stage, at) in [("1", "primary", 0), ("2", "shadow", n % 5 / 4)] {
            let answer = format!("\"prediction\":\"{}\",\"confidence\":{confidence}", class(at));
            let who = format!("\"model_version\":\"{version}\",\"stage\":\"{stage}\"");
            writeln!(records, "{{\"event\":\"inference\",\"request_id\":\"c-{n}\",{who},{answer}}}").unwrap();
        }
        if n < LABELLED {
            writeln!(labels, "{{\"request_id\":\"c-{n}\",\"label\":\"{}\"}}", class(n % 4 / 3)).unwrap();
            let times = "\"opened\":\"2026-11-26T09:00:00Z\",\"decided\":\"2026-11-26T09:04:00Z\"";
            let review = format!("\"kind\":\"review\",\"decision\":\"upheld\",{times}");
            writeln!(labels, "{{\"request_id\":\"c-{n}\",{review}}}").unwrap();
        }
    }
    fs::write(place.path("labels/c.ndjson"), labels).unwrap();
    place.append(records);
    let value = |n: u32| {
        format!("{{\"event\":\"inference\",\"request_id\":\"v-{n}\",\"model_version\":\"7\",\"prediction\":{n}.5}}\n")
    };
    fs::write(
        place.path("labels/r.ndjson"),
        (0..VALUES).map(|n| format!("{{\"request_id\":\"v-{n}\",\"label\":{n}}}\n")).collect::<String>(),
    )
    .unwrap();
    fs::write(place.path("values/a.ndjson"), (0..VALUES).map(value).collect::<String>()).unwrap();
}

/// What the dashboard of outcomes and the rules ask for: names of metrics, and the labels that are selected by.
fn asked() -> BTreeSet<(String, Vec<String>)> {
    let dashboard = fs::read_to_string(project("dashboards/grafana/accuracy-and-reviews.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let rules = yaml(&project("dashboards/prometheus/rules/outcomes.yml"));
    let mut expressions: Vec<&Value> = Vec::new();
    list(&dashboard["panels"]).for_each(|panel| expressions.extend(list(&panel["targets"])));
    list(&rules["groups"]).for_each(|group| expressions.extend(list(&group["rules"])));
    expressions.into_iter().flat_map(|it| asked_by(it["expr"].as_str().unwrap())).collect()
}

/// The same of one expression, without the labels that come of the scrape or are not always there.
fn asked_by(expression: &str) -> Vec<(String, Vec<String>)> {
    let others = ["job", "instance", "model_name", ""];
    let own = metrics_in(expression).into_iter().filter(|(name, _)| name.starts_with("model_") && !name.contains(':'));
    own.map(|(name, after)| {
        let labels = selector(after).unwrap_or_default().split(", ").filter_map(|pair| pair.split(['=', '!']).next());
        (name.to_owned(), labels.filter(|label| !others.contains(label)).map(str::to_owned).collect())
    })
    .collect()
}

#[test]
fn every_metric_that_dashboard_and_rules_ask_for_is_shown_with_these_labels() {
    let asked = asked();
    assert!(asked.len() > 40, "only {asked:?}");
    let place = place();
    write(&place);
    let running = place.run_files(".");
    let metrics = wait_for("all outcomes to be measured", || {
        let (_, text) = running.get("/metrics");
        let known = text.lines().filter(|line| line.starts_with("model_outcomes_in_window{"));
        let known: f64 = known.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum();
        (known as u64 == OUTCOMES).then_some(text)
    });
    let shown = |name: &str, labels: &[String]| {
        let mut own =
            metrics.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        own.any(|line| labels.iter().all(|label| line.contains(&format!("{label}=\""))))
    };
    let missing: Vec<_> = asked.iter().filter(|(name, labels)| !shown(name, labels)).collect();
    assert!(missing.is_empty(), "inferlog does not show {missing:?}:\n{metrics}");
    running.stop();
}
