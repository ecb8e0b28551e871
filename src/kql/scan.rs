//! Reads the words of an expression: values quoted and not, escapes, keywords, spaces. Knows no structure.
//!
//! Kibana ends an unquoted value at a special character, or where spaces, `and` or `or`, and spaces follow. It also ends
//! one before any `not` and a space, even inside a word (`cannot do`); as what then follows is never valid, that is
//! refused here by name. A keyword that is all of a value is the text, as in Kibana (`a : and`, `or : x`); one at either
//! end of a value is read as the keyword, and so refused, where Kibana reads it as a part of the text (`a : and b`).

use super::error::{Error, Problem};

/// Characters that mean something by themselves; escaped with a backslash.
pub(super) const SPECIAL: &str = "\\():<>\"*{}";

/// A value or a field name, unescaped.
pub(super) struct Word {
    /// Where it starts, in bytes.
    pub(super) start: usize,
    /// Whether it stood in quotes.
    pub(super) quoted: bool,
    /// The texts between the `*`; one, if there is none. Those of an unquoted word are trimmed at both ends.
    pub(super) pieces: Vec<String>,
}

impl Word {
    /// Whether it is the bare word `null`.
    pub(super) fn is_null(&self) -> bool {
        !self.quoted && self.pieces == ["null"]
    }
}

/// A text and a place in it.
pub(super) struct Scanner<'a> {
    pub(super) text: &'a str,
    pub(super) position: usize,
}

/// Kibana's spaces.
pub(super) fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n' | '\u{a0}')
}

/// What Kibana cuts from both ends of an unquoted value: JavaScript's white space.
pub(super) fn is_trimmed(character: char) -> bool {
    character == '\u{feff}' || (character.is_whitespace() && character != '\u{85}')
}

/// Whether the text starts with the word, in any case.
pub(super) fn starts_with_word(text: &str, word: &str) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

impl<'a> Scanner<'a> {
    pub(super) fn error<T>(&self, problem: Problem) -> Result<T, Error> {
        self.error_at(problem, self.position)
    }

    pub(super) fn error_at<T>(&self, problem: Problem, position: usize) -> Result<T, Error> {
        Err(Error::new(problem, self.text, position))
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.position..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Steps over the character, if it is next.
    pub(super) fn eat(&mut self, character: char) -> bool {
        let there = self.rest().starts_with(character);
        self.position += if there { character.len_utf8() } else { 0 };
        there
    }

    /// Steps over spaces; says whether there were any.
    pub(super) fn skip_spaces(&mut self) -> bool {
        let start = self.position;
        self.position = self.text.len() - self.rest().trim_start_matches(is_space).len();
        self.position > start
    }

    /// Whether the keyword is next and ends there.
    pub(super) fn at_keyword(&self, word: &str) -> bool {
        starts_with_word(self.rest(), word)
            && match self.rest()[word.len()..].chars().next() {
                None => true,
                Some(next) => is_space(next) || (SPECIAL.contains(next) && !matches!(next, '*' | '\\')),
            }
    }

    /// Whether a keyword is next that can join or negate nothing, because nothing follows that it could: it is a text.
    pub(super) fn bare_keyword(&self) -> Option<&'static str> {
        let word = ["and", "or", "not"].into_iter().find(|word| self.at_keyword(word))?;
        let behind = &self.rest()[word.len()..];
        let ends = |text: &str| text.is_empty() || text.starts_with(['(', ')', ':', '<', '>', '{', '}', '"']);
        let is_bare = match word {
            // With a space behind it, Kibana takes it for the operator.
            "not" => ends(behind) && !behind.starts_with(['(', '"']),
            _ => {
                let rest = behind.trim_start_matches(is_space);
                let follows = Scanner { text: rest, position: 0 };
                let is_joined = ["and", "or"].iter().any(|next| follows.at_keyword(next) && rest.len() > next.len());
                (ends(rest) && !rest.starts_with(['(', '"', '{'])) || is_joined
            }
        };
        is_bare.then_some(word)
    }

    fn at_any_keyword(&self) -> bool {
        ["and", "or", "not"].iter().any(|word| self.at_keyword(word))
    }

