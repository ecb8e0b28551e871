//! The second pass over training data: how many values are in each bucket?
//!
//! Counts are exact. Of a categorical feature up to [`DISTINCT_MAX`] different values are counted, and then the most frequent kept; what
//! is met beyond that is in the rest.

use std::collections::{HashMap, HashSet};

use super::baseline::{Baseline, BaselineFile, Categorical, Distribution, FeatureBaseline, Numeric, SourceDigest};
use super::edges;
use super::rows::{Columns, RowError, Rows, Versions};
use super::value::Value;
use super::words::{EdgesKind, Kind, Slot};

/// Most different values of a categorical feature that are counted.
pub const DISTINCT_MAX: usize = 10_000;

/// Buckets of a numeric feature unless told otherwise.
pub const BUCKETS_DEFAULT: usize = 10;

/// How many categories of a feature are told apart unless told otherwise: the most frequent; the rest is one bucket.
pub const CATEGORIES_DEFAULT: usize = 100;

/// How a baseline is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainingOptions {
    /// How edges are chosen.
    pub edges_kind: EdgesKind,
    /// Buckets of a numeric feature, 2 to [`super::BUCKETS_MAX`].
    pub buckets: usize,
    /// Categories that are told apart, 1 to [`super::CATEGORIES_MAX`].
    pub categories_max: usize,
    /// Features that are categorical whatever their values look like.
    pub categorical: HashSet<String>,
    /// Features that are numeric whatever their values look like: what is no number is counted as such.
    pub numeric: HashSet<String>,
}

impl Default for TrainingOptions {
    fn default() -> TrainingOptions {
        TrainingOptions {
            edges_kind: EdgesKind::EqualWidth,
            buckets: BUCKETS_DEFAULT,
            categories_max: CATEGORIES_DEFAULT,
            categorical: HashSet::new(),
            numeric: HashSet::new(),
        }
    }
}

/// What becomes of a column, after the first pass.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Plan {
    Numeric {
        edges: Vec<f64>,
        min: f64,
        max: f64,
    },
    Categorical,
    /// It has no value that could be counted.
    LeftOut,
}

/// The second pass, over the same rows.
#[derive(Debug)]
pub struct Count {
    edges_kind: EdgesKind,
    categories_max: usize,
    columns: Columns,
    versions: Versions<VersionCount>,
}

#[derive(Clone, Debug, Default)]
struct VersionCount {
    rows: u64,
    columns: Vec<ColumnCount>,
}

#[derive(Clone, Debug)]
struct ColumnCount {
    /// The row that it was counted in last.
    row: u64,
    counts: Counts,
}

#[derive(Clone, Debug)]
enum Counts {
    Numeric(NumericCounts),
    Categorical { categories: HashMap<String, u64>, beyond: u64 },
    LeftOut,
}

#[derive(Clone, Debug)]
struct NumericCounts {
    edges: Vec<f64>,
    min: f64,
    max: f64,
    buckets: Vec<u64>,
    not_finite: u64,
    moments: Moments,
}

/// Mean and sum of squared deviations, value by value (Welford).
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    count: u64,
    mean: f64,
    squares: f64,
}

/// A column that a baseline does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The version whose baseline it is missing from; empty for none.
    pub model_version: String,
    /// The column.
    pub feature: String,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
    }

    fn deviation(self) -> f64 {
        (self.squares / self.count as f64).sqrt()
    }
}

impl Counts {
    fn new(plan: Plan) -> Counts {
        match plan {
            Plan::Numeric { edges, min, max } => {
                let buckets = vec![0; edges.len() - 1];
                Counts::Numeric(NumericCounts { edges, min, max, buckets, not_finite: 0, moments: Moments::default() })
            }
            Plan::Categorical => Counts::Categorical { categories: HashMap::new(), beyond: 0 },
            Plan::LeftOut => Counts::LeftOut,
        }
    }

