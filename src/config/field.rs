//! Reading a value: is it of the kind and in the range that its key asks for?
//!
//! Every reader returns `None` once it has reported what is wrong. A value that came from a variable or a file is never
//! quoted in a message.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::report::Span;
use super::section::{Context, Section, did_you_mean};
use super::yaml::{Entry, Kind, Node, Scalar, Value};
use crate::kql::Expression;
use crate::record::{Path, PathError, PathPattern};
use crate::text::secret::Secret;
use crate::text::units::{format_bytes, format_duration, parse_bytes, parse_duration};

/// A key's value, or an item of a list.
pub(super) struct Field<'a> {
    pub(super) context: &'a Context<'a>,
    /// The dotted path of keys to it, for messages.
    pub(super) name: String,
    pub(super) key_span: Span,
    pub(super) node: &'a Node,
}

/// One of several named choices: its name, and what stands under it.
pub(super) struct Choice<'a> {
    pub(super) name: &'static str,
    pub(super) section: Section<'a>,
}

impl<'a> Field<'a> {
    /// A problem of the value; a value that is not written in the file's text is shown at its key.
    pub(super) fn complain(&self, message: String, hint: Option<String>) {
        let span = if self.node.span.is_empty() { &self.key_span } else { &self.node.span };
        self.context.complain(span, message, hint);
    }

    /// Reports that the value is not what it should be; returns `None` for the caller to return.
    fn expected<T>(&self, what: &str) -> Option<T> {
        self.complain(format!("`{}` has to be {what}{}", self.name, self.found()), None);
        None
    }

    /// Ends a message with what stands there, if it may be printed.
    fn found(&self) -> String {
        match &self.node.value {
            Value::Scalar(Scalar { expanded: true, .. }) => "; what the variable or file gives is not".to_owned(),
            Value::Scalar(Scalar { kind: Kind::Null, .. }) => "; nothing is given".to_owned(),
            Value::Scalar(scalar) if scalar.text.is_empty() => "; the text is empty".to_owned(),
            Value::Scalar(_) => String::new(),
            Value::List(items) if items.is_empty() => "; it is empty".to_owned(),
            Value::Map(entries) if entries.is_empty() => "; it is empty".to_owned(),
            Value::List(_) => ", not a list".to_owned(),
            Value::Map(_) => ", not a map".to_owned(),
        }
    }

    /// Reports a complaint about a text in another module's words, which may quote it.
    pub(super) fn refuse<T>(&self, complaint: &str) -> Option<T> {
        self.refuse_with(complaint, None)
    }

    pub(super) fn refuse_with<T>(&self, complaint: &str, hint: Option<String>) -> Option<T> {
        let message = match &self.node.value {
            Value::Scalar(Scalar { expanded: true, .. }) => {
                format!("`{}`: what the variable or file gives is not valid", self.name)
            }
            _ => format!("`{}`: {complaint}", self.name),
        };
        self.complain(message, hint);
        None
    }

