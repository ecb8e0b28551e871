//! Gaps: runs of NUL bytes in a file, which may still be filled.
//!
//! No line has them. They stand where space was allocated ahead, where blocks of a file arrive out of order (NFS), where a
//! writer goes on at its old offset after a truncation, and where a crash took what was not written yet. So what follows a
//! gap waits: as long as the gap changes, and for a while after that. A gap that reaches to the end of a file is where
//! its next lines will stand, and waits as long as the file is under its name. What is final is passed over by its range,
//! which is that of the NUL bytes and of the parts of lines that they destroyed: before them what does not end as an object
//! does, and behind them what does not begin as one does.
//!
//! No digest covers a gap, since it may be filled after all: the head of a file begins behind the gap that it begins with.

use std::time::{Duration, Instant};

/// So many NUL bytes in a row are a gap. Fewer stand in text of other encodings.
const GAP_BYTES_MIN: usize = 4;

/// Looking for the end of a gap takes at most this part of the time: 1/20.
const GAP_SHARE: u32 = 20;

/// When what a gap may hold is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gaps {
    /// After it has stayed as it is for so long.
    Wait(Duration),
    /// At once: it was given up before, or nobody writes to the file.
    GiveUp,
}

/// A run of NUL bytes.
#[derive(Debug)]
pub(super) struct Gap {
    /// Where it begins, in bytes from the start of the file.
    pub(super) start: u64,
    /// Where it ends; at the end of the file, if there is nothing behind it.
    pub(super) end: Option<u64>,
    /// It is final, but for the line behind it, which has no end yet.
    pub(super) waits_for_line_end: bool,
    /// Since when it is as it is.
    pub(super) since: Instant,
    /// Up to here a search for its end has come, if one is under way.
    pub(super) searched_to: Option<u64>,
    pub(super) search_started: Instant,
    /// When the last one ended, and how long it took.
    pub(super) searched: Option<(Instant, Duration)>,
}

impl Gap {
    /// One that begins here, of which nothing is known.
    pub(super) fn at(start: u64) -> Gap {
        let now = Instant::now();
        Gap {
            start,
            end: None,
            waits_for_line_end: false,
            since: now,
            searched_to: None,
            search_started: now,
            searched: None,
        }
    }

    /// Whether it was searched a moment ago, for how long that took.
    pub(super) fn is_searched(&self, now: Instant, gaps: Gaps) -> bool {
        let (Some((searched, took)), Gaps::Wait(wait)) = (self.searched, gaps) else { return false };
        now < searched + (took * GAP_SHARE).min(wait)
    }
}

/// Where the first gap in some bytes begins. One that begins at their end may go on behind it, however short it is.
pub(super) fn gap_in(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let start = from + memchr::memchr(0, &bytes[from..])?;
        let length = bytes[start..].iter().take(GAP_BYTES_MIN).take_while(|byte| **byte == 0).count();
        if length == GAP_BYTES_MIN || start + length == bytes.len() {
            return Some(start);
        }
        from = start + length;
    }
}

/// Whether a gap that begins at a position of some bytes is known to be one.
pub(super) fn is_gap(bytes: &[u8], position: usize) -> bool {
    bytes.len() - position >= GAP_BYTES_MIN
}

/// What stands before the first NUL byte.
pub(super) fn without_nul_bytes(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(memchr::memchr(0, &bytes).unwrap_or(bytes.len()));
    bytes
}

/// Whether there are NUL bytes alone.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |all, byte| all | byte) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_told_from_text_of_another_encoding() {
        for (bytes, expected) in [
            (&b"abc"[..], None),
            (b"a\0b\0c", None),
            (b"{\0\0\0a\0\0\0\n", None),
            (b"ab\0\0\0\0c", Some(2)),
            (b"\0\0\0\0\0", Some(0)),
            (b"a\0b\0\0\0\0", Some(3)),
            (b"a\0b\0", Some(3)),
            (b"", None),
        ] {
            assert_eq!(gap_in(bytes), expected, "{}", bytes.escape_ascii());
        }
        assert!(is_gap(b"a\0\0\0\0", 1) && !is_gap(b"a\0\0\0", 1));
        assert!(is_zero(&[0; 70]) && !is_zero(&[0, 0, 1]) && is_zero(&[]));
    }
}
