//! The store's file: what is in it, and is this one of ours?
//!
//! ```text
//! application_id  "infl"      whose file it is
//! user_version    4           its layout; an older one is brought up to date, a newer one is refused
//! records                     one row a document
//!   id, timestamp_us, log_…   as the batch's table has them
//!   document                  the JSON as shipped, byte for byte
//!   request_id … input_hash   the heart fields, extracted by SQLite: not stored in the row
//! records_by_time             time, and the heart fields that are short
//! accounts                    the pipeline's own accounts, one row each (since layout 2)
//! tombstones                  records that an order has erased: no content of them (since layout 2)
//! expired                     at most one row: the latest time of a record that retention has deleted (since layout 2)
//! drift                       documents of drift, one row each (since layout 3)
//! outcomes                    documents of outcomes, one row each, with the `_id` of their prediction's record (since layout 4)
//! ```
//!
//! Why so, measured on two cores shared with other work, documents of 750 to 800 bytes, 4,000 a transaction:
//! - Indexes on `request_id` and `input_hash` take values in random order, so each batch rewrites pages all over the
//!   index: 17,000 rows/s after 200,000 rows, and falling. One index in the order of time that holds all short heart
//!   fields is only appended to: 100,000 to 130,000 rows/s up to 1,000,000. A query that needs heart fields alone, as
//!   a look for one `input_hash` among 1,000,000 rows, reads that index and no document: 140 ms or less.
//! - Heart columns that are STORED fill the rows as well (15 % more space) and are no faster to insert; VIRTUAL ones
//!   outside of the index cost parsing, 1 to 2 µs a row read.
//! - Pages of 8 KiB rather than 4 KiB: rows of 850 bytes fit better, a tenth less is written.
//!
//! `prediction` is not in the index because it may be a chat model's whole answer.
//! A heart field has the value's own type: text, integer, real; `true` and `false` are 1 and 0; objects and arrays are
//! JSON text; a missing one and `null` are NULL. Numbers there have SQLite's precision; the document has all digits.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::error::StoreError;

/// "infl" in ASCII.
const APPLICATION_ID: i64 = 0x696e_666c;
/// The layout that this program writes.
pub(super) const LAYOUT: i64 = 4;

/// How long to wait for another program's write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// Settings that are kept in the file; they must come before the first table.
const FILE_SETTINGS: &str = "PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL;";

/// Settings of the writing connection. FULL, because an answer must survive the loss of power; the fullfsync ones do
/// the same on macOS. Limits: 4 MiB of page cache, 8 MiB of write-ahead log. Deleted content is overwritten in pages that are
/// written anyway.
const WRITER_SETTINGS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA fullfsync = ON;
    PRAGMA checkpoint_fullfsync = ON;
    PRAGMA cache_size = -4096;
    PRAGMA wal_autocheckpoint = 1000;
    PRAGMA journal_size_limit = 8388608;
    PRAGMA secure_delete = FAST;
    PRAGMA temp_store = MEMORY;
    PRAGMA trusted_schema = OFF;";

const TABLES: &str = r#"
CREATE TABLE records (
    id               TEXT NOT NULL UNIQUE,
    timestamp_us     INTEGER NOT NULL,
    log_file_path    TEXT,
    log_inode        INTEGER,
    log_generation   INTEGER,
    log_offset_bytes INTEGER,
    log_length_bytes INTEGER,
    document         TEXT NOT NULL,
    request_id    GENERATED ALWAYS AS (json_extract(document, '$."request_id"')) VIRTUAL,
    model_name    GENERATED ALWAYS AS (json_extract(document, '$."model_name"')) VIRTUAL,
    model_version GENERATED ALWAYS AS (json_extract(document, '$."model_version"')) VIRTUAL,
    prediction    GENERATED ALWAYS AS (json_extract(document, '$."prediction"')) VIRTUAL,
    confidence    GENERATED ALWAYS AS (json_extract(document, '$."confidence"')) VIRTUAL,
    latency_ms    GENERATED ALWAYS AS (json_extract(document, '$."latency_ms"')) VIRTUAL,
    status        GENERATED ALWAYS AS (json_extract(document, '$."status"')) VIRTUAL,
    stage         GENERATED ALWAYS AS (json_extract(document, '$."stage"')) VIRTUAL,
    subject       GENERATED ALWAYS AS (json_extract(document, '$."subject"')) VIRTUAL,
    input_hash    GENERATED ALWAYS AS (json_extract(document, '$."input_hash"')) VIRTUAL
);
CREATE INDEX records_by_time ON records (
    timestamp_us, confidence, latency_ms, model_name, model_version, status, stage, subject, request_id, input_hash
);"#;

