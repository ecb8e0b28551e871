//! Draft: a pipeline file for a log that nobody has described yet.
//!
//! The decoder is the one that makes records of the most lines; time, roles and what to hide are guessed
//! ([`super::suggestions`]); the tests are lines of the log itself, blacked out ([`super::blackout`]). A draft is tried
//! before it is given out: it loads, its tests pass, and what it ships is counted.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::blackout::blacked_out;
use super::sample::{Outcome, Sample};
use super::self_test;
use super::suggestions::{Suggestions, kind, quoted, suggest};
use super::trial::Trial;
use crate::config::{self, Pipeline, Report};
use crate::enrich::{HEART_FIELDS, Nobody, Source};
use crate::flow::batch::SourceFile;
use crate::flow::line::{Form, Line};
use crate::record::{Record, Space};
use crate::source::framing::Lines;
use crate::telemetry::Telemetry;
use crate::text::container_line::Runtime;

/// Formats that are tried, with what they mean; of those that make as many records the last one is taken, which knows most
/// of them.
const DECODERS: [(&str, &str); 5] = [
    ("json_array", "an element of one JSON array, which the whole file is"),
    ("json", "one JSON object a line"),
    ("ecs", "one JSON object a line, by the Elastic Common Schema"),
    ("cloudevents", "an event as CloudEvents have it, of which the data is the record"),
    ("otlp", "an export of OpenTelemetry's logs, which gives several records"),
];

/// Encodings that are tried where the text is not UTF-8, as options of `files`.
const ENCODINGS: [&str; 3] = [", encoding: utf-16le", ", encoding: utf-16be", ", encoding: latin-1"];

/// So many lines become tests.
const TESTS_MAX: usize = 3;

/// A part of a log.
#[derive(Clone, Debug)]
pub struct LogSample {
    /// What `source.files.paths` says of it.
    pub path: String,
    /// Its beginning, whole lines.
    pub bytes: Vec<u8>,
}

/// A pipeline file that was tried.
#[derive(Debug)]
pub struct Draft {
    /// The file.
    pub text: String,
    /// What could not be told, a sentence each.
    pub doubts: Vec<String>,
    /// How many entries were looked at.
    pub entries: u64,
    /// How many of them are shipped.
    pub shipped: u64,
    /// How many tests it has.
    pub tests: usize,
}

/// Drafts a pipeline file that will stand at `path`. `None` when no line of the log is a record.
///
/// # Errors
/// When what was drafted is not valid, which is a mistake of this program.
pub fn draft(path: &Path, logs: &[LogSample]) -> Result<Option<Draft>, Report> {
    let Some((source, decode, sample)) = decoder(path, logs)? else { return Ok(None) };
    let suggestions = suggest(&sample.shape);
    let mut doubts = Vec::new();
    let body = body(&suggestions, &sample, &mut doubts);
    let observe = observers(path, logs, &source, &decode, &body, &suggestions)?;
    let written = |tests: &str, doubts: &[String]| {
        let head = head(logs, doubts);
        format!("{head}{source}\n{}{body}{observe}{SINK}{tests}", decode_line(&decode))
    };
    let pipeline = config::load_text(path, &written("", &[]))?;
    let outcome = run(&pipeline, logs);
    let kept: Vec<&str> = suggestions.time.iter().map(|time| time.path.as_str()).collect();
    let tests = tests(&pipeline, logs, &suggestions, &kept);
    doubts.extend(rejected(&outcome));
    let (tests, count) = passing(path, &tests, |tests| written(tests, &doubts))?;
    if count == 0 {
        doubts.push("no line could be blacked out into a test: write one yourself".to_owned());
    }
    let shipped = outcome.outcomes.get(&Outcome::Shipped).map_or(0, |group| group.count);
    Ok(Some(Draft { text: written(&tests, &doubts), doubts, entries: outcome.entries, shipped, tests: count }))
}

const SINK: &str = "\n# Where documents go: the embedded store needs no server. `inferlog query` asks it.\nsink:\n  store: {}\n\
                    # sink: { elasticsearch: { hosts: [\"http://localhost:9200\"], data_stream: logs-ml.inference-default } }\n";

