//! YAML: what does a pipeline file's text say, and where does each piece of it stand?
//!
//! The text becomes a tree of maps, lists and scalars that know their place. Only what a configuration needs is let
//! through: one document, names as keys, each once, no anchors, aliases or tags, a bounded depth. What is refused is refused
//! by the parser's events, before there is a tree: an alias is expanded there, and a few hundred lines of them fill the
//! memory. It does not know what any key means.

use std::ops::Range;
use std::path::PathBuf;

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar as YamlScalar, ScanError, YamlData};
use saphyr_parser::{Event, Parser};

use super::report::{Problem, SourceText, Span};

/// How deep maps and lists may be nested.
const DEPTH_MAX: usize = 32;

/// How far to the right a line's structure may start, in bytes. It bounds the depth of what the YAML reader builds, since
/// each block inside another stands further to the right (`- - - - …`); inside brackets the reader has its own bound.
const STRUCTURE_COLUMN_MAX: usize = 256;

/// A piece of the file.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) value: Value,
}

/// What a piece of the file is.
#[derive(Debug)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) value: Node,
}

/// A single value.
pub(super) struct Scalar {
    /// The text: as written for numbers and the like, unquoted and unescaped for strings.
    pub(super) text: String,
    pub(super) kind: Kind,
    /// True if something of it came from a variable or a file, so that it must not be printed.
    pub(super) expanded: bool,
    /// What came from a file that is not UTF-8: good for a key, for nothing else. `text` is empty then.
    pub(super) binary: Option<Vec<u8>>,
    /// Which bytes of it came from files.
    pub(super) files: Vec<(Range<usize>, PathBuf)>,
}

impl std::fmt::Debug for Scalar {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Scalar").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// What a scalar is by YAML's core schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Boolean,
    Number,
    Text,
}

/// Reads a file's text.
///
/// # Errors
/// The first problem: after an error of syntax nothing that follows can be trusted.
pub(super) fn parse(source: &SourceText<'_>) -> Result<Node, Problem> {
    check_structure_columns(source)?;
    let reader = Reader::new(source);
    reader.check_events()?;
    let mut documents = MarkedYaml::load_from_str(source.text).map_err(|error| reader.syntax_problem(&error))?;
    if let Some(second) = documents.get(1) {
        let hint = "write one file for each pipeline, without `---` between".to_owned();
        return Err(source.problem(
            &reader.span(second),
            "the file holds more than one document".to_owned(),
            Some(hint),
        ));
    }
    match documents.pop() {
        Some(document) => reader.node(&document, 0),
        None => {
            let hint = "a pipeline needs at least `source`, `decode` and `sink`".to_owned();
            Err(Problem::of_path(source.path, "the file is empty".to_owned(), Some(hint)))
        }
    }
}

fn check_structure_columns(source: &SourceText<'_>) -> Result<(), Problem> {
    let is_structure = |c: &char| matches!(c, ' ' | '\t' | '-' | '?' | ':' | '\u{feff}');
    let mut line_start = 0;
    for line in source.text.split(['\n', '\r']) {
        let column = line.chars().take_while(is_structure).count();
        if column > STRUCTURE_COLUMN_MAX && !line.trim().is_empty() {
            return Err(too_deep(source, &(line_start..line_start)));
        }
        line_start += line.len() + 1;
    }
    Ok(())
}

fn too_deep(source: &SourceText<'_>, span: &Span) -> Problem {
    source.problem(span, format!("the file is nested too deeply: at most {DEPTH_MAX} levels"), None)
}

/// Turns the reader's tree into ours.
struct Reader<'a> {
    source: &'a SourceText<'a>,
    /// Byte offset of each character of the text, and of its end.
    offsets: Vec<usize>,
}

