//! Small readings of raw JSON text that the index has proven to be valid.

use std::borrow::Cow;

use sonic_rs::LazyValue;

use super::head::{HIGHEST_BITS, LOWEST_BITS, first_eight};
use crate::kql::Value;

/// The text of a JSON string, unescaped. An escape that is no character (a lone surrogate) leaves the text as written.
///
/// `raw` includes the quotes.
pub fn unescape(raw: &str) -> Cow<'_, str> {
    let inside = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
    if memchr::memchr(b'\\', inside.as_bytes()).is_none() {
        return Cow::Borrowed(inside);
    }
    serde_json::from_str::<String>(raw).map_or(Cow::Borrowed(inside), Cow::Owned)
}

/// The same, where all of it has to be read: halves of surrogate pairs become replacement characters.
pub fn unescape_lossy(raw: &str) -> Cow<'_, str> {
    let text = unescape(raw);
    if memchr::memchr(b'\\', text.as_bytes()).is_none() || serde_json::from_str::<String>(raw).is_ok() {
        return text;
    }
    let mut whole = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        let (escape, length) = match rest.as_bytes().get(at + 1..at + 4) {
            Some([b'u', b'd' | b'D', b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F']) => ("\u{fffd}", 6),
            _ => (&rest[at..at + 2], 2),
        };
        whole.push_str(&rest[..at]);
        whole.push_str(escape);
        rest = &rest[at + length..];
    }
    whole.push_str(rest);
    Cow::Owned(unescape(&whole).into_owned())
}

/// What a single value says: a string unescaped, anything else as it is written.
pub fn text(raw: &str) -> Cow<'_, str> {
    if raw.starts_with('"') { unescape(raw) } else { Cow::Borrowed(raw) }
}

/// Appends `text` as a JSON string with its quotes.
pub fn write_string(text: &str, out: &mut String) {
    out.push('"');
    if is_plain(text) {
        out.push_str(text);
    } else {
        let quoted = serde_json::Value::from(text).to_string();
        out.push_str(&quoted[1..quoted.len() - 1]);
    }
    out.push('"');
}

/// Whether a text stands in a JSON string as it is. Eight bytes are looked at together, as an integer.
pub(super) fn is_plain(text: &str) -> bool {
    const SPACES: u64 = u64::from_ne_bytes([b' '; 8]);
    const QUOTES: u64 = u64::from_ne_bytes([b'"'; 8]);
    const BACKSLASHES: u64 = u64::from_ne_bytes([b'\\'; 8]);
    text.as_bytes().chunks(8).all(|chunk| {
        let padding = SPACES.checked_shl(8 * chunk.len() as u32).unwrap_or(0);
        let word = first_eight(chunk) | padding;
        !has_less(word, SPACES) && !has_less(word ^ QUOTES, LOWEST_BITS) && !has_less(word ^ BACKSLASHES, LOWEST_BITS)
    })
}

/// The same for what is known when the program is compiled, byte by byte.
pub(super) const fn is_plain_const(mut text: &[u8]) -> bool {
    while let [byte, rest @ ..] = text {
        if *byte < b' ' || matches!(*byte, b'"' | b'\\') {
            return false;
        }
        text = rest;
    }
    true
}

/// Whether a byte of `word` is less than that of `bounds`, which has the same one eight times, at most 128.
fn has_less(word: u64, bounds: u64) -> bool {
    word.wrapping_sub(bounds) & !word & HIGHEST_BITS != 0
}

/// Reads one raw value as conditions see it. An array is not a value of its own: see [`any_value`].
pub fn value(raw: &str) -> Value<'_> {
    match raw.as_bytes().first() {
        Some(b'"') => Value::String(unescape(raw)),
        Some(b'{') => Value::Object,
        Some(b't') => Value::Boolean(true),
        Some(b'f') => Value::Boolean(false),
        Some(b'n') | None => Value::Null,
        Some(_) => Value::Number(raw),
    }
}

