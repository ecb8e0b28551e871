//! The replayer: what is sent for each entry of a dead letter, and what becomes of the entry?

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::origin::{self, Candidate, Origins};
use super::sinks::{Means, Sinks};
use crate::config::model;
use crate::dead_letter::read::{Found, FoundOrigin, Kept};
use crate::dead_letter::sift::{Judge, Judgement};
use crate::dead_letter::{DeadLetter, DeadLetterError};
use crate::enrich::{Nobody, Source, Verdict};
use crate::flow::answer::Trouble;
use crate::flow::batch::{Batch, BatchLimits, Id, Namespace, Origin, SourceFile};
use crate::flow::line::Line;
use crate::flow::reject::{Reject, Stage};
use crate::judge::enrichment::host_name;
use crate::judge::trial::{Trial, TrialResult};
use crate::pipeline::build::BuildError;
use crate::pipeline::settle::Fate;
use crate::record::{Record, Space, json};
use crate::source::framing::Framing;
use crate::telemetry::{Counters, Telemetry};
use crate::text::digest::sha256_hexadecimal;
use crate::text::time::{self, Reading};

/// Which entries are replayed: those that meet all that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Turned away by this stage.
    #[serde(default)]
    pub stage: Option<String>,
    /// For this reason.
    #[serde(default)]
    pub reason: Option<String>,
    /// With one of these ids; any if there are none.
    #[serde(default)]
    pub ids: Vec<String>,
}

impl Selection {
    /// Whether an entry is selected.
    pub fn has(&self, entry: &Found) -> bool {
        self.stage.as_ref().is_none_or(|stage| *stage == entry.stage)
            && self.reason.as_ref().is_none_or(|reason| *reason == entry.reason)
            && (self.ids.is_empty() || self.ids.contains(&entry.id))
    }
}

/// What became of one entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The entry's id.
    pub id: String,
    /// What was sent: `line`, `document`, `raw`, or `nothing`.
    pub from: String,
    /// `indexed`, `duplicate`, `dropped`, or `remains`.
    pub outcome: String,
    /// The rule that drops it, or why it remains, in words.
    pub why: Option<String>,
}

/// What became of all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Documents that a sink took.
    pub indexed: u64,
    /// Documents that every sink had already.
    pub duplicates: u64,
    /// Records that a rule of the pipeline file drops.
    pub dropped: u64,
    /// Entries that were tried and are still there.
    pub remaining: u64,
    /// It ended before every entry was tried.
    pub interrupted: bool,
    /// Why the sinks took nothing more, and what to do about it.
    pub trouble: Option<(String, Option<String>)>,
}

/// What keeps a replay from beginning or going on.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Its state or its sinks cannot be opened.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The dead letter cannot be read or written.
    #[error(transparent)]
    DeadLetter(#[from] DeadLetterError),
    /// A process holds the lock and does not answer.
    #[error("another process uses `{folder}`, and does not take the replay over: wait until it has ended, or stop it")]
    NotTaken {
        /// The pipeline's folder of state.
        folder: std::path::PathBuf,
    },
    /// The files by which the work is handed over cannot be used.
    #[error("cannot hand the replay over to the running process in `{folder}`")]
    Handover {
        /// The pipeline's folder of state.
        folder: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The running process could not do it.
    #[error("the running process could not replay: {0}")]
    Elsewhere(String),
}

/// What is replayed, and with what.
pub(super) struct Replay<'r> {
    pub(super) pipeline: &'r model::Pipeline,
    pub(super) data_dir: &'r Path,
    /// Opened by whoever holds the lock.
    pub(super) dead_letter: &'r DeadLetter,
    pub(super) counters: &'r Counters,
    pub(super) means: &'r Means,
}

impl Replay<'_> {
    /// Tries each entry that is selected. `goes_on` is asked every now and then, `report` is told of each that was tried.
    pub(super) fn run(
        &self,
        selection: &Selection,
        goes_on: &dyn Fn() -> bool,
        report: &mut dyn FnMut(&Outcome),
    ) -> Result<Summary, ReplayError> {
        let Replay { pipeline, data_dir, dead_letter, counters, means } = *self;
        // What processors count has been counted when the line was read.
        let apart = Telemetry::default().pipeline(&pipeline.name);
        let mut replayer = Replayer {
            trial: Trial::new(pipeline, &host_name(), &apart),
            framing: pipeline.source.files.framing(),
            batch: pipeline.batch,
            sinks: Sinks::open(pipeline, data_dir, counters, means)?,
            origins: Origins::default(),
            selection,
            counters,
            goes_on,
            report,
            summary: Summary::default(),
        };
        dead_letter.sift(&mut replayer)?;
        let mut summary = replayer.summary;
        summary.trouble = replayer.sinks.trouble.take().map(|Trouble { problem, hint }| (problem, hint));
        summary.interrupted |= !goes_on();
        Ok(summary)
    }
}

