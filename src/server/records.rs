//! `POST /query`: which records of a store meet this? For whoever has the admin token, where that is switched on.
//!
//! It is the one route that shows record data. So it is off unless somebody wants it; a page of somebody else cannot ask
//! (`Host`, `Origin`, and a head that browsers do not send by themselves); one question is answered at a time, within the
//! limits below; and each is a line of the log, whatever the log's level is: who asked what, and how many records it
//! were, without any of them.
//!
//! ```text
//! {"pipeline": "inference", "kql": "confidence < 0.6", "last": "1h", "limit": 100, "format": "json"}
//!
//! {"columns": […], "rows": [{"cells": […], "document": "{…}"}, …], "count": 2, "cut": null, "words": […],
//!  "completeness": {"verdict": "complete", "through": …, "gaps": [], "words": […]}, "milliseconds": 12}
//! ```
//!
//! The members are called as the flags of `inferlog query` are. A document is a text, byte for byte as it was shipped;
//! cells are for people, and cut. CSV is the answer itself, with what is said beside it in the head.

mod answer;
mod limits;
mod refusal;

pub use limits::{ANSWER_BYTES_MAX, CSV_ROWS_MAX, LOG_TARGET, ROWS_MAX, SECONDS_MAX};

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::json;

use self::answer::{Answer, Asking, Body, StopSign};
use self::refusal::Refusal;
use super::process::{ProcessStatus, Records};
use super::token::WHERE_IT_IS;
use crate::config::model::Pipeline;
use crate::kql::{Expression, Purpose, TEXT_BYTES_MAX};
use crate::query::range::Range;
use crate::text::harmless::harmless;
use crate::text::units::parse_duration;

/// Where it is off, this is said, on the page and to whoever asks.
pub const OFF: &str = "records are not shown here: `inferlog run --page-records` switches that on, for whoever has the \
                       admin token; `inferlog query` asks in a terminal";

/// The longest question, in bytes: a KQL of which each byte takes six, and the rest.
pub(super) const QUESTION_BYTES_MAX: usize = 6 * TEXT_BYTES_MAX + 4 * 1024;

/// Who connected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FormatName {
    #[default]
    Json,
    Csv,
}

/// A question as it comes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Request {
    pipeline: Option<String>,
    kql: String,
    last: Option<String>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<u64>,
    format: FormatName,
}

pub(super) async fn records(
    State(served): State<ProcessStatus>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let peer = peer.map_or_else(|| "unknown".to_owned(), |Extension(Peer(peer))| peer.to_string());
    let answered = match admitted(&served, &headers, &peer) {
        Ok(records) => ask(&served, records, peer, &body).await,
        Err(refusal) => Err(refusal),
    };
    answered.unwrap_or_else(Refusal::response)
}

/// The stores, for whoever may ask them.
fn admitted<'s>(served: &'s ProcessStatus, headers: &HeaderMap, peer: &str) -> Result<&'s Records, Refusal> {
    let Some(records) = &served.records else { return Err(Refusal::new(StatusCode::FORBIDDEN, OFF, None)) };
    if !is_of_our_page(headers) {
        tracing::warn!(peer, "a question for records was refused: it comes from a page of somebody else");
        return Err(Refusal::new(StatusCode::FORBIDDEN, "a page of somebody else may not ask", None));
    }
    if !records.token.is_in(headers) {
        let why = if headers.contains_key(header::AUTHORIZATION) { "another token" } else { "no token" };
        tracing::warn!(peer, "a question for records was refused: it has {why}");
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, "the admin token is needed", Some(WHERE_IT_IS.trim_end())));
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().unwrap_or_default().trim() != "application/json" {
        let words = "the question is JSON: say `Content-Type: application/json`";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, words, None));
    }
    Ok(records)
}

/// Whether a request is of the page that is served here, or of no page at all.
fn is_of_our_page(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let is_near =
        text(HeaderName::from_static("sec-fetch-site")).is_none_or(|site| matches!(site, "same-origin" | "none"));
    let Some(origin) = text(header::ORIGIN) else { return is_near };
    let named = origin.split_once("://").and_then(|(_, name)| name.parse::<Authority>().ok());
    let asked = text(header::HOST).and_then(|host| host.parse::<Authority>().ok());
    is_near && named.is_some() && named == asked
}

async fn ask(served: &ProcessStatus, records: &Records, peer: String, body: &Bytes) -> Result<Response, Refusal> {
    let busy = |_| {
        let words = "another question is being answered, and one is at a time";
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, words, Some("ask again in a moment"))
    };
    let turn = Arc::clone(&records.turn).try_acquire_owned().map_err(busy)?;
    let request = Request::read(body)?;
    let pipeline = pipeline_of(served, request.pipeline.as_deref())?;
    let asking = request.asking(pipeline, &records.data_dir, peer)?;
    let stop = Arc::new(StopSign::new(Duration::from_secs(SECONDS_MAX)));
    // Whoever goes away does not want to know any more.
    let _asker = Asker(Arc::clone(&stop));
    let runtime = tokio::runtime::Handle::current();
    let answered = tokio::task::spawn_blocking(move || {
        let answered = asking.answer(&stop, &runtime);
        drop(turn);
        answered
    });
    let unanswered = |_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "BUG: the question was not answered", None);
    Ok(response(answered.await.map_err(unanswered)??))
}

/// Whoever waits for an answer. Dropped, nobody does.
struct Asker(Arc<StopSign>);

impl Drop for Asker {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Request {
    fn read(body: &[u8]) -> Result<Request, Refusal> {
        let wrong = |error: serde_json::Error| {
            let hint = "members: `pipeline`, `kql`, `last` or `from` and `to`, `limit`, `format` (`json` or `csv`)";
            // Its words quote nothing but names of members.
            let problem = format!("this is no question: {}", harmless(&error.to_string()));
            Refusal::new(StatusCode::BAD_REQUEST, problem, Some(hint))
        };
        serde_json::from_slice(body).map_err(wrong)
    }

