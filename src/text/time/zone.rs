//! Zones: which instant does a wall clock show?

use chrono::{DateTime, LocalResult, NaiveDateTime, Offset, TimeDelta, TimeZone};
use chrono_tz::Tz;

use super::instant::{Doubt, Unreadable};

/// The instant of a wall clock in a named zone, in seconds since 1970, and what is not sure about it.
pub(super) fn local_to_utc(local_seconds: i64, zone: Tz) -> Result<(i64, Option<Doubt>), Unreadable> {
    let local: NaiveDateTime = DateTime::from_timestamp(local_seconds, 0).ok_or(Unreadable::OutOfRange)?.naive_utc();
    match zone.from_local_datetime(&local) {
        LocalResult::Single(time) => Ok((time.timestamp(), None)),
        LocalResult::Ambiguous(time, _) => Ok((time.timestamp(), Some(Doubt::Ambiguous))),
        LocalResult::None => {
            // A clock that had not been put forward would show this: the offset from before the gap. A day earlier
            // (read as UTC) is before every gap, the longest being Samoa's day, and after the change before that.
            let before = local.checked_sub_signed(TimeDelta::days(1)).ok_or(Unreadable::OutOfRange)?;
            let offset = zone.offset_from_utc_datetime(&before).fix().local_minus_utc();
            Ok((local_seconds - i64::from(offset), Some(Doubt::Nonexistent)))
        }
    }
}
