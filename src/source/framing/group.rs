//! Groups: does the next line belong to the same entry?
//!
//! Decided by the lines alone, beginning with the first one of an entry, so that a file has the same entries whenever and
//! from whichever of their beginnings it is read.

use crate::flow::line::Entries;
use crate::text::container_line::{ContainerLine, Runtime, Stream};
use crate::text::joined_lines::{Belonging, JoinedLines};

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

impl From<Belonging> for Next {
    fn from(belonging: Belonging) -> Next {
        match belonging {
            Belonging::Joins => Next::Joins,
            Belonging::Perhaps => Next::Perhaps,
            Belonging::Apart => Next::Apart,
        }
    }
}

/// An entry that may go on.
#[derive(Debug)]
pub(super) enum Group {
    /// Lines as a program wrote them.
    Text(JoinedLines),
    /// Lines that a container runtime has wrapped.
    Wrapped(WrappedLines),
}

/// Wrapped lines: parts of one, lines of the other stream between these, and text that belongs together.
#[derive(Debug)]
pub(super) struct WrappedLines {
    runtime: Runtime,
    /// Whether a line of standard output goes on, and one of standard error.
    open: [bool; 2],
    /// What may go on as text, on one of the streams.
    text: JoinedLines,
    text_stream: Stream,
}

impl Group {
    /// Begins with a line, given without its end and as UTF-8 as far as ASCII goes.
    pub(super) fn begin(entries: Entries, line: &[u8]) -> Group {
        match entries {
            Entries::Lines | Entries::Array => Group::Text(JoinedLines::Single),
            Entries::Text => Group::Text(JoinedLines::begin(line)),
            Entries::Wrapped(runtime) => Group::Wrapped(WrappedLines::begin(runtime, line)),
        }
    }

    /// Whether another line may belong to it.
    pub(super) fn may_go_on(&self) -> bool {
        match self {
            Group::Text(text) => *text != JoinedLines::Single,
            Group::Wrapped(lines) => lines.may_go_on(),
        }
    }

    /// Looks at the next line.
    pub(super) fn next(&mut self, line: &[u8]) -> Next {
        match self {
            Group::Text(text) => text.next(line).into(),
            Group::Wrapped(lines) => lines.next(line),
        }
    }
}

impl WrappedLines {
    fn begin(runtime: Runtime, line: &[u8]) -> WrappedLines {
        let mut lines =
            WrappedLines { runtime, open: [false; 2], text: JoinedLines::Single, text_stream: Stream::Stdout };
        if let Some(read) = runtime.read(line) {
            lines.open[read.stream as usize] = read.is_partial;
            lines.text = JoinedLines::begin(content(runtime, line, &read));
            lines.text_stream = read.stream;
        }
        lines
    }

    fn has_parts(&self) -> bool {
        self.open.contains(&true)
    }

    fn may_go_on(&self) -> bool {
        self.has_parts() || self.text != JoinedLines::Single
    }

    fn next(&mut self, line: &[u8]) -> Next {
        let Some(read) = self.runtime.read(line) else {
            return if self.has_parts() { Next::Joins } else { Next::Apart };
        };
        let is_new = !self.open[read.stream as usize];
        let mut next = Next::Joins;
        if is_new && read.stream == self.text_stream {
            next = self.text.next(content(self.runtime, line, &read)).into();
        } else if is_new {
            // What waits for a stream that says no more would hold up the other one.
            next = Next::Apart;
        }
        if self.has_parts() && next != Next::Joins {
            if read.stream == self.text_stream {
                self.text = JoinedLines::Single;
            }
            next = Next::Joins;
        }
        if next == Next::Apart {
            return next;
        }
        self.open[read.stream as usize] = read.is_partial;
        if self.may_go_on() { next } else { Next::Ends }
    }
}

/// What the program wrote, as far as it is asked how that begins: Docker has escapes in it.
fn content<'l>(runtime: Runtime, line: &'l [u8], read: &ContainerLine) -> &'l [u8] {
    let content = &line[read.content.clone()];
    match runtime {
        Runtime::Docker if content.starts_with(b"\\t") => b"\t",
        Runtime::Docker => content.strip_suffix(b"\\r").unwrap_or(content),
        Runtime::Cri => content.strip_suffix(b"\r").unwrap_or(content),
    }
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
            let stream = |line: &str, letter, name| line.replacen(letter, &format!("2026-11-23T10:00:00Z {name} "), 1);
            let line = |line: &str| match line.trim_start_matches('|').as_bytes() {
                [b'o', b' ', ..] => stream(line, "o ", "stdout"),
                [b'e', b' ', ..] => stream(line, "e ", "stderr"),
                _ => line.to_owned(),
            };
            text.split('\n').map(line).collect::<Vec<_>>().join("\n")
        };
        for expected in [
            "|o F a\n|o F b\n|e F c",
            "|o P a\no P b\no F c\n|o F d",
            "|o P a\ne F x\ne P y\no F b\ne F z\n|o F d",
            "|text\n|o P a\ntext\no F b\n|text",
            "|o F {}\n|e F Traceback (most recent call last):\ne F   File\ne F KeyError: 'a'\n|e F INFO: b",
            "|e F Traceback (most recent call last):\ne P   File\ne F \" of a long name\ne F KeyError: 'a'\n|o F {}",
            "|e F Traceback (most recent call last):\n|o F {}\n|e F   File\n|e F KeyError: 'a'",
            "|e F Traceback (most recent call last):\ne P   File\no F {}\ne F name\ne F KeyError\n|o F {}",
            "|e F   a\n|text",
        ] {
            check(Entries::Wrapped(Runtime::Cri), &cri(expected));
        }
    }
}
