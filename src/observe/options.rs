//! Options of the model metrics: what is counted, within which bounds, and where does it stand?

use crate::kql::Expression;
use crate::record::Path;

/// Upper bounds of the latency's buckets, in seconds.
pub const LATENCY_BOUNDS_SECONDS: [f64; 7] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// Upper bounds of the confidence's buckets.
pub const CONFIDENCE_BOUNDS: [f64; 7] = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99];

/// Upper bounds of the buckets of the time to the first token, in seconds.
pub const TIME_TO_FIRST_TOKEN_BOUNDS_SECONDS: [f64; 8] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Upper bounds of the buckets of tokens in a request.
pub const TOKEN_BOUNDS: [f64; 8] = [16.0, 64.0, 256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0];

/// Upper bounds of the buckets of predicted numbers, unless the pipeline file says otherwise.
pub const VALUE_BOUNDS: [f64; 14] =
    [0.0, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 1_000.0, 10_000.0];

/// The longest latency that is believed, in milliseconds: a day. What is longer is no latency (a moment since 1970, the
/// largest number of a type) and would spoil the sum for good.
pub const LATENCY_MS_MAX: f64 = 86_400_000.0;

/// The most tokens of a request that are believed.
pub const TOKENS_MAX: f64 = 1e9;

/// The largest predicted number that is believed, and the largest negative one.
pub const VALUE_MAX: f64 = 1e15;

/// The most further labels of a pipeline.
pub const LABELS_MAX: usize = 4;

/// Where the time to the first token stands: in milliseconds where the name ends in `_ms`, else in seconds.
pub const TIME_TO_FIRST_TOKEN_FIELDS: [&str; 6] = [
    "time_to_first_token_ms",
    "ttft_ms",
    "time_to_first_token_seconds",
    "time_to_first_token",
    "ttft",
    "gen_ai.latency.time_to_first_token",
];

/// Where the number of tokens in stands: OpenAI's and vLLM's, Anthropic's, OpenTelemetry's, and their short forms.
pub const INPUT_TOKENS_FIELDS: [&str; 6] = [
    "usage.prompt_tokens",
    "usage.input_tokens",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "prompt_tokens",
    "input_tokens",
];

/// Where the number of tokens out stands.
pub const OUTPUT_TOKENS_FIELDS: [&str; 6] = [
    "usage.completion_tokens",
    "usage.output_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "completion_tokens",
    "output_tokens",
];

/// Where it stands why a generation ended; each of several counts.
pub const FINISH_REASON_FIELDS: [&str; 4] =
    ["finish_reason", "choices.finish_reason", "gen_ai.response.finish_reasons", "stop_reason"];

/// Where an HTTP status stands, unless the pipeline file says otherwise.
pub const HTTP_STATUS_FIELDS: [&str; 5] =
    ["http.response.status_code", "status_code", "http.status_code", "http_status", "response.status_code"];

/// Where an error's type stands, unless the pipeline file says otherwise.
pub const ERROR_TYPE_FIELDS: [&str; 6] =
    ["error_type", "error.type", "exception.type", "exception.exc_type", "exc_type", "error.code"];

/// What a model predicts: it decides what is counted beside requests, latency and confidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// One class of several.
    #[default]
    Classification,
    /// Any number of labels.
    Multilabel,
    /// A number.
    Regression,
    /// Text, token by token.
    Generation,
}

/// Where an error's marks stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorFields {
    /// See [`HTTP_STATUS_FIELDS`].
    pub http_status: Vec<Path>,
    /// See [`ERROR_TYPE_FIELDS`].
    pub error_type: Vec<Path>,
}

/// Where what is not a heart field stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedFields {
    /// Marks of an error.
    pub error: ErrorFields,
    /// See [`TIME_TO_FIRST_TOKEN_FIELDS`].
    pub time_to_first_token: Vec<Path>,
    /// See [`INPUT_TOKENS_FIELDS`].
    pub input_tokens: Vec<Path>,
    /// See [`OUTPUT_TOKENS_FIELDS`].
    pub output_tokens: Vec<Path>,
    /// See [`FINISH_REASON_FIELDS`].
    pub finish_reason: Vec<Path>,
}

/// What is counted, and how it is shown.
#[derive(Clone, Debug)]
pub struct ModelMetricsOptions {
    /// Which records are inferences.
    pub inferences: Expression,
    /// Shows the label `model_name` from the start, and not only when a second name is seen.
    pub model_name: bool,
    /// What the model predicts.
    pub kind: Kind,
    /// Fields whose values are labels besides: at most [`LABELS_MAX`].
    pub labels: Vec<Path>,
    /// Stands before every metric's name; empty, or with a `_` at its end.
    pub prefix: String,
    /// Upper bounds of the buckets of predicted numbers, ascending: at least one.
    pub value_buckets: Vec<f64>,
    /// Where everything else stands.
    pub fields: ObservedFields,
}

impl ModelMetricsOptions {
    /// The defaults, for records that meet a condition.
    pub fn of(inferences: Expression) -> ModelMetricsOptions {
        ModelMetricsOptions {
            inferences,
            model_name: false,
            kind: Kind::default(),
            labels: Vec::new(),
            prefix: String::new(),
            value_buckets: VALUE_BOUNDS.to_vec(),
            fields: ObservedFields::default(),
        }
    }
}

impl Default for ObservedFields {
    fn default() -> ObservedFields {
        ObservedFields {
            error: ErrorFields::default(),
            time_to_first_token: known(&TIME_TO_FIRST_TOKEN_FIELDS),
            input_tokens: known(&INPUT_TOKENS_FIELDS),
            output_tokens: known(&OUTPUT_TOKENS_FIELDS),
            finish_reason: known(&FINISH_REASON_FIELDS),
        }
    }
}

impl Default for ErrorFields {
    fn default() -> ErrorFields {
        ErrorFields { http_status: known(&HTTP_STATUS_FIELDS), error_type: known(&ERROR_TYPE_FIELDS) }
    }
}

fn known(fields: &[&'static str]) -> Vec<Path> {
    fields.iter().map(|field| Path::known(field)).collect()
}
