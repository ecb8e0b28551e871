//! Confidence: how sure is the model of what it predicted?
//!
//! Many models write the probability of one class, the positive one, whatever they predict. `confidence` is that of the
//! predicted class, so it is what is left to one where the other class was predicted.

use super::largest::Largest;
use super::source::{Source, is_within};
use super::value::{Read, Values};
use crate::record::{Path, Record, json};
use crate::text::exact::Exact;
use crate::text::number_text::{self, NumberKind};

const CONFIDENCE: Path = Path::known("confidence");
const PREDICTION: Path = Path::known("prediction");
const SCORE: Path = Path::known("score");

/// What is written beside the confidence, where it is made of the score of the positive class.
pub(super) static BESIDE: [Path; 2] = [PREDICTION, SCORE];

/// Where the confidence is, and what its number means.
#[derive(Clone, Debug, PartialEq)]
pub struct Confidence {
    /// Where.
    pub from: ConfidenceFrom,
    /// Of what it is a share.
    pub scale: Scale,
    /// The class that it is of, where that is not the predicted one.
    pub positive: Option<Positive>,
}

/// Where the number is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfidenceFrom {
    /// At a path.
    Path(Source),
    /// It is the largest of several.
    Largest(Largest),
}

/// Of what a number is a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// 0 to 1.
    Unit,
    /// 0 to 100.
    Percent,
}

/// A class whose probability is logged whatever is predicted.
#[derive(Clone, Debug, PartialEq)]
pub struct Positive {
    /// The class, as JSON.
    pub positive: String,
    /// The other one.
    pub negative: String,
    /// From this probability on it is predicted.
    pub threshold: f64,
}

impl From<Source> for Confidence {
    fn from(from: Source) -> Confidence {
        Confidence { from: ConfidenceFrom::Path(from), scale: Scale::Unit, positive: None }
    }
}

impl Confidence {
    pub(super) fn source(&self) -> &Source {
        match &self.from {
            ConfidenceFrom::Path(from) => from,
            ConfidenceFrom::Largest(largest) => &largest.of,
        }
    }

    pub(super) fn read(&self, record: &Record<'_>, values: &mut Values) {
        let Some((path, raw)) = self.source().find(record) else { return };
        let read = match &self.from {
            ConfidenceFrom::Path(_) => self.number(&raw),
            ConfidenceFrom::Largest(largest) => {
                largest.find(&raw, record).map(|found| (self.scaled(found.value), None))
            }
        };
        let is_share = |number: Exact| !number.is_negative() && number.as_f64() <= 1.0;
        let Some((number, kind)) = read.filter(|(number, _)| is_share(*number)) else {
            return values.take(&CONFIDENCE, Read::Unclear);
        };
        let within = is_within(path, CONFIDENCE.as_str());
        let Some(positive) = &self.positive else {
            return values.take(&CONFIDENCE, Read::number(number, within, kind));
        };
        let is_positive = match values.value(PREDICTION.as_str()).or_else(|| present(record)) {
            Some(prediction) => same_label(prediction, &positive.positive),
            None => {
                let is_positive = number.as_f64() >= positive.threshold;
                let label = if is_positive { &positive.positive } else { &positive.negative };
                values.take(&PREDICTION, Read::raw(label, false));
                is_positive
            }
        };
        values.take(&SCORE, Read::number(number, false, None));
        let confidence = if is_positive { number } else { number.complement() };
        values.take(&CONFIDENCE, Read::number(confidence, within, kind));
    }

    /// A number, or a text that is one.
    fn number(&self, raw: &str) -> Option<(Exact, Option<NumberKind>)> {
        if raw.starts_with('"') {
            let (number, kind) = number_text::number(&json::unescape(raw))?;
            // A percent sign says more than the pipeline file.
            let number = if kind == NumberKind::Percent { number } else { self.scaled(number) };
            return Some((number, Some(kind)));
        }
        Some((self.scaled(Exact::read(raw)?), None))
    }

    fn scaled(&self, number: Exact) -> Exact {
        match self.scale {
            Scale::Unit => number,
            Scale::Percent => number.shifted(-2),
        }
    }
}

/// The log's own prediction.
fn present<'r>(record: &'r Record<'_>) -> Option<&'r str> {
    record.first(PREDICTION.as_str()).filter(|raw| *raw != "null")
}

/// Whether two values are one class: `1` and `"1"` are, and so are `1` and `1.0`.
fn same_label(one: &str, other: &str) -> bool {
    let [one, other] = [one, other].map(|raw| if raw.starts_with('"') { json::unescape(raw) } else { raw.into() });
    one == other || Exact::read(&one).zip(Exact::read(&other)).is_some_and(|(one, other)| one == other)
}
