//! The pace of a sink, by tables: a clock that the test moves, and answers of its choice.

use std::sync::Arc;

use super::*;
use crate::flow::answer::{Reason, Trouble};
use crate::flow::batch::Batch;
use crate::flow::in_flight::InFlight;
use crate::flow::wake::Wake;

const BYTES: usize = 1_000_000;

/// Pauses of one second, two, four… up to eight; the most requests at a time are 8.
const POLICY: Policy = Policy {
    in_flight_max: 8,
    retry_initial: Duration::from_secs(1),
    retry_max: Duration::from_secs(8),
    item_attempts_max: 3,
};

/// A pace and a clock.
struct Stand {
    pace: Pace,
    now: Instant,
}

impl Stand {
    fn new() -> Stand {
        Stand { pace: Pace::new(POLICY), now: Instant::now() }
    }

    /// As many requests as may go now; all are answered alike after so many milliseconds.
    fn round(&mut self, load: Load, took_ms: u64) -> usize {
        let sent = self.send_all();
        self.now += Duration::from_millis(took_ms);
        sent.iter().for_each(|sent| self.pace.answered(*sent, load, self.now, 1.0));
        sent.len()
    }

    fn send_all(&mut self) -> Vec<RequestStart> {
        let mut sent = Vec::new();
        while self.pace.may(self.now, 0) == May::Go {
            sent.push(self.pace.send(self.now, BYTES));
        }
        sent
    }

    /// Until when nobody may send, in milliseconds from now.
    fn pause_ms(&self) -> u128 {
        self.pace.paused_until.map_or(0, |until| until.saturating_duration_since(self.now).as_millis())
    }

    /// Lets the pause pass.
    fn after_the_pause(&mut self) {
        self.now = self.pace.paused_until.map_or(self.now, |until| until.max(self.now));
        self.now += Duration::from_millis(1);
    }
}

const BUSY: Load = Load::Busy(Duration::ZERO);

/// Each letter is a round of as many requests as may go: `t` takes, quickly; `s` takes, slowly; `b` is busy; `u` says
/// nothing. `expected` is how many went in each.
fn check(rounds: &str, expected: &[usize]) {
    let mut stand = Stand::new();
    let mut sent = Vec::new();
    for round in rounds.chars() {
        sent.push(match round {
            't' => stand.round(Load::Takes, 10),
            's' => stand.round(Load::Takes, 2_000),
            'b' => stand.round(BUSY, 10),
            'u' => stand.round(Load::Unknown, 10),
            other => panic!("no round `{other}`"),
        });
        stand.after_the_pause();
    }
    assert_eq!(sent, expected, "{rounds}");
}

#[test]
fn a_sink_is_asked_more_as_long_as_it_takes_and_less_when_it_does_not() {
    // At first doubled each round, up to `in_flight_max`.
    check("ttttt", &[1, 2, 4, 8, 8]);
    // Halved once by a round of busy answers, then one more each round, but for the number that was too many.
    check("ttttbttttttttt", &[1, 2, 4, 8, 8, 4, 5, 6, 7, 7, 7, 7, 7, 7]);
    check("ttttbbbbb", &[1, 2, 4, 8, 8, 4, 2, 1, 1]);
    // Where one was too many, two are not tried soon; all are, after that.
    let (ones, takes) = ([1; 1 + PROBE_ROUNDS], "t".repeat(PROBE_ROUNDS));
    check(&format!("b{takes}ttt"), &[&ones[..], &[2, 3, 4]].concat());
    check(&format!("ttttbbbb{takes}ttttttt"), &[&[1, 2, 4, 8, 8, 4, 2], &ones[..], &[2, 3, 4, 5, 6, 7, 8]].concat());
    // Slow answers take one away each round, and hold what is left.
    check("ttttsss", &[1, 2, 4, 8, 8, 7, 6]);
    check("ttttsssttt", &[1, 2, 4, 8, 8, 7, 6, 5, 5, 5]);
    check(&"s".repeat(12), &[1, 2, 4, 8, 8, 8, 8, 8, 8, 8, 8, 8]);
    // What says nothing of the load changes nothing.
    check("ttuuub", &[1, 2, 4, 4, 4, 4]);
}

#[test]
fn what_was_too_many_is_tried_again_seldom() {
    let mut stand = Stand::new();
    let takes_two = |stand: &mut Stand| {
        let busy = if stand.pace.at_a_time > 2 { BUSY } else { Load::Takes };
        stand.round(busy, 10);
        stand.after_the_pause();
        busy == BUSY
    };
    assert_eq!((0..4).filter(|_| takes_two(&mut stand)).count(), 1, "at the start it is found out soon");
    let refused = (0..360).filter(|_| takes_two(&mut stand)).count();
    assert_eq!(refused, 360 / (1 + PROBE_ROUNDS + 1), "then after one round of one, and sixteen of two");
}

