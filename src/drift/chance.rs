//! Chance: how much of a difference do samples of one and the same population show?

use statrs::function::gamma::{gamma_ur, ln_gamma};

use super::measures::term;

/// Fewest values that every cell of a table should have by chance for the chi-squared test (Cochran, Some methods for strengthening the common χ² tests, 1954).
pub(super) const MIN_EXPECTED: f64 = 5.0;

/// From so many expected values on, the moments of a binomial distribution are exact enough.
const MANY_VALUES: f64 = 2_000.0;

/// The mean of [`super::measures::psi`] over windows of `live_total` values that come from where training came from.
///
/// A bucket of share p has X of n live values, X binomial; its part of the mean is the sum over X of its probability times the
/// formula's term, and (1 − p)/m for training's own chance. Where no bucket is nearly empty this is (k − 1)·(1/n + 1/m) for k
/// buckets (Yurdakul and Naranjo, Statistical properties of the population stability index, 2020); where some are, it is
/// much more, because of the term for empty buckets. p is taken from training with half a value more for each bucket.
pub(super) fn psi_by_chance(expected: &[u64], live_total: u64) -> f64 {
    let trained = expected.iter().sum::<u64>() as f64;
    let smoothed_total = trained + 0.5 * expected.len() as f64;
    let parts = expected.iter().map(|count| {
        let p = (*count as f64 + 0.5) / smoothed_total;
        mean_term(*count as f64 / trained, p, live_total as f64) + (1.0 - p) / trained
    });
    parts.sum()
}

/// The mean of a bucket's term over X of `n` values, X binomial of probability `p`; `e` is its share in training.
fn mean_term(e: f64, p: f64, n: f64) -> f64 {
    let variance = p * (1.0 - p) / n;
    if p >= 1.0 {
        return term(e, 1.0);
    }
    if n * p > MANY_VALUES {
        // The second-order Taylor polynomial of (a − e)·ln(a / e) at p, of which the mean is known.
        return term(e, p) + variance / 2.0 * (1.0 / p + e / (p * p));
    }
    // From the most likely number outwards, relative to its probability, until nothing is added any more.
    let mode = ((n + 1.0) * p).floor().min(n);
    let odds = p / (1.0 - p);
    let (mut weights, mut sum) = (1.0, term(e, mode / n));
    let mut walk = |step: f64| {
        let (mut number, mut weight) = (mode, 1.0);
        loop {
            weight *=
                if step > 0.0 { (n - number) / (number + 1.0) * odds } else { number / (n - number + 1.0) / odds };
            number += step;
            if weight < 1e-18 {
                break;
            }
            weights += weight;
            sum += weight * term(e, number / n);
        }
    };
    walk(1.0);
    walk(-1.0);
    sum / weights
}

/// A test of whether two rows of counts come from one population.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Homogeneity {
    /// Pearson's statistic.
    pub(super) chi_squared: f64,
    /// Its degrees of freedom; 0 when there are not enough values for two columns.
    pub(super) degrees_of_freedom: u64,
    /// The probability of such a difference or a greater one without any drift.
    pub(super) p_value: f64,
}

