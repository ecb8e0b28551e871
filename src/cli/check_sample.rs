//! `inferlog check --sample`: what would a pipeline make of a real log, in words or as JSON?

use std::io::Read as _;
use std::path::{Path, PathBuf};

use chrono::Utc;
use serde_json::{Map, Value, json};

use super::{COULD_NOT_LOOK, Failure, TextFormat, complain, print, print_data, say};
use crate::config::model::Pipeline;
use crate::elastic::refusals::{FOUND_CHARACTERS_MAX, KEYWORD_BYTES_MAX, Refusal};
use crate::flow::reasons;
use crate::judge::baseline_overlap::{BaselineOverlap, ComparedFeatures};
use crate::judge::findings::{Finding, findings, suggested};
use crate::judge::sample::{Flag, Group, Outcome, Place, Sample};
use crate::source::framing::{EntriesOption, Lines};
use crate::state::checkpoint::HEAD_BYTES_MAX;
use crate::text::container_line::Runtime;
use crate::text::harmless::harmless;
use crate::text::units::format_bytes;

/// So many features are named.
const FEATURES_NAMED_MAX: usize = 10;

/// The most of a sample that is read, in bytes.
const SAMPLE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Reads the log, its first 64 MiB.
pub(super) fn read(log: &Path) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let read = fs_err::File::open(log).and_then(|file| file.take(SAMPLE_BYTES_MAX as u64).read_to_end(&mut text));
    read.map_err(|error| {
        complain(&error.to_string(), None);
        Failure(COULD_NOT_LOOK)
    })?;
    refuse_compressed(log, &text)?;
    if text.len() == SAMPLE_BYTES_MAX {
        say(&format!("{}: only the first {} are looked at", log.display(), format_bytes(SAMPLE_BYTES_MAX as u64)));
        text.truncate(memchr::memrchr(b'\n', &text).map_or(0, |end| end + 1));
    }
    Ok(text)
}

/// Refuses what would have to be unpacked first.
pub(super) fn refuse_compressed(log: &Path, beginning: &[u8]) -> Result<(), Failure> {
    if beginning.starts_with(&[0x1f, 0x8b]) || beginning.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        complain(&format!("`{}` is compressed", log.display()), Some("unpack it first: `zcat` or `zstdcat`"));
        return Err(Failure(COULD_NOT_LOOK));
    }
    Ok(())
}

/// The path that a run would know the log by.
fn whole(log: &Path) -> PathBuf {
    log.canonicalize().unwrap_or_else(|_| log.to_owned())
}

/// Runs a log through decode and enrich, prints the first document and says what became of all lines; as JSON, prints that.
/// False when an observer would have nothing to measure.
pub(super) fn try_out(pipeline: &Pipeline, log: &Path, text: &[u8], format: TextFormat) -> bool {
    let sample = sampled(pipeline, log, text);
    match format {
        TextFormat::Text => in_words(pipeline, log, &sample),
        TextFormat::Json => print_data(&as_json(pipeline, log, &sample).to_string()),
    }
    sample.overlap.as_ref().is_none_or(say_overlap)
}

/// Runs a log through decode and enrich.
fn sampled(pipeline: &Pipeline, log: &Path, text: &[u8]) -> Sample {
    let form = pipeline.source.files.framing().form(&text[..text.len().min(HEAD_BYTES_MAX)]);
    if pipeline.source.files.entries == EntriesOption::Recognised {
        let wrapped_by = form.runtime().map_or("nothing", Runtime::as_str);
        say(&format!("{}: its lines are wrapped by {wrapped_by}, as the first one says", log.display()));
    }
    let mut sample = Sample::new(pipeline, whole(log).display().to_string(), form);
    let read_us = Utc::now().timestamp_micros();
    let (mut number, mut counted_to) = (1, 0);
    let mut lines = Lines::new(text, 0, form);
    while let Some(line) = lines.next_line() {
        let start = line.offset_bytes as usize;
        number += memchr::memchr_iter(b'\n', &text[counted_to..start]).count() as u64;
        counted_to = start;
        sample.take(&line, number, read_us);
    }
    sample
}

