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
