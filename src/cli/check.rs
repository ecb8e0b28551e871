//! `inferlog check`: what is wrong with pipeline files, and what they would make of a real log.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::Utc;

use super::{COULD_NOT_LOOK, Failure, NOT_SO, complain, load, print, runtime, say, start_log};
use crate::config::model::{Pipeline, RawLine, SinkOptions};
use crate::elastic::readiness::{Assessment, Matter, ReadinessFinding};
use crate::elastic::refusals::{FOUND_CHARACTERS_MAX, KEYWORD_BYTES_MAX, Refusal};
use crate::flow::reasons;
use crate::judge::baseline_overlap::{BaselineOverlap, ComparedFeatures};
use crate::judge::enrichment;
use crate::judge::sample::{Flag, Group, Outcome, Place, Sample};
use crate::pipeline::build;
use crate::source::files::Options;
use crate::source::files::discover::{self, WithoutFiles};
use crate::source::framing::Lines;
use crate::state::checkpoint::HEAD_BYTES_MAX;
use crate::text::harmless::harmless;
use crate::text::units::format_bytes;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Pipeline files, or folders of them [default: pipelines/]
    #[arg(value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// Also ask the sinks whether they would take records
    #[arg(long)]
    connect: bool,
    /// Say what the pipeline would make of this log; nothing is shipped
    #[arg(long, value_name = "LOG")]
    sample: Option<PathBuf>,
}

/// So many features are named.
const FEATURES_NAMED_MAX: usize = 10;

/// Somebody waits for the word that nothing answers.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// The most of a sample that is read, in bytes.
const SAMPLE_BYTES_MAX: usize = 64 * 1024 * 1024;

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    start_log("warn");
    let pipelines = load(&arguments.paths)?;
    for pipeline in &pipelines {
        for remark in &pipeline.remarks {
            say(&format!("{remark}\n"));
        }
        let verdict = match pipeline.remarks.len() + warn_of_paths(pipeline) {
            0 => "as it should be".to_owned(),
            1 => "valid, with 1 warning".to_owned(),
            warnings => format!("valid, with {warnings} warnings"),
        };
        say(&format!("{}: {verdict}", pipeline.path.display()));
        if pipeline.dead_letter.raw == RawLine::Keep && enrichment::hides(pipeline) {
            say(
                "  `dead_letter.raw: keep`: a line that cannot be decoded is kept after patterns of secrets are blacked out;",
            );
            say("  it may hold a part of what the pipeline hides, which nothing can find in it");
        }
        if is_kept_without_an_upper_bound(pipeline) {
            say(
                "  nothing is deleted from Elasticsearch; records about people are kept no longer than they are needed: \
                 `retention: { at_most: 400d }`",
            );
        }
        if pipeline.sinks.len() > 1 {
            say("  every sink must take a batch before it is committed: the slowest one sets the pace");
        }
    }
    if let Some(log) = &arguments.sample {
        let text = read(log)?;
        let tried: Vec<bool> = pipelines.iter().map(|pipeline| try_out(pipeline, log, &text)).collect();
        if tried.contains(&false) {
            return Err(Failure(NOT_SO));
        }
    }
    if arguments.connect { connect(&pipelines) } else { Ok(()) }
}

fn is_kept_without_an_upper_bound(pipeline: &Pipeline) -> bool {
    pipeline.sinks.iter().any(|sink| match &sink.options {
        SinkOptions::Elasticsearch(options) => options.retention.at_most.is_none(),
        SinkOptions::Store(_) | SinkOptions::Stdout => false,
    })
}

/// Warns of paths that find no file: they may be meant for later, or misspelled. Returns how many there are.
fn warn_of_paths(pipeline: &Pipeline) -> usize {
    let labels = pipeline.ground_truth().map(|truth| &truth.labels.files);
    let without = |files: &Options| discover::without_files(&files.paths, &files.exclude).unwrap_or_default();
    let without_files: Vec<WithoutFiles> =
        std::iter::once(&pipeline.source.files).chain(labels).flat_map(without).collect();
    for WithoutFiles { path, reason } in &without_files {
        say(&format!("warning: the path `{path}` finds no file now: {reason}"));
        say(
            "hint: look for a misspelling; `*`, `?`, `[`, `]`, `{`, `}` and `\\` mean something, and `[[]` is a bracket \
             itself\n",
        );
    }
    without_files.len()
}

