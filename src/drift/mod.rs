//! Drift: do the values that a model sees now still look like those that it was trained on?
//!
//! Pure: no files, no clock, no network. A [`Baseline`] is what training looked like, feature by feature; [`WindowCounts`]
//! are counts of the same buckets over live records, which add up exactly over windows and hosts; [`measure`] compares the
//! two and says what is more than chance; [`Hysteresis`] makes an alarm of it that does not flap.
//!
//! ```text
//! rows ──Survey──► edges ──Count──► Baseline ──Reader──► slots of a record ──add──► WindowCounts ──measure──► reports
//! ```
//!
//! Words: a *value* is what stands at a feature in a record. It is *missing* where there is nothing, `null` or an empty cell;
//! such records do not count in the shares of the others. A value of a numeric feature is in a bucket, below or above the range of
//! training, or no number (NaN, a word, a list); one of a categorical feature is a known category, one of the rest, or unseen.

mod alarm;
mod baseline;
mod chance;
mod counts;
mod document;
mod edges;
mod live;
mod measures;
mod merge;
mod places;
mod placing;
mod reading;
mod rows;
mod survey;
mod training;
mod value;
mod words;

pub use alarm::{FeatureReport, Hysteresis, Level, Measures, Reason, Thresholds, measure};
pub use baseline::{
    BASELINES_MAX, BUCKETS_MAX, Baseline, BaselineError, BaselineFile, CATEGORIES_MAX, Categorical, Chosen,
    Distribution, FEATURES_MAX, FeatureBaseline, Numeric, SourceDigest,
};
pub use counts::{FeatureCounts, NotAlike, WindowCounts};
pub use document::{DocumentBaseline, DocumentHead, DocumentWindow, DriftDocument, document, version_document};
pub use live::{Live, LiveCounts};
pub use measures::ZERO_TERM;
pub use merge::{Merge, MergedDocuments};
pub use reading::{Reader, visit_values};
pub use rows::{RowError, Rows, VERSIONS_MAX};
pub use survey::{EXACT_QUANTILE_VALUES_MAX, Survey};
pub use training::{BUCKETS_DEFAULT, CATEGORIES_DEFAULT, Count, DISTINCT_MAX, LeftOut, TrainingOptions};
pub use value::Value;
pub use words::{EdgesKind, Kind, PsiMode, Slot};

#[cfg(test)]
mod simulation_tests;
