//! `inferlog query`: which records meet this? Rows to stdout; on stderr how many they are, how many in the range had no
//! confidence, and through which time the answer is complete.

use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::query_source::{self, Opened};
use super::{COULD_NOT_LOOK, Failure, NOT_SO, State, complain, print, runtime, say, start_log, terminal_width};
use crate::flow::question::{Order, Question, Row};
use crate::kql::{self, Expression};
use crate::proof::completeness::Completeness;
use crate::query::ask::{AskError, Told};
use crate::query::cell::ID_COLUMN;
use crate::query::groups::Groups;
use crate::query::output::{Format, Output, Written};
use crate::query::saved::{self, Saved, SavedError};
use crate::record::{Record, Space};
use crate::text::harmless::harmless;
use crate::text::units::parse_duration;

/// The exit code of what Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// How wide a table is where no terminal says so, in characters.
const TABLE_WIDTH: usize = 160;

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

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What the records must meet, in KQL, as in `confidence < 0.6 and features.country : (DE or FR)`
    #[arg(value_name = "KQL")]
    kql: Option<String>,
    /// A named query, a file of one, or `list`; a KQL beside it narrows it
    #[arg(long, value_name = "NAME")]
    saved: Option<String>,
    /// The pipeline file whose sink is asked [default: the only store in the folder of state]
    #[arg(long, value_name = "FILE")]
    pipeline: Option<PathBuf>,
    /// Which sink is asked: `store`, `elasticsearch`, or a sink's name [default: the pipeline's store, else its Elasticsearch]
    #[arg(long, value_name = "SINK")]
    source: Option<String>,
    /// Only records of this last time, such as `1h` or `7d`
    #[arg(long, value_name = "TIME", conflicts_with_all = ["from", "to"], value_parser = parse_duration)]
    last: Option<std::time::Duration>,
    /// Only records from then on: a date such as `2026-11-23T10:00`, or date math such as `now-1h/h`
    #[arg(long, value_name = "T")]
    from: Option<String>,
    /// Only records before then
    #[arg(long, value_name = "T")]
    to: Option<String>,
    /// How to print: whole documents as shipped are `json`, one a line
    #[arg(long, value_enum, default_value = "table")]
    format: FormatName,
    /// Columns of a table or CSV, with commas between them
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    columns: Vec<String>,
    /// Print only how many there are
    #[arg(long, conflicts_with = "by")]
    count: bool,
    /// No more than this many rows
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Group by a field: counts, and mean, median and p99 of confidence and latency
    #[arg(long, value_name = "FIELD")]
    by: Option<String>,
    /// Only predictions made on this input, a JSON value: it is hashed as the pipeline's `hash` does
    #[arg(long, value_name = "JSON")]
    input: Option<String>,
    /// Show records of `stage : shadow` too; a query that names `stage` does so anyway
    #[arg(long)]
    include_shadow: bool,
    /// Write what was asked and found, with a digest of the output, to this file
    #[arg(long, value_name = "F")]
    manifest: Option<PathBuf>,
    /// Exit 1 unless the answer is known to be complete
    #[arg(long)]
    require_complete: bool,
    #[command(flatten)]
    state: State,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum FormatName {
    Table,
    Json,
    Csv,
}

impl FormatName {
    fn format(self) -> Format {
        match self {
            FormatName::Table => Format::Table,
            FormatName::Json => Format::Json,
            FormatName::Csv => Format::Csv,
        }
    }
}

/// Everything that is asked, ready to be put to a source.
struct Asked {
    question: Question,
    /// As it was typed, or saved.
    text: String,
    columns: Vec<String>,
    by: Option<String>,
    shadow: &'static str,
    now: DateTime<Utc>,
}

