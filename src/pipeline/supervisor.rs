//! The supervisor: many pipelines side by side, each on a thread of its own, their deliveries on one runtime. One that
//! fails by itself is started again, and the others run on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::build::{self, Assembly};
use super::lookout::Subject;
use super::restart::{Failure, Streak, Verdict};
pub use super::running::{Running, StartError};
use super::stop::AtStop;
use super::{Limits, RunEnd, Stop};
use crate::config::model;
use crate::flow::answer::Trouble;
use crate::observe::{ModelSeries, Published};
use crate::telemetry::{Counters, Telemetry};
use crate::text::chain::chain;
use crate::text::units::format_duration;

/// Pipelines under way.
#[derive(Debug)]
pub struct Supervisor {
    /// The pipelines that run, or have ended for good, in the order of their files.
    pub pipelines: Vec<Running>,
    /// Those that have failed, or could not be started, and are tried again.
    pub waiting: Vec<Waiting>,
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
    /// The names of all, in the order of their files.
    order: Vec<String>,
    /// The failures in a row, by the pipeline's name.
    streaks: BTreeMap<String, Streak>,
    /// Told whenever a thread has ended.
    ends: Arc<Notify>,
}

/// A pipeline that does not run, and is started again.
#[derive(Debug)]
pub struct Waiting {
    /// What it is built from.
    pub file: model::Pipeline,
    /// Why it does not run, without paths; the log says more.
    pub trouble: Trouble,
    /// When it is started again.
    pub next: Instant,
    /// How often in a row it has failed.
    pub failures: u32,
    /// What ran before, if something did.
    pub before: Option<Box<Running>>,
    /// How that ended.
    ended: RunEnd,
}

