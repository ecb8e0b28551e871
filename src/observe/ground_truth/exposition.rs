//! Outcomes as Prometheus sees them: counters since the ledger began, and gauges of the window that was measured last.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::options::GroundTruthOptions;
use crate::outcome::evaluation::Evaluation;
use crate::outcome::figures::{DELAY_BOUNDS_SECONDS, DelayHistogram};
use crate::outcome::ledger::ModelVersion;

/// What one pipeline shows.
#[derive(Debug)]
pub(crate) struct PublishedOutcomes {
    model_name: bool,
    prefix: String,
    window: String,
    evaluation: Mutex<Arc<Evaluation>>,
}

impl PublishedOutcomes {
    pub(crate) fn new(options: &GroundTruthOptions) -> PublishedOutcomes {
        PublishedOutcomes {
            model_name: options.model_name,
            prefix: options.prefix.clone(),
            window: options.window_text.clone(),
            evaluation: Mutex::default(),
        }
    }

    pub(crate) fn set(&self, evaluation: Evaluation) {
        *self.evaluation.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(evaluation);
    }

    /// What is shown now.
    pub(crate) fn to_show(&self) -> OutcomesToShow<'_> {
        let evaluation = Arc::clone(&self.evaluation.lock().unwrap_or_else(PoisonError::into_inner));
        OutcomesToShow { published: self, evaluation }
    }
}

/// What one pipeline shows at a moment.
#[derive(Debug)]
pub(crate) struct OutcomesToShow<'p> {
    published: &'p PublishedOutcomes,
    evaluation: Arc<Evaluation>,
}

impl OutcomesToShow<'_> {
    /// The names of its models.
    pub(crate) fn model_names(&self) -> impl Iterator<Item = &str> {
        let of_labels = self.evaluation.totals.labels.iter().map(|(version, ..)| version.model_name.as_str());
        let of_window = self.evaluation.versions.iter().map(|it| it.version.model_name.as_str());
        of_labels.chain(of_window)
    }

    /// Whether the label `model_name` is shown in any case.
    pub(crate) fn is_model_name_asked_for(&self) -> bool {
        self.published.model_name
    }
}

/// The most series of a gauge: a confusion matrix of 100 classes has 10,000 cells. The documents and `inferlog outcomes` have all.
const SERIES_MAX: usize = 1_000;

/// The gauges, with their words.
const GAUGES: [(&str, &str); 31] = [
    ("predictions_in_window", "Predictions of the window."),
    ("outcomes_in_window", "Predictions of the window whose label is known."),
    ("label_coverage_ratio", "Share of the predictions of the window whose label is known."),
    ("band_coverage_ratio", "The same by what was predicted and by band of confidence."),
    ("accuracy", "Share of the labelled predictions of the window that were right."),
    ("precision", "Of the predictions of a class, the share that was right."),
    ("recall", "Of what was of a class, the share that was predicted."),
    ("f1", "Harmonic mean of precision and recall of a class."),
    ("confusion_outcomes", "Labelled predictions of the window by what was true and what was predicted."),
    ("brier_score", "Mean squared difference of confidence and being right, 0 to 1, lower is better."),
    ("expected_calibration_error", "Mean difference of confidence and accuracy over ten bins, 0 to 1."),
    ("positive_precision", "Precision of the class that is looked for."),
    ("positive_recall", "Recall of the class that is looked for."),
    ("false_positive_rate", "Share of the others that were taken for the class that is looked for."),
    (
        "average_precision",
        "Area under precision and recall of the class that is looked for, as average_precision_score.",
    ),
    ("provisional_negatives", "Predictions without a label that are old enough to count as those of a negative."),
    ("provisional_precision", "Precision with provisional negatives."),
    ("provisional_recall", "Recall with provisional negatives."),
    ("provisional_false_positive_rate", "False-positive rate with provisional negatives."),
    ("estimated_accuracy", "Accuracy of all predictions of the window, estimated from their confidence."),
    ("estimated_accuracy_lower", "Lower end of the 95 % band of the estimate."),
    ("estimated_accuracy_upper", "Upper end of the 95 % band of the estimate."),
    ("mean_absolute_error", "Mean absolute difference of prediction and label."),
    ("root_mean_squared_error", "Root of the mean squared difference of prediction and label."),
    ("r2_score", "Coefficient of determination."),
    ("prediction_bias", "Mean of prediction less label."),
    ("review_coverage_ratio", "Share of the flagged predictions of the window that were reviewed."),
    ("review_override_ratio", "Share of the reviews that overrode the prediction."),
    ("review_oldest_open_seconds", "Age of the oldest flagged prediction that nobody has reviewed."),
    ("review_duration_median_seconds", "Median time from opening a review to its decision."),
    ("shadow_agreement_ratio", "Share of a shadow's predictions that equal those of the primary for the same request."),
];

type Labels<'v> = Vec<(&'static str, &'v str)>;

