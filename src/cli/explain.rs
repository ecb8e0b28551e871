//! `inferlog explain`: what does a pipeline do with a record, stage by stage? Reads lines from standard input.
//!
//! What a `redact` or `remove` of the pipeline hides is never shown, neither before nor after, whatever its condition; the document
//! at the end is the one that would be shipped.

use std::io::{BufRead as _, Read as _};
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::{COULD_NOT_LOOK, Failure, NOT_SO, TextFormat, complain, load, print, print_data, start_log};
use crate::config::model::{Pipeline, Sink, SinkOptions, Step};
use crate::elastic::target::Target;
use crate::enrich::{Action, Source};
use crate::flow::batch::SourceFile;
use crate::flow::line::Form;
use crate::flow::reasons;
use crate::flow::reject::{Reject, Stage};
use crate::judge::enrichment;
use crate::judge::inferences::{by, condition_for, option};
use crate::judge::trial::{Trial, TrialResult};
use crate::judge::walk::{Change, StepTrace, Walk};
use crate::kql::Expression;
use crate::record::{Record, Space};
use crate::source::framing::{Framing, Lines, whole_end};
use crate::state::checkpoint::HEAD_BYTES_MAX;
use crate::telemetry::Telemetry;
use crate::text::harmless::harmless;
use crate::text::units::counted;

/// The longest line that is read, in bytes: four times what a pipeline may allow.
const LINE_BYTES_MAX: u64 = 64 * 1024 * 1024;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The pipeline file; the lines come from standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The log file that the lines are taken to be from, for conditions on `log.file.path`
    #[arg(long, value_name = "PATH", default_value = "stdin")]
    log: String,
    /// How to print; `json` is one line a record
    #[arg(long, value_enum, default_value = "text")]
    format: TextFormat,
}

/// One line, and all that is known of its way.
struct Journey<'w> {
    pipeline: &'w Pipeline,
    trial: &'w Trial,
    number: u64,
    line: &'w [u8],
    /// Which record of the line it is, counted from 1, of how many.
    record: (usize, usize),
    /// The names that it had when it was decoded.
    names: Vec<String>,
    steps: Vec<StepTrace>,
    result: Result<TrialResult, Reject>,
}

/// Entries of standard input, as a pipeline frames those of a file.
struct Input {
    framing: Framing,
    form: Option<Form>,
    /// What is read and not yet taken, which begins with an entry.
    bytes: Vec<u8>,
    offset_bytes: u64,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    start_log("warn");
    let pipelines = load(std::slice::from_ref(&arguments.file))?;
    let [pipeline] = pipelines.as_slice() else {
        complain("`explain` takes one pipeline file, and this folder has several", Some("name one of them"));
        return Err(Failure(COULD_NOT_LOOK));
    };
    let counters = Telemetry::default().pipeline(&pipeline.name);
    let mut trial = Trial::new(pipeline, &enrichment::host_name(), &counters);
    let framing = pipeline.source.files.framing();
    let mut input = Input { framing, form: None, bytes: Vec::new(), offset_bytes: 0 };
    let mut file = Arc::new(SourceFile { path: arguments.log.clone(), ..SourceFile::default() });
    let (mut number, mut rejected) = (0, false);
    while let Some(end) = input.read()? {
        let form = input.form.unwrap_or_default();
        if file.form != form {
            file = Arc::new(SourceFile { path: arguments.log.clone(), form, ..SourceFile::default() });
        }
        let mut lines = Lines::new(&input.bytes[..end], input.offset_bytes, form);
        while let Some(line) = lines.next_line() {
            number += 1;
            let mut walk = Walk::default();
            let source = Source::of(&file, &line, Utc::now().timestamp_micros());
            let results = trial.run(&line, &source, &mut walk);
            let count = results.len();
            for (place, ((result, steps), names)) in results.into_iter().zip(walk.records).zip(walk.names).enumerate() {
                rejected |= result.is_err();
                let record = (place + 1, count);
                let way = Journey { pipeline, trial: &trial, number, line: line.bytes, record, names, steps, result };
                match arguments.format {
                    TextFormat::Text => print(&way.text()),
                    TextFormat::Json => print_data(&way.json().to_string()),
                }
            }
        }
        input.take(end);
    }
    if number == 0 {
        complain("standard input has no line", Some("give it one: `inferlog explain FILE < line`"));
        return Err(Failure(COULD_NOT_LOOK));
    }
    if rejected { Err(Failure(NOT_SO)) } else { Ok(()) }
}

