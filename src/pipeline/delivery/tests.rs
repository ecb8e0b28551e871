//! A scripted sink, and everything that delivery has to make of its answers.
//!
//! The waits are real, of a millisecond: a paused clock would need a feature of tokio that only tests use, and with it
//! every dependency would be compiled twice.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use super::*;
use crate::dead_letter;
use crate::dead_letter::WhenFull;
use crate::flow::ack::Mark;
use crate::flow::answer::{Answer, Outcome, Reason};
use crate::flow::batch::{ID_CHARACTERS, Id, Origin, SourceFile};
use crate::flow::in_flight::InFlight;
use crate::flow::tally::Delivered;
use crate::flow::wake::Wake;
use crate::pipeline::outbox::Outbox;
use crate::pipeline::settle::{FAILING_RETRY_MAX, Fate, Limit};
use crate::sink::policy::Policy;
use crate::sink::{Request, Sink, SinkFuture};
use crate::state::checkpoint::{Fingerprint, JsonText, Position};
use crate::telemetry::{SinkCounters, Telemetry};

/// One answer, given what is asked for; `None` is no answer at all.
type Reply = Box<dyn FnMut(&[u32]) -> Option<Answer> + Send>;

/// What a scripted sink was asked, and what it says.
#[derive(Default)]
struct Script {
    replies: VecDeque<Reply>,
    /// The positions of each request; `None` is a whole batch.
    asked: Vec<Option<Vec<u32>>>,
    under_way: usize,
    under_way_max: usize,
    ready: Vec<bool>,
    health: Option<Arc<Health>>,
    holds_badly: bool,
}

/// Answers by its script, then takes everything.
struct Scripted(Arc<Mutex<Script>>);

impl Sink for Scripted {
    fn deliver<'a>(&'a self, request: &'a Request) -> SinkFuture<'a, Answer> {
        Box::pin(async move {
            let answer = {
                let mut script = self.0.lock().unwrap();
                script.asked.push(request.selection.clone());
                script.under_way += 1;
                script.under_way_max = script.under_way_max.max(script.under_way);
                let ready = script.health.as_ref().is_none_or(|health| health.current().is_none());
                script.ready.push(ready);
                let positions: Vec<u32> = (0..request.len()).map(|place| request.position(place)).collect();
                let reply = script.replies.pop_front();
                drop(script);
                match reply {
                    Some(mut reply) => reply(&positions),
                    None => Some(Answer::Items(vec![Outcome::Indexed; positions.len()])),
                }
            };
            // Long enough for another one to begin.
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            let Some(answer) = answer else { return std::future::pending().await };
            self.0.lock().unwrap().under_way -= 1;
            answer
        })
    }

    fn probe(&self) -> SinkFuture<'_, Result<(), Trouble>> {
        Box::pin(async { Ok(()) })
    }

    fn hold(&self) -> SinkFuture<'_, Option<Trouble>> {
        let holds_badly = self.0.lock().unwrap().holds_badly;
        Box::pin(async move { if holds_badly { panic!("BUG: as wanted") } else { None } })
    }
}

const POLICY: Policy = Policy {
    in_flight_max: 2,
    retry_initial: Duration::from_micros(10),
    retry_max: Duration::from_micros(100),
    item_attempts_max: 3,
};

/// One delivery with all that is around it.
struct Stand {
    script: Arc<Mutex<Script>>,
    queue: Queue,
    in_flight: InFlight,
    dead_letter: Arc<DeadLetter>,
    counters: SinkCounters,
    health: Arc<Health>,
    spent: Receiver<Batch>,
    delivery: Option<Delivery>,
    /// What the acknowledgements said.
    delivered: Delivered,
}

