//! A bench's own part of a document, between two marks.

use std::path::Path;

/// Writes what a bench has measured in place of what it had written there before.
pub(crate) fn write_section(document: &Path, bench: &str, text: &str) {
    let before = std::fs::read_to_string(document).expect("the document");
    let (begin, end) = (format!("<!-- {bench}: begin -->\n"), format!("<!-- {bench}: end -->"));
    let (head, rest) = before.split_once(&begin).unwrap_or_else(|| panic!("the document has no mark {begin}"));
    let (_, tail) = rest.split_once(&end).unwrap_or_else(|| panic!("the document has no mark {end}"));
    std::fs::write(document, format!("{head}{begin}\n{}\n\n{end}{tail}", text.trim())).expect("the document");
    println!("written into {}", document.display());
}