/// Asks every sink, and says what was looked at. What is not so weighs more than what could not be looked at.
fn connect(pipelines: &[Pipeline]) -> Result<(), Failure> {
    let runtime = runtime()?;
    let mut counts = AssessmentCounts::default();
    for pipeline in pipelines {
        for mut sink in pipeline.sinks.clone() {
            if let SinkOptions::Elasticsearch(options) = &mut sink.options {
                options.client.connect_timeout = CONNECT_TIMEOUT;
            }
            let place = format!("{}: sink `{}`", pipeline.path.display(), sink.name);
            match build::elasticsearch(&sink).map_err(|error| Failure::new(&error, None))? {
                Some(sink) => {
                    let mut findings = runtime.block_on(sink.examine());
                    let is_there = findings.iter().any(|finding| finding.matter == Matter::Records);
                    if is_there && pipeline.drift().is_some() {
                        findings.extend(runtime.block_on(sink.examine_drift()));
                    }
                    if is_there && pipeline.ground_truth().is_some() {
                        findings.extend(runtime.block_on(sink.examine_outcomes()));
                    }
                    counts.add(say_findings(&place, findings));
                }
                None => say(&format!("{place} is on this machine: there is nobody to connect to")),
            }
        }
    }
    match counts {
        AssessmentCounts { not_so: 1.., .. } => Err(Failure(NOT_SO)),
        AssessmentCounts { could_not_look: 1.., .. } => Err(Failure(COULD_NOT_LOOK)),
        AssessmentCounts { .. } => Ok(()),
    }
}

/// How many findings are which.
#[derive(Clone, Copy, Default)]
struct AssessmentCounts {
    not_so: usize,
    could_not_look: usize,
    not_shown: usize,
}

impl AssessmentCounts {
    fn add(&mut self, other: AssessmentCounts) {
        self.not_so += other.not_so;
        self.could_not_look += other.could_not_look;
        self.not_shown += other.not_shown;
    }
}

/// Says each finding about a sink, and what they come to.
fn say_findings(place: &str, findings: Vec<ReadinessFinding>) -> AssessmentCounts {
    let mut counts = AssessmentCounts::default();
    for finding in findings {
        match finding.verdict {
            Assessment::Good(words) => say(&format!("{place}: {words}")),
            Assessment::NotShown(words) => {
                counts.not_shown += 1;
                say(&format!("{place}: not shown to this user: {words}"));
            }
            Assessment::NotSo(trouble) => {
                counts.not_so += 1;
                complain(&format!("{place}: {}", trouble.problem), trouble.hint.as_deref());
            }
            Assessment::CouldNotLook(trouble) => {
                counts.could_not_look += 1;
                complain(&format!("{place}: could not look: {}", trouble.problem), trouble.hint.as_deref());
            }
        }
    }
    match counts {
        AssessmentCounts { not_so: 0, could_not_look: 0, not_shown: 0 } => say(&format!("{place} takes records")),
        AssessmentCounts { not_so: 0, could_not_look: 0, .. } => {
            say(&format!("{place} takes records, as far as this user is shown"));
        }
        AssessmentCounts { .. } => {}
    }
    counts
}

fn read(log: &Path) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let read = fs_err::File::open(log).and_then(|file| file.take(SAMPLE_BYTES_MAX as u64).read_to_end(&mut text));
    read.map_err(|error| {
        complain(&error.to_string(), None);
        Failure(COULD_NOT_LOOK)
    })?;
    if text.starts_with(&[0x1f, 0x8b]) || text.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        complain(&format!("`{}` is compressed", log.display()), Some("unpack it first: `zcat` or `zstdcat`"));
        return Err(Failure(COULD_NOT_LOOK));
    }
    if text.len() == SAMPLE_BYTES_MAX {
        say(&format!("{}: only the first {} are looked at", log.display(), format_bytes(SAMPLE_BYTES_MAX as u64)));
        text.truncate(memchr::memrchr(b'\n', &text).map_or(0, |end| end + 1));
    }
    Ok(text)
}

/// The path that a run would know the log by.
fn whole(log: &Path) -> PathBuf {
    log.canonicalize().unwrap_or_else(|_| log.to_owned())
}

/// Runs a log through decode and enrich, prints the first document and says what became of all lines. False when an observer
/// would have nothing to measure.
fn try_out(pipeline: &Pipeline, log: &Path, text: &[u8]) -> bool {
    let form = pipeline.source.files.framing().form(&text[..text.len().min(HEAD_BYTES_MAX)]);
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
    if let Some(document) = &sample.document {
        print(&String::from_utf8_lossy(document));
    }
    say(&format!("{} with `{}`:", log.display(), pipeline.path.display()));
    if sample.outcomes.is_empty() {
        say("  it has no lines");
    }
    for (outcome, Group { count, first }) in &sample.outcomes {
        let (what, words) = described(outcome);
        let place = if *outcome == Outcome::Shipped { String::new() } else { format!(" (first: line {})", first.line) };
        say(&format!("  {count:>10}  {what}{place}"));
        words.iter().for_each(|words| say(&format!("              {words}")));
    }
    remarks(&sample);
    sample.overlap.as_ref().is_none_or(say_overlap)
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
    for (note, Group { count, first }) in &sample.notes {
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
        if let Some(Group { count, first: Place { line, .. } }) = passed_over {
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