fn stand(folder: &Path, policy: Policy, replies: Vec<Reply>) -> Stand {
    let counters = Telemetry::default().pipeline("p");
    let options = dead_letter::Options { raw: dead_letter::Raw::Kept, bytes_max: 1 << 20, when_full: WhenFull::Pause };
    let dead_letter = Arc::new(DeadLetter::open(folder, options, counters.clone()).unwrap());
    let health = Arc::new(Health::new("p", "scripted", counters.sink("scripted")));
    let script = Script { replies: replies.into(), health: Some(Arc::clone(&health)), ..Script::default() };
    let script = Arc::new(Mutex::new(script));
    let queue = Queue::new(1 << 20, Wake::default());
    let (sender, spent) = sync_channel(4);
    let sink: Arc<dyn Sink> = Arc::new(Scripted(Arc::clone(&script)));
    let sink = NamedSink { name: "scripted".into(), sink, policy };
    let (letter, its_health) = (Arc::clone(&dead_letter), Arc::clone(&health));
    let lane = Outbox::open(&JsonText::default(), &["scripted".into()], &Wake::default()).lanes.remove(0);
    let sink_counters = counters.sink("scripted");
    let delivery = Some(Delivery::new(sink, queue.clone(), letter, its_health, &counters, sender, lane));
    let in_flight = InFlight::new(1, Wake::default());
    let delivered = Delivered::default();
    Stand { script, queue, in_flight, dead_letter, counters: sink_counters, health, spent, delivery, delivered }
}

impl Stand {
    /// Queues a batch of so many documents, the `n`th of its delivery.
    fn push(&mut self, n: u8, documents: u8) {
        let mut batch = Batch::default();
        let file = SourceFile { path: "/logs/a".to_owned(), inode: 7, generation: 0, ..SourceFile::default() };
        let file = batch.file(&Arc::new(file));
        for document in 0..documents {
            let mut id = [b'A'; ID_CHARACTERS];
            (id[0], id[1]) = (b'A' + n, b'A' + document);
            let origin = Origin { file, offset_bytes: document.into(), length_bytes: 1, ordinal: 0 };
            batch.push(Id(id), 0, origin, |body| body.extend_from_slice(format!("{{\"n\":{document}}}").as_bytes()));
        }
        let mark = Mark::of_line(0, Position { offset_bytes: n.into(), tail: Fingerprint::default() });
        let ack = self.in_flight.open(vec![mark], 1);
        self.queue.push(Arc::new(batch), ack);
    }

    /// Delivers everything, for 20 seconds at most; `None` is no end by then.
    async fn run(&mut self) -> Option<Result<(), SinkGone>> {
        self.queue.close();
        self.run_open(Duration::from_secs(20)).await
    }

    async fn run_open(&mut self, at_most: Duration) -> Option<Result<(), SinkGone>> {
        tokio::time::timeout(at_most, self.delivery.take().unwrap().run()).await.ok()
    }

    fn acknowledged(&mut self) -> Vec<u64> {
        let mut offsets = Vec::new();
        let delivered = &mut self.delivered;
        self.in_flight.collect(|settled| {
            offsets.extend(settled.marks.iter().map(|mark| mark.offset_bytes));
            settled.delivered.iter().for_each(|(_, of_batch)| delivered.join(of_batch));
        });
        offsets
    }

    /// What the acknowledgements say, in the order of [`Stand::counts`].
    fn told(&self) -> [u64; 4] {
        let Delivered { indexed, duplicates, dead_lettered, .. } = &self.delivered;
        let failure_store = dead_lettered.iter().find(|(name, _)| *name == "sink/failure_store");
        [*indexed, *duplicates, failure_store.map_or(0, |(_, count)| count), dead_lettered.total()]
    }

    fn counts(&self) -> [u64; 4] {
        let SinkCounters { indexed, duplicates, failure_store, .. } = &self.counters;
        [indexed.get(), duplicates.get(), failure_store.get(), self.dead_letter.written()]
    }
}

fn reason(kind: &str) -> Reason {
    Reason { kind: kind.to_owned(), detail: "d".to_owned() }
}

