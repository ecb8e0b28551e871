//! The confusion matrix: how often was what predicted where the truth was what?

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::classes::ClassNames;
use super::share::ratio;

/// Counts of outcomes by label and prediction, of at most [`super::CLASSES_MAX`] classes and the further ones together: at most
/// 80 KiB, and 8 bytes a pair of classes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Kept")]
pub struct ConfusionMatrix {
    classes: ClassNames,
    /// By rows of one label; the last row and the last column are those of the further classes.
    counts: Vec<u64>,
}

/// A matrix as it was kept.
#[derive(Deserialize)]
struct Kept {
    classes: ClassNames,
    counts: Vec<u64>,
}

/// One cell that is not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ConfusionCell<'m> {
    /// What was true.
    pub label: &'m str,
    /// What was predicted.
    pub prediction: &'m str,
    /// How often.
    pub outcomes: u64,
}

/// The outcomes in which one class was the prediction, the label or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ClassCounts<'m> {
    /// The name of the class.
    pub class: &'m str,
    /// It was predicted: TP + FP.
    pub predicted: u64,
    /// It was true: TP + FN.
    pub labelled: u64,
    /// Both: TP.
    pub correct: u64,
}

impl Default for ConfusionMatrix {
    fn default() -> ConfusionMatrix {
        ConfusionMatrix { classes: ClassNames::default(), counts: vec![0] }
    }
}

impl TryFrom<Kept> for ConfusionMatrix {
    type Error = &'static str;

    fn try_from(kept: Kept) -> Result<ConfusionMatrix, &'static str> {
        let classes = kept.classes.checked().ok_or("the classes of a confusion matrix are not in order")?;
        let side = classes.len() + 1;
        let is_square = kept.counts.len() == side * side;
        is_square.then_some(ConfusionMatrix { classes, counts: kept.counts }).ok_or("a confusion matrix is not square")
    }
}

impl ConfusionMatrix {
    /// Counts one outcome.
    pub fn add(&mut self, prediction: &str, label: &str) {
        let mut places = [label, prediction].map(|name| self.classes.place(name));
        if places.contains(&self.classes.len()) && (self.classes.lacks(prediction) || self.classes.lacks(label)) {
            *self = self.among(self.classes.with([prediction, label]));
            places = [label, prediction].map(|name| self.classes.place(name));
        }
        let cell = self.cell(places[0], places[1]);
        self.counts[cell] += 1;
    }

    /// Adds what others counted.
    pub fn merge(&mut self, other: &ConfusionMatrix) {
        *self = self.among(self.classes.with(other.classes.iter()));
        let other = other.among(self.classes.clone());
        self.counts.iter_mut().zip(&other.counts).for_each(|(mine, its)| *mine = mine.saturating_add(*its));
    }

    /// The same outcomes where other classes have counts of their own.
    fn among(&self, classes: ClassNames) -> ConfusionMatrix {
        let places = self.classes.places_in(&classes);
        let side = classes.len() + 1;
        let mut matrix = ConfusionMatrix { classes, counts: vec![0; side * side] };
        for (row, new_row) in places.iter().enumerate() {
            for (column, new_column) in places.iter().enumerate() {
                let cell = matrix.cell(*new_row, *new_column);
                matrix.counts[cell] += self.counts[self.cell(row, column)];
            }
        }
        matrix
    }

    fn cell(&self, row: usize, column: usize) -> usize {
        row * (self.classes.len() + 1) + column
    }

    /// All cells that are not 0, in the order of label and prediction.
    ///
    /// Further classes are called [`super::OTHER_CLASSES`]. Where there are some, a class that has this very name is counted with them
    /// here, and by itself in [`ConfusionMatrix::classes`].
    pub fn cells(&self) -> Vec<ConfusionCell<'_>> {
        let mut cells: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        let side = self.classes.len() + 1;
        for (place, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            *cells.entry((self.classes.name(place / side), self.classes.name(place % side))).or_default() += count;
        }
        cells.into_iter().map(|((label, prediction), outcomes)| ConfusionCell { label, prediction, outcomes }).collect()
    }

    /// The classes with counts of their own, in the order of their names. The further ones have no figures: together they are no class.
    pub fn classes(&self) -> impl Iterator<Item = ClassCounts<'_>> {
        let side = self.classes.len() + 1;
        self.classes.iter().enumerate().map(move |(place, class)| {
            let predicted = (0..side).map(|row| self.counts[self.cell(row, place)]).sum();
            let labelled = (0..side).map(|column| self.counts[self.cell(place, column)]).sum();
            ClassCounts { class, predicted, labelled, correct: self.counts[self.cell(place, place)] }
        })
    }
}

