//! Pages: reading every document that a query finds, however many there are, in a bounded space.
//!
//! ```text
//! a view of this moment        see `view`                                                 `Pages::open`
//! POST _search … search_after  pages of it, in order, as many as are wanted               `Pages::next`
//! its end                      however it comes                                           `Pages::close`
//! ```
//!
//! A page has as many documents as are about [`PAGE_BYTES`], so that memory stays flat. A data stream or index that does
//! not exist has no documents. An answer that is not whole ([`super::whole`]) is none. Here are also the questions with
//! one answer: how many, which of some ids, and [`refresh`]. Reading needs the privilege `read`, refreshing `maintenance`.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::bulk;
use super::client::{Body, Client, Method, Reply};
use super::view::{KEEP_ALIVE, View};
use super::whole::{self, Extent};
use crate::flow::answer::Trouble;

/// How much of documents a page shall have, in bytes.
pub const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Fewest and most documents of a page, and those of the first one, when their size is not known.
const PAGE_ITEMS: (usize, usize, usize) = (10, 10_000, 1_000);

/// Elasticsearch shall rather fail than leave a shard out.
const WHOLE: &str = "allow_partial_search_results=false";

/// The most documents of one answer, as every index has it unless told otherwise.
const RESULT_WINDOW_ITEMS: usize = 10_000;

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

/// The documents that a question finds, page after page.
#[derive(Debug)]
pub struct Pages<'c> {
    client: &'c Client,
    question: Question,
    view: Option<View>,
    after: Option<Box<RawValue>>,
    page_items: usize,
    ended: bool,
}

/// Some documents, in order.
#[derive(Debug)]
pub struct Page {
    body: Bytes,
    host: String,
}

/// A document that was found.
#[derive(Debug, Deserialize)]
pub struct Hit<'a> {
    /// Its id.
    #[serde(borrow, rename = "_id")]
    pub id: Cow<'a, str>,
    #[serde(borrow, rename = "_source", default)]
    source: Option<&'a RawValue>,
    #[serde(borrow)]
    sort: &'a RawValue,
}

impl Hit<'_> {
    /// The document as it was shipped, as far as it was asked for.
    pub fn text(&self) -> &str {
        self.source.map_or("{}", RawValue::get)
    }

    /// The document, if it reads as one of these.
    pub fn document<T: for<'d> Deserialize<'d>>(&self) -> Option<T> {
        serde_json::from_str(self.source?.get()).ok()
    }

    /// What it was sorted by.
    pub fn sort_values(&self) -> Vec<Value> {
        serde_json::from_str(self.sort.get()).unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct Found<'a> {
    #[serde(borrow)]
    pit_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    hits: Hits<'a>,
    #[serde(flatten)]
    extent: Extent,
}

#[derive(Deserialize)]
struct Hits<'a> {
    #[serde(borrow)]
    hits: Vec<Hit<'a>>,
}