impl Input {
    /// Reads on until there are whole entries, and says where the last one of them ends; `None` at the end.
    fn read(&mut self) -> Result<Option<usize>, Failure> {
        let mut input = std::io::stdin().lock();
        loop {
            let room = LINE_BYTES_MAX - self.bytes.len() as u64;
            let read = input.by_ref().take(room).read_until(b'\n', &mut self.bytes);
            let count = read.map_err(|error| Failure::new(&error, None))?;
            if self.bytes.len() as u64 == LINE_BYTES_MAX {
                complain("a line of standard input has more than 64 MiB", None);
                return Err(Failure(COULD_NOT_LOOK));
            }
            let head = &self.bytes[..self.bytes.len().min(HEAD_BYTES_MAX)];
            let form = *self.form.get_or_insert_with(|| self.framing.form(head));
            if count == 0 {
                return Ok((!self.bytes.is_empty()).then_some(self.bytes.len()));
            }
            if let Some(end) = whole_end(&form, &self.bytes, self.offset_bytes) {
                return Ok(Some(end));
            }
        }
    }

    /// Goes on behind entries that were taken.
    fn take(&mut self, end: usize) {
        self.bytes.drain(..end);
        self.offset_bytes += end as u64;
    }
}

impl Journey<'_> {
    fn text(&self) -> String {
        let of_several = match self.record {
            (_, 1) => String::new(),
            (place, count) => format!(", record {place} of {count}"),
        };
        let mut words = vec![format!("line {}, {}{of_several}", self.number, counted(self.line.len(), "byte"))];
        words.push(match &self.result {
            Err(reject) if reject.stage != Stage::Enrich => rejected(reject),
            Ok(tried) if tried.document.is_empty() => "  decode   no record".to_owned(),
            _ => "  decode   a record".to_owned(),
        });
        for (position, (step, seen)) in self.pipeline.enrich.iter().zip(&self.steps).enumerate() {
            words.push(format!("  enrich   {}. {}", position + 1, headline(step, seen)));
            words.extend(seen.changes.iter().map(|change| format!("             {}", self.change_in_words(change))));
            words.extend(decisions(step, seen).into_iter().map(|decision| format!("             {decision}")));
        }
        match &self.result {
            Err(reject) if reject.stage == Stage::Enrich => words.push(rejected(reject)),
            Err(_) => {}
            Ok(TrialResult { verdict, document, .. }) if document.is_empty() => {
                let name = verdict.dropped.as_deref().unwrap_or_default();
                words.push(format!("  outcome  left out, counted as dropped by `{name}`"));
            }
            Ok(tried) => words.extend(self.end_in_words(tried)),
        }
        words.push(String::new());
        words.join("\n")
    }

    fn end_in_words(&self, tried: &TrialResult) -> Vec<String> {
        let mut words = Vec::new();
        let added: Vec<String> = self
            .metadata(tried)
            .iter()
            .map(|(name, value)| format!("{}: {}", harmless(name), harmless(value)))
            .collect();
        words.push(format!("  metadata {}", added.join(", ")));
        if tried.are_inferences.is_empty() {
            words.push("  observe  no observer".to_owned());
        }
        for (observers, is_inference) in self.observed(tried) {
            let by = by(&observers);
            words.push(match (is_inference, suggested_inferences(tried)) {
                (true, _) => format!("  observe  counted as an inference by {by}"),
                (false, None) => format!("  observe  not counted by {by}: no inference"),
                (false, Some(condition)) => {
                    let option = option(&condition);
                    format!("  observe  not counted by {by}: no inference; `{option}` would count it")
                }
            });
        }
        words.push(format!("  id       {}", tried.verdict.id));
        words.push(format!("  time     {}", time(tried.verdict.timestamp_us)));
        match &tried.verdict.dropped {
            Some(rule) => {
                words.push(format!("  outcome  dropped by the rule `{rule}`: it is observed, and not shipped"));
            }
            None => {
                words.push(format!("  outcome  shipped to {}", self.targets(tried).join(", ")));
                words.push(format!("  document {}", harmless(&String::from_utf8_lossy(&tried.document))));
            }
        }
        words
    }

    /// What observers say of it, by their conditions.
    fn observed(&self, tried: &TrialResult) -> impl Iterator<Item = (Vec<&'static str>, bool)> {
        let observers = self.pipeline.inferences().map(|(observers, _)| observers);
        observers.zip(tried.are_inferences.iter().copied())
    }

    fn change_in_words(&self, change: &Change) -> String {
        let (path, before, after) = self.shown(change);
        let path = harmless(&path);
        match (before, after) {
            (None, Some(after)) => format!("{path}: {} is added", harmless(&after)),
            (Some(before), None) => format!("{path}: {} is removed", harmless(&before)),
            (before, after) => {
                format!("{path}: {} -> {}", harmless(&before.unwrap_or_default()), harmless(&after.unwrap_or_default()))
            }
        }
    }

    /// A change as it may be shown: the path, and the value before and after.
    fn shown(&self, change: &Change) -> (String, Option<String>, Option<String>) {
        let shown = |raw: &Option<String>| raw.as_ref().map(|raw| self.trial.shown(&change.path, raw)).unzip();
        let ((name, before), (other_name, after)) = (shown(&change.before), shown(&change.after));
        let path = name.or(other_name).unwrap_or_default();
        // What both hide is different underneath.
        if before == after { (path, Some("(hidden)".to_owned()), after) } else { (path, before, after) }
    }

    /// What was added to the document behind the processors.
    fn metadata(&self, tried: &TrialResult) -> Vec<(String, String)> {
        let document = String::from_utf8_lossy(&tried.document);
        let mut space = Space::default();
        let members = Record::parse(&document, &mut space).map(|record| {
            record.name_values().map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>()
        });
        let changed = |name: &str| self.steps.iter().flat_map(|seen| &seen.changes).any(|change| change.path == name);
        let is_known = |name: &str| self.names.iter().any(|known| known == name) || changed(name);
        members.unwrap_or_default().into_iter().filter(|(name, _)| !is_known(name)).collect()
    }

    fn targets(&self, tried: &TrialResult) -> Vec<String> {
        let target = |sink: &Sink| match &sink.options {
            SinkOptions::Elasticsearch(options) => match &options.target {
                Target::DataStream(name) => format!("the data stream `{name}` of Elasticsearch"),
                Target::Tenants(tenants) => {
                    format!("the data stream `{}` of Elasticsearch", tenants.stream(tried.verdict.namespace.number()))
                }
                Target::Index(pattern) => {
                    let name = pattern.name(tried.verdict.timestamp_us).unwrap_or_else(|| pattern.wildcard());
                    format!("the index `{name}` of Elasticsearch")
                }
            },
            SinkOptions::Store(_) => "the store".to_owned(),
            SinkOptions::Stdout => "standard output".to_owned(),
        };
        self.pipeline.sinks.iter().map(target).collect()
    }

    fn json(&self) -> Value {
        let steps = self.pipeline.enrich.iter().zip(&self.steps).map(|(step, seen)| self.step_json(step, seen));
        let mut way = json!({ "line": self.number, "record": self.record.0, "bytes": self.line.len(), "enrich": steps.collect::<Vec<_>>() });
        match &self.result {
            Err(reject) => {
                let (meaning, fix) = reasons::explain(reject.stage.as_str(), &reject.reason);
                way["outcome"] = "rejected".into();
                way["reject"] = json!({
                    "stage": reject.stage.as_str(), "reason": reject.reason, "detail": reject.detail,
                    "meaning": meaning, "fix": fix,
                });
            }
            Ok(tried) => {
                let outcome = if tried.verdict.dropped.is_some() { "dropped" } else { "shipped" };
                way["outcome"] = outcome.into();
                way["rule"] = tried.verdict.dropped.as_deref().into();
                way["metadata"] = self.metadata(tried).into_iter().map(|(name, raw)| (name, value(&raw))).collect();
                way["observe"] = self.observed(tried).map(|seen| observed_json(seen, tried)).collect();
                way["id"] = tried.verdict.id.as_str().into();
                way["timestamp"] = time(tried.verdict.timestamp_us).into();
                way["targets"] = self.targets(tried).into();
                way["document"] = value(&String::from_utf8_lossy(&tried.document));
            }
        }
        way
    }

    fn step_json(&self, step: &Step, seen: &StepTrace) -> Value {
        let change = |change: &Change| {
            let (path, before, after) = self.shown(change);
            json!({ "member": path, "before": before.as_deref().map(value), "after": after.as_deref().map(value) })
        };
        json!({
            "processor": step.name(),
            "when": when(step).map(Expression::text),
            "ran": seen.ran,
            "finished": seen.finished,
            "changes": seen.changes.iter().map(change).collect::<Vec<_>>(),
            "decisions": decisions(step, seen),
        })
    }
}

