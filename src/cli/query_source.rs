//! Which sink does `inferlog query` ask?

use std::io;
use std::path::{Path, PathBuf};

use super::{COULD_NOT_LOOK, Failure, complain, load, named};
use crate::config::model::{self, Pipeline, SinkOptions};
use crate::pipeline::build::store_path;
use crate::query::ask::AskError;
use crate::query::respondent::Respondent;
use crate::state::folder::{data_dir, state_folder, store_file};

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
            open_store(&path, &name, None, &data_dir)
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
            return open_store(&path, &pipeline.name, Some(pipeline.clone()), data_dir);
        }
        SinkChoice::Elasticsearch(options) => options,
    };
    let respondent = Respondent::of_elasticsearch(options, pipeline.clone(), data_dir);
    respondent.map_err(|error| Failure::new(&error, None))
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
    pipeline_name: &str,
    pipeline: Option<Pipeline>,
    data_dir: &Path,
) -> Result<Respondent, Failure> {
    Respondent::of_store(path, pipeline_name, pipeline, data_dir)
        .map_err(|error| Failure::new(&error, Some("has the pipeline run? Name its folder of state with `--data-dir`")))
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
