//! Options of `lookup`: which file says what of which member?

use std::sync::OnceLock;

use super::{json_text, made};
use crate::config::field::Field;
use crate::config::section::Section;
use crate::enrich::{Action, Content, Lookup, RowFormat, RowsOptions, Step, Table};
use crate::record::Path;

const FILE_BYTES_MAX: u64 = 16 << 20;

pub(super) fn lookup(section: &mut Section<'_>) -> Option<Step> {
    let key = section.required("key", Field::field_path);
    let format = section.optional("format", format);
    let column = section.optional("column", |field| field.text().map(str::to_owned));
    let into = section.required("into", Field::field_path);
    let texts = |field: &Field<'_>| field.list(|item| item.text().map(str::to_owned));
    let fields = section.optional("fields", texts).unwrap_or_default();
    let default = section.optional("default", |field| field.by_path(json_text)).unwrap_or_default();
    let file_bytes_max = file_bytes_max(section, FILE_BYTES_MAX);
    let lookup = section.required("file", |file| {
        let (key, into) = key.zip(into)?;
        let column = column.unwrap_or_else(|| key.as_str().to_owned());
        let below = |(path, raw): (Path, String)| Some((Path::new(&format!("{into}.{path}")).ok()?, raw));
        let default = default.into_iter().filter_map(below).collect();
        let format = format.unwrap_or_else(|| by_name(file.text().unwrap_or_default()));
        let named = fields.iter().filter_map(|field| Path::new(&format!("{into}.{field}")).ok());
        // Which columns a table has may change with its file.
        let adds = if fields.is_empty() { vec![into.clone()] } else { named.collect() };
        let table = table(file, file_bytes_max?, RowsOptions { format, column, into, fields })?;
        Some(Lookup { table, key, default, adds, unmatched: OnceLock::new() })
    });
    made(section, lookup.map(Action::Lookup))
}

fn format(field: &Field<'_>) -> Option<RowFormat> {
    let word = field.word(&["csv", "json_lines"])?;
    Some(if word == "csv" { RowFormat::Csv } else { RowFormat::JsonLines })
}

fn by_name(name: &str) -> RowFormat {
    if name.ends_with(".csv") { RowFormat::Csv } else { RowFormat::JsonLines }
}

/// The most bytes of a table's file.
pub(super) fn file_bytes_max(section: &mut Section<'_>, default: u64) -> Option<u64> {
    section.field("file_bytes_max").map_or(Some(default), |field| field.bytes(1 << 10..=1 << 30))
}

/// Reads the file of a table: what is wrong with it is wrong with the pipeline.
pub(super) fn table<T: Content>(field: &Field<'_>, file_bytes_max: u64, options: T::Options) -> Option<Table<T>> {
    let path = field.file()?;
    match Table::read(&path, file_bytes_max, options) {
        Ok(table) => Some(table),
        Err(problem) => {
            let hint = format!("the file is `{}`, looked for from the folder of the pipeline file on", path.display());
            field.refuse_with(&problem, Some(hint).filter(|_| !field.is_expanded()))
        }
    }
}
