//! Rules: of what does Kibana tell people? Made from `dashboards/kibana/rules/*.yaml`, created through the alerting API.
//!
//! ```yaml
//! id: 3b9f…                                    # a UUID that never changes
//! name: "inferlog: error rate above 1 %"
//! severity: critical                           # or warning: the level of the message, and a tag
//! runbook: modelerrorratehigh                  # a section of docs/runbooks.md
//! view: inference                              # the data view
//! every: 1m                                    # how often it looks
//! window: 5m                                   # how far back
//! by: [model_version]                          # one alert each; without it one for all
//! when:
//!   share: { called: …, part: KQL, of: KQL, above: 0.01, at_least: 100 }      # or
//!   count: { of: KQL, sum: FIELD, is: { above: 10 }, hits: 5 }                # `is: { below: 1 }` too
//! fired: "{{rule.name}}: {{context.reason}}"   # what is said then, in Kibana's Mustache
//! recovered: "…"                               # and when it is over
//! ```
//!
//! A share needs something that divides, and a least volume: `observability.rules.custom_threshold` has both (an equation of two
//! counts, and a second criterion; all must hold). Everything else is `.es-query` over a data view, which counts or adds up. Both
//! are in the free licence, and so is the only action: the server log of Kibana. Other connectors are the user's.

use serde::Deserialize;
use serde_json::{Value, json};

use super::data_view::DataView;
use super::source::{self, SourceError};
use super::tag;

macro_rules! carried {
    ($($name:literal),* $(,)?) => {
        /// Name and text of each rule, sorted by name.
        const CARRIED: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../dashboards/kibana/rules/", $name, ".yaml")))),*];
    };
}

carried!("dead-letters", "drift", "error-rate", "latency-p99", "low-confidence", "no-records");

/// The id of the connector that writes to Kibana's own log.
pub const CONNECTOR_ID: &str = "9a94eeaa-3a06-4967-8b54-ef44ef96cce8";

/// The most groups that a rule gives alerts for.
const GROUPS_MAX: u64 = 100;

/// The page that has a section for each alert.
const RUNBOOKS: &str = "docs/runbooks.md";

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Somebody has to look now.
    Critical,
    /// Somebody has to look.
    Warning,
}

/// When a count is too much or too little.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// More than this.
    Above(f64),
    /// Less than this.
    Below(f64),
}

/// When a rule gives an alert.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// A share of the documents.
    Share {
        /// What is divided, in the words of a message.
        called: String,
        /// KQL of the documents that are the part.
        part: String,
        /// KQL of those that are the whole.
        of: String,
        /// The share above which it is too many, from 0 to 1.
        above: f64,
        /// With fewer documents in the whole it says nothing.
        at_least: u64,
    },
    /// A number of documents, or the sum of a field over them.
    Count {
        /// KQL of the documents.
        of: String,
        /// The field that is added up.
        sum: Option<String>,
        /// What is too much or too little.
        is: Bound,
        /// How many of the documents a message can name.
        #[serde(default)]
        hits: u64,
    },
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its file's stem.
    #[serde(skip)]
    pub file: String,
    /// The connector that its actions go to.
    #[serde(skip)]
    pub connector: String,
    /// The id of its data view.
    #[serde(skip)]
    pub index: String,
    /// Its UUID, the same for ever.
    pub id: String,
    /// Its name in Kibana.
    pub name: String,
    /// How bad it is.
    pub severity: Severity,
    /// The section of the runbooks.
    pub runbook: String,
    /// What it looks at.
    pub view: DataView,
    /// How often it looks: `1m`.
    pub every: String,
    /// How far back it looks: `5m`.
    pub window: String,
    /// The fields of whose values each gets an alert of its own.
    #[serde(default)]
    pub by: Vec<String>,
    /// When it gives one.
    pub when: Condition,
    /// What is said then.
    pub fired: String,
    /// What is said when it is over.
    pub recovered: String,
}

/// All rules, sorted by their files' names.
///
/// # Errors
/// When one of them is wrong, which a test would have shown.
pub fn all() -> Result<Vec<Rule>, SourceError> {
    let rule = |(file, text): &(&str, &str)| {
        let rule: Rule = source::read(&format!("dashboards/kibana/rules/{file}.yaml"), text)?;
        let (file, index) = ((*file).to_owned(), rule.view.id().to_owned());
        Ok(Rule { file, connector: CONNECTOR_ID.to_owned(), index, ..rule })
    };
    CARRIED.iter().map(rule).collect()
}

/// The connector that the rules' actions go to, as `POST /api/actions/connector/{id}` takes it.
pub fn connector() -> Value {
    json!({ "name": "inferlog: the log of Kibana", "connector_type_id": ".server-log", "config": {}, "secrets": {} })
}

