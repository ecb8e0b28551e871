//! The process as it is served: its pipelines, with where their figures come from.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Semaphore;

use super::history::History;
use super::reload::Control;
use super::token::Token;
use crate::config::model;
use crate::dead_letter::DeadLetter;
use crate::flow::answer::Trouble;
use crate::observe::Published;
use crate::pipeline::health::Health;
use crate::pipeline::pulse::Pulse;
use crate::telemetry::{Counters, Telemetry};

/// What is served.
#[derive(Clone, Debug)]
pub struct ProcessStatus {
    /// The counters.
    pub telemetry: Arc<Mutex<Telemetry>>,
    /// The pipelines that run, or should.
    pub pipelines: Arc<RwLock<Vec<PipelineStatus>>>,
    /// How it is asked for changes, where it can be.
    pub control: Option<Control>,
    /// Where records can be asked for; `None` where that is off.
    pub records: Option<Records>,
    /// The names by which browsers may ask, beside addresses and `localhost`.
    pub allowed_hosts: Arc<[String]>,
    /// When the process was started.
    pub started: SystemTime,
    /// What went on in the last hour.
    pub history: Arc<Mutex<History>>,
}

impl Default for ProcessStatus {
    fn default() -> ProcessStatus {
        ProcessStatus {
            telemetry: Arc::default(),
            pipelines: Arc::default(),
            control: None,
            records: None,
            allowed_hosts: Arc::new([]),
            started: SystemTime::now(),
            history: Arc::default(),
        }
    }
}

/// Where records can be asked for.
#[derive(Clone, Debug)]
pub struct Records {
    pub(super) token: Token,
    pub(super) data_dir: PathBuf,
    /// One question at a time.
    pub(super) turn: Arc<Semaphore>,
}

impl Records {
    /// For whoever has the token, in the stores of this folder of state.
    pub fn new(token: Token, data_dir: &Path) -> Records {
        Records { token, data_dir: data_dir.to_owned(), turn: Arc::new(Semaphore::new(1)) }
    }

    /// What whoever asks has to know.
    pub fn token(&self) -> &Token {
        &self.token
    }
}

/// One pipeline, as far as its state is served; by default one that does not run.
#[derive(Debug, Default)]
pub struct PipelineStatus {
    /// Its name.
    pub name: String,
    /// Whether its thread runs.
    pub is_running: Arc<AtomicBool>,
    /// The state of its thread.
    pub pulse: Arc<Pulse>,
    /// The state of each of its sinks.
    pub health: Vec<Arc<Health>>,
    /// It does not run and is started again: why, and when.
    pub restart: Option<Restart>,
    /// Where its figures come from; `None` of one that has never run.
    pub figures: Option<Figures>,
}

/// Where the figures of a pipeline come from.
#[derive(Clone, Debug)]
pub struct Figures {
    /// What its file says.
    pub file: Arc<model::Pipeline>,
    /// What it counts.
    pub counters: Counters,
    /// What it says of its models.
    pub models: Published,
    /// What it could not deliver.
    pub dead_letter: Arc<DeadLetter>,
}

/// A pipeline has failed, or could not be started, and is tried again.
#[derive(Clone, Debug)]
pub struct Restart {
    /// What is in the way.
    pub trouble: Trouble,
    /// When it is tried again.
    pub next: Instant,
    /// How often in a row it has failed.
    pub failures: u32,
}

impl Restart {
    /// How long it is until then.
    pub fn wait(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    pub(super) fn problem(&self) -> String {
        let seconds = self.wait().as_secs() + 1;
        format!("the pipeline does not run and is started again in {seconds} s: {}", self.trouble.problem)
    }
}
