//! Places: where in a baseline does a feature stand, and in which of its buckets does a value fall?

use std::collections::HashMap;

use super::baseline::{Baseline, Distribution, FeatureBaseline};
use super::edges;
use super::value::Value;
use super::words::{Kind, Slot};

/// The features of one baseline.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// Where in the baseline a feature stands.
    features: HashMap<String, usize>,
    /// The features that the last record had, in its order: the next one mostly has them in the same.
    order: Vec<(String, usize)>,
    prediction: Option<usize>,
    confidence: Option<usize>,
    buckets: Vec<Buckets>,
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

impl Places {
    pub(super) fn new(baseline: &Baseline) -> Places {
        let mut places = Places {
            features: HashMap::new(),
            order: Vec::new(),
            prediction: None,
            confidence: None,
            buckets: baseline.features.iter().map(Buckets::new).collect(),
        };
        for (place, feature) in baseline.features.iter().enumerate() {
            match feature.kind {
                Kind::Feature => drop(places.features.insert(feature.name.clone(), place)),
                Kind::Prediction => places.prediction = Some(place),
                Kind::Confidence => places.confidence = Some(place),
            }
        }
        places
    }

    /// Where in the baseline's list a feature stands; `None` when the baseline has no such one.
    pub(super) fn place(&self, kind: Kind, name: &str) -> Option<usize> {
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
    pub(super) fn slot(&self, place: usize, value: &Value<'_>) -> Slot {
        self.buckets[place].slot(value)
    }

    /// The same as [`Places::place`]; a feature is first looked for where the last record had it. `turn`: how many features of the
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
