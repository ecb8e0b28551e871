//! `dashboards/grafana`: what Grafana passes over in silence is looked for here, and every expression of every panel, alert
//! and variable runs on sample series in a real Prometheus and finds data.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::monitoring::{Server, list, metrics_in, must_succeed, project, project_files, selector, yaml};
use crate::support::provided;

/// Each dashboard, its name that never changes (what links and alerts go by), and the least number of panels.
const DASHBOARDS: [(&str, &str, usize); 2] = [
    ("dashboards/grafana/model-health.json", "inferlog-model-health", 30),
    ("dashboards/grafana/accuracy-and-reviews.json", "inferlog-accuracy", 30),
];
const ALERTS: &str = "dashboards/grafana/provisioning/alerting/rules.yaml";
const DATA_SOURCE: &str = "dashboards/grafana/provisioning/datasources/prometheus.yaml";

/// The grid of a dashboard, in columns.
const COLUMNS: usize = 24;

/// The data source's name that never changes.
const DATA_SOURCE_UID: &str = "inferlog-prometheus";

/// When the sample begins, in seconds since 1970, and how long it lasts.
const SAMPLE_START: u64 = 1_795_428_000;
const SAMPLE_MINUTES: u32 = 150;

/// What stands for a variable of the dashboards when nothing is chosen.
const CHOICES: [(&str, &str); 10] = [
    ("$__rate_interval", "5m"),
    ("$job", "inferlog"),
    ("$instance", ".*"),
    ("$model_name", ".*"),
    ("$model_version", ".*"),
    ("$version_a", "1"),
    ("$version_b", "2"),
    ("$stage", ".*"),
    ("$window", "30d"),
    ("${host}", ".*"),
];

/// All dashboards, which are those of the folder.
fn dashboards() -> Vec<Value> {
    let files = DASHBOARDS.map(|(file, ..)| project(file));
    let in_folder: BTreeSet<_> = project_files("dashboards/grafana", ".json").into_iter().collect();
    assert_eq!(in_folder, files.iter().cloned().collect(), "dashboards in the folder, and those that are tested");
    files.iter().map(|file| serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()).collect()
}

/// All panels, rows left out.
fn panels(dashboard: &Value) -> Vec<&Value> {
    list(&dashboard["panels"]).filter(|panel| panel["type"] != "row").collect()
}

/// Grafana's alert rules.
fn alerts() -> Vec<Value> {
    let file = yaml(&project(ALERTS));
    let rules: Vec<Value> = list(&file["groups"]).flat_map(|group| list(&group["rules"])).cloned().collect();
    assert!(!rules.is_empty());
    rules
}

/// The alerts of Prometheus by name, names of recorded series replaced by what is recorded.
fn prometheus_alerts() -> BTreeMap<String, Value> {
    let files = project_files("dashboards/prometheus/rules", ".yml");
    let rules: Vec<Value> = files
        .iter()
        .flat_map(|file| {
            list(&yaml(file)["groups"]).flat_map(|group| list(&group["rules"])).cloned().collect::<Vec<_>>()
        })
        .collect();
    let mut recorded: Vec<(String, String)> = Vec::new();
    let mut alerts = BTreeMap::new();
    for mut rule in rules {
        let mut expression = text(&rule["expr"]).to_owned();
        for (name, meaning) in &recorded {
            expression = expression.replace(&**name, &format!("({meaning})"));
        }
        match rule["record"].as_str() {
            Some(name) => recorded.push((name.to_owned(), expression)),
            None => {
                rule["expr"] = expression.into();
                alerts.insert(text(&rule["alert"]).to_owned(), rule);
            }
        }
    }
    alerts
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// An alert's query with this refId.
fn query<'r>(rule: &'r Value, ref_id: &str) -> Option<&'r Value> {
    list(&rule["data"]).find(|query| query["refId"] == ref_id)
}

#[test]
fn every_panel_has_unit_description_thresholds_and_a_place_of_its_own() {
    for (dashboard, (file, uid, panels_min)) in dashboards().iter().zip(DASHBOARDS) {
        assert_eq!(dashboard["uid"], uid);
        every_panel_has_a_place_of_its_own(dashboard);
        let panels = panels(dashboard);
        assert!(panels.len() > panels_min, "{file}: only {} panels", panels.len());
        panels.into_iter().for_each(panel_is_complete);
    }
}

fn every_panel_has_a_place_of_its_own(dashboard: &Value) {
    let mut taken = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for panel in list(&dashboard["panels"]) {
        let title = text(&panel["title"]);
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id is taken");
        let [x, y, w, h] =
            ["x", "y", "w", "h"].map(|side| usize::try_from(panel["gridPos"][side].as_u64().unwrap()).unwrap());
        assert!(w > 0 && h > 0 && x + w <= COLUMNS, "{title}: {}", panel["gridPos"]);
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            let other = taken.insert(cell, title);
            assert!(other.is_none(), "{title} lies on {}", other.unwrap_or_default());
        }
    }
}

