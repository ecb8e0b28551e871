//! Classes: which names of predictions and labels have counts of their own?
//!
//! What a model predicts is outside text, so there may be any number of names. The first [`CLASSES_MAX`] in the order of
//! their bytes have counts of their own, the others are counted together. By order and not by time: which ones these are
//! then does not depend on the order in which outcomes came, and parts add up to the whole.

use serde::{Deserialize, Serialize};

/// Classes with counts of their own; all further ones share one.
pub const CLASSES_MAX: usize = 100;

/// A class with a longer name, in bytes, is one of the further ones; labels and predictions have its digest instead.
pub const CLASS_BYTES_MAX: usize = 256;

/// What the further classes are called together.
pub const OTHER_CLASSES: &str = "other";

/// At most [`CLASSES_MAX`] names, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClassNames(Vec<String>);

impl ClassNames {
    /// Names that were kept somewhere; `None` if they were not kept by this type.
    pub(super) fn checked(self) -> Option<ClassNames> {
        let is_ordered = self.0.is_sorted_by(|one, next| one < next);
        (is_ordered && self.0.len() <= CLASSES_MAX).then_some(self)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Where the counts of a class are: at a place of its own, or at that of the further ones, behind the last.
    pub(super) fn place(&self, name: &str) -> usize {
        self.0.binary_search_by(|known| (**known).cmp(name)).unwrap_or(self.0.len())
    }

    /// The name at a place.
    pub(super) fn name(&self, place: usize) -> &str {
        self.0.get(place).map_or(OTHER_CLASSES, String::as_str)
    }

    /// Whether a name is to have a place of its own, and has none yet.
    pub(super) fn lacks(&self, name: &str) -> bool {
        let is_kept = |place: usize| name.len() <= CLASS_BYTES_MAX && place < CLASSES_MAX;
        self.0.binary_search_by(|known| (**known).cmp(name)).is_err_and(is_kept)
    }

    /// These names and further ones, as many as have a place.
    pub(super) fn with<'n>(&self, further: impl IntoIterator<Item = &'n str>) -> ClassNames {
        let short = further.into_iter().filter(|name| name.len() <= CLASS_BYTES_MAX);
        let mut names: Vec<String> = self.0.iter().cloned().chain(short.map(str::to_owned)).collect();
        names.sort_unstable();
        names.dedup();
        names.truncate(CLASSES_MAX);
        ClassNames(names)
    }

    /// For each place here, that of the further ones last, the place of the same class among other names.
    pub(super) fn places_in(&self, names: &ClassNames) -> Vec<usize> {
        self.iter().map(|name| names.place(name)).chain([names.len()]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_by_name_have_places_of_their_own() {
        let many: Vec<String> = (0..CLASSES_MAX).map(|number| format!("c{number:03}")).collect();
        let names = ClassNames::default().with(many.iter().map(String::as_str));
        assert_eq!((names.len(), names.place("c000"), names.place("c099"), names.place("d")), (100, 0, 99, 100));
        assert!(!names.lacks("c000") && !names.lacks("d") && names.lacks("b"));
        let shifted = names.with(["b"]);
        assert_eq!((shifted.place("b"), shifted.place("c000"), shifted.place("c099")), (0, 1, 100));
        assert_eq!(shifted.name(100), "other");
        assert_eq!(names.places_in(&shifted)[98..], [99, 100, 100], "the last one is one of the further ones now");
        let long = "a".repeat(CLASS_BYTES_MAX + 1);
        assert!(!shifted.lacks(&long) && shifted.lacks(&long[1..]) && shifted.with([&*long]) == shifted);
    }

    #[test]
    fn names_that_were_not_kept_so_are_refused() {
        for (names, expected) in [(vec!["a", "b"], true), (vec!["b", "a"], false), (vec!["a", "a"], false)] {
            let names = ClassNames(names.into_iter().map(str::to_owned).collect());
            assert_eq!(names.clone().checked().is_some(), expected, "{names:?}");
        }
        let many = ClassNames((0..=CLASSES_MAX).map(|number| format!("{number:03}")).collect());
        assert_eq!(many.checked(), None);
    }
}
