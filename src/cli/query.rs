//! `inferlog query`: which records meet this? Rows to stdout; on stderr how many they are and where they were looked for,
//! how many in the range had no confidence, and through which time the answer is complete.

use std::collections::HashSet;
use std::future::Future;
use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::path::PathBuf;

use chrono::Utc;

use super::query_hash::{self, LackingKey, Sought};
use super::query_source::{self, could_not_ask};
use super::query_words::{self, Answer, Asked, Words};
use super::range::Range;
use super::{COULD_NOT_LOOK, Failure, NOT_SO, StateFolder, complain, print, runtime, say, start_log, terminal_width};
use crate::flow::batch::Stream;
use crate::flow::question::{Order, Question, Row, Visit};
use crate::kql::{Expression, Purpose};
use crate::proof::completeness::Completeness;
use crate::query::ask::SearchEnd;
use crate::query::groups::Groups;
use crate::query::inquiry::{Kind, Wanted, typed_fields, usual_columns};
use crate::query::output::{Format, Output};
use crate::query::respondent::Respondent;
use crate::query::saved::{self, SavedError, SavedQuery};
use crate::record::{Record, Space};
use crate::text::units::counted;

/// The exit code of what Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// How many groups a table shows unless told otherwise: the biggest.
const TABLE_GROUPS: u64 = 20;

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  inferlog query 'confidence < 0.6 and features.country : (DE or FR)' --last 1h
  inferlog query --last 1d --count --pipeline inference
  inferlog query 'status : error' --from 2026-11-23 --to 2026-11-24 --format csv
  inferlog query '*' --by model_version --last 7d
  inferlog query --subject customer-4711 --pipeline inference
  inferlog query --saved low-confidence-last-hour
  inferlog query 'correct : false and confidence > 0.9' --stream outcomes --last 30d

