//! Figures as text, as short as a person reads them; what is not known is [`UNKNOWN`].

use indicatif::{HumanBytes, HumanCount};

/// What is not known.
pub(super) const UNKNOWN: &str = "–";

/// Heights of a column of a sparkline.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

pub(super) fn or_unknown<T>(value: Option<T>, text: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), text)
}

pub(super) fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

pub(super) fn bytes(bytes: f64) -> String {
    HumanBytes(bytes.round() as u64).to_string()
}

/// To a tenth below `tenths_below`, from there on whole. What is there is not shown as nothing.
fn brief(number: f64, tenths_below: f64) -> String {
    match number {
        _ if number > 0.0 && number < 0.1 => "<0.1".to_owned(),
        _ if number < tenths_below => format!("{number:.1}"),
        _ => count(number.round() as u64),
    }
}

pub(super) fn per_second(rate: Option<f64>) -> String {
    or_unknown(rate, |rate| brief(rate, 10.0) + "/s")
}

pub(super) fn milliseconds(seconds: Option<f64>) -> String {
    or_unknown(seconds, |seconds| brief(seconds * 1000.0, 10.0) + " ms")
}

/// Of a ratio, 0 to 1.
pub(super) fn percent(ratio: Option<f64>) -> String {
    or_unknown(ratio, |ratio| brief(ratio * 100.0, f64::INFINITY) + " %")
}

/// The shares of the most frequent values.
pub(super) fn shares(values: &[(String, u64)], most: usize) -> Vec<String> {
    let total: u64 = values.iter().map(|(_, count)| count).sum();
    let mut values: Vec<&(String, u64)> = values.iter().collect();
    values.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let share = |(value, count): &&(String, u64)| {
        format!("{value} {}", percent((total > 0).then(|| *count as f64 / total as f64)))
    };
    values.iter().take(most).map(share).collect()
}

/// How much of the most is taken; what is not nothing shows.
pub(super) fn bar(taken: u64, most: u64, width: usize) -> String {
    let share = if most == 0 { 0.0 } else { (taken as f64 / most as f64).min(1.0) };
    let filled = (share * width as f64).round() as usize;
    let filled = if taken > 0 && most > 0 { filled.max(1) } else { filled };
    format!("{}{}", "█".repeat(filled), "░".repeat(width - filled))
}

/// The last values in at most so many columns, each the mean of what is known of its steps; `·` where nothing is.
pub(super) fn sparkline(steps: &[Option<f64>], columns: usize) -> String {
    let steps_each = steps.len().div_ceil(columns.max(1)).max(1);
    let mean = |steps: &[Option<f64>]| {
        let known: Vec<f64> = steps.iter().flatten().copied().collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    // From the end, so that the last column is whole.
    let means: Vec<Option<f64>> = steps.rchunks(steps_each).map(mean).collect();
    let highest = means.iter().flatten().copied().fold(0.0, f64::max);
    let drawn = |mean: &Option<f64>| match mean {
        None => '·',
        Some(mean) if *mean <= 0.0 || highest <= 0.0 => HEIGHTS[0],
        // What is not nothing is higher than nothing.
        Some(mean) => HEIGHTS[((mean / highest * 7.0).round() as usize).clamp(1, 7)],
    };
    means.iter().rev().map(drawn).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_not_shown_as_nothing() {
        for (rate, expected) in [
            (None, "–"),
            (Some(0.0), "0.0/s"),
            (Some(0.01), "<0.1/s"),
            (Some(0.1), "0.1/s"),
            (Some(9.94), "9.9/s"),
            (Some(12_345.6), "12,346/s"),
        ] {
            assert_eq!(per_second(rate), expected);
        }
        assert_eq!(
            [None, Some(0.0), Some(0.00001), Some(12.5)].map(milliseconds),
            ["–", "0.0 ms", "<0.1 ms", "12,500 ms"]
        );
        assert_eq!([None, Some(0.0), Some(0.000_1), Some(1.0)].map(percent), ["–", "0.0 %", "<0.1 %", "100.0 %"]);
        for (taken, most, expected) in
            [(0, 8, "░░░░"), (1, 1_000, "█░░░"), (4, 8, "██░░"), (9, 8, "████"), (0, 0, "░░░░"), (5, 0, "░░░░")]
        {
            assert_eq!(bar(taken, most, 4), expected, "{taken} of {most}");
        }
    }

    #[test]
    fn a_gap_is_no_nothing() {
        let steps = |steps: &[i32]| steps.iter().map(|n| (*n >= 0).then(|| f64::from(*n))).collect::<Vec<_>>();
        for (values, columns, expected) in [
            (&[][..], 5, ""),
            (&[0, 0], 5, "▁▁"),
            (&[0, 1, -1, 1_000], 5, "▁▂·█"),
            (&[0, 2, 4, 7], 2, "▂█"),
            (&[7, 0, 0, 7, 7], 3, "█▁█"),
            (&[-1, -1, 3, -1], 2, "·█"),
        ] {
            assert_eq!(sparkline(&steps(values), columns), expected, "{values:?}");
        }
    }
}
