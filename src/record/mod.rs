//! A record: the bytes of one line, an index of its top-level members, and a short list of edits.
//!
//! The line is never copied into a tree. One validating pass makes the index ([`index`]); processors look members up
//! and edit them; [`Record::render`] copies the untouched spans and splices the edits in. A member that nobody edits
//! leaves as it came, byte for byte: its digits, escapes, white space and order. A processor that edits inside a
//! member has that member alone rewritten ([`edit`]).
//!
//! A [`Space`] lends its buffers to one record after the other, so that the steady state allocates nothing.

pub mod canonical;
mod edit;
mod found;
mod gaps;
mod gather;
mod head;
mod index;
mod indexed;
pub mod json;
mod keep;
mod key_values;
mod known;
mod leaves;
mod members;
mod notation;
mod path;
mod render;
mod shelf;
mod space;
mod wildcards;

pub use edit::Change;
pub use index::NESTING_DEPTH_MAX;
pub use indexed::IndexedPath;
pub use notation::PathError;
pub use path::{Path, PathRef, Room, covers};
pub use shelf::{Kept, Shelf};
pub use space::Space;
pub use wildcards::PathPattern;

use std::borrow::Cow;

use crate::flow::reject::Reject;
use crate::kql::{Fields, Value};
use edit::{Edit, RepeatedName};
use gather::Pieces;
use head::Head;
use key_values::Lists;
use members::{Member, Span, State};
use path::Reach;
use space::Edits;
use wildcards::Rest;

/// Where what a path means stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    /// It is members of the top level.
    Top,
    /// Some of it is inside of a member.
    Nested,
}

/// One line, proven to be one JSON object, with its edits.
#[derive(Debug)]
pub struct Record<'l> {
    line: &'l str,
    space: &'l mut Space,
}

