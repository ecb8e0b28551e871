//! Self-test: does a pipeline do what its own `tests:` say?
//!
//! Each line goes through the same decode and enrich as in a run, read at a fixed time on a host of a fixed name, so that
//! the answer is the same everywhere. No file, no state, no network. What no test reaches is named.

use std::sync::Arc;

use super::trial::{Trial, TrialResult};
use super::walk::Walk;
use crate::config::model::{Expectation, ExpectedMembers, Pipeline, TestCase};
use crate::enrich::{Action, Source};
use crate::flow::batch::SourceFile;
use crate::flow::line::Form;
use crate::flow::reject::Reject;
use crate::kql::Decimal;
use crate::record::{Record, Space, json};
use crate::source::framing::{Framing, Lines};
use crate::state::checkpoint::HEAD_BYTES_MAX;
use crate::telemetry::Telemetry;
use crate::text::encoding::Encoding;

/// The host of a test that names none.
pub const HOST: &str = "test-host";

/// The time of a test that names none: 2026-01-01T00:00:00Z, in microseconds since 1970.
pub const NOW_US: i64 = 1_767_225_600_000_000;

/// The file that the lines come from.
pub const FILE: &str = "test.ndjson";

/// What came of the tests of a pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestReport {
    /// The differences that each test found, in the order of the tests.
    pub tests: Vec<Vec<Difference>>,
    /// How far the tests reach each processor.
    pub reach: Vec<Reach>,
}

/// How far the tests of a pipeline reach one of its processors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// No record came to it, or none met its condition.
    #[default]
    Never,
    /// It ran, and changed nothing.
    Idle,
    /// It did something.
    Covered,
}

/// Something that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which line of the test, counted from 0.
    pub line: usize,
    /// The member; `None` when it is about the line as a whole.
    pub member: Option<String>,
    /// What was expected.
    pub expected: String,
    /// What came.
    pub got: String,
}

/// Runs the tests of a pipeline.
pub fn run(pipeline: &Pipeline) -> TestReport {
    let pipeline = &without_host(pipeline);
    let mut report = TestReport { tests: Vec::new(), reach: vec![Reach::Never; pipeline.enrich.len()] };
    for case in &pipeline.tests {
        let differences = run_one(pipeline, case, &mut report.reach);
        report.tests.push(differences);
    }
    report
}

/// A pipeline that does not ask this machine for its zone.
fn without_host(pipeline: &Pipeline) -> Pipeline {
    let mut pipeline = pipeline.clone();
    for step in &mut pipeline.enrich {
        if let Action::Timestamp(timestamp) = &mut step.action {
            timestamp.forget_host();
        }
    }
    pipeline
}

fn run_one(pipeline: &Pipeline, case: &TestCase, reach: &mut [Reach]) -> Vec<Difference> {
    let counters = Telemetry::default().pipeline(&pipeline.name);
    let mut trial = Trial::new(pipeline, case.host.as_deref().unwrap_or(HOST), &counters);
    let path = case.file.as_deref().unwrap_or(FILE).to_owned();
    let form = test_form(pipeline, &case.lines.join("\n"));
    let file = Arc::new(SourceFile { path, form, ..SourceFile::default() });
    let read_us = case.now.map_or(NOW_US, |now| now.timestamp_micros());
    let mut offset_bytes = 0;
    let mut differences = Vec::new();
    for (number, text) in case.lines.iter().enumerate() {
        let mut found = Differences { line: number, differences: &mut differences };
        let mut lines = Lines::new(text.as_bytes(), offset_bytes, form);
        let mut is_empty = true;
        while let Some(line) = lines.next_line() {
            is_empty = false;
            let mut walk = Walk::default();
            for tried in trial.run(&line, &Source::of(&file, &line, read_us), &mut walk) {
                judge(&case.expectation, &tried, &mut found);
            }
            add_reach(&walk, reach);
        }
        if is_empty {
            found.add(None, in_words(&case.expectation), "nothing: the line holds no entry");
        }
        offset_bytes += text.len() as u64 + 1;
    }
    differences
}

/// How the lines of a test are written: in UTF-8, as they stand in the pipeline file, and wrapped as a file that begins so.
pub(super) fn test_form(pipeline: &Pipeline, beginning: &str) -> Form {
    let framing = Framing { encoding: Encoding::Utf8, ..pipeline.source.files.framing() };
    framing.form(&beginning.as_bytes()[..beginning.len().min(HEAD_BYTES_MAX)])
}

/// Takes note of what processors did.
fn add_reach(walk: &Walk, reach: &mut [Reach]) {
    for steps in &walk.records {
        for (reached, seen) in reach.iter_mut().zip(steps).filter(|(_, seen)| seen.ran) {
            *reached = (*reached).max(if seen.did_something() { Reach::Covered } else { Reach::Idle });
        }
    }
}

/// Collects the differences of one line.
struct Differences<'d> {
    line: usize,
    differences: &'d mut Vec<Difference>,
}

impl Differences<'_> {
    fn add(&mut self, member: Option<&str>, expected: impl Into<String>, got: impl Into<String>) {
        let (expected, got) = (expected.into(), got.into());
        self.differences.push(Difference { line: self.line, member: member.map(str::to_owned), expected, got });
    }
}

