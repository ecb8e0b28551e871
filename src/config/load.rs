//! Loading a set of pipelines: which files are they, and do they fit together?

use std::cell::RefCell;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::elastic::target::Target;
use crate::observe::options::Kind;
use crate::text::digest::sha256_hexadecimal;

use super::expand::{Environment, Expander};
use super::field::Field;
use super::model::{ElasticsearchOptions, Pipeline, SinkOptions};
use super::report::{Problem, Report, SourceText, Span};
use super::section::{Context, Section};
use super::stamp::Stamp;
use super::system::words;
use super::{decode, enrich, limits, observe, report, sink, source, tests_section, yaml};

/// Where pipelines are looked for when none is named.
const DEFAULT_FOLDER: &str = "pipelines";

/// The largest pipeline file, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

const NAME_BYTES_MAX: usize = 100;

/// Loads pipeline files, and folders of them (`*.yaml`, `*.yml`, in the order of their names); without any,
/// `pipelines/`. Variables come from the environment of this process.
///
/// # Errors
/// Everything that is wrong with any of them.
pub fn load(paths: &[PathBuf]) -> Result<Vec<Pipeline>, Report> {
    load_with(paths, &Environment::of_process())
}

/// The same with variables as given.
///
/// # Errors
/// Everything that is wrong with any of them.
pub fn load_with(paths: &[PathBuf], environment: &Environment<'_>) -> Result<Vec<Pipeline>, Report> {
    let mut problems = Vec::new();
    let files = pipeline_files(paths, &mut problems);
    let mut pipelines = Vec::new();
    for file in &files {
        match load_file(file, environment) {
            Ok(pipeline) => pipelines.push(pipeline),
            Err(found) => problems.extend(found),
        }
    }
    check_names(&files, &mut problems);
    check_labels(&pipelines, &mut problems);
    check_stores(&pipelines, &mut problems);
    check_value_buckets(&pipelines, &mut problems);
    check_retentions(&pipelines, &mut problems);
    match problems.is_empty() {
        true => Ok(pipelines),
        false => Err(Report { problems }),
    }
}

pub(super) fn pipeline_files(paths: &[PathBuf], problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let default = [PathBuf::from(DEFAULT_FOLDER)];
    let paths = if paths.is_empty() { &default } else { paths };
    let mut files = Vec::new();
    for path in paths {
        let found = match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => files_of_folder(path),
            Ok(_) => Ok(vec![path.clone()]),
            Err(error) => Err(error),
        };
        match found {
            Ok(found) if found.is_empty() => {
                let hint = "a pipeline is a file that ends in `.yaml` or `.yml`".to_owned();
                problems.push(Problem::of_path(path, "no pipeline is in this folder".to_owned(), Some(hint)));
            }
            Ok(found) => files.extend(found),
            Err(error) => {
                let hint = "name a pipeline file, or a folder of them".to_owned();
                problems.push(Problem::of_path(path, format!("no pipeline is here: {}", words(&error)), Some(hint)));
            }
        }
    }
    files
}

fn files_of_folder(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let is_yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if is_yaml && !is_hidden && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Loads the text of a pipeline file that would be at a path. There are no variables.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load_text(path: &Path, text: &str) -> Result<Pipeline, Report> {
    load_text_with(path, text, &Environment::new(|_| None))
}

/// The same with variables as given.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load_text_with(path: &Path, text: &str, environment: &Environment<'_>) -> Result<Pipeline, Report> {
    load_bytes(path, text.as_bytes(), environment).map_err(|problems| Report { problems })
}

fn load_file(path: &Path, environment: &Environment<'_>) -> Result<Pipeline, Vec<Problem>> {
    let bytes = read_bounded(path).map_err(|message| vec![Problem::of_path(path, message, None)])?;
    load_bytes(path, &bytes, environment)
}

fn load_bytes(path: &Path, bytes: &[u8], environment: &Environment<'_>) -> Result<Pipeline, Vec<Problem>> {
    let of_path = |message: String| vec![Problem::of_path(path, message, None)];
    let name = pipeline_name(path).map_err(of_path)?;
    let folder = folder_of(path).map_err(of_path)?;
    let text = text_of(path, bytes).map_err(|problem| vec![problem])?;
    let source = SourceText::new(path, text);
    let mut node = yaml::parse(&source).map_err(|problem| vec![problem])?;
    let mut expander = Expander {
        source: &source,
        folder: &folder,
        environment,
        problems: Vec::new(),
        written: Vec::new(),
        files: Vec::new(),
    };
    expander.expand(&mut node);
    let problems = RefCell::new(expander.problems);
    let (remarks, secrets, references) = (RefCell::default(), RefCell::default(), RefCell::default());
    let files = RefCell::new(expander.files);
    let context = Context { source: &source, folder: &folder, problems, remarks, secrets, references, files };
    let written = expander.written;
    let pipeline = Section::of_file(&context, &node).and_then(|section| pipeline(section, name, written));
    let [mut problems, mut remarks] = [context.problems, context.remarks].map(RefCell::into_inner);
    problems.sort_by_key(|problem| problem.position);
    remarks.sort_by_key(|remark| remark.position);
    match pipeline {
        Some(pipeline) if problems.is_empty() => Ok(Pipeline { remarks, ..pipeline }),
        _ => Err(problems),
    }
}

