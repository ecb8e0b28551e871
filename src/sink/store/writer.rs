//! The writing side: one transaction for each request, or for several that wait.
//!
//! Any failure drops the connection, and the next try opens it anew: a store that was full, locked, moved away or on a
//! volume that was gone is taken up again without a restart. The time comes in as an argument.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{CachedStatement, Connection, ErrorCode, Transaction, TransactionBehavior};

use super::error::StoreError;
use super::retention::{Retention, used_bytes};
use super::schema;
use crate::flow::answer::{Answer, Outcome, Reason};
use crate::flow::batch::{Batch, Item, Stream};
use crate::sink::Request;

const INSERT: &str = "INSERT INTO records
    (id, timestamp_us, log_file_path, log_inode, log_generation, log_offset_bytes, log_length_bytes, document)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO NOTHING";

const INSERT_ACCOUNT: &str =
    "INSERT INTO accounts (id, timestamp_us, document) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO NOTHING";

const INSERT_DRIFT: &str =
    "INSERT INTO drift (id, timestamp_us, document) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO NOTHING";

const INSERT_OUTCOME: &str =
    "INSERT INTO outcomes (id, timestamp_us, document) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO NOTHING";

const ERASED: &str = "SELECT 1 FROM tombstones WHERE id = ?1";

/// An outcome goes with the record of its prediction.
const ERASED_PREDICTION: &str = "SELECT 1 FROM tombstones WHERE id = json_extract(?1, '$.prediction_id')";

/// Where the store is and how long it keeps what.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The file; its folder must exist. SQLite keeps `-wal` and `-shm` beside it.
    pub path: PathBuf,
    /// What is deleted, and when.
    pub retention: Retention,
}

/// The store's only writer.
#[derive(Debug)]
pub(super) struct Writer {
    options: StoreOptions,
    opened: Option<Database>,
}

#[derive(Debug)]
struct Database {
    connection: Connection,
    inode: u64,
}

impl Database {
    /// Gives it back if it is still the file at `path`: what is written to one that was moved away would be lost.
    /// What was answered for so far is folded into that one, whose write-ahead log stays behind under the old name.
    fn still_at(self, path: &Path) -> Option<Database> {
        if std::fs::metadata(path).is_ok_and(|metadata| metadata.ino() == self.inode) {
            return Some(self);
        }
        let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        None
    }
}

impl Writer {
    pub(super) fn new(options: StoreOptions) -> Writer {
        Writer { options, opened: None }
    }

    /// Looks whether the store can be written to.
    pub(super) fn probe(&mut self) -> Result<(), StoreError> {
        self.with_transaction(|_, _| Ok(()))
    }

    /// Tries once to insert the items of some requests, all in one transaction; an answer for each.
    pub(super) fn deliver(&mut self, requests: &[Request], now_us: i64) -> Vec<Answer> {
        match self.insert(requests, now_us) {
            Ok(outcomes) => outcomes.into_iter().map(Answer::Items).collect(),
            // There may be room for some of them.
            Err(StoreError::NoRoom { .. }) if requests.len() > 1 => {
                requests.chunks(1).flat_map(|request| self.deliver(request, now_us)).collect()
            }
            Err(error) => requests.iter().map(|_| Answer::Wait(error.trouble())).collect(),
        }
    }

    /// Inserts all that is new of some requests, or nothing.
    fn insert(&mut self, requests: &[Request], now_us: i64) -> Result<Vec<Vec<Outcome>>, StoreError> {
        self.with_transaction(|transaction, options| {
            let sqlite = |source| StoreError::sqlite(&options.path, source);
            let before = used_bytes(transaction).map_err(sqlite)?;
            let inserted = requests.iter().map(|request| insert_all(transaction, request));
            let outcomes = inserted.collect::<rusqlite::Result<Vec<_>>>().map_err(sqlite)?;
            let room = !outcomes.iter().any(|outcomes| outcomes.contains(&Outcome::Indexed))
                || options.retention.make_room(transaction, now_us, before).map_err(sqlite)?;
            match options.retention.bytes_max {
                Some(bytes_max) if !room => Err(StoreError::NoRoom { path: options.path.clone(), bytes_max }),
                _ => Ok(outcomes),
            }
        })
    }

