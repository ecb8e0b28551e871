//! Sizes and spans of time as people write them in pipeline files: `32MiB`, `200ms`, `1m30s`.
//!
//! Only whole numbers, and always with a unit for times, so that no reader has to guess. What `format_…` writes,
//! `parse_…` reads back as the same value.

use std::time::Duration;

/// Units of sizes and how many bytes they are; what is written takes the first that divides the size.
const BYTE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Units of times and how many milliseconds they are, the longest first.
const DURATION_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Why a text is no size or no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a whole number followed by a known unit of sizes.
    #[error(
        "`{text}` is not a size: write a whole number and one of B, kB, MB, GB, TB, KiB, MiB, GiB, TiB, like `32MiB`"
    )]
    NotASize {
        /// What was written.
        text: String,
    },
    /// Not whole numbers, each followed by a known unit of time, from the longest unit to the shortest.
    #[error("`{text}` is not a time: write whole numbers with the units d, h, m, s, ms, like `200ms`, `7d` or `1m30s`")]
    NotADuration {
        /// What was written.
        text: String,
    },
    /// More than 64 bits of bytes or milliseconds.
    #[error("`{text}` is too large")]
    TooLarge {
        /// What was written.
        text: String,
    },
}

/// Reads a number of bytes: `4096`, `32MiB`, `1 MB`; upper and lower case are the same.
///
/// # Errors
/// Names the known units.
pub fn parse_bytes(text: &str) -> Result<u64, UnitError> {
    let not_a_size = || UnitError::NotASize { text: text.to_owned() };
    let (number, unit) = split_number(text.trim()).ok_or_else(not_a_size)?;
    let unit = if unit.is_empty() { "B" } else { unit };
    let (_, unit_bytes) = BYTE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or_else(not_a_size)?;
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*unit_bytes));
    bytes.ok_or_else(|| UnitError::TooLarge { text: text.to_owned() })
}

/// Reads a span of time, exact to the millisecond: `200ms`, `7d`, `1m30s`, `0s`; a unit is always needed.
///
/// # Errors
/// Names the known units.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let not_a_duration = || UnitError::NotADuration { text: text.to_owned() };
    let too_large = || UnitError::TooLarge { text: text.to_owned() };
    let mut units = DURATION_UNITS.iter();
    let mut duration_ms: u64 = 0;
    let mut rest = text.trim();
    loop {
        let (number, behind) = split_number(rest).ok_or_else(not_a_duration)?;
        let name_length = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
        let (name, behind) = behind.split_at(name_length);
        let (_, unit_ms) = units.find(|(known, _)| *known == name).ok_or_else(not_a_duration)?;
        let part_ms = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*unit_ms));
        duration_ms = part_ms.and_then(|part_ms| duration_ms.checked_add(part_ms)).ok_or_else(too_large)?;
        rest = behind.trim_start();
        if rest.is_empty() {
            return Ok(Duration::from_millis(duration_ms));
        }
    }
}

/// The digits at the start, at least one, and what is behind them and a space.
fn split_number(text: &str) -> Option<(&str, &str)> {
    let length = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (length > 0).then(|| (&text[..length], text[length..].trim_start()))
}

/// Writes a number of bytes exactly, in the largest unit that needs no fraction: `32MiB`, `1MB`, `4097B`.
pub fn format_bytes(bytes: u64) -> String {
    let fits = |(_, unit_bytes): &&(&str, u64)| bytes > 0 && bytes.is_multiple_of(*unit_bytes);
    match BYTE_UNITS.iter().find(fits) {
        Some((name, unit_bytes)) => format!("{}{name}", bytes / unit_bytes),
        None => format!("{bytes}B"),
    }
}

/// Writes a span of time to the millisecond, the rest being cut: `1m30s`, `200ms`, `0s`.
pub fn format_duration(duration: Duration) -> String {
    let mut rest_ms = duration.as_millis();
    let mut text = String::new();
    for (name, unit_ms) in DURATION_UNITS {
        let count = rest_ms / u128::from(unit_ms);
        rest_ms %= u128::from(unit_ms);
        if count > 0 {
            text.push_str(&format!("{count}{name}"));
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A number of things: `1 record`, `2 records`, `1 entry`, `0 entries`.
pub fn counted(count: impl TryInto<u64>, noun: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    match (count, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{count} {stem}ies"),
        _ => format!("{count} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("0", 0),
            ("4096", 4096),
            ("32MiB", 32 << 20),
            ("32mib", 32 << 20),
            (" 1 MB ", 1_000_000),
            ("1KB", 1000),
            ("512KiB", 512 << 10),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse_bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "MiB", "1.5MiB", "-1", "1 Mi", "1MiB2", "١MB", "0x10"] {
            assert_eq!(parse_bytes(text), Err(UnitError::NotASize { text: text.to_owned() }));
        }
        for text in ["18446744073709551616", "99999999TiB"] {
            assert_eq!(parse_bytes(text), Err(UnitError::TooLarge { text: text.to_owned() }));
        }
    }

    #[test]
    fn durations() {
        for (text, expected_ms) in [
            ("200ms", 200),
            ("5s", 5_000),
            ("90s", 90_000),
            ("1h", 3_600_000),
            ("7d", 604_800_000),
            ("1m30s", 90_000),
            (" 1d 2h 3m 4s 5ms ", 93_784_005),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(expected_ms)), "{text}");
        }
        for text in ["", "5", "s", "1.5s", "-1s", "1M", "5 minutes", "30s1m", "1s1s", "1m30"] {
            assert_eq!(parse_duration(text), Err(UnitError::NotADuration { text: text.to_owned() }));
        }
        for text in ["999999999999999d", "18446744073709551615ms1", "99999999999999999999s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_shortest_exact_text() {
        for (bytes, expected) in
            [(0, "0B"), (1, "1B"), (1000, "1kB"), (1024, "1KiB"), (32 << 20, "32MiB"), (4097, "4097B")]
        {
            assert_eq!(format_bytes(bytes), expected);
        }
        for (duration_ms, expected) in
            [(0, "0s"), (200, "200ms"), (90_000, "1m30s"), (604_800_000, "7d"), (3_600_001, "1h1ms")]
        {
            assert_eq!(format_duration(Duration::from_millis(duration_ms)), expected);
        }
    }

    #[test]
    fn an_error_names_the_units() {
        let message = parse_bytes("32 megs").unwrap_err().to_string();
        let message = message + &parse_duration("5 minutes").unwrap_err().to_string();
        for (name, _) in BYTE_UNITS.iter().chain(&DURATION_UNITS) {
            assert!(message.contains(name), "{name} is not in `{message}`");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(number in any::<u64>(), shift in 0..64_u32) {
            let number = number >> shift;
            prop_assert_eq!(parse_bytes(&format_bytes(number)), Ok(number));
            let duration = Duration::from_millis(number);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
    }

    #[test]
    fn one_thing_is_no_plural() {
        let cases = [(0, "record", "0 records"), (1, "record", "1 record"), (2, "dead letter", "2 dead letters")];
        for (count, noun, expected) in
            cases.into_iter().chain([(1, "entry", "1 entry"), (3, "entry", "3 entries"), (2, "day", "2 days")])
        {
            assert_eq!(counted(count, noun), expected);
        }
    }
}