/// What came of it.
enum Answer {
    Counted(u64),
    Shown(Written, Told),
    /// Nobody reads any more.
    Unread,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    start_log("warn");
    if arguments.saved.as_deref() == Some("list") {
        return list();
    }
    let saved = arguments.saved.as_deref().map(saved::load).transpose().map_err(|error| not_saved(&error))?;
    if arguments.kql.is_none() && saved.is_none() && arguments.input.is_none() {
        complain(
            "nothing is asked",
            Some("write KQL, as in `inferlog query 'confidence < 0.6'`, or name one with `--saved`"),
        );
        return Err(Failure(COULD_NOT_LOOK));
    }
    let opened = query_source::open(
        arguments.pipeline.as_deref(),
        arguments.source.as_deref(),
        arguments.state.data_dir.clone(),
    )?;
    let asked = Asked::of(arguments, saved, &opened)?;
    let runtime = runtime()?;
    // Before the answer: what is said to be there by then has to be in it.
    let completeness = runtime.block_on(opened.completeness(&asked.question, asked.now));
    let answer = runtime.block_on(answer(arguments, &asked, &opened))?;
    runtime.block_on(conclude(arguments, &asked, &opened, &answer, &completeness))
}

fn list() -> Result<(), Failure> {
    let all = saved::all().map_err(|error| not_saved(&error))?;
    all.iter().for_each(|saved| print(&format!("{:<28}{}", saved.name, saved.title)));
    Ok(())
}

fn not_saved(error: &SavedError) -> Failure {
    Failure::new(error, Some("`inferlog query --saved list` names those that there are"))
}

fn could_not_ask(error: &AskError) -> Failure {
    Failure::new(error, error.hint())
}

pub(super) fn parse(kql: &str) -> Result<Expression, Failure> {
    Expression::parse(kql).map_err(|error| {
        complain(&format!("this is not KQL: {error}"), None);
        Failure(COULD_NOT_LOOK)
    })
}

impl Asked {
    fn of(arguments: &Arguments, saved: Option<Saved>, opened: &Opened) -> Result<Asked, Failure> {
        let now = Utc::now();
        let mut condition = parse(arguments.kql.as_deref().unwrap_or_default())?;
        let (mut order, mut columns, mut by, mut last) = (Order::NEWEST_FIRST, Vec::new(), None, None);
        if let Some(saved) = saved {
            condition = saved.condition.and(condition);
            (order, columns, by, last) = (saved.order, saved.columns, saved.by, saved.last);
        }
        if let Some(input) = &arguments.input {
            condition = condition.and(opened.made_on(input)?);
        }
        let text = condition.to_string();
        if columns.is_empty() {
            columns = usual_columns(arguments.format, &condition);
        }
        let names_stage = condition.fields().contains(&"stage");
        let shadow = if names_stage {
            "as asked"
        } else if arguments.include_shadow {
            "included"
        } else {
            "left out"
        };
        if shadow == "left out" {
            condition = condition.and(parse("stage : shadow")?.negated());
        }
        let (from_ms, until_ms) = arguments.range(last, now)?;
        let question = Question { condition: condition.at(now), from_ms, until_ms, order };
        let columns = if arguments.columns.is_empty() { columns } else { arguments.columns.clone() };
        Ok(Asked { question, text, columns, by: arguments.by.clone().or(by), shadow, now })
    }
}

/// The usual columns, and the fields that the query names.
fn usual_columns(format: FormatName, condition: &Expression) -> Vec<String> {
    let usual: &[&str] = if matches!(format, FormatName::Csv) { &CSV_COLUMNS } else { &TABLE_COLUMNS };
    let mut columns: Vec<String> = usual.iter().map(|name| (*name).to_owned()).collect();
    for field in condition.fields() {
        if !field.contains('*') && !columns.iter().any(|column| column == field) {
            columns.push(field.to_owned());
        }
    }
    columns
}

impl Arguments {
    /// The range in milliseconds: what was typed, else what the saved query has.
    fn range(
        &self,
        saved: Option<std::time::Duration>,
        now: DateTime<Utc>,
    ) -> Result<(Option<i64>, Option<i64>), Failure> {
        let is_fixed = self.from.is_some() || self.to.is_some();
        if let Some(last) = self.last.or(saved.filter(|_| !is_fixed)) {
            let now_ms = now.timestamp_millis();
            let from_ms = now_ms.saturating_sub(i64::try_from(last.as_millis()).unwrap_or(i64::MAX));
            return Ok((Some(from_ms), Some(now_ms)));
        }
        let moment = |flag: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => kql::moment_ms(text, now).map(Some).ok_or_else(|| {
                let hint =
                    "write a date such as `2026-11-23` or `2026-11-23T10:00:00Z`, or date math such as `now-1h/h`";
                complain(&format!("`{flag} {text}` is no time"), Some(hint));
                Failure(COULD_NOT_LOOK)
            }),
        };
        Ok((moment("--from", &self.from)?, moment("--to", &self.to)?))
    }
}

