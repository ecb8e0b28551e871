//! Accounts: what can be proven about lines that were settled, even when their files are gone?
//!
//! Once a minute, at the start and at the stop a pipeline writes an account of itself into its sinks: which byte ranges
//! of which files were settled since the last one, what became of their lines, and the sum of the ids that a sink or the
//! dead letter must hold. `reconcile` reads them; so does whoever asks whether everything is there up to now.
//!
//! ```text
//! {"@timestamp":"…","host.name":"gpu-7","inferlog.pipeline":"inference","inferlog.config":"31ad…","agent.version":"0.1.0",
//!  "account.kind":"interval","account.targets":["logs-ml.inference-default"],"account.state":"…","account.sequence":12,"account.since":"…",
//!  "account.lines":100,"account.records":99,"account.kept":95,"account.ids":"…32 digits…",
//!  "account.dropped":5,"account.dropped_by":{"noise":5},
//!  "account.dead_lettered":1,"account.dead_lettered_by":{"decode/invalid_json":1},
//!  "account.sinks":{"elasticsearch":{"indexed":94,"duplicates":0,"erased":0}},
//!  "account.files":[{"path":"/logs/a.ndjson","inode":7,"generation":0,"from_bytes":0,"to_bytes":4711,"lines":100,…}],
//!  "account.waiting_bytes":0,"account.oldest_waiting_seconds":0.0,"account.sink_latency_ms":{"elasticsearch":{…}},
//!  "account.indexed":94,"account.duplicates":0,"account.sink_latency_mean_ms":2.1,"account.sink_latency_max_ms":8.9,
//!  "account.dead_letter_reasons":["decode/invalid_json"]}
//! ```
//!
//! The last five say again what stands in maps: what draws dashboards adds up plain members only. For the same reason each
//! reason of dead letters has a small document of its own, which is no account and has neither a number nor targets:
//!
//! ```text
//! {…,"account.kind":"dead_letter","account.since":"…","account.reason":"decode/invalid_json","account.reason_count":1}
//! ```
//!
//! What is counted is what was committed, and it is saved in the checkpoint together with the offsets. Accounts are made
//! here and sent by `pipeline::outbox`, which saves them before they leave, under an id that they keep: so whatever
//! crashes, each range is in exactly one account. None is larger than [`render::ACCOUNT_BYTES_MAX`], whatever the number of files.
//!
//! While the outbox is full no account is closed, and what is settled adds up in the open one. A file that goes on
//! lengthens its range there, so it grows with the number of files alone; beyond [`RANGES_BYTES_MAX`] the lines of further
//! files are counted in `account.unlisted`, in sum and not by file. Nothing that was settled is left out of the sums.

mod range;
mod render;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::flow::ack::Mark;
use crate::flow::batch::{ID_CHARACTERS, Id, Stream};
use crate::flow::in_flight::Settlement;
use crate::flow::own_document::OwnDocument;
use crate::flow::tally::{Counts, Delivered, Tally, Totals};
use crate::state::checkpoint::{Checkpoint, JsonText};
use crate::telemetry::Latency;
pub use range::Range;
use render::{Part, extend, flat, milliseconds, own_document, parts, reasons, time};

/// How often an account is written.
pub const INTERVAL: Duration = Duration::from_secs(60);

/// With so many bytes of ranges an account is due before its time.
const RANGES_BYTES_DUE: usize = 8 * 1024 * 1024;

/// The most bytes of ranges that wait for an account.
const RANGES_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What a range takes beside its path, about, in bytes.
const RANGE_BYTES: usize = 256;

/// Stands for the configuration's digest where more than one decided what an account tells of.
const SEVERAL_CONFIGURATIONS: &str = "several";

