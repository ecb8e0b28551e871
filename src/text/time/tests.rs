//! Tables of texts and the instants that they mean, and properties against chrono.

use super::instant::{DAY_SECONDS, SECONDS_MAX, SECONDS_MIN};
use super::*;
use chrono::{DateTime, SecondsFormat};
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
        let doubt = assumed_utc.then_some(Doubt::AssumedUtc);
        assert_eq!(parse(Reading::Text(text), None).unwrap().doubt, doubt, "{text}");
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
    use Unreadable::{NoSuchTime, OutOfRange, UnknownForm, ZoneName};
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
        ("2026-11-23T10:00:00ZZ", ZoneName),
        ("2026-11-23T10:00:00+2", UnknownForm),
        ("2026-11-23T10:00:00+02:", UnknownForm),
        ("2026-11-23T10:00:00+02:000", UnknownForm),
        ("2026-11-23T10:00:00 CEST", ZoneName),
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
        assert_ne!(parse(Reading::Text(text), Some(zone)).unwrap().doubt, Some(Doubt::AssumedUtc));
    }
}

#[test]
fn what_a_zone_leaves_unsure_is_said() {
    use Doubt::{Ambiguous, Nonexistent};
    for (text, expected) in [
        ("2026-10-25T01:59:59", None),
        ("2026-10-25T02:00:00", Some(Ambiguous)),
        ("2026-10-25T02:59:59", Some(Ambiguous)),
        ("2026-10-25T03:00:00", None),
        ("2026-10-25T02:30:00+02:00", None),
        ("2026-03-29T01:59:59", None),
        ("2026-03-29T02:00:00", Some(Nonexistent)),
        ("2026-03-29T03:00:00", None),
    ] {
        assert_eq!(parse(Reading::Text(text), Some(Tz::Europe__Berlin)).unwrap().doubt, expected, "{text}");
    }
}

#[test]
fn the_styles_of_other_loggers_are_read() {
    for (text, expected, assumed_utc) in [
        ("2026-11-23T10:00:01.500Z[UTC]", "2026-11-23T10:00:01.500Z", false),
        ("2026-11-23T11:00:01.500+01:00[Europe/Berlin]", "2026-11-23T10:00:01.500Z", false),
        ("2026-11-23T11:00:01.500[Europe/Berlin]", "2026-11-23T10:00:01.500Z", false),
        ("2026-11-23 10:00:01.5 +0000 UTC", "2026-11-23T10:00:01.500Z", false),
        ("2026-11-23 11:00:01.5 +0100 CET m=+0.004", "2026-11-23T10:00:01.500Z", false),
        ("2026-11-23 07:00:01.5 -0300 -03 m=-0.004", "2026-11-23T10:00:01.500Z", false),
        ("Mon, 23 Nov 2026 10:00:01 GMT", "2026-11-23T10:00:01.000Z", false),
        ("Mon, 23 Nov 2026 11:00:01 +0100", "2026-11-23T10:00:01.000Z", false),
        ("1 Nov 2026 10:00:01 GMT", "2026-11-01T10:00:01.000Z", false),
        ("23-Nov-2026 10:00:01", "2026-11-23T10:00:01.000Z", true),
        ("Mon Nov 23 10:00:01 2026", "2026-11-23T10:00:01.000Z", true),
        ("Sun Nov  1 10:00:01 UTC 2026", "2026-11-01T10:00:01.000Z", false),
        ("Mon Nov 23 11:00:01 +0100 2026", "2026-11-23T10:00:01.000Z", false),
        ("23/Nov/2026:10:00:01 +0000", "2026-11-23T10:00:01.000Z", false),
        ("[23/Nov/2026:11:00:01 +0100]", "2026-11-23T10:00:01.000Z", false),
        ("2026/11/23 10:00:01", "2026-11-23T10:00:01.000Z", true),
        ("2026/11/23 10:00:01.123456", "2026-11-23T10:00:01.123456Z", true),
        ("2026.11.23 10:00:01", "2026-11-23T10:00:01.000Z", true),
        ("I20261123 10:00:01.500000", "2026-11-23T10:00:01.500Z", true),
        ("20261123 10:00:01", "2026-11-23T10:00:01.000Z", true),
        ("[2026-11-23 10:00:01]", "2026-11-23T10:00:01.000Z", true),
        ("2026-11-23 10:00:01,1000", "2026-11-23T10:00:01.100Z", true),
        ("/Date(1795428001500)/", "2026-11-23T10:00:01.500Z", false),
        ("/Date(1795428001500+0100)/", "2026-11-23T10:00:01.500Z", false),
        ("2026-11-23T05:00:01.500\u{2212}05:00", "2026-11-23T10:00:01.500Z", false),
    ] {
        check(Reading::Text(text), None, expected);
        let doubt = assumed_utc.then_some(Doubt::AssumedUtc);
        assert_eq!(parse(Reading::Text(text), None).unwrap().doubt, doubt, "{text}");
    }
    check(Reading::Array("[2026,11,23,10,0,1,500000000]"), None, "2026-11-23T10:00:01.500Z");
    check(Reading::Array("[2026, 11, 23]"), Some(Tz::Asia__Tokyo), "2026-11-22T15:00:00.000Z");
}

#[test]
fn what_would_have_to_be_guessed_is_refused_by_its_reason() {
    use Unreadable::{DayOrMonth, NoSuchTime, NoYear, UnknownForm, ZoneName};
    for (text, expected) in [
        ("I1123 10:00:01.500000", NoYear),
        ("Nov 23 10:00:01", NoYear),
        ("2026-11-23 10:00:01.500 CET", ZoneName),
        ("2026-11-23T10:00:01[Nowhere/Else]", ZoneName),
        ("2026/11/23 10:00:01 CET", ZoneName),
        ("11/12/2026 10:00:01", DayOrMonth),
        ("23/11/2026 10:00:01", DayOrMonth),
        ("11/23/2026 10:00:01 AM", DayOrMonth),
        ("23.11.2026 10:00:01", DayOrMonth),
        ("11/12/26", DayOrMonth),
        ("2026/02/30 10:00:01", NoSuchTime),
        ("Mon, 31 Nov 2026 10:00:01 GMT", NoSuchTime),
        ("Monday, 23-Nov-26 10:00:01 GMT", UnknownForm),
        ("2026\u{2212}\u{2212}11", UnknownForm),
    ] {
        assert_eq!(parse(Reading::Text(text), None), Err(expected), "{text}");
    }
    for array in ["[]", "[2026,11]", "[2026,13,1]", "[2026,11,23,10,0,1,5,6]", "[1.5,2,3]", "[\"a\"]", "[2026,11,[23]]"]
    {
        assert!(parse(Reading::Array(array), None).is_err(), "{array}");
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
        let expected = Timestamp { seconds, nanoseconds, doubt: None };
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
    fn nothing_panics(text in "[-0-9:T.,Ze+ ]{0,40}|\\PC{0,20}|[\\[/]?[0-9]{4}[-/.][0-9]{2}[-/.][0-9]{2}[ T][0-9:.]{8}[-−+A-Z0-9\\[\\]/() =.m]{0,20}") {
        let read = parse(Reading::Text(&text), Some(Tz::Pacific__Apia));
        if let Ok(timestamp) = read {
            prop_assert!((SECONDS_MIN..=SECONDS_MAX).contains(&timestamp.seconds));
        }
    }
}
