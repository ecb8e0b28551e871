//! Searching: which documents does a condition select in Elasticsearch?
//!
//! ```text
//! POST TARGET/_field_caps      which types do the fields have that the condition means?   `Target::open`
//! POST TARGET/_count           how many are there?                                        `Search::count`
//! POST TARGET/_pit             a view of this moment, whatever is indexed meanwhile       `Search::rows`
//! POST _search … search_after  slices of it, in order, as many as are wanted              `Rows::next`
//! DELETE _pit                  at the end, however it comes                               `Rows::close`
//! ```
//!
//! A slice has as many documents as are about [`SLICE_BYTES`], so that memory stays flat. An answer in which a shard is
//! missing is a failure: an incomplete answer must not look like a complete one. Reading needs the privilege `read`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::bulk::trouble_of;
use super::client::{Body, Client, Method, Reply};
use super::target::Target;
use crate::flow::answer::Trouble;
use crate::flow::question::{Question, Row};
use crate::kql::dsl::{self, FieldType, Types};

/// How much of documents a slice shall have, in bytes.
pub const SLICE_BYTES: usize = 4 * 1024 * 1024;

/// Fewest and most documents of a slice, and those of the first one, when their size is not known.
const SLICE_ITEMS: (usize, usize, usize) = (10, 10_000, 1_000);

/// How long Elasticsearch keeps the view between two slices.
const KEEP_ALIVE: &str = "5m";

/// A question put to a target, ready to be asked.
#[derive(Debug)]
pub struct Search<'c> {
    client: &'c Client,
    target: String,
    query: Value,
    question: &'c Question,
    /// The indices that the target stood for.
    pub indices: Vec<String>,
}

/// The documents of a search, slice after slice.
#[derive(Debug)]
pub struct Rows<'s> {
    search: &'s Search<'s>,
    view: Option<String>,
    after: Option<Box<RawValue>>,
    slice_items: usize,
    ended: bool,
}

/// Some documents, in order.
#[derive(Debug)]
pub struct Slice {
    body: Bytes,
    host: String,
}

#[derive(Deserialize)]
struct FieldCaps {
    #[serde(default)]
    indices: Vec<String>,
    #[serde(default)]
    fields: BTreeMap<String, BTreeMap<String, Cap>>,
}

#[derive(Deserialize)]
struct Cap {
    #[serde(default)]
    metadata_field: bool,
    #[serde(default)]
    searchable: bool,
    #[serde(default)]
    indices: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Found<'a> {
    #[serde(borrow)]
    pit_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    hits: Hits<'a>,
}

#[derive(Deserialize)]
struct Hits<'a> {
    #[serde(borrow)]
    hits: Vec<Hit<'a>>,
}

#[derive(Deserialize)]
struct Hit<'a> {
    #[serde(borrow, rename = "_id")]
    id: Cow<'a, str>,
    #[serde(borrow, rename = "_source")]
    source: &'a RawValue,
    #[serde(borrow)]
    sort: &'a RawValue,
}

impl Target {
    /// What a search in all of it names: the data stream, or a wildcard over the indices.
    pub fn searched(&self) -> String {
        match self {
            Target::DataStream(name) => name.clone(),
            Target::Index(pattern) => pattern.wildcard(),
        }
    }
}