fn panel_is_complete(panel: &Value) {
    let title = text(&panel["title"]);
    let defaults = &panel["fieldConfig"]["defaults"];
    assert!(text(&panel["description"]).len() > 10, "{title} has no description");
    assert!(!text(&defaults["unit"]).is_empty(), "{title} has no unit");
    assert!(list(&defaults["thresholds"]["steps"]).next().is_some(), "{title} has no thresholds");
    assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
    let ref_ids: Vec<&str> = list(&panel["targets"]).map(|target| text(&target["refId"])).collect();
    assert!(!ref_ids.is_empty(), "{title} asks for nothing");
    assert_eq!(ref_ids.iter().collect::<BTreeSet<_>>().len(), ref_ids.len(), "{title}: refIds {ref_ids:?}");
    for target in list(&panel["targets"]) {
        assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
    }
}

#[test]
fn every_variable_is_defined_and_every_data_source_is_provisioned() {
    let data_source = yaml(&project(DATA_SOURCE));
    assert_eq!(data_source["datasources"][0]["uid"], DATA_SOURCE_UID);
    let mut defined = BTreeSet::from(["__rate_interval".to_owned()]);
    dashboards().iter().for_each(|dashboard| defined.extend(variables_that_are_right(dashboard)));
    let chosen = CHOICES.iter().map(|(name, _)| name.trim_matches(['$', '{', '}']).to_owned());
    assert_eq!(chosen.collect::<BTreeSet<_>>(), defined, "the variables of this test, and those of the dashboards");
    // A `$` in a provisioned file is a variable of the environment, and empty if there is none of that name.
    for file in [ALERTS, DATA_SOURCE, "dashboards/grafana/provisioning/dashboards/inferlog.yaml"] {
        assert!(!fs::read_to_string(project(file)).unwrap().contains('$'), "{file} has a `$`");
    }
}

/// The variables of a dashboard but its data source; what it uses is one of them.
fn variables_that_are_right(dashboard: &Value) -> Vec<String> {
    let variables: BTreeMap<&str, &Value> =
        list(&dashboard["templating"]["list"]).map(|variable| (text(&variable["name"]), variable)).collect();
    assert_eq!(variables["datasource"]["current"]["value"], DATA_SOURCE_UID);
    assert_eq!(variables["job"]["current"]["value"], "inferlog");
    let everything = dashboard.to_string();
    for used in everything.split('$').skip(1) {
        let name = used.trim_start_matches('{');
        let name = &name[..name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len())];
        let is_known = variables.contains_key(name) || ["__all", "__rate_interval"].contains(&name);
        assert!(is_known, "`${name}` is no variable of {}", dashboard["title"]);
    }
    variables.into_keys().filter(|name| *name != "datasource").map(str::to_owned).collect()
}

#[test]
fn every_alert_names_queries_data_sources_and_panels_that_are_there() {
    let dashboards = dashboards();
    let mut uids = BTreeSet::new();
    for rule in alerts() {
        let title = text(&rule["title"]);
        let uid = text(&rule["uid"]);
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
        assert!(uid.len() <= 40 && uid.chars().all(fits) && uids.insert(uid.to_owned()), "{title}: uid {uid}");
        let condition = query(&rule, text(&rule["condition"])).unwrap_or_else(|| panic!("{title}: no condition"));
        let compared = text(&condition["model"]["expression"]);
        assert!(query(&rule, compared).is_some(), "{title} compares `{compared}`, which is not there");
        for query in list(&rule["data"]) {
            let uid = text(&query["datasourceUid"]);
            assert!([DATA_SOURCE_UID, "__expr__"].contains(&uid), "{title}: data source `{uid}`");
            assert!(query["model"]["datasource"]["uid"] == uid && query["model"]["refId"] == query["refId"], "{title}");
        }
        if let Some(panel) = rule["annotations"]["__panelId__"].as_str() {
            assert!(panel_of(&rule, &dashboards).is_some(), "{title}: no panel {panel}");
        }
    }
}

/// The panel that an alert leads to.
fn panel_of<'d>(rule: &Value, dashboards: &'d [Value]) -> Option<&'d Value> {
    let annotations = &rule["annotations"];
    let dashboard = dashboards.iter().find(|dashboard| dashboard["uid"] == annotations["__dashboardUid__"])?;
    let id = annotations["__panelId__"].as_str()?.parse().ok();
    panels(dashboard).into_iter().find(|panel| panel["id"].as_u64() == id)
}

