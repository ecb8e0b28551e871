//! `timestamp`: when did the record's inference happen?
//!
//! The first of the `from` fields that can be read becomes `@timestamp`. Without `from`, a record's own readable
//! `@timestamp` is kept. An unreadable or missing one becomes the time at which the line was read, noted in
//! `inferlog.notes` as `read_time` and counted; the text is kept.

use chrono_tz::Tz;

use super::{Context, Source};
use crate::record::{Path, Record, json};
use crate::reject::Reject;
use crate::telemetry::Counters;
use crate::time::{self, Reading};

const TIMESTAMP: &str = "@timestamp";

/// Reads the record's time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// Where to look for it, in this order; empty for the record's own `@timestamp`.
    pub from: Vec<Path>,
    /// The zone of times that have none; UTC, noted, without.
    pub zone: Option<Tz>,
}

impl Timestamp {
    pub(super) fn apply(
        &self,
        record: &mut Record<'_>,
        source: Source<'_>,
        context: &mut Context,
        counters: &Counters,
    ) -> Result<(), Reject> {
        let own = [TIMESTAMP];
        let mut from = self.from.iter().map(Path::as_str).chain(own.iter().copied().filter(|_| self.from.is_empty()));
        match from.find_map(|field| self.read(record, field).map(|time| (field, time))) {
            Some((field, time)) => {
                if time.assumed_utc {
                    context.notes.push("assumed_utc");
                }
                context.timed = true;
                context.timestamp_us = Some(time.seconds * 1_000_000 + i64::from(time.nanoseconds) / 1_000);
                if field == TIMESTAMP && is_as_elasticsearch_reads_it(record) {
                    return Ok(());
                }
                set(record, time.seconds, time.nanoseconds, context)
            }
            None => {
                context.notes.push("read_time");
                context.timestamp_us = Some(source.read_us);
                counters.enrich_unreadable_timestamps_total.inc();
                let (seconds, micros) = (source.read_us.div_euclid(1_000_000), source.read_us.rem_euclid(1_000_000));
                set(record, seconds, micros as u32 * 1_000, context)
            }
        }
    }

    fn read(&self, record: &Record<'_>, field: &str) -> Option<time::Timestamp> {
        let raw = record.first(field)?;
        let reading = match raw.as_bytes().first()? {
            b'"' => return time::parse(Reading::Text(&json::unescape(raw)), self.zone).ok(),
            b'-' | b'0'..=b'9' => Reading::Number(raw),
            _ => return None,
        };
        time::parse(reading, self.zone).ok()
    }
}

/// Elasticsearch's `date` takes ISO 8601 with a `T`; a number would be milliseconds to it, whatever it means.
fn is_as_elasticsearch_reads_it(record: &Record<'_>) -> bool {
    record.first(TIMESTAMP).is_some_and(|raw| {
        let raw = raw.as_bytes();
        raw.len() >= 21 && raw[0] == b'"' && raw[11] == b'T' && !raw.contains(&b',') && !raw.contains(&b' ')
    })
}

/// Sets `@timestamp`; what stood there is kept as `inferlog.original_timestamp`.
fn set(record: &mut Record<'_>, seconds: i64, nanoseconds: u32, context: &mut Context) -> Result<(), Reject> {
    let timestamp = path(TIMESTAMP);
    if let Some(raw) = record.first(TIMESTAMP).map(str::to_owned) {
        record.add(&path("inferlog.original_timestamp"), |value| value.push_str(&raw));
    }
    context.buffer.clear();
    context.buffer.push(b'"');
    time::write_rfc3339(seconds, nanoseconds, &mut context.buffer);
    context.buffer.push(b'"');
    record.set(&timestamp, std::str::from_utf8(&context.buffer).unwrap_or_default()).map(|_| ())
}

fn path(text: &str) -> Path {
    Path::new(text).unwrap_or_else(|_| unreachable!("BUG: `{text}` is a path"))
}
