//! The checkpoint: how far each file is delivered, on disk.
//!
//! One file, `checkpoint.json`, written whole and atomically (a temporary file, fsync, rename, fsync of the folder):
//!
//! ```text
//! { "version": 1, "files": [
//!     { "path": "/logs/a.ndjson", "inode": 7, "device": 1, "generation": 0,
//!       "head": { "length_bytes": 1024, "sha256": "9b1e…" },
//!       "committed": { "offset_bytes": 4711, "tail": { "length_bytes": 64, "sha256": "07ab…" } },
//!       "observed_offset_bytes": 4711, "size_bytes": 4711, "finished": false,
//!       "updated": "2026-11-23T10:00:00Z" } ],
//!   "observers": { "model_metrics": {…} },
//!   "accounts": {…}, "outbox": […] }
//! ```
//!
//! Unknown members are tolerated. A file that cannot be read is kept aside and reported, never silently reset. Of records
//! it holds digests only, and the observers' counts with the values of their labels.

use std::io::{BufReader, ErrorKind, Seek as _, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::whole::write_whole;
use crate::flow::batch::FileKey;
use crate::text::digest::{self, from_hexadecimal, hexadecimal};

/// The format that this version writes, and the newest that it reads.
pub const VERSION: u32 = 1;

/// How much of a file's beginning is kept as a digest, in bytes.
pub const HEAD_BYTES_MAX: usize = 1_024;

/// How much of what stands before an offset is kept as a digest, in bytes.
pub const TAIL_BYTES_MAX: usize = 64;

/// A length and the digest of that many bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// How many bytes.
    pub length_bytes: u32,
    /// The first 128 bits of their SHA-256, on disk in hexadecimal; zero where nothing was digested, on disk empty.
    #[serde(serialize_with = "write_digest", deserialize_with = "read_digest")]
    sha256: [u8; 16],
}

fn write_digest<S: Serializer>(digest: &[u8; 16], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&if *digest == [0; 16] { String::new() } else { hexadecimal(digest) })
}

fn read_digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 16], D::Error> {
    let digits = String::deserialize(deserializer)?;
    let digest = if digits.is_empty() { Some([0; 16]) } else { from_hexadecimal(&digits) };
    digest.ok_or_else(|| serde::de::Error::custom("a digest has 32 hexadecimal digits"))
}

impl Fingerprint {
    /// The fingerprint of some bytes.
    pub fn of(bytes: &[u8]) -> Fingerprint {
        let mut sha256 = [0; 16];
        sha256.copy_from_slice(&digest::sha256(bytes)[..16]);
        Fingerprint { length_bytes: bytes.len() as u32, sha256 }
    }

    /// Whether `bytes` are those that the fingerprint was taken of.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        self.length_bytes == 0 || *self == Fingerprint::of(bytes)
    }
}

/// A place in a file up to which it is settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Bytes from the start of the file.
    pub offset_bytes: u64,
    /// The bytes just before.
    pub tail: Fingerprint,
}

/// What is known of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Where it was seen last; what is not UTF-8 in it is replaced.
    pub path: String,
    /// Its inode number.
    pub inode: u64,
    /// Its device: a hint only, it changes at a reboot.
    pub device: u64,
    /// How often its content began anew under this inode.
    pub generation: u32,
    /// Its first bytes, at most [`HEAD_BYTES_MAX`].
    pub head: Fingerprint,
    /// Where those begin, in bytes: behind the NUL bytes that the file began with, which may have been filled since.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub head_offset_bytes: u64,
    /// The digest of its first line, where that was passed over or torn by NUL bytes: it is part of the lines' ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_line_sha256: Option<String>,
    /// Delivered up to here.
    pub committed: Position,
    /// What stands before this was passed over when the file was met first, in bytes: nobody was to read it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub passed_over_bytes: u64,
    /// Counted by the observers up to here.
    pub observed_offset_bytes: u64,
    /// Its size when it was last looked at, in bytes; 0 in an entry of a version that did not keep it.
    #[serde(default)]
    pub size_bytes: u64,
    /// True when other content stands under this inode by now, so that only a copy can hold this one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replaced: bool,
    /// True when it was rotated away and is delivered to its end, or is reported to be lost.
    pub finished: bool,
    /// The inode of the copy that holds the content by now; `inode` is part of the lines' ids and stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by_inode: Option<u64>,
    /// The size of the compressed file that holds the content, in bytes; offsets are those of the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compressed_bytes: Option<u64>,
    /// The name of the file in `salvage/` that keeps what is left of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salvage: Option<String>,
    /// When the entry was last changed.
    pub updated: DateTime<Utc>,
}

fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

impl FileEntry {
    /// Which content it is.
    pub fn key(&self) -> FileKey {
        FileKey { inode: self.inode, generation: self.generation }
    }

    /// The inode under which the content is found.
    pub fn holder_inode(&self) -> u64 {
        self.held_by_inode.unwrap_or(self.inode)
    }