    fn add(&mut self, value: &Value<'_>) {
        match self {
            Counts::LeftOut => {}
            Counts::Numeric(numeric) => numeric.add(value.number()),
            Counts::Categorical { categories, beyond } => match value.text() {
                None => *beyond += 1,
                Some(text) => {
                    let is_full = categories.len() == DISTINCT_MAX;
                    match categories.get_mut(text) {
                        Some(count) => *count += 1,
                        None if is_full => *beyond += 1,
                        None => drop(categories.insert(text.to_owned(), 1)),
                    }
                }
            },
        }
    }

    /// The distribution, and how many values it has; `None` when there is none.
    fn finish(self, edges_kind: EdgesKind, categories_max: usize) -> Option<(Distribution, u64)> {
        match self {
            Counts::LeftOut => None,
            Counts::Numeric(numeric) => Some((numeric.moments.count, numeric)).map(|(count, numeric)| {
                let NumericCounts { edges, min, max, buckets: counts, not_finite, moments } = numeric;
                let finite = |value: f64| Some(value).filter(|value| value.is_finite());
                let (mean, deviation) = (finite(moments.mean), finite(moments.deviation()));
                let numeric = Numeric { edges_kind, edges, counts, not_finite, mean, deviation, min, max };
                (Distribution::Numeric(numeric), count)
            }),
            Counts::Categorical { categories, beyond } => {
                let seen_once = categories.values().filter(|count| **count == 1).count() as u64;
                let mut categories: Vec<(String, u64)> = categories.into_iter().collect();
                categories.sort_by(|(one, of_one), (other, of_other)| of_other.cmp(of_one).then(one.cmp(other)));
                let rest = categories.split_off(categories.len().min(categories_max));
                let other = beyond + rest.iter().map(|(_, count)| count).sum::<u64>();
                let count = categories.iter().map(|(_, count)| count).sum::<u64>() + other;
                Some((Distribution::Categorical(Categorical { categories, other, seen_once }), count))
            }
        }
        .filter(|(_, count)| *count > 0)
    }
}

impl NumericCounts {
    fn add(&mut self, number: f64) {
        match edges::slot(&self.edges, number) {
            Slot::Bucket(place) => {
                self.buckets[place as usize] += 1;
                self.moments.add(number);
            }
            // Every finite one is in the range, unless the file changed between the passes, which its digest tells.
            _ => self.not_finite += 1,
        }
    }
}

impl Count {
    pub(super) fn new(options: &TrainingOptions, columns: Columns, plans: Vec<(String, String, Vec<Plan>)>) -> Count {
        let mut versions = Versions::default();
        for (model_name, model_version, plans) in plans {
            let columns = || plans.into_iter().map(|plan| ColumnCount { row: 0, counts: Counts::new(plan) }).collect();
            // There are no more than the first pass has met.
            let _ = versions.go_to(&model_name, &model_version, || VersionCount { rows: 0, columns: columns() });
        }
        Count { edges_kind: options.edges_kind, categories_max: options.categories_max, columns, versions }
    }

    /// One baseline for each version, and what none of them has. The version with the most rows is the fallback, the first of those.
    pub fn finish(self, sources: &[SourceDigest]) -> (BaselineFile, Vec<LeftOut>) {
        let Count { edges_kind, categories_max, columns, versions } = self;
        let (mut baselines, mut left_out) = (Vec::new(), Vec::new());
        for version in versions.into_all() {
            let rows = version.of.rows;
            let mut features = Vec::new();
            for (column, (kind, name)) in version.of.columns.into_iter().zip(&columns.names) {
                match column.counts.finish(edges_kind, categories_max) {
                    Some((distribution, count)) => features.push(feature(name, *kind, distribution, count, rows)),
                    None => {
                        left_out.push(LeftOut { model_version: version.model_version.clone(), feature: name.clone() });
                    }
                }
            }
            let named = |name: String| Some(name).filter(|name| !name.is_empty());
            let (model_name, model_version) = (named(version.model_name), named(version.model_version));
            let sources = sources.to_vec();
            baselines.push(Baseline { model_name, model_version, fallback: false, sources, rows, features });
        }
        let most = (0..baselines.len()).rev().max_by_key(|place| baselines[*place].rows);
        if let Some(place) = most {
            baselines[place].fallback = true;
        }
        (BaselineFile::new(baselines), left_out)
    }
}

