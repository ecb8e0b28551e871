//! The language as properties: over all trees, texts and records.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::answers::Record;
use crate::kql::scan::is_trimmed;
use crate::kql::*;

/// Pieces that a reader could stumble over.
fn soup() -> impl Strategy<Value = String> {
    let pieces = [
        "and", "or", "not", "And", "NOT", " ", " ", "\u{a0}", "\t", "\n", "ot", "*", "\"", "\\", "\\u", "00e9", "d83d",
        "n", ":", "<", ">=", "=", "!", "~", "&&", "|", "'", "[", " TO ", "in", "like", "(", ")", "{", "}", "a", "b.c",
        "é", "😀", "1", "-2.50", "true", "null", "now-1h", "\u{1b}", "\u{feff}",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..12).prop_map(|pieces| pieces.concat())
}

fn a_pattern() -> impl Strategy<Value = Pattern> {
    prop::collection::vec(soup(), 1..4).prop_filter_map("empty or a star", |mut pieces| {
        let last = pieces.len() - 1;
        pieces[0] = pieces[0].trim_start_matches(is_trimmed).to_owned();
        pieces[last] = pieces[last].trim_end_matches(is_trimmed).to_owned();
        let pattern = Pattern::new(pieces);
        (!pattern.is_star() && pattern.plain() != Some("")).then_some(pattern)
    })
}

fn a_comparison() -> impl Strategy<Value = Comparison> {
    let unquoted = a_pattern().prop_map(|pattern| match pattern.plain() {
        Some(text) => Comparison::Literal(Literal::new(text.to_owned(), false)),
        None => Comparison::Pattern(pattern),
    });
    prop_oneof![unquoted, soup().prop_map(|text| Comparison::Literal(Literal::new(text, true)))]
}

fn a_field() -> impl Strategy<Value = Arc<Field>> {
    let quoted = soup().prop_filter("empty", |text| !text.is_empty()).prop_map(|text| Pattern::new(vec![text]));
    prop_oneof![a_pattern(), quoted].prop_map(|name| Arc::new(Field::new(name, None)))
}

fn an_operator() -> impl Strategy<Value = Operator> {
    use Operator::{Greater, GreaterOrEqual, Less, LessOrEqual};
    prop::sample::select(vec![Less, LessOrEqual, Greater, GreaterOrEqual])
}

fn a_tree() -> impl Strategy<Value = Node> {
    let range = (a_field(), an_operator(), soup(), any::<bool>()).prop_map(|(field, operator, text, quoted)| {
        let text = text.trim_matches(is_trimmed).to_owned();
        let quoted = quoted || text.is_empty() || text == "null";
        Node::Range { field, operator, literal: Literal::new(text, quoted) }
    });
    let leaf = prop_oneof![
        1 => Just(Node::All),
        2 => a_field().prop_map(Node::Exists),
        4 => (a_field(), a_comparison()).prop_map(|(field, value)| Node::Is { field, value }),
        2 => range,
        2 => a_comparison().prop_map(Node::Text),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let several = prop::collection::vec(inner.clone(), 2..4);
        let path = a_field().prop_filter("wildcard", |field| field.name().plain().is_some());
        prop_oneof![
            several.clone().prop_map(Node::Or),
            several.prop_map(Node::And),
            inner.clone().prop_map(|node| Node::Not(Box::new(node))),
            (path, inner).prop_map(|(path, node)| Node::Nested { path, inner: Box::new(node) }),
        ]
    })
    .prop_map(|tree| placed(tree, None))
}

