//! Does a record meet a condition?
//!
//! A record is compared as Elasticsearch does with our mappings, which `FieldKind::of_field` knows; in any other field as
//! dynamic mapping takes each value by itself: strings are keywords, numbers are numbers (only exact), booleans are
//! booleans. An array matches if any element does.
//!
//! | kind | values | `field : value` | `field < value` |
//! | --- | --- | --- | --- |
//! | keyword | strings; numbers and booleans by their text | exactly this text, letter case included; `*` stands for any characters | byte by byte |
//! | number | numbers; strings that read as one | the same number (`1`, `1.0`, `"1e0"`) | as numbers |
//! | boolean | `true`, `false`, and the strings of these | `true` or `false` | false before true |
//! | date | strings and milliseconds since 1970 | a moment within what is written (`2026-11-23` is the whole day) | in milliseconds |
//!
//! So `zip < 10` and `timestamp > 2026-11-23` compare texts where the values are texts, as Kibana does; moments are
//! compared in `@timestamp`. What a date leaves out is filled in as Elasticsearch does. Null and objects equal nothing (bare
//! `null` is the word "null").
//!
//! A comparison that no value of the field can take part in is unknown; `matches` takes that as false, as Kibana does.
//! Existence and free text are never unknown. Date math is a moment only after `Expression::at`.
//!
//! Fields in braces (`items : { a : x and b : y }`) are asked of the whole array, as Elasticsearch does with objects that
//! are not mapped as `nested`: different elements may answer.
//!
//! Nothing here allocates.

use std::cmp::Ordering;

use super::date::{self, Span};
use super::decimal::Decimal;
use super::literal::Literal;
use super::mapped::FieldKind;
use super::syntax::{Comparison, Field, Node, Operator};
use super::{Fields, Value};

/// Two-valued: what is unknown is false.
pub(super) fn matches(node: &Node, record: &dyn Fields) -> bool {
    evaluate(node, record, Some(false)) == Some(true)
}

/// Three-valued.
pub(super) fn decide(node: &Node, record: &dyn Fields) -> Option<bool> {
    evaluate(node, record, None)
}

fn evaluate(node: &Node, record: &dyn Fields, unknown: Option<bool>) -> Option<bool> {
    match node {
        Node::All => Some(true),
        Node::Or(nodes) => first_of(nodes, record, unknown, true),
        Node::And(nodes) => first_of(nodes, record, unknown, false),
        Node::Not(inner) => evaluate(inner, record, unknown).map(|answer| !answer),
        Node::Nested { inner, .. } => evaluate(inner, record, unknown),
        Node::Exists(field) => Some(exists(field, record)),
        Node::Is { field, value: comparison } => {
            any_comparable(field, record, |kind, value| equals(kind, value, comparison)).or(unknown)
        }
        Node::Range { field, operator, literal } => {
            any_comparable(field, record, |kind, value| Some(operator.holds(order(kind, value, *operator, literal)?)))
                .or(unknown)
        }
        Node::Text(comparison) => Some(
            record.any_leaf(&mut |name, value| equals(FieldKind::of_field(name), &value, comparison) == Some(true)),
        ),
    }
}

/// `or` is settled by a true part, `and` by a false one; an unknown part keeps the rest from being settled.
fn first_of(nodes: &[Node], record: &dyn Fields, unknown: Option<bool>, settling: bool) -> Option<bool> {
    let mut answer = Some(!settling);
    for node in nodes {
        match evaluate(node, record, unknown) {
            Some(part) if part == settling => return Some(settling),
            Some(_) => {}
            None => answer = None,
        }
    }
    answer
}

fn exists(field: &Field, record: &dyn Fields) -> bool {
    any(field, record, &mut |_, value| *value != Value::Null)
        || field.path().plain().is_some_and(|name| record.has_below(name))
}

