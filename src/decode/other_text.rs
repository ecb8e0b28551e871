//! Other text: what becomes of a line that is no JSON object, such as one of a web server, or a traceback?
//!
//! It may begin with text before an object, `2026-11-23 10:00:00,123 INFO model: {"event":…}`, or have none. What is not left
//! out is blacked out by pattern, always: text has no fields that a rule could hide. A part of a record that was torn is no
//! such text: it is turned away, as a broken record is.

use std::borrow::Cow;

use crate::record::{Record, Space};
use crate::text::joined_lines::TRACEBACK;
use crate::text::pattern_redaction;

/// What is done with text that is no record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OtherText {
    /// It goes to the dead letter.
    #[default]
    DeadLetter,
    /// It is left out, and counted as dropped by [`LEFT_OUT`].
    Drop,
    /// It is shipped as a document with `message`.
    Wrap,
}

/// What is done with text before an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prefix {
    /// The line is no record.
    #[default]
    None,
    /// The object is the record, and the text is kept beside it.
    Skip,
}

/// The name under which text is counted that is left out.
pub(super) const LEFT_OUT: &str = "other_text";

/// Text before an object has at most so many bytes.
const PREFIX_BYTES_MAX: usize = 1_024;

/// At most so many braces are tried for the beginning of an object.
const BRACES_MAX: usize = 16;

/// The level of a line stands within its first bytes.
const LEVEL_BYTES_MAX: usize = 128;

/// Words for levels, as loggers write them.
const LEVELS: [&str; 10] =
    ["trace", "debug", "info", "notice", "warn", "warning", "error", "critical", "fatal", "panic"];

/// Where the object begins from which on the rest of the line is one valid object, if text stands before it.
pub(super) fn object_behind(text: &str, space: &mut Space) -> Option<usize> {
    if text.starts_with('{') || !text.trim_end().ends_with('}') || text.contains('\n') {
        return None;
    }
    let within = &text.as_bytes()[..text.len().min(PREFIX_BYTES_MAX)];
    let mut braces = memchr::memchr_iter(b'{', within).take(BRACES_MAX);
    let start = braces.find(|start| Record::parse(&text[*start..], space).is_ok())?;
    (!is_part_of_record(&text[..start]) && !holds_members(&text[..start])).then_some(start)
}

/// Whether text is a part of a record that was torn: it opens more objects than it closes, or the reverse. It may begin or
/// end in the middle of a value that a rule hides, and nobody could tell.
pub(super) fn is_part_of_record(text: &str) -> bool {
    let count = |brace: u8| memchr::memchr_iter(brace, text.as_bytes()).count();
    count(b'}') != count(b'{')
}

/// Whether the beginning of an object is in a text, with a name: before a record it is another record on its line.
fn holds_members(text: &str) -> bool {
    text.split('{').skip(1).any(|behind| behind.trim_start().starts_with('"'))
}

/// Text as it may be kept.
pub(super) fn without_patterns(text: &str) -> Cow<'_, str> {
    match pattern_redaction::redact(text.as_bytes()) {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(hidden) => Cow::Owned(String::from_utf8_lossy(&hidden).into_owned()),
    }
}

/// The level that a line says it has, in lower case: a word for one in capitals, or at a place where only a level stands.
pub(super) fn level(text: &str) -> Option<&'static str> {
    if text.starts_with(TRACEBACK) {
        return Some("error");
    }
    let first_line = text.lines().next().unwrap_or_default();
    let beginning = &first_line[..first_line.floor_char_boundary(LEVEL_BYTES_MAX)];
    klog(beginning).or_else(|| {
        let is_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut from = 0;
        beginning.split(|c| !is_of_word(c)).find_map(|word| {
            let start = from;
            from += word.len() + beginning[start + word.len()..].chars().next().map_or(0, char::len_utf8);
            level_of(word, &beginning[..start], &beginning[start + word.len()..])
        })
    })
}

/// The level that a word is, between what stands before it and behind it.
fn level_of(word: &str, before: &str, behind: &str) -> Option<&'static str> {
    let known = LEVELS.into_iter().find(|level| level.eq_ignore_ascii_case(word))?;
    let is_capital = word.bytes().all(|byte| byte.is_ascii_uppercase());
    let is_bracketed = before.ends_with('[') && behind.starts_with(']');
    let is_named = before.ends_with("level=") || before.ends_with("level=\"") || before.ends_with("lvl=");
    let is_first = before.is_empty() && behind.starts_with(':');
    (is_capital || is_bracketed || is_named || is_first).then_some(known)
}

/// The level of a line of klog or glog: `E1123 10:00:00.123456 …`.
fn klog(line: &str) -> Option<&'static str> {
    let [letter, digits @ .., b' '] = line.as_bytes().get(..6)? else { return None };
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    match letter {
        b'I' => Some("info"),
        b'W' => Some("warning"),
        b'E' => Some("error"),
        b'F' => Some("fatal"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_seen_at_the_usual_places_and_nowhere_else() {
        for (text, expected) in [
            ("INFO:     127.0.0.1:4711 - \"POST /v1 HTTP/1.1\" 200 OK", Some("info")),
            ("ERROR:root:it broke", Some("error")),
            ("2026-11-23 10:00:00,123 WARNING model: slow", Some("warning")),
            ("[2026-11-23 10:00:00 +0000] [1] [INFO] Booting", Some("info")),
            ("2026-11-23 10:00:00.123 | CRITICAL | app:main:4 - x", Some("critical")),
            ("time=2026-11-23T10:00:00Z level=warn msg=\"slow\"", Some("warn")),
            ("2026/11/23 10:00:00 [error] 7#7: upstream timed out", Some("error")),
            ("info: started", Some("info")),
            ("E1123 10:00:00.123456 1 server.cc:4] failed", Some("error")),
            ("Traceback (most recent call last):\n  File \"a.py\"", Some("error")),
            ("the info you wanted about an error", None),
            ("127.0.0.1 - - [23/Nov/2026] \"GET /error HTTP/1.1\" 200", None),
            ("INFORMATION", None),
            ("  File \"a.py\"", None),
            ("é", None),
            ("", None),
        ] {
            assert_eq!(level(text), expected, "{text}");
        }
        assert_eq!(level(&format!("{} ERROR", "é".repeat(LEVEL_BYTES_MAX))), None);
    }

    #[test]
    fn an_object_is_found_behind_text_if_it_is_the_rest_of_the_line() {
        let mut space = Space::default();
        for (text, expected) in [
            ("2026-11-23 10:00:00,123 INFO model: {\"a\":1}", Some(36)),
            ("{app} {\"a\":{\"b\":1}} ", None),
            ("x {app} {\"a\":{\"b\":1}} ", Some(8)),
            ("x {\"a\":1} y", None),
            ("x {\"a\":1} {\"b\":2}", None),
            ("x { \"a\":1}{\"b\":2}", None),
            ("x {\"a\":NaN}", None),
            ("{\"a\":1}", None),
            ("no object", None),
            ("two\n{\"a\":1}", None),
            ("rest of a value\"}{\"a\":1}", None),
            ("ü{}", Some(2)),
        ] {
            assert_eq!(object_behind(text, &mut space), expected, "{text}");
        }
    }

    #[test]
    fn text_is_kept_without_what_looks_like_a_secret() {
        assert_eq!(
            without_patterns("GET /?api_key=abcdef from a.b@example.com"),
            "GET /?api_key=[redacted] from [redacted]"
        );
        assert!(matches!(without_patterns("plain"), Cow::Borrowed("plain")));
    }
}
