//! Answers: what became of the items that a sink was asked to take?
//!
//! The words between a sink, which tries once, and delivery, which alone decides what is tried again. They name outcomes,
//! not what is done about them.

use std::time::Duration;

/// What became of one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The sink holds it now.
    Indexed,
    /// The sink held it already, from an earlier try.
    Duplicate,
    /// An order has erased it: the sink does not take it back.
    Erased,
    /// The server took it into its failure store: kept, but not searchable.
    FailureStore,
    /// It may succeed later: try this item again.
    Retry(Reason),
    /// The server fails on this item: try it again, but not for ever if its neighbours succeed.
    Failing(Reason),
    /// Its target is wrong or not there, not the record: wait, say so, try again.
    TargetUnready(Reason),
    /// It will never succeed as it is.
    Rejected(Reason),
}

/// Why, in the server's own words.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Reason {
    /// A short name to count by, such as `document_parsing_exception`; few different ones exist.
    pub kind: String,
    /// A sentence. It may quote the record, so it goes to the dead letter alone, never into a log line or a metric.
    pub detail: String,
}

impl Reason {
    /// Why a document in Elasticsearch's failure store is not delivered.
    pub fn failure_store() -> Reason {
        let detail = "Elasticsearch keeps it in the failure store of the data stream: it is not searchable";
        Reason { kind: "failure_store".to_owned(), detail: detail.to_owned() }
    }
}

/// What a sink answers to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// One outcome for each item asked for, in their order.
    Items(Vec<Outcome>),
    /// Nothing is known of any item: wait and ask for all of them again.
    Wait(Trouble),
    /// The same, and the server says for how long it wants to be left alone.
    WaitAtLeast(Duration, Trouble),
    /// The request as a whole was too large or was refused because of one of its items: ask for each half by itself.
    /// A single item that gets this answer is rejected for this reason.
    Halve(Reason),
    /// The sink is gone for good, as a pipe that nobody reads: nothing is known of any item, and asking again is
    /// useless. The run ends, with its lines uncommitted.
    Closed(Trouble),
}

/// Why a sink cannot take anything now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What happened, fit for the log: no secrets, no record data.
    pub problem: String,
    /// What to do about it, where that is known.
    pub hint: Option<String>,
}
