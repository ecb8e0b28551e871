//! How an account is written: its ranges as text in parts that are not too large, and the members beside them.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::range::Range;
use crate::flow::batch::{Id, Stream};
use crate::flow::own_document::OwnDocument;
use crate::flow::tally::Tally;
use crate::telemetry::Latency;

/// The ranges of one account have at most so many bytes as JSON; what is over goes into a further one. With what stands
/// beside them an account stays below 1 MiB, the least that servers and proxies are known to take as a request.
pub(super) const ACCOUNT_BYTES_MAX: usize = 256 * 1024;

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

pub(super) fn milliseconds(latency: Latency) -> Value {
    let Latency { requests, sum, max } = latency;
    let mean = sum.as_secs_f64() * 1_000.0 / requests.max(1) as f64;
    json!({ "requests": requests, "mean": mean, "max": max.as_secs_f64() * 1_000.0 })
}

pub(super) fn extend(document: &mut Value, members: Value) {
    if let (Some(document), Value::Object(members)) = (document.as_object_mut(), members) {
        document.extend(members.into_iter().filter(|(_, value)| !value.is_null()));
    }
}

pub(super) fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}
