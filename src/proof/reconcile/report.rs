//! The report: what was found out about each file, and about the lines that are not as they should be.

use chrono::{DateTime, Utc};
use serde::Serialize;

/// What has to be settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everything that matches the paths now.
    #[default]
    Matching,
    /// What was read, up to the committed offsets.
    Committed,
}

/// How a row was proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// Line by line: the file is there.
    Lines,
    /// By the accounts: the file is gone.
    Accounts,
    /// Neither.
    None,
    /// Nothing of it was settled, so that there is nothing to prove.
    Waiting,
}

/// What became of the lines of one file.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its path, where it was seen last.
    pub path: String,
    /// Inode and generation, as documents have it in `inferlog.file`.
    pub file: String,
    /// How the row was proven.
    pub proof: Proof,
    /// Where the judged range begins, in bytes.
    pub from_bytes: u64,
    /// Where it ends, in bytes: the committed offset.
    pub to_bytes: u64,
    /// Lines that are not empty.
    pub lines: u64,
    /// Those that are records.
    pub records: u64,
    /// Documents in the sink.
    pub indexed: u64,
    /// Dropped by a rule.
    pub dropped: u64,
    /// Erased by order.
    pub erased: u64,
    /// Older than what the store's retention has deleted.
    pub expired: u64,
    /// In the dead letter.
    pub dead_lettered: u64,
    /// Nowhere.
    pub missing: u64,
    /// In the sink as of this file, and not made of a line of it.
    pub unexpected: u64,
    /// Not found, and perhaps dropped by a configuration that is no longer in force.
    pub undecidable: u64,
    /// Bytes behind the committed offset: not settled yet, and not judged.
    pub waiting_bytes: u64,
    /// What there is to say about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Row {
    /// A row of nothing.
    pub fn empty(proof: Proof) -> Row {
        Row {
            path: String::new(),
            file: String::new(),
            proof,
            from_bytes: 0,
            to_bytes: 0,
            lines: 0,
            records: 0,
            indexed: 0,
            dropped: 0,
            erased: 0,
            expired: 0,
            dead_lettered: 0,
            missing: 0,
            unexpected: 0,
            undecidable: 0,
            waiting_bytes: 0,
            note: None,
        }
    }
}

/// A line or document that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `missing`, `unexpected` or `undecidable`.
    pub what: &'static str,
    /// The file's path.
    pub path: String,
    /// The start of the line, in bytes from the start of the file.
    pub offset_bytes: u64,
    /// The id, where there is a document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// Through where the files were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Frontier {
    /// When the offsets were committed up to which the lines were judged; each row says which one.
    pub committed: DateTime<Utc>,
    /// When the files were looked at for what waits behind them.
    pub looked: DateTime<Utc>,
    /// How many files matched the paths then.
    pub matched_files: usize,
    /// In how many files something waits.
    pub waiting_files: usize,
    /// How many of them were never met.
    pub unmet_files: usize,
    /// How much waits in all of them.
    pub waiting_bytes: u64,
}

/// What was found out about one sink.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The sink's name.
    pub sink: String,
    /// What has to be settled.
    pub scope: Scope,
    /// Through where.
    pub frontier: Frontier,
    /// One row a file.
    pub rows: Vec<Row>,
    /// The lines that are not as they should be, where they are known one by one.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether every line that was judged is accounted for.
    pub fn is_accounted_for(&self) -> bool {
        self.rows.iter().all(|row| row.missing == 0 && row.unexpected == 0 && row.undecidable == 0)
    }

    /// Whether everything that has to be settled is, and every line of it is accounted for.
    pub fn is_complete(&self) -> bool {
        let is_settled = self.scope == Scope::Committed || self.frontier.waiting_bytes == 0;
        self.is_accounted_for() && is_settled
    }
}
