//! The supervisor: many pipelines side by side, each on a thread of its own, their deliveries on one runtime.

use std::any::Any;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::build::{self, Assembly, BuildError};
use super::delivery::{Delivery, SinkGone};
use super::health::Health;
use super::lookout::Subject;
use super::pulse::Pulse;
use super::stop::AtStop;
use super::{Limits, RunEnd, Stop};
use crate::config::model;
use crate::observe::{ModelSeries, Published};
use crate::replay;
use crate::telemetry::{Counters, Telemetry};

/// The stack of a pipeline's thread, in bytes: enough for JSON that nests as deeply as is allowed.
const STACK_BYTES: usize = 4 * 1024 * 1024;

/// A pipeline under way.
#[derive(Debug)]
pub struct Running {
    /// Its name.
    pub name: String,
    /// Its counters.
    pub counters: Counters,
    /// The state of each of its sinks.
    pub health: Vec<Arc<Health>>,
    /// The state of its thread.
    pub pulse: Arc<Pulse>,
    /// Whether its thread runs.
    pub is_running: Arc<AtomicBool>,
    /// What it was built from.
    pub file: model::Pipeline,
    /// What is shown of its models.
    shown: Published,
    stop: Stop,
    end: oneshot::Receiver<RunEnd>,
    ended: Option<RunEnd>,
    deliveries: Vec<JoinHandle<Result<(), SinkGone>>>,
    /// Held while it runs.
    lock: Option<File>,
}

/// Pipelines under way.
#[derive(Debug)]
pub struct Supervisor {
    /// The pipelines, in the order of their files.
    pub pipelines: Vec<Running>,
    /// The names of those that should run since a reload, and could not be started.
    pub missing: Vec<String>,
    /// What [`Supervisor::stop`] asks for; a reload leaves unread what is not read.
    pub at_stop: AtStop,
    /// The counters of all of them.
    pub telemetry: Arc<Mutex<Telemetry>>,
    data_dir: PathBuf,
    limits: Limits,
    /// What is shown of the models of all of them.
    series: ModelSeries,
    /// What shows series beside them.
    further: Vec<Published>,
}

/// What a reload did, each pipeline by its name.
#[derive(Debug, Default)]
pub struct Reload {
    /// They run on, since their files say what they said.
    pub unchanged: Vec<String>,
    /// They have stopped and gone on from their checkpoints, as their files say now.
    pub restarted: Vec<String>,
    /// They are new.
    pub started: Vec<String>,
    /// They have stopped: their files are gone.
    pub stopped: Vec<String>,
    /// They could not be built as their files say now.
    pub failed: Vec<StartError>,
    /// The pipelines that ended for it.
    pub ended: Vec<Running>,
}

/// What keeps a set of pipelines from starting.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// One of them cannot be built.
    #[error("cannot start the pipeline `{pipeline}`")]
    Build {
        /// Its name.
        pipeline: String,
        /// Why.
        source: BuildError,
    },
    /// The system gives no thread.
    #[error("cannot start a thread for the pipeline `{pipeline}`")]
    Thread {
        /// Its name.
        pipeline: String,
        /// Why.
        source: std::io::Error,
    },
}

impl StartError {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            StartError::Build { source: BuildError::Store(error), .. } => error.hint(),
            StartError::Build { .. } | StartError::Thread { .. } => None,
        }
    }
}

impl Supervisor {
    /// Builds all pipelines, then starts them: when one cannot be built, none runs. Called within a runtime.
    ///
    /// # Errors
    /// When one cannot be built or started.
    pub fn start(pipelines: &[model::Pipeline], data_dir: &Path, limits: Limits) -> Result<Supervisor, StartError> {
        Supervisor::start_beside(pipelines, data_dir, limits, Vec::new())
    }

    /// The same, beside something that shows series of its own.
    ///
    /// # Errors
    /// When one cannot be built or started.
    pub fn start_beside(
        pipelines: &[model::Pipeline],
        data_dir: &Path,
        limits: Limits,
        further: Vec<Published>,
    ) -> Result<Supervisor, StartError> {
        let (mut telemetry, series) = (Telemetry::default(), ModelSeries::default());
        telemetry.register_collector(Box::new(series.clone()));
        let telemetry = Arc::new(Mutex::new(telemetry));
        let data_dir = data_dir.to_owned();
        let mut supervisor = Supervisor {
            pipelines: Vec::new(),
            missing: Vec::new(),
            at_stop: AtStop::default(),
            telemetry,
            data_dir,
            limits,
            series,
            further,
        };
        supervisor.add(pipelines)?;
        supervisor.show();
        Ok(supervisor)
    }