impl<'c> Pages<'c> {
    /// Opens a view of this moment, which must be closed; `None` where nothing of that name exists.
    ///
    /// # Errors
    /// When Elasticsearch does not answer, refuses, or cannot answer for all of its shards.
    pub async fn open(client: &'c Client, question: Question) -> Result<Option<Pages<'c>>, Trouble> {
        let Some(view) = View::open(client, &question.index).await? else { return Ok(None) };
        let page_items = PAGE_ITEMS.2;
        Ok(Some(Pages { client, question, view: Some(view), after: None, page_items, ended: false }))
    }

    /// Asks for no more than this at a time, where not all are wanted.
    pub fn limit_pages(&mut self, items_max: usize) {
        self.page_items = self.page_items.min(items_max.max(1));
    }

    /// The next page; `None` behind the last one.
    ///
    /// # Errors
    /// When Elasticsearch does not answer, refuses, or cannot answer for all of its shards.
    pub async fn next(&mut self) -> Result<Option<Page>, Trouble> {
        while !self.ended {
            let body = Body::Json(self.request().to_string().into());
            let path = format!("_search?{WHOLE}");
            let Some(reply) = self.client.send_unless_too_long(Method::Post, &path, &body).await? else {
                // The documents are larger than they have been so far.
                if self.page_items == 1 {
                    return Err(too_large());
                }
                self.page_items = (self.page_items / 10).max(1);
                continue;
            };
            if !(200..300).contains(&reply.status) {
                return Err(refused(&reply));
            }
            let page = Page { body: reply.body, host: reply.host };
            return Ok(if self.take(&page)? == 0 { None } else { Some(page) });
        }
        Ok(None)
    }

    /// Remembers where the page ends; gives how many documents it has.
    fn take(&mut self, page: &Page) -> Result<usize, Trouble> {
        let Found { pit_id, hits, extent } = page.found()?;
        extent.check(&page.host)?;
        if let (Some(view), Some(id)) = (&mut self.view, pit_id) {
            view.id = id.into_owned();
        }
        let count = hits.hits.len();
        self.ended = count < self.page_items;
        if let Some(last) = hits.hits.last() {
            self.after = Some(last.sort.to_owned());
            let (fewest, most, _) = PAGE_ITEMS;
            let wanted = (PAGE_BYTES / (page.body.len() / count).max(1)).clamp(fewest, most);
            // Growing slowly: the next documents may be larger.
            self.page_items = wanted.min(self.page_items.saturating_mul(4));
        }
        Ok(count)
    }

    fn request(&self) -> Value {
        let Question { query, sort, source, .. } = &self.question;
        let mut sort = sort.clone();
        let ties = self.view.as_ref().map_or(&[][..], View::ties);
        sort.extend(ties.iter().map(|tie| json!({ *tie: "asc" })));
        let mut request = json!({
            "size": self.page_items,
            "query": query,
            "pit": { "id": self.view.as_ref().map(|view| &view.id), "keep_alive": KEEP_ALIVE },
            "sort": sort,
            "_source": source,
            "track_total_hits": false,
        });
        if let Some(after) = &self.after {
            request["search_after"] = serde_json::from_str(after.get()).unwrap_or_default();
        }
        request
    }

    /// Lets the server forget the view.
    pub async fn close(&mut self) {
        self.ended = true;
        if let Some(view) = self.view.take() {
            view.close(self.client).await;
        }
    }
}

impl Page {
    /// The documents, in their order.
    ///
    /// # Errors
    /// When the answer is garbled.
    pub fn hits(&self) -> Result<Vec<Hit<'_>>, Trouble> {
        Ok(self.found()?.hits.hits)
    }

    fn found(&self) -> Result<Found<'_>, Trouble> {
        serde_json::from_slice(&self.body).map_err(|_| whole::garbled(&self.host))
    }
}

/// Visits every document that a question finds.
///
/// # Errors
/// When Elasticsearch does not answer, refuses, or cannot answer for all of its shards.
pub async fn each(client: &Client, question: &Question, mut visit: impl FnMut(Hit<'_>)) -> Result<(), Trouble> {
    let Some(mut pages) = Pages::open(client, question.clone()).await? else { return Ok(()) };
    let visited = each_page(&mut pages, &mut visit).await;
    pages.close().await;
    visited
}

async fn each_page(pages: &mut Pages<'_>, visit: &mut impl FnMut(Hit<'_>)) -> Result<(), Trouble> {
    while let Some(page) = pages.next().await? {
        page.hits()?.into_iter().for_each(&mut *visit);
    }
    Ok(())
}

/// How many documents a query finds; none where the index does not exist.
///
/// # Errors
/// When Elasticsearch does not answer, refuses, or cannot answer for all of its shards.
pub async fn count(client: &Client, index: &str, query: &Value) -> Result<u64, Trouble> {
    #[derive(Deserialize)]
    struct Counted {
        count: u64,
        #[serde(flatten)]
        extent: Extent,
    }
    impl AsRef<Extent> for Counted {
        fn as_ref(&self) -> &Extent {
            &self.extent
        }
    }
    let reply = ask(client, Method::Post, &format!("{index}/_count"), &json!({ "query": query })).await?;
    if reply.status == 404 { Ok(0) } else { Ok(whole::read::<Counted>(&reply)?.count) }
}

/// Puts one search; `None` where the index does not exist.
///
/// # Errors
/// When Elasticsearch does not answer, refuses, or cannot answer for all of its shards.
pub async fn search(client: &Client, index: &str, body: &Value) -> Result<Option<Value>, Trouble> {
    let reply = ask(client, Method::Post, &format!("{index}/_search?{WHOLE}"), body).await?;
    if reply.status == 404 { Ok(None) } else { whole::read_value(&reply).map(Some) }
}

