//! `inferlog reconcile`: is everything that is there read, and everything that was read accounted for?

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use indicatif::{ProgressBar, ProgressStyle};

use super::{
    COULD_NOT_LOOK, Failure, NOT_SO, StateFolder, TableFormat, complain, load_with_labels, named, print, print_data,
    print_table, runtime, say, start_log,
};
use crate::config::model::{Pipeline, SinkOptions};
use crate::judge::enrichment::host_name;
use crate::pipeline::mail::Mail;
use crate::proof::reconcile::{Judged, Proof, ReconcileError, Report, Row, Scope, reconcile};
use crate::state::folder::data_dir;
use crate::text::chain::chain;
use crate::text::harmless::harmless;
use crate::text::units::{counted, format_bytes, format_duration};

/// Findings that a table lists; `--format json` lists all.
const FINDINGS_LISTED_MAX: usize = 100;

/// With `--record`: a sink that does not take the verdict for so long is given up.
const RECORDED_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Pipeline files, folders of them, or names of pipelines that ran here [default: pipelines/]
    #[arg(value_name = "FILE|DIR|NAME")]
    paths: Vec<PathBuf>,
    /// How to print: a table, or JSON with everything in it, one line a sink
    #[arg(long, value_enum, default_value_t = TableFormat::Table)]
    format: TableFormat,
    /// Judge only what was read: what waits behind the committed offsets, or was never met, is no failure
    #[arg(long)]
    up_to_committed: bool,
    /// Write the verdict into each sink, too, as a document beside the pipeline's accounts
    #[arg(long)]
    record: bool,
    #[command(flatten)]
    state: StateFolder,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    start_log("warn");
    let data_dir = data_dir(arguments.state.data_dir);
    let pipelines = load_with_labels(&named::pipeline_files(&arguments.paths, &data_dir)?)?;
    let runtime = runtime()?;
    let scope = if arguments.up_to_committed { Scope::Committed } else { Scope::Matching };
    let (mut is_complete, mut is_recorded) = (true, true);
    for pipeline in &pipelines {
        let bar = progress_bar();
        let mut progress = |done, whole| {
            bar.set_length(whole);
            bar.set_position(done);
        };
        let reports = runtime.block_on(reconcile(pipeline, &data_dir, scope, &mut progress));
        bar.finish_and_clear();
        if reports.is_ok() && pipeline.sinks.iter().any(|sink| matches!(sink.options, SinkOptions::Stdout)) {
            say(&format!(
                "pipeline `{}`, sink `stdout`: it keeps nothing, so nothing is compared with it",
                pipeline.name
            ));
        }
        for report in reports.map_err(|error| Failure::new(&error, hint(&error)))? {
            is_complete &= report.is_complete();
            match arguments.format {
                TableFormat::Table => show(&pipeline.name, &report),
                TableFormat::Json => print_data(&json(&pipeline.name, &report)),
            }
            if arguments.record {
                is_recorded &= runtime.block_on(record(pipeline, &report, &data_dir));
            }
        }
    }
    match (is_recorded, is_complete) {
        (false, _) => Err(Failure(COULD_NOT_LOOK)),
        (true, false) => Err(Failure(NOT_SO)),
        (true, true) => Ok(()),
    }
}

/// Proves that all of a pipeline is there, says so, and writes it down.
pub(super) async fn prove_and_record(pipeline: &Pipeline, data_dir: &Path) -> Result<(), Failure> {
    let reports = reconcile(pipeline, data_dir, Scope::Matching, &mut |_, _| ()).await;
    for report in reports.map_err(|error| Failure::new(&error, hint(&error)))? {
        say(&verdict(&pipeline.name, &report, &sum(&report.rows)));
        if !record(pipeline, &report, data_dir).await {
            return Err(Failure(COULD_NOT_LOOK));
        }
        if !report.is_complete() {
            return Err(Failure(NOT_SO));
        }
    }
    Ok(())
}

