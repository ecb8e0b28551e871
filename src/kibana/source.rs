//! Sources: small YAML files that people read and write, read here into what the program makes objects of.

use serde::de::DeserializeOwned;

use crate::text::yaml;

/// A source is wrong. All of them are part of the binary, and tests read them all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the source `{name}` is wrong: {problem}")]
pub struct SourceError {
    /// Which one: its path in the project.
    pub name: String,
    /// What is wrong.
    pub problem: String,
}

impl SourceError {
    /// Says what is wrong with a source.
    pub fn new(name: &str, problem: impl Into<String>) -> SourceError {
        SourceError { name: name.to_owned(), problem: problem.into() }
    }
}

/// Reads the one document of a YAML text.
///
/// # Errors
/// When it is no YAML, not one document, or not what is to be read.
pub fn read<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, SourceError> {
    let value = yaml::value(text).map_err(|problem| SourceError::new(name, problem))?;
    serde_json::from_value(value).map_err(|error| SourceError::new(name, error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_source_says_which_one_is_wrong() {
        let read = read::<BTreeMap<String, u64>>;
        assert_eq!(read("s", "a: 1").unwrap(), BTreeMap::from([("a".to_owned(), 1)]));
        for (text, problem) in [("a: [", "while parsing"), ("", "0 documents"), ("[a]", "expected a map")] {
            let error = read("s", text).unwrap_err().to_string();
            assert!(error.starts_with("the source `s` is wrong: ") && error.contains(problem), "{text}: {error}");
        }
    }
}