    /// Builds further pipelines, then starts them: when one cannot be built, none of them runs.
    fn add(&mut self, pipelines: &[model::Pipeline]) -> Result<(), StartError> {
        let mut built: Vec<(&model::Pipeline, Assembly)> = Vec::new();
        for pipeline in pipelines {
            let counters = self.telemetry.lock().unwrap_or_else(PoisonError::into_inner).pipeline(&pipeline.name);
            let labels = format!("{}{}", pipeline.name, model::LABELS_SUFFIX);
            let of_labels = built.iter().find(|(other, _)| other.name == labels);
            let of_labels = of_labels.map(|(_, labels)| &labels.is_running);
            let running = || self.pipelines.iter().find(|running| running.name == labels).map(|it| &it.is_running);
            let labels_run = of_labels.or_else(running).cloned();
            let one = build::build(pipeline, &self.data_dir, self.limits, counters, labels_run)
                .map_err(|source| StartError::Build { pipeline: pipeline.name.clone(), source })?;
            built.push((pipeline, one));
        }
        for (pipeline, built) in built {
            self.pipelines.push(start(pipeline, built, &self.data_dir)?);
        }
        Ok(())
    }

    /// Goes on with these pipelines: those that are as they were run on, the others stop, deliver what they have read, and
    /// go on from their checkpoints as their files say now. May be given up while it waits for some to stop.
    ///
    /// The pipelines of one file (a pipeline and that of its labels) are built together. Where that fails, what ran before
    /// is built again.
    pub async fn reload(&mut self, wanted: Vec<model::Pipeline>) -> Reload {
        let goes_on = |running: &Running| {
            running.is_running.load(Ordering::Acquire) && wanted.iter().any(|pipeline| pipeline.is_same(&running.file))
        };
        self.pipelines.iter().filter(|running| !goes_on(running)).for_each(|running| running.stop.ask());
        for running in self.pipelines.iter_mut().filter(|running| !goes_on(running)) {
            running.ended().await;
        }
        let mut reload = Reload::default();
        let (kept, ended): (Vec<Running>, Vec<Running>) = self.pipelines.drain(..).partition(goes_on);
        reload.unchanged.extend(kept.iter().map(|running| running.name.clone()));
        self.pipelines = kept;
        reload.ended = ended;
        reload.ended.iter_mut().for_each(|running| running.lock = None);
        self.replace(&wanted, &mut reload);
        self.show();
        let runs = |name: &str| self.pipelines.iter().any(|running| running.name == name);
        self.missing = wanted.iter().map(|pipeline| pipeline.name.clone()).filter(|name| !runs(name)).collect();
        let place = |name: &str| wanted.iter().position(|pipeline| pipeline.name == name);
        self.pipelines.sort_by_key(|running| place(&running.name));
        reload
    }

    /// Starts what does not run, file by file.
    fn replace(&mut self, wanted: &[model::Pipeline], reload: &mut Reload) {
        let before: Vec<model::Pipeline> = reload.ended.iter().map(|running| running.file.clone()).collect();
        let mut paths: Vec<&Path> = wanted.iter().map(|pipeline| &*pipeline.path).collect();
        paths.dedup();
        for path in paths {
            let runs = |pipeline: &model::Pipeline| self.pipelines.iter().any(|running| running.name == pipeline.name);
            let of_file = |pipeline: &&model::Pipeline| *pipeline.path == *path;
            let new: Vec<_> = wanted.iter().filter(of_file).filter(|pipeline| !runs(pipeline)).cloned().collect();
            let old: Vec<_> = before.iter().filter(of_file).cloned().collect();
            match self.add(&new) {
                Ok(()) => {
                    for pipeline in new {
                        let is_known = old.iter().any(|before| before.name == pipeline.name);
                        if is_known { &mut reload.restarted } else { &mut reload.started }.push(pipeline.name);
                    }
                }
                Err(error) => {
                    reload.failed.push(error);
                    reload.failed.extend(self.add(&old).err());
                }
            }
        }
        let is_gone = |before: &&model::Pipeline| !wanted.iter().any(|pipeline| pipeline.name == before.name);
        reload.stopped.extend(before.iter().filter(is_gone).map(|pipeline| pipeline.name.clone()));
    }

