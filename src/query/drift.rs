//! Drift: the documents of windows that the replicas of a pipeline have shipped.

use serde_json::json;

use super::ask::{AskError, Source};
use crate::elastic::pages::{self, Question};
use crate::elastic::search::in_range;

/// Visits the documents of a pipeline's windows that end in a range, in milliseconds since 1970, as JSON.
///
/// # Errors
/// When the source cannot be asked.
pub async fn documents(
    source: &Source,
    pipeline: &str,
    from_ms: Option<i64>,
    until_ms: Option<i64>,
    mut visit: impl FnMut(&str),
) -> Result<(), AskError> {
    match source {
        // A store is that of one pipeline.
        Source::Store(reader) => {
            let microseconds = |ms: Option<i64>, or: i64| ms.map_or(or, |ms| ms.saturating_mul(1_000));
            let documents = reader.drift(microseconds(from_ms, i64::MIN), microseconds(until_ms, i64::MAX))?;
            documents.iter().for_each(|document| visit(document));
        }
        Source::Elasticsearch(client, target) => {
            let question = Question {
                index: target.drift(),
                query: json!({ "bool": { "filter": [
                    { "term": { "inferlog.pipeline": pipeline } },
                    in_range(from_ms, until_ms),
                ] } }),
                sort: vec![json!({ "@timestamp": "asc" })],
                source: true.into(),
            };
            pages::each(client, &question, |hit| visit(hit.text())).await?;
        }
    }
    Ok(())
}
