//! What is probably not meant? A comparison with a value that the field's type cannot have, a range of times that ends
//! before it begins, and a month or year where Elasticsearch takes its first day. Said to people, and no error: a mapping of
//! one's own may give the field another type.

use super::date::milliseconds;
use super::literal::Literal;
use super::mapped::FieldKind;
use super::syntax::{Comparison, Field, Node, Operator};

/// Each part that is probably not meant, in words.
pub(super) fn of(tree: &Node) -> Vec<String> {
    let mut parts = Vec::new();
    visit(tree, &mut parts);
    parts
}

fn visit(node: &Node, parts: &mut Vec<String>) {
    match node {
        Node::All | Node::Exists(_) | Node::Text(_) => {}
        Node::Or(nodes) => nodes.iter().for_each(|node| visit(node, parts)),
        Node::And(nodes) => {
            nodes.iter().for_each(|node| visit(node, parts));
            parts.extend(reversed(nodes));
        }
        Node::Not(inner) | Node::Nested { inner, .. } => visit(inner, parts),
        Node::Is { field, value } => {
            parts.extend(misfit(field, value).map(|why| never(node, &why)));
            if let Comparison::Literal(literal) = value {
                parts.extend(first_day(node, field, literal));
            }
        }
        Node::Range { field, operator, literal } => {
            parts.extend(misfit(field, &Comparison::Literal(literal.clone())).map(|why| never(node, &why)));
            let looks_at_its_end = matches!(operator, Operator::Greater | Operator::LessOrEqual);
            parts.extend(first_day(node, field, literal).filter(|_| looks_at_its_end));
        }
    }
}

fn never(node: &Node, why: &str) -> String {
    format!("`{node}` can never match: {why}")
}

/// `@timestamp : 2018-04`, of which Elasticsearch takes the first day.
fn first_day(node: &Node, field: &Field, literal: &Literal) -> Option<String> {
    let is_date = field.kind() == Some(FieldKind::Date) && literal.date().is_some() && !literal.date_math();
    let text = literal.text();
    let is_short =
        is_date && matches!(text.len(), 4 | 7) && text.bytes().filter(|byte| *byte != b'-').all(|b| b.is_ascii_digit());
    let (day, whole) = if text.len() == 4 { ("-01-01", "year") } else { ("-01", "month") };
    let name = field.path_text();
    is_short.then(|| {
        format!(
            "`{node}` means the day {text}{day} alone, as in Elasticsearch; for the whole {whole} give both ends: \
             `{name} >= {text}{day} and {name} < …`"
        )
    })
}

/// Why no value of the field can be this.
fn misfit(field: &Field, value: &Comparison) -> Option<String> {
    let (kind, name) = (field.kind()?, field.path_text());
    match value {
        Comparison::Pattern(_) => match kind {
            FieldKind::Keyword => None,
            FieldKind::Number => Some(format!("`{name}` is a number, and a number has no form; write `{name} < 0.6`")),
            FieldKind::Boolean => Some(format!("`{name}` is `true` or `false`, and nothing else")),
            FieldKind::Date => Some(format!("`{name}` is a time; write `{name} : 2026-11-23` for a day")),
        },
        Comparison::Literal(literal) => {
            let (kind, example) = literal.misfit(kind)?;
            Some(format!("`{name}` is a {kind}, and this is none; write {example}"))
        }
    }
}

/// `@timestamp >= 2026-11-24 and @timestamp < 2026-11-23`: a record has one time.
fn reversed(nodes: &[Node]) -> Option<String> {
    let bound = |node: &Node, is_upward: bool| match node {
        Node::Range { field, operator, literal } if field.kind() == Some(FieldKind::Date) => {
            let goes_up = matches!(operator, Operator::Greater | Operator::GreaterOrEqual);
            (goes_up == is_upward).then(|| bound_ms(*operator, literal)).flatten()
        }
        _ => None,
    };
    let lowest = nodes.iter().filter_map(|node| bound(node, true)).max()?;
    let highest = nodes.iter().filter_map(|node| bound(node, false)).min()?;
    (lowest > highest).then(|| "the range of `@timestamp` ends before it begins: no record can be in it".to_owned())
}

fn bound_ms(operator: Operator, literal: &Literal) -> Option<i64> {
    let span = literal.date()?;
    let is_last = matches!(operator, Operator::Greater | Operator::LessOrEqual);
    Some(milliseconds(if is_last { span.last } else { span.first }))
}

#[cfg(test)]
mod tests {
    use crate::kql::Expression;

    #[test]
    fn what_is_probably_not_meant_is_said() {
        let cases = [
            ("confidence : np*", "`confidence : np*` can never match: `confidence` is a number"),
            ("not (a : 1 and confidence : high)", "`confidence : high` can never match: `confidence` is a number"),
            ("low_confidence : yes", "is a boolean, and this is none; write `true` or `false`"),
            ("low_confidence : t*", "is `true` or `false`"),
            ("@timestamp : 2018*", "write `@timestamp : 2026-11-23` for a day"),
            ("@timestamp : yesterday", "`@timestamp` is a time, and this is none"),
            ("x : { y : 1 } and log.offset : (a or 3)", "`log.offset : a` can never match"),
            ("@timestamp >= 2026-11-24 and @timestamp < 2026-11-23", "ends before it begins"),
            ("@timestamp : 2018-04", "means the day 2018-04-01 alone, as in Elasticsearch; for the whole month"),
            ("@timestamp > 2018", "means the day 2018-01-01 alone, as in Elasticsearch; for the whole year"),
        ];
        for (text, words) in cases {
            let parts = Expression::parse(text).unwrap().doubts();
            assert!(parts.len() == 1 && parts[0].contains(words), "{text}: {parts:?}");
        }
        for text in [
            "confidence : \"0.6\" and confidence : * and low_confidence : true and @timestamp < 2018-04",
            "@timestamp >= now-1h and @timestamp < now and prediction : n* and other : n*",
            "@timestamp >= 2026-11-23 and @timestamp < 2026-11-24",
            "confidence* : np*",
        ] {
            assert_eq!(Expression::parse(text).unwrap().doubts(), [""; 0], "{text}");
        }
    }
}
