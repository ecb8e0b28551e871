//! `${VAR}`, `${VAR:default}` and `${file:path}`: what do the values of a pipeline file become where it runs?
//!
//! Expansion happens in values only, after the YAML was read, so that nothing in a variable can change the file's
//! structure. `$${` is a literal `${`. A result is a string, is not expanded again, and is never printed. One line end at
//! the end of a variable or a file is cut, as files of passwords have it.

use std::path::{Path, PathBuf};

use super::report::{Problem, SourceText, Span, is_named_like_a_secret};
use super::yaml::{Kind, Node, Scalar, Value};
use crate::text::secret::{read_secret_file, without_line_end};

/// Gives the value of a variable, or `None` if it is not set.
type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Where variables come from.
pub struct Environment<'a> {
    lookup: Box<Lookup<'a>>,
}

impl Environment<'_> {
    /// The environment of this process.
    pub fn of_process() -> Environment<'static> {
        Environment { lookup: Box::new(|name| std::env::var(name).ok()) }
    }
}

impl<'a> Environment<'a> {
    /// Variables as given by a function: `None` is unset.
    pub fn new(lookup: impl Fn(&str) -> Option<String> + 'a) -> Environment<'a> {
        Environment { lookup: Box::new(lookup) }
    }
}

/// Expands every value of a file.
pub(super) struct Expander<'a> {
    pub(super) source: &'a SourceText<'a>,
    /// The folder of the pipeline file.
    pub(super) folder: &'a Path,
    pub(super) environment: &'a Environment<'a>,
    pub(super) problems: Vec<Problem>,
    /// What values say with the variables written out: what is in force, for the text that is kept. What comes from files,
    /// and from variables that are named like secrets, stays a reference.
    pub(super) written: Vec<(Span, String)>,
    /// The files that values come from.
    pub(super) files: Vec<PathBuf>,
}