    fn asking(self, pipeline: Arc<Pipeline>, data_dir: &Path, peer: String) -> Result<Asking, Refusal> {
        let wrong = |problem: String, hint: &str| Refusal::new(StatusCode::BAD_REQUEST, problem, Some(hint));
        let condition = Expression::read(&self.kql, Purpose::Question).map_err(|error| Refusal {
            position_characters: Some(error.position_characters()),
            ..Refusal::new(StatusCode::BAD_REQUEST, format!("the question is not understood: {error}"), None)
        })?;
        let last = self.last.as_deref().map(parse_duration).transpose();
        let last = last.map_err(|error| wrong(error.to_string(), "write `1h`, `30m` or `7d`"))?;
        let limit = if self.format == FormatName::Csv { CSV_ROWS_MAX } else { ROWS_MAX };
        Ok(Asking {
            peer,
            pipeline,
            data_dir: data_dir.to_owned(),
            kql: self.kql,
            condition,
            range: Range { last, from: self.from, to: self.to },
            limit: self.limit.unwrap_or(limit).min(limit),
            is_csv: self.format == FormatName::Csv,
        })
    }
}

/// The pipeline of this name, or the only one.
fn pipeline_of(served: &ProcessStatus, name: Option<&str>) -> Result<Arc<Pipeline>, Refusal> {
    let pipelines = served.pipelines.read().unwrap_or_else(PoisonError::into_inner);
    let mut candidates = pipelines.iter().filter(|pipeline| name.is_none_or(|name| pipeline.name == name));
    let refuse = |status, problem: &str, hint: &str| Err(Refusal::new(status, problem, Some(hint)));
    match (candidates.next(), candidates.next()) {
        (Some(pipeline), None) => match &pipeline.figures {
            Some(figures) => Ok(Arc::clone(&figures.file)),
            None => refuse(
                StatusCode::CONFLICT,
                "the pipeline has not run since this process was started",
                "`inferlog query` asks its store in a terminal",
            ),
        },
        (None, _) => refuse(StatusCode::NOT_FOUND, "no such pipeline runs here", "`pipeline` is the name of one"),
        (Some(_), Some(_)) => refuse(StatusCode::BAD_REQUEST, "which pipeline?", "name one: `pipeline`"),
    }
}

/// An answer as it is sent.
fn response(answer: Answer) -> Response {
    let verdict = answer.completeness.verdict().as_str();
    let cut = answer.cut.map(|cut| cut.as_str());
    match answer.body {
        Body::Csv(text) => {
            let head = [
                (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8")),
                (HeaderName::from_static("inferlog-rows"), HeaderValue::from(answer.count)),
                (HeaderName::from_static("inferlog-cut"), HeaderValue::from_static(cut.unwrap_or("no"))),
                (HeaderName::from_static("inferlog-completeness"), HeaderValue::from_static(verdict)),
            ];
            (head, text).into_response()
        }
        Body::Rows(rows) => {
            let mut completeness = answer.completeness.json();
            completeness["verdict"] = json!(verdict);
            completeness["words"] = json!(answer.completeness.words());
            let body = json!({
                "columns": answer.columns, "count": answer.count, "cut": cut, "words": answer.words,
                "completeness": completeness, "milliseconds": answer.milliseconds, "rows": rows,
            });
            ([(header::CONTENT_TYPE, "application/json")], body.to_string() + "\n").into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_page_and_programs_may_ask() {
        for (origin, site, expected) in [
            (None, None, true),
            (Some("http://127.0.0.1:9614"), Some("same-origin"), true),
            (Some("https://127.0.0.1:9614"), None, true),
            (None, Some("none"), true),
            (None, Some("cross-site"), false),
            (None, Some("same-site"), false),
            (Some("http://127.0.0.1:9614"), Some("cross-site"), false),
            (Some("http://127.0.0.1:9615"), None, false),
            (Some("http://127.0.0.1"), None, false),
            (Some("http://attacker.example:9614"), None, false),
            (Some("null"), None, false),
            (Some(""), None, false),
        ] {
            let mut headers = HeaderMap::from_iter([(header::HOST, "127.0.0.1:9614".parse().unwrap())]);
            origin.into_iter().for_each(|origin| drop(headers.insert(header::ORIGIN, origin.parse().unwrap())));
            site.into_iter().for_each(|site| drop(headers.insert("sec-fetch-site", site.parse().unwrap())));
            assert_eq!(is_of_our_page(&headers), expected, "{origin:?} {site:?}");
        }
    }

    #[test]
    fn a_question_is_read_or_refused() {
        for (body, expected) in [
            ("{}", Ok(FormatName::Json)),
            (r#"{"kql":"a : 1","format":"csv","limit":3}"#, Ok(FormatName::Csv)),
            (r#"{"kql":"a : 1","format":"table"}"#, Err("unknown variant `table`")),
            (r#"{"columns":"a"}"#, Err("unknown field `columns`")),
            (r#"{"limit":-1}"#, Err("invalid value")),
            ("", Err("EOF")),
            ("[1]", Err("this is no question")),
        ] {
            match (Request::read(body.as_bytes()), expected) {
                (Ok(request), expected) => assert_eq!(Ok(request.format), expected, "{body}"),
                (Err(refusal), Err(words)) => assert!(refusal.problem.contains(words), "{body}: {refusal:?}"),
                (Err(refusal), Ok(_)) => panic!("{body}: {refusal:?}"),
            }
        }
    }
}
