//! Edits inside a member: the member alone is rewritten, everything else in it stays as written.

use std::borrow::Cow;
use std::fmt;

use super::gather::whole_inside;
use super::json;
use super::key_values::{self, Lists};
use super::path::{self, Reach};
use super::wildcards::Rest;
use crate::flow::reject::{Reject, Stage};

/// What is done to each value at a path, and to everything below it.
#[derive(Clone, Copy)]
pub enum Change<'c> {
    /// It is taken away.
    Remove,
    /// By this raw value. Members below the path, such as `"user.email.work"` of `user.email`, become one member that is
    /// called as the path says, so that nothing is left of their names either.
    Replace(&'c str),
    /// By what comes back for the raw value; members below the path are one value.
    Rewrite(&'c dyn Fn(&str) -> String),
    /// By what comes back for the raw value; where that is nothing, it stays, and so does what is below the path.
    Each(&'c dyn Fn(&str) -> Option<String>),
}

impl fmt::Debug for Change<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Change::Remove => "Remove",
            Change::Replace(_) => "Replace",
            Change::Rewrite(_) => "Rewrite",
            Change::Each(_) => "Each",
        })
    }
}

impl<'c> Change<'c> {
    /// What stands in place of a value; `None` where it goes, or stays.
    pub(super) fn of(self, raw: &str) -> Option<Cow<'c, str>> {
        match self {
            Change::Remove => None,
            Change::Replace(new) => Some(Cow::Borrowed(new)),
            Change::Rewrite(rewrite) => Some(Cow::Owned(rewrite(raw))),
            Change::Each(rewrite) => rewrite(raw).map(Cow::Owned),
        }
    }
}

/// A change, and where it is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edit<'e> {
    pub(super) change: Change<'e>,
    pub(super) lists: Lists,
}

/// An object repeats a name, so that an edit could miss one of the two.
#[derive(Clone, Copy, Debug)]
pub(super) struct RepeatedName;

/// Writes `raw` to `out` with the edit done at what is left of a path inside it and below. Returns how many values were
/// edited; when none was, `out` is of no use.
pub(super) fn rewrite(raw: &str, rest: Rest<'_>, edit: Edit<'_>, out: &mut String) -> Result<usize, RepeatedName> {
    let inside = edit.lists.unwrapped(raw);
    if inside.len() != raw.len() {
        return rewrite_part(raw, inside, rest, edit, out);
    }
    match raw.as_bytes().first() {
        Some(b'{') => rewrite_object(raw, rest, edit, out),
        Some(b'[') => rewrite_array(raw, rest, edit, out),
        _ => {
            out.push_str(raw);
            Ok(0)
        }
    }
}

/// The same, of a part of it.
fn rewrite_part(
    raw: &str,
    part: &str,
    rest: Rest<'_>,
    edit: Edit<'_>,
    out: &mut String,
) -> Result<usize, RepeatedName> {
    let start = part.as_ptr() as usize - raw.as_ptr() as usize;
    out.push_str(&raw[..start]);
    let count = rewrite(part, rest, edit, out);
    out.push_str(&raw[start + part.len()..]);
    count
}

