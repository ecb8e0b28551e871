//! Unreadable lines: which encoding was seen where another one was expected?
//!
//! A line in the wrong encoding is no JSON either, but to say so would lead nobody to the cause.

use crate::flow::reject::{Reject, Stage};
use crate::text::encoding::{Encoding, looks_like_utf16};

/// Turns away a line that is no text in the encoding of its file.
pub(super) fn not_text(bytes: &[u8], encoding: Encoding) -> Reject {
    match encoding {
        Encoding::Utf8 | Encoding::Latin1 if looks_like_utf16(bytes) => utf16(encoding),
        Encoding::Utf8 | Encoding::Latin1 => reject("invalid_utf8", "the line is not UTF-8".to_owned()),
        Encoding::Utf16Le | Encoding::Utf16Be => {
            reject("invalid_utf16", format!("the line is not {}, which its file is read as", encoding.as_str()))
        }
    }
}

/// Why a line is none that its decoder takes: for what the decoder says, unless it is in another encoding than its file.
pub(super) fn or_encoding(said: Reject, bytes: &[u8], encoding: Encoding) -> Reject {
    match (encoding, bytes) {
        (Encoding::Utf8 | Encoding::Latin1, _) if looks_like_utf16(bytes) => utf16(encoding),
        (Encoding::Utf16Le | Encoding::Utf16Be, [b'{', second, ..]) if *second != 0 => {
            let detail = format!("the line looks like UTF-8, and its file is read as {}", encoding.as_str());
            reject("invalid_utf16", detail)
        }
        _ => said,
    }
}

fn utf16(encoding: Encoding) -> Reject {
    let read_as = encoding.as_str();
    reject(
        "utf16",
        format!("the line looks like UTF-16, by its mark or its zero bytes, and its file is read as {read_as}"),
    )
}

fn reject(reason: &'static str, detail: String) -> Reject {
    Reject::new(Stage::Decode, reason, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_that_was_seen_is_named() {
        use Encoding::{Latin1, Utf8, Utf16Be, Utf16Le};
        for (encoding, bytes, expected) in [
            (Utf8, &b"{\"a\":\"\xe4\"}"[..], "invalid_utf8"),
            (Utf8, b"\xff\xfe{\0}\0", "utf16"),
            (Utf8, b"\0{\0}\0", "utf16"),
            (Utf8, b"{\0\"\0", "utf16"),
            (Utf8, b"text", "not_an_object"),
            (Latin1, b"{\0\"\0", "utf16"),
            (Utf16Le, b"\x3d\xd8a\0", "invalid_utf16"),
            (Utf16Be, b"{\"a\":1}x", "invalid_utf16"),
            (Utf16Be, b"\0t\0e", "not_an_object"),
        ] {
            let mut scratch = String::new();
            let said = match encoding.text(bytes, &mut scratch) {
                Some(_) => or_encoding(reject("not_an_object", String::new()), bytes, encoding),
                None => not_text(bytes, encoding),
            };
            assert_eq!(said.reason, expected, "{encoding:?}, {}", bytes.escape_ascii());
        }
    }
}
