//! Which moments does a written date mean? The forms are those of Elasticsearch's `strict_date_optional_time`, from
//! `2026` to `2026-11-23T10:00:00.123456789+01:00`, in UTC where no zone is given, and `epoch_millis`. Does not know a
//! clock: date math is only recognised here, `date_math` reads it.

use chrono::NaiveDate;

/// A moment: seconds since 1970 in UTC, and nanoseconds.
pub type Instant = (i64, u32);

/// The moments that a date may mean. What it leaves out is taken as Elasticsearch does: month and day are 01, the time
/// is 00:00 for the first and 23:59:59.999999999 for the last.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// The first moment: `>=` and `<` look at it.
    pub first: Instant,
    /// The last moment: `>` and `<=` look at it.
    pub last: Instant,
}

/// Reads a date as far as it is written, or a number of milliseconds since 1970. Four digits are a year.
pub(super) fn read(text: &str) -> Option<Span> {
    read_date(text).or_else(|| read_milliseconds(text))
}

fn read_date(text: &str) -> Option<Span> {
    let mut digits = Digits(text.as_bytes());
    let year = digits.take(4)?;
    let month = if digits.eat(b'-') { Some(digits.take(2)?) } else { None };
    let day = if month.is_some() && digits.eat(b'-') { Some(digits.take(2)?) } else { None };
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month.unwrap_or(1), day.unwrap_or(1))?;
    let (mut first, mut last, mut offset_seconds) = ([0, 0, 0, 0], [23, 59, 59, 999_999_999], 0);
    if day.is_some() && digits.eat(b'T') && !digits.0.is_empty() {
        let written = read_time(&mut digits)?;
        for (place, part) in written.into_iter().enumerate() {
            first[place] = part.unwrap_or(first[place]);
            last[place] = part.unwrap_or(last[place]);
        }
        offset_seconds = read_zone(&mut digits)?;
    }
    let moment = |[hour, minute, second, nanos]: [u32; 4]| {
        let time = date.and_hms_nano_opt(hour, minute, second, nanos)?;
        Some((time.and_utc().timestamp() - offset_seconds, nanos))
    };
    if digits.0.is_empty() { Some(Span { first: moment(first)?, last: moment(last)? }) } else { None }
}

/// Whole milliseconds since 1970, which is what Elasticsearch keeps of a date.
pub(super) fn milliseconds((seconds, nanos): Instant) -> i64 {
    seconds.saturating_mul(1000).saturating_add(i64::from(nanos / 1_000_000))
}

fn read_milliseconds(text: &str) -> Option<Span> {
    let all: i64 = text.parse().ok()?;
    let moment = (all.div_euclid(1000), u32::try_from(all.rem_euclid(1000)).ok()? * 1_000_000);
    Some(Span { first: moment, last: moment })
}

/// Whether Elasticsearch would take the text as date math: `now`, `now-1d/d`, `2026-11-23||+1M`.
pub(super) fn is_date_math(text: &str) -> bool {
    let steps = match text.split_once("||") {
        Some((date, steps)) if read(date).is_some() => steps,
        Some(_) => return false,
        None => match text.strip_prefix("now") {
            Some(steps) => steps,
            None => return false,
        },
    };
    let mut rest = Digits(steps.as_bytes());
    while !rest.0.is_empty() {
        if rest.eat(b'+') || rest.eat(b'-') {
            while rest.take(1).is_some() {}
        } else if !rest.eat(b'/') {
            return false;
        }
        if !b"yMwdhHms".iter().any(|unit| rest.eat(*unit)) {
            return false;
        }
    }
    true
}

/// Hour, minute, second, nanoseconds, as far as they are written.
fn read_time(digits: &mut Digits<'_>) -> Option<[Option<u32>; 4]> {
    let mut parts = [Some(digits.take(2)?), None, None, None];
    for part in &mut parts[1..3] {
        if !digits.eat(b':') {
            return Some(parts);
        }
        *part = Some(digits.take(2)?);
    }
    if digits.eat(b'.') || digits.eat(b',') {
        let (mut nanos, mut places) = (0, 0);
        while let Some(digit) = digits.take(1) {
            (nanos, places) = (nanos * 10 + digit, places + 1);
            if places == 9 {
                break;
            }
        }
        parts[3] = if places == 0 { return None } else { Some(nanos * 10_u32.pow(9 - places)) };
    }
    Some(parts)
}

