//! Sums of histograms: which of them may be shown?

/// Leaves out sums of histograms that are no numbers, each with the count behind it. OpenMetrics wants both or neither,
/// and neither where there are negative values: such a sum does not only grow.
pub(super) fn without_missing(text: String) -> String {
    let is_missing =
        |line: &str| line.ends_with(" NaN") && line.split(['{', ' ']).next().unwrap_or("").ends_with("_sum");
    if !text.lines().any(is_missing) {
        return text;
    }
    let mut kept = String::with_capacity(text.len());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if is_missing(line) {
            lines.next();
        } else {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}
