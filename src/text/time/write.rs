//! How an instant is written.

use chrono::{DateTime, SecondsFormat, Utc};

use super::calendar::date_of_day;
use super::instant::{DAY_SECONDS, SECONDS_MAX, SECONDS_MIN};

/// A time in microseconds since 1970 as inferlog's own documents have it: `2026-11-23T10:00:00.123456Z`. One that the
/// calendar cannot hold is 1970.
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
