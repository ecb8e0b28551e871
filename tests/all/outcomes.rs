//! Outcomes: labels that meet predictions, through kills, restarts and several hosts.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::numbered::{report, seed};
use crate::place::{Place, append, free_address, http, start, wait_for};
use crate::support::Node;

/// Kills of the run in which predictions and labels come in random order.
const KILLS: u32 = 100;

/// A pipeline whose labels lie in `labels/`, with this sink.
fn pipeline(sink: &str) -> String {
    format!(
        "source: {{ files: {{ paths: [\"logs/*.ndjson\"], poll_interval: 20ms }} }}\n\
         decode: json\n\
         enrich:\n  - timestamp: {{ from: [timestamp] }}\n  - flag: {{ into: low_confidence, when: \"confidence < 0.6\" }}\n\
         observe:\n  - model_metrics\n  - ground_truth:\n      \
             labels: {{ paths: [\"labels/*\"], poll_interval: 20ms }}\n      window: 3650d\n      keep: 3650d\n      min_labels: 1\n\
         sink: {sink}\n"
    )
}

fn place(pipeline: &str) -> Place {
    let place = Place::new(pipeline);
    fs::create_dir(place.path("labels")).unwrap();
    place
}

/// What was predicted of a request: the class of its number, wrong every fifth time.
fn predicted(number: u64) -> &'static str {
    let is_right = !number.is_multiple_of(5);
    if truth(number) == "fraud" && is_right || truth(number) == "ok" && !is_right { "fraud" } else { "ok" }
}

fn truth(number: u64) -> &'static str {
    if number.is_multiple_of(3) { "fraud" } else { "ok" }
}

fn prediction(number: u64) -> String {
    format!(
        "{{\"event\":\"inference\",\"request_id\":\"r-{number}\",\"model_version\":\"1.{}\",\"prediction\":\"{}\",\
         \"confidence\":0.{},\"timestamp\":\"2026-11-23T10:00:00Z\"}}\n",
        number % 2,
        predicted(number),
        50 + number % 50
    )
}

fn label(number: u64) -> String {
    let known = 1_795_500_000 + number;
    format!("{{\"request_id\":\"r-{number}\",\"label\":\"{}\",\"known_at\":{known}}}\n", truth(number))
}

/// The documents of outcomes in the store of `p`, by the request that they are of.
fn outcomes(place: &Place) -> BTreeMap<String, Vec<Value>> {
    let connection = place.store().open();
    let mut statement =
        connection.prepare("SELECT document FROM outcomes WHERE prediction_id IS NOT NULL ORDER BY rowid").unwrap();
    let documents = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let mut by_request: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for document in documents {
        let document: Value = serde_json::from_str(&document.unwrap()).unwrap();
        by_request.entry(document["request_id"].as_str().unwrap().to_owned()).or_default().push(document);
    }
    by_request
}

/// What was measured of each version, as documents in the store of `p` say it: one an hour and version.
fn evaluations(place: &Place) -> BTreeMap<(String, i64), Value> {
    let connection = place.store().open();
    let sql = "SELECT document, timestamp_us FROM outcomes WHERE document ->> '$.kind' = 'evaluation'";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))).unwrap();
    let mut found = BTreeMap::new();
    for row in rows {
        let (text, time_us) = row.unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        let version = document["model_version"].as_str().unwrap().to_owned();
        assert_eq!(found.insert((version, time_us / 3_600_000_000), document), None, "twice in an hour: {text}");
    }
    found
}

/// Fails unless the newest evaluation of each version is that of so many requests.
fn must_tell(place: &Place, requests: u64) {
    let found = evaluations(place);
    for version in 0..2 {
        let name = format!("1.{version}");
        let newest = found.range((name.clone(), 0)..(name, i64::MAX)).next_back().unwrap().1;
        let own = (0..requests).filter(|number| number % 2 == version);
        let right = own.clone().filter(|number| predicted(*number) == truth(*number)).count() as f64;
        let all = own.count() as u64;
        assert_eq!((&newest["predictions"], &newest["outcomes"]), (&all.into(), &all.into()), "{newest}");
        assert!((newest["accuracy"].as_f64().unwrap() - right / all as f64).abs() < 1e-12, "{newest}");
        assert_eq!((&newest["label_coverage"], &newest["stage"]), (&1.0.into(), &"primary".into()), "{newest}");
        assert!(newest["label_delay_median_s"].as_f64().is_some_and(|median| median > 0.0), "{newest}");
        assert_eq!((&newest["prediction_id"], &newest["review_coverage"]), (&Value::Null, &0.0.into()), "{newest}");
    }
}

