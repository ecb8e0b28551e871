//! A batch: rendered documents and a small table of what stands where.
//!
//! They are the body of a bulk request as Elasticsearch takes it, two lines an item:
//!
//! ```text
//! {"create":{"_id":"AGc…28 characters"}}\n
//! {"event":"inference",…}\n
//! ```
//!
//! so the usual request sends them as they are, and sending item 7 again is copying one range. The other sinks read the
//! document's range alone. Documents are never parsed right of the queue.
//!
//! What one thread writes is one segment of the body. A text that a worker has written, if it is long enough, is one of its
//! own: it is not copied.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::line::Form;

/// Length of an [`Id`] in characters.
pub const ID_CHARACTERS: usize = 28;

/// A document's `_id`: 21 bytes in URL-safe base64 without padding.
///
/// ```text
/// 5 bytes   seconds since 1970, big-endian: the record's own time; zero without one
/// 16 bytes  a digest of what tells the document from all others
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub [u8; ID_CHARACTERS]);

impl Id {
    /// Makes an id of a time in seconds since 1970, as far as it can be kept, and a digest.
    pub fn new(seconds: i64, digest: [u8; 16]) -> Id {
        let mut bytes = [0; 21];
        bytes[..5].copy_from_slice(&(seconds.clamp(0, (1 << 40) - 1) as u64).to_be_bytes()[3..]);
        bytes[5..].copy_from_slice(&digest);
        let mut id = [0; ID_CHARACTERS];
        let written = URL_SAFE_NO_PAD.encode_slice(bytes, &mut id);
        debug_assert_eq!(written, Ok(ID_CHARACTERS));
        Id(id)
    }

    /// Makes an id of a time in seconds since 1970 and half of the SHA-256 of these texts, each behind its length.
    pub fn of_parts(seconds: i64, parts: &[&str]) -> Id {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let digest: [u8; 32] = hasher.finalize().into();
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        Id::new(seconds, half)
    }

    /// Reads an id; `None` when the text is none.
    pub fn read(text: &str) -> Option<Id> {
        text.as_bytes().try_into().ok().map(Id)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl std::fmt::Debug for Id {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What people are told of a tailed file: enough to find a line again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceFile {
    /// The path under which it was found.
    pub path: String,
    /// Its inode number.
    pub inode: u64,
    /// How often its content began anew under this inode; 0 at first.
    pub generation: u32,
    /// SHA-256 of its first line, or of the first 64 KiB of a longer one.
    pub first_line_sha256: [u8; 32],
    /// How its lines are written.
    pub form: Form,
}

impl SourceFile {
    /// Which content it is.
    pub fn key(&self) -> FileKey {
        FileKey { inode: self.inode, generation: self.generation }
    }
}

/// Which content a line is of: an inode, and how often the content had begun anew under it. Written `7-0`, as documents
/// carry it in `inferlog.file`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileKey {
    /// The inode.
    pub inode: u64,
    /// 0 at first.
    pub generation: u32,
}

impl FileKey {
    /// Reads what was written; `None` when the text is none.
    pub fn read(text: &str) -> Option<FileKey> {
        let (inode, generation) = text.split_once('-')?;
        Some(FileKey { inode: inode.parse().ok()?, generation: generation.parse().ok()? })
    }
}

impl std::fmt::Display for FileKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}-{}", self.inode, self.generation)
    }
}

/// What kind of documents a batch holds. Only sinks look at it: each kind has a place of its own in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// What lines became. They go where the pipeline file says.
    #[default]
    Records,
    /// What the pipeline says of itself: see `proof::accounts`.
    Accounts,
    /// What the values of a window look like beside those of training: see `observe::drift`.
    Drift,
    /// What labels and reviews say of predictions: see `outcome::ledger`.
    Outcomes,
}

impl Stream {
    /// Its name, as the checkpoint and messages have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Stream::Records => "records",
            Stream::Accounts => "accounts",
            Stream::Drift => "drift",
            Stream::Outcomes => "outcomes",
        }
    }
}

