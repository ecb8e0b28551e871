//! Named queries: `dashboards/queries/*.yaml`, carried by the binary, or a file of one's own.
//!
//! ```yaml
//! title: Requests that took more than a second, the slowest first
//! kql: "latency_ms > 1000"
//! last: 24h                                    # the range, unless another is asked for; without it everything
//! sort: latency_ms desc                        # `@timestamp`, `confidence` or `latency_ms`, then `asc` or `desc`
//! columns: [latency_ms, "@timestamp"]          # of a table or CSV
//! by: model_version                            # groups, as `--by`
//! stream: outcomes                             # of labels and reviews, and not records
//! unlabelled: true                             # of records those of which no label is known
//! ```

use std::path::Path;
use std::time::Duration;

use saphyr::{LoadableYamlNode as _, Yaml};

use crate::flow::batch::Stream;
use crate::flow::question::{Order, OrderBy};
use crate::kql::{Expression, Purpose};
use crate::text::units::parse_duration;

macro_rules! carried {
    ($($name:literal),* $(,)?) => {
        /// Name and text of each query that the binary carries, sorted by name.
        const CARRIED: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../dashboards/queries/", $name, ".yaml")))),*];
    };
}

carried!(
    "errors",
    "flagged-with-features",
    "low-confidence-last-hour",
    "low-confidence-or-unknown",
    "new-model-version",
    "one-request",
    "one-subject",
    "overridden-by-reviewers",
    "shadow",
    "slow",
    "unlabelled-and-flagged",
    "wrong-and-sure",
);

/// The largest file of a query, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// A named query.
#[derive(Clone, Debug)]
pub struct SavedQuery {
    /// Its name: the file's stem.
    pub name: String,
    /// What it finds.
    pub title: String,
    /// The query.
    pub condition: Expression,
    /// How far back it looks unless told otherwise.
    pub last: Option<Duration>,
    /// The order of rows.
    pub order: Order,
    /// Columns of a table or CSV; empty for the usual ones.
    pub columns: Vec<String>,
    /// The field that rows are grouped by.
    pub by: Option<String>,
    /// Records, or outcomes of labels and reviews.
    pub stream: Stream,
    /// Only predictions of which no label is known.
    pub unlabelled: bool,
}

