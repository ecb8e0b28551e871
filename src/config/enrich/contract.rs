//! Options of `contract`: what does each field promise?

use super::{json_text, made};
use crate::config::field::Field;
use crate::config::section::Section;
use crate::enrich::{Action, Contract, KEYWORD_CHARACTERS_MAX, Promise, PromisedType, Step};

const TYPES: [&str; 7] = ["keyword", "text", "number", "integer", "boolean", "object", "list"];
const NUMBERS: &[PromisedType] = &[PromisedType::Number, PromisedType::Integer];
const TEXTS: &[PromisedType] = &[PromisedType::Text];

pub(super) fn contract(section: &mut Section<'_>) -> Option<Step> {
    let contract = section.required("fields", |field| {
        Contract::new(field.by_path(promise)?).map_or_else(|problem| field.refuse(&problem), Some)
    });
    made(section, contract.map(Action::Contract))
}

fn promise(field: &Field<'_>) -> Option<Promise> {
    let Some(mut section) = field.map_of_options() else { return kind(field) };
    let mut promise = section.optional("type", kind).unwrap_or_default();
    promise.is_required = section.optional("required", Field::boolean).unwrap_or(false);
    let of = promise.kind;
    let bound = |field: &Field<'_>| fits(field, of, NUMBERS)?.number(-1e300..=1e300);
    let (min, max) = (section.optional("min", bound), section.optional("max", bound));
    let length_max = section.optional("length_max", |field| fits(field, of, TEXTS)?.integer(1..=1_000_000));
    promise.range = (min, max);
    promise.length_max = length_max.map(|characters| characters as usize).or(promise.length_max);
    let values = section.optional("values", |field| values(field, &promise));
    if min.zip(max).is_some_and(|(min, max)| min > max) {
        section.complain(format!("`{}`: `min` is above `max`", field.name), None);
    }
    section.finish();
    Some(Promise { values: values.unwrap_or_default(), ..promise })
}

/// The field, if what it bounds is of the promised type.
fn fits<'f, 'a>(field: &'f Field<'a>, of: Option<PromisedType>, kinds: &[PromisedType]) -> Option<&'f Field<'a>> {
    let words = if kinds == NUMBERS { "`type: number` or `integer`" } else { "`type: text` or `keyword`" };
    match of.is_some_and(|kind| kinds.contains(&kind)) {
        true => Some(field),
        false => field.refuse_with("the promised type has no such bound", Some(format!("it needs {words}"))),
    }
}

/// The values that are allowed, each of which keeps the rest of the promise.
fn values(field: &Field<'_>, promise: &Promise) -> Option<Vec<String>> {
    let values = field.list(json_text)?;
    let Some(reason) = values.iter().find_map(|value| promise.fault(value)) else { return Some(values) };
    let hint = "a text that looks like a number, `true` or `null` stands in quotes".to_owned();
    field.refuse_with(&format!("one of these could never be: `{reason}`"), Some(hint))
}

fn kind(field: &Field<'_>) -> Option<Promise> {
    let word = field.word(&TYPES)?;
    let kind = match word {
        "number" => PromisedType::Number,
        "integer" => PromisedType::Integer,
        "boolean" => PromisedType::Boolean,
        "object" => PromisedType::Object,
        "list" => PromisedType::List,
        _ => PromisedType::Text,
    };
    let length_max = (word == "keyword").then_some(KEYWORD_CHARACTERS_MAX);
    Some(Promise { kind: Some(kind), length_max, ..Promise::default() })
}
