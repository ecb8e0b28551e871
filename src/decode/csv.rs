//! CSV: a line is a row, and its columns have names.
//!
//! The names are those of the pipeline file, or those of the first line of the file that the row is in. Of a file that was not read
//! from its beginning on they are read there once more, as long as it has its name. The first line then gives a record like
//! others, each of whose members holds its own name, and is dropped by whoever knows that it is one.
//!
//! A row is one line: a cell with a line end in it is refused. An empty cell is no member. Every other one is a text, but for plain
//! numbers, `true` and `false`.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use csv::{ReaderBuilder, StringRecord};

use crate::flow::batch::SourceFile;
use crate::flow::line::Line;
use crate::flow::reject::{Reject, Stage};
use crate::record::{Record, Space, json};
use crate::text::digest::{FIRST_LINE_BYTES_MAX, first_line_sha256};

/// The first lines of so many files are remembered.
const FILES_MAX: usize = 1_000;

/// Reads rows.
#[derive(Debug)]
pub(super) struct Csv {
    /// Names that the pipeline file gives.
    columns: Option<Arc<[String]>>,
    /// Names by the digest of the line that gives them.
    first_lines: HashMap<[u8; 32], Arc<[String]>>,
}

impl Csv {
    pub(super) fn new(columns: Option<Arc<[String]>>) -> Csv {
        Csv { columns, first_lines: HashMap::new() }
    }

    pub(super) fn read<'l>(
        &mut self,
        line: &Line<'_>,
        text: &'l str,
        file: &SourceFile,
        space: &'l mut Space,
    ) -> Result<Record<'l>, Reject> {
        let cells = cells(text)?;
        let names = self.names(line, &cells, file)?;
        if cells.len() > names.len() {
            let detail = format!("the row has {} cells, and {} columns have names", cells.len(), names.len());
            return Err(reject("csv_too_many_cells", detail));
        }
        let members = names.iter().zip(&cells).filter(|(_, cell)| !cell.is_empty());
        Ok(Record::of_members(space, members.map(|(name, cell)| (name.as_str(), cell)), write_cell))
    }

    fn names(&mut self, line: &Line<'_>, cells: &StringRecord, file: &SourceFile) -> Result<Arc<[String]>, Reject> {
        if let Some(columns) = &self.columns {
            return Ok(Arc::clone(columns));
        }
        if let Some(names) = self.first_lines.get(&file.first_line_sha256).filter(|_| line.offset_bytes > 0) {
            return Ok(Arc::clone(names));
        }
        let names = if line.offset_bytes == 0 { names(cells) } else { first_line(file).map(|cells| names(&cells))? };
        if self.first_lines.len() >= FILES_MAX {
            self.first_lines.clear();
        }
        self.first_lines.insert(file.first_line_sha256, Arc::clone(&names));
        Ok(names)
    }
}

fn names(cells: &StringRecord) -> Arc<[String]> {
    let start = |name: &str| name.trim().trim_start_matches('\u{feff}').to_owned();
    cells.iter().map(start).collect()
}

fn cells(text: &str) -> Result<StringRecord, Reject> {
    if text.bytes().filter(|byte| *byte == b'"').count() % 2 == 1 {
        return Err(reject("csv_open_quote", "a cell has no closing quote in its line".to_owned()));
    }
    let mut cells = StringRecord::new();
    let mut reader = ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    match reader.read_record(&mut cells) {
        Ok(_) => Ok(cells),
        Err(_) => Err(reject("csv_unreadable", "the line is no row of cells".to_owned())),
    }
}

/// The first line of a file that still has its name.
fn first_line(file: &SourceFile) -> Result<StringRecord, Reject> {
    let unknown = || {
        let detail = "the file's first line, which names its columns, cannot be read any more: name them in `columns`";
        reject("csv_columns_unknown", detail.to_owned())
    };
    let opened = std::fs::File::open(&file.path).map_err(|_| unknown())?;
    let is_same = opened.metadata().is_ok_and(|metadata| metadata.ino() == file.inode);
    let mut line = Vec::new();
    let read = BufReader::new(opened.take(FIRST_LINE_BYTES_MAX as u64)).read_until(b'\n', &mut line);
    if read.is_err() || !is_same || first_line_sha256(&line) != file.first_line_sha256 {
        return Err(unknown());
    }
    let text = String::from_utf8(line).map_err(|_| unknown())?;
    cells(text.trim_end_matches(['\n', '\r']))
}

/// A cell as JSON.
pub(super) fn write_cell(cell: &str, out: &mut String) {
    let is_number = cell.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        && serde_json::from_str::<serde_json::Number>(cell).is_ok();
    if is_number || matches!(cell, "true" | "false") {
        out.push_str(cell);
    } else {
        json::write_string(cell, out);
    }
}

fn reject(reason: &'static str, detail: String) -> Reject {
    Reject::new(Stage::Decode, reason, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "request_id,label,note\nr-1,1.50,\"a, \"\"b\"\"\"\nr-2,true,\n";

    /// A row at an offset, as JSON, or why it is none.
    fn row(csv: &mut Csv, file: &SourceFile, offset_bytes: u64, text: &str) -> String {
        let line = Line { offset_bytes, bytes: text.as_bytes(), text: Some(text) };
        let mut space = Space::default();
        match csv.read(&line, text, file, &mut space) {
            Ok(record) => {
                let mut out = Vec::new();
                record.render(&mut out);
                String::from_utf8(out).unwrap()
            }
            Err(reject) => reject.name(),
        }
    }

    #[test]
    fn rows_are_records_with_the_names_of_the_first_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.csv");
        fs_err::write(&path, FILE).unwrap();
        let inode = fs_err::metadata(&path).unwrap().ino();
        let file = SourceFile {
            path: path.to_string_lossy().into_owned(),
            inode,
            first_line_sha256: first_line_sha256(FILE.as_bytes()),
            ..SourceFile::default()
        };
        let mut csv = Csv::new(None);
        let first = r#"{"request_id":"r-1","label":1.50,"note":"a, \"b\""}"#;
        for (offset, text, expected) in [
            (22, "r-1,1.50,\"a, \"\"b\"\"\"", first),
            (0, "request_id,label,note", r#"{"request_id":"request_id","label":"label","note":"note"}"#),
            (22, "r-1,1.50,\"a, \"\"b\"\"\"", first),
            (44, "r-2,true,", r#"{"request_id":"r-2","label":true}"#),
            (44, "r-2,007,NaN", r#"{"request_id":"r-2","label":"007","note":"NaN"}"#),
            (44, "r-2", r#"{"request_id":"r-2"}"#),
            (44, "r-2,1,2,3", "decode/csv_too_many_cells"),
            (44, "r-2,\"open", "decode/csv_open_quote"),
            (44, "", "{}"),
        ] {
            assert_eq!(row(&mut csv, &file, offset, text), expected, "{text}");
        }
        fs_err::remove_file(&path).unwrap();
        assert_eq!(row(&mut Csv::new(None), &file, 22, "r-1,1"), "decode/csv_columns_unknown");
        let columns: Arc<[String]> = ["request_id", "label"].map(str::to_owned).into();
        assert_eq!(row(&mut Csv::new(Some(columns)), &file, 0, "r-1,1"), r#"{"request_id":"r-1","label":1}"#);
    }
}