async fn answer(arguments: &Arguments, asked: &Asked, opened: &Opened) -> Result<Answer, Failure> {
    if arguments.count {
        let count = opened.source.count(&asked.question).await.map_err(|error| could_not_ask(&error))?;
        print(&count.to_string());
        return Ok(Answer::Counted(count));
    }
    let shown = match &asked.by {
        None => rows(arguments, asked, opened).await,
        Some(field) => groups(arguments, asked, opened, field).await,
    };
    match shown? {
        Ok((_, told)) if told.is_stopped => {
            say("interrupted: what was printed is not all");
            Err(Failure(INTERRUPTED))
        }
        Ok((written, told)) => Ok(Answer::Shown(written, told)),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Answer::Unread),
        Err(error) => {
            complain(&format!("cannot write the rows: {error}"), None);
            Err(Failure(COULD_NOT_LOOK))
        }
    }
}

type Shown = io::Result<(Written, Told)>;

async fn rows(arguments: &Arguments, asked: &Asked, opened: &Opened) -> Result<Shown, Failure> {
    let out = BufWriter::new(io::stdout().lock());
    let mut output = match Output::new(arguments.format.format(), asked.columns.clone(), width(), out) {
        Ok(output) => output,
        Err(error) => return Ok(Err(error)),
    };
    let mut left = arguments.limit.unwrap_or(u64::MAX);
    let mut failed = None;
    let mut visit = |row: Row<'_>| {
        if left == 0 {
            return ControlFlow::Break(());
        }
        left -= 1;
        match output.row(row) {
            Ok(()) if left > 0 => ControlFlow::Continue(()),
            Ok(()) => ControlFlow::Break(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    };
    let told = opened.source.rows(&asked.question, arguments.limit, interrupted(), &mut visit).await;
    let told = told.map_err(|error| could_not_ask(&error))?;
    Ok(match failed {
        Some(error) => Err(error),
        None => output.finish().map(|written| (written, told)),
    })
}

async fn groups(arguments: &Arguments, asked: &Asked, opened: &Opened, field: &str) -> Result<Shown, Failure> {
    let (mut groups, mut space) = (Groups::new(field), Space::default());
    let mut too_many = None;
    let mut visit = |row: Row<'_>| match Record::parse(row.document, &mut space) {
        Err(_) => ControlFlow::Continue(()),
        Ok(record) => match groups.add(&record) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                too_many = Some(error);
                ControlFlow::Break(())
            }
        },
    };
    let told = opened.source.rows(&asked.question, None, interrupted(), &mut visit).await;
    let told = told.map_err(|error| could_not_ask(&error))?;
    if let Some(error) = too_many {
        return Err(Failure::new(&error, Some("narrow the query or the range, or group by another field")));
    }
    let out = BufWriter::new(io::stdout().lock());
    let write = || {
        let mut output = Output::of_groups(arguments.format.format(), field, width(), out)?;
        let limit = arguments.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        for summary in groups.summaries().iter().take(limit) {
            output.group(field, summary)?;
        }
        output.finish()
    };
    Ok(write().map(|written| (written, told)))
}

/// Comes with Ctrl-C. Where signals cannot be had, Ctrl-C ends the process as ever.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The width of the terminal.
fn width() -> usize {
    let columns = || std::env::var("COLUMNS").ok()?.parse().ok();
    terminal_width().or_else(columns).unwrap_or(TABLE_WIDTH)
}

