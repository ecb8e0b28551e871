//! Holdings: what does a sink hold of a pipeline?
//!
//! The questions that a proof asks, of the store directly and of Elasticsearch by its search. Nothing is changed.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

use crate::elastic::client::Client;
use crate::elastic::pages::{self, Question, Refreshed};
use crate::elastic::target::Target;
use crate::elastic::tombstones;
use crate::flow::answer::Trouble;
use crate::flow::batch::Id;
use crate::proof::accounts::Account;
pub(super) use crate::sink::store::Place;
use crate::sink::store::{Reader, StoreError};

/// A file as documents name it, and up to which offset it is asked for, in bytes.
pub(super) type Bounds = BTreeMap<String, u64>;

/// A sink that can be asked.
pub(super) enum Holdings {
    /// The embedded store.
    Store(Reader),
    /// A data stream or indices.
    Elasticsearch(Box<ElasticHoldings>),
}

/// What is searched in Elasticsearch.
pub(super) struct ElasticHoldings {
    pub(super) client: Client,
    pub(super) records: String,
    pub(super) accounts: String,
    pub(super) host: String,
    pub(super) pipeline: String,
}

impl ElasticHoldings {
    pub(super) fn new(client: Client, target: &Target, host: &str, pipeline: &str) -> ElasticHoldings {
        let records = target.searched();
        let (host, pipeline) = (host.to_owned(), pipeline.to_owned());
        ElasticHoldings { client, records, accounts: target.accounts(), host, pipeline }
    }

    /// The documents of a file. Phrases, so that it also works where no template of ours says that a text is a keyword.
    fn of_file(&self, file: &str, to_bytes: u64) -> Value {
        json!({ "bool": { "filter": [
            { "match_phrase": { "inferlog.pipeline": self.pipeline } },
            { "match_phrase": { "host.name": self.host } },
            { "match_phrase": { "inferlog.file": file } },
            { "range": { "log.offset": { "lt": to_bytes } } },
        ] } })
    }
}

impl Holdings {
    /// Makes everything visible that was taken so far.
    pub(super) async fn refresh(&self) -> Result<(), Trouble> {
        let Holdings::Elasticsearch(searched) = self else { return Ok(()) };
        for index in [&searched.records, &searched.accounts] {
            if pages::refresh(&searched.client, index).await? == Refreshed::Forbidden {
                let problem =
                    format!("this user may not refresh `{index}`, so what was delivered last may be invisible");
                let hint = "a proof needs the privileges `read` and `maintenance` on it".to_owned();
                return Err(Trouble { problem, hint: Some(hint) });
            }
        }
        Ok(())
    }

    /// Those of some ids that documents have; at most 10,000 are asked for.
    pub(super) async fn present(&self, ids: &[Id]) -> Result<HashSet<Id>, Trouble> {
        match self {
            Holdings::Store(reader) => reader.present(ids).map_err(|error| told(&error)),
            Holdings::Elasticsearch(searched) => {
                let ids: Vec<&str> = ids.iter().map(Id::as_str).collect();
                let present = pages::present(&searched.client, &searched.records, &ids).await?;
                Ok(present.iter().filter_map(|id| Id::read(id)).collect())
            }
        }
    }

    /// How many documents each file has before its bound.
    pub(super) async fn counts(&self, bounds: &Bounds) -> Result<BTreeMap<String, u64>, Trouble> {
        let mut counts = BTreeMap::new();
        match self {
            Holdings::Store(reader) => {
                let count = |place: Place| *counts.entry(place.file).or_default() += 1;
                reader.each_place(bounds, count).map_err(|error| told(&error))?;
            }
            Holdings::Elasticsearch(searched) => {
                for (file, to_bytes) in bounds {
                    let query = searched.of_file(file, *to_bytes);
                    let count = pages::count(&searched.client, &searched.records, &query).await?;
                    counts.insert(file.clone(), count);
                }
            }
        }
        Ok(counts)
    }

    /// Visits every document that files have before their bounds.
    pub(super) async fn each_place(&self, bounds: &Bounds, mut visit: impl FnMut(Place)) -> Result<(), Trouble> {
        let searched = match self {
            Holdings::Store(reader) => return reader.each_place(bounds, visit).map_err(|error| told(&error)),
            Holdings::Elasticsearch(searched) => searched,
        };
        for (file, to_bytes) in bounds {
            let question = Question {
                index: searched.records.clone(),
                query: searched.of_file(file, *to_bytes),
                sort: vec![json!({ "log.offset": "asc" })],
                source: json!(["log.offset"]),
            };
            let visit = |hit: pages::Hit<'_>| {
                let offset_bytes = hit.sort_values().first().and_then(Value::as_u64).unwrap_or_default();
                visit(Place { file: file.clone(), offset_bytes, id: hit.id.into_owned() });
            };
            pages::each(&searched.client, &question, visit).await?;
        }
        Ok(())
    }

    /// All accounts of the pipeline on this host.
    pub(super) async fn accounts(&self) -> Result<Vec<Account>, Trouble> {
        let searched = match self {
            Holdings::Store(reader) => {
                let documents = reader.accounts().map_err(|error| told(&error))?;
                return Ok(documents.iter().filter_map(|text| serde_json::from_str(text).ok()).collect());
            }
            Holdings::Elasticsearch(searched) => searched,
        };
        let query = json!({ "bool": {
            "filter": [
                { "match_phrase": { "inferlog.pipeline": searched.pipeline } },
                { "match_phrase": { "host.name": searched.host } },
            ],
            // They tell of no files.
            "must_not": { "match": { "account.kind": "dead_letter" } },
        } });
        let question =
            Question { index: searched.accounts.clone(), query, sort: Vec::new(), source: Value::Bool(true) };
        let mut accounts = Vec::new();
        pages::each(&searched.client, &question, |hit| accounts.extend(hit.document::<Account>())).await?;
        Ok(accounts)
    }

    /// The records that orders have erased.
    pub(super) async fn tombstones(&self) -> Result<Vec<Place>, Trouble> {
        match self {
            Holdings::Store(reader) => reader.tombstones().map_err(|error| told(&error)),
            Holdings::Elasticsearch(searched) => {
                let tombstones = tombstones::all(&searched.client, &searched.accounts).await?;
                let place = |tombstone: tombstones::Tombstone| {
                    let tombstones::Tombstone { id, file, offset_bytes } = tombstone;
                    Place { file, offset_bytes, id }
                };
                Ok(tombstones.into_iter().map(place).collect())
            }
        }
    }

    /// Records with a time up to this, in microseconds since 1970, may have been deleted by retention.
    pub(super) fn expired_until_us(&self) -> Result<Option<i64>, Trouble> {
        match self {
            Holdings::Store(reader) => reader.expired_until_us().map_err(|error| told(&error)),
            Holdings::Elasticsearch(_) => Ok(None),
        }
    }
}

fn told(error: &StoreError) -> Trouble {
    error.trouble()
}