/// Who gives account.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The pipeline's name.
    pub pipeline: String,
    /// The host's name.
    pub host: String,
    /// The digest of the configuration in force.
    pub config: String,
    /// The configuration's text, without secrets.
    pub config_text: String,
    /// Where the records go: the names of data streams and indices, or of the sinks.
    pub targets: Vec<String>,
    /// Kinds of sinks of which none is called by its kind, and the name of the first of each. Before sinks had names, what
    /// became of the documents of all sinks of a kind was counted under the kind.
    pub named_kinds: Vec<(&'static str, String)>,
}

/// Why an account is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// The pipeline starts.
    Start,
    /// A minute has passed.
    Interval,
    /// The pipeline stops.
    Stop,
}

impl Occasion {
    fn as_str(self) -> &'static str {
        match self {
            Occasion::Start => "start",
            Occasion::Interval => "interval",
            Occasion::Stop => "stop",
        }
    }
}

/// Whether a document of this kind is an account; beside accounts there are configurations, reasons of dead letters,
/// tombstones and verdicts.
pub fn is_account(kind: &str) -> bool {
    [Occasion::Start, Occasion::Interval, Occasion::Stop].iter().any(|occasion| occasion.as_str() == kind)
}

/// What waits at the moment.
#[derive(Clone, Debug, Default)]
pub struct Backlog {
    /// Bytes of the files that are not delivered.
    pub bytes: u64,
    /// How long the oldest batch has been on its way.
    pub oldest: Duration,
    /// How long requests took since the last account, by sink.
    pub latency: BTreeMap<Arc<str>, Latency>,
}

/// Settled lines that no range tells of, because there were too many files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnlistedLines {
    /// How many ranges were added up.
    pub ranges: u64,
    /// What became of their lines.
    #[serde(flatten)]
    pub tally: Tally,
}

impl UnlistedLines {
    /// Whether every range is listed.
    pub fn is_nothing(&self) -> bool {
        self.ranges == 0
    }

    /// Adds those of another account.
    pub fn join(&mut self, other: &UnlistedLines) {
        self.ranges += other.ranges;
        self.tally.join(&other.tally);
    }
}

/// What the checkpoint keeps. Unknown members are tolerated.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AccountsState {
    /// Tells this folder of state from one that was there before it.
    state: String,
    /// The number of the next account.
    sequence: u64,
    /// The digest of the configuration that decided what was settled since the last account.
    config: String,
    /// The digest of the configuration whose text was written last.
    configuration: String,
    /// When the last account was written.
    since: DateTime<Utc>,
    /// What is not in an account yet.
    ranges: Vec<Range>,
    unlisted: UnlistedLines,
    sinks: BTreeMap<String, Delivered>,
    /// Accounts that wait for a sink, as they were kept before there was an outbox.
    pending: Vec<PendingAccount>,
    /// Everything that was ever settled.
    totals: Totals,
}

/// The same as a [`AccountsState`], written from where it is.
#[derive(Serialize)]
struct AccountsStateView<'s> {
    state: &'s str,
    sequence: u64,
    config: &'s str,
    configuration: &'s str,
    since: DateTime<Utc>,
    ranges: Vec<&'s Range>,
    #[serde(skip_serializing_if = "UnlistedLines::is_nothing")]
    unlisted: &'s UnlistedLines,
    sinks: &'s BTreeMap<String, Delivered>,
    totals: Totals,
}

#[derive(Debug, Deserialize)]
struct PendingAccount {
    id: String,
    timestamp_us: i64,
    document: Box<RawValue>,
}

/// The accounts of one pipeline.
#[derive(Debug)]
pub struct Accounts {
    subject: Subject,
    state: AccountsState,
    /// By inode, generation and beginning.
    /// In boxes, as half of a map's room is empty.
    ranges: BTreeMap<(u64, u32, u64), Box<Range>>,
    ranges_bytes: usize,
    /// What was settled since the checkpoint was saved.
    unsaved: Totals,
    is_dirty: bool,
    /// It was said that ranges are not listed.
    is_said: bool,
    next_due: Instant,
}

