//! Totals: what was counted since the ledger began?

use super::counts::{FORGOTTEN, OUTCOME};
use super::entry::ModelVersion;
use super::error::LedgerError;
use super::file::Ledger;
use crate::outcome::figures::DelayHistogram;
use crate::outcome::label::LabelKind;
use crate::outcome::truth::LabelOutcome;

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

impl Ledger {
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
                _ if kind == OUTCOME => totals.outcomes.push((version(number), outcome == "true", count)),
                _ if kind == FORGOTTEN => totals.forgotten += count,
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
}
