//! What `inferlog baseline` and `inferlog drift` read: which columns and members are features, which rows are counted, and what is
//! said of the rest.

use std::process::Command;

use serde_json::Value;

use crate::drift::{as_records, check, run, table, trained, write};
use crate::place::{Place, pipeline, records};

/// The features of the first baseline in words, one after the other: `amount numeric [2,1]`, `zip categorical {"01":1} 3 other`,
/// and how many are missing and no number.
fn features(text: &str) -> Vec<String> {
    let file: Value = serde_json::from_str(text).unwrap();
    let in_words = |feature: &Value| {
        let of = |name: &str, word: &str| match feature[name].as_u64().unwrap_or(0) {
            0 => String::new(),
            count => format!(" {count} {word}"),
        };
        let kind = if feature["kind"] == "feature" { "" } else { "!" };
        let counts = if feature["type"] == "numeric" { &feature["counts"] } else { &feature["categories"] };
        let (name, type_name) = (feature["name"].as_str().unwrap(), feature["type"].as_str().unwrap());
        let rest = [of("other", "other"), of("missing", "missing"), of("not_finite", "not finite")].concat();
        format!("{kind}{name} {type_name} {counts}{rest}")
    };
    file["baselines"][0]["features"].as_array().unwrap().iter().map(in_words).collect()
}

/// A baseline in two buckets of this text: its features, and what was said.
fn check_baseline(name: &str, text: &str, options: &str, expected: &[&str], words: &[&str]) {
    let place = Place::new(&pipeline("{ store: {} }"));
    write(&place, name, text);
    let ended = run(&place, format!("baseline {name} --buckets 2 {options}").trim_end());
    assert_eq!(ended.code, Some(0), "{name} {options}: {ended:?}");
    assert_eq!(features(&ended.stdout), expected, "{name} {options}");
    for word in words {
        assert!(ended.stderr.contains(word), "{name} {options} does not say `{word}`: {ended:?}");
    }
    let passes_over = words.iter().any(|word| word.starts_with("passed over"));
    assert_eq!(ended.stderr.contains("passed over"), passes_over, "{name} {options}: {ended:?}");
}

#[test]
fn columns_are_features_but_for_those_of_the_record() {
    for (name, text, options, expected, words) in [
        ("a.csv", "a,b\n1,x\n2,y\n3,x\n", "", &["a numeric [1,2]", "b categorical {\"x\":2,\"y\":1}"][..], &[][..]),
        ("a.tsv", "a\tb,c\n1\tx\n2\ty\n", "", &["a numeric [1,1]", "b,c categorical {\"x\":1,\"y\":1}"], &[]),
        ("a.csv", "\u{feff}a\n1\n2\n", "", &["a numeric [1,1]"], &[]),
        (
            "a.csv",
            "a,b\n1,x\n,y\nNA,y\nnan,y\n2,y\n",
            "--ignore b",
            &["a numeric [1,1] 2 missing 1 not finite"],
            &["passed over: columns that are no features: b"],
        ),
        (
            "a.csv",
            "request_id,timestamp,latency_ms,a,prediction,confidence\nr,1,2,3,x,0.5\ns,1,2,4,x,0.7\n",
            "",
            &["a numeric [1,1]", "!prediction categorical {\"x\":2}", "!confidence numeric [1,1]"],
            &["passed over: columns that are no features: latency_ms, request_id, timestamp"],
        ),
        (
            "a.csv",
            "features.a,b,prediction\n1,x,y\n2,x,y\n",
            "",
            &["a numeric [1,1]", "!prediction categorical {\"y\":2}"],
            &["passed over: columns that are no features: b"],
        ),
        ("a.csv", "a\n1\n2\nx\n", "", &["a categorical {\"1\":1,\"2\":1,\"x\":1}"], &[]),
        ("a.csv", "a\n1\n2\nx\n", "--numeric a", &["a numeric [1,1] 1 not finite"], &[]),
        ("a.csv", "a\n1\n2\n1\n", "--categorical a", &["a categorical {\"1\":2,\"2\":1}"], &[]),
        ("a.csv", "a\nx\nx\ny\ny\nz\nw\n", "--categories 2", &["a categorical {\"x\":2,\"y\":2} 2 other"], &[]),
        (
            "a.csv",
            "model_name,model_version,a\nm,1,1\nm,1,2\nn,1,5\nm,2,5\n,,3\n",
            "--model-name m --model-version 1",
            &["a numeric [1,2]"],
            &["passed over: 2 rows of other models or versions", "version `1`"],
        ),
    ] {
        check_baseline(name, text, options, expected, words);
    }
}

