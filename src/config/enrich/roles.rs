//! Options of `roles`: from where does each heart field come?

use super::{json_text, made};
use crate::config::field::Field;
use crate::config::section::Section;
use crate::config::yaml::{Kind, Scalar, Value};
use crate::enrich::roles::{
    Confidence, ConfidenceFrom, Copy, Features, FilePath, Labels, Largest, Latency, Positive, Prediction, Rest, Role,
    Roles, Scale, Source, Status, Unit,
};
use crate::enrich::{Action, HEART_FIELDS, Step};
use crate::record::{IndexedPath, Path, PathError};

const THRESHOLD: f64 = 0.5;

pub(super) fn roles(section: &mut Section<'_>) -> Option<Step> {
    let mut roles: Vec<(Path, Role)> = Vec::new();
    let mut has_failed = false;
    for name in HEART_FIELDS {
        let Some(field) = section.field(name) else { continue };
        match role(name, &field) {
            Some(role) => roles.push((Path::known(name), role)),
            None => has_failed = true,
        }
    }
    let file_path = match section.field("path") {
        None => None,
        Some(field) => {
            let read = file_path(&field);
            has_failed |= read.is_none();
            read
        }
    };
    if roles.is_empty() && file_path.is_none() && !has_failed {
        section.complain(format!("`{}` says of no heart field where it is", section.name), None);
        has_failed = true;
    }
    except_sources(&mut roles);
    made(section, (!has_failed).then(|| Action::Roles(Roles { roles, file_path, hidden: Vec::new() })))
}

fn role(name: &'static str, field: &Field<'_>) -> Option<Role> {
    match name {
        "prediction" => prediction(field).map(Role::Prediction),
        "confidence" => confidence(field).map(Role::Confidence),
        "latency_ms" => latency(field).map(Role::Latency),
        "status" => status(field).map(Role::Status),
        "features" => features(field).map(Role::Features),
        _ => with_options(field, |section| section.required("from", source))
            .map(|from| Role::Copy(Copy { into: name, from })),
    }
}

/// What other roles read is no feature.
fn except_sources(roles: &mut [(Path, Role)]) {
    let sources: Vec<Path> = roles
        .iter()
        .filter_map(|(_, role)| role.source())
        .flat_map(|source| source.paths.iter().map(|path| path.names().clone()))
        .collect();
    for (_, role) in roles {
        if let Role::Features(Features::Rest(rest)) = role {
            rest.except.extend_from_slice(&sources);
        }
    }
}

