//! The command line: what can be typed, and what comes back?
//!
//! One file a verb. Data goes to stdout, words to stderr. Exit codes: 0 as hoped; 1 looked, and it is not so; 2 could
//! not look.

mod baseline;
mod check;
mod check_sample;
mod dead_letter;
mod demo;
mod demo_elasticsearch;
mod demo_folders;
mod drift;
mod drift_data;
mod drift_page;
mod drift_report;
mod explain;
mod health;
mod init;
mod log;
mod log_limit;
mod man;
mod migrate;
mod migrate_registry;
mod named;
mod outcomes;
mod page_records;
mod query;
mod query_hash;
mod query_source;
mod query_words;
mod range;
mod reconcile;
mod reload;
mod run;
mod setup;
mod setup_kibana;
mod sum;
mod systemd;
mod test;
mod top;
mod top_frame;
mod version;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::config::{self, model::Pipeline};
use crate::query::table::Table;
use crate::text::chain::chain;
use crate::text::harmless::harmless;
use crate::text::panic;

/// Looked, and it is not so: a check failed, something was dead-lettered, not everything was delivered.
const NOT_SO: u8 = 1;

/// Could not look: usage, configuration, unreachable.
const COULD_NOT_LOOK: u8 = 2;

/// Ships inference logs into Elasticsearch or an embedded store: nothing lost, nothing altered, nothing leaked.
#[derive(Debug, Parser)]
#[command(name = "inferlog", version = version::SHORT, long_version = version::long(), max_term_width = 120)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run pipelines: tail their files and deliver to their sinks
    Run(run::Arguments),
    /// Show it all at work: sample model servers write logs, a real pipeline ships them into the embedded store
    Demo(demo::Arguments),
    /// Say what is wrong with pipeline files
    Check(check::Arguments),
    /// Draft a pipeline file from a sample of a log
    Init(init::Arguments),
    /// Draft pipeline files from a Filebeat configuration, and take its offsets over
    Migrate(migrate::Arguments),
    /// Run the tests that pipeline files bring along: no network, no state
    Test(test::Arguments),
    /// Show one record's way through a pipeline, stage by stage; lines come from standard input
    Explain(explain::Arguments),
    /// What could not be delivered: count it, look at it, deliver it after all
    DeadLetter(dead_letter::Arguments),
    /// Install what Elasticsearch and Kibana need: templates, lifecycle policies, dashboards, rules; show it before
    Setup(setup::Arguments),
    /// Say whether everything that was read is accounted for: indexed, dropped by a rule, erased, or in the dead letter
    Reconcile(reconcile::Arguments),
    /// Find records in what was shipped, by KQL
    Query(query::Arguments),
    /// Count what training data look like, feature by feature, for `drift` to compare with
    Baseline(baseline::Arguments),
    /// Join labels with predictions that other hosts have shipped, and say how right they were
    Outcomes(outcomes::Arguments),
    /// Say whether live data have drifted away from a baseline
    Drift(drift::Arguments),
    /// Ask a running process whether it is alive, or ready
    Health(health::Arguments),
    /// Show how a running process gets on, live: state, rates, lag, sinks, models, drift
    Top(top::Arguments),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual, a page a verb
    Man(man::Arguments),
}

/// How an answer that is a table is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum TableFormat {
    Table,
    Json,
}

/// How an answer in words is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum TextFormat {
    Text,
    Json,
}

