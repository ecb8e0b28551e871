//! Sums are the same after any order of adding, and parts add up to the whole.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// One outcome of every kind of sum.
#[derive(Clone, Debug)]
struct Outcome {
    prediction: String,
    label: String,
    confidence: Option<f64>,
    number: f64,
    truth: f64,
}

fn outcome() -> impl Strategy<Value = Outcome> {
    // More names than there are places.
    let name = prop_oneof![(0..3_u8).prop_map(|number| format!("c{number}")), "[a-z]{1,2}", Just("x".repeat(300))];
    let confidence =
        prop_oneof![Just(None), (0.0..=1.0).prop_map(Some), (0..=20_u8).prop_map(|n| Some(f64::from(n) / 20.0))];
    let number = prop_oneof![-1e3..1e3, Just(1e15), Just(0.1), any::<f32>().prop_map(f64::from)];
    (name.clone(), name, confidence, number.clone(), number).prop_map(
        |(prediction, label, confidence, number, truth)| Outcome { prediction, label, confidence, number, truth },
    )
}

#[derive(Clone, Default)]
struct Sums {
    classification: ClassificationSums,
    regression: RegressionSums,
    positive: PositiveCounts,
    table: CalibrationTable,
    confidences: ConfidenceCounts,
    coverage: LabelCoverage,
    delays: DelayHistogram,
    reviews: ReviewSums,
}

impl Sums {
    fn of<'o>(outcomes: impl IntoIterator<Item = &'o Outcome>) -> Sums {
        let mut sums = Sums::default();
        outcomes.into_iter().for_each(|outcome| sums.add(outcome));
        sums
    }

    fn add(&mut self, outcome: &Outcome) {
        let Outcome { prediction, label, confidence, number, truth } = outcome;
        self.classification.add(prediction, label, *confidence);
        self.regression.add(*number, *truth);
        self.positive.add(prediction, label, "c1");
        self.table.add(*confidence, prediction == label);
        self.confidences.add(*confidence);
        self.coverage.add(prediction, *confidence, label > prediction);
        self.delays.add(Duration::from_secs_f64(number.abs().min(1e9)));
        self.reviews.add_flagged(*truth as i64, label > prediction);
        self.reviews.add_decision(if label == prediction { Decision::Upheld } else { Decision::Overridden });
    }

    fn merge(&mut self, other: &Sums) {
        self.classification.merge(&other.classification);
        self.regression.merge(&other.regression);
        self.positive.merge(&other.positive);
        self.table.merge(&other.table);
        self.confidences.merge(&other.confidences);
        self.coverage.merge(&other.coverage);
        self.delays.merge(&other.delays);
        self.reviews.merge(&other.reviews);
    }

    /// Bit for bit, those of regression by what they give: their parts may be others of the same sum.
    fn check(&self, other: &Sums) {
        assert_eq!(self.classification, other.classification);
        assert_eq!(figures(&self.regression), figures(&other.regression));
        assert_eq!(self.positive, other.positive);
        assert_eq!((&self.table, &self.confidences), (&other.table, &other.confidences));
        assert_eq!(self.coverage, other.coverage);
        assert_eq!((self.delays, self.reviews), (other.delays, other.reviews));
    }
}

fn figures(sums: &RegressionSums) -> (u64, u64, [Option<u64>; 4]) {
    let figures = [sums.mean_absolute_error(), sums.root_mean_squared_error(), sums.r2_score(), sums.bias()];
    (sums.outcomes(), sums.not_finite(), figures.map(|figure| figure.map(f64::to_bits)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn order_and_parts_change_nothing(
        mut outcomes in prop::collection::vec(outcome(), 0..400),
        seed in any::<u64>(),
        cut in 0..400_usize,
    ) {
        let whole = Sums::of(&outcomes);
        fastrand::Rng::with_seed(seed).shuffle(&mut outcomes);
        Sums::of(&outcomes).check(&whole);
        let (first, second) = outcomes.split_at(cut.min(outcomes.len()));
        let mut parts = Sums::of(first);
        parts.merge(&Sums::of(second));
        parts.check(&whole);
    }

    /// By the definition, in which every outcome looks at all others.
    #[test]
    fn average_precision_is_its_definition(
        mut outcomes in prop::collection::vec(((0..12_u8).prop_map(|n| f64::from(n) / 11.0), any::<bool>()), 0..60),
    ) {
        let positives = outcomes.iter().filter(|outcome| outcome.1).count();
        let precision_at = |score: f64| {
            let above = outcomes.iter().filter(|outcome| outcome.0 >= score);
            above.clone().filter(|outcome| outcome.1).count() as f64 / above.count() as f64
        };
        let sum: f64 = outcomes.iter().filter(|outcome| outcome.1).map(|outcome| precision_at(outcome.0)).sum();
        let expected = (positives > 0).then(|| sum / positives as f64);
        outcomes.sort_by(|one, other| other.0.total_cmp(&one.0));
        let mut found = AveragePrecision::default();
        outcomes.iter().for_each(|(score, is_positive)| found.add(*score, *is_positive).unwrap());
        prop_assert_eq!(found.value().is_some(), expected.is_some());
        prop_assert!((found.value().unwrap_or(0.0) - expected.unwrap_or(0.0)).abs() < 1e-12);
    }
}
