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
//!  "account.waiting_bytes":0,"account.oldest_waiting_seconds":0.0,"account.sink_latency_ms":{"elasticsearch":{…}}}
//! ```
//!
//! What is counted is what was committed, and it is saved in the checkpoint together with the offsets. An account is
//! sent only when the checkpoint holds it, under an id that it keeps: so whatever crashes, each range is in exactly one
//! account. An account that no sink takes stays in the checkpoint; records never wait for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::flow::ack::{Mark, Settled};
use crate::flow::batch::{Batch, Destination, ID_CHARACTERS, Id};
use crate::flow::tally::{Delivered, Tally, Totals};
use crate::telemetry::Latency;

/// How often an account is written.
pub const INTERVAL: Duration = Duration::from_secs(60);

/// One account tells of at most this many ranges; what is over goes into a further one.
const RANGES_PER_ACCOUNT_MAX: usize = 1_000;

/// With so many ranges an account is due before its time.
const RANGES_DUE: usize = 5_000;

/// The most ranges that wait for an account. When no sink takes accounts for so long, further ones are given up.
const RANGES_MAX: usize = 20_000;

/// The most accounts that wait for a sink.
const PENDING_MAX: usize = 100;

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
pub enum Kind {
    /// The pipeline starts.
    Start,
    /// A minute has passed.
    Interval,
    /// The pipeline stops.
    Stop,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Kind::Start => "start",
            Kind::Interval => "interval",
            Kind::Stop => "stop",
        }
    }
}

/// What waits at the moment.
#[derive(Clone, Debug, Default)]
pub struct Waiting {
    /// Bytes of the files that are not delivered.
    pub bytes: u64,
    /// How long the oldest batch has been on its way.
    pub oldest: Duration,
    /// How long requests took since the last account, by sink.
    pub latency: BTreeMap<Arc<str>, Latency>,
}

/// A part of a file of which all lines are settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The path under which the file was read last.
    pub path: String,
    /// Its inode.
    pub inode: u64,
    /// How often the content had begun anew under this inode.
    pub generation: u32,
    /// Where the range begins, in bytes from the start of the file.
    pub from_bytes: u64,
    /// Where it ends.
    pub to_bytes: u64,
    /// What became of its lines.
    #[serde(flatten)]
    pub tally: Tally,
}

/// What the checkpoint keeps. Unknown members are tolerated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct State {
    /// Tells this folder of state from one that was there before it.
    state: String,
    /// The number of the next account.
    sequence: u64,
    /// The digest of the configuration that decided what was settled since the last account.
    config: String,
    /// When the last account was written.
    since: DateTime<Utc>,
    /// What is not in an account yet.
    ranges: Vec<Range>,
    sinks: BTreeMap<String, Delivered>,
    /// Accounts that no sink has yet.
    pending: Vec<Pending>,
    /// Everything that was ever settled.
    totals: Totals,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Pending {
    id: String,
    timestamp_us: i64,
    document: Value,
}

/// The accounts of one pipeline.
#[derive(Debug)]
pub struct Accounts {
    subject: Subject,
    state: State,
    /// By inode, generation and beginning.
    ranges: BTreeMap<(u64, u32, u64), Range>,
    /// What was settled since the checkpoint was saved.
    unsaved: Totals,
    /// How many of the accounts that wait are in the checkpoint on disk.
    saved: usize,
    /// How many of those are on their way.
    sent: usize,
    is_dirty: bool,
    /// Ranges were given up, and it was said.
    gave_up: bool,
    next_due: Instant,
    next_send: Instant,
}

impl Accounts {
    /// Goes on from what the checkpoint keeps, `null` at the very first start, and writes the account of a start. A state
    /// that cannot be read is begun anew; the second value then says so.
    pub fn start(subject: Subject, saved: Value) -> (Accounts, bool) {
        let (mut state, is_readable) = match saved {
            Value::Null => (State::default(), true),
            saved => {
                serde_json::from_value::<State>(saved).map_or_else(|_| (State::default(), false), |state| (state, true))
            }
        };
        for (kind, name) in &subject.named_kinds {
            for sinks in [&mut state.sinks, &mut state.totals.sinks] {
                if let Some(counted) = sinks.remove(*kind) {
                    sinks.entry(name.clone()).or_default().join(&counted);
                }
            }
        }
        let now = Utc::now();
        if state.state.is_empty() {
            state.state = format!("{:016x}{:016x}", fastrand::u64(..), now.timestamp_nanos_opt().unwrap_or_default());
            state.since = now;
        }
        let ranges = std::mem::take(&mut state.ranges);
        let ranges =
            ranges.into_iter().map(|range| ((range.inode, range.generation, range.from_bytes), range)).collect();
        let (unsaved, saved) = (Totals::default(), state.pending.len());
        let (next_due, next_send) = (Instant::now() + INTERVAL, Instant::now());
        let (sent, is_dirty, gave_up) = (0, true, false);
        let mut accounts =
            Accounts { subject, state, ranges, unsaved, saved, sent, is_dirty, gave_up, next_due, next_send };
        if accounts.state.config != accounts.subject.config {
            if !accounts.ranges.is_empty() {
                // What was settled before was decided by the configuration before.
                accounts.close(Kind::Interval, now, &Waiting::default());
            }
            accounts.keep_configuration(now);
        }
        accounts.close(Kind::Start, now, &Waiting::default());
        (accounts, is_readable)
    }

