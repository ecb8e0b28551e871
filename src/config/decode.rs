//! `decode`: what is a line, and which records does it give?
//!
//! One choice, or a list of them, read from the outside in: at most one format, then what reshapes its records.

use super::field::{Choice, Field};
use super::model::{Decode, Format};
use super::section::Section;
use super::yaml::{Kind, Scalar, Value};
use crate::decode::{JsonOptions, NonFinite, OtherText, Prefix, Reshape, Split, Wrapper};
use crate::flow::line::Entries;
use crate::source::framing::EntriesOption;
use crate::text::container_line::Runtime;

/// All choices, in the order in which a list may have them.
const CHOICES: [&str; 6] = ["docker", "cri", "auto", "json", "json_array", "split"];

/// One choice.
enum Part {
    Wrapper(Wrapper),
    Json(JsonOptions),
    Format(Format),
    Reshape(Reshape),
}

/// What was read so far.
#[derive(Default)]
struct Chain {
    decode: Decode,
    /// A format was named.
    has_format: bool,
    /// Something could not be read, and was reported.
    is_broken: bool,
}

pub(super) fn decode(field: &Field<'_>) -> Option<Decode> {
    let mut chain = Chain::default();
    match &field.node.value {
        Value::List(_) => {
            field.list(|_| Some(()))?;
            field.items().iter().for_each(|item| chain.add(item));
        }
        _ => chain.add(field),
    }
    (!chain.is_broken).then_some(chain.decode)
}

impl Chain {
    fn add(&mut self, field: &Field<'_>) {
        match part(field) {
            None => self.is_broken = true,
            Some(Part::Wrapper(wrapper)) => {
                if self.has_format || self.decode != Decode::default() {
                    let hint = "a list goes from the outside in: what wraps the lines comes first, once";
                    field.complain("a wrapper stands where none can be".to_owned(), Some(hint.to_owned()));
                    self.is_broken = true;
                }
                self.decode.wrapper = Some(wrapper);
            }
            Some(Part::Json(options)) => {
                self.decode.json = options;
                self.format(field, Format::Json);
            }
            Some(Part::Format(format)) => self.format(field, format),
            Some(Part::Reshape(reshape)) => self.decode.reshape.push(reshape),
        }
    }

    fn format(&mut self, field: &Field<'_>, format: Format) {
        if self.has_format || !self.decode.reshape.is_empty() {
            let hint = "a list goes from the outside in: one format, then what reshapes its records";
            field.complain("a format stands where none can be".to_owned(), Some(hint.to_owned()));
            self.is_broken = true;
        }
        if format == Format::JsonArray && self.decode.wrapper.is_some() {
            field.complain("what wraps lines cannot wrap an array of a whole file".to_owned(), None);
            self.is_broken = true;
        }
        (self.decode.format, self.has_format) = (format, true);
    }
}

fn part(field: &Field<'_>) -> Option<Part> {
    let Choice { name, mut section } = field.choice("decoder", &CHOICES)?;
    let part = match name {
        "split" => split(&mut section).map(|split| Part::Reshape(Reshape::Split(split))),
        "docker" => Some(Part::Wrapper(Wrapper::Runtime(Runtime::Docker))),
        "cri" => Some(Part::Wrapper(Wrapper::Runtime(Runtime::Cri))),
        "auto" => Some(Part::Wrapper(Wrapper::Auto)),
        "json_array" => Some(Part::Format(Format::JsonArray)),
        _ => Some(Part::Json(json(&mut section))),
    };
    section.finish();
    part
}

fn json(section: &mut Section<'_>) -> JsonOptions {
    let other_text = section.optional("other_text", |field| {
        Some(match field.word(&["dead_letter", "drop", "wrap"])? {
            "drop" => OtherText::Drop,
            "wrap" => OtherText::Wrap,
            _ => OtherText::DeadLetter,
        })
    });
    let prefix = section.optional("prefix", |field| field.word(&["skip"]).map(|_| Prefix::Skip));
    let non_finite = section.optional("non_finite", non_finite);
    JsonOptions {
        non_finite: non_finite.unwrap_or_default(),
        other_text: other_text.unwrap_or_default(),
        prefix: prefix.unwrap_or_default(),
    }
}

/// YAML's own `null` is the word here.
fn non_finite(field: &Field<'_>) -> Option<NonFinite> {
    if matches!(&field.node.value, Value::Scalar(Scalar { kind: Kind::Null, .. })) {
        return Some(NonFinite::Null);
    }
    Some(match field.word(&["null", "string", "reject"])? {
        "string" => NonFinite::Text,
        "reject" => NonFinite::Reject,
        _ => NonFinite::Null,
    })
}

/// Which lines of a file belong together.
pub(super) fn entries(decode: &Decode) -> EntriesOption {
    match (decode.wrapper, &decode.format) {
        (Some(Wrapper::Auto), _) => EntriesOption::Recognised,
        (Some(Wrapper::Runtime(runtime)), _) => EntriesOption::Known(Entries::Wrapped(runtime)),
        (None, Format::Json) => EntriesOption::Known(Entries::Text),
        (None, Format::JsonArray) => EntriesOption::Known(Entries::Array),
        (None, Format::Csv(_)) => EntriesOption::Known(Entries::Lines),
    }
}

fn split(section: &mut Section<'_>) -> Option<Split> {
    let each = section.required("each", |field| field.list(Field::field_path));
    Some(Split { each: each? })
}
