//! The baseline: what did the data look like that a model was trained on?
//!
//! A file holds one baseline or several, for versions of a model. It is for people to read, and for later versions of inferlog: what
//! they add is passed over.
//!
//! ```text
//! { "inferlog_baseline": 1,
//!   "baselines": [
//!     { "model_name": null,            which model; null: any
//!       "model_version": "3.2.1",      which version; null: none in particular
//!       "fallback": true,              also for versions that have no baseline of their own
//!       "sources": [ { "name": "train.csv", "sha256": "…" } ],
//!       "rows": 10000,
//!       "features": [
//!         { "name": "amount", "kind": "feature", "count": 9990, "missing": 10, "missing_share": 0.001,
//!           "type": "numeric", "edges_kind": "equal_width", "edges": [0.0, …], "counts": [4021, …], "not_finite": 0,
//!           "mean": 31.2, "deviation": 8.1, "min": 0.0, "max": 99.5 },
//!         { "name": "country", "kind": "feature", "count": 10000, "missing": 0, "missing_share": 0.0,
//!           "type": "categorical", "categories": { "DE": 6012, "FR": 3988 }, "other": 0, "seen_once": 0 },
//!         { "name": "prediction", "kind": "prediction", … }, { "name": "confidence", "kind": "confidence", … } ] } ] }
//! ```

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::edges::is_rising;
use super::words::{EdgesKind, Kind};
use crate::text::digest::sha256_hexadecimal;

/// The version of the file's format that this program writes, and the newest that it reads.
const FORMAT_VERSION: u32 = 1;

/// Most features of one baseline, prediction and confidence among them.
pub const FEATURES_MAX: usize = 10_000;

/// Most buckets of a numeric feature.
pub const BUCKETS_MAX: usize = 100;

/// Most categories of a feature that are told apart.
pub const CATEGORIES_MAX: usize = 1_000;

/// Most baselines in one file.
pub const BASELINES_MAX: usize = 100;

/// What a baseline file holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaselineFile {
    /// The version of the format.
    inferlog_baseline: u32,
    /// One for each model version.
    pub baselines: Vec<Baseline>,
}

/// What the values looked like that one version of a model was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The model's name; `None` is any.
    #[serde(default)]
    pub model_name: Option<String>,
    /// The model's version; `None` is none in particular.
    #[serde(default)]
    pub model_version: Option<String>,
    /// Versions without a baseline of their own are measured against this one.
    #[serde(default)]
    pub fallback: bool,
    /// What it was made from.
    #[serde(default)]
    pub sources: Vec<SourceDigest>,
    /// Rows that it was made from.
    pub rows: u64,
    /// The features, prediction and confidence, in the order in which they were met.
    pub features: Vec<FeatureBaseline>,
}

/// A file or question that a baseline was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceDigest {
    /// The path as it was typed, or what was asked for and where.
    pub name: String,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

/// The values of one feature in training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureBaseline {
    /// Its dotted name below `features`; `prediction` and `confidence` for those.
    pub name: String,
    /// What it is.
    #[serde(default)]
    pub kind: Kind,
    /// Values in buckets or categories, at least 1.
    pub count: u64,
    /// Rows without a value.
    pub missing: u64,
    /// Their share in all rows, 0 to 1.
    pub missing_share: f64,
    /// How the values are distributed.
    #[serde(flatten)]
    pub distribution: Distribution,
}

/// How values are distributed. The type is decided once, in training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Distribution {
    /// Numbers, in buckets.
    Numeric(Numeric),
    /// Texts, by what they are.
    Categorical(Categorical),
}

/// The distribution of a numeric feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Numeric {
    /// How the edges were chosen.
    pub edges_kind: EdgesKind,
    /// Rising edges, one more than buckets. A bucket holds its lower edge, the last one also its upper.
    pub edges: Vec<f64>,
    /// Values in each bucket.
    pub counts: Vec<u64>,
    /// Values that were NaN or infinite: they are in no bucket, and not in `count`.
    #[serde(default)]
    pub not_finite: u64,
    /// The mean; `None` where it is beyond what a number can be.
    pub mean: Option<f64>,
    /// The standard deviation of the population; `None` likewise.
    pub deviation: Option<f64>,
    /// The lowest value.
    pub min: f64,
    /// The highest value.
    pub max: f64,
}