    /// Everything that was settled, as the checkpoint knows it.
    pub fn totals(&self) -> &Totals {
        &self.state.totals
    }

    /// Takes note of what is settled.
    pub fn add(&mut self, settled: &Settled) {
        if settled.destination == Destination::Accounts {
            return self.answered(&settled.delivered);
        }
        self.is_dirty = true;
        for (sink, delivered) in &settled.delivered {
            self.unsaved.add_documents(sink, delivered);
            self.state.sinks.entry(sink.to_string()).or_default().join(delivered);
        }
        for mark in &settled.marks {
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
        if self.ranges.len() >= RANGES_MAX {
            if !std::mem::replace(&mut self.gave_up, true) {
                let hint = "see why the sink does not take the pipeline's accounts; records are not concerned";
                let pipeline = &self.subject.pipeline;
                tracing::warn!(
                    pipeline,
                    hint,
                    "no account could be delivered for so long that settled ranges are given up"
                );
            }
            return;
        }
        let range = Range {
            path: mark.source.path.clone(),
            inode,
            generation,
            from_bytes: mark.start_bytes,
            to_bytes: mark.offset_bytes,
            tally: mark.tally.clone(),
        };
        self.ranges.insert((inode, generation, mark.start_bytes), range);
    }

    /// Takes note of what the sinks said of the accounts that were sent.
    fn answered(&mut self, delivered: &[(Arc<str>, Delivered)]) {
        let sent = std::mem::take(&mut self.sent);
        if delivered.iter().all(|(_, delivered)| delivered.indexed == sent as u64) {
            self.state.pending.drain(..sent);
            self.saved -= sent;
            self.is_dirty = true;
        } else {
            self.next_send = Instant::now() + INTERVAL;
        }
    }

    /// Writes an account when a minute has passed, or there is much to tell, and no other one waits.
    pub fn close_if_due(&mut self, waiting: impl FnOnce() -> Waiting) {
        let is_due = Instant::now() >= self.next_due || self.ranges.len() >= RANGES_DUE;
        if is_due && self.state.pending.is_empty() {
            self.close(Kind::Interval, Utc::now(), &waiting());
        }
    }

    /// Writes an account of all that was settled since the last one.
    pub fn close(&mut self, kind: Kind, now: DateTime<Utc>, waiting: &Waiting) {
        self.next_due = Instant::now() + INTERVAL;
        let previous_config = match kind {
            Kind::Start => Some(std::mem::replace(&mut self.state.config, self.subject.config.clone())),
            Kind::Interval | Kind::Stop => None,
        };
        let previous_config = previous_config.filter(|previous| !previous.is_empty());
        let ranges: Vec<Range> = std::mem::take(&mut self.ranges).into_values().collect();
        let sinks = std::mem::take(&mut self.state.sinks);
        // What the deliveries said is told once, in the first one.
        let mut chunks = ranges.chunks(RANGES_PER_ACCOUNT_MAX);
        let mut first = self.document(kind, now, waiting, chunks.next().unwrap_or_default(), &sinks);
        extend(&mut first, json!({ "account.previous_config": previous_config }));
        self.push(now, first);
        for ranges in chunks {
            let further = self.document(kind, now, waiting, ranges, &BTreeMap::new());
            self.push(now, further);
        }
        self.state.since = now;
    }

    fn document(
        &self,
        kind: Kind,
        now: DateTime<Utc>,
        waiting: &Waiting,
        ranges: &[Range],
        sinks: &BTreeMap<String, Delivered>,
    ) -> Value {
        let mut sum = Tally::default();
        ranges.iter().for_each(|range| sum.join(&range.tally));
        let mut dead_lettered = sum.dead_lettered.clone();
        sinks.values().for_each(|delivered| dead_lettered.join(&delivered.dead_lettered));
        let mut document = self.heading(kind.as_str(), now);
        let latency = waiting.latency.iter().map(|(sink, latency)| (sink.to_string(), milliseconds(*latency)));
        let members = json!({
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
            "account.files": ranges,
            "account.waiting_bytes": waiting.bytes,
            "account.oldest_waiting_seconds": waiting.oldest.as_secs_f64(),
            "account.sink_latency_ms": latency.collect::<serde_json::Map<_, _>>(),
        });
        extend(&mut document, members);
        document
    }

    /// The configuration itself, once for each digest.
    fn keep_configuration(&mut self, now: DateTime<Utc>) {
        let mut document = self.heading("configuration", now);
        let config = &self.subject.config;
        extend(&mut document, json!({ "inferlog.config": config, "account.configuration": self.subject.config_text }));
        let seed = ["configuration", &self.subject.host, &self.subject.pipeline, &self.subject.config];
        // No time: whoever starts with this configuration again gives it the same id.
        self.state.pending.push(Pending { id: id(0, &seed), timestamp_us: now.timestamp_micros(), document });
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

    fn push(&mut self, now: DateTime<Utc>, mut document: Value) {
        let sequence = self.state.sequence;
        self.state.sequence += 1;
        document["account.sequence"] = sequence.into();
        let id = id(now.timestamp(), &["account", &self.state.state, &sequence.to_string()]);
        self.state.pending.push(Pending { id, timestamp_us: now.timestamp_micros(), document });
        self.is_dirty = true;
        self.forget_surplus();
    }

    /// While no sink takes accounts, every start and stop adds one: of those that tell of no lines the oldest goes.
    fn forget_surplus(&mut self) {
        let tells_nothing = |pending: &Pending| pending.document["account.files"].as_array().is_some_and(Vec::is_empty);
        while self.state.pending.len() > PENDING_MAX
            && let Some(place) = self.state.pending.iter().skip(self.sent).position(tells_nothing)
        {
            self.state.pending.remove(self.sent + place);
            self.saved -= usize::from(self.sent + place < self.saved);
        }
    }

    /// True when the checkpoint on disk is behind.
    pub fn is_dirty(&self) -> bool {
        self.is_dirty
    }

    /// True when an account waits for the checkpoint.
    pub fn is_urgent(&self) -> bool {
        self.saved < self.state.pending.len()
    }

    /// True when an account is on its way, or may be sent.
    pub fn is_pending(&self) -> bool {
        !self.state.pending.is_empty()
    }

    /// True unless the sinks have refused what waits, which is then tried again in a minute.
    pub fn is_hopeful(&self) -> bool {
        Instant::now() >= self.next_send
    }

    /// What the checkpoint shall keep.
    pub fn state(&self) -> Value {
        let mut totals = self.state.totals.clone();
        totals.join(&self.unsaved);
        let state = State { ranges: self.ranges.values().cloned().collect(), totals, ..self.state.clone() };
        serde_json::to_value(state).unwrap_or_default()
    }

    /// Takes note that the checkpoint holds everything; gives what was settled since it was saved before.
    pub fn saved(&mut self) -> Totals {
        self.is_dirty = false;
        self.saved = self.state.pending.len();
        let news = std::mem::take(&mut self.unsaved);
        self.state.totals.join(&news);
        news
    }

    /// The accounts that may be sent now, as a batch.
    pub fn next_batch(&mut self) -> Option<Batch> {
        if self.sent > 0 || self.saved == 0 || Instant::now() < self.next_send {
            return None;
        }
        let mut batch = Batch::of_accounts();
        for Pending { id, timestamp_us, document } in &self.state.pending[..self.saved] {
            let mut characters = [b'A'; ID_CHARACTERS];
            // One that was damaged by hand is sent under another id rather than kept for ever.
            id.bytes().zip(&mut characters).for_each(|(byte, character)| *character = byte);
            batch.push(Id(characters), *timestamp_us, None, |body| {
                body.extend_from_slice(document.to_string().as_bytes());
            });
        }
        self.sent = self.saved;
        Some(batch)
    }
}

fn milliseconds(latency: Latency) -> Value {
    let Latency { requests, sum, max } = latency;
    let mean = sum.as_secs_f64() * 1_000.0 / requests.max(1) as f64;
    json!({ "requests": requests, "mean": mean, "max": max.as_secs_f64() * 1_000.0 })
}

fn extend(document: &mut Value, members: Value) {
    if let (Some(document), Value::Object(members)) = (document.as_object_mut(), members) {
        document.extend(members.into_iter().filter(|(_, value)| !value.is_null()));
    }
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// An id as documents have it: seconds, then half of a SHA-256 of the seed.
fn id(seconds: i64, seed: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in seed {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let digest: [u8; 32] = hasher.finalize().into();
    let mut bytes = [0; 21];
    bytes[..5].copy_from_slice(&(seconds.clamp(0, (1 << 40) - 1) as u64).to_be_bytes()[3..]);
    bytes[5..].copy_from_slice(&digest[..16]);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What a checkpoint tells that may be in no sink yet: the accounts that wait, and what is in no account.
pub fn of_checkpoint(saved: &Value) -> Vec<Account> {
    let Ok(state) = State::deserialize(saved) else { return Vec::new() };
    let waiting = state.pending.iter().filter_map(|pending| Account::deserialize(&pending.document).ok());
    let open = Account {
        kind: String::new(),
        state: state.state.clone(),
        sequence: state.sequence,
        time: state.since,
        config: state.config.clone(),
        files: state.ranges.clone(),
        waiting_bytes: 0,
    };
    waiting.chain([open]).collect()
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
    /// Bytes that waited to be delivered.
    #[serde(rename = "account.waiting_bytes", default)]
    pub waiting_bytes: u64,
}

#[cfg(test)]
mod tests;
