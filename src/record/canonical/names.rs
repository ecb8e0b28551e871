//! Known names: the objects that are hashed one after the other have the same names, in the same order, most often.
//!
//! What stands around the values of such an object is compared with what stood there before, and written as it was then. The
//! names need neither be read, nor looked at for repeated ones, nor sorted. One object is kept: of several that a pipeline
//! hashes by turns, the first.

use super::{CanonicalError, Member, Scratch, Walk, arrange, compare_names};
use crate::record::gaps::{Gaps, MEMBERS_MAX, begins_with};

/// What is known of the names of an object. None of them is there twice.
#[derive(Debug, Default)]
pub(super) struct KnownNames {
    /// What stands around its values.
    gaps: Gaps,
    /// What is written before each of them.
    written: Gaps,
    names: Vec<Name>,
    /// The positions of the members in the order of their names; empty if they are in order.
    order: Vec<usize>,
}

/// What sorts a name.
#[derive(Clone, Copy, Debug)]
struct Name {
    beginning: u64,
    sorts_as_bytes: bool,
}

impl KnownNames {
    pub(super) fn forget(&mut self) {
        self.gaps.clear();
        self.written.clear();
        self.names.clear();
        self.order.clear();
    }

    /// Whether the members stand in the order of their names.
    pub(super) fn are_in_order(&self) -> bool {
        self.order.is_empty()
    }

    /// Keeps the names of an object, which is all of this text, with its members as they come.
    fn keep(&mut self, text: &[u8], at: usize, members: &[Member], out: &[u8]) {
        self.forget();
        if members.len() > MEMBERS_MAX {
            return;
        }
        let mut from = at;
        for Member { name, beginning, sorts_as_bytes, value_in_text, .. } in members {
            self.gaps.push(&text[from..value_in_text.start]);
            // With the brace or comma and the quote before it, the quote and the colon behind it.
            self.written.push(&out[name.start - 2..name.end + 2]);
            self.names.push(Name { beginning: *beginning, sorts_as_bytes: *sorts_as_bytes });
            from = value_in_text.end;
        }
        self.gaps.end(&text[from..]);
        self.order.extend(0..members.len());
        self.order.sort_unstable_by(|left, right| compare_names(&members[*left], &members[*right], out));
        if self.order.is_sorted() {
            self.order.clear();
        }
    }
}

impl Walk<'_> {
    /// Writes an object, as far as its names are known. True if that is all of it.
    pub(super) fn known_members(&mut self) -> Result<bool, CanonicalError> {
        let (text, start, first_member) = (self.text.as_bytes(), self.out.len() + 1, self.scratch.members.len());
        for position in 0..self.scratch.known.names.len() {
            let KnownNames { gaps, written, names, .. } = &self.scratch.known;
            let (before, written) = (gaps.before_value(position), written.before_value(position));
            let Name { beginning, sorts_as_bytes } = names[position];
            if !begins_with(&text[self.at..], before) {
                return Ok(false);
            }
            // Between the quotes, which stand behind a brace or a comma, and before a colon.
            let name_start = self.out.len() + 2;
            self.out.extend_from_slice(written);
            let name = name_start..self.out.len() - 2;
            self.at += before.len();
            self.next_token();
            let value_at = self.at;
            self.value()?;
            let (end, value_in_text) = (self.out.len(), value_at..self.at);
            self.scratch.members.push(Member { name, end, beginning, sorts_as_bytes, value_in_text });
        }
        let Scratch { members, unordered, known, .. } = &mut *self.scratch;
        let behind = known.gaps.behind();
        if behind.is_empty() || !text[self.at..].starts_with(behind) {
            return Ok(false);
        }
        self.at += behind.len();
        if !known.order.is_empty() {
            let of_object = &members[first_member..];
            arrange(start, known.order.iter().map(|position| &of_object[*position]), unordered, self.out);
        }
        members.truncate(first_member);
        known.gaps.hit();
        self.out.push(b'}');
        Ok(true)
    }

    /// Hears that an object, which began there in the text and ends with the brace at hand, is another one than that whose
    /// names are known. Members are looked at before they are put in order; if a name turns out to be repeated, that is an
    /// error, and then nothing stays known.
    pub(super) fn keep_names(&mut self, at: usize, first_member: usize) {
        let members = &self.scratch.members[first_member..];
        if !members.is_empty() && self.scratch.known.gaps.missed() {
            self.scratch.known.keep(&self.text.as_bytes()[..=self.at], at, members, self.out);
        }
    }
}
