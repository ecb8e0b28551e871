//! A replay beside a live run keeps the run's pace, and the run the replay's: a server that was busy to one of the two is
//! left alone by both.
//!
//! When a request came is looked at, and never how soon: whoever is slow proves the same.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::place::{Ended, Place, pipeline_of, record, records, start, wait_for};
use crate::scripted::{Answer, Asked, scripted};

/// What the server wants: long enough for a replay to be asked for and taken meanwhile, on a machine that is busy, and
/// shorter than a replay's patience.
const RETRY_AFTER: Duration = Duration::from_secs(12);

/// A server that takes everything, but is busy once when it is told to.
#[derive(Default)]
struct Server {
    /// Whether the next request with a document that has this text is refused.
    refuses: Option<&'static str>,
    refused: Option<Instant>,
    /// What came since then, but for accounts: when, and the path, with the document of the first item.
    asked: Vec<(Instant, String)>,
}

type Shared = Arc<Mutex<Server>>;

fn answer(server: &Shared, asked: &Asked) -> Answer {
    let mut server = server.lock().unwrap();
    let body = String::from_utf8_lossy(&asked.body);
    // They wait for nobody, and nobody waits for them.
    if asked.path.contains("metrics-ml.pipeline") {
        return if asked.path.contains("_bulk") { Answer::created(&asked.body) } else { Answer::new(404, &[], "{}") };
    }
    if server.refused.is_some() {
        server.asked.push((Instant::now(), format!("{} {}", asked.path, body.lines().nth(1).unwrap_or_default())));
    }
    if !asked.path.contains("_bulk") {
        return Answer::new(404, &[], "{}");
    }
    if server.refuses.take_if(|text| body.contains(*text)).is_some() {
        server.refused = Some(Instant::now());
        return Answer::new(429, &[("retry-after", &RETRY_AFTER.as_secs().to_string())], "{}");
    }
    Answer::created(&asked.body)
}

/// A place with ten entries in its dead letter, of lines that are no longer too long.
fn place() -> (Place, Shared) {
    let server = Shared::default();
    let its_server = Arc::clone(&server);
    let url = scripted(move |asked| answer(&its_server, asked));
    let files = "paths: [\"logs/*.ndjson\"], poll_interval: 50ms";
    let sink = format!("{{ elasticsearch: {{ hosts: [\"{url}\"], data_stream: logs-ml.inference-default }} }}");
    let made = |more: &str| pipeline_of(&format!("{files}{more}"), "", &sink);
    let place = Place::new(&made(", line_bytes_max: 100"));
    place.append(records(0..10));
    place.run_once_to(1);
    assert_eq!(place.dead_letters().len(), 10);
    place.set_pipeline(&made(""));
    (place, server)
}

fn start_replay(place: &Place) -> crate::place::Running {
    start(place.inferlog(&["dead-letter", "replay", "p.yaml", "--data-dir", "data"]))
}

/// What was asked after the refusal: nothing before the server wants it.
fn must_have_waited(server: &Shared) -> Vec<String> {
    let server = server.lock().unwrap();
    let again = server.refused.unwrap() + RETRY_AFTER;
    for (moment, what) in &server.asked {
        assert!(*moment >= again, "{:?} too early: {what}", again.duration_since(*moment));
    }
    server.asked.iter().map(|(_, what)| what.clone()).collect()
}

fn must_have_delivered(ended: &Ended, place: &Place) {
    assert!(ended.code == Some(0) && ended.stderr.contains("10 delivered"), "{ended:?}");
    assert_eq!(place.dead_letters().len(), 0);
}

#[test]
fn a_replay_sends_nothing_while_the_server_wants_to_be_left_alone_by_records_and_records_go_first() {
    let (place, server) = place();
    let running = place.run();
    server.lock().unwrap().refuses = Some("\"n\": 10,");
    place.append(record(10));
    let refused = wait_for("the refusal", || server.lock().unwrap().refused);
    let replaying = start_replay(&place);
    wait_for("it to be taken", || place.path("data/p/replay_answer.ndjson").exists().then_some(()));
    assert!(refused.elapsed() < RETRY_AFTER, "the machine is too busy for this test to show anything");
    must_have_delivered(&replaying.wait(), &place);
    let asked = must_have_waited(&server);
    assert!(asked[0].contains("\"n\": 10,"), "{asked:?}");
    assert!(asked.iter().any(|what| what.contains("\"n\": 0,")), "{asked:?}");
    running.stop();
}

#[test]
fn records_send_nothing_while_the_server_wants_to_be_left_alone_by_a_replay() {
    let (place, server) = place();
    let running = place.run();
    // It has asked by then what it asks at its start.
    place.append(record(11));
    running.wait_for_metric("inferlog_settled_records_total{pipeline=\"p\"}", 1);
    server.lock().unwrap().refuses = Some("\"n\": 0,");
    let replaying = start_replay(&place);
    let refused = wait_for("the refusal", || server.lock().unwrap().refused);
    place.append(record(10));
    running.wait_for_metric("inferlog_decode_records_total{pipeline=\"p\"}", 2);
    assert!(refused.elapsed() < RETRY_AFTER, "the machine is too busy for this test to show anything");
    must_have_delivered(&replaying.wait(), &place);
    running.wait_for_metric("inferlog_settled_records_total{pipeline=\"p\"}", 2);
    let asked = must_have_waited(&server);
    assert!(asked.iter().any(|what| what.contains("\"n\": 10,")), "{asked:?}");
    running.stop();
}