    /// How many bytes were known to be there and are not delivered.
    pub fn undelivered_bytes(&self) -> u64 {
        self.size_bytes.saturating_sub(self.committed.offset_bytes)
    }
}

/// A JSON value as text, for whoever knows what it means: no tree is made of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JsonText(Box<RawValue>);

impl JsonText {
    /// The value as its owner has it.
    ///
    /// # Errors
    /// When it has another shape.
    pub fn read<'t, T: Deserialize<'t>>(&'t self) -> serde_json::Result<T> {
        serde_json::from_str(self.0.get())
    }

    /// True when there is no value.
    pub fn is_null(&self) -> bool {
        self.0.get() == "null"
    }
}

impl Default for JsonText {
    fn default() -> Self {
        JsonText(RawValue::NULL.to_owned())
    }
}

impl PartialEq for JsonText {
    fn eq(&self, other: &JsonText) -> bool {
        self.0.get() == other.0.get()
    }
}

impl Eq for JsonText {}

/// A list that is written item by item, so that it is never in memory as a whole: there may be tens of thousands of files.
#[derive(Debug)]
pub struct Listed<F>(pub F);

impl<I: Iterator<Item: Serialize>, F: Fn() -> I> Serialize for Listed<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

/// All of the state, to be saved: the same as a [`Checkpoint`]. What is large is written from where it is.
#[derive(Debug, Serialize)]
pub struct Saved<F, B, A, O> {
    /// The format's version.
    pub version: u32,
    /// The files: see [`Listed`].
    pub files: F,
    /// See [`Checkpoint::observers`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observers: Option<B>,
    /// See [`Checkpoint::accounts`].
    pub accounts: A,
    /// See [`Checkpoint::outbox`].
    pub outbox: O,
}

/// All of the state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The format's version.
    pub version: u32,
    /// The files.
    #[serde(default)]
    pub files: Vec<FileEntry>,
    /// What the observers have counted of the files, each up to its observed offset; `null` when there are none.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub observers: serde_json::Value,
    /// What was settled and is in no account yet; `null` when there is nothing.
    #[serde(default)]
    pub accounts: JsonText,
    /// Documents of inferlog's own that some sink has not taken yet; `null` when there are none.
    #[serde(default)]
    pub outbox: JsonText,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// What kept the checkpoint from being read or written.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file system said no.
    #[error("cannot {action} the checkpoint `{path}`")]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Written by a newer inferlog.
    #[error(
        "the checkpoint `{path}` has version {version}, and this inferlog reads up to {VERSION}: use the newer one again, or move the folder away to read every file anew"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version found.
        version: u32,
    },
}

/// What was found on disk.
#[derive(Debug)]
pub enum Loaded {
    /// There was none: the very first start.
    Absent,
    /// A good one.
    Found(Checkpoint),
    /// A damaged one, which was moved to this path; every file is read anew.
    Damaged(PathBuf),
}

/// Reads the checkpoint at `path`.
///
/// # Errors
/// When the file system fails, or a newer version wrote it. A damaged file is not an error: it is moved aside.
pub fn load(path: &Path) -> Result<Loaded, CheckpointError> {
    match parse(path)? {
        None => Ok(Loaded::Absent),
        Some(Ok(checkpoint)) => Ok(Loaded::Found(checkpoint)),
        Some(Err(_)) => set_aside(path).map(Loaded::Damaged),
    }
}

/// Reads the checkpoint at `path` without touching it, beside a process that writes it; `None` when there is none.
///
/// # Errors
/// When it cannot be read, is damaged, or was written by a newer version.
pub fn read(path: &Path) -> Result<Option<Checkpoint>, CheckpointError> {
    parse(path)?.transpose().map_err(|damage| cannot_read(path, damage.into()))
}

/// What stands in the file, which is not held in memory as a whole; `None` when there is none.
fn parse(path: &Path) -> Result<Option<serde_json::Result<Checkpoint>>, CheckpointError> {
    let failed = |source| cannot_read(path, source);
    let mut file = match fs_err::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed(source)),
    };
    // The version by itself first: what else a newer one means by its members is not known here.
    match serde_json::from_reader::<_, Version>(BufReader::new(&mut file)) {
        Ok(Version { version }) if version > VERSION => {
            return Err(CheckpointError::Newer { path: path.to_owned(), version });
        }
        Err(error) if error.is_io() => return Err(failed(error.into())),
        _ => {}
    }
    file.rewind().map_err(failed)?;
    match serde_json::from_reader(BufReader::new(file)) {
        Err(error) if error.is_io() => Err(failed(error.into())),
        parsed => Ok(Some(parsed)),
    }
}

fn cannot_read(path: &Path, source: std::io::Error) -> CheckpointError {
    CheckpointError::Io { action: "read", path: path.to_owned(), source }
}

