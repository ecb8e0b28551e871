//! What is answered: rows of a store, what is said beside them, and a line of the log.
//!
//! It is done on a thread of its own, with the store opened for reading, so that the pipeline goes on beside it: a reader
//! holds up no writer, and its snapshot ends with it. Memory is bounded by [`ANSWER_BYTES_MAX`], time by a [`StopSign`],
//! which SQLite looks at in the middle of its work.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use chrono::Utc;
use serde::Serialize;
use tokio::runtime::Handle;

use super::limits::{ANSWER_BYTES_MAX, LOG_TARGET, SECONDS_MAX};
use super::refusal::Refusal;
use crate::config::model::{Pipeline, SinkOptions};
use crate::flow::question::{Order, Row};
use crate::kql::Expression;
use crate::pipeline::build::store_path;
use crate::proof::completeness::Completeness;
use crate::query::ask::{AskError, Source, rows_of_store};
use crate::query::cell::Cell;
use crate::query::inquiry::{Inquiry, Kind, Wanted, typed_fields, usual_columns};
use crate::query::order::InOrder;
use crate::query::output::{Format, Output};
use crate::query::range::{Range, range_text};
use crate::query::respondent::Respondent;
use crate::query::words::{CUT_TIES, doubts, looked_through, summary};
use crate::record::{Record, Space};
use crate::sink::store::{Reader, StoreError};
use crate::text::chain::chain;
use crate::text::harmless::harmless;
use crate::text::units::{counted, format_bytes};

/// The most characters of a cell; the document beside it has all of them.
const CELL_CHARACTERS_MAX: usize = 200;

/// When an answer is not waited for any longer.
#[derive(Debug)]
pub(super) struct StopSign {
    began: Instant,
    within: Duration,
    is_abandoned: AtomicBool,
}

impl StopSign {
    pub(super) fn new(within: Duration) -> StopSign {
        StopSign { began: Instant::now(), within, is_abandoned: AtomicBool::new(false) }
    }

    /// Nobody waits any more.
    pub(super) fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::Release);
    }

    fn is_over(&self) -> bool {
        self.is_abandoned.load(Ordering::Acquire) || self.began.elapsed() >= self.within
    }
}

/// Which limit ended an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    Rows,
    Bytes,
    Seconds,
}

impl Cut {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Cut::Rows => "rows",
            Cut::Bytes => "bytes",
            Cut::Seconds => "seconds",
        }
    }
}

/// A record, for the page.
#[derive(Debug, Serialize)]
pub(super) struct AnswerRow {
    /// For people: harmless, and cut.
    cells: Vec<String>,
    /// As it was shipped.
    document: String,
}

/// The rows, as they were asked for.
pub(super) enum Body {
    Rows(Vec<AnswerRow>),
    Csv(Vec<u8>),
}

/// What is answered.
pub(super) struct Answer {
    pub(super) columns: Vec<String>,
    pub(super) body: Body,
    /// How many rows.
    pub(super) count: u64,
    pub(super) cut: Option<Cut>,
    /// What is said beside them, a line each.
    pub(super) words: Vec<String>,
    pub(super) completeness: Completeness,
    pub(super) milliseconds: u64,
}

/// A question, ready to be answered.
pub(super) struct Asking {
    pub(super) peer: String,
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) data_dir: PathBuf,
    /// As it was typed.
    pub(super) kql: String,
    pub(super) condition: Expression,
    pub(super) range: Range,
    pub(super) limit: u64,
    pub(super) is_csv: bool,
}

/// Rows as they are found.
struct Found {
    body: Body,
    count: u64,
    cut: Option<Cut>,
    are_ties_cut: bool,
}

