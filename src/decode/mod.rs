//! Decode: which records does a line give?
//!
//! A chain, read from the outside in: one format, which makes records of the line's text (JSON: the line is one object;
//! [`csv`]: it is a row), then what reshapes them ([`split`]). Others become files of this folder.
//!
//! Plain JSON is read where it stands. In every other chain records travel from step to step as JSON texts in one buffer
//! ([`texts`]), and each is read once more where it leaves. A line gives at least one record, or is turned away as a whole:
//! what cannot be reshaped says why, and nothing of its line is shipped in part.

mod container;
mod csv;
mod json;
mod non_finite;
mod other_text;
mod split;
mod texts;
mod unreadable;

use std::fmt;
use std::sync::Arc;

use crate::flow::batch::SourceFile;
use crate::flow::line::{Given, Line};
use crate::flow::reject::{Reject, Stage};
use crate::record::{Path, Record, Space};
use crate::text::container_line::Runtime;
use crate::text::time::{self, Reading};
use container::{Unwrap, Written};
use csv::Csv;
use json::Read;
use non_finite::Mended;
use texts::Texts;

pub use json::JsonOptions;
pub use non_finite::NonFinite;
pub use other_text::{OtherText, Prefix};
pub use split::Split;

/// How lines become records.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Decode {
    /// What is taken off a line before.
    pub wrapper: Option<Wrapper>,
    /// What the text of a line is.
    pub format: Format,
    /// What becomes of text that is not one JSON object.
    pub json: JsonOptions,
    /// What is done with its records, in this order.
    pub reshape: Vec<Reshape>,
}

/// What a container runtime has written around each line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapper {
    /// This one has.
    Runtime(Runtime),
    /// One has, if a file begins so.
    Auto,
}

/// What the text of a line is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// One JSON object.
    #[default]
    Json,
    /// One JSON object of an array that the whole file is.
    JsonArray,
    /// A row, with columns of these names, or of those that the first line of its file gives.
    Csv(Option<Arc<[String]>>),
}

/// What is done with records before they are enriched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reshape {
    /// Arrays of a batch become records.
    Split(Split),
}

impl Decode {
    /// Rows, with columns of these names.
    pub fn csv(columns: Option<Arc<[String]>>) -> Decode {
        Decode { format: Format::Csv(columns), ..Decode::default() }
    }

    /// Whether lines are rows.
    pub fn is_csv(&self) -> bool {
        matches!(self.format, Format::Csv(_))
    }
}

/// The default in a word.
impl fmt::Debug for Decode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decode { wrapper, format, json, reshape } = self;
        if *self == (Decode { format: format.clone(), ..Decode::default() }) {
            return format.fmt(formatter);
        }
        let mut shown = formatter.debug_struct("Decode");
        shown.field("wrapper", wrapper).field("format", format).field("json", json).field("reshape", reshape).finish()
    }
}

