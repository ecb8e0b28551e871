//! Problems of pipeline files: where are they, what is wrong, and what can be typed instead?
//!
//! All problems of all files are collected and printed together, each as
//!
//! ```text
//! error: unknown key `exlude` in `source.files`
//!   --> pipelines/inference.yaml:4:5
//!    |
//!  4 |     exlude: ["*.gz"]
//!    |     ^^^^^^
//! hint: did you mean `exclude`? known keys: `paths`, `exclude`, …
//! ```
//!
//! The line is quoted as it stands in the file, before `${…}` is expanded. What looks like a password or a key written
//! into the file itself is blotted out.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

/// A place in a file's text: a range of bytes.
pub(super) type Span = Range<usize>;

/// The longest piece of a line that is quoted, in characters.
const QUOTED_CHARS_MAX: usize = 120;

/// The most problems that are printed; the rest is counted.
const PROBLEMS_PRINTED_MAX: usize = 50;

/// A line and a column, both counted from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file or folder, as it was named by the user.
    pub path: PathBuf,
    /// The place in the file; none when the file as a whole is meant.
    pub position: Option<Position>,
    /// What is wrong.
    pub message: String,
    /// What to do about it, where that is known.
    pub hint: Option<String>,
    quote: Option<Box<Quote>>,
}

/// A line of the file with the place to be underlined, in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Quote {
    text: String,
    underline: Range<usize>,
}

/// Everything that is wrong with a set of pipeline files: at least one problem, by file and position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The problems.
    pub problems: Vec<Problem>,
}

impl std::error::Error for Report {}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.problems.iter().take(PROBLEMS_PRINTED_MAX).enumerate() {
            let between = if n == 0 { "" } else { "\n\n" };
            write!(formatter, "{between}{problem}")?;
        }
        match self.problems.len().saturating_sub(PROBLEMS_PRINTED_MAX) {
            0 => Ok(()),
            more => write!(formatter, "\n\nand {more} more errors"),
        }
    }
}

