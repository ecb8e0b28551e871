use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use super::*;
use crate::flow::batch::Id;
use crate::outcome::Subject;
use crate::outcome::label::Label;
use crate::outcome::prediction::{Prediction, Predictions};
use crate::record::{Record, Space};

const OPTIONS: LedgerOptions =
    LedgerOptions { keep: Duration::from_secs(1_000), predictions_max: 100, patience: Duration::from_secs(10) };

const SECOND_US: i64 = 1_000_000;

/// A ledger in a folder of its own.
struct Bench {
    folder: tempfile::TempDir,
    ledger: Ledger,
    lines: usize,
}

impl Bench {
    fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let ledger = open(folder.path());
        Bench { folder, ledger, lines: 0 }
    }

    /// As after a crash and a start.
    fn reopen(&mut self) {
        self.ledger = open(self.folder.path());
    }

    /// `id version prediction confidence`, made at a second.
    fn predict(&mut self, words: &str, second: i64) {
        let words: Vec<&str> = words.split_whitespace().collect();
        let mut predictions = Predictions::default();
        predictions.push(&Prediction {
            request_id: words[0],
            batch_index: None,
            model_name: "",
            model_version: words[1],
            stage: words.get(4).unwrap_or(&"primary"),
            time_us: second * SECOND_US,
            record_id: record_id(&words.join(" ")),
            prediction: words[2],
            confidence: words.get(3).and_then(|text| text.parse().ok()),
            flagged: words.get(5).is_some(),
        });
        self.ledger.enter(&predictions, &[], None, second * SECOND_US).unwrap();
    }

    /// A line of JSON, seen at a second; its id is made of a number that is counted up.
    fn label(&mut self, line: &str, second: i64) {
        self.lines += 1;
        self.label_again(line, second, self.lines);
    }

    fn label_again(&mut self, line: &str, second: i64, number: usize) {
        let mut space = Space::default();
        let label = Label::of(&Record::parse(line, &mut space).unwrap()).unwrap();
        let line = LabelLine { id: format!("label-{number}"), time_us: second * SECOND_US, label };
        self.ledger.enter(&Predictions::default(), &[line], None, second * SECOND_US).unwrap();
    }

    /// Labels by version and outcome, and outcomes, in words.
    fn totals(&self) -> String {
        let totals = self.ledger.totals().unwrap();
        let mut words: Vec<String> = totals
            .labels
            .iter()
            .map(|(version, kind, outcome, count)| {
                format!("{}:{}:{}={count}", version.model_version, kind.as_str(), outcome.as_str())
            })
            .chain(
                totals
                    .outcomes
                    .iter()
                    .map(|(version, correct, count)| format!("{}:{correct}={count}", version.model_version)),
            )
            .collect();
        words.sort();
        words.join(" ")
    }

    /// Status, prediction, label and correctness of each document.
    fn documents(&self) -> Vec<String> {
        let documents = self.ledger.documents(0, usize::MAX).unwrap();
        let words = |document: &PendingDocument| {
            let value: serde_json::Value = serde_json::from_str(&document.text).unwrap();
            ["model_version", "status", "prediction", "label", "decision", "correct"]
                .map(|member| value[member].to_string().replace('"', ""))
                .join(" ")
        };
        documents.iter().map(words).collect()
    }
}

fn open(folder: &Path) -> Ledger {
    Ledger::open(&folder.join("outcomes.sqlite"), OPTIONS, Subject::default()).unwrap()
}

fn record_id(text: &str) -> Id {
    let mut half = [0; 16];
    half.copy_from_slice(&crate::text::digest::sha256(text.as_bytes())[..16]);
    Id::new(0, half)
}

