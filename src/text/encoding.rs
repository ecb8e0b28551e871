//! Encodings: how characters stand in a file as bytes, where its lines end, and the same as text.
//!
//! UTF-8 is what records are; UTF-16 is what PowerShell's `>` writes, and Latin-1 what older programs do. A unit of UTF-16
//! has two bytes and stands at an even offset of its file.

/// How characters are written in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8.
    #[default]
    Utf8,
    /// UTF-16, the low byte of each unit first.
    Utf16Le,
    /// UTF-16, the high byte of each unit first.
    Utf16Be,
    /// One byte a character: Windows-1252, which has all printable characters of ISO 8859-1 at their places.
    Latin1,
}

/// What a byte order mark is in UTF-8.
pub const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The characters of the bytes 0x80 to 0x9f in Windows-1252; those without one are control characters.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

impl Encoding {
    /// The one whose byte order mark some content begins with; only UTF-16 is told so.
    pub fn by_mark(beginning: &[u8]) -> Option<Encoding> {
        match beginning {
            [0xff, 0xfe, ..] => Some(Encoding::Utf16Le),
            [0xfe, 0xff, ..] => Some(Encoding::Utf16Be),
            _ => None,
        }
    }

    /// As pipeline files name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Encoding::Utf8 => "utf-8",
            Encoding::Utf16Le => "utf-16le",
            Encoding::Utf16Be => "utf-16be",
            Encoding::Latin1 => "latin-1",
        }
    }

    /// How many bytes the smallest part of a text has.
    pub fn unit_bytes(self) -> usize {
        match self {
            Encoding::Utf8 | Encoding::Latin1 => 1,
            Encoding::Utf16Le | Encoding::Utf16Be => 2,
        }
    }

    /// Its byte order mark; empty where it has none.
    pub fn mark(self) -> &'static [u8] {
        match self {
            Encoding::Utf8 => BYTE_ORDER_MARK,
            Encoding::Utf16Le => b"\xff\xfe",
            Encoding::Utf16Be => b"\xfe\xff",
            Encoding::Latin1 => b"",
        }
    }

    /// Some bytes without an ASCII character at their end, if they end with it.
    pub fn strip_end(self, bytes: &[u8], character: u8) -> Option<&[u8]> {
        match self {
            Encoding::Utf8 | Encoding::Latin1 => bytes.strip_suffix(&[character]),
            Encoding::Utf16Le => bytes.strip_suffix(&[character, 0]),
            Encoding::Utf16Be => bytes.strip_suffix(&[0, character]),
        }
    }

    /// Where the first line ends, behind its line feed. `offset_bytes` is where the bytes stand in their file.
    pub fn line_end(self, bytes: &[u8], offset_bytes: u64) -> Option<usize> {
        let mut feeds = memchr::memchr_iter(b'\n', bytes);
        feeds.find_map(|place| self.feed_end(bytes, offset_bytes, place))
    }

    /// Where the last line ends, behind its line feed. `offset_bytes` is where the bytes stand in their file.
    pub fn last_line_end(self, bytes: &[u8], offset_bytes: u64) -> Option<usize> {
        let mut feeds = memchr::memrchr_iter(b'\n', bytes);
        feeds.find_map(|place| self.feed_end(bytes, offset_bytes, place))
    }

    /// Where the line feed ends of which this may be a byte.
    fn feed_end(self, bytes: &[u8], offset_bytes: u64, place: usize) -> Option<usize> {
        let is_first_of_unit = (offset_bytes + place as u64).is_multiple_of(2);
        match self {
            Encoding::Utf8 | Encoding::Latin1 => Some(place + 1),
            Encoding::Utf16Le => (is_first_of_unit && bytes.get(place + 1) == Some(&0)).then_some(place + 2),
            Encoding::Utf16Be => (!is_first_of_unit && place > 0 && bytes[place - 1] == 0).then_some(place + 1),
        }
    }

    /// Bytes as text, which is put together in `scratch` if need be; `None` when they are none in this encoding.
    pub fn text<'t>(self, bytes: &'t [u8], scratch: &'t mut String) -> Option<&'t str> {
        scratch.clear();
        match self {
            Encoding::Utf8 => return std::str::from_utf8(bytes).ok(),
            Encoding::Latin1 => scratch.extend(bytes.iter().map(|byte| match byte {
                0x80..=0x9f => WINDOWS_1252[usize::from(byte - 0x80)],
                _ => char::from(*byte),
            })),
            Encoding::Utf16Le | Encoding::Utf16Be => {
                let (pairs, []) = bytes.as_chunks::<2>() else { return None };
                let unit = |pair: &[u8; 2]| match self {
                    Encoding::Utf16Be => u16::from_be_bytes(*pair),
                    _ => u16::from_le_bytes(*pair),
                };
                for character in char::decode_utf16(pairs.iter().map(unit)) {
                    scratch.push(character.ok()?);
                }
            }
        }
        Some(scratch)
    }
}