impl<'l> Record<'l> {
    /// Indexes a line, which has no line end, in one validating pass.
    ///
    /// # Errors
    /// A [`Reject`] of the stage `decode` when the line is not one JSON object and nothing else, repeats a top-level
    /// name, or nests deeper than [`NESTING_DEPTH_MAX`].
    pub fn parse(line: &'l str, space: &'l mut Space) -> Result<Record<'l>, Reject> {
        space.begin();
        index::index(line, space)?;
        Ok(Record { line, space })
    }

    /// A record of members whose values `write` gives as JSON, for lines that are no JSON. [`Record::line`] is empty braces.
    pub fn of_members<'m>(
        space: &'l mut Space,
        members: impl Iterator<Item = (&'m str, &'m str)>,
        write: impl Fn(&str, &mut String),
    ) -> Record<'l> {
        space.begin();
        let record = Record { line: "{}", space };
        for (name, value) in members {
            record.space.add_named(name, |arena| write(value, arena));
        }
        record
    }

    /// Keeps the record as it is now, but for what [`Record::append`] added.
    pub fn keep(&self, on: &mut Shelf) -> Kept {
        on.keep(self.line, self.space)
    }

    /// A record that was kept, in a space that is lent to it. It can be looked at, and not be rendered.
    pub fn kept(shelf: &'l Shelf, kept: Kept, space: &'l mut Space) -> Record<'l> {
        Record { line: shelf.put_into(kept, space), space }
    }

    /// The line as it was read.
    pub fn line(&self) -> &'l str {
        self.line
    }

    fn members(&self) -> impl Iterator<Item = &Member> {
        self.space.members.iter().filter(|member| member.state != State::Removed)
    }

    /// The members that something at a path may be part of, or that may be part of it; most others are not among them.
    fn members_near(&self, head: Head) -> impl Iterator<Item = &Member> {
        self.space.members.of_head(head).filter(|member| member.state != State::Removed)
    }

    fn name(&self, member: &Member) -> &str {
        self.space.text(self.line, member.name)
    }

    fn value(&self, member: &Member) -> &str {
        self.space.text(self.line, member.value)
    }

    /// The names of the top-level members, unescaped.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members().map(|member| self.name(member))
    }

    /// The top-level members in their order, name unescaped and value as JSON text; what [`Record::append`] wrote is not
    /// among them.
    pub fn name_values(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members().map(|member| (self.name(member), self.value(member)))
    }

    /// Whether the name of a top-level member is a path or reaches below it.
    pub fn has_members<'p>(&self, path: impl Into<PathRef<'p>>) -> bool {
        let PathRef { text: path, head } = path.into();
        self.members_near(head).any(|member| covers(path, self.name(member)))
    }

    /// The raw value at a path: of all its spellings the one that stands first in the record.
    pub fn first<'p>(&self, path: impl Into<PathRef<'p>>) -> Option<&str> {
        let PathRef { text: path, head } = path.into();
        for member in self.members_near(head) {
            match path::below(path, self.name(member)) {
                None => {}
                Some("") => return Some(self.value(member)),
                Some(rest) => {
                    let value = self.value(member);
                    let mut found = None;
                    path::any_inside(value, rest, &mut |raw| {
                        found = Some((raw.as_ptr() as usize - value.as_ptr() as usize, raw.len()));
                        true
                    });
                    if let Some((start, length)) = found {
                        return Some(&value[start..start + length]);
                    }
                }
            }
        }
        None
    }

    /// All that stands at a path and below it, as one value: as written where it stands once, else put together (see
    /// [`gather`]).
    pub fn whole<'p>(&self, path: impl Into<PathRef<'p>>) -> Option<Cow<'_, str>> {
        let PathRef { text: path, head } = path.into();
        let mut near = self.members_near(head);
        let first = near.next()?;
        // Most often it is one member of this name.
        if near.next().is_none() && self.name(first) == path {
            return Some(Cow::Borrowed(self.value(first)));
        }
        let mut pieces = Pieces::default();
        for member in self.members_near(head) {
            pieces.add_member(self.name(member), self.value(member), path);
        }
        pieces.value()
    }

    /// What stands at an indexed path, as one value; `null` is nothing.
    pub fn at(&self, path: &IndexedPath) -> Option<Cow<'_, str>> {
        path.inside(self.whole(path.first())?)
    }

    /// The raw value of a top-level member of this name, if it is a text.
    pub fn text_of<'p>(&self, name: impl Into<PathRef<'p>>) -> Option<&str> {
        let PathRef { text: name, head } = name.into();
        let mut texts = self.members_near(head).filter(|member| self.value(member).starts_with('"'));
        texts.find(|member| self.name(member) == name).map(|member| self.value(member))
    }

    /// Calls `visit` with the raw text of each value at a path, in any spelling, until it returns true.
    pub fn any<'p>(&self, path: impl Into<PathRef<'p>>, visit: &mut dyn FnMut(&str) -> bool) -> bool {
        let PathRef { text: path, head } = path.into();
        self.members_near(head).any(|member| match path::below(path, self.name(member)) {
            None => false,
            Some("") => visit(self.value(member)),
            Some(rest) => path::any_inside(self.value(member), rest, visit),
        })
    }

    /// Whether a member can be added at a path.
    pub fn room<'p>(&self, path: impl Into<PathRef<'p>>) -> Room {
        let PathRef { text: path, head } = path.into();
        let members = self.members_near(head);
        path::tightest(members.filter_map(|member| path::room_of_member(self.name(member), self.value(member), path)))
    }

    /// Adds a dotted member at the end where there is room for it, and says whether there was. `write` writes the raw
    /// value.
    pub fn add(&mut self, path: &Path, write: impl FnOnce(&mut String)) -> Room {
        let room = self.room(path);
        if room == Room::Free {
            self.space.add(path, write);
        }
        room
    }

    /// Writes whole members, as JSON text with commas between them, to come after all others. The caller knows that
    /// there is room for them; processors do not see them.
    pub fn append(&mut self, write: impl FnOnce(&mut String)) {
        if !self.space.appendix.is_empty() {
            self.space.appendix.push(',');
        }
        write(&mut self.space.appendix);
    }

    /// Sets the value at a path: in place of what is there in any spelling, and below; else as a dotted member at the end if
    /// there is room.
    ///
    /// # Errors
    /// A [`Reject`] when a member that must be rewritten repeats a name inside.
    pub fn set(&mut self, path: &Path, raw: &str) -> Result<Room, Reject> {
        self.set_by(path, |out| out.push_str(raw))
    }

    /// The same with a value that `write` writes.
    ///
    /// # Errors
    /// A [`Reject`] when a member that must be rewritten repeats a name inside.
    pub fn set_by(&mut self, path: &Path, write: impl FnOnce(&mut String)) -> Result<Room, Reject> {
        match self.room(path) {
            Room::Free => self.space.add(path, write),
            Room::Taken => {
                let mut raw = String::new();
                write(&mut raw);
                self.edit(path, Change::Replace(&raw))?;
            }
            Room::Blocked => return Ok(Room::Blocked),
        }
        Ok(Room::Free)
    }

    /// Replaces what stands at a path, in every spelling of it and below, by `raw`. Returns how many values there were.
    ///
    /// # Errors
    /// A [`Reject`] when a member that must be rewritten repeats a name inside.
    pub fn replace(&mut self, path: &Path, raw: &str) -> Result<usize, Reject> {
        self.edit(path, Change::Replace(raw))
    }

    /// Replaces each value at a path, in every spelling of it, by what `write` makes of its raw text; where that is nothing, it
    /// stays. What stands below the path stays, too.
    ///
    /// # Errors
    /// A [`Reject`] when a member that must be rewritten repeats a name inside.
    pub fn replace_each(&mut self, path: &Path, write: &dyn Fn(&str) -> Option<String>) -> Result<usize, Reject> {
        self.edit(path, Change::Each(write))
    }

    /// Removes every spelling of a path, and everything below it. Returns how many values there were.
    ///
    /// # Errors
    /// A [`Reject`] when a member that must be rewritten repeats a name inside.
    pub fn remove(&mut self, path: &Path) -> Result<usize, Reject> {
        self.edit(path, Change::Remove)
    }

    /// Renames what stands at a path, and below it: members of the top level in their places, what is nested by moving it to
    /// the end, as one value. An existing target is replaced. Returns whether there was something to rename.
    ///
    /// # Errors
    /// A [`Reject`] when a member that must be rewritten repeats a name inside; the record is then as it was.
    pub fn rename(&mut self, from: &Path, to: &Path) -> Result<bool, Reject> {
        let Some(depth) = self.depth(from) else { return Ok(false) };
        if from == to {
            return Ok(true);
        }
        match depth {
            Depth::Top if !self.has_above(to) => {
                self.edit_but(to, Change::Remove, Some(from))?;
            }
            Depth::Top => self.all_or_nothing(|record| record.edit_but(to, Change::Remove, Some(from)).map(|_| ()))?,
            Depth::Nested => {
                let value = self.whole(from).unwrap_or_default().into_owned();
                self.all_or_nothing(|record| {
                    record.remove(from)?;
                    record.remove(to).map(|_| ())
                })?;
                self.space.add(to, |arena| arena.push_str(&value));
                return Ok(true);
            }
        }
        self.rename_members(from.as_str(), to.as_str());
        Ok(true)
    }

    /// Where what stands at a path stands; `None` when nothing does.
    fn depth(&self, path: &Path) -> Option<Depth> {
        let PathRef { text: path, head } = path.into();
        let mut depth = None;
        for member in self.members_near(head) {
            match path::reach(path, self.name(member)) {
                Some(Reach::At | Reach::Below(_)) => depth = depth.or(Some(Depth::Top)),
                Some(Reach::Above(rest)) if path::room_inside(self.value(member), rest) == Room::Taken => {
                    return Some(Depth::Nested);
                }
                Some(Reach::Above(_)) | None => {}
            }
        }
        depth
    }

    /// Whether a path leads into a member of the top level.
    fn has_above(&self, path: &Path) -> bool {
        let PathRef { text: path, head } = path.into();
        self.members_near(head).any(|member| matches!(path::reach(path, self.name(member)), Some(Reach::Above(_))))
    }

    /// Does something that may fail half-way; the members are then as they were. A record that is turned away is kept.
    fn all_or_nothing(&mut self, work: impl FnOnce(&mut Self) -> Result<(), Reject>) -> Result<(), Reject> {
        let Space { members, before, .. } = &mut *self.space;
        before.clone_from(members);
        let done = work(self);
        if done.is_err() {
            let Space { members, before, .. } = &mut *self.space;
            std::mem::swap(members, before);
        }
        done
    }

    /// Gives the members of the top level that a path means their new names.
    fn rename_members(&mut self, from: &str, to: &str) {
        for position in 0..self.space.members.len() {
            let member = self.space.members[position];
            if member.state == State::Removed {
                continue;
            }
            let name = match path::reach(from, self.name(&member)) {
                Some(Reach::At) => Cow::Borrowed(to),
                Some(Reach::Below(beyond)) => Cow::Owned(format!("{to}.{beyond}")),
                Some(Reach::Above(_)) | None => continue,
            };
            self.space.rename(position, &name);
        }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.space.members.iter().position(|member| member.state != State::Removed && self.name(member) == name)
    }

    /// Changes what stands at the paths that are meant, in every spelling, in lists of keys and values too (see
    /// [`key_values`]), and everything below. Returns how many values there were.
    ///
    /// # Errors
    /// A [`Reject`] when a member that must be rewritten repeats a name inside.
    pub fn change(&mut self, what: &PathPattern, change: Change<'_>) -> Result<usize, Reject> {
        self.edit_others(what.rest(), what.head(), (change, Lists::ByKey), None)
            .map_err(|_| edit::repeated_name(what.as_str()))
    }

    fn edit(&mut self, path: &Path, change: Change<'_>) -> Result<usize, Reject> {
        self.edit_but(path, change, None)
    }

    /// The same, but for the members that `spared` means.
    fn edit_but(&mut self, path: &Path, change: Change<'_>, spared: Option<&Path>) -> Result<usize, Reject> {
        let (rest, head) = (Rest::Path(path.as_str()), Some(path.head()));
        self.edit_others(rest, head, (change, Lists::AsTheyStand), spared)
            .map_err(|_| edit::repeated_name(path.as_str()))
    }

    /// All that has to do with it has this head, if there is one.
    fn edit_others(
        &mut self,
        all: Rest<'_>,
        head: Option<Head>,
        (change, lists): (Change<'_>, Lists),
        spared: Option<&Path>,
    ) -> Result<usize, RepeatedName> {
        if head.is_some_and(|head| !self.space.members.may_have(head)) {
            return Ok(0);
        }
        let (mut count, edit) = (0, Edit { change, lists });
        for position in 0..self.space.members.len() {
            let member = self.space.members[position];
            if member.state == State::Removed || head.is_some_and(|head| head != self.space.members.heads()[position]) {
                continue;
            }
            let name = self.name(&member);
            let Some(reach) = all.reach(name) else { continue };
            if spared.is_some_and(|spared| covers(spared.as_str(), name)) {
                continue;
            }
            count += match reach {
                Reach::Above(rest) => self.edit_inside(position, rest, edit)?,
                Reach::At => self.edit_member(position, edit.change),
                Reach::Below(beyond) => {
                    let path = path::without(name, beyond).to_owned();
                    self.edit_below(position, &path, edit.change)
                }
            };
        }
        Ok(count)
    }

    /// A member whose name reaches below the path: the first one that is replaced takes the path's own name, unless there is
    /// such a one, and the others go.
    fn edit_below(&mut self, position: usize, path: &str, change: Change<'_>) -> usize {
        if matches!(change, Change::Each(_)) {
            return 0;
        }
        if matches!(change, Change::Remove) || self.position(path).is_some() {
            return self.edit_member(position, Change::Remove);
        }
        let new = match change {
            Change::Replace(new) => Cow::Borrowed(new),
            _ => change.of(&self.whole(path).unwrap_or_default()).unwrap_or_default(),
        };
        self.space.rename(position, path);
        self.edit_member(position, Change::Replace(&new))
    }

    fn edit_member(&mut self, position: usize, change: Change<'_>) -> usize {
        match change {
            Change::Remove => self.space.members[position].state = State::Removed,
            Change::Replace(raw) => {
                let value = self.space.keep(raw);
                self.revalue(position, value);
            }
            Change::Rewrite(_) | Change::Each(_) => {
                let new = change.of(self.value(&self.space.members[position])).map(Cow::into_owned);
                let Some(new) = new else { return 0 };
                let value = self.space.keep(&new);
                self.revalue(position, value);
            }
        }
        self.space.edits = Edits::Spliced;
        1
    }

    fn edit_inside(&mut self, position: usize, rest: Rest<'_>, edit: Edit<'_>) -> Result<usize, RepeatedName> {
        let mut rewritten = String::new();
        let count = edit::rewrite(self.value(&self.space.members[position]), rest, edit, &mut rewritten)?;
        if count > 0 {
            let value = self.space.keep(&rewritten);
            self.revalue(position, value);
            self.space.edits = Edits::Spliced;
        }
        Ok(count)
    }

    fn revalue(&mut self, position: usize, value: Span) {
        let member = &mut self.space.members[position];
        member.value = value;
        if member.state == State::Kept {
            member.state = State::Revalued;
        }
    }
}

