//! An instant, and why a text is none.

/// A time as a log has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading<'a> {
    /// The text of a JSON number.
    Number(&'a str),
    /// The text of a string, unescaped.
    Text(&'a str),
    /// A JSON array of numbers: year, month, day, hour, minute, second, nanosecond.
    Array(&'a str),
}

/// An instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// Whole seconds since 1970-01-01T00:00:00Z, within the years 1 to 9999.
    pub seconds: i64,
    /// Nanoseconds after `seconds`, below 1,000,000,000.
    pub nanoseconds: u32,
    /// What is not sure about it.
    pub doubt: Option<Doubt>,
}

/// What is not sure about an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The text had no offset and no zone was given, so UTC was taken.
    AssumedUtc,
    /// The hour came twice, at the end of summer time: its first meaning was taken.
    Ambiguous,
    /// The hour was left out, at the start of summer time: it was moved forward by what was left out.
    Nonexistent,
}

/// Why a reading is no instant. The reading itself is not repeated: it is the record's own data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// None of the known forms.
    #[error("not a time: neither a known style of date nor a number of s, ms, µs or ns since 1970")]
    UnknownForm,
    /// A known form with an impossible part, such as February 30.
    #[error("no such time: a part of it is out of its range")]
    NoSuchTime,
    /// It has no year, as klog's `I1123 10:00:01` and syslog's `Nov 23 10:00:01`.
    #[error("no year: the text does not say which year is meant")]
    NoYear,
    /// It names its zone by letters, as `CET` or `IST`, which mean several.
    #[error("a zone's letters: what they mean is not certain; `formats` with `%Z` and `zone` say it")]
    ZoneName,
    /// Whether `11/12/2026` is November or December is not certain.
    #[error("day or month: which comes first is not certain; `formats` say it, such as `%d/%m/%Y %H:%M:%S`")]
    DayOrMonth,
    /// Outside the years 1 to 9999 in UTC, or a number that no unit brings between 1973 and 5138.
    #[error("out of range: not within the years 1 to 9999, or a number too small or too large to be a time")]
    OutOfRange,
}

/// 0001-01-01T00:00:00Z.
pub(super) const SECONDS_MIN: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z.
pub(super) const SECONDS_MAX: i64 = 253_402_300_799;
pub(super) const DAY_SECONDS: i64 = 86_400;

impl Unreadable {
    /// Its word in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Unreadable::UnknownForm => "unknown_form",
            Unreadable::NoSuchTime => "no_such_time",
            Unreadable::NoYear => "no_year",
            Unreadable::ZoneName => "zone_name",
            Unreadable::DayOrMonth => "day_or_month",
            Unreadable::OutOfRange => "out_of_range",
        }
    }
}

/// The instant, if RFC 3339 can write it.
pub(super) fn in_range(seconds: i64, nanoseconds: u32, doubt: Option<Doubt>) -> Result<Timestamp, Unreadable> {
    if (SECONDS_MIN..=SECONDS_MAX).contains(&seconds) {
        Ok(Timestamp { seconds, nanoseconds, doubt })
    } else {
        Err(Unreadable::OutOfRange)
    }
}
