//! `inferlog dead-letter list|show|replay`: what could not be delivered, why, and once more.
//!
//! `list` and `show` need no pipeline file and take no lock. What they print may come from records: control characters
//! are shown by their numbers.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;

use super::{
    COULD_NOT_LOOK, Failure, NOT_SO, StateFolder, TableFormat, complain, load_with_labels, named, print, print_data,
    print_table, say, start_log,
};
use crate::config::model::SinkOptions;
use crate::dead_letter::read::{Found, Kept};
use crate::dead_letter::{Entries, ReadError, Why};
use crate::flow::reasons;
use crate::replay::{self, Outcome, Selection, Summary};
use crate::state::folder::{data_dir, dead_letter_folder, state_folder};
use crate::state::pipeline_file;
use crate::text::harmless::harmless;
use crate::text::units::counted;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Count the entries by pipeline, stage and reason
    List(List),
    /// Show an entry, its reason in words, and what would fix it
    Show(Show),
    /// Deliver entries after all: from their log files through the present pipeline file, or as they are kept
    Replay(Replay),
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    filter: Filter,
    /// How to print; `json` is one line a group
    #[arg(long, value_enum, default_value = "table")]
    format: TableFormat,
    #[command(flatten)]
    state: StateFolder,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The entry's id, or its beginning if no other begins so
    id: String,
    /// Only of this pipeline
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    #[command(flatten)]
    state: StateFolder,
}

#[derive(Debug, clap::Args)]
struct Replay {
    /// Pipeline files, folders of them, or names of pipelines that ran here [default: that of `--pipeline`, else pipelines/]
    #[arg(value_name = "FILE|DIR|NAME")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    filter: Filter,
    /// Only the entry with this id; may be given several times
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<String>,
    /// Every entry, which is the default
    #[arg(long, conflicts_with_all = ["stage", "reason", "ids"])]
    all: bool,
    /// How to print; `json` is one line an entry
    #[arg(long, value_enum, default_value = "table")]
    format: TableFormat,
    #[command(flatten)]
    state: StateFolder,
}

#[derive(Debug, clap::Args)]
struct Filter {
    /// Only of this pipeline
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// Only what this stage turned away
    #[arg(long, value_name = "STAGE", value_parser = ["source", "decode", "enrich", "sink"])]
    stage: Option<String>,
    /// Only what was turned away for this reason
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
}

impl Filter {
    fn selection(&self, ids: Vec<String>) -> Selection {
        Selection { stage: self.stage.clone(), reason: self.reason.clone(), ids }
    }
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    start_log("warn");
    match arguments.what {
        Command::List(arguments) => list(arguments),
        Command::Show(arguments) => show(&arguments.id, arguments.pipeline.as_deref(), arguments.state),
        Command::Replay(arguments) => replay(arguments),
    }
}

/// The dead letters in a folder of state: name of the pipeline, and folder of the entries. None at all is no answer: it is
/// another folder, or no pipeline ever ran with it.
fn dead_letters(data_dir: &Path, pipeline: Option<&str>) -> Result<Vec<(String, PathBuf)>, Failure> {
    let names = std::fs::read_dir(data_dir).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let names = names.map_err(|error| cannot_look(data_dir, &error))?;
    let mut found = Vec::new();
    for name in names.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()) {
        let folder = dead_letter_folder(&state_folder(data_dir, &name));
        if pipeline.is_some_and(|pipeline| pipeline != name) || name == NO_PIPELINE {
            continue;
        }
        match std::fs::read_dir(&folder) {
            Ok(_) => found.push((name, folder)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // Some file beside the pipelines' folders.
            Err(error) if error.kind() == ErrorKind::NotADirectory && !data_dir.join(&name).is_dir() => {}
            Err(error) => return Err(cannot_look(&folder, &error)),
        }
    }
    if found.is_empty() {
        let who = pipeline.map_or("no pipeline".to_owned(), |pipeline| format!("no pipeline `{pipeline}`"));
        complain(&format!("{who} has a dead letter in `{}`", data_dir.display()), Some(FOLDER_HINT));
        return Err(Failure(COULD_NOT_LOOK));
    }
    found.sort_unstable();
    Ok(found)
}