/// What a checkpoint kept of the accounts.
#[derive(Debug)]
pub struct AccountsAtStart {
    /// The accounts, which go on.
    pub accounts: Accounts,
    /// Those that waited for a sink before there was an outbox.
    pub pending: Vec<OwnDocument>,
    /// False when it could not be read, and the accounts begin anew.
    pub is_readable: bool,
}

impl Accounts {
    /// Goes on from what the checkpoint keeps, `null` at the very first start. What cannot be read is begun anew.
    pub fn restore(subject: Subject, saved: &JsonText) -> AccountsAtStart {
        let read = if saved.is_null() { Ok(AccountsState::default()) } else { saved.read::<AccountsState>() };
        let is_readable = read.is_ok();
        let mut state = read.unwrap_or_default();
        for (kind, name) in &subject.named_kinds {
            for sinks in [&mut state.sinks, &mut state.totals.sinks] {
                if let Some(counted) = sinks.remove(*kind) {
                    sinks.entry(name.clone()).or_default().join(&counted);
                }
            }
        }
        if state.state.is_empty() {
            let now = Utc::now();
            state.state = format!("{:016x}{:016x}", fastrand::u64(..), now.timestamp_nanos_opt().unwrap_or_default());
            state.since = now;
        }
        let pending = std::mem::take(&mut state.pending).into_iter().map(PendingAccount::into_document).collect();
        let ranges = std::mem::take(&mut state.ranges);
        let ranges_bytes = ranges.iter().map(bytes_of).sum();
        let by_place = |range: Range| ((range.inode, range.generation, range.from_bytes), Box::new(range));
        let accounts = Accounts {
            subject,
            state,
            ranges: ranges.into_iter().map(by_place).collect(),
            ranges_bytes,
            unsaved: Totals::default(),
            is_dirty: true,
            is_said: false,
            next_due: Instant::now() + INTERVAL,
        };
        AccountsAtStart { accounts, pending, is_readable }
    }

    /// Everything that was settled, as the checkpoint knows it.
    pub fn totals(&self) -> &Totals {
        &self.state.totals
    }

    /// The accounts of a start: first of what was settled under another configuration than today's, if that is not told.
    pub fn begin(&mut self) -> Vec<OwnDocument> {
        let now = Utc::now();
        let mut documents = Vec::new();
        if self.state.config != self.subject.config && !self.is_nothing_open() {
            documents.extend(self.close(Occasion::Interval, now, &Backlog::default()));
        }
        documents.extend(self.close(Occasion::Start, now, &Backlog::default()));
        documents
    }

    /// A start without an account, because there is no room for one: what comes is added to what is not told.
    pub fn begin_untold(&mut self) {
        if self.state.config != self.subject.config {
            let several = || SEVERAL_CONFIGURATIONS.to_owned();
            let is_of_one = self.is_nothing_open();
            self.state.config = if is_of_one { self.subject.config.clone() } else { several() };
        }
    }

    fn is_nothing_open(&self) -> bool {
        self.ranges.is_empty() && self.state.unlisted.is_nothing()
    }

    /// Takes note of what is settled.
    pub fn add(&mut self, settlement: &Settlement) {
        self.is_dirty = true;
        for (sink, delivered) in &settlement.delivered {
            self.unsaved.add_documents(sink, delivered);
            self.state.sinks.entry(sink.to_string()).or_default().join(delivered);
        }
        for mark in &settlement.marks {
            self.unsaved.add_lines(&mark.tally);
            self.add_mark(mark);
        }
    }

