//! The ledger's writer: what goes in, and the documents that are to be taken out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use super::entry::{LabelLine, ModelVersion, PendingDocument, Progress};
use super::error::LedgerError;
use super::join::Join;
use super::schema;
use crate::flow::batch::Id;
use crate::outcome::document::Subject;
use crate::outcome::prediction::Predictions;

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

/// The file, opened by its only writer.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    pub(super) options: LedgerOptions,
    subject: Subject,
    pub(super) connection: Connection,
    /// In the order of their numbers, from 1.
    pub(super) versions: Vec<ModelVersion>,
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

    /// Whose outcomes they are.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The model versions that were seen; a [`super::WindowRow`] names one by its place.
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
        let (subject, versions) = (&self.subject, &mut self.versions);
        let mut join = Join { transaction: &transaction, subject, versions, delays: BTreeMap::new() };
        for prediction in predictions.iter() {
            join.enter_prediction(&prediction)?;
        }
        for label in labels {
            join.enter_label(label, now_us)?;
        }
        join.finish()?;
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

    fn read_versions(&self) -> rusqlite::Result<Vec<ModelVersion>> {
        let mut statement =
            self.connection.prepare("SELECT model_name, model_version, stage FROM versions ORDER BY version")?;
        let version = |row: &rusqlite::Row<'_>| {
            Ok(ModelVersion { model_name: row.get(0)?, model_version: row.get(1)?, stage: row.get(2)? })
        };
        statement.query_map([], version)?.collect()
    }

    pub(super) fn failed(&self, source: rusqlite::Error) -> LedgerError {
        LedgerError::Sqlite { path: self.path.clone(), source }
    }
}