/// Operator and number of an alert's condition.
fn threshold(rule: &Value) -> (&str, f64) {
    let condition = &query(rule, text(&rule["condition"])).unwrap()["model"];
    assert_eq!(condition["type"], "threshold", "{rule}");
    let evaluator = &condition["conditions"][0]["evaluator"];
    (text(&evaluator["type"]), evaluator["params"][0].as_f64().unwrap())
}

#[test]
fn thresholds_severities_and_words_are_those_of_prometheus() {
    let dashboards = dashboards();
    let prometheus = prometheus_alerts();
    let rules = alerts();
    let titles: BTreeSet<&str> = rules.iter().map(|rule| text(&rule["title"])).collect();
    assert_eq!(titles, prometheus.keys().map(String::as_str).collect::<BTreeSet<_>>());
    let mut on_panels = 0;
    for rule in &rules {
        let title = text(&rule["title"]);
        let its = &prometheus[title];
        for same in ["for", "labels"] {
            assert_eq!(rule[same], its[same], "{title}: {same}");
        }
        for same in ["description", "runbook_url"] {
            assert_eq!(rule["annotations"][same], its["annotations"][same], "{title}: {same}");
        }
        let (operator, number) = threshold(rule);
        let compared = match operator {
            "gt" => format!("> {number}"),
            "lt" if number == 1.0 => "== 0".to_owned(),
            // What is good enough is a series, so that it can be another one by model.
            "lt" if title == "ModelAccuracyLow" => format!("* 0 + {number}"),
            "lt" => format!("< {number}"),
            _ => panic!("{title}: `{operator} {number}` has no counterpart"),
        };
        let expression = text(&its["expr"]);
        let is_whole = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_digit() || c == '.');
        assert!(expression.split(&compared).skip(1).any(is_whole), "{title}: no `{compared}` in {expression}");
        if let Some(panel) = panel_of(rule, &dashboards) {
            let steps = &panel["fieldConfig"]["defaults"]["thresholds"]["steps"];
            let is_there = list(steps).any(|step| step["value"].as_f64() == Some(number));
            // That nothing comes has no number.
            assert!(is_there || title == "ModelNoRecords", "{title}: no threshold {number} on `{}`", panel["title"]);
            on_panels += 1;
        }
    }
    assert!(on_panels > 20, "only {on_panels} alerts lead to a panel");
}

/// The table of sample series, written out as OpenMetrics.
fn sample() -> String {
    let mut shared = "";
    let mut out = String::new();
    let table = fs::read_to_string(project("tests/grafana/sample.txt")).unwrap();
    for line in table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(labels) = line.strip_prefix("@ = ") {
            shared = labels;
            continue;
        }
        let (line, until) = match line.split_once(" until ") {
            Some((line, minutes)) => (line, minutes.parse().unwrap()),
            None => (line, SAMPLE_MINUTES),
        };
        let (line, past) = line.split_once(", ").map_or((line, None), |(line, past)| (line, Some(past)));
        let (series, value) = line.rsplit_once(' ').unwrap();
        let series = series.replace('@', shared);
        let grows = value.starts_with(['+', '~']);
        let value: f64 = value.trim_start_matches('~').parse().unwrap();
        if let Some((days, value)) = past.map(|past| past.split_once(" days ago ").unwrap()) {
            let time = SAMPLE_START + u64::from(SAMPLE_MINUTES) * 60 - days.parse::<u64>().unwrap() * 86_400;
            writeln!(out, "{series} {value} {time}").unwrap();
        }
        for minute in 0..=SAMPLE_MINUTES {
            let value = if grows { value * f64::from(minute.min(until)) } else { value };
            let time = SAMPLE_START + u64::from(minute) * 60;
            writeln!(out, "{series} {value} {time}").unwrap();
        }
    }
    out + "# EOF\n"
}

/// A Prometheus that has the sample.
fn prometheus_with_sample(promtool: &str, prometheus: &str, folder: &TempDir) -> Server {
    fs::write(folder.path().join("sample.om"), sample()).unwrap();
    fs::write(folder.path().join("prometheus.yml"), "scrape_configs: []\n").unwrap();
    let create = ["tsdb", "create-blocks-from", "openmetrics", "sample.om", "data"];
    must_succeed(Command::new(promtool).args(create).current_dir(folder.path()));
    Server::prometheus(prometheus, folder.path())
}

fn with_choices(expression: &str) -> String {
    let chosen = CHOICES.iter().fold(expression.to_owned(), |text, (name, value)| text.replace(name, value));
    assert!(!chosen.contains('$'), "a variable is left in {chosen}");
    chosen
}

