//! Sources: small YAML files that people read and write, read here into what the program makes objects of.

use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

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
    pub fn new(name: &str, problem: impl ToString) -> SourceError {
        SourceError { name: name.to_owned(), problem: problem.to_string() }
    }
}

/// Reads the one document of a YAML text.
///
/// # Errors
/// When it is no YAML, not one document, or not what is to be read.
pub fn read<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, SourceError> {
    let wrong = |problem: &dyn ToString| SourceError::new(name, problem.to_string());
    let documents = Yaml::load_from_str(text).map_err(|error| wrong(&error))?;
    let [document] = documents.as_slice() else { return Err(wrong(&"it is not one document")) };
    let value = to_json(document).ok_or_else(|| wrong(&"a key is not a text, or a value has a tag or an alias"))?;
    serde_json::from_value(value).map_err(|error| wrong(&error))
}

fn to_json(node: &Yaml<'_>) -> Option<Value> {
    Some(match node {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => Value::from(*value),
        Yaml::Value(Scalar::Integer(value)) => Value::from(*value),
        Yaml::Value(Scalar::FloatingPoint(value)) => Value::from(value.into_inner()),
        Yaml::Value(Scalar::String(value)) => Value::from(value.as_ref()),
        Yaml::Sequence(items) => Value::Array(items.iter().map(to_json).collect::<Option<_>>()?),
        Yaml::Mapping(members) => {
            let member = |(key, value): (&Yaml<'_>, &Yaml<'_>)| Some((key.as_str()?.to_owned(), to_json(value)?));
            Value::Object(members.iter().map(member).collect::<Option<Map<_, _>>>()?)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn yaml_is_read_as_what_it_says() {
        let text = "a: [1, 2.5, true, x, \"1\", ~]\nb: { c: d }";
        let read_value: Value = read("s", text).unwrap();
        assert_eq!(read_value, json!({ "a": [1, 2.5, true, "x", "1", null], "b": { "c": "d" } }));
        for (text, problem) in [
            ("a: [", "the source `s` is wrong: "),
            ("", "it is not one document"),
            ("a\n---\nb", "it is not one document"),
            ("1: a", "a key is not a text"),
            ("[a]", "invalid type: sequence, expected a map"),
        ] {
            let error = read::<Map<String, Value>>("s", text).unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }
}
