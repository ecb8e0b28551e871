//! `docker`, `cri`: what did a program write, before a container runtime wrapped it?
//!
//! An entry of such a file is one wrapped line, or several: the parts of a line that the runtime has cut, and whatever the
//! other stream wrote meanwhile; or lines of text that belong together. Each line of the program is given out when its last
//! part has come, in that order, and text when its last line has.

use crate::text::container_line::{ContainerLine, Runtime, Stream};
use crate::text::joined_lines::{Belonging, JoinedLines};

/// What stands in an entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written<'t> {
    /// A line of the program.
    Line {
        /// Where it was written.
        stream: Stream,
        /// When its first part was read by the runtime, as RFC 3339.
        time: &'t str,
        /// The line, without its end; or several of text, with the ends between them.
        text: &'t str,
    },
    /// The beginning of a line whose last part is not in the entry.
    Cut(Stream),
    /// A line that the runtime has not wrapped.
    Bare(&'t str),
}

/// Puts lines together again.
#[derive(Debug, Default)]
pub(super) struct Unwrap {
    stdout: Parts,
    stderr: Parts,
}

/// The parts of a line so far.
#[derive(Debug, Default)]
struct Parts {
    text: String,
    time: String,
    is_open: bool,
    joined: Joined,
}

/// Text that may go on.
#[derive(Debug, Default)]
struct Joined {
    lines: JoinedLines,
    text: String,
    time: String,
    /// Empty lines behind it, which belong to it if another line does.
    empty_count: usize,
}