    fn add_mark(&mut self, mark: &Mark) {
        let (inode, generation) = (mark.source.inode, mark.source.generation);
        let of_file = (inode, generation, 0)..=(inode, generation, u64::MAX);
        if let Some((_, last)) = self.ranges.range_mut(of_file).next_back()
            && last.to_bytes == mark.start_bytes
        {
            last.to_bytes = mark.offset_bytes;
            last.path.clone_from(&mark.source.path);
            return last.tally.join(&mark.tally);
        }
        if self.ranges_bytes >= RANGES_BYTES_MAX {
            return self.add_unlisted(&mark.tally);
        }
        let range = Range {
            path: mark.source.path.clone(),
            inode,
            generation,
            from_bytes: mark.start_bytes,
            to_bytes: mark.offset_bytes,
            tally: mark.tally.clone(),
        };
        self.ranges_bytes += bytes_of(&range);
        self.ranges.insert((inode, generation, mark.start_bytes), Box::new(range));
    }

    fn add_unlisted(&mut self, tally: &Tally) {
        self.state.unlisted.ranges += 1;
        self.state.unlisted.tally.join(tally);
        if !std::mem::replace(&mut self.is_said, true) {
            let pipeline = &self.subject.pipeline;
            let hint = "see why a sink does not take the pipeline's accounts; records are delivered all the same";
            let what = "too many files are settled and not accounted for: further ones are counted in sum and not by file, \
                        and can be proven only while they are there";
            tracing::warn!(pipeline, hint, "{what}");
        }
    }

    /// The accounts that are due because a minute has passed, or there is much to tell.
    pub fn close_if_due(&mut self, waiting: impl FnOnce() -> Backlog) -> Vec<OwnDocument> {
        let is_due = Instant::now() >= self.next_due || self.ranges_bytes >= RANGES_BYTES_DUE;
        if is_due { self.close(Occasion::Interval, Utc::now(), &waiting()) } else { Vec::new() }
    }

    /// Lets a minute pass.
    #[cfg(test)]
    pub(crate) fn make_due(&mut self) {
        self.next_due = Instant::now();
    }

    /// The accounts of all that was settled since the last one, and the configuration in force if it is not kept yet.
    pub fn close(&mut self, kind: Occasion, now: DateTime<Utc>, waiting: &Backlog) -> Vec<OwnDocument> {
        self.next_due = Instant::now() + INTERVAL;
        self.is_dirty = true;
        let mut documents = Vec::new();
        let previous_config = match kind {
            Occasion::Start if self.is_nothing_open() && self.state.config != self.subject.config => {
                Some(std::mem::replace(&mut self.state.config, self.subject.config.clone()))
            }
            Occasion::Start | Occasion::Interval | Occasion::Stop => None,
        };
        if kind == Occasion::Start && self.state.configuration != self.subject.config {
            documents.push(self.configuration(now));
        }
        let parts = parts(std::mem::take(&mut self.ranges).into_values().map(|range| *range));
        self.ranges_bytes = 0;
        let (sinks, unlisted) = (std::mem::take(&mut self.state.sinks), std::mem::take(&mut self.state.unlisted));
        let of_sinks = sinks.values().map(|delivered| &delivered.dead_lettered);
        let of_lines = parts.iter().map(|part| &part.sum).chain([&unlisted.tally]).map(|tally| &tally.dead_lettered);
        let dead_lettered = of_sinks.chain(of_lines).fold(Counts::default(), |sum, counts| sum.joined(counts));
        // Before the account: whoever takes the last document of a moment for the account is right.
        documents.extend(self.dead_letters(&dead_lettered, now));
        let mut parts = parts.into_iter();
        // What the deliveries said and what is not listed is told once, in the first one.
        let first = Part { sum: unlisted.tally.clone(), ..Part::default() }.joined(parts.next().unwrap_or_default());
        let mut more = json!({ "account.previous_config": previous_config.filter(|previous| !previous.is_empty()) });
        if !unlisted.is_nothing() {
            more["account.unlisted"] = json!(unlisted);
        }
        documents.push(self.account(kind, now, waiting, first, &sinks, more));
        for part in parts {
            documents.push(self.account(kind, now, waiting, part, &BTreeMap::new(), Value::Null));
        }
        self.state.since = now;
        if self.state.config == SEVERAL_CONFIGURATIONS {
            self.state.config.clone_from(&self.subject.config);
        }
        if self.state.configuration != self.subject.config {
            documents.push(self.configuration(now));
        }
        documents
    }

