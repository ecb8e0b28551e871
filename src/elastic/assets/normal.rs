//! The normal form: when do two descriptions of an asset say the same?
//!
//! A server gives an asset back in words of its own: settings nested or flat, with `index.` before them or not, numbers and
//! booleans as texts, and defaults written out. In the normal form that is undone, so that a body of ours and the same body
//! from a server are equal, and so are their digests. What nobody has written is left out by [`DEFAULTS`] and [`OWN`].

use serde_json::{Map, Value};

use crate::text::digest::sha256_hexadecimal;

/// Members that servers write out, and what they mean when they are not written.
const DEFAULTS: [(&str, &str, &str); 7] = [
    ("/data_stream", "hidden", "false"),
    ("/data_stream", "allow_custom_routing", "false"),
    ("/template/lifecycle", "enabled", "true"),
    ("/phases/hot", "min_age", "0ms"),
    ("/phases/hot", "min_age", "0s"),
    ("/phases/delete", "min_age", "0ms"),
    ("/phases/delete/actions/delete", "delete_searchable_snapshot", "true"),
];

/// Members that are not of the content: ours, and what servers note for themselves.
const OWN: [(&str, &str); 6] = [
    ("", "_meta"),
    ("", "created_date"),
    ("", "created_date_millis"),
    ("", "modified_date"),
    ("", "modified_date_millis"),
    ("/data_stream", "timestamp_field"),
];

/// The part of an asset that describes it, as [`super::AssetKind::described`] gives it, in its normal form.
pub fn normal_form(described: &Value) -> Value {
    let mut normal = texts(described);
    for (pointer, member) in OWN {
        take(&mut normal, pointer, member, |_| true);
    }
    for (pointer, member, default) in DEFAULTS {
        take(&mut normal, pointer, member, |value| value == default);
    }
    if let Some(settings) = normal.pointer_mut("/template/settings") {
        *settings = Value::Object(flat_settings(settings));
    }
    let is_empty = |value: &Value| value.as_object().is_some_and(Map::is_empty);
    for member in ["settings", "mappings", "aliases"] {
        take(&mut normal, "/template", member, is_empty);
    }
    take(&mut normal, "", "template", is_empty);
    normal
}

/// What tells a content from every other: 32 hexadecimal digits.
pub fn content_digest(normal: &Value) -> String {
    let mut digest = sha256_hexadecimal(normal.to_string().as_bytes());
    digest.truncate(32);
    digest
}

/// Settings, nested or flat, by their whole names: `index.mode`. Values are texts.
pub fn flat_settings(settings: &Value) -> Map<String, Value> {
    let mut flat = Map::new();
    flatten("", &texts(settings), &mut flat);
    let whole = |name: String| if name.starts_with("index.") { name } else { format!("index.{name}") };
    flat.into_iter().map(|(name, value)| (whole(name), value)).collect()
}

fn flatten(prefix: &str, value: &Value, flat: &mut Map<String, Value>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                flatten(&name, member, flat);
            }
        }
        value => {
            flat.insert(prefix.to_owned(), value.clone());
        }
    }
}

/// The same with numbers and booleans as texts.
fn texts(value: &Value) -> Value {
    match value {
        Value::Bool(_) | Value::Number(_) => Value::String(value.to_string()),
        Value::Array(list) => list.iter().map(texts).collect(),
        Value::Object(object) => object.iter().map(|(name, member)| (name.clone(), texts(member))).collect(),
        Value::Null | Value::String(_) => value.clone(),
    }
}

fn take(value: &mut Value, pointer: &str, member: &str, is_to_go: impl Fn(&Value) -> bool) {
    let object = value.pointer_mut(pointer).and_then(Value::as_object_mut);
    if let Some(object) = object.filter(|object| object.get(member).is_some_and(is_to_go)) {
        object.remove(member);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_server_may_write_it_in_its_own_words() {
        let same = [
            (
                json!({ "template": { "settings": { "index": { "mode": "standard", "mapping": { "total_fields": { "limit": 2000 } } } } },
                        "_meta": { "digest": "x" } }),
                json!({ "template": { "settings": { "mode": "standard", "index.mapping.total_fields.limit": "2000" }, "aliases": {} } }),
            ),
            (
                json!({ "index_patterns": ["x-*"], "priority": 250, "data_stream": {}, "composed_of": ["a"] }),
                json!({ "index_patterns": ["x-*"], "priority": "250", "composed_of": ["a"], "template": { "settings": {} },
                        "data_stream": { "hidden": false, "allow_custom_routing": false, "timestamp_field": { "name": "@timestamp" } },
                        "created_date_millis": 1 }),
            ),
            (
                json!({ "phases": { "hot": { "actions": { "rollover": { "max_age": "30d" } } },
                                    "delete": { "min_age": "370d", "actions": { "delete": {} } } } }),
                json!({ "phases": { "hot": { "min_age": "0ms", "actions": { "rollover": { "max_age": "30d" } } },
                        "delete": { "min_age": "370d", "actions": { "delete": { "delete_searchable_snapshot": true } } } } }),
            ),
            (
                json!({ "template": { "lifecycle": { "data_retention": "400d" } } }),
                json!({ "template": { "lifecycle": { "enabled": true, "data_retention": "400d" } } }),
            ),
        ];
        for (ours, theirs) in same {
            assert_eq!(normal_form(&ours), normal_form(&theirs));
            assert_eq!(content_digest(&normal_form(&ours)), content_digest(&normal_form(&theirs)));
        }
    }

    #[test]
    fn what_means_something_else_is_something_else() {
        let template =
            json!({ "index_patterns": ["x-*"], "priority": 250, "data_stream": {}, "composed_of": ["a", "b"] });
        for other in [
            json!({ "index_patterns": ["x-*"], "priority": 100, "data_stream": {}, "composed_of": ["a", "b"] }),
            json!({ "index_patterns": ["x-*"], "priority": 250, "composed_of": ["a", "b"] }),
            json!({ "index_patterns": ["x-*"], "priority": 250, "data_stream": { "hidden": true }, "composed_of": ["a", "b"] }),
            json!({ "index_patterns": ["x-*"], "priority": 250, "data_stream": {}, "composed_of": ["b", "a"] }),
            json!({ "index_patterns": ["x-*"], "priority": 250, "data_stream": {}, "composed_of": ["a", "b"], "version": 1 }),
        ] {
            assert_ne!(normal_form(&template), normal_form(&other));
        }
    }
}