/// Judges the entries of one dead letter.
struct Replayer<'r> {
    trial: Trial,
    framing: Framing,
    batch: BatchLimits,
    sinks: Sinks,
    origins: Origins,
    selection: &'r Selection,
    counters: &'r Counters,
    goes_on: &'r dyn Fn() -> bool,
    report: &'r mut dyn FnMut(&Outcome),
    summary: Summary,
}

/// What can be done with an entry.
enum Plan {
    /// This document is sent.
    Send(Document),
    /// A rule drops it.
    Drop(Arc<str>),
    /// The present pipeline file turns it away.
    Reject(Reject),
    /// There is nothing to send, in words.
    Cannot(&'static str),
}

struct Document {
    namespace: Namespace,
    id: Id,
    timestamp_us: i64,
    file: Arc<SourceFile>,
    origin: Origin,
    bytes: Vec<u8>,
}

/// What an entry is replayed from.
#[derive(Clone, Copy)]
enum From {
    Line,
    Document,
    Raw,
    Nothing,
}

impl From {
    fn as_str(self) -> &'static str {
        match self {
            From::Line => "line",
            From::Document => "document",
            From::Raw => "raw",
            From::Nothing => "nothing",
        }
    }
}

impl Judge for Replayer<'_> {
    fn wants(&self, entry: &Found) -> bool {
        self.selection.has(entry)
    }

    fn judge(&mut self, entries: Vec<Found>) -> Vec<Judgement> {
        let mut judgements = vec![None; entries.len()];
        let mut batch = Batch::default();
        let mut sent: Vec<(usize, From)> = Vec::new();
        for (position, entry) in entries.iter().enumerate() {
            if !self.goes_on() {
                self.summary.interrupted = true;
                break;
            }
            let (from, plans) = self.plan(entry);
            for plan in plans {
                let judgement = match plan {
                    Plan::Send(document) => {
                        let origin = Origin { file: batch.file(&document.file), ..document.origin };
                        let render = |out: &mut Vec<u8>| out.extend_from_slice(&document.bytes);
                        batch.push_into(document.namespace, document.id, document.timestamp_us, origin, render);
                        sent.push((position, from));
                        continue;
                    }
                    Plan::Drop(rule) => {
                        self.counters.dropped(&rule).inc();
                        self.summary.dropped += 1;
                        self.tell(entry, from, "dropped", Some(rule.to_string()));
                        Judgement::Leaves
                    }
                    Plan::Reject(reject) => self.remains(entry, from, reject),
                    Plan::Cannot(why) => {
                        self.summary.remaining += 1;
                        self.tell(entry, from, "remains", Some(why.to_owned()));
                        Judgement::Stays
                    }
                };
                join(&mut judgements[position], judgement);
            }
            if batch.body_bytes() >= self.batch.bytes_max || sent.len() >= self.batch.items_max {
                self.settle(&entries, std::mem::take(&mut batch), std::mem::take(&mut sent), &mut judgements);
            }
        }
        self.settle(&entries, batch, sent, &mut judgements);
        judgements.into_iter().map(|judgement| judgement.unwrap_or(Judgement::Stays)).collect()
    }

    fn goes_on(&self) -> bool {
        self.sinks.trouble.is_none() && (self.goes_on)()
    }
}

