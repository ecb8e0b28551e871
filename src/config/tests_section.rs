//! `tests`: the cases that a pipeline file brings for itself. They are read and checked here, and run elsewhere.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use regex::Regex;

use super::enrich;
use super::field::Field;
use super::model::{Expectation, ExpectedMembers, Step, TestCase};
use super::section::{Section, did_you_mean};
use super::yaml::{Node, Value};
use crate::decode::LEFT_OUT_NAMES;
use crate::flow::reasons;
use crate::flow::reject::Stage;
use crate::source::framing::{Framing, Lines};
use crate::text::encoding::Encoding;

/// The stages that turn lines away before a sink sees them.
const STAGES: [Stage; 3] = [Stage::Source, Stage::Decode, Stage::Enrich];

/// Reads the list, of a pipeline with these processors that frames its lines so.
pub(super) fn tests(field: &Field<'_>, steps: &[Step], framing: Option<Framing>) -> Option<Vec<TestCase>> {
    let mut cases: Vec<TestCase> = Vec::new();
    let mut names = HashSet::new();
    for item in field.items() {
        let Some(case) = case(&item, steps, framing) else { continue };
        if !names.insert(case.name.clone()) {
            item.complain("two tests have the same name".to_owned(), None);
        }
        cases.push(case);
    }
    Some(cases)
}

fn case(field: &Field<'_>, steps: &[Step], framing: Option<Framing>) -> Option<TestCase> {
    let mut section = field.section()?;
    let name = section.required("name", |field| field.text().map(str::to_owned));
    let lines = lines(&mut section, framing);
    let expectation = expectation(&mut section, steps);
    let now = section.optional("now", now);
    let host = section.optional("host", |field| field.text().map(str::to_owned));
    let file = section.optional("file", |field| field.text().map(str::to_owned));
    let position = section.context.position(&field.node.span);
    section.finish();
    Some(TestCase { name: name?, lines: lines?, expectation: expectation?, now, host, file, position })
}

fn lines(section: &mut Section<'_>, framing: Option<Framing>) -> Option<Vec<String>> {
    let line = |field: &Field<'_>| line(field, framing);
    match (section.field("line"), section.field("lines")) {
        (Some(one), None) => line(&one).map(|line| vec![line]),
        (None, Some(several)) => several.list(line),
        _ => {
            section.complain("a test needs `line` or `lines`".to_owned(), None);
            None
        }
    }
}

/// A line, or several that are one entry: a block of text (`|`) may bring its line end.
fn line(field: &Field<'_>, framing: Option<Framing>) -> Option<String> {
    let text = field.text()?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let are_several = |framing: Framing| {
        let form = Framing { encoding: Encoding::Utf8, ..framing }.form(line.as_bytes());
        let mut lines = Lines::new(line.as_bytes(), 0, form);
        lines.next_line().is_some() && lines.next_line().is_some()
    };
    match line.contains('\n') && framing.is_some_and(are_several) {
        true => field.refuse_with("this is more than one line", Some("several go into `lines`, a list".to_owned())),
        false => Some(line.to_owned()),
    }
}

fn now(field: &Field<'_>) -> Option<DateTime<Utc>> {
    match DateTime::parse_from_rfc3339(field.text()?) {
        Ok(time) => Some(time.to_utc()),
        Err(_) => field.refuse("write a time such as `2026-11-24T10:00:00Z`"),
    }
}

