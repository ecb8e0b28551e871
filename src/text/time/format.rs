//! Formats: a style of time that a pipeline file describes, in the letters of `strftime`.

use chrono::format::{Fixed, Item, Parsed, StrftimeItems};
use chrono::{DateTime, FixedOffset, NaiveTime};
use chrono_tz::Tz;

use super::instant::{Doubt, Timestamp, in_range};
use super::zone::local_to_utc;

/// 2026-11-23T13:45:56.789+00:00, which a format must be able to write and to read.
const SAMPLE_MS: i64 = 1_795_441_556_789;

/// A style of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    items: Vec<Item<'static>>,
}

impl Format {
    /// Reads a format such as `%d.%m.%Y %H:%M:%S%.f`. The letters of a zone (`%Z`) say nothing by themselves: `has_zone`
    /// tells whether a zone is given.
    ///
    /// # Errors
    /// Says in words what is wrong with it.
    pub fn new(text: &str, has_zone: bool) -> Result<Format, &'static str> {
        let items = StrftimeItems::new(text).parse_to_owned().map_err(|_| "it has a letter that is not known")?;
        if items.iter().any(is_zone_name) && !has_zone {
            return Err("what `%Z` stands for is not certain: give `zone` as well");
        }
        let format = Format { items };
        let sample = DateTime::from_timestamp_millis(SAMPLE_MS).unwrap_or_default();
        let written = sample.format_with_items(format.items.iter()).to_string();
        let is_day = |time: Timestamp| time.seconds.div_euclid(86_400) == sample.timestamp().div_euclid(86_400);
        match format.read(&written, None) {
            Some(time) if is_day(time) => Ok(format),
            _ => Err("it does not say year, month and day, and the time with hour and minute if it says one"),
        }
    }

    /// The instant that a text in this format means; `None` for another text. `zone` is for a format that has none.
    pub fn read(&self, text: &str, zone: Option<Tz>) -> Option<Timestamp> {
        let parsed = self.parse(text)?;
        if parsed.offset().is_some() || parsed.timestamp().is_some() {
            let offset = FixedOffset::east_opt(parsed.offset().unwrap_or(0))?;
            let time = parsed.to_datetime_with_timezone(&offset).ok()?;
            return in_range(time.timestamp(), time.timestamp_subsec_nanos(), None).ok();
        }
        let has_time = parsed.hour_mod_12().is_some() || parsed.minute().is_some();
        let time = if has_time { parsed.to_naive_time().ok()? } else { NaiveTime::MIN };
        let local = parsed.to_naive_date().ok()?.and_time(time).and_utc();
        let (seconds, doubt) = match zone {
            Some(zone) => local_to_utc(local.timestamp(), zone).ok()?,
            None => (local.timestamp(), Some(Doubt::AssumedUtc)),
        };
        in_range(seconds, local.timestamp_subsec_nanos().min(999_999_999), doubt).ok()
    }

    fn parse(&self, text: &str) -> Option<Parsed> {
        let mut parsed = Parsed::new();
        let mut parts = self.items.split(is_zone_name);
        let mut rest = chrono::format::parse_and_remainder(&mut parsed, text, parts.next()?.iter()).ok()?;
        for items in parts {
            // By itself the library takes whatever is not blank for a zone's letters, a fraction of a second too.
            let letters = rest.trim_start().trim_start_matches(|c: char| c.is_ascii_alphabetic());
            if letters.len() == rest.trim_start().len() {
                return None;
            }
            rest = chrono::format::parse_and_remainder(&mut parsed, letters, items.iter()).ok()?;
        }
        rest.is_empty().then_some(parsed)
    }
}

fn is_zone_name(item: &Item<'_>) -> bool {
    *item == Item::Fixed(Fixed::TimezoneName)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::time::write_rfc3339;

    #[test]
    fn texts_are_read_as_a_format_says() {
        let berlin = Some(Tz::Europe__Berlin);
        for (format, zone, text, expected) in [
            ("%d/%m/%Y %H:%M:%S", None, "11/12/2026 10:00:01", Some("2026-12-11T10:00:01.000Z")),
            ("%m/%d/%Y %I:%M:%S %p", None, "11/12/2026 10:00:01 PM", Some("2026-11-12T22:00:01.000Z")),
            ("%d.%m.%Y %H:%M:%S%.f", berlin, "23.11.2026 11:00:01.5", Some("2026-11-23T10:00:01.500Z")),
            ("%Y-%m-%d %H:%M:%S %Z", berlin, "2026-11-23 11:00:01 CET", Some("2026-11-23T10:00:01.000Z")),
            ("%Y-%m-%d %H:%M:%S %Z", berlin, "2026-11-23 11:00:01,500", None),
            ("%Y-%m-%d %H:%M:%S %Z", berlin, "2026-11-23 11:00:01 ", None),
            ("%Y%m%d%H%M%S", None, "20261123100001", Some("2026-11-23T10:00:01.000Z")),
            ("%d %b %Y", None, "23 Nov 2026", Some("2026-11-23T00:00:00.000Z")),
            ("%d/%m/%Y %H:%M:%S %z", berlin, "23/11/2026 10:00:01 +0200", Some("2026-11-23T08:00:01.000Z")),
            ("t=%s", None, "t=1795428001", Some("2026-11-23T10:00:01.000Z")),
            ("%d/%m/%Y %H:%M", None, "11/13/2026 10:00", None),
            ("%d/%m/%Y %H:%M", None, "11/12/2026", None),
            ("%d/%m/%Y %H:%M", None, "11/12/2026 10:00 Z", None),
        ] {
            let read = Format::new(format, zone.is_some()).unwrap().read(text, zone);
            let written = read.map(|time| {
                let mut out = Vec::new();
                write_rfc3339(time.seconds, time.nanoseconds, &mut out);
                String::from_utf8(out).unwrap()
            });
            assert_eq!(written.as_deref(), expected, "{format}: {text}");
        }
        for (format, problem) in [
            ("%d/%m %H:%M", "year"),
            ("%Y-%m-%d %I:%M", "hour"),
            ("%Y-%m-%d %H", "hour"),
            ("%Y-%m-%d %Q", "not known"),
            ("%Y-%m-%d %H:%M %Z", "zone"),
            ("", "year"),
        ] {
            assert!(Format::new(format, false).unwrap_err().contains(problem), "{format}");
        }
    }
}
