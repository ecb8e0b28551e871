//! Heart fields: which are they, and which number is meant where one was written as a text?
//!
//! A `confidence` or `latency_ms` that was written as a text is read as the number that it is. This is in force for every
//! record, with or without `roles`: a query for `confidence < 0.6`, a metric and the mapping of the index all want a number.
//! What stood there is kept under `inferlog.original.<field>`, unless a rule hides the field; the record is noted as
//! `number_from_text` and counted by the way it was written. A text that is no number stays.

use super::processor::Context;
use crate::flow::reject::Reject;
use crate::record::{Path, PathPattern, Record, Room, json};
use crate::telemetry::Counters;
use crate::text::exact::Exact;
use crate::text::number_text::{self, NumberKind};

/// The heart fields, each after those that it may be derived from.
pub const HEART_FIELDS: [&str; 11] = [
    "request_id",
    "model_name",
    "model_version",
    "prediction",
    "confidence",
    "latency_ms",
    "status",
    "features",
    "input_hash",
    "stage",
    "subject",
];

/// A note for `inferlog.notes`.
pub(super) const NUMBER_FROM_TEXT: &str = "number_from_text";

const LATENCY: &str = "latency_ms";
static NUMBERS: [Path; 2] = [Path::known("confidence"), Path::known(LATENCY)];

/// Keeps the log's own value of a field that is replaced, unless a rule hides the field: then no copy of it may stay.
pub(super) fn keep_original(
    record: &mut Record<'_>,
    field: &Path,
    raw: &str,
    hidden: &[PathPattern],
    counters: &Counters,
) {
    let field = field.as_str();
    let is_hidden = hidden.iter().any(|pattern| pattern.meets(field));
    let Ok(original) = Path::new(&format!("inferlog.original.{field}")) else { return };
    if !is_hidden && record.add(&original, |out| out.push_str(raw)) == Room::Blocked {
        counters.enrich_left_out_members_total.inc();
    }
}

/// Reads the numbers of a record that were written as texts. `hidden` is what rules of the pipeline hide.
pub(super) fn read_texts(
    record: &mut Record<'_>,
    hidden: &[PathPattern],
    context: &mut Context,
    counters: &Counters,
) -> Result<(), Reject> {
    // Most records have none.
    for field in &NUMBERS {
        let Some(raw) = record.text_of(field).map(str::to_owned) else { continue };
        let Some((number, kind)) = number(field.as_str(), &json::unescape(&raw)) else { continue };
        record.set(field, &number.to_string())?;
        context.note(NUMBER_FROM_TEXT);
        counters.number_from_text(kind.as_str()).inc();
        keep_original(record, field, &raw, hidden, counters);
    }
    Ok(())
}

fn number(name: &str, text: &str) -> Option<(Exact, NumberKind)> {
    match number_text::number(text) {
        None if name == LATENCY => Some((number_text::duration_ms(text)?, NumberKind::Duration)),
        Some((_, NumberKind::Percent)) if name == LATENCY => None,
        read => read,
    }
}
