//! KQL, the filter language of Kibana: what does a condition say, and does a record meet it?
//!
//! The language is Kibana's, and the same text must mean the same in Kibana, so what Kibana refuses is refused here. A
//! few texts that Kibana reads in a way nobody means (`a : and b` as the value "and b", `\not` as a line break and "ot")
//! are refused as well; quotes say them plainly. What the comparisons mean is written down in `evaluate`.
//!
//! The parser gives one tree (`syntax`); every use of a condition is a walk over it. Text and nesting are limited, so no
//! text overflows the stack.

mod date;
mod date_math;
mod decimal;
mod doubts;
pub mod dsl;
mod error;
mod evaluate;
mod foreign;
mod literal;
mod mapped;
mod parse;
mod print;
mod scan;
mod syntax;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, Utc};

pub use date::{Instant, Span};
pub use decimal::Decimal;
pub use error::{Error, Problem};
pub use literal::Literal;
pub use mapped::FieldKind;
pub use parse::Purpose;
pub use syntax::{Comparison, Field, Node, Operator, Pattern};

/// Deepest nesting of `(` and `{`.
pub const NESTING_DEPTH_MAX: usize = 100;

/// Longest text of an expression, in bytes.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;

/// One JSON value that stands under a field, arrays taken apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A number, as it is written.
    Number(&'a str),
    /// A string, unescaped.
    String(Cow<'a, str>),
    /// An object: a field that has members of its own.
    Object,
}

/// The first moment that a date or date math means at `now`, in milliseconds since 1970: `2026-11-23`, `now-1h/h`.
pub fn moment_ms(text: &str, now: DateTime<Utc>) -> Option<i64> {
    let span = date_math::read(text, now).or_else(|| date::read(text))?;
    Some(date::milliseconds(span.first))
}

/// What conditions are asked of.
pub trait Fields {
    /// Calls `visit` with each value of the field, in any of its spellings (`{"a":{"b":1}}`, `{"a.b":1}`, `{"a":[{"b":1}]}`
    /// are all `a.b`), arrays element by element, until it returns true. Returns whether it did.
    fn any(&self, field: &str, visit: &mut dyn FnMut(Value<'_>) -> bool) -> bool;

    /// Whether the record has a value in a field below this one whose name reaches beyond it: `{"a.b":1}` and
    /// `{"a":{"b.c":1}}` have one below `a` and `a.b`, which `any` does not see.
    fn has_below(&self, field: &str) -> bool;

    /// The same as `any` for every leaf of the record, with its dotted path.
    fn any_leaf(&self, visit: &mut dyn FnMut(&str, Value<'_>) -> bool) -> bool;
}

/// A condition in KQL: its text and what it says. Prints as canonical KQL, which says the same; value lists are written
/// out, so it may be longer than the text.
#[derive(Clone, PartialEq)]
pub struct Expression {
    text: String,
    tree: Node,
}

/// The text says it all; the tree would fill a page.
impl std::fmt::Debug for Expression {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Expression").field(&self.text).finish()
    }
}

impl Expression {
    /// Reads any KQL. An empty text is Kibana's empty search bar: every record matches.
    ///
    /// # Errors
    /// Says what was expected, and where.
    pub fn parse(text: &str) -> Result<Expression, Error> {
        Expression::read(text, Purpose::Any)
    }

    /// Reads KQL that somebody asks with. What another language would say is refused, and so is a range of numbers, times
    /// or booleans with another bound.
    ///
    /// # Errors
    /// Says what was expected, and where.
    pub fn parse_question(text: &str) -> Result<Expression, Error> {
        Expression::read(text, Purpose::Question)
    }

    /// Reads KQL that must give the same answer whenever it is asked: neither empty nor with date math (`now-1h`), and
    /// each value with its field.
    ///
    /// # Errors
    /// Says what was expected, and where.
    pub fn parse_condition(text: &str) -> Result<Expression, Error> {
        Expression::read(text, Purpose::Condition)
    }

    /// Every record.
    pub fn all() -> Expression {
        Expression { text: Node::All.to_string(), tree: Node::All }
    }

    /// Records that have anything in a field, or below it; `None` for a name that is none.
    pub fn exists(field: &str) -> Option<Expression> {
        let field = Field::new(Pattern::new(field.split('*').map(str::to_owned).collect()), None);
        let tree = Node::Exists(std::sync::Arc::new(field));
        let text = tree.to_string();
        Expression::parse(&text).ok()
    }

    /// Reads KQL for a purpose.
    ///
    /// # Errors
    /// Says what was expected, and where.
    pub fn read(text: &str, reading: Purpose) -> Result<Expression, Error> {
        Ok(Expression { text: text.to_owned(), tree: parse::parse(text, reading)? })
    }

    /// What of it is probably not meant, each in words: what no record can meet, because our mappings give the field
    /// another type, and dates that mean less than they seem to.
    pub fn doubts(&self) -> Vec<String> {
        doubts::of(&self.tree)
    }

    /// The same question asked at a given time, which date math needs: without it `@timestamp > now-1h` compares with
    /// nothing. The text stays.
    #[must_use]
    pub fn at(&self, now: DateTime<Utc>) -> Expression {
        Expression { text: self.text.clone(), tree: self.tree.at(now) }
    }

    /// Records that meet both.
    #[must_use]
    pub fn and(self, other: Expression) -> Expression {
        let tree = match (self.tree, other.tree) {
            (Node::All, tree) | (tree, Node::All) => tree,
            (one, other) => Node::And(vec![one, other]),
        };
        Expression { text: tree.to_string(), tree }
    }

    /// Records that do not meet it.
    #[must_use]
    pub fn negated(self) -> Expression {
        let tree = Node::Not(Box::new(self.tree));
        Expression { text: tree.to_string(), tree }
    }

    /// Whether the record matches, in Kibana's two-valued logic: a comparison with a missing field is false, so its
    /// `not` is true.
    pub fn matches(&self, record: &dyn Fields) -> bool {
        evaluate::matches(&self.tree, record)
    }

    /// The answer in three-valued logic (Kleene's): `None` when it hangs on a comparison whose field is missing, null or
    /// of a type that cannot be compared.
    pub fn decide(&self, record: &dyn Fields) -> Option<bool> {
        evaluate::decide(&self.tree, record)
    }

    /// The full names of the fields it asks for, once each, in the order of the text; with their `*`.
    pub fn fields(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.tree.visit_fields(&mut |field| {
            if !names.contains(&field.path_text()) {
                names.push(field.path_text());
            }
        });
        names
    }

    /// Whether it compares the values of a field, and does not only ask whether there are any.
    pub fn compares(&self, field: &str) -> bool {
        self.tree.any(&|node| match node {
            Node::Is { field: named, .. } | Node::Range { field: named, .. } => named.path().matches(field),
            _ => false,
        })
    }

    /// Whether it asks for a field in whatever way, also by a pattern.
    pub fn asks_for(&self, field: &str) -> bool {
        let mut asks = false;
        self.tree.visit_fields(&mut |named| asks |= named.path().matches(field));
        asks
    }

    /// Whether it looks for a text in all fields.
    pub fn has_text(&self) -> bool {
        self.tree.any(&|node| matches!(node, Node::Text(_)))
    }

    /// The text it was read from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the text says.
    pub fn tree(&self) -> &Node {
        &self.tree
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tree.fmt(formatter)
    }
}
