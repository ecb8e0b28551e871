//! Elasticsearch: how is it spoken to, and what is installed there?
//!
//! `client` sends bytes and gives bytes as `options` say (`connection` to one host, perhaps through a `proxy` or `pinning`
//! its certificate, with keys that `renewal` reads again, in the `encoding` of HTTP), `bulk` says what an answer means for
//! each record, `target` and `tenants` name where records go, `installation` and `retention` what is needed for that, `capabilities`
//! what a server knows, `assets` and `setup` install it; `readiness` says whether records would be taken, `in_force`
//! whether they would be kept as they are, `parameters` what of a bulk request a server knows, `search` finds
//! them again, `refusals` knows without a server what would be turned down, `pages` reads what a query finds, in a `view`
//! of one moment, `whole` refuses answers that are not about everything, `tombstones` what an order has erased, `describe`
//! puts troubles into words.
//! Nothing here knows of pipelines, files or retries.

pub mod assets;
pub mod bulk;
pub mod capabilities;
pub mod client;
pub mod cloud_id;
mod connection;
pub(crate) mod describe;
mod encoding;
pub mod exchange;
pub mod fingerprint;
pub mod in_force;
pub mod installation;
mod names;
pub mod options;
pub mod pages;
pub mod parameters;
mod pinning;
mod proxy;
pub mod readiness;
pub mod refusals;
mod renewal;
pub mod retention;
pub mod search;
pub mod segments;
pub mod setup;
pub mod target;
pub mod tenants;
pub mod tombstones;
mod view;
mod whole;