/// The file's own map: each key is read, whatever is wrong with the others.
fn pipeline(mut file: Section<'_>, name: String, mut written: Vec<(Span, String)>) -> Option<Pipeline> {
    let path = file.context.source.path.to_owned();
    let mut source = file.required("source", source::source);
    let decode = file.required("decode", decode::decode);
    if let (Some(source), Some(decode)) = (&mut source, &decode) {
        source.files.entries = decode::entries(decode);
    }
    let enrich = |field: &Field<'_>| {
        let steps = enrich::enrich(field)?;
        decode.iter().for_each(|decode| decode::refuse_moved(field, decode, &steps));
        Some(steps)
    };
    let enrich = file.optional("enrich", enrich).unwrap_or_default();
    let inferences = decode::inferences(decode.as_ref());
    let observe = file.optional("observe", |field| observe::observers(field, inferences));
    let workers = file.optional("workers", |field| limits::workers(field, decode.as_ref())).unwrap_or(1);
    let batch = file.optional("batch", limits::batch).unwrap_or(limits::BATCH);
    let line_bytes_max = source.as_ref().map_or(0, |source| source.files.line_bytes_max as u64);
    let queue = limits::queue(&mut file, batch.bytes_max as u64, line_bytes_max);
    let rate_limit = file.optional("rate_limit", limits::rate_limit);
    let dead_letter = file.optional("dead_letter", limits::dead_letter).unwrap_or(limits::DEAD_LETTER);
    let sinks = file.required("sink", sink::sinks);
    let framing = source.as_ref().map(|source| source.files.framing());
    let tests = file.optional("tests", |field| tests_section::tests(field, &enrich, framing)).unwrap_or_default();
    let references = file.context.references.take();
    written
        .retain(|(place, _)| !references.iter().any(|secret| secret.start <= place.start && place.start < secret.end));
    let text =
        report::kept_text(file.context.source.text, file.context.secrets.take(), written, &file.context.source.plain());
    let files = file.context.files.take().into_iter().map(|file| (Stamp::of(&file), file)).collect();
    file.finish();
    Some(Pipeline {
        name,
        path,
        digest: sha256_hexadecimal(text.as_bytes()),
        text,
        files,
        source: source?,
        decode: decode?,
        enrich,
        observe: observe.unwrap_or_default(),
        workers,
        batch,
        queue,
        rate_limit,
        dead_letter,
        sinks: sinks?,
        tests,
        remarks: Vec::new(),
    })
}

pub(super) fn read_bounded(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)) {
        Err(error) => Err(format!("the file cannot be read: {}", words(&error))),
        Ok(length) if length as u64 > FILE_BYTES_MAX => {
            Err("the file is larger than 1 MiB, the most that a pipeline file may have".to_owned())
        }
        Ok(_) => Ok(bytes),
    }
}

/// The file's text without a byte order mark; what is not UTF-8 is shown by the line that holds it.
fn text_of<'a>(path: &'a Path, bytes: &'a [u8]) -> Result<&'a str, Problem> {
    let text = std::str::from_utf8(bytes).map(|text| text.strip_prefix('\u{feff}').unwrap_or(text));
    text.map_err(|error| {
        let valid = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
        let source = SourceText::new(path, valid);
        source.problem(&(valid.len()..valid.len()), "the file is not UTF-8 from here on".to_owned(), None)
    })
}

fn pipeline_name(path: &Path) -> Result<String, String> {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match !stem.is_empty() && stem.len() <= NAME_BYTES_MAX && !stem.starts_with('.') && stem.chars().all(allowed) {
        true => Ok(stem.to_owned()),
        false => Err(format!(
            "a pipeline is named by its file, with letters, digits, `.`, `_` and `-`, at most {NAME_BYTES_MAX} characters"
        )),
    }
}

/// The absolute folder of a file, links resolved, so that `..` in a path means what it means to the system.
fn folder_of(path: &Path) -> Result<PathBuf, String> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = parent.canonicalize().map_err(|error| format!("the folder cannot be read: {}", words(&error)))?;
    match folder.to_str() {
        Some(_) => Ok(folder),
        None => Err("the name of the folder is not UTF-8".to_owned()),
    }
}