    /// Does a little of what retention asks for. True if more is due.
    pub(super) fn upkeep(&mut self, now_us: i64) -> Result<bool, StoreError> {
        self.with_transaction(|transaction, options| {
            let more = options.retention.step(transaction, now_us);
            more.map_err(|source| StoreError::sqlite(&options.path, source))
        })
    }

    /// Runs `work` in a transaction that is committed if it succeeds.
    fn with_transaction<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, &StoreOptions) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let options = &self.options;
        let sqlite = |source| StoreError::sqlite(&options.path, source);
        let mut opened = match self.opened.take().and_then(|opened| opened.still_at(&options.path)) {
            Some(opened) => opened,
            None => open(&options.path)?,
        };
        let transaction =
            opened.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
        let done = work(&transaction, options)?;
        transaction.commit().map_err(sqlite)?;
        self.opened = Some(opened);
        Ok(done)
    }

    #[cfg(test)]
    pub(super) fn connection(&self) -> &Connection {
        &self.opened.as_ref().expect("open").connection
    }
}

fn open(path: &Path) -> Result<Database, StoreError> {
    let connection = schema::open(path)?;
    let metadata = std::fs::metadata(path).map_err(|source| StoreError::file(path, source))?;
    Ok(Database { connection, inode: metadata.ino() })
}

fn insert_all(transaction: &Transaction<'_>, request: &Request) -> rusqlite::Result<Vec<Outcome>> {
    let stream = request.batch.stream();
    let (insert_sql, erased_sql) = match stream {
        Stream::Records => (INSERT, ERASED),
        Stream::Accounts => (INSERT_ACCOUNT, ERASED),
        Stream::Drift => (INSERT_DRIFT, ERASED),
        Stream::Outcomes => (INSERT_OUTCOME, ERASED_PREDICTION),
    };
    let mut statement = transaction.prepare_cached(insert_sql)?;
    let mut erased = transaction.prepare_cached(erased_sql)?;
    let some_are_erased = transaction.prepare_cached("SELECT 1 FROM tombstones LIMIT 1")?.exists([])?;
    let mut outcomes = Vec::with_capacity(request.len());
    for item in request.items() {
        let known_by = match stream {
            Stream::Outcomes => std::str::from_utf8(request.batch.document(item)).unwrap_or("{}"),
            Stream::Records | Stream::Accounts | Stream::Drift => item.id.as_str(),
        };
        outcomes.push(match some_are_erased && erased.exists([known_by])? {
            true => Outcome::Erased,
            false => insert(&mut statement, &request.batch, item)?,
        });
    }
    Ok(outcomes)
}

/// Inserts one document. `Err` is about the store, never about the document.
fn insert(statement: &mut CachedStatement<'_>, batch: &Batch, item: &Item) -> rusqlite::Result<Outcome> {
    let Ok(document) = std::str::from_utf8(batch.document(item)) else {
        return Ok(rejected("document_not_utf8", "the document is not valid UTF-8"));
    };
    let inserted = match batch.place_of(item) {
        Some((file, origin)) => statement.execute((
            item.id.as_str(),
            item.timestamp_us,
            &file.path,
            // SQLite's integers are signed; an inode above 2^63 comes out negative, and back whole.
            file.inode as i64,
            file.generation,
            origin.offset_bytes as i64,
            origin.length_bytes,
            document,
        )),
        None => statement.execute((item.id.as_str(), item.timestamp_us, document)),
    };
    match inserted {
        Ok(0) => Ok(Outcome::Duplicate),
        Ok(_) => Ok(Outcome::Indexed),
        Err(error) => rejection(&error).ok_or(error),
    }
}

/// The two things that SQLite cannot take. It fails before it has changed anything, so the transaction goes on.
fn rejection(error: &rusqlite::Error) -> Option<Outcome> {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) if failure.code == ErrorCode::TooBig => {
            Some(rejected("document_too_large", "the document is larger than SQLite takes, 1 GB"))
        }
        // The document is JSON, or it would not be here; what remains is the depth.
        rusqlite::Error::SqliteFailure(_, Some(message)) if message == "malformed JSON" => Some(rejected(
            "document_too_deep",
            "SQLite takes objects and arrays nested up to 1,000 deep, and this document is deeper",
        )),
        _ => None,
    }
}

fn rejected(kind: &str, detail: &str) -> Outcome {
    Outcome::Rejected(Reason { kind: kind.to_owned(), detail: detail.to_owned() })
}
