//! The pipeline: how do lines become documents in a sink? Read [`Pipeline::run`] first.
//!
//! ```text
//!          one plain thread, synchronous                     │      async
//! files → source → decode → enrich → observe → batch → queue ═╪═→ delivery → sink
//!           ▲        └─ reject ─┴──→ dead letter ◄───────────┼──────┘
//!       checkpoint ◄────────────── Ack::delivered ───────────┴──────
//! ```
//!
//! With `workers` what has no effect (framing, decode, enrich, rendering) is done by further threads, chunk by chunk, and
//! their products are taken in the order of reading: see [`workers`].
//!
//! Only this module knows that the stages form a chain. Data flows right, only acknowledgements flow left. Left of the
//! queue nothing awaits and nothing touches the network; right of it nothing parses records.

#[cfg(test)]
mod allocation_tests;
mod bench;
mod books;
pub mod build;
pub mod delivery;
pub mod health;
pub mod labels;
mod linger;
#[cfg(test)]
mod linger_tests;
pub mod lookout;
pub mod mail;
#[cfg(test)]
mod observe_tests;
pub mod outbox;
mod outlet;
pub(crate) mod pace;
mod product;
pub mod pulse;
mod remains;
mod restart;
mod running;
pub mod settle;
#[cfg(test)]
mod simulation_tests;
mod stages;
mod stop;
pub mod supervisor;
mod workers;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;

use crate::flow::wake::Wake;
use crate::proof::accounts::Backlog;
use crate::source::files::discover::WithoutFiles;
use crate::source::files::{Chunk, Files, Matched};
use crate::telemetry::Counters;
use crate::text::chain::chain;
use bench::Bench;
use books::Books;
use labels::Labels;
use outlet::Outlet;
use product::Intake;
use pulse::{Obstacle, Pulse};
use stages::{Interrupted, Stages};
pub use stop::{AtStop, Stop};
use workers::Workers;

/// At a stop the sinks have this long to take the last account, and each further document of inferlog's own.
const LAST_ACCOUNT_TIMEOUT: Duration = Duration::from_secs(3);

/// The thread waits at most this long before it looks at everything again.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// When nothing has moved for so long, nothing of a window that is over is on its way: at the start files are still to be met.
const QUIET: Duration = Duration::from_secs(1);

/// After a wake-up the thread waits this long, so that a writer of single lines does not wake it for each.
const COALESCE: Duration = Duration::from_millis(5);

/// When a pipeline ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Read every file to its end, deliver, end.
    pub once: bool,
    /// With `once`: give up after this long without progress.
    pub once_timeout: Duration,
    /// After a stop was asked for: how long deliveries may take.
    pub shutdown_timeout: Duration,
    /// The most that may be read and not committed, in bytes of the files.
    pub unacknowledged_bytes_max: u64,
}

/// How a pipeline ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunEnd {
    /// Everything read is delivered and committed, and the checkpoint says so.
    pub drained: bool,
    /// With `once`: nothing moved for the whole of `once_timeout`.
    pub stuck: bool,
    /// Bytes of the files that are not committed: they are read, or read again, at the next start.
    pub unacknowledged_bytes: u64,
    /// Files whose last line has no end and is no record, with its length in bytes.
    pub left_unread: Vec<(PathBuf, u64)>,
    /// How many lines and documents this run put into the dead letter.
    pub dead_lettered: u64,
    /// How many files and folders could not be read.
    pub unreadable: u64,
    /// A defect of ours has ended it: who panicked, with which words.
    pub panic: Option<String>,
    /// It did not run at the end, since it could not be started: why.
    pub unstarted: Option<String>,
}

/// One pipeline: everything left of its queues.
#[derive(Debug)]
pub struct Pipeline {
    name: String,
    source: Files,
    /// Where this thread judges lines.
    bench: Bench,
    /// Who does it instead, where the pipeline has more than one worker.
    workers: Option<Workers>,
    stages: Stages,
    outlet: Outlet,
    books: Books,
    counters: Counters,
    limits: Limits,
    wake: Wake,
    stop: Stop,
    moved: Instant,
    labels: Option<Labels>,
    /// What of a chunk waits until the dead letter takes a line of it. At a stop it is dropped: it was not committed, and is
    /// read again.
    rest: Option<Intake>,
    pulse: Arc<Pulse>,
}

/// What there was to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Busy,
    /// Every file is read to its end.
    Idle,
    /// Nothing may be read before the sinks or the dead letter have taken something.
    Full,
}

