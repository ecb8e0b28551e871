//! The ledger: which predictions wait for their label, and what became of those that have one?
//!
//! One SQLite file beside a pipeline's checkpoint. Predictions and labels go in, in any order, and each pair is joined when the
//! second of the two comes: what is known of the prediction is written into its row, what the label was is counted, and the document
//! of the outcome is put down to be taken. All of it is one transaction, and each prediction and each label is known by the `_id` of
//! its line: what is read again after a crash is found to be there, and changes nothing.
//!
//! A prediction takes about 200 bytes on disk, whatever the record holds; memory is the page cache of 16 MiB. What is older than
//! `keep`, or more than `predictions_max`, is forgotten in the order of arrival.

mod forget;
mod join;
mod requests;
mod schema;
mod window;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use super::document::Subject;
use super::figures::DelayHistogram;
use super::label::{Label, LabelKind};
use super::prediction::Predictions;
use super::truth::LabelOutcome;
use crate::flow::batch::Id;
pub use requests::Sought;
pub use window::WindowRow;

/// The most versions that are told apart; further ones are kept as `other`.
pub const VERSIONS_MAX: usize = 200;

/// What a version is called beyond [`VERSIONS_MAX`].
const OTHER: &str = "other";

/// What of the ledger may be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerOptions {
    /// Predictions and labels older than this are forgotten.
    pub keep: Duration,
    /// Of more predictions the first ones are forgotten.
    pub predictions_max: u64,
    /// A label without a prediction counts as unknown when it has waited for so long. It still waits.
    pub patience: Duration,
}

/// Why the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file cannot be opened or created.
    #[error("cannot open the ledger of outcomes `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// SQLite failed in the middle of its work.
    #[error("cannot use the ledger of outcomes `{}`", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The file is something else.
    #[error("`{}` is no ledger of outcomes: it holds something else", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file's layout is newer than this program.
    #[error("the ledger `{}` has layout {found}; this version of inferlog knows layouts up to {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The layout in the file.
        found: i64,
        /// The newest layout that this program knows.
        known: i64,
    },
}

/// A label with where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelLine {
    /// The `_id` of its line.
    pub id: String,
    /// The line's time, in microseconds since 1970 (UTC).
    pub time_us: i64,
    /// What it says.
    pub label: Label,
}

/// Up to where the labels' store was read: its row, and the `_id` that stood there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The row's number; 0 before the first one.
    pub number: i64,
    /// What stood there.
    pub id: String,
}

/// A document of an outcome that nobody has taken yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingDocument {
    /// Its number in the ledger.
    pub number: i64,
    /// Its `_id`.
    pub id: Id,
    /// Its `@timestamp`, in microseconds since 1970 (UTC).
    pub timestamp_us: i64,
    /// A JSON object.
    pub text: String,
}

/// A model version and its stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelVersion {
    /// The model; empty where records name none.
    pub model_name: String,
    /// Its version; empty where records name none.
    pub model_version: String,
    /// `primary`, `shadow`, or as records have it.
    pub stage: String,
}

/// What was counted since the ledger began.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// Labels by version, kind and what each was.
    pub labels: Vec<(ModelVersion, LabelKind, LabelOutcome, u64)>,
    /// Predictions whose first label came, by version and whether it agreed.
    pub outcomes: Vec<(ModelVersion, bool, u64)>,
    /// How long first labels took, by version.
    pub delays: Vec<(ModelVersion, DelayHistogram)>,
    /// Labels that wait for their prediction now.
    pub waiting: u64,
    /// Predictions that were forgotten.
    pub forgotten: u64,
}

/// The file, opened by its only writer.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    options: LedgerOptions,
    subject: Subject,
    connection: Connection,
    /// In the order of their numbers, from 1.
    versions: Vec<ModelVersion>,
}

impl Ledger {
    /// Opens the ledger, creating it where there is none.
    ///
    /// # Errors
    /// When the file cannot be opened, or is none of ours.
    pub fn open(path: &Path, options: LedgerOptions, subject: Subject) -> Result<Ledger, LedgerError> {
        let connection = schema::open(path)?;
        let mut ledger = Ledger { path: path.to_owned(), options, subject, connection, versions: Vec::new() };
        ledger.versions = ledger.read_versions().map_err(|source| ledger.failed(source))?;
        Ok(ledger)
    }

    /// The model versions that were seen; a [`WindowRow`] names one by its place.
    pub fn versions(&self) -> &[ModelVersion] {
        &self.versions
    }

    /// Writes down predictions and labels, joins what belongs together, and notes up to where labels were read: all or nothing.
    ///
    /// # Errors
    /// When it cannot be written: call again with the same.
    pub fn enter(
        &mut self,
        predictions: &Predictions,
        labels: &[LabelLine],
        progress: Option<&Progress>,
        now_us: i64,
    ) -> Result<(), LedgerError> {
        let known = self.versions.len();
        let entered = self.try_enter(predictions, labels, progress, now_us);
        entered.map_err(|source| {
            self.versions.truncate(known);
            self.failed(source)
        })
    }

