//! The dead letter: what could not be delivered, with its reason, to be looked at and replayed.
//!
//! One entry a line, in `dead_letter/<day>.ndjson` (mode 0600):
//!
//! ```text
//! {"id":"…","time":"2026-11-23T10:00:00Z","stage":"decode","reason":"not_an_object","detail":"…",
//!  "origin":{"file":"/logs/a.ndjson","inode":7,"generation":0,"offset_bytes":4711,"length_bytes":380,
//!            "sha256":"digest of the line","first_line_sha256":"digest of the file's first line",
//!            "ordinal":2},           which of the line's records it is, counted from 0, where it is not the first
//!  "document":{…as it would have been shipped…}      or "raw":"an undecodable line after pattern redaction",
//!                                                    or "raw_base64":"the same, when it is not UTF-8",
//!                                                    or "not_kept":"why there is none of them",
//!  "replayed":"2026-11-24T09:00:00Z"}                the last time that a replay of it failed, for this reason
//! ```
//!
//! With `when_full: drop_oldest` a file that has become large is renamed to `<day>.<number>.ndjson`, so that the oldest
//! entries can be dropped file by file. Otherwise a full dead letter makes the pipeline wait.
//!
//! Where the pipeline hides fields (unless `raw: keep`), with `raw: omit`, for a line that is too long, and where a
//! redaction failed, nothing is kept: the origin says where the line is. An entry is unique by its id and origin. Readers
//! pass over members that they do not know, and over a last line that is not whole yet.
//!
//! [`write`] adds entries, [`read`] streams them beside a running process, [`sift`] takes out what was settled.

mod folder;
mod known;
pub mod read;
pub mod sift;
pub mod write;

pub use read::{Entries, Found, ReadError};
pub use write::{Content, DeadLetter, DeadLetterError, Entry, Options, Raw, Size, WhenFull, Why};

#[cfg(test)]
mod tests;