    /// Shows the models of what runs.
    fn show(&self) {
        let shown = self.pipelines.iter().map(|running| &running.shown).chain(&self.further);
        self.series.set(shown.cloned().collect());
    }

    /// Asks every pipeline to stop.
    pub fn stop(&self) {
        let ask = match self.at_stop {
            AtStop::LeaveUnread => Stop::ask,
            AtStop::ReadToTheEnd => Stop::ask_to_read_on,
        };
        self.pipelines.iter().for_each(|pipeline| ask(&pipeline.stop));
    }

    /// What a [`super::lookout`] looks at. `gives_up_after`: with `--once`, how long nothing may move.
    pub fn subjects(&self, gives_up_after: Option<Duration>) -> Vec<Subject> {
        let subject = |running: &Running| Subject {
            pipeline: running.name.clone(),
            counters: running.counters.clone(),
            health: running.health.clone(),
            pulse: Arc::clone(&running.pulse),
            inferences: running.file.model_metrics().map(|options| options.inferences.text().to_owned()),
            gives_up_after,
        };
        self.pipelines.iter().map(subject).collect()
    }

    /// Waits until every pipeline has ended. May be given up and called again.
    pub async fn ended(&mut self) -> Vec<(String, RunEnd)> {
        let mut all = Vec::new();
        for pipeline in &mut self.pipelines {
            all.push((pipeline.name.clone(), pipeline.ended().await));
        }
        all.extend(self.missing.iter().map(|name| (name.clone(), RunEnd::default())));
        all
    }
}

impl Running {
    /// Waits for the end of the thread, then of the deliveries. Keeps what it has learnt when it is given up.
    async fn ended(&mut self) -> RunEnd {
        let ended = match self.ended.take() {
            Some(ended) => ended,
            // A thread that says nothing has drained nothing.
            None => (&mut self.end).await.unwrap_or_default(),
        };
        self.ended = Some(ended.clone());
        while let Some(delivery) = self.deliveries.last_mut() {
            if ended.drained {
                let _ = delivery.await;
            } else {
                delivery.abort();
            }
            self.deliveries.pop();
        }
        ended
    }
}

/// Runs a pipeline to its end. A panic is a defect of ours, and an end like another: others run on, nothing of this one
/// counts as delivered, and whoever asks is told.
fn run_to_the_end(name: &str, pulse: &Pulse, run: impl FnOnce() -> RunEnd) -> RunEnd {
    let ended = catch_unwind(AssertUnwindSafe(run)).inspect(|_| pulse.ended());
    ended.unwrap_or_else(|payload| {
        let words = panic_words(&*payload);
        let hint = "please report it; what was not acknowledged is read again at the next start";
        tracing::error!(pipeline = name, hint, "BUG: the pipeline's thread panicked: {words}");
        pulse.panicked(&words);
        RunEnd { panic: Some(words), ..RunEnd::default() }
    })
}

/// What a panic says.
fn panic_words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("without a word").to_owned()
}

fn start(pipeline: &model::Pipeline, built: Assembly, data_dir: &Path) -> Result<Running, StartError> {
    let name = pipeline.name.clone();
    start_replays(pipeline, &built, data_dir)?;
    let file = pipeline.clone();
    let Assembly { pipeline, deliveries, health, pulse, stop, counters, shown, is_running, lock } = built;
    let deliveries = deliveries
        .into_iter()
        .zip(&health)
        .map(|(delivery, health)| {
            let (stop, name, health) = (stop.clone(), name.clone(), Arc::clone(health));
            tokio::spawn(async move {
                delivery.probe().await;
                let ended = delivery.run().await;
                if let Err(closed) = &ended {
                    let hint = closed.0.hint.as_deref().unwrap_or("what was not delivered is read again");
                    tracing::error!(pipeline = name, hint, "{closed}");
                    // For good: other pipelines may run on, and nobody must take this one for ready.
                    health.trouble(closed.0.clone());
                    stop.give_up();
                }
                ended
            })
        })
        .collect();
    let (sender, end) = oneshot::channel();
    let (its_pulse, its_name, runs) = (Arc::clone(&pulse), name.clone(), Arc::clone(&is_running));
    std::thread::Builder::new()
        .name(name.clone())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let ended = run_to_the_end(&its_name, &its_pulse, || pipeline.run());
            runs.store(false, Ordering::Release);
            drop(sender.send(ended));
        })
        .map_err(|source| StartError::Thread { pipeline: name.clone(), source })?;
    let ended = None;
    Ok(Running {
        name,
        counters,
        health,
        pulse,
        is_running,
        file,
        shown,
        stop,
        end,
        ended,
        deliveries,
        lock: Some(lock),
    })
}

