//! Tallies: what became of the lines of a span, counted so that the sums can be proven?
//!
//! The pipeline's thread counts each line once, when it settles what is to become of it; the deliveries say what became
//! of the documents. Both travel with the batch, and are added up when its offsets are committed: so a line that is read
//! again after a crash is counted by exactly one commit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::flow::batch::{Id, Item};

/// The sum of a set of ids: equal sets have equal sums, whatever their order, and sums of disjoint sets add up.
///
/// It is the sum, modulo 2^128, of the last 16 characters of each id read as one big-endian number. Those characters are
/// base64 of 96 bits of a SHA-256, so two sets that differ have the same sum with a chance of about 2^-96. It finds what
/// is lost or altered by accident; it is no defence against somebody who can choose ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdSum(u128);

impl IdSum {
    /// Adds one id.
    pub fn add(&mut self, id: &Id) {
        self.0 = self.0.wrapping_add(number(id));
    }

    /// Adds all ids of another set.
    pub fn join(&mut self, other: IdSum) {
        self.0 = self.0.wrapping_add(other.0);
    }
}

fn number(id: &Id) -> u128 {
    let mut tail = [0; 16];
    tail.copy_from_slice(&id.0[id.0.len() - 16..]);
    u128::from_be_bytes(tail)
}

/// 32 hexadecimal digits.
impl std::fmt::Display for IdSum {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl Serialize for IdSum {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IdSum {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<IdSum, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(IdSum).map_err(serde::de::Error::custom)
    }
}

/// How often each of some few names came up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counts(BTreeMap<String, u64>);

impl Counts {
    /// Adds `count` under a name; an addition of nothing leaves no trace.
    pub fn add(&mut self, name: &str, count: u64) {
        match self.0.get_mut(name) {
            Some(known) => *known += count,
            None if count > 0 => drop(self.0.insert(name.to_owned(), count)),
            None => {}
        }
    }

    /// Adds all of another.
    pub fn join(&mut self, other: &Counts) {
        other.0.iter().for_each(|(name, count)| self.add(name, *count));
    }

    /// The same with all of another.
    pub fn joined(mut self, other: &Counts) -> Counts {
        self.join(other);
        self
    }

    /// All names with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, count)| (name.as_str(), *count))
    }

    /// The sum of all.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// True when nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What became of the lines of a span of a file, as far as the pipeline's thread decides it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Lines that are not empty.
    pub lines: u64,
    /// Records that lines gave: one, or several.
    pub records: u64,
    /// Records, and lines that are none, that a sink or the dead letter has to hold: all but those that a rule dropped.
    pub kept: u64,
    /// The sum of the ids of those.
    pub ids: IdSum,
    /// Records that a rule dropped, by its name.
    #[serde(default, skip_serializing_if = "Counts::is_empty")]
    pub dropped: Counts,
    /// Lines that went to the dead letter before they came to a sink, by `stage/reason`.
    #[serde(default, skip_serializing_if = "Counts::is_empty")]
    pub dead_lettered: Counts,
}

impl Tally {
    /// True when nothing was counted.
    pub fn is_empty(&self) -> bool {
        let Tally { lines, records, kept, ids: _, dropped, dead_lettered } = self;
        lines | records | kept == 0 && dropped.is_empty() && dead_lettered.is_empty()
    }

    /// Counts a record or a line that is kept: as a document on its way to the sinks, or in the dead letter.
    pub fn keep(&mut self, id: &Id) {
        self.kept += 1;
        self.ids.add(id);
    }

    /// Counts records that became documents.
    pub fn add_documents(&mut self, documents: &[Item]) {
        self.records += documents.len() as u64;
        documents.iter().for_each(|document| self.keep(&document.id));
    }

    /// Adds the counts of other lines.
    pub fn join(&mut self, other: &Tally) {
        self.lines += other.lines;
        self.records += other.records;
        self.kept += other.kept;
        self.ids.join(other.ids);
        self.dropped.join(&other.dropped);
        self.dead_lettered.join(&other.dead_lettered);
    }
}

/// What became of documents at one sink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// Documents that it took.
    pub indexed: u64,
    /// Documents that it held already, from an earlier try.
    pub duplicates: u64,
    /// Documents that an order has erased: they were not brought back.
    #[serde(default)]
    pub erased: u64,
    /// Documents that it will never take, by reason; they are in the dead letter.
    #[serde(default, skip_serializing_if = "Counts::is_empty")]
    pub dead_lettered: Counts,
}

impl Delivered {
    /// Adds what became of other documents.
    pub fn join(&mut self, other: &Delivered) {
        self.indexed += other.indexed;
        self.duplicates += other.duplicates;
        self.erased += other.erased;
        self.dead_lettered.join(&other.dead_lettered);
    }
}

/// The sums of everything that was settled since the folder of state was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Lines that are not empty.
    pub lines: u64,
    /// Lines that are records.
    pub records: u64,
    /// Records that a rule dropped, by its name.
    pub dropped: Counts,
    /// Lines and records that went to the dead letter, by `stage/reason`.
    pub dead_lettered: Counts,
    /// What became of the documents, by sink.
    pub sinks: BTreeMap<String, Delivered>,
}

impl Totals {
    /// Adds other sums.
    pub fn join(&mut self, other: &Totals) {
        self.lines += other.lines;
        self.records += other.records;
        self.dropped.join(&other.dropped);
        self.dead_lettered.join(&other.dead_lettered);
        for (sink, delivered) in &other.sinks {
            self.sinks.entry(sink.clone()).or_default().join(delivered);
        }
    }

    /// Adds what became of some lines.
    pub fn add_lines(&mut self, tally: &Tally) {
        self.lines += tally.lines;
        self.records += tally.records;
        self.dropped.join(&tally.dropped);
        self.dead_lettered.join(&tally.dead_lettered);
    }

    /// Adds what became of some documents at a sink.
    pub fn add_documents(&mut self, sink: &str, delivered: &Delivered) {
        self.dead_lettered.join(&delivered.dead_lettered);
        self.sinks.entry(sink.to_owned()).or_default().join(delivered);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::batch::ID_CHARACTERS;

    fn id(n: u8) -> Id {
        let mut id = [b'A'; ID_CHARACTERS];
        (id[0], id[13], id[27]) = (n, n, b'z' - n);
        Id(id)
    }

    fn sum(ids: &[u8]) -> IdSum {
        let mut sum = IdSum::default();
        ids.iter().for_each(|n| sum.add(&id(*n)));
        sum
    }

    #[test]
    fn a_sum_tells_sets_apart_and_adds_up() {
        assert_eq!(sum(&[1, 2, 3]), sum(&[3, 1, 2]));
        assert_ne!(sum(&[1, 2, 3]), sum(&[1, 2, 4]));
        assert_ne!(sum(&[1, 2]), sum(&[1, 2, 2]));
        let mut joined = sum(&[1, 2]);
        joined.join(sum(&[3]));
        assert_eq!(joined, sum(&[1, 2, 3]));
        let mut timed = id(1);
        timed.0[..6].copy_from_slice(b"zzzzzz");
        let mut other = IdSum::default();
        other.add(&timed);
        assert_eq!(other, sum(&[1]), "the time's characters do not count");
    }

    #[test]
    fn a_sum_is_written_and_read() {
        let text = serde_json::to_string(&sum(&[1, 2])).unwrap();
        assert_eq!(serde_json::from_str::<IdSum>(&text).unwrap(), sum(&[1, 2]));
        assert_eq!(text.len(), 34);
    }
}
