//! Searching the store: which documents does a condition select?
//!
//! The evaluator decides on the document itself, so that the answer is the evaluator's, always. But reading a document
//! costs more than reading the index `records_by_time`, so each tree is first turned into two conditions in SQL on its
//! columns: `may` holds of every record that can match, and `must` only of records that do. A document is read and asked
//! only between the two, and parsed only if it has the text in it that it must have. What the columns cannot tell is `may` 1 and `must` 0, and `not` swaps the two.
//!
//! A column holds what SQLite extracts: text, integer, real, NULL for `null` and nothing, 1 and 0 for booleans, and JSON
//! text for arrays and objects, known by its first character. `prediction` is left out: it is not in the index. Neither
//! condition is ever NULL.

use memchr::memmem::Finder;
use rusqlite::types::Value;
use rusqlite::{Row as SqlRow, params_from_iter};

use super::error::StoreError;
use super::reader::Reader;
use crate::flow::batch::Stream;
use crate::flow::question::{OrderBy, Question, Row, Visit};
use crate::kql::{Comparison, Field, FieldKind, Literal, Node, Operator};
use crate::record::{Record, Space};

/// The most texts of which a document has to have one.
const NEEDLES_MAX: usize = 64;

/// The columns of the index that hold a heart field of the same name.
const COLUMNS: [&str; 9] = [
    "confidence",
    "input_hash",
    "latency_ms",
    "model_name",
    "model_version",
    "request_id",
    "stage",
    "status",
    "subject",
];

impl Reader {
    /// Gives every document that is asked for, in order, until `visit` breaks off.
    ///
    /// # Errors
    /// When SQLite cannot read the file.
    pub fn search(&self, question: &Question, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let found = self.try_search(question, visit);
        found.map_err(|source| StoreError::sqlite(&self.path, source))
    }

    /// The number of documents that are asked for.
    ///
    /// # Errors
    /// When SQLite cannot read the file.
    pub fn count_of(&self, question: &Question) -> Result<u64, StoreError> {
        let counted = self.try_count(question);
        counted.map_err(|source| StoreError::sqlite(&self.path, source))
    }