/// The condition that would count a record which looks like an inference, wherever it is not counted.
fn suggested_inferences(tried: &TrialResult) -> Option<String> {
    condition_for(&String::from_utf8_lossy(&tried.document))
}

fn observed_json((observers, is_inference): (Vec<&str>, bool), tried: &TrialResult) -> Value {
    let suggested = if is_inference { None } else { suggested_inferences(tried) };
    json!({ "observers": observers, "inference": is_inference, "suggested_inferences": suggested })
}

/// JSON text as a value; what is hidden, and no JSON, as text.
fn value(raw: &str) -> Value {
    serde_json::from_str(raw).unwrap_or_else(|_| raw.into())
}

/// The condition of a processor: that of a `flag` is what the flag says.
fn when(step: &Step) -> Option<&Expression> {
    if let Action::Flag(flag) = &step.action { Some(&flag.when) } else { step.when.as_ref() }
}

/// The processor, its condition and the answer to it.
fn headline(step: &Step, seen: &StepTrace) -> String {
    let name = step.name();
    match (&step.action, &step.when) {
        (Action::Flag(flag), _) => {
            let says = seen.changes.iter().find(|change| change.path == flag.into.as_str());
            let answer = says.and_then(|change| change.after.as_deref()).unwrap_or("not decided, or so already");
            format!("{name} `{}`: {answer}", harmless(flag.when.text()))
        }
        (_, Some(when)) => {
            let answer = if seen.ran { "yes" } else { "no" };
            format!("{name}, when `{}`: {answer}", harmless(when.text()))
        }
        (_, None) => name.to_owned(),
    }
}

