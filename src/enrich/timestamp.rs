//! `timestamp`: when did the record's inference happen?
//!
//! The first of the `from` fields that can be read becomes `@timestamp`. Without `from`, a record's own readable
//! `@timestamp` is kept. An unreadable or missing one becomes the time at which the line was read, noted in
//! `inferlog.notes` as `read_time` and counted; the text is kept.

use std::borrow::Cow;

use chrono_tz::Tz;

use super::processor::{Context, Processor, Run, Source};
use crate::flow::reject::Reject;
use crate::record::{Path, Record, Room, json};
use crate::telemetry::Counters;
use crate::text::time::{self, Reading};

pub(super) const TIMESTAMP: &str = "@timestamp";
const OWN: Path = Path::known(TIMESTAMP);
const ORIGINAL: Path = Path::known("inferlog.original_timestamp");

/// Notes for `inferlog.notes`.
const ASSUMED_UTC: &str = "assumed_utc";
const READ_TIME: &str = "read_time";

/// Reads the record's time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// Where to look for it, in this order; empty for the record's own `@timestamp`.
    pub from: Vec<Path>,
    /// The zone of times that have none; UTC, noted, without.
    pub zone: Option<Tz>,
}

impl Processor for Timestamp {
    fn name(&self) -> &'static str {
        "timestamp"
    }

    fn apply(&self, record: &mut Record<'_>, run: &mut Run<'_>) -> Result<(), Reject> {
        let Run { source, context, counters, .. } = run;
        // What an earlier step made of the time counts no more.
        context.notes.retain(|note| !matches!(*note, ASSUMED_UTC | READ_TIME));
        let own = if self.from.is_empty() { Some(&OWN) } else { None };
        match self.from.iter().chain(own).find_map(|field| self.read(record, field).map(|time| (field, time))) {
            Some((field, time)) => {
                if time.assumed_utc {
                    context.notes.push(ASSUMED_UTC);
                }
                context.timed = true;
                let first = context.timestamp_us.is_none();
                context.timestamp_us = Some(time.seconds * 1_000_000 + i64::from(time.nanoseconds) / 1_000);
                if field.as_str() == TIMESTAMP && is_as_elasticsearch_reads_it(record, &time) {
                    return Ok(());
                }
                if first {
                    keep_original(record, counters);
                }
                set(record, time.seconds, time.nanoseconds, context)
            }
            None => {
                context.notes.push(READ_TIME);
                context.timed = false;
                let first = context.timestamp_us.is_none();
                context.timestamp_us = Some(source.read_us);
                counters.enrich_unreadable_timestamps_total.inc();
                let (seconds, micros) = (source.read_us.div_euclid(1_000_000), source.read_us.rem_euclid(1_000_000));
                if first {
                    keep_original(record, counters);
                }
                set(record, seconds, micros as u32 * 1_000, context)
            }
        }
    }
}

impl Timestamp {
    /// The time that a record has so far, as RFC 3339, and the note on what was assumed: its own, else that of its reading.
    pub(super) fn outlook(&self, record: &Record<'_>, source: Source<'_>) -> (String, Option<&'static str>) {
        let (seconds, nanoseconds, note) = match self.read(record, &OWN) {
            Some(time) => (time.seconds, time.nanoseconds, time.assumed_utc.then_some(ASSUMED_UTC)),
            None => {
                let micros = source.read_us.rem_euclid(1_000_000) as u32;
                (source.read_us.div_euclid(1_000_000), micros * 1_000, Some(READ_TIME))
            }
        };
        let mut text = Vec::new();
        time::write_rfc3339(seconds, nanoseconds, &mut text);
        (String::from_utf8(text).unwrap_or_default(), note)
    }

    /// The first value at a path, in any spelling of it, that is a time. What is below the path is none.
    fn read(&self, record: &Record<'_>, field: &Path) -> Option<time::Timestamp> {
        let mut time = None;
        record.any(field.as_str(), &mut |raw| {
            let read = match raw.as_bytes().first() {
                Some(b'"') => time::parse(Reading::Text(&json::unescape(raw)), self.zone),
                Some(b'-' | b'0'..=b'9') => time::parse(Reading::Number(raw), self.zone),
                _ => return false,
            };
            time = read.ok();
            time.is_some()
        });
        time
    }
}

/// Whether Elasticsearch's `date` reads the same instant from the `@timestamp` that is there: it takes ISO 8601 with a
/// `T`, seconds up to 59 and an offset with minutes or `Z`, and UTC without one; a number is milliseconds to it.
fn is_as_elasticsearch_reads_it(record: &Record<'_>, time: &time::Timestamp) -> bool {
    let raw = record.first(TIMESTAMP).unwrap_or_default().as_bytes();
    let [b'"', text @ .., b'"'] = raw else { return false };
    let Some((date_and_time, rest)) = text.split_at_checked("2026-11-23T10:00:00".len()) else { return false };
    let digits = rest.strip_prefix(b".").unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count();
    let offset = if digits == 0 { rest } else { &rest[digits + 1..] };
    let has_offset = match offset {
        b"" => time.assumed_utc,
        b"Z" => true,
        [b'+' | b'-', offset @ ..] => matches!(offset.len(), 4 | 5),
        _ => false,
    };
    date_and_time[10] == b'T' && date_and_time[17..] != *b"60" && digits <= 9 && has_offset
}

/// Keeps the log's own `@timestamp`, which is about to be replaced, as `inferlog.original_timestamp`.
fn keep_original(record: &mut Record<'_>, counters: &Counters) {
    if let Some(raw) = record.whole(TIMESTAMP).map(Cow::into_owned)
        && record.add(&ORIGINAL, |value| value.push_str(&raw)) == Room::Blocked
    {
        counters.enrich_left_out_members_total.inc();
    }
}

fn set(record: &mut Record<'_>, seconds: i64, nanoseconds: u32, context: &mut Context) -> Result<(), Reject> {
    context.buffer.clear();
    context.buffer.push(b'"');
    time::write_rfc3339(seconds, nanoseconds, &mut context.buffer);
    context.buffer.push(b'"');
    record.set(&OWN, std::str::from_utf8(&context.buffer).unwrap_or_default()).map(|_| ())
}