/// Fails unless each of these requests has one outcome, and the right one.
fn must_be_exact(place: &Place, requests: u64) {
    let found = outcomes(place);
    let counts: Vec<u64> =
        (0..requests).map(|n| found.get(&format!("r-{n}")).map_or(0, |them| them.len() as u64)).collect();
    let wrong: Vec<usize> = (0..counts.len()).filter(|n| counts[*n] != 1).collect();
    assert!(wrong.is_empty(), "requests without one outcome: {wrong:?}");
    assert_eq!(found.len() as u64, requests);
    for number in 0..requests {
        let document = &found[&format!("r-{number}")][0];
        let said = ["prediction", "label", "status"].map(|member| document[member].as_str().unwrap());
        assert_eq!(said, [predicted(number), truth(number), "joined"], "{document}");
        assert_eq!(document["correct"], predicted(number) == truth(number), "{document}");
    }
}

/// The series of `/metrics` of a run that is started now and has found everything.
fn metrics(place: &Place) -> BTreeMap<String, f64> {
    let address = free_address();
    let _running = start(place.inferlog(&["run", "p.yaml", "--data-dir", "data", "--listen", &address.to_string()]));
    let text = wait_for("outcomes in /metrics", || {
        let (_, text) = http(address, "GET", "/metrics", &[], "")?;
        text.contains("model_accuracy{").then_some(text)
    });
    let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    samples.map(|(name, value)| (name.to_owned(), value.parse().unwrap_or(f64::NAN))).collect()
}

/// Fails unless the figures are those of so many requests.
fn must_show(metrics: &BTreeMap<String, f64>, requests: u64) {
    for version in 0..2 {
        let own = || (0..requests).filter(move |number| number % 2 == version);
        let right = own().filter(|number| predicted(*number) == truth(*number)).count() as f64;
        let all = own().count() as f64;
        let labels = format!("model_version=\"1.{version}\",stage=\"primary\",window=\"3650d\"");
        for (series, expected) in [
            (format!("model_labels_total{{model_version=\"1.{version}\",kind=\"truth\",outcome=\"joined\"}}"), all),
            (format!("model_outcomes_total{{model_version=\"1.{version}\",correct=\"true\"}}"), right),
            (format!("model_outcomes_total{{model_version=\"1.{version}\",correct=\"false\"}}"), all - right),
            (format!("model_label_delay_seconds_count{{model_version=\"1.{version}\"}}"), all),
            (format!("model_outcomes_in_window{{{labels}}}"), all),
            (format!("model_accuracy{{{labels}}}"), right / all),
            (format!("model_label_coverage_ratio{{{labels}}}"), 1.0),
        ] {
            let found = metrics.get(&series);
            assert!(found.is_some_and(|found| (found - expected).abs() < 1e-12), "{series}: {found:?}, not {expected}");
        }
    }
}

#[test]
fn labels_before_and_after_predictions_are_joined_once_each_through_kills() {
    let place = place(&pipeline("store"));
    let mut random = fastrand::Rng::with_seed(seed());
    let mut requests = 0;
    for _ in 0..KILLS {
        let running = start(place.run_command(&["--listen", "off"]));
        let new = random.u64(10..120);
        // Of each some labels come before their prediction, and in any order.
        let mut lines: Vec<(bool, u64)> =
            (requests..requests + new).flat_map(|number| [(false, number), (true, number)]).collect();
        random.shuffle(&mut lines);
        requests += new;
        let pause = Duration::from_millis(random.u64(..40));
        for (position, (is_label, number)) in lines.into_iter().enumerate() {
            match is_label {
                true => append(&place.path("labels/l.ndjson"), label(number)),
                false => place.append(prediction(number)),
            }
            if position == 10 {
                std::thread::sleep(pause);
            }
        }
        std::thread::sleep(Duration::from_millis(random.u64(..60)));
        drop(running);
        if random.u8(..10) == 0 {
            fs::rename(place.path("labels/l.ndjson"), place.path(&format!("labels/l-{requests}.ndjson"))).unwrap();
        }
    }
    place.run_once_to(0);
    must_be_exact(&place, requests);
    must_show(&metrics(&place), requests);
    let reconciled = start(place.inferlog(&["reconcile", "p.yaml", "--data-dir", "data"])).wait();
    assert_eq!(reconciled.code, Some(0), "{reconciled:?}");
    report(&format!("outcomes: {requests} predictions and as many labels, {KILLS} kills: each joined once"));
}