/// A file system's own folder, which may stand in a volume for state, and is root's alone.
const NO_PIPELINE: &str = "lost+found";

const FOLDER_HINT: &str =
    "name the folder that `run` uses, `--data-dir` or $INFERLOG_DATA_DIR, as a user who may look there";

fn cannot_look(folder: &Path, error: &std::io::Error) -> Failure {
    complain(&format!("cannot look into `{}`: {error}", folder.display()), Some(FOLDER_HINT));
    Failure(COULD_NOT_LOOK)
}

/// Calls `visit` with every entry; gives how many lines are none, which is said.
fn visit(pipeline: &str, folder: &Path, mut visit: impl FnMut(Found)) -> Result<u64, Failure> {
    let failed = |error: ReadError| Failure::new(&error, Some(FOLDER_HINT));
    let mut entries = Entries::open(folder).map_err(failed)?;
    for entry in entries.by_ref() {
        visit(entry.map_err(failed)?);
    }
    if entries.damaged() > 0 {
        let lines = counted(entries.damaged(), "line");
        say(&format!("pipeline `{pipeline}`: {lines} of its dead letter cannot be read as entries"));
    }
    Ok(entries.damaged())
}

/// Entries of one pipeline, stage and reason.
struct Group {
    count: u64,
    first: DateTime<Utc>,
    last: DateTime<Utc>,
}

fn list(arguments: List) -> Result<(), Failure> {
    let data_dir = data_dir(arguments.state.data_dir);
    let selection = arguments.filter.selection(Vec::new());
    let mut groups: BTreeMap<(String, String, String), Group> = BTreeMap::new();
    let dead_letters = dead_letters(&data_dir, arguments.filter.pipeline.as_deref())?;
    let mut damaged = 0;
    for (pipeline, folder) in &dead_letters {
        damaged += visit(pipeline, folder, |entry| {
            if !selection.has(&entry) {
                return;
            }
            let Found { time, stage, reason, .. } = entry;
            let group = groups.entry((pipeline.clone(), stage, reason));
            let group = group.or_insert(Group { count: 0, first: time, last: time });
            group.count += 1;
            (group.first, group.last) = (group.first.min(time), group.last.max(time));
        })?;
    }
    match arguments.format {
        TableFormat::Json => print_groups_as_json(&groups),
        TableFormat::Table if groups.is_empty() && damaged > 0 => {}
        TableFormat::Table if groups.is_empty() => {
            let names: Vec<&str> = dead_letters.iter().map(|(pipeline, _)| pipeline.as_str()).collect();
            let such = if selection == Selection::default() { "" } else { "such " };
            say(&format!("no {such}entries in the dead letter of {} in `{}`", names.join(", "), data_dir.display()));
        }
        TableFormat::Table => print_groups(&groups),
    }
    // What is in them nobody knows.
    if damaged > 0 { Err(Failure(COULD_NOT_LOOK)) } else { Ok(()) }
}

fn print_groups_as_json(groups: &BTreeMap<(String, String, String), Group>) {
    for ((pipeline, stage, reason), Group { count, first, last }) in groups {
        let line = json!({
            "pipeline": pipeline, "stage": stage, "reason": reason, "count": count,
            "first": shown_time(*first), "last": shown_time(*last),
        });
        print_data(&line.to_string());
    }
}

fn print_groups(groups: &BTreeMap<(String, String, String), Group>) {
    let row = |((pipeline, stage, reason), group): (&(String, String, String), &Group)| {
        let Group { count, first, last } = group;
        let words = [pipeline, stage, reason].map(String::clone);
        words.into_iter().chain([count.to_string(), shown_time(*first), shown_time(*last)]).collect()
    };
    print_table(&["pipeline", "stage", "reason", "count", "first", "last"], groups.iter().map(row));
}

fn shown_time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// At most this many ids are named when a beginning fits several.
const NAMED_MAX: usize = 10;

