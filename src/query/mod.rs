//! Queries: how is what was shipped found again, and shown?
//!
//! `inferlog query` puts a [`Question`](crate::flow::question::Question) to the embedded store or to Elasticsearch. Both give rows
//! by its order; `order` makes that order the same everywhere, `output` writes them, `groups` sums them up. `inquiry` makes a
//! question of what somebody wants to know, in a `range`; `respondent` is a sink that is asked, and says whether anything may
//! be missing; `words` are said beside an answer. All of these serve the command and the page. `saved` are the questions that
//! have names.

pub mod absent;
pub mod ask;
pub mod cell;
pub mod drift;
pub mod groups;
pub mod inquiry;
pub mod order;
pub mod output;
pub mod predictions;
pub mod range;
pub mod respondent;
pub mod saved;
pub mod table;
pub mod words;
