//! A range of time, as verbs that ask take it.

use chrono::{DateTime, Utc};

use super::{COULD_NOT_LOOK, Failure, complain};
use crate::query::range;
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
    fn said(&self) -> range::Range {
        range::Range { last: self.last, from: self.from.clone(), to: self.to.clone() }
    }

    /// Whether anything was typed.
    pub(super) fn is_given(&self) -> bool {
        self.said().is_given()
    }

    /// The range in milliseconds: what was typed, else what the saved query has.
    pub(super) fn milliseconds(
        &self,
        saved: Option<std::time::Duration>,
        now: DateTime<Utc>,
    ) -> Result<(Option<i64>, Option<i64>), Failure> {
        self.said().milliseconds(saved, now).map_err(|error| {
            let (problem, hint) = error.words("--");
            complain(&problem, Some(&hint));
            Failure(COULD_NOT_LOOK)
        })
    }
}
