//! Which sink does `inferlog query` ask, and what is known of its pipelines?

use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::{COULD_NOT_LOOK, Failure, complain, load, named};
use crate::config::model::{self, Pipeline, SinkOptions};
use crate::elastic::client::Client;
use crate::elastic::pages::{self, Refreshed};
use crate::elastic::target::Target;
use crate::enrich::Step;
use crate::flow::batch::Stream;
use crate::flow::question::Question;
use crate::judge::enrichment::host_name;
use crate::observe::drift::options::DriftOptions;
use crate::pipeline::build::store_path;
use crate::proof::accounted;
use crate::proof::completeness::{Completeness, local_state};
use crate::query::ask::{AskError, Source};
use crate::sink::store::Store;
use crate::state::folder::{data_dir, state_folder, store_file};

/// A sink that can be asked.
pub(super) struct Respondent {
    pub(super) source: Source,
    /// For people: "the store `inference`".
    pub(super) name: String,
    /// The store's file, or the cluster's addresses.
    pub(super) place: String,
    pipeline: Option<Pipeline>,
    /// The pipeline's name and folder of state.
    state: (String, PathBuf),
}

pub(super) fn could_not_ask(error: &AskError) -> Failure {
    Failure::new(error, error.hint())
}

/// Opens the sink of a pipeline file, or the only store in the folder of state. `wanted` is a sink's name, or a kind.
pub(super) fn open(file: Option<&Path>, wanted: Option<&str>, flag: Option<PathBuf>) -> Result<Respondent, Failure> {
    let data_dir = data_dir(flag);
    match file {
        Some(file) => of_pipeline(file, &named::pipeline_file(file, &data_dir)?, wanted, &data_dir),
        None if wanted.is_some_and(|wanted| wanted != "store") => {
            let what = wanted.filter(|wanted| *wanted == "elasticsearch").map_or("sink", |_| "Elasticsearch");
            complain(&format!("which {what}?"), Some("name the pipeline that ships into it: `--pipeline FILE|NAME`"));
            Err(Failure(COULD_NOT_LOOK))
        }
        None => {
            let name = only_store(&data_dir)?;
            let path = store_in(&data_dir, &name);
            open_store(&path, name, None, &data_dir)
        }
    }
}

/// `typed`: what the user named the file by.
fn of_pipeline(typed: &Path, file: &Path, wanted: Option<&str>, data_dir: &Path) -> Result<Respondent, Failure> {
    let mut pipelines = load(&[file.to_owned()])?;
    let (Some(pipeline), true) = (pipelines.pop(), pipelines.is_empty()) else {
        complain(&format!("`{}` is not one pipeline", file.display()), Some("name one file, not a folder"));
        return Err(Failure(COULD_NOT_LOOK));
    };
    let labels = pipeline.labels().filter(|labels| typed.to_str() == Some(&*labels.name));
    let pipeline = labels.unwrap_or(pipeline);
    let options = match sink_of(&pipeline, wanted)? {
        SinkChoice::Store(store) => {
            let path = store_path(data_dir, &pipeline.name, store);
            return open_store(&path, pipeline.name.clone(), Some(pipeline), data_dir);
        }
        SinkChoice::Elasticsearch(options) => options,
    };
    let client = Client::new(&options.client).map_err(|error| Failure::new(&error, None))?;
    let name = format!("`{}` of Elasticsearch", options.target.searched());
    let source = Source::Elasticsearch(Box::new(client), options.target.clone());
    let state = (pipeline.name.clone(), state_folder(data_dir, &pipeline.name));
    let hosts: Vec<&str> = options.client.hosts.iter().map(|host| host.as_str()).collect();
    let place = hosts.join(", ");
    Ok(Respondent { source, name, place, pipeline: Some(pipeline), state })
}

