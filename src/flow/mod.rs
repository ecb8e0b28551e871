//! Flow: what travels between the stages?
//!
//! Lines and batches go right, acknowledgements and answers go left; rejects, reasons and tallies say what became of
//! a line. Knows no stage.

pub mod ack;
pub mod answer;
pub mod batch;
pub mod in_flight;
pub mod line;
pub mod own_document;
pub mod question;
pub mod reasons;
pub mod reject;
pub mod tally;
pub mod wake;

/// The version of the Elastic Common Schema that the names in documents are of.
pub const ECS_VERSION: &str = "8.17.0";