    fn scalar(&self) -> Option<&'a Scalar> {
        match &self.node.value {
            Value::Scalar(scalar) if scalar.kind != Kind::Null => Some(scalar),
            _ => None,
        }
    }

    /// The value as a scalar of any kind, typed as YAML does.
    pub(super) fn typed(&self) -> Option<&'a Scalar> {
        match &self.node.value {
            Value::Scalar(scalar) if scalar.binary.is_none() => Some(scalar),
            Value::Scalar(_) => self.expected("text in UTF-8"),
            Value::List(_) | Value::Map(_) => self.expected("a single value"),
        }
    }

    /// Text that is not empty.
    pub(super) fn text(&self) -> Option<&'a str> {
        match self.scalar() {
            Some(scalar) if scalar.binary.is_some() => self.expected("text in UTF-8"),
            Some(scalar) if !scalar.text.is_empty() => Some(&scalar.text),
            _ => self.expected("text"),
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self) -> Option<bool> {
        match self.scalar().map(|scalar| scalar.text.as_str()) {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => self.expected("`true` or `false`"),
        }
    }

    /// A whole number.
    pub(super) fn integer(&self, range: RangeInclusive<u32>) -> Option<u32> {
        let number = self.scalar().and_then(|scalar| scalar.text.parse().ok());
        match number.filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => self.expected(&format!("a whole number from {} to {}", range.start(), range.end())),
        }
    }

    /// A number.
    pub(super) fn number(&self, range: RangeInclusive<f64>) -> Option<f64> {
        let number = self.scalar().and_then(|scalar| scalar.text.parse().ok());
        match number.filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => self.expected(&format!("a number from {} to {}", range.start(), range.end())),
        }
    }

    /// A size in bytes.
    pub(super) fn bytes(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let size = self.scalar().and_then(|scalar| parse_bytes(&scalar.text).ok());
        match size.filter(|size| range.contains(size)) {
            Some(size) => Some(size),
            None => {
                let (least, most) = (format_bytes(*range.start()), format_bytes(*range.end()));
                self.expected(&format!("a size from {least} to {most}, such as `{}`", example_bytes(&range)))
            }
        }
    }

    /// A span of time.
    pub(super) fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        let duration = self.scalar().and_then(|scalar| parse_duration(&scalar.text).ok());
        match duration.filter(|duration| range.contains(duration)) {
            Some(duration) => Some(duration),
            None => {
                let (least, most) = (format_duration(*range.start()), format_duration(*range.end()));
                self.expected(&format!("a time from {least} to {most}, such as `500ms`, `30s` or `2h`"))
            }
        }
    }

    /// One of a few words.
    pub(super) fn word(&self, known: &[&'static str]) -> Option<&'static str> {
        let text = self.text()?;
        match known.iter().find(|word| **word == text) {
            Some(word) => Some(word),
            None => {
                let shown = if self.is_expanded() { String::new() } else { format!(" `{text}`") };
                let hint = did_you_mean(if self.is_expanded() { "" } else { text }, known, "known values");
                self.complain(format!("unknown value{shown} of `{}`", self.name), Some(hint));
                None
            }
        }
    }

    /// A password, key or token.
    pub(super) fn secret(&self) -> Option<Secret> {
        let scalar = self.scalar().filter(|scalar| scalar.binary.is_some() || !scalar.text.is_empty());
        let Some(scalar) = scalar else { return self.expected("text that is not empty") };
        self.context.references.borrow_mut().push(self.node.span.clone());
        if !scalar.expanded || self.has_default() {
            self.context.secrets.borrow_mut().push(self.node.span.clone());
            let message = format!("the secret of `{}` stands in the file itself", self.name);
            let hint = "whoever reads the file, its copies or its repository knows it: write `${NAME}` and set the \
                        variable, or `${file:secrets/name}`";
            self.context.remark(&self.node.span, message, Some(hint.to_owned()));
        }
        let bytes = scalar.binary.clone().unwrap_or_else(|| scalar.text.clone().into_bytes());
        if scalar.expanded {
            // The expansion has cut a line end already: a second one belongs to the key.
            return Some(Secret::from_files(bytes, scalar.files.clone()));
        }
        Some(Secret::new(bytes))
    }

    /// A salt: no secret, but nobody's business where a variable or a file gives it.
    pub(super) fn salt(&self) -> Option<Secret> {
        let text = self.text()?;
        if text.contains('\0') {
            return self.refuse("a zero byte ends it, and can be no part of it");
        }
        if self.is_expanded() {
            self.context.references.borrow_mut().push(self.node.span.clone());
        }
        Some(Secret::from_files(text.into(), Vec::new()))
    }

    /// Whether a default for a variable is written in the value: `${NAME:default}`.
    fn has_default(&self) -> bool {
        let text = &self.context.source.text[self.node.span.clone()];
        let references = text.split("${").skip(1).filter_map(|rest| rest.split('}').next());
        let mut defaults = references.filter_map(|reference| reference.split_once(':'));
        defaults.any(|(name, default)| name != "file" && !default.is_empty())
    }

    /// A path of a record's member.
    pub(super) fn field_path(&self) -> Option<Path> {
        match Path::read(self.text()?) {
            Ok(path) if self.is_expanded() => Some(path),
            Ok(path) => {
                self.context.source.is_plain(&self.node.span);
                Some(path)
            }
            Err(PathError { problem, hint }) => self.refuse_with(&problem, hint.filter(|_| !self.is_expanded())),
        }
    }

    /// A path of members, or with wildcards of many.
    pub(super) fn path_pattern(&self) -> Option<PathPattern> {
        match PathPattern::read(self.text()?) {
            Ok(pattern) => Some(pattern),
            Err(PathError { problem, hint }) => self.refuse_with(&problem, hint.filter(|_| !self.is_expanded())),
        }
    }

    /// A file's path, made absolute.
    pub(super) fn file(&self) -> Option<PathBuf> {
        let text = self.text()?;
        if text.starts_with("~/") || text == "~" {
            return self.refuse_with("`~` is not expanded here", Some("write `${HOME}/…` in its place".to_owned()));
        }
        Some(super::system::folded(&self.context.folder.join(text)))
    }

    /// A path of a file that is there.
    pub(super) fn existing_file(&self) -> Option<PathBuf> {
        let file = self.file()?;
        match std::fs::metadata(&file) {
            Ok(metadata) if metadata.is_file() => {
                self.context.files.borrow_mut().push(file.clone());
                Some(file)
            }
            Ok(_) => self.refuse("this is not a file"),
            Err(error) => self.refuse(&format!("the file cannot be read: {}", super::system::words(&error))),
        }
    }

    /// A list with at least one item.
    pub(super) fn list<T>(&self, read: impl Fn(&Field<'a>) -> Option<T>) -> Option<Vec<T>> {
        match &self.node.value {
            Value::List(items) if !items.is_empty() => {
                // All are read before the first failure counts, so that all problems are reported.
                let read_items: Vec<Option<T>> = items.iter().map(|item| read(&self.item(item))).collect();
                read_items.into_iter().collect()
            }
            Value::List(_) => self.expected("a list with at least one item"),
            Value::Scalar(scalar) if scalar.kind != Kind::Null => self.expected("a list: put it in `[…]`"),
            _ => self.expected("a list"),
        }
    }

    /// The items of a list, which may be empty or missing.
    pub(super) fn items(&self) -> Vec<Field<'a>> {
        match &self.node.value {
            Value::List(items) => items.iter().map(|item| self.item(item)).collect(),
            Value::Scalar(Scalar { kind: Kind::Null, .. }) => Vec::new(),
            _ => {
                let _: Option<()> = self.expected("a list");
                Vec::new()
            }
        }
    }

    fn item(&self, node: &'a Node) -> Field<'a> {
        let start = node.span.start..node.span.start;
        let key_span = if node.span.is_empty() { self.key_span.clone() } else { start };
        Field { context: self.context, name: self.name.clone(), key_span, node }
    }

    /// A map from field paths to something, with at least one entry.
    pub(super) fn by_path<T>(&self, read: impl Fn(&Field<'a>) -> Option<T>) -> Option<Vec<(Path, T)>> {
        let Value::Map(entries) = &self.node.value else { return self.expected("a map of field paths") };
        if entries.is_empty() {
            return self.expected("a map with at least one field path");
        }
        let read_entry = |entry: &'a Entry| {
            let name = format!("{}.{}", self.name, entry.key);
            let field = Field { context: self.context, name, key_span: entry.key_span.clone(), node: &entry.value };
            let path = Path::read(&entry.key).map_err(|PathError { problem, hint }| {
                self.context.complain(&entry.key_span, format!("`{}`: {problem}", self.name), hint);
            });
            let value = read(&field);
            Some((path.ok()?, value?))
        };
        let read_entries: Vec<_> = entries.iter().map(read_entry).collect();
        read_entries.into_iter().collect()
    }

    /// Whether it is a map, where it may also be something else.
    pub(super) fn is_map(&self) -> bool {
        matches!(&self.node.value, Value::Map(_))
    }

    /// The same of a value that may also be something else: `None` where it is no map.
    pub(super) fn map_of_options(&self) -> Option<Section<'a>> {
        self.is_map().then(|| self.section()).flatten()
    }

    /// A map of options; nothing is an empty one.
    pub(super) fn section(&self) -> Option<Section<'a>> {
        let entries: &[Entry] = match &self.node.value {
            Value::Map(entries) => entries,
            Value::Scalar(Scalar { kind: Kind::Null, .. }) => &[],
            _ => return self.expected("a map of options"),
        };
        Some(Section::new(self.context, self.name.clone(), self.key_span.clone(), entries))
    }

    /// One of several choices: a map with one key, or its bare name if it has no options. `kind` is the word for it.
    pub(super) fn choice(&self, kind: &str, known: &[&'static str]) -> Option<Choice<'a>> {
        let (name, key_span, entry) = match &self.node.value {
            Value::Scalar(scalar) if scalar.kind != Kind::Null => (self.text()?, self.node.span.clone(), None),
            Value::Map(entries) if entries.len() == 1 => {
                (&*entries[0].key, entries[0].key_span.clone(), entries.first())
            }
            Value::Map(entries) if entries.len() > 1 => {
                self.complain_about_several(kind, &entries[1]);
                return None;
            }
            _ => return self.expected(&format!("one {kind}: {}", list_of(known))),
        };
        let Some(known_name) = known.iter().find(|known| **known == name) else {
            let shown = if self.is_expanded() { String::new() } else { format!(" `{name}`") };
            let hint = did_you_mean(if self.is_expanded() { "" } else { name }, known, &format!("known {kind}s"));
            self.context.complain(&key_span, format!("unknown {kind}{shown} in `{}`", self.name), Some(hint));
            return None;
        };
        let name = format!("{}.{known_name}", self.name);
        let section = match entry {
            Some(entry) => Field { context: self.context, name, key_span, node: &entry.value }.section()?,
            None => Section::new(self.context, name, key_span, &[]),
        };
        Some(Choice { name: known_name, section })
    }

    fn complain_about_several(&self, kind: &str, second: &Entry) {
        let message = format!("`{}` holds one {kind} and something more: `{}`", self.name, second.key);
        let hint = match matches!(self.name.as_str(), "decode") {
            true => {
                format!("a {kind}'s options stand further to the right, under its name; several {kind}s are a list")
            }
            false => format!("start each {kind} with `- `; its options stand further to the right, under its name"),
        };
        self.context.complain(&second.key_span, message, Some(hint));
    }

    /// True if something of the value came from a variable or a file.
    pub(super) fn is_expanded(&self) -> bool {
        matches!(&self.node.value, Value::Scalar(Scalar { expanded: true, .. }))
    }

    /// A condition in KQL.
    pub(super) fn condition(&self) -> Option<Expression> {
        let text = self.text()?;
        match Expression::parse_condition(text) {
            Ok(expression) => {
                for doubt in expression.doubts().into_iter().filter(|_| !self.is_expanded()) {
                    self.context.remark(&self.node.span, format!("`{}`: {doubt}", self.name), None);
                }
                Some(expression)
            }
            Err(error) => {
                let message = match self.is_expanded() {
                    true => format!("`{}`: this is not a condition in KQL", self.name),
                    false => format!("`{}`: {}", self.name, error.problem()),
                };
                self.context.complain(&self.place_in_text(text, error.position_characters()), message, None);
                None
            }
        }
    }

    /// The place of a character of the value's text, where the text stands in the file as it is but for its blanks (YAML
    /// folds lines); else the whole value.
    fn place_in_text(&self, text: &str, offset_chars: usize) -> Span {
        let span = &self.node.span;
        let written = &self.context.source.text[span.clone()];
        let header_bytes = match written.chars().next() {
            Some('"' | '\'') => 1,
            Some('>' | '|') => written.find('\n').unwrap_or(0),
            _ => 0,
        };
        let visible = |character: &char| !character.is_whitespace();
        let places = || written[header_bytes..].char_indices().filter(|(_, character)| visible(character));
        let as_written =
            text.chars().filter(visible).eq(places().map(|(_, c)| c).take(text.chars().filter(visible).count()));
        if self.is_expanded() || !as_written {
            return span.clone();
        }
        let before = text.chars().take(offset_chars).filter(visible).count();
        let start_bytes = span.start + header_bytes;
        let at_character = text.chars().nth(offset_chars).is_some_and(|character| visible(&character));
        match (places().nth(before), before.checked_sub(1).and_then(|last| places().nth(last))) {
            (Some((offset, character)), _) if at_character => {
                start_bytes + offset..start_bytes + offset + character.len_utf8()
            }
            (_, Some((offset, character))) => {
                let end = start_bytes + offset + character.len_utf8();
                end..end
            }
            _ => span.clone(),
        }
    }
}

fn list_of(known: &[&str]) -> String {
    known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn example_bytes(range: &RangeInclusive<u64>) -> &'static str {
    if *range.end() >= 1 << 30 { "1GiB" } else { "1MiB" }
}
