//! The ledger: which predictions wait for their label, and what became of those that have one?
//!
//! One SQLite file beside a pipeline's checkpoint. Predictions and labels go in, in any order, and each pair is joined when the
//! second of the two comes: what is known of the prediction is written into its row, what the label was is counted, and the document
//! of the outcome is put down to be taken. All of it is one transaction, and each prediction and each label is known by the `_id` of
//! its line: what is read again after a crash is found to be there, and changes nothing.
//!
//! A prediction takes about 235 bytes on disk, whatever the record holds; memory is the page cache of 16 MiB. What is older than
//! `keep`, or more than `predictions_max`, is forgotten in the order of arrival.

mod counts;
mod entry;
mod error;
mod file;
mod forget;
mod join;
mod requests;
mod schema;
mod totals;
mod window;

pub use entry::{LabelLine, ModelVersion, PendingDocument, Progress};
pub use error::LedgerError;
pub use file::{Ledger, LedgerOptions};
pub use join::VERSIONS_MAX;
pub use requests::Sought;
pub use totals::Totals;
pub use window::WindowRow;

#[cfg(test)]
mod tests;
