//! Which moments does date math mean at a given time? `now-1h/h`, `2026-11-23||+1M/d`: a moment, then steps, as
//! Elasticsearch has them. `/h` goes back to the start of the hour, or, where the last moment is asked for (`>`, `<=`),
//! on to its last millisecond. Weeks begin on Monday; a month later than January 31 is the last of February.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, TimeDelta, Utc};

use super::date::{self, Span};

/// Reads date math as it is meant at `now`; `None` if it is none, or leaves the calendar.
pub(super) fn read(text: &str, now: DateTime<Utc>) -> Option<Span> {
    let at = |last: bool| {
        let (moment, steps) = base(text, now)?;
        let moment = walk(moment, steps, last)?;
        Some((moment.timestamp(), moment.timestamp_subsec_nanos()))
    };
    if date::is_date_math(text) { Some(Span { first: at(false)?, last: at(true)? }) } else { None }
}

/// The moment before the steps, and the steps.
fn base(text: &str, now: DateTime<Utc>) -> Option<(DateTime<Utc>, &str)> {
    if let Some(steps) = text.strip_prefix("now") {
        return Some((now, steps));
    }
    let (date, steps) = text.split_once("||")?;
    // What this date leaves out is its first moment for either end, to Elasticsearch too.
    let (seconds, nanos) = date::read(date)?.first;
    Some((DateTime::from_timestamp(seconds, nanos)?, steps))
}

fn walk(mut moment: DateTime<Utc>, mut steps: &str, last: bool) -> Option<DateTime<Utc>> {
    while let Some(sign) = steps.chars().next() {
        let digits = steps[1..].bytes().take_while(u8::is_ascii_digit).count();
        let count = if digits == 0 { 1 } else { steps[1..=digits].parse().ok()? };
        let unit = steps[1 + digits..].chars().next()?;
        steps = &steps[2 + digits..];
        moment = match sign {
            '+' => add(moment, unit, count)?,
            '-' => add(moment, unit, -count)?,
            _ if last => add(start_of(moment, unit)?, unit, 1)?.checked_sub_signed(TimeDelta::milliseconds(1))?,
            _ => start_of(moment, unit)?,
        };
    }
    Some(moment)
}

fn add(moment: DateTime<Utc>, unit: char, count: i64) -> Option<DateTime<Utc>> {
    let months = |months: i64| {
        let size = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
        if months < 0 { moment.checked_sub_months(size) } else { moment.checked_add_months(size) }
    };
    let days = |days: i64| {
        let size = Days::new(days.unsigned_abs());
        if days < 0 { moment.checked_sub_days(size) } else { moment.checked_add_days(size) }
    };
    let seconds = |seconds: i64| moment.checked_add_signed(TimeDelta::try_seconds(seconds)?);
    match unit {
        'y' => months(count.checked_mul(12)?),
        'M' => months(count),
        'w' => days(count.checked_mul(7)?),
        'd' => days(count),
        'h' | 'H' => seconds(count.checked_mul(3600)?),
        'm' => seconds(count.checked_mul(60)?),
        _ => seconds(count),
    }
}

fn start_of(moment: DateTime<Utc>, unit: char) -> Option<DateTime<Utc>> {
    let date = moment.date_naive();
    let midnight = |date: NaiveDate| date.and_hms_opt(0, 0, 0).map(|time| time.and_utc());
    let whole = |seconds: i64| DateTime::from_timestamp(moment.timestamp() - moment.timestamp().rem_euclid(seconds), 0);
    match unit {
        'y' => midnight(date.with_ordinal(1)?),
        'M' => midnight(date.with_day(1)?),
        'w' => midnight(date.checked_sub_days(Days::new(u64::from(date.weekday().num_days_from_monday())))?),
        'd' => midnight(date),
        'h' | 'H' => whole(3600),
        'm' => whole(60),
        _ => whole(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First and last moment, as texts, at 2026-11-24T10:20:30.500Z, a Tuesday.
    fn span(text: &str) -> (String, String) {
        let now = "2026-11-24T10:20:30.500Z".parse().unwrap();
        let span = read(text, now).unwrap_or_else(|| panic!("{text}"));
        let show = |(seconds, nanos): date::Instant| {
            DateTime::from_timestamp(seconds, nanos).unwrap().format("%Y-%m-%dT%H:%M:%S%.3f").to_string()
        };
        (show(span.first), show(span.last))
    }

    #[test]
    fn steps_are_taken_one_after_the_other() {
        let cases = [
            ("now", "2026-11-24T10:20:30.500", "2026-11-24T10:20:30.500"),
            ("now-1h", "2026-11-24T09:20:30.500", "2026-11-24T09:20:30.500"),
            ("now-1h/h", "2026-11-24T09:00:00.000", "2026-11-24T09:59:59.999"),
            ("now/d", "2026-11-24T00:00:00.000", "2026-11-24T23:59:59.999"),
            ("now/d-1d", "2026-11-23T00:00:00.000", "2026-11-23T23:59:59.999"),
            ("now/w", "2026-11-23T00:00:00.000", "2026-11-29T23:59:59.999"),
            ("now/M", "2026-11-01T00:00:00.000", "2026-11-30T23:59:59.999"),
            ("now/y", "2026-01-01T00:00:00.000", "2026-12-31T23:59:59.999"),
            ("now/m+1s", "2026-11-24T10:20:01.000", "2026-11-24T10:21:00.999"),
            ("now/s", "2026-11-24T10:20:30.000", "2026-11-24T10:20:30.999"),
            ("now+10M-3d", "2027-09-21T10:20:30.500", "2027-09-21T10:20:30.500"),
            ("2026-01-31||+1M", "2026-02-28T00:00:00.000", "2026-02-28T00:00:00.000"),
            ("2026-11-23||", "2026-11-23T00:00:00.000", "2026-11-23T00:00:00.000"),
            ("2026-11-24||-12h/h", "2026-11-23T12:00:00.000", "2026-11-23T12:59:59.999"),
            ("2026-11-23T05:00Z||-2H", "2026-11-23T03:00:00.000", "2026-11-23T03:00:00.000"),
            ("now-y", "2025-11-24T10:20:30.500", "2025-11-24T10:20:30.500"),
        ];
        for (text, first, last) in cases {
            assert_eq!(span(text), (first.to_owned(), last.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_leaves_the_calendar_or_is_no_date_math_is_no_moment() {
        let now = "2026-11-24T10:20:30Z".parse().unwrap();
        for text in ["now-999999999999y", "now+99999999999999999999d", "nowhere", "2026-11-23", "now+400000y"] {
            assert_eq!(read(text, now), None, "{text}");
        }
    }
}
