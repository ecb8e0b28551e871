//! `enrich`: which processors edit a record, in which order?

mod contract;
mod convert;
mod copy;
mod extract;
mod flatten;
mod geoip;
mod hash;
mod lookup;
mod redact;
mod roles;
mod sample;
mod scale;
mod timestamp;
mod truncate;
mod user_agent;

use super::field::{Choice, Field};
use super::section::Section;
use super::yaml::{Kind, Scalar};
use crate::enrich::{Action, Add, Drop, Flag, IdFrom, Kubernetes, Remove, Rename, Step};
use crate::kql::Expression;
use crate::record::{Path, PathPattern};

/// Reads the options of a processor.
type Reader = fn(&mut Section<'_>) -> Option<Step>;

/// The processors by their names.
const PROCESSORS: &[(&str, Reader)] = &[
    ("roles", roles::roles),
    ("timestamp", timestamp::timestamp),
    ("hash", hash::hash),
    ("contract", contract::contract),
    ("flag", flag),
    ("redact", redact::redact),
    ("remove", remove),
    ("add", add),
    ("rename", rename),
    ("extract", extract::extract),
    ("lookup", lookup::lookup),
    ("geoip", geoip::geoip),
    ("user_agent", user_agent::user_agent),
    ("kubernetes", kubernetes),
    ("copy", copy::copy),
    ("convert", convert::convert),
    ("scale", scale::scale),
    ("flatten", flatten::flatten),
    ("truncate", truncate::truncate),
    ("drop", drop_step),
    ("sample", sample::sample),
    ("id", id),
];

const DROP_NAME_BYTES_MAX: usize = 64;

/// Reads the list; what is wrong with one processor does not hide what is wrong with the next.
pub(super) fn enrich(field: &Field<'_>) -> Option<Vec<Step>> {
    let mut seen = Vec::new();
    let mut steps: Vec<Step> = Vec::new();
    let mut timed = Vec::new();
    let names: Vec<&str> = PROCESSORS.iter().map(|(name, _)| *name).collect();
    for item in field.items() {
        let Some(choice) = item.choice("processor", &names) else { continue };
        if matches!(choice.name, "timestamp" | "id") && seen.contains(&choice.name) {
            let message = format!("a pipeline has at most one `{}`", choice.name);
            choice.section.complain(message, None);
        }
        seen.push(choice.name);
        if choice.name == "timestamp" {
            timed.drain(..).for_each(|item| refuse_to_be_early(&item));
        }
        let step = step(choice);
        if let Some(step) = &step {
            refuse_half_hidden(&item, step, &steps);
            refuse_to_scatter_what_is_hidden(&item, step, &steps);
            remark_what_is_derived(&item, step, &steps);
        }
        let is_timed = |condition: &Expression| condition.compares("@timestamp");
        if step.as_ref().is_some_and(|step| step.name() != "timestamp" && step.conditions().any(is_timed)) {
            timed.push(item);
        }
        steps.extend(step);
    }
    Some(steps)
}

/// A rule that hides what an earlier processor has copied, and not the copy: it would be shipped.
fn refuse_half_hidden(item: &Field<'_>, step: &Step, before: &[Step]) {
    let hides = step.action.processor().hides();
    for earlier in before {
        for (from, copy) in earlier.action.processor().copies() {
            let copies =
                hides.iter().flat_map(|hidden| hidden.moved(&from, &copy).into_iter().map(move |it| (hidden, it)));
            let is_hidden = |copy: &PathPattern| hides.iter().any(|hidden| hidden.covers(copy.as_str()));
            for (hidden, copy) in copies.filter(|(_, copy)| !is_hidden(copy)) {
                let name = earlier.name();
                let message =
                    format!("`{hidden}` is hidden here, and its copy `{copy}`, which `{name}` has made, is not");
                let hint = format!("name `{copy}` as well, or put this before `{name}`");
                // Who removes a member may only want it once.
                match &step.action {
                    Action::Remove(_) => item.context.remark(&item.node.span, message, Some(hint)),
                    _ => item.complain(message, Some(hint)),
                }
            }
        }
    }
}

/// A rule that hides what an earlier processor has looked at: what that made of it stays. Or the reverse: what is hidden
/// already says nothing any more.
fn remark_what_is_derived(item: &Field<'_>, step: &Step, before: &[Step]) {
    let remark = |message, hint: String| item.context.remark(&item.node.span, message, Some(hint));
    let processor = step.action.processor();
    for earlier in before {
        let (name, derived) = (earlier.name(), earlier.action.processor().derives());
        let hides = processor.hides();
        let is_hidden = |path: &Path| hides.iter().any(|hidden| hidden.covers(path.as_str()));
        if let Some((from, into)) = derived.iter().find(|(from, into)| is_hidden(from) && !is_hidden(into)) {
            let message =
                format!("`{from}` is hidden here, and what `{name}` has made of it, such as `{into}`, is not");
            remark(message, format!("leave it so if that may be known; else hide it as well, or leave out `{name}`"));
        }
        let hides = earlier.action.processor().hides();
        let mut looked_at = processor.derives().into_iter().map(|(from, _)| from);
        if let Some(from) = looked_at.find(|from| hides.iter().any(|hidden| hidden.covers(from.as_str()))) {
            let message = format!("`{from}` is hidden by `{name}` before `{}` looks at it", step.name());
            remark(message, format!("put it before `{name}`: of what is hidden it makes nothing"));
        }
    }
}

/// A rule that hides what another processor gives names that no rule knows: a record that is turned away between the
/// two, or that a condition excepts, would be kept in clear.
fn refuse_to_scatter_what_is_hidden(item: &Field<'_>, step: &Step, before: &[Step]) {
    for earlier in before {
        for (hiding, scattering) in [(step, earlier), (earlier, step)] {
            let scattered = scattering.action.processor().scatters();
            let meets = |hidden: &PathPattern| scattered.iter().find(|path| hidden.meets(path.as_str()));
            let hides = hiding.action.processor().hides();
            let Some((hidden, path)) = hides.iter().find_map(|hidden| Some((hidden, meets(hidden)?))) else { continue };
            let (hiding, scattering) = (hiding.name(), scattering.name());
            let message = format!(
                "`{hiding}` hides `{hidden}`, and `{scattering}` gives what is in `{path}` names that no rule knows"
            );
            item.complain(message, Some(format!("leave out `separator`: then `{hidden}` finds the new names too")));
        }
    }
}

/// A condition on the time, before the processor that reads it.
fn refuse_to_be_early(item: &Field<'_>) {
    let message = "its condition compares `@timestamp`, which `timestamp` reads only further down".to_owned();
    item.complain(message, Some("put `timestamp` before it".to_owned()));
}

fn step(choice: Choice<'_>) -> Option<Step> {
    let Choice { name, mut section } = choice;
    let reader = PROCESSORS.iter().find(|(known, _)| *known == name).map(|(_, reader)| reader)?;
    let step = reader(&mut section);
    section.finish();
    step
}

/// A processor whose condition may be left out.
fn made(section: &mut Section<'_>, action: Option<Action>) -> Option<Step> {
    let when = section.optional("when", Field::condition);
    Some(Step { when, action: action? })
}

fn patterns(field: &Field<'_>) -> Option<Vec<PathPattern>> {
    field.list(Field::path_pattern)
}

fn paths(field: &Field<'_>) -> Option<Vec<Path>> {
    field.list(Field::field_path)
}

fn flag(section: &mut Section<'_>) -> Option<Step> {
    let into = section.required("into", Field::field_path);
    let when = section.required("when", Field::condition);
    Some(Step { when: None, action: Action::Flag(Flag { into: into?, when: when? }) })
}

fn kubernetes(section: &mut Section<'_>) -> Option<Step> {
    made(section, Some(Action::Kubernetes(Kubernetes::default())))
}

fn remove(section: &mut Section<'_>) -> Option<Step> {
    let fields = section.required("fields", patterns);
    made(section, fields.map(|fields| Action::Remove(Remove { fields })))
}

fn add(section: &mut Section<'_>) -> Option<Step> {
    let fields = section.required("fields", |field| field.by_path(json_text));
    made(section, fields.map(|fields| Action::Add(Add { fields })))
}

/// A single value as JSON text, typed as YAML does: what is quoted or expanded is a string.
pub(super) fn json_text(field: &Field<'_>) -> Option<String> {
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

fn rename(section: &mut Section<'_>) -> Option<Step> {
    let fields = section.required("fields", |field| field.by_path(Field::field_path));
    made(section, fields.map(|fields| Action::Rename(Rename { fields })))
}

fn drop_step(section: &mut Section<'_>) -> Option<Step> {
    let name = section.optional("name", drop_name);
    let when = section.required("when", Field::condition);
    let rule = name.unwrap_or_else(|| "drop".to_owned()).into();
    Some(Step { when: Some(when?), action: Action::Drop(Drop { rule }) })
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

fn id(section: &mut Section<'_>) -> Option<Step> {
    let from = section.required("from", paths);
    let unique = section.optional("unique", Field::boolean);
    made(section, from.map(|from| Action::Id(IdFrom { from, unique: unique.unwrap_or(false) })))
}
