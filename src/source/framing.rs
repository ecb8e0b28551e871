//! Framing: where do the lines of a block begin and end?
//!
//! A line ends with `\n`; a `\r` before it, byte order marks at its start, and empty lines are no part of any record. A
//! mark stands where a writer began, which may be in the middle of a file that it appends to. UTF-8 is proven once per block; only in a block that fails is each line proven by itself, so that one
//! line in another encoding costs its neighbours nothing.

use crate::flow::line::Line;

/// Whole lines of one file.
#[derive(Clone, Copy, Debug)]
pub struct Lines<'b> {
    bytes: &'b [u8],
    text: Option<&'b str>,
    offset_bytes: u64,
    position: usize,
}

/// What some writers put before their first line.
pub const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Whether what begins so is UTF-16, by its mark.
pub fn is_utf16(beginning: &[u8]) -> bool {
    beginning.starts_with(b"\xff\xfe") || beginning.starts_with(b"\xfe\xff")
}

impl<'b> Lines<'b> {
    /// Frames `bytes`, which start at `offset_bytes` of the file, at the start of a line. Bytes after the last line end
    /// are one more line.
    pub fn new(bytes: &'b [u8], offset_bytes: u64) -> Self {
        Lines { bytes, text: std::str::from_utf8(bytes).ok(), offset_bytes, position: 0 }
    }

    /// How much of the block is framed, in bytes: just behind the last line that was given out.
    pub fn consumed_bytes(&self) -> usize {
        self.position
    }
}

impl<'b> Iterator for Lines<'b> {
    type Item = Line<'b>;

    fn next(&mut self) -> Option<Line<'b>> {
        while self.position < self.bytes.len() {
            let mut start = self.position;
            let rest = &self.bytes[start..];
            let length = memchr::memchr(b'\n', rest);
            let mut end = start + length.unwrap_or(rest.len());
            self.position = length.map_or(self.bytes.len(), |_| end + 1);
            while self.bytes[start..].starts_with(BYTE_ORDER_MARK) {
                start += BYTE_ORDER_MARK.len();
            }
            if end > start && self.bytes[end - 1] == b'\r' {
                end -= 1;
            }
            if end <= start {
                continue;
            }
            let bytes = &self.bytes[start..end];
            // Line ends are ASCII, so a line of a proven block can be sliced out of it.
            let text = match self.text {
                Some(text) => text.get(start..end),
                None => std::str::from_utf8(bytes).ok(),
            };
            return Some(Line { offset_bytes: self.offset_bytes + start as u64, bytes, text });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], offset_bytes: u64, expected: &[(u64, &[u8], bool)]) {
        let lines: Vec<(u64, &[u8], bool)> =
            Lines::new(bytes, offset_bytes).map(|line| (line.offset_bytes, line.bytes, line.text.is_some())).collect();
        assert_eq!(lines, expected, "{:?}", bytes.escape_ascii().to_string());
    }

    #[test]
    fn line_ends_marks_and_empty_lines() {
        check(b"", 0, &[]);
        check(b"\n\r\n\n", 0, &[]);
        check(b"a\nbc\n", 10, &[(10, b"a", true), (12, b"bc", true)]);
        check(b"a\r\nb\r\r\n", 0, &[(0, b"a", true), (3, b"b\r", true)]);
        check(b"\xef\xbb\xbfa\nb", 0, &[(3, b"a", true), (5, b"b", true)]);
        check(b"\xef\xbb\xbf\n", 0, &[]);
        check(b"\xef\xbb\xbfa", 7, &[(10, b"a", true)]);
        check(b"a\n\xef\xbb\xbfb\n\xef\xbb\xbf\xef\xbb\xbfc", 0, &[(0, b"a", true), (5, b"b", true), (13, b"c", true)]);
        check(b"\xff\n\xef\xbb\xbfb\n", 0, &[(0, b"\xff", false), (5, b"b", true)]);
        check(b"a\xef\xbb\xbf\n\xef\xbb\n", 0, &[(0, b"a\xef\xbb\xbf", true), (5, b"\xef\xbb", false)]);
        check(b"\xef\xbb\xbf\r\n\xef\xbb\xbf\n", 0, &[]);
        check("é\n€\n".as_bytes(), 0, &[(0, "é".as_bytes(), true), (3, "€".as_bytes(), true)]);
        check(b"ok\n\xff\xfe\nok\n", 0, &[(0, b"ok", true), (3, b"\xff\xfe", false), (6, b"ok", true)]);
        check(b"\xc3\n\xa9\n", 0, &[(0, b"\xc3", false), (2, b"\xa9", false)]);
    }

    #[test]
    fn consumed_bytes_stand_behind_each_line() {
        let mut lines = Lines::new(b"a\n\nbb\n\nc", 0);
        let consumed: Vec<usize> = std::iter::from_fn(|| lines.next().map(|_| lines.consumed_bytes())).collect();
        assert_eq!(consumed, [2, 6, 8]);
    }
}
