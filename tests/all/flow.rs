//! What flows and what waits: a rate limit delays and drops nothing; of several sinks the slowest sets the pace.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::endpoint::{Endpoint, Room};
use crate::numbered::{Workshop, lines};
use crate::place::{Store, append};

#[test]
fn a_rate_limit_delays_and_drops_nothing() {
    const COUNT: u64 = 1_000;
    // Without the rule's records; the first second's worth may go at once.
    for (limit, least) in [
        ("records_per_second: 240", Duration::from_secs_f64(1_000.0 * 0.96 / 240.0 - 1.0)),
        // What is sent is longer than the lines.
        ("bytes_per_second: 100KiB", Duration::from_secs_f64(lines(0..COUNT).len() as f64 * 0.96 / 102_400.0 - 1.0)),
    ] {
        let sink = format!("{{ store: {{}} }}\nrate_limit: {{ {limit} }}\nbatch: {{ bytes_max: 16KiB, linger: 10ms }}");
        let workshop = Workshop::new("[\"logs/*.log\"]", &sink);
        append(&workshop.log("a.log"), lines(0..COUNT));
        let began = Instant::now();
        workshop.start(&["--once"]).code();
        let took = began.elapsed();
        assert!(took >= least && least > Duration::from_secs(1), "{limit}: {took:?}, not {least:?}");
        workshop.must_be_exact(limit, COUNT, false, &workshop.stored());
    }
}

/// How far the pipeline's one file is committed, in bytes.
fn committed(workshop: &Workshop) -> u64 {
    let text = fs::read(workshop.path("data/p/checkpoint.json")).unwrap();
    let checkpoint: Value = serde_json::from_slice(&text).unwrap();
    checkpoint["files"][0]["committed"]["offset_bytes"].as_u64().unwrap()
}

#[test]
fn with_one_of_two_sinks_down_the_other_goes_on_and_nothing_is_committed_before_both_have_it() {
    const COUNT: u64 = 5_000;
    let endpoint = Endpoint::start(1, 0.0);
    let takes = Duration::from_millis(1);
    endpoint.set_room(Room { requests: 0, takes });
    let workshop = Workshop::new("[\"logs/*.log\"]", &format!("[{{ store: {{}} }}, {}]", endpoint.sink()));
    append(&workshop.log("a.log"), lines(0..COUNT));
    let running = workshop.start(&[]);
    let store = Store(workshop.path("data/p/store.sqlite"));
    workshop.wait_until("the store has all", || store.count() >= COUNT * 48 / 50);
    workshop.wait_until("the endpoint was asked", || endpoint.count_refused() > 2);
    assert_eq!((committed(&workshop), endpoint.count()), (0, 0));
    // A crash now: the store knows what comes again.
    running.kill();
    let running = workshop.start(&[]);
    endpoint.set_room(Room { requests: 10, takes });
    workshop.wait_until("the endpoint has all", || endpoint.count() >= COUNT * 46 / 50);
    running.stop();
    let whole = fs::metadata(workshop.log("a.log")).unwrap().len();
    assert_eq!(committed(&workshop), whole);
    // What the endpoint refuses is in the store all the same.
    let verdict = crate::numbered::judge(COUNT, false, &workshop.stored(), &without_refused(&workshop));
    assert_eq!(verdict, crate::numbered::Verdict::default());
    workshop.must_be_exact("the endpoint", COUNT, true, &endpoint.documents());
}

/// The dead letter but for what the endpoint refused.
fn without_refused(workshop: &Workshop) -> crate::numbered::Found {
    use crate::numbered::{Fate, fate};
    workshop.dead().into_iter().filter(|(_, number)| fate(*number) != Fate::Refused).collect()
}
