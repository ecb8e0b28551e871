//! `inferlog demo --elasticsearch`: some hours of sample logs, with drift, labels and reviews, in a real Elasticsearch, so that
//! dashboards have something to show.
//!
//! The logs are written as a whole, a real pipeline ships them to their end as `run --once` does, and the verdict of `reconcile` is
//! written beside them. What Elasticsearch needs for it has to be there: who installs that is the user.

use std::path::Path;
use std::time::Duration;

use chrono::Utc;
use url::Url;

use super::demo_folders::{Folders, in_lines, in_shell};
use super::run::{self, StopSignals, limits};
use super::setup::installation;
use super::{COULD_NOT_LOOK, Failure, complain, print, reconcile, runtime, say};
use crate::config::model::{ElasticsearchOptions, Pipeline, SinkOptions};
use crate::demo::history;
use crate::elastic::client::Client;
use crate::elastic::setup::{self, SetupAction};
use crate::pipeline::RunEnd;
use crate::pipeline::supervisor::Supervisor;
use crate::telemetry::Counters;
use crate::text::units::counted;

/// The pipeline, as a user would write it.
const PIPELINE: &str = include_str!("demo-elasticsearch.yaml");

/// The hosts in it.
const HOSTS: &str = "hosts: [\"http://localhost:9200\"]\n";

/// How far back the logs go.
const HISTORY: Duration = Duration::from_secs(6 * 60 * 60);

/// How many records they have unless told otherwise: in each window of drift enough of most versions.
const RECORDS: u64 = 30_000;

/// How often it is said how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(2);

/// Options of the sink, and the variables that they come from where these are set.
const VARIABLES: [(&str, &str); 5] = [
    ("api_key", "ES_API_KEY"),
    ("username", "ES_USERNAME"),
    ("password", "ES_PASSWORD"),
    ("ca_file", "ES_CA_FILE"),
    ("fingerprint", "ES_FINGERPRINT"),
];

/// What of it was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'w> {
    pub(super) records: Option<u64>,
    pub(super) kibana: Option<&'w Url>,
}

/// The text of the pipeline file for an Elasticsearch at this address.
pub(super) fn pipeline_text(elasticsearch: &Url) -> String {
    let option = |(name, variable): &(&str, &str)| {
        let value = std::env::var_os(variable)?;
        // A path is relative to where the user is, and in the file it would be to the file.
        let value = match *name {
            "ca_file" => std::path::absolute(value).ok()?.to_str()?.to_owned(),
            _ => format!("${{{variable}}}"),
        };
        Some(format!("    {name}: {}\n", serde_json::Value::from(value)))
    };
    let options = VARIABLES.iter().filter_map(option);
    let address = serde_json::Value::from(elasticsearch.as_str());
    PIPELINE.replace(HOSTS, &format!("hosts: [{address}]\n{}", options.collect::<String>()))
}

/// Writes the logs, ships them, and proves that all is there.
pub(super) fn run(wanted: Wanted<'_>, folders: &Folders, pipelines: &[Pipeline]) -> Result<(), Failure> {
    let of_elasticsearch = |pipeline: &'_ Pipeline| match &pipeline.sinks[0].options {
        SinkOptions::Elasticsearch(options) => Some(options.clone()),
        SinkOptions::Store(_) | SinkOptions::Stdout => None,
    };
    let found = pipelines.iter().find_map(|pipeline| Some((pipeline, of_elasticsearch(pipeline)?)));
    let Some((pipeline, options)) = found else { unreachable!("BUG: the demo ships into Elasticsearch") };
    let runtime = runtime()?;
    runtime.block_on(must_be_set_up(pipeline, &options, wanted.kibana))?;
    let records = wanted.records.unwrap_or(RECORDS);
    history::write(&folders.files, records, HISTORY, Utc::now()).map_err(|error| Failure::new(&error, None))?;
    let hours = HISTORY.as_secs() / 3_600;
    say(&format!(
        "{} of the last {hours} hours, with labels and reviews, are in {}",
        counted(records, "record"),
        folders.files.display()
    ));
    let ended = runtime.block_on(ship(pipelines, &folders.data_dir, records))?;
    run::judge(&ended, true)?;
    runtime.block_on(reconcile::prove_and_record(pipeline, &folders.data_dir))?;
    print(&what_to_look_at(&options.target.searched(), folders, wanted.kibana));
    Ok(())
}