/// Starts the thread that replays the dead letter when another process asks for it, in turns that the deliveries lend.
fn start_replays(pipeline: &model::Pipeline, built: &Assembly, data_dir: &Path) -> Result<(), StartError> {
    let turns = built.deliveries.iter().map(Delivery::turns);
    let host = replay::Host {
        path: pipeline.path.clone(),
        name: pipeline.name.clone(),
        data_dir: data_dir.to_owned(),
        dead_letter: Arc::clone(&built.pipeline.books.dead_letter),
        counters: built.counters.clone(),
        means: replay::Means { runtime: Handle::current(), turns: pipeline.sinks.iter().cloned().zip(turns).collect() },
        stop: built.stop.clone(),
    };
    std::thread::Builder::new()
        .name("replay".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || replay::serve(&host))
        .map_err(|source| StartError::Thread { pipeline: pipeline.name.clone(), source })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn a_thread_that_panics_ends_with_its_words_and_is_not_alive() {
        let pulse = Pulse::default();
        let ended = run_to_the_end("p", &pulse, || panic!("BUG: the {} is gone", "mark"));
        assert_eq!(ended, RunEnd { panic: Some("BUG: the mark is gone".to_owned()), ..RunEnd::default() });
        assert_eq!(pulse.death().unwrap(), "its thread panicked: BUG: the mark is gone");
        let drained = RunEnd { drained: true, ..RunEnd::default() };
        assert_eq!(run_to_the_end("p", &Pulse::default(), || drained.clone()), drained);
    }

    #[tokio::test]
    async fn a_reload_starts_again_what_has_ended() {
        let (folder, mut supervisor) = two_pipelines();
        supervisor.pipelines[0].stop.ask();
        supervisor.pipelines[0].ended().await;
        let reload = supervisor.reload(config::load(&[folder.path().to_owned()]).unwrap()).await;
        assert_eq!((reload.restarted, reload.unchanged), (vec!["a".to_owned()], vec!["b".to_owned()]));
        let names: Vec<&str> = supervisor.pipelines.iter().map(|running| &*running.name).collect();
        assert_eq!(names, ["a", "b"]);
        supervisor.stop();
        assert!(supervisor.ended().await.iter().all(|(_, ended)| ended.drained));
    }

    /// The pipelines `a` and `b`, under way.
    fn two_pipelines() -> (tempfile::TempDir, Supervisor) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.yaml", "b.yaml"] {
            let text = "source: { files: { paths: [\"*.ndjson\"] } }\ndecode: json\nsink: { store: {} }\n";
            fs_err::write(folder.path().join(name), text).unwrap();
        }
        let pipelines = config::load(&[folder.path().to_owned()]).unwrap();
        let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3_600));
        let limits = Limits { once: false, once_timeout: hour, shutdown_timeout: second, unacknowledged_bytes_max: 0 };
        let supervisor = Supervisor::start(&pipelines, folder.path(), limits).unwrap();
        (folder, supervisor)
    }

    #[tokio::test]
    async fn waiting_for_the_ends_may_be_given_up_and_begun_again() {
        let (_folder, mut supervisor) = two_pipelines();
        supervisor.pipelines[0].stop.ask();
        while supervisor.pipelines[0].ended.is_none() {
            assert!(tokio::time::timeout(Duration::from_millis(5), supervisor.ended()).await.is_err());
        }
        let runs = |supervisor: &Supervisor, n: usize| supervisor.pipelines[n].is_running.load(Ordering::Acquire);
        assert_eq!((runs(&supervisor, 0), runs(&supervisor, 1)), (false, true));
        supervisor.stop();
        let ended = supervisor.ended().await;
        assert_eq!(
            ended.iter().map(|(name, ended)| (&**name, ended.drained)).collect::<Vec<_>>(),
            [("a", true), ("b", true)]
        );
    }
}