/// The series of all pipelines with one prefix.
#[derive(Default)]
struct Series<'v> {
    labels: BTreeMap<Labels<'v>, u64>,
    outcomes: BTreeMap<Labels<'v>, u64>,
    delays: BTreeMap<Labels<'v>, DelayHistogram>,
    gauges: BTreeMap<&'static str, BTreeMap<Labels<'v>, f64>>,
    waiting: u64,
    forgotten: u64,
}

/// Writes the series of all pipelines, with the model's name or without.
pub(crate) fn encode(
    shown: &[OutcomesToShow<'_>],
    model_name: bool,
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    let mut by_prefix: BTreeMap<&str, Series<'_>> = BTreeMap::new();
    for outcomes in shown {
        by_prefix.entry(&outcomes.published.prefix).or_default().add(outcomes, model_name);
    }
    by_prefix.iter().try_for_each(|(prefix, series)| series.encode(prefix, encoder))
}

fn of_version(version: &ModelVersion, model_name: bool) -> Labels<'_> {
    let name = model_name.then_some(("model_name", version.model_name.as_str()));
    name.into_iter().chain([("model_version", version.model_version.as_str())]).collect()
}

fn with<'v>(mut labels: Labels<'v>, further: &[(&'static str, &'v str)]) -> Labels<'v> {
    labels.extend(further);
    labels
}

impl<'v> Series<'v> {
    fn add(&mut self, shown: &'v OutcomesToShow<'_>, model_name: bool) {
        let OutcomesToShow { published, evaluation } = shown;
        let totals = &evaluation.totals;
        for (version, kind, outcome, count) in &totals.labels {
            let further = [("kind", kind.as_str()), ("outcome", outcome.as_str())];
            *self.labels.entry(with(of_version(version, model_name), &further)).or_default() += count;
        }
        for (version, correct, count) in &totals.outcomes {
            let further = [("correct", if *correct { "true" } else { "false" })];
            *self.outcomes.entry(with(of_version(version, model_name), &further)).or_default() += count;
        }
        for (version, delays) in &totals.delays {
            self.delays.entry(of_version(version, model_name)).or_default().merge(delays);
        }
        self.waiting += totals.waiting;
        self.forgotten += totals.forgotten;
        for measured in &evaluation.versions {
            let own = [("stage", measured.version.stage.as_str()), ("window", published.window.as_str())];
            let labels = with(of_version(&measured.version, model_name), &own);
            for figure in &measured.figures {
                let further: Vec<_> = figure.labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let series = self.gauges.entry(figure.name).or_default();
                if series.len() >= SERIES_MAX {
                    continue;
                }
                series.entry(with(labels.clone(), &further)).or_insert(figure.value);
            }
        }
    }

    fn encode(&self, prefix: &str, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_counts(prefix, encoder)?;
        for (name, help) in GAUGES {
            let Some(series) = self.gauges.get(name) else { continue };
            let name = format!("{prefix}model_{name}");
            let mut metric = encoder.encode_descriptor(&name, help, None, MetricType::Gauge)?;
            for (labels, value) in series {
                metric.encode_family(labels)?.encode_gauge(value)?;
            }
        }
        Ok(())
    }

    fn encode_counts(&self, prefix: &str, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let counters = [
            ("model_labels", "Labels and reviews by what each was to those before it.", &self.labels),
            ("model_outcomes", "Predictions whose first label came, by whether it agreed.", &self.outcomes),
        ];
        for (name, help, series) in counters.into_iter().filter(|(.., series)| !series.is_empty()) {
            let name = format!("{prefix}{name}");
            let mut metric = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
            for (labels, count) in series {
                metric.encode_family(labels)?.encode_counter::<NoLabelSet, u64, f64>(count, None)?;
            }
        }
        if !self.delays.is_empty() {
            let (name, help) =
                (format!("{prefix}model_label_delay_seconds"), "Time from a prediction to its first label.");
            let mut metric = encoder.encode_descriptor(&name, help, None, MetricType::Histogram)?;
            for (labels, delays) in &self.delays {
                let bounds = DELAY_BOUNDS_SECONDS.iter().map(|bound| *bound as f64).chain([f64::INFINITY]);
                let buckets: Vec<(f64, u64)> = bounds.zip(delays.buckets).collect();
                let (sum, count) = (delays.sum_seconds(), delays.count());
                metric.encode_family(labels)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
            }
        }
        let (name, help) = (format!("{prefix}model_labels_waiting"), "Labels whose prediction is not known yet.");
        let mut metric = encoder.encode_descriptor(&name, help, None, MetricType::Gauge)?;
        metric.encode_gauge(&(self.waiting as i64))?;
        let help = "Predictions that are too old or too many to wait for a label any longer.";
        let name = format!("{prefix}model_forgotten_predictions");
        let mut metric = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, u64, f64>(&self.forgotten, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{ModelSeries, Published};
    use crate::outcome::evaluation::{Figure, VersionEvaluation};
    use crate::outcome::label::LabelKind;
    use crate::outcome::ledger::Totals;
    use crate::outcome::truth::LabelOutcome;
    use crate::telemetry::Telemetry;

    /// One joined label of a version, one that waits, and these figures.
    fn evaluation(figures: Vec<Figure>) -> Evaluation {
        let version =
            ModelVersion { model_name: "m".to_owned(), model_version: "1".to_owned(), stage: "primary".to_owned() };
        let mut delays = DelayHistogram::default();
        delays.add(std::time::Duration::from_secs(90));
        let totals = Totals {
            labels: vec![(version.clone(), LabelKind::Truth, LabelOutcome::Joined, 2)],
            outcomes: vec![(version.clone(), true, 1), (version.clone(), false, 1)],
            delays: vec![(version.clone(), delays)],
            waiting: 3,
            forgotten: 4,
        };
        Evaluation { totals, versions: vec![VersionEvaluation { version, figures, no_estimate: None }] }
    }

    fn figure(name: &'static str, labels: &[(&'static str, &str)], value: f64) -> Figure {
        Figure { name, labels: labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(), value }
    }

