//! Building: from a checked pipeline file to stages that are ready to run.
//!
//! Opens what the pipeline needs (its folder of state with the lock, the checkpoint, the dead letter, the sinks) and
//! wires the stages together. Connects to nothing.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Instant;

use super::bench::Bench;
use super::books::Books;
use super::delivery::Delivery;
use super::health::Health;
use super::labels::Labels;
use super::outbox::{Lane, Outbox, OutboxAtStart};
use super::outlet::Outlet;
use super::pulse::Pulse;
use super::settle::NamedSink;
use super::stages::Stages;
use super::workers::Workers;
use super::{Limits, Pipeline, Stop};
use crate::config::model::{self, SinkOptions};
use crate::dead_letter::{self, DeadLetter, DeadLetterError, Raw, Why};
use crate::elastic::options::OptionsError;
use crate::flow::batch::Batch;
use crate::flow::wake::Wake;
use crate::judge::enrichment::{hides, host_name};
use crate::judge::line::Judge;
use crate::observe::drift::{self, Drift};
use crate::observe::ground_truth::GroundTruth;
use crate::observe::{Observers, Published};
use crate::outcome;
use crate::outcome::ledger::{Ledger, LedgerError};
use crate::proof::accounts::{Accounts, AccountsAtStart, Subject};
use crate::queue::Queue;
use crate::sink::Sink;
use crate::sink::elasticsearch::Elasticsearch;
use crate::sink::stdout::Stdout;
use crate::sink::store::{Store, StoreError, StoreOptions};
use crate::source::files::{self, Files};
use crate::state::checkpoint::{self, Checkpoint, CheckpointError, FileEntry, JsonText, Loaded};
use crate::state::folder::{
    checkpoint_file, dead_letter_folder, outcomes_file, salvage_folder, state_folder, store_file,
};
use crate::state::lock::{LockError, lock};
use crate::state::pipeline_file;
use crate::telemetry::Counters;

/// The most buffers that are kept to be filled again. More would all grow to the size of the largest batch in time.
const SPENT_BATCHES_MAX: usize = 4;

