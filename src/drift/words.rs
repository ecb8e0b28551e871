//! The words that all of drift shares: what is looked at, how edges are chosen, where a value falls.

use serde::{Deserialize, Serialize};

/// What a distribution is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A member of `features`.
    #[default]
    Feature,
    /// What was predicted: the mix of labels, or the values of a regression.
    Prediction,
    /// How sure the model was.
    Confidence,
}

impl Kind {
    /// As it is written in files and documents.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Feature => "feature",
            Kind::Prediction => "prediction",
            Kind::Confidence => "confidence",
        }
    }
}

/// What PSI does with values that no bucket of training holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PsiMode {
    /// The defining formula, NumPy's: they are in no bucket and count in the denominator.
    #[default]
    Defined,
    /// The first and last bucket are open: what is below or above counts there, and unseen categories are a bucket of their
    /// own. What is no number still is in none.
    Open,
}

impl PsiMode {
    /// As it is written in documents.
    pub fn name(self) -> &'static str {
        match self {
            PsiMode::Defined => "defined",
            PsiMode::Open => "open",
        }
    }
}

/// How edges were chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgesKind {
    /// Buckets of one width over the range of training: the defining formula.
    #[default]
    EqualWidth,
    /// Buckets of about as many values of training each.
    Quantile,
}

impl EdgesKind {
    /// As it is written in files and documents.
    pub fn name(self) -> &'static str {
        match self {
            EdgesKind::EqualWidth => "equal_width",
            EdgesKind::Quantile => "quantile",
        }
    }
}

/// Where the value of a feature falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// No value.
    Missing,
    /// Below the lowest edge.
    Below,
    /// Above the highest edge.
    Above,
    /// NaN, or no number at all, in a numeric feature.
    NotANumber,
    /// A category that training did not have.
    Unseen,
    /// This bucket or category of the baseline.
    Bucket(u32),
}
