//! Escapes of JSON strings: read in every spelling, written in the canonical one.

/// What an escape stands for.
pub(super) enum Escape {
    /// A character and the bytes that its escape takes.
    Character(char, usize),
    /// Half of a surrogate pair.
    LoneSurrogate,
    /// Not an escape of JSON.
    Unknown,
}

/// Reads the escape at the start of `text`, both halves of a surrogate pair as one.
pub(super) fn unescape(text: &[u8]) -> Escape {
    let character = match text.get(1) {
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(&byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
        Some(b'u') => return unescape_unit(text),
        _ => return Escape::Unknown,
    };
    Escape::Character(character, 2)
}

fn unescape_unit(text: &[u8]) -> Escape {
    let Some(unit) = hexadecimal(text.get(2..6)) else { return Escape::Unknown };
    if let Some(character) = char::from_u32(unit) {
        return Escape::Character(character, 6);
    }
    let low = if text.get(6..8) == Some(b"\\u") { hexadecimal(text.get(8..12)) } else { None };
    match low {
        Some(low @ 0xdc00..=0xdfff) if unit < 0xdc00 => {
            let code_point = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
            char::from_u32(code_point).map_or(Escape::LoneSurrogate, |c| Escape::Character(c, 12))
        }
        _ => Escape::LoneSurrogate,
    }
}

fn hexadecimal(digits: Option<&[u8]>) -> Option<u32> {
    digits?.iter().try_fold(0, |number, &byte| Some(number * 16 + char::from(byte).to_digit(16)?))
}

/// Writes a character of a string with the escapes of RFC 8785, section 3.2.2.2.
pub(super) fn write_character(character: char, out: &mut Vec<u8>) {
    let short = match character {
        '\u{8}' => b'b',
        '\t' => b't',
        '\n' => b'n',
        '\u{c}' => b'f',
        '\r' => b'r',
        '"' => b'"',
        '\\' => b'\\',
        '\0'..='\u{1f}' => {
            let code = character as usize;
            const HEXADECIMAL: &[u8; 16] = b"0123456789abcdef";
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEXADECIMAL[code >> 4], HEXADECIMAL[code & 15]]);
            return;
        }
        _ => return out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
    };
    out.extend_from_slice(&[b'\\', short]);
}