impl<'a> Reader<'a> {
    fn new(source: &'a SourceText<'a>) -> Reader<'a> {
        let end = std::iter::once(source.text.len());
        let offsets = source.text.char_indices().map(|(n, _)| n).chain(end).collect();
        Reader { source, offsets }
    }

    fn offset(&self, character: usize) -> usize {
        self.offsets.get(character).copied().unwrap_or(self.source.text.len())
    }

    fn span(&self, node: &MarkedYaml<'_>) -> Span {
        let start = self.offset(node.span.start.index());
        start..self.offset(node.span.end.index()).max(start)
    }

    /// Looks at everything in the order of the text, and builds nothing.
    fn check_events(&self) -> Result<(), Problem> {
        let mut depth = 0_usize;
        for event in Parser::new_from_str(self.source.text) {
            let (event, span) = event.map_err(|error| self.syntax_problem(&error))?;
            let start = self.offset(span.start.index());
            let span = start..self.offset(span.end.index()).max(start);
            match &event {
                Event::SequenceStart(..) | Event::MappingStart(..) if depth > DEPTH_MAX => {
                    return Err(too_deep(self.source, &span));
                }
                Event::SequenceStart(..) | Event::MappingStart(..) => depth += 1,
                Event::SequenceEnd | Event::MappingEnd => depth -= 1,
                _ => {}
            }
            if let Some(what) = reference(&event) {
                let hint = "write the value out; text that starts with this character needs quotes".to_owned();
                let message = format!("{what} are not supported in pipeline files");
                return Err(self.source.problem(&span, message, Some(hint)));
            }
        }
        Ok(())
    }

    fn node(&self, node: &MarkedYaml<'_>, depth: usize) -> Result<Node, Problem> {
        let span = self.span(node);
        if depth > DEPTH_MAX {
            return Err(too_deep(self.source, &span));
        }
        let value = match &node.data {
            YamlData::Sequence(items) => {
                Value::List(items.iter().map(|item| self.node(item, depth + 1)).collect::<Result<_, _>>()?)
            }
            YamlData::Mapping(entries) => Value::Map(
                entries.iter().map(|(key, value)| self.entry(key, value, depth + 1)).collect::<Result<_, _>>()?,
            ),
            YamlData::Value(scalar) => Value::Scalar(self.scalar(scalar, &span)),
            YamlData::Representation(..) | YamlData::Tagged(..) | YamlData::Alias(_) | YamlData::BadValue => {
                return Err(self.source.problem(&span, "this value cannot be read".to_owned(), None));
            }
        };
        Ok(Node { span, value })
    }

    fn entry(&self, key: &MarkedYaml<'_>, value: &MarkedYaml<'_>, depth: usize) -> Result<Entry, Problem> {
        let key = self.node(key, depth)?;
        match key.value {
            Value::Scalar(scalar) => {
                Ok(Entry { key: scalar.text, key_span: key.span, value: self.node(value, depth)? })
            }
            Value::List(_) | Value::Map(_) => {
                let hint = "a value that starts with `{` or `[` needs quotes".to_owned();
                Err(self.source.problem(&key.span, "a key has to be a name".to_owned(), Some(hint)))
            }
        }
    }

    fn scalar(&self, scalar: &YamlScalar<'_>, span: &Span) -> Scalar {
        let written = || self.source.text[span.clone()].trim().to_owned();
        let (kind, text) = match scalar {
            YamlScalar::Null => (Kind::Null, written()),
            YamlScalar::Boolean(value) => (Kind::Boolean, value.to_string()),
            YamlScalar::Integer(_) | YamlScalar::FloatingPoint(_) => (Kind::Number, written()),
            YamlScalar::String(text) => (Kind::Text, text.to_string()),
        };
        Scalar { text, kind, expanded: false, binary: None, files: Vec::new() }
    }

    fn syntax_problem(&self, error: &ScanError) -> Problem {
        let start = self.offset(error.marker().index());
        let rest = &self.source.text[start..];
        let info = error.info();
        if info.contains("duplicated key") {
            let key = rest.split([':', '\n']).next().unwrap_or_default().trim();
            let message = format!("the key `{key}` is written twice in the same map");
            return self.source.problem(&(start..start + key.len()), message, Some("keep one of the two".to_owned()));
        }
        let character = info.strip_prefix("unexpected character: `").and_then(|text| text.strip_suffix('\''));
        let (message, hint) = match character {
            Some(character) => (format!("a value cannot start with `{character}`"), Some("put the text in quotes")),
            None => (format!("this is not YAML: {info}"), syntax_hint(info)),
        };
        self.source.problem(&(start..start), message, hint.map(str::to_owned))
    }
}

/// Anchors, aliases and tags: values are written out, so that each has one place.
fn reference(event: &Event<'_>) -> Option<&'static str> {
    let (anchor, is_tagged) = match event {
        Event::Alias(_) => (1, false),
        Event::Scalar(_, _, anchor, tag) | Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) => {
            (*anchor, tag.is_some())
        }
        _ => (0, false),
    };
    match (anchor > 0, is_tagged) {
        (true, _) => Some("anchors and aliases (`&name`, `*name`)"),
        (false, true) => Some("tags (`!name`)"),
        (false, false) => None,
    }
}

fn syntax_hint(info: &str) -> Option<&'static str> {
    if info.contains("unprintable") {
        Some("a control character such as NUL stands here: is the file damaged, or none of text? Remove the character")
    } else if info.split(' ').any(|word| matches!(word, "tab" | "tabs")) {
        Some("indent with spaces")
    } else if info.contains("mapping values are not allowed") {
        Some("keys of one map start in the same column; a value that contains `: ` needs quotes")
    } else if info.contains("flow") {
        Some("close each bracket that was opened; between brackets, put `${VAR}` in quotes")
    } else if info.contains("unknown anchor") {
        Some("aliases are not supported in pipeline files; text that starts with `*` needs quotes")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Expanded, the last of these lines would have a billion values.
    #[test]
    fn aliases_are_refused_before_they_are_expanded() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..10 {
            let aliases = vec![format!("*a{}", n - 1); 10].join(", ");
            text.push_str(&format!("a{n}: &a{n} [{aliases}]\n"));
        }
        let source = SourceText::new(Path::new("p.yaml"), &text);
        let problem = parse(&source).unwrap_err();
        assert_eq!(problem.position.map(|position| (position.line, position.column)), Some((1, 5)));
        assert!(problem.message.starts_with("anchors and aliases"), "{problem}");
    }

    #[test]
    fn a_hint_speaks_of_what_is_wrong() {
        for (text, word) in [
            ("a: 1 # \0\n", "control character"),
            ("a: \0\n", "control character"),
            ("a:\n\tb: 1\n", "indent with spaces"),
        ] {
            let source = SourceText::new(Path::new("p.yaml"), text);
            let hint = parse(&source).unwrap_err().hint;
            assert!(hint.as_ref().is_some_and(|hint| hint.contains(word)), "{text:?}: {hint:?}");
        }
    }
}
