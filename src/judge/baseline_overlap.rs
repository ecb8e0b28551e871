//! Overlap: does a log have the features that a baseline knows?

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::drift::{BaselineFile, FEATURES_MAX, Kind, visit_values};
use crate::observe::label_text;
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
        match self.baselines.choose(&label_text(record, "model_name"), &label_text(record, "model_version")) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::{Rows, Survey, TrainingOptions, Value};
    use crate::record::Space;

    #[test]
    fn a_version_that_is_a_number_is_the_one_that_the_observer_sees() {
        let mut survey = Survey::new(TrainingOptions::default());
        let pass = |rows: &mut dyn Rows| {
            let column = rows.column(Kind::Feature, "amount").unwrap();
            rows.begin("", "1.10").unwrap();
            rows.value(column, &Value::Number("7"));
            rows.end();
        };
        pass(&mut survey);
        let mut count = survey.finish();
        pass(&mut count);
        let mut file = count.finish(&[]).0;
        file.baselines[0].fallback = false;
        let mut overlap = BaselineOverlap::new(Arc::new(file));
        let mut space = Space::default();
        overlap.take(&Record::parse(r#"{"model_version":1.10,"features":{"amount":1}}"#, &mut space).unwrap());
        assert_eq!((overlap.unmeasured, overlap.compared().common), (0, 1));
    }
}
