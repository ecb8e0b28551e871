//! The reload of a run: SIGHUP, and `POST /-/reload`.
//!
//! All pipeline files are read and checked first: one wrong file changes nothing. Then pipelines whose files are as they
//! were run on, and the others stop, deliver what they have read, and go on from their checkpoints.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::log;
use super::sum::sum_up;
use super::with_labels;
use crate::config;
use crate::config::changes::{Change, Files};
use crate::pipeline::lookout::look_out;
use crate::pipeline::supervisor::{Reload, Running, Supervisor, Waiting};
use crate::server::{Answer, Control, Figures, PipelineStatus, ProcessStatus, Request, Restart, Token};
use crate::state::admin_token::admin_token;
use crate::text::chain::chain;

/// How often pipeline files are looked at for changes.
const FILES_LOOKED_AT_EVERY: Duration = Duration::from_secs(5);

/// What goes on beside the pipelines of a run, and has to follow them.
pub(super) struct Company {
    paths: Vec<PathBuf>,
    /// What the server says.
    status: ProcessStatus,
    lookout: AbortHandle,
    watch: AbortHandle,
}

/// How a process may be asked for a reload; `None`, with a word, where the token cannot be had.
pub(super) fn control(data_dir: &Path) -> (Option<Control>, mpsc::Receiver<Request>) {
    let (requests, asks) = mpsc::channel(1);
    let token = admin_token(data_dir).inspect_err(|error| {
        let hint = "SIGHUP reloads all the same";
        tracing::warn!(hint, %error, "no admin token: `POST /-/reload` is not there");
    });
    (token.ok().map(|token| Control { token: Token::new(&token), requests, log: log::CONTROL }), asks)
}

impl Company {
    /// Begins to look at the files as they were when they were loaded, and at the pipelines.
    pub(super) fn new(paths: &[PathBuf], files: Files, status: ProcessStatus, supervisor: &Supervisor) -> Company {
        let lookout = tokio::spawn(look_out(supervisor.subjects(None))).abort_handle();
        let watch = tokio::spawn(watch(files)).abort_handle();
        Company { paths: paths.to_owned(), status, lookout, watch }
    }

    /// Reads the files again, and does what they say now. Says what became of it in the log too. May be given up while it
    /// waits: then some pipelines may have been asked to stop.
    pub(super) async fn reload(&mut self, supervisor: &mut Supervisor) -> Answer {
        let paths = self.paths.clone();
        let loaded = tokio::task::spawn_blocking(move || (Files::now(&paths), config::load(&paths))).await;
        let Ok((files, loaded)) = loaded else {
            return refused("BUG: the pipeline files could not be read\n");
        };
        let wanted = match loaded {
            Ok(pipelines) => with_labels(pipelines),
            Err(report) => return refused(&format!("{report}\n")),
        };
        let reload = supervisor.reload(wanted).await;
        reload.ended.iter().for_each(sum_up);
        self.follow(supervisor);
        self.watch.abort();
        self.watch = tokio::spawn(watch(files)).abort_handle();
        told(&reload)
    }

    /// Looks at what runs now.
    pub(super) fn follow(&mut self, supervisor: &Supervisor) {
        *self.status.pipelines.write().unwrap_or_else(PoisonError::into_inner) = statuses(supervisor);
        self.lookout.abort();
        self.lookout = tokio::spawn(look_out(supervisor.subjects(None))).abort_handle();
    }
}

/// The pipelines as the server shows them.
pub(super) fn statuses(supervisor: &Supervisor) -> Vec<PipelineStatus> {
    let status = |running: &Running| PipelineStatus {
        name: running.name.clone(),
        is_running: Arc::clone(&running.is_running),
        pulse: Arc::clone(&running.pulse),
        health: running.health.clone(),
        restart: None,
        figures: Some(figures(running)),
    };
    let waits = |waiting: &Waiting| {
        let Waiting { file, trouble, next, failures, before, .. } = waiting;
        let restart = Some(Restart { trouble: trouble.clone(), next: *next, failures: *failures });
        let figures = before.as_deref().map(figures);
        let waiting = PipelineStatus { name: file.name.clone(), restart, figures, ..PipelineStatus::default() };
        // Nothing is expected of a thread that is not there.
        waiting.pulse.ended();
        waiting
    };
    supervisor.pipelines.iter().map(status).chain(supervisor.waiting.iter().map(waits)).collect()
}

fn figures(running: &Running) -> Figures {
    Figures {
        file: Arc::new(running.file.clone()),
        counters: running.counters.clone(),
        models: running.shown.clone(),
        dead_letter: Arc::clone(&running.dead_letter),
    }
}

/// Says when pipeline files are no longer what was loaded.
async fn watch(mut files: Files) {
    loop {
        tokio::time::sleep(FILES_LOOKED_AT_EVERY).await;
        // They may be on a disk that is slow.
        let looked = tokio::task::spawn_blocking(move || {
            let changes = files.changes();
            (files, changes)
        });
        let Ok((again, changes)) = looked.await else { return };
        files = again;
        for change in changes {
            match change {
                Change::Restored(_) => tracing::info!("{change}"),
                _ => {
                    let hint = "`inferlog check` says whether they are right; SIGHUP applies them";
                    tracing::warn!(hint, "{change}");
                }
            }
        }
    }
}

fn refused(words: &str) -> Answer {
    super::say(words.trim_end());
    tracing::error!("not reloaded: a pipeline file is not right, so that nothing was changed");
    Answer { is_done: false, words: format!("{words}\nnothing was changed\n") }
}

fn told(reload: &Reload) -> Answer {
    let Reload { unchanged, restarted, started, stopped, failed, ended: _ } = reload;
    let parts = [("restarted", restarted), ("started", started), ("stopped", stopped), ("unchanged", unchanged)];
    let parts = parts.into_iter().filter(|(_, names)| !names.is_empty());
    let words: Vec<String> = parts.map(|(what, names)| format!("{what}: {}", names.join(", "))).collect();
    let mut words = words.join("; ");
    tracing::info!("reloaded: {words}");
    for error in failed {
        let hint = error.hint().unwrap_or("what ran before goes on where it can");
        tracing::error!(hint, "{}", chain(error));
        words += &format!("\n{}", chain(error));
    }
    Answer { is_done: failed.is_empty(), words: words + "\n" }
}
