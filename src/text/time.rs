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
//! | 1e8 ≤ n < 1e11 | seconds (1973 to 5138) |
//! | 1e11 ≤ n < 1e14 | milliseconds (the same years) |
//! | 1e14 ≤ n < 1e17 | microseconds |
//! | 1e17 ≤ n < 1e20 | nanoseconds |
//!
//! Smaller and negative numbers are not times but counters and uptimes, and are refused. In a zone with summer time, an
//! hour that happens twice is its earlier one, and an hour that is left out is moved forward by what was left out.
//! A leap second (`:60`) is the first second of the next minute. Only the years 1 to 9999 in UTC are times, because
//! that is what RFC 3339 can write and Elasticsearch reads.
//!
//! This runs once for every record: nothing here allocates, and the calendar is integer arithmetic. chrono is asked only
//! for the rules of named zones. Names of months, weeks and days of the year are not read.

use chrono::{DateTime, LocalResult, NaiveDateTime, Offset, SecondsFormat, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// A time as a log has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading<'a> {
    /// The text of a JSON number.
    Number(&'a str),
    /// The text of a string, unescaped.
    Text(&'a str),
}

/// An instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// Whole seconds since 1970-01-01T00:00:00Z, within the years 1 to 9999.
    pub seconds: i64,
    /// Nanoseconds after `seconds`, below 1,000,000,000.
    pub nanoseconds: u32,
    /// The text had no offset and no zone was given, so UTC was taken.
    pub assumed_utc: bool,
}

/// Why a reading is no instant. The reading itself is not repeated: it is the record's own data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// None of the known forms.
    #[error("not a time: neither an ISO 8601 date nor a number of s, ms, µs or ns since 1970")]
    UnknownForm,
    /// A known form with an impossible part, such as February 30.
    #[error("no such time: a part of it is out of its range")]
    NoSuchTime,
    /// Outside the years 1 to 9999 in UTC, or a number that no unit brings between 1973 and 5138.
    #[error("out of range: not within the years 1 to 9999, or a number too small or too large to be a time")]
    OutOfRange,
}

/// 0001-01-01T00:00:00Z.
const SECONDS_MIN: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z.
const SECONDS_MAX: i64 = 253_402_300_799;
const DAY_SECONDS: i64 = 86_400;

/// Reads a time in one of the forms of the table above; `zone` is for times that have none themselves.
///
/// # Errors
/// Says what kind of unreadable it is.
pub fn parse(reading: Reading<'_>, zone: Option<Tz>) -> Result<Timestamp, Unreadable> {
    match reading {
        Reading::Number(number) => parse_epoch(number.as_bytes()),
        Reading::Text(text) => {
            let text = text.trim_ascii().as_bytes();
            match parse_calendar(text, zone) {
                Err(Unreadable::UnknownForm) => parse_epoch(text),
                result => result,
            }
        }
    }
}