    fn try_enter(
        &mut self,
        predictions: &Predictions,
        labels: &[LabelLine],
        progress: Option<&Progress>,
        now_us: i64,
    ) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut join = join::Join { transaction: &transaction, subject: &self.subject, versions: &mut self.versions };
        for prediction in predictions.iter() {
            join.enter_prediction(&prediction)?;
        }
        for label in labels {
            join.enter_label(label, now_us)?;
        }
        if let Some(Progress { number, id }) = progress {
            transaction.execute("DELETE FROM progress", [])?;
            transaction.execute("INSERT INTO progress VALUES (?1, ?2)", (number, id))?;
        }
        transaction.commit()
    }

    /// Up to where the labels' store was read.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn progress(&self) -> Result<Progress, LedgerError> {
        let read = |row: &rusqlite::Row<'_>| Ok(Progress { number: row.get(0)?, id: row.get(1)? });
        let progress = self.connection.query_row("SELECT number, id FROM progress", [], read).optional();
        Ok(progress.map_err(|source| self.failed(source))?.unwrap_or_default())
    }

    /// The number of the last label that was written down; 0 when there is none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn last_label(&self) -> Result<i64, LedgerError> {
        let last = self.connection.query_row("SELECT max(number) FROM labels", [], |row| row.get::<_, Option<i64>>(0));
        Ok(last.map_err(|source| self.failed(source))?.unwrap_or_default())
    }

    /// Documents behind a number that nobody has taken yet, of at most so many bytes: one at least, where there is one.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn documents(&self, behind: i64, bytes_max: usize) -> Result<Vec<PendingDocument>, LedgerError> {
        let read = || {
            let mut statement = self.connection.prepare_cached(
                "SELECT number, id, timestamp_us, document FROM documents WHERE number > ?1 ORDER BY number",
            )?;
            let mut rows = statement.query([behind])?;
            let (mut documents, mut bytes) = (Vec::new(), 0);
            while let Some(row) = rows.next()?
                && bytes < bytes_max
            {
                let (id, text): (String, String) = (row.get(1)?, row.get(3)?);
                let Some(id) = Id::read(&id) else { continue };
                bytes += text.len();
                documents.push(PendingDocument { number: row.get(0)?, id, timestamp_us: row.get(2)?, text });
            }
            Ok(documents)
        };
        read().map_err(|source| self.failed(source))
    }

    /// Forgets documents up to a number: somebody keeps them.
    ///
    /// # Errors
    /// When it cannot be written: they are given out again.
    pub fn taken(&mut self, up_to: i64) -> Result<(), LedgerError> {
        let deleted = self
            .connection
            .prepare_cached("DELETE FROM documents WHERE number <= ?1")
            .and_then(|mut delete| delete.execute([up_to]));
        deleted.map_err(|source| self.failed(source)).map(|_| ())
    }

    /// What was counted since the ledger began.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn totals(&self) -> Result<Totals, LedgerError> {
        self.read_totals().map_err(|source| self.failed(source))
    }

    fn read_totals(&self) -> rusqlite::Result<Totals> {
        let mut totals = Totals::default();
        // What is of no version has the number 0.
        let version = |number: i64| self.versions.get((number as usize).wrapping_sub(1)).cloned().unwrap_or_default();
        let mut statement = self.connection.prepare_cached("SELECT version, kind, outcome, count FROM totals")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (number, count): (i64, i64) = (row.get(0)?, row.get(3)?);
            let (kind, outcome): (String, String) = (row.get(1)?, row.get(2)?);
            let count = count as u64;
            let label_kind = [LabelKind::Truth, LabelKind::Review].into_iter().find(|known| known.as_str() == kind);
            let label_outcome = LabelOutcome::ALL.into_iter().find(|known| known.as_str() == outcome);
            match (label_kind, label_outcome) {
                (Some(kind), Some(outcome)) => totals.labels.push((version(number), kind, outcome, count)),
                _ if kind == join::OUTCOME => totals.outcomes.push((version(number), outcome == "true", count)),
                _ if kind == forget::FORGOTTEN => totals.forgotten += count,
                _ => {}
            }
        }
        let mut statement = self.connection.prepare_cached("SELECT version, delays FROM delays ORDER BY version")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let text: String = row.get(1)?;
            totals.delays.push((version(row.get(0)?), serde_json::from_str(&text).unwrap_or_default()));
        }
        let waiting = "SELECT count(*) FROM labels WHERE waits > 0";
        totals.waiting = self.connection.prepare_cached(waiting)?.query_row([], |row| row.get::<_, i64>(0))? as u64;
        Ok(totals)
    }

    fn read_versions(&self) -> rusqlite::Result<Vec<ModelVersion>> {
        let mut statement =
            self.connection.prepare("SELECT model_name, model_version, stage FROM versions ORDER BY version")?;
        let version = |row: &rusqlite::Row<'_>| {
            Ok(ModelVersion { model_name: row.get(0)?, model_version: row.get(1)?, stage: row.get(2)? })
        };
        statement.query_map([], version)?.collect()
    }

    fn failed(&self, source: rusqlite::Error) -> LedgerError {
        LedgerError::Sqlite { path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests;
