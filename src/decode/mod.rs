//! Decode: which records does a line give?
//!
//! A chain, read from the outside in: one format, which makes records of the line's text (JSON: the line is one object;
//! [`csv`]: it is a row; [`otlp`], [`cloud_events`]: it is an object around others), then what reshapes them ([`expand`],
//! [`split`], [`pair`]).
//!
//! Plain JSON is read where it stands. In every other chain records travel from step to step as JSON texts in one buffer
//! ([`texts`]), and each is read once more where it leaves. A line gives at least one record, or is turned away as a whole:
//! what cannot be reshaped says why, and nothing of its line is shipped in part.

mod cloud_events;
mod container;
mod csv;
mod expand;
mod json;
mod non_finite;
mod other_text;
mod otlp;
mod pair;
mod split;
mod texts;
mod unreadable;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::flow::batch::SourceFile;
use crate::flow::line::{Given, GivenNote, GivenTime, Line, TimeGiver};
use crate::flow::reject::{Reject, Stage};
use crate::record::{Path, PathPattern, Record, Room, Space};
use crate::telemetry::Counters;
use crate::text::container_line::Runtime;
use container::{Unwrap, Written};
use csv::Csv;
use expand::Conceal;
use json::Read;
use non_finite::Mended;
use pair::Pairs;
use texts::Texts;

pub use expand::{Expand, ExpandForm};
pub use json::JsonOptions;
pub use non_finite::NonFinite;
pub use other_text::{OtherText, Prefix};
pub use pair::Pair;
pub use split::Split;

/// How lines become records.
#[derive(Clone, Default, PartialEq)]
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
    /// One JSON object by the Elastic Common Schema.
    Ecs,
    /// An event as CloudEvents have it in JSON, or an array of them.
    CloudEvents,
    /// An export of OpenTelemetry's logs in JSON.
    Otlp,
    /// One JSON object of an array that the whole file is.
    JsonArray,
    /// A row, with columns of these names, or of those that the first line of its file gives.
    Csv(Option<Arc<[String]>>),
}

/// What is done with records before they are enriched.
#[derive(Clone, Debug, PartialEq)]
pub enum Reshape {
    /// Texts become members.
    Expand(Expand),
    /// The second of two records that belong together gets members of the first.
    Pair(Pair),
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
    Record(Record<'r>, &'r Given),
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
    steps: Vec<Step>,
    /// What a step of the chain reads.
    texts: Texts,
    /// What it writes.
    reshaped: Texts,
}

#[derive(Debug)]
enum Kind {
    Json,
    Ecs,
    CloudEvents,
    JsonArray,
    Csv(Csv),
}

/// What is done with all records of a line, one step after the other.
#[derive(Debug)]
enum Step {
    Otlp,
    CloudEvents,
    Expand(Box<Expand>),
    Split(Split),
    Pair(Box<Pairs>),
    Conceal(Conceal),
}

impl Decoder {
    /// The decoder that a pipeline file asks for whose rules hide these fields.
    pub fn new(decode: &Decode, hidden: &[PathPattern], counters: &Counters) -> Decoder {
        let format = match &decode.format {
            Format::Json | Format::Otlp => Kind::Json,
            Format::Ecs => Kind::Ecs,
            Format::CloudEvents => Kind::CloudEvents,
            Format::JsonArray => Kind::JsonArray,
            Format::Csv(columns) => Kind::Csv(Csv::new(columns.clone())),
        };
        let (texts, reshaped, unwrap) = (Texts::default(), Texts::default(), Unwrap::default());
        let Decode { wrapper, json, .. } = *decode;
        Decoder { wrapper, unwrap, json, format, steps: steps(decode, hidden, counters), texts, reshaped }
    }

