//! Edges: where do the buckets of a numeric feature begin and end?
//!
//! A bucket holds its lower edge and not its upper one, but for the last, which holds both: as `numpy.histogram`.

use super::words::Slot;

/// `buckets + 1` rising edges over the finite range from `min` to `max`, digit for digit those of
/// `numpy.histogram_bin_edges`, which widens a range of one value by 0.5 on both sides.
///
/// Where NumPy gives up, because the range is wider than a number can be or too narrow for so many buckets, there still is an
/// answer: the same edges without the overflow, or a range that is wide enough around the middle.
pub(super) fn equal_width(min: f64, max: f64, buckets: usize) -> Vec<f64> {
    let (first, last) = if min == max { (min - 0.5, max + 0.5) } else { (min, max) };
    let edges = linear_space(first, last, buckets);
    if is_rising(&edges) {
        return edges;
    }
    // A number of 53 bits tells neighbours of 2^-52 apart: a millionth of its size has room for many buckets.
    let middle = first / 2.0 + last / 2.0;
    let half_width = (middle.abs() * 1e-6).max(0.5);
    linear_space((middle - half_width).max(f64::MIN), (middle + half_width).min(f64::MAX), buckets)
}

/// `numpy.linspace(first, last, buckets + 1)`.
fn linear_space(first: f64, last: f64, buckets: usize) -> Vec<f64> {
    let step = (last - first) / buckets as f64;
    let edge = |number: usize| match number {
        _ if number == buckets => last,
        _ if step.is_infinite() => {
            let part = number as f64 / buckets as f64;
            first * (1.0 - part) + last * part
        }
        _ if step == 0.0 => number as f64 / buckets as f64 * (last - first) + first,
        _ => number as f64 * step + first,
    };
    (0..=buckets).map(edge).collect()
}

/// At most `buckets + 1` rising edges between which about as many of these values lie: `numpy.quantile` with its linear
/// interpolation, each edge once. `values` are sorted and finite, and there is at least one.
pub(super) fn quantile(values: &[f64], buckets: usize) -> Vec<f64> {
    let (Some(min), Some(max)) = (values.first(), values.last()) else { return Vec::new() };
    let quantile = |number: usize| {
        let place = number as f64 / buckets as f64 * (values.len() - 1) as f64;
        let (low, part) = (values[place.floor() as usize], place.fract());
        let high = values[place.ceil() as usize];
        if part == 0.0 { low } else { low * (1.0 - part) + high * part }
    };
    let mut edges: Vec<f64> = (0..=buckets).map(quantile).collect();
    edges[0] = *min;
    edges[buckets] = *max;
    // Interpolated digits may step back by one unit in the last place.
    for place in 1..edges.len() {
        edges[place] = edges[place].clamp(edges[place - 1], *max);
    }
    edges.dedup();
    if edges.len() == 1 { equal_width(*min, *max, 1) } else { edges }
}

/// Whether each edge is above the one before it and all are numbers.
pub(super) fn is_rising(edges: &[f64]) -> bool {
    edges.len() >= 2 && edges.iter().all(|edge| edge.is_finite()) && edges.windows(2).all(|pair| pair[0] < pair[1])
}

/// Where a value falls.
pub(super) fn slot(edges: &[f64], value: f64) -> Slot {
    let (first, last) = (edges[0], edges[edges.len() - 1]);
    if value.is_nan() {
        Slot::NotANumber
    } else if value < first {
        Slot::Below
    } else if value > last {
        Slot::Above
    } else {
        let inner = &edges[1..edges.len() - 1];
        Slot::Bucket(inner.partition_point(|edge| *edge <= value) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_rise_whatever_the_range() {
        let tiny = f64::MIN_POSITIVE * f64::EPSILON;
        for (min, max) in [
            (0.0, 10.0),
            (3.0, 3.0),
            (1e300, 1e300),
            (1.0, 1.0 + f64::EPSILON),
            (f64::MIN, f64::MAX),
            (f64::MAX, f64::MAX),
            (0.0, tiny),
            (-1e-320, 1e-320),
        ] {
            let edges = equal_width(min, max, 10);
            assert_eq!(edges.len(), 11);
            assert!(is_rising(&edges), "{min} {max}: {edges:?}");
            for value in [min, max] {
                assert!(matches!(slot(&edges, value), Slot::Bucket(_)), "{value} in {edges:?}");
            }
        }
        assert_eq!(equal_width(3.0, 3.0, 2), [2.5, 3.0, 3.5]);
        assert_eq!(equal_width(0.0, 1.0, 10)[3], 0.1 * 3.0, "a product, as in NumPy, and not a sum");
    }

    #[test]
    fn a_value_falls_where_numpy_puts_it() {
        let edges = [0.0, 1.0, 2.0, 4.0];
        for (value, expected) in [
            (-0.0, Slot::Bucket(0)),
            (0.999, Slot::Bucket(0)),
            (1.0, Slot::Bucket(1)),
            (2.0, Slot::Bucket(2)),
            (4.0, Slot::Bucket(2)),
            (-1e-9, Slot::Below),
            (f64::NEG_INFINITY, Slot::Below),
            (4.000001, Slot::Above),
            (f64::INFINITY, Slot::Above),
            (f64::NAN, Slot::NotANumber),
        ] {
            assert_eq!(slot(&edges, value), expected, "{value}");
        }
    }

    #[test]
    fn quantiles_are_those_between_neighbours_and_ties_give_fewer() {
        assert_eq!(quantile(&[0.0, 1.0, 2.0, 3.0, 4.0], 4), [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(quantile(&[0.0, 10.0], 4), [0.0, 2.5, 5.0, 7.5, 10.0]);
        assert_eq!(quantile(&[0.0, 0.0, 0.0, 0.0, 1.0, 2.0], 5), [0.0, 1.0, 2.0]);
        assert_eq!(quantile(&[7.0; 9], 10), [6.5, 7.5]);
        assert!(is_rising(&quantile(&[f64::MIN, 0.0, f64::MAX], 10)));
    }
}
