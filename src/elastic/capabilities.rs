//! Capabilities: which parts of templates does a server know?
//!
//! A version says little: forks number their own, and features come and go within one. So `setup` shows the server each
//! part (`_index_template/_simulate`, which writes nothing) and sees whether it takes it. A part that it does not know is
//! left out or replaced, and what that means is said.

use serde_json::{Map, Value, json};

/// How backing indices are rolled over and deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    /// By a policy: `_ilm`.
    Policies,
    /// By the data stream's own lifecycle.
    DataStreams,
    /// Not by the server, as far as inferlog can tell it.
    None,
}

/// What a server knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// How indices are rolled over and deleted.
    pub lifecycle: Lifecycle,
    /// The parts that it does not know.
    pub missing: Vec<Part>,
}

impl Capabilities {
    /// Everything, as Elasticsearch 8.19 and 9 know it.
    pub fn all() -> Capabilities {
        Capabilities { lifecycle: Lifecycle::Policies, missing: Vec::new() }
    }

    /// True when the server knows the part.
    pub fn knows(&self, part: Part) -> bool {
        !self.missing.contains(&part)
    }

    /// What is missing and what that means, a line each.
    pub fn remarks(&self) -> Vec<String> {
        let of_lifecycle = match self.lifecycle {
            Lifecycle::Policies => None,
            Lifecycle::DataStreams => Some("lifecycle policies: data stream lifecycles are used in their place"),
            Lifecycle::None => Some(
                "lifecycle policies, nor data stream lifecycles: nothing is rolled over or deleted, unless by the \
                 server's own means (in OpenSearch, an Index State Management policy)",
            ),
        };
        // What has a replacement that the server knows is no loss.
        let is_replaced = |part: &Part| *part == Part::Subobjects && self.knows(Part::DisableObjects);
        let is_replacement = |part: &Part| *part == Part::DisableObjects;
        let parts = self.missing.iter().filter(|part| !is_replaced(part) && !is_replacement(part));
        let parts = parts.map(|part| format!("`{}`: {}", part.name(), part.loss()));
        parts.chain(of_lifecycle.map(str::to_owned)).collect()
    }

    /// Leaves out of an asset's body what the server does not know.
    pub(super) fn adapt(&self, body: &mut Value) {
        for part in &self.missing {
            match part {
                Part::IndexMode => remove(body, "/template/settings/index", "mode"),
                Part::SourceMode => remove(body, "/template/settings/index/mapping", "source"),
                Part::FieldOverflow => {
                    remove(body, "/template/settings/index/mapping/total_fields", "ignore_dynamic_beyond_limit");
                }
                Part::Subobjects => self.replace_subobjects(body),
                Part::MalformedBooleans => each_object(body, &without_malformed_booleans),
                Part::TypeLists => each_object(body, &with_single_types),
                Part::MissingComponents => without_hooks(body),
                // What is about the failure store alone is left out as a whole.
                Part::FailureStore | Part::DisableObjects => {}
            }
        }
    }

    fn replace_subobjects(&self, body: &mut Value) {
        let Some(mappings) = body.pointer_mut("/template/mappings").and_then(Value::as_object_mut) else { return };
        if mappings.remove("subobjects").is_some() && self.knows(Part::DisableObjects) {
            mappings.insert("disable_objects".to_owned(), Value::Bool(true));
        }
    }
}

/// A part of templates that not every server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `index.mode`
    IndexMode,
    /// `index.mapping.source.mode`
    SourceMode,
    /// `index.mapping.total_fields.ignore_dynamic_beyond_limit`
    FieldOverflow,
    /// `data_stream_options.failure_store`
    FailureStore,
    /// `subobjects`
    Subobjects,
    /// `disable_objects`, which OpenSearch has in its place.
    DisableObjects,
    /// `ignore_malformed` of booleans
    MalformedBooleans,
    /// `match_mapping_type` as a list
    TypeLists,
    /// `ignore_missing_component_templates`
    MissingComponents,
}

