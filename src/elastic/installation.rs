//! Installations: what does a pipeline need in Elasticsearch?
//!
//! It follows from where its documents go and how long they are kept. What that is in objects, `assets` says.

use super::retention::Retention;
use super::target::Target;

/// Whether what cannot be indexed is kept in the data stream's failure store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailureStore {
    /// It goes to the dead letter. There it keeps its id; in a failure store it gets another one, so that what is sent
    /// again is doubled, and what is in it cannot be proven.
    #[default]
    Off,
    /// It is kept, and counted apart.
    On,
}

impl FailureStore {
    /// As Elasticsearch has it: `enabled`.
    pub fn is_on(self) -> bool {
        self == FailureStore::On
    }
}

/// Whether a pipeline ships documents of a kind beside its records and accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// It does.
    Shipped,
    /// It has none.
    None,
}

impl Beside {
    /// Shipped where an observer makes them.
    pub fn of<T>(observer: Option<T>) -> Beside {
        observer.map_or(Beside::None, |_| Beside::Shipped)
    }
}

/// What a sink needs.
#[derive(Clone, Copy, Debug)]
pub struct Installation<'a> {
    /// Where records go.
    pub target: &'a Target,
    /// How long records, and their outcomes, are kept.
    pub retention: Retention,
    /// What becomes of records that cannot be indexed.
    pub failure_store: FailureStore,
    /// Whether there are outcomes, which are kept as long as the records that they are of.
    pub outcomes: Beside,
    /// Whether there is drift, which is kept for good, as accounts are.
    pub drift: Beside,
}

impl<'a> Installation<'a> {
    /// With the defaults: kept without an upper bound, without a failure store, drift and outcomes.
    pub fn new(target: &'a Target) -> Installation<'a> {
        Installation {
            target,
            retention: Retention::default(),
            failure_store: FailureStore::Off,
            outcomes: Beside::None,
            drift: Beside::None,
        }
    }
}