fn trouble() -> Trouble {
    Trouble { problem: "down".to_owned(), hint: None }
}

fn outcome(letter: char) -> Outcome {
    match letter {
        'i' => Outcome::Indexed,
        'd' => Outcome::Duplicate,
        'e' => Outcome::Erased,
        's' => Outcome::FailureStore,
        'r' => Outcome::Retry(reason("busy")),
        'f' => Outcome::Failing(reason("boom")),
        't' => Outcome::TargetUnready(reason("index_closed")),
        'x' => Outcome::Rejected(reason("bad")),
        other => panic!("no outcome `{other}`"),
    }
}

/// One word an answer: a letter an item, or `wait`, `halve`, `close`, `short`, `never`.
fn replies(script: &str) -> Vec<Reply> {
    let reply = |word: &str| -> Reply {
        let word = word.to_owned();
        Box::new(move |asked| {
            Some(match word.as_str() {
                "wait" => Answer::Wait(trouble()),
                "halve" => Answer::Halve(reason("too_large")),
                "close" => Answer::Closed(trouble()),
                "short" => Answer::Items(vec![Outcome::Indexed; asked.len() - 1]),
                "never" => return None,
                "panic" => panic!("BUG: as wanted"),
                letters => Answer::Items(letters.chars().map(outcome).collect()),
            })
        })
    };
    script.split_whitespace().map(reply).collect()
}

/// Delivers one batch by a script. `asked` are the requests (`*` is the whole batch); `counts` are documents indexed, known
/// already, in the failure store, and dead.
async fn check(documents: u8, script: &str, asked: &str, counts: [u64; 4]) {
    let folder = tempfile::tempdir().unwrap();
    let mut stand = stand(folder.path(), POLICY, replies(script));
    stand.push(0, documents);
    assert!(stand.run().await.unwrap().is_ok(), "{script}");
    let positions = |selection: &Option<Vec<u32>>| match selection {
        Some(positions) => positions.iter().map(u32::to_string).collect(),
        None => "*".to_owned(),
    };
    let requests: Vec<String> = stand.script.lock().unwrap().asked.iter().map(positions).collect();
    assert_eq!(requests.join(" "), asked, "{script}");
    assert_eq!(stand.counts(), counts, "{script}");
    assert_eq!(stand.acknowledged(), [0], "{script}");
    assert_eq!(stand.told(), counts, "{script}: the acknowledgement says what the counters say");
    assert_eq!(stand.health.current(), None, "{script}");
    assert_eq!(stand.queue.bytes(), 0, "{script}: the queue's room is given back");
    let spent = Batch::reuse(stand.spent.try_recv().unwrap(), |_| {});
    assert!(spent.is_empty() && stand.spent.try_recv().is_err(), "{script}: the buffer comes back once");
}

#[tokio::test]
async fn every_answer_gets_what_it_asks_for() {
    check(3, "iii", "*", [3, 0, 0, 0]).await;
    check(3, "did", "*", [1, 2, 0, 0]).await;
    check(4, "irid r i", "* 1 1", [3, 1, 0, 0]).await;
    check(5, "rirri iri i", "* 023 2", [5, 0, 0, 0]).await;
    check(3, "ixi", "*", [2, 0, 0, 1]).await;
    check(3, "isi", "*", [2, 0, 1, 1]).await;
    check(2, "ti t i", "* 0 0", [2, 0, 0, 0]).await;
    check(2, "wait wait id", "* * *", [1, 1, 0, 0]).await;
    check(3, "short iii", "* *", [3, 0, 0, 0]).await;
    check(3, "iei", "*", [2, 0, 0, 0]).await;
}

#[tokio::test]
async fn an_item_that_fails_while_others_succeed_is_given_up_and_one_that_fails_with_all_is_not() {
    check(3, "ifi f i", "* 1 1", [3, 0, 0, 0]).await;
    check(3, "ifi f f", "* 1 1", [2, 0, 0, 1]).await;
    check(2, "xf f f", "* 1 1", [0, 0, 0, 2]).await;
    check(2, "ff ff ff ff ff ff id", "* 01 01 01 01 01 01", [1, 1, 0, 0]).await;
    check(2, "fr fr ff rf fi f f f", "* 01 01 01 01 0 0", [1, 0, 0, 1]).await;
}

