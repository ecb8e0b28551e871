//! Retention: how long are documents kept in Elasticsearch, and by what is that carried out?
//!
//! A backing index is filled for some time, the rollover's `max_age`, and deleted some time after its rollover, `min_age`.
//! So its documents are between `min_age` and `min_age + max_age` old when they go, and both bounds are kept by
//!
//! ```text
//! max_age = min(30 d, at_most − at_least)
//! min_age = at_most − max_age                    which is at least at_least
//! ```
//!
//! A policy counts from the rollover, so an age is that since arrival, not that of the record's own time. Without
//! `at_most` nothing is ever deleted.

use std::time::Duration;

use serde_json::{Value, json};

use crate::text::units::format_duration;

/// Six months, which the EU AI Act (Articles 19 and 26) names for logs of high-risk systems.
pub const AT_LEAST_DEFAULT: Duration = Duration::from_secs(180 * DAY_S);

/// The shortest span between the two bounds: a shorter one would be a backing index every few hours.
pub const SPAN_MIN: Duration = Duration::from_secs(DAY_S);

/// How long a backing index is filled where nothing asks for less.
pub const ROLLOVER_AGE_MAX: Duration = Duration::from_secs(30 * DAY_S);

const DAY_S: u64 = 86_400;

/// How long documents are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Nothing younger is deleted.
    pub at_least: Duration,
    /// Everything older is deleted; without it, nothing is.
    pub at_most: Option<Duration>,
}

impl Default for Retention {
    fn default() -> Retention {
        Retention { at_least: AT_LEAST_DEFAULT, at_most: None }
    }
}

/// When a backing index is rolled over and deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeletionPlan {
    /// How long it is filled.
    pub rollover_max_age: Duration,
    /// How long after that it is deleted.
    pub delete_min_age: Duration,
}

impl Retention {
    /// When what is deleted is deleted; `None` where nothing is.
    pub fn deletion(self) -> Option<DeletionPlan> {
        let at_most = self.at_most?;
        let rollover_max_age = at_most.saturating_sub(self.at_least).min(ROLLOVER_AGE_MAX);
        Some(DeletionPlan { rollover_max_age, delete_min_age: at_most - rollover_max_age })
    }

    /// The name of what carries it out: `inferlog-keep-180d-400d`. Two pipelines that want the same share it.
    pub fn name(self) -> Option<String> {
        let at_most = self.at_most?;
        Some(format!("inferlog-keep-{}-{}", format_duration(self.at_least), format_duration(at_most)))
    }

    /// `data_retention` of a data stream's lifecycle, which also counts from the rollover, and the age that no document
    /// outlives. When it rolls over is the server's affair: by default, as [`stream_rollover_age`] says.
    pub fn of_stream_lifecycle(self) -> Option<(Duration, Duration)> {
        let at_most = self.at_most?;
        let kept = at_most.saturating_sub(ROLLOVER_AGE_MAX).max(self.at_least);
        Some((kept, kept + stream_rollover_age(kept)))
    }
}

/// After how long a data stream with this `data_retention` is rolled over: `cluster.lifecycle.default.rollover`, whose
/// `max_age=auto` is 1 hour up to a day, 1 day up to a fortnight, 7 days up to 90 days, 30 days above.
fn stream_rollover_age(kept: Duration) -> Duration {
    let days = kept.as_secs() / DAY_S;
    let age_s = match days {
        0..=1 => 3_600,
        2..=14 => DAY_S,
        15..=90 => 7 * DAY_S,
        _ => 30 * DAY_S,
    };
    Duration::from_secs(age_s)
}

/// A span of time as Elasticsearch reads it: one whole number and its unit.
pub fn elasticsearch_time(duration: Duration) -> String {
    let ms = duration.as_millis();
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    match units.iter().find(|(_, unit_ms)| ms > 0 && ms.is_multiple_of(*unit_ms)) {
        Some((unit, unit_ms)) => format!("{}{unit}", ms / unit_ms),
        None => format!("{ms}ms"),
    }
}

/// Puts the times into a lifecycle policy that has a hot phase with a rollover.
pub(super) fn bound(policy: &mut Value, plan: DeletionPlan) {
    let phases = &mut policy["policy"]["phases"];
    phases["hot"]["actions"]["rollover"]["max_age"] = json!(elasticsearch_time(plan.rollover_max_age));
    phases["delete"] = json!({ "min_age": elasticsearch_time(plan.delete_min_age), "actions": { "delete": {} } });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(days: u64) -> Duration {
        Duration::from_secs(days * DAY_S)
    }

    #[test]
    fn both_bounds_are_kept_whatever_they_are() {
        for (at_least, at_most, rollover, delete) in
            [(180, 400, 30, 370), (180, 210, 30, 180), (180, 181, 1, 180), (0, 7, 7, 0), (1, 3650, 30, 3620)]
        {
            let retention = Retention { at_least: days(at_least), at_most: Some(days(at_most)) };
            let plan = DeletionPlan { rollover_max_age: days(rollover), delete_min_age: days(delete) };
            assert_eq!(retention.deletion(), Some(plan), "{at_least} {at_most}");
            assert!(plan.delete_min_age >= retention.at_least);
            assert_eq!(plan.delete_min_age + plan.rollover_max_age, days(at_most));
        }
        assert_eq!(Retention::default().deletion(), None);
    }

    #[test]
    fn a_stream_lifecycle_keeps_the_lower_bound_and_says_the_upper_one() {
        for (at_least, at_most, kept, oldest) in [(180, 400, 370, 400), (180, 190, 180, 210), (1, 20, 1, 1)] {
            let retention = Retention { at_least: days(at_least), at_most: Some(days(at_most)) };
            let (found, age) = retention.of_stream_lifecycle().unwrap();
            assert_eq!((found, age.as_secs() / DAY_S), (days(kept), oldest), "{at_least} {at_most}");
        }
    }

    #[test]
    fn times_are_written_as_elasticsearch_reads_them() {
        for (seconds, expected) in [(86_400 * 400, "400d"), (129_600, "36h"), (90, "90s"), (0, "0ms")] {
            assert_eq!(elasticsearch_time(Duration::from_secs(seconds)), expected);
        }
        let retention = Retention { at_least: days(180), at_most: Some(Duration::from_secs(36 * 3_600 + 181 * DAY_S)) };
        assert_eq!(retention.name().unwrap(), "inferlog-keep-180d-182d12h");
    }
}
