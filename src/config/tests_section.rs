//! `tests`: the cases that a pipeline file brings for itself. They are read and checked here, and run elsewhere.

use super::enrich;
use super::field::Field;
use super::model::{Expectation, Step, TestCase};
use super::section::{Section, did_you_mean};

pub(super) fn tests(field: &Field<'_>, steps: &[Step]) -> Option<Vec<TestCase>> {
    let mut cases: Vec<TestCase> = Vec::new();
    for item in field.items() {
        let Some(case) = case(&item, steps) else { continue };
        if cases.iter().any(|other| other.name == case.name) {
            item.complain("two tests have the same name".to_owned(), None);
        }
        cases.push(case);
    }
    Some(cases)
}

fn case(field: &Field<'_>, steps: &[Step]) -> Option<TestCase> {
    let mut section = field.section()?;
    let name = section.required("name", |field| field.text().map(str::to_owned));
    let line = section.required("line", line);
    let expectation = expectation(&mut section, steps);
    let position = section.context.position(&field.node.span);
    section.finish();
    Some(TestCase { name: name?, line: line?, expectation: expectation?, position })
}

/// A line: a block of text (`|`) may bring its line end.
fn line(field: &Field<'_>) -> Option<String> {
    let text = field.text()?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    match line.contains('\n') {
        true => field.refuse("a test gives one line"),
        false => Some(line.to_owned()),
    }
}

fn expectation(section: &mut Section<'_>, steps: &[Step]) -> Option<Expectation> {
    let [document, dropped, rejected] = ["expect", "expect_drop", "expect_reject"].map(|key| section.field(key));
    match (document, dropped, rejected) {
        (Some(field), None, None) => field.by_path(enrich::json).map(Expectation::Document),
        (None, Some(field), None) => rule(&field, steps).map(Expectation::Dropped),
        (None, None, Some(field)) => field.text().map(|reason| Expectation::Rejected(reason.to_owned())),
        _ => {
            section.complain("a test needs one of `expect`, `expect_drop`, `expect_reject`".to_owned(), None);
            None
        }
    }
}

/// The name of a rule that drops: one of those of the file.
fn rule(field: &Field<'_>, steps: &[Step]) -> Option<String> {
    let name = enrich::drop_name(field)?;
    let rules: Vec<&str> = steps
        .iter()
        .filter_map(|step| if let Step::Drop(drop) = step { Some(drop.name.as_str()) } else { None })
        .collect();
    if rules.contains(&name.as_str()) {
        return Some(name);
    }
    let hint = match rules.is_empty() {
        true => "the pipeline drops nothing".to_owned(),
        false if field.is_expanded() => did_you_mean("", &rules, "known rules"),
        false => did_you_mean(&name, &rules, "known rules"),
    };
    field.refuse_with("no `drop` has this name", Some(hint))
}
