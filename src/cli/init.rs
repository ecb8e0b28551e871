//! `inferlog init`: a pipeline file from a sample of a real log. A newcomer's first command on their own log.

use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};

use super::{COULD_NOT_LOOK, Failure, NOT_SO, check_sample, complain, print, say, start_log};
use crate::judge::draft::{Draft, LogSample, draft, path_in_file};
use crate::text::units::format_bytes;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Logs of one kind; `-` is standard input
    #[arg(value_name = "LOG", required = true)]
    logs: Vec<PathBuf>,
    /// The pipeline file to write, which must not be there yet [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The most that is read of all logs together, in bytes.
const SAMPLE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The most lines that are looked at of all logs together.
const SAMPLE_LINES_MAX: usize = 2_000;

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    start_log("warn");
    let refuse = |problem: &str, hint: &str| {
        complain(problem, Some(hint));
        Failure(COULD_NOT_LOOK)
    };
    if let Some(output) = arguments.output.as_ref().filter(|output| output.symlink_metadata().is_ok()) {
        let hint = "name another file, or move it away: nothing is overwritten";
        return Err(refuse(&format!("`{}` is there already", output.display()), hint));
    }
    let path = arguments.output.clone().unwrap_or_else(|| PathBuf::from("pipeline.yaml"));
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let logs: Vec<LogSample> =
        arguments.logs.iter().map(|log| sample(log, folder, arguments.logs.len())).collect::<Result<_, _>>()?;
    if logs.iter().all(|log| log.bytes.is_empty()) {
        return Err(refuse("the log has no whole line", "name a log that a model server has written to"));
    }
    let Some(draft) = draft(&path, &logs).map_err(|report| {
        say(report.to_string().trim_end());
        Failure(COULD_NOT_LOOK)
    })?
    else {
        complain(
            "no line of the log is a record",
            Some("inferlog reads JSON, also wrapped by a container runtime; nothing is written"),
        );
        return Err(Failure(NOT_SO));
    };
    write(arguments.output.as_deref(), &draft)?;
    say_draft(&path, arguments, &draft);
    Ok(())
}

/// The beginning of a log, whole lines.
fn sample(log: &Path, folder: &Path, logs: usize) -> Result<LogSample, Failure> {
    let (bytes_max, lines_max) = (SAMPLE_BYTES_MAX / logs, (SAMPLE_LINES_MAX / logs).max(1));
    let mut bytes = Vec::new();
    let is_stdin = log.as_os_str() == "-";
    let read = match is_stdin {
        true => std::io::stdin().lock().take(bytes_max as u64).read_to_end(&mut bytes),
        false => fs_err::File::open(log).and_then(|file| file.take(bytes_max as u64).read_to_end(&mut bytes)),
    };
    read.map_err(|error| {
        complain(&error.to_string(), None);
        Failure(COULD_NOT_LOOK)
    })?;
    check_sample::refuse_compressed(log, &bytes)?;
    let ends = memchr::memchr_iter(b'\n', &bytes);
    let end = ends.take(lines_max).last().map(|end| end + 1);
    // In UTF-16LE a line end has another byte behind it. A last line without an end counts where it is all that there is.
    let half = usize::from(bytes.starts_with(&[0xff, 0xfe]));
    if let Some(end) = end.filter(|_| bytes.len() > 1) {
        let is_whole = bytes.len() < bytes_max && memchr::memchr_iter(b'\n', &bytes).count() <= lines_max;
        if !is_whole {
            bytes.truncate(end + half);
            say(&format!("{}: the first {} are looked at", log.display(), format_bytes(bytes.len() as u64)));
        }
    }
    let path = if is_stdin { PathBuf::from("logs/*.ndjson") } else { path_in_file(log, folder) };
    let path = path.to_string_lossy();
    Ok(LogSample { path: if is_stdin { path.into_owned() } else { globset::escape(&path) }, bytes })
}

fn write(output: Option<&Path>, draft: &Draft) -> Result<(), Failure> {
    let Some(output) = output else {
        print(draft.text.trim_end());
        return Ok(());
    };
    let file = fs_err::OpenOptions::new().write(true).create_new(true).open(output);
    file.and_then(|mut file| file.write_all(draft.text.as_bytes()).and_then(|()| file.sync_all())).map_err(|error| {
        complain(&error.to_string(), Some("name a file that is not there yet, in a folder that is"));
        Failure(COULD_NOT_LOOK)
    })
}

/// Says what was made, what it ships, and what could not be told.
fn say_draft(path: &Path, arguments: &Arguments, draft: &Draft) {
    let Draft { doubts, entries, shipped, tests, .. } = draft;
    let name = arguments.output.as_ref().map_or("the pipeline file".to_owned(), |_| format!("`{}`", path.display()));
    say(&format!("{name} ships {shipped} of {entries} lines of the sample, and has {tests} tests, which pass"));
    doubts.iter().for_each(|doubt| say(&format!("  could not be told: {doubt}")));
    if arguments.logs.iter().any(|log| log.as_os_str() == "-") {
        say("  could not be told: where the log is: `source.files.paths`");
    }
    if arguments.output.is_some() {
        let log = arguments.logs.first().map(|log| log.display().to_string()).unwrap_or_default();
        say(&format!("next: read it, then `inferlog check {} --sample {log}`", path.display()));
    }
}