/// Writes the verdict on a sink into it, beside whoever else writes there, and says whether it is there.
async fn record(pipeline: &Pipeline, report: &Report, data_dir: &Path) -> bool {
    let judged = Judged { pipeline: &pipeline.name, host: &host_name(), config: &pipeline.digest };
    let document = report.document(&judged, Utc::now());
    let sinks = pipeline.sinks.iter().filter(|sink| sink.name == report.sink);
    let place = format!("pipeline `{}`, sink `{}`", pipeline.name, report.sink);
    let problem = match Mail::open(sinks, data_dir, &pipeline.name) {
        Ok(mut mail) => match mail.deliver(std::iter::once(document), RECORDED_WITHIN).await {
            true => {
                say(&format!("{place}: the verdict `{}` is written there", report.verdict().as_str()));
                return true;
            }
            false => format!("it did not take it within {}", format_duration(RECORDED_WITHIN)),
        },
        Err(error) => chain(&error),
    };
    let hint = "the verdict above holds all the same; a sink has to take documents beside the pipeline's accounts \
                (`metrics-ml.pipeline-*`, in a store the table `accounts`), then run it again";
    complain(&format!("{place}: the verdict could not be written there: {problem}"), Some(hint));
    false
}

fn hint(error: &ReconcileError) -> Option<&str> {
    match error {
        ReconcileError::NeverRan { .. } => Some("is `--data-dir` (or $INFERLOG_DATA_DIR) that of the run?"),
        ReconcileError::Sink { trouble, .. } => trouble.hint.as_deref(),
        ReconcileError::NoFiles { .. } => Some("look at `source.files.paths`: is it spelled as the files are?"),
        ReconcileError::Unreadable { .. } => {
            Some("run it as a user who may read it; `--up-to-committed` judges only what was read")
        }
        ReconcileError::Nothing => Some("give the pipeline a store or an Elasticsearch"),
        _ => None,
    }
}

/// Only on a terminal; elsewhere it draws nothing.
fn progress_bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {eta} left");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn json(pipeline: &str, report: &Report) -> String {
    let mut document = serde_json::json!({ "pipeline": pipeline, "complete": report.is_complete() });
    if let (Some(document), Ok(serde_json::Value::Object(members))) =
        (document.as_object_mut(), serde_json::to_value(report))
    {
        document.extend(members);
    }
    document.to_string()
}

/// The columns, and whether each is shown where all of it is zero.
const COLUMNS: [(&str, bool); 14] = [
    ("file", true),
    ("proof", true),
    ("bytes", true),
    ("lines", true),
    ("records", false),
    ("indexed", true),
    ("dropped", false),
    ("erased", false),
    ("expired", false),
    ("dead letter", false),
    ("missing", true),
    ("unexpected", false),
    ("undecidable", false),
    ("waiting", false),
];

fn show(pipeline: &str, report: &Report) {
    let sum = sum(&report.rows);
    let in_all = cells(counted(report.rows.len(), "file"), "", &sum);
    let is_shown: Vec<bool> =
        COLUMNS.iter().zip(&in_all).map(|((_, always), cell)| *always || !is_zero(cell)).collect();
    let shown =
        |cells: Vec<String>| cells.into_iter().zip(&is_shown).filter(|(_, shown)| **shown).map(|(cell, _)| cell);
    let head: Vec<&str> =
        COLUMNS.iter().zip(&is_shown).filter(|(_, shown)| **shown).map(|((name, _), _)| *name).collect();
    let rows = report.rows.iter().map(|row| cells(row.path.clone(), proof(row.proof), row));
    print_table(&head, rows.chain([in_all]).map(|cells| shown(cells).collect()));
    for row in &report.rows {
        if let Some(note) = &row.note {
            print(&format!("{}: {note}", harmless(&row.path)));
        }
    }
    for row in report.rows.iter().filter(|row| row.waiting_bytes > 0) {
        let bytes = format_bytes(row.waiting_bytes);
        let what = match row.proof {
            Proof::Waiting if row.file.is_empty() => "never met".to_owned(),
            _ => format!("from offset {} on", row.to_bytes),
        };
        print(&format!("waiting: {}, {what}, {bytes}", harmless(&row.path)));
    }
    for finding in report.findings.iter().take(FINDINGS_LISTED_MAX) {
        let id = finding.id.as_ref().map(|id| format!(", id {id}")).unwrap_or_default();
        print(&format!("{}: {}, offset {}{id}", finding.what, harmless(&finding.path), finding.offset_bytes));
    }
    if let Some(more) = report.findings.len().checked_sub(FINDINGS_LISTED_MAX + 1) {
        print(&format!("and {} more; `--format json` lists all", more + 1));
    }
    say(&verdict(pipeline, report, &sum));
}