impl Expander<'_> {
    /// Expands a node and all below it in place. What cannot be expanded is a problem, and stays.
    pub(super) fn expand(&mut self, node: &mut Node) {
        match &mut node.value {
            Value::Scalar(scalar) => self.expand_scalar(scalar, &node.span),
            Value::List(items) => items.iter_mut().for_each(|item| self.expand(item)),
            Value::Map(entries) => entries.iter_mut().for_each(|entry| self.expand(&mut entry.value)),
        }
    }

    fn expand_scalar(&mut self, scalar: &mut Scalar, span: &Span) {
        let (mut expanded, mut written) = (Vec::new(), Expansion::default());
        let mut files = Vec::new();
        let mut rest = scalar.text.as_str();
        let mut found = false;
        while let Some(start) = rest.find("${") {
            let before = &rest[..start];
            written.text.push_str(before);
            if let Some(literal) = before.strip_suffix('$') {
                expanded.extend_from_slice(literal.as_bytes());
                expanded.extend_from_slice(b"${");
                written.text.push_str("${");
                rest = &rest[start + 2..];
                continue;
            }
            expanded.extend_from_slice(before.as_bytes());
            let end = rest[start..].find('}').map(|length| start + length);
            let reference = end.map_or(&rest[start..], |end| &rest[start..=end]);
            match end.ok_or_else(|| ("`${` has no `}`".to_owned(), LITERAL_HINT.to_owned())) {
                Ok(_) => match self.value_of(&reference[2..reference.len() - 1]) {
                    Ok(value) => {
                        written.push(reference, &value);
                        let place = expanded.len()..expanded.len() + value.len();
                        let path = self.path_of(reference);
                        self.files.extend(path.clone());
                        files.extend(path.map(|path| (place, path)));
                        expanded.extend(value);
                    }
                    Err(complaint) => self.complain(span, reference, complaint),
                },
                Err(complaint) => self.complain(span, reference, complaint),
            }
            found = true;
            rest = &rest[start + reference.len()..];
        }
        expanded.extend_from_slice(rest.as_bytes());
        written.text.push_str(rest);
        self.written.extend(written.value().map(|value| (self.whole(span), value)));
        store(scalar, expanded, found);
        scalar.files = files;
    }

    /// The file that a whole reference, `${file:path}`, names.
    fn path_of(&self, reference: &str) -> Option<PathBuf> {
        Some(self.folder.join(reference.strip_prefix("${file:")?.strip_suffix('}')?))
    }

    /// Where a value stands as a whole: with the `|` or `>` of a block of text, and without the line ends behind it.
    fn whole(&self, span: &Span) -> Span {
        let (before, text) = (&self.source.text[..span.start], &self.source.text[span.clone()]);
        let end = span.start + text.trim_end().len();
        let line = before.trim_end();
        let header = line.rsplit(char::is_whitespace).next().unwrap_or_default();
        let is_header =
            header.starts_with(['|', '>']) && header[1..].chars().all(|c| matches!(c, '+' | '-' | '0'..='9'));
        let start =
            if is_header && before[line.len()..].contains('\n') { line.len() - header.len() } else { span.start };
        start..end
    }

    /// The value of what stands between `${` and `}`, or what is wrong with it and a hint.
    fn value_of(&self, reference: &str) -> Result<Vec<u8>, (String, String)> {
        let (name, default) = match reference.split_once(':') {
            Some((name, default)) => (name, Some(default)),
            None => (reference, None),
        };
        if let ("file", Some(path)) = (name, default) {
            return self.file(path);
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(is_name) || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err((format!("`${{{reference}}}` does not name a variable"), LITERAL_HINT.to_owned()));
        }
        match ((self.environment.lookup)(name), default) {
            (Some(value), _) => Ok(without_line_end(value.into_bytes())),
            (None, Some(default)) => Ok(default.as_bytes().to_vec()),
            (None, None) => {
                let hint = format!("set it, or give it a default: `${{{name}:default}}`");
                Err((format!("the variable `{name}` is not set"), hint))
            }
        }
    }

    fn file(&self, path: &str) -> Result<Vec<u8>, (String, String)> {
        let hint = "the path is relative to the folder of the pipeline file".to_owned();
        read_secret_file(&self.folder.join(path)).map_err(|error| match error.kind() {
            std::io::ErrorKind::FileTooLarge => {
                (format!("the file `{path}` is larger than 1 MiB"), "name a file with one short value".to_owned())
            }
            _ => (format!("the file `{path}` cannot be read: {}", super::system::words(&error)), hint),
        })
    }

    fn complain(&mut self, span: &Span, reference: &str, (message, hint): (String, String)) {
        // Escapes in a quoted scalar can hide the reference; then the whole value is shown.
        let within = self.source.text[span.clone()].find(reference);
        let place = within.map_or(span.clone(), |n| span.start + n..span.start + n + reference.len());
        self.problems.push(self.source.problem(&place, message, Some(hint)));
    }
}

/// A value with its variables written out.
#[derive(Default)]
struct Expansion {
    text: String,
    /// It is something else than what stands in the file.
    differs: bool,
}

impl Expansion {
    fn push(&mut self, reference: &str, value: &[u8]) {
        let inside = reference.trim_start_matches("${").trim_end_matches('}');
        let (name, default) = inside.split_once(':').map_or((inside, None), |(name, default)| (name, Some(default)));
        match (name, default) {
            ("file", Some(_)) => self.text.push_str(reference),
            _ if is_named_like_a_secret(name) => {
                self.differs |= default.is_some();
                self.text.push_str(&format!("${{{name}}}"));
            }
            _ => {
                self.differs = true;
                // As it would have to stand in a file.
                self.text.push_str(&String::from_utf8_lossy(value).replace("${", "$${"));
            }
        }
    }

    /// As YAML, where it has to be put in the place of what stands in the file.
    fn value(self) -> Option<String> {
        self.differs.then(|| serde_json::Value::from(self.text).to_string())
    }
}

const LITERAL_HINT: &str = "write `${VAR}`, `${VAR:default}` or `${file:path}`; `$${` is a literal `${`";

fn store(scalar: &mut Scalar, expanded: Vec<u8>, found: bool) {
    match String::from_utf8(expanded) {
        Ok(text) => scalar.text = text,
        Err(error) => {
            scalar.text = String::new();
            scalar.binary = Some(error.into_bytes());
        }
    }
    if found {
        scalar.kind = Kind::Text;
        scalar.expanded = true;
    }
}
