//! Sinks: where do documents go?
//!
//! A sink is asked to take some items of a batch, tries **once**, and answers for each item. Waiting, retrying and the
//! dead letter are the business of `pipeline::delivery`; a sink knows nothing of files, offsets or acknowledgements.

pub mod elasticsearch;
pub mod stdout;
pub mod store;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::batch::{Batch, Item};

/// Some items of a batch, for one try.
#[derive(Clone, Debug)]
pub struct Request {
    /// The batch.
    pub batch: Arc<Batch>,
    /// Indexes of the items asked for, ascending; `None` is all of them.
    pub selection: Option<Vec<u32>>,
}

impl Request {
    /// Number of items asked for.
    pub fn len(&self) -> usize {
        self.selection.as_ref().map_or(self.batch.items().len(), Vec::len)
    }

    /// True when no item is asked for.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The items asked for, in the order in which the answer must name them.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        let items = self.batch.items();
        (0..self.len()).map(move |n| match &self.selection {
            Some(selection) => &items[selection[n] as usize],
            None => &items[n],
        })
    }
}

/// What became of one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The sink holds it now.
    Indexed,
    /// The sink held it already, from an earlier try.
    Duplicate,
    /// The server took it into its failure store: kept, but not searchable.
    FailureStore,
    /// It may succeed later: try this item again.
    Retry(Reason),
    /// The server fails on this item: try it again, but not for ever if its neighbours succeed.
    Failing(Reason),
    /// Its target is wrong or not there, not the record: wait, say so, try again.
    TargetUnready(Reason),
    /// It will never succeed as it is.
    Rejected(Reason),
}

/// Why, in the server's own words.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Reason {
    /// A short name to count by, such as `document_parsing_exception`; few different ones exist.
    pub kind: String,
    /// A sentence. It may quote the record, so it goes to the dead letter alone, never into a log line or a metric.
    pub detail: String,
}

/// What a sink answers to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// One outcome for each item asked for, in their order.
    Items(Vec<Outcome>),
    /// Nothing is known of any item: wait and ask for all of them again.
    Wait(Trouble),
    /// The request as a whole was too large or was refused because of one of its items: ask for each half by itself.
    /// A single item that gets this answer is rejected for this reason.
    Halve(Reason),
    /// The sink is gone for good, as a pipe that nobody reads: nothing is known of any item, and asking again is
    /// useless. The run ends, with its lines uncommitted.
    Closed(Trouble),
}

/// Why a sink cannot take anything now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What happened, fit for the log: no secrets, no record data.
    pub problem: String,
    /// What to do about it, where that is known.
    pub hint: Option<String>,
}

/// A future of a sink's.
pub type SinkFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A place that takes documents.
pub trait Sink: Send + Sync {
    /// A short name for messages and metric labels: `elasticsearch`, `store`, `stdout`.
    fn name(&self) -> &'static str;

    /// Tries once to make the items durable.
    fn deliver<'a>(&'a self, request: &'a Request) -> SinkFuture<'a, Answer>;

    /// Looks whether deliveries can be expected to succeed, and tells what to do if not. Asked at the start and by
    /// `check --connect`; `run` only warns.
    fn probe(&self) -> SinkFuture<'_, Result<(), Trouble>>;
}