/// The options of the sink that is asked.
enum SinkChoice<'p> {
    Store(&'p model::Store),
    Elasticsearch(&'p model::ElasticsearchOptions),
}

/// The sink of this name, else the first one of this kind; when nothing is said, the first store, else the first
/// Elasticsearch.
fn sink_of<'p>(pipeline: &'p Pipeline, wanted: Option<&str>) -> Result<SinkChoice<'p>, Failure> {
    let named = pipeline.sinks.iter().find(|sink| Some(sink.name.as_str()) == wanted);
    let is_wanted = |sink: &&model::Sink| named.is_none_or(|named| named.name == sink.name);
    let is_of_kind = |kind: &str| named.is_some() || wanted.is_none_or(|wanted| wanted == kind);
    let mut candidates = pipeline.sinks.iter().filter(is_wanted);
    let store = candidates.clone().find_map(|sink| match &sink.options {
        SinkOptions::Store(store) if is_of_kind("store") => Some(SinkChoice::Store(store)),
        _ => None,
    });
    let elasticsearch = || {
        candidates.find_map(|sink| match &sink.options {
            SinkOptions::Elasticsearch(options) if is_of_kind("elasticsearch") => {
                Some(SinkChoice::Elasticsearch(options))
            }
            _ => None,
        })
    };
    store.or_else(elasticsearch).ok_or_else(|| {
        let what = match wanted {
            Some("store") => "a store".to_owned(),
            Some("elasticsearch") => "Elasticsearch".to_owned(),
            Some(other) => format!("a sink `{other}` that can be asked"),
            None => "a sink that can be asked".to_owned(),
        };
        let names: Vec<String> = pipeline.sinks.iter().map(|sink| format!("`{}`", sink.name)).collect();
        let hint = format!("its sinks are: {}", names.join(", "));
        complain(&format!("pipeline `{}` does not ship into {what}", pipeline.name), Some(&hint));
        Failure(COULD_NOT_LOOK)
    })
}

fn open_store(
    path: &Path,
    pipeline_name: String,
    pipeline: Option<Pipeline>,
    data_dir: &Path,
) -> Result<Respondent, Failure> {
    let reader = Store::open_read_only(path).map_err(|error| {
        Failure::new(&error, Some("has the pipeline run? Name its folder of state with `--data-dir`"))
    })?;
    let name = format!("the store `{pipeline_name}`");
    let folder = state_folder(data_dir, &pipeline_name);
    let place = path.display().to_string();
    Ok(Respondent { source: Source::Store(Box::new(reader)), name, place, pipeline, state: (pipeline_name, folder) })
}

/// Where the store of a pipeline is unless its file says otherwise.
fn store_in(data_dir: &Path, pipeline: &str) -> PathBuf {
    store_file(&state_folder(data_dir, pipeline))
}

/// The name of the only pipeline that has a store here.
fn only_store(data_dir: &Path) -> Result<String, Failure> {
    let mut names = stores(data_dir).map_err(|error| {
        let hint = "run it as a user who may look there, or name the folder that `run` uses: `--data-dir`";
        complain(&format!("cannot look for stores in `{}`: {error}", data_dir.display()), Some(hint));
        Failure(COULD_NOT_LOOK)
    })?;
    names.sort();
    match names.as_slice() {
        [one] => Ok(one.clone()),
        [] => {
            let hint = "name the pipeline whose sink is to be asked: `--pipeline FILE|NAME`; or its folder of state: `--data-dir DIR`";
            complain(&format!("there is no store in `{}`", data_dir.display()), Some(hint));
            Err(Failure(COULD_NOT_LOOK))
        }
        several => {
            let hint = "name the pipeline whose store is to be asked: `--pipeline FILE|NAME`";
            complain(
                &format!("there are several stores in `{}`: {}", data_dir.display(), several.join(", ")),
                Some(hint),
            );
            Err(Failure(COULD_NOT_LOOK))
        }
    }
}

