//! The one notation of time that the corpus has: `2026-11-23T10:00:00.123456Z`.

/// A time in seconds since 1970 and microseconds.
#[derive(Clone, Copy)]
pub(super) struct Time {
    pub(super) seconds: i64,
    micros: u32,
}

pub(super) fn read(text: &[u8]) -> Option<Time> {
    let text: &[u8; 27] = text.try_into().ok()?;
    let mut wrong = 0;
    let mut number = |from: usize, to: usize| {
        text[from..to].iter().fold(0, |sum, byte| {
            let digit = byte.wrapping_sub(b'0');
            wrong |= u8::from(digit > 9);
            sum * 10 + u32::from(digit)
        })
    };
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let (hour, minute, second, micros) = (number(11, 13), number(14, 16), number(17, 19), number(20, 26));
    let marks = [text[4], text[7], text[10], text[13], text[16], text[19], text[26]];
    let is_time = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
    if wrong != 0 || marks != *b"--T::.Z" || !is_time {
        return None;
    }
    let days = days_since_1970(i64::from(year), i64::from(month), i64::from(day));
    let seconds = days * 86_400 + i64::from(hour * 3_600 + minute * 60 + second);
    Some(Time { seconds, micros })
}

/// The days of the proleptic Gregorian calendar, counted from March so that a leap day is the last one of its year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn date_of_day(days: i64) -> (u32, u32, u32) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year as u32, month as u32, day as u32)
}

/// Writes a time anew: milliseconds where they say all, else microseconds.
pub(super) fn write(time: Time, out: &mut Vec<u8>) {
    let (year, month, day) = date_of_day(time.seconds.div_euclid(86_400));
    let second = time.seconds.rem_euclid(86_400) as u32;
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    for (from, to, number) in [
        (0, 4, year),
        (5, 7, month),
        (8, 10, day),
        (11, 13, second / 3_600),
        (14, 16, second / 60 % 60),
        (17, 19, second % 60),
        (20, 26, time.micros),
    ] {
        let mut number = number;
        for digit in text[from..to].iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
    }
    if time.micros.is_multiple_of(1_000) {
        text[23] = b'Z';
        return out.extend_from_slice(&text[..24]);
    }
    out.extend_from_slice(&text);
}