impl Fields for Record<'_> {
    fn any(&self, field: &str, visit: &mut dyn FnMut(Value<'_>) -> bool) -> bool {
        Record::any(self, field, &mut |raw| json::any_value(raw, visit))
    }

    fn has_below(&self, field: &str) -> bool {
        self.members_near(Head::of(field)).any(|member| path::has_below(self.name(member), self.value(member), field))
    }

    fn any_leaf(&self, visit: &mut dyn FnMut(&str, Value<'_>) -> bool) -> bool {
        let mut path = String::new();
        self.members().any(|member| {
            path.clear();
            path.push_str(self.name(member));
            any_leaf(self.value(member), &mut path, visit)
        })
    }
}

fn any_leaf(raw: &str, path: &mut String, visit: &mut dyn FnMut(&str, Value<'_>) -> bool) -> bool {
    match raw.as_bytes().first() {
        Some(b'{') => sonic_rs::to_object_iter(raw).flatten().any(|(name, value)| {
            let parent = path.len();
            path.push('.');
            path.push_str(&name);
            let found = any_leaf(value.as_raw_str(), path, visit);
            path.truncate(parent);
            found
        }),
        Some(b'[') => json::elements(raw).any(|element| any_leaf(element.as_raw_str(), path, visit)),
        _ => visit(path, json::value(raw)),
    }
}

#[cfg(test)]
mod tests;