#[tokio::test]
async fn a_refused_request_is_halved_down_to_its_culprit() {
    check(4, "halve ii halve halve i", "* 01 23 2 3", [3, 0, 0, 1]).await;
    check(1, "halve", "*", [0, 0, 0, 1]).await;
    check(2, "halve r i i", "* 0 0 1", [2, 0, 0, 0]).await;
    check(3, "rir halve wait halve i", "* 02 0 0 2", [2, 0, 0, 1]).await;
}

/// A document that is alone in its batch, as where there is little traffic, has its neighbours in other batches.
#[tokio::test]
async fn a_lonely_item_that_fails_does_not_hold_up_its_pipeline_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let fails_on_first = |asked: &[u32]| Some(Answer::Items(vec![Outcome::Failing(reason("boom")); asked.len()]));
    let mut stand = stand(folder.path(), Policy { in_flight_max: 1, ..POLICY }, Vec::new());
    stand.script.lock().unwrap().replies.extend(replies("i"));
    stand.script.lock().unwrap().replies.extend((0..2).map(|_| Box::new(fails_on_first) as Reply));
    stand.push(0, 1);
    stand.push(1, 1);
    assert!(stand.run().await.unwrap().is_ok());
    assert_eq!(stand.counts(), [2, 0, 0, 0], "in order, nobody succeeds beside it");

    let folder = tempfile::tempdir().unwrap();
    let mut stand = self::stand(folder.path(), POLICY, Vec::new());
    // Both lanes: the first batch fails always, those of the other lane succeed.
    let fails = |asked: &[u32]| match asked.len() {
        1 => Some(Answer::Items(vec![Outcome::Failing(reason("boom"))])),
        documents => Some(Answer::Items(vec![Outcome::Indexed; documents])),
    };
    stand.script.lock().unwrap().replies.extend((0..200).map(|_| Box::new(fails) as Reply));
    stand.push(0, 1);
    (1..20).for_each(|n| stand.push(n, 2));
    assert!(stand.run().await.unwrap().is_ok());
    assert_eq!(stand.counts(), [38, 0, 0, 1]);
}

/// Whether the sink counted as ready when each request came.
async fn check_ready(documents: u8, script: &str, expected: &[bool]) {
    let folder = tempfile::tempdir().unwrap();
    let mut stand = stand(folder.path(), POLICY, replies(script));
    stand.push(0, documents);
    assert!(stand.run().await.unwrap().is_ok());
    assert_eq!(stand.script.lock().unwrap().ready, expected, "{script}");
    assert_eq!(stand.counters.ready.get(), 1, "{script}");
}

#[tokio::test]
async fn a_sink_in_trouble_is_not_ready_until_it_answers_again() {
    check_ready(2, "wait wait ii", &[true, false, false]).await;
    check_ready(2, "ti i", &[true, false]).await;
    check_ready(2, "ff rr ri i", &[true, false, false, true]).await;
    check_ready(2, "if i", &[true, true]).await;
    check_ready(2, "short ii", &[true, false]).await;
    check_ready(2, "halve wait halve i", &[true, true, false, true]).await;
}

#[tokio::test]
async fn a_closed_sink_ends_the_run_at_once_and_acknowledges_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut stand = stand(folder.path(), POLICY, replies("close never"));
    stand.push(0, 2);
    stand.push(1, 2);
    // The queue stays open, and the other request is never answered.
    let ended = stand.run_open(Duration::from_secs(20)).await.expect("it must not wait for more");
    assert!(matches!(ended, Err(SinkGone::Closed(said)) if said == trouble()));
    assert_eq!(stand.acknowledged(), Vec::<u64>::new());
    assert_eq!(stand.counts(), [0; 4]);
}