impl Problem {
    /// A problem of a file or folder as a whole.
    pub(super) fn of_path(path: &Path, message: String, hint: Option<String>) -> Problem {
        Problem { path: path.to_owned(), position: None, message, hint, quote: None }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "error: {}", self.message)?;
        match (&self.position, &self.quote) {
            (Some(Position { line, column }), Some(quote)) => {
                let margin = " ".repeat(line.to_string().len() + 2);
                let indent = " ".repeat(quote.underline.start);
                let underline = "^".repeat(quote.underline.len());
                write!(formatter, "\n{}--> {}:{line}:{column}", &margin[1..], self.path.display())?;
                write!(formatter, "\n{margin}|\n {line} | {}\n{margin}| {indent}{underline}", quote.text)?;
            }
            _ => write!(formatter, "\n  --> {}", self.path.display())?,
        }
        match &self.hint {
            Some(hint) => write!(formatter, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// A pipeline file's text under the name that the user gave.
pub(super) struct SourceText<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl SourceText<'_> {
    /// A problem at a place in this text.
    pub(super) fn problem(&self, span: &Span, message: String, hint: Option<String>) -> Problem {
        let (line_start, line) = self.line_of(span.start);
        let position = self.position(span.start);
        Problem {
            path: self.path.to_owned(),
            position: Some(position),
            message,
            hint,
            quote: Some(Box::new(quote(line, self.trimmed(span), line_start))),
        }
    }

    /// Line and column of a byte.
    pub(super) fn position(&self, offset: usize) -> Position {
        let offset = self.boundary(offset);
        let (line_start, _) = self.line_of(offset);
        Position {
            line: self.text[..line_start].matches('\n').count() + 1,
            column: self.text[line_start..offset].chars().count() + 1,
        }
    }

    /// The line that holds a byte, without its end, and where it starts.
    fn line_of(&self, offset: usize) -> (usize, &str) {
        let offset = self.boundary(offset);
        let start = self.text[..offset].rfind('\n').map_or(0, |n| n + 1);
        let end = self.text[offset..].find('\n').map_or(self.text.len(), |n| offset + n);
        (start, self.text[start..end].trim_end_matches('\r'))
    }

    /// The part of a span that stands in its first line, without blanks at its end.
    fn trimmed(&self, span: &Span) -> Span {
        let start = self.boundary(span.start);
        let end = self.boundary(span.end.max(start));
        let first_line = self.text[start..end].split('\n').next().unwrap_or("");
        start..start + first_line.trim_end().len()
    }

    /// The nearest start of a character at or before an offset.
    fn boundary(&self, offset: usize) -> usize {
        self.text.floor_char_boundary(offset)
    }
}

/// What stands in place of a secret.
const CUT_OUT: &str = "\"[secret]\"";

/// A file's text that may be kept: the spans of secrets, and whatever else may be one, are cut out.
pub(super) fn without_secrets(text: &str, mut secrets: Vec<Span>) -> String {
    secrets.sort_by_key(|span| span.start);
    let mut public = String::with_capacity(text.len());
    let mut done = 0;
    for span in secrets {
        let (start, end) = (text.floor_char_boundary(span.start), text.ceil_char_boundary(span.end));
        if start >= done {
            public.push_str(&text[done..start]);
            public.push_str(CUT_OUT);
            done = end;
        }
    }
    public.push_str(&text[done..]);
    public.split_inclusive('\n').map(|line| cut_out(line, |_| CUT_OUT.to_owned())).collect()
}

/// Makes a quotable line: secrets blotted out, no control characters, a window around the place if it is long.
fn quote(line: &str, span: Span, line_start: usize) -> Quote {
    let characters: Vec<char> = blotted(line).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let prefix = span.start.saturating_sub(line_start).min(line.len());
    let start = line[..line.floor_char_boundary(prefix)].chars().count();
    let end = line[..line.floor_char_boundary((span.end - line_start).min(line.len()))].chars().count().max(start + 1);
    if characters.len() <= QUOTED_CHARS_MAX {
        return Quote { text: characters.into_iter().collect(), underline: start..end };
    }
    let from = start.saturating_sub(QUOTED_CHARS_MAX / 2).min(characters.len() - QUOTED_CHARS_MAX);
    let to = from + QUOTED_CHARS_MAX;
    let shown: String = characters[from..to].iter().collect();
    let (before, after) = (if from > 0 { "…" } else { "" }, if to < characters.len() { "…" } else { "" });
    let shift = |column: usize| column - from + before.chars().count();
    Quote { text: format!("{before}{shown}{after}"), underline: shift(start)..shift(end.min(to + 1)) }
}

/// Replaces each character of what may be a secret's value by `*`, so that columns stay.
fn blotted(line: &str) -> String {
    cut_out(line, |value| "*".repeat(value.chars().count()))
}

/// Replaces what may be a secret's value. A value that refers to a variable or a file is no secret itself. Credentials in
/// a URL are replaced too. Works on the text, since the place of an error may be no YAML at all.
fn cut_out(line: &str, replacement: impl Fn(&str) -> String) -> String {
    static SECRET: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let name = r#"(?i)\w*(?:pass|pwd|word|secret|token|key|credential|bearer|auth)\w*["']?\s*:\s*"#;
        let value = r#"\[[^\]]*\]?|"(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s,}\]#][^,}\]]*"#;
        Regex::new(&format!(r#"{name}({value})|://([^/@\s"']+)@"#)).ok()
    });
    let Some(secret) = SECRET.as_ref() else { return replacement(line) };
    let mut public = String::with_capacity(line.len());
    let mut done = 0;
    for captures in secret.captures_iter(line) {
        let refers = |value: &str| value.starts_with("${") && value.find('}') == Some(value.len() - 1);
        let named = captures.get(1).filter(|value| {
            let bare = value.as_str().trim().trim_matches(['"', '\'']);
            !refers(bare) && !bare.starts_with('{') && bare != CUT_OUT.trim_matches('"')
        });
        if let Some(value) = named.or_else(|| captures.get(2)) {
            public.push_str(&line[done..value.start()]);
            public.push_str(&replacement(value.as_str()));
            done = value.end();
        }
    }
    public + &line[done..]
}
