//! Reload: the files of a running process are read again, and nothing is lost, whatever they say.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::Signal;

use crate::place::{Place, Running, http, pipeline, pipeline_of, record, start, wait_for};

const SETTLED: &str = "inferlog_settled_lines_total{pipeline=\"p\"}";

fn wait_for_words(running: &Running, words: &str, times: usize) {
    wait_for(&format!("`{words}` to be said {times} times"), || {
        (running.stderr().matches(words).count() >= times).then_some(())
    });
}

/// `POST /-/reload` with this token.
fn ask(running: &Running, token: &str) -> (u16, String) {
    let authorization = format!("Bearer {token}");
    http(running.address.unwrap(), "POST", "/-/reload", &[("authorization", &authorization)], "").unwrap()
}

fn token(place: &Place) -> String {
    let file = place.path("data/admin.token");
    let whole = || fs::read_to_string(&file).ok().filter(|text| text.ends_with('\n'));
    wait_for("the token", whole).trim().to_owned()
}

#[test]
fn reloads_under_load_lose_nothing_and_double_nothing() {
    let versions = ["", "- add: { fields: { tier: 1 } }", "- add: { fields: { tier: 2 } }"];
    let text = |n: usize| pipeline_of("paths: [\"logs/*.ndjson\"], poll_interval: 50ms", versions[n], "{ store: {} }");
    let place = Place::new(&text(0));
    place.append(record(0));
    let running = place.run();
    let (writes, mut count) = (AtomicBool::new(true), 0);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut number = 1;
            // Also where something else fails.
            while writes.load(Ordering::Acquire) && number < 500_000 {
                place.append((number..number + 50).map(record).collect::<String>());
                number += 50;
                thread::sleep(std::time::Duration::from_millis(2));
            }
            number
        });
        for round in 1..=6 {
            place.set_pipeline(&text(round % 3));
            running.signal(Signal::HUP);
            wait_for_words(&running, "reloaded: restarted: p", round);
            place.set_pipeline(&text(round % 3).replace("sink:", "sinks:"));
            running.signal(Signal::HUP);
            wait_for_words(&running, "not reloaded", round);
        }
        writes.store(false, Ordering::Release);
        count = writer.join().unwrap();
    });
    // What is committed is counted once, though each start reads all of it from the checkpoint.
    running.wait_for_metric(SETTLED, count);
    assert!(running.stderr().contains("unknown key `sinks`"), "{}", running.stderr());
    place.set_pipeline(&text(0));
    running.stop();
    place.store().must_hold_each_once(count);
    let kinds = |tier: &str| place.store().documents().iter().filter(|document| document.contains(tier)).count();
    assert!(kinds("\"tier\":1") > 0 && kinds("\"tier\":2") > 0, "each version was in force");
    let reconciled = start(place.inferlog(&["reconcile", "p.yaml", "--data-dir", "data"])).wait();
    assert_eq!(reconciled.code, Some(0), "{reconciled:?}");
}

#[test]
fn who_asks_with_the_token_hears_what_was_done() {
    let place = Place::new(&pipeline("{ store: {} }"));
    fs::create_dir(place.path("pipelines")).unwrap();
    let of = |name: &str| pipeline("{ store: {} }").replace("logs/*.ndjson", &format!("../logs/{name}.ndjson"));
    let write = |name: &str, text: &str| fs::write(place.path(&format!("pipelines/{name}.yaml")), text).unwrap();
    ["a", "b"].iter().for_each(|name| write(name, &of(name)));
    place.append(record(0));
    let running = place.run_files("pipelines");
    assert_eq!(ask(&running, "wrong").0, 401);
    assert_eq!(running.get("/-/reload").0, 405);
    let token = token(&place);
    assert_eq!(ask(&running, &token), (200, "unchanged: a, b\n".to_owned()));
    // A wrong file changes nothing, though another one is new.
    write("b", "source: 7\n");
    write("c", &of("c"));
    let (status, words) = ask(&running, &token);
    assert_eq!(status, 400);
    assert!(words.contains("pipelines/b.yaml:1") && words.ends_with("nothing was changed\n"), "{words}");
    fs::remove_file(place.path("pipelines/b.yaml")).unwrap();
    write("a", &format!("{}# edited\n", of("a")));
    assert_eq!(ask(&running, &token), (200, "restarted: a; started: c; stopped: b\n".to_owned()));
    fs::write(place.path("logs/c.ndjson"), record(7)).unwrap();
    for name in ["a", "c"] {
        running
            .wait_for_metric(&format!("inferlog_sink_indexed_records_total{{pipeline=\"{name}\",sink=\"store\"}}"), 1);
    }
    assert_eq!(running.get("/readyz").0, 200);
    assert!(!running.stderr().contains(&token), "the token is in the log");
    running.stop();
}

#[test]
fn a_pipeline_that_cannot_be_started_goes_on_as_before_or_is_not_ready() {
    let place = Place::new(&pipeline("{ store: {} }"));
    place.append(record(0));
    let running = place.run();
    let taken = |name: &str| pipeline(&format!("{{ store: {{ path: {name} }} }}"));
    fs::create_dir(place.path("folder.sqlite")).unwrap();
    place.set_pipeline(&taken("folder.sqlite"));
    let (status, words) = ask(&running, &token(&place));
    assert!(status == 400 && words.contains("cannot start the pipeline `p`"), "{status} {words}");
    place.append(record(1));
    wait_for("the old sink to take the line", || (place.store().count() == 2).then_some(()));
    assert_eq!(running.get("/readyz").0, 200);
    // Neither as its file says now, nor as before.
    fs::rename(place.path("data/p/store.sqlite"), place.path("aside")).unwrap();
    fs::create_dir(place.path("data/p/store.sqlite")).unwrap();
    let (status, words) = ask(&running, &token(&place));
    assert!(status == 400 && words.matches("cannot start the pipeline `p`").count() == 2, "{status} {words}");
    let (status, reasons) = running.get("/readyz");
    assert!(status == 503 && reasons.contains("the pipeline does not run and is started again"), "{reasons}");
    // Another reload finds it well.
    fs::remove_dir(place.path("data/p/store.sqlite")).unwrap();
    fs::rename(place.path("aside"), place.path("data/p/store.sqlite")).unwrap();
    place.set_pipeline(&pipeline("{ store: {} }"));
    assert_eq!(ask(&running, &token(&place)), (200, "started: p\n".to_owned()));
    place.append(record(2));
    wait_for("the store to go on", || (place.store().count() == 3).then_some(()));
    running.stop();
}

#[test]
fn a_file_that_a_pipeline_was_made_of_counts_as_part_of_it() {
    let place = Place::new("");
    fs::write(place.path("key"), "one\n").unwrap();
    let hash = "- hash: { fields: [n], into: h, key: \"${file:key}\" }";
    place.set_pipeline(&pipeline_of("paths: [\"logs/*.ndjson\"], poll_interval: 50ms", hash, "{ store: {} }"));
    let running = place.run();
    running.signal(Signal::HUP);
    wait_for_words(&running, "reloaded: unchanged: p", 1);
    fs::write(place.path("key"), "another\n").unwrap();
    running.signal(Signal::HUP);
    wait_for_words(&running, "reloaded: restarted: p", 1);
    running.stop();
}