/// Why there is no such query.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// Neither a name nor a file.
    #[error("no saved query is called `{name}`, and no file is there")]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// The file cannot be read.
    #[error("cannot read the saved query `{path}`")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The text is no query.
    #[error("the saved query `{name}` is wrong: {problem}")]
    Wrong {
        /// Its name.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

/// The queries that the binary carries, by name.
///
/// # Errors
/// When one of them is wrong.
pub fn all() -> Result<Vec<SavedQuery>, SavedError> {
    CARRIED.iter().map(|(name, text)| read(name, text, Purpose::Question)).collect()
}

/// The query of this name, or in this file, whose KQL is read so.
///
/// # Errors
/// When there is none, or it is wrong.
pub fn load(name: &str, reading: Purpose) -> Result<SavedQuery, SavedError> {
    if let Some((name, text)) = CARRIED.iter().find(|(known, _)| *known == name) {
        return read(name, text, reading);
    }
    let path = Path::new(name);
    let file = |source| SavedError::File { path: name.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(|_| SavedError::Unknown { name: name.to_owned() })?;
    let stem = path.file_stem().map_or_else(|| name.to_owned(), |stem| stem.to_string_lossy().into_owned());
    if metadata.len() > FILE_BYTES_MAX {
        return Err(SavedError::Wrong { name: stem, problem: format!("it is longer than {FILE_BYTES_MAX} bytes") });
    }
    read(&stem, &std::fs::read_to_string(path).map_err(file)?, reading)
}

fn read(name: &str, text: &str, reading: Purpose) -> Result<SavedQuery, SavedError> {
    parse(name, text, reading).map_err(|problem| SavedError::Wrong { name: name.to_owned(), problem })
}

fn parse(name: &str, text: &str, reading: Purpose) -> Result<SavedQuery, String> {
    let documents = Yaml::load_from_str(text).map_err(|error| error.to_string())?;
    let map = match documents.as_slice() {
        [one] => one.as_mapping().ok_or("it is not a map")?,
        _ => return Err("it must be one map".to_owned()),
    };
    let mut saved = SavedQuery {
        name: name.to_owned(),
        title: String::new(),
        condition: Expression::all(),
        last: None,
        order: Order::NEWEST_FIRST,
        columns: Vec::new(),
        by: None,
        stream: Stream::Records,
        unlabelled: false,
    };
    let mut kql = None;
    for (key, value) in map {
        let text =
            || value.as_str().map(str::to_owned).ok_or(format!("`{}` is not a text", key.as_str().unwrap_or("?")));
        match key.as_str() {
            Some("title") => saved.title = text()?,
            Some("kql") => kql = Some(text()?),
            Some("last") => saved.last = Some(parse_duration(&text()?).map_err(|error| error.to_string())?),
            Some("sort") => saved.order = order(&text()?)?,
            Some("by") => saved.by = Some(text()?),
            Some("columns") => saved.columns = list(value)?,
            Some("stream") => saved.stream = stream(&text()?)?,
            Some("unlabelled") => saved.unlabelled = value.as_bool().ok_or("`unlabelled` is neither true nor false")?,
            _ => return Err(format!("it has no key `{}`", key.as_str().unwrap_or("?"))),
        }
    }
    let kql = kql.ok_or("`kql` is missing")?;
    saved.condition = Expression::read(&kql, reading).map_err(|error| error.to_string())?;
    if saved.title.is_empty() { Err("`title` is missing".to_owned()) } else { Ok(saved) }
}

fn stream(text: &str) -> Result<Stream, String> {
    let known = [Stream::Records, Stream::Outcomes];
    let found = known.into_iter().find(|stream| stream.as_str() == text);
    found.ok_or(format!("`stream: {text}` is not `records` or `outcomes`"))
}

fn list(value: &Yaml<'_>) -> Result<Vec<String>, String> {
    let items = value.as_sequence().ok_or("`columns` is not a list")?;
    items.iter().map(|item| item.as_str().map(str::to_owned).ok_or("a column is not a text".to_owned())).collect()
}

fn order(text: &str) -> Result<Order, String> {
    let (field, direction) = text.split_once(' ').unwrap_or((text, "desc"));
    let by = [OrderBy::Time, OrderBy::Confidence, OrderBy::Latency].into_iter().find(|by| by.field() == field);
    match (by, direction.trim()) {
        (Some(by), "asc") => Ok(Order { by, descending: false }),
        (Some(by), "desc") => Ok(Order { by, descending: true }),
        _ => Err(format!("`sort: {text}` is not `@timestamp`, `confidence` or `latency_ms` with `asc` or `desc`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_carried_and_right() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/dashboards/queries");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        files.sort();
        let carried = all().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(carried.iter().map(|saved| saved.name.as_str()).collect::<Vec<_>>(), files);
        assert_eq!(load("slow", Purpose::Question).unwrap().order, Order { by: OrderBy::Latency, descending: true });
    }

    #[test]
    fn wrong_files_are_refused_with_a_reason() {
        for (text, problem) in [
            ("[]", "it is not a map"),
            ("title: x", "`kql` is missing"),
            ("kql: x", "`title` is missing"),
            ("title: x\nkql: 'a :'", "expected a value after `:`"),
            ("title: x\nkql: a = b", "write `a : b`"),
            ("title: x\nkql: a\nlast: 1x", "is not a time"),
            ("title: x\nkql: a\nlast: 1", "`last` is not a text"),
            ("title: x\nkql: a\nsort: model", "`sort: model` is not"),
            ("title: x\nkql: a\nsorted: x", "it has no key `sorted`"),
            ("title: x\nkql: a\nstream: drift", "is not `records` or `outcomes`"),
            ("title: x\nkql: a\nunlabelled: 1", "neither true nor false"),
            ("title: [x]\nkql: a", "`title` is not a text"),
        ] {
            let error = read("q", text, Purpose::Question).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        assert!(matches!(load("nowhere", Purpose::Question), Err(SavedError::Unknown { .. })));
    }
}
