//! What the benches share: records as a model server writes them, an endpoint that counts, and what a process used.

#![allow(dead_code, unused_imports, reason = "each bench uses some of it")]
#![allow(clippy::print_stdout, reason = "an endpoint answers there, and figures are what the others are for")]

mod corpus;
mod endpoint;
mod figure;
mod machine;
mod section;
mod usage;

use std::path::Path;
use std::process::Command;

pub(crate) use corpus::{PART_RECORDS, Records, SPREAD, Shape, append, spread, spread_path};
pub(crate) use endpoint::{Counted, Endpoint, Sample, answer_of, read_request, serve};
pub(crate) use figure::Figure;
pub(crate) use machine::{command, commit, machine};
pub(crate) use section::write_section;
pub(crate) use usage::{Spent, Threads, Usage, usage, usage_of, wait};

/// The pipeline's name, which every document carries.
pub(crate) const PIPELINE: &str = "bench";

/// What the `add` processor adds.
pub(crate) const SERVICE: &str = "anomaly-detector";

/// Where documents go.
pub(crate) const STREAM: &str = "logs-ml.inference-default";

/// What a bench is started as by itself, where it needs no more than an endpoint.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Part {
    /// The endpoint that counts.
    #[command(hide = true)]
    Endpoint,
}

/// A pipeline with the default enrichment and two hashes, of the features and of the line.
pub(crate) fn pipeline(paths: &str) -> String {
    let hosts = "hosts: [\"${ENDPOINT}\"]";
    pipeline_into(paths, &format!("elasticsearch: {{ {hosts}, data_stream: {STREAM}, gzip: \"${{GZIP:false}}\" }}"))
}

/// The same into another sink.
pub(crate) fn pipeline_into(paths: &str, sink: &str) -> String {
    format!(
        r#"
source:
  files: {{ paths: ["{paths}"] }}
workers: ${{WORKERS:1}}
decode: json
enrich:
  - timestamp: {{ from: [timestamp] }}
  - hash:   {{ fields: [features], into: input_hash, when: "not input_hash : *" }}
  - redact: {{ fields: [user.email] }}
  - flag:   {{ into: low_confidence, when: "confidence < 0.6" }}
  - add:    {{ fields: {{ service.name: {SERVICE} }} }}
sink:
  {sink}
"#
    )
}

/// The program to measure: `INFERLOG_PROGRAM`, or the one built with the bench.
pub(crate) fn program() -> Command {
    Command::new(program_path())
}

/// Has it ship what there is, with its state in a folder, and say nothing but errors.
pub(crate) fn run_once<'c>(program: &'c mut Command, state: &Path, pipeline: &Path) -> &'c mut Command {
    let program = program.args(["run", "--once", "--listen", "off", "--data-dir"]).arg(state).arg(pipeline);
    program.env("INFERLOG_LOG", "error")
}

/// Where it is.
pub(crate) fn program_path() -> String {
    std::env::var("INFERLOG_PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_inferlog").to_owned())
}
