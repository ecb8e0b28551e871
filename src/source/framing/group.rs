//! Groups: does the next line belong to the same entry?
//!
//! Decided by the lines alone, beginning with the first one of an entry, so that a file has the same entries whenever and
//! from whichever of their beginnings it is read.

use crate::flow::line::{Entries, TRACEBACK};
use crate::text::container_line::{Runtime, Stream};

/// What a line is to the entry before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It belongs to it, and more may.
    Joins,
    /// It belongs to it, and is its last one.
    Ends,
    /// It does if the line behind it does.
    Perhaps,
    /// It does not.
    Apart,
}

/// What stands between two tracebacks of one exception.
const CHAINED: [&[u8]; 2] = [
    b"During handling of the above exception, another exception occurred:",
    b"The above exception was the direct cause of the following exception:",
];

/// Words that begin a line of a log and look like the name of an exception.
const LEVELS: [&[u8]; 7] = [b"DEBUG", b"INFO", b"WARNING", b"WARN", b"ERROR", b"CRITICAL", b"FATAL"];

/// An entry that may go on.
#[derive(Debug)]
pub(super) enum Group {
    /// Nothing belongs to it.
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
    /// Parts of lines: which streams have one that goes on.
    Parts { runtime: Runtime, stdout: bool, stderr: bool },
}

impl Group {
    /// Begins with a line, given without its end and as UTF-8 as far as ASCII goes.
    pub(super) fn begin(entries: Entries, line: &[u8]) -> Group {
        match entries {
            Entries::Lines | Entries::Array => Group::Single,
            Entries::Text => begin_text(line),
            Entries::Wrapped(runtime) => {
                let mut group = Group::Parts { runtime, stdout: false, stderr: false };
                group.next(line);
                group
            }
        }
    }

    /// Whether another line may belong to it.
    pub(super) fn may_go_on(&self) -> bool {
        match self {
            Group::Single => false,
            Group::Parts { stdout, stderr, .. } => *stdout || *stderr,
            _ => true,
        }
    }

    /// Looks at the next line.
    pub(super) fn next(&mut self, line: &[u8]) -> Next {
        let (next, group) = match self {
            Group::Single => return Next::Apart,
            Group::Parts { runtime, stdout, stderr } => {
                if let Some(read) = runtime.read(line) {
                    let open = if read.stream == Stream::Stdout { stdout } else { stderr };
                    *open = read.is_partial;
                }
                return if self.may_go_on() { Next::Joins } else { Next::Ends };
            }
            _ if is_record(line) => return Next::Apart,
            Group::Indented if is_indented(line) => (Next::Joins, Group::Indented),
            Group::Frames if is_indented(line) => (Next::Joins, Group::Frames),
            Group::Frames if names_exception(line) => (Next::Joins, Group::Named),
            Group::Named if is_indented(line) => (Next::Joins, Group::Named),
            Group::Named | Group::Blank if line.is_empty() => (Next::Perhaps, Group::Blank),
            Group::Blank if CHAINED.contains(&line) => (Next::Joins, Group::Chained),
            Group::Chained if line.is_empty() => (Next::Perhaps, Group::Chained),
            Group::Chained if line.ends_with(TRACEBACK.as_bytes()) => (Next::Joins, Group::Frames),
            _ => return Next::Apart,
        };
        *self = group;
        next
    }
}

fn begin_text(line: &[u8]) -> Group {
    match line {
        _ if is_record(line) => Group::Single,
        _ if is_indented(line) => Group::Indented,
        _ if line.ends_with(TRACEBACK.as_bytes()) => Group::Frames,
        _ if CHAINED.contains(&line) => Group::Chained,
        _ => Group::Single,
    }
}

/// Whether it may be a record: no text is joined with it.
pub(super) fn is_record(line: &[u8]) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of one entry each, or of several: `|` stands between entries.
    fn check(entries: Entries, expected: &str) {
        let lines: Vec<&str> = expected.split('\n').collect();
        let mut found = String::new();
        let mut group: Option<Group> = None;
        let mut perhaps = String::new();
        for line in lines.iter().map(|line| line.trim_start_matches('|')) {
            let next = group.as_mut().filter(|group| group.may_go_on()).map(|group| group.next(line.as_bytes()));
            match next {
                Some(Next::Perhaps) => perhaps.push_str(&format!("{line}\n")),
                Some(Next::Joins | Next::Ends) => found.push_str(&format!("{}{line}\n", std::mem::take(&mut perhaps))),
                None | Some(Next::Apart) => {
                    perhaps.clear();
                    found.push_str(&format!("|{line}\n"));
                    group = Some(Group::begin(entries, line.as_bytes()));
                }
            }
        }
        assert_eq!(found.trim_end(), expected, "{entries:?}");
    }

    #[test]
    fn text_is_joined_where_it_is_indented_or_a_traceback_and_nowhere_else() {
        for expected in [
            "|INFO: a\n|INFO: b\n|{\"a\":1}\n|text\n|more",
            "|head\n|  indented\n\ttoo\n|head",
            "|{\"a\":1}\n|  {\"a\":2}\n|  text\n|  {\"a\":3}",
            "|Traceback (most recent call last):\n  File \"a.py\", line 4\n    out = model(x)\nRuntimeError: no memory\n|INFO: b",
            "|Traceback (most recent call last):\n  File \"a.py\", line 4\nKeyError\n  with a note\n|{}",
            "|Traceback (most recent call last):\n  File \"a.py\", line 4\n|INFO:     127.0.0.1 - \"GET\"",
            "|Traceback (most recent call last):\n  File \"a.py\", line 4\na.b.Error: x\n\nDuring handling of the above exception, \
             another exception occurred:\n\nTraceback (most recent call last):\n  File \"a.py\", line 9\nError: y\n|next",
            "|ERROR:root:Traceback (most recent call last):\n  File \"a.py\", line 4\nKeyError: 'a'\n|Traceback (most recent \
             call last):\n  File \"b.py\"\nKeyError: 'b'",
        ] {
            check(Entries::Text, &expected.replace("\n             ", ""));
        }
        check(Entries::Lines, "|Traceback (most recent call last):\n|  File\n|KeyError");
    }

    #[test]
    fn parts_of_lines_are_joined_until_every_stream_has_ended_its_line() {
        let cri = |text: &str| {
            let line = |line: &str| line.replacen("o ", "T stdout ", 1).replacen("e ", "T stderr ", 1);
            text.split('\n').map(line).collect::<Vec<_>>().join("\n").replace('T', "2026-11-23T10:00:00Z")
        };
        for expected in [
            "|o F a\n|o F b\n|e F c",
            "|o P a\no P b\no F c\n|o F d",
            "|o P a\ne F x\ne P y\no F b\ne F z\n|o F d",
            "|text\n|o P a\ntext\no F b\n|text",
        ] {
            check(Entries::Wrapped(Runtime::Cri), &cri(expected));
        }
    }
}