impl Pipeline {
    /// Runs until it is told to stop or, with `once`, until every file is delivered to its end.
    pub fn run(mut self) -> RunEnd {
        let mut ended = RunEnd::default();
        while !self.stop.is_asked() && !ended.stuck {
            let turn = self.turn();
            self.pulse.beat(turn == Turn::Full, self.moved);
            if turn == Turn::Idle && self.limits.once && self.is_delivered_to_the_end(&mut ended) {
                break;
            }
            if turn != Turn::Busy {
                ended.stuck = self.is_stuck();
                self.wait();
            }
        }
        let is_read = !self.stop.reads_on() || self.read_to_the_end(&mut ended);
        let ended = self.finish(ended);
        RunEnd { drained: ended.drained && is_read, ..ended }
    }

    /// Goes on after a stop was asked for, as with `once`, for as long as the stop may take: what nobody will start again has
    /// to be read now. True when every file is delivered to its end.
    fn read_to_the_end(&mut self, ended: &mut RunEnd) -> bool {
        let deadline = Instant::now() + self.limits.shutdown_timeout;
        self.limits.once = true;
        // What was written since the last look may not have been heard of.
        self.source.look_soon();
        let mut is_read = false;
        while !is_read && !self.stop.is_hopeless() && Instant::now() < deadline {
            let turn = self.turn();
            self.pulse.beat(turn == Turn::Full, self.moved);
            is_read = turn == Turn::Idle && self.is_delivered_to_the_end(ended);
            if turn != Turn::Busy && !is_read {
                self.wait();
            }
        }
        self.limits.shutdown_timeout = deadline.saturating_duration_since(Instant::now());
        is_read
    }

    /// Does what there is to do, up to one chunk.
    fn turn(&mut self) -> Turn {
        self.commit();
        self.stages.seal_if_due();
        let turn = self.take_next_chunk();
        if let Some(labels) = &mut self.labels
            && labels.bring(&self.name, &mut self.stages.observers)
        {
            self.moved = Instant::now();
        }
        let is_quiet = turn == Turn::Idle && self.moved.elapsed() >= QUIET && self.source.matched().is_some();
        if is_quiet {
            self.stages.observers.pass_time(Utc::now().timestamp_micros());
        }
        if let Some(matched) = self.source.first_matched() {
            say_matched(&self.name, &matched);
        }
        if turn == Turn::Idle && self.outlet.is_empty() {
            self.stages.seal_if_alone();
        }
        self.send();
        turn
    }

    /// Batch → queue. A file that was just met, or began a new generation, must be known as that before its lines leave: a
    /// crash would forget it.
    fn send(&mut self) {
        if self.source.is_urgent() || self.books.is_urgent() {
            self.save();
        }
        if !self.source.is_urgent() {
            self.outlet.send(&mut self.stages.sealed);
        }
    }

    /// Source → decode → enrich → observe → batch, for one chunk.
    fn take_next_chunk(&mut self) -> Turn {
        if !self.has_room() || !self.take_rest() {
            // What is rotated away meanwhile must be open before it is deleted.
            self.source.look();
            return Turn::Full;
        }
        match self.next_intake() {
            Some(intake) => self.take(intake),
            None => return Turn::Idle,
        }
        Turn::Busy
    }

    /// What was read next, by this thread or by what it had given to workers.
    fn next_intake(&mut self) -> Option<Intake> {
        let Some(workers) = &mut self.workers else { return next_chunk(&mut self.source).map(Intake::Chunk) };
        let unacknowledged_bytes = self.outlet.unacknowledged_bytes();
        while workers.has_room() && unacknowledged_bytes + workers.bytes() < self.limits.unacknowledged_bytes_max {
            let Some(chunk) = next_chunk(&mut self.source) else { break };
            workers.give(chunk, &mut self.stages.texts);
        }
        workers.next()
    }

    /// Takes what was read. What of it cannot be settled now waits.
    fn take(&mut self, intake: Intake) {
        if let Some(interrupted) = self.settle(intake) {
            let fill = match lookout::by_reason(&self.counters.dead_letter_reasons()) {
                none if none.is_empty() => String::new(),
                reasons => format!("; since the start there went: {reasons}"),
            };
            let (pipeline, hint) = (&self.name, interrupted.error.trouble().hint);
            tracing::warn!(pipeline, hint, "{}{fill}; the pipeline waits, nothing is lost", interrupted.error);
        }
        self.moved = Instant::now();
    }

    /// Takes what is left of a chunk. False when some of it still has to wait.
    fn take_rest(&mut self) -> bool {
        let Some(rest) = self.rest.take() else { return true };
        let Some(interrupted) = self.settle(rest) else {
            self.moved = Instant::now();
            self.pulse.free(Obstacle::DeadLetter);
            tracing::info!(pipeline = self.name, "the dead letter takes entries again");
            return true;
        };
        self.pulse.hold(Obstacle::DeadLetter, interrupted.error.trouble());
        if interrupted.taken_bytes > 0 {
            self.moved = Instant::now();
        }
        false
    }