fn show(id: &str, pipeline: Option<&str>, state: StateFolder) -> Result<(), Failure> {
    let data_dir = data_dir(state.data_dir);
    // Lines that were given one id by their members are entries of their own: all of them are shown, one at a time.
    let mut ids: Vec<String> = Vec::new();
    let dead_letters = dead_letters(&data_dir, pipeline)?;
    for (pipeline, folder) in &dead_letters {
        visit(pipeline, folder, |entry| {
            if entry.id.starts_with(id) && ids.len() <= NAMED_MAX && !ids.contains(&entry.id) {
                ids.push(entry.id);
            }
        })?;
    }
    let whole = ids.iter().find(|found| *found == id);
    let [one] = whole.map_or(ids.as_slice(), std::slice::from_ref) else {
        return Err(not_one(id, &ids));
    };
    for (pipeline, folder) in &dead_letters {
        visit(pipeline, folder, |entry| {
            if entry.id == *one {
                print(&in_words(pipeline, &entry));
            }
        })?;
    }
    Ok(())
}

fn not_one(id: &str, ids: &[String]) -> Failure {
    if ids.is_empty() {
        complain(
            &format!("no entry has an id that begins with `{}`", harmless(id)),
            Some("ids are in its files, and `list` counts them"),
        );
        return Failure(NOT_SO);
    }
    let named: Vec<String> = ids.iter().take(NAMED_MAX).map(|id| harmless(id).into_owned()).collect();
    let more = if ids.len() > NAMED_MAX { " and more" } else { "" };
    complain(
        &format!("several ids begin with `{}`: {}{more}", harmless(id), named.join(", ")),
        Some("type more of it"),
    );
    Failure(COULD_NOT_LOOK)
}

fn in_words(pipeline: &str, entry: &Found) -> String {
    let (meaning, fix) = reasons::explain(&entry.stage, &entry.reason);
    let origin = &entry.origin;
    let end = origin.offset_bytes.saturating_add(origin.length_bytes);
    let mut rows = vec![
        ("id", entry.id.clone()),
        ("pipeline", pipeline.to_owned()),
        ("time", entry.time.to_rfc3339_opts(SecondsFormat::Millis, true)),
        ("stage", entry.stage.clone()),
        ("reason", entry.reason.clone()),
        ("detail", entry.detail.clone()),
        ("meaning", meaning.to_owned()),
        ("to fix it", fix.to_owned()),
        ("file", format!("{} (inode {}, generation {})", origin.file, origin.inode, origin.generation)),
        ("bytes", format!("{} to {end}", origin.offset_bytes)),
    ];
    rows.extend((origin.ordinal > 0).then(|| ("record", format!("number {} of its line", origin.ordinal + 1))));
    rows.extend(origin.sha256.clone().map(|sha256| ("sha256", sha256)));
    rows.extend(entry.replayed.map(|time| ("replayed", time.to_rfc3339_opts(SecondsFormat::Millis, true))));
    rows.push(match entry.kept() {
        Kept::Document(document) => ("document", document.to_owned()),
        Kept::Raw(raw) => ("line", String::from_utf8_lossy(&raw).into_owned()),
        Kept::Reference => ("kept", not_kept(entry)),
    });
    rows.into_iter().map(|(name, value)| format!("{name:10}{}\n", harmless(&value))).collect()
}

fn not_kept(entry: &Found) -> String {
    let why = entry.not_kept.as_deref().and_then(Why::in_words);
    let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
    format!("nothing: the line is in its file alone{why}")
}