/// What has become of pipelines that were looked after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tended {
    /// One has failed, or was started again: what is shown has to follow.
    Changed,
    /// All have ended for good.
    AllEnded,
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
        let mut supervisor = Supervisor::of(pipelines, data_dir, limits, further);
        supervisor.add(pipelines)?;
        supervisor.show();
        Ok(supervisor)
    }

    /// Starts what can be started; what cannot is tried again by [`Supervisor::tend`], as long as something else runs.
    ///
    /// # Errors
    /// When none can be built or started: then most likely something is wrong for all of them.
    pub fn start_each(
        pipelines: &[model::Pipeline],
        data_dir: &Path,
        limits: Limits,
    ) -> Result<Supervisor, StartError> {
        let mut supervisor = Supervisor::of(pipelines, data_dir, limits, Vec::new());
        let mut failed = Vec::new();
        for of_file in by_file(pipelines) {
            failed.extend(supervisor.add(&of_file).err().map(|error| (of_file, error)));
        }
        if supervisor.pipelines.is_empty() && !failed.is_empty() {
            return Err(failed.swap_remove(0).1);
        }
        for (of_file, error) in failed {
            supervisor.wait_to_start(of_file, &error);
        }
        supervisor.show();
        Ok(supervisor)
    }

    fn of(pipelines: &[model::Pipeline], data_dir: &Path, limits: Limits, further: Vec<Published>) -> Supervisor {
        let (mut telemetry, series) = (Telemetry::default(), ModelSeries::default());
        telemetry.register_collector(Box::new(series.clone()));
        Supervisor {
            pipelines: Vec::new(),
            waiting: Vec::new(),
            at_stop: AtStop::default(),
            telemetry: Arc::new(Mutex::new(telemetry)),
            data_dir: data_dir.to_owned(),
            limits,
            series,
            further,
            order: names(pipelines),
            streaks: BTreeMap::new(),
            ends: Arc::default(),
        }
    }

    /// Builds further pipelines, then starts them: when one cannot be built, none of them runs.
    fn add(&mut self, pipelines: &[model::Pipeline]) -> Result<(), StartError> {
        let mut built: Vec<(&model::Pipeline, Assembly)> = Vec::new();
        for pipeline in pipelines {
            let counters = self.counters(&pipeline.name);
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
            self.pipelines.push(Running::start(pipeline, built, &self.data_dir, &self.ends)?);
            self.streaks.entry(pipeline.name.clone()).or_default().begin(Instant::now());
        }
        let place = |running: &Running| self.order.iter().position(|name| *name == running.name);
        self.pipelines.sort_by_key(place);
        Ok(())
    }

    /// The counters of a pipeline; that of its restarts is shown from the start on.
    fn counters(&self, pipeline: &str) -> Counters {
        let mut telemetry = self.telemetry.lock().unwrap_or_else(PoisonError::into_inner);
        telemetry.restarts(pipeline);
        telemetry.pipeline(pipeline)
    }

    /// Goes on with these pipelines: those that are as they were run on, the others stop, deliver what they have read, and
    /// go on from their checkpoints as their files say now; what waits to be started again is tried at once. May be given up
    /// while it waits for some to stop.
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
            running.release().await;
        }
        let mut reload = Reload::default();
        let (kept, ended): (Vec<Running>, Vec<Running>) = self.pipelines.drain(..).partition(goes_on);
        reload.unchanged.extend(kept.iter().map(|running| running.name.clone()));
        self.pipelines = kept;
        reload.ended = ended;
        self.waiting.clear();
        self.order = names(&wanted);
        self.streaks.retain(|name, _| reload.unchanged.contains(name));
        self.replace(&wanted, &mut reload);
        self.show();
        reload
    }

    /// Starts what does not run, file by file.
    fn replace(&mut self, wanted: &[model::Pipeline], reload: &mut Reload) {
        let before: Vec<model::Pipeline> = reload.ended.iter().map(|running| running.file.clone()).collect();
        for of_file in by_file(wanted) {
            let runs = |pipeline: &model::Pipeline| self.pipelines.iter().any(|running| running.name == pipeline.name);
            let old = before.iter().filter(|pipeline| pipeline.path == of_file[0].path);
            let old: Vec<_> = old.cloned().collect();
            let new: Vec<_> = of_file.into_iter().filter(|pipeline| !runs(pipeline)).collect();
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
                    let runs = |new: &model::Pipeline| self.pipelines.iter().any(|running| running.name == new.name);
                    let missing: Vec<_> = new.into_iter().filter(|pipeline| !runs(pipeline)).collect();
                    if let Some(error) = reload.failed.last() {
                        self.wait_to_start(missing, error);
                    }
                }
            }
        }
        let is_gone = |before: &&model::Pipeline| !wanted.iter().any(|pipeline| pipeline.name == before.name);
        reload.stopped.extend(before.iter().filter(is_gone).map(|pipeline| pipeline.name.clone()));
    }

    /// Starts again what has failed, after a while, until something has changed that others should know. May be given up and
    /// called again.
    pub async fn tend(&mut self) -> Tended {
        loop {
            if let Some(at) = self.pipelines.iter().position(Running::has_failed) {
                let running = &mut self.pipelines[at];
                let ended = running.ended().await;
                running.release().await;
                self.fail(at, ended);
                return Tended::Changed;
            }
            if let Some(at) = self.waiting.iter().position(|waiting| waiting.next <= Instant::now()) {
                let waiting = self.waiting.swap_remove(at);
                self.start_again(waiting);
                return Tended::Changed;
            }
            if self.waiting.is_empty() && self.pipelines.iter().all(|running| running.is_over) {
                return Tended::AllEnded;
            }
            let next = self.waiting.iter().map(|waiting| waiting.next).min();
            let next = next.unwrap_or_else(|| Instant::now() + Duration::from_secs(3_600));
            tokio::select! {
                () = self.ends.notified() => {}
                () = tokio::time::sleep_until(next.into()) => {}
            }
        }
    }

    /// A pipeline has ended by itself.
    fn fail(&mut self, at: usize, ended: RunEnd) {
        let running = &mut self.pipelines[at];
        let streak = self.streaks.entry(running.name.clone()).or_default();
        let failure = if ended.panic.is_some() { Failure::Panic } else { Failure::SinkGone };
        let problem = ended.panic.as_ref().map_or("a sink is gone".to_owned(), |words| format!("BUG: {words}"));
        let pipeline = running.name.clone();
        match streak.fail(failure, Instant::now(), fastrand::f64()) {
            Verdict::Over => {
                running.is_over = true;
                if let Some(words) = &ended.panic {
                    running.pulse.panicked(words);
                    let times = streak.failures;
                    let hint = "please report it; a reload tries once more, and nothing is lost";
                    tracing::error!(pipeline, hint, "the pipeline has ended: it panicked {times} times in a row");
                }
            }
            Verdict::Again(wait) => {
                say_again(&pipeline, wait, &problem);
                let before = self.pipelines.remove(at);
                let trouble = Trouble { problem, hint: Some(HINT.to_owned()) };
                let (next, failures) = (Instant::now() + wait, streak.failures);
                let (file, before) = (before.file.clone(), Some(Box::new(before)));
                self.waiting.push(Waiting { file, trouble, next, failures, before, ended });
                self.show();
            }
        }
    }

    /// Pipelines of one file could not be started.
    fn wait_to_start(&mut self, pipelines: Vec<model::Pipeline>, error: &StartError) {
        for file in pipelines {
            self.wait_longer(file, error, None, RunEnd::default());
        }
    }

    fn wait_longer(&mut self, file: model::Pipeline, error: &StartError, before: Option<Box<Running>>, ended: RunEnd) {
        let streak = self.streaks.entry(file.name.clone()).or_default();
        let Verdict::Again(wait) = streak.fail(Failure::Start, Instant::now(), fastrand::f64()) else { return };
        let said = error.hint().map_or_else(|| chain(error), |hint| format!("{} ({hint})", chain(error)));
        say_again(&file.name, wait, &said);
        let problem = format!("{} cannot be had", error.what());
        let ended = RunEnd { unstarted: Some(chain(error)), ..ended };
        let (next, failures) = (Instant::now() + wait, streak.failures);
        let trouble = Trouble { problem, hint: Some(HINT.to_owned()) };
        self.waiting.push(Waiting { file, trouble, next, failures, before, ended });
    }

    fn start_again(&mut self, waiting: Waiting) {
        let Waiting { file, before, ended, .. } = waiting;
        self.telemetry.lock().unwrap_or_else(PoisonError::into_inner).restarts(&file.name).inc();
        match self.add(std::slice::from_ref(&file)) {
            Ok(()) => {
                tracing::info!(pipeline = file.name, "started again, going on from the checkpoint");
                self.show();
            }
            Err(error) => self.wait_longer(file, &error, before, ended),
        }
    }

    /// Shows the models of what runs.
    fn show(&self) {
        let shown = self.pipelines.iter().map(|running| &running.shown).chain(&self.further);
        self.series.set(shown.cloned().collect());
    }

    /// Asks every pipeline to stop. What waits to be started again is not waited for.
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

    /// Waits until every pipeline that runs has ended. May be given up and called again.
    pub async fn ended(&mut self) -> Vec<(String, RunEnd)> {
        let mut all = Vec::new();
        for pipeline in &mut self.pipelines {
            all.push((pipeline.name.clone(), pipeline.ended().await));
        }
        all.extend(self.waiting.iter().map(|waiting| (waiting.file.name.clone(), waiting.ended.clone())));
        all
    }
}

