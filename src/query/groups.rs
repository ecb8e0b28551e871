//! Groups: what do the records with one value in a field have in common?
//!
//! Counts, and mean, median and 99th percentile of `confidence` and `latency_ms`, exact and the same for every sink, because
//! they are made of the records themselves: 16 bytes a record are held. Percentiles are interpolated linearly, as NumPy
//! does by default. A record counts in each of the different values that it has in the field.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::cell::Cell;
use super::order::time_of_record;
use crate::record::Record;
use crate::text::time::write_rfc3339;

/// The most different values that are told apart.
pub const GROUPS_MAX: usize = 100_000;

/// The most numbers that are held, 8 bytes each.
pub const NUMBERS_MAX: usize = 20_000_000;

/// The columns behind the field's own.
pub const COLUMNS: [&str; 9] = [
    "count",
    "confidence_mean",
    "confidence_median",
    "confidence_p99",
    "latency_ms_mean",
    "latency_ms_median",
    "latency_ms_p99",
    "first",
    "last",
];

/// There is more than can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMany {
    /// The field has too many different values.
    #[error("the field has more than {GROUPS_MAX} different values")]
    Groups,
    /// The records have too many numbers.
    #[error("more than {NUMBERS_MAX} values of confidence and latency_ms would have to be held")]
    Numbers,
}

/// Records by the values of a field.
#[derive(Debug)]
pub struct Groups {
    field: String,
    groups: BTreeMap<Key, Group>,
    numbers: usize,
}

/// A value, or none; as text.
type Key = Option<String>;

#[derive(Debug, Default)]
struct Group {
    count: u64,
    confidence: Vec<f64>,
    latency_ms: Vec<f64>,
    first: Option<(i64, u32)>,
    last: Option<(i64, u32)>,
}

/// Mean, median and 99th percentile.
type Figures = Option<[f64; 3]>;

/// What is told of one group.
#[derive(Debug)]
pub struct Summary {
    value: Key,
    count: u64,
    confidence: Figures,
    latency_ms: Figures,
    first: Option<(i64, u32)>,
    last: Option<(i64, u32)>,
}

impl Groups {
    /// No records yet.
    pub fn new(field: &str) -> Groups {
        Groups { field: field.to_owned(), groups: BTreeMap::new(), numbers: 0 }
    }

    /// Counts a record.
    ///
    /// # Errors
    /// When there are too many to be held.
    pub fn add(&mut self, record: &Record<'_>) -> Result<(), TooMany> {
        let (confidence, latency_ms) = (number(record, "confidence"), number(record, "latency_ms"));
        let time = time_of_record(record);
        for key in keys(record, &self.field) {
            let group = self.groups.entry(key).or_default();
            group.count += 1;
            group.confidence.extend(confidence);
            group.latency_ms.extend(latency_ms);
            group.first = group.first.min(time).or(time);
            group.last = group.last.max(time);
            self.numbers += usize::from(confidence.is_some()) + usize::from(latency_ms.is_some());
        }
        match (self.groups.len() > GROUPS_MAX, self.numbers > NUMBERS_MAX) {
            (true, _) => Err(TooMany::Groups),
            (_, true) => Err(TooMany::Numbers),
            _ => Ok(()),
        }
    }

    /// The groups, the largest first, then by value.
    pub fn summaries(self) -> Vec<Summary> {
        let mut summaries: Vec<Summary> = self.groups.into_iter().map(|(value, group)| group.summary(value)).collect();
        summaries.sort_by_key(|summary| std::cmp::Reverse(summary.count));
        summaries
    }
}

/// The different values of a record in a field, or that it has none.
fn keys(record: &Record<'_>, field: &str) -> BTreeSet<Key> {
    let mut keys = BTreeSet::new();
    crate::kql::Fields::any(record, field, &mut |value| {
        use crate::kql::Value;
        keys.extend(match value {
            Value::Null => None,
            Value::Boolean(boolean) => Some(Some(boolean.to_string())),
            Value::Number(text) => Some(Some(text.to_owned())),
            Value::String(text) => Some(Some(text.into_owned())),
            Value::Object => record.first(field).map(|raw| Some(raw.to_owned())),
        });
        false
    });
    if keys.is_empty() {
        keys.insert(None);
    }
    keys
}

/// The number of a record in a field; one in quotes is one, as in Elasticsearch.
fn number(record: &Record<'_>, field: &str) -> Option<f64> {
    let cell = Cell::of(record, "", field);
    cell.text().parse().ok().filter(|number: &f64| number.is_finite())
}

