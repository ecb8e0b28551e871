//! Options: which files are read, and how long is something left alone before it is taken for what it seems to be?

use std::path::PathBuf;
use std::time::Duration;

use crate::source::framing::{EntriesOption, Framing};
use crate::text::encoding::Encoding;

/// How long something is left alone before it is taken for what it seems to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waits {
    /// The unterminated end of a file that was renamed or deleted is final after this long without a change.
    pub(super) final_after: Duration,
    /// A renamed file is closed after this long without a change: its writer may hold it open for a while.
    pub(super) renamed_closed_after: Duration,
    /// A file that begins as an open one does is one of its own after this long without a change, and an archive that
    /// ends too early is cut off.
    pub(super) decided_after: Duration,
    /// A run of NUL bytes is passed over after this long without a change, when something stands behind it: blocks of a
    /// file may arrive in any order.
    pub(super) gap_final_after: Duration,
    /// That a last line without a line end waits is said after this long without a change, and so often at most.
    pub(super) unterminated_said_after: Duration,
    /// An archive that was written to within this time may still be in the making.
    pub(super) examined_after: Duration,
    /// A deleted file is salvaged when it is not delivered after this long.
    pub(super) salvaged_after: Duration,
}

impl Default for Waits {
    fn default() -> Waits {
        Waits {
            renamed_closed_after: Duration::from_secs(60),
            examined_after: Duration::from_secs(1),
            gap_final_after: Duration::from_secs(10),
            unterminated_said_after: Duration::from_secs(10),
            ..Waits::all(Duration::from_secs(5))
        }
    }
}

impl Waits {
    /// All of them alike.
    pub(super) const fn all(wait: Duration) -> Waits {
        Waits {
            final_after: wait,
            renamed_closed_after: wait,
            decided_after: wait,
            gap_final_after: wait,
            unterminated_said_after: wait,
            examined_after: wait,
            salvaged_after: wait,
        }
    }
}

/// What to do with files that are there at the very first start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstSeen {
    /// Read them from their first byte.
    Beginning,
    /// Read only what is written from now on.
    End,
    /// Read those changed within this time from their first byte, the others from their end.
    Within(Duration),
}

/// Which files to read, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Absolute globs, in globset's syntax with `*` not crossing `/`: at least one.
    pub paths: Vec<String>,
    /// Absolute globs of what to leave out.
    pub exclude: Vec<String>,
    /// What to do with files that are there at the very first start.
    pub first_seen: FirstSeen,
    /// A line with more bytes than this before its line feed goes to the dead letter by its range.
    pub line_bytes_max: usize,
    /// What a file is written in that does not begin with a mark.
    pub encoding: Encoding,
    /// Which lines of a file belong together: what `decode` says.
    pub entries: EntriesOption,
    /// How often to look for new files and new bytes where no notification comes.
    pub poll_interval: Duration,
    /// How many files may be open. What is there and delivered to its end is closed when others need its place.
    pub open_files_max: usize,
    /// A last line without a line end is taken when nothing was written for so long, also of a file under its name.
    pub unterminated_after: Option<Duration>,
    /// The folder for what is left of deleted files; without one nothing is salvaged.
    pub salvage: Option<PathBuf>,
}

impl Options {
    /// How the lines of the files are read.
    pub fn framing(&self) -> Framing {
        let Options { line_bytes_max, encoding, entries, .. } = *self;
        Framing { line_bytes_max, encoding, entries }
    }
}
