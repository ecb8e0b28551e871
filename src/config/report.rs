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

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

/// A place in a file's text: a range of bytes.
pub(super) type Span = Range<usize>;

/// The longest piece of a line that is quoted, in characters.
const QUOTED_CHARS_MAX: usize = 120;

/// The longest line of which something is quoted, in bytes: what may be a secret has to be looked for in all of it.
const QUOTED_LINE_BYTES_MAX: usize = 64 * 1024;

/// The most problems that are printed; the rest is counted.
const PROBLEMS_PRINTED_MAX: usize = 50;

/// So many bytes of text stand between two places of which the number of characters before them is known.
const STRIDE_BYTES: usize = 256;

/// A line and a column, both counted from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// What a problem means for the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// It cannot run.
    Error,
    /// It runs, and somebody should know: what a pipeline's `remarks` are.
    Warning,
}

impl Weight {
    fn as_str(self) -> &'static str {
        match self {
            Weight::Error => "error",
            Weight::Warning => "warning",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether the pipeline can run all the same.
    pub weight: Weight,
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
        Problem { weight: Weight::Error, path: path.to_owned(), position: None, message, hint, quote: None }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.weight.as_str(), self.message)?;
        match (&self.position, &self.quote) {
            (Some(Position { line, column }), Some(quote)) => {
                let margin = " ".repeat(line.to_string().len() + 2);
                let indent = " ".repeat(quote.underline.start);
                let underline = "^".repeat(quote.underline.len());
                write!(formatter, "\n{}--> {}:{line}:{column}", &margin[1..], self.path.display())?;
                write!(formatter, "\n{margin}|\n {line} | {}\n{margin}| {indent}{underline}", quote.text)?;
            }
            (Some(Position { line, column }), None) => {
                write!(formatter, "\n  --> {}:{line}:{column}", self.path.display())?;
            }
            (None, _) => write!(formatter, "\n  --> {}", self.path.display())?,
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
    /// Where each line starts, in bytes.
    line_starts: Vec<usize>,
    /// How many characters start before each multiple of [`STRIDE_BYTES`].
    characters_before: Vec<usize>,
    /// Values that were read as something that is no secret, whatever their keys are called.
    plain: RefCell<Vec<Span>>,
}

impl<'a> SourceText<'a> {
    /// Takes a text, and looks once where its lines are.
    pub(super) fn new(path: &'a Path, text: &'a str) -> SourceText<'a> {
        let after_line_ends = memchr::memchr_iter(b'\n', text.as_bytes()).map(|end| end + 1);
        let line_starts = std::iter::once(0).chain(after_line_ends).collect();
        let mut characters = 0;
        let mut characters_before = Vec::with_capacity(text.len() / STRIDE_BYTES + 1);
        for block in text.as_bytes().chunks(STRIDE_BYTES) {
            characters_before.push(characters);
            characters += starts_of_characters(block);
        }
        characters_before.push(characters);
        SourceText { path, text, line_starts, characters_before, plain: RefCell::default() }
    }

    /// Takes note of a value that is no secret.
    pub(super) fn is_plain(&self, span: &Span) {
        self.plain.borrow_mut().push(span.clone());
    }

    /// The values that are no secrets.
    pub(super) fn plain(&self) -> Vec<Span> {
        self.plain.borrow().clone()
    }

    /// How many characters stand before an offset that is the start of one.
    fn characters_before(&self, offset: usize) -> usize {
        let known = offset / STRIDE_BYTES;
        self.characters_before[known] + starts_of_characters(&self.text.as_bytes()[known * STRIDE_BYTES..offset])
    }

    /// A problem at a place in this text.
    pub(super) fn problem(&self, span: &Span, message: String, hint: Option<String>) -> Problem {
        let (line_start, line) = self.line_of(span.start);
        let position = self.position(span.start);
        let is_quotable = line.len() <= QUOTED_LINE_BYTES_MAX;
        Problem {
            weight: Weight::Error,
            path: self.path.to_owned(),
            position: Some(position),
            message,
            hint,
            quote: is_quotable.then(|| Box::new(quote(line, self.trimmed(span), line_start, &self.plain.borrow()))),
        }
    }

    /// Line and column of a byte.
    pub(super) fn position(&self, offset: usize) -> Position {
        let offset = self.boundary(offset);
        let line = self.line_number(offset);
        let column = self.characters_before(offset) - self.characters_before(self.line_starts[line]) + 1;
        Position { line: line + 1, column }
    }

    /// The number of the line that holds a byte, counted from 0.
    fn line_number(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset) - 1
    }

    /// The line that holds a byte, without its end, and where it starts.
    fn line_of(&self, offset: usize) -> (usize, &str) {
        let number = self.line_number(self.boundary(offset));
        let start = self.line_starts[number];
        let end = self.line_starts.get(number + 1).map_or(self.text.len(), |next| next - 1);
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

/// How many characters start in some bytes of a text.
fn starts_of_characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| !matches!(byte, 0x80..=0xbf)).count()
}