/// Whether some bytes look like UTF-16, whatever they are taken for: they begin with a mark, or at least half of
/// their characters have a NUL byte beside them.
pub fn looks_like_utf16(bytes: &[u8]) -> bool {
    let nul_bytes = memchr::memchr_iter(0, bytes).count();
    // Cut at the byte of a line feed, it begins with the other byte of that.
    let unit_on = bytes.strip_prefix(b"\0").unwrap_or(bytes);
    Encoding::by_mark(unit_on).is_some() || (nul_bytes > 0 && nul_bytes * 4 >= bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(text: &str, encoding: Encoding) -> Vec<u8> {
        let unit = |unit: u16| if encoding == Encoding::Utf16Be { unit.to_be_bytes() } else { unit.to_le_bytes() };
        text.encode_utf16().flat_map(unit).collect()
    }

    #[test]
    fn bytes_are_text_in_their_encoding_or_none() {
        for (encoding, bytes, expected) in [
            (Encoding::Utf8, "Käse €".as_bytes().to_vec(), Some("Käse €")),
            (Encoding::Utf8, b"K\xe4se".to_vec(), None),
            (Encoding::Latin1, b"K\xe4se \x80 \x93x\x94".to_vec(), Some("Käse € “x”")),
            (Encoding::Latin1, b"\xff\x81".to_vec(), Some("ÿ\u{81}")),
            (Encoding::Utf16Le, units("Käse 🧀", Encoding::Utf16Le), Some("Käse 🧀")),
            (Encoding::Utf16Be, units("Käse 🧀", Encoding::Utf16Be), Some("Käse 🧀")),
            (Encoding::Utf16Le, b"a\0b".to_vec(), None),
            (Encoding::Utf16Le, b"\x3d\xd8a\0".to_vec(), None),
        ] {
            let mut scratch = "left over".to_owned();
            assert_eq!(encoding.text(&bytes, &mut scratch), expected, "{encoding:?}, {}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_line_feed_of_utf16_has_two_bytes_at_an_even_place() {
        // U+0A00 and U+000A: the second one alone ends a line.
        let text = "a\u{a00}\u{100a}\nb\n";
        for encoding in [Encoding::Utf16Le, Encoding::Utf16Be] {
            let bytes = units(text, encoding);
            assert_eq!((encoding.line_end(&bytes, 2), encoding.last_line_end(&bytes, 2)), (Some(8), Some(12)));
            assert_eq!(encoding.line_end(&bytes[1..], 1), Some(7), "{encoding:?}");
            assert_eq!(encoding.line_end(&bytes[..7], 0), None, "{encoding:?}");
            assert_eq!(encoding.strip_end(&bytes[..8], b'\n'), Some(&bytes[..6]));
        }
        assert_eq!(
            (Encoding::Utf8.line_end(b"a\nb\n", 7), Encoding::Latin1.last_line_end(b"a\nb\n", 7)),
            (Some(2), Some(4))
        );
    }

    #[test]
    fn utf16_is_told_by_its_mark_and_by_its_zero_bytes() {
        for (bytes, expected) in [
            (&b"\xff\xfe{\0"[..], true),
            (b"\0\xfe\xff\0{", true),
            (b"{\0\"\0a\0\"\0", true),
            (b"\0{\0\"\0a\0", true),
            (b"\0{\0\"\0\xe9", true),
            (b"{\"a\":\"\xff\xfe\"}", false),
            (b"{\"a\":1}", false),
            (b"{\"text\":\"a\0b\"}", false),
            (b"", false),
        ] {
            assert_eq!(looks_like_utf16(bytes), expected, "{}", bytes.escape_ascii());
        }
    }
}
