//! Reading a map: which keys does it have, which are missing, and which does nobody know?
//!
//! A `Section` is one map of the file. Stages ask it for their keys; each question makes the key known, and `finish`
//! reports every key that nobody asked for. Nothing stops at the first problem: a reader returns `None` once it has
//! reported why, and the caller goes on to the next key.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use super::field::Field;
use super::report::{Position, Problem, SourceText, Span, Weight};
use super::yaml::{Entry, Node, Value};

/// What all sections of one file share.
pub(super) struct Context<'a> {
    pub(super) source: &'a SourceText<'a>,
    /// The folder of the pipeline file, absolute.
    pub(super) folder: &'a Path,
    pub(super) problems: RefCell<Vec<Problem>>,
    /// What does not keep the pipeline from running, and what somebody should know all the same.
    pub(super) remarks: RefCell<Vec<Problem>>,
    /// Where secrets stand in the text.
    pub(super) secrets: RefCell<Vec<Span>>,
    /// Where the text refers to secrets: what they are is not written out.
    pub(super) references: RefCell<Vec<Span>>,
    /// Other files that it refers to.
    pub(super) files: RefCell<Vec<PathBuf>>,
}

impl Context<'_> {
    pub(super) fn complain(&self, span: &Span, message: String, hint: Option<String>) {
        self.problems.borrow_mut().push(self.source.problem(span, message, hint));
    }

    /// A word about what is right and most likely not meant: `check` shows it.
    pub(super) fn remark(&self, span: &Span, message: String, hint: Option<String>) {
        let mut remark = self.source.problem(span, message, hint);
        remark.weight = Weight::Warning;
        self.remarks.borrow_mut().push(remark);
    }

    pub(super) fn position(&self, span: &Span) -> Position {
        self.source.position(span.start)
    }
}

/// One map of the file.
pub(super) struct Section<'a> {
    pub(super) context: &'a Context<'a>,
    /// The dotted path of keys to it, for messages; empty for the file's own map.
    pub(super) name: String,
    /// The key that it stands under.
    pub(super) key_span: Span,
    entries: &'a [Entry],
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The file's own map.
    pub(super) fn of_file(context: &'a Context<'a>, node: &'a Node) -> Option<Section<'a>> {
        let start = node.span.start..node.span.start;
        if let Value::Map(entries) = &node.value {
            return Some(Section::new(context, String::new(), start, entries));
        }
        let hint = "a pipeline file has keys such as `source:` and `sink:`".to_owned();
        context.complain(&start, "a pipeline file has to be a map".to_owned(), Some(hint));
        None
    }

    pub(super) fn new(context: &'a Context<'a>, name: String, key_span: Span, entries: &'a [Entry]) -> Section<'a> {
        Section { context, name, key_span, entries, known: Vec::new() }
    }

    /// Reads a key if it is there.
    pub(super) fn optional<T>(&mut self, key: &'static str, read: impl FnOnce(&Field<'a>) -> Option<T>) -> Option<T> {
        self.field(key).and_then(|field| read(&field))
    }

    /// Reads a key, and reports when it is missing.
    pub(super) fn required<T>(&mut self, key: &'static str, read: impl FnOnce(&Field<'a>) -> Option<T>) -> Option<T> {
        let field = self.field(key);
        if field.is_none() {
            let message = match self.name.as_str() {
                "" => format!("a pipeline needs `{key}`"),
                name => format!("`{name}` needs `{key}`"),
            };
            self.complain(message, None);
        }
        field.and_then(|field| read(&field))
    }

    /// A key, if it is there; known from now on.
    pub(super) fn field(&mut self, key: &'static str) -> Option<Field<'a>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        let name = if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) };
        Some(Field { context: self.context, name, key_span: entry.key_span.clone(), node: &entry.value })
    }

    /// A problem of the section as a whole, shown at its key.
    pub(super) fn complain(&self, message: String, hint: Option<String>) {
        self.context.complain(&self.key_span, message, hint);
    }

    /// Reports every key that nobody asked for.
    pub(super) fn finish(self) {
        for entry in self.entries.iter().filter(|entry| !self.known.contains(&entry.key.as_str())) {
            let message = match self.name.as_str() {
                "" => format!("unknown key `{}`", entry.key),
                name => format!("unknown key `{}` in `{name}`", entry.key),
            };
            let known = match self.known.is_empty() {
                true => format!("`{}` has no options", self.name),
                false => did_you_mean(&entry.key, &self.known, "known keys"),
            };
            self.context.complain(&entry.key_span, message, Some(known));
        }
    }
}

/// A hint that names what is meant, if one of the known words is near, and all that is known.
pub(super) fn did_you_mean(word: &str, known: &[&str], title: &str) -> String {
    let list = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match nearest(word, known) {
        Some(near) => format!("did you mean `{near}`? {title}: {list}"),
        None => format!("{title}: {list}"),
    }
}

/// The known word that a misspelt one most likely is.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let folded = word.to_lowercase().replace(['-', ' '], "_");
    let limit = (folded.chars().count() / 3).clamp(1, 3);
    let distance = |name: &str| strsim::damerau_levenshtein(&folded, &name.to_lowercase());
    // `enrichment` for `enrich`, `poll` for `poll_interval`.
    let shares_start =
        |name: &str| folded.len().min(name.len()) >= 4 && (folded.starts_with(name) || name.starts_with(&folded));
    if let Some(near) = known.iter().find(|name| shares_start(name)) {
        return Some(near);
    }
    let (near, least) = known.iter().map(|name| (*name, distance(name))).min_by_key(|(_, distance)| *distance)?;
    (least <= limit).then_some(near)
}