/// A time in microseconds since 1970 as inferlog's own documents have it: `2026-11-23T10:00:00.123456Z`. One that the calendar cannot
/// hold is 1970.
pub fn rfc3339_microseconds(time_us: i64) -> String {
    DateTime::<Utc>::from_timestamp_micros(time_us).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Appends the time as `2026-11-23T10:00:00.123Z`, with three digits of the second, or six or nine where fewer would
/// lose something. A time outside the years 1 to 9999 is written as the nearest that is inside.
pub fn write_rfc3339(seconds: i64, nanoseconds: u32, out: &mut Vec<u8>) {
    let seconds = seconds.clamp(SECONDS_MIN, SECONDS_MAX);
    let nanoseconds = nanoseconds.min(999_999_999);
    let (year, month, day) = date_of_day(seconds.div_euclid(DAY_SECONDS));
    let second_of_day = seconds.rem_euclid(DAY_SECONDS) as u32;
    let mut text = *b"0000-00-00T00:00:00.000000000";
    write_digits(&mut text[0..4], year);
    write_digits(&mut text[5..7], month);
    write_digits(&mut text[8..10], day);
    write_digits(&mut text[11..13], second_of_day / 3600);
    write_digits(&mut text[14..16], second_of_day / 60 % 60);
    write_digits(&mut text[17..19], second_of_day % 60);
    write_digits(&mut text[20..29], nanoseconds);
    let length = match nanoseconds {
        n if n.is_multiple_of(1_000_000) => 23,
        n if n.is_multiple_of(1_000) => 26,
        _ => 29,
    };
    out.extend_from_slice(&text[..length]);
    out.push(b'Z');
}

fn write_digits(place: &mut [u8], mut number: u32) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Where the text says it stands from UTC.
enum Zone {
    OffsetSeconds(i64),
    Unsaid,
}

fn parse_calendar(text: &[u8], zone: Option<Tz>) -> Result<Timestamp, Unreadable> {
    let mut scanner = Scanner { text, at: 0 };
    let (local_seconds, nanoseconds) = scanner.date_and_time()?;
    let (seconds, assumed_utc) = match (scanner.zone()?, zone) {
        (Zone::OffsetSeconds(offset), _) => (local_seconds - offset, false),
        (Zone::Unsaid, Some(zone)) => (local_to_utc(local_seconds, zone)?, false),
        (Zone::Unsaid, None) => (local_seconds, true),
    };
    in_range(seconds, nanoseconds, assumed_utc)
}

fn in_range(seconds: i64, nanoseconds: u32, assumed_utc: bool) -> Result<Timestamp, Unreadable> {
    if (SECONDS_MIN..=SECONDS_MAX).contains(&seconds) {
        Ok(Timestamp { seconds, nanoseconds, assumed_utc })
    } else {
        Err(Unreadable::OutOfRange)
    }
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    /// Seconds since 1970 as if the text were UTC, and nanoseconds.
    fn date_and_time(&mut self) -> Result<(i64, u32), Unreadable> {
        let unknown = Unreadable::UnknownForm;
        let year = self.digits(4).ok_or(unknown)?;
        let extended = self.accept(b'-');
        let month = self.digits(2).ok_or(unknown)?;
        if extended && !self.accept(b'-') {
            return Err(unknown);
        }
        let day = self.digits(2).ok_or(unknown)?;
        let (second_of_day, nanoseconds) = match self.peek() {
            None if extended => (0, 0),
            Some(b'T' | b't' | b' ') => {
                self.at += 1;
                self.time(extended)?
            }
            _ => return Err(unknown),
        };
        if !(1..=12).contains(&month) || day < 1 || day > days_of_month(year, month) {
            return Err(Unreadable::NoSuchTime);
        }
        Ok((day_of_date(year, month, day) * DAY_SECONDS + i64::from(second_of_day), nanoseconds))
    }

    /// Second of the day and nanoseconds.
    fn time(&mut self, extended: bool) -> Result<(u32, u32), Unreadable> {
        let unknown = Unreadable::UnknownForm;
        let hour = self.digits(2).ok_or(unknown)?;
        if extended && !self.accept(b':') {
            return Err(unknown);
        }
        let minute = self.digits(2).ok_or(unknown)?;
        let has_second = if extended { self.accept(b':') } else { self.peek().is_some_and(|b| b.is_ascii_digit()) };
        let (mut second, mut nanoseconds) = (0, 0);
        if has_second {
            second = self.digits(2).ok_or(unknown)?;
            if self.accept(b'.') || self.accept(b',') {
                nanoseconds = self.fraction().ok_or(unknown)?;
            }
        }
        if hour > 23 || minute > 59 || second > 60 {
            return Err(Unreadable::NoSuchTime);
        }
        Ok((hour * 3600 + minute * 60 + second, nanoseconds))
    }

    /// At least one digit; the tenth and later ones are passed over.
    fn fraction(&mut self) -> Option<u32> {
        let start = self.at;
        let mut nanoseconds = 0;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            if self.at - start < 9 {
                nanoseconds = nanoseconds * 10 + u32::from(digit - b'0');
            }
            self.at += 1;
        }
        let read = self.at - start;
        (read > 0).then(|| nanoseconds * 10_u32.pow(9 - read.min(9) as u32))
    }

    /// What stands after the time, to the end of the text.
    fn zone(&mut self) -> Result<Zone, Unreadable> {
        if self.at == self.text.len() {
            return Ok(Zone::Unsaid);
        }
        self.accept(b' ');
        let rest = &self.text[self.at..];
        let (sign, digits) = match rest {
            b"Z" | b"z" | b"UTC" | b"GMT" => return Ok(Zone::OffsetSeconds(0)),
            [b'+', digits @ ..] => (1, digits),
            [b'-', digits @ ..] => (-1, digits),
            _ => return Err(Unreadable::UnknownForm),
        };
        let mut scanner = Scanner { text: digits, at: 0 };
        let hours = scanner.digits(2).ok_or(Unreadable::UnknownForm)?;
        let mut minutes = 0;
        if scanner.at < digits.len() {
            scanner.accept(b':');
            minutes = scanner.digits(2).ok_or(Unreadable::UnknownForm)?;
        }
        if scanner.at < digits.len() {
            return Err(Unreadable::UnknownForm);
        }
        if hours > 23 || minutes > 59 {
            return Err(Unreadable::NoSuchTime);
        }
        Ok(Zone::OffsetSeconds(sign * i64::from(hours * 3600 + minutes * 60)))
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn accept(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn digits(&mut self, count: usize) -> Option<u32> {
        let mut number = 0;
        for &byte in self.text.get(self.at..self.at + count)? {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            number = number * 10 + u32::from(digit);
        }
        self.at += count;
        Some(number)
    }
}

/// The instant of a wall clock in a named zone.
fn local_to_utc(local_seconds: i64, zone: Tz) -> Result<i64, Unreadable> {
    let local: NaiveDateTime = DateTime::from_timestamp(local_seconds, 0).ok_or(Unreadable::OutOfRange)?.naive_utc();
    match zone.from_local_datetime(&local) {
        LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => Ok(time.timestamp()),
        LocalResult::None => {
            // A clock that had not been put forward would show this: the offset from before the gap. A day earlier
            // (read as UTC) is before every gap, the longest being Samoa's day, and after the change before that.
            let before = local.checked_sub_signed(TimeDelta::days(1)).ok_or(Unreadable::OutOfRange)?;
            let offset = zone.offset_from_utc_datetime(&before).fix().local_minus_utc();
            Ok(local_seconds - i64::from(offset))
        }
    }
}

/// Digits of a number beyond which nothing below a nanosecond can be left.
const EPOCH_DIGITS_MAX: usize = 30;

/// Reads a decimal number, exponent included, exactly: a double would lose the nanoseconds.
fn parse_epoch(text: &[u8]) -> Result<Timestamp, Unreadable> {
    let (mantissa, exponent) = match text.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&text[..at], parse_exponent(&text[at + 1..])?),
        None => (text, 0),
    };
    let mut digits = 0_u128;
    let mut digits_read = 0;
    let mut power = exponent;
    let mut after_point = false;
    for (index, &byte) in mantissa.iter().enumerate() {
        match byte {
            b'0'..=b'9' if digits_read < EPOCH_DIGITS_MAX => {
                digits = digits * 10 + u128::from(byte - b'0');
                digits_read += usize::from(digits > 0);
                power -= i32::from(after_point);
            }
            b'0'..=b'9' => power += i32::from(!after_point),
            b'.' if !after_point && index > 0 && index + 1 < mantissa.len() => after_point = true,
            b'-' if index == 0 && mantissa.len() > 1 => return Err(Unreadable::OutOfRange),
            _ => return Err(Unreadable::UnknownForm),
        }
    }
    if mantissa.is_empty() {
        return Err(Unreadable::UnknownForm);
    }
    epoch_timestamp(digits, digits_read as i32, power)
}