/// Calls `visit` with the value, or with each element of an array however deep, until it returns true. An array or
/// object in which nothing but `null` is found is nothing, as it is to Elasticsearch.
pub fn any_value(raw: &str, visit: &mut dyn FnMut(Value<'_>) -> bool) -> bool {
    if raw.starts_with('[') {
        return elements(raw).any(|element| any_value(element.as_raw_str(), visit));
    }
    (!raw.starts_with('{') || has_leaf(raw)) && visit(value(raw))
}

/// The elements of a JSON array that is known to be valid.
pub fn elements(raw: &str) -> impl Iterator<Item = LazyValue<'_>> {
    sonic_rs::to_array_iter(raw).flatten()
}

/// The same as raw text.
pub fn raw_elements(raw: &str) -> impl Iterator<Item = &str> {
    elements(raw).map(move |element| place(raw, element.as_raw_str()))
}

/// The members of a JSON object that is known to be valid, names unescaped, values as raw text.
pub fn members(raw: &str) -> impl Iterator<Item = (Cow<'_, str>, &str)> {
    sonic_rs::to_object_iter(raw).flatten().map(move |(name, value)| {
        let value = place(raw, value.as_raw_str());
        (Cow::Owned(name.to_string()), value)
    })
}

/// `part`, which the library lends for the life of its iterator, as the slice of `raw` that it is.
pub(super) fn place<'r>(raw: &'r str, part: &str) -> &'r str {
    let start = part.as_ptr() as usize - raw.as_ptr() as usize;
    &raw[start..start + part.len()]
}

/// Whether a value holds a scalar other than `null`.
pub(super) fn has_leaf(raw: &str) -> bool {
    match raw.as_bytes().first() {
        Some(b'{') => sonic_rs::to_object_iter(raw).flatten().any(|(_, member)| has_leaf(member.as_raw_str())),
        Some(b'[') => elements(raw).any(|element| has_leaf(element.as_raw_str())),
        first => !matches!(first, Some(b'n') | None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_read_and_written() {
        for text in ["", "plain", "q\"uote", "back\\slash", "line\nend", "\u{1}", "é€😀"] {
            let mut raw = String::new();
            write_string(text, &mut raw);
            assert_eq!(serde_json::from_str::<String>(&raw).unwrap(), text);
            assert_eq!(unescape(&raw), text);
        }
        assert_eq!(unescape(r#""\ud800""#), r"\ud800");
        for (raw, expected) in [
            (r#""j\u006f""#, "jo"),
            (r#""j\u006f \ud800 \\ \n""#, "jo \u{fffd} \\ \n"),
            (r#""\ud83d\ude00 \udE00""#, "\u{fffd}\u{fffd} \u{fffd}"),
            (r#""\ud83d\ude00""#, "😀"),
            (r#""\\ud800""#, "\\ud800"),
        ] {
            assert_eq!(unescape_lossy(raw), expected, "{raw}");
        }
    }

    #[test]
    fn a_text_is_plain_unless_a_byte_of_it_is_not() {
        for length in 0..20 {
            let plain = "abcdefghé~ !#[]\u{7f}€".chars().cycle().take(length).collect::<String>();
            assert!(is_plain(&plain) && is_plain_const(plain.as_bytes()), "{plain}");
            for (at, _) in plain.char_indices() {
                for character in ['"', '\\', '\u{1f}', '\n', '\0'] {
                    let mut text = plain.clone();
                    text.insert(at, character);
                    assert!(!is_plain(&text) && !is_plain_const(text.as_bytes()), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn what_holds_nothing_is_nothing() {
        for (raw, expected) in [
            (r#"{"a":1}"#, true),
            (r#"{ "a" : null , "b" : [ { } , [ ] ] }"#, false),
            (r#"[{"a":{"b":[null,false]}}]"#, true),
            ("{ }", false),
            ("[]", false),
            ("\"\"", true),
        ] {
            assert_eq!(any_value(raw, &mut |_| true), expected, "{raw}");
        }
    }
}
