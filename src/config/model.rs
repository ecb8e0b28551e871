//! What a pipeline file says, checked: plain data from which the stages are built.
//!
//! Defaults are filled in, paths are absolute, and what cannot be (two kinds of authentication, a `flag` without a
//! condition) has no place here. Only [`Pipeline`] has a `Debug`, which shows its name and digest: any value may have come from a
//! variable or a file, and is then nobody's to print.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use regex::Regex;

use super::report::{Position, Problem};
use super::stamp::Stamp;
pub use crate::dead_letter::WhenFull;
pub use crate::decode::{Decode, Format};
use crate::elastic::target::Target;
use crate::elastic::tenants::NamespaceRule;
pub use crate::enrich::Step;
use crate::enrich::{Action, Drop, LabelCheck};
pub use crate::flow::batch::BatchLimits;
use crate::flow::reject::Stage;
use crate::kql::Expression;
use crate::observe::drift::options::DriftOptions;
use crate::observe::ground_truth::options::GroundTruthOptions;
use crate::observe::options::ModelMetricsOptions;
pub use crate::queue::rate::RateLimit;
use crate::record::Path;
pub use crate::sink::elasticsearch::ElasticsearchOptions;
pub use crate::sink::policy::Policy;
use crate::sink::store::Retention;
use crate::source::files;

/// One pipeline file.
#[derive(Clone)]
pub struct Pipeline {
    /// The file's stem: letters, digits, `.`, `_`, `-`. It names the folder of state and labels metrics.
    pub name: String,
    /// The file, as it was named by the user.
    pub path: PathBuf,
    /// SHA-256 of `text`, in hexadecimal.
    pub digest: String,
    /// The file's text with the values of variables written out, `"[secret]"` in place of secrets that stand in it, and
    /// references in place of those that do not.
    pub text: String,
    /// The other files that it was made of (secrets, baselines, certificates), as they were then.
    pub files: Vec<(Option<Stamp>, PathBuf)>,
    /// Where records come from.
    pub source: Source,
    /// What a line is.
    pub decode: Decode,
    /// The processors, in the order in which they are applied. At most one is a `timestamp`, at most one an `id`.
    pub enrich: Vec<Step>,
    /// What looks at every record.
    pub observe: Vec<Observer>,
    /// How many threads decode, enrich and render: 1 to 64. One is the pipeline's own.
    pub workers: u32,
    /// When a batch is closed.
    pub batch: BatchLimits,
    /// Bounds of what is under way.
    pub queue: QueueLimits,
    /// How fast records may be sent.
    pub rate_limit: Option<RateLimit>,
    /// What happens with records that cannot be handled.
    pub dead_letter: DeadLetter,
    /// Where documents go: at least one.
    pub sinks: Vec<Sink>,
    /// The file's own tests.
    pub tests: Vec<TestCase>,
    /// What is right and most likely not meant, in the order of the file: `check` shows it.
    pub remarks: Vec<Problem>,
}

impl Pipeline {
    /// Whether both are made of the same file, with the same variables, and of the same other files.
    pub fn is_same(&self, other: &Pipeline) -> bool {
        let made_of = |it: &Pipeline| (it.name.clone(), it.path.clone(), it.digest.clone(), it.files.clone());
        made_of(self) == made_of(other)
    }

    /// The options of `model_metrics`, if that is among the observers.
    pub fn model_metrics(&self) -> Option<&ModelMetricsOptions> {
        self.observe.iter().find_map(|observer| match observer {
            Observer::ModelMetrics(options) => Some(options),
            Observer::Drift(_) | Observer::GroundTruth(_) => None,
        })
    }

