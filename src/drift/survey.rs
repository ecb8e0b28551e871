//! The first pass over training data: which features are there, of which type, and how far do their values reach?
//!
//! Memory is bounded: of a feature whose edges are quantiles up to [`EXACT_QUANTILE_VALUES_MAX`] values are kept, 0.8 MB, beyond that a
//! uniform sample of as many; of every other feature a few numbers.

use std::collections::BTreeSet;

use super::edges;
use super::rows::{Columns, RowError, Rows, Versions};
use super::training::{Count, Plan, TrainingOptions};
use super::value::Value;
use super::words::{EdgesKind, Kind};

/// Up to so many values of a feature its quantiles are exact. Beyond it they are those of a uniform sample of as many, each off by about
/// 0.2 % of the values; the counts of the buckets are exact in any case.
pub const EXACT_QUANTILE_VALUES_MAX: usize = 100_000;

/// A prediction of whole numbers, of which there are at most so many, is taken for labels.
const NUMBERED_LABELS_MAX: usize = 20;

/// The seed of samples: the same file gives the same baseline.
const SAMPLE_SEED: u64 = 12;

/// The first pass.
#[derive(Debug)]
pub struct Survey {
    options: TrainingOptions,
    columns: Columns,
    versions: Versions<Vec<ColumnSurvey>>,
}

/// What is known of one column of one version.
#[derive(Clone, Debug)]
struct ColumnSurvey {
    /// Finite numbers.
    numbers: u64,
    /// NaN and infinite ones.
    not_finite: u64,
    /// What is no number.
    texts: u64,
    min: f64,
    max: f64,
    sample: Option<Sample>,
    /// Whole numbers that were met; `None` when there are more than labels have, or others.
    labels: Option<BTreeSet<i64>>,
}

/// A uniform sample of numbers (Vitter's algorithm R).
#[derive(Clone, Debug)]
struct Sample {
    values: Vec<f64>,
    random: fastrand::Rng,
}

impl Sample {
    /// Takes the number that is the `count`th.
    fn take(&mut self, value: f64, count: u64) {
        if self.values.len() < EXACT_QUANTILE_VALUES_MAX {
            self.values.push(value);
        } else if let Some(place) = self.values.get_mut(self.random.u64(0..count) as usize) {
            *place = value;
        }
    }
}

impl ColumnSurvey {
    fn new(kind: Kind, edges_kind: EdgesKind) -> ColumnSurvey {
        let sample = || Sample { values: Vec::new(), random: fastrand::Rng::with_seed(SAMPLE_SEED) };
        ColumnSurvey {
            numbers: 0,
            not_finite: 0,
            texts: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            sample: (edges_kind == EdgesKind::Quantile).then(sample),
            labels: (kind == Kind::Prediction).then(BTreeSet::new),
        }
    }

    fn take(&mut self, value: &Value<'_>, is_forced: bool) {
        let is_number = match value {
            Value::Number(_) => true,
            Value::Cell(text) => is_forced || text.parse::<f64>().is_ok(),
            Value::Text(_) | Value::Unusable => is_forced,
            Value::Missing => return,
        };
        if !is_number {
            self.texts += 1;
            return;
        }
        let number = value.number();
        if !number.is_finite() {
            self.not_finite += 1;
            return;
        }
        self.numbers += 1;
        self.min = self.min.min(number);
        self.max = self.max.max(number);
        if let Some(sample) = &mut self.sample {
            sample.take(number, self.numbers);
        }
        if let Some(labels) = &mut self.labels {
            labels.insert(number as i64);
            if number.fract() != 0.0 || labels.len() > NUMBERED_LABELS_MAX {
                self.labels = None;
            }
        }
    }
}

impl Survey {
    /// Nothing seen.
    pub fn new(options: TrainingOptions) -> Survey {
        Survey { options, columns: Columns::default(), versions: Versions::default() }
    }

    /// The second pass, for the same rows.
    pub fn finish(self) -> Count {
        let Survey { options, columns, versions } = self;
        let of_version = |surveys: Vec<ColumnSurvey>| {
            let surveys = surveys.into_iter().zip(&columns.names);
            surveys.map(|(survey, (kind, name))| plan(survey, *kind, name, &options)).collect()
        };
        let plans = versions.into_all().into_iter();
        let plans = plans.map(|version| (version.model_name, version.model_version, of_version(version.of))).collect();
        Count::new(&options, columns, plans)
    }
}

/// What becomes of a column.
fn plan(mut survey: ColumnSurvey, kind: Kind, name: &str, options: &TrainingOptions) -> Plan {
    let is_labels = survey.labels.as_ref().is_some_and(|labels| !labels.is_empty());
    let is_numeric = match () {
        () if options.numeric.contains(name) => true,
        () if options.categorical.contains(name) => false,
        () if kind == Kind::Prediction && is_labels => false,
        () => survey.texts == 0,
    };
    if !is_numeric {
        return Plan::Categorical;
    }
    if survey.numbers == 0 {
        return Plan::LeftOut;
    }
    let edges = match &mut survey.sample {
        None => edges::equal_width(survey.min, survey.max, options.buckets),
        Some(sample) => {
            // The extremes belong to the range, whether or not the sample has them.
            if survey.numbers > sample.values.len() as u64 {
                sample.values.extend([survey.min, survey.max]);
            }
            sample.values.sort_by(f64::total_cmp);
            edges::quantile(&sample.values, options.buckets)
        }
    };
    Plan::Numeric { edges, min: survey.min, max: survey.max }
}

impl Rows for Survey {
    fn column(&mut self, kind: Kind, name: &str) -> Result<usize, RowError> {
        self.columns.place(kind, name)
    }

    fn begin(&mut self, model_name: &str, model_version: &str) -> Result<(), RowError> {
        self.versions.go_to(model_name, model_version, Vec::new).map(|_| ())
    }

    fn value(&mut self, column: usize, value: &Value<'_>) {
        let Some(surveys) = self.versions.current() else { return };
        while surveys.len() <= column {
            let (kind, _) = self.columns.names[surveys.len()];
            surveys.push(ColumnSurvey::new(kind, self.options.edges_kind));
        }
        // Asked only where it decides: of most values it does not.
        let is_forced =
            !self.options.numeric.is_empty() && self.options.numeric.contains(&self.columns.names[column].1);
        surveys[column].take(value, is_forced);
    }

    fn end(&mut self) {}
}
