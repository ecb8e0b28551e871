//! Mail: the way of documents of inferlog's own into sinks, for verbs that run beside a pipeline or without one.
//!
//! It is the pipeline's [`Outbox`] without its checkpoint: what was not taken by the end is the caller's to keep or to say.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::build::{BuildError, open_sink};
use super::outbox::{Outbox, OutboxAtStart};
use crate::config::model::{self, SinkOptions};
use crate::flow::own_document::OwnDocument;
use crate::flow::wake::Wake;
use crate::state::checkpoint::JsonText;

/// Documents under way to sinks.
#[derive(Debug)]
pub struct Mail {
    outbox: Outbox,
}

impl Mail {
    /// Opens those of a pipeline's sinks that keep documents. To be called within a runtime.
    ///
    /// # Errors
    /// When a sink cannot be opened.
    pub fn open<'s>(
        sinks: impl Iterator<Item = &'s model::Sink>,
        data_dir: &Path,
        pipeline: &str,
    ) -> Result<Mail, BuildError> {
        let keeps = |sink: &&model::Sink| !matches!(sink.options, SinkOptions::Stdout);
        let open = |sink| open_sink(sink, data_dir, pipeline);
        let sinks = sinks.filter(keeps).map(open).collect::<Result<Vec<_>, _>>()?;
        let names: Vec<Arc<str>> = sinks.iter().map(|sink| Arc::clone(&sink.name)).collect();
        let OutboxAtStart { outbox, lanes, .. } = Outbox::open(&JsonText::default(), &names, &Wake::default());
        for (lane, sink) in lanes.into_iter().zip(sinks) {
            tokio::spawn(lane.run(sink.sink, sink.policy));
        }
        Ok(Mail { outbox })
    }

    /// Whether every sink took all of them, without a pause longer than `taken_within` between two. Why one does not is in the log.
    pub async fn deliver(&mut self, documents: impl Iterator<Item = OwnDocument>, taken_within: Duration) -> bool {
        documents.for_each(|document| self.outbox.put(document));
        self.outbox.saved();
        let (mut left, mut give_up) = (usize::MAX, Instant::now());
        while !self.outbox.is_empty() {
            if self.outbox.len() < left {
                (left, give_up) = (self.outbox.len(), Instant::now() + taken_within);
            }
            if Instant::now() >= give_up {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            self.outbox.collect();
        }
        true
    }
}
