//! Text of others on a terminal: what could move the cursor, recolour or reorder it is shown by its number.

use std::borrow::Cow;

/// The text with every control and reordering character as `\n`, `\t`, `\r` or `\u{…}`; harmless text as it is.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let is_harmful = |character: char| character.is_control() || is_invisible(character);
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            _ if is_harmful(character) => shown.push_str(&format!("\\u{{{:x}}}", u32::from(character))),
            _ => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

/// Characters that change the order or the place of others: directional marks, line and paragraph separators, no width.
fn is_invisible(character: char) -> bool {
    matches!(u32::from(character), 0xad | 0x61c | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff | 0xe0000..=0xe007f)
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn what_moves_the_cursor_is_shown_by_its_number() {
        let text = "a\u{1b}[2Jb\n\r\u{9b}31m\u{202e}é \u{200b}日本";
        assert_eq!(harmless(text), "a\\u{1b}[2Jb\\n\\r\\u{9b}31m\\u{202e}é \\u{200b}日本");
    }
}