fn rewrite_object(raw: &str, rest: Rest<'_>, edit: Edit<'_>, out: &mut String) -> Result<usize, RepeatedName> {
    let members: Vec<(Cow<'_, str>, &str)> = sonic_rs::to_object_iter(raw)
        .flatten()
        .map(|(name, value)| (name, json::place(raw, value.as_raw_str())))
        .collect();
    let mut rewriting = Rewriting::new(raw, out);
    let mut edited = 0;
    // What members below the path are called by now.
    let mut stands: Vec<&str> = Vec::new();
    for (name, value) in &members {
        let Some(reach) = rest.reach(name) else {
            rewriting.keep(value, |out| out.push_str(value));
            continue;
        };
        let mut count = Ok(1);
        match (reach, edit.change) {
            (Reach::Above(rest), _) => rewriting.keep(value, |out| count = rewrite(value, rest, edit, out)),
            (_, Change::Remove) => rewriting.leave_out(value),
            (Reach::At, change) => {
                let new = change.of(value);
                count = Ok(usize::from(new.is_some()));
                rewriting.keep(value, |out| out.push_str(new.as_deref().unwrap_or(value)));
            }
            (Reach::Below(_), Change::Each(_)) => {
                count = Ok(0);
                rewriting.keep(value, |out| out.push_str(value));
            }
            (Reach::Below(beyond), change) => {
                let path = path::without(name, beyond);
                if is_named(&members, path) || stands.contains(&path) {
                    rewriting.leave_out(value);
                } else {
                    stands.push(path);
                    let whole = whole_inside(raw, path).unwrap_or_default();
                    rewriting.rename(value, path, &change.of(&whole).unwrap_or_default());
                }
            }
        }
        edited += count?;
    }
    rewriting.finish();
    if edited > 0 && repeats_a_name(&members) {
        return Err(RepeatedName);
    }
    Ok(edited)
}

fn is_named(members: &[(Cow<'_, str>, &str)], path: &str) -> bool {
    members.iter().any(|(name, _)| name == path)
}

/// An object that is being written anew, member by member, or an array, element by element.
pub(super) struct Rewriting<'r, 'o> {
    raw: &'r str,
    out: &'o mut String,
    /// How far `raw` is dealt with.
    copied: usize,
    /// No member was written yet.
    first: bool,
    /// The member before it was left out, and with it what the comma before this one parted.
    comma_too_many: bool,
}

impl<'r, 'o> Rewriting<'r, 'o> {
    pub(super) fn new(raw: &'r str, out: &'o mut String) -> Rewriting<'r, 'o> {
        out.push_str(&raw[..1]);
        Rewriting { raw, out, copied: 1, first: true, comma_too_many: false }
    }

    /// Writes a member under its name.
    pub(super) fn keep(&mut self, value: &'r str, write: impl FnOnce(&mut String)) {
        let lead = self.lead(value);
        self.out.push_str(lead);
        self.done(value, write);
    }

    /// Writes a member under another name, with another value.
    fn rename(&mut self, value: &'r str, name: &str, new: &str) {
        let lead = self.lead(value);
        self.out.push_str(&lead[..lead.find('"').unwrap_or(0)]);
        json::write_string(name, self.out);
        self.out.push(':');
        self.done(value, |out| out.push_str(new));
    }

    pub(super) fn leave_out(&mut self, value: &'r str) {
        self.copied = self.end(value);
        self.comma_too_many = self.first;
    }

    /// What stands between a member's value and the member before it: a comma, white space, the name and its colon.
    fn lead(&self, value: &'r str) -> &'r str {
        let lead = &self.raw[self.copied..self.end(value) - value.len()];
        if self.comma_too_many { lead.trim_start_matches([',', ' ', '\t', '\r', '\n']) } else { lead }
    }

    fn done(&mut self, value: &'r str, write: impl FnOnce(&mut String)) {
        (self.first, self.comma_too_many) = (false, false);
        write(self.out);
        self.copied = self.end(value);
    }

    fn end(&self, value: &str) -> usize {
        value.as_ptr() as usize - self.raw.as_ptr() as usize + value.len()
    }

    pub(super) fn finish(self) {
        // What is left of nothing but members that are gone has no white space either.
        let is_emptied = self.first && self.copied > 1;
        self.out.push_str(&self.raw[if is_emptied { self.raw.len() - 1 } else { self.copied }..]);
    }
}

fn rewrite_array(raw: &str, rest: Rest<'_>, edit: Edit<'_>, out: &mut String) -> Result<usize, RepeatedName> {
    let mut rewriting = Rewriting::new(raw, out);
    let mut edited = 0;
    for element in json::elements(raw) {
        let element = json::place(raw, element.as_raw_str());
        let pair = edit.lists.key_value(element);
        let by_key = pair.as_ref().and_then(|pair| Some((rest.reach(&pair.key)?, pair.value)));
        let mut count = Ok(1);
        match (by_key, edit.change) {
            (None, _) => rewriting.keep(element, |out| count = rewrite(element, rest, edit, out)),
            (Some((Reach::Above(rest), value)), _) => {
                rewriting.keep(element, |out| count = rewrite_part(element, value, rest, edit, out));
            }
            (Some(_), Change::Remove) => rewriting.leave_out(element),
            (Some((_, value)), change) => rewriting.keep(element, |out| {
                let mut new = String::new();
                key_values::write_in_place(value, |raw| change.of(raw).unwrap_or_default().into_owned(), &mut new);
                out.push_str(&path::with_part(element, value, &new));
            }),
        }
        edited += count?;
    }
    rewriting.finish();
    Ok(edited)
}

fn repeats_a_name(members: &[(Cow<'_, str>, &str)]) -> bool {
    let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_ref()).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}

/// Of a member that must be rewritten.
pub(super) fn repeated_name(path: &str) -> Reject {
    let detail = format!("a member repeats a name inside, and what `{path}` names in it must be edited");
    Reject::new(Stage::Enrich, "repeated_name", detail)
}
