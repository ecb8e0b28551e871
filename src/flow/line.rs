//! A line: what a source finds and a decoder reads.

use crate::text::container_line::Runtime;
use crate::text::encoding::Encoding;
use crate::text::time::{self, Reading, Timestamp};

/// One entry of a file: a line, or several that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'b> {
    /// Where it starts, in bytes from the start of the file.
    pub offset_bytes: u64,
    /// Its bytes as they stand in the file, without the line end behind it.
    pub bytes: &'b [u8],
    /// The same as text; `None` when it is not text in the encoding of its file.
    pub text: Option<&'b str>,
}

/// What is known of a record beside the record itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// Its place in a batch that was split, counted from 0.
    pub part: Option<u32>,
    /// The time that what is around it says, for a record that has none of its own.
    pub time: Option<GivenTime>,
    /// What could not be done for it.
    pub note: Option<GivenNote>,
    /// It is text that was wrapped, and no inference.
    pub is_text: bool,
}

impl Given {
    /// Nothing.
    pub const NOTHING: Given = Given { part: None, time: None, note: None, is_text: false };
}

/// The time of a record, as what is around it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenTime {
    /// Whole seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds after `seconds`, below 1,000,000,000.
    pub nanoseconds: u32,
    /// Who says so.
    pub by: TimeGiver,
}

impl GivenTime {
    /// The time that a text says.
    pub fn read(text: &str, by: TimeGiver) -> Option<GivenTime> {
        let Timestamp { seconds, nanoseconds, .. } = time::parse(Reading::Text(text), None).ok()?;
        Some(GivenTime { seconds, nanoseconds, by })
    }
}

/// Who says the time of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeGiver {
    /// A container runtime: when it read the line.
    Runtime,
    /// The event that the record was the data of: when it happened.
    Event,
}

/// What a decoder could not do for a record, which is shipped all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenNote {
    /// A text in it could not be read.
    NotExpanded,
    /// It does not say which version of the Elastic Common Schema it follows.
    NotEcs,
}

impl GivenNote {
    /// Its word in `inferlog.notes` and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            GivenNote::NotExpanded => "not_expanded",
            GivenNote::NotEcs => "not_ecs",
        }
    }
}

/// How the lines of a file are written, found out once from how it begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// How its characters are written.
    pub encoding: Encoding,
    /// Which lines belong together.
    pub entries: Entries,
    /// No entry of several lines has more bytes than this.
    pub entry_bytes_max: u32,
}

impl Form {
    /// The container runtime that wraps its lines, if one does.
    pub fn runtime(&self) -> Option<Runtime> {
        match self.entries {
            Entries::Wrapped(runtime) => Some(runtime),
            Entries::Lines | Entries::Text | Entries::Array => None,
        }
    }
}

/// Which lines of a file are one entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Entries {
    /// Each is one of its own.
    #[default]
    Lines,
    /// Each, but text that is no record is joined where lines begin with white space, or go on with a traceback.
    Text,
    /// The parts of a line that a container runtime has cut, and what is joined as text is inside of its lines.
    Wrapped(Runtime),
    /// The file is one array, and each of its elements is an entry.
    Array,
}
