//! Workers: threads that judge chunks beside each other, for a pipeline that has more than one.
//!
//! ```text
//!            chunks, in the order of reading      ┌→ worker: a bench of its own ─┐
//!  source ──────────────────────────→ jobs ───────┼→ worker                      ├─→ products ──→ stages
//!                                   (who is free) └→ worker ─────────────────────┘  (in the order of the chunks)
//! ```
//!
//! A worker does what has no effect: it frames a chunk, judges its lines, and writes down what is to be done
//! ([`super::product`]). Everything else stays with the pipeline's thread, which takes the products in the order in which
//! it has read the chunks: so the order of documents, marks, counts and entries of the dead letter is that of one thread.
//! What is under way here is read and not settled: it may be dropped at any moment, and is read again after a restart.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use chrono::Utc;

use super::bench::{Bench, STACK_BYTES};
use super::product::{Intake, Pages, Product, SpareTexts};
use crate::enrich::Sight;
use crate::source::files::{Chunk, Content};
use crate::text::panic;

/// So many chunks may wait beside those that are worked on.
const WAITING_CHUNKS_MAX: usize = 2;

/// The time at which a job was read that makes a worker panic.
#[cfg(test)]
const PANICS: i64 = i64::MIN;

/// The workers of a pipeline, and what they have been given.
#[derive(Debug)]
pub(super) struct Workers {
    jobs: Sender<Job>,
    threads: Vec<JoinHandle<()>>,
    under_way: VecDeque<UnderWay>,
    /// Buffers of products that are settled.
    spare: Vec<Pages>,
    /// Who has the next job shall panic.
    #[cfg(test)]
    panics_next: bool,
}

/// What a worker is given.
#[derive(Debug)]
struct Job {
    chunk: Chunk,
    read_us: i64,
    pages: Pages,
    text: Vec<u8>,
    answer: SyncSender<Answer>,
}

/// What a worker gives; or the words of its panic.
type Answer = Result<Box<Product>, String>;

/// A chunk in its place in the order.
#[derive(Debug)]
enum UnderWay {
    /// It has no lines to be judged.
    Chunk(Chunk),
    /// A worker has it, of so many bytes.
    Job { product: Receiver<Answer>, bytes: u64 },
}

impl Workers {
    /// Starts a thread for each bench. `observed`: what observers have to see, if there are some.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(pipeline: &str, benches: Vec<Bench>, observed: Option<Sight>) -> io::Result<Workers> {
        let (jobs, waiting) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        let threads = benches.into_iter().enumerate().map(|(number, bench)| {
            let waiting = Arc::clone(&waiting);
            let name = format!("{pipeline}/{}", number + 1);
            let thread = std::thread::Builder::new().name(name).stack_size(STACK_BYTES);
            thread.spawn(move || work(bench, &waiting, observed))
        });
        let threads = threads.collect::<io::Result<Vec<_>>>()?;
        Ok(Workers {
            jobs,
            threads,
            under_way: VecDeque::new(),
            spare: Vec::new(),
            #[cfg(test)]
            panics_next: false,
        })
    }

    /// Whether another chunk may be given.
    pub(super) fn has_room(&self) -> bool {
        self.under_way.len() < self.threads.len() + WAITING_CHUNKS_MAX
    }

    /// How many bytes of files are under way.
    pub(super) fn bytes(&self) -> u64 {
        let bytes = self.under_way.iter().map(|it| match it {
            UnderWay::Chunk(_) => 0,
            UnderWay::Job { bytes, .. } => *bytes,
        });
        bytes.sum()
    }

    /// Gives a chunk, which was read just now, and one of the buffers for its documents.
    pub(super) fn give(&mut self, chunk: Chunk, texts: &mut SpareTexts) {
        let bytes = match &chunk.content {
            Content::Lines(block) if !block.bytes().is_empty() => block.bytes().len() as u64,
            Content::Lines(_) | Content::PassedOver { .. } => return self.under_way.push_back(UnderWay::Chunk(chunk)),
        };
        let (answer, product) = sync_channel(1);
        let (read_us, pages) = (Utc::now().timestamp_micros(), self.spare.pop().unwrap_or_default());
        let text = texts.pop();
        // Nobody takes it only when all workers are gone; then there is no answer.
        #[cfg(test)]
        let read_us = if std::mem::take(&mut self.panics_next) { PANICS } else { read_us };
        let _ = self.jobs.send(Job { chunk, read_us, pages, text, answer });
        self.under_way.push_back(UnderWay::Job { product, bytes });
    }

    /// The first of what was given, as soon as it is there; `None` when nothing is under way.
    ///
    /// # Panics
    /// When the worker that had it has panicked, in its words.
    pub(super) fn next(&mut self) -> Option<Intake> {
        let product = match self.under_way.pop_front()? {
            UnderWay::Chunk(chunk) => return Some(Intake::Chunk(chunk)),
            UnderWay::Job { product, .. } => product,
        };
        match product.recv() {
            Ok(Ok(product)) => Some(Intake::Product(product)),
            Ok(Err(words)) => panic!("BUG: a worker panicked: {words}"),
            Err(_) => panic!("BUG: the workers are gone"),
        }
    }

    /// Takes back buffers.
    pub(super) fn reuse(&mut self, pages: Pages) {
        self.spare.push(pages);
    }

    /// Forgets what is under way: it is read again at the next start.
    pub(super) fn forget(&mut self) {
        self.under_way.clear();
    }
}

/// The threads end before what they work with is given to others.
impl Drop for Workers {
    fn drop(&mut self) {
        self.under_way.clear();
        self.jobs = channel().0;
        for thread in self.threads.drain(..) {
            // Its panic was told as an answer.
            let _ = thread.join();
        }
    }
}

/// Works on one job after the other, until there will be no more.
fn work(mut bench: Bench, waiting: &Mutex<Receiver<Job>>, observed: Option<Sight>) {
    loop {
        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { chunk, read_us, pages, text, answer }) = job else { return };
        let make = AssertUnwindSafe(|| {
            #[cfg(test)]
            assert!(read_us != PANICS, "BUG: as a test wants it");
            Box::new(Product::make(&mut bench, chunk, read_us, observed, (pages, text)))
        });
        let product = catch_unwind(make).map_err(|payload| panic::words(&*payload));
        let has_panicked = product.is_err();
        // Nobody hears it when what is under way was forgotten.
        let _ = answer.send(product);
        if has_panicked {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
