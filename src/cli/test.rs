//! `inferlog test`: do pipelines do what their own `tests:` say? No network, no state.

use std::path::PathBuf;

use serde_json::json;

use super::{Failure, NOT_SO, TextFormat, load, print, print_data, say, start_log};
use crate::config::model::{Pipeline, TestCase};
use crate::judge::self_test::{self, Difference, Reach, TestReport};
use crate::text::harmless::harmless;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Pipeline files, or folders of them [default: pipelines/]
    #[arg(value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// Also fail when a processor does nothing in any test
    #[arg(long)]
    require_coverage: bool,
    /// How to print the results; `json` is one line a test
    #[arg(long, value_enum, default_value = "text")]
    format: TextFormat,
}

/// Of all pipelines together.
#[derive(Default)]
struct Totals {
    passed: usize,
    failed: usize,
    covered: usize,
    processors: usize,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    start_log("warn");
    let pipelines = load(&arguments.paths)?;
    let mut totals = Totals::default();
    for pipeline in &pipelines {
        let report = self_test::run(pipeline);
        match arguments.format {
            TextFormat::Text => print_text(pipeline, &report),
            TextFormat::Json => print_json(pipeline, &report),
        }
        totals.add(&report);
    }
    let Totals { passed, failed, covered, processors } = totals;
    let summary = format!("{passed} passed, {failed} failed; {covered} of {processors} processors covered");
    match arguments.format {
        TextFormat::Text => print(&format!("\n{summary}")),
        TextFormat::Json => say(&summary),
    }
    let well = failed == 0 && (covered == processors || !arguments.require_coverage);
    if well { Ok(()) } else { Err(Failure(NOT_SO)) }
}

impl Totals {
    fn add(&mut self, report: &TestReport) {
        let failed = report.tests.iter().filter(|differences| !differences.is_empty()).count();
        self.failed += failed;
        self.passed += report.tests.len() - failed;
        self.processors += report.reach.len();
        self.covered += report.reach.iter().filter(|reach| **reach == Reach::Covered).count();
    }
}

fn print_text(pipeline: &Pipeline, report: &TestReport) {
    print(&pipeline.path.display().to_string());
    if pipeline.tests.is_empty() {
        print("  it has no `tests:`");
    }
    for (case, differences) in pipeline.tests.iter().zip(&report.tests) {
        if differences.is_empty() {
            print(&format!("  ok      {}", harmless(&case.name)));
        } else {
            print(&format!("  FAILED  {} (line {})", harmless(&case.name), case.position.line));
            differences.iter().for_each(|difference| print(&in_words(case, difference)));
        }
    }
    uncovered(pipeline, report).for_each(|words| print(&format!("  {words}")));
}

/// A difference, expected above got, so that the eye finds what is not the same.
fn in_words(case: &TestCase, difference: &Difference) -> String {
    let Difference { line, member, expected, got } = difference;
    let of_line =
        if case.lines.len() > 1 { format!("line {} of {}: ", line + 1, case.lines.len()) } else { String::new() };
    let what = member.as_deref().unwrap_or("outcome");
    let margin = " ".repeat(10);
    format!(
        "{margin}{of_line}{}\n{margin}  expected  {}\n{margin}  got       {}",
        harmless(what),
        harmless(expected),
        harmless(got)
    )
}

fn print_json(pipeline: &Pipeline, report: &TestReport) {
    for (case, differences) in pipeline.tests.iter().zip(&report.tests) {
        let differences: Vec<_> = differences
            .iter()
            .map(|Difference { line, member, expected, got }| {
                json!({ "line": line + 1, "member": member, "expected": expected, "got": got })
            })
            .collect();
        let line = json!({
            "pipeline": pipeline.name,
            "file": pipeline.path.display().to_string(),
            "line": case.position.line,
            "test": case.name,
            "result": if differences.is_empty() { "passed" } else { "failed" },
            "differences": differences,
        });
        print_data(&line.to_string());
    }
    uncovered(pipeline, report).for_each(|words| say(&format!("{}: {words}", pipeline.path.display())));
}

/// The processors that no test covers, in words.
fn uncovered<'r>(pipeline: &'r Pipeline, report: &'r TestReport) -> impl Iterator<Item = String> + 'r {
    let processors = pipeline.enrich.iter().zip(&report.reach).enumerate();
    processors.filter_map(|(position, (step, reach))| {
        let (name, number) = (step.name(), position + 1);
        let condition = match &step.when {
            None => String::new(),
            Some(when) => format!(", when `{}`", harmless(when.text())),
        };
        match reach {
            Reach::Covered => None,
            Reach::Never => {
                Some(format!("not covered: processor {number}, `{name}`{condition}: no test's record comes to it"))
            }
            Reach::Idle => {
                Some(format!("not covered: processor {number}, `{name}`{condition}: it does nothing in any test"))
            }
        }
    })
}