/// The head of the file: what it is, and what could not be told.
fn head(logs: &[LogSample], doubts: &[String]) -> String {
    let mut head = format!(
        "# Drafted by `inferlog init` from a sample of {}: guesses by names and by what values look like. Look at each.\n\
         #   inferlog check FILE --sample LOG    what becomes of the whole log\n\
         #   inferlog test FILE                  its own tests\n\
         #   inferlog run FILE                   ship it\n",
        if logs.len() == 1 { "a log".to_owned() } else { format!("{} logs", logs.len()) }
    );
    for (position, doubt) in doubts.iter().enumerate() {
        let _ = writeln!(head, "{}#   - {doubt}", if position == 0 { "#\n# What could not be told:\n" } else { "" });
    }
    head + "\n"
}

fn decode_line(decode: &str) -> String {
    let is_meant = |decoder: &str| decode.trim_end_matches(']').rsplit(' ').next() == Some(decoder);
    let (_, meaning) = DECODERS.iter().find(|(decoder, _)| is_meant(decoder)).copied().unwrap_or(("", ""));
    let wrapped = if decode.starts_with('[') { ", wrapped by a container runtime, which is recognised" } else { "" };
    format!("# What a line is: {meaning}{wrapped}.\ndecode: {decode}\n")
}

/// What `decode` can be for logs that begin so.
fn decoders(logs: &[LogSample]) -> Vec<String> {
    let is_wrapped = logs.iter().any(|log| Runtime::of(&log.bytes).is_some());
    let is_array = logs.iter().all(|log| log.bytes.trim_ascii_start().starts_with(b"["));
    let names = DECODERS.iter().map(|(name, _)| *name).filter(|name| *name != "json_array" || is_array);
    names.map(|name| if is_wrapped { format!("[auto, {name}]") } else { name.to_owned() }).collect()
}

/// The source and the decoder that make the most records, with what they make of the log.
fn decoder(path: &Path, logs: &[LogSample]) -> Result<Option<(String, String, Sample)>, Report> {
    let is_text = |log: &LogSample| std::str::from_utf8(&log.bytes).is_ok() && !log.bytes.contains(&0);
    let others: &[&str] = if logs.iter().all(is_text) { &[] } else { &ENCODINGS };
    let mut best: Option<(String, String, Sample)> = None;
    for encoding in std::iter::once(&"").chain(others) {
        for decode in decoders(logs) {
            let paths: Vec<String> =
                logs.iter().map(|log| serde_json::Value::from(log.path.as_str()).to_string()).collect();
            let source = format!(
                "# Where records come from: files, and patterns of them such as `logs/*.ndjson`.\nsource:\n  files: {{ paths: \
                 [{}]{encoding} }}\n",
                paths.join(", ")
            );
            let pipeline = config::load_text(path, &format!("{source}decode: {decode}\nsink: stdout\n"))?;
            let sample = run(&pipeline, logs);
            let most = best.as_ref().map_or(0, |(_, _, best)| best.shape.records);
            let is_other = sample.notes.contains_key("not_ecs");
            if sample.shape.records > most
                || (sample.shape.records == most && most > 0 && !is_other && encoding.is_empty())
            {
                best = Some((source, decode, sample));
            }
        }
    }
    Ok(best)
}

/// What a pipeline makes of the logs.
fn run(pipeline: &Pipeline, logs: &[LogSample]) -> Sample {
    let mut sample = Sample::new(pipeline, String::new(), Form::default());
    for log in logs {
        let form = pipeline.source.files.framing().form(&log.bytes);
        sample.open(&log.path, form);
        let mut lines = Lines::new(&log.bytes, 0, form);
        while let Some(line) = lines.next_line() {
            sample.take(&line, 0, self_test::NOW_US);
        }
    }
    sample
}

/// The list `enrich`.
fn body(suggestions: &Suggestions, sample: &Sample, doubts: &mut Vec<String>) -> String {
    let mut body = "\nenrich:\n".to_owned();
    roles(suggestions, sample, &mut body, doubts);
    match &suggestions.time {
        Some(time) if time.without_zone > 0 => {
            let path = quoted(&time.path);
            let _ = writeln!(
                body,
                "  # The record's time. It names no zone: `host` is this machine's, or a name such as Europe/Berlin.\n  - \
                 timestamp: {{ from: [{path}], zone: UTC }}"
            );
            doubts.push(format!(
                "the times of `{path}` name no zone: they are taken as UTC; `zone: host` or a name says another"
            ));
        }
        Some(time) => {
            let _ = writeln!(body, "  # The record's time.\n  - timestamp: {{ from: [{}] }}", quoted(&time.path));
        }
        None if sample.notes.contains_key("read_time") => {
            doubts.push("no member is a time: `@timestamp` is the time of reading".to_owned());
        }
        None => {}
    }
    let has = |role: &str| suggestions.roles.iter().any(|found| found.role == role);
    if let Some(input) = suggestions.input().filter(|_| sample.heart["input_hash"] == 0).map(quoted) {
        let _ = writeln!(
            body,
            "  # A fingerprint of the input. Few possible inputs can be guessed: `key: \"${{file:hash.key}}\"` prevents that.\n  \
             - hash: {{ fields: [{input}], into: input_hash }}"
        );
    }
    hidden(suggestions, &mut body);
    if has("confidence") {
        body.push_str(
            "  # Marked by a condition in KQL.\n  - flag: { into: low_confidence, when: \"confidence < 0.6\" }\n",
        );
    }
    if body == "\nenrich:\n" { "\nenrich: []\n".to_owned() } else { body }
}

