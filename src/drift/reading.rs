//! Reading: what stands at the features of a record, and in which bucket is it?
//!
//! One walk over `features`, in every spelling: nested objects have dotted names (`features.card.age` is `card.age`), and of a feature
//! that stands there twice the first counts.
//!
//! [`visit_values`] gives each value as it was written. A [`Reader`], which only asks for buckets, has the JSON library read numbers on
//! its way ([`super::placing`]), and walks again where the number is not enough: as a category a number is the text that was written. It
//! allocates nothing per record, unless a text has escapes.

use std::borrow::Cow;
use std::collections::HashMap;

use super::baseline::{Baseline, Distribution, FeatureBaseline};
use super::edges;
use super::placing::Placing;
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
        match member(name) {
            Some((Kind::Feature, below)) => {
                path.clear();
                path.push_str(below);
                visit_leaves(raw, path, visit);
            }
            Some((kind, name)) => visit(kind, name, Value::of_json(raw)),
            None => {}
        }
    }
}

/// What a member of the top level holds, and the name of it; of features the part of their names that it gives, which mostly is
/// nothing.
fn member(name: &str) -> Option<(Kind, &str)> {
    match name {
        "prediction" => Some((Kind::Prediction, name)),
        "confidence" => Some((Kind::Confidence, name)),
        _ => {
            let below = name.strip_prefix(FEATURES)?;
            let below = if below.is_empty() { below } else { below.strip_prefix('.')? };
            Some((Kind::Feature, below))
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
    Numeric {
        edges: Vec<f64>,
    },
    Categorical {
        places: HashMap<String, u32>,
        /// The categories that are whole numbers, which can be written in one way only.
        integers: HashMap<i128, u32>,
        rest: Slot,
    },
}

impl Buckets {
    fn new(feature: &FeatureBaseline) -> Buckets {
        match &feature.distribution {
            Distribution::Numeric(numeric) => Buckets::Numeric { edges: numeric.edges.clone() },
            Distribution::Categorical(categorical) => {
                let places = || categorical.categories.iter().zip(0..).map(|((name, _), place)| (name, place));
                let integer = |name: &String| name.parse::<i128>().ok().filter(|number| number.to_string() == *name);
                let rest = match categorical.other {
                    0 => Slot::Unseen,
                    _ => Slot::Bucket(categorical.categories.len() as u32),
                };
                Buckets::Categorical {
                    places: places().map(|(name, place)| (name.clone(), place)).collect(),
                    integers: places().filter_map(|(name, place)| Some((integer(name)?, place))).collect(),
                    rest,
                }
            }
        }
    }

    fn slot(&self, value: &Value<'_>) -> Slot {
        match (self, value) {
            (_, Value::Missing) => Slot::Missing,
            (Buckets::Numeric { edges }, value) => edges::slot(edges, value.number()),
            (Buckets::Categorical { places, rest, .. }, value) => {
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

    /// In which bucket of the feature at `place` a whole number falls.
    pub(super) fn slot_of_integer(&self, place: usize, number: i128) -> Slot {
        match &self.buckets[place] {
            Buckets::Numeric { edges } => edges::slot(edges, number as f64),
            Buckets::Categorical { integers, rest, .. } => {
                integers.get(&number).map_or(*rest, |place| Slot::Bucket(*place))
            }
        }
    }

    /// In which bucket of the feature at `place` a number falls; `None` when it is a category, whose text has to be known.
    pub(super) fn slot_of_number(&self, place: usize, number: f64) -> Option<Slot> {
        match &self.buckets[place] {
            Buckets::Numeric { edges } => Some(edges::slot(edges, number)),
            Buckets::Categorical { .. } => None,
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
        if self.place_values(record, &mut path, &mut slots).is_none() {
            slots.fill(Slot::Missing);
            self.place_texts(record, &mut path, &mut slots);
        }
        (self.path, self.slots) = (path, slots);
        &self.slots
    }

    /// Fills the slots from numbers that the library read; `None` when the text of one is needed.
    fn place_values(&mut self, record: &Record<'_>, path: &mut String, slots: &mut [Slot]) -> Option<()> {
        let mut turn = 0;
        for (name, raw) in record.name_values() {
            let Some((kind, below)) = member(name) else { continue };
            path.clear();
            path.push_str(below);
            Placing { reader: self, kind, path, turn: &mut turn, slots }.read(raw)?;
        }
        Some(())
    }

    /// Fills the slots from values as they were written.
    fn place_texts(&mut self, record: &Record<'_>, path: &mut String, slots: &mut [Slot]) {
        let mut turn = 0;
        visit_values(record, path, &mut |kind, name, value| {
            if let Some(place) = self.place_at(kind, name, &mut turn).filter(|place| slots[*place] == Slot::Missing) {
                slots[place] = self.slot(place, &value);
            }
        });
    }

    /// The same as [`Reader::place`]; a feature is first looked for where the last record had it. `turn`: how many features of the
    /// baseline came before it.
    pub(super) fn place_at(&mut self, kind: Kind, name: &str, turn: &mut usize) -> Option<usize> {
        if kind != Kind::Feature {
            return self.place(kind, name);
        }
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
    use proptest::prelude::*;

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

    /// JSON values that a log may hold, written in many ways.
    fn raw_value() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            any::<f64>()
                .prop_filter("JSON has no other", |number| number.is_finite())
                .prop_map(|number| number.to_string()),
            any::<i64>().prop_map(|number| number.to_string()),
            (-30_i32..30).prop_map(|number| number.to_string()),
            (any::<u64>(), any::<u64>(), -400..400).prop_map(|(whole, part, power)| format!("-{whole}.{part}e{power}")),
            "(0|[1-9][0-9]{0,2})(\\.[0-9]{1,25})?",
            Just("-0".to_owned()),
            "\"(DE|FR|D\\\\u0045|15|15\\.0| 1e1|true|nan|\\\\n)\"",
            prop_oneof![Just("true"), Just("false"), Just("null"), Just("{}"), Just("[]")].prop_map(str::to_owned),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            let name = prop_oneof![Just("amount"), Just("country"), Just("a.b"), Just(""), Just("am\\u006funt")];
            let object = proptest::collection::vec((name, inner.clone()), 0..4).prop_map(|members| {
                let members: Vec<String> = members.iter().map(|(name, raw)| format!("\"{name}\": {raw}")).collect();
                format!("{{{}}}", members.join(" ,"))
            });
            prop_oneof![object, proptest::collection::vec(inner, 0..3).prop_map(|list| format!("[{}]", list.join(",")))]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn what_the_library_reads_falls_where_the_text_does(
            members in proptest::collection::btree_map(
                prop_oneof![
                    Just("features"), Just("features.amount"), Just("features.country"), Just("features."), Just("prediction"),
                    Just("confidence"), Just("featuresx"),
                ],
                raw_value(),
                0..5,
            ),
        ) {
            let members: Vec<String> = members.iter().map(|(name, raw)| format!("\"{name}\":{raw}")).collect();
            let line = format!("{{{}}}", members.join(","));
            let mut space = Space::default();
            let record = Record::parse(&line, &mut space).unwrap();
            let mut baseline = baseline();
            let Distribution::Categorical(country) = &mut baseline.features[1].distribution else { unreachable!() };
            country.categories.extend(["0", "-0", "1", "-7", "15.0", "1e1", "07"].map(|name| (name.to_owned(), 1)));
            let mut reader = Reader::new(&baseline);
            let mut slots = vec![Slot::Missing; 4];
            reader.place_texts(&record, &mut String::new(), &mut slots);
            prop_assert_eq!(reader.read(&record), slots, "{}", line);
        }
    }

    #[test]
    fn only_the_text_of_a_category_or_of_a_huge_number_is_walked_again() {
        let mut reader = Reader::new(&baseline());
        for (line, is_read) in [
            (r#"{"features":{"amount":15.5,"country":"DE"},"prediction":"a","confidence":0.5}"#, true),
            (r#"{"features":{"country":1}}"#, true),
            (r#"{"features":{"country":1.0}}"#, false),
            (r#"{"features":{"country":-0}}"#, false),
            (r#"{"features":{"amount":1e999}}"#, false),
        ] {
            let mut space = Space::default();
            let record = Record::parse(line, &mut space).unwrap();
            let is_placed = reader.place_values(&record, &mut String::new(), &mut [Slot::Missing; 4]).is_some();
            assert_eq!(is_placed, is_read, "{line}");
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
