//! The space: the index of a record's members, and the text of its edits.

use super::head::Head;
use super::json;
use super::known::KnownMembers;
use super::members::{Member, Members, Span};
use super::path::Path;

/// The buffers of a record, reused from line to line.
#[derive(Debug, Default)]
pub struct Space {
    pub(super) members: Members,
    /// The members as they were, while something is done that may fail half-way.
    pub(super) before: Members,
    /// Text that is not in the line: new values, new names, unescaped names.
    pub(super) arena: String,
    /// Whole members, as text, that come after all others.
    pub(super) appendix: String,
    pub(super) edits: Edits,
    /// What stands around the values of a record before.
    pub(super) known: KnownMembers,
}

/// What was done to a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Edits {
    #[default]
    None,
    /// Members were added, and the arena holds nothing but these, each behind a comma.
    Added,
    /// Whatever else.
    Spliced,
}

impl Space {
    /// Forgets the record before.
    pub(super) fn begin(&mut self) {
        self.members.clear();
        self.arena.clear();
        self.appendix.clear();
        self.edits = Edits::None;
    }

    pub(super) fn text<'a>(&'a self, line: &'a str, span: Span) -> &'a str {
        let text = if span.is_in_line() { line } else { &self.arena };
        &text[span.start()..span.end()]
    }

    pub(super) fn keep(&mut self, text: &str) -> Span {
        self.write(|arena| arena.push_str(text))
    }

    pub(super) fn rename(&mut self, position: usize, name: &str) {
        let span = self.keep(name);
        self.members.rename(position, span, Head::of(name));
        self.edits = Edits::Spliced;
    }

    /// Adds a member behind all others. It stands in the arena as it will in the document.
    pub(super) fn add(&mut self, path: &Path, write: impl FnOnce(&mut String)) {
        self.add_quoted(path.as_str(), path.head(), |arena| path.write_quoted(arena), write);
    }

    /// The same under any name.
    pub(super) fn add_named(&mut self, name: &str, write: impl FnOnce(&mut String)) {
        self.add_quoted(name, Head::of(name), |arena| json::write_string(name, arena), write);
    }

    fn add_quoted(
        &mut self,
        name: &str,
        head: Head,
        write_name: impl FnOnce(&mut String),
        write: impl FnOnce(&mut String),
    ) {
        if self.edits == Edits::None {
            self.edits = if self.arena.is_empty() { Edits::Added } else { Edits::Spliced };
        }
        self.arena.push(',');
        let quoted = self.write(write_name);
        self.arena.push(':');
        let value = self.write(write);
        let mut span = Span::in_arena(quoted.start() + 1, quoted.end() - 1);
        if span.end() - span.start() != name.len() {
            // It has escapes where it is written.
            span = self.keep(name);
            self.edits = Edits::Spliced;
        }
        self.members.push(Member::added(span, value, quoted.start() as u32), head);
    }

    pub(super) fn write(&mut self, write: impl FnOnce(&mut String)) -> Span {
        let start = self.arena.len();
        write(&mut self.arena);
        Span::in_arena(start, self.arena.len())
    }
}