fn verdict(pipeline: &str, report: &Report, sum: &Row) -> String {
    let judged = report.rows.iter().filter(|row| row.proof != Proof::Waiting).count();
    let by_accounts = report.rows.iter().filter(|row| row.proof == Proof::Accounts).count();
    let how = match by_accounts {
        0 => "proven line by line".to_owned(),
        files if files == judged => "proven by the accounts: the files are gone".to_owned(),
        1 => "1 file is gone and proven by the accounts, the others line by line".to_owned(),
        files => format!("{files} files are gone and proven by the accounts, the others line by line"),
    };
    let what = match report.is_accounted_for() {
        true if sum.lines == 1 => "the only line is accounted for".to_owned(),
        true => format!("all {} lines are accounted for", sum.lines),
        false => format!(
            "of {} lines {} are missing, {} undecidable; {} documents are unexpected",
            sum.lines, sum.missing, sum.undecidable, sum.unexpected
        ),
    };
    format!("pipeline `{pipeline}`, sink `{}`: {what}, {}; {how}", report.sink, through(report))
}

/// Through where it was looked.
fn through(report: &Report) -> String {
    let frontier = &report.frontier;
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    if frontier.waiting_bytes == 0 {
        let (files, looked) = (frontier.matched_files, time(frontier.looked));
        let verb = if files == 1 { "matches" } else { "match" };
        return format!("through the end of the {} that {verb} at {looked}", counted(files, "file"));
    }
    let unmet = match frontier.unmet_files {
        0 => String::new(),
        files => format!(", {files} of them never met"),
    };
    format!(
        "through the offsets committed at {}; behind them {} wait in {}{unmet}",
        time(frontier.committed),
        format_bytes(frontier.waiting_bytes),
        counted(frontier.waiting_files, "file"),
    )
}

fn proof(proof: Proof) -> &'static str {
    match proof {
        Proof::Lines => "lines",
        Proof::Accounts => "accounts",
        Proof::None => "none",
        Proof::Waiting => "waiting",
    }
}

fn cells(file: String, proof: &str, row: &Row) -> Vec<String> {
    let mut cells = vec![file, proof.to_owned(), format_bytes(row.to_bytes - row.from_bytes)];
    let counts = counts(row);
    cells.extend(counts.iter().map(u64::to_string));
    cells.push(format_bytes(row.waiting_bytes));
    cells
}

fn is_zero(cell: &str) -> bool {
    cell.trim_end_matches(char::is_alphabetic) == "0"
}

fn counts(row: &Row) -> [u64; 10] {
    let Row { lines, records, indexed, dropped, erased, expired, dead_lettered, .. } = *row;
    let Row { missing, unexpected, undecidable, .. } = *row;
    [lines, records, indexed, dropped, erased, expired, dead_lettered, missing, unexpected, undecidable]
}

fn sum(rows: &[Row]) -> Row {
    let mut sum = Row::empty(Proof::Lines);
    for row in rows {
        sum.to_bytes += row.to_bytes - row.from_bytes;
        sum.lines += row.lines;
        sum.records += row.records;
        sum.indexed += row.indexed;
        sum.dropped += row.dropped;
        sum.erased += row.erased;
        sum.expired += row.expired;
        sum.dead_lettered += row.dead_lettered;
        sum.missing += row.missing;
        sum.unexpected += row.unexpected;
        sum.undecidable += row.undecidable;
        sum.waiting_bytes += row.waiting_bytes;
    }
    sum
}
