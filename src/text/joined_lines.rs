//! Joined lines: does the next line of a program's text belong to the one before it?
//!
//! Lines that begin with white space do, and those of a Python traceback: its frames, the line that names the exception,
//! and the exceptions that are chained to it. Decided by the lines alone, beginning with the first one.

/// How the first line of a Python traceback ends.
pub const TRACEBACK: &str = "Traceback (most recent call last):";

/// What stands between two tracebacks of one exception.
const CHAINED: [&[u8]; 2] = [
    b"During handling of the above exception, another exception occurred:",
    b"The above exception was the direct cause of the following exception:",
];

/// Words that begin a line of a log and look like the name of an exception.
const LEVELS: [&[u8]; 7] = [b"DEBUG", b"INFO", b"WARNING", b"WARN", b"ERROR", b"CRITICAL", b"FATAL"];

/// What a line is to the lines before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belonging {
    /// It belongs to them.
    Joins,
    /// It does if the line behind it does.
    Perhaps,
    /// It does not.
    Apart,
}

/// Lines that belong together, as far as they were seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JoinedLines {
    /// Nothing belongs to it.
    #[default]
    Single,
    /// Lines that begin with white space.
    Indented,
    /// A traceback whose exception is not named yet.
    Frames,
    /// The exception was named.
    Named,
    /// Behind an empty line.
    Blank,
    /// Another traceback has to follow.
    Chained,
}

impl JoinedLines {
    /// Begins with a line, given without its end and as UTF-8 as far as ASCII goes.
    pub fn begin(line: &[u8]) -> JoinedLines {
        match line {
            _ if is_record(line) => JoinedLines::Single,
            _ if is_indented(line) => JoinedLines::Indented,
            _ if line.ends_with(TRACEBACK.as_bytes()) => JoinedLines::Frames,
            _ if CHAINED.contains(&line) => JoinedLines::Chained,
            _ => JoinedLines::Single,
        }
    }

    /// Looks at the next line.
    pub fn next(&mut self, line: &[u8]) -> Belonging {
        use JoinedLines::{Blank, Chained, Frames, Indented, Named, Single};
        let (belonging, after) = match self {
            Single => return Belonging::Apart,
            _ if is_record(line) => return Belonging::Apart,
            Indented if is_indented(line) => (Belonging::Joins, Indented),
            Frames if is_indented(line) => (Belonging::Joins, Frames),
            Frames if names_exception(line) => (Belonging::Joins, Named),
            Named if is_indented(line) => (Belonging::Joins, Named),
            Named | Blank if line.is_empty() => (Belonging::Perhaps, Blank),
            Blank if CHAINED.contains(&line) => (Belonging::Joins, Chained),
            Chained if line.is_empty() => (Belonging::Perhaps, Chained),
            Chained if line.ends_with(TRACEBACK.as_bytes()) => (Belonging::Joins, Frames),
            _ => return Belonging::Apart,
        };
        *self = after;
        belonging
    }
}

/// Whether it may be a record: no text is joined with it.
pub fn is_record(line: &[u8]) -> bool {
    line.trim_ascii_start().starts_with(b"{")
}

fn is_indented(line: &[u8]) -> bool {
    matches!(line, [b' ' | b'\t', ..])
}

/// Whether it begins as the last line of a traceback does: with the name of a class, alone or before a colon.
fn names_exception(line: &[u8]) -> bool {
    let name = &line[..memchr::memchr(b':', line).unwrap_or(line.len())];
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.') || !byte.is_ascii();
    !name.is_empty() && name.iter().all(is_of_name) && !LEVELS.contains(&name)
}