#[test]
fn what_was_not_used_proves_nothing() {
    let mut stand = Stand::new();
    stand.round(Load::Takes, 10);
    for _ in 0..20 {
        let sent = stand.pace.send(stand.now, BYTES);
        stand.now += Duration::from_millis(10);
        stand.pace.answered(sent, Load::Takes, stand.now, 0.5);
    }
    assert_eq!(stand.pace.at_a_time, 2);
}

#[test]
fn the_pause_is_doubled_until_an_answer_is_good_and_is_everybodys() {
    let mut stand = Stand::new();
    for _ in 0..2 {
        stand.round(Load::Takes, 10);
    }
    for at_a_time in [4, 2] {
        assert_eq!((stand.round(BUSY, 10), stand.pause_ms()), (at_a_time, 0), "half as many may try");
        stand.after_the_pause();
    }
    for pause_ms in [1_000, 2_000, 4_000, 8_000, 8_000] {
        stand.round(BUSY, 10);
        assert_eq!(stand.pause_ms(), pause_ms);
        assert_eq!(stand.round(Load::Takes, 0), 0, "nobody may go");
        stand.after_the_pause();
    }
    assert_eq!(stand.round(Load::Takes, 10), 1, "one goes to see how it is");
    stand.round(BUSY, 10);
    assert_eq!(stand.pause_ms(), 1_000);
}

#[test]
fn requests_of_before_tell_of_the_same_moment() {
    let mut stand = Stand::new();
    for _ in 0..3 {
        stand.round(Load::Takes, 10);
    }
    let sent = stand.send_all();
    assert_eq!(sent.len(), 8);
    stand.now += Duration::from_millis(10);
    stand.pace.answered(sent[0], BUSY, stand.now, 1.0);
    assert_eq!((stand.pace.at_a_time, stand.pause_ms()), (4, 0));
    // Seven others are under way: as they are answered, nothing is halved again, and good news are old news.
    stand.now += Duration::from_millis(600);
    stand.pace.answered(sent[1], BUSY, stand.now, 1.0);
    assert_eq!((stand.pace.at_a_time, stand.pause_ms()), (4, 0));
    stand.pace.answered(sent[2], Load::Takes, stand.now, 1.0);
    assert_eq!((stand.pace.at_a_time, stand.pause_ms()), (4, 0));
    stand.after_the_pause();
    assert_eq!(stand.pace.may(stand.now, 0), May::GoNext, "five are under way still");
    sent[3..5].iter().for_each(|sent| stand.pace.answered(*sent, Load::Unknown, stand.now, 1.0));
    assert_eq!(stand.pace.may(stand.now, 0), May::Go);
}

#[test]
fn a_server_that_says_when_to_come_back_is_believed_up_to_a_limit() {
    for (asked_s, pause_ms) in [(0, 1_000), (1, 1_000), (3, 3_000), (30, 30_000), (86_400, 120_000)] {
        let mut stand = Stand::new();
        stand.round(Load::Busy(Duration::from_secs(asked_s)), 10);
        assert_eq!(stand.pause_ms(), pause_ms, "{asked_s} s");
    }
}

#[test]
fn slow_is_measured_against_requests_of_the_same_size_and_forgotten_in_time() {
    let mut pace = Pace::new(POLICY);
    let ms = Duration::from_millis;
    assert!(!pace.is_slow(BYTES, ms(100)), "nothing is known yet");
    assert!(!pace.is_slow(BYTES, ms(400)) && pace.is_slow(BYTES, ms(500)));
    assert!(!pace.is_slow(BYTES * 4, ms(500)), "a larger one");
    assert!(!pace.is_slow(1, ms(1)) && !pace.is_slow(1, ms(200)), "what is short is never slow");
    assert!(!pace.is_slow(0, ms(1)) && !pace.is_slow(usize::MAX, ms(1)), "any size has its place");
    let answers = (0..10_000).take_while(|_| pace.is_slow(BYTES, ms(1_000))).count();
    assert!((20..500).contains(&answers), "{answers} slow answers until that is how it is");
}

