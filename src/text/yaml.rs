//! YAML of our own files as JSON: dashboards, rules. What a user writes is read by `config`, which says where it is wrong.

use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::{Map, Value};

/// The one document of a text.
///
/// # Errors
/// Says what is wrong: no YAML, not one document, a key that is no text, or something that JSON does not have.
pub fn value(text: &str) -> Result<Value, String> {
    let documents = Yaml::load_from_str(text).map_err(|error| error.to_string())?;
    match documents.as_slice() {
        [one] => of_node(one),
        documents => Err(format!("it has {} documents, and must have one", documents.len())),
    }
}

fn of_node(node: &Yaml<'_>) -> Result<Value, String> {
    Ok(match node {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => Value::from(*value),
        Yaml::Value(Scalar::Integer(value)) => Value::from(*value),
        Yaml::Value(Scalar::FloatingPoint(value)) => Value::from(value.into_inner()),
        Yaml::Value(Scalar::String(value)) => Value::from(value.as_ref()),
        Yaml::Sequence(items) => Value::Array(items.iter().map(of_node).collect::<Result<_, _>>()?),
        Yaml::Mapping(members) => {
            let member = |(key, value): (&Yaml<'_>, &Yaml<'_>)| {
                let key = key.as_str().ok_or("a key is not a text")?;
                Ok((key.to_owned(), of_node(value)?))
            };
            Value::Object(members.iter().map(member).collect::<Result<Map<_, _>, String>>()?)
        }
        _ => return Err("it has a tag or an alias, and must be plain".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn plain_yaml_becomes_json_and_the_rest_is_refused() {
        let plain = "a: 1\nb: [x, 0.5, true, null, \"1\"]\nc: |\n  two\n  lines\n";
        assert_eq!(value(plain), Ok(json!({"a": 1, "b": ["x", 0.5, true, null, "1"], "c": "two\nlines\n"})));
        for (text, problem) in [
            ("a: [", "while parsing"),
            ("a: 1\n---\nb: 2\n", "it has 2 documents"),
            ("1: a", "a key is not a text"),
            ("a: !x y", "a tag or an alias"),
        ] {
            let said = value(text).unwrap_err();
            assert!(said.contains(problem), "{text}: {said}");
        }
    }
}
