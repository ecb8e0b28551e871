//! Tombstones: which records has an order erased from Elasticsearch?
//!
//! One document each, in the data stream of the accounts, with nothing of the record's content:
//!
//! ```text
//! {"@timestamp":"…","account.kind":"tombstone","tombstone.id":"…28 characters","tombstone.digest":"SHA-256 of the document",
//!  "tombstone.order":"…","tombstone.reason":"…","tombstone.by":"…","inferlog.file":"7-0","log.offset":4711}
//! ```

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::json;

use super::client::Client;
use super::pages::{self, Question};
use crate::flow::answer::Trouble;
use crate::flow::batch::Id;

/// A record that was erased.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Tombstone {
    /// The id that it had.
    #[serde(rename = "tombstone.id")]
    pub id: String,
    /// The file that it came from, as [`crate::flow::batch::FileKey`] names it.
    #[serde(rename = "inferlog.file", default)]
    pub file: String,
    /// The start of its line, in bytes from the start of the file.
    #[serde(rename = "log.offset", default)]
    pub offset_bytes: u64,
}

/// Reads all tombstones of a data stream of accounts.
///
/// # Errors
/// When Elasticsearch does not answer, or refuses.
pub async fn all(client: &Client, accounts: &str) -> Result<Vec<Tombstone>, Trouble> {
    let question = Question {
        index: accounts.to_owned(),
        query: json!({ "match": { "account.kind": "tombstone" } }),
        sort: Vec::new(),
        source: json!(["tombstone.id", "inferlog.file", "log.offset"]),
    };
    let mut all = Vec::new();
    pages::each(client, &question, |hit| all.extend(hit.document::<Tombstone>())).await?;
    Ok(all)
}

/// The ids of all records that were erased.
///
/// # Errors
/// When Elasticsearch does not answer, or refuses.
pub async fn load(client: &Client, accounts: &str) -> Result<HashSet<Id>, Trouble> {
    let ids = all(client, accounts).await?.into_iter();
    Ok(ids.filter_map(|tombstone| Id::read(&tombstone.id)).collect())
}
