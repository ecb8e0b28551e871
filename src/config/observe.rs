//! `observe`: what looks at every record?

use super::field::{Choice, Field};
use super::model::Observer;
use super::section::Section;
use super::{drift, ground_truth};
use crate::kql::Expression;
use crate::observe::label_name;
use crate::observe::options::{ErrorFields, Kind, LABELS_MAX, ModelMetricsOptions, ObservedFields, VALUE_MAX};
use crate::record::Path;

const KINDS: [&str; 4] = ["classification", "multilabel", "regression", "generation"];

/// Labels that the metrics have by themselves, or get when they are scraped.
const TAKEN_LABELS: [&str; 11] = [
    "model_name",
    "model_version",
    "status",
    "label",
    "type",
    "direction",
    "reason",
    "feature",
    "le",
    "job",
    "instance",
];

/// The longest prefix, in bytes.
const PREFIX_BYTES_MAX: usize = 64;

const VALUE_BUCKETS_MAX: usize = 64;

/// Reads the list, of a pipeline whose inferences are these when an observer does not say it. One observer of each kind: two
/// would give the same series.
pub(super) fn observers(field: &Field<'_>, inferences: &str) -> Option<Vec<Observer>> {
    let mut seen = Vec::new();
    let (mut metrics, mut drift, mut truth) = (None, None, None);
    for item in field.items() {
        let Some(Choice { name, section }) = item.choice("observer", &["model_metrics", "drift", "ground_truth"])
        else {
            continue;
        };
        if seen.contains(&name) {
            section.complain(format!("a pipeline has at most one `{name}`"), None);
        }
        seen.push(name);
        match name {
            "drift" => drift = drift::options(section),
            "ground_truth" => truth = ground_truth::options(section),
            _ => metrics = model_metrics(section, inferences),
        }
    }
    if let Some(drift) = &mut drift {
        drift::complete(drift, metrics.as_ref(), inferences);
    }
    if let Some(truth) = &mut truth {
        ground_truth::complete(truth, metrics.as_ref(), inferences);
    }
    let observers = [
        metrics.map(Observer::ModelMetrics),
        drift.map(Observer::Drift),
        truth.map(|truth| Observer::GroundTruth(Box::new(truth))),
    ];
    Some(observers.into_iter().flatten().collect())
}

fn model_metrics(mut section: Section<'_>, default: &str) -> Option<ModelMetricsOptions> {
    let inferences = section.optional("inferences", Field::condition);
    let model_name = section.optional("model_name", Field::boolean).unwrap_or(false);
    let kind = match section.field("kind") {
        Some(field) => kind(&field)?,
        None => Kind::default(),
    };
    let labels = section.optional("labels", labels).unwrap_or_default();
    let prefix = section.optional("prefix", prefix).unwrap_or_default();
    let value_buckets = section.field("value_buckets");
    if let Some(field) = value_buckets.as_ref().filter(|_| kind != Kind::Regression) {
        field.complain("`value_buckets` needs `kind: regression`".to_owned(), None);
    }
    let value_buckets = value_buckets.and_then(|field| bounds(&field));
    let fields = section.optional("fields", |field| Some(observed_fields(field.section()?, kind)));
    section.finish();
    let defaults = ModelMetricsOptions::of(inferences.or_else(|| Expression::parse_condition(default).ok())?);
    Some(ModelMetricsOptions {
        model_name,
        kind,
        labels,
        prefix,
        value_buckets: value_buckets.unwrap_or_else(|| defaults.value_buckets.clone()),
        fields: fields.unwrap_or_default(),
        ..defaults
    })
}

fn kind(field: &Field<'_>) -> Option<Kind> {
    Some(match field.word(&KINDS)? {
        "multilabel" => Kind::Multilabel,
        "regression" => Kind::Regression,
        "generation" => Kind::Generation,
        _ => Kind::Classification,
    })
}

/// Fields whose values are labels besides.
fn labels(field: &Field<'_>) -> Option<Vec<Path>> {
    let paths = field.list(Field::field_path)?;
    let names: Vec<String> = paths.iter().map(|path| label_name(path.as_str())).collect();
    if paths.len() > LABELS_MAX {
        return field.refuse_with(
            &format!("a metric has at most {LABELS_MAX} labels besides its own"),
            Some("every combination of values is a series of its own in Prometheus".to_owned()),
        );
    }
    for (position, name) in names.iter().enumerate() {
        if TAKEN_LABELS.contains(&name.as_str()) {
            return field.refuse_with(&format!("the label `{name}` is there already, or Prometheus sets it"), None);
        }
        if names[..position].contains(name) {
            return field.refuse(&format!("two of these fields would be the label `{name}`"));
        }
    }
    Some(paths)
}

/// What stands before the metrics' names, with a `_` at its end.
fn prefix(field: &Field<'_>) -> Option<String> {
    let text = field.text()?;
    let is_name = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.len() <= PREFIX_BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_name {
        let problem = format!(
            "a prefix has letters, digits and `_`, begins with a letter, and is at most {PREFIX_BYTES_MAX} long"
        );
        return field.refuse(&problem);
    }
    if text.trim_end_matches('_') == "inferlog" || text.starts_with("inferlog_") {
        return field.refuse("metrics that begin with `inferlog_` are inferlog's own");
    }
    Some(format!("{}_", text.trim_end_matches('_')))
}

/// Upper bounds of buckets.
fn bounds(field: &Field<'_>) -> Option<Vec<f64>> {
    let bounds = field.list(|item| item.number(-VALUE_MAX..=VALUE_MAX))?;
    if bounds.len() > VALUE_BUCKETS_MAX {
        return field.refuse(&format!("there are at most {VALUE_BUCKETS_MAX} bounds"));
    }
    if !bounds.is_sorted_by(|one, next| one < next) {
        return field.refuse("each bound has to be greater than the one before");
    }
    Some(bounds)
}

/// Where what is not a heart field stands. Those of a kind are known for that kind alone.
fn observed_fields(mut section: Section<'_>, kind: Kind) -> ObservedFields {
    let mut fields = ObservedFields::default();
    let ErrorFields { http_status, error_type } = &mut fields.error;
    let mut lists = vec![("http_status", http_status), ("error_type", error_type)];
    if kind == Kind::Generation {
        lists.push(("time_to_first_token", &mut fields.time_to_first_token));
        lists.push(("input_tokens", &mut fields.input_tokens));
        lists.push(("output_tokens", &mut fields.output_tokens));
        lists.push(("finish_reason", &mut fields.finish_reason));
    }
    for (key, list) in lists {
        if let Some(paths) = section.optional(key, |field| field.list(Field::field_path)) {
            *list = paths;
        }
    }
    section.finish();
    fields
}
