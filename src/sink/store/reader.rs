//! Reading: what is in a store, beside a process that writes?

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::error::StoreError;
use super::schema;
use crate::flow::batch::{FileKey, Id, Stream};

/// Instructions of SQLite's machine between two looks whether a search shall end: those of some dozens of rows.
const STEPS_BETWEEN_LOOKS: i32 = 1_000;

/// A store opened for reading.
#[derive(Debug)]
pub struct Reader {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
}

/// A document: its file as [`FileKey`] names it, the start of its line there in bytes, its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The start of its line, in bytes from the start of the file.
    pub offset_bytes: u64,
    /// The id.
    pub id: String,
}

impl Reader {
    /// Opens an existing store.
    pub(super) fn open(path: &Path) -> Result<Reader, StoreError> {
        Ok(Reader { connection: schema::open_read_only(path)?, path: path.to_owned() })
    }

    /// The number of documents. Walks the smallest index, about 10 ms for 100,000 documents.
    pub fn count(&self) -> Result<u64, StoreError> {
        let count = self.connection.query_row("SELECT count(*) FROM records", [], |row| row.get::<_, i64>(0));
        Ok(count.map_err(|source| self.failed(source))? as u64)
    }

    /// Has what is asked from now on end with an error ([`StoreError::is_interrupted`]) soon after `is_over` is true, which is
    /// asked again and again meanwhile.
    ///
    /// # Errors
    /// When SQLite does not take it.
    pub fn interrupt_when(&mut self, is_over: impl FnMut() -> bool + Send + 'static) -> Result<(), StoreError> {
        let set = self.connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(is_over));
        set.map_err(|source| self.failed(source))
    }

    /// The connection, for queries in SQL on the table `records`.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Those of some ids that documents have.
    pub fn present(&self, ids: &[Id]) -> Result<HashSet<Id>, StoreError> {
        let look = || {
            let mut statement = self.connection.prepare_cached("SELECT 1 FROM records WHERE id = ?1")?;
            let mut present = HashSet::with_capacity(ids.len());
            for id in ids {
                if statement.exists([id.as_str()])? {
                    present.insert(*id);
                }
            }
            Ok(present)
        };
        look().map_err(|source| self.failed(source))
    }

    /// Visits every document of some files, each up to an offset in bytes. Reads the whole table once.
    pub fn each_place(&self, bounds: &BTreeMap<String, u64>, mut visit: impl FnMut(Place)) -> Result<(), StoreError> {
        let mut by_file = BTreeMap::new();
        for (key, to_bytes) in bounds {
            if let Some(FileKey { inode, generation }) = FileKey::read(key) {
                by_file.insert((inode, generation), (key, *to_bytes));
            }
        }
        self.places(
            "SELECT log_inode, log_generation, log_offset_bytes, id FROM records",
            |inode, generation, offset, id| {
                if let Some((key, to_bytes)) = by_file.get(&(inode, generation))
                    && offset < *to_bytes
                {
                    visit(Place { file: (*key).clone(), offset_bytes: offset, id });
                }
            },
        )
    }

    /// The records that orders have erased.
    pub fn tombstones(&self) -> Result<Vec<Place>, StoreError> {
        let mut tombstones = Vec::new();
        if self.has_accounts()? {
            let sql = "SELECT log_inode, log_generation, log_offset_bytes, id FROM tombstones";
            self.places(sql, |inode, generation, offset_bytes, id| {
                let file = FileKey { inode, generation }.to_string();
                tombstones.push(Place { file, offset_bytes, id });
            })?;
        }
        Ok(tombstones)
    }

    /// The pipeline's own accounts, in the order in which they were written, as JSON.
    pub fn accounts(&self) -> Result<Vec<String>, StoreError> {
        if !self.has_accounts()? {
            return Ok(Vec::new());
        }
        let read = || {
            let mut statement = self.connection.prepare("SELECT document FROM accounts ORDER BY rowid")?;
            let rows = statement.query_map([], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<Vec<String>>>()
        };
        read().map_err(|source| self.failed(source))
    }

    /// Documents of drift with a time from one to before another, in microseconds since 1970, the oldest first, as JSON.
    pub fn drift(&self, from_us: i64, to_us: i64) -> Result<Vec<String>, StoreError> {
        self.documents_of(Stream::Drift, from_us, to_us)
    }

    /// Documents of outcomes with a time from one to before another, in microseconds since 1970, the oldest first, as JSON.
    pub fn outcomes(&self, from_us: i64, to_us: i64) -> Result<Vec<String>, StoreError> {
        self.documents_of(Stream::Outcomes, from_us, to_us)
    }

    /// Documents of a kind with a time from one to before another.
    fn documents_of(&self, stream: Stream, from_us: i64, to_us: i64) -> Result<Vec<String>, StoreError> {
        let read = || {
            if !self.has_table(stream)? {
                return Ok(Vec::new());
            }
            let table = stream.as_str();
            let sql = format!(
                "SELECT document FROM {table} WHERE timestamp_us >= ?1 AND timestamp_us < ?2 ORDER BY timestamp_us, rowid"
            );
            let mut statement = self.connection.prepare(&sql)?;
            let rows = statement.query_map([from_us, to_us], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<Vec<String>>>()
        };
        read().map_err(|source| self.failed(source))
    }

    /// Records behind a row, in the order in which they came: number of the row, id, time in microseconds since 1970, document.
    /// At most so many.
    pub fn records_behind(&self, row: i64, rows_max: usize) -> Result<Vec<(i64, String, i64, String)>, StoreError> {
        let read = || {
            let sql = "SELECT rowid, id, timestamp_us, document FROM records WHERE rowid > ?1 ORDER BY rowid LIMIT ?2";
            let mut statement = self.connection.prepare_cached(sql)?;
            let rows = statement
                .query_map((row, rows_max as i64), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|source| self.failed(source))
    }

    /// Visits the id and document of each record with one of these `request_id`s. Walks the index of heart fields once.
    pub fn each_of_requests(&self, ids: &HashSet<String>, mut visit: impl FnMut(&str, &str)) -> Result<(), StoreError> {
        let mut read = || {
            let mut all =
                self.connection.prepare("SELECT rowid, request_id FROM records INDEXED BY records_by_time")?;
            let mut one = self.connection.prepare_cached("SELECT id, document FROM records WHERE rowid = ?1")?;
            let mut rows = all.query([])?;
            while let Some(row) = rows.next()? {
                let is_sought = match row.get_ref(1)? {
                    ValueRef::Text(text) => std::str::from_utf8(text).is_ok_and(|id| ids.contains(id)),
                    ValueRef::Integer(number) => ids.contains(&number.to_string()),
                    ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => false,
                };
                if is_sought {
                    let row: i64 = row.get(0)?;
                    one.query_row([row], |row| {
                        visit(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
                        Ok(())
                    })?;
                }
            }
            Ok(())
        };
        read().map_err(|source| self.failed(source))
    }

    /// Whether a row of records has this id.
    pub fn is_at(&self, row: i64, id: &str) -> Result<bool, StoreError> {
        let read =
            || self.connection.prepare_cached("SELECT 1 FROM records WHERE rowid = ?1 AND id = ?2")?.exists((row, id));
        read().map_err(|source| self.failed(source))
    }

    /// Records with a time up to this, in microseconds since 1970, may have been deleted by retention.
    pub fn expired_until_us(&self) -> Result<Option<i64>, StoreError> {
        if !self.has_accounts()? {
            return Ok(None);
        }
        let latest = self.connection.query_row("SELECT max(timestamp_us) FROM expired", [], |row| row.get(0));
        latest.map_err(|source| self.failed(source))
    }

    fn has_accounts(&self) -> Result<bool, StoreError> {
        self.has_table(Stream::Accounts).map_err(|source| self.failed(source))
    }

    /// Whether the store has the table of a kind of documents, which is called as the kind is. A store of an older layout lacks tables
    /// until a newer inferlog writes into it.
    pub(super) fn has_table(&self, stream: Stream) -> rusqlite::Result<bool> {
        let sql = "SELECT count(*) FROM sqlite_schema WHERE name = ?1";
        self.connection.query_row(sql, [stream.as_str()], |row| row.get::<_, i64>(0)).map(|tables| tables > 0)
    }

    /// Visits rows of inode, generation, offset and id; those without a place are passed over.
    fn places(&self, sql: &str, mut visit: impl FnMut(u64, u32, u64, String)) -> Result<(), StoreError> {
        let mut read = || {
            let mut statement = self.connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                if let Some((inode, generation, offset_bytes, id)) = place(row)? {
                    visit(inode, generation, offset_bytes, id);
                }
            }
            Ok(())
        };
        read().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: rusqlite::Error) -> StoreError {
        StoreError::sqlite(&self.path, source)
    }
}

fn place(row: &Row<'_>) -> rusqlite::Result<Option<(u64, u32, u64, String)>> {
    let (inode, generation, offset): (Option<i64>, Option<u32>, Option<i64>) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let id = row.get(3)?;
    Ok(match (inode, generation, offset) {
        (Some(inode), Some(generation), Some(offset)) => Some((inode as u64, generation, offset as u64, id)),
        _ => None,
    })
}
