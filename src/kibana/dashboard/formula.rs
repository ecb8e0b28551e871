//! Formulas of Lens: arithmetic over numbers made of documents, such as `count(kql='status : error') / count()`.
//!
//! ```text
//! sum     = product { ("+" | "-") product }
//! product = factor { ("*" | "/") factor }
//! factor  = number | "(" sum ")" | name "(" [ argument { "," argument } ] ")"
//! argument = field | "kql='" … "'" | "percentile=" number
//! ```
//!
//! Lens keeps a formula together with what it was taken apart into: each operation is a column of its own (`<id>X0`, `<id>X1`),
//! a further one holds the arithmetic as a tree, and the formula's column refers to that. What Lens can beyond this (functions of
//! other numbers, shifted times) is not needed here and refused.

use serde_json::{Value, json};

use super::dimension::Operation;

/// An operation within a formula.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    pub(super) operation: Operation,
    pub(super) field: Option<String>,
    pub(super) filter: Option<String>,
    pub(super) percentile: Option<f64>,
}

/// What a formula was taken apart into.
#[derive(Debug, PartialEq)]
pub(super) struct Formula {
    /// The operations, in the order of the text.
    pub(super) calls: Vec<Call>,
    /// The arithmetic over their columns; none where the formula is one operation.
    pub(super) arithmetic: Option<Value>,
}

/// Takes a formula apart. The operations' columns are `<id>X0` and so on.
///
/// # Errors
/// Says what was expected, and where.
pub(super) fn read(text: &str, id: &str) -> Result<Formula, String> {
    let mut parser = Parser { text, position: 0, id, calls: Vec::new() };
    let tree = parser.sum()?;
    parser.skip_spaces();
    if parser.position < text.len() {
        return Err(parser.expected("an operator"));
    }
    if parser.calls.is_empty() {
        return Err(format!("the formula `{text}` asks for nothing"));
    }
    let arithmetic = (!tree.is_string()).then_some(tree);
    Ok(Formula { calls: parser.calls, arithmetic })
}

struct Parser<'t> {
    text: &'t str,
    position: usize,
    id: &'t str,
    calls: Vec<Call>,
}

impl<'t> Parser<'t> {
    fn sum(&mut self) -> Result<Value, String> {
        self.chain(&[('+', "add"), ('-', "subtract")], Parser::product)
    }

    fn product(&mut self) -> Result<Value, String> {
        self.chain(&[('*', "multiply"), ('/', "divide")], Parser::factor)
    }

