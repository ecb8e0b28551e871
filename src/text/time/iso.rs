//! ISO 8601, as RFC 3339 and the usual loggers write it. Nearly every record's time goes through here.

use chrono_tz::Tz;

use super::calendar::{day_of_date, days_of_month};
use super::instant::{DAY_SECONDS, Doubt, Timestamp, Unreadable, in_range};
use super::zone::local_to_utc;

/// Where the text says it stands from UTC.
enum Zone {
    OffsetSeconds(i64),
    Unsaid,
}

/// Reads a date, with a time or without.
pub(super) fn parse_calendar(text: &[u8], zone: Option<Tz>) -> Result<Timestamp, Unreadable> {
    let mut scanner = Scanner { text, at: 0 };
    let (local_seconds, nanoseconds) = scanner.date_and_time()?;
    let (seconds, doubt) = match (scanner.zone()?, zone) {
        (Zone::OffsetSeconds(offset), _) => (local_seconds - offset, None),
        (Zone::Unsaid, Some(zone)) => local_to_utc(local_seconds, zone)?,
        (Zone::Unsaid, None) => (local_seconds, Some(Doubt::AssumedUtc)),
    };
    in_range(seconds, nanoseconds, doubt)
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    /// Seconds since 1970 as if the text were UTC, and nanoseconds.
    fn date_and_time(&mut self) -> Result<(i64, u32), Unreadable> {
        let unknown = Unreadable::UnknownForm;
        let year = self.digits::<4>().ok_or(unknown)?;
        let extended = self.accept(b'-');
        let month = self.digits::<2>().ok_or(unknown)?;
        if extended && !self.accept(b'-') {
            return Err(unknown);
        }
        let day = self.digits::<2>().ok_or(unknown)?;
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
        let hour = self.digits::<2>().ok_or(unknown)?;
        if extended && !self.accept(b':') {
            return Err(unknown);
        }
        let minute = self.digits::<2>().ok_or(unknown)?;
        let has_second = if extended { self.accept(b':') } else { self.peek().is_some_and(|b| b.is_ascii_digit()) };
        let (mut second, mut nanoseconds) = (0, 0);
        if has_second {
            second = self.digits::<2>().ok_or(unknown)?;
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
        let rest = &self.text[self.at..];
        let count = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        self.at += count;
        let digits = &rest[..count.min(9)];
        let number = digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
        (count > 0).then(|| number * 10_u32.pow(9 - digits.len() as u32))
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
        let hours = scanner.digits::<2>().ok_or(Unreadable::UnknownForm)?;
        let mut minutes = 0;
        if scanner.at < digits.len() {
            scanner.accept(b':');
            minutes = scanner.digits::<2>().ok_or(Unreadable::UnknownForm)?;
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

    fn digits<const COUNT: usize>(&mut self) -> Option<u32> {
        let bytes: &[u8; COUNT] = self.text[self.at..].first_chunk()?;
        let (mut number, mut is_number) = (0, true);
        for byte in bytes {
            let digit = byte.wrapping_sub(b'0');
            is_number &= digit <= 9;
            number = number * 10 + u32::from(digit);
        }
        self.at += COUNT;
        is_number.then_some(number)
    }
}
