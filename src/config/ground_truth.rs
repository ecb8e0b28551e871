//! `observe: ground_truth`: where labels come from, and how predictions are measured with them.

use std::time::Duration;

use super::decode::entries;
use super::field::Field;
use super::model::{Decode, GroundTruth, LabelSource};
use super::section::Section;
use super::{enrich, source};
use crate::kql::Expression;
use crate::observe::ground_truth::options::{GroundTruthOptions, OutcomeKind};
use crate::observe::options::{Kind, ModelMetricsOptions};
use crate::outcome::ledger::LedgerOptions;
use crate::source::files::Options;

const COLUMNS_MAX: usize = 1_000;

/// Reads the options.
pub(super) fn options(mut section: Section<'_>) -> Option<GroundTruth> {
    let labels = section.required("labels", labels);
    let inferences = section.optional("inferences", Field::condition);
    let kind = section.optional("kind", kind).unwrap_or_default();
    let positive = section.optional("positive", |field| field.text().map(str::to_owned));
    let span = Duration::from_secs(1)..=Duration::from_secs(3_650 * 86_400);
    let negative_after = section.field("negative_after");
    if let Some(field) = negative_after.as_ref().filter(|_| positive.is_none()) {
        let hint = "name the class that is looked for: `positive: fraud`".to_owned();
        field.complain("`negative_after` needs `positive`".to_owned(), Some(hint));
    }
    let negative_after = negative_after.and_then(|field| field.duration(span.clone()));
    let window = section.optional("window", |field| Some((field.duration(span.clone())?, field.text()?.to_owned())));
    let min_labels = section.optional("min_labels", |field| field.integer(1..=1_000_000_000));
    let flagged = section.optional("flagged", Field::condition);
    let keep = section.field("keep");
    let defaults = GroundTruthOptions::default();
    let keep_for = keep.as_ref().map_or(Some(defaults.ledger.keep), |field| field.duration(span.clone()));
    let predictions_max = section.optional("predictions_max", |field| field.integer(1_000..=1_000_000_000));
    let patience = section.optional("patience", |field| field.duration(span));
    section.finish();
    let (window, window_text) = window.unwrap_or((defaults.window, defaults.window_text.clone()));
    let keep_for = keep_for?;
    let needed = window.max(negative_after.unwrap_or_default());
    if let Some(field) = keep.filter(|_| keep_for < needed) {
        let hint = "what is forgotten is not measured".to_owned();
        field.complain("`keep` is shorter than `window` or `negative_after`".to_owned(), Some(hint));
    }
    let ledger = LedgerOptions {
        keep: keep_for.max(needed),
        predictions_max: predictions_max.map_or(defaults.ledger.predictions_max, u64::from),
        patience: patience.unwrap_or(defaults.ledger.patience),
    };
    let options = GroundTruthOptions {
        inferences,
        kind,
        positive,
        negative_after,
        window,
        window_text,
        min_labels: min_labels.unwrap_or(defaults.min_labels),
        flagged: flagged.unwrap_or_else(|| defaults.flagged.clone()),
        ledger,
        ..defaults
    };
    Some(GroundTruth { options, labels: labels? })
}

/// Fills in what the model metrics of the same pipeline say: the same records, and the same names.
pub(super) fn complete(truth: &mut GroundTruth, metrics: Option<&ModelMetricsOptions>, inferences: &str) {
    let options = &mut truth.options;
    match metrics {
        Some(metrics) => {
            options.model_name = metrics.model_name;
            options.prefix.clone_from(&metrics.prefix);
            if metrics.kind == Kind::Regression {
                options.kind = OutcomeKind::Regression;
            }
        }
        None if options.inferences.is_none() => options.inferences = Expression::parse_condition(inferences).ok(),
        None => {}
    }
}

fn kind(field: &Field<'_>) -> Option<OutcomeKind> {
    Some(match field.word(&["classification", "regression"])? {
        "regression" => OutcomeKind::Regression,
        _ => OutcomeKind::Classification,
    })
}

/// Where label lines come from, and what is done with them.
fn labels(field: &Field<'_>) -> Option<LabelSource> {
    let mut section = field.section()?;
    let files = source::file_options(&mut section);
    let format = section.optional("format", |field| field.word(&["json", "csv"])).unwrap_or("json");
    let columns = section.field("columns");
    if let Some(field) = columns.as_ref().filter(|_| format != "csv") {
        field.complain("`columns` needs `format: csv`".to_owned(), None);
    }
    let columns = columns.and_then(|field| columns_of(&field));
    let enrich = section.optional("enrich", enrich::enrich).unwrap_or_default();
    section.finish();
    let decode = if format == "csv" { Decode::csv(columns.map(Into::into)) } else { Decode::default() };
    let files = Options { entries: entries(&decode), ..files? };
    Some(LabelSource { files, decode, enrich })
}

fn columns_of(field: &Field<'_>) -> Option<Vec<String>> {
    let columns = field.list(|item| item.text().map(str::to_owned))?;
    if columns.is_empty() || columns.len() > COLUMNS_MAX {
        return field.refuse(&format!("1 to {COLUMNS_MAX} names of columns"));
    }
    match columns.iter().enumerate().find(|(place, name)| columns[..*place].contains(name)) {
        Some((_, name)) => field.refuse(&format!("the column `{name}` is named twice")),
        None => Some(columns),
    }
}
