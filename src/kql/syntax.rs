//! What an expression says, as a tree. Each use of a condition (evaluation here, a query language elsewhere) is one walk
//! over it. Value lists are taken apart as Kibana does: `a : (x or y)` is `a : x or a : y`.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::literal::Literal;
use super::mapped::FieldKind;

/// An expression or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// Every record: `* : *`, `*`, or nothing.
    All,
    /// At least two, one of which holds.
    Or(Vec<Node>),
    /// At least two, all of which hold.
    And(Vec<Node>),
    /// What does not hold.
    Not(Box<Node>),
    /// `path : { inner }`. The fields in `inner` know their whole path.
    Nested {
        /// The field before the brace; it has no wildcards.
        path: Arc<Field>,
        /// What stands between the braces; it has no free text.
        inner: Box<Node>,
    },
    /// `field : *`.
    Exists(Arc<Field>),
    /// `field : value`.
    Is {
        /// The field.
        field: Arc<Field>,
        /// What its value is compared with.
        value: Comparison,
    },
    /// `field < literal` and its like.
    Range {
        /// The field.
        field: Arc<Field>,
        /// The sign.
        operator: Operator,
        /// The bound.
        literal: Literal,
    },
    /// A value without a field: any field may have it.
    Text(Comparison),
}

/// What a value must be.
#[derive(Clone, Debug, PartialEq)]
pub enum Comparison {
    /// This value.
    Literal(Literal),
    /// A text of this form.
    Pattern(Pattern),
}

/// The sign of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Operator {
    /// As it is written.
    pub fn sign(self) -> &'static str {
        match self {
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
        }
    }
}

/// A text with `*` in it, each standing for any characters or none; or a plain text, which is one piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pieces: Vec<String>,
}

impl Pattern {
    /// A pattern of the texts between the `*`; several `*` side by side are one.
    pub fn new(mut pieces: Vec<String>) -> Pattern {
        let last = pieces.len().saturating_sub(1);
        let mut place = 0;
        pieces.retain(|piece| {
            place += 1;
            !piece.is_empty() || place == 1 || place == last + 1
        });
        Pattern { pieces }
    }

    /// The texts between the `*`.
    pub fn pieces(&self) -> &[String] {
        &self.pieces
    }

    /// The text, if there is no `*` in it.
    pub fn plain(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [text] => Some(text),
            _ => None,
        }
    }

    /// Whether it is `*` alone.
    pub fn is_star(&self) -> bool {
        self.pieces.len() == 2 && self.pieces.iter().all(String::is_empty)
    }

    /// Whether a text has this form.
    pub fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = self.pieces.as_slice() else {
            return self.plain() == Some(text);
        };
        let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
        for piece in middle {
            match rest.find(piece.as_str()) {
                Some(at) => rest = &rest[at + piece.len()..],
                None => return false,
            }
        }
        rest.ends_with(last.as_str())
    }
}

/// The name of a field, perhaps with `*` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    name: Pattern,
    path: Pattern,
    path_text: String,
    kind: Option<FieldKind>,
}

impl Field {
    /// A field inside the braces of `outer`, if there are any.
    pub fn new(name: Pattern, outer: Option<&Field>) -> Field {
        let mut path = name.clone();
        if let (Some(outer), Some(first)) = (outer, path.pieces.first_mut()) {
            first.insert(0, '.');
            first.insert_str(0, &outer.path_text);
        }
        let path_text = path.pieces.join("*");
        let kind = path.plain().and_then(FieldKind::of_field);
        Field { name, path, path_text, kind }
    }

    /// The kind of its values, where our mappings name the field.
    pub fn kind(&self) -> Option<FieldKind> {
        self.kind
    }

    /// The name as it is written, relative to the braces around it.
    pub fn name(&self) -> &Pattern {
        &self.name
    }

    /// The whole dotted path.
    pub fn path(&self) -> &Pattern {
        &self.path
    }

    /// The whole dotted path, with its `*`.
    pub fn path_text(&self) -> &str {
        &self.path_text
    }
}

impl Comparison {
    fn at(&self, now: DateTime<Utc>) -> Comparison {
        match self {
            Comparison::Literal(literal) => Comparison::Literal(literal.at(now)),
            Comparison::Pattern(_) => self.clone(),
        }
    }
}

impl Node {
    /// The same with every date math taken as it is meant at `now`.
    pub(super) fn at(&self, now: DateTime<Utc>) -> Node {
        let all = |nodes: &[Node]| nodes.iter().map(|node| node.at(now)).collect();
        match self {
            Node::All | Node::Exists(_) => self.clone(),
            Node::Or(nodes) => Node::Or(all(nodes)),
            Node::And(nodes) => Node::And(all(nodes)),
            Node::Not(inner) => Node::Not(Box::new(inner.at(now))),
            Node::Nested { path, inner } => Node::Nested { path: Arc::clone(path), inner: Box::new(inner.at(now)) },
            Node::Is { field, value } => Node::Is { field: Arc::clone(field), value: value.at(now) },
            Node::Range { field, operator, literal } => {
                Node::Range { field: Arc::clone(field), operator: *operator, literal: literal.at(now) }
            }
            Node::Text(value) => Node::Text(value.at(now)),
        }
    }

    /// Whether a part of it without brackets is such a one.
    pub(super) fn any(&self, is_such: &impl Fn(&Node) -> bool) -> bool {
        match self {
            Node::Or(nodes) | Node::And(nodes) => nodes.iter().any(|node| node.any(is_such)),
            Node::Not(inner) | Node::Nested { inner, .. } => inner.any(is_such),
            leaf => is_such(leaf),
        }
    }

    /// Visits the fields that are asked for, in the order of the text.
    pub(super) fn visit_fields<'a>(&'a self, visit: &mut impl FnMut(&'a Field)) {
        match self {
            Node::All | Node::Text(_) => {}
            Node::Or(nodes) | Node::And(nodes) => nodes.iter().for_each(|node| node.visit_fields(visit)),
            Node::Not(inner) | Node::Nested { inner, .. } => inner.visit_fields(visit),
            Node::Exists(field) | Node::Is { field, .. } | Node::Range { field, .. } => visit(field),
        }
    }
}
