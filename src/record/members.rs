//! Members: where do the top-level members of a record stand, as it is now?

use std::ops::{Deref, DerefMut, Range};

use super::head::{Head, HeadFilter};

/// A piece of text, in the line or in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Where it starts, with [`IN_ARENA`] where that is a place in the arena.
    start_and_place: u32,
    end: u32,
}

/// The bit that says so. No line is as long as to need it.
const IN_ARENA: u32 = 1 << 31;

impl Span {
    pub(super) fn in_line(start: usize, end: usize) -> Span {
        Span { start_and_place: start as u32, end: end as u32 }
    }

    pub(super) fn in_arena(start: usize, end: usize) -> Span {
        Span { start_and_place: start as u32 | IN_ARENA, end: end as u32 }
    }

    pub(super) fn is_in_line(self) -> bool {
        self.start_and_place & IN_ARENA == 0
    }

    pub(super) fn start(self) -> usize {
        (self.start_and_place & !IN_ARENA) as usize
    }

    pub(super) fn end(self) -> usize {
        self.end as usize
    }
}

/// Members, and the heads of their names side by side: those are looked through for every path.
#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    all: Vec<Member>,
    heads: Vec<Head>,
    /// Which heads there may be: most of those that are asked for are not there.
    filter: HeadFilter,
}

impl Members {
    pub(super) fn clear(&mut self) {
        self.all.clear();
        self.heads.clear();
        self.filter = HeadFilter::default();
    }

    /// Adds a member whose name has this head. False when no other member has that.
    pub(super) fn push(&mut self, member: Member, head: Head) -> bool {
        self.all.push(member);
        self.heads.push(head);
        let is_known = self.filter.may_have(head);
        self.filter.add(head);
        is_known
    }

    /// Adds a member whose head comes by [`Members::set_heads`], all of which are copied at once.
    pub(super) fn push_without_head(&mut self, member: Member) {
        self.all.push(member);
    }

    /// The heads of all members, which were added without. The filter has these, and no others.
    pub(super) fn set_heads(&mut self, heads: &[Head], filter: HeadFilter) {
        self.heads.extend_from_slice(heads);
        self.filter = filter;
    }

    /// Adds some of the members of another.
    pub(super) fn extend(&mut self, other: &Members, range: Range<usize>) {
        self.all.extend_from_slice(&other.all[range.clone()]);
        let heads = &other.heads[range];
        self.heads.extend_from_slice(heads);
        heads.iter().for_each(|head| self.filter.add(*head));
    }

    pub(super) fn rename(&mut self, position: usize, name: Span, head: Head) {
        self.all[position].name = name;
        self.all[position].state = State::Renamed;
        self.heads[position] = head;
        self.filter.add(head);
    }

    pub(super) fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// The members whose names have this head.
    pub(super) fn of_head(&self, head: Head) -> impl Iterator<Item = &Member> {
        let heads = if self.filter.may_have(head) { self.heads.as_slice() } else { &[] };
        let same = heads.iter().enumerate().filter(move |(_, other)| **other == head);
        same.map(|(position, _)| &self.all[position])
    }

    /// The heads that there may be.
    pub(super) fn filter(&self) -> HeadFilter {
        self.filter
    }

    /// Whether the names of some members may have this head.
    pub(super) fn may_have(&self, head: Head) -> bool {
        self.filter.may_have(head)
    }
}

impl Deref for Members {
    type Target = [Member];

    fn deref(&self) -> &[Member] {
        &self.all
    }
}

impl DerefMut for Members {
    fn deref_mut(&mut self) -> &mut [Member] {
        &mut self.all
    }
}

/// A top-level member as it is now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    /// The name, unescaped. [`Members::rename`] changes it.
    pub(super) name: Span,
    /// The raw value.
    pub(super) value: Span,
    pub(super) state: State,
    /// Where the member begins, at the quote of its name: in the line, or in the arena if it is not of the line.
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
    pub(super) fn of_line(name: Span, value: Span, source_start: u32) -> Member {
        Member {
            name,
            value,
            state: State::Kept,
            source_start,
            source_value_start: value.start() as u32,
            source_end: value.end,
        }
    }

    /// A member that stands in the arena as JSON text, from `start` to the end of its value.
    pub(super) fn added(name: Span, value: Span, start: u32) -> Member {
        Member { name, value, state: State::Kept, source_start: start, source_value_start: 0, source_end: 0 }
    }

    pub(super) fn is_added(&self) -> bool {
        self.source_end == 0
    }
}