#[test]
fn answers_tell_of_the_load() {
    let trouble = Trouble { problem: String::new(), hint: None };
    let items = |letters: &str| {
        let outcome = |letter| match letter {
            'i' => Outcome::Indexed,
            'd' => Outcome::Duplicate,
            's' => Outcome::FailureStore,
            'x' => Outcome::Rejected(Reason::default()),
            'r' => Outcome::Retry(Reason::default()),
            'f' => Outcome::Failing(Reason::default()),
            _ => Outcome::TargetUnready(Reason::default()),
        };
        Answer::Items(letters.chars().map(outcome).collect())
    };
    let five = Duration::from_secs(5);
    for (answer, expected) in [
        (Answer::Wait(trouble.clone()), BUSY),
        (Answer::WaitAtLeast(five, trouble.clone()), Load::Busy(five)),
        (items("idsx"), Load::Takes),
        (items(""), Load::Takes),
        (items("iiri"), BUSY),
        (items("fr"), BUSY),
        (items("if"), Load::Unknown),
        (items("it"), Load::Unknown),
        (Answer::Halve(Reason::default()), Load::Unknown),
        (Answer::Closed(trouble), Load::Unknown),
    ] {
        assert_eq!(load(&answer), expected, "{answer:?}");
    }
}

#[test]
fn the_wait_doubles_up_to_its_limit_and_is_spread() {
    let policy = Policy::default();
    let whole: Vec<u128> = (0..9).map(|tries| policy.backoff(tries, 1.0).as_millis()).collect();
    assert_eq!(whole, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    for tries in [0, 1, 5, 6, 20, 31, 32, u32::MAX] {
        let (least, most) = (policy.backoff(tries, 0.0), policy.backoff(tries, 1.0));
        assert_eq!(least * 2, most, "{tries}");
        assert!(least >= policy.retry_initial / 2 && most <= policy.retry_max, "{tries}");
    }
}

/// What so many at a time leave to somebody who lets records go first.
#[test]
fn a_turn_is_lent_only_where_no_batch_of_records_wants_it() {
    let mut stand = Stand::new();
    assert_eq!([stand.round(Load::Takes, 10), stand.round(Load::Takes, 10)], [1, 2]);
    assert_eq!(stand.pace.at_a_time, 4);
    for (batches, expected) in [(0, May::Go), (3, May::Go), (4, May::GoNext), (9, May::GoNext)] {
        assert_eq!(stand.pace.may(stand.now, batches), expected, "{batches} batches");
    }
    stand.send_all();
    assert_eq!(stand.pace.may(stand.now, 0), May::GoNext, "none is left");
}

fn turns(policy: Policy) -> (Turns, Queue) {
    let queue = Queue::new(1 << 20, Wake::default());
    (Turns::new(policy, Gauge::default(), queue.clone()), queue)
}

const WITHIN: Duration = Duration::from_secs(20);

#[tokio::test]
async fn whoever_lets_records_go_first_gets_a_turn_when_they_are_settled_and_is_told_when_there_is_none() {
    let (turns, queue) = turns(POLICY);
    let mut in_flight = InFlight::new(1, Wake::default());
    queue.push(Arc::new(Batch::default()), in_flight.open(Vec::new(), 0));
    let soon = Instant::now() + Duration::from_millis(20);
    assert!(matches!(turns.next_spare(1, soon).await, Err(May::GoNext)), "a batch waits");
    let parcel = queue.pop().await.unwrap();
    let waiting = turns.next_spare(1, Instant::now() + WITHIN);
    tokio::pin!(waiting);
    assert!(tokio::time::timeout(Duration::from_millis(20), &mut waiting).await.is_err(), "it is not sent yet");
    drop(turns.next(1).await);
    assert!(tokio::time::timeout(Duration::from_millis(20), &mut waiting).await.is_err(), "it may be sent again");
    drop(parcel);
    turns.look_again();
    let turn = waiting.await.expect("it is settled");
    // What one hears of the sink counts for both, and a pause that is longer than the deadline is not waited for.
    turn.answered(Load::Busy(WITHIN * 3));
    assert!(tokio::time::timeout(Duration::from_millis(20), turns.next(1)).await.is_err());
    let asked = Instant::now();
    assert!(matches!(turns.next_spare(1, asked + WITHIN).await, Err(May::GoAt(_))));
    assert!(asked.elapsed() < WITHIN);
}

#[tokio::test]
async fn a_turn_that_is_given_up_is_free_again_and_those_who_wait_get_theirs() {
    let (turns, _) = turns(Policy { in_flight_max: 1, ..POLICY });
    let first = turns.next(1).await;
    let waiting = turns.next(1);
    tokio::pin!(waiting);
    assert!(tokio::time::timeout(Duration::from_millis(20), &mut waiting).await.is_err());
    drop(first);
    let second = tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it is free");
    second.answered(Load::Takes);
    drop(turns.next(1).await);
}
