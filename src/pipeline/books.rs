//! The books: what is written down of a pipeline's progress, and in which order?
//!
//! First the dead letter, then the checkpoint with everything in it: how far each file is committed, what observers have
//! counted, the open account, and the outbox. Only then is it shown on `/metrics`, and only then do documents of
//! inferlog's own leave.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::outbox::Outbox;
use super::pulse::{Obstacle, Pulse};
use crate::dead_letter::DeadLetter;
use crate::flow::answer::Trouble;
use crate::flow::in_flight::Settlement;
use crate::flow::own_document::OwnDocument;
use crate::observe::Observers;
use crate::proof::accounts::{Accounts, Backlog, Occasion};
use crate::source::files::Files;
use crate::state::checkpoint::{self, Listed, Saved};
use crate::telemetry::{Counters, now_seconds};
use crate::text::chain::chain;

/// The checkpoint is saved at most this often.
const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(500);

/// Saving checkpoints takes at most this part of the time: 1/20.
const CHECKPOINT_SHARE: u32 = 20;

/// What is written down.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) pipeline: String,
    pub(super) checkpoint: PathBuf,
    pub(super) dead_letter: Arc<DeadLetter>,
    pub(super) accounts: Accounts,
    pub(super) outbox: Outbox,
    pub(super) counters: Counters,
    pub(super) pulse: Arc<Pulse>,
    /// When the checkpoint is saved next.
    pub(super) next_save: Instant,
    /// It could not be saved the last time.
    pub(super) is_failing: bool,
    /// It was said that there is no room for accounts.
    pub(super) is_fullness_said: bool,
}

impl Books {
    /// Enters what is settled.
    pub(super) fn enter(&mut self, settlement: &Settlement) {
        self.accounts.add(settlement);
    }

    /// Hears what the sinks took of the outbox.
    pub(super) fn collect(&mut self) {
        self.outbox.collect();
    }

    /// Whether it is time to save.
    pub(super) fn is_save_due(&self) -> bool {
        Instant::now() >= self.next_save
    }

    /// Saves what is committed, and what is observed with the counts. What fails is tried again; until then a restart
    /// reads more than it must, and the counts are not shown.
    pub(super) fn save(&mut self, source: &mut Files, observers: &mut Observers) {
        let written_down = self.write_down(observers);
        // What observers write down is work that grows with the records, and no part of what checkpoints may take.
        let started = Instant::now();
        if let Err(problem) = written_down {
            self.say_failing(&problem);
        } else if source.is_dirty() || observers.is_dirty() || self.accounts.is_dirty() || self.outbox.is_dirty() {
            match self.write(source, observers) {
                Ok(()) => {
                    source.saved();
                    self.note_kept(observers);
                    observers.publish();
                    self.counters.count_settled(&self.accounts.saved());
                    self.outbox.saved();
                    self.counters.checkpoint_saves_total.inc();
                    self.counters.checkpoint_last_save_timestamp_seconds.set(now_seconds());
                    self.is_failing = false;
                    self.pulse.free(Obstacle::Checkpoint);
                    tracing::debug!(pipeline = self.pipeline, took = ?started.elapsed(), "saved the checkpoint");
                }
                Err(problem) => self.say_failing(&problem),
            }
        }
        self.next_save = Instant::now() + CHECKPOINT_INTERVAL.max(started.elapsed() * CHECKPOINT_SHARE);
    }

    /// What observers have counted and what became of it are kept together: what they keep in a file of their own comes first.
    fn write_down(&mut self, observers: &mut Observers) -> Result<(), String> {
        let now_us = chrono::Utc::now().timestamp_micros();
        observers.write_down(now_us).map_err(|error| chain(&error))?;
        let documents = observers.take_documents(self.outbox.is_half_empty()).map_err(|error| chain(&error))?;
        self.put(documents);
        observers.set_room(self.outbox.has_room());
        observers.evaluate(now_us).map_err(|error| chain(&error))
    }

