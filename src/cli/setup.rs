//! `inferlog setup`: what Elasticsearch needs, shown and installed.

use std::path::{Path, PathBuf};

use super::setup_kibana::{self, KibanaArguments};
use super::{COULD_NOT_LOOK, Failure, NOT_SO, TextFormat, complain, load, print, print_data, runtime, say, start_log};
use crate::config::model::{ElasticsearchOptions, Pipeline, SinkOptions};
use crate::elastic::assets;
use crate::elastic::capabilities::Capabilities;
use crate::elastic::client::Client;
use crate::elastic::installation::{Beside, Installation};
use crate::elastic::setup::export::{self, ExportFile};
use crate::elastic::setup::privileges::{PipelineStreams, roles};
use crate::elastic::setup::{
    self, Applied, Conflicts, Plan, SetupAction, SetupError, SetupOutcome, SetupResult, SetupStep,
};
use crate::elastic::target::TemplateCare;
use crate::kibana::export as kibana_export;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show what would be done, object by object; exits 0 when nothing is to do, 1 when there is
    Plan(Looking),
    /// Create what is missing, update what is older; what somebody else has changed is kept, and exits 1
    Apply {
        #[command(flatten)]
        looking: Looking,
        /// Replace what somebody else has made or changed, too
        #[arg(long)]
        overwrite: bool,
    },
    /// Exit 0 if all of it is in force as it should be, 1 if not
    Check(Looking),
    /// Write all of it as files, for a cluster that is managed by others; asks no server
    Export {
        /// The pipeline file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The folder to write into; files there that somebody else has made or changed are not written over
        #[arg(long, value_name = "DIR")]
        output: PathBuf,
    },
    /// Print the roles and API keys for set-up, shipper, operator, analyst and officer, ready to be pasted
    Privileges(Scope),
}

#[derive(Debug, clap::Args)]
struct Scope {
    /// The pipeline file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How to print the steps
    #[arg(long, value_enum, default_value = "text")]
    format: TextFormat,
}

/// What is looked at, Kibana too where one is named.
#[derive(Debug, clap::Args)]
struct Looking {
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    kibana: KibanaArguments,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    start_log("warn");
    match &arguments.what {
        Command::Plan(looking) => plan(looking),
        Command::Check(looking) => check(looking),
        Command::Export { file, output } => export(file, output),
        Command::Privileges(scope) => privileges(scope),
        Command::Apply { looking, overwrite } => {
            apply(looking, if *overwrite { Conflicts::Overwrite } else { Conflicts::Keep })
        }
    }
}

fn plan(looking: &Looking) -> Result<(), Failure> {
    let steps = looked_at(looking)?;
    let count = |action| steps.iter().filter(|step| step.action == action).count();
    let [create, update, conflict] = [SetupAction::Create, SetupAction::Update, SetupAction::Conflict].map(count);
    if create + update + conflict == 0 {
        say("nothing to do");
        return Ok(());
    }
    say(&format!("{create} to create, {update} to update, {}", counted_conflicts(conflict)));
    Err(Failure(NOT_SO))
}

fn check(looking: &Looking) -> Result<(), Failure> {
    let steps = looked_at(looking)?;
    let differing = steps.iter().filter(|step| step.action != SetupAction::Unchanged).count();
    if differing == 0 {
        say(if steps.is_empty() { "nothing was looked at" } else { "all of it is in force" });
        return Ok(());
    }
    let conflicts = steps.iter().filter(|step| step.action == SetupAction::Conflict).count();
    let what_to_do = match conflicts {
        0 => "`inferlog setup apply FILE` creates and updates".to_owned(),
        _ => format!("{} of them, which `inferlog setup apply FILE` keeps", counted_conflicts(conflicts)),
    };
    say(&format!("{differing} of {} differ; {what_to_do}", steps.len()));
    Err(Failure(NOT_SO))
}

