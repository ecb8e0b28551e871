//! Measures: how far are two distributions apart?
//!
//! Pure functions of counts. `expected` are those of training, `live` those of a window, in the same buckets.

/// What is added to shares within the logarithm, so that an empty bucket has one: part of the defining formula.
pub const ZERO_TERM: f64 = 1e-8;

/// What is added to each count for [`psi_smoothed`]: half a value, Jeffreys' prior.
const HALF_A_VALUE: f64 = 0.5;

/// Population stability index, `Σ (a − e)·ln((a + 1e−8) / (e + 1e−8))` over the shares e of training and a of the window,
/// 0 for equal shares and without an upper bound.
///
/// `expected_total` and `live_total` are the denominators, at least 1: they may count values that are in no bucket.
pub(super) fn psi(expected: &[u64], expected_total: u64, live: &[u64], live_total: u64) -> f64 {
    let shares = expected
        .iter()
        .zip(live)
        .map(|(expected, live)| (*expected as f64 / expected_total as f64, *live as f64 / live_total as f64));
    shares.map(|(e, a)| term(e, a)).sum()
}

/// One bucket's part of the index.
pub(super) fn term(e: f64, a: f64) -> f64 {
    (a - e) * ((a + ZERO_TERM) / (e + ZERO_TERM)).ln()
}

/// The same index of shares in which every bucket has half a value more, in training and in the window.
///
/// In the defining formula one bucket that is empty in training reaches 0.2 with 1.4 % of the live values, because ln(1e−8)
/// says that it was as good as impossible. That 10,000 rows had none says no more than that it was rarer than about one in 20,000, and
/// that is what this index takes it for.
pub(super) fn psi_smoothed(expected: &[u64], expected_total: u64, live: &[u64], live_total: u64) -> f64 {
    let more = HALF_A_VALUE * expected.len() as f64;
    let share = |count: u64, total: u64| (count as f64 + HALF_A_VALUE) / (total as f64 + more);
    let shares = expected.iter().zip(live).map(|(e, a)| (share(*e, expected_total), share(*a, live_total)));
    shares.map(|(e, a)| (a - e) * (a / e).ln()).sum()
}

/// Jensen–Shannon distance: the square root of the divergence in bits, 0 for equal shares to 1 for shares that have nothing in
/// common (J. Lin, Divergence measures based on the Shannon entropy, 1991).
///
/// Both have at least one value.
pub(super) fn jensen_shannon_distance(expected: &[u64], live: &[u64]) -> f64 {
    let (expected_total, live_total) = (total(expected), total(live));
    let part = |share: f64, middle: f64| if share > 0.0 { share * (share / middle).log2() } else { 0.0 };
    let parts = expected.iter().zip(live).map(|(expected, live)| {
        let (e, a) = (*expected as f64 / expected_total, *live as f64 / live_total);
        let middle = (e + a) / 2.0;
        (part(e, middle) + part(a, middle)) / 2.0
    });
    // Rounding may leave something below 0.
    parts.sum::<f64>().clamp(0.0, 1.0).sqrt()
}

/// Kolmogorov–Smirnov statistic of ordered buckets: the greatest difference of the shares up to an edge, 0 to 1. Within a bucket
/// nothing is known, so that it is at most the statistic of the values themselves.
///
/// Both have at least one value.
pub(super) fn kolmogorov_smirnov(expected: &[u64], live: &[u64]) -> f64 {
    let (expected_total, live_total) = (total(expected), total(live));
    let (mut expected_sum, mut live_sum, mut greatest) = (0, 0, 0.0_f64);
    for (expected, live) in expected.iter().zip(live) {
        expected_sum += expected;
        live_sum += live;
        greatest = greatest.max((expected_sum as f64 / expected_total - live_sum as f64 / live_total).abs());
    }
    greatest
}

fn total(counts: &[u64]) -> f64 {
    counts.iter().sum::<u64>() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-12, "{value} is not {expected}");
    }

    #[test]
    fn values_by_hand() {
        close(psi(&[50, 50], 100, &[50, 50], 100), 0.0);
        let term = |e: f64, a: f64| (a - e) * ((a + 1e-8) / (e + 1e-8)).ln();
        close(psi(&[50, 50], 100, &[80, 20], 100), term(0.5, 0.8) + term(0.5, 0.2));
        close(psi_smoothed(&[0, 1], 1, &[0, 1], 1), 0.0);
        close(jensen_shannon_distance(&[1, 0], &[0, 1]), 1.0);
        close(jensen_shannon_distance(&[3, 7], &[30, 70]), 0.0);
        close(kolmogorov_smirnov(&[1, 1, 2], &[2, 1, 1]), 0.25);
        close(kolmogorov_smirnov(&[1, 0], &[0, 1]), 1.0);
    }

    #[test]
    fn a_bucket_that_training_did_not_have_cries_wolf_in_the_plain_index_alone() {
        let (expected, live) = ([5_000, 5_000, 0], [4_930, 4_930, 140]);
        let plain = psi(&expected, 10_000, &live, 10_000);
        let smoothed = psi_smoothed(&expected, 10_000, &live, 10_000);
        assert!(plain > 0.19 && smoothed < 0.1, "{plain} {smoothed}");
        let live = [4_600, 4_600, 800];
        assert!(psi_smoothed(&expected, 10_000, &live, 10_000) > 0.2, "8 % of all values are drift by any measure");
    }

    #[test]
    fn values_out_of_range_count_in_the_denominator_alone() {
        close(psi(&[50, 50], 100, &[0, 0], 7), 2.0 * (0.0 - 0.5) * (1e-8_f64 / (0.5 + 1e-8)).ln());
        let blind = psi(&[500, 500], 1_000, &[450, 450], 1_000);
        assert!(blind < 0.011, "10 % out of range: {blind}");
    }
}