/// What to do about a pipeline that has failed.
const HINT: &str = "it goes on from its checkpoint, nothing is lost; the log says more, and a reload tries at once";

fn say_again(pipeline: &str, wait: Duration, problem: &str) {
    let seconds = format_duration(Duration::from_secs(wait.as_secs().max(1)));
    let hint = "other pipelines run on; it goes on from its checkpoint, nothing is lost";
    tracing::warn!(pipeline, hint, "the pipeline does not run and is started again in {seconds}: {problem}");
}

fn names(pipelines: &[model::Pipeline]) -> Vec<String> {
    pipelines.iter().map(|pipeline| pipeline.name.clone()).collect()
}

/// The pipelines of each file.
fn by_file(pipelines: &[model::Pipeline]) -> Vec<Vec<model::Pipeline>> {
    pipelines.chunk_by(|one, next| one.path == next.path).map(<[_]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::config;

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
            let paths = format!("[\"{}.ndjson\"], poll_interval: 20ms", name.trim_end_matches(".yaml"));
            let text = format!("source: {{ files: {{ paths: {paths} }} }}\ndecode: json\nsink: {{ store: {{}} }}\n");
            fs_err::write(folder.path().join(name), text).unwrap();
        }
        let pipelines = config::load(&[folder.path().to_owned()]).unwrap();
        let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3_600));
        let limits =
            Limits { once: false, once_timeout: hour, shutdown_timeout: second, unacknowledged_bytes_max: u64::MAX };
        let supervisor = Supervisor::start(&pipelines, folder.path(), limits).unwrap();
        (folder, supervisor)
    }

    #[tokio::test]
    async fn one_that_panics_is_started_again_from_its_checkpoint_and_the_others_run_on() {
        let (folder, mut supervisor) = two_pipelines();
        let log = folder.path().join("a.ndjson");
        let append = |range: std::ops::Range<u32>| {
            let mut file = std::fs::File::options().create(true).append(true).open(&log).unwrap();
            range.for_each(|n| writeln!(file, "{{\"n\":{n}}}").unwrap());
        };
        append(0..100);
        for round in 1..=2 {
            supervisor.pipelines[0].pulse.panic_at_next_beat();
            assert_eq!(supervisor.tend().await, Tended::Changed);
            let [waiting] = &supervisor.waiting[..] else { panic!("{:?}", supervisor.waiting) };
            assert!(waiting.trouble.problem.starts_with("BUG: its thread panicked"), "{}", waiting.trouble.problem);
            assert_eq!((&*waiting.file.name, waiting.failures), ("a", round));
            let names: Vec<&str> = supervisor.pipelines.iter().map(|running| &*running.name).collect();
            assert_eq!(names, ["b"]);
            append(round * 100..round * 100 + 100);
            supervisor.waiting[0].next = Instant::now();
            assert_eq!(supervisor.tend().await, Tended::Changed);
            assert!(supervisor.waiting.is_empty() && supervisor.pipelines[0].name == "a");
        }
        let text = |supervisor: &Supervisor| supervisor.telemetry.lock().unwrap().text();
        let settled = "inferlog_settled_lines_total{pipeline=\"a\"} 300\n";
        while !text(&supervisor).contains(settled) {
            assert!(tokio::time::timeout(Duration::from_millis(5), supervisor.tend()).await.is_err());
        }
        assert!(text(&supervisor).contains("inferlog_pipeline_restarts_total{pipeline=\"a\"} 2\n"));
        assert!(text(&supervisor).contains("inferlog_pipeline_restarts_total{pipeline=\"b\"} 0\n"));
        supervisor.stop();
        assert!(supervisor.ended().await.iter().all(|(_, ended)| ended.drained));
        let reader = crate::sink::store::Store::open_read_only(&folder.path().join("a/store.sqlite")).unwrap();
        assert_eq!(reader.records_behind(0, 1_000).unwrap().len(), 300, "each once");
    }

    #[tokio::test]
    async fn a_panic_each_time_is_the_end_until_a_reload_and_the_pipeline_is_dead() {
        let (folder, mut supervisor) = two_pipelines();
        for _ in 1..5 {
            supervisor.pipelines[0].pulse.panic_at_next_beat();
            supervisor.tend().await;
            supervisor.waiting[0].next = Instant::now();
            supervisor.tend().await;
        }
        supervisor.pipelines[0].pulse.panic_at_next_beat();
        assert_eq!(supervisor.tend().await, Tended::Changed);
        assert!(supervisor.waiting.is_empty() && supervisor.pipelines[0].pulse.death().unwrap().contains("panicked"));
        assert!(tokio::time::timeout(Duration::from_millis(50), supervisor.tend()).await.is_err(), "b runs on");
        let reload = supervisor.reload(config::load(&[folder.path().to_owned()]).unwrap()).await;
        assert_eq!((reload.restarted, reload.unchanged), (vec!["a".to_owned()], vec!["b".to_owned()]));
        supervisor.pipelines.iter().for_each(|running| running.pulse.panic_at_next_beat());
        supervisor.tend().await;
        supervisor.tend().await;
        assert_eq!((supervisor.waiting.len(), supervisor.waiting[0].failures), (2, 1), "it begins anew");
        supervisor.stop();
        assert!(supervisor.ended().await.iter().all(|(_, ended)| ended.panic.is_some()), "nothing is waited for");
    }

    #[tokio::test]
    async fn waiting_for_the_ends_may_be_given_up_and_begun_again() {
        let (_folder, mut supervisor) = two_pipelines();
        supervisor.pipelines[0].stop.ask();
        let runs = |supervisor: &Supervisor, n: usize| supervisor.pipelines[n].is_running.load(Ordering::Acquire);
        while runs(&supervisor, 0) {
            assert!(tokio::time::timeout(Duration::from_millis(5), supervisor.ended()).await.is_err());
        }
        assert_eq!((runs(&supervisor, 0), runs(&supervisor, 1)), (false, true));
        supervisor.stop();
        let ended = supervisor.ended().await;
        assert_eq!(
            ended.iter().map(|(name, ended)| (&**name, ended.drained)).collect::<Vec<_>>(),
            [("a", true), ("b", true)]
        );
    }
}
