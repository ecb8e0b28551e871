//! Lines as container runtimes write them: what did the runtime add, and what did the program write?
//!
//! ```text
//! docker  {"log":"…\n","stream":"stdout","time":"2026-11-23T10:00:00.123456789Z"}
//! cri     2026-11-23T10:00:00.123456789Z stdout F …
//! ```
//!
//! Both cut long lines into parts. A part of Docker's is one whose text does not end with `\n`, one of a CRI runtime has the
//! tag `P`; the last one of a line ends with `\n`, or has the tag `F`.

use std::ops::Range;

/// Who wraps the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// Docker, in its `json-file` format.
    Docker,
    /// containerd, CRI-O and others under Kubernetes.
    Cri,
}

/// Which stream a program wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// As runtimes write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }

    fn of(name: &[u8]) -> Option<Stream> {
        match name {
            b"stdout" => Some(Stream::Stdout),
            b"stderr" => Some(Stream::Stderr),
            _ => None,
        }
    }
}

/// A wrapped line, by places within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerLine {
    /// When the runtime read it, as RFC 3339.
    pub time: Range<usize>,
    /// Where the program wrote it.
    pub stream: Stream,
    /// The line goes on in the next one of the same stream.
    pub is_partial: bool,
    /// What the program wrote, without a line end; of Docker's with the escapes of a JSON string.
    pub content: Range<usize>,
}

const DOCKER_START: &[u8] = b"{\"log\":\"";
const DOCKER_STREAM: &[u8] = b"\",\"stream\":\"";
const DOCKER_TIME: &[u8] = b"\"time\":\"";

impl Runtime {
    /// Who wrote a file that begins so, if any of them did. Of a first line that goes on behind this its beginning decides.
    pub fn of(beginning: &[u8]) -> Option<Runtime> {
        let end = memchr::memchr(b'\n', beginning);
        let line = &beginning[..end.unwrap_or(beginning.len())];
        let is_cut = end.is_none();
        let begins_as_docker = line.starts_with(DOCKER_START);
        if Runtime::Docker.read(line).is_some() || (is_cut && begins_as_docker) {
            return Some(Runtime::Docker);
        }
        Runtime::Cri.read(line).map(|_| Runtime::Cri)
    }

    /// As pipeline files name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Runtime::Docker => "docker",
            Runtime::Cri => "cri",
        }
    }

    /// Reads a line; `None` when it is not one of this runtime.
    pub fn read(self, line: &[u8]) -> Option<ContainerLine> {
        match self {
            Runtime::Docker => docker(line),
            Runtime::Cri => cri(line),
        }
    }
}

fn docker(line: &[u8]) -> Option<ContainerLine> {
    let start = DOCKER_START.len();
    if !line.starts_with(DOCKER_START) || !line.ends_with(b"\"}") {
        return None;
    }
    // Quotes within a JSON string are escaped, so that this stands behind its end and nowhere in it.
    let end = start - 1 + memchr::memmem::find(&line[start - 1..], DOCKER_STREAM)?;
    let stream_start = end + DOCKER_STREAM.len();
    let stream = Stream::of(line.get(stream_start..stream_start + 6)?)?;
    let time_start = stream_start + memchr::memmem::rfind(&line[stream_start..], DOCKER_TIME)? + DOCKER_TIME.len();
    let time = time_start..(line.len() - 2).max(time_start);
    let content = &line[start..end.max(start)];
    let escapes = content.strip_suffix(b"n").map_or(0, |rest| rest.iter().rev().take_while(|b| **b == b'\\').count());
    let is_partial = escapes.is_multiple_of(2);
    let content_end = if is_partial { end.max(start) } else { end - 2 };
    Some(ContainerLine { time, stream, is_partial, content: start..content_end })
}