fn parse_exponent(text: &[u8]) -> Result<i32, Unreadable> {
    let digits = text.strip_prefix(b"+").or(text.strip_prefix(b"-")).unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Unreadable::UnknownForm);
    }
    let exponent: Option<i32> = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    exponent.filter(|exponent| exponent.abs() < 1000).ok_or(Unreadable::OutOfRange)
}

/// `digits` (so many of them) times ten to `power`, in the unit that its size tells.
fn epoch_timestamp(digits: u128, digits_read: i32, power: i32) -> Result<Timestamp, Unreadable> {
    let nanoseconds_power = match digits_read + power {
        9..=11 => power + 9,
        12..=14 => power + 6,
        15..=17 => power + 3,
        18..=20 => power,
        _ => return Err(Unreadable::OutOfRange),
    };
    if digits == 0 {
        return Err(Unreadable::OutOfRange);
    }
    let scale = 10_u128.pow(nanoseconds_power.unsigned_abs());
    let nanoseconds = if nanoseconds_power < 0 { digits / scale } else { digits * scale };
    in_range((nanoseconds / 1_000_000_000) as i64, (nanoseconds % 1_000_000_000) as u32, false)
}

fn days_of_month(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
///
/// Howard Hinnant, «chrono-Compatible Low-Level Date Algorithms»: years begin in March, so that the leap day is last.
fn day_of_date(year: u32, month: u32, day: u32) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * i64::from((month + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`day_of_date`]: year, month, day. Only for days of the years 1 to 9999.
fn date_of_day(day: i64) -> (u32, u32, u32) {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let day_of_era = day.rem_euclid(146_097) as u32;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era as u32 * 400 + year_of_era + u32::from(month <= 2);
    (year, month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::SecondsFormat;
    use proptest::prelude::*;

    fn written(timestamp: Timestamp) -> String {
        let mut out = Vec::new();
        write_rfc3339(timestamp.seconds, timestamp.nanoseconds, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn check(reading: Reading<'_>, zone: Option<Tz>, expected: &str) {
        let timestamp = parse(reading, zone);
        assert_eq!(timestamp.map(written).as_deref(), Ok(expected), "{reading:?} in {zone:?}");
    }

    #[test]
    fn calendar_forms_are_read() {
        for (text, expected, assumed_utc) in [
            ("2026-11-23T10:00:00.123456Z", "2026-11-23T10:00:00.123456Z", false),
            ("2026-11-23t10:00:00z", "2026-11-23T10:00:00.000Z", false),
            ("2026-11-23T10:00:00.1Z", "2026-11-23T10:00:00.100Z", false),
            ("2026-11-23T10:00:00.123456789Z", "2026-11-23T10:00:00.123456789Z", false),
            ("2026-11-23T10:00:00.1234567899Z", "2026-11-23T10:00:00.123456789Z", false),
            ("2026-11-23T10:00:00+02:00", "2026-11-23T08:00:00.000Z", false),
            ("2026-11-23T10:00:00+0230", "2026-11-23T07:30:00.000Z", false),
            ("2026-11-23T10:00:00-02", "2026-11-23T12:00:00.000Z", false),
            ("2026-11-23 10:00:00 +0000", "2026-11-23T10:00:00.000Z", false),
            ("2026-11-23 10:00:00.5 UTC", "2026-11-23T10:00:00.500Z", false),
            ("2026-11-23 14:55:46,279", "2026-11-23T14:55:46.279Z", true),
            ("2026-11-23T10:00:00", "2026-11-23T10:00:00.000Z", true),
            ("2026-11-23T10:00", "2026-11-23T10:00:00.000Z", true),
            ("2026-11-23", "2026-11-23T00:00:00.000Z", true),
            (" 2026-11-23T10:00:00Z\n", "2026-11-23T10:00:00.000Z", false),
            ("20261123T100000.25Z", "2026-11-23T10:00:00.250Z", false),
            ("20261123T1000+0100", "2026-11-23T09:00:00.000Z", false),
            ("2016-12-31T23:59:60.5Z", "2017-01-01T00:00:00.500Z", false),
            ("2024-02-29T00:00:00-00:01", "2024-02-29T00:01:00.000Z", false),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z", false),
            ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z", false),
            ("1969-12-31T23:59:59.9Z", "1969-12-31T23:59:59.900Z", false),
        ] {
            check(Reading::Text(text), None, expected);
            assert_eq!(parse(Reading::Text(text), None).unwrap().assumed_utc, assumed_utc, "{text}");
        }
    }

    #[test]
    fn numbers_are_read_by_their_size() {
        for (number, expected) in [
            ("1763900000", "2025-11-23T12:13:20.000Z"),
            ("1763900000.123", "2025-11-23T12:13:20.123Z"),
            ("1763900000.1234567", "2025-11-23T12:13:20.123456700Z"),
            ("1763900000123", "2025-11-23T12:13:20.123Z"),
            ("1763900000123.5", "2025-11-23T12:13:20.123500Z"),
            ("1763900000123456", "2025-11-23T12:13:20.123456Z"),
            ("1763900000123456789", "2025-11-23T12:13:20.123456789Z"),
            ("1763900000123456789.99999999999999999999999", "2025-11-23T12:13:20.123456789Z"),
            ("1.763900000123e9", "2025-11-23T12:13:20.123Z"),
            ("1.7639E+12", "2025-11-23T12:13:20.000Z"),
            ("17639000000e-1", "2025-11-23T12:13:20.000Z"),
            ("100000000", "1973-03-03T09:46:40.000Z"),
            ("99999999999", "5138-11-16T09:46:39.000Z"),
            ("100000000000", "1973-03-03T09:46:40.000Z"),
            ("99999999999999999999", "5138-11-16T09:46:39.999999999Z"),
        ] {
            check(Reading::Number(number), None, expected);
            check(Reading::Text(number), Some(Tz::Europe__Berlin), expected);
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        use Unreadable::{NoSuchTime, OutOfRange, UnknownForm};
        for (text, expected) in [
            ("", UnknownForm),
            ("yesterday", UnknownForm),
            ("2026-11", UnknownForm),
            ("2026-1123", UnknownForm),
            ("2026-11-23T", UnknownForm),
            ("2026-11-23T10", UnknownForm),
            ("2026-11-23T10:00:0", UnknownForm),
            ("2026-11-23T10:00:00.", UnknownForm),
            ("2026-11-23T10:00:00.Z", UnknownForm),
            ("2026-11-23T10:00:00ZZ", UnknownForm),
            ("2026-11-23T10:00:00+2", UnknownForm),
            ("2026-11-23T10:00:00+02:", UnknownForm),
            ("2026-11-23T10:00:00+02:000", UnknownForm),
            ("2026-11-23T10:00:00 CEST", UnknownForm),
            ("２026-11-23", UnknownForm),
            ("2026-02-29", NoSuchTime),
            ("1900-02-29", NoSuchTime),
            ("2026-13-01", NoSuchTime),
            ("2026-11-00", NoSuchTime),
            ("2026-11-23T24:00:00Z", NoSuchTime),
            ("2026-11-23T10:60:00Z", NoSuchTime),
            ("2026-11-23T10:00:61Z", NoSuchTime),
            ("2026-11-23T10:00:00+24:00", NoSuchTime),
            ("0000-12-31T00:00:00Z", OutOfRange),
            ("0001-01-01T00:00:00+01:00", OutOfRange),
            ("9999-12-31T23:59:60Z", OutOfRange),
            ("0", OutOfRange),
            ("0e9", OutOfRange),
            ("12.5", OutOfRange),
            ("99999999", OutOfRange),
            ("20261123", OutOfRange),
            ("100000000000000000000", OutOfRange),
            ("-1763900000", OutOfRange),
            ("1e999", OutOfRange),
            ("1e99999999999", OutOfRange),
            ("1e", UnknownForm),
            ("1e+-9", UnknownForm),
            ("1e9.5", UnknownForm),
            ("1.7.6", UnknownForm),
            ("1763900000.", UnknownForm),
            (".5", UnknownForm),
            ("-", UnknownForm),
            ("NaN", UnknownForm),
        ] {
            assert_eq!(parse(Reading::Text(text), None), Err(expected), "{text}");
        }
    }

    #[test]
    fn a_zone_is_for_times_that_have_none() {
        let berlin = Tz::Europe__Berlin;
        for (text, zone, expected) in [
            ("2026-11-23T10:00:00", berlin, "2026-11-23T09:00:00.000Z"),
            ("2026-07-23T10:00:00,25", berlin, "2026-07-23T08:00:00.250Z"),
            ("2026-07-23T10:00:00Z", berlin, "2026-07-23T10:00:00.000Z"),
            ("2026-07-23", Tz::Asia__Tokyo, "2026-07-22T15:00:00.000Z"),
            // Twice: the earlier, in summer time.
            ("2026-10-25T02:30:00", berlin, "2026-10-25T00:30:00.000Z"),
            // Left out: 02:30 becomes 03:30 in summer time.
            ("2026-03-29T02:30:00", berlin, "2026-03-29T01:30:00.000Z"),
            ("2026-03-08T02:30:00", Tz::America__New_York, "2026-03-08T07:30:00.000Z"),
            // Samoa left out December 30, 2011: it becomes December 31.
            ("2011-12-30T12:00:00", Tz::Pacific__Apia, "2011-12-30T22:00:00.000Z"),
        ] {
            check(Reading::Text(text), Some(zone), expected);
            assert!(!parse(Reading::Text(text), Some(zone)).unwrap().assumed_utc);
        }
    }

    fn read(text: &str) -> Timestamp {
        parse(Reading::Text(text), None).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    proptest! {
        #[test]
        fn reading_and_writing_agree_with_chrono(
            seconds in SECONDS_MIN..=SECONDS_MAX,
            nanoseconds in prop_oneof![Just(0), 0..1000_u32, 0..1_000_000_000_u32].prop_map(|n| n % 1_000_000_000),
            offset_minutes in -1439..=1439_i32,
        ) {
            let time = DateTime::from_timestamp(seconds, nanoseconds).unwrap();
            let expected = Timestamp { seconds, nanoseconds, assumed_utc: false };
            prop_assert_eq!(read(&written(expected)), expected);
            let format = match nanoseconds {
                n if n % 1_000_000 == 0 => SecondsFormat::Millis,
                n if n % 1_000 == 0 => SecondsFormat::Micros,
                _ => SecondsFormat::Nanos,
            };
            prop_assert_eq!(written(expected), time.to_rfc3339_opts(format, true));
            let offset = chrono::FixedOffset::east_opt(offset_minutes * 60).unwrap();
            if (SECONDS_MIN + DAY_SECONDS..SECONDS_MAX - DAY_SECONDS).contains(&seconds) {
                prop_assert_eq!(read(&time.with_timezone(&offset).to_rfc3339()), expected);
            }
        }

        #[test]
        fn dates_exist_where_chrono_says_so(year in 1..=9999_u32, month in 0..=13_u32, day in 0..=32_u32) {
            let text = format!("{year:04}-{month:02}-{day:02}");
            let expected = chrono::NaiveDate::from_ymd_opt(year as i32, month, day)
                .map(|date| date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp());
            prop_assert_eq!(parse(Reading::Text(&text), None).ok().map(|t| t.seconds), expected);
        }

        #[test]
        fn nothing_panics(text in "[-0-9:T.,Ze+ ]{0,40}|\\PC{0,20}") {
            let read = parse(Reading::Text(&text), Some(Tz::Pacific__Apia));
            if let Ok(timestamp) = read {
                prop_assert!((SECONDS_MIN..=SECONDS_MAX).contains(&timestamp.seconds));
            }
        }
    }
}
