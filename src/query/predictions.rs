//! Predictions by their requests: which documents answered these `request_id`s?

use std::collections::HashSet;

use serde_json::json;

use super::ask::{AskError, Source};
use crate::elastic::pages::{self, Question};

/// So many ids are asked for at once: well below the 65,536 terms of a query that Elasticsearch allows.
const IDS_AT_ONCE: usize = 1_000;

/// Visits the `_id` and document of each record with one of these `request_id`s.
///
/// # Errors
/// When the source cannot be asked; some may have been visited by then.
pub async fn by_request(
    source: &Source,
    ids: &HashSet<String>,
    mut visit: impl FnMut(&str, &str),
) -> Result<(), AskError> {
    match source {
        Source::Store(reader) => reader.each_of_requests(ids, visit)?,
        Source::Elasticsearch(client, target) => {
            let ids: Vec<&String> = ids.iter().collect();
            for some in ids.chunks(IDS_AT_ONCE) {
                let question = Question {
                    index: target.searched(),
                    query: json!({ "terms": { "request_id": some } }),
                    sort: vec![json!({ "@timestamp": "asc" })],
                    source: true.into(),
                };
                pages::each(client, &question, |hit| visit(&hit.id, hit.text())).await?;
            }
        }
    }
    Ok(())
}