    /// One account, with the next number.
    fn account(
        &mut self,
        kind: Occasion,
        now: DateTime<Utc>,
        waiting: &Backlog,
        part: Part,
        sinks: &BTreeMap<String, Delivered>,
        more: Value,
    ) -> OwnDocument {
        let Part { sum, ranges } = part;
        let sequence = self.state.sequence;
        self.state.sequence += 1;
        let of_sinks = sinks.values().map(|delivered| &delivered.dead_lettered);
        let dead_lettered = of_sinks.fold(sum.dead_lettered.clone(), Counts::joined);
        let mut document = self.heading(kind.as_str(), now);
        let latency = waiting.latency.iter().map(|(sink, latency)| (sink.to_string(), milliseconds(*latency)));
        let members = json!({
            "account.sequence": sequence,
            "account.since": time(self.state.since),
            "account.targets": self.subject.targets,
            "account.lines": sum.lines,
            "account.records": sum.records,
            "account.kept": sum.kept,
            "account.ids": sum.ids,
            "account.dropped": sum.dropped.total(),
            "account.dropped_by": sum.dropped,
            "account.dead_lettered": dead_lettered.total(),
            "account.dead_lettered_by": dead_lettered,
            "account.sinks": sinks,
            "account.waiting_bytes": waiting.bytes,
            "account.oldest_waiting_seconds": waiting.oldest.as_secs_f64(),
            "account.sink_latency_ms": latency.collect::<serde_json::Map<_, _>>(),
        });
        extend(&mut document, flat(sinks, &waiting.latency, &reasons(&dead_lettered)));
        extend(&mut document, members);
        extend(&mut document, more);
        let id = Id::of_parts(now.timestamp(), &["account", &self.state.state, &sequence.to_string()]);
        // The ranges are many: they are text from the beginning, and never a tree.
        let mut text = document.to_string();
        text.pop();
        text.push_str(",\"account.files\":[");
        text.push_str(&ranges);
        text.push_str("]}");
        own_document(id, now, text)
    }

    /// A document for each reason of dead letters.
    fn dead_letters(&self, dead_lettered: &Counts, now: DateTime<Utc>) -> Vec<OwnDocument> {
        let AccountsState { state, sequence, since, .. } = &self.state;
        let document = |(reason, count): (&str, u64)| {
            let mut document = self.heading("dead_letter", now);
            let members = json!({
                "account.since": time(*since), "account.reason": reason, "account.reason_count": count,
            });
            extend(&mut document, members);
            let id = Id::of_parts(now.timestamp(), &["dead_letter", state, &sequence.to_string(), reason]);
            own_document(id, now, document.to_string())
        };
        reasons(dead_lettered).into_iter().map(document).collect()
    }

    /// The configuration itself, once for each digest.
    fn configuration(&mut self, now: DateTime<Utc>) -> OwnDocument {
        let mut document = self.heading("configuration", now);
        let config = &self.subject.config;
        extend(&mut document, json!({ "inferlog.config": config, "account.configuration": self.subject.config_text }));
        let seed = ["configuration", &self.subject.host, &self.subject.pipeline, &self.subject.config];
        self.state.configuration.clone_from(&self.subject.config);
        // No time: whoever starts with this configuration again gives it the same id.
        own_document(Id::of_parts(0, &seed), now, document.to_string())
    }

    fn heading(&self, kind: &str, now: DateTime<Utc>) -> Value {
        let Subject { pipeline, host, .. } = &self.subject;
        json!({
            "@timestamp": time(now),
            "host.name": host,
            "agent.type": "inferlog",
            "agent.version": env!("CARGO_PKG_VERSION"),
            "inferlog.pipeline": pipeline,
            "inferlog.config": self.state.config,
            "account.kind": kind,
            "account.state": self.state.state,
        })
    }

