//! `inferlog setup`: what Elasticsearch needs, shown and installed.

use std::path::PathBuf;

use super::{COULD_NOT_LOOK, Failure, NOT_SO, TextFormat, complain, load, print, runtime, say, start_log};
use crate::config::model::{ElasticsearchOptions, Pipeline, SinkOptions};
use crate::elastic::client::Client;
use crate::elastic::setup::{self, SetupAction, SetupError, SetupStep};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show what would be done; exits 0 when nothing is to do, 1 when there is
    Plan(Scope),
    /// Install or update what is missing or different
    Apply(Scope),
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

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    start_log("warn");
    let (of, apply) = match &arguments.what {
        Command::Plan(of) => (of, false),
        Command::Apply(of) => (of, true),
    };
    let pipelines = load(std::slice::from_ref(&of.file))?;
    let runtime = runtime()?;
    let mut to_do = false;
    for options in elasticsearch_sinks(&pipelines)? {
        let client = Client::new(&options.client).map_err(|error| Failure::new(&error, None))?;
        let steps = runtime.block_on(async {
            if apply {
                setup::apply(&client, &options.target).await
            } else {
                setup::plan(&client, &options.target).await
            }
        });
        let steps = steps.map_err(|error: SetupError| Failure::new(&error, error.hint().as_deref()))?;
        to_do |= steps.iter().any(|step| step.action != SetupAction::Unchanged);
        steps.iter().for_each(|step| show(step, of.format));
    }
    if apply {
        say(if to_do { "done" } else { "nothing to do: all of it is there" });
    }
    if to_do && !apply { Err(Failure(NOT_SO)) } else { Ok(()) }
}

fn elasticsearch_sinks(pipelines: &[Pipeline]) -> Result<Vec<&ElasticsearchOptions>, Failure> {
    let sinks: Vec<&ElasticsearchOptions> = pipelines
        .iter()
        .flat_map(|pipeline| &pipeline.sinks)
        .filter_map(|sink| match &sink.options {
            SinkOptions::Elasticsearch(options) => Some(options.as_ref()),
            SinkOptions::Store(_) | SinkOptions::Stdout => None,
        })
        .collect();
    if sinks.is_empty() {
        complain("this pipeline has no `elasticsearch` sink", Some("there is nothing to set up for a store or stdout"));
        return Err(Failure(COULD_NOT_LOOK));
    }
    Ok(sinks)
}

fn show(step: &SetupStep, format: TextFormat) {
    print(&match format {
        TextFormat::Text => step.to_text(),
        TextFormat::Json => step.to_json().to_string(),
    });
}
