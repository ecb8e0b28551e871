//! Reading: what stands at the features of a record, and in which bucket is it?
//!
//! One walk over `features`, in every spelling: nested objects have dotted names (`features.card.age` is `card.age`), and of a feature
//! that stands there twice the first counts.
//!
//! [`visit_values`] gives each value as it was written. A [`Reader`], which only asks for buckets, has the JSON library read numbers on
//! its way ([`super::placing`]), and walks again where the number is not enough: as a category a number is the text that was written. It
//! allocates nothing per record, unless a text has escapes.

use super::baseline::Baseline;
use super::places::Places;
use super::placing::Placing;
use super::value::Value;
use super::words::{Kind, Slot};
use crate::record::Record;

/// The member of a record that holds its features.
const FEATURES: &str = "features";

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
    places: Places,
    slots: Vec<Slot>,
    path: String,
}

impl Reader {
    /// A reader for a baseline.
    pub fn new(baseline: &Baseline) -> Reader {
        let slots = vec![Slot::Missing; baseline.features.len()];
        Reader { places: Places::new(baseline), slots, path: String::new() }
    }

    /// Where in the baseline's list a feature stands; `None` when the baseline has no such one.
    pub fn place(&self, kind: Kind, name: &str) -> Option<usize> {
        self.places.place(kind, name)
    }

    /// In which bucket of the feature at `place` a value falls.
    pub fn slot(&self, place: usize, value: &Value<'_>) -> Slot {
        self.places.slot(place, value)
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
            Placing { places: &mut self.places, kind, path, turn: &mut turn, slots }.read(raw)?;
        }
        Some(())
    }

    /// Fills the slots from values as they were written.
    fn place_texts(&mut self, record: &Record<'_>, path: &mut String, slots: &mut [Slot]) {
        let mut turn = 0;
        visit_values(record, path, &mut |kind, name, value| {
            if let Some(place) =
                self.places.place_at(kind, name, &mut turn).filter(|place| slots[*place] == Slot::Missing)
            {
                slots[place] = self.slot(place, &value);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::drift::Distribution;
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
}
