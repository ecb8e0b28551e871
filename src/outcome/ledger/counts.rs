//! Counts since the ledger began: a row a version, kind and outcome.

use rusqlite::Transaction;

/// The kind under which outcomes are counted beside labels.
pub(super) const OUTCOME: &str = "outcome";

/// The kind under which forgotten predictions are counted.
pub(super) const FORGOTTEN: &str = "forgotten";

/// Counts something of a version, or of none where it is 0.
pub(super) fn count(
    transaction: &Transaction<'_>,
    version: i64,
    kind: &str,
    outcome: &str,
    count: u64,
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO totals VALUES (?1, ?2, ?3, ?4) ON CONFLICT (version, kind, outcome) DO UPDATE SET count = count + ?4",
    )?;
    statement.execute((version, kind, outcome, count as i64)).map(|_| ())
}