/// What a line gives.
#[derive(Debug)]
pub enum Decoded<'r> {
    /// A record, and what is known of it besides.
    Record(Record<'r>, Given),
    /// Nothing that is shipped, counted under this name.
    LeftOut(&'static str),
    /// Nothing that is a record, for this reason.
    Rejected(Reject),
}

/// Makes records of lines.
#[derive(Debug)]
pub struct Decoder {
    wrapper: Option<Wrapper>,
    unwrap: Unwrap,
    json: JsonOptions,
    format: Kind,
    reshape: Vec<Reshape>,
    /// What a step of the chain reads.
    texts: Texts,
    /// What it writes.
    reshaped: Texts,
}

#[derive(Debug)]
enum Kind {
    Json,
    JsonArray,
    Csv(Csv),
}

impl Decoder {
    /// The decoder that a pipeline file asks for.
    pub fn new(decode: &Decode) -> Decoder {
        let format = match &decode.format {
            Format::Json => Kind::Json,
            Format::JsonArray => Kind::JsonArray,
            Format::Csv(columns) => Kind::Csv(Csv::new(columns.clone())),
        };
        let (texts, reshaped) = (Texts::default(), Texts::default());
        let Decode { wrapper, json, ref reshape, .. } = *decode;
        Decoder { wrapper, unwrap: Unwrap::default(), json, format, reshape: reshape.clone(), texts, reshaped }
    }

    /// Reads one line of a file, and gives its records in their order, each with its number counted from 0: at least one.
    pub fn decode(
        &mut self,
        line: &Line<'_>,
        file: &SourceFile,
        space: &mut Space,
        each: &mut dyn FnMut(u32, Decoded<'_>),
    ) {
        let encoding = file.form.encoding;
        let Some(text) = line.text else {
            return each(0, Decoded::Rejected(unreadable::not_text(line.bytes, encoding)));
        };
        match file.form.runtime() {
            None => self.records(line, &Inner::bare(text), (file, space), &mut 0, each),
            Some(runtime) => self.unwrapped(runtime, line, text, (file, space), each),
        }
    }

    /// Reads the lines that a program wrote, out of an entry of the container runtime that wrapped them.
    fn unwrapped(
        &mut self,
        runtime: Runtime,
        line: &Line<'_>,
        text: &str,
        (file, space): (&SourceFile, &mut Space),
        each: &mut dyn FnMut(u32, Decoded<'_>),
    ) {
        let (mut ordinal, is_recognised) = (0, self.wrapper == Some(Wrapper::Auto));
        let mut unwrap = std::mem::take(&mut self.unwrap);
        unwrap.each(runtime, text, &mut |written| {
            let mut give = |decoded: Decoded<'_>| {
                each(ordinal, decoded);
                ordinal += 1;
            };
            let inner = match written {
                Written::Line { text: "", .. } => return give(Decoded::LeftOut(EMPTY_LINE)),
                Written::Line { stream, time, text } => {
                    let time = time::parse(Reading::Text(time), None).ok();
                    let time_us = time.map(|time| time.seconds * 1_000_000 + i64::from(time.nanoseconds) / 1_000);
                    Inner { text, stream: Some(stream.as_str()), time_us }
                }
                Written::Bare(text) if is_recognised => Inner::bare(text),
                Written::Bare(_) => return give(Decoded::Rejected(not_wrapped(runtime))),
                Written::Cut(stream) => return give(Decoded::Rejected(cut(stream.as_str()))),
            };
            self.records(line, &inner, (file, space), &mut ordinal, each);
        });
        self.unwrap = unwrap;
    }

    /// Reads one line of text, and gives its records, which are counted on.
    fn records(
        &mut self,
        line: &Line<'_>,
        inner: &Inner<'_>,
        (file, space): (&SourceFile, &mut Space),
        ordinal: &mut u32,
        each: &mut dyn FnMut(u32, Decoded<'_>),
    ) {
        let mut count_on = |decoded: Decoded<'_>| {
            each(*ordinal, decoded);
            *ordinal += 1;
        };
        let given = Given { container_time_us: inner.time_us, ..Given::default() };
        let Decoder { format, json, texts, reshape, reshaped, .. } = self;
        let read = match format.read(*json, line, inner.text, file, space) {
            Ok(Read::LeftOut(name)) => return count_on(Decoded::LeftOut(name)),
            Ok(Read::OverLines) => texts.begin_in_one_line(inner.text),
            Ok(Read::Text(mut record)) => {
                inner.add_stream(&mut record);
                return count_on(Decoded::Record(record, Given { is_text: true, ..given }));
            }
            Ok(Read::Record(mut record)) => {
                inner.add_stream(&mut record);
                if reshape.is_empty() {
                    return count_on(Decoded::Record(record, given));
                }
                texts.begin(&record)
            }
            Err(reject) if matches!(format, Kind::Json) => mend(*json, inner, reject, texts),
            Err(reject) => Err(reject),
        };
        match read.and_then(|()| reshaped_all(reshape, texts, reshaped)) {
            Ok(()) => give(texts, space, given, &mut count_on),
            Err(reject) => {
                count_on(Decoded::Rejected(unreadable::or_encoding(reject, line.bytes, file.form.encoding)));
            }
        }
    }
}

/// Begins the chain with a line that is not valid JSON as it stands, once it is mended.
///
/// # Errors
/// With what was said of the line, when it cannot be.
fn mend(options: JsonOptions, inner: &Inner<'_>, said: Reject, texts: &mut Texts) -> Result<(), Reject> {
    let Some(Mended { text, paths }) = options.non_finite.mend(inner.text)? else { return Err(said) };
    let mut space = Space::default();
    let Ok(mut record) = Record::parse(&text, &mut space) else { return Err(said) };
    record.add(&Path::known(non_finite::PATHS), |out| out.push_str(&serde_json::Value::from(paths).to_string()));
    inner.add_stream(&mut record);
    texts.begin(&record)
}

/// Carries all records through the chain.
fn reshaped_all(reshape: &[Reshape], texts: &mut Texts, reshaped: &mut Texts) -> Result<(), Reject> {
    for step in reshape {
        reshaped.clear();
        match step {
            Reshape::Split(split) => split.apply(texts, reshaped)?,
        }
        std::mem::swap(texts, reshaped);
    }
    Ok(())
}

/// The name under which an empty line is counted that a container runtime has wrapped.
const EMPTY_LINE: &str = "empty_line";

/// A line as its program wrote it.
struct Inner<'t> {
    text: &'t str,
    /// Where it was written, if a container runtime says so.
    stream: Option<&'static str>,
    /// When that read it, in microseconds since 1970.
    time_us: Option<i64>,
}

impl<'t> Inner<'t> {
    fn bare(text: &'t str) -> Inner<'t> {
        Inner { text, stream: None, time_us: None }
    }

    /// Notes where a record was written.
    fn add_stream(&self, record: &mut Record<'_>) {
        if let Some(stream) = self.stream {
            record.add(&Path::known("log.iostream"), |out| {
                out.push('"');
                out.push_str(stream);
                out.push('"');
            });
        }
    }
}

fn not_wrapped(runtime: Runtime) -> Reject {
    let detail = format!("the line is not wrapped as `{}` does, which `decode` says", runtime.as_str());
    Reject::new(Stage::Decode, "not_wrapped", detail)
}

fn cut(stream: &str) -> Reject {
    let detail = format!("a line on {stream} goes on in a part that is not there, or is longer than `line_bytes_max`");
    Reject::new(Stage::Decode, "partial_line", detail)
}

/// Gives each record away, with what is known of all of them.
fn give(texts: &Texts, space: &mut Space, given: Given, each: &mut dyn FnMut(Decoded<'_>)) {
    for (text, part) in texts.iter() {
        match Record::parse(text, space) {
            Ok(record) => each(Decoded::Record(record, Given { part, ..given })),
            Err(reject) => each(Decoded::Rejected(reject)),
        }
    }
}

impl Kind {
    fn read<'l>(
        &mut self,
        options: JsonOptions,
        line: &Line<'_>,
        text: &'l str,
        file: &SourceFile,
        space: &'l mut Space,
    ) -> Result<Read<'l>, Reject> {
        match self {
            Kind::Json => options.read(text, space),
            Kind::JsonArray => json::read_element(text, space),
            Kind::Csv(csv) => csv.read(line, text, file, space).map(Read::Record),
        }
    }
}