/// What stands in place of a secret.
const CUT_OUT: &str = "\"[secret]\"";

/// A file's text that may be kept: the spans of secrets, and whatever else may be one, are cut out, and values with
/// variables are replaced by what they say.
pub(super) fn kept_text(text: &str, secrets: Vec<Span>, written: Vec<(Span, String)>, plain: &[Span]) -> String {
    let secrets = secrets.into_iter().map(|span| (span, CUT_OUT.to_owned()));
    // A secret comes first, whatever else is known of its place.
    let mut edits: Vec<(Span, String)> = secrets.chain(written).collect();
    edits.sort_by_key(|(span, _)| span.start);
    let mut public = String::with_capacity(text.len());
    let mut done = 0;
    // Where values stand that are no secrets, once the edits are made.
    let mut shown: Vec<Span> = Vec::new();
    let mut copy = |public: &mut String, from: usize, to: usize| {
        let inside = plain.iter().filter(|span| from <= span.start && span.end <= to);
        shown.extend(inside.map(|span| public.len() + span.start - from..public.len() + span.end - from));
        public.push_str(&text[from..to]);
    };
    for (span, replacement) in edits {
        let (start, end) = (text.floor_char_boundary(span.start), text.ceil_char_boundary(span.end));
        if start >= done {
            copy(&mut public, done, start);
            public.push_str(&replacement);
            done = end;
        }
    }
    copy(&mut public, done, text.len());
    let mut line_start = 0;
    let kept = |line: &str| {
        let start = line_start;
        line_start += line.len();
        cut_out(line, start, &shown, |_| CUT_OUT.to_owned())
    };
    public.split_inclusive('\n').map(kept).collect()
}

/// Whether a variable's name says that its value is a secret.
pub(super) fn is_named_like_a_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRET_WORDS.split('|').any(|word| name.contains(word))
}

/// What names of secrets have in them.
const SECRET_WORDS: &str = "pass|pwd|word|secret|token|key|credential|bearer|auth";

/// Makes a quotable line: secrets blotted out, no control characters, a window around the place if it is long.
fn quote(line: &str, span: Span, line_start: usize, plain: &[Span]) -> Quote {
    let stars = |value: &str| "*".repeat(value.chars().count());
    let blotted = cut_out(line, line_start, plain, stars);
    let characters: Vec<char> = blotted.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
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

/// Replaces what may be a secret's value. A value that refers to a variable or a file is no secret itself. Credentials in
/// a URL are replaced too. Works on the text, since the place of an error may be no YAML at all; what was read and is no
/// secret is known by its place, the line beginning at `line_start`.
fn cut_out(line: &str, line_start: usize, plain: &[Span], replacement: impl Fn(&str) -> String) -> String {
    static SECRET: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let name = format!(r#"(?i)\w*(?:{SECRET_WORDS})\w*["']?\s*:\s*"#);
        let value = r#"\[[^\]]*\]?|"(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s,}\]#][^,}\]]*"#;
        Regex::new(&format!(r#"{name}({value})|://([^/?\#\s"']+)@"#)).ok()
    });
    let Some(secret) = SECRET.as_ref() else { return replacement(line) };
    let mut public = String::with_capacity(line.len());
    let mut done = 0;
    for captures in secret.captures_iter(line) {
        // A default that is written out is as secret as the value would be.
        let refers = |value: &str| {
            let is_bare = !value.contains(':') || value.starts_with("${file:");
            value.starts_with("${") && value.find('}') == Some(value.len() - 1) && is_bare
        };
        let is_plain = |value: &regex::Match<'_>| {
            let (start, end) = (line_start + value.start(), line_start + value.end());
            plain.iter().any(|plain| start <= plain.start && plain.start < end)
        };
        let named = captures.get(1).filter(|value| !is_plain(value)).filter(|value| {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Counts from the beginning, as a person would.
    fn counted(text: &str, offset: usize) -> Position {
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |n| n + 1);
        Position { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }

    proptest! {
        #[test]
        fn a_place_is_where_a_person_would_count_it(text in "[a\n\r é🔥]{0,900}", part in 0.0..=1.0_f64) {
            let source = SourceText::new(Path::new("p.yaml"), &text);
            let offset = text.floor_char_boundary((text.len() as f64 * part) as usize);
            prop_assert_eq!(source.position(offset), counted(&text, offset));
            let (start, line) = source.line_of(offset);
            prop_assert!(text[start..].starts_with(line) && start <= offset && !line.contains('\n'));
        }
    }

    /// Each complaint would look for secrets in all of the line.
    #[test]
    fn a_very_long_line_is_named_and_not_quoted() {
        let text = "x".repeat(QUOTED_LINE_BYTES_MAX + 1);
        let source = SourceText::new(Path::new("p.yaml"), &text);
        let problem = source.problem(&(7..9), "wrong".to_owned(), None);
        assert_eq!(problem.to_string(), "error: wrong\n  --> p.yaml:1:8");
    }
}