/// Which of the namespaces of its pipeline a document goes to. Only sinks that have some look at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Namespace {
    /// The pipeline knows none.
    #[default]
    Unknown,
    /// The one of this number, which the record names.
    Named(u8),
    /// The one for all else, number 0, for this reason: `missing` or `not_allowed`.
    Else(&'static str),
}

impl Namespace {
    /// Its number in the pipeline's rule.
    pub fn number(self) -> u8 {
        match self {
            Namespace::Named(number) => number,
            Namespace::Unknown | Namespace::Else(_) => 0,
        }
    }
}

/// Where a document comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Index into [`Batch::files`].
    pub file: u32,
    /// Start of the line, in bytes from the start of the file.
    pub offset_bytes: u64,
    /// Length of the line in bytes, without its end.
    pub length_bytes: u32,
    /// Which of the line's records it is, counted from 0.
    pub ordinal: u32,
}

/// One document of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// Its `_id`.
    pub id: Id,
    /// Its `@timestamp`, in microseconds since 1970 (UTC).
    pub timestamp_us: i64,
    /// The number of its namespace in the pipeline's rule; 0 without one.
    pub namespace: u8,
    /// The position of its segment.
    segment: u32,
    /// Where it stands in the text of that.
    place: ItemPlace,
    /// The line it was made from; inferlog's own documents have none.
    pub origin: Option<Origin>,
}

/// Where an item stands in a text.
#[derive(Clone, Copy, Debug)]
pub struct ItemPlace {
    /// Where the action line begins.
    action_start: usize,
    /// Where the document begins.
    document_start: usize,
    /// Where the document ends; a line end follows.
    document_end: usize,
}

impl ItemPlace {
    /// Appends an item, whose document `render` writes.
    pub fn write(id: &Id, out: &mut Vec<u8>, render: impl FnOnce(&mut Vec<u8>)) -> ItemPlace {
        let action_start = out.len();
        out.extend_from_slice(b"{\"create\":{\"_id\":\"");
        out.extend_from_slice(&id.0);
        out.extend_from_slice(b"\"}}\n");
        let document_start = out.len();
        render(out);
        let document_end = out.len();
        out.push(b'\n');
        ItemPlace { action_start, document_start, document_end }
    }

    /// Action line and document, with both line ends.
    fn whole(self) -> Range<usize> {
        self.action_start..self.document_end + 1
    }

    fn document(self) -> Range<usize> {
        self.document_start..self.document_end
    }
}

/// An item that stands in a text already.
#[derive(Clone, Copy, Debug)]
pub struct WrittenItem<'t> {
    /// The text.
    pub text: &'t Arc<Vec<u8>>,
    /// Where it stands there.
    pub place: ItemPlace,
}

impl<'t> WrittenItem<'t> {
    /// Its document: a JSON object, without a line end.
    pub fn document(self) -> &'t [u8] {
        &self.text[self.place.document()]
    }
}

/// When a batch is sealed: whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// At this size in bytes: 4 Ki to 64 Mi.
    pub bytes_max: usize,
    /// At this number of documents: 1 to 65,536.
    pub items_max: usize,
    /// This long after its first line: 0 to 1 min; sooner where little comes, see `pipeline::linger`.
    pub linger: Duration,
}

/// Rendered documents on their way to the sinks.
#[derive(Debug, Default)]
pub struct Batch {
    segments: Vec<Segment>,
    /// Of all segments together.
    body_bytes: usize,
    items: Vec<Item>,
    files: Vec<Arc<SourceFile>>,
    stream: Stream,
}

/// A part of a body: items, one behind the other.
#[derive(Debug)]
enum Segment {
    /// What was written for this batch.
    Own(Vec<u8>),
    /// A range of what a worker has written.
    Shared(Arc<Vec<u8>>, Range<usize>),
}

