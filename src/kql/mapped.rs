//! What kind of values does a field hold? Known for the fields that our mappings name
//! (`mappings/component_templates/inferlog-inference-mappings.json`, which a test compares with this table): there a
//! value of another JSON type is compared as Elasticsearch indexes it, so that `prediction : 3` finds the number 3 and
//! `confidence < 0.6` the text "0.31". Every other field is compared by each value's own type, as dynamic mapping does.

/// How the values of a field are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FieldKind {
    /// By their whole text, byte for byte; a number by the text that it is written with.
    Keyword,
    /// As numbers.
    Number,
    /// As `true` and `false`.
    Boolean,
    /// As moments, in milliseconds.
    Date,
}

/// The fields of our mappings that are not keywords, sorted by name.
const OTHERS: [(&str, FieldKind); 5] = [
    ("@timestamp", FieldKind::Date),
    ("confidence", FieldKind::Number),
    ("latency_ms", FieldKind::Number),
    ("log.offset", FieldKind::Number),
    ("low_confidence", FieldKind::Boolean),
];

/// Those that are, sorted by name.
const KEYWORDS: [&str; 25] = [
    "agent.name",
    "agent.type",
    "agent.version",
    "data_stream.dataset",
    "data_stream.namespace",
    "data_stream.type",
    "ecs.version",
    "event",
    "host.name",
    "inferlog.config",
    "inferlog.file",
    "inferlog.notes",
    "inferlog.pipeline",
    "input_hash",
    "level",
    "log.file.path",
    "model_name",
    "model_version",
    "prediction",
    "request_id",
    "service.name",
    "stage",
    "status",
    "subject",
    "timestamp",
];

impl FieldKind {
    /// The fields that our mappings name.
    pub fn fields() -> impl Iterator<Item = &'static str> {
        OTHERS.iter().map(|(name, _)| *name).chain(KEYWORDS)
    }

    /// The kind of a field that our mappings name.
    pub fn of_field(name: &str) -> Option<FieldKind> {
        if let Ok(place) = OTHERS.binary_search_by(|(other, _)| (*other).cmp(name)) {
            return Some(OTHERS[place].1);
        }
        KEYWORDS.binary_search(&name).ok().map(|_| FieldKind::Keyword)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_the_mappings_say() {
        let mappings = include_str!("../../mappings/component_templates/inferlog-inference-mappings.json");
        let mappings: serde_json::Value = serde_json::from_str(mappings).unwrap();
        let properties = mappings["template"]["mappings"]["properties"].as_object().unwrap();
        for (name, mapping) in properties {
            let kind = match mapping["type"].as_str().unwrap() {
                "keyword" => FieldKind::Keyword,
                "double" | "long" => FieldKind::Number,
                "boolean" => FieldKind::Boolean,
                "date" => FieldKind::Date,
                other => panic!("{name}: {other}"),
            };
            assert_eq!(FieldKind::of_field(name), Some(kind), "{name}");
        }
        assert_eq!(properties.len(), OTHERS.len() + KEYWORDS.len());
        assert_eq!(FieldKind::of_field("features.country"), None);
    }
}