/// Tests the homogeneity of training and window over the same columns.
///
/// Columns of which chance gives fewer than [`MIN_EXPECTED`] values, by what training has of them, are put together into one. Pearson's
/// chi-squared test is over the columns that are left. Where even the rare ones together are too few for it, they go with the last of
/// the others, and their share is tested by itself, exactly ([`share_p_value`]): the p-value then is twice the smaller of both
/// (Bonferroni), so that values in buckets that training hardly had are seen as well.
pub(super) fn homogeneity(expected: &[u64], live: &[u64]) -> Homogeneity {
    let [trained, n] = [expected, live].map(|row| row.iter().sum::<u64>());
    if trained == 0 || n == 0 {
        return Homogeneity { chi_squared: 0.0, degrees_of_freedom: 0, p_value: 1.0 };
    }
    let smaller = trained.min(n) as f64;
    let is_rare = |expected: u64| expected as f64 * smaller / (trained as f64) < MIN_EXPECTED;
    let (mut columns, mut rare): (Vec<[u64; 2]>, _) = (Vec::new(), [0_u64; 2]);
    for (e, a) in expected.iter().zip(live) {
        match is_rare(*e) {
            true => rare = [rare[0] + e, rare[1] + a],
            false => columns.push([*e, *a]),
        }
    }
    let mut p_of_rare = None;
    if (rare[0] + rare[1]) as f64 * smaller / (trained + n) as f64 >= MIN_EXPECTED {
        columns.push(rare);
    } else if let Some(last) = columns.last_mut().filter(|_| rare != [0, 0]) {
        *last = [last[0] + rare[0], last[1] + rare[1]];
        p_of_rare = Some(share_p_value(rare[1], n, rare[0], trained));
    }
    let (chi_squared, degrees_of_freedom) = pearson(&columns);
    let p_value = chi_squared_tail(chi_squared, degrees_of_freedom);
    let p_value = p_of_rare.map_or(p_value, |p_of_rare| (2.0 * p_value.min(p_of_rare)).min(1.0));
    Homogeneity { chi_squared, degrees_of_freedom, p_value }
}

/// Pearson's statistic of a table of two rows, none of whose columns is empty, and its degrees of freedom.
fn pearson(columns: &[[u64; 2]]) -> (f64, u64) {
    let row = |row: usize| columns.iter().map(|column| column[row] as f64).sum::<f64>();
    let rows = [row(0), row(1)];
    let cell = |count: u64, row: f64, column: f64| {
        let by_chance = row * column / (rows[0] + rows[1]);
        (count as f64 - by_chance).powi(2) / by_chance
    };
    let of_column = |column: &[u64; 2]| {
        let both = (column[0] + column[1]) as f64;
        cell(column[0], rows[0], both) + cell(column[1], rows[1], both)
    };
    match columns.len() {
        0 | 1 => (0.0, 0),
        columns_count => (columns.iter().map(of_column).sum(), columns_count as u64 - 1),
    }
}

/// The probability that a chi-squared variable is at least `value`, which is 0 or more; 1 without degrees of freedom.
pub(super) fn chi_squared_tail(value: f64, degrees_of_freedom: u64) -> f64 {
    if value <= 0.0 || degrees_of_freedom == 0 {
        1.0
    } else {
        gamma_ur(degrees_of_freedom as f64 / 2.0, value / 2.0).clamp(0.0, 1.0)
    }
}

/// The probability that at least `hits` of `total` live values are of some sort by chance, when `base_hits` of `base_total` in training
/// were: Fisher's exact test, one-sided. 1 where the live share is not the greater one, and where either has no values.
pub(super) fn share_p_value(hits: u64, total: u64, base_hits: u64, base_total: u64) -> f64 {
    let [x, n, b, m] = [hits, total, base_hits, base_total].map(|count| count as f64);
    if n == 0.0 || m == 0.0 || x / n <= b / m {
        return 1.0;
    }
    let all_hits = x + b;
    let choose = |of: f64, some: f64| ln_gamma(of + 1.0) - ln_gamma(some + 1.0) - ln_gamma(of - some + 1.0);
    let first = (choose(n, x) + choose(m, b) - choose(n + m, all_hits)).exp();
    // More live hits are ever less likely: x is above the mean.
    let (mut sum, mut probability, mut number) = (0.0, first, x);
    while probability > sum * 1e-17 && number <= all_hits {
        sum += probability;
        let rest = all_hits - number;
        probability *= (n - number) / (number + 1.0) * rest / (m - rest + 1.0);
        number += 1.0;
    }
    sum.clamp(0.0, 1.0)
}

