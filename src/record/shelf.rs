//! A shelf: records that are kept as they are, with their indexes, to be looked at later.
//!
//! What was appended behind all members is not kept: nobody who looks at a record sees it. The buffers are used again, so
//! that keeping a record allocates nothing in the steady state.

use std::ops::Range;

use super::members::Members;
use super::space::Space;

/// Records, one behind the other.
#[derive(Debug, Default)]
pub struct Shelf {
    members: Members,
    /// The line of each, and the text of its edits behind it.
    text: String,
}

/// Where a record is on its shelf.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    members: (u32, u32),
    /// Where its line begins, the text of its edits, and where that ends.
    text: [u32; 3],
}

impl Shelf {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.members.clear();
        self.text.clear();
    }

    /// Keeps a record: its line and what is in its space now.
    pub(super) fn keep(&mut self, line: &str, space: &Space) -> Kept {
        let first_member = self.members.len() as u32;
        self.members.extend(&space.members, 0..space.members.len());
        let start = self.text.len() as u32;
        self.text.push_str(line);
        let edits = self.text.len() as u32;
        self.text.push_str(&space.arena);
        Kept { members: (first_member, self.members.len() as u32), text: [start, edits, self.text.len() as u32] }
    }

    /// Puts a record that was kept into a space, and gives its line.
    pub(super) fn put_into(&self, kept: Kept, space: &mut Space) -> &str {
        let range = |start: u32, end: u32| -> Range<usize> { start as usize..end as usize };
        let [start, edits, end] = kept.text;
        space.begin();
        space.members.extend(&self.members, range(kept.members.0, kept.members.1));
        space.arena.push_str(&self.text[range(edits, end)]);
        &self.text[range(start, edits)]
    }
}