fn feature(name: &str, kind: Kind, distribution: Distribution, count: u64, rows: u64) -> FeatureBaseline {
    let not_finite = match &distribution {
        Distribution::Numeric(numeric) => numeric.not_finite,
        Distribution::Categorical(_) => 0,
    };
    let missing = rows.saturating_sub(count + not_finite);
    let missing_share = missing as f64 / rows as f64;
    FeatureBaseline { name: name.to_owned(), kind, count, missing, missing_share, distribution }
}

impl Rows for Count {
    fn column(&mut self, kind: Kind, name: &str) -> Result<usize, RowError> {
        self.columns.place(kind, name)
    }

    fn begin(&mut self, model_name: &str, model_version: &str) -> Result<(), RowError> {
        self.versions.go_to(model_name, model_version, VersionCount::default)?.rows += 1;
        Ok(())
    }

    fn value(&mut self, column: usize, value: &Value<'_>) {
        let Some(VersionCount { rows, columns }) = self.versions.current() else { return };
        let column = columns.get_mut(column).filter(|column| column.row != *rows && *value != Value::Missing);
        if let Some(column) = column {
            column.row = *rows;
            column.counts.add(value);
        }
    }

    fn end(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::Survey;

    /// Two passes over rows of one column `x`, as cells of a table.
    fn trained(cells: &[&str], options: &TrainingOptions) -> (BaselineFile, Vec<LeftOut>) {
        fn pass(rows: &mut dyn Rows, cells: &[&str]) {
            let column = rows.column(Kind::Feature, "x").unwrap();
            for cell in cells {
                rows.begin("", "1").unwrap();
                rows.value(column, &Value::of_cell(cell));
                rows.end();
            }
        }
        let mut survey = Survey::new(options.clone());
        pass(&mut survey, cells);
        let mut count = survey.finish();
        pass(&mut count, cells);
        count.finish(&[])
    }

    fn feature_of(cells: &[&str], options: &TrainingOptions) -> FeatureBaseline {
        trained(cells, options).0.baselines.remove(0).features.remove(0)
    }

    #[test]
    fn numbers_are_counted_between_edges() {
        let options = TrainingOptions { buckets: 2, ..TrainingOptions::default() };
        let feature = feature_of(&["1", "2", "3", "", "NaN", "inf", "5"], &options);
        let Distribution::Numeric(numeric) = &feature.distribution else { panic!("{feature:?}") };
        assert_eq!((feature.count, feature.missing, numeric.not_finite), (4, 1, 2));
        assert_eq!((&*numeric.edges, &*numeric.counts), (&[1.0, 3.0, 5.0][..], &[2, 2][..]));
        assert_eq!((numeric.mean, numeric.min, numeric.max), (Some(2.75), 1.0, 5.0));
        assert!((numeric.deviation.unwrap() - 2.1875_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn the_type_is_found_or_forced() {
        let forced = |categorical: &[&str], numeric: &[&str]| TrainingOptions {
            categorical: categorical.iter().map(|name| (*name).to_owned()).collect(),
            numeric: numeric.iter().map(|name| (*name).to_owned()).collect(),
            ..TrainingOptions::default()
        };
        for (cells, options, expected) in [
            (&["1", "2"][..], forced(&[], &[]), "numeric"),
            (&["1", "2"], forced(&["x"], &[]), "categorical"),
            (&["1", "a"], forced(&[], &[]), "categorical"),
            (&["1", "a"], forced(&[], &["x"]), "numeric"),
            (&["", "1"], forced(&[], &[]), "numeric"),
        ] {
            assert_eq!(feature_of(cells, &options).type_name(), expected, "{cells:?}");
        }
        for cells in [&["", "NA"][..], &["nan"]] {
            let (file, left_out) = trained(cells, &TrainingOptions::default());
            assert!(file.baselines[0].features.is_empty());
            assert_eq!(left_out[0].feature, "x");
        }
    }

    #[test]
    fn numbered_labels_are_labels() {
        let rows = |values: &[&str]| {
            let mut survey = Survey::new(TrainingOptions::default());
            let column = survey.column(Kind::Prediction, "prediction").unwrap();
            for value in values {
                survey.begin("", "").unwrap();
                survey.value(column, &Value::Number(value));
            }
            let mut count = survey.finish();
            for value in values {
                count.begin("", "").unwrap();
                count.value(column, &Value::Number(value));
            }
            count.finish(&[]).0.baselines.remove(0).features.remove(0).type_name()
        };
        assert_eq!(rows(&["0", "1", "1"]), "categorical");
        assert_eq!(rows(&["0", "0.5"]), "numeric");
        let many: Vec<String> = (0..30).map(|number| number.to_string()).collect();
        assert_eq!(rows(&many.iter().map(String::as_str).collect::<Vec<_>>()), "numeric");
    }

    #[test]
    fn beyond_the_limit_categories_are_the_rest() {
        let options = TrainingOptions { categories_max: 2, ..TrainingOptions::default() };
        let feature = feature_of(&["b", "b", "b", "c", "a", "a", "d"], &options);
        let Distribution::Categorical(categorical) = &feature.distribution else { panic!("{feature:?}") };
        assert_eq!(categorical.categories, [("b".to_owned(), 3), ("a".to_owned(), 2)]);
        assert_eq!((categorical.other, categorical.seen_once, feature.count), (2, 2, 7));
        let many: Vec<String> = (0..DISTINCT_MAX + 5).map(|number| format!("v{number}")).collect();
        let feature = feature_of(&many.iter().map(String::as_str).collect::<Vec<_>>(), &options);
        let Distribution::Categorical(categorical) = &feature.distribution else { panic!("{feature:?}") };
        assert_eq!(categorical.other, (DISTINCT_MAX + 3) as u64);
    }

    #[test]
    fn many_values_have_quantiles_of_a_sample_and_exact_counts() {
        let options = TrainingOptions { edges_kind: EdgesKind::Quantile, ..TrainingOptions::default() };
        let cells: Vec<String> = (0..150_000).map(|number| (number * 7_919 % 150_000).to_string()).collect();
        let feature = feature_of(&cells.iter().map(String::as_str).collect::<Vec<_>>(), &options);
        let Distribution::Numeric(numeric) = &feature.distribution else { panic!("{feature:?}") };
        assert_eq!(numeric.counts.iter().sum::<u64>(), 150_000);
        assert!(numeric.counts.iter().all(|count| (14_000..16_000).contains(count)), "{numeric:?}");
        assert_eq!((numeric.edges[0], numeric.edges[10]), (0.0, 149_999.0));
    }

    #[test]
    fn versions_have_baselines_of_their_own_and_the_biggest_is_the_fallback() {
        let mut survey = Survey::new(TrainingOptions::default());
        fn pass(rows: &mut dyn Rows) {
            let column = rows.column(Kind::Feature, "x").unwrap();
            for (version, value) in [("1", "5"), ("2", "6"), ("2", "7")] {
                rows.begin("fraud", version).unwrap();
                rows.value(column, &Value::Number(value));
                rows.value(column, &Value::Number("99"));
            }
        }
        pass(&mut survey);
        let mut count = survey.finish();
        pass(&mut count);
        let (file, _) = count.finish(&[]);
        let of = |place: usize| (file.baselines[place].rows, file.baselines[place].fallback);
        assert_eq!((of(0), of(1)), ((1, false), (2, true)));
        assert_eq!(file.baselines[1].features[0].count, 2, "a column that is there twice counts once");
    }
}