    /// Which records observers take for inferences: each condition, with the names of the observers that ask it. The first
    /// of them is the one whose option it is.
    pub fn inferences(&self) -> impl Iterator<Item = (Vec<&'static str>, &Expression)> {
        let of_drift = self.drift().and_then(|options| options.inferences.as_ref());
        let is_shared = self.drift().is_some() && of_drift.is_none();
        let of_metrics = self.model_metrics().map(|options| {
            let observers = if is_shared { vec!["model_metrics", "drift"] } else { vec!["model_metrics"] };
            (observers, &options.inferences)
        });
        of_metrics.into_iter().chain(of_drift.map(|inferences| (vec!["drift"], inferences)))
    }

    /// The options of `drift`, if that is among the observers.
    pub fn drift(&self) -> Option<&DriftOptions> {
        self.observe.iter().find_map(|observer| match observer {
            Observer::Drift(options) => Some(options),
            Observer::ModelMetrics(_) | Observer::GroundTruth(_) => None,
        })
    }
}

impl Pipeline {
    /// Which namespace records go to, where a sink has some. All sinks of a pipeline that have some have the same.
    pub fn namespaces(&self) -> Option<&NamespaceRule> {
        self.sinks.iter().find_map(Sink::namespaces)
    }
}

impl Sink {
    /// The rule of its namespaces, if it has some.
    pub fn namespaces(&self) -> Option<&NamespaceRule> {
        match &self.options {
            SinkOptions::Elasticsearch(options) => match &options.target {
                Target::Tenants(tenants) => Some(tenants.rule()),
                Target::DataStream(_) | Target::Index(_) => None,
            },
            SinkOptions::Store(_) | SinkOptions::Stdout => None,
        }
    }
}

/// What the name of the pipeline that reads labels has behind that of the one which they are for.
pub const LABELS_SUFFIX: &str = ".labels";

impl Pipeline {
    /// The options of `ground_truth`, if that is among the observers.
    pub fn ground_truth(&self) -> Option<&GroundTruth> {
        self.observe.iter().find_map(|observer| match observer {
            Observer::GroundTruth(options) => Some(&**options),
            Observer::ModelMetrics(_) | Observer::Drift(_) => None,
        })
    }

    /// The pipeline that reads the labels of this one, into a store of its own: the same guarantees, by the same means.
    pub fn labels(&self) -> Option<Pipeline> {
        let GroundTruth { options, labels } = self.ground_truth()?;
        let always = |action| Step { when: None, action };
        // The first line of a file with columns names them.
        let header = matches!(labels.decode.format, Format::Csv(None)).then(|| Step {
            when: Expression::parse_condition("log.offset : 0").ok(),
            action: Action::Drop(Drop { rule: "csv_header".into() }),
        });
        let steps = header.into_iter().chain(labels.enrich.iter().cloned()).chain([always(Action::Label(LabelCheck))]);
        let retention = Retention { at_most: Some(options.ledger.keep), ..Retention::default() };
        let sink = Sink {
            name: "labels".to_owned(),
            options: SinkOptions::Store(Store { path: None, retention }),
            policy: Policy::default(),
        };
        Some(Pipeline {
            name: format!("{}{LABELS_SUFFIX}", self.name),
            source: Source { files: labels.files.clone(), id: self.source.id.clone() },
            decode: labels.decode.clone(),
            enrich: steps.collect(),
            observe: Vec::new(),
            workers: 1,
            rate_limit: None,
            sinks: vec![sink],
            tests: Vec::new(),
            remarks: Vec::new(),
            ..self.clone()
        })
    }
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("Pipeline");
        shown.field("name", &self.name).field("path", &self.path).field("digest", &self.digest);
        shown.finish_non_exhaustive()
    }
}

/// Where records come from.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
pub struct Source {
    /// The files to tail.
    pub files: files::Options,
    /// What stands for the host's name in document ids, if configured.
    pub id: Option<String>,
}

/// What looks at every record.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
pub enum Observer {
    /// Requests, latency, predictions and confidence as metrics.
    ModelMetrics(ModelMetricsOptions),
    /// How far the values of a window are from those of training.
    Drift(DriftOptions),
    /// What became of predictions, as far as labels say.
    GroundTruth(Box<GroundTruth>),
}

