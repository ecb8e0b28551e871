//! The predicted class: as the log has it, by its index, or that of the largest number.

use super::largest::{Labels, Largest};
use super::source::{Source, is_within};
use super::value::Read;
use crate::record::Record;

const PREDICTION: &str = "prediction";

/// Where the prediction is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prediction {
    /// At a path.
    From {
        /// Where.
        from: Source,
        /// What stands there is an index into these.
        labels: Option<Labels>,
    },
    /// By the largest of several numbers.
    Largest(Largest),
}

impl From<Source> for Prediction {
    fn from(from: Source) -> Prediction {
        Prediction::From { from, labels: None }
    }
}

impl Prediction {
    pub(super) fn read(&self, record: &Record<'_>) -> Read {
        let (found, label) = match self {
            Prediction::From { from, labels } => {
                let Some((path, raw)) = from.find(record) else { return Read::Nothing };
                let label = match labels {
                    None => Some(raw.into_owned()),
                    Some(labels) => raw.parse().ok().and_then(|index| labels.of_index(index, record)),
                };
                (path, label)
            }
            Prediction::Largest(largest) => {
                let Some((path, raw)) = largest.of.find(record) else { return Read::Nothing };
                (path, largest.find(&raw, record).map(|found| found.label))
            }
        };
        label.map_or(Read::Unclear, |label| Read::raw(&label, is_within(found, PREDICTION)))
    }
}