    fn try_search(&self, question: &Question, visit: &mut Visit<'_>) -> rusqlite::Result<()> {
        let filter = Filter::of(question);
        if !self.has_table(question.stream)? {
            return Ok(());
        }
        let (key, order) = ordering(question);
        let sql = format!(
            "SELECT {}, document, id, {key} AS key FROM {} WHERE {} ORDER BY {order}",
            filter.must,
            question.stream.as_str(),
            filter.may
        );
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query(params_from_iter(filter.parameters))?;
        let mut decider = Decider::new(question);
        while let Some(row) = rows.next()? {
            let document = row.get_ref(1)?.as_str()?;
            if is_sure(row)? || decider.meets(document) {
                let row = Row { key: row.get(3)?, id: row.get_ref(2)?.as_str()?, document };
                if visit(row).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn try_count(&self, question: &Question) -> rusqlite::Result<u64> {
        if !self.has_table(question.stream)? {
            return Ok(0);
        }
        let filter = Filter::of(question);
        // A document is read only where it is asked: its pages are most of the file.
        let sql = format!(
            "SELECT {0}, CASE WHEN {0} THEN NULL ELSE document END FROM {2} WHERE {1}",
            filter.must,
            filter.may,
            question.stream.as_str()
        );
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query(params_from_iter(filter.parameters))?;
        let (mut count, mut decider) = (0, Decider::new(question));
        while let Some(row) = rows.next()? {
            count += u64::from(is_sure(row)? || decider.meets(row.get_ref(1)?.as_str()?));
        }
        Ok(count)
    }
}

fn is_sure(row: &SqlRow<'_>) -> rusqlite::Result<bool> {
    row.get(0)
}

/// The evaluator, asked about documents.
struct Decider<'q> {
    question: &'q Question,
    /// Every document that matches has one of these in it, unless it has it in another spelling, with a `\\`.
    needles: Option<Vec<Finder<'q>>>,
    space: Space,
}

impl<'q> Decider<'q> {
    fn new(question: &'q Question) -> Decider<'q> {
        let texts = needles(question.condition.tree());
        let needles = texts.map(|texts| texts.into_iter().map(Finder::new).collect());
        Decider { question, needles, space: Space::default() }
    }

    /// What the evaluator says. A document that cannot be read is none of ours, and matches nothing.
    fn meets(&mut self, document: &str) -> bool {
        let bytes = document.as_bytes();
        let has_any = |needles: &Vec<Finder<'_>>| needles.iter().any(|needle| needle.find(bytes).is_some());
        let has_escapes = || memchr::memchr(b'\\', bytes).is_some();
        if self.needles.as_ref().is_some_and(|needles| !has_any(needles) && !has_escapes()) {
            return false;
        }
        Record::parse(document, &mut self.space).is_ok_and(|record| self.question.condition.matches(&record))
    }
}

/// Texts of which a matching document must have one in it. Looking for one costs a fiftieth of parsing.
fn needles(node: &Node) -> Option<Vec<&str>> {
    match node {
        Node::And(nodes) => nodes.iter().filter_map(needles).max_by_key(|texts| worth(texts)),
        Node::Or(nodes) => {
            let each: Option<Vec<Vec<&str>>> = nodes.iter().map(needles).collect();
            each.map(|each| each.concat()).filter(|texts| texts.len() <= NEEDLES_MAX)
        }
        Node::Nested { inner, .. } => needles(inner),
        // However the path is spelled, each of its names is in the document.
        Node::Exists(field) => one(field.path().plain()?.split('.').max_by_key(|name| name.len())),
        Node::Is { value: Comparison::Pattern(pattern), .. } => {
            let pieces = pattern.pieces().iter().map(String::as_str);
            one(pieces.filter(is_plain).max_by_key(|text| text.len()))
        }
        // A number or a date may be written in other ways.
        Node::Is { value: Comparison::Literal(literal), field } => {
            let is_text =
                field.kind() == Some(FieldKind::Keyword) || (literal.number().is_none() && literal.date().is_none());
            one(Some(literal.text()).filter(|_| is_text && field.kind() != Some(FieldKind::Date)))
        }
        _ => None,
    }
}

fn one(text: Option<&str>) -> Option<Vec<&str>> {
    text.filter(is_plain).map(|text| vec![text])
}

/// Whether a document has a text as it is, or with a `\\`.
fn is_plain(text: &&str) -> bool {
    text.len() > 1 && !text.contains(|c: char| c.is_control() || c == '"' || c == '\\')
}

/// Few texts are looked for sooner than many, and a long one is in fewer documents than a short one.
fn worth(texts: &[&str]) -> (std::cmp::Reverse<usize>, usize) {
    (std::cmp::Reverse(texts.len()), texts.iter().map(|text| text.len()).min().unwrap_or_default())
}

/// What rows are ordered by, and how SQLite says it.
fn ordering(question: &Question) -> (String, String) {
    let order = question.order;
    let direction = if order.descending { "DESC" } else { "ASC" };
    match order.by {
        // The floor of a division, also before 1970.
        OrderBy::Time => (
            "(timestamp_us - ((timestamp_us % 1000) + 1000) % 1000) / 1000.0".to_owned(),
            format!("timestamp_us {direction}"),
        ),
        OrderBy::Confidence | OrderBy::Latency => {
            let column = match question.stream {
                Stream::Records => order.by.field().to_owned(),
                _ => format!("json_extract(document, '$.{}')", order.by.field()),
            };
            let number =
                format!("CASE typeof({column}) WHEN 'text' THEN CAST({column} AS REAL) ELSE {column} + 0.0 END");
            (number, format!("key {direction} NULLS LAST"))
        }
    }
}

/// Two conditions in SQL with their parameters, which are numbered, so that each may stand anywhere and twice.
struct Filter {
    may: String,
    must: String,
    parameters: Vec<Value>,
}

/// A condition that holds of all that can match, and one that holds only of what does.
struct ConditionBounds {
    may: String,
    must: String,
}

impl Filter {
    fn of(question: &Question) -> Filter {
        let mut parameters = Vec::new();
        // Only records have columns of their heart fields.
        let bounds = match question.stream {
            Stream::Records => bounds(question.condition.tree(), &mut parameters),
            Stream::Accounts | Stream::Drift | Stream::Outcomes => ConditionBounds::unknown(),
        };
        let mut may = bounds.may;
        let edges = [(">=", question.from_ms), ("<", question.until_ms)];
        for (sign, edge_ms) in edges.into_iter().filter_map(|(sign, edge)| edge.map(|edge| (sign, edge))) {
            let place = parameter(&mut parameters, Value::Integer(edge_ms.saturating_mul(1000)));
            may = format!("timestamp_us {sign} {place} AND {may}");
        }
        Filter { may, must: bounds.must, parameters }
    }
}

/// Keeps a parameter; gives its name.
fn parameter(parameters: &mut Vec<Value>, value: Value) -> String {
    parameters.push(value);
    format!("?{}", parameters.len())
}

impl ConditionBounds {
    fn unknown() -> ConditionBounds {
        ConditionBounds { may: "1".to_owned(), must: "0".to_owned() }
    }

    fn joined(parts: Vec<ConditionBounds>, word: &str) -> ConditionBounds {
        let (may, must): (Vec<String>, Vec<String>) = parts.into_iter().map(|part| (part.may, part.must)).unzip();
        ConditionBounds { may: joined(&may, word), must: joined(&must, word) }
    }
}

/// Joins in halves, because SQLite limits how deep an expression is: a list of a thousand values is ten deep so.
fn joined(parts: &[String], word: &str) -> String {
    match parts {
        [one] => one.clone(),
        _ => {
            let (left, right) = parts.split_at(parts.len() / 2);
            format!("({}{word}{})", joined(left, word), joined(right, word))
        }
    }
}

fn bounds(node: &Node, parameters: &mut Vec<Value>) -> ConditionBounds {
    match node {
        Node::All => ConditionBounds { may: "1".to_owned(), must: "1".to_owned() },
        Node::Or(nodes) => ConditionBounds::joined(nodes.iter().map(|node| bounds(node, parameters)).collect(), " OR "),
        Node::And(nodes) => {
            ConditionBounds::joined(nodes.iter().map(|node| bounds(node, parameters)).collect(), " AND ")
        }
        Node::Not(inner) => {
            let ConditionBounds { may, must } = bounds(inner, parameters);
            ConditionBounds { may: format!("NOT {must}"), must: format!("NOT {may}") }
        }
        Node::Nested { inner, .. } => bounds(inner, parameters),
        Node::Exists(field) => column_of(field).map_or_else(ConditionBounds::unknown, exists),
        Node::Is { field, value: Comparison::Literal(literal) } => {
            column_of(field).and_then(|column| is(column, literal, parameters)).unwrap_or_else(ConditionBounds::unknown)
        }
        Node::Range { field, operator, literal } => {
            range(field, *operator, literal, parameters).unwrap_or_else(ConditionBounds::unknown)
        }
        Node::Is { value: Comparison::Pattern(_), .. } | Node::Text(_) => ConditionBounds::unknown(),
    }
}

fn column_of(field: &Field) -> Option<&str> {
    field.path().plain().filter(|name| COLUMNS.contains(name))
}

/// Whether a column holds an array or an object, or a text that looks like one.
fn is_composite(column: &str) -> String {
    format!("(typeof({column}) = 'text' AND substr({column}, 1, 1) IN ('[', '{{'))")
}

fn exists(column: &str) -> ConditionBounds {
    ConditionBounds {
        may: format!("({column} IS NOT NULL)"),
        must: format!("({column} IS NOT NULL AND NOT {})", is_composite(column)),
    }
}

fn is(column: &str, literal: &Literal, parameters: &mut Vec<Value>) -> Option<ConditionBounds> {
    if FieldKind::of_field(column) == Some(FieldKind::Number) {
        return number(column, "=", literal, parameters);
    }
    // SQLite reads such texts in its own way.
    if literal.text().contains(['\0', '\\', '\u{fffd}']) {
        return None;
    }
    let place = parameter(parameters, Value::Text(literal.text().to_owned()));
    let (same, composite) = (format!("typeof({column}) = 'text' AND {column} = {place}"), is_composite(column));
    Some(ConditionBounds {
        may: format!("({same} OR typeof({column}) IN ('integer', 'real') OR {composite})"),
        must: format!("({same} AND NOT {composite})"),
    })
}

fn range(field: &Field, operator: Operator, bound: &Literal, parameters: &mut Vec<Value>) -> Option<ConditionBounds> {
    if field.path().plain() == Some("@timestamp") {
        let bound_us = operator.bound_ms(bound.date()?).saturating_mul(1000);
        // A millisecond more on either side: times are compared in milliseconds.
        let (sign, edge_us) = match operator {
            Operator::Less | Operator::LessOrEqual => ("<", bound_us.saturating_add(1000)),
            Operator::Greater | Operator::GreaterOrEqual => (">=", bound_us),
        };
        let place = parameter(parameters, Value::Integer(edge_us));
        return Some(ConditionBounds { may: format!("timestamp_us {sign} {place}"), must: "0".to_owned() });
    }
    let column = column_of(field).filter(|column| FieldKind::of_field(column) == Some(FieldKind::Number))?;
    number(column, operator.sign(), bound, parameters)
}

/// Compares numbers. Both sides lose digits, but never their order: what is less as a double is less, and only what is
/// equal as a double is left to the evaluator.
fn number(column: &str, sign: &str, bound: &Literal, parameters: &mut Vec<Value>) -> Option<ConditionBounds> {
    let bound: f64 = bound.number()?.to_string().parse().ok()?;
    let place = parameter(parameters, Value::Real(bound));
    let strict = sign.trim_end_matches('=');
    let may = format!(
        "(typeof({column}) IN ('integer', 'real') AND {column} {strict}= {place} OR typeof({column}) = 'text')"
    );
    // 0 and 1 may be booleans, which are no numbers.
    let is_number = format!("(typeof({column}) = 'real' OR typeof({column}) = 'integer' AND {column} NOT IN (0, 1))");
    let must = if strict.is_empty() { "0".to_owned() } else { format!("({is_number} AND {column} {strict} {place})") };
    Some(ConditionBounds { may, must })
}