impl<'c> Search<'c> {
    /// Asks for the types of the fields that the question means, and writes the query.
    ///
    /// # Errors
    /// When Elasticsearch does not answer, or refuses.
    pub async fn new(client: &'c Client, target: &Target, question: &'c Question) -> Result<Search<'c>, Trouble> {
        let target = target.searched();
        let mut names = dsl::field_names(question.condition.tree());
        // Without any name nothing would be answered, and the indices are wanted.
        names.push("@timestamp".to_owned());
        let reply = ask(client, Method::Post, &format!("{target}/_field_caps"), &json!({"fields": names})).await?;
        let caps: FieldCaps = read(&reply)?;
        let query = with_times(dsl::query(question.condition.tree(), &types(caps.fields)), question);
        Ok(Search { client, target, query, question, indices: caps.indices })
    }

    /// The query as it is sent.
    pub fn query(&self) -> &Value {
        &self.query
    }

    /// The number of documents.
    ///
    /// # Errors
    /// When Elasticsearch does not answer, refuses, or cannot say it for all of its shards.
    pub async fn count(&self) -> Result<u64, Trouble> {
        let body = json!({"query": self.query});
        let reply = ask(self.client, Method::Post, &format!("{}/_count", self.target), &body).await?;
        let answer: Value = read(&reply)?;
        if answer["_shards"]["failed"].as_u64() != Some(0) {
            return Err(incomplete(&reply.host));
        }
        answer["count"].as_u64().ok_or_else(|| garbled(&reply.host))
    }

    /// Opens a view of this moment. It must be closed.
    ///
    /// # Errors
    /// When Elasticsearch does not answer, or refuses.
    pub async fn rows(&'c self) -> Result<Rows<'c>, Trouble> {
        let path = format!("{}/_pit?keep_alive={KEEP_ALIVE}", self.target);
        let reply = ask(self.client, Method::Post, &path, &json!({})).await?;
        let answer: Value = read(&reply)?;
        let view = answer["id"].as_str().ok_or_else(|| garbled(&reply.host))?.to_owned();
        Ok(Rows { search: self, view: Some(view), after: None, slice_items: SLICE_ITEMS.2, ended: false })
    }
}

impl Rows<'_> {
    /// Asks for no more than this at a time, where not all are wanted.
    pub fn limit_slices(&mut self, items_max: usize) {
        self.slice_items = self.slice_items.min(items_max.max(1));
    }

    /// The next slice; `None` behind the last one.
    ///
    /// # Errors
    /// When Elasticsearch does not answer, refuses, or cannot answer for all of its shards.
    pub async fn next(&mut self) -> Result<Option<Slice>, Trouble> {
        while !self.ended {
            let body = Body::Json(self.request().to_string().into());
            let path = "_search?allow_partial_search_results=false";
            let Some(reply) = self.search.client.send_unless_too_long(Method::Post, path, &body).await? else {
                // The documents are larger than they have been so far.
                if self.slice_items == 1 {
                    return Err(too_large());
                }
                self.slice_items = (self.slice_items / 10).max(1);
                continue;
            };
            let reply = well(reply)?;
            let slice = Slice { body: reply.body, host: reply.host };
            return Ok(if self.take(&slice)? == 0 { None } else { Some(slice) });
        }
        Ok(None)
    }

    /// Remembers where the slice ends; gives how many documents it has.
    fn take(&mut self, slice: &Slice) -> Result<usize, Trouble> {
        let found = slice.found()?;
        if let Some(view) = found.pit_id {
            self.view = Some(view.into_owned());
        }
        let count = found.hits.hits.len();
        self.ended = count < self.slice_items;
        if let Some(last) = found.hits.hits.last() {
            self.after = Some(last.sort.to_owned());
            let (fewest, most, _) = SLICE_ITEMS;
            let wanted = (SLICE_BYTES / (slice.body.len() / count).max(1)).clamp(fewest, most);
            // Growing slowly: the next documents may be larger.
            self.slice_items = wanted.min(self.slice_items.saturating_mul(4));
        }
        Ok(count)
    }

    fn request(&self) -> Value {
        let order = self.search.question.order;
        let direction = if order.descending { "desc" } else { "asc" };
        let by = json!({"order": direction, "missing": "_last", "unmapped_type": "double"});
        let mut request = json!({
            "size": self.slice_items,
            "query": self.search.query,
            "pit": {"id": self.view, "keep_alive": KEEP_ALIVE},
            "sort": [{order.by.field(): by}, {"_shard_doc": "asc"}],
            "track_total_hits": false,
        });
        if let Some(after) = &self.after {
            request["search_after"] = serde_json::from_str(after.get()).unwrap_or_default();
        }
        request
    }

    /// Lets Elasticsearch forget the view. Its own clock does so after [`KEEP_ALIVE`] where this does not get through.
    pub async fn close(&mut self) {
        self.ended = true;
        if let Some(view) = self.view.take() {
            let _ = ask(self.search.client, Method::Delete, "_pit", &json!({"id": view})).await;
        }
    }
}