    /// Has the stages take what was read; observers have counted its file that far then. Says why not all of it could be taken,
    /// and keeps the rest.
    fn settle(&mut self, mut intake: Intake) -> Option<Interrupted> {
        let number = intake.chunk().number;
        let interrupted = self.stages.take(&mut self.bench, &intake).err();
        match &interrupted {
            Some(interrupted) => {
                intake.leave_out(interrupted.taken_bytes);
                self.source.observed(number, intake.chunk().offset_bytes);
                self.rest = Some(intake);
            }
            None => {
                self.source.observed(number, intake.chunk().end_offset_bytes());
                self.give_back(intake);
            }
        }
        interrupted
    }

    /// Gives buffers back to where they are used again.
    fn give_back(&mut self, intake: Intake) {
        let chunk = match (intake, &mut self.workers) {
            (Intake::Product(product), Some(workers)) => {
                let (chunk, pages, text) = product.into_parts();
                workers.reuse(pages);
                text.into_iter().for_each(|text| self.stages.texts.push(text));
                chunk
            }
            (Intake::Product(product), None) => product.chunk,
            (Intake::Chunk(chunk), _) => chunk,
        };
        self.source.reuse(chunk);
    }

    /// Acknowledgements → committed offsets → checkpoint.
    fn commit(&mut self) {
        let (source, books) = (&mut self.source, &mut self.books);
        let settled = self.outlet.collect(|settlement| {
            books.enter(&settlement);
            settlement.marks.iter().for_each(|mark| source.commit(mark));
        });
        if settled > 0 {
            self.moved = Instant::now();
        }
        self.books.collect();
        let (source, outlet, counters) = (&self.source, &self.outlet, &self.counters);
        self.books.give_account(|| waiting(source, outlet, counters));
        let is_full = self.stages.observers.is_full() && !self.books.is_failing;
        if self.books.is_save_due() || is_full {
            self.save();
            self.update_gauges();
        }
    }

    /// Saves what is committed, observed and settled.
    fn save(&mut self) {
        self.books.save(&mut self.source, &mut self.stages.observers);
    }

    /// Gives account of the stop, and waits a moment for the sinks to take it; what they do not take goes at the next start.
    fn give_last_account(&mut self, deadline: Instant) {
        let waiting = waiting(&self.source, &self.outlet, &self.counters);
        self.books.give_last_account(&waiting);
        self.save();
        self.books.collect();
        // There may be many of drift: they are waited for as long as sinks go on to take them.
        let (mut waiting, mut give_up) = (usize::MAX, Instant::now());
        while !self.books.outbox.is_empty() && !self.books.outbox.is_refused() {
            if self.books.outbox.len() < waiting {
                (waiting, give_up) = (self.books.outbox.len(), deadline.min(Instant::now() + LAST_ACCOUNT_TIMEOUT));
            }
            if self.stop.is_hopeless() || Instant::now() >= give_up {
                break;
            }
            self.wake.wait(Duration::from_millis(50));
            self.books.collect();
        }
        self.books.say_what_stays();
    }

    fn update_gauges(&self) {
        self.books.update_gauges();
        self.counters.source_lag_bytes.set(self.source.lag_bytes() as i64);
        let matched = self.source.matched().map_or(0, |matched| matched.files);
        self.counters.source_matched_files.set(matched as i64);
        self.counters.source_open_files.set(self.source.open_files() as i64);
        self.counters.source_deleted_held_bytes.set(self.source.deleted_held_bytes() as i64);
        self.counters.delivery_oldest_unacknowledged_seconds.set(self.outlet.oldest_age().as_secs_f64());
        self.counters.source_closed_files.set(self.source.closed_files() as i64);
        self.counters.source_waiting_files.set(self.source.waiting_files() as i64);
        self.counters.queue_bytes.set(self.outlet.queued_bytes() as i64);
        self.counters.delivery_unacknowledged_bytes.set(self.outlet.unacknowledged_bytes() as i64);
    }

    fn has_room(&self) -> bool {
        self.stages.sealed.is_empty()
            && self.outlet.unacknowledged_bytes() < self.limits.unacknowledged_bytes_max
            && self.stages.observers.has_room()
    }

