//! KQL as Elasticsearch's Query DSL: the query that selects the records which the evaluator selects.
//!
//! A query is written for the types that fields have in the target ([`Types`], asked of `_field_caps`), because one that
//! does not fit its field's type is an error to Elasticsearch and not a record that does not match: `confidence < high`
//! would fail as a whole. So a comparison becomes one leaf for each field that the name means and each type that it has
//! there; what a type cannot be compared with matches nothing. Scores mean nothing here: everything is a filter.
//!
//! | KQL | a keyword | a number | a boolean | a date |
//! | --- | --- | --- | --- | --- |
//! | `f : x` | `term` | `term`, if x is a number | `term`, if it is a boolean | `range` over all that x may mean |
//! | `f : x*` | `wildcard` | nothing | nothing | nothing |
//! | `f < x` | `range` by bytes | `range`, if x is a number | `range`, if it is a boolean | `range` in milliseconds |
//!
//! `f : *` is `exists`, of the field itself and of what is below it, or that the field is named in `_ignored`: a value that
//! does not fit its field's mapping is there all the same. Fields in braces are asked of the whole record.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde_json::{Value, json};

use super::date::milliseconds;
use super::decimal::Decimal;
use super::literal::Literal;
use super::mapped::{FieldKind, SUB_FIELDS};
use super::syntax::{Comparison, Field, Node, Operator, Pattern};

/// A type that a field has.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldType {
    /// How its values are compared; `None` for a type of which our queries know only that a value is there.
    pub kind: Option<FieldKind>,
    /// The largest number that it can hold; a larger one in a query is an error to Elasticsearch.
    pub number_max: f64,
    /// In which indices, where it has another type in others.
    pub indices: Option<Vec<String>>,
}

impl FieldType {
    /// Reads Elasticsearch's name of a type.
    pub fn named(name: &str, indices: Option<Vec<String>>) -> FieldType {
        let (kind, number_max) = match name {
            "keyword" | "constant_keyword" | "wildcard" => (Some(FieldKind::Keyword), 0.0),
            "double" | "float" | "half_float" | "scaled_float" => (Some(FieldKind::Number), f64::MAX),
            "long" | "unsigned_long" => (Some(FieldKind::Number), 9.2e18),
            "integer" => (Some(FieldKind::Number), 2_147_483_647.0),
            "short" => (Some(FieldKind::Number), 32_767.0),
            "byte" => (Some(FieldKind::Number), 127.0),
            "boolean" => (Some(FieldKind::Boolean), 0.0),
            "date" | "date_nanos" => (Some(FieldKind::Date), 0.0),
            _ => (None, 0.0),
        };
        FieldType { kind, number_max, indices }
    }

    fn is_floating(&self) -> bool {
        self.number_max == f64::MAX
    }
}

/// The types of the fields that a query may mean, by name. A field that is not here is in no document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Types(BTreeMap<String, Vec<FieldType>>);

impl Types {
    /// Adds a type of a field; of one that records can have.
    pub fn add(&mut self, field: &str, field_type: FieldType) {
        if !SUB_FIELDS.contains(&field) {
            self.0.entry(field.to_owned()).or_default().push(field_type);
        }
    }

    /// The fields that a pattern means, each with each of its types.
    fn of<'t>(&'t self, path: &'t Pattern) -> impl Iterator<Item = (&'t str, &'t FieldType)> {
        let meant = self.0.iter().filter(|(name, _)| path.matches(name));
        meant.flat_map(|(name, types)| types.iter().map(move |one| (name.as_str(), one)))
    }
}

/// The names to ask the types of: fields with their `*`, and `*` alone for free text.
pub fn field_names(tree: &Node) -> Vec<String> {
    let mut names = Vec::new();
    collect_names(tree, &mut names);
    names.sort();
    names.dedup();
    names
}

fn collect_names(node: &Node, names: &mut Vec<String>) {
    match node {
        Node::All => {}
        Node::Exists(field) => {
            if field.path().plain().is_none() {
                names.push(field.path_text().to_owned());
            }
        }
        Node::Text(_) => names.push("*".to_owned()),
        Node::Or(nodes) | Node::And(nodes) => nodes.iter().for_each(|node| collect_names(node, names)),
        Node::Not(inner) | Node::Nested { inner, .. } => collect_names(inner, names),
        Node::Is { field, .. } | Node::Range { field, .. } => names.push(field.path_text().to_owned()),
    }
}

/// The query of a tree, for fields of these types. Date math must have been given a time.
pub fn query(tree: &Node, types: &Types) -> Value {
    match tree {
        Node::All => json!({"match_all": {}}),
        Node::Or(nodes) => any_of(nodes.iter().map(|node| query(node, types)).collect()),
        Node::And(nodes) => {
            json!({"bool": {"filter": nodes.iter().map(|node| query(node, types)).collect::<Vec<_>>()}})
        }
        Node::Not(inner) => json!({"bool": {"must_not": [query(inner, types)]}}),
        Node::Nested { inner, .. } => query(inner, types),
        Node::Exists(field) => exists(field, types),
        Node::Is { field, value } => leaves(field.path(), types, |name, of| is(name, of, value)),
        Node::Range { field, operator, literal } => {
            leaves(field.path(), types, |name, of| range(name, of, *operator, literal))
        }
        Node::Text(value) => {
            leaves(&Pattern::new(vec![String::new(), String::new()]), types, |name, of| is(name, of, value))
        }
    }
}

fn none() -> Value {
    json!({"match_none": {}})
}

/// At least one of these holds.
fn any_of(mut queries: Vec<Value>) -> Value {
    match queries.len() {
        0 => none(),
        1 => queries.swap_remove(0),
        _ => json!({"bool": {"should": queries, "minimum_should_match": 1}}),
    }
}