fn expectation(section: &mut Section<'_>, steps: &[Step]) -> Option<Expectation> {
    let [dropped, rejected] = ["expect_drop", "expect_reject"].map(|key| section.field(key));
    let document = ["expect", "expect_match", "expect_absent"].map(|key| section.field(key));
    match (document, dropped, rejected) {
        ([None, None, None], Some(field), None) => rule(&field, steps).map(Expectation::Dropped),
        ([None, None, None], None, Some(field)) => reject(&field),
        ([equal, matching, absent], None, None) if equal.is_some() || matching.is_some() || absent.is_some() => {
            let equal = equal.map(|field| field.by_path(json));
            let matching = matching.map(|field| field.by_path(expression));
            let absent = absent.map(|field| field.list(Field::field_path));
            Some(Expectation::Document(ExpectedMembers {
                equal: equal.unwrap_or_else(|| Some(Vec::new()))?,
                matching: matching.unwrap_or_else(|| Some(Vec::new()))?,
                absent: absent.unwrap_or_else(|| Some(Vec::new()))?,
            }))
        }
        _ => {
            let message =
                "a test needs `expect` (and `expect_match`, `expect_absent`), or `expect_drop`, or `expect_reject`";
            section.complain(message.to_owned(), None);
            None
        }
    }
}

/// A value of any kind as JSON text.
fn json(field: &Field<'_>) -> Option<String> {
    let inner = |name: String, node: &Node| json(&Field { name, node, key_span: field.key_span.clone(), ..*field });
    match &field.node.value {
        Value::Scalar(_) => enrich::json_text(field),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(|item| inner(field.name.clone(), item)).collect();
            Some(format!("[{}]", items.into_iter().collect::<Option<Vec<_>>>()?.join(",")))
        }
        Value::Map(entries) => {
            let member = |(key, value): (&str, Option<String>)| Some(format!("{}:{}", quoted(key), value?));
            let read = entries
                .iter()
                .map(|entry| (entry.key.as_str(), inner(format!("{}.{}", field.name, entry.key), &entry.value)));
            let members: Vec<_> = read.collect::<Vec<_>>().into_iter().map(member).collect();
            Some(format!("{{{}}}", members.into_iter().collect::<Option<Vec<_>>>()?.join(",")))
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn expression(field: &Field<'_>) -> Option<Regex> {
    match Regex::new(field.text()?) {
        Ok(expression) => Some(expression),
        Err(_) => field.refuse_with(
            "this is not a regular expression",
            Some("the syntax is that of the Rust crate `regex`: no look-around, no back-references".to_owned()),
        ),
    }
}

/// A reason, or a map of a reason and its stage.
fn reject(field: &Field<'_>) -> Option<Expectation> {
    let Value::Map(_) = &field.node.value else {
        return reason(field).map(|reason| Expectation::Rejected { reason, stage: None });
    };
    let mut section = field.section()?;
    let reason = section.required("reason", reason);
    let word = section.optional("stage", |field| field.word(&STAGES.map(Stage::as_str)));
    section.finish();
    let stage = word.and_then(|word| STAGES.into_iter().find(|stage| stage.as_str() == word));
    Some(Expectation::Rejected { reason: reason?, stage })
}

fn reason(field: &Field<'_>) -> Option<String> {
    let text = field.text()?;
    let known = reasons::of_lines();
    if known.contains(&text) {
        return Some(text.to_owned());
    }
    let near = if field.is_expanded() { "" } else { text };
    field.refuse_with("no stage rejects a line for this reason", Some(did_you_mean(near, &known, "known reasons")))
}

/// The name of a rule that drops: one of those of the file.
fn rule(field: &Field<'_>, steps: &[Step]) -> Option<String> {
    let name = enrich::drop_name(field)?;
    let rules: Vec<&str> =
        steps.iter().filter_map(|step| step.action.processor().drops()).map(|rule| &**rule).collect();
    if rules.contains(&name.as_str()) || LEFT_OUT_NAMES.contains(&name.as_str()) {
        return Some(name);
    }
    let hint = match rules.is_empty() {
        true => "the pipeline drops nothing".to_owned(),
        false if field.is_expanded() => did_you_mean("", &rules, "known rules"),
        false => did_you_mean(&name, &rules, "known rules"),
    };
    field.refuse_with("no `drop` or `sample` has this name", Some(hint))
}