#[tokio::test]
async fn a_panic_on_the_way_or_beside_it_ends_the_run_at_once_and_acknowledges_nothing() {
    for holds_badly in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut stand = stand(folder.path(), POLICY, replies(if holds_badly { "never" } else { "panic never" }));
        stand.script.lock().unwrap().holds_badly = holds_badly;
        stand.push(0, 2);
        stand.push(1, 2);
        let ended = stand.run_open(Duration::from_secs(20)).await.expect("it must not wait for more");
        assert!(matches!(ended, Err(SinkGone::Panicked(words)) if words == "as wanted"));
        assert_eq!(stand.acknowledged(), Vec::<u64>::new());
    }
}

#[tokio::test]
async fn so_many_requests_at_a_time_and_no_more() {
    for in_flight_max in 1..=3 {
        let folder = tempfile::tempdir().unwrap();
        let mut stand = stand(folder.path(), Policy { in_flight_max, ..POLICY }, Vec::new());
        (0..60).for_each(|n| stand.push(n, 2));
        assert!(stand.run().await.unwrap().is_ok());
        assert_eq!(stand.script.lock().unwrap().under_way_max, in_flight_max);
        assert_eq!(stand.acknowledged(), (0..60).collect::<Vec<u64>>());
        assert_eq!(stand.counts(), [120, 0, 0, 0]);
    }
}

#[tokio::test]
async fn nothing_is_acknowledged_before_the_dead_letter_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut stand = stand(folder.path(), POLICY, replies("ix"));
    stand.push(0, 2);
    assert!(stand.run().await.unwrap().is_ok());
    assert!(stand.dead_letter.is_synced());
    assert_eq!(stand.acknowledged(), [0]);
    let text =
        fs_err::read_dir(folder.path()).unwrap().map(|file| fs_err::read_to_string(file.unwrap().path()).unwrap());
    let entry: serde_json::Value = serde_json::from_str(&text.collect::<String>()).unwrap();
    assert_eq!((&entry["reason"], &entry["detail"], &entry["document"]["n"]), (&"bad".into(), &"d".into(), &1.into()));
    assert_eq!((&entry["stage"], &entry["origin"]["offset_bytes"]), (&"sink".into(), &1.into()));

    // A folder that is gone takes no entries.
    let gone = tempfile::tempdir().unwrap();
    let mut stand = self::stand(gone.path(), POLICY, replies("ix"));
    fs_err::remove_dir_all(gone.path()).unwrap();
    stand.push(0, 2);
    assert!(stand.run_open(Duration::from_millis(50)).await.is_none());
    assert_eq!(stand.acknowledged(), Vec::<u64>::new());
    assert!(stand.health.current().unwrap().problem.contains("cannot write to the dead letter"));
}

/// What a history's sink has said for good, by item.
type Said = Arc<Mutex<std::collections::BTreeMap<u32, char>>>;

/// A sink that answers at random, and insists that nobody asks again for what it has settled.
fn random_reply(random: &mut fastrand::Rng, said: &Said) -> Reply {
    let (mut random, said) = (random.fork(), Arc::clone(said));
    Box::new(move |asked| {
        let mut said = said.lock().unwrap();
        assert!(asked.iter().all(|position| !said.contains_key(position)), "asked again for what is settled");
        assert!(asked.is_sorted() && !asked.is_empty());
        match random.u8(0..20) {
            0 | 1 => return Some(Answer::Wait(trouble())),
            2 => return Some(Answer::Items(vec![Outcome::Indexed; asked.len() - 1])),
            3..=5 => {
                if let [alone] = asked {
                    said.insert(*alone, 'x');
                }
                return Some(Answer::Halve(reason("too_large")));
            }
            _ => {}
        }
        let letters: Vec<char> =
            asked.iter().filter_map(|_| random.choice(*b"iiiiddsrrfftx")).map(char::from).collect();
        for (position, letter) in asked.iter().zip(&letters).filter(|(_, letter)| "idsx".contains(**letter)) {
            said.insert(*position, *letter);
        }
        Some(Answer::Items(letters.into_iter().map(outcome).collect()))
    })
}

