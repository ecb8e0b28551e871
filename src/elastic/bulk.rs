//! Bulk answers: what became of each record?
//!
//! One pure function, [`read_answer`], turns status and body of an answer into an [`Answer`]; nothing else in inferlog
//! interprets what Elasticsearch says about records. What is not understood is never taken for success: a body that is
//! garbled, cut, or holds another number of items than was sent says nothing of any item, and all are asked for again.
//! That is harmless, since an item that had succeeded answers 409 the next time.
//!
//! | item | outcome |
//! | --- | --- |
//! | 2xx | indexed; with `failure_store: used`, kept apart and not searchable |
//! | 409 version conflict | duplicate: an earlier try had succeeded |
//! | 401, 403, 404; a block, a closed index, no room for a shard, a missing pipeline | the target is not ready |
//! | 408, 425, 429, 5xx, what is not known | retry |
//! | other 4xx | rejected |

use std::borrow::Cow;

use serde::Deserialize;

use super::describe;
use super::exchange::{Reply, Unready};
use crate::flow::answer::{Answer, Outcome, Reason, Trouble};

/// An item that was indexed, as an answer has it with [`FILTER_PATH`], and the comma that follows each but the last.
const INDEXED: &[u8] = b"{\"create\":{\"status\":201}},";

/// The parts of a bulk answer that are read; Elasticsearch leaves out the rest, which cuts the answer from about 150 to
/// 26 bytes an item.
pub const FILTER_PATH: &str =
    "took,errors,items.*.status,items.*.error.type,items.*.error.reason,items.*.failure_store";

/// How an item's reason begins that tells of a wrong target where the type alone does not. Further on it may quote a record.
const TARGET_WORDS: [(&str, &str); 6] = [
    ("validation_exception", "Validation Failed: 1: this action would add"),
    ("validation_exception", "this action would add"),
    ("illegal_argument_exception", "Validation Failed: 1: this action would add"),
    ("illegal_argument_exception", "this action would add"),
    ("illegal_argument_exception", "pipeline with id ["),
    ("illegal_argument_exception", "no write index is defined"),
];

#[derive(Deserialize)]
struct BulkAnswer<'a> {
    #[serde(borrow)]
    items: Vec<BulkItem<'a>>,
}

#[derive(Deserialize)]
struct BulkItem<'a> {
    #[serde(borrow)]
    create: ItemAnswer<'a>,
}

#[derive(Deserialize)]
struct ItemAnswer<'a> {
    status: u16,
    #[serde(borrow, default)]
    error: Option<ItemError<'a>>,
    #[serde(borrow, default)]
    failure_store: Option<Cow<'a, str>>,
}

#[derive(Deserialize, Default)]
struct ItemError<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct WholeError<'a> {
    #[serde(borrow)]
    error: ItemError<'a>,
}

impl ItemError<'_> {
    fn into_reason(self) -> Reason {
        let text = |words: Option<Cow<'_, str>>| words.unwrap_or_default().into_owned();
        Reason { kind: text(self.kind), detail: text(self.reason) }
    }
}

/// Says what the answer to a bulk request of `sent` items means.
///
/// The detail of [`Outcome::TargetUnready`] speaks of privileges, indices and blocks, never of the record.
pub fn read_answer(reply: &Reply, sent: usize) -> Answer {
    match reply.status {
        200..=299 => read_items(reply, sent),
        413 => Answer::Halve(Reason {
            kind: "content_too_large".to_owned(),
            detail: "the request is larger than the server takes (413)".to_owned(),
        }),
        400 => read_bad_request(reply),
        _ => match reply.retry_after {
            Some(wait) => Answer::WaitAtLeast(wait, trouble_of(reply)),
            None => Answer::Wait(trouble_of(reply)),
        },
    }
}

fn read_items(reply: &Reply, sent: usize) -> Answer {
    let Reply { host, body, .. } = reply;
    let wait = |problem: String| {
        let hint = Some("what had succeeded will be known by its `_id`; all items are sent again".to_owned());
        Answer::Wait(Trouble { problem, hint })
    };
    if count_indexed(body) == Some(sent) {
        return Answer::Items(vec![Outcome::Indexed; sent]);
    }
    let Ok(answer) = serde_json::from_slice::<BulkAnswer<'_>>(body) else {
        return wait(format!(
            "the bulk answer cannot be read ({} bytes): it is cut or not Elasticsearch's",
            body.len()
        ));
    };
    if answer.items.len() != sent {
        return wait(format!("the bulk answer of {host} has {} items, but {sent} were sent", answer.items.len()));
    }
    Answer::Items(answer.items.into_iter().map(|item| outcome(item.create)).collect())
}

