//! The ledger's file: what is in it, and is this one of ours?
//!
//! ```text
//! application_id  "info"      whose file it is
//! user_version    1           its layout; a newer one is refused
//! versions                    one row a model name, version and stage
//! predictions                 one row a prediction, in the order of arrival, with what is known of it
//! labels                      one row a label, in the order of arrival
//! documents                   documents of outcomes that nobody has taken yet
//! totals                      what was counted since the ledger began
//! delays                      how long first labels took: a histogram a version, as JSON
//! progress                    at most one row: the last label that was taken over from the labels' store
//! ```
//!
//! Predictions and labels are found by a number made of `request_id` and row, 8 bytes of a digest, and the text is compared then.
//! The index of numbers is small enough to stay in the page cache, which an index of texts in random order is not.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::error::LedgerError;

/// "info" in ASCII.
const APPLICATION_ID: i64 = 0x696e_666f;

/// The layout that this program writes.
const LAYOUT: i64 = 1;

/// How long to wait for a verb that reads.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// Settings of the connection. FULL, because the checkpoint relies on what is committed here. Limits: 16 MiB of page cache, 8 MiB
/// of write-ahead log; what is sorted goes to a file where it is more.
const SETTINGS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA cache_size = -16384;
    PRAGMA wal_autocheckpoint = 2000;
    PRAGMA journal_size_limit = 8388608;
    PRAGMA secure_delete = FAST;
    PRAGMA temp_store = FILE;
    PRAGMA trusted_schema = OFF;";

const TABLES: &str = "
CREATE TABLE versions (
    version       INTEGER PRIMARY KEY,
    model_name    TEXT NOT NULL,
    model_version TEXT NOT NULL,
    stage         TEXT NOT NULL,
    UNIQUE (model_name, model_version, stage)
);
CREATE TABLE predictions (
    number      INTEGER PRIMARY KEY,
    key         INTEGER NOT NULL,
    request_id  TEXT NOT NULL,
    batch_index INTEGER,
    version     INTEGER NOT NULL,
    time_us     INTEGER NOT NULL,
    record_id   TEXT NOT NULL,
    prediction  TEXT NOT NULL,
    confidence  REAL,
    flagged     INTEGER NOT NULL,
    label       TEXT,
    decision    TEXT,
    opened_us   INTEGER,
    decided_us  INTEGER
);
CREATE INDEX predictions_by_key ON predictions (key);
CREATE TABLE labels (
    number      INTEGER PRIMARY KEY,
    key         INTEGER NOT NULL,
    request_id  TEXT NOT NULL,
    batch_index INTEGER,
    id          TEXT NOT NULL,
    kind        TEXT NOT NULL,
    label       TEXT,
    known_us    INTEGER NOT NULL,
    said_by     TEXT,
    decision    TEXT,
    opened_us   INTEGER,
    decided_us  INTEGER,
    seen_us     INTEGER NOT NULL,
    waits       INTEGER NOT NULL
);
CREATE INDEX labels_by_key ON labels (key);
CREATE INDEX labels_waiting ON labels (waits, seen_us) WHERE waits > 0;
CREATE TABLE documents (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL,
    timestamp_us INTEGER NOT NULL,
    document     TEXT NOT NULL
);
CREATE TABLE totals (
    version INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    outcome TEXT NOT NULL,
    count   INTEGER NOT NULL,
    PRIMARY KEY (version, kind, outcome)
) WITHOUT ROWID;
CREATE TABLE delays (
    version INTEGER PRIMARY KEY,
    delays  TEXT NOT NULL
);
CREATE TABLE progress (number INTEGER NOT NULL, id TEXT NOT NULL);";

/// Opens the ledger, creating it where there is none.
pub(super) fn open(path: &Path) -> Result<Connection, LedgerError> {
    // SQLite would create it with the umask's mode; the files that it puts beside take the mode of this one.
    let created = std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    created.map_err(|source| LedgerError::File { path: path.to_owned(), source })?;
    let sqlite = |source| LedgerError::Sqlite { path: path.to_owned(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sqlite)?;
    // Else SQLite compiles a statement again for each value that is compared with an indexed column: most of all time here.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(sqlite)?;
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(sqlite);
    let (application, layout) = (number("PRAGMA application_id")?, number("PRAGMA user_version")?);
    let is_new = application == 0 && layout == 0 && number("SELECT count(*) FROM sqlite_schema")? == 0;
    if !is_new && application != APPLICATION_ID {
        return Err(LedgerError::Foreign { path: path.to_owned() });
    }
    if layout > LAYOUT {
        return Err(LedgerError::Newer { path: path.to_owned(), found: layout, known: LAYOUT });
    }
    connection.execute_batch(SETTINGS).map_err(sqlite)?;
    connection.set_prepared_statement_cache_capacity(64);
    if is_new {
        create(&mut connection).map_err(sqlite)?;
    }
    Ok(connection)
}

fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", LAYOUT)?;
    transaction.commit()
}
