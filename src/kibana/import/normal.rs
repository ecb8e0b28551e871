//! The normal form: what is compared of an object, so that ours and what Kibana made of it can be held side by side.
//!
//! JSON in texts is taken apart, what is empty is left out, `1.0` is `1`, and what Kibana or people add without changing ours is
//! passed over: how often a field was looked at, further tags, further connectors of a rule. Of what is there, only the members
//! that we write are compared: a newer Kibana adds some.

use serde_json::{Map, Value, json};

use super::marker::Marker;
use crate::kibana::object::ObjectKind;

/// An object as it is compared, and its marker.
pub(super) fn of_object(kind: ObjectKind, object: &Value) -> (Value, Option<Marker>) {
    let mut attributes = unfolded(&object["attributes"]);
    let marker = Marker::take(kind, &mut attributes);
    for field in attributes.get_mut("fieldAttrs").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        if let Some(field) = field.as_object_mut() {
            field.remove("count");
        }
    }
    let reference = |reference: &Value| {
        let text = |name: &str| reference[name].as_str().unwrap_or_default().to_owned();
        (text("name"), Value::from(format!("{}/{}", text("type"), text("id"))))
    };
    let references = object["references"].as_array().into_iter().flatten().map(reference);
    let references: Map<_, _> = references.filter(|(name, _)| !name.starts_with("tag-ref-")).collect();
    // Once more, for what became empty.
    (unfolded(&json!({ "attributes": attributes, "references": references })), marker)
}

/// A rule as it is compared: what we say of it, and the actions that go to our connector.
pub(super) fn of_rule(rule: &Value, connector: &str) -> Value {
    let actions = rule["actions"].as_array().into_iter().flatten().filter(|action| action["id"] == connector);
    let action = |action: &Value| {
        let group = action["group"].as_str().unwrap_or_default().to_owned();
        (group, json!({ "params": action["params"], "frequency": action["frequency"] }))
    };
    unfolded(&json!({
        "name": rule["name"], "schedule": rule["schedule"], "params": rule["params"],
        "actions": actions.map(action).collect::<Map<_, _>>(),
    }))
}

/// Of what is there, what ours has too: lists of the same length member by member.
pub(super) fn projected(there: &Value, ours: &Value) -> Value {
    match (there, ours) {
        (Value::Object(there), Value::Object(ours)) => {
            let both = ours.iter().filter_map(|(name, ours)| Some((name.clone(), projected(there.get(name)?, ours))));
            Value::Object(both.collect())
        }
        (Value::Array(there), Value::Array(ours)) if there.len() == ours.len() => {
            there.iter().zip(ours).map(|(there, ours)| projected(there, ours)).collect()
        }
        _ => there.clone(),
    }
}

/// JSON in texts taken apart, empty members left out, whole numbers without a fraction.
fn unfolded(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| (name.clone(), unfolded(value)));
            Value::Object(members.filter(|(_, value)| !is_empty(value)).collect())
        }
        Value::Array(items) => items.iter().map(unfolded).collect(),
        Value::String(text) if text.starts_with(['{', '[']) => {
            serde_json::from_str(text).map_or_else(|_| value.clone(), |inner: Value| unfolded(&inner))
        }
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => Value::from(float as i64),
            _ => value.clone(),
        },
        Value::String(_) | Value::Null | Value::Bool(_) => value.clone(),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elastic::setup::differences;

    fn lens(attributes: &Value) -> Value {
        of_object(ObjectKind::Lens, &json!({ "attributes": attributes, "references": [] })).0
    }

    /// What a person would have to read of two contents.
    fn lines(there: &Value, ours: &Value) -> Vec<String> {
        differences(&projected(there, ours), ours)
    }

    #[test]
    fn what_kibana_adds_or_writes_otherwise_is_no_difference_and_what_people_change_is_one() {
        let ours = lens(&json!({ "title": "T", "description": "", "n": 1.0, "panelsJSON": "[{\"a\":1,\"b\":{}}]" }));
        for (there, expected) in [
            (json!({ "title": "T", "n": 1, "panelsJSON": "[ { \"a\": 1 } ]", "version": 2 }), vec![]),
            (json!({ "title": "T", "n": 1, "panelsJSON": [{ "a": 1, "added": "by Kibana" }] }), vec![]),
            (json!({ "title": "Mine", "n": 1, "panelsJSON": "[{\"a\":1}]" }), vec!["attributes.title: Mine -> T"]),
            (
                json!({ "title": "T", "n": 1, "panelsJSON": "[{\"a\":1},{\"a\":2}]" }),
                vec!["attributes.panelsJSON: removed {\"a\":2}"],
            ),
            (json!({ "title": "T", "panelsJSON": "[{\"a\":1}]" }), vec!["attributes.n: added 1"]),
        ] {
            assert_eq!(lines(&lens(&there), &ours), expected, "{there}");
        }
    }

    #[test]
    fn how_often_a_field_was_looked_at_and_who_else_is_told_is_passed_over() {
        let view = |attributes: Value, references: Value| {
            of_object(ObjectKind::DataView, &json!({ "attributes": attributes, "references": references }))
        };
        let ours = view(json!({ "fieldAttrs": "{\"a\":{\"customLabel\":\"A\"}}" }), json!([])).0;
        let there = json!({ "fieldAttrs": "{\"a\":{\"customLabel\":\"A\",\"count\":3},\"b\":{\"count\":1}}" });
        let tags = json!([{ "type": "tag", "id": "t", "name": "tag-ref-t" }]);
        assert_eq!(view(there, tags).0, ours);
        let rule = |actions: Value| of_rule(&json!({ "name": "R", "tags": ["x"], "actions": actions }), "ours");
        let own = json!({ "id": "ours", "group": "g", "params": { "level": "info" }, "uuid": "u" });
        assert_eq!(rule(json!([own, { "id": "mine", "group": "g" }])), rule(json!([own])));
    }
}
