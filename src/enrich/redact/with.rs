//! What stands in the place of what is hidden: a fixed text, a keyed hash, the rest of a mask, or how long it was.

use crate::enrich::hash::{HashKey, digest_of};
use crate::record::canonical::{Scratch, canonicalize};
use crate::record::json;
use crate::text::digest::push_quoted_sha256;

/// What stands where nothing else can be told, as JSON text.
pub(in crate::enrich) const REDACTED: &str = "\"[redacted]\"";

/// What stands in the place of a value, or of what a pattern has found.
#[derive(Clone, Debug)]
pub enum With {
    /// This, as JSON text, such as `"[redacted]"`.
    Text(String),
    /// HMAC-SHA-256 of the value's canonical form in hexadecimal: equal values have equal ones.
    Hash(HashKey),
    /// Some of its characters.
    Mask(Mask),
    /// How many characters a text had.
    Length,
}

/// Which characters of a text stay. Of a short one fewer do: never more than half of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mask {
    /// So many at the start.
    pub keep_first: usize,
    /// So many at the end.
    pub keep_last: usize,
    /// What stands for each of the others.
    pub character: char,
}

impl With {
    /// What stands in the place of a raw value, as JSON text.
    pub(super) fn of_value(&self, raw: &str) -> String {
        match self {
            With::Text(text) => text.clone(),
            With::Hash(key) => digest(key, raw),
            With::Mask(mask) => masked_value(*mask, raw),
            With::Length if raw.starts_with('"') => quoted(&length(&json::unescape_lossy(raw))),
            With::Length => REDACTED.to_owned(),
        }
    }

    /// What stands in the place of a part of a text. The hash of a part is that of a member that holds the same text.
    pub(super) fn of_text(&self, text: &str) -> String {
        match self {
            With::Text(text) => json::unescape(text).into_owned(),
            With::Hash(key) => json::unescape(&digest(key, &quoted(text))).into_owned(),
            With::Mask(mask) => mask.of(text),
            With::Length => length(text),
        }
    }
}

impl Mask {
    fn of(self, text: &str) -> String {
        let count = text.chars().count();
        let last = self.keep_last.min(count / 2);
        let first = self.keep_first.min(count / 2 - last);
        let shown = |(position, character)| {
            let stays = position < first || position >= count - last;
            if stays { character } else { self.character }
        };
        text.chars().enumerate().map(shown).collect()
    }
}

fn masked_value(mask: Mask, raw: &str) -> String {
    match raw.as_bytes().first() {
        Some(b'"') => quoted(&mask.of(&json::unescape_lossy(raw))),
        Some(b'-' | b'0'..=b'9') => quoted(&mask.of(raw)),
        Some(b'[') => {
            let elements: Vec<String> =
                json::elements(raw).map(|element| masked_value(mask, element.as_raw_str())).collect();
            format!("[{}]", elements.join(","))
        }
        _ => REDACTED.to_owned(),
    }
}

fn digest(key: &HashKey, raw: &str) -> String {
    let mut canonical = Vec::new();
    match canonicalize(raw, &mut Scratch::default(), &mut canonical) {
        Ok(()) => {
            let mut quoted = String::new();
            push_quoted_sha256(&digest_of(Some(key), &canonical), &mut quoted);
            quoted
        }
        // Without a canonical form it has no hash, and must not stay.
        Err(_) => REDACTED.to_owned(),
    }
}

fn length(text: &str) -> String {
    format!("[redacted: {} characters]", text.chars().count())
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    json::write_string(text, &mut quoted);
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::secret::Secret;

    #[test]
    fn a_mask_leaves_little() {
        for (keep_first, keep_last, text, expected) in [
            (0, 4, "4111111111111111", "************1111"),
            (2, 2, "jo@example.com", "jo**********om"),
            (0, 4, "abcdef", "***def"),
            (4, 4, "abcdefgh", "****efgh"),
            (4, 2, "abcdefgh", "ab****gh"),
            (0, 4, "a", "*"),
            (0, 4, "", ""),
            (1, 1, "größe", "g***e"),
        ] {
            let mask = Mask { keep_first, keep_last, character: '*' };
            assert_eq!(mask.of(text), expected, "{text} {keep_first} {keep_last}");
        }
    }

    #[test]
    fn each_kind_of_value_has_something_in_its_place() {
        let mask = With::Mask(Mask { keep_first: 0, keep_last: 2, character: 'x' });
        let hash = With::Hash(HashKey::new(None, Secret::new("key")));
        // printf '"jo"' | openssl dgst -sha256 -hmac key
        let of_jo = "\"627ae49da92bcbf5fe06cffbdfcaf6a63ca22e4b8c0c676ce0c6230766581f8c\"";
        for (with, raw, expected) in [
            (&mask, r#""\u0061bcd""#, r#""xxcd""#),
            (&mask, "12.50", r#""xxx50""#),
            (&mask, r#"["abcd",[1234],{"a":1}]"#, r#"["xxcd",["xx34"],"[redacted]"]"#),
            (&mask, "true", REDACTED),
            (&mask, r#"{"a":"abcd"}"#, REDACTED),
            (&With::Length, r#""größe""#, r#""[redacted: 5 characters]""#),
            (&With::Length, "12345", REDACTED),
            (&hash, r#""jo""#, of_jo),
            (&hash, r#" "j\u006f" "#.trim(), of_jo),
            (&hash, r#""\ud800""#, REDACTED),
            (&With::Text("7".to_owned()), "1", "7"),
        ] {
            assert_eq!(with.of_value(raw), expected, "{raw}");
        }
        assert_eq!(format!("\"{}\"", hash.of_text("jo")), of_jo);
        assert_eq!(With::Text("\"[x]\"".to_owned()).of_text("jo"), "[x]");
    }
}