/// The steps of all sinks, then of Kibana, printed.
fn looked_at(Looking { scope, kibana }: &Looking) -> Result<Vec<SetupStep>, Failure> {
    let pipelines = load(std::slice::from_ref(&scope.file))?;
    let sinks = elasticsearch_sinks(&pipelines)?;
    let runtime = runtime()?;
    let mut plans = Vec::new();
    for (pipeline, options) in managed(&sinks) {
        let client = Client::new(&options.client).map_err(|error| Failure::new(&error, None))?;
        let plan = runtime.block_on(setup::plan(&client, &installation(pipeline, options))).map_err(could_not_look)?;
        show_plan(scope, &plan);
        plans.push(plan);
    }
    if let Some(plan) = runtime.block_on(kibana.plan(&options_of(&sinks)))? {
        show_plan(scope, &plan);
        plans.push(plan);
    }
    Ok(plans.into_iter().flat_map(|plan| plan.steps).collect())
}

fn show_plan(scope: &Scope, plan: &Plan) {
    plan.remarks.iter().for_each(|remark| say(remark));
    plan.steps.iter().for_each(|step| show(scope.format, || step.to_text(), || step.to_json().to_string()));
}

fn apply(Looking { scope, kibana }: &Looking, conflicts: Conflicts) -> Result<(), Failure> {
    let pipelines = load(std::slice::from_ref(&scope.file))?;
    let sinks = elasticsearch_sinks(&pipelines)?;
    let runtime = runtime()?;
    let mut results = Vec::new();
    for (pipeline, options) in managed(&sinks) {
        let client = Client::new(&options.client).map_err(|error| Failure::new(&error, None))?;
        let installation = installation(pipeline, options);
        let applied = runtime.block_on(setup::apply(&client, &installation, conflicts)).map_err(could_not_look)?;
        results.extend(shown(scope, applied));
    }
    if let Some(applied) = runtime.block_on(kibana.apply(&options_of(&sinks), conflicts))? {
        results.extend(shown(scope, applied));
    }
    sum_up(&results)
}

/// What was done, printed.
fn shown(scope: &Scope, applied: Applied) -> Vec<SetupResult> {
    applied.remarks.iter().for_each(|remark| say(remark));
    applied.results.iter().for_each(|it| show(scope.format, || it.to_text(), || it.to_json().to_string()));
    applied.results
}

/// Says what became of all steps, and what to do where it is not as hoped.
fn sum_up(results: &[SetupResult]) -> Result<(), Failure> {
    let count = |name: &str| results.iter().filter(|result| result.outcome.name() == name).count();
    let [done, kept, refused, blocked, unreached] = ["done", "kept", "refused", "blocked", "unreached"].map(count);
    if done + kept + refused + blocked + unreached == 0 {
        say(if results.is_empty() { "nothing was looked at" } else { "nothing to do: all of it is there" });
        return Ok(());
    }
    say(&format!("done: {done}; {} unchanged", count("unchanged")));
    if kept > 0 {
        say(&format!(
            "kept: {}, which somebody else has made or changed: `--overwrite` replaces objects; a data stream is \
             changed by the request that is named",
            counted_conflicts(kept)
        ));
    }
    if refused + blocked > 0 {
        complain(
            &format!("{refused} refused, {blocked} not tried for that"),
            Some("mend what is named; then run it again"),
        );
    }
    if unreached > 0 {
        let lost = results.iter().find(|result| matches!(result.outcome, SetupOutcome::Unreached(_)));
        let problem = lost.and_then(|result| result.outcome.problem()).unwrap_or_default();
        complain(&format!("{unreached} not done: {problem}"), Some("run it again: it goes on with what is missing"));
        return Err(Failure(COULD_NOT_LOOK));
    }
    if kept + refused + blocked > 0 { Err(Failure(NOT_SO)) } else { Ok(()) }
}

