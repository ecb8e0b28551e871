//! A view: what an index holds at one moment, whatever is indexed meanwhile.
//!
//! ```text
//!         Elasticsearch                 OpenSearch
//! open    POST INDEX/_pit               POST INDEX/_search/point_in_time
//! close   DELETE _pit                   DELETE _search/point_in_time
//! ties    _shard_doc                    _index, _id
//! ```
//!
//! Elasticsearch's way is tried first, and the other one where a server says that it does not know it.

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Body, Client, Method, Reply};
use super::whole::{self, Extent, Shards};
use crate::flow::answer::Trouble;

/// How long the server keeps a view between two pages.
pub(super) const KEEP_ALIVE: &str = "5m";

/// Which server's way it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Elasticsearch,
    OpenSearch,
}

impl Dialect {
    fn opened(self, index: &str) -> String {
        match self {
            Dialect::Elasticsearch => format!("{index}/_pit?keep_alive={KEEP_ALIVE}"),
            Dialect::OpenSearch => format!("{index}/_search/point_in_time?keep_alive={KEEP_ALIVE}"),
        }
    }
}

/// A view that must be closed.
#[derive(Debug)]
pub(super) struct View {
    pub(super) id: String,
    dialect: Dialect,
}

#[derive(Deserialize)]
struct Opened {
    #[serde(alias = "pit_id")]
    id: String,
    #[serde(rename = "_shards")]
    shards: Option<Shards>,
}

impl View {
    /// Opens one; `None` where nothing of that name exists.
    pub(super) async fn open(client: &Client, index: &str) -> Result<Option<View>, Trouble> {
        let mut dialect = Dialect::Elasticsearch;
        let mut reply = ask(client, dialect, index).await?;
        if reply.is_unknown_path() {
            dialect = Dialect::OpenSearch;
            reply = ask(client, dialect, index).await?;
        }
        if reply.status == 404 {
            return Ok(None);
        }
        let Opened { id, shards } = whole::read_plain(&reply)?;
        // Older versions do not say it here; the first page does.
        if let Some(shards) = shards {
            Extent::of(shards).check(&reply.host)?;
        }
        Ok(Some(View { id, dialect }))
    }

    /// By what documents are told apart whose other sort values are equal.
    pub(super) fn ties(&self) -> &'static [&'static str] {
        match self.dialect {
            Dialect::Elasticsearch => &["_shard_doc"],
            Dialect::OpenSearch => &["_index", "_id"],
        }
    }

    /// Lets the server forget it. Its own clock does so after [`KEEP_ALIVE`] where this does not get through.
    pub(super) async fn close(self, client: &Client) {
        let (path, body): (_, Value) = match self.dialect {
            Dialect::Elasticsearch => ("_pit", json!({ "id": self.id })),
            Dialect::OpenSearch => ("_search/point_in_time", json!({ "pit_id": [self.id] })),
        };
        let _ = client.send(Method::Delete, path, &Body::Json(body.to_string().into())).await;
    }
}

async fn ask(client: &Client, dialect: Dialect, index: &str) -> Result<Reply, Trouble> {
    client.send(Method::Post, &dialect.opened(index), &Body::None).await
}