impl Asking {
    /// Answers, and writes the line of the log.
    pub(super) fn answer(self, stop: &Arc<StopSign>, runtime: &Handle) -> Result<Answer, Refusal> {
        let inquiry = self.inquiry()?;
        let answered = self.answered(&inquiry, stop, runtime);
        let milliseconds = u64::try_from(stop.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (rows, verdict) = match &answered {
            Ok(answer) => (answer.count, answer.completeness.verdict().as_str()),
            Err(_) => (0, "not answered"),
        };
        let (peer, pipeline, kql, range) = (&self.peer, &self.pipeline.name, &self.kql, range_text(&inquiry.question));
        let format = if self.is_csv { "csv" } else { "json" };
        tracing::info!(
            target: LOG_TARGET,
            peer, pipeline, kql, range, format, rows, completeness = verdict, milliseconds, "records were asked for"
        );
        answered.map(|answer| Answer { milliseconds, ..answer })
    }

    fn inquiry(&self) -> Result<Inquiry, Refusal> {
        let now = Utc::now();
        let wrong = |problem: String, hint: Option<&str>| Refusal::new(StatusCode::BAD_REQUEST, problem, hint);
        let range_ms = self.range.milliseconds(None, now).map_err(|error| {
            let (problem, hint) = error.words("");
            wrong(harmless(&problem).into_owned(), Some(&hint))
        })?;
        let (condition, kind, order) = (self.condition.clone(), Kind::Records, Order::NEWEST_FIRST);
        let format = if self.is_csv { Format::Csv } else { Format::Table };
        let columns = usual_columns(format, kind, &condition);
        let fields = typed_fields(&condition, None, &[]);
        let wanted = Wanted { condition, kind, order, columns, fields, include_shadow: false, range_ms, now };
        wanted.inquiry().map_err(|error| wrong(error.to_string(), None))
    }

    fn answered(&self, inquiry: &Inquiry, stop: &Arc<StopSign>, runtime: &Handle) -> Result<Answer, Refusal> {
        let mut respondent = self.respondent()?;
        if let Source::Store(reader) = &mut respondent.source {
            let stop = Arc::clone(stop);
            reader.interrupt_when(move || stop.is_over()).map_err(|error| no_answer(&error.into()))?;
        }
        // Before the answer: what is said to be there by then has to be in it.
        let completeness = runtime.block_on(respondent.completeness(&inquiry.question, inquiry.now));
        let Source::Store(reader) = &respondent.source else {
            return Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "BUG: this is no store", None));
        };
        let found = self.found(reader, inquiry, stop).map_err(|error| no_answer(&error.into()))?;
        let words = runtime.block_on(beside(&respondent, inquiry, &found)).map_err(|error| no_answer(&error))?;
        let Found { body, count, cut, .. } = found;
        Ok(Answer { columns: inquiry.columns.clone(), body, count, cut, words, completeness, milliseconds: 0 })
    }

    /// The pipeline's store; what is elsewhere is searched elsewhere.
    fn respondent(&self) -> Result<Respondent, Refusal> {
        let pipeline = &self.pipeline;
        let store = pipeline.sinks.iter().find_map(|sink| match &sink.options {
            SinkOptions::Store(store) => Some(store),
            SinkOptions::Elasticsearch(_) | SinkOptions::Stdout => None,
        });
        let Some(store) = store else { return Err(elsewhere(pipeline)) };
        let path = store_path(&self.data_dir, &pipeline.name, store);
        let opened = Respondent::of_store(&path, &pipeline.name, Some((**pipeline).clone()), &self.data_dir);
        opened.map_err(|error| no_answer(&error.into()))
    }

    fn found(&self, reader: &Reader, inquiry: &Inquiry, stop: &StopSign) -> Result<Found, StoreError> {
        let mut in_order = InOrder::holding(inquiry.question.order, ANSWER_BYTES_MAX as usize);
        let mut rows = RowsWanted { left: self.limit, bytes: 0, cut: (self.limit == 0).then_some(Cut::Rows) };
        let (body, ended) = match self.is_csv {
            true => csv(reader, inquiry, stop, &mut in_order, &mut rows),
            false => cells(reader, inquiry, stop, &mut in_order, &mut rows),
        };
        match ended {
            Err(error) if error.is_interrupted() => rows.cut = Some(Cut::Seconds),
            ended => ended?,
        }
        Ok(Found { body, count: self.limit - rows.left, cut: rows.cut, are_ties_cut: in_order.is_cut() })
    }
}

/// How much may still be found.
struct RowsWanted {
    left: u64,
    bytes: u64,
    cut: Option<Cut>,
}

impl RowsWanted {
    /// Whether no row is taken any more, before one is looked at.
    fn are_enough(&mut self, stop: &StopSign) -> bool {
        if stop.is_over() {
            self.cut = Some(Cut::Seconds);
        }
        self.cut.is_some()
    }

    /// Whether a row is taken, by how many bytes the answer would have with it.
    fn take(&mut self, bytes: u64) -> bool {
        if bytes > ANSWER_BYTES_MAX {
            self.cut = Some(Cut::Bytes);
            return false;
        }
        (self.bytes, self.left) = (bytes, self.left - 1);
        if self.left == 0 {
            self.cut = Some(Cut::Rows);
        }
        true
    }

    fn flow(&self) -> ControlFlow<()> {
        if self.cut.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// CSV as `inferlog query` writes it.
fn csv(
    reader: &Reader,
    inquiry: &Inquiry,
    stop: &StopSign,
    in_order: &mut InOrder,
    rows: &mut RowsWanted,
) -> (Body, Result<(), StoreError>) {
    let mut text = Vec::new();
    // Writing to memory cannot fail.
    let Ok(mut output) = Output::new(Format::Csv, inquiry.columns.clone(), usize::MAX, &mut text) else {
        return (Body::Csv(Vec::new()), Ok(()));
    };
    rows.bytes = output.written_bytes();
    let mut visit = |row: Row<'_>| {
        if rows.are_enough(stop) || output.row(row).is_err() {
            return ControlFlow::Break(());
        }
        rows.take(output.written_bytes());
        rows.flow()
    };
    let ended = rows_of_store(reader, &inquiry.question, in_order, &mut visit);
    drop(output);
    text.truncate(rows.bytes as usize);
    (Body::Csv(text), ended)
}

/// Cells of a table as `inferlog query` shows them, and the documents.
fn cells(
    reader: &Reader,
    inquiry: &Inquiry,
    stop: &StopSign,
    in_order: &mut InOrder,
    rows: &mut RowsWanted,
) -> (Body, Result<(), StoreError>) {
    let (mut all, mut space) = (Vec::new(), Space::default());
    let mut visit = |row: Row<'_>| {
        if rows.are_enough(stop) || !rows.take(rows.bytes + row.document.len() as u64) {
            return ControlFlow::Break(());
        }
        let record = Record::parse(row.document, &mut space);
        let cell = |column: &String| record.as_ref().map_or(Cell::Missing, |record| Cell::of(record, row.id, column));
        let cells = inquiry.columns.iter().map(|column| brief(cell(column).text())).collect();
        all.push(AnswerRow { cells, document: row.document.to_owned() });
        rows.flow()
    };
    let ended = rows_of_store(reader, &inquiry.question, in_order, &mut visit);
    (Body::Rows(all), ended)
}