/// The distribution of a categorical feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Categorical {
    /// Categories with their counts, the most frequent first.
    #[serde(with = "in_order")]
    pub categories: Vec<(String, u64)>,
    /// Values in categories beyond the limit. Where there are such, an unseen category cannot be told from one of these.
    pub other: u64,
    /// Categories that one row had. Their share is how often a new row of the same kind brings an unseen category (Good and Turing).
    pub seen_once: u64,
}

/// The baseline that a model version is measured against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chosen<'f> {
    /// Where it stands in the file.
    pub place: usize,
    /// It.
    pub baseline: &'f Baseline,
    /// It is not that version's own.
    pub is_fallback: bool,
}

/// Why a baseline file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// It cannot be read.
    #[error(transparent)]
    Read(std::io::Error),
    /// It is no baseline file.
    #[error("`{path}` is no baseline file")]
    NotABaseline {
        /// The file.
        path: PathBuf,
        /// Where in its JSON, and why.
        source: serde_json::Error,
    },
    /// A newer program wrote it.
    #[error(
        "`{path}` is of a newer format ({found}) than this program knows ({FORMAT_VERSION}); use the program that made it"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// Something in it cannot be.
    #[error("`{path}` does not hold together: {problem}; make it again with `inferlog baseline`")]
    Inconsistent {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its place.
        problem: String,
    },
}

impl BaselineFile {
    /// A file of these baselines.
    pub fn new(baselines: Vec<Baseline>) -> BaselineFile {
        BaselineFile { inferlog_baseline: FORMAT_VERSION, baselines }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, is something else, or does not hold together.
    pub fn read(path: &Path) -> Result<BaselineFile, BaselineError> {
        let text = fs_err::read_to_string(path).map_err(BaselineError::Read)?;
        BaselineFile::parse(&text, path)
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// When it is something else, or does not hold together.
    pub fn parse(text: &str, path: &Path) -> Result<BaselineFile, BaselineError> {
        #[derive(Deserialize)]
        struct Version {
            inferlog_baseline: u32,
        }
        let path = path.to_owned();
        match serde_json::from_str(text) {
            Ok(Version { inferlog_baseline: found }) if found > FORMAT_VERSION => {
                return Err(BaselineError::Newer { path, found });
            }
            Ok(_) => {}
            Err(source) => return Err(BaselineError::NotABaseline { path, source }),
        }
        let file: BaselineFile = match serde_json::from_str(text) {
            Ok(file) => file,
            Err(source) => return Err(BaselineError::NotABaseline { path, source }),
        };
        match file.problem() {
            Some(problem) => Err(BaselineError::Inconsistent { path, problem }),
            None => Ok(file),
        }
    }

    /// The text of the file: JSON, indented, with lists of numbers on one line.
    pub fn text(&self) -> String {
        with_numbers_on_one_line(&serde_json::to_string_pretty(self).unwrap_or_default())
    }

    /// The baseline for a model version: its own, for its name rather than for any; else the fallback.
    pub fn choose(&self, model_name: &str, model_version: &str) -> Option<Chosen<'_>> {
        let is_own = |baseline: &Baseline| baseline.model_version.as_deref().is_some_and(|own| own == model_version);
        let is_of_name = |baseline: &Baseline| baseline.model_name.as_deref() == Some(model_name);
        let all = || self.baselines.iter().enumerate();
        let choose = |is_meant: &dyn Fn(&Baseline) -> bool| {
            let of_name = all().find(|(_, baseline)| is_of_name(baseline) && is_meant(baseline));
            of_name.or_else(|| all().find(|(_, baseline)| baseline.model_name.is_none() && is_meant(baseline)))
        };
        let chosen = |is_fallback| move |(place, baseline)| Chosen { place, baseline, is_fallback };
        let fallback = || choose(&|baseline| baseline.fallback).map(chosen(true));
        choose(&is_own).map(chosen(false)).or_else(fallback)
    }

    /// What cannot be, if anything: a file that is read has no such thing.
    pub fn problem(&self) -> Option<String> {
        if self.baselines.is_empty() {
            return Some("it has no baseline".to_owned());
        }
        if self.baselines.len() > BASELINES_MAX {
            return Some(format!("it has more than {BASELINES_MAX} baselines"));
        }
        let (mut versions, mut fallbacks) = (HashSet::new(), HashSet::new());
        for baseline in &self.baselines {
            let version = baseline.model_version.as_deref().unwrap_or_default();
            if !versions.insert((&baseline.model_name, &baseline.model_version)) {
                return Some(format!("it has two baselines for version `{version}`"));
            }
            if baseline.fallback && !fallbacks.insert(&baseline.model_name) {
                return Some("two baselines of one model are `fallback`".to_owned());
            }
            if let Some(problem) = baseline.problem() {
                return Some(format!("baseline of version `{version}`: {problem}"));
            }
        }
        None
    }
}

impl Baseline {
    /// Tells baselines apart: 16 hexadecimal digits of the SHA-256 of its features. Counts add up only where it is the same.
    pub fn digest(&self) -> String {
        let text = serde_json::to_string(&self.features).unwrap_or_default();
        sha256_hexadecimal(text.as_bytes())[..16].to_owned()
    }

