//! The schedule: when is the next scan?

use std::time::{Duration, Instant};

/// Polling takes at most this part of the time where notifications do not come: 1/100.
const POLL_SHARE: u32 = 100;

/// The same where they do, so that polling only finds what they leave out: 1/1,000, which leaves the rest of what an idle
/// process may cost, 0.2 % of a core, to the rest of it.
const POLL_SHARE_NOTIFIED: u32 = 1_000;

/// Scanning because of notifications takes at most this part of the time: 1/10.
const RESCAN_SHARE: u32 = 10;

/// What finds out that a scan is worth it, beside its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cover {
    /// Nothing: polling alone.
    Polling,
    /// Notifications.
    Notifications,
    /// It is not decided on some file, which must not wait long for that.
    Undecided,
}

#[derive(Debug)]
pub(super) struct Schedule {
    pub(super) next: Instant,
    /// Notifications do not bring the next scan forward beyond this.
    pub(super) earliest: Instant,
    last_took: Duration,
}

impl Schedule {
    /// One that begins now.
    pub(super) fn new() -> Schedule {
        Schedule { next: Instant::now(), earliest: Instant::now(), last_took: Duration::ZERO }
    }

    /// Brings the next scan forward, as far as that is allowed.
    pub(super) fn hurry(&mut self) {
        self.next = self.next.min(self.earliest);
    }

    /// Plans the next scan after one that took so long.
    pub(super) fn plan(&mut self, took: Duration, poll_interval: Duration, cover: Cover) {
        // Of the last two the shorter: one that opened many files, or had to wait for a processor or a disk, would put off
        // the next for long, and what is created and rotated away meanwhile is never seen.
        let usual = took.min(std::mem::replace(&mut self.last_took, took));
        let share = match cover {
            Cover::Undecided => 1,
            Cover::Notifications => POLL_SHARE_NOTIFIED,
            Cover::Polling => POLL_SHARE,
        };
        self.earliest = Instant::now() + usual * RESCAN_SHARE;
        self.next = Instant::now() + poll_interval.max(usual * share);
    }
}
