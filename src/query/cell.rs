//! Cells: what stands in one column for one record, as text that harms nobody who reads it?

use std::borrow::Cow;

use crate::record::{Record, json};

/// The column of a document's `_id`, which is no member of it.
pub const ID_COLUMN: &str = "_id";

/// What a record has in a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Nothing, or `null`.
    Missing,
    /// A number as it is written.
    Number(String),
    /// A text; `true` and `false`; an array or object as JSON.
    Text(String),
}

impl Cell {
    /// What a record has at a path.
    pub fn of(record: &Record<'_>, id: &str, column: &str) -> Cell {
        if column == ID_COLUMN {
            return Cell::Text(id.to_owned());
        }
        match record.first(column) {
            None | Some("null") => Cell::Missing,
            Some(raw) => match raw.as_bytes().first() {
                Some(b'"') => Cell::Text(json::unescape(raw).into_owned()),
                Some(b'-' | b'0'..=b'9') => Cell::Number(raw.to_owned()),
                _ => Cell::Text(raw.to_owned()),
            },
        }
    }

    /// The text, empty where nothing is.
    pub fn text(&self) -> &str {
        match self {
            Cell::Missing => "",
            Cell::Number(text) | Cell::Text(text) => text,
        }
    }

    /// The text for a spreadsheet: one that a spreadsheet would run as a formula gets an apostrophe before it. A JSON
    /// number cannot be one.
    pub fn for_spreadsheet(&self) -> Cow<'_, str> {
        match self {
            Cell::Text(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) => {
                Cow::Owned(format!("'{text}"))
            }
            _ => Cow::Borrowed(self.text()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Space;

    #[test]
    fn cells_are_what_the_record_has() {
        let line = r#"{"a":"x\ny","b":-1.50,"c":{"d":true},"e":null,"f":[1,"x"],"g":"=1+1","h":"-1"}"#;
        let mut space = Space::default();
        let record = Record::parse(line, &mut space).unwrap();
        for (column, text, in_spreadsheet) in [
            ("a", "x\ny", "x\ny"),
            ("b", "-1.50", "-1.50"),
            ("c.d", "true", "true"),
            ("e", "", ""),
            ("f", "[1,\"x\"]", "[1,\"x\"]"),
            ("g", "=1+1", "'=1+1"),
            ("h", "-1", "'-1"),
            ("none", "", ""),
            ("_id", "@id", "'@id"),
        ] {
            let cell = Cell::of(&record, "@id", column);
            assert_eq!((cell.text(), &*cell.for_spreadsheet()), (text, in_spreadsheet), "{column}");
        }
    }
}
