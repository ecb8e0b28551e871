//! Cut texts: does a text end as its writer ends one that was too long?
//!
//! Writers of logs bound their texts: `… [truncated 123 bytes]` (many), `<truncated due to size exceeding limit>`
//! (Langfuse), `... (litellm_truncated 123 chars)`, `...TRUNCATED...` (Datadog), `'... 123 more characters` (Node's
//! `util.inspect`). Three dots or `…` alone are no mark: people write them. Most texts end in none of the last bytes of these.

/// The longest mark in brackets, in bytes.
const MARK_BYTES_MAX: usize = 96;

/// Whether a text ends in a known mark, or in one of these.
pub(super) fn is_cut(text: &[u8], endings: &[String]) -> bool {
    let is_known = match text.last() {
        Some(b']') => is_in_brackets(text, b'['),
        Some(b')') => is_in_brackets(text, b'('),
        Some(b'>') => is_in_brackets(text, b'<'),
        Some(b'd' | b'D' | b'.' | b'\xa6') => is_behind_dots(text),
        Some(b's') => is_counted(text),
        _ => false,
    };
    is_known || endings.iter().any(|ending| text.ends_with(ending.as_bytes()))
}

/// `[truncated 123 bytes]`: the brackets at the end have the word in them.
fn is_in_brackets(text: &[u8], open: u8) -> bool {
    let tail = &text[text.len().saturating_sub(MARK_BYTES_MAX)..];
    let Some(start) = memchr::memrchr(open, tail) else { return false };
    tail[start..].windows(WORD.len()).any(|word| word.eq_ignore_ascii_case(WORD))
}

const WORD: &[u8] = b"truncated";
const DOTS: [&[u8]; 2] = [b"...", "…".as_bytes()];

/// `...TRUNCATED...`: the word stands behind dots, and maybe before some.
fn is_behind_dots(text: &[u8]) -> bool {
    let text = DOTS.iter().find_map(|dots| text.strip_suffix(*dots)).unwrap_or(text);
    let (before, word) = text.split_at(text.len().saturating_sub(WORD.len()));
    word.eq_ignore_ascii_case(WORD) && ends_in_dots(before)
}

/// `... 123 more characters`.
fn is_counted(text: &[u8]) -> bool {
    let counted = [&b" more characters"[..], b" more items"].iter().find_map(|words| text.strip_suffix(*words));
    let Some(counted) = counted else { return false };
    let digits = counted.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && ends_in_dots(&counted[..counted.len() - digits])
}

fn ends_in_dots(text: &[u8]) -> bool {
    let text = text.trim_ascii_end();
    DOTS.iter().any(|dots| text.ends_with(dots))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_known_writers_and_nothing_else() {
        for text in [
            "a…[truncated]",
            "a [TRUNCATED]",
            "a... [truncated 123 bytes]",
            "a...[123 characters truncated]",
            "a (truncated)",
            "a... (litellm_truncated 9000 chars)",
            "<truncated due to size exceeding limit>",
            "a...TRUNCATED...",
            "a… truncated",
            "a...truncated",
            "'aaa'... 9900 more characters",
            "[ 1, 2, ... 12 more items",
            "a§",
        ] {
            assert!(is_cut(text.as_bytes(), &["§".to_owned()]), "{text}");
        }
        for text in [
            "",
            "d",
            "]",
            "a…",
            "a...",
            "the branch was truncated",
            "[truncated] at its start",
            "see [1]",
            "he said (at last)",
            "... more characters",
            "12 more characters",
            "... x more characters",
            "truncated",
            "...",
            "ends in \u{e6}",
            "a§b",
        ] {
            assert!(!is_cut(text.as_bytes(), &["§".to_owned()]), "{text}");
        }
        let far = format!("[truncated {}]", "x".repeat(MARK_BYTES_MAX));
        assert!(!is_cut(far.as_bytes(), &[]), "what is that long is no mark");
    }
}
