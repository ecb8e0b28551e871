//! Reading: what is in a dead letter, one entry after the other?
//!
//! Without a lock, beside a process that appends and replaces files: a file that is open is read as it was, one that is
//! gone meanwhile is passed over, and so is a last line that has no end yet. A line that is no entry is counted. One
//! entry is in memory at a time.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::folder::files;
use crate::flow::batch::FileKey;

/// An entry as it stands in the dead letter.
#[derive(Clone, Debug, Deserialize)]
pub struct Found {
    /// Its id: the document's, or the one that its line has.
    pub id: String,
    /// When it was entered.
    pub time: DateTime<Utc>,
    /// The stage that turned it away, as [`crate::flow::reject::Stage::as_str`] says it.
    pub stage: String,
    /// Why, in a word.
    pub reason: String,
    /// Why, in a sentence. Elasticsearch's may quote the record.
    #[serde(default)]
    pub detail: String,
    /// Where its line is.
    pub origin: FoundOrigin,
    /// The document as it would have been shipped, byte for byte.
    #[serde(default)]
    document: Option<Box<RawValue>>,
    #[serde(default)]
    raw: Option<String>,
    #[serde(default)]
    raw_base64: Option<String>,
    /// Why neither is kept, in a word; entries of earlier versions have none.
    #[serde(default)]
    pub not_kept: Option<String>,
    /// The last time that a replay of it failed, for the reason given.
    #[serde(default)]
    pub replayed: Option<DateTime<Utc>>,
}

/// Where the line of an entry is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FoundOrigin {
    /// The path of its file.
    pub file: String,
    /// The file's inode number.
    pub inode: u64,
    /// How often the file's content had begun anew.
    pub generation: u32,
    /// Where the line begins, in bytes from the start of the file.
    pub offset_bytes: u64,
    /// The length of the line in bytes, without its end.
    pub length_bytes: u64,
    /// Which of the line's records it is, counted from 0; 0 also for a line that is none.
    #[serde(default)]
    pub ordinal: u32,
    /// SHA-256 of the line in hexadecimal, where it was known.
    #[serde(default)]
    pub sha256: Option<String>,
    /// SHA-256 of the file's first line in hexadecimal; entries of earlier versions have none.
    #[serde(default)]
    pub first_line_sha256: Option<String>,
}

/// What an entry keeps of its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept<'f> {
    /// The document as it would have been shipped.
    Document(&'f str),
    /// The line after pattern redaction.
    Raw(std::borrow::Cow<'f, [u8]>),
    /// Nothing: the origin says where it is.
    Reference,
}

impl FoundOrigin {
    /// Which content the line is of.
    pub fn key(&self) -> FileKey {
        FileKey { inode: self.inode, generation: self.generation }
    }
}

impl Found {
    /// Reads an entry from its line.
    ///
    /// # Errors
    /// When the line is no entry.
    pub fn parse(line: &[u8]) -> Result<Found, serde_json::Error> {
        serde_json::from_slice(line)
    }

    /// What is kept of the record.
    pub fn kept(&self) -> Kept<'_> {
        let decoded = || base64::engine::general_purpose::STANDARD.decode(self.raw_base64.as_deref()?).ok();
        match (&self.document, &self.raw) {
            (Some(document), _) => Kept::Document(document.get()),
            (None, Some(raw)) => Kept::Raw(raw.as_bytes().into()),
            (None, None) => decoded().map_or(Kept::Reference, |raw| Kept::Raw(raw.into())),
        }
    }
}

/// A dead letter that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the dead letter in `{folder}`")]
pub struct ReadError {
    /// The folder.
    pub folder: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// The entries of one pipeline's dead letter, in the order in which they were entered.
#[derive(Debug)]
pub struct Entries {
    folder: PathBuf,
    files: VecDeque<PathBuf>,
    open: Option<BufReader<fs_err::File>>,
    line: Vec<u8>,
    damaged: u64,
}

impl Entries {
    /// Looks at a folder; one that is not there has no entries.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn open(folder: &Path) -> Result<Entries, ReadError> {
        let files = match files(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            listed => listed.map_err(|source| ReadError { folder: folder.to_owned(), source })?,
        };
        Ok(Entries { folder: folder.to_owned(), files: files.into(), open: None, line: Vec::new(), damaged: 0 })
    }

    /// How many whole lines were met so far that are no entries.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    fn read(&mut self) -> io::Result<Option<Found>> {
        loop {
            let Some(file) = &mut self.open else {
                let Some(path) = self.files.pop_front() else { return Ok(None) };
                self.open = open(&path)?;
                continue;
            };
            if !next_line(file, &mut self.line)? {
                self.open = None;
                continue;
            }
            match Found::parse(&self.line) {
                Ok(found) => return Ok(Some(found)),
                Err(_) => self.damaged += 1,
            }
        }
    }
}

impl Iterator for Entries {
    type Item = Result<Found, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read();
        if read.is_err() {
            // What cannot be read now is not asked for again and again.
            self.open = None;
            self.files.clear();
        }
        read.map_err(|source| ReadError { folder: self.folder.clone(), source }).transpose()
    }
}

/// Opens a file; `None` for one that is gone meanwhile.
fn open(path: &Path) -> io::Result<Option<BufReader<fs_err::File>>> {
    match fs_err::File::open(path) {
        Ok(file) => Ok(Some(BufReader::new(file))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads a line with its end into `line`; false at the end of the file, or at a line that has no end yet.
pub(super) fn next_line(file: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    file.read_until(b'\n', line)?;
    Ok(line.ends_with(b"\n"))
}