/// The tree with each field knowing the braces around it, where there is no free text.
fn placed(node: Node, outer: Option<&Field>) -> Node {
    let field = |field: &Field| Arc::new(Field::new(field.name().clone(), outer));
    let all = |nodes: Vec<Node>| nodes.into_iter().map(|node| placed(node, outer)).collect();
    match node {
        Node::Or(nodes) => Node::Or(all(nodes)),
        Node::And(nodes) => Node::And(all(nodes)),
        Node::Not(inner) => Node::Not(Box::new(placed(*inner, outer))),
        Node::Nested { path, inner } => {
            let path = field(&path);
            let inner = Box::new(placed(*inner, Some(&path)));
            Node::Nested { path, inner }
        }
        Node::Exists(name) => Node::Exists(field(&name)),
        Node::Is { field: name, value } => Node::Is { field: field(&name), value },
        Node::Range { field: name, operator, literal } => Node::Range { field: field(&name), operator, literal },
        Node::All | Node::Text(_) if outer.is_some() => {
            Node::Exists(Arc::new(Field::new(Pattern::new(vec!["x".to_owned()]), outer)))
        }
        Node::All | Node::Text(_) => node,
    }
}

/// Conditions and records that have something to do with each other.
fn a_condition() -> impl Strategy<Value = Node> {
    let texts = [
        "a : 1",
        "a : x",
        "a : *",
        "b : true",
        "b < 2",
        "b >= \"1\"",
        "c.d : x*",
        "c* : 1",
        "c.d > x",
        "x",
        "c : { d : 1 }",
    ];
    let leaf = prop::sample::select(texts.to_vec()).prop_map(|text| Expression::parse(text).unwrap().tree().clone());
    leaf.prop_recursive(3, 12, 3, |inner| {
        let several = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            several.clone().prop_map(Node::Or),
            several.prop_map(Node::And),
            inner.prop_map(|node| Node::Not(Box::new(node))),
        ]
    })
}

fn a_record() -> impl Strategy<Value = Record> {
    let values =
        [json!(1), json!("x"), json!("1"), json!(2.5), json!(true), json!(null), json!([1, "x"]), json!({"d": 1})];
    prop::collection::hash_map(
        prop::sample::select(vec!["a", "b", "c", "c.d"]),
        prop::sample::select(values.to_vec()),
        0..4,
    )
    .prop_map(|members| Record(json!(members)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn printing_a_tree_and_reading_it_gives_the_tree(tree in a_tree()) {
        let printed = tree.to_string();
        prop_assume!(printed.len() <= TEXT_BYTES_MAX);
        let read = Expression::parse(&printed);
        prop_assert!(read.is_ok(), "{}", read.unwrap_err());
        let read = read.unwrap();
        prop_assert_eq!(read.tree(), &tree, "{}", printed);
        prop_assert_eq!(read.to_string(), printed);
    }

    #[test]
    fn any_text_is_read_or_refused_at_a_place_in_it(text in prop_oneof![soup(), any::<String>(), "[\\PC\\s]{0,40}"]) {
        for reading in [Purpose::Question, Purpose::Condition] {
            if let Err(error) = Expression::read(&text, reading) {
                prop_assert!(text.is_char_boundary(error.position_bytes()));
            }
        }
        match Expression::parse(&text) {
            Ok(expression) => {
                let again = Expression::parse(&expression.to_string());
                prop_assert_eq!(again.as_ref().map(Expression::tree), Ok(expression.tree()), "{}", &expression);
            }
            Err(error) => {
                prop_assert!(text.is_char_boundary(error.position_bytes()));
                prop_assert!(error.to_string().ends_with('^'));
            }
        }
    }

    #[test]
    fn de_morgan_holds_for_the_unknown_too(a in a_condition(), b in a_condition(), record in a_record()) {
        let not = |node: &Node| Node::Not(Box::new(node.clone()));
        let both = Node::And(vec![a.clone(), b.clone()]);
        let either = Node::Or(vec![a.clone(), b.clone()]);
        let decide = |node: &Node| evaluate::decide(node, &record);
        prop_assert_eq!(decide(&not(&both)), decide(&Node::Or(vec![not(&a), not(&b)])));
        prop_assert_eq!(decide(&not(&either)), decide(&Node::And(vec![not(&a), not(&b)])));
        prop_assert_eq!(decide(&not(&not(&a))), decide(&a));
    }

    #[test]
    fn what_is_decided_is_what_matches(condition in a_condition(), record in a_record()) {
        if let Some(decided) = evaluate::decide(&condition, &record) {
            prop_assert_eq!(decided, evaluate::matches(&condition, &record));
        }
    }
}
