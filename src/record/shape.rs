//! The shape: what stands around the values of a record?
//!
//! The records of one program have the same names, in the same order, written in the same way. So what stood between the
//! values of a record is looked for in the next one by a comparison of bytes. As far as it is there, nothing of it has to
//! be read again: which names these are, that they are names, and that none is there twice.

use std::ops::Range;

use sonic_rs::Read;
use sonic_rs::parser::Parser;
use sonic_rs::reader::Reader as _;

use super::gaps::{Gaps, begins_with};
use super::head::{Head, HeadFilter};
use super::space::{Member, Members, Span};

/// The shape of a record with more members is not kept.
const MEMBERS_MAX: usize = 64;

/// What stands around the values of a record. None of its names is there twice, and none has an escape.
#[derive(Debug, Default)]
pub(super) struct Shape {
    gaps: Gaps,
    /// Where the name begins and ends in what stands before its value.
    names: Vec<Range<usize>>,
    heads: Vec<Head>,
    known: HeadFilter,
    /// The last record had another one. Two in a row are needed until that is kept instead, so that records by turns do not
    /// drive out each other.
    is_missed: bool,
}

/// How far a line has a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Followed {
    ToTheEnd,
    /// As far as the members that were found.
    SoFar,
}

impl Shape {
    /// Hears of a line of another shape, with its members, of which no two have the same name.
    pub(super) fn missed(&mut self, line: &str, members: &Members) {
        if !std::mem::replace(&mut self.is_missed, true) && self.gaps.len() > 0 {
            return;
        }
        self.gaps.clear();
        self.names.clear();
        self.heads.clear();
        self.is_missed = false;
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
        self.known = members.known();
    }

    /// Finds the members of a line as far as it has this shape; `None` where it is not JSON.
    pub(super) fn follow<'l>(
        &mut self,
        line: &'l str,
        parser: &mut Parser<Read<'l>>,
        members: &mut Members,
    ) -> Option<Followed> {
        let (line, mut at) = (line.as_bytes(), 0);
        for (before, name) in self.gaps.before().zip(&self.names) {
            if !begins_with(&line[at..], before) {
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
        if count > 0 && count == self.gaps.len() && line[at..] == *self.gaps.behind() {
            members.set_heads(&self.heads, self.known);
            self.is_missed = false;
            return Some(Followed::ToTheEnd);
        }
        let mut known = HeadFilter::default();
        self.heads[..count].iter().for_each(|head| known.add(*head));
        members.set_heads(&self.heads[..count], known);
        Some(Followed::SoFar)
    }
}