/// How many items an answer has of which every one is [`INDEXED`] to the byte, as most answers are; `None` of any other.
fn count_indexed(body: &[u8]) -> Option<usize> {
    const ITEMS: &[u8] = b"\"items\":[";
    let start = memchr::memmem::find(body, ITEMS)? + ITEMS.len();
    let items = body[start..].strip_suffix(b"]}")?;
    let (first, last) = (items.chunks_exact(INDEXED.len()), INDEXED.strip_suffix(b",")?);
    // With the items taken out it must still be an object.
    let without_items = [&body[..start], b"]}"].concat();
    let is_answer = first.remainder() == last && serde_json::from_slice::<BulkAnswer<'_>>(&without_items).is_ok();
    let count = first.len() + 1;
    (is_answer && first.into_iter().all(|item| item == INDEXED)).then_some(count)
}

/// A 400 for the whole request is one item's doing if Elasticsearch itself says so. A page of another server, or words
/// about the path or the target, would send every record to the dead letter one by one: those are waited for.
fn read_bad_request(reply: &Reply) -> Answer {
    if reply.body.trim_ascii().is_empty() {
        let detail = "the request was refused (400) without a word".to_owned();
        return Answer::Halve(Reason { kind: "bad_request".to_owned(), detail });
    }
    match whole_reason(&reply.body) {
        Some(reason) if !is_of_target(&reason) => Answer::Halve(reason),
        _ => Answer::Wait(trouble_of(reply)),
    }
}

/// What a status other than success means for whatever was asked, and what is to be done.
pub fn trouble_of(reply: &Reply) -> Trouble {
    describe::refused(reply, whole_reason(&reply.body).as_ref())
}

/// An answer to a question, unless the server, or what is between, is not ready for any.
///
/// # Errors
/// When it is not.
pub fn ready(reply: Reply) -> Result<Reply, Unready> {
    match reply.status {
        401 | 407 | 408 | 429 | 500..=599 => Err(Unready { trouble: trouble_of(&reply), wait: reply.retry_after }),
        _ => Ok(reply),
    }
}

/// What Elasticsearch says of a request as a whole; `None` where it is not Elasticsearch that speaks.
pub fn whole_reason(body: &[u8]) -> Option<Reason> {
    serde_json::from_slice::<WholeError<'_>>(body).ok().map(|whole| whole.error.into_reason())
}

/// One item's outcome, by the table in the module's documentation.
fn outcome(item: ItemAnswer<'_>) -> Outcome {
    let kept_apart = item.failure_store.as_deref() == Some("used");
    let unexplained = item.error.is_none();
    match item.status {
        200..=299 if kept_apart => return Outcome::FailureStore,
        200..=299 if unexplained => return Outcome::Indexed,
        _ => {}
    }
    let mut reason = item.error.unwrap_or_default().into_reason();
    if reason.kind.is_empty() {
        reason.kind = format!("status_{}", item.status);
    }
    match item.status {
        409 if unexplained || reason.kind.starts_with("version_conflict") => Outcome::Duplicate,
        401 | 403 | 404 => Outcome::TargetUnready(reason),
        _ if is_of_target(&reason) => Outcome::TargetUnready(reason),
        400 | 402 | 405..=407 | 410..=424 | 426..=428 | 430..=499 => Outcome::Rejected(reason),
        500 => Outcome::Failing(reason),
        _ => Outcome::Retry(reason),
    }
}

