//! Options of drift: against what is measured, over which windows, and when is it an alarm?

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::drift::{BaselineFile, Thresholds};
use crate::kql::Expression;

/// The most panes of a window.
pub const PANES_MAX: u64 = 60;

/// The most versions that are measured by themselves; further ones are measured together, as `other`.
pub const VERSIONS_MAX: usize = 20;

/// The most documents of one end of panes: with many features fewer versions are measured by themselves.
pub const DOCUMENTS_MAX: usize = 10_000;

/// The most features of all versions that are shown as metrics; those that alarm, and those that are furthest away.
pub const FEATURES_SHOWN_MAX: usize = 1_000;

/// The most memory of all counts, in bytes.
pub const COUNTS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long a pane is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaneLength {
    /// So many microseconds; panes begin at multiples of it since 1970, so that those of all hosts agree.
    Time(i64),
    /// So many records of a version.
    Records(u64),
}

/// What is measured.
#[derive(Clone, Debug)]
pub struct DriftOptions {
    /// What training looked like.
    pub baselines: Arc<BaselineFile>,
    /// Which records are measured; `None` is those that the model metrics count.
    pub inferences: Option<Expression>,
    /// A window is measured at the end of every pane.
    pub pane: PaneLength,
    /// How many panes a window has: 1 where windows follow each other.
    pub panes: usize,
    /// When there is an alarm.
    pub thresholds: Thresholds,
    /// Shows the label `model_name` from the start.
    pub model_name: bool,
    /// Stands before every metric's name.
    pub prefix: String,
}

impl DriftOptions {
    /// How many versions are measured by themselves.
    pub fn versions_max(&self) -> usize {
        let features = self.features_max().max(1);
        let by_bytes = COUNTS_BYTES_MAX / self.version_bytes().max(1);
        VERSIONS_MAX.min(DOCUMENTS_MAX / features).min(by_bytes).max(1)
    }

    fn features_max(&self) -> usize {
        self.baselines.baselines.iter().map(|baseline| baseline.features.len()).max().unwrap_or_default()
    }

    /// The memory of one version's counts in bytes, at most: 8 a bucket and about 100 a feature in each of its panes, in the one
    /// that is open, and in what was measured last.
    pub fn version_bytes(&self) -> usize {
        let of_baseline = |baseline: &crate::drift::Baseline| -> usize {
            baseline.features.iter().map(|feature| 100 + 8 * feature.bucket_count()).sum()
        };
        let pane = self.baselines.baselines.iter().map(of_baseline).max().unwrap_or_default();
        pane * (self.panes + 1)
    }
}