/// Whether a value of the field passes the test; unknown if none can be tested.
fn any_comparable(
    field: &Field,
    record: &dyn Fields,
    test: impl Fn(Option<FieldKind>, &Value<'_>) -> Option<bool>,
) -> Option<bool> {
    let mut comparable = false;
    let found = any(field, record, &mut |kind, value| {
        let answer = test(kind, value);
        comparable |= answer.is_some();
        answer == Some(true)
    });
    if comparable { Some(found) } else { None }
}

/// Visits the values of a field with what kind our mappings give them.
fn any(field: &Field, record: &dyn Fields, visit: &mut dyn FnMut(Option<FieldKind>, &Value<'_>) -> bool) -> bool {
    match field.path().plain() {
        Some(name) => record.any(name, &mut |value| visit(field.kind(), &value)),
        None => {
            record.any_leaf(&mut |name, value| field.path().matches(name) && visit(FieldKind::of_field(name), &value))
        }
    }
}

/// The kind that a value is compared as; `None` for what equals nothing.
fn kind_of(mapped: Option<FieldKind>, value: &Value<'_>) -> Option<FieldKind> {
    let own = match value {
        Value::String(_) => FieldKind::Keyword,
        Value::Number(_) => FieldKind::Number,
        Value::Boolean(_) => FieldKind::Boolean,
        Value::Null | Value::Object => return None,
    };
    Some(mapped.unwrap_or(own))
}

fn equals(mapped: Option<FieldKind>, value: &Value<'_>, comparison: &Comparison) -> Option<bool> {
    let kind = kind_of(mapped, value)?;
    let literal = match comparison {
        Comparison::Pattern(pattern) if kind == FieldKind::Keyword => return Some(pattern.matches(text_of(value)?)),
        Comparison::Pattern(_) => return None,
        Comparison::Literal(literal) => literal,
    };
    Some(match kind {
        FieldKind::Keyword => text_of(value)? == literal.text(),
        FieldKind::Number => number_of(value)? == *literal.number()?,
        FieldKind::Boolean => boolean_of(value)? == literal.boolean()?,
        FieldKind::Date => {
            let (moment_ms, span) = (moment_ms_of(value)?, literal.date()?);
            (date::milliseconds(span.first)..=date::milliseconds(span.last)).contains(&moment_ms)
        }
    })
}

/// How a value stands to the bound of a range.
fn order(mapped: Option<FieldKind>, value: &Value<'_>, operator: Operator, bound: &Literal) -> Option<Ordering> {
    Some(match kind_of(mapped, value)? {
        FieldKind::Keyword => text_of(value)?.as_bytes().cmp(bound.text().as_bytes()),
        FieldKind::Number => number_of(value)?.cmp(bound.number()?),
        FieldKind::Boolean => boolean_of(value)?.cmp(&bound.boolean()?),
        FieldKind::Date => moment_ms_of(value)?.cmp(&operator.bound_ms(bound.date()?)),
    })
}

/// The text that Elasticsearch indexes in a keyword.
fn text_of<'v>(value: &'v Value<'_>) -> Option<&'v str> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(text) => Some(text),
        Value::Boolean(boolean) => Some(if *boolean { "true" } else { "false" }),
        Value::Null | Value::Object => None,
    }
}

fn number_of<'v>(value: &'v Value<'_>) -> Option<Decimal<'v>> {
    match value {
        Value::String(text) => Decimal::read(text),
        Value::Number(text) => Decimal::read(text),
        _ => None,
    }
}

fn boolean_of(value: &Value<'_>) -> Option<bool> {
    match value {
        Value::Boolean(boolean) => Some(*boolean),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn moment_ms_of(value: &Value<'_>) -> Option<i64> {
    date::read(text_of(value)?).map(|span| date::milliseconds(span.first))
}

impl Operator {
    /// The moment that a date's span stands for: `>` and `<=` look at its end, as Elasticsearch does.
    pub fn bound_ms(self, span: &Span) -> i64 {
        let last = matches!(self, Operator::Greater | Operator::LessOrEqual);
        date::milliseconds(if last { span.last } else { span.first })
    }

    fn holds(self, order: Ordering) -> bool {
        match self {
            Operator::Less => order.is_lt(),
            Operator::LessOrEqual => order.is_le(),
            Operator::Greater => order.is_gt(),
            Operator::GreaterOrEqual => order.is_ge(),
        }
    }
}