/// One batch, answered at random: every item ends as one thing, the counters say the same, and the Ack comes once.
async fn check_history(seed: u64, folder: PathBuf) {
    let mut random = fastrand::Rng::with_seed(seed);
    let documents = random.u8(1..12);
    let said = Said::default();
    let script = (0..random.usize(0..30)).map(|_| random_reply(&mut random, &said)).collect();
    let mut stand = stand(&folder, POLICY, script);
    stand.push(0, documents);
    assert!(stand.run().await.unwrap().is_ok(), "seed {seed}");
    let said = said.lock().unwrap();
    let told = |letter| said.values().filter(|known| **known == letter).count() as u64;
    let [indexed, duplicates, failure_store, dead] = stand.counts();
    assert_eq!(indexed + duplicates + dead, u64::from(documents), "seed {seed}: each is one of the three");
    assert_eq!((duplicates, failure_store), (told('d'), told('s')), "seed {seed}");
    assert!(indexed >= told('i') && dead >= told('x') + told('s'), "seed {seed}");
    assert_eq!(stand.acknowledged(), [0], "seed {seed}");
    assert_eq!(stand.told(), stand.counts(), "seed {seed}");
    assert!(stand.in_flight.is_empty() && stand.queue.bytes() == 0, "seed {seed}");
}

#[tokio::test]
async fn whatever_is_answered_every_item_ends_as_one_thing() {
    // In memory where there is such a folder: thousands of dead letters are made durable.
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let histories = (0..2_000).map(|seed| check_history(seed, folder.path().join(seed.to_string())));
    let ended = histories.collect::<JoinSet<()>>().join_all().await;
    assert_eq!(ended.len(), 2_000);
}

/// `--once` gives up after five minutes without progress.
#[test]
fn all_tries_for_an_item_that_fails_alone_are_over_before_a_single_run_loses_patience() {
    let policy = Policy::default();
    let longest = |tries| policy.backoff(tries, 1.0).min(FAILING_RETRY_MAX);
    let all: Duration = (0..policy.item_attempts_max).map(longest).sum();
    assert!(all < Duration::from_secs(4 * 60), "{all:?}");
    assert!(all > Duration::from_secs(60), "{all:?}: a server that is mended within a minute gets it still");
}

/// What somebody makes of one batch who waits for it only as long as something moves: what became of each document, and
/// why it was given up.
async fn settle_with_limit(stand: &Stand, documents: u8) -> (Vec<Fate>, Option<String>) {
    let mut batch = Batch::default();
    for document in 0..documents {
        batch.push(Id([b'A' + document; ID_CHARACTERS]), 0, None, |body| body.extend_from_slice(b"{}"));
    }
    let (_wanting, wanted) = tokio::sync::watch::channel(());
    let mut patience = Patience::Limited(Limit { idle_max: Duration::from_millis(100), item_attempts_max: 2, wanted });
    let mut fates = vec![Fate::Open; documents.into()];
    let sink = &stand.delivery.as_ref().unwrap().sink;
    let settled = sink.settle(&Arc::new(batch), &mut patience, Burial::Remains(&mut fates)).await;
    (fates, settled.err().map(|GivenUp(trouble)| trouble.unwrap().problem))
}

