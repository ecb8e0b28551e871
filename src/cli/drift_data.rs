//! The data that `baseline` and `drift` read: tables and records in files, or the records that a pipeline has shipped.
//!
//! A file called `.ndjson`, `.jsonl`, `.json` or `.log`, or whose first character is `{`, holds NDJSON records, whose features are in
//! `features`, `prediction` and `confidence` beside them; any other is CSV with a head: its columns are the features, but for those
//! that are of the record and not of the input. Files are read from end to end, row by row, never as a whole.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use chrono::Utc;
use csv::StringRecord;
use indicatif::ProgressBar;
use sha2::{Digest as _, Sha256};

use super::query::{interrupted, not_shadow};
use super::query_source::{self, could_not_ask};
use super::range::Range;
use super::{COULD_NOT_LOOK, Failure, StateFolder, complain, runtime, say};
use crate::drift::{Kind, RowError, Rows, SourceDigest, Value, visit_values};
use crate::elastic::target::Target;
use crate::flow::question::{Order, Question, Row};
use crate::kql::{Expression, Purpose};
use crate::observe::drift::options::DriftOptions;
use crate::observe::label_text;
use crate::query::range::range_text;
use crate::query::respondent::Respondent;
use crate::record::{Record, Space};
use crate::text::digest::hexadecimal;
use crate::text::harmless::harmless;
use crate::text::units::counted;

/// The longest line of NDJSON, in bytes.
const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How much of a file is read at once, in bytes.
const BLOCK_BYTES: usize = 256 * 1024;

/// Columns of a table that say something of the record, and are no input of the model.
const NO_FEATURES: [&str; 11] = [
    "_id",
    "@timestamp",
    "event",
    "input_hash",
    "latency_ms",
    "level",
    "request_id",
    "stage",
    "status",
    "subject",
    "timestamp",
];

#[derive(Debug, clap::Args)]
pub(super) struct DataArguments {
    /// CSV files with a head, or NDJSON files with `features`; with `--pipeline`, a condition in KQL instead
    #[arg(value_name = "DATA")]
    pub(super) data: Vec<PathBuf>,
    /// Read what this pipeline has shipped: its file, or its name once it ran here
    #[arg(long, value_name = "FILE|NAME")]
    pub(super) pipeline: Option<PathBuf>,
    /// Which sink of the pipeline is asked, by its name or its kind [default: its store, else its Elasticsearch]
    #[arg(long, value_name = "SINK", requires = "pipeline")]
    pub(super) source: Option<String>,
    #[command(flatten)]
    pub(super) range: Range,
    /// Only rows of this model version; rows that name none are taken to be of it
    #[arg(long, value_name = "VERSION")]
    pub(super) model_version: Option<String>,
    /// Only rows of this model; rows that name none are taken to be of it
    #[arg(long, value_name = "NAME")]
    pub(super) model_name: Option<String>,
    /// A column or feature that is not to be looked at; can be given several times
    #[arg(long, value_name = "NAME")]
    pub(super) ignore: Vec<String>,
    #[command(flatten)]
    pub(super) state: StateFolder,
}

/// What is done with a line that is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadLines {
    /// It is an error.
    Refuse,
    /// It is counted: logs have such lines.
    PassOver,
}

/// Data that can be read once or several times.
pub(super) struct Data<'a> {
    arguments: &'a DataArguments,
    ignored: HashSet<&'a str>,
    bad_lines: BadLines,
    place: DataPlace<'a>,
}

enum DataPlace<'a> {
    Files(&'a [PathBuf]),
    Shipped { respondent: Box<Respondent>, question: Box<Question>, name: String },
}

/// What one reading of the data came upon.
#[derive(Debug, Default)]
pub(super) struct Pass {
    pub(super) rows: u64,
    /// What was read, with its digest.
    pub(super) sources: Vec<SourceDigest>,
    /// Records without features, prediction and confidence.
    empty_records: u64,
    other_models: u64,
    bad_lines: u64,
    first_bad_line: Option<String>,
    /// Columns that are no features.
    left_out: BTreeSet<String>,
}

