//! How an account is written: its ranges as text in parts that are not too large, and the members beside them.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::range::Range;
use crate::flow::batch::{Id, Stream};
use crate::flow::own_document::OwnDocument;
use crate::flow::tally::{Counts, Delivered, Tally};
use crate::telemetry::Latency;

/// The ranges of one account have at most so many bytes as JSON; what is over goes into a further one. With what stands
/// beside them an account stays below 1 MiB, the least that servers and proxies are known to take as a request.
pub(super) const ACCOUNT_BYTES_MAX: usize = 256 * 1024;

/// Reasons of dead letters that are told one by one; what further ones have together is told as [`FURTHER_REASONS`].
pub(super) const DEAD_LETTER_REASONS_MAX: usize = 50;

/// Stands for the reasons that are not told one by one.
pub(super) const FURTHER_REASONS: &str = "other";

/// What one account tells of files.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) sum: Tally,
    /// JSON, with commas between.
    pub(super) ranges: String,
}

impl Part {
    pub(super) fn joined(mut self, other: Part) -> Part {
        self.sum.join(&other.sum);
        Part { ranges: other.ranges, ..self }
    }
}

/// Ranges as parts that are not too large.
pub(super) fn parts(ranges: impl Iterator<Item = Range>) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for range in ranges {
        let text = serde_json::to_string(&range).unwrap_or_default();
        let has_room = |part: &&mut Part| part.ranges.len() + text.len() < ACCOUNT_BYTES_MAX;
        match parts.last_mut().filter(has_room) {
            Some(part) => {
                part.ranges.push(',');
                part.ranges.push_str(&text);
                part.sum.join(&range.tally);
            }
            None => parts.push(Part { sum: range.tally, ranges: text }),
        }
    }
    parts
}

pub(super) fn own_document(id: Id, now: DateTime<Utc>, text: String) -> OwnDocument {
    let text = RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned());
    OwnDocument { stream: Stream::Accounts, id, timestamp_us: now.timestamp_micros(), text }
}

/// Reasons of dead letters with their counts, the most frequent first.
pub(super) fn reasons(dead_lettered: &Counts) -> Vec<(&str, u64)> {
    let mut reasons: Vec<_> = dead_lettered.iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    if reasons.len() > DEAD_LETTER_REASONS_MAX {
        let further = reasons.split_off(DEAD_LETTER_REASONS_MAX - 1);
        reasons.push((FURTHER_REASONS, further.iter().map(|(_, count)| count).sum()));
    }
    reasons
}

/// What stands in an account's maps, as plain members: sums over all sinks, and the latency of the slowest.
pub(super) fn flat(
    sinks: &BTreeMap<String, Delivered>,
    latency: &BTreeMap<Arc<str>, Latency>,
    reasons: &[(&str, u64)],
) -> Value {
    let slowest = |of: fn(Latency) -> f64| {
        latency.values().filter(|latency| latency.requests > 0).map(|latency| of(*latency)).reduce(f64::max)
    };
    json!({
        "account.indexed": sinks.values().map(|delivered| delivered.indexed).sum::<u64>(),
        "account.duplicates": sinks.values().map(|delivered| delivered.duplicates).sum::<u64>(),
        "account.sink_latency_mean_ms": slowest(mean_ms),
        "account.sink_latency_max_ms": slowest(max_ms),
        "account.dead_letter_reasons": reasons.iter().map(|(reason, _)| reason).collect::<Vec<_>>(),
    })
}

fn mean_ms(latency: Latency) -> f64 {
    latency.sum.as_secs_f64() * 1_000.0 / latency.requests.max(1) as f64
}

fn max_ms(latency: Latency) -> f64 {
    latency.max.as_secs_f64() * 1_000.0
}

pub(super) fn milliseconds(latency: Latency) -> Value {
    json!({ "requests": latency.requests, "mean": mean_ms(latency), "max": max_ms(latency) })
}

pub(super) fn extend(document: &mut Value, members: Value) {
    if let (Some(document), Value::Object(members)) = (document.as_object_mut(), members) {
        document.extend(members.into_iter().filter(|(_, value)| !value.is_null()));
    }
}

pub(super) fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}
