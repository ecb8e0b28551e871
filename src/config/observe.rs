//! `observe`: what looks at every record?

use super::field::Field;
use super::model::{Condition, Observer};

/// Which records are inferences when the file says nothing.
const INFERENCES: &str = "event : inference or not event : *";

pub(super) fn observer(field: &Field<'_>) -> Option<Observer> {
    let mut section = field.choice("observer", &["model_metrics"])?.section;
    let position = section.context.position(&section.key_span);
    let inferences = section.optional("inferences", Field::condition);
    section.finish();
    let inferences = inferences.unwrap_or_else(|| Condition { text: INFERENCES.to_owned(), position });
    Some(Observer::ModelMetrics { inferences })
}
