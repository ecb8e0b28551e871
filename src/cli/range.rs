//! A range of time, as verbs that ask take it.

use chrono::{DateTime, Utc};

use super::query_words::time_text;
use super::{COULD_NOT_LOOK, Failure, complain};
use crate::kql;
use crate::text::units::parse_duration;

#[derive(Debug, clap::Args)]
pub(super) struct Range {
    /// Only records of this last time, such as `1h` or `7d`, up to now or to `--to`
    #[arg(long, value_name = "TIME", conflicts_with = "from", value_parser = parse_duration)]
    last: Option<std::time::Duration>,
    /// Only records from then on: a date such as `2026-11-23T10:00`, in UTC unless it says otherwise, or date math such as `now-1h/h`
    #[arg(long, value_name = "T")]
    from: Option<String>,
    /// Only records before then
    #[arg(long, value_name = "T")]
    to: Option<String>,
}

impl Range {
    /// Whether anything was typed.
    pub(super) fn is_given(&self) -> bool {
        self.last.is_some() || self.from.is_some() || self.to.is_some()
    }

    /// The range in milliseconds: what was typed, else what the saved query has.
    pub(super) fn milliseconds(
        &self,
        saved: Option<std::time::Duration>,
        now: DateTime<Utc>,
    ) -> Result<(Option<i64>, Option<i64>), Failure> {
        let (from_ms, to_ms) = (moment_ms("--from", &self.from, now)?, moment_ms("--to", &self.to, now)?);
        let is_fixed = self.from.is_some() || self.to.is_some();
        if let Some(last) = self.last.or(saved.filter(|_| !is_fixed)) {
            let until_ms = to_ms.unwrap_or_else(|| now.timestamp_millis());
            let from_ms = until_ms.saturating_sub(i64::try_from(last.as_millis()).unwrap_or(i64::MAX));
            return Ok((Some(from_ms), Some(until_ms)));
        }
        if let (Some(from), Some(to)) = (from_ms, to_ms)
            && from >= to
        {
            let (from, to) = (time_text(from), time_text(to));
            complain(
                &format!("the range is empty: it begins at {from} and ends at {to}"),
                Some("`--from` is the earlier time, and `--to` the later one"),
            );
            return Err(Failure(COULD_NOT_LOOK));
        }
        Ok((from_ms, to_ms))
    }
}

/// What a flag with a time means, in milliseconds since 1970.
fn moment_ms(flag: &str, text: &Option<String>, now: DateTime<Utc>) -> Result<Option<i64>, Failure> {
    let Some(text) = text else { return Ok(None) };
    kql::moment_ms(text, now).map(Some).ok_or_else(|| {
        let hint = "write a date such as `2026-11-23` or `2026-11-23T10:00:00Z`, or date math such as `now-1h/h`";
        complain(&format!("`{flag} {text}` is no time"), Some(hint));
        Failure(COULD_NOT_LOOK)
    })
}
