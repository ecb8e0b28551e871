//! Known members: which names does a record have, if it is written as another one before it was?
//!
//! The records of one program have the same names, in the same order, written in the same way. So what stood between the
//! values of a record is looked for in later ones by a comparison of bytes. As far as it is there, nothing of it has to be
//! read again: which names these are, that they are names, and that none is there twice. Values are read every time.

use std::ops::Range;

use sonic_rs::Read;
use sonic_rs::parser::Parser;
use sonic_rs::reader::Reader as _;

use super::gaps::{Gaps, MEMBERS_MAX, begins_with};
use super::head::{Head, HeadFilter};
use super::members::{Member, Members, Span};

/// What stands around the values of a record that is kept. None of its names is there twice, and none has an escape.
#[derive(Debug, Default)]
pub(super) struct KnownMembers {
    gaps: Gaps,
    /// Where the name begins and ends in what stands before its value.
    names: Vec<Range<usize>>,
    heads: Vec<Head>,
    filter: HeadFilter,
}

/// How far a line is as the one that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Followed {
    ToTheEnd,
    /// As far as the members that were found.
    SoFar,
}

impl KnownMembers {
    /// Hears of a line that is another one, with its members, of which no two have the same name.
    pub(super) fn missed(&mut self, line: &str, members: &Members) {
        if !self.gaps.missed() {
            return;
        }
        self.gaps.clear();
        self.names.clear();
        self.heads.clear();
        if members.len() > MEMBERS_MAX {
            return;
        }
        let (line, mut from) = (line.as_bytes(), 0);
        for Member { name, value, .. } in members.iter() {
            self.gaps.push(&line[from..value.start()]);
            self.names.push(name.start() - from..name.end() - from);
            from = value.end();
        }
        self.gaps.end(&line[from..]);
        self.heads.extend_from_slice(members.heads());
        self.filter = members.filter();
    }

    /// Finds the members of a line, of which there are none yet, as far as it is as the one that is kept. `None` where it is
    /// not JSON: what was found is then to be thrown away.
    pub(super) fn follow<'l>(
        &mut self,
        line: &'l str,
        parser: &mut Parser<Read<'l>>,
        members: &mut Members,
    ) -> Option<Followed> {
        debug_assert!(members.is_empty());
        let (bytes, mut at) = (line.as_bytes(), 0);
        for (before, name) in self.gaps.before().zip(&self.names) {
            if !begins_with(&bytes[at..], before) {
                break;
            }
            parser.read.set_index(at + before.len());
            let (value, _) = parser.skip_one(true).ok()?;
            let name = Span::in_line(at + name.start, at + name.end);
            at = parser.offset();
            let value = Span::in_line(at - value.len(), at);
            members.push_without_head(Member::of_line(name, value, name.start() as u32 - 1));
        }
        let count = members.len();
        if count > 0 && count == self.gaps.len() && bytes[at..] == *self.gaps.behind() {
            members.set_heads(&self.heads, self.filter);
            self.gaps.hit();
            return Some(Followed::ToTheEnd);
        }
        let mut filter = HeadFilter::default();
        self.heads[..count].iter().for_each(|head| filter.add(*head));
        members.set_heads(&self.heads[..count], filter);
        Some(Followed::SoFar)
    }
}
