//! Rows: the predictions that are measured, one after the other, with what is known of each.

use std::collections::BTreeMap;

use rusqlite::types::ValueRef;

use super::error::LedgerError;
use super::file::Ledger;

/// The stage whose predictions are compared with those of [`crate::outcome::prediction::PRIMARY`].
const SHADOW: &str = "shadow";

/// A prediction with what is known of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowRow<'r> {
    /// Where its version stands in [`Ledger::versions`].
    pub version: usize,
    /// When it was made, in microseconds since 1970 (UTC).
    pub time_us: i64,
    /// The class or number that was predicted.
    pub prediction: &'r str,
    /// How sure the model was, 0 to 1.
    pub confidence: Option<f64>,
    /// What was true, where one label counts.
    pub label: Option<&'r str>,
    /// Somebody was to look at it.
    pub flagged: bool,
    /// What the review that counts decided.
    pub decision: Option<&'r str>,
    /// How long that took, in microseconds.
    pub duration_us: Option<i64>,
}

const ROWS: &str = "SELECT version, time_us, prediction, confidence, label, flagged, decision, decided_us - opened_us
    FROM predictions";

/// The same of those that have a label and a confidence, by version, those first that are most likely of a class.
const ROWS_BY_SCORE: &str =
    "SELECT version, time_us, prediction, confidence, label, flagged, decision, decided_us - opened_us
    FROM predictions WHERE time_us >= ?1 AND label IS NOT NULL AND confidence IS NOT NULL
    ORDER BY version, CASE WHEN prediction = ?2 THEN confidence ELSE 1.0 - confidence END DESC";

const AGREEMENT: &str = "SELECT shadow.version, count(*), sum(shadow.prediction = other.prediction)
    FROM predictions shadow
    JOIN versions ON versions.version = shadow.version AND versions.stage = ?2
    JOIN predictions other ON other.key = shadow.key AND other.request_id = shadow.request_id
        AND other.batch_index IS shadow.batch_index
    JOIN versions its ON its.version = other.version AND its.stage = 'primary'
    WHERE shadow.time_us >= ?1 GROUP BY shadow.version";

impl Ledger {
    /// Visits each prediction that is kept, in no particular order.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn each_prediction(&self, visit: impl FnMut(WindowRow<'_>)) -> Result<(), LedgerError> {
        self.each(ROWS, [], visit).map_err(|source| self.failed(source))
    }

    /// Visits each that has a label and a confidence, version by version, in falling order of how likely it is of the class
    /// `positive`: the confidence where that was predicted, else 1 less it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn each_by_score(
        &self,
        from_us: i64,
        positive: &str,
        visit: impl FnMut(WindowRow<'_>),
    ) -> Result<(), LedgerError> {
        self.each(ROWS_BY_SCORE, (from_us, positive), visit).map_err(|source| self.failed(source))
    }

    /// By place of a version of stage `shadow`: how many of its predictions have one of stage `primary` beside them, and how
    /// many of those are equal.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn shadow_agreement(&self, from_us: i64) -> Result<BTreeMap<usize, (u64, u64)>, LedgerError> {
        if self.versions.iter().all(|version| version.stage != SHADOW) {
            return Ok(BTreeMap::new());
        }
        let read = || {
            let mut statement = self.connection.prepare_cached(AGREEMENT)?;
            let agreement = statement.query_map((from_us, SHADOW), |row| {
                Ok((place(row.get(0)?), (row.get::<_, i64>(1)? as u64, row.get::<_, i64>(2)? as u64)))
            })?;
            agreement.collect::<rusqlite::Result<BTreeMap<_, _>>>()
        };
        read().map_err(|source| self.failed(source))
    }

    fn each(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        mut visit: impl FnMut(WindowRow<'_>),
    ) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(parameters)?;
        while let Some(row) = rows.next()? {
            visit(WindowRow {
                version: place(row.get(0)?),
                time_us: row.get(1)?,
                prediction: row.get_ref(2)?.as_str()?,
                confidence: row.get(3)?,
                label: text(row.get_ref(4)?)?,
                flagged: row.get(5)?,
                decision: text(row.get_ref(6)?)?,
                duration_us: row.get(7)?,
            });
        }
        Ok(())
    }
}

fn place(number: i64) -> usize {
    (number as usize).saturating_sub(1)
}

fn text(value: ValueRef<'_>) -> rusqlite::Result<Option<&str>> {
    Ok(value.as_str_or_null()?)
}
