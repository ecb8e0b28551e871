//! Queries: how is what was shipped found again, and shown?
//!
//! `inferlog query` puts a [`Question`](crate::flow::question::Question) to the embedded store or to Elasticsearch. Both give rows
//! by its order; `order` makes that order the same everywhere, `output` writes them, `groups` sums them up, and
//! `completeness` says whether anything may be missing, by this machine's state and by what `accounted` reads in the sink. `saved` are the questions that have names.

pub mod absent;
pub mod ask;
pub mod cell;
pub mod drift;
pub mod groups;
pub mod order;
pub mod output;
pub mod predictions;
pub mod saved;
pub mod table;