/// What a processor decided beside the members.
fn decisions(step: &Step, seen: &StepTrace) -> Vec<String> {
    let mut decisions: Vec<String> = seen
        .missed
        .iter()
        .filter_map(|position| step.action.processor().hides().into_iter().nth(*position))
        .map(|field| format!("it hides `{}`, which the record does not have", harmless(field.as_str())))
        .collect();
    if let Some(timestamp_us) = seen.timestamp_us {
        decisions.push(format!("the record's time is {}", time(timestamp_us)));
    }
    if seen.took_id {
        decisions.push("the id is made from these members".to_owned());
    }
    if let Some(rule) = &seen.dropped {
        decisions.push(format!("it is dropped, counted as `{rule}`"));
    }
    if seen.ran && seen.finished && !seen.did_something() && decisions.is_empty() {
        decisions.push("nothing to do".to_owned());
    }
    decisions
}

fn rejected(reject: &Reject) -> String {
    let (meaning, fix) = reasons::explain(reject.stage.as_str(), &reject.reason);
    let stage = format!("{:8}", reject.stage.as_str());
    format!(
        "  {stage} rejected: {} ({})\n             {meaning}\n             to fix it: {fix}\n  outcome  goes to the dead letter",
        reject.reason,
        harmless(&reject.detail)
    )
}

fn time(micros: i64) -> String {
    let time = DateTime::<Utc>::from_timestamp_micros(micros);
    time.map_or_else(|| format!("{micros} µs since 1970"), |time| time.to_rfc3339_opts(SecondsFormat::Micros, true))
}
