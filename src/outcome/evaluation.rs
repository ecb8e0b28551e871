//! The evaluation: what does the ledger say of each model version, over the window?
//!
//! The window is of predictions: those of the last so long, with the labels that are known of them by now. What confidence is worth
//! is learnt from all that are kept, since labels may come later than a window is long. It is one walk through them, and one more in
//! the order of scores where a class is looked for. A version with fewer labels than `min_labels` has no figures
//! that rest on labels.

use std::time::Duration;

use super::figures::{
    AveragePrecision, CalibrationTable, ClassificationSums, ConfidenceCounts, Estimate, LabelCoverage, PositiveCounts,
    RegressionSums, ReviewSums, Withheld, estimate, median_of_sorted, positive_score,
};
use super::label;
use super::ledger::{Ledger, LedgerError, ModelVersion, Totals, WindowRow};

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Measured<'m> {
    /// What is predicted are numbers, and not classes.
    pub is_regression: bool,
    /// The class that is looked for.
    pub positive: Option<&'m str>,
    /// A prediction without a label counts as one of a negative after so long, by itself.
    pub negative_after: Option<Duration>,
    /// Predictions of the last so long are measured.
    pub window: Duration,
    /// The fewest labels of a version.
    pub min_labels: u64,
}

/// What was measured.
#[derive(Clone, Debug, Default)]
pub struct Evaluation {
    /// What was counted since the ledger began.
    pub totals: Totals,
    /// Each version with a prediction in the window.
    pub versions: Vec<VersionEvaluation>,
}

/// What was measured of one version.
#[derive(Clone, Debug)]
pub struct VersionEvaluation {
    /// Which one.
    pub version: ModelVersion,
    /// Its figures by name, with the labels that tell those of one name apart. What cannot be told is not among them.
    pub figures: Vec<Figure>,
    /// Why there is no estimate of the accuracy.
    pub no_estimate: Option<Withheld>,
}

impl VersionEvaluation {
    /// The figure of this name, of those that there is one of.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|figure| figure.name == name && figure.labels.is_empty()).map(|figure| figure.value)
    }
}

/// A number that was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Its name: that of the metric without `model_`.
    pub name: &'static str,
    /// `label`, `prediction`, and `confidence`, where there is one for each.
    pub labels: Vec<(&'static str, String)>,
    /// The number.
    pub value: f64,
}

/// What is added up of one version.
#[derive(Default)]
struct Sums {
    predictions: u64,
    labelled: u64,
    classification: ClassificationSums,
    positive: PositiveCounts,
    average_precision: AveragePrecision,
    provisional: PositiveCounts,
    provisional_negatives: u64,
    regression: RegressionSums,
    learnt: CalibrationTable,
    confidences: ConfidenceCounts,
    coverage: LabelCoverage,
    reviews: ReviewSums,
    /// How long reviews took, in seconds. People decide on them, so there are few.
    durations: Vec<f64>,
}

/// Measures what a ledger holds at a moment, in microseconds since 1970.
///
/// # Errors
/// When it cannot be read.
pub fn evaluate(ledger: &Ledger, measured: &Measured<'_>, now_us: i64) -> Result<Evaluation, LedgerError> {
    let from_us = now_us.saturating_sub(microseconds(measured.window));
    let mut sums: Vec<Sums> = ledger.versions().iter().map(|_| Sums::default()).collect();
    ledger.each_prediction(|row| {
        let Some(sums) = sums.get_mut(row.version) else { return };
        if let Some(label) = row.label.filter(|_| !measured.is_regression) {
            sums.learnt.add(row.confidence, row.prediction == label);
        }
        if row.time_us >= from_us {
            sums.add(&row, measured, now_us);
        }
    })?;
    if let Some(positive) = measured.positive.filter(|_| !measured.is_regression) {
        ledger.each_by_score(from_us, positive, |row| {
            if let (Some(sums), Some(confidence)) = (sums.get_mut(row.version), row.confidence) {
                let score = positive_score(row.prediction == positive, confidence);
                // The order is the ledger's own.
                let _ = sums.average_precision.add(score, row.label == Some(positive));
            }
        })?;
    }
    let agreement = ledger.shadow_agreement(from_us)?;
    let versions = ledger.versions().iter().zip(sums).enumerate().filter(|(_, (_, sums))| sums.predictions > 0);
    let versions = versions.map(|(place, (version, sums))| {
        let (mut figures, no_estimate) = sums.figures(measured, now_us);
        if let Some((compared, equal)) = agreement.get(&place) {
            figures.push(figure("shadow_agreement_ratio", Some(*equal as f64 / *compared as f64)));
        }
        let figures = figures.into_iter().flatten().collect();
        VersionEvaluation { version: version.clone(), figures, no_estimate }
    });
    Ok(Evaluation { totals: ledger.totals()?, versions: versions.collect() })
}