fn is_of_target(reason: &Reason) -> bool {
    let kinds = ["cluster_block_exception", "index_closed_exception", "invalid_index_name_exception"];
    kinds.contains(&reason.kind.as_str())
        || TARGET_WORDS.iter().any(|(kind, words)| reason.kind == *kind && reason.detail.starts_with(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &[u8], sent: usize) -> Answer {
        let body = body.to_vec().into();
        read_answer(&Reply { host: "http://es".to_owned(), status, body, ..Reply::default() }, sent)
    }

    fn kind_of(outcome: &Outcome) -> &'static str {
        match outcome {
            Outcome::Indexed => "indexed",
            Outcome::Duplicate => "duplicate",
            Outcome::Erased => "erased",
            Outcome::FailureStore => "failure store",
            Outcome::Retry(_) => "retry",
            Outcome::Failing(_) => "failing",
            Outcome::TargetUnready(_) => "target",
            Outcome::Rejected(_) => "rejected",
        }
    }

    #[test]
    fn an_answer_of_indexed_items_alone_is_counted_and_any_other_is_read() {
        let one = r#"{"create":{"status":201}}"#;
        for (body, expected) in [
            (format!(r#"{{"took":1,"errors":false,"items":[{one}]}}"#), Some(1)),
            (format!(r#"{{"errors":false,"items":[{one},{one},{one}]}}"#), Some(3)),
            (r#"{"errors":false,"items":[]}"#.to_owned(), None),
            (format!(r#"{{"errors":false,"items":[{one},]}}"#), None),
            (format!(r#"{{"errors":false,"items":[{one}{one}]}}"#), None),
            (format!(r#"{{"errors":false,"items":[{one};{one}]}}"#), None),
            (format!(r#"{{"errors":false,"items":[{one},{}]}}"#, one.replace("201", "200")), None),
            (format!(r#"{{"errors":false,"items":[{one},{}]}}"#, one.replace("201", "429")), None),
            (format!(r#"{{"errors":false,"items":[{one}]"#), None),
            (format!(r#"{{"errors":false,"items":[{one}]}} "#), None),
            (format!(r#"{{"errors":,"items":[{one}]}}"#), None),
            (format!(r#"<p>"items":[{one}]}}"#), None),
        ] {
            assert_eq!(count_indexed(body.as_bytes()), expected, "{body}");
        }
        let three = format!(r#"{{"errors":false,"items":[{one},{one},{one}]}}"#);
        assert_eq!(read(200, three.as_bytes(), 3), Answer::Items(vec![Outcome::Indexed; 3]));
        assert!(matches!(read(200, three.as_bytes(), 4), Answer::Wait(_)), "another number than was sent");
    }

    #[test]
    fn each_item_gets_its_outcome() {
        let table = [
            (r#"{"status":201}"#, "indexed"),
            (r#"{"status":200}"#, "indexed"),
            (r#"{"status":201,"failure_store":"used"}"#, "failure store"),
            (r#"{"status":201,"failure_store":"not_applicable_or_unknown"}"#, "indexed"),
            (r#"{"status":201,"error":{"type":"odd"}}"#, "retry"),
            (r#"{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"exists"}}"#, "duplicate"),
            (r#"{"status":409}"#, "duplicate"),
            (r#"{"status":409,"error":{"type":"some_other_conflict"}}"#, "retry"),
            (r#"{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"queue full"}}"#, "retry"),
            (r#"{"status":429,"error":{"type":"circuit_breaking_exception","reason":"heap"}}"#, "retry"),
            (r#"{"status":429,"error":{"type":"cluster_block_exception","reason":"flood stage"}}"#, "target"),
            (r#"{"status":408}"#, "retry"),
            (r#"{"status":500,"error":{"type":"null_pointer_exception"}}"#, "failing"),
            (r#"{"status":503,"error":{"type":"unavailable_shards_exception","reason":"primary"}}"#, "retry"),
            (r#"{"status":503,"error":{"type":"cluster_block_exception","reason":"no master"}}"#, "target"),
            (r#"{"status":302}"#, "retry"),
            (r#"{"status":0}"#, "retry"),
            (r#"{"status":401,"error":{"type":"security_exception"}}"#, "target"),
            (r#"{"status":403,"error":{"type":"security_exception","reason":"create_doc"}}"#, "target"),
            (r#"{"status":403,"error":{"type":"cluster_block_exception","reason":"FORBIDDEN/8"}}"#, "target"),
            (r#"{"status":404,"error":{"type":"index_not_found_exception"}}"#, "target"),
            (r#"{"status":400,"error":{"type":"index_closed_exception"}}"#, "target"),
            (r#"{"status":400,"error":{"type":"invalid_index_name_exception"}}"#, "target"),
            (
                r#"{"status":400,"error":{"type":"validation_exception","reason":"Validation Failed: 1: this action would add [2] shards, but"}}"#,
                "target",
            ),
            (r#"{"status":400,"error":{"type":"validation_exception","reason":"something else"}}"#, "rejected"),
            (
                r#"{"status":400,"error":{"type":"illegal_argument_exception","reason":"pipeline with id [x] does not exist"}}"#,
                "target",
            ),
            (r#"{"status":400,"error":{"type":"illegal_argument_exception","reason":"mapper [x]"}}"#, "rejected"),
            (r#"{"status":400,"error":{"type":"document_parsing_exception","reason":"n/a"}}"#, "rejected"),
            (r#"{"status":400,"failure_store":"failed","error":{"type":"document_parsing_exception"}}"#, "rejected"),
            (r#"{"status":500,"failure_store":"failed","error":{"type":"x"}}"#, "failing"),
            (r#"{"status":413}"#, "rejected"),
            (r#"{"status":422,"error":null}"#, "rejected"),
        ];
        for (item, expected) in table {
            let body = format!(r#"{{"took":1,"errors":true,"items":[{{"create":{item}}}]}}"#);
            let Answer::Items(outcomes) = read(200, body.as_bytes(), 1) else { panic!("{item} was not read") };
            assert_eq!(outcomes.iter().map(kind_of).collect::<Vec<_>>(), [expected], "{item}");
        }
    }

    #[test]
    fn whole_answers_wait_unless_the_request_itself_is_at_fault() {
        let two = r#"{"took":1,"errors":false,"items":[{"create":{"status":201}},{"create":{"status":201}}]}"#;
        let long_id = r#"{"error":{"root_cause":[],"type":"action_request_validation_exception","reason":"id [é] is too long"},"status":400}"#;
        let no_handler = r#"{"error":"no handler found for uri [/x/_bulk] and method [POST]"}"#;
        let bad_name = r#"{"error":{"type":"invalid_index_name_exception","reason":"x"},"status":400}"#;
        let denied =
            r#"{"error":{"type":"security_exception","reason":"action is unauthorized for user [a]"},"status":403}"#;
        let table = [
            (200, two, 2, "items", ""),
            (200, two, 3, "wait", "has 2 items, but 3 were sent"),
            (200, two, 1, "wait", "has 2 items, but 1 were sent"),
            (200, &two[..two.len() - 1], 2, "wait", "cannot be read"),
            (200, "", 2, "wait", "cannot be read"),
            (200, "{}", 0, "wait", "cannot be read"),
            (200, r#"{"items":[{"index":{"status":201}}]}"#, 1, "wait", "cannot be read"),
            (200, r#"{"items":[{"create":{}}]}"#, 1, "wait", "cannot be read"),
            (200, r#"{"items":[{"create":{"status":"201"}}]}"#, 1, "wait", "cannot be read"),
            (200, "<html>welcome</html>", 1, "wait", "cannot be read"),
            (204, "", 1, "wait", "cannot be read"),
            (413, "<html>too large</html>", 2, "halve", "content_too_large"),
            (413, "", 1, "halve", "content_too_large"),
            (400, long_id, 2, "halve", "action_request_validation_exception"),
            (400, "", 2, "halve", "bad_request"),
            (400, no_handler, 2, "wait", "400"),
            (400, bad_name, 2, "wait", "invalid_index_name_exception"),
            (400, "<html>The plain HTTP request was sent to HTTPS port</html>", 2, "wait", "400"),
            (302, "", 2, "wait", "redirect"),
            (401, denied, 2, "wait", "401 (unauthorized): security_exception"),
            (403, denied, 2, "wait", "unauthorized for user [a]"),
            (404, "", 2, "wait", "not found"),
            (429, "", 2, "wait", "too many requests"),
            (500, "oops", 2, "wait", "server error"),
            (503, "", 2, "wait", "unavailable"),
            (599, "", 2, "wait", "599"),
            (100, "", 2, "wait", "unexpected"),
        ];
        for (status, body, sent, kind, words) in table {
            let (found, text) = match read(status, body.as_bytes(), sent) {
                Answer::Items(outcomes) => ("items", format!("{outcomes:?}")),
                Answer::Halve(reason) => ("halve", reason.kind),
                Answer::Wait(trouble) | Answer::WaitAtLeast(_, trouble) => {
                    assert!(trouble.hint.is_some(), "{status} {body}");
                    ("wait", trouble.problem)
                }
                Answer::Closed(trouble) => ("closed", trouble.problem),
            };
            assert_eq!(found, kind, "{status} {body} {text}");
            assert!(text.contains(words), "{status} {body}: {text}");
        }
    }

    #[test]
    fn an_answer_cut_at_any_byte_says_nothing() {
        let whole = r#"{"took":1,"errors":true,"items":[{"create":{"status":400,"error":{"type":"a","reason":"\u00e4\""}}},{"create":{"status":201}}]}"#;
        assert!(matches!(read(200, whole.as_bytes(), 2), Answer::Items(_)));
        for length in 0..whole.len() {
            let answer = read(200, &whole.as_bytes()[..length], 2);
            assert!(matches!(answer, Answer::Wait(_)), "{length}: {answer:?}");
        }
    }

    #[test]
    fn only_what_is_known_to_be_harmless_is_fit_for_the_log() {
        let body = br#"{"error":{"type":"x_exception","reason":"Preview of field's value: 's3cret'"},"status":0}"#;
        for status in (100..600).filter(|status| ![403, 404].contains(status)) {
            if let Answer::Wait(trouble) = read(status, body, 1) {
                assert!(!format!("{trouble:?}").contains("s3cret"), "{status}");
            }
        }
    }
}