impl Replayer<'_> {
    /// Sends a batch, and judges the entries that it was made from.
    fn settle(
        &mut self,
        entries: &[Found],
        batch: Batch,
        sent: Vec<(usize, From)>,
        judgements: &mut [Option<Judgement>],
    ) {
        if sent.is_empty() {
            return;
        }
        let fates = self.sinks.settle(batch, self.goes_on);
        for ((position, from), fate) in sent.into_iter().zip(fates) {
            let entry = &entries[position];
            let judgement = match fate {
                Fate::Indexed => {
                    self.summary.indexed += 1;
                    self.tell(entry, from, "indexed", None);
                    Judgement::Leaves
                }
                Fate::Duplicate => {
                    self.summary.duplicates += 1;
                    self.tell(entry, from, "duplicate", None);
                    Judgement::Leaves
                }
                Fate::Rejected(reason) => {
                    let reject = Reject { stage: Stage::Sink, reason: reason.kind.into(), detail: reason.detail };
                    self.remains(entry, from, reject)
                }
                Fate::Open => {
                    self.summary.interrupted = true;
                    self.summary.remaining += 1;
                    Judgement::Stays
                }
            };
            join(&mut judgements[position], judgement);
        }
    }

    fn remains(&mut self, entry: &Found, from: From, reject: Reject) -> Judgement {
        self.summary.remaining += 1;
        // The detail may quote the record: it is in the entry, for `show`.
        self.tell(entry, from, "remains", Some(format!("{} ({})", reject.reason, reject.stage)));
        Judgement::StaysFor(reject)
    }

    fn tell(&mut self, entry: &Found, from: From, outcome: &str, why: Option<String>) {
        self.counters.replayed(outcome).inc();
        let (id, from, outcome) = (entry.id.clone(), from.as_str().to_owned(), outcome.to_owned());
        (self.report)(&Outcome { id, from, outcome, why });
    }

    fn plan(&mut self, entry: &Found) -> (From, Vec<Plan>) {
        let cannot = |why| (From::Nothing, vec![Plan::Cannot(why)]);
        let Some(id) = id(entry) else { return cannot("its id is none that inferlog gives") };
        if let Some(candidate) = self.origins.candidate(entry, &self.framing)
            && let Some(plans) = self.plans_of_candidate(entry, id, &candidate)
        {
            return (From::Line, plans);
        }
        match entry.kept() {
            Kept::Document(document) if entry.stage == Stage::Enrich.as_str() => self.plan_of_half(entry, id, document),
            Kept::Document(document) => {
                let namespace = self.trial.namespace_of(document);
                (From::Document, vec![Plan::Send(kept_document(entry, id, document, namespace))])
            }
            Kept::Raw(raw) => match origin::source_file(&entry.origin) {
                Some(file) if entry.origin.sha256.as_deref() == Some(&sha256_hexadecimal(&raw)) => {
                    let file = Arc::new(SourceFile { form: self.framing.form(&raw), ..(*file).clone() });
                    let tried = self.try_line(entry, &raw, &file);
                    (From::Raw, as_planned(entry, id, &file, tried))
                }
                Some(_) => cannot("its line is gone, and what is kept of it was blacked out"),
                None => cannot("its line is gone, and without it it would get another id"),
            },
            Kept::Reference => cannot(nothing_kept(entry, self.framing.line_bytes_max as u64)),
        }
    }

    /// A record that a processor turned away is kept as those before it left it, with what any rule hides hidden: those
    /// behind it and the metadata are missing, and they cannot be run on what is hidden, nor the others twice. Only one that
    /// is still the line itself goes through the pipeline.
    fn plan_of_half(&mut self, entry: &Found, id: Id, document: &str) -> (From, Vec<Plan>) {
        let is_the_line = entry.origin.sha256.as_deref() == Some(&sha256_hexadecimal(document.as_bytes()));
        match origin::source_file(&entry.origin).filter(|_| is_the_line) {
            Some(file) => {
                let tried = self.try_line(entry, document.as_bytes(), &file);
                (From::Document, as_planned(entry, id, &file, tried))
            }
            None => (From::Nothing, vec![Plan::Cannot(HALF_MADE)]),
        }
    }

    /// What stands at the place of the line, if it proves to be the line.
    fn plans_of_candidate(&mut self, entry: &Found, id: Id, candidate: &Candidate) -> Option<Vec<Plan>> {
        let tried = self.try_line(entry, &candidate.line, &candidate.file);
        if !candidate.is_proven && !self.proves(entry, id, candidate, &tried) {
            return None;
        }
        Some(as_planned(entry, id, &candidate.file, tried))
    }

    /// The records of the entry's line that are to be sent, with their ordinals: the one that it is about, and all where it is
    /// about the whole line.
    fn try_line(&mut self, entry: &Found, line: &[u8], file: &Arc<SourceFile>) -> Tried {
        let mut scratch = String::new();
        let text = file.form.encoding.text(line, &mut scratch);
        let line = Line { offset_bytes: entry.origin.offset_bytes, bytes: line, text };
        let source = Source { line: line.bytes, ..source(entry, file) };
        let tried = (0..).zip(self.trial.run(&line, &source, &mut Nobody));
        tried.filter(|(ordinal, _)| is_whole_line(entry) || *ordinal == entry.origin.ordinal).collect()
    }

    /// Whether the id of an entry is made of this line, or, for one that was too long, of its place.
    fn proves(&mut self, entry: &Found, id: Id, candidate: &Candidate, tried: &Tried) -> bool {
        let source = Source { line: &candidate.line, ..source(entry, &candidate.file) };
        let of_documents = tried.iter().flat_map(|(_, tried)| tried).map(|tried| tried.verdict.id);
        let of_line = self.trial.id_of_line(&source);
        let of_place = entry.reason == "line_too_long";
        let of_place = of_place.then(|| self.trial.id_of_long_line(entry.origin.length_bytes, &source));
        let same = |other: Id| digest(other).is_some() && digest(other) == digest(id);
        of_documents.chain([of_line]).chain(of_place).any(same)
    }
}

/// What became of records of a line, with their ordinals.
type Tried = Vec<(u32, Result<TrialResult, Reject>)>;