impl Sums {
    fn add(&mut self, row: &WindowRow<'_>, measured: &Measured<'_>, now_us: i64) {
        self.predictions += 1;
        self.coverage.add(row.prediction, row.confidence, row.label.is_some());
        self.add_review(row);
        if measured.is_regression {
            if let Some(label) = row.label {
                self.labelled += 1;
                let number = |text: &str| text.parse().unwrap_or(f64::NAN);
                self.regression.add(number(row.prediction), number(label));
            }
            return;
        }
        self.confidences.add(row.confidence);
        let Some(label) = row.label else {
            self.add_unlabelled(row, measured, now_us);
            return;
        };
        self.labelled += 1;
        self.classification.add(row.prediction, label, row.confidence);
        if let Some(positive) = measured.positive {
            self.positive.add(row.prediction, label, positive);
            self.provisional.add(row.prediction, label, positive);
        }
    }

    /// One that has waited for long enough counts as one of a negative, by itself: nobody has said that it was not.
    fn add_unlabelled(&mut self, row: &WindowRow<'_>, measured: &Measured<'_>, now_us: i64) {
        if let (Some(positive), Some(after)) = (measured.positive, measured.negative_after)
            && row.time_us <= now_us.saturating_sub(microseconds(after))
        {
            let negative = if row.prediction == positive { "" } else { row.prediction };
            self.provisional.add(row.prediction, negative, positive);
            self.provisional_negatives += 1;
        }
    }

    fn add_review(&mut self, row: &WindowRow<'_>) {
        if row.flagged {
            self.reviews.add_flagged(row.time_us / 1_000, row.decision.is_some());
        }
        if let Some(decision) = row.decision.and_then(label::decision) {
            self.reviews.add_decision(decision);
            self.durations.extend(row.duration_us.filter(|us| *us >= 0).map(|us| us as f64 / 1e6));
        }
    }

    fn figures(mut self, measured: &Measured<'_>, now_us: i64) -> (Vec<Option<Figure>>, Option<Withheld>) {
        let mut figures = vec![
            figure("predictions_in_window", Some(self.predictions as f64)),
            figure("outcomes_in_window", Some(self.labelled as f64)),
            figure("label_coverage_ratio", self.coverage.ratio()),
        ];
        for cell in self.coverage.cells() {
            let [from, to] = cell.confidence.unwrap_or([f64::NAN; 2]);
            let band = cell.confidence.map_or("none".to_owned(), |_| format!("{from:.1}-{to:.1}"));
            let labels = vec![("prediction", cell.decision.to_owned()), ("confidence", band)];
            figures.push(of_class("band_coverage_ratio", labels, cell.ratio()));
        }
        if self.labelled >= measured.min_labels {
            match measured.is_regression {
                true => self.add_regression(&mut figures),
                false => self.add_classification(measured, &mut figures),
            }
        }
        if measured.negative_after.is_some() {
            figures.push(figure("provisional_negatives", Some(self.provisional_negatives as f64)));
            figures.push(figure("provisional_precision", self.provisional.precision()));
            figures.push(figure("provisional_recall", self.provisional.recall()));
            figures.push(figure("provisional_false_positive_rate", self.provisional.false_positive_rate()));
        }
        figures.push(figure("review_coverage_ratio", self.reviews.coverage_ratio()));
        figures.push(figure("review_override_ratio", self.reviews.override_ratio()));
        figures.push(figure("review_oldest_open_seconds", self.reviews.oldest_open_seconds(now_us / 1_000)));
        self.durations.sort_by(f64::total_cmp);
        let median = median_of_sorted(self.durations.len() as u64, self.durations.iter().copied());
        figures.push(figure("review_duration_median_seconds", median.ok().flatten()));
        let mut no_estimate = None;
        if !measured.is_regression {
            match estimate(&self.learnt, &self.confidences, measured.min_labels) {
                Ok(Estimate { accuracy, lower, upper, .. }) => {
                    figures.push(figure("estimated_accuracy", Some(accuracy)));
                    figures.push(figure("estimated_accuracy_lower", Some(lower)));
                    figures.push(figure("estimated_accuracy_upper", Some(upper)));
                }
                Err(withheld) => no_estimate = Some(withheld),
            }
        }
        (figures, no_estimate)
    }

