//! Ranges of time, as somebody says them: the last hour, or from then to then.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::flow::question::Question;
use crate::kql;

/// A range as it was said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// Records of this last time, up to now or to `to`.
    pub last: Option<Duration>,
    /// Records from then on: a date, or date math.
    pub from: Option<String>,
    /// Records before then.
    pub to: Option<String>,
}

/// What is wrong with a range. It is told by the names that whoever asks knows: `--from` of a command, `from` of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeError {
    /// This is no time.
    NoTime {
        /// `from` or `to`.
        name: &'static str,
        /// What was said.
        text: String,
    },
    /// It ends before it begins.
    Empty {
        /// Its beginning, in milliseconds since 1970.
        from_ms: i64,
        /// Its end.
        to_ms: i64,
    },
    /// Both were said.
    LastAndFrom,
}

impl RangeError {
    /// What is wrong, and what to do; `dashes` stand before the names.
    pub fn words(&self, dashes: &str) -> (String, String) {
        match self {
            RangeError::NoTime { name, text } => (
                format!("`{dashes}{name} {text}` is no time"),
                "write a date such as `2026-11-23` or `2026-11-23T10:00:00Z`, or date math such as `now-1h/h`"
                    .to_owned(),
            ),
            RangeError::Empty { from_ms, to_ms } => (
                format!("the range is empty: it begins at {} and ends at {}", time_text(*from_ms), time_text(*to_ms)),
                format!("`{dashes}from` is the earlier time, and `{dashes}to` the later one"),
            ),
            RangeError::LastAndFrom => (
                format!("`{dashes}last` and `{dashes}from` say two things"),
                format!("`{dashes}last` goes back from now, or from `{dashes}to`"),
            ),
        }
    }
}

impl Range {
    /// Whether anything was said.
    pub fn is_given(&self) -> bool {
        self.last.is_some() || self.from.is_some() || self.to.is_some()
    }

    /// Its beginning and its end in milliseconds since 1970: what was said, else what a saved query has.
    ///
    /// # Errors
    /// What is no time, and a range without a moment in it.
    pub fn milliseconds(
        &self,
        saved: Option<Duration>,
        now: DateTime<Utc>,
    ) -> Result<(Option<i64>, Option<i64>), RangeError> {
        let (from_ms, to_ms) = (moment_ms("from", &self.from, now)?, moment_ms("to", &self.to, now)?);
        if self.last.is_some() && from_ms.is_some() {
            return Err(RangeError::LastAndFrom);
        }
        let is_fixed = self.from.is_some() || self.to.is_some();
        if let Some(last) = self.last.or(saved.filter(|_| !is_fixed)) {
            let until_ms = to_ms.unwrap_or_else(|| now.timestamp_millis());
            let from_ms = until_ms.saturating_sub(i64::try_from(last.as_millis()).unwrap_or(i64::MAX));
            return Ok((Some(from_ms), Some(until_ms)));
        }
        match (from_ms, to_ms) {
            (Some(from_ms), Some(to_ms)) if from_ms >= to_ms => Err(RangeError::Empty { from_ms, to_ms }),
            range => Ok(range),
        }
    }
}

fn moment_ms(name: &'static str, text: &Option<String>, now: DateTime<Utc>) -> Result<Option<i64>, RangeError> {
    let Some(text) = text else { return Ok(None) };
    kql::moment_ms(text, now).map(Some).ok_or_else(|| RangeError::NoTime { name, text: text.clone() })
}

/// A time in milliseconds since 1970, for people.
pub fn time_text(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms)
        .map_or_else(|| format!("{ms} ms"), |time| time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
}

/// The range of a question, for people.
pub fn range_text(question: &Question) -> String {
    match (question.from_ms, question.until_ms) {
        (None, None) => "at any time".to_owned(),
        (Some(from), None) => format!("from {} on", time_text(from)),
        (None, Some(until)) => format!("before {}", time_text(until)),
        (Some(from), Some(until)) => format!("from {} to {}", time_text(from), time_text(until)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_what_was_said_or_an_error() {
        let now: DateTime<Utc> = "2026-11-23T12:00:00Z".parse().unwrap();
        let range = |last: Option<u64>, from: Option<&str>, to: Option<&str>| {
            let text = |text: Option<&str>| text.map(str::to_owned);
            let range = Range { last: last.map(Duration::from_secs), from: text(from), to: text(to) };
            let at = |time: Option<i64>| time.map(time_text).unwrap_or_default();
            let found = range.milliseconds(None, now);
            found.map(|(from, to)| at(from) + "/" + &at(to)).map_err(|error| error.words("--").0)
        };
        for (last, from, to, expected) in [
            (None, None, None, Ok("/")),
            (Some(3_600), None, None, Ok("2026-11-23T11:00:00Z/2026-11-23T12:00:00Z")),
            (Some(60), None, Some("2026-11-20"), Ok("2026-11-19T23:59:00Z/2026-11-20T00:00:00Z")),
            (None, Some("now-1h/h"), None, Ok("2026-11-23T11:00:00Z/")),
            (None, Some("then"), None, Err("`--from then` is no time")),
            (Some(1), Some("2026-11-20"), None, Err("`--last` and `--from` say two things")),
            (
                None,
                Some("2026-11-21"),
                Some("2026-11-20"),
                Err("the range is empty: it begins at 2026-11-21T00:00:00Z and ends at 2026-11-20T00:00:00Z"),
            ),
        ] {
            assert_eq!(range(last, from, to), expected.map(str::to_owned).map_err(str::to_owned), "{from:?} {to:?}");
        }
    }
}
