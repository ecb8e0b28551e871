//! Rows: what does a table in CSV or JSON lines say of each key?

use std::collections::{BTreeMap, HashMap};

use serde_json::value::RawValue;

use crate::enrich::table::Content;
use crate::record::{Path, json};

/// The rows of a table by their keys.
#[derive(Debug)]
pub struct Rows {
    /// Where the values of a row go, in the order of the row.
    into: Vec<Path>,
    rows: HashMap<Box<str>, Values>,
}

/// The values of a row as JSON text, by the positions of their fields; `None` where there is none.
type Values = Box<[Option<Box<str>>]>;

/// How a table is read.
#[derive(Clone, Debug)]
pub struct RowsOptions {
    /// How the file is written.
    pub format: RowFormat,
    /// What holds the keys.
    pub column: String,
    /// Below it stands what is found.
    pub into: Path,
    /// What is taken from a row; all but the key where none is named.
    pub fields: Vec<String>,
}

/// How the file of a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFormat {
    /// Lines of values, the first of names.
    Csv,
    /// An object a line.
    JsonLines,
}

/// A row that was read: the number of its line, its key, and values by the positions of their fields.
type Row = (u64, Option<String>, Vec<Option<Box<str>>>);

impl Content for Rows {
    type Options = RowsOptions;

    fn read(bytes: Vec<u8>, options: &RowsOptions) -> Result<Rows, String> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let (fields, read) = match options.format {
            RowFormat::Csv => csv(bytes, options)?,
            RowFormat::JsonLines => json_lines(bytes, options)?,
        };
        let into = |field: &String| Path::new(&format!("{}.{field}", options.into));
        let mut table = Rows { into: fields.iter().map(into).collect::<Result<_, _>>()?, rows: HashMap::new() };
        for (line, key, values) in read {
            let Some(key) = key.filter(|key| !key.is_empty()) else {
                return Err(format!("line {line} has no value in `{}`", options.column));
            };
            if table.rows.insert(key.into(), values.into()).is_some() {
                return Err(format!("line {line} has the key of a line before it in `{}`", options.column));
            }
        }
        Ok(table)
    }
}

impl Rows {
    /// The members that the row of a key gives.
    pub fn row<'s>(&'s self, key: &str) -> Option<impl Iterator<Item = (&'s Path, &'s str)> + use<'s>> {
        let values = self.rows.get(key)?.iter();
        Some(self.into.iter().zip(values).filter_map(|(path, raw)| Some((path, raw.as_deref()?))))
    }
}

fn csv(bytes: &[u8], options: &RowsOptions) -> Result<(Vec<String>, Vec<Row>), String> {
    let mut reader = csv::Reader::from_reader(bytes);
    let header = reader.headers().map_err(|error| problem_of_csv(&error))?.clone();
    let position = |name: &str| {
        let known = || header.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        header
            .iter()
            .position(|found| found == name)
            .ok_or_else(|| format!("it has no column `{name}`; it has {}", known()))
    };
    let key = position(&options.column)?;
    let fields = match options.fields.is_empty() {
        true => header.iter().filter(|name| *name != options.column).map(str::to_owned).collect(),
        false => options.fields.clone(),
    };
    let positions = fields.iter().map(|field| position(field)).collect::<Result<Vec<_>, _>>()?;
    let mut rows = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|error| problem_of_csv(&error))?;
        let value = |position: &usize| {
            let text = row.get(*position).filter(|text| !text.is_empty())?;
            let mut raw = String::new();
            json::write_string(text, &mut raw);
            Some(raw.into())
        };
        let line = row.position().map_or(0, csv::Position::line);
        rows.push((line, row.get(key).map(str::to_owned), positions.iter().map(value).collect()));
    }
    Ok((fields, rows))
}

/// What is wrong with a table, without what stands there.
fn problem_of_csv(error: &csv::Error) -> String {
    let line = error.position().map_or(1, csv::Position::line);
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("line {line} has {len} values, and the first line {expected_len} names")
        }
        csv::ErrorKind::Utf8 { .. } => format!("line {line} is not UTF-8"),
        _ => format!("line {line} is not CSV"),
    }
}

