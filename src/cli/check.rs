//! `inferlog check`: what is wrong with pipeline files, and what they would make of a real log.

use std::path::PathBuf;
use std::time::Duration;

use super::{COULD_NOT_LOOK, Failure, NOT_SO, TextFormat, check_sample, complain, load, runtime, say, start_log};
use crate::config::model::{Pipeline, RawLine, SinkOptions};
use crate::elastic::readiness::{Assessment, Matter, ReadinessFinding};
use crate::judge::enrichment;
use crate::pipeline::build;
use crate::source::files::Options;
use crate::source::files::discover::{self, WithoutFiles};

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
    /// How that is said: in words, or as one JSON object for each pipeline
    #[arg(long, value_name = "FORMAT", default_value = "text", requires = "sample")]
    format: TextFormat,
}

/// Somebody waits for the word that nothing answers.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

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
        let text = check_sample::read(log)?;
        let try_out = |pipeline: &Pipeline| check_sample::try_out(pipeline, log, &text, arguments.format);
        let tried: Vec<bool> = pipelines.iter().map(try_out).collect();
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