/// Whether an entry is about a line as a whole, whatever records it gives today. One that says so of a record gets those beside
/// it sent once more, under ids that the sinks know.
fn is_whole_line(entry: &Found) -> bool {
    entry.origin.ordinal == 0 && [Stage::Source, Stage::Decode].iter().any(|stage| entry.stage == stage.as_str())
}

/// An entry leaves when everything that is sent for it is settled.
fn join(judgement: &mut Option<Judgement>, of_one: Judgement) {
    if judgement.as_ref().is_none_or(|judgement| *judgement == Judgement::Leaves) {
        *judgement = Some(of_one);
    }
}

fn as_planned(entry: &Found, id: Id, file: &Arc<SourceFile>, tried: Tried) -> Vec<Plan> {
    if tried.is_empty() {
        return vec![Plan::Cannot("its line gives fewer records than it did, by the pipeline file as it is now")];
    }
    let plan = |(ordinal, tried)| match tried {
        Ok(TrialResult { verdict: Verdict { dropped: Some(rule), .. }, .. }) => Plan::Drop(rule),
        Ok(TrialResult { verdict, document, .. }) => Plan::Send(Document {
            // What was sent before is known to the other sinks by the id that it had.
            id: if entry.stage == Stage::Sink.as_str() { id } else { verdict.id },
            namespace: verdict.namespace,
            timestamp_us: verdict.timestamp_us,
            file: Arc::clone(file),
            origin: Origin { ordinal, ..place(entry) },
            bytes: document,
        }),
        Err(reject) => Plan::Reject(reject),
    };
    tried.into_iter().map(plan).collect()
}

/// Why an entry that a processor turned away is not sent as it is kept.
const HALF_MADE: &str = "its line is gone, and what is kept of it is half made: the processor that turned it away, those \
    behind it and the metadata are missing; put the log file back and replay it, or take what `show` prints by hand";

/// Why nothing can be sent for an entry that keeps nothing.
fn nothing_kept(entry: &Found, line_bytes_max: u64) -> &'static str {
    if entry.origin.length_bytes > line_bytes_max {
        return "its line is still longer than `line_bytes_max`";
    }
    match entry.not_kept.as_deref() {
        Some("may_hold_hidden_fields") => {
            "its line is gone, and nothing of it was kept, since the pipeline hides fields that it may have held"
        }
        Some("omitted") => "its line is gone, and nothing of it was kept, as `dead_letter: { raw: omit }` says",
        _ => "its line is gone, and nothing of it was kept",
    }
}

/// The line's place as the processors know it. The time of the reading is that of the document that was made of it, or
/// that of the entry, so that a record without a time of its own gets the same one whenever it is replayed.
fn source<'s>(entry: &Found, file: &'s Arc<SourceFile>) -> Source<'s> {
    let of_document = if let Kept::Document(document) = entry.kept() { time_of(document) } else { None };
    let read_us = of_document.unwrap_or_else(|| entry.time.timestamp_micros());
    Source { read_us, ordinal: entry.origin.ordinal, ..Source::of_place(file, entry.origin.offset_bytes) }
}

/// The `@timestamp` of a document, in microseconds since 1970.
fn time_of(document: &str) -> Option<i64> {
    let mut space = Space::default();
    let record = Record::parse(document, &mut space).ok()?;
    let raw = record.first("@timestamp")?;
    let text = json::unescape(raw);
    let reading = if raw.starts_with('"') { Reading::Text(&text) } else { Reading::Number(raw) };
    let time = time::parse(reading, None).ok()?;
    Some(time.seconds * 1_000_000 + i64::from(time.nanoseconds) / 1_000)
}

fn place(entry: &Found) -> Origin {
    let length_bytes = u32::try_from(entry.origin.length_bytes).unwrap_or(u32::MAX);
    let FoundOrigin { offset_bytes, ordinal, .. } = entry.origin;
    Origin { file: 0, offset_bytes, length_bytes, ordinal }
}

/// The document that an entry keeps, as it is.
fn kept_document(entry: &Found, id: Id, document: &str, namespace: Namespace) -> Document {
    let file = origin::source_file(&entry.origin).unwrap_or_else(|| {
        let (path, inode, generation) = (entry.origin.file.clone(), entry.origin.inode, entry.origin.generation);
        Arc::new(SourceFile { path, inode, generation, ..SourceFile::default() })
    });
    let timestamp_us = time_of(document).unwrap_or_else(|| entry.time.timestamp_micros());
    Document { namespace, id, timestamp_us, file, origin: place(entry), bytes: document.as_bytes().to_vec() }
}

fn id(entry: &Found) -> Option<Id> {
    entry.id.as_bytes().try_into().ok().map(Id)
}

/// The part of an id behind its time.
fn digest(id: Id) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(id.0).ok().map(|bytes| bytes[5..].to_vec())
}
