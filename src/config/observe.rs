//! `observe`: what looks at every record?

use super::field::{Choice, Field};
use super::model::Observer;
use crate::kql::Expression;
use crate::observe::model_metrics::ModelMetricsOptions;

/// Which records are inferences when the file says nothing.
const INFERENCES: &str = "event : inference or not event : *";

/// Reads the list. One observer of each kind: two would give the same series.
pub(super) fn observers(field: &Field<'_>) -> Option<Vec<Observer>> {
    let mut seen = Vec::new();
    let mut observers = Vec::new();
    for item in field.items() {
        let Some(choice) = item.choice("observer", &["model_metrics"]) else { continue };
        if seen.contains(&choice.name) {
            choice.section.complain(format!("a pipeline has at most one `{}`", choice.name), None);
        }
        seen.push(choice.name);
        observers.extend(model_metrics(choice));
    }
    Some(observers)
}

fn model_metrics(choice: Choice<'_>) -> Option<Observer> {
    let mut section = choice.section;
    let inferences = section.optional("inferences", Field::condition);
    let model_name = section.optional("model_name", Field::boolean).unwrap_or(false);
    section.finish();
    let inferences = inferences.or_else(|| Expression::parse_condition(INFERENCES).ok());
    inferences.map(|inferences| Observer::ModelMetrics(ModelMetricsOptions { inferences, model_name }))
}