    /// True when the checkpoint on disk is behind.
    pub fn is_dirty(&self) -> bool {
        self.is_dirty
    }

    /// Takes note that the checkpoint holds everything; gives what was settled since it was saved before.
    pub fn saved(&mut self) -> Totals {
        self.is_dirty = false;
        let news = std::mem::take(&mut self.unsaved);
        self.state.totals.join(&news);
        news
    }
}

/// What the checkpoint shall keep.
impl Serialize for Accounts {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let AccountsState { state, sequence, config, configuration, since, unlisted, sinks, .. } = &self.state;
        let mut totals = self.state.totals.clone();
        totals.join(&self.unsaved);
        let ranges = self.ranges.values().map(Box::as_ref).collect();
        let (sequence, since) = (*sequence, *since);
        AccountsStateView { state, sequence, config, configuration, since, ranges, unlisted, sinks, totals }
            .serialize(serializer)
    }
}

impl PendingAccount {
    fn into_document(self) -> OwnDocument {
        let mut characters = [b'A'; ID_CHARACTERS];
        // One that was damaged by hand is sent under another id rather than kept for ever.
        self.id.bytes().zip(&mut characters).for_each(|(byte, character)| *character = byte);
        let (stream, id, timestamp_us) = (Stream::Accounts, Id(characters), self.timestamp_us);
        OwnDocument { stream, id, timestamp_us, text: self.document }
    }
}

fn bytes_of(range: &Range) -> usize {
    RANGE_BYTES + range.path.len()
}

/// What a checkpoint tells that may be in no sink yet: the accounts that wait, and what is in no account.
pub fn of_checkpoint(checkpoint: &Checkpoint) -> Vec<Account> {
    let state = checkpoint.accounts.read::<AccountsState>().unwrap_or_default();
    let read = |text: &RawValue| {
        let account = serde_json::from_str::<Account>(text.get()).ok();
        account.filter(|account| is_account(&account.kind))
    };
    let of_before = state.pending.iter().filter_map(|pending| read(&pending.document));
    let in_outbox = checkpoint.outbox.read::<Vec<Waiter<'_>>>().unwrap_or_default();
    let in_outbox = in_outbox.into_iter().filter_map(|waiter| read(waiter.document));
    let mut accounts: Vec<Account> = of_before.chain(in_outbox).collect();
    if !checkpoint.accounts.is_null() {
        accounts.push(Account {
            kind: String::new(),
            state: state.state,
            sequence: state.sequence,
            time: state.since,
            config: state.config,
            files: state.ranges,
            unlisted: state.unlisted,
            waiting_bytes: 0,
        });
    }
    accounts
}

/// A document in the outbox; of other kinds than accounts there is none that reads as one.
#[derive(Deserialize)]
struct Waiter<'t> {
    #[serde(borrow)]
    document: &'t RawValue,
}

/// An account that was read back, as far as a proof needs it.
#[derive(Clone, Debug, Deserialize)]
pub struct Account {
    /// `start`, `interval` or `stop`; empty for what is in no account yet.
    #[serde(rename = "account.kind")]
    pub kind: String,
    /// Which folder of state it is of.
    #[serde(rename = "account.state")]
    pub state: String,
    /// Its number there.
    #[serde(rename = "account.sequence", default)]
    pub sequence: u64,
    /// When it was written.
    #[serde(rename = "@timestamp")]
    pub time: DateTime<Utc>,
    /// The digest of the configuration in force.
    #[serde(rename = "inferlog.config", default)]
    pub config: String,
    /// The ranges.
    #[serde(rename = "account.files", default)]
    pub files: Vec<Range>,
    /// What is in none of them.
    #[serde(rename = "account.unlisted", default)]
    pub unlisted: UnlistedLines,
    /// Bytes that waited to be delivered.
    #[serde(rename = "account.waiting_bytes", default)]
    pub waiting_bytes: u64,
}

#[cfg(test)]
mod tests;
