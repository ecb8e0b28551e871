//! The policy of a sink: how many requests at a time, and how long between two tries?

use std::time::Duration;

/// How a sink is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The most requests at a time: 1 to 64.
    pub in_flight_max: usize,
    /// The wait before the second try, 1 ms to 1 min; doubled for each further one.
    pub retry_initial: Duration,
    /// The longest wait between two tries: `retry_initial` to 1 h.
    pub retry_max: Duration,
    /// Tries for an item on which the server fails while its neighbours succeed: 1 to 1,000,000.
    pub item_attempts_max: u32,
}

impl Default for Policy {
    fn default() -> Self {
        let (retry_initial, retry_max) = (Duration::from_millis(500), Duration::from_secs(30));
        Policy { in_flight_max: 2, retry_initial, retry_max, item_attempts_max: 50 }
    }
}

impl Policy {
    /// The wait after `tries` tries: doubled each time up to the limit, then between half and all of it by `random` (0..1).
    pub fn backoff(&self, tries: u32, random: f64) -> Duration {
        let doubled = self.retry_initial.saturating_mul(1_u32.checked_shl(tries.min(20)).unwrap_or(u32::MAX));
        doubled.min(self.retry_max).mul_f64(0.5 + random / 2.0)
    }
}
