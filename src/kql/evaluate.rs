//! Does a record meet a condition?
//!
//! A record is compared as Elasticsearch would after dynamic mapping: JSON strings are `keyword`, numbers are `double`
//! (only exact), booleans are `boolean`. An array matches if any element does. So, for `field : value`:
//! - a string equals exactly its text, letter case included, and `*` stands for any characters; so a date in a text
//!   equals only its own spelling (a field mapped as `date` would equal its moment: ask for that with a range);
//! - a number equals a value that reads as the same number (`1`, `1.0`, `"1e0"`);
//! - a boolean equals `true` or `false`; null and objects equal nothing (bare `null` is the word "null").
//!
//! And for ranges:
//! - numbers compare with a value that reads as a number;
//! - strings compare as dates if both sides are dates (what a date leaves out is filled in as Elasticsearch does), else
//!   byte by byte, as keywords do;
//! - but a string does not compare with a bare number: `"9" < 10` would be false byte by byte and true as a number, and
//!   which one Elasticsearch says hangs on the mapping. A quoted bound (`zip < "10"`) asks for the order of texts.
//!
//! A comparison that no value of the field can take part in is unknown; `matches` takes that as false, as Kibana does.
//! Existence and free text are never unknown. Date math compares with nothing: it needs a clock.
//!
//! Fields in braces (`items : { a : x and b : y }`) are asked of the whole array, as Elasticsearch does with objects that
//! are not mapped as `nested`: different elements may answer.
//!
//! Nothing here allocates.

use std::cmp::Ordering;

use super::date;
use super::decimal::Decimal;
use super::literal::Literal;
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
        Node::Exists(field) => Some(any(field, record, &mut |value| *value != Value::Null)),
        Node::Is { field, value: comparison } => {
            any_comparable(field, record, |value| equals(value, comparison)).or(unknown)
        }
        Node::Range { field, operator, literal } => {
            any_comparable(field, record, |value| Some(operator.holds(order(value, *operator, literal)?))).or(unknown)
        }
        Node::Text(comparison) => Some(record.any_leaf(&mut |_, value| equals(&value, comparison) == Some(true))),
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

/// Whether a value of the field passes the test; unknown if none can be tested.
fn any_comparable(field: &Field, record: &dyn Fields, test: impl Fn(&Value<'_>) -> Option<bool>) -> Option<bool> {
    let mut comparable = false;
    let found = any(field, record, &mut |value| {
        let answer = test(value);
        comparable |= answer.is_some();
        answer == Some(true)
    });
    if comparable { Some(found) } else { None }
}

fn any(field: &Field, record: &dyn Fields, visit: &mut dyn FnMut(&Value<'_>) -> bool) -> bool {
    match field.path().plain() {
        Some(name) => record.any(name, &mut |value| visit(&value)),
        None => record.any_leaf(&mut |name, value| field.path().matches(name) && visit(&value)),
    }
}

fn equals(value: &Value<'_>, comparison: &Comparison) -> Option<bool> {
    let literal = match (comparison, value) {
        (Comparison::Pattern(pattern), Value::String(text)) => return Some(pattern.matches(text)),
        (Comparison::Pattern(_), _) => return None,
        (Comparison::Literal(literal), _) if literal.date_math() && !literal.quoted() => return None,
        (Comparison::Literal(literal), _) => literal,
    };
    match value {
        Value::String(text) => Some(text == literal.text()),
        Value::Number(text) => Some(Decimal::read(text)? == *literal.number()?),
        Value::Boolean(boolean) => Some(*boolean == literal.boolean()?),
        Value::Null | Value::Object => None,
    }
}

/// How a value stands to the bound of a range.
fn order(value: &Value<'_>, operator: Operator, bound: &Literal) -> Option<Ordering> {
    match value {
        Value::Number(text) => Some(Decimal::read(text)?.cmp(bound.number()?)),
        Value::String(_) if bound.date_math() => None,
        Value::String(text) => {
            if let Some(span) = bound.date()
                && let Some(instant) = date::read_instant(text)
            {
                let last = matches!(operator, Operator::Greater | Operator::LessOrEqual);
                return Some(instant.cmp(if last { &span.last } else { &span.first }));
            }
            let bare_number = bound.number().is_some() && !bound.quoted();
            if bare_number { None } else { Some(text.as_bytes().cmp(bound.text().as_bytes())) }
        }
        Value::Null | Value::Boolean(_) | Value::Object => None,
    }
}

impl Operator {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Operator::Less => order.is_lt(),
            Operator::LessOrEqual => order.is_le(),
            Operator::Greater => order.is_gt(),
            Operator::GreaterOrEqual => order.is_ge(),
        }
    }
}
