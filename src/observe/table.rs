//! A table of counts by a label's value: how many values may there be?
//!
//! A field of a log can hold anything, and every new value is a new series in Prometheus. So a label has at most
//! [`LABEL_VALUES_MAX`] values under each model, all tables of a pipeline at most [`SERIES_MAX`], and a value at most
//! [`LABEL_BYTES_MAX`]. What is beyond is counted under [`OTHER`]: the sums stay right. The values that came first stay.

use std::collections::BTreeMap;

use prometheus_client::metrics::counter::Counter;
use serde::{Deserialize, Serialize};

/// The most values that a label has under one model.
pub const LABEL_VALUES_MAX: usize = 200;

/// The most values in all tables of one pipeline together.
pub const SERIES_MAX: usize = 2_000;

/// The longest value of a label, in bytes.
pub const LABEL_BYTES_MAX: usize = 128;

/// The value that stands for those beyond the limits.
pub const OTHER: &str = "other";

/// Stands between the values of several labels that are one key of a table, each within the limit of its length.
pub(super) const SEPARATOR: char = '\u{1f}';

/// How many values there are in all tables, and how many times one was refused.
#[derive(Debug)]
pub(super) struct LabelRoom {
    pub(super) taken: usize,
    pub(super) refused: Counter,
    pub(super) warned: bool,
}

impl LabelRoom {
    fn admits(&self, table_length: usize, value: &str) -> bool {
        let is_short = || value.split(SEPARATOR).all(|part| part.len() <= LABEL_BYTES_MAX);
        table_length < LABEL_VALUES_MAX && self.taken < SERIES_MAX && is_short()
    }

    pub(super) fn refuse(&mut self, label: &str) {
        self.refused.inc();
        if !std::mem::replace(&mut self.warned, true) {
            let hint = "map the field to one with few values, or narrow `inferences`";
            tracing::warn!(label, hint, "too many or too long values of a metric's label: counted as `{OTHER}`");
        }
    }
}

/// Something for each value, sorted by value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, T>", into = "BTreeMap<String, T>", bound(serialize = "T: Clone + Serialize"))]
pub(super) struct LabelTable<T>(Vec<(String, T)>);

impl<T> Default for LabelTable<T> {
    fn default() -> LabelTable<T> {
        LabelTable(Vec::new())
    }
}

impl<T> From<BTreeMap<String, T>> for LabelTable<T> {
    fn from(map: BTreeMap<String, T>) -> LabelTable<T> {
        LabelTable(map.into_iter().collect())
    }
}

impl<T> From<LabelTable<T>> for BTreeMap<String, T> {
    fn from(table: LabelTable<T>) -> BTreeMap<String, T> {
        table.0.into_iter().collect()
    }
}

impl<T: Default> LabelTable<T> {
    /// What stands for a value of a label: its own, if it has one or there is room for one, else that of [`OTHER`].
    pub(super) fn of(&mut self, label: &str, value: &str, room: &mut LabelRoom) -> &mut T {
        let mut place = self.place(value);
        if place.is_err() && !room.admits(self.0.len(), value) {
            room.refuse(label);
            place = self.place(OTHER);
            return self.at(place, OTHER, room);
        }
        self.at(place, value, room)
    }

    fn place(&self, value: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_str().cmp(value))
    }

    fn at(&mut self, place: Result<usize, usize>, value: &str, room: &mut LabelRoom) -> &mut T {
        let index = place.unwrap_or_else(|index| {
            room.taken += 1;
            self.0.insert(index, (value.to_owned(), T::default()));
            index
        });
        &mut self.0[index].1
    }
}

impl<T> LabelTable<T> {
    /// All values with what stands for them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(value, it)| (value.as_str(), it))
    }

    /// What stands for the values.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().map(|(_, it)| it)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> LabelRoom {
        LabelRoom { taken: 0, refused: Counter::default(), warned: false }
    }

    #[test]
    fn a_table_is_capped_and_its_sum_is_right() {
        let (mut table, mut room) = (LabelTable::<u64>::default(), room());
        for round in 0..2 {
            for value in 0..LABEL_VALUES_MAX + 50 {
                *table.of("label", &value.to_string(), &mut room) += 1;
            }
            assert_eq!(room.refused.get(), 50 * (round + 1));
        }
        assert_eq!(table.len(), LABEL_VALUES_MAX + 1);
        let sum: u64 = table.iter().map(|(_, count)| count).sum();
        assert_eq!(sum as usize, 2 * (LABEL_VALUES_MAX + 50));
        assert_eq!(*table.of("label", OTHER, &mut room), 100);
        assert_eq!(*table.of("label", "7", &mut room), 2);
    }

    #[test]
    fn all_tables_together_are_capped_and_long_values_are_other() {
        let mut room = room();
        *LabelTable::<u64>::default().of("label", &"x".repeat(LABEL_BYTES_MAX + 1), &mut room) += 1;
        assert_eq!((room.refused.get(), room.taken), (1, 1));
        let mut tables = vec![LabelTable::<u64>::default(); 30];
        for table in &mut tables {
            (0..LABEL_VALUES_MAX).for_each(|value| *table.of("label", &value.to_string(), &mut room) += 1);
        }
        assert!(room.taken <= SERIES_MAX + tables.len() + 1, "{} values", room.taken);
        let sum: u64 = tables.iter().flat_map(LabelTable::iter).map(|(_, count)| count).sum();
        assert_eq!(sum as usize, tables.len() * LABEL_VALUES_MAX);
    }

    #[test]
    fn a_table_is_a_map_on_disk_and_sorted_again_when_it_is_read() {
        let mut table: LabelTable<u64> = serde_json::from_str(r#"{"b":2,"a":1}"#).unwrap();
        assert_eq!(*table.of("label", "a", &mut room()), 1);
        assert_eq!(serde_json::to_string(&table).unwrap(), r#"{"a":1,"b":2}"#);
    }
}
