//! The space: the index of a record's members, and the text of its edits.

use super::head::Head;

/// The buffers of a record, reused from line to line.
#[derive(Debug, Default)]
pub struct Space {
    pub(super) members: Vec<Member>,
    /// The members as they were, while something is done that may fail half-way.
    pub(super) before: Vec<Member>,
    /// Text that is not in the line: new values, new names, unescaped names.
    pub(super) arena: String,
    /// Whole members, as text, that come after all others.
    pub(super) appendix: String,
    pub(super) edited: bool,
}

/// A piece of text, in the line or in the arena.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Line,
    Arena,
}

/// The name of a member, unescaped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    pub(super) span: Span,
    pub(super) head: Head,
}

/// A top-level member as it is now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) name: Name,
    /// The raw value.
    pub(super) value: Span,
    pub(super) state: State,
    /// Where the member begins in the line, at the quote of its name.
    pub(super) source_start: u32,
    /// Where its value begins in the line.
    pub(super) source_value_start: u32,
    /// Where it ends in the line; 0 when it is not of the line.
    pub(super) source_end: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// As in the line.
    Kept,
    /// With another value.
    Revalued,
    /// With another name, and perhaps another value.
    Renamed,
    Removed,
}

impl Member {
    pub(super) fn of_line(name: Name, value: Span, source_start: u32) -> Member {
        Member { name, value, state: State::Kept, source_start, source_value_start: value.start, source_end: value.end }
    }

    pub(super) fn added(name: Name, value: Span) -> Member {
        Member { name, value, state: State::Kept, source_start: 0, source_value_start: 0, source_end: 0 }
    }

    pub(super) fn is_added(&self) -> bool {
        self.source_end == 0
    }
}

impl Space {
    /// Forgets the record before.
    pub(super) fn begin(&mut self) {
        self.members.clear();
        self.arena.clear();
        self.appendix.clear();
        self.edited = false;
    }

    pub(super) fn text<'a>(&'a self, line: &'a str, span: Span) -> &'a str {
        let text = match span.place {
            Place::Line => line,
            Place::Arena => &self.arena,
        };
        &text[span.start as usize..span.end as usize]
    }

    pub(super) fn keep(&mut self, text: &str) -> Span {
        self.write(|arena| arena.push_str(text))
    }

    pub(super) fn keep_name(&mut self, name: &str) -> Name {
        Name { span: self.keep(name), head: Head::of(name) }
    }

    pub(super) fn write(&mut self, write: impl FnOnce(&mut String)) -> Span {
        let start = self.arena.len() as u32;
        write(&mut self.arena);
        Span { start, end: self.arena.len() as u32, place: Place::Arena }
    }
}
