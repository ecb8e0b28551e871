//! The embedded store: how are documents kept without a server?
//!
//! A SQLite file with one ordinary table, `records`, one row a document, drawn in `schema.rs`. One thread owns the
//! only writing connection; it serves deliveries in the order in which they come, those that wait in one transaction,
//! since each costs the disk a flush, and deletes by retention in small steps between them. What it answers is
//! durable: write-ahead log, `synchronous=FULL`. Any program that reads SQLite may read the file meanwhile, through
//! [`Store::open_read_only`] or by itself.
//!
//! The store does not parse documents (SQLite extracts the heart fields from them), does not retry, and does not
//! lock out a second writer: the data folder's lock does.

mod error;
mod reader;
mod retention;
mod schema;
mod search;
mod writer;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::oneshot;

use super::{Request, Sink, SinkFuture};
use crate::flow::answer::{Answer, Trouble};
pub use error::StoreError;
pub use reader::{Place, Reader};
pub use retention::{BYTES_MAX_MIN, Retention};
pub use writer::StoreOptions;
use writer::Writer;

/// How often retention is looked at while nothing is to be deleted.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(10);

/// Requests at a time: while one transaction is written, those of the next one gather.
pub const IN_FLIGHT_MAX: usize = 8;

/// Requests of this size together, in bytes of their batches' documents, are enough for a transaction.
const TRANSACTION_BYTES_MIN: usize = 4 * 1024 * 1024;

/// The embedded store as a sink.
#[derive(Debug)]
pub struct Store {
    /// Taken at the drop, which is how the thread is told to end.
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

type Reply = oneshot::Sender<Answer>;

/// What the thread is asked for.
enum Job {
    Deliver(Request, Reply),
    Probe(oneshot::Sender<Result<(), Trouble>>),
}

impl Store {
    /// Opens the store, creating the file with mode 0600 where there is none.
    ///
    /// Fails if the file cannot be opened now, is no store of ours, was made by a newer inferlog, or if the retention
    /// contradicts itself. A store that is open gets over later troubles by itself.
    pub fn open(options: StoreOptions) -> Result<Store, StoreError> {
        options.retention.check()?;
        let mut writer = Writer::new(options);
        writer.probe()?;
        let (jobs, asked) = channel();
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || serve(writer, &asked))
            .map_err(|source| StoreError::Thread { source })?;
        Ok(Store { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Opens an existing store for reading, beside a process that writes.
    pub fn open_read_only(path: &Path) -> Result<Reader, StoreError> {
        Reader::open(path)
    }

    /// Asks the thread and waits for its word; `None` if it is gone.
    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.jobs.as_ref()?.send(job(reply)).ok()?;
        answer.await.ok()
    }
}

impl Sink for Store {
    fn deliver<'a>(&'a self, request: &'a Request) -> SinkFuture<'a, Answer> {
        Box::pin(async move {
            let answer = self.ask(|reply| Job::Deliver(request.clone(), reply)).await;
            answer.unwrap_or_else(|| Answer::Wait(thread_gone()))
        })
    }

    fn probe(&self) -> SinkFuture<'_, Result<(), Trouble>> {
        Box::pin(async move { self.ask(Job::Probe).await.unwrap_or_else(|| Err(thread_gone())) })
    }
}

impl Drop for Store {
    /// Waits for what the thread is doing, so that the file is closed and the write-ahead log folded into it.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread's loop: jobs as they come, and a step of upkeep when one is due. While there is more to delete, a step
/// follows each job, and steps follow each other while there are no jobs.
fn serve(mut writer: Writer, jobs: &Receiver<Job>) {
    let mut upkeep_due = Instant::now();
    loop {
        match jobs.recv_timeout(upkeep_due.saturating_duration_since(Instant::now())) {
            // A defect of ours: whoever asked hears of it and asks again. The connection is gone with what it had begun, and
            // the next job opens another one.
            Ok(job) => drop(catch_unwind(AssertUnwindSafe(|| carry_out(&mut writer, job, jobs)))),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if upkeep_due <= Instant::now() {
            let more = writer.upkeep(now_us()).unwrap_or_else(|error| {
                tracing::warn!(
                    problem = error.trouble().problem,
                    "the store's retention could not delete; will try again"
                );
                false
            });
            upkeep_due = Instant::now() + if more { Duration::ZERO } else { UPKEEP_INTERVAL };
        }
    }
}

/// Whoever asked may have given up waiting at a stop; then nobody wants the answer.
fn carry_out(writer: &mut Writer, job: Job, jobs: &Receiver<Job>) {
    match job {
        Job::Deliver(request, reply) => {
            let (requests, replies, next) = gather(request, reply, jobs);
            for (answer, reply) in writer.deliver(&requests, now_us()).into_iter().zip(replies) {
                drop(reply.send(answer));
            }
            if let Some(next) = next {
                carry_out(writer, next, jobs);
            }
        }
        Job::Probe(reply) => drop(reply.send(writer.probe().map_err(|error| error.trouble()))),
    }
}

/// A request with those that wait behind it, as many as one transaction is for, and the job that was met instead of another.
fn gather(request: Request, reply: Reply, jobs: &Receiver<Job>) -> (Vec<Request>, Vec<Reply>, Option<Job>) {
    let mut bytes = request.batch.body_bytes();
    let (mut requests, mut replies) = (vec![request], vec![reply]);
    while bytes < TRANSACTION_BYTES_MIN {
        match jobs.try_recv() {
            Ok(Job::Deliver(request, reply)) => {
                bytes += request.batch.body_bytes();
                requests.push(request);
                replies.push(reply);
            }
            Ok(other) => return (requests, replies, Some(other)),
            Err(_) => break,
        }
    }
    (requests, replies, None)
}

/// The current time in microseconds since 1970.
fn now_us() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |age| age.as_micros() as i64)
}

fn thread_gone() -> Trouble {
    Trouble {
        problem: "BUG: the store's thread panicked".to_owned(),
        hint: Some("please report it; it is tried again, and nothing is lost".to_owned()),
    }
}

#[cfg(test)]
mod tests;
