//! Predictions that wait to be written into the ledger: a table of places in one text, so that none costs an allocation.

use std::ops::Range;

use super::label::{self, REQUEST_ID_BYTES_MAX};
use crate::flow::batch::Id;
use crate::kql::Value;
use crate::record::{Record, json};

/// The stage of a prediction whose record names none.
pub const PRIMARY: &str = "primary";

/// One prediction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction<'p> {
    /// What labels name it by.
    pub request_id: &'p str,
    /// Which row of a batch it is.
    pub batch_index: Option<i64>,
    /// The model; empty where the record names none.
    pub model_name: &'p str,
    /// Its version; empty where the record names none.
    pub model_version: &'p str,
    /// `primary`, `shadow`, or as the record has it.
    pub stage: &'p str,
    /// When it was made, in microseconds since 1970 (UTC).
    pub time_us: i64,
    /// The document's `_id`.
    pub record_id: Id,
    /// What was predicted, as [`label::class_name`] has it.
    pub prediction: &'p str,
    /// How sure the model was of it, 0 to 1.
    pub confidence: Option<f64>,
    /// Somebody was to look at it.
    pub flagged: bool,
}

/// Predictions that wait.
#[derive(Debug, Default)]
pub struct Predictions {
    text: String,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    request_id: Range<u32>,
    model_name: Range<u32>,
    model_version: Range<u32>,
    stage: Range<u32>,
    prediction: Range<u32>,
    batch_index: Option<i64>,
    time_us: i64,
    record_id: Id,
    confidence: Option<f64>,
    flagged: bool,
}

impl Predictions {
    /// Takes what a record predicted. False when it has no `request_id` or no prediction that is a class or a number: no label can
    /// be joined with it.
    pub fn take(&mut self, record: &Record<'_>, record_id: Id, time_us: i64, flagged: bool) -> bool {
        let Some(prediction) = record.first("prediction").and_then(label::class_name) else { return false };
        let start = self.text.len();
        let request_id = self.keep_field(record, "request_id");
        if request_id.is_empty() || request_id.len() > REQUEST_ID_BYTES_MAX {
            self.text.truncate(start);
            return false;
        }
        let (model_name, model_version) =
            (self.keep_field(record, "model_name"), self.keep_field(record, "model_version"));
        let mut stage = self.keep_field(record, "stage");
        if stage.is_empty() {
            stage = self.keep(PRIMARY);
        }
        let prediction = self.keep(&prediction);
        let confidence = record.first("confidence").and_then(|raw| raw.parse::<f64>().ok());
        self.rows.push(Row {
            request_id,
            model_name,
            model_version,
            stage,
            prediction,
            batch_index: label::batch_index(record),
            time_us,
            record_id,
            confidence: confidence.filter(|confidence| (0.0..=1.0).contains(confidence)),
            flagged,
        });
        true
    }

    /// The same of what is known of a prediction that is in a sink.
    pub fn push(&mut self, prediction: &Prediction<'_>) {
        let row = Row {
            request_id: self.keep(prediction.request_id),
            model_name: self.keep(prediction.model_name),
            model_version: self.keep(prediction.model_version),
            stage: self.keep(prediction.stage),
            prediction: self.keep(prediction.prediction),
            batch_index: prediction.batch_index,
            time_us: prediction.time_us,
            record_id: prediction.record_id,
            confidence: prediction.confidence,
            flagged: prediction.flagged,
        };
        self.rows.push(row);
    }

    /// All of them, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = Prediction<'_>> {
        let text = |range: &Range<u32>| &self.text[range.start as usize..range.end as usize];
        self.rows.iter().map(move |row| Prediction {
            request_id: text(&row.request_id),
            batch_index: row.batch_index,
            model_name: text(&row.model_name),
            model_version: text(&row.model_version),
            stage: text(&row.stage),
            time_us: row.time_us,
            record_id: row.record_id,
            prediction: text(&row.prediction),
            confidence: row.confidence,
            flagged: row.flagged,
        })
    }

    /// True when none waits.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many bytes they take.
    pub fn bytes(&self) -> usize {
        self.text.len() + self.rows.len() * size_of::<Row>()
    }

    /// Forgets all of them, and keeps the room.
    pub fn clear(&mut self) {
        self.text.clear();
        self.rows.clear();
    }

    fn keep(&mut self, text: &str) -> Range<u32> {
        let start = self.text.len() as u32;
        self.text.push_str(text);
        start..self.text.len() as u32
    }

    /// The text of a scalar; empty where there is none.
    fn keep_field(&mut self, record: &Record<'_>, field: &str) -> Range<u32> {
        let raw = record.first(field).filter(|raw| !raw.starts_with('[')).unwrap_or_default();
        match json::value(raw) {
            Value::String(text) => self.keep(&text),
            Value::Number(_) | Value::Boolean(_) => self.keep(raw),
            Value::Null | Value::Object => self.keep(""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Space;

    #[test]
    fn what_a_record_predicted_is_taken_where_a_label_could_find_it() {
        let long = format!(r#"{{"request_id":"{}","prediction":"x"}}"#, "r".repeat(REQUEST_ID_BYTES_MAX + 1));
        for (line, expected) in [
            (
                r#"{"request_id":"r","prediction":"x","model_name":"m","model_version":2,"stage":"shadow","confidence":0.5,"batch.index":3}"#,
                Some(r#"r Some(3) "m" "2" shadow x Some(0.5)"#),
            ),
            (r#"{"request_id":7,"prediction":1.0}"#, Some(r#"7 None "" "" primary 1 None"#)),
            (r#"{"request_id":"r","prediction":["x"],"stage":null}"#, Some(r#"r None "" "" primary x None"#)),
            (r#"{"request_id":"r","prediction":"x","confidence":1.01}"#, Some(r#"r None "" "" primary x None"#)),
            (r#"{"request_id":"r","prediction":"x","confidence":"0.9"}"#, Some(r#"r None "" "" primary x None"#)),
            (r#"{"request_id":"r","prediction":"x","batch.index":"b"}"#, Some(r#"r None "" "" primary x None"#)),
            (r#"{"prediction":"x"}"#, None),
            (r#"{"request_id":"","prediction":"x"}"#, None),
            (r#"{"request_id":["r"],"prediction":"x"}"#, None),
            (&long, None),
            (r#"{"request_id":"r"}"#, None),
            (r#"{"request_id":"r","prediction":null}"#, None),
            (r#"{"request_id":"r","prediction":["x","y"]}"#, None),
            (r#"{"request_id":"r","prediction":{"x":1}}"#, None),
        ] {
            let (mut space, mut predictions) = (Space::default(), Predictions::default());
            let record = Record::parse(line, &mut space).unwrap();
            let is_taken = predictions.take(&record, Id::new(0, [0; 16]), 5, true);
            let words = |it: Prediction<'_>| {
                assert!((it.time_us, it.flagged) == (5, true), "{it:?}");
                let (name, version) = (it.model_name, it.model_version);
                let (row, sure) = (it.batch_index, it.confidence);
                format!("{} {row:?} {name:?} {version:?} {} {} {sure:?}", it.request_id, it.stage, it.prediction)
            };
            assert_eq!(predictions.iter().map(words).next().as_deref(), expected, "{line}");
            assert_eq!((is_taken, predictions.text.is_empty()), (expected.is_some(), expected.is_none()), "{line}");
        }
    }
}