fn judge(expectation: &Expectation, tried: &Result<TrialResult, Reject>, found: &mut Differences<'_>) {
    let as_expected = match (expectation, tried) {
        (Expectation::Document(expected), Ok(TrialResult { verdict, document, .. })) if verdict.dropped.is_none() => {
            return judge_document(expected, document, found);
        }
        (Expectation::Dropped(rule), Ok(tried)) => tried.verdict.dropped.as_deref() == Some(rule),
        (Expectation::Rejected { reason, stage }, Err(reject)) => {
            reject.reason == *reason && stage.is_none_or(|stage| stage == reject.stage)
        }
        _ => false,
    };
    if !as_expected {
        found.add(None, in_words(expectation), outcome(tried));
    }
}

fn in_words(expectation: &Expectation) -> String {
    match expectation {
        Expectation::Document(_) => "a document".to_owned(),
        Expectation::Dropped(rule) => format!("dropped by `{rule}`"),
        Expectation::Rejected { reason, stage: None } => format!("rejected: {reason}"),
        Expectation::Rejected { reason, stage: Some(stage) } => format!("rejected by {stage}: {reason}"),
    }
}

fn outcome(tried: &Result<TrialResult, Reject>) -> String {
    match tried {
        Ok(TrialResult { verdict, .. }) => match &verdict.dropped {
            Some(rule) => format!("dropped by `{rule}`"),
            None => "a document".to_owned(),
        },
        Err(reject) => format!("rejected by {}: {} ({})", reject.stage, reject.reason, reject.detail),
    }
}

fn judge_document(expected: &ExpectedMembers, document: &[u8], found: &mut Differences<'_>) {
    let text = String::from_utf8_lossy(document);
    let mut space = Space::default();
    let record = match Record::parse(&text, &mut space) {
        Ok(record) => record,
        Err(reject) => {
            return found.add(None, "a document", format!("a document that is no record: {}", reject.detail));
        }
    };
    let nothing = || "no such member".to_owned();
    for (path, value) in &expected.equal {
        let got = values(&record, path.as_str());
        if got.is_empty() {
            found.add(Some(path.as_str()), value, nothing());
        }
        // Every spelling of a path counts: one that is not as expected may be the one that leaks.
        got.iter().filter(|got| !equal(value, got)).for_each(|got| found.add(Some(path.as_str()), value, got));
    }
    for (path, expression) in &expected.matching {
        let got = values(&record, path.as_str());
        let expected = || format!("something that matches /{expression}/");
        if got.is_empty() {
            found.add(Some(path.as_str()), expected(), nothing());
        }
        let matches =
            |raw: &str| expression.is_match(&if raw.starts_with('"') { json::unescape(raw) } else { raw.into() });
        got.iter().filter(|got| !matches(got)).for_each(|got| found.add(Some(path.as_str()), expected(), got));
    }
    for path in &expected.absent {
        // What is below it is there, too.
        if let Some(got) = record.whole(path.as_str()) {
            found.add(Some(path.as_str()), nothing(), got);
        }
    }
}

/// The values at a path, in every spelling of it.
fn values(record: &Record<'_>, path: &str) -> Vec<String> {
    let mut values = Vec::new();
    record.any(path, &mut |raw| {
        values.push(raw.to_owned());
        false
    });
    values
}

/// Whether two JSON texts say the same: members in any order, numbers by their exact value, escapes and blanks as you like.
fn equal(one: &str, other: &str) -> bool {
    let elements = |raw: &str| -> Vec<String> {
        sonic_rs::to_array_iter(raw).flatten().map(|value| value.as_raw_str().to_owned()).collect()
    };
    let members = |raw: &str| -> Vec<(String, String)> {
        let members = sonic_rs::to_object_iter(raw).flatten();
        let mut members: Vec<_> =
            members.map(|(name, value)| (name.to_string(), value.as_raw_str().to_owned())).collect();
        members.sort_unstable();
        members
    };
    let kind = |raw: &str| raw.bytes().next().map_or(b' ', |first| if first == b'-' { b'0' } else { first });
    match (kind(one), kind(other)) {
        (b'{', b'{') => {
            let (one, other) = (members(one), members(other));
            one.len() == other.len() && one.iter().zip(&other).all(|(a, b)| a.0 == b.0 && equal(&a.1, &b.1))
        }
        (b'[', b'[') => {
            let (one, other) = (elements(one), elements(other));
            one.len() == other.len() && one.iter().zip(&other).all(|(a, b)| equal(a, b))
        }
        (b'"', b'"') => json::unescape(one) == json::unescape(other),
        (b'0'..=b'9', b'0'..=b'9') => {
            Decimal::read(one).zip(Decimal::read(other)).is_some_and(|(one, other)| one == other)
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_compared_as_json() {
        for (one, other, expected) in [
            ("1.50", "15e-1", true),
            ("-1", "-1.0", true),
            ("12345678901234567890", "12345678901234567891", false),
            ("1", "\"1\"", false),
            (r#""a\u0062""#, r#""ab""#, true),
            ("\"a\"", "\"b\"", false),
            (r#"{"a":1,"b":[1, 2]}"#, r#"{ "b":[1.0,2],"a":1 }"#, true),
            (r#"{"a":1}"#, r#"{"a":1,"b":2}"#, false),
            ("[1,2]", "[2,1]", false),
            ("[]", "{}", false),
            ("null", "null", true),
            ("true", "false", false),
        ] {
            assert_eq!(equal(one, other), expected, "{one} {other}");
        }
    }
}