    /// Operands with operators of one rank between them, taken together from the left.
    fn chain(
        &mut self,
        operators: &[(char, &str)],
        operand: fn(&mut Parser<'t>) -> Result<Value, String>,
    ) -> Result<Value, String> {
        self.skip_spaces();
        let start = self.position;
        let mut left = operand(self)?;
        while let Some((_, name)) = operators.iter().find(|(sign, _)| self.takes(*sign)) {
            let right = operand(self)?;
            let text = &self.text[start..self.position];
            left = json!({
                "type": "function", "name": name, "args": [left, right],
                "location": { "min": start, "max": self.position }, "text": text,
            });
        }
        Ok(left)
    }

    /// A number, something in brackets, or an operation, which is told by the id of its column.
    fn factor(&mut self) -> Result<Value, String> {
        if self.takes('(') {
            let inner = self.sum()?;
            return if self.takes(')') { Ok(inner) } else { Err(self.expected("`)`")) };
        }
        let word = self.word();
        if let Ok(number) = word.parse::<f64>() {
            return Ok(json!(number));
        }
        let operation = serde_json::from_value(json!(word)).ok().filter(|operation| *operation != Operation::Formula);
        let (Some(operation), true) = (operation, self.takes('(')) else {
            return Err(self.expected("a number or an operation such as `count(` "));
        };
        let call = self.arguments(operation)?;
        self.calls.push(call);
        Ok(json!(format!("{}X{}", self.id, self.calls.len() - 1)))
    }

    fn arguments(&mut self, operation: Operation) -> Result<Call, String> {
        let mut call = Call { operation, field: None, filter: None, percentile: None };
        while !self.takes(')') {
            let word = self.word();
            if word.is_empty() {
                return Err(self.expected("a field, `kql='…'`, `percentile=…` or `)`"));
            }
            match (word, self.takes('=')) {
                ("kql", true) => call.filter = Some(self.quoted()?),
                ("percentile", true) => {
                    call.percentile = Some(self.word().parse().map_err(|_| self.expected("a number"))?);
                }
                (field, false) if call.field.is_none() => call.field = Some(field.to_owned()),
                _ => return Err(self.expected("another argument")),
            }
            self.takes(',');
        }
        Ok(call)
    }

    /// Letters, digits, and what else stands in names of fields and in numbers.
    fn word(&mut self) -> &'t str {
        self.skip_spaces();
        let rest = &self.text[self.position..];
        let is_of_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '@');
        let length = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
        self.position += length;
        &rest[..length]
    }

    fn quoted(&mut self) -> Result<String, String> {
        if !self.takes('\'') {
            return Err(self.expected("`'`"));
        }
        let rest = &self.text[self.position..];
        let length = rest.find('\'').ok_or_else(|| self.expected("a closing `'`"))?;
        self.position += length + 1;
        Ok(rest[..length].to_owned())
    }

    fn takes(&mut self, sign: char) -> bool {
        self.skip_spaces();
        let is_there = self.text[self.position..].starts_with(sign);
        if is_there {
            self.position += sign.len_utf8();
        }
        is_there
    }

    fn skip_spaces(&mut self) {
        let rest = &self.text[self.position..];
        self.position += rest.len() - rest.trim_start().len();
    }

    fn expected(&self, what: &str) -> String {
        format!("in the formula `{}`: expected {what} at byte {}", self.text, self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(filter: Option<&str>) -> Call {
        Call { operation: Operation::Count, field: None, filter: filter.map(str::to_owned), percentile: None }
    }

    #[test]
    fn formulas_are_taken_apart_as_lens_does_it() {
        let text = "count(kql='status : error') / count()";
        let expected = json!({
            "type": "function", "name": "divide", "args": ["mX0", "mX1"], "location": { "min": 0, "max": 37 }, "text": text,
        });
        let formula = read(text, "m").unwrap();
        assert_eq!(formula.calls, [count(Some("status : error")), count(None)]);
        assert_eq!(formula.arithmetic, Some(expected));

        let alone = read("percentile(latency_ms, percentile=99)", "m").unwrap();
        let call = Call { operation: Operation::Percentile, field: Some("latency_ms".to_owned()), ..count(None) };
        assert_eq!(alone, Formula { calls: vec![Call { percentile: Some(99.0), ..call }], arithmetic: None });
    }

    #[test]
    fn products_bind_before_sums_and_the_left_before_the_right() {
        let names = |text: &str| {
            fn said(node: &Value) -> String {
                match node["args"].as_array() {
                    Some(args) => format!("{}({},{})", node["name"].as_str().unwrap(), said(&args[0]), said(&args[1])),
                    None => node.to_string().replace('"', ""),
                }
            }
            said(&read(text, "m").unwrap().arithmetic.unwrap())
        };
        assert_eq!(names("1 - count() * 2 - 3"), "subtract(subtract(1.0,multiply(mX0,2.0)),3.0)");
        assert_eq!(names("(count() + 1) / 2"), "divide(add(mX0,1.0),2.0)");
    }

    #[test]
    fn what_is_no_formula_is_refused_with_its_place() {
        for (text, problem) in [
            ("count(", "expected a field, `kql='…'`, `percentile=…` or `)` at byte 6"),
            ("count() count()", "expected an operator at byte 8"),
            ("count(kql=x)", "expected `'` at byte 10"),
            ("count(kql='x)", "expected a closing `'`"),
            ("sum(a, b)", "expected another argument"),
            ("percentile(a, percentile=x)", "expected a number at byte 26"),
            ("floor(1)", "expected a number or an operation"),
            ("formula(1)", "expected a number or an operation"),
            ("(count()", "expected `)`"),
            ("1 + 1", "asks for nothing"),
        ] {
            let said = read(text, "m").unwrap_err();
            assert!(said.contains(problem), "{text}: {said}");
        }
    }
}
