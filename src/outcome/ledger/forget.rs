//! What the ledger lets go: predictions and labels that are too old or too many, and the patience with labels that wait.

use rusqlite::{Transaction, TransactionBehavior};

use super::counts::{FORGOTTEN, count};
use super::error::LedgerError;
use super::file::Ledger;
use crate::outcome::truth::LabelOutcome;

/// The most rows of a kind that one step lets go, so that none takes long.
const STEP_ROWS_MAX: i64 = 2_000;

impl Ledger {
    /// Lets a little go of what is due at this moment, in microseconds since 1970. True if more is due.
    ///
    /// # Errors
    /// When it cannot be written: nothing is let go.
    pub fn forget(&mut self, now_us: i64) -> Result<bool, LedgerError> {
        self.try_forget(now_us).map_err(|source| self.failed(source))
    }

    fn try_forget(&mut self, now_us: i64) -> rusqlite::Result<bool> {
        let options = self.options;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let oldest_us = now_us.saturating_sub(options.keep.as_micros() as i64);
        let patient_us = now_us.saturating_sub(options.patience.as_micros() as i64);
        let unknown = give_up_waiting(&transaction, patient_us)?;
        let forgotten = forget_old(&transaction, oldest_us)? + forget_first(&transaction, options.predictions_max)?;
        count(&transaction, 0, FORGOTTEN, FORGOTTEN, forgotten as u64)?;
        let labels = transaction
            .prepare_cached(
                "DELETE FROM labels WHERE number IN (SELECT number FROM labels ORDER BY number LIMIT ?2) AND seen_us < ?1",
            )?
            .execute((oldest_us, STEP_ROWS_MAX))? as i64;
        transaction.commit()?;
        Ok([unknown, forgotten, labels].iter().any(|rows| *rows >= STEP_ROWS_MAX))
    }
}

/// Counts labels as unknown that have waited since before a moment. They still wait.
fn give_up_waiting(transaction: &Transaction<'_>, before_us: i64) -> rusqlite::Result<i64> {
    let mut due = transaction
        .prepare_cached("SELECT number, kind FROM labels WHERE waits > 0 AND waits = 1 AND seen_us < ?1 LIMIT ?2")?;
    let due: Vec<(i64, String)> =
        due.query_map((before_us, STEP_ROWS_MAX), |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let mut update = transaction.prepare_cached("UPDATE labels SET waits = 2 WHERE number = ?1")?;
    for (number, kind) in &due {
        update.execute([number])?;
        count(transaction, 0, kind, LabelOutcome::Unknown.as_str(), 1)?;
    }
    Ok(due.len() as i64)
}

fn forget_old(transaction: &Transaction<'_>, oldest_us: i64) -> rusqlite::Result<i64> {
    let mut delete = transaction.prepare_cached(
        "DELETE FROM predictions WHERE number IN (SELECT number FROM predictions ORDER BY number LIMIT ?2) AND time_us < ?1",
    )?;
    Ok(delete.execute((oldest_us, STEP_ROWS_MAX))? as i64)
}

/// Numbers follow each other, so the first and the last tell how many there are.
fn forget_first(transaction: &Transaction<'_>, rows_max: u64) -> rusqlite::Result<i64> {
    let bounds = "SELECT (SELECT min(number) FROM predictions), (SELECT max(number) FROM predictions)";
    let bounds = transaction
        .prepare_cached(bounds)?
        .query_row([], |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?)))?;
    let (Some(first), Some(last)) = bounds else { return Ok(0) };
    let beyond = last.saturating_sub(i64::try_from(rows_max).unwrap_or(i64::MAX)).min(first + STEP_ROWS_MAX - 1);
    Ok(transaction.prepare_cached("DELETE FROM predictions WHERE number <= ?1")?.execute([beyond])? as i64)
}
