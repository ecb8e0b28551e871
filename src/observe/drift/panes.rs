//! Panes: which records are measured together?
//!
//! A window is one pane or several that follow each other, and ends with each of them. A record is counted in the pane
//! that is open, once; the window's counts are the sum of its panes. So windows that overlap cost no more per record than
//! windows that follow each other.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::drift::WindowCounts;

/// What was counted between two moments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pane {
    /// Its beginning, in microseconds since 1970 (UTC).
    pub(crate) start_us: i64,
    /// Its end, or the time of its latest record while it is open.
    pub(crate) end_us: i64,
    pub(crate) counts: WindowCounts,
}

/// The panes of one model version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Panes {
    /// Those that are over and still part of the window, the oldest first.
    pub(super) closed: VecDeque<Pane>,
    pub(super) open: Pane,
}

/// A pane that is over, and the window that ends with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) pane: Pane,
    pub(super) window: Pane,
}

impl Panes {
    /// Nothing counted, in counts like these.
    pub(super) fn new(nothing: WindowCounts) -> Panes {
        Panes { closed: VecDeque::new(), open: Pane { counts: nothing, ..Pane::default() } }
    }

    /// Whether nothing is counted in the window as it is.
    pub(super) fn is_empty(&self) -> bool {
        self.open.counts.records == 0 && self.closed.iter().all(|pane| pane.counts.records == 0)
    }

    /// Takes note of the time of a record that is counted in the open pane.
    pub(super) fn note(&mut self, time_us: i64) {
        let is_first = self.open.counts.records == 0;
        self.open.start_us = if is_first { time_us } else { self.open.start_us.min(time_us) };
        self.open.end_us = if is_first { time_us } else { self.open.end_us.max(time_us) };
    }

    /// Ends the open pane at this moment, in a window of so many panes; it began at `start_us`. A record that was counted in
    /// it and is later than that moves the end.
    pub(super) fn end(&mut self, start_us: i64, end_us: i64, panes: usize, nothing: WindowCounts) -> Ended {
        let latest_us = if self.open.counts.records > 0 { self.open.end_us } else { i64::MIN };
        let mut pane = std::mem::replace(&mut self.open, Pane { counts: nothing, ..Pane::default() });
        (pane.start_us, pane.end_us) = (start_us, end_us.max(latest_us));
        let mut window = pane.clone();
        for earlier in &self.closed {
            window.start_us = window.start_us.min(earlier.start_us);
            // All are of one baseline.
            let _ = window.counts.merge(&earlier.counts);
        }
        if window.counts.records == 0 {
            self.closed.clear();
            return Ended { pane, window };
        }
        self.closed.push_back(pane.clone());
        while self.closed.len() >= panes {
            self.closed.pop_front();
        }
        Ended { pane, window }
    }
}
