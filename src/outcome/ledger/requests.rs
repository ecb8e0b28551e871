//! Requests whose predictions somebody has to look for.

use std::collections::HashSet;

use super::error::LedgerError;
use super::file::Ledger;

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sought {
    /// Those of labels that wait.
    Waiting,
    /// Those of labels that came since a moment, in microseconds since 1970, whether they wait or not: more versions may have
    /// answered.
    SeenSince(i64),
}

impl Ledger {
    /// `request_id`s of labels, of at most so many labels behind a number, and the number of the last of them.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn requests(
        &self,
        sought: Sought,
        behind: i64,
        labels_max: usize,
    ) -> Result<(HashSet<String>, Option<i64>), LedgerError> {
        let (condition, since_us) = match sought {
            Sought::Waiting => ("waits > 0 AND ?2 = 0", 0),
            Sought::SeenSince(since_us) => ("seen_us >= ?2", since_us),
        };
        let sql =
            format!("SELECT number, request_id FROM labels WHERE number > ?1 AND {condition} ORDER BY number LIMIT ?3");
        let read = || {
            let (mut ids, mut last) = (HashSet::new(), None);
            let mut statement = self.connection.prepare_cached(&sql)?;
            let mut rows = statement.query((behind, since_us, labels_max as i64))?;
            while let Some(row) = rows.next()? {
                last = Some(row.get(0)?);
                ids.insert(row.get(1)?);
            }
            Ok((ids, last))
        };
        read().map_err(|source| self.failed(source))
    }
}
