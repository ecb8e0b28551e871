//! `lookup`: what a table in a file says of a value, such as who owns a model version.
//!
//! The row whose `column` holds what the record has at `key` gives members: those of `fields` are added below `into`. A
//! member that is there already stays. A record without the key is skipped; one whose key is in no row gets what
//! `default` says, and is counted in `inferlog_enrich_unmatched_records_total`.
//!
//! A CSV file has a first line of names, and its values are texts; an empty one adds nothing. Of JSON lines each is an
//! object whose values are added as they are written. Rows with equal keys, or without one, are refused.
//!
//! The file is looked at once a second. When it has changed it is read again, and records go by the new table. A file
//! that is then gone or broken leaves the table before in force: the log says so once, with its age, and
//! `inferlog_enrich_table_reload_failures_total` counts it. At the start it has to be there and right. Renaming a new
//! file into its place is best: what is half written is no table.
//!
//! ```yaml
//! - lookup:
//!     file: models.csv
//!     key: model_version
//!     into: model
//!     fields: [owner, risk_class, training_date]
//!     default: { owner: unknown }
//! ```
//!
//! - `file`: path, from the folder of the pipeline file on, required: the table.
//! - `format`: `csv` or `json_lines`; by default `csv` where the file's name ends so, else `json_lines`.
//! - `key`: path, required: the member that is looked up: a text, number or boolean, compared as it is written.
//! - `column`: text, by default as `key`: the column, or name of JSON lines, that holds the keys.
//! - `into`: path, required: below it stands what is found.
//! - `fields`: list of texts, by default all columns but the key's: what is taken from the row.
//! - `default`: map of names to single values: what is added below `into` where no row has the key.
//! - `file_bytes_max`: size, default `16MiB`, up to `1GiB`: a longer file is refused. The table takes some times as much
//!   memory.
//! - `when`: condition: on which records.

mod rows;

use std::sync::OnceLock;

pub use rows::{RowFormat, Rows, RowsOptions};

use super::processor::{Processor, Run};
use super::table::Table;
use crate::flow::reject::Reject;
use crate::record::{Path, Record, Room, json};
use crate::telemetry::Counter;

/// Adds what a table says of a key.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The table.
    pub table: Table<Rows>,
    /// What is looked up.
    pub key: Path,
    /// What is added where no row has the key: members and their values as JSON text.
    pub default: Vec<(Path, String)>,
    /// What a row may add.
    pub adds: Vec<Path>,
    /// Counts the records whose key is in no row.
    pub unmatched: OnceLock<Counter>,
}

impl Processor for Lookup {
    fn name(&self) -> &'static str {
        "lookup"
    }

    fn adds(&self) -> Vec<Path> {
        self.default.iter().map(|(path, _)| path).chain(&self.adds).cloned().collect()
    }

    fn apply(&self, record: &mut Record<'_>, run: &mut Run<'_>) -> Result<(), Reject> {
        let rows = self.table.content(self.name(), run.counters);
        let row = match record.first(self.key.as_str()) {
            Some(raw) if !raw.starts_with(['{', '[', 'n']) => rows.row(&json::text(raw)),
            _ => return Ok(()),
        };
        let mut add = |(path, raw): (&Path, &str)| {
            if record.add(path, |out| out.push_str(raw)) == Room::Blocked {
                run.counters.enrich_left_out_members_total.inc();
            }
        };
        match row {
            Some(row) => row.for_each(add),
            None => {
                self.unmatched.get_or_init(|| run.counters.unmatched(self.name(), "not_in_table")).inc();
                self.default.iter().for_each(|(path, raw)| add((path, raw)));
            }
        }
        Ok(())
    }
}
