//! Shares: a part of a whole, if there is one.

/// `part / whole`, absent without anything to share.
pub(super) fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