impl Segment {
    /// What the places of its items count from the beginning of.
    fn text(&self) -> &[u8] {
        match self {
            Segment::Own(text) => text,
            Segment::Shared(text, _) => text,
        }
    }

    /// Its items.
    fn bytes(&self) -> &[u8] {
        match self {
            Segment::Own(text) => text,
            Segment::Shared(text, range) => &text[range.clone()],
        }
    }
}

impl Batch {
    /// Creates a batch of documents of this kind.
    pub fn of(stream: Stream) -> Batch {
        Batch { stream, ..Batch::default() }
    }

    /// What kind of documents it holds.
    pub fn stream(&self) -> Stream {
        self.stream
    }

    /// Creates a batch of records in the buffers of one that was delivered. `texts` is given those that workers had written
    /// and nobody else holds.
    pub fn reuse(mut spent: Batch, mut texts: impl FnMut(Vec<u8>)) -> Batch {
        let mut own = None;
        for segment in spent.segments.drain(..) {
            match segment {
                Segment::Own(text) => own = Some(text),
                Segment::Shared(text, _) => Arc::into_inner(text).into_iter().for_each(&mut texts),
            }
        }
        spent.segments.extend(own.map(|mut text| {
            text.clear();
            Segment::Own(text)
        }));
        (spent.stream, spent.body_bytes) = (Stream::Records, 0);
        spent.items.clear();
        spent.files.clear();
        spent
    }

    /// Appends one document, which `render` writes.
    pub fn push(
        &mut self,
        id: Id,
        timestamp_us: i64,
        origin: impl Into<Option<Origin>>,
        render: impl FnOnce(&mut Vec<u8>),
    ) {
        self.push_into(Namespace::Unknown, id, timestamp_us, origin, render);
    }

    /// The same of a document that goes to a namespace.
    pub fn push_into(
        &mut self,
        namespace: Namespace,
        id: Id,
        timestamp_us: i64,
        origin: impl Into<Option<Origin>>,
        render: impl FnOnce(&mut Vec<u8>),
    ) {
        let place = match self.segments.last_mut() {
            Some(Segment::Own(text)) => ItemPlace::write(&id, text, render),
            _ => {
                let mut text = Vec::new();
                let place = ItemPlace::write(&id, &mut text, render);
                self.segments.push(Segment::Own(text));
                place
            }
        };
        self.enter(namespace, id, timestamp_us, origin.into(), place);
    }

    /// Takes an item over from where it stands.
    pub fn take_into(
        &mut self,
        namespace: Namespace,
        id: Id,
        timestamp_us: i64,
        origin: Origin,
        item: WrittenItem<'_>,
    ) {
        let whole = item.place.whole();
        match self.segments.last_mut() {
            Some(Segment::Shared(text, range)) if Arc::ptr_eq(text, item.text) && range.end == whole.start => {
                range.end = whole.end;
            }
            _ => self.segments.push(Segment::Shared(Arc::clone(item.text), whole)),
        }
        self.enter(namespace, id, timestamp_us, Some(origin), item.place);
    }

    /// Enters the item that the last segment ends with.
    fn enter(&mut self, namespace: Namespace, id: Id, timestamp_us: i64, origin: Option<Origin>, place: ItemPlace) {
        self.body_bytes += place.whole().len();
        let (namespace, segment) = (namespace.number(), self.segments.len() as u32 - 1);
        self.items.push(Item { id, timestamp_us, namespace, segment, place, origin });
    }

    /// Enters a file into the table and gives its index for [`Origin::file`]. The last one is found again.
    pub fn file(&mut self, file: &Arc<SourceFile>) -> u32 {
        if !self.files.last().is_some_and(|last| Arc::ptr_eq(last, file)) {
            self.files.push(Arc::clone(file));
        }
        (self.files.len() - 1) as u32
    }

