//! The figures of outcomes, with scikit-learn as the judge: the script writes cases, the library makes figures of them, and the script
//! compares.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Command;

use inferlog::outcome::figures::{
    AveragePrecision, CalibrationTable, ClassificationSums, ConfidenceCounts, PositiveCounts, RegressionSums, estimate,
    median_of_sorted, positive_score,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::support::provided;

#[derive(Deserialize)]
#[serde(untagged)]
enum Case {
    Classification {
        prediction: Vec<String>,
        label: Vec<String>,
        confidence: Vec<Option<f64>>,
        positive: Option<String>,
    },
    Regression {
        predicted: Vec<f64>,
        r#true: Vec<f64>,
    },
    Estimate {
        known_score: Vec<f64>,
        known_label: Vec<u8>,
        live_score: Vec<f64>,
    },
    Order {
        durations: Vec<f64>,
    },
}

type Figures = Map<String, Value>;

fn put(figures: &mut Figures, name: impl Into<String>, value: impl Into<Value>) {
    assert!(figures.insert(name.into(), value.into()).is_none());
}

fn classification(outcomes: &[(String, String, Option<f64>)]) -> Figures {
    let mut sums = ClassificationSums::default();
    outcomes.iter().for_each(|(prediction, label, confidence)| sums.add(prediction, label, *confidence));
    let mut figures = Figures::new();
    put(&mut figures, "outcomes", sums.outcomes());
    put(&mut figures, "without_confidence", sums.without_confidence());
    put(&mut figures, "accuracy", sums.accuracy());
    put(&mut figures, "brier_score", sums.brier_score());
    put(&mut figures, "expected_calibration_error", sums.expected_calibration_error());
    for class in sums.confusion().classes() {
        put(&mut figures, format!("precision {}", class.class), class.precision());
        put(&mut figures, format!("recall {}", class.class), class.recall());
        put(&mut figures, format!("f1 {}", class.class), class.f1());
    }
    for cell in sums.confusion().cells() {
        put(&mut figures, format!("confusion {} {}", cell.label, cell.prediction), cell.outcomes);
    }
    for bin in sums.calibration() {
        put(&mut figures, format!("bin {} accuracy", bin.bin), bin.accuracy);
        put(&mut figures, format!("bin {} confidence", bin.bin), bin.confidence);
    }
    figures
}

fn positive(outcomes: &[(String, String, Option<f64>)], positive: &str, figures: &mut Figures) {
    let mut counts = PositiveCounts::default();
    outcomes.iter().for_each(|(prediction, label, _)| counts.add(prediction, label, positive));
    put(figures, "positive precision", counts.precision());
    put(figures, "positive recall", counts.recall());
    put(figures, "positive f1", counts.f1());
    put(figures, "positive false_positive_rate", counts.false_positive_rate());
    let score = |(prediction, label, confidence): &(String, String, Option<f64>)| {
        confidence.map(|confidence| (positive_score(prediction == positive, confidence), label == positive))
    };
    let mut scores: Vec<(f64, bool)> = outcomes.iter().filter_map(score).collect();
    scores.sort_by(|one, other| other.0.total_cmp(&one.0));
    let mut sum = AveragePrecision::default();
    scores.iter().for_each(|(score, is_positive)| sum.add(*score, *is_positive).unwrap());
    put(figures, "average_precision", sum.value());
}

fn regression(predicted: &[f64], truth: &[f64]) -> Figures {
    let mut sums = RegressionSums::default();
    predicted.iter().zip(truth).for_each(|(prediction, label)| sums.add(*prediction, *label));
    let mut figures = Figures::new();
    put(&mut figures, "outcomes", sums.outcomes());
    put(&mut figures, "mean_absolute_error", sums.mean_absolute_error());
    put(&mut figures, "root_mean_squared_error", sums.root_mean_squared_error());
    put(&mut figures, "r2_score", sums.r2_score());
    put(&mut figures, "bias", sums.bias());
    figures
}

/// Of scores of the class 1, which is predicted from one half on.
fn estimated(known_score: &[f64], known_label: &[u8], live_score: &[f64]) -> Value {
    let confidence = |score: f64| Some(score.max(1.0 - score));
    let (mut table, mut counts) = (CalibrationTable::default(), ConfidenceCounts::default());
    for (score, label) in known_score.iter().zip(known_label) {
        table.add(confidence(*score), (*score >= 0.5) == (*label == 1));
    }
    live_score.iter().for_each(|score| counts.add(confidence(*score)));
    json!(estimate(&table, &counts, 100).unwrap())
}

fn figures(case: Case) -> Value {
    match case {
        Case::Classification { prediction, label, confidence, positive: looked_for } => {
            let pairs = prediction.into_iter().zip(label).zip(confidence);
            let outcomes: Vec<_> =
                pairs.map(|((prediction, label), confidence)| (prediction, label, confidence)).collect();
            let mut figures = classification(&outcomes);
            looked_for.iter().for_each(|class| positive(&outcomes, class, &mut figures));
            figures.into()
        }
        Case::Regression { predicted, r#true } => regression(&predicted, &r#true).into(),
        Case::Estimate { known_score, known_label, live_score } => estimated(&known_score, &known_label, &live_score),
        Case::Order { durations } => json!({ "median": median_of_sorted(durations.len() as u64, durations).unwrap() }),
    }
}

/// The judge's own words: `13007 figures of 459 cases, 117 of them absent, greatest difference 8.5e-16`.
#[test]
fn the_figures_are_scikit_learns() {
    let Some(python) = provided("INFERLOG_TEST_PYTHON", "the_figures_are_scikit_learns") else { return };
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/numpy/outcomes.py");
    let run = |task: &str| {
        let mut command = Command::new(&python);
        command.arg(&script).arg(task).arg(folder.path());
        command.args(std::env::var_os("INFERLOG_TEST_NANNYML").map(|_| "--nannyml"));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{task}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said
    };
    run("write");
    let cases = BufReader::new(File::open(folder.path().join("cases.ndjson")).unwrap());
    let mut lines = Vec::new();
    for line in cases.lines() {
        let case = serde_json::from_str(&line.unwrap()).unwrap();
        writeln!(lines, "{}", figures(case)).unwrap();
    }
    fs::write(folder.path().join("figures.ndjson"), lines).unwrap();
    let said = run("judge");
    let counts: Vec<u64> = said.lines().filter_map(|line| line.split_once(" figures of ")?.0.parse().ok()).collect();
    assert!(counts.len() == 1 && counts[0] >= 12_000, "{said}");
    println!("{said}");
}