    /// Reads a word; `None` if none starts here.
    pub(super) fn word(&mut self) -> Result<Option<Word>, Error> {
        let start = self.position;
        if self.eat('"') {
            let text = self.quoted(start)?;
            return Ok(Some(Word { start, quoted: true, pieces: vec![text] }));
        }
        if let Some(word) = self.bare_keyword() {
            let text = self.rest()[..word.len()].to_owned();
            self.position += word.len();
            return Ok(Some(Word { start, quoted: false, pieces: vec![text] }));
        }
        let mut pieces = self.unquoted()?;
        if self.position == start {
            return Ok(None);
        }
        if let Some(first) = pieces.first_mut() {
            *first = first.trim_start_matches(is_trimmed).to_owned();
        }
        if let Some(last) = pieces.last_mut() {
            last.truncate(last.trim_end_matches(is_trimmed).len());
        }
        let blank = pieces.len() == 1 && pieces[0].is_empty();
        self.position = if blank { start } else { self.position };
        Ok(if blank { None } else { Some(Word { start, quoted: false, pieces }) })
    }

    /// What stands between the quotes; the first of them is behind us. Unknown escapes are themselves.
    fn quoted(&mut self, start: usize) -> Result<String, Error> {
        let mut text = String::new();
        loop {
            let Some(next) = self.peek() else { return self.error_at(Problem::UnclosedQuote, start) };
            if next == '\\' {
                let escaped = self.common_escape()?.or_else(|| self.escaped_one_of("\\\""));
                text.push(escaped.unwrap_or_else(|| self.step('\\')));
            } else {
                self.step(next);
                if next == '"' {
                    return Ok(text);
                }
                text.push(next);
            }
        }
    }

    fn unquoted(&mut self) -> Result<Vec<String>, Error> {
        let (mut pieces, mut piece) = (Vec::new(), String::new());
        let mut at_word_start = true;
        while let Some(next) = self.peek() {
            let start = self.position;
            let spaces = self.skip_spaces();
            if (spaces || at_word_start) && self.at_any_keyword() {
                self.position = start;
                break;
            }
            at_word_start = false;
            if spaces {
                piece.push_str(&self.text[start..self.position]);
            } else if next == '*' {
                self.step(next);
                pieces.push(std::mem::take(&mut piece));
            } else if next == '\\' {
                self.unquoted_escape(&mut piece)?;
            } else if SPECIAL.contains(next) {
                break;
            } else if starts_with_word(self.rest(), "not") && self.rest()[3..].starts_with(is_space) {
                return self.error(Problem::NotInside);
            } else {
                piece.push(self.step(next));
            }
        }
        pieces.push(piece);
        Ok(pieces)
    }

    fn unquoted_escape(&mut self, piece: &mut String) -> Result<(), Error> {
        let escaped = &self.rest()[1..];
        if escaped.starts_with("not") {
            return self.error(Problem::EscapedNot);
        }
        if let Some(character) = self.common_escape()?.or_else(|| self.escaped_one_of(SPECIAL)) {
            piece.push(character);
            return Ok(());
        }
        match ["and", "or", "not"].iter().find(|word| starts_with_word(escaped, word)) {
            Some(word) => {
                piece.push_str(&escaped[..word.len()]);
                self.position += 1 + word.len();
                Ok(())
            }
            None => self.error(Problem::Escape),
        }
    }

    /// Reads `\t`, `\r`, `\n` or `\u` with four digits; two of the latter may be one character.
    fn common_escape(&mut self) -> Result<Option<char>, Error> {
        let white = match self.rest().as_bytes().get(1) {
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'n') => '\n',
            _ => return self.unicode_escape(),
        };
        self.position += 2;
        Ok(Some(white))
    }

    fn unicode_escape(&mut self) -> Result<Option<char>, Error> {
        let Some(first) = code_unit(self.rest()) else { return Ok(None) };
        let second = code_unit(&self.rest()[6..]);
        let mut characters = char::decode_utf16([Some(first), second].into_iter().flatten());
        let Some(Ok(character)) = characters.next() else { return self.error(Problem::Surrogate) };
        self.position += 6 * character.len_utf16();
        Ok(Some(character))
    }

    fn escaped_one_of(&mut self, set: &str) -> Option<char> {
        let next = self.rest()[1..].chars().next().filter(|next| set.contains(*next))?;
        self.position += 2;
        Some(next)
    }

    fn step(&mut self, character: char) -> char {
        self.position += character.len_utf8();
        character
    }
}

/// The code of a `\uXXXX` that the text starts with.
fn code_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) { u16::from_str_radix(digits, 16).ok() } else { None }
}