impl Group {
    fn summary(self, value: Key) -> Summary {
        Summary {
            value,
            count: self.count,
            confidence: figures(self.confidence),
            latency_ms: figures(self.latency_ms),
            first: self.first,
            last: self.last,
        }
    }
}

fn figures(mut numbers: Vec<f64>) -> Figures {
    if numbers.is_empty() {
        return None;
    }
    let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
    numbers.sort_by(f64::total_cmp);
    Some([mean, percentile(&numbers, 0.5), percentile(&numbers, 0.99)])
}

/// Linear interpolation between the two nearest of sorted numbers.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

impl Summary {
    /// As cells, in the order of the columns.
    pub fn cells(&self) -> Vec<Cell> {
        let value = match &self.value {
            Some(value) => Cell::Text(value.clone()),
            None => Cell::Missing,
        };
        let number = |number: f64| Cell::Number(format!("{}", rounded(number)));
        let figures = |figures: Figures| match figures {
            Some(figures) => figures.map(number),
            None => [Cell::Missing, Cell::Missing, Cell::Missing],
        };
        let time = |moment: Option<(i64, u32)>| time_text(moment).map_or(Cell::Missing, Cell::Text);
        let mut cells = vec![value, Cell::Number(self.count.to_string())];
        cells.extend(figures(self.confidence));
        cells.extend(figures(self.latency_ms));
        cells.extend([time(self.first), time(self.last)]);
        cells
    }

    /// As one JSON object.
    pub fn json(&self, field: &str) -> Value {
        let figures = |figures: Figures| match figures {
            Some([mean, median, p99]) => json!({"mean": mean, "median": median, "p99": p99}),
            None => Value::Null,
        };
        json!({
            "field": field, "value": self.value, "count": self.count, "confidence": figures(self.confidence),
            "latency_ms": figures(self.latency_ms), "first": time_text(self.first), "last": time_text(self.last),
        })
    }
}

fn time_text(moment: Option<(i64, u32)>) -> Option<String> {
    let (seconds, nanoseconds) = moment?;
    let mut text = Vec::new();
    write_rfc3339(seconds, nanoseconds, &mut text);
    String::from_utf8(text).ok()
}

/// To six digits behind the point, which is more than means anything here.
fn rounded(number: f64) -> f64 {
    let rounded = (number * 1e6).round() / 1e6;
    if rounded.is_finite() { rounded } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Space;

    #[test]
    fn groups_have_figures_of_their_own() {
        let lines = [
            r#"{"@timestamp":"2026-11-23T10:00:00.5Z","c":"DE","confidence":0.1,"latency_ms":1}"#,
            r#"{"@timestamp":"2026-11-23T09:00:00Z","c":"DE","confidence":"0.3"}"#,
            r#"{"@timestamp":"2026-11-23T11:00:00Z","c":["DE","FR","DE"],"confidence":0.5,"latency_ms":"x"}"#,
            r#"{"confidence":null}"#,
        ];
        let mut groups = Groups::new("c");
        for line in lines {
            groups.add(&Record::parse(line, &mut Space::default()).unwrap()).unwrap();
        }
        let shown: Vec<String> = groups
            .summaries()
            .iter()
            .map(|summary| summary.cells().iter().map(Cell::text).collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            shown,
            [
                "DE 3 0.3 0.3 0.496 1 1 1 2026-11-23T09:00:00.000Z 2026-11-23T11:00:00.000Z",
                " 1        ",
                "FR 1 0.5 0.5 0.5    2026-11-23T11:00:00.000Z 2026-11-23T11:00:00.000Z",
            ]
        );
    }

    #[test]
    fn more_groups_than_can_be_held_are_refused() {
        let mut groups = Groups::new("c");
        let mut result = Ok(());
        for number in 0..=GROUPS_MAX {
            let line = format!("{{\"c\":{number}}}");
            result = groups.add(&Record::parse(&line, &mut Space::default()).unwrap());
        }
        assert_eq!(result, Err(TooMany::Groups));
    }

    #[test]
    fn percentiles_are_numpys() {
        // np.percentile(x, [50, 99])
        let x = [1.0, 2.0, 4.0, 8.0];
        assert!((percentile(&x, 0.5) - 3.0).abs() < 1e-12 && (percentile(&x, 0.99) - 7.88).abs() < 1e-12);
        assert_eq!(percentile(&[5.0], 0.99), 5.0);
    }
}
