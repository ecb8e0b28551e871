//! A batch: one buffer of rendered documents and a small table of what stands where.
//!
//! The buffer is the body of a bulk request as Elasticsearch takes it, two lines an item:
//!
//! ```text
//! {"create":{"_id":"AGc…28 characters"}}\n
//! {"event":"inference",…}\n
//! ```
//!
//! so the usual request sends it as it is, and sending item 7 again is copying one range. The other sinks read the
//! document's range alone. Documents are never parsed right of the queue.

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
    /// Where the action line begins in [`Batch::body`].
    action_start: u32,
    /// Where the document begins.
    document_start: u32,
    /// Where the document ends; a line end follows.
    document_end: u32,
    /// The line it was made from; inferlog's own documents have none.
    pub origin: Option<Origin>,
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
    body: Vec<u8>,
    items: Vec<Item>,
    files: Vec<Arc<SourceFile>>,
    stream: Stream,
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

    /// Creates a batch of records in the buffers of one that was delivered.
    pub fn reuse(mut spent: Batch) -> Batch {
        spent.stream = Stream::Records;
        spent.body.clear();
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
        let namespace = namespace.number();
        let origin = origin.into();
        let action_start = self.body.len() as u32;
        self.body.extend_from_slice(b"{\"create\":{\"_id\":\"");
        self.body.extend_from_slice(&id.0);
        self.body.extend_from_slice(b"\"}}\n");
        let document_start = self.body.len() as u32;
        render(&mut self.body);
        let document_end = self.body.len() as u32;
        self.body.push(b'\n');
        self.items.push(Item { id, timestamp_us, namespace, action_start, document_start, document_end, origin });
    }

    /// Enters a file into the table and gives its index for [`Origin::file`]. The last one is found again.
    pub fn file(&mut self, file: &Arc<SourceFile>) -> u32 {
        if !self.files.last().is_some_and(|last| Arc::ptr_eq(last, file)) {
            self.files.push(Arc::clone(file));
        }
        (self.files.len() - 1) as u32
    }

    /// The whole body of a bulk request, in the order of [`Batch::items`].
    pub fn body(&self) -> &[u8] {
        &self.body
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
        &self.body[item.document_start as usize..item.document_end as usize]
    }

    /// One item as it stands in [`Batch::body`]: action line, document, both line ends.
    pub fn action_and_document(&self, item: &Item) -> &[u8] {
        &self.body[self.range(item)]
    }

    /// The range of [`Batch::action_and_document`] in the body.
    pub fn range(&self, item: &Item) -> Range<usize> {
        item.action_start as usize..item.document_end as usize + 1
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