impl Rule {
    /// What kind of rule it is to Kibana.
    pub fn type_id(&self) -> &'static str {
        match self.when {
            Condition::Share { .. } => "observability.rules.custom_threshold",
            Condition::Count { .. } => ".es-query",
        }
    }

    /// Whose rules these are to Kibana: who may see and change them goes by it.
    pub fn consumer(&self) -> &'static str {
        match self.when {
            Condition::Share { .. } => "logs",
            Condition::Count { .. } => "stackAlerts",
        }
    }

    /// What can be changed of it later: the body of `PUT /api/alerting/rule/{id}`.
    pub fn body(&self) -> Value {
        let severity = match self.severity {
            Severity::Critical => "critical",
            Severity::Warning => "warning",
        };
        json!({
            "name": self.name,
            "tags": [tag::NAME, format!("severity:{severity}"), format!("runbook:{}", self.runbook_url())],
            "schedule": { "interval": self.every },
            "params": self.params(),
            "actions": [self.action(self.fired_group(), &self.fired), self.action("recovered", &self.recovered)],
        })
    }

    /// The whole of it, as `POST /api/alerting/rule/{id}` takes it.
    pub fn create_body(&self, enabled: bool) -> Value {
        let mut body = self.body();
        body["rule_type_id"] = json!(self.type_id());
        body["consumer"] = json!(self.consumer());
        body["enabled"] = json!(enabled);
        body
    }

    /// Every KQL in it.
    pub fn queries(&self) -> Vec<&str> {
        match &self.when {
            Condition::Share { part, of, .. } => vec![part, of],
            Condition::Count { of, .. } => vec![of],
        }
    }

    /// Where to read what to do.
    pub fn runbook_url(&self) -> String {
        format!("{RUNBOOKS}#{}", self.runbook)
    }

    fn fired_group(&self) -> &'static str {
        match self.when {
            Condition::Share { .. } => "custom_threshold.fired",
            Condition::Count { .. } => "query matched",
        }
    }

    fn action(&self, group: &str, message: &str) -> Value {
        let (level, message) = match (group, self.severity) {
            ("recovered", _) => ("info", message.to_owned()),
            (_, Severity::Critical) => ("error", format!("{message} ({})", self.runbook_url())),
            (_, Severity::Warning) => ("warn", format!("{message} ({})", self.runbook_url())),
        };
        json!({
            "group": group,
            "id": self.connector,
            "params": { "level": level, "message": message },
            "frequency": { "summary": false, "notify_when": "onActionGroupChange", "throttle": null },
        })
    }

    fn params(&self) -> Value {
        let (size, unit) = self.window_parts();
        match &self.when {
            Condition::Share { called, part, of, above, at_least } => {
                let criterion = |metrics: Value, equation: &str, label: &str, comparator: &str, threshold: Value| {
                    json!({
                        "aggType": "custom", "metrics": metrics, "equation": equation, "label": label,
                        "comparator": comparator, "threshold": [threshold], "timeSize": size, "timeUnit": unit,
                    })
                };
                let count = |name: &str, filter: &str| json!({ "name": name, "aggType": "count", "filter": filter });
                json!({
                    "criteria": [
                        criterion(json!([count("A", part), count("B", of)]), "A / B", called, ">", json!(above)),
                        criterion(json!([count("A", of)]), "A", "documents", ">=", json!(at_least)),
                    ],
                    "groupBy": self.by,
                    "alertOnNoData": false,
                    "alertOnGroupDisappear": false,
                    "searchConfiguration": self.search_configuration(""),
                })
            }
            Condition::Count { of, sum, is, hits } => {
                let (comparator, threshold) = match is {
                    Bound::Above(bound) => (">", bound),
                    Bound::Below(bound) => ("<", bound),
                };
                let mut params = json!({
                    "searchType": "searchSource",
                    "searchConfiguration": self.search_configuration(of),
                    "timeField": "@timestamp",
                    "timeWindowSize": size,
                    "timeWindowUnit": unit,
                    "thresholdComparator": comparator,
                    "threshold": [threshold],
                    "size": hits,
                    "excludeHitsFromPreviousRun": false,
                    "aggType": if sum.is_some() { "sum" } else { "count" },
                    "groupBy": if self.by.is_empty() { "all" } else { "top" },
                });
                if let Some(field) = sum {
                    params["aggField"] = json!(field);
                }
                match self.by.as_slice() {
                    [] => {}
                    [field] => params["termField"] = json!(field),
                    fields => params["termField"] = json!(fields),
                }
                if !self.by.is_empty() {
                    params["termSize"] = json!(GROUPS_MAX);
                }
                params
            }
        }
    }

    fn search_configuration(&self, kql: &str) -> Value {
        json!({ "index": self.index, "query": { "language": "kuery", "query": kql } })
    }

    /// Size and unit of the window: `(5, "m")`.
    pub fn window_parts(&self) -> (u64, &str) {
        let (size, unit) = self.window.split_at(self.window.len().saturating_sub(1));
        (size.parse().unwrap_or(0), unit)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::kibana::data_view::MODEL_FIELD;
    use crate::kibana::fields;
    use crate::kql::Expression;

    /// Whether a text is a UUID as Kibana wants it.
    fn is_uuid(text: &str) -> bool {
        let lengths: Vec<usize> = text.split('-').map(str::len).collect();
        lengths == [8, 4, 4, 4, 12] && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
    }

    #[test]
    fn every_file_of_the_folder_is_carried() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/dashboards/kibana/rules");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        files.sort();
        assert_eq!(all().unwrap().iter().map(|rule| rule.file.as_str()).collect::<Vec<_>>(), files);
    }

    #[test]
    fn rules_have_ids_runbooks_windows_and_fields_that_are_there() {
        let runbooks =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/runbooks.md")).unwrap().to_lowercase();
        let mut ids = BTreeSet::from([CONNECTOR_ID.to_owned()]);
        assert!(is_uuid(CONNECTOR_ID) && !is_uuid("inferlog") && !is_uuid("3b9f1c1e-0000-0000-0000-00000000000g"));
        for rule in all().unwrap() {
            let name = &rule.file;
            assert!(is_uuid(&rule.id) && ids.insert(rule.id.clone()), "{name}: {}", rule.id);
            assert!(runbooks.contains(&format!("\n### {}\n", rule.runbook)), "{name}: no section {}", rule.runbook);
            let (size, unit) = rule.window_parts();
            assert!(size > 0 && ["m", "h", "d"].contains(&unit), "{name}: {}", rule.window);
            let known = fields::of(rule.view);
            let is_known =
                |field: &str| known.contains_key(field) || (rule.view == DataView::Drift && field == MODEL_FIELD);
            for kql in rule.queries() {
                let query = Expression::parse_question(kql).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert!(query.fields().iter().all(|field| is_known(field)), "{name}: {kql}");
            }
            assert!(rule.by.iter().all(|field| is_known(field)), "{name}: {:?}", rule.by);
            if let Condition::Count { sum: Some(field), .. } = &rule.when {
                assert!(is_known(field), "{name}: {field}");
            }
        }
    }

    #[test]
    fn a_share_is_an_equation_of_two_counts_and_a_least_volume() {
        let rule = all().unwrap().into_iter().find(|rule| rule.file == "error-rate").unwrap();
        let body = rule.create_body(true);
        assert_eq!(
            (&body["rule_type_id"], &body["consumer"], &body["enabled"]),
            (&json!("observability.rules.custom_threshold"), &json!("logs"), &json!(true))
        );
        let criteria = &body["params"]["criteria"];
        assert_eq!((&criteria[0]["equation"], &criteria[0]["threshold"]), (&json!("A / B"), &json!([0.01])));
        assert_eq!((&criteria[1]["comparator"], &criteria[1]["threshold"]), (&json!(">="), &json!([100])));
        assert_eq!((&criteria[0]["timeSize"], &criteria[0]["timeUnit"]), (&json!(5), &json!("m")));
        let tags = json!(["inferlog", "severity:critical", "runbook:docs/runbooks.md#modelerrorratehigh"]);
        assert_eq!(body["tags"], tags);
        let groups: Vec<_> = body["actions"].as_array().unwrap().iter().map(|action| action["group"].clone()).collect();
        assert_eq!(groups, ["custom_threshold.fired", "recovered"]);
    }

    #[test]
    fn a_count_is_a_query_over_a_data_view() {
        let named = |name: &str| all().unwrap().into_iter().find(|rule| rule.file == name).unwrap().create_body(false);
        for (name, member, value) in [
            ("drift", "termField", json!("model")),
            ("drift", "size", json!(1)),
            ("no-records", "thresholdComparator", json!("<")),
            ("no-records", "groupBy", json!("all")),
            ("no-records", "termField", Value::Null),
            ("dead-letters", "aggType", json!("sum")),
            ("dead-letters", "aggField", json!("account.reason_count")),
            ("dead-letters", "timeWindowUnit", json!("h")),
        ] {
            assert_eq!(named(name)["params"][member], value, "{name}: {member}");
        }
    }
}