fn json_lines(bytes: &[u8], options: &RowsOptions) -> Result<(Vec<String>, Vec<Row>), String> {
    let mut lines: Vec<(u64, BTreeMap<String, Box<RawValue>>)> = Vec::new();
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let object = serde_json::from_slice(line).map_err(|_| format!("line {number} is not a JSON object"))?;
        lines.push((number, object));
    }
    let mut fields = options.fields.clone();
    if fields.is_empty() {
        fields = lines
            .iter()
            .flat_map(|(_, object)| object.keys())
            .filter(|name| **name != options.column)
            .cloned()
            .collect();
        fields.sort_unstable();
        fields.dedup();
    }
    let known = |field: &&String| lines.is_empty() || lines.iter().any(|(_, object)| object.contains_key(*field));
    if let Some(unknown) = fields.iter().find(|field| !known(field)) {
        return Err(format!("no line has `{unknown}`"));
    }
    let row = |(line, object): (u64, BTreeMap<String, Box<RawValue>>)| {
        let value =
            |field: &String| object.get(field).map(|raw| raw.get()).filter(|raw| *raw != "null").map(Into::into);
        let is_single = |raw: &&str| !raw.starts_with(['{', '[', 'n']);
        let key = object.get(&options.column).map(|raw| raw.get()).filter(is_single);
        (line, key.map(|raw| json::text(raw).into_owned()), fields.iter().map(value).collect())
    };
    let rows = lines.into_iter().map(row).collect();
    Ok((fields, rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_or_said_to_be_wrong() {
        let read = |format, fields: &[&str], text: &[u8]| {
            let fields = fields.iter().map(|field| (*field).to_owned()).collect();
            let options = RowsOptions { format, column: "v".to_owned(), into: Path::known("m"), fields };
            let rows = Rows::read(text.to_vec(), &options)?;
            let row = rows.row("3.10").map(|row| row.map(|(path, raw)| format!("{path}={raw}")).collect::<Vec<_>>());
            Ok::<_, String>(row.map(|row| row.join(" ")).unwrap_or_else(|| "none".to_owned()))
        };
        use RowFormat::{Csv, JsonLines};
        for (format, fields, text, expected) in [
            (Csv, &[] as &[&str], "v,owner,n\n3.10,\"a \"\"b\"\"\",\n4,x,7\n", Ok(r#"m.owner="a \"b\"""#)),
            (Csv, &["n"], "\u{feff}v,owner,n\r\n3.10,a,7\r\n", Ok(r#"m.n="7""#)),
            (Csv, &[], "v,owner\n4,x\n", Ok("none")),
            (Csv, &["team"], "v,owner\n", Err("it has no column `team`; it has `v`, `owner`")),
            (Csv, &[], "", Err("it has no column `v`; it has ")),
            (Csv, &[], "v,owner\n4\n", Err("line 2 has 1 values, and the first line 2 names")),
            (Csv, &[], "v,owner\n4,a\n4,b\n", Err("line 3 has the key of a line before it in `v`")),
            (Csv, &[], "v,owner\n,b\n", Err("line 2 has no value in `v`")),
            (
                JsonLines,
                &[],
                "{\"v\":3.10,\"n\":1.50,\"o\":{\"a\":[1]},\"z\":null}\n\n",
                Ok("m.n=1.50 m.o={\"a\":[1]}"),
            ),
            (JsonLines, &["n"], "{\"v\":\"3.10\",\"n\":\"\\u00e4\",\"o\":2}", Ok("m.n=\"\\u00e4\"")),
            (JsonLines, &["x"], "{\"v\":1}", Err("no line has `x`")),
            (JsonLines, &[], "{\"v\":1}\n[1]", Err("line 2 is not a JSON object")),
            (JsonLines, &[], "{\"v\":{}}", Err("line 1 has no value in `v`")),
        ] {
            assert_eq!(
                read(format, fields, text.as_bytes()),
                expected.map(str::to_owned).map_err(str::to_owned),
                "{text}"
            );
        }
        assert_eq!(read(Csv, &[], b"v,o\n1,\xff\n"), Err("line 2 is not UTF-8".to_owned()));
    }
}
