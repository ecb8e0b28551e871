//! What is wrong with an expression, and where.

use std::fmt;

use super::{NESTING_DEPTH_MAX, TEXT_BYTES_MAX};

/// Characters of a long line shown on each side of the place.
const SHOWN_CHARACTERS_MAX: usize = 60;

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Something else had to stand here.
    #[error("expected {what}{}", after.map(|token| format!(" after `{token}`")).unwrap_or_default())]
    Expected {
        /// What.
        what: &'static str,
        /// What stands before it.
        after: Option<&'static str>,
    },
    /// The condition has ended, and something follows.
    #[error("expected `and`, `or` or the end")]
    Trailing,
    /// A character with a meaning of its own follows a value.
    #[error("expected `and`, `or` or the end; for the character itself put the value in quotes or write `\\{0}`")]
    Special(char),
    /// A bracket that nothing opened.
    #[error("`{closing}` closes nothing: its `{opening}` is missing")]
    Unopened {
        /// The one that is missing.
        opening: char,
        /// The one that is there.
        closing: char,
    },
    /// A bracket that stays open.
    #[error("expected `and`, `or` or the `{closing}` of the `{opening}` at character {}", opened_characters + 1)]
    Unclosed {
        /// The one that is there.
        opening: char,
        /// The one that is missing.
        closing: char,
        /// Where it was opened, in characters from 0.
        opened_characters: usize,
    },
    /// A quoted value without its end.
    #[error("the quote that opens here is not closed")]
    UnclosedQuote,
    /// A backslash before something that needs none.
    #[error("`\\` escapes nothing here; for the character itself write `\\\\`")]
    Escape,
    /// A code that is no character.
    #[error("`\\u` with half of a surrogate pair is no character")]
    Surrogate,
    /// `\not`, of which Kibana makes a line break.
    #[error("Kibana reads the `\\n` of `\\not` as a line break; put the value in quotes")]
    EscapedNot,
    /// A `not` in a value.
    #[error("Kibana reads a `not` before a space as the keyword; put the value in quotes, or write `and` before `not`")]
    NotInside,
    /// Two `not` side by side.
    #[error("`not` after `not` needs parentheses: `not (not …)`")]
    NotNot,
    /// A range with a wildcard.
    #[error("a range takes one value, without `*`")]
    WildcardInRange,
    /// A range with null.
    #[error("a range cannot have `null`; for the word itself write `\"null\"`")]
    NullInRange,
    /// A nested path with a wildcard.
    #[error("the field before `{{` must be named in full, without `*`")]
    WildcardBeforeBrace,
    /// No field before the colon.
    #[error("a field name cannot be empty or `null`; for a field of that name write `\"null\"`")]
    FieldName,
    /// Date math where the answer must not depend on the clock.
    #[error(
        "`{0}` moves with the clock, and a condition must give the same answer on a replay: \
         write a fixed date, or, for the text itself, `field : \"{0}\"`"
    )]
    DateMath(String),
    /// What another language would say, and KQL takes for a text.
    #[error("{seen} is not KQL, which takes it for a text: write `{instead}`; where a text is meant, put it in quotes")]
    Foreign {
        /// What was seen, as it was typed.
        seen: String,
        /// How KQL says it.
        instead: String,
    },
    /// A text without a field, in a condition.
    #[error("`{0}` names no field: as a text it would be looked for in all of them; write `field : {0}`")]
    FreeText(String),
    /// A range of numbers, times or booleans, and something else as its bound.
    #[error("`{bound}` is no {kind}, and `{field}` is one: write {example}")]
    Bound {
        /// The field.
        field: String,
        /// What its values are.
        kind: &'static str,
        /// What stands there.
        bound: String,
        /// What could stand there.
        example: &'static str,
    },
    /// Brackets in brackets in brackets.
    #[error("more than {NESTING_DEPTH_MAX} brackets inside each other")]
    TooDeep,
    /// A text beyond the limit.
    #[error("longer than {TEXT_BYTES_MAX} bytes")]
    TooLong,
}

/// What is wrong with an expression, and where. Prints the problem, the line, and a caret under the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    problem: Box<Problem>,
    position_bytes: usize,
    position_characters: usize,
    shown: String,
    caret_characters: usize,
}

impl Error {
    /// A problem at a byte position of the text, which must be that of a character or the end.
    pub(super) fn new(problem: Problem, text: &str, position_bytes: usize) -> Error {
        let (before, after) = text.split_at(position_bytes);
        let line_start = before.rsplit('\n').next().unwrap_or(before);
        let line_end = after.split('\n').next().unwrap_or(after);
        let skipped = line_start.chars().count().saturating_sub(SHOWN_CHARACTERS_MAX);
        let visible = |character: char| if character.is_control() { ' ' } else { character };
        let mut shown: String = line_start.chars().skip(skipped).map(visible).collect();
        let caret_characters = shown.chars().count();
        shown.extend(line_end.chars().take(SHOWN_CHARACTERS_MAX).map(visible));
        let position_characters = before.chars().count();
        Error {
            problem: Box::new(problem),
            position_bytes,
            position_characters,
            shown: shown.trim_end().to_owned(),
            caret_characters,
        }
    }

    /// What is wrong, in one line.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// Where, in bytes from the start of the text.
    pub fn position_bytes(&self) -> usize {
        self.position_bytes
    }

    /// Where, in characters from the start of the text.
    pub fn position_characters(&self) -> usize {
        self.position_characters
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Error { problem, shown, caret_characters, .. } = self;
        write!(formatter, "{problem}\n  {shown}\n  {:caret_characters$}^", "")
    }
}

impl std::error::Error for Error {}