/// The beginning of a cell, harmless.
fn brief(text: &str) -> String {
    match text.char_indices().nth(CELL_CHARACTERS_MAX) {
        None => harmless(text).into_owned(),
        Some((end, _)) => harmless(&text[..end]).into_owned() + "…",
    }
}

/// What is said beside the rows, as `inferlog query` says it. What would take too long to be looked at is left out.
async fn beside(respondent: &Respondent, inquiry: &Inquiry, found: &Found) -> Result<Vec<String>, AskError> {
    let count = counted(found.count, "record");
    let rows = match found.cut {
        None => count,
        Some(Cut::Rows) => format!("{count}, as many as one answer has,"),
        Some(Cut::Bytes) => format!("{count}, as many as fit into {},", format_bytes(ANSWER_BYTES_MAX)),
        Some(Cut::Seconds) => format!("{count}, as many as were found within {} s,", SECONDS_MAX),
    };
    let source = &respondent.source;
    let without = match inquiry.without_confidence() {
        Ok(question) => in_time(source.count(&question).await)?,
        Err(_) => None,
    };
    let mut words = vec![summary(&rows, inquiry, &respondent.name, without)];
    words.extend(found.are_ties_cut.then(|| CUT_TIES.to_owned()));
    if found.count == 0 && found.cut.is_none() {
        words.extend(in_time(looked_through(source, &inquiry.question).await)?);
    }
    words.extend(in_time(doubts(source, inquiry).await)?.into_iter().flatten());
    Ok(words)
}

/// What was found in time.
fn in_time<T>(found: Result<T, AskError>) -> Result<Option<T>, AskError> {
    match found {
        Err(AskError::Store(error)) if error.is_interrupted() => Ok(None),
        found => found.map(Some),
    }
}

fn elsewhere(pipeline: &Pipeline) -> Refusal {
    let is_elasticsearch = pipeline.sinks.iter().any(|sink| matches!(sink.options, SinkOptions::Elasticsearch(_)));
    let name = &pipeline.name;
    let (problem, hint) = match is_elasticsearch {
        true => (
            format!("pipeline `{name}` ships into Elasticsearch, and keeps no records here"),
            format!("look for them in Kibana, or with `inferlog query --pipeline {name}`"),
        ),
        false => (
            format!("pipeline `{name}` keeps no records"),
            "what reads its standard output has them; `sink: store` keeps them".to_owned(),
        ),
    };
    Refusal::new(StatusCode::CONFLICT, problem, Some(&hint))
}

fn no_answer(error: &AskError) -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, chain(error), error.hint())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_end_an_answer_and_are_named() {
        let stop = StopSign::new(Duration::from_secs(60));
        let mut rows = RowsWanted { left: 2, bytes: 0, cut: None };
        assert!(!rows.are_enough(&stop) && rows.take(10) && rows.flow().is_continue());
        assert!(!rows.take(ANSWER_BYTES_MAX + 1), "what does not fit is left out");
        assert_eq!((rows.cut, rows.left, rows.bytes), (Some(Cut::Bytes), 1, 10));
        let mut rows = RowsWanted { left: 1, bytes: 0, cut: None };
        assert!(rows.take(ANSWER_BYTES_MAX) && rows.flow().is_break());
        assert_eq!(rows.cut, Some(Cut::Rows));
        let mut rows = RowsWanted { left: 1, bytes: 0, cut: None };
        stop.abandon();
        assert!(rows.are_enough(&stop), "nobody waits any more");
        assert!(RowsWanted { left: 1, bytes: 0, cut: None }.are_enough(&StopSign::new(Duration::ZERO)));
    }

    #[test]
    fn a_cell_is_brief_and_harmless() {
        assert_eq!(brief("a\u{202e}b\n"), "a\\u{202e}b\\n");
        assert_eq!(brief(&"ä".repeat(CELL_CHARACTERS_MAX)), "ä".repeat(CELL_CHARACTERS_MAX));
        assert_eq!(brief(&"ä".repeat(1_000_000)), "ä".repeat(CELL_CHARACTERS_MAX) + "…");
    }
}
