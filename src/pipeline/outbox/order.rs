//! The order of a lane: which document goes next, and when?
//!
//! | a document is | what comes next |
//! | --- | --- |
//! | taken | the next one, at once |
//! | not answered for, or the sink is busy or not ready | the same one again, after a wait that is doubled each time |
//! | refused, as one that is too large or does not fit the mappings | the others; those that were refused are tried again one at a time, after a wait that is doubled each time |
//!
//! So one that is refused holds up no other, and a sink that refuses all is asked little. When it takes one that it had
//! refused, the others are tried again at once. Pure: the time and chance come in as arguments.

use std::collections::VecDeque;
use std::time::Instant;

use super::word::Answered;
use crate::sink::policy::Policy;

/// The documents that a sink lacks.
#[derive(Debug)]
pub(super) struct Order<D> {
    policy: Policy,
    /// Never sent, or to be sent as if they were not.
    fresh: VecDeque<D>,
    refused: VecDeque<D>,
    /// How often in a row the sink did not get to an answer.
    troubles: u32,
    /// How often in a row it refused what it had refused before.
    refusals: u32,
    /// Nothing goes before this.
    after_trouble: Option<Instant>,
    /// Nothing that was refused goes before this.
    after_refusal: Option<Instant>,
}

/// What goes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<D> {
    /// This one, now.
    Send(D),
    /// None before this moment, unless another one arrives.
    At(Instant),
    /// There is none.
    Nothing,
}

impl<D: Clone> Order<D> {
    pub(super) fn new(policy: Policy) -> Order<D> {
        let (fresh, refused) = (VecDeque::new(), VecDeque::new());
        Order { policy, fresh, refused, troubles: 0, refusals: 0, after_trouble: None, after_refusal: None }
    }

    pub(super) fn arrived(&mut self, document: D) {
        self.fresh.push_back(document);
    }

    /// True when no document waits that was refused.
    pub(super) fn refuses_none(&self) -> bool {
        self.refused.is_empty()
    }

    pub(super) fn next(&self, now: Instant) -> Next<D> {
        let (document, not_before) = match (self.fresh.front(), self.refused.front()) {
            (Some(fresh), _) => (fresh, self.after_trouble),
            (None, Some(refused)) => (refused, self.after_trouble.max(self.after_refusal)),
            (None, None) => return Next::Nothing,
        };
        match not_before {
            Some(moment) if moment > now => Next::At(moment),
            _ => Next::Send(document.clone()),
        }
    }

    /// The documents that were not refused and can go together with the first of them: at most so many.
    pub(super) fn group(&self, documents_max: usize, is_alike: impl Fn(&D, &D) -> bool) -> Vec<D> {
        let Some(first) = self.fresh.front() else { return Vec::new() };
        self.fresh.iter().take(documents_max).take_while(|document| is_alike(first, document)).cloned().collect()
    }

    /// Takes note of what became of the document that went last, or of the first of a group of which no word was said yet.
    pub(super) fn answered(&mut self, answered: Answered, now: Instant, random: f64) {
        if answered == Answered::Trouble {
            self.after_trouble = Some(now + self.policy.backoff(self.troubles, random));
            self.troubles += 1;
            return;
        }
        (self.troubles, self.after_trouble) = (0, None);
        let was_refused = self.fresh.is_empty();
        let Some(document) = self.fresh.pop_front().or_else(|| self.refused.pop_front()) else { return };
        match answered {
            Answered::Refused => {
                self.refused.push_back(document);
                if was_refused || self.after_refusal.is_none() {
                    self.after_refusal = Some(now + self.policy.backoff(self.refusals, random));
                    self.refusals += 1;
                }
            }
            Answered::Taken if was_refused => {
                self.fresh.append(&mut self.refused);
                (self.refusals, self.after_refusal) = (0, None);
            }
            Answered::Taken | Answered::Trouble => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const POLICY: Policy = Policy {
        in_flight_max: 1,
        retry_initial: Duration::from_secs(1),
        retry_max: Duration::from_secs(8),
        item_attempts_max: 1,
    };

    /// Two documents, `a` and `b`; each word is what becomes of the one that goes next, and `c` arrives where a word is
    /// `c`. Expected are the documents in the order in which they go, each with the second at which it does.
    fn check(words: &str, expected: &str) {
        let start = Instant::now();
        let mut now = start;
        let mut order = Order::new(POLICY);
        order.arrived('a');
        order.arrived('b');
        let mut sent = Vec::new();
        for word in words.split_whitespace() {
            if word == "c" {
                order.arrived('c');
                continue;
            }
            let document = loop {
                match order.next(now) {
                    Next::Send(document) => break document,
                    Next::At(moment) => now = moment,
                    Next::Nothing => panic!("{words}: nothing is left before `{word}`"),
                }
            };
            sent.push(format!("{document}{}", (now - start).as_secs()));
            let answered = match word {
                "taken" => Answered::Taken,
                "trouble" => Answered::Trouble,
                _ => Answered::Refused,
            };
            // All of each wait.
            order.answered(answered, now, 1.0);
        }
        assert_eq!(sent.join(" "), expected, "{words}");
    }

    #[test]
    fn what_is_refused_holds_up_nothing_and_trouble_holds_up_all() {
        check("taken taken", "a0 b0");
        check("trouble trouble taken taken", "a0 a1 a3 b3");
        check("trouble trouble trouble trouble trouble trouble taken", "a0 a1 a3 a7 a15 a23 a31");
        check("refused taken taken", "a0 b0 a1");
        check("refused refused refused refused refused taken taken", "a0 b0 a1 b3 a7 b15 a15");
        check("refused taken refused c taken refused", "a0 b0 a1 c1 a3");
        check("refused trouble refused trouble taken taken", "a0 b0 b1 a1 a2 b2");
        check("trouble c refused refused taken taken taken", "a0 a1 b1 c1 a2 b2");
    }

    #[test]
    fn nothing_goes_when_all_is_taken() {
        let mut order = Order::new(POLICY);
        order.arrived('a');
        order.answered(Answered::Taken, Instant::now(), 0.0);
        assert_eq!(order.next(Instant::now()), Next::Nothing);
    }
}