/// What keeps a pipeline from starting.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The folder of state cannot be used.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The dead letter cannot be opened.
    #[error(transparent)]
    DeadLetter(#[from] DeadLetterError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The client cannot be made.
    #[error(transparent)]
    Client(#[from] OptionsError),
    /// The ledger of outcomes cannot be opened.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The system gives no threads.
    #[error("cannot start the threads of `workers`")]
    Workers(#[source] std::io::Error),
    /// A glob is wrong.
    #[error("a glob in `source.files` is wrong")]
    Glob(#[from] globset::Error),
}

impl BuildError {
    /// What cannot be had, in words that name no path.
    pub fn what(&self) -> &'static str {
        match self {
            BuildError::Lock(LockError::Locked { .. }) => "the folder of state, which another process uses,",
            BuildError::Lock(LockError::Folder { .. }) => "the folder of state",
            BuildError::Checkpoint(_) => "the checkpoint",
            BuildError::DeadLetter(_) => "the dead letter",
            BuildError::Store(_) => "the store",
            BuildError::Client(_) => "what the client of Elasticsearch needs",
            BuildError::Ledger(_) => "the ledger of outcomes",
            BuildError::Workers(_) => "threads for `workers`",
            BuildError::Glob(_) => "the list of files",
        }
    }
}

/// A pipeline that is ready to run, and the deliveries to its sinks.
#[derive(Debug)]
pub struct Assembly {
    /// The part left of the queues, for a thread of its own.
    pub pipeline: Pipeline,
    /// One for each sink, for the runtime.
    pub deliveries: Vec<Delivery>,
    /// The state of each sink.
    pub health: Vec<Arc<Health>>,
    /// The state of the pipeline's thread.
    pub pulse: Arc<Pulse>,
    /// Tells the pipeline to stop.
    pub stop: Stop,
    /// Its counters.
    pub counters: Counters,
    /// What is shown of its models.
    pub shown: Published,
    /// Whether its thread runs, or will.
    pub is_running: Arc<AtomicBool>,
    /// Held as long as the pipeline runs.
    pub lock: File,
}

/// Where a store sink keeps its documents.
pub fn store_path(data_dir: &Path, pipeline: &str, store: &model::Store) -> PathBuf {
    store.path.clone().unwrap_or_else(|| store_file(&state_folder(data_dir, pipeline)))
}

/// Opens a pipeline's state and wires its stages together.
///
/// # Errors
/// When its state is in use, cannot be read or written, or a certificate file cannot be read.
pub fn build(
    pipeline: &model::Pipeline,
    data_dir: &Path,
    limits: Limits,
    counters: Counters,
    labels_run: Option<Arc<AtomicBool>>,
) -> Result<Assembly, BuildError> {
    let folder = state_folder(data_dir, &pipeline.name);
    let lock = lock(&folder)?;
    note_file(&folder, pipeline);
    let wake = Wake::default();
    let stop = Stop::new(wake.clone());
    let checkpoint_path = checkpoint_file(&folder);
    let checkpoint = checkpoint(&checkpoint_path, &pipeline.name)?;
    let sinks: Vec<Arc<str>> = pipeline.sinks.iter().map(|sink| sink.name.as_str().into()).collect();
    let (accounts, outbox, lanes) = own_documents(pipeline, checkpoint.as_ref(), &sinks, &wake, &counters);
    let (entries, observed) = checkpoint.map(|found| (found.files, found.observers)).unzip();
    let truth = ground_truth(pipeline, &folder, &counters)?;
    let labels = labels(pipeline, data_dir, labels_run, truth.as_ref())?;
    let observers = observers(pipeline, observed.unwrap_or_default(), truth, &counters);
    let shown = observers.shown();
    let dead_letter =
        Arc::new(DeadLetter::open(&dead_letter_folder(&folder), dead_letter_options(pipeline), counters.clone())?);
    let (spent_sender, spent) = sync_channel(SPENT_BATCHES_MAX);
    let limits = Limits { unacknowledged_bytes_max: pipeline.queue.unacknowledged_bytes_max, ..limits };
    if entries.iter().flatten().any(|entry| entry.committed.offset_bytes > 0) {
        warn_of_new_stores(pipeline, data_dir);
    }
    let (queues, deliveries, health) =
        deliveries(pipeline, data_dir, &wake, &counters, &dead_letter, &spent_sender, lanes)?;
    let raw = dead_letter.raw();
    let stages = Stages::new(observers, Arc::clone(&dead_letter), counters.clone(), pipeline.batch, spent);
    let workers = workers(pipeline, raw, &stages, &counters)?;
    let source = source(pipeline, &folder, entries, &counters, &wake)?;
    let pulse = Arc::<Pulse>::default();
    let books = Books {
        pipeline: pipeline.name.clone(),
        checkpoint: checkpoint_path,
        dead_letter,
        accounts,
        outbox,
        counters: counters.clone(),
        pulse: Arc::clone(&pulse),
        next_save: Instant::now(),
        is_failing: false,
        is_fullness_said: false,
    };
    let pipeline = Pipeline {
        name: pipeline.name.clone(),
        source,
        bench: bench(pipeline, raw, &counters),
        workers,
        stages,
        outlet: Outlet::new(queues, pipeline.rate_limit.unwrap_or_default(), wake.clone()),
        books,
        counters: counters.clone(),
        limits,
        wake,
        stop: stop.clone(),
        moved: Instant::now(),
        labels,
        rest: None,
        pulse: Arc::clone(&pulse),
    };
    let is_running = Arc::new(AtomicBool::new(true));
    Ok(Assembly { pipeline, deliveries, health, pulse, stop, counters, shown, is_running, lock })
}

/// The files, going on from the entries of the checkpoint.
fn source(
    pipeline: &model::Pipeline,
    folder: &Path,
    entries: Option<Vec<FileEntry>>,
    counters: &Counters,
    wake: &Wake,
) -> Result<Files, BuildError> {
    let options = files::Options { salvage: Some(salvage_folder(folder)), ..pipeline.source.files.clone() };
    Ok(Files::new(options, entries, counters.clone(), wake.clone())?)
}

/// A bench on which lines become what the pipeline file says.
fn bench(pipeline: &model::Pipeline, raw: Raw, counters: &Counters) -> Bench {
    Bench::new(Judge::new(pipeline, &host_name(), counters), raw)
}

/// The workers, where there are to be more than one.
fn workers(
    pipeline: &model::Pipeline,
    raw: Raw,
    stages: &Stages,
    counters: &Counters,
) -> Result<Option<Workers>, BuildError> {
    if pipeline.workers <= 1 {
        return Ok(None);
    }
    let benches = (0..pipeline.workers).map(|_| bench(pipeline, raw, counters)).collect();
    let workers = Workers::start(&pipeline.name, benches, stages.observed());
    workers.map(Some).map_err(BuildError::Workers)
}

/// Notes which file the pipeline is of, for verbs that are told its name.
fn note_file(folder: &Path, pipeline: &model::Pipeline) {
    if let Err(error) = pipeline_file::remember(folder, &pipeline.path) {
        tracing::warn!(pipeline = pipeline.name, %error, "verbs cannot be told this pipeline by its name");
    }
}

/// A queue, a delivery and its health for each sink, in their order.
type Connected = (Vec<Queue>, Vec<Delivery>, Vec<Arc<Health>>);

/// Connects every sink with a queue of its own.
fn deliveries(
    pipeline: &model::Pipeline,
    data_dir: &Path,
    wake: &Wake,
    counters: &Counters,
    dead_letter: &Arc<DeadLetter>,
    spent: &SyncSender<Batch>,
    lanes: Vec<Lane>,
) -> Result<Connected, BuildError> {
    let (mut queues, mut deliveries, mut all_health) = (Vec::new(), Vec::new(), Vec::new());
    for (sink, lane) in pipeline.sinks.iter().zip(lanes) {
        let queue = Queue::new(pipeline.queue.memory_bytes_max as usize, wake.clone());
        let health = Arc::new(Health::new(&pipeline.name, &sink.name, counters.sink(&sink.name)));
        let sink = open_sink(sink, data_dir, &pipeline.name)?;
        all_health.push(Arc::clone(&health));
        let (dead_letter, spent) = (Arc::clone(dead_letter), spent.clone());
        deliveries.push(Delivery::new(sink, queue.clone(), dead_letter, health, counters, spent, lane));
        queues.push(queue);
    }
    Ok((queues, deliveries, all_health))
}

/// The checkpoint; `None` at the very first start. A damaged one was moved aside, and every file is read and counted anew.
fn checkpoint(path: &Path, pipeline: &str) -> Result<Option<Checkpoint>, BuildError> {
    Ok(match checkpoint::load(path)? {
        Loaded::Absent => None,
        Loaded::Found(checkpoint) => Some(checkpoint),
        Loaded::Damaged(aside) => {
            tracing::warn!(
                pipeline,
                aside = %aside.display(),
                hint = "what was delivered before is sent again and found to be there already",
                "the checkpoint was damaged; it is kept aside, and every file is read from its beginning"
            );
            Some(Checkpoint { version: checkpoint::VERSION, ..Checkpoint::default() })
        }
    })
}

/// The observer of outcomes, over the ledger in the pipeline's folder of state.
fn ground_truth(
    pipeline: &model::Pipeline,
    folder: &Path,
    counters: &Counters,
) -> Result<Option<GroundTruth>, BuildError> {
    let Some(model::GroundTruth { options, .. }) = pipeline.ground_truth() else { return Ok(None) };
    let subject = outcome::Subject { pipeline: pipeline.name.clone(), host: host_name() };
    let ledger = Ledger::open(&outcomes_file(folder), options.ledger, subject)?;
    Ok(Some(GroundTruth::new(options.clone(), ledger, counters)))
}

/// The labels that the pipeline of labels has read and will read, for the observer of outcomes; `is_running`: whether it does.
fn labels(
    pipeline: &model::Pipeline,
    data_dir: &Path,
    is_running: Option<Arc<AtomicBool>>,
    truth: Option<&GroundTruth>,
) -> Result<Option<Labels>, BuildError> {
    let Some(truth) = truth else { return Ok(None) };
    let folder = state_folder(data_dir, &format!("{}{}", pipeline.name, model::LABELS_SUFFIX));
    Ok(Some(Labels::new(store_file(&folder), is_running.unwrap_or_default(), truth.progress()?)))
}

/// The observers of a pipeline file, going on from what they had counted.
fn observers(
    pipeline: &model::Pipeline,
    observed: serde_json::Value,
    truth: Option<GroundTruth>,
    counters: &Counters,
) -> Observers {
    let subject = drift::Subject { pipeline: pipeline.name.clone(), host: host_name() };
    let drift = pipeline.drift().map(|options| Drift::new(options.clone(), subject, counters));
    let mut observers = Observers::new(pipeline.model_metrics().cloned(), drift, truth, counters);
    if observers.restore(observed).is_err() {
        let hint = "another version of inferlog may have written them; the metrics begin at zero";
        tracing::warn!(pipeline = pipeline.name, hint, "cannot read the observers' counts in the checkpoint");
    }
    observers
}

/// What a pipeline says of itself, going on from what the checkpoint keeps: its accounts, with that of this start, and the
/// outbox with a lane for each sink.
fn own_documents(
    pipeline: &model::Pipeline,
    checkpoint: Option<&Checkpoint>,
    sinks: &[Arc<str>],
    wake: &Wake,
    counters: &Counters,
) -> (Accounts, Outbox, Vec<Lane>) {
    let nothing = JsonText::default();
    let (kept_accounts, kept_outbox) =
        checkpoint.map_or((&nothing, &nothing), |found| (&found.accounts, &found.outbox));
    let subject = Subject {
        pipeline: pipeline.name.clone(),
        host: host_name(),
        config: pipeline.digest.clone(),
        config_text: pipeline.text.clone(),
        targets: pipeline.sinks.iter().flat_map(targets).collect(),
        named_kinds: named_kinds(&pipeline.sinks),
    };
    let AccountsAtStart { mut accounts, pending, is_readable } = Accounts::restore(subject, kept_accounts);
    let OutboxAtStart { mut outbox, lanes, unreadable } = Outbox::open(kept_outbox, sinks, wake);
    if !is_readable || unreadable > 0 {
        let hint = "what was settled and not accounted for yet is proven by the files themselves, while they are there";
        tracing::warn!(pipeline = pipeline.name, hint, "cannot read the accounts in the checkpoint; they begin anew");
    }
    pending.into_iter().for_each(|document| outbox.put(document));
    match outbox.has_room() {
        true => accounts.begin().into_iter().for_each(|document| outbox.put(document)),
        false => accounts.begin_untold(),
    }
    counters.show_settled(accounts.totals());
    (accounts, outbox, lanes)
}

pub(crate) fn dead_letter_options(pipeline: &model::Pipeline) -> dead_letter::Options {
    let model::DeadLetter { raw, bytes_max, when_full } = pipeline.dead_letter;
    let raw = match raw {
        model::RawLine::Keep => Raw::Kept,
        model::RawLine::Omit => Raw::Left(Why::Omitted),
        model::RawLine::UnlessHidden if hides(pipeline) => Raw::Left(Why::MayHoldHidden),
        model::RawLine::UnlessHidden => Raw::Kept,
    };
    dead_letter::Options { raw, bytes_max, when_full }
}

/// See [`Subject::named_kinds`].
fn named_kinds(sinks: &[model::Sink]) -> Vec<(&'static str, String)> {
    let mut named: Vec<(&'static str, String)> = Vec::new();
    for sink in sinks {
        let is_first = named.iter().all(|(kind, _)| *kind != sink.kind());
        if is_first && sinks.iter().all(|other| other.name != sink.kind()) {
            named.push((sink.kind(), sink.name.clone()));
        }
    }
    named
}

/// What accounts call the place where a sink keeps its documents.
fn targets(sink: &model::Sink) -> Vec<String> {
    match &sink.options {
        SinkOptions::Elasticsearch(options) => options.target.account_names(),
        SinkOptions::Store(_) | SinkOptions::Stdout => vec![sink.kind().to_owned()],
    }
}

/// A store that is begun now lacks what was delivered before: another one was there, or another sink.
fn warn_of_new_stores(pipeline: &model::Pipeline, data_dir: &Path) {
    for sink in &pipeline.sinks {
        let SinkOptions::Store(options) = &sink.options else { continue };
        let path = store_path(data_dir, &pipeline.name, options);
        if std::fs::metadata(&path).map_or(true, |metadata| metadata.len() == 0) {
            tracing::warn!(
                pipeline = pipeline.name,
                store = %path.display(),
                hint = "to have it there too, as far as the log files still hold it: stop, move `checkpoint.json` away, start",
                "the store is new, and what was delivered before, by the checkpoint, is not in it"
            );
        }
    }
}

/// Opens a sink as the file describes it, of a pipeline of this name.
///
/// # Errors
/// When a certificate file cannot be read, or a store cannot be opened.
pub fn open_sink(sink: &model::Sink, data_dir: &Path, pipeline: &str) -> Result<NamedSink, BuildError> {
    let opened: Arc<dyn Sink> = match &sink.options {
        SinkOptions::Elasticsearch(options) => Arc::new(Elasticsearch::new(options)?),
        SinkOptions::Store(options) => {
            let path = store_path(data_dir, pipeline, options);
            Arc::new(Store::open(StoreOptions { path, retention: options.retention })?)
        }
        SinkOptions::Stdout => Arc::new(Stdout::new()),
    };
    Ok(NamedSink { name: sink.name.as_str().into(), sink: opened, policy: sink.policy })
}

/// The Elasticsearch sink as the file describes it; `None` where it describes another one.
///
/// # Errors
/// When a certificate file cannot be read.
pub fn elasticsearch(sink: &model::Sink) -> Result<Option<Elasticsearch>, BuildError> {
    let SinkOptions::Elasticsearch(options) = &sink.options else { return Ok(None) };
    Ok(Some(Elasticsearch::new(options)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_under_a_kind_is_of_the_first_sink_of_it_unless_one_is_called_so() {
        for (names, expected) in [
            (&["stdout"][..], None),
            (&["here"], Some("here")),
            (&["here", "there"], Some("here")),
            (&["here", "stdout"], None),
        ] {
            let sink = |name: &&str| model::Sink {
                name: (*name).to_owned(),
                options: SinkOptions::Stdout,
                policy: Default::default(),
            };
            let named = named_kinds(&names.iter().map(sink).collect::<Vec<_>>());
            let expected: Vec<_> = expected.map(|name| ("stdout", name.to_owned())).into_iter().collect();
            assert_eq!(named, expected, "{names:?}");
        }
    }
}
