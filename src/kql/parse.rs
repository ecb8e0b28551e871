//! From text to tree, by recursive descent: or, and, not, then a condition or a value. The depth of brackets is limited,
//! and nothing else recurses, so no text overflows the stack.

use std::sync::Arc;

use super::error::{Error, Problem};
use super::foreign::{self, Foreign};
use super::literal::Literal;
use super::scan::{SPECIAL, Scanner, Word};
use super::syntax::{Comparison, Field, Node, Operator, Pattern};
use super::{NESTING_DEPTH_MAX, TEXT_BYTES_MAX};

/// What the expression is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Whatever is KQL.
    Any,
    /// A question, asked now: what looks like another language is refused.
    Question,
    /// A condition, whose answer must not depend on the clock, and in which each value has its field.
    Condition,
}

pub(super) fn parse(text: &str, reading: Purpose) -> Result<Node, Error> {
    let scan = Scanner { text, position: 0 };
    if text.len() > TEXT_BYTES_MAX {
        return scan.error(Problem::TooLong);
    }
    let mut parser = Parser { scan, reading, after: None, outer: None, open: Vec::new() };
    parser.scan.skip_spaces();
    if parser.scan.peek().is_none() && reading != Purpose::Condition {
        return Ok(Node::All);
    }
    let node = parser.or(None)?;
    parser.scan.skip_spaces();
    if parser.scan.peek().is_some() { parser.trailing() } else { Ok(node) }
}

struct Parser<'a> {
    scan: Scanner<'a>,
    reading: Purpose,
    /// The token behind us, for messages.
    after: Option<&'static str>,
    /// The field before the innermost brace.
    outer: Option<Arc<Field>>,
    /// The brackets that are open: which, and where.
    open: Vec<(char, usize)>,
}

/// What is being joined: conditions, or the values of this field.
type Of<'f> = Option<&'f Arc<Field>>;