impl Unwrap {
    /// Gives out what stands in an entry, in the order in which it ends.
    pub(super) fn each(&mut self, runtime: Runtime, entry: &str, each: &mut dyn FnMut(Written<'_>)) {
        let physical = entry.split('\n').map(|line| line.trim_start_matches('\u{feff}').trim_end_matches('\r'));
        for line in physical.filter(|line| !line.is_empty()) {
            match runtime.read(line.as_bytes()) {
                None => each(Written::Bare(line)),
                Some(read) => self.parts(read.stream).take(runtime, line, &read, each),
            }
        }
        for stream in [Stream::Stdout, Stream::Stderr] {
            let parts = self.parts(stream);
            parts.joined.finish(stream, each);
            if std::mem::take(&mut parts.is_open) {
                each(Written::Cut(stream));
            }
        }
    }

    fn parts(&mut self, stream: Stream) -> &mut Parts {
        if stream == Stream::Stdout { &mut self.stdout } else { &mut self.stderr }
    }
}

impl Parts {
    fn take(&mut self, runtime: Runtime, line: &str, read: &ContainerLine, each: &mut dyn FnMut(Written<'_>)) {
        let ContainerLine { time, stream, is_partial, content } = read;
        let (time, content) = (&line[time.clone()], &line[content.clone()]);
        if runtime == Runtime::Cri && !is_partial && !self.is_open {
            return self.joined.take(*stream, time, content, each);
        }
        if !self.is_open {
            self.text.clear();
            self.time.clear();
            self.time.push_str(time);
        }
        match runtime {
            Runtime::Docker => unescape_into(content, &mut self.text),
            Runtime::Cri => self.text.push_str(content),
        }
        self.is_open = *is_partial;
        if !self.is_open {
            let text = self.text.trim_end_matches('\r');
            self.joined.take(*stream, &self.time, text, each);
        }
    }
}

impl Joined {
    /// Gives a line out, or keeps it if the next one may belong to it.
    fn take(&mut self, stream: Stream, time: &str, text: &str, each: &mut dyn FnMut(Written<'_>)) {
        match self.lines.next(text.as_bytes()) {
            Belonging::Perhaps => return self.empty_count += 1,
            Belonging::Joins => {
                (0..=std::mem::take(&mut self.empty_count)).for_each(|_| self.text.push('\n'));
                return self.text.push_str(text);
            }
            Belonging::Apart => self.finish(stream, each),
        }
        self.lines = JoinedLines::begin(text.as_bytes());
        if self.lines == JoinedLines::Single {
            return each(Written::Line { stream, time, text });
        }
        self.text.push_str(text);
        self.time.push_str(time);
    }

    /// Gives out what was kept.
    fn finish(&mut self, stream: Stream, each: &mut dyn FnMut(Written<'_>)) {
        if self.lines != JoinedLines::Single {
            each(Written::Line { stream, time: &self.time, text: &self.text });
            (0..self.empty_count).for_each(|_| each(Written::Line { stream, time: &self.time, text: "" }));
            self.lines = JoinedLines::Single;
            self.empty_count = 0;
            self.text.clear();
            self.time.clear();
        }
    }
}

/// Appends the inside of a JSON string as text. Half of a surrogate pair becomes a replacement character; what is no escape
/// stays as it is.
fn unescape_into(escaped: &str, out: &mut String) {
    let mut rest = escaped;
    while let Some(position) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..position]);
        let escape = &rest[position..];
        let (character, length) = match escape.as_bytes().get(1) {
            Some(b'n') => ('\n', 2),
            Some(b't') => ('\t', 2),
            Some(b'r') => ('\r', 2),
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(byte @ (b'"' | b'\\' | b'/')) => (char::from(*byte), 2),
            Some(b'u') => unicode(escape),
            _ => ('\\', 1),
        };
        out.push(character);
        rest = &escape[length..];
    }
    out.push_str(rest);
}

/// The character of `\u0041`, or of two such escapes that are one, and how many bytes they have.
fn unicode(escape: &str) -> (char, usize) {
    let unit = |at: usize| {
        let digits = escape.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let Some(first) = unit(0) else { return ('\\', 1) };
    let pair = unit(6).and_then(|second| char::decode_utf16([first, second]).next()?.ok());
    match char::from_u32(first.into()) {
        Some(character) => (character, 6),
        None => pair.map_or((char::REPLACEMENT_CHARACTER, 6), |character| (character, 12)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(runtime: Runtime, entry: &str, expected: &[&str]) {
        let mut unwrap = Unwrap::default();
        // The second time in buffers that were used.
        for _ in 0..2 {
            let mut found = Vec::new();
            unwrap.each(runtime, entry, &mut |written| {
                found.push(match written {
                    Written::Line { stream, time, text } => format!("{} {time}: {text}", stream.as_str()),
                    Written::Cut(stream) => format!("{} is cut", stream.as_str()),
                    Written::Bare(text) => format!("bare: {text}"),
                });
            });
            assert_eq!(found, expected, "{entry}");
        }
    }

    #[test]
    fn lines_are_put_together_by_stream() {
        const T: [&str; 3] = ["2026-11-23T10:00:01Z", "2026-11-23T10:00:02Z", "2026-11-23T10:00:03Z"];
        let [a, b, c] = T;
        let cri = |entry: &str, expected: &[String]| {
            check(Runtime::Cri, entry, &expected.iter().map(String::as_str).collect::<Vec<_>>());
        };
        cri(&format!("{a} stdout F x"), &[format!("stdout {a}: x")]);
        cri(&format!("{a} stdout P x\n{b} stdout P y\n{c} stdout F z"), &[format!("stdout {a}: xyz")]);
        cri(
            &format!("{a} stdout P x\n{b} stderr F e\r\n{c} stdout F z"),
            &[format!("stderr {b}: e"), format!("stdout {a}: xz")],
        );
        cri(&format!("{a} stdout P x\n{b} stderr P e"), &["stdout is cut".to_owned(), "stderr is cut".to_owned()]);
        cri(
            &format!(
                "{a} stderr F Traceback (most recent call last):\n{b} stderr P   Fi\n{b} stderr F le\n{c} stderr F Error: x"
            ),
            &[format!("stderr {a}: Traceback (most recent call last):\n  File\nError: x")],
        );
        cri(
            &format!("{a} stderr F   x\n{b} stderr P   y\n{c} stdout F z\n{c} stderr F !"),
            &[format!("stdout {c}: z"), format!("stderr {a}:   x\n  y!")],
        );
        cri(&format!("text\n{a} stdout F "), &["bare: text".to_owned(), format!("stdout {a}: ")]);
        let docker = |log: &str, stream: &str| format!(r#"{{"log":"{log}","stream":"{stream}","time":"T"}}"#);
        check(Runtime::Docker, &docker(r#"{\"a\":\"\\u00e4\\n\"}\r\n"#, "stdout"), &[r#"stdout T: {"a":"\u00e4\n"}"#]);
        check(
            Runtime::Docker,
            &[docker("a", "stdout"), docker("e\\n", "stderr"), docker("b\\n", "stdout")].join("\n"),
            &["stderr T: e", "stdout T: ab"],
        );
        let chained = "During handling of the above exception, another exception occurred:\\n";
        let lines = ["Traceback (most recent call last):\\n", "\\tx\\n", "E: y\\n", "\\n", chained, "\\n"];
        let entry = lines.map(|line| docker(line, "stderr")).join("\n");
        let text = "stderr T: Traceback (most recent call last):\n\tx\nE: y\n\nDuring handling of the above exception, another \
                    exception occurred:";
        check(Runtime::Docker, &entry, &[text, "stderr T: "]);
    }

    #[test]
    fn escapes_are_those_of_json() {
        for raw in
            ["", "plain", r#"a\"b\\c\/d"#, r"\n\t\r\b\f", r"\u00e4\u20ac", r"\ud83e\uddc0!", "ä", r"\u003cb\u003e"]
        {
            let mut text = String::new();
            unescape_into(raw, &mut text);
            assert_eq!(text, serde_json::from_str::<String>(&format!("\"{raw}\"")).unwrap(), "{raw}");
        }
        for (raw, expected) in [(r"\ud83e!", "\u{fffd}!"), (r"\x\", r"\x\"), (r"\u12", r"\u12"), (r"\uzzzz", r"\uzzzz")]
        {
            let mut text = String::new();
            unescape_into(raw, &mut text);
            assert_eq!(text, expected, "{raw}");
        }
    }
}