    fn note_kept(&self, observers: &mut Observers) {
        if let Err(error) = observers.documents_kept() {
            tracing::debug!(pipeline = self.pipeline, "{}", chain(&error));
        }
    }

    fn say_failing(&mut self, problem: &str) {
        self.pulse.hold(Obstacle::Checkpoint, unsaved());
        if !std::mem::replace(&mut self.is_failing, true) {
            let hint = "trying again; a restart before that reads again what was delivered since";
            tracing::warn!(pipeline = self.pipeline, hint, "{problem}");
        }
    }

    fn write(&self, source: &Files, observers: &Observers) -> Result<(), String> {
        self.dead_letter.sync().map_err(|error| error.to_string())?;
        let (files, observers) = (Listed(|| source.entries()), observers.state());
        let (version, accounts, outbox) = (checkpoint::VERSION, &self.accounts, &self.outbox);
        checkpoint::save(&self.checkpoint, &Saved { version, files, observers, accounts, outbox })
            .map_err(|error| chain(&error))
    }

    /// Gives account when it is time. The documents leave when the checkpoint holds them.
    pub(super) fn give_account(&mut self, waiting: impl FnOnce() -> Backlog) {
        if self.has_room() {
            let documents = self.accounts.close_if_due(waiting);
            self.put(documents);
        }
    }

    /// Gives the account of the stop.
    pub(super) fn give_last_account(&mut self, waiting: &Backlog) {
        if self.has_room() {
            let documents = self.accounts.close(Occasion::Stop, chrono::Utc::now(), waiting);
            self.put(documents);
        }
    }

    /// Whether a document of the outbox waits for the checkpoint, and it is worth trying to save it.
    pub(super) fn is_urgent(&self) -> bool {
        self.outbox.is_urgent() && (!self.is_failing || self.is_save_due())
    }

    fn put(&mut self, documents: Vec<OwnDocument>) {
        documents.into_iter().for_each(|document| self.outbox.put(document));
    }

    /// Whether the outbox takes more; says so once when it does not.
    fn has_room(&mut self) -> bool {
        let has_room = self.outbox.has_room();
        if has_room {
            self.is_fullness_said = false;
        } else if !std::mem::replace(&mut self.is_fullness_said, true) {
            let hint = "see why they do not take the pipeline's own documents; records are delivered all the same, and what \
                        is settled meanwhile adds up in one account";
            let (pipeline, bytes, sinks) = (&self.pipeline, self.outbox.bytes(), self.outbox.lacking().join("`, `"));
            tracing::warn!(
                pipeline,
                hint,
                "{bytes} bytes of the pipeline's own documents wait for `{sinks}`: no further one is written"
            );
        }
        has_room
    }

    /// Says what no sink took by the end.
    pub(super) fn say_what_stays(&self) {
        if self.outbox.is_empty() {
            return;
        }
        let hint =
            "they are in the checkpoint and go at the next start; every record's delivery is settled without them";
        let (pipeline, sinks) = (&self.pipeline, self.outbox.lacking().join("`, `"));
        let documents = match self.outbox.len() {
            1 => "1 document of the pipeline's own was".to_owned(),
            n => format!("{n} documents of the pipeline's own were"),
        };
        tracing::warn!(pipeline, hint, "{documents} not taken by `{sinks}` in time");
    }

    pub(super) fn update_gauges(&self) {
        self.counters.outbox_documents.set(self.outbox.len() as i64);
        self.counters.outbox_bytes.set(self.outbox.bytes() as i64);
    }
}

/// What is shown of a checkpoint that cannot be saved: the log says why, with its path.
fn unsaved() -> Trouble {
    let hint = "see the log for the reason; a restart reads again what was delivered since".to_owned();
    Trouble { problem: "the checkpoint cannot be saved".to_owned(), hint: Some(hint) }
}