    fn problem(&self) -> Option<String> {
        if self.features.is_empty() || self.features.len() > FEATURES_MAX {
            return Some(format!("it has {} features, and may have 1 to {FEATURES_MAX}", self.features.len()));
        }
        let mut names = HashSet::new();
        self.features.iter().find_map(|feature| {
            let problem = match feature.problem() {
                None if !names.insert((feature.kind, &feature.name)) => Some("it is there twice"),
                problem => problem,
            };
            problem.map(|problem| format!("feature `{}`: {problem}", feature.name))
        })
    }
}

impl FeatureBaseline {
    /// How many buckets or categories there are, the rest among them where there is one.
    pub fn bucket_count(&self) -> usize {
        match &self.distribution {
            Distribution::Numeric(numeric) => numeric.counts.len(),
            Distribution::Categorical(categorical) => categorical.categories.len() + usize::from(categorical.other > 0),
        }
    }

    /// The values in each bucket or category, in the order of [`super::FeatureCounts::buckets`].
    pub fn bucket_counts(&self) -> Vec<u64> {
        match &self.distribution {
            Distribution::Numeric(numeric) => numeric.counts.clone(),
            Distribution::Categorical(Categorical { categories, other, .. }) => {
                categories.iter().map(|(_, count)| *count).chain((*other > 0).then_some(*other)).collect()
            }
        }
    }

    /// How the edges were chosen; `None` for categories.
    pub fn edges_kind(&self) -> Option<EdgesKind> {
        match &self.distribution {
            Distribution::Numeric(numeric) => Some(numeric.edges_kind),
            Distribution::Categorical(_) => None,
        }
    }

    /// `numeric` or `categorical`.
    pub fn type_name(&self) -> &'static str {
        match &self.distribution {
            Distribution::Numeric(_) => "numeric",
            Distribution::Categorical(_) => "categorical",
        }
    }

    fn problem(&self) -> Option<&'static str> {
        let sum = self.bucket_counts().iter().try_fold(0_u64, |sum, count| sum.checked_add(*count));
        if sum != Some(self.count) || self.count == 0 {
            return Some("its counts do not add up to `count`, which is at least 1");
        }
        match &self.distribution {
            Distribution::Numeric(numeric) if !is_rising(&numeric.edges) => Some("its edges do not rise"),
            Distribution::Numeric(numeric) if numeric.edges.len() != numeric.counts.len() + 1 => {
                Some("it needs one edge more than counts")
            }
            Distribution::Numeric(numeric) if numeric.counts.len() > BUCKETS_MAX => Some("it has too many buckets"),
            Distribution::Categorical(categorical) if categorical.categories.len() > CATEGORIES_MAX => {
                Some("it has too many categories")
            }
            _ => None,
        }
    }
}

/// Puts lists that hold nothing but numbers on one line.
fn with_numbers_on_one_line(pretty: &str) -> String {
    let is_number = |line: &str| line.trim_start().starts_with(|c: char| c.is_ascii_digit() || c == '-');
    let (mut text, mut lines) = (String::with_capacity(pretty.len()), pretty.lines().peekable());
    while let Some(line) = lines.next() {
        text.push_str(line);
        if line.ends_with('[') {
            while let Some(number) = lines.next_if(|line| is_number(line)) {
                text.push_str(number.trim_start());
                if number.ends_with(',') {
                    text.push(' ');
                }
            }
            if !text.ends_with('[') {
                text.push_str(lines.next().unwrap_or_default().trim_start());
            }
        }
        text.push('\n');
    }
    text
}

/// A list of pairs, as a JSON object in its order.
mod in_order {
    use std::fmt;

    use serde::de::{Deserializer, MapAccess, Visitor};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(pairs: &[(String, u64)], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(pairs.iter().map(|(name, count)| (name, count)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, u64)>, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Vec<(String, u64)>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map from categories to counts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(test)]
pub(super) mod tests;