impl Part {
    /// All of them.
    pub const ALL: [Part; 9] = [
        Part::IndexMode,
        Part::SourceMode,
        Part::FieldOverflow,
        Part::FailureStore,
        Part::Subobjects,
        Part::DisableObjects,
        Part::MalformedBooleans,
        Part::TypeLists,
        Part::MissingComponents,
    ];

    /// As it is written in a template.
    pub fn name(self) -> &'static str {
        match self {
            Part::IndexMode => "index.mode",
            Part::SourceMode => "index.mapping.source.mode",
            Part::FieldOverflow => "index.mapping.total_fields.ignore_dynamic_beyond_limit",
            Part::FailureStore => "data_stream_options.failure_store",
            Part::Subobjects => "subobjects",
            Part::DisableObjects => "disable_objects",
            Part::MalformedBooleans => "ignore_malformed of booleans",
            Part::TypeLists => "match_mapping_type as a list",
            Part::MissingComponents => "ignore_missing_component_templates",
        }
    }

    /// What it means that a server does not know it.
    fn loss(self) -> &'static str {
        match self {
            Part::IndexMode => "it has no modes that would reorder or reprint `_source`, so nothing is lost",
            Part::SourceMode => {
                "that `_source` is kept as it came cannot be asked for; it is, unless you have it made anew"
            }
            Part::FieldOverflow => "a record that would bring more fields than the limit is refused: dead letter",
            Part::FailureStore => "it has no failure store, so nothing is lost",
            Part::Subobjects | Part::DisableObjects => {
                "a record with an object where another one had a plain value is refused: dead letter"
            }
            Part::MalformedBooleans => {
                "a value that is no boolean, in a field that was one first, is refused: dead letter"
            }
            Part::TypeLists => "it is written out type by type, so nothing is lost",
            Part::MissingComponents => "there are no `@custom` hooks: what you change in a template is a conflict",
        }
    }

    /// An index template's members that hold this part and nothing else.
    pub(super) fn probe(self) -> Value {
        let template = |template: Value| json!({ "template": template });
        match self {
            Part::IndexMode => template(json!({ "settings": { "index.mode": "standard" } })),
            Part::SourceMode => template(json!({ "settings": { "index.mapping.source.mode": "stored" } })),
            Part::FieldOverflow => {
                let setting = "index.mapping.total_fields.ignore_dynamic_beyond_limit";
                template(json!({ "settings": { setting: true } }))
            }
            Part::FailureStore => template(json!({ "data_stream_options": { "failure_store": { "enabled": false } } })),
            Part::Subobjects => template(json!({ "mappings": { "subobjects": false } })),
            Part::DisableObjects => template(json!({ "mappings": { "disable_objects": true } })),
            Part::MalformedBooleans => {
                let field = json!({ "type": "boolean", "ignore_malformed": true });
                template(json!({ "mappings": { "properties": { "probe": field } } }))
            }
            Part::TypeLists => {
                let rule = json!({ "match_mapping_type": ["long", "double"], "mapping": { "type": "double" } });
                template(json!({ "mappings": { "dynamic_templates": [{ "probe": rule }] } }))
            }
            Part::MissingComponents => {
                let hook = ["inferlog-probe@custom"];
                json!({ "composed_of": hook, "ignore_missing_component_templates": hook })
            }
        }
    }
}

/// Removes a member, and the objects around it that it leaves empty.
fn remove(body: &mut Value, pointer: &str, member: &str) {
    let Some(object) = body.pointer_mut(pointer).and_then(Value::as_object_mut) else { return };
    object.remove(member);
    let is_empty = object.is_empty();
    if let Some((parent, name)) = pointer.rsplit_once('/').filter(|_| is_empty && pointer != "/template") {
        remove(body, parent, name);
    }
}

/// Calls a function for every object in a value, the outer ones first.
fn each_object(value: &mut Value, change: &dyn Fn(&mut Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            change(object);
            object.values_mut().for_each(|member| each_object(member, change));
        }
        Value::Array(list) => list.iter_mut().for_each(|member| each_object(member, change)),
        _ => {}
    }
}

fn without_malformed_booleans(object: &mut Map<String, Value>) {
    if object.get("type").is_some_and(|kind| kind == "boolean") {
        object.remove("ignore_malformed");
    }
}

