//! Latency: how many milliseconds did it take?

use super::source::{Source, is_within};
use super::value::Read;
use crate::record::{Record, json};
use crate::text::exact::Exact;
use crate::text::number_text::{self, NumberKind};

/// Where the latency is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Where.
    pub from: Source,
    /// Of what.
    pub unit: Unit,
}

/// The unit of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
    /// Nanoseconds.
    Nanoseconds,
    /// What the text itself says.
    Auto,
}

impl Unit {
    /// The power of ten that makes milliseconds of it.
    fn power(self) -> Option<i32> {
        match self {
            Unit::Seconds => Some(3),
            Unit::Milliseconds => Some(0),
            Unit::Microseconds => Some(-3),
            Unit::Nanoseconds => Some(-6),
            Unit::Auto => None,
        }
    }
}

impl From<Source> for Latency {
    fn from(from: Source) -> Latency {
        Latency { from, unit: Unit::Milliseconds }
    }
}

impl Latency {
    pub(super) fn read(&self, record: &Record<'_>) -> Read {
        let Some((path, raw)) = self.from.find(record) else { return Read::Nothing };
        match self.milliseconds(&raw).filter(|(number, _)| !number.is_negative()) {
            Some((number, kind)) => Read::number(number, is_within(path, "latency_ms"), kind),
            None => Read::Unclear,
        }
    }

    fn milliseconds(&self, raw: &str) -> Option<(Exact, Option<NumberKind>)> {
        let power = self.unit.power();
        if !raw.starts_with('"') {
            return Some((Exact::read(raw)?.shifted(power?), None));
        }
        let text = json::unescape(raw);
        // A unit in the text says more than the pipeline file.
        if let Some(duration) = number_text::duration_ms(&text) {
            return Some((duration, (self.unit != Unit::Auto).then_some(NumberKind::Duration)));
        }
        let (number, kind) = number_text::number(&text).filter(|(_, kind)| *kind != NumberKind::Percent)?;
        Some((number.shifted(power?), Some(kind)))
    }
}
