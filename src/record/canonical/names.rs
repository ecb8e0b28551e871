//! Known names: the objects that are hashed one after the other have the same names, in the same order, most often.
//!
//! What stands around the values of such an object is compared with what stood there before, and written as it was then. The
//! names need neither be read, nor looked at for repeated ones, nor sorted.

use std::ops::Range;

use super::{CanonicalError, Member, Walk, arrange, compare_names};
use crate::record::gaps::{Gaps, begins_with};

/// The names of an object with more are not kept.
const MEMBERS_MAX: usize = 64;

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
    /// The last object was another one. Two in a row are needed until their names are kept instead, so that objects by
    /// turns do not drive out each other.
    is_missed: bool,
}

/// What sorts a name.
#[derive(Debug)]
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

    /// Hears of another object, which stands in the text from `at` to its end, with its members as they come.
    pub(super) fn missed(&mut self, text: &[u8], at: usize, members: &[Member], out: &[u8]) {
        if !std::mem::replace(&mut self.is_missed, true) && self.gaps.len() > 0 {
            return;
        }
        self.forget();
        self.is_missed = false;
        if members.is_empty() || members.len() > MEMBERS_MAX {
            return;
        }
        let mut from = at;
        for Member { name, beginning, sorts_as_bytes, value_in_text, .. } in members {
            self.gaps.push(&text[from..value_in_text.start]);
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
        let mut known = std::mem::take(&mut self.scratch.known);
        let is_all = self.follow(&known);
        known.is_missed &= is_all != Ok(true);
        self.scratch.known = known;
        is_all
    }

    fn follow(&mut self, known: &KnownNames) -> Result<bool, CanonicalError> {
        let (text, start, first_member) = (self.text.as_bytes(), self.out.len() + 1, self.scratch.members.len());
        for ((before, written), name) in known.gaps.before().zip(known.written.before()).zip(&known.names) {
            if !begins_with(&text[self.at..], before) {
                return Ok(false);
            }
            // Between the quotes, which stand behind a brace or a comma, and before a colon.
            let name_start = self.out.len() + 2;
            self.out.extend_from_slice(written);
            let name_range: Range<usize> = name_start..self.out.len() - 2;
            self.at += before.len();
            let value_at = self.at;
            self.value()?;
            let Name { beginning, sorts_as_bytes } = *name;
            let (end, value_in_text) = (self.out.len(), value_at..self.at);
            self.scratch.members.push(Member { name: name_range, end, beginning, sorts_as_bytes, value_in_text });
        }
        let behind = known.gaps.behind();
        if behind.is_empty() || !text[self.at..].starts_with(behind) {
            return Ok(false);
        }
        self.at += behind.len();
        let (members, unordered) = (&self.scratch.members[first_member..], &mut self.scratch.unordered);
        if !known.order.is_empty() {
            arrange(start, known.order.iter().map(|position| &members[*position]), unordered, self.out);
        }
        self.scratch.members.truncate(first_member);
        self.out.push(b'}');
        Ok(true)
    }
}
