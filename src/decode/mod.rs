//! Decode: is this line a record?
//!
//! One way to decode now, JSON: the line is one JSON object. Others become files of this folder.

use crate::flow::line::Line;
use crate::flow::reject::{Reject, Stage};
use crate::record::{Record, Space};

/// How lines become records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decode {
    /// Each line is one JSON object.
    #[default]
    Json,
}

impl Decode {
    /// Reads one line.
    ///
    /// # Errors
    /// A [`Reject`] when it is not a record.
    pub fn decode<'l>(self, line: &Line<'l>, space: &'l mut Space) -> Result<Record<'l>, Reject> {
        let Some(text) = line.text else {
            return Err(Reject::new(Stage::Decode, "invalid_utf8", "the line is not UTF-8".to_owned()));
        };
        match self {
            Decode::Json => Record::parse(text, space),
        }
    }
}
