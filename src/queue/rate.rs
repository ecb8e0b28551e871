//! The rate at which documents may be sent, where a pipeline file limits it.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota};

/// How fast documents may be sent; what is over it waits, nothing is dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimit {
    /// Documents in a second.
    pub records_per_second: Option<NonZeroU32>,
    /// Bytes of documents in a second: up to 1 Ti; more than 4 Gi are as many as that.
    pub bytes_per_second: Option<NonZeroU64>,
}

/// The limiters of a [`RateLimit`].
#[derive(Debug)]
pub struct Limiters {
    records: Option<Limiter>,
    bytes: Option<Limiter>,
}

#[derive(Debug)]
struct Limiter {
    limiter: DefaultDirectRateLimiter,
    burst: NonZeroU32,
}

/// What of a batch has not been allowed yet.
#[derive(Clone, Copy, Debug)]
pub struct Debt {
    /// Documents.
    pub records: u32,
    /// Their bytes.
    pub bytes: u32,
}

impl Limiters {
    /// Limiters that allow the burst of a second at once.
    pub fn new(limit: RateLimit) -> Limiters {
        let bytes = |bytes: NonZeroU64| NonZeroU32::try_from(bytes).unwrap_or(NonZeroU32::MAX);
        Limiters {
            records: limit.records_per_second.map(Limiter::new),
            bytes: limit.bytes_per_second.map(bytes).map(Limiter::new),
        }
    }

    /// Takes what is owed as far as the rates allow; the wait for the rest, if there is one.
    pub fn take(&self, owed: &mut Debt) -> Option<Duration> {
        let records = self.records.as_ref().and_then(|limiter| limiter.take(&mut owed.records));
        let bytes = self.bytes.as_ref().and_then(|limiter| limiter.take(&mut owed.bytes));
        records.max(bytes)
    }
}

impl Limiter {
    fn new(per_second: NonZeroU32) -> Limiter {
        Limiter { limiter: DefaultDirectRateLimiter::direct(Quota::per_second(per_second)), burst: per_second }
    }

    fn take(&self, owed: &mut u32) -> Option<Duration> {
        while let Some(part) = NonZeroU32::new((*owed).min(self.burst.get())) {
            match self.limiter.check_n(part) {
                Ok(Ok(())) => *owed -= part.get(),
                Ok(Err(not_until)) => return Some(not_until.wait_time_from(DefaultClock::default().now())),
                Err(_) => unreachable!("BUG: never more than the burst is asked for"),
            }
        }
        None
    }
}
