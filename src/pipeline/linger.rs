//! Linger: does the batch that is being filled go now, or does it wait for more documents?
//!
//! As Nagle's algorithm does it with packets: what comes alone goes at once unless something is under way, and what comes
//! in numbers waits for its neighbours, since a request for each would cost the server more than the documents do.
//!
//! | lately | while nothing is under way | while something is |
//! | --- | --- | --- |
//! | little: fewer than [`MANY_DOCUMENTS`] in [`LATELY_LINGERS`] lingers | goes when all that is written is read | goes when it is answered, or the linger is over |
//! | much | goes when the linger is over | goes when the linger is over |
//!
//! A full batch goes in any case. So there are at most 16 requests in five lingers that would not be there without this,
//! 32 a second by default, and none where 32 or more documents come in a second: a stream of 1,000 a second has the ten
//! requests a second that lingering gives, however soon each is answered.
//!
//! A state machine without a clock of its own; what is under way is known to whoever asks.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// So many documents…
const MANY_DOCUMENTS: usize = 16;

/// …in so many lingers are many. Several, so that traffic with pauses of no pattern is judged by its average: at ten
/// documents a second one wait of a linger in thousands is for nothing.
const LATELY_LINGERS: u32 = 5;

/// When the batch that is being filled has to go.
#[derive(Debug)]
pub(super) struct Linger {
    /// The longest that a batch is filled.
    longest: Duration,
    /// When its first line was taken, if there is one.
    opened: Option<Instant>,
    /// When the last documents were taken, [`MANY_DOCUMENTS`] at most.
    recent: VecDeque<Instant>,
}

impl Linger {
    /// Nothing was taken yet.
    pub(super) fn new(longest: Duration) -> Linger {
        Linger { longest, opened: None, recent: VecDeque::with_capacity(MANY_DOCUMENTS) }
    }

    /// Lines were taken which became so many documents.
    pub(super) fn taken(&mut self, documents: u64, now: Instant) {
        self.opened.get_or_insert(now);
        for _ in 0..documents.min(MANY_DOCUMENTS as u64) {
            if self.recent.len() == MANY_DOCUMENTS {
                self.recent.pop_front();
            }
            self.recent.push_back(now);
        }
    }

    /// The batch is sealed; the next line opens another.
    pub(super) fn sealed(&mut self) {
        self.opened = None;
    }

    /// When the batch has to go at the latest, if there is one.
    pub(super) fn ends(&self) -> Option<Instant> {
        self.opened.map(|opened| opened + self.longest)
    }

    /// Whether it has waited as long as it may.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.ends().is_some_and(|end| end <= now)
    }

    /// Whether so much has come lately that more may be expected in time.
    pub(super) fn is_worth_it(&self, now: Instant) -> bool {
        self.recent.len() == MANY_DOCUMENTS
            && self.recent.front().is_some_and(|first| *first + self.longest * LATELY_LINGERS > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_millis(100);

    /// How many requests go, and how long the documents wait for theirs at most, when so many documents come at each of
    /// some moments, in milliseconds. Each request is answered after so many; the pipeline looks every millisecond.
    fn requests(documents: &[(u64, u64)], answered_after_ms: u64) -> (usize, u64) {
        let start = Instant::now();
        let mut linger = Linger::new(LONGEST);
        let (mut requests, mut longest_ms, mut answered_ms, mut opened_ms) = (0, 0, 0, None);
        for now_ms in 0..documents.last().map_or(0, |(ms, _)| ms + 200) {
            let now = start + Duration::from_millis(now_ms);
            for (_, count) in documents.iter().filter(|(ms, _)| *ms == now_ms) {
                linger.taken(*count, now);
                opened_ms.get_or_insert(now_ms);
            }
            let goes = linger.is_over(now) || (now_ms >= answered_ms && !linger.is_worth_it(now));
            if let Some(opened) = opened_ms.take_if(|_| goes) {
                linger.sealed();
                (requests, answered_ms) = (requests + 1, now_ms + answered_after_ms);
                longest_ms = longest_ms.max(now_ms - opened);
            }
        }
        (requests, longest_ms)
    }

    fn steady(every_ms: u64, for_ms: u64) -> Vec<(u64, u64)> {
        (0..for_ms).step_by(every_ms as usize).map(|ms| (ms, 1)).collect()
    }

    #[test]
    fn what_comes_alone_goes_at_once_and_what_comes_in_numbers_lingers() {
        for (documents, answered_after_ms, expected) in [
            (steady(100, 2_000), 5, (20, 0)),
            // Alone, but the one before is not answered yet: as long as that takes, and never longer than the linger.
            (vec![(0, 1), (10, 1)], 40, (2, 30)),
            (vec![(0, 1), (10, 1)], 10_000, (2, 100)),
            // What comes meanwhile goes together.
            (vec![(0, 1), (10, 1), (20, 1), (30, 3)], 40, (2, 30)),
            // As many as make a stream: from the sixteenth on they linger.
            (steady(5, 2_005), 1, (15 + 19, 100)),
            (vec![(0, 15)], 5, (1, 0)),
            (vec![(0, 16)], 5, (1, 100)),
            // A stream that has ended is forgotten after five lingers.
            (vec![(0, 2_000), (499, 1)], 5, (2, 100)),
            (vec![(0, 2_000), (500, 1)], 5, (2, 100)),
            (vec![(0, 16), (501, 1)], 5, (2, 100)),
        ] {
            assert_eq!(requests(&documents, answered_after_ms), expected, "{documents:?}");
        }
    }

    #[test]
    fn a_stream_has_no_more_requests_than_by_lingering_alone() {
        for every_ms in [1, 2, 5, 10, 20, 30] {
            let (of_first, _) = requests(&steady(every_ms, 1_000), 3);
            let (of_all, _) = requests(&steady(every_ms, 11_000), 3);
            // A batch is open for a linger, and the next one is opened by the next document.
            let lingering = 10_000 / (100 / every_ms * every_ms + every_ms) as usize;
            assert!(of_all - of_first <= lingering + 1, "every {every_ms} ms: {} requests", of_all - of_first);
        }
    }

    /// Arrivals without a pattern: the times between them are exponentially distributed.
    #[test]
    fn ten_documents_a_second_hardly_ever_wait() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut linger = Linger::new(LONGEST);
        let (mut now, mut waits) = (Instant::now(), 0);
        for _ in 0..20_000 {
            now += Duration::from_secs_f64(-(1.0 - random.f64()).ln() / 10.0);
            linger.taken(1, now);
            waits += u32::from(linger.is_worth_it(now));
        }
        assert!(waits <= 20, "{waits} of 20,000 wait");
    }

    #[test]
    fn without_a_linger_everything_goes_at_once() {
        let (mut linger, now) = (Linger::new(Duration::ZERO), Instant::now());
        assert!(!linger.is_over(now));
        linger.taken(5_000, now);
        assert!(linger.is_over(now) && !linger.is_worth_it(now));
        linger.sealed();
        assert_eq!((linger.ends(), linger.is_over(now)), (None, false));
    }
}
