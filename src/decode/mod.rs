//! Decode: is this line a record?
//!
//! JSON: the line is one JSON object. CSV: it is a row ([`csv`]). Others become files of this folder.

mod csv;
mod unreadable;

use std::sync::Arc;

use crate::flow::batch::SourceFile;
use crate::flow::line::Line;
use crate::flow::reject::Reject;
use crate::record::{Record, Space};
use csv::Csv;

/// How lines become records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Decode {
    /// Each line is one JSON object.
    #[default]
    Json,
    /// Each line is a row, with columns of these names, or of those that the first line of its file gives.
    Csv(Option<Arc<[String]>>),
}

/// Makes records of lines.
#[derive(Debug)]
pub struct Decoder(Kind);

#[derive(Debug)]
enum Kind {
    Json,
    Csv(Csv),
}

impl Decoder {
    /// The decoder that a pipeline file asks for.
    pub fn new(decode: &Decode) -> Decoder {
        Decoder(match decode {
            Decode::Json => Kind::Json,
            Decode::Csv(columns) => Kind::Csv(Csv::new(columns.clone())),
        })
    }

    /// Reads one line of a file.
    ///
    /// # Errors
    /// A [`Reject`] when it is not a record.
    pub fn decode<'l>(
        &mut self,
        line: &Line<'l>,
        file: &SourceFile,
        space: &'l mut Space,
    ) -> Result<Record<'l>, Reject> {
        let Some(text) = line.text else {
            return Err(unreadable::not_text(line.bytes, file.form.encoding));
        };
        let record = match &mut self.0 {
            Kind::Json => Record::parse(text, space),
            Kind::Csv(csv) => csv.read(line, text, file, space),
        };
        record.map_err(|reject| unreadable::or_encoding(reject, line.bytes, file.form.encoding))
    }
}
