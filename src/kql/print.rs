//! From tree to canonical text: reading it again gives the same tree, here and in Kibana.

use std::fmt::{self, Display, Formatter, Write};

use super::literal::Literal;
use super::scan::{SPECIAL, is_space, is_trimmed, starts_with_word};
use super::syntax::{Comparison, Field, Node, Pattern};

impl Display for Node {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Node::All => formatter.write_str("* : *"),
            Node::Or(nodes) => joined(formatter, nodes, " or ", |node| matches!(node, Node::Or(_))),
            Node::And(nodes) => joined(formatter, nodes, " and ", is_joined),
            Node::Not(inner) => {
                formatter.write_str("not ")?;
                operand(formatter, inner, is_joined(inner) || matches!(**inner, Node::Not(_)))
            }
            Node::Nested { path, inner } => write!(formatter, "{path} : {{ {inner} }}"),
            Node::Exists(field) => write!(formatter, "{field} : *"),
            Node::Is { field, value } => write!(formatter, "{field} : {value}"),
            Node::Range { field, operator, literal } => write!(formatter, "{field} {} {literal}", operator.sign()),
            Node::Text(value) => write!(formatter, "{value}"),
        }
    }
}

impl Display for Field {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self.name().plain() {
            Some("null") => formatter.write_str("\"null\""),
            Some(name) if name.is_empty() || name.starts_with(is_trimmed) || name.ends_with(is_trimmed) => {
                quoted(formatter, name)
            }
            _ => write!(formatter, "{}", self.name()),
        }
    }
}

impl Display for Comparison {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Comparison::Literal(literal) => write!(formatter, "{literal}"),
            Comparison::Pattern(pattern) => write!(formatter, "{pattern}"),
        }
    }
}

impl Display for Literal {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        if self.quoted() { quoted(formatter, self.text()) } else { unquoted(formatter, self.text()) }
    }
}

impl Display for Pattern {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        for (place, piece) in self.pieces().iter().enumerate() {
            formatter.write_str(if place == 0 { "" } else { "*" })?;
            unquoted(formatter, piece)?;
        }
        Ok(())
    }
}

fn is_joined(node: &Node) -> bool {
    matches!(node, Node::Or(_) | Node::And(_))
}

fn joined(formatter: &mut Formatter<'_>, nodes: &[Node], word: &str, in_parentheses: fn(&Node) -> bool) -> fmt::Result {
    for (place, node) in nodes.iter().enumerate() {
        formatter.write_str(if place == 0 { "" } else { word })?;
        operand(formatter, node, in_parentheses(node))?;
    }
    Ok(())
}

fn operand(formatter: &mut Formatter<'_>, node: &Node, in_parentheses: bool) -> fmt::Result {
    if in_parentheses { write!(formatter, "({node})") } else { write!(formatter, "{node}") }
}

fn quoted(formatter: &mut Formatter<'_>, text: &str) -> fmt::Result {
    formatter.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' | '\\' => write!(formatter, "\\{character}")?,
            _ => plain(formatter, character)?,
        }
    }
    formatter.write_char('"')
}

/// Escapes what would end the value or be read as a keyword.
fn unquoted(formatter: &mut Formatter<'_>, text: &str) -> fmt::Result {
    let mut at_word_start = true;
    for (at, character) in text.char_indices() {
        let rest = &text[at..];
        let keyword = |word: &str| {
            let next = if starts_with_word(rest, word) { rest[word.len()..].chars().next() } else { return false };
            next.is_none_or(is_space)
        };
        if keyword("not") || (character == '\n' && rest[1..].starts_with("ot")) {
            write!(formatter, "\\u{:04x}", u32::from(character))?;
        } else if SPECIAL.contains(character) || (at_word_start && (keyword("and") || keyword("or"))) {
            write!(formatter, "\\{character}")?;
        } else {
            plain(formatter, character)?;
        }
        at_word_start = is_space(character);
    }
    Ok(())
}

/// Control characters are escaped, so that a terminal shows them harmlessly.
fn plain(formatter: &mut Formatter<'_>, character: char) -> fmt::Result {
    match character {
        '\t' => formatter.write_str("\\t"),
        '\r' => formatter.write_str("\\r"),
        '\n' => formatter.write_str("\\n"),
        _ if character.is_control() => write!(formatter, "\\u{:04x}", u32::from(character)),
        _ => formatter.write_char(character),
    }
}
