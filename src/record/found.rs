//! Finding: what stands in a record of what a pattern means?

use super::json;
use super::key_values::Lists;
use super::path::{self, Path, Reach};
use super::wildcards::{PathPattern, Rest};
use super::{Record, Room};

/// Is given the path of what was found.
type Visit<'v> = dyn FnMut(&str) + 'v;

impl Record<'_> {
    /// Whether a record has something at one of the paths that are meant or below it, in lists of keys and values too.
    pub fn has(&self, pattern: &PathPattern) -> bool {
        let mut is_found = pattern.path().is_some_and(|path| self.room(path.as_str()) == Room::Taken);
        if !is_found {
            self.visit(pattern, Lists::ByKey, &mut |_| is_found = true);
        }
        is_found
    }

    /// The plain paths that a pattern means in this record, in alphabetical order: `user.*` is `user.email` and `user.name`.
    /// What stands at each is to be had by [`Record::whole`]. Lists of keys and values are not looked into.
    pub fn paths_of(&self, pattern: &PathPattern) -> Vec<Path> {
        let mut paths = Vec::new();
        self.visit(pattern, Lists::AsTheyStand, &mut |path| paths.push(Path::as_it_stands(path)));
        paths.sort_unstable();
        paths.dedup();
        paths
    }

    fn visit(&self, pattern: &PathPattern, lists: Lists, visit: &mut Visit<'_>) {
        let mut walk = Walk { path: String::new(), lists, visit };
        let mut visit = |member| walk.member(self.name(member), self.value(member), pattern.rest());
        match pattern.path() {
            Some(path) => self.members_near(path.head()).for_each(&mut visit),
            None => self.members().for_each(&mut visit),
        }
    }
}

struct Walk<'v, 'w> {
    /// Where the walk is.
    path: String,
    lists: Lists,
    visit: &'v mut Visit<'w>,
}

impl Walk<'_, '_> {
    fn member(&mut self, name: &str, raw: &str, rest: Rest<'_>) {
        let Some(reach) = rest.reach(name) else { return };
        let parent_bytes = self.path.len();
        if parent_bytes > 0 {
            self.path.push('.');
        }
        match reach {
            Reach::Above(rest) => {
                self.path.push_str(name);
                self.inside(raw, rest);
            }
            Reach::At => {
                self.path.push_str(name);
                (self.visit)(&self.path);
            }
            Reach::Below(beyond) => {
                self.path.push_str(path::without(name, beyond));
                (self.visit)(&self.path);
            }
        }
        self.path.truncate(parent_bytes);
    }

    fn inside(&mut self, raw: &str, rest: Rest<'_>) {
        let raw = self.lists.unwrapped(raw);
        match raw.as_bytes().first() {
            Some(b'{') => {
                for (name, value) in sonic_rs::to_object_iter(raw).flatten() {
                    self.member(&name, value.as_raw_str(), rest);
                }
            }
            Some(b'[') => {
                for element in json::elements(raw) {
                    let element = element.as_raw_str();
                    if let Some(pair) = self.lists.key_value(element) {
                        self.member(&pair.key, pair.value, rest);
                    }
                    self.inside(element, rest);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Space;

    #[test]
    fn what_a_pattern_means_in_a_record() {
        let line = r#"{"user":[{"email":1},{"email.work":2,"name":3}],"user.x":{"password":4},"password":5,
            "list":[{"key":"a.b","value":6}]}"#;
        for (pattern, expected) in [
            ("user.*", vec!["user.email", "user.name", "user.x"]),
            ("**.password", vec!["password", "user.x.password"]),
            ("user.email", vec!["user.email"]),
            ("*.nothing", vec![]),
            ("list.a.b", vec![]),
        ] {
            let mut space = Space::default();
            let record = Record::parse(line, &mut space).unwrap();
            let read = PathPattern::read(pattern).unwrap();
            let found = record.paths_of(&read);
            assert_eq!(found.iter().map(Path::as_str).collect::<Vec<_>>(), expected, "{pattern}");
            assert_eq!(record.has(&read), !expected.is_empty() || pattern == "list.a.b", "{pattern}");
        }
    }
}