fn in_words(pipeline: &Pipeline, log: &Path, sample: &Sample) {
    if let Some(document) = &sample.document {
        print(&String::from_utf8_lossy(document));
    }
    say(&format!("{} with `{}`:", log.display(), pipeline.path.display()));
    if sample.outcomes.is_empty() {
        say("  it has no lines");
    }
    for (outcome, Group { count, first, .. }) in &sample.outcomes {
        let (what, words) = described(outcome);
        let place = if *outcome == Outcome::Shipped { String::new() } else { format!(" (first: line {})", first.line) };
        say(&format!("  {count:>10}  {what}{place}{}", share(*count, sample.entries)));
        words.iter().for_each(|words| say(&format!("              {words}")));
    }
    remarks(sample);
    heart_fields(sample);
    for Finding { count, words, .. } in findings(pipeline, sample) {
        say(&format!("  {count:>10}  {words}"));
    }
    let suggested = suggested(sample);
    if !suggested.is_empty() {
        say("  guessed by names and values, to be looked at and added to `enrich`:");
        suggested.lines().for_each(|line| say(&format!("      {}", harmless(line))));
    }
}

/// A part of all entries, where it is not all of them.
fn share(count: u64, entries: u64) -> String {
    if count == entries { String::new() } else { format!(", {:.1} %", 100.0 * count as f64 / entries as f64) }
}

/// Says in how many documents the heart fields are.
fn heart_fields(sample: &Sample) {
    let (found, missing): (Vec<_>, Vec<_>) = sample.heart.iter().partition(|(_, count)| **count > 0);
    if sample.documents == 0 {
        return;
    }
    let found: Vec<String> = found.iter().map(|(field, count)| format!("{field} {count}")).collect();
    let missing: Vec<&str> = missing.iter().map(|(field, _)| **field).collect();
    let named = |names: String| if names.is_empty() { "none".to_owned() } else { names };
    say(&format!(
        "  heart fields of {} documents: {}; missing: {}",
        sample.documents,
        named(found.join(", ")),
        named(missing.join(", "))
    ));
}

/// The whole of it as one JSON object. No value of a record is in it.
fn as_json(pipeline: &Pipeline, log: &Path, sample: &Sample) -> Value {
    let group = |group: &Group, members: Value| {
        let Value::Object(mut members) = members else { return members };
        members.extend([
            ("count".to_owned(), json!(group.count)),
            ("share".to_owned(), json!(group.count as f64 / sample.entries.max(1) as f64)),
            ("first_line".to_owned(), json!(group.first.line)),
            ("lines".to_owned(), json!(group.lines())),
        ]);
        Value::Object(members)
    };
    let outcome = |(outcome, of): (&Outcome, &Group)| match outcome {
        Outcome::Shipped => group(of, json!({"outcome": "shipped"})),
        Outcome::Dropped(rule) => group(of, json!({"outcome": "dropped", "rule": rule})),
        Outcome::Rejected { stage, reason } => {
            group(of, json!({"outcome": "rejected", "stage": stage, "reason": reason}))
        }
        Outcome::Refused(Refusal { field, problem }) => {
            group(of, json!({"outcome": "refused", "field": field, "reason": problem}))
        }
    };
    let heart: Map<String, Value> =
        sample.heart.iter().map(|(field, count)| ((*field).to_owned(), json!(count))).collect();
    let found = findings(pipeline, sample);
    let findings: Vec<Value> =
        found.iter().map(|found| json!({"finding": found.kind, "count": found.count, "words": found.words})).collect();
    json!({
        "pipeline": pipeline.path.display().to_string(),
        "log": log.display().to_string(),
        "entries": sample.entries,
        "documents": sample.documents,
        "outcomes": sample.outcomes.iter().map(outcome).collect::<Vec<_>>(),
        "notes": sample.notes.iter().map(|(note, of)| group(of, json!({"note": note}))).collect::<Vec<_>>(),
        "heart_fields": heart,
        "idle_rules": sample.idle_rules(),
        "findings": findings,
        "suggested": suggested(sample),
    })
}