/// The observer `ground_truth`, with its second source.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
pub struct GroundTruth {
    /// What is joined and measured.
    pub options: GroundTruthOptions,
    /// Where labels come from.
    pub labels: LabelSource,
}

/// Where labels come from.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
pub struct LabelSource {
    /// The files to tail.
    pub files: files::Options,
    /// What a line is.
    pub decode: Decode,
    /// The processors that give its members the names of a label.
    pub enrich: Vec<Step>,
}

/// Bounds of what is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// The most bytes of batches that wait or are being sent: `batch.bytes_max` to 16 Gi.
    pub memory_bytes_max: u64,
    /// The widest span between read and committed offset, over all files of a pipeline, in bytes: `line_bytes_max` to 1 Ti.
    pub unacknowledged_bytes_max: u64,
}

/// What happens with records that cannot be handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// What is kept of a line that could not be decoded.
    pub raw: RawLine,
    /// The most bytes on disk: 1 Mi to 1 Ti.
    pub bytes_max: u64,
    /// What happens when that much is there.
    pub when_full: WhenFull,
}

/// What is kept of a line that could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawLine {
    /// The line, unless the pipeline hides a field: what cannot be decoded cannot be searched for it, also not a fragment
    /// that does not name it. Then only where it is: file, offset, length, digest.
    UnlessHidden,
    /// The line, whatever the pipeline hides.
    Keep,
    /// Only where it is.
    Omit,
}

/// Where documents go.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
pub struct Sink {
    /// What it is called in messages, metrics and accounts: letters, digits, `.`, `_`, `-`. No two of a pipeline are alike.
    pub name: String,
    /// What it is.
    pub options: SinkOptions,
    /// How it is asked.
    pub policy: Policy,
}

/// What a sink is.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
pub enum SinkOptions {
    /// A cluster.
    Elasticsearch(Box<ElasticsearchOptions>),
    /// The embedded store.
    Store(Store),
    /// Lines on standard output.
    Stdout,
}

impl Sink {
    /// Its kind, as a pipeline file has it.
    pub fn kind(&self) -> &'static str {
        match self.options {
            SinkOptions::Elasticsearch(_) => "elasticsearch",
            SinkOptions::Store(_) => "store",
            SinkOptions::Stdout => "stdout",
        }
    }
}

/// The sink `store`.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
pub struct Store {
    /// The file, if it is not `store.sqlite` in the pipeline's folder of state.
    pub path: Option<PathBuf>,
    /// What is deleted when.
    pub retention: Retention,
}

/// One of the file's own tests.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
pub struct TestCase {
    /// What it shows; no two of a file are alike.
    pub name: String,
    /// The lines that are given, without their ends: at least one. Each of them shall become what is expected.
    pub lines: Vec<String>,
    /// What shall become of each of them.
    pub expectation: Expectation,
    /// When they are read, if it matters.
    pub now: Option<DateTime<Utc>>,
    /// The name of the host on which they are read, if it matters.
    pub host: Option<String>,
    /// The file that they are read from, if it matters.
    pub file: Option<String>,
    /// Where the test starts in the file.
    pub position: Position,
}

/// What shall become of a line.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
pub enum Expectation {
    /// A document.
    Document(ExpectedMembers),
    /// It is left out by the rule of this name.
    Dropped(String),
    /// It is rejected.
    Rejected {
        /// For this reason.
        reason: String,
        /// By this stage, if it matters.
        stage: Option<Stage>,
    },
}

/// What shall be in a document, and what not: at least one of the three says something.
#[derive(Clone, Default)]
#[cfg_attr(test, derive(Debug))]
pub struct ExpectedMembers {
    /// These members, their values as JSON text.
    pub equal: Vec<(Path, String)>,
    /// These members, their values as text that matches.
    pub matching: Vec<(Path, Regex)>,
    /// None of these.
    pub absent: Vec<Path>,
}
