//! Pages: reading every document that a query finds, however many there are, in a bounded space.
//!
//! A point in time is opened once, so that what is written meanwhile changes nothing, and read with `search_after`. A data
//! stream or index that does not exist has no documents.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::bulk;
use super::client::{Body, Client, Method, Reply};
use crate::flow::answer::Trouble;

/// Documents in a page.
const PAGE_DOCUMENTS: usize = 5_000;

/// How long Elasticsearch keeps the point in time between two pages.
const KEEP_ALIVE: &str = "2m";

/// An answer in which a shard is missing must not look like a whole one.
const WHOLE: &str = "allow_partial_search_results=false";

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Question {
    /// The data stream or index, or a pattern of them.
    pub index: String,
    /// The query, in Elasticsearch's own language.
    pub query: Value,
    /// The order; ties are broken by the place in the shards.
    pub sort: Vec<Value>,
    /// Which members of the documents come back: `true`, `false`, or a list.
    pub source: Value,
}

/// A document that was found.
#[derive(Debug, Deserialize)]
pub struct Hit {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: String,
    /// Its members, as far as they were asked for.
    #[serde(rename = "_source", default)]
    source: Option<Box<RawValue>>,
    sort: Vec<Value>,
}

impl Hit {
    /// The document, if it reads as one of these.
    pub fn document<T: for<'d> Deserialize<'d>>(&self) -> Option<T> {
        serde_json::from_str(self.source.as_ref()?.get()).ok()
    }

    /// What it was sorted by.
    pub fn sort_values(&self) -> &[Value] {
        &self.sort
    }
}

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    pit_id: Option<String>,
    hits: Hits,
}

#[derive(Deserialize)]
struct Hits {
    hits: Vec<Hit>,
}

/// Visits every document that a question finds.
///
/// # Errors
/// When Elasticsearch does not answer, or refuses.
pub async fn each(client: &Client, question: &Question, mut visit: impl FnMut(Hit)) -> Result<(), Trouble> {
    #[derive(Deserialize)]
    struct Opened {
        id: String,
    }
    let path = format!("{}/_pit?keep_alive={KEEP_ALIVE}", question.index);
    let reply = client.send(Method::Post, &path, &Body::None).await?;
    if reply.status == 404 {
        return Ok(());
    }
    let mut point_in_time = read::<Opened>(&reply)?.id;
    let visited = each_page(client, question, &mut point_in_time, &mut visit).await;
    // Elasticsearch would give it up by itself after some minutes.
    let _ = ask(client, Method::Delete, "_pit", &json!({ "id": point_in_time })).await;
    visited
}

async fn each_page(
    client: &Client,
    question: &Question,
    point_in_time: &mut String,
    visit: &mut impl FnMut(Hit),
) -> Result<(), Trouble> {
    let Question { query, sort, source, .. } = question;
    let mut sort = sort.clone();
    sort.push(json!({ "_shard_doc": "asc" }));
    let mut after: Option<Vec<Value>> = None;
    loop {
        let mut search = json!({
            "size": PAGE_DOCUMENTS,
            "query": query,
            "pit": { "id": point_in_time, "keep_alive": KEEP_ALIVE },
            "sort": sort,
            "_source": source,
            "track_total_hits": false,
        });
        if let Some(after) = after.take() {
            search["search_after"] = Value::Array(after);
        }
        let found: Found = read(&ask(client, Method::Post, &format!("_search?{WHOLE}"), &search).await?)?;
        if let Some(newer) = found.pit_id {
            *point_in_time = newer;
        }
        let Some(last) = found.hits.hits.last() else { return Ok(()) };
        after = Some(last.sort.clone());
        found.hits.hits.into_iter().for_each(&mut *visit);
    }
}

/// How many documents a query finds; none where the index does not exist.
///
/// # Errors
/// When Elasticsearch does not answer, or refuses.
pub async fn count(client: &Client, index: &str, query: &Value) -> Result<u64, Trouble> {
    #[derive(Deserialize)]
    struct Counted {
        count: u64,
    }
    let reply = ask(client, Method::Post, &format!("{index}/_count"), &json!({ "query": query })).await?;
    if reply.status == 404 { Ok(0) } else { Ok(read::<Counted>(&reply)?.count) }
}

/// Puts one search; `None` where the index does not exist.
///
/// # Errors
/// When Elasticsearch does not answer, or refuses.
pub async fn search(client: &Client, index: &str, body: &Value) -> Result<Option<Value>, Trouble> {
    let reply = ask(client, Method::Post, &format!("{index}/_search?{WHOLE}"), body).await?;
    if reply.status == 404 { Ok(None) } else { read(&reply).map(Some) }
}

/// Those of some ids, at most 10,000, that documents have.
///
/// # Errors
/// When Elasticsearch does not answer, or refuses.
pub async fn present(client: &Client, index: &str, ids: &[&str]) -> Result<Vec<String>, Trouble> {
    #[derive(Deserialize)]
    struct Present {
        #[serde(rename = "_id")]
        id: String,
    }
    // Where nothing is found, the filter leaves `hits` out.
    #[derive(Deserialize)]
    struct Found {
        #[serde(default)]
        hits: Hits,
    }
    #[derive(Deserialize, Default)]
    struct Hits {
        #[serde(default)]
        hits: Vec<Present>,
    }
    let search = json!({ "size": ids.len(), "query": { "ids": { "values": ids } }, "_source": false });
    let path = format!("{index}/_search?{WHOLE}&filter_path=took,hits.hits._id");
    let reply = ask(client, Method::Post, &path, &search).await?;
    if reply.status == 404 {
        return Ok(Vec::new());
    }
    Ok(read::<Found>(&reply)?.hits.hits.into_iter().map(|hit| hit.id).collect())
}

/// Makes everything that was taken so far visible to searches.
///
/// # Errors
/// When Elasticsearch does not answer, or refuses; then what was taken within the last second may not be seen.
pub async fn refresh(client: &Client, index: &str) -> Result<(), Trouble> {
    let reply = client.send(Method::Post, &format!("{index}/_refresh"), &Body::None).await?;
    if matches!(reply.status, 200 | 404) { Ok(()) } else { Err(bulk::trouble_of(&reply)) }
}

async fn ask(client: &Client, method: Method, path: &str, body: &Value) -> Result<Reply, Trouble> {
    client.send(method, path, &Body::Json(Bytes::from(body.to_string()))).await
}

/// Reads an answer that was given with success.
fn read<'r, T: Deserialize<'r>>(reply: &'r Reply) -> Result<T, Trouble> {
    if reply.status != 200 {
        return Err(bulk::trouble_of(reply));
    }
    serde_json::from_slice(&reply.body).map_err(|_| Trouble {
        problem: format!("the answer of {} cannot be read", reply.host),
        hint: Some("is this Elasticsearch?".to_owned()),
    })
}
