//! Options of ground truth: which predictions wait for labels, and how are they measured?

use std::time::Duration;

use crate::kql::Expression;
use crate::outcome::evaluation::Measured;
use crate::outcome::ledger::LedgerOptions;

/// The fewest labels of a version with which its figures are shown, unless the pipeline file says otherwise.
pub const MIN_LABELS: u32 = 100;

/// What somebody was to look at, unless the pipeline file says otherwise.
const FLAGGED: &str = "low_confidence : true";

/// What is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutcomeKind {
    /// Classes.
    #[default]
    Classification,
    /// Numbers.
    Regression,
}

/// What is joined and measured.
#[derive(Clone, Debug)]
pub struct GroundTruthOptions {
    /// Which records are predictions; `None` is those that `model_metrics` counts.
    pub inferences: Option<Expression>,
    /// What is predicted.
    pub kind: OutcomeKind,
    /// The class that is looked for, where there are two.
    pub positive: Option<String>,
    /// A prediction without a label counts as one of a negative after so long, by itself.
    pub negative_after: Option<Duration>,
    /// Predictions of the last so long are measured.
    pub window: Duration,
    /// The same as it was written, for the label `window`.
    pub window_text: String,
    /// With fewer labels the figures of a version are withheld.
    pub min_labels: u32,
    /// Predictions that somebody was to look at.
    pub flagged: Expression,
    /// How long predictions and labels are kept, and how many.
    pub ledger: LedgerOptions,
    /// Shows the label `model_name` from the start.
    pub model_name: bool,
    /// Stands before every metric's name.
    pub prefix: String,
}

impl Default for GroundTruthOptions {
    fn default() -> GroundTruthOptions {
        let day = Duration::from_secs(86_400);
        GroundTruthOptions {
            inferences: None,
            kind: OutcomeKind::Classification,
            positive: None,
            negative_after: None,
            window: day * 30,
            window_text: "30d".to_owned(),
            min_labels: MIN_LABELS,
            flagged: Expression::parse_condition(FLAGGED).unwrap_or_else(|_| Expression::all()),
            ledger: LedgerOptions { keep: day * 180, predictions_max: 10_000_000, patience: day },
            model_name: false,
            prefix: String::new(),
        }
    }
}

impl GroundTruthOptions {
    /// What of it the evaluation has to know.
    pub fn measured(&self) -> Measured<'_> {
        Measured {
            is_regression: self.kind == OutcomeKind::Regression,
            positive: self.positive.as_deref(),
            negative_after: self.negative_after,
            window: self.window,
            min_labels: self.min_labels.into(),
        }
    }
}