KQL is Kibana's language: `field : value`, `field < 5`, `field : ab*`, `field : *`,
`and`, `or`, `not`, brackets; a text with spaces goes in \"double quotes\".";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// What the records must meet, in KQL; without it, and with a range or `--count`, all of them
    #[arg(value_name = "KQL")]
    pub(super) kql: Option<String>,
    /// A named query, a file of one, or `list`; a KQL beside it narrows it
    #[arg(long, value_name = "NAME")]
    pub(super) saved: Option<String>,
    /// The pipeline whose sink is asked: its file, or its name once it ran here [default: the only store in the folder of state]
    #[arg(long, value_name = "FILE|NAME")]
    pipeline: Option<PathBuf>,
    /// Which sink is asked, by its name or its kind [default: the pipeline's store, else its Elasticsearch]
    #[arg(long, value_name = "SINK")]
    source: Option<String>,
    #[command(flatten)]
    range: Range,
    /// How to print: whole documents as shipped are `json`, one a line
    #[arg(long, value_enum, default_value = "table")]
    pub(super) format: FormatName,
    /// Columns of a table or CSV, with commas between them
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    columns: Vec<String>,
    /// Print only how many there are
    #[arg(long, conflicts_with = "by")]
    count: bool,
    /// No more than this many rows [default: all; of the groups in a table the 20 biggest]
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<u64>,
    /// Group by a field: counts, and mean, median and p99 of confidence and latency; the biggest groups first
    #[arg(long, value_name = "FIELD")]
    by: Option<String>,
    /// Only predictions made on this input, JSON or a file of it: it is hashed as the pipeline's `hash` does, with each key
    #[arg(long, value_name = "FILE|JSON")]
    input: Option<String>,
    /// Only what was recorded about this subject: by its id, and by the hashes of it under each key of the pipeline
    #[arg(long, value_name = "ID")]
    subject: Option<String>,
    /// Ask outcomes, the documents of labels and reviews, or hourly evaluations of these, and not records
    #[arg(long, value_enum, value_name = "STREAM")]
    stream: Option<StreamName>,
    /// Only predictions of which no label is known
    #[arg(long, conflicts_with = "stream")]
    unlabelled: bool,
    /// Show records of `stage : shadow` too; a query that names `stage` does so anyway
    #[arg(long)]
    include_shadow: bool,
    /// Take what looks like another language (`a == b`) for a text to look for, as KQL does
    #[arg(long)]
    free_text: bool,
    /// Write what was asked and found, with a digest of the output, to this file
    #[arg(long, value_name = "F")]
    pub(super) manifest: Option<PathBuf>,
    /// Exit 1 unless the answer is known to be complete
    #[arg(long)]
    require_complete: bool,
    #[command(flatten)]
    state: StateFolder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum StreamName {
    Records,
    Outcomes,
    Evaluations,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum FormatName {
    Table,
    Json,
    Csv,
}

impl StreamName {
    fn kind(self) -> Kind {
        match self {
            StreamName::Records => Kind::Records,
            StreamName::Outcomes => Kind::Outcomes,
            StreamName::Evaluations => Kind::Evaluations,
        }
    }
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

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    start_log("warn");
    if arguments.saved.as_deref() == Some("list") {
        return list();
    }
    let load = |name: &str| saved::load(name, arguments.reading()).map_err(|error| not_saved(&error));
    let saved = arguments.saved.as_deref().map(load).transpose()?;
    if saved.is_none() && arguments.asks_nothing() {
        complain(
            "nothing is asked",
            Some("write KQL, as in `inferlog query 'confidence < 0.6'`, `'*'` for all, or name a query with `--saved`"),
        );
        return Err(Failure(COULD_NOT_LOOK));
    }
    let respondent = query_source::open(
        arguments.pipeline.as_deref(),
        arguments.source.as_deref(),
        arguments.state.data_dir.clone(),
    )?;
    let asked = Asked::of(arguments, saved, &respondent)?;
    let runtime = runtime()?;
    // Before the answer: what is said to be there by then has to be in it.
    let completeness = runtime.block_on(respondent.completeness(&asked.inquiry.question, asked.inquiry.now));
    let answer = runtime.block_on(answer(arguments, &asked, &respondent))?;
    let lacking = runtime.block_on(lacking_keys(&asked, &respondent))?;
    runtime.block_on(conclude(arguments, &asked, &respondent, &answer, &lacking, &completeness))
}

/// The keys that would have to be known to find all that is looked for by its hash.
async fn lacking_keys(asked: &Asked, respondent: &Respondent) -> Result<Vec<LackingKey>, Failure> {
    let mut lacking = Vec::new();
    for sought in &asked.sought {
        lacking.extend(sought.lacking(&respondent.source, &asked.candidates).await?);
    }
    Ok(lacking)
}

fn list() -> Result<(), Failure> {
    let all = saved::all().map_err(|error| not_saved(&error))?;
    all.iter().for_each(|saved| print(&format!("{:<28}{}", saved.name, saved.title)));
    Ok(())
}

fn not_saved(error: &SavedError) -> Failure {
    Failure::new(error, Some("`inferlog query --saved list` names those that there are"))
}

impl Asked {
    fn of(arguments: &Arguments, saved: Option<SavedQuery>, respondent: &Respondent) -> Result<Asked, Failure> {
        let now = Utc::now();
        let mut condition = arguments.condition()?;
        let (mut order, mut columns, mut by, mut last) = (Order::NEWEST_FIRST, Vec::new(), None, None);
        let (mut kind, mut unlabelled) = (Kind::Records, arguments.unlabelled);
        if let Some(saved) = saved {
            condition = saved.condition.and(condition);
            (order, columns, by, last) = (saved.order, saved.columns, saved.by, saved.last);
            kind = if saved.stream == Stream::Outcomes { Kind::Outcomes } else { Kind::Records };
            unlabelled |= saved.unlabelled;
        }
        let kind = arguments.stream.map_or(kind, StreamName::kind);
        let by = arguments.by.clone().or(by);
        let sought = arguments.sought(respondent)?;
        let mut fields = typed_fields(&condition, by.as_ref(), &arguments.columns);
        if !arguments.columns.is_empty() {
            columns.clone_from(&arguments.columns);
        } else if columns.is_empty() {
            columns = usual_columns(arguments.format.format(), kind, &condition);
            sought.iter().for_each(|sought| add_new(&mut columns, &sought.fields));
        }
        let range_ms = arguments.range.milliseconds(last, now)?;
        // Outcomes have other fields than the records that were hashed.
        let typed = if kind == Kind::Records { condition.clone() } else { Expression::all() };
        let (from_ms, until_ms) = range_ms;
        let candidates = Question { stream: Stream::Records, condition: typed.at(now), from_ms, until_ms, order };
        for sought in &sought {
            condition = condition.and(sought.condition.clone());
            add_new(&mut fields, &sought.fields);
        }
        let include_shadow = arguments.include_shadow;
        let wanted = Wanted { condition, kind, order, columns, fields, include_shadow, range_ms, now };
        let inquiry = wanted.inquiry().map_err(|error| Failure::new(&error, None))?;
        Ok(Asked { inquiry, unlabelled, sought, candidates, by })
    }
}

/// Records that are not of `stage : shadow`.
pub(super) fn not_shadow() -> Result<Expression, Failure> {
    crate::query::inquiry::not_shadow().map_err(|error| Failure::new(&error, None))
}

/// Adds the names that are not there yet.
fn add_new(names: &mut Vec<String>, more: &[String]) {
    for name in more {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
}

impl Arguments {
    fn reading(&self) -> Purpose {
        if self.free_text { Purpose::Any } else { Purpose::Question }
    }

    /// Nothing says which records are wanted, nor what of them.
    fn asks_nothing(&self) -> bool {
        let is_sought = self.input.is_some() || self.subject.is_some();
        self.kql.is_none() && !is_sought && self.by.is_none() && !self.count && !self.range.is_given()
    }

    /// What is looked for by its hash.
    fn sought(&self, respondent: &Respondent) -> Result<Vec<Sought>, Failure> {
        let input = self.input.iter().map(|input| query_hash::made_on(respondent.steps(), input));
        let subject = self.subject.iter().map(|id| query_hash::about(respondent.steps(), id));
        input.chain(subject).collect()
    }

    fn condition(&self) -> Result<Expression, Failure> {
        let text = self.kql.as_deref().unwrap_or_default();
        Expression::read(text, self.reading()).map_err(|error| {
            let is_foreign = Expression::parse(text).is_ok();
            let hint = is_foreign.then_some("`--free-text` takes it as it is: a text that some field may be");
            complain(&format!("the question is not understood: {error}"), hint);
            Failure(COULD_NOT_LOOK)
        })
    }
}

async fn answer(arguments: &Arguments, asked: &Asked, respondent: &Respondent) -> Result<Answer, Failure> {
    let labelled = labelled(asked, respondent).await?;
    if arguments.count {
        let mut count = 0;
        if labelled.is_none() {
            count = respondent.source.count(&asked.inquiry.question).await.map_err(|error| could_not_ask(&error))?;
        } else {
            let mut visit = |_: Row<'_>| {
                count += 1;
                ControlFlow::Continue(())
            };
            visit_rows(asked, respondent, labelled.as_ref(), None, std::future::pending(), &mut visit).await?;
        }
        print(&count.to_string());
        return Ok(Answer::Count(count));
    }
    let shown = match &asked.by {
        None => rows(arguments, asked, respondent, labelled.as_ref()).await,
        Some(field) => groups(arguments, asked, respondent, field, labelled.as_ref()).await,
    };
    match shown? {
        Ok(Answer::Rows(_, end) | Answer::Groups(_, end, _)) if end.is_stopped => {
            say("interrupted: what was printed is not all");
            Err(Failure(INTERRUPTED))
        }
        Ok(answer) => Ok(answer),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Answer::Unread),
        Err(error) => {
            complain(&format!("cannot write the rows: {error}"), None);
            Err(Failure(COULD_NOT_LOOK))
        }
    }
}