/// Moves a damaged file to the first free name beside it.
fn set_aside(path: &Path) -> Result<PathBuf, CheckpointError> {
    let aside = (1..)
        .map(|n| path.with_extension(format!("json.damaged-{n}")))
        .find(|candidate| !candidate.exists())
        .unwrap_or_else(|| path.with_extension("json.damaged"));
    fs_err::rename(path, &aside).map_err(|source| CheckpointError::Io {
        action: "move aside",
        path: path.to_owned(),
        source,
    })?;
    Ok(aside)
}

/// Writes the checkpoint so that a crash or a power loss leaves the old one or the new one, nothing else.
///
/// # Errors
/// When the file system fails; the old checkpoint is then still there.
pub fn save<F, B, A, O>(path: &Path, checkpoint: &Saved<F, B, A, O>) -> Result<(), CheckpointError>
where
    F: Serialize,
    B: Serialize,
    A: Serialize,
    O: Serialize,
{
    let write = |file: &mut dyn Write| {
        serde_json::to_writer_pretty(&mut *file, checkpoint)?;
        file.write_all(b"\n")
    };
    write_whole(path, write).map_err(|source| CheckpointError::Io { action: "write", path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Checkpoint {
        let entry = FileEntry {
            path: "/logs/a.ndjson".into(),
            inode: 7,
            device: 1,
            generation: 2,
            head: Fingerprint::of(b"head"),
            head_offset_bytes: 4_096,
            first_line_sha256: Some("ab".into()),
            committed: Position { offset_bytes: 4_711, tail: Fingerprint::of(b"tail") },
            passed_over_bytes: 11,
            observed_offset_bytes: 4_711,
            size_bytes: 4_712,
            replaced: false,
            finished: false,
            held_by_inode: Some(8),
            compressed_bytes: Some(99),
            salvage: Some("7-2".into()),
            updated: DateTime::UNIX_EPOCH,
        };
        let observers = serde_json::json!({ "model_metrics": 1 });
        let accounts = serde_json::from_str(r#"{"sequence":3}"#).unwrap();
        let outbox = serde_json::from_str(r#"[{"document":{"n":1.50}}]"#).unwrap();
        Checkpoint { version: VERSION, files: vec![entry], observers, accounts, outbox }
    }

    fn save(path: &Path, checkpoint: Checkpoint) -> Result<(), CheckpointError> {
        let Checkpoint { version, files, observers, accounts, outbox } = checkpoint;
        let (files, observers) = (Listed(|| files.iter()), Some(observers));
        super::save(path, &Saved { version, files, observers, accounts, outbox })
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.json");
        assert!(matches!(load(&path).unwrap(), Loaded::Absent));
        save(&path, example()).unwrap();
        save(&path, example()).unwrap();
        let Loaded::Found(found) = load(&path).unwrap() else { panic!("not found") };
        assert_eq!(found, example());
        assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1, "the temporary file is gone");
    }

    #[test]
    fn a_damaged_one_is_kept_aside_whatever_is_left_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.json");
        save(&path, example()).unwrap();
        let whole = fs_err::read(&path).unwrap();
        for length in 0..whole.len() - 2 {
            fs_err::write(&path, &whole[..length]).unwrap();
            let Loaded::Damaged(aside) = load(&path).unwrap() else { panic!("{length} bytes were taken for whole") };
            assert_eq!(fs_err::read(&aside).unwrap(), &whole[..length]);
            assert!(!path.exists());
        }
    }

    #[test]
    fn unknown_members_are_tolerated_and_newer_versions_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.json");
        fs_err::write(&path, r#"{"version":1,"files":[],"from_the_future":true}"#).unwrap();
        assert!(matches!(load(&path).unwrap(), Loaded::Found(_)));
        for newer in [r#"{"version":2,"files":[]}"#, r#"{"version":2,"files":{"by":"another shape"}}"#] {
            fs_err::write(&path, newer).unwrap();
            assert!(load(&path).unwrap_err().to_string().contains("version 2"), "{newer}");
            assert_eq!(fs_err::read_to_string(&path).unwrap(), newer, "it is left where it is");
        }
    }

    #[test]
    fn fingerprints_tell_bytes_apart() {
        let fingerprint = Fingerprint::of(b"abc");
        assert!(fingerprint.matches(b"abc"));
        assert!(!fingerprint.matches(b"abd") && !fingerprint.matches(b"ab"));
        assert!(Fingerprint::default().matches(b"anything"));
        for known in [fingerprint, Fingerprint::default(), Fingerprint::of(b"")] {
            let text = serde_json::to_string(&known).unwrap();
            assert_eq!(serde_json::from_str::<Fingerprint>(&text).unwrap(), known, "{text}");
        }
        let text = r#"{"length_bytes":3,"sha256":"ba7816bf8f01cfea414140de5dae2223"}"#;
        assert_eq!(serde_json::to_string(&fingerprint).unwrap(), text, "the first half of the digest of `abc`");
        assert!(serde_json::from_str::<Fingerprint>(r#"{"length_bytes":3,"sha256":"ba78"}"#).is_err());
    }
}
