//! Outcomes: predictions whose truth is known, and what they say about a model.
//!
//! Knows no stage. [`label`] is what a label line says, [`ledger`] where predictions and labels meet, [`truth`] which label counts,
//! [`figures`] the statistics.

mod document;
pub mod evaluation;
pub mod evaluation_document;
pub mod figures;
pub mod label;
pub mod ledger;
pub mod prediction;
pub mod truth;

pub use document::Subject;
