//! Options of `truncate`: which texts, and how much of each is left?

use super::{made, paths};
use crate::config::section::Section;
use crate::enrich::{Action, Step, Truncate};

const BYTES_MAX_MAX: u64 = 16 << 20;
const MARKER: &str = "… [truncated]";

pub(super) fn truncate(section: &mut Section<'_>) -> Option<Step> {
    let fields = section.required("fields", paths);
    let bytes_max = section.required("bytes_max", |field| field.bytes(1..=BYTES_MAX_MAX));
    let marker = section.optional("marker", |field| field.typed().map(|scalar| scalar.text.clone()));
    let marker = marker.unwrap_or_else(|| MARKER.to_owned());
    let truncate =
        fields.zip(bytes_max).map(|(fields, bytes_max)| Truncate { fields, bytes_max: bytes_max as usize, marker });
    made(section, truncate.map(Action::Truncate))
}