/// Benjamini and Hochberg's adjusted p-values, each at the place of its own: those that are at most q are findings of which a share of
/// at most q is false on average (Controlling the false discovery rate, 1995).
pub(super) fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|one, other| p_values[*other].total_cmp(&p_values[*one]));
    let (mut adjusted, mut least) = (vec![1.0; p_values.len()], 1.0_f64);
    for (place, number) in order.into_iter().zip((1..=p_values.len()).rev()) {
        least = least.min(p_values[place] * p_values.len() as f64 / number as f64);
        adjusted[place] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(value: f64, expected: f64, tolerance: f64) {
        assert!((value - expected).abs() <= tolerance, "{value} is not {expected}");
    }

    #[test]
    fn p_values_are_those_of_the_tables() {
        // The points of 5 %, 1 % and 0.1 % of every textbook.
        for (value, degrees_of_freedom, expected) in
            [(3.841_458_820_694_124, 1, 0.05), (21.665_994_333_461_9, 9, 0.01), (149.449_252_779_030, 100, 0.001)]
        {
            close(chi_squared_tail(value, degrees_of_freedom), expected, 1e-9);
        }
        assert_eq!(chi_squared_tail(0.0, 9), 1.0);
        assert_eq!(chi_squared_tail(1e9, 9), 0.0);
        let test = homogeneity(&[20, 30], &[30, 20]);
        close(test.chi_squared, 4.0, 1e-12);
        assert_eq!(test.degrees_of_freedom, 1);
        close(test.p_value, 0.045_500_263_896_358_4, 1e-12);
    }

    #[test]
    fn rare_columns_are_put_together() {
        let degrees_of_freedom = |expected: &[u64], live: &[u64]| homogeneity(expected, live).degrees_of_freedom;
        assert_eq!(degrees_of_freedom(&[100, 2, 100, 4, 4], &[100, 2, 100, 4, 4]), 2);
        assert_eq!(degrees_of_freedom(&[100, 2, 100], &[100, 2, 100]), 1, "too few even so");
        for (expected, live) in [(&[1, 1][..], &[1, 1][..]), (&[], &[]), (&[0, 0], &[5, 500]), (&[50], &[70])] {
            let test = homogeneity(expected, live);
            assert_eq!((test.degrees_of_freedom, test.p_value), (0, 1.0), "{expected:?} {live:?}");
        }
    }

    #[test]
    fn values_where_training_had_none_are_seen_however_large_training_was() {
        for half in [5_000, 500_000, 50_000_000] {
            let p_value = homogeneity(&[half, 0, half], &[480, 40, 480]).p_value;
            assert!(p_value < 1e-20, "{half}: {p_value}");
            let one = homogeneity(&[half, half / 5_000, half], &[500, 1, 500]).p_value;
            assert!(one > 0.1, "{half}: {one}");
        }
    }

    #[test]
    fn shares_are_tested_exactly() {
        // Fisher's tea: 3 of 4 against 1 of 4.
        close(share_p_value(3, 4, 1, 4), 17.0 / 70.0, 1e-12);
        close(share_p_value(4, 4, 0, 4), 1.0 / 70.0, 1e-12);
        assert_eq!(share_p_value(1, 10, 1, 10), 1.0);
        assert_eq!(share_p_value(0, 0, 0, 0), 1.0);
        assert!(share_p_value(1_000_000, 10_000_000, 2, 10_000) < 1e-100);
    }

    #[test]
    fn adjusted_p_values() {
        let adjusted = benjamini_hochberg(&[0.01, 0.04, 0.03, 0.5]);
        for (value, expected) in adjusted.iter().zip([0.04, 0.16 / 3.0, 0.16 / 3.0, 0.5]) {
            close(*value, expected, 1e-12);
        }
        assert!(benjamini_hochberg(&[]).is_empty());
    }

    #[test]
    fn chance_is_what_theory_says_where_no_bucket_is_sparse() {
        for (n, tolerance) in [(500, 0.05), (5_000, 0.01), (1_000_000, 0.01)] {
            let theory = 9.0 * (1.0 / n as f64 + 1.0 / 100_000.0);
            close(psi_by_chance(&[10_000; 10], n) / theory, 1.0, tolerance);
        }
        let sparse = psi_by_chance(&[99_000, 1_000], 100);
        assert!(sparse > 3.0 * (1.0 / 100.0), "a bucket that is often empty: {sparse}");
        assert_eq!(psi_by_chance(&[10], 100), 0.0);
    }
}
