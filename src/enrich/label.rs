//! `label`: is this line of labels a label? Not for pipeline files: the pipeline that reads labels ends with it.

use super::processor::{Processor, Run};
use crate::flow::reject::{Reject, Stage};
use crate::outcome::label::{Label, NotALabel};
use crate::record::Record;

/// Turns a record away that says nothing about a prediction.
#[derive(Clone, Copy, Debug)]
pub struct LabelCheck;

impl Processor for LabelCheck {
    fn name(&self) -> &'static str {
        "label"
    }

    fn apply(&self, record: &mut Record<'_>, run: &mut Run<'_>) -> Result<(), Reject> {
        // A line that a rule drops need be no label: the names of a CSV's columns are none.
        if run.context.dropped.is_some() {
            return Ok(());
        }
        let is_label = Label::of(record).map(|_| ());
        is_label.map_err(|NotALabel { reason, detail }| Reject::new(Stage::Enrich, reason, detail.to_owned()))
    }
}
