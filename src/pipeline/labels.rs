//! Labels: from the store that the pipeline of labels fills to the observer that joins them.
//!
//! That pipeline has its own source, dead letter, checkpoint and accounts, as any other; what it has delivered is read here in
//! the order in which it came. Up to where that was is kept in the ledger, with the labels.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::observe::Observers;
use crate::outcome::ledger::{LabelLine, Progress};
use crate::sink::store::{Reader, Store, StoreError};
use crate::text::chain::chain;

/// When there was nothing new, it is looked again after this long.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// So many labels are read at once.
const LABELS_AT_ONCE: usize = 1_000;

/// Where labels come from.
#[derive(Debug)]
pub(super) struct Labels {
    store: PathBuf,
    /// The pipeline of labels runs.
    is_running: Arc<AtomicBool>,
    reader: Option<Reader>,
    read_to: Progress,
    next_look: Instant,
    /// The last look found nothing new, and the pipeline of labels had ended before it.
    is_at_end: bool,
    is_trouble_said: bool,
}

impl Labels {
    /// Labels of a store, which are known up to a place.
    pub(super) fn new(store: PathBuf, is_running: Arc<AtomicBool>, read_to: Progress) -> Labels {
        let next_look = Instant::now();
        Labels { store, is_running, reader: None, read_to, next_look, is_at_end: false, is_trouble_said: false }
    }

    /// No label will come any more.
    pub(super) fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// When there may be something new.
    pub(super) fn next_look(&self) -> Instant {
        self.next_look
    }

    /// Brings what is new to the observer, as far as it has room. Says whether there was something.
    pub(super) fn bring(&mut self, pipeline: &str, observers: &mut Observers) -> bool {
        let room = observers.labels_room().min(LABELS_AT_ONCE);
        if room == 0 {
            self.next_look = Instant::now() + LOOK_INTERVAL;
        }
        if Instant::now() < self.next_look {
            return false;
        }
        let has_ended = !self.is_running.load(Ordering::Acquire);
        match self.read(room) {
            Ok(labels) => {
                self.is_trouble_said = false;
                let is_news = labels.is_some();
                self.is_at_end = has_ended && !is_news;
                match labels {
                    Some(labels) => observers.take_labels(labels, self.read_to.clone()),
                    None => self.next_look = Instant::now() + LOOK_INTERVAL,
                }
                is_news
            }
            Err(error) => {
                self.reader = None;
                self.next_look = Instant::now() + LOOK_INTERVAL;
                // Until the pipeline of labels has come so far there is none.
                let is_absent = !self.store.exists();
                self.is_at_end = has_ended && is_absent;
                if !is_absent && !std::mem::replace(&mut self.is_trouble_said, true) {
                    let hint = "trying again; labels wait in that store, and nothing is lost";
                    tracing::warn!(pipeline, hint, "cannot read labels: {}", chain(&error));
                }
                false
            }
        }
    }

    /// What is new.
    fn read(&mut self, rows_max: usize) -> Result<Option<Vec<LabelLine>>, StoreError> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => open(&self.store, &mut self.read_to)?,
        };
        let labels = labels_behind(&reader, &mut self.read_to, rows_max)?;
        self.reader = Some(reader);
        Ok(labels)
    }
}

/// Opens the store of labels that was read up to a place. One that was made anew is read from its beginning: labels that are known
/// are found to be.
///
/// # Errors
/// When it is not there or cannot be read.
pub fn open(store: &Path, read_to: &mut Progress) -> Result<Reader, StoreError> {
    let reader = Store::open_read_only(store)?;
    if read_to.number > 0 && !reader.is_at(read_to.number, &read_to.id)? {
        *read_to = Progress::default();
    }
    Ok(reader)
}

/// Labels behind a place, in their order and of at most so many rows, and moves the place behind them. `None` when there is no row.
/// A document that is no label, of an older pipeline file perhaps, is passed over.
///
/// # Errors
/// When the store cannot be read: the place stays.
pub fn labels_behind(
    reader: &Reader,
    read_to: &mut Progress,
    rows_max: usize,
) -> Result<Option<Vec<LabelLine>>, StoreError> {
    let rows = reader.records_behind(read_to.number, rows_max)?;
    let Some((number, id, ..)) = rows.last() else { return Ok(None) };
    *read_to = Progress { number: *number, id: id.clone() };
    let read = |(_, id, time_us, document): (i64, String, i64, String)| LabelLine::read(id, time_us, &document);
    Ok(Some(rows.into_iter().filter_map(read).collect()))
}
