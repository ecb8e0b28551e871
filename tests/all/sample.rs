//! `check --sample`: what a pipeline would make of a log, in words; and what Elasticsearch would refuse, held to a real one.

use inferlog::elastic::target::Target;

use crate::observe_drift::BASELINE;
use crate::place::{Ended, Place, pipeline, start};
use crate::support::{Method, Node};

const REFUSALS: &str = include_str!("../elastic/refusals.txt");

fn check(place: &Place, log: &str) -> Ended {
    place.append(log);
    start(place.inferlog(&["check", "p.yaml", "--sample", "logs/a.ndjson"])).wait()
}

/// Fails unless all of these words are there.
fn must_say(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for word in words {
        assert!(ended.stderr.contains(word), "`{word}` is not said: {}", ended.stderr);
    }
}

#[test]
fn a_sample_tells_which_line_is_turned_away_and_why_and_what_was_assumed() {
    let place = Place::new(&pipeline("store\nobserve: [model_metrics]"));
    let log = "{\"event\":\"inference\",\"timestamp\":\"2026-11-23T10:00:01Z\"}\n\
               {\"event\":\"inference\",\"timestamp\":\"yesterday\"}\n\
               \n\
               Traceback (most recent call last):\n\
               {\"event\":\"inference\",\"timestamp\":\"2026-11-23 10:00:01\"}\n\
               {\"event\":\"served\",\"latency_ms\":4,\"timestamp\":\"2026-11-23T10:00:01Z\"}\n";
    let ended = check(&place, log);
    must_say(
        &ended,
        &[
            "4  would be shipped",
            "1  would go to the dead letter: not_an_object (decode) (first: line 4)",
            "the line does not begin with `{`",
            "what would fix it: mend the program that writes the log",
            "1  without a time that can be read: `@timestamp` is the time of reading (first: line 2)",
            "1  have a time without a zone, taken as UTC; `zone:` of `timestamp` says another (first: line 5)",
            "the flag `low_confidence` was never decided: no record has what `confidence < 0.6` asks for",
            "3  counted by `model_metrics`",
            "1  have a prediction, confidence or latency and are not counted by `model_metrics` (first: line 6)",
        ],
    );
    assert!(ended.stdout.starts_with("{\"event\":\"inference\""), "{ended:?}");
    assert!(!ended.stderr.contains("Traceback") && !ended.stderr.contains("yesterday"), "records are not quoted");
}

#[test]
fn a_sample_says_which_condition_would_count_what_is_passed_over() {
    let served = "{\"event\":\"prediction served\",\"prediction\":\"a\",\"model_version\":\"1\"}\n";
    let request = "{\"event\":\"request\",\"features\":{\"a\":1}}\n";
    let response = "{\"event\":\"response\",\"latency_ms\":4}\n";
    let inference = "{\"event\":\"inference\",\"confidence\":0.7}\n";
    for (log, condition, counted) in [
        (served.to_owned(), "event : \"prediction served\"", 1),
        (request.to_owned() + response, "event : response", 1),
        (
            served.to_owned() + request + response + inference,
            "event : inference or not event : * or event : (\"prediction served\" or response)",
            3,
        ),
    ] {
        let place = Place::new(&pipeline("store\nobserve: [model_metrics]"));
        let option = format!("inferences: '{condition}'");
        must_say(&check(&place, &log), &[&format!("this would count them: `model_metrics: {{ {option} }}`")]);
        place.set_pipeline(&pipeline(&format!("store\nobserve: [{{ model_metrics: {{ {option} }} }}]")));
        let ended = check(&place, "");
        must_say(&ended, &[&format!("{counted}  counted by `model_metrics`")]);
        assert!(!ended.stderr.contains("are not counted"), "{ended:?}");
    }
}