impl Parser<'_> {
    fn or(&mut self, of: Of<'_>) -> Result<Node, Error> {
        let mut nodes = vec![self.and(of)?];
        while self.eat_operator("or")? {
            nodes.push(self.and(of)?);
        }
        Ok(joined(nodes, Node::Or))
    }

    fn and(&mut self, of: Of<'_>) -> Result<Node, Error> {
        let mut nodes = vec![self.not(of)?];
        while self.eat_operator("and")? {
            nodes.push(self.not(of)?);
        }
        Ok(joined(nodes, Node::And))
    }

    fn not(&mut self, of: Of<'_>) -> Result<Node, Error> {
        if !self.scan.at_keyword("not") || self.scan.bare_keyword().is_some() {
            return self.operand(of);
        }
        self.after_keyword("not")?;
        if self.scan.at_keyword("not") {
            return self.scan.error(Problem::NotNot);
        }
        Ok(Node::Not(Box::new(self.operand(of)?)))
    }

    /// Steps over `and` or `or`, if it is next.
    fn eat_operator(&mut self, word: &'static str) -> Result<bool, Error> {
        let start = self.scan.position;
        let spaces = self.scan.skip_spaces();
        if !self.scan.at_keyword(word) {
            self.scan.position = start;
            return Ok(false);
        }
        if !spaces {
            return self.scan.error(Problem::Expected { what: "a space before `and` or `or`", after: None });
        }
        self.after_keyword(word)?;
        Ok(true)
    }

    fn after_keyword(&mut self, word: &'static str) -> Result<(), Error> {
        self.scan.position += word.len();
        self.after = Some(word);
        if !self.scan.skip_spaces() && matches!(self.scan.peek(), Some('(' | '"')) {
            return self.expected("a space");
        }
        Ok(())
    }

    fn operand(&mut self, of: Of<'_>) -> Result<Node, Error> {
        if self.scan.peek() == Some('(') {
            return self.bracket('(', ')', |parser| parser.or(of));
        }
        match of {
            Some(field) => self.value(field),
            None => self.condition(),
        }
    }

    /// Reads what stands between two brackets.
    fn bracket(
        &mut self,
        opening: char,
        closing: char,
        inside: impl FnOnce(&mut Self) -> Result<Node, Error>,
    ) -> Result<Node, Error> {
        if self.open.len() == NESTING_DEPTH_MAX {
            return self.scan.error(Problem::TooDeep);
        }
        self.open.push((opening, self.scan.position));
        self.scan.eat(opening);
        self.after = Some(if opening == '(' { "(" } else { "{" });
        self.scan.skip_spaces();
        let node = inside(self)?;
        self.scan.skip_spaces();
        if !self.scan.eat(closing) {
            return self.trailing();
        }
        self.open.pop();
        Ok(node)
    }

    /// Reads a field with what is asked of it, or free text.
    fn condition(&mut self) -> Result<Node, Error> {
        let rest = self.scan.rest();
        self.refuse_foreign(|| foreign::in_condition(rest))?;
        let Some(word) = self.scan.word()? else { return self.expected("a condition") };
        let end = self.scan.position;
        self.scan.skip_spaces();
        match self.scan.peek() {
            Some(':') => self.after_colon(word),
            Some('<' | '>') => self.range(word),
            _ if self.outer.is_some() => self.scan.error(Problem::Expected {
                what: "`:` or a range sign: inside braces each value needs its field",
                after: None,
            }),
            _ => {
                let rest = self.scan.rest();
                self.refuse_foreign(|| foreign::behind_condition(rest))?;
                self.scan.position = end;
                let start = word.start;
                Ok(match self.comparison(word)? {
                    Comparison::Pattern(pattern) if pattern.is_star() => Node::All,
                    comparison => Node::Text(self.free_text(comparison, start)?),
                })
            }
        }
    }

    /// A text without a field, where there may be one.
    fn free_text(&self, text: Comparison, start: usize) -> Result<Comparison, Error> {
        match self.reading {
            Purpose::Condition => self.scan.error_at(Problem::FreeText(text.to_string()), start),
            Purpose::Any | Purpose::Question => Ok(text),
        }
    }

    /// Refuses what looks like another language, at the place where it does.
    fn refuse_foreign(&self, look: impl FnOnce() -> Option<Foreign>) -> Result<(), Error> {
        if self.reading == Purpose::Any || self.scan.peek() == Some('"') {
            return Ok(());
        }
        match look() {
            None => Ok(()),
            Some(Foreign { at, seen, instead }) => {
                self.scan.error_at(Problem::Foreign { seen, instead }, self.scan.position + at)
            }
        }
    }

    fn after_colon(&mut self, word: Word) -> Result<Node, Error> {
        let (start, field) = (word.start, self.field(word)?);
        self.scan.eat(':');
        self.after = Some(":");
        self.scan.skip_spaces();
        if self.scan.peek() != Some('{') {
            return self.operand(Some(&field));
        }
        if field.path().plain().is_none() {
            return self.scan.error_at(Problem::WildcardBeforeBrace, start);
        }
        let inside = &self.scan.rest()[1..];
        self.refuse_foreign(|| foreign::in_braces(field.path_text(), inside))?;
        let outer = self.outer.replace(Arc::clone(&field));
        let inner = self.bracket('{', '}', |parser| parser.or(None))?;
        self.outer = outer;
        Ok(Node::Nested { path: field, inner: Box::new(inner) })
    }

    fn range(&mut self, word: Word) -> Result<Node, Error> {
        let field = self.field(word)?;
        let less = self.scan.eat('<');
        let operator = match (less || !self.scan.eat('>'), self.scan.eat('=')) {
            (true, false) => Operator::Less,
            (true, true) => Operator::LessOrEqual,
            (false, false) => Operator::Greater,
            (false, true) => Operator::GreaterOrEqual,
        };
        self.after = Some(operator.sign());
        self.scan.skip_spaces();
        let rest = self.scan.rest();
        self.refuse_foreign(|| foreign::in_value(field.path_text(), operator.sign(), rest))?;
        let Some(word) = self.scan.word()? else { return self.expected("a value") };
        let start = word.start;
        if word.is_null() {
            return self.scan.error_at(Problem::NullInRange, start);
        }
        let Comparison::Literal(literal) = comparison(word) else {
            return self.scan.error_at(Problem::WildcardInRange, start);
        };
        self.refuse_date_math(&literal, start)?;
        self.refuse_bound(&field, &literal, start)?;
        Ok(Node::Range { field, operator, literal })
    }

    /// Refuses a bound that no value of the field can be compared with.
    fn refuse_bound(&self, field: &Field, bound: &Literal, start: usize) -> Result<(), Error> {
        let Some((kind, example)) = field.kind().and_then(|kind| bound.misfit(kind)) else { return Ok(()) };
        if self.reading == Purpose::Any {
            return Ok(());
        }
        let (field, bound) = (field.path_text().to_owned(), bound.text().to_owned());
        self.scan.error_at(Problem::Bound { field, kind, bound, example }, start)
    }

    /// Reads one value of a field.
    fn value(&mut self, field: &Arc<Field>) -> Result<Node, Error> {
        let rest = self.scan.rest();
        self.refuse_foreign(|| foreign::in_value(field.path_text(), ":", rest))?;
        let Some(word) = self.scan.word()? else { return self.expected("a value") };
        let field = Arc::clone(field);
        Ok(match self.comparison(word)? {
            Comparison::Pattern(value) if value.is_star() && field.path().is_star() => Node::All,
            Comparison::Pattern(value) if value.is_star() => Node::Exists(field),
            value => Node::Is { field, value },
        })
    }

    fn field(&self, word: Word) -> Result<Arc<Field>, Error> {
        if word.is_null() || (word.pieces.len() == 1 && word.pieces[0].is_empty()) {
            return self.scan.error_at(Problem::FieldName, word.start);
        }
        Ok(Arc::new(Field::new(Pattern::new(word.pieces), self.outer.as_deref())))
    }

    fn comparison(&self, word: Word) -> Result<Comparison, Error> {
        let start = word.start;
        let comparison = comparison(word);
        match &comparison {
            Comparison::Literal(literal) if !literal.quoted() => self.refuse_date_math(literal, start)?,
            _ => {}
        }
        Ok(comparison)
    }

    fn refuse_date_math(&self, literal: &Literal, start: usize) -> Result<(), Error> {
        if self.reading == Purpose::Condition && literal.date_math() {
            return self.scan.error_at(Problem::DateMath(literal.text().to_owned()), start);
        }
        Ok(())
    }

    fn expected<T>(&self, what: &'static str) -> Result<T, Error> {
        self.scan.error(Problem::Expected { what, after: self.after })
    }

    /// Says what is wrong with what follows a whole condition.
    fn trailing(&self) -> Result<Node, Error> {
        let rest = self.scan.rest();
        self.refuse_foreign(|| foreign::behind_condition(rest))?;
        let closing_of = |opening| if opening == '(' { ')' } else { '}' };
        self.scan.error(match (self.scan.peek(), self.open.last()) {
            _ if self.scan.at_keyword("not") => Problem::NotInside,
            (Some(next), _) if SPECIAL.contains(next) && !matches!(next, ')' | '}') => Problem::Special(next),
            (_, Some(&(opening, at))) => Problem::Unclosed {
                opening,
                closing: closing_of(opening),
                opened_characters: self.scan.text[..at].chars().count(),
            },
            (Some(')'), None) => Problem::Unopened { opening: '(', closing: ')' },
            (Some('}'), None) => Problem::Unopened { opening: '{', closing: '}' },
            _ => Problem::Trailing,
        })
    }
}

fn comparison(word: Word) -> Comparison {
    let pattern = Pattern::new(word.pieces);
    match pattern.plain() {
        Some(text) => Comparison::Literal(Literal::new(text.to_owned(), word.quoted)),
        None => Comparison::Pattern(pattern),
    }
}

/// One node alone, several joined.
fn joined(mut nodes: Vec<Node>, join: fn(Vec<Node>) -> Node) -> Node {
    if nodes.len() == 1 { nodes.swap_remove(0) } else { join(nodes) }
}