/// The second run of an hour measures what the first did not, and its documents are found to be there.
#[test]
fn an_evaluation_of_each_version_is_kept_at_the_stop_once_an_hour_and_is_no_outcome() {
    let place = place(&pipeline("store"));
    place.append((0..40).map(prediction).collect::<String>());
    append(&place.path("labels/l.ndjson"), (0..40).map(label).collect::<String>());
    place.run_once_to(0);
    must_tell(&place, 40);
    let hours = evaluations(&place).len();
    place.run_once_to(0);
    let again = evaluations(&place).len();
    assert!(again == hours || again == hours + 2, "{again} documents of evaluations after {hours}");
    must_be_exact(&place, 40);
    let count = |stream: &str| {
        let verb = ["query", "*", "--stream", stream, "--pipeline", "p.yaml", "--data-dir", "data", "--count"];
        let ended = start(place.inferlog(&verb)).wait();
        ended.stdout.trim().parse::<usize>().unwrap_or_else(|_| panic!("{ended:?}"))
    };
    assert_eq!((count("outcomes"), count("evaluations")), (40, again));
    let verb = ["query", "*", "--stream", "evaluations", "--pipeline", "p.yaml", "--data-dir", "data"];
    let shown = start(place.inferlog(&verb)).wait();
    assert!(shown.stdout.contains("estimated_accuracy") && shown.stdout.contains("1.1"), "{shown:?}");
    let verb = ["query", "--saved", "wrong-and-sure", "--pipeline", "p.yaml", "--data-dir", "data", "--count"];
    let wrong = (0..40).filter(|n| predicted(*n) != truth(*n) && 50 + n % 50 >= 90).count();
    assert_eq!(start(place.inferlog(&verb)).wait().stdout.trim(), wrong.to_string());
}

#[test]
fn what_is_no_label_is_in_the_dead_letter_and_csv_has_the_names_of_its_first_line() {
    let place = place(&pipeline("store").replace("poll_interval: 20ms }\n      window", "format: csv }\n      window"));
    place.append((0..4).map(prediction).collect::<String>());
    let rows = "request_id,label,known_at\nr-0,fraud,1795500000\nr-1,ok,1795500001\n,ok,1795500002\n\"open\nr-2,ok\n";
    append(&place.path("labels/l.csv"), rows);
    let ended = place.run_once();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let statuses: Vec<(String, usize)> = outcomes(&place).into_iter().map(|(id, them)| (id, them.len())).collect();
    assert_eq!(statuses, [("r-0", 1), ("r-1", 1), ("r-2", 1)].map(|(id, n)| (id.to_owned(), n)));
    let listed = start(place.inferlog(&["dead-letter", "list", "--data-dir", "data", "--format", "json"])).wait();
    for reason in ["csv_open_quote", "label_without_request_id"] {
        assert!(listed.stdout.contains(reason), "{listed:?}");
    }
    // The rest of a file is read after a restart, which has not seen the first line.
    append(&place.path("labels/l.csv"), "r-3,fraud\n");
    place.run_once();
    assert_eq!(outcomes(&place).len(), 4);
    let queried =
        start(place.inferlog(&["query", "*", "--pipeline", "p.labels", "--data-dir", "data", "--count"])).wait();
    assert_eq!(queried.stdout.trim(), "4", "{queried:?}");
}

