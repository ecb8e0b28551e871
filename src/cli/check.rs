//! `inferlog check`: what is wrong with pipeline files, and what they would make of a real log.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::Utc;

use super::{COULD_NOT_LOOK, Failure, NOT_SO, complain, load, print, runtime, say, start_log};
use crate::config::model::{Pipeline, RawLine};
use crate::decode::Decode;
use crate::elastic::readiness::{Finding, Verdict};
use crate::enrich::{Enrichment, Source};
use crate::flow::batch::SourceFile;
use crate::judge::enrichment;
use crate::judge::idle::IdleFields;
use crate::pipeline::build;
use crate::record::Space;
use crate::source::files::discover::{self, WithoutFiles};
use crate::source::framing::Lines;
use crate::telemetry::Telemetry;
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
        if pipeline.sinks.len() > 1 {
            say("  every sink must take a batch before it is committed: the slowest one sets the pace");
        }
    }
    if let Some(log) = &arguments.sample {
        let text = read(log)?;
        for pipeline in &pipelines {
            try_out(pipeline, log, &text);
        }
    }
    if arguments.connect { connect(&pipelines) } else { Ok(()) }
}

/// Warns of paths that find no file: they may be meant for later, or misspelled. Returns how many there are.
fn warn_of_paths(pipeline: &Pipeline) -> usize {
    let files = &pipeline.source.files;
    let without_files = discover::without_files(&files.paths, &files.exclude).unwrap_or_default();
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
    let mut counts = VerdictCounts::default();
    for pipeline in pipelines {
        for sink in &pipeline.sinks {
            let place = format!("{}: sink `{}`", pipeline.path.display(), sink.name);
            match build::elasticsearch(sink).map_err(|error| Failure::new(&error, None))? {
                Some(sink) => counts.add(say_findings(&place, runtime.block_on(sink.examine()))),
                None => say(&format!("{place} is on this machine: there is nobody to connect to")),
            }
        }
    }
    match counts {
        VerdictCounts { not_so: 1.., .. } => Err(Failure(NOT_SO)),
        VerdictCounts { could_not_look: 1.., .. } => Err(Failure(COULD_NOT_LOOK)),
        VerdictCounts { .. } => Ok(()),
    }
}

/// How many findings are which.
#[derive(Clone, Copy, Default)]
struct VerdictCounts {
    not_so: usize,
    could_not_look: usize,
    not_shown: usize,
}

impl VerdictCounts {
    fn add(&mut self, other: VerdictCounts) {
        self.not_so += other.not_so;
        self.could_not_look += other.could_not_look;
        self.not_shown += other.not_shown;
    }
}

/// Says each finding about a sink, and what they come to.
fn say_findings(place: &str, findings: Vec<Finding>) -> VerdictCounts {
    let mut counts = VerdictCounts::default();
    for finding in findings {
        match finding.verdict {
            Verdict::Good(words) => say(&format!("{place}: {words}")),
            Verdict::NotShown(words) => {
                counts.not_shown += 1;
                say(&format!("{place}: not shown to this user: {words}"));
            }
            Verdict::NotSo(trouble) => {
                counts.not_so += 1;
                complain(&format!("{place}: {}", trouble.problem), trouble.hint.as_deref());
            }
            Verdict::CouldNotLook(trouble) => {
                counts.could_not_look += 1;
                complain(&format!("{place}: could not look: {}", trouble.problem), trouble.hint.as_deref());
            }
        }
    }
    match counts {
        VerdictCounts { not_so: 0, could_not_look: 0, not_shown: 0 } => say(&format!("{place} takes records")),
        VerdictCounts { not_so: 0, could_not_look: 0, .. } => {
            say(&format!("{place} takes records, as far as this user is shown"));
        }
        VerdictCounts { .. } => {}
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
    if text.len() == SAMPLE_BYTES_MAX {
        say(&format!("{}: only the first {} are looked at", log.display(), format_bytes(SAMPLE_BYTES_MAX as u64)));
        text.truncate(memchr::memrchr(b'\n', &text).map_or(0, |end| end + 1));
    }
    Ok(text)
}

/// Runs a log through decode and enrich, prints the first document and says what became of all lines.
fn try_out(pipeline: &Pipeline, log: &Path, text: &[u8]) {
    let counters = Telemetry::default().pipeline(&pipeline.name);
    let mut enrichment = enrichment::enrichment(pipeline, &counters);
    let file =
        Arc::new(SourceFile { path: log.display().to_string(), inode: 0, generation: 0, first_line_sha256: [0; 32] });
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    let mut space = Space::default();
    let mut idle = IdleFields::default();
    let mut shown = false;
    for line in Lines::new(text, 0) {
        let source = Source { file: &file, offset_bytes: line.offset_bytes, read_us: Utc::now().timestamp_micros() };
        let (outcome, document) = if line.bytes.len() as u64 > pipeline.source.files.line_bytes_max {
            ("would go to the dead letter: line_too_long (source)".to_owned(), None)
        } else {
            outcome(&line, source, &mut enrichment, &mut space, &mut idle)
        };
        if let Some(document) = document.filter(|_| !shown) {
            print(&String::from_utf8_lossy(&document));
            shown = true;
        }
        *outcomes.entry(outcome).or_default() += 1;
    }
    say(&format!("{} with `{}`:", log.display(), pipeline.path.display()));
    for (outcome, count) in outcomes {
        say(&format!("  {count:>10}  {outcome}"));
    }
    idle.in_words(&enrichment).iter().for_each(|words| say(&format!("  {}", harmless(words))));
}

fn outcome(
    line: &crate::flow::line::Line<'_>,
    source: Source<'_>,
    enrichment: &mut Enrichment,
    space: &mut Space,
    idle: &mut IdleFields,
) -> (String, Option<Vec<u8>>) {
    let applied = Decode::Json.decode(line, space).and_then(|mut record| {
        idle.look(enrichment, &record);
        let verdict = enrichment.apply(&mut record, source)?;
        let mut document = Vec::new();
        record.render(&mut document);
        Ok((verdict, document))
    });
    match applied {
        Ok((verdict, document)) => match verdict.dropped {
            Some(rule) => (format!("dropped by the rule `{rule}`"), None),
            None => ("would be shipped".to_owned(), Some(document)),
        },
        Err(reject) => (format!("would go to the dead letter: {} ({})", reject.reason, reject.stage), None),
    }
}