    fn text(shown: Vec<(&str, Evaluation)>) -> String {
        let published = |(prefix, evaluation): (&str, Evaluation)| {
            let options = GroundTruthOptions { prefix: prefix.to_owned(), ..GroundTruthOptions::default() };
            let published = Published::of_outcomes(&options);
            published.set_outcomes(evaluation);
            published
        };
        let mut telemetry = Telemetry::default();
        telemetry.register_collector(Box::new(ModelSeries::new(shown.into_iter().map(published).collect())));
        telemetry.text()
    }

    #[test]
    fn pipelines_of_one_prefix_add_up_and_the_text_is_exactly_this() {
        let figures = |accuracy| vec![figure("accuracy", &[], accuracy), figure("recall", &[("label", "a\"b")], 0.5)];
        let shown = text(vec![("", evaluation(figures(0.25))), ("", evaluation(figures(0.75)))]);
        let mut expected = String::from(
            r#"# HELP model_labels Labels and reviews by what each was to those before it.
# TYPE model_labels counter
model_labels_total{model_version="1",kind="truth",outcome="joined"} 4
# HELP model_outcomes Predictions whose first label came, by whether it agreed.
# TYPE model_outcomes counter
model_outcomes_total{model_version="1",correct="false"} 2
model_outcomes_total{model_version="1",correct="true"} 2
# HELP model_label_delay_seconds Time from a prediction to its first label.
# TYPE model_label_delay_seconds histogram
model_label_delay_seconds_sum{model_version="1"} 180.0
model_label_delay_seconds_count{model_version="1"} 2
model_label_delay_seconds_bucket{le="60.0",model_version="1"} 0
"#,
        );
        for bound in DELAY_BOUNDS_SECONDS.iter().skip(1).map(|bound| format!("{bound}.0")).chain(["+Inf".to_owned()]) {
            expected += &format!("model_label_delay_seconds_bucket{{le=\"{bound}\",model_version=\"1\"}} 2\n");
        }
        expected += r#"# HELP model_labels_waiting Labels whose prediction is not known yet.
# TYPE model_labels_waiting gauge
model_labels_waiting 6
# HELP model_forgotten_predictions Predictions that are too old or too many to wait for a label any longer.
# TYPE model_forgotten_predictions counter
model_forgotten_predictions_total 8
# HELP model_accuracy Share of the labelled predictions of the window that were right.
# TYPE model_accuracy gauge
model_accuracy{model_version="1",stage="primary",window="30d"} 0.25
# HELP model_recall Of what was of a class, the share that was predicted.
# TYPE model_recall gauge
model_recall{model_version="1",stage="primary",window="30d",label="a\"b"} 0.5
# EOF
"#;
        assert_eq!(shown, expected);
        let apart = text(vec![("", evaluation(Vec::new())), ("x_", evaluation(Vec::new()))]);
        for line in ["model_labels_waiting 3", "x_model_labels_waiting 3", "x_model_forgotten_predictions_total 4"] {
            assert!(apart.lines().any(|shown| shown == line), "{apart}");
        }
    }

    #[test]
    fn a_gauge_has_a_limit_of_series() {
        let cell = |number: usize| figure("confusion_outcomes", &[("label", &number.to_string())], 1.0);
        let cells: Vec<Figure> = (0..SERIES_MAX + 5).map(cell).chain([figure("accuracy", &[], 0.5)]).collect();
        let shown = text(vec![("", evaluation(cells))]);
        let count = |name: &str| shown.lines().filter(|line| line.starts_with(name)).count();
        assert_eq!((count("model_confusion_outcomes{"), count("model_accuracy{")), (SERIES_MAX, 1));
    }
}
