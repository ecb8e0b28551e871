//! The marker: what inferlog wrote into an object, so that it knows it again.
//!
//! ```text
//! Requests that failed. [inferlog 1a2b3c4d.5e6f7a8b]
//! ```
//!
//! The first digest is that of our own content, the second that of what Kibana made of it: it adds defaults, and moves an older
//! shape to its own. Where what is there still has the second digest, nobody has changed it since, and it may be updated. The
//! marker stands where Kibana keeps it through exports, saves and migrations: at the end of the description, of a data view at the
//! end of the description of a field that all have; of a rule it is a tag. An object without the second digest was imported by
//! hand, and may have been changed since.

use serde_json::Value;

use crate::kibana::object::ObjectKind;
use crate::text::digest::sha256_hexadecimal;

const OPENING: &str = "[inferlog ";

/// How a rule's tag begins that is its marker.
pub(super) const TAG_OPENING: &str = "inferlog:";

/// The field of data views whose description holds the marker.
const FIELD: &str = "inferlog.pipeline";

/// How many digits of a digest are kept.
const DIGITS: usize = 8;

/// What an object holds of its making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::kibana) struct Marker {
    /// The digest of our content.
    pub(in crate::kibana) ours: String,
    /// The digest of what Kibana made of it.
    pub(in crate::kibana) theirs: Option<String>,
}

/// A short digest of a value in its normal form.
pub(super) fn digest(value: &Value) -> String {
    let mut digest = sha256_hexadecimal(value.to_string().as_bytes());
    digest.truncate(DIGITS);
    digest
}

impl Marker {
    fn digests(&self) -> String {
        match &self.theirs {
            Some(theirs) => format!("{}.{theirs}", self.ours),
            None => self.ours.clone(),
        }
    }

    fn of_digests(text: &str) -> Option<Marker> {
        let is_digest = |text: &str| text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let (ours, theirs) = text.split_once('.').map_or((text, None), |(ours, theirs)| (ours, Some(theirs)));
        (is_digest(ours) && theirs.is_none_or(is_digest))
            .then(|| Marker { ours: ours.to_owned(), theirs: theirs.map(str::to_owned) })
    }

    /// As a rule's tag.
    pub(super) fn to_tag(&self) -> String {
        format!("{TAG_OPENING}{}", self.digests())
    }

    /// The marker among a rule's tags.
    pub(in crate::kibana) fn of_tags(tags: &Value) -> Option<Marker> {
        let tags = tags.as_array().into_iter().flatten().filter_map(Value::as_str);
        tags.filter_map(|tag| tag.strip_prefix(TAG_OPENING)).find_map(Marker::of_digests)
    }

    /// Writes it into an object's attributes, in place of one that is there.
    pub(super) fn write(&self, kind: ObjectKind, attributes: &mut Value) {
        let marked = |text: Option<&str>| {
            let text = split(text.unwrap_or_default()).0;
            let space = if text.is_empty() { "" } else { " " };
            Value::from(format!("{text}{space}{OPENING}{}]", self.digests()))
        };
        match kind {
            ObjectKind::DataView => {
                let text = attributes["fieldAttrs"].as_str().unwrap_or("{}");
                let mut fields: Value = serde_json::from_str(text).unwrap_or_default();
                let description = &mut fields[FIELD]["customDescription"];
                *description = marked(description.as_str());
                attributes["fieldAttrs"] = Value::from(fields.to_string());
            }
            _ => attributes["description"] = marked(attributes["description"].as_str()),
        }
    }

    /// The marker in attributes whose texts of JSON are taken apart, which it is taken out of.
    pub(super) fn take(kind: ObjectKind, attributes: &mut Value) -> Option<Marker> {
        let place = match kind {
            ObjectKind::DataView => attributes.get_mut("fieldAttrs")?.get_mut(FIELD)?.get_mut("customDescription")?,
            _ => attributes.get_mut("description")?,
        };
        let (text, marker) = split(place.as_str()?);
        let text = text.to_owned();
        *place = Value::from(text);
        marker
    }
}

/// A text, and the marker at its end.
fn split(text: &str) -> (&str, Option<Marker>) {
    let marked = text.trim_end().strip_suffix(']').and_then(|rest| rest.rsplit_once(OPENING));
    match marked.and_then(|(before, digests)| Some((before, Marker::of_digests(digests)?))) {
        Some((before, marker)) => (before.trim_end(), Some(marker)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_marker_is_written_found_and_replaced() {
        let marker = |theirs: Option<&str>| Marker { ours: "1a2b3c4d".to_owned(), theirs: theirs.map(str::to_owned) };
        for (text, before, found) in [
            ("A. [inferlog 1a2b3c4d.5e6f7a8b]", "A.", Some(marker(Some("5e6f7a8b")))),
            ("[inferlog 1a2b3c4d]", "", Some(marker(None))),
            ("A. [inferlog 1a2b3c4d.5e6f7a8b] ", "A.", Some(marker(Some("5e6f7a8b")))),
            ("A. [inferlog 1a2b3c4d.5e6f7a8b] changed", "A. [inferlog 1a2b3c4d.5e6f7a8b] changed", None),
            ("A. [inferlog one day]", "A. [inferlog one day]", None),
            ("", "", None),
        ] {
            assert_eq!(split(text), (before, found), "{text}");
        }
        let mut attributes = json!({ "description": "A. [inferlog 00000000]" });
        marker(Some("5e6f7a8b")).write(ObjectKind::Lens, &mut attributes);
        assert_eq!(attributes["description"], "A. [inferlog 1a2b3c4d.5e6f7a8b]");
        assert_eq!(Marker::take(ObjectKind::Lens, &mut attributes), Some(marker(Some("5e6f7a8b"))));
        assert_eq!(attributes["description"], "A.");
        assert_eq!(Marker::of_tags(&json!(["x", "inferlog:y", "inferlog:1a2b3c4d"])), Some(marker(None)));
        assert_eq!(marker(Some("5e6f7a8b")).to_tag(), "inferlog:1a2b3c4d.5e6f7a8b");
    }
}
