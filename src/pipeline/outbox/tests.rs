//! Documents that are put, saved, sent and taken, by sinks that do as they are told.

use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::flow::answer::{Answer, Outcome, Reason, Trouble};
use crate::flow::batch::ID_CHARACTERS;
use crate::sink::policy::Policy;
use crate::sink::{Request, Sink, SinkFuture};

const POLICY: Policy = Policy {
    in_flight_max: 1,
    retry_initial: Duration::from_millis(1),
    retry_max: Duration::from_millis(1),
    item_attempts_max: 1,
};

/// What a sink makes of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Takes,
    Hangs,
    /// 503.
    Waits,
    /// 413 for more than so many bytes.
    TakesUpTo(usize),
    /// 403.
    Forbids,
}

#[derive(Clone)]
struct Moody {
    mood: Arc<Mutex<Mood>>,
    taken: Arc<Mutex<Vec<String>>>,
    /// How often it was asked.
    asked: Arc<Mutex<usize>>,
}

impl Moody {
    fn new(mood: Mood) -> Moody {
        Moody { mood: Arc::new(Mutex::new(mood)), taken: Arc::default(), asked: Arc::default() }
    }

    fn taken(&self) -> Vec<String> {
        self.taken.lock().unwrap().clone()
    }
}

impl Sink for Moody {
    fn deliver<'a>(&'a self, request: &'a Request) -> SinkFuture<'a, Answer> {
        Box::pin(async move {
            let mood = *self.mood.lock().unwrap();
            *self.asked.lock().unwrap() += 1;
            let reason = || Reason { kind: "why".to_owned(), detail: String::new() };
            match mood {
                Mood::Hangs => std::future::pending().await,
                Mood::Waits => Answer::Wait(Trouble { problem: "503".to_owned(), hint: None }),
                Mood::Forbids => Answer::Items(vec![Outcome::TargetUnready(reason())]),
                Mood::TakesUpTo(bytes) if request.bytes() > bytes => Answer::Halve(reason()),
                Mood::Takes | Mood::TakesUpTo(_) => {
                    let document = |item| String::from_utf8_lossy(request.batch.document(item)).into_owned();
                    self.taken.lock().unwrap().extend(request.items().map(document));
                    Answer::Items(vec![Outcome::Indexed; request.len()])
                }
            }
        })
    }

    fn probe(&self) -> SinkFuture<'_, Result<(), Trouble>> {
        Box::pin(async { Ok(()) })
    }
}

fn document(n: u8, text: &str) -> OwnDocument {
    let text = RawValue::from_string(format!("\"{n}{text}\"")).unwrap();
    OwnDocument { stream: Stream::Accounts, id: Id([b'a' + n; ID_CHARACTERS]), timestamp_us: 5, text }
}

/// An outbox with a sink for each mood, and their lanes under way.
fn open(kept: &JsonText, moods: &[Mood]) -> (Outbox, Vec<Moody>) {
    let names: Vec<Arc<str>> = (0..moods.len()).map(|n| format!("sink-{n}").into()).collect();
    let OutboxAtStart { outbox, lanes, unreadable } = Outbox::open(kept, &names, &Wake::default());
    assert_eq!(unreadable, 0);
    let sinks: Vec<Moody> = moods.iter().map(|mood| Moody::new(*mood)).collect();
    for (lane, sink) in lanes.into_iter().zip(&sinks) {
        tokio::spawn(lane.with_timeout(Duration::from_millis(20)).run(Arc::new(sink.clone()), POLICY));
    }
    (outbox, sinks)
}

/// Lets the lanes get on until something holds.
async fn until(what: &str, outbox: &mut Outbox, mut holds: impl FnMut(&Outbox) -> bool) {
    let wait = async {
        loop {
            outbox.collect();
            if holds(outbox) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), wait).await.is_ok(), "waited for {what}");
}

fn kept(outbox: &Outbox) -> JsonText {
    serde_json::from_str(&serde_json::to_string(outbox).unwrap()).unwrap()
}

#[tokio::test]
async fn a_document_leaves_when_it_is_saved_and_is_forgotten_when_every_sink_holds_it() {
    let (mut outbox, sinks) = open(&JsonText::default(), &[Mood::Takes, Mood::Hangs]);
    outbox.put(document(0, "a"));
    outbox.put(document(1, "b"));
    assert!(outbox.is_urgent() && outbox.is_dirty());
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(sinks[0].taken(), [""; 0], "the checkpoint does not hold it");
    outbox.saved();
    assert!(!outbox.is_urgent());
    until("the first sink", &mut outbox, |outbox| outbox.lacking() == ["sink-1"]).await;
    assert_eq!(sinks[0].taken(), ["\"0a\"", "\"1b\""]);
    assert_eq!((outbox.len(), outbox.bytes()), (2, 8), "the other one hangs");
    assert!(!outbox.is_refused());
    // A crash, and another start: only the sink that lacks it is sent it.
    let (mut outbox, sinks) = open(&kept(&outbox), &[Mood::Takes, Mood::Takes]);
    assert!(!outbox.is_urgent(), "it is on disk");
    until("the second sink", &mut outbox, Outbox::is_empty).await;
    assert_eq!((sinks[0].taken().len(), sinks[1].taken()), (0, vec!["\"0a\"".to_owned(), "\"1b\"".to_owned()]));
    assert!(outbox.is_dirty() && outbox.bytes() == 0);
    assert_eq!(serde_json::to_string(&outbox).unwrap(), "[]");
}