/// Reads a map of options, or what stands for one with `from` alone.
fn with_options<'a, T>(field: &Field<'a>, read: impl FnOnce(&mut Section<'a>) -> Option<T>) -> Option<T>
where
    T: From<Source>,
{
    match field.map_of_options() {
        None => source(field).map(T::from),
        Some(mut section) => {
            let value = read(&mut section);
            section.finish();
            value
        }
    }
}

/// A path, or a list of paths.
fn source(field: &Field<'_>) -> Option<Source> {
    let paths = match &field.node.value {
        Value::List(_) => field.list(path)?,
        _ => vec![path(field)?],
    };
    Some(Source { paths })
}

fn path(field: &Field<'_>) -> Option<IndexedPath> {
    match IndexedPath::read(field.text()?) {
        Ok(path) => Some(path),
        Err(PathError { problem, hint }) => field.refuse_with(&problem, hint.filter(|_| !field.is_expanded())),
    }
}

/// `from` or `largest`.
enum Where {
    Path(Source),
    Largest(Source),
}

fn from_or_largest(section: &mut Section<'_>) -> Option<Where> {
    match (section.field("from"), section.field("largest")) {
        (Some(from), None) => source(&from).map(Where::Path),
        (None, Some(largest)) => source(&largest).map(Where::Largest),
        _ => {
            section.complain(format!("`{}` needs `from` or `largest`, one of the two", section.name), None);
            None
        }
    }
}

fn largest(section: &mut Section<'_>, of: Source, labels: Option<Labels>) -> Largest {
    let mut name = |key, default: &str| {
        section.optional(key, |field| field.text().map(str::to_owned)).unwrap_or_else(|| default.to_owned())
    };
    let (score, label) = (name("score", "score"), name("label", "label"));
    Largest { of, labels, score, label }
}

fn prediction(field: &Field<'_>) -> Option<Prediction> {
    with_options(field, |section| {
        let from = from_or_largest(section);
        let labels = section.optional("labels", labels);
        match from? {
            Where::Path(from) => Some(Prediction::From { from, labels }),
            Where::Largest(of) => Some(Prediction::Largest(largest(section, of, labels))),
        }
    })
}

/// A list of labels, or the path of one in the record.
fn labels(field: &Field<'_>) -> Option<Labels> {
    match &field.node.value {
        Value::List(_) => field.list(|item| item.typed().map(|scalar| scalar.text.clone())).map(Labels::Fixed),
        _ => path(field).map(Labels::At),
    }
}

fn confidence(field: &Field<'_>) -> Option<Confidence> {
    with_options(field, |section| {
        let from = from_or_largest(section);
        let scale = section.optional("scale", |field| field.word(&["unit", "percent"]));
        let of = section.optional("of", |field| field.word(&["prediction", "positive"]));
        let positive = positive(section);
        let from = match from? {
            Where::Path(from) => ConfidenceFrom::Path(from),
            Where::Largest(of) => ConfidenceFrom::Largest(largest(section, of, None)),
        };
        let is_contradiction = match (of, &positive, &from) {
            (Some("positive"), None, _) => Some("`of: positive` needs `positive`, the class that the number is of"),
            (Some("prediction"), Some(_), _) => Some("`of: prediction` and `positive` contradict each other"),
            (_, Some(_), ConfidenceFrom::Largest(_)) => {
                Some("`largest` is of the predicted class, and not of `positive`")
            }
            _ => None,
        };
        if let Some(problem) = is_contradiction {
            section.complain(format!("`{}`: {problem}", section.name), None);
            return None;
        }
        let scale = if scale == Some("percent") { Scale::Percent } else { Scale::Unit };
        Some(Confidence { from, scale, positive })
    })
}

fn positive(section: &mut Section<'_>) -> Option<Positive> {
    let positive = section.optional("positive", |field| Some((json_text(field)?, field.typed()?)));
    let negative = section.optional("negative", json_text);
    let threshold = section.optional("threshold", |field| field.number(0.0..=1.0));
    if positive.is_none() && (negative.is_some() || threshold.is_some()) {
        section.complain(format!("`{}`: `negative` and `threshold` need `positive`", section.name), None);
    }
    let (positive, scalar) = positive?;
    let negative = negative.unwrap_or_else(|| other_class(&positive, scalar));
    Some(Positive { positive, negative, threshold: threshold.unwrap_or(THRESHOLD) })
}

/// The class beside the positive one, as JSON.
fn other_class(positive: &str, scalar: &Scalar) -> String {
    match (scalar.kind, positive) {
        (Kind::Number, "1") => "0".to_owned(),
        (Kind::Boolean, "true") => "false".to_owned(),
        (Kind::Boolean, _) => "true".to_owned(),
        _ => serde_json::Value::from(format!("not_{}", scalar.text)).to_string(),
    }
}

fn latency(field: &Field<'_>) -> Option<Latency> {
    with_options(field, |section| {
        let from = section.required("from", source);
        let unit = section.optional("unit", |field| field.word(&["ms", "s", "us", "ns", "auto"]));
        let unit = match unit {
            Some("s") => Unit::Seconds,
            Some("us") => Unit::Microseconds,
            Some("ns") => Unit::Nanoseconds,
            Some("auto") => Unit::Auto,
            _ => Unit::Milliseconds,
        };
        Some(Latency { from: from?, unit })
    })
}

fn status(field: &Field<'_>) -> Option<Status> {
    with_options(field, |section| {
        let from = section.required("from", source);
        let errors_from = section.optional("errors_from", |field| field.integer(100..=599));
        let values = section.optional("values", values);
        Some(Status {
            from: from?,
            errors_from: errors_from.map(|code| code as u16),
            values: values.unwrap_or_default(),
        })
    })
}

/// A map from texts to what they mean, as JSON.
fn values(field: &Field<'_>) -> Option<Vec<(String, String)>> {
    let Value::Map(entries) = &field.node.value else { return field.refuse("this has to be a map of values") };
    let value = |entry: &crate::config::yaml::Entry| {
        let value = Field {
            context: field.context,
            name: format!("{}.{}", field.name, entry.key),
            key_span: entry.key_span.clone(),
            node: &entry.value,
        };
        Some((entry.key.clone(), json_text(&value)?))
    };
    entries.iter().map(value).collect()
}

fn features(field: &Field<'_>) -> Option<Features> {
    with_options(field, |section| {
        let from = section.optional("from", source);
        let rest = section.optional("rest", Field::boolean);
        let except = section.optional("except", |field| field.list(Field::field_path));
        match (from, rest) {
            (Some(from), None) if except.is_none() => Some(Features::From(from)),
            (None, Some(true)) => Some(Features::Rest(Rest { except: except.unwrap_or_default() })),
            _ => {
                let message = format!("`{}` needs `from`, or `rest: true` and perhaps `except`", section.name);
                section.complain(message, None);
                None
            }
        }
    })
}

fn file_path(field: &Field<'_>) -> Option<FilePath> {
    match FilePath::read(field.text()?) {
        Ok(pattern) => Some(pattern),
        Err(problem) => {
            let hint =
                "write `/logs/{model_name}/*.log`: names of members in braces, `*` within a folder, `**/` for folders";
            field.refuse_with(&problem, Some(hint.to_owned()))
        }
    }
}
