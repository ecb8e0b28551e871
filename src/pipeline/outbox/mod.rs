//! The outbox: how do documents of inferlog's own reach every sink, without holding up a record?
//!
//! A document is saved in the checkpoint, as text, before it leaves; each sink is sent it, one a request, by a [`Lane`] of
//! its own beside the delivery of records; and it is forgotten when every sink holds it. So whatever crashes, it is sent
//! again under the id that it keeps, and found to be there. Records wait for none of this: no document is in their queue,
//! takes one of their turns, or is waited for at a stop for longer than a moment.
//!
//! ```text
//! "outbox": [ { "stream": "accounts", "id": "AGc…", "timestamp_us": 1795428000123456, "taken_by": ["store"],
//!               "document": {"@timestamp":"…",…} } ]
//! ```
//!
//! It holds [`BYTES_MAX`]: while more wait, [`Outbox::has_room`] says no, and whoever makes documents adds up what it has to
//! tell until there is room. What is in it is never dropped.

mod lane;
mod order;
mod word;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::flow::batch::{Id, Stream};
use crate::flow::own_document::OwnDocument;
use crate::flow::wake::Wake;
use crate::state::checkpoint::JsonText;
pub use lane::Lane;
use word::{Answered, NumberedDocument, Word};

/// With so many bytes of documents waiting there is no room for further ones.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// A document that some sink does not hold yet.
#[derive(Debug)]
struct Entry {
    numbered: Arc<NumberedDocument>,
    /// The sinks that hold it.
    taken_by: Vec<Arc<str>>,
}

/// The same in the checkpoint.
#[derive(Serialize)]
struct EntryView<'e> {
    stream: Stream,
    id: &'e str,
    timestamp_us: i64,
    taken_by: Vec<&'e str>,
    document: &'e RawValue,
}

/// The same as it was kept.
#[derive(Deserialize)]
struct KeptEntry {
    stream: Stream,
    id: String,
    timestamp_us: i64,
    #[serde(default)]
    taken_by: Vec<String>,
    document: Box<RawValue>,
}

/// The near end of a lane.
#[derive(Debug)]
struct LaneStart {
    sink: Arc<str>,
    documents: UnboundedSender<Arc<NumberedDocument>>,
    /// The last that was heard of it is that the sink refuses a document.
    refuses: bool,
}

/// Documents of inferlog's own, until every sink holds them.
#[derive(Debug)]
pub struct Outbox {
    /// In the order in which they were made.
    entries: VecDeque<Entry>,
    bytes: usize,
    bytes_max: usize,
    next_number: u64,
    /// The number of the first document that is not in the checkpoint on disk.
    first_unsaved: u64,
    is_dirty: bool,
    lanes: Vec<LaneStart>,
    words: Receiver<Word>,
}

/// An outbox with what a checkpoint kept, and what belongs to it.
#[derive(Debug)]
pub struct OutboxAtStart {
    /// The outbox.
    pub outbox: Outbox,
    /// One for each sink.
    pub lanes: Vec<Lane>,
    /// How many documents could not be read.
    pub unreadable: usize,
}

impl Outbox {
    /// Goes on from what the checkpoint keeps, for sinks of these names. `wake` is rung when one has answered.
    pub fn open(kept: &JsonText, sinks: &[Arc<str>], wake: &Wake) -> OutboxAtStart {
        let (sender, words) = channel();
        let (starts, lanes) = sinks
            .iter()
            .map(|sink| {
                #[allow(clippy::disallowed_methods, reason = "what is in it is in the outbox, which is bounded")]
                let (documents, arriving) = unbounded_channel();
                let start = LaneStart { sink: Arc::clone(sink), documents, refuses: false };
                (start, Lane::new(Arc::clone(sink), arriving, sender.clone(), wake.clone()))
            })
            .unzip();
        let mut outbox = Outbox {
            entries: VecDeque::new(),
            bytes: 0,
            bytes_max: BYTES_MAX,
            next_number: 0,
            first_unsaved: 0,
            is_dirty: false,
            lanes: starts,
            words,
        };
        let (kept, mut unreadable) = match kept.read::<Option<Vec<&RawValue>>>() {
            Ok(kept) => (kept.unwrap_or_default(), 0),
            Err(_) => (Vec::new(), 1),
        };
        for entry in kept {
            match read(entry) {
                Some((document, taken_by)) => outbox.enter(document, taken_by),
                None => unreadable += 1,
            }
        }
        // What was read is on disk.
        outbox.saved();
        OutboxAtStart { outbox, lanes, unreadable }
    }