fn roles(suggestions: &Suggestions, sample: &Sample, body: &mut String, doubts: &mut Vec<String>) {
    let renamed: Vec<_> = suggestions.roles.iter().filter_map(|found| Some((found, found.yaml.as_ref()?))).collect();
    if !renamed.is_empty() {
        body.push_str(
            "  # Which members are the heart fields, by their paths in the log, which stay as they are.\n  - roles:\n",
        );
    }
    for (found, yaml) in renamed {
        let doubt = found.doubt.map(|doubt| format!("   # {doubt}")).unwrap_or_default();
        let _ = writeln!(body, "      {}: {yaml}{doubt}", found.role);
        doubts.extend(found.doubt.map(|doubt| format!("`{}` from `{}`: {doubt}", found.role, found.path)));
    }
    let is_found =
        |field: &&str| suggestions.roles.iter().any(|found| found.role == *field) || sample.heart[*field] > 0;
    let looked_for = ["request_id", "model_version", "prediction", "confidence", "latency_ms", "features"];
    let missing: Vec<&str> = looked_for.into_iter().filter(|field| !is_found(field)).collect();
    if !missing.is_empty() {
        doubts.push(format!("nothing was found for {}", missing.join(", ")));
    }
}

fn hidden(suggestions: &Suggestions, body: &mut String) {
    if suggestions.hidden.is_empty() {
        return;
    }
    body.push_str("  # What must not leave this machine: every spelling of a path, and all below it.\n  - redact:\n      fields:\n");
    for found in &suggestions.hidden {
        let _ = writeln!(body, "        - {}   # {}", quoted(&found.path), found.why);
    }
}

/// The list `observe`, with the condition that counts what looks like an inference.
fn observers(
    path: &Path,
    logs: &[LogSample],
    source: &str,
    decode: &str,
    body: &str,
    suggestions: &Suggestions,
) -> Result<String, Report> {
    let text = format!("{source}decode: {decode}\n{body}observe: [model_metrics]\nsink: stdout\n");
    let pipeline = config::load_text(path, &text)?;
    let sample = run(&pipeline, logs);
    let suggested = sample.inferences.iter().find_map(|(counted, _)| counted.suggestion());
    let option = match (suggested, kind(&sample.shape, suggestions)) {
        (Some(option), None) => option,
        (Some(option), Some(kind)) => option.replacen('{', &format!("{{ kind: {kind},"), 1),
        (None, Some(kind)) => format!("model_metrics: {{ kind: {kind} }}"),
        (None, None) => "model_metrics: {}".to_owned(),
    };
    Ok(format!(
        "\n# What is counted as metrics: which records are inferences is a condition, `inferences:`.\nobserve:\n  - {option}\n"
    ))
}

/// A sentence for each reason for which lines are turned away.
fn rejected(sample: &Sample) -> Vec<String> {
    let sentence = |(outcome, group): (&Outcome, &super::sample::Group)| match outcome {
        Outcome::Rejected { reason, .. } => {
            Some(format!("{} of {} lines would go to the dead letter: {reason}", group.count, sample.entries))
        }
        Outcome::Shipped | Outcome::Dropped(_) | Outcome::Refused(_) => None,
    };
    sample.outcomes.iter().filter_map(sentence).collect()
}