/// Where state is kept; every verb that reads state takes it.
#[derive(Debug, clap::Args)]
struct StateFolder {
    /// Folder of state [default: $INFERLOG_DATA_DIR, else the platform's state folder]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// An end that is not as hoped, already told to the user.
struct Failure(u8);

impl Failure {
    /// Prints an error with its causes and a hint, and ends with "could not look".
    fn new(error: &dyn std::error::Error, hint: Option<&str>) -> Failure {
        complain(&chain(error), hint);
        Failure(COULD_NOT_LOOK)
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    panic::install(log::say_bug);
    let arguments = Arguments::parse();
    if let Err((problem, hint)) = log::wanted() {
        complain(&problem, Some(&hint));
        return ExitCode::from(COULD_NOT_LOOK);
    }
    let result = match arguments.verb {
        Verb::Run(arguments) => run::run(&arguments),
        Verb::Demo(arguments) => demo::run(arguments),
        Verb::Check(arguments) => check::run(&arguments),
        Verb::Init(arguments) => init::run(&arguments),
        Verb::Migrate(arguments) => migrate::run(arguments),
        Verb::Test(arguments) => test::run(&arguments),
        Verb::Explain(arguments) => explain::run(&arguments),
        Verb::DeadLetter(arguments) => dead_letter::run(arguments),
        Verb::Setup(arguments) => setup::run(&arguments),
        Verb::Reconcile(arguments) => reconcile::run(arguments),
        Verb::Query(arguments) => query::run(&arguments),
        Verb::Baseline(arguments) => baseline::run(&arguments),
        Verb::Drift(arguments) => drift::run(&arguments),
        Verb::Outcomes(arguments) => outcomes::run(&arguments),
        Verb::Health(arguments) => health::run(&arguments),
        Verb::Top(arguments) => top::run(&arguments),
        Verb::Man(arguments) => man::run(&arguments),
        Verb::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut self::Arguments::command(), "inferlog", &mut text);
            print_data(String::from_utf8_lossy(&text).trim_end());
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(code)) => ExitCode::from(code),
    }
}

/// Says what happens, on stderr: `INFERLOG_LOG` chooses how much, as in `INFERLOG_LOG=debug`.
fn start_log(default: &str) {
    log::start(default);
}

/// Reads pipeline files, or says what is wrong with them.
fn load(paths: &[PathBuf]) -> Result<Vec<Pipeline>, Failure> {
    config::load(paths).map_err(|report| {
        say(report.to_string().trim_end());
        Failure(COULD_NOT_LOOK)
    })
}

/// The same, with the pipelines that read the labels of those: each before the one that it is for.
fn load_with_labels(paths: &[PathBuf]) -> Result<Vec<Pipeline>, Failure> {
    load(paths).map(with_labels)
}

fn with_labels(pipelines: Vec<Pipeline>) -> Vec<Pipeline> {
    pipelines.into_iter().flat_map(|pipeline| pipeline.labels().into_iter().chain([pipeline])).collect()
}

/// One runtime on this thread: deliveries wait for the network, they do not compute.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| Failure::new(&error, None))
}

/// A table, to stdout: as wide as the terminal, elsewhere as wide as it needs to be.
fn print_table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let mut table =
        Table::new(head.iter().map(|&name| name.to_owned()).collect(), terminal_width().unwrap_or(usize::MAX));
    let mut text = Vec::new();
    // Writing to memory cannot fail.
    for row in rows {
        let cells: Vec<&str> = row.iter().map(String::as_str).collect();
        let _ = table.row(&cells, &mut text);
    }
    let _ = table.finish(&mut text);
    if !text.is_empty() {
        print(String::from_utf8_lossy(&text).trim_end());
    }
}

/// The width of the terminal, if standard output is one.
fn terminal_width() -> Option<usize> {
    let of_terminal = || terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0));
    if std::io::stdout().is_terminal() { of_terminal() } else { None }
}

fn complain(problem: &str, hint: Option<&str>) {
    say(&format!("error: {problem}"));
    if let Some(hint) = hint {
        say(&format!("\nhint: {hint}"));
    }
}

/// Words, to stderr. A reader that went away is no error of ours. They may name files, fields and values of others.
fn say(words: &str) {
    use std::io::Write as _;
    let words = log::structured(words).unwrap_or_else(|| harmless_lines(words));
    let _ = writeln!(std::io::stderr().lock(), "{words}");
}

/// Text of several lines, each without what moves a terminal's cursor.
fn harmless_lines(text: &str) -> String {
    text.split('\n').map(harmless).collect::<Vec<_>>().join("\n")
}

/// An answer in words, to stdout: it cannot move a terminal's cursor, whatever is quoted in it.
fn print(text: &str) {
    print_data(&harmless_lines(text));
}

/// Data for programs, to stdout, as they are. A reader that went away is no error of ours.
fn print_data(data: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout().lock(), "{data}");
}