    /// Whether another document may be put.
    pub fn has_room(&self) -> bool {
        self.bytes < self.bytes_max
    }

    /// Whether documents may be put of which there are as many as records: accounts have room besides.
    pub fn is_half_empty(&self) -> bool {
        self.bytes < self.bytes_max / 2
    }

    /// Takes a document, to be sent when it is saved. It is taken whether there is room or not.
    pub fn put(&mut self, document: OwnDocument) {
        self.enter(document, Vec::new());
        self.is_dirty = true;
    }

    fn enter(&mut self, document: OwnDocument, taken_by: Vec<Arc<str>>) {
        self.bytes += document.text.get().len();
        let numbered = Arc::new(NumberedDocument { number: self.next_number, document });
        self.next_number += 1;
        self.entries.push_back(Entry { numbered, taken_by });
    }

    /// True when the checkpoint on disk is behind.
    pub fn is_dirty(&self) -> bool {
        self.is_dirty
    }

    /// True when a document waits for the checkpoint.
    pub fn is_urgent(&self) -> bool {
        self.first_unsaved < self.next_number
    }

    /// Takes note that the checkpoint holds everything: what it did not hold before leaves for the sinks.
    pub fn saved(&mut self) {
        self.is_dirty = false;
        let first_unsaved = std::mem::replace(&mut self.first_unsaved, self.next_number);
        let saved_now = self.entries.iter().filter(|entry| entry.numbered.number >= first_unsaved);
        for entry in saved_now {
            for lane in self.lanes.iter().filter(|lane| !entry.taken_by.contains(&lane.sink)) {
                // A lane ends with its delivery, which is then the end of the run.
                let _ = lane.documents.send(Arc::clone(&entry.numbered));
            }
        }
        self.forget_held();
    }

    /// Takes note of what the sinks have answered, and forgets what all of them hold.
    pub fn collect(&mut self) {
        let mut was_taken = false;
        while let Ok(Word { sink, number, answered }) = self.words.try_recv() {
            if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.sink == sink) {
                lane.refuses = answered == Answered::Refused;
            }
            let entry = self.entries.iter_mut().find(|entry| entry.numbered.number == number);
            if let (Answered::Taken, Some(entry)) = (answered, entry) {
                entry.taken_by.push(sink);
                (self.is_dirty, was_taken) = (true, true);
            }
        }
        // This is called at each turn of the pipeline, however many documents wait.
        if was_taken {
            self.forget_held();
        }
    }

    fn forget_held(&mut self) {
        let (lanes, bytes, is_dirty) = (&self.lanes, &mut self.bytes, &mut self.is_dirty);
        self.entries.retain(|entry| {
            let is_held = lanes.iter().all(|lane| entry.taken_by.contains(&lane.sink));
            if is_held {
                *bytes -= entry.numbered.document.text.get().len();
                *is_dirty = true;
            }
            !is_held
        });
    }

    /// True when every sink holds every document.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many documents wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Their length in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The sinks that lack a document.
    pub fn lacking(&self) -> Vec<&str> {
        self.lanes_that_lack().map(|lane| &*lane.sink).collect()
    }

    /// True when nothing that waits may be taken soon: all that lack something have refused what they were sent last.
    pub fn is_refused(&self) -> bool {
        self.lanes_that_lack().all(|lane| lane.refuses)
    }

    fn lanes_that_lack(&self) -> impl Iterator<Item = &LaneStart> {
        let lacks = |lane: &&LaneStart| self.entries.iter().any(|entry| !entry.taken_by.contains(&lane.sink));
        self.lanes.iter().filter(lacks)
    }

    /// The same with room for so many bytes.
    #[cfg(test)]
    pub(super) fn set_bytes_max(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }
}

/// What the checkpoint shall keep.
impl Serialize for Outbox {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.entries.iter().map(|Entry { numbered, taken_by }| {
            let OwnDocument { stream, id, timestamp_us, text } = &numbered.document;
            let taken_by = taken_by.iter().map(|sink| &**sink).collect();
            EntryView { stream: *stream, id: id.as_str(), timestamp_us: *timestamp_us, taken_by, document: text }
        }))
    }
}

fn read(entry: &RawValue) -> Option<(OwnDocument, Vec<Arc<str>>)> {
    let KeptEntry { stream, id, timestamp_us, taken_by, document } = serde_json::from_str(entry.get()).ok()?;
    let document = OwnDocument { stream, id: Id::read(&id)?, timestamp_us, text: document };
    Some((document, taken_by.into_iter().map(Arc::from).collect()))
}

#[cfg(test)]
mod tests;
