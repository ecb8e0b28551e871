//! Counts: how many values of a window fell where?
//!
//! Whole numbers, so that windows, panes and hosts add up to the counts of all their records, in any order. A feature takes
//! 8 bytes a bucket or category of its baseline and 64 more, whatever the traffic.

use serde::{Deserialize, Serialize};

use super::baseline::{Baseline, FeatureBaseline};
use super::words::Slot;

/// The counts of one model version: those of its features in the order of its baseline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowCounts {
    /// Records that were counted.
    pub records: u64,
    /// One for each feature of the baseline.
    pub features: Vec<FeatureCounts>,
}

/// How many values of one feature fell where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FeatureCounts {
    /// In the buckets of the baseline, or its categories and, where the baseline has a rest, that.
    pub buckets: Vec<u64>,
    /// Below the lowest edge.
    #[serde(skip_serializing_if = "is_zero")]
    pub below: u64,
    /// Above the highest edge.
    #[serde(skip_serializing_if = "is_zero")]
    pub above: u64,
    /// NaN, or no number at all.
    #[serde(skip_serializing_if = "is_zero")]
    pub not_a_number: u64,
    /// Categories that training did not have.
    #[serde(skip_serializing_if = "is_zero")]
    pub unseen: u64,
    /// No value.
    #[serde(skip_serializing_if = "is_zero")]
    pub missing: u64,
}

/// Counts of other buckets cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the counts are of another baseline: they have other buckets or features")]
pub struct NotAlike;

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl FeatureCounts {
    /// Nothing counted, for a feature.
    pub fn new(baseline: &FeatureBaseline) -> FeatureCounts {
        FeatureCounts { buckets: vec![0; baseline.bucket_count()], ..FeatureCounts::default() }
    }

    /// Counts one value.
    pub fn add(&mut self, slot: Slot) {
        match slot {
            Slot::Missing => self.missing += 1,
            Slot::Below => self.below += 1,
            Slot::Above => self.above += 1,
            Slot::NotANumber => self.not_a_number += 1,
            Slot::Unseen => self.unseen += 1,
            Slot::Bucket(place) => self.buckets[place as usize] += 1,
        }
    }

    /// Adds what others counted.
    ///
    /// # Errors
    /// When those have another number of buckets; nothing is added then.
    pub fn merge(&mut self, other: &FeatureCounts) -> Result<(), NotAlike> {
        if self.buckets.len() != other.buckets.len() {
            return Err(NotAlike);
        }
        let add = |mine: &mut u64, its: u64| *mine = mine.saturating_add(its);
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(mine, its)| add(mine, *its));
        add(&mut self.below, other.below);
        add(&mut self.above, other.above);
        add(&mut self.not_a_number, other.not_a_number);
        add(&mut self.unseen, other.unseen);
        add(&mut self.missing, other.missing);
        Ok(())
    }

    /// The values that were there, wherever they fell: the denominator of all shares but that of missing ones.
    pub fn values(&self) -> u64 {
        self.buckets.iter().sum::<u64>() + self.out_of_range() + self.unseen
    }

    /// Values of a numeric feature that are in none of its buckets.
    pub fn out_of_range(&self) -> u64 {
        self.below + self.above + self.not_a_number
    }
}

impl WindowCounts {
    /// Nothing counted, for a baseline.
    pub fn new(baseline: &Baseline) -> WindowCounts {
        WindowCounts { records: 0, features: baseline.features.iter().map(FeatureCounts::new).collect() }
    }

    /// Counts one record by what [`super::Reader::read`] found in it.
    pub fn add(&mut self, slots: &[Slot]) {
        self.records += 1;
        self.features.iter_mut().zip(slots).for_each(|(feature, slot)| feature.add(*slot));
    }

    /// Adds what others counted: exactly the counts of all records together.
    ///
    /// # Errors
    /// When those are of another baseline; nothing is added then.
    pub fn merge(&mut self, other: &WindowCounts) -> Result<(), NotAlike> {
        if !self.is_like(other) {
            return Err(NotAlike);
        }
        self.records = self.records.saturating_add(other.records);
        self.features.iter_mut().zip(&other.features).try_for_each(|(mine, its)| mine.merge(its))
    }

    /// Whether it has the features and buckets of a baseline; what was saved may be of an older one.
    pub fn fits(&self, baseline: &Baseline) -> bool {
        self.is_like(&WindowCounts::new(baseline))
    }

    fn is_like(&self, other: &WindowCounts) -> bool {
        self.features.len() == other.features.len()
            && self.features.iter().zip(&other.features).all(|(mine, its)| mine.buckets.len() == its.buckets.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slots() -> impl Strategy<Value = Vec<Slot>> {
        let slot = prop_oneof![
            Just(Slot::Missing),
            Just(Slot::Below),
            Just(Slot::Above),
            Just(Slot::NotANumber),
            Just(Slot::Unseen),
            (0..3_u32).prop_map(Slot::Bucket),
        ];
        proptest::collection::vec(slot, 0..50)
    }

    fn empty() -> WindowCounts {
        WindowCounts { records: 0, features: vec![FeatureCounts { buckets: vec![0; 3], ..FeatureCounts::default() }] }
    }

    fn count(slots: &[Slot]) -> WindowCounts {
        let mut counts = empty();
        slots.iter().for_each(|slot| counts.add(std::slice::from_ref(slot)));
        counts
    }

    proptest! {
        #[test]
        fn parts_add_up_to_the_whole_and_survive_their_text(one in slots(), other in slots()) {
            let whole = count(&[one.clone(), other.clone()].concat());
            let mut sum = count(&one);
            sum.merge(&count(&other)).unwrap();
            prop_assert_eq!(&sum, &whole);
            let text = serde_json::to_string(&whole).unwrap();
            prop_assert_eq!(serde_json::from_str::<WindowCounts>(&text).unwrap(), whole);
        }
    }

    #[test]
    fn counts_of_other_buckets_are_refused_whole() {
        let mut counts = count(&[Slot::Bucket(1)]);
        let before = counts.clone();
        let mut other = empty();
        other.records = 7;
        other.features[0].buckets.push(1);
        assert_eq!(counts.merge(&other), Err(NotAlike));
        assert_eq!(counts, before);
    }
}