/// Those of some ids, at most 10,000, that documents have.
///
/// # Errors
/// When Elasticsearch does not answer, refuses, or cannot answer for all of its shards.
pub async fn present(client: &Client, index: &str, ids: &[&str]) -> Result<Vec<String>, Trouble> {
    let mut present = Vec::with_capacity(ids.len());
    let mut parts = vec![ids];
    while let Some(part) = parts.pop() {
        let Some(found) = present_of(client, index, part).await? else { return Ok(Vec::new()) };
        // A full answer may lack something: in a data stream one id may be in several indices.
        if found.len() >= room_for(part) && part.len() > 1 {
            let (one, other) = part.split_at(part.len() / 2);
            parts.extend([one, other]);
        } else {
            present.extend(found);
        }
    }
    Ok(present)
}

/// How many documents are asked for when so many ids are looked for.
fn room_for(ids: &[&str]) -> usize {
    (2 * ids.len()).min(RESULT_WINDOW_ITEMS)
}

async fn present_of(client: &Client, index: &str, ids: &[&str]) -> Result<Option<Vec<String>>, Trouble> {
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
        #[serde(flatten)]
        extent: Extent,
    }
    impl AsRef<Extent> for Found {
        fn as_ref(&self) -> &Extent {
            &self.extent
        }
    }
    #[derive(Deserialize, Default)]
    struct Hits {
        #[serde(default)]
        hits: Vec<Present>,
    }
    let search = json!({ "size": room_for(ids), "query": { "ids": { "values": ids } }, "_source": false });
    let filter = "timed_out,terminated_early,_shards,_clusters,hits.hits._id";
    let reply = ask(client, Method::Post, &format!("{index}/_search?{WHOLE}&filter_path={filter}"), &search).await?;
    if reply.status == 404 {
        return Ok(None);
    }
    let found: Found = whole::read(&reply)?;
    Ok(Some(found.hits.hits.into_iter().map(|hit| hit.id).collect()))
}

/// Whether searches see everything that was taken before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// They do.
    Done,
    /// This user may not refresh, so what was taken last may be invisible yet.
    Forbidden,
}

/// Makes everything that was taken so far visible to searches.
///
/// # Errors
/// When Elasticsearch does not answer, refuses for another reason than the user's, or does it for a part.
pub async fn refresh(client: &Client, index: &str) -> Result<Refreshed, Trouble> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "_shards")]
        shards: Part,
    }
    // Copies that are not assigned count neither as successful nor as failed.
    #[derive(Deserialize)]
    struct Part {
        total: u64,
        failed: u64,
    }
    let reply = client.send(Method::Post, &format!("{index}/_refresh"), &Body::None).await?;
    match reply.status {
        404 => return Ok(Refreshed::Done),
        401 | 403 => return Ok(Refreshed::Forbidden),
        _ => {}
    }
    let Answer { shards: Part { total, failed } } = whole::read_plain(&reply)?;
    if failed > 0 {
        return Err(whole::incomplete(&reply.host, &format!("{failed} shards did not refresh")));
    }
    // A pattern means only what the user may refresh, which may be nothing of what the user may read.
    let is_nothing = total == 0 && index.contains('*');
    Ok(if is_nothing && has_shards(client, index).await? { Refreshed::Forbidden } else { Refreshed::Done })
}

/// Whether there is something to search.
async fn has_shards(client: &Client, index: &str) -> Result<bool, Trouble> {
    let reply = ask(client, Method::Post, &format!("{index}/_search?{WHOLE}"), &json!({ "size": 0 })).await?;
    Ok(reply.status != 404 && whole::read::<Extent>(&reply)?.shards.is_some_and(|shards| shards.total > 0))
}

async fn ask(client: &Client, method: Method, path: &str, body: &Value) -> Result<Reply, Trouble> {
    client.send(method, path, &Body::Json(Bytes::from(body.to_string()))).await
}

/// What a search was refused for, with what is known of searches.
pub(super) fn refused(reply: &Reply) -> Trouble {
    let mut trouble = bulk::trouble_of(reply);
    trouble.hint = match reply.status {
        403 => Some("searching needs the privilege `read` on the data stream or index".to_owned()),
        404 => Some("nothing was shipped there yet, or the name in the pipeline file is another one".to_owned()),
        400 | 503 => Some("the log of Elasticsearch says more".to_owned()),
        _ => trouble.hint,
    };
    trouble
}

fn too_large() -> Trouble {
    Trouble {
        problem: "a single document is larger than the longest answer that is taken".to_owned(),
        hint: Some("narrow the query so that it leaves that document out".to_owned()),
    }
}