#[test]
fn members_below_features_are_features() {
    let nested = "{\"features\":{\"card\":{\"age\":1},\"b\":true},\"model_version\":\"1\"}\n\
                  {\"features\":{\"card\":{\"age\":2},\"b\":null},\"x\":5}\n{\"event\":\"ready\"}\n";
    let both = &["card.age numeric [1,1]", "b categorical {\"true\":1} 1 missing"];
    let empty = "passed over: 1 record without features, prediction and confidence";
    check_baseline("a.ndjson", &format!("\u{feff}{nested}"), "--model-version 1", both, &[empty]);
    for (name, options, expected, words) in [
        ("a.ndjson", "--model-version 1", &both[..], &[empty][..]),
        // What begins with a brace is no table.
        ("a", "--model-version 1", &both[..], &[empty]),
        ("a.log", "--model-version 1 --ignore b", &both[..1], &[empty]),
        (
            "a.jsonl",
            "--model-version 2",
            &["card.age numeric [0,1]"],
            &[
                "1 row of other models or versions",
                "passed over",
                "`b` is left out: it has no value that could be counted",
            ],
        ),
    ] {
        check_baseline(name, nested, options, expected, words);
    }
}

/// A shadow's predictions are no data, unless they are asked for.
#[test]
fn what_a_shadow_has_predicted_is_left_out_unless_the_condition_asks_for_it() {
    let place = Place::new(&pipeline("{ store: {} }"));
    place.append(records(0..700));
    place.append(records(700..1_000).replace("\"status\"", "\"stage\": \"shadow\", \"status\""));
    place.run_once_to(0);
    for (condition, rows) in [("", 700), (" event:inference", 700), (" stage:shadow", 300), (" n<800", 700)] {
        let ended = run(&place, &format!("baseline --pipeline p.yaml --data-dir data{condition}"));
        let file: Value = serde_json::from_str(&ended.stdout).unwrap();
        let counted = file["baselines"].as_array().unwrap().iter().map(|one| one["rows"].as_u64().unwrap());
        assert_eq!(counted.sum::<u64>(), rows, "`{condition}`: {ended:?}");
    }
}

#[test]
fn thresholds_are_those_that_are_typed_else_those_of_the_pipeline() {
    let place = trained();
    write(&place, "same.csv", table(3_000, 2, 0.0));
    write(&place, "moved.ndjson", as_records(&table(3_000, 3, 40.0), "1"));
    for (options, code) in [
        ("", 0),
        // Nothing here is more than chance allows, whatever the effect.
        (" --alert-psi 0.000001", 0),
        (" --alert-psi 0.000001 --false-discovery-rate 1", 1),
    ] {
        check(&place, &format!("drift --baseline b.json same.csv{options}"), code, &[]);
    }
    for (options, code, words) in [
        ("", 1, "drift: 1 of 4"),
        (", alert_psi: 20, alert_share: 0.9", 0, "no drift: 4 distributions over 3000 records"),
        (", min_sample: 4000", 0, "nothing alarms, and nothing could"),
    ] {
        let observe = format!("observe:\n  - drift: {{ baseline: b.json{options} }}\nsink:");
        place.set_pipeline(&pipeline("{ store: {} }").replacen("sink:", &observe, 1));
        std::fs::copy(place.path("moved.ndjson"), place.log()).unwrap();
        place.run_once_to(0);
        let of = |more: &str| format!("drift --pipeline p.yaml --data-dir data *{more}");
        check(&place, &of(""), code, &[words]);
        check(&place, &of(" --alert-psi 0.2 --alert-share 0.05 --min-sample 500"), 1, &["drift: 1 of 4"]);
    }
    for (mode, word) in [("", "\"mode\":\"defined\""), (" --mode open", "\"mode\":\"open\"")] {
        check(&place, &format!("drift --baseline b.json moved.ndjson --format json{mode}"), 1, &[word]);
    }
    let windows = "drift --pipeline p.yaml --data-dir data";
    for option in ["--model-version 1", "--model-name fraud", "--ignore amount"] {
        check(&place, &format!("{windows} {option}"), 2, &["windows were counted as they are"]);
    }
}

/// A file that is another when it is read again makes no baseline. Both are pipes, so that what is read is what is given.
#[test]
fn data_that_change_while_they_are_read_are_refused() {
    for (again, code, words) in
        [("a\n2\n1\n", 0, "written to `b.json`"), ("a\n1\n1\n", 2, "`a.csv`, `c.csv` changed while it was read")]
    {
        let place = Place::new(&pipeline("{ store: {} }"));
        let pipes = ["a.csv", "c.csv"].map(|name| place.path(name));
        let made = Command::new("mkfifo").args(&pipes).status().unwrap();
        assert!(made.success());
        // Opening a pipe waits for its reader, so that one is not given again before it was read to its end.
        let first = if code == 0 { again } else { "a\n2\n1\n" };
        let texts = [
            (pipes[0].clone(), first),
            (pipes[1].clone(), "a\n3\n"),
            (pipes[0].clone(), again),
            (pipes[1].clone(), "a\n3\n"),
        ];
        let writer =
            std::thread::spawn(move || texts.iter().for_each(|(pipe, text)| std::fs::write(pipe, text).unwrap()));
        check(&place, "baseline a.csv c.csv -o b.json", code, &[words]);
        writer.join().unwrap();
        assert_eq!(place.path("b.json").exists(), code == 0);
    }
}
