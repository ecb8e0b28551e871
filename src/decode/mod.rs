//! Decode: which records does a line give?
//!
//! A chain, read from the outside in: one format, which makes records of the line's text (JSON: the line is one object;
//! [`csv`]: it is a row), then what reshapes them ([`split`]). Others become files of this folder.
//!
//! Plain JSON is read where it stands. In every other chain records travel from step to step as JSON texts in one buffer
//! ([`texts`]), and each is read once more where it leaves. A line gives at least one record, or is turned away as a whole:
//! what cannot be reshaped says why, and nothing of its line is shipped in part.

mod csv;
mod non_finite;
mod split;
mod texts;
mod unreadable;

use std::fmt;
use std::sync::Arc;

use crate::flow::batch::SourceFile;
use crate::flow::line::Line;
use crate::flow::reject::Reject;
use crate::record::{Path, Record, Space};
use csv::Csv;
use non_finite::Mended;
use texts::Texts;

pub use non_finite::NonFinite;
pub use split::Split;

/// How lines become records.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Decode {
    /// What the text of a line is.
    pub format: Format,
    /// What is done with its records, in this order.
    pub reshape: Vec<Reshape>,
}

/// What the text of a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object.
    Json(JsonOptions),
    /// A row, with columns of these names, or of those that the first line of its file gives.
    Csv(Option<Arc<[String]>>),
}

/// What is taken for a JSON object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonOptions {
    /// What becomes of numbers that JSON has not.
    pub non_finite: NonFinite,
}

impl Default for Format {
    fn default() -> Format {
        Format::Json(JsonOptions::default())
    }
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
        let Decode { format, reshape } = self;
        match reshape.is_empty() {
            true if *format == Format::default() => formatter.write_str("Json"),
            true => format.fmt(formatter),
            false => formatter.debug_struct("Decode").field("format", format).field("reshape", reshape).finish(),
        }
    }
}

/// What a line gives.
#[derive(Debug)]
pub enum Decoded<'r> {
    /// A record, and its place in a batch that was split, counted from 0.
    Record(Record<'r>, Option<u32>),
    /// Nothing that is shipped, counted under this name.
    LeftOut(&'static str),
    /// Nothing that is a record, for this reason.
    Rejected(Reject),
}

/// Makes records of lines.
#[derive(Debug)]
pub struct Decoder {
    format: Kind,
    reshape: Vec<Reshape>,
    /// What a step of the chain reads.
    texts: Texts,
    /// What it writes.
    reshaped: Texts,
}

#[derive(Debug)]
enum Kind {
    Json(JsonOptions),
    Csv(Csv),
}

impl Decoder {
    /// The decoder that a pipeline file asks for.
    pub fn new(decode: &Decode) -> Decoder {
        let format = match &decode.format {
            Format::Json(options) => Kind::Json(*options),
            Format::Csv(columns) => Kind::Csv(Csv::new(columns.clone())),
        };
        let (texts, reshaped) = (Texts::default(), Texts::default());
        Decoder { format, reshape: decode.reshape.clone(), texts, reshaped }
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
        let read = match self.format.read(line, text, file, space) {
            Ok(record) if self.reshape.is_empty() => return each(0, Decoded::Record(record, None)),
            Ok(record) => self.texts.begin(&record),
            Err(reject) => self.mend(text, reject),
        };
        match read.and_then(|()| self.reshape()) {
            Ok(()) => self.texts.give(space, each),
            Err(reject) => each(0, Decoded::Rejected(unreadable::or_encoding(reject, line.bytes, encoding))),
        }
    }

    /// Begins the chain with a line that is not valid JSON as it stands, once it is mended.
    ///
    /// # Errors
    /// With what was said of the line, when it cannot be.
    fn mend(&mut self, text: &str, said: Reject) -> Result<(), Reject> {
        let Kind::Json(JsonOptions { non_finite }) = self.format else { return Err(said) };
        let Some(Mended { text, paths }) = non_finite.mend(text)? else { return Err(said) };
        let mut space = Space::default();
        let Ok(mut record) = Record::parse(&text, &mut space) else { return Err(said) };
        record.add(&Path::known(non_finite::PATHS), |out| out.push_str(&serde_json::Value::from(paths).to_string()));
        self.texts.begin(&record)
    }

    /// Carries all records through the chain.
    fn reshape(&mut self) -> Result<(), Reject> {
        for step in &self.reshape {
            self.reshaped.clear();
            match step {
                Reshape::Split(split) => split.apply(&self.texts, &mut self.reshaped)?,
            }
            std::mem::swap(&mut self.texts, &mut self.reshaped);
        }
        Ok(())
    }
}

impl Kind {
    fn read<'l>(
        &mut self,
        line: &Line<'l>,
        text: &'l str,
        file: &SourceFile,
        space: &'l mut Space,
    ) -> Result<Record<'l>, Reject> {
        match self {
            Kind::Json(_) => Record::parse(text, space),
            Kind::Csv(csv) => csv.read(line, text, file, space),
        }
    }
}
