//! Reading: what stands at the features of a record, and in which bucket is it?
//!
//! One walk over `features`, in every spelling: nested objects have dotted names (`features.card.age` is `card.age`), and of a feature
//! that stands there twice the first counts. A reader allocates nothing per record, unless a text has escapes.

use std::borrow::Cow;
use std::collections::HashMap;

use super::baseline::{Baseline, Distribution, FeatureBaseline};
use super::edges;
use super::words::{Kind, Slot};
use crate::record::{Record, json};

/// The member of a record that holds its features.
const FEATURES: &str = "features";

/// One value as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'v> {
    /// Nothing, `null`, or an empty cell.
    Missing,
    /// A JSON number, as written.
    Number(&'v str),
    /// A JSON text, `true` or `false`.
    Text(Cow<'v, str>),
    /// A cell of a table, which may be a number or a text.
    Cell(&'v str),
    /// A list, or something else that is neither number nor text.
    Unusable,
}

impl<'v> Value<'v> {
    /// Reads raw JSON.
    pub fn of_json(raw: &'v str) -> Value<'v> {
        if raw.starts_with('[') {
            return Value::Unusable;
        }
        match json::value(raw) {
            crate::kql::Value::Null => Value::Missing,
            crate::kql::Value::Number(text) => Value::Number(text),
            crate::kql::Value::String(text) => Value::Text(text),
            crate::kql::Value::Boolean(_) => Value::Text(Cow::Borrowed(raw)),
            crate::kql::Value::Object => Value::Unusable,
        }
    }

    /// Reads a cell of a CSV file: empty ones and what pandas writes or reads for nothing are missing, but for `NaN`, which is a
    /// number that is none.
    pub fn of_cell(text: &'v str) -> Value<'v> {
        match text.trim() {
            "" | "NA" | "N/A" | "<NA>" | "null" | "NULL" | "None" => Value::Missing,
            text => Value::Cell(text),
        }
    }

    /// The number that it is or spells; NaN for everything else.
    pub fn number(&self) -> f64 {
        match self {
            Value::Number(text) | Value::Cell(text) => text.parse().unwrap_or(f64::NAN),
            Value::Text(text) => text.trim().parse().unwrap_or(f64::NAN),
            Value::Missing | Value::Unusable => f64::NAN,
        }
    }

    /// Its text, as a category.
    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Number(text) | Value::Cell(text) => Some(text),
            Value::Text(text) => Some(text),
            Value::Missing | Value::Unusable => None,
        }
    }
}

/// Calls `visit` with each feature of a record, its prediction and its confidence. `path` is a buffer.
pub fn visit_values(record: &Record<'_>, path: &mut String, visit: &mut dyn FnMut(Kind, &str, Value<'_>)) {
    for (name, raw) in record.name_values() {
        let below = match name.strip_prefix(FEATURES) {
            Some("") => "",
            Some(rest) if rest.starts_with('.') => &rest[1..],
            _ => continue,
        };
        path.clear();
        path.push_str(below);
        visit_leaves(raw, path, visit);
    }
    for (kind, field) in [(Kind::Prediction, "prediction"), (Kind::Confidence, "confidence")] {
        if let Some(raw) = record.first(field) {
            visit(kind, field, Value::of_json(raw));
        }
    }
}

fn visit_leaves(raw: &str, path: &mut String, visit: &mut dyn FnMut(Kind, &str, Value<'_>)) {
    if !raw.starts_with('{') {
        if !path.is_empty() {
            visit(Kind::Feature, path, Value::of_json(raw));
        }
        return;
    }
    for (name, value) in sonic_rs::to_object_iter(raw).flatten() {
        let parent = path.len();
        if parent > 0 {
            path.push('.');
        }
        path.push_str(&name);
        visit_leaves(value.as_raw_str(), path, visit);
        path.truncate(parent);
    }
}

/// Finds the buckets of records' values, for one baseline.
#[derive(Clone, Debug)]
pub struct Reader {
    /// Where in the baseline a feature stands.
    features: HashMap<String, usize>,
    /// The features that the last record had, in its order: the next one mostly has them in the same.
    order: Vec<(String, usize)>,
    prediction: Option<usize>,
    confidence: Option<usize>,
    buckets: Vec<Buckets>,
    slots: Vec<Slot>,
    path: String,
}

/// The buckets of one feature.
#[derive(Clone, Debug)]
enum Buckets {
    Numeric { edges: Vec<f64> },
    Categorical { places: HashMap<String, u32>, rest: Slot },
}

impl Buckets {
    fn new(feature: &FeatureBaseline) -> Buckets {
        match &feature.distribution {
            Distribution::Numeric(numeric) => Buckets::Numeric { edges: numeric.edges.clone() },
            Distribution::Categorical(categorical) => {
                let places = categorical.categories.iter().zip(0..).map(|((name, _), place)| (name.clone(), place));
                let rest = match categorical.other {
                    0 => Slot::Unseen,
                    _ => Slot::Bucket(categorical.categories.len() as u32),
                };
                Buckets::Categorical { places: places.collect(), rest }
            }
        }
    }

    fn slot(&self, value: &Value<'_>) -> Slot {
        match (self, value) {
            (_, Value::Missing) => Slot::Missing,
            (Buckets::Numeric { edges }, value) => edges::slot(edges, value.number()),
            (Buckets::Categorical { places, rest }, value) => {
                let place = value.text().and_then(|text| places.get(text));
                place.map_or(*rest, |place| Slot::Bucket(*place))
            }
        }
    }
}

impl Reader {
    /// A reader for a baseline.
    pub fn new(baseline: &Baseline) -> Reader {
        let mut reader = Reader {
            features: HashMap::new(),
            order: Vec::new(),
            prediction: None,
            confidence: None,
            buckets: baseline.features.iter().map(Buckets::new).collect(),
            slots: vec![Slot::Missing; baseline.features.len()],
            path: String::new(),
        };
        for (place, feature) in baseline.features.iter().enumerate() {
            match feature.kind {
                Kind::Feature => drop(reader.features.insert(feature.name.clone(), place)),
                Kind::Prediction => reader.prediction = Some(place),
                Kind::Confidence => reader.confidence = Some(place),
            }
        }
        reader
    }

    /// Where in the baseline's list a feature stands; `None` when the baseline has no such one.
    pub fn place(&self, kind: Kind, name: &str) -> Option<usize> {
        match kind {
            Kind::Feature => self.features.get(name).copied(),
            Kind::Prediction => self.prediction,
            Kind::Confidence => self.confidence,
        }
    }

    /// In which bucket of the feature at `place` a value falls.
    pub fn slot(&self, place: usize, value: &Value<'_>) -> Slot {
        self.buckets[place].slot(value)
    }

    /// What a record has, one slot for each feature of the baseline, for [`super::WindowCounts::add`].
    pub fn read(&mut self, record: &Record<'_>) -> &[Slot] {
        let mut path = std::mem::take(&mut self.path);
        let mut slots = std::mem::take(&mut self.slots);
        slots.fill(Slot::Missing);
        let mut turn = 0;
        visit_values(record, &mut path, &mut |kind, name, value| {
            let place = match kind {
                Kind::Feature => self.place_at(&mut turn, name),
                Kind::Prediction | Kind::Confidence => self.place(kind, name),
            };
            if let Some(place) = place.filter(|place| slots[*place] == Slot::Missing) {
                slots[place] = self.slot(place, &value);
            }
        });
        (self.path, self.slots) = (path, slots);
        &self.slots
    }

    /// The same as [`Reader::place`] of a feature, which is first looked for where the last record had it. `turn`: how many
    /// features of the baseline came before it.
    fn place_at(&mut self, turn: &mut usize, name: &str) -> Option<usize> {
        let place = match self.order.get(*turn) {
            Some((last, place)) if last == name => *place,
            last => {
                let is_new = last.is_none();
                let place = *self.features.get(name)?;
                if is_new && self.order.len() < self.buckets.len() {
                    self.order.push((name.to_owned(), place));
                } else if let Some((last, last_place)) = self.order.get_mut(*turn) {
                    name.clone_into(last);
                    *last_place = place;
                }
                place
            }
        };
        *turn += 1;
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::baseline::tests::baseline;
    use crate::record::Space;

    #[test]
    fn a_record_is_read_in_every_spelling() {
        let mut reader = Reader::new(&baseline());
        let missing = Slot::Missing;
        let cases: [(&str, [Slot; 4]); 12] = [
            (
                r#"{"features":{"amount":15,"country":"DE"},"prediction":"a"}"#,
                [Slot::Bucket(1), Slot::Bucket(0), Slot::Bucket(0), missing],
            ),
            (
                r#"{"features.amount":15,"features":{"country":"FR"},"confidence":0.5}"#,
                [Slot::Bucket(1), Slot::Bucket(1), missing, Slot::Bucket(0)],
            ),
            (r#"{"features":{"amount":"15.0","country":null}}"#, [Slot::Bucket(1), missing, missing, missing]),
            (r#"{"features":{"amount":-1}}"#, [Slot::Below, missing, missing, missing]),
            (r#"{"features":{"amount":1e999}}"#, [Slot::Above, missing, missing, missing]),
            (r#"{"features":{"amount":"NaN","country":"XX"}}"#, [Slot::NotANumber, Slot::Unseen, missing, missing]),
            (r#"{"features":{"amount":true,"country":[1]}}"#, [Slot::NotANumber, Slot::Unseen, missing, missing]),
            (r#"{"features":{"amount":15},"features.amount":99}"#, [Slot::Bucket(1), missing, missing, missing]),
            (r#"{"features":{"country":"D\u0045"}}"#, [missing, Slot::Bucket(0), missing, missing]),
            (r#"{"features":{},"prediction":"zzz"}"#, [missing, missing, Slot::Bucket(1), missing]),
            (r#"{"features":[{"amount":15}]}"#, [missing; 4]),
            (r#"{"event":"ready"}"#, [missing; 4]),
        ];
        for (line, expected) in cases {
            let mut space = Space::default();
            let record = Record::parse(line, &mut space).unwrap();
            assert_eq!(reader.read(&record), expected, "{line}");
        }
    }

    #[test]
    fn the_order_of_features_may_change_from_record_to_record() {
        let mut reader = Reader::new(&baseline());
        let (amount, country) = (r#""amount":15"#, r#""country":"FR""#);
        let orders = [[amount, country], [country, amount], [country, country], [amount, amount], [amount, country]];
        for [one, two] in orders {
            for line in [format!(r#"{{"features":{{{one},"other":1,{two}}}}}"#), format!(r#"{{"features":{{{two}}}}}"#)]
            {
                let mut space = Space::default();
                let record = Record::parse(&line, &mut space).unwrap();
                let has = |feature, slot| if line.contains(feature) { slot } else { Slot::Missing };
                let expected =
                    [has(amount, Slot::Bucket(1)), has(country, Slot::Bucket(1)), Slot::Missing, Slot::Missing];
                assert_eq!(reader.read(&record), expected, "{line}");
            }
        }
    }

    #[test]
    fn cells_without_a_value_are_missing_and_nan_is_no_number() {
        for text in ["", "  ", "NA", "N/A", "<NA>", "null", "NULL", "None"] {
            assert_eq!(Value::of_cell(text), Value::Missing, "{text}");
        }
        for text in ["nan", "NaN", "x"] {
            assert!(Value::of_cell(text).number().is_nan(), "{text}");
        }
        assert_eq!(Value::of_cell(" 1.5 ").number(), 1.5);
        assert_eq!(Value::of_cell("-inf").number(), f64::NEG_INFINITY);
    }
}
