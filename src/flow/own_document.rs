//! Documents of inferlog's own: what a pipeline says of itself, beside the records that it ships.

use serde_json::value::RawValue;

use super::batch::{Id, Stream};

/// A document that inferlog makes itself.
#[derive(Clone, Debug)]
pub struct OwnDocument {
    /// What kind it is.
    pub stream: Stream,
    /// Its `_id`, which it keeps however often it is sent.
    pub id: Id,
    /// Its `@timestamp`, in microseconds since 1970 (UTC).
    pub timestamp_us: i64,
    /// A JSON object, as it is sent and as the checkpoint keeps it.
    pub text: Box<RawValue>,
}