/// The `_id`s of records whose label is known, where these are not wanted. A label is known after its prediction was made.
async fn labelled(asked: &Asked, respondent: &Respondent) -> Result<Option<HashSet<String>>, Failure> {
    if !asked.unlabelled {
        return Ok(None);
    }
    let condition = Expression::parse("kind : truth").map_err(|error| Failure::new(&error, None))?;
    let question = Question { stream: Stream::Outcomes, condition, until_ms: None, ..asked.inquiry.question.clone() };
    let (mut ids, mut space) = (HashSet::new(), Space::default());
    let mut visit = |row: Row<'_>| {
        if let Ok(record) = Record::parse(row.document, &mut space)
            && let Some(id) = record.first("prediction_id")
        {
            ids.insert(id.trim_matches('"').to_owned());
        }
        ControlFlow::Continue(())
    };
    let found = respondent.source.rows(&question, None, std::future::pending(), &mut visit).await;
    found.map_err(|error| could_not_ask(&error))?;
    Ok(Some(ids))
}

/// Gives the rows that are asked for, but for the `labelled` ones.
async fn visit_rows(
    asked: &Asked,
    respondent: &Respondent,
    labelled: Option<&HashSet<String>>,
    limit: Option<u64>,
    stop: impl Future<Output = ()>,
    visit: &mut Visit<'_>,
) -> Result<SearchEnd, Failure> {
    let mut unless_labelled = |row: Row<'_>| match labelled {
        Some(labelled) if labelled.contains(row.id) => ControlFlow::Continue(()),
        _ => visit(row),
    };
    // How many of the first ones are left out is not known.
    let limit = limit.filter(|_| labelled.is_none());
    let end = respondent.source.rows(&asked.inquiry.question, limit, stop, &mut unless_labelled).await;
    end.map_err(|error| could_not_ask(&error))
}