    fn add_classification(&self, measured: &Measured<'_>, figures: &mut Vec<Option<Figure>>) {
        let sums = &self.classification;
        figures.push(figure("accuracy", sums.accuracy()));
        figures.push(figure("brier_score", sums.brier_score()));
        figures.push(figure("expected_calibration_error", sums.expected_calibration_error()));
        for class in sums.confusion().classes() {
            for (name, value) in [("precision", class.precision()), ("recall", class.recall()), ("f1", class.f1())] {
                figures.push(of_class(name, vec![("label", class.class.to_owned())], value));
            }
        }
        for cell in sums.confusion().cells() {
            let labels = vec![("label", cell.label.to_owned()), ("prediction", cell.prediction.to_owned())];
            figures.push(of_class("confusion_outcomes", labels, Some(cell.outcomes as f64)));
        }
        if measured.positive.is_some() {
            figures.push(figure("positive_precision", self.positive.precision()));
            figures.push(figure("positive_recall", self.positive.recall()));
            figures.push(figure("false_positive_rate", self.positive.false_positive_rate()));
            figures.push(figure("average_precision", self.average_precision.value()));
        }
    }

    fn add_regression(&self, figures: &mut Vec<Option<Figure>>) {
        let sums = &self.regression;
        figures.push(figure("mean_absolute_error", sums.mean_absolute_error()));
        figures.push(figure("root_mean_squared_error", sums.root_mean_squared_error()));
        figures.push(figure("r2_score", sums.r2_score()));
        figures.push(figure("prediction_bias", sums.bias()));
    }
}

fn figure(name: &'static str, value: Option<f64>) -> Option<Figure> {
    of_class(name, Vec::new(), value)
}

fn of_class(name: &'static str, labels: Vec<(&'static str, String)>, value: Option<f64>) -> Option<Figure> {
    Some(Figure { name, labels, value: value? })
}