/// One query for each field and type that can be compared.
fn leaves(path: &Pattern, types: &Types, leaf: impl Fn(&str, &FieldType) -> Option<Value>) -> Value {
    let queries = types.of(path).filter_map(|(name, field_type)| {
        let leaf = leaf(name, field_type)?;
        Some(match &field_type.indices {
            None => leaf,
            Some(indices) => json!({"bool": {"filter": [{"terms": {"_index": indices}}, leaf]}}),
        })
    });
    any_of(queries.collect())
}

fn exists(field: &Field, types: &Types) -> Value {
    let Some(name) = field.path().plain() else {
        // Elasticsearch would take the pattern, and mean its own `_version` by `*_version` as well.
        let named = types.of(field.path()).map(|(name, _)| json!({"exists": {"field": name}}));
        return any_of(named.chain([ignored(field.path())]).collect());
    };
    if SUB_FIELDS.contains(&name) {
        return none();
    }
    any_of(vec![
        json!({"exists": {"field": name}}),
        json!({"exists": {"field": format!("{name}.*")}}),
        json!({"term": {"_ignored": name}}),
        json!({"prefix": {"_ignored": format!("{name}.")}}),
    ])
}

/// That a field which the pattern means is named in `_ignored`. There stand sub-fields as well, which it does not mean.
fn ignored(path: &Pattern) -> Value {
    if !SUB_FIELDS.iter().any(|name| path.matches(name)) {
        return json!({"wildcard": {"_ignored": {"value": escaped(path)}}});
    }
    let literal = |text: &str| {
        let escaped = |c: char| if c.is_alphanumeric() { c.to_string() } else { format!("\\{c}") };
        text.chars().map(escaped).collect::<String>()
    };
    let pieces: Vec<String> = path.pieces().iter().map(|piece| literal(piece)).collect();
    let but: String = SUB_FIELDS.iter().map(|name| format!("&~({})", literal(name))).collect();
    let value = format!("({}){but}", pieces.join(".*"));
    json!({"regexp": {"_ignored": {"value": value, "flags": "COMPLEMENT|INTERSECTION"}}})
}

fn is(name: &str, of: &FieldType, value: &Comparison) -> Option<Value> {
    let literal = match value {
        Comparison::Pattern(pattern) if of.kind == Some(FieldKind::Keyword) => {
            return Some(json!({"wildcard": {name: {"value": escaped(pattern)}}}));
        }
        Comparison::Pattern(_) => return None,
        Comparison::Literal(literal) => literal,
    };
    match of.kind? {
        FieldKind::Keyword => Some(json!({"term": {name: literal.text()}})),
        FieldKind::Number => match held(literal.number()?, of)?.as_str() {
            // To Elasticsearch -0.0 is another number, less than 0.
            "0" if of.is_floating() => Some(json!({"range": {name: {"gte": "-0.0", "lte": "0"}}})),
            number => Some(json!({"term": {name: number}})),
        },
        FieldKind::Boolean => Some(json!({"term": {name: literal.boolean()?}})),
        FieldKind::Date => {
            let span = literal.date()?;
            let (first, last) = (moment(milliseconds(span.first))?, moment(milliseconds(span.last))?);
            Some(json!({"range": {name: {"gte": first, "lte": last}}}))
        }
    }
}

fn range(name: &str, of: &FieldType, operator: Operator, bound: &Literal) -> Option<Value> {
    let bound = match of.kind? {
        FieldKind::Keyword => json!(bound.text()),
        FieldKind::Boolean => json!(bound.boolean()?),
        FieldKind::Date => json!(moment(operator.bound_ms(bound.date()?))?),
        FieldKind::Number => {
            let number = bound.number()?;
            match held(number, of) {
                Some(text) if text == "0" && of.is_floating() && operator.is_below_zero() => json!("-0.0"),
                Some(text) => json!(text),
                // Larger than any number that is indexed: all of them are on one side of it.
                None if number.is_negative() == operator.is_upward() => {
                    return Some(json!({"exists": {"field": name}}));
                }
                None => return None,
            }
        }
    };
    Some(json!({"range": {name: {operator.name(): bound}}}))
}

impl Operator {
    /// As the Query DSL has it.
    fn name(self) -> &'static str {
        match self {
            Operator::Less => "lt",
            Operator::LessOrEqual => "lte",
            Operator::Greater => "gt",
            Operator::GreaterOrEqual => "gte",
        }
    }

    /// Whether the edge of a range at zero lies below -0.0 as well.
    fn is_below_zero(self) -> bool {
        matches!(self, Operator::Less | Operator::GreaterOrEqual)
    }

    /// Whether it asks for what is greater.
    fn is_upward(self) -> bool {
        matches!(self, Operator::Greater | Operator::GreaterOrEqual)
    }
}

/// The text of a number that the field's type can hold.
fn held(number: &Decimal<'_>, of: &FieldType) -> Option<String> {
    let text = number.to_string();
    text.parse::<f64>().ok().filter(|number| number.abs() <= of.number_max).map(|_| text)
}

/// A moment in a form that a `date` takes; `None` outside the years 0 to 9999.
fn moment(milliseconds: i64) -> Option<String> {
    let text = DateTime::from_timestamp_millis(milliseconds)?.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
    if text.starts_with(|first: char| first.is_ascii_digit()) { Some(text) } else { None }
}

/// A pattern as `wildcard` takes it.
fn escaped(pattern: &Pattern) -> String {
    let piece = |piece: &String| piece.replace('\\', r"\\").replace('*', r"\*").replace('?', r"\?");
    pattern.pieces().iter().map(piece).collect::<Vec<_>>().join("*")
}