/// The pipelines that have a store here. A folder that is not there has none.
fn stores(data_dir: &Path) -> io::Result<Vec<String>> {
    let folders = match fs_err::read_dir(data_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        folders => folders?,
    };
    let mut names = Vec::new();
    for folder in folders {
        let folder = folder?;
        match fs_err::metadata(store_file(&folder.path())) {
            Ok(metadata) if metadata.is_file() => names.push(folder.file_name().to_string_lossy().into_owned()),
            // A file system's own folder is root's alone.
            Err(_) if folder.file_name() == "lost+found" => {}
            Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Err(error);
            }
            _ => {}
        }
    }
    Ok(names)
}

impl Respondent {
    /// Whether an answer may lack something: by the folder of state, where it is on this machine, and by the accounts of
    /// all other pipelines that ship there. Where those cannot be read, that is a gap, too.
    ///
    /// To be asked before the answer is: what was delivered by then has to be in it, for which Elasticsearch makes it
    /// visible first.
    pub(super) async fn completeness(&self, question: &Question, now: DateTime<Utc>) -> Completeness {
        let (name, folder) = &self.state;
        let until = question.until_ms.and_then(DateTime::from_timestamp_millis);
        let globs = self.pipeline.as_ref().map(|pipeline| {
            let files = &pipeline.source.files;
            (files.paths.as_slice(), files.exclude.as_slice())
        });
        let local = local_state(folder, name, globs, question.from_ms, question.until_ms);
        let host = host_name();
        let but = local.is_some().then_some((host.as_str(), name.as_str()));
        let accounts_visible = self.refresh(|target| vec![target.accounts()]).await;
        let accounted = accounted::states(&self.source, but, question.from_ms, question.until_ms).await;
        let records_visible = self.refresh(Target::parts).await;
        let (others, problem) = match accounted {
            Ok(others) => (others, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let states: Vec<_> = local.into_iter().chain(others).collect();
        let mut completeness = Completeness::of(&states, until, now);
        if let Some(problem) = problem {
            completeness.withhold(format!("the accounts of pipelines cannot be read: {problem}"));
        }
        for gap in [accounts_visible, records_visible].into_iter().filter_map(Result::err) {
            completeness.withhold(gap);
        }
        if question.stream == Stream::Outcomes {
            // What was just asked for is visible, and no account tells of labels that are still to come.
            if let Err(gap) = self.refresh(|target| vec![target.outcomes()]).await {
                completeness.withhold(gap);
            }
            completeness
                .withhold("an outcome comes when its label does, and nobody knows which labels will".to_owned());
        }
        completeness
    }

    /// The pipeline, where its file is known.
    pub(super) fn pipeline(&self) -> Option<&Pipeline> {
        self.pipeline.as_ref()
    }

    /// The processors of the pipeline, where its file is known.
    pub(super) fn steps(&self) -> &[Step] {
        self.pipeline.as_ref().map_or(&[], |pipeline| &pipeline.enrich)
    }

    /// What the pipeline's file says of drift.
    pub(super) fn drift(&self) -> Option<&DriftOptions> {
        self.pipeline.as_ref().and_then(Pipeline::drift)
    }

    /// The name of the pipeline.
    pub(super) fn pipeline_name(&self) -> &str {
        &self.state.0
    }

    /// Makes visible what was delivered, or says why it may not be.
    pub(super) async fn refresh(&self, indices: impl Fn(&Target) -> Vec<String>) -> Result<(), String> {
        let Source::Elasticsearch(client, target) = &self.source else { return Ok(()) };
        for index in indices(target) {
            let problem = match pages::refresh(client, &index).await {
                Ok(Refreshed::Done) => continue,
                Ok(Refreshed::Forbidden) => "this user may not refresh it (privilege `maintenance`)".to_owned(),
                Err(trouble) => trouble.problem,
            };
            return Err(format!("what was delivered to `{index}` last may not be visible yet: {problem}"));
        }
        Ok(())
    }
}
