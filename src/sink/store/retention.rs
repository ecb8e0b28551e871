//! Retention: what is deleted, and when?
//!
//! Age is the time since a record's `@timestamp`. What is older than `at_most` is deleted. Above `bytes_max` the oldest
//! records are deleted, but never those younger than `at_least`: rather than that, the pipeline waits.
//!
//! Bytes are those of the pages in use in the database file; the write-ahead log (8 MiB, more while a long query
//! runs) comes on top, as do free pages: a sixteenth of the file at most stays for the next records, the rest goes
//! back to the file system. Every function here does a small step, so that no delivery waits long for it.

use std::time::Duration;

use rusqlite::Connection;

use super::error::StoreError;

/// The smallest `bytes_max`: below it the empty tables and one batch would fill the store.
pub const BYTES_MAX_MIN: u64 = 1024 * 1024;

/// Rows deleted in one step: 20 ms or so.
const STEP_ROWS: i64 = 1000;
/// Pages given back in one step, 8 KiB each.
const STEP_PAGES: i64 = 256;
/// Free pages that are kept in any case; in a large file a sixteenth of it.
const FREE_PAGES_KEPT: i64 = 64;

/// How long records are kept. The default keeps everything for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Nothing younger is deleted to make room.
    pub at_least: Option<Duration>,
    /// Everything older is deleted.
    pub at_most: Option<Duration>,
    /// Size of the database file above which the oldest records are deleted; at least [`BYTES_MAX_MIN`].
    pub bytes_max: Option<u64>,
}

impl Retention {
    /// Refuses what cannot be kept.
    pub fn check(&self) -> Result<(), StoreError> {
        let problem = match (self.at_least, self.at_most, self.bytes_max) {
            (Some(at_least), Some(at_most), _) if at_least > at_most => {
                "`at_least` is longer than `at_most`".to_owned()
            }
            (_, _, Some(bytes_max)) if bytes_max < BYTES_MAX_MIN => {
                format!("`bytes_max` is {bytes_max}, less than the smallest possible, {BYTES_MAX_MIN}")
            }
            _ => return Ok(()),
        };
        Err(StoreError::Retention { problem })
    }

    /// What is older than this may go to make room.
    fn deletable_before_us(&self, now_us: i64) -> i64 {
        self.at_least.map_or(i64::MAX, |age| before_us(now_us, age))
    }

    /// Deletes the oldest until the store holds `bytes_max`, or what it held before, whichever is more: a delivery
    /// that meets a store that is too full leaves it no fuller, and [`Retention::step`] shrinks it. False if not enough
    /// may be deleted.
    pub(super) fn make_room(&self, connection: &Connection, now_us: i64, before: u64) -> rusqlite::Result<bool> {
        let Some(bytes_max) = self.bytes_max else { return Ok(true) };
        while used_bytes(connection)? > bytes_max.max(before) {
            if delete_oldest(connection, self.deletable_before_us(now_us))? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Deletes and gives back a little of what is due. True if more is due.
    pub(super) fn step(&self, connection: &Connection, now_us: i64) -> rusqlite::Result<bool> {
        let mut deleted = 0;
        if let Some(at_most) = self.at_most {
            deleted += delete_oldest(connection, before_us(now_us, at_most))?;
            deleted += delete_drift(connection, before_us(now_us, at_most))?;
        }
        if self.bytes_max.is_some_and(|bytes_max| used_bytes(connection).is_ok_and(|used| used > bytes_max)) {
            deleted += delete_oldest(connection, self.deletable_before_us(now_us))?;
        }
        Ok(deleted > 0 || give_back(connection)?)
    }
}

fn before_us(now_us: i64, age: Duration) -> i64 {
    now_us.saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX))
}

/// Deletes some of the oldest records before a time; tells how many. The time of the latest one is kept, so that nobody
/// takes what is gone for missing.
fn delete_oldest(connection: &Connection, before_us: i64) -> rusqlite::Result<usize> {
    let latest = "SELECT max(timestamp_us) FROM
        (SELECT timestamp_us FROM records WHERE timestamp_us < ?1 ORDER BY timestamp_us LIMIT ?2)";
    let latest: Option<i64> = connection.prepare_cached(latest)?.query_row((before_us, STEP_ROWS), |row| row.get(0))?;
    let Some(latest_us) = latest else { return Ok(0) };
    let sql = "DELETE FROM records WHERE rowid IN
        (SELECT rowid FROM records WHERE timestamp_us < ?1 ORDER BY timestamp_us LIMIT ?2)";
    let deleted = connection.prepare_cached(sql)?.execute((before_us, STEP_ROWS))?;
    if connection.prepare_cached("UPDATE expired SET timestamp_us = max(timestamp_us, ?1)")?.execute([latest_us])? == 0
    {
        connection.prepare_cached("INSERT INTO expired VALUES (?1)")?.execute([latest_us])?;
    }
    Ok(deleted)
}

/// Deletes some of the documents of drift before a time; tells how many.
fn delete_drift(connection: &Connection, before_us: i64) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM drift WHERE rowid IN
        (SELECT rowid FROM drift WHERE timestamp_us < ?1 ORDER BY timestamp_us LIMIT ?2)";
    connection.prepare_cached(sql)?.execute((before_us, STEP_ROWS))
}

/// Gives some free pages back to the file system. True if more are to be given back.
fn give_back(connection: &Connection) -> rusqlite::Result<bool> {
    let kept = FREE_PAGES_KEPT.max(number(connection, "PRAGMA page_count")? / 16);
    let spare = number(connection, "PRAGMA freelist_count")? - kept;
    if spare <= 0 {
        return Ok(false);
    }
    // This statement gives back one page for each row that it is asked for.
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({})", spare.min(STEP_PAGES)))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(spare > STEP_PAGES)
}

/// Bytes of the pages in use, within the transaction.
pub(super) fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let pages = number(connection, "PRAGMA page_count")? - number(connection, "PRAGMA freelist_count")?;
    Ok((pages * number(connection, "PRAGMA page_size")?) as u64)
}

fn number(connection: &Connection, sql: &str) -> rusqlite::Result<i64> {
    connection.prepare_cached(sql)?.query_row([], |row| row.get(0))
}
