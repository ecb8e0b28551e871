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
    let parts = [
        (0, year / 100),
        (2, year % 100),
        (5, month),
        (8, day),
        (11, second_of_day / 3600),
        (14, second_of_day / 60 % 60),
        (17, second_of_day % 60),
        (20, nanoseconds / 10_000_000),
        (22, nanoseconds / 100_000 % 100),
        (24, nanoseconds / 1_000 % 100),
        (26, nanoseconds / 10 % 100),
    ];
    for (at, number) in parts {
        text[at..at + 2].copy_from_slice(&DIGIT_PAIRS[number as usize]);
    }
    text[28] = b'0' + (nanoseconds % 10) as u8;
    let length = match nanoseconds {
        n if n.is_multiple_of(1_000_000) => 23,
        n if n.is_multiple_of(1_000) => 26,
        _ => 29,
    };
    out.extend_from_slice(&text[..length]);
    out.push(b'Z');
}

/// `00` to `99`.
const DIGIT_PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [*b"00"; 100];
    let mut number = 0;
    while number < pairs.len() {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};