impl Slice {
    /// Gives each document in its order until `visit` breaks off; returns whether it did.
    ///
    /// # Errors
    /// When the answer is garbled.
    pub fn visit(&self, visit: &mut crate::flow::question::Visit<'_>) -> Result<bool, Trouble> {
        for hit in self.found()?.hits.hits {
            let sort: Vec<Value> = serde_json::from_str(hit.sort.get()).map_err(|_| garbled(&self.host))?;
            let row = Row { key: sort.first().and_then(Value::as_f64), id: &hit.id, document: hit.source.get() };
            if visit(row).is_break() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn found(&self) -> Result<Found<'_>, Trouble> {
        serde_json::from_slice(&self.body).map_err(|_| garbled(&self.host))
    }
}

/// The types of fields that can be searched; what only Elasticsearch knows of a document is none of them.
fn types(fields: BTreeMap<String, BTreeMap<String, Cap>>) -> Types {
    let mut types = Types::default();
    for (field, caps) in fields {
        for (name, cap) in caps.into_iter().filter(|(_, cap)| cap.searchable && !cap.metadata_field) {
            types.add(&field, FieldType::named(&name, cap.indices));
        }
    }
    types
}

fn with_times(query: Value, question: &Question) -> Value {
    let mut edges = serde_json::Map::new();
    edges.extend(question.from_ms.map(|from| ("gte".to_owned(), from.into())));
    edges.extend(question.until_ms.map(|until| ("lt".to_owned(), until.into())));
    if edges.is_empty() {
        return query;
    }
    edges.insert("format".to_owned(), "epoch_millis".into());
    json!({"bool": {"filter": [{"range": {"@timestamp": edges}}, query]}})
}

async fn ask(client: &Client, method: Method, path: &str, body: &Value) -> Result<Reply, Trouble> {
    well(client.send(method, path, &Body::Json(body.to_string().into())).await?)
}

/// An answer that is no refusal.
fn well(reply: Reply) -> Result<Reply, Trouble> {
    if (200..300).contains(&reply.status) {
        return Ok(reply);
    }
    let mut trouble = trouble_of(&reply);
    trouble.hint = match reply.status {
        403 => Some("searching needs the privilege `read` on the data stream or index".to_owned()),
        404 => Some("nothing was shipped there yet, or the name in the pipeline file is another one".to_owned()),
        400 | 503 => Some("the log of Elasticsearch says more".to_owned()),
        _ => trouble.hint,
    };
    Err(trouble)
}

fn read<'r, T: Deserialize<'r>>(reply: &'r Reply) -> Result<T, Trouble> {
    serde_json::from_slice(&reply.body).map_err(|_| garbled(&reply.host))
}

fn garbled(host: &str) -> Trouble {
    Trouble {
        problem: format!("{host} did not answer a search as Elasticsearch does"),
        hint: Some("look at `hosts`: is this Elasticsearch?".to_owned()),
    }
}

fn incomplete(host: &str) -> Trouble {
    Trouble {
        problem: format!("{host} could not answer for all of its shards"),
        hint: Some("wait until the indices are green or yellow again".to_owned()),
    }
}

fn too_large() -> Trouble {
    Trouble {
        problem: "a single document is larger than the longest answer that is taken".to_owned(),
        hint: Some("narrow the query so that it leaves that document out".to_owned()),
    }
}
