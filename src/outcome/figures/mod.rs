//! Figures: how good is a model, by the labels that are known, and by confidence alone where none are yet?
//!
//! Pure: no files, no clock, no network. Sums take one outcome at a time, hold a fixed number of bytes whatever their number,
//! are the same after any order of adding, and add up over parts (`merge`). scikit-learn judges every figure to 1e-9
//! (`tests/numpy/outcomes.py`).
//!
//! ```text
//! outcomes ──add──► ClassificationSums ─► accuracy, per-class figures, confusion, Brier score, calibration error
//!                   PositiveCounts     ─► precision, recall, false-positive rate of one class
//!                   RegressionSums     ─► MAE, RMSE, R², bias
//!          ─sorted► AveragePrecision   ─► area under precision and recall
//! labelled ──add──► CalibrationTable ┐
//! all      ──add──► ConfidenceCounts ┴► estimate ─► accuracy before the labels come, with a band
//!          ──add──► LabelCoverage, DelayHistogram, ReviewSums
//! ```
//!
//! A figure whose denominator is 0 is absent and not 0: scikit-learn's `zero_division=nan`.

mod classes;
mod classification;
mod confidence;
mod confusion;
mod coverage;
mod delay;
mod estimate;
mod exact_sum;
mod positive;
mod regression;
mod review;
mod share;

pub use classes::{CLASS_BYTES_MAX, CLASSES_MAX, OTHER_CLASSES};
pub use classification::{CalibrationBin, ClassificationSums};
pub use confidence::{BAND_COUNT, is_confidence};
pub use confusion::{ClassCounts, ConfusionCell, ConfusionMatrix};
pub use coverage::{CoverageCell, LabelCoverage};
pub use delay::{DELAY_BOUNDS_SECONDS, DelayHistogram};
pub use estimate::{
    CalibrationTable, ConfidenceCounts, Estimate, TWENTIETH_LABELS_MIN, UNCOVERED_SHARE_MAX, Withheld, estimate,
};
pub use positive::{AveragePrecision, NotDescending, PositiveCounts, positive_score};
pub use regression::RegressionSums;
pub use review::{Decision, NotSorted, ReviewSums, median_of_sorted};

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod simulation_tests;
