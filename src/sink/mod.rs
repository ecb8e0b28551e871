//! Sinks: where do documents go?
//!
//! A sink is asked to take some items of a batch, tries **once**, and answers for each item. Waiting, retrying and the
//! dead letter are the business of `pipeline::settle`; a sink knows nothing of files, offsets or acknowledgements.

pub mod elasticsearch;
pub mod policy;
pub mod stdout;
pub mod store;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::flow::answer::{Answer, Trouble};
use crate::flow::batch::{Batch, Item};

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

    /// The length of its documents with what stands before each, in bytes.
    pub fn bytes(&self) -> usize {
        match &self.selection {
            None => self.batch.body_bytes(),
            Some(_) => self.items().map(|item| self.batch.action_and_document(item).len()).sum(),
        }
    }

    /// True when no item is asked for.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The index in the batch of the item that stands at a place of the request, from 0.
    pub fn position(&self, place: usize) -> u32 {
        self.selection.as_ref().map_or(place as u32, |selection| selection[place])
    }

    /// The items asked for, in the order in which the answer must name them.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        let items = self.batch.items();
        (0..self.len()).map(move |place| &items[self.position(place) as usize])
    }
}

/// A future of a sink's.
pub type SinkFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A place that takes documents.
pub trait Sink: Send + Sync {
    /// Tries once to make the items durable.
    fn deliver<'a>(&'a self, request: &'a Request) -> SinkFuture<'a, Answer>;

    /// Looks whether deliveries can be expected to succeed, and tells what to do if not. Asked at the start and by
    /// `check --connect`; `run` only warns.
    fn probe(&self) -> SinkFuture<'_, Result<(), Trouble>>;

    /// Looks whether something is in force in which records must not be brought there: they are held back until it is put
    /// right. Nothing, unless the sink knows of such a thing.
    fn hold(&self) -> SinkFuture<'_, Option<Trouble>> {
        Box::pin(async { None })
    }

    /// What people have to know of a sink that takes records, as of the last look.
    fn remark(&self) -> Option<Trouble> {
        None
    }
}
