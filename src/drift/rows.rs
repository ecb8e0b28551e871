//! Rows: how do tables and records come to what counts them?
//!
//! Whoever reads files says once which columns there are, and then row by row what stands in them. A column of a row that is not
//! mentioned is missing; one that is mentioned twice counts once.

use std::collections::HashMap;

use super::baseline::FEATURES_MAX;
use super::value::Value;
use super::words::Kind;

/// Most model versions that are told apart.
pub const VERSIONS_MAX: usize = 100;

/// Takes the rows of files, one after the other.
pub trait Rows {
    /// The number of a column.
    ///
    /// # Errors
    /// When there are too many.
    fn column(&mut self, kind: Kind, name: &str) -> Result<usize, RowError>;

    /// Begins the next row, of this model and version; either may be empty.
    ///
    /// # Errors
    /// When there are too many versions.
    fn begin(&mut self, model_name: &str, model_version: &str) -> Result<(), RowError>;

    /// What stands in a column of the row.
    fn value(&mut self, column: usize, value: &Value<'_>);

    /// Ends the row.
    fn end(&mut self);
}

/// Why rows cannot be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// There are too many features.
    #[error("there are more than {FEATURES_MAX} features")]
    Features,
    /// There are too many versions.
    #[error("there are more than {VERSIONS_MAX} model versions")]
    Versions,
}

/// The columns, by kind and name.
#[derive(Clone, Debug, Default)]
pub(super) struct Columns {
    /// In the order in which they were met.
    pub(super) names: Vec<(Kind, String)>,
    places: HashMap<String, usize>,
    prediction: Option<usize>,
    confidence: Option<usize>,
}

impl Columns {
    /// The number of a column, which is new when it is the number of columns before.
    pub(super) fn place(&mut self, kind: Kind, name: &str) -> Result<usize, RowError> {
        let known = match kind {
            Kind::Feature => self.places.get(name).copied(),
            Kind::Prediction => self.prediction,
            Kind::Confidence => self.confidence,
        };
        if let Some(place) = known {
            return Ok(place);
        }
        let place = self.names.len();
        if place == FEATURES_MAX {
            return Err(RowError::Features);
        }
        self.names.push((kind, name.to_owned()));
        match kind {
            Kind::Feature => drop(self.places.insert(name.to_owned(), place)),
            Kind::Prediction => self.prediction = Some(place),
            Kind::Confidence => self.confidence = Some(place),
        }
        Ok(place)
    }
}

/// Something for each model version, and which version the row is of.
#[derive(Clone, Debug)]
pub(super) struct Versions<T> {
    all: Vec<Version<T>>,
    current: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Version<T> {
    pub(super) model_name: String,
    pub(super) model_version: String,
    pub(super) of: T,
}

impl<T> Default for Versions<T> {
    fn default() -> Versions<T> {
        Versions { all: Vec::new(), current: 0 }
    }
}

impl<T> Versions<T> {
    /// Goes to a version, which is made when it is new.
    pub(super) fn go_to(
        &mut self,
        model_name: &str,
        model_version: &str,
        new: impl FnOnce() -> T,
    ) -> Result<&mut T, RowError> {
        let is_it = |version: &Version<T>| version.model_version == model_version && version.model_name == model_name;
        // Rows of one version mostly follow each other.
        if !self.all.get(self.current).is_some_and(is_it) {
            self.current = match self.all.iter().position(is_it) {
                Some(place) => place,
                None if self.all.len() == VERSIONS_MAX => return Err(RowError::Versions),
                None => {
                    let (model_name, model_version) = (model_name.to_owned(), model_version.to_owned());
                    self.all.push(Version { model_name, model_version, of: new() });
                    self.all.len() - 1
                }
            };
        }
        Ok(&mut self.all[self.current].of)
    }

    /// The version that the row is of.
    pub(super) fn current(&mut self) -> Option<&mut T> {
        self.all.get_mut(self.current).map(|version| &mut version.of)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        self.all.iter().map(|version| &version.of)
    }

    pub(super) fn into_all(self) -> Vec<Version<T>> {
        self.all
    }
}
