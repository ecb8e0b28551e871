//! Edits inside a member: the member alone is rewritten, everything else in it stays as written.

use std::borrow::Cow;

use super::json;
use super::path::{self, Path, Reach};
use crate::flow::reject::{Reject, Stage};

/// What is done to each value at a path, and to everything below it.
#[derive(Clone, Copy)]
pub(super) enum Edit<'e> {
    Remove,
    /// By this raw value. Members below the path, such as `"user.email.work"` of `user.email`, become one member that is
    /// called as the path says, so that nothing is left of their names either.
    Replace(&'e str),
    /// By what is made of its raw text; where that is nothing, it stays, and so does what is below the path.
    Each(&'e dyn Fn(&str) -> Option<String>),
}

/// An object repeats a name, so that an edit could miss one of the two.
#[derive(Clone, Copy, Debug)]
pub(super) struct RepeatedName;

/// Writes `raw` to `out` with the edit done at `path` inside it and below. Returns how many values were edited; when none was,
/// `out` is of no use.
pub(super) fn rewrite(raw: &str, path: &str, edit: Edit<'_>, out: &mut String) -> Result<usize, RepeatedName> {
    match raw.as_bytes().first() {
        Some(b'{') => rewrite_object(raw, path, edit, out),
        Some(b'[') => rewrite_array(raw, path, edit, out),
        _ => {
            out.push_str(raw);
            Ok(0)
        }
    }
}

fn rewrite_object(raw: &str, path: &str, edit: Edit<'_>, out: &mut String) -> Result<usize, RepeatedName> {
    let members: Vec<(Cow<'_, str>, &str)> = sonic_rs::to_object_iter(raw)
        .flatten()
        .map(|(name, value)| (name, json::place(raw, value.as_raw_str())))
        .collect();
    let mut rewriting = Rewriting { raw, out, copied: 1, first: true, comma_too_many: false };
    let mut edited = 0;
    // Whether a member that is called as the path says stands already; asked for only where there is one below it.
    let mut stands = None;
    rewriting.out.push('{');
    for (name, value) in &members {
        let Some(reach) = path::reach(path, name) else {
            rewriting.keep(value, |out| out.push_str(value));
            continue;
        };
        let mut count = Ok(1);
        match (reach, edit) {
            (Reach::Above(rest), _) => rewriting.keep(value, |out| count = rewrite(value, rest, edit, out)),
            (Reach::At, Edit::Each(write)) => {
                let new = write(value);
                count = Ok(usize::from(new.is_some()));
                rewriting.keep(value, |out| out.push_str(new.as_deref().unwrap_or(value)));
            }
            (Reach::Below(_), Edit::Each(_)) => {
                count = Ok(0);
                rewriting.keep(value, |out| out.push_str(value));
            }
            (Reach::At, Edit::Replace(new)) => rewriting.keep(value, |out| out.push_str(new)),
            (Reach::Below(_), Edit::Replace(new)) if !*stands.get_or_insert_with(|| is_named(&members, path)) => {
                stands = Some(true);
                rewriting.rename(value, path, new);
            }
            (Reach::At | Reach::Below(_), _) => rewriting.leave_out(value),
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

/// An object that is being written anew, member by member.
struct Rewriting<'r, 'o> {
    raw: &'r str,
    out: &'o mut String,
    /// How far `raw` is dealt with.
    copied: usize,
    /// No member was written yet.
    first: bool,
    /// The member before it was left out, and with it what the comma before this one parted.
    comma_too_many: bool,
}

impl<'r> Rewriting<'r, '_> {
    /// Writes a member under its name.
    fn keep(&mut self, value: &'r str, write: impl FnOnce(&mut String)) {
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

    fn leave_out(&mut self, value: &'r str) {
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

    fn finish(self) {
        self.out.push_str(if self.first { "}" } else { &self.raw[self.copied..] });
    }
}

fn rewrite_array(raw: &str, path: &str, edit: Edit<'_>, out: &mut String) -> Result<usize, RepeatedName> {
    let mut edited = 0;
    let mut copied = 0;
    for element in json::elements(raw) {
        let element = json::place(raw, element.as_raw_str());
        let start = element.as_ptr() as usize - raw.as_ptr() as usize;
        out.push_str(&raw[copied..start]);
        edited += rewrite(element, path, edit, out)?;
        copied = start + element.len();
    }
    out.push_str(&raw[copied..]);
    Ok(edited)
}

fn repeats_a_name(members: &[(Cow<'_, str>, &str)]) -> bool {
    let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_ref()).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}

/// Of a member that must be rewritten.
pub(super) fn repeated_name(path: &Path) -> Reject {
    let detail = format!("a member repeats a name inside, and what `{path}` names in it must be edited");
    Reject::new(Stage::Enrich, "repeated_name", detail)
}
