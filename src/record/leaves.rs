//! Leaves: edits of the single values in a record. Each text, number, boolean or `null` is given away as raw JSON, and
//! replaced where something else comes back; names of members are not among them.

use std::ops::Range;

use super::key_values::Lists;
use super::members::State;
use super::path::{Path, Reach};
use super::space::Edits;
use super::wildcards::{PathPattern, Rest};
use super::{Record, json};

/// What becomes of a raw value; `None` leaves it as written.
type Rewrite<'f> = dyn FnMut(&str) -> Option<String> + 'f;

impl Record<'_> {
    /// Rewrites single values: all of them, or those at a path, in every spelling of it, and below. Returns how many were
    /// changed. Nothing is allocated for a member in which none is.
    pub fn rewrite_leaves(&mut self, path: Option<&Path>, rewrite: &mut Rewrite<'_>) -> usize {
        self.rewrite_rest(path.map(|path| Rest::Path(path.as_str())), Lists::AsTheyStand, rewrite)
    }

    /// The same at the paths that a pattern means, in lists of keys and values too.
    pub fn rewrite_leaves_of(&mut self, pattern: &PathPattern, rewrite: &mut Rewrite<'_>) -> usize {
        self.rewrite_rest(Some(pattern.rest()), Lists::ByKey, rewrite)
    }

    fn rewrite_rest(&mut self, all: Option<Rest<'_>>, lists: Lists, rewrite: &mut Rewrite<'_>) -> usize {
        let mut count = 0;
        for position in 0..self.space.members.len() {
            let member = self.space.members[position];
            if member.state == State::Removed {
                continue;
            }
            let inside = match all.map(|all| all.reach(self.name(&member))) {
                None | Some(Some(Reach::At | Reach::Below(_))) => None,
                Some(Some(Reach::Above(rest))) => Some(rest),
                Some(None) => continue,
            };
            let raw = self.value(&member);
            let mut changes = Changes { raw, lists, rewrite, found: Vec::new() };
            changes.visit(raw, inside);
            if changes.found.is_empty() {
                continue;
            }
            count += changes.found.len();
            let rewritten = changes.applied();
            let value = self.space.keep(&rewritten);
            self.revalue(position, value);
            self.space.edits = Edits::Spliced;
        }
        count
    }
}

/// The values of a member that change, by where they stand in it, in their order.
struct Changes<'r, 'f, 'g> {
    raw: &'r str,
    lists: Lists,
    rewrite: &'f mut Rewrite<'g>,
    found: Vec<(Range<usize>, String)>,
}

impl Changes<'_, '_, '_> {
    /// Visits the values of a part of the member: those at a path inside of it, or all.
    fn visit(&mut self, raw: &str, inside: Option<Rest<'_>>) {
        let raw = if inside.is_some() { self.lists.unwrapped(raw) } else { raw };
        match raw.as_bytes().first() {
            Some(b'{') => {
                for (name, value) in sonic_rs::to_object_iter(raw).flatten() {
                    let value = json::place(raw, value.as_raw_str());
                    match inside.map(|path| path.reach(&name)) {
                        None | Some(Some(Reach::At | Reach::Below(_))) => self.visit(value, None),
                        Some(Some(Reach::Above(rest))) => self.visit(value, Some(rest)),
                        Some(None) => {}
                    }
                }
            }
            Some(b'[') => {
                for element in json::elements(raw) {
                    let element = json::place(raw, element.as_raw_str());
                    let pair = inside.and(self.lists.key_value(element));
                    match pair.as_ref().and_then(|pair| Some((inside?.reach(&pair.key)?, pair.value))) {
                        None => self.visit(element, inside),
                        Some((Reach::Above(rest), value)) => self.visit(value, Some(rest)),
                        Some((Reach::At | Reach::Below(_), value)) => self.visit(value, None),
                    }
                }
            }
            Some(_) if inside.is_none() => {
                if let Some(new) = (self.rewrite)(raw) {
                    let start = raw.as_ptr() as usize - self.raw.as_ptr() as usize;
                    self.found.push((start..start + raw.len(), new));
                }
            }
            _ => {}
        }
    }

    /// The member with its changes.
    fn applied(&self) -> String {
        let mut out = String::with_capacity(self.raw.len());
        let mut copied = 0;
        for (place, new) in &self.found {
            out.push_str(&self.raw[copied..place.start]);
            out.push_str(new);
            copied = place.end;
        }
        out.push_str(&self.raw[copied..]);
        out
    }
}

#[cfg(test)]
mod tests {
    use crate::record::{Path, Record, Space};

    #[test]
    fn single_values_are_rewritten_where_they_stand() {
        let line = r#"{"a":{"b": [1, "x", {"c":true}] ,"d":null},"a.b":2,"e":"x","f":{}}"#;
        for (path, expected) in [
            (None, r#"{"a":{"b": [<1>, <"x">, {"c":<true>}] ,"d":<null>},"a.b":<2>,"e":<"x">,"f":{}}"#),
            (Some("a.b"), r#"{"a":{"b": [<1>, <"x">, {"c":<true>}] ,"d":null},"a.b":<2>,"e":"x","f":{}}"#),
            (Some("a.b.c"), r#"{"a":{"b": [1, "x", {"c":<true>}] ,"d":null},"a.b":2,"e":"x","f":{}}"#),
            (Some("e"), r#"{"a":{"b": [1, "x", {"c":true}] ,"d":null},"a.b":2,"e":<"x">,"f":{}}"#),
            (Some("f"), line),
            (Some("g"), line),
        ] {
            let mut space = Space::default();
            let mut record = Record::parse(line, &mut space).unwrap();
            let path = path.map(|path| Path::new(path).unwrap());
            let count = record.rewrite_leaves(path.as_ref(), &mut |raw| Some(format!("<{raw}>")));
            let mut out = Vec::new();
            record.render(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{path:?}");
            assert_eq!(count, expected.matches('<').count(), "{path:?}");
        }
    }
}