/// Predicted numbers that are one metric have the same buckets, or they could not be added up.
fn check_value_buckets(pipelines: &[Pipeline], problems: &mut Vec<Problem>) {
    let regression = |pipeline: &Pipeline| {
        pipeline
            .model_metrics()
            .filter(|options| options.kind == Kind::Regression)
            .cloned()
            .map(|its| (its.prefix, its.value_buckets))
    };
    for (position, pipeline) in pipelines.iter().enumerate() {
        let Some((prefix, buckets)) = regression(pipeline) else { continue };
        let mut before = pipelines[..position].iter();
        let other = before.find(|other| regression(other).is_some_and(|its| its.0 == prefix && its.1 != buckets));
        if let Some(other) = other {
            let other = other.path.display();
            let message =
                format!("`value_buckets` of `model_metrics` are others than in `{other}`, for the same metric");
            let hint = "write the same in both, or give one a `prefix:`".to_owned();
            problems.push(Problem::of_path(&pipeline.path, message, Some(hint)));
        }
    }
}

/// What is kept in one stream of a cluster is kept alike, or each set-up would undo the other's.
fn check_retentions(pipelines: &[Pipeline], problems: &mut Vec<Problem>) {
    let mut seen: Vec<(Vec<&str>, String, String, &Pipeline)> = Vec::new();
    for pipeline in pipelines {
        for sink in &pipeline.sinks {
            let SinkOptions::Elasticsearch(options) = &sink.options else { continue };
            let mut hosts: Vec<&str> = options.client.hosts.iter().map(|host| host.as_str()).collect();
            hosts.sort_unstable();
            for (stream, kept) in streams_kept(pipeline, options) {
                let other = seen.iter().find(|(its_hosts, its_stream, its_kept, _)| {
                    *its_hosts == hosts && *its_stream == stream && *its_kept != kept
                });
                if let Some((.., other)) = other {
                    let other = other.path.display();
                    let message = format!("documents of `{stream}` are kept otherwise than by `{other}`");
                    let hint = "write the same `retention` and `failure_store` in both, or ship into another stream";
                    problems.push(Problem::of_path(&pipeline.path, message, Some(hint.to_owned())));
                }
                seen.push((hosts.clone(), stream, kept, pipeline));
            }
        }
    }
}

/// The data streams of which a sink says how long documents are kept, and how.
fn streams_kept(pipeline: &Pipeline, options: &ElasticsearchOptions) -> Vec<(String, String)> {
    let kept = options.retention.name().unwrap_or_default();
    let records = match &options.target {
        Target::DataStream(_) | Target::Tenants(_) => options.target.names_now(),
        Target::Index(_) => Vec::new(),
    };
    let records = records.into_iter().map(|stream| (stream, format!("{kept} {:?}", options.failure_store)));
    let outcomes = pipeline.ground_truth().map(|_| (options.target.outcomes(), kept.clone()));
    records.chain(outcomes).collect()
}

fn check_names(files: &[PathBuf], problems: &mut Vec<Problem>) {
    for (n, file) in files.iter().enumerate() {
        if let Some(other) = files[..n].iter().find(|other| other.file_stem() == file.file_stem()) {
            let message = format!("this pipeline has the same name as `{}`", other.display());
            let hint = "a pipeline's name is its file's name without its end: rename one of the two".to_owned();
            problems.push(Problem::of_path(file, message, Some(hint)));
        }
    }
}

/// The pipeline that reads labels is named after the one which they are for.
fn check_labels(pipelines: &[Pipeline], problems: &mut Vec<Problem>) {
    let names = pipelines.iter().filter_map(Pipeline::labels).map(|labels| labels.name);
    for name in names {
        if let Some(other) = pipelines.iter().find(|other| other.name == name) {
            let message = format!("the pipeline that reads labels would have the same name, `{name}`");
            problems.push(Problem::of_path(&other.path, message, Some("rename this file".to_owned())));
        }
    }
}

