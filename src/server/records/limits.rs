//! How much may be asked, and what is said of it in the log.

/// What the lines of the log about answered questions have as their target: no level and no limit leaves them out.
pub const LOG_TARGET: &str = "inferlog::records";

/// The most rows of an answer in JSON.
pub const ROWS_MAX: u64 = 1_000;

/// The most rows of an answer in CSV.
pub const CSV_ROWS_MAX: u64 = 100_000;

/// The most bytes of records in an answer.
pub const ANSWER_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// How long a question may take, in seconds. A connection lasts longer, so that the answer arrives.
pub const SECONDS_MAX: u64 = 20;