fn cri(line: &[u8]) -> Option<ContainerLine> {
    let time_end = memchr::memchr(b' ', line.get(..line.len().min(64))?)?;
    let is_time = matches!(line, [y, _, _, _, b'-', _, _, b'-', _, _, b'T', ..] if y.is_ascii_digit());
    let stream_start = time_end + 1;
    let stream = Stream::of(line.get(stream_start..stream_start + 6)?).filter(|_| is_time)?;
    let tags = line.get(stream_start + 6..)?.strip_prefix(b" ")?;
    let tags_start = stream_start + 7;
    let tags_bytes = memchr::memchr(b' ', tags).unwrap_or(tags.len());
    let is_partial = match tags[..tags_bytes].split(|byte| *byte == b':').next()? {
        b"P" => true,
        b"F" => false,
        _ => return None,
    };
    let content = (tags_start + tags_bytes + 1).min(line.len())..line.len();
    Some(ContainerLine { time: 0..time_end, stream, is_partial, content })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(runtime: Runtime, line: &str, expected: Option<(&str, Stream, bool, &str)>) {
        let read = runtime.read(line.as_bytes());
        let read = read.map(|read| (&line[read.time], read.stream, read.is_partial, &line[read.content]));
        assert_eq!(read, expected, "{line}");
    }

    #[test]
    fn a_wrapped_line_is_taken_apart_or_is_none() {
        use Runtime::{Cri, Docker};
        use Stream::{Stderr, Stdout};
        check(Docker, r#"{"log":"a\n","stream":"stdout","time":"T"}"#, Some(("T", Stdout, false, "a")));
        check(Docker, r#"{"log":"a","stream":"stderr","time":"T"}"#, Some(("T", Stderr, true, "a")));
        check(Docker, r#"{"log":"\\n","stream":"stdout","time":"T"}"#, Some(("T", Stdout, true, r"\\n")));
        check(Docker, r#"{"log":"\\\n","stream":"stdout","time":"T"}"#, Some(("T", Stdout, false, r"\\")));
        check(Docker, r#"{"log":"","stream":"stdout","time":"T"}"#, Some(("T", Stdout, true, "")));
        check(Docker, r#"{"log":"\n","stream":"stdout","time":"T"}"#, Some(("T", Stdout, false, "")));
        let quoted = r#"{"log":"{\"log\":\"x\",\"stream\":\"stderr\"}\n","stream":"stdout","time":"T"}"#;
        check(Docker, quoted, Some(("T", Stdout, false, r#"{\"log\":\"x\",\"stream\":\"stderr\"}"#)));
        let attributes = r#"{"log":"a\n","stream":"stdout","attrs":{"x":"y","stream":"z"},"time":"T"}"#;
        check(Docker, attributes, Some(("T", Stdout, false, "a")));
        for other in
            ["", "{}", r#"{"log":"a"}"#, r#"{"log":"a\n","stream":"x","time":"T"}"#, r#"{"log":"a\n","stream":"std"#]
        {
            check(Docker, other, None);
        }
        check(Cri, "2026-11-23T10:00:00Z stdout F a b", Some(("2026-11-23T10:00:00Z", Stdout, false, "a b")));
        check(Cri, "2026-11-23T10:00:00Z stderr P  a", Some(("2026-11-23T10:00:00Z", Stderr, true, " a")));
        check(Cri, "2026-11-23T10:00:00Z stdout F:x a", Some(("2026-11-23T10:00:00Z", Stdout, false, "a")));
        check(Cri, "2026-11-23T10:00:00Z stdout F", Some(("2026-11-23T10:00:00Z", Stdout, false, "")));
        for other in ["", "{}", "x stdout F a", "2026-11-23T10:00:00Z stdin F a", "2026-11-23T10:00:00Z stdout X a"] {
            check(Cri, other, None);
        }
    }

    #[test]
    fn the_first_line_tells_who_wrote_a_file() {
        for (beginning, expected) in [
            ("{\"log\":\"a\\n\",\"stream\":\"stdout\",\"time\":\"T\"}\n{}", Some(Runtime::Docker)),
            ("{\"log\":\"a long one", Some(Runtime::Docker)),
            ("{\"log\":\"a\",\"level\":\"info\"}\n", None),
            ("2026-11-23T10:00:00Z stdout F a\n", Some(Runtime::Cri)),
            ("2026-11-23T10:00:00Z INFO model: {}\n", None),
            ("{\"event\":\"inference\"}\n", None),
            ("", None),
        ] {
            assert_eq!(Runtime::of(beginning.as_bytes()), expected, "{beginning}");
        }
    }
}
