//! `json_array`: where do the elements of an array begin and end, when the file is one?
//!
//! Objects are told by their braces, outside of strings; whatever else stands between commas, brackets and line ends is an
//! element that is no record. What separates elements is not looked at more closely: white space, commas, and the brackets of
//! the array itself. So reading can begin behind any element, and a file that goes on is read on.

use crate::text::encoding::Encoding;

/// An element within some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Element {
    /// Where it stands; empty where separators are all there is.
    pub(super) content: std::ops::Range<usize>,
    /// Where the separators behind it end.
    pub(super) end: usize,
    /// It is there to its end.
    pub(super) is_closed: bool,
}

/// The element that begins at a position, or behind the separators there.
pub(super) fn element(encoding: Encoding, bytes: &[u8], from: usize) -> Element {
    let unit = encoding.unit_bytes();
    let start = skip_separators(encoding, bytes, from);
    if start + unit > bytes.len() {
        // Half a unit is no separator yet.
        return Element { content: start..start, end: bytes.len(), is_closed: start == bytes.len() };
    }
    let (end, is_closed) = match ascii(encoding, bytes, start) {
        b'{' => object_end(encoding, bytes, start),
        _ => scalar_end(encoding, bytes, start),
    };
    let behind = if is_closed { skip_separators(encoding, bytes, end) } else { end };
    Element { content: start..end, end: behind, is_closed }
}

/// The ASCII character at a position; 0 for another one.
fn ascii(encoding: Encoding, bytes: &[u8], at: usize) -> u8 {
    let character = match (encoding, bytes.get(at..at + encoding.unit_bytes())) {
        (Encoding::Utf8 | Encoding::Latin1, Some([byte])) | (Encoding::Utf16Le, Some([byte, 0])) => *byte,
        (Encoding::Utf16Be, Some([0, byte])) => *byte,
        _ => 0,
    };
    if character.is_ascii() { character } else { 0 }
}

fn skip_separators(encoding: Encoding, bytes: &[u8], from: usize) -> usize {
    let (mark, unit) = (encoding.mark(), encoding.unit_bytes());
    let mut at = from;
    while at + unit <= bytes.len() {
        if matches!(ascii(encoding, bytes, at), b' ' | b'\t' | b'\r' | b'\n' | b',' | b'[' | b']') {
            at += unit;
        } else if !mark.is_empty() && bytes[at..].starts_with(mark) {
            at += mark.len();
        } else {
            break;
        }
    }
    at
}

/// Where an object ends, and whether it does.
fn object_end(encoding: Encoding, bytes: &[u8], start: usize) -> (usize, bool) {
    let unit = encoding.unit_bytes();
    let (mut depth, mut in_string, mut at) = (0_usize, false, start);
    while at + unit <= bytes.len() {
        match (in_string, ascii(encoding, bytes, at)) {
            (true, b'\\') => at += unit,
            (_, b'"') => in_string = !in_string,
            (false, b'{') => depth += 1,
            (false, b'}') => {
                depth -= 1;
                if depth == 0 {
                    return (at + unit, true);
                }
            }
            _ => {}
        }
        at += unit;
    }
    (bytes.len(), false)
}

/// Where something else than an object ends: before what separates elements, or the next object.
fn scalar_end(encoding: Encoding, bytes: &[u8], start: usize) -> (usize, bool) {
    let unit = encoding.unit_bytes();
    let mut at = start;
    while at + unit <= bytes.len() {
        if matches!(ascii(encoding, bytes, at), b',' | b']' | b'\n' | b'{') {
            return (at, true);
        }
        at += unit;
    }
    (bytes.len(), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Elements in brackets, and what is not there to its end behind `…`.
    fn check(text: &str, expected: &[&str], open: &str) {
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for (encoding, bytes) in [(Encoding::Utf8, text.as_bytes()), (Encoding::Utf16Be, &utf16)] {
            let (mut found, mut at, mut rest) = (Vec::new(), 0, String::new());
            let mut scratch = String::new();
            while at < bytes.len() {
                let element = element(encoding, bytes, at);
                let content = encoding.text(&bytes[element.content.clone()], &mut scratch).unwrap().to_owned();
                match element.is_closed {
                    true => found.extend(Some(content).filter(|content| !content.is_empty())),
                    false => rest = content,
                }
                at = element.end;
            }
            assert_eq!(
                (found.iter().map(String::as_str).collect::<Vec<_>>(), rest.as_str()),
                (expected.to_vec(), open),
                "{text}"
            );
        }
    }

    #[test]
    fn elements_stand_between_what_separates_them() {
        check("[{\"a\":1},{\"b\":2}]\n", &["{\"a\":1}", "{\"b\":2}"], "");
        check(
            "\u{feff}[\n  {\"a\": {\"b\": [1, {}]}},\n  {\"c\":\"}{\\\"\"}\n]\n",
            &["{\"a\": {\"b\": [1, {}]}}", "{\"c\":\"}{\\\"\"}"],
            "",
        );
        check("[{\"a\":1},{\"b\":", &["{\"a\":1}"], "{\"b\":");
        check("[{\"a\":\"\\", &[], "{\"a\":\"\\");
        check("[1, \"x\", {\"a\":1} nul", &["1", "\"x\"", "{\"a\":1}"], "nul");
        check("[]", &[], "");
        assert_eq!(element(Encoding::Utf16Le, b"[", 0), Element { content: 0..0, end: 1, is_closed: false });
        check("", &[], "");
        check("{\"a\":1}\n{\"b\":2}\n", &["{\"a\":1}", "{\"b\":2}"], "");
    }
}
