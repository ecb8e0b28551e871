//! A value as it is written in an expression, classified once when it is read, so that evaluation only compares.

use chrono::{DateTime, Utc};

use super::date::{self, Span};
use super::date_math;
use super::decimal::Decimal;
use super::mapped::FieldKind;

/// A value without wildcards.
#[derive(Clone, Debug, PartialEq)]
pub struct Literal {
    text: String,
    quoted: bool,
    number: Option<Decimal<'static>>,
    boolean: Option<bool>,
    date: Option<Span>,
    date_math: bool,
}

impl Literal {
    /// Classifies a text. `quoted` says that it stood in quotes, as a phrase.
    pub fn new(text: String, quoted: bool) -> Literal {
        Literal {
            number: Decimal::read(&text).map(Decimal::into_owned),
            boolean: text.parse().ok(),
            date: date::read(&text),
            date_math: date::is_date_math(&text),
            quoted,
            text,
        }
    }

    /// The same, with what date math means at `now`.
    pub(super) fn at(&self, now: DateTime<Utc>) -> Literal {
        let date = if self.date_math { date_math::read(&self.text, now) } else { self.date.clone() };
        Literal { date, ..self.clone() }
    }

    /// The text, unescaped.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it stood in quotes.
    pub fn quoted(&self) -> bool {
        self.quoted
    }

    /// The number that it reads as.
    pub fn number(&self) -> Option<&Decimal<'static>> {
        self.number.as_ref()
    }

    /// The boolean that it reads as.
    pub fn boolean(&self) -> Option<bool> {
        self.boolean
    }

    /// The date that it reads as; a bare year is one. Date math is one only in an expression that knows the time, see
    /// [`Expression::at`](super::Expression::at).
    pub fn date(&self) -> Option<&Span> {
        self.date.as_ref()
    }

    /// What a value of this kind would be, and an example of one, where this literal is none.
    pub(super) fn misfit(&self, kind: FieldKind) -> Option<(&'static str, &'static str)> {
        match kind {
            FieldKind::Number if self.number.is_none() => Some(("number", "one such as `0.6`")),
            FieldKind::Boolean if self.boolean.is_none() => Some(("boolean", "`true` or `false`")),
            FieldKind::Date if self.date.is_none() && !self.date_math => {
                Some(("time", "one such as `2026-11-23` or `\"2026-11-23T10:00:00Z\"`"))
            }
            _ => None,
        }
    }

    /// Whether it reads as date math, such as `now-1h`, whose meaning moves with the clock.
    pub fn date_math(&self) -> bool {
        self.date_math
    }
}
