//! Turns: what one read of a file gave.

/// What is passed over without being held, and goes to the dead letter by its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassedOver {
    /// A line longer than the limit.
    LongLine,
    /// NUL bytes, with the parts of lines that they destroyed.
    NulBytes,
}

/// What one read gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// Whole lines: this range of the buffer, and there may be more to read.
    Lines {
        /// Where they stand in the buffer.
        range: std::ops::Range<usize>,
        /// Where they begin in the file, in bytes.
        offset_bytes: u64,
    },
    /// Something of which nothing was kept.
    PassedOver {
        /// What it is.
        what: PassedOver,
        /// Where it begins in the file, in bytes.
        offset_bytes: u64,
        /// Its length in bytes; of a line without the line feed.
        length_bytes: u64,
    },
    /// Call again later in this round: work is going on.
    Busy,
    /// The content was replaced or cut, so it begins anew.
    Replaced,
    /// It is, or may become, an archive, and is not read as lines.
    Unknown,
    /// Nothing more now.
    End,
}
