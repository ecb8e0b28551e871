//! Overlap: does a log have the features that a baseline knows?

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::drift::{BaselineFile, FEATURES_MAX, Kind, visit_values};
use crate::record::Record;

/// Which features inferences have, beside those of the baselines of their versions.
#[derive(Debug)]
pub struct BaselineOverlap {
    baselines: Arc<BaselineFile>,
    /// Where the baselines of these versions stand in the file.
    chosen: BTreeSet<usize>,
    /// What the inferences have, up to [`FEATURES_MAX`].
    seen: HashSet<(Kind, String)>,
    path: String,
    /// How many inferences there were.
    pub inferences: u64,
    /// How many of them are of a version that no baseline is for.
    pub unmeasured: u64,
}

/// How the features compare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComparedFeatures {
    /// How many both have.
    pub common: usize,
    /// What only the baseline has.
    pub missing: Vec<String>,
    /// What only the log has.
    pub unknown: Vec<String>,
}

impl BaselineOverlap {
    /// Nothing seen yet.
    pub fn new(baselines: Arc<BaselineFile>) -> BaselineOverlap {
        BaselineOverlap {
            baselines,
            chosen: BTreeSet::new(),
            seen: HashSet::new(),
            path: String::new(),
            inferences: 0,
            unmeasured: 0,
        }
    }

    /// Takes note of an inference.
    pub fn take(&mut self, record: &Record<'_>) {
        self.inferences += 1;
        let text = |field| {
            let value = record.first(field).and_then(|raw| serde_json::from_str::<serde_json::Value>(raw).ok());
            match value {
                Some(serde_json::Value::String(text)) => text,
                Some(value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_))) => value.to_string(),
                _ => String::new(),
            }
        };
        match self.baselines.choose(&text("model_name"), &text("model_version")) {
            Some(chosen) => drop(self.chosen.insert(chosen.place)),
            None => self.unmeasured += 1,
        }
        let (seen, path) = (&mut self.seen, &mut self.path);
        visit_values(record, path, &mut |kind, name, _| {
            if seen.len() < FEATURES_MAX {
                seen.insert((kind, name.to_owned()));
            }
        });
    }

    /// Compares what was seen with the baselines of the versions that were seen.
    pub fn compared(&self) -> ComparedFeatures {
        let baselines = self.chosen.iter().filter_map(|place| self.baselines.baselines.get(*place));
        let known: BTreeSet<(Kind, String)> =
            baselines.flat_map(|baseline| &baseline.features).map(|it| (it.kind, it.name.clone())).collect();
        let names = |values: Vec<&(Kind, String)>| values.into_iter().map(|(_, name)| name.clone()).collect();
        let is_seen = |value: &&(Kind, String)| self.seen.contains(*value);
        let missing = names(known.iter().filter(|value| !is_seen(value)).collect());
        let mut unknown: Vec<String> =
            names(self.seen.iter().filter(|value| !known.contains(*value) && value.0 == Kind::Feature).collect());
        unknown.sort();
        ComparedFeatures { common: known.iter().filter(is_seen).count(), missing, unknown }
    }
}
