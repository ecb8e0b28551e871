//! Lists of keys and values: which member is meant that is not written as one?
//!
//! OpenTelemetry writes `"attributes":[{"key":"user.email","value":{"stringValue":"…"}}]`, others
//! `"headers":[{"name":"cookie","value":"…"}]`. For what has to be hidden, an object in an array that has exactly `key`, or
//! `name`, and `value` is a member of that name: `attributes.user.email` finds it. A value that is itself such a list is
//! entered, and so are OpenTelemetry's wrappings of values (`kvlistValue`, `arrayValue`).

use std::borrow::Cow;

use super::json;

/// Whether an object with a key and a value is a member of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lists {
    /// It is what it is: an object with two members.
    AsTheyStand,
    ByKey,
}

/// A key with its raw value, which is a part of the element.
#[derive(Debug)]
pub(super) struct KeyValue<'r> {
    pub(super) key: String,
    pub(super) value: &'r str,
}

impl Lists {
    /// What an element of an array is, if it is a key with a value.
    pub(super) fn key_value(self, element: &str) -> Option<KeyValue<'_>> {
        if self == Lists::AsTheyStand || !element.starts_with('{') {
            return None;
        }
        let (mut key, mut value, mut count) = (None, None, 0);
        for (name, raw) in sonic_rs::to_object_iter(element).flatten() {
            count += 1;
            match &*name {
                "key" | "name" if raw.as_raw_str().starts_with('"') => {
                    key = Some(json::unescape(raw.as_raw_str()).into_owned());
                }
                "value" => value = Some(json::place(element, raw.as_raw_str())),
                _ => return None,
            }
        }
        (count == 2).then_some(KeyValue { key: key?, value: value? })
    }

    /// The list that an OpenTelemetry value wraps, else the value itself.
    pub(super) fn unwrapped(self, raw: &str) -> &str {
        let list = |raw| only_member(raw, &["kvlistValue", "arrayValue"]).and_then(|raw| only_member(raw, &["values"]));
        if self == Lists::AsTheyStand { raw } else { list(raw).unwrap_or(raw) }
    }
}

/// The value of an object that has one member, called so.
fn only_member<'r>(raw: &'r str, names: &[&str]) -> Option<&'r str> {
    if !raw.starts_with('{') {
        return None;
    }
    let mut members = sonic_rs::to_object_iter(raw).flatten();
    let (name, value): (Cow<'_, str>, _) = members.next()?;
    let value = json::place(raw, value.as_raw_str());
    (names.contains(&&*name) && members.next().is_none()).then_some(value)
}

/// Writes what stands in place of a value: where that is an OpenTelemetry value it stays one, as a text.
pub(super) fn write_in_place(value: &str, new: impl FnOnce(&str) -> String, out: &mut String) {
    const TYPES: [&str; 7] =
        ["stringValue", "intValue", "doubleValue", "boolValue", "bytesValue", "arrayValue", "kvlistValue"];
    match only_member(value, &TYPES) {
        None => out.push_str(&new(value)),
        Some(inside) => {
            out.push_str("{\"stringValue\":");
            out.push_str(&new(inside));
            out.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_with_values_are_seen() {
        for (element, expected) in [
            (r#"{"key":"a.b","value":7}"#, Some(("a.b", "7"))),
            (r#"{"value":{"stringValue":"x"},"key":"a"}"#, Some(("a", r#"{"stringValue":"x"}"#))),
            (r#"{"name":"a","value":null}"#, Some(("a", "null"))),
            (r#"{"key":"\u0061","value":7}"#, Some(("a", "7"))),
            (r#"{"key":"a","value":7,"more":1}"#, None),
            (r#"{"key":"a"}"#, None),
            (r#"{"key":1,"value":7}"#, None),
            (r#"{"key":"a","name":"b"}"#, None),
            ("7", None),
        ] {
            let found = Lists::ByKey.key_value(element);
            assert_eq!(found.as_ref().map(|it| (it.key.as_str(), it.value)), expected, "{element}");
            assert!(Lists::AsTheyStand.key_value(element).is_none());
        }
    }

    #[test]
    fn wrapped_lists_are_entered() {
        for (raw, expected) in [
            (r#"{"kvlistValue":{"values":[1]}}"#, "[1]"),
            (r#"{"arrayValue":{"values":[1]}}"#, "[1]"),
            (r#"{"arrayValue":{"values":[1]},"x":1}"#, r#"{"arrayValue":{"values":[1]},"x":1}"#),
            (r#"{"stringValue":"x"}"#, r#"{"stringValue":"x"}"#),
            ("[1]", "[1]"),
        ] {
            assert_eq!(Lists::ByKey.unwrapped(raw), expected);
            assert_eq!(Lists::AsTheyStand.unwrapped(raw), raw);
        }
    }
}