#[tokio::test]
async fn however_a_sink_fails_all_arrives_once_when_it_heals() {
    for mood in [Mood::Hangs, Mood::Waits, Mood::TakesUpTo(60), Mood::Forbids] {
        let (mut outbox, sinks) = open(&JsonText::default(), &[mood]);
        (0..5).for_each(|n| outbox.put(document(n, if n == 3 { "s" } else { "a longer text than is taken" })));
        outbox.saved();
        // As often as it takes for every one of them to have been tried where others are.
        until("some tries", &mut outbox, |_| *sinks[0].asked.lock().unwrap() > 8).await;
        let taken = if matches!(mood, Mood::TakesUpTo(_)) { vec!["\"3s\"".to_owned()] } else { Vec::new() };
        assert_eq!(sinks[0].taken(), taken, "{mood:?}");
        assert_eq!(outbox.is_refused(), matches!(mood, Mood::TakesUpTo(_)), "{mood:?}");
        *sinks[0].mood.lock().unwrap() = Mood::Takes;
        until("the end", &mut outbox, Outbox::is_empty).await;
        let mut taken = sinks[0].taken();
        taken.sort_unstable();
        let first = |text: &String| text.as_bytes()[1] - b'0';
        assert_eq!(taken.iter().map(first).collect::<Vec<_>>(), [0, 1, 2, 3, 4], "{mood:?}");
    }
}

#[tokio::test]
async fn there_is_room_for_so_many_bytes_and_what_is_put_beyond_is_kept_all_the_same() {
    let (mut outbox, sinks) = open(&JsonText::default(), &[Mood::Hangs]);
    outbox.set_bytes_max(10);
    outbox.put(document(0, "1234567"));
    assert!(!outbox.has_room());
    outbox.put(document(1, "1"));
    outbox.saved();
    *sinks[0].mood.lock().unwrap() = Mood::Takes;
    until("the end", &mut outbox, Outbox::is_empty).await;
    assert!(outbox.has_room());
    assert_eq!(sinks[0].taken().len(), 2);
}

#[tokio::test]
async fn what_cannot_be_read_is_counted_and_the_rest_is_there() {
    let good = r#"{"stream":"accounts","id":"AGc0000000000000000000000000","timestamp_us":1,"document":{"n":1.50}}"#;
    let text = format!(r#"[{good},{{"stream":"of_the_future"}},7,{good}]"#);
    let OutboxAtStart { outbox, unreadable, .. } =
        Outbox::open(&serde_json::from_str(&text).unwrap(), &["store".into()], &Wake::default());
    assert_eq!((outbox.len(), outbox.bytes(), unreadable), (2, 20, 2));
    assert!(serde_json::to_string(&outbox).unwrap().contains(r#""document":{"n":1.50}"#), "as it was written");
    let broken = Outbox::open(&serde_json::from_str("{}").unwrap(), &["store".into()], &Wake::default());
    assert_eq!((broken.outbox.len(), broken.unreadable), (0, 1));
    // What the sinks of today all hold is not kept for one of the past.
    let taken = r#"[{"stream":"accounts","id":"AGc0000000000000000000000000","timestamp_us":1,"taken_by":["store"],"document":1}]"#;
    assert!(Outbox::open(&serde_json::from_str(taken).unwrap(), &["store".into()], &Wake::default()).outbox.is_empty());
}

#[tokio::test]
async fn outcomes_go_together_and_fewer_at_once_where_that_is_too_much() {
    let text = "x".repeat(100);
    let (mut outbox, sinks) = open(&JsonText::default(), &[Mood::TakesUpTo(1_000)]);
    for n in 0..20 {
        outbox.put(OwnDocument { stream: Stream::Outcomes, ..document(n, &text) });
    }
    outbox.saved();
    until("all of them", &mut outbox, Outbox::is_empty).await;
    let expected: Vec<String> = (0..20).map(|n| format!("\"{n}{text}\"")).collect();
    assert_eq!(sinks[0].taken(), expected);
    let asked = *sinks[0].asked.lock().unwrap();
    assert!(asked < 15, "{asked} requests");
}
