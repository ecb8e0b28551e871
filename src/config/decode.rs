//! `decode`: what is a line, and which records does it give?
//!
//! One choice, or a list of them, read from the outside in: at most one format, then what reshapes its records.

use super::field::{Choice, Field};
use super::model::{Decode, Format};
use super::section::Section;
use super::yaml::{Kind, Scalar, Value};
use crate::decode::{JsonOptions, NonFinite, Reshape, Split};

/// All choices, in the order in which a list may have them.
const CHOICES: [&str; 2] = ["json", "split"];

/// One choice.
enum Part {
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
            Some(Part::Format(format)) => {
                if self.has_format || !self.decode.reshape.is_empty() {
                    let hint = "a list goes from the outside in: one format, then what reshapes its records";
                    field.complain("a format stands where none can be".to_owned(), Some(hint.to_owned()));
                    self.is_broken = true;
                }
                (self.decode.format, self.has_format) = (format, true);
            }
            Some(Part::Reshape(reshape)) => self.decode.reshape.push(reshape),
        }
    }
}

fn part(field: &Field<'_>) -> Option<Part> {
    let Choice { name, mut section } = field.choice("decoder", &CHOICES)?;
    let part = match name {
        "split" => split(&mut section).map(|split| Part::Reshape(Reshape::Split(split))),
        _ => Some(Part::Format(Format::Json(json(&mut section)))),
    };
    section.finish();
    part
}

fn json(section: &mut Section<'_>) -> JsonOptions {
    let non_finite = section.optional("non_finite", non_finite);
    JsonOptions { non_finite: non_finite.unwrap_or_default() }
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

fn split(section: &mut Section<'_>) -> Option<Split> {
    let each = section.required("each", |field| field.list(Field::field_path));
    Some(Split { each: each? })
}