/// Says which features of the baseline the log has. False when it has none of them.
fn say_overlap(overlap: &BaselineOverlap) -> bool {
    let BaselineOverlap { inferences, unmeasured, .. } = overlap;
    if *unmeasured > 0 {
        say(&format!("  {unmeasured:>10}  are of a model version that no baseline is for, and have no `fallback`"));
    }
    if *inferences == 0 {
        say("  the log has no inference whose features could be compared with the baseline");
        return true;
    }
    let ComparedFeatures { common, missing, unknown } = overlap.compared();
    let named = |names: &[String]| {
        let named: Vec<String> =
            names.iter().take(FEATURES_NAMED_MAX).map(|name| format!("`{}`", harmless(name))).collect();
        let more = names.len().saturating_sub(FEATURES_NAMED_MAX);
        named.join(", ") + &(if more > 0 { format!(" and {more} more") } else { String::new() })
    };
    say(&format!("  {common:>10}  of {} features of the baseline are in the log", common + missing.len()));
    if !missing.is_empty() {
        say(&format!("              not in the log: {}", named(&missing)));
    }
    if !unknown.is_empty() {
        say(&format!("              not in the baseline, and not measured: {}", named(&unknown)));
    }
    if common == 0 {
        let hint = "`features.amount` in a record is `amount` in the baseline; is it the baseline of this model?";
        complain("`drift` would measure nothing: no inference of the log has a feature of the baseline", Some(hint));
    }
    common > 0
}

/// What becomes of a line, and in words what that means and what would fix it.
fn described(outcome: &Outcome) -> (String, Vec<String>) {
    match outcome {
        Outcome::Shipped => ("would be shipped".to_owned(), Vec::new()),
        Outcome::Dropped(rule) => (format!("dropped by the rule `{rule}`"), Vec::new()),
        Outcome::Rejected { stage, reason } => {
            let (meaning, fix) = reasons::explain(stage, reason);
            let words = vec![meaning.to_owned(), format!("what would fix it: {fix}")];
            (format!("would go to the dead letter: {reason} ({stage})"), words)
        }
        Outcome::Refused(Refusal { field, problem }) => (
            "would be refused by Elasticsearch, and go to the dead letter".to_owned(),
            vec![format!("`{}`: {problem}", harmless(field))],
        ),
    }
}

/// What else there is to know of the lines that became documents.
fn remarks(sample: &Sample) {
    for (note, Group { count, first, .. }) in &sample.notes {
        let what = match note.as_str() {
            "read_time" => "without a time that can be read: `@timestamp` is the time of reading",
            "assumed_utc" => "have a time without a zone, taken as UTC; `zone:` of `timestamp` says another",
            note => &format!("are noted `{note}` in `inferlog.notes`"),
        };
        say(&format!("  {count:>10}  {what} (first: line {})", first.line));
    }
    sample.idle_rules().iter().for_each(|words| say(&format!("  {}", harmless(words))));
    for Flag { into, when, decided } in &sample.flags {
        if *decided == 0 && sample.documents > 0 {
            say(&format!("  the flag `{into}` was never decided: no record has what `{when}` asks for"));
        }
    }
    for (counted, passed_over) in &sample.inferences {
        let by = counted.by();
        say(&format!("  {:>10}  counted by {by}", counted.count));
        if let Some(Group { count, first: Place { line, .. }, .. }) = passed_over {
            say(&format!(
                "  {count:>10}  have a prediction, confidence or latency and are not counted by {by} (first: line {line})"
            ));
        }
        if let Some(option) = counted.suggestion() {
            say(&format!("              this would count them: `{option}`"));
        }
    }
    for (field, bytes) in sample.long_texts() {
        let field = harmless(field);
        say(&format!(
            "  `{field}` has a text of {bytes} bytes: over {FOUND_CHARACTERS_MAX} characters it is kept, not found"
        ));
        if bytes > KEYWORD_BYTES_MAX {
            say("  (an index without inferlog's template refuses it: `inferlog setup apply` first)");
        }
    }
}