/// Seconds east of UTC: `Z`, `+01:00`, `+0100`, `+01` or nothing.
fn read_zone(digits: &mut Digits<'_>) -> Option<i64> {
    if digits.0.is_empty() || digits.eat(b'Z') {
        return Some(0);
    }
    let sign = if digits.eat(b'-') {
        -1
    } else if digits.eat(b'+') {
        1
    } else {
        return None;
    };
    let hours = digits.take(2)?;
    let minutes = if digits.eat(b':') || !digits.0.is_empty() { digits.take(2)? } else { 0 };
    if hours > 18 || minutes > 59 { None } else { Some(sign * i64::from(hours * 3600 + minutes * 60)) }
}

/// What is left to read.
struct Digits<'a>(&'a [u8]);

impl Digits<'_> {
    /// The number that the next `count` digits are; reads nothing if they are not all digits.
    fn take(&mut self, count: usize) -> Option<u32> {
        let digits = self.0.get(..count)?;
        let number = digits.iter().try_fold(0, |sum, byte| {
            if byte.is_ascii_digit() { Some(sum * 10 + u32::from(byte - b'0')) } else { None }
        })?;
        self.0 = &self.0[count..];
        Some(number)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.0.first() == Some(&byte);
        self.0 = &self.0[usize::from(there)..];
        there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_mean_moments() {
        let day = 1_795_392_000; // 2026-11-23T00:00:00Z
        let cases = [
            ("2026-11-23", (day, 0), (day + 86_399, 999_999_999)),
            ("2026-11-23T", (day, 0), (day + 86_399, 999_999_999)),
            ("2026-11-23T10", (day + 36_000, 0), (day + 39_599, 999_999_999)),
            ("2026-11-23T10:30Z", (day + 37_800, 0), (day + 37_859, 999_999_999)),
            ("2026-11-23T10:30:05", (day + 37_805, 0), (day + 37_805, 999_999_999)),
            ("2026-11-23T10:30:05.5Z", (day + 37_805, 500_000_000), (day + 37_805, 500_000_000)),
            ("2026-11-23T10:30:05.123456789+01:30", (day + 32_405, 123_456_789), (day + 32_405, 123_456_789)),
            ("2026-11-23T00:00:00.0-0200", (day + 7_200, 0), (day + 7_200, 0)),
            ("2026-11", (day - 22 * 86_400, 0), (day - 21 * 86_400 - 1, 999_999_999)),
            ("1970", (0, 0), (86_399, 999_999_999)),
            ("1795392000123", (day, 123_000_000), (day, 123_000_000)),
            ("-1", (-1, 999_000_000), (-1, 999_000_000)),
        ];
        for (text, first, last) in cases {
            assert_eq!(read(text), Some(Span { first, last }), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_dates() {
        let cases = [
            "",
            "-",
            "99999999999999999999",
            "2026-13-01",
            "2026-02-30",
            "2026-1-1",
            "2026-11-23 10:00:00",
            "2026-11-23T25:00",
            "2026-11-23T10:00:00.",
            "2026-11-23T10:00:00.1234567890",
            "2026-11-23T10:00x",
            "2026-11-23Z",
            "now",
            "2026-11-23T10:00+99:00",
            "２０２６-11-23",
        ];
        for text in cases {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn date_math_is_recognised() {
        for text in ["now", "now-1h", "now-1h/h", "now/d", "now+10M-3d/w", "2026-11-23||+1M/d", "2026-11-23||"] {
            assert!(is_date_math(text), "{text}");
        }
        for text in ["nowhere", "now-1x", "now - 1h", "now-", "known", "a||b", "now-playing", ""] {
            assert!(!is_date_math(text), "{text}");
        }
    }
}
