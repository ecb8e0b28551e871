//! A question: which of the records that were shipped are asked for, and in which order?
//!
//! The words that the embedded store and Elasticsearch share, so that both give the same rows. A row comes with the key that it
//! is ordered by; rows of one key come in any order, and whoever shows them puts them in one that is the same everywhere.

use std::ops::ControlFlow;

use super::batch::Stream;
use crate::kql::Expression;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Which kind of documents: records or outcomes.
    pub stream: Stream,
    /// What the records must meet; its date math has been given a time.
    pub condition: Expression,
    /// From when on, in milliseconds since 1970, which is what Elasticsearch keeps of a time.
    pub from_ms: Option<i64>,
    /// Up to when; records of this very millisecond are not asked for.
    pub until_ms: Option<i64>,
    /// In which order.
    pub order: Order,
}

/// The order of rows. Records without the value come last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// What they are ordered by.
    pub by: OrderBy,
    /// The greatest first.
    pub descending: bool,
}

/// What rows can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderBy {
    /// `@timestamp`, in milliseconds.
    Time,
    /// `confidence`.
    Confidence,
    /// `latency_ms`.
    Latency,
}

impl OrderBy {
    /// The field.
    pub fn field(self) -> &'static str {
        match self {
            OrderBy::Time => "@timestamp",
            OrderBy::Confidence => "confidence",
            OrderBy::Latency => "latency_ms",
        }
    }
}

impl Order {
    /// What is asked for unless something else is: the newest first.
    pub const NEWEST_FIRST: Order = Order { by: OrderBy::Time, descending: true };
}

/// A document that was found.
#[derive(Clone, Copy, Debug)]
pub struct Row<'r> {
    /// What it is ordered by; `None` where the record has no such value.
    pub key: Option<f64>,
    /// Its `_id`.
    pub id: &'r str,
    /// The JSON as it was shipped, byte for byte.
    pub document: &'r str,
}

/// Takes rows one after the other until it breaks off.
pub type Visit<'v> = dyn FnMut(Row<'_>) -> ControlFlow<()> + 'v;