    /// The length of the whole body of a bulk request, in bytes.
    pub fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    /// The segments of the body, in their order: one behind the other they are all items in theirs.
    pub fn segments(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.segments.iter().map(Segment::bytes)
    }

    /// One of them.
    pub fn segment(&self, position: usize) -> &[u8] {
        self.segments[position].bytes()
    }

    /// The documents' table.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The file that an item comes from, and its place there; `None` for a document of inferlog's own.
    pub fn place_of(&self, item: &Item) -> Option<(&SourceFile, Origin)> {
        let origin = item.origin?;
        Some((self.files.get(origin.file as usize)?, origin))
    }

    /// One document: a JSON object, without a line end.
    pub fn document(&self, item: &Item) -> &[u8] {
        &self.segments[item.segment as usize].text()[item.place.document()]
    }

    /// One item as it stands in the body: action line, document, both line ends.
    pub fn action_and_document(&self, item: &Item) -> &[u8] {
        &self.segments[item.segment as usize].text()[item.place.whole()]
    }

    /// True when there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_workers_have_written_is_sent_from_where_it_stands() {
        let origin = Origin { file: 0, offset_bytes: 0, length_bytes: 2, ordinal: 0 };
        let id = |number: u8| Id([b'0' + number; ID_CHARACTERS]);
        let mut written = Vec::new();
        let mut write = |number: u8| ItemPlace::write(&id(number), &mut written, |out| out.push(number));
        let places = [0, 1, 2, 3].map(&mut write);
        let text = Arc::new(written);
        let mut batch = Batch::default();
        let take = |batch: &mut Batch, number: usize| {
            let item = WrittenItem { text: &text, place: places[number] };
            assert_eq!(item.document(), [number as u8]);
            batch.take_into(Namespace::Unknown, id(number as u8), 0, origin, item);
        };
        take(&mut batch, 0);
        take(&mut batch, 1);
        batch.push(id(9), 0, origin, |out| out.push(9));
        take(&mut batch, 2);
        // What stands between them is not shipped.
        take(&mut batch, 0);
        take(&mut batch, 3);

        let segments: Vec<&[u8]> = batch.segments().collect();
        assert_eq!(segments.len(), 5);
        assert_eq!(segments[0].as_ptr(), text.as_ptr(), "it is not copied");
        let items: Vec<&[u8]> = batch.items().iter().map(|item| batch.action_and_document(item)).collect();
        assert_eq!(segments.concat(), items.concat());
        assert_eq!(batch.body_bytes(), items.concat().len());
        let documents: Vec<&[u8]> = batch.items().iter().map(|item| batch.document(item)).collect();
        assert_eq!(documents, [[0], [1], [9], [2], [0], [3]]);

        let mut texts = Vec::new();
        let held = Arc::clone(&text);
        drop(text);
        let batch = Batch::reuse(batch, |text| texts.push(text));
        assert_eq!((batch.body_bytes(), batch.items().len(), texts.len()), (0, 0, 0), "somebody else holds it");
        let mut last = Batch::default();
        last.take_into(Namespace::Unknown, id(0), 0, origin, WrittenItem { text: &held, place: places[0] });
        drop(held);
        Batch::reuse(last, |text| texts.push(text));
        assert_eq!(texts.len(), 1);
    }

    #[test]
    fn ids_and_keys_of_files_are_read_as_they_were_written() {
        let id = Id::new(1, [0xff; 16]);
        assert_eq!(id.as_str(), "AAAAAAH_____________________");
        assert_eq!((Id::read(id.as_str()), Id::read("short")), (Some(id), None));
        assert_eq!(Id::new(-1, [0; 16]), Id::new(0, [0; 16]));
        let key = FileKey { inode: 7, generation: 12 };
        assert_eq!((key.to_string().as_str(), FileKey::read("7-12")), ("7-12", Some(key)));
        for text in ["", "7", "7-", "-1", "7-a", "7-1-2"] {
            assert_eq!(FileKey::read(text), None, "{text}");
        }
    }
}
