//! Outcomes: predictions whose truth is known, and what they say about a model.
//!
//! Knows no stage. [`figures`] are the statistics.

pub mod figures;
