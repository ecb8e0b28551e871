//! Keeping: a record without whatever is not named.
//!
//! The opposite of removing: a member stays if it is at one of some paths or below one, in any spelling; of what a path
//! leads into, only that stays. An object or array of which nothing stays goes as well, and so does a value that stands
//! where only something below it was named.

use super::edit::Rewriting;
use super::json;
use super::key_values::{KeyValue, Lists};
use super::members::State;
use super::path::{self, Reach};
use super::space::Edits;
use super::wildcards::{PathPattern, Rest};
use super::{Record, covers};

/// What becomes of a member.
enum Fate<'p> {
    Stays,
    Goes,
    /// What is left of the paths, inside of it.
    Inside(Vec<Rest<'p>>),
}

impl Record<'_> {
    /// Removes everything but what is at some paths and below them. Members of the top level that are called as `own` says,
    /// or below that, stay too. Returns how many members of the top level were changed or removed.
    pub fn keep_only(&mut self, kept: &[PathPattern], own: &[&str]) -> usize {
        let all: Vec<Rest<'_>> = kept.iter().map(PathPattern::rest).collect();
        let mut count = 0;
        for position in 0..self.space.members.len() {
            let member = self.space.members[position];
            let name = self.name(&member);
            if member.state == State::Removed || own.iter().any(|own| covers(own, name)) {
                continue;
            }
            let inside = match fate(name, &all) {
                Fate::Stays => continue,
                Fate::Goes => None,
                Fate::Inside(rests) => trimmed(self.value(&member), &rests),
            };
            match inside {
                Some(inside) if inside == self.value(&member) => continue,
                Some(inside) => {
                    let value = self.space.keep(&inside);
                    self.revalue(position, value);
                }
                None => self.space.members[position].state = State::Removed,
            }
            self.space.edits = Edits::Spliced;
            count += 1;
        }
        count
    }
}

fn fate<'p>(name: &str, rests: &[Rest<'p>]) -> Fate<'p> {
    let mut inside = Vec::new();
    for rest in rests {
        match rest.reach(name) {
            Some(Reach::At | Reach::Below(_)) => return Fate::Stays,
            Some(Reach::Above(rest)) => inside.push(rest),
            None => {}
        }
    }
    if inside.is_empty() { Fate::Goes } else { Fate::Inside(inside) }
}

/// What stays of a value; `None` when nothing does.
fn trimmed(raw: &str, rests: &[Rest<'_>]) -> Option<String> {
    let inside = Lists::ByKey.unwrapped(raw);
    if inside.len() != raw.len() {
        return trimmed(inside, rests).map(|trimmed| path::with_part(raw, inside, &trimmed));
    }
    let mut out = String::with_capacity(raw.len());
    let mut rewriting = Rewriting::new(raw, &mut out);
    let mut stays = false;
    let mut take = |value: &str, kept: Option<&str>| match kept {
        Some(kept) => {
            stays = true;
            rewriting.keep(json::place(raw, value), |out| out.push_str(kept));
        }
        None => rewriting.leave_out(json::place(raw, value)),
    };
    match raw.as_bytes().first() {
        Some(b'{') => {
            for (name, value) in sonic_rs::to_object_iter(raw).flatten() {
                let value = value.as_raw_str();
                take(value, trimmed_member(&name, value, rests).as_deref());
            }
        }
        Some(b'[') => {
            for element in json::elements(raw) {
                let element = element.as_raw_str();
                let by_key = Lists::ByKey.key_value(element).and_then(|KeyValue { key, value }| {
                    trimmed_member(&key, value, rests).map(|trimmed| path::with_part(element, value, &trimmed))
                });
                take(element, by_key.or_else(|| trimmed(element, rests)).as_deref());
            }
        }
        _ => {}
    }
    rewriting.finish();
    stays.then_some(out)
}

fn trimmed_member(name: &str, value: &str, rests: &[Rest<'_>]) -> Option<String> {
    match fate(name, rests) {
        Fate::Stays => Some(value.to_owned()),
        Fate::Goes => None,
        Fate::Inside(rests) => trimmed(value, &rests),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Space;

    #[test]
    fn only_what_is_named_stays() {
        for (line, kept, expected) in [
            (r#"{"a":1,"b":2,"c":3}"#, vec!["b"], r#"{"b":2}"#),
            (
                r#"{"u":{"id":1,"mail":"x"},"v":[{"id":2},{"mail":"x"}]}"#,
                vec!["u.id", "v.id"],
                r#"{"u":{"id":1},"v":[{"id":2}]}"#,
            ),
            (r#"{"u.id":1,"u.mail":2,"u":{"id.x":3,"y":4}}"#, vec!["u.id"], r#"{"u.id":1,"u":{"id.x":3}}"#),
            (r#"{"u":"jo","v":["jo"],"w":{"mail":1},"x":{}}"#, vec!["u.id", "v.id", "w.id", "x.id"], "{}"),
            (r#"{ "u" : { "a" : 1 , "id" : 2 } , "b" : 3 }"#, vec!["u.id"], r#"{ "u" : {"id" : 2 } }"#),
            (r#"{"f":{"x_1":1,"y":2},"g":1}"#, vec!["f.x_*"], r#"{"f":{"x_1":1}}"#),
            (r#"{"a":{"p":1,"b":{"p":2,"q":3}},"p":4}"#, vec!["**.p"], r#"{"a":{"p":1,"b":{"p":2}},"p":4}"#),
            (
                r#"{"attributes":[{"key":"a.b","value":{"intValue":"1"}},{"key":"mail","value":{"stringValue":"x"}}]}"#,
                vec!["attributes.a.b"],
                r#"{"attributes":[{"key":"a.b","value":{"intValue":"1"}}]}"#,
            ),
            (
                r#"{"body":{"kvlistValue":{"values":[{"key":"a","value":1},{"key":"b","value":2}]}}}"#,
                vec!["body.b"],
                r#"{"body":{"kvlistValue":{"values":[{"key":"b","value":2}]}}}"#,
            ),
            (
                r#"{"@timestamp":1,"inferlog.notes":2,"inferlogs":3}"#,
                vec!["x"],
                r#"{"@timestamp":1,"inferlog.notes":2}"#,
            ),
            (r#"{"a":1,"b":{"c":[ ]}}"#, vec!["a", "b"], r#"{"a":1,"b":{"c":[ ]}}"#),
        ] {
            let kept: Vec<PathPattern> = kept.iter().map(|path| PathPattern::read(path).unwrap()).collect();
            let mut space = Space::default();
            let mut record = Record::parse(line, &mut space).unwrap();
            let count = record.keep_only(&kept, &["@timestamp", "inferlog"]);
            let mut out = Vec::new();
            record.render(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{line}");
            assert_eq!(count == 0, line == expected, "{line}");
        }
    }
}
