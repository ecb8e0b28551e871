//! A bench's own part of a document, between two marks.

use std::path::Path;

/// Prose is wrapped before this column.
const COLUMNS: usize = 108;

/// Writes what a bench has measured in place of what it had written there before.
pub(crate) fn write_section(document: &Path, bench: &str, text: &str) {
    let before = std::fs::read_to_string(document).expect("the document");
    let (begin, end) = (format!("<!-- {bench}: begin -->\n"), format!("<!-- {bench}: end -->"));
    let (head, rest) = before.split_once(&begin).unwrap_or_else(|| panic!("the document has no mark {begin}"));
    let (_, tail) = rest.split_once(&end).unwrap_or_else(|| panic!("the document has no mark {end}"));
    let text = wrapped(text.trim());
    std::fs::write(document, format!("{head}{begin}\n{text}\n{end}{tail}")).expect("the document");
    println!("written into {}", document.display());
}

/// The text with its prose wrapped; tables and code stay.
fn wrapped(text: &str) -> String {
    let (mut out, mut is_code) = (String::new(), false);
    for line in text.lines() {
        is_code ^= line.starts_with("```");
        if is_code || line.starts_with(['|', '`', ' ']) {
            out.push_str(line);
        } else {
            wrap(line, &mut out);
        }
        out.push('\n');
    }
    out
}

fn wrap(line: &str, out: &mut String) {
    let mut column = 0;
    for (position, word) in line.split(' ').enumerate() {
        let length = word.chars().count();
        if position > 0 && column + 1 + length > COLUMNS {
            out.push_str(if line.starts_with("- ") { "\n  " } else { "\n" });
            column = 2;
        } else if position > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
}
