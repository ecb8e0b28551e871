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
const OTHERS: [(&str, FieldKind); 16] = [
    ("@timestamp", FieldKind::Date),
    ("confidence", FieldKind::Number),
    ("gen_ai.request.choice.count", FieldKind::Number),
    ("gen_ai.request.frequency_penalty", FieldKind::Number),
    ("gen_ai.request.max_tokens", FieldKind::Number),
    ("gen_ai.request.presence_penalty", FieldKind::Number),
    ("gen_ai.request.seed", FieldKind::Number),
    ("gen_ai.request.temperature", FieldKind::Number),
    ("gen_ai.request.top_k", FieldKind::Number),
    ("gen_ai.request.top_p", FieldKind::Number),
    ("gen_ai.usage.input_tokens", FieldKind::Number),
    ("gen_ai.usage.output_tokens", FieldKind::Number),
    ("http.response.status_code", FieldKind::Number),
    ("latency_ms", FieldKind::Number),
    ("log.offset", FieldKind::Number),
    ("low_confidence", FieldKind::Boolean),
];

/// Those that are, sorted by name.
const KEYWORDS: [&str; 68] = [
    "agent.name",
    "agent.type",
    "agent.version",
    "container.id",
    "contract.violations",
    "data_stream.dataset",
    "data_stream.namespace",
    "data_stream.type",
    "ecs.version",
    "error.code",
    "error.message",
    "error.type",
    "event",
    "gen_ai.agent.id",
    "gen_ai.agent.name",
    "gen_ai.operation.name",
    "gen_ai.output.type",
    "gen_ai.provider.name",
    "gen_ai.request.encoding_formats",
    "gen_ai.request.model",
    "gen_ai.request.stop_sequences",
    "gen_ai.response.finish_reasons",
    "gen_ai.response.id",
    "gen_ai.response.model",
    "gen_ai.system",
    "gen_ai.token.type",
    "gen_ai.tool.call.id",
    "gen_ai.tool.name",
    "gen_ai.tool.type",
    "host.name",
    "http.request.method",
    "inferlog.config",
    "inferlog.file",
    "inferlog.notes",
    "inferlog.original_timestamp",
    "inferlog.pipeline",
    "input_bytes_hash",
    "input_bytes_hmac",
    "input_bytes_hmac_key_id",
    "input_hash",
    "input_hash_key_id",
    "input_hmac",
    "input_hmac_key_id",
    "kubernetes.namespace",
    "kubernetes.pod.name",
    "level",
    "log.file.path",
    "message",
    "model_name",
    "model_version",
    "pair.role",
    "prediction",
    "request_id",
    "service.environment",
    "service.name",
    "service.version",
    "span.id",
    "stage",
    "status",
    "subject",
    "subject_hmac",
    "subject_hmac_key_id",
    "timestamp",
    "trace.id",
    "transaction.id",
    "url.path",
    "user.id",
    "user.name",
];

/// Sub-fields of our mappings: the number in another field's text, indexed a second time for charts. To the language they
/// are no fields, since no record has them.
pub(super) const SUB_FIELDS: [&str; 2] = ["label.number", "prediction.number"];

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