    /// Reads one line without any consequence for lines to come.
    pub fn peek(
        &mut self,
        line: &Line<'_>,
        file: &SourceFile,
        space: &mut Space,
        each: &mut dyn FnMut(u32, Decoded<'_>),
    ) {
        self.pairs().for_each(Pairs::set_aside);
        self.decode(line, file, space, each);
        self.pairs().for_each(Pairs::bring_back);
    }

    fn pairs(&mut self) -> impl Iterator<Item = &mut Pairs> {
        self.steps.iter_mut().filter_map(|step| match step {
            Step::Pair(pairs) => Some(&mut **pairs),
            _ => None,
        })
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
                    Inner { text, stream: Some(stream.as_str()), time: GivenTime::read(time, TimeGiver::Runtime) }
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
        let Decoder { format, json, texts, steps, reshaped, .. } = self;
        let read = match format.read(*json, line, inner.text, file, space) {
            Ok(Read::LeftOut(name)) => return count_on(Decoded::LeftOut(name)),
            Ok(Read::Batch) => cloud_events::begin(json.non_finite, inner.text, inner.given(), texts),
            Ok(Read::Text(mut record)) => {
                inner.add_stream(&mut record);
                return count_on(Decoded::Record(record, &Given { is_text: true, ..inner.given() }));
            }
            Ok(Read::Record(mut record)) => {
                let given = Given { note: format.note(&record), ..inner.given() };
                if steps.is_empty() && !(inner.may_have_line_ends(format) && has_line_end(inner.text)) {
                    inner.add_stream(&mut record);
                    return count_on(Decoded::Record(record, &given));
                }
                texts.begin(&record, given)
            }
            Err(reject) if format.is_object() => mend(*json, inner, format, reject, texts),
            Err(reject) => Err(reject),
        };
        match read.and_then(|()| take_all(steps, *json, texts, reshaped)) {
            Ok(Some(name)) => count_on(Decoded::LeftOut(name)),
            Ok(None) => give(texts, space, inner, &mut count_on),
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
fn mend(options: JsonOptions, inner: &Inner<'_>, format: &Kind, said: Reject, texts: &mut Texts) -> Result<(), Reject> {
    let Some(Mended { text, paths }) = options.non_finite.mend(inner.text)? else { return Err(said) };
    let mut space = Space::default();
    let Ok(mut record) = Record::parse(&text, &mut space) else { return Err(said) };
    non_finite::list(&mut record, paths)?;
    texts.begin(&record, Given { note: format.note(&record), ..inner.given() })
}

/// What is done with all records, as a pipeline file says whose rules hide these fields.
fn steps(decode: &Decode, hidden: &[PathPattern], counters: &Counters) -> Vec<Step> {
    let open = match decode.format {
        Format::Otlp => Some(Step::Otlp),
        Format::CloudEvents => Some(Step::CloudEvents),
        Format::Json | Format::Ecs | Format::JsonArray | Format::Csv(_) => None,
    };
    let expands = decode.reshape.iter().filter_map(|reshape| match reshape {
        Reshape::Expand(expand) => Some(expand),
        Reshape::Split(_) | Reshape::Pair(_) => None,
    });
    let conceal = Conceal::new(expands, hidden).map(Step::Conceal);
    let reshape = decode.reshape.iter().map(|reshape| match reshape {
        Reshape::Expand(expand) => Step::Expand(Box::new(expand.clone())),
        Reshape::Split(split) => Step::Split(split.clone()),
        Reshape::Pair(pair) => Step::Pair(Box::new(Pairs::new(pair.clone(), counters))),
    });
    open.into_iter().chain(reshape).chain(conceal).collect()
}

/// Takes all records through the chain. The name under which the line is left out, if nothing is left of it.
fn take_all(
    steps: &mut [Step],
    json: JsonOptions,
    texts: &mut Texts,
    reshaped: &mut Texts,
) -> Result<Option<&'static str>, Reject> {
    for step in steps {
        reshaped.clear();
        match step {
            Step::Otlp => {
                if let Some(name) = otlp::open(json, texts, reshaped)? {
                    return Ok(Some(name));
                }
            }
            Step::CloudEvents => cloud_events::open(texts, reshaped)?,
            Step::Expand(expand) => expand.apply(json.non_finite, texts, reshaped)?,
            Step::Split(split) => split.apply(texts, reshaped)?,
            Step::Pair(pairs) => pairs.apply(Instant::now(), texts, reshaped)?,
            Step::Conceal(conceal) => conceal.apply(texts, reshaped)?,
        }
        std::mem::swap(texts, reshaped);
    }
    Ok(texts.is_empty().then_some(NO_RECORDS))
}

/// The name under which an envelope is counted that holds nothing.
const NO_RECORDS: &str = "no_records";

/// The names under which lines are left out.
pub const LEFT_OUT_NAMES: [&str; 3] = [other_text::LEFT_OUT, EMPTY_LINE, NO_RECORDS];

/// The name under which an empty line is counted that a container runtime has wrapped.
const EMPTY_LINE: &str = "empty_line";

/// A line as its program wrote it.
struct Inner<'t> {
    text: &'t str,
    /// Where it was written, if a container runtime says so.
    stream: Option<&'static str>,
    /// When that read it.
    time: Option<GivenTime>,
}

impl<'t> Inner<'t> {
    fn bare(text: &'t str) -> Inner<'t> {
        Inner { text, stream: None, time: None }
    }

    /// What is known of its record.
    fn given(&self) -> Given {
        Given { time: self.time, ..Given::NOTHING }
    }

    /// Whether line ends may stand inside of it: what Docker has wrapped may have them, and an element of an array.
    fn may_have_line_ends(&self, format: &Kind) -> bool {
        self.stream.is_some() || matches!(format, Kind::JsonArray)
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

fn has_line_end(text: &str) -> bool {
    memchr::memchr2(b'\n', b'\r', text.as_bytes()).is_some()
}

fn not_wrapped(runtime: Runtime) -> Reject {
    let detail = format!("the line is not wrapped as `{}` does, which `decode` says", runtime.as_str());
    Reject::new(Stage::Decode, "not_wrapped", detail)
}

fn cut(stream: &str) -> Reject {
    let detail = format!("a line on {stream} goes on in a part that is not there, or is longer than `line_bytes_max`");
    Reject::new(Stage::Decode, "partial_line", detail)
}

/// Gives each record away.
fn give(texts: &Texts, space: &mut Space, inner: &Inner<'_>, each: &mut dyn FnMut(Decoded<'_>)) {
    for (text, given) in texts.iter() {
        match Record::parse(text, space) {
            Ok(mut record) => {
                inner.add_stream(&mut record);
                each(Decoded::Record(record, &given));
            }
            Err(reject) => each(Decoded::Rejected(reject)),
        }
    }
}

impl Kind {
    /// Whether each line is one JSON object.
    fn is_object(&self) -> bool {
        matches!(self, Kind::Json | Kind::Ecs | Kind::CloudEvents)
    }

    /// What is to be noted on a record of this format.
    fn note(&self, record: &Record<'_>) -> Option<GivenNote> {
        let is_other = matches!(self, Kind::Ecs) && record.room("ecs.version") != Room::Taken;
        is_other.then_some(GivenNote::NotEcs)
    }

    fn read<'l>(
        &mut self,
        options: JsonOptions,
        line: &Line<'_>,
        text: &'l str,
        file: &SourceFile,
        space: &'l mut Space,
    ) -> Result<Read<'l>, Reject> {
        match self {
            Kind::CloudEvents if text.trim_start().starts_with('[') => Ok(Read::Batch),
            Kind::Json | Kind::Ecs | Kind::CloudEvents => options.read(text, space),
            Kind::JsonArray => Record::parse(text, space).map(Read::Record),
            Kind::Csv(csv) => csv.read(line, text, file, space).map(Read::Record),
        }
    }
}