#[test]
fn a_sample_counts_for_each_observer_by_its_own_condition() {
    let lines = "{\"event\":\"inference\",\"features\":{\"amount\":3},\"prediction\":\"a\"}\n\
                 {\"event\":\"inference\",\"features\":{\"price\":3},\"prediction\":\"a\",\"stage\":\"shadow\"}\n\
                 {\"event\":\"served\",\"features\":{\"amount\":3},\"prediction\":\"a\"}\n";
    let by_both = [
        "2  counted by `model_metrics` and `drift`",
        "1  have a prediction, confidence or latency and are not counted by `model_metrics` and `drift` (first: line 3)",
    ];
    let by_each = [
        "2  counted by `model_metrics`\n",
        "not counted by `model_metrics` (first: line 3)",
        "`model_metrics: { inferences: 'event : inference or not event : * or event : served' }`",
        "1  counted by `drift`\n",
        "2  have a prediction, confidence or latency and are not counted by `drift` (first: line 1)",
        "`drift: { inferences: 'stage : shadow or event : (inference or served)' }`",
        "not in the log: `amount`",
    ];
    let of_drift = ["1  counted by `drift`\n", "not counted by `drift` (first: line 2)"];
    let narrow = ", inferences: 'stage : shadow'";
    for (observers, words) in [
        (with_drift("model_metrics, ", ""), &by_both[..]),
        (with_drift("model_metrics, ", narrow), &by_each[..]),
        (with_drift("", ", inferences: 'event : inference and not stage : *'"), &of_drift[..]),
    ] {
        let place = Place::new(&pipeline(&observers));
        std::fs::write(place.path("b.json"), BASELINE).unwrap();
        must_say(&check(&place, lines), words);
    }
}

/// The store, and drift beside other observers, with further options.
fn with_drift(others: &str, options: &str) -> String {
    format!("store\nobserve: [{others}{{ drift: {{ baseline: b.json{options} }} }}]")
}

#[test]
fn a_sample_for_elasticsearch_tells_what_it_would_refuse() {
    let sink = "{ elasticsearch: { hosts: [\"http://localhost:9200\"], data_stream: logs-ml.inference-a } }";
    let place = Place::new(&pipeline(sink));
    let long = "y".repeat(40_000);
    let log = format!("{{\"confidence\":0.4}}\n{{\"confidence\":\"high\"}}\n{{\"_id\":1}}\n{{\"text\":\"{long}\"}}\n");
    must_say(
        &check(&place, &log),
        &[
            "2  would be shipped",
            "1  would be refused by Elasticsearch, and go to the dead letter (first: line 2)",
            "`confidence`: the field holds numbers, and this is none",
            "`_id`: the name is one of Elasticsearch's own",
            "`text` has a text of 40000 bytes",
            "an index without inferlog's template refuses it",
        ],
    );
}

#[test]
fn what_is_no_log_is_not_taken_for_one() {
    let place = Place::new(&pipeline("store"));
    let missing = start(place.inferlog(&["check", "p.yaml", "--sample", "logs/none"])).wait();
    assert_eq!(missing.code, Some(2), "{missing:?}");
    place.append([0x1f, 0x8b, 8, 0, 0]);
    let packed = start(place.inferlog(&["check", "p.yaml", "--sample", "logs/a.ndjson"])).wait();
    assert!(packed.code == Some(2) && packed.stderr.contains("is compressed"), "{packed:?}");
    std::fs::write(place.log(), "").unwrap();
    must_say(&check(&place, ""), &["it has no lines"]);
}

#[tokio::test]
async fn a_real_elasticsearch_refuses_what_is_said_to_be_refused_and_takes_the_rest() {
    let Some(node) = Node::plain("refusals") else { return };
    let stream = "logs-ml.inference-refusals";
    node.forget(stream).await;
    node.set_up(&Target::DataStream(stream.to_owned())).await;
    for line in REFUSALS.lines().filter(|line| !line.starts_with('#')) {
        let (expected, members) = line.split_once('\t').unwrap();
        let document = format!("{{\"@timestamp\":\"2026-11-23T10:00:00Z\",{}", &members[1..]);
        let (status, answer) = node.ask(Method::Post, &format!("{stream}/_doc"), &document).await;
        let verdict = match status {
            201 => "taken",
            400 => "refused",
            _ => panic!("{status}: {answer}"),
        };
        assert!(expected.starts_with(verdict), "{expected}: {document}: {answer}");
    }
}