async fn rows(
    arguments: &Arguments,
    asked: &Asked,
    respondent: &Respondent,
    labelled: Option<&HashSet<String>>,
) -> Result<io::Result<Answer>, Failure> {
    let out = BufWriter::new(io::stdout().lock());
    let mut output = match Output::new(arguments.format.format(), asked.inquiry.columns.clone(), width(), out) {
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
    let end = visit_rows(asked, respondent, labelled, arguments.limit, interrupted(), &mut visit).await?;
    Ok(match failed {
        Some(error) => Err(error),
        None => output.finish().map(|summary| Answer::Rows(summary, end)),
    })
}

async fn groups(
    arguments: &Arguments,
    asked: &Asked,
    respondent: &Respondent,
    field: &str,
    labelled: Option<&HashSet<String>>,
) -> Result<io::Result<Answer>, Failure> {
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
    let end = visit_rows(asked, respondent, labelled, None, interrupted(), &mut visit).await?;
    if let Some(error) = too_many {
        return Err(Failure::new(&error, Some("narrow the query or the range, or group by another field")));
    }
    let out = BufWriter::new(io::stdout().lock());
    let usual = if arguments.format == FormatName::Table { TABLE_GROUPS } else { u64::MAX };
    let limit = usize::try_from(arguments.limit.unwrap_or(usual)).unwrap_or(usize::MAX);
    let summaries = groups.summaries();
    let write = || {
        let mut output = Output::of_groups(arguments.format.format(), field, width(), out)?;
        for summary in summaries.iter().take(limit) {
            output.group(field, summary)?;
        }
        output.finish()
    };
    let more = summaries.len().saturating_sub(limit) as u64;
    Ok(write().map(|summary| Answer::Groups(summary, end, more)))
}

/// Comes with Ctrl-C. Where signals cannot be had, Ctrl-C ends the process as ever.
pub(super) async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// How wide a table may be: as wide as the terminal; into a pipe or a file nothing is cut.
fn width() -> usize {
    let columns = || std::env::var("COLUMNS").ok()?.parse().ok();
    match io::stdout().is_terminal() {
        true => terminal_width().or_else(columns).unwrap_or(usize::MAX),
        false => usize::MAX,
    }
}

/// Says on stderr what there is to know about the answer, and writes the manifest.
async fn conclude(
    arguments: &Arguments,
    asked: &Asked,
    respondent: &Respondent,
    answer: &Answer,
    lacking: &[LackingKey],
    completeness: &Completeness,
) -> Result<(), Failure> {
    if matches!(answer, Answer::Unread) {
        return Ok(());
    }
    let without = asked.inquiry.without_confidence().map_err(|error| Failure::new(&error, None))?;
    let unknown = respondent.source.count(&without).await.map_err(|error| could_not_ask(&error))?;
    let format = format!("{:?}", arguments.format).to_lowercase();
    let words = Words {
        limit: arguments.limit,
        format: &format,
        saved: arguments.saved.as_deref(),
        asked,
        respondent,
        answer,
        lacking,
        unknown,
    };
    words.say_summary();
    words.say_where_nothing_was_found().await.map_err(|error| could_not_ask(&error))?;
    words.say_doubts().await.map_err(|error| could_not_ask(&error))?;
    words.say_keys();
    query_words::say_completeness(completeness);
    if let Some(path) = &arguments.manifest {
        let text = serde_json::to_string_pretty(&words.manifest(completeness)).unwrap_or_default() + "\n";
        if let Err(error) = fs_err::File::create(path).and_then(|mut file| file.write_all(text.as_bytes())) {
            let rows = counted(words.rows(), "row");
            complain(&error.to_string(), Some(&format!("{rows} were printed; only the manifest is missing")));
            return Err(Failure(COULD_NOT_LOOK));
        }
    }
    if lacking.iter().any(LackingKey::is_certain) {
        return Err(Failure(COULD_NOT_LOOK));
    }
    if arguments.require_complete && !completeness.is_complete() { Err(Failure(NOT_SO)) } else { Ok(()) }
}
