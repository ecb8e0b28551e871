//! `enrich`: which processors edit a record, in which order?

use chrono_tz::Tz;

use super::field::{Choice, Field};
use super::model::{Add, Condition, Drop, Flag, Hash, Id, Redact, Rename, Step, Timestamp};
use super::section::{Section, nearest};
use super::yaml::{Kind, Scalar};
use crate::record::Path;

/// The processors' names.
const PROCESSORS: [&str; 8] = ["timestamp", "hash", "flag", "redact", "add", "rename", "drop", "id"];

const DROP_NAME_BYTES_MAX: usize = 64;

/// Reads the list; what is wrong with one processor does not hide what is wrong with the next.
pub(super) fn enrich(field: &Field<'_>) -> Option<Vec<Step>> {
    let mut seen = Vec::new();
    let mut steps = Vec::new();
    let mut timed = Vec::new();
    for item in field.items() {
        let Some(choice) = item.choice("processor", &PROCESSORS) else { continue };
        if matches!(choice.name, "timestamp" | "id") && seen.contains(&choice.name) {
            let message = format!("a pipeline has at most one `{}`", choice.name);
            choice.section.complain(message, None);
        }
        seen.push(choice.name);
        if choice.name == "timestamp" {
            timed.drain(..).for_each(refuse_to_be_early);
        }
        let step = step(choice);
        let is_timed = |condition: &Condition| condition.expression.compares("@timestamp");
        if step.as_ref().is_some_and(|step| step.name() != "timestamp" && step.when().is_some_and(is_timed)) {
            timed.push(item);
        }
        steps.extend(step);
    }
    Some(steps)
}

/// A condition on the time, before the processor that reads it.
fn refuse_to_be_early(item: Field<'_>) {
    let message = "its condition compares `@timestamp`, which `timestamp` reads only further down".to_owned();
    item.complain(message, Some("put `timestamp` before it".to_owned()));
}

fn step(choice: Choice<'_>) -> Option<Step> {
    let Choice { name, mut section } = choice;
    let step = match name {
        "timestamp" => timestamp(&mut section).map(Step::Timestamp),
        "hash" => hash(&mut section).map(Step::Hash),
        "flag" => flag(&mut section).map(Step::Flag),
        "redact" => redact(&mut section).map(Step::Redact),
        "add" => add(&mut section).map(Step::Add),
        "rename" => rename(&mut section).map(Step::Rename),
        "drop" => drop_step(&mut section).map(Step::Drop),
        _ => id(&mut section).map(Step::Id),
    };
    section.finish();
    step
}

fn paths(field: &Field<'_>) -> Option<Vec<Path>> {
    field.list(Field::field_path)
}

fn timestamp(section: &mut Section<'_>) -> Option<Timestamp> {
    let from = section.optional("from", paths);
    let zone = section.optional("zone", zone);
    let when = section.optional("when", Field::condition);
    Some(Timestamp { from: from.unwrap_or_default(), zone, when })
}

fn zone(field: &Field<'_>) -> Option<Tz> {
    let text = field.text()?;
    if let Ok(zone) = text.parse() {
        return Some(zone);
    }
    let names: Vec<&str> = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()).collect();
    let near = nearest(text, &names).filter(|_| !field.is_expanded());
    let hint =
        near.map_or("write a name such as `Europe/Berlin` or `UTC`".to_owned(), |n| format!("did you mean `{n}`?"));
    field.refuse_with(&format!("`{text}` is not the name of a time zone"), Some(hint))
}

fn hash(section: &mut Section<'_>) -> Option<Hash> {
    let fields = section.required("fields", paths);
    let of_features = fields.as_ref().is_some_and(|fields| matches!(&fields[..], [one] if one.as_str() == "features"));
    let into = match of_features {
        true => section.optional("into", Field::field_path).or_else(|| Path::new("input_hash").ok()),
        false => section.required("into", Field::field_path),
    };
    let key = section.optional("key", Field::secret);
    let when = section.optional("when", Field::condition);
    Some(Hash { fields: fields?, into: into?, key, when })
}

fn flag(section: &mut Section<'_>) -> Option<Flag> {
    let into = section.required("into", Field::field_path);
    let when = section.required("when", Field::condition);
    Some(Flag { into: into?, when: when? })
}

fn redact(section: &mut Section<'_>) -> Option<Redact> {
    let fields = section.required("fields", paths);
    let with = section.optional("with", |field| field.typed().map(|scalar| scalar.text.clone()));
    let when = section.optional("when", Field::condition);
    Some(Redact { fields: fields?, with: with.unwrap_or_else(|| "[redacted]".to_owned()), when })
}

fn add(section: &mut Section<'_>) -> Option<Add> {
    let fields = section.required("fields", |field| field.by_path(json));
    let when = section.optional("when", Field::condition);
    Some(Add { fields: fields?, when })
}

/// A single value as JSON text, typed as YAML does: what is quoted or expanded is a string.
pub(super) fn json(field: &Field<'_>) -> Option<String> {
    let scalar = field.typed()?;
    match scalar.kind {
        Kind::Null => Some("null".to_owned()),
        Kind::Boolean => Some(scalar.text.clone()),
        Kind::Text => Some(serde_json::Value::from(scalar.text.as_str()).to_string()),
        Kind::Number => json_number(scalar).map_or_else(
            || field.refuse_with("JSON has no such number", Some("put it in quotes if text is meant".to_owned())),
            Some,
        ),
    }
}

/// A number as it is written where JSON writes it so too, else its value.
fn json_number(scalar: &Scalar) -> Option<String> {
    if serde_json::from_str::<&serde_json::value::RawValue>(&scalar.text).is_ok() {
        return Some(scalar.text.clone());
    }
    match saphyr::Scalar::parse_from_cow(scalar.text.as_str().into()) {
        saphyr::Scalar::Integer(number) => Some(number.to_string()),
        saphyr::Scalar::FloatingPoint(number) => serde_json::Number::from_f64(number.0).map(|n| n.to_string()),
        _ => None,
    }
}

fn rename(section: &mut Section<'_>) -> Option<Rename> {
    let fields = section.required("fields", |field| field.by_path(Field::field_path));
    let when = section.optional("when", Field::condition);
    Some(Rename { fields: fields?, when })
}

fn drop_step(section: &mut Section<'_>) -> Option<Drop> {
    let name = section.optional("name", drop_name);
    let when = section.required("when", Field::condition);
    Some(Drop { name: name.unwrap_or_else(|| "drop".to_owned()), when: when? })
}

pub(super) fn drop_name(field: &Field<'_>) -> Option<String> {
    let text = field.text()?;
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    match text.len() <= DROP_NAME_BYTES_MAX && text.chars().all(allowed) {
        true => Some(text.to_owned()),
        false => {
            let rule = "lower-case letters, digits, `_` and `-`";
            field.refuse(&format!("a rule's name has at most {DROP_NAME_BYTES_MAX} characters: {rule}"))
        }
    }
}

fn id(section: &mut Section<'_>) -> Option<Id> {
    let from = section.required("from", paths);
    let unique = section.optional("unique", Field::boolean);
    let when = section.optional("when", Field::condition);
    Some(Id { from: from?, unique: unique.unwrap_or(false), when })
}