/// Lines of the log, blacked out, each with what becomes of it: as YAML.
fn tests(pipeline: &Pipeline, logs: &[LogSample], suggestions: &Suggestions, kept: &[&str]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for log in logs {
        let form = pipeline.source.files.framing().form(&log.bytes);
        let mut lines = Lines::new(&log.bytes, 0, form);
        while let Some(line) = lines.next_line() {
            let Some(text) = line.text.and_then(|text| blacked_out(text, kept)) else { continue };
            // Another one of the same names shows nothing new.
            let names = names(&text);
            if found.len() == TESTS_MAX || seen.contains(&names) {
                continue;
            }
            if let Some(expected) = expectation(pipeline, &text, suggestions) {
                seen.insert(names);
                let line = text.replace('\'', "''");
                found.push(format!("line: '{line}'\n    expect: {{ {expected} }}\n"));
            }
        }
    }
    found
}

/// The names of a line's members, with the event that it is.
fn names(line: &str) -> Vec<String> {
    let json = line.find('{').map_or("", |start| &line[start..]);
    let Ok(serde_json::Value::Object(members)) = serde_json::from_str(json) else { return Vec::new() };
    let event = members.get("event").or(members.get("type")).map(ToString::to_string);
    members.keys().cloned().chain(event).collect()
}

/// What a line becomes, in the members that the pipeline makes; `None` where it is not shipped.
fn expectation(pipeline: &Pipeline, line: &str, suggestions: &Suggestions) -> Option<String> {
    let mut trial = Trial::new(pipeline, self_test::HOST, &Telemetry::default().pipeline(&pipeline.name));
    let form = self_test::test_form(pipeline, line);
    let file = std::sync::Arc::new(SourceFile { path: self_test::FILE.to_owned(), form, ..SourceFile::default() });
    let line = Line { offset_bytes: 0, bytes: line.as_bytes(), text: Some(line) };
    let source = Source::of(&file, &line, self_test::NOW_US);
    let hidden = suggestions.hidden.iter().map(|hidden| hidden.path.as_str());
    let fields: Vec<&str> = HEART_FIELDS.into_iter().filter(|field| *field != "input_hash").chain(hidden).collect();
    let mut members: Option<Vec<String>> = None;
    for tried in trial.run(&line, &source, &mut Nobody) {
        let found = expected_members(&String::from_utf8(tried.ok()?.document).ok()?, &fields)?;
        // What is expected of a test holds of every record that its line gives.
        members = Some(match members {
            None => found,
            Some(members) => members.into_iter().filter(|member| found.contains(member)).collect(),
        });
    }
    let members = members?;
    // A line with none of them shows at least that it is shipped.
    Some(if members.is_empty() { format!("host.name: {}", self_test::HOST) } else { members.join(", ") })
}

/// Which of these fields a document has, with single values, as YAML.
fn expected_members(document: &str, fields: &[&str]) -> Option<Vec<String>> {
    let mut space = Space::default();
    let record = Record::parse(document, &mut space).ok()?;
    let is_single = |raw: &&str| !raw.starts_with(['{', '[']);
    let member = |field: &&str| Some(format!("{}: {}", quoted(field), record.first(*field).filter(is_single)?));
    Some(fields.iter().filter_map(member).collect())
}

/// The tests that pass, as a section of the file: all of them, unless one cannot be written down.
fn passing(path: &Path, tests: &[String], written: impl Fn(&str) -> String) -> Result<(String, usize), Report> {
    let section = |tests: &[&String]| {
        let test = |(number, test): (usize, &&String)| {
            format!("  - name: a line of the log, number {}\n    {test}", number + 1)
        };
        let all: String = tests.iter().enumerate().map(test).collect();
        match tests.is_empty() {
            true => String::new(),
            false => format!(
                "\n# Lines of the sample, their values blacked out: `inferlog test` holds the file to them.\ntests:\n{all}"
            ),
        }
    };
    let passes = |test: &&String| {
        let pipeline = config::load_text(path, &written(&section(&[*test])));
        pipeline.is_ok_and(|pipeline| self_test::run(&pipeline).tests.iter().all(Vec::is_empty))
    };
    let passing: Vec<&String> = tests.iter().filter(passes).collect();
    let text = section(&passing);
    config::load_text(path, &written(&text))?;
    Ok((text, passing.len()))
}

/// Where a log is, as a pipeline file in `folder` names it: below the folder by its rest, else from the root.
pub fn path_in_file(log: &Path, folder: &Path) -> PathBuf {
    let whole = log.canonicalize().unwrap_or_else(|_| log.to_owned());
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    whole.strip_prefix(&folder).map_or_else(|_| whole.clone(), Path::to_owned)
}
