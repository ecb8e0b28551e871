//! Output: a table for people, whole documents for programs, CSV for spreadsheets, each written as the rows come.
//!
//! - `json`: one document a line, byte for byte as it was shipped.
//! - `csv`: RFC 4180 with a head, UTF-8, `\r\n` at line ends; what a spreadsheet would run as a formula gets an apostrophe.
//! - `table`: fits its terminal; control characters are shown by their number.
//!
//! A digest of all that is written is kept for the manifest.

use std::borrow::Cow;
use std::io::{self, Write};

use sha2::{Digest as _, Sha256};

use super::cell::Cell;
use super::groups::{COLUMNS, Summary};
use super::table::Table;
use crate::flow::question::Row;
use crate::record::{Record, Space};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Table,
    /// Whole documents.
    Json,
    /// For spreadsheets.
    Csv,
}

/// Rows on their way out.
pub struct Output<W: Write> {
    format: Format,
    columns: Vec<String>,
    table: Table,
    out: DigestWriter<W>,
    space: Space,
    rows: u64,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputSummary {
    /// How many rows.
    pub rows: u64,
    /// SHA-256 of all bytes, in hexadecimal.
    pub sha256: String,
    /// How many bytes.
    pub bytes: u64,
}

struct DigestWriter<W> {
    out: W,
    sha256: Sha256,
    bytes: u64,
}

impl<W: Write> Write for DigestWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.sha256.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<W: Write> Output<W> {
    /// Writes the head of a CSV.
    ///
    /// # Errors
    /// When `out` takes no more.
    pub fn new(format: Format, columns: Vec<String>, width: usize, out: W) -> io::Result<Output<W>> {
        let out = DigestWriter { out, sha256: Sha256::new(), bytes: 0 };
        let table = Table::new(columns.clone(), width);
        let mut output = Output { format, columns, table, out, space: Space::default(), rows: 0 };
        if format == Format::Csv {
            // As they are, `@timestamp` too: programs look for these names, and who asks chose them.
            let head: Vec<Cow<'_, str>> = output.columns.iter().map(Cow::from).collect();
            csv(&mut output.out, &head)?;
        }
        Ok(output)
    }

    /// Output of groups by a field, which has columns of its own.
    ///
    /// # Errors
    /// When `out` takes no more.
    pub fn of_groups(format: Format, field: &str, width: usize, out: W) -> io::Result<Output<W>> {
        let columns = std::iter::once(field).chain(COLUMNS).map(str::to_owned).collect();
        Output::new(format, columns, width, out)
    }

    /// Writes a document.
    ///
    /// # Errors
    /// When `out` takes no more.
    pub fn row(&mut self, row: Row<'_>) -> io::Result<()> {
        self.rows += 1;
        if self.format == Format::Json {
            self.out.write_all(row.document.as_bytes())?;
            return self.out.write_all(b"\n");
        }
        let cells: Vec<Cell> = match Record::parse(row.document, &mut self.space) {
            Ok(record) => self.columns.iter().map(|column| Cell::of(&record, row.id, column)).collect(),
            Err(_) => self.columns.iter().map(|_| Cell::Missing).collect(),
        };
        self.cells(&cells)
    }

    /// Writes a group.
    ///
    /// # Errors
    /// When `out` takes no more.
    pub fn group(&mut self, field: &str, summary: &Summary) -> io::Result<()> {
        self.rows += 1;
        if self.format == Format::Json {
            return writeln!(self.out, "{}", summary.json(field));
        }
        self.cells(&summary.cells())
    }

    fn cells(&mut self, cells: &[Cell]) -> io::Result<()> {
        match self.format {
            Format::Csv => csv(&mut self.out, &cells.iter().map(Cell::for_spreadsheet).collect::<Vec<_>>()),
            _ => self.table.row(&cells.iter().map(Cell::text).collect::<Vec<_>>(), &mut self.out),
        }
    }

    /// How many bytes were written; rows of a table may wait.
    pub fn written_bytes(&self) -> u64 {
        self.out.bytes
    }

    /// Writes what waits, and says what was written.
    ///
    /// # Errors
    /// When `out` takes no more.
    pub fn finish(mut self) -> io::Result<OutputSummary> {
        self.table.finish(&mut self.out)?;
        self.out.flush()?;
        let sha256 = self.out.sha256.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(OutputSummary { rows: self.rows, sha256, bytes: self.out.bytes })
    }
}

/// A line as RFC 4180 has it.
fn csv(out: &mut impl Write, cells: &[Cow<'_, str>]) -> io::Result<()> {
    for (place, text) in cells.iter().enumerate() {
        out.write_all(if place == 0 { b"" } else { b"," })?;
        if text.contains(['"', ',', '\r', '\n']) {
            write!(out, "\"{}\"", text.replace('"', "\"\""))?;
        } else {
            out.write_all(text.as_bytes())?;
        }
    }
    out.write_all(b"\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::digest::sha256_hexadecimal;

    fn written(format: Format, documents: &[&str]) -> String {
        let columns = ["_id", "a", "b.c"].map(str::to_owned).to_vec();
        let mut out = Vec::new();
        let mut output = Output::new(format, columns, 80, &mut out).unwrap();
        for document in documents {
            output.row(Row { key: None, id: "i", document }).unwrap();
        }
        let written = output.finish().unwrap();
        assert_eq!(written.rows, documents.len() as u64);
        assert_eq!((written.sha256, written.bytes), (sha256_hexadecimal(&out), out.len() as u64));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_format_writes_rows_in_its_own_way() {
        let documents = [r#"{"a" : "x,\"y\"\n","b":{"c":-1.50}}"#, r#"{"a":"=cmd|' /C calc'!A0","b.c":"+1"}"#, "{}"];
        assert_eq!(written(Format::Json, &documents), documents.map(|document| format!("{document}\n")).concat());
        assert_eq!(
            written(Format::Csv, &documents),
            "_id,a,b.c\r\ni,\"x,\"\"y\"\"\n\",-1.50\r\ni,'=cmd|' /C calc'!A0,'+1\r\ni,,\r\n"
        );
        let line =
            |cells: [&str; 3]| format!("{:<3}  {:<18}  {}", cells[0], cells[1], cells[2]).trim_end().to_owned() + "\n";
        let table = [
            line(["_id", "a", "b.c"]),
            line(["i", "x,\"y\"\\n", "-1.50"]),
            line(["i", "=cmd|' /C calc'!A0", "+1"]),
            line(["i", "", ""]),
        ];
        assert_eq!(written(Format::Table, &documents), table.concat());
        assert_eq!(written(Format::Csv, &[]), "_id,a,b.c\r\n");
        assert_eq!(written(Format::Table, &[]), "");
    }
}