#[test]
fn a_pair_is_joined_whichever_comes_first_and_every_version_that_answered_counts() {
    for is_label_first in [false, true] {
        let mut bench = Bench::new();
        let label = |bench: &mut Bench| bench.label(r#"{"request_id":"a","label":"fraud","known_at":1795428100}"#, 50);
        if is_label_first {
            label(&mut bench);
            assert_eq!((bench.totals().as_str(), bench.ledger.totals().unwrap().waiting), ("", 1));
        }
        bench.predict("a 1 fraud 0.9", 1);
        bench.predict("a 2 ok 0.6 shadow", 1);
        bench.predict("b 1 ok 0.6", 1);
        if !is_label_first {
            label(&mut bench);
        }
        assert_eq!(bench.totals(), "1:true=1 1:truth:joined=1 2:false=1 2:truth:joined=1", "{is_label_first}");
        assert_eq!(bench.documents(), ["1 joined fraud fraud null true", "2 joined ok fraud null false"]);
        assert_eq!(bench.ledger.totals().unwrap().waiting, 0);
        assert_eq!(bench.ledger.shadow_agreement(0).unwrap(), BTreeMap::from([(1, (1, 0))]));
    }
}

#[test]
fn what_is_entered_again_changes_nothing() {
    let mut bench = Bench::new();
    let line = r#"{"request_id":"a","label":"fraud"}"#;
    for _ in 0..2 {
        bench.predict("a 1 fraud 0.9", 1);
        bench.label_again(line, 5, 1);
        bench.reopen();
    }
    assert_eq!(bench.totals(), "1:true=1 1:truth:joined=1");
    assert_eq!(bench.documents().len(), 1);
}

#[test]
fn later_labels_correct_and_those_of_one_moment_contradict() {
    let mut bench = Bench::new();
    bench.predict("a 1 fraud 0.9", 1);
    for (label, known) in
        [("fraud", 1795428100), ("ok", 1795428200), ("late", 1795428050), ("ok", 1795428200), ("bad", 1795428200)]
    {
        bench.label(&format!(r#"{{"request_id":"a","label":"{label}","known_at":{known}}}"#), 5);
    }
    assert_eq!(
        bench.totals(),
        "1:true=1 1:truth:contradictory=1 1:truth:corrected=2 1:truth:duplicate=1 1:truth:joined=1"
    );
    assert_eq!(
        bench.documents(),
        [
            "1 joined fraud fraud null true",
            "1 corrected fraud ok null false",
            "1 corrected fraud ok null false",
            "1 contradictory fraud null null null",
        ]
    );
    let mut labels = Vec::new();
    bench.ledger.each_prediction(|row| labels.push(row.label.map(str::to_owned))).unwrap();
    assert_eq!(labels, [None], "of contradictory labels none counts");
}

#[test]
fn what_counts_is_what_became_known_last_in_any_order() {
    for (order, expected) in
        [("a1 b2 a3", "a"), ("a1 a3 b2", "a"), ("a1 b2 a2", ""), ("a1 a2 b2", ""), ("a1 b1 a2", "a")]
    {
        let mut bench = Bench::new();
        bench.predict("r 1 a 0.9", 1);
        for word in order.split(' ') {
            let (label, second) = word.split_at(1);
            bench.label(
                &format!(
                    r#"{{"request_id":"r","label":"{label}","known_at":{}}}"#,
                    1795428000 + second.parse::<i64>().unwrap()
                ),
                5,
            );
        }
        let mut counted = String::new();
        bench.ledger.each_prediction(|row| counted.push_str(row.label.unwrap_or_default())).unwrap();
        assert_eq!(counted, expected, "{order}");
    }
}

#[test]
fn a_review_never_overwrites_the_truth() {
    let mut bench = Bench::new();
    bench.predict("a 1 fraud 0.4 primary flagged", 1);
    bench.label(r#"{"request_id":"a","label":"ok"}"#, 5);
    bench.label(
        r#"{"request_id":"a","kind":"review","decision":"upheld","label":"fraud","reviewer":"ann","opened":1795428000,"decided":1795428060}"#,
        6,
    );
    bench.label(r#"{"request_id":"a","kind":"review","decision":"overridden","decided":1795428090}"#, 7);
    assert_eq!(bench.totals(), "1:false=1 1:review:corrected=1 1:review:joined=1 1:truth:joined=1");
    let mut rows = Vec::new();
    bench.ledger.each_prediction(|row| rows.push(format!("{row:?}"))).unwrap();
    assert!(rows[0].contains("label: Some(\"ok\")") && rows[0].contains("decision: Some(\"overridden\")"), "{rows:?}");
    assert_eq!(bench.documents()[1], "1 joined fraud fraud upheld null");
}

#[test]
fn rows_of_a_batch_share_an_id_and_not_their_labels() {
    let mut bench = Bench::new();
    let mut predictions = Predictions::default();
    for (row, prediction) in [(0, "x"), (1, "y")] {
        predictions.push(&Prediction {
            request_id: "a",
            batch_index: Some(row),
            model_name: "",
            model_version: "1",
            stage: "primary",
            time_us: 0,
            record_id: record_id(prediction),
            prediction,
            confidence: None,
            flagged: false,
        });
    }
    bench.ledger.enter(&predictions, &[], None, 0).unwrap();
    bench.label(r#"{"request_id":"a","batch.index":1,"label":"y"}"#, 1);
    bench.label(r#"{"request_id":"a","label":"x"}"#, 1);
    assert_eq!(bench.totals(), "1:true=1 1:truth:joined=1");
    assert_eq!(bench.ledger.totals().unwrap().waiting, 1, "a label without a row is of no row");
}

#[test]
fn a_label_is_unknown_when_patience_ends_and_still_finds_its_prediction() {
    let mut bench = Bench::new();
    bench.label(r#"{"request_id":"a","label":"x"}"#, 0);
    assert!(!bench.ledger.forget(9 * SECOND_US).unwrap());
    assert_eq!(bench.totals(), "");
    for _ in 0..2 {
        bench.ledger.forget(20 * SECOND_US).unwrap();
        assert_eq!(bench.totals(), ":truth:unknown=1", "it is counted once");
    }
    bench.predict("a 1 x 0.9", 30);
    assert_eq!(bench.totals(), "1:true=1 1:truth:joined=1 :truth:unknown=1");
    assert_eq!(bench.ledger.totals().unwrap().waiting, 0);
}

#[test]
fn what_is_old_or_too_many_is_forgotten_from_the_first_on_and_counted() {
    let mut bench = Bench::new();
    for number in 0..150 {
        bench.predict(&format!("r{number} 1 x 0.9"), number);
    }
    while bench.ledger.forget(149 * SECOND_US).unwrap() {}
    let count = |bench: &Bench| {
        let mut seconds = Vec::new();
        bench.ledger.each_prediction(|row| seconds.push(row.time_us / SECOND_US)).unwrap();
        (seconds.iter().min().copied(), seconds.len())
    };
    assert_eq!(count(&bench), (Some(50), 100));
    while bench.ledger.forget(1_100 * SECOND_US).unwrap() {}
    assert_eq!(count(&bench), (Some(100), 50));
    assert_eq!(bench.ledger.totals().unwrap().forgotten, 100);
}

#[test]
fn documents_are_given_out_until_they_are_taken() {
    let mut bench = Bench::new();
    for number in 0..3 {
        bench.predict(&format!("r{number} 1 x 0.9"), number);
        bench.label(&format!(r#"{{"request_id":"r{number}","label":"x"}}"#), number);
    }
    let first = bench.ledger.documents(0, 1).unwrap();
    assert_eq!(first.len(), 1);
    let rest = bench.ledger.documents(first[0].number, usize::MAX).unwrap();
    assert_eq!(rest.len(), 2);
    bench.ledger.taken(rest[0].number).unwrap();
    bench.reopen();
    assert_eq!(bench.ledger.documents(0, usize::MAX).unwrap(), [rest[1].clone()]);
}

#[test]
fn a_file_of_someone_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.sqlite");
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE t (a)").unwrap();
    let error = Ledger::open(&path, OPTIONS, Subject::default()).unwrap_err();
    assert!(matches!(error, LedgerError::Foreign { .. }), "{error}");
}