/// Why data cannot be read.
#[derive(Debug, thiserror::Error)]
enum DataError {
    #[error(transparent)]
    Read(#[from] io::Error),
    #[error("`{path}`, line {line}: {problem}")]
    Line { path: String, line: u64, problem: String },
    #[error("`{path}`, line {line}: {source}")]
    Row { path: String, line: u64, source: RowError },
}

impl<'a> Data<'a> {
    /// Looks where the data are, without reading them.
    pub(super) fn open(arguments: &'a DataArguments, bad_lines: BadLines) -> Result<Data<'a>, Failure> {
        let place = match &arguments.pipeline {
            Some(pipeline) => shipped(arguments, pipeline)?,
            None if arguments.data.is_empty() => {
                complain(
                    "there are no data to look at",
                    Some("name CSV or NDJSON files, or a pipeline that has shipped records: `--pipeline FILE|NAME`"),
                );
                return Err(Failure(COULD_NOT_LOOK));
            }
            None if arguments.range.is_given() => {
                complain(
                    "files have no range: `--last`, `--from` and `--to` are for what a pipeline has shipped",
                    Some("name the pipeline: `--pipeline FILE|NAME`"),
                );
                return Err(Failure(COULD_NOT_LOOK));
            }
            None => DataPlace::Files(&arguments.data),
        };
        let ignored = arguments.ignore.iter().map(String::as_str).collect();
        Ok(Data { arguments, ignored, bad_lines, place })
    }

    /// Reads all rows.
    pub(super) fn pass(&self, rows: &mut dyn Rows) -> Result<Pass, Failure> {
        let mut feed = Feed { data: self, rows, pass: Pass::default(), path: String::new() };
        match &self.place {
            DataPlace::Files(files) => {
                let bar = progress(files);
                let read = files.iter().try_for_each(|file| feed.file(file, &bar));
                bar.finish_and_clear();
                read.map_err(|error| Failure::new(&error, error.hint()))?;
            }
            DataPlace::Shipped { respondent, question, name } => feed.shipped(respondent, question, name)?,
        }
        Ok(feed.pass)
    }

    /// What the file of the pipeline that has shipped the data says of drift.
    pub(super) fn options(&self) -> Option<&DriftOptions> {
        match &self.place {
            DataPlace::Files(_) => None,
            DataPlace::Shipped { respondent, .. } => respondent.drift(),
        }
    }

    /// Where the data are, in words.
    pub(super) fn name(&self) -> String {
        match &self.place {
            DataPlace::Files(files) => {
                let names: Vec<String> = files.iter().map(|file| format!("`{}`", file.display())).collect();
                harmless(&names.join(", ")).into_owned()
            }
            DataPlace::Shipped { name, .. } => name.clone(),
        }
    }
}

impl DataError {
    fn hint(&self) -> Option<&'static str> {
        match self {
            DataError::Read(_) => None,
            DataError::Line { .. } => Some("correct or remove the line: what is counted has to be whole"),
            DataError::Row { .. } => Some("`--ignore NAME` leaves a column out, `--model-version` takes one version"),
        }
    }
}

impl Pass {
    /// Says what was not counted.
    pub(super) fn say(&self) {
        let mut words = Vec::new();
        if self.empty_records > 0 {
            words
                .push(format!("{} without features, prediction and confidence", counted(self.empty_records, "record")));
        }
        if self.other_models > 0 {
            words.push(format!("{} of other models or versions", counted(self.other_models, "row")));
        }
        if let Some(first) = &self.first_bad_line {
            words.push(format!(
                "{} that are no JSON objects, the first of them {first}",
                counted(self.bad_lines, "line")
            ));
        }
        if !self.left_out.is_empty() {
            let names: Vec<&str> = self.left_out.iter().map(String::as_str).collect();
            words.push(format!("columns that are no features: {}", harmless(&names.join(", "))));
        }
        if !words.is_empty() {
            say(&format!("passed over: {}", words.join("; ")));
        }
    }
}

/// The records that a pipeline has shipped, and what is asked of them.
fn shipped<'a>(arguments: &DataArguments, pipeline: &Path) -> Result<DataPlace<'a>, Failure> {
    let text = match arguments.data.as_slice() {
        [] => "",
        [one] => one.to_str().unwrap_or_default(),
        _ => {
            complain(
                "with `--pipeline` there is one condition, and no files",
                Some("put the condition in quotes: 'confidence < 0.6 and features.country : DE'"),
            );
            return Err(Failure(COULD_NOT_LOOK));
        }
    };
    let condition = Expression::read(text, Purpose::Question).map_err(|error| Failure::new(&error, None))?;
    let respondent = query_source::open(Some(pipeline), arguments.source.as_deref(), arguments.state.data_dir.clone())?;
    // What becomes visible meanwhile would make the second reading another one.
    if let Err(gap) = runtime()?.block_on(respondent.refresh(Target::parts)) {
        say(&format!("note: {gap}"));
    }
    let now = Utc::now();
    let (from_ms, until_ms) = arguments.range.milliseconds(None, now)?;
    let shadow = if condition.fields().contains(&"stage") { Expression::all() } else { not_shadow()? };
    let condition = condition.and(shadow).at(now);
    // As would what comes.
    let until_ms = until_ms.or(Some(now.timestamp_millis()));
    let question = Question {
        stream: crate::flow::batch::Stream::Records,
        condition,
        from_ms,
        until_ms,
        order: Order::NEWEST_FIRST,
    };
    let asked = if text.is_empty() { String::new() } else { format!(", `{text}`") };
    let name = format!("{}{asked}, {}", respondent.name, range_text(&question));
    Ok(DataPlace::Shipped { respondent: Box::new(respondent), question: Box::new(question), name })
}

/// A bar on a terminal, over the bytes of all files.
fn progress(files: &[PathBuf]) -> ProgressBar {
    let bytes = files.iter().filter_map(|file| fs_err::metadata(file).ok()).map(|metadata| metadata.len()).sum();
    ProgressBar::new(bytes)
}

/// A reading under way.
struct Feed<'a, 'r> {
    data: &'a Data<'a>,
    rows: &'r mut dyn Rows,
    pass: Pass,
    /// A buffer.
    path: String,
}

/// Which columns of a table are what.
#[derive(Debug, Default)]
struct Head {
    model_name: Option<usize>,
    model_version: Option<usize>,
    /// For each cell the number of its column, if it is looked at.
    columns: Vec<Option<usize>>,
}

impl Feed<'_, '_> {
    fn file(&mut self, path: &Path, bar: &ProgressBar) -> Result<(), DataError> {
        let digest = RefCell::new(Sha256::new());
        let file = Digesting { file: bar.wrap_read(fs_err::File::open(path)?), digest: &digest };
        let mut reader = BufReader::with_capacity(BLOCK_BYTES, file);
        if reader.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
            reader.consume(3);
        }
        let first = reader.fill_buf()?.iter().find(|byte| !byte.is_ascii_whitespace()).copied();
        let end = path.extension().and_then(OsStr::to_str).unwrap_or_default();
        match end {
            "ndjson" | "jsonl" | "json" | "log" => self.ndjson(path, reader)?,
            "csv" | "tsv" => self.csv(path, reader)?,
            _ if first == Some(b'{') => self.ndjson(path, reader)?,
            _ => self.csv(path, reader)?,
        }
        let sha256 = hexadecimal(&digest.into_inner().finalize());
        self.pass.sources.push(SourceDigest { name: path.display().to_string(), sha256 });
        Ok(())
    }