/// What layout 2 adds.
const ACCOUNT_TABLES: &str = r#"
CREATE TABLE accounts (
    id           TEXT NOT NULL UNIQUE,
    timestamp_us INTEGER NOT NULL,
    document     TEXT NOT NULL
);
CREATE TABLE tombstones (
    id               TEXT NOT NULL UNIQUE,
    digest           TEXT NOT NULL,
    erasure_order    TEXT NOT NULL,
    reason           TEXT NOT NULL,
    erased_by        TEXT NOT NULL,
    erased_us        INTEGER NOT NULL,
    log_inode        INTEGER,
    log_generation   INTEGER,
    log_offset_bytes INTEGER
);
CREATE TABLE expired (timestamp_us INTEGER NOT NULL);"#;

/// What layout 3 adds.
const DRIFT_TABLE: &str = r#"
CREATE TABLE drift (
    id           TEXT NOT NULL UNIQUE,
    timestamp_us INTEGER NOT NULL,
    document     TEXT NOT NULL
);
CREATE INDEX drift_by_time ON drift (timestamp_us);"#;

/// What each layout adds to the one before it.
const LAYOUTS: [&str; LAYOUT as usize] = [TABLES, ACCOUNT_TABLES, DRIFT_TABLE, OUTCOMES_TABLE];

/// What layout 4 adds.
const OUTCOMES_TABLE: &str = r#"
CREATE TABLE outcomes (
    id            TEXT NOT NULL UNIQUE,
    timestamp_us  INTEGER NOT NULL,
    document      TEXT NOT NULL,
    prediction_id GENERATED ALWAYS AS (json_extract(document, '$.prediction_id')) VIRTUAL
);
CREATE INDEX outcomes_by_time ON outcomes (timestamp_us);"#;

/// Opens the store for writing, creating it where there is none.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    // SQLite would create it with the umask's mode; the files that it puts beside take the mode of this one.
    let created = std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    created.map_err(|source| StoreError::file(path, source))?;
    let sqlite = |source| StoreError::sqlite(path, source);
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(sqlite)?;
    let kind = ColumnKind::of(&connection).map_err(sqlite)?;
    if kind == ColumnKind::Empty {
        connection.execute_batch(FILE_SETTINGS).map_err(sqlite)?;
    } else {
        kind.refuse_strange(path)?;
    }
    connection.execute_batch(WRITER_SETTINGS).map_err(sqlite)?;
    match kind {
        ColumnKind::Empty => create(&mut connection, &LAYOUTS).map_err(sqlite)?,
        ColumnKind::Store(layout @ 1..LAYOUT) => {
            create(&mut connection, &LAYOUTS[layout as usize..]).map_err(sqlite)?;
        }
        ColumnKind::Store(_) | ColumnKind::Foreign => {}
    }
    Ok(connection)
}

/// Opens an existing store for reading.
pub(super) fn open_read_only(path: &Path) -> Result<Connection, StoreError> {
    // Asked and not opened: to close a file gives up every lock that this process has on it, those of its writer too.
    let readable = rustix::fs::access(path, rustix::fs::Access::READ_OK);
    readable.map_err(|errno| StoreError::file(path, errno.into()))?;
    let sqlite = |source| StoreError::sqlite(path, source);
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(sqlite)?;
    ColumnKind::of(&connection).map_err(sqlite)?.refuse_strange(path)?;
    Ok(connection)
}

fn connect(path: &Path, mode: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Else SQLite compiles a statement again for each value that is compared with an indexed column.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// All or nothing: a file with our `application_id` has the tables of its layout.
fn create(connection: &mut Connection, tables: &[&str]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for tables in tables {
        transaction.execute_batch(tables)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", LAYOUT)?;
    transaction.commit()
}

/// What kind of file it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ColumnKind {
    /// Nothing in it yet.
    Empty,
    /// A store with this layout.
    Store(i64),
    /// A database of someone else's.
    Foreign,
}

impl ColumnKind {
    fn of(connection: &Connection) -> rusqlite::Result<ColumnKind> {
        let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        let layout = number("PRAGMA user_version")?;
        Ok(match number("PRAGMA application_id")? {
            APPLICATION_ID => ColumnKind::Store(layout),
            0 if layout == 0 && number("SELECT count(*) FROM sqlite_schema")? == 0 => ColumnKind::Empty,
            _ => ColumnKind::Foreign,
        })
    }

    fn refuse_strange(self, path: &Path) -> Result<(), StoreError> {
        match self {
            ColumnKind::Store(1..=LAYOUT) => Ok(()),
            ColumnKind::Store(found) if found > LAYOUT => {
                Err(StoreError::Newer { path: path.to_owned(), found, known: LAYOUT })
            }
            ColumnKind::Store(_) | ColumnKind::Foreign | ColumnKind::Empty => {
                Err(StoreError::Foreign { path: path.to_owned() })
            }
        }
    }
}
