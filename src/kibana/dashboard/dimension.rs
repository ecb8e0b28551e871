//! Dimensions of a visualisation, in the words of the API: what documents are told apart by, and the numbers that are made of them.

use serde::Deserialize;

/// What documents are told apart by.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case")]
pub enum Bucket {
    /// By time.
    DateHistogram(DateHistogram),
    /// By the values of a field.
    Terms(Terms),
    /// By ranges of a number.
    Range(Ranges),
    /// By conditions.
    Filters(Filters),
}

/// Told apart by `@timestamp`, in steps that Kibana chooses.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DateHistogram {}

/// Told apart by the values of a field.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// The field, as a list of one as in the API.
    pub fields: [String; 1],
    /// At most so many values.
    pub limit: u32,
    /// Which ones, unless those of most documents.
    #[serde(default)]
    pub rank_by: RankBy,
    /// What is said of the rest; without it nothing is.
    pub other_bucket: Option<OtherBucket>,
    /// What it is called.
    pub label: String,
    /// The width of the column in a table, in pixels.
    pub width: Option<u32>,
}

/// Which values of a field are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum RankBy {
    /// Those of most documents.
    #[default]
    Count,
    /// The first ones by name.
    Alphabetical {
        /// Which end comes first.
        direction: Direction,
    },
    /// Those with the highest or lowest metric.
    Metric {
        /// The metric's place, from 0.
        #[serde(default)]
        metric_index: usize,
        /// Which end comes first.
        direction: Direction,
    },
}

/// Which end comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The lowest.
    Asc,
    /// The highest.
    Desc,
}

impl Direction {
    /// Its word, in our files, in the API and in Lens.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::Asc => "asc",
            Direction::Desc => "desc",
        }
    }
}

/// What is said of the values that are not shown.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtherBucket {
    /// Whether documents without a value are one of the values.
    pub include_documents_without_field: bool,
}

/// Told apart by ranges of a number.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ranges {
    /// The field.
    pub field: String,
    /// The ranges.
    pub ranges: Vec<Range>,
    /// What they are called together.
    pub label: String,
}

/// A range. Whatever the API calls its ends, Elasticsearch counts the lower one in and the upper one not.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// From where; without it from the lowest.
    pub gt: Option<f64>,
    /// Up to where; without it up to the highest.
    pub lte: Option<f64>,
    /// What it is called.
    pub label: String,
}

/// Told apart by conditions.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filters {
    /// The conditions. A document may meet several.
    pub filters: Vec<Filter>,
    /// What they are called together.
    pub label: String,
}

/// A condition with a name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// The condition, in KQL.
    pub filter: String,
    /// What it is called.
    pub label: String,
}

/// A number made of documents.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// How it is made.
    pub operation: Operation,
    /// Of which field.
    pub field: Option<String>,
    /// Which percentile.
    pub percentile: Option<f64>,
    /// The formula of `operation: formula`.
    pub formula: Option<String>,
    /// Of which documents only, in KQL.
    pub filter: Option<String>,
    /// What it is called.
    pub label: String,
    /// How it is written.
    pub format: Option<Format>,
    /// From which value on it is yellow, and red.
    pub thresholds: Option<ColorThresholds>,
    /// The width of the column in a table, in pixels.
    pub width: Option<u32>,
}

/// How a number is made of documents. The words are those of the API and of Lens alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// How many documents there are.
    Count,
    /// The sum of a field.
    Sum,
    /// Its mean.
    Average,
    /// Its median.
    Median,
    /// Its least value.
    Min,
    /// Its greatest value.
    Max,
    /// How many different values it has.
    UniqueCount,
    /// A percentile of it.
    Percentile,
    /// The value, or list of values, of the last document that has one.
    LastValue,
    /// Made of other numbers.
    Formula,
}

impl Operation {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Count => "count",
            Operation::Sum => "sum",
            Operation::Average => "average",
            Operation::Median => "median",
            Operation::Min => "min",
            Operation::Max => "max",
            Operation::UniqueCount => "unique_count",
            Operation::Percentile => "percentile",
            Operation::LastValue => "last_value",
            Operation::Formula => "formula",
        }
    }
}

/// How a number is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Format {
    /// As what.
    #[serde(rename = "type")]
    pub kind: FormatKind,
    /// Digits behind the point.
    #[serde(default)]
    pub decimals: u8,
    /// What stands behind it.
    pub suffix: Option<String>,
    /// Whether thousands are written as `k`.
    #[serde(default)]
    pub compact: bool,
}

/// As what a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FormatKind {
    /// As it is.
    Number,
    /// A share, as a percentage.
    Percent,
    /// Bytes.
    Bytes,
}

impl FormatKind {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            FormatKind::Number => "number",
            FormatKind::Percent => "percent",
            FormatKind::Bytes => "bytes",
        }
    }
}

/// From which value on a number is yellow, and red. Where `critical` is the lower one, low values are bad.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColorThresholds {
    /// From here on it is yellow.
    pub warning: f64,
    /// From here on it is red.
    pub critical: f64,
}

const GREEN: &str = "#209280";
const YELLOW: &str = "#d6bf57";

/// The colour of what is beyond its limit, and of the limit.
pub const RED: &str = "#cc5642";

impl ColorThresholds {
    /// The three colours of a value from the lowest to the highest, and where they change.
    pub fn colors(self) -> ([&'static str; 3], [f64; 2]) {
        let ColorThresholds { warning, critical } = self;
        let colors = if warning <= critical { [GREEN, YELLOW, RED] } else { [RED, YELLOW, GREEN] };
        (colors, [warning.min(critical), warning.max(critical)])
    }
}
