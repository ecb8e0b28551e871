//! Estimated accuracy where the truth is known: how often is the accuracy that the predictions turn out to have within the band?

use super::{CalibrationTable, ConfidenceCounts, estimate};

const SEED: u64 = 20_261_127;

const DRAWS: usize = 1_000;

/// How a model is sure, and how often it is right when it is.
struct Scenario {
    name: &'static str,
    labels: usize,
    predictions: usize,
    /// Confidences of what is labelled, and of what is not yet.
    labelled: fn(&mut fastrand::Rng) -> f64,
    live: fn(&mut fastrand::Rng) -> f64,
    /// Probability of being right at a confidence.
    truth: fn(f64) -> f64,
}

fn even(random: &mut fastrand::Rng) -> f64 {
    0.5 + random.f64() / 2.0
}

/// Most near 1.
fn sure(random: &mut fastrand::Rng) -> f64 {
    1.0 - random.f64().powi(4) / 2.0
}

/// Most near one half.
fn unsure(random: &mut fastrand::Rng) -> f64 {
    0.5 + random.f64().powi(2) / 2.0
}

const SCENARIOS: [Scenario; 7] = [
    Scenario {
        name: "as sure as it is right",
        labels: 1_000,
        predictions: 1_000,
        labelled: even,
        live: even,
        truth: |c| c,
    },
    Scenario {
        name: "too sure",
        labels: 1_000,
        predictions: 5_000,
        labelled: even,
        live: even,
        truth: |c| 0.3 + c / 2.0,
    },
    Scenario {
        name: "less sure than before",
        labels: 2_000,
        predictions: 2_000,
        labelled: even,
        live: unsure,
        truth: |c| c,
    },
    Scenario { name: "surer than before", labels: 5_000, predictions: 1_000, labelled: even, live: sure, truth: |c| c },
    Scenario {
        name: "nearly always right",
        labels: 2_000,
        predictions: 2_000,
        labelled: sure,
        live: sure,
        truth: |c| 0.99 + c / 100.0,
    },
    Scenario {
        name: "the surer, the worse",
        labels: 1_000,
        predictions: 1_000,
        labelled: even,
        live: sure,
        truth: |c| 1.4 - c,
    },
    Scenario { name: "few labels", labels: 200, predictions: 10_000, labelled: even, live: even, truth: |c| c },
];

/// Shares of the draws with an estimate, and of these with the truth within the band; mean of estimate − truth.
fn simulate(scenario: &Scenario) -> (f64, f64, f64) {
    let mut random = fastrand::Rng::with_seed(SEED);
    let (mut estimates, mut within, mut apart) = (0, 0, 0.0);
    for _ in 0..DRAWS {
        let mut table = CalibrationTable::default();
        for _ in 0..scenario.labels {
            let confidence = (scenario.labelled)(&mut random);
            table.add(Some(confidence), random.f64() < (scenario.truth)(confidence));
        }
        let (mut counts, mut correct) = (ConfidenceCounts::default(), 0);
        for _ in 0..scenario.predictions {
            let confidence = (scenario.live)(&mut random);
            counts.add(Some(confidence));
            correct += usize::from(random.f64() < (scenario.truth)(confidence));
        }
        let truth = correct as f64 / scenario.predictions as f64;
        if let Ok(found) = estimate(&table, &counts, 100) {
            estimates += 1;
            within += usize::from((found.lower..=found.upper).contains(&truth));
            apart += found.accuracy - truth;
        }
    }
    let count = estimates as f64;
    (count / DRAWS as f64, within as f64 / count, apart / count)
}

#[test]
fn the_truth_is_within_the_band() {
    for scenario in &SCENARIOS {
        let (estimates, within, apart) = simulate(scenario);
        println!("{}: {estimates} {within} {apart:+.5}", scenario.name);
        assert!(estimates > 0.9, "{}: only {estimates} of the draws have an estimate", scenario.name);
        assert!(within >= 0.93, "{}: the truth is within the band in {within} of the draws", scenario.name);
        assert!(apart.abs() < 0.003, "{}: {apart} apart on average", scenario.name);
    }
}