    fn ndjson(&mut self, path: &Path, mut reader: impl BufRead) -> Result<(), DataError> {
        let (mut bytes, mut space, mut line) = (Vec::new(), Space::default(), 0_u64);
        loop {
            bytes.clear();
            if (&mut reader).take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut bytes)? == 0 {
                return Ok(());
            }
            line += 1;
            let at = |problem: String| DataError::Line { path: path.display().to_string(), line, problem };
            if bytes.len() > LINE_BYTES_MAX {
                return Err(at(format!("it is longer than {LINE_BYTES_MAX} bytes")));
            }
            let text = std::str::from_utf8(bytes.trim_ascii_end());
            let taken = match text.map(|text| (text, Record::parse(text, &mut space))) {
                Ok(("", _)) => continue,
                Ok((_, Ok(record))) => self.record(&record),
                Ok((_, Err(reject))) => self.bad_line(&at(reject.detail)),
                Err(_) => self.bad_line(&at("it is no UTF-8 text".to_owned())),
            };
            taken.map_err(|trouble| match trouble {
                Trouble::Row(source) => DataError::Row { path: path.display().to_string(), line, source },
                Trouble::Line(problem) => at(problem),
            })?;
        }
    }

    fn bad_line(&mut self, error: &DataError) -> Result<(), Trouble> {
        let DataError::Line { path, line, problem } = error else { return Ok(()) };
        if self.data.bad_lines == BadLines::Refuse {
            return Err(Trouble::Line(format!("it is no record: {problem}")));
        }
        self.pass.bad_lines += 1;
        self.pass
            .first_bad_line
            .get_or_insert_with(|| harmless(&format!("`{path}`, line {line}: {problem}")).into_owned());
        Ok(())
    }

    /// Takes one record, if it has anything to count.
    fn record(&mut self, record: &Record<'_>) -> Result<(), Trouble> {
        let (name, version) = (label_text(record, "model_name"), label_text(record, "model_version"));
        let mut path = std::mem::take(&mut self.path);
        // `None` until the first value.
        let mut is_counted = None;
        let mut problem = None;
        visit_values(record, &mut path, &mut |kind, feature, value| {
            if problem.is_some() || self.data.ignored.contains(feature) {
                return;
            }
            let begun = match is_counted {
                Some(is_counted) => Ok(is_counted),
                None => self.begin(&name, &version),
            };
            let column = begun.and_then(|is| if is { self.rows.column(kind, feature).map(Some) } else { Ok(None) });
            is_counted = Some(matches!(column, Ok(Some(_))));
            match column {
                Ok(Some(column)) => self.rows.value(column, &value),
                Ok(None) => {}
                Err(error) => problem = Some(error),
            }
        });
        self.path = path;
        match (problem, is_counted) {
            (Some(problem), _) => return Err(Trouble::Row(problem)),
            (None, Some(true)) => self.rows.end(),
            (None, Some(false)) => {}
            (None, None) => self.pass.empty_records += 1,
        }
        Ok(())
    }

    /// Begins a row, unless it is of another model than is wanted.
    fn begin(&mut self, model_name: &str, model_version: &str) -> Result<bool, RowError> {
        let or = |own: &str, wanted: &Option<String>| match wanted {
            Some(wanted) if own.is_empty() || own == wanted => Some(wanted.clone()),
            Some(_) => None,
            None => Some(own.to_owned()),
        };
        let arguments = self.data.arguments;
        let of = or(model_name, &arguments.model_name).zip(or(model_version, &arguments.model_version));
        let Some((model_name, model_version)) = of else {
            self.pass.other_models += 1;
            return Ok(false);
        };
        self.pass.rows += 1;
        self.rows.begin(&model_name, &model_version)?;
        Ok(true)
    }

    fn csv(&mut self, path: &Path, reader: impl Read) -> Result<(), DataError> {
        let at = |line: u64, problem: String| DataError::Line { path: path.display().to_string(), line, problem };
        let failed = |error: csv::Error| csv_error(error, &at);
        let is_tabbed = path.extension().is_some_and(|end| end == "tsv");
        let delimiter = if is_tabbed { b'\t' } else { b',' };
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(reader);
        let names = reader.headers().map_err(failed)?.clone();
        let head = self.head(&names).map_err(|problem| at(1, problem))?;
        let mut record = StringRecord::new();
        while reader.read_record(&mut record).map_err(failed)? {
            let cell = |place: Option<usize>| place.and_then(|place| record.get(place)).unwrap_or_default();
            let begun = self.begin(cell(head.model_name), cell(head.model_version)).map_err(|source| {
                let line = record.position().map_or(0, csv::Position::line);
                DataError::Row { path: path.display().to_string(), line, source }
            })?;
            if begun {
                for (cell, column) in record.iter().zip(&head.columns) {
                    if let Some(column) = column {
                        self.rows.value(*column, &Value::of_cell(cell));
                    }
                }
                self.rows.end();
            }
        }
        Ok(())
    }

    /// What the columns are; where some are called `features.…`, these are the features, and no others.
    fn head(&mut self, names: &StringRecord) -> Result<Head, String> {
        let is_prefixed = names.iter().any(|name| name.starts_with("features."));
        let mut head = Head::default();
        let mut seen = HashSet::new();
        for (place, name) in names.iter().map(str::trim).enumerate() {
            if !seen.insert(name) && !name.is_empty() {
                return Err(format!("two columns are called `{}`", harmless(name)));
            }
            let is_known = NO_FEATURES.contains(&name) || name.is_empty();
            let (kind, feature) = match name {
                "model_name" | "model_version" => {
                    let model = if name == "model_name" { &mut head.model_name } else { &mut head.model_version };
                    *model = Some(place);
                    head.columns.push(None);
                    continue;
                }
                "prediction" => (Kind::Prediction, Some(name)),
                "confidence" => (Kind::Confidence, Some(name)),
                _ if is_prefixed => (Kind::Feature, name.strip_prefix("features.")),
                _ => (Kind::Feature, Some(name).filter(|_| !is_known)),
            };
            let is_ignored = self.data.ignored.contains(feature.unwrap_or(name));
            match feature.filter(|_| !is_ignored) {
                Some(feature) => {
                    let column = self.rows.column(kind, feature).map_err(|error| error.to_string())?;
                    head.columns.push(Some(column));
                }
                None => {
                    let shown = if name.is_empty() { "the one without a name" } else { name };
                    self.pass.left_out.insert(shown.to_owned());
                    head.columns.push(None);
                }
            }
        }
        Ok(head)
    }

    /// Reads what a pipeline has shipped.
    fn shipped(&mut self, respondent: &Respondent, question: &Question, name: &str) -> Result<(), Failure> {
        let (mut space, mut digest, mut problem) = (Space::default(), Sha256::new(), None);
        let mut visit = |row: Row<'_>| {
            digest.update(row.document);
            digest.update(b"\n");
            // What is in a sink has been a record before.
            let taken = Record::parse(row.document, &mut space).map_or(Ok(()), |record| self.record(&record));
            match taken {
                Ok(()) => ControlFlow::Continue(()),
                Err(trouble) => {
                    problem = Some(trouble);
                    ControlFlow::Break(())
                }
            }
        };
        let end = runtime()?.block_on(respondent.source.rows(question, None, interrupted(), &mut visit));
        let end = end.map_err(|error| could_not_ask(&error))?;
        if end.is_stopped {
            complain("interrupted", None);
            return Err(Failure(COULD_NOT_LOOK));
        }
        if let Some(Trouble::Row(error)) = problem {
            return Err(Failure::new(&error, Some("`--ignore NAME` leaves a feature out")));
        }
        let sha256 = hexadecimal(&digest.finalize());
        self.pass.sources.push(SourceDigest { name: name.to_owned(), sha256 });
        Ok(())
    }
}

/// What is wrong with a line.
enum Trouble {
    Row(RowError),
    Line(String),
}

fn csv_error(error: csv::Error, at: &impl Fn(u64, String) -> DataError) -> DataError {
    let line = error.position().map_or(0, csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(error) => DataError::Read(error),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            at(line, format!("it has {}, and the head has {expected_len}", counted(len, "cell")))
        }
        csv::ErrorKind::Utf8 { err, .. } => at(line, format!("cell {} is no UTF-8 text", err.field() + 1)),
        _ => at(line, "it is no line of a table".to_owned()),
    }
}

/// A file whose bytes go into a digest as they are read.
struct Digesting<'d, R> {
    file: R,
    digest: &'d RefCell<Sha256>,
}

impl<R: Read> Read for Digesting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.digest.borrow_mut().update(&buffer[..read]);
        Ok(read)
    }
}
