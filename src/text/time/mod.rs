//! Times: which instant does a log's text mean, and how is an instant written?
//!
//! Read are, from a string, ISO 8601 calendar dates as RFC 3339 and the usual loggers write them, and from a number or
//! a string of digits, the time since 1970 with its unit taken from its size:
//!
//! | text | meaning |
//! | --- | --- |
//! | `2026-11-23T10:00:00.123456Z` | `T`, `t` or a space; seconds and fraction may be missing; digits past the ninth are cut |
//! | `2026-11-23 14:55:46,279` | a comma for the point |
//! | `…+02:00`, `…+0200`, `…+02`, `…Z`, `… UTC` | the offset; one space before it is allowed |
//! | `2026-11-23T10:00:00` | no offset: the time of the zone given, or of UTC, which is noted |
//! | `2026-11-23` | midnight, likewise |
//! | `20261123T100000Z` | the basic form, only with a time |
//! | `2026/11/23 10:00:01.5`, `2026.11.23 10:00:01` | Go's `log`, nginx's error log; no offset |
//! | `2026-11-23 10:00:01.5 +0000 UTC m=+0.004` | Go's `String()`; the letters behind the offset say nothing |
//! | `Mon, 23 Nov 2026 10:00:01 GMT`, `… +0100` | HTTP, e-mail |
//! | `Mon Nov 23 10:00:01 2026`, `… 10:00:01 UTC 2026` | C's `ctime`, `date` |
//! | `23/Nov/2026:10:00:01 +0000` | web servers, in brackets or not |
//! | `I20261123 10:00:01.5`, `20261123 10:00:01` | glog with a year; no offset |
//! | `[2026-11-23 10:00:01]` | in brackets; no offset |
//! | `2026-11-23T11:00:01+01:00[Europe/Berlin]` | Java; without an offset the zone in the brackets counts |
//! | `/Date(1795428001500)/` | .NET |
//! | `[2026,11,23,10,0,1,500000000]` | Jackson's `java.time`, a JSON array, not a text; no offset |
//! | `−` (U+2212) | a minus |
//! | 1e8 ≤ n < 1e11 | seconds (1973 to 5138) |
//! | 1e11 ≤ n < 1e14 | milliseconds (the same years) |
//! | 1e14 ≤ n < 1e17 | microseconds |
//! | 1e17 ≤ n < 1e20 | nanoseconds |
//!
//! Smaller and negative numbers are not times but counters and uptimes, and are refused. In a zone with summer time, an
//!
//! Smaller and negative numbers are not times but counters and uptimes, and are refused. So is what would have to be
//! guessed, by its reason: a text without a year (klog, syslog), a zone's letters (`CET`), and `11/12/2026`, of which nobody
//! knows whether it is November or December. In a zone with summer time, an hour that happens twice is its earlier one, and
//! an hour that is left out is moved forward by what was left out; both are a [`Doubt`]. A leap second (`:60`) is the first
//! second of the next minute. Only the years 1 to 9999 in UTC are times, because that is what RFC 3339 can write and
//! Elasticsearch reads. What else a log writes is read by a [`Format`].
//!
//! ISO 8601 and numbers are read once for every record: nothing there allocates, and the calendar is integer arithmetic.
//! chrono is asked only for the rules of named zones. The other styles are rewritten to ISO 8601 first ([`styles`]).

mod calendar;
mod epoch;
mod format;
mod host_zone;
mod instant;
mod iso;
mod styles;
mod write;
mod zone;

use chrono_tz::Tz;

pub use format::Format;
pub use host_zone::{HostZoneError, host_zone};
pub use instant::{Doubt, Reading, Timestamp, Unreadable};
pub use write::{rfc3339_microseconds, write_rfc3339};

use epoch::parse_epoch;
use iso::parse_calendar;
use styles::Rewritten;

/// Reads a time in one of the forms of the table above; `zone` is for times that have none themselves.
///
/// # Errors
/// Says what kind of unreadable it is.
pub fn parse(reading: Reading<'_>, zone: Option<Tz>) -> Result<Timestamp, Unreadable> {
    match reading {
        Reading::Number(number) => parse_epoch(number.as_bytes()),
        Reading::Array(array) => parse_calendar(styles::of_array(array)?.as_bytes(), zone),
        Reading::Text(text) => {
            let text = text.trim_ascii();
            match parse_plain(text.as_bytes(), zone) {
                Err(Unreadable::UnknownForm) => parse_other(text, zone),
                result => result,
            }
        }
    }
}

fn parse_plain(text: &[u8], zone: Option<Tz>) -> Result<Timestamp, Unreadable> {
    match parse_calendar(text, zone) {
        Err(Unreadable::UnknownForm) => parse_epoch(text),
        result => result,
    }
}

#[cold]
fn parse_other(text: &str, zone: Option<Tz>) -> Result<Timestamp, Unreadable> {
    match styles::rewrite(text)? {
        Rewritten::Plain(text) => parse_plain(text.as_bytes(), zone),
        Rewritten::Zoned(text, own) => parse_plain(text.as_bytes(), Some(own)),
    }
}

#[cfg(test)]
mod tests;
