//! `observe`: what looks at every record?

use super::field::Field;
use super::model::{Condition, Observer};
use crate::kql::Expression;

/// Which records are inferences when the file says nothing.
const INFERENCES: &str = "event : inference or not event : *";

pub(super) fn observer(field: &Field<'_>) -> Option<Observer> {
    let mut section = field.choice("observer", &["model_metrics"])?.section;
    let position = section.context.position(&section.key_span);
    let inferences = section.optional("inferences", Field::condition);
    section.finish();
    let default = Expression::parse_condition(INFERENCES).ok().map(|expression| Condition { expression, position });
    inferences.or(default).map(|inferences| Observer::ModelMetrics { inferences })
}