fn microseconds(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::batch::Id;
    use crate::outcome::Subject;
    use crate::outcome::ledger::{LabelLine, LedgerOptions};
    use crate::outcome::prediction::{Prediction, Predictions};

    const SECOND_US: i64 = 1_000_000;

    /// The moment at which all is measured: the window is of the second 1,000 and those behind it.
    const NOW_US: i64 = 2_000 * SECOND_US;

    const MEASURED: Measured<'_> = Measured {
        is_regression: false,
        positive: None,
        negative_after: None,
        window: Duration::from_secs(1_000),
        min_labels: 1,
    };

    /// What a ledger says of `second request version stage prediction confidence [flagged]` and of label lines.
    fn evaluation(predictions: &[&str], labels: &[&str], measured: &Measured<'_>) -> Evaluation {
        let folder = tempfile::tempdir().unwrap();
        let long = Duration::from_secs(100_000);
        let options = LedgerOptions { keep: long, predictions_max: 1_000, patience: long };
        let mut ledger = Ledger::open(&folder.path().join("outcomes.sqlite"), options, Subject::default()).unwrap();
        let mut taken = Predictions::default();
        for (number, words) in predictions.iter().enumerate() {
            let words: Vec<&str> = words.split_whitespace().collect();
            taken.push(&Prediction {
                request_id: words[1],
                batch_index: None,
                model_name: "",
                model_version: words[2],
                stage: words[3],
                time_us: words[0].parse::<i64>().unwrap() * SECOND_US,
                record_id: Id::new(0, [number as u8; 16]),
                prediction: words[4],
                confidence: words[5].parse().ok(),
                flagged: words.len() > 6,
            });
        }
        let read = |(number, line): (usize, &&str)| LabelLine::read(number.to_string(), NOW_US, line).expect(line);
        let labels: Vec<LabelLine> = labels.iter().enumerate().map(read).collect();
        ledger.enter(&taken, &labels, None, NOW_US).unwrap();
        evaluate(&ledger, measured, NOW_US).unwrap()
    }

    /// Checks figures of a version: each by its name and the values of its labels; `None` is one that is not shown.
    fn check(evaluation: &Evaluation, version: &str, expected: &[(&str, Option<f64>)]) {
        let is_it = |it: &&VersionEvaluation| it.version.model_version == version;
        let found = evaluation.versions.iter().find(is_it).unwrap_or_else(|| panic!("no version {version}"));
        for (name, expected) in expected {
            let named = |figure: &&Figure| {
                let values = figure.labels.iter().map(|(_, value)| value.as_str());
                [figure.name].into_iter().chain(values).collect::<Vec<_>>().join(" ") == *name
            };
            let value = found.figures.iter().find(named).map(|figure| figure.value);
            let is_close = match (value, expected) {
                (Some(value), Some(expected)) => (value - expected).abs() < 1e-9,
                (value, expected) => value == *expected,
            };
            assert!(is_close, "{name} is {value:?}, not {expected:?}: {:?}", found.figures);
        }
    }

    /// One of each kind that is labelled, three that are not, one outside of the window, and two of a shadow.
    const PREDICTIONS: [&str; 10] = [
        "1500 a 1 primary fraud 0.9",
        "1500 b 1 primary fraud 0.8",
        "1500 c 1 primary ok 0.7",
        "1500 d 1 primary ok 0.6 flagged",
        "1500 e 1 primary ok 0.9 flagged",
        "1900 f 1 primary fraud 0.9",
        "1600 g 1 primary fraud 0.6",
        "500 h 1 primary ok 0.9",
        "1500 a 2 shadow fraud 0.9",
        "1500 b 2 shadow ok -",
    ];

    const LABELS: [&str; 6] = [
        r#"{"request_id":"a","label":"fraud"}"#,
        r#"{"request_id":"b","label":"ok"}"#,
        r#"{"request_id":"c","label":"ok"}"#,
        r#"{"request_id":"d","label":"fraud"}"#,
        r#"{"request_id":"h","label":"fraud"}"#,
        r#"{"request_id":"d","kind":"review","decision":"overridden","opened":1795428000,"decided":1795428060}"#,
    ];

    #[test]
    fn figures_of_classes_reviews_and_a_shadow_are_those_by_hand() {
        let measured = Measured {
            positive: Some("fraud"),
            negative_after: Some(Duration::from_secs(300)),
            min_labels: 4,
            ..MEASURED
        };
        let evaluation = evaluation(&PREDICTIONS, &LABELS, &measured);
        check(
            &evaluation,
            "1",
            &[
                ("predictions_in_window", Some(7.0)),
                ("outcomes_in_window", Some(4.0)),
                ("label_coverage_ratio", Some(4.0 / 7.0)),
                ("band_coverage_ratio fraud 0.8-0.9", Some(0.5)),
                ("band_coverage_ratio ok 0.5-0.6", Some(1.0)),
                ("accuracy", Some(0.5)),
                ("precision fraud", Some(0.5)),
                ("recall ok", Some(0.5)),
                ("f1 fraud", Some(0.5)),
                ("confusion_outcomes fraud fraud", Some(1.0)),
                ("confusion_outcomes ok fraud", Some(1.0)),
                ("brier_score", Some((0.01 + 0.64 + 0.09 + 0.36) / 4.0)),
                ("expected_calibration_error", Some((0.1 + 0.8 + 0.3 + 0.6) / 4.0)),
                ("positive_precision", Some(0.5)),
                ("positive_recall", Some(0.5)),
                ("false_positive_rate", Some(0.5)),
                ("average_precision", Some(0.5 * 1.0 + 0.5 * 2.0 / 3.0)),
                ("provisional_negatives", Some(2.0)),
                ("provisional_precision", Some(1.0 / 3.0)),
                ("provisional_recall", Some(0.5)),
                ("provisional_false_positive_rate", Some(0.5)),
                ("review_coverage_ratio", Some(0.5)),
                ("review_override_ratio", Some(1.0)),
                ("review_oldest_open_seconds", Some(500.0)),
                ("review_duration_median_seconds", Some(60.0)),
                ("shadow_agreement_ratio", None),
                ("mean_absolute_error", None),
            ],
        );
        check(
            &evaluation,
            "2",
            &[
                ("outcomes_in_window", Some(2.0)),
                ("band_coverage_ratio ok none", Some(1.0)),
                ("shadow_agreement_ratio", Some(0.5)),
                ("accuracy", None),
                ("precision fraud", None),
                ("average_precision", None),
                ("review_coverage_ratio", None),
            ],
        );
    }

    #[test]
    fn what_rests_on_labels_is_withheld_with_too_few_and_what_is_not_asked_for_is_not_there() {
        for (min_labels, accuracy) in [(4, Some(0.5)), (5, None)] {
            let evaluation = evaluation(&PREDICTIONS, &LABELS, &Measured { min_labels, ..MEASURED });
            let absent = ["positive_precision", "average_precision", "provisional_negatives", "provisional_recall"];
            check(&evaluation, "1", &absent.map(|name| (name, None)));
            check(&evaluation, "1", &[("outcomes_in_window", Some(4.0)), ("accuracy", accuracy), ("f1 ok", accuracy)]);
        }
    }

    #[test]
    fn figures_of_numbers_are_those_by_hand() {
        let predictions = ["1500 a 1 primary 3 -", "1500 b 1 primary 5 -", "1500 c 1 primary 9 -"];
        let labels = [r#"{"request_id":"a","label":2}"#, r#"{"request_id":"b","label":"7.0"}"#];
        for (min_labels, shown) in [(2, true), (3, false)] {
            let measured = Measured { is_regression: true, min_labels, ..MEASURED };
            let figures = [
                ("mean_absolute_error", 1.5),
                ("root_mean_squared_error", 2.5_f64.sqrt()),
                ("r2_score", 0.6),
                ("prediction_bias", -0.5),
            ];
            let evaluation = evaluation(&predictions, &labels, &measured);
            check(&evaluation, "1", &figures.map(|(name, value)| (name, shown.then_some(value))));
            let absent = ["accuracy", "brier_score", "estimated_accuracy"].map(|name| (name, None));
            check(&evaluation, "1", &absent);
            check(&evaluation, "1", &[("label_coverage_ratio", Some(2.0 / 3.0))]);
        }
    }

    #[test]
    fn the_estimate_learns_from_labels_of_predictions_that_the_window_has_left() {
        let old: Vec<String> = (0..10).map(|number| format!("500 old{number} 1 primary x 0.9")).collect();
        let new: Vec<String> = (0..5).map(|number| format!("1500 new{number} 1 primary x 0.9")).collect();
        let predictions: Vec<&str> = old.iter().chain(&new).map(String::as_str).collect();
        let label = |number: usize| {
            format!(r#"{{"request_id":"old{number}","label":"{}"}}"#, if number == 0 { "y" } else { "x" })
        };
        let labels: Vec<String> = (0..10).map(label).collect();
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        for (min_labels, estimated, withheld) in [(10, Some(0.9), None), (11, None, Some("few_labels"))] {
            let evaluation = evaluation(&predictions, &labels, &Measured { min_labels, ..MEASURED });
            let expected = [("outcomes_in_window", Some(0.0)), ("accuracy", None), ("estimated_accuracy", estimated)];
            check(&evaluation, "1", &expected);
            assert_eq!(evaluation.versions[0].no_estimate.as_ref().map(Withheld::name), withheld);
        }
    }
}