impl ClassCounts<'_> {
    /// How many of its predictions were right, TP / (TP + FP); absent if it never was predicted
    /// (`sklearn.metrics.precision_score`).
    pub fn precision(&self) -> Option<f64> {
        ratio(self.correct, self.predicted)
    }

    /// How many of its labels were predicted, TP / (TP + FN); absent if it never was a label (`sklearn.metrics.recall_score`).
    pub fn recall(&self) -> Option<f64> {
        ratio(self.correct, self.labelled)
    }

    /// The harmonic mean of both, 2·TP / (2·TP + FP + FN): 0 for a class that never was predicted
    /// (`sklearn.metrics.f1_score`).
    pub fn f1(&self) -> Option<f64> {
        ratio(2 * self.correct, self.predicted + self.labelled)
    }
}

#[cfg(test)]
mod tests {
    use super::super::CLASSES_MAX;
    use super::*;

    fn matrix(pairs: &[(&str, &str)]) -> ConfusionMatrix {
        let mut matrix = ConfusionMatrix::default();
        pairs.iter().for_each(|(prediction, label)| matrix.add(prediction, label));
        matrix
    }

    fn cells(matrix: &ConfusionMatrix) -> Vec<(&str, &str, u64)> {
        matrix.cells().iter().map(|cell| (cell.label, cell.prediction, cell.outcomes)).collect()
    }

    #[test]
    fn pairs_are_counted() {
        let matrix = matrix(&[("b", "a"), ("a", "a"), ("b", "a"), ("c", "b")]);
        assert_eq!(cells(&matrix), [("a", "a", 1), ("a", "b", 2), ("b", "c", 1)]);
        let figures: Vec<_> =
            matrix.classes().map(|class| (class.class, class.precision(), class.recall(), class.f1())).collect();
        let third = Some(1.0 / 3.0);
        assert_eq!(
            figures,
            [
                ("a", Some(1.0), third, Some(0.5)),
                ("b", Some(0.0), Some(0.0), Some(0.0)),
                ("c", Some(0.0), None, Some(0.0))
            ]
        );
        assert_eq!(ConfusionMatrix::default().cells(), []);
    }

    #[test]
    fn further_classes_are_counted_together_and_the_others_stay_exact() {
        let mut all = ConfusionMatrix::default();
        let names: Vec<String> = (0..300).map(|number| format!("c{number:03}")).collect();
        for name in names.iter().rev() {
            all.add(name, name);
            all.add("c000", name);
        }
        let classes: Vec<ClassCounts<'_>> = all.classes().collect();
        assert_eq!(classes.len(), CLASSES_MAX);
        let first = ClassCounts { class: "c000", predicted: 301, labelled: 2, correct: 2 };
        assert_eq!(classes[0], first);
        assert_eq!(classes[99], ClassCounts { class: "c099", predicted: 1, labelled: 2, correct: 1 });
        let cells = cells(&all);
        assert_eq!(cells.iter().map(|cell| cell.2).sum::<u64>(), 600);
        assert!(cells.contains(&("other", "other", 200)) && cells.contains(&("other", "c000", 200)), "{cells:?}");
    }

    #[test]
    fn a_class_named_as_the_further_ones_are_is_one_cell_with_them() {
        let mut all = matrix(&[("other", "other")]);
        (0..CLASSES_MAX).for_each(|number| all.add(&format!("a{number}"), "a0"));
        assert!(cells(&all).contains(&("other", "other", 1)));
        let long = "x".repeat(300);
        let both = matrix(&[("other", "other"), (&long, &long), ("y", "other")]);
        assert_eq!(cells(&both), [("other", "other", 2), ("other", "y", 1)]);
        assert_eq!(both.classes().next().unwrap().recall(), Some(0.5), "its own figures are its own");
    }

    #[test]
    fn a_matrix_that_is_kept_comes_back_or_is_refused() {
        let all = matrix(&[("b", "a"), ("a", "a")]);
        let text = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<ConfusionMatrix>(&text).unwrap(), all);
        let broken = text.replace("[\"a\",\"b\"]", "[\"a\"]");
        assert!(serde_json::from_str::<ConfusionMatrix>(&broken).is_err(), "{broken}");
    }
}