#[tokio::test]
async fn labels_find_the_predictions_of_three_shippers_one_of_which_was_down() {
    let Some(node) = Node::plain("outcomes of three shippers") else { return };
    let stream = "logs-ml.inference-three";
    for name in [stream, "logs-ml.outcome-three", "metrics-ml.pipeline-three"] {
        node.forget(name).await;
    }
    let host = &node.options.hosts[0];
    let sink = format!("{{ elasticsearch: {{ hosts: [\"{host}\"], data_stream: {stream} }} }}");
    let alone = pipeline(&sink).split("observe:").next().unwrap().to_owned() + &format!("sink: {sink}\n");
    let shippers: Vec<Place> = (0..3).map(|_| Place::new(&alone)).collect();
    let applied = start(shippers[0].inferlog(&["setup", "apply", "p.yaml"])).wait();
    assert_eq!(applied.code, Some(0), "{applied:?}");
    for number in 0..300 {
        shippers[(number % 3) as usize].append(prediction(number));
    }
    shippers[0].run_once_to(0);
    shippers[1].run_once_to(0);

    let office = place(&alone);
    append(&office.path("labels/l.ndjson"), (0..300).map(label).collect::<String>());
    append(&office.path("labels/l.ndjson"), "{\"request_id\":\"nobody\",\"label\":\"ok\"}\n");
    let ask = || {
        let verb = ["outcomes", "labels/l.ndjson", "--pipeline", "p.yaml", "--data-dir", "data", "--format", "json"];
        start(office.inferlog(&verb)).wait()
    };
    let first = ask();
    assert_eq!(first.code, Some(0), "{first:?}");
    assert!(first.stderr.contains("101 labels found no prediction"), "{first:?}");
    let outcomes = "{\"exists\":{\"field\":\"prediction_id\"}}";
    assert_eq!(node.count("logs-ml.outcome-three", outcomes).await, 200);
    // The third one comes up again; nothing is given twice, and nothing is missing.
    shippers[2].run_once_to(0);
    for _ in 0..2 {
        let again = ask();
        assert_eq!(again.code, Some(0), "{again:?}");
        assert!(again.stderr.contains("1 label found no prediction"), "{again:?}");
        assert_eq!(node.count("logs-ml.outcome-three", outcomes).await, 300);
        let lines: Vec<Value> = again.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{again:?}");
        for line in &lines {
            assert_eq!(line["outcomes_in_window"], 150.0, "{line}");
            let version = if line["model_version"] == "1.0" { 0 } else { 1 };
            let own = (0..300).filter(|number| number % 2 == version);
            let right = own.filter(|number| predicted(*number) == truth(*number)).count() as f64;
            assert!((line["accuracy"].as_f64().unwrap() - right / 150.0).abs() < 1e-12, "{line}");
        }
    }
    let wrong = "{\"bool\":{\"filter\":[{\"term\":{\"correct\":false}}]}}";
    assert_eq!(node.count("logs-ml.outcome-three", wrong).await, 60);
    let evaluations =
        "{\"bool\":{\"filter\":[{\"term\":{\"kind\":\"evaluation\"}},{\"range\":{\"accuracy\":{\"gt\":0.7}}}]}}";
    assert!(node.count("logs-ml.outcome-three", evaluations).await >= 2, "one of each version, an hour");
}

#[test]
fn labels_are_joined_with_what_a_store_holds_and_followed_while_they_come() {
    let alone = pipeline("{ store: {} }");
    let alone = alone.split("observe:").next().unwrap().to_owned() + "sink: { store: {} }\n";
    let place = place(&alone);
    (0..300).for_each(|number| place.append(prediction(number)));
    place.run_once_to(0);
    let labels = place.path("labels/l.ndjson");
    append(&labels, (0..200).map(label).collect::<String>() + "{\"request_id\":\"nobody\",\"label\":\"ok\"}\n");
    let verb = ["outcomes", "labels/l.ndjson", "--pipeline", "p.yaml", "--data-dir", "data"];
    for _ in 0..2 {
        let ended = start(place.inferlog(&verb)).wait();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        for said in ["200 joined", "1 label found no prediction", "the store `p`"] {
            assert!(ended.stderr.contains(said), "no `{said}`: {ended:?}");
        }
        must_be_exact(&place, 200);
    }
    let following = start(place.inferlog(&[&verb[..], &["--follow"]].concat()));
    append(&labels, (200..300).map(label).collect::<String>());
    wait_for("outcomes of labels that came meanwhile", || (outcomes(&place).len() == 300).then_some(()));
    let ended = following.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("300 joined"), "{ended:?}");
    must_be_exact(&place, 300);
}