#[tokio::test]
async fn limited_patience_gives_up_what_does_not_move_and_makes_no_entries() {
    let (rejected, open) = (|kind| Fate::Rejected(reason(kind)), Fate::Open);
    let unready = "the target does not take documents now (index_closed): d";
    let always = |word: &str| [word; 10_000].join(" ");
    for (script, fates, problem) in [
        ("idxsr e".to_owned(), "idxsd", None),
        ("halve halve halve i iii".to_owned(), "Hiiii", None),
        ("iffff ffff".to_owned(), "ibbbb", None),
        (format!("itttt {}", always("tttt")), "i....", Some(unready)),
        (always("wait"), ".....", Some("down")),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let stand = stand(folder.path(), POLICY, replies(&script));
        let (found, why) = settle_with_limit(&stand, 5).await;
        assert_eq!(why.as_deref(), problem, "{fates}");
        let matches = |(fate, letter): (&Fate, char)| match letter {
            'i' => *fate == Fate::Indexed,
            'd' => *fate == Fate::Duplicate,
            'x' => *fate == rejected("bad"),
            's' => *fate == Fate::Rejected(Reason::failure_store()),
            'H' => *fate == rejected("too_large"),
            'b' => *fate == rejected("boom"),
            _ => *fate == open,
        };
        assert!(found.len() == fates.len() && found.iter().zip(fates.chars()).all(matches), "{fates}: {found:?}");
        assert_eq!((stand.dead_letter.written(), stand.health.current()), (0, None), "{fates}");
    }
}

#[tokio::test]
async fn limited_patience_waits_for_records_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut stand = stand(folder.path(), POLICY, Vec::new());
    stand.push(0, 1);
    let (fates, why) = settle_with_limit(&stand, 1).await;
    assert_eq!(fates, [Fate::Open]);
    assert_eq!(why.unwrap(), "the records of the running process need all that the sink `scripted` takes");
    assert!(stand.script.lock().unwrap().asked.is_empty());
}

/// A pipe in place of the day's file: whoever opens it waits for a reader, as for a disk that hangs.
fn hang(folder: &Path) -> Vec<PathBuf> {
    let now = chrono::Utc::now();
    let days = [now, now + chrono::TimeDelta::days(1)];
    let paths = days.map(|day| folder.join(format!("{}.ndjson", day.format("%Y-%m-%d"))));
    for path in &paths {
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    }
    paths.to_vec()
}

#[tokio::test]
async fn a_dead_letter_that_hangs_does_not_hold_up_what_else_the_thread_serves() {
    use std::io::BufRead as _;
    let folder = tempfile::tempdir().unwrap();
    let mut stand = stand(folder.path(), POLICY, replies("xi"));
    let paths = hang(folder.path());
    stand.push(0, 2);
    let served = Arc::new(AtomicBool::new(false));
    let is_served = Arc::clone(&served);
    let reader = std::thread::spawn(move || {
        // Others are served while nobody reads; if not, the pipe is opened all the same, so that this ends.
        let began = Instant::now();
        while !is_served.load(Ordering::Acquire) && began.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let was_served = is_served.load(Ordering::Acquire);
        let open = |path: &PathBuf| {
            std::thread::spawn({
                let path = path.clone();
                move || {
                    let mut line = String::new();
                    std::io::BufReader::new(std::fs::File::open(path).unwrap()).read_line(&mut line).unwrap();
                    line
                }
            })
        };
        let mut readers: Vec<_> = paths.iter().map(open).collect();
        loop {
            if let Some(done) = readers.iter().position(std::thread::JoinHandle::is_finished) {
                return (was_served, readers.swap_remove(done).join().unwrap());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let delivering = tokio::spawn(stand.delivery.take().unwrap().run());
    let asked = Arc::clone(&stand.script);
    while asked.lock().unwrap().asked.is_empty() {
        tokio::task::yield_now().await;
    }
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    served.store(true, Ordering::Release);
    while !reader.is_finished() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (was_served, entry) = reader.join().unwrap();
    assert!(was_served, "the thread was held up");
    assert!(entry.contains("\"stage\":\"sink\""), "{entry}");
    // Nothing can be made durable in a pipe: the batch is not acknowledged.
    assert!(stand.acknowledged().is_empty());
    delivering.abort();
}
