//! `decode`: what is a line, and which records does it give?
//!
//! One choice, or a list of them, read from the outside in: at most one format, then what reshapes its records.

use std::time::Duration;

use super::field::{Choice, Field};
use super::model::{Decode, Format, Step};
use super::section::Section;
use super::yaml::{Kind, Scalar, Value};
use crate::decode::{Expand, ExpandForm, JsonOptions, NonFinite, OtherText, Pair, Prefix, Reshape, Split, Wrapper};
use crate::flow::line::Entries;
use crate::record::{Path, PathPattern};
use crate::source::framing::EntriesOption;
use crate::text::container_line::Runtime;

/// All choices, in the order in which a list may have them.
const CHOICES: [&str; 11] =
    ["docker", "cri", "auto", "json", "ecs", "cloudevents", "otlp", "json_array", "expand", "split", "pair"];

/// Formats of which a line is one JSON object.
const OBJECTS: [(&str, Format); 4] =
    [("json", Format::Json), ("ecs", Format::Ecs), ("cloudevents", Format::CloudEvents), ("otlp", Format::Otlp)];

/// Which records are inferences when the file says nothing.
const INFERENCES: &str = "event : inference or not event : *";

/// The same, where requests and responses are records of their own.
const INFERENCES_OF_PAIRS: &str = "(event : inference or not event : *) and not pair.role : first";

const PAIR_WITHIN: Duration = Duration::from_secs(60);
const PAIR_WITHIN_MAX: Duration = Duration::from_secs(3_600);
const PAIR_BYTES: u64 = 8 << 20;
const PAIR_BYTES_MIN: u64 = 64 << 10;
const PAIR_BYTES_MAX: u64 = 1 << 30;

/// One choice.
enum Part {
    Wrapper(Wrapper),
    Json(Format, JsonOptions),
    Format(Format),
    Reshape(Box<Reshape>),
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
            Some(Part::Json(format, options)) => {
                self.decode.json = options;
                self.format(field, format);
            }
            Some(Part::Format(format)) => self.format(field, format),
            Some(Part::Reshape(reshape)) => self.decode.reshape.push(*reshape),
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
        "split" => split(&mut section).map(|split| Part::Reshape(Box::new(Reshape::Split(split)))),
        "docker" => Some(Part::Wrapper(Wrapper::Runtime(Runtime::Docker))),
        "cri" => Some(Part::Wrapper(Wrapper::Runtime(Runtime::Cri))),
        "auto" => Some(Part::Wrapper(Wrapper::Auto)),
        "json_array" => Some(Part::Format(Format::JsonArray)),
        "expand" => expand(&mut section).map(|expand| Part::Reshape(Box::new(Reshape::Expand(expand)))),
        "pair" => pair(&mut section).map(|pair| Part::Reshape(Box::new(Reshape::Pair(pair)))),
        name => {
            let format = OBJECTS.iter().find(|(known, _)| *known == name).map(|(_, format)| format.clone());
            Some(Part::Json(format.unwrap_or_default(), json(&mut section)))
        }
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
        (None, Format::Json | Format::Ecs | Format::CloudEvents | Format::Otlp) => EntriesOption::Known(Entries::Text),
        (None, Format::JsonArray) => EntriesOption::Known(Entries::Array),
        (None, Format::Csv(_)) => EntriesOption::Known(Entries::Lines),
    }
}

/// Which records are inferences when the file says nothing.
pub(super) fn inferences(decode: Option<&Decode>) -> &'static str {
    let is_pair = |reshape: &Reshape| matches!(reshape, Reshape::Pair(_));
    if decode.is_some_and(|decode| decode.reshape.iter().any(is_pair)) { INFERENCES_OF_PAIRS } else { INFERENCES }
}

/// Rules that hide the place of a text which was moved away from there, and not the place where it is.
pub(super) fn refuse_moved(field: &Field<'_>, decode: &Decode, steps: &[Step]) {
    let hidden: Vec<PathPattern> = steps.iter().flat_map(|step| step.action.processor().hides()).collect();
    let is_hidden = |now: &PathPattern| hidden.iter().any(|hidden| hidden.covers(now.as_str()));
    let places = decode.reshape.iter().flat_map(|reshape| match reshape {
        Reshape::Expand(Expand { field, into: Some(into), .. }) => vec![("expand", field, into)],
        Reshape::Pair(pair) => pair.copy.iter().map(|(from, into)| ("pair", from, into)).collect(),
        Reshape::Expand(_) | Reshape::Split(_) => Vec::new(),
    });
    for (decoder, from, into) in places {
        let moved = hidden.iter().flat_map(|path| path.moved(from, into).into_iter().map(move |now| (path, now)));
        for (path, now) in moved.filter(|(_, now)| !is_hidden(now)) {
            let message =
                format!("`{path}` is hidden, and `{decoder}` puts it at `{now}`, which is not: it would be shipped");
            field.complain(message, Some(format!("hide `{now}` as well")));
        }
    }
}

/// What is copied, under its own name, or as a map says: the new name with the old one.
fn copies(field: &Field<'_>) -> Option<Vec<(Path, Path)>> {
    match &field.node.value {
        Value::Map(_) => {
            let copies = field.by_path(Field::field_path)?;
            Some(copies.into_iter().map(|(into, from)| (from, into)).collect())
        }
        _ => Some(field.list(Field::field_path)?.into_iter().map(|path| (path.clone(), path)).collect()),
    }
}

fn expand(section: &mut Section<'_>) -> Option<Expand> {
    let field = section.required("field", Field::field_path);
    let form = section.required("as", |field| {
        Some(match field.word(&["json", "csv", "base64"])? {
            "csv" => ExpandForm::Csv,
            "base64" => ExpandForm::Base64,
            _ => ExpandForm::Json,
        })
    });
    let into = section.optional("into", Field::field_path);
    let when = section.optional("when", Field::condition);
    Some(Expand { field: field?, form: form?, into, when })
}

fn pair(section: &mut Section<'_>) -> Option<Pair> {
    let by = section.required("by", Field::field_path);
    let first = section.required("first", Field::condition);
    let copy = section.optional("copy", copies);
    let within = section.optional("within", |field| field.duration(Duration::from_secs(1)..=PAIR_WITHIN_MAX));
    let bytes_max = section.optional("bytes_max", |field| field.bytes(PAIR_BYTES_MIN..=PAIR_BYTES_MAX));
    Some(Pair {
        by: by?,
        first: first?,
        copy: copy.unwrap_or_else(|| vec![(Path::known("features"), Path::known("features"))]),
        within: within.unwrap_or(PAIR_WITHIN),
        bytes_max: bytes_max.unwrap_or(PAIR_BYTES) as usize,
    })
}

fn split(section: &mut Section<'_>) -> Option<Split> {
    let each = section.required("each", |field| field.list(Field::field_path));
    Some(Split { each: each? })
}