/// What each panel and variable asks for, with a name.
fn asked_by(dashboard: &Value) -> Vec<(String, String)> {
    let mut asked = Vec::new();
    for panel in panels(dashboard) {
        for target in list(&panel["targets"]) {
            asked.push((format!("{} {}", panel["title"], target["refId"]), text(&target["expr"]).to_owned()));
        }
    }
    for variable in list(&dashboard["templating"]["list"]).filter(|variable| variable["type"] == "query") {
        let values = text(&variable["query"]["query"]).strip_prefix("label_values(").unwrap();
        let (series, label) = values.strip_suffix(')').unwrap().rsplit_once(", ").unwrap();
        asked.push((format!("variable {}", variable["name"]), format!("count by ({label}) ({series}) > 0")));
    }
    asked
}

#[test]
fn every_expression_selects_by_job_and_finds_data_in_the_sample() {
    let mut asked: Vec<_> = dashboards().iter().flat_map(asked_by).collect();
    for rule in alerts() {
        asked.push((format!("alert {}", rule["title"]), text(&query(&rule, "A").unwrap()["model"]["expr"]).to_owned()));
    }
    assert!(asked.len() > 150, "only {} expressions", asked.len());
    for (what, expression) in &asked {
        let metrics = metrics_in(expression);
        assert!(!metrics.is_empty(), "{what} asks for no metric: {expression}");
        for (name, after) in metrics {
            let is_of_a_job = selector(after).is_some_and(|it| it.contains("job=\""));
            assert!(is_of_a_job || what == "variable \"job\"", "{what}: `{name}` of any job: {expression}");
        }
    }
    let test = "expressions in a real Prometheus";
    let Some(promtool) = provided("INFERLOG_TEST_PROMTOOL", test) else { return };
    let Some(prometheus) = provided("INFERLOG_TEST_PROMETHEUS", test) else { return };
    let folder = TempDir::new().unwrap();
    let server = prometheus_with_sample(&promtool, &prometheus, &folder);
    let now = (SAMPLE_START + u64::from(SAMPLE_MINUTES) * 60).to_string();
    let ask = |what: &str, expression: &str| {
        server.query(expression, Some(&now)).unwrap_or_else(|error| panic!("{what}: {error}: {expression}"))
    };
    let mut empty = Vec::new();
    for (what, expression) in &asked {
        let found = ask(what, &with_choices(expression));
        let is_number = |series: &Value| series["value"][1].as_str().is_some_and(|value| value != "NaN");
        if !found.iter().any(is_number) {
            empty.push(format!("{what}: {}", with_choices(expression)));
        }
    }
    assert!(empty.is_empty(), "these find nothing in the sample:\n{}", empty.join("\n"));
    // What is counted twice would show here: the sample has one of the servers under two jobs.
    let rate = asked.iter().find(|(what, _)| what == "\"Requests\" \"A\"").unwrap();
    let total = ask("the rate of requests", &format!("round(60 * {}, 0.1)", with_choices(&rate.1)));
    assert_eq!(total[0]["value"][1], "215.2", "80.2 + 40 + 5 + 60 + 30 requests a minute");
    the_rules_agree(&ask);
}

/// Grafana's rules and those of Prometheus find the same series in the sample, and each finds one.
fn the_rules_agree(ask: &dyn Fn(&str, &str) -> Vec<Value>) {
    let prometheus = prometheus_alerts();
    let labels = |series: &Value| {
        let mut labels = series["metric"].clone();
        labels.as_object_mut().unwrap().remove("__name__");
        labels.to_string()
    };
    for rule in alerts() {
        let title = text(&rule["title"]);
        let (operator, number) = threshold(&rule);
        let operator = if operator == "gt" { ">" } else { "<" };
        let of_grafana = format!("({}) {operator} {number}", text(&query(&rule, "A").unwrap()["model"]["expr"]));
        let [grafana, its] = [&of_grafana, text(&prometheus[title]["expr"])]
            .map(|expression| ask(title, expression).iter().map(labels).collect::<BTreeSet<String>>());
        assert_eq!(grafana, its, "{title}: what Grafana finds, and what Prometheus finds");
        assert!(!its.is_empty(), "{title} finds nothing in the sample: it cannot be compared");
    }
}

#[test]
fn the_sample_has_only_series_that_are_described() {
    let documents = ["docs/metrics.md", "docs/model-metrics.md", "docs/observe-drift.md", "docs/outcomes.md"];
    let documents: String = documents.iter().map(|path| fs::read_to_string(project(path)).unwrap()).collect();
    let table = fs::read_to_string(project("tests/grafana/sample.txt")).unwrap();
    let names = table.lines().filter(|line| line.contains('{')).map(|line| line.split('{').next().unwrap());
    let own: BTreeSet<&str> =
        names.filter(|name| name.starts_with("model_") || name.starts_with("inferlog_")).collect();
    assert!(own.len() > 20, "{own:?}");
    let family = |name: &&str| {
        let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        format!("`{}`", histogram.unwrap_or(name))
    };
    let missing: Vec<&str> = own.into_iter().filter(|name| !documents.contains(&family(name))).collect();
    assert!(missing.is_empty(), "no document describes {missing:?}");
}