/// Says on stderr what there is to know about the answer, and writes the manifest.
async fn conclude(
    arguments: &Arguments,
    asked: &Asked,
    opened: &Opened,
    answer: &Answer,
    completeness: &Completeness,
) -> Result<(), Failure> {
    let question = &asked.question;
    if matches!(answer, Answer::Unread) {
        return Ok(());
    }
    let without = parse("not confidence : *")?;
    let without = if asked.shadow == "left out" { without.and(parse("stage : shadow")?.negated()) } else { without };
    let without = Question { condition: without, ..question.clone() };
    let unknown = opened.source.count(&without).await.map_err(|error| could_not_ask(&error))?;
    say_summary(arguments, asked, opened, answer, unknown);
    say_completeness(completeness);
    if let Some(path) = &arguments.manifest {
        let manifest = manifest(arguments, asked, opened, answer, unknown, completeness);
        let text = serde_json::to_string_pretty(&manifest).unwrap_or_default() + "\n";
        if let Err(error) = fs_err::File::create(path).and_then(|mut file| file.write_all(text.as_bytes())) {
            complain(&error.to_string(), Some("the rows were printed; only the manifest is missing"));
            return Err(Failure(COULD_NOT_LOOK));
        }
    }
    if arguments.require_complete && !completeness.is_complete() { Err(Failure(NOT_SO)) } else { Ok(()) }
}

fn say_summary(arguments: &Arguments, asked: &Asked, opened: &Opened, answer: &Answer, unknown: u64) {
    let rows = match answer {
        Answer::Counted(count) => format!("{count} records"),
        Answer::Shown(written, _) if asked.by.is_some() => format!("{} groups", written.rows),
        Answer::Shown(written, _) => {
            let more = if Some(written.rows) == arguments.limit { ", as many as `--limit` lets through" } else { "" };
            format!("{} records{more}", written.rows)
        }
        Answer::Unread => return,
    };
    let shadow = if asked.shadow == "left out" { "; shadow records are left out" } else { "" };
    let range = range_text(&asked.question);
    say(&format!("{rows} in {}, {range}; {unknown} records there have no confidence{shadow}", opened.name));
    if let Answer::Shown(_, Told { is_cut: true, .. }) = answer {
        say("so many records have one and the same time that their order is not the same everywhere");
    }
}

fn say_completeness(completeness: &Completeness) {
    let through = |time: DateTime<Utc>| time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    say(&completeness.through.map_or("it is not known through which time this is complete".to_owned(), |time| {
        format!("complete through {}", through(time))
    }));
    completeness.gaps.iter().for_each(|gap| say(&format!("  {}", harmless(gap))));
}

fn time_text(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms)
        .map_or_else(|| format!("{ms} ms"), |time| time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
}

fn range_text(question: &Question) -> String {
    match (question.from_ms, question.until_ms) {
        (None, None) => "at any time".to_owned(),
        (Some(from), None) => format!("from {} on", time_text(from)),
        (None, Some(until)) => format!("before {}", time_text(until)),
        (Some(from), Some(until)) => format!("from {} to {}", time_text(from), time_text(until)),
    }
}

fn manifest(
    arguments: &Arguments,
    asked: &Asked,
    opened: &Opened,
    answer: &Answer,
    unknown: u64,
    completeness: &Completeness,
) -> Value {
    let (count, output, indices) = match answer {
        Answer::Counted(count) => (json!(count), Value::Null, Vec::new()),
        Answer::Shown(written, told) => {
            let format = format!("{:?}", arguments.format).to_lowercase();
            let output =
                json!({"format": format, "rows": written.rows, "bytes": written.bytes, "sha256": written.sha256});
            let count = if asked.by.is_some() { Value::Null } else { json!(written.rows) };
            (count, output, told.indices.clone())
        }
        Answer::Unread => (Value::Null, Value::Null, Vec::new()),
    };
    json!({
        "tool": "inferlog", "version": env!("CARGO_PKG_VERSION"),
        "time": asked.now.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        "query": asked.text, "saved": arguments.saved, "by": asked.by, "limit": arguments.limit,
        "shadow_records": asked.shadow,
        "range": {"from": asked.question.from_ms.map(time_text), "to": asked.question.until_ms.map(time_text)},
        "source": {"name": opened.name, "indices": indices},
        "count": count, "without_confidence": unknown, "output": output, "completeness": completeness.json(),
    })
}
