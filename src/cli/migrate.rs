//! `inferlog migrate`: pipeline files from a Filebeat configuration, and what could not be said in them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::migrate_registry::{refuse, take_over, without_variables};
use super::{Failure, NOT_SO, StateFolder, print, say, start_log};
use crate::config;
use crate::migrate::table::Fate;
use crate::migrate::{Translation, translate};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Filebeat's configuration
    #[arg(value_name = "FILEBEAT_YML")]
    file: PathBuf,
    /// The Logstash pipeline behind it, of which each filter is named
    #[arg(long, value_name = "CONF")]
    logstash: Option<PathBuf>,
    /// The pipeline file to write; of several inputs the second one goes to FILE-2.yaml [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Filebeat's registry (`registry/filebeat` in its data folder): go on where it has stopped. A pipeline file that is
    /// there already is taken as it is
    #[arg(long, value_name = "DIR", requires = "output")]
    registry: Option<PathBuf>,
    #[command(flatten)]
    state: StateFolder,
}

/// The largest configuration, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    start_log("warn");
    let Arguments { file, logstash, output, registry, state } = arguments;
    let translation = read_and_translate(&file, logstash.as_deref())?;
    let files = files(output.as_deref(), translation.drafts.len())?;
    let is_there = files.iter().filter(|file| file.symlink_metadata().is_ok()).count();
    let mut is_whole = true;
    if is_there == 0 || registry.is_none() {
        write(&translation, &files)?;
        is_whole = say_outcomes(&translation, &files);
    } else if is_there < files.len() {
        let hint =
            "one pipeline file an input is needed: move them away, or write all of them without `--registry` first";
        return Err(refuse("only some of the pipeline files are there", hint));
    } else {
        say("the pipeline files are there already: they are taken as they are, and nothing is translated");
    }
    if let Some(registry) = registry {
        is_whole &= take_over(&registry, &files, state.data_dir)?;
    }
    if is_whole { Ok(()) } else { Err(Failure(NOT_SO)) }
}

fn read_and_translate(file: &Path, logstash: Option<&Path>) -> Result<Translation, Failure> {
    let text = read(file)?;
    let logstash = logstash.map(read).transpose()?;
    let folder = file.parent().map(Path::to_owned).unwrap_or_default();
    let folder = std::path::absolute(folder).unwrap_or_default();
    let translation = translate(&text, &folder, logstash.as_deref()).map_err(|problem| {
        refuse(
            &format!("`{}` cannot be translated: {problem}", file.display()),
            "name Filebeat's main configuration, `filebeat.yml`",
        )
    })?;
    for draft in &translation.drafts {
        config::load_text_with(Path::new("pipeline.yaml"), draft, &without_variables()).map_err(|report| {
            say(report.to_string().trim_end());
            refuse(
                "what was drafted does not pass `inferlog check`",
                "something in the configuration is not as Filebeat has it",
            )
        })?;
    }
    Ok(translation)
}

fn read(path: &Path) -> Result<String, Failure> {
    let failed =
        |problem: String| refuse(&format!("`{}` cannot be read: {problem}", path.display()), "name a file of text");
    let mut text = String::new();
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
    match text.len() as u64 > FILE_BYTES_MAX {
        true => Err(failed("it is larger than 1 MiB".to_owned())),
        false => Ok(text),
    }
}

/// The pipeline files: `a.yaml`, `a-2.yaml`, …
fn files(output: Option<&Path>, count: usize) -> Result<Vec<PathBuf>, Failure> {
    let Some(output) = output else {
        return match count {
            1 => Ok(Vec::new()),
            _ => Err(refuse(
                &format!("{count} inputs make {count} pipeline files"),
                "say where they go: `-o pipelines/model.yaml`",
            )),
        };
    };
    let stem = output.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let end = output.extension().map_or_else(|| "yaml".to_owned(), |end| end.to_string_lossy().into_owned());
    let name = |n: usize| if n == 1 { output.to_owned() } else { output.with_file_name(format!("{stem}-{n}.{end}")) };
    Ok((1..=count).map(name).collect())
}

fn write(translation: &Translation, files: &[PathBuf]) -> Result<(), Failure> {
    if let Some(there) = files.iter().find(|file| file.symlink_metadata().is_ok()) {
        let hint = "name another file, or move it away: nothing is overwritten";
        return Err(refuse(&format!("`{}` is there already", there.display()), hint));
    }
    if files.is_empty() {
        translation.drafts.iter().for_each(|draft| print(draft.trim_end()));
    }
    for (file, draft) in files.iter().zip(&translation.drafts) {
        let open = fs_err::OpenOptions::new().write(true).create_new(true).open(file);
        open.and_then(|mut file| file.write_all(draft.as_bytes()).and_then(|()| file.sync_all()))
            .map_err(|error| refuse(&error.to_string(), "name a file that is not there yet, in a folder that is"))?;
    }
    Ok(())
}

/// Says what became of each option; whether all could be translated.
fn say_outcomes(Translation { drafts, told }: &Translation, files: &[PathBuf]) -> bool {
    let mut told = told.clone();
    told.sort_by_key(|told| std::cmp::Reverse(told.fate));
    for it in &told {
        say(&format!("  {:<22}{}: {}", it.fate.as_str(), it.option, it.words));
    }
    let count = |fate| told.iter().filter(|it| it.fate == fate).count();
    let [cannot, translated, not_needed] = [Fate::Cannot, Fate::Translated, Fate::NotNeeded].map(count);
    let total = told.len();
    say(&format!("{total} options: {translated} translated, {not_needed} not needed, {cannot} cannot be translated"));
    let names: Vec<String> = files.iter().map(|file| format!("`{}`", file.display())).collect();
    let names = if names.is_empty() { "standard output".to_owned() } else { names.join(", ") };
    say(&format!("drafted: {names}; each loads as `inferlog check` would have it"));
    let variables: BTreeSet<String> = drafts.iter().flat_map(|draft| variables(draft)).collect();
    if !variables.is_empty() {
        let all: Vec<String> = variables.into_iter().collect();
        say(&format!("to be set in the environment, as no secret was copied: {}", all.join(", ")));
    }
    cannot == 0
}

/// The names of variables that a pipeline file has to be given.
fn variables(draft: &str) -> Vec<String> {
    let lines = draft.lines().filter(|line| !line.trim_start().starts_with('#'));
    let references = lines.flat_map(|line| line.split("${").skip(1)).filter_map(|rest| rest.split('}').next());
    references.filter(|reference| !reference.contains(':')).map(str::to_owned).collect()
}