fn check_stores(pipelines: &[Pipeline], problems: &mut Vec<Problem>) {
    let mut seen: Vec<(&Path, &Pipeline)> = Vec::new();
    for pipeline in pipelines {
        let stores = pipeline.sinks.iter().filter_map(|sink| match &sink.options {
            SinkOptions::Store(store) => Some(store),
            SinkOptions::Elasticsearch(_) | SinkOptions::Stdout => None,
        });
        // A default place is the pipeline's own, but two of them in one pipeline are the same.
        for path in stores.map(|store| store.path.as_deref().unwrap_or(Path::new(""))) {
            let is_default = path.as_os_str().is_empty();
            let same =
                |(other, owner): &&(&Path, &Pipeline)| *other == path && (!is_default || owner.name == pipeline.name);
            if let Some((_, owner)) = seen.iter().find(same) {
                let message = format!(
                    "a store of this pipeline is also one of `{}`: each needs its own `path`",
                    owner.path.display()
                );
                problems.push(Problem::of_path(&pipeline.path, message, None));
            }
            seen.push((path, pipeline));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kept text of a pipeline file with these variables.
    fn kept(text: &str, variables: &[(&str, &str)]) -> (String, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.yaml");
        fs_err::write(&path, text).unwrap();
        fs_err::write(folder.path().join("key"), "CANARY").unwrap();
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let mut pipelines = load_with(&[path], &Environment::new(variable)).unwrap_or_else(|report| panic!("{report}"));
        let Pipeline { text, digest, .. } = pipelines.remove(0);
        assert_eq!(digest, sha256_hexadecimal(text.as_bytes()));
        (text, digest)
    }

    const FILE: &str = "source: { files: { paths: [\"${DIR:logs}/*.ndjson\"] } } # ${DIR}\n\
        decode: json\n\
        enrich:\n  \
          - flag: { into: low, when: \"confidence < ${T:0.6}\" }\n  \
          - hash: { fields: [features], into: input_hash, key: \"${file:key}\" }\n  \
          - add:\n      fields:\n        note: |\n          two ${N:a}\n          lines\n        price: \"$${N}\"\n\
        sink:\n  elasticsearch:\n    hosts: [\"${ES_URL:http://localhost:9200}\"]\n    data_stream: logs-x\n    \
          username: ${ES_USER:elastic}\n    password: \"${ES_PASSWORD}\"\n    proxy: \"${PROXY:http://u:CANARY@p}\"\n";

    #[test]
    fn what_is_kept_is_what_is_in_force_without_secrets() {
        let (default, digest) = kept(FILE, &[("ES_PASSWORD", "CANARY")]);
        let (changed, other) = kept(FILE, &[("ES_PASSWORD", "CANARY"), ("T", "0.9")]);
        assert!(default.contains("confidence < 0.6") && changed.contains("confidence < 0.9"), "{default}\n{changed}");
        assert_ne!(digest, other);
        // Another password is no other configuration, and nothing of it can be guessed.
        let variables = [
            ("ES_PASSWORD", "CANARY2"),
            ("DIR", "/var/log"),
            ("N", "CANARY of no harm \"${x}\""),
            ("PROXY", "http://user:CAN@ARY@proxy:3128/a@b"),
            ("ES_USER", "me"),
        ];
        assert_eq!(kept(FILE, &[("ES_PASSWORD", "CANARY2")]).1, digest);
        let (all, _) = kept(FILE, &variables);
        for words in [
            "paths: [\"/var/log/*.ndjson\"] } } # ${DIR}\n",
            "key: \"${file:key}\"",
            "note: \"two CANARY of no harm \\\"$${x}\\\"\\nlines\\n\"\n",
            "price: \"$${N}\"",
            "hosts: [\"http://localhost:9200\"]",
            "username: \"me\"",
            "password: \"${ES_PASSWORD}\"",
            "proxy: \"http://\"[secret]\"@proxy:3128/a@b\"",
        ] {
            assert!(all.contains(words), "no {words} in\n{all}");
        }
        for text in [default, changed, all.replace("CANARY of no harm", "")] {
            assert!(!text.contains("CANARY") && !text.contains("ARY@"), "{text}");
        }
    }

    #[test]
    fn a_variable_that_is_named_like_a_secret_is_not_written_out_anywhere() {
        let file = "source: { files: { paths: [a] } }\ndecode: json\nsink: stdout\n\
                    enrich: [ { add: { fields: { x: \"${API_TOKEN:a, CANARY}\", y: \"${Y}/${MY_SECRET}\" } } },\n  \
                      { hash: { fields: [a], into: b, keys: [{ id: \"${Y}\", secret: \"${K}\" }], salt: \"${S}\" } },\n  \
                      { hash: { fields: [a], into: b, key: \"${K}\" } } ]\n";
        let (text, _) = kept(file, &[("MY_SECRET", "CANARY"), ("Y", "why"), ("K", "CANARY"), ("S", "CANARY")]);
        let is_kept = ["\"why/${MY_SECRET}\"", "keys: \"[secret]\"", "salt: \"${S}\"", "key: \"${K}\""]
            .iter()
            .all(|words| text.contains(words));
        assert!(!text.contains("CANARY") && is_kept, "{text}");
    }
}