/// A rule for several types becomes one for each, in its place.
fn with_single_types(object: &mut Map<String, Value>) {
    let Some(rules) = object.get_mut("dynamic_templates").and_then(Value::as_array_mut) else { return };
    let written = std::mem::take(rules);
    rules.extend(written.iter().flat_map(|rule| {
        let named = rule.as_object().and_then(|rule| rule.iter().next());
        match named.and_then(|(name, body)| Some((name, body, body["match_mapping_type"].as_array()?))) {
            Some((name, body, kinds)) => {
                let single = |kind: &Value| {
                    let mut body = body.clone();
                    body["match_mapping_type"] = kind.clone();
                    json!({ format!("{name}_{}", kind.as_str().unwrap_or_default()): body })
                };
                kinds.iter().map(single).collect()
            }
            None => vec![rule.clone()],
        }
    }));
}

fn without_hooks(body: &mut Value) {
    let Some(hooks) = body.as_object_mut().and_then(|body| body.remove("ignore_missing_component_templates")) else {
        return;
    };
    let hooks = hooks.as_array().cloned().unwrap_or_default();
    if let Some(parts) = body["composed_of"].as_array_mut() {
        parts.retain(|part| !hooks.contains(part));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_does_not_know_is_left_out_or_replaced() {
        let settings = json!({ "template": { "settings": { "index": {
            "mode": "standard", "codec": "best_compression",
            "mapping": { "total_fields": { "ignore_dynamic_beyond_limit": true }, "source": { "mode": "stored" } } } } } });
        let mappings = json!({ "template": { "mappings": {
            "subobjects": false,
            "dynamic_templates": [
                { "a": { "match_mapping_type": ["long", "double"], "mapping": { "type": "double" } } },
                { "b": { "match_mapping_type": "string", "mapping": { "type": "keyword" } } }],
            "properties": { "x": { "type": "boolean", "ignore_malformed": true } } } } });
        let template = json!({ "composed_of": ["a", "a@custom"], "ignore_missing_component_templates": ["a@custom"] });
        let table = [
            (
                &settings,
                &Part::ALL[..],
                json!({ "template": { "settings": { "index": { "codec": "best_compression" } } } }),
            ),
            (&settings, &[][..], settings.clone()),
            (
                &mappings,
                &[Part::Subobjects, Part::MalformedBooleans, Part::TypeLists][..],
                json!({ "template": { "mappings": {
                    "disable_objects": true,
                    "dynamic_templates": [
                        { "a_long": { "match_mapping_type": "long", "mapping": { "type": "double" } } },
                        { "a_double": { "match_mapping_type": "double", "mapping": { "type": "double" } } },
                        { "b": { "match_mapping_type": "string", "mapping": { "type": "keyword" } } }],
                    "properties": { "x": { "type": "boolean" } } } } }),
            ),
            (&template, &[Part::MissingComponents][..], json!({ "composed_of": ["a"] })),
        ];
        for (body, missing, expected) in table {
            let mut adapted = body.clone();
            Capabilities { missing: missing.to_vec(), ..Capabilities::all() }.adapt(&mut adapted);
            assert_eq!(adapted, expected, "{missing:?}");
        }
    }

    #[test]
    fn every_part_that_is_missing_is_named_but_for_what_is_replaced() {
        let names = |missing: &[Part]| Capabilities { missing: missing.to_vec(), ..Capabilities::all() }.remarks();
        assert_eq!(names(&[]), [""; 0]);
        assert_eq!(names(&[Part::DisableObjects]), [""; 0], "Elasticsearch has `subobjects`");
        assert_eq!(names(&[Part::Subobjects]), [""; 0], "OpenSearch has `disable_objects`");
        assert!(names(&[Part::Subobjects, Part::DisableObjects])[0].starts_with("`subobjects`: "));
        assert_eq!(names(&Part::ALL).len(), Part::ALL.len() - 1);
        let none = Capabilities { lifecycle: Lifecycle::None, missing: Vec::new() };
        assert!(none.remarks()[0].contains("nothing is rolled over or deleted"));
    }
}
