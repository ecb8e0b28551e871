//! Windows by the thousand, with and without drift: how often does the plain index exceed 0.2, and how often is there an alarm?
//!
//! `--long` simulates 10,000 windows for each row of the table in `docs/drift.md`, otherwise 200. One seed, so that the
//! result is always the same.

use std::io::Write as _;

use super::edges::{equal_width, quantile, slot};
use super::{
    Baseline, Distribution, EdgesKind, FeatureBaseline, FeatureCounts, Kind, Numeric, Thresholds, WindowCounts, measure,
};

const SEED: u64 = 20_261_126;

const TRAINED: usize = 10_000;

const WINDOWS_LONG: usize = 10_000;

/// A normal variable (Box and Muller).
fn normal(random: &mut fastrand::Rng) -> f64 {
    let (radius, angle) = ((1.0 - random.f64()).ln() * -2.0, random.f64() * std::f64::consts::TAU);
    radius.sqrt() * angle.cos()
}

fn trained(edges_kind: EdgesKind, random: &mut fastrand::Rng) -> Baseline {
    let mut values: Vec<f64> = (0..TRAINED).map(|_| normal(random)).collect();
    values.sort_by(f64::total_cmp);
    let (min, max) = (values[0], values[TRAINED - 1]);
    let edges = match edges_kind {
        EdgesKind::EqualWidth => equal_width(min, max, 10),
        EdgesKind::Quantile => quantile(&values, 10),
    };
    let mut counts = FeatureCounts { buckets: vec![0; edges.len() - 1], ..FeatureCounts::default() };
    values.iter().for_each(|value| counts.add(slot(&edges, *value)));
    let numeric =
        Numeric { edges_kind, edges, counts: counts.buckets, not_finite: 0, mean: None, deviation: None, min, max };
    let (name, distribution) = ("normal".to_owned(), Distribution::Numeric(numeric));
    let count = TRAINED as u64;
    let feature = FeatureBaseline { name, kind: Kind::Feature, count, missing: 0, missing_share: 0.0, distribution };
    Baseline {
        model_name: None,
        model_version: None,
        fallback: true,
        sources: Vec::new(),
        rows: count,
        features: vec![feature],
    }
}

/// What the windows of one size showed.
#[derive(Debug)]
struct Row {
    /// Share of windows in which the plain index is above 0.2.
    above: f64,
    /// Share of windows with an alarm, and with one if any number of values were enough.
    alarms: f64,
    alarms_of_any_size: f64,
    /// Mean of the plain index, and of what is said to be chance.
    mean: f64,
    by_chance: f64,
    /// Share of windows with a p-value of at most 0.05.
    below_5_percent: f64,
}

/// What is moved, and by how many deviations.
#[derive(Clone, Copy, Debug)]
struct Shift {
    share: f64,
    by: f64,
}

fn simulate(edges_kind: EdgesKind, n: usize, shift: Shift, windows: usize) -> Row {
    let mut random = fastrand::Rng::with_seed(SEED ^ n as u64);
    let mut row =
        Row { above: 0.0, alarms: 0.0, alarms_of_any_size: 0.0, mean: 0.0, by_chance: 0.0, below_5_percent: 0.0 };
    let any_size = Thresholds { min_sample: Some(1), ..Thresholds::default() };
    let mut baseline = trained(edges_kind, &mut random);
    for window in 0..windows {
        if window % 10 == 9 {
            baseline = trained(edges_kind, &mut random);
        }
        let Distribution::Numeric(Numeric { edges, .. }) = &baseline.features[0].distribution else { panic!() };
        let mut counts = WindowCounts::new(&baseline);
        for _ in 0..n {
            let moved = if random.f64() < shift.share { shift.by } else { 0.0 };
            counts.add(&[slot(edges, normal(&mut random) + moved)]);
        }
        let report = measure(&baseline, &counts, &Thresholds::default()).remove(0);
        let measures = report.measures.unwrap();
        let part = |is: bool| if is { 1.0 / windows as f64 } else { 0.0 };
        row.above += part(measures.psi > 0.2);
        row.alarms += part(report.is_alarm());
        row.alarms_of_any_size += part(measure(&baseline, &counts, &any_size)[0].is_alarm());
        row.mean += measures.psi / windows as f64;
        row.by_chance += measures.psi_by_chance / windows as f64;
        row.below_5_percent += part(measures.p_value <= 0.05);
    }
    row
}

fn windows() -> usize {
    if std::env::var_os("INFERLOG_TEST_LONG").is_some() { WINDOWS_LONG } else { 200 }
}

/// The rows; of 10,000 windows they are printed past the capture of output: they are the table of the documents.
fn rows(shift: Shift, sizes: &[usize]) -> Vec<(EdgesKind, usize, Row)> {
    let both = [EdgesKind::EqualWidth, EdgesKind::Quantile];
    let cases = both.iter().flat_map(|kind| sizes.iter().map(|n| (*kind, *n)));
    let mut rows = Vec::new();
    for (kind, n) in cases {
        let row = simulate(kind, n, shift, windows());
        if windows() == WINDOWS_LONG {
            let line = format!("{} n={n} {shift:?}: {row:?}\n", kind.name());
            std::io::stderr().write_all(line.as_bytes()).unwrap();
        }
        rows.push((kind, n, row));
    }
    rows
}

#[test]
fn without_drift_nothing_alarms() {
    for (kind, n, row) in rows(Shift { share: 0.0, by: 0.0 }, &[50, 100, 300, 500, 1_000, 5_000]) {
        let case = format!("{} {n}: {row:?}", kind.name());
        assert_eq!(row.alarms, 0.0, "{case}");
        assert!((row.mean / row.by_chance - 1.0).abs() < 0.15, "chance is not what it is said to be: {case}");
        assert!(row.below_5_percent <= 0.1, "the p-value is not what it says: {case}");
        assert!(n < 100 || row.below_5_percent >= 0.01, "the p-value is not what it says: {case}");
        match (kind, n) {
            (EdgesKind::EqualWidth, 50) => assert!(row.above > 0.5, "{case}"),
            (EdgesKind::EqualWidth, 100) => assert!(row.above > 0.1, "{case}"),
            (EdgesKind::EqualWidth, 500..) | (EdgesKind::Quantile, 300..) => assert!(row.above < 0.01, "{case}"),
            _ => {}
        }
        assert!(row.alarms_of_any_size <= 0.01, "significance alone does not hold back: {case}");
    }
}

#[test]
fn a_tenth_out_of_range_is_found_where_there_are_values_enough() {
    found_where_there_are_values_enough(Shift { share: 0.1, by: 5.0 });
}

#[test]
fn a_shift_of_all_is_found_where_there_are_values_enough() {
    found_where_there_are_values_enough(Shift { share: 1.0, by: 0.75 });
}

fn found_where_there_are_values_enough(shift: Shift) {
    for (kind, n, row) in rows(shift, &[100, 300, 500, 1_000, 5_000]) {
        let is_enough = n >= if kind == EdgesKind::Quantile { 300 } else { 500 };
        let is_as_expected = if is_enough { row.alarms > 0.9 } else { row.alarms == 0.0 };
        assert!(is_as_expected, "{} {n}: {row:?}", kind.name());
    }
}

#[test]
fn a_tenth_that_moves_within_the_range_is_significant_and_below_the_threshold() {
    for (kind, n, row) in rows(Shift { share: 0.1, by: 3.0 }, &[500, 1_000, 5_000]) {
        assert!(row.below_5_percent > 0.9 && row.mean < 0.2, "{} {n}: {row:?}", kind.name());
    }
}
