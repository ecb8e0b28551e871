//! A pipeline under way: its thread, its deliveries, the thread of its replays, and how all of them end.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::bench::STACK_BYTES;
use super::build::{Assembly, BuildError};
use super::delivery::{Delivery, SinkGone};
use super::health::Health;
use super::pulse::Pulse;
use super::{RunEnd, Stop};
use crate::config::model;
use crate::dead_letter::DeadLetter;
use crate::observe::Published;
use crate::replay;
use crate::telemetry::Counters;
use crate::text::panic;

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
    /// It has ended, and is not started again.
    pub(super) is_over: bool,
    /// What is shown of its models.
    pub shown: Published,
    /// What it could not deliver.
    pub dead_letter: Arc<DeadLetter>,
    pub(super) stop: Stop,
    end: oneshot::Receiver<RunEnd>,
    ended: Option<RunEnd>,
    deliveries: Vec<JoinHandle<()>>,
    /// A delivery panicked, with these words.
    delivery_panic: Arc<OnceLock<String>>,
    /// Says that the thread of replays has ended, which writes to the dead letter.
    replays: Option<oneshot::Receiver<()>>,
    /// Held while it runs.
    lock: Option<File>,
}

/// What keeps a pipeline from starting.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It cannot be built.
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

    /// What cannot be had, in words that name no path.
    pub(super) fn what(&self) -> &'static str {
        match self {
            StartError::Build { source, .. } => source.what(),
            StartError::Thread { .. } => "a thread",
        }
    }
}

impl Running {
    /// Starts what was built. `ends` is told when its thread has ended. Called within a runtime.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(
        pipeline: &model::Pipeline,
        built: Assembly,
        data_dir: &Path,
        ends: &Arc<Notify>,
    ) -> Result<Running, StartError> {
        let no_thread = |source| StartError::Thread { pipeline: pipeline.name.clone(), source };
        let replays = start_replays(pipeline, &built, data_dir).map_err(no_thread)?;
        let Assembly { pipeline: chain, deliveries, health, pulse, stop, counters, shown, is_running, lock } = built;
        let delivery_panic = Arc::<OnceLock<String>>::default();
        let deliver = |(delivery, health): (Delivery, &Arc<Health>)| {
            let (stop, health, panic) = (stop.clone(), Arc::clone(health), Arc::clone(&delivery_panic));
            tokio::spawn(deliver(delivery, pipeline.name.clone(), health, stop, panic))
        };
        let deliveries = deliveries.into_iter().zip(&health).map(deliver).collect();
        let dead_letter = Arc::clone(&chain.books.dead_letter);
        let (sender, end) = oneshot::channel();
        let (name, runs, ends) = (pipeline.name.clone(), Arc::clone(&is_running), Arc::clone(ends));
        let (thread_stop, thread_pulse) = (stop.clone(), Arc::clone(&pulse));
        let thread = std::thread::Builder::new().name(pipeline.name.clone()).stack_size(STACK_BYTES);
        let run = move || {
            let ended = run_to_the_end(&name, || chain.run());
            if ended.panic.is_none() {
                thread_pulse.ended();
            }
            // What else belongs to it must end, too.
            thread_stop.give_up();
            runs.store(false, Ordering::Release);
            drop(sender.send(ended));
            ends.notify_one();
        };
        thread.spawn(run).map_err(no_thread)?;
        Ok(Running {
            name: pipeline.name.clone(),
            counters,
            health,
            pulse,
            is_running,
            file: pipeline.clone(),
            is_over: false,
            shown,
            dead_letter,
            stop,
            end,
            ended: None,
            deliveries,
            delivery_panic,
            replays: Some(replays),
            lock: Some(lock),
        })
    }

    /// Whether it has ended by itself, and nobody knows it yet.
    pub(super) fn has_failed(&self) -> bool {
        !self.is_running.load(Ordering::Acquire) && !self.is_over
    }

    /// Waits for the end of the thread, then of the deliveries. Keeps what it has learnt when it is given up.
    pub(super) async fn ended(&mut self) -> RunEnd {
        let mut ended = match self.ended.take() {
            Some(ended) => ended,
            // A thread that says nothing has drained nothing.
            None => (&mut self.end).await.unwrap_or_default(),
        };
        if ended.panic.is_none() {
            ended.panic = self.delivery_panic.get().cloned();
        }
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

    /// Lets another one have the folder of state, after the end. May be given up, and asked for again.
    pub(super) async fn release(&mut self) {
        if let Some(replays) = &mut self.replays {
            let _ = replays.await;
        }
        self.replays = None;
        self.lock = None;
    }
}

/// Delivers to the end. A sink that is gone, and a defect of ours, end the pipeline.
async fn deliver(delivery: Delivery, pipeline: String, health: Arc<Health>, stop: Stop, panic: Arc<OnceLock<String>>) {
    delivery.probe().await;
    let trouble = match delivery.run().await {
        Ok(()) => return,
        Err(SinkGone::Closed(trouble)) => trouble,
        Err(SinkGone::Panicked(words)) => {
            let trouble = SinkGone::Panicked(words.clone()).trouble();
            let _ = panic.set(format!("a delivery panicked: {words}"));
            trouble
        }
    };
    let hint = trouble.hint.as_deref().unwrap_or("what was not delivered is read again");
    tracing::error!(pipeline, hint, "{}", trouble.problem);
    // For good: other pipelines may run on, and nobody must take this one for ready.
    health.trouble(trouble);
    stop.give_up();
}

/// Runs a pipeline to its end. A panic is a defect of ours, and an end like another: others run on, nothing of this one
/// counts as delivered, and whoever asks is told.
fn run_to_the_end(name: &str, run: impl FnOnce() -> RunEnd) -> RunEnd {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
        let words = format!("its thread panicked: {}", panic::words(&*payload));
        let hint = "please report it; what was not acknowledged is read again";
        tracing::error!(pipeline = name, hint, "BUG: {words}");
        RunEnd { panic: Some(words), ..RunEnd::default() }
    })
}

/// Starts the thread that replays the dead letter when another process asks for it, in turns that the deliveries lend. Gives
/// what hears of its end.
fn start_replays(
    pipeline: &model::Pipeline,
    built: &Assembly,
    data_dir: &Path,
) -> std::io::Result<oneshot::Receiver<()>> {
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
    let (running, ended) = oneshot::channel();
    let serve = move || {
        replay::serve(&host);
        drop(running);
    };
    std::thread::Builder::new().name("replay".to_owned()).stack_size(STACK_BYTES).spawn(serve)?;
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_panics_ends_with_its_words() {
        let ended = run_to_the_end("p", || panic!("BUG: the {} is gone", "mark"));
        let words = "its thread panicked: the mark is gone".to_owned();
        assert_eq!(ended, RunEnd { panic: Some(words), ..RunEnd::default() });
        let drained = RunEnd { drained: true, ..RunEnd::default() };
        assert_eq!(run_to_the_end("p", || drained.clone()), drained);
    }
}