fn replay(arguments: Replay) -> Result<(), Failure> {
    let Replay { paths, filter, ids, all: _, format, state } = arguments;
    let data_dir = data_dir(state.data_dir);
    let paths = match &filter.pipeline {
        Some(name) if paths.is_empty() && pipeline_file::recall(&data_dir, name).is_some() => vec![PathBuf::from(name)],
        _ => paths,
    };
    let mut pipelines = load_with_labels(&named::pipeline_files(&paths, &data_dir)?)?;
    if let Some(name) = &filter.pipeline {
        pipelines.retain(|pipeline| pipeline.name == *name);
        if pipelines.is_empty() {
            complain(&format!("none of these files is the pipeline `{name}`"), None);
            return Err(Failure(COULD_NOT_LOOK));
        }
    }
    let selection = filter.selection(ids);
    let stop = on_interrupt()?;
    let goes_on = || !stop.load(Ordering::Acquire);
    let mut code = 0;
    let mut found: Vec<String> = Vec::new();
    for pipeline in &pipelines {
        // Where documents go to standard output, words do not.
        let print_line =
            if pipeline.sinks.iter().any(|sink| matches!(sink.options, SinkOptions::Stdout)) { say } else { print };
        let mut report = |outcome: &Outcome| {
            tell(&pipeline.name, outcome, format, print_line);
            if selection.ids.contains(&outcome.id) && !found.contains(&outcome.id) {
                found.push(outcome.id.clone());
            }
        };
        let summary = replay::replay(pipeline, &data_dir, &selection, &goes_on, &mut report);
        code = code.max(match summary {
            Ok(summary) => judge(&pipeline.name, &summary),
            Err(error) => Failure::new(&error, None).0,
        });
    }
    let missing = selection.ids.iter().filter(|id| !found.contains(id)).map(|id| harmless(id));
    let missing: Vec<_> = missing.collect();
    if code == 0 && !missing.is_empty() {
        say(&format!("no entry has the id {}", missing.join(", ")));
        code = NOT_SO;
    }
    if code == 0 { Ok(()) } else { Err(Failure(code)) }
}

/// Says what became of one entry: in words only when it remains.
fn tell(pipeline: &str, outcome: &Outcome, format: TableFormat, print_line: fn(&str)) {
    let Outcome { id, from, outcome, why } = outcome;
    if format == TableFormat::Json {
        let line = json!({ "pipeline": pipeline, "id": id, "from": from, "outcome": outcome, "why": why });
        print_line(&line.to_string());
    } else if outcome == "remains" {
        print_line(&format!("{}  remains: {}", harmless(id), harmless(why.as_deref().unwrap_or_default())));
    }
}

/// Says what became of all of them, and what that means for the exit code.
fn judge(pipeline: &str, summary: &Summary) -> u8 {
    let Summary { indexed, duplicates, dropped, remaining, interrupted, trouble } = summary;
    say(&format!(
        "pipeline `{pipeline}`: {indexed} delivered, {duplicates} were there already, {dropped} dropped by a rule, \
         {remaining} {} in the dead letter",
        if *remaining == 1 { "remains" } else { "remain" },
    ));
    if let Some((problem, hint)) = trouble {
        complain(
            problem,
            Some(hint.as_deref().unwrap_or("nothing is lost: replay again when the sink takes documents")),
        );
        return COULD_NOT_LOOK;
    }
    if *interrupted {
        say("interrupted; what was not tried is still in the dead letter");
    }
    if *interrupted || *remaining > 0 { NOT_SO } else { 0 }
}

/// Set by the first Ctrl-C or SIGTERM; the second one ends the process, which loses nothing either.
fn on_interrupt() -> Result<Arc<AtomicBool>, Failure> {
    let asked = Arc::new(AtomicBool::new(false));
    let setting = Arc::clone(&asked);
    let (ready, is_ready) = std::sync::mpsc::channel();
    let runtime = super::runtime()?;
    std::thread::spawn(move || {
        use tokio::signal::unix::{SignalKind, signal};
        runtime.block_on(async {
            let signals = signal(SignalKind::interrupt()).and_then(|one| Ok((one, signal(SignalKind::terminate())?)));
            let _ = ready.send(signals.is_ok());
            let Ok((mut interrupt, mut terminate)) = signals else { return };
            loop {
                tokio::select! { _ = interrupt.recv() => {} _ = terminate.recv() => {} }
                if setting.swap(true, Ordering::AcqRel) {
                    say("stopped at once; what was delivered is known by its id at the next replay");
                    std::process::exit(i32::from(NOT_SO));
                }
                say("stopping after this batch; a second signal stops at once");
            }
        });
    });
    if is_ready.recv().unwrap_or(false) {
        return Ok(asked);
    }
    complain("cannot wait for signals", None);
    Err(Failure(COULD_NOT_LOOK))
}
