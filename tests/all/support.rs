//! What the tests need from outside, and documents to ship.

use std::io::Write;
use std::sync::Arc;

use inferlog::elastic::client::{Body, Client};
use inferlog::elastic::installation::Installation;
use inferlog::elastic::options::{Auth, ClientOptions};
use inferlog::elastic::setup::{self, Conflicts, SetupResult};
use inferlog::elastic::target::Target;
use inferlog::flow::answer::{Answer, Outcome};
use inferlog::flow::batch::{Batch, ID_CHARACTERS, Id, Origin};
use inferlog::sink::elasticsearch::{Elasticsearch, ElasticsearchOptions};
use inferlog::sink::{Request, Sink};
use inferlog::text::secret::Secret;
use serde_json::Value;
use url::Url;

pub(crate) use inferlog::elastic::client::Method;

/// A variable that `./test` sets. Without it the test is left out, which is said past the capture of test output; where
/// everything is required, it fails.
pub(crate) fn provided(variable: &str, test: &str) -> Option<String> {
    let value = std::env::var(variable).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        assert!(
            std::env::var_os("INFERLOG_TEST_REQUIRE_ALL").is_none(),
            "{test} needs {variable}, which `./test` sets"
        );
        let line = format!("left out: {test} (needs {variable}; `./test` sets it and runs everything)\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
    value
}

/// A running Elasticsearch.
pub(crate) struct Node {
    pub(crate) options: ClientOptions,
    pub(crate) client: Client,
}

impl Node {
    pub(crate) fn new(options: ClientOptions) -> Node {
        let client = Client::new(&options).unwrap();
        Node { options, client }
    }

    /// The ordinary node of the tests.
    pub(crate) fn plain(test: &str) -> Option<Node> {
        let url = provided("INFERLOG_TEST_ES_URL", test)?;
        Some(Node::new(ClientOptions::new(vec![Url::parse(&url).unwrap()])))
    }

    /// A node of OpenSearch, without passwords.
    pub(crate) fn opensearch(test: &str) -> Option<Node> {
        let url = provided("INFERLOG_TEST_OPENSEARCH_URL", test)?;
        Some(Node::new(ClientOptions::new(vec![Url::parse(&url).unwrap()])))
    }

    /// A node with passwords, room for one waiting write request, and a limit of 200 kB a request.
    pub(crate) fn strict(test: &str) -> Option<Node> {
        let url = provided("INFERLOG_TEST_ES_STRICT_URL", test)?;
        let password = Secret::new(provided("INFERLOG_TEST_ES_STRICT_PASSWORD", test)?);
        let auth = Auth::Basic { user: "elastic".to_owned(), password };
        Some(Node::new(ClientOptions { auth, ..ClientOptions::new(vec![Url::parse(&url).unwrap()]) }))
    }

    /// One request of the test's own; gives status and JSON.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: &str) -> (u16, Value) {
        let (status, text) = self.ask_text(method, path, body).await;
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    /// One request of the test's own; gives status and text.
    pub(crate) async fn ask_text(&self, method: Method, path: &str, body: &str) -> (u16, String) {
        let body = if body.is_empty() { Body::None } else { Body::Json(body.to_owned().into()) };
        let reply = self.client.send(method, path, &body).await.unwrap();
        (reply.status, String::from_utf8(reply.body.to_vec()).unwrap())
    }

    /// Puts our templates in force for a target, whatever an earlier run has left of them.
    pub(crate) async fn set_up(&self, target: &Target) {
        let applied = setup::apply(&self.client, &Installation::new(target), Conflicts::Overwrite).await.unwrap();
        let is_there = |result: &SetupResult| result.outcome.problem().is_none();
        assert!(applied.results.iter().all(is_there), "{applied:?}");
    }

    pub(crate) fn sink(&self, target: &Target) -> Elasticsearch {
        Elasticsearch::new(&ElasticsearchOptions::new(self.options.clone(), target.clone())).unwrap()
    }

    /// Removes what an earlier run on the same node left behind.
    pub(crate) async fn forget(&self, stream_or_index: &str) {
        self.ask(Method::Delete, &format!("_data_stream/{stream_or_index}"), "").await;
        self.ask(Method::Delete, stream_or_index, "").await;
    }

    /// Number of documents that a search finds.
    pub(crate) async fn count(&self, target: &str, query: &str) -> u64 {
        self.ask(Method::Post, &format!("{target}/_refresh"), "").await;
        let (_, answer) = self.ask(Method::Post, &format!("{target}/_count"), &format!("{{\"query\":{query}}}")).await;
        answer["count"].as_u64().unwrap_or_else(|| panic!("no count: {answer}"))
    }
}

/// 2026-11-23T10:00:00.123456Z.
pub(crate) const TIME_US: i64 = 1_795_428_000_123_456;

/// A document's id of the right length.
pub(crate) fn id(name: &str) -> Id {
    let mut id = [b'-'; ID_CHARACTERS];
    id[..name.len()].copy_from_slice(name.as_bytes());
    Id(id)
}

/// A batch of documents with these ids and, after a time of their own, these members.
pub(crate) fn batch(documents: &[(&str, &str)]) -> Arc<Batch> {
    let mut batch = Batch::default();
    for (name, members) in documents {
        let origin = Origin { file: 0, offset_bytes: 0, length_bytes: 0, ordinal: 0 };
        let document = format!("{{\"@timestamp\":\"2026-11-23T10:00:00.123456Z\",{members}}}");
        batch.push(id(name), TIME_US, origin, |body| body.extend_from_slice(document.as_bytes()));
    }
    Arc::new(batch)
}

pub(crate) async fn deliver(sink: &dyn Sink, batch: &Arc<Batch>, selection: Option<Vec<u32>>) -> Answer {
    sink.deliver(&Request { batch: Arc::clone(batch), selection }).await
}

/// The outcomes of a delivery to a node that may be too busy with others' requests at first.
pub(crate) async fn outcomes_in_the_end(sink: &dyn Sink, batch: &Arc<Batch>) -> Vec<Outcome> {
    for _ in 0..600 {
        match deliver(sink, batch, None).await {
            Answer::Items(outcomes) if !outcomes.iter().any(|outcome| matches!(outcome, Outcome::Retry(_))) => {
                return outcomes;
            }
            Answer::Items(_) | Answer::Wait(_) | Answer::WaitAtLeast(..) => {}
            other => panic!("not answered item by item: {other:?}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the node was busy for a minute");
}

/// The outcomes of a delivery that was answered item by item.
pub(crate) async fn outcomes(sink: &dyn Sink, batch: &Arc<Batch>) -> Vec<Outcome> {
    match deliver(sink, batch, None).await {
        Answer::Items(outcomes) => outcomes,
        other => panic!("not answered item by item: {other:?}"),
    }
}
