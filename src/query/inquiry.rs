//! An inquiry: what somebody wants to know, made ready to be put to a source, the same from a terminal and from the page.

use chrono::{DateTime, Utc};

use super::cell::ID_COLUMN;
use super::output::Format;
use crate::flow::batch::Stream;
use crate::flow::question::{Order, Question};
use crate::kql::{Error, Expression};

/// What a table shows unless told otherwise.
const TABLE_COLUMNS: [&str; 7] =
    ["@timestamp", "model_version", "prediction", "confidence", "latency_ms", "status", "request_id"];

/// What CSV has unless told otherwise.
const CSV_COLUMNS: [&str; 12] = [
    ID_COLUMN,
    "@timestamp",
    "request_id",
    "model_name",
    "model_version",
    "prediction",
    "confidence",
    "latency_ms",
    "status",
    "stage",
    "subject",
    "input_hash",
];

/// What a table or CSV of outcomes shows unless told otherwise.
const OUTCOME_COLUMNS: [&str; 9] =
    ["@timestamp", "kind", "request_id", "model_version", "prediction", "confidence", "label", "correct", "decision"];

/// What a table or CSV of evaluations shows unless told otherwise.
const EVALUATION_COLUMNS: [&str; 8] = [
    "@timestamp",
    "model_version",
    "stage",
    "predictions",
    "outcomes",
    "accuracy",
    "estimated_accuracy",
    "label_coverage",
];

/// Which documents are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What models did.
    Records,
    /// What labels and reviews said of it.
    Outcomes,
    /// Hourly evaluations of these.
    Evaluations,
}

impl Kind {
    /// Where they are. Outcomes and evaluations are in one data stream.
    pub fn stream(self) -> Stream {
        match self {
            Kind::Records => Stream::Records,
            Kind::Outcomes | Kind::Evaluations => Stream::Outcomes,
        }
    }
}

/// What somebody wants to know.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What the records must meet.
    pub condition: Expression,
    /// Which documents.
    pub kind: Kind,
    /// In which order.
    pub order: Order,
    /// What a table or CSV of them shows.
    pub columns: Vec<String>,
    /// The fields that were typed: one that no record has is told.
    pub fields: Vec<String>,
    /// Whether records of `stage : shadow` are wanted though the condition does not name `stage`.
    pub include_shadow: bool,
    /// From when and up to when, in milliseconds since 1970.
    pub range_ms: (Option<i64>, Option<i64>),
    /// What is now.
    pub now: DateTime<Utc>,
}

/// Everything that is asked, ready to be put to a source.
#[derive(Clone, Debug)]
pub struct Inquiry {
    /// What the source is asked.
    pub question: Question,
    /// The condition as it was typed, or saved.
    pub text: String,
    /// What a table or CSV shows.
    pub columns: Vec<String>,
    /// What became of shadow records: `as asked`, `included`, `left out`.
    pub shadow: &'static str,
    /// When it was asked.
    pub now: DateTime<Utc>,
    /// What is probably not meant.
    pub doubts: Vec<String>,
    /// The fields that were typed.
    pub fields: Vec<String>,
}

impl Wanted {
    /// Makes it ready.
    ///
    /// # Errors
    /// None that a condition could cause: those of conditions of our own.
    pub fn inquiry(self) -> Result<Inquiry, Error> {
        let Wanted { mut condition, kind, order, columns, fields, include_shadow, range_ms, now } = self;
        let evaluations = || Expression::parse("kind : evaluation");
        condition = match kind {
            Kind::Records => condition,
            Kind::Outcomes => condition.and(evaluations()?.negated()),
            Kind::Evaluations => condition.and(evaluations()?),
        };
        let text = condition.to_string();
        let shadow = match (condition.fields().contains(&"stage"), include_shadow) {
            (true, _) => "as asked",
            (false, true) => "included",
            (false, false) => "left out",
        };
        if shadow == "left out" {
            condition = condition.and(not_shadow()?);
        }
        let condition = condition.at(now);
        let doubts = condition.doubts();
        let (from_ms, until_ms) = range_ms;
        let question = Question { stream: kind.stream(), condition, from_ms, until_ms, order };
        Ok(Inquiry { question, text, columns, shadow, now, doubts, fields })
    }
}

impl Inquiry {
    /// The records of the range that have no confidence.
    ///
    /// # Errors
    /// None that a condition could cause.
    pub fn without_confidence(&self) -> Result<Question, Error> {
        let mut condition = Expression::parse("not confidence : *")?;
        if self.shadow == "left out" {
            condition = condition.and(not_shadow()?);
        }
        Ok(Question { condition, ..self.question.clone() })
    }
}

/// Records that are not of `stage : shadow`.
///
/// # Errors
/// None.
pub fn not_shadow() -> Result<Expression, Error> {
    Ok(Expression::parse("stage : shadow")?.negated())
}

/// The fields that were typed, once each, without those that have `*` in them.
pub fn typed_fields(condition: &Expression, by: Option<&String>, columns: &[String]) -> Vec<String> {
    let of_condition = condition.fields().into_iter().map(str::to_owned);
    let mut fields: Vec<String> = Vec::new();
    for field in of_condition.chain(by.cloned()).chain(columns.iter().cloned()) {
        if !field.contains('*') && field != ID_COLUMN && !fields.contains(&field) {
            fields.push(field);
        }
    }
    fields
}

/// The usual columns, and the fields that the query names.
pub fn usual_columns(format: Format, kind: Kind, condition: &Expression) -> Vec<String> {
    let usual: &[&str] = match (kind, format) {
        (Kind::Evaluations, _) => &EVALUATION_COLUMNS,
        (Kind::Outcomes, _) => &OUTCOME_COLUMNS,
        (Kind::Records, Format::Csv) => &CSV_COLUMNS,
        (Kind::Records, Format::Table | Format::Json) => &TABLE_COLUMNS,
    };
    let mut columns: Vec<String> = usual.iter().map(|name| (*name).to_owned()).collect();
    for field in condition.fields() {
        if !field.contains('*') && !columns.iter().any(|column| column == field) {
            columns.push(field.to_owned());
        }
    }
    columns
}
