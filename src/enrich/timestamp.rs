//! `timestamp`: when did the record's inference happen?
//!
//! The first of the `from` fields that can be read becomes `@timestamp`. Without `from`, a record's own readable
//! `@timestamp` is kept. An unreadable or missing one becomes the time at which the line was read, noted in
//! `inferlog.notes` as `read_time`, and counted by why it could not be read in `inferlog_enrich_unread_times_total`;
//! the text is kept.
//!
//! ```yaml
//! - timestamp:
//!     from: [timestamp, time]
//!     zone: host
//!     formats: ["%d/%m/%Y %H:%M:%S"]
//! ```
//!
//! - `from`: list of paths, default `@timestamp` alone: where the time is, in this order.
//! - `zone`: IANA name such as `Europe/Berlin`, or `host` for the zone of this machine (`TZ`, `/etc/localtime`), of
//!   times that have none. Without it they are taken as UTC, noted as `assumed_utc`. An hour that comes twice at the
//!   end of summer time is the first one, noted as `ambiguous_time`; one that is left out is moved forward, noted as
//!   `nonexistent_time`. In `tests:`, `host` is UTC, so that they say the same everywhere.
//! - `formats`: list of formats in the letters of `strftime`, tried first: for times that are not recognised, or
//!   that could mean two things, as `11/12/2026`. `%Z` needs `zone`.
//! - `when`: condition: on which records.
//!
//! Recognised are ISO 8601 as RFC 3339 and the usual loggers write it, seconds to nanoseconds since 1970, and the
//! styles of Go, Java, .NET, HTTP, web servers, `ctime`, glog and Jackson. What has no year (klog, syslog), a zone's
//! letters (`CET`), or day and month in an order of which nobody can be sure is not guessed.

use std::borrow::Cow;

use chrono_tz::Tz;

use super::processor::{Context, Processor, Run, Source};
use crate::flow::line::{GivenTime, TimeGiver};
use crate::flow::reject::Reject;
use crate::record::{Path, Record, Room, json};
use crate::telemetry::Counters;
use crate::text::time::{self, Doubt, Format, Reading, Unreadable};

pub(super) const TIMESTAMP: &str = "@timestamp";
static OWN: Path = Path::known(TIMESTAMP);
static ORIGINAL: Path = Path::known("inferlog.original_timestamp");

/// Notes for `inferlog.notes`.
const ASSUMED_UTC: &str = "assumed_utc";
const READ_TIME: &str = "read_time";
const CONTAINER_TIME: &str = "container_time";
const AMBIGUOUS_TIME: &str = "ambiguous_time";
const NONEXISTENT_TIME: &str = "nonexistent_time";

/// The word in metrics for a record that has none of the fields.
const MISSING: &str = "missing";

/// Reads the record's time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// Where to look for it, in this order; empty for the record's own `@timestamp`.
    pub from: Vec<Path>,
    /// The zone of times that have none; UTC, noted, without.
    pub zone: Option<Zone>,
    /// Further styles, tried before those that are recognised.
    pub formats: Vec<Format>,
}

/// The time of a record that has none itself, in seconds and nanoseconds, and the note on what it is.
fn time_around(source: &Source<'_>) -> (i64, u32, Option<&'static str>) {
    match source.given.time {
        Some(GivenTime { seconds, nanoseconds, by: TimeGiver::Event }) => (seconds, nanoseconds, None),
        Some(GivenTime { seconds, nanoseconds, by: TimeGiver::Runtime }) => {
            (seconds, nanoseconds, Some(CONTAINER_TIME))
        }
        None => {
            let micros = source.read_us.rem_euclid(1_000_000) as u32;
            (source.read_us.div_euclid(1_000_000), micros * 1_000, Some(READ_TIME))
        }
    }
}

/// The zone of times that have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// By its name.
    Named(Tz),
    /// That of this machine, which was this one.
    Host(Tz),
}

impl Zone {
    fn tz(self) -> Tz {
        match self {
            Zone::Named(tz) | Zone::Host(tz) => tz,
        }
    }
}