    /// With `once`, when every file is read to its end: takes the unterminated ends that are records, too. True when all
    /// is delivered.
    fn is_delivered_to_the_end(&mut self, ended: &mut RunEnd) -> bool {
        ended.left_unread.clear();
        for number in self.source.unterminated_files() {
            let Some(chunk) = self.source.unterminated(number) else { continue };
            if self.bench.is_record(&chunk) {
                self.take(Intake::Chunk(chunk));
                if self.rest.is_some() {
                    return false;
                }
            } else {
                self.source.reuse(chunk);
                ended.left_unread.extend(self.source.leave_unread(number));
            }
        }
        ended.left_unread.extend(self.source.left_at_gaps());
        self.stages.seal();
        self.send();
        let is_delivered = self.stages.sealed.is_empty() && self.outlet.is_empty() && !self.source.is_undecided();
        is_delivered && self.is_joined_to_the_end()
    }

    /// With `once`: every label is joined with what is there, and what came of it is delivered.
    fn is_joined_to_the_end(&mut self) -> bool {
        let Some(labels) = &self.labels else { return true };
        if !labels.is_at_end() {
            return false;
        }
        let waited = self.books.outbox.len();
        self.books.collect();
        let (waiting, is_dirty) = (self.books.outbox.len(), self.stages.observers.is_dirty());
        // The checkpoint holds what waits: it is not written for each answer.
        if is_dirty || waiting == 0 || self.books.is_save_due() {
            self.save();
        }
        if is_dirty || waiting != waited {
            self.moved = Instant::now();
        }
        !is_dirty && waiting == 0 && self.books.outbox.is_empty()
    }

    fn is_stuck(&self) -> bool {
        self.limits.once && self.moved.elapsed() >= self.limits.once_timeout
    }

    fn wait(&self) {
        let now = Instant::now();
        let of_labels = self.labels.as_ref().map(Labels::next_look);
        let deadlines = [self.stages.linger_ends(), Some(self.source.next_look()), self.outlet.next_send(), of_labels];
        let earliest = deadlines.into_iter().flatten().min().unwrap_or(now + WAIT_MAX);
        self.wake.wait(earliest.saturating_duration_since(now).min(WAIT_MAX));
        if !self.stop.is_asked() && !self.limits.once {
            std::thread::sleep(COALESCE);
        }
    }

    /// Delivers what is read, as long as the stop may take, and saves how far that is.
    fn finish(mut self, mut ended: RunEnd) -> RunEnd {
        let deadline = Instant::now() + self.limits.shutdown_timeout;
        // What workers have was read and is not settled: a stop leaves it unread.
        if let Some(workers) = &mut self.workers {
            workers.forget();
        }
        self.stages.seal();
        loop {
            self.commit();
            self.send();
            let delivered = self.stages.sealed.is_empty() && self.outlet.is_empty();
            ended.drained = delivered && self.rest.is_none();
            if delivered || ended.stuck || self.stop.is_hopeless() || Instant::now() >= deadline {
                break;
            }
            self.wake.wait(Duration::from_millis(50));
        }
        self.source.salvage(true);
        if self.limits.once && ended.drained {
            self.stages.observers.finish(Utc::now().timestamp_micros());
        }
        if self.stages.observers.can_evaluate_last(self.limits.once) && !self.stop.is_hopeless() {
            // What is measured has to be written down.
            self.save();
            if let Err(error) = self.stages.observers.evaluate_last(Utc::now().timestamp_micros()) {
                tracing::warn!(pipeline = self.name, "the stop has no evaluation of the outcomes: {}", chain(&error));
            }
        }
        self.give_last_account(deadline);
        self.outlet.close();
        self.save();
        self.update_gauges();
        ended.drained &= !self.books.is_failing;
        ended.unacknowledged_bytes = self.source.lag_bytes();
        ended.dead_lettered = self.books.dead_letter.written();
        ended.unreadable = self.counters.source_unreadable_total.get();
        ended
    }
}

/// Says what the paths find at the start.
fn say_matched(pipeline: &str, matched: &Matched) {
    for WithoutFiles { path, reason } in &matched.without_files {
        let hint = "it is looked for as long as inferlog runs; `inferlog check` says how to write names with brackets";
        tracing::warn!(pipeline, path, reason, hint, "a path of `source.files` finds no file");
    }
    tracing::info!(pipeline, files = matched.files, "files found");
}

/// What waits at the moment.
fn waiting(source: &Files, outlet: &Outlet, counters: &Counters) -> Backlog {
    Backlog { bytes: source.lag_bytes(), oldest: outlet.oldest_age(), latency: counters.take_latency() }
}

/// What there is to read.
fn next_chunk(source: &mut Files) -> Option<Chunk> {
    source.next_chunk().or_else(|| source.next_final_end())
}

#[cfg(test)]
mod tests;