/// Fails unless the templates are there: documents would wait for them.
async fn must_be_set_up(
    pipeline: &Pipeline,
    options: &ElasticsearchOptions,
    kibana: Option<&Url>,
) -> Result<(), Failure> {
    let client = Client::new(&options.client).map_err(|error| Failure::new(&error, None))?;
    let plan = setup::plan(&client, &installation(pipeline, options)).await;
    let plan = plan.map_err(|error| Failure::new(&error, error.hint().as_deref()))?;
    let missing: Vec<&str> =
        plan.steps.iter().filter(|step| step.action == SetupAction::Create).map(|step| step.name.as_str()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut words = vec![program(), "setup".to_owned(), "apply".to_owned(), in_shell(&pipeline.path)];
    let kibana = kibana.map_or_else(|| "http://localhost:5601".to_owned(), Url::to_string);
    words.extend(["--kibana".to_owned(), kibana]);
    let hint = format!("install it, and the dashboards with it, then run the demo again:\n\n{}\n", in_lines(&words));
    complain(&format!("Elasticsearch is not set up: there is no `{}`", missing.join("`, `")), Some(&hint));
    Err(Failure(COULD_NOT_LOOK))
}

/// Runs the pipelines to the end of what is there, and says how far they are.
async fn ship(pipelines: &[Pipeline], data_dir: &Path, records: u64) -> Result<Vec<(String, RunEnd)>, Failure> {
    let mut signals = StopSignals::listen()?;
    let mut supervisor =
        Supervisor::start(pipelines, data_dir, limits(true)).map_err(|error| Failure::new(&error, error.hint()))?;
    let counters: Vec<Counters> = supervisor.pipelines.iter().map(|pipeline| pipeline.counters.clone()).collect();
    let sinks: Vec<_> = counters.iter().map(|counters| counters.sink("elasticsearch")).collect();
    loop {
        tokio::select! {
            ended = supervisor.ended() => return Ok(ended),
            () = signals.next() => supervisor.stop(),
            () = tokio::time::sleep(TOLD_EVERY) => {
                let shipped: u64 = sinks.iter().map(|sink| sink.indexed.get() + sink.duplicates.get()).sum();
                let waiting: i64 = counters.iter().map(|counters| counters.outbox_documents.get()).sum();
                say(&format!(
                    "{shipped} of {records} records are shipped; {waiting} documents of drift and outcomes wait"
                ));
            }
        }
    }
}

fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "inferlog".to_owned())
}

/// Where the dashboards are, and questions to ask.
fn what_to_look_at(stream: &str, folders: &Folders, kibana: Option<&Url>) -> String {
    let data_dir = folders.data_dir_words();
    let command = |words: &[&str]| {
        let words = words.iter().map(|word| (*word).to_owned());
        in_lines(&[program()].into_iter().chain(words).chain(data_dir.iter().cloned()).collect::<Vec<_>>())
    };
    let dashboards = match kibana {
        Some(kibana) => format!("{}/app/dashboards", kibana.as_str().trim_end_matches('/')),
        None => "in Kibana, at Analytics > Dashboards".to_owned(),
    };
    format!(
        "everything is in `{stream}` and the data streams beside it, of the last {} hours\n\nDashboards, tag `inferlog`: {dashboards}\n\n\
         What to try next:\n\nask for what a person should look at\n{}\naccuracy, realised and estimated\n{}\nwhich features moved\n{}",
        HISTORY.as_secs() / 3_600,
        command(&["query", "'low_confidence : true'", "--limit", "5", "--pipeline", "demo"]),
        command(&["query", "'*'", "--stream", "evaluations", "--pipeline", "demo"]),
        command(&["drift", "--pipeline", "demo", "--last", "6h"]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pipeline_ships_to_the_address_that_was_named() {
        let text = pipeline_text(&Url::parse("https://es:9200/behind/a/path").unwrap());
        assert!(text.contains("    hosts: [\"https://es:9200/behind/a/path\"]\n"), "{text}");
        assert!(!text.contains("localhost"), "{text}");
    }
}