impl Processor for Timestamp {
    fn name(&self) -> &'static str {
        "timestamp"
    }

    fn apply(&self, record: &mut Record<'_>, run: &mut Run<'_>) -> Result<(), Reject> {
        let Run { source, context, counters, .. } = run;
        // What an earlier step made of the time counts no more.
        context.notes.retain(|note| {
            !matches!(*note, ASSUMED_UTC | READ_TIME | CONTAINER_TIME | AMBIGUOUS_TIME | NONEXISTENT_TIME)
        });
        let own = if self.from.is_empty() { Some(&OWN) } else { None };
        let mut unread = None;
        let mut read = |field| {
            let time = self.read(record, field);
            unread = unread.or(time.as_ref().err().copied().flatten());
            time.ok().map(|time| (field, time))
        };
        match self.from.iter().chain(own).find_map(&mut read) {
            Some((field, time)) => {
                context.notes.extend(time.doubt.map(note));
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
                let (seconds, nanoseconds, note) = time_around(source);
                context.notes.extend(note);
                // What stands around a record is in the file, and the same whenever it is read.
                context.timed = note != Some(READ_TIME);
                let first = context.timestamp_us.is_none();
                context.timestamp_us = Some(seconds * 1_000_000 + i64::from(nanoseconds) / 1_000);
                if note == Some(READ_TIME) || unread.is_some() {
                    counters.enrich_unreadable_timestamps_total.inc();
                    counters.unread_time(unread.map_or(MISSING, Unreadable::as_str)).inc();
                }
                if first {
                    keep_original(record, counters);
                }
                set(record, seconds, nanoseconds, context)
            }
        }
    }
}

impl Timestamp {
    /// The time that a record has so far, as RFC 3339, and the note on what was assumed: its own, else that of its reading.
    pub(super) fn outlook(&self, record: &Record<'_>, source: &Source<'_>) -> (String, Option<&'static str>) {
        let (seconds, nanoseconds, note) = match self.read(record, &OWN) {
            Ok(time) => (time.seconds, time.nanoseconds, time.doubt.map(note)),
            Err(_) => time_around(source),
        };
        let mut text = Vec::new();
        time::write_rfc3339(seconds, nanoseconds, &mut text);
        (String::from_utf8(text).unwrap_or_default(), note)
    }

    /// The first value at a path, in any spelling of it, that is a time. What is below the path is none.
    ///
    /// # Errors
    /// Why the first value is no time, if there is one.
    fn read(&self, record: &Record<'_>, field: &Path) -> Result<time::Timestamp, Option<Unreadable>> {
        let zone = self.zone.map(Zone::tz);
        let mut time = Err(None);
        record.any(field, &mut |raw| {
            let read = match raw.as_bytes().first() {
                Some(b'"') => {
                    let text = json::unescape(raw);
                    self.by_format(&text, zone).map_or_else(|| time::parse(Reading::Text(&text), zone), Ok)
                }
                Some(b'-' | b'0'..=b'9') => {
                    self.by_format(raw, zone).map_or_else(|| time::parse(Reading::Number(raw), zone), Ok)
                }
                Some(b'[') => time::parse(Reading::Array(raw), zone),
                _ => return false,
            };
            match (read, time) {
                (Ok(read), _) => time = Ok(read),
                (Err(unreadable), Err(None)) => time = Err(Some(unreadable)),
                (Err(_), _) => {}
            }
            time.is_ok()
        });
        time
    }

    fn by_format(&self, text: &str, zone: Option<Tz>) -> Option<time::Timestamp> {
        self.formats.iter().find_map(|format| format.read(text, zone))
    }

    /// Takes UTC for the zone of the machine, for an answer that is the same everywhere.
    pub fn forget_host(&mut self) {
        if let Some(Zone::Host(_)) = self.zone {
            self.zone = Some(Zone::Named(Tz::UTC));
        }
    }
}

fn note(doubt: Doubt) -> &'static str {
    match doubt {
        Doubt::AssumedUtc => ASSUMED_UTC,
        Doubt::Ambiguous => AMBIGUOUS_TIME,
        Doubt::Nonexistent => NONEXISTENT_TIME,
    }
}

/// Whether Elasticsearch's `date` reads the same instant from the `@timestamp` that is there: it takes ISO 8601 with a
/// `T`, seconds up to 59 and an offset with minutes or `Z`, and UTC without one; a number is milliseconds to it.
fn is_as_elasticsearch_reads_it(record: &Record<'_>, time: &time::Timestamp) -> bool {
    let raw = record.first(&OWN).unwrap_or_default().as_bytes();
    let [b'"', text @ .., b'"'] = raw else { return false };
    let Some((date_and_time, rest)) = text.split_at_checked("2026-11-23T10:00:00".len()) else { return false };
    let digits = rest.strip_prefix(b".").unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count();
    let offset = if digits == 0 { rest } else { &rest[digits + 1..] };
    let has_offset = match offset {
        b"" => time.doubt == Some(Doubt::AssumedUtc),
        b"Z" => true,
        [b'+' | b'-', offset @ ..] => matches!(offset.len(), 4 | 5),
        _ => false,
    };
    date_and_time[10] == b'T' && date_and_time[17..] != *b"60" && digits <= 9 && has_offset
}

/// Keeps the log's own `@timestamp`, which is about to be replaced, as `inferlog.original_timestamp`.
fn keep_original(record: &mut Record<'_>, counters: &Counters) {
    if let Some(raw) = record.whole(&OWN).map(Cow::into_owned)
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