/// Writes every file, or none where one of them is somebody else's.
fn export(file: &Path, output: &Path) -> Result<(), Failure> {
    let pipelines = load(&[file.to_owned()])?;
    let sinks = elasticsearch_sinks(&pipelines)?;
    let mut files: Vec<ExportFile> = Vec::new();
    for (pipeline, options) in managed(&sinks) {
        files.extend(export::files(&assets::of(&installation(pipeline, options), &Capabilities::all())));
    }
    let for_kibana = setup_kibana::files(&options_of(&sinks))?;
    files.extend(for_kibana.into_iter().map(|(path, content)| ExportFile { path, content }));
    let is_as_exported = |path: &str, content: &str| match path.starts_with(kibana_export::FOLDER) {
        true => kibana_export::is_as_exported(path, content),
        false => export::is_as_exported(path, content),
    };
    let is_foreign = |file: &&ExportFile| {
        fs_err::read_to_string(output.join(&file.path)).map_or_else(
            |error| error.kind() != std::io::ErrorKind::NotFound,
            |content| !is_as_exported(&file.path, &content),
        )
    };
    let foreign: Vec<&str> = files.iter().filter(is_foreign).map(|file| file.path.as_str()).collect();
    if !foreign.is_empty() {
        let problem = format!("somebody has made or changed these in `{}`: {}", output.display(), foreign.join(", "));
        complain(&problem, Some("nothing was written: name another folder, or take them away"));
        return Err(Failure(NOT_SO));
    }
    for ExportFile { path, content } in &files {
        let path = output.join(path);
        let folder = path.parent().unwrap_or(output);
        let written = fs_err::create_dir_all(folder).and_then(|()| fs_err::write(&path, content));
        written.map_err(|error| Failure::new(&error, None))?;
        print(&path.display().to_string());
    }
    let (script, folder) = (output.join("install.sh"), output.join(kibana_export::FOLDER));
    say(&format!(
        "{} files; `{}` installs them, but for those in `{}`, which are Kibana's to import",
        files.len(),
        script.display(),
        folder.display()
    ));
    Ok(())
}

fn privileges(scope: &Scope) -> Result<(), Failure> {
    let pipelines = load(std::slice::from_ref(&scope.file))?;
    for (pipeline, options) in elasticsearch_sinks(&pipelines)? {
        for role in roles(&PipelineStreams::new(&installation(pipeline, options))) {
            let name = &pipeline.name;
            show(scope.format, || role.to_text(name), || role.to_json(name).to_string());
        }
    }
    Ok(())
}

fn counted_conflicts(count: usize) -> String {
    if count == 1 { "1 conflict".to_owned() } else { format!("{count} conflicts") }
}

pub(super) fn installation<'p>(pipeline: &Pipeline, options: &'p ElasticsearchOptions) -> Installation<'p> {
    Installation {
        target: &options.target,
        retention: options.retention,
        failure_store: options.failure_store,
        outcomes: Beside::of(pipeline.ground_truth()),
        drift: Beside::of(pipeline.drift()),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn could_not_look(error: SetupError) -> Failure {
    Failure::new(&error, error.hint().as_deref())
}

fn elasticsearch_sinks(pipelines: &[Pipeline]) -> Result<Vec<(&Pipeline, &ElasticsearchOptions)>, Failure> {
    let sinks: Vec<(&Pipeline, &ElasticsearchOptions)> = pipelines
        .iter()
        .flat_map(|pipeline| pipeline.sinks.iter().map(move |sink| (pipeline, sink)))
        .filter_map(|(pipeline, sink)| match &sink.options {
            SinkOptions::Elasticsearch(options) => Some((pipeline, options.as_ref())),
            SinkOptions::Store(_) | SinkOptions::Stdout => None,
        })
        .collect();
    if sinks.is_empty() {
        complain("this pipeline has no `elasticsearch` sink", Some("there is nothing to set up for a store or stdout"));
        return Err(Failure(COULD_NOT_LOOK));
    }
    Ok(sinks)
}

/// The sinks whose templates inferlog sees to; says which are left out.
fn managed<'s>(
    sinks: &'s [(&'s Pipeline, &'s ElasticsearchOptions)],
) -> impl Iterator<Item = (&'s Pipeline, &'s ElasticsearchOptions)> {
    let is_managed = |(_, options): &(&Pipeline, &ElasticsearchOptions)| match options.template {
        TemplateCare::Managed => true,
        TemplateCare::Unmanaged => {
            let name = options.target.searched();
            say(&format!("`template: unmanaged`: nothing is installed for `{name}`, and nobody looks at it"));
            false
        }
    };
    sinks.iter().copied().filter(is_managed)
}

/// The sinks alone.
fn options_of<'o>(sinks: &[(&Pipeline, &'o ElasticsearchOptions)]) -> Vec<&'o ElasticsearchOptions> {
    sinks.iter().map(|(_, options)| *options).collect()
}

fn show(format: TextFormat, text: impl FnOnce() -> String, json: impl FnOnce() -> String) {
    match format {
        TextFormat::Text => print(&text()),
        TextFormat::Json => print_data(&json()),
    }
}
