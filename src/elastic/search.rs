//! Searching: which documents does a condition select in Elasticsearch?
//!
//! ```text
//! POST TARGET/_field_caps      which types do the fields have that the condition means?   `Search::new`
//! POST TARGET/_count           how many are there?                                        `Search::count`
//! pages of a view              slices of them, in order: see `pages`                      `Search::rows`
//! ```
//!
//! An answer in which a shard is missing is a failure: an incomplete answer must not look like a complete one.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Body, Client, Method, Reply};
use super::pages::{self, Page, Pages};
use super::target::Target;
use super::whole;
use crate::flow::answer::Trouble;
use crate::flow::batch::Stream;
use crate::flow::question::{Question, Row};
use crate::kql::dsl::{self, FieldType, Types};

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
pub struct Rows<'s>(Pages<'s>);

/// Some documents, in order.
#[derive(Debug)]
pub struct Slice(Page);

#[derive(Deserialize)]
struct FieldCaps {
    #[serde(default)]
    indices: Vec<String>,
    #[serde(default)]
    fields: BTreeMap<String, BTreeMap<String, Cap>>,
    /// Those of which the types are not known.
    #[serde(default)]
    failed_indices: u64,
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

impl Target {
    /// What a search in all of it names: the data stream, or a wildcard over the indices.
    pub fn searched(&self) -> String {
        match self {
            Target::DataStream(name) => name.clone(),
            Target::Index(pattern) => pattern.wildcard(),
            Target::Tenants(tenants) => tenants.wildcard(),
        }
    }
}

impl<'c> Search<'c> {
    /// Asks for the types of the fields that the question means, and writes the query.
    ///
    /// # Errors
    /// When Elasticsearch does not answer, or refuses.
    pub async fn new(client: &'c Client, target: &Target, question: &'c Question) -> Result<Search<'c>, Trouble> {
        let target = match question.stream {
            Stream::Records => target.searched(),
            Stream::Accounts => target.accounts(),
            Stream::Drift => target.drift(),
            Stream::Outcomes => target.outcomes(),
        };
        let mut names = dsl::field_names(question.condition.tree());
        // Without any name nothing would be answered, and the indices are wanted.
        names.push("@timestamp".to_owned());
        let reply = field_caps(client, &target, &names).await?;
        if !(200..300).contains(&reply.status) {
            return Err(pages::refused(&reply));
        }
        let caps: FieldCaps = whole::read_plain(&reply)?;
        if caps.failed_indices > 0 {
            let what = format!("{} indices did not say which types their fields have", caps.failed_indices);
            return Err(whole::incomplete(&reply.host, &what));
        }
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
        pages::count(self.client, &self.target, &self.query).await
    }

    /// Whether there is any document. Elasticsearch stops at the first one of each shard.
    ///
    /// # Errors
    /// When Elasticsearch does not answer, refuses, or cannot say it for all of its shards.
    pub async fn is_any(&self) -> Result<bool, Trouble> {
        let body = json!({"size": 1, "_source": false, "track_total_hits": false, "query": self.query});
        let answer = pages::search(self.client, &self.target, &body).await?.unwrap_or_default();
        Ok(answer["hits"]["hits"].as_array().is_some_and(|hits| !hits.is_empty()))
    }

    /// Opens a view of this moment. It must be closed.
    ///
    /// # Errors
    /// When Elasticsearch does not answer, or refuses.
    pub async fn rows(&'c self) -> Result<Rows<'c>, Trouble> {
        let order = self.question.order;
        let direction = if order.descending { "desc" } else { "asc" };
        let by = json!({"order": direction, "missing": "_last", "unmapped_type": "double"});
        let question = pages::Question {
            index: self.target.clone(),
            query: self.query.clone(),
            sort: vec![json!({order.by.field(): by})],
            source: Value::Bool(true),
        };
        let pages = Pages::open(self.client, question).await?;
        pages.map(Rows).ok_or_else(|| Trouble {
            problem: format!("`{}` is gone", self.target),
            hint: Some("it was deleted a moment ago".to_owned()),
        })
    }
}

impl Rows<'_> {
    /// Asks for no more than this at a time, where not all are wanted.
    pub fn limit_slices(&mut self, items_max: usize) {
        self.0.limit_pages(items_max);
    }

    /// The next slice; `None` behind the last one.
    ///
    /// # Errors
    /// When Elasticsearch does not answer, refuses, or cannot answer for all of its shards.
    pub async fn next(&mut self) -> Result<Option<Slice>, Trouble> {
        Ok(self.0.next().await?.map(Slice))
    }

    /// Lets Elasticsearch forget the view.
    pub async fn close(&mut self) {
        self.0.close().await;
    }
}

impl Slice {
    /// Gives each document in its order until `visit` breaks off; returns whether it did.
    ///
    /// # Errors
    /// When the answer is garbled.
    pub fn visit(&self, visit: &mut crate::flow::question::Visit<'_>) -> Result<bool, Trouble> {
        for hit in self.0.hits()? {
            let key = hit.sort_values().first().and_then(Value::as_f64);
            if visit(Row { key, id: &hit.id, document: hit.text() }).is_break() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Asks for the types of fields by name. OpenSearch reads names in the address alone, where there is no room for many: it
/// is asked for all.
async fn field_caps(client: &Client, target: &str, names: &[String]) -> Result<Reply, Trouble> {
    let path = format!("{target}/_field_caps");
    let body = Body::Json(json!({"fields": names}).to_string().into());
    let reply = client.send(Method::Post, &path, &body).await?;
    if reply.status == 400 && reply.product.is_none() {
        return client.send(Method::Get, &format!("{path}?fields=*"), &Body::None).await;
    }
    Ok(reply)
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
    let Question { from_ms, until_ms, .. } = *question;
    if from_ms.is_none() && until_ms.is_none() {
        return query;
    }
    json!({"bool": {"filter": [in_range(from_ms, until_ms), query]}})
}

/// The query for what is of a range of time, in milliseconds since 1970; without its end.
pub fn in_range(from_ms: Option<i64>, until_ms: Option<i64>) -> Value {
    let mut edges = json!({ "format": "epoch_millis" });
    from_ms.into_iter().for_each(|from| edges["gte"] = from.into());
    until_ms.into_iter().for_each(|until| edges["lt"] = until.into());
    json!({"range": {"@timestamp": edges}})
}
